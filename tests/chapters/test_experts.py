"""Tests of lowrank.experts, generated from book/companions/experts.ipynb; edit the chapter."""

from lowrank.experts import expert_load, loss_free_bias, route


# %% book/companions/experts.ipynb: test_rules_and_targets
def test_rules_and_targets():
    import numpy as np

    S = np.random.default_rng(0).random((600, 5)) + np.arange(5) / 4
    Q = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
    for target in (None, Q):
        assert expert_load(S, 2, target=target).max_violation > 0.3
        for rule, rate, steps in (("sign", 2e-3, 600), ("rms", 2e-3, 600), ("gradient", 0.5, 300),
                                  ("quantile", None, 30)):
            b = loss_free_bias(S, 2, steps, rate, target=target, rule=rule)
            found = expert_load(S, 2, bias=b, target=target)
            assert found.max_violation < 0.1 and abs(b.mean()) < 1e-12
            half = loss_free_bias(S, 2, steps // 2, rate, target=target, rule=rule)
            again = loss_free_bias(S, 2, steps - steps // 2, rate, target=target, rule=rule,
                                   bias=half)
            assert np.allclose(again, b)
    indices, weights = route(S, 2, bias=b)
    assert np.array_equal(np.bincount(indices.ravel(), minlength=5) / 1200, found.load)
    assert np.array_equal(weights, np.take_along_axis(S, indices, axis=1))

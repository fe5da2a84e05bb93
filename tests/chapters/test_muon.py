"""Tests of lowrank.muon, generated from book/matrix_sign/muon.ipynb; edit the chapter."""

from lowrank.muon import Muon, muon_update


# %% book/matrix_sign/muon.ipynb: test_muon_update_keeps_units_inputs_and_shapes
def test_muon_update_keeps_units_inputs_and_shapes():
    import numpy as np

    rng = np.random.default_rng(0)
    G, M = rng.standard_normal((2, 3, 6, 4))
    before = G.copy(), M.copy()
    update, momentum = muon_update(G, M)
    assert np.array_equal(G, before[0]) and np.array_equal(M, before[1])
    assert np.allclose(momentum, 0.95 * M + 0.05 * G)
    for unit in (1e-150, 1e-30, 1e30, 1e150):
        assert np.allclose(muon_update(unit * G, unit * M).update, update, atol=1e-9)
    each = [muon_update(g, m).update for g, m in zip(G, M)]
    assert np.allclose(update, each, atol=1e-12)            # a stack is its matrices
    assert not muon_update(np.zeros((4, 3))).update.any()
    exact = muon_update(G, M, schedule=None, scale="operator").update
    assert np.allclose(np.linalg.svd(exact, compute_uv=False), (6 / 4)**0.5)


# %% book/matrix_sign/muon.ipynb: test_muon_treats_each_parameter_as_what_it_is
def test_muon_treats_each_parameter_as_what_it_is():
    import numpy as np

    rng = np.random.default_rng(1)
    shapes = [(4, 3), (5, 2, 3, 3), (2, 3, 4), (7, 3), (4,)]
    params, grads = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    patch = rng.standard_normal((2, 3, 3))                  # what one place of the image sees
    flat = params[1].reshape(5, 18)
    assert np.allclose(np.einsum("oihw,ihw->o", params[1], patch), flat @ patch.ravel())

    kinds = [None, "matrix", "stack", "adamw", None]
    muon = Muon(0.1, weight_decay=0, kinds=kinds, schedule=None)
    new, state = muon.step(params, grads, muon.init(params))
    steps = [(W - V) / 0.1 for W, V in zip(params, new)]
    sizes = lambda X: np.linalg.svd(X, compute_uv=False)
    assert np.allclose(sizes(steps[0]), 0.2 * 4**0.5)
    assert np.allclose(sizes(steps[1].reshape(5, 18)), 0.2 * 18**0.5)
    assert np.allclose(sizes(steps[2]), 0.2 * 4**0.5)
    assert np.allclose(steps[3], np.sign(grads[3])) and np.allclose(steps[4], np.sign(grads[4]))
    assert state.count == 1 and [r is None for r in state.sizes] == [True] * 3 + [False] * 2

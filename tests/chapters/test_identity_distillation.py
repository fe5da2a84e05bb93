"""Tests of lowrank.identity_distillation, generated from
book/covariances/identity_distillation.ipynb; edit the chapter."""

from lowrank.identity_distillation import identity_distillation_losses


# %% book/covariances/identity_distillation.ipynb: test_losses_of_a_batch
def test_losses_of_a_batch():
    import numpy as np

    x, e, f, g = np.random.default_rng(0).standard_normal((4, 50, 2, 3))
    found = identity_distillation_losses(x, e, f, lambda x: 2 * x, axis=(-2, -1))
    D = f - 2 * x
    assert np.allclose(found, (np.sum(D**2) / 50, np.sum(D * (f - e)) / 50))
    assert np.allclose(identity_distillation_losses(x, e, f, g).L1, np.sum((f - g)**2) / 100)

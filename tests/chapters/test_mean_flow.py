"""Tests of lowrank.mean_flow, generated from book/covariances/mean_flow.ipynb; edit the chapter."""

import numpy as np

from lowrank.mean_flow import gaussian_mean_velocity, gaussian_velocity


# %% book/covariances/mean_flow.ipynb: test_two_ways_to_the_same_step
def test_two_ways_to_the_same_step():
    rng = np.random.default_rng(0)
    X, m, z = rng.standard_normal((5, 2)), rng.standard_normal(5), rng.standard_normal((4, 5))
    t = np.array([0.2, 0.5, 0.9, 1.0])
    u = gaussian_mean_velocity(z, t / 2, t, m, X @ X.T)
    assert np.allclose(u, gaussian_mean_velocity(z, t / 2, t, m, X, factors=True), atol=1e-7)
    v = gaussian_velocity(z, t, m, X, factors=True)
    assert np.allclose(v, gaussian_mean_velocity(z, t, t, m, X, factors=True))

"""Tests of lowrank.simplex_maps, generated from book/smooth_topk/simplex_maps.ipynb; edit the
chapter."""

import numpy as np

from lowrank.simplex_maps import entmax, entmax_vjp, softmax, softmax_vjp, sparsemax, sparsemax_vjp


# %% book/smooth_topk/simplex_maps.ipynb: test_gradients_agree_with_differences
def test_gradients_agree_with_differences():
    rng = np.random.default_rng(5)
    x, g, h = rng.standard_normal((2, 6, 3)), rng.standard_normal((2, 6, 3)), 1e-6
    x[0, 2, 1], x[1, 4, 0] = -np.inf, np.inf
    for alpha in (1, 1.3, 1.5, 2):
        f = lambda x, T: np.sum(g * entmax(x, alpha=alpha, temperature=T, axis=1))
        gx, gT = entmax_vjp(x, g, alpha=alpha, temperature=0.7, axis=1)
        steps = h * np.eye(x.size).reshape(-1, *x.shape)
        slopes = [(f(x + e, 0.7) - f(x - e, 0.7)) / (2 * h) for e in steps]
        assert np.abs(gx.ravel() - slopes).max() < 1e-9
        assert abs(gT - (f(x, 0.7 + h) - f(x, 0.7 - h)) / (2 * h)) < 1e-9


def test_the_three_maps_are_one_family():
    rng = np.random.default_rng(6)
    x, g = rng.standard_normal((2, 4, 50)) * 3
    ends = (1, softmax, softmax_vjp), (2, sparsemax, sparsemax_vjp)
    for alpha, function, vjp in ends:
        inside = abs(alpha - 1e-9)
        assert np.allclose(entmax(x, alpha=max(inside, 1 + 1e-9)), function(x), atol=1e-7)
        assert np.array_equal(entmax(x, alpha=alpha), function(x))
        assert all(map(np.allclose, entmax_vjp(x, g, alpha=alpha), vjp(x, g)))
    for alpha in (1 + 1e-12, 1.001, 1.4, 1.999):
        P = entmax(x, alpha=alpha)
        assert np.allclose(P.sum(axis=-1), 1, rtol=0, atol=4e-16 * 50) and P.min() >= 0

"""Tests of lowrank.topk, generated from book/smooth_topk/topk.ipynb; edit the chapter."""

import numpy as np

from lowrank.topk import soft_topk, soft_topk_vjp


# %% book/smooth_topk/topk.ipynb: test_gradients_agree_with_differences
def test_gradients_agree_with_differences():
    rng = np.random.default_rng(3)
    x, g, h = rng.standard_normal((2, 7, 3)), rng.standard_normal((2, 7, 3)), 1e-5
    x[0, 2, 1], x[1, 4, 0], x[1, 5, 0] = -np.inf, np.inf, -np.inf
    k = np.array([[2.2, 3.1, 1.4], [4.3, 5.2, 5.9]])
    for method in ("laplace", "sparse", "subset", "sigmoid", "expclip"):
        K = np.round(k) if method == "subset" else k

        def slope(dx=0.0, dk=0.0, dT=0.0):
            moved = lambda s: soft_topk(x + s * dx, K + s * dk, temperature=0.7 + s * dT,
                                        method=method, axis=1)
            return np.sum(g * (moved(h) - moved(-h))) / (2 * h)

        gx, gk, gT = soft_topk_vjp(x, K, g, temperature=0.7, method=method, axis=1)
        slopes = [slope(dx=e) for e in np.eye(x.size).reshape(-1, *x.shape)]
        assert np.abs(gx.ravel() - slopes).max() < 1e-9
        assert abs(gT - slope(dT=1)) < 1e-9
        if method != "subset":
            slopes = [slope(dk=e) for e in np.eye(6).reshape(-1, 2, 3)]
            assert np.abs(gk.ravel() - slopes).max() < 1e-9


def test_ends_masks_and_softmax():
    x = np.array([0.3, -np.inf, 1.0, np.inf, -2.0])
    for method in ("laplace", "sparse", "subset", "sigmoid", "expclip"):
        assert soft_topk(x, 1, method=method).tolist() == [0, 0, 0, 1, 0]
        assert soft_topk(x, 4, method=method).tolist() == [1, 0, 1, 1, 1]
        assert np.array_equal(soft_topk(x[:1], 0, method=method), [0])
        p = soft_topk(x, 2, method=method)
        assert p[1] == 0 and p[3] == 1 and abs(p.sum() - 2) < 1e-15
    rest = x[[0, 2, 4]]
    softmax = np.exp(rest) / np.exp(rest).sum()
    for method in ("subset", "expclip"):
        assert np.abs(soft_topk(x, 2, method=method)[[0, 2, 4]] - softmax).max() < 1e-15
    assert np.abs(soft_topk_vjp(x, 1, np.arange(5.0))[1]
                  - softmax @ [0, 2, 4]) < 1e-14

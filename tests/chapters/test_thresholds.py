"""Tests of lowrank.thresholds, generated from book/smooth_topk/thresholds.ipynb; edit the chapter."""

import math

import numpy as np

from lowrank.arrays import NUMPY
from lowrank.simplex_maps import count_true
from lowrank.thresholds import curve, levels, long_slice


# %% book/smooth_topk/thresholds.ipynb: test_sums_on_ordinary_and_hard_scores
def _threshold_values(xp, x, k, T, method):
    X, K = xp.asarray(x), xp.asarray(k)[..., None]
    certain, allowed = (count_true(xp, mask, X.dtype) for mask in (X == math.inf, X > -math.inf))
    t, edge = levels(xp, X, K, T, method, certain, allowed)
    return curve(xp, t, method), edge


def test_sums_on_ordinary_and_hard_scores():
    rng = np.random.default_rng(4)
    n = 60
    families = [rng.standard_normal(n), rng.standard_cauchy(n), rng.integers(0, 3, n) * 1.0,
                np.zeros(n), np.geomspace(1e-12, 1, n), -np.geomspace(1e-12, 1, n), np.arange(60.0)]
    x = np.stack([f * scale for f in families for scale in (1e-3, 1, 30, 1e4, 1e300)])
    with np.errstate(all="ignore"):                 # as in the functions of the next chapter
        for k in (1e-9, 0.3, 1, 2.5, 30, 30 + 1e-9, 59, 59.7):
            for method in ("laplace", "sigmoid", "sparse", "expclip"):
                for T in (1.0, 1e-5):
                    p, edge = _threshold_values(NUMPY, x, np.full(len(x), k), T, method)
                    assert p.min() >= 0 and p.max() <= 1 and not edge.any()
                    assert np.abs(p.sum(axis=-1) - k).max() < 1e-13 * max(k, 1)
                    ordered = np.take_along_axis(p, np.argsort(x, axis=-1, kind="stable"), axis=-1)
                    assert np.diff(ordered, axis=-1).min() >= 0


# %% book/smooth_topk/thresholds.ipynb: test_the_long_way_agrees_with_the_general_one
def test_the_long_way_agrees_with_the_general_one():
    rng = np.random.default_rng(6)
    with np.errstate(all="ignore"):
        for n in (5_000, 300_000):
            x, out = rng.standard_normal(n) + 7, np.empty(n)
            for method in ("laplace", "sigmoid", "sparse", "expclip"):
                for share, T in ((0.001, 0.5), (0.1, 1.0), (0.25001, 0.01), (0.98, 3.0)):
                    expected, _ = _threshold_values(NUMPY, x, share * n, T, method)
                    assert long_slice(x, share * n, T, method, out) is not None
                    assert np.abs(out - expected).max() < 1e-13

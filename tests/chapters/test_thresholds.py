"""Tests of lowrank.thresholds, generated from book/smooth_topk/thresholds.ipynb; edit the chapter."""

import math

import numpy as np

from lowrank.simplex_maps import count_true
from lowrank.thresholds import (
    Slices,
    _in_units,
    border_scores,
    curve,
    from_threshold,
    long_values,
    one_slice,
    row_blocks,
)


# %% book/smooth_topk/thresholds.ipynb: numpy_slices
def numpy_slices(x, k, T, method):
    """Slices of NumPy, as the functions of the next chapter make them."""
    from lowrank.arrays import NUMPY

    X, K = np.asarray(x, float), np.asarray(k, float)[..., None]
    certain, allowed = (count_true(NUMPY, mask, float) for mask in (X == math.inf, X > -math.inf))
    return Slices(NUMPY, X, K, T, method, certain, allowed)


def test_scores_are_measured_from_the_border():
    x = np.array([[5.0, 1.0, 3.0, -2.0], [0.0, -math.inf, math.inf, -1.0]])
    S = numpy_slices(x, [2, 1], 0.5, "laplace")
    assert np.ravel(border_scores(S)).tolist() == [3, math.inf, 1, 0]
    assert S.edge.ravel().tolist() == [False, True]
    assert np.ravel(border_scores(S._replace(k=S.k + 0.5))).tolist() == [1, 0, 1, 0]
    for method, where in (("laplace", [2, -2]), ("expclip", [0, -4])):
        units, borders, centre = _in_units(numpy_slices(x[0], 2, 0.5, method))
        assert np.ravel(borders).tolist() == where
        assert np.array_equal(units.X * 0.5 + centre, x[0])


# %% book/smooth_topk/thresholds.ipynb: test_sums_on_ordinary_and_hard_scores
def test_sums_on_ordinary_and_hard_scores():
    rng = np.random.default_rng(4)
    n = 60
    families = [rng.standard_normal(n), rng.standard_cauchy(n), rng.integers(0, 3, n) * 1.0,
                np.zeros(n), np.arange(60.0), *np.outer([1, -1], np.geomspace(1e-12, 1, n))]
    x = np.stack([f * scale for f in families for scale in (1e-3, 1, 30, 1e4, 1e300)])
    upwards = np.argsort(x, axis=-1, kind="stable")
    with np.errstate(all="ignore"):                 # as in the functions of the next chapter
        for k in (1e-9, 0.3, 1, 2.5, 30, 30 + 1e-9, 59, 59.7):
            for method in ("laplace", "sigmoid", "sparse", "expclip"):
                for T in (1.0, 1e-5):
                    S = numpy_slices(x, np.full(len(x), k), T, method)
                    p = curve(S, from_threshold(S))
                    assert p.min() >= 0 and p.max() <= 1 and not S.edge.any()
                    assert np.abs(p.sum(axis=-1) - k).max() < 1e-13 * max(k, 1)
                    assert np.diff(np.take_along_axis(p, upwards, axis=-1), axis=-1).min() >= 0


# %% book/smooth_topk/thresholds.ipynb: test_the_long_way_agrees_with_the_general_one
def test_the_long_way_agrees_with_the_general_one():
    rng = np.random.default_rng(6)
    with np.errstate(all="ignore"):
        for n in (5_000, 300_000):
            x, (p, found) = rng.standard_normal((1, n)) + 7, np.empty((2, n))
            for method in ("laplace", "sigmoid", "sparse", "expclip"):
                for share, T in ((0.001, 0.5), (0.1, 1.0), (0.25001, 0.01), (0.98, 3.0)):
                    S = numpy_slices(x, [share * n], T, method)
                    t = from_threshold(S)[0]
                    assert long_values(one_slice(S), p, found)
                    assert np.abs(p - curve(S, t)).max() < 1e-13
                    assert np.allclose(found, t, rtol=1e-12, atol=1e-9)


def test_blocks_hold_every_row_once():
    x = np.arange(3 * 5_000.0).reshape(3, 5_000)
    for shape, many in (((3, 5_000), 3), ((1_500, 10), 1), ((5, 300, 10), 1), ((15_000,), 1)):
        S = numpy_slices(x.reshape(shape), 2, 1.0, "laplace")
        out, number = np.zeros((*shape[:-1], 1)), 0
        for rows, sums in row_blocks(S, out):
            sums[...] = rows.X.sum(axis=-1, keepdims=True)
            number += 1
            assert len(rows.k) == len(rows.edge) == len(rows.X)
            assert (one_slice(rows) is None) == (len(rows.X) > 1)
        assert number == many and np.array_equal(out[..., 0], S.X.sum(axis=-1))
    assert one_slice(numpy_slices([[1.0, 2.0]], 2, 1.0, "laplace")) is None

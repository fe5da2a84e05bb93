"""Tests of lowrank.arrays, generated from book/foundations/arrays.ipynb; edit the chapter."""

import pytest

from lowrank.arrays import _as_stack, _known, _matching, _peaks, _power_of_two, _rescaled, _svd


# %% book/foundations/arrays.ipynb: test_values_are_checked_where_there_are_any
def test_values_are_checked_where_there_are_any():
    class Tracer:
        def __bool__(self):
            raise TypeError("no concrete value")

    assert _known(Tracer()) and _known(True) and not _known(False)
    xp, A = _as_stack([[1, 2], [3, 4]])
    assert A.dtype == xp.float64 and A.shape == (2, 2)
    cases = [
        (lambda: _as_stack([1.0, 2.0]), ValueError, r"A has shape \(2,\); allowed is a matrix"),
        (lambda: _as_stack([[float("nan"), 1]], "G"), ValueError, "G contains 1 NaN and 0 Inf"),
        (lambda: _as_stack([["a"]]), TypeError, "A has dtype <U1"),
        (lambda: _matching([[1.0]], "G", A), ValueError, r"G has shape \(1, 1\); allowed is"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


# %% book/foundations/arrays.ipynb: test_the_scale_is_exact
def test_the_scale_is_exact():
    import numpy as np

    rng = np.random.default_rng(0)
    for shape, kind in (((3, 4, 5), float), ((4, 5), complex), ((2, 0, 3), float)):
        A = rng.standard_normal(shape).astype(kind)
        for power in (-1074, -1000, -30, 0, 30, 1000):
            scaled = np.ldexp(1.0, power) * A
            c = _power_of_two(_peaks(scaled))
            assert c.shape == (*shape[:-2], 1, 1) and np.all(np.frexp(c)[0] == 0.5)
            assert np.all(_peaks(scaled / c) < 2) and np.array_equal(scaled / c * c, scaled)
            assert np.all(np.isfinite(1 / c))
            assert np.array_equal(_rescaled(A, c, c), A)
    assert _power_of_two(_peaks(np.zeros((2, 3)))).item() == 1


# %% book/foundations/arrays.ipynb: test_svd_in_each_library
def test_svd_in_each_library():
    import array_api_strict
    import numpy as np

    A = np.random.default_rng(1).standard_normal((2, 5, 3))
    for xp in (np, array_api_strict):
        U, s, Vh = _svd(xp.asarray(A))
        assert U.shape == (2, 5, 3) and s.shape == (2, 3) and Vh.shape == (2, 3, 3)
        assert np.allclose(np.asarray((U * s[..., None, :]) @ Vh), A)

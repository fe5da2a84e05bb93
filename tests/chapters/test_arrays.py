"""Tests of lowrank.arrays, generated from book/foundations/arrays.ipynb; edit the chapter."""

import numpy as np
import pytest
from scipy import sparse

from lowrank.arguments import gaussian_matrix
from lowrank.arrays import (
    adjoint,
    as_common,
    as_matrix,
    as_stack,
    check_hermitian,
    double_norm,
    exponent_of,
    matching,
    may_hold,
    peak_of,
    power_of_two,
    rescaled,
    safe_norms,
    shifted,
    singular_values,
    squared_norms,
    thin_svd,
    wide,
)


# %% book/foundations/arrays.ipynb: test_values_are_checked_where_there_are_any
def test_values_are_checked_where_there_are_any():
    class Tracer:
        def __bool__(self):
            raise TypeError("no concrete value")

    assert may_hold(Tracer()) and may_hold(True) and not may_hold(False)
    xp, A = as_stack([[1, 2], [3, 4]])
    assert A.dtype == xp.float64 and A.shape == (2, 2)


class Unwilling:
    """As a tensor with a gradient does, it refuses to become an array."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("detach first")


def test_bad_arrays_are_named():
    A = np.eye(2)
    cases = [
        (lambda: as_matrix([1.0, 2.0]), ValueError, r"A has shape \(2,\); allowed is a matrix"),
        (lambda: as_stack([1.0, 2.0]), ValueError, r"A has shape \(2,\); allowed is a matrix"),
        (lambda: as_matrix([A, A]), ValueError, r"A has shape \(2, 2, 2\); allowed is a matrix"),
        (lambda: as_matrix(np.zeros((0, 3))), ValueError, r"A has shape \(0, 3\)"),
        (lambda: as_matrix([[np.nan, np.inf]], "B"), ValueError, "B contains 1 NaN and 1 Inf"),
        (lambda: as_stack([[np.nan, 1]], "G"), ValueError, "G contains 1 NaN and 0 Inf"),
        (lambda: as_matrix([["a"]]), TypeError, "A has dtype <U1"),
        (lambda: as_matrix(np.array([[1.5, None]])), TypeError, "A has dtype object, not all"),
        (lambda: as_matrix(Unwilling(), "B"), TypeError, "B does not form an array: detach first"),
        (lambda: as_matrix([[1], [2, 3]]), ValueError, "A does not form an array"),
        (lambda: as_matrix(np.ma.masked_equal([[1, 2]], 2)), TypeError, "A is a masked array"),
        (lambda: as_matrix(sparse.eye_array(2)), TypeError, "A is a .*; allowed here is an array"),
        (lambda: matching([[1.0]], "G", A), ValueError, r"G has shape \(1, 1\); allowed is"),
        (lambda: as_common(a=A, b=1j * A), TypeError, "b has dtype complex128; allowed are real"),
        (lambda: as_common(a=A, b=[np.nan]), ValueError, "b contains 1 NaN and 0 Inf"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
    assert as_matrix([A, A], stacked=True).shape == (2, 2, 2)
    assert as_matrix(np.zeros((0, 3)), empty=True).shape == (0, 3)
    assert np.isnan(as_matrix([[np.nan]], finite=False))
    assert as_matrix(np.array([[1, 2.5]], object)).dtype == np.float64


def test_common_arrays_have_one_dtype():
    half, low, whole = np.ones(2, np.float16), np.ones(2, np.float32), np.ones(2, int)
    for given, dtype in (((half, half), "f2"), ((half, low), "f4"), ((low, whole), "f8")):
        _, found, *arrays = as_common(**dict(zip("ab", given)))
        assert found == dtype and {x.dtype for x in arrays} == {max(np.dtype("f4"), found)}


# %% book/foundations/arrays.ipynb: test_shifting_is_exact_and_spans_the_range
def test_shifting_is_exact_and_spans_the_range():
    A = np.random.default_rng(1).standard_normal((5, 4))
    for power in (-1000, -500, 0, 500, 1000):
        B = shifted(A, power)
        e = exponent_of(peak_of(B)).item()
        assert 0.5 <= peak_of(shifted(B, -e)).item() < 1
        assert np.array_equal(shifted(B, -power), A)
    assert exponent_of(peak_of(np.zeros((2, 2)))).item() == 0


# %% book/foundations/arrays.ipynb: test_squared_norms_of_every_layout
def test_squared_norms_of_every_layout():
    rng = np.random.default_rng(4)
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        X = gaussian_matrix(rng, (700, 90), dtype)
        true = np.abs(X.astype(np.complex128))**2
        for Y in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
            for axis in (0, 1):
                found = squared_norms(Y, axis)
                assert found.dtype == np.float64
                assert np.allclose(found, true.sum(axis, keepdims=True), rtol=1e-13)
        assert np.isclose(double_norm(X), np.sqrt(true.sum()), rtol=1e-13)
        for power in (-1000, -500, 500, 1000) if X.real.dtype == np.float64 else (-100, 100):
            for axis in (0, 1):
                norms = shifted(safe_norms(shifted(X, power), axis), -power)
                assert norms.dtype == X.real.dtype
                assert np.allclose(norms, np.sqrt(true.sum(axis, keepdims=True)), rtol=1e-6)
    assert squared_norms(np.zeros((0, 3)), 0).shape == (1, 3)
    assert squared_norms(np.zeros((3, 0)), 1).shape == (3, 1)


# %% book/foundations/arrays.ipynb: test_the_scale_is_exact
def test_the_scale_is_exact():
    rng = np.random.default_rng(0)
    for shape, kind in (((3, 4, 5), float), ((4, 5), complex), ((2, 0, 3), float)):
        A = rng.standard_normal(shape).astype(kind)
        for power in (-1074, -1000, -30, 0, 30, 1000):
            B = np.ldexp(1.0, power) * A
            c = power_of_two(peak_of(B))
            assert c.shape == (*shape[:-2], 1, 1) and np.all(np.frexp(c)[0] == 0.5)
            assert np.all(peak_of(B / c) < 2) and np.array_equal(B / c * c, B)
            assert np.all(np.isfinite(1 / c))
            assert np.array_equal(rescaled(A, c, c), A)
    assert power_of_two(peak_of(np.zeros((2, 3)))).item() == 1


# %% book/foundations/arrays.ipynb: test_svd_in_each_library
def test_svd_in_each_library():
    import array_api_strict

    A = np.random.default_rng(1).standard_normal((2, 5, 3))
    for xp in (np, array_api_strict):
        U, s, Vh = thin_svd(xp.asarray(A))
        assert np.allclose(np.asarray(singular_values(xp.asarray(A))), np.asarray(s))
        assert U.shape == (2, 5, 3) and s.shape == (2, 3) and Vh.shape == (2, 3, 3)
        assert np.allclose(np.asarray((U * s[..., None, :]) @ Vh), A)


def test_the_older_routine_helps_out():
    from unittest import mock

    A = np.random.default_rng(2).standard_normal((2, 6, 4))
    with mock.patch("numpy.linalg.svd", side_effect=np.linalg.LinAlgError):
        (U, s, Vh), values = thin_svd(A), singular_values(A)
    assert U.shape == (2, 6, 4) and np.allclose((U * s[..., None, :]) @ Vh, A)
    assert np.allclose(values, s) and np.allclose(singular_values(A), s)


def test_wide_and_back():
    A = np.arange(6).reshape(3, 2) + 1j
    for given in (A, adjoint(A)):
        W, back = wide(given)
        assert W.shape == (2, 3) and np.array_equal(back(W), given)


def test_check_hermitian():
    good = np.array([[1.0, 2j], [-2j, 3.0]])
    check_hermitian(good)
    check_hermitian(np.stack([good, 0 * good]))
    with pytest.raises(ValueError, match=r"B is not Hermitian: B - B\^H has entries of 2.0e-12"):
        check_hermitian(np.array([[1.0, 1.0], [1.0 + 2e-12, 1.0]]), "B")
    with pytest.raises(ValueError, match=r"A has shape \(2, 3\); allowed is a square matrix"):
        check_hermitian(np.ones((2, 3)))

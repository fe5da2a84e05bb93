"""Pseudo-inverse: Penrose's conditions, agreement of all routes, and units, on every hard matrix."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from lowrank.pseudo_inverse import best_factor, penrose_residuals, pinv, pinv_newton_schulz
from tests.properties.matrices import HARD, any_matrix, assert_unchanged, double, eps


def kept_condition(A, rank):
    s = np.linalg.svd(double(A), compute_uv=False)
    return s[0] / s[rank - 1] if rank else 1.0


@pytest.mark.parametrize("name", HARD)
def test_penrose_conditions_hold_up_to_the_condition_of_what_is_kept(name):
    A = HARD[name]
    X, rank = assert_unchanged(A, lambda B: pinv(B, return_rank=True))
    assert X.shape == A.shape[::-1] and X.dtype.kind in "fc"
    allowed = 20 * max(A.shape) * eps(A) * kept_condition(A, rank)
    residuals = penrose_residuals(A, X)
    assert max(residuals) <= allowed
    assert rank == np.linalg.matrix_rank(double(A))


@given(any_matrix())
def test_pinv_follows_the_unit_bit_for_bit(A):
    assume(np.abs(A).max() == 0 or 1e-16 < np.abs(A[A != 0]).min())     # float32: 2^20 below stays normal
    shift = A.real.dtype.type(2.0**20)
    np.testing.assert_array_equal(pinv(A * shift) * shift, pinv(A))


@given(any_matrix(dtypes=[np.float64, np.complex128]))
def test_pinv_agrees_with_scipy_and_with_its_adjoint(A):
    unit = np.abs(A).max() or 1.0
    X, rank = pinv(A / unit, return_rank=True)
    allowed = 1e-12 * kept_condition(A / unit, rank) * (np.abs(X).max() or 1)
    np.testing.assert_allclose(X, scipy.linalg.pinv(A / unit), rtol=0, atol=allowed)
    np.testing.assert_allclose(pinv((A / unit).conj().T), X.conj().T, rtol=0, atol=allowed)


@pytest.mark.parametrize("name", [name for name, A in HARD.items() if A.shape[0] == A.shape[1]])
def test_the_hermitian_route_agrees(name):
    A = HARD[name] + HARD[name].conj().T if HARD[name].dtype.kind != "b" else HARD[name].astype(float)
    if not np.array_equal(A, A.conj().T):
        pytest.skip("not Hermitian")
    X, rank = pinv(A, hermitian=True, return_rank=True)
    Y, expected_rank = pinv(A, return_rank=True)
    condition = kept_condition(A, rank)
    if rank == expected_rank:                       # else the spectrum has no gap at the cut-off
        np.testing.assert_allclose(X, Y, rtol=0, atol=1e-13 * condition * (np.abs(Y).max() or 1))


@pytest.mark.parametrize("name", HARD)
def test_newton_schulz_is_right_or_says_that_it_is_not(name):
    A = HARD[name]
    result = assert_unchanged(A, pinv_newton_schulz)
    if result.converged:
        X = pinv(A, rtol=1e-6)                      # the gap that the default tolerance asks for
        if np.linalg.matrix_rank(double(A), rtol=1e-6) == result.rank:
            scale = np.abs(X).max() or 1
            assert np.abs(result.X - X).max() <= 1e-4 * scale


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, aslinearoperator])
@given(data=st.data())
def test_best_factor_cannot_be_improved(kind, data):
    """The gradient left^H (left U right - M) right^H vanishes at U."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    m, n, c, r = (data.draw(st.integers(1, 8)) for _ in range(4))
    M, C, R = (rng.standard_normal(shape) for shape in ((m, n), (m, c), (r, n)))
    for left, right in ((C, None), (None, R), (C, R)):
        U = best_factor(kind(M), left=left, right=right)
        L, N = (np.eye(m) if left is None else C), (np.eye(n) if right is None else R)
        assert U.shape == (L.shape[1], N.shape[0])
        gradient = L.T @ (L @ U @ N - M) @ N.T
        size = np.linalg.norm(L, 2) * np.linalg.norm(N, 2)
        condition = np.linalg.cond(L) * np.linalg.cond(N)
        assert np.linalg.norm(gradient) <= 1e-13 * condition * size * np.linalg.norm(M)


@pytest.mark.parametrize("function", [pinv, pinv_newton_schulz, lambda A: best_factor(A, left=np.eye(1)),
                                      lambda A: penrose_residuals(A, np.eye(1))])
@pytest.mark.parametrize("A, kind, message", [
    ([1.0, 2.0], ValueError, r"has shape \(2,\)"),
    ([[np.nan]], ValueError, "contains 1 NaN and 0 Inf"),
    ([["a"]], TypeError, "has dtype <U1"),
    (np.array([[None]]), TypeError, "has dtype object"),
    (np.ma.masked_equal([[1.0, 2.0]], 2), TypeError, "masked"),
])
def test_bad_matrices_are_named(function, A, kind, message):
    with pytest.raises(kind, match=message):
        function(A)

"""Pseudo-inverse: Penrose's conditions, agreement of all routes, and units, on every hard matrix."""

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from lowrank.pseudo_inverse import PinvInfo, best_factor, penrose_residuals, pinv, pinv_newton_schulz
from tests.properties.matrices import HARD, any_matrix, assert_unchanged, double, eps, long_matrix, random_matrix


def kept_condition(A, rank):
    s = np.linalg.svd(double(A), compute_uv=False)
    return s[0] / s[rank - 1] if rank else 1.0


@pytest.mark.parametrize("name", HARD)
def test_penrose_conditions_hold_up_to_the_condition_of_what_is_kept(name):
    A = HARD[name]
    X, info = assert_unchanged(A, lambda B: pinv(B, return_info=True))
    assert X.shape == A.shape[::-1] and X.dtype.kind in "fc"
    allowed = 20 * max(A.shape) * eps(A) * kept_condition(A, info.rank)
    residuals = penrose_residuals(A, X)
    assert max(residuals) <= allowed
    assert info.rank == np.linalg.matrix_rank(double(A))


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("name", HARD)
def test_info_tells_the_two_singular_values_at_the_cut(name, unit):
    A = double(HARD[name])
    s = np.linalg.svd(A, compute_uv=False)
    for rtol in (None, 1e-3, 0.4):
        info = pinv(A * unit, rtol=rtol, return_info=True)[1]
        assert isinstance(info, PinvInfo) and [type(value) for value in info] == [int, float, float]
        expected = s[info.rank - 1] if info.rank else np.inf, s[info.rank] if info.rank < len(s) else 0
        np.testing.assert_allclose((info.kept / unit, info.dropped / unit), expected, rtol=1e-9, atol=1e-14 * s[0])
        assert info.kept > (rtol or 1e-15) * s[0] * unit >= info.dropped * (1 - 1e-13) or rtol is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_every_cut_off_between_dropped_and_kept_gives_the_same(dtype):
    A = np.diag([4.0, -2.0, 0.5, 0.0]).astype(dtype) * dtype(0.75)
    for hermitian in (False, True):
        B, info = pinv(A, atol=0.5, hermitian=hermitian, return_info=True)
        assert info == (2, 1.5, 0.375)
        for atol in (info.dropped, 1.0, np.nextafter(info.kept, 0)):
            np.testing.assert_array_equal(pinv(A, atol=atol, hermitian=hermitian), B)
        for atol, rank in ((info.kept, 1), (np.nextafter(info.dropped, 0), 3)):
            assert pinv(A, atol=atol, hermitian=hermitian, return_info=True)[1].rank == rank


def test_info_where_nothing_is_kept_or_nothing_dropped():
    for shape in ((0, 3), (3, 0), (0, 0)):
        assert pinv(np.zeros(shape), return_info=True)[1] == (0, np.inf, 0)
    for hermitian in (False, True):
        assert pinv(np.zeros((3, 3)), hermitian=hermitian, return_info=True)[1] == (0, np.inf, 0)
        assert pinv(3 * np.eye(2), atol=5, hermitian=hermitian, return_info=True)[1] == (0, np.inf, 3)
        assert pinv(3 * np.eye(2), hermitian=hermitian, return_info=True)[1] == (2, 3, 0)


@pytest.mark.parametrize("hermitian", [False, True])
def test_info_of_a_stack_is_that_of_its_matrices(hermitian):
    rng = np.random.default_rng(7)
    columns = rng.standard_normal((2, 3, 4, 1))
    stack = columns @ columns.swapaxes(-2, -1) * np.array([1e-200, 1.0, 1e200])[:, None, None]
    stack[1, 1] = 0
    B, info = pinv(stack, hermitian=hermitian, return_info=True)
    assert [value.shape for value in info] == [(2, 3)] * 3 and info.rank.tolist() == [[1, 1, 1], [1, 0, 1]]
    for index in np.ndindex(2, 3):
        single, expected = pinv(stack[index], hermitian=hermitian, return_info=True)
        np.testing.assert_array_equal(B[index], single)
        assert tuple(value[index] for value in info) == expected
    empty = pinv(np.zeros((0, 3, 2)), return_info=True)[1]
    assert [value.shape for value in empty] == [(0,)] * 3


@given(any_matrix())
def test_pinv_follows_the_unit_bit_for_bit(A):
    assume(np.abs(A).max() == 0 or 1e-16 < np.abs(A[A != 0]).min())     # float32: 2^20 below stays normal
    shift = A.real.dtype.type(2.0**20)
    np.testing.assert_array_equal(pinv(A * shift) * shift, pinv(A))


@given(any_matrix(dtypes=[np.float64, np.complex128]))
def test_pinv_agrees_with_scipy_and_with_its_adjoint(A):
    unit = np.abs(A).max() or 1.0
    X, info = pinv(A / unit, return_info=True)
    allowed = 1e-12 * kept_condition(A / unit, info.rank) * (np.abs(X).max() or 1)
    np.testing.assert_allclose(X, scipy.linalg.pinv(A / unit), rtol=0, atol=allowed)
    np.testing.assert_allclose(pinv((A / unit).conj().T), X.conj().T, rtol=0, atol=allowed)


@pytest.mark.parametrize("name", [name for name, A in HARD.items() if A.shape[0] == A.shape[1]])
def test_the_hermitian_route_agrees(name):
    A = HARD[name] + HARD[name].conj().T if HARD[name].dtype.kind != "b" else HARD[name].astype(float)
    if not np.array_equal(A, A.conj().T):
        pytest.skip("not Hermitian")
    X, info = pinv(A, hermitian=True, return_info=True)
    Y, expected = pinv(A, return_info=True)
    condition = kept_condition(A, info.rank)
    if info.rank == expected.rank:                       # else the spectrum has no gap at the cut-off
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape, hermitian", [((40, 3), False), ((3, 40), False), ((20, 20), True)])
def test_the_default_cut_off_follows_the_shorter_side(shape, hermitian, dtype):
    """Singular values a little above and a little below it, in a matrix whose decomposition is exact."""
    cut = 4 * min(shape) ** 0.5 * float(np.finfo(dtype).eps)
    for factor, rank in ((1.01, 2), (0.99, 1)):
        A = np.zeros(shape, dtype)
        A[0, 0], A[1, 1] = 1, factor * cut
        info = pinv(A, hermitian=hermitian, return_info=True)[1]
        assert info.rank == rank and info.kept == (A[1, 1].real if rank == 2 else 1)
        best = best_factor(np.eye(shape[0], dtype=dtype), left=A)
        assert np.count_nonzero(best) == rank


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [200, 100_000])
def test_the_long_side_does_not_decide_what_is_zero(m, dtype):
    """A condition of 2000 is no reason to drop anything, at any length; a column that depends on others is."""
    for dependent, rank in ((False, 9), (True, 8)):
        A = long_matrix(m, 2000, dtype, dependent)
        for B in (A, A.T):
            assert pinv(B, return_info=True)[1].rank == rank
        X = best_factor(A @ np.ones((9, 1), dtype), left=A)
        assert np.linalg.norm(A @ X - A @ np.ones((9, 1), dtype)) <= 200 * eps(A) * np.linalg.norm(A)


@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_single_precision_is_fitted_as_well_as_in_double(kind):
    """The factors are decomposed and applied in double; the exact answer for what is stored comes back in the dtype given."""
    t = np.arange(20_000)
    left = np.stack([np.ones(len(t)), t], axis=1).astype(kind)                 # condition 2e4
    M = (double(left) @ [[3], [7]]).astype(kind)
    expected = scipy.linalg.lstsq(double(left), double(M))[0]
    for factor in (best_factor(M, left=left), best_factor(M.T, right=left.T).T, best_factor(aslinearoperator(M), left=left)):
        assert factor.dtype == kind
        np.testing.assert_allclose(factor, expected, rtol=4 * eps(left))


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (7, 13), (9, 18), (9, 19), (6, 6)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_penrose_residuals_are_those_of_the_products(shape, dtype):
    """The larger of A X and X A is never formed; its asymmetry is the same."""
    A = random_matrix(3, shape, min(shape), dtype, 1.0)
    for X in (random_matrix(4, shape[::-1], min(shape), dtype, 1.0), A.conj().T, np.linalg.pinv(A) * dtype(1.1)):
        P, R = double(A) @ double(X), double(X) @ double(A)
        norm = np.linalg.norm
        expected = (norm(P @ A - A) / norm(A), norm(R @ X - X) / norm(X), norm(P.conj().T - P) / norm(P), norm(R.conj().T - R) / norm(R))
        np.testing.assert_allclose(penrose_residuals(A, X), expected, rtol=100 * eps(A), atol=1e4 * eps(A))


def test_penrose_residuals_of_a_very_wide_operator():
    """3 x 100 000: X A would have 10^10 entries."""
    A = random_matrix(5, (3, 100_000), 3, np.float64, 1.0)
    X = np.linalg.pinv(A)
    for B, Y in ((A, X), (A.T, X.T)):
        tracemalloc.start()
        good = penrose_residuals(aslinearoperator(B), Y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert max(good) < 1e-13 and peak < 30 * A.nbytes
        Y = Y + 0.1 * random_matrix(6, Y.shape, 1, np.float64, 1.0) / 300
        assert min(penrose_residuals(B, Y)) > 1e-3

"""Tests of lowrank.pseudo_inverse, generated from book/low_rank/pseudo_inverse.ipynb; edit the
chapter."""

import numpy as np

from lowrank.arrays import peak_of
from lowrank.pseudo_inverse import best_factor, penrose_residuals, pinv, pinv_newton_schulz


# %% book/low_rank/pseudo_inverse.ipynb: random_matrices
def random_matrices(rng, m, n, rank):
    """One matrix in the four dtypes and in small and large units."""
    A = rng.standard_normal((m, rank)) + 1j * rng.standard_normal((m, rank))
    A = A @ rng.standard_normal((rank, n))
    return A, A.real, A.astype(np.complex64), A.real.astype(np.float32), A * 1e-150, A.real * 1e150


def test_pinv_satisfies_penrose():
    rng = np.random.default_rng(0)
    for m, n, rank in ((5, 5, 5), (7, 4, 4), (4, 7, 2), (1, 6, 1), (6, 1, 1), (3, 3, 0)):
        for A in random_matrices(rng, m, n, rank):
            X, info = pinv(A, return_info=True)
            assert X.dtype == A.dtype and X.shape == (n, m) and info.rank == rank
            assert max(penrose_residuals(A, X)) < 500 * np.finfo(A.dtype).eps


def test_pinv_of_a_hermitian_matrix():
    for A in random_matrices(np.random.default_rng(1), 6, 6, 6):
        A = A + A.conj().T
        X = pinv(A, hermitian=True)
        assert max(penrose_residuals(A, X)) < 500 * np.finfo(A.dtype).eps
        assert peak_of(X - pinv(A)) < 1e4 * np.finfo(A.dtype).eps * peak_of(X)


# %% book/low_rank/pseudo_inverse.ipynb: test_pinv_at_the_edges
def test_pinv_at_the_edges():
    import pytest

    stack = np.array([np.eye(3)[:2], np.ones((2, 3)), np.zeros((2, 3)), 1e-200 * np.eye(3)[:2]])
    X, (rank, kept, dropped) = pinv(stack, return_info=True)
    assert X.shape == (4, 3, 2) and rank.tolist() == [2, 1, 0, 2]
    assert np.allclose(kept / [1, 6**0.5, 1, 1e-200], [1, 1, np.inf, 1]) and dropped.max() < 1e-15
    assert all(np.array_equal(X[i], pinv(stack[i])) for i in range(4))
    assert pinv(np.zeros((0, 3)), return_info=True)[1] == (0, np.inf, 0)
    for shape in ((0, 3), (3, 0), (0, 2, 3), (2, 0, 3)):
        assert pinv(np.zeros(shape)).shape == (*shape[:-2], shape[-1], shape[-2])
    assert pinv(np.zeros((0, 0)), hermitian=True).shape == (0, 0)
    integers = np.array([[100, 27], [3, -7]], np.int8)
    assert max(penrose_residuals(integers, pinv(integers))) < 1e-14
    assert max(penrose_residuals(np.diag([1e300, 1e290]), pinv(np.diag([1e300, 1e290])))) < 1e-14
    assert pinv(np.diag([4.0, 1.0]), atol=2, return_info=True)[1] == (1, 4, 1)
    assert pinv(-np.eye(2), hermitian=True)[0, 0] == -1
    with pytest.raises(ValueError, match="A is so small that the result overflows float64"):
        pinv([[1e-310]])
    with pytest.raises(ValueError, match="A is so small that the result overflows float32"):
        pinv(np.full((2, 2), 1e-40, np.float32))
    with pytest.raises(ValueError, match=r"A - A\^H has entries of 2.5e-01 times"):
        pinv([[1.0, 1.0], [0.5, 2.0]], hermitian=True)
    with pytest.raises(ValueError, match="rtol is 2"):
        pinv(np.eye(2), rtol=2)
    with pytest.raises(ValueError, match="atol is -1; allowed"):
        pinv(np.eye(2), atol=-1)


def test_gesvd_takes_over():
    from unittest import mock

    A = np.random.default_rng(1).standard_normal((2, 4, 3))
    expected = pinv(A)
    with mock.patch.object(np.linalg, "svd", side_effect=np.linalg.LinAlgError):
        assert np.allclose(pinv(A), expected, rtol=0, atol=1e-13)
        assert np.allclose(pinv(A[0]), expected[0], rtol=0, atol=1e-13)


# %% book/low_rank/pseudo_inverse.ipynb: test_best_factor_agrees_with_pinv_for_every_kind_of_input
def test_best_factor_agrees_with_pinv_for_every_kind_of_input():
    from scipy import sparse
    from scipy.sparse.linalg import LinearOperator

    rng = np.random.default_rng(2)
    M, R = (rng.standard_normal((m, 7)) + 1j * rng.standard_normal((m, 7)) for m in (9, 4))
    C = rng.standard_normal((9, 2)) @ rng.standard_normal((2, 3))                # rank 2 of 3
    passes = []

    def counted(f):
        return lambda X: passes.append(X.shape[1]) or f(X)

    map_of_M = LinearOperator(M.shape, dtype=M.dtype, matvec=lambda x: M @ x,
                              matmat=counted(lambda X: M @ X),
                              rmatmat=counted(lambda Y: M.conj().T @ Y))
    for kind in (M, np.asfortranarray(M), sparse.csr_array(M), map_of_M):
        for unit in (1.0, 1e-150, 1e150):
            for factors, expected in (({"left": C * unit}, pinv(C) @ M),
                                      ({"right": R * unit}, M @ pinv(R)),
                                      ({"left": C * unit, "right": R}, pinv(C) @ M @ pinv(R))):
                U = best_factor(kind, **factors)
                assert U.shape == expected.shape
                assert np.allclose(U * unit, expected, rtol=0, atol=1e-12)
    assert passes == 3 * [2, 4, 2]                          # one pass each, with few vectors
    assert best_factor(M.astype(np.complex64), left=C.astype(np.float32)).dtype == np.complex64
    assert not best_factor(M, left=np.zeros((9, 3))).any()


def test_best_factor_refuses():
    import pytest

    M = np.eye(3)
    for arguments, message in (({}, "both None"),
                               ({"left": np.eye(4)}, "left has 4 rows; allowed is 3"),
                               ({"right": np.eye(4)}, "right has 4 columns; allowed is 3"),
                               ({"left": np.full((3, 2), np.nan)}, "left contains 6 NaN"),
                               ({"left": M, "rtol": -1}, "rtol is -1"),
                               ({"left": M * 1e-310}, "overflows")):
        with pytest.raises(ValueError, match=message):
            best_factor(M, **arguments)


# %% book/low_rank/pseudo_inverse.ipynb: test_newton_schulz_agrees_with_pinv
def test_newton_schulz_agrees_with_pinv():
    rng = np.random.default_rng(3)
    for m, n, rank in ((6, 6, 6), (9, 4, 4), (4, 9, 3), (1, 5, 1), (5, 1, 1), (8, 8, 2)):
        for A in random_matrices(rng, m, n, rank):
            for order in (2, 3, 5):
                X, found, residual, steps, converged = pinv_newton_schulz(A, order=order)
                close = 1e5 * np.finfo(A.dtype).eps
                assert converged and found == rank and X.dtype == A.dtype and residual < close
                assert np.linalg.norm((X - pinv(A)) / peak_of(X)) < close


def test_newton_schulz_is_honest():
    import pytest

    s = np.logspace(0, -11, 12)
    Q, P = np.linalg.qr(np.random.default_rng(4).standard_normal((2, 12, 12)))[0]
    A = (Q * s) @ P
    strict, loose = pinv_newton_schulz(A), pinv_newton_schulz(A, tol=1e-4)
    assert not strict.converged and strict.residual > 1e-9 and loose.converged and loose.rank == 12
    assert pinv_newton_schulz(np.diag([1.0, 1e-12])).rank == 1          # a gap of 50 / tol or more
    assert pinv_newton_schulz(np.diag([1.0, 1e-6])).rank == 2
    assert pinv_newton_schulz(np.zeros((3, 2)))[1:] == (0, 0.0, 0, True)
    X, theorem = pinv_newton_schulz(np.diag([1.0, 0.1]), steps=2).X, (1 - 0.99**3**2) / 0.1
    assert np.allclose(X, np.diag([1, theorem]), rtol=0, atol=1e-14)
    assert pinv_newton_schulz(A, steps=0).steps == 0
    for option in ({"order": 1}, {"steps": -1}, {"tol": 2}):
        with pytest.raises(ValueError, match=next(iter(option))):
            pinv_newton_schulz(A, **option)

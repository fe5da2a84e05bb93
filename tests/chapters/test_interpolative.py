"""Tests of lowrank.interpolative, generated from book/low_rank/interpolative.ipynb; edit the chapter."""

import math

import numpy as np
from scipy import linalg

from lowrank.arguments import gaussian_matrix
from lowrank.interpolative import (
    ChosenColumns,
    _coefficients,
    _drop,
    _grow,
    _take,
    interp_decomp,
    swap,
)
from lowrank.linear_map import linear_map


# %% book/low_rank/interpolative.ipynb: assert_is_factorisation
def assert_is_factorisation(chosen, A):
    k, eps, unit = len(chosen.J), np.finfo(A.dtype).eps, 2.0 ** -chosen.A.exponent
    Q, B, J = chosen.Qh[:k].conj().T, chosen.B[:k], chosen.J
    close = 100 * eps * k**0.5
    assert np.abs(Q.conj().T @ Q - np.eye(k)).max() < close
    assert np.linalg.norm(B - Q.conj().T @ (A * unit)) < close * np.linalg.norm(A * unit)
    assert not np.tril(B[:, J], -1).any()
    left = np.linalg.norm(A * unit - Q @ B, axis=0)
    left[J] = 0
    allowed = 1e-3 * left + close * np.linalg.norm(A * unit)
    assert (np.abs(np.sqrt(chosen.left) - left) <= allowed).all()
    assert abs(np.sqrt(chosen.left.sum()) - np.linalg.norm(left)) <= (
        1e-3 * np.linalg.norm(left) + close * np.linalg.norm(A * unit))


def spectrum_matrix(rng, m, n, s, dtype=np.float64):
    """Random singular vectors, given singular values."""
    U, V = (np.linalg.qr(gaussian_matrix(rng, (size, len(s)), np.dtype(dtype)))[0]
            for size in (m, n))
    return (U * s @ V.conj().T).astype(dtype)


def test_pivoted_qr_agrees_with_lapack():
    rng = np.random.default_rng(1)
    for dtype in (np.float64, np.complex128, np.float32):
        for m, n, decay in ((30, 20, 0.1), (20, 30, 0.7), (25, 25, 0.01)):
            A = spectrum_matrix(rng, m, n, 10.0 ** (-decay * np.arange(min(m, n))), dtype)
            chosen = ChosenColumns(linear_map(A), 2)
            _grow(chosen, 6)
            assert chosen.J == list(linalg.qr(A, pivoting=True, mode="r")[1][:6])
            assert_is_factorisation(chosen, A)
            _take(chosen, [3, 0, 7])
            assert_is_factorisation(chosen, A)


def test_heights_survive_cancellation():
    A = spectrum_matrix(np.random.default_rng(2), 60, 40, 10.0 ** -np.arange(40 / 2.5, step=0.4))
    chosen = ChosenColumns(linear_map(A))
    for r in (5, 15, 25, 30):                               # down to 1e-12
        _grow(chosen, r)
        Q = np.linalg.qr(A[:, chosen.J])[0]
        error = np.linalg.norm(A - Q @ (Q.T @ A))
        assert abs(chosen.A.unscale(np.sqrt(chosen.left.sum())) / error - 1) < 1e-2


# %% book/low_rank/interpolative.ipynb: test_drop_and_swap_keep_the_factorisation
def test_drop_and_swap_keep_the_factorisation():
    rng = np.random.default_rng(4)
    for dtype in (np.float64, np.complex128, np.float32):
        A = spectrum_matrix(rng, 25, 18, 0.7 ** np.arange(18), dtype)
        chosen = ChosenColumns(linear_map(A))
        _grow(chosen, 8)
        for i in (0, 3, 5):
            J = [j for k, j in enumerate(chosen.J) if k != i]
            _drop(chosen, i)
            assert chosen.J == J
            assert_is_factorisation(chosen, A)
        _take(chosen, range(8))                             # a bad start: many swaps
        Z, rho2 = swap(chosen, 1.01)
        assert_is_factorisation(chosen, A)
        assert rho2.max() <= 1.01**2 and np.abs(Z).max() <= 1.01 * (1 + 1e-5)


def test_predicted_growth_is_the_growth():
    A = np.random.default_rng(5).standard_normal((12, 9))
    chosen = ChosenColumns(linear_map(A))
    _take(chosen, [8, 2, 5, 1])
    volume = lambda J: np.prod(np.linalg.svd(A[:, J], compute_uv=False))
    rho = np.sqrt(_coefficients(chosen)[1])
    for i in range(4):
        for j in (0, 3, 4, 6, 7):
            J = list(chosen.J)
            J[i] = j
            assert abs(volume(J) / volume(chosen.J) / rho[i, j] - 1) < 1e-12


# %% book/low_rank/interpolative.ipynb: hard_matrices
def hard_matrices():
    rng = np.random.default_rng(9)
    i = np.arange(12)
    upper = np.eye(30) - np.cos(1.2) * np.triu(np.ones((30, 30)), 1)
    tie_breaker = np.diag(1e-13 * np.arange(30, 0, -1))
    fast = spectrum_matrix(rng, 30, 25, 10.0 ** -np.arange(0, 12.5, 0.5))
    yield "Kahan", np.sin(1.2) ** np.arange(30)[:, None] * upper + tie_breaker
    yield "fast", fast
    yield "complex", fast[:, :12] + 1j * fast[:, 12:24]
    yield "single", spectrum_matrix(rng, 40, 30, 0.8 ** np.arange(30), np.float32)
    yield "wide", rng.standard_normal((7, 40))
    yield "Hilbert", 1 / (1.0 + np.add.outer(i, i))
    yield "rank 3", rng.integers(-3, 4, (12, 3)) @ rng.integers(-3, 4, (3, 15))
    yield "repeated", rng.standard_normal((10, 3))[:, [0, 1, 1, 2, 0, 0]]
    yield "two scales", np.diag([1, 1e-6])
    yield "zero", np.zeros((4, 6))


def test_interp_decomp_keeps_its_promises():
    for name, A in hard_matrices():
        eps, n = np.finfo(np.result_type(A, np.float32)).eps, A.shape[1]
        s = np.append(np.linalg.svd(A, compute_uv=False), 0)
        close = 20 * max(A.shape) * eps * s[0]
        for rank in {1, min(A.shape) // 2, min(A.shape) - 1, min(A.shape)}:
            for f in (2, 1.1, 1.0001):
                for method in ("qr", "sketch"):
                    result = interp_decomp(A, rank, f=f, method=method, rng=1)
                    J, Z = result
                    assert len({*J.tolist()}) == rank and np.array_equal(result.C, A[:, J])
                    assert np.array_equal(Z[:, J], np.eye(rank))
                    assert float(np.abs(Z).max()) <= f
                    E = A - A[:, J] @ Z
                    assert np.linalg.norm(E) <= result.error.bound + close
                    if result.suboptimality is not None:
                        eta = math.sqrt(1 + f**2 * rank * (n - rank))
                        assert result.suboptimality <= eta * (1 + 1e-5)
                        bound = result.suboptimality * s[rank] * 1.001
                        assert np.linalg.norm(E, 2) <= bound + close
                    else:
                        assert method == "sketch" or s[rank] <= close


def test_tolerance_is_kept():
    for name, A in hard_matrices():
        for tol in (0.3, 1e-3, 1e-6):
            for method in ("qr", "sketch"):
                result = interp_decomp(A, tol=tol, method=method, rng=2)
                error, size = np.linalg.norm(A - result.reconstruct()), np.linalg.norm(A)
                assert error <= tol * size + 200 * np.finfo(result.dtype).eps * size
                assert abs(error - result.error.estimate) <= (
                    0.02 * error + 200 * np.finfo(result.dtype).eps * size)
    assert interp_decomp(np.diag([1, 1, 1, 1e-9]), tol=1e-5).rank == 3
    assert interp_decomp(np.zeros((3, 4)), tol=0).rank == 1


def test_small_entries_are_not_enough():
    assert interp_decomp(np.diag([1, 1e-6]), 1).columns.tolist() == [0]
    chosen = ChosenColumns(linear_map(np.diag([1, 1e-6])))
    _take(chosen, [1])                                      # max|Z| = 1, error 1
    Z, _ = swap(chosen, 2.0)
    assert chosen.J == [0]


# %% book/low_rank/interpolative.ipynb: test_passes_are_counted
def test_passes_are_counted():
    from scipy.sparse.linalg import LinearOperator

    A, passes = spectrum_matrix(np.random.default_rng(10), 60, 50, 0.7 ** np.arange(50)), []
    counted = LinearOperator(
        A.shape, dtype=float, matvec=lambda v: A @ v,
        matmat=lambda X: passes.append(("A X", X.shape[1])) or A @ X,
        rmatmat=lambda Y: passes.append(("A^H Y", Y.shape[1])) or A.T @ Y)
    from_products = interp_decomp(counted, 8, method="auto", rng=3)
    assert passes == [("A X", 18), ("A^H Y", 18), ("A X", 8), ("A^H Y", 18)]     # 2 q + 2, q = 1
    from_array = interp_decomp(A, 8, method="sketch", rng=3)
    assert from_products.columns.tolist() == from_array.columns.tolist()
    assert np.allclose(from_products.Z, from_array.Z, rtol=0, atol=1e-10)
    passes.clear()
    interp_decomp(counted, 8, method="qr")
    assert passes[0] == ("A X", 50) and len(passes) == 1 + 2 * 8 + 1              # norms, q^H A, C


def test_units_kinds_and_seeds():
    from scipy import sparse

    A = spectrum_matrix(np.random.default_rng(11), 40, 30, 0.7 ** np.arange(30))
    for method in ("qr", "sketch"):
        reference = interp_decomp(A, 6, method=method, rng=4)
        before = A.copy()
        for unit in (2.0**-500, 2.0**500):
            scaled = interp_decomp(A * unit, 6, method=method, rng=4)
            assert np.array_equal(scaled.columns, reference.columns)
            assert np.allclose(scaled.Z, reference.Z, rtol=0, atol=1e-12)
            assert math.isclose(scaled.error.bound, reference.error.bound * unit, rel_tol=1e-9)
        for kind in (np.asfortranarray, sparse.csr_array, sparse.csc_array):
            same = interp_decomp(kind(A), 6, method=method, rng=4)
            assert np.array_equal(same.columns, reference.columns)
            assert np.allclose(same.Z, reference.Z, rtol=0, atol=1e-12)
        assert np.array_equal(A, before)
        x = np.arange(30.0)
        assert np.allclose(reference @ x, A[:, reference.columns] @ (reference.Z @ x))


def test_interp_decomp_refuses():
    import pytest

    A = np.eye(3, 4)
    cases = [
        (lambda: interp_decomp(A), ValueError, "rank is None and tol is None; give exactly one"),
        (lambda: interp_decomp(A, 4), ValueError, "rank is 4; allowed is an integer from 1 to 3"),
        (lambda: interp_decomp(A, 2, f=1), ValueError, "f is 1; allowed is a number above 1"),
        (lambda: interp_decomp(A, 2, f=math.nan), ValueError, "f is nan; allowed"),
        (lambda: interp_decomp(A, 2, f="2f"), TypeError, "f is '2f'; allowed"),
        (lambda: interp_decomp(A, 2, method="svd"), ValueError, "method is 'svd'; allowed are"),
        (lambda: interp_decomp(A * np.nan, 2), ValueError, "A contains 12 NaN"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


def test_the_sketch_estimates_without_bias():
    A = spectrum_matrix(np.random.default_rng(18), 40, 30, 0.8 ** np.arange(30))
    squares = []
    for seed in range(100):
        result = interp_decomp(A, 5, method="sketch", rng=seed)
        squares.append((result.error.estimate / np.linalg.norm(A - result.reconstruct()))**2)
        assert result.error.bound < 10 * result.error.estimate
    assert abs(np.mean(squares) - 1) < 5 * np.std(squares) / 10 < 0.3


# %% book/low_rank/interpolative.ipynb: test_rows_and_both_sides
def test_rows_and_both_sides():
    A = spectrum_matrix(np.random.default_rng(14), 40, 30, 0.6 ** np.arange(30), np.complex128)
    rows, Xh = interp_decomp(A.conj().T, 8)
    left = A - Xh.conj().T @ A[rows]
    assert np.linalg.norm(left, 2) <= math.sqrt(1 + 4 * 8 * 32) * 0.6**8
    columns, Z = interp_decomp(A, 8)
    rows, Xh = interp_decomp(A[:, columns].conj().T, 8)
    both = Xh.conj().T @ A[np.ix_(rows, columns)] @ Z
    assert np.abs(Xh).max() <= 2
    assert np.linalg.norm(both - A[:, columns] @ Z) < 1e-12 * np.linalg.norm(A)
    adjoint_map = interp_decomp(linear_map(A).adjoint, 8)
    assert np.allclose(adjoint_map.C, A[adjoint_map.columns].conj().T)

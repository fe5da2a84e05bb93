"""Tests of lowrank.skeleton, generated from book/low_rank/skeleton.ipynb; edit the chapter."""

import math

import numpy as np
from scipy import linalg

from lowrank.arguments import gaussian_matrix
from lowrank.linear_map import linear_map
from lowrank.skeleton import _CORES, _RULES, _draw, _exchange, _scores, aca, cur, maxvol


# %% book/low_rank/skeleton.ipynb: test_scores_and_draws
def test_scores_and_draws():
    rng = np.random.default_rng(6)
    A = rng.standard_normal((30, 12)) * 0.5**np.arange(12)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    M = linear_map(A)
    leverage = _scores(M, "leverage", 4, s[:4], Vh[:4].T)
    assert np.isclose(leverage.sum(), 4) and leverage.max() <= 1
    assert np.allclose(M.unscale(np.sqrt(_scores(M, "norm", 4, None, None))),
                       np.linalg.norm(A, axis=0))
    ridge = np.sum(s[4:]**2) / 4
    exact = np.diag(A.T @ np.linalg.solve(A @ A.T + ridge * np.eye(30), A))
    found = _scores(M, "ridge", 4, s[:4], Vh[:4].T)
    assert (found >= exact * (1 - 1e-9)).all() and found.sum() <= 8 + 1e-9
    low = np.outer(U[:, 0], Vh[0]) + 1e-3 * np.outer(U[:, 1], Vh[1])    # rank 2: noise from there
    s_low, V_low = np.linalg.svd(low, full_matrices=False)[1:]
    of_low = _scores(linear_map(low), "leverage", 5, s_low[:5], V_low[:5].T)
    assert np.allclose(of_low, np.sum(Vh[:2]**2, axis=0))
    weights = np.array([1.0, 2, 3, 0])
    first = [_draw(weights, 2, rng)[0] for _ in range(6000)]
    assert np.abs(np.bincount(first, minlength=4) / 6000 - weights / 6).max() < 0.03
    assert _draw(weights, 4, rng)[3] == 3                   # weight 0 comes last


# %% book/low_rank/skeleton.ipynb: test_maxvol_keeps_its_promises
def test_maxvol_keeps_its_promises():
    rng = np.random.default_rng(7)
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        eps = np.finfo(dtype).eps
        for m, r in ((40, 7), (9, 9), (30, 1), (1, 1), (200, 25)):
            C = gaussian_matrix(rng, (m, r), np.dtype(dtype))
            for unit in (1, 1e-30, 1e30):
                for tol in (1.05, 2, 1 + 1e-12):
                    rows, B = maxvol((C * unit).astype(dtype), tol=tol)
                    assert B.dtype == dtype and len({*rows.tolist()}) == r
                    assert np.array_equal(B[rows], np.eye(r)) and float(np.abs(B).max()) <= tol
                    assert np.linalg.norm(C - B @ C[rows]) < 100 * m * eps * np.linalg.norm(C)
    graded = rng.standard_normal((30, 6)) * 1e40 ** -np.arange(6.0)
    assert np.array_equal(maxvol(graded).rows, maxvol(graded * 1e40 ** np.arange(6.0)).rows)


def test_maxvol_finds_what_cannot_be_improved():
    C = np.random.default_rng(8).standard_normal((12, 3))
    rows, B = maxvol(C, tol=1 + 1e-9)
    volume = abs(np.linalg.det(C[rows]))
    for k in range(3):
        for i in range(12):
            other = rows.copy()
            other[k] = i
            assert abs(np.linalg.det(C[other])) <= volume * (1 + 1e-9)
            assert np.isclose(abs(np.linalg.det(C[other])) / volume, abs(B[i, k]), atol=1e-12)


def test_maxvol_withstands_drift():
    """Any rows for a start: many exchanges."""
    Q = np.linalg.qr(np.random.default_rng(20).standard_normal((1000, 40)))[0]
    rows, seen = list(range(40)), set()
    Z = np.ascontiguousarray(linalg.solve(Q[rows].T, Q.T))
    while _exchange(Z, rows, 1.05, seen):
        Z = np.ascontiguousarray(linalg.solve(Q[rows].T, Q.T))
    assert len(seen) > 20 and np.abs(Z).max() <= 1.05
    assert np.abs(Z - linalg.solve(Q[rows].T, Q.T)).max() < 1e-12


def test_maxvol_refuses():
    import pytest

    dependent = np.ones((5, 2))
    for call, kind, message in (
            (lambda: maxvol(np.ones((2, 3))), ValueError, r"C has shape \(2, 3\); allowed"),
            (lambda: maxvol(dependent), ValueError, "column 1 of C depends on those before it"),
            (lambda: maxvol(np.zeros((3, 1))), ValueError, "column 0 of C depends"),
            (lambda: maxvol(np.eye(3), tol=1), ValueError, "tol is 1; allowed is a number"),
            (lambda: maxvol(np.eye(3) * np.nan), ValueError, "C contains 9 NaN")):
        with pytest.raises(kind, match=message):
            call()


# %% book/low_rank/skeleton.ipynb: spectrum_matrix
def spectrum_matrix(rng, m, n, s, dtype=np.float64):
    """Random singular vectors, given singular values."""
    U, V = (np.linalg.qr(gaussian_matrix(rng, (size, len(s)), np.dtype(dtype)))[0]
            for size in (m, n))
    return (U * s @ V.conj().T).astype(dtype)


def hard_matrices():
    rng = np.random.default_rng(11)
    fast = spectrum_matrix(rng, 30, 25, 10.0 ** -np.arange(0, 12.5, 0.5))
    yield "fast", fast
    yield "complex", fast[:, :12] + 1j * fast[:, 12:24]
    yield "single", spectrum_matrix(rng, 40, 30, 0.8 ** np.arange(30), np.float32)
    yield "wide", rng.standard_normal((7, 40))
    yield "rank 3", rng.integers(-3, 4, (12, 3)) @ rng.integers(-3, 4, (3, 15))
    yield "repeated", rng.standard_normal((10, 3))[:, [0, 1, 1, 2, 0, 0]]
    yield "two scales", np.diag([1, 1e-6])
    yield "zero", np.zeros((4, 6))


def pieces(A, result):
    """Errors of the columns alone and of the best core, from an SVD of C and R."""
    Q, P = (np.linalg.svd(X, full_matrices=False) for X in (result.C, result.R.conj().T))
    Q, P = (U[:, s > 30 * np.finfo(A.dtype).eps * s[0]] for U, s, _ in (Q, P))
    QhA = Q.conj().T @ A
    return np.linalg.norm(A - Q @ QhA), np.linalg.norm(A - Q @ (QhA @ P) @ P.conj().T)


def test_cur_keeps_its_promises():
    for name, A in hard_matrices():
        A = A.astype(np.float64) if A.dtype.kind == "i" else A
        close = 100 * max(A.shape) * np.finfo(A.dtype).eps * np.linalg.norm(A)
        for rank in {1, min(A.shape) // 2, min(A.shape)}:
            for select in _RULES:
                for core in ("optimal", "cross"):
                    result = cur(A, rank, core=core, select=select, rng=1)
                    columns, U, rows = result
                    assert len({*columns.tolist()}) == len({*rows.tolist()}) == rank
                    assert np.array_equal(result.C, A[:, columns])
                    assert np.array_equal(result.R, A[rows])
                    assert U.shape == (rank, rank) and U.dtype == result.CU.dtype == A.dtype
                    of_columns, best = pieces(A, result)
                    error = np.linalg.norm(A - result.reconstruct())
                    assert core == "cross" or error <= 1.01 * best + close
                    assert core == "cross" or error <= result.error.bound + close
                    if select in ("id", "maxvol") and name not in ("rank 3", "repeated"):
                        g = math.sqrt(1 + 4 * rank * (len(A) - rank))
                        assert error <= 1.01 * g * of_columns + close


def test_cross_reads_the_rows_and_columns_only():
    A = np.random.default_rng(12).standard_normal((30, 20))
    I, J, touched = [3, 7, 9, 12], [0, 5, 19], []
    from scipy.sparse.linalg import LinearOperator

    def only(size, allowed, block):
        def read(E):
            touched.append(E.shape[1])
            assert set(np.flatnonzero(E.any(axis=1))) <= set(allowed)
            return block @ E
        return read

    operator = LinearOperator(A.shape, dtype=float, matvec=lambda v: A @ v,
                              matmat=only(20, J, A), rmatmat=only(30, I, A.T))
    result = cur(operator, rows=I, columns=J, core="cross")
    assert touched == [3, 4]
    assert np.allclose(result.U, np.linalg.pinv(A[np.ix_(I, J)]))
    assert np.allclose(result.CU, A[:, J] @ result.U) and result.rank == 3


# %% book/low_rank/skeleton.ipynb: test_cur_counts_its_passes
def test_cur_counts_its_passes():
    from scipy.sparse.linalg import LinearOperator

    A, passes = spectrum_matrix(np.random.default_rng(13), 60, 50, 0.7 ** np.arange(50)), []
    counted = LinearOperator(
        A.shape, dtype=float, matvec=lambda v: A @ v,
        matmat=lambda X: passes.append(("A X", X.shape[1])) or A @ X,
        rmatmat=lambda Y: passes.append(("A^H Y", Y.shape[1])) or A.T @ Y)
    result = cur(counted, 8, rng=3)
    sketch = [("A X", 11), ("A^H Y", 11)]
    assert passes == sketch + [("A X", 8), ("A^H Y", 8), ("A^H Y", 18)]      # C, R, core
    from_array = cur(A, 8, rng=3)
    assert np.array_equal(result.columns, from_array.columns)
    assert np.allclose(result.CU, from_array.CU, rtol=0, atol=1e-10)
    counts = {"deim": 9, "maxvol": 9, "leverage": 9, "ridge": 11, "norm": 5}
    for select, expected in counts.items():
        passes.clear()
        cur(counted, 8, select=select, rng=3)
        if select in ("ridge", "norm"):                     # norms of an operator: unit vectors
            assert passes.count(("A X", 50)) == 2
        assert len(passes) == expected
    passes.clear()
    cur(counted, 8, rng=3, core="cross")
    assert len(passes) == 4
    passes.clear()
    cur(counted, rows=result.rows, columns=result.columns)
    assert len(passes) == 3


def test_given_rows_and_columns():
    A = spectrum_matrix(np.random.default_rng(14), 40, 30, 0.7 ** np.arange(30), np.complex128)
    for select in _RULES:
        result = cur(A, 6, columns=[3, 1, 9], select=select, rng=4)     # more rows
        assert result.columns.tolist() == [3, 1, 9] and len({*result.rows.tolist()}) == 6
        assert result.U.shape == (3, 6) and result.rank == 3
        assert np.isclose(np.linalg.norm(A - result.reconstruct()), pieces(A, result)[1])
        result = cur(A, 4, rows=range(10, 20), select=select, rng=4)
        assert result.U.shape == (4, 10)
        transposed = cur(A.conj().T, 4, columns=range(10, 20), select=select, rng=4)
        if select in ("id", "deim", "maxvol"):
            assert np.array_equal(result.columns, transposed.rows)
            assert np.allclose(result.U, transposed.U.conj().T)
    wide = cur(A, rows=[1, 2], columns=[4, 5, 6], core="cross")
    assert np.allclose(wide.U, np.linalg.pinv(A[np.ix_([1, 2], [4, 5, 6])]))
    assert np.allclose(wide.CU, wide.C @ wide.U)


def test_cur_in_any_unit_and_dress():
    from scipy import sparse

    A = spectrum_matrix(np.random.default_rng(15), 40, 30, 0.7 ** np.arange(30))
    for select, core in zip(("id", "maxvol", "ridge", "norm"), 2 * _CORES):
        reference = cur(A, 6, select=select, core=core, rng=5)
        for unit in (2.0**-500, 2.0**500):
            scaled = cur(A * unit, 6, select=select, core=core, rng=5)
            assert np.array_equal(scaled.columns, reference.columns)
            assert np.array_equal(scaled.rows, reference.rows)
            assert np.allclose(scaled.U * unit, reference.U, rtol=1e-9)
            assert np.allclose(scaled.CU, reference.CU, rtol=0, atol=1e-12)
            if core == "optimal":
                expected = reference.error.bound * unit
                assert math.isclose(scaled.error.bound, expected, rel_tol=1e-9)
        for kind in (np.asfortranarray, sparse.csr_array, sparse.csc_array):
            same = cur(kind(A), 6, select=select, core=core, rng=5)
            assert np.array_equal(same.columns, reference.columns)
            assert np.allclose(same.CU, reference.CU, rtol=0, atol=1e-11)
    x = np.arange(30.0)
    assert np.allclose(reference @ x, reference.CU @ (reference.R @ x))


def test_cur_refuses():
    import pytest

    A = np.eye(3, 4)
    cases = [
        (lambda: cur(A), TypeError, "rank is None; allowed is an integer from 1 to 3"),
        (lambda: cur(A, 4), ValueError, "rank is 4; allowed is an integer from 1 to 3"),
        (lambda: cur(A, 2, rows=[0, 0]), ValueError, "rows is .* from 0 to 2"),
        (lambda: cur(A, 2, columns=[4]), ValueError, "columns is .* from 0 to 3"),
        (lambda: cur(A, 2, rows=[-1]), ValueError, "rows is"),
        (lambda: cur(A, 2, columns=[True, False]), TypeError, "columns has dtype bool"),
        (lambda: cur(A, 2, core="best"), ValueError, "core is 'best'; allowed are 'optimal'"),
        (lambda: cur(A, 2, select="svd"), ValueError, "select is 'svd'; allowed are 'id'"),
        (lambda: cur(A, 2, f=1), ValueError, "f is 1; allowed is a number above 1"),
        (lambda: cur(A * np.inf, 2), ValueError, "A contains"),
        (lambda: cur(A, 2, rng="x"), TypeError, "rng is 'x'"),
        (lambda: cur(np.full((2, 2), 1e-310), 1, rng=0), ValueError, "A is so small"),
    ]
    with np.errstate(invalid="ignore"):
        for call, kind, message in cases:
            with pytest.raises(kind, match=message):
                call()


# %% book/low_rank/skeleton.ipynb: counted_functions
def counted_functions(A):
    """A as a pair of functions, and the list of what they were asked for."""
    asked = []
    return (lambda I: asked.append(("rows", list(I))) or A[I],
            lambda J: asked.append(("columns", list(J))) or A[:, J]), asked


def smooth_matrix(m, n, dtype=np.float64):
    x, y = np.linspace(0, 1, m), np.linspace(2, 3.5, n)
    A = 1 / np.subtract.outer(x, y)
    return (A * np.exp(1j * A) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def test_aca_reads_what_it_says():
    A = smooth_matrix(70, 50)
    functions, asked = counted_functions(A)
    result = aca(functions, 6, shape=(70, 50), rng=1)
    assert [(kind, len(indices)) for kind, indices in asked] == (
        [("rows", 10)] + 6 * [("rows", 1), ("columns", 1)] + [("rows", 10)])
    assert [J for kind, (J, *_) in asked if kind == "columns"] == result.columns.tolist()
    from_array = aca(A, 6, rng=1)
    assert np.array_equal(from_array.rows, result.rows)
    assert np.array_equal(from_array.CU, result.CU)
    same = cur(A, rows=result.rows, columns=result.columns, core="cross")
    assert np.allclose(same.CU, result.CU, rtol=0, atol=1e-7)


def test_aca_reaches_the_tolerance():
    for dtype, tol in ((np.float64, 1e-3), (np.float64, 1e-9), (np.complex128, 1e-8),
                       (np.float32, 1e-4), (np.complex64, 1e-4)):
        A = smooth_matrix(80, 60, dtype)
        for B in (A, A.T, linalg.block_diag(A, A[:20], A[:, :20])):
            result = aca(B, tol=tol, rng=2)
            error = np.linalg.norm(B - result.reconstruct())
            assert result.CU.dtype == dtype and error <= 5 * tol * np.linalg.norm(B)
            assert np.array_equal(result.C, B[:, result.columns])
            assert result.error.estimate <= tol * np.linalg.norm(B) * (1 + 1e-3)
            assert result.error.bound == math.inf


def test_aca_estimate_is_unbiased():
    A = np.random.default_rng(17).standard_normal((12, 10))     # half of the rows are pivots
    squares = []
    for seed in range(400):
        result = aca(A, 6, n_probe=2, rng=seed)
        true = np.linalg.norm(A - result.reconstruct())
        squares.append((result.error.estimate / true)**2)
    assert abs(np.mean(squares) - 1) < 5 * np.std(squares) / 20 < 0.2


def test_aca_at_the_edges():
    import pytest
    from scipy import sparse

    exact = np.add.outer(np.arange(12.0), np.zeros(9)) + 1
    exact[:, 4] = np.arange(12)**2
    result = aca(exact, 7, rng=3)
    assert result.rank == 2 and np.allclose(result.reconstruct(), exact)
    assert aca(np.zeros((4, 5)), 2, rng=3).rank == 1
    assert not aca(np.zeros((4, 5)), tol=0.1, rng=3).reconstruct().any()
    for A in (np.eye(6), np.diag([1, 1e-3, 1e-6])):
        full = aca(A, len(A), rng=3)
        assert np.allclose(full.reconstruct(), A, rtol=0, atol=1e-14) and full.error.estimate == 0
    A = smooth_matrix(30, 20)
    for unit in (2.0**-500, 2.0**500):
        scaled = aca(A * unit, 5, rng=4)
        assert np.array_equal(scaled.rows, aca(A, 5, rng=4).rows)
        assert np.allclose(scaled.reconstruct() / unit, aca(A, 5, rng=4).reconstruct())
    assert np.array_equal(aca(sparse.csr_array(A), 5, rng=4).rows, aca(A, 5, rng=4).rows)
    rows, columns = counted_functions(A)[0]
    cases = [
        (lambda: aca(A), ValueError, "give exactly one"),
        (lambda: aca((rows, columns), 2), ValueError, r"shape is None; allowed with functions"),
        (lambda: aca((rows, columns), 2, shape=(30, 0)), ValueError, "shape is 0; allowed"),
        (lambda: aca((rows, rows), 2, shape=(30, 20), rng=0), ValueError,
         r"the columns of A that were read have shape \(1, 20\); allowed is \(30, 1\)"),
        (lambda: aca(A, 2, shape=(20, 30)), ValueError, "shape is .*; allowed is that of A"),
        (lambda: aca(A, 21), ValueError, "rank is 21"),
        (lambda: aca(A, 2, n_probe=0), ValueError, "n_probe is 0; allowed"),
        (lambda: aca(A * np.nan, 2), ValueError, "contains NaN or Inf"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()

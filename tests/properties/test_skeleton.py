"""Skeleton decomposition: what is promised holds on every hard matrix, in every kind of input."""

import copy
import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from scipy.sparse.linalg import LinearOperator

from lowrank.skeleton import aca, cur, maxvol
from tests.properties.matrices import (
    FLOATS,
    HARD,
    KINDS,
    any_matrix,
    assert_unchanged,
    double,
    eps,
    long_matrix,
    random_matrix,
)

SELECT = ["id", "deim", "maxvol", "leverage", "ridge", "norm"]
CORES = ["optimal", "cross"]


def unit_of(A):
    """The largest power of two up to max |A|, so that squares neither overflow nor underflow."""
    peak = np.abs(A).max().item()
    return 2.0 ** math.floor(math.log2(peak)) if peak else 1.0


def basis(X, precision):
    """Orthonormal columns for the numerical range of X."""
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    return U[:, s > 10 * max(X.shape) * precision * s[0]]


def check(A, result, core):
    """Everything that is promised of a result, whatever made it."""
    columns, U, rows = result
    work = A.dtype if A.dtype.kind in "fc" else np.dtype(np.float64)
    for indices, size in ((columns, A.shape[1]), (rows, A.shape[0])):
        assert indices.dtype.kind == "i" and len({*indices.tolist()}) == len(indices)
        assert 0 <= indices.min() and indices.max() < size
    assert U.shape == (len(columns), len(rows)) and result.shape == A.shape
    assert U.dtype == result.CU.dtype == result.C.dtype == result.R.dtype == work
    assert np.array_equal(result.C, A[:, columns].astype(work))
    assert np.array_equal(result.R, A[rows].astype(work))
    assert result.rank == min(U.shape) and np.isfinite(U).all() and np.isfinite(result.CU).all()

    unit = unit_of(A)
    A, R = double(A) / unit, double(result.R) / unit
    noise = 200 * max(A.shape) * np.finfo(work).eps * np.linalg.norm(A)
    error = np.linalg.norm(A - result.CU @ R)
    if core == "optimal":
        Q, P = (basis(X, np.finfo(work).eps) for X in (A[:, columns], A[rows].conj().T))
        best = np.linalg.norm(A - Q @ (Q.conj().T @ A @ P) @ P.conj().T)
        assert error <= 1.1 * best + noise                  # a tenth: values close to the cut-off
        assert error <= result.error.bound / unit + noise
    else:
        assert result.error is None
    return error, noise


@pytest.mark.parametrize("select", SELECT)
@pytest.mark.parametrize("name", HARD)
def test_cur_on_hard_matrices(name, select):
    A = HARD[name]
    for rank in sorted({1, min(A.shape) // 2 or 1, min(A.shape)}):
        for core in CORES:
            check(A, assert_unchanged(A, lambda B: cur(B, rank, select=select, core=core, rng=0)), core)
    assert np.linalg.norm(A - cur(A, min(A.shape), rng=0).reconstruct()) <= 1e4 * eps(A) * np.linalg.norm(A)


@settings(max_examples=60)
@given(any_matrix(), st.sampled_from(SELECT), st.sampled_from(CORES), st.floats(0, 1), st.integers(0, 99))
def test_any_shape_dtype_and_scale(A, select, core, share, seed):
    rank = 1 + round(share * (min(A.shape) - 1))
    check(A, assert_unchanged(A, lambda B: cur(B, rank, select=select, core=core, rng=seed)), core)


@settings(max_examples=40)
@given(any_matrix(dtypes=[np.float64, np.complex128]), st.data())
def test_given_rows_and_columns(A, data):
    I = data.draw(st.lists(st.integers(0, A.shape[0] - 1), min_size=1, unique=True))
    J = data.draw(st.lists(st.integers(0, A.shape[1] - 1), min_size=1, unique=True))
    for core in CORES:
        result = cur(A, rows=I, columns=J, core=core, rng=0)
        assert result.rows.tolist() == I and result.columns.tolist() == J
        check(A, result, core)
    rank = min(A.shape)
    for select in ("id", "maxvol", "leverage"):
        check(A, cur(A, rank, rows=I, select=select, rng=0), "optimal")
        check(A, cur(A, rank, columns=J, select=select, rng=0), "optimal")


@pytest.mark.parametrize("select", ["id", "maxvol"])
def test_error_of_both_cores_against_the_theory(select):
    for decay in (0.9, 0.5, 0.1):
        for dtype in (np.float64, np.complex128):
            A = random_matrix(2, (50, 40), 40, dtype, 1.0)
            Q, _, Ph = np.linalg.svd(A, full_matrices=False)
            s = np.maximum(decay ** np.arange(40), 1e-9)
            A = Q * s @ Ph
            for rank in (1, 5, 12):
                best, cross = (cur(A, rank, select=select, core=core, f=1.5, rng=3) for core in CORES)
                C = np.linalg.qr(A[:, best.columns])[0]
                of_columns = np.linalg.norm(A - C @ (C.conj().T @ A))
                one, other = (np.linalg.norm(A - x.reconstruct()) for x in (best, cross))
                assert of_columns <= one * (1 + 1e-9) <= other * (1 + 1e-6)
                assert other <= 1.001 * math.sqrt(1 + 1.5**2 * rank * (50 - rank)) * of_columns
                assert np.abs(cross.CU).max() <= 1.5 * (1 + 1e-3)


def test_c_u_r_is_never_needed():
    """Singular values down to 1e-12: the result is as good as its columns, the product of its parts is not."""
    A = random_matrix(4, (150, 130), 130, np.float64, 1.0)
    U, _, Vh = np.linalg.svd(A, full_matrices=False)
    s = 10.0 ** (-np.arange(130) / 10)
    A = U * s @ Vh
    for core, limit in (("optimal", 6), ("cross", 25)):
        for select in ("id", "deim", "maxvol"):
            result = cur(A, 110, core=core, select=select, rng=0)
            best = np.linalg.norm(s[110:])
            assert np.linalg.norm(A - result.reconstruct()) <= limit * best
            assert np.linalg.norm(A - result.C @ result.U @ result.R) >= 100 * best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("select", SELECT)
def test_the_answer_does_not_depend_on_storage(kind, select):
    rng = np.random.default_rng(5)
    for A in (rng.standard_normal((30, 20)) * 0.6 ** np.arange(20), 1e-140 * rng.standard_normal((8, 25)),
              rng.standard_normal((15, 15)) * 1j ** np.arange(15)):
        for core in CORES:
            expected, found = (cur(B, 5, select=select, core=core, rng=2) for B in (A, KINDS[kind](A)))
            assert np.array_equal(expected.columns, found.columns) and np.array_equal(expected.rows, found.rows)
            assert np.allclose(expected.CU, found.CU, rtol=0, atol=1e-9 * np.abs(expected.CU).max())
            assert type(found.CU) is np.ndarray and type(found.R) is np.ndarray


def test_past_the_numerical_rank():
    A = HARD["exactly rank 3"]
    for core in CORES:
        result = cur(A, 8, core=core, rng=0)
        assert len({*result.columns.tolist()}) == len({*result.rows.tolist()}) == 8
        assert np.linalg.norm(A - result.reconstruct()) <= 1e-11 * np.linalg.norm(A)
        zero = cur(np.zeros((5, 4)), 3, core=core, rng=0)
        assert not zero.reconstruct().any() and not zero.U.any()
    repeated = np.repeat(np.random.default_rng(6).standard_normal((20, 4)), 5, axis=1)
    assert len({*(cur(repeated, 4, rng=0).columns // 5).tolist()}) == 4


def test_memory_map(tmp_path):
    A = np.memmap(tmp_path / "A", np.float64, "w+", shape=(6000, 1000))
    rng = np.random.default_rng(7)
    A[:] = rng.standard_normal((6000, 5)) @ rng.standard_normal((5, 1000))
    tracemalloc.start()
    result = cur(A, 5, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < A.nbytes / 2                              # slabs of 2**21 numbers, of which a few at a time
    assert result.error.estimate < 1e-12 * np.linalg.norm(A)


def test_no_square_array_of_the_long_side():
    for shape in ((20_000, 60), (60, 20_000)):
        A = np.random.default_rng(8).standard_normal(shape)
        for select in SELECT:
            tracemalloc.start()
            cur(A, 5, select=select, rng=0)
            assert tracemalloc.get_traced_memory()[1] < 60e6            # 20000 x 20000 bytes are 400e6
            tracemalloc.stop()


def test_seeds_and_copies():
    A = np.random.default_rng(9).standard_normal((50, 40))
    for select in SELECT:
        first, again, generator = (cur(A, 7, select=select, rng=rng) for rng in (5, 5, np.random.default_rng(5)))
        for other in (again, generator, copy.copy(first), pickle.loads(pickle.dumps(first))):
            assert all(np.array_equal(x, y) for x, y in zip(first, other)) and first.error == other.error
            assert np.array_equal(first.reconstruct(), other.reconstruct())
    x = np.arange(40.0)
    assert np.allclose(first @ x, first.reconstruct() @ x)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8), st.sampled_from(FLOATS),
       st.sampled_from([1.0001, 1.05, 3, math.inf]), st.sampled_from([1e-25, 1, 1e25]))
def test_maxvol_on_any_tall_matrix(seed, extra, r, dtype, tol, scale):
    C = random_matrix(seed, (r + extra, r), r, dtype, scale)
    rows, B = assert_unchanged(C, lambda X: maxvol(X, tol=tol))
    assert len({*rows.tolist()}) == r and B.dtype == dtype and np.array_equal(B[rows], np.eye(r))
    assert float(np.abs(B).max()) <= tol
    kappa = np.linalg.cond(double(C)[rows])
    assert np.linalg.norm(double(C) - B @ double(C)[rows]) <= 1e3 * eps(C) * kappa * np.linalg.norm(double(C))
    s = np.linalg.svd(np.linalg.qr(double(C))[0][rows], compute_uv=False)
    if tol < math.inf:
        assert 1 / s[-1] <= math.sqrt(1 + tol**2 * r * extra) * 1.01


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_maxvol_and_other_bases_of_the_range(dtype):
    """An upper triangular factor with a real diagonal changes nothing; any other may start elsewhere, and keeps the promise."""
    rng = np.random.default_rng(11)
    others = 0
    for _ in range(20):
        C = random_matrix(rng.integers(2**32), (30, 6), 6, dtype, 1.0)
        T = np.triu(random_matrix(rng.integers(2**32), (6, 6), 6, dtype, 1.0), 1) - np.diag((-10.0) ** np.arange(-3, 3))
        rows, B = maxvol(C)
        found = maxvol(C @ T)
        assert np.array_equal(found.rows, rows) and np.allclose(found.B, B, rtol=0, atol=1e-9)
        found = maxvol(C @ random_matrix(rng.integers(2**32), (6, 6), 6, dtype, 1.0))
        assert np.abs(found.B).max() <= 1.05 and np.allclose(found.B @ C[found.rows], C)
        others += {*found.rows.tolist()} != {*rows.tolist()}
    assert others


def test_maxvol_is_as_good_as_all_blocks_nearly():
    """The local optimum against the largest volume of all, which bounds it by r^(r/2) from above."""
    from itertools import combinations

    rng = np.random.default_rng(10)
    for _ in range(20):
        C = rng.standard_normal((9, 3))
        largest = max(abs(np.linalg.det(C[list(I)])) for I in combinations(range(9), 3))
        assert abs(np.linalg.det(C[maxvol(C, tol=1.0001).rows])) >= largest / 1.0001**3 / 3**1.5


@settings(max_examples=60)
@given(any_matrix(), st.floats(0, 1), st.integers(0, 99))
def test_aca_on_any_matrix(A, share, seed):
    rank = 1 + round(share * (min(A.shape) - 1))
    result = assert_unchanged(A, lambda B: aca(B, rank, rng=seed))
    assert 1 <= result.rank <= rank and result.error.bound == math.inf
    unit = unit_of(A)
    B, R = double(A) / unit, double(result.R) / unit
    assert np.array_equal(result.C, A[:, result.columns]) and np.array_equal(result.R, A[result.rows])
    E = B - result.CU @ R
    size = 1e3 * max(A.shape) * eps(A) * np.linalg.cond(double(result.C)[result.rows] / unit) if B.any() else 0
    assert np.abs(E[:, result.columns]).max() <= size + 1e-30
    full = aca(A, min(A.shape), n_probe=12, rng=seed)       # every row is seen
    E = B - full.CU @ (double(full.R) / unit)
    assert np.linalg.norm(E) <= 1e4 * max(A.shape) * eps(A) * np.linalg.norm(B) * max(1, np.abs(full.CU).max())


@pytest.mark.parametrize("kind", KINDS)
def test_aca_does_not_depend_on_storage(kind):
    x, y = np.linspace(0, 1, 40), np.linspace(1.5, 3, 30)
    A = 1 / np.subtract.outer(x, y)
    expected, found = (aca(B, tol=1e-8, rng=1) for B in (A, KINDS[kind](A)))
    assert np.array_equal(expected.rows, found.rows) and np.array_equal(expected.columns, found.columns)
    assert np.linalg.norm(A - found.reconstruct()) <= 1e-7 * np.linalg.norm(A)


def test_aca_reads_few_entries_of_a_large_matrix(tmp_path):
    read = []
    x, y = np.linspace(0, 1, 5000), np.linspace(1.5, 3, 4000)
    functions = (lambda I: read.append(len(I) * 4000) or 1 / np.subtract.outer(x[I], y),
                 lambda J: read.append(len(J) * 5000) or 1 / np.subtract.outer(x, y[J]))
    result = aca(functions, tol=1e-9, shape=(5000, 4000), rng=0)
    assert sum(read) == (5000 + 4000) * result.rank + 2 * 10 * 4000 < 0.02 * 5000 * 4000
    mapped = np.memmap(tmp_path / "A", np.float64, "w+", shape=(500, 400))
    mapped[:] = 1 / np.subtract.outer(x[::10], y[::10])
    assert np.linalg.norm(mapped - aca(mapped, tol=1e-6, rng=0).reconstruct()) < 1e-5 * np.linalg.norm(mapped)


@pytest.mark.parametrize("dtype, terms", [(np.float64, 10), (np.complex128, 20)])
def test_the_bound_fails_with_the_probability_that_is_stated(dtype, terms):
    """An error of rank one: its square is measured by ten squares of normal numbers, whose law is known."""
    A = np.diag([3.0, 2.0, 1.0]).astype(dtype)
    estimate, bound, confidence = cur(A, 2, rng=0).error
    assert math.isclose(stats.chi2.cdf(terms * (estimate / bound) ** 2, terms), 0.001, rel_tol=1e-6)
    assert math.isclose(confidence, 0.999)


def test_draws_are_in_proportion_to_the_scores():
    """20 columns and rows of norm 1 and 180 of norm 0.01: with ridge 0.0009 the others share a score of 20."""
    A, drawn = np.diag(np.repeat([1.0, 0.01], [20, 180])), {}
    for select in ("leverage", "norm", "ridge"):
        results = [cur(A, 20, select=select, core="cross", rng=seed) for seed in range(8)]
        drawn[select] = [np.mean([(J < 20).sum() for J in side]) for side in
                         ([x.columns for x in results], [x.rows for x in results])]
    assert min(drawn["leverage"]) == 20 and min(drawn["norm"]) > 19
    assert max(np.abs(np.subtract(drawn["ridge"], 8.8))) < 1.5      # 20 (1 - exp(-t)) + 180 (1 - exp(-t / 9)) = 20
    exact = cur(np.diag(np.repeat([1.0, 0.0], [4, 6])), 4, select="ridge", rng=0)
    assert sorted(exact.columns) == sorted(exact.rows) == [0, 1, 2, 3]


def test_the_bound_for_coefficients_is_two_unless_it_is_given():
    A = np.linalg.qr(np.eye(4, 3) - 0.9 * np.tri(4, 3, -1))[0] * [3, 2, 1]      # LU leaves a coefficient of 3.2
    default, two, four = (cur(A, 3, columns=[0, 1, 2], select="maxvol", core="cross", **f) for f in ({}, {"f": 2}, {"f": 4}))
    assert np.array_equal(default.rows, two.rows)
    assert np.abs(two.CU).max() <= 2 < np.abs(four.CU).max() <= 4


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_aca_is_the_cross_in_any_unit(dtype):
    A = 1 / np.subtract.outer(np.linspace(0, 1, 40), np.linspace(1.5, 3, 30)) * np.ones(30, dtype)
    A = A * np.exp(1j * A) if dtype is np.complex128 else A
    reference = aca(A, tol=1e-6, rng=1)
    for unit in (1.0, 2.0**40, 2.0**-40, 2.0**400, 2.0**-400):
        result = aca(A * unit, tol=1e-6, rng=1)
        assert np.array_equal(result.rows, reference.rows) and np.array_equal(result.columns, reference.columns)
        assert np.allclose(result.U @ (A * unit)[np.ix_(result.rows, result.columns)], np.eye(result.rank), atol=1e-6)
        assert np.allclose(result.CU, reference.CU, rtol=0, atol=1e-9)


def test_aca_on_single_lines_and_on_nothing():
    for shape in ((1, 5), (5, 1), (1, 1)):
        A = np.arange(1.0, 1 + max(shape)).reshape(shape)
        one = aca((lambda I, A=A: A[I], lambda J, A=A: A[:, J]), 1, shape=shape, rng=0)
        assert np.allclose(one.reconstruct(), A)
        zero = aca(np.zeros(shape), 1, rng=0)
        assert zero.rows.tolist() == zero.columns.tolist() == [0] and not zero.reconstruct().any()


@pytest.mark.parametrize("call, kind, message", [
    (lambda: cur(np.eye(3)), TypeError, "rank is None; allowed is an integer from 1 to 3"),
    (lambda: cur(np.eye(3), rows=[0]), TypeError, "rank is None"),
    (lambda: cur(np.eye(3, 5), 4), ValueError, "rank is 4; allowed is an integer from 1 to 3"),
    (lambda: cur(np.eye(3), 0), ValueError, "rank is 0"),
    (lambda: cur(np.eye(3), 1.5), TypeError, "rank is 1.5"),
    (lambda: cur(np.eye(3), 2, rows=[1, 1]), ValueError, r"rows is \[1, 1\]; allowed are distinct integers"),
    (lambda: cur(np.eye(3), 2, columns=[3]), ValueError, r"columns is \[3\]; allowed are .* from 0 to 2"),
    (lambda: cur(np.eye(3), 2, columns=[]), ValueError, "columns is .*at least one"),
    (lambda: cur(np.eye(3), 2, columns=[[0]]), ValueError, "columns is"),
    (lambda: cur(np.eye(3), 2, columns=[0.0]), TypeError, "columns has dtype float64"),
    (lambda: cur(np.eye(3), 2, core="C"), ValueError, "core is 'C'; allowed are 'optimal', 'cross'"),
    (lambda: cur(np.eye(3), 2, select="ID"), ValueError, "select is 'ID'; allowed are 'id', 'deim'"),
    (lambda: cur(np.eye(3), 2, f=0.5), ValueError, "f is 0.5; allowed is a number above 1"),
    (lambda: cur(np.eye(3), 2, rng=-1), ValueError, "rng is -1"),
    (lambda: cur(np.ones(3), 1), ValueError, r"A has shape \(3,\)"),
    (lambda: cur(np.zeros((0, 3)), 1), ValueError, r"A has shape \(0, 3\)"),
    (lambda: cur([["a"]], 1), TypeError, "A has dtype"),
    (lambda: cur([[np.inf, 1.0]], 1), ValueError, "A contains 0 NaN and 1 Inf"),
    (lambda: cur(sparse.csr_array([[np.nan, 1.0], [1.0, 2.0]]), 1, rng=0), ValueError, "NaN or Inf"),
    (lambda: cur(LinearOperator((3, 3), matvec=lambda v: v), 1, rng=0), TypeError, "without an adjoint"),
    (lambda: cur(np.full((2, 2), 1e-310), 1, rng=0), ValueError, "A is so small that the result overflows"),
    (lambda: maxvol(np.eye(2, 3)), ValueError, r"C has shape \(2, 3\); allowed are at least as many rows"),
    (lambda: maxvol(np.ones((4, 2))), ValueError, "column 1 of C depends on those before it"),
    (lambda: maxvol(np.eye(3), tol=1.0), ValueError, "tol is 1.0; allowed is a number above 1"),
    (lambda: maxvol(np.eye(3), tol="x"), TypeError, "tol is 'x'"),
    (lambda: maxvol(sparse.eye_array(3)), TypeError, "C is a "),
    (lambda: aca(np.eye(3)), ValueError, "give exactly one"),
    (lambda: aca(np.eye(3), 4), ValueError, "rank is 4"),
    (lambda: aca(np.eye(3), tol=1), ValueError, "tol is 1"),
    (lambda: aca(np.eye(3), 1, n_probe=0), ValueError, "n_probe is 0"),
    (lambda: aca(np.eye(3), 1, shape=(3, 4)), ValueError, "shape is .* allowed is that of A"),
    (lambda: aca((np.sin, np.cos), 1), ValueError, "shape is None; allowed with functions"),
    (lambda: aca((np.sin, np.cos), 1, shape=(3,)), ValueError, r"shape is \(3,\); allowed with functions"),
    (lambda: aca((lambda I: np.ones((len(I), 2)), np.cos), 1, shape=(3, 3), rng=0), ValueError,
     r"the rows of A that were read have shape \(3, 2\); allowed is \(3, 3\)"),
    (lambda: aca((lambda I: np.full((len(I), 3), np.nan), np.cos), 1, shape=(3, 3), rng=0), ValueError, "NaN or Inf"),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("m", [300, 100_000])
def test_long_columns_of_single_precision(m):
    """What is independent stays so at any length, and what is not is noticed."""
    A, B = long_matrix(m, 500, np.float32), long_matrix(m, 500, np.float32, dependent=True)
    rows, X = maxvol(A)
    assert np.linalg.norm(X @ A[rows] - A) <= 1e-4 * np.linalg.norm(A)
    with pytest.raises(ValueError, match="column 8 of C depends"):
        maxvol(B)
    size = np.linalg.norm(double(A))
    for select in ("id", "deim", "leverage", "ridge"):
        result = cur(A, 9, select=select, rng=0)
        assert np.linalg.norm(A - result.CU @ result.R) <= 1e-4 * size
    result = aca(A, tol=1e-4, rng=0)
    assert np.linalg.norm(A - result.CU @ result.R) <= 1e-4 * size and result.rank == 9
    assert aca(B, tol=0, rng=0).rank == 8


def test_the_noise_of_elimination_grows_with_its_terms():
    """Pivots that are small at first make large terms, whose rounding errors are no signal."""
    rng = np.random.default_rng(0)
    A = (rng.standard_normal((400, 5)) * 10.0 ** -np.arange(5)) @ rng.standard_normal((5, 300))
    A[:, 0] *= 1e-4
    for dtype in (np.float32, np.float64):
        found = aca(A.astype(dtype), tol=0, rng=1)
        assert found.rank <= 6 and np.linalg.norm(A - found.CU @ found.R) <= 1e4 * np.finfo(dtype).eps * np.linalg.norm(A)

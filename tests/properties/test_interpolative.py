"""Interpolative decomposition: what is promised holds on every hard matrix, in every kind of input."""

import copy
import math
import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, sparse, stats
from scipy.sparse.linalg import LinearOperator

from lowrank.interpolative import choose_on_sketch, interp_decomp, pivot, swap
from lowrank.linear_map import linear_map
from tests.properties.matrices import (
    HARD,
    KINDS,
    any_matrix,
    assert_unchanged,
    double,
    eps,
    in_parts,
    kahan,
    long_matrix,
    random_matrix,
)

METHODS = ["qr", "sketch"]

def unit_of(A):
    """The largest power of two up to max |A|, so that squares neither overflow nor underflow."""
    peak = np.abs(A).max().item()
    return 2.0 ** math.floor(math.log2(peak)) if peak else 1.0


def check(A, result, f, rank=None):
    """Everything that is promised of a result, whatever made it."""
    J, Z = result
    rank = rank or result.rank
    work = np.result_type(A, np.float64) if A.dtype.kind not in "fc" else A.dtype
    assert J.shape == (rank,) and len({*J.tolist()}) == rank and result.shape == A.shape
    assert Z.dtype == result.C.dtype == work
    assert np.array_equal(result.C, A[:, J].astype(work))
    assert np.array_equal(Z[:, J], np.eye(rank))
    assert float(np.abs(Z).max()) <= f

    unit, wide = unit_of(A), np.complex128 if A.dtype.kind == "c" else np.float64
    A = A.astype(wide) / unit
    E = A - A[:, J] @ Z
    s = np.append(np.linalg.svd(A, compute_uv=False), 0)
    noise = 20 * max(A.shape) * np.finfo(work).eps * s[0]
    assert np.linalg.norm(E) <= result.error.bound / unit + noise
    if result.error.confidence == 1:
        slack = 5 * np.finfo(work).eps ** (1 / 3)
        assert abs(np.linalg.norm(E) - result.error.estimate / unit) <= slack * np.linalg.norm(E) + noise
    if result.suboptimality is not None:
        promised = math.sqrt(1 + f**2 * rank * (A.shape[1] - rank))
        assert result.suboptimality <= promised * (1 + 1e-3)
        assert np.linalg.norm(E, 2) <= result.suboptimality * s[rank] * (1 + 1e-3) + noise
    return np.linalg.norm(E), np.linalg.norm(A), noise


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", HARD)
def test_ranks_and_entries_on_hard_matrices(name, method):
    A = HARD[name]
    for rank, f in product(sorted({1, min(A.shape) // 2 or 1, max(min(A.shape) - 1, 1), min(A.shape)}), (2, 1.05)):
        result = assert_unchanged(A, lambda B: interp_decomp(B, rank, f=f, method=method, rng=0))
        check(A, result, f, rank)
    assert np.linalg.norm(A - result.reconstruct()) <= 1e3 * eps(A) * np.linalg.norm(A)      # full rank: exact


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", HARD)
def test_tolerances_on_hard_matrices(name, method):
    A, ranks = HARD[name], []
    for tol in (0.5, 1e-2, 1e-5, 1e-9, 0):
        result = interp_decomp(A, tol=tol, method=method, rng=0)
        error, size, noise = check(A, result, 2)
        assert error <= tol * size + noise
        ranks.append(result.rank)
    assert ranks == sorted(ranks)


@settings(max_examples=60)
@given(any_matrix(), st.sampled_from(METHODS), st.floats(0, 1), st.sampled_from([1.001, 2, 10]), st.integers(0, 99))
def test_any_shape_dtype_and_scale(A, method, share, f, seed):
    rank = 1 + round(share * (min(A.shape) - 1))
    check(A, assert_unchanged(A, lambda B: interp_decomp(B, rank, f=f, method=method, rng=seed)), f, rank)
    error, size, noise = check(A, interp_decomp(A, tol=share * 0.9, f=f, method=method, rng=seed), f)
    assert error <= 0.9 * share * size + noise


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_the_answer_does_not_depend_on_storage(kind, method):
    rng = np.random.default_rng(1)
    for A in (rng.standard_normal((30, 20)) * 0.6 ** np.arange(20), 1e-160 * rng.standard_normal((8, 25)),
              rng.standard_normal((15, 15)) * 1j ** np.arange(15)):
        expected, found = (interp_decomp(B, 5, method=method, rng=2) for B in (A, KINDS[kind](A)))
        assert np.array_equal(expected.columns, found.columns)
        assert np.allclose(expected.Z, found.Z, rtol=0, atol=1e-10)
        check(A, found, 2, 5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [30, 60, 90])
def test_kahan_is_repaired(n, method):
    for sign in (1, -1, 0):                                 # ties broken either way, or by rounding
        A = kahan(n) + sign * 1e3 * np.finfo(float).eps * np.diag(np.arange(n, 0, -1))
        result = interp_decomp(A, n - 1, method=method, rng=0)
        error, _, _ = check(A, result, 2, n - 1)
        assert error <= 3 * np.linalg.svd(A, compute_uv=False)[-1] / unit_of(A)


def test_past_the_numerical_rank_there_is_only_the_identity():
    A = HARD["exactly rank 3"]
    for method in METHODS:
        columns, Z = interp_decomp(A, 8, method=method, rng=0)
        assert np.array_equal(Z[3:], np.eye(10)[columns[3:]])
        assert columns[3:].tolist() == sorted({*range(10)} - {*columns[:3].tolist()})[:5]
        assert interp_decomp(A, 8, method=method, rng=0).suboptimality is None
    assert np.array_equal(interp_decomp(np.zeros((3, 5)), 2).Z, np.eye(2, 5))


@pytest.mark.parametrize("method", METHODS)
def test_a_bound_close_to_one_ends(method):
    """Equal volumes: signs, repeated and orthogonal columns. Rounding must not swap them for ever."""
    signs = np.sign(np.random.default_rng(3).standard_normal((12, 30)))
    for A in (signs, np.eye(9), HARD["repeated columns"], HARD["ones"], signs.astype(np.complex64) * (1 + 1j)):
        for rank in (1, min(A.shape) // 2, min(A.shape)):
            check(A, interp_decomp(A, rank, f=1 + 1e-12, method=method, rng=0), 1 + 1e-12, rank)


def test_seeds_and_copies():
    A = np.random.default_rng(4).standard_normal((50, 40))
    first, again, generator = (interp_decomp(A, 7, method="sketch", rng=rng) for rng in (5, 5, np.random.default_rng(5)))
    for other in (again, generator, copy.copy(first), pickle.loads(pickle.dumps(first))):
        assert np.array_equal(first.columns, other.columns) and np.array_equal(first.Z, other.Z)
        assert np.array_equal(first.reconstruct(), other.reconstruct()) and first.error == other.error


@pytest.mark.parametrize("phase", [1, 1j])
def test_swaps_on_a_sketch_end_with_its_best_coefficients(phase):
    A = phase ** np.arange(12)[:, None] * (kahan(12) + 1e-10 * np.diag(np.arange(12, 0, -1)))
    for rank in (9, 10, 11):
        chosen = choose_on_sketch(linear_map(A), 12, np.random.default_rng(0))
        pivot(chosen, rank)
        B, before = chosen.A.A, {*chosen.J}
        Z, rho2 = swap(chosen, 1.01)
        J = chosen.J
        assert {*J} != before and rho2.max() <= 1.01**2
        assert np.allclose(Z, np.linalg.lstsq(B[:, J], B)[0], rtol=0, atol=1e-9)
        assert np.allclose(chosen.left, np.sum(np.abs(B - B[:, J] @ Z) ** 2, axis=0))


def test_a_tolerance_on_a_sketch_is_kept_by_corrections():
    """Slow decay: the sketch sees less than the error. A few columns more mend that, and no wider sketch."""
    A = random_matrix(7, (150, 120), 120, np.float64, 1.0)
    U, _, Vh = np.linalg.svd(A, full_matrices=False)
    A, widths = U / np.arange(1, 121) @ Vh, []
    counted = LinearOperator(A.shape, dtype=float, matvec=lambda v: A @ v, matmat=lambda X: A @ X,
                             rmatmat=lambda Y: widths.append(Y.shape[1]) or A.T @ Y)
    result = interp_decomp(counted, tol=0.148, rng=0)
    assert np.linalg.norm(A - result.reconstruct()) <= 0.148 * np.linalg.norm(A)
    assert result.rank <= interp_decomp(A, tol=0.148, method="qr").rank + 6 < max(widths) < 2 * result.rank
    for tol in (0, 0.1):
        assert interp_decomp(np.zeros((4, 5)), tol=tol, method="sketch", rng=0).rank == 1


def test_the_bound_for_coefficients_is_two_unless_it_is_given():
    A = kahan(8) + 1e-10 * np.diag(np.arange(8, 0, -1))     # ties broken: pivoting leaves a coefficient of 2.3
    for method in METHODS:
        default, two, four, plain = (interp_decomp(A, 7, method=method, rng=0, **f) for f in ({}, {"f": 2}, {"f": 4}, {"f": math.inf}))
        assert np.array_equal(default.columns, two.columns) and np.array_equal(four.columns, plain.columns)
        assert np.abs(two.Z).max() <= 2 < np.abs(four.Z).max() <= 4
        assert plain.columns.tolist() == linalg.qr(A, pivoting=True, mode="r")[1][:7].tolist()


@pytest.mark.parametrize("dtype, terms", [(np.float64, 10), (np.complex128, 20)])
def test_the_bound_fails_with_the_probability_that_is_stated(dtype, terms):
    """An error of rank one: its square is measured by ten squares of normal numbers, whose law is known."""
    A = np.diag([3.0, 2.0, 1.0]).astype(dtype)
    estimate, bound, confidence = interp_decomp(A, 2, method="sketch", rng=0).error
    assert math.isclose(stats.chi2.cdf(terms * (estimate / bound) ** 2, terms), 0.001, rel_tol=1e-6)
    assert math.isclose(confidence, 0.999)


@pytest.mark.parametrize("call, kind, message", [
    (lambda: interp_decomp(np.eye(3)), ValueError, "give exactly one"),
    (lambda: interp_decomp(np.eye(3), 2, tol=0.1), ValueError, "give exactly one"),
    (lambda: interp_decomp(np.eye(3, 5), 4), ValueError, "rank is 4; allowed is an integer from 1 to 3"),
    (lambda: interp_decomp(np.eye(3), 0), ValueError, "rank is 0"),
    (lambda: interp_decomp(np.eye(3), 1.5), TypeError, "rank is 1.5"),
    (lambda: interp_decomp(np.eye(3), tol=1), ValueError, "tol is 1"),
    (lambda: interp_decomp(np.eye(3), 1, f=1.0), ValueError, "f is 1.0; allowed is a number above 1"),
    (lambda: interp_decomp(np.eye(3), 1, f=None), TypeError, "f is None; allowed"),
    (lambda: interp_decomp(np.eye(3), 1, method="QR"), ValueError, "method is 'QR'; allowed are 'auto', 'qr'"),
    (lambda: interp_decomp(np.eye(3), 1, method="sketch", rng="x"), TypeError, "rng is 'x'"),
    (lambda: interp_decomp(np.array([1.0, 2.0]), 1), ValueError, r"A has shape \(2,\)"),
    (lambda: interp_decomp(np.zeros((0, 3)), 1), ValueError, r"A has shape \(0, 3\)"),
    (lambda: interp_decomp([["a"]], 1), TypeError, "A has dtype"),
    (lambda: interp_decomp([[np.inf, 1.0]], 1), ValueError, "A contains 0 NaN and 1 Inf"),
    (lambda: interp_decomp(sparse.csr_array([[np.nan, 1.0]]), 1, method="qr"), ValueError, "NaN or Inf"),
    (lambda: interp_decomp(sparse.csr_array([[np.nan, 1.0]]), 1, method="sketch", rng=0), ValueError, "NaN or Inf"),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("method", ["qr", "sketch"])
@pytest.mark.parametrize("m", [300, 100_000])
def test_long_columns_of_single_precision(m, method):
    """A tolerance far above round-off is met, and no more columns are taken than there are independent ones."""
    for dependent, rank in ((False, 9), (True, 8)):
        A = long_matrix(m, 500, np.float32, dependent)
        for X in (A, A.T) if method == "sketch" else (A,):
            result = interp_decomp(X, tol=1e-4, method=method, rng=0)
            error = np.linalg.norm(double(X) - double(result.C) @ double(result.Z))
            assert error <= 1e-4 * np.linalg.norm(double(X)) and error <= result.error.bound + 2e-6 * np.linalg.norm(double(X))
            assert len(result.columns) <= rank
        assert len(interp_decomp(A, tol=0, method=method, rng=0).columns) <= rank


@pytest.mark.parametrize("method", ["qr", "sketch"])
def test_a_constant_matrix_has_one_column_and_no_error(method):
    """Sums of a million equal squares, the worst case in single precision."""
    A = np.full((1_000_000, 3), 0.1, np.float32)
    result = interp_decomp(A, tol=0.01, method=method, rng=0)
    assert len(result.columns) == 1 and np.allclose(result.Z, 1, atol=1e-5)
    assert result.error.bound <= 1e-4 * np.sqrt(A.size) * 0.1


@pytest.mark.parametrize("method", METHODS)
def test_the_error_of_entries_that_are_stored_in_parts(method):
    A = random_matrix(11, (40, 30), 30, np.float64, 1.0)
    found, expected = (interp_decomp(X, 12, method=method, rng=0) for X in (in_parts(A), A))
    true = np.linalg.norm(A - A[:, found.columns] @ found.Z)
    assert found.columns.tolist() == expected.columns.tolist()
    assert found.error.bound >= true * (1 - 1e-12)
    np.testing.assert_allclose(found.error, expected.error, rtol=1e-6)

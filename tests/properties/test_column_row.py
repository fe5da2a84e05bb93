"""Column-row approximation: exact errors, bounds that hold, and the same answer for every kind of input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lowrank.column_row import cr_multiply, cr_weights
from tests.properties.matrices import HARD, any_matrix, double, eps, in_parts, random_matrix

FACTORS = {name: A for name, A in HARD.items() if A.shape[1] > 1}


def right_factor(A, seed=0):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((A.shape[1], 5)) * 10.0 ** rng.uniform(-2, 2, (A.shape[1], 1))
    return B + 1j * rng.standard_normal(B.shape) if np.iscomplexobj(A) else B


def sizes(A, B):
    return np.linalg.norm(A, axis=0) * np.linalg.norm(B, axis=1)


@pytest.mark.parametrize("name", FACTORS)
def test_topk_is_below_its_bound_and_reports_its_error(name):
    A, B = FACTORS[name], right_factor(FACTORS[name])
    n, w, exact = A.shape[1], sizes(double(A), B), double(A) @ B
    for k in {1, n // 2, n - 1, n}:
        P, info = cr_multiply(A, B, k, method="topk", return_info=True)
        error = np.linalg.norm(exact - P)
        roundoff = 20 * n * eps(A) * w.sum()
        assert error <= np.sort(w)[: n - k].sum() + roundoff
        assert abs(info.rms_error - error) <= roundoff
        assert len(info.indices) == k and np.all(np.diff(info.indices) > 0) and np.all(info.weights == 1)


@pytest.mark.parametrize("name", FACTORS)
def test_the_variance_is_that_of_all_outcomes(name):
    """For one draw the expectation is a sum over n outcomes."""
    A, B = FACTORS[name], right_factor(FACTORS[name])
    n, w, exact = A.shape[1], sizes(double(A), B), double(A) @ B
    for p in (None, np.arange(1, n + 1)):
        q = w / (w.sum() or 1) if p is None else p / p.sum()
        outcomes = [(q[i], np.outer(A[:, i], B[i]) / q[i] - exact) for i in range(n) if q[i] > 0]
        variance = sum(chance * np.linalg.norm(X) ** 2 for chance, X in outcomes)
        P, info = cr_multiply(A, B, 1, p=p, return_info=True, rng=0)
        scale = np.sum(w[q > 0] ** 2 / q[q > 0])
        assert abs(info.rms_error**2 - variance) <= 50 * n * eps(A) * scale
        assert np.linalg.norm(P - np.outer(A[:, info.indices[0]], B[info.indices[0]]) * info.weights[0]) <= eps(A) * scale**0.5 * 10


@pytest.mark.parametrize("draws", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("p", [None, [3.0, 1.0, 2.0]])
def test_several_draws_have_the_error_of_all_their_outcomes(draws, dtype, p):
    """A divisor of draws - 1 in the place of draws would be wrong by a factor of two, or of one and a half."""
    A, B = random_matrix(0, (4, 3), 3, dtype, 1.0), random_matrix(1, (3, 2), 2, dtype, 1.0)
    w, exact = sizes(A, B), A @ B
    q = w / w.sum() if p is None else np.divide(p, np.sum(p))
    terms = [np.outer(A[:, i], B[i]) / q[i] / draws for i in range(3)]
    variance = sum(np.prod(q[list(J)]) * np.linalg.norm(sum(terms[i] for i in J) - exact) ** 2
                   for J in itertools.product(range(3), repeat=draws))
    assert np.isclose(cr_multiply(A, B, draws, p=p, return_info=True, rng=0)[1].rms_error ** 2, variance, rtol=1e-12)


@pytest.mark.parametrize("name", FACTORS)
def test_best_weights_are_at_least_as_good_as_any_others(name):
    A, B = FACTORS[name], right_factor(FACTORS[name])
    n, exact, rng = A.shape[1], double(A) @ B, np.random.default_rng(1)
    J = rng.permutation(n)[: max(1, n // 2)]
    error = lambda d: np.linalg.norm(exact - (double(A)[:, J] * d) @ B[J])
    d = cr_weights(A, B, J)
    best = error(d)
    terms = np.stack([np.outer(A[:, j], B[j]).ravel() for j in J], axis=1)
    scale = np.linalg.norm(terms, axis=0)
    reference = np.linalg.lstsq(terms / np.where(scale > 0, scale, 1), exact.ravel(), rcond=1e-9)[0]
    reference = np.linalg.norm(exact.ravel() - (terms / np.where(scale > 0, scale, 1)) @ reference)
    assert best <= reference * (1 + 1e-6) + 1e-6 * np.linalg.norm(exact)
    assert best <= min(error(np.ones(len(J))), error(np.zeros(len(J)))) * (1 + 1e-12) + 1e-12 * sizes(double(A), B).sum()


@given(any_matrix(), st.integers(1, 12), st.sampled_from(["sample", "topk"]), st.integers(-150, 150), st.integers(0, 1000))
def test_any_size_type_and_unit(A, q, method, power, seed):
    (m, n), power = A.shape, power if A.dtype.char in "dD" else power // 10
    B = random_matrix(seed, (n, q), min(n, q), A.dtype, 10.0**power)
    k = n if method == "topk" else 3
    unit_A, unit_B = (np.abs(X).max() or 1 for X in (A, B))
    if not 1e-300 < float(unit_A) * float(unit_B) < 1e300 or (A.dtype.char in "fF" and not 1e-30 < float(unit_A) * float(unit_B) < 1e30):
        return
    before = A.copy(), B.copy()
    P, info = cr_multiply(A, B, k, method=method, return_info=True, rng=seed)
    assert np.array_equal(A, before[0]) and np.array_equal(B, before[1])
    assert P.shape == (m, q) and P.dtype == A.dtype and np.isfinite(P).all() and np.isfinite(info.rms_error)
    rebuilt = (A / unit_A)[:, info.indices] * info.weights @ (B / unit_B)[info.indices]
    assert np.abs(P / unit_A / unit_B - rebuilt).max() <= 100 * n * eps(A) * max(np.abs(info.weights).max(), 1)
    if method == "topk":
        assert info.rms_error / float(unit_A) / float(unit_B) <= 100 * n * m * q * eps(A)


def test_other_kinds_of_input_and_their_passes():
    rng = np.random.default_rng(3)
    A, B = rng.standard_normal((40, 30)), rng.standard_normal((30, 20))
    products = []

    def counted(M):
        return LinearOperator(M.shape, dtype=M.dtype, matvec=lambda v: M @ v, rmatvec=lambda v: M.T @ v,
                              matmat=lambda X: products.append(X.shape[1]) or M @ X,
                              rmatmat=lambda Y: products.append(Y.shape[1]) or M.T @ Y)

    expected = cr_multiply(A, B, 9, method="topk")
    assert np.allclose(cr_multiply(counted(A), counted(B), 9, method="topk"), expected)
    assert sorted(products) == [9, 9, 20, 30]            # the norms, the chosen columns and rows
    for dress in (sparse.csc_array, sparse.coo_array, aslinearoperator):
        assert np.allclose(cr_multiply(dress(A), B, 9, method="topk"), expected)
        assert np.allclose(cr_multiply(A, dress(B), 9, method="topk"), expected)
    integers = np.rint(10 * A).astype(int)
    assert np.allclose(cr_multiply(integers, integers.T, 30, method="topk"), integers @ integers.T)
    assert cr_multiply(A > 0, B, 2, rng=0).dtype == np.float64


@pytest.mark.parametrize("m, n, q, extra", [(5, 10, 5, 5), (9, 2, 9, 4), (6, 3, 6, 6), (7, 3, 7, 6), (4, 3, 13, 6)])
def test_the_exact_error_takes_the_cheaper_way(m, n, q, extra):
    """As many vectors through A as A B has columns, or n each way for the Gram matrices where n (m + q) < m q."""
    rng, widths = np.random.default_rng(9), []
    A, B = rng.standard_normal((m, n)), rng.standard_normal((n, q))
    operator = LinearOperator(A.shape, dtype=float, matvec=lambda v: A @ v, rmatvec=lambda v: A.T @ v,
                              matmat=lambda X: widths.append(X.shape[1]) or A @ X, rmatmat=lambda Y: widths.append(Y.shape[1]) or A.T @ Y)
    spent = []
    for info in (False, True):
        widths.clear()
        found = cr_multiply(operator, B, 2, return_info=info, rng=0)
        spent.append(sum(widths))
    assert spent[1] - spent[0] == extra
    w = sizes(A, B)
    assert np.isclose(found[1].rms_error, ((w.sum()**2 - np.linalg.norm(A @ B)**2) / 2)**0.5, rtol=1e-9)


def test_seeds_and_the_global_state():
    A = np.random.default_rng(4).standard_normal((20, 50))
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    first, second = (cr_multiply(A, A.T, 10, rng=5) for _ in range(2))
    assert np.array_equal(first, second) and np.array_equal(np.random.get_state()[1], state)
    assert not np.array_equal(first, cr_multiply(A, A.T, 10, rng=6))


def test_terms_without_size_are_never_drawn():
    A = np.random.default_rng(5).standard_normal((6, 40))
    A[:, ::2] = 0
    for seed in range(20):
        assert np.all(cr_multiply(A, A.T, 30, return_info=True, rng=seed)[1].indices % 2 == 1)
    p = np.where(np.arange(40) % 2, 1.0, 0.0)
    assert np.isfinite(cr_multiply(A, A.T, 30, p=p, rng=0)).all()


@pytest.mark.parametrize("method, error", [("topk", 1.0), ("sample", 6**0.5)])
def test_columns_and_rows_in_opposite_units(method, error):
    """Two terms of sizes 3 and 1 whose factors differ by 1e200: W^2 - |A B|^2 = 16 - 10."""
    P, info = cr_multiply(np.diag([1e-200, 1.0]), np.diag([3e200, 1.0]), 1, method=method, return_info=True, rng=0)
    assert np.isclose(info.rms_error, error, rtol=1e-12)
    assert np.allclose(P, np.diag([3.0, 0]) * info.weights[0])
    assert np.allclose(cr_weights(np.diag([1e-200, 1.0]), np.diag([3e200, 1.0]), [1, 0]), 1)


def test_nothing_signals_under_strict_arithmetic():
    A = np.random.default_rng(6).standard_normal((8, 12))
    with np.errstate(all="raise"):
        for unit in (1e-150, 1.0, 1e150):
            for method in ("sample", "topk"):
                cr_multiply(A * unit, A.T * unit, 5, method=method, return_info=True, rng=0)
            cr_weights(A * unit, A.T / unit, [1, 2, 3])


@pytest.mark.parametrize("A, B, k, options, kind, message", [
    (np.ones((2, 3)), np.ones((2, 3)), 1, {}, ValueError, r"B has shape \(2, 3\); allowed is \(3, q\)"),
    (np.ones((2, 3)), np.ones((3, 2)), 4, {"method": "topk"}, ValueError, "k is 4; allowed is an integer from 1 to 3"),
    (np.ones((2, 3)), np.ones((3, 2)), 0, {}, ValueError, "k is 0"),
    (np.ones((2, 3)), np.ones((3, 2)), True, {}, TypeError, "k is True"),
    (np.ones((2, 3)), np.ones((3, 2)), 2**63, {}, ValueError, "k is"),
    (np.ones((2, 3)), np.ones(3), 1, {}, ValueError, r"B has shape \(3,\)"),
    (np.ones((2, 3)), np.ones((3, 2)), 1, {"p": [1, 1, -1]}, ValueError, "3 finite numbers >= 0"),
    (np.ones((2, 3)), np.ones((3, 2)), 1, {"p": [1, 1, np.nan]}, ValueError, "3 finite numbers >= 0"),
    (np.ones((2, 3)), np.ones((3, 2)), 1, {"p": [1, 1, 0]}, ValueError, "p is 0 for 1 terms"),
    (np.ones((2, 3)), np.ones((3, 2)), 1, {"p": "abc"}, TypeError, "p has dtype"),
    (np.array([[1, np.nan]]), np.ones((2, 2)), 1, {}, ValueError, "A contains NaN or Inf"),
    (np.ones((2, 2)), np.array([[1, np.inf], [0, 0]]), 1, {}, ValueError, "B contains NaN or Inf"),
    (sparse.csr_array(np.array([[1, np.nan]])), np.ones((2, 2)), 1, {}, ValueError, "A contains NaN or Inf"),
    (np.ones((0, 2)), np.ones((2, 2)), 1, {}, ValueError, r"A has shape \(0, 2\)"),
])
def test_bad_input_is_named(A, B, k, options, kind, message):
    with pytest.raises(kind, match=message):
        cr_multiply(A, B, k, **options)


def test_equal_terms_have_no_error_in_single_precision():
    """Their sum is exact with any draw. Sums of long columns in single precision would claim 16 %, or hide as much."""
    A, B = np.full((200_000, 3), 0.1, np.float32), np.full((3, 4), 0.3, np.float32)
    size = np.linalg.norm(A.astype(float) @ B)
    for left, right in ((A, B), (B.T, A.T)):
        product, info = cr_multiply(left, right, 2, return_info=True, rng=0)
        assert info.rms_error <= 2e-3 * size                    # sqrt(eps) and a little, as its docstring says
        assert np.linalg.norm(product - left.astype(float) @ right) <= 1e-5 * size
        topk = cr_multiply(left, right, 2, method="topk", return_info=True)[1]
        assert topk.rms_error == pytest.approx(size / 3, rel=1e-5)
        weights = cr_weights(left, right, [0, 1, 2])
        np.testing.assert_allclose(weights, 1, rtol=1e-4)       # dependent terms: the weights of smallest norm


def test_the_error_of_entries_that_are_stored_in_parts():
    """The norms are those of the matrices, not of what is stored: the error reported is the error that draws have."""
    rng = np.random.default_rng(8)
    A, B = rng.standard_normal((12, 40)) * np.geomspace(1, 30, 40), rng.standard_normal((40, 9))
    for kind in (in_parts, lambda X: in_parts(X, form=sparse.csc_array)):
        P, info = cr_multiply(kind(A), kind(B), 20, return_info=True, rng=1)
        plain, expected = cr_multiply(A, B, 20, return_info=True, rng=1)
        np.testing.assert_allclose(P, plain, rtol=0, atol=1e-11)
        np.testing.assert_allclose(info.rms_error, expected.rms_error, rtol=1e-10)
        errors = [np.linalg.norm(cr_multiply(kind(A), kind(B), 20, rng=k) - A @ B) for k in range(60)]
        np.testing.assert_allclose(np.sqrt(np.mean(np.square(errors))), info.rms_error, rtol=0.2)


def test_the_error_of_long_float32_factors():
    """All terms equal: any k of them give the product, and no rounding of long sums may say otherwise."""
    A = np.full((2, 1_000_000), 0.1, np.float32)
    for kind in (np.asarray, np.asfortranarray, sparse.csr_array, sparse.csc_array):
        P, info = cr_multiply(kind(A), kind(A.T), 50, return_info=True, rng=0)
        np.testing.assert_allclose(P, 10_000, rtol=1e-5)
        assert info.rms_error < 1e-3 * 20_000


def test_a_product_that_overflows_is_named():
    A = np.ones((4, 3))
    A[1, 2] = 1.5e308
    with pytest.raises(ValueError, match="the product of A and B, on the chosen terms, contains 0 NaN and"):
        cr_weights(A, A.T, [0, 1])


@pytest.mark.parametrize("method", ["sample", "topk"])
@pytest.mark.parametrize("dtype, size", [(np.float64, 1e200), (np.float32, 1e30)])
def test_a_product_out_of_range_is_refused(method, dtype, size):
    A = np.full((4, 6), size, dtype)
    with pytest.raises(ValueError, match="the product of A and B, on the chosen terms, contains 0 NaN and 16 Inf"):
        cr_multiply(A, A.T, 3, method=method, rng=0)

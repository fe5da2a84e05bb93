"""Tests of lowrank.column_row, generated from book/low_rank/column_row.ipynb; edit the chapter."""

import numpy as np

from lowrank.column_row import cr_multiply, cr_weights


# %% book/low_rank/column_row.ipynb: some_product
def some_product(dtype, m=30, n=12, q=20, seed=0):
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((m, n)), rng.standard_normal((n, q)) * np.arange(1, n + 1)[:, None]
    if np.dtype(dtype).kind == "c":
        A, B = A + 1j * rng.standard_normal((m, n)), B - 1j * rng.standard_normal((n, q))
    return A.astype(dtype), B.astype(dtype)


def test_topk_keeps_the_largest_terms():
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        A, B = some_product(dtype)
        sizes = np.linalg.norm(A, axis=0) * np.linalg.norm(B, axis=1)
        for k in (1, 5, 12):
            P, info = cr_multiply(A, B, k, method="topk", return_info=True)
            assert P.dtype == dtype and set(info.indices) == set(np.argsort(sizes)[12 - k:])
            assert np.array_equal(info.weights, np.ones(k))
            roundoff = 10 * np.finfo(dtype).eps * np.linalg.norm(sizes)
            assert np.linalg.norm(P - A[:, info.indices] @ B[info.indices]) <= roundoff
            assert abs(info.rms_error - np.linalg.norm(A @ B - P)) <= roundoff


def test_sampling_has_the_mean_and_the_error_it_reports():
    for dtype in (np.float64, np.complex128):
        for m, q in ((30, 20), (60, 50)):           # by the product, and by the Gram matrices
            A, B = some_product(dtype, m, q=q)
            for p in (None, np.ones(12)):
                draws = [cr_multiply(A, B, 6, p=p, return_info=True, rng=s) for s in range(400)]
                rms = draws[0][1].rms_error
                errors = np.array([P - A @ B for P, info in draws])
                for P, (J, weights, _) in draws[:9]:
                    assert np.allclose(P, (A[:, J] * weights) @ B[J])
                seen = np.sqrt(np.mean(np.sum(np.abs(errors)**2, axis=(1, 2))))
                assert abs(seen / rms - 1) < 0.1
                assert np.linalg.norm(errors.mean(axis=0)) < 3 * rms / 400**0.5


def test_one_draw_is_as_large_as_all_sizes():
    A, B = some_product(np.float64)
    whole = np.sum(np.linalg.norm(A, axis=0) * np.linalg.norm(B, axis=1))
    for seed in range(20):
        assert abs(np.linalg.norm(cr_multiply(A, B, 1, rng=seed)) / whole - 1) < 1e-13


# %% book/low_rank/column_row.ipynb: test_weights_solve_the_least_squares_problem
def test_weights_solve_the_least_squares_problem():
    for dtype in (np.float64, np.complex128):
        A, B = some_product(dtype)
        A[:, 3], B[3] = A[:, 7], B[7]                               # a term that is there twice
        J = np.array([7, 0, 3, 11])
        terms = np.stack([np.outer(A[:, i], B[i]).ravel() for i in J], axis=1)
        d = cr_weights(A, B, J)
        assert np.allclose(d, np.linalg.lstsq(terms, (A @ B).ravel(), rcond=1e-10)[0])
        assert np.allclose(d, cr_weights(A * 1e150, B * 1e-140, J))


def test_scale_dress_and_degenerate_input():
    from scipy import sparse
    from scipy.sparse.linalg import aslinearoperator

    A, B = some_product(np.float64)
    reference, info = cr_multiply(A, B, 7, return_info=True, rng=1)
    for powers in ((500, -480), (500, 500), (-500, -500), (-500, 490)):
        a, b = np.ldexp(1.0, powers)
        P, scaled = cr_multiply(A * a, B * b, 7, return_info=True, rng=1)
        assert np.abs(P / (a * b) - reference).max() <= 1e-13 * np.abs(reference).max()
        assert np.array_equal(scaled.indices, info.indices)
        assert np.allclose(scaled.weights, info.weights, rtol=1e-13)
        assert np.isclose(scaled.rms_error / (a * b), info.rms_error, rtol=1e-10)
    for dress in (sparse.csr_array, sparse.csc_matrix, np.asfortranarray, aslinearoperator):
        for method in ("sample", "topk"):
            expected = cr_multiply(A, B, 7, method=method, return_info=True, rng=1)
            found = cr_multiply(dress(A), dress(B), 7, method=method, return_info=True, rng=1)
            assert np.allclose(found[0], expected[0])
            assert np.array_equal(found[1].indices, expected[1].indices)
            assert np.isclose(found[1].rms_error, expected[1].rms_error)
        assert np.allclose(cr_weights(dress(A), dress(B), [2, 5]), cr_weights(A, B, [2, 5]))
    for method in ("sample", "topk"):
        P, nothing = cr_multiply(0 * A, B, 3, method=method, return_info=True, rng=1)
        assert not P.any() and nothing.rms_error == 0 and np.isfinite(nothing.weights).all()
    assert np.allclose(cr_multiply(A[:, :1], B[:1], 10**12, rng=1), A[:, :1] @ B[:1])
    assert np.array_equal(cr_weights(0 * A, B, [0, 1]), [0, 0])


def test_cr_refuses():
    import pytest

    A, B = some_product(np.float64)
    p = np.where(np.arange(12) == 4, 0, 1)
    cases = [
        (lambda: cr_multiply(A, B.T, 2), ValueError, r"B has shape \(20, 12\); allowed is \(12, "),
        (lambda: cr_multiply(A, B, 13, method="topk"), ValueError, "k is 13; allowed is an int"),
        (lambda: cr_multiply(A, B, 0), ValueError, "k is 0"),
        (lambda: cr_multiply(A, B, 2.0), TypeError, "k is 2.0"),
        (lambda: cr_multiply(A, B, 2, method="best"), ValueError, "method is 'best'"),
        (lambda: cr_multiply(A, B, 2, method="topk", p=p), ValueError, "p is given"),
        (lambda: cr_multiply(A, B, 2, p=p), ValueError, "p is 0 for 1 terms .* first of them 4"),
        (lambda: cr_multiply(A, B, 2, p=-p), ValueError, "12 finite numbers >= 0"),
        (lambda: cr_multiply(A, B, 2, p=p[1:]), ValueError, "12 finite numbers >= 0"),
        (lambda: cr_multiply(A, B, 2, p=0 * p), ValueError, "not all of them 0"),
        (lambda: cr_multiply(A, B, 2, p=1j * p), TypeError, "p has dtype complex128"),
        (lambda: cr_multiply(np.where(A > 2, np.nan, A), B, 2), ValueError, "A contains NaN"),
        (lambda: cr_multiply(A, B, 2, rng="seed"), TypeError, "rng is 'seed'"),
        (lambda: cr_weights(A, B, [1, 1]), ValueError, "distinct integers from 0 to 11"),
        (lambda: cr_weights(A, B, [12]), ValueError, "distinct integers"),
        (lambda: cr_weights(A, B, []), ValueError, "at least one"),
        (lambda: cr_weights(A, B, [0.5]), TypeError, "indices has dtype float64"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()

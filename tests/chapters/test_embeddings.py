"""Tests of lowrank.embeddings, generated from book/low_rank/embeddings.ipynb; edit the chapter."""

import numpy as np

from lowrank.embeddings import sketched_lstsq, subspace_embedding


# %% book/low_rank/embeddings.ipynb: test_embeddings_multiply_what_they_are_given
KINDS = "sparse", "gaussian", "cosine", "rows"


def test_embeddings_multiply_what_they_are_given():
    from scipy import sparse

    rng = np.random.default_rng(9)
    A = rng.standard_normal((60, 5))
    for kind in KINDS:
        S = subspace_embedding(24, 60, kind, rng=1)
        dense = S.toarray()
        assert dense.shape == S.shape == (24, 60)
        for dtype in (np.float32, np.float64, np.complex64, np.complex128, int):
            B = (10 * A).astype(dtype)
            eps = 1e-4 if dtype in (np.float32, np.complex64) else 1e-12
            for given in (B, np.asfortranarray(B), sparse.csr_array(B), sparse.csc_matrix(B)):
                Y = S @ given
                assert type(Y) is np.ndarray and np.allclose(Y, dense @ B, atol=eps, rtol=eps)
                assert Y.dtype == (np.float64 if dtype is int else dtype)
            assert np.allclose(S @ B[:, 0], dense @ B[:, 0], atol=eps, rtol=eps)
        assert np.array_equal(subspace_embedding(24, 60, kind, rng=1) @ A, S @ A)


def test_embeddings_are_unbiased():
    x = np.random.default_rng(10).standard_normal(40)
    for kind in KINDS:
        squares = [np.sum((subspace_embedding(20, 40, kind, rng=seed) @ x)**2)
                   for seed in range(2000)]
        assert abs(np.mean(squares) / np.sum(x**2) - 1) < 0.05


def test_what_an_embedding_looks_like():
    S = subspace_embedding(30, 500, nonzeros=3, rng=0).toarray()
    assert np.array_equal(np.sum(S != 0, axis=0), np.full(500, 3))
    assert np.allclose(np.abs(S[S != 0]), 3**-0.5)
    Q = subspace_embedding(50, 50, "cosine", rng=0).toarray()
    assert np.allclose(Q @ Q.T, np.eye(50))
    R = subspace_embedding(9, 50, "rows", p=np.arange(50), rng=0).toarray()
    rows, columns = np.nonzero(R)
    assert np.array_equal(rows, np.arange(9))
    assert np.allclose(R[rows, columns]**-2, 9 * columns / 1225)


# %% book/low_rank/embeddings.ipynb: test_sketched_lstsq_is_the_least_squares_solution
def test_sketched_lstsq_is_the_least_squares_solution():
    from scipy import sparse
    from scipy.sparse.linalg import aslinearoperator

    rng = np.random.default_rng(15)
    for unit in (0, 1j):
        A = rng.standard_normal((700, 9)) + unit * rng.standard_normal((700, 9))
        b = rng.standard_normal((700, 3)) + unit * rng.standard_normal((700, 3))
        best = np.linalg.lstsq(A, b)[0]
        for kind in ("sparse", "gaussian", "cosine", "rows"):
            for dress in (np.asarray, np.asfortranarray, sparse.csc_array, aslinearoperator):
                found = sketched_lstsq(dress(A), b, kind=kind, rng=0)
                assert np.allclose(found.x, best, rtol=1e-12, atol=1e-13) and found.converged
                assert np.allclose(found.residual, np.linalg.norm(A @ best - b, axis=0))
                assert found.rank == 9 and found.n_iter < 60 and found.distance.max() < 1e-12
        one = sketched_lstsq(A, b[:, 0], rng=0)
        assert one.x.shape == (9,) and np.allclose(one.x, best[:, 0])
        dtype = np.complex64 if unit else np.float32
        single = sketched_lstsq(A.astype(dtype), b.astype(dtype), rng=0)
        assert single.x.dtype == dtype and single.converged
        assert np.abs(single.x - best).max() < 1e-5


def test_sketched_lstsq_without_full_rank_in_any_unit_and_shape():
    rng = np.random.default_rng(16)
    low = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 6))
    for A in (low, low[:5], low[:6], 0 * low, np.ones((90, 1)), np.ones((1, 4))):
        b = rng.standard_normal(len(A))
        found, best = sketched_lstsq(A, b, rng=1), np.linalg.pinv(A, rcond=1e-12) @ b
        assert np.allclose(found.x, best, atol=1e-13) and found.converged
        assert found.rank == np.linalg.matrix_rank(A, tol=1e-10)
        for unit in (2.0**-500, 2.0**500):
            far = sketched_lstsq(A * unit, b / unit, rng=1)
            assert np.allclose(far.x * unit * unit, best, atol=1e-13)
            assert np.isclose(far.residual * unit, found.residual)
    assert not sketched_lstsq(np.eye(500)[:, :5], np.zeros(500), rng=0).x.any()


def test_embeddings_refuse():
    import pytest

    A, b, embed = np.ones((9, 2)), np.ones(9), subspace_embedding
    cases = [
        (lambda: embed(0, 5), ValueError, "l is 0; allowed is an integer from 1"),
        (lambda: embed(3, 5.0), TypeError, "m is 5.0"),
        (lambda: embed(3, 5, "fjlt"), ValueError, "kind is 'fjlt'; allowed are 'sparse'"),
        (lambda: embed(6, 5, "cosine"), ValueError, "l is 6; allowed is an integer from 1 to 5"),
        (lambda: embed(3, 5, nonzeros=4), ValueError, "nonzeros is 4; allowed is an integer"),
        (lambda: embed(3, 5, "rows", nonzeros=2), ValueError, "nonzeros is 2; kind='rows' does"),
        (lambda: embed(3, 5, p=np.ones(5)), ValueError, "kind='sparse' does not take it"),
        (lambda: embed(3, 5, "rows", p=np.ones(4)), ValueError, "allowed are 5 finite numbers"),
        (lambda: embed(3, 5, "rows", p=np.zeros(5)), ValueError, "not all of them 0"),
        (lambda: embed(3, 5, "rows", p=["a"] * 5), TypeError, "p has dtype"),
        (lambda: embed(3, 5, rng="x"), TypeError, "rng is 'x'"),
        (lambda: embed(3, 5) @ A, ValueError, r"A has shape \(9, 2\); allowed is \(5, n\)"),
        (lambda: sketched_lstsq(A, b[1:]), ValueError, r"b has shape \(8,\); allowed is \(9,\)"),
        (lambda: sketched_lstsq(A, b, l=1), ValueError, r"l is 1; .* from 2 for shape \(9, 2\)"),
        (lambda: sketched_lstsq(A, b * np.nan), ValueError, "b contains 9 NaN"),
        (lambda: sketched_lstsq(A * np.inf, b), ValueError, "A contains"),
        (lambda: sketched_lstsq(A, b, max_iter=-1), ValueError, "max_iter is -1"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()

"""Tests of lowrank.sketching, generated from book/low_rank/sketching.ipynb; edit the chapter."""

import numpy as np

from lowrank.arguments import gaussian_matrix
from lowrank.sketching import (
    _krylov,
    orthogonalise,
    orthonormal_basis,
    randomized_svd,
    sketch_range,
)


# %% book/low_rank/sketching.ipynb: test_sketch_spans_what_the_power_does
def test_sketch_spans_what_the_power_does():
    from lowrank.linear_map import linear_map

    rng = np.random.default_rng(8)
    for unit in (0, 1j):
        A = rng.standard_normal((20, 12)) + unit * rng.standard_normal((20, 12))
        M = linear_map(A)
        for q in range(3):
            Y = sketch_range(M, 5, q, np.random.default_rng(0))
            Omega = gaussian_matrix(np.random.default_rng(0), (12, 5), A.dtype)
            bare = np.linalg.matrix_power(A @ A.conj().T, q) @ A @ Omega
            Q = orthonormal_basis(Y)
            assert np.linalg.norm(bare - Q @ (Q.conj().T @ bare)) < 1e-10 * np.linalg.norm(bare)
    Q = orthonormal_basis(np.zeros((4, 2)))
    assert np.allclose(Q.T @ Q, np.eye(2))


# %% book/low_rank/sketching.ipynb: test_basis_stays_orthonormal_where_nothing_is_new
def test_basis_stays_orthonormal_where_nothing_is_new():
    rng = np.random.default_rng(8)
    for unit in (0, 1j):
        normal = lambda *shape: rng.standard_normal(shape) + unit * rng.standard_normal(shape)
        Q = orthonormal_basis(normal(30, 12))
        equal_rows = np.repeat(orthonormal_basis(normal(10, 3)), 3, axis=0)
        cases = {
            "random": (Q, normal(30, 5)),
            "nothing new": (Q, Q @ normal(12, 5)),
            "little new": (Q, Q @ normal(12, 5) + 1e-13 * normal(30, 5)),
            "zero": (Q, 0 * normal(30, 5)),
            "repeated": (Q, np.repeat(normal(30, 1), 5, axis=1)),
            "graded": (Q, normal(30, 5) * 10.0**(-4 * np.arange(5))),
            "all that is left": (Q, normal(30, 18)),
            "unit vectors": (np.eye(9)[:, :4], np.eye(9)[:, :4]),
            "equal rows": (equal_rows / 3**0.5, equal_rows @ normal(3, 4)),
        }
        for before, W in cases.values():
            both = np.hstack([before, orthogonalise(W, before)])
            assert np.abs(both.conj().T @ both - np.eye(both.shape[1])).max() < 1e-14
            assert np.linalg.norm(W - both @ (both.conj().T @ W)) <= 1e-14 * np.linalg.norm(W)


def test_krylov_basis_spans_all_powers():
    from lowrank.linear_map import linear_map

    rng = np.random.default_rng(10)
    for unit in (0, 1j):
        A = rng.standard_normal((20, 15)) + unit * rng.standard_normal((20, 15))
        M = linear_map(A)
        Q, Bh = _krylov(M, 3, 2, np.random.default_rng(0))
        assert np.allclose(Bh, M.adjoint_apply(Q), atol=1e-13)
        Y = A @ gaussian_matrix(np.random.default_rng(0), (15, 3), A.dtype)
        for _ in range(3):
            assert np.linalg.norm(Y - Q @ (Q.conj().T @ Y)) < 1e-12 * np.linalg.norm(Y)
            Y = A @ (A.conj().T @ Y)
    for A in (np.zeros((7, 5)), np.eye(6), np.ones((5, 8))):      # nothing new after one block
        Q = _krylov(linear_map(A), 2, 3, np.random.default_rng(0))[0]
        assert np.abs(Q.T @ Q - np.eye(Q.shape[1])).max() < 1e-14


# %% book/low_rank/sketching.ipynb: test_randomized_svd_is_nearly_optimal_in_every_dress
def test_randomized_svd_is_nearly_optimal_in_every_dress():
    from scipy import sparse
    from scipy.sparse.linalg import aslinearoperator

    rng = np.random.default_rng(11)
    U, V = (np.linalg.qr(rng.standard_normal((size, 60)))[0] for size in (90, 60))
    for spectrum in (1 / np.arange(1, 61), 10.0**(-np.arange(60) / 5)):
        real = U * spectrum @ V.T
        turned = U * np.exp(1j * np.arange(60)) * spectrum @ V.T
        for A in (real, real.T, turned, real.astype(np.float32)):
            best, eps = np.linalg.norm(spectrum[10:]), np.finfo(A.dtype).eps
            for kind in (np.asarray, sparse.csr_array, aslinearoperator):
                for method in ("subspace", "krylov"):
                    U_, s, Vh = result = randomized_svd(kind(A), 10, method=method, rng=0)
                    assert np.linalg.norm(A - result.reconstruct()) <= 1.02 * best + 20 * eps
                    assert np.all(s <= spectrum[:10] + 20 * eps) and np.all(np.diff(s) <= 0)
                    assert np.abs(U_.conj().T @ U_ - np.eye(10)).max() < 100 * eps
                    assert np.abs(Vh @ Vh.conj().T - np.eye(10)).max() < 100 * eps
                    assert U_.dtype == Vh.dtype == A.dtype and s.dtype == A.real.dtype


def test_randomized_svd_is_exact_where_it_can_be():
    rng = np.random.default_rng(12)
    low = rng.standard_normal((30, 4)) @ rng.standard_normal((4, 20))
    thin, graded = rng.standard_normal((6, 1)), np.diag([1.0, 1e-6, 1e-12])
    for A in (low, np.zeros((5, 7)), thin, np.ones((1, 6)), np.eye(8), graded):
        for method in ("subspace", "krylov"):
            result = randomized_svd(A, min(A.shape), method=method, rng=0)
            assert np.linalg.norm(A - result.reconstruct()) <= 1e-13 * np.linalg.norm(A)
            assert np.allclose(result.U.T @ result.U, np.eye(min(A.shape)), atol=1e-13)


def test_randomized_svd_in_any_unit_and_reproducible():
    A = np.random.default_rng(13).standard_normal((25, 18))
    for method in ("subspace", "krylov"):
        U, s, Vh = randomized_svd(A, 6, method=method, rng=5)
        for unit in (2.0**-500, 2.0**500):
            scaled = randomized_svd(A * unit, 6, method=method, rng=5)
            pairs = zip(scaled, (U, s * unit, Vh))
            assert all(np.array_equal(found, expected) for found, expected in pairs)
        other = randomized_svd(A, 6, method=method, rng=6)
        assert not np.array_equal(other.U, U)


# %% book/low_rank/sketching.ipynb: counting
def counting(A, passes):
    """A as a LinearOperator that notes in the list `passes` how many columns each product has."""
    from scipy.sparse.linalg import LinearOperator

    return LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: A @ v,
                          matmat=lambda X: passes.append(X.shape[1]) or A @ X,
                          rmatmat=lambda Y: passes.append(Y.shape[1]) or A.conj().T @ Y)


def test_randomized_svd_counts_its_passes():
    A = np.random.default_rng(14).standard_normal((50, 40))
    for q in range(4):
        for method, width in (("subspace", 9), ("krylov", 7)):
            passes = []
            randomized_svd(counting(A, passes), 5, n_iter=q, method=method, rng=0)
            assert passes == [width] * (2 * q + 2)


def test_randomized_svd_refuses():
    import pytest

    A = np.eye(4)
    A_nan = np.where(np.eye(4) == 1, np.nan, 0)
    for call, kind, message in [
        (lambda: randomized_svd(A, 5), ValueError, "rank is 5; allowed is an integer from 1 to 4"),
        (lambda: randomized_svd(A, 0), ValueError, "rank is 0"),
        (lambda: randomized_svd(A, 2, n_iter=-1), ValueError, "n_iter is -1; allowed is"),
        (lambda: randomized_svd(A, 2, oversample=1.5), TypeError, "oversample is 1.5"),
        (lambda: randomized_svd(A, 2, method="power"), ValueError, "method is 'power'"),
        (lambda: randomized_svd(A, 2, rng="x"), TypeError, "rng is 'x'"),
        (lambda: randomized_svd(A_nan, 2), ValueError, "A contains 4 NaN and 0 Inf"),
        (lambda: randomized_svd(np.ones((2, 3, 3)), 2), ValueError, "A has shape"),
    ]:
        with pytest.raises(kind, match=message):
            call()

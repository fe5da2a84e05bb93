"""Tests of lowrank.psd, generated from book/low_rank/psd.ipynb; edit the chapter."""

import numpy as np
import pytest
from scipy import sparse

from lowrank.arguments import gaussian_matrix
from lowrank.psd import nystrom, rpcholesky


# %% book/low_rank/psd.ipynb: pivot_law
def pivot_law(A, k):
    """The law of k random pivots: of each sequence, its probability and what it leaves of A."""
    law = {(): (1.0, A)}
    for _ in range(k):
        step = {}
        for J, (probability, E) in law.items():
            for p in (p for p in range(len(A)) if p not in J):
                left = E - np.outer(E[:, p], E[:, p].conj()) / E[p, p].real
                step[(*J, p)] = (probability * E[p, p].real / np.trace(E).real, left)
        law = step
    return law


# %% book/low_rank/psd.ipynb: test_pivot_frequencies
def test_pivot_frequencies(draws=1500):
    from scipy.stats import chi2

    t = np.array([0.0, 0.3, 0.5, 1.0, 1.2, 9.0])
    distance, scale = t[:, None] - t, 1 + t / 9
    A = np.exp(1j * distance - distance**2) * np.outer(scale, scale)
    law = {J: probability for J, (probability, _) in pivot_law(A, 2).items()}
    for block in (1, 2, 7):
        rng, found = np.random.default_rng(block), dict.fromkeys(law, 0)
        for _ in range(draws):
            found[tuple(rpcholesky(A, 2, block=block, rng=rng).pivots.tolist())] += 1
        statistic = sum((found[J] - draws * law[J])**2 / (draws * law[J]) for J in law)
        assert chi2.sf(statistic, len(law) - 1) > 1e-4


# %% book/low_rank/psd.ipynb: CountedKernel
class CountedKernel:
    """A Gaussian kernel matrix as a pair (diagonal, columns) that counts what it computes."""

    def __init__(self, X):
        self.X, self.count, self.blocks = X, 0, []

    def columns(self, J, I=slice(None)):
        distances = ((self.X[I, None] - self.X[None, J])**2).sum(-1)
        self.count += distances.size
        if not isinstance(I, slice):
            self.blocks.append(distances.size)
        return np.exp(-distances)

    @property
    def pair(self):
        self.count += len(self.X)
        return np.ones(len(self.X)), self.columns


def test_entries_read():
    X = np.random.default_rng(0).standard_normal((300, 2))
    k, n = 40, 300
    for block in (None, 1, 8, 25):
        A = CountedKernel(X)
        result = rpcholesky(A.pair, k, block=block, rng=1)
        b = block or 1
        assert result.rank == k
        assert A.count == (k + 1) * n + sum(A.blocks)
        assert A.blocks == [b * b] * (len(A.blocks) if b > 1 else 0)
        assert len(A.blocks) <= k / 2 or b == 1             # rounds: most proposals are kept
        dense = A.columns(np.arange(n))
        assert np.array_equal(result.pivots, rpcholesky(dense, k, block=b, rng=1).pivots)


# %% book/low_rank/psd.ipynb: test_rpcholesky_is_sound
def test_rpcholesky_is_sound():
    rng = np.random.default_rng(5)
    C = rng.standard_normal((30, 4)) + 1j * rng.standard_normal((30, 4))
    for B in (C, C.real, np.complex64(C), np.float32(C.real), C * 1e-75, C.real * 1e75):
        A = B @ B.conj().T
        A = (A + A.conj().T) / 2
        n, eps, norm = len(A), np.finfo(A.dtype).eps, np.abs(A).max() * len(A)
        pair = A.diagonal(), lambda J, I=slice(None): A[I][:, J]
        for given in (A, np.asfortranarray(A), sparse.csr_array(A), pair):
            for block in (1, 3, None):
                F, pivots = result = rpcholesky(given, 12, block=block, rng=0)
                assert F.dtype == A.dtype and len(set(pivots.tolist())) == len(pivots)
                assert F.shape in ((n, 4), (n, 5))          # of rank 4: stops, at most one late
                assert np.abs(A - result.reconstruct()).max() <= 10 * eps * norm
                assert result.trace_error <= 10 * n * eps * norm
                L = F[pivots]
                assert np.array_equal(L, np.tril(L)) and np.all(L.diagonal().real > 0)
    zero = rpcholesky(np.zeros((5, 5)), 3)
    assert zero.F.shape == (5, 0) and zero.trace_error == 0 and not zero.reconstruct().any()
    assert rpcholesky([[9]], 1).F == 3


def test_rpcholesky_scales_and_stops():
    X = np.random.default_rng(6).standard_normal((80, 2))
    A = np.exp(-((X[:, None] - X)**2).sum(-1))
    F, pivots = rpcholesky(A, 20, rng=0)
    scaled = rpcholesky(A * 2.0**400, 20, rng=0)
    assert np.array_equal(scaled.F, F * 2.0**200) and np.array_equal(scaled.pivots, pivots)
    for block in (1, None):
        result = rpcholesky(A, 80, tol=1e-3, block=block, rng=0)
        assert abs(np.trace(A - result.reconstruct()) - result.trace_error) < 1e-12
        assert result.rank < 70 and result.trace_error <= 1e-3 * 80
        assert np.linalg.norm(A - result.reconstruct()) <= result.trace_error


def test_rpcholesky_refuses():
    A = np.eye(4)
    nan = np.full((4, 4), np.nan)
    cases = [
        ((-A, 1), {}, ValueError, "not positive semidefinite: after 0 pivots .* -1; allowed as"),
        ((np.ones((4, 4)) - 2 * A, 1), {}, ValueError, "not positive semidefinite"),
        ((A + np.triu(np.ones((4, 4)), 1), 4), {}, ValueError, "not Hermitian, or .* differ by"),
        (((1 + 1j) * A, 1), {}, ValueError, "A is not Hermitian: .* an imaginary part of 1"),
        (([[1, 2], [2, 1]], 2), {}, ValueError, "after 1 pivots .* at index ., the entry -3"),
        ((nan, 1), {}, ValueError, "the diagonal of A contains 4 NaN"),
        ((A[:3], 1), {}, ValueError, r"A has shape \(3, 4\); allowed is a square matrix"),
        ((A, 5), {}, ValueError, "rank is 5; allowed is an integer from 1 to 4"),
        ((A, 1), {"block": 0}, ValueError, "block is 0"),
        ((A, 1), {"tol": 1}, ValueError, "tol is 1"),
        (((np.ones(4), lambda J: A), 1), {}, ValueError, r"shape \(4, 4\); allowed is \(4, 1\)"),
        (((np.ones(4), lambda J: nan[:, J]), 1), {}, ValueError, "read of A contains 4 NaN"),
        (((np.ones(4), lambda J: 1j * A[:, J]), 1), {}, TypeError, "have dtype complex128"),
        (((A, lambda J: A), 1), {}, ValueError, r"the diagonal of A has shape \(4, 4\)"),
        ((np.array([["a"]]), 1), {}, TypeError, "A has dtype"),
    ]
    for arguments, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            rpcholesky(*arguments, rng=0, **options)


# %% book/low_rank/psd.ipynb: test_nystrom_is_near_the_best
def test_nystrom_is_near_the_best():
    rng = np.random.default_rng(10)
    n = 120
    Q = np.linalg.qr(gaussian_matrix(rng, (n, n), np.complex128))[0]
    for values in (10.0 ** (-np.arange(n) / 8), 1.0 / np.arange(1, n + 1)):
        for dtype, unit in ((complex, 1.0), (float, 1e-150), (float, 1e150), (np.float32, 1.0)):
            V = Q if dtype is complex else np.linalg.qr(Q.real)[0]
            A = (V * values) @ V.conj().T
            A = (A + A.conj().T) / 2
            given = (A * unit).astype(dtype)
            n_eps = n * np.finfo(dtype).eps * values[0]
            for r in (1, 10, 40, n):
                F = nystrom(given, r, rng=r).F
                assert F.shape == (n, r) and F.dtype == dtype
                F = F.astype(V.dtype) / unit**0.5
                E = np.linalg.eigvalsh(A - F @ F.conj().T)
                assert E[0] >= -2 * n_eps
                assert E.sum() <= 3 * (1 + r / 9) * values[r:].sum() + 100 * n_eps


def test_nystrom_takes_one_pass():
    from scipy.sparse.linalg import LinearOperator

    A, passes = np.diag(np.arange(20.0)), []
    counted = LinearOperator((20, 20), matvec=lambda v: A @ v, dtype=float,
                             matmat=lambda X: passes.append(X.shape[1]) or A @ X)
    F = nystrom(counted, 3, rng=0).F
    assert passes == [13]
    assert np.allclose(F, nystrom(A, 3, rng=0).F)
    assert np.allclose(F, nystrom(sparse.csr_array(A), 3, rng=0).F)


def test_nystrom_at_its_ends():
    assert not nystrom(np.zeros((4, 4)), 2, rng=0).F.any()
    assert np.allclose(nystrom([[4]], 1, rng=0).F ** 2, 4)
    ones = nystrom(np.ones((6, 6), np.int8), 6, rng=0)          # rank 1, asked for 6
    assert np.allclose(ones.reconstruct(), 1) and np.allclose(ones.F[:, 1:], 0, atol=1e-6)
    A = np.eye(5)
    for arguments, options, message in [
        ((-A, 2), {}, "A is not positive semidefinite: it has an eigenvalue below -1; allowed as"),
        ((A + np.triu(np.ones((5, 5)), 1), 2), {}, "A is not Hermitian: for an X"),
        ((A[:4], 2), {}, r"A has shape \(4, 5\); allowed is a square matrix"),
        ((A, 6), {}, "rank is 6; allowed is an integer from 1 to 5"),
        ((A, 2), {"oversample": -1}, "oversample is -1"),
        ((A * np.nan, 2), {}, "A contains 25 NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            nystrom(*arguments, rng=0, **options)

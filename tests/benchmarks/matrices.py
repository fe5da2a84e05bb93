"""The matrices of the benchmarks, and the best error that any approximation of a given rank can have."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import svds
from scipy.spatial.distance import cdist

CACHE = Path(__file__).parents[2] / ".benchmarks"      # ignored by git, removed by `make clean`


def spectrum(m, n, s):
    """An m x n matrix with singular values s and random singular vectors."""
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((size, len(s))))[0] for size in (m, n))
    return (U * s) @ V.T


def hopper():
    """The portrait that Matplotlib ships, as 600 x 512 grey values."""
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    with get_sample_data("grace_hopper.jpg") as file:
        return imread(file, format="jpg") @ np.array([0.299, 0.587, 0.114]) / 255


def gaussian_kernel():
    """exp(-|x - y|^2 / 2) between 3000 normal points in four dimensions: symmetric, positive definite."""
    x = np.random.default_rng(0).standard_normal((3000, 4))
    return np.exp(-cdist(x, x, "sqeuclidean") / 2)


def counts():
    """Logarithms of about half a million counts, 20000 x 5000, whose rows and columns follow power laws."""
    u, v = np.random.default_rng(0).uniform(size=(2, 600_000))**3
    A = sparse.csr_array((np.ones(u.size), ((20_000 * u).astype(int), (5000 * v).astype(int))), shape=(20_000, 5000))
    A.sum_duplicates()
    return A.log1p()


def kahan(n=60, angle=1.2):
    """Kahan's matrix, on which pivoted QR never pivots; the diagonal is perturbed so that rounding agrees."""
    upper = np.eye(n) - np.cos(angle) * np.triu(np.ones((n, n)), 1)
    return np.sin(angle)**np.arange(n)[:, None] * upper + 1e3 * np.finfo(float).eps * np.diag(np.arange(n, 0, -1))


MATRICES = {
    "hopper": hopper,
    "fast": lambda: spectrum(2000, 1000, 10.0**(-np.arange(1000) / 10)),
    "slow": lambda: spectrum(2000, 1000, 1 / np.arange(1, 1001)),
    "flat": lambda: spectrum(1000, 800, np.linspace(1, 0.9, 800)),
    "fourfold": lambda: spectrum(1000, 800, 1 / np.repeat(np.arange(1, 201), 4)),
    "kernel": gaussian_kernel,
    "sparse": counts,
    "kahan": kahan,
}


@cache
def matrix(name):
    return MATRICES[name]()


@cache
def spectrum_of(name, most=128):
    """(leading singular values, Frobenius norm) of a matrix: computed once, kept under the hash of its entries."""
    A = matrix(name)
    data = A.data if sparse.issparse(A) else A
    file = CACHE / f"{name}-{blake2b(np.ascontiguousarray(data), digest_size=6).hexdigest()}.npy"
    if not file.exists():
        s = svds(A, most, return_singular_vectors=False, rng=0) if sparse.issparse(A) else linalg.svdvals(A)
        CACHE.mkdir(exist_ok=True)
        np.save(file, np.sort(s)[::-1])
    return np.load(file), np.linalg.norm(data)


def best_error(name, rank, norm="fro"):
    """The smallest error of rank `rank`, by Eckart and Young; in the Frobenius or the spectral norm."""
    s, total = spectrum_of(name)
    if norm == 2:
        return s[rank]
    if len(s) == min(matrix(name).shape):
        return np.linalg.norm(s[rank:])
    return np.sqrt(total**2 - np.sum(s[:rank]**2))


def excess(name, rank, left, right):
    """||A - left @ right||_F over the smallest error of this rank. A sparse A is never filled in."""
    A = matrix(name)
    if sparse.issparse(A):                              # no cancellation to fear where the error is as large as A
        squares = np.sum(A.data**2) - 2 * np.vdot(A.T.conj() @ left, right.conj().T).real
        squares += np.vdot(left.conj().T @ left, right @ right.conj().T).real
        error = np.sqrt(max(squares, 0))
    else:
        error = np.linalg.norm(A - left @ right)
    return error / best_error(name, rank)

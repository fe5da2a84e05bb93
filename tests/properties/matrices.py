"""The matrices that every function of Part I must survive: named hard cases, and a hypothesis strategy."""

import numpy as np
import scipy.linalg
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

FLOATS = [np.float32, np.float64, np.complex64, np.complex128]

# The ways in which one matrix may be stored.
KINDS = {
    "dense": lambda A: A,
    "Fortran order": np.asfortranarray,
    "strided": lambda A: np.repeat(np.repeat(A, 2, axis=0), 3, axis=1)[::2, ::3],
    "csr": sparse.csr_array,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "sparse matrix": sparse.csr_matrix,
    "operator": aslinearoperator,
}


def eps(A):
    """Machine precision of the dtype in which the package works on A."""
    return np.finfo(A.dtype if A.dtype.kind in "fc" else np.float64).eps


def double(A):
    """A in double precision: what exact answers are computed from."""
    return A.astype(np.result_type(A, np.float64))


def kahan(n, theta=1.2):
    """Upper triangular, with columns of equal norm after each step of pivoted QR: it defeats greedy pivoting."""
    s, c = np.sin(theta), np.cos(theta)
    return np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))


def lauchli(n, small):
    """A row of ones above small * I: A^T A forgets `small` once its square is below eps."""
    return np.vstack([np.ones((1, n)), small * np.eye(n)])


def _hard_cases():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal
    orthogonal = np.linalg.qr(normal((12, 12)))[0]
    repeated = normal((10, 6))[:, [0, 1, 1, 2, 0, 5]]
    graded = np.linalg.qr(normal((15, 10)))[0] * 10.0 ** -np.arange(0, 20, 2)
    return {
        "random tall": normal((15, 8)),
        "random wide": normal((8, 15)),
        "random square": normal((9, 9)),
        "1 x 1": np.array([[-3.0]]),
        "1 x n": normal((1, 7)),
        "n x 1": normal((7, 1)),
        "zero": np.zeros((6, 4)),
        "identity": np.eye(7),
        "ones": np.ones((5, 8)),
        "exactly rank 3": np.rint(3 * normal((12, 3))) @ np.rint(3 * normal((3, 10))),
        "repeated columns": repeated,
        "repeated singular values": orthogonal[:, :9] * np.repeat([4.0, 2.0, 1.0], [4, 4, 1]) @ np.linalg.qr(normal((9, 9)))[0],
        "one column is zero": np.where(np.arange(6) == 2, 0.0, normal((9, 6))),
        "orthogonal": orthogonal,
        "equal rows": np.repeat(normal((3, 9)), 4, axis=0),
        "Kronecker product": np.kron(np.ones((3, 4)), np.eye(3)),
        "circulant": scipy.linalg.circulant([1.0, 1, 0, 0, 0, 0, 0, 0]),
        "Hadamard": np.kron(scipy.linalg.hadamard(8), np.ones((2, 2))),
        "arrow": np.eye(9) + np.outer(np.eye(9)[0], np.ones(9)) + np.outer(np.ones(9), np.eye(9)[0]),
        "permutation": np.eye(7, 10)[[3, 1, 6, 0, 2, 5, 4]],
        "Hilbert": scipy.linalg.hilbert(12),
        "Kahan": kahan(20),
        "Vandermonde": np.vander(np.linspace(0, 1, 14), 10),
        "Lauchli": lauchli(6, 1e-9),
        "graded columns": graded,
        "nilpotent": np.diag(np.ones(7), 1),
        "units": np.diag(10.0 ** np.arange(-8.0, 9, 4)),
        "integers": np.arange(20).reshape(5, 4) % 7,
        "booleans": np.arange(20).reshape(4, 5) % 3 == 0,
        "int8 at its ends": np.array([[127, -128, 3], [-128, 127, 1]], np.int8),
    }


HARD = _hard_cases()
HARD |= {f"complex {name}": A * (1 + 0.5j) + 0.3j * np.roll(A, 1, axis=0) for name, A in HARD.items() if A.dtype == np.float64}


def random_matrix(seed, shape, rank, dtype, scale):
    """A matrix of given rank at most, dtype and scale."""
    rng = np.random.default_rng(seed)
    m, n = shape
    factors = [rng.standard_normal(size) for size in ((m, rank), (rank, n))]
    if np.dtype(dtype).kind == "c":
        factors = [F + 1j * rng.standard_normal(F.shape) for F in factors]
    return (factors[0] @ factors[1] * scale).astype(dtype)


@st.composite
def any_matrix(draw, dtypes=FLOATS, max_side=12):
    """Any shape up to max_side, any rank, any working dtype, scales 1e-150 .. 1e150 (float32: 1e-15 .. 1e15)."""
    m, n = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    dtype = draw(st.sampled_from(dtypes))
    largest = 15 if np.dtype(dtype).char in "fF" else 150
    return random_matrix(draw(st.integers(0, 2**32 - 1)), (m, n), draw(st.integers(0, min(m, n))), dtype,
                         10.0 ** draw(st.integers(-largest, largest)))


def assert_unchanged(A, call):
    """call(A) leaves every bit of A as it was, and returns its result."""
    before = A.copy()
    result = call(A)
    np.testing.assert_array_equal(A, before)
    return result


def long_matrix(m, condition, dtype, dependent=False):
    """m x 9 with singular values from sqrt(m) down; or with a ninth column that the others give."""
    rng = np.random.default_rng(m)
    G = rng.standard_normal((m, 9))
    W = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    A = G @ np.linalg.cholesky(np.linalg.inv(G.T @ G / m)) * np.geomspace(1, 1 / condition, 9) @ W
    if dependent:
        A[:, 8] = A[:, :8] @ rng.uniform(-1, 1, 8)
    return A.astype(dtype)


def stored_in_parts(form, dtype=np.float64, index=np.int32):
    """A sparse matrix with unsorted rows, duplicates and an explicit zero, and what it stands for."""
    rows, columns = np.array([0, 3, 0, 0, 2, 2, 2, 1, 3, 3]), np.array([4, 1, 1, 4, 2, 2, 2, 0, 1, 0])
    parts = np.array([3, -2, 5, -7, 1, 1, 1, 0, -2, 4]).astype(dtype)
    parts = parts * dtype(1 - 2j) if np.dtype(dtype).kind == "c" else parts
    A = np.zeros((5, 6), np.result_type(dtype, np.float64))
    np.add.at(A, (rows, columns), parts)
    if form == "coo":
        return sparse.coo_array((parts, (rows.astype(index), columns.astype(index))), shape=A.shape), A
    major, minor = (rows, columns) if form == "csr" else (columns, rows)
    order = np.argsort(major, kind="stable")
    count = A.shape[0] if form == "csr" else A.shape[1]
    indptr = np.searchsorted(major[order], np.arange(count + 1)).astype(index)
    kind = {"csr": sparse.csr_array, "csc": sparse.csc_array}[form]
    return kind((parts[order], minor[order].astype(index), indptr), shape=A.shape), A


def bits(A):
    """Everything that a SciPy sparse matrix stores, its flags included."""
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in vars(A).items()}


def in_parts(A, seed=0, form=sparse.csr_array):
    """The matrix A as a sparse one that stores every entry in two parts, whose squares add up to less than its own."""
    rng, (m, n) = np.random.default_rng(seed), A.shape
    part = A * rng.uniform(size=A.shape)
    data, indices = np.hstack([part, A - part]), np.tile(np.arange(n), (m, 2))
    csr = sparse.csr_array((data.ravel(), indices.ravel(), np.arange(m + 1) * 2 * n), shape=A.shape)
    return form(csr)

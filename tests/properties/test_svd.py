"""Truncated SVD: exact to round-off on every hard matrix, by both paths, in any unit and from any kind of input."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from lowrank.svd import TruncatedSVD, rank_for_tol, truncated_svd
from tests.properties.matrices import HARD, any_matrix, assert_unchanged, double, eps, in_parts

KNOWN = {}


def exact_values(A):
    """The singular values; kept, since most matrices are looked at at several ranks."""
    A = double(A)
    key = A.shape, A.dtype, hash(A.tobytes())
    if key not in KNOWN:
        KNOWN[key] = np.linalg.svd(A, compute_uv=False)
    return KNOWN[key]


def assert_is_truncated_svd(result, A, rank):
    """Shapes, orthonormal factors, the exact values, and the best possible error: all to round-off."""
    U, s, Vh = result
    s_all, A = exact_values(A), double(A)
    allowed = 40 * max(A.shape) * eps(U)
    unit = s_all[0] or 1.0
    assert U.shape == (A.shape[0], rank) and s.shape == (rank,) and Vh.shape == (rank, A.shape[1])
    assert np.all(np.diff(s) <= 0) and np.all(s >= 0)
    assert np.abs(U.conj().T @ U - np.eye(rank)).max() <= allowed
    assert np.abs(Vh @ Vh.conj().T - np.eye(rank)).max() <= allowed
    assert np.abs(s - s_all[:rank]).max() <= allowed * unit
    assert np.linalg.norm(A @ Vh.conj().T - U * s) <= allowed * unit * rank**0.5
    assert np.linalg.norm(A.conj().T @ U - Vh.conj().T * s) <= allowed * unit * rank**0.5
    assert np.linalg.norm(A - result.reconstruct(), 2) <= (s_all[rank] if rank < len(s_all) else 0) + allowed * unit
    size = np.abs(U)                                    # of entries that tie, the first one counts
    first = (size >= size.max(0) * (1 - eps(U) ** 0.5)).argmax(0)
    largest = np.take_along_axis(U, first[None], 0)
    assert np.all(largest.real > 0) and np.all(np.abs(largest.imag) <= allowed)


@pytest.mark.parametrize("name", HARD)
def test_every_rank_of_every_hard_matrix(name):
    A = HARD[name]
    for rank in range(1, min(A.shape) + 1):
        result = assert_unchanged(A, lambda B: truncated_svd(B, rank))
        assert isinstance(result, TruncatedSVD) and (result.rank, result.shape) == (rank, A.shape)
        assert_is_truncated_svd(result, A, rank)


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("tol", [0.0, 1e-10, 1e-3, 0.5])
def test_tol_gives_the_smallest_rank(name, tol):
    A = double(HARD[name])
    result = truncated_svd(A, tol=tol)
    total, s = np.linalg.norm(A), exact_values(A)
    floor = 100 * eps(A) * total
    assert np.linalg.norm(A - result.reconstruct()) <= tol * total + floor
    assert result.rank == 1 or np.linalg.norm(s[result.rank - 1:]) > tol * total - floor


@given(any_matrix(), st.data())
def test_the_unit_does_not_matter(A, data):
    rank = data.draw(st.integers(1, min(A.shape)))
    U, s, Vh = truncated_svd(A, rank)
    V, t, Wh = truncated_svd(A * A.real.dtype.type(2.0**20), rank)
    assert U.dtype == Vh.dtype == A.dtype and s.dtype == A.real.dtype
    for ours, shifted in ((U, V), (s * s.dtype.type(2.0**20), t), (Vh, Wh)):
        np.testing.assert_array_equal(ours, shifted)


def large(kind, m=900, n=700):
    """Matrices of a size at which products beat the full decomposition."""
    rng = np.random.default_rng(3)
    Q, W = (np.linalg.qr(rng.standard_normal((k, 300)))[0] for k in (m, n))
    s = {"fast": 10.0 ** (-np.arange(300) / 10), "slow": 1 / np.arange(1, 301.0), "flat": np.ones(300),
         "fourfold": np.repeat(0.9 ** np.arange(75), 4), "rank 5": 1.0 * (np.arange(300) < 5),
         "step": np.where(np.arange(300) < 20, 1.0, 1e-9)}[kind]
    return (Q * s) @ W.T, s


@pytest.mark.parametrize("rank", [1, 6, 30])
@pytest.mark.parametrize("kind", ["fast", "slow", "flat", "fourfold", "rank 5", "step"])
def test_few_triples_of_a_large_matrix(kind, rank):
    A, s = large(kind)
    U, values, Vh = result = truncated_svd(A, rank)
    assert np.abs(values - s[:rank]).max() <= 1e-12
    assert np.linalg.norm(A @ Vh.T - U * values) <= 1e-12
    assert np.abs(U.T @ U - np.eye(rank)).max() <= 1e-12
    assert np.linalg.norm(A - result.reconstruct()) <= np.linalg.norm(s[rank:]) * (1 + 1e-6) + 1e-11
    again = truncated_svd(A, rank)
    assert all(np.array_equal(x, y) for x, y in zip(result, again))           # deterministic


EQUAL_ROWS = np.arange(1.0, 501) % 7 + 1j * np.cos(np.arange(500))


@pytest.mark.parametrize("A", [np.ones((700, 500)), np.full((500, 700), 1 + 0.8j), np.tile(EQUAL_ROWS, (700, 1)),
                               np.repeat([EQUAL_ROWS, EQUAL_ROWS.conj()[::-1]], 350, axis=0),
                               np.kron(np.vander([0.5, 1, 1.5, 2]), np.ones((128, 128))),
                               np.tri(512), np.minimum.outer(np.arange(512), np.arange(512))],
                         ids=["ones", "complex ones", "equal rows", "two kinds of rows", "blocks", "triangle", "minimum"])
@pytest.mark.parametrize("rank", [1, 3, 30, 60])
def test_round_off_with_the_structure_of_the_matrix(A, rank):
    """What is left beyond the rank is round-off that lies in the space already found; noise must replace it."""
    for B in (A, A.conj().T):
        assert_is_truncated_svd(truncated_svd(B, rank), B, rank)


@pytest.mark.parametrize("rank", [2, 7, 8, 30])
def test_pairs_of_crowded_singular_values(rank):
    """A circulant matrix: all values but two are double, and neighbours differ by 1e-4 and less."""
    A = scipy.linalg.circulant(np.r_[1.0, 1.0, np.zeros(510)])
    result = truncated_svd(A, rank)
    assert np.abs(result.s - exact_values(A)[:rank]).max() <= 1e-13
    assert np.abs(result.U.T @ result.U - np.eye(rank)).max() <= 1e-13


@pytest.mark.parametrize("stored", [sparse.csr_array, sparse.csc_matrix, aslinearoperator])
@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_sparse_and_operator_input(stored, unit):
    A = np.where(np.random.default_rng(4).random((800, 600)) < 0.02, large("slow", 800, 600)[0] + 0.1, 0) * unit
    result = truncated_svd(stored(A), 8)
    assert np.abs(result.s / unit - exact_values(A / unit)[:8]).max() <= 1e-11
    assert truncated_svd(stored(A[:, :40]), tol=0.1).rank == truncated_svd(A[:, :40], tol=0.1).rank


def test_stacks():
    stack = np.random.default_rng(5).standard_normal((2, 3, 6, 4)) * np.array([1e-150, 1, 1e150])[:, None, None]
    result = truncated_svd(stack, 2)
    assert (result.shape, result.rank) == (stack.shape, 2)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(result.s[index], truncated_svd(stack[index], 2).s, rtol=1e-13)
    ranks = [truncated_svd(stack[index], tol=0.4).rank for index in np.ndindex(2, 3)]
    assert truncated_svd(stack, tol=0.4).rank == max(ranks)


@pytest.mark.parametrize("arguments, kind, message", [
    ((np.eye(3), 0), ValueError, r"rank is 0; allowed is an integer from 1 to 3"),
    ((np.eye(3), 4), ValueError, r"rank is 4; allowed is an integer from 1 to 3"),
    ((np.eye(3), 1.5), TypeError, "rank is 1.5"),
    ((np.eye(3),), ValueError, "give exactly one"),
    (([1.0, 2.0], 1), ValueError, r"A has shape \(2,\)"),
    ((np.zeros((0, 3)), 1), ValueError, r"A has shape \(0, 3\)"),
    (([[np.inf, 1.0]], 1), ValueError, "A contains 0 NaN and 1 Inf"),
    (([["a"]], 1), TypeError, "A has dtype <U1"),
    ((np.array([[None]]), 1), TypeError, "A has dtype object"),
    ((sparse.csr_array(np.array([[np.nan, 1.0]])), 1), ValueError, "NaN"),
])
def test_bad_input_is_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        truncated_svd(*arguments)


def test_an_operator_without_adjoint_is_named():
    from scipy.sparse.linalg import LinearOperator

    with pytest.raises(TypeError, match="A is a LinearOperator without an adjoint"):
        truncated_svd(LinearOperator((500, 400), matvec=lambda x: np.resize(x, 500), dtype=float), 3)


@given(st.lists(st.floats(0, 1e200), min_size=1, max_size=12), st.floats(0, 0.999))
def test_rank_for_tol_is_the_smallest_that_passes(values, tol):
    s = np.sort(values)[::-1]
    rank = rank_for_tol(s, tol)
    relative = s / (s[0] or 1)
    tail = lambda r: np.linalg.norm(relative[r:])
    assert 1 <= rank <= len(s)
    assert tail(rank) <= tol * tail(0) * (1 + 1e-12) or rank == len(s)
    assert rank == 1 or tail(rank - 1) > tol * tail(0) * (1 - 1e-12)


def test_a_tolerance_for_entries_that_are_stored_in_parts():
    """A large sparse matrix with a slow spectrum, of which 0.9 of the norm may go."""
    rng = np.random.default_rng(9)
    A = rng.standard_normal((300, 240)) / np.sqrt(1 + np.arange(240))
    for tol in (0.9, 0.7, 0.4):
        for B in (in_parts(A), in_parts(A, form=sparse.csc_array)):
            found = truncated_svd(B, tol=tol)
            assert found.rank == truncated_svd(A, tol=tol).rank
            assert np.linalg.norm(A - found.reconstruct()) <= tol * np.linalg.norm(A)


def test_what_does_not_fit_into_memory_is_named(monkeypatch):
    """LAPACK needs several arrays of the size of A; whichever is missing, the message says which A it was."""
    def no_room(A):
        raise MemoryError("Unable to allocate 4.47 GiB")

    monkeypatch.setattr("lowrank.svd.thin_svd", no_room)
    for A in (np.eye(40, 30, dtype=np.float32), np.eye(30, 40), sparse.csr_array(np.eye(30, 40))):
        with pytest.raises(MemoryError, match=rf"A has shape \({A.shape[0]}, {A.shape[1]}\): as an array of {A.dtype}"):
            truncated_svd(A, 20)

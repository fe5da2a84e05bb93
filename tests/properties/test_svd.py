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


def counted(A, adjoint=None, dtype=float):
    """A LinearOperator, and the list of the columns that it was multiplied by."""
    from scipy.sparse.linalg import LinearOperator

    columns = []

    def product(M):
        def by(X):
            columns.append(X.shape[1] if X.ndim == 2 else 1)
            return M(X)
        return by

    adjoint = adjoint or (lambda Y: A.conj().T @ Y)
    apply, back = product(lambda X: A @ X), product(adjoint)
    return LinearOperator(A.shape, apply, back, matmat=apply, rmatmat=back, dtype=dtype), columns


@pytest.mark.parametrize("shape", [(900, 700), (700, 900)])
def test_products_in_single_precision_are_no_endless_task(shape):
    """An operator that answers in double and computes in single: what is attained is found, and soon."""
    rng = np.random.default_rng(6)
    A = (rng.standard_normal((shape[0], 3)) @ rng.standard_normal((3, shape[1]))).astype(np.float32)
    single = lambda M: lambda X: (M @ X.astype(np.float32)).astype(float)
    operator, columns = counted(A, single(A.T))
    operator._CustomLinearOperator__matvec_impl = operator._CustomLinearOperator__matmat_impl = single(A)
    result = truncated_svd(operator, 3)
    s = exact_values(A)
    assert np.abs(result.s - s[:3]).max() <= 1e-6 * s[0] and sum(columns) <= 60
    assert np.linalg.norm(A @ result.Vh.T - result.U * result.s) <= 1e-5 * s[0]
    assert np.abs(result.U.T @ result.U - np.eye(3)).max() <= 1e-12


@pytest.mark.parametrize("factor", [1.001, 2.0, -1.0])
def test_an_adjoint_that_belongs_to_another_operator(factor):
    A = large("slow")[0]
    with pytest.raises(np.linalg.LinAlgError, match="its adjoint do not belong together"):
        truncated_svd(counted(A, lambda Y: factor * (A.T @ Y))[0], 5)


@pytest.mark.parametrize("kind, most", [("fast", 60), ("slow", 100), ("flat", 250), ("fourfold", 300), ("rank 5", 60)])
def test_products_are_few(kind, most):
    A, s = large(kind)
    operator, columns = counted(A)
    result = truncated_svd(operator, 6)
    assert np.abs(result.s - s[:6]).max() <= 1e-12 and sum(columns) <= 2 * most


def test_a_hopeless_spectrum_ends_within_the_budget():
    """A large sparse graph without structure: the answer comes by another way, after n / 4 columns at most."""
    rng = np.random.default_rng(7)
    A = sparse.random_array((1200, 1000), density=0.02, rng=rng, format="csr")
    A.data = rng.standard_normal(A.nnz)
    result = truncated_svd(A, 150)
    assert_is_truncated_svd(result, A.toarray(), 150)


def test_more_than_the_memory_holds_is_restarted():
    """A long diagonal whose chain would need more vectors than are kept."""
    from scipy.sparse.linalg import LinearOperator

    d = 1 / np.sqrt(np.arange(1.0, 200_001))
    product = lambda X: (d * X.T).T
    operator = LinearOperator((200_000, 200_000), product, product, product, float, product)
    result = truncated_svd(operator, 12)
    assert np.abs(result.s - d[:12]).max() <= 1e-13
    assert np.abs(np.abs(result.U[:12]) - np.eye(12)).max() <= 1e-9


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("smallest", [5e-324, 1e-310, np.float32(1e-45)])
def test_the_smallest_numbers(make, smallest):
    A = np.full((260, 250), smallest)
    result = truncated_svd(make(A), 2)
    assert result.s[0] == pytest.approx(float(np.sqrt(260 * 250)) * float(smallest), rel=0.01)
    assert result.s[1] <= 1e-3 * result.s[0]
    assert np.abs(result.U.T @ result.U - np.eye(2)).max() <= 40 * eps(A)


@pytest.mark.parametrize("dtype, block", [(np.float32, v) for v in (1e-20, 1e-23, 1e-25, 1e-38)]
                         + [(np.float64, v) for v in (1e-160, 1e-161, 1e-170, 1e-300)])
def test_orthonormal_where_squares_underflow(dtype, block):
    A = np.zeros((300, 260), dtype)
    A[0, 0], A[100:120, 100:130] = 1, block * np.random.default_rng(8).standard_normal((20, 30))
    for B in (A, A.T, sparse.csr_array(A)):
        for rank in (2, 5):
            U, s, Vh = truncated_svd(B, rank)
            assert abs(s[0] - 1) <= 10 * eps(A) and s[1] <= 1e-6
            for X in (U, Vh.T):
                assert np.abs(X.T @ X - np.eye(rank)).max() <= 60 * eps(A)


@pytest.mark.parametrize("m, n, rank", [(30, 1_000_000, 2), (1_000_000, 30, 7), (330, 60_000, 20)])
def test_a_sparse_matrix_with_a_short_side_stays_sparse(m, n, rank, monkeypatch):
    from lowrank import linear_map

    A = sparse.random_array((m, n), density=1e-3, rng=np.random.default_rng(9), format="csr")
    monkeypatch.setattr(linear_map._SparseMap, "_dense", None)
    U, s, Vh = truncated_svd(A, rank)
    short = (A @ A.T if m < n else A.T @ A).toarray()
    assert np.abs(s - np.sqrt(np.linalg.eigvalsh(short)[::-1][:rank])).max() <= 1e-12 * s[0]
    assert np.abs(A @ Vh.T - U * s).max() <= 1e-13 * s[0] and np.abs(A.T @ U - Vh.T * s).max() <= 1e-13 * s[0]


def test_a_short_side_with_values_that_squares_forget():
    rng = np.random.default_rng(10)
    A = sparse.random_array((100_000, 30), density=0.01, rng=rng, format="csr") @ sparse.diags_array(10.0 ** -np.arange(30))
    result = truncated_svd(A, 9)
    assert_is_truncated_svd(result, A.toarray(), 9)


def test_a_tolerance_in_single_precision_needs_no_array(monkeypatch):
    from lowrank import linear_map

    rng = np.random.default_rng(11)
    left, right = (sparse.random_array(shape, density=0.05, rng=rng) for shape in ((3000, 8), (8, 2000)))
    A = (left @ right).astype(np.float32).tocsr()
    monkeypatch.setattr(linear_map._SparseMap, "_dense", None)
    result = truncated_svd(A, tol=0.002)
    assert result.dtype == np.float32 and result.rank == truncated_svd(A.astype(float), tol=0.002).rank
    assert np.linalg.norm(A.toarray() - result.reconstruct()) <= 0.002 * np.linalg.norm(A.data)


def test_a_tolerance_beyond_the_memory_names_the_matrix():
    A = sparse.eye_array(20_000, 30_000, format="csr")
    with pytest.raises(np.linalg.LinAlgError, match="A is 30000 x 20000, and tol = 1e-09"):
        truncated_svd(A, tol=1e-9)


@pytest.mark.parametrize("copies", [2, 3, 12])
def test_every_copy_of_a_singular_value(copies):
    """A matrix that falls into equal pieces; single vectors see each of its values once."""
    piece = np.diag(np.full(50, 2.0)) - np.eye(50, k=1) - np.eye(50, k=-1)
    A = sparse.block_diag([piece] * copies, format="csr")
    s = np.repeat(np.linalg.svd(piece, compute_uv=False), copies)
    for rank in {1, copies - 1, copies, min(copies + 3, 8 * copies), 10}:
        U, found, Vh = truncated_svd(A, rank)
        assert np.abs(found - s[:rank]).max() <= 1e-13
        assert np.abs(A @ Vh.T - U * found).max() <= 1e-13 and np.abs(Vh @ Vh.T - np.eye(rank)).max() <= 1e-13


@pytest.mark.parametrize("options", [{"rank": 2}, {"rank": 60}, {"tol": 0.5}])
def test_a_user_who_raises_on_everything(options):
    rng = np.random.default_rng(12)
    A = rng.standard_normal((300, 260))
    tiny = np.where(rng.random(260) < 0.5, 1e-300, 1.0)
    with np.errstate(all="raise"):
        for B in (A, A * tiny, 1e300 * A, A[:20, :20], np.zeros((300, 260)), np.ones((300, 260)), sparse.csr_array(A)):
            assert np.isfinite(truncated_svd(B, **{**options, **({"rank": 9} if B.shape[0] < 60 and "rank" in options else {})}).s).all()


@pytest.fixture
def columns(monkeypatch):
    """How many columns arrays and sparse matrices have been multiplied by, from left or right, since `clear()`."""
    from lowrank import linear_map

    seen = []
    for kind in (linear_map.DenseMap, linear_map._SparseMap):
        for name in ("_times", "_adjoint_times"):
            product = getattr(kind, name)
            monkeypatch.setattr(kind, name, lambda M, X, product=product: seen.append(X.shape[1]) or product(M, X))
    return seen


@pytest.mark.parametrize("kind, counts", [("fast", (36, 42, 122, 358)), ("slow", (28, 54, 150, 346)),
                                          ("rank 5", (17, 23, 69, 189)), ("fourfold", (114, 144, 202, 316))])
def test_a_step_costs_two_products_and_few_steps_are_in_vain(columns, kind, counts):
    A, _ = large(kind)
    for rank, most in zip((1, 6, 30, 90), counts):
        for B in (A, A.T):
            columns.clear()
            truncated_svd(B, rank)
            slack = 1 if kind in ("fast", "slow") and rank < 90 else 0.1 * most       # no round-off is in these
            assert abs(sum(columns) - most) <= slack or sum(columns) < most and slack > 1, (rank, sum(columns))


def with_spectrum(m, s, dtype=float):
    rng = np.random.default_rng(13)
    Q, W = (np.linalg.qr(rng.standard_normal((k, len(s))) + (dtype is complex) * 1j * rng.standard_normal((k, len(s))))[0]
            for k in (m, len(s)))
    return (Q * s) @ W.conj().T


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("stored, share", [(np.asarray, 1 / 8), (sparse.csr_array, 1 / 4)])
def test_the_patience_with_a_flat_spectrum(columns, stored, share, dtype):
    """Steps for a share of the short side, and one product more with the eigenvectors of A^H A."""
    A = with_spectrum(600, np.linspace(1, 0.95, 480), dtype)
    result = truncated_svd(stored(A), 8)
    assert 0.8 * share * 480 * 2 <= sum(columns) - 8 <= share * 480 * 2 and columns[-1] == 8
    assert_is_truncated_svd(result, A, 8)


def test_the_patience_with_small_values_that_lie_close(columns):
    """Squares would lose these, so half of the columns are tried before LAPACK takes over."""
    A = with_spectrum(600, np.r_[1, np.linspace(0.05, 0.0499, 479)])
    result = truncated_svd(A, 8)
    assert 0.8 * 480 <= sum(columns) <= 480 and set(columns) == {1}
    assert_is_truncated_svd(result, A, 8)


@pytest.mark.parametrize("shape, rank, direct", [
    ((40, 500), 1, True), ((41, 500), 1, True), ((200, 300), 1, True), ((201, 300), 1, False), ((300, 201), 1, False),
    ((200, 83_000), 1, True), ((200, 84_000), 1, False), ((40, 420_000), 1, True), ((41, 410_000), 1, False),
    ((500, 300), 60, False), ((500, 300), 61, True)])
def test_when_all_singular_values_are_computed(columns, monkeypatch, shape, rank, direct):
    """The sizes of the docstring; the matrix is zero, and its memory is never touched."""
    monkeypatch.setattr("lowrank.svd.thin_svd", lambda A: (np.eye(len(A), min(A.shape)), np.zeros(min(A.shape)),
                                                           np.eye(min(A.shape), A.shape[1])))
    result = truncated_svd(np.zeros(shape, np.float32), rank)
    assert result.rank == rank and (not columns) == direct


@pytest.mark.parametrize("m, n, squared", [(12_000, 250, True), (4000, 1000, True), (4100, 1010, False), (3900, 990, False)])
def test_a_sparse_matrix_with_a_short_side_is_squared(columns, m, n, squared):
    """One product with the vectors found, where n <= min(m / 4, 1000) and rows are short."""
    rng = np.random.default_rng(14)
    A = sparse.random_array((m, n), density=0.002, rng=rng, format="csr")
    A.data = rng.standard_normal(A.nnz)
    truncated_svd(A, 3)
    assert (columns == [3]) == squared


def test_a_long_vector_is_kept_as_often_as_its_rank_asks():
    """Bases of more than 2^19 numbers a pair are restarted beyond 64 + 4 r columns: room for all triples."""
    from scipy.sparse.linalg import LinearOperator

    d, columns = np.r_[1 / np.arange(1.0, 81), np.full(1920, 1e-4)], []
    apply = lambda X: columns.append(X.shape[-1]) or np.r_[(d * X.T).T, np.zeros((530_000 - len(d), *X.shape[1:]))]
    back = lambda Y: columns.append(Y.shape[-1]) or (d * Y[:len(d)].T).T
    operator = LinearOperator((530_000, len(d)), apply, back, apply, float, back)
    assert np.abs(truncated_svd(operator, 36).s - d[:36]).max() <= 1e-13
    assert len(columns) <= 200


@pytest.mark.parametrize("factor, direct", [(0.999, True), (1.001, False)])
def test_below_which_tolerance_all_singular_values_are_computed(columns, factor, direct):
    A = with_spectrum(300, 10.0 ** -np.arange(250.0))
    truncated_svd(A, tol=factor * 64 * 2.0**-26)
    assert (not columns) == direct


def test_the_memory_is_twice_that_of_the_long_vectors():
    import tracemalloc

    rng = np.random.default_rng(15)
    m, n, rank = 330, 200_000, 20
    A = sparse.coo_array((rng.standard_normal(66_000), (rng.integers(m, size=66_000), rng.integers(n, size=66_000))), (m, n))
    A = A.tocsr()
    tracemalloc.start()
    truncated_svd(A, rank)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= (2 * rank + 2) * 8 * n + 2e6

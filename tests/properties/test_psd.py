"""Positive semidefinite matrices: factors below the matrix, close to the best, on everything that is hard."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lowrank.psd import nystrom, rpcholesky
from tests.properties.matrices import FLOATS, HARD, assert_unchanged, random_matrix


def gram(B):
    """B B^H, exactly Hermitian, in the dtype to compute in."""
    B = B.astype(np.result_type(B, np.float32) if B.dtype.kind in "fc" else np.float64)
    A = B @ B.conj().T
    return (A + A.conj().T) / 2


GRAM = {name: gram(B) for name, B in HARD.items()} | {f"adjoint {name}": gram(B.conj().T) for name, B in HARD.items()}


@st.composite
def psd_matrix(draw):
    """A matrix of any order up to 12, any rank, any working dtype and unit."""
    n, dtype = draw(st.integers(1, 12)), draw(st.sampled_from(FLOATS))
    largest = 7 if np.dtype(dtype).char in "fF" else 75
    return gram(random_matrix(draw(st.integers(0, 2**32 - 1)), (n, n), draw(st.integers(0, n)), dtype, 10.0 ** draw(st.integers(-largest, largest))))


def residual(A, result):
    """A - F F^H and norm(A), with A in a unit in which its norm is about 1; and n eps."""
    unit = float(np.abs(A).max()) or 1.0
    F = result.F.astype(np.complex128) / unit**0.5
    E = A.astype(np.complex128) / unit - F @ F.conj().T
    return (E + E.conj().T) / 2, np.linalg.norm(A.astype(np.complex128) / unit, 2), len(A) * np.finfo(A.dtype).eps


def check(A, result, rank):
    """The certificate, the shape and the dtype."""
    E, norm, n_eps = residual(A, result)
    assert result.F.dtype == A.dtype and result.F.shape[0] == len(A) and result.F.shape[1] <= rank
    assert np.linalg.eigvalsh(E)[0] >= -10 * n_eps * norm
    return E, norm, n_eps


def check_pivots(A, result, rank):
    E, norm, n_eps = check(A, result, rank)
    F, pivots = result
    k, unit = len(pivots), float(np.abs(A).max()) or 1.0
    assert F.shape == (len(A), k) and len(set(pivots.tolist())) == k
    assert np.array_equal(F[pivots], np.tril(F[pivots])) and np.all(F[pivots].diagonal().real > 0)
    assert np.abs(E[:, pivots]).max(initial=0) <= 10 * n_eps * norm             # chosen columns are reproduced
    assert abs(np.trace(E).real - result.trace_error / unit) <= 10 * len(A) * n_eps * norm
    assert k == rank or np.trace(E).real <= 10 * len(A) * n_eps * norm          # stops early only when nothing is left


@pytest.mark.parametrize("name", GRAM)
def test_hard_matrices(name):
    A = GRAM[name]
    for rank in sorted({1, min(3, len(A)), len(A)}):
        for seed, block in enumerate((1, 2, 5, None)):
            check_pivots(A, assert_unchanged(A, lambda A: rpcholesky(A, rank, block=block, rng=seed)), rank)
        approx = assert_unchanged(A, lambda A: nystrom(A, rank, rng=0))
        E, norm, n_eps = check(A, approx, rank)
        assert approx.F.shape == (len(A), rank)
        values = np.linalg.norm(approx.F.astype(np.complex128), axis=0)
        assert np.all(values[1:] <= values[:-1] * (1 + 1e-6))
        if rank + 10 >= len(A):                             # the sketch holds all of A: the best approximation
            tail = np.linalg.eigvalsh(E + (approx.F @ approx.F.conj().T / (np.abs(A).max() or 1)))[:len(A) - rank].sum()
            assert np.trace(E).real <= tail + 100 * len(A) * n_eps * norm


@given(psd_matrix(), st.integers(1, 12), st.sampled_from([None, 1, 3, 20]), st.integers(0, 1000))
def test_any_matrix(A, rank, block, seed):
    rank = min(rank, len(A))
    check_pivots(A, rpcholesky(A, rank, block=block, rng=seed), rank)
    check(A, nystrom(A, rank, oversample=seed % 4, rng=seed), rank)


@pytest.mark.parametrize("method", [rpcholesky, nystrom])
def test_how_it_is_stored_and_in_which_unit_does_not_matter(method):
    A = gram(random_matrix(0, (40, 40), 40, np.complex128, 1.0) * 0.9 ** np.arange(40))
    F = method(A, 8, rng=1).F
    kinds = [np.asfortranarray(A), sparse.csr_array(A), sparse.csc_matrix(A), sparse.coo_array(A)]
    kinds += [aslinearoperator(A)] if method is nystrom else [(A.diagonal().real + 0j, lambda J, I=slice(None): A[I][:, J])]
    options = {"block": 8} if method is rpcholesky else {}
    for kind in kinds:
        G = method(kind, 8, rng=1, **options).F
        assert np.allclose(G @ G.conj().T, F @ F.conj().T, atol=1e-12 * np.abs(A).max())
    for power in (-480, -2, 2, 480):
        assert np.array_equal(method(A * 2.0**power, 8, rng=1).F, F * 2.0 ** (power // 2))
    assert np.array_equal(method(A, 8, rng=1).F, F)
    state = np.random.get_state()[1].copy()
    method(A, 8)
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("method", [rpcholesky, nystrom])
def test_integers_and_booleans(method):
    A = np.array([[2, 1, 0], [1, 2, 1], [0, 1, 2]])
    for B in (A, A.astype(np.int8), np.eye(3, dtype=bool)):
        assert np.allclose(method(B, 3, rng=0).reconstruct(), B)
        assert method(B, 3, rng=0).F.dtype == np.float64
    assert method(A.astype(np.float16), 3, rng=0).F.dtype == np.float32


def test_mean_errors_obey_the_bounds():
    """The expected trace errors of both theorems, on three kinds of decay, with a margin for 60 seeds."""
    n, r, epsilon = 150, 6, 0.5
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    j = np.arange(n)
    for values in (0.8**j, 1.0 / (1 + j)**2, np.where(j < r, 1.0, 1e-3)):
        A = (Q * values) @ Q.T
        A = (A + A.T) / 2
        tail, trace = values[r:].sum(), values.sum()
        k = int(np.ceil(r / epsilon + r * np.log(trace / (epsilon * tail))))
        for block in (1, None):
            errors = [rpcholesky(A, min(k, n), block=block, rng=seed).trace_error for seed in range(60)]
            assert np.mean(errors) <= (1 + epsilon) * tail
        for p in (2, 5):
            errors = [trace - np.sum(nystrom(A, r, oversample=p, rng=seed).F**2) for seed in range(60)]
            assert np.mean(errors) <= (1 + r / (p - 1)) * tail


@pytest.mark.parametrize("method", [rpcholesky, nystrom])
@pytest.mark.parametrize("A, rank, kind, message", [
    (np.zeros((3, 4)), 1, ValueError, r"A has shape \(3, 4\); allowed is a square matrix"),
    (np.zeros((0, 0)), 1, ValueError, r"A has shape \(0, 0\)"),
    (np.zeros(3), 1, ValueError, r"A has shape \(3,\)"),
    (np.eye(3), 0, ValueError, "rank is 0; allowed is an integer from 1 to 3"),
    (np.eye(3), 4, ValueError, "rank is 4; allowed is an integer from 1 to 3"),
    (np.eye(3), 1.5, TypeError, "rank is 1.5"),
    (np.full((3, 3), np.nan), 1, ValueError, "contains . NaN"),
    (sparse.csr_array(np.full((3, 3), np.inf)), 1, ValueError, "NaN|Inf"),
    ([["a"]], 1, TypeError, "dtype <U1"),
    (-np.eye(3), 2, ValueError, "A is not positive semidefinite: .*-1; allowed"),
    (np.diag([1.0, 1, 1e-9, -1]), 3, ValueError, "A is not positive semidefinite"),
    (np.ones((4, 4)) - 2 * np.eye(4), 2, ValueError, "A is not positive semidefinite"),
    (np.eye(4) + np.triu(np.ones((4, 4)), 1), 4, ValueError, "A is not Hermitian"),
    (np.eye(4) * (1 + 1j), 2, ValueError, "A is not Hermitian"),
    (np.array([[2, 1j], [1j, 2]]), 2, ValueError, "A is not Hermitian"),
])
def test_bad_matrices_are_named(method, A, rank, kind, message):
    with pytest.raises(kind, match=message):
        method(A, rank, rng=0)


@pytest.mark.parametrize("call, kind, message", [
    (lambda: rpcholesky(np.eye(3), 1, block=0), ValueError, "block is 0; allowed is an integer from 1"),
    (lambda: rpcholesky(np.eye(3), 1, block=1.5), TypeError, "block is 1.5; allowed"),
    (lambda: nystrom(np.eye(3), 1, oversample=-1), ValueError, "oversample is -1; allowed is an integer from 0"),
    (lambda: nystrom(np.eye(3), 1, oversample="2"), TypeError, "oversample is '2'; allowed"),
])
def test_bad_options_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_an_operator_has_no_diagonal():
    with pytest.raises(TypeError, match="A is a .*; allowed here is an array"):
        rpcholesky(aslinearoperator(np.eye(3)), 1)


def test_round_off_is_forgiven():
    """Kernel matrices as people compute them: asymmetric and indefinite by a few units in the last place."""
    X = np.random.default_rng(1).uniform(0, 1, (150, 3))
    for dtype in (np.float64, np.float32):
        Y = X.astype(dtype)
        squares = np.sum(Y**2, axis=1)
        K = np.exp(-(squares[:, None] + squares - 2 * Y @ Y.T) / 4)
        K[3, 5] = np.nextafter(K[3, 5], dtype(2))
        assert np.linalg.eigvalsh(K.astype(np.float64))[0] < 0
        for seed in range(5):
            for block in (1, None):
                rpcholesky(K, 150, block=block, rng=seed)
            nystrom(K, 60, rng=seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_as_much_is_forgiven_as_the_docstrings_say(dtype):
    """1e5 eps max(diag A) by rpcholesky, 1e5 eps norm(A Omega) by nystrom, of an eigenvalue -t; the sketch is all of A here."""
    n, eps = 60, np.finfo(dtype).eps
    A = np.eye(n, dtype=dtype)
    for method, allowed, near in (rpcholesky, 1e5 * eps, 0.005), (nystrom, 1e5 * eps * (n - 1) ** 0.5, 0.01):
        A[7, 7] = -(1 - near) * allowed
        method(A, n, rng=0)
        A[7, 7] = -(1 + near) * allowed
        with pytest.raises(ValueError, match="A is not positive semidefinite"):
            method(A, n, rng=0)


def exponential(n, dtype, copies=1):
    """exp(-|x - y|) of n / copies points, each `copies` times, as (diagonal, function of indices)."""
    x = np.tile(np.random.default_rng(n).random(n // copies).astype(dtype), copies)
    return np.ones(n, dtype), lambda J, I=slice(None): np.exp(-np.abs(x[I, None] - x[J]))


def left(diagonal, F):
    """tr(A - F F^H) from the diagonal of A and from F, by products in double precision."""
    F = F.astype(np.result_type(F.dtype, float))
    return np.sum(diagonal.real.astype(float)) - sum(np.vdot(f, f).real for f in F.T)


@pytest.mark.parametrize("n, tol, options", [(200_000, 0.01, {"block": 20}), (50_000, 3e-3, {"block": 40}), (50_000, 0.05, {})])
def test_the_reported_error_is_what_is_left_in_single_precision(n, tol, options):
    """n eps is far above the entries of the diagonal that make up the sum."""
    pair = exponential(n, np.float32)
    result = rpcholesky(pair, 400, tol=tol, rng=1, **options)
    assert result.F.dtype == np.float32 and result.rank < 400
    truth = left(pair[0], result.F)
    assert 0.99 < truth / result.trace_error < 1.01
    assert 0.5 * tol * n < truth <= tol * n                 # met, and not by far more columns than it takes


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_the_reported_error_bounds_the_norms(dtype):
    """At any rank, also where nothing is left but rounding errors of some eps tr A."""
    A = gram(random_matrix(1, (120, 120), 120, dtype, 1.0) * 0.8 ** np.arange(120, dtype=np.float32))
    exact, eps = A.astype(np.complex128), np.finfo(dtype).eps
    for rank in (5, 40, 80, 120):
        for block in (1, None):
            result = rpcholesky(A, rank, block=block, rng=rank)
            F = result.F.astype(np.complex128)
            nuclear = np.abs(np.linalg.eigvalsh(exact - F @ F.conj().T)).sum()
            trace = np.trace(exact).real
            assert abs(np.sum(np.abs((exact - F @ F.conj().T).diagonal())) - result.trace_error) <= 1e-13 * trace
            assert result.trace_error <= nuclear * (1 + 1e-9) <= result.trace_error * (1 + 2e-9) + 100 * eps * trace


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tolerance_below_rounding_is_not_claimed(dtype):
    A = gram(random_matrix(2, (90, 90), 90, dtype, 1.0) * 0.7 ** np.arange(90, dtype=np.float32))
    result = rpcholesky(A, 90, tol=1e-30, rng=0)
    eps = np.finfo(dtype).eps
    assert result.rank < 90 and 1e-30 * np.trace(A) < result.trace_error <= 8 * 90**0.5 * eps * np.trace(A)


@pytest.mark.parametrize("block", [1, 25])
def test_points_that_repeat_are_chosen_once(block):
    """100 000 points, 20 copies of 5000: 300 columns in blocks, no pivot twice, nor a copy of one."""
    n, distinct = 100_000, 5000
    count = 40 if block == 1 else 300
    diagonal, columns = exponential(n, np.float32, n // distinct)
    result = rpcholesky((diagonal, columns), count, block=block, rng=3)
    assert result.rank == count and len(np.unique(result.pivots % distinct)) == count
    assert 0.99 < left(diagonal, result.F) / result.trace_error < 1.01
    few = rpcholesky(exponential(99_990, np.float32, 3333), 60, block=block, rng=3)
    assert few.rank == 30                                   # as many as there are points, and no noise
    assert few.trace_error <= 2 * 4 * 60**0.5 * np.finfo(np.float32).eps * n


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_small_part_of_the_diagonal_is_no_rounding(dtype):
    """1, and n small entries that matter together: a rule by n eps and the largest entry drops them all."""
    n, small = 20_000, 5000 * float(np.finfo(dtype).eps)
    diagonal = np.full(n + 1, small, dtype)
    diagonal[n // 2] = 1
    tol = n * small / (1 + n * small) / 2
    result = rpcholesky(sparse.diags_array(diagonal, format="csr"), 50, tol=tol, rng=0)
    assert result.rank == 50                                # the tolerance is not met, and that is said
    assert np.isclose(result.trace_error, (n - 49) * small, rtol=1e-3)


@pytest.mark.parametrize("dtype, offset, seed", [(np.float32, 5, 0), (np.float32, 5, 1), (np.float32, 20, 2), (np.float64, 20, 3)])
def test_entries_with_larger_errors_than_rounding_end_the_rank(dtype, offset, seed):
    """Squared distances by the formula that cancels: the matrix has negative eigenvalues of many eps."""
    n = 400
    X = (np.random.default_rng(seed).uniform(0, 1, (n, 2)) + offset).astype(dtype)
    squares = np.sum(X**2, axis=1)
    A = np.exp(-(squares[:, None] + squares - 2 * X @ X.T))
    A = (A + A.T) / 2
    w = np.linalg.eigvalsh(A.astype(float))
    assert w[0] < -10 * np.finfo(dtype).eps
    for block in (1, None):
        result = rpcholesky(A, n, block=block, rng=seed)
        F = result.F.astype(float)
        E = A - F @ F.T
        assert result.rank < n
        assert np.isclose(result.trace_error, np.abs(E.diagonal()).sum(), rtol=1e-6)
        assert np.linalg.eigvalsh(E)[0] > 300 * w[0]        # without an end it is 1e5 times as much and more


@pytest.mark.parametrize("weight", [1, 100])
def test_pivots_stand_out_from_the_errors_that_were_seen(weight):
    """Above 4 sqrt(rank) eps (a_ii + tr(A) / n), and above what negative entries had shown by then, beside one heavy point too."""
    n = 200
    X = np.random.default_rng(3).uniform(20, 21, (n, 2))
    squares = np.sum(X**2, axis=1)
    A = weight * np.eye(n + 1)
    A[:n, :n] = np.exp(-(squares[:, None] + squares - 2 * X @ X.T))         # with errors of many eps
    A = (A + A.T) / 2
    F, pivots = rpcholesky(A, n + 1, block=1, rng=3)
    d, seen = A.diagonal(), 4 * (n + 1)**0.5 * np.finfo(float).eps
    unit, first = d + d.mean(), seen
    for f, i in zip(F.T, pivots, strict=True):
        seen = max(seen, np.max(-d / unit))
        assert d[i] > seen * unit[i]
        d = d - f**2
    assert len(pivots) < n and seen > first                                 # it was the errors that ended it


def test_weights_that_carry_errors_to_the_diagonal_are_moderate():
    """The sums of |w_i| in the bound for computed diagonals, for kernels that are rough, smooth and singular."""
    y = np.linspace(0, 1, 600)
    distance, index = np.subtract.outer(y, y), np.add.outer(np.arange(300), np.arange(300))
    for A in (np.exp(-10 * distance**2), np.minimum.outer(y, y) + 0.1, np.exp(-np.abs(distance)), 1 / (index + 1.0)):
        for rank in (10, 100):
            J = rpcholesky(A, rank, rng=0).pivots
            assert 1 - 1e-9 < np.abs(np.linalg.solve(A[np.ix_(J, J)], A[J])).sum(axis=0).max() < 30


def test_nystrom_in_single_precision_pays_little_for_the_shift():
    """The loss is some n nu, and nu must not grow with n beside the norm of A Omega."""
    n, rank = 3000, 50
    x = np.random.default_rng(0).random(n)
    A = np.exp(-10 * (x[:, None] - x)**2).astype(np.float32)
    for seed in range(2):
        F = nystrom(A, rank, rng=seed).F.astype(float)
        error = n - np.sum(F**2)
        assert -1e-6 * n < error < (n * (rank + 10)) ** 0.5 * np.finfo(np.float32).eps * n


DEMANDING = {
    "underflow": np.exp(-np.subtract.outer(np.linspace(0, 30, 60), np.linspace(0, 30, 60))**2),
    "units": np.diag(10.0 ** -np.arange(60)),
    "single": np.diag(10.0 ** -np.arange(0, 40, 2)).astype(np.float32),
    "complex": np.exp(-np.subtract.outer(np.arange(30), np.arange(30))**2 * (1.0 + 0j)),
    "denormal": np.diag([3e-310, 1e-310]),
    "zero": np.zeros((3, 3)),
}


@pytest.mark.parametrize("name", DEMANDING)
def test_nothing_depends_on_how_errors_of_floats_are_treated(name):
    A = DEMANDING[name]
    for method in (rpcholesky, nystrom):
        for rank in (1, len(A)):
            usual = method(A, rank, rng=0).F
            with np.errstate(all="raise"):
                assert np.array_equal(method(A, rank, rng=0).F, usual)
    treatments = []
    pair = A.diagonal(), lambda J, I=slice(None): treatments.append(np.geterr()) or A[I][:, J]
    with np.errstate(all="raise"):
        rpcholesky(pair, len(A), block=3, rng=0)
    assert all(set(state.values()) == {"raise"} for state in treatments)      # that of the caller


def test_a_fast_svd_that_does_not_converge_is_replaced(monkeypatch):
    A = gram(random_matrix(0, (12, 12), 12, np.float64, 1.0))
    F = nystrom(A, 5, rng=0).F

    def failing(*arguments, **options):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", failing)
    assert np.allclose(np.abs(nystrom(A, 5, rng=0).F), np.abs(F), atol=1e-12)


def test_columns_with_fewer_digits_than_the_diagonal():
    """np.ones(n) beside a kernel of data in single precision: rounding of single precision is forgiven, and ends the rank."""
    x = np.random.default_rng(5).random(3000).astype(np.float32)
    columns = lambda J, I=slice(None): np.exp(-10 * (x[I, None] - x[J])**2)
    for block in (1, 10):
        result = rpcholesky((np.ones(3000), columns), 200, block=block, rng=0)
        assert result.F.dtype == np.float64 and 5 < result.rank < 30
        assert 0 < result.trace_error < 8 * 200**0.5 * np.finfo(np.float32).eps * 3000
        other = rpcholesky((np.ones(3000, np.float32), lambda *J: columns(*J).astype(float)), 200, block=block, rng=0)
        assert other.F.dtype == np.float32 and other.rank < 30
        counts = rpcholesky((np.full(5, 3.0), lambda J: np.eye(5, dtype=np.int8)[:, J] * 3), 5, block=1, rng=0)
        assert np.array_equal(counts.reconstruct(), np.diag(np.diag(counts.reconstruct()))) and counts.rank == 5


def test_the_default_block_and_the_size_of_the_sketch_are_those_stated():
    A = gram(random_matrix(3, (300, 300), 300, np.float64, 1.0))
    for rank, block in ((5, 5), (40, 10), (150, 15), (151, 16)):
        assert np.array_equal(rpcholesky(A, rank, rng=1).pivots, rpcholesky(A, rank, block=block, rng=1).pivots)
    products = []
    counted = LinearOperator((300, 300), matvec=lambda v: A @ v, matmat=lambda X: products.append(X.shape[1]) or A @ X, dtype=float)
    for rank, oversample, size in ((1, 0, 2), (2, 0, 2), (3, 10, 13), (295, 10, 300)):
        nystrom(counted, rank, oversample=oversample, rng=0)
        assert products.pop() == size and not products


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_that_of_the_factor(dtype):
    n, rank = 40_000, 60
    diagonal, columns = exponential(n, dtype)
    tracemalloc.start()
    try:
        result = rpcholesky((diagonal, columns), rank, block=6, rng=0)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * result.F.nbytes + 20 * 8 * n
    finally:
        tracemalloc.stop()


def test_features_are_those_of_scikit_learn():
    """The same columns: F is the map of Nystroem up to a rotation, also where points repeat."""
    approximation = pytest.importorskip("sklearn.kernel_approximation")
    X = np.random.default_rng(6).standard_normal((300, 3))
    X[100:200] = X[:100]
    kernel = lambda J, I=slice(None): np.exp(-0.2 * ((X[I, None] - X[J])**2).sum(-1))
    F, J = rpcholesky((np.ones(300), kernel), 40, rng=0)
    peer = approximation.Nystroem(gamma=0.2, n_components=40, random_state=0).fit(X[J])
    G = peer.transform(X)
    assert np.allclose(G @ G.T, F @ F.T, atol=1e-7)



@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
def test_stored_parts_of_one_entry_are_added(kind):
    """Each entry of a sparse matrix in two parts; the matrix itself stays as it is stored."""
    A = gram(random_matrix(4, (9, 9), 9, np.float64, 1.0))
    rows, columns = np.indices(A.shape).reshape(2, -1)
    parts = np.repeat(A.ravel() / 2, 2) + np.tile([7.0, -7.0], A.size)
    order = np.argsort(np.repeat(rows, 2), kind="stable")
    indptr = np.arange(0, 2 * A.size + 1, 18)
    if kind is sparse.coo_array:
        stored = kind((parts, (np.repeat(rows, 2), np.repeat(columns, 2))), shape=A.shape)
    else:
        stored = kind((parts[order], np.repeat(columns, 2)[order], indptr), shape=A.shape)
        stored.has_canonical_format = False
    before = stored.data.copy()
    for method in (rpcholesky, nystrom):
        assert np.allclose(method(stored, 9, rng=0).reconstruct(), A)
        assert np.array_equal(stored.data, before) and stored.nnz == 2 * A.size
    assert np.array_equal(rpcholesky(stored, 5, rng=0).pivots, rpcholesky(A, 5, rng=0).pivots)

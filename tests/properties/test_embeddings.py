"""Embeddings: lengths to the distortion of theory, least squares as good as LAPACK's, for every kind of input and unit."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import lowrank
from lowrank.embeddings import embedding_distortion, leverage_scores, sketched_lstsq, subspace_embedding
from tests.properties.matrices import FLOATS, HARD, KINDS, any_matrix, assert_unchanged, double, eps

EMBEDDINGS = ["sparse", "gaussian", "cosine", "rows"]


def subspace(seed, m, d):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((m, d)))[0]


# --- embeddings

@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("d, l", [(1, 16), (8, 64), (20, 400)])
def test_distortion_is_about_what_theory_says(kind, d, l):
    found = [embedding_distortion(subspace_embedding(l, 3000, kind, rng=seed), subspace(seed + 1000, 3000, d)) for seed in range(20)]
    assert np.median(found) <= 1.3 * np.sqrt(d / l) and max(found) <= 2 * np.sqrt(d / l) + 0.3


@pytest.mark.parametrize("kind, options", [("sparse", {}), ("gaussian", {}), ("cosine", {})])
def test_no_subspace_is_harder_than_another(kind, options):
    """Unit vectors, neighbouring unit vectors, cosines (which the transform alone maps to unit vectors), constants."""
    m, d = 2048, 12
    t = (np.arange(m)[:, None] + 0.5) / m
    for W in (np.eye(m)[:, ::m // d][:, :d], np.eye(m)[:, :d], np.cos(np.pi * np.arange(d) * t), np.eye(m, d) + 1e-3):
        found = [embedding_distortion(subspace_embedding(12 * d, m, kind, rng=seed, **options), W) for seed in range(20)]
        assert np.median(found) <= 0.4 and max(found) <= 0.7


def test_one_sign_a_column_and_equal_rows_lose_unit_vectors():
    W = np.eye(2048)[:, ::170]
    for kind, options in (("sparse", {"nonzeros": 1}), ("rows", {})):
        found = [embedding_distortion(subspace_embedding(48, 2048, kind, rng=seed, **options), W) for seed in range(20)]
        assert np.median(found) >= 1


def test_leverage_scores_rescue_rows():
    A = np.random.default_rng(0).standard_normal((2000, 6)) * np.where(np.arange(2000) < 30, 100, 1)[:, None]
    drawn = {name: [embedding_distortion(subspace_embedding(300, 2000, "rows", p=p, rng=seed), A) for seed in range(20)]
             for name, p in (("leverage", leverage_scores(A)), ("equal", None))}
    assert max(drawn["leverage"]) <= 0.5 and np.median(drawn["equal"]) >= 0.8


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("dress", [name for name in KINDS if name != "operator"])
def test_every_dress_multiplies_alike_and_stays_as_it_is(kind, dress):
    for name in ("random tall", "complex random wide", "integers", "booleans", "exactly rank 3"):
        A = HARD[name]
        S = subspace_embedding(3, len(A), kind, rng=1)
        given, before = KINDS[dress](A), KINDS[dress](A)
        found = S @ given
        assert type(given) is type(before) and abs(given.astype(complex) - before.astype(complex)).max() == 0
        assert type(found) is np.ndarray and np.allclose(found, S.toarray() @ double(A), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_of_single_precision_are_taken_in_double(kind, dtype):
    """A long column of equal terms, of which naive sums in float32 forget the later ones."""
    m = 300_000
    A = np.full((m, 2), 0.1, dtype)
    S = subspace_embedding(4, m, kind, rng=0)
    exact = S @ A.astype(np.result_type(dtype, np.float64))
    assert (S @ A).dtype == dtype
    assert np.abs(S @ A - exact).max() <= 2 * eps(A) * np.abs(exact).max()


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_same_seed_same_bits(kind):
    first, second, other = (subspace_embedding(9, 50, kind, rng=rng).toarray() for rng in (3, np.random.default_rng(3), 4))
    assert np.array_equal(first, second) and not np.array_equal(first, other)


def test_an_embedding_that_has_no_room_to_shorten():
    for l, m in ((1, 1), (5, 1), (3, 3), (7, 3)):
        assert np.allclose(np.sum(subspace_embedding(l, m, rng=0).toarray()**2, axis=0), 1)
    assert subspace_embedding(20, 6, nonzeros=20, rng=0).toarray().all()


# --- leverage scores

@given(any_matrix())
def test_leverage_scores_add_up_to_the_rank(A):
    found = leverage_scores(A)
    rank = lowrank.pinv(A, return_info=True)[1].rank
    assert found.shape == (len(A),) and np.all(found >= 0) and np.all(found <= 1 + 100 * eps(A))
    assert abs(found.sum() - rank) <= 100 * eps(A) * max(1, rank)
    assert np.allclose(found, leverage_scores(A * 2.0**20), atol=1e3 * eps(A))


# --- least squares

@pytest.mark.parametrize("name", HARD)
def test_every_hard_matrix_with_few_and_many_rows(name):
    """As it is, S is the identity; repeated 40 times there is something to shorten."""
    A = HARD[name]
    for tall in (A, np.tile(A, (40, 1))):
        b = np.cos(np.arange(len(tall)))
        found = assert_unchanged(tall, lambda B: sketched_lstsq(B, b, rng=0))
        wide, size = double(tall), np.linalg.norm(b)
        info = lowrank.pinv(wide, return_info=True)[1]
        condition = np.linalg.norm(wide, 2) / info.kept
        residual = np.linalg.norm(b - wide @ lowrank.best_factor(b[:, None], left=wide)[:, 0])
        assert found.x.shape == (A.shape[1],) and found.converged and found.rank == info.rank
        assert abs(found.residual - residual) <= 1e-15 * (10 + condition) * size
        assert abs(np.linalg.norm(b - wide @ found.x) - found.residual) <= 1e-15 * (10 + condition) * size


@given(any_matrix(), st.integers(0, 1000))
def test_any_matrix(A, seed):
    rng = np.random.default_rng(seed)
    tall = np.vstack([A] * 9) if seed % 2 else A
    b = rng.standard_normal(len(tall)).astype(A.real.dtype)
    found = sketched_lstsq(tall, b, l=max(A.shape[1], 5 * A.shape[1]), rng=seed)
    assert found.x.dtype == A.dtype and 0 <= found.rank <= min(A.shape)
    unit = float(np.abs(A).max()) or 1.0
    W, s, _ = np.linalg.svd(double(tall) / unit, full_matrices=False)
    W = W[:, s > 1e-3 * s[0]]                                  # what is above doubt
    best = np.linalg.norm(b - W @ (W.conj().T @ b))
    assert found.residual <= best * (1 + 1e-4) + 1e3 * eps(A) * np.linalg.norm(b)


@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12])
@pytest.mark.parametrize("residual", [0, 1e-6, 1])
def test_as_accurate_as_lapack(condition, residual):
    rng = np.random.default_rng(0)
    W, Q = subspace(1, 4000, 30), subspace(2, 30, 30)
    A, x, h = W * np.geomspace(1, 1 / condition, 30) @ Q.T, rng.standard_normal(30), rng.standard_normal(4000)
    h = h - W @ (W.T @ h)
    b = A @ x + residual * h / np.linalg.norm(h)
    ours, lapack = sketched_lstsq(A, b, rng=0), linalg.lstsq(A, b)[0]
    floor = 1e-15 * (np.linalg.norm(x) + residual)
    assert np.linalg.norm(A @ (ours.x - x)) <= 20 * (np.linalg.norm(A @ (lapack - x)) + floor)
    assert np.linalg.norm(ours.x - x) <= 20 * (np.linalg.norm(lapack - x) + condition * floor)
    assert ours.converged and ours.n_iter <= 45 and ours.rank == 30


def test_columns_that_settle_early_do_not_go_astray_while_others_iterate():
    """A column whose b lies in the range is done after a few steps, one with a large residual takes them all."""
    rng, W = np.random.default_rng(0), subspace(1, 3000, 20)
    A = W * np.geomspace(1, 1e-9, 20) @ subspace(2, 20, 20).T
    h = rng.standard_normal((3000, 3))
    b = A @ rng.standard_normal((20, 3)) + (h - W @ (W.T @ h)) * np.array([0, 1e-8, 1])
    together = sketched_lstsq(A, b, rng=0)
    for j in range(3):
        alone = sketched_lstsq(A, b[:, j], rng=0)
        assert np.linalg.norm(A @ (together.x[:, j] - alone.x)) <= 10 * alone.distance + 1e-14 * np.linalg.norm(b[:, j])


def test_distance_is_what_it_says():
    rng, W = np.random.default_rng(3), subspace(4, 2000, 10)
    A, b = W * np.geomspace(1, 1e-5, 10), rng.standard_normal(2000)
    for steps in (0, 1, 3, 6):
        found = sketched_lstsq(A, b, max_iter=steps, rng=5)
        distance = np.linalg.norm(A @ found.x - W @ (W.T @ b))
        assert 0.6 * found.distance <= distance <= 1.6 * found.distance
        assert found.n_iter == steps and not found.converged


def test_a_straight_line_through_many_points_in_single_precision():
    """The long side neither hides the second column nor spoils the coefficients."""
    X = np.stack([np.ones(10_000), np.arange(10_000)], axis=1).astype("f")
    found = sketched_lstsq(X, X @ np.float32([2020, 2020]), rng=0)
    assert found.rank == 2 and np.allclose(found.x, 2020, rtol=1e-3)
    rng = np.random.default_rng(1)
    A = (rng.standard_normal((200_000, 9)) * np.geomspace(1, 1 / 16, 9)).astype("f")
    found = sketched_lstsq(A, A @ np.ones(9, "f"), rng=0)
    assert found.rank == 9 and np.allclose(found.x, 1, atol=1e-4)


def test_columns_that_depend_on_each_other_in_single_precision():
    rng = np.random.default_rng(2)
    A = np.rint(4 * rng.standard_normal((50_000, 3))) @ np.array([[1, 0, 0, 1, 2], [0, 1, 0, 1, 0], [0, 0, 1, 1, -1]])
    found = sketched_lstsq(A.astype("f"), A @ np.arange(5.0), rng=0)
    assert found.rank == 3 and np.allclose(found.x, np.linalg.pinv(A) @ (A @ np.arange(5.0)), atol=1e-4)


@pytest.mark.parametrize("dress", KINDS)
def test_the_kind_of_input_does_not_matter(dress):
    for name in ("random tall", "complex random wide", "integers", "exactly rank 3"):
        A = np.tile(HARD[name], (30, 1))
        b = np.sin(np.arange(len(A)))
        expected = sketched_lstsq(double(A), b, rng=0).x
        found = sketched_lstsq(KINDS[dress](A), b, rng=0).x
        assert np.abs(found - expected).max() <= 1e-11 * np.abs(expected).max()


def test_a_sparse_matrix_with_duplicate_entries_counts_each(kinds=("csr", "coo")):
    rng = np.random.default_rng(6)
    rows, columns = rng.integers(0, 500, 4000), rng.integers(0, 6, 4000)
    A = sparse.coo_array((rng.standard_normal(4000), (rows, columns)), shape=(500, 6))
    b = rng.standard_normal(500)
    best = np.linalg.lstsq(A.toarray(), b)[0]
    for kind in kinds:
        given = A.asformat(kind)
        assert np.allclose(sketched_lstsq(given, b, rng=0).x, best, atol=1e-12)
        assert np.allclose(leverage_scores(given), leverage_scores(A.toarray()), atol=1e-12)


def test_passes_and_memory():
    """Two passes a step of as many columns as b has; a sparse matrix is never filled."""
    A, columns = np.random.default_rng(7).standard_normal((900, 5)), []
    operator = LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: A @ v, rmatvec=lambda v: A.T @ v,
                              matmat=lambda X: columns.append(X.shape[1]) or A @ X,
                              rmatmat=lambda Y: columns.append(-Y.shape[1]) or A.T @ Y)
    found = sketched_lstsq(operator, A @ np.ones((5, 2)) + 1, rng=0)
    assert columns[-2 * found.n_iter:] == [2, -2] * found.n_iter and len(columns) <= 2 * found.n_iter + 6
    tall = sparse.random_array((200_000, 40), density=0.02, rng=np.random.default_rng(8), format="csr")
    tracemalloc.start()
    sketched_lstsq(tall, np.ones(200_000), rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.9 * 200_000 * 40 * 8


def test_whatever_seterr_says():
    A = np.random.default_rng(9).standard_normal((400, 4)) * np.array([1e-200, 1, 1e-100, 1e150])
    b = np.where(np.arange(400) == 0, 1e-300, 1.0)
    with np.errstate(all="raise"):
        for kind in EMBEDDINGS:
            S = subspace_embedding(64, 400, kind, rng=0)
            S @ A, embedding_distortion(S, A), leverage_scores(A)
            sketched_lstsq(A, b, kind=kind, rng=0)
            sketched_lstsq(0 * A, b, kind=kind, rng=0)
            sketched_lstsq(A, 0 * b, kind=kind, rng=0)


@pytest.mark.parametrize("call, kind, message", [
    (lambda: subspace_embedding(2, 0), ValueError, "m is 0; allowed is an integer from 1"),
    (lambda: subspace_embedding(2, 5, "sign"), ValueError, "kind is 'sign'; allowed are 'sparse', 'gaussian', 'cosine', 'rows'"),
    (lambda: subspace_embedding(2, 5, nonzeros=3), ValueError, "nonzeros is 3; allowed is an integer from 1 to 2"),
    (lambda: subspace_embedding(2, 5, "rows", p=[1, 1, -1, 1, 1]), ValueError, "allowed are 5 finite numbers >= 0"),
    (lambda: subspace_embedding(2, 5, "rows", p=[1, 1, np.inf, 1, 1]), ValueError, "allowed are 5 finite numbers >= 0"),
    (lambda: subspace_embedding(2, 5) @ np.ones((4, 2)), ValueError, r"A has shape \(4, 2\); allowed is \(5, n\)"),
    (lambda: subspace_embedding(2, 5) @ np.ones(4), ValueError, r"allowed is \(5, n\)"),
    (lambda: leverage_scores([[1, np.nan]]), ValueError, "A contains 1 NaN"),
    (lambda: sketched_lstsq(np.ones((9, 2)), np.ones((9, 1, 1))), ValueError, r"b has shape \(9, 1, 1\)"),
    (lambda: sketched_lstsq(np.ones((9, 2)), 3.0), ValueError, r"b has shape \(\); allowed is \(9,\) or \(9, k\)"),
    (lambda: sketched_lstsq(sparse.csr_array([[np.inf], [1]]), [1, 2]), ValueError, "A contains NaN or Inf"),
    (lambda: sketched_lstsq(np.ones((9, 2)), np.ones(9), rtol=1), ValueError, "rtol is 1"),
    (lambda: sketched_lstsq(np.ones((900, 2)), np.ones(900), kind=3), ValueError, "kind is 3"),
])
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_an_operator_without_adjoint_is_refused():
    operator = LinearOperator((900, 3), dtype=float, matvec=lambda v: np.ones(900) * v.sum())
    with pytest.raises(TypeError, match="without an adjoint"):
        sketched_lstsq(operator, np.ones(900), rng=0)
    assert np.allclose(leverage_scores(aslinearoperator(np.eye(3))), 1)

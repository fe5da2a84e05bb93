"""Retrieval: completed rows obey their bound on everything that is hard, rankings are sorts, errors are those foretold."""

import io
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from lowrank.retrieval import CURIndex, Ranking
from tests.properties.matrices import HARD, any_matrix, assert_unchanged, double, eps

REAL = {name: A for name, A in HARD.items() if A.dtype.kind != "c"}
REALS = [np.float32, np.float64]


def check_index(A, index, rows):
    """Shapes, dtypes, anchors that keep their scores, the stated norm, and finite numbers."""
    c, n = index.Z.shape
    dtype = A.dtype if A.dtype.kind == "f" else np.float64
    assert n == A.shape[1] and len(index.anchors) == c == len(set(index.anchors.tolist()))
    assert index.Z.dtype == dtype and index.left.dtype == dtype and index.right.dtype == dtype
    assert all(np.isfinite(X).all() for X in index)
    assert np.array_equal(index.Z[:, index.anchors], np.eye(c))
    assert np.isclose(index.amplification, np.linalg.norm(double(index.Z), 2), rtol=1e-3)
    x = index.scores(rows[:, index.anchors])
    assert x.shape == rows.shape and np.array_equal(x[:, index.anchors], rows[:, index.anchors])
    return double(x)


def bound(rows, index):
    """amplification * distance of each row from the row space of Z, for a pseudo-inverse without ridge."""
    _, s, Nt = np.linalg.svd(double(index.Z), full_matrices=False)
    rows = double(rows)
    return index.amplification * np.linalg.norm(rows - rows @ Nt.T @ Nt, axis=1)


@pytest.mark.parametrize("name", REAL)
def test_hard_matrices(name):
    A = REAL[name]
    m, n = A.shape
    unit = float(np.abs(double(A)).max()) or 1.0
    rng = np.random.default_rng(1)
    new = np.vstack([double(A) / unit, rng.standard_normal((20, m)) @ (double(A) / unit), rng.standard_normal((20, n))]) * unit
    for count in sorted({1, min(3, n), min(m, n), n}):
        for ridge in (0.0, None, 0.05):
            index = assert_unchanged(A, lambda A: CURIndex.fit(A, count, ridge=ridge))
            x = check_index(A, index, new)
            assert 0 <= index.error and (ridge is None or index.ridge == ridge)
            if count == n:
                assert np.array_equal(x, new) and index.error == 0
        index = CURIndex.fit(A, count, ridge=0.0)
        errors = np.linalg.norm(new - index.scores(new[:, index.anchors]), axis=1)
        roundoff = 100 * (m + n) * eps(A) * index.amplification * np.linalg.norm(new, axis=1)
        assert np.all(errors <= bound(new, index) * (1 + 1e-6) + roundoff)
        rank = np.linalg.matrix_rank(double(A))
        if count >= rank:                                   # rows that are combinations of the known ones
            assert np.all(errors[:m + 20] <= 10 * roundoff[:m + 20])


@given(any_matrix(REALS), st.integers(1, 12), st.sampled_from([None, 0.0, 1e-8, 0.3]), st.integers(0, 2**32 - 1))
def test_any_matrix(A, count, ridge, seed):
    m, n = A.shape
    rng = np.random.default_rng(seed)
    J = rng.choice(n, min(count, n), replace=False)
    index = assert_unchanged(A, lambda A: CURIndex.fit(A, anchors=J, ridge=ridge))
    new = (rng.standard_normal((5, m)) @ double(A)).astype(A.dtype)
    x = check_index(A, index, new)
    if np.linalg.matrix_rank(double(A[:, J])) == np.linalg.matrix_rank(double(A)) and ridge == 0:
        s = np.linalg.svd(double(A[:, J]), compute_uv=False)
        s = s[s > 1e-3 * s[0]] if s.size else s
        if len(s) == np.linalg.matrix_rank(double(A)):      # and well-conditioned
            assert np.abs(x - new).max() <= 1e6 * eps(A) * max(np.abs(double(A)).max(), np.abs(double(new)).max())
    for k in {1, n}:
        items, found = index.query(new[:, J], k)
        assert np.array_equal(items, np.argsort(-x, axis=1, kind="stable")[:, :k])
        assert np.array_equal(found, np.take_along_axis(x, items, axis=1))


def noisy_scores(q=40, n=120, rank=6, noise=0.05, seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((q, rank)) @ rng.standard_normal((rank, n)) + noise * rng.standard_normal((q, n))
    return A.astype(dtype)


@pytest.mark.parametrize("dtype", REALS)
def test_the_unit_of_the_scores_does_not_matter(dtype):
    A = noisy_scores(dtype=dtype)
    index = CURIndex.fit(A, 9)
    largest = 400 if dtype is np.float64 else 40
    for power in (-largest, -1, 3, largest):
        other = CURIndex.fit(A * dtype(2.0)**power, 9)
        assert all(np.array_equal(a, b) for a, b in zip(*([*x][:2] + [*x][3:] for x in (index, other))))
        assert np.array_equal(np.ldexp(other.left, power), index.left)
    if dtype is np.float64:
        for scale in (1e150, 1e-150):
            other = CURIndex.fit(A * scale, 9)
            assert np.allclose(other.Z, index.Z) and np.isclose(other.error, index.error)
            assert np.allclose(other.scores(scale * A[:3, other.anchors]), scale * index.scores(A[:3, index.anchors]), atol=0)


def test_the_left_out_error_predicts_new_queries():
    """Anchors that do not depend on the queries, square blocks included."""
    A = noisy_scores(q=640, n=150, rank=30, noise=0.1)
    for c in (20, 40, 60):
        for q in (40, 100):
            index = CURIndex.fit(A[:q], anchors=np.arange(c))
            new = A[100:]
            true = np.linalg.norm(index.scores(new[:, :c]) - new) / np.linalg.norm(new[:, c:])
            assert 0.85 < index.error / true < 1.15


@pytest.mark.parametrize("q", [16, 20])
def test_the_peak_of_gaussian_scores(q):
    """8 anchors, q queries, noise of size 1 in every other item: the mean square is 1 + 8 / (q - 9)."""
    rng, means = np.random.default_rng(q), []
    mix, z = rng.standard_normal((8, 8)), rng.standard_normal((8, 300))
    for trial in range(200):
        x = rng.standard_normal((q + 100, 8)) @ mix
        A = np.hstack([x, x @ z + rng.standard_normal((q + 100, 300))])
        index = CURIndex.fit(A[:q], anchors=np.arange(8), ridge=0.0)
        means.append(np.mean((index.scores(A[q:, :8]) - A[q:])[:, 8:]**2))
    spread = np.std(means) / len(means)**0.5
    assert abs(np.mean(means) - 1 - 8 / (q - 9)) < 4 * spread < 8 / (q - 9) - 8 / (q - 8)


def test_the_ridge_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    A = noisy_scores(rank=15)
    for c in (10, 40):
        index = CURIndex.fit(A, anchors=np.arange(c))
        s = np.linalg.norm(A[:, :c], 2)
        ridges = 10.0 ** (np.arange(-16, -3) / 4)           # smaller ones are beyond RidgeCV's accuracy
        peer = linear_model.RidgeCV((ridges * s)**2, fit_intercept=False).fit(A[:, :c], A[:, c:])
        assert np.isclose(peer.alpha_**0.5 / s, index.ridge)
        assert np.allclose(peer.coef_.T, index.Z[:, c:])
        error = np.sqrt(-peer.best_score_ * A[:, c:].size) / np.linalg.norm(A[:, c:])
        assert np.isclose(error, index.error)


def test_never_worse_than_the_pseudo_inverse_for_queries_left_out():
    for seed in range(10):
        A = noisy_scores(seed=seed)
        for c in (3, 6, 40, 80):
            J = np.random.default_rng(seed).choice(120, c, replace=False)
            assert CURIndex.fit(A, anchors=J).error <= CURIndex.fit(A, anchors=J, ridge=0).error


def test_more_anchors_than_queries():
    A = noisy_scores(q=8, n=30)
    for count in range(1, 31):
        index = CURIndex.fit(A, count)
        assert len(set(index.anchors.tolist())) == count
        assert np.allclose(index.scores(A[:, index.anchors]), A) or count < 8 or index.ridge > 0
        assert np.array_equal(CURIndex.fit(A, count).anchors, index.anchors)


def test_degenerate_scores():
    for A in (np.zeros((3, 5)), np.zeros((1, 1)), np.ones((1, 4)), np.eye(4), np.eye(4)[:2], np.ones((6, 3)), np.ones((4, 1))):
        for count in range(1, A.shape[1] + 1):
            for queries in (None, [0]):
                index = CURIndex.fit(A, count, queries=queries)
                assert all(np.isfinite(X).all() for X in index)
                assert np.allclose(index.scores(A[:, index.anchors]), A) or count < np.linalg.matrix_rank(A)
                larger = index.add(np.zeros((index.right.shape[1], 2)))
                assert np.array_equal(larger.Z[:, -2:], np.zeros((count, 2)))
    assert np.isclose(CURIndex.fit(np.ones((1, 4)), 1).error, 1)    # there is no other query to tell
    assert CURIndex.fit(np.ones((6, 3)), 1).error < 1e-14


def test_repeated_items_tie_and_the_first_is_named():
    A = np.tile(noisy_scores(n=10), 3)
    index = CURIndex.fit(A, 4)
    first = index.anchors % 10
    tied = CURIndex(index.anchors, np.tile(index.Z[:, :10], 3)[:, :30], *[*index][2:])
    items = tied.query(A[0, first], 9).items
    assert items.tolist() == sorted(items.tolist(), key=lambda j: (-tied.scores(A[0, first])[j], j))


def test_added_items_are_completed_like_the_others():
    A = noisy_scores(q=60)
    whole = CURIndex.fit(A[:50], anchors=np.arange(12), ridge=0.01)
    part = CURIndex.fit(A[:50, :100], anchors=np.arange(12), ridge=0.01)
    assert np.allclose(part.add(A[:50, 100:]).Z, whole.Z)
    assert part.Z.shape == (12, 100)
    one_by_one = part
    for j in range(100, 120):
        one_by_one = one_by_one.add(A[:50, j:j + 1])
    assert np.allclose(one_by_one.Z, whole.Z)
    few = CURIndex.fit(A[:50, :100], anchors=np.arange(12), ridge=0.01, queries=[4, 9, 2, 30, 31, 8, 40])
    late = few.add(A[[4, 9, 2, 30, 31, 8, 40], 100:])
    error = np.linalg.norm(late.scores(A[50:, :12]) - A[50:]) / np.linalg.norm(A[50:])
    assert error < 0.1 and np.array_equal(few.Z, part.Z)


def test_an_index_cannot_be_changed_and_survives_storage():
    A = noisy_scores(dtype=np.float32)
    before = A.copy()
    index = CURIndex.fit(A, 6)
    file = io.BytesIO()
    np.savez(file, **index._asdict())
    file.seek(0)
    with np.load(file) as stored:
        loaded = CURIndex(**stored)
    for again in (loaded, pickle.loads(pickle.dumps(index))):
        assert all(np.array_equal(a, b) for a, b in zip(again, index))
        assert again.Z.dtype == np.float32 and repr(again) == "<CURIndex: 6 anchors, 120 items, 40 queries, float32>"
        for X in (again.anchors, again.Z, again.left, again.right):
            with pytest.raises(ValueError, match="read-only"):
                X[0] = 0
    with pytest.raises(AttributeError):
        index.Z = 0
    with pytest.raises(AttributeError):
        index.other = 0
    anchors = np.arange(6)
    CURIndex.fit(A, anchors=anchors)
    anchors[0] = 9                                          # the caller's array stays the caller's
    A[0, 0] = before[0, 0]
    assert np.array_equal(A, before)


def test_the_search_keeps_to_its_budget():
    A = noisy_scores(q=50)
    index = CURIndex.fit(A[:40], 10)
    for row in A[40:]:
        calls = []
        ranking = index.search(lambda J: calls.append(J) or row[J], 5, budget=30)
        assert isinstance(ranking, Ranking) and [len(J) for J in calls] == [10, 20]
        assert np.array_equal(calls[0], index.anchors)
        assert np.array_equal(np.sort(row[np.concatenate(calls)])[:-6:-1], ranking.scores)
        everything = index.search(lambda J: row[J], 120, budget=120)
        assert np.array_equal(everything.items, np.argsort(-row, kind="stable"))


def test_enough_candidates_find_the_best():
    """All items within twice the largest error of the k-th guess are looked at again: nothing is missed."""
    A = noisy_scores(q=90)
    index = CURIndex.fit(A[:40], 10)
    for k in (1, 5):
        for row in A[40:]:
            x = index.scores(row[index.anchors])
            cut = np.sort(x)[-k] - 2 * np.abs(x - row).max()
            others = np.setdiff1d(np.flatnonzero(x >= cut), index.anchors)
            items, _ = index.search(lambda J: row[J], k, budget=10 + len(others))
            assert np.array_equal(items, np.argsort(-row)[:k])


def test_memory_and_work_are_those_of_the_rows():
    n = 20_000
    A = noisy_scores(q=60, n=n)
    tracemalloc.start()
    try:
        index = CURIndex.fit(A, 20)
        assert tracemalloc.get_traced_memory()[1] < 8 * A.nbytes
        tall = CURIndex.fit(A.T, 20)                        # as many queries as there were items
        assert tracemalloc.get_traced_memory()[1] < 10 * A.nbytes and tall.Z.shape == (20, 60)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        index.query(A[0, index.anchors], 10)
        index.search(lambda J: A[0, J], 10, budget=100)
        assert tracemalloc.get_traced_memory()[1] - before < 12 * 8 * n
    finally:
        tracemalloc.stop()


A = noisy_scores(q=5, n=8)
INDEX = CURIndex.fit(A, 3)
X = A[0, INDEX.anchors]


@pytest.mark.parametrize("call, kind, message", [
    (lambda: CURIndex.fit(A), ValueError, "n_anchors is None and anchors is None; give exactly one"),
    (lambda: CURIndex.fit(A, 2, anchors=[1]), ValueError, r"n_anchors is 2 and anchors is \[1\]; give exactly one"),
    (lambda: CURIndex.fit(A, 0), ValueError, "n_anchors is 0; allowed is an integer from 1"),
    (lambda: CURIndex.fit(A, 9), ValueError, "n_anchors is 9; allowed is an integer from 1 to 8"),
    (lambda: CURIndex.fit(A, 2.5), TypeError, "n_anchors is 2.5"),
    (lambda: CURIndex.fit(A, True), TypeError, "n_anchors is True"),
    (lambda: CURIndex.fit(A, anchors=[1, 1]), ValueError, r"anchors is \[1, 1\]; allowed are distinct integers from 0 to 7"),
    (lambda: CURIndex.fit(A, anchors=[8]), ValueError, r"anchors is \[8\]; allowed are distinct integers from 0 to 7"),
    (lambda: CURIndex.fit(A, anchors=[-1]), ValueError, r"anchors is \[-1\]"),
    (lambda: CURIndex.fit(A, anchors=[]), ValueError, "at least one"),
    (lambda: CURIndex.fit(A, anchors=[0.0]), TypeError, "anchors has dtype float64; allowed are distinct integers"),
    (lambda: CURIndex.fit(A, 2, queries=[5]), ValueError, r"queries is \[5\]; allowed are distinct integers from 0 to 4"),
    (lambda: CURIndex.fit(A, 2, ridge=-1), ValueError, "ridge is -1; allowed is a number with 0 <= ridge < 1"),
    (lambda: CURIndex.fit(A, 2, ridge="auto"), TypeError, "ridge is 'auto'"),
    (lambda: CURIndex.fit(A, 2, rng="seed"), TypeError, "rng is 'seed'"),
    (lambda: CURIndex.fit(np.where(A > 1, np.nan, A), 2), ValueError, "scores contains .* NaN"),
    (lambda: CURIndex.fit(A + np.inf, 2), ValueError, "scores contains 0 NaN and 40 Inf"),
    (lambda: CURIndex.fit(A[0], 2), ValueError, r"scores has shape \(8,\); allowed is a matrix"),
    (lambda: CURIndex.fit(A[:0], 2), ValueError, r"scores has shape \(0, 8\)"),
    (lambda: CURIndex.fit(A + 1j, 2), TypeError, "scores has dtype complex128; allowed are real numbers"),
    (lambda: CURIndex.fit([["a"]], 1), TypeError, "scores has dtype <U1"),
    (lambda: CURIndex.fit(sparse.csr_array(A), 2), TypeError, "scores is a csr_array; allowed here is an array"),
    (lambda: CURIndex.fit(np.ma.masked_less(A, 0), 2), TypeError, "scores is a masked array"),
    (lambda: INDEX.scores(X[:2]), ValueError, "anchor_scores has 2 scores a query; allowed are 3"),
    (lambda: INDEX.scores(A), ValueError, "anchor_scores has 8 scores a query; allowed are 3"),
    (lambda: INDEX.scores(np.zeros((1, 1, 3))), ValueError, r"anchor_scores has shape \(1, 1, 3\)"),
    (lambda: INDEX.scores(1.0), ValueError, r"anchor_scores has shape \(\)"),
    (lambda: INDEX.scores(X * np.nan), ValueError, "anchor_scores contains 3 NaN"),
    (lambda: INDEX.scores(X + 1j), TypeError, "anchor_scores has dtype complex128"),
    (lambda: INDEX.scores(np.ma.masked_less(X, 0)), TypeError, "anchor_scores is a masked array"),
    (lambda: INDEX.scores(sparse.csr_array(X[None])), TypeError, "anchor_scores is a csr_array"),
    (lambda: INDEX.query(X, 0), ValueError, "k is 0; allowed is an integer from 1"),
    (lambda: INDEX.query(X, 9), ValueError, "k is 9; allowed is an integer from 1 to 8"),
    (lambda: INDEX.query(X, 1.0), TypeError, "k is 1.0"),
    (lambda: INDEX.search(lambda J: A[0, J], 1, budget=2), ValueError, "budget is 2; allowed is an integer from 3"),
    (lambda: INDEX.search(lambda J: A[0, J], 1, budget=9), ValueError, "budget is 9; allowed is an integer from 3 to 8"),
    (lambda: INDEX.search(lambda J: A[0, J], 6, budget=5), ValueError, "k is 6; allowed is an integer from 1 to 5"),
    (lambda: INDEX.search(lambda J: A[0], 1, budget=5), ValueError, r"score\(items\) has shape \(8,\); allowed is \(3,\)"),
    (lambda: INDEX.search(lambda J: A[0, J] * np.nan, 1, budget=5), ValueError, r"score\(items\) contains 3 NaN"),
    (lambda: INDEX.add(A[:4]), ValueError, "scores has 4 rows; allowed are 5, one for each query"),
    (lambda: INDEX.add(A[:, 0]), ValueError, r"scores has shape \(5,\)"),
    (lambda: INDEX._replace(Z=INDEX.Z[:2]), ValueError, r"anchors, Z, left and right have shapes \(3,\), \(2, 8\)"),
    (lambda: INDEX._replace(anchors=[0, 1, 8]), ValueError, r"anchors is \[0, 1, 8\]"),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_scores_of_anchors_too_small_for_the_others():
    with pytest.raises(ValueError, match=r"scores\[:, anchors\] is so small"):
        CURIndex.fit(np.array([[1e-160, 1e155, 1.0]] * 3), anchors=[0])


@pytest.mark.parametrize("case", ["small singular values", "a query that stands out", "fewer queries than anchors"])
def test_left_out_errors_in_single_precision_are_those_in_double(case):
    """With 100 000 queries n eps is .012: neither a ridge nor what a query leaves free may count as zero below it."""
    rng = np.random.default_rng(0)
    q = 5 if case.startswith("fewer") else 100_000
    W = rng.standard_normal((q, 8)) * ([1, 1, 1e-2, 1, 1, 1e-3, 1, 1] if case.startswith("small") else 1)
    A = np.hstack([W, W @ rng.standard_normal((8, 6)) + 0.05 * rng.standard_normal((q, 6)) * np.abs(W).max(axis=0).min() / 4])
    if case.startswith("a query"):
        A[7, :8] = 0
        A[7, 0], A[7, 8:] = 1e4, 3e4
    for ridge in (None, 0.0, 1e-4, 0.01):
        single, double = (CURIndex.fit(A.astype(dtype), anchors=np.arange(8), ridge=ridge) for dtype in REALS)
        assert np.isclose(single.error, double.error, rtol=2e-3), ridge
        assert single.ridge == double.ridge
        assert np.isclose(single.amplification, double.amplification, rtol=1e-3)


def test_a_core_in_two_factors_keeps_the_digits():
    """Singular values down to round-off: completed to 1e-11, by Z and by the factors, and foretold."""
    rng = np.random.default_rng(10)
    Q, V = (np.linalg.qr(rng.standard_normal((size, 120)))[0] for size in (300, 500))
    smooth = (Q * 10.0 ** (-np.arange(120) / 5)) @ V.T
    R, rows = smooth[:200], smooth[200:]
    index = CURIndex.fit(R, 100)
    for Z in (index.Z, index.left @ (index.right @ R)):
        assert np.linalg.norm(rows[:, index.anchors] @ Z - rows) < 1e-11 * np.linalg.norm(rows)
    assert index.error < 1e-11
    explicit = np.linalg.pinv(R[:, index.anchors]) @ R
    assert np.linalg.norm(rows[:, index.anchors] @ explicit - rows) > 1e-7 * np.linalg.norm(rows)


DEMANDING = {
    "underflow": np.exp(-np.subtract.outer(np.linspace(0, 30, 20), np.linspace(0, 30, 25))**2),
    "units": np.diag(10.0 ** -np.arange(30)),
    "single": np.exp(-np.subtract.outer(np.arange(9), np.arange(12))**2).astype(np.float32),
    "zero": np.zeros((3, 4)),
}


@pytest.mark.parametrize("name", DEMANDING)
def test_nothing_depends_on_how_errors_of_floats_are_treated(name):
    A = DEMANDING[name]
    for count in (1, 3):
        for ridge in (0.0, None):
            usual = CURIndex.fit(A, count, ridge=ridge)
            with np.errstate(all="raise"):
                index = CURIndex.fit(A, count, ridge=ridge)
                x = A[:, index.anchors]
                found = index.scores(x), index.query(x, 2).items, index.add(A[:, :2]).Z
                index.search(lambda J: A[0, J], 2, budget=A.shape[1])
            assert all(np.array_equal(a, b) for a, b in zip(index, usual))
            assert all(np.array_equal(a, b) for a, b in zip(found, (usual.scores(x), usual.query(x, 2).items, usual.add(A[:, :2]).Z)))


def test_a_user_function_keeps_the_treatment_of_errors_of_its_caller():
    index, seen = CURIndex.fit(noisy_scores(), 3), []
    with np.errstate(all="raise"):
        index.search(lambda J: seen.append(np.geterr()) or np.zeros(len(J)), 2, budget=10)
    assert all(set(state.values()) == {"raise"} for state in seen) and len(seen) == 2


def test_a_fast_svd_that_does_not_converge_is_replaced(monkeypatch):
    A = noisy_scores(n=30)
    usual = CURIndex.fit(A, 4)

    def failing(*arguments, **options):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", failing)
    monkeypatch.setattr(np.linalg._linalg, "svd", failing)     # what np.linalg.norm calls
    index = CURIndex.fit(A, 4)
    assert np.allclose(index.Z, usual.Z) and np.isclose(index.amplification, usual.amplification)


@pytest.mark.parametrize("q, n", [(20, 200), (60, 200), (200, 60)])
def test_chosen_anchors_amplify_as_little_as_stated(q, n):
    """norm(Z) <= sqrt(1 + 4 c (n - c)) whatever the shape of the block; random anchors of a square block exceed it."""
    for seed in range(5):
        A = noisy_scores(q=q, n=n, rank=8, noise=1e-9, seed=seed)
        for c in (3, 10, 20):
            limit = (1 + 4 * c * (n - c)) ** 0.5
            assert CURIndex.fit(A, c, ridge=0.0).amplification <= limit
    square = noisy_scores(q=20, n=n, rank=8, noise=1e-9)
    worst = max(CURIndex.fit(square, anchors=np.random.default_rng(seed).choice(n, 20, replace=False), ridge=0.0).amplification
                for seed in range(20))
    assert worst > (1 + 4 * 20 * (n - 20)) ** 0.5


def test_the_ridge_is_one_of_those_stated():
    stated = [0, *10.0 ** np.arange(-6, -0.9, 0.25)]
    found = {CURIndex.fit(noisy_scores(noise=noise, seed=seed), 12).ridge for noise in (0, 0.01, 1, 10) for seed in range(4)}
    assert all(np.isclose(ridge, stated).any() for ridge in found) and 0 in found and max(found) == 0.1


def test_later_items_of_a_square_core():
    """The peak is there for items added to a square block too, and the ridge lifts it."""
    A = noisy_scores(q=240, n=400, rank=30, noise=0.1)
    new, errors = A[200:], {}
    for q, ridge in ((40, 0.0), (40, None), (200, None)):
        index = CURIndex.fit(A[:q, :300], anchors=np.arange(40), ridge=ridge).add(A[:q, 300:])
        errors[q, ridge] = np.linalg.norm((index.scores(new[:, :40]) - new)[:, 300:]) / np.linalg.norm(new[:, 300:])
    assert errors[40, 0.0] > 10 * errors[40, None] and errors[40, None] < 2.5 * errors[200, None]


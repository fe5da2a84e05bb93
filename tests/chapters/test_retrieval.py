"""Tests of lowrank.retrieval, generated from book/low_rank/retrieval.ipynb; edit the chapter."""

import numpy as np

from lowrank.retrieval import CURIndex, _RIDGES, _top


# %% book/low_rank/retrieval.ipynb: low_rank_scores
def low_rank_scores(dtype=np.float64, q=12, n=40, rank=4, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((q, rank)) @ rng.standard_normal((rank, n))).astype(dtype)


def test_low_rank_scores_are_completed_exactly():
    for dtype in (np.float32, np.float64):
        A = low_rank_scores(dtype, q=20)
        R, new = A[:12], A[12:]
        for n_anchors in (4, 7, 12, 25, 40):
            for unit in (1, 2.0**40, 2.0**-40):
                index = CURIndex.fit(R * dtype(unit), n_anchors, rng=0)
                x = index.scores(new[:, index.anchors])
                assert x.dtype == dtype and index.Z.dtype == dtype
                assert np.abs(x - new).max() <= 2e3 * np.finfo(dtype).eps * np.abs(new).max()
                assert np.array_equal(x[:, index.anchors], new[:, index.anchors])
                assert len(set(index.anchors.tolist())) == n_anchors
                assert index.error <= 1e4 * np.finfo(dtype).eps


def test_left_out_error_is_that_of_refitting():
    A = low_rank_scores(rank=9) + low_rank_scores(rank=12, seed=1)
    for J in ([3, 1, 7], np.arange(12), np.arange(5, 25)):
        for ridge in (1e-3, 0.05):
            index = CURIndex.fit(A, anchors=J, ridge=ridge)
            mu, errors = (ridge * np.linalg.norm(A[:, J], 2))**2, []
            rest = np.setdiff1d(np.arange(40), J)
            for i in range(12):
                W, R = (np.delete(X, i, axis=0) for X in (A[:, J], A[:, rest]))
                Z = np.linalg.solve(W.T @ W + mu * np.eye(len(J)), W.T @ R)
                errors.append(A[i, rest] - A[i, J] @ Z)
            assert np.isclose(index.error, np.linalg.norm(errors) / np.linalg.norm(A[:, rest]))
        best = CURIndex.fit(A, anchors=J)
        others = [CURIndex.fit(A, anchors=J, ridge=ridge).error for ridge in _RIDGES]
        assert best.error <= min(others) + 1e-12
        assert np.isclose(best.amplification, np.linalg.norm(best.Z, 2))


# %% book/low_rank/retrieval.ipynb: test_ranking_agrees_with_a_full_sort
def test_ranking_agrees_with_a_full_sort():
    rng = np.random.default_rng(3)
    R = rng.integers(0, 4, (9, 30)).astype(float)
    R[:, 20:] = R[:, :10]                                   # ten items are there twice
    index = CURIndex.fit(R, 5, ridge=0.0)
    batch = rng.integers(0, 4, (6, 5)).astype(float)
    full = index.scores(batch)
    for k in (1, 7, 29, 30):
        items, found = index.query(batch, k)
        assert items.shape == found.shape == (6, k)
        for row, ranked, values in zip(full, items, found):
            assert np.array_equal(ranked, np.lexsort((np.arange(30), -row))[:k])
            assert np.array_equal(values, row[ranked])
        alone = index.query(batch[0], k)
        assert alone.items.shape == (k,) and np.allclose(alone.scores, found[0])
    x = np.array([2.0, 5, 5, 1, 5, 2])
    assert [_top(x, k).tolist() for k in (1, 2, 4)] == [[1], [1, 2], [1, 2, 4, 0]]


def test_search_returns_exact_scores_within_its_budget():
    A = low_rank_scores(q=15) + 0.1 * low_rank_scores(q=15, rank=15, seed=4)
    index = CURIndex.fit(A[:12], 4)
    for row in A[12:]:
        for budget in (4, 9, 40):
            asked = []
            items, found = index.search(lambda J: asked.extend(J) or row[J], 3, budget=budget)
            assert len(asked) == len(set(asked)) == budget and set(items) <= set(asked)
            assert np.array_equal(found, np.sort(row[asked])[:-4:-1])
            assert np.array_equal(found, row[items])


def test_items_are_added_and_the_index_is_saved():
    import io
    import pytest

    A = low_rank_scores(q=20)
    for queries in (None, [0, 3, 4, 9, 11]):
        index = CURIndex.fit(A[:12, :30], 6, queries=queries)
        larger = index.add(A[:12, 30:] if queries is None else A[queries, 30:])
        assert index.Z.shape == (6, 30) and larger.Z.shape == (6, 40)
        assert np.allclose(larger.scores(A[12:, larger.anchors]), A[12:])
        file = io.BytesIO()
        np.savez(file, **larger._asdict())
        file.seek(0)
        again = CURIndex(**np.load(file))
        assert all(np.array_equal(a, b) for a, b in zip(again, larger))
        for part in (again.anchors, again.Z, again.left, again.right):
            with pytest.raises(ValueError, match="read-only"):
                part[...] = 0

"""Places of text, images and films: the demands for every page, exact values, order, refusals, cost."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank.rope_tie import position_gaps, rope_tie_positions

VARIANTS = "v2", "v1", "v1-tokens", "mrope"
grids = lambda axes: st.tuples(*[st.integers(1, 7)] * axes)
pages = st.integers(2, 3).flatmap(lambda axes: st.tuples(st.just(axes), st.lists(st.one_of(st.integers(1, 6), grids(axes)), max_size=6)))
count = lambda segment: segment if isinstance(segment, int) else math.prod(segment)


@given(pages, st.sampled_from(VARIANTS))
def test_every_page(drawn, variant):
    axes, page = drawn
    places, total = rope_tie_positions(page, axes=axes, variant=variant), sum(map(count, page))
    assert places.shape == (total, axes) and places.dtype == float
    left, right = position_gaps(places, page)
    start, following = 0, 1.0
    for segment in page:
        part = places[start:start + count(segment)]
        if isinstance(segment, int):
            assert np.array_equal(part, np.repeat(following + np.arange(segment)[:, None], axes, axis=1))
            following += segment
        else:
            n, last = math.prod(segment), following - 1
            index = np.indices(segment).reshape(axes, -1).T + 1
            extent = {"v2": n + 1, "v1-tokens": n + 1, "v1": math.prod(s + 1 for s in segment), "mrope": max(segment) + 1}[variant]
            step = {"v2": np.ones(axes), "mrope": np.ones(axes)}.get(variant, extent / (np.array(segment) + 1))
            expected = last + step * index + ((n - np.array(segment)) / 2 if variant == "v2" else 0)
            np.testing.assert_allclose(part, expected, rtol=1e-15, atol=1e-13)
            if variant in ("v2", "mrope"):
                assert np.array_equal(part, expected) and np.array_equal(2 * part, np.rint(2 * part))
            following = last + extent
        start += count(segment)
    if variant != "mrope":
        np.testing.assert_allclose(left[~np.isnan(left + right)], right[~np.isnan(left + right)], rtol=0, atol=1e-11)
    assert np.all(left[~np.isnan(left)] > 0) and np.all(right[~np.isnan(right)] > 0)
    later = np.all(places[:, None] > places[None], axis=-1)
    assert not np.triu(later, 1).any()                                                         # nobody overtakes on all axes


@given(pages)
def test_pages_backwards_and_in_a_row(drawn):
    axes, page = drawn
    places, total = rope_tie_positions(page, axes=axes), sum(map(count, page))
    assert np.array_equal(rope_tie_positions(page[::-1], axes=axes)[::-1], total + 1 - places)
    for cut in range(len(page) + 1):
        first, second = (rope_tie_positions(part, axes=axes) for part in (page[:cut], page[cut:]))
        assert np.array_equal(places, np.append(first, len(first) + second, axis=0))


def test_reference_values():
    places = rope_tie_positions([3, (2, 4), 2])
    assert places[:3].tolist() == [[1, 1], [2, 2], [3, 3]] and places[11:].tolist() == [[12, 12], [13, 13]]
    assert places[3:11].tolist() == [[x, y] for x in (7, 8) for y in (6, 7, 8, 9)]
    film = rope_tie_positions([1, (3, 2, 2), 1])
    assert film[1].tolist() == [6.5, 7, 7] and film[12].tolist() == [8.5, 8, 8] and film[13].tolist() == [14, 14, 14]
    np.testing.assert_array_equal(film[1:13].mean(axis=0), [7.5, 7.5, 7.5])
    stretched = rope_tie_positions([3, (2, 4), 2], variant="v1")
    assert (stretched[7] - stretched[3]).tolist() == [5, 0] and (stretched[4] - stretched[3]).tolist() == [0, 3] and stretched[11].tolist() == [18, 18]
    tokens = rope_tie_positions([3, (2, 4), 2], variant="v1-tokens")
    np.testing.assert_allclose(tokens[7] - tokens[2] - (0, 1.8), [6, 0], atol=1e-14)
    assert tokens[11].tolist() == [12, 12]
    gaps = position_gaps(rope_tie_positions([3, (2, 4), 2], variant="mrope"), [3, (2, 4), 2])
    assert gaps.left.tolist() == [[1, 1]] and gaps.right.tolist() == [[3, 1]]


def test_kinds_of_segments_and_empty_pages():
    assert rope_tie_positions([]).shape == (0, 2) and rope_tie_positions([], axes=3).shape == (0, 3)
    assert rope_tie_positions([2], axes=1).tolist() == [[1], [2]]
    assert np.array_equal(rope_tie_positions([np.int32(2), [2, np.int64(3)]]), rope_tie_positions((2, (2, 3))))
    assert rope_tie_positions([(5,)], axes=1)[:, 0].tolist() == [1, 2, 3, 4, 5]                # in one dimension an image is text
    gaps = position_gaps(rope_tie_positions([(1, 2), (2, 2), 1]), [(1, 2), (2, 2), 1])
    assert np.isnan(gaps.left).all() and np.isnan(gaps.right[0]).all() and np.all(gaps.right[1] == 2)
    none = position_gaps(rope_tie_positions([4]), [4])
    assert none.left.shape == none.right.shape == (0, 2)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: rope_tie_positions([2.0]), TypeError, r"segments\[0\] is 2.0; allowed is an integer from 1, or a tuple of sizes"),
    (lambda: rope_tie_positions([1, 0]), ValueError, r"segments\[1\] is 0"),
    (lambda: rope_tie_positions([True]), TypeError, r"segments\[0\] is True"),
    (lambda: rope_tie_positions([(2, 3.0)]), TypeError, r"a size in segments\[0\] is 3.0"),
    (lambda: rope_tie_positions([1, (2, -1)]), ValueError, r"a size in segments\[1\] is -1"),
    (lambda: rope_tie_positions([(2, 3), (2, 2, 2)]), ValueError, r"segments\[0\] is \(2, 3\) and there are 3 axes; allowed are 3 sizes, with 1 on an axis"),
    (lambda: rope_tie_positions([()]), ValueError, r"segments\[0\] is \(\) and there are 2 axes"),
    (lambda: rope_tie_positions([(2, 3, 1)], axes=2), ValueError, "there are 2 axes"),
    (lambda: rope_tie_positions([1], axes=0), ValueError, "axes is 0"),
    (lambda: rope_tie_positions([1], variant="v3"), ValueError, "variant is 'v3'; allowed are 'v2', 'v1', 'v1-tokens', 'mrope'"),
    (lambda: position_gaps(np.ones((3, 2)), [2, (2, 2)]), ValueError, r"positions has shape \(3, 2\) and segments has 6 tokens; allowed is \(6, axes\)"),
    (lambda: position_gaps(np.ones(3), [3]), ValueError, r"positions has shape \(3,\)"),
    (lambda: position_gaps(1.0, [1]), ValueError, r"positions has shape \(\)"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_memory_is_that_of_the_table():
    tracemalloc.start()
    places = rope_tie_positions([10, (40, 100, 50), 10])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * places.nbytes

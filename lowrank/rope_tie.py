r"""Text and images in one order.

A text, an image of $h\times w$ patches, more text: which places $\beta+(i,j)$ in the plane should
the patches have so that the image counts as $hw$ tokens and stands as far from the text before it
as from the text after it?

Generated from book/rotations/rope_tie.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arguments import check_choice, check_count

__all__ = ["rope_tie_positions", "PositionGaps", "position_gaps"]


# %% book/rotations/rope_tie.ipynb: _check_segments
_VARIANTS = "v2", "v1", "v1-tokens", "mrope"


def _check_segments(segments, axes):
    """(segments, axes): ints and tuples of ints, all tuples with one entry for each axis."""
    segments = [tuple(segment) if isinstance(segment, (tuple, list)) else segment
                for segment in segments]
    grids = [segment for segment in segments if isinstance(segment, tuple)]
    least = max(2, *map(len, grids), 0)
    axes = least if axes is None else check_count(axes, "axes", 1)
    found = []
    for i, segment in enumerate(segments):
        name = f"segments[{i}]"
        if not isinstance(segment, tuple):
            found.append(check_count(segment, name, 1, where=", or a tuple of sizes"))
            continue
        if len(segment) != axes:
            raise ValueError(f"{name} is {segment!r} and there are {axes} axes; allowed are "
                             f"{axes} sizes, with 1 on an axis that is not used")
        found.append(tuple(check_count(size, f"a size in {name}", 1) for size in segment))
    return found, axes


# %% book/rotations/rope_tie.ipynb: _grid
def _grid(sizes, last, variant):
    """(starts, steps, next): of the patches on each axis, and the place of the next word."""
    n = math.prod(sizes)
    if variant == "v2":
        return [last + (n - size) / 2 for size in sizes], [1] * len(sizes), last + n + 1
    if variant == "mrope":
        return [last] * len(sizes), [1] * len(sizes), last + max(sizes) + 1
    extent = n + 1 if variant == "v1-tokens" else math.prod(size + 1 for size in sizes)
    return [last] * len(sizes), [extent / (size + 1) for size in sizes], last + extent


# %% book/rotations/rope_tie.ipynb: rope_tie_positions
def rope_tie_positions(segments, *, axes=None, variant="v2"):
    r"""Places of the tokens of a page, for rotations with several axes.

    Parameters
    ----------
    segments : list
        In reading order: an integer is so many words, a tuple of sizes an image (h, w) or a film
        (t, h, w), whose patches follow one another with the last axis fastest.
    axes : int >= 1, optional
        Number of coordinates; default is the length of the longest tuple, and at least 2. Each
        tuple has so many sizes, with 1 on an axis that is not used.
    variant : {"v2", "v1", "v1-tokens", "mrope"}
        RoPE-Tie with the step 1; stretched, with integer steps; stretched, and as long as its
        tokens; or the scheme of Qwen2-VL for comparison, in which patches start after the last
        place, and the next word stands after the largest coordinate.

    Returns
    -------
    array, shape (n, axes)
        In float64; words on the diagonal, the first one at (1, ..., 1). Integers and, for "v2",
        half-integers.

    Raises
    ------
    ValueError
        A size or a number of words below 1, a tuple of another length, or another word.
    TypeError
        Sizes that are no integers.

    Notes
    -----
    With "v2" and "v1-tokens" the last word of a page of N tokens stands at N. Give the result
    to `rope_rotate` with `rope_frequencies(d, axes=axes)`; it must not be cast to 16 bits
    (:prf:ref:`tie-halves`). Derived in :ref:`rope-tie-demands`, :prf:ref:`tie-solution`.

    Examples
    --------
    >>> from lowrank import rope_tie_positions
    >>> rope_tie_positions([2, (2, 3), 1]).T
    array([[1. , 2. , 5. , 5. , 5. , 6. , 6. , 6. , 9. ],
           [1. , 2. , 4.5, 5.5, 6.5, 4.5, 5.5, 6.5, 9. ]])
    """
    check_choice(variant, "variant", _VARIANTS)
    segments, axes = _check_segments(segments, axes)
    counts = [segment if isinstance(segment, int) else math.prod(segment) for segment in segments]
    columns, done, following = np.empty((axes, sum(counts))), 0, 1
    for segment, count in zip(segments, counts):
        part, done = columns[:, done:done + count], done + count
        if isinstance(segment, int):
            part[:] = np.arange(following, following + count)
            following += count
            continue
        starts, steps, following = _grid(segment, following - 1, variant)
        for a, (start, step) in enumerate(zip(starts, steps)):
            along = start + step * np.arange(1, segment[a] + 1)
            part[a].reshape(segment)[:] = along.reshape(-1, *[1] * (axes - a - 1))
    return columns.T


# %% book/rotations/rope_tie.ipynb: PositionGaps
class PositionGaps(namedtuple("PositionGaps", "left right")):
    """How far images and films stand from the words beside them.

    Attributes
    ----------
    left : array, shape (k, axes)
        For each of k grids, the smallest coordinate of its patches minus that of the token
        before; NaN where this is no word.
    right : array, shape (k, axes)
        That of the token after minus the largest coordinate; NaN where this is no word.
    """

    __slots__ = ()


def position_gaps(positions, segments):
    r"""The distances of images and films from the words before and after them, on each axis.

    Parameters
    ----------
    positions : array, shape (n, axes)
        Places of all tokens, from `rope_tie_positions` or another scheme.
    segments : list
        As for `rope_tie_positions`.

    Returns
    -------
    PositionGaps
        `left` and `right`.

    Raises
    ------
    ValueError
        As `rope_tie_positions`, or a shape that does not fit the segments.
    TypeError
        As `rope_tie_positions`.

    Notes
    -----
    Symmetry says that both are equal. A gap that is not positive means that a word stands within
    an image: :prf:ref:`tie-order`.

    Examples
    --------
    >>> from lowrank import position_gaps, rope_tie_positions
    >>> page = [3, (2, 4), 2]
    >>> position_gaps(rope_tie_positions(page), page).right
    array([[4., 3.]])
    >>> gaps = position_gaps(rope_tie_positions(page, variant="mrope"), page)
    >>> gaps.left.tolist(), gaps.right.tolist()
    ([[1.0, 1.0]], [[3.0, 1.0]])
    """
    positions = np.asarray(positions, dtype=np.float64)
    axes = positions.shape[-1] if positions.ndim else 0
    segments, _ = _check_segments(segments, max(axes, 1))
    counts = [segment if isinstance(segment, int) else math.prod(segment) for segment in segments]
    if positions.shape != (sum(counts), max(axes, 1)):
        raise ValueError(f"positions has shape {positions.shape} and segments has {sum(counts)} "
                         f"tokens; allowed is ({sum(counts)}, axes)")
    left, right, end = [], [], 0
    for i, (segment, count) in enumerate(zip(segments, counts)):
        start, end = end, end + count
        if isinstance(segment, int):
            continue
        patches, unknown = positions[start:end], np.full(axes, np.nan)
        is_word = [0 <= j < len(segments) and isinstance(segments[j], int) for j in (i - 1, i + 1)]
        left.append(patches.min(axis=0) - positions[start - 1] if is_word[0] else unknown)
        right.append(positions[end] - patches.max(axis=0) if is_word[1] else unknown)
    return PositionGaps(*(np.reshape(gaps, (-1, axes)) for gaps in (left, right)))

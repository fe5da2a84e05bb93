"""Types of lowrank.rope.

Generated from book/rotations/rope.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "rope_canonical",
    "rope_permutation",
    "rope_frequencies",
    "yarn_attention_factor",
    "rope_rotate",
    "rope_matrix",
]


def rope_canonical(B: Any) -> Any: ...


def rope_permutation(
    d: SupportsIndex,
    *,
    to: Literal["halves", "interleaved"] = 'halves',
) -> Any: ...


def rope_frequencies(
    d: SupportsIndex,
    base: SupportsFloat = 10000.0,
    *,
    axes: SupportsIndex = 1,
    allocation: Literal["interleaved", "chunked"] = 'interleaved',
    scaling: Literal[None, "linear", "ntk", "yarn"] = None,
    factor: SupportsFloat = 1.0,
    original_length: SupportsFloat | None = None,
) -> Any: ...


def yarn_attention_factor(factor: SupportsFloat) -> float: ...


def rope_rotate(
    X: Any,
    positions: Any,
    freqs: Any,
    *,
    layout: Literal["interleaved", "halves"] = 'interleaved',
    inverse: bool | np.bool_ = False,
) -> Any: ...


def rope_matrix(
    position: Any,
    freqs: Any,
    *,
    d: SupportsIndex | None = None,
    layout: Literal["interleaved", "halves"] = 'interleaved',
) -> Any: ...

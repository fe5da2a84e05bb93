"""Types of lowrank.topk.

Generated from book/smooth_topk/topk.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

__all__ = ["soft_topk", "soft_topk_vjp", "soft_topk_jvp", "topk_temperature"]


def number_of_nodes(xp: Any, s2: Any) -> Any: ...


def power_sums(p: Any, *vectors: Any) -> Any: ...


def long_nodes(p: Any, times: Any = 1) -> Any: ...


def split_ends(p: Any, c: Any) -> Any: ...


def node_weights(
    k: Any,
    w: Any,
    c: Any,
    low: Any,
    near_one: Any,
    high: Any,
    middle: Any,
) -> Any: ...


def checked_slices(
    x: Any,
    k: Any,
    temperature: Any,
    method: Any,
    axis: Any,
    **others: Any,
) -> Any: ...


def soft_topk(
    x: Any,
    k: Any,
    *,
    temperature: SupportsFloat = 1.0,
    method: Literal["laplace", "sparse", "subset", "sigmoid", "expclip"] = 'laplace',
    axis: SupportsIndex = -1,
) -> Any: ...


def soft_topk_vjp(
    x: Any,
    k: Any,
    g: Any,
    *,
    temperature: SupportsFloat = 1.0,
    method: Literal["laplace", "sparse", "subset", "sigmoid", "expclip"] = 'laplace',
    axis: SupportsIndex = -1,
) -> Any: ...


def soft_topk_jvp(
    x: Any,
    k: Any,
    dx: Any,
    *,
    temperature: SupportsFloat = 1.0,
    method: Literal["laplace", "sparse", "subset", "sigmoid", "expclip"] = 'laplace',
    axis: SupportsIndex = -1,
) -> Any: ...


def topk_temperature(
    x: Any,
    k: SupportsIndex,
    *,
    error: SupportsFloat = 0.01,
    method: Literal["laplace", "sparse", "subset", "sigmoid", "expclip"] = 'laplace',
    axis: SupportsIndex = -1,
) -> Any: ...

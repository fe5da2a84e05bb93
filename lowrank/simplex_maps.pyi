"""Types of lowrank.simplex_maps.

Generated from book/smooth_topk/simplex_maps.ipynb; edit the chapter.
"""

from typing import Any, SupportsFloat, SupportsIndex

__all__ = ["softmax", "softmax_vjp", "sparsemax", "sparsemax_vjp", "entmax", "entmax_vjp"]


def mass(xp: Any, A: Any) -> Any: ...


def as_slices(x: Any, axis: Any, **others: Any) -> Any: ...


def check_temperature(T: Any) -> Any: ...


def as_divisor(T: Any, X: Any) -> Any: ...


def count_true(xp: Any, mask: Any, dtype: Any) -> Any: ...


def check_room(xp: Any, X: Any, k: Any, finite: Any) -> Any: ...


def softmax(x: Any, *, temperature: SupportsFloat = 1.0, axis: SupportsIndex = -1) -> Any: ...


def softmax_vjp(
    x: Any,
    g: Any,
    *,
    temperature: SupportsFloat = 1.0,
    axis: SupportsIndex = -1,
) -> Any: ...


def sparsemax(x: Any, *, temperature: SupportsFloat = 1.0, axis: SupportsIndex = -1) -> Any: ...


def sparsemax_vjp(
    x: Any,
    g: Any,
    *,
    temperature: SupportsFloat = 1.0,
    axis: SupportsIndex = -1,
) -> Any: ...


def entmax(
    x: Any,
    *,
    alpha: SupportsFloat = 1.5,
    temperature: SupportsFloat = 1.0,
    axis: SupportsIndex = -1,
) -> Any: ...


def entmax_vjp(
    x: Any,
    g: Any,
    *,
    alpha: SupportsFloat = 1.5,
    temperature: SupportsFloat = 1.0,
    axis: SupportsIndex = -1,
) -> Any: ...

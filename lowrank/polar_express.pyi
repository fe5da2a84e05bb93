"""Types of lowrank.polar_express.

Generated from book/matrix_sign/polar_express.ipynb; edit the chapter.
"""

from typing import Any, SupportsFloat, SupportsIndex

__all__ = ["Schedule", "optimal_msign_schedule", "best_degrees"]


class Schedule(tuple):
    ...


def check_degrees(degree: Any) -> Any: ...


def check_range(lower: Any, upper: Any) -> Any: ...


def optimal_msign_schedule(steps: SupportsIndex | None = ..., degree: Any = ..., lower: SupportsFloat = ..., *, upper: SupportsFloat = ..., tol: SupportsFloat | None = ..., cushion: SupportsFloat = ..., safety: SupportsFloat = ..., dps: SupportsIndex | None = ...) -> Schedule: ...


def count_products(c: Any) -> Any: ...


def best_degrees(products: SupportsIndex, lower: SupportsFloat = ..., *, upper: SupportsFloat = ..., degrees: Any = ...) -> Any: ...

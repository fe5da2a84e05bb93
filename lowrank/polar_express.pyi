"""Types of lowrank.polar_express.

Generated from book/matrix_sign/polar_express.ipynb; edit the chapter.
"""

from typing import Any, Self, SupportsFloat, SupportsIndex

__all__ = ["Schedule", "optimal_msign_schedule", "best_degrees"]


class Schedule(tuple[Any, ...]):
    @property
    def errors(self) -> tuple[float, ...]: ...
    @property
    def bounds(self) -> Any: ...
    def __new__(cls, steps: Any, errors: Any, bounds: Any) -> Self: ...


def optimal_msign_schedule(
    steps: SupportsIndex | None = None,
    degree: Any = 5,
    lower: SupportsFloat = 0.001,
    *,
    upper: SupportsFloat = 1.0,
    tol: SupportsFloat | None = None,
    cushion: SupportsFloat = 0.0,
    safety: SupportsFloat = 0.0,
    dps: SupportsIndex | None = None,
) -> Schedule: ...


def count_products(c: Any) -> Any: ...


def best_degrees(
    products: SupportsIndex,
    lower: SupportsFloat = 0.001,
    *,
    upper: SupportsFloat = 1.0,
    degrees: Any = (3, 5, 9, 17),
) -> tuple[int, ...]: ...

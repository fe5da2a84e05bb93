"""Types of lowrank.interpolative.

Generated from book/low_rank/interpolative.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.error_estimates import ErrorEstimate
from lowrank.linear_map import Factored

__all__ = ["InterpolativeDecomposition", "interp_decomp"]


class ChosenColumns:
    Qh: Any
    B: Any
    squares: Any
    left: Any
    known: Any
    floor: Any
    A: Any
    J: Any
    accuracy: Any
    def __init__(self, A: Any, capacity: Any = 16, squares: Any = None) -> None: ...


def swap(chosen: Any, f: Any) -> Any: ...


def filled(J: Any, rank: Any, n: Any) -> Any: ...


def with_identity(Z: Any, J: Any, f: Any) -> Any: ...


class InterpolativeDecomposition(Factored):
    @property
    def columns(self) -> Any: ...
    @property
    def Z(self) -> Any: ...
    @property
    def C(self) -> Any: ...
    @property
    def error(self) -> ErrorEstimate: ...
    @property
    def suboptimality(self) -> float | None: ...
    def __init__(
        self,
        columns: Any,
        Z: Any,
        *,
        C: Any,
        error: Any = None,
        suboptimality: Any = None,
    ) -> None: ...
    @property
    def factors(self) -> Any: ...


def choose_on_sketch(M: Any, width: Any, rng: Any) -> Any: ...


def pivot(chosen: Any, rank: Any, goal: Any = -1.0) -> Any: ...


def check_f(f: Any, dtype: Any, name: Any = 'f') -> Any: ...


def interp_decomp(
    A: Any,
    rank: SupportsIndex | None = None,
    *,
    tol: SupportsFloat | None = None,
    f: SupportsFloat = 2.0,
    method: Literal["auto", "qr", "sketch"] = 'auto',
    rng: SupportsIndex | np.random.Generator | None = None,
) -> InterpolativeDecomposition: ...

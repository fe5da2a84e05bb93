"""Types of lowrank.psd.

Generated from book/low_rank/psd.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple, Self, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.linear_map import Factored

__all__ = ["RPCholesky", "rpcholesky", "Nystrom", "nystrom"]


class _RPCholesky(NamedTuple):
    F: Any
    pivots: Any


class RPCholesky(Factored, _RPCholesky):
    trace_error: float | None
    def __new__(cls, F: Any, pivots: Any, *, trace_error: Any = None) -> Self: ...
    @property
    def factors(self) -> Any: ...


def rpcholesky(
    A: Any,
    rank: SupportsIndex,
    *,
    block: SupportsIndex | None = None,
    tol: SupportsFloat = 0.0,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> RPCholesky: ...


class _Nystrom(NamedTuple):
    F: Any


class Nystrom(Factored, _Nystrom):
    @property
    def factors(self) -> Any: ...


def nystrom(
    A: Any,
    rank: SupportsIndex,
    *,
    oversample: SupportsIndex = 10,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Nystrom: ...

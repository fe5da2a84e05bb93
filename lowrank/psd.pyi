"""Types of lowrank.psd.

Generated from book/low_rank/psd.ipynb; edit the chapter.
"""

from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.linear_map import Factored

__all__ = ["RPCholesky", "rpcholesky", "Nystrom", "nystrom"]


class RPCholesky(Factored):
    @property
    def F(self) -> Any: ...
    @property
    def pivots(self) -> Any: ...
    @property
    def trace_error(self) -> float | None: ...
    def __init__(self, F: Any, pivots: Any, *, trace_error: Any = None) -> None: ...
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


class Nystrom(Factored):
    @property
    def F(self) -> Any: ...
    def __init__(self, F: Any) -> None: ...
    @property
    def factors(self) -> Any: ...


def nystrom(
    A: Any,
    rank: SupportsIndex,
    *,
    oversample: SupportsIndex = 10,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Nystrom: ...

"""Types of lowrank.skeleton.

Generated from book/low_rank/skeleton.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, Self, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.error_estimates import ErrorEstimate
from lowrank.linear_map import Factored

__all__ = ["MaxVolume", "maxvol", "CUR", "cur", "aca"]


class _MaxVolume(NamedTuple):
    rows: Any
    B: Any


class MaxVolume(_MaxVolume): ...


def maxvol(C: Any, *, tol: SupportsFloat = 1.05) -> MaxVolume: ...


class CUR(Factored):
    @property
    def columns(self) -> Any: ...
    @property
    def rows(self) -> Any: ...
    @property
    def U(self) -> Any: ...
    @property
    def C(self) -> Any: ...
    @property
    def R(self) -> Any: ...
    @property
    def CU(self) -> Any: ...
    @property
    def error(self) -> ErrorEstimate | None: ...
    def __init__(
        self,
        columns: Any,
        U: Any,
        rows: Any,
        *,
        C: Any,
        R: Any,
        CU: Any = None,
        error: Any = None,
    ) -> None: ...
    def _replace(self, **changes: Any) -> Self: ...
    @property
    def factors(self) -> Any: ...
    @property
    def rank(self) -> Any: ...


def cur(
    A: Any,
    rank: SupportsIndex | None = None,
    *,
    rows: Any = None,
    columns: Any = None,
    core: Literal["optimal", "cross"] = 'optimal',
    select: Literal["id", "deim", "maxvol", "leverage", "ridge", "norm"] = 'id',
    f: SupportsFloat = 2.0,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> CUR: ...


def aca(
    A: Any,
    rank: SupportsIndex | None = None,
    *,
    tol: SupportsFloat | None = None,
    shape: Any = None,
    n_probe: SupportsIndex = 10,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> CUR: ...

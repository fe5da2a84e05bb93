"""Types of lowrank.skeleton.

Generated from book/low_rank/skeleton.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.linear_map import Factored

__all__ = ["MaxVolume", "maxvol", "CUR", "cur", "aca"]


class _MaxVolume(NamedTuple):
    rows: Any
    B: Any


class MaxVolume(_MaxVolume):
    ...


def maxvol(C: Any, *, tol: SupportsFloat = ...) -> MaxVolume: ...


class _CUR(NamedTuple):
    columns: Any
    U: Any
    rows: Any


class CUR(Factored, _CUR):
    @property
    def factors(self) -> Any: ...
    @property
    def rank(self) -> Any: ...


def cur(A: Any, rank: SupportsIndex | None = ..., *, rows: Any = ..., columns: Any = ..., core: Literal["optimal", "cross"] = ..., select: Literal["id", "deim", "maxvol", "leverage", "ridge", "norm"] = ..., f: SupportsFloat = ..., rng: SupportsIndex | np.random.Generator | None = ...) -> CUR: ...


def aca(A: Any, rank: SupportsIndex | None = ..., *, tol: SupportsFloat | None = ..., shape: Any = ..., n_probe: SupportsIndex = ..., rng: SupportsIndex | np.random.Generator | None = ...) -> CUR: ...

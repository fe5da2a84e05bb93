"""Types of lowrank.monarch.

Generated from book/structure/monarch.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsIndex

import numpy as np

from lowrank.linear_map import Factored

__all__ = [
    "Monarch",
    "monarch_project",
    "monarch_dense",
    "monarch_matmul",
    "MonarchOption",
    "monarch_options",
    "dft_monarch",
    "monarch_solve",
    "monarch_slogdet",
]


class Monarch(Factored):
    @property
    def L(self) -> Any: ...
    @property
    def R(self) -> Any: ...
    def __init__(self, L: Any, R: Any) -> None: ...
    @property
    def factors(self) -> Any: ...
    @property
    def blocks(self) -> Any: ...
    @property
    def shape(self) -> Any: ...
    @property
    def ndim(self) -> Any: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def rank(self) -> Any: ...
    def reconstruct(self) -> Any: ...
    def __matmul__(self, x: Any) -> Any: ...


def monarch_project(
    M: Any,
    blocks: Any = None,
    rank: SupportsIndex = 1,
    *,
    side: Literal["balanced", "left", "right"] = 'balanced',
) -> Monarch: ...


def monarch_dense(L: Any, R: Any) -> Any: ...


def monarch_matmul(L: Any, R: Any, X: Any, *, adjoint: bool | np.bool_ = False) -> Any: ...


class _MonarchOption(NamedTuple):
    blocks: Any
    rank: Any
    error: Any
    parameters: Any


class MonarchOption(_MonarchOption): ...


def monarch_options(M: Any, budget: SupportsIndex) -> Any: ...


def dft_monarch(n: SupportsIndex, blocks: Any = None) -> Any: ...


def monarch_solve(L: Any, R: Any, Y: Any, *, adjoint: bool | np.bool_ = False) -> Any: ...


def monarch_slogdet(L: Any, R: Any) -> Any: ...


def two_levels(count: Any) -> Any: ...


def from_levels(rows: Any, columns: Any, count: Any) -> Any: ...

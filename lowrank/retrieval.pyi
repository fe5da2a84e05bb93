"""Types of lowrank.retrieval.

Generated from book/low_rank/retrieval.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple, Protocol, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.linear_map import Result

__all__ = ["Ranking", "CURIndex"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class _Ranking(NamedTuple):
    items: Any
    scores: Any


class Ranking(_Ranking): ...


class _Index(Result):
    @property
    def anchors(self) -> Any: ...
    @property
    def Z(self) -> Any: ...
    @property
    def left(self) -> Any: ...
    @property
    def right(self) -> Any: ...
    @property
    def ridge(self) -> Any: ...
    @property
    def error(self) -> Any: ...
    @property
    def amplification(self) -> Any: ...
    def __init__(
        self,
        anchors: Any,
        Z: Any,
        left: Any,
        right: Any,
        ridge: Any,
        error: Any,
        amplification: Any,
    ) -> None: ...


class CURIndex(_Index):
    @property
    def anchors(self) -> Any: ...
    @property
    def Z(self) -> Any: ...
    @property
    def left(self) -> Any: ...
    @property
    def right(self) -> Any: ...
    @property
    def ridge(self) -> float: ...
    @property
    def error(self) -> float: ...
    @property
    def amplification(self) -> float: ...
    @classmethod
    def fit(
        cls,
        scores: Any,
        n_anchors: SupportsIndex | None = None,
        *,
        anchors: Any = None,
        queries: Any = None,
        ridge: SupportsFloat | None = None,
        rng: SupportsIndex | np.random.Generator | None = None,
    ) -> CURIndex: ...
    def scores(self, anchor_scores: Any) -> Any: ...
    def query(self, anchor_scores: Any, k: SupportsIndex) -> Ranking: ...
    def search(self, score: _Function, k: SupportsIndex, *, budget: SupportsIndex) -> Ranking: ...
    def add(self, scores: Any) -> CURIndex: ...

"""Types of lowrank.retrieval.

Generated from book/low_rank/retrieval.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple, Protocol, Self, SupportsFloat, SupportsIndex

import numpy as np

from lowrank.linear_map import Result

__all__ = ["Ranking", "CURIndex"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class _Ranking(NamedTuple):
    items: Any
    scores: Any


class Ranking(_Ranking): ...


class __Index(NamedTuple):
    anchors: Any
    Z: Any
    left: Any
    right: Any
    ridge: Any
    error: Any
    amplification: Any


class _Index(Result, __Index):
    def __new__(
        cls,
        anchors: Any,
        Z: Any,
        left: Any,
        right: Any,
        ridge: Any,
        error: Any,
        amplification: Any,
    ) -> Self: ...


class CURIndex(_Index):
    anchors: Any
    Z: Any
    left: Any
    right: Any
    ridge: float
    error: float
    amplification: float
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

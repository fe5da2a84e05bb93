"""Types of lowrank.thresholds.

Generated from book/smooth_topk/thresholds.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple


class _Slices(NamedTuple):
    xp: Any
    X: Any
    k: Any
    T: Any
    method: Any
    certain: Any
    allowed: Any


class Slices(_Slices):
    @property
    def edge(self) -> Any: ...


def border_scores(S: Any) -> Any: ...


def from_threshold(S: Any) -> Any: ...


def curve(S: Any, t: Any) -> Any: ...


def blocks(n: Any) -> Any: ...


def row_blocks(S: Any, *others: Any) -> Any: ...


def one_slice(S: Any) -> Any: ...


def long_values(S: Any, p: Any, t: Any = None) -> Any: ...

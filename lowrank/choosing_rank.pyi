"""Types of lowrank.choosing_rank.

Generated from book/low_rank/choosing_rank.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

__all__ = [
    "RankChoice",
    "choose_rank",
    "hard_threshold",
    "SignalRank",
    "signal_rank",
    "SubspaceBound",
    "wedin_bound",
]


class _RankChoice(NamedTuple):
    x: Any
    rank: Any
    residuals: Any
    norms: Any
    scores: Any


class RankChoice(_RankChoice): ...


def choose_rank(
    A: Any,
    b: Any,
    method: Literal["gcv", "discrepancy", "lcurve"] = 'gcv',
    *,
    noise: SupportsFloat | None = None,
    safety: SupportsFloat | None = None,
    max_rank: SupportsIndex | None = None,
    rtol: SupportsFloat | None = None,
) -> RankChoice: ...


def hard_threshold(shape: Any, noise: SupportsFloat = 1.0) -> float: ...


class _SignalRank(NamedTuple):
    rank: int
    threshold: float
    noise: float
    edge: float
    s: Any


class SignalRank(_SignalRank): ...


def signal_rank(A: Any, noise: SupportsFloat | None = None) -> SignalRank: ...


class _SubspaceBound(NamedTuple):
    bound: float
    residual: float
    gap: float


class SubspaceBound(_SubspaceBound): ...


def wedin_bound(
    A: Any,
    svd: Any,
    *,
    rest: SupportsFloat | None = None,
    norm: Literal[2, "fro"] = 2,
) -> SubspaceBound: ...

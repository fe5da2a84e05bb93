"""Types of lowrank.svd.

Generated from book/low_rank/svd.ipynb; edit the chapter.
"""

from typing import Any, SupportsFloat, SupportsIndex

from lowrank.linear_map import Factored

__all__ = ["TruncatedSVD", "truncated_svd"]


def fix_signs(U: Any, Vh: Any) -> Any: ...


class TruncatedSVD(Factored):
    @property
    def U(self) -> Any: ...
    @property
    def s(self) -> Any: ...
    @property
    def Vh(self) -> Any: ...
    def __init__(self, U: Any, s: Any, Vh: Any) -> None: ...
    @property
    def factors(self) -> Any: ...


def rank_for_tol(s: Any, tol: Any) -> Any: ...


def representable(s: Any, name: Any = 'A') -> Any: ...


def truncated_svd(
    A: Any,
    rank: SupportsIndex | None = None,
    *,
    tol: SupportsFloat | None = None,
) -> TruncatedSVD: ...

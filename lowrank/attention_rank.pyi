"""Types of lowrank.attention_rank.

Generated from book/structure/attention_rank.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat

import numpy as np

__all__ = [
    "attention_matrix",
    "SlogDet",
    "attention_slogdet",
    "numerical_rank",
    "effective_rank",
    "rank_collapse",
]


def as_tokens(**given: Any) -> Any: ...


def check_leads(**arrays: Any) -> Any: ...


def check_keys(Q: Any, K: Any) -> Any: ...


def check_scale(scale: Any, d: Any) -> Any: ...


def scores(Q: Any, K: Any, scale: Any) -> Any: ...


def from_row_peak(S: Any, c: Any, allowed: Any = None) -> Any: ...


def row_softmax(S: Any, c: Any, allowed: Any = None) -> Any: ...


def as_mask(mask: Any, xp: Any, name: Any = 'mask') -> Any: ...


def attention_matrix(
    Q: Any,
    K: Any,
    causal: bool | np.bool_ = False,
    *,
    scale: SupportsFloat | None = None,
    mask: Any = None,
) -> Any: ...


class _SlogDet(NamedTuple):
    sign: Any
    logabsdet: Any


class SlogDet(_SlogDet): ...


def attention_slogdet(
    Q: Any,
    K: Any,
    causal: bool | np.bool_ = False,
    *,
    scale: SupportsFloat | None = None,
) -> SlogDet: ...


def numerical_rank(A: Any, *, rtol: SupportsFloat | None = None) -> Any: ...


def effective_rank(
    A: Any,
    *,
    kind: Literal["entropy", "participation", "stable"] = 'entropy',
) -> Any: ...


def rank_collapse(X: Any) -> Any: ...

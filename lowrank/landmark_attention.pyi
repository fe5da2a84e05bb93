"""Types of lowrank.landmark_attention.

Generated from book/structure/landmark_attention.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["NystromFactors", "nystrom_attention", "AttentionError", "attention_error"]


class _NystromFactors(NamedTuple):
    C: Any
    Z: Any
    R: Any


class NystromFactors(_NystromFactors): ...


def nystrom_attention(
    Q: Any,
    K: Any,
    V: Any,
    landmarks: Any,
    *,
    rtol: SupportsFloat | None = None,
    core: Literal["inverse", "fitted", "steps"] = 'inverse',
    steps: SupportsIndex | None = None,
    rows: Any = None,
    scale: SupportsFloat | None = None,
    mask: Any = None,
    causal: bool | np.bool_ = False,
    return_factors: bool | np.bool_ = False,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Any: ...


class _AttentionError(NamedTuple):
    relative: Any
    error: Any
    bound: Any
    confidence: float


class AttentionError(_AttentionError): ...


def attention_error(
    Q: Any,
    K: Any,
    V: Any,
    Y: Any,
    *,
    n_probe: SupportsIndex = 32,
    confidence: SupportsFloat = 0.95,
    scale: SupportsFloat | None = None,
    mask: Any = None,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> AttentionError: ...

"""Types of lowrank.experts.

Generated from book/companions/experts.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "route",
    "ExpertLoad",
    "expert_load",
    "loss_free_bias",
    "SharedExpertScale",
    "shared_expert_scale",
]


def route(scores: Any, k: Any, *, bias: Any = None) -> Any: ...


class _ExpertLoad(NamedTuple):
    load: Any
    max_violation: float


class ExpertLoad(_ExpertLoad): ...


def expert_load(scores: Any, k: Any, *, bias: Any = None, target: Any = None) -> ExpertLoad: ...


def loss_free_bias(
    scores: Any,
    k: Any,
    steps: SupportsIndex,
    rate: SupportsFloat | None = None,
    *,
    bias: Any = None,
    target: Any = None,
    rule: Literal["sign", "rms", "gradient", "quantile"] = 'sign',
) -> Any: ...


class _SharedExpertScale(NamedTuple):
    scale: float
    standard_error: float


class SharedExpertScale(_SharedExpertScale): ...


def shared_expert_scale(
    n: SupportsIndex,
    k: Any,
    s: Any,
    act: Literal["softmax", "sigmoid", "relu"] = 'softmax',
    renorm: bool | np.bool_ = False,
    *,
    samples: SupportsIndex = 100000,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> SharedExpertScale: ...

"""Types of lowrank.lora.

Generated from book/adapters/lora.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

__all__ = [
    "tangent_share",
    "lora_ga_init",
    "pissa_init",
    "lora_scale",
    "lora_pro_gradients",
    "lora_retract",
    "lora_muon_gradients",
]


def tangent_share(A: Any, B: Any, G: Any) -> Any: ...


def lora_ga_init(G: Any, rank: SupportsIndex) -> Any: ...


def pissa_init(W: Any, rank: SupportsIndex) -> Any: ...


def lora_scale(
    rank: SupportsIndex,
    alpha: SupportsFloat,
    rule: Literal["rs", "classic"] = 'rs',
) -> float: ...


def lora_pro_gradients(
    A: Any,
    B: Any,
    GA: Any,
    GB: Any,
    mode: Literal["sylvester", "plain", "symmetric"] = 'sylvester',
    *,
    scale: SupportsFloat = 1.0,
    rtol: SupportsFloat | None = None,
) -> Any: ...


def lora_retract(A: Any, B: Any, HA: Any, HB: Any, lr: SupportsFloat) -> Any: ...


def lora_muon_gradients(
    A: Any,
    B: Any,
    GA: Any,
    GB: Any,
    *,
    scale: SupportsFloat = 1.0,
    rtol: SupportsFloat | None = None,
    schedule: Any = None,
) -> Any: ...

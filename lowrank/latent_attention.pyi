"""Types of lowrank.latent_attention.

Generated from book/adapters/latent_attention.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "kv_cache_per_token",
    "joint_kv_compress",
    "kv_factors_of_gqa",
    "mla_attention",
    "mla_cache",
    "mla_decode",
]


def kv_cache_per_token(
    kind: Literal["mha", "gqa", "mqa", "mla", "shared"],
    *,
    heads: SupportsIndex | None = None,
    key_dim: SupportsIndex | None = None,
    value_dim: SupportsIndex | None = None,
    groups: SupportsIndex | None = None,
    rank: SupportsIndex | None = None,
    rope_dim: SupportsIndex | None = None,
    layers: SupportsIndex = 1,
) -> int: ...


def joint_kv_compress(
    Wk: Any,
    Wv: Any,
    r: SupportsIndex,
    X: Any = None,
    *,
    value_weight: SupportsFloat = 1.0,
) -> Any: ...


def kv_factors_of_gqa(Wk: Any, Wv: Any, *, rtol: SupportsFloat | None = None) -> Any: ...


def mla_attention(
    X: Any,
    Wq: Any,
    D: Any,
    Uk: Any,
    Uv: Any,
    absorb: bool | np.bool_ = True,
    causal: bool | np.bool_ = True,
    *,
    Wqr: Any = None,
    Wkr: Any = None,
    positions: Any = None,
    freqs: Any = None,
    scale: SupportsFloat | None = None,
    mask: Any = None,
    Wo: Any = None,
) -> Any: ...


def mla_cache(
    X: Any,
    D: Any,
    *,
    Wkr: Any = None,
    positions: Any = None,
    freqs: Any = None,
) -> Any: ...


def mla_decode(
    q: Any,
    cache: Any,
    Uk: Any,
    Uv: Any,
    *,
    q_rope: Any = None,
    scale: SupportsFloat | None = None,
    mask: Any = None,
    Wo: Any = None,
) -> Any: ...

"""Types of lowrank.linear_transformer.

Generated from book/structure/linear_transformer.ipynb; edit the chapter.
"""

from typing import Any, Literal, Protocol, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["transformer_macs", "attention_crossover", "linear_attention", "random_features"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


def transformer_macs(
    n: SupportsIndex,
    d: SupportsIndex,
    *,
    heads: SupportsIndex | None = None,
    kv_heads: SupportsIndex | None = None,
    ffn: SupportsFloat = 4,
    gated: bool | np.bool_ = False,
    causal: bool | np.bool_ = False,
    attention: Literal["softmax", "linear"] = 'softmax',
    layers: SupportsIndex = 1,
    vocab: SupportsIndex = 0,
) -> Any: ...


def attention_crossover(d: SupportsIndex) -> Any: ...


def linear_attention(
    Q: Any,
    K: Any,
    V: Any,
    causal: bool | np.bool_ = False,
    *,
    chunk: SupportsIndex = 64,
    features: Literal[None, "elu", "relu"] | _Function = None,
    normalize: bool | np.bool_ = False,
    decay: Any = None,
    state: Any = None,
    return_state: bool | np.bool_ = False,
) -> Any: ...


def random_features(X: Any, W: Any, *, shift: Literal[None, "row", "all"] = None) -> Any: ...

"""Types of lowrank.optax_optimizer.

Generated from book/in_use/optax_optimizer.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, Protocol, SupportsFloat

import numpy as np

__all__ = ["muon_layouts", "muon_labels", "ScaleByMuonState", "scale_by_muon", "optax_muon"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


def muon_layouts(params: Any, layouts: Any = None) -> Any: ...


def muon_labels(params: Any, layouts: Any = None) -> Any: ...


class _ScaleByMuonState(NamedTuple):
    count: Any
    mu: Any


class ScaleByMuonState(_ScaleByMuonState): ...


def scale_by_muon(
    beta: SupportsFloat = 0.95,
    *,
    nesterov: bool | np.bool_ = True,
    bias_correction: bool | np.bool_ = False,
    scale: Literal["rms", "operator", "jordan"] | SupportsFloat = 'rms',
    schedule: Any = 'auto',
    normalize: Literal["frobenius", "schatten4", "schatten8"] = 'schatten8',
    dtype: Any = None,
    mu_dtype: Any = None,
    layouts: Any = None,
) -> Any: ...


def optax_muon(
    learning_rate: SupportsFloat | _Function,
    *,
    weight_decay: SupportsFloat = 0.1,
    beta: SupportsFloat = 0.95,
    nesterov: bool | np.bool_ = True,
    bias_correction: bool | np.bool_ = False,
    scale: Literal["rms", "operator", "jordan"] | SupportsFloat = 'rms',
    schedule: Any = 'auto',
    normalize: Literal["frobenius", "schatten4", "schatten8"] = 'schatten8',
    dtype: Any = None,
    mu_dtype: Any = None,
    layouts: Any = None,
    adam_learning_rate: SupportsFloat | _Function | None = None,
    adam_b1: SupportsFloat = 0.9,
    adam_b2: SupportsFloat = 0.95,
    adam_eps: SupportsFloat = 1e-08,
    adam_weight_decay: SupportsFloat = 0.0,
) -> Any: ...

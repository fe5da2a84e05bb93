"""Types of lowrank.torch_optimizer.

Generated from book/in_use/torch_optimizer.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat

import numpy as np
import torch

__all__ = ["TorchMuon", "muon_groups"]


class _Resumed(torch.optim.Optimizer):
    def load_state_dict(self, state_dict: Any) -> Any: ...


class TorchMuon(_Resumed):
    def __init__(
        self,
        params: Any,
        lr: SupportsFloat = 0.001,
        *,
        weight_decay: SupportsFloat = 0.1,
        beta: SupportsFloat = 0.95,
        nesterov: bool | np.bool_ = True,
        scale: Literal["rms", "operator", "jordan"] | SupportsFloat = 'rms',
        schedule: Any = 5,
        normalize: Literal["frobenius", "schatten4", "schatten8"] = 'schatten8',
        dtype: Any = ...,
        kind: Literal["matrix", "stack", "adamw", None] = None,
        heads: Any = None,
        betas: Any = (0.9, 0.95),
        eps: SupportsFloat = 1e-08,
        state_dtype: Any = None,
        maximize: bool | np.bool_ = False,
        capturable: bool | np.bool_ = False,
        differentiable: bool | np.bool_ = False,
    ) -> None: ...
    def add_param_group(self, param_group: Any) -> Any: ...
    def step(self, closure: Any = None) -> Any: ...


def muon_groups(model: Any, *, kinds: Any = None, heads: Any = None, adamw: Any = None) -> Any: ...

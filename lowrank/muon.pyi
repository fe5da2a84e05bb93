"""Types of lowrank.muon.

Generated from book/matrix_sign/muon.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat

import numpy as np

from lowrank.linear_map import Result

__all__ = ["MuonUpdate", "muon_update", "MuonState", "Muon"]


def check_share(value: Any, name: Any) -> Any: ...


def check_size(value: Any, name: Any) -> Any: ...


class _MuonUpdate(NamedTuple):
    update: Any
    momentum: Any


class MuonUpdate(_MuonUpdate): ...


def muon_update(
    grad: Any,
    momentum: Any = None,
    *,
    beta: SupportsFloat = 0.95,
    nesterov: bool | np.bool_ = True,
    scale: Literal["rms", "operator", "jordan"] | SupportsFloat = 'rms',
    schedule: Any = 5,
    normalize: Literal["frobenius", "schatten4", "schatten8"] = 'schatten8',
    dtype: Any = None,
) -> MuonUpdate: ...


class _MuonState(NamedTuple):
    count: Any
    momenta: Any
    sizes: Any


class MuonState(_MuonState): ...


class Muon(Result):
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def adam_lr(self) -> float: ...
    @property
    def betas(self) -> Any: ...
    @property
    def kinds(self) -> Any: ...
    @property
    def options(self) -> Any: ...
    def __init__(
        self,
        lr: SupportsFloat = 0.001,
        *,
        weight_decay: SupportsFloat = 0.1,
        adam_lr: SupportsFloat | None = None,
        betas: Any = (0.9, 0.95),
        kinds: Any = None,
        **options: Any,
    ) -> None: ...
    def _asdict(self) -> dict[str, Any]: ...
    def init(self, params: Any) -> Any: ...
    def step(self, params: Any, grads: Any, state: Any, *, factor: Any = 1.0) -> Any: ...

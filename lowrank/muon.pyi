"""Types of lowrank.muon.

Generated from book/matrix_sign/muon.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat

__all__ = ["MuonUpdate", "muon_update", "MuonState", "Muon"]


class _MuonUpdate(NamedTuple):
    update: Any
    momentum: Any


class MuonUpdate(_MuonUpdate):
    ...


def muon_update(grad: Any, momentum: Any = None, *, beta: SupportsFloat = 0.95, nesterov: bool = True, scale: Any = 'rms', schedule: Any = 5, normalize: Literal["frobenius", "schatten4", "schatten8"] = 'schatten8', dtype: Any = None) -> MuonUpdate: ...


class _MuonState(NamedTuple):
    count: Any
    momenta: Any
    sizes: Any


class MuonState(_MuonState):
    ...


class _Muon(NamedTuple):
    lr: float
    weight_decay: float
    adam_lr: float
    betas: Any
    kinds: Any
    options: Any


class Muon(_Muon):
    def init(self, params: Any) -> Any: ...
    def step(self, params: Any, grads: Any, state: Any, *, factor: Any = 1.0) -> Any: ...

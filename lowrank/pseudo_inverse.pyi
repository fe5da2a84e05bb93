"""Types of lowrank.pseudo_inverse.

Generated from book/low_rank/pseudo_inverse.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "PenroseResiduals",
    "penrose_residuals",
    "PinvInfo",
    "pinv",
    "best_factor",
    "NewtonSchulzInverse",
    "pinv_newton_schulz",
]


class _PenroseResiduals(NamedTuple):
    AXA: Any
    XAX: Any
    AX: Any
    XA: Any


class PenroseResiduals(_PenroseResiduals): ...


def penrose_residuals(A: Any, X: Any) -> PenroseResiduals: ...


def orthogonal_parts(A: Any, name: Any, rtol: Any) -> Any: ...


def unscale_inverse(X: Any, e: Any, name: Any = 'A') -> Any: ...


class _PinvInfo(NamedTuple):
    rank: Any
    kept: Any
    dropped: Any


class PinvInfo(_PinvInfo): ...


def pinv(
    A: Any,
    *,
    rtol: SupportsFloat | None = None,
    atol: SupportsFloat | None = None,
    hermitian: bool | np.bool_ = False,
    return_info: bool | np.bool_ = False,
) -> Any: ...


def best_factor(
    M: Any,
    *,
    left: Any = None,
    right: Any = None,
    rtol: SupportsFloat | None = None,
) -> Any: ...


class _NewtonSchulzInverse(NamedTuple):
    X: Any
    rank: Any
    residual: Any
    steps: Any
    converged: Any


class NewtonSchulzInverse(_NewtonSchulzInverse): ...


def pinv_newton_schulz(
    A: Any,
    *,
    steps: SupportsIndex | None = None,
    tol: SupportsFloat | None = None,
    order: SupportsIndex = 3,
) -> NewtonSchulzInverse: ...

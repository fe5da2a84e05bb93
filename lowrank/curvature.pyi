"""Types of lowrank.curvature.

Generated from book/covariances/curvature.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["curvature_from_gradients", "whiten_gradient", "Kronecker", "nearest_kronecker"]


def curvature_from_gradients(
    G: Any,
    *,
    centered: bool | np.bool_ = False,
    diagonal: bool | np.bool_ = False,
) -> Any: ...


def whiten_gradient(
    G: Any,
    g: Any,
    *,
    eps: SupportsFloat = 0.0,
    rtol: SupportsFloat | None = None,
) -> Any: ...


class _Kronecker(NamedTuple):
    L: Any
    R: Any
    error: Any
    steps: Any
    converged: Any


class Kronecker(_Kronecker): ...


def nearest_kronecker(
    G: Any,
    *,
    steps: SupportsIndex | None = None,
    divergence: Literal["frobenius", "kl"] = 'frobenius',
) -> Kronecker: ...

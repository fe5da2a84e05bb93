"""Types of lowrank.gaussians.

Generated from book/covariances/gaussians.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "gaussian_w2",
    "gaussian_w2_grad",
    "GaussianMap",
    "gaussian_map",
    "gaussian_kl",
    "gaussian_bhattacharyya",
    "gaussian_fisher",
    "Barycenter",
    "gaussian_barycenter",
    "frechet_distance",
]


def gaussian_w2(
    m1: Any,
    S1: Any,
    m2: Any,
    S2: Any,
    *,
    factors: bool | np.bool_ = False,
    noise: Any = None,
) -> Any: ...


def gaussian_w2_grad(
    m1: Any,
    S1: Any,
    m2: Any,
    S2: Any,
    *,
    factors: bool | np.bool_ = False,
) -> Any: ...


class _GaussianMap(NamedTuple):
    A: Any
    b: Any
    cost: Any


class GaussianMap(_GaussianMap): ...


def gaussian_map(
    m1: Any,
    S1: Any,
    m2: Any,
    S2: Any,
    *,
    factors: bool | np.bool_ = False,
) -> GaussianMap: ...


def gaussian_kl(
    m1: Any,
    S1: Any,
    m2: Any,
    S2: Any,
    *,
    factors: bool | np.bool_ = False,
    noise: Any = None,
) -> Any: ...


def gaussian_bhattacharyya(
    m1: Any,
    S1: Any,
    m2: Any,
    S2: Any,
    *,
    factors: bool | np.bool_ = False,
    noise: Any = None,
) -> Any: ...


def gaussian_fisher(
    m1: Any,
    S1: Any,
    m2: Any,
    S2: Any,
    *,
    factors: bool | np.bool_ = False,
    noise: Any = None,
) -> Any: ...


class _Barycenter(NamedTuple):
    m: Any
    X: Any
    cost: float
    steps: int
    converged: bool


class Barycenter(_Barycenter): ...


def gaussian_barycenter(
    means: Any,
    factors: Any,
    *,
    weights: Any = None,
    tol: SupportsFloat | None = None,
    steps: SupportsIndex = 1000,
) -> Barycenter: ...


def frechet_distance(
    F1: Any,
    F2: Any,
    *,
    ddof: Literal[1, 0] = 1,
    return_bias: bool | np.bool_ = False,
) -> Any: ...

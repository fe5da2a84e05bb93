"""Types of lowrank.norms.

Generated from book/matrix_sign/norms.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "PowerInfo",
    "spectral_norm",
    "spectral_norm_grad",
    "nuclear_norm",
    "nuclear_norm_grad",
    "spectral_decay",
]


class _PowerInfo(NamedTuple):
    residual: Any
    steps: Any
    converged: Any


class PowerInfo(_PowerInfo): ...


def spectral_norm(
    A: Any,
    *,
    method: Literal["svd", "power"] = 'svd',
    tol: SupportsFloat | None = None,
    steps: SupportsIndex | None = None,
    rng: SupportsIndex | np.random.Generator | None = None,
    return_info: bool | np.bool_ = False,
) -> Any: ...


def spectral_norm_grad(
    A: Any,
    *,
    method: Literal["svd", "power"] = 'svd',
    rtol: SupportsFloat | None = None,
    tol: SupportsFloat | None = None,
    steps: SupportsIndex | None = None,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Any: ...


def nuclear_norm(A: Any) -> Any: ...


def nuclear_norm_grad(A: Any, *, rtol: SupportsFloat | None = None) -> Any: ...


def spectral_decay(
    W: Any,
    rate: SupportsFloat,
    *,
    method: Literal["svd", "power"] = 'svd',
    rtol: SupportsFloat | None = None,
    tol: SupportsFloat | None = None,
    steps: SupportsIndex | None = None,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Any: ...

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


class PowerInfo(_PowerInfo):
    ...


def spectral_norm(A: Any, *, method: Literal["svd", "power"] = ..., tol: SupportsFloat | None = ..., steps: SupportsIndex | None = ..., rng: SupportsIndex | np.random.Generator | None = ..., return_info: bool = ...) -> Any: ...


def spectral_norm_grad(A: Any, *, method: Literal["svd", "power"] = ..., rtol: SupportsFloat | None = ..., tol: Any = ..., steps: Any = ..., rng: Any = ...) -> Any: ...


def nuclear_norm(A: Any) -> Any: ...


def nuclear_norm_grad(A: Any, *, rtol: SupportsFloat | None = ...) -> Any: ...


def spectral_decay(W: Any, rate: SupportsFloat, *, method: Any = ..., rtol: Any = ..., tol: Any = ..., steps: Any = ..., rng: Any = ...) -> Any: ...

"""Types of lowrank.polar_factor.

Generated from book/matrix_sign/polar_factor.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat

import numpy as np

__all__ = ["SignInfo", "msign", "msign_jvp", "msign_vjp"]


def identity_like(X: Any, size: Any) -> Any: ...


class _SignInfo(NamedTuple):
    bound: Any
    hermitian: Any
    steps: Any
    products: Any
    converged: Any


class SignInfo(_SignInfo): ...


def msign(
    A: Any,
    *,
    method: Literal["auto", "svd", "polynomial", "gram", "qdwh"] = 'auto',
    schedule: Any = None,
    tol: SupportsFloat | None = None,
    rtol: SupportsFloat | None = None,
    normalize: Literal["frobenius", "schatten4", "schatten8", False] = 'schatten8',
    return_info: bool | np.bool_ = False,
) -> Any: ...


def spread(U: Any, Vh: Any, E: Any, same: Any, opposite: Any, alone: Any) -> Any: ...


def diagonal(F: Any) -> Any: ...


def decomposed(A: Any) -> Any: ...


def derivative_by_multipliers(A: Any, E: Any, name: Any, rtol: Any, multipliers: Any) -> Any: ...


def msign_jvp(A: Any, dA: Any, *, rtol: SupportsFloat | None = None) -> Any: ...


def msign_vjp(A: Any, G: Any, *, rtol: SupportsFloat | None = None) -> Any: ...

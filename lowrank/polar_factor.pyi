"""Types of lowrank.polar_factor.

Generated from book/matrix_sign/polar_factor.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["SignInfo", "msign", "msign_jvp", "msign_vjp"]


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
    tol: SupportsFloat | None = None,
    rtol: SupportsFloat | None = None,
    schedule: Any = None,
    steps: SupportsIndex | None = None,
    lower: SupportsFloat | None = None,
    degree: Any = 5,
    normalize: Literal["frobenius", "schatten4", "schatten8", False] = 'schatten8',
    return_info: bool | np.bool_ = False,
) -> Any: ...


def msign_jvp(A: Any, dA: Any, *, rtol: SupportsFloat | None = None) -> Any: ...


def msign_vjp(A: Any, G: Any, *, rtol: SupportsFloat | None = None) -> Any: ...

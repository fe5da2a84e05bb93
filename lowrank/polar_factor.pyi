"""Types of lowrank.polar_factor.

Generated from book/matrix_sign/polar_factor.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

__all__ = ["SignInfo", "msign", "msign_jvp", "msign_vjp"]


class _SignInfo(NamedTuple):
    bound: Any
    hermitian: Any
    steps: Any
    products: Any
    converged: Any


class SignInfo(_SignInfo):
    ...


def msign(A: Any, *, method: Literal["auto", "svd", "polynomial", "gram", "qdwh"] = ..., tol: SupportsFloat | None = ..., rtol: SupportsFloat | None = ..., schedule: Any = ..., steps: SupportsIndex | None = ..., lower: SupportsFloat | None = ..., degree: Any = ..., normalize: Literal["frobenius", "schatten4", "schatten8", False] = ..., return_info: bool = ...) -> Any: ...


def msign_jvp(A: Any, dA: Any, *, rtol: SupportsFloat | None = ...) -> Any: ...


def msign_vjp(A: Any, G: Any, *, rtol: SupportsFloat | None = ...) -> Any: ...

"""Types of lowrank.clipping.

Generated from book/matrix_sign/clipping.ipynb; edit the chapter.
"""

from typing import Any, Callable, Literal, SupportsFloat

from lowrank.polar_factor import msign

__all__ = ["svfun", "mclip", "mstep", "svfun_jvp", "svfun_vjp"]


def svfun(A: Any, f: Callable[..., Any], *, rtol: SupportsFloat | None = ...) -> Any: ...


def mclip(A: Any, lo: SupportsFloat = ..., hi: SupportsFloat = ..., *, method: Literal["auto", "svd", "msign", "block"] = ..., rtol: SupportsFloat | None = ..., tol: Any = ..., schedule: Any = ..., steps: Any = ..., lower: Any = ..., degree: Any = ...) -> Any: ...


def mstep(A: Any, threshold: SupportsFloat = ..., *, method: Any = ..., rtol: SupportsFloat | None = ..., tol: Any = ..., schedule: Any = ..., steps: Any = ..., lower: Any = ..., degree: Any = ...) -> Any: ...


def svfun_jvp(A: Any, dA: Any, f: Callable[..., Any], df: Callable[..., Any], *, rtol: SupportsFloat | None = ...) -> Any: ...


def svfun_vjp(A: Any, G: Any, f: Any, df: Any, *, rtol: Any = ...) -> Any: ...

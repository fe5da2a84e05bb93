"""Types of lowrank.clipping.

Generated from book/matrix_sign/clipping.ipynb; edit the chapter.
"""

from typing import Any, Callable, Literal, SupportsFloat

from lowrank.polar_factor import msign

__all__ = ["svfun", "mclip", "mstep", "svfun_jvp", "svfun_vjp"]


def svfun(A: Any, f: Callable[..., Any], *, rtol: SupportsFloat | None = None) -> Any: ...


def mclip(A: Any, lo: SupportsFloat = 0.0, hi: SupportsFloat = 1.0, *, method: Literal["auto", "svd", "msign", "block"] = 'auto', schedule: Any = None, tol: SupportsFloat | None = None, rtol: SupportsFloat | None = None) -> Any: ...


def mstep(A: Any, threshold: SupportsFloat = 1.0, *, method: Any = 'auto', schedule: Any = None, tol: Any = None, rtol: SupportsFloat | None = None) -> Any: ...


def svfun_jvp(A: Any, dA: Any, f: Callable[..., Any], df: Callable[..., Any], *, rtol: SupportsFloat | None = None) -> Any: ...


def svfun_vjp(A: Any, G: Any, f: Any, df: Any, *, rtol: Any = None) -> Any: ...

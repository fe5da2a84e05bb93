"""Types of lowrank.clipping.

Generated from book/matrix_sign/clipping.ipynb; edit the chapter.
"""

from typing import Any, Literal, Protocol, SupportsFloat

__all__ = ["svfun", "mclip", "mstep", "svfun_jvp", "svfun_vjp"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


def svfun(A: Any, f: _Function, *, rtol: SupportsFloat | None = None) -> Any: ...


def mclip(
    A: Any,
    lo: SupportsFloat = 0.0,
    hi: SupportsFloat = 1.0,
    *,
    method: Literal["auto", "svd", "msign", "block"] = 'auto',
    schedule: Any = None,
    tol: SupportsFloat | None = None,
    rtol: SupportsFloat | None = None,
) -> Any: ...


def mstep(
    A: Any,
    threshold: SupportsFloat = 1.0,
    *,
    method: Literal["auto", "svd", "msign", "block"] = 'auto',
    schedule: Any = None,
    tol: SupportsFloat | None = None,
    rtol: SupportsFloat | None = None,
) -> Any: ...


def svfun_jvp(
    A: Any,
    dA: Any,
    f: _Function,
    df: _Function,
    *,
    rtol: SupportsFloat | None = None,
) -> Any: ...


def svfun_vjp(
    A: Any,
    G: Any,
    f: _Function,
    df: _Function,
    *,
    rtol: SupportsFloat | None = None,
) -> Any: ...


def recombined(B: Any, U: Any, s: Any, Vh: Any, y: Any, dy: Any) -> Any: ...

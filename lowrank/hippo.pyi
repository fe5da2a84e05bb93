"""Types of lowrank.hippo.

Generated from book/structure/hippo.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

__all__ = [
    "hippo_legs",
    "hippo_legt",
    "legs_project",
    "legs_update",
    "legs_matvec",
    "legs_solve",
    "legs_stream",
    "legendre_reconstruct",
    "discretize",
    "hippo_fourier",
]


def hippo_legs(N: SupportsIndex) -> Any: ...


def hippo_legt(N: SupportsIndex, window: SupportsFloat = 1.0) -> Any: ...


def legendre_table(N: Any, s: Any, c: Any) -> Any: ...


def legendre_integrals(N: Any, s: Any, c: Any) -> Any: ...


def gauss_nodes(N: Any) -> Any: ...


def gauss_basis(N: Any, like: Any) -> Any: ...


def as_doubles(x: Any, name: Any, axes: Any = 1) -> Any: ...


def real_like(X: Any) -> Any: ...


def legs_project(u: Any, N: SupportsIndex) -> Any: ...


def legs_update(x: Any, count: SupportsIndex, block: Any) -> Any: ...


def legs_matvec(x: Any) -> Any: ...


def legs_solve(v: Any, lam: SupportsFloat) -> Any: ...


def legs_stream(
    u: Any,
    N: SupportsIndex,
    *,
    method: Literal["exact", "bilinear"] = 'exact',
    block: SupportsIndex = 256,
) -> Any: ...


def legendre_reconstruct(x: Any, s: Any) -> Any: ...


def discretize(
    A: Any,
    B: Any,
    dt: SupportsFloat,
    method: Literal["zoh", "bilinear", "forward", "backward"] = 'zoh',
) -> Any: ...


def hippo_fourier(N: SupportsIndex, window: SupportsFloat | None = None) -> Any: ...

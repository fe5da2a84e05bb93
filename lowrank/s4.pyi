"""Types of lowrank.s4.

Generated from book/structure/s4.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsIndex

import numpy as np

__all__ = [
    "causal_convolution",
    "hippo_nplr",
    "s4_discretize",
    "s4_step",
    "s4d_kernel",
    "s4_kernel",
    "s4d_frequencies",
]


def causal_convolution(u: Any, K: Any) -> Any: ...


def hippo_nplr(N: SupportsIndex) -> Any: ...


def s4_discretize(Lam: Any, P: Any, Q: Any, B: Any, dt: Any) -> Any: ...


def s4_step(x: Any, u: Any, Lam: Any, P: Any, Q: Any, B: Any, dt: Any) -> Any: ...


def s4d_kernel(
    Lam: Any,
    B: Any,
    C: Any,
    L: SupportsIndex,
    dt: Any,
    *,
    method: Literal["zoh", "bilinear"] = 'zoh',
) -> Any: ...


def s4_kernel(
    Lam: Any,
    P: Any,
    Q: Any,
    B: Any,
    C: Any,
    L: SupportsIndex,
    dt: Any,
    *,
    method: Literal["auto", "krylov", "series", "cauchy"] = 'auto',
    filtered: bool | np.bool_ = False,
) -> Any: ...


def s4d_frequencies(N: SupportsIndex, kind: Literal["legs", "inv", "lin"] = 'legs') -> Any: ...

"""Types of lowrank.equioscillation.

Generated from book/matrix_sign/equioscillation.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple, Protocol, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["Alternation", "Minimax", "remez", "alternation_points"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class __Numbers(NamedTuple):
    degree: Any
    parity: Any
    lo: Any
    hi: Any
    dps: Any


class _Numbers(__Numbers):
    @property
    def size(self) -> Any: ...
    @property
    def eps(self) -> Any: ...
    def number(self, value: Any) -> Any: ...
    def numbers(self, values: Any) -> Any: ...
    def point(self, s: Any) -> Any: ...
    def powers(self, c: Any) -> Any: ...


class Space(_Numbers):
    def position(self, x: Any) -> Any: ...
    def factor(self, x: Any) -> Any: ...
    def __call__(self, c: Any, x: Any) -> Any: ...
    def dual(self, x: Any) -> Any: ...


def levelled(space: Any, x: Any, w: Any, rest: Any, f: Any) -> Any: ...


def first_points(space: Any) -> Any: ...


class _Alternation(NamedTuple):
    points: Any
    errors: Any
    lower: Any
    upper: Any


class Alternation(_Alternation): ...


class _Minimax(NamedTuple):
    coefficients: Any
    error: Any
    points: Any
    iterations: Any
    converged: Any
    max_error: Any
    roundoff: Any
    space: Any


class Minimax(_Minimax):
    def __call__(self, x: Any) -> Any: ...
    @property
    def interval(self) -> Any: ...
    def powers(self) -> Any: ...


def remez(
    f: _Function,
    degree: SupportsIndex,
    interval: Any = (-1, 1),
    *,
    weight: _Function | None = None,
    odd: bool | np.bool_ = False,
    even: bool | np.bool_ = False,
    start: Any = None,
    tol: SupportsFloat = 1e-12,
    maxiter: SupportsIndex = 50,
    dps: SupportsIndex | None = None,
) -> Minimax: ...


def alternation_points(
    f: _Function,
    p: _Function,
    degree: SupportsIndex,
    interval: Any = (-1, 1),
    *,
    weight: _Function | None = None,
    odd: bool | np.bool_ = False,
    even: bool | np.bool_ = False,
    samples: SupportsIndex | None = None,
    dps: SupportsIndex | None = None,
) -> Alternation: ...

"""Types of lowrank.equioscillation.

Generated from book/matrix_sign/equioscillation.ipynb; edit the chapter.
"""

from typing import Any, Callable, NamedTuple, SupportsFloat, SupportsIndex

__all__ = ["Minimax", "remez", "Alternation", "alternation_points"]


class Space(_Numbers):
    def position(self, x: Any) -> Any: ...
    def factor(self, x: Any) -> Any: ...
    def __call__(self, c: Any, x: Any) -> Any: ...
    def dual(self, x: Any) -> Any: ...


def levelled(space: Any, x: Any, w: Any, rest: Any, f: Any) -> Any: ...


def first_points(space: Any) -> Any: ...


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


def remez(f: Callable[..., Any], degree: SupportsIndex, interval: Any = ..., *, weight: Callable[..., Any] | None = None, odd: bool = False, even: bool = False, start: Any = None, tol: SupportsFloat = 1e-12, maxiter: SupportsIndex = 50, dps: SupportsIndex | None = None) -> Minimax: ...


class _Alternation(NamedTuple):
    points: Any
    errors: Any
    lower: Any
    upper: Any


class Alternation(_Alternation):
    ...


def alternation_points(f: Any, p: Callable[..., Any], degree: SupportsIndex, interval: Any = ..., *, weight: Any = None, odd: Any = False, even: Any = False, samples: SupportsIndex | None = None, dps: Any = None) -> Alternation: ...

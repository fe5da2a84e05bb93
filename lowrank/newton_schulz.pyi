"""Types of lowrank.newton_schulz.

Generated from book/matrix_sign/newton_schulz.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsIndex

__all__ = [
    "pade_step",
    "schatten_norm",
    "apply_schedule",
    "PolarResiduals",
    "polar_residuals",
    "NewtonSchulzRoot",
    "sqrtm_newton_schulz",
]


def pade_step(degree: SupportsIndex) -> tuple[float, ...]: ...


def in_units(X: Any) -> Any: ...


def schatten_norm(A: Any, p: Literal[2, 4, 8, 16, 32, 64] = 4) -> Any: ...


def plus_product(b: Any, C: Any, a: Any, A: Any, B: Any) -> Any: ...


def itself(Y: Any) -> Any: ...


def gram(X: Any) -> Any: ...


def combination(c: Any, P: Any) -> Any: ...


def plus_identity(c: Any, H: Any) -> Any: ...


def linear_combination(c: Any, P: Any) -> Any: ...


def without_constant(Y: Any, c: Any, powers: Any = ()) -> Any: ...


def matrix_polynomial(Y: Any, c: Any, powers: Any = ()) -> Any: ...


def three_products(c: Any) -> Any: ...


def scaled(X: Any, normalize: Any, dtype: Any) -> Any: ...


def normalized(X: Any, normalize: Any) -> Any: ...


def plain_form(X: Any, schedule: Any, powers: Any) -> Any: ...


def gram_form(X: Any, schedule: Any, powers: Any, restart: Any) -> Any: ...


NORMALIZE: Any


def check_schedule(schedule: Any) -> Any: ...


def by_schedule(
    X: Any,
    steps: Any,
    normalize: Any,
    form: Any = 'auto',
    restart: Any = 3,
    dtype: Any = None,
) -> Any: ...


def runs_away(X: Any) -> Any: ...


def apply_schedule(
    A: Any,
    schedule: Any,
    *,
    normalize: Literal["frobenius", "schatten4", "schatten8", False] = 'frobenius',
    form: Literal["auto", "plain", "gram"] = 'auto',
    restart: SupportsIndex = 3,
) -> Any: ...


class _PolarResiduals(NamedTuple):
    orthogonality: Any
    bound: Any
    hermitian: Any
    backward: Any
    smallest: Any


class PolarResiduals(_PolarResiduals): ...


def identity_defect(Y: Any) -> Any: ...


def polar_residuals(A: Any, X: Any) -> PolarResiduals: ...


class _NewtonSchulzRoot(NamedTuple):
    root: Any
    inverse: Any
    residual: Any
    steps: Any
    converged: Any


class NewtonSchulzRoot(_NewtonSchulzRoot): ...


def sqrtm_newton_schulz(A: Any, schedule: Any = None) -> NewtonSchulzRoot: ...

"""Types of lowrank.identity_distillation.

Generated from book/covariances/identity_distillation.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple

__all__ = ["IdentityLosses", "identity_distillation_losses"]


class _IdentityLosses(NamedTuple):
    L1: Any
    L2: Any


class IdentityLosses(_IdentityLosses): ...


def identity_distillation_losses(
    xt: Any,
    eps: Any,
    teacher: Any,
    student: Any,
    *,
    axis: Any = -1,
) -> IdentityLosses: ...

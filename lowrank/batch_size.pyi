"""Types of lowrank.batch_size.

Generated from book/companions/batch_size.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple

__all__ = [
    "noise_scale",
    "optimal_lr_sgd",
    "SimpleNoiseScale",
    "simple_noise_scale",
    "sign_update_mean",
    "sign_update_second",
    "optimal_lr_sign",
]


def as_reals(**given: Any) -> Any: ...


def check_range(x: Any, name: Any, lowest: Any, strict: Any = False) -> Any: ...


def check_sizes(g: Any, B: Any, **matrices: Any) -> Any: ...


def by_unit(M: Any) -> Any: ...


def step_of(top: Any, below: Any, what: Any) -> Any: ...


def noise_scale(g: Any, Sigma: Any, H: Any) -> Any: ...


def optimal_lr_sgd(g: Any, Sigma: Any, H: Any, B: Any) -> Any: ...


class _SimpleNoiseScale(NamedTuple):
    B_simple: Any
    g2: Any
    trace: Any


class SimpleNoiseScale(_SimpleNoiseScale): ...


def simple_noise_scale(G: Any) -> SimpleNoiseScale: ...


def erf(x: Any) -> Any: ...


def check_broadcast(**arrays: Any) -> Any: ...


def sign_update_mean(g: Any, sigma: Any, B: Any) -> Any: ...


def gauss_rule(n: Any) -> Any: ...


def integrate(f: Any, like: Any, rule: Any) -> Any: ...


def sign_update_second(g: Any, Sigma: Any, B: Any) -> Any: ...


def optimal_lr_sign(g: Any, sigma: Any, H: Any, B: Any) -> Any: ...

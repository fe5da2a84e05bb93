"""Types of lowrank.epsilon.

Generated from book/companions/epsilon.ipynb; edit the chapter.
"""

from typing import Any

__all__ = ["softsign_mean", "softsign_second", "optimal_lr_softsign"]


def softsign_mean(g: Any, sigma: Any, B: Any, eps: Any) -> Any: ...


def softsign_second(g: Any, sigma: Any, B: Any, eps: Any) -> Any: ...


def optimal_lr_softsign(g: Any, sigma: Any, H: Any, B: Any, eps: Any) -> Any: ...

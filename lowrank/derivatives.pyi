"""Types of lowrank.derivatives.

Generated from book/foundations/derivatives.ipynb; edit the chapter.
"""

from typing import Any, NamedTuple


class _Rule(NamedTuple):
    value: Any
    pull: Any
    push: Any
    left: Any


class Rule(_Rule): ...


def summed(*terms: Any) -> Any: ...


def converted(v: Any, x: Any) -> Any: ...


def aligned(x: Any, *others: Any) -> Any: ...


def fitted(g: Any, x: Any) -> Any: ...


def attached(rule: Any, x: Any, *others: Any, static: Any = ()) -> Any: ...

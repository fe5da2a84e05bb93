"""Types of lowrank.arguments.

Generated from book/foundations/arguments.ipynb; edit the chapter.
"""

from typing import Any


def check_number(value: Any, name: Any, allowed: Any, holds: Any) -> Any: ...


def check_count(
    count: Any,
    name: Any,
    lowest: Any,
    highest: Any = None,
    where: Any = '',
) -> Any: ...


def check_rank(rank: Any, shape: Any, name: Any = 'rank') -> Any: ...


def check_tol(tol: Any, name: Any = 'tol') -> Any: ...


def rank_or_tol(rank: Any, tol: Any, shape: Any) -> Any: ...


def check_choice(value: Any, name: Any, allowed: Any) -> Any: ...


def refuse_options(method: Any, **given: Any) -> Any: ...


def check_indices(indices: Any, n: Any, name: Any) -> Any: ...


def as_generator(rng: Any) -> Any: ...


def gaussian_matrix(rng: Any, shape: Any, dtype: Any) -> Any: ...

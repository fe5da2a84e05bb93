"""Types of lowrank.error_estimates.

Generated from book/low_rank/error_estimates.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["ErrorEstimate", "estimate_error", "RangeBasis", "range_finder"]


def bound_over_estimate(n_probe: Any, dtype: Any, delta: Any) -> Any: ...


class _ErrorEstimate(NamedTuple):
    estimate: Any
    bound: Any
    confidence: Any


class ErrorEstimate(_ErrorEstimate): ...


def estimate_error(
    A: Any,
    approx: Any,
    *,
    n_probe: SupportsIndex = 10,
    norm: Literal["fro", 2] = 'fro',
    confidence: SupportsFloat = 0.999,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> ErrorEstimate: ...


class _RangeBasis(NamedTuple):
    Q: Any
    error: Any
    bound: Any
    passes: Any


class RangeBasis(_RangeBasis): ...


def range_finder(
    A: Any,
    *,
    rank: SupportsIndex | None = None,
    tol: SupportsFloat | None = None,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> RangeBasis: ...

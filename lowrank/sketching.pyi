"""Types of lowrank.sketching.

Generated from book/low_rank/sketching.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsIndex

import numpy as np

from lowrank.svd import TruncatedSVD

__all__ = ["randomized_svd"]


def project(Q: Any, X: Any) -> Any: ...


def combine(Q: Any, C: Any) -> Any: ...


def within_range(Q: Any, Bh: Any, rank: Any) -> Any: ...


def lu_basis(Y: Any) -> Any: ...


def orthonormal_basis(Y: Any) -> Any: ...


def sketch_range(M: Any, width: Any, n_iter: Any, rng: Any) -> Any: ...


def orthogonalise(Y: Any, Q: Any) -> Any: ...


def randomized_svd(
    A: Any,
    rank: SupportsIndex,
    *,
    oversample: SupportsIndex | None = None,
    n_iter: SupportsIndex = 2,
    method: Literal["subspace", "krylov"] = 'subspace',
    rng: SupportsIndex | np.random.Generator | None = None,
) -> TruncatedSVD: ...

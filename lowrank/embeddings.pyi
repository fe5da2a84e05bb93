"""Types of lowrank.embeddings.

Generated from book/low_rank/embeddings.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "Embedding",
    "embedding_distortion",
    "leverage_scores",
    "subspace_embedding",
    "SketchedSolution",
    "sketched_lstsq",
]


class Embedding:
    matrix: Any
    shape: Any
    def __init__(self, matrix: Any) -> None: ...
    def __matmul__(self, A: Any) -> Any: ...
    def toarray(self) -> Any: ...


def embedding_distortion(S: Any, A: Any) -> float: ...


def leverage_scores(A: Any) -> Any: ...


def subspace_embedding(
    l: SupportsIndex,
    m: SupportsIndex,
    kind: Literal["sparse", "gaussian", "cosine", "rows"] = 'sparse',
    *,
    nonzeros: SupportsIndex | None = None,
    p: Any = None,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Embedding: ...


class _SketchedSolution(NamedTuple):
    x: Any
    residual: Any
    distance: Any
    rank: int
    n_iter: int
    converged: bool


class SketchedSolution(_SketchedSolution): ...


def sketched_lstsq(
    A: Any,
    b: Any,
    *,
    l: SupportsIndex | None = None,
    kind: Literal["sparse", "gaussian", "cosine", "rows"] = 'sparse',
    rtol: SupportsFloat | None = None,
    max_iter: SupportsIndex = 100,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> SketchedSolution: ...

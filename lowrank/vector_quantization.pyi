"""Types of lowrank.vector_quantization.

Generated from book/rotations/vector_quantization.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

__all__ = [
    "vq_assign",
    "rotation_trick",
    "pass_through",
    "vq_gradient",
    "CodebookUsage",
    "codebook_usage",
    "simvq_step",
]


def vq_assign(Z: Any, codes: Any, *, block: SupportsIndex | None = None) -> Any: ...


def rotation_trick(z: Any, q: Any, upstream: Any, *, rescale: bool | np.bool_ = True) -> Any: ...


def pass_through(
    z: Any,
    q: Any,
    *,
    method: Literal["rotation", "straight"] = 'rotation',
) -> Any: ...


def vq_gradient(Z: Any, codes: Any, indices: Any) -> Any: ...


class _CodebookUsage(NamedTuple):
    used: int
    perplexity: float


class CodebookUsage(_CodebookUsage): ...


def codebook_usage(indices: Any, n_codes: SupportsIndex) -> CodebookUsage: ...


def simvq_step(
    E: Any,
    W: Any,
    grad: Any,
    *,
    lr: SupportsFloat,
    train_codes: bool | np.bool_ = False,
) -> Any: ...

"""Types of lowrank.column_row.

Generated from book/low_rank/column_row.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsIndex

import numpy as np

__all__ = ["CRInfo", "cr_multiply", "cr_weights"]


class _CRInfo(NamedTuple):
    indices: Any
    weights: Any
    rms_error: Any


class CRInfo(_CRInfo): ...


def cr_multiply(
    A: Any,
    B: Any,
    k: SupportsIndex,
    *,
    method: Literal["sample", "topk"] = 'sample',
    p: Any = None,
    return_info: bool | np.bool_ = False,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Any: ...


def cr_weights(A: Any, B: Any, indices: Any) -> Any: ...

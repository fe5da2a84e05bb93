"""Types of lowrank.sampling.

Generated from book/smooth_topk/sampling.ipynb; edit the chapter.
"""

from typing import Any, Literal, SupportsFloat, SupportsIndex

import numpy as np

__all__ = ["sample_topk"]


def sample_topk(
    x: Any,
    k: Any,
    *,
    temperature: SupportsFloat = 1.0,
    law: Literal["subset", "gumbel"] = 'subset',
    axis: SupportsIndex = -1,
    rng: SupportsIndex | np.random.Generator | None = None,
) -> Any: ...

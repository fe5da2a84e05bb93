"""Types of lowrank.mean_flow.

Generated from book/covariances/mean_flow.ipynb; edit the chapter.
"""

from typing import Any

import numpy as np

__all__ = ["gaussian_mean_velocity", "gaussian_velocity"]


def gaussian_mean_velocity(
    z: Any,
    r: Any,
    t: Any,
    m: Any,
    S: Any,
    *,
    factors: bool | np.bool_ = False,
) -> Any: ...


def gaussian_velocity(
    z: Any,
    t: Any,
    m: Any,
    S: Any,
    *,
    factors: bool | np.bool_ = False,
) -> Any: ...

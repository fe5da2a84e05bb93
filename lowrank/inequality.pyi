"""Types of lowrank.inequality.

Generated from book/companions/inequality.ipynb; edit the chapter.
"""

from typing import Any, SupportsIndex

from lowrank.linear_map import Result

__all__ = ["GeometricPoisson", "geometric_vs_poisson"]


class GeometricPoisson(Result):
    @property
    def geometric(self) -> Any: ...
    @property
    def poisson(self) -> Any: ...
    @property
    def gap(self) -> Any: ...
    def __init__(self, geometric: Any, poisson: Any, *, gap: Any) -> None: ...


def geometric_vs_poisson(p: Any, j: SupportsIndex) -> GeometricPoisson: ...

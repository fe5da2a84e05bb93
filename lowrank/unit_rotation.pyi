"""Types of lowrank.unit_rotation.

Generated from book/structure/unit_rotation.ipynb; edit the chapter.
"""

from typing import Any, SupportsFloat

__all__ = ["rotate", "rotation_between", "reflect", "reflection_between"]


def rotate(x: Any, a: Any, b: Any, *, fraction: SupportsFloat | None = None) -> Any: ...


def rotation_between(a: Any, b: Any, *, fraction: SupportsFloat | None = None) -> Any: ...


def reflect(x: Any, a: Any, b: Any) -> Any: ...


def reflection_between(a: Any, b: Any) -> Any: ...

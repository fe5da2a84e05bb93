"""Types of lowrank.rope_tie.

Generated from book/rotations/rope_tie.ipynb; edit the chapter.
"""

from typing import Any, Literal, NamedTuple, SupportsIndex

__all__ = ["rope_tie_positions", "PositionGaps", "position_gaps"]


def rope_tie_positions(
    segments: Any,
    *,
    axes: SupportsIndex | None = None,
    variant: Literal["v2", "v1", "v1-tokens", "mrope"] = 'v2',
) -> Any: ...


class _PositionGaps(NamedTuple):
    left: Any
    right: Any


class PositionGaps(_PositionGaps): ...


def position_gaps(positions: Any, segments: Any) -> PositionGaps: ...

"""Types of lowrank.thresholds.

Generated from book/smooth_topk/thresholds.ipynb; edit the chapter.
"""

from typing import Any


def mass(xp: Any, A: Any) -> Any: ...


def sigmoid_parts(xp: Any, t: Any) -> Any: ...


METHODS: Any


def border_scores(xp: Any, X: Any, K: Any) -> Any: ...


def levels(xp: Any, X: Any, K: Any, T: Any, method: Any, certain: Any, allowed: Any) -> Any: ...


def curve(xp: Any, t: Any, method: Any) -> Any: ...


def densities(xp: Any, t: Any, method: Any) -> Any: ...


BLOCK: Any


LONG: Any


def blocks(x: Any, centre: Any, T: Any, level: Any, out: Any) -> Any: ...


def long_slice(x: Any, k: Any, T: Any, method: Any, out: Any) -> Any: ...

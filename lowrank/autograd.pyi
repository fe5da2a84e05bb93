"""Types of lowrank.autograd.

Generated from book/foundations/autograd.ipynb; edit the chapter.
"""

from typing import Any


def applied(rule: Any, static: Any, ins: Any) -> Any: ...

"""What `lowrank` holds, for editors.

Generated from _toc.yml and the chapters; edit those.
"""

from lowrank import conventions as conventions
from lowrank.conventions import ErrorEstimate as ErrorEstimate, estimate_error as estimate_error

__version__: str

__all__ = ["ErrorEstimate", "estimate_error"]

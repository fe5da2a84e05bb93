"""What `lowrank` holds, for editors.

Generated from _toc.yml and the chapters; edit those.
"""

from lowrank import conventions as conventions, pseudo_inverse as pseudo_inverse
from lowrank.conventions import ErrorEstimate as ErrorEstimate, estimate_error as estimate_error
from lowrank.pseudo_inverse import (
    NewtonSchulzInverse as NewtonSchulzInverse,
    PenroseResiduals as PenroseResiduals,
    best_factor as best_factor,
    penrose_residuals as penrose_residuals,
    pinv as pinv,
    pinv_newton_schulz as pinv_newton_schulz,
)

__version__: str

__all__ = [
    "ErrorEstimate",
    "estimate_error",
    "PenroseResiduals",
    "penrose_residuals",
    "pinv",
    "best_factor",
    "NewtonSchulzInverse",
    "pinv_newton_schulz",
]

"""The array libraries in which Parts II and III are tested: the optional ones where they can be imported."""

from importlib.util import find_spec

import array_api_strict
import numpy as np


def _torch():
    import torch
    return lambda A: torch.asarray(np.array(A)), lambda A: np.asarray(A.detach().cpu())


def _jax():
    import jax
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray, np.asarray


# name -> (from a NumPy array, to a NumPy array)
LIBRARIES = {
    "numpy": (np.asarray, np.asarray),
    "strict": (array_api_strict.asarray, np.asarray),
}
if find_spec("torch"):
    LIBRARIES["torch"] = _torch()
if find_spec("jax"):
    LIBRARIES["jax"] = _jax()

"""The array libraries in which Parts II and III are tested. All are named; one that is missing skips its tests."""

from collections.abc import Mapping
from importlib.util import find_spec

import array_api_strict
import numpy as np
import pytest

from tests.properties.matrices import FLOATS


def _torch():
    import torch
    return lambda A: torch.asarray(np.array(A)), lambda A: np.asarray(A.detach().cpu())


def _jax():
    import jax
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray, np.asarray


def reason(library):
    """As `tests/plugins/extras.py` counts it; each optional library is an extra of its own name."""
    return f"needs the extra `{library}`"


def needs(library):
    return pytest.mark.skipif(not find_spec(library), reason=reason(library))


class Libraries(Mapping):
    """Asking for a library that is not installed skips the test that asks."""

    def __init__(self, found):
        self.found = found

    def __getitem__(self, name):
        if self.found[name] is None:
            pytest.skip(reason(name))
        return self.found[name]

    def __iter__(self):
        return iter(self.found)

    def __len__(self):
        return len(self.found)


# name -> (from a NumPy array, to a NumPy array)
LIBRARIES = Libraries({
    "numpy": (np.asarray, np.asarray),
    "strict": (array_api_strict.asarray, np.asarray),
    "torch": _torch() if find_spec("torch") else None,
    "jax": _jax() if find_spec("jax") else None,
})
every_library = pytest.mark.parametrize("library", LIBRARIES)


def every_library_in(*dtypes, of_jax):
    """JAX compiles every operation anew for every dtype: there `of_jax` stand for all of them."""
    cases = [(library, dtype) for library in LIBRARIES for dtype in dtypes if library != "jax" or dtype in of_jax]
    return pytest.mark.parametrize("library, dtype", cases)


every_library_and_dtype = every_library_in(*FLOATS, of_jax=(np.float32, np.complex128))

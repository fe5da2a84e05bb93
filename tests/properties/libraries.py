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


def assert_jax_agrees_with_torch(function, args, rtol):
    """The value as in NumPy, and the gradients in all arguments as in PyTorch, of one compiled function."""
    (convert, back), (to_torch, _) = LIBRARIES["jax"], LIBRARIES["torch"]
    import jax

    total = lambda *args: function(*args).sum()
    value, gradients = jax.jit(jax.value_and_grad(total, argnums=tuple(range(len(args)))))(*(convert(np.asarray(x)) for x in args))
    tensors = [to_torch(np.asarray(x, float)).requires_grad_() for x in args]
    total(*tensors).backward()
    np.testing.assert_allclose(back(value), total(*args), rtol=rtol)
    for found, x in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(back(found), x.grad.numpy(), rtol=100 * rtol, atol=rtol)

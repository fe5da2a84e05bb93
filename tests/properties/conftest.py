"""What JAX and Dynamo have compiled for one file is of no use to the next one: without this a worker grows to gigabytes."""

import gc
import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def forget_what_was_compiled():
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "torch._dynamo" in sys.modules:
        sys.modules["torch"].compiler.reset()
    gc.collect()

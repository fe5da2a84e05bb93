"""What every test run of the repository shares; the hooks stand in tests/plugins."""

import gc
import os
from pathlib import Path

from hypothesis import settings

pytest_plugins = ["tests.plugins.order", "tests.plugins.extras"]

# The same examples on every machine, and no deadline: the machine may be shared.
settings.register_profile("lowrank", deadline=None, derandomize=True, database=None)
settings.load_profile("lowrank")

# What JAX compiles runs once or twice here: LLVM optimizes nothing, which saves a third of the time of tests of JAX.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_collection_finish():
    """What was collected stays to the end: no search for garbage need look at it again."""
    gc.freeze()


# Kernels, which start in the folder of their notebook, find lowrank of this folder and book.checks.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))

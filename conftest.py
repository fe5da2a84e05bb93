"""What every test run of the repository shares; the hooks stand in tests/plugins."""

import gc
import mmap
import os
from importlib.util import find_spec
from pathlib import Path

from hypothesis import settings

pytest_plugins = ["tests.plugins.order", "tests.plugins.extras"]

# The same examples on every machine, and no deadline: the machine may be shared.
settings.register_profile("lowrank", deadline=None, derandomize=True, database=None)
settings.load_profile("lowrank")

# What JAX compiles runs once or twice here: nothing is optimized or fused, which saves two thirds of the time to compile.
COMPILE_FAST = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")


def known_to_jax(flag):
    """Whether this JAX has a flag; one that it has not would end the process."""
    jaxlib = find_spec("jaxlib")
    for library in Path(jaxlib.origin).parent.glob("libjax*") if jaxlib else ():
        with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
            if code.find(flag.strip("-").partition("=")[0].encode()) >= 0:
                return True
    return False


os.environ.setdefault("XLA_FLAGS", " ".join(filter(known_to_jax, COMPILE_FAST)))


def pytest_collection_finish():
    """What was collected stays to the end: no search for garbage need look at it again."""
    gc.freeze()


# Kernels, which start in the folder of their notebook, find lowrank of this folder and book.checks.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))

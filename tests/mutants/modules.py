"""Faults in the exported modules: what neither the chapter's tests nor its property tests notice could be wrong tomorrow."""

import ast
import importlib
import importlib.abc
import importlib.util
import math
import os
import random
import sys
from importlib.machinery import PathFinder

import pytest

from _literate.source.model import ROOT
from tests.only import files_of

from .faults import faults
from .processes import PASSED, attempt

LIMIT = 600.0  # seconds for the tests of one chapter
SPARED = ("torch", "jax")  # NumPy stands for them: they take three quarters of the time
ABOUT_THEM = ("derivatives", "autograd", "torch_optimizer", "optax_optimizer")  # here nothing stands for them


def try_module(name, most):
    """{"tried", "noticed", "survivors"} of the faults of lowrank/<name>.py."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    path = ROOT / "lowrank" / f"{name}.py"
    if not path.exists() or not (files := test_files(name)):
        return {"tried": 0, "noticed": 0, "survivors": []}
    import_heavy()
    source = path.read_text(encoding="utf-8")
    if (outcome := attempt(lambda: run_tests(None, name, files), LIMIT)) != PASSED:
        raise SystemExit(f"the tests of {name} as it stands {outcome}")
    chosen = choose(source, name, most)
    survivors = [fault for fault in chosen if attempt(lambda fault=fault: run_tests(fault, name, files), LIMIT) == PASSED]
    return {"tried": len(chosen), "noticed": len(chosen) - len(survivors), "survivors": list(map(str, survivors))}


def test_files(name):
    """The tests that `make test ONLY=<name>` runs, but for the notebook."""
    return [file for file in files_of(name, None)[1:] if (ROOT / file).exists()]


def choose(source, name, most):
    """Faults in the functions and constants of a module, more in a larger one."""
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    everything = list(faults(source))
    return random.Random(name).sample(everything, min(math.ceil(most * math.sqrt(len(functions))), len(everything)))


def import_heavy():
    """What tests import takes longer than many a test: once for all faults."""
    for module in ("numpy", "scipy.linalg", "scipy.optimize", "scipy.sparse.linalg", "scipy.stats", "sympy"):
        importlib.import_module(module)


def hide(packages):
    """Let packages be as if not installed: their tests are skipped."""
    find = PathFinder.find_spec
    PathFinder.find_spec = lambda name, *rest: None if name in packages else find(name, *rest)


def run_tests(fault, name, files):
    """Run tests with a module that has this fault; raise if one fails."""
    hide(() if name in ABOUT_THEM else SPARED)
    plugins = [Finder(f"lowrank.{name}", fault.code)] if fault else []
    if pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files], plugins) != 0:
        raise AssertionError("a test has failed")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from code that is given."""

    def __init__(self, module, code):
        self.module, self.code = module, code

    def pytest_sessionstart(self):
        """pytest's own finder stands first, and would load a module whose doctests are asked for."""
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name == self.module:
            file = str(ROOT / f"{name.replace('.', '/')}.py")
            return importlib.util.spec_from_file_location(name, file, loader=self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.code, module.__dict__)

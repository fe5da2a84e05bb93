"""Faults in the exported modules: what neither the chapter's tests nor its property tests notice could be wrong tomorrow.

The tests of a chapter are collected once. For each fault a fork of that process takes the code of the one function
with the fault into the function that everybody has imported, and runs the tests until one fails.
"""

import ast
import functools
import importlib
import io
import math
import os
import random
import re
import sys
import time
import types
from contextlib import redirect_stdout
from importlib.machinery import PathFinder

import pytest
from _pytest.main import pytest_runtestloop as run_the_tests

from _literate.source.model import ROOT
from tests.only import files_of

from .faults import faults
from .processes import PASSED, attempt

LIMIT = 600.0  # seconds for the tests of one chapter; with a fault, three times what they took, and a little more
SPARED = ("torch", "jax")  # NumPy stands for them: they take three quarters of the time
RULES = re.compile(r"\b(Rule|attached|constant)\(")  # derivatives, which only PyTorch and JAX ask for; it stands for both
ABOUT_RULES = ("tests/properties/test_derivatives.py", "tests/properties/test_sign_derivatives.py")
ABOUT_THEM = ("derivatives", "autograd", "torch_optimizer", "optax_optimizer")  # here nothing stands for them


def try_module(name, most):
    """{"tried", "noticed", "survivors"} of the faults of lowrank/<name>.py."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    path = ROOT / "lowrank" / f"{name}.py"
    if not path.exists() or not (files := test_files(name)):
        return {"tried": 0, "noticed": 0, "survivors": []}
    source = path.read_text(encoding="utf-8")
    hide(() if name in ABOUT_THEM else ("jax",) if RULES.search(source) else SPARED)
    files += [file for file in ABOUT_RULES if RULES.search(source) and uses(file, source)]
    trial = Trial(f"lowrank.{name}", choose(source, name, most))
    with redirect_stdout(io.StringIO()):
        pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files], [trial])
    if trial.survivors is None:
        raise SystemExit(f"the tests of {name} as it stands do not pass")
    tried = len(trial.faults)
    return {"tried": tried, "noticed": tried - len(trial.survivors), "survivors": list(map(str, trial.survivors))}


def test_files(name):
    """The tests that `make test ONLY=<name>` runs, but for the notebook."""
    return [file for file in files_of(name, None)[1:] if (ROOT / file).exists()]


def uses(file, source):
    """Whether a file of tests names a public function of a module."""
    public = re.findall(r"^def ([a-z]\w*)", source, re.MULTILINE)
    return re.search(rf"\b({'|'.join(public)})\b", (ROOT / file).read_text(encoding="utf-8"))


def choose(source, name, most):
    """Faults in the functions and constants of a module, more in a larger one."""
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    everything = [fault for fault in faults(source) if not is_decorator(fault.line, tree)]
    return random.Random(name).sample(everything, min(math.ceil(most * math.sqrt(len(functions))), len(everything)))


def is_decorator(line, tree):
    """Decorators say how a function is called; what they make of it cannot be exchanged."""
    decorated = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return any(part.lineno <= line <= part.end_lineno for node in decorated for part in node.decorator_list)


def hide(packages):
    """Let packages be as if not installed: their tests are skipped."""
    find = PathFinder.find_spec
    PathFinder.find_spec = lambda name, *rest: None if name in packages else find(name, *rest)


class Trial:
    """A plugin of pytest that runs the collected tests once for each fault; `survivors` is None if they fail without."""

    def __init__(self, module, faults):
        self.module, self.faults, self.survivors = module, faults, None

    def pytest_sessionstart(self):
        importlib.import_module(self.module)  # whose doctests pytest would else take from a copy

    def pytest_runtestloop(self, session):
        started = time.monotonic()
        if attempt(lambda: passes(session), LIMIT) == PASSED:
            limit = 20 + 3 * (time.monotonic() - started)
            self.survivors = [fault for fault in self.faults
                              if attempt(lambda fault=fault: self.with_fault(session, fault), limit) == PASSED]
        return True

    def with_fault(self, session, fault):
        exchange(sys.modules[self.module], fault)
        passes(session)


def passes(session):
    run_the_tests(session)
    assert not session.testsfailed


def exchange(module, fault):
    """Let the function, the methods of the class, or the constant with the fault be as the fault has it."""
    (statement,) = (node for node in fault.tree.body if node.lineno <= fault.line <= node.end_lineno)
    faulty = dict(vars(module))
    exec(fault.code, faulty)
    for value in vars(module).values():
        getattr(value, "cache_clear", int)()
    names = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    for name in [statement.name] if isinstance(statement, ast.FunctionDef | ast.ClassDef) else names:
        put(vars(module)[name], faulty[name]) or replace(name, vars(module)[name], faulty[name])


def put(old, new):
    """Give the code of a function, or of the methods of a class, to one that exists; whether it could be given."""
    if isinstance(old, type):
        for name, value in vars(new).items():
            put(vars(old).get(name), value) or name.startswith("__") or setattr(old, name, value)
        return True
    old, new = bare(old), bare(new)
    if not isinstance(old, types.FunctionType):
        return False
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__
    return True


def bare(function):
    """The function within decorators, properties and methods of classes."""
    while inner := next(filter(None, (getattr(function, name, None) for name in ("__wrapped__", "fget", "func", "__func__"))), None):
        function = inner
    return function


def replace(name, old, new):
    """A constant, in its module and where it has been imported."""
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(name, functools) is old:
            setattr(module, name, new)

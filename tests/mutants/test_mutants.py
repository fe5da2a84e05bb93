"""The faults are those meant, examples are spared, processes end, and the ledger knows the checks as they stand."""

import ast
import sys
from types import ModuleType

import pytest

from _literate.source.proof_rules import digest
from tests.literate.built import BOOK
from tests.literate.minibook import python
from tests.mutants import modules
from tests.mutants.__main__ import read_ledger
from tests.mutants.faults import faults
from tests.mutants.slices import reaching

FAULTS = {
    "x <= 2": {"x > 2", "x <= 3"},
    "y = 2.5 * x": {"y = 5.0 * x", "y = 2.5 / x"},
    "x**n": {"x ** (n + 1)"},
    "x**2": {"x ** 3"},
    "-x": {"x"},
    "A @ B.T": {"A @ B.T.T", "A @ B"},
    "A.conj().T": {"A.conj()", "A.T"},
    "np.conj(A)": {"A"},
    "f = formula('2q-1')": {"f = formula('3q-1')", "f = formula('2q+1')", "f = formula('2q-2')"},
    "x is None": {"x is not None"},
    # examples, sizes, settings, words
    "m, n = 40, 30": set(),
    "for n in [3, 4, 5]:\n    pass": set(),
    "for k in range(20):\n    pass": set(),
    "A = rng.standard_normal((3, 4))": set(),
    "equal('the 2nd', x, y, rtol=1e-3)": set(),
    "print(x + 1)": set(),
    "assert x, f'{x + 1}'": set(),
    "'''Docstring.'''": set(),
    "tolerance = x * 1e-9": {"tolerance = x / 1e-09"},
    "x = y + 1  # same: y is infinite": set(),
}


@pytest.mark.parametrize("source", FAULTS)
def test_faults(source):
    assert {ast.unparse(fault.tree) for fault in faults(source)} == FAULTS[source]


def test_a_fault_says_where_it_is():
    (fault,) = faults("x = 1\nassert f(x) @ y", {1})
    assert str(fault) == "line 2, transpose: f(x) @ y  ->  f(x) @ y.T"


def test_only_what_reaches_an_assertion_is_faulty():
    source = "a = f(1)\nb = f(2)\nc = []\nfor k in b:\n    c.append(k)\nprint(a)\nassert sum(c) == 3"
    assert reaching(ast.parse(source)) == {1, 2, 3, 5}


def test_attempts():
    """In an interpreter of its own: JAX, which other tests import, warns of forks."""
    assert python(ATTEMPTS) == "passed raised timed out True"


ATTEMPTS = """
import time
from tests.mutants.processes import attempt

start = time.monotonic()
outcomes = attempt(int, 20), attempt(lambda: 1 / 0, 20), attempt(lambda: time.sleep(60), 0.1)
print(*outcomes, time.monotonic() - start < 30)
"""


MODULE = '''
import functools

LIMIT = 5 / 4

@functools.cache
def double(x):
    return x * LIMIT

def root(x, power=3):
    return [y ** 2 for y in x], power

class Pair:
    @property
    def first(self):
        return 1.5

    @classmethod
    def make(cls, x):
        return x > 0
'''


@pytest.mark.parametrize("before, after, found", [
    ("x * LIMIT", "x / LIMIT", "2.4 ([1], 3) 1.5 True"),
    ("5 / 4", "5 * 4", "60 ([1], 3) 1.5 True"),
    ("3", "4", "3.75 ([1], 4) 1.5 True"),
    ("2", "3", "3.75 ([-1], 3) 1.5 True"),
    ("1.5", "3.0", "3.75 ([1], 3) 3.0 True"),
    ("x > 0", "x <= 0", "3.75 ([1], 3) 1.5 False"),
])
def test_who_has_imported_a_function_has_the_fault(before, after, found, monkeypatch):
    module, user = ModuleType("module"), ModuleType("user")
    exec(MODULE, vars(module))
    vars(user).update(vars(module), pair=module.Pair())
    monkeypatch.setitem(sys.modules, "module", module)
    monkeypatch.setitem(sys.modules, "user", user)
    user.double(3)
    (fault,) = (fault for fault in faults(MODULE) if (fault.before, fault.after) == (before, after))
    modules.exchange(module, fault)
    assert " ".join(map(str, (user.double(3), user.root([-1]), user.pair.first, user.Pair.make(1)))) == found


def test_decorators_are_left_alone():
    tree = ast.parse("@cache(2)\ndef f(x):\n    return x + 1")
    assert [modules.is_decorator(line, tree) for line in (1, 2, 3)] == [True, False, False]


SMALL = '''
def f(x):
    """
    >>> f(2)
    3
    """
    return x + 1


def g(x):
    return x * 2


def h(x):
    return -x
'''


def test_the_tests_of_a_module_see_its_faults(tmp_path):
    """In an interpreter of its own: doctests are tests, and what nobody reads survives."""
    (tmp_path / "small.py").write_text(SMALL)
    (tmp_path / "test_small.py").write_text("from small import g\n\n\ndef test_g():\n    assert g(3) == 6\n")
    printed = python(f"folder = {str(tmp_path)!r}{TRIAL}")
    assert printed.split("\n")[-1] == "5 ['line 15, sign: -x  ->  x']"


TRIAL = """
sys.path[:0] = ["book", folder]
import os, pytest
from tests.mutants.faults import faults
from tests.mutants.modules import Trial

os.chdir(folder)
trial = Trial("small", list(faults(open("small.py").read())))
pytest.main(["-q", "--doctest-modules", "-p", "no:cacheprovider", "--rootdir", folder, "small.py", "test_small.py"], [trial])
print(len(trial.faults), list(map(str, trial.survivors)))
"""


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.module)
def test_the_ledger_knows_the_checks_as_they_stand(chapter):
    """A check that was changed is tried again: make mutants ONLY=<chapter> QUICK=1."""
    ledger = read_ledger()
    stale = [label for label in chapter.checks if ledger.get(label, {}).get("digest") != digest(chapter, label)]
    assert not stale, f"run: make mutants ONLY={chapter.module} QUICK=1"


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.module)
def test_the_checks_of_a_chapter_notice_nine_of_ten_faults(chapter):
    found = [read_ledger()[label] for label in chapter.checks]
    assert sum(item["noticed"] for item in found) >= 0.9 * sum(item["tried"] for item in found)


def test_the_ledger_has_no_claim_that_is_gone():
    assert read_ledger().keys() <= {label for chapter in BOOK.chapters for label in chapter.checks}

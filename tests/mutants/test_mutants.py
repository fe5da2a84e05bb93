"""The faults are those meant, examples are spared, processes end, and the ledger knows the checks as they stand."""

import ast

import pytest

from _literate.source.chapters import read_book
from _literate.source.proof_rules import digest
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


def test_a_module_with_a_fault_is_found():
    finder = modules.Finder("lowrank.svd", compile("X = 2", "<mutant>", "exec"))
    assert finder.find_spec("lowrank.psd") is None
    module = type(ast)("lowrank.svd")
    assert finder.find_spec("lowrank.svd").loader is finder and finder.exec_module(module) is None
    assert module.X == 2


def test_tests_see_the_fault_of_a_module():
    """Also where the module itself stands among the files, for its doctests: pytest would load that one on its own."""
    assert python(TRIES) == "passed raised"


TRIES = """
sys.path.insert(1, "book")
from types import SimpleNamespace
from tests.mutants.modules import run_tests
from tests.mutants.processes import attempt

broken = SimpleNamespace(code=compile("raise ValueError", "<mutant>", "exec"))
files = ["lowrank/norms.py"]
print(*(attempt(lambda: run_tests(fault, "norms", files), 100) for fault in (None, broken)))
"""


CHAPTERS = read_book().chapters


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.module)
def test_the_ledger_knows_the_checks_as_they_stand(chapter):
    """A check that was changed is tried again: make mutants ONLY=<chapter> QUICK=1."""
    ledger = read_ledger()
    stale = [label for label in chapter.checks if ledger.get(label, {}).get("digest") != digest(chapter, label)]
    assert not stale, f"run: make mutants ONLY={chapter.module} QUICK=1"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.module)
def test_the_checks_of_a_chapter_notice_nine_of_ten_faults(chapter):
    found = [read_ledger()[label] for label in chapter.checks]
    assert sum(item["noticed"] for item in found) >= 0.9 * sum(item["tried"] for item in found)


def test_the_ledger_has_no_claim_that_is_gone():
    assert read_ledger().keys() <= {label for chapter in CHAPTERS for label in chapter.checks}

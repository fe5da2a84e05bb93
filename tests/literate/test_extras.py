"""What cannot run here is skipped with its reason, test by test, and counted."""

from types import SimpleNamespace

import pytest

from tests.literate.minibook import code, run_tests
from tests.plugins import extras

MODULE = '''"""Needs an engine.

>>> 1 + 1
3
"""

import some_engine


class Engine(some_engine.Engine):
    """Runs.

    >>> Engine()
    """

    def start(self):
        """Starts without an example."""
'''

TESTS = """
import some_engine
import pytest

@pytest.mark.parametrize("power", [1, 2])
def test_engine(power): ...

def helper(): ...

class TestStart:
    def test_start(self): ...
"""

OTHERS = """
import pytest

def test_that_runs(): ...

def test_that_imports_it():
    pytest.importorskip("some_engine.parts")

@pytest.mark.skip(reason="needs the extra `fun`")
def test_that_says_so(): ...

@pytest.mark.skip(reason="too slow")
def test_skipped_for_another_reason(): ...
"""


@pytest.fixture
def miniature(book):
    """A book with a chapter whose extra is missing, and the tests of that chapter; no generated file is needed."""
    book.settings["psd"] = {"extra": "fun"}
    book["psd"] += [code("import some_engine", "export"), code("some_engine.start()")]
    book.save()
    book.write("lowrank/psd.py", MODULE)
    book.write("tests/chapters/test_psd.py", TESTS)
    book.write("tests/properties/test_psd.py", TESTS)
    book.write("tests/properties/test_svd.py", OTHERS)
    return book


def test_the_files_of_a_chapter_without_its_extra_are_skipped(miniature):
    paths = ["book/low_rank/psd.ipynb", "lowrank", "tests"]
    options = ["--nbval", "--nbval-current-env", "--doctest-modules", "--import-mode=importlib", "-v", "-rs"]
    said = run_tests(miniature.root, ["nbval.plugin", "tests.plugins.extras"], *options, *paths)
    assert "1 passed, 12 skipped" in said
    assert "not installed: fun (11 tests skipped)\n" in said
    for name in (
        "book/low_rank/psd.ipynb::Cell 2",
        "lowrank/psd.py::line 1, examples of the module",
        "lowrank/psd.py::line 10, examples of Engine",
        "tests/chapters/test_psd.py::test_engine",
        "tests/properties/test_psd.py::test_start",
    ):
        assert f"{name} SKIPPED" in said
    for count, file in ((3, "book/low_rank/psd.ipynb"), (2, "lowrank/psd.py"), (2, "tests/chapters/test_psd.py")):
        assert f"SKIPPED [{count}] {file}: needs the extra `fun`\n" in said


def test_nothing_is_said_where_nothing_is_missing(book):
    book.write("pyproject.toml", '[project]\nversion = "1"\noptional-dependencies = {fun = ["pytest"]}\n')
    assert dict(extras.files_of_missing_extras(book.root)) == {}
    lines = []
    reporter = SimpleNamespace(stats={}, write_line=lines.append)
    extras.pytest_terminal_summary(reporter, SimpleNamespace(rootpath=book.root))
    assert lines == []


REASONS = {
    "Skipped: needs the extra `fun`": "fun",
    "Skipped: could not import 'some_engine.parts': No module named 'some_engine'": "fun",
    "Skipped: could not import 'sklearn': No module named 'sklearn'": "fun",
    "Skipped: could not import 'pypdf': No module named 'pypdf'": None,
    "Skipped: no browser found": None,
}


@pytest.mark.parametrize(("reason", "extra"), REASONS.items())
def test_the_extra_behind_a_reason(reason, extra):
    assert extras.extra_of(reason, {"torch": {"torch"}, "fun": {"some_engine", "sklearn"}}) == extra

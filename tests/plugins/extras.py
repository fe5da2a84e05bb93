"""What is not installed is skipped with its reason, and counted in one line at the end.

The files of a chapter whose extra is missing cannot even be imported: their tests are named from the source.
"""

import ast
import json
import re
from collections import Counter

import pytest

from _literate.source.chapters import read_book
from _literate.source.project import extras, missing_extras

FILES = pytest.StashKey[dict]()
REASON = re.compile(r"the extra `([\w-]+)`|could not import '(\w+)")


def pytest_configure(config):
    config.stash[FILES] = dict(files_of_missing_extras(config.rootpath))


def files_of_missing_extras(root):
    """(file, extra) of the chapters that cannot be run here."""
    missing = missing_extras(root)
    for chapter in read_book(root).chapters if missing else ():
        if chapter.extra in missing:
            tests = (f"tests/{folder}/test_{chapter.module}.py" for folder in ("chapters", "properties"))
            for file in (chapter.path, f"lowrank/{chapter.module}.py", *tests):
                yield root / file, chapter.extra


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    collectors = yield
    extra = parent.config.stash[FILES].get(file_path)
    return [SkippedFile.from_parent(parent, path=file_path, extra=extra)] if extra else collectors


class SkippedFile(pytest.File):
    """A file that is read, not imported."""

    def __init__(self, extra, **settings):
        super().__init__(**settings)
        self.add_marker(pytest.mark.skip(reason=f"needs the extra `{extra}`"))

    def collect(self):
        text = self.path.read_text(encoding="utf-8")
        names = cells(text) if self.path.suffix == ".ipynb" else tests(ast.parse(text))
        return [SkippedTest.from_parent(self, name=name) for name in names]


class SkippedTest(pytest.Item):
    def runtest(self):
        raise AssertionError("its file is marked to be skipped")

    def reportinfo(self):
        return self.path, 0, self.name


def cells(text):
    """One test a code cell, as nbval names them."""
    count = sum(cell["cell_type"] == "code" for cell in json.loads(text)["cells"])
    return [f"Cell {number}" for number in range(count)]


def tests(tree):
    """The test functions of a module, however many cases they have, and its docstrings with examples."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ">>>" in (ast.get_docstring(node) or ""):
            yield f"line {getattr(node, 'lineno', 1)}, examples of {getattr(node, 'name', 'the module')}"


def pytest_terminal_summary(terminalreporter, config):
    """Such as `not installed: jax (1 test skipped), torch (12 tests skipped)`; nothing where all is there."""
    packages, missing = extras(config.rootpath), sorted(missing_extras(config.rootpath))
    skipped = Counter(extra_of(report.longrepr[2], packages) for report in terminalreporter.stats.get("skipped", []))
    counts = (f"{extra} ({skipped[extra]} test{'s' * (skipped[extra] != 1)} skipped)" for extra in missing)
    if missing:
        terminalreporter.write_line(f"not installed: {', '.join(counts)}")


def extra_of(reason, packages):
    """The extra that a test says is missing, or whose package it could not import; None for other reasons."""
    if not (found := REASON.search(reason)):
        return None
    extra, module = found.groups()
    return extra or next((extra for extra, names in packages.items() if module in names), None)

"""A miniature book in a temporary folder."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent

from _literate.commands import execute, export
from _literate.source.model import ROOT

PYPROJECT = """
[project]
name = "lowrank"
version = "1.2.3"
description = "A miniature"
dependencies = ["numpy>=2.0", "array-api-compat"]

[project.optional-dependencies]
fun = ["some-engine>=1", "scikit-learn"]
"""


@dataclass
class Run:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def errors(self):
        return self.err.splitlines()


def python(source, folder=ROOT):
    """What a fresh interpreter prints that finds the package in `folder`."""
    program = f"import sys\nsys.path.insert(0, {str(folder)!r})\n{source}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run_tests(folder, plugins, *arguments):
    """What pytest prints that runs the tests in a folder, as a project of its own, with no plugins but these."""
    named = [part for plugin in plugins for part in ("-p", plugin)]
    command = [sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", "--rootdir", folder, *arguments]
    settings = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "book"))), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def md(source):
    return {"cell_type": "markdown", "source": dedent(source).strip(), "metadata": {}}


def code(source, *tags):
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "source": dedent(source).strip(), "metadata": metadata, "outputs": []}


OUTCOME = "\n\n**You will be able to** do it."


CONVENTIONS = [
    md(f"# Conventions\n\nEvery method scales by a power of two. Then it starts.{OUTCOME}"),
    code(
        """
        import numpy as np


        def scale(A):
            '''The largest entry of A in absolute value.'''
            return np.max(np.abs(A))
        """,
        "export",
    ),
    code("def halve(A):\n    '''A / 2.'''\n    return _half(np.asarray(A))\n\n\ndef _half(A):\n    return A / 2", "internal"),
]

SVD = [
    md(f"# The SVD\n\nWe look for $\\min \\|A - B\\|$.{OUTCOME}"),
    code("from lowrank.conventions import halve, scale", "export"),
    code("def norm(A):\n    '''A norm.'''\n    return scale(halve(A))", "export"),
    md(":::{prf:theorem} Eckart and Young\n:label: eckart-young\n\nIt is so.\n:::"),
    code(
        """
        def test_norm():
            assert norm([4.0]) == 2 == scale([2.0])

        test_norm()
        """,
        "test",
        "check-eckart-young",
    ),
]

PSD = [md(f"# Nystrom\n\nWe approximate a kernel matrix.{OUTCOME}"), code("ORDER = 2", "export")]


class MiniBook:
    """Three chapters; `book["svd"]` is the list of cells of one, and `save` writes them all."""

    folder = {"conventions": "foundations", "svd": "low_rank", "psd": "low_rank"}

    def __init__(self, root, capture):
        self.root, self.capture = root, capture
        self.chapters = {"conventions": list(CONVENTIONS), "svd": list(SVD), "psd": list(PSD)}
        self.settings = {}  # of a chapter, as in `book.settings["psd"] = {"extra": "fun"}`
        self.write("pyproject.toml", PYPROJECT)
        self.write("book/index.md", "# Front page\n")
        self.write_toc(*map(self.docname, self.chapters))
        self.save()

    def __getitem__(self, module):
        return self.chapters[module]

    def __setitem__(self, module, cells):
        self.chapters[module] = cells

    def docname(self, module):
        return f"book/{self.folder[module]}/{module}"

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8")

    def write_toc(self, *docnames):
        chapters = "".join(f"      - file: {name}\n" for name in docnames)
        parts = f"parts:\n  - caption: All\n    chapters:\n{chapters}" if docnames else ""
        self.write("_toc.yml", f"format: jb-book\nroot: book/index\n{parts}")

    def save(self):
        for module, cells in self.chapters.items():
            self.save_notebook(f"{self.docname(module)}.ipynb", cells)

    def save_notebook(self, path, cells, minor=5):
        cells = [{"id": f"id-{number}", **cell} for number, cell in enumerate(cells)]
        ran = [cell for cell in cells if cell["cell_type"] == "code" and cell["source"]]
        for cell in cells:
            if cell["cell_type"] == "code":
                cell.setdefault("execution_count", ran.index(cell) + 1 if cell in ran else None)
        settings = self.settings.get(path.rpartition("/")[2].removesuffix(".ipynb"))
        metadata = {"lowrank": settings} if settings else {}
        notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
        self.write(path, json.dumps(notebook, indent=1))

    def files(self):
        """Every file with what it holds, to see that nothing was written."""
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def export(self, *arguments):
        return self._run(export.main, arguments)

    def execute(self, *arguments):
        return self._run(execute.main, arguments)

    def _run(self, main, arguments):
        self.capture.readouterr()
        status = main([*arguments, "--root", str(self.root)])
        return Run(status, *self.capture.readouterr())

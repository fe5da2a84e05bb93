"""What is stored in the chapters keeps every rule of the exporter, and is in its normal form."""

import copy

import nbformat
import pytest

from _literate.commands import execute
from tests.literate.built import BOOK, ROOT


@pytest.fixture(scope="module", params=BOOK.chapters, ids=lambda chapter: chapter.module)
def chapter(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(chapter):
    return nbformat.read(ROOT / chapter.path, as_version=4)


def test_the_book_has_no_problems():
    assert [str(problem) for problem in BOOK.problems] == []


def test_the_notebook_is_in_its_normal_form(chapter, notebook):
    normal = copy.deepcopy(notebook)
    execute.normalise(normal)
    assert (ROOT / chapter.path).read_text(encoding="utf-8") == nbformat.writes(normal) + "\n"


def test_a_kernel_in_a_folder_of_chapters_imports_this_package():
    cell = nbformat.v4.new_code_cell("import lowrank\nprint(lowrank.__file__)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    folder = {"metadata": {"path": str(ROOT / "book" / "low_rank")}}
    execute.Client(notebook, resources=folder, extra_arguments=execute.QUIET).execute()
    assert notebook.cells[0].outputs[0].text == f"{ROOT / 'lowrank' / '__init__.py'}\n"

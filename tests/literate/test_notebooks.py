"""What is stored in the chapters: complete, in order, the same everywhere, and readable for all."""

import copy
import re

from _literate.commands import execute
import nbformat
import pytest
from _literate.source.chapters import read_book
from _literate.source.model import ROOT
from _literate.source.rules import KNOWN_TAGS

BOOK = read_book()
MACHINE = re.compile(r"(?<![\w.:/])/(home|Users|root|tmp|work|usr|opt|var|private|mnt)/\w|\b[A-Z]:\\|\b0x[0-9a-f]{6,}")


@pytest.fixture(scope="module", params=BOOK.chapters, ids=lambda chapter: chapter.module)
def chapter(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(chapter):
    return nbformat.read(ROOT / chapter.path, as_version=4)


@pytest.fixture(scope="module")
def cells(chapter, notebook):
    """(where it is, cell) of every code cell."""
    cells = zip(chapter.cells, notebook.cells, strict=True)
    return [(str(chapter.place(cell)), stored) for cell, stored in cells if cell.kind == "code"]


def faulty(cells, is_faulty):
    return [place for place, cell in cells if is_faulty(cell)]


def test_the_book_has_no_problems():
    assert [str(problem) for problem in BOOK.problems] == []


def test_every_cell_has_run_in_order(cells):
    counts = [(place, cell.execution_count) for place, cell in cells if cell.source.strip()]
    assert counts == [(place, number) for number, (place, _) in enumerate(counts, start=1)]


def test_nothing_is_stored_that_went_wrong(cells):
    def went_wrong(cell):
        expected = "raises-exception" in cell.metadata.get("tags", [])
        return any(
            output.get("name") == "stderr" or (output.output_type == "error" and not expected) for output in cell.outputs
        )

    assert faulty(cells, went_wrong) == []


def test_pictures_have_alternative_text(cells):
    def is_mute(cell):
        pictures = [mime for output in cell.outputs for mime in output.get("data", {}) if mime.startswith("image/")]
        settings = cell.metadata.get("mystnb", {})
        texts = [settings.get(key, {}).get("alt", "").strip() for key in ("image", "figure")]
        return pictures and not any(texts)

    assert faulty(cells, is_mute) == []


def test_tags_are_known(cells):
    tags = {tag for _, cell in cells for tag in cell.metadata.get("tags", [])}
    assert {tag for tag in tags - KNOWN_TAGS if not tag.startswith("check-")} == set()


def test_an_output_that_is_not_compared_has_its_reason_above(chapter):
    ignored = [cell for cell in chapter.cells if "nbval-ignore-output" in cell.tags]
    assert [cell.number for cell in ignored if chapter.cells[cell.number - 2].kind != "markdown"] == []


def test_no_semicolon_ends_a_cell(cells):
    """It hides the output from a reader, but not from nbval."""
    assert faulty(cells, lambda cell: cell.source.rstrip().endswith(";")) == []


def test_outputs_name_no_machine(cells):
    def names_machine(cell):
        texts = [output.get("text", "") for output in cell.outputs]
        texts += [str(text) for output in cell.outputs for kind, text in output.get("data", {}).items() if "image" not in kind]
        return any(MACHINE.search(text) for text in [*texts, *(str(output.get("traceback")) for output in cell.outputs)])

    assert faulty(cells, names_machine) == []


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

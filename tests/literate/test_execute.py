"""The runner: what it stores, that it stores the same again, and that it stops at the first failure."""

import json
import os

import pytest

from _literate.commands import execute
from tests.literate.minibook import code, md


@pytest.fixture
def run(book):
    """Run `psd` with these cells after its own two."""

    def run(*cells, arguments=("psd",)):
        book["psd"] += cells
        book.save()
        book.export()
        return book.execute(*arguments)

    return run


def stored(book):
    return json.loads(book.read("book/low_rank/psd.ipynb"))


def test_outputs_are_stored_in_a_normal_form_that_is_stable(book, run):
    cells = [
        {**code("print('one')\nprint('two', flush=True)\nprint('three')", "hide-input")},
        code("1 / ORDER"),
        code("1 / 0", "raises-exception"),
        code(""),
        code("import os\nfrom lowrank.svd import norm\nos.path.basename(os.getcwd()), norm([4.0])"),
    ]
    cells[0]["metadata"] |= {"editable": True, "slideshow": {"slide_type": ""}}
    done = run(*cells)
    assert (done.status, done.err) == (0, "")
    assert "book/low_rank/psd.ipynb: cell 4 of 7" in done.out
    assert done.out.splitlines()[-1] == "book/low_rank/psd.ipynb: 7 cells, outputs stored"
    notebook = stored(book)
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == [1, 2, 3, 4, None, 5]
    _, _, streams, value, error, _, last = notebook["cells"]
    assert streams["metadata"] == {"tags": ["hide-input"]} and streams["id"] == "id-2"
    assert [output["text"] for output in streams["outputs"]] == [["one\n", "two\n", "three\n"]]
    assert value["outputs"][0]["data"] == {"text/plain": ["0.5"]}
    assert error["outputs"][0]["traceback"] == ["ZeroDivisionError: division by zero"]
    assert last["outputs"][0]["data"] == {"text/plain": ["('low_rank', np.float64(2.0))"]}

    before = book.files()
    assert book.execute("psd").out.splitlines()[-1] == "book/low_rank/psd.ipynb: 7 cells, nothing changed"
    assert book.files() == before


def test_the_first_failing_cell_stops_the_run(book, run):
    failing = """
    def test_order():
        x = ORDER
        assert x == 3, "no"

    test_order()
    """
    done = run(code(failing, "test"), md("Text."), code("print('never')"))
    assert done.status == 1
    assert done.errors[0] == (
        "book/low_rank/psd.ipynb, cell 3 (test_order), line 3: AssertionError: no;"
        " correct, save, and run: make run CHAPTER=psd"
    )
    assert done.errors[-1] == "AssertionError: no"
    assert "----> 3     assert x == 3" in done.err and "\x1b" not in done.err
    assert "cell 5" not in done.out
    assert stored(book)["cells"][2]["outputs"] == []  # as it was saved


def test_a_warning_is_not_stored(book, run):
    done = run(code("import warnings\nwarnings.warn('beware')"))
    assert done.status == 1
    assert done.errors[0] == (
        "book/low_rank/psd.ipynb, cell 3: writes a warning, which is not stored;"
        " remove its cause; correct, save, and run: make run CHAPTER=psd"
    )
    assert "UserWarning: beware" in done.err
    assert stored(book)["cells"][2]["outputs"] == []


def test_a_cell_that_takes_too_long(run):
    done = run(code("import time\ntime.sleep(60)"), arguments=("psd", "--timeout", "1"))
    assert done.status == 1
    assert done.errors[0].startswith("book/low_rank/psd.ipynb, cell 3: takes longer than 1 s; ")


def test_a_kernel_that_dies(run):
    done = run(code("import os\nos._exit(1)"))
    assert done.status == 1
    assert done.errors[0].startswith("book/low_rank/psd.ipynb, cell 3: the kernel died; ")


def test_errors_of_the_book_come_before_any_kernel(book):
    book["svd"].append(code("import lowrank"))
    book.save()
    before = book.files()
    done = book.execute("psd")
    assert done.status == 2
    assert done.errors[0].startswith("book/low_rank/svd.ipynb, cell 6, line 1: `import lowrank`")
    assert book.files() == before


def test_a_chapter_that_is_not_there(book):
    done = book.execute("sdv")
    assert (done.status, done.err) == (2, "There is no chapter `sdv`. Did you mean `svd`?\n")


def test_the_interpreter_of_the_runner_is_used_whatever_kernels_are_installed(book, run, tmp_path, monkeypatch):
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Wrong", "language": "python"}
    book.write("jupyter/kernels/python3/kernel.json", json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", os.fspath(tmp_path / "jupyter"))
    done = run(code("import sys\nprint(sys.executable != '/bin/false')"))
    assert (done.status, done.err) == (0, "")


def test_a_foreign_package_is_noticed(book, run, monkeypatch):
    monkeypatch.setattr(execute, "ORIGIN", "'/elsewhere/lowrank/__init__.py'")
    done = run()
    here = book.root / "lowrank" / "__init__.py"
    assert done.status == 1
    assert done.err == f"The kernel imports lowrank from /elsewhere/lowrank/__init__.py, not from {here}.\n"


def test_a_chapter_that_is_saved_while_it_runs_keeps_what_was_saved(book, run):
    done = run(code("from pathlib import Path\nPath('psd.ipynb').write_text('saved')"))
    assert done.status == 1
    assert done.err == "book/low_rank/psd.ipynb was saved while it ran; its outputs are not stored. Run it again.\n"
    assert book.read("book/low_rank/psd.ipynb") == "saved"

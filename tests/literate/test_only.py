"""The files of one chapter."""

import pytest

from tests import only


@pytest.fixture
def files(book, capsys):
    """Prints the files of chapters of the miniature book; returns the status, and what was printed."""
    for path in ("lowrank/svd.py", "lowrank/psd.py", "tests/chapters/test_svd.py", "tests/properties/test_psd.py"):
        book.write(path, "")

    def ask(*names):
        status = only.main(names, book.root)
        return status, *capsys.readouterr()

    return ask


def test_the_files_that_are_there(files, book):
    assert files("svd") == (0, "book/low_rank/svd.ipynb tests/chapters/test_svd.py lowrank/svd.py\n", "")
    book.write("tests/properties/test_results.py", "")
    both = "book/low_rank/svd.ipynb tests/chapters/test_svd.py lowrank/svd.py tests/properties/test_results.py"
    assert files("svd", "psd")[1] == f"{both} book/low_rank/psd.ipynb tests/properties/test_psd.py lowrank/psd.py\n"


def test_no_chapter_is_every_file(files):
    assert files() == (0, "\n", "")


def test_a_chapter_that_is_not_there(files):
    assert files("psd", "sdv") == (2, "", "There is no chapter `sdv`. Did you mean `svd`?\n")
    assert files("zzzzzz") == (2, "", "There is no chapter `zzzzzz`.\n")

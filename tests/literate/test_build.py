"""How the book is built: all of it, with nothing to complain about, and small ones with a fault or an address."""

import shutil

import pytest

from tests.literate.built import ROOT, PageReader, build


def test_build_says_nothing_wrong(build_report):
    status, said, _ = build_report
    assert status == 0 and "WARNING" not in said, said


@pytest.fixture
def small_book(book):
    """A book of two chapters with the configuration and the extension of ours."""
    for path in ("_config.yml", "book/references.bib", "book/_literate", "book/_static", "book/_figures"):
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copyfile
        copy(ROOT / path, book.root / path)
    return book


def test_claim_without_check_fails_the_build(small_book, tmp_path):
    small_book["svd"] = small_book["svd"][:-1]
    small_book.save()
    report = build(small_book.root, tmp_path / "out")
    assert report.returncode == 2
    assert "ERROR: book/low_rank/svd.ipynb, cell 4 (eckart-young), line 1:" in report.stdout
    assert "Traceback" not in report.stdout


def test_an_address_brings_the_buttons(small_book, tmp_path):
    address = "https://github.com/someone/lowrank"
    config = small_book.root / "_config.yml"
    config.write_text(config.read_text().replace('repository_url: ""', f"repository_url: {address}"))
    small_book.save()
    report = build(small_book.root, tmp_path / "out")
    html = tmp_path / "out" / "_build" / "html" / "book" / "low_rank" / "svd.html"
    assert html.is_file(), report.stdout
    links = PageReader(html.read_text()).links
    assert address in links
    assert any(link.startswith("https://mybinder.org/v2/gh/someone/lowrank/main") for link in links)

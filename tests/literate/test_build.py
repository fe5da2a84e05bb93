"""How the book is built: all of it, with nothing to complain about, and small ones with a fault or an address."""

import re
import shutil

import pytest

from tests.literate.built import ROOT, PageReader, build
from tests.literate.minibook import code


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


def test_the_links_below_a_claim_say_what_the_ledger_says(small_book, tmp_path):
    helpers = "from book.checks import bounded, equal, proved"
    by_hand = small_book["svd"].pop()
    checks = [
        code("proved('a', norm(1) - norm(1))", "check-eckart-young"),
        code("bounded('b', [norm(2)], 1)\nequal('c', norm(2), 1)", "check-eckart-young"),
    ]
    small_book["svd"] += [code(helpers), by_hand, *checks]
    small_book.write("book/checks.md", "# Checks\n\n```{literate-checks}\n```\n")
    small_book.write_toc(*map(small_book.docname, small_book.chapters), "book/checks")
    small_book.save()
    report = build(small_book.root, tmp_path / "out")
    page, ledger = (tmp_path / "out/_build/html/book" / name for name in ("low_rank/svd.html", "checks.html"))
    assert ledger.is_file(), report.stdout
    links = re.findall(r'<p class="claim-check">(.*?)</p>', page.read_text(), re.S)
    words = ["assertion", "symbolic proof", "second method, attained bound"]
    assert [re.sub(r"<[^>]*>", "", link).strip() for link in re.findall(r"<a.*?</a>", links[0], re.S)] == [
        f"check: {how}" for how in words
    ]
    row = re.search(r"eckart-young.*?</tr>", ledger.read_text(), re.S)[0]
    assert re.findall(r"<p>([a-z ]+)</p>", row)[:3] == ["symbolic proof", "second method", "attained bound"]


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

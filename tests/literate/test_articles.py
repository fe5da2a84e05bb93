"""The page "The articles behind the chapters": every source once, beside the chapters that cite it and what they export."""

import re

import pytest

from _literate.source.chapters import read_book
from _literate.source.model import ROOT

BOOK = read_book()
PAGE = (ROOT / "book" / "reference" / "articles.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^@\w+\{([^,\s]+),(.*?)^\}", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.M | re.S)
ARTICLES = {key for key, fields in ENTRIES if re.search(r"^ *url *= *\{https://kexue\.fm/", fields, re.M)}
CITED = re.compile(r"{cite(?::\w+)?}`([^`]+)`")
PARTS = dict(section.split("\n", 1) for section in PAGE.split("\n## ")[1:])  # by their headings
ROWS = [(part, row) for part, section in PARTS.items() for row in re.findall(r"^\| .*\|$", section, re.M) if "{cite" in row]
CHAPTERS = {re.match(r"\((.+?)\)=", chapter.cells[0].source)[1]: chapter for chapter in BOOK.chapters}  # by their labels


def cited(text):
    return [key.strip() for keys in CITED.findall(text) for key in keys.split(",")]


def sources(chapter):
    """The articles that a notebook cites."""
    return ARTICLES.intersection(key for cell in chapter.cells if cell.kind == "markdown" for key in cited(cell.source))


def cells(row):
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_every_article_is_on_the_page_once_and_nothing_else_is():
    assert len(ARTICLES) > 50
    assert sorted(cited(PAGE)) == sorted(ARTICLES)
    assert sorted(key for _, row in ROWS for key in cited(cells(row)[0])) == sorted(ARTICLES)


def test_no_two_articles_look_alike_where_they_are_cited():
    years = [re.search(r"^ *year *= *\{(\w+)\}", fields, re.M)[1] for key, fields in ENTRIES if key in ARTICLES]
    assert sorted(years) == sorted(set(years))


def test_parts_stand_in_the_order_of_the_book():
    assert list(PARTS) == [caption for caption, _ in BOOK.parts if caption in PARTS]


@pytest.mark.parametrize("part, row", ROWS, ids=[cited(row)[0] for _, row in ROWS])
def test_a_row_names_the_chapters_that_cite_it_and_what_they_export(part, row):
    _, links, different, functions = cells(row)
    named = re.findall(r"{ref}`([\w-]+)`", links)
    keys = set(cited(row))
    assert set(named) - {"formulas"} == {label for label, chapter in CHAPTERS.items() if sources(chapter) & keys}
    assert different
    if named[0] in CHAPTERS:
        assert CHAPTERS[named[0]].path in dict(BOOK.parts).get(part, ())
    public = {item.name for label in named if label in CHAPTERS for item in CHAPTERS[label].public}
    assert set(re.findall(r"{py:obj}`(\w+)`", functions)) <= public

"""The model of the book, on which exporter, runner and Sphinx extension stand."""

import pytest

from _literate.source.chapters import read_book
from _literate.source.model import Claim, Place, Problem, Public
from tests.literate.minibook import code, md


def test_places_and_problems_print_as_one_line():
    place = Place("book/low_rank/svd.ipynb", 12, "truncated_svd", 4)
    assert str(place) == "book/low_rank/svd.ipynb, cell 12 (truncated_svd), line 4"
    assert str(Place("_toc.yml")) == "_toc.yml"
    assert str(Problem(place, "it is so", "do this")) == f"{place}: it is so; do this"


def test_a_chapter(book):
    model = read_book(book.root)
    assert model.problems == ()
    assert model.pages == ("book/index.md",)
    assert model.order == ("conventions", "svd", "psd")
    chapter = model.chapter("svd")
    assert (chapter.path, chapter.docname) == ("book/low_rank/svd.ipynb", "book/low_rank/svd")
    assert (chapter.title, chapter.opening) == ("The SVD", "We look for $\\min \\|A - B\\|$.")
    assert [cell.name for cell in chapter.cells] == ["The SVD", None, "norm", "eckart-young", "test_norm"]
    assert chapter.claims == (Claim("theorem", "eckart-young", "Eckart and Young", 4, 1),)
    assert [cell.number for cell in chapter.checks["eckart-young"]] == [5]
    assert [cell.number for cell in chapter.exports] == [2, 3]
    assert [cell.number for cell in chapter.tests] == [5]
    assert chapter.public == (Public("norm", "function", 3, 1),)


def test_the_order_is_that_of_the_table_of_contents_with_sections(book):
    book.write(
        "_toc.yml",
        """
        format: jb-book
        root: book/index
        parts:
          - caption: All
            chapters:
              - file: book/low_rank/psd
                sections:
                  - file: book/foundations/conventions.ipynb
              - url: https://example.org
              - file: book/low_rank/svd
        """,
    )
    model = read_book(book.root)
    assert [chapter.module for chapter in model.chapters] == ["psd", "conventions", "svd"]
    assert model.order == ("conventions", "psd", "svd")  # the foundations come first, wherever they are read


def test_a_part_needs_no_caption(book):
    book.write(
        "_toc.yml",
        """
        format: jb-book
        root: book/index
        parts:
          - chapters:
              - file: book/low_rank/svd
          - caption: Others
            chapters:
              - file: book/low_rank/psd
              - file: book/foundations/conventions
        """,
    )
    parts = read_book(book.root).parts
    assert [caption for caption, _ in parts] == [None, None, "Others"]
    assert parts[2][1] == ("book/low_rank/psd.ipynb", "book/foundations/conventions.ipynb")


def test_public_names_in_reading_order_with_their_kind(book):
    book["psd"].append(code("class Pair:\n    '''Two.'''\n\n(A, *_b), c = (1, 2), 3\nd: int = 4\ne: int", "export"))
    book.save()
    public = read_book(book.root).chapter("psd").public
    assert [(item.name, item.kind) for item in public] == [
        ("ORDER", "constant"),
        ("Pair", "class"),
        ("A", "constant"),
        ("c", "constant"),
        ("d", "constant"),
    ]


NAMES = {
    "a public function before a private one": (code("def _a(): ...\ndef b(): ...", "export"), "b"),
    "a private function before a constant": (code("X = 1\ndef _a(): ...", "export"), "_a"),
    "a constant": (code("_x = 1\ny = 2"), "y"),
    "the claim before a constant": (code("x = 1", "check-eckart-young"), "eckart-young"),
    "the test before the claim": (code("def test_a(): ...", "test", "check-eckart-young"), "test_a"),
    "the heading": (md("Text.\n\n## Heading `x`"), "Heading `x`"),
    "the claim before the heading": (md("## Heading\n\n:::{prf:lemma}\n:label: a-b\n:::"), "a-b"),
    "nothing": (code("print(1)"), None),
}


@pytest.mark.parametrize(("cell", "name"), NAMES.values(), ids=NAMES)
def test_the_name_of_a_cell(book, cell, name):
    book["psd"].append(cell)
    book.save()
    assert read_book(book.root).chapter("psd").cells[-1].name == name


OPENINGS = {
    "One sentence. Another.": "One sentence.",
    "See e.g. this, i.e. that. More.": "See e.g. this, i.e. that.",
    "It costs $0.5$ passes,\nwhich is little! More.": "It costs $0.5$ passes, which is little!",
    "(target)=\n\n:::{note}\nNot this.\n:::\n\n## Overview\n\n- nor this\n\nThis one": "This one",
    "![picture](x.png)\n\nA formula $$x$$ in it.": "A formula $$x$$ in it.",
    "```\n# not a heading\n```\n\nAfter *code.*": "After *code.*",
}


@pytest.mark.parametrize(("text", "opening"), OPENINGS.items())
def test_the_opening_sentence(book, text, opening):
    book.save_notebook("book/low_rank/psd.ipynb", [md(f"# Title\n\n{text}")])
    chapter = read_book(book.root).chapter("psd")
    assert (chapter.title, chapter.opening) == ("Title", opening)


def test_the_opening_may_stand_in_the_next_cell(book):
    book.save_notebook("book/low_rank/psd.ipynb", [md("# Title"), code("1"), md("Here it is.")])
    assert read_book(book.root).chapter("psd").opening == "Here it is."


def test_claims_in_nested_fences(book):
    book["psd"].append(
        md(
            """
            :::::{admonition} Two claims
            ::::{prf:lemma}
            :label: inner
            :class: dropdown

            :::{note}
            :label: no-claim
            :::
            ::::
            ```
            :::{prf:theorem} shown, not stated
            ```
            :::{prf:corollary} Of it
            :label: after
            :::
            :::::
            """
        )
    )
    book.save()
    assert [(claim.kind, claim.label, claim.line) for claim in read_book(book.root).chapter("psd").claims] == [
        ("lemma", "inner", 2),
        ("corollary", "after", 13),
    ]


def test_claims_without_a_check(book):
    book["svd"][3] = md(":::{prf:theorem}\n:label: eckart-young\n:::\n:::{prf:lemma}\n:label: other\n:::")
    book.save()
    model = read_book(book.root)
    assert [claim.label for claim in model.chapter("svd").unchecked] == ["other"]
    assert [problem.unfinished for problem in model.problems] == [True]


def test_a_notebook_that_cannot_be_read_keeps_its_place(book):
    book.write("book/low_rank/svd.ipynb", "{")
    model = read_book(book.root)
    assert model.order == ("conventions", "svd", "psd")
    assert [chapter.module for chapter in model.chapters] == ["conventions", "psd"]
    assert model.chapter("svd") is None
    assert len(model.problems) == 1

"""The page "Which method when": what it names is there, and it leaves out no method."""

import re

import pytest

import lowrank
from _literate.source.chapters import read_book
from _literate.source.model import ROOT

PAGE = (ROOT / "book" / "which_method.md").read_text(encoding="utf-8")
SECTIONS = dict(section.split("\n", 1) for section in PAGE.split("\n## ")[1:])  # by their headings


def choices(function, argument="method"):
    """The words that an argument may have, from the docstring."""
    return set(re.findall(r'"(\w+)"', re.search(rf"\n    {argument} : {{(.*?)}}", function.__doc__)[1]))


def test_every_function_on_the_page_is_there():
    named = set(re.findall(r"{py:obj}`(\w+)`", PAGE))
    assert named <= set(lowrank._HOME)  # those of extras too, which `__all__` leaves out
    assert {"truncated_svd", "randomized_svd", "interp_decomp", "cur", "aca", "nystrom", "rpcholesky"} <= named


def test_every_theorem_on_the_page_is_there():
    labels = {claim.label for chapter in read_book().chapters for claim in chapter.claims}
    assert set(re.findall(r"{prf:ref}`([\w-]+)`", PAGE)) <= labels


@pytest.mark.parametrize("section, function", [("The matrix sign", lowrank.msign), ("The k largest, smoothly", lowrank.soft_topk)])
def test_every_method_has_its_row_and_no_other(section, function):
    rows = set(re.findall(r'method="(\w+)"', SECTIONS[section]))
    assert rows == choices(function) - {"auto"}


def test_the_methods_in_the_rows_of_low_rank_exist():
    for row in SECTIONS["A matrix of low rank"].split("\n"):
        for option, word in re.findall(r'`(\w+)="(\w+)"`', row):
            functions = [getattr(lowrank, name) for name in re.findall(r"{py:obj}`(\w+)`", row)]
            assert any(word in choices(function, option) for function in functions if f" {option} : {{" in function.__doc__), row

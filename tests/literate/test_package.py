"""The generated package: light, lazy, complete, and of one version."""

import ast
import pickle
import re
import tomllib

import numpy as np
import pytest
import yaml
from matplotlib.cbook import get_sample_data
from matplotlib.pyplot import imread

import lowrank
from _literate.commands.front_picture import RANKS
from tests.literate.built import BOOK, ROOT
from tests.literate.minibook import code, python

HEAVY = {"numpy", "scipy", "mpmath", "array_api_compat"}


def test_the_import_loads_nothing_heavy():
    assert python(f"import lowrank\nprint({HEAVY!r} & set(sys.modules))") == "set()"


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert lowrank.__version__ == project["version"] == str(citation["version"])


def test_the_package_offers_what_the_chapters_export():
    assert list(lowrank._HOME) == [item.name for chapter in BOOK.chapters for item in chapter.public]
    assert lowrank.__all__ == [item.name for chapter in BOOK.chapters if not chapter.extra for item in chapter.public]
    for name in lowrank.__all__:
        assert getattr(lowrank, name) is not None


def test_the_stub_lists_exactly_what_the_package_offers():
    tree = ast.parse((ROOT / "lowrank" / "__init__.pyi").read_text(encoding="utf-8"))
    listed = next(node.value for node in tree.body if isinstance(node, ast.Assign))
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "lowrank"]
    assert ast.literal_eval(listed) == lowrank.__all__
    assert sorted(alias.asname for node in imported for alias in node.names) == sorted(lowrank._HOME)


def test_a_broken_module_does_not_break_the_others(book):
    book["psd"][1] = code("ORDER = 1 / 0", "export")
    book.save()
    assert book.export().status == 0
    program = """
import lowrank
print(lowrank.norm([4.0]))
try:
    lowrank.ORDER
except ZeroDivisionError as error:
    print(error)
"""
    assert python(program, book.root).splitlines() == ["2.0", "division by zero"]


def test_every_way_to_a_name_and_to_a_module(book):
    book.export()
    program = """
import pickle
import lowrank
assert lowrank.svd is sys.modules["lowrank.svd"] and lowrank.svd.norm is lowrank.norm
assert pickle.loads(pickle.dumps(lowrank.norm)) is lowrank.norm
assert {"svd", "norm", "ORDER", "__version__"} <= set(dir(lowrank))
assert lowrank.__version__ == "1.2.3"
from lowrank import *
print(norm.__module__, scale.__module__, ORDER, "halve" in globals(), "svd" in globals())
"""
    assert python(program, book.root) == "lowrank.svd lowrank.conventions 2 False False"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'lowrank' has no attribute 'truncated_sdv'"):
        lowrank.truncated_sdv  # noqa: B018


def test_functions_can_be_pickled():
    functions = [getattr(lowrank, name) for name in lowrank.__all__ if callable(getattr(lowrank, name))]
    assert pickle.loads(pickle.dumps(functions)) == functions


def test_the_caption_of_the_front_picture_is_true():
    with get_sample_data("grace_hopper.jpg") as file:
        picture = imread(file).mean(axis=2)
    front = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    caption = re.search(r"sum of (.*?) outer products: (.*?)% of the numbers, with errors of (.*?)%", front)
    ranks, shares, errors = ([float(number) for number in re.findall(r"[\d.]+", part)] for part in caption.groups())
    assert tuple(ranks) == RANKS
    for rank, share, error in zip(RANKS, shares, errors, strict=True):
        rest = picture - lowrank.truncated_svd(picture, rank).reconstruct()
        assert share == pytest.approx(100 * rank * (sum(picture.shape) + 1) / picture.size, abs=0.5)
        assert error == pytest.approx(100 * np.linalg.norm(rest) / np.linalg.norm(picture), abs=0.05)

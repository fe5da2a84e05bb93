"""What the tests of the machinery share: its modules on the path, and a miniature book for each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_literate"))

from tests.literate.minibook import MiniBook  # noqa: E402


@pytest.fixture
def book(tmp_path, capsys):
    return MiniBook(tmp_path, capsys)

"""Groups of tests, their order, and what is remembered of how long they took."""

import json
import re
from types import SimpleNamespace

import pytest

from tests.literate.minibook import run_tests
from tests.plugins.order import TIMINGS, Recorder, group, ordered, read

GROUPS = {
    "tests/properties/test_svd.py::test_ranks[3]": "tests/properties/test_svd.py",
    "book/low_rank/svd.ipynb::Cell 3": "book/low_rank/svd.ipynb",
    "README.md::README.md": "README.md",
    "tests/literate/test_browser.py::test_page[a]": "tests/literate/test_browser.py::test_page[a]",
}


@pytest.mark.parametrize(("nodeid", "expected"), GROUPS.items())
def test_the_group_of_a_test(nodeid, expected):
    assert group(nodeid) == expected


def item(nodeid, *fixtures):
    return SimpleNamespace(nodeid=nodeid, fixturenames=fixtures)


def test_build_unknown_long_short_and_built_pages():
    items = [
        item("test_browser.py::test_page[a]", "built_book", "build_report"),
        item("short.py::test_a"),
        item("long.ipynb::Cell 0"),
        item("short.py::test_b"),
        item("new.py::test_new"),
        item("test_browser.py::test_page[b]", "built_book", "build_report"),
        item("long.ipynb::Cell 1"),
        item("test_build.py::test_build", "build_report"),
    ]
    seconds = {"short.py::test_a": 1, "short.py::test_b": 2, "long.ipynb::Cell 1": 5, "gone.py::test_x": 60}
    seconds |= {"test_browser.py::test_page[a]": 8, "test_browser.py::test_page[b]": 9}
    assert [item.nodeid for item in ordered(items, seconds)] == [
        "test_build.py::test_build",
        "new.py::test_new",
        "long.ipynb::Cell 0",
        "long.ipynb::Cell 1",
        "short.py::test_a",
        "short.py::test_b",
        "test_browser.py::test_page[b]",
        "test_browser.py::test_page[a]",
    ]


def record(path, **seconds):
    recorder = Recorder(path)
    for nodeid, duration in seconds.items():
        for part in (0.25, 0.75):  # setting up, running
            recorder.pytest_runtest_logreport(SimpleNamespace(nodeid=nodeid, duration=part * duration))
    recorder.pytest_sessionfinish()


def test_a_part_of_the_tests_keeps_the_timings_of_the_others(tmp_path):
    record(tmp_path / "timings.json", a=4, b=8)
    record(tmp_path / "timings.json", b=2)
    assert read(tmp_path / "timings.json") == {"a": 4, "b": 2}


@pytest.mark.parametrize("text", [None, "", "[1, 2", "[1, 2]"])
def test_timings_that_are_missing_or_broken_are_none(tmp_path, text):
    path = tmp_path / "timings.json"
    if text is not None:
        path.write_text(text)
    assert read(path) == {}
    record(path, a=4)
    assert read(path) == {"a": 4}


@pytest.mark.parametrize("folder", ["missing/cache", "file/cache"])
def test_where_nothing_can_be_written_nothing_happens(tmp_path, folder):
    (tmp_path / "file").write_text("")
    record(tmp_path / folder / "timings.json", a=4)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


PAGES = """
import time, pytest

@pytest.mark.parametrize("page", "abcd")
def test_page(page):
    time.sleep(0.1)
"""


def test_workers_share_pages_and_keep_files(tmp_path):
    """A private method of xdist says what a group is: this run notices when it is no longer asked."""
    (tmp_path / "test_browser.py").write_text(PAGES)
    (tmp_path / "test_file.py").write_text(PAGES)
    timings = tmp_path / TIMINGS
    timings.parent.mkdir(parents=True)
    timings.write_text(json.dumps({"test_elsewhere.py::test_a": 3}))
    said = run_tests(tmp_path, ["xdist.plugin", "tests.plugins.order"], "-n", "2", "-v")
    found = re.findall(r"\[(gw\d)\].* PASSED (test_\w+\.py)::", said)
    assert len(found) == 8, said
    assert {worker for worker, file in found if file == "test_browser.py"} == {"gw0", "gw1"}
    assert len({worker for worker, file in found if file == "test_file.py"}) == 1
    assert len(read(timings)) == 9 and read(timings)["test_file.py::test_page[a]"] > 0.1

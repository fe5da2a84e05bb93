"""The project around the book: one list of Pythons, of extras and of versions; style; workflows that name what exists."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

from _literate.source.model import ROOT
from _literate.source.project import read_project

PROJECT = read_project(ROOT)
PYTHONS = [label.split(" :: ")[-1] for label in PROJECT["classifiers"] if re.search(r"Python :: 3\.", label)]
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


# ruff takes a tenth of a second, so its rules are a test: an author meets them before anybody else does.
@pytest.mark.skipif(not find_spec("ruff"), reason="ruff is not installed (requirements.txt)")
def test_style():
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_the_bibliography_can_be_read():
    """A merge can cut an entry open, and then no page is built."""
    entries = re.findall(r"(?m)^@\w+\{(\w+),", text_of("book/references.bib"))
    closed = re.findall(r"(?m)^@\w+\{(\w+),\n(?:  .*\n)+\}$", text_of("book/references.bib"))
    assert sorted(closed) == sorted(set(entries)), set(entries) ^ set(closed)


def test_one_list_of_pythons():
    first, last = PYTHONS[0], PYTHONS[-1]
    assert PROJECT["requires-python"] == f">={first}"
    assert yaml.safe_load(WORKFLOWS["tests.yml"])["jobs"]["test"]["strategy"]["matrix"]["python"] == PYTHONS
    for name in ("README.md", "requirements.txt"):
        assert f"{first} to {last}" in text_of(name), name
    limits = re.findall(r"version_info\[:2\] [<>] \((\d), (\d+)\)", text_of("Makefile"))
    assert [".".join(limit) for limit in limits] == [first, last]
    assert text_of("runtime.txt").strip().removeprefix("python-") in PYTHONS  # Binder reads it


def test_every_extra_is_named_to_readers():
    for extra in PROJECT["optional-dependencies"]:
        assert f"`{extra}`" in text_of("README.md") and f"`{extra}`" in text_of("CONTRIBUTING.md")


def test_the_name_to_install_is_explained():
    for name in ("README.md", "CITATION.cff"):
        assert re.search(r"pip install [\"`]?lowrank-book|`lowrank-book`", text_of(name)), name


def packages(text):
    """Name -> version of each requirement in a file."""
    found = re.findall(r"(?m)^([A-Za-z][\w.-]*)(?:\[[^]]*\])?\s*([=<>~][^#\s]*)?", text)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_exact_versions_of_all_that_is_asked_for():
    pinned = packages(text_of("constraints.txt"))
    extras = [package for packages in PROJECT["optional-dependencies"].values() for package in packages]
    wanted = packages("\n".join([text_of("requirements.txt"), *PROJECT["dependencies"], *extras]))
    assert set(wanted) - set(pinned) == set()
    assert all(re.fullmatch(r"==[\w.]+", version) for version in pinned.values())  # no local builds such as +cpu


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_ask_for_little(name):
    workflow = yaml.safe_load(WORKFLOWS[name])
    assert workflow["permissions"] == {"contents": "read"}
    assert "://" not in WORKFLOWS[name]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", "some/action@" + 40 * "0"))
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
    assert all("# v" in line for line in WORKFLOWS[name].splitlines() if "uses:" in line)


def test_workflows_make_what_the_makefile_makes():
    made = {target for text in WORKFLOWS.values() for target in re.findall(r"run: make ([\w-]+)", text)}
    phony = re.search(r"(?m)^\.PHONY: (.*)$", text_of("Makefile"))[1].split()
    assert made == {"extras", "test", "book"} and made <= set(phony)
    for target in phony:
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert target in ("help", "check", "lab", "pin") or f"make {target}" in text_of("README.md") + text_of("CONTRIBUTING.md")

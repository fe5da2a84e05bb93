"""The package as it is built and installed, without a network: what is in the wheel and in the source distribution, and
that `lowrank` works from an empty folder in which only the wheel was unpacked.

Covered: `python -m build` (the wheel is made from the source distribution), its contents, its metadata, `twine check`,
`pip install` of the wheel, the version, one call, `py.typed`. Not covered: that the dependencies resolve on the package
index; `make` does that, and the workflow below `.github` on three versions of Python.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib.util import find_spec

import pytest

from _literate.source.project import read_project
from tests.literate.built import BOOK, ROOT

PROJECT = read_project(ROOT)
LEFT_BEHIND = (".git", ".venv", ".*_cache", ".hypothesis", "_build", "build", "dist", "*.egg-info", "__pycache__",
               ".ipynb_checkpoints")


def run(*command, cwd):
    """What a command says, in a folder and an environment that know nothing of this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The folder with the wheel and the source distribution, built from a copy."""
    for package in ("build", "setuptools"):
        pytest.importorskip(package, reason=f"{package} is not installed (requirements.txt)")
    folder = tmp_path_factory.mktemp("install")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source", cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(distributions):
    return distributions / f"lowrank_book-{PROJECT['version']}-py3-none-any.whl"


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = [chapter.module for chapter in BOOK.chapters if chapter.exports]
    expected = {f"lowrank/{module}{suffix}" for module in ("__init__", *modules) for suffix in (".py", ".pyi")}
    assert {name for name in names if name.startswith("lowrank/")} == expected | {"lowrank/py.typed"}
    information = f"lowrank_book-{PROJECT['version']}.dist-info/"
    assert all(name.startswith(("lowrank/", information)) for name in names)
    assert f"{information}licenses/LICENSE" in names


def test_the_wheel_says_what_pyproject_says(wheel):
    text = zipfile.ZipFile(wheel).read(f"lowrank_book-{PROJECT['version']}.dist-info/METADATA").decode()
    metadata = Parser().parsestr(text)
    assert (metadata["Name"], metadata["Version"]) == ("lowrank-book", PROJECT["version"])
    assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("MIT", PROJECT["requires-python"])
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(required) == sorted(PROJECT["dependencies"])


def test_the_source_distribution_holds_book_and_tests(distributions):
    archive = distributions / f"lowrank_book-{PROJECT['version']}.tar.gz"
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    here = [path.relative_to(ROOT) for folder in ("book", "tests", "lowrank") for path in (ROOT / folder).rglob("*")]
    sources = {path.as_posix() for path in here if path.suffix in (".py", ".pyi", ".ipynb", ".md", ".bib", ".css", ".js")
               and not {"_build", ".ipynb_checkpoints"} & {*path.parts}}  # fmt: skip
    assert sources - names == set()
    assert {"CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "_config.yml", "_toc.yml", "requirements.txt"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("_build", "book/_build", ".venv"))]


@pytest.mark.skipif(not find_spec("twine"), reason="twine is not installed")
def test_the_package_index_would_take_them(distributions):
    run(sys.executable, "-m", "twine", "check", "--strict", *distributions.iterdir(), cwd=distributions)


PROGRAM = """
import sys
sys.path.insert(0, "target")
import lowrank
import numpy as np
from importlib.metadata import version
from pathlib import Path
assert Path(lowrank.__file__).parent == Path("target/lowrank").resolve(), lowrank.__file__
assert (Path(lowrank.__file__).parent / "py.typed").exists()
result = lowrank.truncated_svd(np.diag([3.0, 2.0, 1e-9]), tol=1e-6)
print(lowrank.__version__, version("lowrank-book"), result.rank)
"""


def test_it_works_where_only_the_wheel_is(wheel, tmp_path):
    install = ("install", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", *install, "--target", tmp_path / "target", wheel, cwd=tmp_path)
    version = PROJECT["version"]
    assert run(sys.executable, "-c", PROGRAM, cwd=tmp_path).split() == [version, version, "2"]

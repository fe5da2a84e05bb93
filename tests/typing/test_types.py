"""The types of `lowrank` accept what users write and refuse their mistakes, and every public name is used.

mypy reads its settings in pyproject.toml; pyright passes on the same files, and is left to the workflow: it takes long.
The uses of an extra stand in `uses_<extra>.py`.
"""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import lowrank
from _literate.source.model import ROOT
from _literate.source.project import missing_extras

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("uses*.py"))


def test_every_public_name_is_used():
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    missing = [name for name in lowrank._HOME if not re.search(rf"\blowrank\.{name}\b", text)]
    assert not missing, f"use {', '.join(missing)} in tests/typing/uses.py, or in uses_<extra>.py beside it"


@pytest.mark.parametrize("file", [file.stem for file in FILES])
def test_the_uses_run(file):
    if (extra := file.partition("_")[2]) in missing_extras(ROOT):
        pytest.skip(f"the extra `{extra}` is not installed")
    uses = {name: use for name, use in vars(import_module(f"tests.typing.{file}")).items() if name.startswith("use_")}
    assert uses
    for use in uses.values():
        use()


@pytest.mark.skipif(not find_spec("mypy"), reason="mypy is not installed (requirements.txt)")
def test_uses_are_accepted_and_mistakes_refused():
    assert mypy() == ""
    assert mypy("-p", "lowrank") == ""                      # the stubs alone, with private modules


def mypy(*arguments):
    """What mypy says with the settings in pyproject.toml: nothing, if all is well."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", Path(sys.prefix, "cache", "mypy")]
    return subprocess.run([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

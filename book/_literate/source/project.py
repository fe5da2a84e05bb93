"""What `pyproject.toml` says about the package."""

import re
import tomllib
from importlib.util import find_spec

from .model import Place, Problem

OTHER_NAMES = {"scikit_learn": "sklearn"}  # packages that are imported under another name than they are installed


def read_project(root):
    """The [project] table; empty when there is none."""
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return {}


def problems(root):
    if "version" not in read_project(root):
        yield Problem(Place("pyproject.toml"), "has no version", "write `version = ...` below [project]")


def dependencies(root):
    """The names under which the required packages are imported."""
    return _imported(read_project(root).get("dependencies", []))


def extras(root):
    """Extra -> the names under which its packages are imported."""
    return {name: _imported(packages) for name, packages in read_project(root).get("optional-dependencies", {}).items()}


def missing_extras(root):
    """The extras of which a package is not installed here."""
    return {name for name, packages in extras(root).items() if not all(map(find_spec, packages))}


def _imported(requirements):
    names = [re.match(r"[\w.-]+", text)[0].replace("-", "_").lower() for text in requirements]
    return {OTHER_NAMES.get(name, name) for name in names}

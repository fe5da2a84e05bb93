"""What `pyproject.toml` says about the package."""

import re
import tomllib

from .model import Place, Problem


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
    return imported(read_project(root).get("dependencies", []))


def imported(requirements):
    """The names under which the packages of some requirements are imported."""
    required = [re.match(r"[\w.-]+", text)[0] for text in requirements]
    return {name.replace("-", "_").lower() for name in required}

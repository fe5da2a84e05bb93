"""Export the tagged cells of the chapters: `export` to lowrank/<chapter>.py, `test` to tests/chapters/.

    python book/_literate export                     write what has changed
    python book/_literate export --check             print what would change, and fail if anything would
    python book/_literate export --remove-orphans    also delete what chapters that are gone have left

Everything is read and checked before the first file is written; one error, and nothing is. Exit status: 0 done,
1 package and book differ (--check), 2 errors in the book.
"""

import argparse
import difflib
import gc
import os
import re
import sys
from pathlib import Path

from ..source.chapters import read_book
from ..source.model import ROOT, Place, Problem
from .generate import API, generate

FOLDERS = ("lowrank", "tests/chapters", API)
SUFFIXES = (".py", ".pyi", ".md")
GENERATED = re.compile(r"[Gg]enerated from .*; edit")  # in the docstring of every generated file


def main(arguments):
    gc.disable()  # a short run that makes many objects and drops few: a quarter of it would be collecting
    parser = argparse.ArgumentParser(prog="export", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; print the differences and fail on any")
    parser.add_argument("--remove-orphans", action="store_true", help="delete files whose chapter is gone")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of _toc.yml")
    options = parser.parse_args(arguments)
    return check(options.root) if options.check else export(options.root, options.remove_orphans)


def export(root=ROOT, remove_orphans=False):
    """Write the package and its tests; the exit status."""
    book = read_book(root)
    leftover = orphans(book, root)
    removed = [path for path in leftover if remove_orphans and is_generated(root / path)]
    problems = [*book.problems, *(orphan_problem(path, root) for path in leftover if path not in removed)]
    if report([problem for problem in problems if not problem.unfinished]):
        return 2
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    changed = changes(book, root)
    for path, text in changed.items():
        write(root / path, text)
        print(f"wrote {path}")
    for path in removed:
        (root / path).unlink()
        print(f"removed {path}")
    print(f"Exported {count(book.chapters, 'chapter')}; {count(changed, 'file')} changed.")
    return 0


def check(root=ROOT):
    """Compare the package and its tests with the book; the exit status."""
    book = read_book(root)
    if report([*book.problems, *(orphan_problem(path, root) for path in orphans(book, root))]):
        return 2
    changed = changes(book, root)
    for path, text in changed.items():
        old, new = (read(root / path) or "").splitlines(keepends=True), text.splitlines(keepends=True)
        print(*difflib.unified_diff(old, new, path, f"{path} (from the book)"), sep="", end="")
    if changed:
        print(f"Package and book differ in {count(changed, 'file')}. Run: make export", file=sys.stderr)
        return 1
    print(f"Package and book agree ({count(book.chapters, 'chapter')}).")
    return 0


def changes(book, root):
    """Path -> text of the generated files that are not on disk as the book wants them."""
    return {path: text for path, text in generate(book, root).items() if text != read(root / path)}


def report(errors):
    """Print the errors, one a line, and what to do next; whether there were any."""
    for error in errors:
        print(error, file=sys.stderr)
    if errors:
        print(f"{count(errors, 'error')}; nothing was written. Correct, save, and run: make export", file=sys.stderr)
    return bool(errors)


def count(items, noun):
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"


# Files


def read(path):
    return path.read_text(encoding="utf-8") if path.exists() else None


def write(path, text):
    """Write a file in one step: a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def orphans(book, root):
    """The files in the generated folders that no chapter accounts for."""
    expected = {f"lowrank/{name}" for name in ("__init__.py", "__init__.pyi", "py.typed")}
    for module in book.order:
        chapter = book.chapter(module)  # one that cannot be read may still export both
        expected |= {f"lowrank/{module}.py", f"lowrank/{module}.pyi"} if not chapter or chapter.exports else set()
        expected |= {f"tests/chapters/test_{module}.py"} if not chapter or chapter.tests else set()
        expected |= {f"{API}/{module}.md"} if not chapter or chapter.public else set()
    files = [file for folder in FOLDERS for file in sorted((root / folder).glob("*")) if file.suffix in SUFFIXES]
    found = [file.relative_to(root).as_posix() for file in files]
    return [path for path in found if path not in expected]


def is_generated(path):
    return bool(GENERATED.search(read(path) or ""))


def orphan_problem(path, root):
    if is_generated(root / path):
        next_step = "run: python book/_literate export --remove-orphans"
        return Problem(Place(path), "no chapter exports this file", next_step)
    return Problem(Place(path), "is not generated, and this folder is", "move it, or make it a chapter")

"""The rules for what a chapter stores and shows: run in order, the same everywhere, and readable for all.

A chapter that is being written breaks them for a while, so they are warnings until the book is checked or built.
"""

import re
from functools import partial

from .model import OUTCOME, Place, Problem

MOST_LINES, MOST_COLUMNS = 30, 99  # of open code in a cell; of code and output that fit the page at 1280 px
MACHINE = re.compile(r"(?<![\w.:/])/(home|Users|root|tmp|work|usr|opt|var|private|mnt)/\w|\b[A-Z]:\\|\b0x[0-9a-f]{6,}")


def problems(chapter):
    """All problems of this kind, cell by cell."""
    for place, message, next_step in (*outcome(chapter), *runs(chapter), *cells(chapter)):
        yield Problem(place, message, next_step, unfinished=True)


def outcome(chapter):
    if not chapter.outcome:
        next_step = f"add a line that begins with `{OUTCOME}` below the opening"
        yield Place(chapter.path), "does not say what a reader will be able to do", next_step


def runs(chapter):
    """Every cell has run, once, from top to bottom: a cell that has not would be compared with nothing."""
    ran = [cell for cell in chapter.cells if cell.kind == "code" and cell.source.strip()]
    for count, cell in enumerate(ran, 1):
        if cell.count != count:
            again = f"run: make run CHAPTER={chapter.module}"
            yield chapter.place(cell), "has not run, or not in its turn", again
            return


def cells(chapter):
    for cell in chapter.cells:
        if cell.kind == "code":
            place = partial(chapter.place, cell)
            for line, message, next_step in (*shape(cell), *habits(chapter, cell), *outputs(cell)):
                yield place(line), message, next_step


def shape(cell):
    """A reader sees short cells, and no line that has to be scrolled."""
    if cell.open_lines > MOST_LINES:
        next_step = "split it where a sentence fits between, or tag it `hide-input` if it is plumbing"
        yield None, f"shows {cell.open_lines} lines of code, more than {MOST_LINES}", next_step
    for number, line in enumerate(cell.source.split("\n"), 1):
        if len(line) > MOST_COLUMNS:
            yield number, f"has {len(line)} columns, more than {MOST_COLUMNS}", "break this line"
    widest = max((len(line) for text in cell.outputs.text for line in text.split("\n")), default=0)
    if widest > MOST_COLUMNS:
        yield None, f"prints a line of {widest} columns, more than {MOST_COLUMNS}", "print shorter lines, and run it"


def habits(chapter, cell):
    if cell.source.rstrip().endswith(";"):
        last = cell.source.rstrip().count("\n") + 1
        yield last, "ends with a semicolon, which hides an output from readers but not from nbval", "write `_ = ...`"
    if "nbval-ignore-output" in cell.tags and (cell.number == 1 or chapter.cells[cell.number - 2].kind != "markdown"):
        yield None, "has an output that is not compared, without a reason", "say why in the text above it"


def outputs(cell):
    stored, settings = cell.outputs, cell.metadata.get("mystnb", {})
    alts = [settings.get(key, {}).get("alt", "").strip() for key in ("image", "figure")]
    if stored.pictures and not any(alts):
        next_step = 'describe it for those who do not see it: `"mystnb": {"image": {"alt": "..."}}` in its metadata'
        yield None, "shows a picture without alternative text", next_step
    if stored.errors and "raises-exception" not in cell.tags:
        yield None, "stores an error", "correct it and run it, or tag it `raises-exception` if the error is the point"
    if stored.warnings:
        yield None, "stores a warning", "remove its cause and run it"
    if found := next(filter(None, map(MACHINE.search, stored.text + stored.tracebacks)), None):
        yield None, f"prints `{found[0]}`, which is another on every machine", "print less, and run it"

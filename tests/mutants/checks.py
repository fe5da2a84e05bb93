"""Faults in the cells that check claims: a check that does not notice them would let a wrong claim pass."""

import ast
import contextlib
import io
import os
import random
import symtable
import sys
import time

import matplotlib.pyplot as plt

from _literate.source.chapters import read_book
from _literate.source.model import ROOT
from _literate.source.proof_rules import digest

from .faults import faults
from .processes import PASSED, attempt
from .slices import reaching

THREADED = ("jax",)  # extras whose threads do not survive a fork: this process imports them, and only its copies compute


def try_chapter(name, most):
    """{label: {"digest", "tried", "noticed", "survivors"}}; the cells of the chapter run once, in this process."""
    chapter = read_book().chapter(name)
    os.chdir((ROOT / chapter.path).parent)
    sys.path.insert(0, str(ROOT))
    found = {label: {"digest": digest(chapter, label), "tried": 0, "noticed": 0, "survivors": []} for label in chapter.checks}
    cells = [cell for cell in chapter.cells if cell.kind == "code" and cell.code]
    space, anew = {"__name__": "__main__"}, chapter.extra in THREADED
    for node in (node for cell in cells if anew for node in cell.tree.body if isinstance(node, ast.Import | ast.ImportFrom)):
        exec(ast.unparse(node), {})
    for number, cell in enumerate(cells):
        run = _after(needed(cell.source, cells[:number])) if anew else lambda code: exec(code, space)
        seconds = _time_of(cell, run) if cell.labels else 0
        for fault in choose(cell, most):
            survives = attempt(lambda fault=fault: run(fault.code), 4 * seconds + 5) == PASSED
            for label in cell.labels:
                found[label]["tried"] += 1
                found[label]["noticed"] += not survives
                found[label]["survivors"] += [f"cell {cell.number}, {fault}"] * survives
        if not anew:
            expected = [Exception] if "raises-exception" in cell.tags else []
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(*expected):
                run(cell.code)
            plt.close("all")
    return found


def _after(cells):
    """A function that runs these cells and then a code."""
    def run(code):
        space = {"__name__": "__main__"}
        for part in (*(cell.code for cell in cells), code):
            exec(part, space)
    return run


def needed(source, earlier):
    """The earlier cells that define what a code uses and does not define, and those that only import and set; no others."""
    used, found = set.difference(*_names(source)), []
    for cell in reversed(earlier):
        takes, makes = _names(cell.source)
        imported = {node.asname or node.name for node in ast.walk(cell.tree) if isinstance(node, ast.alias)}
        if makes & used or makes == imported and not cell.labels:
            found.insert(0, cell)
            used = used - makes | takes - makes
    return found


def _names(source):
    """The global names that a code uses, and those that it defines."""
    tables = [symtable.symtable(source, "cell", "exec")]
    makes = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    for table in tables:
        tables += table.get_children()
    takes = {symbol.get_name() for table in tables for symbol in table.get_symbols() if symbol.is_referenced() and (table is tables[0] or symbol.is_global())}
    return takes, makes


def choose(cell, most):
    """At most so many faults of a cell that checks, drawn from all of them with its label as the seed."""
    if not cell.labels:
        return []
    everything = list(faults(cell.source, reaching(cell.tree)))
    return random.Random(cell.labels[0]).sample(everything, min(most, len(everything)))


def _time_of(cell, run):
    """How long the cell takes as it stands, which must pass where its faults are tried."""
    start = time.perf_counter()
    outcome = attempt(lambda: run(cell.code), 600)
    if outcome != PASSED:
        raise SystemExit(f"cell {cell.number} ({cell.name}) as it stands {outcome}")
    return time.perf_counter() - start

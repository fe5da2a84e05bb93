"""Faults in the cells that check claims: a check that does not notice them would let a wrong claim pass."""

import contextlib
import io
import os
import random
import sys
import time

import matplotlib.pyplot as plt

from _literate.source.chapters import read_book
from _literate.source.model import ROOT
from _literate.source.proof_rules import digest

from .faults import faults
from .processes import PASSED, attempt
from .slices import reaching


def try_chapter(name, most):
    """{label: {"digest", "tried", "noticed", "survivors"}}; the cells of the chapter run once, in this process."""
    chapter = read_book().chapter(name)
    os.chdir((ROOT / chapter.path).parent)
    sys.path.insert(0, str(ROOT))
    found = {label: {"digest": digest(chapter, label), "tried": 0, "noticed": 0, "survivors": []} for label in chapter.checks}
    space = {"__name__": "__main__"}
    for cell in chapter.cells:
        if cell.kind == "code" and cell.code:
            seconds = _time_of(cell, space) if cell.labels else 0
            for fault in choose(cell, most):
                survives = attempt(lambda fault=fault: _execute(fault.code, space), 4 * seconds + 5) == PASSED
                for label in cell.labels:
                    found[label]["tried"] += 1
                    found[label]["noticed"] += not survives
                    found[label]["survivors"] += [f"cell {cell.number}, {fault}"] * survives
            expected = [Exception] if "raises-exception" in cell.tags else []
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(*expected):
                _execute(cell.code, space)
            plt.close("all")
    return found


def choose(cell, most):
    """At most so many faults of a cell that checks, drawn from all of them with its label as the seed."""
    if not cell.labels:
        return []
    everything = list(faults(cell.source, reaching(cell.tree)))
    return random.Random(cell.labels[0]).sample(everything, min(most, len(everything)))


def _execute(code, space):
    exec(code, space)


def _time_of(cell, space):
    """How long the cell takes as it stands, which must pass where its faults are tried."""
    start = time.perf_counter()
    outcome = attempt(lambda: _execute(cell.code, space), 600)
    if outcome != PASSED:
        raise SystemExit(f"cell {cell.number} ({cell.name}) as it stands {outcome}")
    return time.perf_counter() - start

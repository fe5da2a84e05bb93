"""The command: try faults, print the survivors and a table, keep what the ledger of claims shows."""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book"))

from _literate.source.chapters import read_book  # noqa: E402
from _literate.source.model import nearest  # noqa: E402

from . import checks, modules  # noqa: E402

LEDGER = Path(__file__).with_name("checks.json")
MOST = 10
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}  # a fork of many threads can hang


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="all, if none is named")
    parser.add_argument("--checks", action="store_true", help="only faults in the cells that check claims")
    parser.add_argument("--modules", action="store_true", help="only faults in the modules")
    parser.add_argument("--most", type=int, default=MOST, help="faults a cell; a module has more, by its size")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="chapters at the same time")
    options = parser.parse_args(arguments)
    names = [chapter.module for chapter in read_book().chapters]
    for name in options.chapters:
        if name not in names:
            parser.error(f"there is no chapter `{name}`; did you mean `{nearest(name, names)}`?")
    chosen = options.chapters or names
    both = options.checks == options.modules
    if options.checks or both:
        try_checks(chosen, options)
    if options.modules or both:
        try_modules(chosen, options)
    return 0


def try_checks(names, options):
    """Try the check cells of chapters, and keep the figures for the ledger."""
    ledger, table = read_ledger(), []
    for name, found in _each(checks.try_chapter, names, options):
        for label, figures in found.items():
            for survivor in figures.pop("survivors"):
                print(f"{name}: {label}, {survivor}")
            ledger[label] = figures
        table.append((name, sum(item["noticed"] for item in found.values()), sum(item["tried"] for item in found.values())))
        write_ledger(ledger)
    show("checks", table)


def try_modules(names, options):
    table = []
    for name, found in _each(modules.try_module, names, options):
        for survivor in found["survivors"]:
            print(f"lowrank/{name}.py, {survivor}")
        table.append((name, found["noticed"], found["tried"]))
    show("modules", table)


def _each(function, names, options):
    """(name, result) of the chapters, in the order of the book, each in a fresh process."""
    os.environ |= ALONE
    context = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        started = time.monotonic()
        for name, found in zip(names, pool.map(function, names, [options.most] * len(names)), strict=True):
            print(f"==> {name}, after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            yield name, found


def show(what, table):
    """Of how many faults in each chapter how many were noticed."""
    table = [row for row in table if row[2]]
    for name, noticed, tried in [*table, ("all", sum(row[1] for row in table), sum(row[2] for row in table))]:
        if tried:
            print(f"{what:8} {name:18} {noticed:4} of {tried:4} noticed  {100 * noticed // tried:3} %", flush=True)


def read_ledger():
    return json.loads(LEDGER.read_text(encoding="utf-8")) if LEDGER.exists() else {}


def write_ledger(ledger):
    """What the chapters claim today, in the order of the book; what is gone goes."""
    order = [label for chapter in read_book().chapters for label in chapter.checks]
    lines = [f'"{label}": {json.dumps(ledger[label])}' for label in order if label in ledger]
    LEDGER.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

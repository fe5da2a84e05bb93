"""Times `lowrank` beside other libraries, in one run, and prints what was found next to what was promised.

    python tests/benchmarks/run.py [ONLY] [--quick]        (or: make bench ONLY=svd QUICK=1)

On a machine that does other things as well, times drift within seconds; a runner that finishes one function
before it starts the next (pytest-benchmark does) writes that drift into the ratio. So the methods of a cell run
in turn, in a new random order each turn, and a ratio is one of medians over the turns. With one BLAS thread,
which is the default, the clock is the processor's: it does not count the time that other programs took.
The seed is the number of the turn, so that errors are medians over seeds too.
"""

import os

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
for variable in THREADS:                                # before NumPy starts its BLAS
    os.environ.setdefault(variable, "1")

import argparse
import json
import platform
import sys
import time
import tracemalloc
import warnings
from datetime import datetime
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np
import optimizers
import scipy
from matrices import CACHE

import adapters
import companions
import covariances
import low_rank
import lowrank
import matrix_sign
import rotations
import smooth_topk
import structure
from low_rank import LONG, MEMORY

CASES = [*low_rank.CASES, *matrix_sign.CASES, *smooth_topk.CASES, *structure.CASES, *rotations.CASES, *adapters.CASES, *covariances.CASES, *companions.CASES, *optimizers.CASES]
OURS = "lowrank"
TURNS, MORE = 5, 25            # turns for every method; quick ones go on to MORE
BRIEF, LONGEST = 0.3, 5.0      # ... while they took less than BRIEF seconds; none is started again after LONGEST
ONE_THREAD = all(os.environ[variable] == "1" for variable in THREADS)
clock = time.process_time if ONE_THREAD else time.perf_counter


def first_line(error):
    return f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0]


def race(case, name, rank, turns):
    """Run ours and the peers in turn. For each: its times and measures, or the first line of its error."""
    given, methods = case.given(name, rank), {OURS: case.ours, **case.peers}
    found = {label: {"times": [], **{m: [] for m in case.measures}} for label in methods}
    order = np.random.default_rng(0)
    for turn in range(MORE):
        for label in order.permutation(list(methods)).tolist():
            record = found[label]
            if "problem" in record or sum(record["times"]) >= (LONGEST if turn < turns else BRIEF):
                continue
            try:
                start = clock()
                result = methods[label](*given, turn)
                record["times"].append(clock() - start)
                for m, measure in case.measures.items() if turn < turns else ():
                    record[m].append(float(measure(name, rank, result)))
            except ImportError:
                found[label] = {"problem": "not installed"}
            except Exception as error:                  # a peer may fail in any way; the table says how
                found[label] = {"problem": first_line(error)}
    for record in found.values():
        if "problem" not in record:
            record.update(time=median(record["times"]), **{m: median(record[m]) for m in case.measures})
    return found


def judge(target, ours, peers):
    """A target with its value, and whether it was met: None where the peer to compare with is missing."""
    value = ours.get(target.measure)
    reference = peers.get(target.peer, {}).get(target.measure) if target.peer else 1.0
    met = None if reference is None else value is not None and value <= target.limit * reference
    return {**vars(target), "value": value / reference if value is not None and reference else None, "met": met}


def verdict(targets):
    """What became of the targets of a row: "met", or which were missed, or which peers it takes to say."""
    missed = dict.fromkeys(t["measure"] for t in targets if t["met"] is False)
    unknown = dict.fromkeys(t["peer"] for t in targets if t["met"] is None)
    if missed:
        return "MISSED " + ", ".join(missed)
    return "unknown without " + ", ".join(unknown) if unknown else "met" if targets else ""


def number(x):
    return f"{x:.3f}" if 1e-3 <= x < 100 else f"{x:.0e}"


def target_text(t):
    if t["value"] is None:
        return f"{t['measure']}: no result"
    return f"{number(t['value'])} {'<=' if t['met'] else '>'} {t['limit']:.3g}{' ' + t['peer'] if t['peer'] else ''}"


def ratio_text(found, targets):
    """The time ratio that is nearest to its limit; without a target, the one to the fastest peer."""
    timed = [t for t in targets if t["measure"] == "time" and t["value"] is not None]
    if timed:
        return target_text(max(timed, key=lambda t: t["value"] / t["limit"]))
    times = {label: record["time"] for label, record in found.items() if label != OURS and "time" in record}
    if not times or "time" not in found[OURS]:
        return ""
    fastest = min(times, key=times.get)
    return f"{number(found[OURS]['time'] / times[fastest])} {fastest}"


def print_rows(case, rows):
    """One line a row: for each method its time and measures, then ratio and verdict. Below it, what went wrong."""
    def missing(label):
        return all(row["methods"][label].get("problem") == "not installed" for row in rows)

    def figures(record):
        if "problem" in record:
            return "fails".rjust(widths[0]).ljust(full)
        texts = [f"{1e3 * record['time']:.3g}", *(number(record[m]) for m in case.measures)]
        return " ".join(text.rjust(w) for text, w in zip(texts, widths))

    heads = ["ms", *case.measures]
    widths = [max(8, len(head)) for head in heads]
    full = sum(widths) + len(widths) - 1
    shown = [label for label in (OURS, *case.peers) if label == OURS or not missing(label)]
    ratios = [ratio_text(row["methods"], row["targets"]) for row in rows]
    wide = max(map(len, ratios))
    print(f"{'matrix':8} {'rank':>4}", *(label.rjust(full) for label in shown), "ratio".ljust(wide), sep="  ")
    print(" " * 13, *(" ".join(h.rjust(w) for h, w in zip(heads, widths)) for _ in shown), sep="  ")
    for row, ratio in zip(rows, ratios):
        print(f"{row['matrix']:8} {row['rank']:>4}", *(figures(row["methods"][label]) for label in shown),
              ratio.ljust(wide), verdict(row["targets"]), sep="  ")
    for label in (OURS, *case.peers):
        problems = [(row["methods"][label].get("problem"), row) for row in rows]
        for problem, row in dict(reversed([(p, row) for p, row in problems if p])).items():
            where = "" if problem == "not installed" else f" on {row['matrix']} {row['rank']}"
            print(f"  {label}{where}: {problem}")


def means(case, rows):
    """Geometric means over the rows of ours / peer, for the time and every measure."""
    tiny, result = np.finfo(float).eps, {}
    for label in case.peers:
        pairs = [(row["methods"][OURS], row["methods"][label]) for row in rows]
        pairs = [(a, b) for a, b in pairs if "time" in a and "time" in b]
        if pairs:
            result[label] = {m: geometric_mean(max(a[m], tiny) / max(b[m], tiny) for a, b in pairs)
                             for m in ("time", *case.measures)}
    return result


def run_case(case, quick):
    function = case.name.partition(",")[0]
    print(f"\n{case.name}: {case.aim}")
    if not hasattr(lowrank, function):
        print(f"  not there yet: lowrank has no {function}")
        return {"case": case.name, "problem": "not there yet", "rows": [], "overall": []}
    rows = []
    for name, rank in case.cells:
        if quick and any(row["matrix"] == name for row in rows):
            continue
        if sys.stderr.isatty():
            print(f"{name} {rank} ...".ljust(40), end="\r", file=sys.stderr, flush=True)
        found = race(case, name, rank, 3 if quick else TURNS)
        rows.append({"matrix": name, "rank": rank, "methods": found,
                     "targets": [judge(t, found[OURS], found) for t in case.targets(name, rank)]})
    print_rows(case, rows)
    mean = means(case, rows)
    overall = [judge(t, {t.measure: mean.get(t.peer, {}).get(t.measure)}, {t.peer: {t.measure: 1.0}} if mean else {})
               for t in case.overall]
    if mean:
        print("  ours over the peer, geometric means of time:",
              ", ".join(f"{label} {number(values['time'])}" for label, values in mean.items()))
    for t in overall:
        print(f"  ours over the peer, geometric mean of {t['measure']}: {target_text(t)}  {verdict([t])}")
    return {"case": case.name, "rows": rows, "means": mean, "overall": overall}


def run_memory(only, quick):
    """Peaks of what Python and NumPy allocate; pages of a mapped file are the system's."""
    limit, rows = LONG**2 / 1e6, []
    print(f"\nmemory: peak <= {limit:.0f} MB, a {LONG} x {LONG} array of single bytes and a quarter of the mapped file")
    for function, what, make, call in MEMORY:
        if only not in function and only != "memory" or quick and "mapped" in what:
            continue
        row = {"function": function, "input": what, "limit": limit, "met": None}
        if not hasattr(lowrank, function):
            row["problem"] = "not there yet"
        else:
            given = make()
            tracemalloc.start()
            try:
                call(given)
                row["peak"] = tracemalloc.get_traced_memory()[1] / 1e6
            except Exception as error:
                row["problem"] = first_line(error)
            tracemalloc.stop()
            row["met"] = row.get("peak", np.inf) <= limit
        rows.append(row)
        said = row.get("problem") or f"{row['peak']:7.1f} MB  {'met' if row['met'] else 'MISSED'}"
        print(f"  {function:15} {what:38} {said}", flush=True)
    return rows


def simd_level():
    """The last of the instruction sets that NumPy found here and can make use of: sorting and exp depend on it."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return (found.get("found") or found["baseline"])[-1]


def machine():
    """Where this runs, as far as Python knows."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
        cpu = names[0] if names else cpu
    blas = [module.show_config(mode="dicts")["Build Dependencies"]["blas"] for module in (np, scipy)]
    return {"cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "system": platform.platform(), "python": platform.python_version(), "numpy": np.__version__,
            "scipy": scipy.__version__, "lowrank": lowrank.__version__, "simd": simd_level(),
            "blas": [f"{b['name']} {b['version']}" for b in blas], "threads": {v: os.environ[v] for v in THREADS},
            "clock": clock.__name__, "date": datetime.now().isoformat(timespec="seconds")}


def print_machine(m):
    blas = " and ".join(dict.fromkeys(m["blas"]))
    print(f"{m['cpu']}, {m['cores']} cores, load {m['load'] or 0:.1f}, {m['system']}, {m['date']}")
    print(f"Python {m['python']}, NumPy {m['numpy']}, SciPy {m['scipy']}, lowrank {m['lowrank']}; "
          f"{blas}, threads {m['threads']['OPENBLAS_NUM_THREADS']}; SIMD {m['simd']}")
    print(f"ms: medians of {'processor' if ONE_THREAD else 'wall'} time; error: in the Frobenius norm, over the "
          "smallest of that rank; ratio: our time over the peer's")


def summary(cases, memory):
    """How many rows met their targets, and each figure that did not."""
    judged = [(f"{c['case']}, {row['matrix']} {row['rank']}", row["targets"]) for c in cases for row in c["rows"]]
    judged += [(f"{c['case']}, mean over all rows", c["overall"]) for c in cases]
    judged += [(f"memory of {row['function']}, {row['input']}",
                [{"measure": "peak", "peer": None, "limit": row["limit"], "value": row.get("peak"),
                  "met": row["met"]}]) for row in memory if row["met"] is not None]
    said = [verdict(targets) for _, targets in judged]
    print(f"\nrows with targets: {said.count('met')} met, {sum(v.startswith('MISSED') for v in said)} missed, "
          f"{sum(v.startswith('unknown') for v in said)} unknown")
    for where, targets in judged:
        for t in targets:
            if t["met"] is False:
                print(f"  MISSED {t['measure']}, {where}: {target_text(t)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="?", default="", help='part of a case\'s name, or "memory"')
    parser.add_argument("--quick", action="store_true", help="the first rank of each matrix, three turns")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in case.name]
    if not chosen and options.only != "memory":
        parser.error(f"no case is called {options.only!r}; there are: "
                     + "; ".join([case.name for case in CASES] + ["memory"]))

    here = machine()
    print_machine(here)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # what peers warn about concerns their own code
        cases = [run_case(case, options.quick) for case in chosen]
        memory = run_memory(options.only, options.quick)
    summary(cases, memory)
    CACHE.mkdir(exist_ok=True)
    file = CACHE / "results.json"
    file.write_text(json.dumps({"machine": here, "cases": cases, "memory": memory}, indent=1))
    print(f"every figure: {file}")


if __name__ == "__main__":
    main()

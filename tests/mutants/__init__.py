"""Single small faults, in the check cells and in the modules, and whether the checks and the tests notice them.

    python -m tests.mutants svd psd                both kinds, of these chapters; of all without a name
    python -m tests.mutants svd --checks           faults in the cells that check claims
    python -m tests.mutants svd --modules          faults in lowrank/svd.py, against its tests: minutes for a chapter
    python -m tests.mutants svd --most 5           five faults a cell, or five times the root of the number of functions

It prints what nobody noticed, with its line, and a table. A line that ends with `# same: <reason>` is left out: a fault
there would say the same in other words. What the checks notice stands in `checks.json`, from which the ledger reads.
"""

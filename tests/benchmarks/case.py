"""What a case of the benchmarks is: our function, its peers, what is measured of a result, and what is to be reached.

A case is a few lines: the cells (matrix, rank), our function, the peers, and what is measured of a result.
Every method is a function of what the cell gives (unless `given` says otherwise, the matrix and the rank) and
of a seed. Peers are imported when they are called: one that is not installed says so in the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

from matrices import matrix

TEN = (10, 50, 100)
EXACT = 1.0005                                          # an error of 1.000 times the optimum, as it is printed


@dataclass(frozen=True)
class Target:
    """ours / peer <= limit for a measure; without a peer, ours <= limit."""

    measure: str
    limit: float
    peer: str | None = None


@dataclass(frozen=True)
class Case:
    name: str                                           # the function of `lowrank`, ", variant"
    cells: list                                         # pairs (matrix, rank)
    ours: Callable
    peers: dict                                         # name -> callable
    measures: dict                                      # name -> function of (matrix name, rank, result)
    aim: str = "no target is stated"                    # the targets in words
    targets: Callable = lambda name, r: []              # the same for one cell
    overall: list = field(default_factory=list)         # targets for geometric means over all cells
    given: Callable = lambda name, r: (matrix(name), r)


def cells(names, ranks=TEN):
    return list(product(names.split(), ranks))


def within(limit, *peers):
    """Time at most `limit` times that of each peer, which is that of the fastest."""
    return [Target("time", limit, peer) for peer in peers]

"""Best polynomials for functions that oscillate faster than they can: `python -m tests.benchmarks.waves [seed]`.

Sums of up to five sines with frequencies up to 120, degrees 5 to 69: 120 cases, of which it prints those that did not
converge, and the largest distance between level and error. A linear program takes a second, so this takes minutes.
"""

import sys

import numpy as np

from lowrank import remez


def cases(seed, count=120):
    """Functions and degrees."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        k = rng.integers(1, 6)
        size, phase, frequency = rng.standard_normal(k), rng.uniform(0, 2 * np.pi, k), rng.uniform(0, 120, k)
        f = lambda x, a=size, p=phase, w=frequency: np.sin(np.multiply.outer(x, w) + p) @ a
        yield f, int(rng.integers(5, 70))


def main(seed):
    x, gaps, converged = np.cos(np.linspace(0, np.pi, 6001)), [], 0
    for i, (f, degree) in enumerate(cases(seed)):
        r = remez(f, degree)
        size = np.abs(f(x)).max()
        assert np.abs(f(x) - r(x)).max() <= r.max_error + r.roundoff
        gaps.append((r.max_error - r.error) / size)
        converged += r.converged
        if not r.converged:
            print(f"case {i}, degree {degree}: not converged, {gaps[-1]:.0e} of the size of f between the bounds")
    print(f"seed {seed}: {converged} of {len(gaps)} converged, at most {max(gaps):.0e} of the size of f between the bounds")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)

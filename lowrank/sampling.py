"""Drawing k, sorting softly, routing.

The subset law gives every item a probability.

Generated from book/smooth_topk/sampling.ipynb; edit the chapter.
"""

import math

import numpy as np

from lowrank.arguments import as_generator, check_choice
from lowrank.arrays import NUMPY, quiet
from lowrank.topk import (
    checked_slices,
    long_nodes,
    node_weights,
    number_of_nodes,
    power_sums,
    soft_topk,
    split_ends,
)

__all__ = ["sample_topk"]


# %% book/smooth_topk/sampling.ipynb: _number_law
def _number_law(p):
    """Pr(N = j) over its largest value, as a function of j, for independent p; p is changed."""
    mean, M, (w, c) = p.sum(), number_of_nodes(NUMPY, p @ (1 - p)), long_nodes(p, times=3)
    high, middle = split_ends(p, c)
    q, between = 1 - p[high], p[middle]
    p[high] = p[middle] = 0
    parts = (*power_sums(p), len(q), *power_sums(q), between)
    chance = lambda j: node_weights(j, w, c, *parts).real.sum()
    most = max(chance(math.floor(mean)), chance(math.ceil(mean)))
    return lambda j: chance(j) / most if abs(j - mean) <= M else 0.0


def _draw(rng, t, k):
    """The mask of k of the scores t, T = 1, drawn from the subset law; their order is random."""
    n = len(t)
    if k in (0, n):
        return np.full(n, k > 0)
    p = soft_topk(t, k, method="sigmoid")
    half = n // 2 if p @ (1 - p) > 30 else n            # all, until their number is k
    law = _number_law(p[half:].copy()) if half < n else lambda j: float(j == 0)
    while True:
        first = rng.random(half) < p[:half]
        rest = k - np.count_nonzero(first)
        if 0 <= rest <= n - half and rng.random() < law(rest):
            return np.append(first, _draw(rng, t[half:], rest))


# %% book/smooth_topk/sampling.ipynb: sample_topk
def _draw_slice(rng, x, k, T, law):
    """The mask of k of the scores x."""
    chosen, finite = x == math.inf, np.flatnonzero(np.isfinite(x))
    k = int(k) - np.count_nonzero(chosen)
    t = np.maximum((x[finite] - x[finite].max(initial=-math.inf)) / T, -1e300)
    if law == "gumbel":
        first = np.argpartition(-(t + rng.gumbel(size=len(t))), k - 1)[:k] if k else []
    else:
        order = rng.permutation(len(t))
        first = order[_draw(rng, t[order], k)]
    chosen[finite[first]] = True
    return chosen


@quiet
def sample_topk(x, k, *, temperature=1.0, law="subset", axis=-1, rng=None):
    r"""Draw k of the items at random, larger scores more often: a hard top-k with noise.

    Parameters
    ----------
    x : array_like, shape (..., n, ...)
        Scores, NumPy. -inf is never drawn, +inf always. For many draws from the same
        scores broadcast them: ``np.broadcast_to(x, (1000, n))``.
    k : int, or integers with the shape of x without the axis
        How many to draw of each slice.
    temperature : float > 0, default 1.0
        T, in the units of x; for T -> 0 the k largest.
    law : {"subset", "gumbel"}, default "subset"
        "subset": a set S has a probability in proportion to exp(sum of x over S / T), and
        an item is in it with that of ``soft_topk(x, k, method="subset")``. "gumbel": k
        draws without replacement, each in proportion to exp(x / T).
    axis : int, default -1
        The axis along which k are drawn.
    rng : None, int or numpy.random.Generator
        The source of chance.

    Returns
    -------
    array of bool, the shape of x
        True for what is drawn: k in each slice.

    Raises
    ------
    ValueError, TypeError
        As `soft_topk` with method "subset"; an array of another library, an unknown law,
        or an rng that is none.

    Notes
    -----
    O(n) for "gumbel", O(n log n) expected for "subset". Exact but for rounding. Derived in
    :ref:`sampling-race` and :ref:`sampling-halves`: :prf:ref:`gumbel-race`,
    :prf:ref:`halving`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import sample_topk
    >>> x = np.array([3.0, 2.0, -np.inf, 0.0, np.inf])
    >>> sample_topk(x, 4, rng=0).tolist()
    [True, True, False, True, True]
    >>> sample_topk(np.broadcast_to(x, (1000, 5)), 2, rng=0).mean(axis=0).round(1).tolist()
    [0.7, 0.3, 0.0, 0.0, 1.0]
    """
    check_choice(law, "law", ("subset", "gumbel"))
    rng = as_generator(rng)
    S, _ = checked_slices(x, k, temperature, "subset", axis)
    if S.xp is not NUMPY:
        raise TypeError(f"x is a {type(x).__name__}; allowed is an array of NumPy")
    mask = np.zeros(S.X.shape, bool)
    K = np.broadcast_to(S.k, (*mask.shape[:-1], 1))
    for i in np.ndindex(mask.shape[:-1]):
        mask[i] = _draw_slice(rng, S.X[i], K[i][0], S.T, law)
    return np.moveaxis(mask, -1, axis)

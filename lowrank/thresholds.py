r"""One threshold for the k largest.

Given scores $x\in\mathbb{R}^n$, a number $k$ and a temperature $T$, find the $\lambda$ with
$\sum_i F\bigl((x_i-\lambda)/T\bigr)=k$: the indicator of the $k$ largest scores, softened.

Generated from book/smooth_topk/thresholds.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arrays import array_namespace, may_hold
from lowrank.simplex_maps import count_true, mass

__all__ = []


# %% book/smooth_topk/thresholds.ipynb: Slices
class Slices(namedtuple("Slices", "xp X k T method certain allowed")):
    """Scores X in slices along the last axis, how many are to be chosen of each, and how.

    k, certain and allowed end in an axis of length 1; k may be one number for all slices, of shape
    (1,). xp is the array library. The functions below take this as their first argument, S.
    """

    __slots__ = ()

    @property
    def edge(self):
        """Which slices leave no choice: k is the number of certain or of allowed scores."""
        return (self.k <= self.certain) | (self.k >= self.allowed)


# %% book/smooth_topk/thresholds.ipynb: border_scores
def border_scores(S):
    """The ceil(k)-th and the (floor(k) + 1)-th largest of each slice."""
    xp, X = S.xp, S.X
    ordered = xp.sort(X, axis=-1, descending=True, stable=False)
    index = xp.__array_namespace_info__().default_dtypes()["indexing"]
    at = [xp.clip(i, 0, X.shape[-1] - 1) for i in (xp.ceil(S.k) - 1, xp.floor(S.k))]
    places = [xp.broadcast_to(xp.astype(i, index), (*X.shape[:-1], 1)) for i in at]
    return [xp.take_along_axis(ordered, i, axis=-1) for i in places]


# %% book/smooth_topk/thresholds.ipynb: _far
def _far(X):
    """A distance in units of T beyond all that matters, whose sums are finite."""
    return float(array_namespace(X).finfo(X.dtype).max) / 2.0**64


def _in_units(S):
    """(S from a centre in units of T, its border scores there, the centre)."""
    xp, (first, last), far = S.xp, border_scores(S), _far(S.X)
    centre = first if S.method == "expclip" else first / 2 + last / 2
    centre = xp.where(xp.isfinite(centre), centre, 0.0)
    Z, *borders = [xp.clip((A - centre) / S.T, -far, far) for A in (S.X, first, last)]
    return Slices(xp, Z, S.k, 1.0, S.method, S.certain, S.allowed), borders, centre


# %% book/smooth_topk/thresholds.ipynb: _laplace_step
def _laplace_step(S, m, tails):
    """The step to the root for a known split: m scores above, and the logarithms of A and B."""
    xp, k, (a, b) = S.xp, S.k, tails
    c = xp.abs(m - k)
    r = xp.log(c + xp.hypot(c, xp.exp((a + b) / 2)))
    middle = xp.where(a == b, 0.0, (b - a) / 2)     # also where both sums underflow
    return xp.where(m > k, r - a, xp.where(m < k, b - r, middle))


# %% book/smooth_topk/thresholds.ipynb: _tails
def _tails(xp, t, above, half):
    """The logarithms a, b of A and B for scores t from a level; above is 1 for t > 0, else 0."""
    E = xp.exp(half - xp.abs(t))
    upper = above * E
    return xp.log(mass(xp, upper)) - half, xp.log(mass(xp, E - upper)) - half


def _laplace_root(S, borders):
    """lambda with sum F(z - lambda) = k for laplace and scores in units, from the middle, 0."""
    xp, first = S.xp, borders[0]
    half = xp.where(first < 1e6, first, 0.0)
    level, last = xp.zeros_like(S.X[..., :1]), -1.0
    for _ in range(16):                             # from here more than 4 were never needed
        t = S.X - level
        above = xp.astype(t > 0, t.dtype)
        m = mass(xp, above)
        if not may_hold(xp.any(m != last)):
            break
        level, last = level + _laplace_step(S, m, _tails(xp, t, above, half)), m
    return level


# %% book/smooth_topk/thresholds.ipynb: _sigmoid_parts
def _sigmoid_parts(xp, t):
    """min(p, 1 - p) and p (1 - p) for p = 1 / (1 + exp(-t)), both to all digits."""
    e = xp.exp(-xp.abs(t))
    small = e / (1 + e)
    return small, small * (1 - small)


def _sigmoid_root(S, borders):
    """The same for the sigmoid: Newton's method from the laplace root."""
    xp, eps = S.xp, S.xp.finfo(S.X.dtype).eps
    level = _laplace_root(S, borders)
    for _ in range(7):
        t = S.X - level
        above, (small, density) = xp.astype(t > 0, t.dtype), _sigmoid_parts(xp, t)
        excess = mass(xp, above) - S.k + mass(xp, small - 2 * above * small)
        slope = mass(xp, density)
        step = xp.clip(xp.where(slope > 0, excess / slope, 0.0), -1.0, 1.0)
        level = level + step
        if not may_hold(xp.any(xp.abs(step) > 4 * eps * (1 + xp.abs(level)))):
            break
    return level


# %% book/smooth_topk/thresholds.ipynb: _expclip_root
def _expclip_root(S, borders):
    """The same for min(1, e^t), from the first border score, z_(ceil k)."""
    xp, k, first = S.xp, S.k, borders[0]
    level, last = first, -1.0
    for _ in range(40):
        t = S.X - level
        m = count_true(xp, t > 0, t.dtype)
        if not may_hold(xp.any(m != last)):
            break
        b = xp.log(mass(xp, xp.where(t > 0, 0.0, xp.exp(t))))
        level, last = xp.maximum(level + b - xp.log(k - m), first), m
    return level


# %% book/smooth_topk/thresholds.ipynb: _sparse_root
def _sparse_root(S, borders):
    """The same for the ramp, between z_(ceil k) - 1 and z_(floor k + 1)."""
    xp, Z, k, (first, last) = S.xp, S.X, S.k, borders
    low, high = xp.minimum(first - 1, last), xp.maximum(first - 1, last)
    level, eps = (low + high) / 2, xp.finfo(Z.dtype).eps
    for _ in range(60):
        t = Z - level
        inside = (t > 0) & (t < 1)
        excess = mass(xp, xp.clip(t, 0.0, 1.0)) - k
        low, high = xp.where(excess > 0, level, low), xp.where(excess < 0, level, high)
        new = mass(xp, xp.where(inside, Z, 0.0)) + count_true(xp, t >= 1, t.dtype) - k
        new = new / count_true(xp, inside, t.dtype)     # the root of the piece
        new = xp.where((new >= low) & (new <= high), new, (low + high) / 2)
        new = xp.where(xp.abs(excess) <= eps * k, level, new)
        if not may_hold(xp.any(new != level)):
            break
        level = new
    return level


# %% book/smooth_topk/thresholds.ipynb: _outside
def _outside(S, Z):
    """A level above all finite scores Z where none is to be chosen, below them where all are."""
    xp, finite, far = S.xp, S.xp.isfinite(S.X), _far(S.X)
    highest = xp.max(xp.where(finite, Z, -far), axis=-1, keepdims=True)
    lowest = xp.min(xp.where(finite, Z, far), axis=-1, keepdims=True)
    below = lowest - (0 if S.method == "expclip" else 100)
    return xp.where(S.k <= S.certain, highest + 100, below)


# %% book/smooth_topk/thresholds.ipynb: from_threshold
_ROOTS = {"laplace": _laplace_root, "sigmoid": _sigmoid_root,
          "sparse": _sparse_root, "expclip": _expclip_root}


def from_threshold(S):
    """t: the scores from the threshold of their slice, in units of T."""
    xp, edge = S.xp, S.edge
    inner = xp.where(edge, (S.certain + S.allowed) / 2, S.k)
    units, borders, _ = _in_units(S._replace(k=inner))
    level = _ROOTS[S.method](units, borders)
    if may_hold(xp.any(edge)):
        level = xp.where(edge, _outside(S, units.X), level)
    return units.X - level


# %% book/smooth_topk/thresholds.ipynb: curve
def curve(S, t):
    """F(t), small values and small distances from 1 to all digits."""
    xp = S.xp
    if S.method == "sparse":
        return xp.clip(t, 0.0, 1.0)
    if S.method == "expclip":
        return xp.exp(xp.where(t < 0, t, 0.0))
    tail = xp.exp(-xp.abs(t)) / 2 if S.method == "laplace" else _sigmoid_parts(xp, t)[0]
    return xp.abs(xp.astype(t > 0, t.dtype) - tail)             # 1 - tail above, tail below


# %% book/smooth_topk/thresholds.ipynb: blocks
_BLOCK, _LONG = 32_768, 4_096         # scores in a block; from when on slices go alone


def blocks(n):
    """The indices of n entries, in blocks."""
    return [slice(i, i + _BLOCK) for i in range(0, n, _BLOCK)]


# %% book/smooth_topk/thresholds.ipynb: row_blocks
def row_blocks(S, *others):
    """Slices of NumPy, some rows at a time, with views of the same rows of other arrays."""
    n = S.X.shape[-1]
    step = max(1, _BLOCK // n) if n < _LONG else 1
    k = S.k if S.k.shape == S.certain.shape else S.k + 0 * S.certain
    tables = [A.reshape(-1, A.shape[-1]) for A in (S.X, k, S.certain, S.allowed, *others)]
    for i in range(0, len(tables[0]), step):
        X, k, certain, allowed, *rest = (A[i:i + step] for A in tables)
        yield Slices(S.xp, X, k, S.T, S.method, certain, allowed), *rest


def one_slice(S):
    """S as one vector and one number k, if it is a single row with a choice; else None."""
    if len(S.X) > 1:
        return None
    certain, k, allowed = S.certain.item(), S.k.item(), S.allowed.item()
    if not certain < k < allowed:
        return None
    return Slices(S.xp, S.X[0], k, S.T, S.method, certain, allowed)


# %% book/smooth_topk/thresholds.ipynb: _blocks_from
def _blocks_from(S, threshold, out):
    """t, the scores from a threshold in units of T, written into out block by block."""
    centre, level = threshold
    for block in blocks(len(out)):
        t = np.subtract(S.X[block], centre, out=out[block])
        t *= 1 / S.T
        t -= level
        yield t


# %% book/smooth_topk/thresholds.ipynb: _selected
def _selected(S):
    """(centre, level) by selection: between the borders, for the ramp 1/2 below the first."""
    rank = len(S.X) - math.ceil(S.k)
    parts = np.partition(S.X, rank)
    first = parts[rank].item()                      # ceil(k)-th largest; last: (floor(k) + 1)-th
    if S.method in ("sparse", "expclip"):
        return first, -0.5 if S.method == "sparse" else 0.0
    last = first if S.k % 1 else parts[:rank].max().item()
    return first / 2 + last / 2, 0.0


# %% book/smooth_topk/thresholds.ipynb: _sampled
def _sampled(S):
    """(centre, level) of every 64th score, if that is a good guide; else None."""
    sample = S.X[len(S.X) % 64 // 2::64].copy()[None]
    part = np.full((1, 1), S.k * sample.size / len(S.X))
    units, borders, centre = _in_units(S._replace(X=sample, k=part))
    level = _ROOTS[S.method](units, borders)
    d = np.exp(-np.abs(units.X - level))
    return (centre.item(), level.item()) if d.sum()**2 > 64 * np.vdot(d, d) else None


def _start(S):
    """A threshold to begin with."""
    guide = _sampled(S) if len(S.X) >= 8 * _BLOCK and S.method != "expclip" else None
    return guide or _selected(S)


# %% book/smooth_topk/thresholds.ipynb: _block_sums
def _block_sums(S, w, c):
    """(m, A, B) of a block w, the level log c; for the sigmoid m, sum p - m, sum p (1 - p)."""
    above = w > c
    m, above = np.count_nonzero(above), above.astype(float)
    if S.method == "sigmoid":
        small = np.minimum(w, c)
        small /= w + c                              # min(p, 1 - p)
        total = small.sum()
        return m, total - 2 * np.dot(above, small), total - np.dot(small, small)
    A = np.dot(above, c / np.maximum(w, c)) if S.method == "laplace" else 0.0
    return m, A, np.dot(1 - above, w) / c


# %% book/smooth_topk/thresholds.ipynb: _block_step
def _block_step(S, sums):
    """The step to the root for a known split, or Newton's, from the sums of all blocks."""
    m, A, B = sums
    if S.method == "sigmoid":
        return min(max((m - S.k + A) / B, -1.0), 1.0) if B > 0 else 0.0
    a, b, c = math.log(max(A, 5e-324)), math.log(max(B, 5e-324)), abs(m - S.k)
    if S.method == "expclip":
        return b - math.log(c) if m < S.k else math.nan
    r = math.log(max(c + math.hypot(c, math.sqrt(A * B)), 5e-324))
    return r - a if m > S.k else b - r if m < S.k else (b - a) / 2


# %% book/smooth_topk/thresholds.ipynb: _block_values
def _block_values(S, w, c):
    """F written over a block w, for the level log c."""
    if S.method == "sigmoid":
        w /= w + c
    elif S.method == "expclip":
        np.minimum(np.divide(w, c, out=w), 1, out=w)
    else:
        w *= 0.5 / c
        upper = 0.5 - np.minimum(0.25 / w, 0.5)
        np.add(np.minimum(w, 0.5, out=w), upper, out=w)


# %% book/smooth_topk/thresholds.ipynb: _by_exponentials
def _by_exponentials(S, start, W):
    """The threshold for laplace, sigmoid and expclip, and p written into W."""
    for t in _blocks_from(S, start, W):
        np.exp(np.minimum(t, 700, out=t), out=t)    # e^700 is finite, and large enough
    views, moved = [W[block] for block in blocks(len(W))], 0.0
    enough = 1e-5 if S.method == "laplace" else 1e-7
    for _ in range(30):
        c = np.exp(moved)
        sums = map(sum, zip(*(_block_sums(S, w, c) for w in views)))
        step = _block_step(S, map(float, sums))
        moved += step
        if not abs(step) > enough:                  # what is left: its third, or second, power
            break
    for w in views:
        _block_values(S, w, np.exp(moved))
    centre, level = start
    return centre, level + moved


# %% book/smooth_topk/thresholds.ipynb: _by_ramp
def _by_ramp(S, start, out):
    """The threshold for the ramp, if it is within 1/2 of the start, and p written into out."""
    centre, level = start
    lowest = centre + (level - 0.5) * S.T
    Z = (S.X.compress(S.X >= lowest) - centre) * (1 / S.T)
    for _ in range(30):
        t = Z - level
        p = np.minimum(np.maximum(t, 0), 1)
        step = (p.sum() - S.k) / max(np.count_nonzero(p == t), 1)
        level += step
        if not abs(step) > 1e-14:
            break
    for t in _blocks_from(S, (centre, level), out):
        np.minimum(np.maximum(t, 0, out=t), 1, out=t)
    return centre, level


# %% book/smooth_topk/thresholds.ipynb: _long_threshold
def _long_threshold(S, out):
    """The threshold of one slice with a choice, and p in out; None where this way fails."""
    way = _by_ramp if S.method == "sparse" else _by_exponentials
    threshold = way(S, _start(S), out)
    return threshold if abs(out.sum() - S.k) <= 1e-12 * S.k else None


# %% book/smooth_topk/thresholds.ipynb: long_values
def long_values(S, p, t=None):
    """p of one slice with a choice written into p, t into t; whether this way succeeds."""
    threshold = _long_threshold(S, p)
    if threshold is None or t is None:
        return threshold is not None
    for _ in _blocks_from(S, threshold, t):
        pass
    return np.abs(t).min() < 300 and np.isfinite(t).sum() == S.allowed - S.certain

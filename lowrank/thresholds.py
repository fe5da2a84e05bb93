r"""One threshold for the k largest.

Given scores $x\in\mathbb{R}^n$, a number $k$ and a temperature $T$, find the $\lambda$ with
$\sum_i F\bigl((x_i-\lambda)/T\bigr)=k$: the indicator of the $k$ largest scores, softened.

Generated from book/smooth_topk/thresholds.ipynb; edit the chapter.
"""

import math

import numpy as np

from lowrank.arrays import NUMPY, may_hold
from lowrank.simplex_maps import count_true

__all__ = []


# %% book/smooth_topk/thresholds.ipynb: mass
_FAR = 1e300                                         # in units of T; beyond all that matters


def mass(xp, A):
    """Sums along the last axis, kept with length 1."""
    return xp.sum(A, axis=-1, keepdims=True)


def _laplace_step(xp, k, m, a, b):
    """The step to the root for a known split: m above, logarithms a, b of the sums."""
    c = xp.abs(m - k)
    r = xp.log(c + xp.hypot(c, xp.exp((a + b) / 2)))
    middle = xp.where(a == b, 0.0, (b - a) / 2)     # also where both sums underflow
    return xp.where(m > k, r - a, xp.where(m < k, b - r, middle))


def _tails(xp, t, above, half):
    """The logarithms a, b of A and B for scores t from a level; above is 1 for t > 0, else 0."""
    E = xp.exp(half - xp.abs(t))
    upper = above * E
    return xp.log(mass(xp, upper)) - half, xp.log(mass(xp, E - upper)) - half


def _laplace_root(xp, Z, k, half):
    """lambda with sum F(z - lambda) = k for laplace, from 0 in a gap of width 2 half."""
    level, last = xp.zeros_like(Z[..., :1]), -1.0
    for _ in range(16):                             # from here more than 4 were never needed
        t = Z - level
        above = xp.astype(t > 0, t.dtype)
        m = mass(xp, above)
        if not may_hold(xp.any(m != last)):
            break
        level, last = level + _laplace_step(xp, k, m, *_tails(xp, t, above, half)), m
    return level


# %% book/smooth_topk/thresholds.ipynb: sigmoid_parts
def sigmoid_parts(xp, t):
    """min(p, 1 - p) and p (1 - p) for p = 1 / (1 + exp(-t)), both to all digits."""
    e = xp.exp(-xp.abs(t))
    small = e / (1 + e)
    return small, small * (1 - small)


def _sigmoid_root(xp, Z, k, half):
    """The same for the sigmoid: Newton's method from the laplace root."""
    level, eps = _laplace_root(xp, Z, k, half), xp.finfo(Z.dtype).eps
    for _ in range(7):
        t = Z - level
        above, (small, density) = xp.astype(t > 0, t.dtype), sigmoid_parts(xp, t)
        excess = mass(xp, above) - k + mass(xp, small - 2 * above * small)
        slope = mass(xp, density)
        step = xp.clip(xp.where(slope > 0, excess / slope, 0.0), -1.0, 1.0)
        level = level + step
        if not may_hold(xp.any(xp.abs(step) > 4 * eps * (1 + xp.abs(level)))):
            break
    return level


# %% book/smooth_topk/thresholds.ipynb: _expclip_root
def _expclip_root(xp, Z, k):
    """The same for min(1, e^t), from 0 = z_(ceil k)."""
    level, last = xp.zeros_like(Z[..., :1]), -1.0
    for _ in range(40):
        t = Z - level
        m = count_true(xp, t > 0, t.dtype)
        if not may_hold(xp.any(m != last)):
            break
        b = xp.log(mass(xp, xp.where(t > 0, 0.0, xp.exp(t))))
        level, last = xp.clip(level + b - xp.log(k - m), 0.0, None), m
    return level


# %% book/smooth_topk/thresholds.ipynb: _sparse_root
def _sparse_root(xp, Z, k, first, last):
    """The same for the ramp, between first - 1 and last: z_(ceil k) - 1 and z_(floor k + 1)."""
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


# %% book/smooth_topk/thresholds.ipynb: border_scores
METHODS = "laplace", "sparse", "subset", "sigmoid", "expclip"


def border_scores(xp, X, K):
    """The ceil(k)-th and the (floor(k) + 1)-th largest of each slice."""
    S = xp.sort(X, axis=-1, descending=True, stable=False)
    at = [xp.clip(i, 0, X.shape[-1] - 1) for i in (xp.ceil(K) - 1, xp.floor(K))]
    places = [xp.broadcast_to(xp.astype(i, xp.int64), (*X.shape[:-1], 1)) for i in at]
    return [xp.take_along_axis(S, i, axis=-1) for i in places]


def _root(xp, Z, K, method, first, last):
    """The threshold of a method for scores Z in units of T; "subset" has that of "sigmoid"."""
    if method == "sparse":
        return _sparse_root(xp, Z, K, first, last)
    if method == "expclip":
        return _expclip_root(xp, Z, K)
    half = xp.where(first < 1e6, first, 0.0)
    return (_laplace_root if method == "laplace" else _sigmoid_root)(xp, Z, K, half)


def _in_units(xp, X, K, T, method):
    """(Z, first, last, centre): scores and their borders in units of T from a centre."""
    borders = border_scores(xp, X, K)
    centre = borders[0] if method == "expclip" else borders[0] / 2 + borders[1] / 2
    centre = xp.where(xp.isfinite(centre), centre, 0.0)
    return *(xp.clip((A - centre) / T, -_FAR, _FAR) for A in (X, *borders)), centre


def levels(xp, X, K, T, method, certain, allowed):
    """(t, edge): scores from the threshold in units of T; the slices in which k leaves no choice."""
    edge = (K <= certain) | (K >= allowed)
    inner = xp.where(edge, (certain + allowed) / 2, K)
    Z, first, last, _ = _in_units(xp, X, inner, T, method)
    level = _root(xp, Z, inner, method, first, last)
    if may_hold(xp.any(edge)):
        finite = xp.isfinite(X)
        highest = xp.max(xp.where(finite, Z, -_FAR), axis=-1, keepdims=True)
        lowest = xp.min(xp.where(finite, Z, _FAR), axis=-1, keepdims=True)
        below = lowest - (0 if method == "expclip" else 100)
        outside = xp.where(K <= certain, highest + 100, below)
        level = xp.where(edge, outside, level)
    return Z - level, edge


def curve(xp, t, method):
    """F(t), small values and small distances from 1 to all digits."""
    if method == "sparse":
        return xp.clip(t, 0.0, 1.0)
    if method == "expclip":
        return xp.exp(xp.where(t < 0, t, 0.0))
    tail = xp.exp(-xp.abs(t)) / 2 if method == "laplace" else sigmoid_parts(xp, t)[0]
    return xp.abs(xp.astype(t > 0, t.dtype) - tail)             # 1 - tail above, tail below


def densities(xp, t, method):
    """(d, peak): F'(t) = peak * d, with d near 1 somewhere in the slice even if F' underflows."""
    if method == "sparse":
        inside = (t > 0) & (t < 1)
        moving, d = xp.any(inside, axis=-1, keepdims=True), xp.astype(inside, t.dtype)
        if may_hold(xp.any(~moving)):
            d = xp.where(moving, d, _edges(xp, t))
        return d, xp.astype(moving, t.dtype)
    logarithm = -xp.abs(t)
    if method == "expclip":
        logarithm = xp.where(t > 0, -math.inf, logarithm)
    elif method != "laplace":
        logarithm = logarithm - 2 * xp.log1p(xp.exp(logarithm))
    peak = xp.max(logarithm, axis=-1, keepdims=True)
    d = xp.where(logarithm > -math.inf, xp.exp(logarithm - peak), 0.0)
    return d, xp.exp(peak) / (2 if method == "laplace" else 1)


def _edges(xp, t):
    """Where no entry moves: half of a weight for those next above, half for those next below."""
    weights = 0.0
    for mask, side in ((t >= 1, math.inf), (t <= 0, -math.inf)):
        s = xp.abs(xp.where(mask, t, side))
        nearest = xp.min(s, axis=-1, keepdims=True)
        first = xp.astype((s == nearest) & (nearest < math.inf), t.dtype)
        weights = weights + first / xp.clip(mass(xp, first), 1.0, None)
    return weights


# %% book/smooth_topk/thresholds.ipynb: blocks
BLOCK, LONG = 32_768, 4_096           # scores in a block; from when on slices go alone


def _long_start(x, k, T, method):
    """(centre, level): a threshold centre + T level to begin with."""
    if len(x) >= 8 * BLOCK and method != "expclip":
        sample = x[len(x) % 64 // 2::64].copy()[None]
        part = np.full((1, 1), k * sample.size / len(x))
        Z, first, last, centre = _in_units(NUMPY, sample, part, T, method)
        level = _root(NUMPY, Z, part, method, first, last)
        d = np.exp(-np.abs(Z - level))
        if d.sum()**2 > 64 * np.vdot(d, d):         # many scores share the decision: a good guide
            return centre.item(), level.item()
    rank = len(x) - math.ceil(k)
    parts = np.partition(x, rank)
    first = parts[rank].item()                      # ceil(k)-th largest; last: (floor(k) + 1)-th
    if method in ("sparse", "expclip"):
        return first, -0.5 if method == "sparse" else 0.0
    last = first if k % 1 else parts[:rank].max().item()
    return first / 2 + last / 2, 0.0


def blocks(x, centre, T, level, out):
    """Scores from the threshold in units of T, block by block, written into out."""
    for i in range(0, len(x), BLOCK):
        t = np.subtract(x[i:i + BLOCK], centre, out=out[i:i + BLOCK])
        t *= 1 / T
        t -= level
        yield t


def _block_sums(w, c, method):
    """m, A, B of a block w = e^t for the level log c; or m, sum p - m, sum p (1 - p)."""
    above = w > c
    m, above = np.count_nonzero(above), above.astype(float)
    if method == "sigmoid":
        small = np.minimum(w, c)
        small /= w + c                              # min(p, 1 - p)
        total = small.sum()
        return m, total - 2 * np.dot(above, small), total - np.dot(small, small)
    A = np.dot(above, c / np.maximum(w, c)) if method == "laplace" else 0.0
    return m, A, np.dot(1 - above, w) / c


def _block_step(m, A, B, k, method):
    """The step to the root, or nearer to it, for the sums of all blocks."""
    if method == "sigmoid":
        return min(max((m - k + A) / B, -1.0), 1.0) if B > 0 else 0.0
    a, b, c = math.log(max(A, 5e-324)), math.log(max(B, 5e-324)), abs(m - k)
    if method == "expclip":
        return b - math.log(c) if m < k else math.nan
    r = math.log(max(c + math.hypot(c, math.sqrt(A * B)), 5e-324))
    return r - a if m > k else b - r if m < k else (b - a) / 2


def _block_values(w, c, method):
    """F written over a block w = e^t, for the level log c."""
    if method == "sigmoid":
        w /= w + c
    elif method == "expclip":
        np.minimum(np.divide(w, c, out=w), 1, out=w)
    else:                                           # e^t / 2 up to 1/2, then 1 - e^-t / 2
        w *= 0.5 / c
        upper = 0.5 - np.minimum(0.25 / w, 0.5)
        np.add(np.minimum(w, 0.5, out=w), upper, out=w)


def _long_level(W, k, method):
    """The threshold for laplace, sigmoid and expclip, and F written over W = e^t."""
    views = [W[i:i + BLOCK] for i in range(0, len(W), BLOCK)]
    level, enough = 0.0, 1e-5 if method == "laplace" else 1e-7
    for _ in range(30):
        c = np.exp(level)
        sums = map(sum, zip(*(_block_sums(w, c, method) for w in views)))
        step = _block_step(*map(float, sums), k, method)
        level += step
        if not abs(step) > enough:                  # the next is of its third, or second, power
            break
    for w in views:
        _block_values(w, np.exp(level), method)
    return level


def _long_ramp(x, k, T, centre, level):
    """The threshold for the ramp, if within 1/2 of level: Newton's method for those it concerns."""
    Z = (x.compress(x >= centre + (level - 0.5) * T) - centre) * (1 / T)
    for _ in range(30):
        t = Z - level
        p = np.minimum(np.maximum(t, 0), 1)
        step = (p.sum() - k) / max(np.count_nonzero(p == t), 1)
        level += step
        if not abs(step) > 1e-14:
            break
    return level


def long_slice(x, k, T, method, out):
    """(centre, level) for a long slice with a choice, and p in out; None where this way fails."""
    centre, level = _long_start(x, k, T, method)
    if method == "sparse":
        level = _long_ramp(x, k, T, centre, level)
    for t in blocks(x, centre, T, level, out):
        if method == "sparse":
            np.minimum(np.maximum(t, 0, out=t), 1, out=t)
        else:
            np.exp(np.minimum(t, 700, out=t), out=t)
    if method != "sparse":
        level += _long_level(out, k, method)
    return (centre, level) if abs(out.sum() - k) <= 1e-12 * k else None

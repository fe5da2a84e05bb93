r"""One threshold for the k largest.

Given scores $x\in\mathbb{R}^n$, a number $k$ and a temperature $T$, find the $\lambda$ with $\sum_i
F\bigl((x_i-\lambda)/T\bigr)=k$: the indicator of the $k$ largest scores, softened.

Generated from book/smooth_topk/thresholds.ipynb; edit the chapter.
"""

import math

import numpy as np
from array_api_compat import array_namespace

from lowrank.arrays import _known
from lowrank.simplex_maps import _count

__all__ = []


# %% book/smooth_topk/thresholds.ipynb: _NUMPY
_NUMPY = array_namespace(np.empty(0))                # NumPy under the names of the standard


# %% book/smooth_topk/thresholds.ipynb: _mass
_FAR = 1e300                                         # in units of T; beyond all that matters


def _mass(xp, A):
    """Sums along the last axis, kept with length 1."""
    return xp.sum(A, axis=-1, keepdims=True)


def _laplace_step(xp, k, m, a, b):
    """The step to the root, for a known split with m above and the logarithms a, b of the sums."""
    c = xp.abs(m - k)
    r = xp.log(c + xp.hypot(c, xp.exp((a + b) / 2)))
    return xp.where(m > k, r - a, xp.where(m < k, b - r, (b - a) / 2))


def _split(xp, Z, level):
    """(m, a, b): how many are above the level, and the logarithms of the sums A and B."""
    t = Z - level
    above = t > 0
    up = xp.min(xp.where(above, t, _FAR), axis=-1, keepdims=True)
    down = xp.min(xp.where(above, _FAR, -t), axis=-1, keepdims=True)
    e = xp.exp(xp.where(above, up, down) - xp.abs(t))
    a = xp.log(_mass(xp, xp.where(above, e, 0.0))) - up
    b = xp.log(_mass(xp, xp.where(above, 0.0, e))) - down
    return _count(xp, above, Z.dtype), a, b


def _laplace_root(xp, Z, k):
    """lambda with sum F(z - lambda) = k for the laplace curve: guess, split, solve."""
    level, last = xp.zeros_like(Z[..., :1]), -1.0
    for _ in range(16):                             # from here more than 4 were never needed
        m, a, b = _split(xp, Z, level)
        if not _known(xp.any(m != last)):
            break
        level, last = level + _laplace_step(xp, k, m, a, b), m
    return level


# %% book/smooth_topk/thresholds.ipynb: _sigmoid_parts
def _sigmoid_parts(xp, t):
    """min(p, 1 - p) and p (1 - p) for p = 1 / (1 + exp(-t)), both to all digits."""
    e = xp.exp(-xp.abs(t))
    return e / (1 + e), e / (1 + e)**2


def _sigmoid_root(xp, Z, k):
    """The same for the sigmoid: Newton's method from the laplace root."""
    level, eps = _laplace_root(xp, Z, k), xp.finfo(Z.dtype).eps
    for _ in range(7):
        t = Z - level
        above, (small, density) = t > 0, _sigmoid_parts(xp, t)
        excess = _count(xp, above, Z.dtype) - k + _mass(xp, xp.where(above, -small, small))
        slope = _mass(xp, density)
        step = xp.clip(xp.where(slope > 0, excess / slope, 0.0), -1.0, 1.0)
        level = level + step
        if not _known(xp.any(xp.abs(step) > 4 * eps * (1 + xp.abs(level)))):
            break
    return level


# %% book/smooth_topk/thresholds.ipynb: _expclip_root
def _expclip_root(xp, Z, k, first):
    """The same for min(1, e^t), from first = z_(ceil k)."""
    level, last = first, -1.0
    for _ in range(40):
        t = Z - level
        above = t > 0
        m = _count(xp, above, Z.dtype)
        if not _known(xp.any(m != last)):
            break
        b = xp.log(_mass(xp, xp.where(above, 0.0, xp.exp(xp.where(above, 0.0, t)))))
        level, last = xp.maximum(level + b - xp.log(k - m), first), m
    return level


# %% book/smooth_topk/thresholds.ipynb: _sparse_root
def _sparse_root(xp, Z, k, first, last):
    """The same for the ramp, between first - 1 and last, where first = z_(ceil k), last = z_(floor k + 1)."""
    low, high = xp.minimum(first - 1, last), xp.maximum(first - 1, last)
    level, eps = (low + high) / 2, xp.finfo(Z.dtype).eps
    for _ in range(60):
        t = Z - level
        inside = (t > 0) & (t < 1)
        excess = _count(xp, t >= 1, Z.dtype) - k + _mass(xp, xp.where(inside, t, 0.0))
        low, high = xp.where(excess > 0, level, low), xp.where(excess < 0, level, high)
        new = level + excess / _count(xp, inside, Z.dtype)
        new = xp.where((new >= low) & (new <= high), new, (low + high) / 2)
        new, old = xp.where(xp.abs(excess) <= eps, level, new), level
        level = new
        if not _known(xp.any(xp.abs(new - old) > 4 * eps * (1 + xp.abs(new)))):
            break
    return level


# %% book/smooth_topk/thresholds.ipynb: _borders
_METHODS = "laplace", "sparse", "subset", "sigmoid", "expclip"


def _borders(xp, X, K):
    """The ceil(k)-th and the (floor(k) + 1)-th largest of each slice."""
    S = xp.sort(X, axis=-1, descending=True)
    at = [xp.clip(i, 0, X.shape[-1] - 1) for i in (xp.ceil(K) - 1, xp.floor(K))]
    places = [xp.broadcast_to(xp.astype(i, xp.int64), (*X.shape[:-1], 1)) for i in at]
    return [xp.take_along_axis(S, i, axis=-1) for i in places]


def _root(xp, Z, K, method, first, last):
    """The threshold of a method, for scores Z in units of T; "subset" shares that of "sigmoid"."""
    if method == "laplace":
        return _laplace_root(xp, Z, K)
    if method == "sparse":
        return _sparse_root(xp, Z, K, first, last)
    return _expclip_root(xp, Z, K, first) if method == "expclip" else _sigmoid_root(xp, Z, K)


def _levels(xp, X, K, T, method, certain, allowed):
    """(Z, t, edge): scores in units of T, the same from the threshold, and where k leaves no choice."""
    edge = (K <= certain) | (K >= allowed)
    inner = xp.where(edge, (certain + allowed) / 2, K)
    first, last = _borders(xp, X, inner)
    middle = first / 2 + last / 2
    middle = xp.where(xp.isfinite(middle), middle, 0.0)
    in_units = lambda A: xp.clip((A - middle) / T, -_FAR, _FAR)
    Z = in_units(X)
    level = _root(xp, Z, inner, method, in_units(first), in_units(last))
    finite = xp.isfinite(X)
    highest = xp.max(xp.where(finite, Z, -_FAR), axis=-1, keepdims=True)
    lowest = xp.min(xp.where(finite, Z, _FAR), axis=-1, keepdims=True)
    outside = xp.where(K <= certain, highest + 100, lowest - 100)
    return Z, Z - xp.where(edge, outside, level), edge


def _curve(xp, t, method):
    """F(t), small values and small distances from 1 to all digits."""
    if method == "sparse":
        return xp.clip(t, 0.0, 1.0)
    if method == "expclip":
        return xp.exp(xp.where(t < 0, t, 0.0))
    tail = xp.exp(-xp.abs(t)) / 2 if method == "laplace" else _sigmoid_parts(xp, t)[0]
    return xp.where(t > 0, 1 - tail, tail)


def _densities(xp, t, method):
    """(d, peak): F'(t) = peak * d, with d near 1 somewhere in the slice even where F' underflows."""
    if method in ("sparse", "expclip"):
        inside = (t > 0) & (t < 1) if method == "sparse" else t <= 0
        d = xp.astype(inside, t.dtype)
        d = d if method == "sparse" else d * xp.exp(xp.where(inside, t, 0.0))
        moving = _mass(xp, d) > 0
        return xp.where(moving, d, _edges(xp, t)), xp.astype(moving, t.dtype)
    logarithm = -xp.abs(t)
    if method != "laplace":
        logarithm = logarithm - 2 * xp.log1p(xp.exp(logarithm))
    peak = xp.max(logarithm, axis=-1, keepdims=True)
    return xp.exp(logarithm - peak), xp.exp(peak) / (2 if method == "laplace" else 1)


def _edges(xp, t):
    """Where no entry moves: half of a weight for those next above, half for those next below."""
    sides = []
    for s, mask in ((t, t > 0), (-t, t <= 0)):
        nearest = xp.where(mask, s, math.inf)
        first = mask & (nearest == xp.min(nearest, axis=-1, keepdims=True)) & (s < _FAR / 2)
        sides.append(xp.astype(first, t.dtype) / xp.clip(_count(xp, first, t.dtype), 1.0, None))
    return sides[0] + sides[1]


# %% book/smooth_topk/thresholds.ipynb: _block_sums
_BLOCK, _LONG = 32_768, 4_096                       # scores in a block; a slice is long from here on


def _block_sums(t, method):
    """What a step needs to know of a block t of scores from the threshold; t is overwritten."""
    if method == "sparse":
        inside = np.count_nonzero((t > 0) & (t < 1))
        return np.array([np.clip(t, 0, 1, out=t).sum(), inside])
    above = (t > 0).astype(np.float64)
    np.exp(np.negative(np.abs(t, out=t), out=t), out=t)
    if method == "laplace":
        total, upper = t.sum(), np.dot(above, t)
        return np.array([above.sum(), upper, max(total - upper, 0.0)])
    d = t + 1
    t /= d                                          # min(p, 1 - p)
    total, upper = t.sum(), np.dot(above, t)
    return np.array([above.sum() + total - 2 * upper, np.dot(t, np.divide(1, d, out=d))])


def _block_step(sums, k, method):
    """The step towards the root from the sums of all blocks."""
    if method != "laplace":
        return (sums[0] - k) / sums[1]
    m, A, B = map(float, sums)
    c, a, b = abs(m - k), math.log(A or 5e-324), math.log(B or 5e-324)
    r = math.log(c + math.hypot(c, math.sqrt(A * B)) or 5e-324)
    return r - a if m > k else b - r if m < k else (b - a) / 2


def _fill_block(t, method):
    """F(t), written over t."""
    if method == "sparse":
        return np.clip(t, 0, 1, out=t)
    above = t > 0
    np.exp(np.negative(np.abs(t, out=t), out=t), out=t)
    np.divide(t, 2 if method == "laplace" else t + 1, out=t)
    return np.abs(np.subtract(above, t, out=t), out=t)          # 1 - t above, t below


def _long_start(x, k, T, method):
    """(middle, level): a first threshold, middle + T level; from a sample, or by selection."""
    n = len(x)
    if n < 8 * _BLOCK or method == "sparse" and min(k, n - k) < 1024:
        rank = n - math.ceil(k)
        parts = np.partition(x, rank)
        following = parts[rank] if k % 1 or not rank else parts[:rank].max()
        return float(parts[rank] / 2 + following / 2), -0.5 if method == "sparse" else 0.0
    sample = x[n % 64 // 2::64][None]
    part = np.array([[k * sample.size / n]])
    first, last = _borders(_NUMPY, sample, part)
    middle = float(first[0, 0] / 2 + last[0, 0] / 2)
    units = lambda A: np.clip((A - middle) / T, -_FAR, _FAR)
    return middle, _root(_NUMPY, units(sample), part, method, units(first), units(last)).item()


def _long_root(block, starts, k, level, method):
    """The root from a start: block(i, level) holds t. None where a step leaves the neighbourhood."""
    n, farthest = starts.stop, math.inf if method == "laplace" else 2
    enough = 1e-7 / math.sqrt(n) if method == "sparse" else 1e-6    # what is left is of second order
    for _ in range(20):
        sums = sum(_block_sums(block(i, level), method) for i in starts)
        step = _block_step(sums, k, method)
        if not abs(step) <= farthest:
            return None
        level += step
        if abs(step) < enough:
            break
    return level


def _long_slice(x, k, T, method, out=None):
    """(p, middle, level) for a long slice of finite scores, k inside; None where this way fails."""
    middle, start = _long_start(x, k, T, method)
    out = np.empty(len(x)) if out is None else out
    starts = range(0, len(x), _BLOCK)

    def block(i, level):
        t = np.subtract(x[i:i + _BLOCK], middle, out=out[i:i + _BLOCK])
        if T != 1:
            t *= 1 / T
        t -= level
        return t

    level = _long_root(block, starts, k, start, method)
    if level is None and method == "sigmoid":
        level = _long_root(block, starts, k, start, "laplace")
        level = level if level is None else _long_root(block, starts, k, level, method)
    if level is None:
        return None
    total = sum(_fill_block(block(i, level), method).sum() for i in starts)
    return (out, middle, level) if abs(total - k) <= 1e-12 * k else None

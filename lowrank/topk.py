r"""Smooth top-k.

The indicator of the $k$ largest scores is the gradient of their sum; replace the maximum over
subsets by a log-sum-exp, $\nabla\,T\log\sum_{|S|=k}e^{x(S)/T}$, or keep one threshold, and it
becomes a function through which a network can learn what to choose.

Generated from book/smooth_topk/topk.ipynb; edit the chapter.
"""

import math
from functools import reduce
from itertools import starmap, takewhile
from operator import add

import numpy as np
from array_api_compat import is_jax_array

from lowrank.arguments import check_choice, check_number
from lowrank.arrays import NUMPY, array_namespace, compiling, may_hold, quiet, safe_divisor
from lowrank.derivatives import Rule, attached, converted, fitted, summed
from lowrank.simplex_maps import as_divisor, as_slices, check_room, check_temperature, mass
from lowrank.thresholds import (
    Slices,
    blocks,
    border_scores,
    curve,
    from_threshold,
    long_values,
    one_slice,
    row_blocks,
)

__all__ = ["soft_topk", "soft_topk_vjp", "soft_topk_jvp", "topk_temperature"]


# %% book/smooth_topk/topk.ipynb: _mean_field
def _mean_field(xp, t):
    """(p, 1 - p) of the sigmoid for scores t from the threshold, both to all digits."""
    e = xp.exp(-xp.abs(t))
    small, large = e / (1 + e), 1 / (1 + e)
    return xp.where(t > 0, large, small), xp.where(t > 0, small, large)


# %% book/smooth_topk/topk.ipynb: _turned
def _turned(node, like):
    """The nodes in turn, up to the first that is None; in a graph arrays with an axis for them."""
    turns = range(29), [1.0] + 28 * [2.0]           # those above 0 stand for their conjugates too
    if compiling():                                 # PyTorch: all at once, in a few kernels
        xp = array_namespace(like)
        first = lambda values: xp.reshape(xp.asarray(values, dtype=like.dtype, device=like.device),
                                          (-1, *like.ndim * (1,)))
        return node(*map(first, map(list, turns)))
    if is_jax_array(like):
        import jax
        return jax.lax.map(lambda turn: node(*turn), tuple(map(jax.numpy.asarray, turns)))
    return list(takewhile(lambda found: found is not None, starmap(node, zip(*turns))))


def _means(terms, nodes):
    """The means of several terms over the nodes; the real parts of the weights add up."""
    weighted = lambda node: (node[0], *terms(*node))
    added = lambda sums, node: tuple(map(add, sums, weighted(node)))
    if isinstance(nodes, list):
        total, *sums = reduce(added, nodes[1:], weighted(nodes[0]))
    elif not is_jax_array(nodes[0]):
        xp = array_namespace(nodes[0])
        total, *sums = (xp.sum(A, axis=0) for A in weighted(nodes))
    else:
        import jax
        first, others = ([A[part] for A in nodes] for part in (0, slice(1, None)))
        step = lambda sums, node: (added(sums, node), None)
        (total, *sums), _ = jax.lax.scan(step, weighted(first), others)
    return [A / total for A in sums]


# %% book/smooth_topk/topk.ipynb: number_of_nodes
def number_of_nodes(xp, s2):
    """M, odd, and enough for sixteen digits."""
    return 2 * xp.ceil((12.5 + xp.sqrt(180 + 80 * s2)) / 2) + 1


def _circle(S, items):
    """For each node w: real and imaginary part of its weight, 1 - cos w, sin w, as (..., 1)."""
    xp = S.xp
    total = lambda f: sum(mass(xp, f(p, q)) for p, q in items)
    s2, rest = total(lambda p, q: p * q), total(lambda p, q: p) - S.k
    M = number_of_nodes(xp, s2)

    def node(j, times):
        w = 2 * math.pi * j / M
        h, sine = 2 * xp.sin(w / 2)**2, xp.sin(w)
        used = (2 * j < M) & (s2 * h < 41)
        if not may_hold(xp.any(used)):
            return None
        modulus = xp.exp(total(lambda p, q: xp.log1p(-2 * h * p * q)) / 2)
        phase = total(lambda p, q: xp.atan2(p * sine, 1 - p * h) - p * w) + w * rest
        size = xp.where(used, times * modulus, 0.0)
        return size * xp.cos(phase), size * xp.sin(phase), h, sine

    return _turned(node, S.X)


# %% book/smooth_topk/topk.ipynb: _marginals
def _marginals(xp, item, nodes):
    """The probabilities of inclusion, a mean over the nodes of the circle."""
    p, q = item
    rho = lambda re, im, h, sine: [(re * (1 - q * h) - im * q * sine) / (1 - 2 * h * p * q)]
    mean, = _means(rho, nodes)
    return xp.clip(xp.where(q > 0, p * mean, 1.0), 0.0, 1.0)


# %% book/smooth_topk/topk.ipynb: _rho
def _rho(item, h, sine):
    """Real and imaginary part of rho at a node."""
    p, q = item
    D = 1 - 2 * h * p * q
    return p * (1 - q * h) / D, p * q * sine / D


def _covariance_times(S, item, v):
    """Cov(1_i, 1_j) of the subset law times v."""
    xp, (p, q), nodes = S.xp, item, _circle(S, [item])
    v = v - mass(xp, p * q * v) / safe_divisor(mass(xp, p * q))     # Cov 1 = 0: less to cancel

    def pairs(re, im, h, sine):
        rho_re, rho_im = _rho(item, h, sine)
        sum_re, sum_im = mass(xp, rho_re * v), mass(xp, rho_im * v)
        rest_re, rest_im = sum_re - rho_re * v, sum_im - rho_im * v
        result = re * (rho_re * rest_re - rho_im * rest_im)
        return result - im * (rho_re * rest_im + rho_im * rest_re), re * sum_re - im * sum_im

    result, mean = _means(pairs, nodes)                             # mean: <p, v>
    result = result + _marginals(xp, item, nodes) * (v - mean)
    return xp.where(p * q > 0, result, 0.0)                 # what is certain has no covariance


# %% book/smooth_topk/topk.ipynb: _powers
def _powers(p):
    """Blocks, each with the powers (p, p^2, p^3, p^4) and (1, p^4, p^8, p^12) of p as rows."""
    low, high = np.empty((4, 8192)), np.ones((4, 8192))
    for i in range(0, len(p), 8192):
        block = slice(i, min(i + 8192, len(p)))
        a, b = low[:, :block.stop - i], high[:, :block.stop - i]
        a[0] = p[block]
        np.multiply(a[0], a[0], out=a[1])
        np.multiply(a[1], a[0], out=a[2])
        np.multiply(a[1], a[1], out=b[1])
        a[3] = b[1]
        np.multiply(b[1], b[1], out=b[2])
        np.multiply(b[2], b[1], out=b[3])
        yield block, a, b


# %% book/smooth_topk/topk.ipynb: power_sums
def power_sums(p, *vectors):
    """Rows of the sums of p^r, and of p^r v for the vectors v, r = 1, ..., 16."""
    sums = np.zeros((1 + len(vectors), 4, 4))
    for block, low, high in _powers(p):
        sums[0] += high @ low.T
        for total, v in zip(sums[1:], vectors):
            total += high @ (low * v[block]).T
    return sums.reshape(-1, 16)


def _polynomials(p, *coefficients):
    """Blocks, each with the values of sum_r c_r p^r for the given c."""
    tables = np.reshape(coefficients, (-1, 4, 4))
    for block, low, high in _powers(p):
        rows = tables @ low
        values = rows[:, 3]
        for j in (2, 1, 0):                             # Horner's rule in p^4
            values *= high[1]
            values += rows[:, j]
        yield block, values


# %% book/smooth_topk/topk.ipynb: long_nodes
def long_nodes(p, times=1):
    """The angles w of the nodes for a long slice, or of 3 or 5 times as many, and e^(iw) - 1."""
    s2 = p.sum() - np.dot(p, p)
    M = times * int(number_of_nodes(NUMPY, s2))
    w = 2 * math.pi / M * np.arange(min(29 * times, (M + 1) // 2))
    h = 2 * np.sin(w / 2)**2
    used = s2 * h < 41
    return w[used], -h[used] + 1j * np.sin(w[used])


# %% book/smooth_topk/topk.ipynb: split_ends
_R = np.arange(1, 17)


def split_ends(p, c):
    """The places of those p that are near 1 for the series, and of those that are between."""
    small = min(0.1 / np.abs(c).max(), 0.5)
    places = np.flatnonzero(p > small)
    near = p[places] > 1 - small
    return places[near], places[~near]


def _log_series(w, c, sums):
    """The sums of log(1 + c p) - i w p at the nodes, from the sums of p^r."""
    powers = c**_R[:, None]
    powers[0] -= 1j * w
    return ((-1.0)**(_R + 1) / _R * sums) @ powers


def _rho_series(c):
    """rho at the nodes: the coefficients of p^r."""
    return (1 + c) * (-c)**(_R[:, None] - 1)


# %% book/smooth_topk/topk.ipynb: node_weights
def node_weights(k, w, c, low, near_one, high, middle):
    """phi e^(-i w k) at the nodes.

    low and high are the sums of p^r of what is small, and of (1 - p)^r of what is near 1, of
    which there are `near_one`; middle are the p between.
    """
    between = np.log(1 + c[:, None] * middle) - 1j * w[:, None] * middle
    off = low[0] - high[0] + middle.sum() + (near_one - k)      # the mean, minus k
    weights = np.exp(_log_series(w, c, low) + _log_series(w, c, high).conj()
                     + between.sum(axis=1) + 1j * w * off)
    weights[1:] *= 2                                            # and its conjugate
    return weights


# %% book/smooth_topk/topk.ipynb: _long_marginals
def _long_marginals(S, p):
    """The marginals, written over the mean field p of a long slice."""
    w, c = long_nodes(p)
    high, middle = split_ends(p, c)
    q, between, rho = 1 - p[high], p[middle], _rho_series(c)
    p[high] = p[middle] = 0
    weights = node_weights(S.k, w, c, *power_sums(p), len(q), *power_sums(q), between)
    weights /= weights.real.sum()
    for ends, series in ((p, rho), (q, rho.conj())):
        for block, (values,) in _polynomials(ends, (series @ weights).real):
            ends[block] = values
    p[high] = 1 - q
    p[middle] = between * (((1 + c) / (1 + between[:, None] * c)) @ weights).real


# %% book/smooth_topk/topk.ipynb: _long_covariance_times
def _long_covariance_times(S, t, v):
    """Cov(1_i, 1_j) of the subset law times v, for a long slice with scores t."""
    p = np.empty_like(t)
    for block in blocks(len(t)):
        p[block], _ = _mean_field(NUMPY, t[block])
    v = v - (np.dot(p, v) - np.dot(p, p * v)) / safe_divisor(p.sum() - np.dot(p, p))
    w, c = long_nodes(p)
    high, middle = split_ends(p, c)
    (_, q), between, rho = _mean_field(NUMPY, t[high]), p[middle, None], _rho_series(c)
    v_high, v_between = v[high], v[middle]
    p[high] = p[middle] = 0
    (low, moments), (near, moments_near) = power_sums(p, v), power_sums(q, v_high)
    weights = node_weights(S.k, w, c, low, len(q), near, between[:, 0])
    weights /= weights.real.sum()
    rho_between = between * (1 + c) / (1 + between * c)
    V = moments @ rho - moments_near @ rho.conj() + v_between @ rho_between     # and a constant
    mean, squares = (weights @ V).real, (1 + c) * (_R[:, None] - 1) * np.roll(rho, 1, axis=0)

    for ends, u, series, squares, sign in ((p, v, rho, squares, 1),
                                           (q, v_high, rho.conj(), squares.conj(), -1)):
        once, with_V = (series @ weights).real, (series @ (weights * V)).real
        for block, (a, b) in _polynomials(ends, once - (squares @ weights).real,
                                          sign * (with_V - mean * once)):
            u[block] = a * u[block] + b
    v[high] = v_high
    v[middle] = ((rho_between - rho_between**2) @ weights * v_between
                 + rho_between @ (weights * (V - mean))).real
    return v


# %% book/smooth_topk/topk.ipynb: checked_slices
_METHODS = "laplace", "sparse", "subset", "sigmoid", "expclip"


def _check_k(xp, X, k, method):
    """k as numbers that fit the slices of X, with a last axis of length 1."""
    n, shape = X.shape[-1], tuple(X.shape[:-1])
    kind = "integers" if method == "subset" else "numbers"
    allowed = lambda: f"{kind} from 0 to {n}, one or an array of shape {shape}"
    try:
        K = {} if k is None or isinstance(k, (str, bytes)) else k
        K = converted(K, X)
    except (TypeError, ValueError, OverflowError) as error:
        wrong = ValueError if isinstance(error, OverflowError) else TypeError
        raise wrong(f"k is {k!r}; allowed are {allowed()}") from None
    if K.ndim and tuple(K.shape) != shape:
        raise ValueError(f"k has shape {tuple(K.shape)}; allowed are {allowed()}")
    right = (K >= 0) & (K <= n)
    if method == "subset":
        right = right & (xp.floor(K) == K)
    if not may_hold(xp.all(right) if K.ndim else right):
        raise ValueError(f"k is {k!r}; allowed are {allowed()}")
    return K[..., None]


def checked_slices(x, k, temperature, method, axis, **others):
    """(S, back, others...): the arguments, checked; back undoes what was done to x."""
    check_choice(method, "method", _METHODS)
    T = check_temperature(temperature)
    xp, back, finite, X, *rest = as_slices(x, axis, **others)
    K = _check_k(xp, X, k, method)
    room = check_room(xp, X, K, finite)
    return Slices(xp, X, K, as_divisor(T, X), method, *room), back, *rest


# %% book/smooth_topk/topk.ipynb: _threshold_form
def _threshold_form(S):
    """S itself; for the subset law its mean field, the sigmoid."""
    return S._replace(method="sigmoid") if S.method == "subset" else S


def _general_values(S):
    """(p, t) for arrays of any library; t are the scores from the threshold."""
    xp, t = S.xp, from_threshold(_threshold_form(S))
    if S.method == "subset":
        item = _mean_field(xp, t)
        P = _marginals(xp, item, _circle(S, [item]))
    else:
        P = curve(S, t)
    ends = (S.X == math.inf) | ((S.X > -math.inf) & (S.k >= S.allowed))
    ends = xp.where((S.certain > S.k) | (S.allowed < S.k), math.nan, xp.astype(ends, P.dtype))
    return xp.where(S.edge, ends, P), t


# %% book/smooth_topk/topk.ipynb: _long_values
def _long_values(S, p, t=None):
    """The same for one slice of NumPy with a choice, written into p and t; whether it succeeds."""
    if S.method != "subset":
        return long_values(S, p, t)
    if not long_values(_threshold_form(S), p, t):
        return False
    _long_marginals(S, p)
    np.minimum(np.maximum(p, 0, out=p), 1, out=p)                   # rounding
    return abs(p.sum() - S.k) <= 1e-12 * S.k


def _numpy_values(S, *, scores=False):
    """(p,) for NumPy, or (p, t) with the scores from the threshold."""
    found = [np.empty(S.X.shape) for _ in range(1 + scores)]
    for rows, *outs in row_blocks(S, *found):
        one = one_slice(rows)
        if one is None or not _long_values(one, *(out[0] for out in outs)):
            for out, A in zip(outs, _general_values(rows)):
                out[...] = A
    return tuple(found)


# %% book/smooth_topk/topk.ipynb: soft_topk
@quiet
def soft_topk(x, k, *, temperature=1.0, method="laplace", axis=-1):
    r"""Soften the indicator of the k largest: p in [0, 1]^n with sum k, hard for T -> 0.

    Parameters
    ----------
    x : array, shape (..., n, ...)
        Scores, of any array library. -inf is a mask and gets 0, +inf is chosen
        for certain and gets 1.
    k : float, or array with the shape of x without the axis
        How many to choose, 0 <= k <= n; integer for "subset".
    temperature : float > 0, default 1.0
        T, in the units of x; see `topk_temperature`.
    method : {"laplace", "sparse", "subset", "sigmoid", "expclip"}, default "laplace"
        "laplace", "sparse", "sigmoid", "expclip": p_i = F((x_i - lambda) / T) for
        the curve F of that name. "sparse" is the projection of x / T on the
        p in [0, 1]^n with sum k, with exact zeros and ones. "subset": the probability
        that i is in a random k-subset S with weight exp(sum of x over S / T).
    axis : int, default -1
        The axis along which k are chosen.

    Returns
    -------
    array, the shape and floating dtype of x
        Computed in double precision and rounded once; exact zeros and ones for
        k = 0 and k = n. Integers give float64 in NumPy, and the default of
        their library elsewhere.

    Raises
    ------
    ValueError
        NaN, k or temperature out of range, masks that leave no p, an unknown
        method, an axis out of range.
    TypeError
        Complex scores, or arguments that are no numbers.

    Notes
    -----
    All methods keep order and shift and tend to k / n for T -> inf. "sigmoid" and
    "subset" are smooth, "laplace" once differentiable, the others continuous.
    O(n log n) for one sort; single or long NumPy slices in O(n), without one. Derived in
    :ref:`thresholds-laplace` to :ref:`thresholds-sparse` and :ref:`topk-tilt`:
    :prf:ref:`laplace-root`, :prf:ref:`sigmoid-bracket`, :prf:ref:`expclip-root`,
    :prf:ref:`sparse-bracket`, :prf:ref:`circle-quadrature`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import soft_topk
    >>> x = np.array([2.0, -1.0, 1.0, 0.0])
    >>> soft_topk(x, 2).round(3).tolist()
    [0.888, 0.112, 0.697, 0.303]
    >>> soft_topk(x, 2, temperature=0.5, method="sparse").tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    S, back = checked_slices(x, k, temperature, method, axis)
    if 0 in S.X.shape:
        return back(S.X)
    return back((_numpy_values if S.xp is NUMPY else _with_derivative)(S)[0])


# %% book/smooth_topk/topk.ipynb: _densities
def _densities(S, t):
    """(d, peak): F'(t) = peak * d, with d near 1 somewhere in the slice even if F' underflows."""
    xp = S.xp
    if S.method == "sparse":
        inside = (t > 0) & (t < 1)
        moving, d = xp.any(inside, axis=-1, keepdims=True), xp.astype(inside, t.dtype)
        if may_hold(xp.any(~moving)):
            d = xp.where(moving, d, _next_to_move(xp, t))
        return d, xp.astype(moving, t.dtype)
    logarithm = -xp.abs(t)
    if S.method == "expclip":
        logarithm = xp.where(t > 0, -math.inf, logarithm)
    elif S.method == "sigmoid":
        logarithm = logarithm - 2 * xp.log1p(xp.exp(logarithm))
    peak = xp.max(logarithm, axis=-1, keepdims=True)
    d = xp.where(logarithm > -math.inf, xp.exp(logarithm - peak), 0.0)
    return d, xp.exp(peak) / (2 if S.method == "laplace" else 1)


def _next_to_move(xp, t):
    """For the ramp, half of a weight for those next above, half for those next below."""
    weights = 0.0
    for mask, side in ((t >= 1, math.inf), (t <= 0, -math.inf)):
        s = xp.abs(xp.where(mask, t, side))
        nearest = xp.min(s, axis=-1, keepdims=True)
        first = xp.astype((s == nearest) & (nearest < math.inf), t.dtype)
        weights = weights + first / xp.clip(mass(xp, first), 1.0, None)
    return weights


# %% book/smooth_topk/topk.ipynb: _products
def _products(S, t, V):
    """(T J V, dp/dk times V) for scores t from the threshold; the second is what J subtracts."""
    if S.method == "subset":
        return _subset_product(S, t, V), None
    xp, (d, peak) = S.xp, _densities(S, t)
    mean = mass(xp, d * V) / safe_divisor(mass(xp, d))
    return (V - mean) * d * peak, mean


def _subset_product(S, t, V):
    """T J V for the subset law."""
    xp, n = S.xp, S.X.shape[-1]
    if xp is NUMPY and t.ndim == 1:
        return _long_covariance_times(S, t, V)
    many = 2 * S.k > n                              # those left out have the same covariance
    S, t = S._replace(k=xp.where(many, n - S.k, S.k)), xp.where(many, -t, t)
    return _covariance_times(S, _mean_field(xp, t), V)


# %% book/smooth_topk/topk.ipynb: _weights
def _weights(S, t):
    """(w, s): dp/dk, and the sum of the densities, for scores t from the threshold."""
    xp, (d, peak) = S.xp, _densities(_threshold_form(S), t)
    total = mass(xp, d)
    return d / safe_divisor(total), total * peak


def _level_products(S, t, V):
    """(T (dt/dx)^T V, (dt/dk)^T V): the same for t itself; 0 for k where s underflows."""
    w, s = _weights(S, t)
    total = mass(S.xp, V)
    by_k = None if S.method == "subset" else S.xp.where(s > 0, total / safe_divisor(s), 0.0)
    return V - w * total, by_k


# %% book/smooth_topk/topk.ipynb: _slice_gradients
def _slice_gradients(S, t, gp, gt=None):
    """The gradients of <gp, p> + <gt, t> in x, k and T, of each slice; None for k of a subset."""
    xp, finite = S.xp, S.xp.isfinite(S.X)
    masked = may_hold(~xp.all(finite))
    without_masks = lambda A: xp.where(finite, A, 0.0) if masked else A
    t = xp.where(finite, t, S.X) if masked else t   # a mask is at infinity
    parts = [] if gp is None else [_products(S, t, gp)]
    if gt is not None:
        parts.append(_level_products(S, t, without_masks(gt)))
    products, means = zip(*parts)
    gx = xp.where(S.edge, 0.0, summed(*products) / S.T)
    return gx, summed(*means), -mass(xp, without_masks(t) * gx)


# %% book/smooth_topk/topk.ipynb: _numpy_gradients
def _numpy_gradients(S, t, V):
    """The same for NumPy and a cotangent V of p."""
    found = np.empty(S.X.shape), *np.empty((2, *S.X.shape[:-1], 1))
    for rows, *others in row_blocks(S, *found, t, V):
        one = one_slice(rows)
        if one is not None:
            rows, others = one, [A[0] for A in others]
        *outs, t, v = others
        for out, A in zip(outs, _slice_gradients(rows, t, v)):
            out[...] = 0.0 if A is None else A
    return found


# %% book/smooth_topk/topk.ipynb: soft_topk_vjp
def _gradients(S, V):
    """(J V, dp/dk times V, dp/dT times V) of each slice."""
    if 0 in S.X.shape:
        nothing = mass(S.xp, 0 * V)
        return V, nothing, nothing
    if S.xp is NUMPY:
        t = _numpy_values(_threshold_form(S), scores=True)[1]
        return _numpy_gradients(S, t, V)
    _, t = _with_derivative(S)
    gx, gk, gT = _slice_gradients(S, t, V)
    return gx, 0 * gT if gk is None else gk, gT


@quiet
def soft_topk_vjp(x, k, g, *, temperature=1.0, method="laplace", axis=-1):
    r"""Pull g back through `soft_topk`: the gradients of <g, p> in x, k and T.

    Parameters
    ----------
    x, k, temperature, method, axis
        As for `soft_topk`.
    g : array, the shape of x
        The gradient of a function of p.

    Returns
    -------
    gx : array, the shape and dtype of x
        The gradient in x; 0 at masks.
    gk : array, the shape of k, or None for "subset"
        The derivative in k; at k = 0 and k = n that of the side that exists. Where
        no entry of a sparse result moves, the mean of both sides.
    gT : array, shape ()
        The derivative in the temperature.

    Raises
    ------
    ValueError, TypeError
        As `soft_topk`; g that does not fit x, or is not finite.

    Notes
    -----
    O(n) beyond `soft_topk`; for "subset" in up to 29 passes, but for single or long
    NumPy slices, which take three times as long as the value. Derived in
    :ref:`simplex-maps-jacobian`, :ref:`topk-tilt` and :ref:`topk-gradients`:
    :prf:ref:`centred-jacobian`, :prf:ref:`subset-covariance`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import soft_topk_vjp
    >>> gx, gk, gT = soft_topk_vjp(np.zeros(4), 2, np.array([1.0, 0, 0, 0]))
    >>> gx.tolist(), float(gk)
    ([0.375, -0.125, -0.125, -0.125], 0.25)
    """
    S, back, V = checked_slices(x, k, temperature, method, axis, g=g)
    gx, gk, gT = _gradients(S, V)
    gk = gk[..., 0] if S.k.ndim > 1 else S.xp.sum(gk)
    return back(gx), None if method == "subset" else gk, S.xp.sum(gT)


# %% book/smooth_topk/topk.ipynb: soft_topk_jvp
@quiet
def soft_topk_jvp(x, k, dx, *, temperature=1.0, method="laplace", axis=-1):
    r"""Push dx forward through `soft_topk`: dp = J dx.

    Parameters
    ----------
    x, k, temperature, method, axis
        As for `soft_topk`.
    dx : array, the shape of x
        A direction.

    Returns
    -------
    array, the shape and dtype of x
        The derivative of p in that direction; its sum is 0.

    Raises
    ------
    ValueError, TypeError
        As `soft_topk_vjp`.

    Notes
    -----
    J is symmetric, so this is also the first part of `soft_topk_vjp`:
    :prf:ref:`centred-jacobian`, :prf:ref:`subset-covariance`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import soft_topk_jvp
    >>> soft_topk_jvp(np.zeros(4), 2, np.array([1.0, 0, 0, 0]), method="sigmoid").tolist()
    [0.1875, -0.0625, -0.0625, -0.0625]
    """
    S, back, V = checked_slices(x, k, temperature, method, axis, dx=dx)
    dp, _, _ = _gradients(S, V)
    return back(dp)


# %% book/smooth_topk/topk.ipynb: _gap_in_temperatures
def _gap_in_temperatures(xp, method, pairs, error):
    """gap / T where the bound of the theorem is `error`, for pairs = k (n - k)."""
    if method == "sparse":
        return xp.ones_like(pairs)
    if method == "subset":
        return xp.log(pairs / error)
    return 2 * xp.log(xp.sqrt(pairs) / (2 if method == "laplace" else 1) / error)


# %% book/smooth_topk/topk.ipynb: topk_temperature
@quiet
def topk_temperature(x, k, *, error=0.01, method="laplace", axis=-1):
    r"""A temperature at which the p_i outside the k largest sum to at most `error`.

    Parameters
    ----------
    x, method, axis
        As for `soft_topk`; not for method "expclip".
    k : int, 0 < k < n
        How many to choose, in every slice.
    error : float, 0 < error < 1/2, default 0.01
        What may be misplaced.

    Returns
    -------
    array, the shape of x without the axis
        T for each slice, in proportion to its gap between the k-th and the next
        score; 0 where they are equal. Take the smallest or the median for all.

    Raises
    ------
    ValueError, TypeError
        As `soft_topk`; k, method or error out of range.

    Notes
    -----
    ``gap / (2 log(c sqrt(k (n - k)) / error))`` with c = 1/2 for "laplace" and 1 for
    "sigmoid", ``gap / log(k (n - k) / error)`` for "subset", and the gap itself for
    "sparse". Derived in :ref:`topk-temperature`; :prf:ref:`temperature-gap`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import soft_topk, topk_temperature
    >>> x = np.array([3.0, 1.0, 0.9, 0.2])
    >>> T = topk_temperature(x, 2, error=0.01)
    >>> bool(soft_topk(x, 2, temperature=float(T))[[2, 3]].sum() <= 0.01)
    True
    """
    if method == "expclip":
        check_choice(method, "method", [name for name in _METHODS if name != method])
    error = check_number(error, "error", "a number with 0 < error < 0.5",
                         lambda value: 0 < value < 0.5)
    S, _ = checked_slices(x, k, 1.0, method, axis)
    xp, K, n = S.xp, S.k, S.X.shape[-1]
    if K.ndim > 1 or not may_hold(xp.all((K > 0) & (K < n) & (xp.floor(K) == K))):
        raise ValueError(f"k is {k!r}; allowed is one integer from 1 to {n - 1}")
    first, last = (border[..., 0] for border in border_scores(S))
    gap = xp.where(xp.isnan(first - last), 0.0, first - last)       # inf - inf: two masks
    return gap / xp.clip(_gap_in_temperatures(xp, method, K * (n - K), error)[0], 1e-3, None)


# %% book/smooth_topk/topk.ipynb: _slices_of
def _slices_of(method, X, k, T, certain, allowed):
    """S again, from what a rule is given."""
    return Slices(array_namespace(X), X, k, T, method, certain, allowed)


def _value(method, *ins):
    """(p, t); NumPy takes the fast way."""
    S = _slices_of(method, *ins)
    if S.xp is not NUMPY or S.T.size > 1:
        return _general_values(S)
    return _numpy_values(S._replace(T=S.T.item()), scores=True)


# %% book/smooth_topk/topk.ipynb: _pull
def _pull(method, ins, outs, cotangents):
    """From p and t to x, k and T."""
    S, (_, t), (gp, gt) = _slices_of(method, *ins), outs, cotangents
    if S.xp is NUMPY and S.T.size == 1 and gt is None:
        gx, gk, gT = _numpy_gradients(S._replace(T=S.T.item()), t, gp)
    else:
        gx, gk, gT = _slice_gradients(S, t, gp, gt)
    gk = None if method == "subset" else fitted(gk, S.k)
    return gx, gk, fitted(gT, S.T), None, None


# %% book/smooth_topk/topk.ipynb: _push
def _push(method, ins, outs, changes):
    """From x, k and T to p and t."""
    S, (_, t), (dx, dk, dT, *_) = _slices_of(method, *ins), outs, changes
    xp, finite, v = S.xp, S.xp.isfinite(S.X), 0 * S.certain
    v = v if dx is None else v + xp.where(finite, dx, 0.0) / S.T
    v = v if dT is None else v - xp.where(finite, t, 0.0) * dT / S.T
    t = xp.where(finite, t, S.X)
    (w, s), v = _weights(S, t), v + 0 * S.k
    v = xp.broadcast_to(v, t.shape)
    dp, dt = _products(S, t, v)[0], v - mass(xp, w * v)
    if dk is not None and method != "subset":
        dp, dt = dp + w * dk, dt + xp.where(s > 0, dk / safe_divisor(s), 0.0)
    return xp.where(S.edge, 0.0, dp), xp.where(finite & ~S.edge, dt, 0.0)


_TOPK = Rule(_value, _pull, _push)


def _with_derivative(S):
    """(p, t), to be differentiated by the means of their library."""
    return attached(_TOPK, S.X, S.k, S.T, S.certain, S.allowed, static=(S.method,))

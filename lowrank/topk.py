r"""Smooth top-k.

The indicator of the $k$ largest scores is the gradient of their sum; replace the maximum over
subsets by a log-sum-exp, $\nabla\,T\log\sum_{|S|=k}e^{x(S)/T}$, or keep one threshold, and it
becomes a function through which a network can learn what to choose.

Generated from book/smooth_topk/topk.ipynb; edit the chapter.
"""

import math

import numpy as np
from array_api_compat import is_numpy_array

from lowrank.arguments import check_choice, check_number
from lowrank.arrays import NUMPY, may_hold
from lowrank.simplex_maps import as_slices, check_room, check_temperature
from lowrank.thresholds import (
    BLOCK,
    LONG,
    METHODS,
    blocks,
    border_scores,
    curve,
    densities,
    levels,
    long_slice,
    mass,
    sigmoid_parts,
)

__all__ = ["soft_topk", "soft_topk_vjp", "soft_topk_jvp", "topk_temperature"]


# %% book/smooth_topk/topk.ipynb: _circle
def _circle(xp, items, k):
    """For each node w: real and imaginary part of its weight, 1 - cos w, sin w, as (..., 1)."""
    total = lambda f: sum(mass(xp, f(p, q)) for p, q in items)     # items come in blocks
    s2, rest, nodes = total(lambda p, q: p * q), total(lambda p, q: p) - k, []
    M = 2 * xp.ceil((12.5 + xp.sqrt(180 + 80 * s2)) / 2) + 1
    for j in range(29):
        w = 2 * math.pi * j / M
        h, sine = 2 * xp.sin(w / 2)**2, xp.sin(w)
        used = (2 * j < M) & (s2 * h < 41)
        if not may_hold(xp.any(used)):
            break
        modulus = xp.exp(total(lambda p, q: xp.log1p(-2 * h * p * q)) / 2)
        phase = total(lambda p, q: xp.atan2(p * sine, 1 - p * h) - p * w) + w * rest
        size = xp.where(used, modulus * (2.0 if j else 1.0), 0.0)
        nodes.append((size * xp.cos(phase), size * xp.sin(phase), h, sine))
    mean = sum(node[0] for node in nodes)
    return [(re / mean, im / mean, h, sine) for re, im, h, sine in nodes]


def _mean_field(xp, t):
    """p and q = 1 - p of the sigmoid for scores t from the threshold, both to all digits."""
    small, large = sigmoid_parts(xp, t)[0], 1 / (1 + xp.exp(-xp.abs(t)))
    return xp.where(t > 0, large, small), xp.where(t > 0, small, large)


def _marginals(xp, p, q, nodes):
    """The probabilities of inclusion, a mean over the nodes of the circle."""
    mean = 0.0
    for re, im, h, sine in nodes:
        mean = mean + (re * (1 - q * h) - im * q * sine) / (1 - 2 * h * p * q)
    return xp.clip(xp.where(q > 0, p * mean, 1.0), 0.0, 1.0)


# %% book/smooth_topk/topk.ipynb: _rho
def _rho(p, q, h, sine):
    """Real and imaginary part of rho at a node."""
    D = 1 - 2 * h * p * q
    return p * (1 - q * h) / D, p * q * sine / D


def _covariance_times(xp, items, k, V):
    """Cov(1_i, 1_j) of the subset law times V, block by block."""
    nodes, sums = _circle(xp, items, k), []
    moment = sum(mass(xp, p * q * v) for (p, q), v in zip(items, V))
    level = moment / sum(mass(xp, p * q) for p, q in items)
    level = xp.where(xp.isfinite(level), level, 0.0)        # Cov 1 = 0: less to cancel
    for *_, h, sine in nodes:
        sum_re = sum_im = 0.0
        for (p, q), v in zip(items, V):
            v, (rho_re, rho_im) = v - level, _rho(p, q, h, sine)
            sum_re, sum_im = sum_re + mass(xp, rho_re * v), sum_im + mass(xp, rho_im * v)
        sums.append((sum_re, sum_im))
    mean = sum(re * a - im * b for (re, im, *_), (a, b) in zip(nodes, sums))         # <p, V>
    for (p, q), v in zip(items, V):
        v = v - level
        result = _marginals(xp, p, q, nodes) * (v - mean)
        for (re, im, h, sine), (sum_re, sum_im) in zip(nodes, sums):
            rho_re, rho_im = _rho(p, q, h, sine)
            rest_re, rest_im = sum_re - rho_re * v, sum_im - rho_im * v
            result = result + re * (rho_re * rest_re - rho_im * rest_im)
            result = result - im * (rho_re * rest_im + rho_im * rest_re)
        yield xp.where(p * q > 0, result, 0.0)              # what is certain has no covariance


# %% book/smooth_topk/topk.ipynb: _powers
def _powers(p):
    """Blocks of p, each with its powers (p, p^2, p^3, p^4) and (1, p^4, p^8, p^12) as rows."""
    low, high = np.empty((4, 8192)), np.ones((4, 8192))
    for i in range(0, len(p), 8192):
        part = p[i:i + 8192]
        a, b = low[:, :len(part)], high[:, :len(part)]
        a[0] = part
        np.multiply(a[0], a[0], out=a[1])
        np.multiply(a[1], a[0], out=a[2])
        np.multiply(a[1], a[1], out=b[1])
        a[3] = b[1]
        np.multiply(b[1], b[1], out=b[2])
        np.multiply(b[2], b[1], out=b[3])
        yield part, a, b


def _long_marginals(p, k):
    """The marginals, written over the mean field p of a long slice."""
    s2 = p.sum() - np.dot(p, p)
    M = 2 * math.ceil((12.5 + math.sqrt(180 + 80 * s2)) / 2) + 1
    w = 2 * math.pi / M * np.arange(min(29, (M + 1) // 2))
    h = 2 * np.sin(w / 2)**2
    w, h = w[s2 * h < 41], h[s2 * h < 41]
    c, r = -h + 1j * np.sin(w), np.arange(1, 17)
    others = np.flatnonzero(p > 0.1 / np.abs(c).max())
    if 16 * len(others) > len(p):                   # too many for the series
        items = [(p[i:i + BLOCK], 1 - p[i:i + BLOCK]) for i in range(0, len(p), BLOCK)]
        nodes = _circle(NUMPY, items, k)
        for part, q in items:
            part[:] = _marginals(NUMPY, part, q, nodes)
        return
    large, p[others] = p[others], 0
    sums = sum(high @ low.T for _, low, high in _powers(p))
    series = (-1.0)**(r + 1) / r * sums.ravel() @ c**r[:, None]
    weights = np.exp(series + np.log(1 + c[:, None] * large).sum(axis=1) - 1j * k * w)
    weights[1:] *= 2
    weights *= np.exp(1j * w) / weights.real.sum()
    polynomial = ((-c)**(r[:, None] - 1) @ weights).real.reshape(4, 4)
    for part, low, high in _powers(p):
        rows = polynomial @ low
        part[:] = rows[3]
        for row in rows[2::-1]:
            part *= high[1]
            part += row
    p[others] = large * (weights / (1 + large[:, None] * c)).sum(axis=1).real


# %% book/smooth_topk/topk.ipynb: _check_k
def _check_k(xp, X, k, method):
    """k as numbers that fit the slices of X, with a last axis of length 1."""
    n, shape = X.shape[-1], tuple(X.shape[:-1])
    kind = "integers" if method == "subset" else "numbers"
    allowed = lambda: f"{kind} from 0 to {n}, one or an array of shape {shape}"
    try:
        K = {} if k is None or isinstance(k, (str, bytes)) else k
        alike = isinstance(k, type(X))
        K = xp.astype(K, X.dtype) if alike else xp.asarray(K, dtype=X.dtype, device=X.device)
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


def _setting(x, k, temperature, method, axis, **others):
    """All arguments, checked: (xp, back, X, others..., K, T, certain, allowed)."""
    check_choice(method, "method", METHODS)
    T = check_temperature(temperature)
    xp, back, finite, X, *rest = as_slices(x, axis, **others)
    K = _check_k(xp, X, k, method)
    return xp, back, X, *rest, K, T, *check_room(xp, X, K, finite)


# %% book/smooth_topk/topk.ipynb: soft_topk
def _values(xp, X, K, T, method, certain, allowed):
    """p for arrays of any library, slices along the last axis."""
    t, edge = levels(xp, X, K, T, method, certain, allowed)
    if method == "subset":
        p, q = _mean_field(xp, t)
        P = _marginals(xp, p, q, _circle(xp, [(p, q)], K))
    else:
        P = curve(xp, t, method)
    ends = (X == math.inf) | ((X > -math.inf) & (K >= allowed))
    return xp.where(edge, xp.astype(ends, P.dtype), P)


def _long_values(x, k, T, method, out):
    """The same for one slice of NumPy, written to out; whether that succeeded."""
    if method != "subset":
        return long_slice(x, k, T, method, out) is not None
    few = min(k, len(x) - k)
    found = long_slice(x if k == few else -x, few, T, "sigmoid", out)
    if found is None:
        return False
    _long_marginals(out, few)
    np.minimum(np.maximum(out, 0, out=out), 1, out=out)             # rounding
    if k != few:
        np.subtract(1, out, out=out)
    return abs(out.sum() - k) <= 1e-12 * k


def _in_blocks(X, *others):
    """Rows of X and of what fits them: one long slice, or about what the cache holds."""
    n, shape = X.shape[-1], X.shape[:-1]
    step = max(1, BLOCK // n) if n < LONG else 1
    same = lambda A: A if A.shape[:-1] == shape else np.broadcast_to(A, (*shape, A.shape[-1]))
    tables = [same(A).reshape(-1, A.shape[-1]) for A in (X, *others)]
    for i in range(0, len(tables[0]), step):
        yield slice(i, i + step), *(A[i:i + step] for A in tables)


def _is_single(rows, K, certain, allowed):
    """Whether a block is one slice, in which k leaves a choice."""
    return len(rows) == 1 and certain[0, 0] < K[0, 0] < allowed[0, 0]


def _numpy_values(xp, X, K, T, method, certain, allowed):
    """The same for NumPy: block by block, single slices the fast way."""
    P = np.empty(X.shape)
    out = P.reshape(-1, X.shape[-1])
    for place, rows, k, *room in _in_blocks(X, K, certain, allowed):
        single = _is_single(rows, k, *room)
        if not (single and _long_values(rows[0], k.item(), T, method, out[place][0])):
            out[place] = _values(xp, rows, k, T, method, *room)
    return P


@np.errstate(all="ignore")
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
    xp, back, X, *setting = _setting(x, k, temperature, method, axis)
    if 0 in X.shape:
        return back(X)
    K, T, *room = setting
    return back((_numpy_values if is_numpy_array(X) else _values)(xp, X, K, T, method, *room))


# %% book/smooth_topk/topk.ipynb: soft_topk_vjp
def _products(xp, t, method, V):
    """(T J V, dp/dk times V) for scores t from the threshold; the second is what J subtracts."""
    d, peak = densities(xp, t, method)
    total = mass(xp, d)
    mean = xp.where(total > 0, mass(xp, d * V) / total, 0.0)
    return (V - mean) * d * peak, mean


def _gradients(xp, X, K, T, method, certain, allowed, V):
    """(J V, dp/dk times V, dp/dT times V) of each slice."""
    t, edge = levels(xp, X, K, T, method, certain, allowed)
    if method == "subset":
        many = 2 * K > X.shape[-1]                  # then of those left out: the same covariance
        few, items = xp.where(many, X.shape[-1] - K, K), [_mean_field(xp, xp.where(many, -t, t))]
        (product,), mean = _covariance_times(xp, items, few, [V]), 0 * K
    else:
        product, mean = _products(xp, xp.where(xp.isfinite(X), t, X), method, V)
    product = xp.where(edge, 0.0, product)
    weighted = xp.where(product == 0, 0.0, t * product)             # a mask is at infinity
    return product / T, mean, -mass(xp, weighted) / T


def _long_gradients(x, k, T, method, v):
    """The same for one slice of NumPy without masks; None where that fails."""
    t = np.empty(len(x))
    found = long_slice(x, k, T, "sigmoid" if method == "subset" else method, t)
    if found is None:
        return None
    centre, level = found
    parts = list(blocks(x, centre, T, level, t))                   # t again
    if not (np.abs(t).min() < 300 and np.ptp(t) < math.inf):
        return None                                 # in a wide gap, exponentials do not tell where
    if method == "subset":
        sign, few = (1, k) if 2 * k <= len(x) else (-1, len(x) - k)
        items, mean = [_mean_field(NUMPY, sign * part) for part in parts], 0.0
        vs = [v[i:i + BLOCK] for i in range(0, len(v), BLOCK)]
        gx = np.empty_like(t)
        for i, product in enumerate(_covariance_times(NUMPY, items, few, vs)):
            gx[i * BLOCK:(i + 1) * BLOCK] = product
    else:
        gx, mean = _products(NUMPY, t, method, v)
    gT = -np.dot(t, gx) / T
    gx /= T
    return gx, mean, gT


def _numpy_gradients(xp, X, K, T, method, certain, allowed, V):
    """The same for NumPy: block by block, single slices with less memory."""
    gx, gk, gT = np.empty(X.shape), *np.empty((2, *X.shape[:-1], 1))
    outs = [A.reshape(-1, A.shape[-1]) for A in (gx, gk, gT)]
    for place, rows, k, *room, v in _in_blocks(X, K, certain, allowed, V):
        found = None
        if _is_single(rows, k, *room) and room[1] - room[0] == rows.shape[-1]:
            found = _long_gradients(rows[0], k.item(), T, method, v[0])
        for out, A in zip(outs, found or _gradients(xp, rows, k, T, method, *room, v)):
            out[place] = A
    return gx, gk, gT


def _pulled(x, k, T, method, axis, **others):
    """(xp, back, K, gx, gk, gT), the last three with their slices along the last axis."""
    xp, back, X, V, K, T, *room = _setting(x, k, T, method, axis, **others)
    if 0 in X.shape:
        rows = xp.zeros((*X.shape[:-1], 1), dtype=X.dtype)
        return xp, back, K, V, rows, rows
    gradients = _numpy_gradients if is_numpy_array(X) else _gradients
    return xp, back, K, *gradients(xp, X, K, T, method, *room, V)


@np.errstate(all="ignore")
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
    O(n) beyond `soft_topk`; up to 29 times as much for "subset". Derived in
    :ref:`simplex-maps-jacobian` and :ref:`topk-tilt`: :prf:ref:`centred-jacobian`, :prf:ref:`subset-covariance`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import soft_topk_vjp
    >>> gx, gk, gT = soft_topk_vjp(np.zeros(4), 2, np.array([1.0, 0, 0, 0]))
    >>> gx.tolist(), float(gk)
    ([0.375, -0.125, -0.125, -0.125], 0.25)
    """
    xp, back, K, gx, gk, gT = _pulled(x, k, temperature, method, axis, g=g)
    gk = gk[..., 0] if K.ndim > 1 else xp.sum(gk)
    return back(gx), None if method == "subset" else gk, xp.sum(gT)


@np.errstate(all="ignore")
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
    _, back, _, dp, *_ = _pulled(x, k, temperature, method, axis, dx=dx)
    return back(dp)


# %% book/smooth_topk/topk.ipynb: topk_temperature
@np.errstate(all="ignore")
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
        raise ValueError("method is 'expclip'; allowed are 'laplace', 'sparse', 'subset', 'sigmoid'")
    error = check_number(error, "error", "a number with 0 < error < 0.5",
                          lambda value: 0 < value < 0.5)
    xp, _, X, K, *_ = _setting(x, k, 1.0, method, axis)
    n = X.shape[-1]
    if K.ndim > 1 or not may_hold(xp.all((K > 0) & (K < n) & (xp.floor(K) == K))):
        raise ValueError(f"k is {k!r}; allowed is one integer from 1 to {n - 1}")
    first, last = (border[..., 0] for border in border_scores(xp, X, K))
    gap, pairs = first - last, float(K[0]) * (n - float(K[0]))
    gap = xp.where(xp.isnan(gap), 0.0, gap)                     # inf - inf: two masks
    scale = {"laplace": 2 * math.log(math.sqrt(pairs) / 2 / error), "sparse": 1.0,
             "sigmoid": 2 * math.log(math.sqrt(pairs) / error), "subset": math.log(pairs / error)}[method]
    return gap / max(scale, 1e-3)

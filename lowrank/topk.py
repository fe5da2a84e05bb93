r"""Smooth top-k.

The indicator of the $k$ largest scores is the gradient of their sum; replace the maximum over
subsets by a log-sum-exp, $\nabla\,T\log\sum_{|S|=k}e^{x(S)/T}$, or keep one threshold, and it
becomes a function through which a network can learn what to choose.

Generated from book/smooth_topk/topk.ipynb; edit the chapter.
"""

import math

import numpy as np
from array_api_compat import is_numpy_array

from lowrank.arrays import _known
from lowrank.simplex_maps import _as_slices, _centred, _check_room, _check_temperature
from lowrank.thresholds import (
    _BLOCK,
    _LONG,
    _METHODS,
    _borders,
    _curve,
    _densities,
    _levels,
    _long_slice,
    _mass,
    _sigmoid_parts,
)

__all__ = ["soft_topk", "soft_topk_vjp", "soft_topk_jvp", "topk_temperature"]


# %% book/smooth_topk/topk.ipynb: _circle
def _circle(xp, p, q, k):
    """For each node w: real and imaginary part of its weight, 1 - cos w, and sin w, as (..., 1)."""
    s2 = _mass(xp, p * q)
    M = 2 * xp.ceil((12.5 + xp.sqrt(180 + 80 * s2)) / 2) + 1
    rest, nodes = _mass(xp, p) - k, []
    for j in range(29):
        w = 2 * math.pi * j / M
        h, sine = 2 * xp.sin(w / 2)**2, xp.sin(w)
        used = (2 * j < M) & (s2 * h < 41)
        if not _known(xp.any(used)):
            break
        modulus = xp.exp(_mass(xp, xp.log1p(-2 * h * p * q)) / 2)
        phase = _mass(xp, xp.atan2(p * sine, 1 - p * h) - p * w) + w * rest
        size = xp.where(used, modulus * (2.0 if j else 1.0), 0.0)
        nodes.append((size * xp.cos(phase), size * xp.sin(phase), h, sine))
    total = sum(node[0] for node in nodes)
    return [(re / total, im / total, h, sine) for re, im, h, sine in nodes]


def _inclusion(xp, t, k):
    """(marginals, p, q, nodes) of the subset law, for scores t from the sigmoid threshold."""
    small, large = _sigmoid_parts(xp, t)[0], 1 / (1 + xp.exp(-xp.abs(t)))
    p, q = xp.where(t > 0, large, small), xp.where(t > 0, small, large)
    nodes, total = _circle(xp, p, q, k), xp.zeros_like(t)
    for re, im, h, sine in nodes:
        total = total + (re * (1 - q * h) - im * q * sine) / (1 - 2 * h * p * q)
    return xp.where(q > 0, p * total, 1.0), p, q, nodes


# %% book/smooth_topk/topk.ipynb: _covariance_times
def _covariance_times(xp, t, k, V):
    """Cov(1_i, 1_j) of the subset law times V."""
    marginals, p, q, nodes = _inclusion(xp, t, k)
    result = marginals * (V - _mass(xp, marginals * V))
    for re, im, h, sine in nodes:
        D = 1 - 2 * h * p * q
        rho_re, rho_im = p * (1 - q * h) / D, p * q * sine / D
        rest_re = _mass(xp, rho_re * V) - rho_re * V
        rest_im = _mass(xp, rho_im * V) - rho_im * V
        result = result + re * (rho_re * rest_re - rho_im * rest_im)
        result = result - im * (rho_re * rest_im + rho_im * rest_re)
    return xp.where(p * q > 0, result, 0.0)                 # what is certain has no covariance


# %% book/smooth_topk/topk.ipynb: _powers
def _powers(p):
    """(p, p^2, p^3, p^4) and (1, p^4, p^8, p^12) as rows."""
    low, high = np.empty((4, len(p))), np.empty((4, len(p)))
    low[0], high[0] = p, 1
    np.multiply(p, p, out=low[1])
    np.multiply(low[1], p, out=low[2])
    np.multiply(low[1], low[1], out=low[3])
    high[1] = low[3]
    np.multiply(low[3], low[3], out=high[2])
    np.multiply(high[2], low[3], out=high[3])
    return low, high


def _long_inclusion(p, k):
    """The marginals for a long slice from its mean field p; None where too many p are large."""
    s2 = p.sum() - np.dot(p, p)
    M = 2 * math.ceil((12.5 + math.sqrt(180 + 80 * s2)) / 2) + 1
    w = 2 * math.pi / M * np.arange(min(29, (M + 1) // 2))
    h = 2 * np.sin(w / 2)**2
    w, h = w[s2 * h < 41], h[s2 * h < 41]
    c, turn = -h + 1j * np.sin(w), np.exp(1j * w)
    others = np.flatnonzero(p > 0.1 / np.abs(c).max())
    if 16 * len(others) > len(p):
        return None
    large, rest = p[others], p if not len(others) else p.copy()
    rest[others] = 0
    starts, sums, r = range(0, len(p), _BLOCK), np.zeros((4, 4)), np.arange(1, 17)
    for i in starts:
        low, high = _powers(rest[i:i + _BLOCK])
        sums += high @ low.T
    series = (-1.0)**(r + 1) / r * sums.ravel() @ c**r[:, None]
    weights = np.exp(series + np.log(1 + c[:, None] * large).sum(axis=1) - 1j * k * w)
    weights[1:] *= 2
    weights *= turn / weights.real.sum()
    polynomial = ((-c)**(r[:, None] - 1) @ weights).real.reshape(4, 4)
    out = np.empty(len(p))
    for i in starts:
        low, high = _powers(rest[i:i + _BLOCK])
        np.einsum("ij,ij->j", high, polynomial @ low, out=out[i:i + _BLOCK])
    out[others] = large * (weights / (1 + large[:, None] * c)).sum(axis=1).real
    return out


def _long_values(x, k, T, method, out):
    """p for a long slice, written to out; whether that succeeded."""
    if method != "subset":
        return _long_slice(x, k, T, method, out) is not None
    few = min(k, len(x) - k)
    found = _long_slice(x if k == few else -x, few, T, "sigmoid")
    P = None if found is None else _long_inclusion(found[0], few)
    if P is None or abs(P.sum() - few) > 1e-12 * few:
        return False
    out[:] = P if k == few else 1 - P
    return True


# %% book/smooth_topk/topk.ipynb: _check_k
def _check_k(xp, X, k, method):
    """k as numbers that fit the slices of X, with a last axis of length 1."""
    n, shape = X.shape[-1], tuple(X.shape[:-1])
    kind = "integers" if method == "subset" else "numbers"
    allowed = f"{kind} from 0 to {n}, one or an array of shape {shape}"
    try:
        K = xp.asarray(k, dtype=X.dtype)
    except (TypeError, ValueError):
        raise TypeError(f"k is {k!r}; allowed are {allowed}") from None
    if K.ndim and tuple(K.shape) != shape:
        raise ValueError(f"k has shape {tuple(K.shape)}; allowed are {allowed}")
    right = (K >= 0) & (K <= n) & ((xp.floor(K) == K) | (method != "subset"))
    if not _known(xp.all(right)):
        raise ValueError(f"k is {k!r}; allowed are {allowed}")
    return K[..., None]


def _setting(x, k, temperature, method, axis, **others):
    """All arguments, checked: (xp, back, X, others..., K, T, certain, allowed)."""
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; allowed are {', '.join(map(repr, _METHODS))}")
    T = _check_temperature(temperature)
    xp, back, X, *rest = _as_slices(x, axis, **others)
    K = _check_k(xp, X, k, method)
    return xp, back, X, *rest, K, T, *_check_room(xp, X, K)


# %% book/smooth_topk/topk.ipynb: soft_topk
def _values(xp, X, K, T, method, certain, allowed):
    """p for arrays of any library, slices along the last axis."""
    Z, t, edge = _levels(xp, X, K, T, method, certain, allowed)
    P = _inclusion(xp, t, K)[0] if method == "subset" else _curve(xp, t, method)
    ends = (X == math.inf) | ((X > -math.inf) & (K >= allowed))
    return xp.where(edge, xp.astype(ends, P.dtype), P)


def _in_blocks(X, *columns):
    """Blocks of rows that hold about as many scores as the cache, with their part of the columns."""
    step = max(1, _BLOCK // X.shape[-1])
    rows = X.reshape(-1, X.shape[-1])
    columns = [np.broadcast_to(C, (*X.shape[:-1], 1)).reshape(-1, 1) for C in columns]
    for i in range(0, len(rows), step):
        yield slice(i, i + step), rows[i:i + step], *(C[i:i + step] for C in columns)


def _is_long(rows, K, method, certain, allowed):
    """Whether a block is one long slice without masks, for the fast way."""
    return (rows.shape[-1] >= _LONG and method != "expclip" and certain[0, 0] == 0
            and allowed[0, 0] == rows.shape[-1] and 0 < K[0, 0] < rows.shape[-1])


def _numpy_values(xp, X, K, T, method, certain, allowed):
    """The same for NumPy: block by block, long slices the fast way."""
    P = np.empty(X.shape)
    out = P.reshape(-1, X.shape[-1])
    for place, rows, *columns in _in_blocks(X, K, certain, allowed):
        k, *room = columns
        long = _is_long(rows, k, method, *room)
        if not (long and _long_values(rows[0], float(k[0, 0]), T, method, out[place][0])):
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
    O(n log n) for one sort; long NumPy slices in O(n), without one. Derived in
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
def _derivative(xp, X, K, T, method, certain, allowed, V):
    """(J V, weights of dp/dk or None, scores in units of T from a point of their slice)."""
    Z, t, edge = _levels(xp, X, K, T, method, certain, allowed)
    if method == "subset":
        return xp.where(edge, 0.0, _covariance_times(xp, t, K, V) / T), None, Z
    d, peak = _densities(xp, t, method)
    return xp.where(edge, 0.0, _centred(xp, d, V) * peak / T), d / _mass(xp, d), Z


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
    O(n) beyond `soft_topk`; about 29 passes for "subset". Derived in :ref:`simplex-maps-jacobian`
    and :ref:`topk-tilt`: :prf:ref:`centred-jacobian`, :prf:ref:`subset-covariance`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import soft_topk_vjp
    >>> gx, gk, gT = soft_topk_vjp(np.zeros(4), 2, np.array([1.0, 0, 0, 0]))
    >>> gx.tolist(), float(gk)
    ([0.375, -0.125, -0.125, -0.125], 0.25)
    """
    xp, back, X, G, *setting = _setting(x, k, temperature, method, axis, g=g)
    K, T, *room = setting
    if 0 in X.shape:
        gk = xp.zeros(K.shape[:-1], dtype=X.dtype)
        return back(G), None if method == "subset" else gk, xp.sum(X)
    gx, weights, Z = _derivative(xp, X, K, T, method, *room, G)
    gT = -xp.sum(Z * gx)
    if weights is None:
        return back(gx), None, gT
    gk = xp.sum(weights * G, axis=-1)
    return back(gx), gk if K.ndim > 1 else xp.sum(gk), gT


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
    xp, back, X, V, *setting = _setting(x, k, temperature, method, axis, dx=dx)
    K, T, *room = setting
    return back(_derivative(xp, X, K, T, method, *room, V)[0] if 0 not in X.shape else V)


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
    if not 0 < error < 0.5:
        raise ValueError(f"error is {error!r}; allowed is a number with 0 < error < 0.5")
    xp, _, X, K, *_ = _setting(x, k, 1.0, method, axis)
    n = X.shape[-1]
    if K.ndim > 1 or not _known(xp.all((K > 0) & (K < n) & (xp.floor(K) == K))):
        raise ValueError(f"k is {k!r}; allowed is one integer from 1 to {n - 1}")
    first, last = (border[..., 0] for border in _borders(xp, X, K))
    gap, pairs = first - last, float(K[0]) * (n - float(K[0]))
    gap = xp.where(xp.isnan(gap), 0.0, gap)                     # inf - inf: two masks
    scale = {"laplace": 2 * math.log(math.sqrt(pairs) / 2 / error), "sparse": 1.0,
             "sigmoid": 2 * math.log(math.sqrt(pairs) / error), "subset": math.log(pairs / error)}[method]
    return gap / max(scale, 1e-3)

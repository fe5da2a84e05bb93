r"""Maps onto the simplex.

Given scores $x\in\mathbb{R}^n$ and a temperature $T>0$, find the probabilities $p$ that maximise
$\langle p, x\rangle - T\,\Phi(p)$: a choice of the largest score that is spread out just enough to
have a derivative.

Generated from book/smooth_topk/simplex_maps.ipynb; edit the chapter.
"""

import math
import operator

import numpy as np
from array_api_compat import is_jax_array

from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_parameter,
    is_bounded,
    matching,
    may_hold,
    quiet,
)
from lowrank.derivatives import Rule, aligned, attached, fitted

__all__ = ["softmax", "softmax_vjp", "sparsemax", "sparsemax_vjp", "entmax", "entmax_vjp"]


# %% book/smooth_topk/simplex_maps.ipynb: mass
def mass(xp, A):
    """Sums along the last axis, kept with length 1."""
    return xp.sum(A, axis=-1, keepdims=True)


def _centred(xp, d, v):
    """(D - d d^T / sum(d)) v along the last axis: v minus its d-weighted mean, times d."""
    return d * (v - mass(xp, d * v) / mass(xp, d))


# %% book/smooth_topk/simplex_maps.ipynb: as_slices
def _as_double(xp, B, name):
    """Real numbers in double precision, where the library has it; else in single."""
    if not xp.isdtype(B.dtype, "real floating"):
        raise TypeError(f"{name} has dtype {B.dtype}; allowed are real numbers")
    here = xp.__array_namespace_info__().dtypes(kind="real floating")
    return xp.astype(B, here.get("float64", here["float32"]), copy=False)


def _check_axis(axis, shape):
    """The axis as an index, positive or negative, of a shape."""
    try:
        place = operator.index(axis)
    except TypeError:
        raise TypeError(f"axis is {axis!r}; allowed is an integer") from None
    if not -len(shape) <= place < len(shape):
        raise ValueError(f"axis is {axis!r}; allowed is an axis of x, "
                         f"whose shape is {tuple(shape)}")
    return place


def as_slices(x, axis, **others):
    """(xp, back, finite, X, ...): x and others as doubles, slices last; back undoes that."""
    xp, A = as_floats(x, "x")
    others = {name: matching(B, name, A, "x") for name, B in others.items()}
    doubles = [_as_double(xp, A, "x"), *(_as_double(xp, B, name) for name, B in others.items())]
    place = _check_axis(axis, A.shape)
    finite = not may_hold(~is_bounded(A))
    if not finite and not may_hold(xp.all(~xp.isnan(A))):
        raise ValueError(f"x contains {int(xp.count_nonzero(xp.isnan(A)))} NaN; "
                         "allowed are numbers, -inf and +inf")
    half = isinstance(x, np.ndarray) and x.dtype == np.float16      # A is float32 then
    dtype = x.dtype if half else A.dtype
    if place % A.ndim == A.ndim - 1:
        return xp, lambda P: xp.astype(P, dtype, copy=False), finite, *doubles
    back = lambda P: xp.astype(xp.moveaxis(P, -1, place), dtype, copy=False)
    return xp, back, finite, *(xp.moveaxis(B, place, -1) for B in doubles)


# %% book/smooth_topk/simplex_maps.ipynb: check_temperature
def check_temperature(T):
    """The temperature, a positive finite number."""
    return check_parameter(T, "temperature", "a number with 0 < temperature < inf",
                           lambda T: 0 < T < math.inf)


def as_divisor(T, X):
    """T; at least the smallest normal number where smaller ones count as 0, as in JAX."""
    if not is_jax_array(X):
        return T
    least = float(array_namespace(X).finfo(X.dtype).smallest_normal)
    return max(T, least) if isinstance(T, float) else array_namespace(X).maximum(T, least)


def count_true(xp, mask, dtype):
    """How many are true along the last axis, kept with length 1, as a floating-point number."""
    return xp.astype(xp.count_nonzero(mask, axis=-1, keepdims=True), dtype)


def check_room(xp, X, k, finite):
    """(#certain, #allowed) of each slice: how many are +inf and above -inf, with k between."""
    if finite and X.shape[-1]:
        none = 0 * X[..., :1]
        return none, none + X.shape[-1]
    counts = [count_true(xp, mask, X.dtype) for mask in (X == math.inf, X > -math.inf)]
    poor = xp.reshape((counts[0] > k) | (counts[1] < k), (-1,))
    if not may_hold(~xp.any(poor)):
        first = int(xp.argmax(xp.astype(poor, xp.int8)))
        certain, allowed = (int(xp.reshape(count, (-1,))[first]) for count in counts)
        given = xp.reshape(xp.broadcast_to(xp.asarray(k), counts[0].shape), (-1,))[first]
        raise ValueError(
            f"x has a slice of length {X.shape[-1]} with {certain} entries +inf and {allowed} "
            f"above -inf; allowed are masks with {float(given):g} between these numbers")
    return counts


# %% book/smooth_topk/simplex_maps.ipynb: _from_peak
def _from_peak(xp, X, T):
    """(x - max x) / T along the last axis; a score +inf is the peak, and the others masks."""
    if 0 in X.shape:
        return X
    peak = xp.max(X, axis=-1, keepdims=True)
    return xp.where(X == peak, 0.0, (X - peak) / T)


def _checked(x, temperature, axis, **others):
    """(xp, back, T, X, ...): the arguments, checked, slices last."""
    T = check_temperature(temperature)
    xp, back, finite, X, *rest = as_slices(x, axis, **others)
    if not finite or 0 in X.shape:
        certain, allowed = check_room(xp, X, 1, finite)
        poor = (certain > 1) | (allowed < 1)
        if may_hold(xp.any(poor)):                      # what nobody could see
            X = xp.where(poor, math.nan, X)
    return xp, back, as_divisor(T, X), X, *rest


# %% book/smooth_topk/simplex_maps.ipynb: _softmax
def _softmax(xp, Z):
    """exp(z_i) / sum exp(z_j)."""
    E = xp.exp(Z)
    return E / mass(xp, E)


def _sparsemax(xp, Z):
    """The nearest point of the simplex, from one sort."""
    S = xp.sort(Z, axis=-1, descending=True, stable=False)
    j = xp.cumulative_sum(xp.ones_like(S), axis=-1)                 # 1, 2, ..., n
    support = j * S > xp.cumulative_sum(S, axis=-1) - 1
    r = count_true(xp, support, Z.dtype)
    level = (mass(xp, xp.where(support, S, 0.0)) - 1) / r
    return xp.maximum(Z - level, xp.zeros_like(Z))


# %% book/smooth_topk/simplex_maps.ipynb: _by_logarithms
def _by_logarithms(xp, Z, beta, ell):
    """p_i(ell) and minus its slope."""
    v = xp.expm1(-beta * ell) + beta * Z
    inside = v > -1
    log_u = xp.log1p(xp.where(inside, v, 0.0))
    return (xp.where(inside, xp.exp(log_u / beta), 0.0),
            xp.where(inside, xp.exp((1 / beta - 1) * log_u - beta * ell), 0.0))


def _by_squares(xp, Z, _beta, ell):
    """The same for beta = 1/2."""
    root = xp.exp(-ell / 2)
    u = xp.maximum(root + Z / 2, xp.zeros_like(Z))
    return u * u, u * root


def _entmax(xp, Z, beta, entries):
    """((beta z_i - tau)_+)^(1 / beta): Newton's method for the logarithm of the largest."""
    ell, eps = xp.zeros_like(Z[..., :1]), xp.finfo(Z.dtype).eps
    for _ in range(12 + 2 * Z.shape[-1].bit_length()):          # fewer where values can be seen
        P, q = entries(xp, Z, beta, ell)
        step = (mass(xp, P) - 1) / mass(xp, q)
        if not may_hold(xp.any(step > 4 * eps)):
            break
        ell = ell + step
    return P / mass(xp, P)


# %% book/smooth_topk/simplex_maps.ipynb: _value
_ENTRIES = {"entmax": _by_logarithms, "entmax 3/2": _by_squares}


def _value(kind, X, T, alpha):
    """(p,) of slices."""
    xp = array_namespace(X)
    Z = _from_peak(xp, X, T)
    if kind in _ENTRIES:
        return (_entmax(xp, Z, alpha - 1, _ENTRIES[kind]),)
    return (_softmax(xp, Z) if kind == "softmax" else _sparsemax(xp, Z),)


# %% book/smooth_topk/simplex_maps.ipynb: _weights
def _weights(kind, P, alpha):
    """d, the slopes of the map at its values, and the logarithms of those that are not 0."""
    xp = array_namespace(P)
    inside = P > 0
    logs = xp.log(xp.where(inside, P, 1.0))
    if kind in _ENTRIES:
        return xp.where(inside, xp.exp((2 - alpha) * logs), 0.0), logs
    return P if kind == "softmax" else xp.astype(inside, P.dtype), logs


def _heights(X, T):
    """x / T, from a point near the peak; 0 where x is infinite."""
    xp = array_namespace(X)
    finite = xp.isfinite(X)
    near = xp.where(finite, X, float(xp.finfo(X.dtype).min))
    return xp.where(finite, (near - xp.max(near, axis=-1, keepdims=True)) / T, 0.0)


def _by_order(X, T, alpha, P, d, logs):
    """dp / d alpha, of entmax."""
    xp, beta = array_namespace(P), alpha - 1
    return _centred(xp, d, _heights(X, T) - xp.exp(beta * logs) * logs) / beta


# %% book/smooth_topk/simplex_maps.ipynb: _pull
def _pull(kind, ins, outs, cotangents):
    """From p to scores, temperature and order."""
    (X, T, alpha), (P,), (g,) = ins, outs, cotangents
    xp, (d, logs) = array_namespace(P), _weights(kind, P, alpha)
    gx = _centred(xp, d, g) / T
    gT = fitted(-mass(xp, _heights(X, T) * gx), T)
    if kind not in _ENTRIES:
        return gx, gT, None
    return gx, gT, fitted(mass(xp, g * _by_order(X, T, alpha, P, d, logs)), alpha)


def _push(kind, ins, outs, changes):
    """From scores, temperature and order to p."""
    (X, T, alpha), (P,), (dx, dT, dalpha) = ins, outs, changes
    xp, (d, logs), v = array_namespace(P), _weights(kind, P, alpha), 0 * P
    v = v if dx is None else v + xp.where(xp.isfinite(X), dx, 0.0) / T
    v = v if dT is None else v - _heights(X, T) * dT / T
    dp = _centred(xp, d, v)
    if kind in _ENTRIES and dalpha is not None:
        dp = dp + dalpha * _by_order(X, T, alpha, P, d, logs)
    return (dp,)


# %% book/smooth_topk/simplex_maps.ipynb: _kind
_MAP = Rule(_value, _pull, _push)


def _kind(alpha):
    """Which of the maps it is, as far as the order has a value."""
    kinds = {1: "softmax", 1.5: "entmax 3/2", 2: "sparsemax"}
    return next((kinds[order] for order in kinds if not may_hold(alpha != order)), "entmax")


def _mapped(x, temperature, axis, alpha):
    """The map of this order."""
    _, back, T, X = _checked(x, temperature, axis)
    if 0 in X.shape:
        return back(X)
    return back(attached(_MAP, X, T, alpha, static=(_kind(alpha),))[0])


def _gradients(x, g, temperature, axis, alpha):
    """(gx, gT) for the map of this order."""
    xp, back, T, X, G = _checked(x, temperature, axis, g=g)
    if 0 in X.shape:
        return back(X), xp.sum(X)
    ins, kind = aligned(X, T, alpha), _kind(alpha)
    gx, gT, _ = _pull(kind, ins, attached(_MAP, *ins, static=(kind,)), (G,))
    return back(gx), xp.reshape(gT, ())


# %% book/smooth_topk/simplex_maps.ipynb: softmax
@quiet
def softmax(x, *, temperature=1.0, axis=-1):
    r"""Maximise <p, x> + T H(p) over the simplex: p_i = exp(x_i / T) / sum_j exp(x_j / T).

    Parameters
    ----------
    x : array, shape (..., n, ...)
        Scores, of any array library. -inf is a mask, with probability 0; one
        +inf in a slice takes all.
    temperature : float > 0, default 1.0
        T, in the units of x.
    axis : int, default -1
        The axis along which the probabilities sum to 1.

    Returns
    -------
    array, the shape and floating dtype of x
        Probabilities, computed in double precision. Integers give float64 in
        NumPy, and the default of their library elsewhere.

    Raises
    ------
    ValueError
        NaN, masks without a solution, an axis without entries or out of range,
        a temperature that is not positive and finite.
    TypeError
        Complex scores.

    Notes
    -----
    O(n) time and memory. Derived in :ref:`simplex-maps-maximum`;
    :prf:ref:`softmax-entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import softmax
    >>> softmax(np.array([2.0, 1.0, -np.inf])).round(4).tolist()
    [0.7311, 0.2689, 0.0]
    """
    return _mapped(x, temperature, axis, 1)


@quiet
def softmax_vjp(x, g, *, temperature=1.0, axis=-1):
    r"""Pull g back through softmax: gx = J^T g and gT = <dp/dT, g>.

    Parameters
    ----------
    x, temperature, axis
        As for `softmax`.
    g : array, the shape of x
        The gradient of a function of the probabilities.

    Returns
    -------
    gx : array, the shape and dtype of x
        Its gradient with respect to x. J is symmetric, so that the same call
        gives the directional derivative J g.
    gT : array, shape ()
        Its derivative with respect to the temperature.

    Raises
    ------
    ValueError, TypeError
        As `softmax`; g that does not fit x, or is not finite.

    Notes
    -----
    O(n). Derived in :ref:`simplex-maps-jacobian`; :prf:ref:`centred-jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import softmax_vjp
    >>> gx, gT = softmax_vjp(np.zeros(4), np.array([1.0, 0, 0, 0]))
    >>> gx.tolist()
    [0.1875, -0.0625, -0.0625, -0.0625]
    """
    return _gradients(x, g, temperature, axis, 1)


# %% book/smooth_topk/simplex_maps.ipynb: sparsemax
@quiet
def sparsemax(x, *, temperature=1.0, axis=-1):
    r"""Project on the simplex: the p in it with the smallest norm(p - x / T).

    Parameters
    ----------
    x, temperature, axis
        As for `softmax`.

    Returns
    -------
    array, the shape and floating dtype of x
        Probabilities, many of them exactly 0; exactly one-hot where the largest
        score leads by T or more.

    Raises
    ------
    ValueError, TypeError
        As `softmax`.

    Notes
    -----
    O(n log n), one sort. Derived in :ref:`simplex-maps-sparsemax`;
    :prf:ref:`sparsemax-sort`; the map is that of Martins and Astudillo (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import sparsemax
    >>> sparsemax(np.array([1.0, 0.5, -1.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    return _mapped(x, temperature, axis, 2)


@quiet
def sparsemax_vjp(x, g, *, temperature=1.0, axis=-1):
    r"""Pull g back through sparsemax: on the support, g minus its mean, over T.

    Parameters
    ----------
    x, g, temperature, axis
        As for `softmax_vjp`.

    Returns
    -------
    gx, gT
        As for `softmax_vjp`. At the kinks, where a score equals the threshold,
        the derivative of the side on which it has probability 0.

    Raises
    ------
    ValueError, TypeError
        As `softmax_vjp`.

    Notes
    -----
    O(n log n). :ref:`simplex-maps-jacobian`, :prf:ref:`centred-jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import sparsemax_vjp
    >>> gx, gT = sparsemax_vjp(np.array([1.0, 0.5, -1.0]), np.array([1.0, 0.0, 5.0]))
    >>> gx.tolist(), float(gT)
    ([0.5, -0.5, 0.0], -0.25)
    """
    return _gradients(x, g, temperature, axis, 2)


# %% book/smooth_topk/simplex_maps.ipynb: entmax
def _check_alpha(alpha):
    """The order of entmax, from 1 to 2."""
    return check_parameter(alpha, "alpha", "a number with 1 <= alpha <= 2",
                           lambda alpha: 1 <= alpha <= 2)


@quiet
def entmax(x, *, alpha=1.5, temperature=1.0, axis=-1):
    r"""Maximise <p, x> - T sum_i (p_i^alpha - p_i) / (alpha (alpha - 1)) over the simplex.

    Parameters
    ----------
    x, temperature, axis
        As for `softmax`.
    alpha : float, 1 <= alpha <= 2, default 1.5
        The order: 1 is `softmax`, 2 is `sparsemax`.

    Returns
    -------
    array, the shape and floating dtype of x
        Probabilities; for alpha > 1 exactly one-hot where the largest score
        leads by T / (alpha - 1) or more.

    Raises
    ------
    ValueError, TypeError
        As `softmax`; alpha out of range.

    Notes
    -----
    O(n) in each of at most 12 + 2 log2(n) Newton steps; for alpha near 1 as
    accurate as `softmax`. Derived in :ref:`simplex-maps-entmax`;
    :prf:ref:`entmax-newton`; the map is that of Peters, Niculae and Martins (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import entmax
    >>> entmax(np.array([1.0, 0.5, -1.5])).round(4).tolist()
    [0.674, 0.326, 0.0]
    """
    return _mapped(x, temperature, axis, _check_alpha(alpha))


@quiet
def entmax_vjp(x, g, *, alpha=1.5, temperature=1.0, axis=-1):
    r"""Pull g back through entmax, with the weights d_i = p_i^(2 - alpha) on the support.

    Parameters
    ----------
    x, g, temperature, axis
        As for `softmax_vjp`.
    alpha : float, 1 <= alpha <= 2, default 1.5
        As for `entmax`.

    Returns
    -------
    gx, gT
        As for `softmax_vjp`.

    Raises
    ------
    ValueError, TypeError
        As `softmax_vjp`; alpha out of range.

    Notes
    -----
    O(n) beyond the map itself. :ref:`simplex-maps-jacobian`,
    :prf:ref:`centred-jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import entmax_vjp
    >>> gx, gT = entmax_vjp(np.zeros(4), np.array([1.0, 0, 0, 0]))
    >>> gx.tolist()
    [0.375, -0.125, -0.125, -0.125]
    """
    return _gradients(x, g, temperature, axis, _check_alpha(alpha))

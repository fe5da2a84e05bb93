r"""Batch size and the best step.

A step $\theta\leftarrow\theta-\eta u$ is made from the gradients of $B$ samples: which $\eta$
minimises the expected loss $\mathbb{E}\,L(\theta-\eta u)$, how does it grow with $B$, and what do
more samples buy?

Generated from book/companions/batch_size.ipynb; edit the chapter.
"""

import math
import sys
from collections import namedtuple
from functools import cache

import numpy as np
from array_api_compat import is_jax_array
from scipy import special

from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_finite,
    check_hermitian,
    check_library,
    device,
    fixed,
    is_array,
    is_numpy_array,
    is_tensor,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    round_off,
    safe_divisor,
)
from lowrank.derivatives import Rule, attached, fitted, summed

__all__ = [
    "noise_scale",
    "optimal_lr_sgd",
    "SimpleNoiseScale",
    "simple_noise_scale",
    "sign_update_mean",
    "sign_update_second",
    "optimal_lr_sign",
]


# %% book/companions/batch_size.ipynb: as_reals
def as_reals(**given):
    """(xp, dtype, arrays...): finite real arrays of one library; dtype is for the result.

    Plain numbers and integers take the dtype of the others; 16 bits are computed in 32.
    """
    plain = lambda x: isinstance(x, (int, float, np.generic))
    found = {name: as_floats(x, name)[1] for name, x in given.items()}
    main, *others = [name for name, x in given.items() if not plain(x)] or list(found)
    for name in others:
        check_library(found[name], name, found[main], main)
    real = lambda x: array_namespace(x).isdtype(x.dtype, "real floating")
    for name, x in found.items():
        if not real(x):
            raise TypeError(f"{name} has dtype {x.dtype}; allowed are real numbers")
        check_finite(x, name)
    xp, first = array_namespace(found[main]), found[main]
    own = [x.dtype for x in given.values() if is_array(x) and not plain(x) and real(x)]
    dtype = xp.result_type(*own) if own else first.dtype
    work = xp.float32 if xp.finfo(dtype).bits == 16 else dtype
    moved = lambda x: (xp.astype(x, work, copy=False) if array_namespace(x) is xp
                       else xp.asarray(float(x), dtype=work, device=device(first)))
    return xp, dtype, *map(moved, found.values())


def check_range(x, name, lowest, strict=False):
    """Refuse entries below `lowest`, or at it."""
    xp = array_namespace(x)
    if not may_hold(xp.all(x > lowest if strict else x >= lowest)):
        raise ValueError(f"{name} has the entry {float(xp.min(x)):g}; allowed are numbers "
                         f"{'>' if strict else '>='} {lowest:g}")


# %% book/companions/batch_size.ipynb: check_sizes
def check_sizes(g, B, **matrices):
    """Refuse what is no vector and no symmetric matrix of one size, and a batch below 0."""
    shape = tuple(g.shape)
    if not shape or not shape[-1]:
        raise ValueError(f"g has shape {shape}; allowed is (..., d) with d >= 1")
    d, leads = shape[-1], {"g": shape[:-1], "B": tuple(B.shape)}
    for name, M in matrices.items():
        if M.shape[-2:] != (d, d):
            raise ValueError(f"{name} has shape {tuple(M.shape)}; allowed is (..., {d}, {d}), "
                             f"as g has shape {shape}")
        check_hermitian(M, name)
        leads[name] = tuple(M.shape[:-2])
    check_range(B, "B", 0, strict=True)
    try:
        np.broadcast_shapes(*leads.values())
    except ValueError:
        raise ValueError("the leading axes " + ", ".join(f"{lead} of {name}" for name, lead
                         in leads.items()) + " do not broadcast") from None


def _check_covariance(Sigma):
    """Refuse a symmetric matrix in which a correlation is not between -1 and 1."""
    xp = array_namespace(Sigma)
    S = Sigma / safe_divisor(peak_of(Sigma))
    spread = xp.linalg.diagonal(S)
    check_range(spread, "the diagonal of Sigma", 0)
    root = xp.sqrt(spread)
    most = root[..., :, None] * root[..., None, :] + round_off(S.shape, xp.finfo(S.dtype).eps)
    if not may_hold(xp.all(xp.abs(S) <= most)):
        raise ValueError("Sigma is no covariance: it has an entry above the root of the product "
                         "of its two variances; allowed are correlations from -1 to 1")


# %% book/companions/batch_size.ipynb: by_unit
def by_unit(M):
    """M / c and c: a power of two near the largest entry of each matrix, of shape (..., 1, 1)."""
    c = power_of_two(peak_of(M))
    return M / c, c


def step_of(top, below, what):
    """top / below, of shape (...), for a positive denominator."""
    xp = array_namespace(below)
    if not may_hold(xp.all(below > 0)):
        raise ValueError(f"{what} is not positive; allowed is what curves upwards: "
                         "there is no finite best step")
    return (top / below)[..., 0, 0]


# %% book/companions/batch_size.ipynb: _moments
def _moments(g, Sigma, H, B):
    """|g|^2, g^T H g and tr(Sigma H) / B, all in the units of g and H; and the unit of H."""
    xp = array_namespace(g)
    (row, c), (S, s), (K, h) = by_unit(g[..., None, :]), by_unit(Sigma), by_unit(H)
    noise = xp.sum(S * K, axis=(-2, -1), keepdims=True) / B[..., None, None]
    unit = xp.clip(s / c / c, max=float(xp.finfo(c.dtype).max))
    return row @ row.mT, row @ K @ row.mT, noise * unit, h


# %% book/companions/batch_size.ipynb: noise_scale
@quiet
def noise_scale(g, Sigma, H):
    r"""The batch size at which half the gain of stochastic gradients is lost to noise.

    Parameters
    ----------
    g : array, shape (..., d)
        Mean gradient, of NumPy, PyTorch or JAX.
    Sigma : array, shape (..., d, d)
        Covariance of the gradients of single samples.
    H : array, shape (..., d, d)
        Hessian, symmetric.

    Returns
    -------
    array, shape (...)
        tr(Sigma H) / g^T H g, in the dtype of the arrays; half precision is computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes, Sigma or H not symmetric, Sigma with a negative variance or a
        correlation above 1, or g^T H g <= 0, as for g = 0.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    It can be negative if H is indefinite. Derivatives are exact; where nobody can look at values,
    a denominator <= 0 is divided by. Derived in :prf:ref:`sgd-best-step`.

    Examples
    --------
    >>> from lowrank import noise_scale
    >>> float(noise_scale([2.0, 0.0], [[4.0, 0.0], [0.0, 8.0]], [[1.0, 0.0], [0.0, 0.5]]))
    2.0
    """
    xp, dtype, g, Sigma, H = as_reals(g=g, Sigma=Sigma, H=H)
    one = xp.ones((), dtype=g.dtype, device=device(g))
    check_sizes(g, one, Sigma=Sigma, H=H)
    _check_covariance(Sigma)
    _, curved, noise, _ = _moments(g, Sigma, H, one)
    return xp.astype(step_of(noise, curved, "g^T H g"), dtype, copy=False)


# %% book/companions/batch_size.ipynb: optimal_lr_sgd
@quiet
def optimal_lr_sgd(g, Sigma, H, B):
    r"""The step of stochastic gradients from B samples that lowers a quadratic loss most.

    Parameters
    ----------
    g : array, shape (..., d)
        Mean gradient, of NumPy, PyTorch or JAX.
    Sigma : array, shape (..., d, d)
        Covariance of the gradients of single samples, not of their mean.
    H : array, shape (..., d, d)
        Hessian, symmetric.
    B : array, shape (...)
        Batch size > 0, a number or an array, whose axes broadcast with the leading ones.

    Returns
    -------
    array, shape (...)
        |g|^2 / (g^T H g + tr(Sigma H) / B), in the dtype of the arrays.

    Raises
    ------
    ValueError
        NaN or Inf, shapes, matrices that are not symmetric or no covariance, B <= 0, or a
        denominator <= 0, where there is no finite best step.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    For every law of the gradients. As for `noise_scale`, derivatives are exact, and half
    precision is computed in float32. The gain is half of the step times \|g\|^2. Derived in
    :prf:ref:`sgd-best-step`.

    Examples
    --------
    >>> from lowrank import optimal_lr_sgd
    >>> Sigma, H = [[4.0, 0.0], [0.0, 8.0]], [[1.0, 0.0], [0.0, 0.5]]
    >>> optimal_lr_sgd([2.0, 0.0], Sigma, H, B=[2.0, 6.0])
    array([0.5 , 0.75])
    """
    xp, dtype, g, Sigma, H, B = as_reals(g=g, Sigma=Sigma, H=H, B=B)
    check_sizes(g, B, Sigma=Sigma, H=H)
    _check_covariance(Sigma)
    square, curved, noise, h = _moments(g, Sigma, H, B)
    step = step_of(square, curved + noise, "g^T H g + tr(Sigma H) / B") / h[..., 0, 0]
    return xp.astype(step, dtype, copy=False)


# %% book/companions/batch_size.ipynb: SimpleNoiseScale
class SimpleNoiseScale(namedtuple("SimpleNoiseScale", "B_simple g2 trace")):
    """What gradients of single samples say about their noise.

    Attributes
    ----------
    B_simple : array, shape (...)
        trace / g2, and Inf where g2 <= 0: so few samples do not show that there is a gradient.
    g2 : array, shape (...)
        Estimate of \\|g\\|^2 without bias, which can be negative.
    trace : array, shape (...)
        Estimate of tr Sigma without bias.
    """

    __slots__ = ()


@quiet
def simple_noise_scale(G):
    r"""The noise scale from gradients of single samples, for a Hessian with equal eigenvalues.

    Parameters
    ----------
    G : array, shape (..., n, d)
        Gradients as rows, n >= 2, of NumPy, PyTorch or JAX. They may be means of m samples each:
        then trace is tr Sigma / m.

    Returns
    -------
    SimpleNoiseScale
        B_simple, g2, trace, in the dtype of G.

    Raises
    ------
    ValueError
        Fewer than two rows, no columns, NaN or Inf.
    TypeError
        Complex numbers.

    Notes
    -----
    B_simple is a quotient of two estimates without bias, and has one itself. Derived in
    :prf:ref:`noise-scale-estimates`.

    Examples
    --------
    >>> from lowrank import simple_noise_scale
    >>> B_simple, g2, trace = simple_noise_scale([[3.0, 1.0], [1.0, 1.0], [2.0, 4.0]])
    >>> round(float(B_simple), 6), round(float(g2), 6), float(trace)
    (0.6, 6.666667, 4.0)
    """
    xp, dtype, G = as_reals(G=G)
    if G.ndim < 2 or G.shape[-2] < 2 or not G.shape[-1]:
        raise ValueError(f"G has shape {tuple(G.shape)}; allowed is (..., n, d) with n >= 2, "
                         "d >= 1")
    n = G.shape[-2]
    X, c = by_unit(G)
    mean = xp.mean(X, axis=-2, keepdims=True)
    total = lambda Y: xp.sum(Y * Y, axis=(-2, -1))
    trace = total(X - mean) / (n - 1)
    g2 = total(mean) - trace / n
    scale = xp.where(g2 > 0, trace / xp.where(g2 > 0, g2, 1.0), math.inf)
    c = c[..., 0, 0]
    return SimpleNoiseScale(*(xp.astype(x, dtype, copy=False) for x in
                              (scale, g2 * c * c, trace * c * c)))


# %% book/companions/batch_size.ipynb: erf
def erf(x):
    """The error function of an array of any library."""
    if is_tensor(x):
        return sys.modules["torch"].special.erf(x)
    if is_jax_array(x):
        return sys.modules["jax"].scipy.special.erf(x)
    return array_namespace(x).asarray(special.erf(np.asarray(x)))


# %% book/companions/batch_size.ipynb: _deviations
_CERTAIN = 40.0


def _deviations(g, sigma, B):
    """g sqrt(B) / sigma where its absolute value is below 40, 0 elsewhere; and where that is."""
    xp = array_namespace(g)
    unit = power_of_two(xp.maximum(xp.abs(g), sigma))
    mean, spread = g / unit * xp.sqrt(B), sigma / unit
    certain = xp.abs(mean) >= _CERTAIN * spread
    return xp.where(certain, 0.0, mean) / xp.where(certain, 1.0, spread), certain


def _mean_sign(g, a, certain):
    xp = array_namespace(g)
    return xp.where(certain, xp.sign(g), erf(a * 0.5**0.5))


# %% book/companions/batch_size.ipynb: check_broadcast
def check_broadcast(**arrays):
    """Refuse shapes that do not broadcast."""
    try:
        np.broadcast_shapes(*(tuple(x.shape) for x in arrays.values()))
    except ValueError:
        raise ValueError("the shapes " + ", ".join(f"{tuple(x.shape)} of {name}" for name, x
                         in arrays.items()) + " do not broadcast") from None


# %% book/companions/batch_size.ipynb: sign_update_mean
@quiet
def sign_update_mean(g, sigma, B):
    r"""The mean of the sign of a mean of B normal numbers: erf(g sqrt(B / 2) / sigma).

    Parameters
    ----------
    g : array, shape (...)
        Means, of NumPy, PyTorch or JAX.
    sigma : array, shape (...)
        Standard deviations of single samples, >= 0; 0 gives sign(g).
    B : array, shape (...)
        Batch size > 0, a number or an array. The three broadcast.

    Returns
    -------
    array, shape (...)
        Between -1 and 1, in the dtype of the arrays; half precision is computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not broadcast, sigma < 0 or B <= 0.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    Derivatives are exact, and 0 where sigma is 0. Derived in :prf:ref:`sign-mean`.

    Examples
    --------
    >>> from lowrank import sign_update_mean
    >>> sign_update_mean([1.0, -0.5, 0.0], [1.0, 2.0, 0.0], 8).round(6)
    array([ 0.995322, -0.5205  ,  0.      ])
    """
    xp, dtype, g, sigma, B = as_reals(g=g, sigma=sigma, B=B)
    check_range(sigma, "sigma", 0)
    check_range(B, "B", 0, strict=True)
    check_broadcast(g=g, sigma=sigma, B=B)
    return xp.astype(_mean_sign(g, *_deviations(g, sigma, B)), dtype, copy=False)


# %% book/companions/batch_size.ipynb: gauss_rule
@fixed
@cache
def gauss_rule(n):
    """Nodes and weights of Gauss for the interval from 0 to 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return tuple(((1 + x) / 2).tolist()), tuple((w / 2).tolist())


def integrate(f, like, rule):
    """The integral of a function whose values have the shape of `like`, by nodes and weights."""
    if is_numpy_array(like):                                     # one node after the other
        return sum(w * f(x) for x, w in zip(*rule))
    xp = array_namespace(like)
    x, w = (xp.reshape(xp.asarray(values, dtype=like.dtype, device=device(like)),
                       (-1, *(1,) * like.ndim)) for values in rule)
    return xp.sum(w * f(x), axis=0)


# %% book/companions/batch_size.ipynb: _from_zero
def _from_zero(a, b, r):
    """2 / pi times the integral from 0 to arcsin(r)."""
    xp = array_namespace(a)
    angle = xp.asin(r)

    def corner(x):
        s = xp.sin(angle * x)
        return xp.exp(-(a * a + b * b - 2 * a * b * s) / (2 * (1 - s) * (1 + s)))
    return 2 / math.pi * angle * integrate(corner, a, gauss_rule(20))


# %% book/companions/batch_size.ipynb: _to_one
def _to_one(a, b, r):
    """2 / pi times the integral from arcsin(r) to pi / 2, for r >= 0."""
    xp = array_namespace(a)
    end, c, c2 = xp.sqrt((1 - r) * (1 + r)), xp.abs(a - b), (a - b)**2
    ab, t = xp.clip(a * b, min=-10.0), safe_divisor(end)         # below -10 all of it is round-off
    edge = xp.exp(-c2 / (2 * t * t))
    first = t * edge - c * (math.pi / 2)**0.5 * (1 - erf(c / t * 0.5**0.5))
    second = (t**3 * edge - c2 * first) / 3
    h = xp.exp(-ab / 2)
    k = h * (4 - ab) / 8

    def rest(x):
        u = t * x
        s = xp.sqrt((1 - u) * (1 + u))
        return xp.exp(-c2 / (2 * u * u)) * (xp.exp(-ab / (1 + s)) / s - h - k * u * u)
    total = h * first + k * second + t * integrate(rest, a, gauss_rule(20))
    return xp.where(end > 0, 2 / math.pi * total, 0.0)


# %% book/companions/batch_size.ipynb: _agreement
def _agreement(a, b, r):
    """(E u v,) for a, b, r of one shape."""
    xp = array_namespace(a)
    u, v, strong = erf(a * 0.5**0.5), erf(b * 0.5**0.5), xp.abs(r) > 0.925
    sign = 1 - 2 * xp.astype(r < 0, r.dtype)
    middle = u * v + _from_zero(a, b, xp.where(strong, 0.0, r))
    if not may_hold(xp.any(strong)):
        return (middle,)
    top = 1 - xp.abs(u - sign * v) - _to_one(a, sign * b, xp.where(strong, xp.abs(r), 0.5))
    return (xp.where(strong, sign * top, middle),)


# %% book/companions/batch_size.ipynb: _slopes
def _slopes(a, b, r):
    """The derivatives of E u v in a, b and r; 0 for the last one at r = 1 and -1."""
    xp = array_namespace(a)
    rest = (1 - r) * (1 + r)
    s = xp.sqrt(xp.where(rest > 0, rest, 1.0))
    seen = lambda x, y: xp.where(rest > 0, (y - r * x) / s, 40 * xp.sign(y - r * x))
    bell = lambda x: (2 / math.pi)**0.5 * xp.exp(-x * x / 2)
    y, x = seen(a, b), seen(b, a)
    corner = bell(a) * bell(y) / s
    return (bell(a) * erf(y * 0.5**0.5), bell(b) * erf(x * 0.5**0.5),
            xp.where(rest > 0, corner, 0.0))


def _pull_agreement(ins, outs, cotangents):
    return tuple(fitted(cotangents[0] * slope, x) for slope, x in zip(_slopes(*ins), ins))


def _push_agreement(ins, outs, changes):
    return (summed(*(d * slope for slope, d in zip(_slopes(*ins), changes) if d is not None)),)


_AGREEMENT = Rule(_agreement, _pull_agreement, _push_agreement)


# %% book/companions/batch_size.ipynb: _second_moment
def _second_moment(g, Sigma, B):
    """E u u^T, and E u, for a covariance in arrays that are checked."""
    xp = array_namespace(g)
    S, c = by_unit(Sigma)
    spread = xp.linalg.diagonal(S)
    there = spread > 0
    root = xp.where(there, xp.sqrt(xp.where(there, spread, 1.0)), 0.0)
    a, certain = _deviations(g, root * xp.sqrt(c[..., 0]), B[..., None])
    u = _mean_sign(g, a, certain)
    over = xp.where(there, root, 1.0)
    r = xp.clip(S / over[..., :, None] / over[..., None, :], min=-1.0, max=1.0)
    diagonal = xp.eye(g.shape[-1], dtype=xp.bool, device=device(g))
    r = xp.where(diagonal | ~there[..., :, None] | ~there[..., None, :], 0.0, r)
    a = xp.where(certain, _CERTAIN * xp.sign(g), a)
    zero = xp.zeros((*np.broadcast_shapes(a.shape[:-1], r.shape[:-2]), 1, 1), dtype=a.dtype,
                    device=device(g))
    a, b, r = (x + zero for x in xp.broadcast_arrays(a[..., :, None], a[..., None, :], r))
    known = xp.astype(there | (g != 0), g.dtype)[..., None]      # of u_i^2
    return xp.where(diagonal, known, attached(_AGREEMENT, a, b, r)[0]), u


# %% book/companions/batch_size.ipynb: sign_update_second
@quiet
def sign_update_second(g, Sigma, B):
    r"""The second moment E u u^T of the signs u of a mean of B normal vectors.

    Parameters
    ----------
    g : array, shape (..., d)
        Mean, of NumPy, PyTorch or JAX.
    Sigma : array, shape (..., d, d)
        Covariance of single samples; a variance may be 0.
    B : array, shape (...)
        Batch size > 0, a number or an array, whose axes broadcast with the leading ones.

    Returns
    -------
    array, shape (..., d, d)
        With ones on the diagonal, but for entries that are 0 and have no variance.

    Raises
    ------
    ValueError
        NaN or Inf, shapes, Sigma not symmetric or no covariance, or B <= 0.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    40 d^2 exponentials for each B, or 20 if no correlation is above 0.925; errors below 1e-12 in
    float64. Derivatives are exact but where a correlation is 1 or -1: that in it is set to 0.
    Derived in :prf:ref:`sign-second-moment`.

    Examples
    --------
    >>> from lowrank import sign_update_second
    >>> sign_update_second([0.5, 0.5], [[1.0, 0.9], [0.9, 1.0]], 1).round(7)
    array([[1.       , 0.7471534],
           [0.7471534, 1.       ]])
    """
    xp, dtype, g, Sigma, B = as_reals(g=g, Sigma=Sigma, B=B)
    check_sizes(g, B, Sigma=Sigma)
    _check_covariance(Sigma)
    return xp.astype(_second_moment(g, Sigma, B)[0], dtype, copy=False)


# %% book/companions/batch_size.ipynb: optimal_lr_sign
@quiet
def optimal_lr_sign(g, sigma, H, B):
    r"""The step of signs of gradients from B samples that lowers a quadratic loss most.

    Parameters
    ----------
    g : array, shape (..., d)
        Mean gradient, of NumPy, PyTorch or JAX.
    sigma : array, shape (..., d) or (..., d, d)
        With as many axes as g, the standard deviations of single samples, whose entries are taken
        to be independent. With one axis more, their covariance.
    H : array, shape (..., d, d)
        Hessian, symmetric.
    B : array, shape (...)
        Batch size > 0, a number or an array, whose axes broadcast with the leading ones.

    Returns
    -------
    array, shape (...)
        g^T E u / tr(H E u u^T), in the dtype of the arrays.

    Raises
    ------
    ValueError
        NaN or Inf, shapes, sigma < 0, a covariance that is none, B <= 0, or a denominator <= 0,
        where there is no finite best step.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    The mean of B gradients is taken to be normal. Standard deviations cost O(d^2), a covariance
    as much as `sign_update_second`, and gradients of real data need it. Derived in
    :prf:ref:`sign-mean` and :prf:ref:`sign-second-moment`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import optimal_lr_sign
    >>> g, sigma, H = np.array([1.0, 0.5]), np.array([1.0, 2.0]), np.array([[2.0, 1], [1, 1]])
    >>> optimal_lr_sign(g, sigma, H, [1, 64]).round(4)
    array([0.239 , 0.3009])
    >>> optimal_lr_sign(g, np.array([[1.0, 1.8], [1.8, 4.0]]), H, [1, 64]).round(4)
    array([0.195 , 0.3009])
    """
    xp, dtype, g, sigma, H, B = as_reals(g=g, sigma=sigma, H=H, B=B)
    row, c = by_unit(g[..., None, :]) if g.ndim else (g, g)
    K, h = by_unit(H) if H.ndim > 1 else (H, H)
    if sigma.ndim == g.ndim + 1:
        check_sizes(g, B, Sigma=sigma, H=H)
        _check_covariance(sigma)
        M, u = _second_moment(g, sigma, B)
        below = xp.sum(K * M, axis=(-2, -1), keepdims=True)
    else:
        check_sizes(g, B, H=H)
        check_range(sigma, "sigma", 0)
        if sigma.shape != g.shape:
            raise ValueError(f"sigma has shape {tuple(sigma.shape)}; allowed is that of g, "
                             f"{tuple(g.shape)}, or a covariance with one axis more")
        u = _mean_sign(g, *_deviations(g, sigma, B[..., None]))
        known = xp.astype((sigma > 0) | (g != 0), g.dtype)       # E u_i^2
        own = xp.sum(xp.linalg.diagonal(K) * (known - u * u), axis=-1)[..., None, None]
        below = own + u[..., None, :] @ K @ u[..., :, None]
    top = row @ u[..., :, None]
    step = step_of(top, below, "tr(H E u u^T)") * (c / h)[..., 0, 0]
    return xp.astype(step, dtype, copy=False)

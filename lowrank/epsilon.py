r"""What epsilon does.

A small number under the root, $u=x/\sqrt{x^2+\varepsilon^2}$, makes a step that lies between the
sign of a noisy gradient $x$ and the gradient itself: what are $\mathbb{E}u$ and $\mathbb{E}u^2$,
and how do they move the best step?

Generated from book/companions/epsilon.ipynb; edit the chapter.
"""

import math
from functools import cache

import numpy as np
from scipy import special

from lowrank.arrays import array_namespace, constant, fixed, is_numpy_array, power_of_two, quiet
from lowrank.batch_size import (
    as_reals,
    by_unit,
    check_broadcast,
    check_range,
    check_sizes,
    gauss_rule,
    integrate,
    step_of,
)

__all__ = ["softsign_mean", "softsign_second", "optimal_lr_softsign"]


# %% book/companions/epsilon.ipynb: _ratios
_CERTAIN = 1e8


def _ratios(g, sigma, B, eps):
    """a, e, softsign of g itself, and where that is the result to round-off."""
    xp = array_namespace(g)
    spread = sigma / xp.sqrt(B)
    unit = power_of_two(xp.maximum(xp.maximum(xp.abs(g), spread), eps + 0 * g))
    x, y, s = g / unit, eps / unit, spread / unit
    square = x * x + y * y
    size = xp.sqrt(xp.where(square > 0, square, 1.0))
    certain = (square == 0) & (s == 0) | (square > 0) & (size >= _CERTAIN * s)
    s = xp.where(certain, 1.0, s)
    one = lambda v: xp.where(certain, 1.0, v) / s
    return one(x), one(y), x / size, certain


# %% book/companions/epsilon.ipynb: _double_rule
@fixed
@cache
def _double_rule():
    """t^2 and weights for even functions of t, which have the factor (1 + t^2)^(-3/2) besides."""
    r = np.linspace(0, 3.45, 72)
    t, w = 0.6 * np.sinh(np.sinh(r)), 0.6 * np.cosh(r) * np.cosh(np.sinh(r)) * r[1]
    w[0] /= 2
    return tuple((t * t).tolist()), tuple((w * (1 + t * t)**-1.5).tolist())


def _corner_mean(a, e):
    """E u / a for |a| < 8 and e < 3/2."""
    xp, a2, e2 = array_namespace(a), a * a / -2, e * e / -2
    f = lambda t2: xp.exp(e2 * t2 + a2 * (t2 / (1 + t2)))
    return (2 / math.pi)**0.5 * integrate(f, a, _double_rule())


# %% book/companions/epsilon.ipynb: _corner_second
def _corner_second(a, e):
    """E u^2 there, in its third form; for NumPy up to where the profile loses three digits."""
    xp = array_namespace(a)
    if is_numpy_array(a):                                        # there the profile is compiled
        return 1 - math.pi * e * special.voigt_profile(a, 1, e)
    alpha, ae = (a * a - e * e) / 2, a * e

    def f(t):
        k = 1 - t * t
        return xp.exp(-alpha * k) * (a * xp.sin(ae * k) - e * xp.cos(ae * k))
    J = (2 / math.pi)**0.5 * integrate(f, a, gauss_rule(32))
    return 1 - (math.pi / 2)**0.5 * e * (xp.exp(-alpha) * xp.cos(ae) + J)


# %% book/companions/epsilon.ipynb: _smooth_mean
_REACH = 8.3                                                     # exp(-8.3^2 / 2) is 1e-15


def _smooth_mean(a, e):
    """E u / a outside of the corner, in sin(phi)."""
    xp = array_namespace(a)
    near = _REACH / xp.clip(xp.abs(a), min=_REACH)
    top = constant(xp.minimum(near, _REACH / xp.sqrt(_REACH**2 + e * e)))

    def f(x):
        s2 = (top * x)**2
        return xp.exp(-s2 * (a * a + e * e / (1 - s2)) / 2)
    return (2 / math.pi)**0.5 * top * integrate(f, a, gauss_rule(32))


def _smooth_second(a, e):
    """E u^2 there, in phi."""
    xp = array_namespace(a)
    near = xp.asin(_REACH / xp.clip(xp.abs(a), min=_REACH))
    top = constant(xp.minimum(near, xp.atan2(_REACH + 0 * e, e)))

    def f(x):
        s = xp.sin(top * x)
        c2 = 1 - s * s
        return xp.exp(-s * s * (a * a + e * e / c2) / 2) * s * (1 + a * a * c2)
    return top * integrate(f, a, gauss_rule(32))


# %% book/companions/epsilon.ipynb: _moment
def _moment(a, e, second):
    """E u^2, or E u / a."""
    xp = array_namespace(a)
    a, e = a + 0 * e, e + 0 * a
    inner, outer = (_corner_second, _smooth_second) if second else (_corner_mean, _smooth_mean)
    if is_numpy_array(a):                                        # each entry once
        a, e = np.asarray(a), np.asarray(e)
        corner = e * e < 1000 * (1 + a * a) if second else (np.abs(a) < 8) & (e < 1.5)
        found = np.empty_like(a)
        found[corner] = inner(a[corner], e[corner])
        found[~corner] = outer(a[~corner], e[~corner])
        return found[()]
    corner = (xp.abs(a) < 8) & (e < 1.5)
    return xp.where(corner, inner(xp.where(corner, a, 1.0), xp.where(corner, e, 1.0)),
                    outer(xp.where(corner, 9.0, a), xp.where(corner, 9.0, e)))


def _means(g, sigma, B, eps, moments="ms"):
    """E u and E u^2, as `moments` asks."""
    xp = array_namespace(g)
    a, e, u, certain = _ratios(g, sigma, B, eps)
    found = {"m": lambda: xp.where(certain, u, a * _moment(a, e, False)),
             "s": lambda: xp.where(certain, u * u, _moment(a, e, True))}
    return [found[moment]() for moment in moments]


# %% book/companions/epsilon.ipynb: _check_signs
def _check_signs(sigma, B, eps):
    """Refuse what is below 0."""
    check_range(sigma, "sigma", 0)
    check_range(B, "B", 0, strict=True)
    check_range(eps, "eps", 0)


def _broadcasting(**given):
    """xp, dtype and four arrays of shapes that broadcast."""
    xp, dtype, *arrays = as_reals(**given)
    _check_signs(*arrays[1:])
    check_broadcast(**dict(zip(given, arrays)))
    return xp, dtype, arrays


# %% book/companions/epsilon.ipynb: softsign_mean
@quiet
def softsign_mean(g, sigma, B, eps):
    r"""The mean of x / sqrt(x^2 + eps^2) for the mean x of B normal numbers.

    Parameters
    ----------
    g : array, shape (...)
        Means, of NumPy, PyTorch or JAX.
    sigma : array, shape (...)
        Standard deviations of single samples, >= 0.
    B : array, shape (...)
        Batch size > 0, a number or an array.
    eps : array, shape (...)
        The number under the root, >= 0; 0 gives the sign. All four broadcast.

    Returns
    -------
    array, shape (...)
        Between -1 and 1, in the dtype of the arrays; half precision is computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not broadcast, sigma < 0, B <= 0 or eps < 0.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    Relative errors below 1e-10 in float64, with 72 exponentials for an entry, or 32 where eps or
    g are large beside the noise. Adam adds eps to the root, not under it: that is another
    function. Derivatives are those of the quadrature. Derived in
    :prf:ref:`softsign-mean-integral`.

    Examples
    --------
    >>> from lowrank import softsign_mean
    >>> softsign_mean([0.3, 0.5], 1.0, [8, 1], [0.3, 5]).round(7)
    array([0.4720462, 0.0943527])
    """
    xp, dtype, given = _broadcasting(g=g, sigma=sigma, B=B, eps=eps)
    return xp.astype(_means(*given, "m")[0], dtype, copy=False)


@quiet
def softsign_second(g, sigma, B, eps):
    r"""The mean of x^2 / (x^2 + eps^2) for the mean x of B normal numbers.

    Parameters
    ----------
    g : array, shape (...)
        As for `softsign_mean`.
    sigma : array, shape (...)
        As for `softsign_mean`.
    B : array, shape (...)
        As for `softsign_mean`.
    eps : array, shape (...)
        As for `softsign_mean`.

    Returns
    -------
    array, shape (...)
        Between 0 and 1, in the dtype of the arrays; 1 for eps = 0, but 0 where g and sigma are
        0 too.

    Raises
    ------
    ValueError
        As for `softsign_mean`.
    TypeError
        As for `softsign_mean`.

    Notes
    -----
    1 - pi eps V with Voigt's profile V, without its cancellation for large eps: relative errors
    below 1e-12 in float64, with 32 exponentials for an entry, or SciPy's profile. Derived in
    :prf:ref:`softsign-second-moment`.

    Examples
    --------
    >>> from lowrank import softsign_second
    >>> softsign_second([0.3, 0.5], 1.0, [8, 1], [0.3, 5]).round(7)
    array([0.4986225, 0.0440303])
    """
    xp, dtype, given = _broadcasting(g=g, sigma=sigma, B=B, eps=eps)
    return xp.astype(_means(*given, "s")[0], dtype, copy=False)


# %% book/companions/epsilon.ipynb: optimal_lr_softsign
@quiet
def optimal_lr_softsign(g, sigma, H, B, eps):
    r"""The step of softsigns of gradients from B samples that lowers a quadratic loss most.

    Parameters
    ----------
    g : array, shape (..., d)
        Mean gradient, of NumPy, PyTorch or JAX.
    sigma : array, shape (..., d)
        Standard deviations of single samples, whose entries are taken to be independent.
    H : array, shape (..., d, d)
        Hessian, symmetric.
    B : array, shape (...)
        Batch size > 0, a number or an array, whose axes broadcast with the leading ones.
    eps : array, shape (...)
        The number under the root, >= 0, in the units of g; a number or an array like B.

    Returns
    -------
    array, shape (...)
        g^T E u / tr(H E u u^T), in the dtype of the arrays.

    Raises
    ------
    ValueError
        NaN or Inf, shapes, sigma < 0, B <= 0, eps < 0, or a denominator <= 0, where there is no
        finite best step.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    `optimal_lr_sign` for eps = 0, and eps times `optimal_lr_sgd` for large eps; those two know
    correlations, this one does not. Derived in :prf:ref:`softsign-ends`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import optimal_lr_softsign
    >>> g, sigma, H = np.array([1.0, 0.5]), np.array([1.0, 2.0]), np.array([[2.0, 1], [1, 1]])
    >>> optimal_lr_softsign(g, sigma, H, 8, [0, 0.1, 1]).round(4)
    array([0.3111, 0.3234, 0.4929])
    """
    xp, dtype, g, sigma, H, B, eps = as_reals(g=g, sigma=sigma, H=H, B=B, eps=eps)
    _check_signs(sigma, B, eps)
    check_sizes(g, B, H=H)
    if sigma.shape != g.shape:
        raise ValueError(f"sigma has shape {tuple(sigma.shape)}; allowed is that of g, "
                         f"{tuple(g.shape)}")
    check_broadcast(B=B, eps=eps)
    m, s = _means(g, sigma, B[..., None], eps[..., None])
    (row, c), (K, h) = by_unit(g[..., None, :]), by_unit(H)
    own = xp.sum(xp.linalg.diagonal(K) * (s - m * m), axis=-1)[..., None, None]
    below = own + m[..., None, :] @ K @ m[..., :, None]
    step = step_of(row @ m[..., :, None], below, "tr(H E u u^T)") * (c / h)[..., 0, 0]
    return xp.astype(step, dtype, copy=False)

r"""The best composition of odd polynomials.

Which steps $p_1,\dots,p_T$ bring all singular values in $[l,u]$ closest to 1,
$\min_{p_T\circ\dots\circ p_1}\ \max_{l\le x\le u}\lvert 1-p_T(\dots p_1(x))\rvert$?

Generated from book/matrix_sign/polar_express.ipynb; edit the chapter.
"""

from functools import lru_cache
from math import isfinite

import mpmath
import numpy as np

from lowrank.conventions import _check_count
from lowrank.newton_schulz import pade_step

__all__ = ["Schedule", "optimal_msign_schedule"]


# %% book/matrix_sign/polar_express.ipynb: _horner
def _horner(b, t):
    """b_0 + b_1 t + b_2 t^2 + ..."""
    value = b[-1]
    for c in b[-2::-1]:
        value = value * t + c
    return value


def _interpolate(t, v):
    """Coefficients b_0, b_1, ... of the polynomial through the points (t_i, v_i)."""
    v = list(v)
    for k in range(1, len(t)):                              # divided differences
        for i in range(len(t) - 1, k - 1, -1):
            v[i] = (v[i] - v[i - 1]) / (t[i] - t[i - k])
    b = [v[-1]]
    for node, value in zip(t[-2::-1], v[-2::-1]):           # b <- value + (t - node) b
        b = [value - node * b[0], *(p - node * q for p, q in zip(b, b[1:])), b[-1]]
    return b


def _real_roots(g):
    """The roots, all real and simple, of g_0 + g_1 t + ...: found in floats, then polished."""
    size = max(map(abs, g))
    g = [c / size for c in g]
    slope = [k * c for k, c in enumerate(g)][1:]
    roots = []
    for t in np.sort(np.roots([float(c) for c in g[::-1]]).real).tolist():
        t, step = mpmath.mpf(t), mpmath.inf
        while (step_before := abs(step)) > mpmath.eps:
            step = _horner(g, t) / _horner(slope, t)
            if abs(step) >= step_before:                    # only round-off is left
                break
            t -= step
        roots.append(t)
    return roots


# %% book/matrix_sign/polar_express.ipynb: _best_step
def _best_step(l, u, q):
    """(c, E): the odd polynomial of degree 2 q + 1 that is closest to 1 on [l, u], and its error."""
    m, r = (u * u + l * l) / 2, (u * u - l * l) / 2         # x^2 = m + r t with t in [-1, 1]
    corners = [mpmath.cospi(mpmath.mpf(q + 1 - i) / (q + 1)) for i in range(1, q + 1)]
    x = [l, *((u + l) / 2 + (u - l) / 2 * z for z in corners), u]
    t = [-1, *((z * z - m) / r for z in x[1:-1]), 1]
    signs = [(-1)**i for i in range(q + 2)]
    for _ in range(50):
        w = [1 / (z * mpmath.fprod(a - b for b in t if b != a)) for a, z in zip(t, x)]
        E = mpmath.fsum(w) / mpmath.fsum(s * z for s, z in zip(signs, w))
        b = _interpolate(t[1:], [(1 - s * E) / z for s, z in zip(signs[1:], x[1:])])
        slope = [(2 * k + 1) * b[k] + 2 * m / r * (k + 1) * b[k + 1] for k in range(q)]
        t = [-1, *_real_roots([*slope, (2 * q + 1) * b[q]]), 1]
        x = [l, *(mpmath.sqrt(m + r * z) for z in t[1:-1]), u]
        largest = max(abs(1 - z * _horner(b, a)) for a, z in zip(t, x))
        if largest - E <= 1e-20 * E:
            break
    c = [b[q]]
    for value in b[q - 1::-1]:                              # t = (y - m) / r
        shifted = [-m / r * c[0], *((p - m * z) / r for p, z in zip(c, c[1:])), c[-1] / r]
        c = [value + shifted[0], *shifted[1:]]
    return c, E


# %% book/matrix_sign/polar_express.ipynb: _next_step
_TINY = 1e-40          # below this half-width the best step is the Pade step, to 40 digits


def _next_step(E, q, cushion, safety):
    """(c, E'): a step of degree 2 q + 1 that takes [1 - E, 1 + E] into [1 - E', 1 + E']."""
    if E < _TINY:
        order = mpmath.mpf(q + 1)
        growth = mpmath.binomial(2 * q, q) * (2 * q + 1) / (4**q * order)
        return pade_step(2 * q + 1), growth * E**order * (2**q if safety else 1)
    l, u = 1 - E, (1 + E) * (1 + safety)
    c, error = _best_step(max(l, cushion * u), u, q)
    low, high = min(1 - error, l * _horner(c, l * l)), 1 + error
    c, error = [z * 2 / (low + high) for z in c], (high - low) / (high + low)
    if safety:
        pade = pade_step(2 * q + 1)
        ends = [abs(1 - x * _horner(pade, x * x)) for x in (1 - E, 1 + E)]
        if max(ends) <= error:
            return pade, max(ends)
    return c, error


# %% book/matrix_sign/polar_express.ipynb: Schedule
class Schedule(tuple):
    """The steps of a composition, each a tuple c_1, c_3, ...; see `optimal_msign_schedule`.

    Attributes
    ----------
    errors : tuple of float
        errors[t] bounds |1 - x| for what t + 1 steps make of the interval.
    bounds : tuple of pairs of float
        bounds[t] is the interval for which step t is made.
    """

    def __new__(cls, steps, errors, bounds):
        self = super().__new__(cls, steps)
        vars(self).update(errors=tuple(errors), bounds=tuple(bounds))
        return self

    def __setattr__(self, name, value):
        raise AttributeError("a Schedule cannot be changed")


@lru_cache(maxsize=256)
def _compose(degrees, steps, tol, lower, upper, cushion, safety, dps):
    """The schedule of so many steps, or down to tol; the last degree is repeated."""
    made, errors, bounds, scale = [], [], [(lower, upper)], 2 / (lower + upper)
    with mpmath.workdps(dps):
        l, u = mpmath.mpf(lower), mpmath.mpf(upper)
    with mpmath.workdps(dps + int(mpmath.log10(u / l))):
        E = (u - l) / (u + l)
    while len(made) < steps if tol is None else E > tol or not made:
        q = degrees[min(len(made), len(degrees) - 1)] // 2
        scale = mpmath.mpf(1) if made else 2 / (l + u)
        lost = (q + 1) * -mpmath.log10(E) if E > _TINY else 0
        with mpmath.workdps(dps + int(max(lost, mpmath.log10(u / l)))):
            c, error = _next_step(E, q, cushion, safety)
            made.append(tuple(float(z * scale**(2 * k + 1)) for k, z in enumerate(c)))
        if tol is not None and tol < error >= E:
            raise ValueError(f"tol is {tol} and cannot be reached with safety {safety}")
        E = error
        errors.append(float(E))
        bounds.append((float(1 - E), float(1 + E)))
    return Schedule(made, errors, bounds[:-1] or [])


# %% book/matrix_sign/polar_express.ipynb: optimal_msign_schedule
def _check_fraction(value, name):
    """value as a float with 0 <= value < 1."""
    if not 0 <= float(value) < 1:
        raise ValueError(f"{name} is {value!r}; allowed is a number with 0 <= {name} < 1")
    return float(value)


def optimal_msign_schedule(steps=None, degree=5, lower=1e-3, *, upper=1.0, tol=None,
                           cushion=0.0, safety=0.0, dps=None):
    r"""The odd polynomials that minimise max |1 - p_T(...p_1(x))| over l <= x <= u."""
    degrees = tuple(np.atleast_1d(degree).tolist())
    for d in degrees:
        pade_step(d)                                        # refuses what is no odd degree
    lower, upper = float(lower), float(upper)
    if not 0 < lower <= upper or not isfinite(upper):
        raise ValueError(f"lower is {lower!r} and upper is {upper!r}; allowed is 0 < lower <= upper")
    if steps is None and tol is None and np.ndim(degree):
        steps = len(degrees)
    if (steps is None) == (tol is None):
        raise ValueError(f"steps is {steps!r} and tol is {tol!r}; give exactly one of them")
    if steps is not None:
        steps = _check_count(steps, "steps", 0)
    elif not 0 < float(tol) < 1:
        raise ValueError(f"tol is {tol!r}; allowed is a number with 0 < tol < 1")
    cushion, safety = _check_fraction(cushion, "cushion"), _check_fraction(safety, "safety")
    dps = max(30, 0 if dps is None else _check_count(dps, "dps", 1))
    return _compose(degrees, steps, tol, lower, upper, cushion, safety, dps)

r"""The best composition of odd polynomials.

Which odd polynomials $p_1,\dots,p_T$ bring all numbers in $[\ell,u]$ closest to 1, with the
smallest $\max_{\ell\le x\le u}\lvert1-p_T(\dots p_1(x))\rvert$?

Generated from book/matrix_sign/polar_express.ipynb; edit the chapter.
"""

from functools import lru_cache

import mpmath
import numpy as np
from numpy.polynomial.chebyshev import chebadd, chebder, chebmulx, chebroots, chebval

from lowrank.arguments import check_count, check_tol
from lowrank.equioscillation import Space, first_points, levelled
from lowrank.newton_schulz import pade_step, three_products

__all__ = ["Schedule", "optimal_msign_schedule", "best_degrees"]


# %% book/matrix_sign/polar_express.ipynb: _turning_points
def _turning_points(space, c):
    """The ends, and between them the zeros of p' for p(x) = x h(s), h with coefficients c."""
    l, u, dh = space.lo, space.hi, chebder(c)
    slope = chebadd(c, 2 * chebadd(chebmulx(dh), (u * u + l * l) / (u * u - l * l) * dh))
    s = space.numbers(np.sort(chebroots((slope / abs(slope).max()).astype(float)).real))
    bend = chebder(slope)
    for _ in range(((space.dps or 0) // 30).bit_length()):          # each doubles the digits
        s = s - chebval(s, slope) / chebval(s, bend)
    return np.concatenate([[l], space.point(s), [u]])


# %% book/matrix_sign/polar_express.ipynb: _best_step
def _best_step(l, u, q):
    """(c, E): the odd polynomial of degree 2 q + 1 closest to 1 on [l, u], and its error."""
    space, one = Space(2 * q + 1, "odd", l, u, mpmath.mp.dps), np.full(q + 2, 1)
    x = first_points(space)
    if l < u / 10:
        rough = space._replace(lo=max(float(l / u), 1e-8), hi=1.0, dps=None)
        x = first_points(rough)
        for _ in range(4):
            x = _turning_points(rough, levelled(rough, x, one, one, one)[2])
        x = np.concatenate([[l], space.numbers(x[1:-1]) * u, [u]])
    before = -1
    for _ in range(50):
        _, E, c, _ = levelled(space, x, one, one, one)
        if E <= before:                                     # the level rises, but for rounding
            break
        x, before = _turning_points(space, c), E
        if abs(1 - space(c, x)).max() - E <= 1e-20 * min(E, 1 - E):
            break
    return space.powers(c)[1::2].tolist(), E


# %% book/matrix_sign/polar_express.ipynb: _half_width
def _half_width(lower, upper, dps=30):
    """E with [lower, upper] = a multiple of [1 - E, 1 + E]."""
    l, u = mpmath.mpf(lower), mpmath.mpf(upper)
    with mpmath.workdps(dps + int(mpmath.log10(u / l))):
        return (u - l) / (u + l)


def _lost_digits(E, q):
    """How many digits cancel in a step of degree 2 q + 1 on [1 - E, 1 + E]."""
    return int(max(mpmath.log10((1 + E) / (1 - E)), -(q + 1) * mpmath.log10(E)))


# %% book/matrix_sign/polar_express.ipynb: _next_step
_TINY = mpmath.mpf(10)**-40


@lru_cache(maxsize=1024)
def _next_step(E, q, cushion, safety, dps=30):
    """(c, E'): a step of degree 2 q + 1 that takes [1 - E, 1 + E] into [1 - E', 1 + E']."""
    pade = pade_step(2 * q + 1)
    if E < _TINY:
        constant = 2 * mpmath.binomial(2 * q + 2, q + 1) / mpmath.mpf(4)**(q + 1)
        return pade, constant * E**(q + 1) * (2**q if safety else 1)
    with mpmath.workdps(dps + _lost_digits(E, q)):
        l, u = 1 - E, (1 + E) * (1 + mpmath.mpf(safety))
        c, error = _best_step(max(l, cushion * u), u, q)
        low, high = min(1 - error, l * mpmath.polyval(c[::-1], l * l)), 1 + error
        if safety:                                          # near 1 Padé's step needs no room
            far = max(abs(1 - x * mpmath.polyval(pade[::-1], x * x)) for x in (1 - E, 1 + E))
            if far <= (high - low) / (high + low):
                return pade, far
        return [z * 2 / (high + low) for z in c], (high - low) / (high + low)


# %% book/matrix_sign/polar_express.ipynb: Schedule
class Schedule(tuple):
    """The steps of a composition, each a tuple c_1, c_3, ...; see `optimal_msign_schedule`.

    Attributes
    ----------
    errors : tuple of float
        ``errors[t]`` bounds abs(1 - x) for what the steps 0 to t make of the range.
    bounds : tuple of pairs of float
        ``bounds[t]`` is the range (l_t, u_t) of the values that come to step t.
    """

    def __new__(cls, steps, errors, bounds):
        self = super().__new__(cls, steps)
        vars(self).update(errors=tuple(errors), bounds=tuple(bounds))
        return self

    def __getnewargs__(self):                               # for copies and pickles
        return tuple(self), self.errors, self.bounds

    def __setattr__(self, name, *value):
        raise AttributeError(f"{name} of a Schedule cannot be set")

    __delattr__ = __setattr__


# %% book/matrix_sign/polar_express.ipynb: _compose
@lru_cache(maxsize=256)
def _compose(degrees, steps, tol, lower, upper, cushion, safety, dps):
    """The schedule of so many steps, or as many as tol needs; the last degree is repeated."""
    E, scale = _half_width(lower, upper, dps), 2 / (mpmath.mpf(lower) + mpmath.mpf(upper))
    made, errors, bounds = [], [], [(lower, upper)]
    while (len(made) < steps) if tol is None else (not made or E > tol):
        q = degrees[min(len(made), len(degrees) - 1)] // 2
        c, error = _next_step(E, q, cushion, safety, dps)
        made.append(tuple(float(z * scale**(2 * k + 1)) for k, z in enumerate(c)))
        if not np.isfinite(made[-1]).all():
            raise ValueError(f"upper is {upper} and the degree {2 * q + 1}; allowed is what "
                             "keeps the coefficients below the largest float")
        if tol is not None and tol < error >= E:
            raise ValueError(f"tol is {tol} and out of reach: with degree {degrees}, cushion "
                             f"{cushion} and safety {safety} the error stays at {float(E):.1g}")
        E, scale = error, 1
        errors.append(float(E))
        bounds.append((float(1 - E), float(1 + E)))
    return Schedule(made, errors, bounds[:-1])


# %% book/matrix_sign/polar_express.ipynb: _check_degrees
def _check_degrees(degree):
    """The degree, or a sequence of degrees, as a tuple of odd integers from 3."""
    degrees = tuple(degree) if np.ndim(degree) else (degree,)
    for d in degrees:
        pade_step(d)                                        # refuses all others
    return degrees


def _check_range(lower, upper):
    """Two floats with 0 < lower <= upper."""
    said = (f"lower is {lower!r} and upper is {upper!r}; "
            "allowed are finite numbers with 0 < lower <= upper")
    try:
        lower, upper = float(lower), float(upper)
    except (TypeError, ValueError):
        raise TypeError(said) from None
    if not 0 < lower <= upper < float("inf"):
        raise ValueError(said)
    return lower, upper


# %% book/matrix_sign/polar_express.ipynb: optimal_msign_schedule
def optimal_msign_schedule(steps=None, degree=5, lower=1e-3, *, upper=1.0, tol=None,
                           cushion=0.0, safety=0.0, dps=None):
    r"""The odd p_1, ..., p_T that minimise max abs(1 - p_T(...p_1(x))), lower <= x <= upper.

    Parameters
    ----------
    steps : int >= 0, optional
        T. Give this or ``tol``, or neither if ``degree`` is a sequence.
    degree : int or sequence of int, default 5
        The degrees of the steps, odd numbers from 3. Of a sequence the last one is repeated.
    lower, upper : float, 0 < lower <= upper
        The range in which the singular values lie after normalisation.
    tol : float, 0 < tol < 1, optional
        Take as many steps, at least one, as bring the error down to ``tol``.
    cushion : float, 0 <= cushion < 1, default 0
        No step is made for a range longer than from ``cushion * u`` to u. Keeps the
        backward error near ``eps / cushion``; 0.02 to 0.1 are usual.
    safety : float, 0 <= safety < 1, default 0
        Room for rounding errors: each step is made for, and its range computed on, an interval
        that ends at ``(1 + safety) * u``, and Padé's step is taken as soon as it is better.
        1e-6, 1e-4 and 2e-2 suit float64, float32 and bfloat16.
    dps : int, optional
        Digits to compute with besides those that cancel, at least and by default 30.

    Returns
    -------
    Schedule
        A tuple of T steps, each c_1, c_3, ..., coefficients in ascending odd powers: what
        `apply_schedule` takes. ``.errors`` are E_1, ..., E_T, and ``.bounds`` the intervals
        (l_t, u_t) from which the steps start.

    Raises
    ------
    ValueError
        An even degree, lower not in (0, upper], steps and tol both or neither, an option out
        of range, a tol that cannot be reached with this cushion and safety.
    TypeError
        steps, degree or dps that are no integers, or another argument that is no number.

    See Also
    --------
    best_degrees : the degrees for a budget of matrix products.
    apply_schedule : multiplies a matrix by these steps.

    Notes
    -----
    Without cushion and safety no composition of polynomials of these degrees has a smaller
    error. About abs(log10(E_t)) digits cancel in E_t, so the computation takes as many more.
    The errors are those of the exact steps; rounded coefficients may change the tenth digit.
    Milliseconds per step; the last 256 results are kept.
    Derived in :ref:`polar-express-one`, :prf:ref:`best-odd-step`, :prf:ref:`greedy-optimal` and
    :prf:ref:`range-with-margins`; Amsel, Persson, Musco and Gower (2025).

    Examples
    --------
    >>> from lowrank import optimal_msign_schedule
    >>> schedule = optimal_msign_schedule(8, degree=5, lower=1e-3)
    >>> [f"{E:.2e}" for E in schedule.errors[4:]]
    ['1.13e-01', '9.16e-04', '4.81e-10', '6.96e-29']
    >>> [round(c, 4) for c in schedule[0]]
    [8.4703, -25.1081, 18.6293]
    >>> len(optimal_msign_schedule(tol=1e-3, degree=9, lower=1e-5))
    7
    """
    degrees = _check_degrees(degree)
    if steps is None and tol is None and np.ndim(degree):
        steps = len(degrees)
    if (steps is None) == (tol is None) or not degrees:
        raise ValueError(f"steps is {steps!r}, tol is {tol!r} and degree is {degree!r}; "
                         "give exactly one of steps and tol, and a degree")
    if steps is not None:
        steps = check_count(steps, "steps", 0)
    elif not check_tol(tol):
        raise ValueError(f"tol is {tol!r}; allowed is a number with 0 < tol < 1")
    return _compose(degrees, steps, tol, *_check_range(lower, upper),
                    check_tol(cushion, "cushion"), check_tol(safety, "safety"),
                    max(30, 0 if dps is None else check_count(dps, "dps", 1)))


# %% book/matrix_sign/polar_express.ipynb: count_products
def count_products(c):
    """Matrix products in a step: X X^H, those of `matrix_polynomial`, and the one with X."""
    q = len(c) - 1
    if q == 8 and three_products(c):
        return 5
    return 2 + min(s - 1 + (q - 1) // s for s in range(min(q, 2), q + 1))


# %% book/matrix_sign/polar_express.ipynb: best_degrees
def best_degrees(products, lower=1e-3, *, upper=1.0, degrees=(3, 5, 9, 17)):
    r"""Degrees whose best steps minimise max abs(1 - p_T(...p_1(x))) for a budget of products.

    Parameters
    ----------
    products : int >= 0
        The budget.
    lower, upper : float, 0 < lower <= upper
        The range of the singular values.
    degrees : sequence of int, default (3, 5, 9, 17)
        What to choose from. They cost 2, 3, 4 and 5 products.

    Returns
    -------
    tuple of int
        To be passed to `optimal_msign_schedule` as ``degree``. Empty if nothing is affordable.

    Raises
    ------
    ValueError
        A negative budget, an even degree, lower not in (0, upper].
    TypeError
        A budget or a degree that is not an integer.

    Notes
    -----
    Exact, by dynamic programming: ``products`` times ``len(degrees)`` steps are computed.
    Rounding is not a part of the problem: degree 9 costs one digit in double precision and
    degree 17 two, and both are of no use in bfloat16: give ``degrees=(3, 5)`` there.
    Derived in :ref:`polar-express-budget`, :prf:ref:`best-budget`.

    Examples
    --------
    >>> from lowrank import best_degrees, optimal_msign_schedule
    >>> best_degrees(16)
    (3, 9, 17, 17)
    """
    products = check_count(products, "products", 0)
    costs = {d: count_products(pade_step(d)) for d in _check_degrees(degrees)}
    best = [(_half_width(*_check_range(lower, upper)), ())]
    for budget in range(1, products + 1):
        best.append(best[-1])
        for d, cost in costs.items():
            if cost <= budget:
                E, before = best[budget - cost]
                E = _next_step(E, d // 2, 0.0, 0.0)[1]
                if E < best[budget][0]:
                    best[budget] = E, (*before, d)
    return best[-1][1]

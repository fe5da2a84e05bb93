r"""The best composition of odd polynomials.

Which odd polynomials $p_1,\dots,p_T$ bring all numbers in $[\ell,u]$ closest to 1, with the
smallest $\max_{\ell\le x\le u}\lvert1-p_T(\dots p_1(x))\rvert$?

Generated from book/matrix_sign/polar_express.ipynb; edit the chapter.
"""

import math
from bisect import bisect_left
from functools import lru_cache
from operator import le

import mpmath
import numpy as np
from numpy.polynomial.chebyshev import chebadd, chebder, chebmulx, chebroots, chebtrim, chebval

from lowrank.arguments import check_count, check_tol
from lowrank.equioscillation import Space, first_points, levelled
from lowrank.newton_schulz import pade_step, three_products

__all__ = ["Schedule", "optimal_msign_schedule", "best_degrees"]


# %% book/matrix_sign/polar_express.ipynb: _turning_points
def _turning_points(space, c):
    """The ends, and between them the zeros of p' for p(x) = x h(s), h with coefficients c."""
    l, u, dh = space.lo, space.hi, chebder(c)
    slope = chebadd(c, chebadd(chebmulx(dh), dh * ((u * u + l * l) / (u * u - l * l))) * 2)
    slope = chebtrim(slope / abs(slope).max(), 1e-100)
    s = space.numbers(np.sort(chebroots(slope.astype(float)).real))
    bend = chebder(slope)
    for _ in range(((space.dps or 0) // 30).bit_length()):          # each doubles the digits
        s = s - chebval(s, slope) / chebval(s, bend)
    return np.concatenate([[l], space.point(np.minimum(np.maximum(s, -1), 1)), [u]])


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
    l, u = mpmath.mpmathify(lower), mpmath.mpmathify(upper)         # all their digits
    with mpmath.workdps(dps + int(mpmath.log10(u / l))):
        return (u - l) / (u + l)


def _lost_digits(E, q):
    """How many digits cancel in a step of degree 2 q + 1 on [1 - E, 1 + E]."""
    return int(max(mpmath.log10((1 + E) / (1 - E)), -(q + 1) * mpmath.log10(E)))


# %% book/matrix_sign/polar_express.ipynb: _values
def _values(c, x):
    """p(x), for coefficients that are floats or numbers of mpmath."""
    return x * sum((x * x)**k * mpmath.mpf(z) for k, z in enumerate(c))


def _contacts(c, l, u):
    """The ends of [l, u] and the turning points of p between them."""
    middle, radius, h = (u * u + l * l) / 2, (u * u - l * l) / 2, np.array([mpmath.mpf(0)])
    for z in c[::-1]:                                       # Horner's rule, y = middle + radius s
        h = chebadd(chebadd(h * middle, chebmulx(h) * radius), [mpmath.mpf(z)])
    return _turning_points(Space(2 * len(c) - 1, "odd", l, u, mpmath.mp.dps), h)


# %% book/matrix_sign/polar_express.ipynb: _rounded
def _rounded(c, x):
    """c in floats; of all c_1, the one that changes the extremes of p, which lie at x, least."""
    exact, first, others = _values(c, x), float(c[0]), [float(z) for z in c[1:]]
    low, high, unit = exact.min(), exact.max(), mpmath.mpf(math.ulp(first))
    values = _values([first, *others], x)

    def lost(k):
        """By c_1 + k units: below, as a share of min(E, 1 - E), and above, of E."""
        moved = values + x * (k * unit)
        return (low - moved.min()) / min(high - 1, low), (moved.max() - high) / (high - 1)

    most = 2**24
    k = bisect_left(range(-most, most), True, key=lambda k: le(*lost(k))) - most
    k = min(k - 1, k, key=lambda k: max(lost(k)))
    return (float(first + k * unit), *others)


# %% book/matrix_sign/polar_express.ipynb: _next_step
@lru_cache(maxsize=1024)
def _next_step(l, u, q, cushion, safety, dps=30):
    """(c, a, b): a step of degree 2 q + 1 in floats, and [a, b], what it makes of [l, u]."""
    with mpmath.workdps(dps + 30):
        u = max(u, l * (1 + mpmath.mpf(10)**-20))
        wide = u * (1 + mpmath.mpf(safety))
    with mpmath.workdps(dps + _lost_digits(_half_width(l, u, dps), q)):
        c = _best_step(max(l, cushion * wide), wide, q)[0]
        x = _contacts(c, l, wide)
        values = _values(c, x)
        c = _rounded([z * 2 / (values.min() + values.max()) for z in c], x)
        values = _values(c, _contacts(c, l, wide))
        if q < 16:                                          # near 1 Padé's step needs no room
            pade = pade_step(2 * q + 1)
            near = _values(pade, np.array([l, min(max(l, mpmath.mpf(1)), u), u]))
            if abs(1 - near).max() <= abs(1 - values).max():
                c, values = pade, near
        return c, values.min(), values.max()


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


# %% book/matrix_sign/polar_express.ipynb: _outwards
def _outwards(value, towards):
    """The float nearest to value that does not lie on its other side."""
    near = float(value)
    beyond = near < value if towards > 0 else near > value
    return math.nextafter(near, towards) if beyond else near


@lru_cache(maxsize=256)
def _compose(degrees, steps, tol, lower, upper, cushion, safety, dps):
    """The schedule of so many steps, or as many as tol needs; the last degree is repeated."""
    if abs(degrees[0] * math.log10(upper)) > 300:
        raise ValueError(f"upper is {upper} and the degree {degrees[0]}; allowed is what keeps "
                         "the coefficients in the range of floats")
    l, u, E = mpmath.mpf(lower), mpmath.mpf(upper), float(_half_width(lower, upper))
    made, errors, bounds = [], [], [(lower, upper)]
    while (len(made) < steps) if tol is None else (not made or E > tol):
        q = degrees[min(len(made), len(degrees) - 1)] // 2
        c, l, u = _next_step(l, u, q, cushion, safety, dps)
        error = _outwards(max(1 - l, u - 1), math.inf)
        if tol is not None and tol < error >= E:
            raise ValueError(f"tol is {tol} and out of reach: with degree {degrees}, cushion "
                             f"{cushion} and safety {safety} the error stays at {E:.1g}")
        E = error
        made.append(c)
        errors.append(E)
        bounds.append((_outwards(l, -math.inf), _outwards(u, math.inf)))
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
    Without cushion and safety the exact steps have the smallest error of all compositions of
    polynomials of these degrees. Errors and bounds hold for the coefficients that are returned,
    which are rounded: such errors are at most ``1e-9 * E_t + 4 * eps`` above the smallest, for
    degrees up to 9 and lower from 1e-7 on. Digits cancel on the way, and the computation takes
    as many more. Some 10 milliseconds per step; the last 256 results are kept.
    Derived in :ref:`polar-express-one`, :prf:ref:`best-odd-step`, :prf:ref:`greedy-optimal`,
    :prf:ref:`range-with-margins` and :prf:ref:`losses-add`; Amsel, Persson, Musco and Gower
    (2025).

    Examples
    --------
    >>> from lowrank import optimal_msign_schedule
    >>> schedule = optimal_msign_schedule(8, degree=5, lower=1e-3)
    >>> [f"{E:.2e}" for E in schedule.errors[4:]]
    ['1.13e-01', '9.16e-04', '4.81e-10', '2.78e-28']
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


# %% book/matrix_sign/polar_express.ipynb: _next_error
@lru_cache(maxsize=1024)
def _next_error(E, q):
    """E_q(1 - E, 1 + E)."""
    if E < mpmath.mpf(10)**-40:
        return 2 * mpmath.binomial(2 * q + 2, q + 1) * (E / 4)**(q + 1)
    with mpmath.workdps(30 + _lost_digits(E, q)):
        return _best_step(1 - E, 1 + E, q)[1]


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
    best = [(_half_width(*_check_range(lower, upper)), ())]         # exact errors, and degrees
    for budget in range(1, products + 1):
        best.append(best[-1])
        for d, cost in costs.items():
            if cost <= budget:
                E, before = best[budget - cost]
                E = _next_error(E, d // 2)
                if E < best[budget][0]:
                    best[budget] = E, (*before, d)
    return best[-1][1]

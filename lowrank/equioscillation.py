r"""Equioscillation.

Which polynomial $p$ of degree $n$ makes $\max_{a\le x\le b} w(x)\,\lvert f(x)-p(x)\rvert$
smallest, how is it computed, and how can a sceptic see that no other is better?

Generated from book/matrix_sign/equioscillation.ipynb; edit the chapter.
"""

from bisect import bisect_left
from collections import namedtuple
from contextlib import nullcontext
from functools import lru_cache

import numpy as np
from numpy.polynomial.chebyshev import chebval, chebvander

from lowrank.arguments import check_count, check_tol
from lowrank.arrays import quiet

__all__ = ["Alternation", "Minimax", "remez", "alternation_points"]


# %% book/matrix_sign/equioscillation.ipynb: _precision
def _precision(dps):
    """The context to compute in: float64 as it is, or mpmath with ten digits to spare."""
    if dps is None:
        return nullcontext()
    import mpmath                                       # paid for only where it is used
    return mpmath.workdps(dps + 10)


class _Numbers(namedtuple("_Numbers", "degree parity lo hi dps")):
    """What a `Space` knows about its numbers, its interval and its powers."""

    __slots__ = ()

    @property
    def size(self):
        """The dimension: how many coefficients h has."""
        return self.degree // 2 + 1 if self.parity else self.degree + 1

    @property
    def eps(self):
        """The precision that is asked for."""
        return np.finfo(np.float64).eps if self.dps is None else self.number(10)**-self.dps

    def number(self, value):
        """A float64, or a number of mpmath."""
        if self.dps is None:
            return np.float64(value)
        import mpmath
        return mpmath.mpmathify(value)

    def numbers(self, values):
        """An array of such numbers."""
        values = [self.number(value) for value in values]
        return np.array(values, np.float64 if self.dps is None else object)

    def point(self, s):
        """x(s)."""
        lo, hi, half = self.lo, self.hi, self.numbers((1 + s) / 2)
        if self.parity:
            x = (half * (1 - (lo / hi)**2) + (lo / hi)**2)**0.5 * hi
        else:
            x = half * (hi - lo) + lo
        return np.minimum(np.maximum(x, lo), hi)

    def powers(self, c):
        """The coefficients of 1, x, ..., x^degree, for the Chebyshev coefficients c of h."""
        lo, hi = (t * t if self.parity else t for t in (self.lo, self.hi))
        times_s = lambda b: (np.append(0 * b[:1], 2 * b[:-1]) - b * (hi + lo)) / (hi - lo)
        h = c * 0
        T = h + np.eye(1, self.size, dtype=int)[0]
        after = times_s(T)
        for coefficient in c:
            h, T, after = h + T * coefficient, after, 2 * times_s(after) - T
        powers = self.numbers([0] * (self.degree + 1))
        powers[int(self.parity == "odd")::2 if self.parity else 1] = h
        return powers


# %% book/matrix_sign/equioscillation.ipynb: Space
class Space(_Numbers):
    """Polynomials g(x) h(s): g is x for odd ones, else 1; |s| <= 1 is linear in x or x^2."""

    __slots__ = ()

    def position(self, x):
        """s(x)."""
        s = (x - self.lo) * (2 / (self.hi - self.lo))
        return s * ((x + self.lo) * (1 / (self.hi + self.lo))) - 1 if self.parity else s - 1

    def factor(self, x):
        """g(x)."""
        return x if self.parity == "odd" else 1

    def __call__(self, c, x):
        """g(x) h(s(x)), for the Chebyshev coefficients c of h."""
        return chebval(self.position(x), c) * self.factor(x)

    def dual(self, x):
        """lambda at size + 1 points x: sum(lambda * p(x)) = 0 for every p of the space."""
        s = self.position(x)
        differences = (s[:, None] - s) * 2              # the 2 keeps long products near 1
        np.fill_diagonal(differences, 1)
        return 1 / (differences.prod(axis=1) * self.factor(x))


# %% book/matrix_sign/equioscillation.ipynb: _nodes
@lru_cache(maxsize=256)
def _nodes(size, dps):
    """The zeros of T_size, and the matrix from values there to Chebyshev coefficients."""
    k = np.arange(1, 2 * size, 2)
    if dps is None:
        nodes = np.cos(np.pi * k / (2 * size))
    else:
        import mpmath
        nodes = np.array([mpmath.cospi(mpmath.mpf(int(i)) / (2 * size)) for i in k])
    transform = chebvander(nodes, size - 1).T * 2 / size
    transform[0] = transform[0] / 2
    return nodes, transform


# %% book/matrix_sign/equioscillation.ipynb: levelled
def levelled(space, x, w, rest, f):
    """Signs, level and coefficients of the p with w (rest - p) = signs * level at the points x.

    Also how far p may move if each value of f changes by as much as f itself.
    """
    dual, s, g = space.dual(x), space.position(x), space.factor(x)
    nodes, transform = _nodes(space.size, space.dps)
    level = (dual * rest).sum() / (abs(dual) / w).sum()
    signs = np.where(dual > 0, 1, -1) * (1 if level >= 0 else -1)
    values = rest - signs * abs(level) / w

    gaps = nodes[:, None] - s
    kernel = dual / np.where(gaps == 0, space.eps**3, gaps)       # a node on a point: its value
    bottom = (kernel * g).sum(axis=1)
    c = transform @ ((kernel * values).sum(axis=1) / bottom)
    spread = (abs(kernel * f).sum(axis=1) / abs(bottom)).max() * abs(w * g).max()
    return signs, abs(level), c, spread


# %% book/matrix_sign/equioscillation.ipynb: _narrowed
def _narrowed(points, heights):
    """Of points in rows, in any order, the highest and its neighbours: points and heights."""
    order = np.argsort(points, axis=1, kind="stable")
    points, heights = (np.take_along_axis(z, order, axis=1) for z in (points, heights))
    first = np.argmax(heights[:, 1:-1], axis=1) + 1               # of equal ones
    last = 5 - np.argmax(heights[:, 5:0:-1], axis=1)
    around = np.stack([first - 1, first, last + 1], axis=1)
    return [np.take_along_axis(z, around, axis=1) for z in (points, heights)]


# %% book/matrix_sign/equioscillation.ipynb: _climb
def _climb(error, signs, x, h, scale, goal, steps):
    """Narrow brackets x[i] = (left, top, right) of maxima of h = signs * error.

    Done when top and sides differ by at most `goal`; the error varies over lengths of `scale`.
    """
    for _ in range(steps):
        active = np.flatnonzero(h[:, 1] - h.min(axis=1) > goal)
        if not active.size:
            break
        (a, m, b), (fa, fm, fb) = x[active].T, h[active].T
        width = b - a
        left, right = (m - a) / width, (b - m) / width
        p, q = left * (fm - fb), right * (fm - fa)
        bend = np.where(p + q > 0, p + q, 1)
        vertex = m + (right * (q / bend) - left * (p / bend)) * width / 2
        enough = (left * right * goal / bend)**0.5 * width / 2
        reach = np.minimum(np.maximum(2 * width * (width / scale[active]), enough), width / 8)
        vertex = np.where(vertex == m, m + reach / 2, vertex)
        middle = (m + np.where(m - a > b - m, a, b)) / 2
        new = np.stack([vertex - reach, vertex, vertex + reach, middle], axis=1)
        new = np.minimum(np.maximum(new, a[:, None]), b[:, None])
        values = signs[active, None] * error(new.ravel()).reshape(new.shape)
        x[active], h[active] = _narrowed(np.hstack([x[active], new]),
                                         np.hstack([h[active], values]))
    return x[:, 1], h[:, 1]


# %% book/matrix_sign/equioscillation.ipynb: _peaks
def _peaks(space, error, x, e, signs, goal):
    """The local maxima of |e|, from samples e at x: points, heights and signs."""
    h, turn = signs * e, signs[1:] != signs[:-1]
    rises, falls = turn | (h[1:] >= h[:-1]), turn | (h[:-1] >= h[1:])
    top = np.flatnonzero(np.append(True, rises) & np.append(falls, True))
    points, heights, signs = x[top], h[top], signs[top]
    knots = np.unique(np.concatenate([x[:1], points, x[-1:]]))
    width, at = np.diff(knots), np.searchsorted(knots, points)
    scale = np.minimum(np.append(width, width[-1]), np.append(width[0], width))[at]

    inside = np.flatnonzero((top > 0) & (top < len(x) - 1))
    around = top[inside, None] + np.array([-1, 0, 1])
    sides = signs[inside, None] * e[around]
    whole = sides.max(axis=1) == sides[:, 1]            # not so where a sign was prescribed
    inside, around, sides = inside[whole], around[whole], sides[whole]
    points[inside], heights[inside] = _climb(error, signs[inside], x[around], sides,
                                             scale[inside], goal, 6 * (space.dps or 16))
    return points, heights, signs


# %% book/matrix_sign/equioscillation.ipynb: _alternating
def _alternating(heights, signs, level):
    """Indices of points that are not below level: the highest of each group of one sign."""
    kept = []
    for i in np.flatnonzero(heights >= level):
        if kept and signs[kept[-1]] == signs[i]:
            kept[-1] = max(kept[-1], i, key=heights.__getitem__)
        else:
            kept.append(i)
    return kept


def _choose(space, points, heights, signs, level):
    """Indices of size + 1 alternating points that are not below level, if there are so many."""
    kept = _alternating(heights, signs, level)
    s = space.position(points).astype(np.float64)
    angle = np.arccos(np.clip(-s, -1, 1))
    while len(kept) > space.size + 1:
        h = heights[kept]
        if len(kept) == space.size + 2:
            del kept[0 if h[0] < h[-1] else -1]
        else:
            alpha = np.concatenate([[0], angle[kept], [np.pi]])
            cost, largest = np.maximum(h[1:], h[:-1]) * (alpha[3:] - alpha[:-3]), np.argmax(h)
            cost[max(largest - 1, 0):largest + 1] = np.inf
            k = np.argmin(cost)
            del kept[k:k + 2]
    return kept


# %% book/matrix_sign/equioscillation.ipynb: _highest
def _highest(space, points, heights, signs):
    """Indices of alternating points above the highest threshold that leaves size + 1 of them."""
    levels = np.sort(heights)
    enough = lambda level: len(_alternating(heights, signs, level)) > space.size
    k = bisect_left(levels, True, key=lambda level: not enough(level))
    return _choose(space, points, heights, signs, levels[max(k - 1, 0)])


# %% book/matrix_sign/equioscillation.ipynb: first_points
def first_points(space):
    """Extrema of a Chebyshev polynomial, size + 1 of them, not symmetric to the middle of x."""
    unsymmetric = space.parity is None or space.parity == "odd" and space.lo == 0
    n = space.size + unsymmetric
    return space.point(-np.cos(np.pi * np.arange(unsymmetric, n + 1) / n))


def _grid(space, count=None):
    """Points that are dense towards both ends, as many as f may need in the end."""
    count = count or max(50 * (space.size + 1), 1000 if space.dps is None else 100)
    return space.point(-np.cos(np.linspace(0, np.pi, count)))


# %% book/matrix_sign/equioscillation.ipynb: _samples
def _samples(space, x, move, per, grid):
    """A grid and `per` points between neighbours of x, two beside an x that hardly moved, one
    by each end."""
    knots = np.concatenate([[space.lo], x, [space.hi]])
    width = np.diff(knots)
    between = knots[:-1, None] + width[:, None] * (np.arange(per) / per)
    settled = (move > 0) & (move < np.minimum(width[1:], width[:-1]) / (4 * per))
    beside = x[settled, None] + 2 * move[settled, None] * np.array([-1, 1])
    t = np.unique(np.concatenate([between.ravel(), knots, beside.ravel(), grid]))
    t = t[(t >= space.lo) & (t <= space.hi)]
    near_ends = t[[0, -1]] + (t[[1, -2]] - t[[0, -1]]) / 1000
    return np.concatenate([t[:1], near_ends[:1], t[1:-1], near_ends[1:], t[-1:]])


def _extrema(space, error, x, signs, level, roundoff, move, per, grid):
    """Points, heights and signs of the extrema of the error, and the least |error| at x."""
    t = _samples(space, x, move, per, grid)
    e = error(t)
    at, sampled_signs = np.searchsorted(t, x), np.where(e > 0, 1, -1)
    sampled_signs[at] = signs
    seen = abs(e).max()
    goal = max((seen - level) * (1 - level / seen) if seen else 0, roundoff / 8)
    return *_peaks(space, error, t, e, sampled_signs, goal), (signs * e[at]).min()


# %% book/matrix_sign/equioscillation.ipynb: _exchange
@quiet
def _exchange(space, f, w, x, tol, maxiter):
    """The exchange from the points x: everything that `Minimax` holds."""
    c, move, before, converged = space.numbers([0] * space.size), x * 0, -1, False
    per, grid = 6, x[:0]
    for iterations in range(1, maxiter + 1):
        fx, wx = f(x), w(x)
        signs, level, correction, spread = levelled(space, x, wx, fx - space(c, x), fx)
        c = c + correction

        error = lambda t: w(t) * (f(t) - space(c, t))
        roundoff = min(16 * space.eps * spread, space.eps**0.5 * abs(wx * fx).max())
        points, heights, signs, least = _extrema(space, error, x, signs, level, roundoff,
                                                 move, per, grid)
        largest = heights.max()
        if not largest < np.inf:                            # points that coincide
            break
        converged = bool(largest - level <= max(tol * largest, roundoff))
        stalled = level <= before
        if iterations == maxiter or per == 20 and (converged or stalled):
            break
        if converged or stalled:
            per, grid = 20, _grid(space)
        if not converged:
            kept = points[_choose(space, points, heights, signs, least)]
            s = space.position(kept)
            if len(kept) < len(x) or not all(s[1:] > s[:-1]):
                break
            x, move, before = kept, abs(kept - x), level
    return Minimax(c, level, x, iterations, converged and per == 20, largest, roundoff, space)


# %% book/matrix_sign/equioscillation.ipynb: Alternation
class Alternation(namedtuple("Alternation", "points errors lower upper")):
    """lower <= best error of the degree; upper is that of the approximation that was judged."""

    __slots__ = ()


def _level(space, f, w, x):
    """L(x), up to eps * max(abs(w f)); 0 for too few points, and for points too close to tell."""
    gaps = np.diff(space.position(x).astype(float))
    if len(x) <= space.size or gaps.min() < 1e-9:
        return space.numbers([0])[0]
    dual = space.dual(x)
    return abs((dual * f(x)).sum()) / (abs(dual) / w(x)).sum()


def _judged(space, f, w, p, samples=None, at=()):
    """The `Alternation` of f - p, and points and heights of all extrema; sampled at x, too."""
    error = lambda t: w(t) * (f(t) - p(t))
    t = np.unique(np.concatenate([_grid(space, samples), at]))
    e = error(t)
    goal = space.eps * abs(w(t) * f(t)).max()
    points, heights, signs = _peaks(space, error, t, e, np.where(e > 0, 1, -1), goal)
    kept = _highest(space, points, heights, signs)
    found = Alternation(points[kept], (signs * heights)[kept],
                        _level(space, f, w, points[kept]), abs(heights).max())
    return found, points, heights


# %% book/matrix_sign/equioscillation.ipynb: _weighted
def _weighted(space, f, w, x):
    """The basis, f and the size of f on the points x, with their weights, in float64."""
    values = w(x) * f(x)
    size = abs(values).max()
    basis = chebvander(space.position(x).astype(float), space.size - 1)
    factors = (w(x) * space.factor(x)).astype(float)
    return basis * factors[:, None], (values / size).astype(float), size


def _apart(space, x):
    """The points without those that are next to another."""
    x = np.unique(x)
    return x[np.diff(space.position(x).astype(float), prepend=-2) > 1e-9]


# %% book/matrix_sign/equioscillation.ipynb: _least_squares
def _least_squares(space, f, w, x):
    """Coefficients of the p with the smallest mean square of w (f - p) on the points x."""
    basis, values, size = _weighted(space, f, w, x)
    return space.numbers(np.linalg.lstsq(basis, values)[0]) * size


def _least_maximum(space, f, w, x):
    """Coefficients of the p with the smallest maximum of w |f - p| on x, if they are found."""
    from scipy.optimize import linprog                  # paid for only where it is used
    basis, values, size = _weighted(space, f, w, x)
    rows = np.hstack([np.vstack([basis, -basis]), -np.ones((2 * len(x), 1))])
    cost, right = np.eye(space.size + 1)[-1], np.concatenate([values, -values])
    for tol in (1e-10, 1e-8):                           # the least that it takes, and a usual one
        exact = {"primal_feasibility_tolerance": tol, "dual_feasibility_tolerance": tol}
        found = linprog(cost, rows, right, bounds=(None, None), options=exact)
        if found.success:
            return space.numbers(found.x[:-1]) * size


# %% book/matrix_sign/equioscillation.ipynb: _planes
_PATIENCE = 25                                          # what succeeds needs fewer turns


def _planes(space, f, w, tol, maxiter, best):
    """Cutting planes, and exchanges from them; `best` is what the first exchange left."""
    x = np.union1d(_grid(space, 3 * (space.size + 1)), best.points)
    c, first = space.numbers([0] * space.size), best.iterations + 1
    level, size = _level(space, f, w, best.points), abs(w(x) * f(x)).max()
    roundoff = (1e-10 if space.dps is None else 16 * space.eps) * size      # of the programs
    for turn in range(first, min(maxiter, first + _PATIENCE) + 1):
        seen = [x]
        for half in (False, True):
            trial = (c + best.coefficients) / 2 if half else c
            found, extrema, heights = _judged(space, f, w, lambda t: space(trial, t), at=x)
            seen, level = [*seen, extrema[heights > level]], max(level, found.lower)
            if not best.max_error <= found.upper:
                best = Minimax(trial, level, found.points, turn, False, found.upper, roundoff,
                               space)
            if best.max_error - level <= max(tol * best.max_error, roundoff):
                return best._replace(error=level, iterations=turn, converged=True)
            if len(found.points) > space.size and trial.any():
                again = _exchange(space, f, w, found.points, tol, _PATIENCE)
                if again.converged:
                    return again._replace(iterations=turn)
        many = _apart(space, np.concatenate(seen))
        c = (_least_maximum if c.any() else _least_squares)(space, f, w, many)
        if c is None or len(many) == len(x) and turn > first + 1:           # nothing more to see
            break
        x = many
    return best._replace(error=level, iterations=turn, converged=False)


# %% book/matrix_sign/equioscillation.ipynb: _best
def _best(space, f, w, x, tol, maxiter):
    """The exchange, and where it fails before maxiter, cutting planes."""
    found = _exchange(space, f, w, x, tol, min(maxiter, _PATIENCE))
    if found.converged or found.iterations == maxiter:
        return found
    finite = found.max_error < np.inf                       # and seen on few samples
    largest = _judged(space, f, w, found, at=found.points)[0].upper if finite else np.inf
    return _planes(space, f, w, tol, maxiter, found._replace(max_error=largest))


# %% book/matrix_sign/equioscillation.ipynb: _space
def _space(degree, interval, odd, even, dps):
    """The space that is asked for, or an error that says what was."""
    degree = check_count(degree, "degree", 0)
    dps = None if dps is None else check_count(dps, "dps", 1)
    if odd and even:
        raise ValueError("odd and even are both True; allowed is one of them")
    parity = "odd" if odd else "even" if even else None
    if parity and degree % 2 != bool(odd):
        raise ValueError(f"degree is {degree} with {parity}=True; allowed are {parity} degrees")

    allowed = f"a pair of finite numbers (lo, hi) with {'0 <= ' if parity else ''}lo < hi"
    number = Space(degree, parity, None, None, dps).number
    try:
        with _precision(dps):
            lo, hi = (number(end) for end in interval)
            fits = abs(lo) + abs(hi) < np.inf and lo < hi and not (parity and lo < 0)
    except (TypeError, ValueError):
        raise TypeError(f"interval is {interval!r}; allowed is {allowed}") from None
    if not fits:
        folded = f"; for [-{hi}, {hi}] take [0, {hi}]" if parity and lo == -hi < 0 else ""
        raise ValueError(f"interval is {interval!r}; allowed is {allowed}{folded}")
    return Space(degree, parity, lo, hi, dps)


def _checked(f, name, space, positive=False):
    """f as a function of arrays of the space's numbers, which refuses what cannot be used."""
    if positive and f is None:
        return lambda x: np.ones(x.shape, x.dtype)
    if not callable(f):
        raise TypeError(f"{name} is {f!r}; allowed is a function of one variable")
    allowed = "finite numbers > 0" if positive else "finite numbers"

    def values(x):
        y = _values_at(x, f, name) if space.dps is None else _numbers_at(x, f, name)
        bad = np.flatnonzero(~((abs(y) < np.inf) & ((y > 0) | (not positive))))
        if bad.size:
            raise ValueError(f"{name} is {y[bad[0]]} at x = {x[bad[0]]}; allowed are {allowed}")
        return y

    return values


def _values_at(x, f, name):
    """f(x) in float64, from one call."""
    try:
        with np.errstate(all="ignore"):                 # what is not finite is reported
            y = np.asarray(f(x.copy()))
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(f"{name} fails on an array ({error}); allowed is a function of arrays: "
                        "use NumPy's functions in it, or numpy.vectorize") from error
    if y.dtype.kind not in "biuf":
        raise TypeError(f"{name} returns {y.dtype}; allowed are real numbers")
    if y.shape not in ((), x.shape):
        raise ValueError(f"{name} returns shape {y.shape} for {x.size} points; "
                         f"allowed is the shape of x, {x.shape}")
    return np.broadcast_to(y, x.shape).astype(np.float64)


def _numbers_at(x, f, name):
    """f at each of the numbers x of mpmath."""
    import mpmath
    try:
        y = [f(t) for t in x]
        numbers = np.array([mpmath.mpmathify(value) for value in y], object)
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(f"{name} fails on a number of mpmath ({error}); "
                        "use mpmath's functions in it") from error
    for value, number in zip(y, numbers):
        if not isinstance(number, mpmath.mpf):
            raise TypeError(f"{name} returns {value!r}; allowed are real numbers")
        if isinstance(value, float) and value != round(value):
            raise TypeError(f"{name} returns the float {value!r}, which has 16 digits; "
                            "allowed with dps are numbers of mpmath and whole numbers")
    return numbers


def _start(start, space, f):
    """The points to begin with, increasing."""
    if space.parity == "odd" and space.lo == 0 and f(space.numbers([0]))[0] != 0:
        raise ValueError(f"f is {f(space.numbers([0]))[0]} at x = 0, where odd polynomials "
                         "vanish; allowed are f(0) = 0, or an interval with lo > 0")
    try:
        x = first_points(space) if start is None else np.sort(space.numbers(np.ravel(start)))
    except (TypeError, ValueError):
        raise TypeError(f"start is {start!r}; allowed are {space.size + 1} numbers") from None
    s = space.position(x)
    if len(x) != space.size + 1 or not (x[0] >= space.lo and x[-1] <= space.hi
                                        and all(s[1:] > s[:-1])):
        allowed = f"{space.size + 1} different points of the interval"
        if start is None:
            raise ValueError(f"interval is ({space.lo}, {space.hi}); allowed is one with room "
                             f"for {allowed} (more digits, dps, make room)")
        raise ValueError(f"start is {start!r}; allowed are {allowed}")
    return x


# %% book/matrix_sign/equioscillation.ipynb: Minimax
class Minimax(namedtuple("Minimax", "coefficients error points iterations converged max_error "
                                    "roundoff space")):
    """A polynomial p, levelled at `points`, as `remez` returns it. ``p(x)`` evaluates it."""

    __slots__ = ()

    def __call__(self, x):
        """p(x), for a number or an array of any shape."""
        space = self.space
        with _precision(space.dps):
            if space.dps is None:
                return space(self.coefficients, np.asarray(x, np.float64))
            values = space(self.coefficients, space.numbers(np.ravel(x)))
            return values.reshape(np.shape(x)) if np.ndim(x) else values[0]

    @property
    def interval(self):
        """(lo, hi)."""
        return self.space.lo, self.space.hi

    def powers(self):
        """The coefficients of 1, x, ..., x^degree.

        In float64 they lose digits for high degrees, and on short intervals far from 0: use
        ``dps`` there.
        """
        with _precision(self.space.dps):
            return self.space.powers(self.coefficients)

    def __repr__(self):
        space, end = self.space, "" if self.converged else "not "
        kind = f"{space.parity} degree" if space.parity else "degree"
        lo, hi, error = (format(float(t), ".4g") for t in (*self.interval, self.error))
        return (f"<Minimax: {kind} {space.degree} on [{lo}, {hi}], error {error}, "
                f"{end}converged>")


# %% book/matrix_sign/equioscillation.ipynb: remez
def remez(f, degree, interval=(-1, 1), *, weight=None, odd=False, even=False, start=None,
          tol=1e-12, maxiter=50, dps=None):
    r"""Minimise max(abs(weight(x) * (f(x) - p(x)))) over the polynomials p of a degree.

    Parameters
    ----------
    f : callable
        A continuous function. It gets an array of shape (k,) and returns one of
        that shape, or a number; with ``dps`` it gets and returns one number of
        mpmath.
    degree : int >= 0
        The degree of p.
    interval : (lo, hi), default (-1, 1)
        Two finite numbers, lo < hi; with ``odd`` or ``even``, 0 <= lo < hi.
        With ``dps`` also strings and numbers of mpmath.
    weight : callable, optional
        A continuous function > 0, called like f; the default is 1.
    odd, even : bool, default False
        Restrict p to odd or even powers. On [-hi, hi] the best p for an odd or
        even f is the one on [0, hi].
    start : array_like, shape (N + 1,), optional
        Points to start from, different ones in the interval, where N is the
        number of free coefficients; such as the ``points`` of a similar
        problem. The default are extrema of a Chebyshev polynomial.
    tol : float, 0 <= tol < 1, default 1e-12
        Converged when ``max_error - error <= tol * max_error``, or when the
        difference is no more than ``roundoff``. 0 asks for all digits there are.
    maxiter : int >= 1, default 50
        Largest number of turns: of the exchange, at most 25 where it fails, and of cutting
        planes, at most 25, with an exchange from each.
    dps : int, optional
        Compute with this many digits in mpmath instead of in float64.

    Returns
    -------
    Minimax
        Named tuple, which is called like a function: ``result(x)`` is p(x).

        ``coefficients``: of the Chebyshev polynomials T_0, T_1, ... in
        s = (2 x - lo - hi) / (hi - lo); for even p in the same expression of
        x^2, lo^2, hi^2, and for odd p those of p / x. ``result.powers()`` are
        the coefficients of 1, x, x^2, ...
        ``error``: the level, the absolute value of weight (f - p) at all
        ``points``. No polynomial has a smaller largest error (up to roundoff).
        ``points``: N + 1 points at which weight (f - p) alternates in sign.
        ``iterations``, ``converged``: see ``maxiter`` and ``tol``. Without convergence before
        ``maxiter`` p is the best of all polynomials that were tried, the one of least squares
        among them, ``error`` the highest level, and ``points`` an alternation of p.
        ``max_error``: the largest error of p that was found.
        ``roundoff``: an estimate of how far rounding can move p and the error;
        digits of ``error`` below it mean nothing.
        ``space``: degree, parity, lo, hi, dps.

    Raises
    ------
    ValueError
        A degree below 0 or of the wrong parity, an interval that is reversed, of
        length 0, not finite or too short for its points, NaN or Inf from f or
        weight, a weight that is not positive, values of the wrong shape.
    TypeError
        f or weight cannot be called with an array (with ``dps``: with a number
        of mpmath), or returns what is no real number.

    See Also
    --------
    alternation_points : judge any approximation.

    Notes
    -----
    One exchange costs O(degree) evaluations of f, in a few calls, and
    O(degree^2) operations. The error is known where it was sampled, at last at
    20 points between neighbours among ``points``, and at 50 for each of them, at
    least 1000: what happens in between, a spike say, cannot be seen. Where f has
    many more alternations than N + 1, linear programs are solved, each of which
    takes up to a second near degree 60. In float64 a ``max_error`` near
    ``eps * max(abs(f))``
    is round-off: use ``dps``.

    The theorem is :prf:ref:`eq-theorem`, convergence :prf:ref:`eq-exchange` and
    :prf:ref:`eq-planes`, in :ref:`equioscillation-exchange`; both algorithms are due to
    Remez (1934).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import remez
    >>> result = remez(np.exp, 3)
    >>> result
    <Minimax: degree 3 on [-1, 1], error 0.005528, converged>
    >>> round(float(np.exp(0.5) - result(0.5)), 6)
    -0.001877
    >>> remez(lambda x: 1, 5, (1e-3, 1), odd=True).powers().round(6)
    array([  0.      ,   8.470329,   0.      , -25.108075,   0.      ,  18.629276])
    >>> import mpmath
    >>> mpmath.nstr(remez(mpmath.exp, 20, dps=40).error, 15)
    '1.88892306004533e-26'
    """
    space = _space(degree, interval, odd, even, dps)
    tol, maxiter = check_tol(tol), check_count(maxiter, "maxiter", 1)
    with _precision(dps):
        f = _checked(f, "f", space)
        w = _checked(weight, "weight", space, positive=True)
        return _best(space, f, w, _start(start, space, f), tol, maxiter)


# %% book/matrix_sign/equioscillation.ipynb: alternation_points
def alternation_points(f, p, degree, interval=(-1, 1), *, weight=None, odd=False, even=False,
                       samples=None, dps=None):
    r"""Bounds for min over q of max(abs(weight * (f - q))), from alternations of f - p.

    Parameters
    ----------
    f, weight, interval, odd, even, dps
        The problem, as for `remez`.
    p : callable
        The approximation to be judged, called like f. Any function will do.
    degree : int >= 0
        Degree of the polynomials q that p is compared with.
    samples : int >= 2, optional
        Number of points, dense towards both ends, between which extrema are
        sought. The default is 50 for each point of an alternation, at least 1000
        (with ``dps`` 100).

    Returns
    -------
    Alternation
        Named tuple. ``points``: increasing, at most N + 1, where N is the number
        of coefficients of q; the largest error is at one of them. ``errors``:
        weight (f - p) there, with alternating signs. ``lower``: no q has a
        smaller largest error; 0 if there are fewer than N + 1 points.
        ``upper``: the largest absolute error of p that was found.
        ``upper / lower`` is the factor by which p can be improved at most.

    Raises
    ------
    ValueError, TypeError
        As for `remez`, for p too.

    Notes
    -----
    If p is one of the polynomials, ``lower`` is a weighted mean of the absolute
    errors at ``points``, so at least the smallest of them. It is computed from f
    alone and holds for every p, up to ``eps * max(abs(weight * f))`` of rounding.
    ``upper`` is a maximum over samples, improved locally.

    Derived in :ref:`equioscillation-dual`, :prf:ref:`eq-lower-bound`; for the
    minimum in place of the mean, de la Vallee Poussin (1919).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import alternation_points
    >>> p = np.polynomial.Chebyshev.interpolate(np.exp, 3)
    >>> a = alternation_points(np.exp, p, 3)
    >>> print(f"{a.lower:.6f} <= best <= {a.upper:.6f}")
    0.005498 <= best <= 0.006657
    >>> a.points.round(3)
    array([-1.   , -0.701,  0.012,  0.714,  1.   ])
    """
    space = _space(degree, interval, odd, even, dps)
    samples = None if samples is None else check_count(samples, "samples", 2)
    with _precision(dps):
        f, p = _checked(f, "f", space), _checked(p, "p", space)
        w = _checked(weight, "weight", space, positive=True)
        return _judged(space, f, w, p, samples)[0]

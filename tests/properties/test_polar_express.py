"""Schedules: the reference errors to nine digits, promises kept under margins, and every bad input named."""

import copy
import itertools
import pickle

import mpmath
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lowrank import (
    alternation_points,
    apply_schedule,
    best_degrees,
    optimal_msign_schedule,
    pade_step,
    polar_residuals,
    remez,
)
from lowrank.newton_schulz import matrix_polynomial
from lowrank.polar_express import Schedule, _best_step, _contacts, _half_width, _next_error, count_products

EPS = np.finfo(float).eps

# E_1, E_2, ... from a separate computation with 400 digits
REFERENCE = {
    (3, 1e-3): [0.99481990303156, 0.98661457491542, 0.96570729671146, 0.91403262090555, 0.79561345178266,
                0.56814728208371, 0.26505034041968, 0.053729323992345, 0.0021668672602303, 3.5214898855076e-6,
                9.3006682603315e-12],
    (5, 1e-3): [0.99152969630421, 0.96457201332425, 0.85977070052133, 0.54589328386109, 0.11344845738158,
                0.0009164721887257, 4.811029370639e-10, 6.9597564473311e-29, 2.1069883937228e-85],
    (5, 1e-7): [0.99999914857021, 0.99999637534119, 0.99998456939679, 0.99993431171369, 0.99972039351969,
                0.99881036995432, 0.99494816396653, 0.97871937808509, 0.91331131243319, 0.68975465880417,
                0.2471788975816, 0.0096345871048945],
    (7, 1e-3): [0.98822522416131, 0.9326800310065, 0.6729728776304, 0.13719469246556, 0.0001950756029955,
                7.9195391203018e-16],
    (9, 1e-3): [0.98492413340273, 0.89217691591292, 0.44964424389526, 0.0098450799548711, 4.5524260074457e-11],
}
COEFFICIENTS = {                                        # the last step of each list above
    (5, 1e-7): [1.9426878036064341, -1.3233142632922897, 0.38240361674927835],
    (7, 1e-3): [2.18750004578431, -2.18750009573083, 1.31250005410873, -0.31250000416221],
    (9, 1e-3): [2.46106671252948, -3.2816475835702, 2.95354245722898, -1.40640902542731, 0.273447439238303],
}


def optima(count, degree, lower):
    """E_1, E_2, ... of exact coefficients."""
    E, errors = _half_width(lower, 1.0), []
    for _ in range(count):
        E = _next_error(E, degree // 2)
        errors.append(float(E))
    return np.array(errors)


def exact_range(c, low, high):
    """p([low, high]) for a list of floats, in 150 digits: the zeros of p' in x^2 = middle + radius s."""
    with mpmath.workdps(150):
        low, high, c = mpmath.mpmathify(low), mpmath.mpmathify(high), [mpmath.mpf(z) for z in c]
        middle, radius = (high**2 + low**2) / 2, (high**2 - low**2) / 2
        slope = [sum((2 * k + 1) * c[k] * mpmath.binomial(k, j) * middle**(k - j) for k in range(j, len(c))) * radius**j
                 for j in range(len(c))]
        while len(slope) > 1 and abs(slope[-1]) < mpmath.mpf(10)**-30 * max(map(abs, slope)):
            slope.pop()                                 # zeros that are far away
        s = mpmath.polyroots(slope[::-1], maxsteps=500, extraprec=500) if tuple(c) != pade_step(2 * len(c) - 1) else []
        turns = [mpmath.sqrt(middle + radius * mpmath.re(z)) for z in s if abs(mpmath.im(z)) < 1e-45 and abs(z) < 1]
        values = [x * mpmath.polyval(c[::-1], x * x) for x in (low, high, *turns, min(max(low, mpmath.mpf(1)), high))]
        return min(values), max(values)


def exact_errors(steps, low, high=1.0):
    errors = []
    for c in steps:
        low, high = exact_range(c, low, high)
        errors.append(float(max(1 - low, high - 1)))
    return np.array(errors)


@pytest.mark.parametrize("degree, lower", REFERENCE)
def test_the_reference_errors_to_nine_digits(degree, lower):
    expected = REFERENCE[degree, lower]
    np.testing.assert_allclose(optima(len(expected), degree, lower), expected, rtol=1e-9, atol=0)
    schedule = optimal_msign_schedule(len(expected), degree, lower)
    np.testing.assert_allclose(schedule.errors, expected, rtol=1e-9, atol=4 * EPS)
    if (degree, lower) in COEFFICIENTS:
        np.testing.assert_allclose(schedule[-1], COEFFICIENTS[degree, lower], rtol=1e-13)


@pytest.mark.parametrize("degree, lower, steps, best", [
    (9, 1e-7, 6, .962130237206), (9, 1e-7, 7, .752320946939), (9, 1e-7, 8, .158669640664), (9, 1e-6, 6, .69067014077),
    (9, 1e-6, 8, 4.3631505634e-6), (7, 1e-7, 8, .745120884712), (7, 1e-7, 9, .218734943642), (5, 1e-7, 11, .247178897582),
    (5, 1e-7, 12, .00963458710489), (3, 1e-7, 18, .0220665765234), (3, 1e-7, 20, 1.00055538861e-7),
    (9, 1e-5, 6, .0532623175193), (5, 1e-3, 6, .000916472188726),
])
def test_rounded_coefficients_reach_the_optimum(degree, lower, steps, best):
    """The exact image of the floats, step by step: rounding to nearest misses some of these in the fourth digit."""
    found = exact_errors(optimal_msign_schedule(steps, degree, lower), lower)[-1]
    assert abs(optima(steps, degree, lower)[-1] / best - 1) < 1e-11
    assert found <= best * (1 + 1e-9) + 4 * EPS


@pytest.mark.parametrize("degree", [3, 5, 7, 9])
def test_the_promise_holds_for_every_degree_and_range(degree):
    """Errors and bounds hold for the floats, and are within 1e-9 and 4 eps of the optimum."""
    for lower in (1e-7, 3e-6, 1e-4, 0.02, 0.3, 0.9, 1.0):
        schedule = optimal_msign_schedule(None, degree, lower, tol=1e-14)
        errors, best = exact_errors(schedule, lower), optima(len(schedule), degree, lower)
        assert np.all(errors <= schedule.errors)
        assert np.all(schedule.errors <= best * (1 + 1e-9) + 4 * EPS)


@settings(max_examples=15, deadline=None, phases=[Phase.generate])
@given(degrees=st.lists(st.sampled_from([3, 5, 9, 17, 33]), min_size=1, max_size=4), power=st.floats(-9, 0),
       upper=st.sampled_from([1.0, 0.3, 1e5]), cushion=st.sampled_from([0.0, 0.02, 0.5]),
       safety=st.sampled_from([0.0, 1e-6, 1e-2]))
def test_errors_and_bounds_hold_for_the_floats(degrees, power, upper, cushion, safety):
    schedule = optimal_msign_schedule(degree=degrees, lower=upper * 10**power, upper=upper, cushion=cushion,
                                      safety=safety)
    ends = (*schedule.bounds[1:], (-np.inf, np.inf))
    for c, (l, u), (a, b), E in zip(schedule, schedule.bounds, ends, schedule.errors):
        low, high = exact_range(c, l, u if c == pade_step(2 * len(c) - 1) else u * (1 + safety))
        room = 4 * EPS * max(abs(z) for z in c) * u     # bounds are rounded outwards: a unit of the argument
        assert 1 - E - room <= low and high <= 1 + E + room
        assert a - room <= low and high <= b + room


@pytest.mark.parametrize("degree", [5, 9])
def test_steps_agree_with_the_general_exchange(degree):
    """`remez` searches for its extrema, and every step starts from its own error."""
    with mpmath.workdps(60):
        lo, hi = mpmath.mpf(1e-13), mpmath.mpf(1)
        for E in optimal_msign_schedule(4, degree, 1e-13).bounds[1:]:
            r = remez(lambda x: 1, degree, (lo, hi), odd=True, dps=50, tol=1e-30)
            lo, hi = 1 - r.error, 1 + r.error
            assert r.converged and abs(float(lo) / E[0] - 1) < 1e-12


@pytest.mark.parametrize("degree, lower", [(3, "1e-30"), (11, "1e-5"), (11, "0.95")])
def test_single_steps_are_certified_by_the_lower_bound(degree, lower):
    with mpmath.workdps(150):
        c, E = _best_step(mpmath.mpf(lower), mpmath.mpf(1), degree // 2)
        p = lambda x: x * mpmath.polyval(c[::-1], x * x)
        a = alternation_points(lambda x: 1, p, degree, (lower, 1), odd=True, dps=140, samples=degree + 20)
        assert abs(a.upper - E) <= 1e-12 * min(E, 1 - E) and abs(a.lower - E) <= 1e-12 * min(E, 1 - E)


@pytest.mark.parametrize("l, u, inside", [(0.2, 0.5, []), (2, 3, []), (0.5, 2, [1])])
def test_contacts_lie_in_the_interval(l, u, inside):
    """1.5 x - 0.5 x^3 turns at 1: where that is not between the ends, the ends are all there is."""
    with mpmath.workdps(60):
        x = _contacts((1.5, -0.5), mpmath.mpf(l), mpmath.mpf(u))
        assert set(map(float, x)) == {l, u, *inside} and max(abs(t - round(t * 10) / mpmath.mpf(10)) for t in x) < 1e-14


def test_high_degrees():
    before = 1
    with mpmath.workdps(80):
        for degree in (31, 51, 71):
            c, E = _best_step(mpmath.mpf("0.1"), mpmath.mpf(1), degree // 2)
            errors = [abs(1 - x * mpmath.polyval(c[::-1], x * x)) for x in map(mpmath.mpf, np.geomspace(0.1, 1, 400))]
            assert E < before and errors[0] - E < 1e-15 * E and 0.99 < max(errors) / E < 1 + 1e-15
            before = E


# as printed: Polar Express, the list of nanochat, two tuned as a whole, the triple of Jordan
PUBLISHED = [
    [(8.28721201814563, -23.595886519098837, 17.300387312530933), (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
     (3.9486908534822946, -2.908902115962949, 0.5518191394370137), (3.3184196573706015, -2.488488024314874, 0.51004894012372),
     (2.300652019954817, -1.6689039845747493, 0.4188073119525673), (1.891301407787398, -1.2679958271945868, 0.37680408948524835)],
    [(4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046),
     (2.8366, -3.0525, 1.2012)],
    [(3955 / 1024, -8306 / 1024, 5008 / 1024), (3735 / 1024, -6681 / 1024, 3463 / 1024), (3799 / 1024, -6499 / 1024, 3211 / 1024),
     (4019 / 1024, -6385 / 1024, 2906 / 1024), (2677 / 1024, -3029 / 1024, 1162 / 1024), (2172 / 1024, -1833 / 1024, 682 / 1024)],
    [(3.4445, -4.7750, 2.0315)] * 8,
    [pade_step(5)] * 8,
]


@pytest.mark.parametrize("lower", [0.3, 1e-2, 1e-3, 1e-4])
def test_no_published_list_is_better(lower):
    for steps in PUBLISHED:
        best = optimal_msign_schedule(len(steps), 5, lower).errors
        for t in range(len(steps)):
            assert exact_error(steps[:t + 1], lower, 1.0) >= best[t] * (1 - 1e-9) - 1e-13


def test_errors_far_below_the_precision_of_floats():
    """Padé's coefficients are floats: their error is that of the exact step, until an interval is shorter than 1e-20."""
    schedule = optimal_msign_schedule(14, 5)
    assert schedule.errors[7] == pytest.approx(2.5 * schedule.errors[6]**3, rel=1e-8)
    assert schedule.errors[8:] == pytest.approx([2.5e-60] * 6, rel=1e-6) and schedule[-7:] == (pade_step(5),) * 7
    assert optimal_msign_schedule(9, 5, dps=200) == optimal_msign_schedule(9, 5)


@pytest.mark.parametrize("degree, constant", [(3, 3 / 4), (5, 5 / 8), (7, 35 / 64), (9, 63 / 128)])
def test_small_errors_fall_by_the_constant_of_pade(degree, constant):
    """Also below 1e-40, where no coefficients are designed any more; Padé's own is 2^q times as large."""
    q, tiny = degree // 2, []
    for lower in np.linspace(0.3, 0.95, 8):
        exact = optima(6, degree, float(lower))
        tiny += [(E, F) for E, F in itertools.pairwise(exact) if E < 1e-12 and F > 1e-300]
        floats = optimal_msign_schedule(6, degree, float(lower)).errors
        for E, F in itertools.pairwise(floats):
            assert not 1e-20 < E < 1e-9 or F == pytest.approx(constant * 2**q * E**(q + 1), rel=1e-6)
    assert sum(E < 1e-40 for E, _ in tiny) >= 1
    np.testing.assert_allclose([F for _, F in tiny], [constant * E**(q + 1) for E, _ in tiny], rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(degree=st.sampled_from([3, 5, 7, 9]), power=st.floats(-4, -0.01), upper=st.sampled_from([1.0, 0.3, 5.0]),
       cushion=st.sampled_from([0.0, 0.02, 0.1, 0.5]), safety=st.sampled_from([0.0, 1e-6, 1e-2]))
def test_the_promise_is_kept_at_the_edge_of_the_margin(degree, power, upper, cushion, safety):
    schedule = optimal_msign_schedule(4, degree, upper * 10**power, upper=upper, cushion=cushion, safety=safety)
    x = np.concatenate([np.geomspace(upper * 10**power, upper, 300), np.linspace(upper * 10**power, upper, 300)])
    for c, E, (l, u) in zip(schedule, schedule.errors, schedule.bounds):
        assert 0 <= l <= u
        if c != pade_step(degree):
            x = x * (1 + safety)                        # as wrong as the margin allows
        x = x * np.polyval(c[::-1], x * x)
        assert max(abs(1 - x)) <= E + 1e-6              # values are rounded


def exact_error(steps, low, high):
    """max |1 - composition| over [low, high], from the ends and the zeros of the derivatives."""
    for c in steps:
        slope = np.roots([(2 * k + 1) * z for k, z in enumerate(c)][::-1])
        turns = slope[(abs(slope.imag) < 1e-9) & (slope.real > 0)].real**0.5
        x = np.array([low, high, *turns[(turns > low) & (turns < high)]])
        values = x * np.polyval(c[::-1], x * x)
        low, high = sorted((values.min(), values.max()), key=abs)
        if low * high <= 0:
            return np.inf
    return max(abs(1 - low), abs(1 - high))


@settings(max_examples=15, deadline=None)
@given(degrees=st.lists(st.sampled_from([3, 5, 7, 9]), min_size=1, max_size=4), power=st.floats(-6, -0.1), seed=st.integers(0, 99))
def test_no_disturbed_composition_is_better(degrees, power, seed):
    schedule = optimal_msign_schedule(degree=degrees, lower=10**power)
    best = schedule.errors[-1] * (1 - 1e-9) - 1e-12
    assert exact_error(schedule, 10**power, 1.0) <= schedule.errors[-1] + 1e-9
    rng = np.random.default_rng(seed)
    for size in (1e-1, 1e-3, 1e-6):
        disturbed = [np.array(c) * (1 + size * rng.standard_normal(len(c))) for c in schedule]
        assert exact_error(disturbed, 10**power, 1.0) >= best


def test_mixed_degrees_and_prefixes():
    mixed = optimal_msign_schedule(degree=(9, 5, 3))
    assert [len(c) for c in mixed] == [5, 3, 2]
    assert mixed[:2] == optimal_msign_schedule(2, (9, 5)) and mixed.errors[:2] == optimal_msign_schedule(2, (9, 5)).errors
    assert [len(c) for c in optimal_msign_schedule(4, (9, 5))] == [5, 3, 3, 3]
    assert optimal_msign_schedule(0) == () and optimal_msign_schedule(0).errors == ()


def test_a_tolerance_takes_the_fewest_steps():
    for degree, tol in ((3, 1e-3), (5, 1e-12), (9, 0.5)):
        schedule = optimal_msign_schedule(degree=degree, tol=tol)
        assert schedule.errors[-1] <= tol and all(E > tol for E in schedule.errors[:-1])
    assert len(optimal_msign_schedule(tol=0.5, lower=0.9)) == 1


def test_margins_cost_two_steps_at_most():
    for degree in (3, 5, 9):
        for lower in (1e-3, 1e-13):
            plain = optimal_msign_schedule(None, degree, lower, tol=1e-15)
            robust = optimal_msign_schedule(None, degree, lower, tol=1e-15, cushion=0.1, safety=1e-6)
            assert len(plain) <= len(robust) <= len(plain) + 2


@pytest.mark.parametrize("degree, backward", [(3, 1e-14), (5, 1e-14), (7, 4e-14), (9, 1e-13)])
def test_no_overflow_and_small_backward_error_up_to_1e13(degree, backward):
    rng = np.random.default_rng(0)
    U, V = np.linalg.qr(rng.standard_normal((2, 100, 100)))[0]
    for kappa in (1e5, 1e10, 1e13):
        s = np.geomspace(1, 1 / kappa, 100)
        s[0] = 1 + 2e-15
        schedule = optimal_msign_schedule(None, degree, 0.9 / kappa, tol=1e-15, cushion=0.1, safety=1e-6)
        r = polar_residuals((U * s) @ V, apply_schedule((U * s) @ V, schedule, normalize=False))
        assert r.orthogonality < 1e-13 and r.backward < backward


class Counted(np.ndarray):
    """An array that counts the matrix products it takes part in."""

    products = 0

    def __matmul__(self, other):
        Counted.products += 1
        return super().__matmul__(other)


@pytest.mark.parametrize("degree", [3, 5, 7, 9, 11, 13, 15, 17, 19, 25])
def test_products_are_counted_as_they_are_made(degree):
    c = optimal_msign_schedule(1, degree)[0]
    X = np.eye(3).view(Counted)
    Counted.products = 0
    matrix_polynomial(X @ X.T, c) @ X
    assert Counted.products == count_products(c)


def test_best_degrees_fit_the_budget_and_beat_every_pure_list():
    cost = {3: 2, 5: 3, 9: 4, 17: 5}
    assert best_degrees(0) == best_degrees(1) == () and best_degrees(2) == (3,)
    for budget in (6, 10, 13):
        found = best_degrees(budget, 1e-2)
        assert sum(map(cost.get, found)) <= budget
        E = optimal_msign_schedule(degree=found, lower=1e-2).errors[-1]
        assert all(E <= optimal_msign_schedule(budget // cost[d], d, 1e-2).errors[-1] for d in cost)


def test_schedules_are_immutable_hashable_cached_tuples():
    schedule = optimal_msign_schedule(3)
    assert isinstance(schedule, Schedule) and schedule is optimal_msign_schedule(3)
    assert isinstance(schedule, tuple) and hash(schedule) == hash(tuple(schedule))
    assert all(type(c) is tuple and all(type(z) is float for z in c) for c in schedule)
    with pytest.raises(AttributeError):
        schedule.errors = ()
    for twin in (copy.copy(schedule), copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert twin == schedule and vars(twin) == vars(schedule) and type(twin) is Schedule


@pytest.mark.parametrize("options, kind, message", [
    (dict(steps=3, degree=4), ValueError, "degree is 4; allowed is an odd integer"),
    (dict(steps=3, degree=1), ValueError, "degree"),
    (dict(steps=3, degree=2.5), TypeError, "degree"),
    (dict(steps=3, degree=()), ValueError, "degree"),
    (dict(steps=-1), ValueError, "steps is -1"),
    (dict(steps=2.0), TypeError, "steps is 2.0"),
    (dict(), ValueError, "steps is None, tol is None and degree is 5; give exactly one of steps and tol"),
    (dict(steps=3, tol=0.1), ValueError, "give exactly one"),
    (dict(tol=0), ValueError, "tol is 0; allowed is a number with 0 < tol < 1"),
    (dict(steps=3, lower=0), ValueError, "lower is 0 and upper is 1.0; allowed are finite numbers with 0 < lower <= upper"),
    (dict(steps=3, lower=2), ValueError, "lower is 2"),
    (dict(steps=3, lower=float("nan")), ValueError, "lower is nan"),
    (dict(steps=3, upper=float("inf")), ValueError, "upper is inf"),
    (dict(steps=3, cushion=1), ValueError, "cushion is 1; allowed is a number with 0 <= cushion < 1"),
    (dict(steps=3, safety=-0.1), ValueError, "safety is -0.1"),
    (dict(steps=3, cushion="a"), TypeError, "cushion is 'a'"),
    (dict(steps=3, lower="a"), TypeError, "lower is 'a'"),
    (dict(steps=3, dps=0), ValueError, "dps is 0"),
    (dict(steps=3, lower=1e-201, upper=1e-200), ValueError, "upper is 1e-200 and the degree 5"),
    (dict(steps=3, upper=1e70), ValueError, "upper is 1e[+]70 and the degree 5; allowed is what keeps the coefficients"),
])
def test_bad_input_is_named(options, kind, message):
    with pytest.raises(kind, match=message):
        optimal_msign_schedule(**options)


def test_an_unreachable_tolerance_says_why():
    with pytest.raises(ValueError, match="tol is 1e-12 and out of reach"):
        optimal_msign_schedule(tol=1e-12, degree=3, safety=0.99, cushion=0.99)

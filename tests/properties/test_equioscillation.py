"""Best polynomials: bounds that hold for every polynomial, symmetries, known problems of other libraries."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Chebyshev
from scipy.optimize import linprog

from lowrank.equioscillation import alternation_points, remez

FUNCTIONS = {
    "exp": np.exp,
    "abs": np.abs,
    "kinks": lambda x: abs(x - 0.3) + 2 * abs(x + 0.7) + np.sin(30 * x),
    "bump": lambda x: np.exp(-1000 * (x - 0.3) ** 2),
    "runge": lambda x: 1 / (1 + 25 * x**2),
    "oscillating": lambda x: np.sin(50 * x),
    "steep": lambda x: np.tanh(50 * x),
    "root at the end": lambda x: np.maximum(1 + x, 0) ** 0.1,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("degree", [0, 1, 2, 7, 20, 31])
def test_converges_and_is_certified(name, degree):
    f = FUNCTIONS[name]
    r = remez(f, degree)
    assert r.converged and r.iterations < 40
    assert len(r.points) == degree + 2 and np.all(np.diff(r.points) > 0)
    x = np.cos(np.linspace(0, np.pi, 20000))
    assert np.abs(f(x) - r(x)).max() <= r.max_error + r.roundoff
    a = alternation_points(f, r, degree, samples=5000)
    if r.error > 100 * r.roundoff:
        assert abs(a.lower / r.error - 1) < 1e-2 and abs(a.upper / r.error - 1) < 1e-2
    e = a.errors
    assert np.all(e[1:] * e[:-1] <= 0)


@settings(max_examples=25)
@given(st.integers(0, 6), st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.05, 4))
def test_level_is_a_bound_for_every_polynomial(degree, seed, centre, width):
    """Random sums of waves: the level agrees with a linear program on a grid, from above and from below."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.standard_normal((3, 4))
    f = lambda x: sum(p * np.sin(3 * q * x + s) for p, q, s in zip(a, b, c))
    weight = lambda x: 1 + 0.5 * np.sin(5 * x)
    interval = centre - width, centre + width
    r = remez(f, degree, interval, weight=weight)
    assert r.converged and 0 <= r.max_error - r.error + r.roundoff
    x = np.linspace(*interval, 101)
    V, w = np.polynomial.chebyshev.chebvander((x - centre) / width, degree), weight(x)
    rows = np.vstack([np.column_stack([V, -1 / w]), np.column_stack([-V, -1 / w])])
    best = linprog(np.eye(degree + 2)[-1], rows, np.concatenate([f(x), -f(x)]), bounds=(None, None)).fun
    assert best <= r.max_error * (1 + 1e-9) + 1e-6
    on_points = alternation_points(f, Chebyshev.interpolate(f, degree, interval), degree, interval, weight=weight)
    assert on_points.lower <= r.max_error + r.roundoff
    assert on_points.upper >= r.error - r.roundoff


@pytest.mark.parametrize("degree", [1, 3, 5, 9, 17])
@pytest.mark.parametrize("lower", [0.9, 0.1, 1e-3, 1e-5])
def test_one_by_odd_polynomials(degree, lower):
    """Both ends are contacts, p(l) = 1 - E, and the weighted problem for y^(-1/2) is the same."""
    r = remez(lambda x: 1, degree, (lower, 1), odd=True)
    assert r.converged and r.points[0] == lower and r.points[-1] == 1
    assert abs(1 - r(lower) - r.error) <= r.roundoff
    q = (degree - 1) // 2
    assert abs(1 - r(1.0) - (-1) ** (q + 1) * r.error) <= r.roundoff
    other = remez(lambda y: y**-0.5, q, (lower**2, 1), weight=np.sqrt)
    assert abs(other.error - r.error) <= 1e-11 + 10 * r.roundoff


REFERENCE = {  # computed with 400 digits by other means: degree, then steps of coefficients from l = 1e-3
    5: [[8.4703288038480689, -25.10807470666187, 18.629275599118009],
        [4.1828341832939419, -3.108701109889241, 0.58060668135004902]],
    7: [[11.7748453726172, -69.5340606424604, 128.770492722987, -70.9995026773048],
        [5.71847384726847, -8.44069738562366, 3.94038306045112, -0.548671624586461]],
    9: [[15.0760146685551, -148.071776963747, 493.178159510688, -634.186870103397, 275.989397021304],
        [7.15600232376275, -17.4709706603162, 14.6787614133746, -4.77670374263445, 0.526692441041984]],
}


@pytest.mark.parametrize("degree", REFERENCE)
def test_reference_coefficients(degree):
    with mpmath.workdps(60):
        lo, hi = mpmath.mpf("0.001"), mpmath.mpf(1)
        for row in REFERENCE[degree]:
            r = remez(lambda x: 1, degree, (lo, hi), odd=True, dps=50, tol=1e-30)
            assert r.converged
            for found, expected in zip(r.powers()[1::2], row):
                assert abs(found / expected - 1) < 1e-13
            lo, hi = 1 - r.error, 1 + r.error


def test_a_schedule_down_to_1e_85():
    expected = [0.99152969630421, 0.96457201332425, 0.85977070052133, 0.54589328386109, 0.11344845738158,
                9.164721887257e-4, 4.811029370639e-10, 6.9597564473311e-29, 2.1069883937228e-85]
    with mpmath.workdps(130):
        lo, hi = mpmath.mpf("0.001"), mpmath.mpf(1)
        for E in expected:
            r = remez(lambda x: 1, 5, (lo, hi), odd=True, dps=120, tol=1e-20)
            assert r.converged and abs(r.error / E - 1) < 1e-12
            lo, hi = 1 - r.error, 1 + r.error


@settings(max_examples=25)
@given(st.integers(0, 7), st.sampled_from([None, "odd", "even"]), st.integers(0, 100), st.booleans())
def test_powers_are_the_polynomial(degree, parity, seed, digits):
    degree += parity is not None and degree % 2 != (parity == "odd")
    options = {parity: True} if parity else {}
    lo, hi = sorted(np.random.default_rng(seed).uniform(0.1, 3, 2)) + np.array([0, 0.2])
    f, dps = (lambda x: 1 / x + x, 40 if digits else None)
    r = remez(f, degree, (lo, hi), dps=dps, **options)
    assert len(r.powers()) == degree + 1
    for x in (lo, (lo + hi) / 2, hi):
        value = sum(c * mpmath.mpf(x) ** k for k, c in enumerate(r.powers()))
        scale = sum(abs(c) * x**k for k, c in enumerate(r.powers()))
        assert abs(value - r(x)) <= 1e-12 * scale
    if parity:
        assert not np.any(r.powers()[1 - (parity == "odd")::2])


def test_shapes_and_types_of_values():
    r, m = remez(np.exp, 4), remez(mpmath.exp, 4, dps=30)
    x = np.linspace(-1, 1, 6).reshape(2, 3)
    assert r(x).shape == m(x).shape == (2, 3) and r(0.5).shape == () and isinstance(m(0.5), mpmath.mpf)
    assert np.abs(r(x) - m(x).astype(float)).max() < 1e-12
    assert r([1, 0])[1] == r(0) and m([1, 0])[1] == m(0) and m(np.empty((0, 2))).shape == (0, 2)
    before = x.copy()
    assert np.array_equal(x, before) and repr(r) == "<Minimax: degree 4 on [-1, 1], error 0.0005467, converged>"
    assert repr(remez(np.sin, 3, (0, 1), odd=True, maxiter=1)).endswith("not converged>")


def test_a_function_that_writes_into_its_argument():
    def f(x):
        x *= 2
        return x**2

    assert remez(f, 2).max_error < 1e-14


def test_mpmath_is_imported_when_asked_for():
    import subprocess
    import sys

    code = "import sys, lowrank.equioscillation as e, numpy; e.remez(numpy.exp, 3); sys.exit('mpmath' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_precision_of_mpmath_is_left_alone():
    before = mpmath.mp.dps
    remez(mpmath.exp, 2, dps=50)
    with pytest.raises(ValueError):
        remez(lambda x: mpmath.nan, 2, dps=50)
    assert mpmath.mp.dps == before


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_functions_whose_squares_leave_the_range(size):
    r, unit = remez(lambda x: size * np.exp(x), 3), remez(np.exp, 3)
    assert r.converged and abs(r.error / size / unit.error - 1) < 1e-12
    assert str(alternation_points(np.exp, np.exp, 2).upper) == "0.0"           # and not -0.0


def test_warm_start_and_honest_stop():
    cold = remez(lambda x: 1, 9, (1e-3, 1), odd=True)
    warm = remez(lambda x: 1, 9, (1.1e-3, 1), odd=True, start=np.clip(cold.points, 1.1e-3, 1))
    assert warm.converged and warm.iterations < cold.iterations
    stopped = remez(np.abs, 20, maxiter=2)
    best = remez(np.abs, 20).error
    assert not stopped.converged and stopped.error < best < stopped.max_error
    noisy = remez(lambda x: np.exp(x) + 1e-9 * np.sin(1e9 * x), 12)
    assert not noisy.converged or noisy.error > 1e-10


def waves(seed):
    """A sum of a few sines, faster than the polynomials that are asked for."""
    rng = np.random.default_rng(seed)
    k = rng.integers(1, 6)
    size, phase, frequency = rng.standard_normal(k), rng.uniform(0, 2 * np.pi, k), rng.uniform(0, 120, k)
    return lambda x: np.sin(np.multiply.outer(x, frequency) + phase) @ size


def most(f, p, x):
    return np.abs(f(x) - p(x)).max()


@pytest.mark.parametrize("f, degree, interval, error", [
    (lambda x: np.sin(40 / (x + 1.2)), 50, (-1, 1), 1.0),
    (lambda x: np.sin(40 / (x + 1.2)), 6, (-1, 1), 1.0),
    (lambda x: abs(np.sin(20 * x)), 50, (-1, 1), 0.1250015227),
    (abs, 50, (-1, 1), 0.0056019843690),
    (np.exp, 8, (-1, 1), 1.10642894e-8),
    (lambda x: np.sin(60 * x), 10, (-3, 1), 1.0),
    (lambda x: 5 + np.sin(60 * x), 10, (-3, 1), 1.0),
])
def test_more_alternations_than_are_needed(f, degree, interval, error):
    r = remez(f, degree, interval)
    assert r.converged and r.error <= error * (1 + 1e-8) and r.max_error >= error * (1 - 1e-8)
    assert r.max_error - r.error <= 1e-8 * max(1, error)


@pytest.mark.parametrize("seed, degree", [(0, 46), (1, 22), (2, 38), (3, 9), (4, 30), (5, 15), (6, 41), (7, 5)])
def test_fast_waves(seed, degree):
    """The level is below the error of every polynomial, the largest error is what samples show."""
    f, x = waves(seed), np.cos(np.linspace(0, np.pi, 20001))
    r = remez(f, degree)
    assert r.converged and r.max_error - r.error <= 3e-8 * np.abs(f(x)).max()
    assert most(f, r, x) <= r.max_error + r.roundoff
    for other in (Chebyshev.fit(x, f(x), degree), Chebyshev.interpolate(f, degree), lambda x: 0 * x):
        assert most(f, other, x) >= r.error - r.roundoff - 1e-6     # of samples


@pytest.mark.parametrize("parity", ["odd", "even"])
def test_fast_waves_of_a_parity_with_a_weight(parity):
    f = lambda x: np.sin(90 * x) * (x if parity == "even" else 1) + x**2 * (parity == "even")
    r = remez(f, 8 + (parity == "odd"), (0, 1), weight=lambda x: 1 + x, **{parity: True})
    assert r.converged and 0 < r.max_error - r.error + r.roundoff <= 1e-6


def test_digits_are_sought_where_the_exchange_fails():
    r = remez(lambda x: mpmath.sin(40 * x) + mpmath.sin(33 * x + 1), 7, dps=30, tol=1e-22)
    assert r.converged and r.max_error - r.error < mpmath.mpf(10)**-20


@pytest.mark.parametrize("f", [np.sign, lambda x: np.floor(7 * x), lambda x: np.sin(1e5 * x) + np.sign(x - 0.3)])
@pytest.mark.parametrize("degree", [5, 20])
def test_what_does_not_converge_is_no_worse_than_least_squares(f, degree):
    """Jumps, and waves that samples cannot follow: an answer that says so, bounded and with a level below it."""
    r, x = remez(f, degree), -np.cos(np.linspace(0, np.pi, 3 * (degree + 2)))
    basis = np.polynomial.chebyshev.chebvander(x, degree)
    fit = Chebyshev(np.linalg.lstsq(basis, f(x))[0])
    jumps = np.append(np.arange(-6, 7) / 7, 0.3)
    t = np.concatenate([np.cos(np.linspace(0, np.pi, 2000)), jumps - 1e-12, jumps + 1e-12])
    assert np.isfinite(r.coefficients).all() and 0 <= r.error <= r.max_error + r.roundoff
    assert r.converged or most(f, r, t) <= most(f, fit, t) * (1 + 1e-6)


def test_sixty_more_extrema_cost_a_certificate():
    """0 is the best polynomial: f alternates by itself, and nothing else needs to be computed."""
    r = remez(lambda x: np.sin(300 * x), 40)
    assert r.converged and abs(r.error - 1) < 1e-12 and np.abs(r(np.linspace(-1, 1, 100))).max() < 1e-8

"""Tests of lowrank.equioscillation, generated from book/matrix_sign/equioscillation.ipynb; edit the
chapter."""

import numpy as np

from lowrank.equioscillation import alternation_points, remez


# %% book/matrix_sign/equioscillation.ipynb: test_known_best_polynomials
def test_known_best_polynomials():
    from numpy.polynomial import Chebyshev

    for n in range(1, 12):                                        # x^n by lower degrees: T_n
        r = remez(lambda x: x**n, n - 1)
        assert abs(r.error - 2.0**(1 - n)) < 1e-14 and r.converged
        x = np.linspace(-1, 1, 50)
        assert np.abs(x**n - r(x) - Chebyshev.basis(n)(x) * r.error).max() < 1e-12
    for n in range(9):                                            # the closed form below
        r = remez(lambda x: 1 / (2 - x), n)
        assert r.converged and abs(r.error - (2 - 3**0.5)**n / 3) < 1e-14
    for n, best in enumerate([1 / 8, 0.0676208992777843, 0.0459290620668626,
                              0.0346897280843816, 0.0278451185535509], 1):
        assert abs(remez(np.abs, 2 * n).error / best - 1) < 1e-12
        assert abs(remez(np.abs, 2 * n + 1).error / best - 1) < 1e-12
        assert abs(remez(np.abs, 2 * n, (0, 1), even=True).error / best - 1) < 1e-12
        assert abs(remez(np.sqrt, n, (0, 1)).error / best - 1) < 1e-12


def test_levelled_and_certified():
    cases = [(np.exp, 5, (-1, 1), {}), (np.sqrt, 7, (0, 2), {}), (abs, 12, (-1, 2), {}),
             (np.sin, 7, (0, 3), {"odd": True}), (np.cos, 6, (0, 3), {"even": True}),
             (np.exp, 4, (1, 3), {"weight": lambda x: np.exp(-x)}),
             (lambda x: 1, 9, (0.01, 1), {"odd": True}), (np.log, 6, (0.1, 5), {}),
             (lambda x: np.exp(-1000 * (x - 0.3)**2), 20, (-1, 1), {}),
             (lambda x: np.cos(20 * np.arccos(x)), 9, (-1, 1), {})]
    for f, n, interval, options in cases:
        r = remez(f, n, interval, **options)
        w = options.get("weight", lambda x: 1)(r.points)
        e = w * (f(r.points) - r(r.points))
        signs = (-1.0)**np.arange(len(e))
        assert r.converged and r.max_error - r.error <= max(1e-12 * r.max_error, r.roundoff)
        assert np.abs(e * signs * np.sign(e[0]) - r.error).max() <= max(r.roundoff, 1e-14)
        a = alternation_points(f, r, n, interval, **options)
        assert len(a.points) == len(r.points) and np.all(np.diff(a.points) > 0)
        assert abs(a.lower - r.error) <= 2 * r.roundoff + 1e-12 * r.error
        assert abs(a.upper - r.max_error) <= 2 * r.roundoff + 1e-12 * r.error


def test_digits():
    import mpmath

    r = remez(mpmath.exp, 10, dps=60, tol=0)
    assert r.converged and r.max_error - r.error < mpmath.mpf(10)**-58 and mpmath.mp.dps == 15
    with mpmath.workdps(60):
        assert abs(mpmath.exp(r.points[3]) - r(r.points[3])) - r.error < mpmath.mpf(10)**-57
        powers = r.powers()
        at = mpmath.mpf(1) / 3
        assert abs(mpmath.polyval(list(powers[::-1]), at) - r(at)) < mpmath.mpf(10)**-57
    double = remez(np.exp, 10)
    assert abs(double.error - r.error) < double.roundoff


# %% book/matrix_sign/equioscillation.ipynb: test_hard_cases
def test_hard_cases():
    from numpy.polynomial import Chebyshev

    for n in (2, 4, 6):                                           # symmetric starts
        start = -np.cos(np.pi * np.arange(n + 2) / (n + 1))
        for f in (np.abs, np.cos):
            a, b = remez(f, n, start=start), remez(f, n)
            assert a.converged and b.converged and abs(a.error - b.error) < 1e-13
    for k, n in ((20, 9), (40, 20), (80, 40), (60, 20), (33, 10), (100, 30)):
        r = remez(Chebyshev.basis(k), n)
        assert r.converged and abs(r.error - 1) < 1e-7 and r.max_error - 1 < 1e-7
    assert abs(remez(lambda x: abs(x - 0.5), 2).error - 0.18) < 1e-13
    assert remez(np.exp, 6, start=np.linspace(-1, -0.9, 8)).converged      # clustered
    assert abs(remez(np.abs, 80).error * 80 - 0.28) < 1e-3
    assert not remez(np.sign, 5).converged
    zero = remez(lambda x: 0, 3)
    assert zero.error == 0 and zero.converged and zero(0.3) == 0
    a = alternation_points(lambda x: 0, lambda x: 0, 3)
    assert a.lower == a.upper == 0
    assert alternation_points(np.exp, lambda x: 0, 1).lower == 0           # no alternation
    rational = alternation_points(np.exp, lambda x: (2 + x) / (2 - x), 1)
    assert rational.lower <= remez(np.exp, 1).error


def test_scale():
    reference = remez(np.exp, 5)
    for size, unit in ((1e150, 1e-150), (1e-150, 1e150), (1e-150, 1e-150), (1e150, 1e140)):
        f = lambda x: size * np.exp(x / unit)
        r = remez(f, 5, (-unit, unit))
        assert r.converged and abs(r.error / size - reference.error) < 1e-14
        x = reference.points
        assert np.abs(r(x * unit) / size - reference(x)).max() < 1e-9
    r = remez(lambda x: np.sin(x * 1e150), 5, (0, 1e-150), odd=True)
    assert abs(r.error - remez(np.sin, 5, (0, 1), odd=True).error) < 1e-14


def test_refuses():
    import math

    import mpmath
    import pytest

    nan = lambda x: np.where(x > 0.5, np.nan, x)
    cases = [
        (lambda: remez(np.exp, -1), ValueError, "degree is -1; allowed is an integer from 0"),
        (lambda: remez(np.exp, 2.5), TypeError, "degree is 2.5"),
        (lambda: remez(np.exp, 4, (0, 1), odd=True), ValueError, "degree is 4 with odd=True"),
        (lambda: remez(np.exp, 3, (0, 1), even=True), ValueError, "degree is 3 with even=True"),
        (lambda: remez(np.exp, 3, (0, 1), odd=True, even=True), ValueError, "odd and even"),
        (lambda: remez(np.sin, 3, odd=True), ValueError, r"0 <= lo < hi; for .* take \[0, 1"),
        (lambda: remez(lambda x: 1, 3, (0, 1), odd=True), ValueError, "f is 1.0 at x = 0, wh"),
        (lambda: remez(np.exp, 3, (1, -1)), ValueError, r"interval is \(1, -1\)"),
        (lambda: remez(np.exp, 3, (1, 1)), ValueError, r"interval is \(1, 1\)"),
        (lambda: remez(np.exp, 3, (0, np.inf)), ValueError, "finite numbers"),
        (lambda: remez(np.exp, 3, (0, np.nan)), ValueError, "finite numbers"),
        (lambda: remez(np.exp, 3, (0, 1, 2)), TypeError, "a pair"),
        (lambda: remez(np.exp, 3, 5), TypeError, "interval is 5"),
        (lambda: remez(np.exp, 9, (1, 1 + 1e-15)), ValueError, "room for 11 different points"),
        (lambda: remez(2.0, 3), TypeError, "f is 2.0; allowed is a function"),
        (lambda: remez(math.exp, 3), TypeError, "f fails on an array .* numpy.vectorize"),
        (lambda: remez(lambda x: x if x > 0 else -x, 3), TypeError, "numpy.vectorize"),
        (lambda: remez(nan, 3), ValueError, "f is nan at x ="),
        (lambda: remez(lambda x: 1 / x, 3, (0, 1)), ValueError, "f is inf at x = 0.0"),
        (lambda: remez(lambda x: x[1:], 3), ValueError, r"f returns shape \(4,\) for 5 points"),
        (lambda: remez(lambda x: x[:, None], 3), ValueError, r"shape \(5, 1\)"),
        (lambda: remez(lambda x: 1j * x, 3), TypeError, "f returns complex128"),
        (lambda: remez(np.exp, 3, weight=lambda x: x), ValueError, "weight is .* > 0"),
        (lambda: remez(np.exp, 3, weight=2), TypeError, "weight is 2; allowed is a function"),
        (lambda: remez(np.exp, 3, start=[0, 1]), ValueError, "5 different points"),
        (lambda: remez(np.exp, 3, start=[-1, 0, 0, 0.5, 1]), ValueError, "5 different points"),
        (lambda: remez(np.exp, 3, start=[-2, 0, 0.1, 0.5, 1]), ValueError, "of the interval"),
        (lambda: remez(np.exp, 3, start="abcde"), TypeError, "start is 'abcde'"),
        (lambda: remez(np.exp, 3, tol=-1), ValueError, "tol is -1"),
        (lambda: remez(np.exp, 3, maxiter=0), ValueError, "maxiter is 0"),
        (lambda: remez(mpmath.exp, 3, dps=0), ValueError, "dps is 0"),
        (lambda: remez(np.exp, 3, dps=30), TypeError, "use mpmath's functions"),
        (lambda: remez(math.exp, 3, dps=30), TypeError, "the float .* 16 digits"),
        (lambda: remez(lambda x: mpmath.mpc(0, 1), 3, dps=30), TypeError, "real numbers"),
        (lambda: remez(lambda x: mpmath.nan, 3, dps=30), ValueError, "f is nan at x"),
        (lambda: alternation_points(np.exp, 3.0, 2), TypeError, "p is 3.0"),
        (lambda: alternation_points(np.exp, np.exp, 2, samples=1), ValueError, "samples is 1"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()

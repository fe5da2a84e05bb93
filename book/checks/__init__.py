"""What the check cells of the chapters assert with: a claim that is wrong makes its cell fail.

    proved("the norm", sp.expand(lhs - rhs))                   an identity, by SymPy
    equal("both ways", found, expected, rtol=1e-12)             two computations
    bounded("the error", ratios, attained=0.9)                  never above 1, and a case comes that near
    frequency("failures", hits, trials, most=0.01)              a share of trials, within its binomial limits
    c = formula(r"\\frac{2q+1}{4^q}\\binom{2q}{q}")              a formula as it stands on the page, as a function

Each prints one line that is the same on every machine. What is asserted of complex numbers notices a lost conjugate:

    complex_normal(rng, 6, 4)                                  random ones, in an array
    complex_symbols("a", 3, 2)                                 those of SymPy, in a matrix

Not part of `lowrank`: readers of the package do not need it.
"""

import math

import numpy as np
import sympy as sp
from scipy.stats import binom

from .tex import formula

__all__ = ["bounded", "complex_normal", "complex_symbols", "equal", "formula", "frequency", "proved"]


def complex_normal(rng, *shape):
    """Independent complex numbers, whose real and imaginary parts are standard normal."""
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def complex_symbols(letter, m, n):
    """A matrix of complex symbols, each with a real and an imaginary part: `ar01 + I*ai01` for the letter a."""
    part = lambda kind, i, j: sp.Symbol(f"{letter}{kind}{i}{j}", real=True)
    return sp.Matrix(m, n, lambda i, j: part("r", i, j) + sp.I * part("i", i, j))


def proved(what, *differences):
    """Assert that SymPy expressions, or all entries of matrices, are zero, and that relations hold."""
    assert differences, "nothing to prove"
    for difference in differences:
        for entry in _entries(difference):
            if isinstance(entry, bool | np.bool | sp.logic.boolalg.Boolean):
                assert entry in (True, sp.true), f"{what}: {entry}"
            else:
                rest = sp.simplify(sp.expand(entry))
                assert rest == 0, f"{what}: {rest} is left"
    print(f"{what}: proved")


def _entries(value):
    if isinstance(value, sp.MatrixBase | list | tuple | set):
        return [entry for part in value for entry in _entries(part)]
    return [value]


def equal(what, found, expected, rtol=1e-9, atol=0.0):
    """Assert that two arrays agree entry by entry."""
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=what)
    print(f"{what}: equal to {_size(max(rtol, atol))}")


def bounded(what, ratios, attained, slack=1e-9):
    """Assert that ratios to a bound are at most 1, and that one of them is at least `attained`.

    Give a slack above round-off its reason in a comment.
    """
    ratios = np.asarray(ratios, float).ravel()
    assert ratios.size and np.all(np.isfinite(ratios)), f"{what}: {ratios}"
    assert ratios.max() <= 1 + slack, f"{what}: a case exceeds the bound {ratios.max():.6g} times"
    assert ratios.max() >= attained, f"{what}: no case comes nearer to the bound than {ratios.max():.3g} of it"
    print(f"{what}: at most the bound in {ratios.size} cases, and {attained:g} of it is met")


def frequency(what, hits, trials, most, least=0.0, sigmas=4.0):
    """Assert that so many hits in independent trials fit a probability from `least` to `most`.

    A true probability in that range is refused with the chance that a normal variable leaves `sigmas` on one side.
    """
    tail = math.erfc(sigmas / math.sqrt(2)) / 2
    high, low = binom.isf(tail, trials, most), binom.ppf(tail, trials, least) if least else 0
    assert hits <= high, f"{what}: {hits} of {trials}, above {most:g}"
    assert hits >= low, f"{what}: {hits} of {trials}, below {least:g}"
    allowed = f"between {least:g} and {most:g}" if least else f"at most {most:g}"
    print(f"{what}: {allowed}, in {trials} trials")


def _size(tolerance):
    return "the last bit" if tolerance == 0 else f"1e{math.ceil(math.log10(tolerance) - 1e-9):d}"

"""What check cells assert with: each helper passes what is true and refuses what is nearly true; formulas are read right."""

import math
import re

import numpy as np
import pytest
import sympy as sp

from book.checks import bounded, complex_normal, complex_symbols, equal, formula, frequency, proved

x, y = sp.symbols("x y", positive=True)


def test_proved(capsys):
    proved("squares", (x + y) ** 2 - x**2 - 2 * x * y - y**2, sp.Matrix([[x - x, sp.sin(y) ** 2 + sp.cos(y) ** 2 - 1]]), x > 0)
    assert capsys.readouterr().out == "squares: proved\n"


@pytest.mark.parametrize("wrong", [x, sp.Matrix([[0, x]]), x < 0, False, np.bool(False), [0, 1e-30], sp.Gt(x, y)])
def test_proved_refuses(wrong):
    with pytest.raises(AssertionError):
        proved("this", wrong)
    with pytest.raises(AssertionError, match="nothing to prove"):
        proved("this")


def test_equal(capsys):
    equal("both", [1.0, 2.0], [1.0, 2.0 + 1e-10])
    equal("bits", np.arange(3), np.arange(3), rtol=0)
    assert capsys.readouterr().out == "both: equal to 1e-9\nbits: equal to the last bit\n"
    with pytest.raises(AssertionError, match="both"):
        equal("both", 1.0, 1.0 + 1e-8)


def test_bounded(capsys):
    bounded("ratio", [0.2, 0.99], attained=0.95)
    assert capsys.readouterr().out == "ratio: at most the bound in 2 cases, and 0.95 of it is met\n"
    for ratios in ([0.2, 1.001], [0.2, 0.9], [0.99, np.nan], []):
        with pytest.raises(AssertionError, match="ratio"):
            bounded("ratio", ratios, attained=0.95)


def test_frequency(capsys):
    frequency("fails", 10, 1000, most=0.01)
    frequency("hits", 500, 1000, most=0.5, least=0.5)
    assert capsys.readouterr().out == "fails: at most 0.01, in 1000 trials\nhits: between 0.5 and 0.5, in 1000 trials\n"
    for hits, options in ((40, {"most": 0.01}), (400, {"most": 0.5, "least": 0.5}), (600, {"most": 0.5, "least": 0.5})):
        with pytest.raises(AssertionError, match=f"{hits} of 1000"):
            frequency("fails", hits, 1000, **options)


def test_frequency_refuses_a_true_probability_rarely():
    rng = np.random.default_rng(0)
    for hits in rng.binomial(1000, 0.01, 500):
        frequency("fails", hits, 1000, most=0.01, least=0.01)


def test_complex_normal():
    drawn, rng = complex_normal(np.random.default_rng(0), 40, 50), np.random.default_rng(0)
    assert np.array_equal(drawn, rng.standard_normal((40, 50)) + 1j * rng.standard_normal((40, 50)))
    assert complex_normal(rng).shape == ()


def test_complex_symbols():
    a, b = (complex_symbols(letter, 2, 3) for letter in "ab")
    assert a.shape == (2, 3) and len(a.free_symbols) == 12 and not a.free_symbols & b.free_symbols
    assert a == complex_symbols("a", 2, 3) and a.H != a.T
    proved("|a|^2", sp.re(a[1, 2]) ** 2 + sp.im(a[1, 2]) ** 2 - a[1, 2] * a[1, 2].conjugate())


FORMULAS = [  # TeX, names, letters, value
    (r"\frac{2q+1}{4^q}\binom{2q}{q}", {}, {"q": 3}, 35 / 16),
    (r"\frac{2^q\,c}{q+1}\,d^{\,q+1}", {}, {"q": 2, "c": 3, "d": 0.5}, 0.5),
    (r"(r+1)\,\sigma_{r+1}(A)", {"s": r"\sigma_{r+1}(A)"}, {"r": 2, "s": 5}, 15),
    (r"n(n-1)", {}, {"n": 4}, 12),
    (r"c(1+c)^{n-2}", {}, {"c": 2, "n": 4}, 18),
    (r"\tfrac12\log 2", {}, {}, math.log(2) / 2),
    (r"e^{-t}", {}, {"t": 1}, math.exp(-1)),
    (r"e^2", {"e": "e"}, {"e": 3}, 9),
    (r"(-1)^j\frac{c}{2j+1}\binom qj", {}, {"j": 1, "c": 3, "q": 4}, -4),
    (r"\sum_{j=0}^{q}\binom qj", {}, {"q": 5}, 32),
    (r"\prod_{j=2}^n j", {}, {"n": 4}, 24),
    (r"\frac1k", {}, {"k": 4}, 0.25),
    (r"\Big(1+\frac{r}{p-1}\Big)\,t", {}, {"r": 2, "p": 3, "t": 5}, 10),
    (r"\max(a, b)^2", {}, {"a": 1, "b": 3}, 9),
    (r"\lfloor n/2\rfloor + \lceil n/2\rceil", {}, {"n": 5}, 5),
    (r"\cosh^2 x-\sinh^2 x", {}, {"x": 0.3}, 1),
    (r"2\operatorname{asinh}(x/2)", {}, {"x": 2.0}, 2 * math.asinh(1)),
    (r"\log 2n + 1", {}, {"n": 3}, math.log(6) + 1),
    (r"q! - 2", {}, {"q": 4}, 22),
    (r"\lambda^2 \ell", {}, {"lambda_": 3, "ell": 2}, 18),
    (r"4^10", {}, {}, 0),  # one digit, as TeX does
    (r"\sqrt[3]{x}\,\sqrt{k(n-k)}", {}, {"x": 8, "k": 2, "n": 6}, 2 * 8**0.5),
    (r"2-3-4", {}, {}, -5),
    (r"-x^2/2/2", {}, {"x": 2}, -1),
    (r"|x|\pi", {}, {"x": -1}, math.pi),
    (r"e+x_e", {"e": "e", "other": "x_e"}, {"e": 2, "other": 3}, 5),
]


@pytest.mark.parametrize("tex, names, letters, value", FORMULAS, ids=[case[0] for case in FORMULAS])
def test_formulas_are_read(tex, names, letters, value):
    f = formula(tex, **names)
    assert f(**letters) == pytest.approx(value, rel=1e-14)
    symbols = {name: sp.Symbol(name, real=True) for name in letters}
    expression = f(**symbols) if letters and "sum" not in tex and "prod" not in tex else None
    if expression is not None:
        values = {symbols[name]: sp.nsimplify(number) for name, number in letters.items()}
        assert float(expression.subs(values)) == pytest.approx(value, rel=1e-12)


SAME = {r"4^11", r"4^20"}  # the last digit multiplies, by zero


def test_a_changed_formula_has_another_value():
    """Each digit raised by one, each plus and minus exchanged, each fraction turned over."""
    changed = 0
    for tex, names, letters, value in FORMULAS:
        variants = [tex[: m.start()] + str(int(m[0]) + 1) + tex[m.end() :] for m in re.finditer(r"\d", tex)]
        variants += [tex[: m.start()] + "+-"[m[0] == "+"] + tex[m.end() :] for m in re.finditer("[+-]", tex)]
        for variant in variants:
            try:
                other = formula(variant, **names)(**letters)
            except (ValueError, ZeroDivisionError):
                changed += 1
                continue
            with np.errstate(all="ignore"):
                assert not np.isclose(other, value, rtol=1e-6) or tex in (r"4^10", r"(-1)^j\frac{c}{2j+1}\binom qj"), variant
            changed += 1
    assert changed > 60


@pytest.mark.parametrize("tex", [r"\foo", "x+1 ) y", r"\lVert A\rVert", r"\sum_{i>0} w_i", r"\sigma_{r}", "a_1", r"\{1,2\}",
                                 r"\frac{1}{", "x = y", r"\operatorname{tr}(A)", "x +", ""])  # fmt: skip
def test_what_is_not_understood_is_refused(tex):
    with pytest.raises(ValueError, match="in "):
        formula(tex)


def test_letters_are_asked_for():
    f = formula("x + y")
    with pytest.raises(TypeError, match="the formula x [+] y has the letters x, y; given are x, z"):
        f(x=1, z=2)
    with pytest.raises(ValueError, match="does not contain"):
        formula("x", s=r"\sigma")

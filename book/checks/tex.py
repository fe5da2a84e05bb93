"""Formulas as they stand on the page, read as functions: a small reader of TeX that refuses what it does not understand."""

import math
import re

import numpy as np
import sympy as sp


def formula(tex, **names):
    """A formula as it stands in the claim, as a function of its letters.

    `names` says which piece of TeX a longer name stands for: ``formula(r"(r+1)\\,\\sigma_{r+1}(A)", s=r"\\sigma_{r+1}(A)")``
    is a function of r and s. Letters that are not declared stand for themselves, Greek ones by their names
    (``lambda_`` for lambda), and `e` is Euler's number unless it is declared. Numbers give floats, symbols expressions.
    """
    reader = _Reader(tex, names)
    code = compile(reader.python, "<formula>", "eval")

    def value(**letters):
        missing, unknown = reader.letters - set(letters), set(letters) - reader.letters
        if missing or unknown:
            raise TypeError(f"the formula {tex} has the letters {', '.join(sorted(reader.letters))}; given are {', '.join(letters)}")
        symbolic = any(isinstance(letter, sp.Basic) for letter in letters.values())
        space = _SYMBOLIC if symbolic else _NUMERIC
        return eval(code, {"__builtins__": {}, "I_": sp.Integer if symbolic else float, **space, **letters})

    value.python = reader.python
    return value


# What the names in the Python text mean: for numbers, and for symbols


def _sum(module):
    """sum_{k=low}^{high} of a function of k; the end may be a symbol for SymPy."""

    def total(term, low, high):
        if isinstance(high, sp.Basic) and not high.is_Integer:
            k = sp.Dummy("k", integer=True)
            return sp.Sum(term(k), (k, low, high))
        return sum((term(sp.Integer(k) if module is sp else k) for k in range(int(low), int(high) + 1)), module.Integer(0) if module is sp else 0)

    return total


def _product(term, low, high):
    return math.prod(term(k) for k in range(int(low), int(high) + 1))


_FUNCTIONS = "sin cos tan sinh cosh tanh asinh acosh atanh exp log sqrt".split()
_NUMERIC = {name: getattr(np, {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}.get(name, name)) for name in _FUNCTIONS}
_NUMERIC |= {"binom": lambda n, k: float(sp.binomial(round(n), round(k))), "factorial": lambda n: float(math.factorial(round(n)))}
_NUMERIC |= {"pi": math.pi, "euler": math.e, "floor": math.floor, "ceil": math.ceil, "max_": max, "min_": min, "abs_": abs}
_NUMERIC |= {"total": _sum(np), "product": _product}
_SYMBOLIC = {name: getattr(sp, name) for name in _FUNCTIONS}
_SYMBOLIC |= {"binom": sp.binomial, "factorial": sp.factorial, "pi": sp.pi, "euler": sp.E, "floor": sp.floor, "ceil": sp.ceiling}
_SYMBOLIC |= {"max_": sp.Max, "min_": sp.Min, "abs_": sp.Abs, "total": _sum(sp), "product": _product}

_TOKEN = re.compile(r"\\(?:operatorname|mathrm|text)\{(\w+)\}|(\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|[^\s])")
_NOTHING = {r"\,", r"\;", r"\:", r"\!", r"\ ", r"\quad", r"\qquad", r"\left", r"\right", "&", r"\displaystyle"} | {
    rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
}
_BRACKETS = {"(": ")", "[": "]", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", r"\lvert": r"\rvert", r"\{": r"\}"}
_GREEK = "alpha beta gamma delta varepsilon epsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau varphi phi chi psi omega ell".split()


class _Reader:
    """Reads TeX as arithmetic, sum over product over power over atom, and writes it as Python."""

    def __init__(self, tex, names):
        self.tex, self.letters, self.bound = tex, set(), []
        self.declared = {name: name for name in names}
        for name, piece in names.items():
            if piece not in tex:
                raise ValueError(f"{tex} does not contain {piece}, which {name} stands for")
        pieces = {piece: rf"\operatorname{{{name}__}}" for name, piece in names.items()}
        longest_first = sorted(map(re.escape, pieces), key=len, reverse=True)
        if pieces:  # in one pass, so that no piece is looked for in what stands for another
            tex = re.sub("|".join(longest_first), lambda found: pieces[found[0]], tex)
        self.tokens = [(word, None) if word else (None, sign) for word, sign in _TOKEN.findall(tex) if sign not in _NOTHING]
        self.place = 0
        self.python = self.sum()
        if self.place < len(self.tokens):
            self.refuse("is left over")

    def refuse(self, why):
        word, sign = self.tokens[self.place] if self.place < len(self.tokens) else ("the end", None)
        raise ValueError(f"in {self.tex}: {word or sign} {why}")

    @property
    def sign(self):
        """The next sign, None at the end and before a named operator."""
        return self.tokens[self.place][1] if self.place < len(self.tokens) else None

    def take(self, expected=None):
        if self.place == len(self.tokens):
            self.refuse(f"stands where {expected or 'more'} is expected")
        word, sign = self.tokens[self.place]
        if expected and sign != expected:
            self.refuse(f"stands where {expected} is expected")
        self.place += 1
        return word or sign

    def sum(self):
        parts = [self.take() if self.sign in ("+", "-") else ""]
        parts.append(self.product())
        while self.sign in ("+", "-"):
            parts += [self.take(), self.product()]
        return f"({' '.join(parts).strip()})"

    def product(self):
        parts = [self.power()]
        while True:
            if self.sign in ("/", r"\cdot", r"\times", "*"):
                parts += ["/" if self.take() == "/" else "*", self.power()]
            elif self.starts_atom():
                parts += ["*", self.power()]
            else:
                return f"({' '.join(parts)})"

    def starts_atom(self):
        if self.place == len(self.tokens):
            return False
        word, sign = self.tokens[self.place]
        ends = {"+", "-", "/", ")", "]", "}", ",", "=", "<", ">", "^", "_", ";", ".", "|", *_BRACKETS.values()}
        ends |= {r"\cdot", r"\times", r"\le", r"\ge", r"\approx", r"\to"}
        return bool(word) or sign not in ends

    def power(self):
        base = self.atom()
        while self.sign in ("^", "!"):
            base = f"factorial({base})" if self.take() == "!" else f"({base} ** {self.argument()})"
        return base

    def argument(self):
        """A group in braces, or what TeX takes without them: one digit, letter or command."""
        if self.sign == "{":
            self.take()
            inner = self.sum()
            self.take("}")
            return inner
        if self.sign and self.sign[0].isdigit() and len(self.sign) > 1:
            digits = self.sign
            self.tokens[self.place : self.place + 1] = [(None, digits[0]), (None, digits[1:])]
        return self.atom()

    def atom(self):
        word = self.tokens[self.place][0] if self.place < len(self.tokens) else None
        sign = self.take()
        if word:
            return self.name(word)
        if sign[0].isdigit():
            return f"I_({sign})" if "." not in sign else sign
        if sign == "{":
            inner = self.sum()
            self.take("}")
            return inner
        if sign in _BRACKETS:
            return self.bracket(sign)
        if sign == "|":
            inner = self.sum()
            self.take("|")
            return f"abs_({inner})"
        if sign in (r"\frac", r"\tfrac", r"\dfrac"):
            return f"({self.argument()} / {self.argument()})"
        if sign in (r"\binom", r"\tbinom"):
            return f"binom({self.argument()}, {self.argument()})"
        if sign == r"\sqrt":
            return self.root()
        if sign in (r"\sum", r"\prod"):
            return self.series("total" if sign == r"\sum" else "product")
        if sign in (r"\max", r"\min"):
            return self.extreme(sign[1:] + "_")
        if sign[1:] in _FUNCTIONS:
            return self.function(sign[1:])
        if sign == r"\pi":
            return "pi"
        if sign[1:] in _GREEK:
            return self.letter("lambda_" if sign == r"\lambda" else sign[1:])
        if sign == "e" and "e" not in self.declared:
            return "euler"
        if sign.isalpha() and sign.isascii():
            return self.letter(sign)
        self.place -= 1
        self.refuse("is not read; name this piece of the formula")

    def name(self, word):
        if word.endswith("__") and word[:-2] in self.declared:
            return self.letter(word[:-2])
        if word in ("asinh", "acosh", "atanh", *_FUNCTIONS):
            return self.function(word)
        self.place -= 1
        self.refuse("is not read; name this piece of the formula")

    def letter(self, name):
        if self.sign == "_":
            self.refuse(f"is a subscript of {name}: name the two together")
        if name not in self.bound:
            self.letters.add(name)
        return name

    def bracket(self, opening):
        inner = self.sum()
        if self.sign == "," and opening == r"\{":
            self.refuse("makes a set; name it")
        self.take(_BRACKETS[opening])
        kind = {r"\lfloor": "floor", r"\lceil": "ceil", r"\lvert": "abs_"}.get(opening, "")
        return f"{kind}({inner})"

    def root(self):
        if self.sign == "[":
            self.take()
            degree = self.sum()
            self.take("]")
            return f"({self.argument()} ** (I_(1) / {degree}))"
        return f"sqrt({self.argument()})"

    def function(self, name):
        power = ""
        if self.sign == "^":
            self.take()
            power = self.argument()
        inner = self.power() if self.sign in ("(", "[", "{") else self.plain_factors()
        return f"({name}({inner}) ** {power})" if power else f"{name}({inner})"

    def plain_factors(self):
        """What a function takes without brackets: factors up to the next sign, as in log 2n."""
        parts = [self.power()]
        while self.starts_atom() and self.sign and (self.sign[0].isalnum() or self.sign[1:] in _GREEK):
            parts.append(self.power())
        return f"({' * '.join(parts)})"

    def extreme(self, name):
        opening = self.take()
        if opening not in _BRACKETS:
            self.refuse("stands where a bracket of max or min is expected")
        parts = [self.sum()]
        while self.sign == ",":
            self.take()
            parts.append(self.sum())
        self.take(_BRACKETS[opening])
        return f"{name}({', '.join(parts)})"

    def series(self, name):
        self.take("_")
        self.take("{")
        index = self.take()
        if not index.isalpha():
            self.refuse("follows an index that is no letter; name the sum")
        self.take("=")
        low = self.sum()
        self.take("}")
        self.take("^")
        high = self.argument()
        self.bound.append(index)
        term = self.product()
        self.bound.remove(index)
        return f"{name}(lambda {index}: {term}, {low}, {high})"

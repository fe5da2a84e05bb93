"""Arguments.

A function that accepts anything returns anything: this chapter says what may be given for a
number, a rank, a tolerance, a choice, a list of indices and a source of random numbers, and in
which words everything else is refused.

Generated from book/foundations/arguments.ipynb; edit the chapter.
"""

import operator

import numpy as np

__all__ = []


# %% book/foundations/arguments.ipynb: check_number
def _check_value(value, name, allowed, convert, holds):
    """The value as a number for which `holds` is true; `allowed` says in words which these are."""
    wrong = ValueError
    try:
        if isinstance(value, (bool, np.bool, str, bytes)) or getattr(value, "ndim", 0):
            raise TypeError
        number = convert(value)
        if holds(number):
            return number
    except (TypeError, ValueError):
        wrong = TypeError
    except OverflowError:                                   # an integer above all floats
        pass
    raise wrong(f"{name} is {value!r}; allowed is {allowed}")


def check_number(value, name, allowed, holds):
    """The value as a float."""
    return _check_value(value, name, allowed, float, holds)


def check_count(count, name, lowest, highest=None, where=""):
    """count as an int that is at least `lowest`, and at most `highest` if there is one."""
    allowed = f"an integer from {lowest}" + ("" if highest is None else f" to {highest}") + where
    high_enough = lambda value: lowest <= value and (highest is None or value <= highest)
    return _check_value(count, name, allowed, operator.index, high_enough)


# %% book/foundations/arguments.ipynb: check_rank
def check_rank(rank, shape, name="rank"):
    """rank as an int from 1 to min(m, n)."""
    return check_count(rank, name, 1, min(shape[-2:]), f" for shape {tuple(shape)}")


def check_tol(tol, name="tol"):
    """tol as a float with 0 <= tol < 1."""
    return check_number(tol, name, f"a number with 0 <= {name} < 1", lambda value: 0 <= value < 1)


def rank_or_tol(rank, tol, shape):
    """The pair (rank, None) or (None, tol), checked: exactly one of the two must be given."""
    if (rank is None) == (tol is None):
        raise ValueError(f"rank is {rank!r} and tol is {tol!r}; give exactly one of them")
    return (check_rank(rank, shape), None) if tol is None else (None, check_tol(tol))


# %% book/foundations/arguments.ipynb: check_choice
def check_choice(value, name, allowed):
    """Refuse what is not one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(map(repr, allowed))}")


def refuse_options(method, **given):
    """Refuse arguments that a method does not take: all that are not None."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} is {value!r}; {method} does not take it")


def check_indices(indices, n, name):
    """indices as an array of distinct integers from 0 to n - 1."""
    J = np.asarray(indices)
    allowed = f"distinct integers from 0 to {n - 1}, at least one"
    if J.size and J.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {J.dtype}; allowed are {allowed}")
    if J.ndim != 1 or not J.size or J.min() < 0 or J.max() >= n or len(np.unique(J)) < len(J):
        raise ValueError(f"{name} is {indices!r:.60}; allowed are {allowed}")
    return J.astype(np.intp)


# %% book/foundations/arguments.ipynb: as_generator
def _spawns(rng):
    """Whether a generator can have children, which one of the older kind cannot."""
    return hasattr(getattr(rng.bit_generator, "seed_seq", None), "spawn")


def as_generator(rng):
    """A NumPy generator from None, a seed or a generator; the global state is never used."""
    try:
        known = isinstance(rng, np.random.RandomState)
        rng = np.random.Generator(rng._bit_generator) if known else np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng is {rng!r}; allowed is None, a non-negative integer, "
                          "a numpy.random.Generator or a numpy.random.RandomState") from None
    return rng if _spawns(rng) else np.random.default_rng(rng.integers(2**32, size=4))


def gaussian_matrix(rng, shape, dtype):
    """Independent standard normal entries, E|g|^2 = 1: real or complex as the dtype is."""
    real = np.finfo(dtype).dtype.type
    if np.dtype(dtype).kind != "c":
        return rng.standard_normal(shape, real)
    parts = rng.standard_normal((2, *shape), real) * real(0.5**0.5)
    return parts[0] + 1j * parts[1]

"""Arguments: both ends of what is allowed pass, the next value on either side does not, and the words say which."""

import numpy as np
import pytest

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    check_indices,
    check_number,
    check_rank,
    check_tol,
    rank_or_tol,
    refuse_options,
)


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, np.array])
def test_counts_from_end_to_end(kind):
    for value in (2, 3, 6):
        found = check_count(kind(value), "k", 2, 6)
        assert found == value and type(found) is int
    for value in (1, 7):
        with pytest.raises(ValueError, match="k is .*; allowed is an integer from 2 to 6$"):
            check_count(kind(value), "k", 2, 6)


def test_counts_without_an_upper_end():
    assert check_count(0, "steps", 0) == 0 and check_count(10**30, "steps", 0) == 10**30
    with pytest.raises(ValueError, match="steps is -1; allowed is an integer from 0$"):
        check_count(-1, "steps", 0)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (3, 4, 9), (2, 1, 9, 4)])
def test_a_rank_is_at_most_the_short_side(shape):
    assert [check_rank(rank, shape) for rank in (1, 4)] == [1, 4]
    for rank in (0, 5):
        with pytest.raises(ValueError, match=f"rank is {rank}; allowed is an integer from 1 to 4 for shape"):
            check_rank(rank, shape)


def test_tolerances_from_end_to_end():
    for tol in (0, 0.0, np.float32(0.5), 1 - 2.0**-53, np.array(0.25)):
        found = check_tol(tol)
        assert found == tol and type(found) is float
    for tol in (1, -5e-324, np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="tol is .*; allowed is a number with 0 <= tol < 1$"):
            check_tol(tol)


@pytest.mark.parametrize("value", [None, "1", b"1", True, np.True_, 1j, [1], np.ones(1), np.ones((1, 1))])
def test_what_is_no_number_is_a_type_error(value):
    for check in (lambda: check_number(value, "c", "a number", lambda number: True), lambda: check_count(value, "c", 0)):
        with pytest.raises(TypeError, match="c is .*; allowed is an? "):
            check()


def test_exactly_one_of_rank_and_tol():
    assert rank_or_tol(4, None, (4, 9)) == (4, None)
    assert rank_or_tol(None, 0, (4, 9)) == (None, 0.0)
    for rank, tol in ((None, None), (2, 0.1), (0, 0.0)):
        with pytest.raises(ValueError, match=f"rank is {rank} and tol is {tol}; give exactly one of them"):
            rank_or_tol(rank, tol, (4, 9))


def test_choices_and_options():
    check_choice("qr", "method", ("qr", "svd"))
    refuse_options("method 'svd'", tol=None, steps=None)
    for value in ("QR", None, 1):
        with pytest.raises(ValueError, match="method is .*; allowed are 'qr', 'svd'"):
            check_choice(value, "method", ("qr", "svd"))
    for value in (0, False, ""):                                # given, although it is not true
        with pytest.raises(ValueError, match="steps is .*; method 'svd' does not take it"):
            refuse_options("method 'svd'", tol=None, steps=value)


def test_indices_from_end_to_end():
    for given in ([0, 2], (2, 0, 1), np.array([1], np.uint8), range(3)):
        found = check_indices(given, 3, "rows")
        assert found.dtype == np.intp and np.array_equal(found, np.asarray(given))
    for given in ([-1, 0], [0, 3], [], [[0, 1]], 1, [0, 1, 0]):
        with pytest.raises(ValueError, match="rows is .*; allowed are distinct integers from 0 to 2, at least one"):
            check_indices(given, 3, "rows")


def test_generators_and_seeds():
    generator = np.random.default_rng(3)
    assert as_generator(generator) is generator
    assert as_generator(3).integers(2**60) == np.random.default_rng(3).integers(2**60)
    assert as_generator(None).integers(2**60) != as_generator(None).integers(2**60)
    with pytest.raises(TypeError, match="rng is 0.5; allowed is None, a non-negative integer, a numpy.random.Generator or"):
        as_generator(0.5)


def test_the_older_kind_of_generator_is_a_seed():
    """As scikit-learn hands it on; the state moves, so that a second call draws other numbers."""
    state, same = np.random.RandomState(1), np.random.RandomState(1)
    first, second = as_generator(state), as_generator(state)
    assert isinstance(first, np.random.Generator) and len(first.spawn(2)) == 2
    assert first.random() == as_generator(same).random() != second.random()
    assert state.randint(2**31) != np.random.RandomState(1).randint(2**31)
    before = np.random.get_state()[1].copy()
    as_generator(None)
    assert np.array_equal(before, np.random.get_state()[1])

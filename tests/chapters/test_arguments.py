"""Tests of lowrank.arguments, generated from book/foundations/arguments.ipynb; edit the chapter."""

import numpy as np
import pytest

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    check_indices,
    check_rank,
    check_tol,
    gaussian_matrix,
    rank_or_tol,
    refuse_options,
)


# %% book/foundations/arguments.ipynb: test_bad_arguments_are_named
def test_bad_arguments_are_named():
    cases = [
        (lambda: check_rank(5, (4, 9)), ValueError,
         "rank is 5; allowed is an integer from 1 to 4"),
        (lambda: check_rank(2.0, (4, 9)), TypeError, "rank is 2.0"),
        (lambda: check_rank(True, (4, 9)), TypeError, "rank is True"),
        (lambda: check_count(7, "k", 1, 6), ValueError,
         "k is 7; allowed is an integer from 1 to 6$"),
        (lambda: check_tol(-0.1), ValueError,
         "tol is -0.1; allowed is a number with 0 <= tol < 1$"),
        (lambda: check_tol("0.1"), TypeError, "tol is '0.1'"),
        (lambda: check_tol(np.array([0.1])), TypeError, r"tol is array\(\[0.1\]\)"),
        (lambda: check_tol(10**400), ValueError, "tol is 1000"),
        (lambda: check_choice("LU", "method", ("qr", "svd")), ValueError,
         "allowed are 'qr', 'svd'"),
        (lambda: refuse_options("method 'svd'", tol=None, steps=3), ValueError,
         "steps is 3; method 'svd' does not take it"),
        (lambda: check_indices([0, 3], 3, "rows"), ValueError, r"rows is \[0, 3\]; allowed are"),
        (lambda: check_indices([0, 0], 3, "rows"), ValueError, r"rows is \[0, 0\]; allowed are"),
        (lambda: check_indices([0.5], 3, "rows"), TypeError, "rows has dtype float64"),
        (lambda: rank_or_tol(3, 0.1, (4, 9)), ValueError, "exactly one"),
        (lambda: rank_or_tol(None, None, (4, 9)), ValueError, "exactly one"),
        (lambda: as_generator("seed"), TypeError, "rng is 'seed'"),
        (lambda: as_generator(-1), ValueError, "rng is -1"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


def test_older_generators_are_seeds():
    draws = [as_generator(np.random.RandomState(seed)).random() for seed in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]
    state = np.random.RandomState(3)
    first, second = as_generator(state), as_generator(state)
    assert first.random() == draws[0] != second.random()           # the state has moved on
    assert len(first.spawn(2)) == 2
    older = np.random.Generator(np.random.RandomState(3)._bit_generator)
    assert as_generator(older).random() == draws[0]
    generator = np.random.default_rng(5)
    assert as_generator(generator) is generator


def test_gaussian_matrix_has_unit_variance():
    for dtype, fourth in ((np.float64, 3), (np.float32, 3), (np.complex128, 2), (np.complex64, 2)):
        G = gaussian_matrix(np.random.default_rng(0), (500, 400), dtype)
        assert G.dtype == dtype and G.shape == (500, 400)
        assert abs(np.mean(G)) < 0.01
        assert abs(np.mean(np.abs(G)**2) - 1) < 0.02 and abs(np.mean(np.abs(G)**4) - fourth) < 0.1
        if np.iscomplexobj(G):
            assert abs(np.mean(G**2)) < 0.02                # the two parts have the same variance

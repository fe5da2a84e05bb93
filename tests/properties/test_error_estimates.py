"""Error estimates: bounds that hold, and fail as rarely as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from lowrank.error_estimates import estimate_error
from tests.properties.matrices import any_matrix, assert_unchanged, eps


@given(any_matrix(), st.sampled_from(["fro", 2]), st.integers(0, 1000))
def test_the_bound_holds_and_the_unit_does_not_matter(A, norm, seed):
    zero = np.zeros_like(A)
    estimate, bound, confidence = assert_unchanged(A, lambda B: estimate_error(B, zero, norm=norm, rng=seed))
    unit = np.abs(A).max() or 1
    true = np.linalg.norm((A / unit).astype(np.complex128), norm) * unit
    assert bound >= true * (1 - 100 * eps(A))
    assert norm == "fro" or estimate <= true * (1 + 100 * eps(A))
    scaled = estimate_error(A * A.real.dtype.type(2.0**20), zero, norm=norm, rng=seed)
    assert scaled == (estimate * 2**20, bound * 2**20, confidence)


def test_the_bound_fails_as_rarely_as_it_says():
    """For "fro" rank one attains the stated probability: 1000 trials at 0.9 must fail about 100 times."""
    u = np.linspace(1, 2, 12)
    for A in (np.outer(u, u), np.outer(u, u) * (1 + 1j)):
        failures = {norm: sum(estimate_error(A, 0 * A, norm=norm, confidence=0.9, n_probe=4, rng=k).bound
                              < np.linalg.norm(A, norm) * (1 - 1e-12) for k in range(1000)) for norm in ("fro", 2)}
        assert 65 <= failures["fro"] <= 135
        assert failures[2] == 0                 # of rank one the lower bound already knows everything


@pytest.mark.parametrize("A, kind, message", [
    ([1.0, 2.0], ValueError, r"A has shape \(2,\)"),
    (np.zeros((2, 2, 2)), ValueError, r"A has shape \(2, 2, 2\)"),
    (np.zeros((0, 3)), ValueError, r"A has shape \(0, 3\)"),
    ([[np.nan, 1.0]], ValueError, "A contains 1 NaN and 0 Inf"),
    ([[1.0, -np.inf]], ValueError, "A contains 0 NaN and 1 Inf"),
    ([["a", "b"]], TypeError, "A has dtype <U1"),
    (np.array([[None]]), TypeError, "A has dtype object"),
    (np.zeros((2, 2), np.longdouble), TypeError, "A has dtype"),
    (None, TypeError, "A has dtype object"),
    (sparse.csr_array(np.array([[np.nan, 1.0]])), ValueError, "a product with A contains NaN or Inf"),
])
def test_bad_matrices_are_named(A, kind, message):
    with pytest.raises(kind, match=message):
        estimate_error(A, np.zeros((1, 2)), rng=0)

"""The linear map: the same products for every kind of input."""

import numpy as np
import pytest

from lowrank.linear_map import linear_map
from tests.properties.matrices import HARD, KINDS, double, eps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARD)
def test_products_do_not_depend_on_how_the_matrix_is_stored(name, kind):
    A = HARD[name]
    stored, dense = KINDS[kind](A), double(A)
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((A.shape[1], 3)), rng.standard_normal((A.shape[0], 2))
    M = linear_map(stored)
    allowed = 20 * eps(A) * np.abs(dense).sum()
    assert np.abs(M.unscale(M.apply(X)) - dense @ X).max() <= allowed * np.abs(X).max()
    assert np.abs(M.unscale(M.adjoint_apply(Y)) - dense.conj().T @ Y).max() <= allowed * np.abs(Y).max()
    assert np.abs(M.unscale(M.column_norms()) - np.linalg.norm(dense, axis=0)).max() <= allowed
    assert np.abs(M.unscale(M.row_norms()) - np.linalg.norm(dense, axis=1)).max() <= allowed
    assert np.array_equal(M.unscale(M.dense()), dense)
    assert np.array_equal(M.unscale(M.columns([0])), dense[:, [0]])
    assert np.array_equal(M.unscale(M.rows([-1])), dense[[-1]])

"""Tests of lowrank.curvature, generated from book/covariances/curvature.ipynb; edit the chapter."""

import numpy as np

from lowrank.curvature import curvature_from_gradients, nearest_kronecker


# %% book/covariances/curvature.ipynb: test_root_of_three_gradients
def test_root_of_three_gradients():
    G = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
    R = curvature_from_gradients(G)
    assert np.allclose(R @ R, G.T @ G / 3, atol=1e-14)
    belief = curvature_from_gradients(G, centered=True)
    assert np.allclose(belief[0], [1.122008467928, -0.544658198739], atol=1e-11)
    assert np.allclose(curvature_from_gradients(G, diagonal=True)**2, np.diag(R @ R))


# %% book/covariances/curvature.ipynb: test_a_kronecker_product_is_found
def test_a_kronecker_product_is_found():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 3, 3))
    G = (A @ np.eye(9).reshape(9, 3, 3) @ B.T) * 3               # C = A A^T (x) B B^T
    for divergence in ("frobenius", "kl"):
        L, R, error, _, converged = nearest_kronecker(G, divergence=divergence)
        assert converged and np.allclose(np.kron(L, R), np.kron(A @ A.T, B @ B.T), atol=1e-9)
    assert error < np.inf and np.isclose(np.linalg.norm(L), np.linalg.norm(R))

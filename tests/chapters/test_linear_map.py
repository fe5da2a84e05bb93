"""Tests of lowrank.linear_map, generated from book/foundations/linear_map.ipynb; edit the chapter."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from lowrank.linear_map import DenseMap, linear_map


# %% book/foundations/linear_map.ipynb: test_every_kind_of_input_multiplies_alike
def test_every_kind_of_input_multiplies_alike():
    from scipy.sparse.linalg import aslinearoperator

    rng = np.random.default_rng(2)
    A = rng.standard_normal((7, 5)) + 1j * rng.standard_normal((7, 5))
    A[2] = 0
    X, Y, J = rng.standard_normal((5, 3)) + 0j, rng.standard_normal((7, 3)) + 0j, [3, 0, 3]
    for B in (A, A.real * 1e150, A * 1e-150, A.astype(np.complex64)):
        kinds = [B, np.asfortranarray(B), sparse.csr_array(B), sparse.csc_matrix(B),
                 sparse.coo_array(B), aslinearoperator(B)]
        unit, eps = np.abs(B).max(), np.finfo(B.dtype).eps
        for kind in kinds:
            for M, C in ((linear_map(kind), B), (linear_map(kind).adjoint, B.conj().T)):
                V, W = (X, Y) if C is B else (Y, X)
                pairs = [(M.apply(V), C @ V), (M.adjoint_apply(W), C.conj().T @ W),
                         (M.dense(), C), (M.columns(J), C[:, J]), (M.rows(J), C[J]),
                         (M.apply(V[:, :0]), C @ V[:, :0]),
                         (M.adjoint_apply(W[:, :0]), C.conj().T @ W[:, :0]),
                         (M.column_norms(), np.linalg.norm(C / unit, axis=0) * unit),
                         (M.row_norms(), np.linalg.norm(C / unit, axis=1) * unit)]
                for got, expected in pairs:
                    assert got.shape == expected.shape
                    assert np.abs(M.unscale(got) - expected).max(initial=0) <= 50 * eps * unit


# %% book/foundations/linear_map.ipynb: test_memory_map_is_read_in_slabs
def test_memory_map_is_read_in_slabs(tmp_path=None):
    import tempfile
    from pathlib import Path

    rng = np.random.default_rng(3)
    A = rng.standard_normal((40, 30))
    with tempfile.TemporaryDirectory() as folder:
        for order, dtype in (("C", np.float64), ("F", np.float64), ("C", np.int16)):
            B = (A * 10).astype(dtype)
            path = Path(folder) / f"{order}{dtype.__name__}"
            stored = np.memmap(path, dtype, "w+", shape=A.shape, order=order)
            stored[:] = B
            M = linear_map(stored)
            M._blocks = lambda: DenseMap._blocks(M, size=100)         # many small slabs
            assert np.allclose(M.unscale(M.apply(np.eye(30))), B)
            assert np.allclose(M.unscale(M.adjoint_apply(np.eye(40))), B.T)
            norms = np.linalg.norm(B.astype(float), axis=0)
            assert np.allclose(M.unscale(M.column_norms()), norms)
            del stored, M


# %% book/foundations/linear_map.ipynb: test_linear_map_refuses
def test_linear_map_refuses():
    bad = np.eye(4)
    bad[2, 1] = np.nan
    X = np.random.default_rng(4).standard_normal((4, 2))
    with pytest.raises(ValueError, match="A contains 1 NaN and 0 Inf"):
        linear_map(bad)
    with pytest.raises(ValueError, match="a product with A contains NaN or Inf"):
        linear_map(sparse.csr_array(bad)).apply(X)
    with pytest.raises(ValueError, match="a product with A contains NaN or Inf"):
        linear_map(sparse.csr_array(bad)).column_norms()
    with pytest.raises(TypeError, match="A is a LinearOperator without an adjoint"):
        linear_map(LinearOperator((4, 4), matvec=lambda v: v)).adjoint_apply(X)
    with pytest.raises(ValueError, match=r"A has shape \(0, 4\)"):
        linear_map(sparse.csr_array((0, 4)))

"""Tests of lowrank.conventions, generated from book/foundations/conventions.ipynb; edit the chapter."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lowrank.conventions import (
    _Dense,
    _as_array,
    _check_choice,
    _check_count,
    _check_indices,
    _check_rank,
    _check_tol,
    _exponent,
    _gaussian,
    _generator,
    _linear_map,
    _max_abs,
    _rank_for_tol,
    _rank_or_tol,
    _scale,
    estimate_error,
)


# %% book/foundations/conventions.ipynb: test_scaling_is_exact_and_spans_the_range
def test_scaling_is_exact_and_spans_the_range():
    A = np.random.default_rng(1).standard_normal((5, 4))
    for power in (-1000, -500, 0, 500, 1000):
        B = _scale(A, power)
        e = _exponent(_max_abs(B)).item()
        assert 0.5 <= _max_abs(_scale(B, -e)).item() < 1
        assert np.array_equal(_scale(B, -power), A)
    assert _exponent(_max_abs(np.zeros((2, 2)))).item() == 0


# %% book/foundations/conventions.ipynb: test_rank_for_tol
def test_rank_for_tol():
    s = np.array([4.0, 3.0, 0.0])
    assert [_rank_for_tol(s, tol) for tol in (0, 0.59, 0.61, 0.999)] == [2, 2, 1, 1]
    assert _rank_for_tol(s * 1e-200, 0.59) == 2
    assert _rank_for_tol(np.array([[4.0, 3.0, 0.0], [1.0, 1.0, 1.0]]), 0.1) == 3
    assert _rank_for_tol(np.zeros(3), 0.1) == 1


# %% book/foundations/conventions.ipynb: test_bad_input_is_named
def test_bad_input_is_named():
    cases = [
        (lambda: _as_array([1.0, 2.0]), ValueError, r"A has shape \(2,\); allowed is a matrix"),
        (lambda: _as_array([[np.nan, np.inf]], "B"), ValueError, "B contains 1 NaN and 1 Inf"),
        (lambda: _as_array([["a"]]), TypeError, "A has dtype <U1"),
        (lambda: _as_array(np.zeros((0, 3))), ValueError, r"A has shape \(0, 3\)"),
        (lambda: _as_array([[1], [2, 3]]), ValueError, "A does not form an array"),
        (lambda: _as_array(np.ma.masked_equal([[1, 2]], 2)), TypeError, "A is a masked array"),
        (lambda: _check_rank(5, (4, 9)), ValueError, "rank is 5; allowed is an integer from 1"),
        (lambda: _check_rank(2.0, (4, 9)), TypeError, "rank is 2.0"),
        (lambda: _check_rank(True, (4, 9)), TypeError, "rank is True"),
        (lambda: _check_count(7, "k", 1, 6), ValueError, "k is 7; allowed is an integer from 1 to 6$"),
        (lambda: _check_tol(-0.1), ValueError, "tol is -0.1; allowed is a number with 0 <="),
        (lambda: _check_tol("0.1"), TypeError, "tol is '0.1'"),
        (lambda: _check_tol(np.array([0.1])), TypeError, r"tol is array\(\[0.1\]\)"),
        (lambda: _check_tol(10**400), ValueError, "tol is 1000"),
        (lambda: _check_choice("LU", "method", ("qr", "svd")), ValueError, "allowed are 'qr', 'svd'"),
        (lambda: _check_indices([0, 3], 3, "rows"), ValueError, r"rows is \[0, 3\]; allowed are"),
        (lambda: _check_indices([0.5], 3, "rows"), TypeError, "rows has dtype float64"),
        (lambda: _rank_or_tol(3, 0.1, (4, 9)), ValueError, "exactly one"),
        (lambda: _generator("seed"), TypeError, "rng is 'seed'"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


# %% book/foundations/conventions.ipynb: test_every_kind_of_input_multiplies_alike
def test_every_kind_of_input_multiplies_alike():
    rng = np.random.default_rng(2)
    A = rng.standard_normal((7, 5)) + 1j * rng.standard_normal((7, 5))
    A[2] = 0
    X, Y, J = rng.standard_normal((5, 3)) + 0j, rng.standard_normal((7, 3)) + 0j, [3, 0, 3]
    for B in (A, A.real * 1e150, A * 1e-150, A.astype(np.complex64)):
        kinds = [B, np.asfortranarray(B), sparse.csr_array(B), sparse.csc_matrix(B),
                 sparse.coo_array(B), aslinearoperator(B)]
        unit, eps = np.abs(B).max(), np.finfo(B.dtype).eps
        for kind in kinds:
            for M, C in ((_linear_map(kind), B), (_linear_map(kind).adjoint, B.conj().T)):
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


# %% book/foundations/conventions.ipynb: test_memory_map_is_read_in_slabs
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
            M = _linear_map(stored)
            M._blocks = lambda: _Dense._blocks(M, size=100)         # many small slabs
            assert np.allclose(M.unscale(M.apply(np.eye(30))), B)
            assert np.allclose(M.unscale(M.adjoint_apply(np.eye(40))), B.T)
            norms = np.linalg.norm(B.astype(float), axis=0)
            assert np.allclose(M.unscale(M.column_norms()), norms)
            del stored, M


# %% book/foundations/conventions.ipynb: test_linear_map_refuses
def test_linear_map_refuses():
    bad = np.eye(4)
    bad[2, 1] = np.nan
    X = np.random.default_rng(4).standard_normal((4, 2))
    with pytest.raises(ValueError, match="A contains 1 NaN and 0 Inf"):
        _linear_map(bad)
    with pytest.raises(ValueError, match="a product with A contains NaN or Inf"):
        _linear_map(sparse.csr_array(bad)).apply(X)
    with pytest.raises(ValueError, match="a product with A contains NaN or Inf"):
        _linear_map(sparse.csr_array(bad)).column_norms()
    with pytest.raises(TypeError, match="A is a LinearOperator without an adjoint"):
        _linear_map(LinearOperator((4, 4), matvec=lambda v: v)).adjoint_apply(X)
    with pytest.raises(ValueError, match=r"A has shape \(0, 4\)"):
        _linear_map(sparse.csr_array((0, 4)))


# %% book/foundations/conventions.ipynb: test_estimate_error_holds_what_it_says
def test_estimate_error_holds_what_it_says():
    rng = np.random.default_rng(7)
    for dtype in (np.float64, np.complex128, np.float32):
        for shape, rank in (((30, 20), 1), ((20, 30), 20), ((1, 9), 1)):
            left, right = ((shape[0], rank), (rank, shape[1]))
            D = _gaussian(rng, left, dtype) @ _gaussian(rng, right, dtype)
            A = _gaussian(rng, shape, dtype)
            for norm in ("fro", 2):
                true = np.linalg.norm(D, norm)
                found = [estimate_error(A, A - D, norm=norm, rng=k) for k in range(50)]
                assert all(true <= bound * (1 + 1e-5) for _, bound, _ in found)
                assert all(estimate <= bound for estimate, bound, _ in found)
                if norm == 2:
                    assert all(estimate <= true * (1 + 1e-5) for estimate, _, _ in found)
                else:
                    mean_square = np.mean([estimate**2 for estimate, _, _ in found])
                    assert abs(mean_square / true**2 - 1) < 0.25


# %% book/foundations/conventions.ipynb: test_estimate_error_in_any_unit_and_dress
def test_estimate_error_in_any_unit_and_dress():
    A = np.random.default_rng(8).standard_normal((12, 9))
    A_hat = np.where(np.abs(A) > 1, A, 0)
    reference = estimate_error(A, A_hat, rng=0)
    for unit in (2.0**-500, 2.0**500):
        scaled = estimate_error(A * unit, A_hat * unit, rng=0)
        assert scaled == (reference.estimate * unit, reference.bound * unit, 0.999)
    for kind in (sparse.csr_array(A_hat), LinearOperator(A.shape, matvec=lambda v: A_hat @ v)):
        assert np.allclose(estimate_error(A, kind, rng=0), reference, rtol=1e-12)
    assert estimate_error(A, A, rng=0)[:2] == (0, 0)
    assert estimate_error(0 * A, A * 1e-150, rng=0).bound > 1e-150


def test_estimate_error_counts_its_passes():
    A, passes = np.eye(6), []
    counted = LinearOperator(
        A.shape, dtype=float, matvec=lambda v: A @ v,
        matmat=lambda X: passes.append("A X") or A @ X,
        rmatmat=lambda Y: passes.append("A^H Y") or A.T @ Y)
    estimate_error(counted, 0 * A, rng=0)
    assert passes == ["A X"]
    estimate_error(counted, 0 * A, norm=2, rng=0)
    assert passes == ["A X"] + ["A X", "A^H Y"]


def test_estimate_error_refuses():
    A = np.eye(3)
    bad_options = {"n_probe": 1, "norm": "max", "confidence": 1}
    for name, value in bad_options.items():
        with pytest.raises(ValueError, match=f"{name} is {value!r}; allowed"):
            estimate_error(A, A, **{name: value})
    with pytest.raises(ValueError, match=r"approx has shape \(2, 2\); allowed is the shape"):
        estimate_error(A, np.eye(2))

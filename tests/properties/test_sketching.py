"""Sketching: nearly optimal on every hard matrix, within the bounds of the theory, and never more than asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from lowrank.sketching import combine, project, randomized_svd
from tests.properties.matrices import FLOATS, HARD, KINDS, any_matrix, assert_unchanged, double, eps, random_matrix

METHODS = ["subspace", "krylov"]


def is_orthonormal(Q, tolerance):
    return np.abs(Q.conj().T @ Q - np.eye(Q.shape[1])).max() <= tolerance


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", HARD)
def test_every_rank_of_every_hard_matrix(name, method):
    A = HARD[name]
    wide, s = double(A), np.linalg.svd(double(A), compute_uv=False)
    floor = 40 * eps(A) * np.linalg.norm(s)
    for rank in {1, (min(A.shape) + 1) // 2, min(A.shape)}:
        found = assert_unchanged(A, lambda B: randomized_svd(B, rank, method=method, rng=0))
        assert found.U.shape == (A.shape[0], rank) and found.Vh.shape == (rank, A.shape[1])
        assert is_orthonormal(found.U, 1e-13) and is_orthonormal(found.Vh.conj().T, 1e-13)
        assert np.all(np.diff(found.s) <= 0) and np.all(found.s <= s[:rank] + floor)
        assert np.linalg.norm(wide - found.reconstruct()) <= 1.01 * np.linalg.norm(s[rank:]) + floor


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_input_does_not_matter(kind, method):
    for name in ("random tall", "complex random wide", "integers", "exactly rank 3", "complex Hilbert"):
        A = HARD[name]
        expected = randomized_svd(double(A), 2, method=method, rng=0)
        found = randomized_svd(KINDS[kind](A), 2, method=method, rng=0)
        assert np.abs(found.reconstruct() - expected.reconstruct()).max() <= 1e-12 * expected.s[0]


@given(any_matrix(), st.sampled_from(METHODS), st.integers(0, 3), st.integers(0, 1000))
def test_any_matrix(A, method, n_iter, seed):
    rank = 1 + seed % min(A.shape)
    found = assert_unchanged(A, lambda B: randomized_svd(B, rank, method=method, n_iter=n_iter, rng=seed))
    unit = float(np.abs(A).max()) or 1.0
    s = np.linalg.svd(double(A) / unit, compute_uv=False)
    assert found.dtype == A.dtype and found.s.dtype == A.real.dtype
    error = np.linalg.norm(double(A) / unit - found.U.astype(complex) * (found.s.astype(float) / unit) @ found.Vh)
    assert np.linalg.norm(s[rank:]) - 100 * eps(A) * s[0] <= error <= np.linalg.norm(s[rank:]) * 1.5 + 100 * eps(A) * s[0]
    power = A.real.dtype.type(2.0**10)
    scaled = randomized_svd(A * power, rank, method=method, n_iter=n_iter, rng=seed)
    assert np.array_equal(scaled.U, found.U) and np.array_equal(scaled.s, found.s * power)


@pytest.mark.parametrize("spectrum", ["1/k", "step", "fast"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_mean_square_error_obeys_the_theorem(spectrum, dtype):
    """E |A - [PA]_r|^2 <= (1 + r/(p-1)) t_r^2, complex r/p; the mean of 200 sketches may exceed it by chance of 5 %."""
    k = np.arange(1, 41)
    s = {"1/k": 1 / k, "step": np.where(k <= 8, 1, 0.1), "fast": 0.7**k}[spectrum]
    A, r, p = np.diag(s).astype(dtype), 8, 5
    squares = [np.linalg.norm(A - randomized_svd(A, r, oversample=p, n_iter=0, rng=seed).reconstruct())**2 for seed in range(200)]
    bound = (1 + r / (p if dtype == np.complex128 else p - 1)) * np.sum(s[r:]**2)
    assert np.sum(s[r:]**2) <= min(squares) * (1 + 1e-10) and np.mean(squares) <= 1.05 * bound


@pytest.mark.parametrize("method", METHODS)
def test_default_is_within_the_promised_ratio(method):
    """1.015 for subspace iteration and 1.003 for block Krylov, on slow, fast and flat-with-a-step spectra."""
    rng, k = np.random.default_rng(0), np.arange(1, 151)
    U, V = (np.linalg.qr(rng.standard_normal((size, 150)))[0] for size in (300, 150))
    for s in (1 / k, 10.0**(-(k - 1) / 10), np.where(k <= 30, 1, 0.3), k**-0.5):
        A = U * s @ V.T
        for rank in (10, 40):
            ratios = [np.linalg.norm(A - randomized_svd(A, rank, method=method, rng=seed).reconstruct()) / np.linalg.norm(s[rank:])
                      for seed in range(3)]
            assert np.median(ratios) <= (1.015 if method == "subspace" else 1.003)


def test_power_iteration_keeps_small_singular_values():
    """Bare products would lose everything below 6e-4 at q = 2."""
    rng, s = np.random.default_rng(1), 10.0**-np.arange(0, 16, 0.25)
    U, V = (np.linalg.qr(rng.standard_normal((size, 64)))[0] for size in (90, 64))
    for method in METHODS:
        for n_iter in (2, 6):
            found = randomized_svd(U * s @ V.T, 40, method=method, n_iter=n_iter, rng=0)
            assert np.all(np.abs(found.s / s[:40] - 1) <= 1e-5)


def counting(A, columns):
    """A as an operator that notes how many columns each product has."""
    return LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: A @ v, rmatvec=lambda v: A.conj().T @ v,
                          matmat=lambda X: columns.append(X.shape[1]) or A @ X,
                          rmatmat=lambda Y: columns.append(Y.shape[1]) or A.conj().T @ Y)


@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
@pytest.mark.parametrize("options, expected", [
    ({}, [8] * 6),
    ({"method": "krylov"}, [6] * 6),
    ({"oversample": 0, "n_iter": 0}, [4] * 2),
    ({"oversample": 100, "n_iter": 1}, [30] * 4),
])
def test_columns_and_passes_by_default_and_on_request(options, expected, shape):
    columns = []
    randomized_svd(counting(np.random.default_rng(0).standard_normal(shape), columns), 4, rng=0, **options)
    assert columns == expected


@pytest.mark.parametrize("shape", [(7, 5), (5, 7)])
def test_a_krylov_basis_that_fills_the_space_ends_the_passes(shape):
    """Three columns and two more are all there is, so that five iterations have nothing to do."""
    A, columns = np.random.default_rng(1).standard_normal(shape), []
    found = randomized_svd(counting(A, columns), 3, oversample=0, n_iter=5, method="krylov", rng=0)
    assert columns == [3, 3, 3, 2]
    assert np.allclose(found.s, np.linalg.svd(A, compute_uv=False)[:3], rtol=1e-12)


def test_nothing_large_is_made(tmp_path):
    """A memory map of 24 MB: the peak stays below a quarter of it, its slabs included."""
    import tracemalloc

    rng = np.random.default_rng(3)
    A = np.memmap(tmp_path / "A", np.float64, "w+", shape=(3000, 1000))
    A[:] = rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 1000))
    from lowrank.linear_map import linear_map

    M = linear_map(A)
    M._blocks = lambda: type(M)._blocks(M, size=2**17)
    tracemalloc.start()
    for method in METHODS:
        found = randomized_svd(M, 8, method=method, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6
    assert np.linalg.norm(A - found.reconstruct()) <= 1e-12 * np.linalg.norm(A)


@pytest.mark.parametrize("dtype", FLOATS)
def test_same_seed_same_bits_and_the_global_state_is_left_alone(dtype):
    A = random_matrix(0, (30, 20), 20, dtype, 1.0)
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    first, second = (randomized_svd(A, 4, rng=np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(first, second))
    assert np.array_equal(np.random.get_state()[1], state)


def test_no_floating_point_warning():
    with np.errstate(all="raise"):
        for name in ("random tall", "zero", "exactly rank 3", "complex Kahan", "units"):
            for method in METHODS:
                randomized_svd(HARD[name], 2, method=method, rng=0)


NAN = np.array([[1.0, 2.0], [np.nan, 4.0]])


@pytest.mark.parametrize("call, kind, message", [
    (lambda: randomized_svd(np.eye(3), 4), ValueError, "rank is 4; allowed is an integer from 1 to 3"),
    (lambda: randomized_svd(np.eye(3), 0), ValueError, "rank is 0"),
    (lambda: randomized_svd(np.eye(3), 1.0), TypeError, "rank is 1.0"),
    (lambda: randomized_svd(np.eye(3), None), TypeError, "rank is None"),
    (lambda: randomized_svd(np.eye(3), 1, oversample=-1), ValueError, "oversample is -1"),
    (lambda: randomized_svd(np.eye(3), 1, n_iter=0.5), TypeError, "n_iter is 0.5"),
    (lambda: randomized_svd(np.eye(3), 1, method="lanczos"), ValueError, "method is 'lanczos'"),
    (lambda: randomized_svd(np.eye(3), 1, rng=-1), ValueError, "rng is -1"),
    (lambda: randomized_svd(np.zeros((2, 3, 3)), 1), ValueError, r"A has shape \(2, 3, 3\)"),
    (lambda: randomized_svd(np.zeros((0, 3)), 1), ValueError, r"A has shape \(0, 3\)"),
    (lambda: randomized_svd([["a"]], 1), TypeError, "A has dtype"),
    (lambda: randomized_svd(NAN, 1), ValueError, "A contains 1 NaN"),
    (lambda: randomized_svd(sparse.csr_array(NAN), 1), ValueError, "a product with A contains NaN or Inf"),
    (lambda: randomized_svd(LinearOperator((3, 3), matvec=lambda v: v, dtype=float), 1), TypeError, "LinearOperator without an adjoint"),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("dtype", FLOATS)
def test_products_with_a_thin_basis(dtype):
    """Q^H X and Q C, for a thin and for a wide second factor, as they are written."""
    rng = np.random.default_rng(4)
    Q, X, C = (random_matrix(int(rng.integers(99)), shape, min(shape), dtype, 1.0) for shape in ((9, 3), (9, 5), (3, 5)))
    for second in (slice(None), slice(1)):
        np.testing.assert_allclose(project(Q, X[:, second]), Q.conj().T @ X[:, second], rtol=0, atol=40 * eps(Q))
        np.testing.assert_allclose(combine(Q, C[:, second]), Q @ C[:, second], rtol=0, atol=40 * eps(Q))

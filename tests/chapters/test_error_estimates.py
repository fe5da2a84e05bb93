"""Tests of lowrank.error_estimates, generated from book/low_rank/error_estimates.ipynb; edit the
chapter."""

import numpy as np

from lowrank.arguments import gaussian_matrix
from lowrank.error_estimates import estimate_error, range_finder


# %% book/low_rank/error_estimates.ipynb: test_estimate_error_holds_what_it_says
def test_estimate_error_holds_what_it_says():
    rng = np.random.default_rng(7)
    for dtype in (np.float64, np.complex128, np.float32):
        for shape, rank in (((30, 20), 1), ((20, 30), 20), ((1, 9), 1)):
            left, right = ((shape[0], rank), (rank, shape[1]))
            D = gaussian_matrix(rng, left, dtype) @ gaussian_matrix(rng, right, dtype)
            A = gaussian_matrix(rng, shape, dtype)
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


# %% book/low_rank/error_estimates.ipynb: test_estimate_error_in_any_unit_and_dress
def test_estimate_error_in_any_unit_and_dress():
    from scipy import sparse
    from scipy.sparse.linalg import LinearOperator

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


def counting(A, passes):
    """A as a LinearOperator that notes in the list `passes` how many columns each product has."""
    from scipy.sparse.linalg import LinearOperator

    return LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: A @ v,
                          matmat=lambda X: passes.append(X.shape[1]) or A @ X,
                          rmatmat=lambda Y: passes.append(Y.shape[1]) or A.conj().T @ Y)


def test_estimate_error_counts_its_passes():
    A, passes = np.eye(6), []
    estimate_error(counting(A, passes), 0 * A, n_probe=5, rng=0)
    assert passes == [5]
    estimate_error(counting(A, passes), 0 * A, n_probe=4, norm=2, rng=0)
    assert passes == [5] + [4, 4]


def test_estimate_error_refuses():
    import pytest

    A = np.eye(3)
    bad_options = {"n_probe": 1, "norm": "max", "confidence": 1}
    for name, value in bad_options.items():
        with pytest.raises(ValueError, match=f"{name} is {value!r}; allowed"):
            estimate_error(A, A, **{name: value})
    with pytest.raises(ValueError, match=r"approx has shape \(2, 2\); allowed is the shape"):
        estimate_error(A, np.eye(2))


# %% book/low_rank/error_estimates.ipynb: test_range_finder_keeps_its_tolerance
def test_range_finder_keeps_its_tolerance():
    from scipy import sparse
    from scipy.sparse.linalg import aslinearoperator

    rng = np.random.default_rng(18)
    U, V = (np.linalg.qr(rng.standard_normal((size, 80)))[0] for size in (120, 80))
    k = np.arange(80)
    for s in (1 / (k + 1), 10.0**(-k / 5), np.ones(80), 1.0 * (k < 7)):
        A = U * s @ V.T
        for kind in (np.asarray, sparse.csc_array, aslinearoperator):
            for tol in (0.3, 1e-2, 1e-5, 1e-8, 1e-12, 0.0):
                Q, error, bound, _ = range_finder(kind(A), tol=tol, rng=0)
                true, columns = np.linalg.norm(A - Q @ (Q.T @ A)), Q.shape[1]
                assert np.abs(Q.T @ Q - np.eye(columns)).max() < 1e-13
                assert true <= bound
                assert true <= max(tol, 1.2e-14) * np.linalg.norm(A) + 2e-15 or columns == 80
                tails = np.sqrt(np.cumsum(s[::-1]**2)[::-1])
                fewest = np.sum(tails > max(tol, 1.2e-14) * tails[0])
                assert columns <= 1.2 * fewest + 4


def test_range_finder_of_given_rank():
    rng = np.random.default_rng(19)
    for shape in ((60, 40), (40, 60)):
        for dtype in (np.float64, np.complex128, np.float32):
            falling = gaussian_matrix(rng, (shape[1],) * 2, dtype) * 0.8**np.arange(shape[1])
            A = (gaussian_matrix(rng, shape, dtype) @ falling).astype(dtype)
            s = np.linalg.svd(A, compute_uv=False)
            floor = 20 * np.finfo(dtype).eps * s[0]
            for rank in (1, 10, 40):
                Q, error, bound, passes = range_finder(A, rank=rank, rng=0)
                true = np.linalg.norm(A - Q @ (Q.conj().T @ A))
                assert Q.shape == (shape[0], rank) and Q.dtype == dtype and passes == 7
                assert true <= 1.02 * np.linalg.norm(s[rank:]) + floor
                assert true <= bound + floor and error <= bound


def test_range_finder_counts_its_passes():
    A = np.random.default_rng(20).standard_normal((90, 60)) * 0.7**np.arange(60)
    for options in ({"rank": 5}, {"tol": 1e-10}):
        passes = []
        assert range_finder(counting(A, passes), rng=0, **options).passes == len(passes)
    passes = []
    found = range_finder(counting(A, passes), tol=0.05, rng=0)
    assert passes == [60] + [16] * 4 and found.passes == 5        # the norm: n products, one pass


def test_range_finder_in_any_unit():
    A = np.random.default_rng(21).standard_normal((25, 18)) * 0.3**np.arange(18)
    for options in ({"rank": 4}, {"tol": 0.01}, {"tol": 1e-8}):
        Q, error, bound, passes = range_finder(A, rng=5, **options)
        for unit in (2.0**-500, 2.0**500):
            scaled = range_finder(A * unit, rng=5, **options)
            assert np.array_equal(scaled.Q, Q)
            assert np.allclose(np.array(scaled[1:3]) / unit, (error, bound), rtol=1e-9)
    zero = range_finder(np.zeros((4, 3)), tol=0.1)
    assert zero.Q.shape == (4, 1) and zero[1:3] == (0, 0)

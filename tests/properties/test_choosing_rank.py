"""The rank under noise: each rule against its definition, the law of noise, and subspaces whose angles are known."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, sparse
from scipy.sparse.linalg import aslinearoperator

from lowrank import (
    RankChoice,
    SignalRank,
    SubspaceBound,
    choose_rank,
    estimate_error,
    hard_threshold,
    pinv,
    signal_rank,
    truncated_svd,
    wedin_bound,
)
from lowrank.choosing_rank import _mass_above, _noise_median
from tests.properties.matrices import FLOATS, HARD, KINDS, any_matrix, assert_unchanged, double, eps

RULES = {"gcv": {}, "lcurve": {}, "discrepancy": {"noise": 0.05}}


def normal(rng, shape, dtype=float):
    parts = rng.standard_normal((2, *shape))
    return (parts[0] + 1j * parts[1]).astype(dtype) if np.dtype(dtype).kind == "c" else parts[0].astype(dtype)


def decaying(rng, m, n, dtype, rate=0.6):
    """A matrix whose singular values fall by a factor a step, not below 1e-4 of the first."""
    k = min(m, n)
    Q, W = (np.linalg.qr(normal(rng, (size, k), dtype))[0] for size in (m, n))
    return ((Q * np.maximum(rate ** np.arange(k), 1e-4)) @ W.conj().T).astype(dtype)


def all_solutions(A, b):
    """x_r for r = 0, ..., rank: least squares in the span of the first r right singular vectors, one after another."""
    V = np.linalg.svd(A)[2].conj().T
    solutions = [np.zeros(A.shape[1], V.dtype)]
    for r in range(1, min(A.shape) + 1):
        solutions.append(V[:, :r] @ np.linalg.lstsq(A @ V[:, :r], b)[0])
    return solutions


@pytest.mark.parametrize("shape", [(12, 12), (20, 7), (7, 20), (1, 5), (5, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("method", RULES)
def test_each_rule_by_its_definition(method, dtype, shape):
    rng = np.random.default_rng(shape[0])
    A, b = decaying(rng, *shape, dtype), normal(rng, shape[:1], dtype)
    m, largest = shape[0], min(shape)
    solutions = all_solutions(A, b)
    residuals = np.array([np.linalg.norm(b - A @ x) for x in solutions])
    norms = np.array([np.linalg.norm(x) for x in solutions])
    noise = residuals[largest // 2] / m**0.5
    found = choose_rank(A, b, method, **({"noise": noise, "safety": 1 + 1e-9} if method == "discrepancy" else {}))
    if method == "discrepancy":
        rank = largest // 2
    elif method == "gcv":
        considered = [r for r in range(largest + 1) if r <= m // 2]
        rank = min(considered, key=lambda r: residuals[r] / (m - r))
    else:
        considered = [r for r in range(1, largest + 1) if r <= m // 2]
        rank = min(considered, key=lambda r: residuals[r] * norms[r], default=0)
    assert isinstance(found, RankChoice) and type(found.rank) is int and found.rank == rank
    np.testing.assert_allclose(found.residuals, residuals, atol=1e-11)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-9)
    np.testing.assert_allclose(found.x, solutions[rank], atol=1e-9 * max(1, norms[rank]))


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_dtype_units_and_single_right_hand_sides(dtype, method):
    rng = np.random.default_rng(1)
    A = decaying(rng, 30, 24, dtype)
    b = (A @ normal(rng, (24, 4), dtype) + dtype(0.05) * normal(rng, (30, 4), dtype)).astype(dtype)
    found = assert_unchanged(A, lambda A: choose_rank(A, b, method, **RULES[method]))
    assert found.x.dtype == dtype and {curve.dtype for curve in found[2:]} == {np.dtype(dtype).type(0).real.dtype}
    assert found.rank.shape == (4,) and found.x.shape == (24, 4) and found.scores.shape == found.norms.shape
    big = 2.0**60 if np.finfo(dtype).bits == 32 else 2.0**498
    for unit in (1 / big, big):
        known = {name: value * unit for name, value in RULES[method].items()}
        scaled = choose_rank(A * dtype(unit), b * dtype(unit), method, **known)
        np.testing.assert_array_equal(scaled.rank, found.rank)
        np.testing.assert_array_equal(scaled.x, found.x)
        np.testing.assert_array_equal(scaled.residuals, found.residuals * unit)
        np.testing.assert_array_equal(scaled.norms, found.norms)
        powers = choose_rank(A, b * dtype(unit), method, **known)
        np.testing.assert_array_equal(powers.x, found.x * dtype(unit))
    mixed = choose_rank(A, b * np.array([1 / big, 1, 1, big], dtype), "gcv")
    np.testing.assert_array_equal(mixed.rank, choose_rank(A, b).rank)


def test_long_columns_of_single_precision():
    """Squares of 10^6 rows are summed in double: nothing drifts by a percent, as it would in single precision."""
    b = np.full(10**6, 0.1, np.float32)
    b[::2] += 1
    found = choose_rank(np.ones((10**6, 1), np.float32), b)
    assert found.rank == 1 and abs(found.x[0] - 0.6) < 3e-4
    np.testing.assert_allclose(found.residuals, [np.linalg.norm(b.astype(float)), 500], rtol=3e-4)


@pytest.mark.parametrize("name", HARD)
def test_without_noise_the_discrepancy_principle_is_the_pseudo_inverse(name):
    A = HARD[name]
    x = np.random.default_rng(2).standard_normal(A.shape[1])
    b = double(A) @ x
    found = choose_rank(A, b, "discrepancy", noise=0)
    assert found.residuals[found.rank] <= 8 * max(A.shape)**0.5 * eps(A) * (
        np.linalg.norm(double(A), 2) * np.linalg.norm(found.x) + np.linalg.norm(b))
    s = np.linalg.svd(double(A), compute_uv=False)
    if found.rank == np.linalg.matrix_rank(double(A)) and found.rank and s[0] < 1e4 * s[found.rank - 1]:
        np.testing.assert_allclose(found.x, pinv(double(A)) @ b, atol=1e-10)


@given(A=any_matrix(dtypes=[np.float64, np.complex128]), seed=st.integers(0, 99))
def test_gcv_and_the_corner_never_go_beyond_their_limit(A, seed):
    b = np.random.default_rng(seed).standard_normal(A.shape[0])
    for method in ("gcv", "lcurve"):
        for limit in (None, 0, min(A.shape)):
            found = choose_rank(A, b, method, max_rank=limit)
            most = A.shape[0] // 2 if limit is None else limit
            assert 0 <= found.rank <= min(most, max(A.shape[0] - 1, 0), len(found.scores) - 1)
            assert np.isinf(found.scores[min(most, A.shape[0] - 1) + 1:]).all() and np.isfinite(found.x).all()


def test_columns_of_zeros_and_columns_orthogonal_to_the_first_vectors():
    A = np.diag([4.0, 2, 1, 0.5, 1e-9, 1e-9])
    B = np.zeros((6, 3))
    B[1:, 1], B[:, 2] = [1, 0, 1, 1e-3, 1e-3], [3, 1, 1, 1, 1e-3, 1e-3]
    for method in RULES:
        found = choose_rank(A, B, method, **({"noise": 1e-3} if method == "discrepancy" else {}), max_rank=5)
        assert found.rank[0] == 0 and found.rank[1:].tolist() == [4, 4]
        np.testing.assert_allclose(found.x[:, 1], [0, 0.5, 0, 2, 0, 0], atol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_default_safety_is_rarely_too_small(dtype):
    """Gaussian noise alone: rank 0, up to three cases in a thousand."""
    e = normal(np.random.default_rng(3), (9, 3000), dtype) * (0.5**0.5 if np.dtype(dtype).kind == "c" else 1)
    kept = choose_rank(np.eye(9, dtype=dtype), e.astype(dtype), "discrepancy", noise=1).rank > 0
    assert kept.sum() <= 3 + 3000 * 0.003 + 4 * 3


@pytest.mark.parametrize("share", [1.02, 1.4, 1.9])
def test_noise_a_little_too_small_is_refused(share):
    """The smallest residual is a little more than what is allowed, for one column of two: no rank is made up."""
    A, B = np.eye(4, 2), np.array([[5.0, 5], [3, 3], [0.1, 1], [0, 0]])
    safety = 1.5
    noise = 1 / (safety * share * 2)
    with pytest.raises(ValueError, match=f"no rank up to 2 leaves a residual as small; the smallest is {share:.3g} times what is allowed"):
        choose_rank(A, B, "discrepancy", noise=noise, safety=safety)
    assert choose_rank(A, B, "discrepancy", noise=noise * share * 1.001, safety=safety).rank.tolist() == [2, 2]


def test_refusals_of_choose_rank():
    A, b = np.eye(3), np.ones(3)
    for arguments, kind, message in (
            ((sparse.csr_array(A), b), TypeError, "A is a csr_array"), ((A, np.ones((3, 1, 1))), ValueError, "b has shape"),
            ((A, [1, np.nan, 0]), ValueError, "b contains 1 NaN"), ((np.full((3, 3), np.inf), b), ValueError, "A contains 0 NaN and 9 Inf"),
            ((A, b, "discrepancy"), TypeError, "noise is None"), ((A, np.ma.masked_equal(b, 0)), TypeError, "masked")):
        with pytest.raises(kind, match=message):
            choose_rank(*arguments)
    for options, message in (({"noise": -1}, "noise is -1"), ({"noise": np.inf}, "noise is inf"), ({"noise": 1, "safety": 0.9}, "safety is 0.9"),
                             ({"noise": 1, "rtol": 1}, "rtol is 1"), ({"noise": 1, "max_rank": -1}, "max_rank is -1")):
        with pytest.raises(ValueError, match=message):
            choose_rank(A, b, "discrepancy", **options)
    with pytest.raises(ValueError, match='safety is 2; method="lcurve" does not take it'):
        choose_rank(A, b, "lcurve", safety=2)


@pytest.mark.parametrize("beta", [1, 0.999999, 0.7, 0.25, 0.01, 1e-6])
def test_the_law_of_noise_by_quadrature(beta):
    """In closed form as by quadrature, for every shape, and the median splits it in halves."""
    q, N = beta**0.5, 10**6
    density = lambda a: 2 / np.pi * np.sin(a)**2 / (1 + beta + 2 * q * np.cos(a))
    for angle in (0.2, 1.5, 3.0):
        expected = integrate.quad(density, 0, angle, epsabs=1e-13, limit=200)[0]
        assert abs(_mass_above(angle, q) - expected) < 1e-9
    median = _noise_median((round(beta * N), N))
    angle = np.arccos(np.clip((median**2 - 1 - beta) / (2 * q), -1, 1))
    assert abs(integrate.quad(density, 0, angle, epsabs=1e-13, limit=200)[0] - 0.5) < 1e-6


def test_thresholds_that_were_published():
    for shape, known, multiple in (((50, 50), 2.3094, 2.8584), ((25, 50), 1.9786, 2.1712), ((50, 5), 1.5816, 1.6088)):
        assert abs(hard_threshold(shape) / 50**0.5 - known) < 6e-5
        assert abs(hard_threshold(shape) / 50**0.5 / _noise_median(shape) - multiple) < 6e-5
        assert hard_threshold(shape, 3) == hard_threshold(shape[::-1]) * 3
    assert hard_threshold((2, 2), 0) == 0


@pytest.mark.parametrize("name", HARD)
def test_signal_rank_without_noise_is_the_rank(name):
    A = HARD[name]
    found = assert_unchanged(A, lambda A: signal_rank(A, 0))
    assert isinstance(found, SignalRank) and found.rank == np.linalg.matrix_rank(double(A))
    np.testing.assert_allclose(found.s, np.linalg.svd(double(A), compute_uv=False), atol=50 * eps(A) * (found.s[0] or 1))
    assert signal_rank(A, 1e3 * (found.s[0] or 1)).rank == 0


def test_a_better_rank_than_the_rank_of_the_signal():
    """Weak signals are dropped, and the error is smaller for it; strong ones are all found."""
    rng = np.random.default_rng(4)
    U, V = (np.linalg.qr(rng.standard_normal((n, 6)))[0] for n in (160, 120))
    X = (U * 160**0.5 * np.array([5, 4, 3, 1.2, 1.1, 1.0])) @ V.T
    Y = X + rng.standard_normal(X.shape)
    for noise in (None, 1):
        rank = signal_rank(Y, noise).rank
        loss = lambda r: np.linalg.norm(truncated_svd(Y, r).reconstruct() - X)
        assert rank == 3 and loss(3) < loss(6)


def test_principal_components_by_likelihood_agree_on_strong_signals():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(5)
    Y = 3 * rng.standard_normal((300, 4)) @ rng.standard_normal((4, 40)) + rng.standard_normal((300, 40))
    Y -= Y.mean(axis=0)
    assert decomposition.PCA(n_components="mle").fit(Y).n_components_ == signal_rank(Y).rank == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_wedin_bounds_the_angles_of_every_kind_of_input(kind, dtype):
    rng = np.random.default_rng(6)
    Q, W = (np.linalg.qr(normal(rng, (size, 20), dtype))[0] for size in (30, 20))
    A = ((Q * np.where(np.arange(20) < 3, 4, 1.0)) @ W.conj().T).astype(dtype)
    for size in (0, 1e-4, 0.1):
        near = truncated_svd(A + dtype(size) * normal(rng, A.shape, dtype), 3)
        true = np.linalg.svd(double(A))
        truth = max(np.sin(scipy.linalg.subspace_angles(double(near.U), true[0][:, :3])).max(),
                    np.sin(scipy.linalg.subspace_angles(double(near.Vh).conj().T, true[2][:3].conj().T)).max())
        found = wedin_bound(KINDS[kind](A), near)
        assert isinstance(found, SubspaceBound) and truth <= found.bound and found.gap > 1
        assert found.bound < 30 * max(truth, 20 * eps(A))
        root = wedin_bound(KINDS[kind](A), near, norm="fro", rest=estimate_error(A, near, norm=2, rng=0).bound)
        assert found.residual <= root.residual * (1 + 1e-5) and root.gap <= found.gap * (1 + 1e-5)


@pytest.mark.parametrize("unit", [2.0**-498, 2.0**498])
def test_wedin_follows_the_unit(unit):
    rng = np.random.default_rng(7)
    A = decaying(rng, 12, 9, float)
    U, s, Vh = truncated_svd(A + 1e-3 * normal(rng, A.shape), 2)
    found, scaled = wedin_bound(A, (U, s, Vh)), wedin_bound(A * unit, (U, s * unit, Vh))
    np.testing.assert_allclose((scaled.bound, scaled.residual / unit, scaled.gap / unit), found, rtol=1e-9)


def test_what_a_defect_of_the_vectors_adds():
    """2 d (norm(A) + s_1) and no more, with norm(A) at most s_1 + rest; the gap is to the spectral norm of the rest."""
    A, d, rest = np.diag([3.0, 1, 1]), 1e-3, 1.0
    U = np.eye(3, 1) * (1 + d)**0.5
    found = wedin_bound(A, (U, [3.0], np.eye(1, 3)), rest=rest)
    observed = np.linalg.norm(A @ U - 3 * np.eye(3, 1))
    assert observed < found.residual <= (observed + 2 * d * (3 + (3 + rest))) * (1 + 1e-9)
    assert abs(wedin_bound(A, (np.eye(3, 1), [3.0], np.eye(1, 3))).gap - 2) < 1e-14


def test_wedin_says_when_it_knows_nothing():
    A = np.eye(5)
    assert wedin_bound(A, truncated_svd(A, 2)).bound == 1                      # no gap
    assert wedin_bound(A, truncated_svd(A, 2), norm="fro").bound == 2**0.5
    assert wedin_bound(np.zeros((3, 2)), (np.eye(3, 2), np.zeros(2), np.eye(2))).bound == 1
    assert wedin_bound(A, truncated_svd(A, 5)).bound < 1e-14                   # the whole space
    assert wedin_bound(np.diag([3.0, 1]), (np.eye(2, 1), [3.0], np.eye(1, 2)), rest=1).bound < 1e-14
    far = wedin_bound(np.diag([3.0, 1]), (np.eye(2, 1, -1), [1.0], np.eye(1, 2, 1)))
    assert far.bound == 1 and far.gap < 0                                      # a right triple, not the leading one


def test_wedin_knows_of_vectors_that_are_not_quite_orthonormal():
    """A defect of the vectors is part of the bound: it holds all the same."""
    rng = np.random.default_rng(8)
    Q, W = (np.linalg.qr(rng.standard_normal((15, 15)))[0] for _ in range(2))
    A = (Q * np.where(np.arange(15) < 2, 3.0, 1.0)) @ W.T
    for size in (1e-9, 1e-5, 1e-3):
        U, V = Q[:, :2] + size * rng.standard_normal((15, 2)), W.T[:, :2].copy()
        found = wedin_bound(A, (U, [3.0, 3.0], V.T))
        truth = np.sin(scipy.linalg.subspace_angles(U, Q[:, :2])).max()
        assert truth <= found.bound and found.residual >= np.linalg.norm(U.T @ U - np.eye(2), 2)


def test_refusals_of_wedin_bound():
    A, (U, s, Vh) = np.diag([3.0, 2, 1]), truncated_svd(np.diag([3.0, 2, 1]), 2)
    for svd, message in (((U, s[:1], Vh), "have shapes"), ((U[:2], s, Vh), "have shapes"), ((U, -s, Vh), "no negative s"),
                         ((2 * U, s, Vh), "columns of U are not orthonormal"), ((U, s, Vh + 0.1), "columns of V are not orthonormal")):
        with pytest.raises(ValueError, match=message):
            wedin_bound(A, svd)
    with pytest.raises(ValueError, match="rest is -1; allowed is a number with 0 <= rest"):
        wedin_bound(aslinearoperator(A), (U, s, Vh), rest=-1)
    with pytest.raises(ValueError, match="norm is 'nuc'; allowed are 2, 'fro'"):
        wedin_bound(A, (U, s, Vh), norm="nuc")


@pytest.mark.parametrize("name", HARD)
def test_whatever_seterr_says(name):
    """np.seterr(all="raise"): nothing signals that is not an error."""
    for A in (HARD[name], double(HARD[name]) * 2.0**-900, HARD[name].astype(np.complex64 if HARD[name].dtype.kind == "c" else np.float32)):
        b, near = A @ np.ones((A.shape[1], 2), A.dtype), truncated_svd(A, 1)
        with np.errstate(all="raise"):
            for method in ("gcv", "lcurve"):
                choose_rank(A, b, method)
            choose_rank(A, b, "discrepancy", noise=float(np.abs(b).max()))
            signal_rank(A)
            signal_rank(A, 1.0)
            wedin_bound(A, near)

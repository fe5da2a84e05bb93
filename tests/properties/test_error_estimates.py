"""Error estimates: bounds that hold, and fail as rarely as they say; bases that keep the tolerance asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lowrank.error_estimates import _EnergyMeter, _ProbeMeter, estimate_error, range_finder
from lowrank.linear_map import linear_map
from lowrank.sketching import randomized_svd
from tests.properties.matrices import FLOATS, HARD, any_matrix, assert_unchanged, double, eps, in_parts, random_matrix


def is_orthonormal(Q, tolerance):
    return np.abs(Q.conj().T @ Q - np.eye(Q.shape[1])).max() <= tolerance


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


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_spectral_bound_fails_as_rarely_as_it_says(dtype):
    """One large value above many small ones: they hide it from the lower bound, and do not help the upper one."""
    A = np.diag([1.0] + 59 * [0.1]).astype(dtype)
    failures = sum(estimate_error(A, 0 * A, norm=2, confidence=0.9, n_probe=2, rng=k).bound < 1 for k in range(1000))
    assert 60 <= failures <= 140                # the probability is at most 0.1, and nearly attained


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_meters_say_what_they_promise(dtype):
    """The bound by 30 probes holds but with probability 0.001/32: its factor is compared with the chi-squared law."""
    A = random_matrix(5, (40, 30), 30, dtype, 1.0)
    M = linear_map(A)
    Q = np.linalg.qr(A[:, :4])[0]
    Bh, true, norm = A.conj().T @ Q, np.linalg.norm(A - Q @ (Q.conj().T @ A)), np.linalg.norm(A)
    error, bound, total = _EnergyMeter(M)(Q, Bh)
    np.testing.assert_allclose((error, bound, total), (true, true, norm), rtol=1e-9)
    error, bound, total = _ProbeMeter(M, np.random.default_rng(0))(Q, Bh)
    degrees = 60 if np.dtype(dtype).kind == "c" else 30
    np.testing.assert_allclose(bound / error, np.sqrt(degrees / stats.chi2.ppf(0.001 / 32, degrees)), rtol=1e-9)
    assert abs(error / true - 1) < 0.3 and abs(total / norm - 1) < 0.3 and bound > true


def test_the_error_estimate_with_the_same_seed_is_honest():
    A = random_matrix(4, (60, 50), 50, np.float64, 1.0)
    found = randomized_svd(A, 5, n_iter=0, rng=0)
    true = np.linalg.norm(A - found.reconstruct())
    assert 0.5 * true <= estimate_error(A, found, rng=0).estimate <= 2 * true


@pytest.mark.parametrize("A, kind, message", [
    ([1.0, 2.0], ValueError, r"A has shape \(2,\)"),
    (np.zeros((2, 2, 2)), ValueError, r"A has shape \(2, 2, 2\)"),
    (np.zeros((0, 3)), ValueError, r"A has shape \(0, 3\)"),
    ([[np.nan, 1.0]], ValueError, "A contains 1 NaN and 0 Inf"),
    ([[1.0, -np.inf]], ValueError, "A contains 0 NaN and 1 Inf"),
    ([["a", "b"]], TypeError, "A has dtype <U1"),
    (np.array([[None]]), TypeError, "A has dtype object"),
    (np.zeros((2, 2), np.longdouble), TypeError, "A has dtype"),
    (None, TypeError, "A is a NoneType; allowed here is an array"),
    (sparse.csr_array(np.array([[np.nan, 1.0]])), ValueError, "a product with A contains NaN or Inf"),
])
def test_bad_matrices_are_named(A, kind, message):
    with pytest.raises(kind, match=message):
        estimate_error(A, np.zeros((1, 2)), rng=0)


@pytest.mark.parametrize("tol", [0.5, 0.05, 1e-4, 1e-7, 1e-11])
@pytest.mark.parametrize("name", HARD)
def test_range_finder_keeps_its_tolerance_on_hard_matrices(name, tol):
    A = HARD[name]
    wide, s = double(A), np.linalg.svd(double(A), compute_uv=False)
    Q, error, bound, _ = assert_unchanged(A, lambda B: range_finder(B, tol=tol, rng=0))
    true = np.linalg.norm(wide - Q @ (Q.conj().T @ wide))
    floor = 20 * eps(A) * np.linalg.norm(s)
    assert is_orthonormal(Q, 1e-13) and error <= bound and true <= bound + floor
    assert true <= tol * np.linalg.norm(s) + floor
    fewest = max(1, sum(np.linalg.norm(s[r:]) > tol / 2 * np.linalg.norm(s) + floor for r in range(len(s))))
    assert Q.shape[1] <= fewest + 1


@given(any_matrix(), st.sampled_from([None, 0.3, 1e-3, 1e-9]), st.integers(0, 1000))
def test_range_finder_on_any_matrix(A, tol, seed):
    options = {"tol": tol} if tol else {"rank": 1 + seed % min(A.shape)}
    Q, error, bound, passes = range_finder(A, rng=seed, **options)
    unit = float(np.abs(A).max()) or 1.0
    true = np.linalg.norm(double(A) / unit - Q.astype(complex) @ (Q.conj().T @ (double(A) / unit)))
    norm = np.linalg.norm(double(A) / unit)
    assert Q.dtype == A.dtype and is_orthonormal(Q, 100 * eps(A))
    assert true <= bound / unit + 100 * eps(A) * norm
    assert tol is None or true <= max(tol, 200 * eps(A)) * norm


def test_range_finder_in_float32_near_its_round_off():
    s = 2.0**-np.arange(60)
    rng = np.random.default_rng(2)
    A = (np.linalg.qr(rng.standard_normal((80, 60)))[0] * s @ np.linalg.qr(rng.standard_normal((60, 60)))[0]).astype(np.float32)
    for tol in (1e-2, 1e-4, 1e-6, 0):
        Q, _, bound, _ = range_finder(A, tol=tol, rng=0)
        assert Q.dtype == np.float32 and Q.shape[1] < 30
        assert np.linalg.norm(double(A) - double(Q) @ (double(Q).T @ double(A))) <= max(tol, 50 * eps(A)) * np.linalg.norm(A)


def test_a_basis_of_a_file_is_found_in_little_memory(tmp_path):
    """A memory map of 24 MB: the peak stays below a quarter of it, its slabs included."""
    import tracemalloc

    rng = np.random.default_rng(3)
    A = np.memmap(tmp_path / "A", np.float64, "w+", shape=(3000, 1000))
    A[:] = rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 1000))
    M = linear_map(A)
    M._blocks = lambda: type(M)._blocks(M, size=2**17)
    tracemalloc.start()
    Q = range_finder(M, rank=8, rng=0).Q
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6
    assert np.linalg.norm(A - Q @ (Q.T @ A)) <= 1e-12 * np.linalg.norm(A)


@pytest.mark.parametrize("dtype", FLOATS)
def test_same_seed_same_basis_and_the_global_state_is_left_alone(dtype):
    A = random_matrix(0, (30, 20), 20, dtype, 1.0)
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    assert np.array_equal(range_finder(A, tol=0.1, rng=3).Q, range_finder(A, tol=0.1, rng=3).Q)
    assert estimate_error(A, 0 * A, rng=3) == estimate_error(A, 0 * A, rng=3)
    assert np.array_equal(np.random.get_state()[1], state)


def test_no_floating_point_warning():
    with np.errstate(all="raise"):
        for name in ("random tall", "zero", "exactly rank 3", "complex Kahan", "units"):
            for options in ({"rank": 2}, {"tol": 0.1}, {"tol": 1e-10}):
                range_finder(HARD[name], rng=0, **options)


NAN = np.array([[1.0, 2.0], [np.nan, 4.0]])


@pytest.mark.parametrize("call, kind, message", [
    (lambda: range_finder(np.eye(3)), ValueError, "rank is None and tol is None"),
    (lambda: range_finder(np.eye(3), rank=1, tol=0.1), ValueError, "give exactly one"),
    (lambda: range_finder(np.eye(3), rank=4), ValueError, "rank is 4"),
    (lambda: range_finder(np.eye(3), tol=1.0), ValueError, "tol is 1.0"),
    (lambda: range_finder(sparse.csr_array(NAN), tol=0.1), ValueError, "a product with A contains NaN or Inf"),
])
def test_bad_input_of_range_finder_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("options", [{"tol": 0.3}, {"tol": 1e-4}, {"rank": 6}])
def test_bounds_for_entries_that_are_stored_in_parts(options):
    """The norm is that of the matrix, not of its stored parts, which is smaller."""
    A = random_matrix(12, (50, 40), 40, np.float64, 1.0) / np.sqrt(1 + np.arange(40))
    for B in (in_parts(A), in_parts(A, form=sparse.csc_array)):
        found = range_finder(B, rng=0, **options)
        true = np.linalg.norm(A - found.Q @ (found.Q.T @ A))
        expected = range_finder(A, rng=0, **options)
        assert true <= found.bound + 1e-12 * np.linalg.norm(A) and found.Q.shape == expected.Q.shape
        assert "tol" not in options or true <= options["tol"] * np.linalg.norm(A)


def long_cases():
    """Tall float32 matrices of low rank and noise, with long sums that drift: constant, graded and positive columns."""
    rng, m = np.random.default_rng(14), 60_000
    noise = rng.standard_normal((m, 12))
    return {"constant": 0.1 + 0.02 * noise, "graded": noise * 0.5**np.arange(12),
            "positive": rng.random((m, 12)), "flat": noise}


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("name", long_cases())
def test_tolerances_of_long_single_precision(name, kind):
    """Rounding grows with the pieces of a sum, not with the long side: the meter is that of energies, and right."""
    A = long_cases()[name].astype(np.float32)
    for B in (A, A.T):
        M = linear_map(kind(B))
        for tol in (0.5, 0.1, 0.06):
            assert tol**2 > 10 * M.terms * eps(A)
            Q, error, bound, _ = range_finder(M, tol=tol, rng=0)
            true = np.linalg.norm(double(B) - double(Q) @ (double(Q).T @ double(B)))
            assert Q.dtype == np.float32 and true <= bound <= tol * np.linalg.norm(double(B)) or Q.shape[1] == 12
            assert bound**2 <= error**2 + 1.01 * M.terms * eps(A) * np.linalg.norm(double(B))**2


def test_equal_entries_and_a_long_side():
    """One column is all there is: 300 000 x 3 of one number, of which a running sum in float32 loses a percent."""
    A = np.full((300_000, 3), 0.1, np.float32)
    for B in (A, np.asfortranarray(A), sparse.csr_array(A), sparse.csc_array(A), A.T):
        found = range_finder(B, tol=0.05, rng=0)
        assert found.Q.shape[1] == 1 and found.bound <= 0.05 * 95
        assert range_finder(B, tol=0.01, rng=0).bound <= 0.01 * 95
        assert estimate_error(B, B, rng=0).bound == 0


@pytest.mark.parametrize("norm", ["fro", 2])
def test_an_estimate_of_a_long_single_precision_error(norm):
    A = np.full((200_000, 2), 0.1, np.float32)
    estimates = [estimate_error(A, 0 * A, norm=norm, n_probe=10, rng=k).estimate for k in range(2 if norm == 2 else 40)]
    size = float(np.float32(0.1)) * 400_000**0.5
    if norm == 2:
        np.testing.assert_allclose(estimates, size, rtol=1e-4)          # of rank one the lower bound is the norm
    else:
        assert abs(np.sqrt(np.mean(np.square(estimates))) / size - 1) < 0.1


def test_the_spectral_norm_when_lapack_gives_up(monkeypatch):
    """gesdd fails for some matrices; then the older routine answers, as everywhere in the package."""
    A, expected = random_matrix(6, (30, 20), 20, np.float64, 1.0), None
    expected = estimate_error(A, 0 * A, norm=2, rng=0)

    def fails(*args, **kwargs):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", fails)
    monkeypatch.setattr(np.linalg._linalg, "svd", fails)                # what norm(A, 2) calls
    np.testing.assert_allclose(estimate_error(A, 0 * A, norm=2, rng=0), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sparse.csr_array, aslinearoperator])
def test_strict_arithmetic(kind):
    """np.seterr(all="raise"): nothing signals that is not an error."""
    graded = np.ldexp(np.random.default_rng(15).standard_normal((14, 9)), -110 * np.arange(9))
    small = (graded * (np.abs(graded) > 1e-30)).astype(np.float32)
    matrices = [graded, graded.T.copy(), np.zeros((4, 3)), np.eye(5), graded + 0j, np.ldexp(graded, -300), small]
    with np.errstate(all="raise"):
        for A in matrices:
            for options in ({"rank": 2}, {"tol": 0.1}, {"tol": 1e-10}, {"tol": 0}):
                range_finder(kind(A), rng=0, **options)
            for norm in ("fro", 2):
                estimate_error(kind(A), np.zeros_like(A), norm=norm, rng=0)


def test_a_wide_operator_costs_products_of_its_short_side():
    A, calls = random_matrix(7, (6, 3000), 6, np.float64, 1.0), []
    operator = LinearOperator(A.shape, dtype=float, matvec=lambda v: A @ v, rmatvec=lambda v: A.T @ v,
                              matmat=lambda X: calls.append(X.shape[1]) or A @ X,
                              rmatmat=lambda Y: calls.append(Y.shape[1]) or A.T @ Y)
    found = range_finder(operator, tol=0.2, rng=0)
    assert sum(calls) <= 60 and found.bound <= 0.2 * np.linalg.norm(A) * (1 + 1e-12)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_one_entry_at_the_end_of_the_range(kind):
    A = random_matrix(8, (12, 9), 9, np.float64, 1.0)
    A[3, 4] = 1.5e308
    for norm in ("fro", 2):
        estimate, bound, _ = estimate_error(kind(A), np.zeros_like(A), norm=norm, rng=0)
        assert estimate > 1e307 and bound >= 1.5e308 * (1 - 1e-14)
    found = range_finder(kind(A), tol=0.1, rng=0)
    assert found.Q.shape == (12, 1) and abs(found.Q[3, 0]) == 1 and found.bound < 1.5e302

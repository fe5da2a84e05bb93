"""Tests of lowrank.choosing_rank, generated from book/low_rank/choosing_rank.ipynb; edit the chapter."""

import numpy as np

from lowrank.choosing_rank import choose_rank, hard_threshold, signal_rank


# %% book/low_rank/choosing_rank.ipynb: test_choices_are_good_for_every_dtype_and_shape
def _problem(m, n, dtype, seed=0):
    """A matrix with s_i = 0.5**i, a smooth x and b, with noise of size 1e-3."""
    from lowrank.arguments import gaussian_matrix

    rng, k = np.random.default_rng(seed), min(m, n)
    normal = lambda *shape: gaussian_matrix(rng, shape, dtype)
    Q, W = (np.linalg.qr(normal(size, k))[0] for size in (m, n))
    s = (0.5 ** np.arange(k)).astype(Q.real.dtype)
    A, x, noise = (Q * s) @ W.conj().T, W @ (s[:, None] * normal(k, 3)), normal(m, 3)
    return A, x, A @ x + (1e-3 / np.sqrt(np.mean(np.abs(noise)**2))) * noise


def test_choices_are_good_for_every_dtype_and_shape():
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        for shape in ((40, 40), (60, 25), (25, 60)):
            A, x, b = _problem(*shape, dtype)
            for method, known in (("gcv", {}), ("lcurve", {}), ("discrepancy", {"noise": 1e-3})):
                found = choose_rank(A, b, method, **known)
                assert found.x.dtype == dtype and found.rank.shape == (3,)
                errors = np.linalg.norm(found.x - x, axis=0) / np.linalg.norm(x, axis=0)
                assert errors.max() < 0.3 or method != "discrepancy"
                smallest = found.scores.min(axis=0)
                scores = found.scores[found.rank, range(3)]
                assert np.all(scores <= np.maximum(smallest, len(known)))
                for j in range(3):
                    one = choose_rank(A, b[:, j], method, **known)
                    near = np.linalg.norm(one.x - found.x[:, j]) < 1e-2 * np.linalg.norm(one.x)
                    assert near and one.rank == found.rank[j]
                    r = one.rank
                    assert np.isclose(one.residuals[r], np.linalg.norm(b[:, j] - A @ one.x), 1e-3)
                    assert np.isclose(one.norms[r], np.linalg.norm(one.x), 1e-3)


def test_units_do_not_matter():
    A, x, b = _problem(30, 20, float)
    units = np.array([1e-150, 1.0, 1e150])
    for method, known in (("gcv", {}), ("lcurve", {}), ("discrepancy", {"noise": 1e-3})):
        expected = choose_rank(A, b, method, **known)
        for unit in (1e-150, 1e150):
            found = choose_rank(A * unit, b * unit, method, **{key: unit * value for key, value
                                                              in known.items()})
            assert np.array_equal(found.rank, expected.rank) and np.allclose(found.x, expected.x)
        if method != "discrepancy":
            found = choose_rank(A, b * units, method)
            assert np.array_equal(found.rank, expected.rank)
            assert np.allclose(found.residuals / units, expected.residuals)
            assert np.allclose(found.norms / units, expected.norms)


# %% book/low_rank/choosing_rank.ipynb: test_without_noise_and_at_the_edges
def test_without_noise_and_at_the_edges():
    A = np.diag([1.0, 0.5, 0.1, 0.0])
    b = np.array([1.0, 1, 0.1, 0])
    assert choose_rank(A, b, "discrepancy", noise=0).rank == 3
    assert choose_rank(A, b, "discrepancy", noise=10).rank == 0
    assert choose_rank(A, b).rank == 2 and choose_rank(A, b, max_rank=3).rank == 3
    for method, known in (("gcv", {}), ("lcurve", {}), ("discrepancy", {"noise": 0})):
        zero = choose_rank(A, 0 * b, method, **known)
        assert zero.rank == 0 and not zero.x.any()
        nothing = choose_rank(0 * A, b, method, **(known and {"noise": 1}))
        assert nothing.rank == 0 and not nothing.x.any() and nothing.residuals.shape == (1,)
    assert choose_rank(A, b, "lcurve", max_rank=0).rank == 0
    assert choose_rank([[2.0]], [1.0]).rank == 0
    assert choose_rank([[2.0]], [1.0], "discrepancy", noise=0.1).x == 0.5


def test_refusals():
    import pytest

    A, b = np.eye(3), np.ones(3)
    for kind, message, arguments in (
            (TypeError, "noise is None; allowed is a number", {"method": "discrepancy"}),
            (ValueError, "noise is 1; method=\"gcv\" does not take it", {"noise": 1}),
            (ValueError, "safety is 1; allowed is a number with 1 < safety",
             {"method": "discrepancy", "noise": 1, "safety": 1}),
            (ValueError, "method is 'aic'; allowed are 'discrepancy', 'gcv', 'lcurve'",
             {"method": "aic"}),
            (ValueError, "max_rank is 4; allowed is an integer from 0 to 3", {"max_rank": 4})):
        with pytest.raises(kind, match=message):
            choose_rank(A, b, **arguments)
    with pytest.raises(ValueError, match=r"b has shape \(2,\); allowed is \(3,\) or \(3, p\)"):
        choose_rank(A, b[:2])
    with pytest.raises(ValueError, match="no rank up to 2 leaves a residual as small"):
        choose_rank(A[:, :2], b, "discrepancy", noise=0.1)
    with pytest.raises(ValueError, match="A is so small that the result overflows"):
        choose_rank(A * 1e-200, b * 1e200, "lcurve")


# %% book/low_rank/choosing_rank.ipynb: test_signal_rank_for_every_dtype_shape_and_unit
def test_signal_rank_for_every_dtype_shape_and_unit():
    rng = np.random.default_rng(0)
    for m, n in ((120, 120), (60, 150), (150, 60)):
        signal = 9 * rng.standard_normal((m, 2)) @ (rng.standard_normal((2, n)) + 1j)
        E = rng.standard_normal((m, n)) + 1j * rng.standard_normal((m, n))
        for dtype in (np.float32, np.float64, np.complex64, np.complex128):
            real = np.dtype(dtype).kind == "f"
            A = (signal.real + E.real if real else signal + E).astype(dtype)
            nu = 1 if real else 2**0.5
            found, known = signal_rank(A), signal_rank(A, nu)
            rank = np.linalg.matrix_rank(signal.real if real else signal)
            assert found.rank == known.rank == rank
            assert abs(found.noise / nu - 1) < 0.1 and known.noise == nu
            assert found.s.dtype == A.real.dtype and len(found.s) == min(m, n)
            assert known.threshold == hard_threshold((m, n), nu)
            assert np.sum(found.s > found.edge * 1.1) == found.rank
        for unit in (2.0**-498, 2.0**498):
            scaled = signal_rank(A * unit)
            assert scaled.rank == found.rank and scaled.noise == found.noise * unit
            assert signal_rank(A * unit, nu * unit).rank == known.rank


def test_signal_rank_at_the_edges():
    import pytest

    exact = np.outer([1.0, 2, 3, 4], [1.0, 1, 1]) / 3
    assert signal_rank(exact, 0).rank == 1 and signal_rank(exact).rank == 1
    assert signal_rank(np.zeros((3, 4)))[:4] == (0, 0, 0, 0)
    assert signal_rank([[2.0]], 0.5).rank == 1 and signal_rank([[1.0]], 1).rank == 0
    for call in (lambda: signal_rank(np.eye(2), -1), lambda: hard_threshold((2, 2), np.inf)):
        with pytest.raises(ValueError, match="noise is"):
            call()
    with pytest.raises(ValueError, match=r"shape\[1\] is 0; allowed is an integer from 1"):
        hard_threshold((2, 0))
    with pytest.raises(ValueError, match=r"shape is 3; allowed are two integers \(m, n\)"):
        hard_threshold(3)

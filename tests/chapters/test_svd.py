"""Tests of lowrank.svd, generated from book/low_rank/svd.ipynb; edit the chapter."""

import numpy as np

from lowrank.arguments import gaussian_matrix
from lowrank.linear_map import linear_map
from lowrank.svd import (
    _Look,
    _Rows,
    _Search,
    _TooSlow,
    _leading,
    _wanted,
    fix_signs,
    rank_for_tol,
    truncated_svd,
)


# %% book/low_rank/svd.ipynb: test_sign_rule
def test_sign_rule():
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.standard_normal((9, 4)) + 1j * rng.standard_normal((9, 4)))[0]
    U[:, 0] = [0.5, -0.5, 0.5j, -0.5j, 0, 0, 0, 0, 0]
    V = rng.standard_normal((4, 6))
    for phases in np.exp(1j * rng.uniform(0, 6, (3, 4))):
        turned, Vh = fix_signs(U * phases, phases.conj()[:, None] * V)
        assert np.allclose(turned @ Vh, U @ V)
        assert np.allclose(turned, fix_signs(U, V)[0])
        assert np.allclose(turned[np.abs(turned).argmax(0), range(4)][1:].imag, 0)
    noisy = np.array([[1.0, -1.0]]).T * (1 + 1e-15 * np.array([[0, 1]]).T) / 2**0.5
    assert fix_signs(noisy, np.ones((1, 1)))[0][0, 0] > 0


# %% book/low_rank/svd.ipynb: test_rank_for_tol
def test_rank_for_tol():
    s = np.array([4.0, 3.0, 0.0])
    assert [rank_for_tol(s, tol) for tol in (0, 0.59, 0.61, 0.999)] == [2, 2, 1, 1]
    assert rank_for_tol(s * 1e-200, 0.59) == 2
    decades = 10.0 ** -np.arange(1, 14)                    # where subtraction fails from 8 on
    assert [rank_for_tol(decades, 2 * 10.0**-r) for r in range(1, 12)] == [*range(1, 12)]
    assert rank_for_tol(np.array([[4.0, 3.0, 0.0], [1.0, 1.0, 1.0]]), 0.1) == 3
    assert rank_for_tol(np.zeros(3), 0.1) == 1


# %% book/low_rank/svd.ipynb: test_a_look_goes_on_after_a_restart
def test_a_look_goes_on_after_a_restart():
    s, start = np.r_[1, np.linspace(0.9, 0.1, 39)], np.random.default_rng(5).standard_normal(40)
    start[0] = 1e-8                                     # hardly anything of the one that is sought
    bases = _Rows(40, float), _Rows(40, float)
    K = _Look(linear_map(np.diag(s)), start / np.linalg.norm(start), *bases, 0)
    K.expect(1.0, 40, delta=1e-9)
    first = K.basis.rows[0, 0]
    for restart in (False, False, True, False, True):
        for _ in range(4):
            K.step()
        if restart:
            K.restart(5)
            x, y = K.basis.rows[:, 0] / first, K.left.rows[:, 0] / first
            assert np.allclose(K.d, y, rtol=1e-9) and np.isclose(K.c, x[-1], rtol=1e-9)
            assert np.isclose(K.total, np.sum(x**2), rtol=1e-9) and not K.missed


# %% book/low_rank/svd.ipynb: test_what_is_left_over_decides
def test_what_is_left_over_decides():
    search = _Search(linear_map(np.eye(50)), lambda s: 2, 50, 50)
    s, Q, chain = np.array([1.0, 0.5, 0.4]), np.eye(3), search.fresh_chain()
    for f in (0.9, 1.1):
        residuals = np.array([0, 0, (f * (0.5**2 - 0.4**2))**0.5])
        w, more = _wanted(search, chain, s, Q, residuals)
        assert w == 2 and (more > 0) == (f > 1)


# %% book/low_rank/svd.ipynb: test_exact_on_every_spectrum
def _matrix_with(s, m, n, dtype=np.float64):
    """A matrix of shape (m, n) with singular values s and random singular vectors."""
    rng = np.random.default_rng(1)
    Q, W = (np.linalg.qr(gaussian_matrix(rng, (k, len(s)), dtype))[0] for k in (m, n))
    return ((Q * s) @ W.conj().T).astype(dtype)


def _is_exact(A, result, s):
    """Residuals, orthogonality, values and error of a decomposition are at round-off."""
    U, found, Vh = result
    r, eps, unit = len(found), np.finfo(U.dtype).eps, s[0] or 1
    I, V = np.eye(r), Vh.conj().T
    defects = [(A @ V - U * found) / unit, (A.conj().T @ U - V * found) / unit,
               U.conj().T @ U - I, Vh @ V - I, (found - s[:r]) / unit]
    error, tail = np.linalg.norm(A - result.reconstruct()), np.linalg.norm(s[r:])
    return (max(np.abs(D).max() for D in defects) <= 200 * eps
            and error <= tail * (1 + 1e-9) + 200 * eps * unit * r**0.5)


def test_exact_on_every_spectrum():
    n = 260
    k = np.arange(n)
    spectra = {
        "slow": 1 / (k + 1), "fast": 10.0 ** (-k / 3), "flat": np.ones(n), "zero": np.zeros(n),
        "rank 3": np.where(k < 3, 3.0 - k, 0), "close": np.linspace(1, 0.999, n),
        "4-fold": np.where(k < 12, 5.0 - k // 4, np.linspace(1, 0.1, n)),
        "12-fold": np.where(k < 24, 5.0 - k // 12, np.linspace(1, 0.1, n)),
        "tiny": np.where(k < 6, 10.0 ** (-2.0 * k), 1e-13), "one large": np.where(k, 1.0, 1e8)}
    for name, s in spectra.items():
        A = _matrix_with(s, 300, n)
        for r in (1, 5, 25, 41):
            assert _is_exact(A, truncated_svd(A, r), s), (name, r)
    for dtype in (np.float32, np.complex64, np.complex128):
        for name in ("slow", "4-fold", "rank 3"):
            A = _matrix_with(spectra[name], 300, n, dtype)
            result = truncated_svd(A, 9)
            assert result.dtype == dtype and _is_exact(A, result, spectra[name]), (name, dtype)


# %% book/low_rank/svd.ipynb: test_input_orthogonal_to_the_start
def test_input_orthogonal_to_the_start():
    s = np.array([7.0, 3.0, 2.5] + [1.0] * 237)
    first = _Search(linear_map(np.zeros((260, 240))), len, 1, 1).fresh_chain()
    start = first.basis.rows.T
    W = np.linalg.qr(np.hstack([start, np.random.default_rng(2).standard_normal((240, 239))]))[0]
    W = np.roll(W, -1, axis=1)                          # the start is the last singular vector
    Q = np.linalg.qr(np.random.default_rng(3).standard_normal((260, 240)))[0]
    A = (Q * s) @ W.T
    assert np.abs(start.T @ W[:, :3]).max() < 1e-14
    for r in (1, 2, 3):
        assert _is_exact(A, truncated_svd(A, r), s)


# %% book/low_rank/svd.ipynb: test_every_kind_of_input
def test_every_kind_of_input():
    from scipy import sparse
    from scipy.sparse.linalg import LinearOperator, aslinearoperator

    A = sparse.random_array((400, 300), density=0.05, rng=np.random.default_rng(4), format="csr")
    dense = A.toarray()
    s = np.linalg.svd(dense, compute_uv=False)
    for r in (7, 90):
        expected = truncated_svd(dense, r)
        for kind in (A, A.tocsc(), A.tocoo(), aslinearoperator(A), np.asfortranarray(dense),
                     dense.tolist()):
            result = truncated_svd(kind, r)
            assert _is_exact(dense, result, s) and np.abs(result.U - expected.U).max() < 1e-9
        flipped = truncated_svd(A.T, r)
        assert _is_exact(dense.T, flipped, s)
    d = 1 / np.arange(1.0, 40_001)                        # far too large for an array
    product = lambda X: (d * X.T).T
    huge = LinearOperator((40_000, 40_000), product, product, product, float, product)
    assert np.allclose(truncated_svd(huge, 4).s, d[:4], rtol=1e-13)
    for unit in (2.0**498, 2.0**-498):
        scaled, result = truncated_svd(dense * unit, 7), truncated_svd(dense, 7)
        assert np.array_equal(scaled.U, result.U) and np.array_equal(scaled.s, result.s * unit)
    dense.setflags(write=False)
    twice = zip(truncated_svd(dense, 7), truncated_svd(dense, 7))
    assert all(np.array_equal(*pair) for pair in twice)


def test_small_and_stacked():
    rng = np.random.default_rng(5)
    for shape in ((1, 6), (6, 1), (1, 1), (3, 3), (2, 300), (50, 41)):
        A = rng.standard_normal(shape)
        for r in {1, min(shape)}:
            assert _is_exact(A, truncated_svd(A, r), np.linalg.svd(A, compute_uv=False))
    stack = rng.standard_normal((2, 3, 6, 5)) * 10.0 ** np.array([-150, 0, 150])[:, None, None]
    U, s, Vh = truncated_svd(stack, 2)
    assert (U.shape, s.shape, Vh.shape) == ((2, 3, 6, 2), (2, 3, 2), (2, 3, 2, 5))
    for index in np.ndindex(2, 3):
        assert np.allclose(s[index], truncated_svd(stack[index], 2).s, rtol=1e-14)
    assert truncated_svd(np.zeros((0, 4, 3)), 2).U.shape == (0, 4, 2)
    large = rng.standard_normal((2, 250, 230))
    assert np.abs(truncated_svd(large, 3).U[1] - truncated_svd(large[1], 3).U).max() < 1e-8
    pair = np.stack([np.diag([1.0, 0.5, 0.1]), np.diag([1.0, 1e-3, 1e-6])])
    assert [truncated_svd(pair, tol=t).rank for t in (0, 0.2, 0.6)] == [3, 2, 1]


# %% book/low_rank/svd.ipynb: test_tol_is_the_smallest_rank
def test_tol_is_the_smallest_rank():
    n = 240
    for s in (0.8 ** np.arange(n), 1 / (1.0 + np.arange(n))**2, np.ones(n)):
        A = _matrix_with(s, 300, n)
        tail = np.sqrt(np.cumsum(s[::-1]**2)[::-1])
        for tol in (0.5, 0.03, 1e-4, 1e-10):
            expected = int(np.sum(tail > tol * tail[0]))
            assert truncated_svd(A, tol=tol).rank == truncated_svd(A.T, tol=tol).rank == expected
    assert truncated_svd(np.zeros((300, 240)), tol=0.1).rank == 1


def test_passes_and_refusals():
    from unittest import mock

    import pytest
    from scipy import sparse

    A = linear_map(_matrix_with(0.9 ** np.arange(240), 300, 240))
    with mock.patch.object(A, "apply", wraps=A.apply) as apply, \
            mock.patch.object(A, "adjoint_apply", wraps=A.adjoint_apply) as adjoint_apply, \
            mock.patch.object(A, "dense", side_effect=AssertionError):
        truncated_svd(A, 30)
    columns = sum(call.args[0].shape[1] for call in apply.call_args_list)
    assert apply.call_count == adjoint_apply.call_count and columns <= 3 * 30
    s = 1 / np.arange(1.0, 241)
    B = _matrix_with(s, 300, 240)

    def too_slow(*args):
        raise _TooSlow

    with mock.patch.dict(_leading.__globals__, _from_products=too_slow):
        assert _is_exact(B, truncated_svd(B, 30), s) and _is_exact(B, truncated_svd(B, tol=0.2), s)
        with pytest.raises(np.linalg.LinAlgError, match="too close together"):
            truncated_svd(sparse.eye_array(9000, format="csr"), 3)
    nan = np.eye(300)
    nan[7, 5] = np.nan
    with pytest.raises(ValueError, match="A contains 1 NaN"):
        truncated_svd(nan, 3)
    for arguments in ({}, {"rank": 1, "tol": 0.1}):
        with pytest.raises(ValueError, match="give exactly one of them"):
            truncated_svd(np.eye(3), **arguments)
    with pytest.raises(ValueError, match="rank is 4; allowed is an integer from 1 to 3"):
        truncated_svd(np.eye(3), 4)
    with pytest.raises(ValueError, match=r"A has shape \(3,\)"):
        truncated_svd([1.0, 2.0, 3.0], 1)

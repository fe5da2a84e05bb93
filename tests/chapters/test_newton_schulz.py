"""Tests of lowrank.newton_schulz, generated from book/matrix_sign/newton_schulz.ipynb; edit the
chapter."""

import math

import numpy as np

from lowrank.newton_schulz import (
    apply_schedule,
    matrix_polynomial,
    normalized,
    pade_step,
    polar_residuals,
    schatten_norm,
    sqrtm_newton_schulz,
)


# %% book/matrix_sign/newton_schulz.ipynb: test_pade_steps_are_exact
def test_pade_steps_are_exact():
    from fractions import Fraction

    for degree in range(3, 33, 2):
        c, q = pade_step(degree), degree // 2
        for j in range(q + 1):
            term = lambda k: Fraction(math.comb(2 * k, k) * math.comb(k, j), 4**k)
            assert Fraction(c[j]) == (-1)**j * sum(term(k) for k in range(j, q + 1))
        assert sum(map(Fraction, c)) == 1


# %% book/matrix_sign/newton_schulz.ipynb: test_schatten_norms
def test_schatten_norms():
    rng = np.random.default_rng(3)
    for shape in ((5, 9), (9, 5), (2, 3, 4, 4), (0, 3), (0, 2, 3)):
        A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        s = np.linalg.svd(A, compute_uv=False)
        for p in (2, 4, 8, 16, 64):
            expected = np.sum(s**p, axis=-1)**(1 / p)
            for unit in (1.0, 1e-150, 1e150):
                assert np.allclose(schatten_norm(A * unit, p) / unit, expected, rtol=1e-13)
    assert schatten_norm(np.zeros((3, 2)), 8) == 0
    assert schatten_norm(np.ones((3, 2), np.float32)).dtype == np.float32


# %% book/matrix_sign/newton_schulz.ipynb: Counted
class Counted(np.ndarray):
    """An array that counts its products."""

    products = 0

    def __matmul__(self, other):
        Counted.products += 1
        return np.matmul(self, other)


def test_polynomials():
    rng = np.random.default_rng(5)
    Y = rng.standard_normal((6, 6)) + 1j * rng.standard_normal((6, 6))
    Y = Y + Y.conj().T
    Y /= np.linalg.norm(Y)
    powers = [np.linalg.matrix_power(Y, j) for j in range(18)]
    for q in range(1, 18):
        for c in (rng.standard_normal(q + 1), pade_step(2 * q + 1)):
            expected = sum(a * P for a, P in zip(c, powers))
            for known in ((), powers[1:2], powers[1:3]):
                error = np.abs(matrix_polynomial(Y, tuple(c), known) - expected).max()
                assert error < 1e-12 * max(map(abs, c))


def test_products_of_a_step():
    for degree, products in (3, 0), (5, 1), (7, 2), (9, 2), (11, 3), (13, 3), (17, 3):
        Counted.products = 0
        matrix_polynomial(np.eye(3).view(Counted), pade_step(degree))
        assert Counted.products == products


# %% book/matrix_sign/newton_schulz.ipynb: test_normalized_hands_on_its_products
def test_normalized_hands_on_its_products():
    rng = np.random.default_rng(4)
    A = rng.standard_normal((2, 4, 7)) * 1e100
    for normalize, p, known in (("frobenius", 2, 0), ("schatten4", 4, 1), ("schatten8", 8, 2)):
        X, powers = normalized(A, normalize)
        assert np.allclose(X, A / schatten_norm(A, p)[..., None, None], rtol=1e-13)
        assert len(powers) == known
        for k, P in enumerate(powers, 1):
            assert np.allclose(P, np.linalg.matrix_power(X @ X.mT, k), rtol=1e-12, atol=1e-15)


# %% book/matrix_sign/newton_schulz.ipynb: test_schedules_on_singular_values
def test_schedules_on_singular_values():
    rng = np.random.default_rng(9)
    schedule = [(3.4445, -4.7750, 2.0315), pade_step(3), pade_step(7), pade_step(17), (0.9,)]
    bounds = {"frobenius": 2, "schatten4": 4, "schatten8": 8}
    for shape in ((4, 9), (9, 4), (5, 5), (2, 3, 3, 12), (1, 6), (0, 3), (0, 2, 3), (2, 3, 0)):
        B = rng.standard_normal(shape)
        for A in (B, B + 1j * rng.standard_normal(shape)):
            U, s, Vh = np.linalg.svd(A, full_matrices=False)
            for name, p in bounds.items():
                x = s / np.sum(s**p, axis=-1, keepdims=True)**(1 / p)
                for c in schedule:
                    x = sum(a * x**(2 * j + 1) for j, a in enumerate(c))
                for form in ("plain", "gram", "auto"):
                    X = apply_schedule(A, schedule, normalize=name, form=form, restart=2)
                    assert X.shape == A.shape and X.dtype == A.dtype
                    assert np.allclose(X, (U * x[..., None, :]) @ Vh, rtol=0, atol=1e-12)


def test_scales_and_degenerate_input():
    A = np.random.default_rng(10).standard_normal((3, 5))
    for normalize in ("frobenius", "schatten4", "schatten8"):
        expected = apply_schedule(A, [pade_step(5)] * 3, normalize=normalize)
        for unit in (1e-150, 1e150, 1e-300, 1e300):
            found = apply_schedule(A * unit, [pade_step(5)] * 3, normalize=normalize)
            assert np.allclose(found, expected, rtol=0, atol=1e-14)
        assert not apply_schedule(np.zeros((3, 5)), [pade_step(5)], normalize=normalize).any()
    assert np.array_equal(apply_schedule(A, [], normalize=False), A)
    assert apply_schedule(A.astype(np.float32), [pade_step(3)]).dtype == np.float32
    assert np.allclose(apply_schedule([[2, 0], [0, 1]], [pade_step(9)] * 9), np.eye(2))


def test_apply_schedule_refuses():
    import pytest

    A, step = np.eye(2), [pade_step(3)]
    apply = lambda schedule, **options: lambda: apply_schedule(A, schedule, **options)
    cases = [
        (apply([(1.5, -0.5), ()]), ValueError, "step 1 of schedule is"),
        (apply([(1.5, np.nan)]), ValueError, "step 0 of schedule is"),
        (apply((1.5, -0.5)), ValueError, r"schedule is \(1.5, -0.5\)"),
        (apply(step, normalize="spectral"), ValueError, "normalize is 'spectral'"),
        (apply(step, form="fast"), ValueError, "form is 'fast'; allowed are"),
        (apply(step, restart=0), ValueError, "restart is 0"),
        (lambda: apply_schedule([1.0, 2.0], step), ValueError, r"A has shape \(2,\)"),
        (lambda: apply_schedule([[np.inf, 0]], step), ValueError, "A contains 0 NaN and 1 Inf"),
        (lambda: apply_schedule(9 * A, step * 9, normalize=False), ValueError, "diverges on A"),
        (lambda: pade_step(4), ValueError, "degree is 4; allowed is an odd integer from 3"),
        (lambda: pade_step(1), ValueError, "degree is 1"),
        (lambda: pade_step(3.0), TypeError, "degree is 3.0"),
        (lambda: schatten_norm(A, 6), ValueError, "p is 6; allowed is a power of two"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


# %% book/matrix_sign/newton_schulz.ipynb: test_polar_residuals
def test_polar_residuals():
    rng = np.random.default_rng(12)
    for shape in ((4, 6), (6, 4), (5, 5), (2, 3, 3, 5)):
        A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        U, s, Vh = np.linalg.svd(A, full_matrices=False)
        for unit in (1e-150, 1.0, 1e150):
            res = polar_residuals(A * unit, U @ Vh)
            assert all(r.shape == shape[:-2] for r in res)
            assert max(r.max() for r in res[:4]) < 1e-13 and np.all(res.smallest > 0)
        half = polar_residuals(A, (U * 0.9) @ Vh)
        assert np.allclose(half.orthogonality, 0.19 * min(shape[-2:])**0.5)
        assert np.allclose(half.hermitian, 0, atol=1e-14) and np.allclose(half.backward, 0.19)
    assert polar_residuals(np.eye(2), 1e200 * np.eye(2)).bound == np.inf
    assert polar_residuals(np.zeros((0, 3)), np.zeros((0, 3))).orthogonality == 0


# %% book/matrix_sign/newton_schulz.ipynb: test_square_roots
def test_square_roots():
    rng = np.random.default_rng(17)
    for shape in ((5, 5), (1, 1), (2, 3, 6, 6), (0, 0), (0, 3, 3)):
        B = rng.standard_normal((*shape[:-1], 2 * shape[-1]))
        for B in (B, B + 1j * rng.standard_normal(B.shape)):
            A = B @ B.conj().mT
            A = (A + A.conj().mT) / 2
            for unit in (1.0, 1e-150, 1e150, 1e-300):
                R, inverse, residual, _, converged = sqrtm_newton_schulz(A * unit)
                assert R.shape == shape and R.dtype == A.dtype
                assert residual.shape == shape[:-2] and np.all(residual < 1e-12)
                assert converged.shape == shape[:-2] and np.all(converged)
                assert np.array_equal(R, R.conj().mT)
                assert np.allclose(R / unit**0.5 @ R / unit**0.5, A, rtol=1e-11, atol=1e-12)
                assert np.allclose(R @ inverse, np.eye(shape[-1]), rtol=0, atol=1e-10)
            fixed, free = sqrtm_newton_schulz(A, [pade_step(5)] * 30), sqrtm_newton_schulz(A)
            assert np.allclose(fixed.root, free.root, rtol=1e-11, atol=1e-12)
            assert fixed.steps == 30 and np.all(fixed.converged)
    assert not sqrtm_newton_schulz(np.zeros((3, 3))).root.any()
    root = sqrtm_newton_schulz([[4, 0], [0, 9]]).root
    assert np.array_equal(root.round(12), np.diag([2.0, 3.0]))
    assert sqrtm_newton_schulz(np.eye(3, dtype=np.float32)).root.dtype == np.float32


def test_square_roots_of_singular_matrices_have_no_inverse():
    A = np.stack([np.diag([1.0, 0.0]), np.eye(2), np.zeros((2, 2))])
    R, inverse, residual, _, converged = sqrtm_newton_schulz(A)
    assert np.allclose(R, A, rtol=0, atol=1e-14) and np.all(residual < 1e-14)
    assert converged.tolist() == [False, True, False]
    assert np.isnan(inverse[[0, 2]]).all() and np.allclose(inverse[1], np.eye(2))
    fixed = sqrtm_newton_schulz(A, [pade_step(9)] * 3)      # what three steps make of it
    assert fixed.converged.tolist() == [False, True, False] and np.isfinite(fixed.inverse).all()
    assert np.isclose(fixed.inverse[0, 1, 1], pade_step(9)[0]**3)


def test_square_roots_refused():
    import pytest

    cases = [
        (lambda: sqrtm_newton_schulz(np.ones((2, 3))), r"A has shape \(2, 3\); allowed is"),
        (lambda: sqrtm_newton_schulz([[1.0, 1.0], [0.0, 1.0]]), "A is not Hermitian: .* 1.0e"),
        (lambda: sqrtm_newton_schulz(np.diag([1.0, -1e-6])), "not positive semidefinite"),
        (lambda: sqrtm_newton_schulz(-np.eye(3)), "not positive semidefinite"),
        (lambda: sqrtm_newton_schulz(np.eye(2), []), "schedule is empty"),
        (lambda: sqrtm_newton_schulz(-np.eye(2), [pade_step(9)] * 9), "schedule diverges on A"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()

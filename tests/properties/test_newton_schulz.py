"""The sign by products: singular values go where the polynomial sends them, in every library, at every scale."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank.newton_schulz import (
    NewtonSchulzRoot,
    apply_schedule,
    linear_combination,
    matrix_polynomial,
    pade_step,
    polar_residuals,
    schatten_norm,
    sqrtm_newton_schulz,
    three_products,
)
from tests.properties.libraries import LIBRARIES, every_library_and_dtype, needs
from tests.properties.matrices import FLOATS, HARD, any_matrix, assert_unchanged, double, eps, random_matrix

TUNED = 3.4445, -4.7750, 2.0315
SCHEDULES = {
    "cubic": [pade_step(3)] * 5,
    "tuned, then flat": [TUNED] * 4 + [pade_step(5)] * 2,
    "every degree": [pade_step(7), pade_step(9), pade_step(11), pade_step(13), pade_step(17), (0.9,)],
}
NORMS = {"frobenius": 2, "schatten4": 4, "schatten8": 8}


def composed(x, schedule):
    for c in schedule:
        x = sum(a * x ** (2 * j + 1) for j, a in enumerate(c))
    return x


def expected_sign(A, schedule, normalize):
    """By a decomposition, in double precision."""
    A = double(A) / (float(np.abs(A).max(initial=0)) or 1)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    p = NORMS[normalize]
    bound = np.sum(s**p, axis=-1, keepdims=True) ** (1 / p)
    x = composed(s / np.where(bound > 0, bound, 1), schedule)
    return (U * x[..., None, :]) @ Vh


# --- the polynomials

@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_polynomials_of_matrices(q, seed):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((4, 4))
    Y = (Y + Y.T) / np.linalg.norm(Y + Y.T)
    c = tuple(rng.standard_normal(q + 1))
    expected = sum(a * np.linalg.matrix_power(Y, j) for j, a in enumerate(c))
    assert np.abs(matrix_polynomial(Y, c) - expected).max() <= 1e-14 * sum(map(abs, c))


def test_degree_eight_falls_back():
    Y = np.diag([0.2, 0.5, 1.0])
    for c in ((1.0,) * 3 + (0.0,) * 6, (1.0, 0, 0, 0, 9.0, 0, 0, 1.0, 1.0), (0.0,) * 8 + (1.0,),
              (1.0,) * 7 + (1e-9, 1.0), (1.0,) * 8 + (1e-300,), (1.0,) * 7 + (1e-200, 1e-300)):
        assert three_products(c) is None
        assert np.allclose(matrix_polynomial(Y, c), np.diag(np.polyval(c[::-1], np.diag(Y))), rtol=1e-14)


def test_three_products_sum_at_most_twice_what_the_coefficients_do():
    """Rounding grows with what is summed: where the terms of the products cancel, the scheme is refused."""
    rng, sums = np.random.default_rng(0), []
    for c in rng.standard_normal((1000, 9)):
        if found := three_products(tuple(c)):
            r, t, d, u, e, f, _ = np.abs(found)
            terms = np.polyadd(np.polymul([r, t, d, u], [r, t, e, 0]), f * np.array([r, t, 0, 0, 0]))
            sums.append(terms.sum() / np.abs(c).sum())
    assert 1.9 < max(sums) <= 2 and len(sums) > 400


def test_combinations_of_any_layout():
    rng = np.random.default_rng(0)
    P = [rng.standard_normal((5, 4, 4)).transpose(0, 2, 1), rng.standard_normal((5, 8, 8))[:, ::2, ::2]]
    before = [F.copy() for F in P]
    assert np.allclose(linear_combination((1.0, 2.0, 3.0), P), np.eye(4) + 2 * P[0] + 3 * P[1], rtol=1e-14)
    assert all(map(np.array_equal, P, before))


@pytest.mark.parametrize("degree", [3, 5, 7, 9, 17, 31])
def test_pade_steps_converge_on_the_unit_interval(degree):
    x = np.geomspace(1e-6, 1, 1000)
    growing = composed(x, [pade_step(degree)])
    assert np.all(growing >= x * (1 - 1e-15)) and np.all(growing <= 1 + 1e-12)
    assert np.allclose(composed(x, [pade_step(degree)] * 60), 1, rtol=0, atol=1e-11)


# --- apply_schedule

@pytest.mark.parametrize("name", HARD)
def test_hard_matrices(name):
    A = HARD[name]
    for steps, normalize in zip(SCHEDULES.values(), NORMS):
        slope = math.prod(c[0] for c in steps)
        expected = expected_sign(A, steps, normalize)
        for form in ("plain", "gram"):
            X = assert_unchanged(A, lambda A: apply_schedule(A, steps, normalize=normalize, form=form, restart=2))
            assert X.shape == A.shape and np.abs(X - expected).max() <= 30 * eps(A) * slope


@given(any_matrix(), st.sampled_from(list(NORMS)), st.sampled_from(["plain", "gram", "auto"]))
def test_any_size_type_and_unit(A, normalize, form):
    steps = SCHEDULES["tuned, then flat"]
    slope = math.prod(c[0] for c in steps)
    X = assert_unchanged(A, lambda A: apply_schedule(A, steps, normalize=normalize, form=form))
    assert X.dtype == A.dtype and np.isfinite(X).all()
    assert np.abs(X - expected_sign(A, steps, normalize)).max() <= 50 * eps(A) * slope
    unit = np.ldexp(1.0, 40).astype(A.real.dtype)
    if np.abs(A).max() < np.finfo(A.dtype).max / 2**50:
        assert np.array_equal(apply_schedule(A * unit, steps, normalize=normalize, form=form), X)
    adjoint = apply_schedule(A.conj().T, steps, normalize=normalize, form=form)
    assert np.abs(adjoint.conj().T - X).max() <= 50 * eps(A) * slope


@every_library_and_dtype
def test_every_library_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    tol = 1e-13 if np.dtype(dtype).char in "dD" else 1e-5
    for shape in [(2, 4, 9), (9, 4), (0, 3)][: 1 if library == "jax" else 3]:     # JAX compiles for every shape
        A = random_matrix(1, shape[-2:], min(shape[-2:]), dtype, 1e3)
        A = np.stack([A, 3 * A]) if len(shape) > 2 else A
        for steps in ([TUNED] * 2 + [pade_step(9)] * 2, [pade_step(3), pade_step(17)]):
            for normalize, form in (("frobenius", "plain"), ("schatten8", "gram")):
                X = apply_schedule(A, steps, normalize=normalize, form=form)
                Y = back(apply_schedule(convert(A), steps, normalize=normalize, form=form))
                assert Y.dtype == X.dtype == A.dtype and Y.shape == X.shape
                assert np.abs(Y - X).max(initial=0) <= tol
        np.testing.assert_allclose(back(schatten_norm(convert(A), 8)), schatten_norm(A, 8), rtol=10 * tol)
        for mine, theirs in zip(polar_residuals(A, X), polar_residuals(convert(A), convert(X))):
            np.testing.assert_allclose(back(theirs), mine, rtol=1e-4, atol=10 * tol)
    A = random_matrix(2, (5, 9), 5, dtype, 1e3)
    G = A @ A.conj().T
    G = (G + G.conj().T) / 2
    for steps in (None, [pade_step(9)] * 8):
        mine, theirs = sqrtm_newton_schulz(G, steps), sqrtm_newton_schulz(convert(G), steps)
        assert isinstance(theirs, NewtonSchulzRoot) and theirs.steps == mine.steps
        for X, Y in zip(mine[:2], theirs[:2]):
            assert back(Y).dtype == dtype
            np.testing.assert_allclose(back(Y), X, rtol=0, atol=1000 * tol * np.abs(X).max())
        assert back(theirs.residual).shape == back(theirs.converged).shape == () and back(theirs.residual) < 1000 * tol
        assert bool(theirs.converged) == bool(mine.converged) == True                   # noqa: E712
    singular = sqrtm_newton_schulz(convert(np.stack([G, 0 * G])))
    assert back(singular.converged).tolist() == [True, False] and not back(singular.root)[1].any()
    assert np.isnan(back(singular.inverse)[1]).all() and np.isfinite(back(singular.inverse)[0]).all()


def test_zero_and_empty_everywhere():
    for shape in ((3, 5), (5, 3), (0, 4), (4, 0), (0, 2, 3), (2, 0, 3)):
        for normalize in (*NORMS, False):
            for form in ("plain", "gram"):
                X = apply_schedule(np.zeros(shape), [pade_step(5)] * 3, normalize=normalize, form=form)
                assert X.shape == shape and not X.any()
        assert np.array_equal(schatten_norm(np.zeros(shape), 8), np.zeros(shape[:-2]))


def test_the_gram_form_is_within_its_promise():
    A = np.random.default_rng(2).standard_normal((64, 256))
    steps = [TUNED] * 3 + [pade_step(5)] * 3
    plain = apply_schedule(A, steps, form="plain")
    assert np.linalg.norm(apply_schedule(A, steps, form="gram") - plain, 2) < 1e-12
    assert np.array_equal(apply_schedule(A, steps), apply_schedule(A, steps, form="gram"))
    assert np.array_equal(apply_schedule(A[:, :128], steps), apply_schedule(A[:, :128], steps, form="plain"))


def test_divergence_is_an_error_and_no_warning():
    optimal_for_one = (8.47, -25.108, 18.629)               # leaves at the top
    for form in ("plain", "gram"):
        with pytest.raises(ValueError, match="schedule diverges on A: with normalize=False"):
            apply_schedule(3 * np.eye(4), [optimal_for_one] * 12, normalize=False, form=form)


# --- the norms and the certificate

@given(any_matrix(), st.sampled_from([2, 4, 8, 16]))
def test_schatten_norms(A, p):
    b = schatten_norm(A, p)
    peak = np.abs(A).max() or 1
    s = np.linalg.svd(double(A) / peak, compute_uv=False)
    assert b.dtype == A.real.dtype and b.shape == ()
    assert abs(b / peak - np.sum(s**p) ** (1 / p)) <= 100 * eps(A) * s[0]
    assert s[0] * (1 - 50 * eps(A)) <= b / peak <= min(A.shape) ** (1 / p) * s[0] * (1 + 50 * eps(A))


@given(any_matrix(dtypes=[np.float64, np.complex128]), st.floats(0, 2))
def test_the_bound_holds_for_every_candidate(X, size):
    norm = np.abs(X).max()
    X = X / norm * size / max(np.linalg.norm(X / norm, 2), 1e-300) if norm else X
    res = polar_residuals(X, X)
    s = np.linalg.svd(X, compute_uv=False)
    assert np.isfinite(res.orthogonality) and abs(res.orthogonality - np.linalg.norm(1 - s**2)) < 1e-12
    if res.orthogonality < 1:
        with_round_off = 1 - np.sqrt(max(0, 1 - res.orthogonality - 1e-14))     # of d itself
        assert np.abs(s - 1).max() <= with_round_off and res.bound <= with_round_off
    else:
        assert res.bound == np.inf


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_backward_error_is_one(shape):
    """S X is a matrix whose sign is X, at the reported distance from A."""
    rng = np.random.default_rng(3)
    A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    U, _, Vh = np.linalg.svd(A + 1e-3 * rng.standard_normal(shape), full_matrices=False)
    X, res = U @ Vh, polar_residuals(A, U @ Vh)
    if shape[0] > shape[1]:
        H = X.conj().T @ A
        B = X @ (H + H.conj().T) / 2
    else:
        H = A @ X.conj().T
        B = (H + H.conj().T) / 2 @ X
    U, _, Vh = np.linalg.svd(B, full_matrices=False)
    assert np.allclose(U @ Vh, X, rtol=0, atol=1e-12)
    assert np.isclose(np.linalg.norm(A - B) / np.linalg.norm(A), res.backward, rtol=1e-10)
    assert 1e-6 < res.backward < 1e-2 and res.smallest > 0 and res.hermitian < 1e-2


# --- square roots

def hermitian(values, seed=0, is_complex=False):
    rng, n = np.random.default_rng(seed), len(values)
    Q = np.linalg.qr(rng.standard_normal((n, n)) + 1j * is_complex * rng.standard_normal((n, n)))[0]
    Q = Q if is_complex else Q.real
    A = (Q * values) @ Q.conj().T
    return (A + A.conj().T) / 2, (Q * np.sqrt(np.maximum(values, 0))) @ Q.conj().T


@pytest.mark.parametrize("power", range(0, 13, 3))
@pytest.mark.parametrize("is_complex", [False, True])
def test_roots_are_as_accurate_as_the_condition_allows(power, is_complex):
    A, exact = hermitian(np.geomspace(1, 10.0**-power, 30), power, is_complex)
    for unit in (1.0, 1e-150, 1e150):
        R, inverse, residual, steps, converged = assert_unchanged(A * unit, sqrtm_newton_schulz)
        assert converged and steps <= 20 and residual < 30 * 2.2e-16 * 10 ** (power / 2)
        assert abs(np.linalg.norm(R / unit @ R - A) / np.linalg.norm(A) - residual) < 1e-14
        error = np.linalg.norm(R / unit**0.5 - exact) / np.linalg.norm(exact)
        assert error < 30 * 2.2e-16 * 10 ** (power / 2)
        assert np.linalg.norm(R @ inverse - np.eye(30)) < 1000 * 2.2e-16 * 10**power + 1e-12
        assert np.linalg.eigvalsh(R)[0] > 0


@pytest.mark.parametrize("rank", [0, 1, 10, 29])
def test_singular_matrices_with_a_gap(rank):
    A, exact = hermitian(np.r_[np.geomspace(1, 0.01, rank), np.zeros(30 - rank)] if rank else np.zeros(30))
    result = sqrtm_newton_schulz(A)
    assert np.linalg.norm(result.root - exact) < 1e-12 and result.residual < 1e-12
    assert not result.converged and np.isnan(result.inverse).all()
    fixed = sqrtm_newton_schulz(A, [pade_step(9)] * 8)
    assert np.linalg.norm(fixed.root - exact) < 1e-12 and not fixed.converged and np.isfinite(fixed.inverse).all()


def test_singular_matrices_without_a_gap():
    A, exact = hermitian(np.geomspace(1, 1e-20, 40))
    R = sqrtm_newton_schulz(A).root
    assert np.linalg.norm(R @ R - A) < 1e-9 and np.linalg.norm(R - exact) < 1e-5


@pytest.mark.parametrize("lowest", [-1.0, -1e-3, -1e-6, -1e-9])
def test_negative_eigenvalues_are_found(lowest):
    A, _ = hermitian(np.r_[np.geomspace(1, 0.1, 19), lowest])
    with pytest.raises(ValueError, match="A is not positive semidefinite"):
        sqrtm_newton_schulz(A)
    with pytest.raises(ValueError, match="not positive semidefinite"):
        sqrtm_newton_schulz(np.stack([np.eye(20), A]))


@given(st.integers(1, 10), st.integers(0, 10), st.sampled_from(FLOATS), st.integers(-15, 15), st.integers(0, 2**32 - 1))
def test_roots_of_any_gram_matrix(n, rank, dtype, power, seed):
    F = random_matrix(seed, (n, max(rank, 1)), min(rank, n, max(rank, 1)), dtype, 10.0 ** (power / 2))
    A = F @ F.conj().T
    A = (A + A.conj().T) / 2
    R, _, reported, _, _ = sqrtm_newton_schulz(A)
    assert R.dtype == A.dtype and np.isfinite(R).all()
    residual = np.linalg.norm(double(R) @ double(R) - double(A)) / (np.linalg.norm(double(A)) or 1)
    assert residual < 30 * n * eps(A) ** 0.6 and abs(reported - residual) < 100 * n * eps(A)


def test_stacks_mix_regular_and_singular():
    regular, root = hermitian(np.geomspace(1, 1e-6, 8), 1)
    singular, other = hermitian(np.r_[np.ones(4), np.zeros(4)], 2)
    R, inverse, _, _, converged = sqrtm_newton_schulz(np.stack([regular, singular, np.zeros((8, 8)), 1e-200 * regular]))
    assert converged.tolist() == [True, False, False, True]
    assert np.isnan(inverse[[1, 2]]).all() and np.allclose(inverse[3] * 1e-100, inverse[0], rtol=1e-10)
    assert np.linalg.norm(R[0] - root) < 1e-12 and np.linalg.norm(R[1] - other) < 1e-13
    assert not R[2].any() and np.linalg.norm(R[3] * 1e100 - root) < 1e-12


def test_residuals_of_what_is_far_off_and_of_two_dtypes():
    A = np.random.default_rng(6).standard_normal((3, 4))
    r = polar_residuals(A, 1e308 * (A / np.abs(A).max()))
    assert r.bound == r.orthogonality == np.inf and r.smallest == -np.inf and not np.isnan(r).any()
    for convert, back in LIBRARIES.values():
        for X in (A.astype(np.float32), A + 0j):
            expected = polar_residuals(A, X)
            for found in (polar_residuals(convert(A), convert(X)), polar_residuals(convert(X), convert(A))):
                assert back(found.backward).dtype == np.float64
                np.testing.assert_allclose(back(found.backward), expected.backward, rtol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_norms_above_the_largest_number_are_infinite_without_a_warning(dtype):
    A = np.full((3, 3), np.finfo(dtype).max, dtype)
    assert np.all(np.isinf(schatten_norm(A, 8)))
    assert np.allclose(apply_schedule(A, [pade_step(5)] * 5), 1 / 3, rtol=1e-5)


# --- derivatives, vmap, jit

FUNCTIONS = [
    lambda A: apply_schedule(A, [TUNED, pade_step(3), pade_step(17)]),
    lambda A: apply_schedule(A, [TUNED] * 2 + [pade_step(9)], normalize="schatten8", form="gram", restart=2),
    lambda A: sqrtm_newton_schulz(A @ A.mT, [pade_step(5)] * 4).root,
    lambda A: sqrtm_newton_schulz(A @ A.mT, [pade_step(5)] * 4).inverse,
]


def central_difference(f, A, dA, h=1e-5):
    """Of fourth order."""
    return (8 * (f(A + h * dA) - f(A - h * dA)) - f(A + 2 * h * dA) + f(A - 2 * h * dA)) / (12 * h)


def gradients_to_find():
    """For each function f: f, a matrix, a direction, a stack, weights G, and the slope of sum(f * G)."""
    rng = np.random.default_rng(4)
    A, dA = rng.standard_normal((2, 4, 7))
    stack = rng.standard_normal((3, 4, 7))
    for f in FUNCTIONS:
        slope = central_difference(f, A, dA)
        G = rng.standard_normal(slope.shape)
        yield f, A, dA, stack, G, np.sum(slope * G)


def test_torch():
    torch = pytest.importorskip("torch")
    for f, A, dA, stack, G, slope in gradients_to_find():
        T = torch.tensor(A, requires_grad=True)
        (f(T) * torch.tensor(G)).sum().backward()
        assert np.isclose(np.sum(T.grad.numpy() * dA), slope, rtol=1e-7)
        assert np.allclose(torch.func.vmap(f)(torch.tensor(stack)).numpy(), f(stack), rtol=0, atol=1e-12)
    zero = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    apply_schedule(zero, [pade_step(5)] * 3, normalize="schatten8").sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_torch_half_precision():
    torch = pytest.importorskip("torch")
    A = torch.randn(32, 128, generator=torch.manual_seed(0))
    for dtype in (torch.bfloat16, torch.float16):
        for normalize in NORMS:
            X = apply_schedule(A.to(dtype), [TUNED] * 4 + [pade_step(5)] * 3, normalize=normalize)
            assert X.dtype == dtype
            assert (torch.linalg.svdvals(X.float()) - 1).abs().max() < 0.03
            assert all(r.dtype == dtype for r in polar_residuals(A.to(dtype), X))
    large = torch.randn(600, 1200, generator=torch.manual_seed(1)).to(torch.float16)    # squares sum to more than 65504
    for normalize in NORMS:
        X = apply_schedule(large, [TUNED] * 4 + [pade_step(5)] * 3, normalize=normalize)
        assert (torch.linalg.svdvals(X.float()) - 1).abs().max() < 0.03


def test_jax():
    jax = pytest.importorskip("jax")
    for f, A, dA, stack, G, slope in gradients_to_find():
        gradient = jax.grad(lambda A: jax.numpy.sum(f(A) * G))
        assert np.isclose(np.sum(np.asarray(gradient(jax.numpy.asarray(A))) * dA), slope, rtol=1e-7)
        assert np.allclose(jax.jit(f)(A), f(A), rtol=0, atol=1e-12)
        assert np.allclose(jax.jit(jax.vmap(f))(stack), f(stack), rtol=0, atol=1e-12)
        assert jax.jit(jax.vmap(gradient))(stack).shape == stack.shape
    G = A @ A.T
    whole, eager = jax.jit(lambda G: sqrtm_newton_schulz(G, [pade_step(9)] * 6))(G), sqrtm_newton_schulz(G, [pade_step(9)] * 6)
    assert bool(whole.converged) and all(np.allclose(X, Y, rtol=1e-9, atol=1e-12) for X, Y in zip(whole, eager))
    residuals = jax.jit(polar_residuals)(A, A)
    assert np.allclose(residuals, polar_residuals(A, A))


# --- 16 bits, derivatives, tracing

TUNED_FIVE = [TUNED] * 5
BEST_FIVE = [(8.1572198674, -22.4851269217, 15.8800651705), (4.0442592827, -2.8098429375, .5001829233), (3.8965789970, -2.7760211610, .5067174043),
             (3.3015727157, -2.3854498128, .4683378775), (2.3178476974, -1.6378891409, .3920147005)]
ROUNDING = {(32, 32): (1.8e-2, 2.6e-2), (128, 128): (1.5e-2, 1.8e-2), (512, 512): (1.3e-2, 1.3e-2), (64, 256): (1.8e-2, 2.4e-2), (128, 1024): (1.4e-2, 2.1e-2)}
A23 = np.array([[2.0, 1, 0], [0, 1, 3]])
torch_only, jax_only = needs("torch"), needs("jax")


@torch_only
@pytest.mark.parametrize("shape", ROUNDING)
def test_rounding_in_bfloat16(shape):
    """What the steps lose against themselves in double precision; c_0 I inside of h loses 2 to 6 times as much."""
    import torch
    A = torch.randn(*shape, generator=torch.manual_seed(0)).bfloat16()
    for steps, allowed in zip((TUNED_FIVE, BEST_FIVE), ROUNDING[shape]):
        X, exact = apply_schedule(A, steps).double(), apply_schedule(A.double(), steps)
        assert torch.linalg.norm(X - exact) < allowed * torch.linalg.norm(exact)
        half = apply_schedule(A.half(), steps).double()
        assert torch.linalg.norm(half - exact) < allowed / 5 * torch.linalg.norm(exact)


@jax_only
def test_rounding_in_bfloat16_in_jax():
    import jax.numpy as jnp
    A = jnp.asarray(np.random.default_rng(0).standard_normal((128, 256)), jnp.bfloat16)
    for steps, allowed in zip((TUNED_FIVE, BEST_FIVE), (1.8e-2, 2.6e-2)):
        X, exact = np.asarray(apply_schedule(A, steps), float), apply_schedule(np.asarray(A, float), steps)
        assert np.linalg.norm(X - exact) < allowed * np.linalg.norm(exact)


def with_a_zero():
    stack = np.random.default_rng(7).standard_normal((3, 2, 4))
    stack[1] = 0
    return stack


SMOOTH = [lambda A, normalize=normalize: apply_schedule(A, [TUNED] * 2 + [pade_step(3)], normalize=normalize) for normalize in NORMS]
SMOOTH += [lambda A: apply_schedule(A, [TUNED] * 3 + [pade_step(9)], form="gram"), *(lambda A, p=p: schatten_norm(A, p) for p in (2, 4, 8, 32))]


@torch_only
@pytest.mark.parametrize("f", SMOOTH)
def test_a_zero_matrix_in_a_stack_spoils_no_derivative(f):
    import torch
    A = torch.tensor(with_a_zero(), requires_grad=True)
    G, = torch.autograd.grad((f(A)**3).sum() + f(A).sum(), A, create_graph=True)
    H, = torch.autograd.grad((G**2).sum(), A)
    assert torch.isfinite(G).all() and torch.isfinite(H).all() and not G[1].any() and not H[1].any()
    rest = A.detach()[[0, 2]].requires_grad_()
    assert torch.autograd.gradcheck(f, rest) and torch.autograd.gradgradcheck(f, rest)
    if find_spec("jax") and f in SMOOTH[2::4]:               # it compiles for minutes
        import jax
        loss = lambda A: (f(A)**3).sum() + f(A).sum()
        J = jax.numpy.asarray(with_a_zero())
        np.testing.assert_allclose(jax.jit(jax.grad(loss))(J), G.detach().numpy(), rtol=0, atol=1e-11)
        np.testing.assert_allclose(jax.jit(jax.grad(lambda A: (jax.grad(loss)(A)**2).sum()))(J), H.numpy(), rtol=1e-9, atol=1e-8)


@torch_only
def test_gradients_of_schatten_norms():
    import torch
    A = torch.tensor(A23, requires_grad=True)
    expected = {4: [[.2643304585, .1585982751, .0792991376], [.0528660917, .2907635044, .7929913755]],
                8: [[.0822332510, .0910237020, .1497212294], [.0998141529, .3405590843, .8719560235]], 2: A23 / 15**.5}
    for p, G in expected.items():
        np.testing.assert_allclose(torch.autograd.grad(schatten_norm(A, p), A)[0].numpy(), G, rtol=0, atol=1e-10)


@torch_only
@pytest.mark.parametrize("part", [0, 1])
def test_the_derivative_of_a_root_is_exact(part):
    import torch
    A = torch.tensor([[5.0, 4], [4, 5]], dtype=torch.float64, requires_grad=True)
    G = torch.tensor([[1.0, 2], [0, 3]])
    if part == 0:
        np.testing.assert_allclose(torch.autograd.grad((sqrtm_newton_schulz(A).root * G).sum(), A)[0].numpy(), [[.25, 0], [0, .75]], atol=1e-14)
    B = np.random.default_rng(8).standard_normal((2, 3, 6))
    stack = np.concatenate([B @ B.mT, [4 * np.eye(3)]])                   # equal eigenvalues too
    f = lambda A: sqrtm_newton_schulz((A + A.mT) / 2)[part]
    T = torch.tensor(stack, requires_grad=True)
    assert torch.autograd.gradcheck(f, T, check_forward_ad=True) and torch.autograd.gradgradcheck(f, T)
    each = torch.func.vmap(torch.func.grad(lambda A: f(A).sum()))(T.detach())
    torch.testing.assert_close(each, torch.autograd.grad(f(T).sum(), T)[0], rtol=0, atol=1e-13)
    skew = torch.tensor([[0.0, 1, 1], [-1, 0, 1], [-1, -1, 0]], dtype=torch.float64)
    complex_ = torch.complex(T.detach(), (0.1 * skew).expand_as(T))
    assert torch.autograd.gradcheck(lambda A: sqrtm_newton_schulz((A + A.mH) / 2)[part], complex_.requires_grad_())
    if find_spec("jax"):
        import jax
        from jax.test_util import check_grads
        np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(lambda A: f(A).sum())))(stack[1:]), each[1:].numpy(), atol=1e-13)
        if part == 0:                                                   # the second derivatives of both parts, compiled once
            both = jax.jit(lambda A: sqrtm_newton_schulz((A + A.mT) / 2)[:2])
            check_grads(both, (jax.numpy.asarray(stack[1:]),), order=2, modes=("rev",))


@torch_only
def test_where_a_root_has_no_derivative_it_is_zero():
    import torch
    A = torch.tensor(np.stack([np.diag([1, .25, 0]), np.zeros((3, 3))]), requires_grad=True)
    G, = torch.autograd.grad((sqrtm_newton_schulz(A).root**2).sum(), A, create_graph=True)
    np.testing.assert_allclose(G.detach().numpy(), [np.diag([1.0, 1, 0]), np.zeros((3, 3))], atol=1e-12)
    assert torch.isfinite(torch.autograd.grad((G**2).sum(), A)[0]).all()
    if find_spec("jax"):
        import jax
        np.testing.assert_allclose(jax.jit(jax.grad(lambda A: (sqrtm_newton_schulz(A).root**2).sum()))(A.detach().numpy()), G.detach().numpy(), atol=1e-12)


@torch_only
@pytest.mark.parametrize("f", [*FUNCTIONS[:3], lambda A: schatten_norm(A, 8), lambda A: apply_schedule(A, [pade_step(9), pade_step(7)])])
def test_one_graph_of_torch_without_a_look_and_without_casts(f):
    import torch
    A = torch.tensor(np.random.default_rng(9).standard_normal((4, 7)), dtype=torch.float32)
    torch.compiler.reset()
    compiled = torch.compile(f, fullgraph=True, backend="eager")
    assert torch.equal(compiled(A), f(A))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(apply_schedule(A, TUNED_FIVE), apply_schedule(A, schedule=TUNED_FIVE)) and torch.equal(schatten_norm(A), schatten_norm(A=A))
        assert apply_schedule(A, TUNED_FIVE).dtype == schatten_norm(A).dtype == torch.float32


def test_the_root_says_how_many_steps_it_took():
    """That many steps of the default polynomial make the same root, and one fewer does not."""
    A = np.diag([1.0, 1e-2, 1e-4])
    found = sqrtm_newton_schulz(A)
    same, fewer = (sqrtm_newton_schulz(A, schedule=[pade_step(9)] * k).root for k in (found.steps, found.steps - 1))
    np.testing.assert_allclose(np.diag(same), np.diag(found.root), rtol=1e-13)
    assert not np.allclose(np.diag(fewer), np.diag(found.root), rtol=1e-12, atol=0)


@pytest.mark.parametrize("unit", [1.0, 3.0, 1e-200])
def test_the_smallest_eigenvalue_is_relative_to_the_matrix(unit):
    """A = S X with S = diag(3, -4): the lower end is -4 of norm 5, in any unit."""
    found = polar_residuals(unit * np.diag([3.0, -4.0]), np.eye(2))
    np.testing.assert_allclose(found.smallest, -0.8, rtol=1e-14)

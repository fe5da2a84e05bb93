"""msign on every library, dtype, shape and scale; its certificate; its derivative; the optimizer of the text."""

from importlib.util import find_spec

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings

from lowrank import (SignInfo, msign, msign_jvp, msign_vjp, optimal_msign_schedule, pade_step, polar_residuals)
from tests.properties.chapters_text import python_blocks
from tests.properties.libraries import LIBRARIES
from tests.properties.matrices import FLOATS, HARD, any_matrix, assert_unchanged, double, eps

HALF = optimal_msign_schedule(8, degree=5, lower=1e-3, cushion=0.02, safety=1e-2)
every_library = pytest.mark.parametrize("library", LIBRARIES)


def gaussian(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape)
    return (A + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def with_values(s, shape=None, seed=0):
    rng = np.random.default_rng(seed)
    m, n = shape or (len(s), len(s))
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    return (U * s) @ V.T, U @ V.T


# --- the definition

@pytest.mark.parametrize("name", HARD)
def test_svd_gives_the_partial_isometry_of_every_hard_matrix(name):
    A = HARD[name]
    X, info = assert_unchanged(A, lambda A: msign(A, return_info=True))
    s = np.linalg.svd(double(A), compute_uv=False)
    rank = np.count_nonzero(s > max(A.shape) * eps(A) * s[0])
    size = 20 * max(A.shape) * eps(A)
    found = np.linalg.svd(X, compute_uv=False)
    np.testing.assert_allclose(found, np.arange(len(s)) < rank, rtol=0, atol=size)
    assert info.bound < size and info.hermitian < size and info.converged and info.steps == 0
    H = X.conj().T @ double(A)
    assert np.linalg.eigvalsh((H + H.conj().T) / 2).min() >= -size * s[0]


@settings(max_examples=60, deadline=None)
@given(A=any_matrix())
def test_any_shape_rank_dtype_and_scale(A):
    X = assert_unchanged(A, msign)
    assert X.dtype == A.dtype and X.shape == A.shape and np.isfinite(X).all()
    residual = X @ X.conj().T @ X - X
    assert abs(residual).max() < 300 * eps(A)
    X = assert_unchanged(A, lambda A: msign(A, method="polynomial"))
    assert X.dtype == A.dtype and np.linalg.norm(X, 2) < 1 + 1e-3


def test_the_cut_off_is_the_users():
    A, _ = with_values(np.array([1, 1e-3, 1e-9]))
    for rtol, rank in ((1e-12, 3), (1e-6, 2), (1e-2, 1), (0, 3)):
        assert round(np.linalg.norm(msign(A, rtol=rtol))**2) == rank
    assert np.array_equal(msign(np.zeros((3, 2))), np.zeros((3, 2)))


@pytest.mark.parametrize("method", ["svd", "polynomial", "qdwh"])
def test_scipy_agrees_at_full_rank(method):
    for shape in ((8, 8), (12, 5)):
        A = gaussian(*shape)
        np.testing.assert_allclose(msign(A, method=method), scipy.linalg.polar(A)[0], atol=1e-12)


# --- accuracy

@pytest.mark.parametrize("options, backward", [
    ({"method": "svd"}, 1e-14), ({"method": "qdwh"}, 1e-14), ({"method": "polynomial"}, 1e-14),
    ({"method": "polynomial", "degree": 3}, 1e-14), ({"method": "polynomial", "degree": 9}, 1e-13),
])
@pytest.mark.parametrize("kappa", [1.0, 1e5, 1e10, 1e13])
def test_backward_error_up_to_1e13(options, backward, kappa):
    spectra = [np.geomspace(1, 1 / kappa, 80), np.r_[1, np.full(79, 1 / kappa)], np.r_[np.ones(79), 1 / kappa]]
    for s, shape in zip(spectra, (None, (100, 80), (80, 300))):
        A, exact = with_values(s, shape)
        X, info = msign(A, return_info=True, **options)
        r = polar_residuals(A, X)
        assert r.orthogonality < 1e-13 and r.backward < backward and info.converged
        assert info.bound < 1e-13 and info.hermitian < 2 * backward
        assert np.linalg.norm(X - exact, 2) < 100 * 2.2e-16 * kappa


def test_the_bound_holds_and_says_when_it_does_not():
    A, exact = with_values(np.geomspace(1, 1e-3, 40))
    for steps in range(5, 10):
        X, info = msign(A, steps=steps, return_info=True)
        s = np.linalg.svd(X, compute_uv=False)
        assert abs(s - 1).max() <= info.bound + 1e-14
        assert info.converged == np.isfinite(info.bound) and (info.steps, info.products) == (steps, 3 * steps)
    X, info = msign(A, steps=4, lower=0.5, return_info=True)
    assert not info.converged and info.bound == np.inf
    X, info = msign(A[:, :30] @ A[:30], method="polynomial", return_info=True)      # singular
    assert not info.converged
    assert not msign(np.zeros((3, 4)), method="qdwh", return_info=True)[1].converged


def test_a_stop_by_tolerance_is_kept_and_saves_products():
    A, exact = with_values(np.geomspace(1, 1e-2, 50))
    full = msign(A, method="polynomial", lower=1e-3, return_info=True)[1]
    X, info = msign(A, method="polynomial", lower=1e-3, tol=1e-3, return_info=True)
    assert np.linalg.norm(X - exact, 2) < 1e-3 and info.converged and info.products < full.products
    orthogonal = np.linalg.qr(gaussian(30, 30))[0]
    assert msign(orthogonal, method="polynomial", normalize=False, return_info=True)[1].steps <= 1


def test_the_gram_form_agrees_with_the_plain_one():
    A, _ = with_values(np.geomspace(1, 1e-2, 40), (40, 160))
    steps = optimal_msign_schedule(6, lower=1e-3)
    plain = msign(A, method="polynomial", schedule=steps)
    gram, info = msign(A, method="gram", schedule=steps, return_info=True)
    assert np.linalg.norm(plain - gram, 2) < 1e-12 and info.products == 22
    assert np.array_equal(msign(A, schedule=steps), gram)                           # what "auto" takes here


# --- libraries

@every_library
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_library_and_method_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    several = [{}, {"method": "qdwh"}, {"method": "polynomial"}, {"steps": 12}, {"method": "gram", "steps": 12}]
    for shape in ((4, 6), (2, 5, 3), (0, 3, 2), (3, 0)):
        if library == "jax" and (np.dtype(dtype).itemsize != 8 or shape != (4, 6)):
            continue                                    # it compiles every operation for every shape
        A = gaussian(*shape, dtype=dtype)
        expected = msign(A)
        for options in several[:-1] if library == "jax" else several:
            X, info = msign(convert(A), return_info=True, **options)
            assert type(X) is type(convert(A)) and isinstance(info, SignInfo)
            X = back(X)
            assert X.dtype == dtype and X.shape == shape
            np.testing.assert_allclose(X, expected, rtol=0, atol=3000 * np.finfo(dtype).eps)
            assert tuple(info.bound.shape) == shape[:-2] and bool(np.all(back(info.converged)))
        if 0 not in shape:
            direction = gaussian(*shape, dtype=dtype, seed=1)
            for derivative in (msign_jvp, msign_vjp):
                found = back(derivative(convert(A), convert(direction)))
                np.testing.assert_allclose(found, derivative(A, direction), rtol=0, atol=1e4 * np.finfo(dtype).eps)


@pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
def test_pytorch_differentiates_maps_and_keeps_bfloat16():
    import torch

    A, G = torch.asarray(gaussian(5, 8)), torch.asarray(gaussian(5, 8, seed=1))
    steps = optimal_msign_schedule(20, lower=1e-3, cushion=0.1, safety=1e-6)
    for options in ({"schedule": steps}, {"steps": 20}, {"schedule": steps, "method": "gram"}):
        X = A.clone().requires_grad_()
        msign(X, **options).backward(G)
        torch.testing.assert_close(X.grad, msign_vjp(A, G), rtol=1e-9, atol=1e-9)
        stack = torch.stack([A, 3 * A, A + 1])
        mapped = torch.vmap(lambda Z: msign(Z, **options))(stack)
        torch.testing.assert_close(mapped, msign(stack, **options))
    half = torch.asarray(gaussian(32, 64)).bfloat16()
    for X, bits in ((msign(half), 0.03), (msign(half, steps=6), 0.03), (msign(half, method="svd"), 0.02),
                    (msign(half, schedule=HALF), 0.03)):
        assert X.dtype == torch.bfloat16
        s = torch.linalg.svdvals(X.float())
        assert float((s - 1).abs().max()) < bits
    with pytest.raises(TypeError, match="A has dtype torch.bfloat16; method='qdwh' takes 32 and 64 bits"):
        msign(half, method="qdwh")
    orthogonal = torch.linalg.qr(torch.randn(600, 600, generator=torch.manual_seed(0)))[0]
    X = msign((0.62 * orthogonal).bfloat16(), normalize=False)                      # d < 1 is not the end
    assert float((torch.linalg.svdvals(X.float()) - 1).abs().max()) < 0.03


@pytest.mark.skipif(not find_spec("jax"), reason="JAX is not installed")
def test_jax_compiles_maps_and_differentiates():
    import jax
    import jax.numpy as jnp

    A, G = jnp.asarray(gaussian(5, 8)), jnp.asarray(gaussian(5, 8, seed=1))
    for options in ({"schedule": optimal_msign_schedule(tol=1e-12, lower=0.05, safety=1e-6)}, {"steps": 7, "lower": 0.05}):
        f = lambda Z: msign(Z, **options)
        np.testing.assert_allclose(jax.jit(f)(A), f(A), atol=1e-12)
        stack = jnp.stack([A, 3 * A])
        np.testing.assert_allclose(jax.vmap(f)(stack), f(stack), atol=1e-12)
        np.testing.assert_allclose(jax.jit(jax.grad(lambda Z: jnp.vdot(G, f(Z))))(A), msign_vjp(A, G), atol=1e-9)
        info = jax.jit(lambda Z: msign(Z, return_info=True, **options)[1].bound)(A)
        assert float(info) < 1e-12
    half = jnp.asarray(gaussian(32, 64)).astype(jnp.bfloat16)
    assert msign(half, schedule=HALF).dtype == jnp.bfloat16 and msign(half).dtype == jnp.bfloat16


# --- the derivative

@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (2, 5, 5), (1, 1), (1, 4)])
def test_the_derivative_against_differences_and_as_its_own_adjoint(shape, dtype):
    A, D, G = (gaussian(*shape, dtype=dtype, seed=k) for k in range(3))
    sign = lambda h: msign(A + h * D)
    h = 1e-3 * float(np.linalg.svd(A, compute_uv=False).min())
    differences = (8 * (sign(h) - sign(-h)) - sign(2 * h) + sign(-2 * h)) / (12 * h)
    X = msign_jvp(A, D)
    np.testing.assert_allclose(X, differences, rtol=0, atol=1e-6 * max(1, abs(X).max()))
    pulled = msign_vjp(A, G)
    inner = lambda P, Q: np.vdot(P, Q).real
    assert inner(G, X) == pytest.approx(inner(pulled, D), rel=1e-9, abs=1e-9)
    assert abs(inner(pulled, A)) <= 1e-10 * np.linalg.norm(pulled) * np.linalg.norm(A)


def test_equal_singular_values_do_no_harm():
    for A in (np.eye(4), np.linalg.qr(gaussian(6, 4))[0], 3 * np.eye(3) + 0j):
        X = msign_jvp(A, gaussian(*A.shape, dtype=A.dtype))
        assert np.isfinite(X).all() and np.linalg.norm(X) > 0
    np.testing.assert_allclose(msign_jvp(np.eye(3), np.ones((3, 3))), 0, atol=1e-15)


def test_scales_cancel_and_low_rank_is_refused():
    A, D = gaussian(4, 6), gaussian(4, 6, seed=1)
    X = msign_jvp(A, D)
    for scale in (1e-150, 1e150):
        np.testing.assert_allclose(msign_jvp(scale * A, scale * D), X, rtol=1e-10)
        np.testing.assert_allclose(msign_jvp(A, scale * D) / scale, X, rtol=1e-10)
    np.testing.assert_allclose(msign_jvp(1e-305 * A, 1e-305 * D), X, rtol=1e-10)
    D[0] = 0
    assert not np.isnan(msign_jvp(1e-200 * A, 1e200 * D)).any() and not msign_jvp(1e200 * A, 1e-200 * D).any()
    B, _ = with_values(np.array([1, 1e-8]))
    msign_jvp(B, B)
    with pytest.raises(ValueError, match="singular value of at most rtol"):
        msign_vjp(B, B, rtol=1e-6)
    with pytest.raises(ValueError, match="singular value of at most rtol"):
        msign_jvp(np.zeros((2, 2)), np.eye(2))
    with pytest.raises(ValueError, match=r"dA has shape \(2, 2\)"):
        msign_jvp(A, np.eye(2))


# --- bad input

@pytest.mark.parametrize("A, kind, message", [
    (np.array([[np.nan, 1.0]]), ValueError, "A contains 1 NaN"), (np.ones(3), ValueError, r"A has shape \(3,\)"),
    ([["a"]], TypeError, "A has dtype"),
])
@pytest.mark.parametrize("method", ["auto", "svd", "polynomial", "qdwh"])
def test_bad_matrices_are_named(A, kind, message, method):
    with pytest.raises(kind, match=message):
        msign(A, method=method)


@pytest.mark.parametrize("method", ["auto", "svd", "polynomial", "qdwh"])
@pytest.mark.parametrize("options, kind, message", [
    ({"lower": 2.0}, ValueError, "lower is 2.0"), ({"lower": -1}, ValueError, "lower is -1"), ({"lower": np.nan}, ValueError, "lower is nan"),
    ({"lower": "a"}, TypeError, "lower is 'a'"), ({"degree": 4}, ValueError, "degree is 4"), ({"degree": 2.5}, TypeError, "degree is 2.5"),
])
def test_bad_hints_are_refused_by_every_method(method, options, kind, message):
    with pytest.raises(kind, match=message):
        msign(np.eye(2), method=method, **options)


def test_a_tolerance_of_zero_asks_for_all_digits():
    X, info = msign(gaussian(6, 9), method="polynomial", tol=0, return_info=True)
    assert not info.converged and info.bound < 1e-14


def test_divergence_is_an_error_and_integers_are_numbers():
    with pytest.raises(ValueError, match="diverge"):
        msign(100 * np.eye(3), method="polynomial", normalize=False)
    with pytest.raises(ValueError, match="diverge"):
        msign(np.diag([100.0, 1.0]), schedule=[pade_step(5)] * 20, normalize=False)
    for method in ("svd", "polynomial", "qdwh"):
        assert np.allclose(msign([[2, 0], [0, 3]], method=method), np.eye(2))


# --- the optimizer in the text

@pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
def test_the_optimizer_of_the_chapter_learns(request):
    import torch

    blocks = python_blocks(request, "book/matrix_sign/polar_factor.ipynb")
    assert len(blocks) == 1
    names = {}
    exec(blocks[0], names)
    torch.manual_seed(0)
    X, target = torch.randn(256, 12), torch.randn(12, 5)
    W = torch.nn.Parameter(torch.zeros(12, 5))
    optimizer = names["Orthogonalized"]([W], lr=0.05)
    losses = []
    for _ in range(150):
        loss = ((X @ W - X @ target)**2).mean()
        optimizer.zero_grad()
        loss.backward()
        before = W.grad.clone()
        optimizer.step()
        assert torch.equal(W.grad, before)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]

"""Distillation by an identity: values against Gaussians, frozen gradients in PyTorch and JAX, dtypes, units, axes, refusals."""

import numpy as np
import pytest

from lowrank.gaussians import gaussian_fisher
from lowrank.identity_distillation import IdentityLosses, identity_distillation_losses
from tests.properties.libraries import needs

torch_only, jax_only = needs("torch"), needs("jax")
ALPHA, BETA = 0.8, 0.6


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def by_hand(eps, teacher, student):
    D = teacher - student
    return np.sum(D * D) / (D.size // D.shape[-1]), np.sum(D * (teacher - eps)) / (D.size // D.shape[-1])


def frozen_slope(mu, sigma, mu0, sigma0, lam):
    """The gradient of the chapter in (mu, sigma), for numbers."""
    T, T0 = (ALPHA**2 * v**2 + BETA**2 for v in (sigma, sigma0))
    one = ALPHA**2 * BETA**2 * (mu - mu0) / (T * T0**2) * (2 * (1 - lam) * T + (2 * lam - 1) * T0)
    return one, 2 * ALPHA**4 * BETA**2 * sigma * (sigma**2 - sigma0**2) / (T * T0)**2 * ((1 - lam) * T + lam * T0)


def matched(count):
    """z and eps whose first and second moments are exactly those of independent standard normal numbers."""
    Z = np.linalg.qr(np.column_stack([np.ones(count), drawn(0, count, 2)]))[0][:, 1:] * count**0.5
    return Z[:, :1], Z[:, 1:]


# --- values

def test_the_divergence_of_two_gaussians():
    """All losses are quadratic in (z, eps), so that matched moments give expectations to round-off."""
    z, eps = matched(40)
    xt = ALPHA * (0.5 + 1.5 * z) + BETA * eps
    found = identity_distillation_losses(xt, eps, lambda x: BETA * x, lambda x: BETA * (x - 0.4) / 1.8)
    assert isinstance(found, IdentityLosses) and found.L1 == found[0] and found.L2 == found[1]
    expected = BETA**2 * gaussian_fisher([0.4], [[1.8]], [0.0], [[1.0]])
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-12)
    assert expected == pytest.approx(0.1856)
    lagging = identity_distillation_losses(xt, eps, lambda x: BETA * x, lambda x: 0.8 * BETA * (x - 0.4) / 1.8)
    np.testing.assert_allclose(lagging, [0.2576, 0.2176], rtol=1e-3)


@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64))
def test_dtypes_and_that_nothing_is_written(dtype):
    arrays = [drawn(s, 20, 3, dtype=dtype) for s in range(4)]
    before = [v.copy() for v in arrays]
    found = identity_distillation_losses(*arrays)
    assert all(L.dtype == (np.float64 if dtype == np.float64 else np.float32) and L.shape == () for L in found)
    np.testing.assert_allclose(found, by_hand(*(v.astype(float) for v in arrays[1:])), rtol=1e-14 if dtype == np.float64 else 1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before))


def test_lists_integers_and_mixed_dtypes():
    found = identity_distillation_losses([[0, 1]], [[1, 0]], [[2, 0]], lambda x: x + 1)
    assert [float(L) for L in found] == [5, 1]
    mixed = identity_distillation_losses(drawn(0, 4, 2, dtype=np.float32), *(drawn(s, 4, 2) for s in (1, 2, 3)))
    assert mixed.L1.dtype == np.float64


@pytest.mark.parametrize("scale", (1e-150, 1e-30, 1e30, 1e150))
def test_units(scale):
    xt, eps, f, g = (drawn(s, 30, 2) for s in range(4))
    with np.errstate(all="raise"):
        found = identity_distillation_losses(scale * xt, scale * eps, scale * f, scale * g)
    np.testing.assert_allclose(np.array(found) / scale / scale, by_hand(eps, f, g), rtol=1e-12)


def test_axes():
    arrays = [drawn(s, 2, 5, 3, 4) for s in range(4)]
    flat = [v.reshape(10, 12) for v in arrays]
    np.testing.assert_allclose(identity_distillation_losses(*arrays, axis=(-1, 2)), by_hand(*flat[1:]), rtol=1e-12)
    moved = [v.transpose(2, 3, 0, 1) for v in arrays]
    np.testing.assert_allclose(identity_distillation_losses(*moved, axis=(0, 1)), by_hand(*flat[1:]), rtol=1e-12)
    whole = identity_distillation_losses(*flat, axis=(0, 1))
    np.testing.assert_allclose(whole, 10 * np.array(by_hand(*flat[1:])), rtol=1e-12)
    np.testing.assert_allclose(identity_distillation_losses(*(v[0] for v in flat)), by_hand(*(v[:1] for v in flat[1:])), rtol=1e-12)


def test_functions_are_called_once_with_the_samples():
    seen, xt = [], drawn(0, 6, 2)
    model = lambda x: seen.append(x) or 2 * x
    identity_distillation_losses(xt, xt, model, model)
    assert len(seen) == 2 and all(np.array_equal(x, xt) for x in seen)


# --- gradients with a frozen student

@torch_only
@pytest.mark.parametrize("lam", (0, 0.5, 1, 1.5))
def test_frozen_gradients_in_torch(lam):
    import torch
    z, eps = map(torch.from_numpy, matched(40))
    place = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
    mu, sigma = place
    held_mu, held = mu.detach(), ALPHA**2 * sigma.detach()**2 + BETA**2
    xt = ALPHA * (mu + sigma * z) + BETA * eps
    L1, L2 = identity_distillation_losses(xt, eps, lambda x: BETA * x, lambda x: BETA * (x - ALPHA * held_mu) / held)
    (L2 - lam * L1).backward()
    np.testing.assert_allclose(place.grad, frozen_slope(0.5, 1.5, 0, 1, lam), rtol=1e-12)
    half = identity_distillation_losses(*(v.detach().to(torch.bfloat16) for v in (xt, eps, xt, eps)))
    assert half.L1.dtype == torch.float32


@jax_only
def test_frozen_gradients_in_jax_under_jit():
    import jax
    z, eps = (v.astype(np.float32) for v in matched(40))
    z, eps = jax.numpy.asarray(z), jax.numpy.asarray(eps)

    def loss(place, lam):
        held_mu, held_sigma = jax.lax.stop_gradient(place)
        xt = ALPHA * (place[0] + place[1] * z) + BETA * eps
        student = lambda x: BETA * (x - ALPHA * held_mu) / (ALPHA**2 * held_sigma**2 + BETA**2)
        L1, L2 = identity_distillation_losses(xt, eps, lambda x: BETA * x, student)
        return L2 - lam * L1

    slope = jax.jit(jax.grad(loss))
    for lam in (0.0, 0.5, 1.5):
        np.testing.assert_allclose(slope(jax.numpy.array([0.5, 1.5]), lam), frozen_slope(0.5, 1.5, 0, 1, lam), rtol=2e-5)


# --- refusals

x = drawn(0, 4, 3)


@pytest.mark.parametrize("call, error, message", [
    (lambda: identity_distillation_losses(x * 1j, x, x, x), TypeError, "xt has dtype complex128; allowed are real numbers"),
    (lambda: identity_distillation_losses(x, x, x * 1j, x), TypeError, "teacher has dtype complex128; allowed are real numbers"),
    (lambda: identity_distillation_losses(1.0, x, x, x), ValueError, r"xt has shape \(\); allowed is \(..., d\)"),
    (lambda: identity_distillation_losses(x[:0], x[:0], x[:0], x[:0]), ValueError, r"xt has shape \(0, 3\); allowed"),
    (lambda: identity_distillation_losses(x, x[:2], x, x), ValueError, r"eps has shape \(2, 3\); allowed is the shape of xt, \(4, 3\)"),
    (lambda: identity_distillation_losses(x, x, lambda x: x[:, :1], x), ValueError, r"teacher has shape \(4, 1\); allowed is the shape of xt"),
    (lambda: identity_distillation_losses(x, x, x, x[0]), ValueError, r"student has shape \(3,\); allowed is the shape of xt"),
    (lambda: identity_distillation_losses(x, x, x, x * np.nan), ValueError, "student contains 12 NaN and 0 Inf; every entry must be finite"),
    (lambda: identity_distillation_losses(x, x, x, x, axis=2), ValueError, "axis is 2; allowed are different integers from -2 to 1"),
    (lambda: identity_distillation_losses(x, x, x, x, axis=(1, -1)), ValueError, r"axis is \(1, -1\); allowed are different integers"),
    (lambda: identity_distillation_losses(x, x, x, x, axis=()), ValueError, r"axis is \(\); allowed are"),
    (lambda: identity_distillation_losses(x, x, x, x, axis=1.5), TypeError, "axis is 1.5; allowed is an integer or a tuple"),
])
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


@torch_only
def test_arrays_of_two_libraries_are_refused():
    import torch
    with pytest.raises(TypeError, match="teacher is a Tensor and xt is a ndarray; both must belong to one array library"):
        identity_distillation_losses(x, x, torch.ones(4, 3), x)

"""Batch size: reference values, agreement with draws and with SciPy's normal law, dtypes, units, libraries, derivatives, refusals, cost."""

import math

import mpmath
import numpy as np
import pytest
from scipy.special import ndtr, owens_t

from lowrank.batch_size import (
    noise_scale,
    optimal_lr_sgd,
    optimal_lr_sign,
    sign_update_mean,
    sign_update_second,
    simple_noise_scale,
)
from tests.properties.libraries import LIBRARIES, assert_jax_agrees_with_torch, needs

torch_only, jax_only = needs("torch"), needs("jax")
g, sigma = np.array([1, -0.5, 0.25]), np.array([1, 2, 0.5])
H = np.array([[2, 0.3, -0.2], [0.3, 1, 0.1], [-0.2, 0.1, 0.5]])
DIAGONAL, B = np.diag(sigma**2), np.array([1.0, 8, 64])
SIGMA = np.array([[1, 1.9, 0.2], [1.9, 4, 0.5], [0.2, 0.5, 0.25]])       # correlations 0.95, 0.4, 0.5
CALLS = {
    "noise_scale": (noise_scale, (g, SIGMA, H)),
    "optimal_lr_sgd": (optimal_lr_sgd, (g, SIGMA, H, 8.0)),
    "simple_noise_scale": (lambda G: simple_noise_scale(G)[0], (np.vstack([g, sigma, g + sigma]),)),
    "sign_update_mean": (sign_update_mean, (g, sigma, B)),
    "sign_update_second": (sign_update_second, (g, SIGMA, 8.0)),
    "optimal_lr_sign": (optimal_lr_sign, (g, sigma, H, 8.0)),
    "optimal_lr_sign, correlated": (optimal_lr_sign, (g, SIGMA, H, 8.0)),
}
every_call = pytest.mark.parametrize("name", CALLS)


def test_reference_values():
    assert noise_scale(g, DIAGONAL, H) == pytest.approx(3.2996632997, rel=1e-10)
    np.testing.assert_allclose(optimal_lr_sgd(g, DIAGONAL, H, B), [0.164447924824, 0.500595947557, 0.672403442065], rtol=1e-11)
    np.testing.assert_allclose(optimal_lr_sign(g, sigma, H, B), [0.265840325526, 0.530109658559, 0.739259633008], rtol=1e-11)
    np.testing.assert_allclose(sign_update_mean(g, sigma, 8), [0.99532227, -0.52049988, 0.84270079], atol=1e-8)
    assert sign_update_second([0.5, 0.5], [[1, 0.9], [0.9, 1]], 1)[0, 1] == pytest.approx(0.7471534, abs=1e-7)
    assert type(float(noise_scale(g.tolist(), DIAGONAL.tolist(), H.tolist()))) is float


def agreement(a, b, r):
    """By Owen's function."""
    s = np.sqrt((1 - r) * (1 + r))
    P = (ndtr(a) + ndtr(b)) / 2 - owens_t(a, (b - r * a) / (a * s)) - owens_t(b, (a - r * b) / (b * s)) - np.where(a * b > 0, 0, 0.5)
    return 4 * P - 2 * ndtr(a) - 2 * ndtr(b) + 1


@pytest.mark.parametrize("low, high", ((0, 0.92), (0.92, 0.93), (0.93, 0.999), (0.999, 1 - 1e-9)))
def test_second_moments_for_all_correlations(low, high):
    rng, n = np.random.default_rng(0), 4000
    r = rng.uniform(low, high, n) * rng.choice([-1, 1], n)
    a = rng.choice([-1, 1], n) * 10 ** rng.uniform(-4, 1, n)
    b = np.where(rng.random(n) < 0.4, a * (1 + 10 ** rng.uniform(-4, 0, n)), rng.choice([-1, 1], n) * 10 ** rng.uniform(-4, 1, n))
    Sigma = np.stack([np.ones(n), r, r, np.ones(n)], axis=-1).reshape(n, 2, 2)
    found = sign_update_second(np.stack([a, b], axis=-1), Sigma, 1)
    np.testing.assert_allclose(found[:, 0, 1], agreement(a, b, r), rtol=0, atol=2e-12)
    np.testing.assert_array_equal(found[:, [0, 1], [0, 1]], 1)
    np.testing.assert_array_equal(found, found.mT)


def test_the_ends():
    """Correlations of 1 and -1, no variance, no gradient, certain signs."""
    a, b = 0.4, 0.3
    gap = abs(math.erf(a / 2**0.5) - math.erf(b / 2**0.5))
    assert sign_update_second([a, b], np.ones((2, 2)), 1)[0, 1] == pytest.approx(1 - gap, abs=1e-14)
    assert sign_update_second([a, -b], [[1, -1], [-1, 1]], 1)[0, 1] == pytest.approx(gap - 1, abs=1e-14)
    assert sign_update_second([a, a], np.ones((2, 2)), 7)[0, 1] == 1
    assert sign_update_second([0, 0], [[4, 1], [1, 1]], 3)[0, 1] == pytest.approx(2 / math.pi * math.asin(0.5), abs=1e-15)
    np.testing.assert_array_equal(sign_update_second([1, -2, 0], np.zeros((3, 3)), 2), [[1, -1, 0], [-1, 1, 0], [0, 0, 0]])
    mixed = sign_update_second([1, 0.3, 0], [[0, 0, 0], [0, 1, 0.5], [0, 0.5, 1]], 4)
    assert mixed[0, 1] == pytest.approx(math.erf(0.6 / 2**0.5)) and mixed[0, 2] == 0 and mixed[2, 2] == 1
    np.testing.assert_array_equal(sign_update_mean([1e300, -1e-300, 0, 0], [1e-300, 0, 0, 1], 1), [1, -1, 0, 0])
    assert optimal_lr_sign([1, 0], [0, 0], np.eye(2), 1) == 1               # of (1, 0): the second entry stays
    assert optimal_lr_sgd([0, 0], np.eye(2), np.eye(2), 1) == 0
    assert optimal_lr_sgd(g, 0 * H, H, 3) == pytest.approx(g @ g / (g @ H @ g))


def test_signs_follow_draws():
    rng, trials = np.random.default_rng(1), 40_000
    signs = np.sign(rng.multivariate_normal(g, SIGMA / 4, size=trials))
    mean, second = signs.mean(axis=0), signs.T @ signs / trials
    assert np.all(abs(mean - sign_update_mean(g, sigma, 4)) <= 4 * np.sqrt((1 - mean**2) / trials))
    assert np.all(abs(second - sign_update_second(g, SIGMA, 4)) <= 4 * np.sqrt((1 - second**2) / trials))


def test_mean_to_all_digits():
    for a in (1e-12, 1e-3, 0.7, 5, 8.2):
        with mpmath.workdps(30):
            exact = float(mpmath.erf(mpmath.mpf(a) / mpmath.sqrt(2)))
        assert sign_update_mean(a, 1, 1) == pytest.approx(exact, rel=4e-16)
        assert sign_update_mean(a / 3, 1, 9) == pytest.approx(exact, rel=4e-16)


def test_shapes_broadcast():
    stack = np.stack([g, 2 * g])
    M = np.stack([SIGMA, SIGMA / 2])
    expected = [[optimal_lr_sgd(x, S, H, b) for x, S in zip(stack, M)] for b in B]
    np.testing.assert_allclose(optimal_lr_sgd(stack, M, H, B[:, None]), expected, rtol=1e-14)
    expected = [[optimal_lr_sign(x, S, H, b) for x, S in zip(stack, M)] for b in B]
    np.testing.assert_allclose(optimal_lr_sign(stack, M, H, B[:, None]), expected, rtol=1e-14)
    expected = [[optimal_lr_sign(x, s, H, b) for x, s in zip(stack, [sigma, 3 * sigma])] for b in B]
    np.testing.assert_allclose(optimal_lr_sign(stack, np.stack([sigma, 3 * sigma]), H, B[:, None]), expected, rtol=1e-14)
    assert sign_update_second(stack, SIGMA, 4).shape == (2, 3, 3) and sign_update_second(g, SIGMA, B).shape == (3, 3, 3)
    assert sign_update_mean(g, sigma, B[:, None]).shape == (3, 3) and noise_scale(stack, M, H).shape == (2,)
    assert [x.shape for x in simple_noise_scale(np.ones((4, 5, 3)))] == [(4,)] * 3
    assert sign_update_second(np.ones((0, 2)), np.eye(2), 1).shape == (0, 2, 2)


def test_noise_of_samples():
    rng = np.random.default_rng(0)
    G = rng.standard_normal((6, 4))
    found = simple_noise_scale(G)
    assert found.trace == pytest.approx(np.trace(np.cov(G.T))) and found.g2 == pytest.approx(np.sum(G.mean(0)**2) - found.trace / 6)
    assert found.B_simple == (found.trace / found.g2 if found.g2 > 0 else math.inf)
    assert simple_noise_scale([[1.0, 0], [-1, 0]]) == (math.inf, -1, 2)
    assert simple_noise_scale(np.ones((3, 2))) == (0, 2, 0) and simple_noise_scale(np.zeros((3, 2))) == (math.inf, 0, 0)


@pytest.mark.parametrize("unit", (1e-150, 1e150))
def test_units(unit):
    with np.errstate(all="raise"):
        for which, expected in ((noise_scale, 3.2996632997), (lambda *a: optimal_lr_sgd(*a, 8), 0.500595947557)):
            assert which(unit * g, (DIAGONAL * unit) * unit, H) == pytest.approx(expected, rel=1e-9)
            assert which(g, DIAGONAL, unit * H) * (unit if expected < 1 else 1) == pytest.approx(expected, rel=1e-9)
        for s in (sigma, DIAGONAL):
            s = s * unit if s.ndim == 1 else (s * unit) * unit
            assert optimal_lr_sign(unit * g, s, H, 8) / unit == pytest.approx(0.530109658559, rel=1e-9)
            assert optimal_lr_sign(unit * g, s, unit * H, 8) == pytest.approx(0.530109658559, rel=1e-9)
        np.testing.assert_allclose(sign_update_mean(unit * g, unit * sigma, 8), sign_update_mean(g, sigma, 8), rtol=1e-12)
        assert simple_noise_scale(unit * np.vstack([g, sigma, g + sigma])).B_simple == pytest.approx(CALLS["simple_noise_scale"][0](
            np.vstack([g, sigma, g + sigma])), rel=1e-12)


def of_dtype(args, dtype):
    return [np.asarray(x, dtype) if np.ndim(x) else x for x in args]


@every_call
@pytest.mark.parametrize("library", ("numpy", "strict", "torch"))           # JAX is below, compiled
def test_libraries_and_dtypes(library, name):
    convert, back = LIBRARIES[library]
    function, args = CALLS[name]
    expected = function(*args)
    for dtype, rtol in ((np.float64, 1e-13), (np.float32, 2e-5)):
        given = of_dtype(args, dtype)
        before = [np.copy(x) for x in given]
        found = function(*(convert(x) if np.ndim(x) else x for x in given))
        assert type(found) is type(convert(np.ones(3))) or library == "numpy"
        assert back(found).dtype == dtype
        np.testing.assert_allclose(back(found), expected, rtol=rtol, atol=rtol / 10)
        assert all(np.array_equal(x, y) for x, y in zip(given, before))


@every_call
def test_half_precision_lists_and_integers(name):
    function, args = CALLS[name]
    half = of_dtype(args, np.float16)
    found = function(*half)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, function(*(np.asarray(x, float) for x in half)), rtol=2e-3, atol=1e-4)
    assert function(*(np.asarray(x).tolist() for x in args)).dtype == float
    if name.startswith("optimal"):
        whole = function(*of_dtype(args[:3], np.float32), np.array([8, 8]))
        assert whole.dtype == np.float32 and whole.shape == (2,)


def test_a_step_of_exact_signs():
    """Without noise a sign is certain where g is not 0, and counts in full; without g and noise it is 0."""
    signs = np.sign(g)
    assert optimal_lr_sign(g, 0 * sigma, H, 8) == pytest.approx(g @ signs / (signs @ H @ signs), rel=1e-15)
    some = np.array([0, 2, 0.5])
    assert optimal_lr_sign(g, some, H, 8) == pytest.approx(optimal_lr_sign(g, some + [1e-12, 0, 0], H, 8), rel=1e-12)
    flat = np.array([1, 0, 0.25])
    signs = np.sign(flat)
    assert optimal_lr_sign(flat, 0 * sigma, H, 8) == pytest.approx(flat @ signs / (signs @ H @ signs), rel=1e-15)


@torch_only
@pytest.mark.parametrize("r", (1, -1))
def test_derivatives_at_full_correlation(r):
    import torch
    Sigma = torch.tensor([[1.0, 2 * r], [2 * r, 4.0]], dtype=torch.float64)
    agreement = lambda g: sign_update_second(g, Sigma, 3.0)[0, 1]
    at = torch.tensor([0.4, 0.9], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(agreement(at), at)
    steps = 1e-6 * torch.eye(2, dtype=torch.float64)
    expected = [(agreement(at.detach() + d) - agreement(at.detach() - d)) / 2e-6 for d in steps]
    np.testing.assert_allclose(found, torch.stack(expected), rtol=1e-8)


@torch_only
@every_call
def test_derivatives_in_torch(name):
    import torch
    function, args = CALLS[name]
    tensors = [torch.tensor(np.asarray(x, float), requires_grad=True) for x in args]
    directions = [np.random.default_rng(i).standard_normal(x.shape) / 8 for i, x in enumerate(tensors)]
    directions = [x + x.T if x.ndim == 2 and name != "simple_noise_scale" else x for x in directions]
    change = lambda t: function(*(x + t * torch.tensor(d) for x, d in zip(tensors, directions))).sum()
    t = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(change, (t,)) and torch.autograd.gradgradcheck(change, (t,))
    bfloat = function(*(x.detach().to(torch.bfloat16) for x in tensors))
    assert bfloat.dtype == torch.bfloat16


@torch_only
def test_derivatives_at_the_ends():
    """sigma 0, g 0, correlation 1: finite."""
    import torch
    G, S = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in ([1.0, 0, 0.5, 0.5], [0.0, 0, 0, 1]))
    sign_update_mean(G, S, 2.0).sum().backward()
    assert G.grad[:3].tolist() == [0, 0, 0] and torch.isfinite(G.grad).all() and torch.isfinite(S.grad).all()
    G = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    Sigma = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]], dtype=torch.float64, requires_grad=True)
    sign_update_second(G, Sigma, 2.0).sum().backward()
    assert torch.isfinite(G.grad).all() and torch.isfinite(Sigma.grad).all()
    Sigma = torch.tensor([[1e-300, 0], [0, 1e300]], dtype=torch.float64, requires_grad=True)
    sign_update_second(torch.ones(2, dtype=torch.float64), Sigma, 2.0).sum().backward()
    assert torch.isfinite(Sigma.grad).all()
    with pytest.raises(TypeError, match="H is a ndarray and g is a Tensor; both must belong to one array library"):
        noise_scale(torch.ones(3), torch.eye(3), H)


@jax_only
@pytest.mark.parametrize("name", [name for name in CALLS if name != "sign_update_second"])      # which is in the last one
def test_jax_compiles_value_and_gradient(name):
    assert_jax_agrees_with_torch(*CALLS[name], rtol=1e-13)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: optimal_lr_sgd(g, DIAGONAL, H, 0), ValueError, "B has the entry 0; allowed are numbers > 0"),
    (lambda: sign_update_mean(g, sigma, [1, -2, 1]), ValueError, "B has the entry -2; allowed are numbers > 0"),
    (lambda: sign_update_mean(g, -sigma, 1), ValueError, "sigma has the entry -2; allowed are numbers >= 0"),
    (lambda: sign_update_mean(g, sigma[:2], 1), ValueError, r"the shapes \(3,\) of g, \(2,\) of sigma, \(\) of B do not broadcast"),
    (lambda: optimal_lr_sgd(g, DIAGONAL, -H, 1), ValueError, r"g\^T H g \+ tr\(Sigma H\) / B is not positive; .* no finite best step"),
    (lambda: optimal_lr_sign(g, sigma, -H, 1), ValueError, r"tr\(H E u u\^T\) is not positive"),
    (lambda: noise_scale(0 * g, DIAGONAL, H), ValueError, r"g\^T H g is not positive"),
    (lambda: noise_scale(g, DIAGONAL, H[:2, :2]), ValueError, r"H has shape \(2, 2\); allowed is \(..., 3, 3\), as g has shape \(3,\)"),
    (lambda: noise_scale(g, sigma, H), ValueError, r"Sigma has shape \(3,\)"),
    (lambda: noise_scale(2.0, DIAGONAL, H), ValueError, r"g has shape \(\); allowed is \(..., d\) with d >= 1"),
    (lambda: noise_scale(g, DIAGONAL, H + np.tri(3)), ValueError, "H is not Hermitian"),
    (lambda: noise_scale(g, SIGMA + np.diag([0, -3.0, 0]), H), ValueError, "Sigma is no covariance"),
    (lambda: noise_scale(g, -DIAGONAL, H), ValueError, "the diagonal of Sigma has the entry -1"),
    (lambda: optimal_lr_sgd(np.ones((2, 3)), DIAGONAL, H, [1, 2, 3]), ValueError, r"the leading axes \(2,\) of g, \(3,\) of B, .* do not broadcast"),
    (lambda: optimal_lr_sign(g, sigma[:2], H, 1), ValueError, r"sigma has shape \(2,\); allowed is that of g, \(3,\), or a covariance"),
    (lambda: optimal_lr_sign(g, 1.0, H, 1), ValueError, r"sigma has shape \(\)"),
    (lambda: optimal_lr_sign(1.0, 1.0, H, 1), ValueError, r"g has shape \(\)"),
    (lambda: optimal_lr_sign(g, sigma, 1.0, 1), ValueError, r"H has shape \(\)"),
    (lambda: simple_noise_scale(np.ones((1, 3))), ValueError, r"G has shape \(1, 3\); allowed is \(..., n, d\) with n >= 2, d >= 1"),
    (lambda: simple_noise_scale(np.full((2, 3), math.nan)), ValueError, "G contains 6 NaN"),
    (lambda: optimal_lr_sgd(g, DIAGONAL, H, math.inf), ValueError, "B contains 0 NaN and 1 Inf"),
    (lambda: sign_update_mean(1j * g, sigma, 1), TypeError, "g has dtype complex128; allowed are real numbers"),
    (lambda: sign_update_mean(g, sigma, "many"), TypeError, "B has dtype"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_cost():
    """Twenty exponentials for each pair, one after the other: no array of 20 d^2 numbers."""
    import tracemalloc
    d = 200
    S = np.full((d, d), 0.5) + np.eye(d) / 2
    sign_update_second(np.ones(d), S, 3)
    tracemalloc.start()
    sign_update_second(np.ones(d), S, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * d * d * 18

"""Epsilon: moments of softsign against mpmath and Voigt, both ends, dtypes, units, libraries, derivatives, refusals."""

import math

import mpmath
import numpy as np
import pytest
from scipy.special import voigt_profile

from lowrank.batch_size import optimal_lr_sgd, optimal_lr_sign, sign_update_mean
from lowrank.epsilon import optimal_lr_softsign, softsign_mean, softsign_second
from tests.properties.libraries import LIBRARIES, assert_jax_agrees_with_torch, needs

torch_only, jax_only = needs("torch"), needs("jax")
g, sigma = np.array([1, -0.5, 0.25]), np.array([1, 2, 0.5])
H = np.array([[2, 0.3, -0.2], [0.3, 1, 0.1], [-0.2, 0.1, 0.5]])
EPS = np.array([0.2, 1.1, 3.0])                                             # in the corner, near its edge, outside
CALLS = {
    "softsign_mean": (softsign_mean, (g, sigma, 4.0, EPS)),
    "softsign_second": (softsign_second, (g, sigma, 4.0, EPS)),
    "optimal_lr_softsign": (optimal_lr_softsign, (g, sigma, H, 4.0, 0.3)),
}
every_call = pytest.mark.parametrize("name", CALLS)


def test_reference_values():
    args = [0.3, 0.05, 0.5], [1, 1, 1], [8, 64, 1], [0.3, 0.3, 5]
    np.testing.assert_allclose(softsign_mean(*args), [0.47204615405151, 0.13741232418337, 0.094352723076111], rtol=1e-11)
    np.testing.assert_allclose(softsign_second(*args), [0.49862253976416, 0.13560645712336, 0.044030324858939], rtol=1e-13)
    np.testing.assert_allclose(optimal_lr_softsign(g, sigma, H, [1, 8, 64], 0.3), [0.325005430877, 0.616670851073, 0.787487297638], rtol=1e-11)
    assert optimal_lr_softsign(g, sigma, H, 8, 100) == pytest.approx(50.0649, abs=5e-5)
    assert 100 * optimal_lr_sgd(g, np.diag(sigma**2), H, 8) == pytest.approx(50.0596, abs=5e-5)


@mpmath.workdps(25)
def by_mpmath(a, e):
    """The definition in the variable s with tan(phi) = sinh(s), where nothing is steep."""
    drop = lambda s: mpmath.exp(-(e**2 * mpmath.sinh(s)**2 + a**2 * mpmath.tanh(s)**2) / 2)
    m = 1 / mpmath.sqrt(1 + a**2 + e**2)
    ends = [0, m, 3 * m, 10 * m, 10 * m + 3, 10 * m + 20, 60]
    mean = a * mpmath.sqrt(2 / mpmath.pi) * mpmath.quad(lambda s: mpmath.sech(s)**2 * drop(s), ends)
    return float(mean), float(mpmath.quad(lambda s: mpmath.tanh(s) * mpmath.sech(s) * (1 + a**2 * mpmath.sech(s)**2) * drop(s), ends))


def test_to_many_digits():
    cases = [(1e-4, 1e-3), (0.3, 0.02), (1.3, 0.05), (5, 0.9), (7.99, 1.49), (8.01, 0.3), (1.0, 1.51), (40, 1e-3), (2, 300), (1e4, 1e4)]
    a, e = np.array(cases).T
    mean, second = np.array([by_mpmath(*case) for case in cases]).T
    np.testing.assert_allclose(softsign_mean(a, 1, 1, e), mean, rtol=2e-11)
    np.testing.assert_allclose(softsign_second(a, 1, 1, e), second, rtol=5e-14)


def test_the_second_moment_is_that_of_voigt():
    rng, n = np.random.default_rng(0), 4000
    a, e = rng.choice([-1, 1], n) * 10 ** rng.uniform(-6, 3, n), 10 ** rng.uniform(-8, 2, n)
    np.testing.assert_allclose(softsign_second(a, 1, 1, e), 1 - np.pi * e * voigt_profile(a, 1, e), rtol=0, atol=2e-13)
    np.testing.assert_array_equal(softsign_mean(-a, 1, 1, e), -softsign_mean(a, 1, 1, e))
    m, s = softsign_mean(a, 1, 1, e), softsign_second(a, 1, 1, e)
    assert np.all(m**2 <= s * (1 + 1e-12)) and np.all(s <= 1 + 1e-12) and np.all(s > 0)


def test_both_ends_and_beyond():
    a = np.array([-3, 0.2, 1, 30.0])
    np.testing.assert_allclose(softsign_mean(a, 1, 1, 0), sign_update_mean(a, 1, 1), rtol=1e-10)
    np.testing.assert_allclose(softsign_second(a, 1, 1, 0), 1, rtol=1e-13)
    for e in (1e5, 1e7, 1e9, 1e30):                                         # across the switch to softsign itself
        np.testing.assert_allclose(softsign_mean(a, 1, 1, e) * e, a, rtol=1e3 / e**2 + 1e-14)
    np.testing.assert_allclose(softsign_second(a, 1, 1, 1e6) * 1e12, a**2 + 1, rtol=1e-8)
    np.testing.assert_allclose(softsign_mean([3, 0, 0, 1e300], 0, 5, [4, 1, 0, 0]), [0.6, 0, 0, 1], rtol=1e-15)
    np.testing.assert_allclose(softsign_second([3, 0, 0, 1e300], 0, 5, [4, 1, 0, 0]), [0.36, 0, 0, 1], rtol=1e-15)
    assert softsign_second(0, 1, 1, 0) == pytest.approx(1, abs=1e-13) and softsign_mean(0, 1, 1, 2) == 0
    for B in (1, 8):
        assert optimal_lr_softsign(g, sigma, H, B, 0) == pytest.approx(optimal_lr_sign(g, sigma, H, B), rel=1e-10)
        assert optimal_lr_softsign(g, sigma, H, B, 1e6) / 1e6 == pytest.approx(optimal_lr_sgd(g, np.diag(sigma**2), H, B), rel=1e-9)


def test_shapes_broadcast():
    B = np.array([1.0, 8])
    expected = [[optimal_lr_softsign(k * g, k * sigma, H, b, 0.3) for k in (1, 2)] for b in B]
    stack = np.stack([g, 2 * g]), np.stack([sigma, 2 * sigma])
    np.testing.assert_allclose(optimal_lr_softsign(*stack, H, B[:, None], 0.3), expected, rtol=1e-13)
    expected = [optimal_lr_softsign(g, sigma, H, b, e) for b, e in zip(B, (0.1, 2))]
    np.testing.assert_allclose(optimal_lr_softsign(g, sigma, H, B, [0.1, 2]), expected, rtol=1e-13)
    assert softsign_mean(g, sigma, B[:, None], 0.1).shape == (2, 3) and softsign_second(0.1, 1, 1, EPS).shape == (3,)
    assert softsign_mean(np.zeros((0, 3)), sigma, 1, 0.1).shape == (0, 3)


@pytest.mark.parametrize("unit", (1e-150, 1e150))
def test_units(unit):
    with np.errstate(all="raise"):
        for f in (softsign_mean, softsign_second):
            np.testing.assert_allclose(f(unit * g, unit * sigma, 4, unit * EPS), f(g, sigma, 4, EPS), rtol=1e-12)
        assert optimal_lr_softsign(unit * g, unit * sigma, H, 4, 0.3 * unit) / unit == pytest.approx(CALLS["optimal_lr_softsign"][0](
            g, sigma, H, 4, 0.3), rel=1e-12)
        assert optimal_lr_softsign(g, sigma, unit * H, 4, 0.3) * unit == pytest.approx(optimal_lr_softsign(g, sigma, H, 4, 0.3), rel=1e-12)


def of_dtype(args, dtype):
    return [np.asarray(x, dtype) if np.ndim(x) else x for x in args]


@every_call
@pytest.mark.parametrize("library", ("numpy", "strict", "torch"))           # JAX is below, compiled
def test_libraries_and_dtypes(library, name):
    convert, back = LIBRARIES[library]
    function, args = CALLS[name]
    expected = function(*args)
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 1e-5)):
        given = of_dtype(args, dtype)
        before = [np.copy(x) for x in given]
        found = function(*(convert(x) if np.ndim(x) else x for x in given))
        assert back(found).dtype == dtype
        np.testing.assert_allclose(back(found), expected, rtol=rtol)
        assert all(np.array_equal(x, y) for x, y in zip(given, before))
    half = function(*of_dtype(args, np.float16))
    assert half.dtype == np.float16 and np.allclose(half, expected, rtol=5e-3)
    assert function(*(np.asarray(x).tolist() for x in args)).dtype == float


@torch_only
@every_call
def test_derivatives_in_torch(name):
    import torch
    function, args = CALLS[name]
    tensors = [torch.tensor(np.asarray(x, float), requires_grad=True) for x in args]
    directions = [np.random.default_rng(i).standard_normal(x.shape) / 8 for i, x in enumerate(tensors)]
    directions = [x + x.T if x.ndim == 2 else x for x in directions]
    change = lambda t: function(*(x + t * torch.tensor(d) for x, d in zip(tensors, directions))).sum()
    t = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(change, (t,)) and torch.autograd.gradgradcheck(change, (t,))


@torch_only
def test_derivatives_at_the_ends():
    import torch
    eps = torch.tensor([0.0, 1e-9, 1e-4], dtype=torch.float64, requires_grad=True)
    softsign_second(1.0, 1.0, 1.0, eps).sum().backward()
    np.testing.assert_allclose(eps.grad.numpy(), -(math.pi / 2)**0.5 * math.exp(-0.5), rtol=2e-4)
    x = [torch.tensor([0.0, 3.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True),
         torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True),
         torch.tensor([0.0, 4.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)]
    (softsign_mean(x[0], x[1], 2.0, x[2]) + softsign_second(x[0], x[1], 2.0, x[2])).sum().backward()
    assert all(torch.isfinite(v.grad).all() for v in x)
    r = 5.0                                                                 # u' = eps^2 / r^3, (u^2)' = 2 g eps^2 / r^4
    assert x[0].grad[1].item() == pytest.approx(16 / r**3 + 2 * 3 * 16 / r**4) and x[0].grad[3] == 0


@jax_only
@every_call
def test_jax_compiles_value_and_gradient(name):
    assert_jax_agrees_with_torch(*CALLS[name], rtol=1e-12)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: softsign_mean(g, sigma, 1, -1), ValueError, "eps has the entry -1; allowed are numbers >= 0"),
    (lambda: softsign_mean(g, -sigma, 1, 1), ValueError, "sigma has the entry -2; allowed are numbers >= 0"),
    (lambda: softsign_second(g, sigma, 0, 1), ValueError, "B has the entry 0; allowed are numbers > 0"),
    (lambda: softsign_second(g, sigma, 1, [1, 2]), ValueError, r"the shapes \(3,\) of g, .* \(2,\) of eps do not broadcast"),
    (lambda: softsign_mean(math.nan, 1, 1, 1), ValueError, "g contains 1 NaN"),
    (lambda: softsign_mean(1j, 1, 1, 1), TypeError, "g has dtype complex128"),
    (lambda: optimal_lr_softsign(g, sigma, -H, 1, 1), ValueError, r"tr\(H E u u\^T\) is not positive; .* no finite best step"),
    (lambda: optimal_lr_softsign(g, np.diag(sigma), H, 1, 1), ValueError, r"sigma has shape \(3, 3\); allowed is that of g, \(3,\)"),
    (lambda: optimal_lr_softsign(g, sigma, H[:2, :2], 1, 1), ValueError, r"H has shape \(2, 2\); allowed is \(..., 3, 3\)"),
    (lambda: optimal_lr_softsign(g, sigma, H, [1, 2], [1, 2, 3]), ValueError, r"the shapes \(2,\) of B, \(3,\) of eps do not broadcast"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()

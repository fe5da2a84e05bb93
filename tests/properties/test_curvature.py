"""Roots of second moments, whitening, nearest Kronecker products: definitions, units, dtypes, ranks, libraries, derivatives, refusals, cost."""

import re
import tracemalloc

import numpy as np
import pytest

from lowrank.curvature import curvature_from_gradients, nearest_kronecker, whiten_gradient
from lowrank.polar_factor import msign
from tests.properties.libraries import LIBRARIES, needs
from tests.properties.matrices import eps

torch_only, jax_only = needs("torch"), needs("jax")
REAL = (np.float32, np.float64)
SHAPES = [(1, 1), (1, 4), (3, 5), (5, 3), (4, 4), (40, 2)]
G3 = np.array([[1.0, 2], [3, -1], [0, 1]])


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def few(dtype):
    return 100 * float(eps(np.zeros(1, dtype)))


def power(C, p, ridge=0.0):
    """(C + ridge I)^p on the range, by eigenvalues."""
    values, Q = np.linalg.eigh(C)
    keep = values + ridge > 1e-12 * values.max(initial=1e-300)
    return Q[:, keep] * (values[keep] + ridge)**p @ Q[:, keep].T


def moment(G):
    """C, by einsum."""
    N, m, n = G.shape
    return np.einsum("aij,akl->ijkl", G, G).reshape(m * n, m * n) / N


def rearranged(G):
    N, m, n = G.shape
    return np.einsum("aij,akl->ikjl", G, G).reshape(m * m, n * n) / N


def kl(C, P):
    """The divergence without what C alone has in it."""
    return (np.trace(np.linalg.solve(P, C)) - len(C) + np.linalg.slogdet(P)[1]) / 2


# --- the root

def test_reference_values():
    np.testing.assert_allclose(curvature_from_gradients(G3), [[1.822828806625, -.103094495833], [-.103094495833, 1.410450823293]], atol=1e-11)
    belief = [[1.122008467928, -.544658198739], [-.544658198739, 1.122008467928]]
    np.testing.assert_allclose(curvature_from_gradients(G3, centered=True), belief, atol=1e-11)
    np.testing.assert_allclose(curvature_from_gradients(G3, diagonal=True), [(10 / 3)**.5, 2**.5], rtol=1e-15)
    np.testing.assert_allclose(curvature_from_gradients(G3, centered=True, diagonal=True), G3.std(axis=0), rtol=1e-14)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_root_and_its_diagonal(shape, lead, dtype):
    G = drawn(0, *lead, *shape, dtype=dtype)
    before = G.copy()
    for centered in (False, True)[:shape[0]]:
        R, D = curvature_from_gradients(G, centered=centered), curvature_from_gradients(G, centered=centered, diagonal=True)
        assert R.dtype == D.dtype == dtype and R.shape == (*lead, shape[1], shape[1]) and D.shape == (*lead, shape[1])
        X = G.astype(float) - centered * G.astype(float).mean(-2, keepdims=True)
        C = X.mT @ X / shape[0]
        R, D = R.astype(float), D.astype(float)
        assert np.array_equal(R, R.mT)
        np.testing.assert_allclose(R @ R, C, rtol=0, atol=8 * few(dtype))
        np.testing.assert_allclose(D**2, np.diagonal(C, axis1=-2, axis2=-1), rtol=0, atol=8 * few(dtype))
        assert np.linalg.eigvalsh(R).min() > -4 * few(dtype)
    assert np.array_equal(G, before)


@pytest.mark.parametrize("unit", [1e-150, 1e-30, 1e30, 1e150])
def test_units(unit):
    G, g = drawn(1, 5, 3), drawn(2, 3)
    with np.errstate(all="raise", under="ignore"):
        for options in ({}, {"diagonal": True}, {"centered": True}):
            np.testing.assert_allclose(curvature_from_gradients(G * unit, **options), curvature_from_gradients(G, **options) * unit, rtol=1e-13, atol=1e-15 * unit)
        for size in (1e-150, 1, 1e150):
            np.testing.assert_allclose(whiten_gradient(G * unit, g * size) * unit / size, whiten_gradient(G, g), rtol=1e-12)
            found = whiten_gradient(G * unit, g * size, eps=unit / 2) * unit / size
            np.testing.assert_allclose(found, whiten_gradient(G, g, eps=.5), rtol=1e-12)
        mixed = G * [1, unit, 1 / unit]
        np.testing.assert_allclose(curvature_from_gradients(mixed, diagonal=True), np.linalg.norm(G, axis=0) / 5**.5 * [1, unit, 1 / unit], rtol=1e-13)
        G = drawn(3, 9, 2, 3)
        for divergence in ("frobenius", "kl"):
            for found, expected in zip(nearest_kronecker(G * unit, divergence=divergence)[:2], nearest_kronecker(G, divergence=divergence)):
                np.testing.assert_allclose(found / unit, expected, atol=1e-8)
        shift = nearest_kronecker(G * unit, divergence="kl").error - nearest_kronecker(G, divergence="kl").error
        assert shift == pytest.approx(6 * np.log(unit), rel=1e-9)


def test_small_values_are_not_squared():
    """Nine decades: the root is right to eps of the largest value; from G^T G it is wrong at 1e-8."""
    U, V = (np.linalg.qr(drawn(i, k, 8))[0] for i, k in enumerate((60, 8)))
    s = np.geomspace(1, 1e-9, 8)
    R = curvature_from_gradients(U * s @ V.T)
    np.testing.assert_allclose(R * 60**.5, V * s @ V.T, rtol=0, atol=1e-15)
    by_square = V.T @ power((U * s @ V.T).T @ (U * s @ V.T), .5) @ V
    assert np.abs(by_square - np.diag(s)).max() > 1e-10


def test_degenerate_sets():
    Z = np.zeros((3, 4))
    assert not curvature_from_gradients(Z).any() and not curvature_from_gradients(Z, diagonal=True).any()
    assert not whiten_gradient(Z, np.ones(4)).any()
    np.testing.assert_allclose(whiten_gradient(Z, np.ones(4), eps=.25), 4 * np.ones(4), rtol=1e-15)
    same = np.ones((5, 3)) * [1e8, 2, 3]
    assert np.abs(curvature_from_gradients(same, centered=True)).max() < 1e-7
    assert curvature_from_gradients(np.ones((0, 2, 3))).shape == (0, 3, 3)
    assert whiten_gradient(np.ones((0, 2, 3)), np.ones((0, 3))).shape == (0, 3)
    found = nearest_kronecker(np.zeros((2, 2, 3)))
    assert not found.L.any() and not found.R.any() and found.error == 0 and found.converged
    rows = [[1, 2], [3, -1], [0, 1]]
    np.testing.assert_allclose(curvature_from_gradients(rows), curvature_from_gradients(G3))
    steps = np.full((100000, 1), .1, np.float32)                # long sums are taken in double
    assert curvature_from_gradients(steps, diagonal=True) == np.float32(.1)


# --- whitening

@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ridge", [0.0, .01, 3.0])
def test_whitening(shape, ridge, dtype):
    G, g = drawn(4, *shape, dtype=dtype), drawn(5, shape[1], dtype=dtype)
    before = G.copy(), g.copy()
    found = whiten_gradient(G, g, eps=ridge)
    assert found.dtype == dtype and found.shape == g.shape
    C = G.T.astype(float) @ G.astype(float) / shape[0]
    expected = power(C, -.5, ridge**2) @ g.astype(float)
    np.testing.assert_allclose(found, expected, rtol=0, atol=50 * few(dtype) * max(1, np.abs(expected).max()))
    assert np.array_equal(G, before[0]) and np.array_equal(g, before[1])


def test_rank_that_is_not_full():
    G = drawn(6, 6, 2) @ drawn(7, 2, 5)
    g = drawn(8, 5)
    np.testing.assert_allclose(whiten_gradient(G, g), power(G.T @ G / 6, -.5) @ g, atol=1e-11)
    np.testing.assert_allclose(whiten_gradient(G, G), 6**.5 * msign(G), atol=1e-11)
    values = np.diag([1, 1e-5, 0])
    np.testing.assert_allclose(whiten_gradient(values, np.ones(3)), np.array([1, 1e5, 0]) * 3**.5)
    np.testing.assert_allclose(whiten_gradient(values, np.ones(3), rtol=1e-4), np.array([1, 0, 0]) * 3**.5)


def test_leading_axes_are_broadcast():
    G, g = drawn(9, 2, 4, 5), drawn(10, 3, 1, 5)
    found = whiten_gradient(G, g)
    assert found.shape == (3, 2, 5)
    for i in range(3):
        for j in range(2):
            np.testing.assert_allclose(found[i, j], whiten_gradient(G[j], g[i, 0]), atol=1e-13)
    np.testing.assert_allclose(whiten_gradient(G, g[0, 0]), found[0], atol=1e-13)
    np.testing.assert_allclose(whiten_gradient(G[0], g[:, 0]), found[:, 0], atol=1e-13)


def test_cost():
    """Nothing of size d x d."""
    G, g = drawn(11, 5, 20000), drawn(12, 20000)
    tracemalloc.start()
    whiten_gradient(G, g)
    whiten_gradient(G, g, eps=.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * G.nbytes
    G = drawn(13, 2, 90, 80)
    tracemalloc.start()
    nearest_kronecker(G, steps=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * G.nbytes                                 # and not of (m n)^2


# --- Kronecker products

@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("shape", [(7, 3, 4), (1, 2, 3), (40, 4, 2), (5, 1, 3), (3, 1, 1)])
def test_nearest(shape, dtype):
    G = drawn(14, *shape, dtype=dtype)
    L, R, error, steps, converged = nearest_kronecker(G)
    N, m, n = shape
    assert L.shape == (m, m) and R.shape == (n, n) and L.dtype == R.dtype == dtype and converged and type(steps) is int
    X = G.astype(float)
    sigma = np.linalg.svd(rearranged(X), compute_uv=False)[0]
    C = moment(X)
    least = np.sqrt(max(np.sum(C**2) - sigma**2, 0))
    L, R = L.astype(float), R.astype(float)
    np.testing.assert_allclose(np.linalg.norm(C - np.kron(L, R)), least, atol=max(8 * few(dtype), 1e-7) * np.linalg.norm(C))
    assert float(error) == pytest.approx(least / np.linalg.norm(C), abs=1e-3 if dtype == np.float32 else 1e-7)
    assert np.array_equal(L, L.T) and np.linalg.norm(L) == pytest.approx(np.linalg.norm(R), rel=few(dtype))
    assert min(np.linalg.eigvalsh(X)[0] for X in (L, R)) > -4 * few(dtype) * np.linalg.norm(L)


def test_one_step_is_that_of_shampoo():
    G = drawn(15, 6, 3, 4)
    L, R, error, steps, _ = nearest_kronecker(G, steps=1)
    S = np.mean(G @ G.mT, axis=0)
    np.testing.assert_allclose(L / np.linalg.norm(L), S / np.linalg.norm(S), atol=1e-14)
    assert steps == 1 and error == pytest.approx(np.linalg.norm(moment(G) - np.kron(L, R)) / np.linalg.norm(moment(G)), rel=1e-12)
    assert not nearest_kronecker(G, steps=1).converged and nearest_kronecker(G, steps=60).converged


@pytest.mark.parametrize("shape", [(200, 3, 4), (60, 4, 2), (9, 1, 3), (4, 3, 3)])
def test_likeliest(shape):
    G = drawn(16, *shape)
    L, R, error, _, converged = nearest_kronecker(G, divergence="kl")
    N, m, n = shape
    assert converged and np.linalg.norm(L) == pytest.approx(np.linalg.norm(R))
    np.testing.assert_allclose(np.mean(G @ np.linalg.inv(R) @ G.mT, axis=0) / n, L, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(np.mean(G.mT @ np.linalg.inv(L) @ G, axis=0) / m, R, rtol=1e-7, atol=1e-7)
    C = moment(G)
    assert error == pytest.approx(kl(C, np.kron(L, R)), abs=1e-6)
    near = nearest_kronecker(G)
    assert error <= kl(C, np.kron(near.L, near.R) + 1e-12 * np.eye(m * n)) + 1e-9
    for seed in range(5):
        E, F = (np.eye(k) + .05 * drawn(seed, k, k) for k in (m, n))
        assert error <= kl(C, np.kron(E @ L @ E.T, F @ R @ F.T)) + 1e-9


def test_stacks_of_layers():
    G = drawn(17, 2, 3, 8, 2, 3)
    for divergence in ("frobenius", "kl"):
        found = nearest_kronecker(G, divergence=divergence)
        assert found.L.shape == (2, 3, 2, 2) and found.R.shape == (2, 3, 3, 3) and found.error.shape == found.converged.shape == (2, 3)
        one = nearest_kronecker(G[1, 2], divergence=divergence)
        np.testing.assert_allclose(found.L[1, 2], one.L, atol=1e-8)
        assert found.error[1, 2] == pytest.approx(one.error, abs=1e-9)


# --- libraries and derivatives

@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "jax"])
def test_every_library(library):
    to, back = LIBRARIES[library]
    G, g, M = drawn(18, 4, 6), drawn(19, 6), drawn(20, 9, 2, 3)
    for call, given in ((curvature_from_gradients, (G,)), (lambda G: curvature_from_gradients(G, centered=True, diagonal=True), (G,)),
                        (whiten_gradient, (G, g)), (lambda *x: whiten_gradient(*x, eps=.3), (G, g))):
        found = call(*map(to, given))
        assert type(found) is type(to(G))
        np.testing.assert_allclose(back(found), call(*given), atol=1e-13)
    for divergence in ("frobenius", "kl"):
        found, expected = nearest_kronecker(to(M), divergence=divergence), nearest_kronecker(M, divergence=divergence)
        for x, y in zip(found[:3], expected):
            np.testing.assert_allclose(back(x), y, atol=1e-9)


@torch_only
def test_half_precision_is_computed_in_single():
    import torch

    G, g = (torch.asarray(drawn(i, *shape)).bfloat16() for i, shape in ((21, (5, 4)), (22, (4,))))
    for call in (lambda G, g: curvature_from_gradients(G), lambda G, g: curvature_from_gradients(G, diagonal=True), whiten_gradient,
                 lambda G, g: nearest_kronecker(G[:, None] * g[:, None]).L):
        assert torch.equal(call(G, g), call(G.float(), g.float()).bfloat16()) or call is not whiten_gradient
        assert call(G, g).dtype == torch.bfloat16


@torch_only
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_derivatives_in_torch(shape):
    import torch

    G, g = (torch.tensor(drawn(i, *s), requires_grad=True) for i, s in ((23, shape), (24, (2, shape[1]))))
    check = torch.autograd.gradcheck
    assert check(curvature_from_gradients, G, fast_mode=True)
    assert check(lambda G: curvature_from_gradients(G, centered=True, diagonal=True), G, fast_mode=True)
    assert check(whiten_gradient, (G, g), fast_mode=True, check_forward_ad=shape == (3, 5))
    assert check(lambda *x: whiten_gradient(*x, eps=.4), (G, g), fast_mode=True)
    if shape == (3, 5):
        assert check(curvature_from_gradients, G, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(lambda *x: whiten_gradient(*x, eps=.4), (G, g), fast_mode=True)
        assert torch.autograd.gradgradcheck(curvature_from_gradients, G, fast_mode=True)


@torch_only
def test_derivatives_of_sets_without_full_rank():
    """Along matrices of the same rank they are right; at zero they are zero; equal values do no harm."""
    import torch

    A, B = (torch.tensor(drawn(i, *s), requires_grad=True) for i, s in ((25, (5, 2)), (26, (2, 4))))
    g = torch.tensor(drawn(27, 4))
    for call in (curvature_from_gradients, lambda G: whiten_gradient(G, g), lambda G: whiten_gradient(G, g, eps=.2)):
        assert torch.autograd.gradcheck(lambda A, B: call(A @ B), (A, B), fast_mode=True)
        zero = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
        slope, = torch.autograd.grad(call(zero).sum(), zero)
        assert not slope.any()
        flat = torch.eye(3, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(call, flat, fast_mode=True)
    zero = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    slope, = torch.autograd.grad(curvature_from_gradients(zero, diagonal=True).sum(), zero)
    assert not slope.any()


@torch_only
def test_derivatives_of_steps_in_torch():
    import torch

    G = torch.tensor(drawn(28, 6, 2, 3), requires_grad=True)
    for divergence in ("frobenius", "kl"):
        assert torch.autograd.gradcheck(lambda G: nearest_kronecker(G, steps=4, divergence=divergence)[:3], G, fast_mode=True)


@jax_only
def test_one_compiled_function_in_jax():
    import jax

    to, back = LIBRARIES["jax"]
    G, g, D = drawn(29, 3, 4), drawn(30, 4), drawn(31, 3, 4)

    def total(G, g):
        M = G[:, :, None] * g[:2]
        return (curvature_from_gradients(G)**3).sum() + (whiten_gradient(G, g)**3).sum() + nearest_kronecker(M, steps=1).L.sum()

    value, (slope, _) = jax.jit(jax.value_and_grad(total, (0, 1)))(to(G), to(g))
    assert float(value) == pytest.approx(total(G, g), rel=1e-12)
    difference = (total(G + 1e-6 * D, g) - total(G - 1e-6 * D, g)) / 2e-6
    assert float((back(slope) * D).sum()) == pytest.approx(difference, rel=1e-6)


# --- refusals

G, g, M = drawn(40, 4, 5), drawn(41, 5), drawn(42, 6, 2, 3)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: curvature_from_gradients(G[0]), ValueError, "G has shape (5,); allowed is (..., N, d) with at least 1 gradient, and none of its sizes zero"),
    (lambda: curvature_from_gradients(G[:0]), ValueError, "G has shape (0, 5); allowed is (..., N, d) with at least 1 gradient"),
    (lambda: curvature_from_gradients(G[:, :0]), ValueError, "G has shape (4, 0)"),
    (lambda: curvature_from_gradients(G[:1], centered=True), ValueError, "G has shape (1, 5); allowed is (..., N, d) with at least 2 gradients"),
    (lambda: curvature_from_gradients(np.nan * G), ValueError, "G contains 20 NaN and 0 Inf; every entry must be finite"),
    (lambda: curvature_from_gradients(1j * G), TypeError, "G has dtype complex128; allowed are real numbers"),
    (lambda: curvature_from_gradients("G"), TypeError, "G has dtype"),
    (lambda: whiten_gradient(G, g[1:]), ValueError, "g has shape (4,) and G has shape (4, 5); allowed are (..., d) and (..., N, d)"),
    (lambda: whiten_gradient(G, 1.0), ValueError, "g has shape ()"),
    (lambda: whiten_gradient(G, 1j * g), TypeError, "g has dtype complex128; allowed are real numbers"),
    (lambda: whiten_gradient(G, g / 0), ValueError, "g contains 0 NaN and 5 Inf"),
    (lambda: whiten_gradient(G, g, eps=-1), ValueError, "eps is -1; allowed is a finite number of at least 0"),
    (lambda: whiten_gradient(G, g, eps=np.inf), ValueError, "eps is inf"),
    (lambda: whiten_gradient(G, g, eps="no"), TypeError, "eps is 'no'"),
    (lambda: whiten_gradient(G, g, rtol=1), ValueError, "rtol is 1; allowed is a number with 0 <= rtol < 1"),
    (lambda: whiten_gradient(G, g, eps=1, rtol=.1), ValueError, "rtol is 0.1; with an eps above 0 it is not used"),
    (lambda: nearest_kronecker(G), ValueError, "G has shape (4, 5); allowed is (..., N, m, n) with at least 1 gradient"),
    (lambda: nearest_kronecker(M, steps=0), ValueError, "steps is 0; allowed is an integer from 1"),
    (lambda: nearest_kronecker(M, steps=1.5), TypeError, "steps is 1.5"),
    (lambda: nearest_kronecker(M, divergence="js"), ValueError, "divergence is 'js'; allowed are 'frobenius', 'kl'"),
    (lambda: nearest_kronecker(M[:1], divergence="kl"), ValueError, "E G^T G is singular, so that no Kronecker product is likeliest"),
    (lambda: nearest_kronecker(M * [[0], [1]], divergence="kl"), ValueError, "E G G^T is singular"),
])
def test_refusals(call, kind, words):
    with np.errstate(all="ignore"), pytest.raises(kind, match=re.escape(words)):
        call()


@torch_only
def test_refuses_two_libraries():
    import torch

    with pytest.raises(TypeError, match="both must belong to one array library"):
        whiten_gradient(G, torch.asarray(g))

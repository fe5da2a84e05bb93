"""Velocities of Gaussian data: reference values, conditional means, exact steps, r = t, factors, units, libraries, derivatives, refusals, cost."""

import re
import tracemalloc

import mpmath
import numpy as np
import pytest

from lowrank.mean_flow import gaussian_mean_velocity, gaussian_velocity
from tests.properties.libraries import LIBRARIES, needs

torch_only, jax_only = needs("torch"), needs("jax")
HELD = re.escape("S is differentiated; allowed is a constant: give S.detach() or jax.lax.stop_gradient(S)")
M2, S2, Z2 = np.array([1.0, -1]), np.array([[2, .6], [.6, .5]]), np.array([.3, .7])


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def root(S, t):
    """s_t, by eigenvalues."""
    values, Q = np.linalg.eigh(S)
    return Q * np.sqrt((1 - t)**2 * values.clip(0) + t**2) @ Q.T


def back(z, r, t, m, S):
    """z_r of the flow, by roots and a solution."""
    return (1 - r) * m + np.linalg.solve(root(S, t), (z - (1 - t) * m).T).T @ root(S, r)


def problem(seed=0, n=6, d=4, k=None):
    X = drawn(seed, d, k or d)
    return drawn(seed + 1, n, d), drawn(seed + 2, d), X


def test_reference_values():
    for found, expected in ((gaussian_velocity(Z2, .25, M2, S2), (-1.1294929652243164, 1.1889567294929653)),
                            (gaussian_mean_velocity(Z2, .25, .75, M2, S2), (-1.4688524053553493, 1.538571414425375)),
                            (gaussian_mean_velocity(Z2, 0, 1, M2, S2), (-1.3222696458892416, 1.1616873698259738))):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("r, t", [(0, 1), (.2, .9), (0, .01), (.5, .5), (1, 1), (.3, .3 + 1e-9)])
def test_the_step_is_exact(r, t):
    z, m, X = problem()
    u = gaussian_mean_velocity(z, r, t, m, X @ X.T)
    np.testing.assert_allclose(z - (t - r) * u, back(z, r, t, m, X @ X.T), rtol=0, atol=1e-12)
    if r == t:
        np.testing.assert_allclose(u, gaussian_velocity(z, t, m, X @ X.T), rtol=0, atol=1e-14)
        y = (z - (1 - t) * m) @ np.linalg.inv((1 - t)**2 * X @ X.T + t**2 * np.eye(4))
        np.testing.assert_allclose(u, y @ (t * np.eye(4) - (1 - t) * X @ X.T) - m, rtol=0, atol=1e-12)
    way = np.linspace(r, t, 101)                                # the average, by Simpson's rule
    speeds = np.stack([gaussian_velocity(back(z, s, t, m, X @ X.T), s, m, X @ X.T) for s in way])
    weights = np.array([1, *[4, 2] * 49, 4, 1]) / 300
    if t - r > 1e-6 and r > 0:
        np.testing.assert_allclose(np.einsum("s,sni->ni", weights, speeds), u, atol=1e-6)


def test_ends():
    z, m, X = problem(3)
    np.testing.assert_allclose(gaussian_velocity(z, 1, m, X @ X.T), z - m, atol=1e-14)
    np.testing.assert_allclose(gaussian_velocity(z, 0, m, X @ X.T), -z, atol=1e-13)
    values, Q = np.linalg.eigh(X @ X.T)
    np.testing.assert_allclose(z - gaussian_mean_velocity(z, 0, 1, m, X @ X.T), m + z @ (Q * np.sqrt(values)) @ Q.T, atol=1e-12)
    point = gaussian_mean_velocity(z, 0, 1, m, np.zeros((4, 4)))
    np.testing.assert_allclose(z - point, np.broadcast_to(m, z.shape), atol=1e-15)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
def test_nothing_cancels(gap):
    """Against 40 digits, in one dimension."""
    t, lam, z = .7, .3, 1.25
    with mpmath.workdps(40):
        r = mpmath.mpf(t - gap)
        s = lambda t: mpmath.sqrt((1 - t)**2 * mpmath.mpf(lam) + t**2)
        exact = float((s(mpmath.mpf(t)) - s(r)) / ((mpmath.mpf(t) - r) * s(mpmath.mpf(t))) * z)
    found = gaussian_mean_velocity(np.array([z]), t - gap, t, np.zeros(1), np.array([[lam]]))
    assert found[0] == pytest.approx(exact, rel=2e-15)


@pytest.mark.parametrize("k", [1, 3, 5, 8])
@pytest.mark.parametrize("r, t", [(0, 1), (.2, .9), (.4, .4), (0, .3)])
def test_factors(k, r, t):
    """As dense; singular, and with more columns than rows."""
    z, m, X = problem(5, d=5, k=k)
    dense, found = gaussian_mean_velocity(z, r, t, m, X @ X.T), gaussian_mean_velocity(z, r, t, m, X, factors=True)
    np.testing.assert_allclose(found, dense, rtol=0, atol=1e-12 if k >= 5 else 1e-11)
    inside = m + drawn(9, 6, k) @ X.T                           # on the support there is a velocity at t = 0
    for given in ({"S": X @ X.T}, {"S": X, "factors": True}):
        np.testing.assert_allclose(gaussian_velocity(inside, 0, m, **given), -inside, atol=1e-11)


def test_times_are_broadcast():
    z, m, X = problem(6)
    S, t = X @ X.T, np.linspace(.1, 1, 6)
    found = gaussian_mean_velocity(z, t / 3, t, m, S)
    for i in range(6):
        np.testing.assert_allclose(found[i], gaussian_mean_velocity(z[i], t[i] / 3, t[i], m, S), atol=1e-14)
    assert gaussian_velocity(z[0], t, m, S).shape == (6, 4)
    assert gaussian_velocity(z[:, None], t[:3], m, S).shape == (6, 3, 4)
    assert gaussian_velocity(z[:0], .5, m, S).shape == (0, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_and_inputs(dtype):
    z, m, X = (x.astype(dtype) for x in problem(7))
    S = (X @ X.T).astype(dtype)
    before = [x.copy() for x in (z, m, S)]
    found = gaussian_mean_velocity(z, .1, np.float64(.8), m, S)
    assert found.dtype == dtype and all(np.array_equal(a, b) for a, b in zip(before, (z, m, S)))
    expected = gaussian_mean_velocity(z.astype(float), .1, .8, m.astype(float), S.astype(float))
    np.testing.assert_allclose(found, expected, atol=300 * np.finfo(dtype).eps)
    assert gaussian_velocity([1, 2], 1, [0, 0], [[1, 0], [0, 1]]).tolist() == [1, 2]


@pytest.mark.parametrize("unit", [1e-150, 1e-30, 1e30, 1e150])
def test_units(unit):
    """Data of any unit beside noise of unit 1: the limits are known."""
    z, m, X = problem(8)
    with np.errstate(all="raise", under="ignore"):
        for given in ({"S": X @ X.T * unit**2}, {"S": X * unit, "factors": True}):
            x = z - gaussian_mean_velocity(z, 0, 1, m * unit, **given)
            values, Q = np.linalg.eigh(X @ X.T)
            np.testing.assert_allclose(x, (m + z @ (Q * np.sqrt(values)) @ Q.T) * unit, rtol=0, atol=1e-11 * max(unit, 1))
            z_data = z * unit                                   # at t = 1/2 noise or data decides
            v = gaussian_velocity(z_data, .5, m * unit, **given)
            expected = (2 * z - 2 * m) if unit < 1 else -2 * z
            np.testing.assert_allclose(v / unit, expected, rtol=1e-10 if unit != 1e30 else 1e-9, atol=1e-10)


def test_cost():
    """With factors nothing of size d x d, and one decomposition for all points."""
    z, m, X = problem(10, n=3, d=20000, k=2)
    tracemalloc.start()
    gaussian_mean_velocity(z, .1, .9, m, X, factors=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * z.nbytes


# --- libraries and derivatives

@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "jax"])
def test_every_library(library):
    to, back_to = LIBRARIES[library]
    z, m, X = problem(11, d=4, k=2)
    t = np.linspace(.2, 1, 6)
    for S, factors in ((X @ X.T, False), (X, True)):
        found = gaussian_mean_velocity(to(z), to(t / 2), to(t), to(m), to(S), factors=factors)
        assert type(found) is type(to(z))
        np.testing.assert_allclose(back_to(found), gaussian_mean_velocity(z, t / 2, t, m, S, factors=factors), atol=1e-13)
        found = gaussian_velocity(to(z), .5, to(m), to(S), factors=factors)
        np.testing.assert_allclose(back_to(found), gaussian_velocity(z, .5, m, S, factors=factors), atol=1e-13)


@torch_only
@pytest.mark.parametrize("singular", [False, True])
def test_derivatives_in_torch(singular):
    """In all but S, at equal eigenvalues, at r = t, and for one step from a singular covariance."""
    import torch

    z, m, X = problem(12, n=3, d=3, k=1 if singular else 3)
    S = torch.asarray(X @ X.T if singular else np.eye(3))
    z, m = (torch.tensor(x, requires_grad=True) for x in (z, m))
    for early, late in ((.2, .8), (.5, .5)):
        r, t = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (early, late))
        call = lambda z, r, t, m: gaussian_mean_velocity(z, r, t, m, S)
        if early < late:
            assert torch.autograd.gradcheck(call, (z, r, t, m), fast_mode=True)
            assert torch.autograd.gradgradcheck(call, (z, r, t, m), fast_mode=True)
        grads = torch.autograd.grad(gaussian_mean_velocity(z, r, t, m, S).sum(), (z, r, t, m))
        assert all(g.isfinite().all() for g in grads)
    one = torch.ones((), dtype=torch.float64, requires_grad=True)
    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    grads = torch.autograd.grad(gaussian_mean_velocity(z, zero, one, m, S).sum(), (z, zero, one, m))
    assert all(g.isfinite().all() for g in grads)


@torch_only
def test_the_identity_by_a_forward_derivative():
    """As implementations of the objective take it; u is a fixed point."""
    import torch

    z, m, X = (torch.asarray(x) for x in problem(13))
    S, r, t = X @ X.T, torch.tensor(.3, dtype=torch.float64), torch.tensor(.8, dtype=torch.float64)
    v = gaussian_velocity(z, t, m, S)
    u, along = torch.func.jvp(lambda z, t: gaussian_mean_velocity(z, r, t, m, S), (z, t), (v, torch.ones_like(t)))
    torch.testing.assert_close(u + (t - r) * along, v, rtol=0, atol=1e-12)


@torch_only
def test_half_precision_and_constants():
    import torch

    z, m, X = (torch.asarray(x).bfloat16() for x in problem(14))
    found = gaussian_velocity(z, .5, m, X, factors=True)
    assert found.dtype == torch.bfloat16 and torch.equal(found, gaussian_velocity(z.float(), .5, m.float(), X.float(), factors=True).bfloat16())
    with pytest.raises(ValueError, match=HELD):
        gaussian_velocity(z, .5, m, X.requires_grad_(), factors=True)
    z, m, X = (x.detach().float() for x in (z, m, X))
    with pytest.raises(ValueError, match=HELD):                     # forwards
        torch.func.jvp(lambda X: gaussian_velocity(z, .5, m, X, factors=True), (X,), (X,))


@jax_only
def test_one_compiled_function_in_jax():
    import jax

    to, back_to = LIBRARIES["jax"]
    z, m, X = problem(15, n=2, d=3)

    def total(z, t):
        return (gaussian_mean_velocity(z, t / 2, t, to(m), to(X @ X.T))**2).sum() + gaussian_velocity(z, t, to(m), to(X), factors=True).sum()

    value, (slope, in_time) = jax.jit(jax.value_and_grad(total, (0, 1)))(to(z), .6)
    number = lambda z, t: (gaussian_mean_velocity(z, t / 2, t, m, X @ X.T)**2).sum() + gaussian_velocity(z, t, m, X, factors=True).sum()
    assert float(value) == pytest.approx(number(z, .6), rel=1e-12)
    D = drawn(16, 2, 3)
    assert float((back_to(slope) * D).sum()) == pytest.approx((number(z + 1e-6 * D, .6) - number(z - 1e-6 * D, .6)) / 2e-6, rel=1e-6)
    with pytest.raises(ValueError, match=HELD):
        jax.grad(lambda X: gaussian_velocity(to(z), .5, to(m), X, factors=True)[0, 0])(to(X))
    assert float(in_time) == pytest.approx((number(z, .6 + 1e-6) - number(z, .6 - 1e-6)) / 2e-6, rel=1e-6)


# --- refusals

Z, M, X = problem(40)
S = X @ X.T


@pytest.mark.parametrize("call, kind, words", [
    (lambda: gaussian_velocity(Z, 1.1, M, S), ValueError, "not all of t <= 1 holds; allowed are times with 0 <= t <= 1"),
    (lambda: gaussian_velocity(Z, -.1, M, S), ValueError, "not all of 0 <= t holds"),
    (lambda: gaussian_velocity(Z, np.nan, M, S), ValueError, "not all of 0 <= t holds"),
    (lambda: gaussian_mean_velocity(Z, .5, .4, M, S), ValueError, "not all of r <= t holds; allowed are times with 0 <= r <= t <= 1"),
    (lambda: gaussian_mean_velocity(Z, [.1] * 5 + [.6], .5, M, S), ValueError, "not all of r <= t holds"),
    (lambda: gaussian_velocity(Z, 0, M, X[:, :2] @ X[:, :2].T), ValueError, "t is 0 where z - m does not lie in the range of S; there is no velocity"),
    (lambda: gaussian_velocity(Z, 0, M, X[:, :2], factors=True), ValueError, "t is 0 where z - m does not lie in the range of S"),
    (lambda: gaussian_velocity(Z, .5, M, S - 9 * np.eye(4)), ValueError, "S has an eigenvalue of"),
    (lambda: gaussian_velocity(Z, .5, M, S + np.eye(4, k=1)), ValueError, "S is not Hermitian"),
    (lambda: gaussian_velocity(Z, .5, M, X[:, :2]), ValueError, "z, m and S have shapes (6, 4), (4,) and (4, 2); allowed are (..., d), (d,) and (d, d), none of them empty"),
    (lambda: gaussian_velocity(Z[:, 1:], .5, M, S), ValueError, "z, m and S have shapes (6, 3), (4,) and (4, 4)"),
    (lambda: gaussian_velocity(Z, .5, M[None], S), ValueError, "allowed are (..., d), (d,) and (d, d)"),
    (lambda: gaussian_velocity(Z, .5, M, X[:, :0], factors=True), ValueError, "(d, k), none of them empty"),
    (lambda: gaussian_velocity(np.inf * Z, .5, M, S), ValueError, "z contains 0 NaN and 24 Inf"),
    (lambda: gaussian_velocity(Z, .5, M, S * np.nan), ValueError, "S contains 16 NaN"),
    (lambda: gaussian_velocity(1j * Z, .5, M, S), TypeError, "z has dtype complex128; allowed are real numbers"),
    (lambda: gaussian_velocity(Z, .5, M, "S"), TypeError, "S has dtype"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


@torch_only
def test_refuses_two_libraries():
    import torch

    with pytest.raises(TypeError, match="m is a Tensor and z is a ndarray; both must belong to one array library"):
        gaussian_velocity(Z, .5, torch.asarray(M), S)

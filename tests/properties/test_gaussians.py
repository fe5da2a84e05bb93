"""Distances between Gaussians: second methods, exact digits, dtypes, libraries, scales, singular laws, derivatives, refusals, cost."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from scipy.linalg import sqrtm

from lowrank import gaussians
from lowrank.gaussians import (
    frechet_distance,
    gaussian_barycenter,
    gaussian_bhattacharyya,
    gaussian_fisher,
    gaussian_kl,
    gaussian_map,
    gaussian_w2,
    gaussian_w2_grad,
)
from tests.properties.libraries import LIBRARIES, needs

torch_only, jax_only = needs("torch"), needs("jax")
FOUR = {"w2": gaussian_w2, "kl": gaussian_kl, "bhattacharyya": gaussian_bhattacharyya, "fisher": gaussian_fisher}
DIVERGENCES = ("kl", "bhattacharyya", "fisher")


def near(x, rel=1e-6):
    """Relative, and nothing else: pytest's own takes numbers below 1e-12 for zero."""
    return pytest.approx(x, rel=rel, abs=0)


def drawn(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def pair(d=5, lead=(), seed=0):
    """Means and regular covariances."""
    X, Y = drawn(seed, *lead, d, d + 2), drawn(seed + 1, *lead, d, d + 2)
    return drawn(seed + 2, *lead, d), X @ X.mT, drawn(seed + 3, *lead, d), Y @ Y.mT


def thin(d=9, r=(3, 2), lead=(), seed=0):
    return drawn(seed, *lead, d), drawn(seed + 1, *lead, d, r[0]), drawn(seed + 2, *lead, d), drawn(seed + 3, *lead, d, r[1])


def whole(m1, X, m2, Y, a=0.0, b=0.0):
    I = np.eye(X.shape[-2])
    return m1, X @ X.mT + a * I, m2, Y @ Y.mT + b * I


def psd_root(S):
    w, V = np.linalg.eigh(S)
    return V * np.sqrt(np.maximum(w, 0)) @ V.T


def reference(name, m1, S1, m2, S2):
    """By the textbook."""
    delta, R = m1 - m2, psd_root(S1)
    if name == "w2":
        return delta @ delta + np.trace(S1) + np.trace(S2) - 2 * np.trace(psd_root(R @ S2 @ R))
    T1, T2, M = np.linalg.inv(S1), np.linalg.inv(S2), np.linalg.inv((S1 + S2) / 2)
    logdet = lambda S: np.linalg.slogdet(S)[1]
    return {"kl": (delta @ T2 @ delta - logdet(S1) + logdet(S2) + np.trace(T2 @ S1) - len(delta)) / 2,
            "bhattacharyya": delta @ M @ delta / 8 + (logdet((S1 + S2) / 2) - logdet(S1) / 2 - logdet(S2) / 2) / 2,
            "fisher": delta @ T2 @ T2 @ delta + np.trace(T1 - 2 * T2 + T2 @ T2 @ S1)}[name]


# --- values

def test_known_values():
    hilbert = 1 / (1 + np.add.outer(np.arange(5), np.arange(5))) + np.eye(5)
    five = 0.1 * np.arange(5), hilbert, np.zeros(5), np.diag(np.arange(1.0, 6))
    two = [1, 0], [[2, 0.5], [0.5, 1]], [0, -1], [[1, -0.3], [-0.3, 2]]
    shift = [0, 0], np.eye(2), [3, 4], np.eye(2)
    known = {"w2": (25, 2.575425893305007, 3.43960311993249), "kl": (12.5, 1.373586658998731, 1.145555155050464),
             "bhattacharyya": (3.125, 0.2578081754349839, 0.3666003486124503), "fisher": (25, None, 2.240255287937217)}
    for name, values in known.items():
        for law, value in zip((shift, two, five), values):
            assert value is None or FOUR[name](*law) == near(value, rel=1e-13)
    assert gaussian_kl(*two[2:], *two[:2]) == near(1.0419705586527, rel=1e-13)
    factors = [0, 0, 1], [[1, 0], [1, 1], [0, 2]], [0, 0, 0], [[2], [0], [1]]
    assert gaussian_w2(*factors, factors=True) == near(7.343145750507619, rel=1e-14)


@pytest.mark.parametrize("name", FOUR)
def test_values_dtypes_and_stacks(name):
    f, laws = FOUR[name], pair(lead=(2, 3))
    before = [x.copy() for x in laws]
    found = f(*laws)
    assert found.shape == (2, 3) and found.dtype == float
    for index in np.ndindex(2, 3):
        assert found[index] == near(reference(name, *(x[index] for x in laws)), rel=1e-9)
        assert f(*(x[index] for x in laws)) == near(found[index], rel=1e-12)
    assert np.allclose(f(laws[0], laws[1][0, 0], laws[2][1], laws[3][:, :1])[1, 2],
                       f(laws[0][1, 2], laws[1][0, 0], laws[2][1, 2], laws[3][1, 0]))
    single = f(*(x.astype(np.float32) for x in laws))
    assert single.dtype == np.float32 and np.allclose(single, found, rtol=2e-3)
    assert f(*(x.astype(np.float16) for x in pair(2, seed=3))).dtype == np.float16
    assert f([0, 0], [[2, 1], [1, 2]], [1, 0], [[1, 0], [0, 3]]).dtype == float
    assert all(np.array_equal(x, y) for x, y in zip(laws, before))


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("r", ((3, 2), (2, 2), (8, 7)))
def test_factors_with_noise(name, r):
    laws, a, b = thin(r=r, lead=(2,)), np.array([0.5, 2.0]), 0.7
    found = FOUR[name](*laws, factors=True, noise=(a, b))
    for i in range(2):
        dense = whole(*(x[i] for x in laws), a[i], b)
        assert found[i] == near(reference(name, *dense), rel=1e-9)
        assert FOUR[name](*dense) == near(found[i], rel=1e-9)
        assert FOUR[name](*(x[i] for x in laws), factors=True, noise=[a[i], b]) == near(found[i], rel=1e-12)


@pytest.mark.parametrize("unit", (1e-150, 1e-60, 1e60, 1e150))
def test_units(unit):
    laws, c = thin(), unit
    scaled = [x * c for x in laws]
    noise = (0.5 * c**2, 0.7 * c**2)
    powers = {"w2": 2, "kl": 0, "bhattacharyya": 0, "fisher": -2}
    for name, f in FOUR.items():
        plain = f(*laws, factors=True, noise=(0.5, 0.7))
        with np.errstate(all="raise"):
            found = f(*scaled, factors=True, noise=noise)
            m1, S1, m2, S2 = pair()
            dense = f(m1 * c, S1 * c**2, m2 * c, S2 * c**2)
        assert found == near(plain * c**powers[name], rel=1e-12)
        assert dense == near(f(m1, S1, m2, S2) * c**powers[name], rel=1e-12)
    found, moved = gaussian_map(*laws, factors=True), gaussian_map(*scaled, factors=True)
    assert np.allclose(found.A[0] @ found.A[1], moved.A[0] @ moved.A[1], atol=1e-12) and np.allclose(moved.b / c, found.b)
    F, G = drawn(0, 9, 4), drawn(1, 7, 4)
    assert frechet_distance(F * c, G * c) == near(frechet_distance(F, G) * c**2, rel=1e-12)
    mean = gaussian_barycenter([laws[0] * c, laws[2] * c], [laws[1] * c, laws[3] * c])
    assert np.allclose(mean.X / c, gaussian_barycenter([laws[0], laws[2]], [laws[1], laws[3]]).X)


def test_covariances_far_below_one():
    I = np.eye(6)
    assert gaussian_w2(np.zeros(6), 1e-200 * I, np.zeros(6), 4e-200 * I) == near(6e-200, rel=1e-13)
    units = np.diag([1e-100, 1.0, 1e100])
    m1, S1, m2, S2 = pair(3)
    for name in ("kl", "bhattacharyya"):                            # every coordinate in units of its own
        assert FOUR[name](units @ m1, units @ S1 @ units, units @ m2, units @ S2 @ units) == near(FOUR[name](m1, S1, m2, S2), rel=1e-12)


# --- digits

def exactly(S, T):
    with mpmath.workdps(60):
        S, T = mpmath.matrix(S.tolist()), mpmath.matrix(T.tolist())
        X, L = mpmath.cholesky(S), mpmath.cholesky(T)
        W = mpmath.inverse(L) * X
        trace = lambda A: mpmath.fsum(A[i, i] for i in range(A.rows))
        moved = mpmath.eigsy(X.T * T * X, eigvals_only=True)
        ratios = mpmath.eigsy(W * W.T, eigvals_only=True)
        return {"w2": float(trace(S) + trace(T) - 2 * mpmath.fsum(map(mpmath.sqrt, moved))),
                "kl": float(mpmath.fsum(x - 1 - mpmath.log(x) for x in ratios) / 2),
                "bhattacharyya": float(mpmath.fsum(mpmath.log((1 + x) / (2 * mpmath.sqrt(x))) for x in ratios) / 2)}


@pytest.mark.parametrize("delta", (1e-1, 1e-4, 1e-8))
def test_nearly_equal_laws(delta):
    d = 5
    S, E, zero = pair(d)[1], drawn(9, d, d), np.zeros(d)
    T = S + delta * (E + E.T)
    exact = exactly(S, T)
    assert gaussian_w2(zero, S, zero, T) == near(exact["w2"], rel=max(1e-12, 1e-14 / delta))
    for name in ("kl", "bhattacharyya"):
        assert FOUR[name](zero, S, zero, T) == near(exact[name], rel=1e-11)


def test_equal_laws():
    for S in (pair(30)[1], whole(*thin(30))[1]):
        zero = np.zeros(30)
        assert 0 <= gaussian_w2(zero, S, zero, S) <= 1e-14 * np.trace(S)
        assert [FOUR[name](zero, S, zero, S) for name in DIVERGENCES] == [0, 0, 0]
    S = pair(30)[1]
    assert 0 <= gaussian_w2(zero, S, zero, S) <= 1e-25 * np.trace(S)
    X = drawn(0, 30, 4)
    assert 0 <= gaussian_w2(zero, X, zero, X[:, ::-1], factors=True) <= 1e-27 * np.sum(X**2)


def test_spiked_laws_nearly_equal():
    d = 300
    X, zero = drawn(0, d, 4) / d**0.5, np.zeros(d)
    found = gaussian_kl(zero, X, zero, (1 + 1e-7) * X, factors=True, noise=(1.0, 1.0))
    lam = np.linalg.eigvalsh(X.T @ X)
    x = -lam * (2e-7 + 1e-14) / (1 + lam * (1 + 1e-7)**2)           # lambda - 1
    assert found == near(np.sum(x**2 / 2 - x**3 / 3) / 2, rel=1e-8)


def test_excess_and_ratios_far_from_one():
    with mpmath.workdps(40):
        x = np.concatenate([-np.logspace(-18, -1e-3, 40), np.logspace(-18, 4, 40), [0.0, 0.29999, 0.3]])
        exact = np.array([float(v - mpmath.log1p(v)) for v in map(mpmath.mpf, x.tolist())])
    np.testing.assert_allclose(gaussians._excess(x), exact, rtol=2e-14)
    zero, I = np.zeros(3), np.eye(3)
    for small in (1e-3, 1e-20, 1e-200):
        log = -np.log(small)
        assert gaussian_kl(zero, small * I, zero, I) == near(1.5 * (small - 1 + log), rel=1e-12)
        assert gaussian_bhattacharyya(zero, small * I, zero, I) == near(1.5 * (log / 2 - np.log(2) + np.log1p(small)), rel=1e-12)
        for f in (gaussian_kl, gaussian_bhattacharyya):
            spiked = f(zero, I[:, :0], zero, I[:, :0], factors=True, noise=(small, 1.0))
            assert spiked == near(f(zero, small * I, zero, I), rel=1e-12)


# --- singular laws

def test_singular_laws():
    m1, X, m2, Y = thin()
    for name in DIVERGENCES:
        f, mixed = FOUR[name], X @ drawn(7, 3, 3)
        assert f(*whole(m1, X, m2, Y)) == f(m1, X, m2, Y, factors=True) == np.inf
        inside = m1, X, m1 + X @ [1, 2, 3], mixed
        Q = np.linalg.qr(X)[0]
        expected = f(*whole(*(Q.T @ x for x in inside)))
        assert f(*whole(*inside)) == near(expected, rel=1e-8)
        assert f(*inside, factors=True) == near(expected, rel=1e-8)
        assert f(m1, X, m2, mixed, factors=True) == np.inf              # the means
        assert f(m1, X[:, :2], m1, mixed, factors=True) == f(m1, mixed, m1, X[:, :2], factors=True) == np.inf
        stacked = f(np.stack([m1, m1]), np.stack([X, X]), np.stack([inside[2], m2]), mixed, factors=True)
        assert stacked[0] == near(expected, rel=1e-8) and stacked[1] == np.inf
        zero = np.zeros(3)
        assert f(zero, np.zeros((3, 3)), zero, np.zeros((3, 3))) == 0
        assert f(zero, np.zeros((3, 3)), zero + 1, np.zeros((3, 3))) == np.inf
        for noise, value in (((0, 0), 0), ((1, 0), np.inf), ((0, 1), np.inf), ((2, 2), 0)):
            assert f(zero, np.zeros((3, 1)), zero, np.zeros((3, 1)), factors=True, noise=noise) == value


@pytest.mark.parametrize("r", ((3, 2), (3, 5), (4, 4), (1, 9)))
def test_w2_of_factors(r):
    laws = thin(r=r)
    expected = reference("w2", *whole(*laws))
    assert gaussian_w2(*laws, factors=True) == near(expected, rel=1e-6)
    assert gaussian_w2(*whole(*laws)) == near(gaussian_w2(*laws, factors=True), rel=1e-12)
    assert gaussian_w2(laws[2], laws[3], laws[0], laws[1], factors=True) == near(gaussian_w2(*laws, factors=True), rel=1e-13)
    assert gaussian_w2(laws[0], laws[1][:, :0], laws[2], laws[3], factors=True) == near(
        np.sum((laws[0] - laws[2])**2) + np.sum(laws[3]**2), rel=1e-13)


# --- maps, gradients, barycentres

def test_map():
    m1, S1, m2, S2 = laws = pair(lead=(2,))
    found = gaussian_map(*laws)
    assert np.allclose(found.A @ S1 @ found.A, S2) and np.allclose(found.A, found.A.mT) and np.all(np.linalg.eigvalsh(found.A) > 0)
    assert np.allclose((found.A @ m1[..., None])[..., 0] + found.b, m2) and np.allclose(found.cost, gaussian_w2(*laws))
    assert np.allclose(gaussian_map(m2, S2, m1, S1).A @ found.A, np.eye(5))


@pytest.mark.parametrize("case", ("regular", "fewer", "as many", "apart", "partly apart", "more columns"))
def test_map_of_singular_laws(case):
    m1, X, m2, Y = thin(r=(3, 2))
    E = np.eye(9)
    X, Y = {"regular": (drawn(1, 9, 9), drawn(2, 9, 9)), "fewer": (X, Y), "as many": (X, X @ drawn(0, 3, 3)), "apart": (E[:, :3], E[:, 4:6]),
            "partly apart": (E[:, :3] * [1, 2, 3], E[:, 2:5] * [5, 1, 2]), "more columns": (X, Y @ drawn(0, 2, 6))}[case]
    L, R = gaussian_map(m1, X, m2, Y, factors=True).A
    dense = gaussian_map(*whole(m1, X, m2, Y))
    for A, b, cost in ((L @ R, gaussian_map(m1, X, m2, Y, factors=True).b, gaussian_w2(m1, X, m2, Y, factors=True)), dense):
        assert np.allclose(A @ X @ X.T @ A.T, Y @ Y.T) and np.allclose(A @ m1 + b, m2)
        assert np.linalg.norm(X - A @ X)**2 + np.sum((m1 - m2)**2) == near(cost, rel=1e-9)
    assert L.shape == R.T.shape == X.shape


def test_no_map_to_a_larger_rank():
    m1, X, m2, Y = thin()
    for laws, factors in (((m2, Y, m1, X), True), (whole(m2, Y, m1, X), False)):
        with pytest.raises(ValueError, match="S2 has a larger rank than S1; no linear map"):
            gaussian_map(*laws, factors=factors)


def test_gradients_by_hand():
    m1, S1, m2, S2 = laws = pair()
    dm, dS = gaussian_w2_grad(*laws)
    assert np.allclose(dm, 2 * (m1 - m2)) and np.allclose(np.eye(5) - dS, gaussian_map(*laws).A)
    m1, X, m2, Y = thin()
    dm, dX = gaussian_w2_grad(m1, X, m2, Y, factors=True)
    E = drawn(5, 9, 3)
    slope = (gaussian_w2(m1, X + 1e-6 * E, m2, Y, factors=True) - gaussian_w2(m1, X - 1e-6 * E, m2, Y, factors=True)) / 2e-6
    assert np.sum(dX * E) == near(slope, rel=1e-7)
    scaled = gaussian_w2_grad(m1 * 1e200, X * 1e200, m2 * 1e200, Y * 1e200, factors=True)
    assert np.allclose(scaled[1] / 1e200, dX) and np.allclose(gaussian_w2_grad(m1, 0 * X, m2, Y, factors=True)[1], 0)
    assert np.allclose(gaussian_w2_grad(np.zeros(2), np.zeros((2, 2)), np.zeros(2), np.eye(2))[1], np.eye(2))


def test_barycentre():
    Ys, means, w = drawn(0, 4, 6, 6), drawn(1, 4, 6), np.array([1.0, 2.0, 3.0, 0.0])
    found = gaussian_barycenter(means, Ys, weights=w)
    S = found.X @ found.X.T
    mean_map = np.einsum("i,ijk->jk", w / 6, np.stack([gaussian_map(found.m, S, m, Y @ Y.T).A for m, Y in zip(means, Ys)]))
    assert found.converged and np.allclose(mean_map, np.eye(6), atol=1e-7) and np.allclose(found.m, w @ means / 6)
    assert found.cost == near(w @ [gaussian_w2(found.m, S, m, Y @ Y.T) for m, Y in zip(means, Ys)] / 6, rel=1e-9)
    one = gaussian_barycenter(means[:1], Ys[:1])
    assert np.allclose(one.X @ one.X.T, Ys[0] @ Ys[0].T) and one.cost < 1e-20
    thin_ones = gaussian_barycenter(means, [Y[:, :k] for k, Y in enumerate(Ys)], steps=5)
    assert thin_ones.X.shape == (6, 6) and thin_ones.steps <= 5
    commuting = gaussian_barycenter(np.zeros((2, 3)), [np.diag([1.0, 2, 3]), np.diag([3.0, 2, 0])])
    assert np.allclose(commuting.X @ commuting.X.T, np.diag([2.0, 2, 1.5])**2)
    single = gaussian_barycenter(means.astype(np.float32), Ys.astype(np.float32))
    assert single.X.dtype == single.m.dtype == np.float32 and single.converged


# --- samples

@pytest.mark.parametrize("n", ((30, 40), (4, 40), (40, 4), (5, 4)))
def test_frechet_distance(n):
    F, G = drawn(0, 2, n[0], 6), drawn(1, 2, n[1], 6) * [1, 2, 3, 1, 1, 0]
    for ddof in (0, 1):
        found, bias = frechet_distance(F, G, ddof=ddof, return_bias=True)
        for i in range(2):
            S, T = (np.cov(A[i].T, ddof=ddof) for A in (F, G))
            assert found[i] == near(gaussian_w2(F[i].mean(0), S, G[i].mean(0), T), rel=1e-10)
            lam = np.sqrt(np.maximum(np.linalg.eigvals(S @ T).real, 0))
            pairs = np.multiply.outer(lam, lam) / np.maximum(np.add.outer(lam, lam), 1e-300)
            expected = np.trace(S) / n[0] + np.trace(T) / n[1] + (1 / (n[0] - 1) + 1 / (n[1] - 1)) / 2 * (pairs.sum() + lam.sum() / 2)
            assert bias[i] == near(expected, rel=1e-5)
    assert abs(frechet_distance(F[0], F[0])) < 1e-12 and frechet_distance(F[0].astype(np.float32), G[0].astype(np.float32)).dtype == np.float32
    assert frechet_distance(F, G[0]).shape == (2,)


# --- libraries and derivatives

def quotient(f, args, changes, h=1e-5):
    ahead, behind = (f(*(x + sign * h * E for x, E in zip(args, changes))) for sign in (1, -1))
    return (ahead - behind) / (2 * h)


def directions(args, seed=20):
    changes = [drawn(seed + i, *x.shape) for i, x in enumerate(args)]
    return [(E + E.T) / 2 if E.ndim == 2 and len(E) == len(E.T) else E for E in changes]


CASES = [(name, given) for name in FOUR for given in ("dense", "noise")] + [("w2", "factors")]


def case(name, given):
    options = {"dense": {}, "factors": {"factors": True}, "noise": {"factors": True, "noise": (0.5, 0.7)}}[given]
    return (lambda *laws: FOUR[name](*laws, **options)), pair(4) if given == "dense" else thin(8, (2, 2))


@torch_only
@pytest.mark.parametrize("name, given", CASES)
def test_gradients_in_torch(name, given):
    import torch

    f, laws = case(name, given)
    changes = directions(laws)
    tensors = [torch.tensor(x, requires_grad=True) for x in laws]
    grads = torch.autograd.grad(f(*tensors), tensors, create_graph=given != "noise")
    slope = sum((G * torch.tensor(E)).sum() for G, E in zip(grads, changes))
    assert float(slope.detach()) == near(quotient(f, laws, changes), rel=1e-6)
    if given != "noise":
        assert given != "dense" or all(torch.allclose(G, G.mT) for G in grads if G.ndim == 2)
        again = torch.autograd.grad(slope, tensors)
        second = sum((G * torch.tensor(E)).sum() for G, E in zip(again, changes))
        along = lambda t: f(*(x + t * E for x, E in zip(laws, changes)))
        assert float(second) == near((along(1e-4) - 2 * along(0) + along(-1e-4)) / 1e-8, rel=1e-4)
    half = f(*(torch.tensor(x, dtype=torch.bfloat16) for x in laws)) if given != "dense" else None
    assert half is None or half.dtype == torch.bfloat16


@torch_only
def test_degenerate_gradients_in_torch():
    import torch

    zero, I = torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    for scale in (1.0, 4.0, 0.0):
        S = (scale * I).requires_grad_()
        gaussian_w2(zero, S, zero, I).backward()                    # ties, equal laws, no law at all
        assert torch.allclose(S.grad, (1 - scale**-0.5 if scale else 1) * I)
    S = I.clone().requires_grad_()
    for f in (gaussian_kl, gaussian_bhattacharyya, gaussian_fisher):
        assert torch.equal(torch.autograd.grad(f(zero, S, zero, I), S)[0], 0 * I)
    X = torch.eye(4, 1, dtype=torch.float64).requires_grad_()
    assert not torch.autograd.grad(gaussian_kl(zero, X, zero, I[:, 1:2], factors=True), X)[0].any()
    needles = torch.autograd.grad(gaussian_w2(zero, X, zero, I[:, 1:2], factors=True), X)[0]
    assert torch.equal(needles, 2 * X)                              # the least supergradient
    stack = torch.stack([I, 4 * I])
    assert torch.allclose(torch.vmap(lambda S: gaussian_w2(zero, S, zero, I))(stack), gaussian_w2(zero, stack, zero, I))


@torch_only
def test_map_features_and_devices_in_torch():
    import torch

    m1, S1, m2, S2 = laws = pair(3)
    W, E = drawn(8, 3, 3), directions((S1,))[0]
    S = torch.tensor(S1, requires_grad=True)
    m, n, T = map(torch.tensor, (m1, m2, S2))
    found = (gaussian_map(m, S, n, T).A * torch.tensor(W)).sum()
    slope = (torch.autograd.grad(found, S)[0] * torch.tensor(E)).sum()
    assert float(slope) == near(quotient(lambda S: np.sum(gaussian_map(m1, S, m2, S2).A * W), (S1,), (E,)), rel=1e-6)
    assert torch.allclose(gaussian_w2_grad(m, S, n, T)[1].detach(), torch.tensor(gaussian_w2_grad(*laws)[1]))
    for rows in ((9, 7), (3, 7)):
        F, G = drawn(0, rows[0], 4), drawn(1, rows[1], 4)
        E = drawn(2, *F.shape)
        X = torch.tensor(F, requires_grad=True)
        grad = torch.autograd.grad(frechet_distance(X, torch.tensor(G)), X)[0]
        assert float((grad * torch.tensor(E)).sum()) == near(quotient(lambda F: frechet_distance(F, G), (F,), (E,)), rel=1e-6)


@jax_only
@pytest.mark.parametrize("name, given", [("w2", "factors"), ("w2", "dense"), ("kl", "dense"), ("fisher", "dense")])
def test_gradients_in_jax(name, given):
    import jax

    asarray = LIBRARIES["jax"][0]
    f, laws = case(name, given)
    value, grads = jax.jit(jax.value_and_grad(f, argnums=(0, 1, 2, 3)))(*map(asarray, laws))
    changes = directions(laws)
    assert float(value) == near(float(f(*laws)), rel=1e-12)
    assert sum(float(np.sum(np.asarray(G) * E)) for G, E in zip(grads, changes)) == near(quotient(f, laws, changes), rel=1e-6)


@jax_only
def test_map_and_features_in_jax():
    import jax

    asarray = LIBRARIES["jax"][0]
    laws, F = pair(4), drawn(0, 5, 4)
    found = jax.jit(gaussian_map)(*map(asarray, laws))
    assert np.allclose(found.A, gaussian_map(*laws).A) and np.allclose(found.b, gaussian_map(*laws).b)
    grad = jax.jit(jax.grad(frechet_distance))(asarray(F), asarray(F[::-1] * 2))
    E = drawn(2, *F.shape)
    assert float(np.sum(np.asarray(grad) * E)) == near(quotient(lambda X: frechet_distance(X, F[::-1] * 2), (F,), (E,)))


def test_strict_arrays():
    asarray, back = LIBRARIES["strict"]
    for name, f in FOUR.items():
        laws = pair(3)
        assert float(back(f(*map(asarray, laws)))) == near(float(f(*laws)), rel=1e-9)


# --- cost

def test_nothing_large_from_factors():
    laws = [x.astype(np.float32) for x in thin(20_000, (4, 3))]
    F = laws[1].T.copy(), laws[3].T.copy()
    tracemalloc.start()
    for f in (gaussian_w2, gaussian_map, gaussian_w2_grad):
        f(*laws, factors=True)
    for f in FOUR.values():
        f(*laws, factors=True, noise=(1, 1))
    frechet_distance(*F)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 20_000 * 4


# --- refusals

GOOD = {"m1": np.zeros(3), "S1": np.eye(3), "m2": np.zeros(3), "S2": np.eye(3)}


@pytest.mark.parametrize("change, error, words", [
    ({"m1": np.zeros(4)}, ValueError, r"m2 has shape \(3,\); allowed is \(..., d\), with one d >= 1"),
    ({"m1": np.float64(0)}, ValueError, r"m1 has shape \(\)"),
    ({"m1": np.zeros(0), "m2": np.zeros(0)}, ValueError, r"m1 has shape \(0,\)"),
    ({"S1": np.eye(4)}, ValueError, r"S1 has shape \(4, 4\); allowed is \(..., d, d\) with d = 3"),
    ({"S2": np.zeros((3, 2))}, ValueError, r"S2 has shape \(3, 2\)"),
    ({"S1": np.eye(4), "factors": True}, ValueError, r"allowed is \(..., d, r\) with d = 3"),
    ({"S1": np.eye(3) * 1j}, TypeError, "S1 has dtype complex128; allowed are real numbers"),
    ({"S1": np.full((3, 3), np.nan)}, ValueError, "S1 contains 9 NaN and 0 Inf"),
    ({"m2": np.array([0, np.inf, 0])}, ValueError, "m2 contains 0 NaN and 1 Inf"),
    ({"S2": np.triu(np.ones((3, 3)))}, ValueError, "S2 is not Hermitian"),
    ({"S2": np.diag([1.0, 1.0, -0.5])}, ValueError, "S2 has an eigenvalue of -5.0e-01 times the largest; allowed is"),
    ({"S1": np.diag([1.0, 1.0, -0.5])}, ValueError, "S1 has an eigenvalue of -5.0e-01 times the largest; allowed is"),
    ({"noise": (1, 1)}, ValueError, "noise is given and factors is False"),
    ({"factors": True, "noise": 1.0}, ValueError, r"noise is 1.0; allowed is a pair \(a, b\)"),
    ({"factors": True, "noise": (1, -1)}, ValueError, "noise has b = -1; allowed are finite numbers >= 0"),
    ({"factors": True, "noise": (np.ones(2), 1)}, ValueError, r"noise has a of shape \(2,\)"),
    ({"m1": np.zeros((2, 3)), "m2": np.zeros((4, 3))}, ValueError, "the leading axes"),
])
@pytest.mark.parametrize("f", (gaussian_w2, gaussian_kl, gaussian_fisher))
def test_refusals(f, change, error, words):
    with pytest.raises(error, match=words):
        f(**GOOD | change)


@torch_only
def test_refuses_two_libraries():
    import torch

    with pytest.raises(TypeError, match="m2 is a Tensor and m1 is a ndarray; both must belong to one array library"):
        gaussian_w2(**GOOD | {"m2": torch.zeros(3)})
    with pytest.raises(TypeError, match="allowed are arrays of NumPy"):
        gaussian_barycenter(torch.zeros(1, 3), [torch.eye(3)])


@pytest.mark.parametrize("args, options, error, words", [
    ((np.zeros((0, 3)), []), {}, ValueError, "factors is empty"),
    ((np.zeros((2, 3)), [np.eye(3)]), {}, ValueError, r"means has shape \(2, 3\); allowed is \(k, d\) with k = 1"),
    ((np.zeros((1, 3)), [np.eye(4)]), {}, ValueError, r"factors\[0\] has shape \(4, 4\); allowed is \(d, r\) with d = 3"),
    ((np.zeros((1, 3)), [np.eye(3)]), {"weights": [-1]}, ValueError, r"weights is \[-1\]; allowed are 1 numbers >= 0"),
    ((np.zeros((1, 3)), [np.eye(3)]), {"weights": [0.0]}, ValueError, "not all of them 0"),
    ((np.zeros((1, 3)), [np.eye(3)]), {"steps": 0}, ValueError, "steps is 0; allowed is an integer from 1"),
    ((np.zeros((1, 3)), [np.eye(3)]), {"tol": -1.0}, ValueError, "tol is -1.0"),
])
def test_refusals_of_barycentres(args, options, error, words):
    with pytest.raises(error, match=words):
        gaussian_barycenter(*args, **options)


@pytest.mark.parametrize("args, options, words", [
    ((np.zeros((1, 3)), np.zeros((4, 3))), {}, r"F1 has shape \(1, 3\); allowed is \(..., n, d\) with n >= 2"),
    ((np.zeros((2, 3)), np.zeros((4, 2))), {}, r"F2 has shape \(4, 2\)"),
    ((np.zeros((2, 3)), np.zeros((4, 3))), {"ddof": 2}, "ddof is 2; allowed are 1, 0"),
])
def test_refusals_of_samples(args, options, words):
    with pytest.raises(ValueError, match=words):
        frechet_distance(*args, **options)


def test_second_method_for_roots():
    m1, S1, m2, S2 = pair()
    assert gaussian_w2(m1, S1, m1, S2) == near(np.trace(S1 + S2 - 2 * sqrtm(S1 @ S2).real), rel=1e-10)

"""Covariances: what is timed, on which inputs, against whom or against which plain baseline."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- gaussians: the name of a cell is the size of the difference, or the number of rows; its "rank" the dimension or r

BIG = 2048


@cache
def thin(r, d=BIG):
    draw = np.random.default_rng(0).standard_normal
    return draw(d), draw((d, r)), draw(d), draw((d, r))


@cache
def dense(r, noise=0.0):
    m1, X, m2, Y = thin(r)
    I = noise * np.eye(BIG)
    return m1, X @ X.T + I, m2, Y @ Y.T + I


@cache
def regular(name, d):
    """Covariances that differ by `name`, and exact numbers for them."""
    draw = np.random.default_rng(1).standard_normal
    X, E, zero = draw((d, 2 * d)), draw((d, d)), np.zeros(d)
    S = X @ X.T / d
    return zero, S, zero, E @ E.T / d + np.eye(d) if name == "apart" else S + float(name) * (E + E.T) / d**0.5


@cache
def exact_numbers(name, d):
    """W_2^2 and KL, with 60 digits."""
    mp = use("mpmath")
    _, S, _, T = regular(name, d)
    with mp.workdps(60):
        S, T = mp.matrix(S.tolist()), mp.matrix(T.tolist())
        X, L = mp.cholesky(S), mp.cholesky(T)
        W = mp.inverse(L) * X
        roots = mp.fsum(mp.sqrt(x) for x in mp.eigsy(X.T * T * X, eigvals_only=True))
        ratios = mp.eigsy(W * W.T, eigvals_only=True)
        w2 = mp.fsum(S[i, i] + T[i, i] for i in range(d)) - 2 * roots
        return float(w2), float(mp.fsum(x - 1 - mp.log(x) for x in ratios) / 2)


def off(which):
    def error(name, d, value):
        return abs(float(value) / exact_numbers(name, d)[which] - 1)
    return error


def by_pot(m1, S, m2, T, seed):
    return use("ot").gaussian.bures_wasserstein_distance(m1, m2, S, T)**2


def by_root(m1, S, m2, T, seed):
    """The algorithm of pytorch-fid."""
    root = use("scipy.linalg").sqrtm(S @ T).real
    return np.sum((m1 - m2)**2) + np.trace(S) + np.trace(T) - 2 * np.trace(root)


def by_eigenvalues(m1, S, m2, T, seed):
    """The algorithm of torchmetrics."""
    roots = np.sqrt(np.linalg.eigvals(S @ T).astype(complex)).real.sum()
    return np.sum((m1 - m2)**2) + np.trace(S) + np.trace(T) - 2 * roots


def torch_laws(m1, S, m2, T, noise=None):
    torch = use("torch")
    m1, S, m2, T = map(torch.from_numpy, (m1, S, m2, T))
    if noise is None:
        make = torch.distributions.MultivariateNormal
        return make(m1, S, validate_args=False), make(m2, T, validate_args=False)
    make = torch.distributions.LowRankMultivariateNormal
    a = torch.full_like(m1, noise)
    return make(m1, S, a, validate_args=False), make(m2, T, a, validate_args=False)


def kl_in_torch(m1, S, m2, T, seed, noise=None):
    return use("torch").distributions.kl_divergence(*torch_laws(m1, S, m2, T, noise))


def kl_by_textbook(m1, S, m2, T, seed):
    logdet = lambda S: np.linalg.slogdet(S)[1]
    x = m1 - m2
    return (x @ np.linalg.solve(T, x) - logdet(S) + logdet(T) + np.trace(np.linalg.solve(T, S)) - len(x)) / 2


@cache
def rows(n, d=BIG):
    draw = np.random.default_rng(2).standard_normal
    scales = np.arange(1, d + 1)**-0.5
    return draw((n, d)) * scales, draw((n, d)) * scales * 1.1 + 0.1


def moments_and(method):
    def fid(F, G, seed):
        return method(F.mean(0), np.cov(F.T), G.mean(0), np.cov(G.T), seed)
    return fid


def root_of_jitter(m1, S, m2, T, seed):
    I = 1e-6 * np.eye(len(S))
    return by_root(m1, S + I, m2, T + I, seed)


@cache
def many(name, d):
    draw = np.random.default_rng(3).standard_normal
    X, Y = draw((int(name), d, d + 2)), draw((int(name), d, d + 2))
    return np.zeros((int(name), d)), X @ X.mT, Y @ Y.mT


@cache
def five(name, d):
    Y = np.random.default_rng(4).standard_normal((int(name), d, d))
    return np.zeros((int(name), d)), Y


def pot_barycenter(m, Y, seed):
    return use("ot").gaussian.bures_wasserstein_barycenter(m, Y @ Y.mT, num_iter=1000, eps=1e-10)


GAUSSIANS = [
    Case(
        "gaussian_w2, 64 columns",
        [("thin", 64)],
        ours=lambda r, seed: lowrank.gaussian_w2(*thin(r), factors=True),
        peers={"POT": lambda r, seed: by_pot(*dense(r), seed), "eigvals (torchmetrics)": lambda r, seed: by_eigenvalues(*dense(r), seed)},
        measures={"relative": lambda name, r, value: abs(float(value) / float(lowrank.gaussian_w2(*thin(r), factors=True)) - 1)},
        aim="at most 1/5000 of the time of POT at d = 2048",
        targets=lambda name, r: within(1 / 5000, "POT"),
        given=lambda name, r: (dense(r) and r,),
    ),
    Case(
        "gaussian_kl, 64 columns and noise",
        [("thin", 64)],
        ours=lambda r, seed: lowrank.gaussian_kl(*thin(r), factors=True, noise=(1.0, 1.0)),
        peers={"torch, dense": lambda r, seed: kl_in_torch(*dense(r, 1.0), seed),
               "torch, low rank": lambda r, seed: kl_in_torch(*thin(r), seed, noise=1.0)},
        measures={"relative": lambda name, r, value: abs(float(value) / kl_by_textbook(*dense(r, 1.0), 0) - 1)},
        aim="at most 1/30 of the time of torch with covariances, and four times that of torch's low-rank law",
        targets=lambda name, r: [Target("relative", 1e-10), *within(1 / 30, "torch, dense"), *within(4, "torch, low rank")],
        given=lambda name, r: (dense(r, 1.0) and r,),
    ),
    Case(
        "gaussian_w2, covariances",
        [("apart", 512), ("0.02", 512), ("apart", BIG)],
        ours=lambda *laws: lowrank.gaussian_w2(*laws[:4]),
        peers={"POT": by_pot, "root (pytorch-fid)": by_root, "eigvals (torchmetrics)": by_eigenvalues},
        measures={},
        aim="at most 0.7 of the time of POT, and 0.4 of that of a root of the product",
        targets=lambda name, d: [*within(0.7, "POT"), *within(0.4, "root (pytorch-fid)")],
        given=regular,
    ),
    Case(
        "gaussian_w2, nearly equal",
        [("1e-3", 12), ("1e-5", 12), ("1e-7", 12)],
        ours=lambda *laws: lowrank.gaussian_w2(*laws[:4]),
        peers={"POT": by_pot, "root (pytorch-fid)": by_root, "eigvals (torchmetrics)": by_eigenvalues},
        measures={"error": off(0)},
        aim="a relative error of 1e-9 down to differences of 1e-5, and 1e-6 at 1e-7",
        targets=lambda name, d: [Target("error", 1e-6 if name == "1e-7" else 1e-9)],
        given=regular,
    ),
    Case(
        "gaussian_kl, nearly equal",
        [("1e-3", 12), ("1e-7", 12)],
        ours=lambda *laws: lowrank.gaussian_kl(*laws[:4]),
        peers={"torch": kl_in_torch, "textbook": kl_by_textbook},
        measures={"error": off(1)},
        aim="a relative error of 1e-12",
        targets=lambda name, d: [Target("error", 1e-12)],
        given=regular,
    ),
    Case(
        "frechet_distance, rows of 2048 features",
        [("500", BIG), ("1000", BIG), ("3000", BIG)],
        ours=lambda F, G, seed: lowrank.frechet_distance(F, G),
        peers={"eigvals (torchmetrics)": moments_and(by_eigenvalues), "root of S T + 1e-6 (pytorch-fid)": moments_and(root_of_jitter)},
        measures={"relative": lambda name, d, value: abs(float(value) / float(lowrank.frechet_distance(*rows(int(name)))) - 1)},
        aim="at most 1/10 of the time of torchmetrics for no more rows than half of the features, no slower for more",
        targets=lambda name, d: within(0.1 if int(name) <= 1000 else 1, "eigvals (torchmetrics)"),
        given=lambda name, d: rows(int(name)),
    ),
    Case(
        "gaussian_w2, 2000 pairs",
        [("2000", 8)],
        ours=lambda m, S, T, seed: lowrank.gaussian_w2(m, S, m, T),
        peers={"POT, a batch": lambda m, S, T, seed: use("ot").gaussian.bures_distance(S, T, paired=True)},
        measures={},
        aim="at most 0.6 of the time of POT",
        targets=lambda name, d: within(0.6, "POT, a batch"),
        given=many,
    ),
    Case(
        "gaussian_barycenter",
        [("5", 20)],
        ours=lambda m, Y, seed: lowrank.gaussian_barycenter(m, Y),
        peers={"POT": pot_barycenter},
        measures={},
        aim="at most 0.7 of the time of POT",
        targets=lambda name, d: within(0.7, "POT"),
        given=five,
    ),
]


# --- curvature: the name of a cell is the spectrum of the gradients, or a shape m x n; its "rank" the number N of gradients

DIMENSION = {64: 2048, 256: 512}


@cache
def gradients(name, N):
    """N gradients as rows, whose singular values are all alike or span nine decades, and one more."""
    U, s, V = factors(name, N)
    return U * s @ V.T, np.random.default_rng(1).standard_normal(len(V))


@cache
def factors(name, N):
    draw = np.random.default_rng(0).standard_normal
    U, V = np.linalg.qr(draw((N, N)))[0], np.linalg.qr(draw((DIMENSION[N], N)))[0]
    return U, np.geomspace(1, 1e-9, N) if name == "steep" else np.linspace(1, 2, N), V


@cache
def exact(name, N):
    """The root, and the whitened gradient with the pseudo-inverse, from the factors."""
    _, s, V = factors(name, N)
    return V * (s / N**0.5) @ V.T, V @ (N**0.5 / s * (V.T @ gradients(name, N)[1]))


def by_eigh(G, seed):
    """The root of the moment, as optimizers with matrix roots take it."""
    values, Q = np.linalg.eigh(G.T @ G / len(G))
    return Q * np.sqrt(np.maximum(values, 0)) @ Q.T


def by_sqrtm(G, seed):
    return use("scipy.linalg").sqrtm(G.T @ G / len(G)).real


def whiten_by_eigh(G, g, seed):
    values, Q = np.linalg.eigh(G.T @ G / len(G))
    keep = values > 1e-14 * values[-1]
    Q = Q[:, keep]
    return Q @ (values[keep]**-0.5 * (Q.T @ g))


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def lowest(name, N, R):
    """How far the smallest eigenvalue above zero is off, relative to the largest."""
    values = np.linalg.eigvalsh(R)[-N:] * N**0.5
    return abs(values[0] - (1e-9 if name == "steep" else 1)) / values[-1]


@cache
def layer(name, N):
    """Gradients of a layer with a Kronecker product and noise for a moment."""
    m, n = map(int, name.split("x"))
    draw = np.random.default_rng(1).standard_normal
    return draw((m, m)) @ draw((N, m, n)) * np.linspace(0.5, 2, n) + draw((N, m, n))


def by_svds(G, seed):
    """The leading pair of the rearranged moment, which is formed."""
    N, m, n = G.shape
    M = np.einsum("aij,akl->ikjl", G, G, optimize=True).reshape(m * m, n * n) / N
    u, s, vh = use("scipy.sparse.linalg").svds(M, k=1, rng=np.random.default_rng(seed))
    return s[0]**0.5 * u[:, 0].reshape(m, m), s[0]**0.5 * vh[0].reshape(n, n)


def by_sums(G, seed):
    """Shampoo's two sums, over their trace."""
    L, R = np.einsum("aij,akj->ik", G, G, optimize=True) / len(G), np.einsum("aij,ail->jl", G, G, optimize=True) / len(G)
    return L, R / np.trace(L)


def kronecker_error(name, N, pair):
    """norm(C - L (x) R) / norm(C), without C."""
    G, (L, R) = layer(name, N), pair[:2]
    V = G.reshape(N, -1)
    whole = np.sum((V @ V.T / N)**2)
    inner = np.mean([np.vdot(X, L @ X @ R.T) for X in G])
    return np.sqrt((whole - 2 * inner + np.sum(L**2) * np.sum(R**2)) / whole)


CURVATURE = [
    Case(
        "whiten_gradient",
        [("flat", 64), ("flat", 256), ("steep", 64)],
        ours=lambda G, g, seed: lowrank.whiten_gradient(G, g, rtol=0),
        peers={"eigh and product": whiten_by_eigh},
        measures={"error": lambda name, N, x: relative(x, exact(name, N)[1])},
        aim="at most 0.0045 of the time of an eigenvalue decomposition of size 2048 for 64 gradients, right where squares are not",
        targets=lambda name, N: [Target("error", 1e-12 if name == "flat" else 1e-5), *(within(0.0045, "eigh and product") if N == 64 else [])],
        given=gradients,
    ),
    Case(
        "curvature_from_gradients",
        [("flat", 64), ("steep", 64), ("steep", 256)],
        ours=lambda G, seed: lowrank.curvature_from_gradients(G),
        peers={"eigh": by_eigh, "sqrtm": by_sqrtm},
        measures={"error": lambda name, N, R: relative(R, exact(name, N)[0]), "lowest": lowest},
        aim="at most 1/10 of the time of eigh for 64 gradients in 2048 dimensions, eigenvalues to 1e-15 of the largest",
        targets=lambda name, N: [Target("lowest", 1e-14), *within(0.1 if N == 64 else 1, "eigh")],
        given=lambda name, N: gradients(name, N)[:1],
    ),
    Case(
        "nearest_kronecker",
        [("40x50", 30), ("20x20", 400)],
        ours=lambda G, seed: lowrank.nearest_kronecker(G),
        peers={"svds": by_svds, "Shampoo's sums": by_sums},
        measures={"error": kronecker_error},
        aim="the error of svds of the rearranged moment, in 0.15 of its time for 40 x 50 and 30 gradients",
        targets=lambda name, N: [Target("error", 1 + 1e-9, "svds"), *(within(0.15, "svds") if N == 30 else [])],
        given=lambda name, N: (layer(name, N),),
    ),
]

# --- mean_flow: the name of a cell is t - r, its "rank" the dimension

POINTS, LATE = 256, 0.7


@cache
def flow(name, d):
    """z, r, t, m, S of data with eigenvalues from 1e-4 to 4."""
    draw = np.random.default_rng(2).standard_normal
    Q = np.linalg.qr(draw((d, d)))[0]
    S = Q * np.geomspace(1e-4, 4, d) @ Q.T
    return draw((POINTS, d)), LATE - float(name), LATE, draw(d), (S + S.T) / 2


@cache
def exact_flow(name, d):
    """The average velocity from the eigenvectors, with coefficients in extended precision."""
    z, r, t, m, _ = flow(name, d)
    draw = np.random.default_rng(2).standard_normal
    Q, values = np.linalg.qr(draw((d, d)))[0], np.geomspace(1e-4, 4, d).astype(np.longdouble)
    root = lambda t: np.sqrt((1 - np.longdouble(t))**2 * values + np.longdouble(t)**2)
    phi = (t + np.longdouble(r) - (2 - t - np.longdouble(r)) * values) / (root(t) * (root(r) + root(t)))
    return ((z - (1 - t) * m) @ Q * phi.astype(float)) @ Q.T - m


def difference_of_roots(z, r, t, m, S, seed):
    values, Q = np.linalg.eigh(S)
    root = lambda t: np.sqrt((1 - t)**2 * values + t**2)
    return ((z - (1 - t) * m) @ Q * ((root(t) - root(r)) / ((t - r) * root(t)))) @ Q.T - m


MEAN_FLOW = [
    Case(
        "gaussian_mean_velocity",
        [("1e-3", 256), ("1e-9", 256)],
        ours=lambda z, r, t, m, S, seed: lowrank.gaussian_mean_velocity(z, r, t, m, S),
        peers={"difference of roots": difference_of_roots},
        measures={"error": lambda name, d, u: relative(u, exact_flow(name, d))},
        aim="exact where r is near t, at the price of the same eigenvalue decomposition",
        targets=lambda name, d: [Target("error", 1e-13)],
        given=flow,
    ),
]

CASES = [*GAUSSIANS, *CURVATURE, *MEAN_FLOW]

"""Covariances: what is timed, on which inputs, against whom or against which plain baseline."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

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

CASES = [*CURVATURE, *MEAN_FLOW]

"""Companions: what is timed, on which inputs, against whom or against which plain baseline."""

import math
from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- loss_free_bias: sigmoids of normal logits with another mean for each expert; the name of a cell says tokens x experts, the "rank" is k

@cache
def expert_scores(name):
    tokens, n = map(int, name.split("x"))
    logits = np.random.default_rng(0).standard_normal((tokens, n)) + np.linspace(-1.5, 1.5, n)
    return 1 / (1 + np.exp(-logits))


def given_experts(name, k):
    return expert_scores(name), k


def violation(name, k, b):
    return lowrank.expert_load(expert_scores(name), k, bias=b).max_violation


def sign_steps(S, k, seed):
    """The published rule, as training programs have it: topk, bincount, sign."""
    torch = use("torch")
    scores, n = torch.from_numpy(S), S.shape[1]
    b = torch.zeros(n, dtype=torch.float64)
    for _ in range(1000):
        counts = torch.bincount(torch.topk(scores + b, k, dim=-1, sorted=False).indices.flatten(), minlength=n)
        b += 1e-3 * torch.sign(counts.double().mean() - counts)
    return b.numpy()


def linear_program(S, k, seed):
    """Duals of the balanced assignment, by HiGHS on a sparse table of constraints."""
    sparse, (N, n) = use("scipy.sparse"), S.shape
    rows = sparse.vstack([sparse.kron(sparse.eye(N), np.ones((1, n))), sparse.kron(np.ones((1, N)), sparse.eye(n))], format="csr")
    right = np.append(np.full(N, k), np.full(n, N * k / n))
    return use("scipy.optimize").linprog(-S.ravel(), A_eq=rows, b_eq=right, bounds=(0, 1), method="highs").eqlin.marginals[N:]


BALANCE = [
    Case(
        "loss_free_bias",
        [("2048x16", 4), ("4096x64", 8)],
        ours=lambda S, k, seed: lowrank.loss_free_bias(S, k, 5, rule="quantile"),
        peers={
            "quantile, 20": lambda S, k, seed: lowrank.loss_free_bias(S, k, 20, rule="quantile"),
            "sign, 1000": lambda S, k, seed: lowrank.loss_free_bias(S, k, 1000, 1e-3),
            "sign in torch, 1000": sign_steps,
            "linear program": linear_program,
        },
        measures={"MaxVio": violation},
        aim="five sweeps of quantiles: MaxVio at most 0.05, 1/100 of the time of 1000 steps by signs",
        targets=lambda name, k: [Target("MaxVio", 0.05), *within(0.01, "sign, 1000", "sign in torch, 1000")],
        given=given_experts,
    ),
]


# --- sign_update_second: correlations of a gradient with so many entries ("rank"), drawn, or of pairs that are nearly the same entry twice

@cache
def gradient_law(name, d):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((d, d // 3))
    if name == "twins":
        X = np.repeat(X[::2], 2, axis=0) + 1e-3 * rng.standard_normal((d, d // 3))
    return rng.standard_normal(d), X @ X.T / (d // 3), 4.0


def standardised(g, Sigma, B):
    """a and b for all pairs, and their correlations."""
    spread = np.sqrt(np.diag(Sigma))
    a = g * B**0.5 / spread
    return np.broadcast_to(a[:, None], Sigma.shape), np.broadcast_to(a, Sigma.shape), Sigma / np.outer(spread, spread)


def by_owen(g, Sigma, B, seed=0):
    """SciPy's function of Owen, for all pairs at once."""
    ndtr, owens_t = use("scipy.special").ndtr, use("scipy.special").owens_t
    a, b, r = standardised(g, Sigma, B)
    s = np.sqrt(np.maximum((1 - r) * (1 + r), 1e-300))
    P = (ndtr(a) + ndtr(b)) / 2 - owens_t(a, (b - r * a) / (a * s)) - owens_t(b, (a - r * b) / (b * s)) - np.where(a * b > 0, 0, 0.5)
    M = 4 * P - 2 * ndtr(a) - 2 * ndtr(b) + 1
    M[np.diag_indices(len(g))] = 1
    return M


def by_normal_law(g, Sigma, B, seed):
    """SciPy's bivariate normal law, one pair after the other."""
    normal = use("scipy.stats").multivariate_normal
    a, _, r = standardised(g, Sigma, B)
    a, M = a[:, 0], np.eye(len(g))
    below = normal.cdf(a[:, None])
    for i in range(len(g)):
        for j in range(i):
            P = normal.cdf(a[[i, j]], cov=[[1, r[i, j]], [r[i, j], 1]])
            M[i, j] = M[j, i] = 4 * P - 2 * below[i] - 2 * below[j] + 1
    return M


def by_draws(g, Sigma, B, seed):
    """Ten thousand batches."""
    signs = np.sign(np.random.default_rng(seed).multivariate_normal(g, Sigma / B, size=10_000))
    return signs.T @ signs / 10_000


SIGNS = [
    Case(
        "sign_update_second",
        [("drawn", 24), ("twins", 24), ("drawn", 300)],
        ours=lambda g, Sigma, B, seed: lowrank.sign_update_second(g, Sigma, B),
        peers={"Owen's T": by_owen, "draws": by_draws, "normal law": lambda g, *rest: by_normal_law(g, *rest) if len(g) < 100 else None},
        measures={"error": lambda name, d, M: math.nan if M is None else np.abs(M - by_owen(*gradient_law(name, d))).max()},
        aim="errors below 1e-10, a tenth of the time of SciPy's bivariate law pair by pair",
        targets=lambda name, d: [Target("error", 1e-10), *(within(0.1, "normal law") if d < 100 else [])],
        given=gradient_law,
    ),
]


# --- softsign: the name of a cell says where eps lies, in units of the noise; its "rank" is the number of entries

WHERE = {"small": (0.0, 1.0), "mixed": (0.0, 4.0), "large": (2.0, 100.0)}


@cache
def soft_entries(name, n):
    rng = np.random.default_rng(0)
    return 3 * rng.standard_normal(n), rng.uniform(*WHERE[name], n)


@cache
def voigt(name, n):
    a, e = soft_entries(name, n)
    return 1 - np.pi * e * use("scipy.special").voigt_profile(a, 1.0, e)


@cache
def means_by_quadrature(name, n):
    """Of every n / 50-th entry, in the variable in which nothing is steep."""
    a, e = (x[::max(1, n // 50)] for x in soft_entries(name, n))
    s = np.linspace(0, 40, 40_001)[:, None]
    f = a * (2 / np.pi)**0.5 * np.exp(-(np.minimum(e * np.sinh(s), 60)**2 + (a * np.tanh(s))**2) / 2) / np.cosh(s)**2
    return (f.sum(axis=0) - f[0] / 2) * s[1]                     # of an even function: exact to rounding


def by_quad(power):
    """SciPy's quad, one entry after the other."""
    def each(a, e, seed):
        quad = use("scipy.integrate").quad
        f = lambda x, a, e: (x / math.hypot(x, e))**power * math.exp(-(x - a)**2 / 2) * 0.3989422804014327
        return np.array([quad(f, a - 9, a + 9, (a, e), points=[0])[0] for a, e in zip(a.tolist(), e.tolist())])
    return each


def wrong_mean(name, n, m):
    exact = means_by_quadrature(name, n)
    return np.abs(m[::max(1, n // 50)] - exact).max()


SOFT = [
    Case(
        f"softsign_{moment}",
        [("small", 20_000), ("mixed", 20_000), ("large", 20_000)],
        ours=lambda a, e, seed, f=f: f(a, 1.0, 1.0, e),
        peers={"quad": by_quad(power)} | ({"Voigt": lambda a, e, seed: 1 - np.pi * e * use("scipy.special").voigt_profile(a, 1.0, e)} if power == 2 else {}),
        measures={"error": measure},
        aim="errors below 1e-10, 0.005 of the time of quad entry by entry",
        targets=lambda name, n: [Target("error", 1e-10), *within(0.005, "quad")],
        given=soft_entries,
    )
    for moment, power, f, measure in (("mean", 1, lowrank.softsign_mean, wrong_mean),
                                      ("second", 2, lowrank.softsign_second, lambda name, n, s: np.abs(s - voigt(name, n)).max()))
]


CASES = [
    *BALANCE,
    *SIGNS,
    *SOFT,
]

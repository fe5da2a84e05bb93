"""Companions: what is timed, on which inputs, against whom or against which plain baseline."""

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


CASES = [
    *BALANCE,
]

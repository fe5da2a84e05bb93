"""Structured matrices: what is timed, on which data, against whom."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- nystrom_attention: Gaussian tokens of 64 numbers in single precision; the "matrix" is n, the "rank" the landmarks


@cache
def gaussian_tokens(name):
    return tuple(np.random.default_rng(0).standard_normal((3, int(name), 64)).astype(np.float32))


def given_tokens(name, m):
    return *gaussian_tokens(name), m


def full_attention(Q, K, V, m=None, seed=None):
    """The plain formula, in place."""
    S = Q @ K.T
    S *= np.float32(Q.shape[1] ** -0.5)
    S -= S.max(axis=1, keepdims=True)
    np.exp(S, out=S)
    S /= S.sum(axis=1, keepdims=True)
    return S @ V


@cache
def exact_outputs(name):
    Q, K, V = (X.astype(float) for X in gaussian_tokens(name))
    return full_attention(Q, K, V)


def output_error(name, m, Y):
    exact = exact_outputs(name)
    return np.linalg.norm(Y - exact) / np.linalg.norm(exact)


def fused_attention(Q, K, V, m, seed):
    torch = use("torch")
    given = (torch.from_numpy(X)[None, None] for X in (Q, K, V))
    return torch.nn.functional.scaled_dot_product_attention(*given)[0, 0].numpy()


def public_nystrom(Q, K, V, m, seed):
    """Six steps, as the public code takes them, in NumPy."""
    def softmax(X):
        E = np.exp(X - X.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)

    pooled = lambda X: X.reshape(m, -1, X.shape[1]).mean(axis=1)
    q, k, scale = pooled(Q), pooled(K), np.float32(Q.shape[1] ** -0.5)
    C, W, R = softmax(scale * Q @ k.T), softmax(scale * q @ k.T), softmax(scale * q @ K.T)
    I, Z = np.eye(m, dtype=np.float32), W.T / (np.abs(W).sum(axis=0).max() * np.abs(W).sum(axis=1).max())
    for _ in range(6):
        X = W @ Z
        Z = Z @ (13 * I - X @ (15 * I - X @ (7 * I - X))) / 4
    return C @ (Z @ (R @ V))


ATTENTION = {"plain formula": full_attention, "torch fused": fused_attention, "six steps": public_nystrom}
LIMITS = {"fitted": {"4096": 0.3}, "inverse": {"4096": 0.15}, "steps": {"4096": 0.15}}
OPTIONS = {"fitted": lambda seed: {"rng": seed}}


CASES = [
    *(
        Case(
            f"nystrom_attention, {core}",
            [("1024", 64), ("4096", 64), ("8192", 64)],
            ours=lambda Q, K, V, m, seed, core=core: lowrank.nystrom_attention(Q, K, V, m, core=core, **OPTIONS.get(core, lambda seed: {})(seed)),
            peers=ATTENTION,
            measures={"error": output_error},
            aim="at n = 4096 at most the share of full attention's time that the last column says; the fitted core errs less than six steps",
            targets=lambda name, m, core=core: (within(LIMITS[core][name], "plain formula") if name in LIMITS[core] else [])
            + ([Target("error", 1.0, "six steps")] if core == "fitted" else []),
            given=given_tokens,
        )
        for core in ("fitted", "inverse", "steps")
    ),
    Case(
        "attention_error",
        [("4096", 64), ("8192", 64)],
        ours=lambda Q, K, V, m, seed: lowrank.attention_error(Q, K, V, V, rng=seed),
        peers={"plain formula": full_attention},
        measures={},
        aim="at most a tenth of full attention's time",
        targets=lambda name, m: within(0.1, "plain formula"),
        given=given_tokens,
    ),
]

"""Adapters: what is timed, on which inputs, against whom or against which plain baseline."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- lora: factors in float32; the name of a cell is the shape of the weights, or a condition number for 768 x 768; its "rank" that of the adapter

TOKENS = 256


@cache
def adapter(name, r):
    """A, B and the gradients of both in float32, and G."""
    m, n = (768, 768) if name.startswith("condition") else map(int, name.split("x"))
    draw = np.random.default_rng(0).standard_normal
    A, B, G = draw((m, r)), draw((r, n)), draw((m, n)).astype(np.float32)
    if name.startswith("condition"):
        graded = np.geomspace(1, 1 / float(name.split()[1]), r)
        A, B = (np.linalg.qr(X)[0] * graded @ np.linalg.qr(draw((r, r)))[0] for X in (A, B.T))
        B = B.T
    A, B = A.astype(np.float32), B.astype(np.float32)
    return A, B, G @ B.T, A.T @ G, G


def given_adapter(name, r):
    return adapter(name, r)[:4]


@cache
def projected_gradient(name, r):
    A, B, *_, G = (X.astype(float) for X in adapter(name, r))
    P, Q = np.linalg.qr(A)[0], np.linalg.qr(B.T)[0]
    left = P @ (P.T @ G)
    return left + (G - left) @ Q @ Q.T


def off_the_projection(name, r, pair):
    """The distance of H_A B + A H_B from the projection of G, relative to G."""
    A, B, *_, G = (X.astype(float) for X in adapter(name, r))
    H_A, H_B = (np.asarray(X, float) for X in pair[:2])
    return np.linalg.norm(H_A @ B + A @ H_B - projected_gradient(name, r)) / np.linalg.norm(G)


def published_pro(A, B, G_A, G_B, seed):
    """The formulas of LoRA-Pro's code: pseudo-inverses of Gram matrices with a ridge, an m x m projector, eigenvectors for Sylvester."""
    I = np.eye(A.shape[1], dtype=A.dtype)
    left, right = (np.linalg.pinv(X + np.float32(1e-8) * I) for X in (A.T @ A, B @ B.T))
    H_A = (np.eye(len(A), dtype=A.dtype) - A @ left @ A.T) @ G_A @ right
    H_B = left @ G_B
    R, U = np.linalg.eig(A.T @ A)
    S, V = np.linalg.eig(B @ B.T)
    X = U @ (np.linalg.solve(U, -H_B @ B.T) @ V / (R[:, None] + S)) @ np.linalg.inv(V)
    return H_A - A @ X, H_B + X @ B


def inverse_squares(A, B, G_A, G_B, seed):
    """The symmetric pair with inverses of the Gram matrices, the cheapest formula there is."""
    left, right = np.linalg.inv(A.T @ A), np.linalg.inv(B @ B.T)
    H_A, H_B = G_A @ right, left @ G_B
    corner = left @ (A.T @ H_A)
    return H_A - A @ corner / 2, H_B - corner @ B / 2


@cache
def layer(m, n):
    draw = np.random.default_rng(1).standard_normal
    return draw((m, n)).astype(np.float32), draw((n, TOKENS)).astype(np.float32)


def frozen_pass(A, B, G_A, G_B, seed):
    """What the layer itself takes for 256 tokens."""
    W, x = layer(len(A), B.shape[1])
    return 0 * A, 0 * B, W @ x


def spectral(name, r, pair):
    A, B, *_ = adapter(name, r)
    return np.linalg.norm(np.asarray(pair[0] @ B + A @ pair[1], float), 2)


def dense_truncation(A, B, H_A, H_B, seed):
    U, s, Vh = np.linalg.svd(A @ B - 0.1 * (H_A @ B + A @ H_B), full_matrices=False)
    r = A.shape[1]
    return U[:, :r] * s[:r], Vh[:r]


@cache
def gradient(name):
    m, n = map(int, name.split("x"))
    U, V = (np.linalg.qr(np.random.default_rng(i).standard_normal((k, min(m, n))))[0] for i, k in enumerate((m, n)))
    return U / np.arange(1, min(m, n) + 1) @ V.T


def full_start(G, r, seed):
    U, _, Vh = np.linalg.svd(G, full_matrices=False)
    return U[:, :r], Vh[r:2 * r]


def torch_start(G, r, seed):
    """As peft decomposes the gradient, without its scales."""
    torch = use("torch")
    torch.manual_seed(seed)
    U, _, V = torch.svd_lowrank(torch.from_numpy(G), q=4 * r, niter=4)
    return U[:, :r].numpy(), V[:, r:2 * r].numpy().T


def over_best(name, r, start):
    A, B = start
    G = gradient(name)
    return np.linalg.norm(A @ (A.T @ G) + (G @ B.T) @ B - G) / np.linalg.norm(1 / np.arange(2 * r + 1, min(G.shape) + 1))


SIZES = [("768x768", 8), ("1024x4096", 16), ("2048x2048", 64)]
LORA = [
    Case(
        "lora_pro_gradients",
        [*SIZES, ("condition 1000", 8)],
        ours=lambda A, B, G_A, G_B, seed: lowrank.lora_pro_gradients(A, B, G_A, G_B),
        peers={"published formulas": published_pro, "inverse squares": inverse_squares, "frozen layer": frozen_pass},
        measures={"error": off_the_projection},
        aim="at most 1/3 of the published formulas' time, 2 % of 256 tokens through the layer at r = 16, float32 errors of 1e-5 at condition 1000",
        targets=lambda name, r: [Target("error", 1e-5), *within(1 / 3, "published formulas"), *(within(0.02, "frozen layer") if r == 16 else [])],
        given=given_adapter,
    ),
    Case(
        "lora_muon_gradients",
        SIZES,
        ours=lambda A, B, G_A, G_B, seed: lowrank.lora_muon_gradients(A, B, G_A, G_B),
        peers={"frozen layer": frozen_pass},
        measures={"norm": lambda name, r, pair: spectral(name, r, pair[:2])},
        aim="a spectral norm of at most 1",
        targets=lambda name, r: [Target("norm", 1 + 1e-5)],
        given=given_adapter,
    ),
    Case(
        "lora_retract",
        SIZES[:1],
        ours=lambda A, B, H_A, H_B, seed: lowrank.lora_retract(A, B, H_A, H_B, 0.1),
        peers={"dense truncation": dense_truncation},
        measures={},
        aim="at most a fiftieth of the truncation of the full matrix",
        targets=lambda name, r: within(0.02, "dense truncation"),
        given=given_adapter,
    ),
    Case(
        "lora_ga_init",
        [("1024x1024", 8)],
        ours=lambda G, r, seed: lowrank.lora_ga_init(G, r),
        peers={"full SVD": full_start, "torch.svd_lowrank": torch_start},
        measures={"over best": over_best},
        aim="the optimum to 1e-6, at most a tenth of a full decomposition's time",
        targets=lambda name, r: [Target("over best", 1 + 1e-6), *within(0.1, "full SVD")],
        given=lambda name, r: (gradient(name), r),
    ),
]


CASES = [
    *LORA,
]

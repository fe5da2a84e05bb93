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


# --- mla_decode: one step in float32; the name of a cell is the number of heads, its "rank" that of cached tokens
# r = 512, d_r = 64, heads of width 128 as in DeepSeek's models; the full cache has keys of width 192 and values of width 128

R, D_R, WIDTH = 512, 64, 128
SCALE = np.float32((WIDTH + D_R)**-0.5)


@cache
def step(name, N):
    """q, q_rope, cache, Uk, Uv, and the full cache of them, by heads."""
    h, draw = int(name), np.random.default_rng(0).standard_normal
    shapes = (h, WIDTH), (h, D_R), (N, R + D_R), (h, R, WIDTH), (h, R, WIDTH)
    q, q_rope, C, Uk, Uv = (draw(shape).astype(np.float32) for shape in shapes)
    Uk, Uv = Uk / R**0.5, Uv / R**0.5
    K = np.concatenate([C[:, :R] @ Uk, np.broadcast_to(C[:, R:], (h, N, D_R))], axis=-1)
    return q, q_rope, C, Uk, Uv, K, C[:, :R] @ Uv


@cache
def step_in_double(name, N):
    q, q_rope, *_, K, V = (x.astype(float) for x in step(name, N))
    S = (K @ np.concatenate([q, q_rope], axis=-1)[..., None])[..., 0] * (WIDTH + D_R)**-0.5
    return (weights(S)[:, None] @ V)[:, 0]


def weights(S):
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def full_cache(q, q_rope, C, Uk, Uv, K, V, seed):
    """Keys and values that were kept, one matrix-vector product a head."""
    S = (K @ np.concatenate([q, q_rope], axis=-1)[..., None])[..., 0] * SCALE
    return (weights(S)[:, None] @ V)[:, 0]


def expanding(q, q_rope, C, Uk, Uv, K, V, seed):
    """Latents that were kept, expanded at each step."""
    S = ((C[:, :R] @ Uk) @ q[..., None])[..., 0] + q_rope @ C[:, R:].T
    return (weights(S * SCALE)[:, None] @ (C[:, :R] @ Uv))[:, 0]


@cache
def as_tensors(name, N):
    return [use("torch").from_numpy(x) for x in step(name, N)]


def in_torch(q, *others):
    """The tensors of a cell, by its sizes."""
    return as_tensors(str(len(q)), len(others[1]))


def full_cache_in_torch(q, q_rope, C, *rest):
    torch = use("torch")
    q, q_rope, *_, K, V = in_torch(q, q_rope, C)
    S = (K @ torch.cat([q, q_rope], dim=-1)[..., None])[..., 0] * float(SCALE)
    return (torch.softmax(S, dim=-1)[:, None] @ V)[:, 0].numpy()


def fused_in_torch(q, q_rope, C, *rest):
    torch = use("torch")
    q, q_rope, *_, K, V = in_torch(q, q_rope, C)
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(torch.cat([q, q_rope], dim=-1)[:, None], K, V)[:, 0].numpy()


def ours_in_torch(q, q_rope, C, *rest):
    q, q_rope, C, Uk, Uv, *_ = in_torch(q, q_rope, C)
    return lowrank.mla_decode(q, C, Uk, Uv, q_rope=q_rope).numpy()


def wrong_step(name, N, y):
    exact = step_in_double(name, N)
    return np.linalg.norm(y - exact) / np.linalg.norm(exact)


STEPS = [("16", 4096), ("64", 4096)]
DECODE = [
    Case(
        f"mla_decode, {library}",
        STEPS,
        ours=ours,
        peers=peers,
        measures={"error": wrong_step},
        aim="at most half the time of a full cache, .03 of that of expanding again, errors of 1e-6",
        targets=lambda name, N, peers=tuple(peers): [Target("error", 1e-6), *within(0.5, *(p for p in peers if p.startswith("full"))),
                                                     *within(0.03, *(p for p in peers if p == "expanding"))],
        given=step,
    )
    for library, ours, peers in (
        ("NumPy", lambda q, q_rope, C, Uk, Uv, K, V, seed: lowrank.mla_decode(q, C, Uk, Uv, q_rope=q_rope), {"full cache": full_cache, "expanding": expanding}),
        ("PyTorch", ours_in_torch, {"full, products": full_cache_in_torch, "full, fused": fused_in_torch}),
    )
]


# --- joint_kv_compress: the digits as tokens, 4 heads of width 16; the name of a cell says what is measured on, the "rank" is r

@cache
def digits():
    X = use("sklearn.datasets").load_digits().data
    Wk, Wv = np.random.default_rng(0).standard_normal((2, 4, 64, 16))
    return X[:1200], X[1200:], Wk, Wv


def weights_and_tokens(name, r):
    X, _, Wk, Wv = digits()
    return Wk, Wv, r, X


def joined(factors):
    D, Uk, Uv = factors
    return D @ np.concatenate([*Uk, *Uv], axis=1)


def relative_error(name, r, factors):
    X, Y, Wk, Wv = digits()
    T, M = (X if name == "seen" else Y), np.concatenate([*Wk, *Wv], axis=1)
    return np.linalg.norm(T @ (M - joined(factors))) / np.linalg.norm(T @ M)


def over_least(name, r, factors):
    X, Y, Wk, Wv = digits()
    T, M = (X if name == "seen" else Y), np.concatenate([*Wk, *Wv], axis=1)
    least = np.sqrt(np.sum(np.linalg.svd(T @ M, compute_uv=False)[r:]**2))
    return np.linalg.norm(T @ (M - joined(factors))) / least


def weights_alone(Wk, Wv, r, X, seed):
    """As MHA2MLA does: a decomposition of the weights, jointly, and no data."""
    return lowrank.joint_kv_compress(Wk, Wv, r)


def keys_and_values_apart(Wk, Wv, r, X, seed):
    D, Uk, _ = lowrank.joint_kv_compress(Wk, 0 * Wv, r // 2, X)
    E, _, Uv = lowrank.joint_kv_compress(0 * Wk, Wv, r // 2, X)
    zeros = np.zeros((4, r // 2, 16))
    return np.hstack([D, E]), np.concatenate([Uk, zeros], 1), np.concatenate([zeros, Uv], 1)


def tokens_first(Wk, Wv, r, X, seed):
    E = np.linalg.svd(X, full_matrices=False)[2][:r].T
    return E, E.T @ Wk, E.T @ Wv


def gram_matrix(Wk, Wv, r, X, seed):
    """As TransMLA does: principal components of the outputs, from their Gram matrix."""
    M = np.concatenate([*Wk, *Wv], axis=1)
    V = np.linalg.eigh(M.T @ (X.T @ X) @ M)[1][:, ::-1][:, :r]
    split = lambda U: U.reshape(r, 4, 16).swapaxes(0, 1)
    return M @ V, split(V.T[:, :64]), split(V.T[:, 64:])


COMPRESS = [
    Case(
        "joint_kv_compress",
        [(name, r) for name in ("seen", "held out") for r in (8, 16, 32)],
        ours=lambda Wk, Wv, r, X, seed: lowrank.joint_kv_compress(Wk, Wv, r, X),
        peers={"weights alone": weights_alone, "apart": keys_and_values_apart, "tokens first": tokens_first, "Gram matrix": gram_matrix},
        measures={"error": relative_error, "over least": over_least},
        aim="the smallest error to 1e-10 on the tokens that are given",
        targets=lambda name, r: [Target("over least", 1 + 1e-10)] if name == "seen" else [],
        given=weights_and_tokens,
    ),
]


CASES = [
    *LORA,
    *DECODE,
    *COMPRESS,
]

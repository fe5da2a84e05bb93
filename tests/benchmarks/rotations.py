"""Rotations: what is timed, on which inputs, against whom."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- vq_assign: Gaussian vectors and codes in single precision; the name of a cell says N x K x d, its "rank" the offset


@cache
def vectors_and_codes(name, offset):
    N, K, d = map(int, name.split("x"))
    rng = np.random.default_rng(0)
    return tuple((rng.standard_normal((n, d)) + offset).astype(np.float32) for n in (N, K))


@cache
def nearest(name, offset):
    """By differences in double precision."""
    Z, C = (v.astype(float) for v in vectors_and_codes(name, offset))
    return use("scipy.spatial.distance").cdist(Z, C, "sqeuclidean").argmin(axis=1)


def wrong_codes(name, offset, found):
    return np.mean(np.asarray(found) != nearest(name, offset))


def by_cdist(Z, C, seed):
    torch = use("torch")
    return torch.cdist(torch.from_numpy(Z), torch.from_numpy(C)).argmin(dim=-1).numpy()


def by_sklearn(Z, C, seed):
    return use("sklearn.metrics").pairwise_distances_argmin(Z, C)


def expanded(Z, C, seed):
    return ((Z * Z).sum(axis=1)[:, None] - 2 * Z @ C.T + (C * C).sum(axis=1)).argmin(axis=1)


# --- rotation_trick: the name of a cell is the angle, its "rank" the width; 4096 vectors in single precision

ANGLES = {"nearest code": 0.6, "90": np.pi / 2, "180-1e-3": np.pi - 1e-3, "180-1e-6": np.pi - 1e-6}


@cache
def pairs_and_gradients(name, d):
    rng = np.random.default_rng(0)
    a, e, u = rng.standard_normal((3, 4096, d))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    e -= (a * e).sum(axis=1, keepdims=True) * a
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    return tuple(v.astype(np.float32) for v in (2 * a, 3 * (np.cos(ANGLES[name]) * a + np.sin(ANGLES[name]) * e), u))


def length_error(name, d, g):
    """The largest relative error of |g| = |q| / |z| |u|, which an orthogonal R keeps."""
    z, q, u = (np.linalg.norm(v.astype(float), axis=1) for v in pairs_and_gradients(name, d))
    return np.abs(np.linalg.norm(np.asarray(g, dtype=float), axis=1) / (q / z * u) - 1).max()


def rotated_forward(z, q, u, seed):
    """The public way, rewritten: M z with M held constant, differentiated by PyTorch."""
    torch = use("torch")
    z, q, u = map(torch.from_numpy, (z, q, u))
    z = z.clone().requires_grad_()
    length = lambda v: v.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    a, b = (z / length(z)).detach(), (q / length(q)).detach()
    w = torch.nn.functional.normalize(a + b, dim=-1, eps=1e-6)
    x = z[:, None]
    y = x - 2 * (x @ w[:, :, None]) @ w[:, None] + 2 * (x @ a[:, :, None]) @ b[:, None]
    (y[:, 0] * (length(q) / length(z)).detach()).backward(u)
    return z.grad.numpy()


def through(z, q, u, seed):
    """pass_through and its backward pass, as a network in PyTorch uses them."""
    torch = use("torch")
    z, q, u = map(torch.from_numpy, (z, q, u))
    z = z.clone().requires_grad_()
    lowrank.pass_through(z, q).backward(u)
    return z.grad.numpy()


SIZES = ("8192x512x16", "4096x8192x64")

CODES = [
    Case(
        "vq_assign",
        [(name, offset) for name in SIZES for offset in (0, 10_000)],
        ours=lambda Z, C, seed: lowrank.vq_assign(Z, C),
        peers={"torch.cdist": by_cdist, "sklearn argmin": by_sklearn, "expanded": expanded},
        measures={"wrong": wrong_codes},
        aim="no wrong code at any offset; at most .33 of torch.cdist's time and .5 of scikit-learn's",
        targets=lambda name, offset: [Target("wrong", 0.0), *within(0.33, "torch.cdist"), *within(0.5, "sklearn argmin")],
        given=vectors_and_codes,
    ),
    *(
        Case(
            f"{name}, 4096 vectors",
            [(angle, 256) for angle in ANGLES],
            ours=ours,
            peers={"M z, differentiated": rotated_forward},
            measures={"length": length_error},
            aim=f"lengths to 5e-7 at every angle; at the angle of a nearest code at most {limit} of the time of the public forward pass with its backward pass",
            targets=lambda angle, d, limit=limit: [Target("length", 5e-7)] + (within(limit, "M z, differentiated") if angle == "nearest code" else []),
            given=pairs_and_gradients,
        )
        for name, limit, ours in (
            ("rotation_trick", 0.15, lambda z, q, u, seed: lowrank.rotation_trick(z, q, u)),
            ("pass_through", 0.25, through),
        )
    ),
]


CASES = [*CODES]

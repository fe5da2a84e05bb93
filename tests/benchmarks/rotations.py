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


# --- rope_rotate: queries (heads, n, d) in single precision; the name of a cell says heads x n, its "rank" the width d.
# The peers are our own lines for what public programs do, with tables of cosines that are made before, except the last.


@cache
def tokens(name, d):
    heads, n = map(int, name.split("x"))
    return np.random.default_rng(0).standard_normal((heads, n, d)).astype(np.float32), np.arange(n), lowrank.rope_frequencies(d)


@cache
def tables(n, d, layout):
    """cos and sin for all d coordinates, of angles in double precision."""
    angles = np.multiply.outer(np.arange(n), lowrank.rope_frequencies(d))
    angles = np.concatenate([angles, angles], axis=-1) if layout == "halves" else np.repeat(angles, 2, axis=-1)
    return tuple(use("torch").from_numpy(f(angles).astype(np.float32)) for f in (np.cos, np.sin))


def rotate_half(X, n, freqs, seed):
    """x cos + rotate_half(x) sin in PyTorch, as in transformers: halves."""
    torch, k = use("torch"), len(freqs)
    X, (cos, sin) = torch.from_numpy(X), tables(len(n), 2 * k, "halves")
    return (X * cos + torch.cat((-X[..., k:], X[..., :k]), dim=-1) * sin).numpy()


def rotate_pairs(X, n, freqs, seed):
    """The same with pairs side by side, and cosines of the angles in each call, as in rotary-embedding-torch."""
    torch = use("torch")
    X, angles = torch.from_numpy(X), torch.einsum("i,j->ij", torch.from_numpy(n).float(), torch.from_numpy(freqs).float()).repeat_interleave(2, dim=-1)
    x, y = X.unflatten(-1, (-1, 2)).unbind(-1)
    return (X * angles.cos() + torch.stack((-y, x), dim=-1).flatten(-2) * angles.sin()).numpy()


def as_complex(X, n, freqs, seed):
    """A product of complex tensors, as in the programs of DeepSeek, with a table that is made before."""
    torch = use("torch")
    cos, sin = (table[:, ::2].contiguous() for table in tables(len(n), X.shape[-1], "interleaved"))
    return torch.view_as_real(torch.view_as_complex(torch.from_numpy(X).unflatten(-1, (-1, 2))) * torch.complex(cos, sin)).flatten(-2).numpy()


def in_torch(layout):
    def ours(X, n, freqs, seed):
        torch = use("torch")
        return lowrank.rope_rotate(torch.from_numpy(X), torch.from_numpy(n), freqs, layout=layout).numpy()
    return ours


def not_rotated(layout):
    def wrong(name, d, Y):
        X, n, freqs = tokens(name, d)
        exact = lowrank.rope_rotate(X.astype(float), n, freqs, layout=layout)
        return np.abs(Y - exact).max() / np.abs(X).max()
    return wrong


# --- phases: the name of a cell is the first of 64 places, its "rank" the width; the vector is (1, 0) in each plane


@cache
def far_tokens(name, d):
    return np.tile(np.float32([1, 0]), (64, d // 2)), int(float(name)) + np.arange(64), lowrank.rope_frequencies(d)


def wrong_phase(name, d, Y):
    _, n, freqs = far_tokens(name, d)
    mp = use("mpmath")
    with mp.workdps(40):
        angles = [[mp.mpf(int(m)) * mp.mpf(float(f)) for f in freqs] for m in n]
        exact = np.array([[part for a in row for part in (float(mp.cos(a)), float(mp.sin(a)))] for row in angles])
    return np.abs(Y - exact).max()


# --- rope_tie_positions: a film of so many patches; the "rank" of a cell is the number of frames


def film(name, t):
    return t, 100, int(float(name)) // (100 * t)


ROPE = [
    *(
        Case(
            f"rope_rotate, {layout}, {library}",
            [("16x2048", 128), ("4x256", 128)],
            ours=in_torch(layout) if library == "torch" else lambda X, n, freqs, seed, layout=layout: lowrank.rope_rotate(X, n, freqs, layout=layout),
            peers={"x cos + half(x) sin": rotate_half, "pairs, angles too": rotate_pairs, "complex": as_complex},
            measures={"wrong": not_rotated(layout)},
            aim="angles and table included: wrong by at most 1e-6; interleaved, at 16 x 2048, at most .25 of the time of rotate_half with its table and .1 of that of pairs",
            targets=lambda name, d, layout=layout: [Target("wrong", 1e-6)] + (
                [*within(0.25, "x cos + half(x) sin"), *within(0.1, "pairs, angles too")] if layout == "interleaved" and name == "16x2048" else []),
            given=tokens,
        )
        for layout in ("interleaved", "halves") for library in ("NumPy", "torch")
    ),
    Case(
        "rope_rotate, far out",
        [(name, 128) for name in ("1e3", "1e5", "8388608")],
        ours=lambda X, n, freqs, seed: lowrank.rope_rotate(X, n, freqs),
        peers={"float32 angles": rotate_pairs},
        measures={"phase": wrong_phase},
        aim="cosines and sines to 1e-6 at every place below 2^24",
        targets=lambda name, d: [Target("phase", 1e-6)],
        given=far_tokens,
    ),
    Case(
        "rope_tie_positions",
        [("1e6", t) for t in (1, 50)],
        ours=lambda t, h, w, seed: lowrank.rope_tie_positions([(t, h, w)]),
        peers={"numpy.indices": lambda t, h, w, seed: np.indices((t, h, w))},
        measures={},
        aim="at most 2 times numpy.indices of the same shape",
        targets=lambda name, t: within(2, "numpy.indices"),
        given=film,
    ),
]


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


CASES = [*ROPE, *CODES]

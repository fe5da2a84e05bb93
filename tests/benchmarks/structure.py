"""Structure: what is timed, on which inputs, against whom or against which plain baseline."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- Monarch: the "matrix" of a cell is its order n, the "rank" the number of columns; blocks are those nearest to the root

@cache
def monarch_factors(n):
    """L and R with well-conditioned blocks, and the matrix."""
    k = l = int(n**0.5)
    rng = np.random.default_rng(0)
    L = np.linalg.qr(rng.standard_normal((l, k, k)))[0][..., None]
    R = np.linalg.qr(rng.standard_normal((k, l, l)))[0][:, :, None]
    return L, R, lowrank.monarch_dense(L, R)


@cache
def columns(n, s):
    return np.random.default_rng(1).standard_normal((n, s))


def monarch_given(name, s):
    return *monarch_factors(int(name)), columns(int(name), s)


def product_error(name, s, Y):
    exact = monarch_factors(int(name))[2] @ columns(int(name), s)
    return np.abs(np.asarray(Y) - exact).max() / np.abs(exact).max()


def solve_error(name, s, X):
    M, Y = monarch_factors(int(name))[2], columns(int(name), s)
    return np.linalg.norm(M @ X - Y) / np.linalg.norm(Y)


@cache
def as_tensors(n, s):
    torch = use("torch")
    return [torch.from_numpy(x) for x in (*monarch_factors(n)[:2], columns(n, s))]


def public_layer(L, R, M, X, seed):
    """How the layers of HazyResearch/fly multiply without their extension: blocks by einsum, a row for each sample."""
    torch = use("torch")
    L, R, X = as_tensors(len(M), X.shape[1])
    (l, q, k, _), p = L.shape, R.shape[-1]
    z = torch.einsum("cbe,sce->scb", R[:, :, 0], X.T.reshape(-1, k, p)).transpose(1, 2)
    return torch.einsum("bac,sbc->sba", L[..., 0], z).transpose(1, 2).reshape(-1, q * l).T


def ours_in_torch(L, R, M, X, seed):
    return lowrank.monarch_matmul(*as_tensors(len(M), X.shape[1]))


def projection_error(name, r, M):
    """Of a random matrix, as a part of the whole norm: that of the best matrix for ours."""
    A = columns(int(name), int(name))
    return np.linalg.norm(A - (M.reconstruct() if hasattr(M, "reconstruct") else M)) / np.linalg.norm(A)


MATMUL = {"256": 0.6, "1024": 0.08, "4096": 0.08}
CASES = [
    Case(
        "monarch_matmul",
        [("256", 1), ("256", 64), ("1024", 64), ("4096", 64)],
        ours=lambda L, R, M, X, seed: lowrank.monarch_matmul(L, R, X),
        peers={"dense": lambda L, R, M, X, seed: M @ X},
        measures={"error": product_error},
        aim="64 columns: at most .08 of the dense product from n = 1024 on; errors at 1e-14",
        targets=lambda name, s: [Target("error", 1e-14)] + (within(MATMUL[name], "dense") if s == 64 else []),
        given=monarch_given,
    ),
    Case(
        "monarch_matmul, PyTorch",
        [("1024", 64), ("4096", 64)],
        ours=ours_in_torch,
        peers={"fly's einsum": public_layer},
        measures={"error": product_error},
        aim="at most .4 of the public layer",
        targets=lambda name, s: within(0.4, "fly's einsum"),
        given=monarch_given,
    ),
    Case(
        "monarch_solve",
        [("256", 16), ("1024", 16), ("2025", 16)],
        ours=lambda L, R, M, X, seed: lowrank.monarch_solve(L, R, X),
        peers={"np.linalg.solve": lambda L, R, M, X, seed: np.linalg.solve(M, X)},
        measures={"residual": solve_error},
        aim="at most .02 of the dense solve from n = 1024 on, residual at 1e-13",
        targets=lambda name, s: [Target("residual", 1e-13)] + (within(0.02, "np.linalg.solve") if name != "256" else []),
        given=monarch_given,
    ),
    Case(
        "monarch_slogdet",
        [("256", 0), ("1024", 0), ("2025", 0)],
        ours=lambda L, R, M, X, seed: lowrank.monarch_slogdet(L, R),
        peers={"np.linalg.slogdet": lambda L, R, M, X, seed: np.linalg.slogdet(M)},
        measures={},
        given=monarch_given,
    ),
    Case(
        "monarch_project",
        [("256", 1), ("1024", 1)],
        ours=lambda A, r, seed: lowrank.monarch_project(A, rank=r),
        peers={"np.linalg.svd": lambda A, r, seed: (lambda U, s, Vh: (U[:, :16] * s[:16]) @ Vh[:16])(*np.linalg.svd(A))},
        measures={"error": projection_error},
        aim="at most .6 of one decomposition of the matrix",
        targets=lambda name, r: within(0.6, "np.linalg.svd"),
        given=lambda name, r: (columns(int(name), int(name)), r),
    ),
]

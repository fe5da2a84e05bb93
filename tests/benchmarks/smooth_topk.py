"""Smooth top-k: what is timed, on which scores, against whom."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- soft_topk: scores of a normal distribution; the "rank" of a cell is k, and np.sort is the unit of time

@cache
def scores(name):
    shape = (4096, 64) if name == "batch" else (int(float(name)),)
    return np.random.default_rng(0).standard_normal(shape)


def given_scores(name, k):
    return scores(name), k


def sum_error(name, k, p):
    """|sum p - k| / k, the largest of all slices; of np.sort it says nothing."""
    return np.abs(np.asarray(p, float).sum(axis=-1) / k - 1).max()


def entmax_budget(x, k, seed):
    torch = use("torch")
    return use("entmax.root_finding").budget_bisect(torch.from_numpy(x / 0.5), budget=k, dim=-1).numpy()


def jaxopt_box(x, k, seed):
    """Its result is in double precision only if JAX was told so."""
    jax = use("jax")
    jax.config.update("jax_enable_x64", True)
    z = jax.numpy.asarray(x / 0.5)
    project = lambda z: use("jaxopt.projection").projection_box_section(z, (0.0, 1.0, jax.numpy.ones_like(z), float(k)))
    return np.asarray(project(z) if z.ndim == 1 else jax.vmap(project)(z))


def isotonic_mask(x, k, seed):
    """The same projection by isotonic regression, for one slice: fast-soft-sort, compiled by numba."""
    z = x / 0.5
    order = np.argsort(-z)
    dual, p = np.empty(len(z)), np.empty(len(z))
    use("fast_soft_sort.third_party.isotonic").isotonic_l2(z[order] - (np.arange(len(z)) < k), dual)
    p[order] = z[order] - dual
    return p


def torchsort_mask(x, k, seed):
    """The same with the compiled regression of torchsort, which takes rows."""
    torch, z = use("torch"), np.atleast_2d(x) / 0.5
    order = np.argsort(-z, axis=-1)
    ordered = np.take_along_axis(z, order, axis=-1)
    dual = use("torchsort.isotonic_cpu").isotonic_l2(torch.from_numpy(ordered - (np.arange(z.shape[-1]) < k)))
    p = np.empty(z.shape)
    np.put_along_axis(p, order, ordered - dual.numpy(), axis=-1)
    return p.reshape(x.shape)


def lapsum(x, k, seed):
    torch, rows = use("torch"), np.atleast_2d(x)
    numbers = torch.full((len(rows), 1), float(k), dtype=torch.float64)
    _, p = use("soft_topk_cpu").forward(torch.from_numpy(rows), numbers, -0.5)
    return p.numpy().reshape(x.shape)


SOFT_TOPK_PEERS = {
    "sparse": {"entmax": entmax_budget, "jaxopt": jaxopt_box, "fast-soft-sort": isotonic_mask, "torchsort": torchsort_mask},
    "laplace": {"LapSum": lapsum},
}


SOFT_TOPK = {  # method: {cell: largest time in units of np.sort}
    "sparse": {"1e6": 1.6, "1e4": 3.0},
    "laplace": {"1e6": 3.0, "1e4": 7.0, "batch": 30.0},
    "sigmoid": {"1e6": 3.0},
    "subset": {"1e6": 6.0},
    "expclip": {},
}


CASES = [
    *(
        Case(
            f"soft_topk, {method}",
            [("1e4", 5), ("1e4", 1000), ("1e6", 5), ("1e6", 100_000), ("batch", 5)],
            ours=lambda x, k, seed, method=method: lowrank.soft_topk(x, k, temperature=0.5, method=method),
            peers={
                "np.sort": lambda x, k, seed: np.sort(x, axis=-1),
                "np.exp": lambda x, k, seed: np.exp(x),
                **SOFT_TOPK_PEERS.get(method, {}),
            },
            measures={"|sum-k|/k": sum_error},
            aim="sum off by at most 1e-12 k; time in units of np.sort as the last column says; "
                "no peer of the same accuracy is faster",
            targets=lambda name, k, limits=limits: [Target("|sum-k|/k", 1e-12)]
                + (within(limits[name], "np.sort") if name in limits else []),
            given=given_scores,
        )
        for method, limits in SOFT_TOPK.items()
    ),
]

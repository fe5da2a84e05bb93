"""Structure: what is timed, on which inputs, against whom or against which plain baseline."""

from functools import cache
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- s4_kernel, s4d_kernel: the name of a cell is the length of the kernel, its "rank" the number N of states

STEP = 0.01


@cache
def memory(N):
    """Lam, P, B, V of LegS and a row C in its coordinates."""
    return *lowrank.hippo_nplr(N), np.random.default_rng(0).standard_normal(N)


def given_memory(name, N):
    Lam, P, B, V, C = memory(N)
    return Lam, P, B, C @ V, int(name)


@cache
def dense_step(N):
    A, B = lowrank.hippo_legs(N)
    return lowrank.discretize(A, B, STEP, method="bilinear")


def recurrence(Lam, P, B, c, L, seed):
    """The system, run on an impulse with a real dense matrix."""
    (Ab, Bb), C = dense_step(len(Lam)), memory(len(Lam))[-1]
    u, x, y = np.zeros(L), np.zeros(len(C)), np.empty(L)
    u[0] = 1
    for l in range(L):
        x = Ab @ x + Bb * u[l]
        y[l] = C @ x
    return y


@cache
def exact_kernel(name, N):
    return recurrence(*given_memory(name, N), 0)


def kernel_error(name, N, K):
    exact = exact_kernel(name, N)
    return np.abs(np.asarray(K) - exact).max() / np.abs(exact).max()


@cache
def filtered(L, N):
    """C (I - Ab^L), of which the Cauchy form starts."""
    Ab, _ = dense_step(N)
    V, C = memory(N)[3:]
    return (C - C @ np.linalg.matrix_power(Ab, L)) @ V


def by_cauchy(Lam, P, B, c, L, seed):
    return lowrank.s4_kernel(Lam, P, P, B, filtered(L, len(Lam)), L, STEP, filtered=True)


@cache
def textbook():
    """The formula as it is usually written, compiled by JAX: all states at all roots of unity."""
    jax = use("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

    def kernel(Lam, P, B, C, omega):
        g = 2 / STEP * (1 - omega) / (1 + omega)
        k = jax.vmap(lambda w: (w / (g[:, None] - Lam)).sum(axis=1))(jnp.stack([C * B, C * P, P * B, P * P]))
        return jnp.fft.ifft(2 / (1 + omega) * (k[0] - k[1] * k[2] / (1 + k[3]))).real

    return jax.jit(kernel)


def in_jax(Lam, P, B, c, L, seed):
    omega = np.exp(-2j * np.pi * np.arange(L) / L)
    return np.asarray(textbook()(Lam, P, B, filtered(L, len(Lam)), omega))


def diagonal(Lam, B, c, L, seed, exponentials):
    z = STEP * Lam
    w, d = c * B * np.expm1(z) / Lam, z[:, None] * np.arange(L)
    return (w @ (np.exp(d) if exponentials else np.exp(z)[:, None]**np.arange(L))).real


def given_diagonal(name, N):
    Lam, P, B, c, L = given_memory(name, N)
    return Lam, B / 2, c, L


def diagonal_error(name, N, K):
    exact = diagonal(*given_diagonal(name, N), 0, True)
    return np.abs(K - exact).max() / np.abs(exact).max()


KERNELS = [("1024", 64), ("4096", 64), ("16384", 64), ("4096", 128), ("4096", 256)]

CASES = [
    *(
        Case(
            f"s4_kernel, {method}",
            KERNELS,
            ours=by_cauchy if method == "cauchy from C~" else
                lambda Lam, P, B, c, L, seed, method=method: lowrank.s4_kernel(Lam, P, P, B, c, L, STEP, method=method),
            peers={"recurrence": recurrence, "textbook in JAX": in_jax},
            measures={"error": kernel_error},
            aim="the auto form at N = 64 at most .05 of the recurrence and .1 of the textbook's formula from C~, compiled; error at most 1e-13",
            targets=lambda name, N, method=method: [Target("error", 1e-13 if N < 128 else 1e-12)] + (
                [*within(0.05, "recurrence"), *within(0.1, "textbook in JAX")] if method == "auto" and N == 64 else []),
            given=given_memory,
        )
        for method in ("auto", "series", "cauchy from C~")
    ),
    Case(
        "s4d_kernel",
        [("1024", 64), ("4096", 64), ("65536", 64)],
        ours=lambda Lam, B, c, L, seed: lowrank.s4d_kernel(Lam, B, c, L, STEP),
        peers={
            "exp(outer)": lambda *given: diagonal(*given, True),
            "powers": lambda *given: diagonal(*given, False),
        },
        measures={"difference": diagonal_error},
        aim="at most .1 of the table of exponentials",
        targets=lambda name, N: within(0.1, "exp(outer)"),
        given=given_diagonal,
    ),
]

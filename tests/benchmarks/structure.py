"""Structure: what is timed, on which inputs, against whom or against which plain baseline."""

from functools import cache, partial
from importlib import import_module as use

import numpy as np
from case import Case, Target, within

import lowrank

# --- rotate, rotation_between: the name of a cell is the angle, its "rank" the dimension

ROWS, PAIRS = 64, 1000
ANGLES = {"90": np.pi / 2, "0": 0.0, "180-1e-8": np.pi - 1e-8, "180": np.pi}


@cache
def pairs(name, d, count=1):
    """Unit vectors a, b (count, d) at an angle."""
    a, e = np.linalg.qr(np.random.default_rng(0).standard_normal((count, d, 2)))[0].transpose(2, 0, 1)
    if name == "180":
        return a, -a
    return a, np.cos(ANGLES[name]) * a + np.sin(ANGLES[name]) * e


def one_pair(name, d):
    (a,), (b,) = pairs(name, d)
    return a, b


@cache
def rows_and_pair(name, d):
    a, b = one_pair(name, d)
    return np.random.default_rng(1).standard_normal((ROWS, d)), a, b


@cache
def matrix_of(name, d):
    return lowrank.rotation_between(*one_pair(name, d))


def dense_product(x, a, b, seed):
    """The product with the matrix, which is made before."""
    return x @ matrix_of("90", x.shape[-1]).T


def missed(name, d, T):
    """The largest |T a - b| of unit vectors."""
    a, b = pairs(name, d, len(T) if T.ndim == 3 else 1)
    return np.linalg.norm((T @ a[..., None])[..., 0] - b, axis=-1).max()


def not_orthogonal(name, d, T):
    return np.linalg.norm(T.mT @ T - np.eye(d), 2, axis=(-2, -1)).max()


def wrong_rows(name, d, y):
    x, *_ = rows_and_pair(name, d)
    return np.linalg.norm(y - x @ matrix_of(name, d).T) / np.linalg.norm(x)


def textbook(a, b, seed):
    return np.eye(len(a)) + 2 * np.outer(b, a) - np.outer(a + b, a + b) / (1 + a @ b)


def two_mirrors(a, b, seed):
    mirror = lambda X, v: X - np.outer(v, (2 / (v @ v)) * (v @ X))
    return mirror(mirror(np.eye(len(a)), a), a + b)


def procrustes(a, b, seed):
    return use("scipy.linalg").orthogonal_procrustes(a[None], b[None])[0].T


def align(a, b, seed):
    """SciPy's rotations in three dimensions, one call a pair."""
    rotation = use("scipy.spatial.transform").Rotation
    return np.stack([rotation.align_vectors(y[None], x[None])[0].as_matrix() for x, y in zip(a, b)])


ROTATIONS = [
    Case(
        "rotate, 64 vectors",
        [("90", 256), ("90", 2048)],
        ours=lambda x, a, b, seed: lowrank.rotate(x, a, b),
        peers={"dense product": dense_product},
        measures={"off": wrong_rows},
        aim="at most .03 of the time of the product with the matrix at d = 2048",
        targets=lambda name, d: [Target("off", 1e-14), *(within(0.03, "dense product") if d == 2048 else ())],
        given=rows_and_pair,
    ),
    *(
        Case(
            f"{function}, one pair",
            [(name, d) for name in ANGLES for d in (50, 400)],
            ours=lambda a, b, seed, function=function: getattr(lowrank, function)(a, b),
            peers={"textbook": textbook, "two mirrors": two_mirrors, "scipy Procrustes": procrustes}
                  if function == "rotation_between" else {},
            measures={"orth.": not_orthogonal, "missed": missed},
            aim="orthogonal and on b to 2e-15 at every angle",
            targets=lambda name, d: [Target("orth.", 2e-15), Target("missed", 2e-15)],
            given=one_pair,
        )
        for function in ("rotation_between", "reflection_between")
    ),
    Case(
        f"rotation_between, {PAIRS} pairs in space",
        [(name, 3) for name in ANGLES],
        ours=lambda a, b, seed: lowrank.rotation_between(a, b),
        peers={"scipy align_vectors": align},
        measures={"orth.": not_orthogonal, "missed": missed},
        aim="at most .05 of a loop over SciPy, orthogonal and on b to 2e-15",
        targets=lambda name, d: [Target("orth.", 2e-15), Target("missed", 2e-15), *within(0.05, "scipy align_vectors")],
        given=partial(pairs, count=PAIRS),
    ),
]


# --- hippo: LegS of a random walk; the "rank" of a cell is N


@cache
def walk(name):
    return np.cumsum(np.random.default_rng(0).standard_normal(int(float(name))))


def given_walk(name, N):
    return walk(name), N


def memory_error(name, N, states):
    """The last coefficients against those of the whole record."""
    exact = lowrank.legs_project(walk(name), N)
    return np.linalg.norm(states[-1] - exact) / np.linalg.norm(exact)


def by_rows(A, B, u, lam_of):
    """One dense triangular solution a sample, as public code steps through LegS."""
    solve, I, x = use("scipy.linalg").lapack.dtrtrs, np.eye(len(A)), u[0] * np.eye(len(A))[0]
    for k in range(1, len(u)):
        t = lam_of(k)
        x = solve(I - A / (2 * t), x + (A @ x / 2 + B * u[k]) / t, lower=True)[0]
    return x[None]


HIPPO = [
    *(
        Case(
            f"legs_stream, block {block}",
            [("2e4", 64), ("2e4", 128)],
            ours=lambda u, N, seed, block=block: lowrank.legs_stream(u, N, block=block),
            peers={
                "bilinear": lambda u, N, seed: lowrank.legs_stream(u, N, block=64, method="bilinear"),
                "HiPPO (2020)": lambda u, N, seed: by_rows(*lowrank.hippo_legs(N), u, lambda k: k + 1),
            },
            measures={"error": memory_error},
            aim="error at most 1e-10, time at most 0.2 times that of bilinear steps",
            targets=lambda name, N: [Target("error", 1e-10), *within(0.2, "bilinear")],
            given=given_walk,
        )
        for block in (64, 1024)
    ),
    Case(
        "legs_matvec",
        [("64", 64), ("1024", 1024)],
        ours=lambda u, N, seed: lowrank.legs_matvec(u),
        peers={"dense": lambda u, N, seed: legs_dense(N) @ u},
        measures={"size": lambda name, N, y: np.linalg.norm(y) / np.linalg.norm(legs_dense(N) @ walk(name))},
        aim="faster than a dense product from N = 1024",
        targets=lambda name, N: within(0.5, "dense") if N == 1024 else [],
        given=given_walk,
    ),
]


@cache
def legs_dense(N):
    return lowrank.hippo_legs(N)[0]


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

STATE_SPACES = [
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


CASES = [*ROTATIONS, *HIPPO, *STATE_SPACES]

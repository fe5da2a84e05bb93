"""The matrix sign: what is timed, on which matrices, against whom."""

from functools import cache
from importlib import import_module as use
from itertools import product

import numpy as np
from case import EXACT, Case, Target, within
from matrices import matrix
from scipy import linalg

import lowrank

# --- functions of one variable: f, interval, and the errors of the best polynomials

SCALAR = {
    "exp": (np.exp, (-1, 1), {5: 4.520551192613e-05, 10: 2.50228530918e-11}),
    "pole": (lambda x: 1 / (2 - x), (-1, 1), {5: (2 - 3**0.5)**5 / 3, 10: (2 - 3**0.5)**10 / 3}),
    "sqrt": (np.sqrt, (0, 1), {5: 0.02784511855355, 10: 0.0139866216886}),
    "abs": (np.abs, (-1, 1), {10: 0.02784511855355, 20: 0.0139866216886}),
    "runge": (lambda x: 1 / (1 + 25 * x**2), (-1, 1), {30: 0.0012394702552059}),
    "T20": (np.polynomial.Chebyshev.basis(20), (-1, 1), {9: 1.0}),
}


def scalar(name, degree):
    f, interval, best = SCALAR[name]
    return f, degree, interval


def minimax_error(name, degree, p):
    """The largest error on 20001 points over the best possible one."""
    f, interval, best = SCALAR[name]
    x = np.linspace(*interval, 20001)
    return np.abs(f(x) - p(x)).max() / best[degree]


# --- apply_schedule: six quintic steps, next to the products that they cannot avoid; "rank" is the number of steps

QUINTIC = [(3.4445, -4.7750, 2.0315)] * 3 + [(1.875, -1.25, 0.375)] * 3


@cache
def gaussian(name):
    """A normal matrix whose name is its shape."""
    return np.random.default_rng(0).standard_normal(tuple(map(int, name.split("x"))))


def bare_products(A, steps, seed, norm=linalg.norm):
    X = A / norm(A)
    for _ in range(steps):
        Y = X @ X.T
        Z = (Y @ Y.T) @ X
    return Z


@cache
def plain_result(name):
    return lowrank.apply_schedule(gaussian(name), QUINTIC, form="plain")


def from_plain(name, steps, X):
    return linalg.norm(X - plain_result(name), 2)


# --- msign: "auto" next to every method by name; then accuracy, where "rank" is the power of ten of the condition number

def sign_by(method):
    return lambda A, seed: lowrank.msign(A, method=method)


@cache
def ill_conditioned(name, power):
    """n x n, singular values from 1 down to 10^-power, divided by a norm that is off by ten rounding errors."""
    n = int(name)
    U, V = np.linalg.qr(np.random.default_rng(power).standard_normal((2, n, n)))[0]
    s = np.geomspace(1, 10.0**-power, n)
    s[0] += 2e-15
    return (U * s) @ V


def full_accuracy(degree):
    """None for the schedule that "polynomial" takes by itself, and leaves early; else one of that degree for the same range."""
    return None if degree == 5 else lowrank.optimal_msign_schedule(
        degree=degree, lower=2.0**-50, tol=2.0**-52, cushion=0.1, safety=1e-6)


def sign_residual(which):
    return lambda name, power, X: float(getattr(lowrank.polar_residuals(ill_conditioned(name, power), X), which))


def uncached_schedule(steps, degree, lower, seed):
    from lowrank import polar_express
    polar_express._compose.cache_clear()
    polar_express._next_step.cache_clear()
    return lowrank.optimal_msign_schedule(steps, degree, lower)


# --- muon_update: "rank" is the number of quintic steps; in PyTorch the products run in bfloat16

@cache
def tensor(name):
    torch = use("torch")
    torch.set_num_threads(1)
    return torch.from_numpy(gaussian(name)).float()


def torch_update(name, steps, seed):
    G = tensor(name)
    return lowrank.muon_update(G, G, schedule=[(3.4445, -4.7750, 2.0315)] * steps, normalize="frobenius",
                               dtype=use("torch").bfloat16)


def torch_zeropower(name, steps, seed):
    """What torch.optim.Muon does to a momentum and a gradient."""
    G = tensor(name)
    M = G.clone().lerp_(G, 0.05)
    return use("torch.optim._muon")._zeropower_via_newtonschulz(G.lerp(M, 0.95), (3.4445, -4.7750, 2.0315), steps, 1e-7)


def torch_products(name, steps, seed):
    return bare_products(tensor(name).bfloat16(), steps, seed, norm=use("torch").linalg.norm)


# --- sqrtm_newton_schulz: covariances of normal data; "rank" is the number of examples

@cache
def covariance(name, examples):
    F = np.random.default_rng(0).standard_normal((int(name), examples)) / np.arange(1, int(name) + 1)[:, None]
    return F @ F.T


def eigenvalue_root(A, seed):
    values, V = linalg.eigh(A)
    return (V * np.sqrt(np.maximum(values, 0))) @ V.T


# --- mclip: the threshold lies below some singular values

def clip_level(A):
    """A threshold that some singular values exceed."""
    return float(np.abs(A).max())


def svd_clip(A, hi, svd=np.linalg.svd):
    U, s, Vh = svd(A, full_matrices=False)
    return (U * np.clip(s, 0, hi)) @ Vh


def clip_error(name, r, X):
    """Against the formula, over eps times the norm: the projection does not expand."""
    A = matrix(name)
    return linalg.norm(X - svd_clip(A, clip_level(A))) / (np.finfo(float).eps * linalg.norm(A))


BESIDE_BARE_PRODUCTS = dict(
    peers={"bare products": bare_products},
    measures={},
    aim="time <= 1.1x the bare products, symmetric ones as Y @ Y.T",
    targets=lambda name, r: within(1.1, "bare products"),
    given=lambda name, steps: (gaussian(name), steps),
)

CASES = [
    Case(
        "mclip",
        [("hopper", 512), ("fast", 1000), ("flat", 800)],
        ours=lambda A, r, seed: lowrank.mclip(A, 0, clip_level(A)),
        peers={
            "svd formula": lambda A, r, seed: svd_clip(A, clip_level(A)),
            "scipy svd": lambda A, r, seed: svd_clip(A, clip_level(A), linalg.svd),
        },
        measures={"error": clip_error},
        aim="time <= 1.1x the formula with numpy's SVD; error over eps * norm <= 50",
        targets=lambda name, r: [Target("error", 50.0)] + within(1.1, "svd formula"),
    ),
    Case(
        "apply_schedule, plain",
        [("1024x1024", 6), ("512x2048", 6)],
        ours=lambda A, steps, seed: lowrank.apply_schedule(A, QUINTIC, form="plain"),
        **BESIDE_BARE_PRODUCTS,
    ),
    Case(
        "apply_schedule, gram",
        [("512x2048", 6)],
        ours=lambda A, seed: lowrank.apply_schedule(A, QUINTIC, form="gram"),
        peers={"plain": lambda A, seed: lowrank.apply_schedule(A, QUINTIC, form="plain")},
        measures={"from plain": from_plain},
        aim="time <= 0.75x the plain form, and within 1e-12 of it",
        targets=lambda name, r: within(0.75, "plain") + [Target("from plain", 1e-12)],
        given=lambda name, steps: (gaussian(name),),
    ),
    Case(
        "optimal_msign_schedule",
        [("1e-3", 5), ("1e-7", 9), ("1e-13", 9)],
        ours=uncached_schedule,
        peers={},
        measures={"E_10": lambda l, d, schedule: schedule.errors[-1]},
        aim="ten steps, not cached, in at most 2 s; E_10 is the error that is left, rank the degree",
        targets=lambda l, d: [Target("time", 2.0)],
        given=lambda l, d: (10, d, float(l)),
    ),
    Case(
        "msign, auto",
        [(name, 0) for name in ("64x64", "256x256", "1024x1024", "128x512", "512x2048", "2048x256", "64x16x16", "16x128x128")],
        ours=lambda A, seed: lowrank.msign(A),
        peers={
            "svd": sign_by("svd"), "qdwh": sign_by("qdwh"), "polynomial": sign_by("polynomial"),
            "scipy polar": lambda A, seed: linalg.polar(A)[0],
        },
        measures={},
        aim="time <= 1.15x the best of the methods",
        targets=lambda name, r: within(1.15, "svd", "qdwh", "polynomial"),
        given=lambda name, r: (gaussian(name),),
    ),
    Case(
        "msign, steps",
        [("1024x1024", 6), ("512x2048", 6)],
        ours=lambda A, steps, seed: lowrank.msign(A, method="polynomial", schedule=steps, normalize="frobenius"),
        **BESIDE_BARE_PRODUCTS,
    ),
    *(
        Case(
            f"msign, to full accuracy by degree {degree}",
            [("100", 5), ("100", 13), ("1000", 10), ("1000", 13)],
            ours=lambda A, seed, degree=degree: lowrank.msign(A, method="polynomial", schedule=full_accuracy(degree)),
            peers={"svd": sign_by("svd"), "qdwh": sign_by("qdwh")},
            measures={"backward": sign_residual("backward"), "orthogonality": sign_residual("orthogonality")},
            aim=f"backward error <= {limit:.0e}, orthogonality <= 1e-13; rank is the power of ten of the condition",
            targets=lambda name, power, limit=limit: [Target("backward", limit), Target("orthogonality", 1e-13)],
            given=lambda name, power: (ill_conditioned(name, power),),
        )
        for degree, limit in ((5, 1e-14), (9, 1e-13))
    ),
    Case(
        "muon_update",
        [("1024x1024", 5), ("512x2048", 5), ("256x256", 5)],
        ours=lambda A, steps, seed: lowrank.muon_update(A, A, schedule=steps, normalize="frobenius"),
        peers={"bare products": bare_products, "by svd": lambda A, steps, seed: lowrank.muon_update(A, A, schedule=None)},
        measures={},
        aim="time <= 1.15x the bare products",
        targets=lambda name, r: within(1.15, "bare products"),
        given=lambda name, steps: (gaussian(name), steps),
    ),
    Case(
        "muon_update, in PyTorch with products in bfloat16",
        [("1024x1024", 5), ("512x2048", 5)],
        ours=torch_update,
        peers={"torch zeropower": torch_zeropower, "bare products": torch_products},
        measures={},
        aim="time <= 1.1x zeropower, which is what torch.optim.Muon computes, without checks of values",
        targets=lambda name, r: within(1.1, "torch zeropower"),
        given=lambda name, steps: (name, steps),
    ),
    Case(
        "sqrtm_newton_schulz",
        [("300", 600), ("300", 100)],
        ours=lambda A, seed: lowrank.sqrtm_newton_schulz(A).root,
        peers={"scipy sqrtm": lambda A, seed: linalg.sqrtm(A), "eigh": eigenvalue_root},
        measures={"residual": lambda name, r, R: linalg.norm(R @ R - covariance(name, r)) / linalg.norm(covariance(name, r))},
        aim="no target is stated; residual is norm(R R - A) / norm(A)",
        given=lambda name, r: (covariance(name, r),),
    ),
    Case(
        "remez",
        [(name, degree) for name, (f, interval, best) in SCALAR.items() for degree in best],
        ours=lambda f, n, interval, seed: lowrank.remez(f, n, interval),
        peers={
            "baryrat": lambda f, n, interval, seed: use("baryrat").brasil(f, interval, (n, 0)),
            "numpy interpolate": lambda f, n, interval, seed: np.polynomial.Chebyshev.interpolate(f, n, interval),
        },
        measures={"error": minimax_error},
        aim="error 1.000 (float64 sees four digits of that of exp, degree 10)",
        targets=lambda name, n: [Target("error", EXACT)],
        given=scalar,
    ),
    Case(
        "remez, one by odd polynomials on [l, 1], 40 digits",
        list(product(("1e-3", "1e-7", "1e-13"), (5, 9))),
        ours=lambda l, n, seed: lowrank.remez(lambda x: 1, n, (l, 1), odd=True, dps=40, tol=1e-20),
        peers={},
        measures={"gap": lambda l, n, r: (r.max_error - r.error) / r.max_error},
        aim="0.2 s each, so that a schedule of ten steps takes 2 s",
        targets=lambda l, n: [Target("time", 0.2), Target("gap", 1e-20)],
        given=lambda l, n: (l, n),
    ),
]

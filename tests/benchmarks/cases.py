"""What is timed, on which matrices, against whom, and which targets are to be reached.

A case is a few lines: the cells (matrix, rank), our function, the peers, and what is measured of a result.
Every method is a function of what the cell gives (unless `given` says otherwise, the matrix and the rank) and
of a seed. Peers are imported when they are called: one that is not installed says so in the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module as use
from itertools import product
from tempfile import TemporaryFile

import lowrank
import numpy as np
from matrices import best_error, excess, matrix, spectrum_of
from scipy import linalg, sparse
from scipy.sparse.linalg import aslinearoperator, svds

TEN = (10, 50, 100)
EXACT = 1.0005                                          # an error of 1.000 times the optimum, as it is printed


@dataclass(frozen=True)
class Target:
    """ours / peer <= limit for a measure; without a peer, ours <= limit."""

    measure: str
    limit: float
    peer: str | None = None


@dataclass(frozen=True)
class Case:
    name: str                                           # the function of `lowrank`, ", variant"
    cells: list                                         # pairs (matrix, rank)
    ours: Callable
    peers: dict                                         # name -> callable
    measures: dict                                      # name -> function of (matrix name, rank, result)
    aim: str = "no target is stated"                    # the targets in words
    targets: Callable = lambda name, r: []              # the same for one cell
    overall: list = field(default_factory=list)         # targets for geometric means over all cells
    given: Callable = lambda name, r: (matrix(name), r)


def cells(names, ranks=TEN):
    return list(product(names.split(), ranks))


def within(limit, *peers):
    """Time at most `limit` times that of each peer, which is that of the fastest."""
    return [Target("time", limit, peer) for peer in peers]


# --- what is measured of a result

def svd_error(name, r, result):
    U, s, Vh = result
    return excess(name, r, U * s, Vh)


def basis_error(name, r, Q):
    return excess(name, r, Q, (matrix(name).T @ Q.conj()).conj().T)


def id_error(name, r, result):
    columns, Z = result
    return excess(name, r, dense_columns(matrix(name), columns), Z)


def cur_error(name, r, result):
    return excess(name, r, result.CU, result.R) if hasattr(result, "CU") else excess(name, r, *result)


def psd_error(name, r, F):
    return excess(name, r, F, F.conj().T)


def penrose(name, r, X):
    """The larger of the residuals of A X A = A and X A X = X, in units of eps times the condition number."""
    A, s = matrix(name), spectrum_of(name)[0]
    eps, P = np.finfo(float).eps, A @ X
    kept = s[s > max(A.shape) * eps * s[0]]
    residuals = linalg.norm(P @ A - A) / linalg.norm(A), linalg.norm(X @ P - X) / linalg.norm(X)
    return max(residuals) / (eps * kept[0] / kept[-1])


# --- peers that want a few words

def dense_columns(A, J):
    return A[:, J].toarray() if sparse.issparse(A) else A[:, J]


def cut(svd, r):
    U, s, Vh = svd
    return U[:, :r], s[:r], Vh[:r]


def fbpca_pca(A, r, seed):
    np.random.seed(seed)                                # it draws from NumPy's global state
    return use("fbpca").pca(A, r, raw=True, n_iter=2)


def fbpca_eigenn(A, r, seed):
    np.random.seed(seed)
    values, V = use("fbpca").eigenn(A, r)
    return V * np.sqrt(np.maximum(values, 0))


def scipy_id(A, r, seed):
    interpolative = use("scipy.linalg.interpolative")
    columns, proj = interpolative.interp_decomp(A, r, rand=True, rng=np.random.default_rng(seed))
    return columns[:r], interpolative.reconstruct_interp_matrix(columns, proj)


def librla_id(A, r, seed):
    _, columns, T = use("librla").id_sketch(A, r, rng=np.random.default_rng(seed))
    Z = np.empty((r, A.shape[1]))
    Z[:, columns[:r]], Z[:, columns[r:]] = np.eye(r), T
    return columns[:r], Z


def parla_cur(A, r, seed):
    columns, U, rows = use("parla.drivers.interpolative").cur1(A, r, 10, 3, np.random.default_rng(seed))
    return A[:, columns] @ U, A[rows]


def maxvol_cross(A, r, seed):
    """Rows and columns of maximal volume in the singular vectors, with the cross core."""
    maxvol, (U, _, Vh) = use("teneva").maxvol, svds(A, r, rng=seed)
    rows, columns = maxvol(U)[0], maxvol(Vh.T)[0]
    return linalg.solve(A[np.ix_(rows, columns)].T, A[:, columns].T).T, A[rows]


# --- estimate_error: the approximation is the best one, so that the true error is known

@cache
def best_factors(name, r):
    U, s, Vh = svds(matrix(name), r, rng=0)
    return U, s, Vh


def given_factors(name, r):
    return matrix(name), *best_factors(name, r)


def factors_operator(U, s, Vh):
    return aslinearoperator(U * s) @ aslinearoperator(Vh)


def over_truth(norm):
    return lambda name, r, result: np.ravel(result)[0] / best_error(name, r, norm)


# --- cr_multiply: A A^T by k columns, among them the bare product of the chosen ones

@cache
def gram(name):
    A = matrix(name)
    return A @ A.T


def given_product(name, k):
    A = matrix(name)
    B = np.ascontiguousarray(A.T)
    return A, B, k, np.argsort(-linalg.norm(A, axis=0) * linalg.norm(B, axis=1), kind="stable")[:k]


def norms_and_product(A, B, k, J, seed):
    """The least that choosing can cost: squares summed once over each factor, then the product."""
    return np.einsum("ij,ij->j", A, A), np.einsum("ij,ij->i", B, B), A[:, J] @ B[J]


def product_error(name, k, result):
    result = result[-1] if isinstance(result, tuple) else result
    return linalg.norm(gram(name) - result) / linalg.norm(gram(name))


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


# --- retrieval: rows 0, 2, 4, ... of a matrix are the anchor queries, and the rows between them are to be completed

def known_rows(name, c):
    return matrix(name)[0:800:2], c


def pinv_completion(choose):
    """The coefficients as a pseudo-inverse multiplied out, for anchors chosen by a function."""
    def fit(R, c, seed):
        J = choose(R, c, seed)
        return J, np.linalg.pinv(R[:, J]) @ R
    return fit


def random_anchors(R, c, seed):
    return np.random.default_rng(seed).choice(R.shape[1], c, replace=False)


def ridge_cv(R, c, seed):
    """Random anchors, and scikit-learn's ridge by the left-out errors for as many values as ours."""
    J = random_anchors(R, c, seed)
    alphas = (10.0 ** (np.arange(-24, -3) / 4) * linalg.norm(R[:, J], 2))**2
    return J, use("sklearn.linear_model").RidgeCV(alphas, fit_intercept=False).fit(R[:, J], R).coef_.T


def completion_error(name, c, result):
    """Relative error on the rows that the fit has not seen."""
    J, Z = result[:2]
    A = matrix(name)[1:800:2]
    return linalg.norm(A[:, J] @ Z - A) / linalg.norm(A)


@cache
def retrieval_index(n):
    """50 anchors of n items, and the anchor scores of ten queries."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((210, 60)) @ rng.standard_normal((60, n)) + rng.standard_normal((210, n))
    index = lowrank.CURIndex.fit(A[:200], anchors=np.arange(50), ridge=1e-3)
    return index, A[200:, :50]


def sorted_scores(index, x, k, seed):
    x = x @ index.Z
    items = np.argsort(-x, axis=1)[:, :k]
    return items, np.take_along_axis(x, items, axis=1)


def partitioned_scores(index, x, k, seed):
    x = x @ index.Z
    items = np.argpartition(x, -k, axis=1)[:, -k:]
    found = np.take_along_axis(x, items, axis=1)
    order = np.argsort(-found, axis=1)
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(found, order, axis=1)


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
    Case(
        "truncated_svd",
        cells("hopper fast slow kernel sparse") + cells("flat fourfold", (10, 100)),
        ours=lambda A, r, seed: lowrank.truncated_svd(A, r),
        peers={
            "scipy svd": lambda A, r, seed: cut(linalg.svd(A, full_matrices=False), r),
            "svds arpack": lambda A, r, seed: svds(A, r, solver="arpack", rng=seed),
        },
        measures={"error": svd_error},
        aim="error 1.000; time <= 1.15x the faster of svd and svds, 1.5x on flat and fourfold",
        targets=lambda name, r: [Target("error", EXACT)] + within(
            1.5 if name in ("flat", "fourfold") else 1.15,
            *["scipy svd"] * (name != "sparse"), "svds arpack"),
    ),
    Case(
        "pinv",
        [("hopper", 512), ("fast", 1000), ("flat", 800)],
        ours=lambda A, r, seed: lowrank.pinv(A),
        peers={
            "scipy pinv": lambda A, r, seed: linalg.pinv(A),
            "numpy pinv": lambda A, r, seed: np.linalg.pinv(A),
        },
        measures={"Penrose": penrose},
        aim="no target is stated; Penrose is the larger of two residuals over eps * condition",
    ),
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
        "estimate_error",
        cells("hopper slow kernel", (50,)),
        ours=lambda A, U, s, Vh, seed: lowrank.estimate_error(A, factors_operator(U, s, Vh), rng=seed),
        peers={"numpy norm": lambda A, U, s, Vh, seed: np.linalg.norm(A - (U * s) @ Vh)},
        measures={"value": over_truth("fro")},
        aim="no target is stated; value is the estimate over the true Frobenius error",
        given=given_factors,
    ),
    Case(
        "estimate_error, norm=2",
        cells("hopper slow kernel sparse", (50,)),
        ours=lambda A, U, s, Vh, seed: lowrank.estimate_error(A, factors_operator(U, s, Vh), norm=2, rng=seed),
        peers={
            "fbpca diffsnorm": lambda A, U, s, Vh, seed: use("fbpca").diffsnorm(A, U, s, Vh),
            "scipy diff_snorm": lambda A, U, s, Vh, seed: use("scipy.linalg.interpolative").estimate_spectral_norm_diff(
                aslinearoperator(A), factors_operator(U, s, Vh), rng=np.random.default_rng(seed)),
        },
        measures={"value": over_truth(2)},
        aim="no target is stated; value is the estimate over the true spectral error, never above 1",
        given=given_factors,
    ),
    *(
        Case(
            f"randomized_svd, {method}",
            cells("hopper fast slow kernel sparse"),
            ours=lambda A, r, seed, method=method: lowrank.randomized_svd(A, r, method=method, rng=seed),
            peers={
                "fbpca": fbpca_pca,
                "sklearn": lambda A, r, seed: use("sklearn.utils.extmath").randomized_svd(
                    A, r, n_iter=2, power_iteration_normalizer="QR", random_state=seed),
                "librla": lambda A, r, seed: use("librla").svd_sketch(A, r, rng=np.random.default_rng(seed)),
            },
            measures={"error": svd_error},
            aim=aim,
            targets=targets,
        )
        for method, aim, targets in [
            (
                "subspace",
                "error <= 1.015; time <= 1.25x fbpca, 1.8x on sparse at rank 10",
                lambda name, r: [Target("error", 1.015)] + within(1.8 if (name, r) == ("sparse", 10) else 1.25, "fbpca"),
            ),
            (
                "krylov",
                "error <= 1.003; time <= 2.1x fbpca on dense input while 3 (r + 2) < min(m, n) / 2, else 2.7x",
                lambda name, r: [Target("error", 1.003)] + within(
                    2.1 if name != "sparse" and 3 * (r + 2) < min(matrix(name).shape) / 2 else 2.7, "fbpca"),
            ),
        ]
    ),
    Case(
        "range_finder",
        cells("hopper slow kernel sparse"),
        ours=lambda A, r, seed: lowrank.range_finder(A, rank=r, rng=seed),
        peers={
            "sklearn": lambda A, r, seed: use("sklearn.utils.extmath").randomized_range_finder(
                A, size=r, n_iter=2, power_iteration_normalizer="QR", random_state=seed),
            "librla": lambda A, r, seed: use("librla").orth_sketch(
                A, r, extra_samples=0, power_iter=2, rng=np.random.default_rng(seed))[0],
        },
        measures={"error": basis_error},
    ),
    Case(
        "cr_multiply, topk",
        cells("slow", (10, 100, 500)) + cells("hopper", (10, 52, 256)),
        ours=lambda A, B, k, J, seed: lowrank.cr_multiply(A, B, k, method="topk"),
        peers={
            "bare product": lambda A, B, k, J, seed: A[:, J] @ B[J],
            "norms + product": norms_and_product,
            "full product": lambda A, B, k, J, seed: A @ B,
        },
        measures={"error": product_error},
        aim="time <= 1.2x the bare product of the chosen columns from k = n/10, below that with the two norms; "
            "error is relative to the product",
        targets=lambda name, k: within(1.2, "bare product" if 10 * k >= matrix(name).shape[1] else "norms + product"),
        given=given_product,
    ),
    Case(
        "interp_decomp, sketch",
        cells("hopper fast slow kernel") + [("kahan", 59)],
        ours=lambda A, r, seed: lowrank.interp_decomp(A, r, method="sketch", rng=seed),
        peers={"librla": librla_id, "scipy": scipy_id},
        measures={"error": id_error, "max|Z|": lambda name, r, result: np.abs(result[1]).max()},
        aim="max|Z| <= 2; time <= 2x librla and 1/3 of scipy; error <= 1.15x scipy's, no more than scipy's on average",
        targets=lambda name, r: [Target("max|Z|", 2.0), Target("error", 1.15, "scipy")]
            + (within(2.0, "librla") + within(1 / 3, "scipy")) * (name != "kahan"),
        overall=[Target("error", 1.0, "scipy")],
    ),
    Case(
        "cur",
        cells("hopper fast slow kernel"),
        ours=lambda A, r, seed: lowrank.cur(A, r, rng=seed),
        peers={"parla": parla_cur, "maxvol cross": maxvol_cross},
        measures={"error": cur_error},
        aim="error <= 2.3 on hopper, slow, kernel, 4.2 on fast at rank 100; time <= 1.7x parla, 2.3x on kernel at rank 10",
        targets=lambda name, r: within(2.3 if (name, r) == ("kernel", 10) else 1.7, "parla")
            + [Target("error", 4.2)] * ((name, r) == ("fast", 100)) + [Target("error", 2.3)] * (name != "fast"),
    ),
    Case(
        "maxvol",
        cells("hopper slow kernel"),
        ours=lambda C, seed: lowrank.maxvol(C),
        peers={"teneva": lambda C, seed: use("teneva").maxvol(C)},
        measures={"max|B|": lambda name, r, result: np.abs(result[1]).max()},
        aim="no target is stated; rows of the singular vectors, max|B| <= 1.05 asked",
        given=lambda name, r: (best_factors(name, r)[0],),
    ),
    Case(
        "nystrom",
        cells("kernel"),
        ours=lambda A, r, seed: lowrank.nystrom(A, r, rng=seed).F,
        peers={"fbpca eigenn": fbpca_eigenn},
        measures={"error": psd_error},
    ),
    *(
        Case(
            f"rpcholesky, {variant}",
            cells("kernel"),
            ours=lambda A, r, seed, block=block: lowrank.rpcholesky(A, r, block=block, rng=seed)[0],
            peers={"its authors": lambda A, r, seed, peer=peer: getattr(use("rpcholesky"), peer)(A, r).G.T},
            measures={"error": psd_error},
            aim="time <= 1.1x the same variant of its authors",
            targets=lambda name, r: within(1.1, "its authors"),
        )
        for variant, block, peer in [("simple", 1, "simple_rpcholesky"), ("accelerated", None, "accelerated_rpcholesky")]
    ),
    Case(
        "CURIndex, fit",
        cells("hopper kernel", (20, 50, 100)),
        ours=lambda R, c, seed: lowrank.CURIndex.fit(R, c, rng=seed),
        peers={
            "pinv, random": pinv_completion(random_anchors),
            "pinv, ours": pinv_completion(lambda R, c, seed: lowrank.interp_decomp(R, c, rng=seed).columns),
            "RidgeCV, random": ridge_cv,
        },
        measures={"error": completion_error},
        aim="no target is stated; error on rows not fitted, relative; no peer but RidgeCV says what it will be",
        given=known_rows,
    ),
    Case(
        "CURIndex, query",
        [(20_000, 10), (20_000, 100), (200_000, 100)],
        ours=lambda index, x, k, seed: index.query(x, k),
        peers={"full sort": sorted_scores, "argpartition": partitioned_scores},
        measures={},
        aim="ten queries with 50 anchors; no more than 1.2x the bare product with argpartition (ties undecided)",
        targets=lambda n, k: within(1.2, "argpartition"),
        given=lambda n, k: (*retrieval_index(n), k),
    ),
    Case(
        "apply_schedule, plain",
        [("1024x1024", 6), ("512x2048", 6)],
        ours=lambda A, steps, seed: lowrank.apply_schedule(A, QUINTIC, form="plain"),
        peers={"bare products": bare_products},
        measures={},
        aim="time <= 1.1x the bare products, symmetric ones as Y @ Y.T",
        targets=lambda name, r: within(1.1, "bare products"),
        given=lambda name, steps: (gaussian(name), steps),
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
        ours=lambda A, steps, seed: lowrank.msign(A, method="polynomial", steps=steps, normalize="frobenius"),
        peers={"bare products": bare_products},
        measures={},
        aim="time <= 1.1x the bare products, symmetric ones as Y @ Y.T",
        targets=lambda name, r: within(1.1, "bare products"),
        given=lambda name, steps: (gaussian(name), steps),
    ),
    *(
        Case(
            f"msign, to full accuracy by degree {degree}",
            [("100", 5), ("100", 13), ("1000", 10), ("1000", 13)],
            ours=lambda A, seed, degree=degree: lowrank.msign(A, method="polynomial", degree=degree),
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
        ours=lambda A, steps, seed: lowrank.muon_update(A, A, steps=steps, normalize="frobenius"),
        peers={"bare products": bare_products, "by svd": lambda A, steps, seed: lowrank.muon_update(A, A, steps=None)},
        measures={},
        aim="time <= 1.15x the bare products where these are most of the work, from 512 on",
        targets=lambda name, r: within(1.15, "bare products") if name != "256x256" else [],
        given=lambda name, steps: (gaussian(name), steps),
    ),
    Case(
        "muon_update, in PyTorch with products in bfloat16",
        [("1024x1024", 5), ("512x2048", 5)],
        ours=torch_update,
        peers={"torch zeropower": torch_zeropower, "bare products": torch_products},
        measures={},
        aim="no target is stated; zeropower is what torch.optim.Muon computes, without checks of values",
        given=lambda name, steps: (name, steps),
    ),
    Case(
        "sqrtm_newton_schulz",
        [("300", 600), ("300", 100)],
        ours=lambda A, seed: lowrank.sqrtm_newton_schulz(A),
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


# --- memory: one side is 20000, and what no method may make is an array with that side twice

LONG = 20_000


def tall():
    return np.random.default_rng(0).standard_normal((LONG, 100))


def wide():
    return tall().T


def counts():
    return matrix("sparse")


def psd_operator():
    F = tall()
    return aslinearoperator(F) @ aslinearoperator(F.T)


def psd_columns():
    """The kernel of 20000 points on a line, as its diagonal and a function of columns."""
    x = np.linspace(0, 1, LONG)
    return np.ones(LONG), lambda J: np.exp(-50 * (x[:, None] - x[J])**2)


def mapped():
    """20000 x 10000 numbers, 1.6 GB, in a file without a name: rank 30 and noise."""
    rng = np.random.default_rng(0)
    A = np.memmap(TemporaryFile(), shape=(LONG, LONG // 2), dtype=float, mode="w+")
    right = rng.standard_normal((30, A.shape[1]))
    for start in range(0, LONG, 1000):
        slab = A[start:start + 1000]
        slab[:] = rng.standard_normal((1000, 30)) @ right + 0.01 * rng.standard_normal(slab.shape)
    return A


MEMORY = [                                              # function, what is given, how it is made, the call
    ("truncated_svd", "20000 x 100, rank 10", tall, lambda A: lowrank.truncated_svd(A, 10)),
    ("truncated_svd", "100 x 20000, rank 60", wide, lambda A: lowrank.truncated_svd(A, 60)),
    ("truncated_svd", "sparse, 20000 x 5000, rank 50", counts, lambda A: lowrank.truncated_svd(A, 50)),
    ("pinv", "20000 x 100", tall, lambda A: lowrank.pinv(A)),
    ("estimate_error", "sparse, 20000 x 5000", counts, lambda A: lowrank.estimate_error(A, 0 * A)),
    ("randomized_svd", "sparse, 20000 x 5000, rank 100", counts, lambda A: lowrank.randomized_svd(A, 100)),
    ("randomized_svd", "the same, krylov", counts, lambda A: lowrank.randomized_svd(A, 100, method="krylov")),
    ("range_finder", "sparse, 20000 x 5000, rank 100", counts, lambda A: lowrank.range_finder(A, rank=100)),
    ("cr_multiply", "100 x 20000 x 100, k = 1000", wide, lambda A: lowrank.cr_multiply(A, A.T, 1000)),
    ("interp_decomp", "20000 x 100, rank 10", tall, lambda A: lowrank.interp_decomp(A, 10)),
    ("interp_decomp", "100 x 20000, rank 10", wide, lambda A: lowrank.interp_decomp(A, 10)),
    ("cur", "20000 x 100, rank 10", tall, lambda A: lowrank.cur(A, 10)),
    ("cur", "100 x 20000, rank 10", wide, lambda A: lowrank.cur(A, 10)),
    ("nystrom", "operator, 20000 x 20000, rank 50", psd_operator, lambda A: lowrank.nystrom(A, 50)),
    ("rpcholesky", "diagonal and columns, 20000, rank 50", psd_columns, lambda A: lowrank.rpcholesky(A, 50)),
    ("CURIndex", "100 x 20000, 50 anchors", wide, lambda A: lowrank.CURIndex.fit(A, 50)),
    ("CURIndex", "20000 x 100, 20 anchors", tall, lambda A: lowrank.CURIndex.fit(A, 20)),
    ("randomized_svd", "mapped file of 1.6 GB, rank 30", mapped, lambda A: lowrank.randomized_svd(A, 30)),
    ("interp_decomp", "mapped file of 1.6 GB, rank 30", mapped, lambda A: lowrank.interp_decomp(A, 30)),
    ("cur", "mapped file of 1.6 GB, rank 30", mapped, lambda A: lowrank.cur(A, 30)),
]

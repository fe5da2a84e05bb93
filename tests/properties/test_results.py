"""Results of all parts: copies, pickles, _replace and maps over trees keep whatever a result knows, nothing of it can be
set, and those that stand for a product multiply whatever multiplies in NumPy and SciPy, from both sides.
"""

import copy
import math
import pickle

import mpmath
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, lsqr, svds

import lowrank
from lowrank.linear_map import Factored, Result
from tests.properties.libraries import needs

A = np.random.default_rng(0).standard_normal((6, 4)) * 0.5 ** np.arange(4)
PSD = A.T @ A

SAMPLES = {
    "PenroseResiduals": lambda: lowrank.penrose_residuals(A, lowrank.pinv(A)),
    "PinvInfo": lambda: lowrank.pinv(A, return_info=True)[1],
    "NewtonSchulzInverse": lambda: lowrank.pinv_newton_schulz(A),
    "TruncatedSVD": lambda: lowrank.truncated_svd(A, 2),
    "RankChoice": lambda: lowrank.choose_rank(A, A[:, :2]),
    "SignalRank": lambda: lowrank.signal_rank(A),
    "SubspaceBound": lambda: lowrank.wedin_bound(A, lowrank.truncated_svd(A, 2)),
    "ErrorEstimate": lambda: lowrank.estimate_error(A, lowrank.truncated_svd(A, 2), rng=0),
    "RangeBasis": lambda: lowrank.range_finder(A, rank=2, rng=0),
    "SketchedSolution": lambda: lowrank.sketched_lstsq(A, A[:, 0], rng=0),
    "CRInfo": lambda: lowrank.cr_multiply(A, A.T, 2, return_info=True, rng=0)[1],
    "InterpolativeDecomposition": lambda: lowrank.interp_decomp(A, 2),
    "MaxVolume": lambda: lowrank.maxvol(A),
    "CUR": lambda: lowrank.cur(A, 2, rng=0),
    "RPCholesky": lambda: lowrank.rpcholesky(PSD, 2, rng=0),
    "Nystrom": lambda: lowrank.nystrom(PSD, 2, rng=0),
    "CURIndex": lambda: lowrank.CURIndex.fit(A, 2),
    "Ranking": lambda: lowrank.CURIndex.fit(A, 2).query([1.0, 2.0], 3),
    "Minimax": lambda: lowrank.remez(np.exp, 3),
    "Alternation": lambda: lowrank.alternation_points(np.exp, np.cos, 2),
    "PolarResiduals": lambda: lowrank.polar_residuals(A, lowrank.msign(A)),
    "NewtonSchulzRoot": lambda: lowrank.sqrtm_newton_schulz(PSD),
    "Schedule": lambda: lowrank.optimal_msign_schedule(2),
    "SignInfo": lambda: lowrank.msign(A, return_info=True)[1],
    "PowerInfo": lambda: lowrank.spectral_norm(A, method="power", return_info=True, rng=0)[1],
    "Monarch": lambda: lowrank.monarch_project(A, (2, 3)),
    "MonarchOption": lambda: lowrank.monarch_options(A, 24)[0],
    "SlogDet": lambda: lowrank.attention_slogdet(A, A),
    "NystromFactors": lambda: lowrank.nystrom_attention(A, A, A, 2, return_factors=True)[1],
    "CodebookUsage": lambda: lowrank.codebook_usage([0, 2, 2], 4),
    "AttentionError": lambda: lowrank.attention_error(A, A, A, A, rng=0),
    "GaussianMap": lambda: lowrank.gaussian_map([0.0], [[1.0]], [1.0], [[2.0]]),
    "Barycenter": lambda: lowrank.gaussian_barycenter([[0.0], [1.0]], [[[1.0]], [[2.0]]]),
    "Kronecker": lambda: lowrank.nearest_kronecker(A.reshape(6, 2, 2)),
    "PositionGaps": lambda: lowrank.position_gaps(lowrank.rope_tie_positions([1, (2, 3), 1]), [1, (2, 3), 1]),
    "IdentityLosses": lambda: lowrank.identity_distillation_losses(A, A, A / 2, A / 3),
    "ExpertLoad": lambda: lowrank.expert_load(A, 2),
    "SharedExpertScale": lambda: lowrank.shared_expert_scale(4, 3, 1, samples=10, rng=0),
    "GeometricPoisson": lambda: lowrank.geometric_vs_poisson([0.1, 0.5], 3),
    "SimpleNoiseScale": lambda: lowrank.simple_noise_scale(A),
    "MuonUpdate": lambda: lowrank.muon_update(A),
    "MuonState": lambda: lowrank.Muon().init([A, A[0]]),
    "Muon": lambda: lowrank.Muon(0.3, kinds=["adamw"], scale=2.0),
}


def result_classes():
    """The classes of results among the public names; what needs a missing extra is left out."""
    for name in lowrank.__all__:
        try:
            value = getattr(lowrank, name)
        except ImportError:
            continue
        if isinstance(value, type) and issubclass(value, tuple | Result):
            yield name


def vars_of(result):
    return getattr(result, "__dict__", {})


def known(result):
    """All that a result knows, by its names: what it unpacks, and what stands beside that."""
    return result._asdict() if hasattr(result, "_asdict") else {**dict(enumerate(result)), **vars_of(result)}


def same(a, b):
    """Are two values equal in type, shape, dtype and number, all the way down?"""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Result):
        return same(known(a), known(b))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b)) and same(*(getattr(x, "__dict__", {}) for x in (a, b)))
    return a == b or isinstance(a, float) and math.isnan(a) and math.isnan(b)


def assert_twins(result, twin):
    assert type(twin) is type(result) and same(known(twin), known(result)) and repr(twin) == repr(result)
    if hasattr(result, "reconstruct"):
        assert same(twin.reconstruct(), result.reconstruct())


def results(having=""):
    """For the results whose class has this attribute."""
    names = [name for name in SAMPLES if not having or hasattr(getattr(lowrank, name, None), having)]
    return pytest.mark.parametrize("result", [pytest.param(SAMPLES[name], id=name) for name in names], indirect=True)


@pytest.fixture
def result(request):
    return request.param()


def test_every_result_has_a_sample_of_its_class():
    """A new result belongs into SAMPLES."""
    assert sorted(SAMPLES) == sorted(result_classes())
    assert {name: type(sample()).__name__ for name, sample in SAMPLES.items()} == {name: name for name in SAMPLES}


@results()
def test_copies_and_pickles_know_the_same(result):
    assert_twins(result, copy.copy(result))
    assert_twins(result, copy.deepcopy(result))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert_twins(result, pickle.loads(pickle.dumps(result, protocol)))


TREES = {
    "jax": lambda f, tree: pytest.importorskip("jax").tree.map(f, tree),
    "torch": lambda f, tree: pytest.importorskip("torch.utils._pytree").tree_map(f, tree),
}


@pytest.mark.parametrize("library", [pytest.param(name, marks=needs(name)) for name in TREES])
@results()
def test_maps_over_trees_lose_nothing(result, library):
    """A named tuple is a tree of its fields; whatever knows more is one leaf, and passes through whole."""
    leaves = []
    assert_twins(result, TREES[library](lambda leaf: leaves.append(leaf) or leaf, result))
    if isinstance(result, Result | lowrank.Schedule):
        assert len(leaves) == 1 and leaves[0] is result
    else:
        assert not any(leaf is result for leaf in leaves) and not vars_of(result)


@results(having="_replace")
def test_replace_keeps_all_that_is_not_replaced(result):
    """Of all that it knows; by _replace and, from Python 3.13 on, by copy.replace."""
    for way in filter(None, (type(result)._replace, getattr(copy, "replace", None))):
        for name, value in known(result).items():
            assert_twins(result, way(result, **{name: copy.deepcopy(value)}))
        assert_twins(result, way(result))
    with pytest.raises((TypeError, ValueError), match="unknown"):
        result._replace(unknown=1)


STORED_PRODUCTS = {("CUR", "C"): ["CU"], ("CUR", "U"): ["CU"]}         # by the factor that they are made of


@results(having="reconstruct")
def test_a_replaced_factor_is_in_the_product(result):
    """Nothing that was made of the old one is left, nor what was measured of the old product, and all else is."""
    before = known(result)
    measured = {name for name in result._measured if before[name] is not None}
    for name, value in before.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
            twin = result._replace(**{name: 2 * value})
            changed = {other for other, x in known(twin).items() if not same(x, before[other])}
            assert changed == {name, *STORED_PRODUCTS.get((type(result).__name__, name), ()), *measured}
            assert all(getattr(twin, other) is None for other in measured)
            assert not np.allclose(twin.reconstruct(), result.reconstruct())


def test_a_product_of_another_core_is_made_anew():
    result = SAMPLES["CUR"]()
    doubled = result._replace(U=2 * result.U)
    assert np.allclose(doubled.CU, 2 * result.CU) and doubled.error is None
    assert result._replace(U=2 * result.U, error=result.error).error == result.error
    assert np.array_equal(result._replace(rows=result.rows[::-1]).CU, result.CU)
    assert np.array_equal(result._replace(U=2 * result.U, CU=result.CU).CU, result.CU)


def test_the_parts_of_an_index_are_checked_in_replace():
    index = SAMPLES["CURIndex"]()
    with pytest.raises(ValueError, match=r"anchors is .* from 0 to 3"):
        index._replace(anchors=[0, 9])
    with pytest.raises(ValueError, match="read-only"):
        index._replace(Z=2 * index.Z).Z[0] = 0


@results()
def test_nothing_can_be_set(result):
    for name in [*filter(str.isidentifier, map(str, known(result))), "other"]:
        with pytest.raises(AttributeError):
            setattr(result, name, None)
        with pytest.raises(AttributeError):
            delattr(result, name)


UNPACKED = {"TruncatedSVD": "U s Vh", "InterpolativeDecomposition": "columns Z", "CUR": "columns U rows",
            "RPCholesky": "F pivots", "Nystrom": "F", "Monarch": "L R", "GeometricPoisson": "geometric poisson", "CURIndex": "anchors Z left right ridge error amplification", "Muon": "lr"}


@results()
def test_what_a_result_unpacks(result):
    """In order, by assignment, by a star and in a match statement."""
    if isinstance(result, Result):
        names = UNPACKED[type(result).__name__].split()
        assert result._fields == type(result).__match_args__ == tuple(names)
        assert all(part is getattr(result, name) for part, name in zip([*result], names, strict=True))


def test_a_pattern_takes_a_result_apart():
    match SAMPLES["CUR"]():
        case lowrank.CUR(columns, U, rows, error=error):
            assert len(columns) == len(U) == len(rows) == 2 and error.bound >= error.estimate


# --- What stands for a product multiplies

STACK = np.stack([A, 2 * A, A[::-1]])
PRODUCTS = {
    **{name: sample for name, sample in SAMPLES.items() if hasattr(getattr(lowrank, name, None), "reconstruct")},
    "stack": lambda: lowrank.truncated_svd(STACK, 2),
    "float32": lambda: lowrank.cur(A.astype("f"), 3, rng=0),
    "complex": lambda: lowrank.truncated_svd(A + 1j * A[::-1], 3),
    "rectangular": lambda: lowrank.cur(A, rows=[0, 1, 2], columns=[3, 1]),
    "complex stack of slices": lambda: lowrank.monarch_project(STACK + 1j * STACK[::-1], (4, 2)),
}
products = pytest.mark.parametrize("result", [pytest.param(sample, id=name) for name, sample in PRODUCTS.items()], indirect=True)
KINDS = {
    "array": np.asarray, "matrix": lambda X: X.view(np.matrix), "list": np.ndarray.tolist, "memory order": np.asfortranarray,
    **{f"{form}_{kind}": getattr(sparse, f"{form}_{kind}")
       for form in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil") for kind in ("array", "matrix")},
}  # fmt: skip


def integers(*shape):
    return np.random.default_rng(1).integers(-2, 3, shape)


def assert_product(found, expected):
    """An array, with the numbers and the dtype of the product of arrays."""
    expected = np.asarray(expected)
    assert type(found) is np.ndarray and found.shape == expected.shape and found.dtype == expected.dtype
    assert np.allclose(found, expected, atol=1e-5 if expected.dtype.char in "fF" else 1e-12)


def test_every_product_has_a_sample():
    assert {name for name in result_classes() if issubclass(getattr(lowrank, name), Factored)} < PRODUCTS.keys()


@products
@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_every_kind_from_both_sides(result, kind):
    (*_, m, n), D = result.shape, result.reconstruct()
    for dtype, k in ((int, 5), (D.dtype.char, 5), (int, 1)):
        X, Y = integers(k, m).astype(dtype), integers(n, k).astype(dtype)
        expected = (X.tolist() @ D, D @ Y.tolist()) if kind == "list" else (X @ D, D @ Y)
        assert_product(KINDS[kind](X) @ result, expected[0])
        assert_product(result @ KINDS[kind](Y), expected[1])


@products
def test_vectors_and_stacks_from_both_sides(result):
    (*_, m, n), D = result.shape, result.reconstruct()
    x, y = integers(m), integers(n)
    for form in (np.asarray, list, sparse.coo_array, sparse.csr_array):
        assert_product(form(x) @ result, x @ D)
        assert_product(result @ form(y), D @ y)
    assert_product(integers(2, 1, 5, m) @ result, integers(2, 1, 5, m) @ D)
    assert_product(result @ integers(2, 1, n, 5), D @ integers(2, 1, n, 5))
    assert_product(result @ sparse.coo_array(integers(3, n, 5)), D @ integers(3, n, 5))


@products
def test_operators_and_other_results(result):
    """An operator from the left asks for `aslinearoperator(result)`."""
    (*_, m, n), D = result.shape, result.reconstruct()
    Y = integers(n, 3).astype(D.dtype)
    assert_product(result @ aslinearoperator(Y), D @ Y)
    other = lowrank.truncated_svd(integers(n, 6), 2)
    assert_product(result @ other, D @ other.reconstruct())
    if D.ndim == 2:
        operator, x = aslinearoperator(result), integers(m).astype(D.dtype)
        assert isinstance(operator, LinearOperator) and operator.shape == (m, n) and operator.dtype == D.dtype
        assert_product(operator @ Y, D @ Y)
        assert_product(operator.H @ x, D.conj().T @ x)
        assert_product(operator.H @ x[:, None], D.conj().T @ x[:, None])
        assert_product((aslinearoperator(x[None]) @ operator) @ Y[:, 0], x[None] @ D @ Y[:, 0])
        assert np.isclose(svds(operator, 1)[1][0], np.linalg.norm(D, 2), rtol=1e-4)
        assert np.allclose(D @ lsqr(operator, D @ Y[:, 0])[0], D @ Y[:, 0], atol=1e-4)


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "csc_array", "coo_array"])
def test_a_product_stays_thin(form):
    """Neither side makes the matrix, which would have 1e10 entries here."""
    n = 100_000
    row, result = getattr(sparse, form)(np.eye(1, n)), lowrank.Nystrom(np.ones((n, 1)))
    for found in (row @ result, (result @ row.T).T, (result @ aslinearoperator(row.T)).T):
        assert found.shape == (1, n) and (found == 1).all()
    assert (result @ (result @ row.T) == n).all()


@products
@pytest.mark.parametrize("form", [np.ones, lambda shape: sparse.csr_array(np.ones(shape)), lambda shape: sparse.coo_matrix(np.ones(shape))])
def test_shapes_that_do_not_fit_are_named(result, form):
    *_, m, n = result.shape
    with pytest.raises(ValueError, match=rf"x has shape \({n + 1}, 2\); allowed is \({n},\) or \(\.\.\., {n}, k\)"):
        result @ form((n + 1, 2))
    with pytest.raises(ValueError, match=rf"x has shape \(2, {m + 1}\); allowed is \({m},\) or \(\.\.\., k, {m}\)"):
        form((2, m + 1)) @ result
    for call in (lambda: result @ np.ones(n + 1), lambda: np.ones(m + 1) @ result, lambda: result @ 2, lambda: 2 @ result):
        with pytest.raises(ValueError, match="x has shape .*; allowed is"):
            call()


def test_what_has_no_product_is_named():
    result = SAMPLES["TruncatedSVD"]()
    for x, message in [(np.ma.masked_equal(np.arange(4), 2), "x is a masked array"), (["a"] * 4, "x has dtype <U1")]:
        with pytest.raises(TypeError, match=message):
            result @ x
    for call in (lambda: A - result, lambda: 2 * result, lambda: result * A, lambda: np.exp(result), lambda: result[0],
                 lambda: np.linalg.norm(result), lambda: sparse.csr_array(A) - result):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError, match="A is a TruncatedSVD; allowed here is an array"):
        lowrank.pinv(result)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result)), lambda result: result._replace()])
def test_a_copy_does_the_same(way):
    """Results that are functions, one of them with numbers of mpmath."""
    for p in (lowrank.remez(mpmath.exp, 4, dps=30), lowrank.remez(lambda x: 1, 5, (0.1, 1), odd=True)):
        twin = way(p)
        assert twin(0.3) == p(0.3) and list(twin.powers()) == list(p.powers()) and twin.interval == p.interval
    muon = lowrank.Muon(0.1, kinds=["stack"], scale=2.0, schedule=None)
    assert same(*(one.step([A], [A], one.init([A]))[0] for one in (way(muon), muon)))


def test_the_adjoint_of_a_result_multiplies_vectors_and_blocks():
    rng = np.random.default_rng(4)
    C = rng.standard_normal((7, 5)) + 1j * rng.standard_normal((7, 5))
    result = lowrank.truncated_svd(C, 3)
    dense, operator = result.reconstruct(), aslinearoperator(result)
    for shape in ((7,), (7, 1), (7, 4)):
        Y = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        products = [result.rmatvec(Y), operator.H @ Y] + ([operator.rmatmat(Y)] if len(shape) == 2 else [])
        for found in products:
            np.testing.assert_allclose(found, dense.conj().T @ Y, atol=1e-13)


@pytest.mark.parametrize("way", [lowrank.rpcholesky, lowrank.cur], ids=lambda way: way.__name__)
def test_products_whatever_seterr_says(way):
    """np.seterr(all="raise"): what is far below the largest entries may vanish, as it does in the function that found the factors."""
    x = np.linspace(0, 30, 60)
    kernel = np.exp(-np.subtract.outer(x, x)**2)
    result = way(kernel, 60, rng=0)
    usual = result.reconstruct(), result @ kernel, kernel @ result
    with np.errstate(all="raise"):
        found = result.reconstruct(), result @ kernel, kernel @ result
    assert all(map(same, found, usual))

"""Results of all parts: copies, pickles and _replace keep whatever a result knows, and nothing of it can be set."""

import copy
import math
import pickle

import mpmath
import numpy as np
import pytest

import lowrank

A = np.random.default_rng(0).standard_normal((6, 4)) * 0.5 ** np.arange(4)
PSD = A.T @ A

SAMPLES = {
    "PenroseResiduals": lambda: lowrank.penrose_residuals(A, lowrank.pinv(A)),
    "PinvInfo": lambda: lowrank.pinv(A, return_info=True)[1],
    "NewtonSchulzInverse": lambda: lowrank.pinv_newton_schulz(A),
    "TruncatedSVD": lambda: lowrank.truncated_svd(A, 2),
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
    "MuonUpdate": lambda: lowrank.muon_update(A),
    "MuonState": lambda: lowrank.Muon().init([A, A[0]]),
    "Muon": lambda: lowrank.Muon(0.3, kinds=["adamw"], scale=2.0),
}


def result_classes():
    """The named tuples and their like among the public names; what needs a missing extra is left out."""
    for name in lowrank.__all__:
        try:
            value = getattr(lowrank, name)
        except ImportError:
            continue
        if isinstance(value, type) and issubclass(value, tuple):
            yield name


def known(result):
    """All that a result knows, by its names: the parts of the tuple, and what stands beside it."""
    parts = result._asdict() if hasattr(result, "_fields") else dict(enumerate(result))
    return {**parts, **getattr(result, "__dict__", {})}


def same(a, b):
    """Are two values equal in type, shape, dtype and number, all the way down?"""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
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


@results(having="_replace")
def test_replace_keeps_all_that_is_not_replaced(result):
    """Of each field, and of what is known beside the tuple; by _replace and, from Python 3.13 on, by copy.replace."""
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


@pytest.mark.parametrize("way", [copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result)), lambda result: result._replace()])
def test_a_copy_does_the_same(way):
    """Results that are functions, one of them with numbers of mpmath."""
    for p in (lowrank.remez(mpmath.exp, 4, dps=30), lowrank.remez(lambda x: 1, 5, (0.1, 1), odd=True)):
        twin = way(p)
        assert twin(0.3) == p(0.3) and list(twin.powers()) == list(p.powers()) and twin.interval == p.interval
    muon = lowrank.Muon(0.1, kinds=["stack"], scale=2.0, schedule=None)
    assert same(*(one.step([A], [A], one.init([A]))[0] for one in (way(muon), muon)))

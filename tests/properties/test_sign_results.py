"""The results of the part on the matrix sign survive pickles, copies and `_replace` with everything that they know."""

import copy
import pickle

import mpmath
import numpy as np
import pytest

import lowrank

A = np.random.default_rng(0).standard_normal((4, 6))
RESULTS = {
    "Minimax": lambda: lowrank.remez(lambda x: 1, 5, (0.1, 1), odd=True),
    "Minimax, in mpmath": lambda: lowrank.remez(mpmath.exp, 4, dps=30),
    "Alternation": lambda: lowrank.alternation_points(np.exp, np.exp, 3),
    "Schedule": lambda: lowrank.optimal_msign_schedule(4, cushion=0.02),
    "PolarResiduals": lambda: lowrank.polar_residuals(A, A),
    "NewtonSchulzRoot": lambda: lowrank.sqrtm_newton_schulz(np.stack([A @ A.T, 0 * A @ A.T])),
    "SignInfo": lambda: lowrank.msign(A, schedule=6, return_info=True)[1],
    "PowerInfo": lambda: lowrank.spectral_norm(A, method="power", rng=0, return_info=True)[1],
    "MuonUpdate": lambda: lowrank.muon_update(A),
    "MuonState": lambda: lowrank.Muon(kinds=["matrix", "adamw"]).init([A, A]),
    "Muon": lambda: lowrank.Muon(0.1, kinds=["stack"], scale=2.0, schedule=None),
}
COPIES = {"pickle": lambda result: pickle.loads(pickle.dumps(result)), "copy": copy.copy, "deepcopy": copy.deepcopy,
          "_replace": lambda result: result._replace() if hasattr(result, "_replace") else result}


def same(x, y):
    if isinstance(x, np.ndarray) and x.dtype != object:
        return np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")
    if isinstance(x, np.ndarray):                       # of numbers of mpmath
        return same(x.tolist(), y.tolist())
    if isinstance(x, (tuple, list)):
        return type(x) is type(y) and len(x) == len(y) and all(map(same, x, y))
    return type(x) is type(y) and (x == y or x is y)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_knows_everything(name, way):
    result = RESULTS[name]()
    twin = COPIES[way](result)
    assert type(twin).__name__ == name.split(",")[0] and same(result, twin)
    assert getattr(result, "__dict__", {}) == getattr(twin, "__dict__", {})
    if "Minimax" in name:
        assert same(twin(0.3), result(0.3)) and same(twin.powers(), result.powers())
        assert twin.interval == result.interval and repr(twin) == repr(result)
    if name == "Muon":
        assert same(twin.step([A], [A], twin.init([A]))[0], result.step([A], [A], result.init([A]))[0])

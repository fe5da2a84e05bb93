"""Experts: routing, loads, balance by four rules against a linear program, shared scales; ties, masks, units, dtypes, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from lowrank.experts import ExpertLoad, SharedExpertScale, expert_load, loss_free_bias, route, shared_expert_scale

RULES = [("sign", 1e-3), ("rms", 1e-3), ("gradient", 0.5), ("quantile", None)]


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def chosen_slowly(x, k):
    """For each row the k largest, the lower index first among equals."""
    return np.array([sorted(range(len(row)), key=lambda i: (-row[i], i))[:k] for row in x.reshape(-1, x.shape[-1])])


def dual(S, k, b, Q):
    return np.mean(np.sort(S + b, axis=1)[:, -k:].sum(axis=1)) - k * Q @ b


def best_balanced(S):
    """The best mean score for k = 1 and equal loads, by the Hungarian method on copies of the experts."""
    N, n = S.shape
    table = np.repeat(S, N // n, axis=1)
    return table[linear_sum_assignment(table, maximize=True)].sum() / N


# --- route, expert_load

@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.booleans())
def test_choice_and_loads_with_ties(seed, n, biased):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, n + 1))
    S, b = rng.integers(0, 3, (9, n)).astype(float), rng.integers(-1, 2, n) / 2 if biased else None
    indices, weights = route(S, k, bias=b)
    expected = chosen_slowly(S + (0 if b is None else b), k)
    assert np.array_equal(indices, expected) and np.array_equal(weights, np.take_along_axis(S, expected, axis=1))
    load, violation = expert_load(S, k, bias=b)
    assert np.array_equal(load, np.bincount(expected.ravel(), minlength=n) / expected.size) and abs(load.sum() - 1) < 1e-12
    assert violation == pytest.approx(n * load.max() - 1, abs=1e-12)


@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64, np.int32, bool))
def test_kinds_and_shapes(dtype):
    S = (10 * drawn(0, 2, 3, 5)).astype(dtype)
    before = S.copy()
    indices, weights = route(S, 2)
    assert indices.shape == weights.shape == (2, 3, 2) and indices.dtype.kind == "i"
    assert weights.dtype == (dtype if dtype in (np.float32, np.float64) else weights.dtype)
    assert np.array_equal(weights, np.take_along_axis(S, indices, axis=-1)) and np.array_equal(S, before)
    flat = expert_load(S.reshape(6, 5), 2)
    assert np.array_equal(expert_load(S, 2).load, flat.load) and isinstance(flat, ExpertLoad)
    assert route(S[0, 0].tolist(), 1)[0].shape == (1,) and route(np.empty((0, 5)), 2)[0].shape == (0, 2)
    assert loss_free_bias(S, 2, 3, rule="quantile").dtype == np.float64


def test_biases_below_the_precision_of_scores_count():
    S = np.float32([[1, 1, 1]])
    assert route(S, 1, bias=[0, 1e-12, 0])[0].tolist() == [[1]] and route(S, 1, bias=[0, 1e-12, 0])[1].dtype == np.float32


def test_weights_never_see_the_bias():
    S, b = drawn(1, 50, 6), drawn(2, 6)
    for constant in (0, 5, -5):
        indices, weights = route(S, 3, bias=b + constant)
        assert np.array_equal(indices, route(S, 3, bias=b)[0]) and np.array_equal(weights, np.take_along_axis(S, indices, axis=1))


def test_masked_experts_are_never_chosen():
    S = -drawn(3, 40, 6) - 1                                # all below zero: a mask of zeros would win
    S[:, 2] = S[::2, 4] = -np.inf
    indices, weights = route(S, 3, bias=[0, 0, 1e9, 0, 0, 0])
    assert not np.any(indices == 2) and not np.any(indices[::2] == 4) and np.all(np.isfinite(weights))
    assert expert_load(S, 3).load[2] == 0
    S[5, :4] = -np.inf
    with pytest.raises(ValueError, match="scores has a row with 2 finite numbers; allowed are k = 3 or more"):
        route(S, 3)


def test_violation_is_that_of_the_target():
    found = expert_load([[2.0, 1, 0], [2, 0, 1]], 1, target=[0.8, 0.1, 0.1])
    assert found.load.tolist() == [1, 0, 0] and found.max_violation == pytest.approx(0.25)


# --- loss_free_bias

def test_one_step_of_each_rule_by_hand():
    S = np.array([[3.0, 1, 0], [2, 0, 1], [0, 1, 3], [5, 4, 0]])
    excess = np.array([3, 0, 1]) / 4 - np.array([0.5, 0.25, 0.25])
    for rule, direction in (("sign", [1, -1, 0]), ("gradient", excess), ("rms", excess / np.sqrt(np.mean(excess**2)))):
        b = loss_free_bias(S, 1, 1, 0.5, rule=rule, target=[0.5, 0.25, 0.25], bias=[1, 1, 1])
        assert np.allclose(b, -0.5 * np.asarray(direction), atol=1e-15)     # the mean is 0
    still = loss_free_bias(np.eye(3), 1, 4, 0.5, rule="rms")
    assert not still.any()


def test_quantiles_reach_the_best_assignment():
    for seed in range(6):
        S = drawn(seed, 24, 4)
        b = loss_free_bias(S, 1, 800, rule="quantile")
        assert dual(S, 1, b, np.ones(4) / 4) == pytest.approx(best_balanced(S), abs=1e-9)
        assert expert_load(S, 1, bias=b).max_violation == 0


@pytest.mark.parametrize("target", (None, np.array([1, 2, 3, 4, 2]) / 12))
@pytest.mark.parametrize("k", (1, 2, 3))
def test_sweeps_never_go_up_and_meet_a_target(k, target):
    S, Q = drawn(k, 600, 5) + np.arange(5) / 5, np.ones(5) / 5 if target is None else target
    values = [dual(S, k, loss_free_bias(S, k, steps, rule="quantile", target=target), Q) for steps in (0, 1, 2, 4, 8, 40)]
    assert all(after <= before + 1e-12 for before, after in zip(values, values[1:]))
    b = loss_free_bias(S, k, 40, rule="quantile", target=target)
    assert expert_load(S, k, bias=b, target=target).max_violation < 0.02


def test_the_middle_passes_where_an_end_rests():
    S = np.array([[0.0, 2, 0], [0, 2, 0], [1, 0, 1]])
    b = loss_free_bias(S, 1, 200, rule="quantile")
    assert dual(S, 1, b, np.ones(3) / 3) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("rule, rate", RULES)
@pytest.mark.parametrize("scale", (1e-300, 1e-150, 1e-30, 1e30, 1e150, 1e300))
def test_units(rule, rate, scale):
    S = drawn(0, 60, 4)
    rate = rate and rate * 50
    with np.errstate(all="raise"):
        found = loss_free_bias(scale * S, 2, 12, rate and scale * rate, rule=rule)
    assert np.allclose(found / scale, loss_free_bias(S, 2, 12, rate, rule=rule), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule, rate", RULES)
def test_steps_go_on_from_a_bias(rule, rate):
    S, b = drawn(5, 200, 6) + np.arange(6) / 6, None
    before = S.copy()
    for _ in range(4):
        start = None if b is None else b.copy()
        b = loss_free_bias(S, 2, 5, rate, rule=rule, bias=b)
        assert start is None or not np.array_equal(start, b)
    assert np.allclose(b, loss_free_bias(S, 2, 20, rate, rule=rule), atol=1e-12) and np.array_equal(S, before)
    assert not loss_free_bias(S, 2, 0, rate, rule=rule).any()


def test_corner_cases():
    S = drawn(0, 12, 3)
    for rule, rate in RULES:
        assert not loss_free_bias(S, 3, 5, rate, rule=rule).any()           # all experts: nothing to choose
        assert not loss_free_bias(S[:, :1], 1, 5, rate, rule=rule).any()
        assert np.all(np.isfinite(loss_free_bias(S[:1], 2, 5, rate, rule=rule)))
    always = loss_free_bias(S, 2, 30, rule="quantile", target=[0.5, 0.25, 0.25])    # k Q = 1: the first has all tokens
    assert expert_load(S, 2, bias=always).load.tolist() == pytest.approx([0.5, 0.25, 0.25])
    few = loss_free_bias(S, 1, 30, rule="quantile", target=[0.02, 0.49, 0.49])      # less than a token
    assert expert_load(S, 1, bias=few).load[0] <= 1 / 12
    same = np.tile(S[:1], (12, 1))
    assert expert_load(same, 1, bias=loss_free_bias(same, 1, 9, rule="quantile")).max_violation == 2


def test_a_sweep_sorts_the_table_twice(monkeypatch):
    tables, sort = [], np.sort
    monkeypatch.setattr(np, "sort", lambda x, *args, **kwargs: tables.append(x.size) or sort(x, *args, **kwargs))
    loss_free_bias(drawn(0, 100, 7), 3, 5, rule="quantile")
    assert tables == [700] * 10


# --- shared_expert_scale

@pytest.mark.parametrize("sizes, expected", [
    ((162, 8, 2, "softmax", False), 16.020), ((257, 9, 1, "sigmoid", True), 2.82729),
    ((64, 8, 2, "sigmoid", True), 3.45951), ((162, 8, 2, "sigmoid", True), 3.46246),
])
def test_reference_values_of_the_scale(sizes, expected):
    found = shared_expert_scale(*sizes, samples=4000, rng=1)
    assert isinstance(found, SharedExpertScale) and abs(found.scale - expected) < 4 * found.standard_error + 2e-5
    assert found.standard_error < 0.06 and shared_expert_scale(*sizes, samples=4000, rng=1) == found


def test_the_scale_of_one_sigmoid():
    """n - s = 1: E sqrt(s) (1 + exp(-z)) = sqrt(s) (1 + sqrt(e))."""
    found = shared_expert_scale(3, 3, 2, "sigmoid", samples=200_000, rng=0)
    assert abs(found.scale - 2**0.5 * (1 + np.exp(0.5))) < 4 * found.standard_error


@pytest.mark.parametrize("act", ("softmax", "sigmoid", "relu"))
def test_bounds_of_the_scale(act):
    found = shared_expert_scale(5, 4, 1, act, renorm=True, samples=2000, rng=np.random.default_rng(0))
    assert 1 < found.scale < 3**0.5
    assert shared_expert_scale(2, 2, 1, act, renorm=True, samples=50, rng=0) == (1, 0)


# --- refusals

S = drawn(0, 4, 3)


@pytest.mark.parametrize("call, error, message", [
    (lambda: route(S, 4), ValueError, "k is 4; allowed is an integer from 1 to 3"),
    (lambda: route(S, 0), ValueError, "k is 0; allowed is an integer from 1 to 3"),
    (lambda: route(S, 1.5), TypeError, "k is 1.5; allowed is an integer"),
    (lambda: route(S * 1j, 1), TypeError, "scores has dtype complex128; allowed are real numbers"),
    (lambda: route(np.array(1.0), 1), ValueError, r"scores has shape \(\); allowed is \(..., n\)"),
    (lambda: route(np.ones((3, 0)), 1), ValueError, r"scores has shape \(3, 0\); allowed is \(..., n\)"),
    (lambda: route([[1, np.nan]], 1), ValueError, "scores has NaN or Inf; allowed are finite numbers, and -inf"),
    (lambda: route([[1, np.inf]], 1), ValueError, "scores has NaN or Inf; allowed are finite numbers, and -inf"),
    (lambda: route(S, 1, bias=[1, 2]), ValueError, r"bias has shape \(2,\) and dtype \w+; allowed are n = 3 real numbers"),
    (lambda: route(S, 1, bias=[1, 2, np.inf]), ValueError, "bias has NaN or Inf; allowed are finite numbers"),
    (lambda: expert_load(S[:0], 1), ValueError, r"scores has shape \(0, 3\); allowed is one token or more"),
    (lambda: expert_load(S, 1, target=[0.5, 0.5, 0]), ValueError, "target has a smallest entry of 0, .*; allowed are numbers above 0"),
    (lambda: expert_load(S, 1, target=[0.5, 0.5, 0.5]), ValueError, "the sum 1.5; allowed"),
    (lambda: expert_load(S, 2, target=[0.6, 0.2, 0.2]), ValueError, "up to 1 / k = 0.5 with the sum 1"),
    (lambda: loss_free_bias(S[:0], 1, 1, 1), ValueError, "allowed is one token or more"),
    (lambda: loss_free_bias([[0, -np.inf]], 1, 1, 1), ValueError, "scores has NaN or Inf; allowed are finite numbers$"),
    (lambda: loss_free_bias(S, 1, -1, 1), ValueError, "steps is -1; allowed is an integer from 0"),
    (lambda: loss_free_bias(S, 1, 1), ValueError, "rate is None; allowed is a number above 0 with rule='sign'"),
    (lambda: loss_free_bias(S, 1, 1, 0), ValueError, "rate is 0; allowed is a finite number above 0"),
    (lambda: loss_free_bias(S, 1, 1, np.inf), ValueError, "rate is inf; allowed is a finite number above 0"),
    (lambda: loss_free_bias(S, 1, 1, 1, rule="quantile"), ValueError, "rate is 1; allowed is None with rule='quantile'"),
    (lambda: loss_free_bias(S, 1, 1, 1, rule="adam"), ValueError, "rule is 'adam'; allowed are 'sign', 'rms'"),
    (lambda: shared_expert_scale(8, 9, 1), ValueError, "k is 9; allowed is an integer from 2 to 8"),
    (lambda: shared_expert_scale(8, 4, 4), ValueError, "s is 4; allowed is an integer from 1 to 3"),
    (lambda: shared_expert_scale(8, 4, 0), ValueError, "s is 0; allowed is an integer from 1 to 3"),
    (lambda: shared_expert_scale(8, 4, 1, "tanh"), ValueError, "act is 'tanh'; allowed are 'softmax', 'sigmoid', 'relu'"),
    (lambda: shared_expert_scale(8, 4, 1, "relu"), ValueError, "renorm is False; with act='relu' the mean is infinite"),
    (lambda: shared_expert_scale(8, 4, 1, renorm=1), TypeError, "renorm is 1; allowed is True or False"),
    (lambda: shared_expert_scale(8, 4, 1, samples=1), ValueError, "samples is 1; allowed is an integer from 2"),
])
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_other_libraries_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="scores is a Tensor; allowed is an array of NumPy"):
        route(torch.ones(3, 4), 2)
    with pytest.raises(TypeError, match="bias is a Tensor; allowed is an array of NumPy"):
        route(np.ones((3, 4)), 2, bias=torch.ones(4))

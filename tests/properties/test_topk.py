"""Smooth top-k: sums, order, limits, symmetry, gradients; masks, dtypes and libraries; the fast ways and the peers' faults."""

import itertools
import math
from pathlib import Path

import mpmath
import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowrank.simplex_maps import softmax, sparsemax
from lowrank.topk import soft_topk, soft_topk_jvp, soft_topk_vjp, topk_temperature
from tests.properties.libraries import LIBRARIES, every_library

METHODS = ("laplace", "sparse", "subset", "sigmoid", "expclip")
every_method = pytest.mark.parametrize("method", METHODS)
CHAPTER = Path(__file__).parents[2] / "book/smooth_topk/topk.ipynb"


def scores(seed, shape=(3, 40), scale=2.0):
    return np.random.default_rng(seed).standard_normal(shape) * scale


def hard(x, k):
    return np.isin(np.arange(len(x)), np.argsort(-x, kind="stable")[:k]).astype(float)


@settings(deadline=None)
@given(arrays(float, st.integers(1, 40), elements=st.floats(-1e300, 1e300)), st.floats(0, 1), st.booleans(),
       st.sampled_from(METHODS), st.floats(1e-300, 1e300))
def test_sum_range_order(x, share, whole, method, T):
    k = share * len(x)
    k = round(k) if whole or method == "subset" else k
    before = x.copy()
    with np.errstate(all="raise"):
        p = soft_topk(x, k, temperature=T, method=method)
        gx, gk, gT = soft_topk_vjp(x, k, np.ones(len(x)), temperature=T, method=method)
    assert np.array_equal(x, before)
    assert p.min() >= 0 and p.max() <= 1 and abs(p.sum() - k) <= 1e-12 * k + 1e-15
    ordered = p[np.argsort(x, kind="stable")]
    assert np.all(np.diff(ordered) >= -1e-14 if method == "subset" else np.diff(ordered) >= 0)
    assert np.abs(gx).max() <= 1e-12 / T and not np.isnan(gT)       # J 1 = 0
    assert gk is None if method == "subset" else abs(gk - 1) < 1e-12    # the sum is k


@every_method
def test_hard_and_uniform_limits(method):
    x = scores(0)
    for k in (1, 7, 39):
        cold, warm = (soft_topk(x, k, temperature=T, method=method) for T in (1e-6, 1e9))
        np.testing.assert_allclose(cold, np.stack([hard(row, k) for row in x]), atol=1e-12)
        np.testing.assert_allclose(warm, k / 40, atol=1e-7)
    assert np.array_equal(soft_topk(x, 0, method=method), np.zeros((3, 40)))
    assert np.array_equal(soft_topk(x, 40, method=method), np.ones((3, 40)))


@every_method
def test_ties_share_and_shifts_do_nothing(method):
    np.testing.assert_allclose(soft_topk(np.zeros(8), 3, method=method), 3 / 8, atol=1e-15)
    p = soft_topk(np.array([2.0, 1, 1, 1, 0]), 2, temperature=1e-3, method=method)
    np.testing.assert_allclose(p, [1, 1 / 3, 1 / 3, 1 / 3, 0], atol=1e-12)
    x = np.round(scores(1), 6)
    np.testing.assert_allclose(soft_topk(x + 2.0**20, 5, method=method), soft_topk(x, 5, method=method), atol=1e-9)
    with np.errstate(all="raise"):
        big = soft_topk(x * 1e300, 5, method=method)
    np.testing.assert_array_equal(big, np.stack([hard(row, 5) for row in x]))


@pytest.mark.parametrize("method", ("laplace", "sparse", "subset", "sigmoid"))
def test_the_complement_is_chosen_by_the_negative_scores(method):
    x = scores(2)
    for k in (1, 13) if method == "subset" else (0.2, 1, 12.5):
        a, b = soft_topk(x, k, method=method), soft_topk(-x, 40 - k, method=method)
        np.testing.assert_allclose(a, 1 - b, atol=1e-14)


def test_one_of_them_is_softmax_or_sparsemax():
    x = scores(3)
    for method in ("subset", "expclip"):
        np.testing.assert_allclose(soft_topk(x, 1, temperature=0.6, method=method), softmax(x, temperature=0.6), atol=1e-15)
    np.testing.assert_allclose(soft_topk(x, 1, temperature=0.6, method="sparse"), sparsemax(x, temperature=0.6), atol=1e-14)


def dynamic_programme(x, k, T):
    """Marginals of the subset law by prefixes and suffixes of the tilted product, positive terms only."""
    p = soft_topk(x, k, temperature=T, method="sigmoid")

    def prefixes(p):
        rows = [np.eye(1, k + 1)[0]]
        for v in p:
            rows.append(rows[-1] * (1 - v) + np.concatenate([[0], rows[-1][:-1]]) * v)
        return rows
    left, right = prefixes(p), prefixes(p[::-1])[::-1]
    return np.array([p[i] * left[i][:k] @ right[i + 1][:k][::-1] for i in range(len(x))]) / left[-1][k]


@pytest.mark.parametrize("n, k", [(2, 1), (30, 4), (300, 150), (1000, 3), (1000, 990)])
@pytest.mark.parametrize("T", [0.05, 1.0, 30.0])
def test_subset_law_by_another_way(n, k, T):
    x = scores(n + k, (n,))
    np.testing.assert_allclose(soft_topk(x, k, temperature=T, method="subset"), dynamic_programme(x, k, T), rtol=2e-13, atol=1e-15)


def differences(x, k, T, g, method, h=1e-5):
    """The slopes of <g, p> in x, k and T by central differences; nan beside a kink or a jump of the second derivative."""
    def slope(dx=0.0, dk=0.0, dT=0.0):
        up, down = (soft_topk(x + s * dx, k + s * dk, temperature=T + s * dT, method=method) for s in (h, -h))
        pieces = [(p > 0.5) + 2.0 * (p > 0) + 4.0 * (p < 1) for p in (up, down)]
        return g @ (up - down) / (2 * h) if np.array_equal(*pieces) else math.nan
    return [slope(dx=e) for e in np.eye(len(x))], slope(dk=1) if method != "subset" else math.nan, slope(dT=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(METHODS), st.floats(0.7, 3), st.floats(0.05, 0.95))
def test_gradients(seed, method, T, share):
    x, g = np.random.default_rng(seed).standard_normal((2, 9))
    k = max(1, round(share * 9)) if method == "subset" else share * 9
    gx, gk, gT = soft_topk_vjp(x, k, g, temperature=T, method=method)
    for found, slope in zip((gx, 0 if gk is None else gk, gT), differences(x, k, T, g, method)):
        assert not np.any(np.abs(found - np.array(slope)) > 1e-9)
    np.testing.assert_array_equal(soft_topk_jvp(x, k, g, temperature=T, method=method), gx)


@every_method
@pytest.mark.parametrize("n", [4_500, 70_000])
def test_gradients_of_long_slices(method, n):
    """They agree with the general formula, which another library's arrays take."""
    import array_api_strict

    x, g = scores(14, (n,)) + 100, scores(15, (n,))
    for k, T in ((n // 50, 0.5), (n - 7, 0.1)):         # without care the last loses all digits of gT
        fast = soft_topk_vjp(x, k, g, temperature=T, method=method)
        general = soft_topk_vjp(array_api_strict.asarray(x), k, array_api_strict.asarray(g), temperature=T, method=method)
        np.testing.assert_allclose(fast[0], np.asarray(general[0]), rtol=0, atol=1e-13 / T)
        np.testing.assert_allclose(fast[2], np.asarray(general[2]), rtol=1e-12)
        assert fast[1] is None or abs(fast[1] - float(general[1])) < 1e-11


@pytest.mark.parametrize("method", ("laplace", "sigmoid", "expclip", "sparse"))
def test_gradients_in_a_gap_of_thousands_of_temperatures(method):
    """Three scores below the gap tie, one is above: the derivative in k weighs them although all exponentials are 0."""
    import array_api_strict

    for n, gap in itertools.product((6, 300, 5_000), (500.0, 1_450.0, 2_000.0, 1e9)):
        x, g = np.concatenate([[gap, 0, 0, 0], -5 - np.arange(n - 4)]), scores(19, (n,))
        single = soft_topk_vjp(x, 1, g, method=method)
        general = soft_topk_vjp(array_api_strict.asarray(x), 1, array_api_strict.asarray(g), method=method)
        for a, b in zip(single, general):
            np.testing.assert_allclose(a, np.asarray(b), rtol=1e-11, atol=1e-100)


def exact(x, k, T, method):
    """p to 40 digits for finite scores: the threshold by bisection, or the subset law by its definition."""
    with mpmath.workdps(700):
        border = mpmath.mpf(float(np.sort(x)[::-1][min(len(x) - 1, math.floor(k))]))
        z = [max(min((mpmath.mpf(float(v)) - border) / mpmath.mpf(T), mpmath.mpf(10)**5), -mpmath.mpf(10)**5) for v in x]
    with mpmath.workdps(40):
        exp = lambda t: mpmath.exp(t) if t > -2000 else mpmath.mpf(0)
        if method == "subset":
            def symmetric(w, k):
                e = [mpmath.mpf(1)] + [mpmath.mpf(0)] * k
                for v in w:
                    for j in range(k, 0, -1):
                        e[j] += v * e[j - 1]
                return e[k]
            w = [exp(v) if v < 2000 else mpmath.mpf(10)**900 for v in z]
            return np.array([float(v * symmetric(w[:i] + w[i + 1:], k - 1) / symmetric(w, k)) for i, v in enumerate(w)])
        F = {"laplace": lambda t: exp(t) / 2 if t <= 0 else 1 - exp(-t) / 2, "sigmoid": lambda t: 1 / (1 + exp(-t)) if t > 0 else exp(t) / (1 + exp(t)),
             "sparse": lambda t: min(max(t, mpmath.mpf(0)), mpmath.mpf(1)), "expclip": lambda t: exp(min(t, mpmath.mpf(0)))}[method]
        low, high = min(z) - 800, max(z) + 800
        for _ in range(160):
            level = (low + high) / 2
            low, high = (level, high) if sum(F(v - level) for v in z) > k else (low, level)
        return np.array([float(F(v - level)) for v in z])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e-3, 7.5, 1e6, 1e6 + 1, -1e300, 1e300, 1.7e308, -1.7e308, 5e-324]), min_size=2, max_size=7),
       st.floats(0, 1), st.sampled_from([0, 0, 0, 1e-9, 1e-200]), st.sampled_from(METHODS), st.sampled_from([1.0, 0.01, 1e6, 1e-100, 3e200]))
def test_values_to_all_digits(x, share, extra, method, T):
    x, whole = np.array(x), math.floor(share * len(x))
    k = whole + (extra if method != "subset" and whole < len(x) else 0)
    if 0 < k < len(x):
        with np.errstate(all="raise"):
            p = soft_topk(x, k, temperature=T, method=method)
            gradients = soft_topk_vjp(x, k, np.arange(len(x)), temperature=T, method=method)
        np.testing.assert_allclose(p, exact(x, k, T, method), rtol=0, atol=1e-14)
        assert all(np.all(np.isfinite(A)) for A in gradients if A is not None)
        assert math.fsum(p) == pytest.approx(k, rel=1e-12, abs=0)


@every_method
@pytest.mark.parametrize("k", [1e-12, 1e-200])
def test_hardly_anything_chosen(method, k):
    if method != "subset":
        for x in (np.zeros(4), np.array([0.3, 0.1, 0.3, -5]), np.array([[1e6], [2.0], [1e6]]).T):
            p = soft_topk(x, k, method=method)
            np.testing.assert_allclose(p.sum(axis=-1), k, rtol=1e-12)


@every_method
def test_the_derivative_in_k_is_a_distribution_even_where_all_is_hard(method):
    if method == "subset":
        return
    x = np.array([5.0, 4.0, 1.0, 0.0])
    for k in (0, 1, 2, 3, 4):
        for T in (1e-4, 1.0):
            weights = [soft_topk_vjp(x, k, e, temperature=T, method=method)[1] for e in np.eye(4)]
            assert min(weights) >= 0 and abs(sum(weights) - 1) < 1e-14
    halves = [soft_topk_vjp(x, 2, e, temperature=1e-4, method=method)[1] for e in np.eye(4)]
    assert halves == pytest.approx([0, 1, 0, 0] if method == "expclip" else [0, 0.5, 0.5, 0])


@every_method
def test_masks_are_left_out(method):
    x = scores(4, (2, 9))
    masked = np.insert(x, [0, 4, 9], [[-np.inf, np.inf, -np.inf]], axis=1)
    with np.errstate(all="raise"):
        p, q = soft_topk(masked, 4, method=method), soft_topk(x, 3, method=method)
        gx, gk, gT = soft_topk_vjp(masked, 4, np.cos(np.arange(24.0).reshape(2, 12)), method=method)
    kept = np.isfinite(masked)
    np.testing.assert_allclose(p[kept].reshape(2, 9), q, atol=2e-15)
    assert np.all(p[masked == np.inf] == 1) and np.all(p[masked == -np.inf] == 0)
    assert np.all(gx[~kept] == 0) and np.isfinite(gT)
    inner = soft_topk_vjp(x, 3, np.cos(np.arange(24.0).reshape(2, 12))[kept].reshape(2, 9), method=method)
    np.testing.assert_allclose(gx[kept].reshape(2, 9), inner[0], atol=1e-14)
    assert abs(gT - inner[2]) < 1e-13


@every_library
@every_method
def test_every_library_agrees_with_numpy(library, method):
    if library == "jax" and method != "laplace":        # it compiles every operation for every shape
        return
    convert, back = LIBRARIES[library]
    x, g = scores(5, (2, 7, 5)), scores(6, (2, 7, 5))
    x[0, 1, 2], x[1, 3, 3] = -np.inf, np.inf
    k = np.array([[2.0, 3, 1, 4, 5], [2, 7, 1, 4, 5]])
    for number in (k,) if library == "jax" else (k, 3):
        expected = soft_topk(x, number, method=method, axis=1), *soft_topk_vjp(x, number, g, method=method, axis=1)
        X, G = convert(x), convert(g)
        K = convert(number) if number is k else number
        found = soft_topk(X, K, method=method, axis=1), *soft_topk_vjp(X, K, G, method=method, axis=1)
        assert all(type(b) is type(X) and b.dtype == X.dtype for b in found[:2])
        for a, b in zip(expected, found):
            assert (b is None) == (method == "subset" and a is None)
            if a is not None:
                np.testing.assert_allclose(back(b), a, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(back(X), x)


@every_method
@pytest.mark.parametrize("n", [5_000, 20_000])
def test_the_fast_way_for_long_slices_is_the_general_one(method, n):
    """Numbers written as another library's array take the general way. With masks, and away from zero."""
    import array_api_strict

    x = scores(7, (3, n)) + [[0], [0], [1e4]]
    x[1, 5:900], x[1, 901] = -np.inf, np.inf
    for k, T in ((3, 0.3), (n // 20, 1.0), (n - 1500, 0.05), (5, 1e-6)):
        fast = soft_topk(x, k, temperature=T, method=method)
        general = np.asarray(soft_topk(array_api_strict.asarray(x), k, temperature=T, method=method))
        np.testing.assert_allclose(fast, general, rtol=0, atol=1e-12 if method == "subset" else 3e-13)
        assert np.abs(fast.sum(axis=-1) - k).max() <= 1e-12 * k


@every_method
def test_stacks_of_long_slices(method):
    x = scores(13, (2, 3, 4_200))
    P = soft_topk(np.moveaxis(x, -1, 1), 30, method=method, axis=1)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(P[i, :, j], soft_topk(x[i, j], 30, method=method))


@pytest.mark.parametrize("method", ("laplace", "sigmoid", "sparse", "subset"))
def test_a_sample_that_misleads(method):
    """Every 64th score is another kind of score; sorted scores; ties of thousands."""
    n = 300_000
    misleading = scores(16, (n,)) + 50 * (np.arange(n) % 64 == n % 64 // 2)
    for x in (misleading, np.sort(scores(17, (n,))), np.round(scores(18, (n,)))):
        for k, T in ((10, 0.5), (30_000, 0.5), (200_000, 1e-4)):
            p = soft_topk(x, k, temperature=T, method=method)
            assert abs(p.sum() - k) <= 1e-12 * k and p.min() >= 0 and p.max() <= 1
            assert np.all(np.diff(p[np.argsort(x, kind="stable")]) >= -1e-12)


def test_blocks_of_rows_do_not_mix():
    x, k = scores(8, (700, 64)), np.arange(700) % 65
    P = soft_topk(x, k)
    for i in (0, 64, 65, 511, 512, 699):
        np.testing.assert_allclose(P[i], soft_topk(x[i], k[i]), atol=1e-15)


@every_method
def test_half_and_single_precision_are_rounded_once(method):
    for dtype in (np.float16, np.float32):
        x = scores(9).astype(dtype)
        P = soft_topk(x, 5, method=method)
        gx, _, _ = soft_topk_vjp(x, 5, x, method=method)
        assert P.dtype == gx.dtype == dtype
        np.testing.assert_array_equal(P, soft_topk(x.astype(float), 5, method=method).astype(dtype))
    assert soft_topk([3, 1, 2], 2, method=method).dtype == float


def test_empty_input():
    assert soft_topk(np.zeros((0, 4)), 2).shape == (0, 4) and soft_topk(np.zeros((3, 0)), 0).shape == (3, 0)
    gx, gk, gT = soft_topk_vjp(np.zeros((0, 4)), 2, np.zeros((0, 4)))
    assert gx.shape == (0, 4) and gk == 0 and gT == 0
    assert soft_topk_jvp(np.zeros((0, 4)), 2, np.zeros((0, 4))).shape == (0, 4)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("laplace", "sparse", "subset", "sigmoid")), st.floats(1e-6, 0.4))
def test_the_rule_for_the_temperature_keeps_its_promise(seed, method, error):
    x = scores(seed, (2, 12))
    T = topk_temperature(x, 4, error=error, method=method)
    for row, t in zip(x, T):
        p = soft_topk(row, 4, temperature=t, method=method)
        assert p[np.argsort(-row)[4:]].sum() <= error * (1 + 1e-9)


@pytest.mark.parametrize("method, least", [("laplace", 1 - 1e-9), ("sigmoid", 0.99), ("subset", 0.99)])
def test_the_rule_for_the_temperature_wastes_nothing(method, least):
    """Two levels of scores misplace what the rule allows: a larger temperature would break the promise."""
    x = np.repeat([3.0, 1.0], [4, 7])
    for error in (1e-2, 1e-4):
        T = topk_temperature(x, 4, error=error, method=method)
        assert least * error <= soft_topk(x, 4, temperature=T, method=method)[4:].sum() <= error * (1 + 1e-7)
    assert topk_temperature(x, 4, method="sparse") == 2


@every_method
def test_memory_of_a_long_slice(method):
    import tracemalloc
    x, g = scores(10, (2, 400_000))
    for T in (1.0, 1e-3):
        for call in (lambda: soft_topk(x, 40_000, temperature=T, method=method),
                     lambda: soft_topk_vjp(x, 40_000, g, temperature=T, method=method)):
            tracemalloc.start()
            call()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 6 * x.nbytes


@pytest.mark.parametrize("call, message", [
    (lambda: soft_topk([1.0, 2.0], -1), r"k is -1; allowed are numbers from 0 to 2, one or an array of shape \(\)"),
    (lambda: soft_topk([1.0, 2.0], 2.5), "k is 2.5"),
    (lambda: soft_topk([1.0, 2.0], math.nan), "k is nan"),
    (lambda: soft_topk([1.0, 2.0], 1.5, method="subset"), "k is 1.5; allowed are integers from 0 to 2"),
    (lambda: soft_topk(np.zeros((3, 4)), np.ones(2)), r"k has shape \(2,\); allowed are .* an array of shape \(3,\)"),
    (lambda: soft_topk([1.0, np.nan], 1), "x contains 1 NaN"),
    (lambda: soft_topk([1.0, np.inf, np.inf], 1), "2 entries .inf and 3 above -inf; .* with 1 between"),
    (lambda: soft_topk([1.0, -np.inf, -np.inf], 2), "0 entries .inf and 1 above -inf"),
    (lambda: soft_topk([1.0, 2.0], 1, temperature=0.0), "temperature is 0.0"),
    (lambda: soft_topk([1.0, 2.0], 1, temperature=np.inf), "temperature is inf"),
    (lambda: soft_topk([1.0, 2.0], 1, method="softsort"), "method is 'softsort'; allowed are 'laplace', 'sparse'"),
    (lambda: soft_topk([1.0, 2.0], 1, axis=1), "axis is 1; allowed is an axis of x"),
    (lambda: soft_topk_vjp([1.0, 2.0], 1, [1.0]), r"g has shape \(1,\); allowed is the shape of x"),
    (lambda: soft_topk_jvp([1.0, 2.0], 1, [1.0, np.nan]), "dx contains 1 NaN"),
    (lambda: topk_temperature([1.0, 2.0], 2), "k is 2; allowed is one integer from 1 to 1"),
    (lambda: topk_temperature([1.0, 2.0], 1, method="expclip"), "method is 'expclip'"),
    (lambda: topk_temperature([1.0, 2.0], 1, error=0), "error is 0"),
    (lambda: soft_topk([1.0, 2.0], 10**400), "k is 1000"),
    (lambda: soft_topk(np.zeros((3, 0)), 1), "k is 1; allowed are numbers from 0 to 0"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@every_library
def test_bad_input_of_every_library(library):
    x = LIBRARIES[library][0](np.array([[0.5, 1.0, 2.0]]))
    for arguments, message in [((x, -1), "k is -1"), ((x, 3.5), "k is 3.5"), ((x, math.nan), "k is nan"), ((x * math.nan, 1), "x contains 3 NaN"),
                               ((x * math.inf, 1), "3 entries .inf and 3 above -inf")]:
        with pytest.raises(ValueError, match=message):
            soft_topk(*arguments)
    for options, message in [({"method": "hard"}, "method is 'hard'"), ({"axis": 2}, "axis is 2"), ({"temperature": -1}, "temperature is -1")]:
        with pytest.raises(ValueError, match=message):
            soft_topk(x, 1, **options)
    with pytest.raises(ValueError, match="k is 1.5; allowed are integers"):
        soft_topk(x, 1.5, method="subset")


def test_what_is_no_number_is_named():
    for k in ("two", "2", None, [[1]], {}, 1j):
        with pytest.raises((TypeError, ValueError), match="k "):
            soft_topk([1.0, 2.0], k)
    for T in ("1", None, [1.0], np.ones(1), 1j):
        with pytest.raises(TypeError, match="temperature is"):
            soft_topk([1.0, 2.0], 1, temperature=T)
    with pytest.raises(TypeError, match="g has dtype complex128; allowed are real"):
        soft_topk_vjp([1.0, 2.0], 1, [1j, 2.0])
    with pytest.raises(TypeError, match="error is 'small'"):
        topk_temperature([1.0, 2.0], 1, error="small")


def test_the_pytorch_block_of_the_chapter_runs():
    torch = pytest.importorskip("torch")
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (block,) = [c.source.split("```python\n")[1].split("```")[0] for c in cells if "import torch" in c.source]
    names = {}
    exec(block, names)
    x, k = names["scores"], names["k"]
    assert x.grad.shape == x.shape and k.grad.shape == () and torch.isfinite(x.grad).all()


def test_jax_traces():
    jax = pytest.importorskip("jax")
    convert, _ = LIBRARIES["jax"]
    x = convert(scores(12, (3, 9)))
    f = lambda x, k: soft_topk(x, k)
    np.testing.assert_allclose(jax.jit(f)(x, 2.5), f(x, 2.5), atol=1e-14)

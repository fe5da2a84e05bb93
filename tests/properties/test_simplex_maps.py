"""Maps onto the simplex: sums, order, limits and gradients, masks, every dtype and library, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from lowrank.simplex_maps import _MAP, check_room, entmax, entmax_vjp, softmax, softmax_vjp, sparsemax, sparsemax_vjp
from tests.properties.libraries import LIBRARIES, every_library

ALPHAS = (1, 1 + 1e-10, 1.2, 1.5, 1.9, 2)
every_alpha = pytest.mark.parametrize("alpha", ALPHAS)


def slices(seed, shape=(3, 40), scale=2.0):
    return np.random.default_rng(seed).standard_normal(shape) * scale


@given(arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 30)), elements=st.floats(-1e300, 1e300)),
       st.sampled_from(ALPHAS), st.floats(1e-300, 1e300))
def test_simplex_order_and_the_largest(x, alpha, T):
    before = x.copy()
    with np.errstate(all="raise"):
        P = entmax(x, alpha=alpha, temperature=T)
    assert np.array_equal(x, before) and P.shape == x.shape
    assert P.min() >= 0 and np.abs(P.sum(axis=-1) - 1).max() < 1e-14
    for p, scores in zip(P, x):
        ordered = p[np.argsort(scores, kind="stable")]
        assert np.all(np.diff(ordered) >= 0)
        assert p.max() >= 1 / len(p) * (1 - 1e-14)


@every_alpha
def test_the_variational_problem_is_solved(alpha):
    """No feasible direction between two entries raises the objective."""
    x = slices(1, (50, 12))
    P = entmax(x, alpha=alpha, temperature=0.8)
    slope = x - 0.8 * (np.log(np.maximum(P, 1e-300)) if alpha == 1 else (P ** (alpha - 1) - 1 / alpha) / (alpha - 1))
    level = np.where(P > 0, slope, -np.inf).max(axis=-1, keepdims=True)
    spread = np.where(P > 1e-3, level - slope, 0)
    assert np.abs(spread).max() < 1e-11 if abs(alpha - 1) > 1e-6 or alpha == 1 else True
    assert np.all(np.where(P == 0, slope, -np.inf) <= level + 1e-9)


def test_softmax_is_that_of_scipy_and_sparsemax_projects():
    x = slices(2)
    np.testing.assert_allclose(softmax(x, axis=0), special.softmax(x, axis=0), rtol=1e-14)
    P = sparsemax(x)
    rng = np.random.default_rng(3)
    others = rng.dirichlet(np.ones(40) / 10, (500, 3))
    distance = np.linalg.norm(P - x, axis=-1)
    assert np.all(np.linalg.norm(others - x, axis=-1) >= distance - 1e-12)


def test_entmax_takes_the_steps_that_many_near_ties_need():
    """Two levels of scores; each step of Newton's method raises -log max p by at most 1, and it has to come to log n."""
    n, lead, sizes = 200_000, 1e-3, [100_000, 100_000]
    p = entmax(np.repeat([0.0, -lead], sizes), alpha=1.5)
    a = (lead / 2 + math.sqrt(4 / n - lead**2 / 4)) / 2         # a^2 + (a - lead / 2)^2 = 2 / n
    np.testing.assert_allclose(p[[0, -1]], [a**2, (a - lead / 2)**2], rtol=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(ALPHAS), st.floats(0.2, 5), st.integers(0, 1))
def test_gradients(seed, alpha, T, axis):
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal((2, 4, 5))
    h = 1e-6
    f = lambda x, T: np.sum(g * entmax(x, alpha=alpha, temperature=T, axis=axis))
    P = entmax(x, alpha=alpha, temperature=T, axis=axis)
    near = [entmax(x + s * h * e, alpha=alpha, temperature=T, axis=axis) > 0
            for e in np.eye(20).reshape(20, 4, 5) for s in (-3, 3)]
    if alpha > 1 and any(np.any(n != (P > 0)) for n in near):           # a kink of sparsemax, or its like
        return
    gx, gT = entmax_vjp(x, g, alpha=alpha, temperature=T, axis=axis)
    slopes = [(f(x + h * e, T) - f(x - h * e, T)) / (2 * h) for e in np.eye(20).reshape(20, 4, 5)]
    tolerance = 1e-8 if alpha in (1, 2) else 2e-5                       # where d has no derivative
    assert np.abs(gx.ravel() - slopes).max() < tolerance
    assert abs(gT - (f(x, T + h) - f(x, T - h)) / (2 * h)) < tolerance * 10
    assert np.abs(gx.sum(axis=axis)).max() < 1e-14 / min(T, 1)


@pytest.mark.parametrize("kind, alpha", [("softmax", 1.0), ("sparsemax", 2.0), ("entmax", 1.3), ("entmax", 1.5), ("entmax", 1.8)])
@np.errstate(all="ignore")                              # as the functions themselves see to
def test_the_rule_in_every_argument(kind, alpha):
    """What libraries are given: forwards the differences of the map, backwards the adjoint of that, in scores, temperature and order."""
    rng = np.random.default_rng(12)
    x, g, dx = rng.standard_normal((3, 2, 6))
    x[0, 1] = -np.inf
    ins = x, np.array([[0.7]]), np.array([[alpha]])
    moves = dx, np.array([[0.3]]), np.array([[0.2]])
    outs = _MAP.value(kind, *ins)
    pulled, h = _MAP.pull(kind, ins, outs, (g,)), 1e-6
    assert [None if v is None else v.shape for v in pulled] == [x.shape, (1, 1), (1, 1) if kind == "entmax" else None]
    for i in range(3 if kind == "entmax" else 2):
        changes = [move if j == i else None for j, move in enumerate(moves)]
        (pushed,) = _MAP.push(kind, ins, outs, changes)
        ends = [_MAP.value(kind, *(v + s * h * move if j == i else v for j, (v, move) in enumerate(zip(ins, moves))))[0] for s in (1, -1)]
        np.testing.assert_allclose(pushed, (ends[0] - ends[1]) / (2 * h), rtol=0, atol=1e-8)
        np.testing.assert_allclose(np.sum(g * pushed), np.sum(pulled[i] * moves[i]), rtol=1e-12)
    (together,) = _MAP.push(kind, ins, outs, moves)
    apart = sum(_MAP.push(kind, ins, outs, [move if j == i else None for j, move in enumerate(moves)])[0] for i in range(3))
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-14)


@every_alpha
def test_masks(alpha):
    x = np.array([[1.0, -np.inf, 0.5, -np.inf], [0.3, np.inf, -np.inf, 2.0]])
    g = np.arange(8.0).reshape(2, 4)
    with np.errstate(all="raise"):
        P = entmax(x, alpha=alpha)
        gx, gT = entmax_vjp(x, g, alpha=alpha)
    np.testing.assert_allclose(P[0, [0, 2]], entmax(x[0, [0, 2]], alpha=alpha), rtol=1e-15)
    np.testing.assert_array_equal(P[0, [1, 3]], 0)
    np.testing.assert_array_equal(P[1], [0, 1, 0, 0])
    np.testing.assert_array_equal(gx[1], 0)
    np.testing.assert_allclose(gx[0, [0, 2]], entmax_vjp(x[0, [0, 2]], g[0, [0, 2]], alpha=alpha)[0], atol=1e-15)
    assert np.isfinite(gT)


@every_library
@every_alpha
def test_every_library_agrees_with_numpy(library, alpha):
    convert, back = LIBRARIES[library]
    x, g = slices(4, (2, 5, 7)), slices(5, (2, 5, 7))
    x[0, 1, 2], x[1, 3, 3] = -np.inf, np.inf
    if library == "jax" and alpha not in (1.5, 2):          # it compiles every operation for every shape
        return
    for axis in (-1,) if library == "jax" else (1, -1, 0):
        if axis == 0:
            x = np.clip(x, -9, 9)
        expected = entmax(x, alpha=alpha, axis=axis), *entmax_vjp(x, g, alpha=alpha, axis=axis)
        X, G = convert(x), convert(g)
        found = entmax(X, alpha=alpha, axis=axis), *entmax_vjp(X, G, alpha=alpha, axis=axis)
        assert all(type(b) is type(X) and b.dtype == X.dtype for b in found[:2])
        for a, b in zip(expected, found):
            np.testing.assert_allclose(back(b), a, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(back(X), x)


@every_library
def test_dtypes(library):
    convert, back = LIBRARIES[library]
    x = slices(6).astype(np.float32)
    P = sparsemax(convert(x))
    assert P.dtype == convert(x).dtype
    np.testing.assert_array_equal(back(P), sparsemax(x.astype(float)).astype(np.float32))
    whole = softmax(convert(np.arange(6).reshape(2, 3)))
    np.testing.assert_allclose(back(whole), softmax(np.arange(6.0).reshape(2, 3)), rtol=1e-6)


def test_half_precision_is_rounded_once():
    x = slices(7).astype(np.float16)
    for alpha in ALPHAS:
        P, (gx, _) = entmax(x, alpha=alpha), entmax_vjp(x, x, alpha=alpha)
        assert P.dtype == gx.dtype == np.float16
        np.testing.assert_array_equal(P, entmax(x.astype(float), alpha=alpha).astype(np.float16))
    assert softmax([1, 2]).dtype == softmax([True, False]).dtype == float


def test_torch_differentiates_with_the_vjp():
    torch = pytest.importorskip("torch")
    x = torch.tensor(slices(8), requires_grad=True)
    g = torch.tensor(slices(9))
    for alpha in (1, 1.5, 2):
        (gradient,) = torch.autograd.grad((entmax(x, alpha=alpha) * g).sum(), x)
        gx, _ = entmax_vjp(x.detach(), g, alpha=alpha)
        if alpha != 1.5:                              # there Newton's path itself is followed, to the same place
            assert torch.allclose(gradient, gx, atol=1e-12)
    half = torch.tensor(slices(8)).to(torch.bfloat16)
    assert softmax(half).dtype == sparsemax_vjp(half, half)[0].dtype == torch.bfloat16


def test_jax_traces_and_maps():
    jax = pytest.importorskip("jax")
    convert, _ = LIBRARIES["jax"]
    x, g = convert(slices(10)), convert(slices(11))
    for alpha in (1.5, 2):
        f = lambda x: entmax(x, alpha=alpha, temperature=0.5)
        np.testing.assert_allclose(jax.jit(f)(x), f(x), atol=1e-14)
        np.testing.assert_allclose(jax.vmap(f)(x), f(x), atol=1e-14)
    moving = jax.grad(lambda T: (softmax(x, temperature=T) * g).sum())(0.5)
    np.testing.assert_allclose(moving, softmax_vjp(x, g, temperature=0.5)[1], rtol=1e-10)


def test_empty_slices_and_stacks():
    for f in (softmax, sparsemax, entmax):
        assert f(np.zeros((0, 3))).shape == (0, 3) and f(np.zeros((3, 0)), axis=0).shape == (3, 0)
    for f in (softmax_vjp, sparsemax_vjp, entmax_vjp):
        gx, gT = f(np.zeros((0, 3)), np.zeros((0, 3)))
        assert gx.shape == (0, 3) and gT == 0
    assert np.array_equal(sparsemax(np.zeros(4)), [0.25] * 4) and softmax(np.array([7.0])) == 1


@pytest.mark.parametrize("call, kind, message", [
    (lambda: softmax([np.nan, 1]), ValueError, "x contains 1 NaN"),
    (lambda: softmax([1 + 1j]), TypeError, "x has dtype complex128"),
    (lambda: softmax(3.0), ValueError, r"axis is -1; allowed is an axis of x, whose shape is \(\)"),
    (lambda: softmax([1.0], axis=1), ValueError, "axis is 1"),
    (lambda: softmax([1.0], axis=0.0), TypeError, "axis is 0.0; allowed is an integer"),
    (lambda: softmax([]), ValueError, "length 0 with 0 entries"),
    (lambda: sparsemax([-np.inf, -np.inf]), ValueError, "0 entries .inf and 0 above -inf"),
    (lambda: entmax([[0.0, 1], [np.inf, np.inf]]), ValueError, "2 entries .inf and 2 above -inf; .* with 1 between"),
    (lambda: softmax([1.0], temperature=0), ValueError, "temperature is 0; allowed is a number with 0 < temp"),
    (lambda: softmax([1.0], temperature=np.nan), ValueError, "temperature is nan"),
    (lambda: softmax([1.0], temperature=math.inf), ValueError, "temperature is inf"),
    (lambda: softmax([1.0], temperature="warm"), TypeError, "temperature is 'warm'"),
    (lambda: entmax([1.0], alpha=0.9), ValueError, "alpha is 0.9; allowed is a number with 1 <= alpha <= 2"),
    (lambda: entmax([1.0], alpha=np.nextafter(2, 3)), ValueError, "alpha is .*2.0+4.*; allowed is a number with 1 <= alpha <= 2"),
    (lambda: entmax([1.0], alpha=3), ValueError, "alpha is 3; allowed is a number with 1 <= alpha <= 2"),
    (lambda: entmax([1.0], alpha=np.nan), ValueError, "alpha is nan"),
    (lambda: entmax([1.0], alpha=None), TypeError, "alpha is None"),
    (lambda: entmax([1.0], alpha="1.5"), TypeError, "alpha is '1.5'"),
    (lambda: softmax([1.0], temperature="1"), TypeError, "temperature is '1'"),
    (lambda: softmax_vjp([1.0, 2.0], [1j, 0]), TypeError, "g has dtype complex128; allowed are real"),
    (lambda: softmax_vjp([1.0, 2.0], [1.0]), ValueError, r"g has shape \(1,\); allowed is the shape of x, \(2,\)"),
    (lambda: sparsemax_vjp([1.0, 2.0], [1.0, np.inf]), ValueError, "g contains 0 NaN and 1 Inf"),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("f", [softmax, sparsemax, entmax])
def test_the_first_slice_without_a_solution_is_described(f):
    x = np.zeros((2, 3, 4))
    x[1, 0, :2] = np.inf
    x[1, 2] = -np.inf
    with pytest.raises(ValueError, match=r"^x has a slice of length 4 with 2 entries \+inf and 4 above -inf; "
                                         "allowed are masks with 1 between these numbers$"):
        f(x)
    x[1, 0] = 0
    with pytest.raises(ValueError, match=r"^x has a slice of length 4 with 0 entries \+inf and 0 above -inf; "):
        f(x)


def test_room_without_masks_is_the_length():
    X = np.zeros((2, 5))
    for finite in (True, False):
        certain, allowed = check_room(np, X, 3, finite)
        assert certain.tolist() == [[0], [0]] and allowed.tolist() == [[5], [5]]

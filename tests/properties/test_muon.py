"""Muon on every library, dtype, shape and scale; against PyTorch's and optax's; the optimizer of the text."""

import copy
import io
import pickle
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank import Muon, MuonState, MuonUpdate, msign, muon_update, optimal_msign_schedule
from tests.properties.libraries import LIBRARIES, every_library, every_library_and_dtype, needs
from tests.properties.matrices import HARD, any_matrix, assert_unchanged, double, eps

KELLER = [(3.4445, -4.7750, 2.0315)] * 5
SCALES = {"rms": lambda m, n: 0.2 * max(m, n)**0.5, "operator": lambda m, n: (m / n)**0.5,
          "jordan": lambda m, n: max(1, m / n)**0.5, 0.3: lambda m, n: 0.3}


def gaussian(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape)
    return (A + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def sizes(X):
    return np.linalg.svd(X, compute_uv=False)


# --- one matrix

@pytest.mark.parametrize("name", HARD)
def test_hard_matrices(name):
    G = HARD[name]
    update, momentum = assert_unchanged(G, muon_update)
    factor = 0.2 * max(G.shape)**0.5
    assert update.shape == momentum.shape == G.shape and sizes(update)[0] <= 1.2 * factor
    np.testing.assert_allclose(momentum, 0.05 * double(G), rtol=1e-6)
    exact = assert_unchanged(G, lambda G: muon_update(G, schedule=None)).update
    gain, nuclear = np.vdot(exact, double(G)).real, sizes(double(G)).sum()
    assert gain == pytest.approx(factor * nuclear, rel=1e-6) and sizes(exact)[0] <= factor * (1 + 1e-6)
    assert np.vdot(update, double(G)).real >= 0.6 * gain


@given(any_matrix(), st.sampled_from(list(SCALES)), st.booleans(), st.floats(0, 0.99))
def test_any_shape_scale_and_convention(G, scale, nesterov, beta):
    m, n = G.shape
    M = np.roll(G, 1, axis=0)
    options = {"scale": scale, "nesterov": nesterov, "beta": beta}
    copy = M.copy()
    update, momentum = assert_unchanged(G, lambda G: muon_update(G, M, **options))
    assert np.array_equal(M, copy) and update.dtype == momentum.dtype == G.dtype
    assert np.isfinite(update).all() and sizes(update)[0] <= 1.2 * SCALES[scale](m, n)
    unit = np.abs(G).max() or 1
    G, M = double(G) / unit, double(M) / unit
    new = beta * M + (1 - beta) * G
    np.testing.assert_allclose(double(momentum) / unit, new, rtol=0, atol=10 * eps(update) * 2)
    X = muon_update(G, M, **options, schedule=None).update
    expected = SCALES[scale](m, n) * msign((1 - beta) * G + beta * new if nesterov else new)
    assert np.vdot(X, new).real == pytest.approx(np.vdot(expected, new).real, rel=1e-6, abs=1e-9)


@every_library
@pytest.mark.parametrize("dtype, powers", [(np.float32, (-30, -10, 10, 30)), (np.float64, (-150, -30, 30, 150)), (np.complex128, (-150, 150))])
def test_the_unit_does_not_matter(library, dtype, powers):
    convert, back = LIBRARIES[library]
    if library == "jax" and dtype != np.float32:
        return                                          # it compiles every operation for every shape
    G, M = gaussian(6, 9, dtype=dtype), gaussian(6, 9, dtype=dtype, seed=1)
    for options in ({}, {"schedule": KELLER, "normalize": "frobenius", "nesterov": False}):
        expected = muon_update(G, M, **options).update
        for power in powers:
            unit = dtype(10.0**power)
            found = back(muon_update(convert(unit * G), convert(unit * M), **options).update)
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e4 * np.finfo(dtype).eps)


@every_library_and_dtype
def test_every_library_agrees_and_takes_stacks(library, dtype):
    convert, back = LIBRARIES[library]
    for shape in ((4, 6), (2, 3, 5, 3), (0, 3, 2), (3, 0)):
        if library == "jax" and (np.dtype(dtype).itemsize != 8 or shape != (4, 6)):
            continue
        G, M = gaussian(*shape, dtype=dtype), gaussian(*shape, dtype=dtype, seed=1)
        for options in ({}, {"schedule": None, "scale": "operator"}, {"schedule": KELLER, "scale": "jordan"}):
            expected = muon_update(G, M, **options)
            found = muon_update(convert(G), convert(M), **options)
            assert isinstance(found, MuonUpdate)
            for X, Y in zip(found, expected):
                assert type(X) is type(convert(G)) and back(X).dtype == dtype and back(X).shape == shape
                np.testing.assert_allclose(back(X), Y, rtol=0, atol=3000 * np.finfo(dtype).eps)
    stack = gaussian(4, 5, 3, dtype=dtype)
    np.testing.assert_allclose(muon_update(stack).update, [muon_update(G).update for G in stack], atol=200 * np.finfo(dtype).eps)


@every_library
def test_zero_gives_zero_and_integers_are_numbers(library):
    convert, back = LIBRARIES[library]
    for options in ({}, {"schedule": None}, {"schedule": KELLER}):
        update, momentum = muon_update(convert(np.zeros((3, 4))), convert(np.zeros((3, 4))), **options)
        assert not back(update).any() and not back(momentum).any()
    update = muon_update([[2, 0], [0, 3]], schedule=None, scale=1).update
    np.testing.assert_allclose(update, np.eye(2), atol=1e-14)
    assert muon_update(np.zeros((3, 0))).update.shape == (3, 0)


def test_the_format_of_the_products():
    G = 1e-150 * gaussian(8, 12)
    low = muon_update(G, dtype=np.float32)
    assert low.update.dtype == low.momentum.dtype == np.float64
    np.testing.assert_allclose(low.update, muon_update(G).update, atol=1e-2)
    kept = muon_update(G.astype(np.float32), G)
    assert kept.update.dtype == np.float32 and kept.momentum.dtype == np.float64
    with pytest.raises(TypeError, match="allowed is a complex floating-point dtype"):
        muon_update(gaussian(3, 3, dtype=complex), dtype=np.float32)
    with pytest.raises(TypeError, match="allowed is a real floating-point dtype"):
        muon_update(G, dtype=np.int64)


@pytest.mark.parametrize("options, kind, message", [
    ({"beta": 1.0}, ValueError, "beta is 1.0; allowed"), ({"beta": "a"}, TypeError, "beta is 'a'"),
    ({"scale": "wide"}, ValueError, "scale is 'wide'; allowed are 'rms', 'operator', 'jordan'"),
    ({"scale": -1}, ValueError, "scale is -1"), ({"scale": None}, TypeError, "scale is None"),
    ({"schedule": -1}, ValueError, "schedule is -1"), ({"schedule": 2.5}, TypeError, "schedule is 2.5"), ({"steps": 5}, TypeError, "steps"),
    ({"normalize": False}, ValueError, "normalize is False"), ({"schedule": [(float("nan"), 1)]}, ValueError, "step 0 of schedule"),
])
def test_bad_options_are_named_early(options, kind, message):
    for call in (lambda: muon_update(np.eye(2), **options), lambda: Muon(**options)):
        with pytest.raises(kind, match=message):
            call()


@pytest.mark.parametrize("grad, momentum, kind, message", [
    (np.array([[np.nan, 1.0]]), None, ValueError, "grad contains 1 NaN"), (np.ones(3), None, ValueError, r"grad has shape \(3,\)"),
    (np.eye(2), np.eye(3), ValueError, r"momentum has shape \(3, 3\); allowed is the shape of grad, \(2, 2\)"),
    (np.eye(2), np.array([[np.inf, 0], [0, 0]]), ValueError, "momentum contains 0 NaN and 1 Inf"),
    ([["a"]], None, TypeError, "grad has dtype"),
])
def test_bad_matrices_are_named(grad, momentum, kind, message):
    with pytest.raises(kind, match=message):
        muon_update(grad, momentum)


# --- a list of parameters

SHAPES = [(4, 3), (5, 2, 3, 3), (2, 3, 4), (7, 3), (4,), ()]
KINDS = ["matrix", "matrix", "stack", "adamw", "adamw", None]


def model(dtype=np.float64, seed=0):
    return [gaussian(*shape, dtype=dtype, seed=seed + k) for k, shape in enumerate(SHAPES)]


@every_library
@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_the_optimizer_agrees_in_every_library_and_writes_to_nothing(library, dtype):
    if library == "jax":
        return                                          # see test_jax_compiles_maps_and_differentiates
    convert, back = LIBRARIES[library]
    muon = Muon(0.1, weight_decay=0.5, kinds=KINDS)
    expected, theirs = model(dtype), list(map(convert, model(dtype)))
    state, other = muon.init(expected), muon.init(theirs)
    for k in range(3):
        grads = model(dtype, seed=100 * (k + 1))
        arrays = [*expected, *grads, *state.momenta, *(r for r in state.sizes if r is not None)]
        copies = [A.copy() for A in arrays]
        expected, state = muon.step(expected, grads, state, factor=1 / (k + 1))
        assert all(np.array_equal(A, copy) for A, copy in zip(arrays, copies))
        theirs, other = muon.step(theirs, list(map(convert, grads)), other, factor=1 / (k + 1))
        for W, V, shape in zip(theirs, expected, SHAPES):
            assert back(W).dtype == dtype and back(W).shape == shape
            np.testing.assert_allclose(back(W), V, rtol=0, atol=3e4 * np.finfo(dtype).eps)
    assert isinstance(other, MuonState) and other.count == 3


def test_adamw_is_adamw_at_every_scale():
    """Against its textbook form, whose squares must stay in range; ours need not."""
    rng = np.random.default_rng(0)
    W = w = rng.standard_normal((2, 3))
    m = v = 0
    muon = Muon(0.1, weight_decay=0.3, betas=(0.8, 0.9), kinds=["adamw"])
    state, small = muon.init([W]), muon.init([W])
    V, S = [W], [W]
    for t in range(1, 8):
        g = rng.standard_normal((2, 3)) * (t != 4)
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        w = w * (1 - 0.1 * 0.3) - 0.1 * (m / (1 - 0.8**t)) / np.sqrt(v / (1 - 0.9**t))
        V, state = muon.step(V, [g], state)
        S, small = muon.step(S, [1e-200 * g], small)
        np.testing.assert_allclose(V[0], w, rtol=1e-12)
        np.testing.assert_allclose(S[0], w, rtol=1e-12)


def test_a_gradient_that_has_died_out_moves_nothing():
    """Averages that decay into the subnormal numbers stay there: their ratio must not count."""
    muon = Muon(1.0, weight_decay=0, betas=(0.5, 0.6), kinds=["adamw"])
    W = [np.ones((1, 2), np.float32)]
    state = muon.init(W)
    W, state = muon.step(W, [np.ones((1, 2), np.float32)], state)
    for _ in range(600):
        W, state = muon.step(W, [np.zeros((1, 2), np.float32)], state)
    after = W[0].copy()
    for _ in range(20):
        W, state = muon.step(W, [np.zeros((1, 2), np.float32)], state)
    assert np.array_equal(W[0], after)


def test_weight_decay_is_a_wall():
    muon = Muon(0.5, weight_decay=1.0, scale="operator", schedule=None)
    params, state = [10 * gaussian(6, 4)], None
    state, G = muon.init(params), -gaussian(6, 4, seed=1)
    for _ in range(100):
        params, state = muon.step(params, [G], state)
    assert sizes(params[0]) == pytest.approx([(6 / 4)**0.5] * 4, rel=1e-6)


def test_with_five_steps_the_wall_stands_within_their_error():
    """1.12 with the default schedule, says the docstring of Muon; 1 with the exact sign."""
    G = np.diag(np.geomspace(1, 1e-2, 50))
    for schedule, reached in ((5, 1.12), (None, 1.0)):
        muon = Muon(0.5, weight_decay=1.0, beta=0, scale=1, schedule=schedule)
        params, state = [0 * G], muon.init([0 * G])
        for _ in range(60):
            params, state = muon.step(params, [G], state)
        assert sizes(params[0])[0] == pytest.approx(reached, abs=0.005)


@pytest.mark.parametrize("kind", [None, "adamw"])
def test_only_parameters_with_two_long_axes_decay(kind):
    params = [np.full(shape, 3.0) for shape in ((), (4,), (4, 3), (2, 3, 2), (4, 1, 1), (1, 5))]
    kinds = [kind, kind, kind, kind or "stack", kind, kind]
    muon = Muon(0.1, weight_decay=0.5, adam_lr=0.1, kinds=kinds)
    new, _ = muon.step(params, [0 * W for W in params], muon.init(params))
    for W, V in zip(params, new):
        np.testing.assert_allclose(V, W * (1 - 0.1 * 0.5) if W.size > 5 else W, rtol=1e-15)


@pytest.mark.parametrize("call, kind, message", [
    (lambda: Muon(-1), ValueError, "lr is -1"), (lambda: Muon("fast"), TypeError, "lr is 'fast'"),
    (lambda: Muon(weight_decay=np.inf), ValueError, "weight_decay is inf"), (lambda: Muon(adam_lr=-1), ValueError, "adam_lr is -1"),
    (lambda: Muon(betas=0.9), ValueError, "betas is 0.9; allowed is a pair"), (lambda: Muon(betas=(0.9, 1)), ValueError, r"betas\[1\] is 1; allowed is"),
    (lambda: Muon(nesterow=True), TypeError, "nesterow"),
    (lambda: Muon(kinds=["matrix"]).init([np.ones(3)]), ValueError, r"the kind of params\[0\] is 'matrix' and its shape \(3,\); allowed are"),
    (lambda: Muon(kinds=["muon"]).init([np.eye(3)]), ValueError, r"the kind of params\[0\] is 'muon'; allowed are 'matrix', 'stack', 'adamw'"),
    (lambda: Muon(kinds=[None]).init([np.eye(3)] * 2), ValueError, r"kinds has the entries \[0\] and params \[0, 1\]"),
    (lambda: Muon().init([]), ValueError, "params has no arrays"),
    (lambda: Muon().init([np.array([1, np.nan])]), ValueError, r"params\[0\] contains 1 NaN"),
    (lambda: Muon().step([np.eye(2)], [], Muon().init([np.eye(2)])), ValueError, r"grads has the entries \[\] and params \[0\]"),
    (lambda: Muon().step([np.eye(2)], [np.eye(3)], Muon().init([np.eye(2)])), ValueError, r"grads\[0\] has shape \(3, 3\); allowed is the shape of params\[0\]"),
])
def test_bad_input_of_the_optimizer_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_the_options_can_be_copied_stored_and_not_changed():
    muon = Muon(0.3, weight_decay=0.2, adam_lr=0.1, betas=(0.5, 0.6), kinds=["adamw"], schedule=None, scale=2.0)
    for other in (copy.deepcopy(muon), pickle.loads(pickle.dumps(muon)), muon._replace(lr=0.3)):
        assert isinstance(other, Muon) and other._asdict() == muon._asdict() and other.options == muon.options
    assert muon._replace(scale="rms", betas=(0.1, 0.2)).options == muon.options | {"scale": "rms"}
    with pytest.raises(ValueError, match="lr is -1"):
        muon._replace(lr=-1)
    with pytest.raises(AttributeError):
        muon.lr = 1.0


# --- PyTorch and JAX

@needs("torch")
def test_pytorch_differentiates_maps_and_keeps_bfloat16():
    import torch

    G, M = torch.asarray(gaussian(4, 6)), torch.asarray(gaussian(4, 6, seed=1))
    for options in ({}, {"schedule": KELLER}):
        f = lambda G: muon_update(G, M, **options).update
        assert torch.autograd.gradcheck(f, G.clone().requires_grad_())
        stack = torch.stack([G, 3 * G, G + 1])
        torch.testing.assert_close(torch.vmap(f)(stack), torch.stack([f(X) for X in stack]))
    exact = muon_update(G, M, schedule=None).update
    for options in ({"dtype": torch.bfloat16}, {"dtype": torch.float16}, {"dtype": torch.bfloat16, "schedule": 8}):
        update, momentum = muon_update(1e-150 * G, 1e-150 * M, **options)
        assert update.dtype == momentum.dtype == torch.float64
        assert torch.linalg.matrix_norm(update - exact, 2) < 0.25 * torch.linalg.matrix_norm(exact, 2)
    A = torch.asarray(gaussian(64, 256)).float()
    exact = muon_update(A, scale=1, schedule=None).update
    off = [float(torch.linalg.matrix_norm(muon_update(A, scale=1, schedule=T, dtype=torch.bfloat16).update - exact)
                 / torch.linalg.matrix_norm(exact)) for T in (6, 7, 8)]
    assert 0.005 < min(off) and max(off) < 0.03                     # "off by one per cent", says the chapter
    half = G.bfloat16()
    update, momentum = muon_update(half, M.float())
    assert update.dtype == torch.bfloat16 and momentum.dtype == torch.float32


@needs("jax")
def test_jax_compiles_maps_and_differentiates():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    G, M = jnp.asarray(gaussian(4, 6)), jnp.asarray(gaussian(4, 6, seed=1))
    f = lambda G, M: muon_update(G, M)
    for X, Y in zip(jax.jit(f)(G, M), f(G, M)):
        np.testing.assert_allclose(X, Y, atol=1e-12)
    stack = jnp.stack([G, 2 * G, G + 1])
    np.testing.assert_allclose(jax.vmap(lambda G: f(G, M).update)(stack), muon_update(stack, 0 * stack + M).update, atol=1e-12)
    slope = jax.jit(jax.grad(lambda G: jnp.vdot(M, f(G, M).update)))(G)
    direction = gaussian(4, 6, seed=2)
    value = lambda h: np.vdot(M, muon_update(np.asarray(G + h * direction), np.asarray(M)).update)
    assert np.vdot(slope, direction) == pytest.approx(float(value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-6)
    assert muon_update(G.astype(jnp.bfloat16)).update.dtype == jnp.bfloat16

    muon = Muon(0.1, kinds=KINDS)
    step = jax.jit(muon.step)
    params, expected = list(map(jnp.asarray, model())), model()
    other = muon.init(expected)
    state = jax.tree.map(jnp.asarray, other)
    for k in range(3):
        grads = model(seed=100 * k)
        params, state = step(params, list(map(jnp.asarray, grads)), state, factor=0.5**k)
        expected, other = muon.step(expected, grads, other, factor=0.5**k)
    for W, V in zip(params, expected):
        np.testing.assert_allclose(W, V, atol=1e-9)


# --- other libraries: equal where they can be, and the two faults that ours does not have

@needs("torch")
def test_pytorchs_muon_with_the_same_coefficients_is_equal():
    torch = pytest.importorskip("torch", minversion="2.13")
    from torch.optim._muon import _zeropower_via_newtonschulz

    for rule, scale, nesterov in (("original", "jordan", True), ("match_rms_adamw", "rms", False)):
        W = torch.nn.Parameter(torch.randn(24, 10, generator=torch.Generator().manual_seed(0)))
        theirs = torch.optim.Muon([W], lr=0.1, weight_decay=0.2, nesterov=nesterov, adjust_lr_fn=rule)
        muon = Muon(0.1, weight_decay=0.2, nesterov=nesterov, scale=scale, schedule=KELLER, normalize="frobenius", dtype=torch.bfloat16)
        params, exact = [W.detach().clone()], [W.detach().clone()]
        full = Muon(0.1, weight_decay=0.2, nesterov=nesterov, scale=scale, schedule=KELLER, normalize="frobenius")
        state, other = muon.init(params), full.init(exact)
        for k in range(4):
            G = torch.randn(24, 10, generator=torch.Generator().manual_seed(k + 1))
            W.grad = G.clone()
            theirs.step()
            params, state = muon.step(params, [G], state)
            exact, other = full.step(exact, [G], other)
        size = torch.linalg.matrix_norm(W.detach())
        assert torch.linalg.matrix_norm(W.detach() - exact[0]) < 0.02 * size          # their products have 8 bits
        assert torch.linalg.matrix_norm(params[0] - exact[0]) < 0.02 * size
        torch.testing.assert_close(state.momenta[0], theirs.state[W]["momentum_buffer"])

    G = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    scaled = lambda f, unit: torch.linalg.matrix_norm(f(unit * G).float(), 2) / torch.linalg.matrix_norm(f(G).float(), 2)
    zeropower = lambda G: _zeropower_via_newtonschulz(G, KELLER[0], 5, 1e-7)
    ours = lambda G: muon_update(G, schedule=KELLER, normalize="frobenius", dtype=torch.bfloat16).update
    assert scaled(zeropower, 1e-14) < 0.2                                              # the floor at 1e-7
    assert scaled(ours, 1e-14) == pytest.approx(1, abs=0.02) == scaled(ours, 1e-30)

    for f, faulty in ((zeropower, True), (ours, False)):
        half = G.bfloat16()
        before = half.clone()
        f(half)
        assert torch.equal(half, before) != faulty                                     # normalised in place
    W = torch.nn.Parameter(G.bfloat16())
    W.grad = W.detach().clone()
    theirs = torch.optim.Muon([W], lr=0.1, momentum=0.5, nesterov=False)
    theirs.step()
    momentum = theirs.state[W]["momentum_buffer"]
    assert torch.linalg.vector_norm(momentum.float()) < 2 < torch.linalg.vector_norm(0.5 * W.grad.float())
    assert torch.equal(muon_update(W.grad, beta=0.5, nesterov=False).momentum, 0.5 * W.grad)


def test_optax_with_the_same_coefficients_is_equal():
    pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    theirs = optax.contrib.scale_by_muon(ns_coeffs=KELLER[0], ns_steps=5, eps=0.0, nesterov=False)
    G = gaussian(10, 24)
    state, momentum = theirs.init(jnp.asarray(G)), None
    for k in range(3):
        G = gaussian(10, 24, seed=k)
        update, state = theirs.update(jnp.asarray(G), state)
        ours, momentum = muon_update(G, momentum, nesterov=False, schedule=KELLER, normalize="frobenius", scale=1)
        np.testing.assert_allclose(ours, update * np.linalg.norm(ours) / np.linalg.norm(update), atol=1e-5)
    floor = optax.contrib.scale_by_muon(ns_coeffs=KELLER[0], ns_steps=5)
    short, _ = floor.update(jnp.asarray(1e-15 * G), floor.init(jnp.asarray(G)))
    usual, _ = floor.update(jnp.asarray(G), floor.init(jnp.asarray(G)))
    assert np.linalg.norm(short) < 0.2 * np.linalg.norm(usual)
    np.testing.assert_allclose(muon_update(1e-15 * G).update, muon_update(G).update, atol=1e-9)



def test_five_steps_promise_what_the_chapter_says():
    schedule = optimal_msign_schedule(5, lower=1e-3)
    for seed in range(5):
        G = gaussian(40, 70, seed=seed)
        s = sizes(G)
        X = muon_update(G, schedule=schedule, normalize="frobenius", scale=1).update
        e, tau = schedule.errors[-1], s[s < 1e-3 * np.linalg.norm(G)].sum() / s.sum()
        assert sizes(X)[0] <= 1 + e + 1e-12 and np.vdot(G, X) >= (1 - e) * (1 - tau) * s.sum() - 1e-12


def test_what_muon_takes_by_itself():
    """The defaults that its docstring names."""
    made = Muon()
    assert (made.lr, made.weight_decay, made.adam_lr, made.betas, made.kinds) == (1e-3, 0.1, 1e-3, (0.9, 0.95), None)
    assert Muon(2e-3).adam_lr == 2e-3


# --- one look at values, one graph, few operations

def operations(call):
    """What PyTorch runs for a call, views included."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        found = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.found.append(str(function))
            return function(*args, **(kwargs or {}))

    with Counting() as mode:
        call()
    return mode.found


@needs("torch")
@pytest.mark.parametrize("normalize, most", [("frobenius", 40), ("schatten4", 45), ("schatten8", 50)])
def test_operations_for_one_matrix(normalize, most):
    import torch
    G, M = torch.randn(2, 64, 64)
    found = operations(lambda: muon_update(G, M, normalize=normalize, dtype=torch.bfloat16))
    assert len(found) <= most and found.count("aten._local_scalar_dense.default") == 1          # one look, and on a processor only
    products = [name for name in found if "mm" in name]
    assert len(products) == 15
    stacked = torch.randn(2, 3, 64, 32)
    assert len([name for name in operations(lambda: muon_update(stacked, stacked)) if "mm" in name]) == 15


@needs("torch")
@pytest.mark.parametrize("options", [{}, {"schedule": KELLER, "normalize": "frobenius"}])
def test_one_graph_of_torch_and_no_casts(options):
    import torch
    G, M = torch.randn(2, 8, 12)
    f = lambda G, M: muon_update(G, M, **options, dtype=torch.bfloat16)
    torch.compiler.reset()
    compiled = torch.compile(f, fullgraph=True, backend="eager")
    for X, Y in zip(compiled(G, M), f(G, M)):
        assert torch.equal(X, Y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for X, Y in zip(muon_update(grad=G, momentum=M, **options), muon_update(G, M, **options)):
            assert X.dtype == torch.float32 and torch.equal(X, Y)
        inside = muon_update(G, M, **options).update
    assert torch.equal(inside, muon_update(G, M, **options).update)


@needs("torch")
def test_compiling_in_a_fresh_process_makes_the_numbers_first():
    code = ("import torch; from lowrank import muon_update; G = torch.randn(4, 6); "
            "f = torch.compile(lambda G: muon_update(G).update, fullgraph=True, backend='eager'); "
            "assert torch.equal(f(G), muon_update(G).update)")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=300)


@needs("torch")
@pytest.mark.parametrize("options", [{}, {"normalize": "frobenius", "schedule": KELLER}, {"nesterov": False}])
def test_a_zero_matrix_in_a_stack_spoils_no_derivative(options):
    import torch
    stack = gaussian(3, 3, 4)
    stack[1] = 0
    A, M = torch.tensor(stack, requires_grad=True), torch.zeros(3, 3, 4, dtype=torch.float64)
    f = lambda A, M: (muon_update(A, M, **options).update[..., 0]**3).sum()
    G, = torch.autograd.grad(f(A, M), A, create_graph=True)
    H, = torch.autograd.grad((G**2).sum(), A)
    assert torch.isfinite(G).all() and torch.isfinite(H).all() and not G[1].any()
    if options and find_spec("jax"):
        import jax
        jax.config.update("jax_enable_x64", True)
        g = jax.jit(jax.grad(lambda A: f(A, 0 * A)))(stack)
        np.testing.assert_allclose(g, G.detach().numpy(), rtol=1e-7, atol=1e-6)


# --- parameters as libraries keep them

@needs("torch")
def test_nothing_remembers_a_loss():
    import torch
    muon = Muon(0.1, schedule=KELLER)
    params = {"dense": torch.nn.Parameter(torch.randn(4, 3)), "more": [torch.nn.Parameter(torch.randn(4)), torch.nn.Parameter(torch.randn(4, 1, 1))]}
    state = muon.init(params)
    for _ in range(3):
        loss = (params["dense"] @ torch.randn(3) + params["more"][0])**2
        loss.sum().backward()
        grads = {"dense": params["dense"].grad, "more": [params["more"][0].grad, None]}
        kept = params["more"][1]
        params, state = muon.step(params, grads, state)
        assert params["more"][1] is kept                                        # no gradient, no step
        for W in (params["dense"], params["more"][0]):
            assert W.is_leaf and W.requires_grad
        assert not state.momenta["dense"].requires_grad and state.sizes["dense"] is None
    copy.deepcopy((muon, params, state))
    pickle.loads(pickle.dumps(state))
    file = io.BytesIO()
    torch.save(state._asdict(), file)
    file.seek(0)
    again = MuonState(**torch.load(file, weights_only=True))
    assert again.count == 3
    for one, two in zip(muon.step(params, grads, state)[0]["more"], muon.step(params, grads, again)[0]["more"]):
        assert torch.equal(one, two)


def test_equal_options_are_equal():
    one, two = Muon(0.1, kinds=["stack"], schedule=[[1.5, -0.5]]), Muon(0.1, kinds=["stack"], schedule=[(1.5, -0.5)])
    assert one == two and hash(one) == hash(two) and len({one, two, Muon(0.2)}) == 2 and one != one._replace(scale=1)


@needs("jax")
def test_jax_maps_over_a_muon_and_traces_its_numbers():
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    tree = {"optimizer": Muon(0.1), "x": jnp.ones(2)}
    assert jax.tree.map(lambda leaf: leaf, tree)["optimizer"] == Muon(0.1)
    assert jax.jit(lambda muon, x: x * muon.lr, static_argnums=0)(Muon(0.1), 2.0) == pytest.approx(0.2)
    params = {"dense": jnp.asarray(gaussian(3, 5)), "conv": jnp.asarray(gaussian(3, 3, 2, 4)), "bias": jnp.ones(4)}
    grads = jax.tree.map(lambda W: jnp.cos(W), params)
    kinds = {"dense": (1, 0), "conv": (3, (0, 1, 2)), "bias": None}
    make = lambda lr, beta, scale: Muon(lr, beta=beta, scale=scale, kinds=kinds, schedule=KELLER, betas=(beta, beta))
    step = lambda lr, beta, scale, params: make(lr, beta, scale).step(params, grads, make(0.1, 0.9, 0.3).init(params))[0]
    expected = make(0.1, 0.9, 0.3).step(*(jax.tree.map(np.asarray, tree) for tree in (params, grads)), make(0.1, 0.9, 0.3).init(jax.tree.map(np.asarray, params)))[0]
    found = jax.jit(step, static_argnums=())(0.1, 0.9, 0.3, params)
    for name, W in expected.items():
        np.testing.assert_allclose(found[name], W, atol=1e-9)
    slope = jax.grad(lambda lr: step(lr, 0.9, 0.3, params)["dense"].sum())(0.1)
    assert float(slope) == pytest.approx(float(expected["dense"].sum() - params["dense"].sum()) / 0.1, rel=1e-6)


def test_axes_can_be_named():
    rng = np.random.default_rng(3)
    W, G = rng.standard_normal((2, 3, 3, 4, 16))                                # HWIO
    muon = lambda kind: Muon(0.1, weight_decay=0, scale="operator", schedule=None, kinds=[kind])
    move = lambda kind, W, G: W - muon(kind).step([W], [G], muon(kind).init([W]))[0][0]
    flat = lambda X: X.reshape(36, 16).T                                        # outputs first
    np.testing.assert_allclose(flat(move((3, (0, 1, 2)), W, G)), move("matrix", flat(W), flat(G)), atol=1e-12)
    np.testing.assert_allclose(move((-1, (0, 1, -2)), W, G), move((3, (0, 1, 2)), W, G), atol=1e-12)
    E, H = rng.standard_normal((2, 5, 3, 4))                                    # experts, as a stack
    each = [move("matrix", W, G) for W, G in zip(E, H)]
    for kind, turn in (("stack", (0, 1, 2)), ((1, 2), (0, 1, 2)), ((2, 0), (1, 2, 0))):
        found = move(kind, E.transpose(np.argsort(turn)), H.transpose(np.argsort(turn)))
        np.testing.assert_allclose(found.transpose(turn), each, atol=1e-12)


@pytest.mark.parametrize("shape, kind, message", [
    ((5, 3, 4), None, r"params\[0\] has shape \(5, 3, 4\), which may be a stack of matrices or one matrix; allowed for it are the kinds"),
    ((3, 4), (0, 0), r"the kind of params\[0\] is \(0, 0\) and its shape \(3, 4\); allowed are two sets of its axes"),
    ((3, 4), (0, 2), "allowed are two sets of its axes"), ((3, 4), (0, ()), "allowed are two sets"), ((), "stack", "'adamw' below two axes"),
])
def test_what_is_no_matrix_is_refused(shape, kind, message):
    with pytest.raises(ValueError, match=message):
        Muon(kinds=[kind]).init([np.ones(shape)])


def test_vectors_in_the_shape_of_more_go_to_adamw():
    for shape in ((4, 1, 1), (1, 4), (4, 1), (1, 1, 1, 4), (1, 1)):
        state = Muon().init([np.ones(shape)])
        assert state.sizes[0] is not None and state.sizes[0].shape == shape

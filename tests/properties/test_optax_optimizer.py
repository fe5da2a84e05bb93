"""Muon for optax: layouts, trees of any kind, what optax and JAX do with a transformation, formats, devices, refusals."""

import copy
import math
import pickle
import subprocess
import sys
from collections import namedtuple
from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
import jax.numpy as jnp

from lowrank import (
    ScaleByMuonState,
    muon_labels,
    muon_layouts,
    muon_update,
    optax_muon,
    optimal_msign_schedule,
    scale_by_muon,
)

KELLER = ((3.4445, -4.7750, 2.0315),) * 5
SHAPES = {"Conv_0": {"kernel": (3, 3, 2, 5), "bias": (5,)}, "Dense_0": {"kernel": (8, 4), "bias": (4,)}, "blocks": {"kernel": (2, 4, 4), "bias": (2, 4)}}
LAYOUTS = {"Conv*kernel": "iiio", "blocks/kernel": "bio"}


def array(*shape, seed=0, dtype=jnp.float32):
    """The tests run with and without double precision, whoever set it before; so every dtype is given."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def model(seed=0, dtype=jnp.float32, shapes=SHAPES):
    return jax.tree.map(lambda shape: array(*shape, seed=seed + math.prod(shape), dtype=dtype), shapes, is_leaf=lambda x: isinstance(x, tuple))


def step_of(G, layout=None, **options):
    """The first step for one array."""
    muon = scale_by_muon(layouts=layout and {"*": layout}, **options)
    return muon.update(G, muon.init(G))[0]


def near(found, expected, atol=1e-5):
    """Two trees agree."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
        np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), rtol=1e-4, atol=atol)


# Layouts


@pytest.mark.parametrize("layout, shape", [("io", (6, 4)), ("oi", (6, 4)), ("iiio", (3, 2, 2, 4)), ("oiii", (4, 2, 3, 2)), ("ibo", (6, 3, 2)), ("iio", (3, 2, 5)), ("bbio", (2, 1, 3, 4))])
def test_a_layout_is_the_matrix_of_outputs_and_inputs(layout, shape):
    G = array(*shape)
    axes = {role: [axis for axis, letter in enumerate(layout) if letter == role] for role in "boi"}
    sizes = {role: [shape[axis] for axis in axes[role]] for role in "boi"}
    stack = np.transpose(G, axes["b"] + axes["o"] + axes["i"]).reshape(-1, math.prod(sizes["o"]), math.prod(sizes["i"]))
    for scale in ("operator", "jordan", "rms", 0.3) if layout == "io" else ("operator",):
        each = np.stack([muon_update(np.asarray(matrix), scale=scale).update for matrix in stack])
        found = np.transpose(step_of(G, layout, scale=scale), axes["b"] + axes["o"] + axes["i"]).reshape(each.shape)
        np.testing.assert_allclose(found, each, rtol=0, atol=1e-3)


def test_names_and_shapes_decide():
    params = {
        "Dense_0": {"kernel": (8, 4), "bias": (4,)},
        "scan": {"bias": (3, 4), "scale": (3, 4)},           # of layers one above the other
        "Embed_0": {"embedding": (50, 4)},
        "gain": (4, 1, 1),
        "row": (1, 4),
        "number": (),
        "own": (4, 4),
    }
    shapes = jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), params, is_leaf=lambda x: isinstance(x, tuple))
    found = muon_layouts(shapes)
    assert found.pop("Dense_0") == {"kernel": "io", "bias": "adamw"} and found.pop("own") == "io"
    assert set(jax.tree.leaves(found)) == {"adamw"}
    first = muon_layouts(shapes, {"own": "oi", "own*": "adamw", "scan/s*": "io"})
    assert first["own"] == "oi" and first["scan"] == {"bias": "adamw", "scale": "io"}     # the first pattern, and yours before ours
    labels = muon_labels(shapes, {"own": "adamw"})
    assert labels["own"] == "adamw" and labels["Dense_0"] == {"kernel": "muon", "bias": "adamw"}
    assert jax.tree.structure(labels) == jax.tree.structure(shapes)


Pair = namedtuple("Pair", "kernel rest")


def test_trees_of_any_kind():
    params = [Pair(array(4, 3), None), {"a": (array(3, 3), array(3))}, {}, {7: array(2, 2, 2)}]
    layouts = {"3/7": "bio"}
    assert muon_layouts(params, layouts) == [Pair("io", None), {"a": ("io", "adamw")}, {}, {7: "bio"}]
    assert muon_layouts(params, {"3/7": "bio", "0/kernel": "oi", "1/a/0": "adamw"})[1] == {"a": ("adamw", "adamw")}
    optimizer = optax_muon(0.1, layouts=layouts)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(params, state, params)
        assert jax.tree.structure(updates) == jax.tree.structure(params)
        params = optax.apply_updates(params, updates)
    near(step_of(array(4, 3)), step_of({"W": array(4, 3)})["W"])            # a tree may be one array


def test_numpy_arrays_are_taken_and_left_alone():
    grads = jax.tree.map(np.array, model())
    before = copy.deepcopy(grads)
    optimizer = optax_muon(0.1, layouts=LAYOUTS)
    updates, _ = optimizer.update(grads, optimizer.init(grads), grads)
    near(grads, before, atol=0)
    near(updates, optimizer.update(model(), optimizer.init(model()), model())[0])


# The same as in optax


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_of_optax(nesterov):
    params = model()
    axes = optax.contrib.MuonDimensionNumbers
    numbers = {"Conv_0": {"kernel": axes((0, 1, 2), 3), "bias": None}, "Dense_0": {"kernel": axes(0, 1), "bias": None}, "blocks": {"kernel": axes(1, 2), "bias": None}}
    peer = optax.contrib.muon(0.1, weight_decay=0.2, consistent_rms=0.2, nesterov=nesterov, adam_b2=0.95, adam_b1=0.9, muon_weight_dimension_numbers=numbers)
    options = dict(weight_decay=0.2, nesterov=nesterov, schedule=KELLER, normalize="frobenius", layouts=LAYOUTS)
    several = {"peer": peer, "corrected": optax_muon(0.1, bias_correction=True, **options), "plain": optax_muon(0.1, **options)}
    states = {name: optimizer.init(params) for name, optimizer in several.items()}
    steps = {name: jax.jit(optimizer.update) for name, optimizer in several.items()}
    for t in range(30):
        grads, found = model(seed=100 * t + 7), {}
        for name, step in steps.items():
            found[name], states[name] = step(grads, states[name], params)
        for layer in SHAPES:
            np.testing.assert_allclose(found["corrected"][layer]["kernel"], found["peer"][layer]["kernel"], rtol=0, atol=3e-6)
            if not nesterov:                                 # which there is for its AdamW, too
                np.testing.assert_allclose(found["corrected"][layer]["bias"], found["peer"][layer]["bias"], rtol=0, atol=1e-7)
        distance = max(abs(found["plain"][layer]["kernel"] - found["peer"][layer]["kernel"]).max() for layer in SHAPES)
        assert distance > 1e-4 if nesterov and 0 < t < 8 else t >= 8 or distance < 3e-6


def test_the_parts_are_those_of_optax():
    params, grads = model(), model(seed=9)
    options = dict(weight_decay=0.3, adam_learning_rate=0.02, adam_b1=0.8, adam_b2=0.9, adam_eps=1e-3, adam_weight_decay=0.5)
    optimizer = optax_muon(0.1, layouts=LAYOUTS, **options)
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    adamw = optax.adamw(0.02, b1=0.8, b2=0.9, eps=1e-3, weight_decay=0.5)
    expected, _ = adamw.update(grads, adamw.init(params), params)
    steps = {"Conv_0": "iiio", "Dense_0": "io", "blocks": "bio"}
    for layer, layout in steps.items():
        np.testing.assert_allclose(updates[layer]["bias"], expected[layer]["bias"], rtol=1e-6)
        W, G = params[layer]["kernel"], grads[layer]["kernel"]
        np.testing.assert_allclose(updates[layer]["kernel"], -0.1 * (step_of(G, layout) + 0.3 * W), rtol=1e-5, atol=1e-6)
    shared = optax_muon(0.1, layouts=LAYOUTS)
    adamw = optax.adamw(0.1, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0)
    expected = adamw.update(grads, adamw.init(params), params)[0]["Dense_0"]["bias"]
    np.testing.assert_allclose(shared.update(grads, shared.init(params), params)[0]["Dense_0"]["bias"], expected, rtol=1e-6)
    default = shared.update(grads, shared.init(params), params)[0]["Dense_0"]["kernel"]
    near(default, -0.1 * (step_of(grads["Dense_0"]["kernel"], "io") + 0.1 * params["Dense_0"]["kernel"]))


def test_steps_are_those_of_muon_update():
    muon = scale_by_muon(0.8, layouts={"*": "oi"})
    W = array(5, 3)
    state, momentum = muon.init(W), None
    for t in range(4):
        G = array(5, 3, seed=t)
        step, state = muon.update(G, state)
        expected, momentum = muon_update(G, momentum, beta=0.8)
        np.testing.assert_allclose(step, expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(state.mu, momentum, rtol=1e-5, atol=1e-6)
    assert state.count == 4 and state.count.dtype == jnp.int32
    for options in ({"schedule": 6}, {"schedule": KELLER}, {"normalize": "frobenius"}, {"nesterov": False}):
        plain = {name: [*map(list, value)] if name == "schedule" and value is KELLER else value for name, value in options.items()}
        near(step_of(G, "oi", **plain), muon_update(G, **options).update, atol=1e-4)


# What optax and JAX do with it


def test_hyperparameters_are_a_part_of_the_state():
    params, grads = model(), model(seed=3)
    whole = partial(optax_muon, layouts=LAYOUTS)
    injected = optax.inject_hyperparams(optax_muon, static_args="schedule")(0.1, layouts=LAYOUTS, schedule=4)
    state = injected.init(params)
    assert {"learning_rate", "weight_decay", "beta", "adam_b1"} <= set(state.hyperparams)
    update = jax.jit(injected.update)
    near(update(grads, state, params)[0], whole(0.1, schedule=4).update(grads, whole(0.1).init(params), params)[0])
    state.hyperparams.update(learning_rate=jnp.float32(0.2), beta=jnp.float32(0.5), weight_decay=jnp.float32(0))
    first, state = update(grads, state, params)
    second, state = update(model(seed=4), state, params)
    reference = whole(0.2, beta=0.5, weight_decay=0, schedule=4)
    expected, other = reference.update(grads, reference.init(params), params)
    near(first, expected)
    near(second, reference.update(model(seed=4), other, params)[0])
    with pytest.raises(TypeError, match="schedule is .*; allowed is an integer from 0, 'auto' or a sequence of steps, and nothing traced"):
        moving = optax.inject_hyperparams(optax_muon)(0.1, layouts=LAYOUTS, schedule=4)
        jax.jit(lambda params: moving.update(grads, moving.init(params), params))(params)
    with pytest.raises(TypeError, match="mu_dtype is .*; allowed is None or a floating-point dtype, such as 'bfloat16'"):
        optax.inject_hyperparams(optax_muon)(0.1, layouts=LAYOUTS, mu_dtype=jnp.bfloat16).init(params)


def test_numbers_may_be_traced():
    G = array(5, 3)

    def first(rate, beta, scale, decay):
        muon = optax.chain(scale_by_muon(beta, scale=scale), optax.add_decayed_weights(decay), optax.scale_by_learning_rate(rate))
        updates, state = muon.update(G, muon.init(G), G)
        return muon.update(-G / 2, state, G)[0]

    numbers = jnp.float32([[0.1, 0.9, 1, 0], [0.2, 0.5, 3, 0.1]])
    for row, found in zip(numbers, jax.vmap(first)(*numbers.T)):
        near(found, first(*map(float, row)))
    make = lambda rate, decay, b: optax_muon(rate, weight_decay=decay, adam_b1=b, adam_b2=b, adam_eps=decay, adam_weight_decay=decay, adam_learning_rate=rate)
    start = lambda *numbers: make(*numbers).update(G, make(*numbers).init(G), G)[0]
    near(jax.jit(start)(0.1, 0.2, 0.5), start(0.1, 0.2, 0.5))
    slope = jax.grad(lambda rate: jnp.sum(first(rate, 0.9, 1.0, 0.1)))(0.1)
    near(slope, 10 * jnp.sum(first(0.1, 0.9, 1.0, 0.1)))


def test_rates_fall_by_a_schedule():
    G = array(4, 3)
    falling = lambda rate: optax.linear_schedule(rate, 0.0, 4)
    optimizer = optax_muon(falling(0.1), weight_decay=0, beta=0, adam_learning_rate=falling(1.0))
    params = {"W": G, "b": G[0]}
    state = optimizer.init(params)
    for t in range(4):
        updates, state = optimizer.update(params, state, params)
        near(updates["W"], -0.1 * (1 - t / 4) * step_of(G, beta=0))
        near(updates["b"], -(1 - t / 4) * jnp.sign(G[0]), atol=1e-4)


def test_scans_and_compiles_once():
    params, grads = model(), jax.tree.map(lambda *leaves: jnp.stack(leaves), *(model(seed=s) for s in range(3)))
    optimizer = optax_muon(0.1, layouts=LAYOUTS)

    def step(carry, G):
        updates, state = optimizer.update(G, carry[1], carry[0])
        return (optax.apply_updates(carry[0], updates), state), None

    (scanned, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), grads)
    compiled, carry = jax.jit(step), (params, optimizer.init(params))
    for t in range(3):
        carry, _ = compiled(carry, jax.tree.map(lambda G: G[t], grads))
    near(scanned, carry[0])
    assert compiled._cache_size() == 1                       # shapes, dtypes and kinds of numbers of a state stay


def test_gradients_are_gathered():
    params, grads = model(), [model(seed=s) for s in range(3)]
    gathered = optax.MultiSteps(optax_muon(0.1, layouts=LAYOUTS), every_k_schedule=3)
    state, update = gathered.init(params), jax.jit(gathered.update)
    for G in grads:
        updates, state = update(G, state, params)
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 3, *grads)
    once = optax_muon(0.1, layouts=LAYOUTS)
    near(updates, once.update(mean, once.init(params), params)[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_numbers_are_no_numbers_and_may_be_skipped(bad):
    params = {"W": array(4, 3), "V": array(3, 3)}
    grads = {"W": params["W"].at[0, 0].set(bad), "V": params["V"]}
    muon = scale_by_muon()
    for update in (muon.update, jax.jit(muon.update)):
        steps, state = update(grads, muon.init(params))
        assert jnp.isnan(steps["W"]).any() and jnp.isfinite(steps["V"]).all()
    skipping = optax.apply_if_finite(muon, 3)
    steps, state = jax.jit(skipping.update)(grads, skipping.init(params))
    assert not steps["W"].any() and state.inner_state.count == 0


def test_hidden_and_frozen_parts():
    params, grads = model(), model(seed=5)
    whole = optax_muon(0.1, layouts=LAYOUTS)
    expected, _ = whole.update(grads, whole.init(params), params)
    prefix = {name: "frozen" if name == "Conv_0" else "trained" for name in SHAPES}
    for labels in (prefix, jax.tree.map(lambda layout: "frozen" if layout == "iiio" else "trained", muon_layouts(params, LAYOUTS))):
        frozen = optax.multi_transform({"frozen": optax.set_to_zero(), "trained": whole}, labels)
        updates, _ = frozen.update(grads, frozen.init(params), params)
        assert not updates["Conv_0"]["kernel"].any()
        near(updates["blocks"], expected["blocks"])
    parts = {"muon": optax.chain(scale_by_muon(layouts=LAYOUTS | {"nobody": "io"}), optax.scale(-0.1)), "adamw": optax.sgd(1.0)}
    own = optax.multi_transform(parts, partial(muon_labels, layouts=LAYOUTS))
    updates, _ = own.update(grads, own.init(params), params)
    near(updates["Dense_0"]["bias"], -grads["Dense_0"]["bias"])
    near(updates["Conv_0"]["kernel"], -0.1 * step_of(grads["Conv_0"]["kernel"], "iiio"))


# Formats and sizes


@pytest.mark.parametrize("dtype, mu", [(jnp.bfloat16, jnp.float32), (jnp.float16, jnp.float32), (jnp.float32, jnp.float32), (jnp.complex64, jnp.complex64)])
def test_formats(dtype, mu):
    W = {"W": array(6, 4, dtype=dtype) * (1 if mu == jnp.float32 else 1 + 1j)}
    safety = 2e-2 if dtype != mu else 1e-4                   # each format has steps of its own: the same ones are compared
    steps = optimal_msign_schedule(5, lower=1e-3, cushion=0.02, safety=safety)
    exact = step_of({"W": W["W"].astype(mu)}, schedule=[tuple(step) for step in steps])["W"]
    for options, kept in (({}, mu), ({"mu_dtype": dtype}, dtype), ({"mu_dtype": np.dtype(dtype).name}, dtype)):
        muon = scale_by_muon(**options)
        state = muon.init(W)
        for _ in range(2):
            steps, state = muon.update(W, state)
            assert steps["W"].dtype == dtype and state.mu["W"].dtype == kept and state.count.dtype == jnp.int32
        np.testing.assert_allclose(np.asarray(steps["W"], complex), exact, rtol=0, atol=0.05 if dtype != mu else 1e-4)
    optimizer = optax_muon(0.1, mu_dtype="float16")
    W["bias"] = W["W"][0]
    kept = jax.tree.map(lambda leaf: leaf.dtype, optimizer.init(W))
    assert [str(kind) for kind in jax.tree.leaves(kept)].count("float16") >= 2


def test_products_run_in_their_own_format():
    G = array(40, 30)
    exact, found, own = step_of(G), step_of(G, dtype=jnp.bfloat16), step_of(G, dtype="float32")
    assert found.dtype == jnp.float32 and 1e-3 < jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact) < 0.2
    near(own, exact, atol=0)
    half = step_of(G.astype(jnp.bfloat16))                   # by default in that of the gradient
    better = step_of(G.astype(jnp.bfloat16), dtype="float32")
    exact = step_of(G.astype(jnp.bfloat16).astype(jnp.float32))
    assert abs(better - exact).max() < abs(half - exact).max() / 2


def test_an_average_in_sixteen_bits_is_rounded_once():
    muon = scale_by_muon(0.9, mu_dtype=jnp.bfloat16, schedule=1)
    state = muon.init(jnp.zeros((2, 2), jnp.bfloat16))
    for t in range(5):
        G, before = array(2, 2, seed=t, dtype=jnp.bfloat16), state.mu.astype(jnp.float32)
        state = muon.update(G, state)[1]
        expected = (jnp.float32(0.9) * before + jnp.float32(0.1) * G.astype(jnp.float32)).astype(jnp.bfloat16)
        assert jnp.mean(state.mu == expected) >= 0.75        # a tie may fall to the other side


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
def test_sizes_do_not_matter(size):
    G = {"W": array(6, 4), "Z": jnp.zeros((3, 3), jnp.float32)}
    muon = scale_by_muon()
    state, small = muon.init(G), muon.init(G)
    for _ in range(2):
        steps, state = muon.update(G, state)
        found, small = muon.update(jax.tree.map(lambda G: size * G, G), small)
        near(found, steps, atol=1e-4)
        assert not steps["Z"].any()


@pytest.mark.parametrize("shape, layout", [((0, 4, 3), "bio"), ((1, 1, 4), "bio"), ((1, 1), "io")])
def test_empty_and_single(shape, layout):
    step = step_of(jnp.ones(shape, jnp.float32), layout, scale=1, schedule=8)
    assert step.shape == shape and np.allclose(np.sum(step**2, axis=(-2, -1)), 1, atol=1e-3)


# States travel


def test_states_travel_and_resume():
    params = model()
    optimizer = optax_muon(0.1, layouts=LAYOUTS)
    update, state = jax.jit(optimizer.update), optimizer.init(params)
    _, state = update(model(seed=1), state, params)
    leaves, structure = jax.tree.flatten(state)
    others = [pickle.loads(pickle.dumps(state)), copy.deepcopy(state), jax.tree.unflatten(structure, leaves),
              jax.tree.unflatten(structure, [np.asarray(leaf) for leaf in leaves]), jax.tree.map(lambda leaf: leaf + 0, state)]
    expected = update(model(seed=2), state, params)
    for other in others:
        near(update(model(seed=2), other, params), expected, atol=0)
    inner = scale_by_muon().init(params["Dense_0"]["kernel"])
    assert isinstance(inner, ScaleByMuonState) and inner._fields == ("count", "mu") and not inner.mu.any()
    with pytest.raises(AttributeError):
        inner.more = 1


# One graph, of few operations


def operations(jaxpr):
    """All operations of a graph, those of its parts included."""
    for equation in jaxpr.eqns:
        parts = [part for part in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")) if hasattr(part, "eqns") or hasattr(part, "jaxpr")]
        yield from [equation.primitive.name] if not parts else []
        for part in parts:
            yield from operations(getattr(part, "jaxpr", part))


def test_a_step_is_one_graph_of_few_operations():
    muon = scale_by_muon()
    G = array(64, 64)
    found = [*operations(jax.make_jaxpr(muon.update)(G, muon.init(G)).jaxpr)]
    assert not [name for name in found if "callback" in name or name in ("while", "cond")]
    assert found.count("dot_general") == 15 and len(found) < 200            # three products a step


# Devices

SHARDED = """
import math, re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from lowrank import optax_muon, scale_by_muon
assert len(jax.devices()) == 4
mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("x", "y"))

def sent(update, *arguments):
    text = jax.jit(update).lower(*arguments).compile().as_text()
    return [line.split("=")[1] for line in text.splitlines() if re.search(r"= .* (all|collective|reduce)-[a-z-]+\\(.*channel_id", line)]

for shape, layout, spec in [((4, 6, 5), "bio", P(("x", "y"))), ((4, 6, 5), "bio", P("y")), ((3, 4, 6, 5), "bbio", P(None, "x")),
                            ((4, 2, 6, 5), "bbio", P("x", "y")), ((6, 4, 5), "ibo", P(None, "x")), ((2, 3, 3, 4, 5), "biiio", P("x"))]:
    place = NamedSharding(mesh, spec)
    G = jax.device_put(jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32), place)
    for muon in (scale_by_muon(layouts={"*": layout}), optax_muon(0.1, layouts={"*": layout})):
        state = jax.tree.map(lambda leaf: jax.device_put(leaf, place) if leaf.ndim else leaf, muon.init(G))
        assert sent(muon.update, G, state, G) == [], (shape, layout, spec, sent(muon.update, G, state, G))
        step, new = jax.jit(muon.update)(G, state, G)
        assert step.sharding == place and all(leaf.sharding == place for leaf in jax.tree.leaves(new) if leaf.ndim)
        alone = muon.update(np.asarray(G), muon.init(np.asarray(G)), np.asarray(G))[0]
        np.testing.assert_allclose(step, alone, rtol=0, atol=1e-3)

for shape, layout, spec, m in [((64, 8), "io", P("x"), 8), ((8, 64), "io", P(None, "x"), 8), ((12, 8), "oi", P("x"), 8), ((3, 64, 8), "bio", P(None, "x"), 8)]:
    place = NamedSharding(mesh, spec)
    G = jax.device_put(jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32), place)
    muon = scale_by_muon(layouts={"*": layout})
    found = sent(muon.update, G, muon.init(G)._replace(mu=G))
    assert found and all("all-reduce" in line for line in found), found
    sizes = [math.prod(map(int, filter(None, size.split(",")))) for line in found for size in re.findall(r"f32\\[([0-9,]*)\\]", line.split("all-reduce")[0])]
    batch = shape[0] if layout[0] == "b" else 1
    assert max(sizes) == batch * m * m and sum(size > batch for size in sizes) == (2 if max(shape[-2:]) >= 3 * m else 5), sizes
print("fine")
"""


def test_devices_tell_each_other_no_more_than_is_needed():
    code = 'import os\nos.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=4"\nos.environ["JAX_PLATFORMS"] = "cpu"\n' + SHARDED
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0 and done.stdout == "fine\n", done.stdout + done.stderr


# Refusals


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"beta": 1.0}, ValueError, r"beta is 1.0; allowed is a number with 0 <= beta < 1"),
        ({"beta": "x"}, TypeError, r"beta is 'x'"),
        ({"scale": "width"}, ValueError, r"scale is 'width'; allowed are 'rms', 'operator', 'jordan'"),
        ({"scale": -1}, ValueError, r"scale is -1; allowed is a finite number from 0"),
        ({"scale": math.inf}, ValueError, r"scale is inf"),
        ({"schedule": None}, TypeError, r"schedule is None; allowed is an integer from 0, 'auto' or a sequence of steps"),
        ({"schedule": "five"}, TypeError, r"schedule is 'five'; allowed is an integer from 0, 'auto'"),
        ({"schedule": -1}, ValueError, r"schedule is -1"),
        ({"normalize": False}, ValueError, r"normalize is False; allowed are"),
        ({"dtype": "int8"}, TypeError, r"dtype is dtype\('int8'\); allowed is None or a floating-point dtype, such as 'bfloat16'"),
        ({"dtype": "float99"}, TypeError, r"dtype is 'float99'; allowed is None or a floating-point dtype"),
        ({"mu_dtype": 3.5}, TypeError, r"mu_dtype is 3.5; allowed is None or a floating-point dtype"),
        ({"layouts": "iiio"}, TypeError, r"layouts is 'iiio'; allowed is a mapping from patterns of names to layouts"),
    ],
)
def test_options_are_refused_before_the_first_step(options, error, words):
    with pytest.raises(error, match=words):
        scale_by_muon(**options)
    with pytest.raises(error, match=words):
        optax_muon(0.1, **options)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "adam_learning_rate", "adam_eps", "adam_weight_decay"])
def test_sizes_are_refused(name):
    for value in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"{name} is {value}; allowed is a finite number from 0"):
            optax_muon(**{"learning_rate": 0.1, name: value})


@pytest.mark.parametrize("name", ["adam_b1", "adam_b2"])
def test_shares_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 1; allowed is a number with 0 <= {name} < 1"):
        optax_muon(0.1, **{name: 1})


@pytest.mark.parametrize("layout", ["i", "iio", "ii", "oo", "ix", "bo", 2, None, ("i", "o"), "IO"])
def test_layouts_are_refused(layout):
    with pytest.raises(ValueError, match=r"layouts\['a\*'\] is .* for a of shape \(4, 3\); allowed is 'adamw', or a letter for each axis: i for inputs and o for outputs"):
        muon_layouts({"a": array(4, 3)}, {"a*": layout})


def test_what_no_rule_covers_is_refused_by_name():
    params = {"layer": {"kernel": array(2, 3, 4)}, "b": array(3)}
    words = r"layer/kernel has shape \(2, 3, 4\), and nothing says which axes are a matrix; give layouts=\{'layer/kernel': ...\} a letter for each axis: i for inputs, o for outputs, b for a batch"
    for refused in (muon_layouts, muon_labels, optax_muon(0.1).init):
        with pytest.raises(ValueError, match=words):
            refused(params)
    with pytest.raises(ValueError, match=r"layouts has the pattern 'leyer\*', which fits no parameter; the names are b, layer/kernel"):
        muon_layouts(params, {"layer*": "bio", "leyer*": "bio"})
    assert muon_layouts({"a": None, "b": params["b"]}, {"a": "io"}) == {"a": None, "b": "adamw"}     # an absent one has its name
    with pytest.raises(ValueError, match=r"b of shape \(3,\) goes to AdamW; hand scale_by_muon the matrices alone, as optax_muon does"):
        scale_by_muon().init({"a": array(3, 3), "b": params["b"]})


def test_no_warnings_and_nothing_printed():
    code = ('import jax.numpy as jnp\nfrom lowrank import optax_muon\noptimizer = optax_muon(0.1)\nparams = {"W": jnp.eye(3, dtype=jnp.bfloat16), "b": jnp.ones(3)}\n'
            'optimizer.update(params, optimizer.init(params), params)\n')
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout + done.stderr == "", done.stderr

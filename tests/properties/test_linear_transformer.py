"""Linear attention: chunks, decays and states against the recurrence, in every library; cost, memory and refusals."""

import tracemalloc

import numpy as np
import pytest

from lowrank.linear_transformer import attention_crossover, linear_attention, random_features, transformer_macs
from tests.properties.libraries import LIBRARIES, every_library, needs


def recurrence(Q, K, V, g=None, S=None, normalize=False):
    """(rows, state), token by token in double."""
    Q, K, V = (np.asarray(X, float) for X in (Q, K, V))
    if normalize:
        V = np.concatenate([V, np.ones((*V.shape[:-1], 1))], axis=-1)
    n, batch = Q.shape[-2], np.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2], np.shape(g)[:-1])
    g = np.broadcast_to(1.0 if g is None else g, (*batch, n))
    S = np.zeros((*batch, K.shape[-1], V.shape[-1])) if S is None else S
    rows = np.empty((*batch, n, V.shape[-1]))
    for t in range(n):
        S = g[..., t, None, None] * S + K[..., t, :, None] * V[..., t, None, :]
        rows[..., t, :] = np.einsum("...m,...me->...e", Q[..., t, :], S)
    return (rows[..., :-1] / rows[..., -1:] if normalize else rows), S


def function(library):
    """linear_attention, compiled by JAX, which otherwise compiles every operation for every shape."""
    if library != "jax":
        return linear_attention
    import jax
    return jax.jit(linear_attention, static_argnames=("causal", "chunk", "features", "normalize", "return_state"))


def given(seed=0, n=150, m=5, e=3, batch=(2,)):
    rng = np.random.default_rng(seed)
    return *rng.standard_normal((2, *batch, n, m)), rng.standard_normal((*batch, n, e))


DECAYS = {
    "none": lambda n: None,
    "number": lambda n: 0.9,
    "zero": lambda n: 0.0,
    "heads": lambda n: np.array([[0.5], [1.0]]),
    "tokens": lambda n: np.random.default_rng(1).random(n),
    "both": lambda n: np.random.default_rng(2).random((2, n)).round(1),
}


@every_library
@pytest.mark.parametrize("decay", DECAYS)
def test_every_library_and_decay_agrees_with_the_recurrence(library, decay):
    convert, back = LIBRARIES[library]
    if library == "jax" and decay not in ("none", "both"):          # it compiles every operation for every shape
        return
    for n in (90,) if library == "jax" else (1, 63, 64, 65, 90):
        Q, K, V = given(n=n)
        g = DECAYS[decay](n)
        arrays, gates = [convert(X) for X in (Q, K, V)], g if g is None or np.isscalar(g) else convert(g)
        before = [X.copy() for X in (Q, K, V)]
        for normalize in (decay == "both",) if library == "jax" else (False, True):
            features = "elu" if normalize else None
            phi = (lambda X: np.where(X > 0, X + 1, np.exp(np.minimum(X, 0)))) if normalize else lambda X: X
            Y, S = function(library)(*arrays, True, chunk=16, decay=gates, features=features, normalize=normalize, return_state=True)
            expected, state = recurrence(phi(Q), phi(K), V, g, normalize=normalize)
            assert type(Y) is type(S) is type(arrays[0]) and Y.dtype == S.dtype == arrays[0].dtype
            np.testing.assert_allclose(back(Y), expected, rtol=0, atol=1e-11)
            np.testing.assert_allclose(back(S), state, rtol=0, atol=1e-11)
        assert all(np.array_equal(X, Z) for X, Z in zip((Q, K, V), before))


@every_library
def test_streaming_is_the_whole_call(library):
    convert, back = LIBRARIES[library]
    Q, K, V = map(np.abs, given(3, n=100))
    cuts = (0, 60, 100) if library == "jax" else (0, 1, 2, 70, 70, 100)
    call = function(library)
    each = {}, {"normalize": True}, {"normalize": True, "features": "relu", "decay": 0.7}
    for options in each[2:] if library == "jax" else each:
        whole, end = linear_attention(Q, K, V, True, return_state=True, **options)
        state, parts = None, []
        for a, b in zip(cuts, cuts[1:]):
            part, state = call(*(convert(X[:, a:b]) for X in (Q, K, V)), True, state=state, return_state=True, **options)
            parts.append(back(part))
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(back(state), end, rtol=1e-13, atol=1e-13)
    free, end = linear_attention(Q, K, V, return_state=True)        # without a mask: all keys, those of the state too
    _, state = linear_attention(Q[:, :0], K[:, :30], V[:, :30], return_state=True)
    np.testing.assert_allclose(linear_attention(Q, K[:, 30:], V[:, 30:], state=state), free, rtol=1e-13)
    np.testing.assert_allclose(free, Q @ (K.mT @ V), rtol=1e-13)


def test_reference_values():
    """The first example of the facts: angles for queries and keys, places for values."""
    i = np.arange(12.0)
    Q = np.stack([np.cos(0.5 * i), np.sin(0.5 * i)], axis=1)
    K = np.stack([np.cos(0.3 * i + 0.2), np.sin(0.3 * i + 0.2)], axis=1)
    V = (i / 11)[:, None]
    for chunk in (1, 5, 64):
        Y = linear_attention(Q, K, V, True, chunk=chunk)
        np.testing.assert_allclose(Y[[0, 5, 11], 0], [0, 0.466725785091, -4.204008287977], rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(linear_attention(Q, K, V)[[0, 5, 11], 0], [-3.5791897777, 4.281934050716, -4.204008287977], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, bool])
def test_dtypes_are_kept_and_sums_are_in_single_at_least(dtype):
    Q, K, V = ((2 * np.abs(X)).astype(dtype) for X in given(4, n=50, batch=()))
    Y, S = linear_attention(Q, K, V, True, return_state=True)
    kept = dtype if np.dtype(dtype).kind == "f" else np.float64
    assert Y.dtype == kept and S.dtype == (np.float32 if dtype is np.float16 else kept)
    expected, state = recurrence(Q, K, V)
    eps = float(np.finfo(kept).eps)
    np.testing.assert_allclose(Y, expected, rtol=4 * eps + 1e-14)
    np.testing.assert_allclose(S, state, rtol=1e-6 if dtype is np.float16 else 10 * eps + 1e-14)
    _, wide = linear_attention(Q, K, V, True, state=np.zeros(S.shape), return_state=True)
    assert wide.dtype == np.float64
    mixed = linear_attention(Q, K.astype(np.float32), V, True)
    assert mixed.dtype == np.result_type(kept, np.float32)


@needs("torch")
def test_bfloat16_is_computed_in_single():
    import torch
    Q, K, V = (torch.asarray(X).to(torch.bfloat16) for X in given(5, n=300, batch=()))
    Y, S = linear_attention(Q, K, V, True, return_state=True)
    assert Y.dtype == torch.bfloat16 and S.dtype == torch.float32
    expected = linear_attention(*(X.double() for X in (Q, K, V)), True)
    torch.testing.assert_close(Y, expected.bfloat16(), rtol=0.01, atol=1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear_attention(*(X.float() for X in (Q, K, V)), True).dtype == torch.float32


def test_single_precision_over_a_hundred_thousand_tokens():
    Q, K, V = (np.float32(X) for X in given(6, n=100_000, m=8, e=8, batch=()))
    Y = linear_attention(Q, K, V, True)
    expected = linear_attention(*(X.astype(float) for X in (Q, K, V)), True)
    assert np.linalg.norm(Y - expected) < 1e-6 * np.linalg.norm(expected)


def test_leading_axes_broadcast():
    rng = np.random.default_rng(7)
    Q, K, V = rng.standard_normal((3, 4, 20, 5)), rng.standard_normal((1, 20, 5)), rng.standard_normal((3, 1, 20, 2))
    g, S = rng.random((4, 20)), rng.standard_normal((5, 2))
    Y, state = linear_attention(Q, K, V, True, chunk=8, decay=g, state=S, return_state=True)
    expected, end = recurrence(*(np.broadcast_to(X, (3, 4, *X.shape[-2:])) for X in (Q, K, V)), g, np.broadcast_to(S, (3, 4, 5, 2)))
    np.testing.assert_allclose(Y, expected, atol=1e-12)
    np.testing.assert_allclose(state, end, atol=1e-12)
    np.testing.assert_allclose(linear_attention(Q, K[:, :7], V[:, :, :7]), Q @ (K[:, :7].mT @ V[:, :, :7]), atol=1e-12)


@every_library
@pytest.mark.parametrize("causal", [False, True])
def test_empty(library, causal):
    convert, _ = LIBRARIES[library]
    empty = lambda *shape: convert(np.zeros(shape))
    assert linear_attention(empty(0, 4), empty(0, 4), empty(0, 3), causal).shape == (0, 3)
    if library == "jax":
        return
    assert linear_attention(empty(0, 9, 4), empty(0, 9, 4), empty(0, 9, 3), causal).shape == (0, 9, 3)
    assert linear_attention(empty(9, 0), empty(9, 0), empty(9, 3), causal).shape == (9, 3)
    for normalize in (False, True):
        Y, S = linear_attention(empty(9, 4), empty(9, 4), empty(9, 0), causal, normalize=normalize, return_state=True)
        assert Y.shape == (9, 0) and S.shape == (4, int(normalize))
        Y, S = linear_attention(empty(0, 4), empty(0, 4), empty(0, 2), causal, normalize=normalize, return_state=True)
        assert Y.shape == (0, 2) and S.shape == (4, 2 + normalize) and not np.any(np.asarray(S))


@every_library
def test_units(library):
    """Products neither over- nor underflow where the result does not."""
    (convert, back), call = LIBRARIES[library], function(library)
    Q, K, V = map(np.abs, given(8, n=40, batch=()))
    Y = linear_attention(Q, K, V, True)
    for a, b, c in ((150, 150, -150), (-200, -200, 300), (250, 200, -300), (-300, 10, 200), (150, -300, 150), (0, 0, -300)):
        found = back(call(*(convert(X) for X in (Q * 10.0**a, K * 10.0**b, V * 10.0**c)), True))
        np.testing.assert_allclose(found / 10.0 ** (a + b + c), Y, rtol=1e-11)
        mean = back(call(*(convert(X) for X in (Q * 10.0**a, K * 10.0**b, V * 10.0**c)), True, normalize=True))
        np.testing.assert_allclose(mean / 10.0**c, linear_attention(Q, K, V, True, normalize=True), rtol=1e-11)


def test_units_of_a_state():
    Q, K, V = map(np.abs, given(9, n=40, batch=()))
    for unit in (1e-150, 1.0, 1e150):
        for v in (1e-150, 1.0, 1e100):
            options = {"normalize": True, "return_state": True}
            whole, end = linear_attention(Q, K * unit, V * v, True, **options)
            _, state = linear_attention(Q[:25], K[:25] * unit, V[:25] * v, True, **options)
            rest, last = linear_attention(Q[25:], K[25:] * unit, V[25:] * v, True, state=state, **options)
            np.testing.assert_allclose(rest, whole[25:], rtol=1e-12)
            np.testing.assert_allclose(last, end, rtol=1e-12)
    _, state = linear_attention(Q, K, V, True, return_state=True)
    for tiny in (1e-300, 0.0):                      # what comes is nothing beside the state
        same, S = linear_attention(Q, K * tiny, V * tiny, True, state=state, return_state=True)
        np.testing.assert_allclose(same, Q @ state, rtol=1e-12)
        np.testing.assert_allclose(S, state, rtol=1e-12)
    new, S = linear_attention(Q, K, V * 1e-300, True, state=0 * state, return_state=True)
    np.testing.assert_allclose(new, linear_attention(Q, K, V, True) * 1e-300, rtol=1e-12)


def test_rows_without_weights_are_zero_and_small_weights_count():
    Q = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1e-200, 0.0]])
    K = np.array([[1e-200, 0.0]] * 4)
    V = np.arange(4.0)[:, None]
    for causal, means in ((False, [1.5, 0, 0, 1.5]), (True, [0, 0, 0, 1.5])):
        np.testing.assert_allclose(linear_attention(Q, K, V, causal, normalize=True)[:, 0], means, atol=1e-15)
    low = np.full((5, 3), -60.0, np.float32)                        # exp(-120) is no float32
    assert np.allclose(linear_attention(low, low, np.ones((5, 1), np.float32), True, features="elu", normalize=True), 1)


def test_features():
    Q, K, V = given(10, n=30)
    relu, elu = lambda X: np.maximum(X, 0), lambda X: np.where(X > 0, X + 1, np.exp(np.minimum(X, 0)))
    for name, f in (("relu", relu), ("elu", elu)):
        for options in ({}, {"normalize": True}):
            np.testing.assert_allclose(linear_attention(Q, K, V, True, features=name, **options),
                                       linear_attention(Q, K, V, True, features=f, **options), atol=1e-13)
    wide = linear_attention(Q, K, V, True, features=lambda X: np.concatenate([X, -X], axis=-1))
    np.testing.assert_allclose(wide, 2 * linear_attention(Q, K, V, True), atol=1e-12)


@every_library
def test_random_features(library):
    convert, back = LIBRARIES[library]
    rng = np.random.default_rng(11)
    X, W = rng.standard_normal((2, 7, 4)), rng.standard_normal((9, 4))
    logs = X @ W.T - np.sum(X**2, axis=-1, keepdims=True) / 2
    for shift, top in ((None, 0), ("row", logs.max(axis=-1, keepdims=True)), ("all", logs.max(axis=(-2, -1), keepdims=True))):
        found = random_features(convert(X), convert(W), shift=shift)
        assert type(found) is type(convert(X))
        np.testing.assert_allclose(back(found), np.exp(logs - top) / 3, rtol=1e-12)
    for unit in (1e3, 1e160, 1e300):
        for shift in ("row", "all"):
            F = back(random_features(convert(unit * X), convert(W), shift=shift))
            assert np.isfinite(F).all() and F.max() <= 1
    assert random_features(X.astype(np.float16), W.astype(np.float16)).dtype == np.float16
    assert random_features(X[0, :0], W).shape == (0, 9) and random_features(X[0], W[:0], shift="row").shape == (7, 0)


def test_normalised_attention_does_not_notice_shifts():
    Q, K, V = given(12, n=50, batch=())
    W = np.random.default_rng(0).standard_normal((64, 5))
    plain = linear_attention(random_features(Q, W), random_features(K, W), V, True, normalize=True)
    shifted = linear_attention(random_features(Q, W, shift="row"), random_features(K, W, shift="all"), V, True, normalize=True)
    np.testing.assert_allclose(shifted, plain, rtol=1e-11)


@needs("torch")
def test_torch_derivatives():
    import torch
    from torch.autograd import gradcheck, gradgradcheck
    Q, K, V = (torch.asarray(X).requires_grad_() for X in given(13, n=7, m=3, e=2))
    S = torch.randn(2, 3, 2, dtype=torch.double, requires_grad=True, generator=torch.Generator().manual_seed(0))
    g = torch.rand(7, dtype=torch.double, requires_grad=True, generator=torch.Generator().manual_seed(1))
    both = lambda Q, K, V, g, S: linear_attention(Q, K, V, True, chunk=3, decay=g, state=S, return_state=True)
    mean = lambda Q, K, V, g: linear_attention(Q, K, V, True, chunk=3, decay=g, features="elu", normalize=True)
    assert gradcheck(both, (Q, K, V, g, S)) and gradcheck(mean, (Q, K, V, g)) and gradgradcheck(mean, (Q, K, V, g))
    W = torch.asarray(np.random.default_rng(2).standard_normal((5, 3)))
    assert gradcheck(lambda Q: random_features(Q, W), (Q,))
    gates = torch.tensor([0.5, 0, 1, 0, 0, 0.9, 1], dtype=torch.double, requires_grad=True)
    linear_attention(Q, K, V, True, chunk=3, decay=gates).sum().backward()
    step = lambda t, e: linear_attention(Q, K, V, True, decay=(gates + e * torch.eye(7)[t]).clip(0, 1)).sum().item()
    for t in range(7):
        e = -1e-6 if gates[t] == 1 else 1e-6
        assert abs((step(t, e) - step(t, 0)) / e - gates.grad[t]) < 1e-4
    zero = torch.zeros(4, 3, requires_grad=True)                    # at the kink, and no weights at all
    for features in ("elu", "relu"):
        Y = linear_attention(zero, zero, torch.ones(4, 1), True, features=features, normalize=True)
        assert torch.isfinite(torch.autograd.grad(Y.sum(), zero)[0]).all()
    slope = torch.autograd.grad(linear_attention(zero, torch.ones(4, 3), torch.ones(4, 1), features="elu").sum(), zero)[0]
    torch.testing.assert_close(slope, torch.full((4, 3), 8.0))      # elu has the slope 1 at 0; a key has 2 there, and there are 4


@needs("torch")
def test_torch_compile_and_vmap():
    import torch
    Q, K, V = (torch.asarray(X) for X in given(14, n=40, batch=(3,)))
    f = lambda Q, K, V: linear_attention(Q, K, V, True, chunk=4, features="elu", normalize=True, decay=0.9)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(f, fullgraph=True, backend="eager")(Q, K, V), f(Q, K, V))
    torch.testing.assert_close(torch.func.vmap(f)(Q, K, V), f(Q, K, V))


@needs("torch")
def test_derivatives_keep_nothing_of_the_size_of_all_scores():
    import torch
    n, sizes = 3000, []
    Q, K, V = (torch.asarray(X).requires_grad_() for X in given(15, n=n, m=8, e=8, batch=()))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.untyped_storage().nbytes() // 8) or x, lambda x: x):
        linear_attention(Q, K, V, True, chunk=16, decay=0.9).sum().backward()
    assert max(sizes) <= 16 * n and len(sizes) < 200


@needs("jax")
def test_jax_transformations():
    import jax
    f = lambda Q, K, V, g: linear_attention(Q, K, V, True, chunk=1, features="elu", normalize=True, decay=g)
    arrays = Q, K, V = given(16, n=50, batch=(2,))                  # two spans, and empty tokens at the end
    expected, loss = f(*arrays, 0.9), lambda Q, K, V, g: (f(Q, K, V, g)**2).sum()
    np.testing.assert_allclose(jax.jit(jax.vmap(f, (0, 0, 0, None)))(*arrays, 0.9), expected, rtol=1e-12)
    value, slope = jax.jit(jax.value_and_grad(loss, 3))(*arrays, 0.9)
    e = 1e-6
    assert abs(value - loss(*arrays, 0.9)) < 1e-11 * value
    assert abs((loss(*arrays, 0.9 + e) - loss(*arrays, 0.9 - e)) / (2 * e) - slope) < 1e-6 * max(1, abs(slope))


@needs("jax")
def test_a_long_text_is_one_loop_in_jax():
    """The program does not grow with the text, and no array in it has n x n entries."""
    import jax
    sizes = {}
    for n in (5_000, 20_000):
        X = jax.ShapeDtypeStruct((n, 64), np.float32)
        text = jax.jit(lambda Q, K, V: linear_attention(Q, K, V, True)).lower(X, X, X).as_text()
        sizes[n] = text.count("\n")
        assert f"{n}x{n}" not in text
    assert sizes[20_000] <= sizes[5_000] + 5


def test_memory_and_length():
    Q, K, V = (np.float32(X) for X in given(17, n=20_000, m=64, e=64, batch=()))
    for options in ({}, {"decay": 0.97}, {"features": "elu", "normalize": True}):
        tracemalloc.start()
        linear_attention(Q, K, V, True, **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 7 * Q.nbytes                                  # scores would be 300 times Q


@needs("torch")
def test_macs_are_what_torch_counts():
    """Its counter knows nothing of fused attention on a processor, so the plain one is asked for."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    for n, d, heads in ((512, 768, 12), (33, 24, 3)):
        layer = torch.nn.ModuleList([torch.nn.Linear(d, d, bias=False) for _ in "qkvo"]
                                    + [torch.nn.Linear(d, 4 * d, bias=False), torch.nn.Linear(4 * d, d, bias=False)])
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            X = torch.ones(1, n, d, requires_grad=True)
            q, k, v = (f(X).unflatten(-1, (heads, -1)).transpose(1, 2) for f in layer[:3])
            Y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            Z = layer[5](layer[4](layer[3](Y.transpose(1, 2).flatten(-2))))
            forward = counter.get_total_flops()
            Z.sum().backward()
        assert forward == 2 * transformer_macs(n, d, heads=heads)["total"] and counter.get_total_flops() == 3 * forward
    assert 2 * transformer_macs(512, 768)["total"] == 8053063680
    Q, K, V = torch.ones(3, 32 * 64, 64)
    with FlopCounterMode(display=False) as counter:
        linear_attention(Q, K, V, True)
    assert counter.get_total_flops() == 2 * (2048 * 64 * 128 + 2 * 2048 * 64 * 64 + 2048 * 32 * 64 * 64 // 64)


def test_bills():
    bill = transformer_macs(100, 64, heads=8, kv_heads=2, ffn=3.5, gated=True, causal=True, layers=3, vocab=1000)
    assert bill == {"projections": 3 * 100 * 64 * (2 * 64 + 2 * 16), "attention": 3 * 100 * 101 * 64, "ffn": 3 * 3 * 100 * 64 * 224,
                    "output": 100 * 64 * 1000, "total": 3 * 100 * 64 * 160 + 3 * 100 * 101 * 64 + 9 * 100 * 64 * 224 + 6_400_000}
    assert all(type(macs) is int for macs in bill.values())
    linear = transformer_macs(100, 64, heads=8, attention="linear")
    assert linear["attention"] == 2 * 100 * 64 * 8 == transformer_macs(100, 64, heads=8, attention="linear", causal=True)["attention"]
    assert transformer_macs(10, 6, layers=0, vocab=5)["total"] == 300 and attention_crossover(768) == (1536, 4608)
    assert transformer_macs(10**9, 10**6)["total"] == 12 * 10**21 + 2 * 10**24


X = np.ones((4, 3))


@pytest.mark.parametrize("message, call", [
    ("n is 0; allowed is an integer from 1", lambda: transformer_macs(0, 4)),
    ("d is 0; allowed is an integer from 1", lambda: attention_crossover(0)),
    ("heads is 3; allowed is a divisor of d, which is 4", lambda: transformer_macs(5, 4, heads=3)),
    ("heads is 8; allowed is an integer from 1 to 4", lambda: transformer_macs(5, 4, heads=8)),
    ("kv_heads is 3; allowed is a divisor of heads, which is 4", lambda: transformer_macs(5, 8, heads=4, kv_heads=3)),
    ("ffn is 0; allowed is a number with 0 < ffn < inf", lambda: transformer_macs(5, 4, ffn=0)),
    ("layers is -1; allowed is an integer from 0", lambda: transformer_macs(5, 4, layers=-1)),
    ("vocab is -1; allowed is an integer from 0", lambda: transformer_macs(5, 4, vocab=-1)),
    ("attention is 'soft'; allowed are 'softmax', 'linear'", lambda: transformer_macs(5, 4, attention="soft")),
    ("chunk is 0; allowed is an integer from 1", lambda: linear_attention(X, X, X, True, chunk=0)),
    ("features is 'gelu'; allowed are None, 'relu', 'elu'", lambda: linear_attention(X, X, X, features="gelu")),
    ("Q has the minimum -1; normalize allows features >= 0", lambda: linear_attention(-X, X, X, normalize=True)),
    ("K has the minimum -1; normalize allows", lambda: linear_attention(X, -X, X, normalize=True)),
    (r"features\(Q\) has the minimum -1; ", lambda: linear_attention(X, X, X, features=lambda X: -X, normalize=True)),
    (r"features\(Q\) is a list of shape \(\)", lambda: linear_attention(X, X, X, features=lambda X: X.tolist())),
    (r"features\(Q\) is a ndarray of shape \(3, 4\)", lambda: linear_attention(X, X, X, features=lambda X: X.T)),
    (r"features\(K\) contains 12 NaN", lambda: linear_attention(X, 2 * X, X, features=lambda X: X / (X < 2) * 0 + 1)),
    ("Q has 3 columns and K has 2", lambda: linear_attention(X, X[:, :2], X)),
    ("K has 3 rows and V has 4", lambda: linear_attention(X, X[:3], X)),
    ("Q has 2 rows and K has 4; causal allows", lambda: linear_attention(X[:2], X, X, True)),
    (r"Q has shape \(3,\); allowed is a matrix", lambda: linear_attention(X[0], X, X)),
    ("V contains 1 NaN and 0 Inf", lambda: linear_attention(X, X, np.where(np.arange(12).reshape(4, 3) == 5, np.nan, X))),
    (r"leading axes Q has \(2,\), K has \(3,\), V has \(\); allowed", lambda: linear_attention(np.ones((2, 4, 3)), np.ones((3, 4, 3)), X)),
    (r"state has shape \(3, 3\); allowed is \(..., 3, 4\)", lambda: linear_attention(X, X, X, normalize=True, state=np.ones((3, 3)))),
    ("decay is 0.5; it is allowed with causal=True only", lambda: linear_attention(X, X, X, decay=0.5)),
    ("decay is 1.5; allowed is a number with 0 <= decay <= 1", lambda: linear_attention(X, X, X, True, decay=1.5)),
    ("decay is nan; allowed", lambda: linear_attention(X, X, X, True, decay=float("nan"))),
    ("decay has entries from -1 to 2; allowed", lambda: linear_attention(X, X, X, True, decay=np.array([-1.0, 0, 1, 2]))),
    (r"decay has shape \(3,\); allowed are a number and shapes that end in 1 or in the number of tokens, 4",
     lambda: linear_attention(X, X, X, True, decay=np.ones(3))),
    ("X has 3 columns and W has 2", lambda: random_features(X, X[:, :2])),
    ("shift is 'rows'; allowed are None, 'row', 'all'", lambda: random_features(X, X, shift="rows")),
    ("X contains 12 NaN", lambda: random_features(np.nan * X, X)),
    ("leading axes X has", lambda: random_features(np.ones((2, 4, 3)), np.ones((3, 5, 3)))),
])
def test_refusals(message, call):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("message, call", [
    ("n is 2.5; allowed is an integer", lambda: transformer_macs(2.5, 4)),
    ("K has dtype complex128; allowed are real numbers", lambda: linear_attention(X, 1j * X, X)),
    ("decay has dtype complex128", lambda: linear_attention(X, X, X, True, decay=np.ones(4) * 1j)),
    ("decay is 'all'; allowed is a number with", lambda: linear_attention(X, X, X, True, decay="all")),
    ("W has dtype complex128", lambda: random_features(X, 1j * X)),
])
def test_refusals_of_types(message, call):
    with pytest.raises(TypeError, match=message):
        call()


@needs("torch")
def test_libraries_are_not_mixed():
    import torch
    for call in (lambda: linear_attention(torch.ones(4, 3), X, X), lambda: linear_attention(X, X, X, state=torch.ones(3, 3)),
                 lambda: linear_attention(X, X, X, True, decay=torch.ones(4)), lambda: random_features(X, torch.ones(4, 3))):
        with pytest.raises(TypeError, match="both must belong to one array library"):
            call()
    linear_attention(torch.ones(4, 3), torch.ones(4, 3), torch.ones(4, 3), True, decay=np.ones(4))     # constants may be NumPy's

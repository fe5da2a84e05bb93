"""Rotary positions: exact phases at every place, layouts, shapes, dtypes, libraries, derivatives, refusals; frequencies; planes."""

import math
import tracemalloc

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag, expm

from lowrank.rope import (
    rope_canonical,
    rope_frequencies,
    rope_matrix,
    rope_permutation,
    rope_rotate,
    yarn_attention_factor,
)
from tests.properties.libraries import LIBRARIES, needs
from tests.properties.matrices import assert_unchanged

torch_only, jax_only = needs("torch"), needs("jax")
LAYOUTS = "interleaved", "halves"
both_layouts = pytest.mark.parametrize("layout", LAYOUTS)
PLACES = np.array([0, 1, -1, 255, 2**13 + 1, 2**20 + 3, -(2**22) - 7, 2**23 + 5, 2**24])


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def exact_turns(places, freqs):
    """cos and sin of places x freqs, by way of 40 digits."""
    with mpmath.workdps(40):
        angles = [[mpmath.mpf(float(n)) * mpmath.mpf(float(f)) for f in freqs] for n in places]
        return np.array([[complex(mpmath.cos(a), mpmath.sin(a)) for a in row] for row in angles])


def turns(places, freqs, dtype, layout="interleaved"):
    """The same by rope_rotate, of the vector (1, 0) of each plane."""
    k = len(freqs)
    first = np.tile([1, 0], k) if layout == "interleaved" else np.repeat([1, 0], k)
    Y = rope_rotate(np.tile(first, (len(places), 1)).astype(dtype), places, freqs, layout=layout)
    assert Y.dtype == dtype
    return Y[:, ::2] + 1j * Y[:, 1::2] if layout == "interleaved" else Y[:, :k] + 1j * Y[:, k:]


def test_reference_values():
    np.testing.assert_allclose(rope_frequencies(8), [1, 0.1, 0.01, 0.001], rtol=1e-15)
    np.testing.assert_allclose(rope_frequencies(8, 5e5), [1, 3.760603093086e-2, 1.414213562373e-3, 5.318295896945e-5], rtol=1e-12)
    x = np.array([1.0, 2, 3, 4])
    np.testing.assert_allclose(rope_rotate(x, 3, rope_frequencies(4)), [-1.272232512720, -1.838864985141, 2.878668100437, 4.088186635603], rtol=1e-12)
    np.testing.assert_allclose(rope_rotate(x, 3, rope_frequencies(4), layout="halves"), [-1.413352520780, 1.879118066688, -2.828857481741, 4.058191135401], rtol=1e-12)
    np.testing.assert_allclose(rope_frequencies(8, scaling="ntk", factor=4), [1, 6.29960525e-2, 3.96850263e-3, 2.5e-4], rtol=1e-8)
    np.testing.assert_allclose(rope_frequencies(8, scaling="yarn", factor=4, original_length=4096), [1, 0.1, 6.25e-3, 2.5e-4], rtol=1e-13)
    assert yarn_attention_factor(4) == pytest.approx(1.138629436112, rel=1e-12) and yarn_attention_factor(1) == 1
    share = rope_frequencies(128, scaling="yarn", factor=16, original_length=4096) / rope_frequencies(128)
    ramp = np.clip((np.arange(64) - 20) / (46 - 20), 0, 1)                                      # as its programs have it
    np.testing.assert_allclose(share, 1 - ramp + ramp / 16, rtol=1e-13)
    short = rope_frequencies(8, 10, scaling="yarn", factor=4, original_length=477) / rope_frequencies(8, 10)
    np.testing.assert_allclose(short, [1, 1, 1 - 0.75 / 6, 1 - 0.75 / 3], rtol=1e-13)          # the ramp ends at d - 1
    B = np.array([[0, -1, 2, 0], [1, 0, 0, -3], [-2, 0, 0, 1], [0, 3, -1, 0]])
    np.testing.assert_allclose(rope_canonical(B)[1], [3.618033988750, 1.381966011250], rtol=1e-12)


@both_layouts
def test_phases_are_exact_at_every_place(layout):
    freqs = np.append(rope_frequencies(32), [3.0, -0.7, np.pi, 1e-9, 0])
    exact = exact_turns(PLACES, freqs)
    assert np.abs(turns(PLACES, freqs, np.float32, layout) - exact).max() < 7e-7
    assert np.abs(turns(PLACES, freqs, np.float64, layout) - exact).max() < 2e-15
    far = np.array([2**31 - 1, -(2**31) + 1, 2**30 + 1])
    assert np.abs(turns(far, freqs, np.float64, layout) - exact_turns(far, freqs)).max() < 3e-15
    halves = PLACES[:-2] + 0.5
    assert np.abs(turns(halves, freqs, np.float32, layout) - exact_turns(halves, freqs)).max() < 8e-7
    assert np.abs(turns(halves / 7, freqs, np.float64, layout) - exact_turns(halves / 7, freqs)).max() < 2e-15


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.floats(-20, 20), st.sampled_from([np.int64, float]))
def test_phases_of_any_place_and_frequency(n, theta, kind):
    found = turns(np.array([n], dtype=kind), np.array([theta]), np.float64)
    assert abs(found - exact_turns([n], [theta])).max() < 4e-15


@given(st.integers(1, 5), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS))
def test_rotations_are_matrices_that_see_distances(k, rest, axes, seed, layout):
    rng = np.random.default_rng(seed)
    freqs, x, y = rng.uniform(-3, 3, (axes, k)), *rng.integers(-2000, 2000, (2, axes)) / 2
    R, S = (rope_matrix(place, freqs, d=2 * k + rest, layout=layout) for place in (x, y))
    np.testing.assert_allclose(R.T @ S, rope_matrix(y - x, freqs, d=2 * k + rest, layout=layout), rtol=0, atol=1e-13)
    v = rng.standard_normal((4, 2 * k + rest))
    np.testing.assert_allclose(rope_rotate(v, x, freqs, layout=layout), v @ R.T, rtol=0, atol=1e-13)
    back = rope_rotate(rope_rotate(v, x, freqs, layout=layout), x, freqs, layout=layout, inverse=True)
    np.testing.assert_allclose(back, v, rtol=0, atol=1e-13)
    assert np.array_equal(back[:, 2 * k:], v[:, 2 * k:])


@both_layouts
@pytest.mark.parametrize("tokens, places", [((7,), (7,)), ((2, 3, 7), (7,)), ((2, 3, 7), (3, 1)), ((2, 3, 7), (2, 1, 7)), ((2, 3, 7), ()), ((2, 0), (2, 0)), ((0, 7), (7,)), ((), ()), ((5, 300, 7), (7,))])
def test_places_broadcast(layout, tokens, places):
    X, n = drawn(0, *tokens, 6), np.random.default_rng(1).integers(0, 99, places)
    for freqs in (rope_frequencies(4), rope_frequencies(4, axes=2)):
        P = n if freqs.ndim == 1 else np.stack([n, 2 * n], axis=-1)
        Y = assert_unchanged(X, lambda X: rope_rotate(X, P, freqs, layout=layout))
        full = np.broadcast_to(P, (*tokens, *P.shape[len(places):]))
        assert Y.shape == X.shape
        for at in list(np.ndindex(tokens))[:40]:
            np.testing.assert_allclose(Y[at], rope_rotate(X[at], full[at], freqs, layout=layout), rtol=0, atol=1e-14)


@both_layouts
def test_dtypes_units_and_memory_order(layout):
    X, n, f = drawn(0, 3, 5, 8), np.arange(5) + 1000, rope_frequencies(8)
    Y = rope_rotate(X, n, f, layout=layout)
    for unit in (2.0**-490, 2.0**490):
        assert np.array_equal(rope_rotate(X * unit, n, f, layout=layout), Y * unit)
    big = np.finfo(float).max / 4
    assert np.isfinite(rope_rotate(np.full((5, 8), big), n, f, layout=layout)).all()
    for V in (np.asfortranarray(X), np.repeat(X, 2, axis=-1)[..., ::2], X[:, ::-1][:, ::-1], X.transpose(1, 0, 2).copy().transpose(1, 0, 2)):
        assert np.array_equal(rope_rotate(V, n, f, layout=layout), Y)
    half = X.astype(np.float16)
    assert rope_rotate(half, n, f, layout=layout).dtype == np.float16
    np.testing.assert_array_equal(rope_rotate(half, n, f, layout=layout), rope_rotate(half.astype(np.float32), n, f, layout=layout).astype(np.float16))
    assert rope_rotate([[1, 2]], [1], [1.0]).dtype == float
    for kind in (np.int8, np.uint8, np.int32, np.uint64, np.float32):
        assert np.array_equal(rope_rotate(X, (n - 990).astype(kind), f, layout=layout), rope_rotate(X, n - 990, f, layout=layout))


def test_memory_is_that_of_the_result():
    X, f = np.ones((8, 2000, 64), np.float32), rope_frequencies(64)
    for layout, most in (("interleaved", 1.6), ("halves", 1.8)):
        tracemalloc.start()
        rope_rotate(X, np.arange(2000), f, layout=layout)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most * X.nbytes


@both_layouts
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_agrees_with_numpy(library, layout):
    convert, back = LIBRARIES[library]
    X, n = drawn(0, 2, 4, 6, dtype=np.float32), np.array([0, 5, 2**20, 2**23 + 1])
    f, f2 = rope_frequencies(4), rope_frequencies(4, axes=2)
    P = np.stack([n / 2, n + 0.5], axis=-1)
    cases = [(n, f), (P, f2), (convert(n), f), (convert(P), convert(f2))] if library != "jax" else [(n, f), (convert(P), convert(f2))]
    for places, freqs in cases:
        Y = rope_rotate(convert(X), places, freqs, layout=layout)
        assert type(Y) is type(convert(X)) and back(Y).dtype == np.float32
        expected = rope_rotate(X.astype(float), n if places.ndim == 1 else P, f if freqs.ndim == 1 else f2, layout=layout)
        np.testing.assert_allclose(back(Y), expected, rtol=0, atol=3e-6)


@torch_only
@both_layouts
def test_derivatives_in_pytorch(layout):
    import torch
    X, P = (torch.tensor(v, requires_grad=True) for v in (drawn(0, 2, 3, 6), drawn(1, 3, 2)))
    freqs = torch.tensor(rope_frequencies(4, axes=2), requires_grad=True)
    call = lambda X, P, f: rope_rotate(X, P, f, layout=layout)
    assert torch.autograd.gradcheck(call, (X, P, freqs), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(call, (X, P, freqs))
    constant = rope_frequencies(4, axes=2)
    assert torch.autograd.gradcheck(lambda X: call(X, np.ones((3, 2), int), constant), (X,), check_forward_ad=True)
    far = torch.tensor([[2**20, 2**21 + 1]] * 3)
    g = drawn(3, 2, 3, 6)
    call(X, far, constant).backward(torch.tensor(g))                                           # the gradient is the rotation back
    np.testing.assert_allclose(X.grad, rope_rotate(g, far.numpy(), constant, layout=layout, inverse=True), rtol=0, atol=1e-14)


@torch_only
def test_pytorch_compiles_maps_and_keeps_half_precision():
    import torch
    x, n, f = torch.tensor(drawn(0, 2, 5, 10, dtype=np.float32)), torch.arange(5) + 2**20, rope_frequencies(8)
    call = lambda x, n: rope_rotate(x, n, f) + rope_rotate(x, n, f, layout="halves")
    compiled = torch.compile(call, fullgraph=True, backend="eager")
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    for function, leaf in zip((compiled, call), leaves):
        function(leaf, n).square().sum().backward()
    assert torch.allclose(leaves[0].grad, leaves[1].grad, atol=1e-5) and torch.allclose(compiled(x, n), call(x, n), atol=3e-6)
    assert torch.allclose(torch.vmap(call, (0, None))(x, n), call(x, n))
    for dtype in (torch.float16, torch.bfloat16):
        y = rope_rotate(x.to(dtype), n, f)
        assert y.dtype == dtype and torch.equal(y, rope_rotate(x.to(dtype).float(), n, f).to(dtype))
    with torch.autocast("cpu"):
        assert torch.equal(rope_rotate(x, n, f), rope_rotate(x, n.clone(), f)) and rope_rotate(x, n, f).dtype == torch.float32
    learned = torch.tensor(f, dtype=torch.float32, requires_grad=True)                         # a place far out keeps its digits
    np.testing.assert_allclose(rope_rotate(x, n, learned).detach(), rope_rotate(x.double(), n, learned.detach().double()), rtol=0, atol=3e-6)
    meta = torch.empty(2, 5, 10, device="meta")
    assert rope_rotate(meta, torch.empty(5, dtype=torch.int64, device="meta"), f).shape == (2, 5, 10)


@jax_only
def test_jax_compiles_maps_and_differentiates():
    import jax
    import jax.numpy as jnp
    convert, back = LIBRARIES["jax"]
    X, P, f = convert(drawn(0, 2, 3, 6)), convert(drawn(1, 3, 2)), convert(rope_frequencies(4, axes=2))
    call = lambda X, P, f: (rope_rotate(X, P, f) * jnp.arange(6.0)).sum()
    found = jax.jit(jax.grad(call, (0, 1, 2)))(X, P, f)
    h = 1e-6
    for i, (v, g) in enumerate(zip((X, P, f), found)):
        change = drawn(9 + i, *v.shape)
        given = [[np.asarray(w) + (sign * h * change if j == i else 0) for j, w in enumerate((X, P, f))] for sign in (1, -1)]
        ahead, behind = ((rope_rotate(*w) * np.arange(6.0)).sum() for w in given)
        assert float((g * change).sum()) == pytest.approx((ahead - behind) / (2 * h), rel=1e-7)
    mapped = jax.jit(jax.vmap(lambda x: rope_rotate(x, np.arange(3) + 2**20, rope_frequencies(6), layout="halves")))(X)
    np.testing.assert_allclose(back(mapped), rope_rotate(back(X), np.arange(3) + 2**20, rope_frequencies(6), layout="halves"), rtol=0, atol=1e-14)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: rope_rotate([[1.0, math.nan]], [0], [1.0]), ValueError, "X contains 1 NaN and 0 Inf"),
    (lambda: rope_rotate([[1.0, 2]], [math.inf], [1.0]), ValueError, "positions contains 0 NaN and 1 Inf"),
    (lambda: rope_rotate([[1.0, 2]], [0], [math.inf]), ValueError, "freqs contains 0 NaN and 1 Inf"),
    (lambda: rope_rotate([[1j, 2]], [0], [1.0]), TypeError, "X has shape .* complex128; allowed are real numbers"),
    (lambda: rope_rotate(1.0, 0, [1.0]), TypeError, r"X has shape \(\)"),
    (lambda: rope_rotate([[1.0, 2]], [0], [1.0, 2]), ValueError, "2 planes; allowed is a last axis of at least 4"),
    (lambda: rope_rotate([[1.0, 2]], [0], 1.0), ValueError, r"freqs has shape \(\)"),
    (lambda: rope_rotate([[1.0, 2]], [0], []), ValueError, r"freqs has shape \(0,\)"),
    (lambda: rope_rotate([[1.0, 2]], [0], [1j]), ValueError, "freqs has shape .* complex128"),
    (lambda: rope_rotate([[1.0, 2]], [0, 1], [1.0]), ValueError, r"positions is for tokens of shape \(2,\) and X has tokens of shape \(1,\)"),
    (lambda: rope_rotate([[1.0, 2]], [[0], [1]], [1.0]), ValueError, "allowed are positions that broadcast to X"),
    (lambda: rope_rotate([[1.0, 2]], [0], [[1.0], [2]]), ValueError, r"allowed for freqs with 2 axes is \(..., 2\)"),
    (lambda: rope_rotate([[1.0, 2]], [True], [1.0]), TypeError, "positions has dtype bool; allowed are integers, and floats of 32 bits"),
    (lambda: rope_rotate([[1.0, 2]], np.zeros(1, np.float16), [1.0]), TypeError, "positions has dtype float16"),
    (lambda: rope_rotate([[1.0, 2]], ["a"], [1.0]), TypeError, "positions has dtype|positions"),
    (lambda: rope_rotate([[1.0, 2]], [2**31], [1.0]), ValueError, r"2\^31 or more"),
    (lambda: rope_rotate([[1.0, 2]], [-3e9], [1.0]), ValueError, r"2\^31 or more"),
    (lambda: rope_rotate([[1.0, 2]], [0], [1.0], layout="half"), ValueError, "layout is 'half'; allowed are 'interleaved', 'halves'"),
    (lambda: rope_frequencies(7), ValueError, "d is 7; allowed is an even integer"),
    (lambda: rope_frequencies(0), ValueError, "d is 0"),
    (lambda: rope_frequencies(8.0), TypeError, "d is 8.0"),
    (lambda: rope_frequencies(8, 1), ValueError, "base is 1; allowed is a finite number above 1"),
    (lambda: rope_frequencies(8, axes=5), ValueError, "axes is 5; allowed is an integer from 1 to 4"),
    (lambda: rope_frequencies(8, allocation="mixed"), ValueError, "allocation is 'mixed'"),
    (lambda: rope_frequencies(8, scaling="ntk", factor=0.5), ValueError, "factor is 0.5; allowed is a finite number of at least 1"),
    (lambda: rope_frequencies(8, scaling="dynamic", factor=2), ValueError, "scaling is 'dynamic'"),
    (lambda: rope_frequencies(8, factor=2), ValueError, "factor is 2 and scaling is None"),
    (lambda: rope_frequencies(8, scaling="yarn", factor=2), ValueError, "original_length is None and scaling is 'yarn'"),
    (lambda: rope_frequencies(8, scaling="ntk", factor=2, original_length=5), ValueError, "original_length is 5 and scaling is 'ntk'"),
    (lambda: rope_frequencies(8, scaling="yarn", factor=2, original_length=-1), ValueError, "original_length is -1"),
    (lambda: yarn_attention_factor(0.9), ValueError, "factor is 0.9"),
    (lambda: rope_permutation(5), ValueError, "d is 5"),
    (lambda: rope_permutation(4, to="half"), ValueError, "to is 'half'"),
    (lambda: rope_matrix(1, [1.0], d=1), ValueError, "d is 1"),
    (lambda: rope_canonical(np.ones((2, 3))), ValueError, r"B has shape \(2, 3\)"),
    (lambda: rope_canonical(np.ones(3)), ValueError, r"B has shape \(3,\)"),
    (lambda: rope_canonical([[0, 1], [-1, math.nan]]), ValueError, "B contains 1 NaN"),
    (lambda: rope_canonical([[0, 1j], [-1j, 0]]), TypeError, "B has dtype complex128; allowed are real numbers"),
    (lambda: rope_canonical([[0, 1], [1, 0]]), ValueError, r"B is not skew-symmetric: B \+ B\^T has entries of 1.0e\+00"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@torch_only
def test_libraries_are_not_mixed():
    import torch
    with pytest.raises(TypeError, match="positions is a Tensor and X is a ndarray"):
        rope_rotate(np.ones((1, 2)), torch.zeros(1), [1.0])
    with pytest.raises(TypeError, match="freqs is a Tensor and X is a ndarray"):
        rope_rotate(np.ones((1, 2)), [0], torch.ones(1))
    with pytest.raises(TypeError, match="positions has dtype torch.bfloat16"):
        rope_rotate(torch.ones(1, 2), torch.zeros(1, dtype=torch.bfloat16), [1.0])


@given(st.integers(1, 30), st.integers(2, 5), st.sampled_from(["interleaved", "chunked"]))
def test_shared_frequencies(k, axes, allocation):
    freqs = rope_frequencies(2 * k)
    assert freqs[0] == 1 and np.all(np.diff(freqs) < 0)
    if axes <= k:
        shared = rope_frequencies(2 * k, axes=axes, allocation=allocation)
        assert shared.shape == (axes, k) and np.array_equal(shared.sum(axis=0), freqs) and np.all((shared != 0).sum(axis=0) == 1)
        counts = (shared != 0).sum(axis=1)
        assert counts.max() - counts.min() <= 1
    for scaling in ("linear", "ntk", "yarn"):
        length = 1000 if scaling == "yarn" else None
        slower = rope_frequencies(2 * k, scaling=scaling, factor=8, original_length=length)
        assert np.all(slower <= freqs * (1 + 1e-15)) and np.all(slower >= freqs / 8 * (1 - 1e-14))
        unchanged = rope_frequencies(2 * k, scaling=scaling, factor=1, original_length=length)
        np.testing.assert_allclose(unchanged, freqs, rtol=1e-15)


@given(st.integers(1, 20))
def test_permutations_are_inverse(k):
    halves, pairs = rope_permutation(2 * k), rope_permutation(2 * k, to="interleaved")
    assert np.array_equal(halves[pairs], np.arange(2 * k))
    x, f, n = drawn(k, 3, 2 * k), rope_frequencies(2 * k), np.arange(3)
    assert np.array_equal(rope_rotate(x, n, f)[:, halves], rope_rotate(x[:, halves], n, f, layout="halves"))


def skew(freqs, odd, seed, scale=1.0, dtype=float):
    d = 2 * len(freqs) + odd
    Q = np.linalg.qr(drawn(seed, d, d))[0]
    B = Q @ block_diag(*(w * np.array([[0.0, -1], [1, 0]]) for w in freqs), np.zeros((odd, odd))) @ Q.T
    return ((B - B.T) / 2 * scale).astype(dtype)


@pytest.mark.parametrize("freqs, odd", [([3, 1, 0.5], 0), ([3, 1, 0.5], 1), ([2, 2, 2], 1), ([1, 1e-8, 0], 0), ([1, 0, 0], 1), ([0, 0], 0), ([], 1), ([5], 0), ([1, 1 - 1e-12, 1e-3, 0], 1)])
@pytest.mark.parametrize("scale", (1.0, 1e-150, 1e150, 1e-300))
def test_planes_of_skew_matrices(freqs, odd, scale):
    B = skew(freqs, odd, 4, scale)
    Q, found = assert_unchanged(B, rope_canonical)
    d = len(B)
    assert Q.shape == (d, d) and found.shape == (d // 2,) and np.all(np.diff(found) <= 0) and np.all(found >= 0)
    np.testing.assert_allclose(Q.T @ Q, np.eye(d), rtol=0, atol=2e-14)
    few = 2e-14 * max(freqs, default=0)
    np.testing.assert_allclose(found / scale, sorted(freqs, reverse=True), rtol=0, atol=few)
    Omega = block_diag(*(w * np.array([[0.0, -1], [1, 0]]) for w in found / scale), np.zeros((odd, odd)))
    np.testing.assert_allclose(Q @ Omega @ Q.T, B / scale, rtol=0, atol=few)
    if scale == 1 and d > 1:
        np.testing.assert_allclose(expm(2.5 * B), Q @ rope_matrix(2.5, found, d=d) @ Q.T, rtol=0, atol=1e-13)


def test_what_counts_as_skew():
    B = skew([1, 0.5, 0.25], 0, 6)
    error = np.finfo(float).eps * 2.0 ** np.ceil(np.log2(np.abs(B).max())) * np.eye(6)
    np.testing.assert_allclose(rope_canonical(B + 5 * error)[1], [1, 0.5, 0.25], rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="B is not skew-symmetric"):
        rope_canonical(B + 30 * error)


def test_planes_keep_single_precision():
    B = skew([2, 1, 0.25], 1, 5, dtype=np.float32)
    Q, found = rope_canonical(B)
    assert Q.dtype == found.dtype == np.float32
    np.testing.assert_allclose(found, [2, 1, 0.25], rtol=0, atol=2e-6)
    assert rope_canonical([[0, -3], [3, 0]])[1].tolist() == [3] and rope_canonical([[0]])[0].tolist() == [[1]]

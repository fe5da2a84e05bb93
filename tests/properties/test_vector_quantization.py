"""Vector quantization: nearest codes that are exact, gradients through a jump, steps on codes; dtypes, libraries, scales, derivatives, refusals."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank.unit_rotation import rotate
from lowrank.vector_quantization import (
    CodebookUsage,
    _assigned_there,
    codebook_usage,
    pass_through,
    rotation_trick,
    simvq_step,
    vq_assign,
    vq_gradient,
)
from tests.properties.libraries import LIBRARIES, needs

without_jax = pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "jax"])     # which has a test of its own
torch_only, jax_only = needs("torch"), needs("jax")
norm = lambda v: np.linalg.norm(v, axis=-1)


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def nearest(Z, C, scale=1.0):
    """By differences, in double precision."""
    Z, C = (v.astype(float) / scale for v in (Z, C))
    return ((Z[..., None, :] - C)**2).sum(axis=-1).argmin(axis=-1)


def by_matrix(z, q, u, rescale=True):
    """M^T u with M written out, for vectors at which nothing is degenerate."""
    R = np.stack([rotate(np.eye(len(a)), a, b).T for a, b in zip(z, q)])
    factor = norm(q) / norm(z) if rescale else np.ones(len(z))
    return factor[:, None] * (R.mT @ u[..., None])[..., 0]


# --- vq_assign

@pytest.mark.parametrize("offset", (0, 100, 1e3, 1e4))
@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64))
def test_no_wrong_code_at_any_offset(dtype, offset):
    Z, C = ((drawn(s, n, 16) + offset).astype(dtype) for s, n in ((0, 1500), (1, 200)))
    assert np.array_equal(vq_assign(Z, C), nearest(Z, C))


@pytest.mark.parametrize("scale", (1e-300, 1e-150, 1e-30, 1e30, 1e150, 1e307))
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_units_of_assignment(dtype, scale):
    if dtype == np.float32:
        scale = min(max(scale, 1e-37), 1e37)
    Z, C = ((drawn(s, n, 5).clip(-3, 3) * scale).astype(dtype) for s, n in ((0, 300), (1, 40)))
    with np.errstate(all="raise"):
        found = vq_assign(Z, C)
    assert np.array_equal(found, nearest(Z, C, scale))
    both = (Z * np.where(np.arange(300) % 2, 1, 1e-20)[:, None]).astype(dtype)
    assert np.array_equal(vq_assign(both, C), nearest(both, C, scale))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 6), st.sampled_from([None, 1, 7]))
def test_ties_go_to_the_first(seed, K, d, block):
    rng = np.random.default_rng(seed)
    Z, C = (rng.integers(-2, 3, (n, d)).astype(np.float32) + 1000 for n in (30, K))
    assert np.array_equal(vq_assign(Z, C, block=block), nearest(Z, C))


def test_equal_codes_clusters_and_outliers():
    assert not vq_assign(drawn(0, 3000, 4), np.zeros((600, 4))).any()
    C = np.concatenate([1 + 1e-6 * drawn(1, 60, 3, dtype=np.float32), np.float32([[1e4, 0, 0]])])
    Z = (C[np.arange(300) % 60] + 1e-6 * drawn(2, 300, 3)).astype(np.float32)       # what one product cannot tell apart
    assert np.array_equal(vq_assign(Z, C), nearest(Z, C))
    tiny = np.array([[0.0], [1e-200], [1], [-1]])
    assert vq_assign(np.array([[1e-200], [4e-201], [0.6]]), tiny).tolist() == [1, 0, 2]


def test_shapes_kinds_and_block():
    Z, C = drawn(0, 2, 3, 5), drawn(1, 7, 5)
    before = Z.copy(), C.copy()
    found = vq_assign(Z, C)
    assert found.shape == (2, 3) and found.dtype.kind == "i" and np.array_equal(found, nearest(Z, C))
    assert vq_assign(Z[0, 0], C) == found[0, 0] and vq_assign(np.empty((0, 5)), C).shape == (0,)
    assert vq_assign([[1, 2]], [[0, 0], [1, 1]]).tolist() == [1] and vq_assign([[True]], [[0], [1]]).tolist() == [1]
    assert np.array_equal(vq_assign(Z.astype(np.float32), C), found) and np.array_equal(vq_assign(Z, C[:1]), np.zeros((2, 3)))
    assert np.array_equal(vq_assign(np.asfortranarray(Z), C[::-1]), 6 - found)
    assert np.array_equal(Z, before[0]) and np.array_equal(C, before[1])


def test_memory_is_block_by_codes():
    Z, C = drawn(0, 4000, 8, dtype=np.float32), drawn(1, 2000, 8, dtype=np.float32)
    tracemalloc.start()
    vq_assign(Z, C, block=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * (3 * 100 * 2000 + 8 * (4000 + 4 * 2000))          # all scores would be 32 MB


def test_the_form_for_devices_is_that_of_numpy():
    from lowrank.arrays import NUMPY
    for offset, block in ((0, 1000), (1e3, 64)):
        Z, C = ((drawn(s, n, 6) + offset).astype(np.float32) for s, n in ((0, 700), (1, 50)))
        assert np.array_equal(_assigned_there(NUMPY, Z, C, block), nearest(Z, C))
    grid = np.random.default_rng(0).integers(-1, 2, (200, 2)).astype(float)
    assert np.array_equal(_assigned_there(NUMPY, grid, np.unique(grid, axis=0)[:2], 50), nearest(grid, np.unique(grid, axis=0)[:2]))
    assert not _assigned_there(NUMPY, grid, grid[:1], 50).any()


# --- rotation_trick, pass_through

def test_reference_values_of_the_gradient():
    g = rotation_trick([1.0, 2, 2], [2.0, -1, 0], [1.0, 0, -1])
    np.testing.assert_allclose(g, [0.676332975444, 0.797110395333, -0.135276883056], rtol=0, atol=1e-12)
    np.testing.assert_allclose(rotation_trick([3.0, 0], [0.0, 3], [1.0, 2]), [2, -1], rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype, few", ((np.float32, 5e-7), (np.float64, 1e-15)))
@pytest.mark.parametrize("angle", (0, 1e-8, 0.1, 1.5, 2, 2.09, 2.1, 3, math.pi - 1e-3, math.pi - 1e-5, math.pi - 1e-7, math.pi))
def test_orthogonal_at_every_angle(dtype, few, angle):
    d = 24
    a, e = np.linalg.qr(drawn(0, 20, d, 2))[0].transpose(2, 0, 1)
    b = -a if angle == math.pi else np.cos(angle) * a + np.sin(angle) * e
    z, q = (np.repeat(v, d, axis=0).astype(dtype) for v in (2 * a, 3 * b))
    R = rotation_trick(z, q, np.tile(np.eye(d, dtype=dtype), (20, 1)), rescale=False).reshape(20, d, d).astype(float)
    assert np.linalg.norm(R.mT @ R - np.eye(d), 2, axis=(-2, -1)).max() <= 4 * few
    assert np.allclose(np.linalg.det(R), 1, atol=1e-4)
    assert norm((R @ a[..., None])[..., 0] - b).max() < (1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64))
@pytest.mark.parametrize("scales", ((1, 1, 1), (1e-150, 1e150, 1e-100), (1e150, 1e150, 1e150), (1e-300, 1e-300, 1e300), (1e-160, 1e160, 0)))
def test_units_of_the_gradient(dtype, scales):
    if dtype != np.float64:
        low, high = (1e-30, 1e30) if dtype == np.float32 else (1e-1, 1e1)
        scales = [min(max(s, low), high) if s else 0 for s in scales]
    z, q, u = (drawn(s, 30, 6) for s in range(3))
    scaled = [(v * s).astype(dtype) for v, s in zip((z, q, u), scales)]
    with np.errstate(all="raise"):
        g = rotation_trick(*scaled)
        turned = rotation_trick(*scaled, rescale=False)
    assert g.dtype == turned.dtype == dtype
    few = {2: 2e-2, 4: 2e-6, 8: 1e-13}[np.dtype(dtype).itemsize]
    expected = by_matrix(z, q, u, False) * scales[2]
    np.testing.assert_allclose(turned, expected, rtol=0, atol=few * max(norm(u)) * scales[2])
    whole = scales[2] * scales[1] / scales[0]
    if whole < float(np.finfo(dtype).max) / 1e4:
        np.testing.assert_allclose(g, by_matrix(z, q, u) * whole, rtol=0, atol=few * whole * abs(by_matrix(z, q, u)).max())


def test_zero_vectors_pass_straight():
    z, q, u = (drawn(s, 5, 3) for s in range(3))
    z[1], q[2], z[3], q[3] = 0, 0, 0, 0
    for rescale in (True, False):
        g = rotation_trick(z, q, u, rescale=rescale)
        assert np.array_equal(g[1:4], u[1:4])
        np.testing.assert_allclose(g[[0, 4]], by_matrix(z[[0, 4]], q[[0, 4]], u[[0, 4]], rescale), rtol=1e-12)
    assert np.array_equal(rotation_trick(q, q, u)[0], u[0]) or np.allclose(rotation_trick(q, q, u)[0], u[0], rtol=1e-15)


def test_one_dimension_shapes_and_dtypes():
    assert rotation_trick([[2.0], [2]], [[6.0], [-6]], [[1.0], [1]]).tolist() == [[3], [-3]]
    z, q, u = (drawn(s, 2, 3, 4) for s in range(3))
    before = [v.copy() for v in (z, q, u)]
    g = rotation_trick(z, q, u)
    assert g.shape == (2, 3, 4) and np.array_equal(g[1, 2], rotation_trick(z[1, 2], q[1, 2], u[1, 2]))
    assert rotation_trick(np.empty((0, 4)), np.empty((0, 4)), np.empty((0, 4))).shape == (0, 4)
    assert rotation_trick(z.astype(np.float32), q, u).dtype == np.float32 and rotation_trick([1, 2], [2, 1], [0, 1]).dtype == float
    assert np.array_equal(rotation_trick(np.asfortranarray(z), q, u), g) and all(map(np.array_equal, (z, q, u), before))
    y = pass_through(z, q)
    assert np.array_equal(y, q) and not np.shares_memory(y, q)


def test_no_memory_beside_the_result_that_grows():
    z, q, u = (drawn(s, 40_000, 16, dtype=np.float32) for s in range(3))
    rotation_trick(z[:100], q[:100], u[:100])
    tracemalloc.start()
    rotation_trick(z, q, u)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * z.nbytes


# --- vq_gradient, simvq_step, codebook_usage

def test_gradient_of_the_codes_and_kmeans():
    Z, C = drawn(0, 400, 3), drawn(1, 9, 3)
    i = vq_assign(Z, C)
    G, counts = vq_gradient(Z.reshape(20, 20, 3), C, i.reshape(20, 20)), np.bincount(i, minlength=9)
    means = np.stack([Z[i == k].mean(axis=0) for k in range(9)])
    np.testing.assert_allclose(C - (400 / (2 * counts))[:, None] * G, means, rtol=1e-12, atol=1e-12)
    assert np.array_equal(vq_gradient(Z, C, np.zeros(400, np.int32))[1:], np.zeros((8, 3)))


def test_long_sums_in_double_and_far_from_the_origin():
    Z = (1e4 + drawn(0, 200_000, 2)).astype(np.float32)
    C = np.float32([[1e4 + 0.25, 1e4 - 0.5], [0, 0]])
    exact = 2 * (C[0].astype(float) - Z.astype(float).mean(axis=0))
    G = vq_gradient(Z, C, np.zeros(len(Z), int))
    assert G.dtype == np.float32
    np.testing.assert_allclose(G[0], exact, rtol=1e-6)


@pytest.mark.parametrize("scales", ((1e-150, 1e150, 1e150, 1e-150), (1e150, 1e150, 1e150, 1e-300), (1e200, 1e-100, 1e200, 1e-300)))
def test_units_of_steps(scales):
    e, w, g, rate = scales
    E, W, G = drawn(0, 5, 3), drawn(1, 3, 4), drawn(2, 5, 4)
    with np.errstate(all="raise"):
        F, V = simvq_step(e * E, w * W, g * G, lr=rate, train_codes=True)
    logs = np.log10([rate, e, g, w])
    with np.errstate(all="ignore"):
        grown, other = 10.0**(logs[0] + logs[1] + logs[2]), 10.0**(logs[0] + logs[2] + logs[3])
    for found, start, step in ((V, w * W, grown * E.T @ G), (F, e * E, other * G @ W.T)):
        np.testing.assert_allclose(found, start - step, rtol=1e-9, atol=1e-9 * np.abs(start - step).max())


def test_steps_stacks_and_dtypes():
    E, W, G = drawn(0, 2, 5, 3), drawn(1, 2, 3, 4), drawn(2, 2, 5, 4)
    F, V = simvq_step(E, W, G, lr=0.1, train_codes=True)
    for k in range(2):
        np.testing.assert_allclose(V[k], W[k] - 0.1 * E[k].T @ G[k])
        np.testing.assert_allclose(F[k], E[k] - 0.1 * G[k] @ W[k].T)
    same, V = simvq_step(E.astype(np.float32), W, G, lr=0)
    assert same.dtype == np.float32 and V.dtype == float and np.array_equal(V, W)
    assert [v.dtype for v in simvq_step(np.ones((2, 2), np.float16), np.eye(2, dtype=np.float32), np.ones((2, 2)), lr=1, train_codes=True)] == [np.float16, np.float32]
    listed = simvq_step([[1, 0]], [[1, 0], [0, 1]], [[1, 1]], lr=1)
    assert listed[0].tolist() == [[1, 0]] and listed[1].tolist() == [[0, -1], [0, 1]]


@given(st.lists(st.integers(0, 19), min_size=1, max_size=60))
def test_usage(indices):
    usage = codebook_usage(indices, 20)
    assert isinstance(usage, CodebookUsage) and usage.used == len(set(indices)) and 1 <= usage.perplexity <= usage.used
    again = codebook_usage(np.array(indices * 3).reshape(3, -1), 25)
    assert again.used == usage.used and again.perplexity == pytest.approx(usage.perplexity)


# --- libraries and derivatives

@without_jax
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_every_library_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    Z, q, u, C = drawn(0, 6, 4, dtype=dtype), drawn(1, 6, 4, dtype=dtype), drawn(2, 6, 4, dtype=dtype), drawn(3, 5, 4, dtype=dtype)
    q[4], Z[5] = -Z[4], 0
    i = vq_assign(Z, C)
    found = vq_assign(convert(Z), convert(C))
    assert type(found) is type(convert(Z)) and np.array_equal(back(found), i)
    few = 1e-5 if dtype == np.float32 else 1e-13
    for ours, theirs in (
        (rotation_trick(Z, q, u), rotation_trick(*map(convert, (Z, q, u)))),
        (pass_through(Z, q), pass_through(convert(Z), convert(q))),
        (vq_gradient(Z, C, i), vq_gradient(convert(Z), convert(C), found)),
        (simvq_step(C, np.eye(4, dtype=dtype), C, lr=0.5)[1], simvq_step(convert(C), convert(np.eye(4, dtype=dtype)), convert(C), lr=0.5)[1]),
    ):
        assert type(theirs) is type(convert(Z)) and back(theirs).dtype == dtype
        np.testing.assert_allclose(back(theirs), ours, rtol=0, atol=few)
    assert codebook_usage(found, 5) == codebook_usage(i, 5)


@torch_only
def test_torch_derivatives():
    import torch
    leaf = lambda s: torch.tensor(drawn(s, 5, 4), requires_grad=True)
    z, q, u = leaf(0), leaf(1), leaf(2)
    with torch.no_grad():
        q[3], z[4] = -z[3], 0
    y = pass_through(z, q)
    assert torch.equal(y, q)
    (y * u.detach()).sum().backward()
    np.testing.assert_allclose(z.grad, rotation_trick(*(v.detach().numpy() for v in (z, q, u))), rtol=0, atol=1e-13)
    assert q.grad is None
    (g,) = torch.autograd.grad((pass_through(z, q, method="straight") * u.detach()).sum(), z)
    assert torch.equal(g, u.detach())
    function = lambda u: rotation_trick(z.detach(), q.detach(), u)
    assert torch.autograd.gradcheck(function, (u,), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, (u,))
    assert torch.autograd.gradcheck(lambda u: rotation_trick(z.detach(), q.detach(), u, rescale=False), (u,))
    _, forward = torch.func.jvp(lambda z: pass_through(z, q.detach()), (z.detach(),), (u.detach(),))
    pulled = torch.func.vjp(lambda z: pass_through(z, q.detach()), z.detach())[1](forward)[0]
    (twice,) = torch.autograd.grad((forward.detach() * pass_through(z, q)).sum(), z)
    assert torch.allclose(pulled, twice, atol=1e-13)
    E, W, G, C = (torch.tensor(drawn(s, *shape), requires_grad=True) for s, shape in ((3, (3, 2)), (4, (2, 2)), (5, (3, 2)), (6, (3, 4))))
    rate = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda E, W, G, rate: simvq_step(E, W, G, lr=rate, train_codes=True), (E, W, G, rate))
    i = torch.tensor([0, 0, 2, 2, 0])
    assert torch.autograd.gradcheck(lambda Z, C: vq_gradient(Z, C, i), (leaf(7), C))


@torch_only
def test_torch_half_precision_and_compile():
    import torch
    z, q, u = (torch.tensor(drawn(s, 6, 8)) for s in range(3))
    exact = rotation_trick(z, q, u)
    for dtype in (torch.float16, torch.bfloat16):
        low = [v.to(dtype).requires_grad_() for v in (z, q, u)]
        y = pass_through(low[0], low[1])
        assert y.dtype == dtype and torch.equal(y, low[1])                      # to the last bit
        y.backward(low[2].detach())
        assert low[0].grad.dtype == dtype and torch.allclose(low[0].grad.double(), exact, rtol=0.05, atol=0.05)
        assert rotation_trick(*low).dtype == dtype
        assert np.array_equal(vq_assign(low[0].detach(), low[1].detach()), nearest(*(v.detach().double().numpy() for v in low[:2])))
    C = torch.tensor(drawn(5, 7, 8))
    i = vq_assign(z, C)

    def whole(z, u):
        i = vq_assign(z, C)
        return rotation_trick(z, C[i], u), vq_gradient(z, C, i)

    compiled = torch.compile(whole, fullgraph=True, backend="eager")
    for found, expected in zip(compiled(z, u), whole(z, u), strict=True):
        assert torch.allclose(found, expected)
    stacked = torch.vmap(lambda z, u: rotation_trick(z, C[:6], u))(torch.stack([z, u]), torch.stack([u, z]))
    assert torch.allclose(stacked[1], rotation_trick(u, C[:6], z))
    assert torch.equal(torch.vmap(lambda z: vq_assign(z, C))(torch.stack([z, z])), torch.stack([i, i]))
    assert not vq_assign(z.requires_grad_(), C).requires_grad


@jax_only
def test_jax_traces_and_differentiates():
    import jax
    import jax.numpy as jnp
    z, q, u, C = (drawn(s, 6, 4) for s in range(4))
    q[4], z[5] = -z[4], 0
    Z, Q, U, B = map(jnp.asarray, (z, q, u, C))

    found = vq_assign(Z, B)                                 # in NumPy, since the values are at hand
    assert isinstance(found, jax.Array) and np.array_equal(found, vq_assign(z, C)) and codebook_usage(found, 6) == codebook_usage(vq_assign(z, C), 6)

    @jax.jit
    def whole(z, u, B):
        y, pull = jax.vjp(lambda z: pass_through(z, Q), z)
        i = vq_assign(z, B, block=4)
        return y, pull(u)[0], jax.grad(lambda u: (u * rotation_trick(z, Q, u)).sum())(u), i, vq_gradient(z, B, i), simvq_step(B, jnp.eye(4), B, lr=0.1)[1]

    y, g, both, i, G, W = map(np.asarray, whole(Z, U, B))
    assert np.array_equal(y, q) and np.array_equal(i, vq_assign(z, C))
    np.testing.assert_allclose(g, rotation_trick(z, q, u), rtol=0, atol=1e-13)
    forward = rotation_trick(z, q, u)
    assert np.isfinite(both).all()
    np.testing.assert_allclose((both * u).sum(), 2 * (u * forward).sum(), rtol=1e-12)       # a quadratic form
    np.testing.assert_allclose(G, vq_gradient(z, C, i), rtol=0, atol=1e-13)
    np.testing.assert_allclose(W, np.eye(4) - 0.1 * C.T @ C, rtol=0, atol=1e-13)


# --- refusals

@pytest.mark.parametrize("call, kind, words", [
    (lambda: vq_assign([[1.0, math.nan]], [[0, 0]]), ValueError, "Z contains 1 NaN and 0 Inf"),
    (lambda: vq_assign([[1.0, 0]], [[0, math.inf]]), ValueError, "codes contains 0 NaN and 1 Inf"),
    (lambda: vq_assign([[1.0, 0]], [0, 0]), ValueError, r"codes has shape \(2,\); allowed is \(K, d\)"),
    (lambda: vq_assign([[1.0, 0]], np.empty((0, 2))), ValueError, "one code or more"),
    (lambda: vq_assign(np.ones((3, 4)), np.ones((2, 3))), ValueError, r"Z has shape \(3, 4\); allowed is \(..., 3\)"),
    (lambda: vq_assign(1.0, [[1.0]]), ValueError, r"Z has shape \(\)"),
    (lambda: vq_assign([[1j]], [[1.0]]), TypeError, "Z has dtype complex128; allowed are real numbers"),
    (lambda: vq_assign([["x"]], [[1.0]]), TypeError, "Z has dtype"),
    (lambda: vq_assign([[1.0]], [[1.0]], block=0), ValueError, "block is 0; allowed is an integer from 1"),
    (lambda: rotation_trick([1.0, 2], [1.0, 2, 3], [1.0, 2]), ValueError, r"q has shape \(3,\); allowed is the shape of z, \(2,\)"),
    (lambda: rotation_trick([1.0, 2], [1.0, 2], [[1.0, 2]]), ValueError, "upstream has shape"),
    (lambda: rotation_trick(1.0, 2.0, 3.0), ValueError, r"z has shape \(\)"),
    (lambda: rotation_trick([1.0, 2], [1.0, math.nan], [1.0, 2]), ValueError, "q contains 1 NaN"),
    (lambda: pass_through([1.0], [1.0], method="mirror"), ValueError, "method is 'mirror'; allowed are 'rotation', 'straight'"),
    (lambda: vq_gradient([[1.0]], [[1.0]], [1]), ValueError, "indices has entries from 1 to 1; allowed are integers from 0 to 0"),
    (lambda: vq_gradient([[1.0]], [[1.0]], [0, 0]), ValueError, r"indices has shape \(2,\); allowed is \(1,\)"),
    (lambda: vq_gradient([[1.0]], [[1.0]], [0.0]), TypeError, "indices has dtype float64"),
    (lambda: vq_gradient(np.empty((0, 2)), [[1.0, 2]], np.empty(0, int)), ValueError, "allowed is one vector or more"),
    (lambda: simvq_step(np.ones((3, 2)), np.ones((3, 3)), np.ones((3, 3)), lr=1), ValueError, r"E of shape \(3, 2\), W of shape \(3, 3\)"),
    (lambda: simvq_step(np.ones((3, 2)), np.eye(2), np.ones((3, 2)), lr=-1), ValueError, "lr is -1; allowed is a finite number >= 0"),
    (lambda: simvq_step(np.ones((3, 2)), np.eye(2), np.ones((3, 2)), lr="fast"), TypeError, "lr is 'fast'"),
    (lambda: codebook_usage([], 3), ValueError, r"indices has shape \(0,\); allowed is one index or more"),
    (lambda: codebook_usage([3], 3), ValueError, "indices has entries from 3 to 3"),
    (lambda: codebook_usage([-1], 3), ValueError, "indices has entries from -1 to -1"),
    (lambda: codebook_usage([0.5], 3), TypeError, "indices has dtype float64"),
    (lambda: codebook_usage([0], 0), ValueError, "n_codes is 0; allowed is an integer from 1"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@torch_only
def test_libraries_are_not_mixed():
    import torch
    with pytest.raises(TypeError, match="codes is a ndarray and Z is a Tensor; both must belong to one array library"):
        vq_assign(torch.ones(1, 2), np.ones((1, 2)))
    with pytest.raises(TypeError, match="indices is a ndarray and Z is a Tensor"):
        vq_gradient(torch.ones(1, 2), torch.ones(1, 2), np.zeros(1, int))

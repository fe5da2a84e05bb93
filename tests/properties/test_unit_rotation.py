"""Rotations and mirrors between two vectors: orthogonal and on target at every angle, dtypes, libraries, stacks, scales, derivatives, refusals."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank.unit_rotation import reflect, reflection_between, rotate, rotation_between
from tests.properties.libraries import LIBRARIES, every_library_and_dtype, needs
from tests.properties.matrices import FLOATS, eps

both = pytest.mark.parametrize("apply, between", ((rotate, rotation_between), (reflect, reflection_between)))
torch_only, jax_only = needs("torch"), needs("jax")
unit = lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True)
ANGLES = (0, 1e-300, 1e-20, 1e-16, 5e-16, 1e-15, 3e-15, 1e-14, 1e-12, 1e-8, 1e-4, 1e-2, 0.5, 1, 1.5)


def drawn(seed, *shape, dtype=float):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else 0)
    return x.astype(dtype)


def pair_at(seed, angle, count, d):
    a, e = np.linalg.qr(drawn(seed, count, d, 2))[0].transpose(2, 0, 1)
    return a, np.cos(angle) * a + np.sin(angle) * e


def check(T, a, b, few, det=None):
    """T is unitary, sends a to b over their lengths, and has this determinant."""
    T, d = T.astype(np.result_type(T, float)), a.shape[-1]
    assert np.linalg.norm(T.conj().mT @ T - np.eye(d), 2, axis=(-2, -1)).max() <= few
    assert np.linalg.norm((T @ unit(a)[..., None])[..., 0] - unit(b), axis=-1).max() <= few
    if det:
        assert np.allclose(np.linalg.det(T), det)


def test_reference_values():
    a, b = np.array([1.0, 2, 2]) / 3, np.array([2.0, -1, 2]) / 3
    R = np.array([[88, 77, -4], [-53, 56, -88], [-56, 68, 77]]) / 117
    np.testing.assert_allclose(rotation_between(a, b), R, rtol=0, atol=4e-16)
    np.testing.assert_allclose(reflection_between(a, b), np.array([[8, 6, 0], [6, -8, 0], [0, 0, 10]]) / 10, rtol=0, atol=4e-16)
    half_turn = np.array([[-4, 3, 12], [3, -12, 4], [12, 4, 3]]) / 13
    np.testing.assert_allclose(-reflection_between(a, -b), half_turn, rtol=0, atol=4e-16)
    turn = lambda x: np.array([[math.cos(x), -math.sin(x)], [math.sin(x), math.cos(x)]])
    for x in np.linspace(-3.1, 3.1, 13):
        start, end = turn(0.4)[:, 0], turn(0.4 + x)[:, 0]
        np.testing.assert_allclose(rotation_between(start, end), turn(x), rtol=0, atol=1e-15)
        np.testing.assert_allclose(rotation_between(start, end, fraction=2.5), turn(2.5 * x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("d", (2, 3, 50))
@pytest.mark.parametrize("angle", ANGLES)
def test_every_angle_from_both_ends(angle, d):
    for sign in (1, -1):
        a, b = pair_at(d, angle, 20, d)
        b = sign * b
        check(rotation_between(a, b), a, b, 2e-15, 1)
        check(reflection_between(a, b), a, b, 2e-15, -1)
        single = a.astype(np.float32), b.astype(np.float32)
        for between in (rotation_between, reflection_between):
            T = between(*single)
            assert T.dtype == np.float32
            check(T, *(v.astype(float) for v in single), 1e-6)


@pytest.mark.parametrize("angle", ANGLES)
def test_complex_mirrors_at_every_angle_and_phase(angle):
    for phase in (0, 1e-300, 1e-16, 1e-12, 1e-5, 1, math.pi / 2, math.pi):
        a, e = np.linalg.qr(drawn(0, 10, 9, 2, dtype=complex))[0].transpose(2, 0, 1)
        b = np.exp(1j * phase) * np.cos(angle) * a + np.sin(angle) * e
        U = reflection_between(a, b)
        check(U, a, b, 3e-15)
        assert np.linalg.svd(U - np.eye(9), compute_uv=False)[:, 1].max() < 3e-15
    b = drawn(1, 10, 9, dtype=complex)
    b = b * np.exp(-1j * np.angle(np.vecdot(a, b)))[:, None]                    # then a^H b is real, and U is its own inverse
    np.testing.assert_allclose(reflection_between(a, b), reflection_between(b, a), rtol=0, atol=1e-14)


@both
def test_equal_and_opposite_vectors(apply, between):
    for d, dtype in ((2, float), (7, float), (300, np.float32)):
        a = drawn(1, 4, d, dtype=dtype)
        for b in (a, -a, 2 * a, -4 * a, 3 * a, -3 * a):
            T = between(a, b)
            check(T, a.astype(float), b.astype(float), 10 * eps(a), 1 if between is rotation_between else -1)
            np.testing.assert_allclose(apply(a, a, b), unit(b) * np.linalg.norm(a, axis=-1, keepdims=True), rtol=0, atol=60 * eps(a))
        assert np.array_equal(rotation_between(a, a), np.broadcast_to(np.eye(d), (4, d, d)))
    a = np.array([0.6, 0.8, 0.0])
    np.testing.assert_allclose(rotation_between(a, -a), np.eye(3) - 2 * np.outer(a, a) - 2 * np.diag([0, 0, 1]), atol=1e-15)
    np.testing.assert_allclose(reflection_between(a, a), np.diag([1, 1, -1]), atol=1e-15)
    np.testing.assert_allclose(reflection_between(a, -a), np.eye(3) - 2 * np.outer(a, a), atol=1e-15)


def test_tiny_rotations_keep_their_digits():
    a, tiny = np.array([1.0, 0, 0]), 1e-200
    R = rotation_between(a, np.array([1.0, tiny, 0]))
    assert R[1, 0] == pytest.approx(tiny, rel=1e-14) and R[0, 1] == pytest.approx(-tiny, rel=1e-14)
    assert rotate(np.array([0.0, 1, 0]), a, np.array([1.0, tiny, 0]))[0] == pytest.approx(-tiny, rel=1e-14)


@both
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("unit_a, unit_b", ((1e-150, 1e150), (1e150, 1e150), (1e-300, 1e-160), (1e300, 1e-300), (5e-324 * 2**40, 1.0)))
def test_units(apply, between, dtype, unit_a, unit_b):
    if np.dtype(dtype).kind == "c" and apply is rotate:
        pytest.skip("real vectors")
    if np.dtype(dtype).char in "fF":
        unit_a, unit_b = (min(max(u, 1e-36), 1e36) for u in (unit_a, unit_b))
    a, b, x = (drawn(s, 3, 6, dtype=dtype) for s in (2, 3, 4))
    expected = between(a, b), apply(x, a, b)
    with np.errstate(under="ignore"):
        scaled = (a * unit_a).astype(dtype), (b * unit_b).astype(dtype)
    with np.errstate(all="raise"):
        found = between(*scaled), apply(x, *scaled)
    for y, z in zip(found, expected):
        assert y.dtype == dtype
        np.testing.assert_allclose(y, z, rtol=0, atol=(1e-9 if unit_a < 1e-305 else 40 * eps(a)))
    big = np.finfo(dtype).max / 64
    np.testing.assert_allclose(apply(x * big / 8, a, b) / (big / 8), apply(x, a, b), rtol=0, atol=40 * eps(a))


@both
@pytest.mark.parametrize("shapes", [
    ((7,), (7,), (7,)), ((4, 7), (7,), (7,)), ((2, 4, 7), (7,), (7,)), ((7,), (3, 7), (7,)), ((7,), (7,), (3, 7)), ((2, 1, 7), (3, 7), (2, 3, 7)),
    ((4, 7), (1, 7), (7,)), ((0, 7), (7,), (7,)), ((7,), (0, 7), (7,)), ((0, 7), (0, 7), (1, 7)), ((5, 2), (2,), (5, 2)), ((1, 7), (7,), (7,))])
def test_stacks_broadcast(apply, between, shapes):
    x, a, b = (drawn(i, *shape) for i, shape in enumerate(shapes))
    before = [v.copy() for v in (x, a, b)]
    T, y = between(a, b), apply(x, a, b)
    assert T.shape == (*np.broadcast_shapes(a.shape, b.shape), a.shape[-1])
    assert y.shape == np.broadcast_shapes(*shapes)
    np.testing.assert_allclose(y, (T @ x[..., None])[..., 0], rtol=0, atol=1e-14)
    assert all(np.array_equal(v, w) for v, w in zip((x, a, b), before))


@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(-2, 2), st.sampled_from([np.float32, np.float64]))
def test_fractions_add_up_and_lengths_are_kept(d, seed, t, dtype):
    a, b, x = (drawn(seed + i, d, dtype=dtype) for i in range(3))
    few = 100 * eps(a) * np.linalg.norm(x)
    part = rotate(x, a, b, fraction=t)
    assert part.dtype == dtype and abs(np.linalg.norm(part) - np.linalg.norm(x)) <= few
    np.testing.assert_allclose(rotate(part, a, b, fraction=1 - t), rotate(x, a, b), rtol=0, atol=few)
    np.testing.assert_allclose(rotation_between(a, b, fraction=t) @ x, part, rtol=0, atol=few)
    np.testing.assert_allclose(rotate(rotate(x, a, b), b, a), x, rtol=0, atol=few)
    np.testing.assert_allclose(reflect(reflect(x, a, b), b, a), x, rtol=0, atol=few)
    across = x - (x @ unit(a)) * unit(a)
    along = b - (b @ unit(a)) * unit(a)
    if np.linalg.norm(along) > 0.1 * np.linalg.norm(b):
        across -= (across @ unit(along)) * unit(along)
        np.testing.assert_allclose(rotate(across, a, b, fraction=t), across, rtol=0, atol=10 * few)


def test_fractions_at_the_ends():
    a = np.array([3.0, 0, 4])
    assert np.array_equal(rotation_between(a, a, fraction=0.3), np.eye(3))
    half = rotation_between(a, -a, fraction=0.5)
    np.testing.assert_allclose(half @ half, rotation_between(a, -a), rtol=0, atol=1e-15)
    assert abs((half @ a) @ a) < 1e-14
    assert np.array_equal(rotation_between(a, [1.0, 2, 0], fraction=0), np.eye(3))


def test_kinds_of_input():
    np.testing.assert_allclose(rotate([1, 2], [1, 0], [0, 1]), [-2, 1], rtol=1e-15)
    assert rotation_between([1, 0], [0, 1]).dtype == float and reflection_between([True, False], [0, 1]).dtype == float
    half = [drawn(i, 5).astype(np.float16) for i in range(3)]
    y = rotate(*half)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, rotate(*(v.astype(float) for v in half)), rtol=2e-3, atol=2e-3)
    a, b, x = drawn(0, 5), drawn(1, 5).astype(np.float32), drawn(2, 5, dtype=np.complex64)
    assert rotation_between(a, b).dtype == float and rotation_between(b, b).dtype == np.float32
    assert rotate(x, b, b).dtype == np.complex64 and rotate(x, a, b).dtype == complex
    np.testing.assert_allclose(rotate(x, a, b), rotation_between(a, b) @ x, rtol=1e-6)
    assert reflect(x.real, x, b).dtype == np.complex64
    np.testing.assert_allclose(reflect(a, x, b), reflection_between(x, b) @ a, rtol=1e-5)


@every_library_and_dtype
def test_every_library_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    x, a, b = drawn(0, 4, 5, dtype=dtype), drawn(1, 3, 1, 5, dtype=dtype), drawn(2, 5, dtype=dtype)
    a = np.concatenate([a, np.broadcast_to(b, (1, 1, 5)), np.broadcast_to(-b, (1, 1, 5))])
    calls = [lambda x, a, b: reflect(x, a, b), lambda x, a, b: reflection_between(a, b)]
    if np.dtype(dtype).kind == "f":
        calls += [lambda x, a, b: rotate(x, a, b), lambda x, a, b: rotation_between(a, b, fraction=0.4)]
    for call in calls:
        expected, y = call(x, a, b), call(*map(convert, (x, a, b)))
        assert type(y) is type(convert(x)) and back(y).dtype == expected.dtype == dtype
        np.testing.assert_allclose(back(y), expected, rtol=0, atol=50 * eps(x))


@pytest.mark.parametrize("call, kind, words", [
    (lambda: rotate([1.0, 2], [0, 0], [1, 0]), ValueError, "a contains a vector of zeros"),
    (lambda: reflection_between([[1, 0], [1, 1]], [[1, 0], [0, 0]]), ValueError, "b contains a vector of zeros"),
    (lambda: rotation_between([1, math.nan], [1, 0]), ValueError, "a contains 1 NaN and 0 Inf"),
    (lambda: reflect([1, math.inf], [1, 2], [1, 0]), ValueError, "x contains 0 NaN and 1 Inf"),
    (lambda: rotation_between([1, 0], [1, -math.inf]), ValueError, "b contains 0 NaN and 1 Inf"),
    (lambda: rotation_between([1, 0], [1, 0, 0]), ValueError, r"a of shape \(2,\) and b of shape \(3,\); allowed are last axes of one length"),
    (lambda: rotate(np.ones((4, 1)), [1, 0], [1, 0]), ValueError, "allowed are last axes of one length"),
    (lambda: reflect(np.ones((4, 3)), np.ones((3, 3)), np.ones(3)), ValueError, "leading axes that broadcast"),
    (lambda: reflect(np.ones((0, 3)), np.ones((3, 3)), np.ones(3)), ValueError, "leading axes that broadcast"),
    (lambda: rotation_between(1.0, 2.0), ValueError, r"a of shape \(\)"),
    (lambda: rotation_between([], []), ValueError, r"a of shape \(0,\) .* at least one entry"),
    (lambda: rotation_between([1], [-2]), ValueError, "a and b have one entry and are opposite"),
    (lambda: reflection_between([[1], [1]], [[-1], [2]]), ValueError, "a and b have one entry and are equal"),
    (lambda: rotation_between([1j, 0], [0, 1]), TypeError, "a has dtype complex128; allowed are real numbers"),
    (lambda: rotate([1, 0], [1, 0], [1j, 0]), TypeError, "b has dtype complex128; allowed are real numbers"),
    (lambda: rotate([1, 0], [1, 0], [0, 1], fraction=math.inf), ValueError, "fraction is inf; allowed is a finite number"),
    (lambda: rotation_between([1, 0], [0, 1], fraction="half"), TypeError, "fraction is 'half'"),
    (lambda: reflect(["x", "y"], [1, 0], [0, 1]), TypeError, "x has dtype"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_one_dimension():
    assert rotation_between([2.0], [3]).tolist() == [[1]] and reflection_between([2.0], [-3]).tolist() == [[-1]]
    assert rotate([5.0], [2], [1]).tolist() == [5] and reflect([5.0], [2], [-1]).tolist() == [-5]
    assert reflection_between([1.0], [1j]).round(12).tolist() == [[1j]]


@torch_only
def test_libraries_are_not_mixed():
    import torch
    with pytest.raises(TypeError, match="b is a Tensor and a is a ndarray; all must belong to one array library"):
        rotation_between(np.ones(2), torch.ones(2))
    with pytest.raises(TypeError, match=re.escape("x is a ndarray and a is a Tensor")):
        rotate(np.ones(2), torch.ones(2), torch.ones(2))


def tensor(x):
    import torch
    return torch.tensor(x, requires_grad=True)


@torch_only
@pytest.mark.parametrize("case", ("apart", "equal", "near", "obtuse", "stack"))
def test_derivatives_of_rotations(case):
    import torch
    a, b = drawn(0, 2, 4)
    b = {"apart": b, "equal": 2 * a, "near": a + 1e-9 * b, "obtuse": b - 2 * a, "stack": drawn(1, 3, 4)}[case]
    x, given = tensor(drawn(2, 3, 4)), (tensor(a), tensor(b))
    options = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(rotation_between, given, **options)
    assert torch.autograd.gradgradcheck(rotation_between, given)
    assert torch.autograd.gradcheck(rotate, (x, *given), **options)
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=case not in ("equal", "near"))
    assert torch.autograd.gradcheck(lambda x, a, b, t: rotate(x, a, b, fraction=t), (x, *given, t), check_forward_ad=True)


@torch_only
@pytest.mark.parametrize("dtype", (float, complex))
@pytest.mark.parametrize("case", ("apart", "opposite", "stack"))
def test_derivatives_of_mirrors(case, dtype):
    import torch
    a, b = drawn(0, 2, 4, dtype=dtype)
    b = {"apart": b, "opposite": -2 * a, "stack": drawn(1, 3, 4, dtype=dtype)}[case]
    x, given = tensor(drawn(2, 3, 4, dtype=dtype)), (tensor(a), tensor(b))
    assert torch.autograd.gradcheck(reflection_between, given, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(reflection_between, given)
    assert torch.autograd.gradcheck(reflect, (x, *given), check_forward_ad=True)


@torch_only
@both
def test_finite_gradients_at_every_angle(apply, between):
    import torch
    for sign in (1, -1):
        for angle in ANGLES:
            a, b = (tensor(v[0]) for v in pair_at(1, angle, 1, 6))
            (between(a, sign * b) * torch.arange(36.0).reshape(6, 6)).sum().backward()
            assert a.grad.isfinite().all() and b.grad.isfinite().all()


@torch_only
def test_derivative_near_opposite_vectors_keeps_its_digits():
    """The speed of R when b leaves the plane is sqrt(2) / cos(theta / 2), to the last gap."""
    import torch
    for gap in (1e-2, 1e-6, 1e-10):
        a, e, w = torch.eye(5, dtype=torch.float64)[:3]
        b = -math.cos(gap) * a + math.sin(gap) * e
        _, speed = torch.func.jvp(lambda b: rotation_between(a, b), (b,), (w,))
        assert float(torch.linalg.matrix_norm(speed)) == pytest.approx(2**0.5 / math.sin(gap / 2), rel=1e-9)


@torch_only
def test_torch_compiles_maps_and_keeps_half_precision():
    import torch
    x, a, b = (torch.tensor(drawn(i, 5)) for i in range(3))
    compiled = torch.compile(lambda x, a, b: rotate(x, a, b, fraction=0.3) + reflect(x, a, b), fullgraph=True, backend="eager")
    plain, leaves = ([v.clone().requires_grad_() for v in (x, a, b)] for _ in range(2))
    for call, inputs in ((compiled, leaves), (lambda x, a, b: rotate(x, a, b, fraction=0.3) + reflect(x, a, b), plain)):
        call(*inputs).square().sum().backward()
    assert all(torch.allclose(v.grad, w.grad) for v, w in zip(leaves, plain))
    stacks = [torch.stack([v, 2 * v.flip(0)]) for v in (x, a, b)]
    for call in (rotate, reflect):
        assert torch.allclose(torch.vmap(call)(*stacks), call(*stacks))
    for dtype in (torch.float16, torch.bfloat16):
        y = rotate(*(v.to(dtype) for v in (x, a, b)))
        assert y.dtype == dtype and torch.allclose(y.double(), rotate(x, a, b), rtol=0.05, atol=0.05)
        R = rotation_between(a.to(dtype), -a.to(dtype))
        assert R.dtype == dtype and torch.allclose(R.double() @ R.double().mT, torch.eye(5, dtype=torch.float64), atol=0.02)


@jax_only
def test_jax_compiles_maps_and_differentiates():
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads
    _, back = LIBRARIES["jax"]
    x, a, b = (drawn(i, 3, 4) for i in range(3))
    X, A, B = map(jnp.asarray, (x, a, b))
    calls = lambda x, a, b: (rotate(x, a, b), reflect(x, a, b), rotate(x, a, b, fraction=0.3))
    whole, mapped, one = jax.jit(calls)(X, A, B), jax.jit(jax.vmap(calls))(X, A, B), jax.jit(jax.vmap(calls, (0, None, 0)))(X, A[0], B)
    for found, again, first, expected, of_one in zip(whole, mapped, one, calls(x, a, b), calls(x, a[0], b)):
        for values, numpys in ((found, expected), (again, expected), (first, of_one)):
            np.testing.assert_allclose(back(values), numpys, rtol=0, atol=1e-14)
    rotation, reflection = jax.jit(rotation_between), jax.jit(reflection_between)
    check_grads(rotation, (A[0], B[0]), 2, modes=("rev",))
    check_grads(rotation, (A[0], A[0]), 1)
    z = jnp.asarray(drawn(5, 2, 4, dtype=complex))
    check_grads(reflection, (z[0], z[1]), 2, modes=("rev",))
    at = jax.jit(jax.grad(lambda t: rotate(X[0], A[0], B[0], fraction=t).sum()))(0.3)
    ahead, behind = (rotate(x[0], a[0], b[0], fraction=0.3 + h).sum() for h in (1e-6, -1e-6))
    assert float(at) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)
    assert bool(jnp.isnan(rotation(0 * A[0], B[0])).all())                       # nobody could see the zeros
    for opposite in (jax.grad(lambda b: rotation(A[0], b).sum())(-A[0]), jax.grad(lambda b: reflection(A[0], b).sum())(A[0])):
        assert bool(jnp.isfinite(opposite).all())

"""Clipping: against the SVD formula on every hard matrix and library; the projection, its bounds and its derivative."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank.clipping import mclip, mstep, svfun, svfun_jvp, svfun_vjp
from lowrank.polar_express import optimal_msign_schedule
from lowrank.polar_factor import msign
from tests.properties.libraries import LIBRARIES, every_library_and_dtype
from tests.properties.matrices import FLOATS, HARD, any_matrix, assert_unchanged, double, eps

SCHEDULE = optimal_msign_schedule(tol=1e-15, lower=1e-4, cushion=0.1, safety=1e-6)
FAST = optimal_msign_schedule(4, lower=0.05)
CLIP = (lambda s: s.clip(0, 1), lambda s: s < 1)


def reference(A, f):
    U, s, Vh = np.linalg.svd(double(A), full_matrices=False)
    return (U * f(s)) @ Vh


def with_values(s, shape, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda k: rng.standard_normal((k, len(s))) + (1j if np.dtype(dtype).kind == "c" else 0) * rng.standard_normal((k, len(s)))
    U, V = (np.linalg.qr(draw(k))[0] for k in shape)
    return (U * s @ V.conj().T).astype(dtype)


@pytest.mark.parametrize("name", HARD)
def test_clip_is_the_projection_on_the_ball(name):
    A = HARD[name]
    size = np.linalg.norm(double(A), 2)
    for radius in (0.3 * size, 2 * size, 1e-3, 0.0, np.inf):
        X = assert_unchanged(A, lambda B: mclip(B, 0, radius))
        tiny = 20 * max(A.shape) * eps(A) * size
        assert X.dtype.kind in "fc" and X.shape == A.shape
        np.testing.assert_allclose(X, reference(A, lambda s: np.minimum(s, radius)), rtol=0, atol=tiny)
        if np.isfinite(radius):
            assert np.linalg.norm(X, 2) <= radius * (1 + 20 * max(A.shape) * eps(A))
            E = double(A) - X
            assert abs(np.vdot(E, X).real - radius * np.linalg.norm(E, "nuc")) <= max(A.shape) * tiny * (radius + size)


@pytest.mark.parametrize("name", HARD)
def test_step_is_a_partial_isometry_and_counts(name):
    A = HARD[name]
    s = np.linalg.svd(double(A), compute_uv=False)
    kept = s[s > max(A.shape) * eps(A) * s[0]]
    allowed = 20 * max(A.shape) * eps(A) * (s[0] / kept[-1] if kept.size else 1)
    np.testing.assert_allclose(mstep(A, 0), msign(A), rtol=0, atol=allowed)
    for threshold in (0.4 * s[0], 3 * s[0]):
        X = assert_unchanged(A, lambda B: mstep(B, threshold))
        assert round(np.linalg.norm(X)**2) == np.sum(s > threshold)
        np.testing.assert_allclose(X @ X.conj().T @ X, X, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("unit", [2.0**-20, 1.0, 2.0**20])
def test_step_at_a_singular_value_is_zero_and_by_signs_one_half(dtype, unit):
    A = np.diag(unit * np.array([3.0, 2, 1])).astype(dtype)         # LAPACK's singular values of it are exact
    np.testing.assert_array_equal(mstep(A, 2 * unit), np.diag([1, 0, 0]))
    np.testing.assert_array_equal(mstep(A, 3 * unit), np.zeros((3, 3)))
    np.testing.assert_array_equal(mstep(A, np.nextafter(2.0, 0) * unit if A.real.dtype == float else 1.9999 * unit), np.diag([1, 1, 0]))
    for method in ("msign", "block"):
        np.testing.assert_allclose(mstep(A, 2 * unit, method=method), np.diag([1, 0.5, 0]), rtol=0, atol=10 * eps(A))


def test_rounding_errors_are_not_lifted_and_small_values_are_not_dropped():
    """With lo > 0 what counts as zero stays zero; with lo = 0 nothing is dropped unless rtol says so."""
    rng = np.random.default_rng(3)
    B = rng.standard_normal((9, 2)) @ rng.standard_normal((2, 6))
    s = np.linalg.svd(mclip(B, 0.5, 3.0, method="svd"), compute_uv=False)
    assert s[1] >= 0.5 - 1e-12 and s[2] < 1e-12
    tiny = np.diag([1.0, 1e-20])
    assert mclip(tiny, hi=2.0, method="svd")[1, 1] == pytest.approx(1e-20)
    assert mclip(tiny, hi=2.0, method="svd", rtol=1e-10)[1, 1] == 0



@given(any_matrix(), any_matrix(), st.floats(0.01, 100))
def test_the_projection_does_not_expand(A, B, radius):
    if A.shape != B.shape or A.dtype != B.dtype:
        B = np.roll(A, 1, axis=0) * A.real.dtype.type(0.5)
    unit = max(np.abs(A).max(), np.abs(B).max()) or 1
    A, B = A / unit, B / unit
    apart = np.linalg.norm(mclip(A, 0, radius) - mclip(B, 0, radius))
    assert apart <= np.linalg.norm(A - B) + 50 * A.size * eps(A)
    twice = mclip(mclip(A, 0, radius), 0, radius)
    np.testing.assert_allclose(twice, mclip(A, 0, radius), rtol=0, atol=50 * A.size * eps(A))


@given(any_matrix())
def test_units_and_adjoints(A):
    unit = A.real.dtype.type(np.abs(A).max() or 1)
    X = mclip(A, 0, 0.7 * float(unit))
    atol = 50 * A.size * eps(A)
    np.testing.assert_allclose(X / unit, mclip(A / unit, 0, 0.7), rtol=0, atol=atol)
    np.testing.assert_allclose(mclip(A.conj().T, 0, 0.7 * float(unit)) / unit, X.conj().T / unit, rtol=0, atol=atol)
    assert X.dtype == A.dtype


@pytest.mark.parametrize("method", ["msign", "block"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("unit", [1e-150, 1e-12, 1.0, 1e12, 1e150])
def test_products_agree_with_the_svd(method, dtype, unit):
    single = np.dtype(dtype).char in "fF"
    unit = np.sign(np.log10(unit)) * min(abs(np.log10(unit)), 15 if single else 150)
    unit, rtol = 10.0**unit, 1e-4 if single else 1e-11
    for shape in ((9, 5), (5, 9), (5, 5)):
        A = with_values(np.array([3, 3, 1.5, 0.6, 0.1]) * unit, shape, dtype)
        for lo, hi in ((0, 1), (1, 2), (0.3, np.inf), (2, 2)):
            X = assert_unchanged(A, lambda B: mclip(B, lo * unit, hi * unit, method=method, schedule=SCHEDULE))
            np.testing.assert_allclose(X / unit, mclip(A, lo * unit, hi * unit) / unit, rtol=0, atol=5 * rtol)
            assert X.dtype == A.dtype
        X = mstep(A, unit, method=method, schedule=SCHEDULE)
        np.testing.assert_allclose(X, mstep(A, unit), rtol=0, atol=5 * rtol)


@pytest.mark.parametrize("method", ["msign", "block"])
def test_zero_and_extreme_thresholds(method):
    A = with_values(np.array([2.0, 1.0, 0.5]), (4, 3))
    options = {"method": method, "schedule": SCHEDULE}
    assert not np.any(mclip(np.zeros((3, 5)), **options)) and not np.any(mstep(np.zeros((5, 3)), **options))
    for hi in (1e3, 1e200, np.inf):
        np.testing.assert_allclose(mclip(A, 0, hi, **options), A, atol=1e-11)
        np.testing.assert_allclose(mclip(A * 1e-150, 0, hi, **options), A * 1e-150, rtol=1e-9, atol=1e-161)
    np.testing.assert_allclose(mclip(A, 1e150, 1e150, **options), 1e150 * msign(A), rtol=1e-10, atol=1e139)
    np.testing.assert_allclose(mclip(A, 0, 1e-9, **options), 1e-9 * msign(A), atol=1e-10)
    stacked = mclip(np.stack([A, 5 * A, 0 * A]), 0.3, 1.7, **options)
    for X, B in zip(stacked, (A, 5 * A, 0 * A)):
        np.testing.assert_allclose(X, mclip(B, 0.3, 1.7, **options), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", FLOATS)
def test_entries_near_the_largest_number(dtype):
    A = np.full((4, 5), np.finfo(dtype).max, dtype)             # its norm is not a number of the format
    B = (np.ones((4, 5)) + np.eye(4, 5)).astype(dtype)
    radius = float(np.finfo(dtype).max) / 8
    np.testing.assert_allclose(mclip(A, 0, radius) / radius, np.ones((4, 5)) / 20**0.5, rtol=1e-5)
    np.testing.assert_allclose(mstep(A), np.ones((4, 5)) / 20**0.5, rtol=1e-5)
    big = np.finfo(dtype).max / 64
    assert np.isfinite(svfun_jvp(A / 64, A / 64, *CLIP)).all() and np.isfinite(svfun_jvp(A / 64, B, *CLIP)).all()
    identity = lambda s: s, np.ones_like
    np.testing.assert_allclose(svfun_jvp(B * big, B * big, *identity) / big, B, rtol=1e-5)
    with pytest.raises(ValueError, match="f of the singular values contains"):
        svfun(A, lambda s: s)


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 4), (3, 0)])
def test_empty_stacks_pass(shape):
    A = np.zeros(shape)
    for call in (mclip, mstep, lambda A: mclip(A, 1, 2, schedule=2), lambda A: mstep(A, schedule=2, method="block"),
                 lambda A: svfun(A, np.exp), lambda A: svfun_jvp(A, A, np.exp, np.exp)):
        assert call(A).shape == shape


@every_library_and_dtype
@pytest.mark.parametrize("options", [{}, {"schedule": FAST}, {"method": "block", "schedule": FAST}])
def test_every_library_agrees_with_numpy(library, dtype, options):
    convert, back = LIBRARIES[library]
    A = np.stack([with_values(np.array([2, 1.7, 0.4]), (4, 3), dtype, seed) for seed in (0, 1)])
    A = np.stack([A, 0.1 * A, 0 * A])
    for call in (lambda A: mclip(A, **options), lambda A: mclip(A, 0.3, 1.5, **options), lambda A: mstep(A, 0.9, **options)):
        expected, X = call(A), call(convert(A))
        assert type(X) is type(convert(A))
        found = back(X)
        assert found.dtype == expected.dtype == A.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=200 * eps(A))
    dA = np.roll(A, 1, axis=-1)
    for call in (svfun_jvp, svfun_vjp):
        df = lambda s: 1 - s**2
        X = call(convert(A), convert(dA), lambda s: s - s**3 / 3, df)
        np.testing.assert_allclose(back(X), call(A, dA, lambda s: s - s**3 / 3, df), rtol=0, atol=2000 * eps(A))
        for B, dB in ((A, dA.astype(np.complex128)), (A.astype(np.complex128), dA)):           # of two dtypes
            assert back(call(convert(B), convert(dB), lambda s: s - s**3 / 3, df)).dtype == np.complex128


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("gap", [0, 1e-15, 1e-13, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-2])
def test_derivative_of_polynomials_is_right_for_close_singular_values(dtype, gap):
    rng = np.random.default_rng(2)
    for s in (np.array([1.5, 1.5 - gap, 0.5]), np.array([1.5, gap, 0])):
        A, dA = with_values(s, (5, 3), dtype), with_values(np.ones(3), (5, 3), dtype, 1)
        AH, dAH = A.conj().T, dA.conj().T
        exact = dA @ AH @ A + A @ dAH @ A + A @ AH @ dA
        found = svfun_jvp(A, dA, lambda s: s**3, lambda s: 3 * s**2)
        np.testing.assert_allclose(found, exact, rtol=0, atol=2e-10)
        G = rng.standard_normal((5, 3)).astype(dtype)
        back = svfun_vjp(A, G, lambda s: s**3, lambda s: 3 * s**2)
        assert np.isclose(np.vdot(G, found).real, np.vdot(back, dA).real)


def test_derivative_of_the_clip_sees_the_corner_between_two_singular_values():
    for gap in (1e-1, 1e-4, 1e-8, 1e-11):
        A = np.diag([1 + gap, 1 - 3 * gap])
        found = svfun_jvp(A, np.array([[0.0, 1], [1, 0]]), *CLIP)
        np.testing.assert_allclose(found[0, 1], 0.75, rtol=1e-3)
        assert np.linalg.norm(svfun_jvp(A, np.eye(2), *CLIP) - np.diag([0.0, 1])) < 1e-9


@pytest.mark.parametrize("call", [mclip, mstep])
@pytest.mark.parametrize("options, message", [
    ({"method": "svd", "tol": 0.1}, "tol is 0.1; method='svd' does not take it"),
    ({"method": "block", "rtol": 0.1}, "rtol is 0.1; method='block' does not take it"),
    ({"tol": 0.1, "rtol": 0.1}, "rtol is 0.1; method='msign' does not take it"),
    ({"tol": 0.1, "schedule": FAST}, "tol is 0.1; a given schedule does not take it"),
    ({"schedule": -1}, "schedule is -1"), ({"method": "msign", "tol": 1.0}, "tol is 1.0"),
])
def test_options_of_other_methods_are_refused(call, options, message):
    with pytest.raises(ValueError, match=message):
        call(np.eye(3), **options)


def test_derivative_refuses_what_has_none():
    A = np.diag([1.0, 0])
    with pytest.raises(ValueError, match=r"f\(0\) is not 0"):
        svfun_jvp(A, A, np.ones_like, np.zeros_like)
    with pytest.raises(ValueError, match=r"f\(0\) is not 0|f of the singular values"):
        svfun_jvp(A, A, lambda s: 1 / s, lambda s: -1 / s**2)
    with pytest.raises(ValueError, match=r"dA has shape \(2, 3\)"):
        svfun_jvp(A, np.ones((2, 3)), *CLIP)
    with pytest.raises(ValueError, match="df of the singular values contains"):
        svfun_vjp(A, A, np.sin, lambda s: np.nan * s)


@pytest.mark.parametrize("options", [{"schedule": SCHEDULE[:6]}, {"schedule": 6}, {"method": "block", "schedule": 6}])
def test_torch_differentiates_the_products(options):
    torch = pytest.importorskip("torch")
    A = torch.tensor(with_values(np.array([3.0, 3, 0.4]), (4, 3)), requires_grad=True)
    assert torch.autograd.gradcheck(lambda A: mclip(A, 0.2, 1.0, **options), A)
    assert torch.autograd.gradcheck(lambda A: mstep(A, **options), A)
    half = mclip(A.detach().to(torch.bfloat16), schedule=8, **({"method": options["method"]} if "method" in options else {}))
    assert half.dtype == torch.bfloat16
    assert abs(float(torch.linalg.matrix_norm(half.float(), 2)) - 1) < 0.1
    assert mclip(A.detach().to(torch.bfloat16)).dtype == torch.bfloat16


def test_torch_gradient_at_equal_singular_values():
    torch = pytest.importorskip("torch")
    A = torch.eye(3, dtype=torch.float64) * 2
    G = torch.tensor(np.random.default_rng(0).standard_normal((3, 3)))
    through_products = A.clone().requires_grad_()
    (mclip(through_products, schedule=SCHEDULE) * G).sum().backward()
    found = svfun_vjp(A, G, lambda s: s.clip(0, 1), lambda s: s < 1)
    assert torch.allclose(found, through_products.grad, atol=1e-8)


@pytest.mark.parametrize("options", [{"schedule": FAST}, {"schedule": 2}, {"method": "block", "schedule": 2}])
def test_jax_maps_compiles_and_differentiates(options):
    jax = pytest.importorskip("jax")
    _, back = LIBRARIES["jax"]
    A = np.stack([with_values(np.array([3.0, 2, 0.4]), (4, 3), seed=seed) for seed in range(3)])
    X = jax.numpy.asarray(A)
    for call in (lambda A: mclip(A, 0.5, 1.0, **options), lambda A: mstep(A, **options)):
        expected = call(A)
        for found in (jax.jit(call)(X), jax.jit(jax.vmap(call))(X)):
            np.testing.assert_allclose(back(found), expected, rtol=0, atol=1e-9)
    total = lambda A: (mclip(A, **options)**2).sum()
    gradient = back(jax.jit(jax.grad(total))(X[0]))
    E = np.random.default_rng(1).standard_normal((4, 3))
    difference = (total(A[0] + 1e-5 * E) - total(A[0] - 1e-5 * E)) / 2e-5
    assert np.isclose(np.vdot(gradient, E), difference, rtol=1e-5, atol=1e-6)

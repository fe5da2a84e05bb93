"""Norms of singular values: every library, dtype and shape; subgradients, brackets, and what power iteration says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank.norms import nuclear_norm, nuclear_norm_grad, spectral_decay, spectral_norm, spectral_norm_grad
from tests.properties.libraries import LIBRARIES, every_library_and_dtype
from tests.properties.matrices import FLOATS, HARD, any_matrix, assert_unchanged, double, eps

FUNCTIONS = [spectral_norm, spectral_norm_grad, nuclear_norm, nuclear_norm_grad]


@pytest.mark.parametrize("name", HARD)
def test_norms_and_duality_on_hard_matrices(name):
    A = HARD[name]
    s = np.linalg.svd(double(A), compute_uv=False)
    allowed = 20 * max(A.shape) * eps(A)
    norm, nuclear = (assert_unchanged(A, f) for f in (spectral_norm, nuclear_norm))
    assert abs(norm - s[0]) <= allowed * s[0] and abs(nuclear - s.sum()) <= allowed * s.sum()
    G, S = (assert_unchanged(A, f) for f in (spectral_norm_grad, nuclear_norm_grad))
    assert G.shape == S.shape == A.shape and G.dtype == S.dtype
    if s[0] > 0:
        assert abs(np.vdot(G, A).real - s[0]) <= allowed * s[0]
        assert abs(np.vdot(S, A).real - s.sum()) <= allowed * s.sum()
        assert abs(nuclear_norm(G) - 1) <= allowed and spectral_norm(S) <= 1 + allowed


@given(any_matrix(dtypes=[np.float64, np.complex128]), st.integers(0, 2**31))
def test_subgradient_inequalities(A, seed):
    unit = np.abs(A).max() or 1.0
    A, rng = A / unit, np.random.default_rng(seed)
    B = A + 10.0**rng.uniform(-8, 1) * rng.standard_normal(A.shape)
    for norm, gradient in ((spectral_norm, spectral_norm_grad), (nuclear_norm, nuclear_norm_grad)):
        assert norm(B) >= norm(A) + np.vdot(gradient(A), B - A).real - 1e-12 * (1 + norm(A))


@pytest.mark.parametrize("power", [-140, 0, 140])
def test_any_scale(power):
    A = np.random.default_rng(0).standard_normal((6, 4))
    for f, degree in zip(FUNCTIONS, (1, 0, 1, 0)):
        np.testing.assert_allclose(f(A * 10.0**power) / 10.0**(power * degree), f(A), rtol=1e-12, atol=1e-13)
    for options in ({"steps": 30}, {}):
        found = spectral_norm(A * 10.0**power, method="power", rng=0, **options)
        np.testing.assert_allclose(found / 10.0**power, spectral_norm(A), rtol=1e-8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_largest_and_the_smallest_numbers(dtype):
    info = np.finfo(dtype)
    for size in (info.max, info.max / 64, info.tiny, info.smallest_subnormal):
        A = np.full((3, 4), size, dtype)
        for options in ({}, {"method": "power", "rng": 0}):
            np.testing.assert_allclose(spectral_norm_grad(A, **options), np.ones((3, 4)) / 12**0.5, rtol=1e-3)
            assert spectral_norm(A, **options) >= size                                  # Inf where it is too large
        np.testing.assert_allclose(nuclear_norm_grad(A), np.ones((3, 4)) / 12**0.5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (2, 0, 3), (0, 2, 3)])
def test_power_iteration_on_nothing(shape):
    norm, info = spectral_norm(np.zeros(shape), method="power", rng=0, return_info=True)
    assert norm.shape == info.residual.shape == shape[:-2] and not norm.any() and np.all(info.converged)
    assert spectral_norm_grad(np.zeros(shape), method="power", steps=2).shape == shape
    assert spectral_decay(np.zeros(shape), 0.5, method="power").shape == shape


@every_library_and_dtype
def test_every_library_agrees(library, dtype):
    convert, back = LIBRARIES[library]
    A = np.random.default_rng(1).standard_normal((2, 3, 5, 4)).astype(dtype)
    A[0, 1] = 0
    X = convert(A)
    calls = [*FUNCTIONS, lambda X: spectral_norm(X, method="power", steps=5, rng=0),
             lambda X: spectral_norm_grad(X, method="power", tol=1e-3, rng=0),
             lambda X: spectral_decay(X, 0.25)]
    for call in calls:
        expected, found = call(A), call(X)
        assert type(found) is type(X) or library == "numpy"
        found = back(found)
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@given(any_matrix(dtypes=[np.float64, np.complex128]))
def test_power_iteration_is_a_lower_bound_and_its_residual_is_true(A):
    A = A / (np.abs(A).max() or 1.0)
    s = np.linalg.svd(A, compute_uv=False)
    norm, info = spectral_norm(A, method="power", rng=0, return_info=True)
    assert norm <= s[0] * (1 + 1e-13)
    if norm > 0:
        assert np.abs(s - norm).min() <= info.residual * norm + 1e-13 * s[0]
        assert info.converged == (info.residual <= np.sqrt(np.finfo(float).eps))
    roots = np.r_[s, [0] if A.shape[0] < A.shape[1] else []]         # of the eigenvalues of A^H A
    for steps in (1, 2):
        norm, info = spectral_norm(A, method="power", steps=steps, rng=0, return_info=True)
        assert np.abs(roots - norm).min() <= info.residual * norm / np.sqrt(3) + 1e-13 * s[0]


def test_power_iteration_counts_its_steps_and_says_when_it_gave_up():
    A = np.diag([1.0, 1 - 1e-5, 0.5])
    _, info = spectral_norm(A, method="power", steps=7, rng=0, return_info=True)
    assert info.steps == 7 and not info.converged
    _, info = spectral_norm(A, method="power", tol=1e-8, rng=0, return_info=True)
    assert info.steps == 1000 and not info.converged
    _, info = spectral_norm(np.diag([1.0, 0.1]), method="power", rng=0, return_info=True)
    assert info.steps < 20 and info.converged


@pytest.mark.parametrize("call, kind, message", [
    (lambda: spectral_norm([1.0, 2.0]), ValueError, r"A has shape \(2,\)"),
    (lambda: nuclear_norm([[np.nan]]), ValueError, "A contains 1 NaN"),
    (lambda: spectral_norm([[1.0]], method="lanczos"), ValueError, "method is 'lanczos'; allowed are 'svd', 'power'"),
    (lambda: spectral_norm([[1.0]], steps=3), ValueError, "steps is 3; method='svd' does not take it"),
    (lambda: spectral_norm([[1.0]], method="power", steps=0), ValueError, "steps is 0"),
    (lambda: spectral_norm_grad([[1.0]], rtol=-1), ValueError, "rtol is -1"),
    (lambda: spectral_norm_grad([[1.0]], method="power", rtol=0.1), ValueError, "rtol is 0.1; method='power' does not take it"),
    (lambda: spectral_decay([[1.0]], 1.5), ValueError, "rate is 1.5; allowed is a number with 0 <= rate <= 1"),
    (lambda: spectral_decay([[1.0]], "a"), TypeError, "rate is 'a'"),
    (lambda: spectral_decay([[np.inf]], 0.1), ValueError, "W contains 0 NaN and 1 Inf"),
])
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_torch_differentiates_the_norms():
    torch = pytest.importorskip("torch")
    A = torch.randn(5, 3, dtype=torch.float64, generator=torch.manual_seed(0), requires_grad=True)
    for norm, gradient in ((spectral_norm, spectral_norm_grad), (nuclear_norm, nuclear_norm_grad)):
        found, = torch.autograd.grad(norm(A), A)
        assert torch.allclose(found, gradient(A.detach()), atol=1e-12)
    power = lambda A: spectral_norm(A, method="power", steps=200, rng=0)
    found, = torch.autograd.grad(power(A), A)
    assert torch.allclose(found, spectral_norm_grad(A.detach()), atol=1e-6)
    wide = torch.randn(200, 300, generator=torch.manual_seed(0)).to(torch.bfloat16)     # 300 eps > 1: all would be tied
    assert abs(float(torch.linalg.svdvals(spectral_norm_grad(wide).float()).sum()) - 1) < 0.1
    assert float(torch.linalg.svdvals(spectral_norm_grad(wide).float())[0]) > 0.2
    half = spectral_norm(A.detach().to(torch.bfloat16))
    assert half.dtype == torch.bfloat16 and abs(float(half) / float(spectral_norm(A.detach())) - 1) < 0.01


def test_jax_traces_and_maps_the_norms():
    jax = pytest.importorskip("jax")
    A = LIBRARIES["jax"][0](np.random.default_rng(2).standard_normal((4, 5, 3)))
    for f in (*FUNCTIONS, lambda X: spectral_norm(X, method="power", steps=5, rng=0)):
        for way in (jax.jit, jax.vmap):
            np.testing.assert_allclose(way(f)(A), f(A), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["svd", "power"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_decay_takes_its_share_of_the_largest_value_and_of_no_other(dtype, method):
    rng = np.random.default_rng(5)
    A = rng.standard_normal((3, 7, 5)).astype(dtype) + (1j * rng.standard_normal((3, 7, 5)) if dtype == np.complex128 else 0)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    s[:, 0] *= 1 - 0.3
    options = {} if method == "svd" else {"method": "power", "tol": 1e-13, "rng": 0}
    np.testing.assert_allclose(spectral_decay(A, 0.3, **options), (U * s[:, None]) @ Vh, atol=1e-10)

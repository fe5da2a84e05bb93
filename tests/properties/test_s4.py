"""Systems that are diagonal minus rank 1: their kernels in every form, dtype, library and unit, and what is refused."""

import math
import tracemalloc
import warnings

import numpy as np
import pytest

from lowrank.hippo import discretize, hippo_legs
from lowrank.s4 import (
    _bilinear_log,
    _quotient,
    causal_convolution,
    hippo_nplr,
    s4_discretize,
    s4_kernel,
    s4_step,
    s4d_frequencies,
    s4d_kernel,
)
from tests.properties.libraries import LIBRARIES, every_library, needs

METHODS = ("krylov", "series", "cauchy")
every_method = pytest.mark.parametrize("method", METHODS)


def closed(x):
    """Numbers, followed by their conjugates in the opposite order."""
    return np.concatenate([x, x[..., ::-1].conj()], axis=-1)


def normal(seed, *shape):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def system(half=4, lead=(), seed=0, middle=False):
    """Lam, P, Q, B, C with complex P != Q, closed under conjugation."""
    P, Q, B, C = 0.5 * normal(seed, 4, *lead, half)
    Lam = -0.3 - np.abs(normal(seed + 1, *lead, half).real) + 4j * normal(seed + 2, *lead, half).real
    found = [closed(x) for x in (Lam, P, Q, B, C)]
    if middle:
        found = [np.insert(x, half, x[..., half].real, axis=-1) for x in found]
    return found


def powers(Lam, P, Q, B, C, L, dt):
    """The kernel by its definition, from dense matrices."""
    A = np.diag(Lam) - np.outer(P, Q.conj())
    I = np.eye(len(Lam))
    Ab, x = np.linalg.solve(I - dt / 2 * A, I + dt / 2 * A), dt * np.linalg.solve(I - dt / 2 * A, B)
    K = np.empty(L, complex)
    for l in range(L):
        K[l] = C @ x
        x = Ab @ x
    assert abs(K.imag).max() <= 1e-12 * abs(K).max()
    return K.real


def close(found, expected, tol):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max(initial=0) <= tol * np.abs(expected).max(initial=0)


# --- the kernel

@every_method
@pytest.mark.parametrize("L", (1, 2, 3, 15, 16, 17, 64, 65, 127, 129, 130, 255, 777))
def test_lengths(method, L):
    for middle in (False, True):
        S = system(middle=middle)
        close(s4_kernel(*S, L, 0.1, method=method), powers(*S, L, 0.1), 1e-13)


@every_method
@pytest.mark.parametrize("N", (1, 2, 3, 7, 8, 33, 80))
def test_sizes_of_legs_against_the_recurrence_in_real_numbers(method, N):
    Lam, P, B, V = hippo_nplr(N)
    A, b = hippo_legs(N)
    C = np.random.default_rng(N).standard_normal(N)
    for L, dt in ((300, 0.01), (300, 1.0)):
        Ab, x = discretize(A, b, dt, method="bilinear")
        K = []
        for _ in range(L):
            K.append(C @ x)
            x = Ab @ x
        close(s4_kernel(Lam, P, P, B, C @ V, L, dt, method=method), np.array(K), 2e-13)


def test_reference_values():
    Lam, P, B, V = hippo_nplr(4)
    found = s4_kernel(Lam, P, P, B, [1, -1, 0.5, 2] @ V, 6, 0.1)
    expected = [.309088611246, -.050126339736, -.170121337617, -.171847054822, -.123316279626, -.060886630922]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    long = s4_kernel(Lam, P, P, B, [1, -1, 0.5, 2] @ V, 2000, 0.1)
    assert long.sum() == pytest.approx(1, abs=1e-12) and long[:64].sum() == pytest.approx(1.002311923337, abs=1e-12)
    frequencies = {4: [.556501115084, 4.603293007067], 8: [.427488712286, 1.957794150903, 5.354208515031, 19.857410370971]}
    for N, w in frequencies.items():
        np.testing.assert_allclose(hippo_nplr(N)[0].imag[N // 2:], w, rtol=1e-11)
    w = hippo_nplr(16)[0].imag
    np.testing.assert_allclose(w[[8, 15]], [.352017915889, 80.966080924513], rtol=1e-11)
    w = hippo_nplr(64)[0].imag
    np.testing.assert_allclose(w[[32, 63]], [.2638569311, 1303.273842981], rtol=1e-9)


def test_odd_sizes_have_the_middle_once():
    for N in (1, 3, 9):
        Lam, P, B, V = hippo_nplr(N)
        assert Lam.dtype == P.dtype == B.dtype == V.dtype == np.complex128
        assert np.sum(Lam.imag == 0) == 1 and Lam[N // 2] == -0.5 and not V[:, N // 2].imag.any()


@every_method
def test_real_systems_are_taken_as_they_are(method):
    Lam, P, Q, B, C = -np.arange(1.0, 6), *np.random.default_rng(0).standard_normal((4, 5)) / 2
    close(s4_kernel(Lam, P, Q, B, C, 90, 0.2, method=method), powers(Lam, P, Q, B, C, 90, 0.2), 1e-13)
    mixed = s4_kernel([-1, -2], [0, 1], [1, 0], [1, 1], [1, 2], 9, 0.5, method=method)
    assert mixed.dtype == np.float64


@every_method
def test_stacks_broadcast(method):
    Lam, P, Q, B, _ = system(lead=(2, 1))
    C, dt = closed(normal(9, 3, 4)), np.array([0.05, 0.5, 2.0])
    K = s4_kernel(Lam, P, Q, B, C, 100, dt, method=method)
    assert K.shape == (2, 3, 100)
    for i, j in np.ndindex(2, 3):
        close(K[i, j], powers(Lam[i, 0], P[i, 0], Q[i, 0], B[i, 0], C[j], 100, dt[j]), 2e-13)
    one = system()
    for C, dt, shape in ((closed(normal(9, 3, 4)), 0.1, (3,)), (one[4], [0.1, 0.2], (2,)), (one[4], np.full((2, 1), 0.1), (2, 1)),
                         (closed(normal(9, 0, 4)), 0.1, (0,))):
        K = s4_kernel(*one[:4], C, 70, dt, method=method)
        assert K.shape == (*shape, 70)
        if 0 not in shape:
            last = tuple(v - 1 for v in shape)
            step = np.broadcast_to(dt, shape)[last]
            close(K[last], powers(*one[:4], np.broadcast_to(C, (*shape, 8))[last], 70, step), 1e-13)


@every_method
def test_units(method):
    Lam, P, Q, B, C = system()
    K = s4_kernel(Lam, P, Q, B, C, 80, 0.1, method=method)
    for c in (1e-150, 1e150):
        close(s4_kernel(Lam * c, P * c, Q, B * c, C, 80, 0.1 / c, method=method), K, 1e-13)         # of time
        close(s4_kernel(Lam, P * c, Q / c, B, C, 80, 0.1, method=method), K, 1e-13)
        close(s4_kernel(Lam, P, Q, B * c, C, 80, 0.1, method=method) / c, K, 1e-13)
        close(s4_kernel(Lam, P, Q, B, C * c, 80, 0.1, method=method) / c, K, 1e-13)
        close(s4_kernel(Lam, P, Q, B / c, C * c, 80, 0.1, method=method), K, 1e-13)


def test_a_filtered_c_and_what_auto_is():
    Lam, P, Q, B, C = system()
    Ab, _ = s4_discretize(Lam, P, Q, B, 0.1)
    Ct = C - C @ np.linalg.matrix_power(Ab, 200)
    for method in ("auto", "cauchy"):
        close(s4_kernel(Lam, P, Q, B, Ct, 200, 0.1, method=method, filtered=True), powers(Lam, P, Q, B, C, 200, 0.1), 1e-13)
    for N, L, method in ((256, 4200, "krylov"), (258, 16 * 258, "krylov"), (258, 16 * 258 + 1, "series")):
        w = np.linspace(1, 100, N // 2)
        arguments = (closed(-0.5 - 1j * w), *np.ones((3, N)) / N, closed(1 / (1 - 1j * w)), L, 0.01)
        assert np.array_equal(s4_kernel(*arguments), s4_kernel(*arguments, method=method))
        assert not np.array_equal(s4_kernel(*arguments, method="krylov"), s4_kernel(*arguments, method="series"))


def test_a_growing_diagonal_is_safe_by_powers():
    Lam, P, B, V = hippo_nplr(16)
    shifted = Lam + 0.4                                             # A has the eigenvalues -0.6, -1.6, ...
    expected = powers(shifted, P, P, B, V[3], 2000, 0.02)
    close(s4_kernel(shifted, P, P, B, V[3], 2000, 0.02, method="krylov"), expected, 1e-13)


def test_memory_is_that_of_blocks():
    """64 MB for N = 256 and L = 65536, where a table of all states and frequencies has 134."""
    Lam, P, B, V = hippo_nplr(256)
    for method, filtered in (("krylov", False), ("series", False), ("cauchy", True)):
        tracemalloc.start()
        K = s4_kernel(Lam, P, P, B, V[0], 65536, 1e-4, method=method, filtered=filtered)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert K.shape == (65536,) and peak < 64e6, (method, peak)
    tracemalloc.start()
    s4d_kernel(Lam, B, V[0], 65536, 1e-4)
    assert tracemalloc.get_traced_memory()[1] < 64e6
    tracemalloc.stop()


def test_the_quotient_of_series():
    rng = np.random.default_rng(0)
    for L in (1, 2, 63, 64, 65, 128, 129, 500):
        a, b = 0.9**np.arange(L) * rng.standard_normal((2, L)) * [[0.3], [1]]
        g = _quotient(b, a)
        close(g + np.append(0, np.convolve(a, g)[:L - 1]), b, 1e-12)


# --- diagonal kernels

@pytest.mark.parametrize("method", ("zoh", "bilinear"))
def test_diagonal_kernels(method):
    Lam, _, _, B, C = system(5, (2,), middle=True)
    for L in (1, 2, 100, 5000):
        K = s4d_kernel(Lam, B, C, L, [0.1, 0.02], method=method)
        for i, dt in enumerate((0.1, 0.02)):
            z = dt * Lam[i]
            d, gain = (np.exp(z), np.expm1(z) / z) if method == "zoh" else ((2 + z) / (2 - z), 2 / (2 - z))
            terms = (C[i] * B[i] * dt * gain)[:, None] * d[:, None]**np.arange(L)
            close(K[i], terms.sum(axis=0).real, 1e-13)


def test_poles_at_the_ends():
    ones = np.ones(1)
    assert s4d_kernel([0.0], ones, ones, 3, 2.0).tolist() == [2, 2, 2]                  # an integrator
    np.testing.assert_allclose(s4d_kernel([-2.0], ones, ones, 3, 1.0, method="bilinear"), [0.5, 0, 0], atol=1e-150)
    np.testing.assert_allclose(s4d_kernel([-1e6], ones, ones, 3, 2.0, method="bilinear"), 1e-6 * (-1.0)**np.arange(3) * 2, rtol=1e-4)
    for lam in (-2 + 1e-9, -2 - 1e-9):
        K = s4d_kernel([lam], ones, ones, 3, 1.0, method="bilinear")
        assert K[1] / K[0] == pytest.approx((2 + lam) / (2 - lam), rel=1e-6)
    log, turns = _bilinear_log(np.array([-1 + 0j, 1e-9 + 1e-9j, 0.4 - 3j, -50 + 1j]))
    d = np.array([0, 1 + 2e-9 * (1 + 1j), (1.4 - 3j) / (0.6 + 3j), (-49 + 1j) / (51 - 1j)])
    np.testing.assert_allclose(np.exp(log + 2j * np.pi * turns), d, rtol=1e-15, atol=1e-150)
    assert log[1] == pytest.approx(2e-9, rel=1e-8)


def test_the_angles_of_single_precision():
    """Exact beyond the digits of a product: a slow oscillation for 10^5 steps."""
    Lam = closed(np.array([-1e-6 + 2.9j], np.complex64))
    one = np.ones(2, np.complex64)
    K = s4d_kernel(Lam, one, one, 100_000, 1.0)
    turns = np.float32(np.float32(2.9) / (2 * math.pi))
    d = np.exp(-1e-6 + 2j * np.pi * float(turns))
    gain = np.expm1(complex(Lam[0])) / complex(Lam[0])
    close(K, (2 * gain * d**np.arange(100_000)).real, 2e-3)
    assert K.dtype == np.float32
    rounded = (np.float32(turns) * np.arange(100_000, dtype=np.float32)) % 1
    assert abs(np.cos(2 * np.pi * rounded) - (d**np.arange(100_000)).real).max() > 0.02      # what is avoided


def test_frequencies_come_in_pairs():
    for N in (1, 2, 5, 8):
        for kind in ("legs", "inv", "lin"):
            w = s4d_frequencies(N, kind)
            assert w.shape == (N,) and w.dtype == np.float64 and np.array_equal(w, -w[::-1]) and np.all(np.diff(w) >= 0)
    np.testing.assert_allclose(s4d_frequencies(6, "lin"), np.pi * np.array([-2, -1, 0, 0, 1, 2]))
    w = s4d_frequencies(64, "inv")[::-1]
    np.testing.assert_allclose(w[:3], [1283.4, 414.2, 240.4], atol=0.1)
    assert abs(s4d_frequencies(300)[-1] / (300**2 / math.pi) - 1) < 0.01


# --- steps

def test_steps_are_those_of_the_dense_system():
    Lam, P, Q, B, C = system(lead=(2, 1))
    x, u, dt = normal(8, 3, 8), normal(9, 2, 3), np.array([0.1, 1.0, 30.0])
    Ab, Bb = s4_discretize(Lam, P, Q, B, dt)
    found = s4_step(x, u, Lam, P, Q, B, dt)
    assert Ab.shape == (2, 3, 8, 8) and Bb.shape == found.shape == (2, 3, 8)
    np.testing.assert_allclose(found, (Ab @ x[..., None])[..., 0] + Bb * u[..., None], rtol=1e-12, atol=1e-13)
    for i, j in np.ndindex(2, 3):
        A = np.diag(Lam[i, 0]) - np.outer(P[i, 0], Q[i, 0].conj())
        dense = discretize(A, B[i, 0], dt[j], method="bilinear")
        np.testing.assert_allclose(Ab[i, j], dense[0], rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(Bb[i, j], dense[1], rtol=1e-11, atol=1e-12)
    assert s4_step([1.0], 1, [-1.0], [1.0], [0.0], [1.0], 0.5).dtype == np.float64


def test_inputs_are_not_written_and_nothing_warns():
    S = system()
    before = [x.copy() for x in S]
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for method in METHODS:
            s4_kernel(*S, 300, 0.1, method=method)
        s4d_kernel(S[0], S[3], S[4], 300, 0.1)
        s4_step(S[4], 1.0, *S[:4], 0.1)
        s4_discretize(*S[:4], 0.1)
        causal_convolution(np.zeros(5), np.zeros(3))
    assert all(np.array_equal(x, y) for x, y in zip(S, before))


# --- convolution

def test_convolution():
    rng = np.random.default_rng(0)
    for L, M in ((1, 1), (7, 3), (3, 7), (100, 100), (65, 64)):
        u, K = rng.standard_normal((3, 1, L)), rng.standard_normal((2, M))
        y = causal_convolution(u, K)
        assert y.shape == (3, 2, L)
        for i, j in np.ndindex(3, 2):
            np.testing.assert_allclose(y[i, j], np.convolve(u[i, 0], K[j])[:L], atol=1e-13)
    z = causal_convolution(u[0, 0] * (1 + 2j), K[0])
    np.testing.assert_allclose(z, y[0, 0] * (1 + 2j), atol=1e-13)
    assert causal_convolution(np.zeros((2, 0)), K).shape == (2, 0)
    assert causal_convolution([1, 2], [3]).tolist() == [3, 6]
    rows = np.array([1e-200, 1.0, 1e200])[:, None] * u[0]
    np.testing.assert_allclose(causal_convolution(rows, 1e100 * K[0]) / np.array([1e-100, 1e100, 1e300])[:, None],
                               np.tile(y[0, 0], (3, 1)), atol=1e-13)
    half = causal_convolution(np.ones(5000, np.float16), np.full(5000, 1e-3, np.float16))
    assert half.dtype == np.float32 and half[-1] == pytest.approx(5, rel=2e-3)


# --- libraries

def calls(S, seed=0):
    """name -> (function of arrays, its arrays), for every public function of arrays."""
    Lam, P, Q, B, C = S
    u = np.random.default_rng(seed).standard_normal((2, 70)).astype(C.real.dtype)
    found = {method: (lambda *S, method=method: s4_kernel(*S, 130, 0.1, method=method), S) for method in METHODS}
    found |= {method: (lambda *S, method=method: s4d_kernel(*S, 130, 0.1, method=method), (Lam, B, C)) for method in ("zoh", "bilinear")}
    found["Ab"] = (lambda *S: s4_discretize(*S, 0.1)[0], (Lam, P, Q, B))
    found["step"] = (lambda x, *S: s4_step(x, 0.5, *S, 0.1), (C, Lam, P, Q, B))
    found["convolution"] = (causal_convolution, (u, u[0] / 4))
    return found


@every_library
@pytest.mark.parametrize("dtype", (np.complex64, np.complex128))
@pytest.mark.parametrize("name", calls(system()))
def test_every_library_and_dtype(library, dtype, name):
    if library == "jax":
        return                                                      # see test_jax_compiles_maps_and_differentiates
    convert, back = LIBRARIES[library]
    f, exact = calls(system())[name]
    expected = f(*exact)
    arrays = [x.astype(dtype if x.dtype.kind == "c" else dtype(0).real.dtype) for x in exact]
    found = f(*map(convert, arrays))
    assert type(found) is type(convert(arrays[0]))
    found = back(found)
    assert found.dtype == (dtype if expected.dtype.kind == "c" else dtype(0).real.dtype)
    close(found, expected, 500 * np.finfo(dtype).eps)


def pairs(xp, h):
    return xp.concat([h, xp.flip(xp.conj(h), axis=-1)], axis=-1)


@needs("torch")
@pytest.mark.parametrize("method", (*METHODS, "zoh", "bilinear"))
def test_pytorch_differentiates(method):
    import array_api_compat.torch as xp
    import torch

    S = [torch.asarray(x[..., :2]).requires_grad_() for x in system(2)]
    dt = torch.tensor([0.1, 0.4], dtype=torch.float64, requires_grad=True)
    # 70 terms, so that the reciprocal is doubled and powers are squared

    def f(dt, *halves):
        Lam, P, Q, B, C = (pairs(xp, h) for h in halves)
        if method in METHODS:
            return s4_kernel(Lam, P, Q, B, C, 70, dt, method=method)[..., ::13]
        return s4d_kernel(Lam, B, C, 70, dt, method=method)[..., ::13]

    assert torch.autograd.gradcheck(f, (dt, *S), fast_mode=True)
    full = [pairs(xp, x).detach().requires_grad_() for x in S]
    (s4_kernel(*full, 70, 0.1, method=method) if method in METHODS else s4d_kernel(full[0], *full[3:], 70, 0.1)).square().sum().backward()
    for x in full:
        if x.grad is not None:                                      # a step of the gradient stays closed
            torch.testing.assert_close(x.grad, torch.flip(x.grad, (-1,)).conj())


@needs("torch")
def test_pytorch_compiles_maps_and_has_finite_gradients_at_the_ends():
    import torch

    S = [torch.asarray(x) for x in system()]
    for method in METHODS[:2]:
        f = lambda C, dt, method=method: s4_kernel(*S[:4], C, 70, dt, method=method)
        torch.compiler.reset()
        compiled = torch.compile(f, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(S[4], torch.tensor([0.1])), f(S[4], torch.tensor([0.1])))
        stack = torch.stack([S[4], 2 * S[4]])
        torch.testing.assert_close(torch.vmap(lambda C, f=f: f(C, 0.1))(stack), f(stack, 0.1))
        steps = torch.tensor([0.1, 0.3], dtype=torch.float64)
        torch.testing.assert_close(torch.vmap(lambda dt, f=f: f(S[4], dt))(steps), f(S[4], steps))
    for lam, method in ((0.0, "zoh"), (-2.0, "bilinear"), (0.0, "bilinear")):
        Lam = torch.full((1,), lam, dtype=torch.float64, requires_grad=True)
        one = torch.ones(1, dtype=torch.float64)
        s4d_kernel(Lam, one, one, 5, 1.0, method=method).sum().backward()
        assert torch.isfinite(Lam.grad).all()
        if lam == 0:                                                # d/dlam of sum of (1, ..., 5 half steps)
            assert Lam.grad.item() == pytest.approx(12.5)
    u = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    causal_convolution(u, torch.ones(4, dtype=torch.float64)).sum().backward()
    assert u.grad.tolist() == pytest.approx([4, 3, 2, 1])
    half = torch.ones(40, dtype=torch.bfloat16)
    assert causal_convolution(half, half).dtype == torch.bfloat16 and s4_kernel(-half, half, half, half, half, 9, 0.1).dtype == torch.bfloat16


@needs("jax")
def test_jax_compiles_maps_and_differentiates():
    import jax

    jax.config.update("jax_enable_x64", True)
    S = [jax.numpy.asarray(x) for x in system()]
    for name, (f, arrays) in calls(system()).items():
        if name not in ("cauchy", "bilinear", "Ab"):                # what is like another
            expected = f(*arrays)
            close(np.asarray(jax.jit(f)(*map(jax.numpy.asarray, arrays))), expected, 1e-13)
    f = jax.jit(jax.vmap(jax.value_and_grad(lambda dt: s4_kernel(*S, 40, dt)[30])))
    values, slopes = f(jax.numpy.asarray([0.1, 0.2]))
    for dt, value, slope in zip((0.1, 0.2), values, slopes):
        near = [s4_kernel(*system(), 40, dt + h)[30] for h in (-1e-6, 0, 1e-6)]
        assert value == pytest.approx(near[1], rel=1e-12) and slope == pytest.approx((near[2] - near[0]) / 2e-6, rel=1e-6)


# --- refusals

KERNEL = dict(zip(("Lam", "P", "Q", "B", "C", "L", "dt"), (*system(), 10, 0.1)))


@pytest.mark.parametrize("change, words", (
    ({"L": 0}, "L is 0; allowed is an integer from 1"),
    ({"L": 2.5}, "L is 2.5"),
    ({"dt": 0}, "dt is 0; allowed is a number > 0, or an array"),
    ({"dt": -0.1}, "dt is -0.1"),
    ({"dt": math.inf}, "dt is inf"),
    ({"dt": [0.1, 0.0]}, "dt has entries that are not positive"),
    ({"dt": [0.1, math.nan]}, "dt contains 1 NaN"),
    ({"dt": "x"}, "dt is 'x'"),
    ({"dt": [1j]}, "dt has dtype complex128"),
    ({"method": "fft"}, "method is 'fft'; allowed are 'auto', 'krylov', 'series', 'cauchy'"),
    ({"method": "krylov", "filtered": True}, "filtered is True; method 'krylov' allows only False"),
    ({"P": system()[1][:7]}, r"P has shape \(7,\); allowed is \(..., 8\), as Lam has it"),
    ({"C": 1.0}, r"C has shape \(\); allowed is \(..., 8\)"),
    ({"Lam": np.zeros(0)}, r"Lam has shape \(0,\); allowed is \(..., N\), N >= 1"),
    ({"B": np.ones((2, 8)), "dt": [0.1, 0.2, 0.3]}, r"B \(2,\).*dt \(3,\)\; allowed are those that broadcast"),
    ({"C": np.r_[math.nan, system()[4][1:]]}, "C contains 1 NaN and 0 Inf"),
    ({"C": np.full(8, math.inf)}, "C contains 0 NaN and 8 Inf"),
    ({"Lam": np.full((1, 8), math.nan)}, "Lam contains 8 NaN"),
    ({"C": system()[4] + 1e-9j}, "C is not closed under conjugation, .* by .*e-09 of the largest one"),
    ({"C": normal(0, 3, 8)}, "C is not closed under conjugation"),
    ({"Lam": system()[0][::-1][[1, 0, 2, 3, 4, 5, 6, 7]]}, "Lam is not closed .* the order of hippo_nplr"),
    ({"Lam": ["a"] * 8}, "Lam has dtype"),
))
def test_refusals_of_the_kernel(change, words):
    with pytest.raises((TypeError, ValueError), match=words):
        s4_kernel(**KERNEL | change)


def test_other_refusals():
    Lam, P, Q, B, C = system()
    with pytest.raises(ValueError, match="N is 0; allowed is an integer from 1"):
        hippo_nplr(0)
    with pytest.raises(ValueError, match="N is 0"):
        s4d_frequencies(0)
    with pytest.raises(ValueError, match="kind is 'log'; allowed are 'legs', 'inv', 'lin'"):
        s4d_frequencies(4, "log")
    with pytest.raises(ValueError, match="method is 'euler'; allowed are 'zoh', 'bilinear'"):
        s4d_kernel(Lam, B, C, 4, 0.1, method="euler")
    with pytest.raises(ValueError, match="B is not closed"):
        s4d_kernel(Lam, normal(3, 8), C, 4, 0.1)
    with pytest.raises(ValueError, match="P contains 1 NaN"):
        s4_discretize(Lam, np.r_[math.nan, P[1:]], Q, B, 0.1)
    with pytest.raises(ValueError, match=r"x has shape \(7,\)"):
        s4_step(C[:7], 0.0, Lam, P, Q, B, 0.1)
    with pytest.raises(ValueError, match="u contains 1 NaN"):
        s4_step(C, [math.nan], Lam, P, Q, B, 0.1)
    with pytest.raises(ValueError, match=r"u \(3,\).*x \(2,\)"):
        s4_step(np.zeros((2, 8)), np.zeros(3), Lam, P, Q, B, 0.1)
    with pytest.raises(ValueError, match=r"K has shape \(0,\); allowed is \(..., L\), L >= 1"):
        causal_convolution([1.0], np.zeros(0))
    with pytest.raises(ValueError, match=r"u has shape \(\)"):
        causal_convolution(1.0, [1.0])
    with pytest.raises(ValueError, match=r"u \(2,\), K \(3,\)"):
        causal_convolution(np.ones((2, 5)), np.ones((3, 5)))
    with pytest.raises(ValueError, match="K contains 1 NaN"):
        causal_convolution([1.0], [math.nan])


@needs("torch")
def test_two_libraries_are_refused():
    import torch

    Lam, P, Q, B, C = system()
    with pytest.raises(TypeError, match="C is a Tensor and Lam is a ndarray; both must belong to one array library"):
        s4_kernel(Lam, P, Q, B, torch.asarray(C), 4, 0.1)
    with pytest.raises(TypeError, match="dt is a Tensor and Lam is a ndarray"):
        s4_kernel(Lam, P, Q, B, C, 4, torch.tensor([0.1]))
    with pytest.raises(TypeError, match="dt is a Tensor and Lam is a ndarray"):
        s4_kernel(Lam, P, Q, B, C, 4, torch.tensor(0.1))
    with pytest.raises(TypeError, match="u is a Tensor and Lam is a ndarray"):
        s4_step(C, torch.tensor(0.1), Lam, P, Q, B, 0.1)
    with pytest.raises(TypeError, match="K is a Tensor and u is a ndarray"):
        causal_convolution(np.ones(3), torch.ones(3))

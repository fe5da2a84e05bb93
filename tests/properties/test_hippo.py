"""Memories: libraries, dtypes, batches, exactness, extreme scales, derivatives, jit, cost, and what is refused."""

import math
import tracemalloc

import numpy as np
import pytest

from lowrank.hippo import (
    discretize,
    gauss_nodes,
    hippo_fourier,
    hippo_legs,
    hippo_legt,
    legendre_reconstruct,
    legs_matvec,
    legs_project,
    legs_solve,
    legs_stream,
    legs_update,
)
from tests.properties.libraries import LIBRARIES

TRANSFORMS = {
    "project": lambda u: legs_project(u, 5),
    "update": lambda u: legs_update(u[..., :7], 3, u)[0],
    "stream": lambda u: legs_stream(u, 5, block=8),
    "bilinear": lambda u: legs_stream(u[..., :6], 4, block=4, method="bilinear"),
    "matvec": legs_matvec,
    "solve": lambda u: legs_solve(u, 0.3),
    "reconstruct": lambda u: legendre_reconstruct(u, [0.0, 0.3, 0.5, 1.0]),
}
every_transform = pytest.mark.parametrize("name", TRANSFORMS)


def signals(seed, shape=(2, 3, 30)):
    return np.random.default_rng(seed).standard_normal(shape)


def exactly(u, N):
    """The coefficients of a step function, with 40 digits."""
    import mpmath as mp
    with mp.workdps(40):
        x, before = [mp.mpf(0)] * N, None
        for j in range(len(u) + 1):
            y = 2 * mp.mpf(j) / len(u) - 1
            P = [mp.mpf(1), y]
            for n in range(1, N + 1):
                P.append(((2 * n + 1) * y * P[n] - n * P[n - 1]) / (n + 1))
            Q = [y] + [(P[n + 1] - P[n - 1]) / (2 * n + 1) for n in range(1, N)]
            if before is not None:
                x = [a + mp.mpf(float(u[j - 1])) * (q - b) / 2 for a, q, b in zip(x, Q, before)]
            before = Q
        return np.array([float(mp.sqrt(2 * n + 1) * a) for n, a in enumerate(x)])


def off(x, exact):
    return np.linalg.norm(x - exact) / np.linalg.norm(exact)


# --- reference values


def test_reference_values():
    x = [1, 0.138564064606, 0.751318840440, 0.804308398564]
    assert np.allclose(legs_project([1, 2, 0, -1, 3], 4), x, rtol=0, atol=1e-11)
    A, B = hippo_legs(3)
    assert np.allclose(A, [[-1, 0, 0], [-3**0.5, -2, 0], [-5**0.5, -15**0.5, -3]]) and np.allclose(B**2, [1, 3, 5])
    A, B = hippo_legt(2, 2.0)
    assert np.allclose(2 * A, [[-1, 3**0.5], [-3**0.5, -3]]) and np.allclose(2 * B, [1, 3**0.5])
    A, B = hippo_fourier(2)                         # the frequencies -1 and 0
    assert np.allclose(A, [[-1 - 1j * np.pi, -1], [0, -1]]) and np.allclose(B, 1)
    A, B = hippo_fourier(1, 0.5)
    assert np.allclose(A, -4) and np.allclose(B, 4)


@pytest.mark.parametrize("function", (hippo_legs, hippo_legt, hippo_fourier))
def test_nested(function):
    """More coefficients leave the first ones as they are, for polynomials; every size from 1 works."""
    for N in (1, 2, 3, 9):
        A, B = function(np.int64(N))
        assert A.shape == (N, N) and B.shape == (N,) and np.all(np.isfinite(A))
        if function is not hippo_fourier:
            assert A.dtype == float and np.array_equal(function(12)[0][:N, :N], A)


def test_constants_are_fixed_points():
    for A, B in (hippo_legs(9), hippo_legt(9, 3.0)):
        assert np.allclose(A[:, 0], -B if np.allclose(np.triu(A, 1), 0) else A[:, 0])
    assert np.allclose(legs_project(np.full(77, 2.5), 9), 2.5 * np.eye(9)[0], rtol=0, atol=1e-14)
    assert np.allclose(legs_stream(np.full(77, 2.5), 9, block=1), 2.5 * np.eye(9)[0], rtol=0, atol=1e-12)
    bilinear = legs_stream(np.full(77, 2.5), 9, block=1, method="bilinear")
    assert np.allclose(bilinear, 2.5 * np.eye(9)[0], rtol=0, atol=1e-12)
    Ab, Bb = discretize(*hippo_legt(9, 3.0), 0.1)
    assert np.allclose(Ab[:, 0] + Bb, np.eye(9)[0])


# --- exactness


@pytest.mark.parametrize("N", (1, 16, 128))
def test_exact_to_a_few_digits_of_rounding(N):
    """1e-13 where 1e-10 is promised of every program; blocks of one too."""
    noise = signals(0, 600)
    exact = exactly(noise, N)
    assert off(legs_project(noise, N), exact) < 1e-13
    for block in (1, 7, 64, 600):
        assert off(legs_stream(noise, N, block=block)[-1], exact) < 5e-13


def test_long_streams_stay_exact():
    u = np.cumsum(signals(1, 30_000))
    for N in (32, 128):
        states = legs_stream(u, N, block=64)
        for j in (100, 300, -1):
            end = len(u) if j < 0 else (j + 1) * 64
            assert off(states[j], legs_project(u[:end], N)) < 1e-12


def test_many_coefficients():
    N = 1000
    u = signals(2, 4000)
    x = legs_stream(u, N, block=1000)
    assert off(x[-1], legs_project(u, N)) < 1e-12
    assert abs(np.sum(x[-1] ** 2) / np.mean(u**2)) < 1             # Bessel
    nodes = np.array(gauss_nodes(N))
    assert np.all(np.diff(nodes) > 0) and np.allclose(nodes + nodes[::-1], 1) and 0 < nodes[0] < 2e-6


def test_any_partition_is_the_same_history():
    u = signals(3, (4, 100))
    x, count = np.zeros(6), 0
    for size in (1, 2, 50, 30, 17):
        x, count = legs_update(x, count, u[:, count:count + size])
    assert count == 100 and np.allclose(x, legs_project(u, 6), rtol=0, atol=1e-13)
    y, _ = legs_update(signals(4, (4, 6)), 0, u)                   # nothing of x is left
    assert np.allclose(y, x, rtol=0, atol=1e-13)


def test_stream_of_one_block_and_of_ends():
    u = signals(5, (3, 20))
    for method in ("exact", "bilinear"):
        assert legs_stream(u, 4, method=method).shape == (3, 1, 4)
        ends = legs_stream(u, 4, method=method, block=6)
        assert ends.shape == (3, 4, 4)
        each = legs_stream(u, 4, method=method, block=1)
        assert np.allclose(ends, each[:, [5, 11, 17, 19]], rtol=0, atol=1e-13)


def test_the_bilinear_rule_is_of_second_order():
    wave = lambda L: np.sin(3 * (np.arange(L) + 0.5) / L)
    errors = [off(legs_stream(wave(L), 8, method="bilinear")[-1], legs_project(wave(L), 8)) for L in (100, 200, 400)]
    assert all(3 < a / b < 5 for a, b in zip(errors, errors[1:]))


def test_stated_errors_of_long_records():
    """1e-12 of the root mean square, for 10^5 samples, also where hardly anything is left of them."""
    u = signals(18, 100_000)
    assert np.abs(legs_project(u, 64) - legs_stream(u, 64, block=500)[-1]).max() < 1e-12 * np.std(u)
    half = legs_project(np.repeat([0.0, 1.0], 50_000), 4)         # closed: integrals over [1/2, 1]
    assert np.allclose(half, [0.5, 3**0.5 / 4, 0, -(7**0.5) / 16], rtol=0, atol=1e-13)


def test_the_bilinear_rule_makes_nothing_longer():
    for A, B in (hippo_legs(20), hippo_legt(20, 0.1), hippo_legt(3, 50.0)):
        for dt in (1e-3, 1.0, 1e3):
            assert np.linalg.norm(discretize(A, B, dt, "bilinear")[0], 2) <= 1 + 1e-12
    assert np.linalg.norm(discretize(*hippo_legt(20, 0.1), 1.0, "forward")[0], 2) > 1


def test_the_matrices_of_legendre_memory_units():
    A, B = hippo_legt(5, 2.0)
    n = np.arange(5)
    d = (-1.0) ** n * np.sqrt(2 * n + 1)
    sign = np.where(n[:, None] < n, -1.0, (-1.0) ** (n[:, None] - n + 1))
    assert np.allclose(A * d[:, None] / d, (2 * n[:, None] + 1) / 2 * sign)
    assert np.allclose(d * B, (2 * n + 1) * (-1.0) ** n / 2)


def test_reconstruction_of_polynomials():
    s = np.linspace(0, 1, 11).reshape(1, 11)
    x = np.linalg.solve(np.polynomial.legendre.legvander(2 * np.linspace(0, 1, 5) - 1, 4)
                        * np.sqrt(2 * np.arange(5) + 1), np.linspace(0, 1, 5) ** 3)
    assert np.allclose(legendre_reconstruct(x, s), s**3) and legendre_reconstruct(x, s).shape == (1, 11)
    assert legendre_reconstruct(x, 0.25).shape == () and legendre_reconstruct(x[None], []).shape == (1, 0)
    r = np.sqrt(2 * np.arange(5) + 1)
    assert np.allclose(legendre_reconstruct(np.eye(5), [0, 1]).T, [r * (-1.0) ** np.arange(5), r])


# --- discretisation


def system(seed=6, N=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, N)), rng.standard_normal(N)


def test_zoh_is_exact():
    A, B = system()
    Ab, Bb = discretize(A, B, 0.3)
    assert np.allclose(Bb, np.linalg.solve(A, (Ab - np.eye(5)) @ B))
    half = discretize(A, B, 0.15)
    assert np.allclose(half[0] @ half[0], Ab) and np.allclose(half[0] @ half[1] + half[1], Bb)
    singular = discretize(np.zeros((3, 3)), np.ones(3), 2.0)
    assert np.allclose(singular[0], np.eye(3)) and np.allclose(singular[1], 2)


@pytest.mark.parametrize("method, order", (("forward", 1), ("backward", 1), ("bilinear", 2)))
def test_orders(method, order):
    A, B = system()
    errors = []
    for steps in (64, 128):
        Ab, Bb = discretize(A, B, 1 / steps, method)
        x = np.zeros(5)
        for _ in range(steps):
            x = Ab @ x + Bb
        errors.append(np.linalg.norm(x - discretize(A, B, 1.0)[1]))
    assert abs(math.log2(errors[0] / errors[1]) - order) < 0.15


@pytest.mark.parametrize("method", ("zoh", "bilinear", "forward", "backward"))
def test_stacks_inputs_and_libraries(method):
    A, B = np.stack([system(i)[0] for i in range(3)]), signals(7, (3, 5, 2))
    Ab, Bb = discretize(A, B, 0.1, method)
    for i in range(3):
        for k in range(2):
            a, b = discretize(A[i], B[i, :, k], 0.1, method)
            assert np.allclose(Ab[i], a) and np.allclose(Bb[i, :, k], b)
    vectors = discretize(A, B[..., 0], 0.1, method)[1]
    assert np.allclose(vectors, Bb[..., 0])
    for name in LIBRARIES:
        there, back = LIBRARIES[name]
        a, b = discretize(there(A), there(B), 0.1, method)
        assert type(a) is type(there(A)) and np.allclose(back(a), Ab) and np.allclose(back(b), Bb)
    single = discretize(A.astype(np.float32), B.astype(np.float32), 0.1, method)
    assert single[0].dtype == single[1].dtype == np.float32 and np.allclose(single[0], Ab, atol=1e-6)
    assert discretize(A + 0j, B, 0.1, method)[1].dtype == complex


# --- libraries and dtypes


@every_transform
@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries(name, library):
    there, back = LIBRARIES[library]
    u = signals(8)
    before = u.copy()
    f = TRANSFORMS[name]
    if library == "jax":                            # step by step it compiles every operation
        import jax
        f = jax.jit(f)
    expected, found = TRANSFORMS[name](u), f(there(u))
    assert np.array_equal(u, before) and type(found) is type(there(u)) and found.dtype == there(u).dtype
    scale = np.abs(expected).max()
    assert np.allclose(back(found), expected, rtol=0, atol=1e-13 * scale)
    z = f(there(u + 1j * u[::-1]))
    assert np.allclose(back(z), expected + 1j * TRANSFORMS[name](u[::-1]), rtol=0, atol=1e-13 * scale)


@every_transform
def test_dtypes(name):
    f, u = TRANSFORMS[name], np.round(signals(9) * 4)
    expected = f(u)
    scale = np.abs(expected).max()
    for dtype, eps in ((np.float16, 1e-3), (np.float32, 1e-7), (np.complex64, 1e-7)):
        found = f(u.astype(dtype))
        assert found.dtype == dtype and np.abs(found - expected).max() <= eps * scale
    assert np.allclose(f(u.astype(int)), expected) and f(u.astype(int)).dtype == float
    torch = pytest.importorskip("torch")
    found = f(torch.tensor(u, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16 and np.abs(found.float().numpy() - expected).max() <= 1e-2 * scale


@every_transform
def test_batches_and_empty_batches(name):
    f, u = TRANSFORMS[name], signals(10)
    together = f(u)
    assert np.allclose(together[1, 2], f(u[1, 2])) and together.shape[:2] == (2, 3)
    assert f(u[:0]).shape == (0, *together.shape[1:])


@every_transform
@pytest.mark.parametrize("scale", (2.0**-500, 2.0**500))
def test_units(name, scale):
    u = signals(11)
    with np.errstate(all="raise"):
        assert np.array_equal(TRANSFORMS[name](u * scale), TRANSFORMS[name](u) * scale)


# --- derivatives and tracing


@every_transform
def test_gradients(name):
    torch = pytest.importorskip("torch")
    u = torch.tensor(signals(12, (2, 9)), requires_grad=True)
    assert torch.autograd.gradcheck(TRANSFORMS[name], u)


def test_gradients_of_parameters():
    torch = pytest.importorskip("torch")
    v, s, dt = (torch.tensor(a, requires_grad=True, dtype=torch.float64) for a in (signals(13, (2, 6)), [0.0, 0.3, 0.5, 0.9, 1.0], 0.4))
    assert torch.autograd.gradcheck(legs_solve, (v, dt))
    inside = torch.tensor([0.2, 0.5, 0.8], requires_grad=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(legendre_reconstruct, (v, inside))
    legendre_reconstruct(v, s).sum().backward()
    assert torch.isfinite(s.grad).all()
    A, B = (torch.tensor(M, requires_grad=True) for M in system())
    for method in ("zoh", "bilinear", "forward", "backward"):
        assert torch.autograd.gradcheck(lambda A, B, dt, method=method: discretize(A, B, dt, method), (A, B, dt))


@every_transform
def test_traced(name):
    jax = pytest.importorskip("jax")
    LIBRARIES["jax"]
    f, u = TRANSFORMS[name], signals(14, (3, 10))
    expected = f(u)
    assert np.allclose(jax.jit(jax.vmap(f))(jax.numpy.asarray(u)), expected)


def test_a_traced_count():
    jax = pytest.importorskip("jax")
    LIBRARIES["jax"]
    u = jax.numpy.asarray(signals(15, 60)).reshape(6, 10)

    def step(state, block):
        x, count = legs_update(*state, block)
        return (x, count), x

    (x, count), states = jax.lax.scan(step, (jax.numpy.zeros(5), 0), u)
    assert int(count) == 60
    assert np.allclose(states, legs_stream(np.asarray(u).ravel(), 5, block=10), rtol=0, atol=1e-13)
    solve = jax.jit(jax.grad(lambda lam: legs_solve(u[0], lam).sum()))
    assert np.isfinite(solve(0.3))


@pytest.mark.parametrize("name", ("project", "update", "stream", "matvec", "solve", "reconstruct"))
def test_compiled(name):
    torch = pytest.importorskip("torch")
    f, u = TRANSFORMS[name], torch.tensor(signals(16, (3, 20)))
    compiled = torch.compile(f, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(u), f(u), rtol=0, atol=1e-13)
    assert torch.allclose(torch.func.vmap(f)(u), f(u), rtol=0, atol=1e-13)


# --- cost


def test_memory():
    """O(N^2 + N block) beside the signal and the result: no L x N table."""
    u = signals(17, 200_000)
    for call, limit in ((lambda: legs_project(u, 64), 2e7), (lambda: legs_stream(u, 64, block=1000), 2e7)):
        call()
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < limit, peak                                  # a table would take 1e8


# --- what is refused


@pytest.mark.parametrize("call, kind, says", (
    (lambda: hippo_legs(0), ValueError, "N is 0; allowed is an integer from 1"),
    (lambda: hippo_legs(2.5), TypeError, "N is 2.5; allowed is an integer from 1"),
    (lambda: hippo_legt(3, 0), ValueError, "window is 0; allowed is a number with 0 < window < inf"),
    (lambda: hippo_legt(3, "wide"), TypeError, "window is 'wide'; allowed"),
    (lambda: hippo_legt(-1), ValueError, "N is -1; allowed"),
    (lambda: hippo_fourier(3, -1.0), ValueError, "window is -1.0; allowed"),
    (lambda: hippo_fourier(3, math.inf), ValueError, "window is inf; allowed"),
    (lambda: hippo_fourier(True), TypeError, "N is True; allowed"),
    (lambda: legs_project([], 3), ValueError, r"u has shape \(0,\); allowed is at least one sample"),
    (lambda: legs_project(1.0, 3), ValueError, r"u has shape \(\); allowed are at least 1 axes"),
    (lambda: legs_project([1.0, math.nan], 3), ValueError, "u contains 1 NaN and 0 Inf"),
    (lambda: legs_project([1.0], 0), ValueError, "N is 0; allowed"),
    (lambda: legs_project(["a"], 3), TypeError, "u has dtype"),
    (lambda: legs_update(np.zeros(3), 0, []), ValueError, r"block has shape \(0,\); allowed is at least one sample"),
    (lambda: legs_update(np.zeros(3), -1, [1.0]), ValueError, "count is -1; allowed is an integer from 0"),
    (lambda: legs_update(np.zeros(3), 1.5, [1.0]), TypeError, "count is 1.5; allowed"),
    (lambda: legs_update(np.zeros(0), 1, [1.0]), ValueError, "at least one coefficient"),
    (lambda: legs_update(np.zeros((2, 3)), 1, np.zeros((4, 5))), ValueError, "block has shape .4, 5.; allowed are leading axes"),
    (lambda: legs_update(np.full(3, math.inf), 1, [1.0]), ValueError, "x contains 0 NaN and 3 Inf"),
    (lambda: legs_stream([1.0], 3, method="euler"), ValueError, "method is 'euler'; allowed are 'exact', 'bilinear'"),
    (lambda: legs_stream([1.0], 3, block=0), ValueError, "block is 0; allowed is an integer from 1"),
    (lambda: legs_stream([], 3), ValueError, "at least one sample"),
    (lambda: legendre_reconstruct([1.0], [0.5, 1.5]), ValueError, "s has values from 0.5 to 1.5; allowed"),
    (lambda: legendre_reconstruct([1.0], [math.nan]), ValueError, "s contains 1 NaN"),
    (lambda: legs_solve([1.0], -0.1), ValueError, "lam is -0.1; allowed is a number with 0 <= lam < inf"),
    (lambda: legs_solve([1.0], "a"), TypeError, "lam is 'a'; allowed"),
    (lambda: legs_matvec(1.0), ValueError, "x has shape"),
    (lambda: discretize(np.eye(3), np.ones(3), 0), ValueError, "dt is 0; allowed is a number with 0 < dt < inf"),
    (lambda: discretize(np.eye(3), np.ones(3), 1.0, "euler"), ValueError, "method is 'euler'; allowed are 'zoh'"),
    (lambda: discretize(np.ones((2, 3)), np.ones(2), 1.0), ValueError, "A has shape .2, 3.; allowed is a square"),
    (lambda: discretize(np.eye(3), np.ones(4), 1.0), ValueError, r"B has shape \(4,\); allowed is \(3,\)"),
    (lambda: discretize(np.eye(3), np.ones((1, 3)), 1.0), ValueError, "B has shape .1, 3.; allowed"),
    (lambda: discretize(np.ones(3), np.ones(3), 1.0), ValueError, r"A has shape \(3,\); allowed are at least 2 axes"),
))
def test_refusals(call, kind, says):
    with pytest.raises(kind, match=says):
        call()


def test_one_library():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="block is a Tensor and x is a ndarray; both must belong to one"):
        legs_update(np.zeros(3), 0, torch.ones(3))
    with pytest.raises(TypeError, match="B is a ndarray and A is a Tensor; both must belong to one"):
        discretize(torch.eye(3), np.ones(3), 0.1)

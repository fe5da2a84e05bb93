"""Attention from landmarks: cores, libraries, masks and padding, landmarks, derivatives, cost, the estimate of the error, refusals."""

import tracemalloc

import numpy as np
import pytest

from lowrank import NystromFactors, attention_error, attention_matrix, nystrom_attention
from tests.properties.libraries import LIBRARIES, every_library, every_library_in, needs

CORES = {"inverse": {}, "fitted": {"rng": 0}, "steps": {}}
every_core = pytest.mark.parametrize("core", CORES)


def tokens(*shape, seed=0, count=3):
    return np.random.default_rng(seed).standard_normal((count, *shape))


def relative(X, Y):
    return np.linalg.norm(X - Y) / np.linalg.norm(Y)


def means(X, m):
    return np.stack([part.mean(axis=-2) for part in np.array_split(X, m, axis=-2)], axis=-2)


def by_definition(Q, K, V, m, core="inverse"):
    """In double precision, with NumPy alone."""
    Q, K, V = (X.astype(float) for X in (Q, K, V))
    q, k = means(Q, m), means(K, m)
    C, W, R = attention_matrix(Q, k), attention_matrix(q, k), attention_matrix(q, K)
    if core == "inverse":
        return C @ np.linalg.pinv(W, rcond=1e-13) @ R @ V
    if core == "steps":
        top = np.abs(W).sum(axis=-1).max(axis=-1) * np.abs(W).sum(axis=-2).max(axis=-1)
        Z, I = W.mT / top[..., None, None], np.eye(m)
        for _ in range(6):
            X = W @ Z
            Z = Z @ (13 * I - X @ (15 * I - X @ (7 * I - X))) / 4
        return C @ Z @ R @ V
    rows = np.sort(np.random.default_rng(0).permutation(Q.shape[-2])[:4 * m])
    A = attention_matrix(Q, K)
    return C @ np.linalg.pinv(C[..., rows, :]) @ A[..., rows, :] @ np.linalg.pinv(R) @ R @ V


@every_library_in(np.float32, np.float64, of_jax=[np.float32])
@every_core
def test_every_library_and_dtype(library, core, dtype):
    convert, back = LIBRARIES[library]
    Q, K, V = tokens(2, 3, 26, 4).astype(dtype)
    Y, factors = nystrom_attention(*map(convert, (Q, K, V)), 4, core=core, return_factors=True, **CORES[core])
    assert type(Y) is type(convert(Q)) and back(Y).dtype == dtype and isinstance(factors, NystromFactors)
    np.testing.assert_allclose(back(Y), by_definition(Q, K, V, 4, core), atol=1e-9 if dtype == np.float64 else 0.02)
    C, Z, R = map(back, factors)
    assert C.dtype == Z.dtype == R.dtype == dtype
    np.testing.assert_allclose(C @ Z @ R @ V, back(Y), atol=1e-9 if dtype == np.float64 else 0.02)
    given = attention_error(*map(convert, (Q, K, V)), Y, n_probe=26)
    exact = attention_matrix(Q.astype(float), K.astype(float)) @ V
    for i in np.ndindex(2, 3):
        assert np.isclose(back(given.error)[i], np.linalg.norm(back(Y)[i] - exact[i]), rtol=1e-4)
        assert np.isclose(back(given.relative)[i], relative(back(Y)[i], exact[i]), rtol=1e-4)
        assert back(given.bound)[i] == back(given.error)[i]


def test_reference_values():
    t = np.arange(12)
    Q, K = (np.column_stack([np.cos(x), np.sin(x)]) for x in (0.5 * t, 0.3 * t + 0.2))
    V = t[:, None] / 11
    np.testing.assert_allclose(nystrom_attention(Q, K, V, 3)[[0, 5, 11], 0], [0.351935693062, 0.582366430362, 0.417848361964], rtol=1e-10)
    np.testing.assert_allclose((attention_matrix(Q, K) @ V)[[0, 5, 11], 0], [0.343872732904, 0.582499368242, 0.407419634937], rtol=1e-10)
    assert np.isclose(np.linalg.cond(attention_matrix(means(Q, 3), means(K, 3))), 10.18, rtol=1e-3)


def test_smooth_tokens_do_not_lead_to_guesses():
    """C and R have values down to round-off: what the default takes for zero would be directions made of noise."""
    t = np.arange(500) / 500
    Q, K = np.column_stack([np.cos(3 * t), np.sin(3 * t), t]), np.column_stack([np.cos(2 * t + 0.2), np.sin(2 * t), 1 - t])
    V = tokens(500, 4)[0]
    exact = attention_matrix(Q, K) @ V
    error = lambda dtype, **options: max(
        relative(nystrom_attention(*(X.astype(dtype) for X in (Q, K, V)), 32, core="fitted", rng=seed, **options), exact) for seed in range(4))
    assert error(np.float64) < 1e-6 and error(np.float32) < 1e-3 < 0.01 < error(np.float64, rtol=1e-26)


@pytest.mark.parametrize("scale", [0.3, 1.0])
@pytest.mark.parametrize("m", [64, 128])
def test_the_fitted_core_is_nearly_optimal(scale, m):
    Q, K, V = tokens(512, 64, seed=m)
    Q, K = scale * Q, scale * K
    exact = attention_matrix(Q, K) @ V
    error = lambda rows: relative(nystrom_attention(Q, K, V, m, core="fitted", rows=rows, rng=1), exact)
    assert error(None) <= 1.1 * error(512)


@pytest.mark.parametrize("h", [1.0, 0.3, 0.1, 0.03])
def test_the_fitted_core_does_not_blow_up_where_attention_is_sharp(h):
    """Where rows that see a landmark were not drawn, least squares alone guess, up to errors of 1e4."""
    X = tokens(300, 8, count=1)[0]
    Q = np.hstack([X, np.ones((300, 1))]) / h
    K = np.hstack([X, -np.sum(X**2, axis=1, keepdims=True) / 2]) / h
    V, exact = X, attention_matrix(Q, K, scale=1.0) @ X
    for seed in range(3):
        assert relative(nystrom_attention(Q, K, V, 40, scale=1.0, core="fitted", rng=seed), exact) < 1.3


def test_smooth_tokens_to_many_digits():
    position = np.linspace(0, 1, 512)[:, None]
    rng = np.random.default_rng(1)
    basis = np.cos(np.pi * np.arange(1, 7) * position + rng.uniform(0, 6, 6))
    Q, K, V = (size * basis @ rng.standard_normal((6, 64)) for size in (0.5, 0.5, 1))
    exact = attention_matrix(Q, K) @ V
    assert relative(nystrom_attention(Q, K, V, 64, core="fitted", rng=0), exact) < 1e-6
    single = nystrom_attention(*(X.astype(np.float32) for X in (Q, K, V)), 64, core="fitted", rng=0)
    assert relative(single, exact) < 1e-3


@every_core
def test_every_matrix_of_a_stack_is_on_its_own(core):
    Q, K, V = tokens(5, 40, 3)
    Q[3] *= 100
    Y = nystrom_attention(Q, K, V, 6, core=core, **CORES[core])
    for i in range(5):
        np.testing.assert_allclose(Y[i], nystrom_attention(Q[i], K[i], V[i], 6, core=core, **CORES[core]), rtol=1e-6, atol=1e-8)


@every_library
@every_core
def test_padding_has_no_influence(library, core):
    convert, back = LIBRARIES[library]
    Q, K, V = tokens(30, 4)
    mask = np.arange(30) < 22
    mask[5] = False
    results = []
    for filler in (0.0, 1.0, -50.0):
        for X in (Q, K, V):
            X[~mask] = filler
        Y = nystrom_attention(*map(convert, (Q, K, V)), 4, core=core, mask=convert(mask), **CORES[core])
        assert np.isfinite(back(Y)).all()
        results.append(back(Y)[mask])
    np.testing.assert_allclose(results[1], results[0], atol=1e-10)
    np.testing.assert_allclose(results[2], results[0], atol=1e-10)
    if core != "fitted":                                        # whose rows are drawn from all
        np.testing.assert_allclose(results[0], nystrom_attention(Q[mask], K[mask], V[mask], 4, core=core), atol=1e-10)


def test_a_mask_that_hides_nothing_changes_nothing():
    Q, K, V = tokens(2, 23, 4)
    for core, options in CORES.items():
        plain, masked = (nystrom_attention(Q, K, V, 5, core=core, mask=mask, **options) for mask in (None, np.ones(23, bool)))
        np.testing.assert_allclose(masked, plain, atol=1e-10)
    few = np.zeros((2, 23), bool)
    few[0, :3] = few[1, 7:] = True                                      # fewer keys than landmarks
    Y = nystrom_attention(Q, K, V, 5, mask=few)
    exact = attention_matrix(Q, K, mask=few[:, None, :]) @ V
    assert np.isfinite(Y).all()
    np.testing.assert_allclose(Y[0, :3], exact[0, :3], atol=1e-9)         # they are their own landmarks


def test_landmarks_that_are_tokens():
    Q, K, V = tokens(20, 3)
    I, J = [0, 4, 9, 15], np.array([1, 2, 3, 19])
    Y = nystrom_attention(Q, K, V, (I, J))
    np.testing.assert_allclose(Y[I], (attention_matrix(Q, K) @ V)[I], atol=1e-8)
    assert nystrom_attention(Q, K, V, ([1, 2, 3], [5, 6])).shape == (20, 3)
    every = np.arange(20)
    np.testing.assert_allclose(nystrom_attention(Q, K, V, (every, every)), attention_matrix(Q, K) @ V, atol=1e-8)


@pytest.mark.parametrize("n, n_k, m", [(7, 7, 3), (9, 5, 5), (5, 11, 1), (1, 1, 1), (12, 12, 12)])
def test_shapes_and_uneven_segments(n, n_k, m):
    rng = np.random.default_rng(0)
    Q, K, V = rng.standard_normal((n, 4)), rng.standard_normal((n_k, 4)), rng.standard_normal((n_k, 2))
    for core in CORES:
        Y = nystrom_attention(Q, K, V, m, core=core, **CORES[core])
        assert Y.shape == (n, 2) and np.isfinite(Y).all()
    np.testing.assert_allclose(nystrom_attention(Q, K, V, m), by_definition(Q, K, V, m), atol=1e-8)


def test_sums_of_rows():
    Q, K, _ = tokens(50, 8)
    ones = np.ones((50, 1))
    np.testing.assert_allclose(nystrom_attention(Q, K, ones, 5), ones, atol=1e-9)
    assert np.abs(nystrom_attention(Q, K, ones, 5, core="steps") - 1).max() > 1e-4


def test_units_and_error_states():
    Q, K, V = tokens(40, 4)
    for core in CORES:
        Y = nystrom_attention(Q, K, V, 5, core=core, **CORES[core])
        for unit in (1e-150, 1e150):
            with np.errstate(all="raise"):
                np.testing.assert_allclose(nystrom_attention(unit * Q, K / unit, unit * V, 5, core=core, **CORES[core]) / unit, Y, rtol=1e-6, atol=1e-9)
                found = attention_error(unit * Q, K / unit, unit * V, unit * Y, rng=0)
            np.testing.assert_allclose([found.error / unit, found.relative], attention_error(Q, K, V, Y, rng=0)[1::-1], rtol=1e-9)


def test_halves():
    Q, K, V = tokens(64, 8).astype(np.float16)
    exact = attention_matrix(Q.astype(float), K.astype(float)) @ V
    Y = nystrom_attention(Q, K, V, 8, core="fitted", rng=0)
    assert Y.dtype == np.float16 and relative(Y, nystrom_attention(*(X.astype(float) for X in (Q, K, V)), 8, core="fitted", rng=0)) < 2e-3
    assert attention_error(Q, K, V, Y, n_probe=64).error.dtype == np.float16
    assert np.isclose(attention_error(Q, K, V, Y, n_probe=64).relative, relative(Y, exact), rtol=1e-2)
    torch = pytest.importorskip("torch")
    q, k, v = (torch.tensor(X).to(torch.bfloat16) for X in (Q, K, V))
    assert nystrom_attention(q, k, v, 8, core="fitted", rng=0).dtype == torch.bfloat16


def test_empty_stacks():
    Q, K, V = np.zeros((0, 6, 3)), np.zeros((0, 5, 3)), np.zeros((0, 5, 2))
    for core in CORES:
        assert nystrom_attention(Q, K, V, 2, core=core, **CORES[core]).shape == (0, 6, 2)
    assert attention_error(Q, K, V, np.zeros((0, 6, 2))).error.shape == (0,)
    assert nystrom_attention(*tokens(6, 3)[:2], np.zeros((6, 0)), 2).shape == (6, 0)


def test_leading_axes_broadcast():
    Q, K, V = tokens(4, 1, 12, 2)[0], tokens(3, 12, 2)[1], tokens(12, 5)[2]
    Y = nystrom_attention(Q, K, V, 3)
    assert Y.shape == (4, 3, 12, 5)
    np.testing.assert_allclose(Y[2, 1], nystrom_attention(Q[2, 0], K[1], V, 3), atol=1e-10)
    assert attention_error(Q, K, V, Y, rng=0).error.shape == (4, 3)


def test_inputs_stay_and_seeds_decide():
    Q, K, V = tokens(50, 4)
    kept = [X.copy() for X in (Q, K, V)]
    first, again, other = (nystrom_attention(Q, K, V, 5, core="fitted", rng=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    rows = np.sort(np.random.default_rng(1).permutation(50)[:20])
    assert np.array_equal(first, nystrom_attention(Q, K, V, 5, core="fitted", rows=rows))
    assert all(map(np.array_equal, (Q, K, V), kept))
    generator = np.random.default_rng(7)
    attention_error(Q, K, V, first, rng=generator)
    assert not np.array_equal(generator.random(3), np.random.default_rng(7).random(3))


def test_memory_is_linear():
    peaks = []
    for n in (4000, 8000):
        Q, K, V = tokens(n, 8).astype(np.float32)
        tracemalloc.start()
        nystrom_attention(Q, K, V, 16, core="fitted", rng=0)
        attention_error(Q, K, V, V, rng=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.3 * peaks[0] and peaks[1] < 8000**2


def test_the_bound_holds_and_the_estimate_is_near():
    Q, K, V = tokens(400, 16)
    Y = nystrom_attention(Q, K, V, 20, core="fitted", rng=0)
    true = np.linalg.norm(attention_matrix(Q, K) @ V - Y)
    found = [attention_error(Q, K, V, Y, rng=seed) for seed in range(50)]
    assert all(f.bound >= true and f.confidence == 0.95 for f in found)
    assert max(abs(f.error / true - 1) for f in found) < 0.3
    wide, narrow = (attention_error(Q, K, V, Y, rng=0, confidence=c).bound for c in (0.999, 0.5))
    assert wide > narrow > attention_error(Q, K, V, Y, rng=0).error
    assert attention_error(Q, K, V, attention_matrix(Q, K) @ V, rng=0).relative < 1e-12
    assert attention_error(Q, K, V, Y, n_probe=10_000).error == pytest.approx(true)
    zero = attention_error(Q, K, 0 * V, 0 * V, rng=0)
    assert zero.error == zero.relative == zero.bound == 0


def test_the_estimate_does_not_count_padding():
    Q, K, V = tokens(2, 60, 4)
    mask = np.stack([np.arange(60) < 40, np.arange(60) < 60])
    Y = nystrom_attention(Q, K, V, 5, core="fitted", mask=mask, rng=0)
    exact = attention_matrix(Q, K, mask=mask[:, None, :]) @ V
    true = [np.linalg.norm((Y - exact)[i][mask[i]]) for i in range(2)]
    for filler in (0.0, 1e6):
        for X in (Q, K, V, Y):
            X[~mask] = filler
        found = attention_error(Q, K, V, Y, n_probe=60, mask=mask)
        np.testing.assert_allclose(found.error, true, rtol=1e-9)
        few = attention_error(Q, K, V, Y, n_probe=30, mask=mask, rng=1)
        assert np.all(few.bound > true) and np.all(few.bound < 100) and np.all(np.abs(few.error / true - 1) < 0.5)


Q, K, V = tokens(6, 3)
REFUSED = [
    (lambda: nystrom_attention(Q, K, V, 7), ValueError, "landmarks is 7; allowed is an integer from 1 to 6 for 6 queries, 6 keys"),
    (lambda: nystrom_attention(Q, K, V, 0), ValueError, "landmarks is 0; allowed is an integer from 1"),
    (lambda: nystrom_attention(Q, K, V, 2.0), TypeError, "landmarks is 2.0"),
    (lambda: nystrom_attention(Q, K, V, ([0], [1], [2])), ValueError, "landmarks has 3 parts; allowed is an integer, or a pair"),
    (lambda: nystrom_attention(Q, K, V, ([0, 6], [1, 2])), ValueError, r"landmarks\[0\] is \[0, 6\]; allowed are distinct integers from 0 to 5"),
    (lambda: nystrom_attention(Q, K, V, 2, causal=True), ValueError, "causal is True; allowed is False: landmarks are means over later tokens"),
    (lambda: nystrom_attention(Q, K, V, 2, core="svd"), ValueError, "core is 'svd'; allowed are 'inverse', 'fitted', 'steps'"),
    (lambda: nystrom_attention(Q, K, V, 2, steps=3), ValueError, "steps is 3; core='inverse' does not take it"),
    (lambda: nystrom_attention(Q, K, V, 2, rows=3), ValueError, "rows is 3; core='inverse' does not take it"),
    (lambda: nystrom_attention(Q, K, V, 2, core="steps", rng=3), ValueError, "rng is 3; core='steps' does not take it"),
    (lambda: nystrom_attention(Q, K, V, 2, core="steps", rtol=0.1), ValueError, "rtol is 0.1; core='steps' does not take it"),
    (lambda: nystrom_attention(Q, K, V, 2, core="steps", steps=-1), ValueError, "steps is -1; allowed is an integer from 0"),
    (lambda: nystrom_attention(Q, K, V, 2, rtol=1.0), ValueError, "rtol is 1.0"),
    (lambda: nystrom_attention(Q, K, V, 2, core="fitted", rtol=-1), ValueError, "rtol is -1"),
    (lambda: nystrom_attention(Q, K, V, 2, core="fitted", rows=7), ValueError, "rows is 7; allowed is an integer from 1 to 6"),
    (lambda: nystrom_attention(Q, K, V, 2, core="fitted", rows=[0, 0]), ValueError, r"rows is \[0, 0\]; allowed are distinct integers"),
    (lambda: nystrom_attention(Q, K, V[:5], 2), ValueError, r"V has shape \(5, 3\) and K \(6, 3\); allowed are as many values as keys"),
    (lambda: nystrom_attention(Q, K[:, :2], V, 2), ValueError, "allowed are equal last axes"),
    (lambda: nystrom_attention(Q, K, V * np.nan, 2), ValueError, "V contains 18 NaN"),
    (lambda: nystrom_attention(Q, K, V * 1j, 2), TypeError, "V has dtype complex128; allowed are real numbers"),
    (lambda: nystrom_attention(Q, K, V, 2, scale=-1.0), ValueError, "scale is -1.0"),
    (lambda: nystrom_attention(Q, K, V, 2, mask=np.ones((6, 6), bool)), ValueError, r"mask has shape \(6, 6\); allowed is what broadcasts to \(6,\): True for a key that all queries see"),
    (lambda: nystrom_attention(Q, K, V, 2, mask=np.zeros(6, bool)), ValueError, "mask leaves no key for some sequences"),
    (lambda: nystrom_attention(Q, K, V, 2, mask=np.ones(6)), TypeError, "mask has dtype float64; allowed is bool"),
    (lambda: attention_error(Q, K, V, V[:5]), ValueError, r"Y has shape \(5, 3\); allowed is \(6, 3\)"),
    (lambda: attention_error(Q, K, V, V, n_probe=0), ValueError, "n_probe is 0; allowed is an integer from 1"),
    (lambda: attention_error(Q, K, V, V, confidence=1.0), ValueError, "confidence is 1.0; allowed is a number with 0 < confidence < 1"),
    (lambda: attention_error(Q[:0], K, V, V[:0]), ValueError, r"Q has shape \(0, 3\); allowed is at least one query"),
    (lambda: attention_error(Q, K, V[:5], V), ValueError, "as many values as keys"),
]


@pytest.mark.parametrize("call, kind, message", REFUSED)
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@needs("torch")
@every_core
def test_gradients_in_torch(core):
    import torch
    q, k, v = (torch.tensor(X, requires_grad=True) for X in tokens(2, 9, 2))
    mask = torch.tensor([True] * 8 + [False])
    for options in ({}, {"mask": mask}):
        f = lambda q, k, v: nystrom_attention(q, k, v, 3, core=core, **CORES[core], **options)
        assert torch.autograd.gradcheck(f, (q, k, v), atol=1e-5, rtol=1e-4)


@needs("torch")
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_gradients_through_a_cut_among_distinct_values(kept):
    """Kept values move against those that are cut: half of the derivative, where both are of one size."""
    import torch
    Q, K, V = 2 * tokens(1, 12, 3)[:, 0]
    s = np.linalg.svd(attention_matrix(means(Q, 4), means(K, 4)), compute_uv=False)
    assert s[3] > 1e-2 * s[0]
    given = [torch.tensor(X, requires_grad=True) for X in (Q, K, V)]
    f = lambda q, k, v: nystrom_attention(q, k, v, 4, rtol=(s[kept - 1] * s[kept])**0.5 / s[0])
    assert torch.autograd.gradcheck(f, given, check_forward_ad=True)


@needs("torch")
@every_core
def test_gradients_are_finite_for_equal_tokens(core):
    """W, C and R have rank 1, and all their other singular values are 0 or round-off."""
    import torch
    for X in (np.ones((8, 3)), np.zeros((8, 3))):
        q, k, v = (torch.tensor(X, requires_grad=True) for _ in range(3))
        nystrom_attention(q, k, v, 4, core=core, **CORES[core]).sum().backward()
        assert all(torch.isfinite(x.grad).all() for x in (q, k, v))


@needs("torch")
@every_core
def test_transforms_of_torch(core):
    import torch
    torch.compiler.reset()
    stack = tuple(map(torch.tensor, tokens(3, 16, 4)))
    f = lambda q, k, v: nystrom_attention(q, k, v, 4, core=core, **CORES[core])
    expected = f(*stack)
    torch.testing.assert_close(torch.func.vmap(f)(*stack), expected)
    torch.testing.assert_close(torch.compile(f, fullgraph=True, backend="eager")(*stack), expected)


@needs("jax")
@every_core
def test_transforms_of_jax(core):
    import jax
    convert, back = LIBRARIES["jax"]
    given = tokens(3, 16, 4)
    f = lambda q, k, v: nystrom_attention(q, k, v, 4, core=core, mask=convert(np.arange(16) < 14), **CORES[core])
    expected = nystrom_attention(*given, 4, core=core, mask=np.arange(16) < 14, **CORES[core])
    np.testing.assert_allclose(back(jax.jit(jax.vmap(f))(*map(convert, given))), expected, atol=1e-9)
    q, k, v = (convert(X[0]) for X in given)
    E = tokens(16, 4, seed=5)[0]
    total = lambda q: (f(q, k, v) ** 2).sum()
    g = back(jax.jit(jax.grad(total))(q))
    difference = (total(q + 1e-6 * E) - total(q - 1e-6 * E)) / 2e-6
    assert np.isclose(np.vdot(g, E), difference, rtol=1e-5)
    found = jax.jit(lambda q, Y: attention_error(q, k, v, Y, rng=0).error)(q, v)
    assert np.isclose(found, attention_error(given[0][0], given[1][0], given[2][0], given[2][0], rng=0).error)

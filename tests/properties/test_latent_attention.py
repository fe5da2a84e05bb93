"""Latent attention: both forms and the cache agree, factors are exact or best, dtypes, libraries, scales, derivatives, refusals, cost."""

import math

import numpy as np
import pytest

from lowrank.latent_attention import (
    joint_kv_compress,
    kv_cache_per_token,
    kv_factors_of_gqa,
    mla_attention,
    mla_cache,
    mla_decode,
)
from lowrank.rope import rope_frequencies, rope_rotate
from tests.properties.libraries import LIBRARIES, needs
from tests.properties.matrices import eps

torch_only, jax_only = needs("torch"), needs("jax")
REAL = (np.float32, np.float64)


def drawn(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def layer(h=4, g=2, N=5, d=6, r=4, d_k=3, d_v=2, d_r=4, lead=(), dtype=float):
    """Arguments of mla_attention, and its rotated part."""
    shapes = (*lead, N, d), (h, d, d_k), (d, r), (g, r, d_k), (g, r, d_v), (h, d, d_r), (d, d_r)
    *arrays, Wqr, Wkr = (drawn(seed, *shape, dtype=dtype) for seed, shape in enumerate(shapes))
    return arrays, {"Wqr": Wqr, "Wkr": Wkr}


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def plain(X, Wq, D, Uk, Uv, Wqr=None, Wkr=None, positions=None, freqs=None, causal=True, scale=None):
    """By einsum, in double precision, with repeated groups."""
    X, Wq, D, Uk, Uv = (np.asarray(x, float) for x in (X, Wq, D, Uk, Uv))
    h, n = len(Wq), X.shape[-2]
    K, V = (np.repeat(np.einsum("...nd,dr,grk->...gnk", X, D, U), h // len(U), axis=-3) for U in (Uk, Uv))
    S, width = np.einsum("...nd,hdk,...hmk->...hnm", X, Wq, K), Wq.shape[-1]
    if Wqr is not None:
        freqs = rope_frequencies(Wkr.shape[1]) if freqs is None else freqs
        angles = np.asarray(np.arange(n) if positions is None else positions, float)[..., None] * freqs
        turn = lambda Y, a: ((Y[..., ::2] + 1j * Y[..., 1::2]) * np.exp(1j * a))
        q = turn(np.einsum("...nd,hdk->...hnk", X, np.asarray(Wqr, float)), angles[..., None, :, :] if angles.ndim > 2 else angles)
        k = turn(X @ np.asarray(Wkr, float), angles)
        S, width = S + np.einsum("...hnk,...mk->...hnm", q, k.conj()).real, width + Wqr.shape[-1]
    S = S * (width**-0.5 if scale is None else scale)
    return softmax(np.where(np.tril(np.ones((n, n), bool)), S, -np.inf) if causal else S) @ V


def joined(D, Uk, Uv):
    """D U, as one matrix."""
    return np.concatenate([np.concatenate([D @ U for U in F], axis=1) if F.ndim == 3 else D @ F for F in (Uk, Uv)], axis=1)


# --- numbers of a cache

def test_numbers_of_published_models():
    assert kv_cache_per_token("mha", heads=32, key_dim=128, layers=32) * 2 == 512 * 1024            # Llama 2 7B, in bytes
    assert kv_cache_per_token("gqa", heads=64, groups=8, key_dim=128, layers=80) * 2 == 320 * 1024  # Llama 3 70B
    assert kv_cache_per_token("mla", rank=512, rope_dim=64, layers=61) * 2 == 68.625 * 1024         # DeepSeek-V3
    assert kv_cache_per_token("mha", heads=128, key_dim=192, value_dim=128, layers=61) * 2 == 4880 * 1024
    assert kv_cache_per_token("mqa", heads=128, key_dim=128) == 256
    assert kv_cache_per_token("gqa", groups=2, key_dim=128) == kv_cache_per_token("shared", groups=2, key_dim=192, rope_dim=64) == 512
    assert kv_cache_per_token("shared", key_dim=512, rope_dim=64) == kv_cache_per_token("mla", heads=8, rank=512, rope_dim=64) == 576
    assert kv_cache_per_token("mla", rank=np.int64(4), layers=0) == 0 and type(kv_cache_per_token("mqa", key_dim=np.int32(3))) is int


@pytest.mark.parametrize("kind, given, error, words", [
    ("moe", {}, ValueError, "kind is 'moe'; allowed are 'mha', 'gqa', 'mqa', 'mla', 'shared'"),
    ("mha", {"heads": 4}, ValueError, "key_dim is None; kind='mha' needs an integer"),
    ("gqa", {"heads": 4, "key_dim": 2}, ValueError, "groups is None; kind='gqa' needs"),
    ("mla", {"rope_dim": 2}, ValueError, "rank is None; kind='mla' needs"),
    ("mha", {"heads": 4, "key_dim": 2, "rank": 3}, ValueError, "rank is 3; kind='mha' does not take it"),
    ("mqa", {"key_dim": 2, "rope_dim": 3}, ValueError, "rope_dim is 3; kind='mqa' does not take it"),
    ("gqa", {"heads": 4, "groups": 3, "key_dim": 2}, ValueError, "groups is 3 and heads is 4; allowed is a divisor"),
    ("mha", {"heads": 0, "key_dim": 2}, ValueError, "heads is 0; allowed is an integer from 1"),
    ("mla", {"rank": 4, "rope_dim": -1}, ValueError, "rope_dim is -1; allowed is an integer from 0"),
    ("mla", {"rank": 2.5}, TypeError, "rank is 2.5; allowed is an integer from 1"),
    ("mla", {"rank": 2, "layers": -1}, ValueError, "layers is -1"),
])
def test_refusals_of_counts(kind, given, error, words):
    with pytest.raises(error, match=words):
        kv_cache_per_token(kind, **given)


# --- attention

@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("lead", ((), (3,), (2, 3)))
@pytest.mark.parametrize("h, g", ((4, 2), (4, 4), (3, 1), (1, 1)))
def test_both_forms_are_attention(dtype, lead, h, g):
    args, rotated = layer(h, g, lead=lead, dtype=dtype)
    before = [x.copy() for x in args]
    for causal in (True, False):
        for more in ({}, rotated, rotated | {"positions": np.array([3, 4, 4.5, 9, 2]), "freqs": np.array([1.0, 0.3]), "scale": 0.7}):
            expected = plain(*args, causal=causal, **more)
            for absorb in (True, False):
                Y = mla_attention(*args, absorb, causal, **more)
                assert Y.dtype == dtype and Y.shape == (*lead, h, 5, 2)
                np.testing.assert_allclose(Y, expected, rtol=0, atol=500 * eps(Y))
    assert all(np.array_equal(x, y) for x, y in zip(args, before))


def test_positions_of_a_stack():
    args, rotated = layer(lead=(3,))
    positions = np.sort(np.random.default_rng(1).uniform(0, 50, (3, 5)), axis=1)
    Y = mla_attention(*args, positions=positions, **rotated)
    for i in range(3):
        np.testing.assert_allclose(Y[i], mla_attention(args[0][i], *args[1:], positions=positions[i], **rotated), rtol=0, atol=1e-12)
    np.testing.assert_allclose(mla_attention(*args, positions=positions + 77.25, **rotated), Y, rtol=0, atol=1e-11)
    cache = mla_cache(args[0], args[2], Wkr=rotated["Wkr"], positions=positions)
    freqs = rope_frequencies(4)
    q = [np.einsum("bd,hdk->bhk", args[0][:, -1], W) for W in (args[1], rotated["Wqr"])]
    turned = np.stack([rope_rotate(x, np.full(4, p[-1]), freqs) for x, p in zip(q[1], positions)])
    np.testing.assert_allclose(mla_decode(q[0], cache, *args[3:], q_rope=turned), Y[:, :, -1], rtol=0, atol=1e-12)


def test_steps_are_rows_and_outputs_are_mixed():
    args, rotated = layer(N=7)
    X, Wq, D, Uk, Uv = args
    Wo = drawn(9, 4, 2, 5)
    Y = mla_attention(*args, **rotated, Wo=Wo)
    np.testing.assert_allclose(Y, np.einsum("hnv,hvo->no", plain(*args, **rotated), Wo), rtol=0, atol=1e-12)
    cache, q_rope = mla_cache(X, D, Wkr=rotated["Wkr"]), rope_rotate(X @ rotated["Wqr"], np.arange(7), rope_frequencies(4))
    for i in range(7):
        y = mla_decode(X[i] @ Wq, cache[:i + 1], Uk, Uv, q_rope=q_rope[:, i], Wo=Wo)
        np.testing.assert_allclose(y, Y[i], rtol=0, atol=1e-12)
        seen = np.arange(7) <= i
        np.testing.assert_allclose(mla_decode(X[i] @ Wq, cache, Uk, Uv, q_rope=q_rope[:, i], Wo=Wo, mask=seen), y, rtol=0, atol=1e-12)
    batch = mla_decode(np.stack([X[i] @ Wq for i in (2, 6)]), cache, Uk, Uv, q_rope=q_rope[:, [2, 6]].swapaxes(0, 1),
                       Wo=Wo, mask=np.arange(7) <= np.array([[2], [6]]))
    np.testing.assert_allclose(batch, Y[[2, 6]], rtol=0, atol=1e-12)


def test_masks():
    args, _ = layer(lead=(2,))
    mask = np.random.default_rng(0).random((2, 4, 5, 5)) < 0.6
    mask |= np.eye(5, dtype=bool)
    S = np.einsum("bnd,hdk,gjk,ej,bme->bhgnm", args[0], args[1], args[3], args[2], args[0])
    S = np.stack([S[:, s, s // 2] for s in range(4)], axis=1) / 3**0.5
    for causal in (True, False):
        seen = mask & np.tril(np.ones((5, 5), bool)) if causal else mask
        A = softmax(np.where(seen, S, -np.inf))
        V = np.repeat(np.einsum("bnd,dr,grv->bgnv", args[0], args[2], args[4]), 2, axis=1)
        for absorb in (True, False):
            np.testing.assert_allclose(mla_attention(*args, absorb, causal, mask=mask), A @ V, rtol=0, atol=1e-12)
    padding = np.array([True, True, True, False, False])
    one = mla_attention(*args, causal=False, mask=padding)
    np.testing.assert_allclose(one[:, :, :3], mla_attention(args[0][:, :3], *args[1:], causal=False), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", (1e-150, 1e-30, 1e30, 1e150))
@pytest.mark.parametrize("absorb", (True, False))
def test_units(size, absorb):
    """Only products have to be in the range; a stack may have a unit for each of its matrices."""
    (X, Wq, D, Uk, Uv), rotated = layer(lead=(2,))
    expected = mla_attention(X, Wq, D, Uk, Uv, absorb, **rotated)
    turned = {"Wqr": rotated["Wqr"] / size, "Wkr": rotated["Wkr"] / size}
    with np.errstate(all="raise"):
        Y = mla_attention(X * size, Wq / size, D / size, Uk, Uv, absorb, **turned)
        np.testing.assert_allclose(Y, expected, rtol=1e-11, atol=1e-13)
        Y = mla_attention(X, Wq / size, D * size, Uk, Uv / size, absorb, **rotated)
        np.testing.assert_allclose(Y, expected, rtol=1e-11, atol=1e-13)
        units = np.array([1.0, size])[:, None, None]
        Y = mla_attention(X * units, Wq, D, Uk, Uv, absorb, **rotated)
    assert np.isfinite(Y).all()
    np.testing.assert_allclose(Y[0], expected[0], rtol=1e-12, atol=1e-13)
    if size > 1:                                                        # hard attention: a value, or a mean of those that tie
        V = np.repeat(X[1] @ D @ Uv, 2, axis=0) * size
        assert all(np.isclose(y, v, rtol=1e-12).all(-1).any() for y, v in zip(Y[1, :, -1], V))
    else:
        V = np.repeat(X[1] @ D @ Uv, 2, axis=0) * size
        np.testing.assert_allclose(Y[1, :, -1], V.mean(axis=-2), rtol=1e-12)


@pytest.mark.parametrize("size", (1e-150, 1e150))
def test_units_of_a_step(size):
    (X, Wq, D, Uk, Uv), _ = layer()
    cache, q = X @ D, X[-1] @ Wq
    expected = mla_decode(q, cache, Uk, Uv)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(mla_decode(q * size, cache / size, Uk, Uv * size), expected, rtol=1e-11, atol=1e-13)
        assert np.isfinite(mla_decode(q * size, cache, Uk, Uv)).all()
        np.testing.assert_allclose(mla_cache(X * size, D / size), cache, rtol=1e-12)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("library", ("strict", "torch"))                # JAX is below, compiled
def test_every_library_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    args, rotated = layer(dtype=dtype)
    Wk, Wv, T = drawn(1, 2, 6, 3, dtype=dtype), drawn(2, 2, 6, 2, dtype=dtype), drawn(3, 2, 9, 6, dtype=dtype)
    more = rotated if library != "strict" else {}
    check_calls(dtype, args, more, Wk, Wv, T, lambda calls: [tuple(map(back, as_tuple(f(*map(convert, given))))) for f, given in calls])


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def calls_of(args, rotated, Wk, Wv, T):
    """(function, arguments), with no keywords that are arrays."""
    X, Wq, D, Uk, Uv = args
    calls = [(lambda *a: mla_attention(*a, True), args), (lambda *a: mla_attention(*a, False), args),
             (mla_decode, (X[-1] @ Wq, X @ D, Uk, Uv)), (lambda *a: joint_kv_compress(*a[:2], 4, a[2]), (Wk, Wv, T)),
             (lambda *a: joint_kv_compress(*a, 2), (Wk[0], Wv[0])), (kv_factors_of_gqa, (Wk, Wv))]
    if rotated:
        calls += [(lambda *a: mla_attention(*a[:5], Wqr=a[5], Wkr=a[6]), (*args, *rotated.values())),
                  (lambda *a: mla_cache(*a[:2], Wkr=a[2]), (X, D, rotated["Wkr"]))]
    return calls


def check_calls(dtype, args, rotated, Wk, Wv, T, run):
    """What another library gives is what NumPy gives."""
    calls = calls_of(args, rotated, Wk, Wv, T)
    for (function, given), found in zip(calls, run(calls), strict=True):
        expected = as_tuple(function(*given))
        assert {x.dtype for x in (*found, *expected)} == {np.dtype(dtype)}
        if len(found) == 3:
            found, expected = [joined(*found)], [joined(*expected)]
        np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=300 * eps(expected[0]))


def test_kinds_of_input():
    args, _ = layer()
    half = [x.astype(np.float16) for x in args]
    Y = mla_attention(*half)
    assert Y.dtype == np.float16
    np.testing.assert_allclose(Y, mla_attention(*(x.astype(float) for x in half)), rtol=2e-3, atol=2e-3)
    y = mla_decode((half[0] @ half[1])[:, -1], half[0] @ half[2], *half[3:])
    assert y.dtype == np.float16 and np.allclose(y, Y[:, -1], atol=2e-2)
    assert joint_kv_compress(half[1], half[1], 2)[0].dtype == np.float16
    whole = [np.round(3 * x).astype(int) for x in args]
    assert mla_attention(*(x.tolist() for x in whole)).dtype == float
    assert mla_attention(*args[:4], args[4].astype(np.float32)).dtype == float
    one = mla_attention([[2.0]], [[[1.0]]], [[3.0]], [[[1.0]]], [[[5.0]]])
    assert one.tolist() == [[[30.0]]]
    assert mla_attention(np.zeros((0, 5, 6)), *args[1:]).shape == (0, 4, 5, 2)
    assert not mla_attention(0 * args[0], *args[1:]).any()


# --- factors

def test_reference_values():
    Wk, Wv = np.array([[1.0, 0], [0, 1], [1, 1], [2, 0]]), np.array([[0.0, 1], [1, 0], [1, -1], [0, 2]])
    X, M = np.array([[1.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0.5, 0], [1, 1, 0, 0]]), np.hstack([Wk, Wv])
    for r, data, error in ((1, None, math.hypot(2.288245611271, 0.874032048898)), (2, None, 0.874032048898), (3, None, 0), (1, X, 1.977890333637),
                           (2, X, 0.686944165131), (4, X, 0)):
        found = M - joined(*joint_kv_compress(Wk, Wv, r, data))
        assert np.linalg.norm(found if data is None else data @ found) == pytest.approx(error, abs=1e-10)
    plain_error = np.linalg.norm(X @ (M - joined(*joint_kv_compress(Wk, Wv, 1))))
    assert plain_error == pytest.approx(3.316624790355, abs=1e-10)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("tokens", (None, 3, 8, 50))
@pytest.mark.parametrize("weight", (1.0, 10.0))
def test_error_is_that_of_the_theorem(dtype, tokens, weight):
    Wk, Wv = drawn(0, 2, 8, 3, dtype=dtype), drawn(1, 2, 8, 2, dtype=dtype)
    X = None if tokens is None else drawn(2, tokens, 8, dtype=dtype)
    before = [x.copy() for x in (Wk, Wv)]
    both = np.concatenate([*Wk, *Wv], axis=1).astype(float) * np.repeat([1.0, weight], [6, 4])
    T = np.eye(8) if X is None else X.astype(float)
    for r in range(1, 9):
        D, Uk, Uv = joint_kv_compress(Wk, Wv, r, X, value_weight=weight)
        assert D.shape == (8, r) and Uk.shape == (2, r, 3) and Uv.shape == (2, r, 2) and D.dtype == Uk.dtype == Uv.dtype == dtype
        E = T @ (both - joined(D.astype(float), Uk, Uv) * np.repeat([1.0, weight], [6, 4]))
        least = np.sqrt(np.sum(np.linalg.svd(T @ both, compute_uv=False)[r:]**2))
        np.testing.assert_allclose(np.linalg.norm(E), least, rtol=1e-10 if dtype is float else 1e-3, atol=50 * eps(D) * np.linalg.norm(T @ both))
    assert all(np.array_equal(x, y) for x, y in zip((Wk, Wv), before))


@pytest.mark.parametrize("unit", (1e-150, 1e150))
def test_units_of_factors(unit):
    Wk, Wv, X = drawn(0, 6, 4), drawn(1, 6, 3), drawn(2, 5, 4, 6)
    expected = joined(*joint_kv_compress(Wk, Wv, 3, X))
    with np.errstate(all="raise"):
        for scaled in ((unit * Wk, unit * Wv, 3, X), (unit * Wk, unit * Wv, 3, X / unit)):
            np.testing.assert_allclose(joined(*joint_kv_compress(*scaled)) / unit, expected, rtol=0, atol=1e-12)
        D, Uk, Uv = kv_factors_of_gqa(unit * Wk, unit * Wv)
    assert np.array_equal(D @ Uk, unit * Wk) and np.array_equal(D @ Uv, unit * Wv)


def test_the_data_may_be_their_triangular_factor_and_of_any_rank():
    Wk, Wv, X = drawn(0, 6, 4), drawn(1, 6, 3), drawn(2, 40, 6)
    expected = joined(*joint_kv_compress(Wk, Wv, 3, X))
    np.testing.assert_allclose(joined(*joint_kv_compress(Wk, Wv, 3, np.linalg.qr(X)[1])), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(joined(*joint_kv_compress(Wk, Wv, 3, X.reshape(4, 10, 6))), expected, rtol=0, atol=1e-12)
    for data in (X[:1], X[:2], X @ np.diag([1, 1, 0, 0, 0, 0.0]), 0 * X):
        found = joint_kv_compress(Wk, Wv, 3, data)
        np.testing.assert_allclose(data @ joined(*found), data @ np.hstack([Wk, Wv]), rtol=0, atol=1e-12)
        assert np.isfinite(found[0]).all()


@pytest.mark.parametrize("g", (1, 2, 4))
@pytest.mark.parametrize("dtype", REAL)
def test_exact_factors(g, dtype):
    Wk, Wv = drawn(0, g, 11, 3, dtype=dtype), drawn(1, g, 11, 2, dtype=dtype)
    D, Uk, Uv = kv_factors_of_gqa(Wk, Wv)
    assert D.shape[1] == min(11, 5 * g) and D.dtype == dtype
    assert np.array_equal(D @ Uk, Wk) and np.array_equal(D @ Uv, Wv)
    low = (drawn(2, 11, 3) @ drawn(3, 2 * g, 3, 4)).astype(dtype)
    D, Uk, Uv = kv_factors_of_gqa(low[:g], low[g:], rtol=1e-5)
    assert D.shape == (11, 3) and D.dtype == dtype
    np.testing.assert_allclose(D @ Uk, low[:g], rtol=0, atol=100 * eps(D))
    assert kv_factors_of_gqa(0 * Wk, 0 * Wv, rtol=0)[0].shape == (11, 1)


def test_cost_of_a_step(monkeypatch):
    """Nothing of the size of keys and values for all heads is made."""
    import tracemalloc
    h, N, r, d_k = 16, 1024, 64, 64
    q, cache, U = drawn(0, h, d_k), drawn(1, N, r), drawn(2, h, r, d_k)
    mla_decode(q, cache, U, U)
    tracemalloc.start()
    mla_decode(q, cache, U, U)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * (8 * h * N + 8 * h * r) < 8 * h * N * d_k / 4


# --- refusals

ARGS, ROTATED = layer()


def changed(**others):
    names = ("X", "Wq", "D", "Uk", "Uv")
    return lambda: mla_attention(**dict(zip(names, ARGS)) | others)


@pytest.mark.parametrize("call, kind, words", [
    (changed(X=ARGS[0][:, :5]), ValueError, r"Wq has shape \(4, 6, 3\); allowed is \(h, d, d_k\) with d = 5, none of them 0"),
    (changed(D=ARGS[2].T), ValueError, r"D has shape \(4, 6\); allowed is \(d, r\) with d = 6"),
    (changed(Uk=ARGS[3][0]), ValueError, r"Uk has shape \(4, 3\); allowed is \(g, r, d_k\) with r = 4, d_k = 3"),
    (changed(Uv=ARGS[4][:1]), ValueError, r"Uv has shape \(1, 4, 2\); allowed is \(g, r, d_v\) with g = 2, r = 4"),
    (changed(Wq=ARGS[1][:3]), ValueError, "Uk has 2 groups and there are 3 heads; allowed is a divisor"),
    (changed(X=ARGS[0][:0]), ValueError, r"X has shape \(0, 6\); allowed is \(..., N, d\), none of them 0"),
    (changed(X=np.full((5, 6), math.nan)), ValueError, "X contains 30 NaN"),
    (changed(Uv=ARGS[4] * math.inf), ValueError, "Uv contains"),
    (changed(D=ARGS[2] * 1j), TypeError, "D has dtype complex128; allowed are real numbers"),
    (changed(Wqr=ROTATED["Wqr"]), ValueError, "Wqr is given without Wkr; allowed are all or none"),
    (changed(Wkr=ROTATED["Wkr"]), ValueError, "Wkr is given without Wqr; allowed are all or none"),
    (changed(positions=np.arange(5)), ValueError, "positions is given without Wkr and Wqr"),
    (changed(Wqr=ROTATED["Wqr"][..., :2], Wkr=ROTATED["Wkr"]), ValueError, r"Wkr has shape \(6, 4\); allowed is \(d, d_r\) with d = 6, d_r = 2"),
    (changed(Wo=np.ones((4, 3, 1))), ValueError, r"Wo has shape \(4, 3, 1\); allowed is \(h, d_v, d_o\) with h = 4, d_v = 2"),
    (changed(scale=0), ValueError, "scale is 0; allowed is None or a number with 0 < scale < inf"),
    (changed(mask=np.ones((5, 4), bool)), ValueError, r"mask has shape \(5, 4\); allowed is what broadcasts to \(4, 5, 5\)"),
    (changed(mask=np.arange(5) > 0), ValueError, "mask leaves no key for some queries; .* up to the diagonal"),
    (changed(mask=np.ones(5)), TypeError, "mask has dtype float64; allowed is bool"),
    (lambda: mla_decode(ARGS[0][0] @ ARGS[1], ARGS[0], *ARGS[3:]), ValueError, r"cache has 6 columns; allowed are r \+ d_r = 4 \+ 0"),
    (lambda: mla_decode(ARGS[0][0] @ ARGS[1], ARGS[0][:, :4] * math.nan, *ARGS[3:]), ValueError, "cache contains 20 NaN"),
    (lambda: mla_decode(ARGS[0][0] @ ARGS[1], ARGS[0][:, :4], ARGS[3], ARGS[4] * math.inf), ValueError, "Uv contains"),
    (lambda: mla_decode(math.nan * ARGS[0][0] @ ARGS[1], ARGS[0][:, :4], *ARGS[3:]), ValueError, "q contains 12 NaN"),
    (lambda: mla_decode(ARGS[0][0] @ ARGS[1], ARGS[0][:, :4], *ARGS[3:], mask=np.zeros(5, bool)), ValueError, "mask leaves no token to see"),
    (lambda: mla_decode(ARGS[0][0] @ ARGS[1], ARGS[0][:0, :4], *ARGS[3:]), ValueError, r"cache has shape \(0, 4\)"),
    (lambda: mla_decode(np.ones((3, 4, 3)), np.ones((2, 5, 4)), *ARGS[3:]), ValueError, "allowed are leading axes that broadcast"),
    (lambda: joint_kv_compress(np.ones((6, 2)), np.ones((5, 2)), 1), ValueError, r"Wk has shape \(6, 2\) and Wv \(5, 2\); allowed are"),
    (lambda: joint_kv_compress(np.ones((2, 6, 2)), np.ones((6, 2)), 1), ValueError, "or"),
    (lambda: joint_kv_compress(np.ones((6, 2)), np.ones((6, 1)), 4), ValueError, "r is 4; allowed is an integer from 1 to 3 for d = 6 and 3 columns"),
    (lambda: joint_kv_compress(np.ones((6, 2)), np.ones((6, 1)), 1.5), TypeError, "r is 1.5"),
    (lambda: joint_kv_compress(np.ones((6, 2)), np.ones((6, 1)), 1, np.ones((4, 5))), ValueError, r"X has shape \(4, 5\); allowed is \(..., d\) with d = 6"),
    (lambda: joint_kv_compress(np.ones((6, 2)), np.ones((6, 1)), 1, np.ones((0, 6))), ValueError, "at least one token"),
    (lambda: joint_kv_compress(np.ones((6, 2)), np.ones((6, 1)), 1, value_weight=0), ValueError, "value_weight is 0; allowed is a number with 0 < value_weight"),
    (lambda: kv_factors_of_gqa(np.ones((2, 6, 2)), np.ones((2, 6, 1)), rtol=1), ValueError, "rtol is 1; allowed is a number with 0 <= rtol < 1"),
    (lambda: mla_cache(np.ones((3, 2)), np.ones((2, 1)), positions=[0, 1, 2]), ValueError, "positions is given without Wkr; allowed are all or none"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@torch_only
def test_libraries_are_not_mixed():
    import torch
    with pytest.raises(TypeError, match="D is a Tensor and X is a ndarray; both must belong to one array library"):
        changed(D=torch.tensor(ARGS[2]))()
    with pytest.raises(TypeError, match="both must belong to one array library"):
        mla_decode(ARGS[0][0] @ ARGS[1], torch.tensor(ARGS[0][:, :4]), *ARGS[3:])


# --- derivatives

def tensors(*arrays):
    import torch
    return [torch.tensor(x, requires_grad=True) for x in arrays]


@torch_only
def test_derivatives_of_attention():
    import torch
    args, rotated = layer(2, 1, N=3, d=3, r=2, d_k=2, d_v=1, d_r=2)
    for absorb in (True, False):
        call = lambda X, Wq, D, Uk, Uv, Wqr, Wkr, absorb=absorb: mla_attention(X, Wq, D, Uk, Uv, absorb, Wqr=Wqr, Wkr=Wkr)
        assert torch.autograd.gradcheck(call, tensors(*args, *rotated.values()), fast_mode=True)
    zero = tensors(*(0 * x for x in args))
    mla_attention(*zero).sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in zero)
    q, cache, Uk, Uv = tensors(args[0][-1] @ args[1], args[0] @ args[2], *args[3:])
    assert torch.autograd.gradcheck(mla_decode, (q, cache, Uk, Uv), fast_mode=True)


@torch_only
@pytest.mark.parametrize("case", ("weights", "many", "few", "equal", "low rank", "more columns"))
def test_derivatives_of_the_product(case):
    """That of D U, also where singular values are equal or zero."""
    import torch
    M, X, r = drawn(0, 5, 4), drawn(1, 7, 5), 2
    if case == "few":
        X = X[:3]
    if case == "equal":
        P, V = np.linalg.qr(drawn(2, 5, 5))[0], np.linalg.qr(drawn(3, 4, 4))[0]
        M, X = P[:, :4] * [2, 2, 1, 1] @ V, np.linalg.qr(X)[0]
    if case == "low rank":
        M = M[:, :2] @ drawn(4, 2, 4)
    if case == "more columns":
        M = drawn(5, 3, 6)
        X = X[:, :3]

    def product(M, *X):
        D, Uk, Uv = joint_kv_compress(M[:, :3], M[:, 3:], r, *X)
        return D @ torch.cat([Uk, Uv], dim=1)

    given = tensors(M) if case in ("weights",) else tensors(M, X)
    assert torch.autograd.gradcheck(product, given, check_forward_ad=True, fast_mode=True)
    if case in ("weights", "many"):
        assert torch.autograd.gradgradcheck(product, given, fast_mode=True)


@torch_only
def test_torch_compiles_maps_and_keeps_half_precision():
    import torch
    args, rotated = layer()
    X, Wq, D, Uk, Uv = (torch.tensor(x) for x in args)
    more = {name: torch.tensor(x) for name, x in rotated.items()}
    call = lambda X, D: mla_attention(X, Wq, D, Uk, Uv, **more)
    compiled = torch.compile(call, fullgraph=True, backend="eager")
    leaves, plain_leaves = ([v.clone().requires_grad_() for v in (X, D)] for _ in range(2))
    for function, inputs in ((compiled, leaves), (call, plain_leaves)):
        function(*inputs).square().sum().backward()
    assert all(torch.allclose(v.grad, w.grad) for v, w in zip(leaves, plain_leaves))
    stack = torch.stack([X, 2 * X])
    assert torch.allclose(torch.vmap(call, (0, None))(stack, D), call(stack, D))
    compress = lambda W, X: mla_attention(X, Wq, *joint_kv_compress(W, W, 2, X), Wo=Wq.mT)
    weights, tokens = torch.stack([Wq, Wq.flip(1)]), torch.stack([X, X.flip(1)])
    Y = torch.vmap(compress)(weights, tokens)
    assert all(torch.allclose(y, compress(W, T)) for y, W, T in zip(Y, weights, tokens))
    slopes = torch.vmap(torch.func.grad(lambda W, T: compress(W, T).sum()))(weights, tokens)
    assert torch.allclose(slopes[1], torch.func.grad(lambda W: compress(W, tokens[1]).sum())(weights[1]))
    step = torch.compile(lambda q, C: mla_decode(q, C, Uk, Uv), fullgraph=True, backend="eager")
    q = torch.einsum("d,hdk->hk", X[-1], Wq)
    assert torch.allclose(step(q, X @ D), mla_decode(q, X @ D, Uk, Uv))
    for dtype in (torch.float16, torch.bfloat16):
        Y = mla_attention(*(x.to(dtype) for x in (X, Wq, D, Uk, Uv)))
        assert Y.dtype == dtype and torch.allclose(Y.double(), mla_attention(X, Wq, D, Uk, Uv), rtol=0.1, atol=0.1)
        F = joint_kv_compress(Wq.to(dtype), Wq.to(dtype), 2)
        assert all(x.dtype == dtype for x in F)


@jax_only
def test_jax_compiles_and_differentiates():
    """One program for everything: each costs a second to compile."""
    import jax
    import jax.numpy as jnp
    _, back = LIBRARIES["jax"]
    args, rotated = layer()
    Wk, Wv, T = drawn(1, 2, 6, 3), drawn(2, 2, 6, 2), drawn(3, 2, 9, 6)
    calls = calls_of(args, rotated, Wk, Wv, T)
    inputs = [tuple(map(jnp.asarray, x)) for _, x in calls]

    def both(D, Wk, T):
        """A number to differentiate, and the results of all functions."""
        factors = joint_kv_compress(Wk, inputs[3][1], 2, T)
        Y = mla_attention(*inputs[0][:2], D, *inputs[0][3:])
        product = factors[0] @ jnp.concatenate([*factors[1], *factors[2]], axis=1)
        return jnp.sum(Y**2) + jnp.sum(jnp.sin(product)), [as_tuple(f(*x)) for (f, _), x in zip(calls, inputs)]

    given = [args[2], Wk, T]
    slopes, found = jax.jit(jax.grad(both, (0, 1, 2), has_aux=True))(*map(jnp.asarray, given))
    check_calls(float, args, rotated, Wk, Wv, T, lambda _: [tuple(map(back, x)) for x in found])

    def value(D, Wk, T):
        return np.sum(mla_attention(*args[:2], D, *args[3:])**2) + np.sum(np.sin(joined(*joint_kv_compress(Wk, Wv, 2, T))))

    for which, slope in enumerate(slopes):
        change = drawn(8, *given[which].shape)
        ahead, behind = (value(*[x + h * change if i == which else x for i, x in enumerate(given)]) for h in (1e-5, -1e-5))
        assert float(np.sum(back(slope) * change)) == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)

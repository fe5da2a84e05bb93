"""Attention matrices, their determinants and counts of directions: libraries, dtypes, masks, units, derivatives, refusals."""

import math
import tracemalloc

import numpy as np
import pytest

from lowrank import attention_matrix, attention_slogdet, effective_rank, numerical_rank, rank_collapse
from lowrank.simplex_maps import softmax
from tests.properties.libraries import LIBRARIES, every_library, every_library_in, needs

KINDS = ("entropy", "participation", "stable")


def tokens(*shape, seed=0, count=2):
    return np.random.default_rng(seed).standard_normal((count, *shape))


def curves(n=12):
    """The example of the facts: queries and keys on the circle."""
    t = np.arange(n)
    return np.column_stack([np.cos(0.5 * t), np.sin(0.5 * t)]), np.column_stack([np.cos(0.3 * t + 0.2), np.sin(0.3 * t + 0.2)])


def reference(Q, K, allowed=True):
    S = Q.astype(float) @ K.astype(float).mT / Q.shape[-1] ** 0.5
    return softmax(np.where(allowed, S, -np.inf))


@every_library_in(np.float32, np.float64, of_jax=[np.float32])
@pytest.mark.parametrize("causal", [False, True])
def test_every_library_and_dtype(library, dtype, causal):
    convert, back = LIBRARIES[library]
    Q, K = tokens(2, 3, 6, 4).astype(dtype)
    expected = reference(Q, K, np.tri(6, dtype=bool) if causal else True)
    A = attention_matrix(convert(Q), convert(K), causal)
    assert type(A) is type(convert(Q)) and back(A).dtype == dtype
    np.testing.assert_allclose(back(A), expected, atol=20 * np.finfo(dtype).eps)
    sign, logs = attention_slogdet(convert(Q), convert(K), causal)
    assert back(sign).dtype == back(logs).dtype == dtype
    signs, values = np.linalg.slogdet(expected)
    np.testing.assert_array_equal(back(sign), signs)
    np.testing.assert_allclose(back(logs), values, rtol=1e-3 if dtype == np.float32 else 1e-11)
    for kind in KINDS:
        found = effective_rank(A, kind=kind)
        assert type(found) is type(A) or library == "numpy"
        np.testing.assert_allclose(back(found), effective_rank(expected, kind=kind), rtol=1e-4 if dtype == np.float32 else 1e-11)
    assert back(numerical_rank(A, rtol=1e-3)).tolist() == numerical_rank(expected, rtol=1e-3).tolist()
    np.testing.assert_allclose(back(rank_collapse(A)), rank_collapse(expected), rtol=1e-5)


def test_reference_values():
    Q, K = curves()
    assert np.isclose(np.linalg.det(attention_matrix(Q, K, causal=True)), 5.28019676312e-08, rtol=1e-11)
    assert np.isclose(attention_slogdet(Q, K, causal=True).logabsdet, math.log(5.28019676312e-08), rtol=1e-12)
    C = attention_matrix(np.zeros((4, 2)), np.zeros((4, 2)), causal=True)
    np.testing.assert_allclose(np.linalg.svd(C)[1], [1.272287989759, 0.579171507454, 0.309519585032, 0.182687153032], rtol=1e-11)


@pytest.mark.parametrize("up, down", [(1e150, 1e-150), (1e-150, 1e150), (1e-150, 1e-150), (1.0, 1e-300), (1e200, 1e200)])
def test_units_are_harmless(up, down):
    Q, K = tokens(7, 3)
    with np.errstate(all="raise"):
        A = attention_matrix(up * Q, down * K)
        logs = attention_slogdet(up * Q, down * K, causal=True).logabsdet
    if up * down == 1:
        np.testing.assert_allclose(A, reference(Q, K), rtol=1e-12)
        assert np.isclose(logs, attention_slogdet(Q, K, causal=True).logabsdet)
    elif up < 1 or down < 1:
        np.testing.assert_allclose(A, np.full((7, 7), 1 / 7))
        assert np.isclose(logs, -math.lgamma(8))
    else:
        np.testing.assert_array_equal(A, np.eye(7)[np.argmax(Q @ K.T, axis=1)])
    for unit in (1e-150, 1e150, 1e-300, 1e300):
        B = unit * tokens(5, 4)[0]
        assert numerical_rank(B) == 4 and np.isclose(rank_collapse(B), rank_collapse(B / unit))
        for kind in KINDS:
            assert np.isclose(effective_rank(B, kind=kind), effective_rank(B / unit, kind=kind))


def test_the_scale():
    Q, K = tokens(5, 3)
    np.testing.assert_allclose(attention_matrix(Q, K, scale=0.7), softmax(0.7 * Q @ K.T), rtol=1e-13)
    np.testing.assert_allclose(attention_matrix(Q, K, scale=1e-320), np.full((5, 5), 0.2))
    assert np.isclose(attention_slogdet(Q, K, scale=0.7).logabsdet, np.linalg.slogdet(softmax(0.7 * Q @ K.T))[1])


@every_library
def test_masks(library):
    convert, back = LIBRARIES[library]
    rng = np.random.default_rng(1)
    Q, K = tokens(2, 5, 3)[0], tokens(2, 8, 3, seed=1)[0]
    mask = rng.random((2, 5, 8)) < 0.5
    mask[..., 0] = True
    A = back(attention_matrix(convert(Q), convert(K), mask=convert(mask)))
    np.testing.assert_allclose(A, reference(Q, K, mask), rtol=1e-12)
    assert not np.any(A[~mask]) and np.isfinite(A).all()
    padded = mask[:1, :1, :]
    np.testing.assert_allclose(back(attention_matrix(convert(Q), convert(K), mask=convert(padded))), reference(Q, K, padded), rtol=1e-12)
    Q, K = tokens(6, 3)
    both = np.tri(6, dtype=bool) & (np.arange(6) != 3)
    mask = np.arange(6) != 3
    np.testing.assert_allclose(back(attention_matrix(convert(Q), convert(K), True, mask=convert(mask))), reference(Q, K, both), rtol=1e-12)


def test_what_a_mask_hides_has_no_influence():
    Q, K = tokens(6, 3)
    huge = K.copy()
    huge[4] = 1e300
    mask = np.arange(6) != 4
    np.testing.assert_allclose(attention_matrix(Q, huge, mask=mask), attention_matrix(Q, K, mask=mask), rtol=1e-12)
    np.testing.assert_array_equal(attention_matrix(Q, huge, mask=mask)[:, 4], 0)


def test_lists_integers_and_halves():
    assert attention_matrix([[1, 2], [3, 4]], [[0, 1], [1, 0]]).dtype == np.float64
    Q, K = tokens(40, 8).astype(np.float16)
    A = attention_matrix(Q, K)
    assert A.dtype == np.float16
    np.testing.assert_allclose(A, reference(Q, K), atol=2e-3 * reference(Q, K).max())
    assert attention_slogdet(Q, K, True).logabsdet.dtype == np.float16
    torch = pytest.importorskip("torch")
    B = attention_matrix(torch.tensor(Q).to(torch.bfloat16), torch.tensor(K).to(torch.bfloat16))
    assert B.dtype == torch.bfloat16 and effective_rank(B).dtype == torch.bfloat16 and rank_collapse(B).dtype == torch.bfloat16


@pytest.mark.parametrize("lead", [(0,), (3, 0), ()])
def test_empty_stacks_and_no_queries(lead):
    Q, K = np.zeros((*lead, 0, 4)), np.zeros((*lead, 3, 4))
    assert attention_matrix(Q, K).shape == (*lead, 0, 3)
    assert attention_matrix(np.zeros((*lead, 5, 0)), np.zeros((*lead, 2, 0))).shape == (*lead, 5, 2)
    for call in (effective_rank, numerical_rank, rank_collapse):
        assert np.shape(call(np.zeros((*lead, 0, 3)))) == lead and np.shape(call(np.zeros((*lead, 2, 3)))) == lead
        assert not np.any(call(np.zeros((2, 4, 0))))


def test_leading_axes_broadcast():
    Q, K = tokens(4, 1, 5, 2)[0], tokens(3, 5, 2)[1]
    A = attention_matrix(Q, K)
    assert A.shape == (4, 3, 5, 5)
    np.testing.assert_allclose(A[2, 1], attention_matrix(Q[2, 0], K[1]), rtol=1e-14)


@pytest.mark.parametrize("rank, expected", [(1, 1), (4, 4)])
def test_equal_singular_values_count_themselves(rank, expected):
    U = np.linalg.qr(tokens(7, 7)[0])[0]
    A = U[:, :rank] @ U[:rank]
    for kind in KINDS:
        assert np.isclose(effective_rank(A, kind=kind), expected, rtol=1e-12)
    assert numerical_rank(A) == rank == numerical_rank(A * (1 + 1j))
    assert effective_rank(np.zeros((3, 3))) == numerical_rank(np.zeros((3, 3))) == rank_collapse(np.zeros((3, 3))) == 0


def test_inputs_stay_as_they_are():
    Q, K = tokens(6, 3)
    kept = Q.copy(), K.copy()
    for array in (Q, K):
        array.flags.writeable = False
    attention_matrix(Q, K, causal=True)
    attention_slogdet(Q, K)
    effective_rank(Q), numerical_rank(Q), rank_collapse(Q)
    assert np.array_equal(Q, kept[0]) and np.array_equal(K, kept[1])


def test_memory_is_a_few_matrices():
    Q, K = tokens(700, 16)
    tracemalloc.start()
    attention_matrix(Q, K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 700**2 * 8


Q, K = tokens(4, 3)
REFUSED = [
    (lambda: attention_matrix(Q, K[:, :2]), ValueError, r"Q has shape \(4, 3\) and K \(4, 2\); allowed are equal last axes"),
    (lambda: attention_matrix(Q, K[:0]), ValueError, "at least one key"),
    (lambda: attention_matrix(Q, K[:3], True), ValueError, "Q has 4 rows and K has 3; with causal=True query i sees the keys 1 to i"),
    (lambda: attention_matrix(Q[0], K), ValueError, r"Q has shape \(3,\); allowed is \(\.\.\., n, d\)"),
    (lambda: attention_matrix(tokens(2, 4, 3)[0], tokens(3, 4, 3)[0]), ValueError, "leading axes that broadcast"),
    (lambda: attention_matrix(Q * np.nan, K), ValueError, "Q contains 12 NaN"),
    (lambda: attention_matrix(Q, K * np.inf), ValueError, "K contains 0 NaN and 12 Inf"),
    (lambda: attention_matrix(Q * 1j, K), TypeError, "Q has dtype complex128; allowed are real numbers"),
    (lambda: attention_matrix(Q, K, scale=0.0), ValueError, "scale is 0.0; allowed is None or a number with 0 < scale < inf"),
    (lambda: attention_matrix(Q, K, scale="1"), TypeError, "scale is '1'"),
    (lambda: attention_matrix(Q, K, mask=np.ones((4, 4))), TypeError, "mask has dtype float64; allowed is bool"),
    (lambda: attention_matrix(Q, K, mask=np.ones((3, 4), bool)), ValueError, r"mask has shape \(3, 4\); allowed is what broadcasts to \(4, 4\)"),
    (lambda: attention_matrix(Q, K, mask="causal"), TypeError, "mask is a str; allowed is an array of bool"),
    (lambda: attention_matrix(Q, K, mask=np.zeros((4, 4), bool)), ValueError, "mask leaves 4 rows without a key; allowed is at least one True in every row"),
    (lambda: attention_matrix(Q, K, True, mask=np.arange(4) > 1), ValueError, "mask leaves 2 rows without a key.*up to the diagonal"),
    (lambda: attention_slogdet(Q, K[:3]), ValueError, "Q has 4 rows and K has 3; allowed are as many keys as queries"),
    (lambda: attention_slogdet(Q, K[:3], True), ValueError, "Q has 4 rows and K has 3"),
    (lambda: effective_rank(Q, kind="nuclear"), ValueError, "kind is 'nuclear'; allowed are 'entropy', 'participation', 'stable'"),
    (lambda: effective_rank(Q[0]), ValueError, r"A has shape \(3,\)"),
    (lambda: numerical_rank(Q, rtol=1.0), ValueError, "rtol is 1.0"),
    (lambda: rank_collapse(np.full((2, 2), np.inf)), ValueError, "X contains 0 NaN and 4 Inf"),
]


@pytest.mark.parametrize("call, kind, message", REFUSED)
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@needs("torch")
def test_two_libraries_are_refused():
    import torch
    with pytest.raises(TypeError, match="K is a Tensor and Q is a ndarray; both must belong to one array library"):
        attention_matrix(Q, torch.tensor(K))
    with pytest.raises(TypeError, match="mask is a ndarray"):
        attention_matrix(torch.tensor(Q), torch.tensor(K), mask=np.ones((4, 4), bool))


@needs("torch")
def test_gradients_in_torch():
    import torch
    q, k = (torch.tensor(x, requires_grad=True) for x in tokens(2, 5, 3))
    mask = torch.tensor(np.random.default_rng(0).random((5, 5)) < 0.6) | torch.eye(5, dtype=torch.bool)
    scale = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    calls = [lambda q, k: attention_matrix(q, k), lambda q, k: attention_matrix(q, k, True, mask=mask),
             lambda q, k: attention_slogdet(q, k, True).logabsdet, lambda q, k: attention_slogdet(q, k).logabsdet,
             lambda q, k: rank_collapse(attention_matrix(q, k)),
             *(lambda q, k, kind=kind: effective_rank(attention_matrix(q, k), kind=kind) for kind in KINDS)]
    for call in calls:
        assert torch.autograd.gradcheck(call, (q, k), atol=1e-6)
    assert torch.autograd.gradcheck(lambda s: attention_matrix(q, k, True, mask=mask, scale=s), scale)
    assert torch.autograd.gradgradcheck(calls[1], (q, k), atol=1e-6)


@needs("torch")
@pytest.mark.parametrize("A", [np.eye(3), np.zeros((3, 3)), np.ones((3, 4)), np.diag([1.0, 1.0, 0.0])])
def test_gradients_are_finite_at_the_edges(A):
    import torch
    for call in (rank_collapse, *(lambda X, kind=kind: effective_rank(X, kind=kind) for kind in KINDS)):
        X = torch.tensor(A, requires_grad=True)
        call(X).backward()
        assert torch.isfinite(X.grad).all()


@needs("torch")
def test_transforms_of_torch():
    import torch
    q, k = map(torch.tensor, tokens(3, 5, 2))
    f = lambda q, k: effective_rank(attention_matrix(q, k, True))
    each = torch.stack([f(a, b) for a, b in zip(q, k)])
    torch.testing.assert_close(torch.func.vmap(f)(q, k), each)
    torch.testing.assert_close(torch.compile(lambda q, k: attention_matrix(q, k, True), fullgraph=True, backend="eager")(q, k), attention_matrix(q, k, True))
    torch.testing.assert_close(torch.compile(lambda q, k: attention_slogdet(q, k, True).logabsdet, fullgraph=True, backend="eager")(q, k),
                               attention_slogdet(q, k, True).logabsdet)
    torch.testing.assert_close(torch.compile(rank_collapse, fullgraph=True, backend="eager")(q), rank_collapse(q))
    torch.testing.assert_close(torch.compile(effective_rank, fullgraph=True, backend="eager")(q), effective_rank(q))


@needs("jax")
def test_transforms_of_jax():
    import jax
    convert, back = LIBRARIES["jax"]
    q, k = map(convert, tokens(3, 5, 2))
    f = lambda q, k: effective_rank(attention_matrix(q, k, True, mask=convert(np.ones((5, 5), bool))))
    expected = effective_rank(attention_matrix(*tokens(3, 5, 2), True))
    np.testing.assert_allclose(jax.jit(jax.vmap(f))(q, k), expected)
    np.testing.assert_allclose(jax.jit(lambda q, k: attention_slogdet(q, k, True).logabsdet)(q, k),
                               attention_slogdet(*tokens(3, 5, 2), True).logabsdet)
    assert back(jax.jit(numerical_rank)(q)).tolist() == [2, 2, 2]
    total = lambda q: f(q, k[0]) + rank_collapse(q)
    E, g = tokens(5, 2, seed=5)[0], back(jax.grad(total)(q[0]))
    difference = (total(q[0] + 1e-6 * E) - total(q[0] - 1e-6 * E)) / 2e-6
    assert np.isclose(np.vdot(g, E), difference, rtol=1e-6)
    blind = jax.jit(lambda q, k, mask: attention_matrix(q, k, mask=mask))(q[0], k[0], convert(np.array([[True] * 5] * 4 + [[False] * 5])))
    assert np.isnan(back(blind)[4]).all() and np.isfinite(back(blind)[:4]).all()

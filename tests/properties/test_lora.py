"""Low-rank adapters: the shortest pair for every rank, all modes, starts, retraction, signs; units, dtypes, libraries, derivatives, refusals."""

import re

import numpy as np
import pytest

from lowrank.lora import (
    lora_ga_init,
    lora_muon_gradients,
    lora_pro_gradients,
    lora_retract,
    lora_scale,
    pissa_init,
    tangent_share,
)
from tests.properties.libraries import LIBRARIES, needs
from tests.properties.matrices import FLOATS, eps

torch_only, jax_only = needs("torch"), needs("jax")
MODES = ("sylvester", "plain", "symmetric")
RANKS = [(2, 2), (0, 2), (2, 0), (0, 0), (1, 2), (2, 1), (1, 1)]


def drawn(seed, *shape, dtype=float):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else 0)
    return x.astype(dtype)


def problem(seed=0, m=7, n=5, r=2, ranks=None, dtype=float, lead=()):
    """A, B, G and the gradients of the factors."""
    A, B, G = drawn(seed, *lead, m, r, dtype=dtype), drawn(seed + 1, *lead, r, n, dtype=dtype), drawn(seed + 2, *lead, m, n, dtype=dtype)
    if ranks:
        P, Q = (np.linalg.qr(drawn(seed + i, r, r, dtype=dtype))[0][:, :rank] for i, rank in zip((3, 4), ranks))
        A, B = A @ P @ P.conj().T, Q @ Q.conj().T @ B
    return A, B, G, G @ B.conj().mT, A.conj().mT @ G


def double(*arrays):
    return [X.astype(np.result_type(X, float)) for X in arrays]


def projectors(A, B):
    return A @ np.linalg.pinv(A, rcond=1e-10), np.linalg.pinv(B, rcond=1e-10) @ B


def projected(A, B, G):
    P, Q = projectors(A, B)
    return P @ G + G @ Q - P @ G @ Q


def shortest(A, B, X):
    """L^+ X by LAPACK."""
    L = np.hstack([np.kron(np.eye(len(A)), B.T), np.kron(A, np.eye(B.shape[1]))])
    h = np.linalg.lstsq(L, X.ravel(), rcond=1e-11)[0]
    return h[:A.size].reshape(A.shape), h[A.size:].reshape(B.shape)


def polar(B):
    """(B B^H)^(+1/2) and the partial isometry of B."""
    U, s, Vh = np.linalg.svd(B, full_matrices=False)
    keep = s > 1e-10 * max(s[0], 1e-300)
    U, s, Vh = U[:, keep], s[keep], Vh[keep]
    return U / s @ U.conj().T, U @ Vh


A3 = np.array([[1.0, 0], [1, 1], [0, 2]])
B3 = np.array([[1.0, 2, 0], [0, 1, 1]])
G3 = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]])


def test_reference_values():
    call = lambda mode: lora_pro_gradients(A3, B3, G3 @ B3.T, A3.T @ G3, mode)
    close = lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-11)
    H_A, H_B = call("plain")
    close(H_A, [[0, 5 / 2], [1, 9 / 2], [5 / 3, 22 / 3]])
    close(H_B, np.array([[38, -19, 19], [140, -70, 70]]) / 54)
    H_A, H_B = call("sylvester")
    close(H_A, [[.190443993689, 1.301104349786], [1.255127338292, .715798963263], [1.796033355871, 2.162722560288]])
    close(H_B, [[.513259710014, .466155810983, 1.550747502066], [2.527909247990, 1.159642401022, 3.881601682819]])
    assert np.sum(G3 @ B3.T * H_A) + np.sum(A3.T @ G3 * H_B) == pytest.approx(303.703703703704, rel=1e-13)
    assert np.linalg.norm(H_A @ B3 + A3 @ H_B - G3) == pytest.approx(.544331053952, rel=1e-11)
    close(call("symmetric")[0][0], [-1 / 27, 1.620370370370])
    assert tangent_share(A3, B3, G3) == pytest.approx(303.703703703704 / 304, rel=1e-13)
    G = np.array([[4.0, 0, 1, 0], [0, 3, 0, 1], [1, 0, 2, 0], [0, 1, 0, 1], [1, 1, 1, 1]])
    A, B = lora_ga_init(G, 1)
    missed = np.linalg.norm(A @ A.T @ G + G @ B.T @ B - G)
    assert missed == pytest.approx(np.hypot(1.662646518525, .743887758904), rel=1e-11)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("ranks", RANKS)
def test_the_shortest_pair_of_every_rank(ranks, dtype):
    A, B, G, G_A, G_B = problem(ranks=ranks, dtype=dtype)
    for found, expected in zip(lora_pro_gradients(A, B, G_A, G_B), shortest(A, B, G)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 1, 1), (1, 6, 1), (2, 2, 2), (3, 5, 3), (3, 5, 4), (2, 2, 6)])
def test_shapes(shape):
    """More columns than a factor can have too."""
    A, B, G, G_A, G_B = problem(1, *shape)
    H_A, H_B = lora_pro_gradients(A, B, G_A, G_B)
    for found, expected in zip((H_A, H_B), shortest(A, B, G)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    lora_muon_gradients(A, B, G_A, G_B)


def test_gradients_that_belong_to_no_matrix():
    """They are projected on those that do: L^+ of the best G."""
    A, B, *_ = problem(2)
    X, Y = drawn(8, *A.shape), drawn(9, *B.shape)
    L = np.hstack([np.kron(np.eye(7), B.T), np.kron(A, np.eye(5))])
    expected = np.linalg.pinv(L.T @ L, rcond=1e-11) @ np.concatenate([X.ravel(), Y.ravel()])
    found = lora_pro_gradients(A, B, X, Y)
    np.testing.assert_allclose(np.concatenate([H.ravel() for H in found]), expected, atol=1e-11)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mode", MODES)
def test_modes_dtypes_and_scale(mode, dtype):
    A, B, G, G_A, G_B = problem(3, dtype=dtype, lead=(3,))
    before = [X.copy() for X in (A, B, G_A, G_B)]
    H_A, H_B = lora_pro_gradients(A, B, 4 * G_A, 4 * G_B, mode, scale=4.0)
    assert H_A.dtype == H_B.dtype == dtype
    assert all(np.array_equal(x, y) for x, y in zip((A, B, G_A, G_B), before))
    H_A, H_B, A, B, G = double(H_A, H_B, A, B, G)
    few, (P, Q) = 300 * eps(G_A), projectors(A, B)
    np.testing.assert_allclose(4 * (H_A @ B + A @ H_B), projected(A, B, G), atol=few)
    kept = {"sylvester": A.conj().mT @ H_A - H_B @ B.conj().mT, "plain": H_B @ Q, "symmetric": P @ (H_A @ B - A @ H_B) @ Q}
    np.testing.assert_allclose(kept[mode], 0, atol=few)


@pytest.mark.parametrize("unit_A, unit_B, unit_G", [(1e-150, 1e-150, 1), (1e150, 1e150, 1e-150), (1e-150, 1, 1), (1, 1e150, 1), (1e-9, 1, 1e150), (1e100, 1e-100, 1)])
def test_units(unit_A, unit_B, unit_G):
    A, B, G, *_ = problem(4)
    A, B, G = A * unit_A, B * unit_B, G * unit_G
    given = A, B, G @ B.T, A.T @ G
    product = projected(A / unit_A, B / unit_B, G / unit_G)
    with np.errstate(all="raise", under="ignore"):
        for mode in MODES:
            H_A, H_B = lora_pro_gradients(*given, mode)
            moved = (H_A / unit_G * unit_B) @ (B / unit_B) + (A / unit_A) @ (H_B / unit_G * unit_A)
            np.testing.assert_allclose(moved, product, rtol=0, atol=1e-12)
        H_A, H_B = lora_muon_gradients(*given)
        halves = (H_A * unit_B) @ (B / unit_B), (A / unit_A) @ (H_B * unit_A)
        for half in halves:
            np.testing.assert_allclose(np.linalg.svd(half)[1][:3], [.5, .5, 0], atol=1e-12)
        assert tangent_share(A, B, G) == pytest.approx(np.sum(product**2) / np.sum((G / unit_G)**2))


def test_units_in_single_precision():
    A, B, G, *_ = problem(5, dtype=np.float32)
    expected = projected(*double(A, B, G))
    for unit in (np.float32(1e-15), np.float32(1e15)):
        H_A, H_B = lora_pro_gradients(A * unit, B * unit, G @ (B * unit).T, (A * unit).T @ G)
        np.testing.assert_allclose((H_A * unit) @ B + A @ (H_B * unit), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_error_grows_with_the_condition_and_not_with_its_square(mode):
    """In float32, relative to G; 1e-5 at the condition 1000."""
    G = drawn(6, 300, 200)
    basis = lambda seed, m: np.linalg.qr(drawn(seed, m, 8))[0]
    for condition, limit in ((1, 3e-7), (1e2, 2e-6), (1e3, 1e-5)):
        A = basis(7, 300) * np.geomspace(1, 1 / condition, 8) @ basis(8, 8)
        B = basis(9, 8) @ (basis(10, 200) * np.geomspace(1, 1 / condition, 8)).T
        a, b, g = (X.astype(np.float32) for X in (A, B, G))
        H_A, H_B = double(*lora_pro_gradients(a, b, g @ b.T, a.T @ g, mode))
        a, b, g = double(a, b, g)
        assert np.linalg.norm(H_A @ b + a @ H_B - projected(a, b, g)) <= limit * np.linalg.norm(g)


def test_a_small_factor():
    """No ridge hides it: orthonormal columns, times a small number."""
    A, B, G, *_ = problem(11, 30, 20, 3)
    A, B = np.linalg.qr(A)[0], np.linalg.qr(B.T)[0].T
    for c in (1e-3, 1e-8, 1e-30):
        H_A, H_B = lora_pro_gradients(c * A, B, G @ B.T, c * A.T @ G)
        np.testing.assert_allclose(H_A @ B + c * A @ H_B, projected(A, B, G), atol=1e-13)


def test_rtol_says_what_is_zero():
    A, B, G, *_ = problem(12)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    A = U * [1, 1e-5] @ Vh
    cut = lora_pro_gradients(A, B, G @ B.T, A.T @ G, rtol=1e-4)
    kept = lora_pro_gradients(A, B, G @ B.T, A.T @ G)
    assert np.abs(cut[1]).max() < 100 < np.abs(kept[1]).max()
    with pytest.raises(ValueError, match="A has not full rank"):
        lora_pro_gradients(A, B, G @ B.T, A.T @ G, "plain", rtol=1e-4)


@pytest.mark.parametrize("ranks", RANKS)
def test_signs(ranks):
    A, B, G, G_A, G_B = problem(13, ranks=ranks)
    H_A, H_B = lora_muon_gradients(A, B, 3 * G_A, 3 * G_B, scale=3.0)
    for rank, half in zip(ranks[::-1], (3 * H_A @ B, 3 * A @ H_B)):
        np.testing.assert_allclose(np.linalg.svd(half)[1][:2], np.where(np.arange(2) < rank, .5, 0), atol=1e-12)
    assert np.linalg.norm(3 * (H_A @ B + A @ H_B), 2) <= 1 + 1e-12
    gain = np.sum(G * 3 * (H_A @ B + A @ H_B))
    nuclear = lambda X: np.linalg.svd(X)[1].sum()
    assert gain == pytest.approx((nuclear(G @ polar(B)[1].T) + nuclear(polar(A)[1].T @ G)) / 2)
    if ranks == (2, 2):
        R = drawn(14, 2, 2)
        K_A, K_B = lora_muon_gradients(A @ R, np.linalg.inv(R) @ B, G_A @ np.linalg.inv(R).T, R.T @ G_B)
        np.testing.assert_allclose(K_A @ np.linalg.inv(R) @ B, 3 * H_A @ B, atol=1e-10)
        np.testing.assert_allclose(A @ R @ K_B, 3 * A @ H_B, atol=1e-10)
        near = lora_muon_gradients(A, B, G_A, G_B, schedule=8)
        np.testing.assert_allclose(near[0], 3 * H_A, atol=0.05)


@pytest.mark.parametrize("dtype", FLOATS)
def test_starts(dtype):
    G = drawn(15, 3, 12, 9, dtype=dtype) * (1 / np.arange(1, 10)).astype(np.float32)
    U, s, Vh = np.linalg.svd(G.astype(np.result_type(dtype, float)), full_matrices=False)
    for r in (1, 4):
        A, B = lora_ga_init(G, r)
        assert A.dtype == B.dtype == dtype and A.shape == (3, 12, r) and B.shape == (3, r, 9)
        missed = np.linalg.norm(A @ A.conj().mT @ G + G @ B.conj().mT @ B - G, axis=(1, 2))
        np.testing.assert_allclose(missed, np.linalg.norm(s[:, 2 * r:], axis=1), rtol=300 * eps(A))
        share = tangent_share(A, B, G)
        np.testing.assert_allclose(share, (s[:, :2 * r]**2).sum(1) / (s**2).sum(1), rtol=300 * eps(A))
        A, B, rest = pissa_init(G, r)
        assert A.dtype == rest.dtype == dtype
        np.testing.assert_allclose(A @ B, U[..., :r] * s[:, None, :r] @ Vh[:, :r], atol=100 * eps(A))
        np.testing.assert_allclose(A @ B + rest, G, atol=100 * eps(A))
        np.testing.assert_allclose(A.conj().mT @ A, B @ B.conj().mT, atol=100 * eps(A))


def test_starts_of_zero_and_of_large_matrices():
    A, B = lora_ga_init(np.zeros((6, 4)), 2)
    np.testing.assert_allclose(A.T @ A, np.eye(2), atol=1e-15)
    assert tangent_share(A, B, np.zeros((6, 4))) == 1
    assert tangent_share(0 * A, 0 * B, np.ones((6, 4))) == 0
    G = drawn(16, 200, 150) * 0.95 ** np.arange(150)
    A, B = lora_ga_init(G, 8)
    best = np.linalg.norm(np.linalg.svd(G)[1][16:])
    assert np.linalg.norm(A @ A.T @ G + G @ B.T @ B - G) <= (1 + 1e-6) * best


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("ranks", [None, (0, 2), (1, 1)])
def test_retraction(ranks, dtype):
    A, B, G, G_A, G_B = problem(17, ranks=ranks, dtype=dtype)
    H_A, H_B = lora_pro_gradients(A, B, G_A, G_B)
    for lr in (0.0, 0.1, np.float32(3)):
        new_A, new_B = lora_retract(A, B, H_A, H_B, lr)
        assert new_A.dtype == new_B.dtype == dtype and new_A.shape == A.shape and new_B.shape == B.shape
        a, b, h, k = double(A, B, H_A, H_B)
        U, s, Vh = np.linalg.svd(a @ b - float(lr) * (h @ b + a @ k))
        few = 300 * eps(A) * max(1, s[0])
        np.testing.assert_allclose(new_A @ new_B, U[:, :2] * s[:2] @ Vh[:2], rtol=0, atol=few)
        np.testing.assert_allclose(new_A.conj().T @ new_A, np.diag(s[:2]), rtol=0, atol=few)
        np.testing.assert_allclose(new_B @ new_B.conj().T, np.diag(s[:2]), rtol=0, atol=few)


def test_retraction_of_any_unit_and_of_many_columns():
    A, B, G, G_A, G_B = problem(18, 3, 4, 3)
    with np.errstate(all="raise", under="ignore"):
        for unit in (1e-150, 1e150):
            new_A, new_B = lora_retract(A * unit, B / unit, G_A * unit, G_B / unit, 0.1)
            new = lora_retract(A, B, G_A, G_B, 0.1)
            np.testing.assert_allclose(new_A @ new_B, new[0] @ new[1], atol=1e-12)


def test_cost():
    """Nothing of the size of the weights is formed."""
    import tracemalloc

    m = n = 4000
    A, B, G_A, G_B = (drawn(i, *shape) for i, shape in enumerate([(m, 4), (4, n), (m, 4), (4, n)]))
    for call in (lambda: lora_pro_gradients(A, B, G_A, G_B), lambda: lora_pro_gradients(A, B, G_A, G_B, "symmetric"),
                 lambda: lora_muon_gradients(A, B, G_A, G_B), lambda: lora_retract(A, B, G_A, G_B, .1)):
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.1 * 8 * m * n


def test_scales():
    assert lora_scale(16, 8) == 2 and lora_scale(16, 8, "classic") == 0.5
    assert type(lora_scale(np.int64(4), np.float32(1))) is float


# --- libraries


@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "jax"])
def test_every_library(library):
    to, back = LIBRARIES[library]
    A, B, G, G_A, G_B = problem(19)
    given, foreign = (A, B, G_A, G_B), [to(X) for X in (A, B, G_A, G_B)]
    for call in (lora_pro_gradients, lora_muon_gradients, lambda *x: lora_retract(*x, 0.1)):
        for found, expected in zip(call(*foreign), call(*given)):
            assert type(found) is type(foreign[0])
            np.testing.assert_allclose(np.abs(back(found)), np.abs(expected), atol=1e-12)       # signs are free
    for found, expected in zip(lora_pro_gradients(*foreign, "symmetric"), lora_pro_gradients(*given, "symmetric")):
        np.testing.assert_allclose(back(found), expected, atol=1e-12)
    start = lora_ga_init(to(G), 2)
    assert float(tangent_share(*start, to(G))) == pytest.approx(float(tangent_share(*lora_ga_init(G, 2), G)))
    np.testing.assert_allclose(back(pissa_init(to(G), 2)[2]), pissa_init(G, 2)[2], atol=1e-13)


@torch_only
def test_half_precision_is_computed_in_single():
    import torch

    A, B, G, G_A, G_B = problem(20, 30, 20, 3)
    half = [torch.asarray(X).bfloat16() for X in (A, B, G_A, G_B)]
    for call in (lora_pro_gradients, lora_muon_gradients):
        found, exact = call(*half), call(*(X.float() for X in half))
        for x, y in zip(found, exact):
            assert x.dtype == torch.bfloat16 and torch.equal(x, y.bfloat16())
    A, B, rest = pissa_init(torch.asarray(G).bfloat16(), 2)
    assert A.dtype == rest.dtype == torch.float32
    assert lora_ga_init(torch.asarray(G).half(), 2)[0].dtype == torch.float16
    assert all(X.dtype == np.float32 for X in pissa_init(G.astype(np.float16), 2))


@torch_only
@pytest.mark.parametrize("start", ["random", "orthonormal", "zero"])
def test_derivatives_in_torch(start):
    """Orthonormal factors have equal singular values; where A = 0 derivatives are finite."""
    import torch

    A, B, G, *_ = problem(21, 5, 4)
    if start == "orthonormal":
        A, B = lora_ga_init(G, 2)
    given = [torch.tensor(X, requires_grad=True) for X in ((0 * A if start == "zero" else A), B, G)]
    calls = [lora_pro_gradients, lora_muon_gradients]
    if start != "zero":
        calls.append(lambda *x: lora_pro_gradients(*x, "plain"))
        calls.append(lambda *x: lora_pro_gradients(*x, "symmetric", scale=2.0))
    for call in calls:
        function = lambda A, B, G: call(A, B, G @ B.mT, A.mT @ G)
        if start == "zero":
            total = sum(H.sin().sum() for H in function(*given))
            assert all(g.isfinite().all() for g in torch.autograd.grad(total, given))
        else:
            assert torch.autograd.gradcheck(function, given, fast_mode=call is not lora_pro_gradients)
    if start != "zero":
        assert torch.autograd.gradcheck(tangent_share, given)
    else:
        assert all(g.isfinite().all() for g in torch.autograd.grad(tangent_share(*given), given))


@torch_only
def test_second_and_complex_derivatives_in_torch():
    import torch

    for dtype in (float, complex):
        A, B, *_ = problem(22, 4, 3, dtype=dtype)
        X, Y = drawn(23, 4, 2, dtype=dtype), drawn(24, 2, 3, dtype=dtype)               # of no G
        given = [torch.tensor(x, requires_grad=True) for x in (A, B, X, Y)]
        assert torch.autograd.gradcheck(lora_pro_gradients, given, check_forward_ad=True, fast_mode=True)
        if dtype is float:
            assert torch.autograd.gradgradcheck(lora_pro_gradients, given, nondet_tol=1e-12, fast_mode=True)


@torch_only
def test_a_start_is_a_constant():
    import torch

    G = torch.tensor(drawn(25, 6, 5), requires_grad=True)
    A, B = lora_ga_init(G, 2)
    new = lora_retract(A, B, A.clone().requires_grad_(), B, 0.1)
    assert not any(X.requires_grad for X in (A, B, *pissa_init(G, 2), *new))


@jax_only
def test_one_compiled_function_in_jax():
    """Values under jit, and the gradient of the steps, against differences in NumPy."""
    import jax

    to, back = LIBRARIES["jax"]
    A, B, G, *_ = problem(26, 5, 4)

    def steps(A, B, G):
        H_A, H_B = lora_pro_gradients(A, B, G @ B.T, A.T @ G)
        return (H_A**3).sum() + (H_B**3).sum(), (H_A, H_B)

    def everything(A, B, G):
        (_, H), slopes = jax.value_and_grad(steps, (0, 1, 2), has_aux=True)(A, B, G)
        K = lora_muon_gradients(A, B, G @ B.T, A.T @ G)
        new, start = lora_retract(A, B, *H, 0.1), lora_ga_init(G, 2)
        return (*H, *K, new[0] @ new[1], start[0] @ start[0].T, start[1].T @ start[1]), slopes

    found, slopes = jax.jit(everything)(to(A), to(B), to(G))
    H = steps(A, B, G)[1]
    K, new, start = lora_muon_gradients(A, B, G @ B.T, A.T @ G), lora_retract(A, B, *H, 0.1), lora_ga_init(G, 2)
    expected = *H, *K, new[0] @ new[1], start[0] @ start[0].T, start[1].T @ start[1]
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(back(x), y, atol=1e-12)
    D = [drawn(30 + i, *X.shape) for i, X in enumerate((A, B, G))]
    at = lambda t: steps(*(X + t * d for X, d in zip((A, B, G), D)))[0]
    slope = sum(float((back(g) * d).sum()) for g, d in zip(slopes, D))
    assert slope == pytest.approx((at(1e-6) - at(-1e-6)) / 2e-6, rel=1e-6)


@torch_only
def test_one_graph_in_torch():
    import torch

    torch.compiler.reset()
    given = [torch.asarray(X) for X in problem(27)]
    A, B, _, G_A, G_B = given
    found = torch.compile(lora_pro_gradients, fullgraph=True, backend="eager")(A, B, G_A, G_B)
    for x, y in zip(found, lora_pro_gradients(A, B, G_A, G_B)):
        np.testing.assert_allclose(x, y, atol=1e-12)


# --- refusals


A, B, G, G_A, G_B = problem(40)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: lora_pro_gradients(A, B.T, G_A, G_B), ValueError, "A has shape (7, 2) and B has shape (5, 2); allowed are (..., m, r) and (..., r, n)"),
    (lambda: lora_pro_gradients(A[:, :0], B[:0], G_A[:, :0], G_B[:0]), ValueError, "none of m, r and n zero"),
    (lambda: lora_pro_gradients(A, B, G_A[1:], G_B), ValueError, "GA has shape (6, 2); allowed is the shape of A, (7, 2)"),
    (lambda: lora_pro_gradients(A, B, G_A, G_B.T), ValueError, "GB has shape (5, 2); allowed is the shape of B, (2, 5)"),
    (lambda: lora_pro_gradients(A, B, G_A * np.nan, G_B), ValueError, "GA contains 14 NaN"),
    (lambda: lora_pro_gradients(A, B, G_A, G_B, "exact"), ValueError, "mode is 'exact'; allowed are 'sylvester', 'plain', 'symmetric'"),
    (lambda: lora_pro_gradients(A, B, G_A, G_B, scale=0), ValueError, "scale is 0; allowed is a finite number above 0"),
    (lambda: lora_pro_gradients(A, B, G_A, G_B, rtol=2), ValueError, "rtol is 2"),
    (lambda: lora_pro_gradients(0 * A, B, G_A, 0 * G_B, "plain"), ValueError, "A has not full rank, and mode='plain' divides by its singular values; allowed is any rank with mode='sylvester'"),
    (lambda: lora_pro_gradients(A, 0 * B, G_A, 0 * G_B, "symmetric"), ValueError, "B has not full rank"),
    (lambda: lora_pro_gradients(np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 3)), np.ones((3, 2)), "plain"), ValueError, "A has not full rank"),
    (lambda: lora_pro_gradients(A.astype(str), B, G_A, G_B), TypeError, "A has dtype"),
    (lambda: lora_muon_gradients(A, B, G_A, G_B, scale=-1), ValueError, "scale is -1"),
    (lambda: lora_muon_gradients(A, B, G_A, G_B, schedule=-1), ValueError, "schedule is -1"),
    (lambda: tangent_share(A, B, G.T), ValueError, "G has shape (5, 7); allowed is the shape of A @ B, (7, 5)"),
    (lambda: lora_ga_init(G, 3), ValueError, "rank is 3; allowed is an integer from 1 to 2 for shape (7, 5), half of the short side"),
    (lambda: lora_ga_init(G, 0), ValueError, "rank is 0"),
    (lambda: lora_ga_init(G, 1.5), TypeError, "rank is 1.5"),
    (lambda: lora_ga_init(np.inf * G, 1), ValueError, "G contains"),
    (lambda: lora_ga_init(G[0], 1), ValueError, "G has shape (5,)"),
    (lambda: pissa_init(G, 6), ValueError, "rank is 6; allowed is an integer from 1 to 5"),
    (lambda: lora_retract(A, B, G_A, G_B, np.inf), ValueError, "lr is inf; allowed is a finite number"),
    (lambda: lora_retract(A[:1], B, G_A[:1], G_B, 1), ValueError, "allowed is a rank r of at most min(m, n)"),
    (lambda: lora_scale(0, 1), ValueError, "rank is 0"),
    (lambda: lora_scale(4, 0), ValueError, "alpha is 0; allowed is a finite number above 0"),
    (lambda: lora_scale(4, 1, "none"), ValueError, "rule is 'none'; allowed are 'rs', 'classic'"),
])
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


@torch_only
def test_refuses_two_libraries():
    import torch

    with pytest.raises(TypeError, match="both must belong to one array library"):
        lora_pro_gradients(A, torch.asarray(B), G_A, G_B)
    with pytest.raises(TypeError, match="both must belong to one array library"):
        lora_retract(A, B, torch.asarray(G_A), G_B, 1)

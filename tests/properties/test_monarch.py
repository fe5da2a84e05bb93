"""Monarch matrices: the projection on hard matrices and in every library, exact products, solves and determinants, derivatives."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.fft import dct
from scipy.linalg import hadamard

import lowrank
from lowrank import (
    Monarch,
    dft_monarch,
    monarch_dense,
    monarch_matmul,
    monarch_options,
    monarch_project,
    monarch_slogdet,
    monarch_solve,
)
from lowrank.monarch import from_levels, two_levels
from tests.properties.libraries import LIBRARIES, needs
from tests.properties.matrices import FLOATS, HARD, assert_unchanged, double, eps

torch_only, jax_only = needs("torch"), needs("jax")
SIDES = ("balanced", "left", "right")
HILBERT = 1 / (1 + np.add.outer(np.arange(16.0), np.arange(16.0)))


def normal(*shape, seed=0, dtype=complex):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal(shape)
    return (X + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else X).astype(dtype)


def pair(k, l, q, p, r=1, lead=(), seed=0, dtype=complex):
    return normal(*lead, l, q, k, r, seed=seed, dtype=dtype), normal(*lead, k, l, r, p, seed=seed + 1, dtype=dtype)


def reference(M, k, l, r):
    """Slice by slice, and the error."""
    X, error, p = np.empty_like(M), 0.0, M.shape[1] // k
    for b in range(l):
        for c in range(k):
            U, s, Vh = np.linalg.svd(M[b::l, c * p:(c + 1) * p], full_matrices=False)
            X[b::l, c * p:(c + 1) * p] = (U[:, :r] * s[:r]) @ Vh[:r]
            error += np.sum(s[r:]**2)
    return X, error**0.5


def error(M, *args, **options):
    return np.linalg.norm(M - monarch_project(M, *args, **options).reconstruct()) / (np.linalg.norm(M) or 1)


def largest_blocks(shape):
    divisors = lambda n: [d for d in range(1, n + 1) if n % d == 0]
    return [(k, l) for k in divisors(shape[1]) for l in divisors(shape[0])]


@pytest.mark.parametrize("name", HARD)
def test_projection_of_hard_matrices(name):
    A = HARD[name]
    for k, l in largest_blocks(A.shape):
        for r in range(1, min(A.shape[0] // l, A.shape[1] // k) + 1)[:3]:
            X, best = reference(double(A), k, l, r)
            M = assert_unchanged(A, lambda B: monarch_project(B, (k, l), r))
            tiny = 20 * max(A.shape) * eps(A) * np.linalg.norm(double(A))
            assert M.shape == A.shape and M.dtype.kind in "fc" and M.rank == r and M.blocks == (k, l)
            assert abs(np.linalg.norm(double(A) - M.reconstruct()) - best) <= tiny
            s = [np.linalg.svd(double(A)[b::l, c * (A.shape[1] // k):(c + 1) * (A.shape[1] // k)], compute_uv=False) for b in range(l) for c in range(k)]
            if all(len(x) == r or x[r - 1] > 1.001 * x[r] for x in s):              # else there are others as good
                np.testing.assert_allclose(M.reconstruct(), X, rtol=0, atol=3000 * tiny)


def test_reference_values():
    """Of the facts page; the Hilbert matrix, and the matrix that whitens scikit-learn's digits."""
    for r, expected in ((1, 8.568080498742e-02), (2, 2.425091506552e-03), (3, 2.327812643480e-05)):
        assert error(HILBERT, (4, 4), r) == pytest.approx(expected, rel=1e-9)
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    w, V = np.linalg.eigh(np.cov(load_digits().data.T) + np.eye(64))
    W = V / np.sqrt(w) @ V.T
    for r, expected, low in ((1, .10525009, .79978296), (2, .06295044, .57648179), (4, .02491981, .31901417)):
        assert error(W, (8, 8), r) == pytest.approx(expected, abs=1e-8)
        assert error(W, (1, 1), 8 * r) == pytest.approx(low, abs=1e-8)
        options = {x.blocks: x for x in monarch_options(W, 1024 * r)}
        assert options[8, 8].error == pytest.approx(expected, abs=1e-8) and options[8, 8].rank == r


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_sides(side, dtype):
    A = normal(6, 20, dtype=dtype)
    L, R = monarch_project(A, (4, 2), 2, side=side)
    assert L.dtype == R.dtype == dtype and L.shape == (2, 3, 4, 2) and R.shape == (4, 2, 2, 5)
    left, right = np.einsum("bacr,bacs->bcrs", L.conj(), L), np.einsum("cbre,cbse->bcrs", R, R.conj())
    eye, atol = np.broadcast_to(np.eye(2), left.shape), 50 * eps(A)
    if side == "right":
        np.testing.assert_allclose(left, eye, atol=atol)
    if side == "left":
        np.testing.assert_allclose(right, eye, atol=atol)
    if side == "balanced":
        np.testing.assert_allclose(left, right.conj(), atol=20 * atol)
    np.testing.assert_allclose(monarch_dense(L, R), reference(A, 4, 2, 2)[0], atol=20 * atol)


@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e150, 1e300])
def test_extreme_units(unit):
    A = normal(8, 6, dtype=float)
    for side in SIDES:
        M = monarch_project(A * unit, (2, 4), side=side)
        np.testing.assert_allclose(M.reconstruct() / unit, reference(A, 2, 4, 1)[0], atol=1e-13)
        np.testing.assert_allclose((M @ (A.T / unit)), reference(A, 2, 4, 1)[0] @ A.T, atol=1e-12)
    L, R = pair(3, 2, 3, 2, dtype=float)
    x = normal(6, 1, dtype=float)
    np.testing.assert_allclose(monarch_solve(L * unit, R, monarch_matmul(L * unit, R, x)), x, rtol=1e-9)
    sign, log = monarch_slogdet(L * unit, R)
    assert log == pytest.approx(monarch_slogdet(L, R)[1] + 6 * math.log(unit), rel=1e-12)
    for x, y in zip(monarch_options(A * unit, 30), monarch_options(A, 30)):
        assert x[:2] == y[:2] and x.error == pytest.approx(y.error, rel=1e-12)


def test_slices_of_different_size_are_all_exact():
    """The unit is that of a slice, not of the matrix: small slices keep their digits in float32."""
    A = np.kron(np.diag([1.0, 1e-30]), np.outer([1, 2, 3], [1, -2, 1])).astype(np.float32)
    X = monarch_project(A, (2, 3)).reconstruct()
    np.testing.assert_allclose(X, A, rtol=1e-5)


@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "jax"])       # see test_jax
def test_every_library(library):
    convert, back = LIBRARIES[library]
    for dtype in FLOATS:
        A, tol = normal(3, 12, 10, dtype=dtype), 200 * eps(normal(1, dtype=dtype))
        X = np.stack([reference(double(B), 2, 3, 2)[0] for B in A])
        M = monarch_project(convert(A), (2, 3), 2)
        L, R = M
        assert type(L) is type(R) is type(convert(A)) and L.dtype == R.dtype == convert(A).dtype
        assert M.shape == (3, 12, 10) and M.ndim == 3 and M.rank == 2 and M.dtype == convert(A).dtype
        np.testing.assert_allclose(back(M.reconstruct()), X, atol=tol)
        np.testing.assert_allclose(back(monarch_dense(L, R)), X, atol=tol)
        v = normal(10, 4, seed=5, dtype=dtype)
        np.testing.assert_allclose(back(monarch_matmul(L, R, convert(v))), X @ v, atol=10 * tol)
        np.testing.assert_allclose(back(M @ convert(v)), X @ v, atol=10 * tol)
        np.testing.assert_allclose(back(M @ convert(v[:, 0])), X @ v[:, 0], atol=10 * tol)
        w = normal(12, 4, seed=6, dtype=dtype)
        np.testing.assert_allclose(back(monarch_matmul(L, R, convert(w), adjoint=True)), np.conj(X).mT @ w, atol=10 * tol)
        L, R = (convert(F) for F in pair(2, 3, 2, 3, lead=(3,), dtype=dtype))
        D, y = back(monarch_dense(L, R)), normal(6, 2, seed=7, dtype=dtype)
        for adjoint, A in ((False, D), (True, np.conj(D).mT)):
            found = monarch_solve(L, R, convert(y), adjoint=adjoint)
            np.testing.assert_allclose(back(found), np.linalg.solve(A, np.broadcast_to(y, (3, 6, 2))), rtol=1e4 * tol, atol=1e3 * tol)
            assert found.dtype == convert(y).dtype
        sign, log = monarch_slogdet(L, R)
        expected = np.linalg.slogdet(D)
        np.testing.assert_allclose(back(sign), expected[0], atol=50 * tol)
        np.testing.assert_allclose(back(log), expected[1], atol=50 * tol)


def test_stacks_broadcast_and_may_be_empty():
    L, R = pair(2, 3, 4, 5, 2)
    more = pair(2, 3, 4, 5, 2, lead=(7, 1), seed=3)[1]
    X, D = normal(6, 10, 3), monarch_dense(L, more)
    assert D.shape == (7, 1, 12, 10) and Monarch(L, more).shape == D.shape
    np.testing.assert_allclose(monarch_matmul(L, more, X), D @ X, atol=1e-12)
    np.testing.assert_allclose(monarch_matmul(L, more, normal(6, 12, 3), adjoint=True), D.conj().mT @ normal(6, 12, 3), atol=1e-12)
    assert monarch_matmul(L, R, np.ones((10, 0))).shape == (12, 0)
    empty = monarch_project(np.ones((0, 12, 10)), (2, 3))
    assert empty.shape == (0, 12, 10) and (empty @ np.ones(10)).shape == (0, 12)
    assert monarch_project(np.arange(12).reshape(3, 4)).L.dtype == np.float64


def test_blocks_by_default_are_near_the_roots():
    assert monarch_project(np.ones((64, 36))).blocks == (6, 8)
    assert monarch_project(np.ones((8, 12))).blocks == (3, 2)
    assert monarch_project(np.ones((7, 1))).blocks in ((1, 1), (1, 7))


@pytest.mark.parametrize("k, l", [(1, 1), (1, 5), (7, 1), (2, 3), (3, 2), (8, 16), (32, 32)])
def test_fourier(k, l):
    n = k * l
    L, R, order = dft_monarch(n, (k, l))
    assert sorted(order.tolist()) == list(range(n)) and L.shape == (l, k, k, 1) and R.shape == (k, l, 1, l)
    x = normal(n)
    np.testing.assert_allclose(Monarch(L, R) @ x[order], np.fft.fft(x), rtol=0, atol=1e-12 * n)
    assert np.abs(monarch_dense(L, R) - np.exp(-2j * np.pi * (np.outer(np.arange(n), order) % n) / n)).max() < 1e-15 * 4
    assert dft_monarch(12)[0].shape in ((4, 3, 3, 1), (3, 4, 4, 1))


def test_transforms_in_the_class():
    assert error(hadamard(64).astype(float), (8, 8)) < 1e-14
    n = 36
    C = dct(np.eye(n), axis=0)[:, [*range(0, n, 2), *reversed(range(1, n, 2))]][:, dft_monarch(n)[2]]
    assert error(C, (6, 6), 2) < 1e-14 and error(C, (6, 6), 1) == pytest.approx(0.459, abs=1e-3)
    assert error(np.fft.fft(np.eye(256), axis=0), (16, 16)) == pytest.approx(0.968, abs=1e-3)


def test_options():
    A = normal(12, 18, dtype=float)
    found = monarch_options(A, 100)
    assert [x.error for x in found] == sorted(x.error for x in found)
    for x in found:
        assert x.rank == min(100 // (x.blocks[0] * 12 + x.blocks[1] * 18), 12 // x.blocks[1], 18 // x.blocks[0])
        M = monarch_project(A, x.blocks, x.rank)
        assert x.parameters == M.L.size + M.R.size <= 100
        assert np.linalg.norm(A - M.reconstruct()) / np.linalg.norm(A) == pytest.approx(x.error, abs=1e-14)
    assert {x.blocks for x in found} == {b for b in largest_blocks(A.shape) if 12 * b[0] + 18 * b[1] <= 100}
    exact = monarch_options(np.kron(normal(3, 4, dtype=float), normal(4, 2, dtype=float)), 96)[0]
    assert exact.error < 1e-14 and exact.blocks == (4, 4) or exact.parameters < 96
    assert all(x.error == 0 for x in monarch_options(np.zeros((4, 4)), 20))


def test_a_monarch_matrix_is_a_linear_map():
    """The functions of Part I take the result; sparse matrices multiply it."""
    M = monarch_project(HILBERT, (4, 4), 2)
    s = lowrank.truncated_svd(M, 3).s
    np.testing.assert_allclose(s, np.linalg.svd(M.reconstruct())[1][:3], rtol=1e-10)
    assert lowrank.estimate_error(HILBERT, M, rng=0).bound < 0.1
    np.testing.assert_allclose(sparse.eye_array(16).tocsr() @ M, M.reconstruct(), rtol=1e-12)
    assert repr(M) == "<Monarch: 16 x 16 in 4 x 4 slices of rank 2, float64>"


def test_nothing_large_is_formed():
    n, k = 4096, 64
    L, R = pair(k, k, k, k, dtype=float)
    X = np.ones((n, 4))
    tracemalloc.start()
    M = Monarch(L, R)
    monarch_solve(L, R, M @ X)
    np.ones((2, n)) @ M
    monarch_slogdet(L, R)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * n * n * 8


def test_two_levels():
    for count in (1, 2, 3, 10, 99, 100, 101):
        rows, h = two_levels(count)
        assert (rows - 1) * h < count <= rows * h and abs(rows - h) <= 1
        t = from_levels(np.array([[h * i, 1] for i in range(rows)]), np.array([[1] * h, list(range(h))]), count)
        assert t.tolist() == list(range(count))


A6 = np.ones((6, 6))
BAD = [
    (lambda: monarch_project(A6, (4, 3)), ValueError, "k of blocks is 4, and there are 6 columns; allowed are the divisors of 6: 1, 2, 3, 6"),
    (lambda: monarch_project(A6, (3, 4)), ValueError, "l of blocks is 4, and there are 6 rows; allowed are the divisors of 6: 1, 2, 3, 6"),
    (lambda: monarch_project(A6, (3, 0)), ValueError, "l of blocks is 0; allowed is an integer from 1"),
    (lambda: monarch_project(A6, (1.5, 2)), TypeError, "k of blocks is 1.5; allowed is an integer from 1"),
    (lambda: monarch_project(A6, 3), ValueError, r"blocks is 3; allowed are two integers \(k, l\)"),
    (lambda: monarch_project(A6, (2, 3, 1)), ValueError, "allowed are two integers"),
    (lambda: monarch_project(A6, (2, 3), 3), ValueError, r"rank is 3; allowed is an integer from 1 to 2 for slices of shape \(2, 3\)"),
    (lambda: monarch_project(A6, (2, 3), 0), ValueError, "rank is 0; allowed is an integer from 1 to 2"),
    (lambda: monarch_project(A6, (2, 3), True), TypeError, "rank is True"),
    (lambda: monarch_project(A6, side="both"), ValueError, "side is 'both'; allowed are 'balanced', 'left', 'right'"),
    (lambda: monarch_project(A6 * np.nan), ValueError, "M contains 36 NaN and 0 Inf"),
    (lambda: monarch_project(A6[0]), ValueError, r"M has shape \(6,\); allowed is a matrix"),
    (lambda: monarch_project(A6[:0]), ValueError, r"M has shape \(0, 6\); allowed is at least one row and one column"),
    (lambda: monarch_project(A6.astype(str)), TypeError, "M has dtype"),
    (lambda: monarch_dense(np.ones((2, 3, 4, 1)), np.ones((4, 3, 1, 2))), ValueError, r"L has shape \(2, 3, 4, 1\) and R has shape \(4, 3, 1, 2\); allowed are \(\.\.\., l, q, k, r\) and"),
    (lambda: Monarch(A6, A6), ValueError, r"L has shape \(6, 6\)"),
    (lambda: monarch_matmul(*pair(2, 3, 2, 2), np.ones((5, 1))), ValueError, r"X has shape \(5, 1\); allowed is \(\.\.\., 4, s\)"),
    (lambda: monarch_matmul(*pair(2, 3, 2, 2), np.ones((4, 1)), adjoint=True), ValueError, r"X has shape \(4, 1\); allowed is \(\.\.\., 6, s\)"),
    (lambda: monarch_matmul(*pair(2, 3, 2, 2), np.ones(4)), ValueError, r"X has shape \(4,\)"),
    (lambda: monarch_matmul(*pair(2, 3, 2, 2), np.full((4, 1), np.inf)), ValueError, "X contains 0 NaN and 4 Inf"),
    (lambda: monarch_solve(*pair(2, 3, 2, 2), np.ones((6, 1))), ValueError, "allowed are rank 1 and square blocks"),
    (lambda: monarch_solve(*pair(2, 2, 2, 2, 2), np.ones((4, 1))), ValueError, "allowed are rank 1 and square blocks"),
    (lambda: monarch_solve(*pair(2, 3, 2, 3), np.ones((5, 1))), ValueError, r"Y has shape \(5, 1\); allowed is \(\.\.\., 6, s\)"),
    (lambda: monarch_solve(np.zeros((3, 2, 2, 1)), np.ones((2, 3, 1, 3)), np.ones((6, 1))), np.linalg.LinAlgError, "[Ss]ingular"),
    (lambda: monarch_slogdet(*pair(2, 2, 2, 2, 2)), ValueError, "allowed are rank 1 and square blocks"),
    (lambda: dft_monarch(0), ValueError, "n is 0; allowed is an integer from 1"),
    (lambda: dft_monarch(4.0), TypeError, "n is 4.0"),
    (lambda: dft_monarch(12, (2, 3)), ValueError, r"blocks is \(2, 3\); allowed are two integers whose product is 12"),
    (lambda: dft_monarch(12, (5, 2)), ValueError, "k of blocks is 5"),
    (lambda: monarch_options(A6, 11), ValueError, r"budget is 11; allowed is an integer from 12 for shape \(6, 6\)"),
    (lambda: monarch_options(A6, 20.0), TypeError, "budget is 20.0"),
    (lambda: monarch_options(A6 * np.inf, 20), ValueError, "M contains"),
    (lambda: monarch_options(A6[None], 20), ValueError, r"M has shape \(1, 6, 6\)"),
]


@pytest.mark.parametrize("call, kind, message", BAD)
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_a_determinant_of_zero():
    sign, log = monarch_slogdet(np.zeros((3, 2, 2, 1)), np.ones((2, 3, 1, 3)))
    assert sign == 0 and log == -np.inf


@torch_only
def test_two_libraries_are_refused():
    import torch
    L, R = pair(2, 3, 2, 2, dtype=float)
    with pytest.raises(TypeError, match="R is a Tensor and L is a ndarray; both must belong to one array library"):
        monarch_dense(L, torch.as_tensor(R))


# --- Derivatives


def with_values(s, m, n, dtype, seed=0):
    U, V = (np.linalg.qr(normal(size, size, seed=seed + i, dtype=dtype))[0][:, :len(s)] for i, size in enumerate((m, n)))
    return U * np.array(s) @ V.conj().T


def of_slices(slices, k, l):
    """A matrix with these slices, at [b][c]."""
    q, p = slices[0][0].shape
    M = np.empty((q * l, p * k), slices[0][0].dtype)
    for b in range(l):
        for c in range(k):
            M[b::l, c * p:(c + 1) * p] = slices[b][c]
    return M


def example(values, dtype, shape=(3, 4)):
    return of_slices([[with_values(values, *shape, dtype, 10 * b + c) for c in range(2)] for b in range(2)], 2, 2)


VALUES = {"apart": (3, 2, 0.5), "equal and kept": (2, 2, 0.5), "equal and dropped": (2, 1, 1), "a zero": (2, 1, 0)}


@torch_only
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("values, rank", [("apart", 2), ("equal and kept", 2), ("equal and dropped", 1), ("a zero", 2), ("a zero", 1)])
def test_gradcheck_of_the_product(values, rank, dtype):
    """The derivative of L R is that of the nearest matrix, also at equal singular values."""
    import torch
    A = torch.tensor(example(VALUES[values], dtype), requires_grad=True)
    for side in SIDES:
        f = lambda A, side=side: monarch_dense(*monarch_project(A, (2, 2), rank, side=side))
        assert torch.autograd.gradcheck(f, A, check_forward_ad=True, atol=1e-6, rtol=1e-6, fast_mode=True)
    if values == "apart":
        assert torch.autograd.gradgradcheck(f, A, atol=1e-5, rtol=1e-5, fast_mode=True)


@torch_only
def test_gradcheck_of_products_and_solves():
    import torch
    L, R = (torch.tensor(F, requires_grad=True) for F in pair(2, 3, 2, 3))
    X = torch.tensor(normal(6, 2), requires_grad=True)
    for f in (monarch_matmul, monarch_solve):
        for adjoint in (False, True):
            assert torch.autograd.gradcheck(lambda *args: f(*args, adjoint=adjoint), (L, R, X), atol=1e-5, rtol=1e-5, fast_mode=True)
    assert torch.autograd.gradcheck(lambda L, R: monarch_slogdet(L, R)[1], (L, R), atol=1e-6, fast_mode=True)
    assert torch.autograd.gradcheck(monarch_dense, (L, R), fast_mode=True)


@torch_only
def test_finite_where_there_is_no_derivative():
    """A tie across the cut, a slice of lower rank, a zero matrix."""
    import torch
    for A in (example((1, 1, 1), float), example((1, 0, 0), float), np.zeros((6, 8))):
        for side in SIDES:
            B = torch.tensor(A, requires_grad=True)
            M = monarch_project(B, (2, 2), 2, side=side)
            (M.reconstruct() * torch.tensor(normal(6, 8, dtype=float))).sum().backward()
            assert torch.isfinite(B.grad).all()
    for A in (example((3, 2, 0.5), float), example((1, 1, 1), float), example((1, 0, 0), float)):    # nothing is dropped
        B = torch.tensor(A, requires_grad=True)
        G = torch.tensor(normal(6, 8, dtype=float))
        (monarch_project(B, (2, 2), 3, side="left").reconstruct() * G).sum().backward()
        if A[0, 0] == example((1, 0, 0), float)[0, 0]:
            continue
        q = monarch_project(G.numpy(), (2, 2), 3).reconstruct()                                      # all of it for full rank
        assert np.linalg.norm(q - G.numpy()) < 1e-12
        np.testing.assert_allclose(B.grad, G, atol=1e-12)


@torch_only
def test_transforms_in_torch():
    import torch
    stack = torch.tensor(np.stack([example(VALUES[v], float) for v in VALUES]))
    G = torch.tensor(normal(6, 8, dtype=float))
    f = lambda A: (monarch_project(A, (2, 2), 2).reconstruct() * G).sum()
    each = torch.stack([torch.func.grad(f)(A) for A in stack[:2]])
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(f))(stack[:2]), each, rtol=0, atol=1e-12)
    torch.compiler.reset()
    compiled = torch.compile(lambda A, X: monarch_matmul(*monarch_project(A, (2, 2), 2), X), fullgraph=True, backend="eager")
    A, X = stack[0].requires_grad_(), torch.tensor(normal(8, 3, dtype=float))
    plain = monarch_matmul(*monarch_project(A, (2, 2), 2), X)
    torch.testing.assert_close(compiled(A, X), plain, rtol=0, atol=1e-12)
    one, = torch.autograd.grad(compiled(A, X).sum(), A)
    other, = torch.autograd.grad(plain.sum(), A)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    L, R = (torch.tensor(F) for F in pair(2, 3, 2, 3, dtype=float))
    both = torch.compile(lambda L, R, Y: (monarch_solve(L, R, Y), *monarch_slogdet(L, R)), fullgraph=True, backend="eager")
    for a, b in zip(both(L, R, X[:6]), (monarch_solve(L, R, X[:6]), *monarch_slogdet(L, R))):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@torch_only
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precision(name):
    """The result is in it, the sums are not."""
    import torch
    dtype = getattr(torch, name)
    L, R = (torch.tensor(F.astype(np.float32)).to(dtype) for F in pair(32, 32, 32, 32, dtype=float))
    X = torch.tensor(normal(1024, 2, dtype=float)).to(dtype)
    Y, exact = monarch_matmul(L, R, X), monarch_matmul(L.double(), R.double(), X.double())
    assert Y.dtype == dtype and (Y - exact).abs().max() <= torch.finfo(dtype).eps * exact.abs().max()
    A = torch.tensor(example(VALUES["apart"], float)).to(dtype)
    M = monarch_project(A, (2, 2), 2)
    exact = monarch_project(A.double(), (2, 2), 2).reconstruct()
    assert M.L.dtype == M.R.dtype == M.dtype == dtype
    assert (M.reconstruct() - exact).abs().max() <= 4 * torch.finfo(dtype).eps * exact.abs().max()
    L, R = (torch.tensor(F).to(dtype) for F in pair(2, 3, 2, 3, dtype=float))
    assert monarch_solve(L, R, X[:6]).dtype == dtype and monarch_slogdet(L, R)[0].dtype == dtype


@jax_only
@pytest.mark.parametrize("values", ["apart", "equal and kept"])
def test_jax(values):
    import jax
    from jax.test_util import check_grads
    convert = LIBRARIES["jax"][0]
    A, G = example(VALUES[values], float), normal(6, 8, dtype=float)
    f = jax.jit(lambda A: (monarch_dense(*monarch_project(A, (2, 2), 2)) * G).sum())
    check_grads(f, (convert(A),), order=2 if values == "apart" else 1, modes=["rev"], atol=1e-4, rtol=1e-4)
    assert f(convert(A)) == pytest.approx((monarch_project(A, (2, 2), 2).reconstruct() * G).sum(), rel=1e-12)
    if values != "apart":
        return
    mapped = jax.jit(jax.vmap(jax.grad(f)))
    np.testing.assert_allclose(mapped(convert(np.stack([A, 2 * A])))[0], jax.grad(f)(convert(A)), atol=1e-12)
    every = lambda A, L, R, Y: (
        *monarch_project(A, (2, 2), 2), monarch_dense(L, R), monarch_matmul(L, R, Y), monarch_matmul(L, R, Y, adjoint=True),
        monarch_solve(L, R, Y), monarch_solve(L, R, Y, adjoint=True), *monarch_slogdet(L, R))
    for dtype in (np.float32, np.complex128):
        arrays = [np.stack([X, 2 * X]).astype(dtype) for X in (A, *pair(2, 3, 2, 3, dtype=dtype), normal(6, 2, dtype=dtype))]
        for found, expected in zip(jax.jit(every)(*map(convert, arrays))[2:], every(*arrays)[2:]):
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e5 * eps(arrays[0]), atol=1e4 * eps(arrays[0]))


def test_cost_of_a_product():
    """r (k m + l n) multiplications a column, as the docstring says: counted by PyTorch."""
    counter = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode
    import torch
    k, l, q, p, r, s = 4, 3, 6, 5, 2, 7
    L, R = (torch.tensor(F) for F in pair(k, l, q, p, r, dtype=float))
    for adjoint, rows in ((False, k * p), (True, l * q)):
        with counter(display=False) as found:
            monarch_matmul(L, R, torch.ones(rows, s, dtype=torch.float64), adjoint=adjoint)
        assert found.get_total_flops() == 2 * r * (k * q * l + l * k * p) * s

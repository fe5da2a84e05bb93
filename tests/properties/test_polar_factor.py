"""msign on every library, dtype, shape and scale; its certificate; its derivative; the optimizer of the text."""


import nbformat
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings

from lowrank import SignInfo, msign, msign_jvp, msign_vjp, optimal_msign_schedule, pade_step, polar_residuals
from lowrank.polar_factor import _isometry_bound, _qdwh_weights
from tests.properties.chapters_text import python_blocks
from tests.properties.libraries import LIBRARIES, every_library_and_dtype, needs
from tests.properties.matrices import HARD, any_matrix, assert_unchanged, double, eps

HALF = optimal_msign_schedule(8, degree=5, lower=1e-3, cushion=0.02, safety=1e-2)


def gaussian(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape)
    return (A + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def with_values(s, shape=None, seed=0):
    rng = np.random.default_rng(seed)
    m, n = shape or (len(s), len(s))
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    return (U * s) @ V.T, U @ V.T


# --- the definition

@pytest.mark.parametrize("name", HARD)
def test_svd_gives_the_partial_isometry_of_every_hard_matrix(name):
    A = HARD[name]
    X, info = assert_unchanged(A, lambda A: msign(A, return_info=True))
    s = np.linalg.svd(double(A), compute_uv=False)
    rank = np.count_nonzero(s > max(A.shape) * eps(A) * s[0])
    size = 20 * max(A.shape) * eps(A)
    found = np.linalg.svd(X, compute_uv=False)
    np.testing.assert_allclose(found, np.arange(len(s)) < rank, rtol=0, atol=size)
    assert info.bound < size and info.hermitian < size and info.converged and info.steps == 0
    H = X.conj().T @ double(A)
    assert np.linalg.eigvalsh((H + H.conj().T) / 2).min() >= -size * s[0]


@settings(max_examples=60, deadline=None)
@given(A=any_matrix())
def test_any_shape_rank_dtype_and_scale(A):
    X = assert_unchanged(A, msign)
    assert X.dtype == A.dtype and X.shape == A.shape and np.isfinite(X).all()
    residual = X @ X.conj().T @ X - X
    assert abs(residual).max() < 300 * eps(A)
    X = assert_unchanged(A, lambda A: msign(A, method="polynomial"))
    assert X.dtype == A.dtype and np.linalg.norm(X, 2) < 1 + 1e-3


def test_the_cut_off_is_the_users():
    A, _ = with_values(np.array([1, 1e-3, 1e-9]))
    for rtol, rank in ((1e-12, 3), (1e-6, 2), (1e-2, 1), (0, 3)):
        assert round(np.linalg.norm(msign(A, rtol=rtol))**2) == rank
    assert np.array_equal(msign(np.zeros((3, 2))), np.zeros((3, 2)))


@pytest.mark.parametrize("method", ["svd", "polynomial", "qdwh"])
def test_scipy_agrees_at_full_rank(method):
    for shape in ((8, 8), (12, 5)):
        A = gaussian(*shape)
        np.testing.assert_allclose(msign(A, method=method), scipy.linalg.polar(A)[0], atol=1e-12)


# --- accuracy

def robust(degree, lower=4 * 2.0**-52):
    """What "polynomial" takes without a schedule, of another degree or range."""
    return optimal_msign_schedule(degree=degree, lower=lower, tol=2.0**-52, cushion=0.1, safety=1e-6)


@pytest.mark.parametrize("options, backward", [
    ({"method": "svd"}, 1e-14), ({"method": "qdwh"}, 1e-14), ({"method": "polynomial"}, 1e-14),
    ({"method": "polynomial", "schedule": robust(3)}, 1e-14), ({"method": "polynomial", "schedule": robust(9)}, 1e-13),
])
@pytest.mark.parametrize("kappa", [1.0, 1e5, 1e10, 1e13])
def test_backward_error_up_to_1e13(options, backward, kappa):
    spectra = [np.geomspace(1, 1 / kappa, 80), np.r_[1, np.full(79, 1 / kappa)], np.r_[np.ones(79), 1 / kappa]]
    for s, shape in zip(spectra, (None, (100, 80), (80, 300))):
        A, exact = with_values(s, shape)
        X, info = msign(A, return_info=True, **options)
        r = polar_residuals(A, X)
        assert r.orthogonality < 1e-13 and r.backward < backward and info.converged
        assert info.bound < 1e-13 and info.hermitian < 2 * backward
        assert np.linalg.norm(X - exact, 2) < 100 * 2.2e-16 * kappa


def test_the_bound_holds_and_says_when_it_does_not():
    A, exact = with_values(np.geomspace(1, 1e-3, 40))
    for steps in range(5, 10):
        X, info = msign(A, schedule=steps, return_info=True)
        s = np.linalg.svd(X, compute_uv=False)
        assert abs(s - 1).max() <= info.bound + 1e-14
        assert info.converged == (info.bound <= 0.5) and (info.steps, info.products) == (steps, 3 * steps)
    X, info = msign(A, schedule=optimal_msign_schedule(4, lower=0.5), return_info=True)
    assert not info.converged and info.bound == np.inf
    B, _ = with_values(np.r_[np.ones(29), 1e-9])                                    # one value is left behind
    X, info = msign(B, schedule=8, return_info=True)
    assert 0.9 < info.bound < 1 and not info.converged
    X, info = msign(A[:, :30] @ A[:30], method="polynomial", return_info=True)      # singular
    assert not info.converged
    assert not msign(np.zeros((3, 4)), method="qdwh", return_info=True)[1].converged


def test_the_bound_of_a_partial_isometry_is_met_by_one_value_that_is_off():
    U, V = (np.linalg.qr(gaussian(n, 5, dtype=complex, seed=n))[0] for n in (5, 8))
    for size in np.geomspace(1e-6, 0.49, 30):
        for squares in ([1, 1, 1, 1 - size, 0], [1, 1, 1, size, 0], [1, 1, 1, 1 + size, 0]):
            X = U * np.sqrt(squares) @ V.conj().T
            found = _isometry_bound(X @ X.conj().T).item()
            assert abs(1 - squares[3]**0.5) <= found * (1 + 1e-9) or squares[3] < 0.5
            if squares[3] <= 1:
                assert found == pytest.approx(1 - (1 - size)**0.5, rel=1e-9)
    assert _isometry_bound(np.diag([1, 1, 0.5])).item() == np.inf                   # d = 1: nothing is certain


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [4, 16])
def test_converged_without_a_tolerance_means_16_roots_of_n_eps(monkeypatch, n, dtype):
    """The bound of (1 - e) I is sqrt(n) e: the default, as the docstring has it, is met at e = 16 eps."""
    for times, enough in ((15, True), (17, False)):
        off = np.eye(n, dtype=dtype) * dtype(1 - times * np.finfo(dtype).eps)
        monkeypatch.setattr("lowrank.polar_factor._by_svd", lambda X, rtol, off=off: off)
        assert msign(np.eye(n, dtype=dtype), method="svd", return_info=True)[1].converged == enough


def test_a_stop_by_tolerance_is_kept_and_saves_products():
    A, exact = with_values(np.geomspace(1, 1e-2, 50))
    full = msign(A, method="polynomial", return_info=True)[1]
    X, info = msign(A, method="polynomial", tol=1e-3, return_info=True)
    assert np.linalg.norm(X - exact, 2) < 1e-3 and info.converged and info.products < full.products
    known = msign(A, schedule=robust(5, 1e-3), return_info=True)[1]
    assert known.converged and known.bound < 1e-13 and known.products < full.products / 2
    for tol, enough in ((1e-3, True), (1e-15, False)):                              # it judges, and changes nothing
        Y, info = msign(A, schedule=8, tol=tol, return_info=True)
        assert np.array_equal(Y, msign(A, schedule=8)) and info.converged == enough
    orthogonal = np.linalg.qr(gaussian(30, 30))[0]
    assert msign(orthogonal, method="polynomial", normalize=False, return_info=True)[1].steps <= 1


@needs("torch")
@pytest.mark.parametrize("method", ["polynomial", "gram"])
def test_products_are_counted_as_they_run(method):
    """Two more are for the size before the first step and for the report after the last."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    products = []

    class Counted(TorchDispatchMode):
        def __torch_dispatch__(self, f, types, args=(), kwargs=None):
            if f.overloadpacket.__name__ in ("mm", "bmm", "addmm", "baddbmm"):
                products.append(f)
            return f(*args, **(kwargs or {}))

    A = torch.tensor(gaussian(4, 30))
    for steps in range(1, 9):
        products.clear()
        with Counted():
            info = msign(A, schedule=steps, method=method, return_info=True)[1]
        assert len(products) == info.products + 2


def test_the_gram_form_agrees_with_the_plain_one():
    A, _ = with_values(np.geomspace(1, 1e-2, 40), (40, 160))
    steps = optimal_msign_schedule(6, lower=1e-3)
    plain = msign(A, method="polynomial", schedule=steps)
    gram, info = msign(A, method="gram", schedule=steps, return_info=True)
    assert np.linalg.norm(plain - gram, 2) < 1e-12 and info.products == 22
    assert np.array_equal(msign(A, schedule=steps), gram)                           # what "auto" takes here


# --- libraries

@every_library_and_dtype
def test_every_library_and_method_agrees_with_numpy(library, dtype):
    convert, back = LIBRARIES[library]
    several = [{}, {"method": "qdwh"}, {"method": "polynomial"}, {"schedule": 12}, {"method": "gram", "schedule": 12}]
    for shape in ((4, 6), (2, 5, 3), (0, 3, 2), (3, 0)):
        if library == "jax" and (np.dtype(dtype).itemsize != 8 or shape != (4, 6)):
            continue                                    # it compiles every operation for every shape
        A = gaussian(*shape, dtype=dtype)
        expected = msign(A)
        for options in several[:-1] if library == "jax" else several:
            X, info = msign(convert(A), return_info=True, **options)
            assert type(X) is type(convert(A)) and isinstance(info, SignInfo)
            X = back(X)
            assert X.dtype == dtype and X.shape == shape
            np.testing.assert_allclose(X, expected, rtol=0, atol=3000 * np.finfo(dtype).eps)
            assert tuple(info.bound.shape) == shape[:-2] and bool(np.all(back(info.converged)))
        if 0 not in shape:
            direction = gaussian(*shape, dtype=dtype, seed=1)
            for derivative in (msign_jvp, msign_vjp):
                found = back(derivative(convert(A), convert(direction)))
                np.testing.assert_allclose(found, derivative(A, direction), rtol=0, atol=1e4 * np.finfo(dtype).eps)


@needs("torch")
def test_pytorch_differentiates_maps_and_keeps_bfloat16():
    import torch

    A, G = torch.asarray(gaussian(5, 8)), torch.asarray(gaussian(5, 8, seed=1))
    steps = optimal_msign_schedule(20, lower=1e-3, cushion=0.1, safety=1e-6)
    for options in ({"schedule": steps}, {"schedule": 20}, {"schedule": steps, "method": "gram"}):
        X = A.clone().requires_grad_()
        msign(X, **options).backward(G)
        torch.testing.assert_close(X.grad, msign_vjp(A, G), rtol=1e-9, atol=1e-9)
        stack = torch.stack([A, 3 * A, A + 1])
        mapped = torch.vmap(lambda Z: msign(Z, **options))(stack)
        torch.testing.assert_close(mapped, msign(stack, **options))
    half = torch.asarray(gaussian(32, 64)).bfloat16()
    for X, bits in ((msign(half), 0.03), (msign(half, schedule=6), 0.03), (msign(half, method="svd"), 0.02),
                    (msign(half, schedule=HALF), 0.03)):
        assert X.dtype == torch.bfloat16
        s = torch.linalg.svdvals(X.float())
        assert float((s - 1).abs().max()) < bits
    with pytest.raises(TypeError, match="A has dtype torch.bfloat16; method='qdwh' takes 32 and 64 bits"):
        msign(half, method="qdwh")
    orthogonal = torch.linalg.qr(torch.randn(600, 600, generator=torch.manual_seed(0)))[0]
    X = msign((0.62 * orthogonal).bfloat16(), normalize=False)                      # d < 1 is not the end
    assert float((torch.linalg.svdvals(X.float()) - 1).abs().max()) < 0.03


@needs("jax")
def test_jax_compiles_maps_and_differentiates():
    import jax
    import jax.numpy as jnp

    A, G = jnp.asarray(gaussian(5, 8)), jnp.asarray(gaussian(5, 8, seed=1))
    for options in ({"schedule": optimal_msign_schedule(tol=1e-12, lower=0.05, safety=1e-6)}, {"schedule": 12}):
        f = lambda Z: msign(Z, **options)
        np.testing.assert_allclose(jax.jit(f)(A), f(A), atol=1e-12)
        stack = jnp.stack([A, 3 * A])
        np.testing.assert_allclose(jax.vmap(f)(stack), f(stack), atol=1e-12)
        np.testing.assert_allclose(jax.jit(jax.grad(lambda Z: jnp.vdot(G, f(Z))))(A), msign_vjp(A, G), atol=1e-9)
        info = jax.jit(lambda Z: msign(Z, return_info=True, **options)[1].bound)(A)
        assert float(info) < 1e-12
    half = jnp.asarray(gaussian(32, 64)).astype(jnp.bfloat16)
    assert msign(half, schedule=HALF).dtype == jnp.bfloat16 and msign(half).dtype == jnp.bfloat16


# --- the derivative

@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (2, 5, 5), (1, 1), (1, 4)])
def test_the_derivative_against_differences_and_as_its_own_adjoint(shape, dtype):
    A, D, G = (gaussian(*shape, dtype=dtype, seed=k) for k in range(3))
    sign = lambda h: msign(A + h * D)
    h = 1e-3 * float(np.linalg.svd(A, compute_uv=False).min())
    differences = (8 * (sign(h) - sign(-h)) - sign(2 * h) + sign(-2 * h)) / (12 * h)
    X = msign_jvp(A, D)
    np.testing.assert_allclose(X, differences, rtol=0, atol=1e-6 * max(1, abs(X).max()))
    pulled = msign_vjp(A, G)
    inner = lambda P, Q: np.vdot(P, Q).real
    assert inner(G, X) == pytest.approx(inner(pulled, D), rel=1e-9, abs=1e-9)
    assert abs(inner(pulled, A)) <= 1e-10 * np.linalg.norm(pulled) * np.linalg.norm(A)


def test_equal_singular_values_do_no_harm():
    for A in (np.eye(4), np.linalg.qr(gaussian(6, 4))[0], 3 * np.eye(3) + 0j):
        X = msign_jvp(A, gaussian(*A.shape, dtype=A.dtype))
        assert np.isfinite(X).all() and np.linalg.norm(X) > 0
    np.testing.assert_allclose(msign_jvp(np.eye(3), np.ones((3, 3))), 0, atol=1e-15)


def test_scales_cancel_and_low_rank_is_refused():
    A, D = gaussian(4, 6), gaussian(4, 6, seed=1)
    X = msign_jvp(A, D)
    for scale in (1e-150, 1e150):
        np.testing.assert_allclose(msign_jvp(scale * A, scale * D), X, rtol=1e-10)
        np.testing.assert_allclose(msign_jvp(A, scale * D) / scale, X, rtol=1e-10)
    np.testing.assert_allclose(msign_jvp(1e-305 * A, 1e-305 * D), X, rtol=1e-10)
    D[0] = 0
    assert not np.isnan(msign_jvp(1e-200 * A, 1e200 * D)).any() and not msign_jvp(1e200 * A, 1e-200 * D).any()
    B, _ = with_values(np.array([1, 1e-8]))
    msign_jvp(B, B)
    with pytest.raises(ValueError, match="singular value of at most rtol"):
        msign_vjp(B, B, rtol=1e-6)
    with pytest.raises(ValueError, match="singular value of at most rtol"):
        msign_jvp(np.zeros((2, 2)), np.eye(2))
    with pytest.raises(ValueError, match=r"dA has shape \(2, 2\)"):
        msign_jvp(A, np.eye(2))


# --- bad input

@pytest.mark.parametrize("A, kind, message", [
    (np.array([[np.nan, 1.0]]), ValueError, "A contains 1 NaN"), (np.ones(3), ValueError, r"A has shape \(3,\)"),
    ([["a"]], TypeError, "A has dtype"),
])
@pytest.mark.parametrize("method", ["auto", "svd", "polynomial", "qdwh"])
def test_bad_matrices_are_named(A, kind, message, method):
    with pytest.raises(kind, match=message):
        msign(A, method=method)


@pytest.mark.parametrize("method", ["auto", "svd", "polynomial", "qdwh"])
@pytest.mark.parametrize("options, kind, message", [
    ({"tol": 1.0}, ValueError, "tol is 1.0"), ({"tol": np.nan}, ValueError, "tol is nan"), ({"tol": "a"}, TypeError, "tol is 'a'"),
    ({"normalize": "trace"}, ValueError, "normalize is 'trace'"), ({"normalize": None}, ValueError, "normalize is None"),
])
def test_bad_options_are_refused_by_every_method(method, options, kind, message):
    with pytest.raises(kind, match=message):
        msign(np.eye(2), method=method, **options)


@pytest.mark.parametrize("schedule, kind, message", [
    (-1, ValueError, "schedule is -1; allowed is an integer from 0, or a sequence of steps"), (2.0, TypeError, "schedule is 2.0"),
    (True, TypeError, "schedule is True"), (np.float64(3), TypeError, "schedule is"), ("five", ValueError, "schedule is 'five'"),
    ([(1.5, -0.5), ()], ValueError, "step 1 of schedule"), ((1.5, -0.5), ValueError, "schedule is"), ([(np.nan, 1)], ValueError, "step 0"),
])
@pytest.mark.parametrize("method", ["auto", "polynomial", "gram"])
def test_bad_schedules_are_named(method, schedule, kind, message):
    with pytest.raises(kind, match=message):
        msign(np.eye(2), method=method, schedule=schedule)


def test_a_number_of_steps_is_a_schedule():
    A, _ = with_values(np.geomspace(1, 1e-2, 20), (20, 90))
    for dtype, safety in ((np.float64, 1e-6), (np.float32, 1e-4)):
        schedule = optimal_msign_schedule(6, degree=5, lower=1e-3, cushion=0.02, safety=safety)
        for count in (6, np.int64(6), np.array(6)):
            assert np.array_equal(msign(A.astype(dtype), schedule=count), msign(A.astype(dtype), schedule=schedule))
    assert np.array_equal(msign(A, schedule=0), msign(A, schedule=[])) and np.array_equal(msign(A, schedule=[], normalize=False), A)
    mixed = [list(pade_step(5)), np.array(pade_step(9)), pade_step(3)]                   # ragged, of any kind
    assert np.array_equal(msign(A, schedule=mixed), msign(A, schedule=[tuple(c) for c in mixed]))


# --- the table of methods and options in the chapter

GIVEN = {"schedule": 3, "rtol": 1e-3, "tol": 1e-3, "normalize": "frobenius"}


def option_table(request):
    """method -> option -> what the chapter says."""
    notebook = nbformat.read(request.config.rootpath / "book/matrix_sign/polar_factor.ipynb", 4)
    rows = [[entry.strip(' `"') for entry in line.strip("|").split("|")] for cell in notebook.cells
            for line in cell.source.splitlines() if cell.cell_type == "markdown" and line.startswith("|")]
    start = next(k for k, row in enumerate(rows) if row[1:] == list(GIVEN))
    return {row[0]: dict(zip(GIVEN, row[1:])) for row in rows[start + 2:start + 7]}


def test_the_table_of_options_is_what_the_code_does(request):
    table, A = option_table(request), gaussian(4, 6)
    assert list(table) == ["svd", "polynomial", "gram", "qdwh", "auto"]
    for method, row in table.items():
        needed = {"schedule": 3} if "required" in row["schedule"] else {}
        if needed:
            with pytest.raises(ValueError, match=f"schedule is None; method='{method}'"):
                msign(A, method=method)
        for name, value in GIVEN.items():
            call = lambda: msign(A, method=method, return_info=True, **{**needed, name: value})
            if row[name] == "refused":
                with pytest.raises(ValueError, match=f"{name} is {value!r}; method='{method}' does not take it"):
                    call()
            else:
                call()
    plain = msign(A)
    for method in table:                                                        # "judges", everywhere
        assert all("judges" in table[method]["tol"] for method in table)
        options = {"schedule": 3} if method == "gram" else {}
        assert not msign(A, method=method, tol=0, return_info=True, **options)[1].converged
    assert "stops" in table["polynomial"]["tol"]
    assert msign(A, method="polynomial", tol=0.1, return_info=True)[1].steps < msign(A, method="polynomial", return_info=True)[1].steps
    assert table["auto"]["schedule"] == "asks for products" and msign(A, schedule=3, return_info=True)[1].products > 0
    assert table["auto"]["rtol"] == 'asks for "svd' and msign(A, rtol=0.9, return_info=True)[1].products == 0
    assert np.array_equal(msign(A, normalize="frobenius"), plain)               # it does not come to products
    assert np.array_equal(msign(A, rtol=1e-3, normalize="frobenius"), plain)
    with pytest.raises(ValueError, match="schedule is 3; method='svd' does not take it"):
        msign(A, rtol=1e-3, schedule=3)


def test_a_tolerance_of_zero_asks_for_all_digits():
    X, info = msign(gaussian(6, 9), method="polynomial", tol=0, return_info=True)
    assert not info.converged and info.bound < 1e-14


def test_divergence_is_an_error_and_integers_are_numbers():
    with pytest.raises(ValueError, match="diverge"):
        msign(100 * np.eye(3), method="polynomial", normalize=False)
    with pytest.raises(ValueError, match="diverge"):
        msign(np.diag([100.0, 1.0]), schedule=[pade_step(5)] * 20, normalize=False)
    for method in ("svd", "polynomial", "qdwh"):
        assert np.allclose(msign([[2, 0], [0, 3]], method=method), np.eye(2))


# --- the optimizer in the text

@needs("torch")
def test_the_optimizer_of_the_chapter_learns(request):
    import torch

    blocks = python_blocks(request, "book/matrix_sign/polar_factor.ipynb")
    assert len(blocks) == 1
    names = {}
    exec(blocks[0], names)
    torch.manual_seed(0)
    X, target = torch.randn(256, 12), torch.randn(12, 5)
    W = torch.nn.Parameter(torch.zeros(12, 5))
    optimizer = names["Orthogonalized"]([W], lr=0.05)
    losses = []
    for _ in range(150):
        loss = ((X @ W - X @ target)**2).mean()
        optimizer.zero_grad()
        loss.backward()
        before = W.grad.clone()
        optimizer.step()
        assert torch.equal(W.grad, before)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]


# --- QDWH: its weights, and how many steps it takes

def qdwh_map(lower, x):
    a, b, c = _qdwh_weights(lower)
    return x * (a + b * x**2) / (1 + c * x**2)


@pytest.mark.parametrize("lower", [0.9, 0.5, 0.1, 1e-3, 1e-8])
def test_the_weights_of_qdwh_are_the_best_ones(lower):
    """The error from (1 + f(l)) / 2 has four contacts on [l, 1]: two ends, and the two turns inside."""
    x = np.geomspace(lower, 1, 20001)
    y = qdwh_map(lower, x)
    low, turns = y[0], np.flatnonzero(np.diff(np.sign(np.diff(y)))) + 1
    assert len(turns) == 2
    assert np.allclose([y[turns[0]], y[turns[1]], y[-1]], [1, low, 1], rtol=1e-6, atol=0)
    assert y.max() <= 1 + 1e-12 and y.min() >= low * (1 - 1e-9)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e8, 1e12])
def test_qdwh_takes_the_steps_that_its_lower_bound_asks_for(condition):
    A, _ = with_values(np.geomspace(1, 1 / condition, 8))
    lower, steps = 1 / condition, 0
    while 1 - lower > 1e-15:
        lower, steps = qdwh_map(lower, lower), steps + 1
    info = msign(A, method="qdwh", return_info=True)[1]
    assert info.steps == info.products == steps <= 6

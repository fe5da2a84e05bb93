"""Derivatives that PyTorch and JAX find of the functions of Part II: exact, twice, at equal values, at zero, under their transforms."""

import numpy as np
import pytest

from lowrank import (
    mclip,
    msign,
    msign_jvp,
    msign_vjp,
    mstep,
    nuclear_norm,
    optimal_msign_schedule,
    spectral_decay,
    spectral_norm,
    spectral_norm_grad,
    svfun,
)
from tests.properties.libraries import needs

torch_only = needs("torch")
jax_only = needs("jax")
A = np.array([[2.0, 1, 0], [0, 1, 3]])
G = np.array([[1.0, 0, 2], [0, 3, 1]])
E = np.array([[0.0, 1, 0], [1, 0, -1]])
SIGN = np.array([[.2127272925, -.4025857010, .2637855764], [-.4342847745, .5941429409, -.2056706083]])
SIGN_TWICE = np.array([[.2879506386, -.1168009472, -.0670181105], [-.2772008410, .0857611166, .0287794735]])
close = lambda found, expected, atol=2e-10: np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=atol)
METHODS = {"auto": {}, "qdwh": {"method": "qdwh"}, "products": {"method": "polynomial"}}


def gaussian(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal(shape)
    return (B + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else B).astype(dtype)


def tensor(value, grad=True):
    import torch
    return torch.tensor(np.array(value), requires_grad=grad)


def pulled(f, at, cotangent):
    """The gradient of <cotangent, f> at `at` by PyTorch."""
    X = tensor(at)
    f(X).backward(tensor(cotangent, False))
    return np.asarray(X.grad)


CASES = {
    "a rotation at 2 I": (2 * np.eye(2), [[7.0, 1], [-1, 5]], [[0, .5], [-.5, 0]]),
    "ones at I": (np.eye(3), np.ones((3, 3)), np.zeros((3, 3))),
    "at I": (np.eye(3), np.arange(9.0).reshape(3, 3), np.array([[0, -1.0, -2], [1, 0, -1], [2, 1, 0]])),
    "at zero": (np.zeros((2, 3)), np.ones((2, 3)), np.zeros((2, 3))),
    "wide": (A, G, SIGN),
    "tall": (A.T, G.T, SIGN.T),
}


@torch_only
@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("at, g, expected", CASES.values(), ids=CASES)
def test_sign_in_torch(options, at, g, expected):
    close(pulled(lambda X: msign(X, **options), at, g), expected)


@torch_only
def test_the_second_derivative_of_the_sign():
    import torch
    X = tensor(A)
    first, = torch.autograd.grad((msign(X) * tensor(G, False)).sum(), X, create_graph=True)
    second, = torch.autograd.grad((first * tensor(E, False)).sum(), X)
    close(second, SIGN_TWICE)
    assert abs((second * tensor(E, False)).sum().item() + .4227812618) < 1e-9


def isometry(shape, dtype=np.float64):
    U, _, Vh = np.linalg.svd(gaussian(*shape, dtype=dtype), full_matrices=False)
    return U @ Vh


HARD = {
    "wide": gaussian(2, 3), "tall stack": gaussian(2, 3, 2), "square": gaussian(3, 3), "a multiple of I": 2 * np.eye(3),
    "equal values": 3 * isometry((2, 4)), "complex": gaussian(2, 3, dtype=complex), "complex, equal": isometry((2, 2), complex),
}


@torch_only
@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("name", HARD)
def test_gradcheck_of_the_sign(name, options):
    import torch
    if options and name not in ("tall stack", "equal values"):
        return
    X = tensor(HARD[name])
    f = lambda X: msign(X, **options)
    assert torch.autograd.gradcheck(f, X, check_forward_ad=True, check_batched_grad=True, atol=1e-6, rtol=1e-6)
    assert torch.autograd.gradgradcheck(f, X, atol=1e-6, rtol=1e-6)


@torch_only
def test_transforms_of_the_sign_in_torch():
    import torch
    stack, g = tensor(np.stack([A, np.eye(2, 3), np.zeros((2, 3)), A - 1]), False), tensor(G, False)
    for options in METHODS.values():
        f = lambda X: (msign(X, **options) * g).sum()
        each = torch.stack([torch.func.grad(f)(X) for X in stack])
        close(torch.func.vmap(torch.func.grad(f))(stack), each, 1e-13)
        close(each[0], SIGN)
        sign = lambda X: msign(X, **options)
        close(torch.func.jacfwd(sign)(stack[0]), torch.func.jacrev(sign)(stack[0]), 1e-13)
        hessian = torch.func.hessian(f)(stack[0])
        close(torch.einsum("ijkl,kl->ij", hessian, tensor(E, False)), SIGN_TWICE)
        info = msign(stack, return_info=True, **options)[1]
        assert type(info.steps) is int and type(info.products) is int


@jax_only
@pytest.mark.parametrize("name", ["wide", "tall stack", "complex, equal"])
def test_check_grads_of_the_sign_in_jax(name):
    import jax
    from jax.test_util import check_grads
    jax.config.update("jax_enable_x64", True)
    modes = ("fwd", "rev") if name == "wide" else ("rev",)      # back is forwards, transposed
    check_grads(jax.jit(msign), (jax.numpy.asarray(HARD[name]),), order=2, modes=modes, atol=1e-4, rtol=1e-4)


@jax_only
def test_sign_in_jax():
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    gradient = jax.jit(jax.grad(lambda X, g: (msign(X) * g).sum()))
    for at, g, expected in CASES.values():
        close(gradient(jnp.asarray(at), jnp.asarray(g)), expected)
    close(jax.grad(lambda X: (msign(X) * G).sum())(jnp.asarray(A)), SIGN)
    stack = jnp.stack([A, jnp.eye(2, 3), jnp.zeros((2, 3))])
    close(jax.jit(jax.vmap(lambda X: gradient(X, G)))(stack), jnp.stack([gradient(X, G) for X in stack]), 1e-12)
    twice = jax.jit(lambda X: jnp.einsum("ijkl,kl->ij", jax.hessian(lambda X: (msign(X) * G).sum())(X), E))
    close(twice(jnp.asarray(A)), SIGN_TWICE)
    assert jnp.isfinite(twice(stack[2])).all()


@jax_only
@pytest.mark.parametrize("options", [{"method": "qdwh"}])
def test_other_methods_in_jax(options):
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    f = lambda X: (msign(X, **options) * G).sum()
    close(jax.jit(jax.grad(f))(jnp.asarray(A)), SIGN)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@torch_only
def test_what_torch_finds_is_the_vjp(dtype):
    for shape in ((5, 3), (3, 5), (4, 4), (2, 3, 4)):
        X, g = gaussian(*shape, dtype=dtype), gaussian(*shape, dtype=dtype, seed=1)
        found, eps = pulled(msign, X, g), np.finfo(dtype).eps
        assert found.dtype == dtype
        close(found, msign_vjp(X, g), 300 * eps * abs(msign_vjp(X, g)).max())


@torch_only
def test_low_rank_has_the_derivative_among_matrices_of_its_rank():
    X, Y = gaussian(4, 2), gaussian(2, 5, seed=1)
    dX, dY = gaussian(4, 2, seed=2), gaussian(2, 5, seed=3)
    curve = lambda h: (X + h * dX) @ (Y + h * dY)
    moved = (msign(curve(1e-5)) - msign(curve(-1e-5))) / 2e-5
    g = gaussian(4, 5, seed=4)
    gradient = pulled(msign, curve(0), g)
    assert abs(np.vdot(gradient, dX @ Y + X @ dY) - np.vdot(g, moved)) < 1e-8
    S = msign(curve(0))
    across = (np.eye(4) - S @ S.T) @ g @ (np.eye(5) - S.T @ S)
    close(pulled(msign, curve(0), across), np.zeros((4, 5)), 1e-13)
    for unit in (1e-150, 1e150):
        close(pulled(msign, unit * A, G) * unit, SIGN)


@torch_only
def test_zero_in_a_stack_is_finite_twice_for_every_method():
    import torch
    steps = optimal_msign_schedule(4, lower=1e-2)
    for options in (*METHODS.values(), {"schedule": 5}, {"schedule": steps}, {"schedule": steps, "method": "gram"}):
        for normalize in ("frobenius", "schatten4", "schatten8") if "schedule" in options else (None,):
            more = {} if normalize is None else {"normalize": normalize}
            X = tensor(np.stack([A, np.zeros((2, 3)), np.eye(2, 3)]))
            first, = torch.autograd.grad((msign(X, **options, **more) * tensor(G, False)).sum(), X, create_graph=True)
            second, = torch.autograd.grad((first**2).sum(), X)
            assert torch.isfinite(first).all() and torch.isfinite(second).all()


@torch_only
@pytest.mark.parametrize("options", [{}, {"method": "qdwh"}, {"method": "polynomial"}, {"schedule": 6}, {"schedule": 6, "method": "gram"}])
def test_casts_leave_the_sign_alone(options):
    import torch
    X = torch.randn(6, 9, generator=torch.manual_seed(0)).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Y = msign(X, **options)
        Y.sum().backward()
    assert Y.dtype == torch.float32 and X.grad.dtype == torch.float32
    torch.testing.assert_close(Y.detach(), msign(X.detach(), **options), rtol=0, atol=0)


@torch_only
@pytest.mark.parametrize("options", [{}, {"schedule": 5}, {"schedule": optimal_msign_schedule(5, lower=1e-2), "normalize": "frobenius"}])
def test_one_graph_of_the_sign(options):
    import torch
    X = tensor(A)
    f = lambda X: msign(X, **options)
    torch.compiler.reset()
    compiled = torch.compile(f, fullgraph=True, backend="eager")
    first = [torch.autograd.grad((h(X) * tensor(G, False)).sum(), X)[0] for h in (f, compiled)]
    close(compiled(X).detach(), f(X).detach(), 1e-13)
    close(*first, 1e-12)


@torch_only
def test_sixteen_bits_are_differentiated_in_thirty_two():
    import torch
    X = tensor(gaussian(8, 12)).bfloat16().detach().requires_grad_()
    for options in ({}, {"method": "svd"}):
        gradient, = torch.autograd.grad(msign(X, **options)[0].sum(), X)
        assert gradient.dtype == torch.bfloat16 and torch.isfinite(gradient).all()
        exact = pulled(msign, X.detach().double().numpy(), np.eye(8)[:, :1] @ np.ones((1, 12)))
        assert abs(gradient.double().numpy() - exact).max() < 0.05 * abs(exact).max()


def test_products_do_not_call_a_matrix_regular_that_is_singular_to_rounding():
    U, V = (np.linalg.qr(gaussian(30, 30, seed=k))[0] for k in range(2))
    for rank in (1, 10, 29):
        X = U[:, :rank] @ V[:rank]
        for options in ({"method": "polynomial"}, {"method": "qdwh"}, {"schedule": 30}):
            for B in (X, X[:, :20], 1e150 * X) if rank < 20 else (X,):
                assert not msign(B, return_info=True, **options)[1].converged
    assert not msign(np.diag([1, 1e-17]), method="polynomial", return_info=True)[1].converged
    assert msign(np.diag([1, 1e-13]), method="polynomial", return_info=True)[1].converged


def test_the_explicit_derivative_still_refuses_low_rank():
    with pytest.raises(ValueError, match="singular value of at most rtol"):
        msign_jvp(np.diag([1.0, 0.0]), np.eye(2))


# --- functions of singular values, and norms

CLIPS = {
    "both above": (A / 2, G, 2 * SIGN), "a rotation at 2 I": (2 * np.eye(2), [[7.0, 1], [-1, 5]], [[0, .5], [-.5, 0]]),
    "at zero": (np.zeros((2, 3)), G, G), "at the corner": (np.eye(2), [[7.0, 1], [-1, 5]], [[0, 1.0], [-1, 0]]), "below": (A / 9, G, G),
}
NORMS = {
    "spectral": (spectral_norm, {"at I": (np.eye(3), np.eye(3) / 3), "at zero": (np.zeros((2, 3)), 0), "one": (np.diag([3.0, 1]), np.diag([1.0, 0]))}),
    "nuclear": (nuclear_norm, {"at I": (np.eye(3), np.eye(3)), "at zero": (np.zeros((2, 3)), 0), "low rank": (np.diag([3.0, 1, 0]), np.diag([1.0, 1, 0]))}),
}


@torch_only
@pytest.mark.parametrize("at, g, expected", CLIPS.values(), ids=CLIPS)
def test_clip_in_torch(at, g, expected):
    close(pulled(mclip, at, g), expected)
    if at is not CLIPS["at the corner"][0]:
        for options in ({"tol": 1e-12}, {"method": "msign"}):
            if at.any():
                close(pulled(lambda X: mclip(X, **options), at, g), expected, 1e-8)


@torch_only
@pytest.mark.parametrize("name", NORMS)
def test_norms_in_torch(name):
    import torch
    norm, cases = NORMS[name]
    for at, expected in cases.values():
        X = tensor(at)
        first, = torch.autograd.grad(norm(X), X, create_graph=True)
        close(first.detach(), expected + 0 * at, 1e-14)
        second, = torch.autograd.grad((first * torch.arange(1.0, at.size + 1).reshape(at.shape)).sum(), X, allow_unused=True)
        assert second is None or torch.isfinite(second).all()


FUNCTIONS = {
    "clip": lambda X: mclip(X, 0.3, 1.2), "clip by signs": lambda X: mclip(X, 0.3, 1.2, method="msign"), "step": lambda X: mstep(X, 0.9),
    "tanh": lambda X: svfun(X, lambda s: s.tanh()), "jump at zero": lambda X: svfun(X, lambda s: 1 / (1 + s)),
    "spectral norm": spectral_norm, "nuclear norm": nuclear_norm, "power": lambda X: spectral_norm(X, method="power", steps=3, rng=0),
    "gradient of a norm": spectral_norm_grad, "decay": lambda X: spectral_decay(X, 0.2), "explicit": lambda X: msign_jvp(X, 0 * X + 1),
}


@torch_only
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck_of_functions(name):
    import torch
    small = name in ("clip by signs", "power", "explicit")
    for case in ("wide",) if small else ("wide", "tall stack", "complex"):
        X = tensor(HARD[case])
        assert torch.autograd.gradcheck(FUNCTIONS[name], X, check_forward_ad=True, check_batched_grad=not small, atol=1e-6, rtol=1e-6)
        if case != "tall stack" and not small:
            assert torch.autograd.gradgradcheck(FUNCTIONS[name], X, atol=1e-6, rtol=1e-6)


@torch_only
@pytest.mark.parametrize("name", ["clip", "step", "tanh", "jump at zero", "nuclear norm"])
@pytest.mark.parametrize("case", ["a multiple of I", "equal values", "complex, equal"])
def test_first_derivatives_at_equal_values(name, case):
    import torch
    X = tensor(HARD[case])
    assert torch.autograd.gradcheck(FUNCTIONS[name], X, check_forward_ad=True, atol=1e-6, rtol=1e-6)


@torch_only
def test_everything_is_finite_at_ties_and_at_zero():
    import torch
    for f in FUNCTIONS.values():
        if f is FUNCTIONS["explicit"]:
            continue
        X = tensor(np.stack([np.zeros((3, 3)), np.eye(3), np.diag([2.0, 2, 0]), np.diag([1.0, 0, 0])]))
        first, = torch.autograd.grad(f(X).sum(), X, create_graph=True)
        second, = torch.autograd.grad((first**3).sum(), X)
        assert torch.isfinite(first).all() and torch.isfinite(second).all()


@torch_only
def test_a_function_may_be_learned():
    import torch
    X, t = tensor(HARD["equal values"]), tensor(0.7)
    soft = lambda X, t: svfun(X, lambda s: torch.relu(s - t))
    assert torch.autograd.gradcheck(soft, (X, t), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(soft, (tensor(HARD["square"]), t))
    soft(X, t).pow(2).sum().backward()
    assert abs(t.grad.item() + 2 * 2 * 2.3) < 1e-12
    close(pulled(lambda X: svfun(X, lambda s: s**3), np.zeros((2, 3)), G), 0 * G)
    expected = np.array([[2 * np.cos(1), np.sin(1)], [np.sin(1), 3]])
    for Q, P in ((np.eye(2), np.eye(2)), (isometry((2, 2)), isometry((2, 2)).T)):       # a zero, and one to round-off
        found = pulled(lambda X: svfun(X, torch.sin), Q @ np.diag([1.0, 0]) @ P, Q @ (np.eye(2)[::-1] + np.diag([2, 3])) @ P)
        close(found, Q @ expected @ P)


@torch_only
@pytest.mark.parametrize("name", ["clip", "tanh", "nuclear norm"])
def test_one_graph_of_functions(name):
    import torch
    X, f = tensor(A), FUNCTIONS[name]
    torch.compiler.reset()
    compiled = torch.compile(f, fullgraph=True, backend="eager")
    close(compiled(X).detach(), f(X).detach(), 1e-13)
    close(*(torch.autograd.grad((h(X)**2).sum(), X)[0] for h in (f, compiled)), 1e-12)


@torch_only
def test_casts_and_sixteen_bits_of_functions():
    import torch
    X = torch.randn(4, 6, generator=torch.manual_seed(1)).requires_grad_()
    for f in FUNCTIONS.values():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            Y = f(X)
        assert Y.dtype == torch.float32 and torch.equal(Y, f(X))
        half = X.detach().bfloat16().requires_grad_()
        if f is not FUNCTIONS["explicit"]:
            Y = f(half)
            gradient, = torch.autograd.grad(Y.sum(), half)
            assert Y.dtype == gradient.dtype == torch.bfloat16 and torch.isfinite(gradient).all()


@jax_only
@pytest.mark.parametrize("name", ["clip", "tanh", "spectral norm", "nuclear norm"])
def test_functions_in_jax(name):
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads
    jax.config.update("jax_enable_x64", True)
    f = (lambda X: svfun(X, jnp.tanh)) if name == "tanh" else FUNCTIONS[name]
    check_grads(jax.jit(f), (jnp.asarray(HARD["wide"]),), order=2, modes=("rev",), atol=1e-4, rtol=1e-4)
    twice = jax.jit(jax.hessian(lambda X: (f(X)**2).sum()))
    for at in (np.zeros((2, 3)), np.eye(2, 3)):
        assert jnp.isfinite(twice(jnp.asarray(at))).all()
    if name == "clip":
        gradient = jax.jit(jax.grad(lambda X, g: (mclip(X) * g).sum()))
        for at, g, expected in CLIPS.values():
            close(gradient(jnp.asarray(at), jnp.asarray(g)), expected)

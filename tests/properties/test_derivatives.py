"""Derivatives that PyTorch and JAX find of the maps of Part III: exact in every argument, twice, at ties and masks, under their transforms."""

import math

import numpy as np
import pytest

from lowrank.derivatives import aligned, converted
from lowrank.simplex_maps import entmax, softmax, sparsemax
from lowrank.topk import soft_topk, soft_topk_vjp, topk_temperature
from tests.properties.libraries import needs

torch_only = needs("torch")
jax_only = needs("jax")
METHODS = ("laplace", "sigmoid", "subset", "sparse", "expclip")
MAPS = {"softmax": softmax, "sparsemax": sparsemax, "entmax": entmax}
X = np.array([2.0, -1.0, 1.0, 0.0])
ZEROS = {"laplace": 6, "expclip": 6, "sigmoid": 9, "subset": 7.5, "sparse": 2}        # gradients of zeros(6) are (-5, ..., 5) / this

# gx, gk, gT of <(0, 1, 2, 3), p>: found in 50 digits by differences
REFERENCE = {
    ("laplace", 2, 1): ([-.2189037578, -.1073386777, .0114885528, .3147538827], 1.9621171573, .3189802850),
    ("sigmoid", 2, 1): ([-.2570537931, -.1079073410, .0649787109, .2999824231], 1.7234992149, .3412215342),
    ("subset", 2, 1): ([-.2378959973, -.0792986658, -.0279112158, .3451058789], None, .4244045447),
    ("expclip", 2, 1): ([0, -.1039581136, -.1029113774, .2068694910], 2.1546978979, -.0010467361),
    ("sparse", 2, 1): ([0, 0, 0, 0], 2.5, 0),
    ("laplace", 1.7, .8): ([-.2713790989, -.0536803212, .0740954603, .2509639599], 1.8548999410, .5187280204),
    ("sigmoid", 1.7, .8): ([-.3303384862, -.0717063972, .0925661354, .3094787479], 1.7012483447, .6205055496),
}
SECOND = {                                      # row 0 of the Hessian at k = 1.7, T = .8, then its derivatives in k and T, and gk, gT again
    "laplace": ([.2454815002, -.0070907196, -.1282648819, -.1101258987], .2794416986, -.1230121740, .5594789003, -.3514202036, -.5560796383),
    "sigmoid": ([.1561981431, -.0038836166, -.0605325972, -.0917819293], .2032820237, .0932389757, .5024851523, -.4708408321, -1.0750695555),
}
close = lambda found, expected, atol=2e-10: np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=atol)


def tensor(value, grad=True):
    import torch
    return torch.tensor(value, dtype=torch.float64, requires_grad=grad)


def loss(p):
    import torch
    return (p * torch.arange(p.shape[-1])).sum()


def test_others_are_aligned_with_the_first():
    """Numbers, lists and arrays of fewer axes, in the dtype of x; they broadcast from the last axis on, and x is as it was."""
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    first, number, row, column, whole = aligned(x, 2, [1.0, 2, 3, 4], np.ones((3, 1)), x.astype(float))
    assert first is x and {v.dtype for v in (number, row, column, whole)} == {x.dtype}
    assert [v.shape for v in (number, row, column, whole)] == [(1, 1, 1), (1, 1, 4), (1, 3, 1), x.shape]
    assert np.array_equal(whole, x) and row.ravel().tolist() == [1, 2, 3, 4]


@torch_only
def test_what_is_converted_keeps_what_it_depends_on():
    """A tensor of another dtype is still differentiated; an array of NumPy or a number becomes a tensor."""
    import torch
    x, v = torch.ones(2, dtype=torch.float32), tensor([1.0, 2.0])
    found = converted(v, x)
    found.sum().backward()
    assert found.dtype == torch.float32 and v.grad.tolist() == [1, 1]
    for other in (np.ones(2), [1.0, 1.0], np.ones((), int), 1):
        found = converted(other, x)
        assert found.dtype == torch.float32 and found.shape == np.shape(other) and bool((found == 1).all())


@torch_only
@pytest.mark.parametrize("method, k, T", REFERENCE)
def test_topk_in_torch(method, k, T):
    x, k_, T_ = tensor(X), tensor(float(k)), tensor(float(T))
    loss(soft_topk(x, k_, temperature=T_, method=method)).backward()
    gx, gk, gT = REFERENCE[method, k, T]
    close(x.grad, gx)
    close(T_.grad, gT)
    assert k_.grad is None if gk is None else abs(k_.grad.item() - gk) < 2e-10


@torch_only
@pytest.mark.parametrize("method", METHODS)
def test_ties_in_torch(method):
    x = tensor(np.zeros(6))
    loss(soft_topk(x, 2, method=method)).backward()
    close(x.grad, np.arange(-5, 6, 2) / ZEROS[method], 1e-15)


@torch_only
@pytest.mark.parametrize("method", SECOND)
def test_second_derivatives_of_topk(method):
    import torch
    x, k, T = tensor(X), tensor(1.7), tensor(.8)
    gx, gk, gT = torch.autograd.grad(loss(soft_topk(x, k, temperature=T, method=method)), (x, k, T), create_graph=True)
    row, by_k, by_T = torch.autograd.grad(gx[0], (x, k, T), retain_graph=True)
    expected = SECOND[method]
    close(row, expected[0])
    close([by_k.item(), by_T.item()], expected[1:3])
    close([v.item() for v in torch.autograd.grad(gk, (k, T), retain_graph=True)], expected[3:5])
    close(torch.autograd.grad(gT, T)[0].item(), expected[5])


@torch_only
@pytest.mark.parametrize("name, at, gx, gT", [
    ("softmax", [0.0, 0, 0], [2 / 9, -1 / 9, -1 / 9], 0), ("softmax", [2.0, 0, -math.inf], [.1049935854, -.1049935854, 0], -.2099871708),
    ("sparsemax", [0.0, 0, 0], [2 / 3, -1 / 3, -1 / 3], 0), ("sparsemax", [2, 1.6, -math.inf], [.5, -.5, 0], -.2),
    ("entmax", [0.0, 0, 0], [.3849001795, -.1924500897, -.1924500897], 0),
    ("entmax", [2, 1.6, -math.inf], [.3428571429, -.3428571429, 0], -.1371428571),
])
def test_simplex_maps_at_ties_and_masks(name, at, gx, gT):
    x, T = tensor(at), tensor(1.0)
    MAPS[name](x, temperature=T)[0].backward()
    close(x.grad, gx, 1e-9)
    close(T.grad, gT, 1e-9)


@torch_only
def test_the_order_of_entmax():
    import torch
    alpha = tensor(1.5)
    J = torch.autograd.functional.jacobian(lambda alpha: entmax(tensor([.3, 1.2, -.4], False), alpha=alpha), alpha)
    close(J, [-.1551027973, .3685035672, -.2134007699])


@torch_only
@pytest.mark.parametrize("name", MAPS)
def test_gradcheck_of_simplex_maps(name):
    import torch
    torch.manual_seed(0)
    x, T = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True), tensor(.7)
    more = (tensor(1.4),) if name == "entmax" else ()
    options = lambda alpha: {"alpha": alpha[0]} if alpha else {}
    f = lambda x, T, *alpha: MAPS[name](x, temperature=T, axis=1, **options(alpha))
    assert torch.autograd.gradcheck(f, (x, T, *more), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, (x, T, *more))


@torch_only
@pytest.mark.parametrize("method", METHODS)
def test_gradcheck_of_topk(method):
    import torch
    torch.manual_seed(0)
    x, T = torch.randn(3, 6, dtype=torch.float64, requires_grad=True), tensor(.7)
    if method == "subset":
        f, given = (lambda x, T: soft_topk(x, torch.tensor([1, 3, 5]), temperature=T, method=method)), (x, T)
    else:
        f, given = (lambda x, T, k: soft_topk(x, k, temperature=T, method=method)), (x, T, tensor([1.3, 2.6, 4.1]))
    assert torch.autograd.gradcheck(f, given, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, given)


@torch_only
@pytest.mark.parametrize("method", METHODS)
def test_what_torch_finds_is_the_vjp(method):
    """Masks, several slices, one number k for all and one for each, and float32."""
    rng = np.random.default_rng(3)
    x, g = rng.standard_normal((3, 7)), rng.standard_normal((3, 7))
    x[0, :2], x[1, 3], x[2, 5] = -math.inf, math.inf, -math.inf
    import torch
    for k in (3.0, np.array([1.0, 4.0, 2.0])):
        gx, gk, gT = soft_topk_vjp(x, k, g, temperature=.6, method=method)
        t, T, k_ = tensor(x), tensor(.6), tensor(k, method != "subset")
        (soft_topk(t, k_, temperature=T, method=method) * torch.tensor(g)).sum().backward()
        close(t.grad, gx, 1e-14)
        close(T.grad, gT, 1e-13)
        assert gk is None or np.allclose(k_.grad, gk, rtol=0, atol=1e-13)
        single = torch.tensor(x, dtype=torch.float32, requires_grad=True)
        soft_topk(single, k, temperature=.6, method=method)[..., 0].sum().backward()
        assert single.grad.dtype == torch.float32 and torch.isfinite(single.grad).all()


@torch_only
@pytest.mark.parametrize("shape, k", [((7,), 3), ((4, 9), 4), ((20_000,), 500), ((3, 12_000), 6000)])
@pytest.mark.parametrize("method", METHODS)
def test_both_ways_back_agree(method, shape, k):
    """NumPy's formula where the graph is not kept, and the differentiable one: x and k to 1e-12 of the largest, T of what is summed."""
    import torch
    rng = np.random.default_rng(11)
    x, g = tensor(rng.standard_normal(shape)), tensor(rng.standard_normal(shape), False)
    given = [x, tensor(.6), *([] if method == "subset" else [tensor(k + .5)])]
    p = soft_topk(x, given[2] if method != "subset" else k, temperature=given[1], method=method)
    ways = [torch.autograd.grad(p, given, g, create_graph=kept, retain_graph=True) for kept in (False, True)]
    summed = float((x * ways[0][0]).detach().abs().sum() / .6)     # with signs, in the derivative by T
    for name, plain, differentiable in zip("xTk", *ways):
        assert not plain.requires_grad and plain.shape == differentiable.shape
        close(plain, differentiable.detach(), 1e-12 * (summed if name == "T" else float(differentiable.detach().abs().max())))


@torch_only
@pytest.mark.parametrize("name", MAPS)
def test_both_ways_back_agree_for_simplex_maps(name):
    import torch
    rng = np.random.default_rng(12)
    x, T, g = tensor(rng.standard_normal((5, 40))), tensor(.3), tensor(rng.standard_normal((5, 40)), False)
    p = MAPS[name](x, temperature=T)
    ways = [torch.autograd.grad(p, (x, T), g, create_graph=kept, retain_graph=True) for kept in (False, True)]
    for plain, differentiable in zip(*ways):
        close(plain, differentiable.detach(), 1e-12 * float(differentiable.detach().abs().max()))


@torch_only
def test_transforms_of_torch():
    import torch
    x = torch.tensor(np.random.default_rng(5).standard_normal((3, 6)))
    for f in (softmax, entmax, sparsemax, lambda x: soft_topk(x, 2), lambda x: soft_topk(x, 2, method="subset")):
        each = torch.stack([torch.func.grad(lambda v: loss(f(v)))(row) for row in x])
        close(torch.func.vmap(torch.func.grad(lambda v: loss(f(v))))(x), each, 1e-15)
        close(torch.func.jacfwd(f)(x[0]), torch.func.jacrev(f)(x[0]), 1e-15)
        hessian = torch.func.hessian(lambda v: loss(f(v)))(x[0])
        close(hessian, hessian.T, 1e-14)
    counts = torch.tensor([1.0, 2.5, 4.0])
    close(torch.func.vmap(lambda k: soft_topk(x[0], k))(counts).sum(-1), counts, 1e-14)
    close(torch.func.vmap(lambda T: softmax(x[0], temperature=T))(counts), np.stack([softmax(x[0].numpy(), temperature=T) for T in (1, 2.5, 4)]))


@torch_only
@pytest.mark.parametrize("name, f", [*MAPS.items(), *((method, lambda x, method=method: soft_topk(x, 2, method=method)) for method in METHODS)])
def test_one_graph_of_torch(name, f):
    import torch
    x = torch.tensor(np.random.default_rng(6).standard_normal((3, 6)), requires_grad=True)
    torch.compiler.reset()
    compiled = torch.compile(f, fullgraph=True, backend="eager")
    gradients = [torch.autograd.grad(loss(h(x)), x)[0] for h in (f, compiled)]
    close(compiled(x).detach(), f(x).detach(), 1e-15)
    close(*gradients, 1e-15)
    if name in ("entmax", "laplace"):                       # which take another way through PyTorch, and a graph each
        close(compiled(x.detach()), f(x.detach()), 1e-15)
        with torch.no_grad():
            close(compiled(x), f(x), 1e-15)


@torch_only
def test_casts_leave_results_alone():
    import torch
    x = torch.randn(4, 9, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for f in (softmax, sparsemax, entmax, lambda x: soft_topk(x, 3)):
            p = f(x)
            assert p.dtype == torch.float32 and torch.equal(p, f(x.detach()))
            loss(p).backward()


@jax_only
@pytest.mark.parametrize("method, k, T", REFERENCE)
def test_topk_in_jax(method, k, T):
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    f = lambda x, k, T: (soft_topk(x, k, temperature=T, method=method) * jnp.arange(4)).sum()
    gx, gk, gT = REFERENCE[method, k, T]
    found = jax.jit(jax.grad(f, argnums=(0, 1, 2)))(jnp.asarray(X), float(k), float(T))
    for value, expected in zip(found, (gx, 0 if gk is None else gk, gT)):
        close(value, expected)
    if k == 2:                                  # a whole number is none that changes
        whole = jax.jit(jax.grad(f))
        close(whole(jnp.asarray(X), 2, 1.0), gx)
        close(whole(jnp.zeros(4), 2, 1.0), np.asarray([-3, -1, 1, 3]) * soft_topk_slope(method))


def soft_topk_slope(method):
    """The gradient of zeros(4), k = 2, over (-3, -1, 1, 3)."""
    return soft_topk_vjp(np.zeros(4), 2, np.arange(4.0), method=method)[0][3] / 3


@jax_only
@pytest.mark.parametrize("method", [*METHODS, *MAPS])
def test_check_grads_in_jax(method):
    """The way back is the derivative forwards, transposed: to go forwards twice as well compiles for as long again."""
    import jax
    from jax.test_util import check_grads
    jax.config.update("jax_enable_x64", True)
    x = jax.numpy.asarray(np.random.default_rng(0).standard_normal((2, 5)))
    if method in MAPS:
        f, given = (lambda x, T: MAPS[method](x, temperature=T)), (x, .7)
    elif method == "subset":
        f, given = (lambda x, T: soft_topk(x, 2, temperature=T, method=method)), (x, .7)
    else:
        f, given = (lambda x, T, k: soft_topk(x, k, temperature=T, method=method)), (x, .7, 1.6)
    check_grads(jax.jit(f), given, order=2, modes=("fwd", "rev") if method == "laplace" else ("rev",), atol=1e-5, rtol=1e-5)


@jax_only
def test_transforms_of_jax():
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 6)))
    counts = jnp.asarray([1.0, 2.5, 4.0])
    close(jax.jit(jax.vmap(lambda k: soft_topk(x[0], k)))(counts).sum(-1), counts, 1e-14)
    total = lambda k: jax.lax.scan(lambda carry, k: (carry + soft_topk(x[0], k)[0], None), 0.0, k)[0]
    slope = jax.jit(jax.grad(lambda k: soft_topk(x[0], k)[0]))
    close(jax.jit(jax.grad(total))(counts), [slope(k) for k in counts], 1e-14)
    close(jax.jit(lambda x: topk_temperature(x, 2))(x), topk_temperature(np.asarray(x), 2), 1e-15)
    hessian = jax.jit(jax.hessian(lambda v: (softmax(v) * jnp.arange(6)).sum()))(x[0])
    close(hessian, hessian.T, 1e-15)


@jax_only
@pytest.mark.parametrize("f", [softmax, sparsemax, entmax, lambda x: soft_topk(x, 1)])
def test_a_slice_without_a_solution_is_nan_where_nobody_can_look(f):
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    x = jnp.asarray([[1.0, 2, 0], [-jnp.inf] * 3, [jnp.inf, 0, jnp.inf], [0, -jnp.inf, 3]])
    p = jax.jit(f)(x)
    assert np.isnan(p[1:3]).all()
    for row in (0, 3):
        close(p[row], f(x[row]), 1e-15)
    with pytest.raises(ValueError, match="x has a slice of length 3 with 0 entries"):
        f(x)


@jax_only
def test_sixteen_bits_without_double_precision():
    """JAX as it is by default: computed in single precision, rounded once, and no warning about int64."""
    import jax
    import jax.numpy as jnp
    with getattr(jax, "enable_x64", lambda on: jax.experimental.disable_x64())(False):
        many = softmax(jnp.zeros(70_000, jnp.float16))
        assert many.dtype == jnp.float16 and abs(float(many.astype(jnp.float32).sum()) - 1) < 2e-3
        scores = np.random.default_rng(2).standard_normal(4096).astype(np.float32)
        x = jnp.asarray(scores, jnp.bfloat16)
        exact = soft_topk(np.asarray(x.astype(jnp.float32)), 100)
        for f in (soft_topk, jax.jit(soft_topk, static_argnums=1)):
            p = f(x, 100)
            assert p.dtype == jnp.bfloat16 and np.abs(np.asarray(p.astype(jnp.float32)) - exact).max() <= 2**-9
        gradient = jax.jit(jax.grad(lambda x: soft_topk(x, 100)[0].astype(jnp.float32)))(x)
        assert gradient.dtype == jnp.bfloat16 and bool(jnp.isfinite(gradient.astype(jnp.float32)).all())


@jax_only
@pytest.mark.parametrize("name", ["softmax", "sparsemax", "entmax", "laplace", "sparse", "sigmoid", "expclip", "subset"])
def test_temperatures_that_jax_takes_for_zero(name):
    """Denormal numbers count as 0 there: the result is hard, as it should be, and not NaN; also in a graph."""
    import jax
    import jax.numpy as jnp
    maps = {"softmax": softmax, "sparsemax": sparsemax, "entmax": entmax}
    f = maps.get(name) or (lambda x, temperature: soft_topk(x, 1, temperature=temperature, method=name))
    with getattr(jax, "enable_x64", lambda on: jax.experimental.disable_x64())(False):
        x = jnp.asarray([1.0, 0, 1, -2])
        traced = jax.jit(lambda x, T: f(x, temperature=T))      # of a constant x XLA would compute what it can while it compiles
        for T in (1e-38, 1e-45):
            assert np.allclose(f(x, temperature=T), [0.5, 0, 0.5, 0], atol=1e-6)
            assert np.allclose(traced(x, jnp.float32(T)), [0.5, 0, 0.5, 0], atol=1e-6)

"""A rule as a node of PyTorch: also with a single input, and for tensors that are more than tensors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lowrank.autograd import applied
from lowrank.derivatives import Rule

SQUARE = Rule(lambda x: (x * x,), lambda ins, outs, cotangents: (2 * ins[0] * cotangents[0],), lambda ins, outs, changes: (2 * ins[0] * changes[0],))
ROOTS = Rule(                                   # of one input two outputs
    lambda x: (x**0.5, x**0.25),
    lambda ins, outs, cotangents: (sum(g * y / ins[0] * c for g, y, c in zip(cotangents, outs, (0.5, 0.25)) if g is not None),),
    None)


@pytest.mark.parametrize("kind", [torch.nn.Parameter, lambda x: x.requires_grad_()])
def test_a_single_input(kind):
    """A parameter keeps to PyTorch, a plain tensor goes by way of NumPy."""
    x = kind(torch.tensor([[3.0, -2.0]]))
    for f in (lambda x: applied(SQUARE, (), (x,))[0], torch.compile(lambda x: applied(SQUARE, (), (x,))[0], fullgraph=True, backend="eager")):
        y = f(x)
        assert torch.equal(y.detach(), torch.tensor([[9.0, 4.0]]))
        assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.tensor([[6.0, -4.0]]))


def test_compiled_where_nothing_needs_a_gradient():
    """A node without a gradient to find is none: Dynamo would not take it."""
    f = torch.compile(lambda x: applied(SQUARE, (), (x,))[0], fullgraph=True, backend="eager")
    assert torch.equal(f(torch.tensor([[3.0, -2.0]])), torch.tensor([[9.0, 4.0]]))


@pytest.mark.parametrize("used", [0, 1])
def test_an_output_that_nothing_depends_on(used):
    """Its cotangent is None; where nothing depends on any, the inputs have none either."""
    x = torch.tensor([[4.0, 9.0]], requires_grad=True, dtype=torch.float64)
    y = applied(ROOTS, (), (x,))[used]
    p = (0.5, 0.25)[used]
    np.testing.assert_allclose(torch.autograd.grad(y.sum(), x)[0], p * x.detach().numpy()**(p - 1), rtol=1e-14)


def test_casts_do_not_reach_into_a_rule():
    """Under autocast a product within a rule, and within its derivative, has the precision of its inputs."""
    product = Rule(lambda x: (x @ x,), lambda ins, outs, cotangents: (cotangents[0] @ ins[0].mT + ins[0].mT @ cotangents[0],), None)
    x = torch.nn.Parameter(torch.tensor([[1.0, 2**-12], [0, 1]]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = applied(product, (), (x,))[0]
        y[0, 1].backward()
    assert y.dtype == torch.float32 and y[0, 1] == 2**-11
    assert torch.equal(x.grad, torch.tensor([[2**-12, 2], [0, 2**-12]]))


def seen_by_pull(back, x):
    """The types of array that the derivative of a rule meets, backward in one way or another."""
    seen = []
    rule = SQUARE._replace(pull=lambda ins, outs, cotangents: seen.append(type(ins[0])) or SQUARE.pull(ins, outs, cotangents))
    back(applied(rule, (), (x,))[0])
    return seen


def test_a_backward_pass_that_nobody_differentiates_is_numpys():
    """On the CPU and for 32 bits and more; with create_graph, for batches of gradients and in 16 bits it is PyTorch's."""
    x = lambda dtype=torch.float64: torch.tensor([[3.0, -2.0]], dtype=dtype, requires_grad=True)
    assert seen_by_pull(lambda y: y.sum().backward(), x()) == [np.ndarray]
    assert seen_by_pull(lambda y: y.sum().backward(), x(torch.float32)) == [np.ndarray]
    assert seen_by_pull(lambda y: y.sum().backward(), x(torch.bfloat16)) == [torch.Tensor]
    assert seen_by_pull(lambda y: torch.autograd.grad(y.sum(), a, create_graph=True), a := x()) == [torch.Tensor]
    batch = torch.eye(2, dtype=torch.float64)[:, None]
    assert np.ndarray not in seen_by_pull(lambda y: torch.autograd.grad(y, a, batch, is_grads_batched=True), a := x())
    assert np.ndarray not in seen_by_pull(lambda y: torch.func.vmap(torch.func.grad(lambda x: applied(SQUARE, (), (x,))[0].sum()))(a[:, None]), a)[1:]


def test_gradients_have_memory_of_their_own():
    """What a rule hands on as it came, as a view or spread out is copied: whoever changes a gradient changes nothing else."""
    hands_on = Rule(lambda x, y: (x + y,), lambda ins, outs, cotangents: (cotangents[0], np.broadcast_to(cotangents[0][:, :1], (1, 3))), None)
    x, y = (torch.ones(1, 3, requires_grad=True) for _ in range(2))
    g = torch.tensor([[1.0, 2.0, 3.0]])
    applied(hands_on, (), (x, y))[0].backward(g)
    x.grad.zero_()
    y.grad[0, 0] = 7
    assert torch.equal(g, torch.tensor([[1.0, 2.0, 3.0]])) and torch.equal(y.grad, torch.tensor([[7.0, 1.0, 1.0]]))


def test_errors_of_floating_point_stay_inside():
    """np.seterr(all="raise") is for the user's own formulas, not for a backward pass of ours."""
    inverse = Rule(lambda x: (x + 0,), lambda ins, outs, cotangents: (cotangents[0] / ins[0],), None)
    x = torch.tensor([[0.0, 2.0]], requires_grad=True)
    with np.errstate(all="raise"):
        applied(inverse, (), (x,))[0].sum().backward()
    assert torch.equal(x.grad, torch.tensor([[torch.inf, 0.5]]))


def test_compiled_where_nothing_is_differentiated():
    """Of one input and of three, with an option: PyTorch hands its context to some of them, and not to others."""
    power = Rule(lambda p, x: (x**p,), None, None)
    linear = Rule(lambda p, x, a, b: (a * x**p + b,), None, None)
    x = torch.tensor([[3.0, -2.0]])
    for f in (lambda x: applied(power, (2,), (x,))[0], lambda x: applied(linear, (2,), (x, x, x))[0]):
        torch.compiler.reset()
        assert torch.equal(torch.compile(f, fullgraph=True, backend="eager")(x), f(x))

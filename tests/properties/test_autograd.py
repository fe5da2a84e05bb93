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

"""Tests of lowrank.autograd, generated from book/foundations/autograd.ipynb; edit the chapter."""

import torch

from lowrank.autograd import applied


# %% book/foundations/autograd.ipynb: test_a_cubic_in_pytorch
def test_a_cubic_in_pytorch():
    from types import SimpleNamespace

    def value(x, c):
        y = x / (1 + c)
        for _ in range(12):
            y = y - (c * y + y**3 - x) / (c + 3 * y**2)
        return (y,)

    def push(ins, outs, changes):
        (_, c), (y,), (dx, dc) = ins, outs, changes
        moved = (0 if dx is None else dx) - (0 if dc is None else y * dc)
        return (moved / (c + 3 * y**2),)

    def pull(ins, outs, cotangents):
        (_, c), (y,), (g,) = ins, outs, cotangents
        gx = g / (c + 3 * y**2)
        return gx, -(y * gx).sum((-2, -1), keepdims=True)

    rule = SimpleNamespace(value=value, pull=pull, push=push, left=None)
    root = lambda x, c: applied(rule, (), (x, c.reshape(1, 1)))[0]
    x = torch.tensor([[-2.0, 0.0, 0.3], [3.0, 1.0, -1.5]], dtype=torch.float64, requires_grad=True)
    c = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(root, (x, c), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(root, (x, c))

    z, y = x.detach()[0], root(x, c).detach()[0]
    one = lambda x: root(x, c.detach()).sum()
    first = torch.func.vmap(torch.func.grad(one))(z[:, None, None])[:, 0, 0]
    assert torch.allclose(first, 1 / (2 + 3 * y**2), rtol=1e-14)
    second = torch.func.hessian(lambda z: one(z[None]))(z).diagonal()
    assert torch.allclose(second, -6 * y / (2 + 3 * y**2)**3, rtol=1e-13)
    compiled = torch.compile(root, fullgraph=True, backend="eager")
    slopes = [torch.autograd.grad(f(x, c).sum(), (x, c)) for f in (root, compiled)]
    assert all(torch.allclose(a, b, rtol=1e-14) for a, b in zip(*slopes))

"""Derivatives in PyTorch.

How does a function $y(x)$ whose derivative is known, $y'=G(x,y)$, become one node of PyTorch's
graph, for `backward`, twice and more, for the transforms of `torch.func`, and for `torch.compile`?

Generated from book/foundations/autograd.ipynb; edit the chapter.
"""

import numpy as np

from lowrank.arrays import uncast

try:
    import torch
except ImportError as error:
    raise ImportError('lowrank.autograd needs the extra `torch`: pip install "lowrank-book[torch]"') from error

__all__ = []


# %% book/foundations/autograd.ipynb: _Node
class _Node(torch.autograd.Function):
    """A rule as one node of the graph, as `torch.compile` takes it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*args):
        rule, static, *ins = args if type(args[1]) is tuple else args[1:]
        with uncast(ins):
            return tuple(rule.value(*static, *ins))

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        ctx.rule, ctx.static, *ins = inputs
        ctx.count = len(ins)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*ins, *outputs)
        ctx.save_for_forward(*ins, *outputs)

    @staticmethod
    def backward(ctx, *cotangents):
        ins, outs = _saved(ctx)
        if all(g is None for g in cotangents):
            return (None,) * (2 + len(ins))
        with uncast(ins):
            return None, None, *ctx.rule.pull(*ctx.static, ins, outs, cotangents)


# %% book/foundations/autograd.ipynb: _saved
def _saved(ctx):
    """The inputs and the outputs."""
    return ctx.saved_tensors[:ctx.count], ctx.saved_tensors[ctx.count:]


def _in_numpy(x):
    """The values of x in NumPy, None if it has none there."""
    if type(x) is not torch.Tensor or x.device.type != "cpu" or x.itemsize <= 2:
        return None
    try:
        return x.detach().resolve_conj().resolve_neg().numpy()
    except RuntimeError:                            # a batch of gradients in a tensor's clothes
        return None


def _all_in_numpy(*groups):
    """Groups of arrays for groups of tensors, None for None; or None if one is not for NumPy."""
    found = [[None if x is None else _in_numpy(x) for x in group] for group in groups]
    there = zip(sum(map(list, groups), []), sum(found, []))
    return None if any(x is not None and A is None for x, A in there) else found


def _tensor(A):
    """A tensor in the memory of an array of its own, in a copy of a view; None for None."""
    return None if A is None else torch.as_tensor(A if A.flags.owndata else A.copy())


# %% book/foundations/autograd.ipynb: _EagerNode
class _EagerNode(_Node):
    """The same with forward derivatives and batches, for eager mode."""

    generate_vmap_rule = False

    @staticmethod
    def forward(rule, static, *ins):
        arrays = _all_in_numpy(ins)
        if arrays is None:
            return _Node.forward(rule, static, *ins)
        return tuple(map(torch.from_numpy, rule.value(*static, *arrays[0])))

    @staticmethod
    def backward(ctx, *cotangents):
        arrays = None if torch.is_grad_enabled() else _all_in_numpy(*_saved(ctx), cotangents)
        if arrays is None or all(g is None for g in cotangents):
            return _Node.backward(ctx, *cotangents)
        with np.errstate(all="ignore"):
            return None, None, *map(_tensor, ctx.rule.pull(*ctx.static, *arrays))

    @staticmethod
    def jvp(ctx, _rule, _static, *changes):
        return tuple(ctx.rule.push(*ctx.static, *_saved(ctx), changes))

    @staticmethod
    def vmap(info, axes, rule, static, *ins):
        in_front = lambda x, axis: (x.movedim(axis, 0) if axis is not None
                                    else x.expand(info.batch_size, *x.shape))
        outs = _EagerNode.apply(rule, static, *map(in_front, ins, axes[2:]))
        return outs, (0,) * len(outs)


# %% book/foundations/autograd.ipynb: applied
def applied(rule, static, ins):
    """The outputs of a rule for tensors: inputs of one dtype, device and number of axes."""
    if not torch.compiler.is_compiling():
        return _EagerNode.apply(rule, static, *ins)
    if rule.left or not any(x.requires_grad for x in ins):
        return rule.value(*static, *ins)            # a node in a backward pass, or none is needed
    return _Node.apply(rule, static, *ins)

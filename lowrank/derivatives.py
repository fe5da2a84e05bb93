"""Derivatives of what is iterated.

An iteration finds the $y$ with $F(x,y)=0$, and its derivative is not that of its steps but
$-F_y^{-1}F_x$: this chapter hands this one to PyTorch and JAX, so that they differentiate a result
as often as anybody likes and never look at how it was found.

Generated from book/foundations/derivatives.ipynb; edit the chapter.
"""

from collections import namedtuple
from functools import cache

from array_api_compat import is_jax_array

from lowrank.arrays import array_namespace, device, is_array, is_tensor

__all__ = []


# %% book/foundations/derivatives.ipynb: Rule
class Rule(namedtuple("Rule", "value pull push left", defaults=[None])):
    """A function with its derivative, for arrays of any library.

    value(*static, *ins) -> outs, a tuple
    pull(*static, ins, outs, cotangents) -> cotangents of ins, None for what has none
    push(*static, ins, outs, changes) -> changes of outs; a change None is zero
    left(*static, H, outs) -> the other ins, if the rule solves this for outs; H is Hermitian
    """

    __slots__ = ()


def summed(*terms):
    """The sum of those terms that are not None; None if there are none."""
    there = [term for term in terms if term is not None]
    return sum(there[1:], there[0]) if there else None


# %% book/foundations/derivatives.ipynb: converted
def converted(v, x):
    """v as an array of the library, dtype and device of x; what it depends on is kept."""
    xp = array_namespace(x)
    if is_array(v) and array_namespace(v) is xp:
        return xp.astype(v, x.dtype, copy=False)
    return xp.asarray(v, dtype=x.dtype, device=device(x))


def aligned(x, *others):
    """x, and others as arrays of its library, dtype, device and number of axes."""
    shape = lambda v: (1,) * (x.ndim - v.ndim) + tuple(v.shape)
    return x, *(array_namespace(x).reshape(v, shape(v)) for v in (converted(v, x) for v in others))


def fitted(g, x):
    """g, summed over the axes along which x was broadcast, in the shape of x."""
    xp = array_namespace(g)
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1 and g.shape[i] != 1)
    return xp.sum(g, axis=axes, keepdims=True) if axes else g


# %% book/foundations/derivatives.ipynb: attached
def attached(rule, x, *others, static=()):
    """The outputs of a rule, to be differentiated by the means of the library of x."""
    ins = aligned(x, *others)
    if is_tensor(x):
        from lowrank.autograd import applied
        return applied(rule, static, ins)
    if is_jax_array(x):
        return _solved(rule, static, *ins) if rule.left else _custom_jvp(rule, static)(*ins)
    return rule.value(*static, *ins)


@cache
def _custom_jvp(rule, static):
    """The rule as a function of JAX."""
    import jax

    arrays = lambda values: tuple(map(jax.numpy.asarray, values))    # constants come from NumPy
    function = jax.custom_jvp(lambda *ins: tuple(rule.value(*static, *arrays(ins))))

    @function.defjvp
    def push(ins, changes):
        outs = function(*ins)                                        # differentiable again
        return outs, tuple(rule.push(*static, arrays(ins), outs, changes))
    return function


# %% book/foundations/derivatives.ipynb: _solved
def _solved(rule, static, H, *right):
    """The outputs of a rule with a left side, as the solution of an equation in JAX."""
    import jax

    solve = lambda H: lambda _, right: tuple(rule.value(*static, H, *right))
    left = lambda outs: tuple(rule.left(*static, H, outs))
    return jax.lax.custom_linear_solve(left, right, solve(H), solve(H.conj()))

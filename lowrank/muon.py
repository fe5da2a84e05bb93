r"""Muon: steepest descent for matrices.

Which step $D$ of a weight matrix promises most, $\min_D\;\operatorname{Re}\langle G, D\rangle +
\frac1{2\eta}\lVert D\rVert^2$ for the gradient $G$ of a loss, if its length $\lVert D\rVert$ is
that of a matrix and not that of a list of numbers?

Generated from book/matrix_sign/muon.ipynb; edit the chapter.
"""

import math
from collections import namedtuple
from collections.abc import Mapping
from inspect import signature

import numpy as np
from array_api_compat import is_torch_array

from lowrank.arguments import check_choice, check_count
from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_finite,
    check_parameter,
    check_shape,
    fixed,
    matching,
    quiet,
)
from lowrank.derivatives import converted
from lowrank.linear_map import Result
from lowrank.newton_schulz import NORMALIZE, by_schedule, check_schedule, in_units, runs_away
from lowrank.polar_express import optimal_msign_schedule
from lowrank.polar_factor import msign

__all__ = ["MuonUpdate", "muon_update", "MuonState", "Muon"]


# %% book/matrix_sign/muon.ipynb: _SCALES
_SCALES = {
    "rms": lambda m, n: 0.2 * max(m, n)**0.5,               # entries of RMS 0.2, as AdamW's
    "operator": lambda m, n: (m / n)**0.5,                  # RMS of inputs to RMS of outputs: 1
    "jordan": lambda m, n: max(1.0, m / n)**0.5,
}


# %% book/matrix_sign/muon.ipynb: check_share
def check_share(value, name):
    """value with 0 <= value < 1, as far as it is known."""
    return check_parameter(value, name, f"a number with 0 <= {name} < 1", lambda x: 0 <= x < 1)


def check_size(value, name):
    """value as a finite number from 0, as far as it is known."""
    return check_parameter(value, name, "a finite number from 0", lambda x: 0 <= x < math.inf)


# %% book/matrix_sign/muon.ipynb: _check_options
def _check_options(beta, nesterov, scale, schedule, normalize, dtype):
    """The options of `muon_update` in one form each."""
    if isinstance(scale, str):
        check_choice(scale, "scale", tuple(_SCALES))
    else:
        scale = check_size(scale, "scale")
    if schedule is not None and hasattr(schedule, "__iter__"):
        schedule = tuple(check_schedule(schedule))
    elif schedule is not None:
        schedule = check_count(schedule, "schedule", 0, where=", or a sequence of steps")
    check_choice(normalize, "normalize", NORMALIZE[:3])
    return {"beta": check_share(beta, "beta"), "nesterov": bool(nesterov), "scale": scale,
            "schedule": schedule, "normalize": normalize, "dtype": dtype}


def _check_format(X, dtype):
    """Refuse formats that cannot hold the numbers of X."""
    xp = array_namespace(X)
    kind = "complex" if xp.isdtype(X.dtype, "complex floating") else "real"
    if not xp.isdtype(dtype, f"{kind} floating"):
        raise TypeError(f"dtype is {dtype}; allowed is a {kind} floating-point dtype, as that "
                        "of the gradient")


# %% book/matrix_sign/muon.ipynb: _like
def _like(G, name, A, other):
    """G as floats of the library and shape of A in the dtype of both; no look at a value."""
    xp, G = as_floats(G, name)
    if array_namespace(A) is not xp or G.shape != A.shape:
        matching(G, name, A, other)                         # which says what is wrong
    return xp.astype(G, xp.result_type(G, A), copy=False)


def _mixed(A, B, share):
    """(1 - share) A + share B."""
    if is_torch_array(A) and isinstance(share, float) and A.dtype == B.dtype:
        return array_namespace(A).lerp(A, B, share)
    return (1 - share) * A + share * B


# %% book/matrix_sign/muon.ipynb: _quintic
@fixed
def _quintic(steps, bits):
    """So many quintic steps for singular values from 1e-3 on, with a margin for the format."""
    safety = {16: 2e-2, 32: 1e-4, 64: 1e-6}[bits]
    schedule = optimal_msign_schedule(steps, lower=1e-3, cushion=0.02, safety=safety)
    return tuple(map(tuple, schedule))


# %% book/matrix_sign/muon.ipynb: _sign
def _sign(X, schedule, normalize, dtype):
    """msign X, with products in that dtype."""
    if schedule is None:
        return msign(array_namespace(X).astype(in_units(X)[0], dtype), normalize=normalize)
    if isinstance(schedule, int):
        schedule = _quintic(schedule, array_namespace(X).finfo(dtype).bits)
    return by_schedule(X, schedule, normalize, dtype=dtype)


def _check_result(X, **given):
    """Say what was wrong with what was given, if X is not finite."""
    if runs_away(X):
        for name, A in given.items():
            if A is not None:
                check_finite(as_floats(A, name)[1], name)
        raise ValueError("schedule diverges: a singular value left the range in which its steps "
                         "stay bounded")


# %% book/matrix_sign/muon.ipynb: MuonUpdate
class MuonUpdate(namedtuple("MuonUpdate", "update momentum")):
    """A step, to be subtracted, and the momentum for the next call; see `muon_update`."""

    __slots__ = ()


@quiet
def muon_update(grad, momentum=None, *, beta=0.95, nesterov=True, scale="rms", schedule=5,
                normalize="schatten8", dtype=None):
    r"""c msign((1 - beta) G + beta M) for M <- beta M + (1 - beta) G: Muon's step for a matrix.

    Parameters
    ----------
    grad : array, shape (..., m, n)
        G, the gradient of a matrix or of a stack of them, of NumPy, PyTorch or JAX, real or
        complex. For the rules "operator" and "jordan" m is the number of outputs.
    momentum : array, shape (..., m, n), optional
        M, what the last call returned; None stands for zero.
    beta : float, 0 <= beta < 1, default 0.95
        Share of the past in the moving average. 0 takes G alone.
    nesterov : bool, default True
        False orthogonalises the new M itself.
    scale : {"rms", "operator", "jordan"} or float
        The factor c: ``0.2 * sqrt(max(m, n))``, which gives the entries the RMS of AdamW's;
        ``sqrt(m / n)``; ``sqrt(max(1, m / n))``; or a number.
    schedule : int or sequence of sequences of float, default 5
        How to compute the sign, as in `msign`: a number of steps of three products each, or
        steps such as those of `optimal_msign_schedule`, which are plain numbers and made before
        anything is traced or compiled. None takes it to full accuracy.
    normalize : {"frobenius", "schatten4", "schatten8"}
        The bound by which `msign` divides before it multiplies.
    dtype : dtype of the library of grad, optional
        Format of the products, such as ``torch.bfloat16``. Default: that of grad.

    Returns
    -------
    MuonUpdate
        Named tuple of ``update``, in the dtype of grad, and ``momentum``, in the dtype that
        grad and momentum share. New weights are ``W - lr * update``.

    Raises
    ------
    ValueError
        NaN, Inf, fewer than two axes, shapes that differ, an option out of range.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    See Also
    --------
    Muon : the same for all parameters of a model.

    Notes
    -----
    The update does not change when grad and momentum are multiplied by a positive number,
    up to the limits of the format. Zero gives zero. Unless ``schedule`` is None the function
    is differentiable and fit for ``vmap`` and ``jit``. Memory: a few matrices of that shape.
    Derived in :ref:`muon-descent`, :ref:`muon-momentum` and :ref:`muon-scale`,
    :prf:ref:`four-directions`, :prf:ref:`two-momenta` and :prf:ref:`polar-factor-sizes`;
    Jordan et al. (2024), Su (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import muon_update
    >>> G = np.array([[3.0, 0.0], [0.0, 1e-3]])
    >>> update, momentum = muon_update(G, schedule=None, scale=1)
    >>> update.round(6)
    array([[1., 0.],
           [0., 1.]])
    >>> update, momentum = muon_update(-G, momentum, schedule=None, scale=1)      # half a turn
    >>> update.round(6)
    array([[-1.,  0.],
           [ 0., -1.]])
    """
    xp, G = as_floats(grad, "grad")
    check_shape(G.shape, "grad", stacked=True, empty=True)
    options = _check_options(beta, nesterov, scale, schedule, normalize, dtype)
    dtype = G.dtype if dtype is None else dtype
    _check_format(G, dtype)
    beta, c = (v if isinstance(v, float | str) else converted(v, G)
               for v in (options["beta"], options["scale"]))
    c = _SCALES[c](*(max(k, 1) for k in G.shape[-2:])) if isinstance(c, str) else c
    if momentum is None:
        M = (1 - beta) * G
    else:
        M = _mixed(_like(momentum, "momentum", G, "grad"), G, 1 - beta)
    X = _sign(_mixed(G, M, beta) if nesterov else M, options["schedule"], normalize, dtype)
    update = c * xp.astype(X, G.dtype)
    _check_result(update, grad=grad, momentum=momentum)
    return MuonUpdate(update, M)


# %% book/matrix_sign/muon.ipynb: MuonState
class MuonState(namedtuple("MuonState", "count momenta sizes")):
    """What `Muon` remembers: steps taken, averages of gradients, and their RMS for AdamW."""

    __slots__ = ()


# %% book/matrix_sign/muon.ipynb: _is_vector
_KINDS = ("matrix", "stack", "adamw")


def _is_vector(W):
    """Whether at most one axis is longer than 1."""
    return sum(n != 1 for n in W.shape) < 2


def _axes(kind, W, name):
    """None for AdamW, or the axes (stack, outputs, inputs) of W."""
    n, shape = W.ndim, tuple(W.shape)
    if kind is None:
        if n == 3 and not _is_vector(W):
            raise ValueError(f"{name} has shape {shape}, which may be a stack of matrices or one "
                             "matrix; allowed for it are the kinds 'stack', 'matrix', 'adamw' "
                             "and a pair of axes, (outputs, inputs)")
        kind = "adamw" if _is_vector(W) else "matrix"
    if isinstance(kind, str):
        check_choice(kind, f"the kind of {name}", _KINDS)
        if kind == "adamw":
            return None
    pair = {"matrix": (0, range(1, n)), "stack": (-2, -1)}[kind] if isinstance(kind, str) else kind
    out, into = (tuple(np.atleast_1d(part).tolist()) for part in pair)
    named = [axis % n if -n <= axis < n else None for axis in (*out, *into)] if n else [None]
    if not out or not into or None in named or len(set(named)) < len(named):
        raise ValueError(f"the kind of {name} is {kind!r} and its shape {shape}; allowed are two "
                         "sets of its axes, and 'adamw' below two axes")
    stack = tuple(axis for axis in range(n) if axis not in named)
    return stack, tuple(named[:len(out)]), tuple(named[len(out):])


# %% book/matrix_sign/muon.ipynb: _as_matrices
def _as_matrices(X, axes):
    """X with its axes as (stack, outputs, inputs)."""
    sizes = [[X.shape[axis] for axis in group] for group in axes]
    xp = array_namespace(X)
    return xp.reshape(xp.permute_dims(X, sum(axes, ())), (*sizes[0], *map(math.prod, sizes[1:])))


def _from_matrices(Y, axes, shape):
    """The way back."""
    order = sum(axes, ())
    Y = array_namespace(Y).reshape(Y, tuple(shape[axis] for axis in order))
    return array_namespace(Y).permute_dims(Y, tuple(map(order.index, range(len(order)))))


# %% book/matrix_sign/muon.ipynb: _items
def _items(tree):
    """The (key, branch) of a dict or a sequence; None for a leaf."""
    if isinstance(tree, Mapping):
        return list(tree.items())
    return list(enumerate(tree)) if isinstance(tree, list | tuple) else None


def _leaves(tree, path):
    """[(path, leaf), ...]"""
    items = _items(tree)
    if items is None:
        return [(path, tree)]
    return [leaf for key, branch in items for leaf in _leaves(branch, f"{path}[{key!r}]")]


def _beside(other, tree, name):
    """For each leaf of tree what stands there in other; None or a word stands for all of them."""
    items = _items(tree)
    if items is None:
        return [other]
    if other is None or isinstance(other, str):
        other = {key: other for key, _ in items}
    found = other if isinstance(other, Mapping) else dict(enumerate(other))
    if set(found) != {key for key, _ in items}:
        raise ValueError(f"{name} has the entries {list(found)} and params "
                         f"{[key for key, _ in items]}; allowed are the same")
    return [x for key, branch in items for x in _beside(found[key], branch, f"{name}[{key!r}]")]


def _each(params, *others):
    """(name, kind, array, ...) for each parameter and what belongs to it."""
    named, names = _leaves(params, "params"), ("kinds", "grads", "momenta", "sizes")
    if not named:
        raise ValueError("params has no arrays; allowed is at least one")
    beside = [_beside(tree, params, name) for name, tree in zip(names, others)]
    return [(name, kind, W, *rest) for (name, W), kind, *rest in zip(named, *beside)]


def _rebuilt(tree, leaves):
    """The same tree with other leaves, an iterator."""
    if isinstance(tree, Mapping):
        return {key: _rebuilt(branch, leaves) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rebuilt(branch, leaves) for branch in tree]
    return next(leaves)


# %% book/matrix_sign/muon.ipynb: _muon_step
def _muon_step(W, G, M, axes, rate, decay, options):
    """W and M after a step of Muon, taken in the shape of matrices."""
    update, new = muon_update(_as_matrices(G, axes), _as_matrices(M, axes), **options)
    W = (1 - rate * decay) * W - rate * _from_matrices(update, axes, W.shape)
    return W, _from_matrices(new, axes, W.shape)


def _adamw_step(W, G, M, r, count, rate, decay, betas):
    """W, M and r after a step of AdamW; r is the root of the average of |G|^2."""
    xp, (b1, b2) = array_namespace(W), betas
    M = b1 * M + (1 - b1) * G
    r = xp.hypot(b2**0.5 * r, (1 - b2)**0.5 * xp.abs(G))
    least = float(xp.finfo(r.dtype).smallest_normal)        # instead of a fixed eps
    direction = (M / (1 - b1**count)) / (r / (1 - b2**count)**0.5 + least)
    return (1 - rate * decay) * W - rate * direction, M, r


# %% book/matrix_sign/muon.ipynb: _detached
def _detached(X):
    """X without PyTorch's graph."""
    return X.detach() if is_torch_array(X) else X


def _nothing_yet(name, kind, W):
    """The averages before the first step: zero, and None for what Muon does not need."""
    xp, W = as_floats(W, name)
    check_finite(W, name)
    M = xp.zeros_like(_detached(W))
    return M, None if _axes(kind, W, name) else abs(M)


def _parameter_step(muon, name, kind, W, G, M, r, count, factor):
    """W, M and r after the step that suits the kind of W; without a gradient as they were."""
    if G is None:
        return W, M, r
    old, axes, its = as_floats(W, name)[1], _axes(kind, W, name), name.replace("param", "grad", 1)
    W, G = _detached(old), _detached(_like(G, its, old, name))
    decay = 0.0 if _is_vector(W) else muon.weight_decay
    if axes is None:
        new, M, r = _adamw_step(W, G, M, r, count, muon.adam_lr * factor, decay, muon.betas)
    else:
        new, M = _muon_step(W, G, M, axes, muon.lr * factor, decay, muon.options)
    _check_result(new, **{name: W, its: G})
    new = array_namespace(W).astype(new, W.dtype)
    return new.requires_grad_() if getattr(old, "requires_grad", False) else new, M, r


# %% book/matrix_sign/muon.ipynb: _check_muon
def _check_muon(lr, weight_decay, adam_lr, betas, kinds, options):
    """What a `Muon` knows."""
    lr = check_size(lr, "lr")
    adam_lr = lr if adam_lr is None else check_size(adam_lr, "adam_lr")
    if getattr(betas, "__len__", lambda: 0)() != 2:
        raise ValueError(f"betas is {betas!r}; allowed is a pair of numbers")
    betas = tuple(check_share(b, f"betas[{i}]") for i, b in enumerate(betas))
    given = signature(muon_update).bind(None, None, **options)      # refuses unknown names
    given.apply_defaults()
    checked = _check_options(*list(given.arguments.values())[2:])
    options = {name: checked[name] for name in options}
    return {"lr": lr, "weight_decay": check_size(weight_decay, "weight_decay"),
            "adam_lr": adam_lr, "betas": betas, "kinds": kinds, "options": options}


# %% book/matrix_sign/muon.ipynb: Muon
class Muon(Result):
    r"""W <- (1 - lr lambda) W - lr c msign(average of gradients), for all matrices of a model.

    Parameters
    ----------
    lr : float, default 1e-3
        Learning rate of the matrices.
    weight_decay : float, default 0.1
        lambda. Parameters with at most one axis longer than 1 do not decay.
    adam_lr : float, optional
        Learning rate of the parameters that AdamW updates. Default ``lr``, which suits the
        default ``scale="rms"``.
    betas : pair of float, default (0.9, 0.95)
        The two averages of AdamW.
    kinds : list or dict, optional
        For each parameter, in the same lists and dicts as they: "matrix" has shape (out, ...)
        and is flattened to (out, in), as the weights of dense and convolutional layers of
        PyTorch are; "stack" has shape (..., m, n) and holds many matrices; "adamw" is for
        embeddings, the last layer and vectors. A pair names the axes of the outputs and of the
        inputs, such as ``(1, 0)`` for dense layers of flax and ``(3, (0, 1, 2))`` for its
        convolutions; other axes count matrices. None, for one parameter, a branch or all, is
        "adamw" where at most one axis is longer than 1, else "matrix"; of three axes it is
        refused, since those may be either.
    **options
        Those of `muon_update`: ``beta``, ``nesterov``, ``scale``, ``schedule``, ``normalize``,
        ``dtype``.

    Raises
    ------
    ValueError, TypeError
        An option out of range or unknown.

    Notes
    -----
    Immutable. `init` makes a `MuonState`, `step` returns new parameters and a new state; both
    can be passed through ``jax.jit``, since a state is a tree of arrays, and numbers such as lr
    may be traced. Parameters are a list of arrays, or dicts and lists of them; one whose
    gradient is None stays as it is. The momentum has the
    dtype of its parameter; replace it in the state to keep it longer than that.
    In PyTorch nothing that `step` returns belongs to a graph; new parameters require a gradient
    where the old ones did. What to store is ``state._asdict()``, plain lists and tensors, which
    ``torch.load(..., weights_only=True)`` takes; ``MuonState(**stored)`` goes on from there.
    Two of them with the same options are equal, and have the same hash.
    With ``weight_decay > 0`` the spectral norms end below ``(1 + e) c / weight_decay``: e is
    the error of the sign, 0.12 with five steps and 0 with ``schedule=None``.
    AdamW has no eps here: where all gradients have been zero, so is its step.
    Derived in :ref:`muon-layers`, :prf:ref:`decay-ball` and :prf:ref:`adam-rms`;
    Jordan et al. (2024), Liu et al. (2025), Loshchilov and Hutter (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import Muon
    >>> params = [np.eye(2), np.zeros(2)]
    >>> muon = Muon(lr=0.1, weight_decay=0, schedule=None)
    >>> state = muon.init(params)
    >>> params, state = muon.step(params, [np.diag([3.0, 1e-5]), np.array([7.0, 0.0])], state)
    >>> params[0].round(6)
    array([[0.971716, 0.      ],
           [0.      , 0.971716]])
    >>> params[1].round(6)
    array([-0.1,  0. ])
    """

    def __init__(self, lr=1e-3, *, weight_decay=0.1, adam_lr=None, betas=(0.9, 0.95), kinds=None,
                 **options):
        vars(self).update(_check_muon(lr, weight_decay, adam_lr, betas, kinds, options))

    def _asdict(self):
        known = super()._asdict()
        return known.pop("options") | known

    def __eq__(self, other):
        return isinstance(other, Muon) and self._asdict() == other._asdict()

    def __hash__(self):
        return hash(repr(sorted(self._asdict().items())))

    def init(self, params):
        """The state before the first step."""
        found = zip(*(_nothing_yet(*each) for each in _each(params, self.kinds)))
        return MuonState(0, *(_rebuilt(params, iter(leaves)) for leaves in found))

    @quiet
    def step(self, params, grads, state, *, factor=1.0):
        """(params, state) after a step; a schedule of learning rates multiplies by `factor`."""
        count = state.count + 1
        moved = [_parameter_step(self, *each, count, factor)
                 for each in _each(params, self.kinds, grads, state.momenta, state.sizes)]
        params, momenta, sizes = (_rebuilt(params, iter(found)) for found in zip(*moved))
        return params, MuonState(count, momenta, sizes)

r"""Muon: steepest descent for matrices.

Which step $D$ of a weight matrix promises most, $\min_D\;\operatorname{Re}\langle G, D\rangle +
\frac1{2\eta}\lVert D\rVert^2$ for the gradient $G$ of a loss, if its length $\lVert D\rVert$ is
that of a matrix and not that of a list of numbers?

Generated from book/matrix_sign/muon.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np
from array_api_compat import array_namespace

from lowrank.arguments import check_choice, check_number, check_tol
from lowrank.arrays import as_floats, as_stack, check_finite, matching, peak_of, power_of_two
from lowrank.linear_map import Result
from lowrank.newton_schulz import NORMALIZE
from lowrank.polar_factor import msign

__all__ = ["MuonUpdate", "muon_update", "MuonState", "Muon"]


# %% book/matrix_sign/muon.ipynb: _SCALES
_SCALES = {
    "rms": lambda m, n: 0.2 * max(m, n)**0.5,               # entries of RMS 0.2, as AdamW's
    "operator": lambda m, n: (m / n)**0.5,                  # RMS of inputs to RMS of outputs: 1
    "jordan": lambda m, n: max(1.0, m / n)**0.5,
}


# %% book/matrix_sign/muon.ipynb: _check_size
def _check_size(value, name):
    """value as a finite float >= 0."""
    return check_number(value, name, "a finite number from 0", lambda x: 0 <= x < math.inf)


def _factor(scale, m, n):
    """The length of a step: a rule for the shape, or a number."""
    if not isinstance(scale, str):
        return _check_size(scale, "scale")
    check_choice(scale, "scale", tuple(_SCALES))
    return _SCALES[scale](max(m, 1), max(n, 1))


def _in_format(X, dtype):
    """X in another floating-point format, scaled so that nothing over- or underflows there."""
    xp = array_namespace(X)
    kind = "complex" if xp.isdtype(X.dtype, "complex floating") else "real"
    if not xp.isdtype(dtype, f"{kind} floating"):
        raise TypeError(f"dtype is {dtype}; allowed is a {kind} floating-point dtype, as that "
                        "of the gradient")
    return xp.astype(X / power_of_two(peak_of(X)), dtype)


# %% book/matrix_sign/muon.ipynb: MuonUpdate
class MuonUpdate(namedtuple("MuonUpdate", "update momentum")):
    """A step, to be subtracted, and the momentum for the next call; see `muon_update`."""

    __slots__ = ()


@np.errstate(all="ignore")
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
    schedule : int, sequence of sequences of float, or None, default 5
        How to compute the sign, as in `msign`: a number of steps of three products each, or
        steps such as those of `optimal_msign_schedule`. None takes it to full accuracy.
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
    xp, G = as_stack(grad, "grad")
    beta, c = check_tol(beta, "beta"), _factor(scale, *G.shape[-2:])
    check_choice(normalize, "normalize", NORMALIZE[:3])
    M = new = (1 - beta) * G
    if momentum is not None:
        M = beta * matching(momentum, "momentum", G, "grad") + new
    X = beta * M + new if nesterov else M
    X = _in_format(X, G.dtype if dtype is None else dtype)
    X = msign(X, schedule=schedule, normalize=normalize)
    return MuonUpdate(c * xp.astype(X, G.dtype), M)


# %% book/matrix_sign/muon.ipynb: MuonState
class MuonState(namedtuple("MuonState", "count momenta sizes")):
    """What `Muon` remembers: steps taken, averages of gradients, and their RMS for AdamW."""

    __slots__ = ()


# %% book/matrix_sign/muon.ipynb: _muon_step
def _muon_step(W, G, M, shape, rate, decay, options):
    """W and M after a step of Muon, taken in the shape of a matrix."""
    xp = array_namespace(W)
    update, new = muon_update(xp.reshape(G, shape), xp.reshape(M, shape), **options)
    W = (1 - rate * decay) * W - rate * xp.reshape(update, W.shape)
    return W, xp.reshape(new, W.shape)


def _adamw_step(W, G, M, r, count, rate, decay, betas):
    """W, M and r after a step of AdamW; r is the root of the average of |G|^2."""
    xp, (b1, b2) = array_namespace(W), betas
    M = b1 * M + (1 - b1) * G
    r = xp.hypot(b2**0.5 * r, (1 - b2)**0.5 * xp.abs(G))
    least = float(xp.finfo(r.dtype).smallest_normal)        # instead of a fixed eps
    direction = (M / (1 - b1**count)) / (r / (1 - b2**count)**0.5 + least)
    return (1 - rate * decay) * W - rate * direction, M, r


def _parameter_step(muon, kind, W, G, M, r, count, factor):
    """W, M and r after the step that suits the kind of W."""
    decay = muon.weight_decay if W.ndim >= 2 else 0.0
    if kind == "adamw":
        new, M, r = _adamw_step(W, G, M, r, count, muon.adam_lr * factor, decay, muon.betas)
    else:
        shape = W.shape if kind == "stack" else (W.shape[0], math.prod(W.shape[1:]))
        new, M = _muon_step(W, G, M, shape, muon.lr * factor, decay, muon.options)
    return array_namespace(W).astype(new, W.dtype), M, r


# %% book/matrix_sign/muon.ipynb: _kind
_KINDS = ("matrix", "stack", "adamw")


def _kind(kind, W, i):
    """How a parameter is treated, by default by its number of axes."""
    if kind is None:
        return "matrix" if W.ndim >= 2 else "adamw"
    check_choice(kind, f"kinds[{i}]", _KINDS)
    if kind != "adamw" and W.ndim < 2:
        raise ValueError(f"kinds[{i}] is {kind!r} and params[{i}] has shape {tuple(W.shape)}; "
                         "allowed is 'adamw' below two axes")
    return kind


def _with_kinds(params, kinds):
    """The parameters as arrays of floats, and the kind of each."""
    params = [as_floats(W, f"params[{i}]")[1] for i, W in enumerate(params)]
    for i, W in enumerate(params):
        check_finite(W, f"params[{i}]")
    kinds = (None,) * len(params) if kinds is None else kinds
    if len(kinds) != len(params) or not params:
        raise ValueError(f"params has {len(params)} arrays and kinds has {len(kinds)} "
                         "entries; allowed is one kind for each of at least one array")
    return params, [_kind(k, W, i) for i, (k, W) in enumerate(zip(kinds, params))]


def _matching_grads(grads, params, state):
    """The gradients as arrays like the parameters."""
    if not len(grads) == len(state.momenta) == len(params):
        raise ValueError(f"grads has {len(grads)} arrays and state {len(state.momenta)}; "
                         f"allowed is the number of params, {len(params)}")
    return [matching(G, f"grads[{i}]", W, f"params[{i}]")
            for i, (G, W) in enumerate(zip(grads, params))]


def _check_muon(lr, weight_decay, adam_lr, betas, kinds, options):
    """What a `Muon` knows."""
    lr = _check_size(lr, "lr")
    adam_lr = lr if adam_lr is None else _check_size(adam_lr, "adam_lr")
    if np.shape(betas) != (2,):
        raise ValueError(f"betas is {betas!r}; allowed is a pair of numbers")
    betas = tuple(check_tol(b, f"betas[{i}]") for i, b in enumerate(betas))
    kinds = None if kinds is None else tuple(kinds)
    muon_update(np.ones((1, 1)), **{**options, "dtype": None})          # refuses bad options
    return {"lr": lr, "weight_decay": _check_size(weight_decay, "weight_decay"),
            "adam_lr": adam_lr, "betas": betas, "kinds": kinds, "options": options}


# %% book/matrix_sign/muon.ipynb: Muon
class Muon(Result):
    r"""W <- (1 - lr lambda) W - lr c msign(average of gradients), for all matrices of a model.

    Parameters
    ----------
    lr : float, default 1e-3
        Learning rate of the matrices.
    weight_decay : float, default 0.1
        lambda. Parameters with fewer than two axes do not decay.
    adam_lr : float, optional
        Learning rate of the parameters that AdamW updates. Default ``lr``, which suits the
        default ``scale="rms"``.
    betas : pair of float, default (0.9, 0.95)
        The two averages of AdamW.
    kinds : sequence of {"matrix", "stack", "adamw", None}, optional
        For each parameter: "matrix" has shape (out, ...) and is flattened to (out, in), as the
        weights of dense and convolutional layers are; "stack" has shape (..., m, n) and holds
        many matrices; "adamw" is for embeddings, the last layer and vectors. None, for one
        parameter or for all, is "matrix" from two axes on and "adamw" below.
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
    can be passed through ``jax.jit``, since a state is a tree of arrays. The momentum has the
    dtype of its parameter; replace it in the state to keep it longer than that.
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

    def init(self, params):
        """The state before the first step, for a list of arrays."""
        params, kinds = _with_kinds(params, self.kinds)
        zeros = [0 * W for W in params]
        sizes = [abs(Z) if kind == "adamw" else None for Z, kind in zip(zeros, kinds)]
        return MuonState(0, zeros, sizes)

    @np.errstate(all="ignore")
    def step(self, params, grads, state, *, factor=1.0):
        """(params, state) after a step; a schedule of learning rates multiplies by `factor`."""
        params, kinds = _with_kinds(params, self.kinds)
        grads, count = _matching_grads(grads, params, state), state.count + 1
        moved = [_parameter_step(self, *each, count, factor)
                 for each in zip(kinds, params, grads, state.momenta, state.sizes)]
        params, momenta, sizes = map(list, zip(*moved))
        return params, MuonState(count, momenta, sizes)

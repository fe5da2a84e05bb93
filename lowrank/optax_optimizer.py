r"""Muon for optax.

A model in JAX is a tree of arrays, with any number of axes in any order: of which matrices of an
array $W$ are the signs in $W\leftarrow(1-\eta\lambda)\,W-\eta\,c\operatorname{msign}(\beta
M+(1-\beta)\,G)$ taken, and on which device?

Generated from book/in_use/optax_optimizer.ipynb; edit the chapter.
"""

import math
from collections import namedtuple
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from lowrank.arguments import check_count
from lowrank.muon import check_share, check_size, muon_update

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError as error:
    raise ImportError('lowrank.optax_optimizer needs the extra `jax`: pip install "lowrank-book[jax]"') from error

__all__ = ["muon_layouts", "muon_labels", "ScaleByMuonState", "scale_by_muon", "optax_muon"]


# %% book/in_use/optax_optimizer.ipynb: _matrices
def _matrices(X, layout):
    """X as a stack of matrices of shape (outputs, inputs), and the way back."""
    order = [axis for role in "boi" for axis, letter in enumerate(layout) if letter == role]
    X, batch = jnp.transpose(X, order), layout.count("b")
    shape, inputs = X.shape, batch + layout.count("o")
    flat = (*shape[:batch], math.prod(shape[batch:inputs]), math.prod(shape[inputs:]))
    back = lambda Y: jnp.transpose(jnp.reshape(Y, shape), np.argsort(order))
    return jnp.reshape(X, flat), back


# %% book/in_use/optax_optimizer.ipynb: _name
_NO_MATRICES = {pattern: "adamw" for pattern in ("*bias", "*scale", "*embedding")}


def _name(path):
    """The way to a leaf of a tree, as in 'params/Dense_0/kernel'."""
    parts = (getattr(key, part) for key in path for part in ("key", "name", "idx")
             if hasattr(key, part))
    return "/".join(map(str, parts))


def _layout(name, W, layouts):
    """A letter for each axis of the parameter with this name, or "adamw"."""
    for pattern, layout in (*layouts.items(), *_NO_MATRICES.items()):
        if fnmatchcase(name, pattern):
            return _check_layout(layout, f"layouts[{pattern!r}]", name, W.shape)
    if sum(n > 1 for n in W.shape) < 2:
        return "adamw"
    if len(W.shape) == 2:
        return "io"
    raise ValueError(f"{name} has shape {W.shape}, and nothing says which axes are a matrix; give "
                     f"layouts={{{name!r}: ...}} a letter for each axis: i for inputs, o for "
                     "outputs, b for a batch of matrices; or 'adamw'")


# %% book/in_use/optax_optimizer.ipynb: _check_layout
def _check_layout(layout, where, name, shape):
    """layout, if it is one for this shape."""
    if layout == "adamw":
        return layout
    letters = set(layout) if isinstance(layout, str) else set()
    if not {"i", "o"} <= letters <= {"b", "i", "o"} or len(layout) != len(shape):
        raise ValueError(f"{where} is {layout!r} for {name} of shape {shape}; allowed is 'adamw', "
                         "or a letter for each axis: i for inputs and o for outputs, at least one "
                         "of each, b for a batch")
    return layout


def _check_layouts(layouts):
    """layouts as a dict."""
    if not isinstance(layouts, Mapping | None):
        raise TypeError(f"layouts is {layouts!r}; allowed is a mapping from patterns of names to "
                        "layouts")
    return dict(layouts or {})


# %% book/in_use/optax_optimizer.ipynb: muon_layouts
def muon_layouts(params, layouts=None):
    """The layout of each parameter of a tree, such as "io", or "adamw".

    Parameters
    ----------
    params : tree of arrays
        The parameters of a model; what `jax.eval_shape` returns for them will do.
    layouts : mapping of str to str, optional
        A layout for each pattern of names. A name is the way to a leaf, such as
        ``"params/Conv_0/kernel"``; the first pattern that fits it, with the wildcards of
        `fnmatch`, decides. A layout has a letter for each axis, i for inputs, o for outputs, b
        for a batch of matrices, or is "adamw".

    Returns
    -------
    tree of str
        In the form of params.

    Raises
    ------
    ValueError
        A layout that does not fit the shape; a parameter with more than two axes that no pattern
        fits; a pattern that fits no name, unless `optax.masked` has hidden some.
    TypeError
        layouts that are no mapping.

    Notes
    -----
    Without a pattern, "adamw" is for what has fewer than two axes longer than 1 and for names
    that end in bias, scale or embedding; other arrays with two axes are "io", as the dense layers
    of Flax. Derived in :ref:`optax-layouts`, :prf:ref:`layout-is-partition`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from lowrank import muon_layouts
    >>> params = {"Conv_0": {"kernel": jnp.ones((3, 3, 4, 8)), "bias": jnp.ones(8)},
    ...           "head": {"kernel": jnp.ones((8, 2))}}
    >>> muon_layouts(params, {"*Conv*kernel": "iiio"})
    {'Conv_0': {'bias': 'adamw', 'kernel': 'iiio'}, 'head': {'kernel': 'io'}}
    """
    layouts = _check_layouts(layouts)
    hidden = lambda node: isinstance(node, optax.MaskedNode)
    leaves = jax.tree_util.tree_leaves_with_path(params, lambda node: node is None or hidden(node))
    names = [_name(path) for path, _ in leaves]
    for pattern in () if any(hidden(leaf) for _, leaf in leaves) else layouts:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"layouts has the pattern {pattern!r}, which fits no parameter; the "
                             f"names are {', '.join(names):.500}")
    return jax.tree_util.tree_map_with_path(
        lambda path, W: _layout(_name(path), W, layouts), params)


def muon_labels(params, layouts=None):
    """The label "muon" or "adamw" for each parameter of a tree, for `optax.multi_transform`.

    Parameters
    ----------
    params : tree of arrays
        As for `muon_layouts`.
    layouts : mapping of str to str, optional
        As for `muon_layouts`.

    Returns
    -------
    tree of str
        In the form of params.

    Raises
    ------
    ValueError, TypeError
        As for `muon_layouts`.

    Notes
    -----
    Derived in :ref:`optax-layouts`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from lowrank import muon_labels
    >>> muon_labels({"kernel": jnp.ones((4, 8)), "bias": jnp.ones(8)})
    {'bias': 'adamw', 'kernel': 'muon'}
    """
    kind = lambda layout: "adamw" if layout == "adamw" else "muon"
    return jax.tree.map(kind, muon_layouts(params, layouts))


# %% book/in_use/optax_optimizer.ipynb: _average
def _average(G, M, beta):
    """beta M + (1 - beta) G, in 32 bits at least."""
    wide = jnp.promote_types(jnp.promote_types(G.dtype, M.dtype), jnp.float32)
    return beta * M.astype(wide) + (1 - beta) * G.astype(wide)


def _ahead(M, G, beta, count, corrected):
    """Nesterov's combination beta M + (1 - beta) G; corrected, both averages have the weight 1."""
    past, newest = beta, 1 - beta
    if corrected:
        past, newest = past / (1 - beta**(count + 1)), newest / (1 - beta**count)
    return past * M + newest * G.astype(M.dtype)


def _start(path, W, layouts, dtype):
    """The average before the first step: zero, in 32 bits at least unless a dtype is given."""
    if _layout(name := _name(path), W, layouts) == "adamw":
        raise ValueError(f"{name} of shape {W.shape} goes to AdamW; hand scale_by_muon the "
                         "matrices alone, as optax_muon does")
    return jnp.zeros_like(W, jnp.promote_types(W.dtype, jnp.float32) if dtype is None else dtype)


# %% book/in_use/optax_optimizer.ipynb: ScaleByMuonState
@partial(jax.jit, static_argnames=("layout", "options"))
def _direction(X, c, layout, options):
    """c times the step of Muon, without momentum, for the matrices of X."""
    X, back = _matrices(X, layout)
    return c * back(muon_update(X, beta=0, nesterov=False, **dict(options)).update)


class ScaleByMuonState(namedtuple("ScaleByMuonState", "count mu")):
    """What `scale_by_muon` remembers: the number of steps taken, and the averages of gradients."""

    __slots__ = ()


# %% book/in_use/optax_optimizer.ipynb: _check_schedule
def _check_schedule(schedule):
    """schedule as a number, or as a tuple of steps."""
    if not isinstance(schedule, str) and np.iterable(schedule):
        return tuple(tuple(map(float, step)) for step in schedule)
    where = ", 'auto' or a sequence of steps, and nothing traced: a step is one graph"
    return 5 if schedule == "auto" else check_count(schedule, "schedule", 0, where=where)


def _check_format(dtype, name):
    """dtype as one of floats, or None."""
    try:
        if not isinstance(dtype, jax.Array):                # which has a dtype, and is none
            if dtype is None or jnp.issubdtype(dtype := jnp.dtype(dtype), jnp.inexact):
                return dtype
    except TypeError:
        pass
    raise TypeError(f"{name} is {dtype!r}; allowed is None or a floating-point dtype, such as "
                    "'bfloat16'")


def _static(scale, schedule, normalize, dtype):
    """The factor c, and what else `muon_update` is told, in a form that can be hashed."""
    c, scale = (1.0, scale) if isinstance(scale, str) else (check_size(scale, "scale"), 1.0)
    options = {"scale": scale, "schedule": _check_schedule(schedule), "normalize": normalize}
    muon_update(np.ones((1, 1)), **options)                 # refuses bad options
    return c, options, _check_format(dtype, "dtype")


# %% book/in_use/optax_optimizer.ipynb: scale_by_muon
def scale_by_muon(beta=0.95, *, nesterov=True, bias_correction=False, scale="rms",
                  schedule="auto", normalize="schatten8", dtype=None, mu_dtype=None,
                  layouts=None):
    r"""c msign(beta M + (1 - beta) G) for M <- beta M + (1 - beta) G, as a part for optax.

    Parameters
    ----------
    beta : float, 0 <= beta < 1, default 0.95
        Share of the past in the moving average M. May be traced.
    nesterov : bool, default True
        False orthogonalises M itself.
    bias_correction : bool, default False
        With nesterov, divide M by 1 - beta^(t+1) and G by 1 - beta^t in step t, as
        `optax.contrib.muon` does.
    scale : {"rms", "operator", "jordan"} or float
        As for `muon_update`, where m is the number of outputs and n that of inputs. A number may
        be traced.
    schedule : sequence of sequences of float, int or "auto", default "auto"
        The steps of `msign`, or their number. "auto" takes five.
    normalize : {"frobenius", "schatten4", "schatten8"}
        As for `muon_update`.
    dtype : dtype, optional
        Format of the products. Default: that of the gradient.
    mu_dtype : dtype, optional
        Format of M. Default: that of the parameter, and float32 for 16 bits.
    layouts : mapping of str to str, optional
        As for `muon_layouts`. A pattern may fit nothing here.

    Returns
    -------
    optax.GradientTransformation
        ``init(params)`` returns a `ScaleByMuonState`, ``update(grads, state)`` steps in the shape
        and dtype of the gradients, and a new state.

    Raises
    ------
    ValueError, TypeError
        An option out of range; a parameter that goes to AdamW by `muon_layouts`.

    Notes
    -----
    The result does not change sign: a learning rate does that, `optax.scale_by_learning_rate`.
    NaN in a gradient is NaN in its step. Memory: M, and a few matrices. Integers, strings and
    dtypes are static: name them in the ``static_args`` of `optax.inject_hyperparams` when you
    pass them there.
    Derived in :ref:`optax-momentum`, :prf:ref:`layout-is-partition`,
    :prf:ref:`corrected-nesterov` and :prf:ref:`average-in-few-bits`; Jordan et al. (2024).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from lowrank import scale_by_muon
    >>> muon = scale_by_muon(scale=1, schedule=8)
    >>> params = {"kernel": jnp.zeros((2, 2))}
    >>> state = muon.init(params)
    >>> steps, state = muon.update({"kernel": jnp.diag(jnp.array([3.0, -0.1]))}, state)
    >>> steps["kernel"].round(3).tolist(), int(state.count)
    ([[1.0, 0.0], [0.0, -1.0]], 1)
    """
    beta, layouts = check_share(beta, "beta"), _check_layouts(layouts)
    c, options, dtype = _static(scale, schedule, normalize, dtype)
    mu_of = partial(_start, layouts=layouts, dtype=_check_format(mu_dtype, "mu_dtype"))

    def direction(path, G, M, count):
        X = _ahead(M, G, beta, count, bias_correction) if nesterov else M
        static = (*options.items(), ("dtype", G.dtype if dtype is None else dtype))
        return _direction(X, c, _layout(_name(path), G, layouts), static).astype(G.dtype)

    def init(params):
        return ScaleByMuonState(jnp.zeros([], jnp.int32),
                                jax.tree_util.tree_map_with_path(mu_of, params))

    def update(updates, state, params=None):
        count = optax.safe_increment(state.count)
        M = jax.tree.map(lambda G, M: _average(G, M, beta), updates, state.mu)
        steps = jax.tree_util.tree_map_with_path(partial(direction, count=count), updates, M)
        mu = jax.tree.map(lambda M, old: M.astype(old.dtype), M, state.mu)
        return steps, ScaleByMuonState(count, mu)

    return optax.GradientTransformation(init, update)


# %% book/in_use/optax_optimizer.ipynb: optax_muon
def optax_muon(learning_rate, *, weight_decay=0.1, beta=0.95, nesterov=True,
               bias_correction=False, scale="rms", schedule="auto", normalize="schatten8",
               dtype=None, mu_dtype=None, layouts=None, adam_learning_rate=None, adam_b1=0.9,
               adam_b2=0.95, adam_eps=1e-8, adam_weight_decay=0.0):
    r"""W <- (1 - lr lambda) W - lr c msign(average of gradients), and AdamW for the rest.

    Parameters
    ----------
    learning_rate : float or callable
        lr, or a schedule of optax, which gets the number of steps taken. May be traced.
    weight_decay : float, default 0.1
        lambda, for the matrices. May be traced.
    beta : float, 0 <= beta < 1, default 0.95
        As for `scale_by_muon`, and so are the next options.
    nesterov : bool, default True
    bias_correction : bool, default False
    scale : {"rms", "operator", "jordan"} or float
    schedule : sequence of sequences of float, int or "auto", default "auto"
    normalize : {"frobenius", "schatten4", "schatten8"}
    dtype : dtype, optional
    mu_dtype : dtype, optional
        Format of M, and of the first average of AdamW, which has that of its parameter by
        default.
    layouts : mapping of str to str, optional
        As for `muon_layouts`: the layout of each parameter that is no dense layer of Flax.
    adam_learning_rate : float or callable, optional
        Learning rate of AdamW. Default: learning_rate.
    adam_b1, adam_b2 : float, default 0.9 and 0.95
        Its averages.
    adam_eps : float, default 1e-8
        What it adds to the root.
    adam_weight_decay : float, default 0
        Its weight decay.

    Returns
    -------
    optax.GradientTransformation
        ``update`` needs the parameters: ``update(grads, state, params)``.

    Raises
    ------
    ValueError, TypeError
        An option out of range; layouts as in `muon_layouts`.

    Notes
    -----
    Of {"muon", "adamw"}, the labels of `optax.multi_transform`, the first is `scale_by_muon`,
    `optax.add_decayed_weights` and `optax.scale_by_learning_rate`, the second `optax.adamw`.
    Put your own parts there with `muon_labels`.
    Derived in :ref:`optax-whole`, :ref:`optax-layouts` and :prf:ref:`decay-ball`;
    Jordan et al. (2024), Liu et al. (2025).

    Examples
    --------
    >>> import jax.numpy as jnp, optax
    >>> from lowrank import optax_muon
    >>> params = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
    >>> optimizer = optax_muon(0.1, weight_decay=0, schedule=8)
    >>> state = optimizer.init(params)
    >>> grads = {"kernel": jnp.diag(jnp.array([3.0, 0.1])), "bias": jnp.array([7.0, 0.0])}
    >>> updates, state = optimizer.update(grads, state, params)
    >>> params = optax.apply_updates(params, updates)
    >>> params["kernel"].round(4).tolist() == [[jnp.float32(0.9717), 0], [0, jnp.float32(0.9717)]]
    True
    >>> params["bias"].round(4).tolist() == [-jnp.float32(0.1), 0]
    True
    """
    adam_rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    for name, rate in (("learning_rate", learning_rate), ("adam_learning_rate", adam_rate)):
        callable(rate) or check_size(rate, name)
    muon = scale_by_muon(beta, nesterov=nesterov, bias_correction=bias_correction, scale=scale,
                         schedule=schedule, normalize=normalize, dtype=dtype, mu_dtype=mu_dtype,
                         layouts=layouts)
    decay = optax.add_decayed_weights(check_size(weight_decay, "weight_decay"))
    adamw = optax.adamw(adam_rate, check_share(adam_b1, "adam_b1"),
                        check_share(adam_b2, "adam_b2"), check_size(adam_eps, "adam_eps"),
                        mu_dtype=mu_dtype,
                        weight_decay=check_size(adam_weight_decay, "adam_weight_decay"))
    parts = {"muon": optax.chain(muon, decay, optax.scale_by_learning_rate(learning_rate)),
             "adamw": adamw}
    return optax.multi_transform(parts, partial(muon_labels, layouts=layouts))

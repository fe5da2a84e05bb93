r"""An optimizer for PyTorch.

How does $W\leftarrow(1-\eta\lambda)W-\eta c\operatorname{msign}M$ become something that an
existing training loop takes in the place of AdamW, with groups, schedules, checkpoints and short
formats, and does it change nothing on the way?

Generated from book/in_use/torch_optimizer.ipynb; edit the chapter.
"""

import cmath
import inspect
import math
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import product

import numpy as np

from lowrank.arguments import check_choice, check_count, check_tol
from lowrank.arrays import check_finite
from lowrank.muon import check_size, muon_update

try:
    import torch
    from torch import nn
    from torch.optim.adamw import adamw
except ImportError as error:
    raise ImportError('lowrank.torch_optimizer needs the extra `torch`: pip install "lowrank-book[torch]"') from error

__all__ = ["TorchMuon", "muon_groups"]


# %% book/in_use/torch_optimizer.ipynb: _kind
_KINDS = ("matrix", "stack", "adamw")


def _kind(kind, shape, name):
    """What a parameter of this shape is: as stated, or else what the shape leaves no doubt of."""
    if kind is not None:
        check_choice(kind, f"the kind of {name}", _KINDS)
        if kind != "adamw" and len(shape) < 2:
            raise ValueError(f"{name} has shape {tuple(shape)} and the kind {kind!r}; allowed is "
                             "'adamw' below two axes")
        return kind
    count = math.prod(shape)
    if count == max(shape, default=1):                      # one axis at most is longer than 1
        return "adamw"
    if len(shape) in (2, 4, 5):                             # dense, or a convolution
        return "matrix" if 1 < shape[0] < count else "adamw"
    raise ValueError(f"{name} has shape {tuple(shape)}: a stack of matrices, a convolution or a "
                     "table? State its kind; allowed are 'stack', 'matrix' and 'adamw'")


# %% book/in_use/torch_optimizer.ipynb: _block_rows
def _block_rows(heads, rows, name):
    """How many rows each of the matrices has that a parameter holds one upon the other."""
    if np.ndim(heads) == 0:
        count = check_count(heads, f"heads of {name}", 1)
        if rows % count:
            raise ValueError(f"heads is {count} and {name} has {rows} rows; allowed is a divisor")
        return (rows // count,) * count
    sizes = tuple(check_count(size, f"heads of {name}", 1) for size in heads)
    if sum(sizes) != rows:
        raise ValueError(f"heads is {sizes} and {name} has {rows} rows; allowed are numbers of "
                         "rows that add up to these")
    return sizes


def _blocks(W, kind, heads):
    """Views of the matrices in W, in their order."""
    if kind == "stack":
        return [W[i] for i in product(*map(range, W.shape[:-2]))]
    return [W] if heads is None else W.split(_block_rows(heads, len(W), "a matrix"))


# %% book/in_use/torch_optimizer.ipynb: _parts
_OF_A_SIGN = ("scale", "schedule", "normalize", "dtype")    # options that `muon_update` takes


def _parts(pairs):
    """Pairs of blocks that are treated in one call, with a limited number of entries."""
    U = pairs[0][1]
    most = 2**16 if U.device.type == "cpu" else 2**24
    count = max(1, most // max(1, U.numel()))
    return (pairs[start:start + count] for start in range(0, len(pairs), count))


def _sign_steps(pairs, group, rate):
    """W <- W - rate c msign(U) for pairs of blocks W and U; those of one shape together."""
    alike, options = {}, {name: group[name] for name in _OF_A_SIGN}
    for W, U in pairs:
        U = U.flatten(1)
        alike.setdefault((U.shape, U.dtype, U.device), []).append((W, U))
    for part in (part for pairs in alike.values() for part in _parts(pairs)):
        W, U = zip(*part)
        X = torch.stack(U) if len(U) > 1 else U[0]
        X = muon_update(X, beta=0.0, nesterov=False, **options).update
        X = X.to(W[0].dtype).reshape(len(W), *W[0].shape)
        torch._foreach_add_(list(W), list(X.unbind()), alpha=-rate)


# %% book/in_use/torch_optimizer.ipynb: _averages
def _averages(state, name, params, dtype):
    """The averages of parameters, zero at first."""
    for W in params:
        if name not in state[W]:
            state[W][name] = torch.zeros_like(W, dtype=dtype)
    return [state[W][name] for W in params]


def _shrink(params, factor):
    """Multiply all parameters by a number."""
    short = [W for W in params if W.itemsize <= 2]          # in a list it would be rounded too
    for W in short:
        W.mul_(factor)
    if len(short) < len(params):
        torch._foreach_mul_([W for W in params if W.itemsize > 2], factor)


def _by_muon(state, group, kinds, params, grads):
    """A step of Muon for parameters that hold matrices."""
    rate, beta = float(group["lr"]), group["beta"]
    M = _averages(state, "momentum_buffer", params, group["state_dtype"])
    G = [G.to(M.dtype) for G, M in zip(grads, M)]
    torch._foreach_lerp_(M, G, 1 - beta)
    ahead = torch._foreach_lerp(G, M, beta) if group["nesterov"] else M
    _shrink(params, 1 - rate * group["weight_decay"])
    pairs = []
    for kind, W, U in zip(kinds, params, ahead):
        pairs += zip(*(_blocks(X, kind, group["heads"]) for X in (W, U)))
    _sign_steps(pairs, group, rate)


# %% book/in_use/torch_optimizer.ipynb: _by_adamw
def _by_adamw(state, group, kinds, params, grads):
    """A step of AdamW, by PyTorch's function."""
    M, v = (_averages(state, name, params, group["state_dtype"])
            for name in ("exp_avg", "exp_avg_sq"))
    counts = [state[W].setdefault("step", torch.zeros(())) for W in params]
    alike = all(W.dtype == average.dtype for W, average in zip(params, M))
    adamw(params, [G.to(average.dtype) for G, average in zip(grads, M)], M, v, [], counts,
          foreach=None if alike else False, has_complex=any(map(torch.is_complex, params)),
          amsgrad=False, beta1=group["betas"][0], beta2=group["betas"][1], lr=group["lr"],
          weight_decay=group["weight_decay"], eps=group["eps"], maximize=False)


# %% book/in_use/torch_optimizer.ipynb: _defaults
def _defaults():
    """The options of a group and their defaults."""
    known = inspect.signature(TorchMuon.__init__).parameters
    return {name: known[name].default for name in list(known)[2:]}


# %% book/in_use/torch_optimizer.ipynb: _Resumed
class _Resumed(torch.optim.Optimizer):
    """An optimizer whose state keeps its formats, and whose groups keep their options."""

    def load_state_dict(self, state_dict):
        """Take the state of `state_dict`; options that it lacks stay, bad ones are refused."""
        seen = {}
        completed = self.register_load_state_dict_pre_hook(
            lambda _, given: seen.update(_kept(given, self.param_groups)) or seen)
        try:
            super().load_state_dict(state_dict)
        finally:
            completed.remove()
        numbers = [i for group in seen["param_groups"] for i in group["params"]]
        params = [W for group in self.param_groups for W in group["params"]]
        for i, W in zip(numbers, params):
            for name, value in seen["state"].get(i, {}).items():
                if isinstance(value, torch.Tensor):         # a copy, in its own format
                    where = value.device if name == "step" else W.device
                    self.state[W][name] = value.detach().to(where, copy=True)

    def __setstate__(self, state):
        super().__setstate__(state)
        for name, default in _defaults().items():           # what an older pickle does not have
            self.defaults.setdefault(name, default)
            for group in self.param_groups:
                group.setdefault(name, self.defaults[name])


# %% book/in_use/torch_optimizer.ipynb: _with_names
_FORMATS = (None, torch.bfloat16, torch.float16, torch.float32, torch.float64)


def _with_names(group):
    """A copy of a group with a list of tensors, and a list of names where they came with them."""
    if not isinstance(group, dict):
        raise TypeError(f"param_group is a {type(group).__name__}; allowed is a dict")
    params = group["params"]
    if isinstance(params, set):
        raise TypeError("params is a set, which has no order; allowed is a list")
    params = [params] if isinstance(params, torch.Tensor) else list(params)
    named = [W for W in params if isinstance(W, tuple)]
    if named and len(named) < len(params):
        raise ValueError(f"params has {len(named)} names for {len(params)} parameters; allowed "
                         "is a name for all or for none")
    names = {"param_names": [name for name, W in named]} if named else {}
    return {**group, **names, "params": [W[1] for W in named] if named else params}


def _check_rate(value, name):
    """check_size, also for a tensor with one entry, which stays as it is."""
    if not isinstance(value, torch.Tensor):
        return check_size(value, name)
    if value.numel() != 1:
        raise ValueError(f"{name} has {value.numel()} entries; allowed is one")
    check_size(value.item(), name)
    return value


def _check_options(group):
    """A group with its options checked."""
    its_own = {name: group[name] for name in ("beta", "nesterov", *_OF_A_SIGN)}
    muon_update(np.eye(1), **{**its_own, "dtype": None})    # refuses bad ones in its words
    for name in ("dtype", "state_dtype"):
        check_choice(group[name], name, _FORMATS)
    for name in ("capturable", "differentiable"):
        if group[name]:
            raise ValueError(f"{name} is {group[name]!r}; allowed is False: a step that is part "
                             "of a graph is that of Muon, which is a function")
    if np.shape(group["betas"]) != (2,):
        raise ValueError(f"betas is {group['betas']!r}; allowed is a pair of numbers")
    if group["heads"] is not None and group["kind"] in ("stack", "adamw"):
        raise ValueError(f"heads is {group['heads']!r}; the kind {group['kind']!r} takes None")
    betas = tuple(check_tol(b, f"betas[{i}]") for i, b in enumerate(group["betas"]))
    sizes = {name: _check_rate(group[name], name) for name in ("lr", "weight_decay", "eps")}
    return {**group, **sizes, "betas": betas}


def _names(group):
    """A name for each parameter of a group, for messages."""
    count = len(group["params"])
    return group.get("param_names") or [f"parameter {i} of its group" for i in range(count)]


def _check_shapes(group):
    """Refuse parameters that are not what the group says."""
    for name, W in zip(_names(group), group["params"]):
        if not isinstance(W, torch.Tensor):
            continue                                        # refused by PyTorch
        if _kind(group["kind"], W.shape, name) == "matrix" and group["heads"] is not None:
            _block_rows(group["heads"], W.shape[0], name)
        if W.is_complex() and group["dtype"] is not None:
            raise TypeError(f"{name} has dtype {W.dtype} and the products {group['dtype']}; "
                            "allowed for complex parameters is dtype=None")


# %% book/in_use/torch_optimizer.ipynb: _gradients
def _gradients(group):
    """Kinds, parameters and gradients of those that have a gradient, which must be usable."""
    found = [(name, W, W.grad) for name, W in zip(_names(group), group["params"])
             if W.grad is not None]
    for name, W, G in found:
        if G.is_sparse:
            raise RuntimeError(f"the gradient of {name} is sparse; allowed is a dense one, as "
                               "from nn.Embedding with sparse=False")
        if G.device.type == "cpu" and not cmath.isfinite(complex(G.sum())):
            check_finite(G, f"the gradient of {name}")      # a sum may overflow as well
    return [(_kind(group["kind"], W.shape, name), W, -G if group["maximize"] else G)
            for name, W, G in found]



def _kept(state_dict, groups):
    """The state dict with options that it lacks as they are in the groups, all checked."""
    theirs = state_dict["param_groups"]
    if len(theirs) != len(groups):
        return state_dict                                   # refused by PyTorch
    own = [{name: value for name, value in group.items() if name != "params"} for group in groups]
    return {**state_dict, "param_groups": [_check_options({**known, **group})
                                           for known, group in zip(own, theirs)]}


# %% book/in_use/torch_optimizer.ipynb: TorchMuon
class TorchMuon(_Resumed):
    r"""W <- (1 - lr lambda) W - lr c msign(average of gradients): Muon for PyTorch's loops.

    Takes the place of `torch.optim.AdamW`: matrices get steps of Muon, all others of AdamW.

    Parameters
    ----------
    params : iterable
        Tensors, pairs of a name and a tensor such as ``model.named_parameters()``, or dicts:
        parameter groups with ``"params"`` and any of the options below. `muon_groups` makes
        them from a model.
    lr : float, default 1e-3
        Learning rate, of both methods; groups may have their own. A tensor with one entry is
        read once a step.
    weight_decay : float, default 0.1
        lambda, of all parameters of a group.
    beta : float, 0 <= beta < 1, default 0.95
        As for `muon_update`, like the next four.
    nesterov : bool, default True
        Whether the direction looks one step ahead.
    scale : {"rms", "operator", "jordan"} or float
        The factor c. With "rms" the learning rates of AdamW fit.
    schedule : int or sequence of sequences of float, default 5
        The steps of the matrix sign; None for full accuracy.
    normalize : {"frobenius", "schatten4", "schatten8"}
        The bound by which `msign` divides before it multiplies. Default "schatten8".
    dtype : torch.dtype, optional
        Format of the products, by default ``torch.bfloat16``. None is that of the average.
    kind : {"matrix", "stack", "adamw", None}
        What the parameters of a group are. "matrix" is flattened behind its first axis; "stack"
        has shape (..., m, n), as experts have; "adamw" is left to AdamW. None goes by the shape:
        a matrix with 2, 4 or 5 axes of which at least two sides are longer than 1; AdamW for
        what has one side; three axes are refused.
    heads : int or sequence of int, optional
        Blocks of rows that are matrices of their own: their number, or their rows.
    betas : pair of float, default (0.9, 0.95)
        The two averages of AdamW.
    eps : float, default 1e-8
        Of AdamW.
    state_dtype : torch.dtype, optional
        Format of all averages. None is that of the parameter.
    maximize : bool, default False
        Whether to go uphill.
    capturable : bool, default False
        True is refused, as is the next: they are known to loops that set them to False.
    differentiable : bool, default False
        Derivatives through a step are those of `Muon`, whose step is a function.

    Raises
    ------
    ValueError, TypeError
        An option out of range, a parameter of three axes without a kind, heads that do not fit;
        a group that is refused is not added. From `step`: NaN or Inf in a gradient that is not
        on an accelerator; nothing has been changed then.
    RuntimeError
        A sparse gradient.

    See Also
    --------
    muon_groups : The groups of a model, by the types of its modules and by names.
    Muon : The same as a function, for NumPy, PyTorch and JAX.

    Notes
    -----
    Matrices of one shape are multiplied together, up to 2^16 entries on a processor and 2^24
    elsewhere: one call for each operation, however many they are. Values on an accelerator are
    not looked at, but `lr` if it is a tensor there. Gradients may be missing.
    The state has tensors alone, under the names of `torch.optim.Muon` and `torch.optim.AdamW`:
    ``torch.load(weights_only=True)`` reads it, loading keeps its formats, and a run resumes bit
    for bit. Memory: an average for each matrix, two for other parameters.
    Derived in :ref:`torch-optimizer-step` and :ref:`torch-optimizer-state`,
    :prf:ref:`one-step-two-libraries`, :prf:ref:`block-of-a-sign`; Jordan et al. (2024).

    Examples
    --------
    >>> import torch
    >>> from lowrank import TorchMuon
    >>> W = torch.nn.Parameter(torch.zeros(2, 3))
    >>> optimizer = TorchMuon([W], lr=0.1, scale=1, schedule=None, dtype=None)
    >>> (W @ torch.tensor([[1.0, 0], [0, 2], [0, 0]])).trace().backward()
    >>> optimizer.step()
    >>> W.detach().abs().round(decimals=4)
    tensor([[0.1000, 0.0000, 0.0000],
            [0.0000, 0.1000, 0.0000]])
    """

    def __init__(self, params, lr=1e-3, *, weight_decay=0.1, beta=0.95, nesterov=True,
                 scale="rms", schedule=5, normalize="schatten8", dtype=torch.bfloat16, kind=None,
                 heads=None, betas=(0.9, 0.95), eps=1e-8, state_dtype=None, maximize=False,
                 capturable=False, differentiable=False):
        given = locals()
        super().__init__(params, {name: given[name] for name in _defaults()})

    def add_param_group(self, param_group):
        """Add parameters with options of their own; a group that is refused changes nothing."""
        group = _check_options({**self.defaults, **_with_names(param_group)})
        _check_shapes(group)
        super().add_param_group(group)

    @torch.no_grad()
    def step(self, closure=None):
        """Change the parameters by their gradients; returns what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group, found in [(group, _gradients(group)) for group in self.param_groups]:
            for move in (_by_muon, _by_adamw):
                chosen = [each for each in found if (each[0] == "adamw") is (move is _by_adamw)]
                if chosen:
                    move(self.state, group, *map(list, zip(*chosen)))
        return loss


# %% book/in_use/torch_optimizer.ipynb: _convolution
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d,
                 nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GATES = {nn.LSTM: 4, nn.GRU: 3}


def _convolution(W, groups):
    """Kind and heads of the weight of a convolution: a matrix for each group."""
    rows, columns = W.shape[0] // groups, math.prod(W.shape[1:])
    return ("adamw", None) if 1 in (rows, columns) else ("matrix", groups if groups > 1 else None)


def _told(model):
    """Kind and heads of those parameters of which a module says what they are."""
    found = {}
    for module in model.modules():
        if isinstance(module, _CONVOLUTIONS):
            found[module.weight] = _convolution(module.weight, module.groups)
        if isinstance(module, nn.MultiheadAttention):
            found[module.in_proj_weight] = ("matrix", 3 * module.num_heads)
            for W in (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight):
                found[W] = ("matrix", module.num_heads)
        for kind, gates in _GATES.items():
            if isinstance(module, kind):
                found |= {W: ("matrix", gates) for name, W in module.named_parameters()
                          if name.startswith(("weight_ih", "weight_hh"))}
    for module in model.modules():                          # tied weights are tables
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            found[module.weight] = ("adamw", None)
    return found


def _stated(patterns, names, otherwise):
    """What the first pattern says that fits one of the names of a parameter."""
    return next((value for pattern, value in patterns.items()
                 if any(fnmatchcase(name, pattern) for name in names)), otherwise)


def _check_patterns(patterns, what, names):
    """Refuse a pattern that fits no name."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, 3, 0.0)
            raise ValueError(f"{what} has the pattern {pattern!r}, which fits none of "
                             f"{len(names)} names; the nearest are {', '.join(map(repr, near))}")


# %% book/in_use/torch_optimizer.ipynb: muon_groups
def muon_groups(model, *, kinds=None, heads=None, adamw=None):
    """The parameters of a model in groups for `TorchMuon`: matrices, stacks, tables, vectors.

    Parameters
    ----------
    model : torch.nn.Module
        Its modules say which weights are embeddings, convolutions with groups, projections
        of `torch.nn.MultiheadAttention` and gates of recurrent layers.
    kinds : dict, optional
        From patterns of names, such as ``"*.experts"``, to kinds, as for `TorchMuon`: what
        the modules do not say, or say otherwise. The first pattern that fits counts.
    heads : dict, optional
        The same for `heads`.
    adamw : dict, optional
        Options of the groups that AdamW updates, such as ``{"lr": 3e-4}``.

    Returns
    -------
    list of dict
        Groups with ``"params"``, pairs of a name and a parameter, ``"kind"`` and their options.
        One for each kind and number of heads; tables and vectors are two, and the weight decay
        of vectors is 0.

    Raises
    ------
    ValueError
        A pattern that fits no parameter; a parameter with three axes of which nothing is said;
        heads that do not fit.

    Notes
    -----
    A parameter with several names is in one group, and a pattern may fit any of them. Where an
    embedding shares its weight with another layer it is an embedding.
    Derived in :ref:`torch-optimizer-kinds` and :ref:`torch-optimizer-switch`.

    Examples
    --------
    >>> from torch import nn
    >>> from lowrank import TorchMuon, muon_groups
    >>> model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    >>> groups = muon_groups(model, kinds={"2.weight": "adamw"}, adamw={"lr": 3e-4})
    >>> for group in groups:
    ...     print(group["kind"], [name for name, W in group["params"]])
    matrix ['1.weight']
    adamw ['0.weight', '2.weight']
    adamw ['1.bias', '2.bias']
    >>> optimizer = TorchMuon(groups, lr=0.02, weight_decay=0.1)
    """
    kinds, heads, adamw, names = kinds or {}, heads or {}, adamw or {}, {}
    for name, W in model.named_parameters(remove_duplicate=False):
        names.setdefault(W, []).append(name)
    _check_patterns(kinds, "kinds", sum(names.values(), []))
    told, groups, matrices = _told(model), {}, []
    for W, called in names.items():
        kind, blocks = told.get(W, (None, None))
        kind = _kind(_stated(kinds, called, kind), W.shape, called[0])
        options = {"kind": kind}
        if kind == "matrix":
            options["heads"] = _stated(heads, called, blocks)
            matrices += called
        elif kind == "adamw":
            vector = math.prod(W.shape) == max(W.shape, default=1)
            options |= {**adamw, "weight_decay": 0.0} if vector else adamw
        group = groups.setdefault(repr(options), {"params": [], **options})
        group["params"].append((called[0], W))
    _check_patterns(heads, "heads", matrices)
    return sorted(groups.values(), key=lambda group: _KINDS.index(group["kind"]))

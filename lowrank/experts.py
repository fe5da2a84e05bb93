"""Experts.

Each of $N$ tokens gives $n$ experts a score $s_{ti}$ and is worked on by the $k$ experts with the
largest ones: which $b_i$ have to be added to the scores, so that expert $i$ gets the share $Q_i$
of all that work, and what do the scores lose by it?

Generated from book/companions/experts.ipynb; edit the chapter.
"""

from collections import namedtuple

import numpy as np

from lowrank.arguments import as_generator, check_choice, check_count, check_number
from lowrank.arrays import NUMPY, as_floats, quiet

__all__ = [
    "route",
    "ExpertLoad",
    "expert_load",
    "loss_free_bias",
    "SharedExpertScale",
    "shared_expert_scale",
]


# %% book/companions/experts.ipynb: _checked
def _checked(scores, k, masked=True):
    """(scores, k): real floats of shape (..., n), with k finite ones or more in each row."""
    xp, S = as_floats(scores, "scores")
    if xp is not NUMPY:
        raise TypeError(f"scores is a {type(scores).__name__}; allowed is an array of NumPy")
    if S.dtype.kind != "f":
        raise TypeError(f"scores has dtype {S.dtype}; allowed are real numbers")
    if not S.ndim or not S.shape[-1]:
        raise ValueError(f"scores has shape {S.shape}; allowed is (..., n), one expert or more")
    k = check_count(k, "k", 1, S.shape[-1], " experts")
    finite = np.isfinite(S)
    if not np.all(finite | (S == -np.inf if masked else False)):
        allowed = "finite numbers" + (", and -inf for experts to leave out" if masked else "")
        raise ValueError(f"scores has NaN or Inf; allowed are {allowed}")
    least = finite.sum(axis=-1).min(initial=S.shape[-1])
    if least < k:
        raise ValueError(f"scores has a row with {least} finite numbers; allowed are k = {k} "
                         "or more")
    return S, k


def _real_vector(x, name, n):
    """x as float64 of shape (n,)."""
    xp, v = as_floats(x, name)
    if xp is not NUMPY:
        raise TypeError(f"{name} is a {type(x).__name__}; allowed is an array of NumPy")
    if v.shape != (n,) or v.dtype.kind != "f":
        raise ValueError(f"{name} has shape {v.shape} and dtype {v.dtype}; allowed are n = {n} "
                         "real numbers")
    if not np.all(np.isfinite(v)):
        raise ValueError(f"{name} has NaN or Inf; allowed are finite numbers")
    return v.astype(np.float64)


def _checked_bias(bias, n):
    return np.zeros(n) if bias is None else _real_vector(bias, "bias", n)


def _checked_target(target, n, k):
    """Q, all 1/n by default."""
    if target is None:
        return np.full(n, 1 / n)
    Q = _real_vector(target, "target", n)
    if Q.min() <= 0 or abs(Q.sum() - 1) > 1e-9 or k * Q.max() > 1 + 1e-9:
        raise ValueError(f"target has a smallest entry of {Q.min():g}, a largest of {Q.max():g} "
                         f"and the sum {Q.sum():g}; allowed are numbers above 0 and up to "
                         f"1 / k = {1 / k:g} with the sum 1")
    return Q


# %% book/companions/experts.ipynb: route
@quiet
def route(scores, k, *, bias=None):
    r"""The k experts of each token, chosen by scores + bias, with weights from the scores alone.

    Parameters
    ----------
    scores : array_like, shape (..., n)
        A score of each expert for each token, NumPy; -inf for an expert that is not allowed.
    k : int from 1 to n
        How many experts a token has.
    bias : array_like, shape (n,), optional
        What is added before the choice, as `loss_free_bias` finds it; 0 by default.

    Returns
    -------
    indices : array of int, shape (..., k)
        The experts with the largest scores + bias, the largest first, and the lower index first
        among equals.
    weights : array, shape (..., k)
        Their scores, without the bias, as they are; divide by their sum if it should be 1.

    Raises
    ------
    ValueError
        NaN or +inf, fewer than k finite scores for a token, k out of range, a bias of another
        shape.
    TypeError
        Complex scores, or arrays of another library.

    Notes
    -----
    One sort of each row. The sum with the bias is taken in float64, whatever the scores; the
    weights have their dtype. Why weights must not see the bias: :prf:ref:`experts-weights`.
    Derived in :ref:`experts-route`.

    Examples
    --------
    >>> from lowrank import route
    >>> indices, weights = route([0.9, 0.5, 0.4], 2, bias=[-0.6, 0, 0])
    >>> indices.tolist(), weights.tolist()
    ([1, 2], [0.5, 0.4])
    """
    S, k = _checked(scores, k)
    x = S + _checked_bias(bias, S.shape[-1])
    indices = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return indices, np.take_along_axis(S, indices, axis=-1)


# %% book/companions/experts.ipynb: ExpertLoad
class ExpertLoad(namedtuple("ExpertLoad", "load max_violation")):
    """Who does how much.

    Attributes
    ----------
    load : array, shape (n,)
        The share of each expert in all choices, with the sum 1.
    max_violation : float
        The largest load over its target, minus 1; 0 for perfect balance.
    """

    __slots__ = ()


def _chosen(x, k):
    """True for the k largest of each row, the first among equals."""
    if k == x.shape[1]:
        return np.ones(x.shape, bool)
    least = np.partition(x, -k, axis=1)[:, -k, None]
    chosen = x >= least
    tied = np.flatnonzero(chosen.sum(axis=1) > k)
    above, level = x[tied] > least[tied], x[tied] == least[tied]
    room = k - above.sum(axis=1, keepdims=True)
    chosen[tied] = above | (level & (np.cumsum(level, axis=1) <= room))
    return chosen


def _load(x, k):
    return _chosen(x, k).sum(axis=0) / (len(x) * k)


# %% book/companions/experts.ipynb: expert_load
@quiet
def expert_load(scores, k, *, bias=None, target=None):
    r"""The share of each expert in the work, and how far the worst is above its target.

    Parameters
    ----------
    scores : array_like, shape (..., n)
        As for `route`, with at least one token.
    k : int from 1 to n
        How many experts a token has.
    bias : array_like, shape (n,), optional
        What is added before the choice.
    target : array_like, shape (n,), optional
        The loads that are wanted: above 0, at most 1/k, with the sum 1. By default 1/n.

    Returns
    -------
    ExpertLoad
        The loads, and the largest of them over its target, minus 1.

    Raises
    ------
    ValueError, TypeError
        As for `route`; no token, or a target that is none.

    Notes
    -----
    Derived in :ref:`experts-route`.

    Examples
    --------
    >>> from lowrank import expert_load
    >>> expert_load([[3.0, 2, 1], [3, 1, 2], [9, 8, 0], [1, 0, 0]], 1)
    ExpertLoad(load=array([1., 0., 0.]), max_violation=2.0)
    """
    S, k = _checked(scores, k)
    n = S.shape[-1]
    x = (S + _checked_bias(bias, n)).reshape(-1, n)
    if not len(x):
        raise ValueError(f"scores has shape {S.shape}; allowed is one token or more")
    F = _load(x, k)
    return ExpertLoad(F, float(np.max(F / _checked_target(target, n, k)) - 1))


# %% book/companions/experts.ipynb: _sweep
def _sweep(S, columns, b, k, m):
    """Biases after one sweep; `columns` is S^T, m how many tokens each expert should have."""
    N, n = S.shape
    rows = np.sort(S + b, axis=1)
    R = np.sort(columns - (rows[:, n - k] / 2 + rows[:, n - k - 1] / 2), axis=1)
    whole = (np.abs(m - np.round(m)) < 1e-9 * N) & (m > 0.5)
    upper = N - np.where(whole, np.round(m), np.floor(m) + 1).astype(int)
    lower = upper - whole                                     # else both ends are one
    below = np.where(lower >= 0, R[np.arange(n), lower], 2 * R[:, 0] - R[:, -1])
    return -(R[np.arange(n), upper] / 2 + below / 2)


def _step(excess, rule):
    """The direction of a step, from the loads minus their targets."""
    if rule == "sign":
        return np.sign(excess)
    if rule == "rms":
        return excess / max(np.sqrt(np.mean(excess**2)), np.finfo(float).tiny)
    return excess


# %% book/companions/experts.ipynb: loss_free_bias
@quiet
def loss_free_bias(scores, k, steps, rate=None, *, bias=None, target=None, rule="sign"):
    r"""Biases that balance the loads of experts, by steps on a convex function of them.

    Parameters
    ----------
    scores : array_like, shape (..., n)
        A score of each expert for each token, NumPy, finite, with at least one token.
    k : int from 1 to n
        How many experts a token has.
    steps : int >= 0
        The number of steps, or of sweeps.
    rate : float > 0, optional
        The size of a step, in the units of the scores. "quantile" has none, the others need it.
    bias : array_like, shape (n,), optional
        Where to begin, 0 by default: with one step for each batch, the result of the last one.
    target : array_like, shape (n,), optional
        The loads Q that are wanted: above 0, at most 1/k, with the sum 1. By default 1/n.
    rule : {"sign", "rms", "gradient", "quantile"}, default "sign"
        With F the loads, b changes by -rate times sign(F - Q), (F - Q) over its root mean
        square, or F - Q; or by one sweep of quantiles.

    Returns
    -------
    array, shape (n,)
        The biases, float64, with the mean 0. Give them to `route`.

    Raises
    ------
    ValueError
        NaN or Inf, k out of range, a target that is none, a rate that is missing or is given to
        "quantile", another rule.
    TypeError
        Complex scores, arrays of another library, steps that are no integer.

    Notes
    -----
    All rules go down on D(b), the mean of the k largest of s + b minus k <Q, b>, whose minimum
    is the best mean score with loads Q (:prf:ref:`balance-dual`). How near "gradient" comes
    says :prf:ref:`experts-descent`; "sign" ends within about a rate of it. "quantile" never
    increases D and needs a few sweeps (:prf:ref:`experts-sweeps`), each with two sorts of the
    table of scores. With ties, as of equal tokens, no bias may balance: then the choice among
    equals, not the bias, decides. Derived in :ref:`experts-dual` to :ref:`experts-quantile`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import expert_load, loss_free_bias
    >>> scores = np.random.default_rng(0).random((1000, 8)) + np.linspace(0, 1, 8)
    >>> b = loss_free_bias(scores, 2, 10, rule="quantile")
    >>> [round(expert_load(scores, 2, bias=x).max_violation, 1) for x in (None, b)]
    [1.8, 0.0]
    """
    check_choice(rule, "rule", ("sign", "rms", "gradient", "quantile"))
    S, k = _checked(scores, k, masked=False)
    n, steps = S.shape[-1], check_count(steps, "steps", 0)
    if (rate is None) != (rule == "quantile"):
        allowed = "a number above 0" if rate is None else "None"
        raise ValueError(f"rate is {rate!r}; allowed is {allowed} with rule={rule!r}")
    if rate is not None:
        rate = check_number(rate, "rate", "a finite number above 0", lambda r: 0 < r < np.inf)
    S, b = S.reshape(-1, n).astype(np.float64), _checked_bias(bias, n)
    if not len(S):
        raise ValueError(f"scores has shape {np.shape(scores)}; allowed is one token or more")
    Q, columns = _checked_target(target, n, k), np.ascontiguousarray(S.T)
    for _ in range(steps if k < n else 0):                    # all experts: nothing to choose
        if rule == "quantile":
            b = _sweep(S, columns, b, k, len(S) * k * Q)
        else:
            b = b - rate * _step(_load(S + b, k) - Q, rule)
    return b - b.mean()


# %% book/companions/experts.ipynb: SharedExpertScale
class SharedExpertScale(namedtuple("SharedExpertScale", "scale standard_error")):
    """A mean over random logits.

    Attributes
    ----------
    scale : float
        The factor on the routed experts.
    standard_error : float
        Of the mean, from the same draws.
    """

    __slots__ = ()


def _gates(z, act):
    """Activations of logits, for each row, the largest last."""
    z = np.sort(z, axis=1)
    if act == "softmax":
        e = np.exp(z - z[:, -1:])
        return e / e.sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-z)) if act == "sigmoid" else np.maximum(z, 0)


# %% book/companions/experts.ipynb: shared_expert_scale
def shared_expert_scale(n, k, s, act="softmax", renorm=False, *, samples=100_000, rng=None):
    r"""The factor that makes routed experts as loud as shared ones, when training begins.

    Parameters
    ----------
    n : int >= 2
        The number of experts, shared ones included.
    k : int from 2 to n
        How many are computed for a token, shared ones included.
    s : int from 1 to k - 1
        The number of shared experts.
    act : {"softmax", "sigmoid", "relu"}, default "softmax"
        What makes weights of the n - s logits.
    renorm : bool, default False
        Whether the k - s weights are divided by their sum; "relu" needs it.
    samples : int >= 2, default 100000
        The number of draws.
    rng : None, int or numpy.random.Generator
        The source of chance.

    Returns
    -------
    SharedExpertScale
        The mean of sqrt(s / sum of squared weights), and its standard error.

    Raises
    ------
    ValueError
        A number out of range, an unknown `act`, or "relu" without `renorm`, whose mean is
        infinite.
    TypeError
        A number that is no integer, or a renorm that is no bool.

    Notes
    -----
    The logits are independent and standard normal, and the outputs of experts orthogonal and
    equally long: that is a model of the first step, no more. With "relu", draws in which no
    expert is active are left out. Derived in :ref:`experts-shared`, :prf:ref:`experts-scale`.

    Examples
    --------
    >>> from lowrank import shared_expert_scale
    >>> round(shared_expert_scale(257, 9, 1, "sigmoid", True, samples=10_000, rng=0).scale, 2)
    2.83
    """
    n = check_count(n, "n", 2)
    k = check_count(k, "k", 2, n)
    s, samples = check_count(s, "s", 1, k - 1), check_count(samples, "samples", 2)
    check_choice(act, "act", ("softmax", "sigmoid", "relu"))
    if not isinstance(renorm, (bool, np.bool)):
        raise TypeError(f"renorm is {renorm!r}; allowed is True or False")
    if act == "relu" and not renorm:
        raise ValueError("renorm is False; with act='relu' the mean is infinite, allowed is True")
    rng, ratios = as_generator(rng), []
    block = max(1, 2**20 // (n - s))
    for i in range(0, samples, block):
        z = rng.standard_normal((min(block, samples - i), n - s))
        rho = _gates(z, act)[:, s - k:]
        rho = rho[rho[:, -1] > 0]
        if renorm:
            rho = rho / rho.sum(axis=1, keepdims=True)
        ratios.append(np.sqrt(s / np.sum(rho**2, axis=1)))
    ratios = np.concatenate(ratios)
    if len(ratios) < 2:
        raise ValueError(f"samples is {samples}; fewer than two draws have an active expert")
    return SharedExpertScale(float(ratios.mean()), float(ratios.std() / len(ratios)**0.5))

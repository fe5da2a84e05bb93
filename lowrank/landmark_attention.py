r"""Attention from landmarks.

The outputs $Y=AV$ of attention cost $n^2$ numbers: can a few *landmarks*, $m\ll n$ averaged
queries and keys, replace $A\approx CZR$ by thin matrices, which core $Z$ belongs in the middle,
and how large is the error?

Generated from book/structure/landmark_attention.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    check_indices,
    check_number,
    check_tol,
    refuse_options,
)
from lowrank.arrays import (
    array_namespace,
    compiling,
    cut_off,
    device,
    fixed,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    thin_svd,
)
from lowrank.attention_rank import (
    as_mask,
    as_tokens,
    check_keys,
    check_leads,
    check_scale,
    row_softmax,
    scores,
)
from lowrank.derivatives import Rule, attached
from lowrank.polar_factor import decomposed, identity_like, msign, spread

__all__ = ["NystromFactors", "nystrom_attention", "AttentionError", "attention_error"]


# %% book/structure/landmark_attention.ipynb: _allowed_keys
def _allowed_keys(mask, Q, K):
    """The mask of keys, (..., n_k), with the leading axes of all."""
    if mask is None:
        return None
    xp = array_namespace(K)
    mask = as_mask(mask, xp)
    lead = check_leads(Q=Q, K=K)
    shape = (*lead, K.shape[-2])
    if mask.ndim > len(shape) or not mask.ndim or any(
            a not in (1, b) for a, b in zip(mask.shape[::-1], shape[::-1])):
        raise ValueError(f"mask has shape {tuple(mask.shape)}; allowed is what broadcasts to "
                         f"{shape}: True for a key that all queries see")
    mask = xp.broadcast_to(mask, shape)
    if not may_hold(xp.all(xp.any(mask, axis=-1))):
        raise ValueError("mask leaves no key for some sequences; allowed is at least one True")
    return mask


def _checked(scale, mask, **given):
    """(xp, dtype, Q, K, V, scale, mask), checked."""
    xp, dtype, Q, K, V = as_tokens(**given)
    check_keys(Q, K)
    if V.shape[-2] != K.shape[-2]:
        raise ValueError(f"V has shape {tuple(V.shape)} and K {tuple(K.shape)}; allowed are as "
                         "many values as keys")
    check_leads(Q=Q, K=K, V=V)
    return xp, dtype, Q, K, V, check_scale(scale, Q.shape[-1]), _allowed_keys(mask, Q, K)


def _check_options(core, causal, rtol, steps, rows, rng):
    """The number of steps; options of another core are refused."""
    check_choice(core, "core", ("inverse", "fitted", "steps"))
    if causal is not False:
        raise ValueError(f"causal is {causal!r}; allowed is False: landmarks are means over later "
                         "tokens too, so that outputs would depend on what they must not see")
    if core != "fitted":
        refuse_options(f"core={core!r}", rows=rows, rng=rng)
    if core == "steps":
        refuse_options("core='steps'", rtol=rtol)
        return 6 if steps is None else check_count(steps, "steps", 0)
    refuse_options(f"core={core!r}", steps=steps)
    if rtol is not None:
        check_tol(rtol, "rtol")


def _check_landmarks(landmarks, n, n_k):
    """An int, or two arrays of indices."""
    if isinstance(landmarks, (tuple, list)):
        if len(landmarks) != 2:
            raise ValueError(f"landmarks has {len(landmarks)} parts; allowed is an integer, or a "
                             "pair of indices of queries and of keys")
        return tuple(check_indices(J, size, f"landmarks[{i}]")
                     for i, (J, size) in enumerate(zip(landmarks, (n, n_k))))
    return check_count(landmarks, "landmarks", 1, min(n, n_k), f" for {n} queries, {n_k} keys")


@fixed
def _drawn(n, count, rng):
    """So many of n rows, without replacement."""
    return tuple(np.sort(as_generator(rng).permutation(n)[:count]).tolist())


def _check_rows(rows, n, m, rng):
    """The indices of the rows that are sampled, and whether they were drawn."""
    if rows is None or isinstance(rows, (int, np.integer)):
        count = min(n, 4 * m) if rows is None else check_count(rows, "rows", 1, n)
        return _drawn(n, count, rng), True
    return tuple(check_indices(rows, n, "rows").tolist()), False


def _taken(X, indices):
    """Rows of a stack."""
    xp = array_namespace(X)
    return xp.take(X, xp.asarray(indices, device=device(X)), axis=-2)


def _taken_of(mask, rows, X):
    """The matrix that takes from X as many rows, of those only that the mask allows."""
    xp, seen = array_namespace(X), array_namespace(X).astype(mask, array_namespace(X).int64)
    place, total = xp.cumulative_sum(seen, axis=-1) - 1, xp.sum(seen, axis=-1, keepdims=True)
    wanted = xp.asarray(rows, dtype=xp.int64, device=device(X)) * total // mask.shape[-1]
    return xp.astype((place[..., None, :] == wanted[..., :, None]) & mask[..., None, :], X.dtype)


# %% book/structure/landmark_attention.ipynb: _segment_means
def _segment_means(X, m):
    """Means of m segments, the first n mod m of which are longer by one."""
    xp, n, lead = array_namespace(X), X.shape[-2], X.shape[:-2]
    size, longer = n // m, n % m
    cut = longer * (size + 1)
    parts = ((X[..., :cut, :], longer, size + 1), (X[..., cut:, :], m - longer, size))
    found = [xp.mean(xp.reshape(part, (*lead, count, length, X.shape[-1])), axis=-2)
             for part, count, length in parts if count]
    return found[0] if len(found) == 1 else xp.concat(found, axis=-2)


def _masked_means(X, m, mask):
    """The same over the tokens that are allowed, as many as there are; 0 of no token."""
    xp = array_namespace(X)
    seen = xp.astype(mask, xp.int64)
    total = xp.sum(seen, axis=-1, keepdims=True)
    before = xp.cumulative_sum(seen, axis=-1) - seen
    size, longer = total // m, total % m
    cut = longer * (size + 1)
    place = xp.where(before < cut, before // (size + 1),
                     longer + (before - cut) // xp.where(size > 0, size, 1))
    segments = xp.arange(m, device=device(X))[:, None]
    P = xp.astype((place[..., None, :] == segments) & mask[..., None, :], X.dtype)
    return P @ X / safe_divisor(xp.sum(P, axis=-1, keepdims=True))


# %% book/structure/landmark_attention.ipynb: _landmarks
def _landmarks(Q, K, landmarks, mask):
    """(queries, keys) that stand for all."""
    if isinstance(landmarks, tuple):
        return tuple(_taken(X, J) for X, J in zip((Q, K), landmarks))
    if mask is None:
        return _segment_means(Q, landmarks), _segment_means(K, landmarks)
    own = Q.shape[-2] == K.shape[-2]                        # as in self-attention
    return (_masked_means(Q, landmarks, mask) if own else _segment_means(Q, landmarks),
            _masked_means(K, landmarks, mask))


# %% book/structure/landmark_attention.ipynb: _parts
def _parts(relative, level, X, decompose):
    """U, s, V^H and y: 1 / s where s is above the level (times s_1 if it is relative), else 0."""
    U, s, Vh = decompose(X)
    xp, least = array_namespace(s), level * s[..., :1] if relative else level
    y = xp.where(s > least, 1 / xp.where(s > least, s, 1.0), 0.0)
    return U, s, Vh, y


def _recombined(relative, level, X):
    """(U diag(y) V^H,), whose transpose is the inverse."""
    U, _, Vh, y = _parts(relative, level, X, thin_svd)
    return ((U * y[..., None, :]) @ Vh,)


# %% book/structure/landmark_attention.ipynb: _moved
def _moved(relative, level, X, E):
    """Its derivative in the direction E, which is its own adjoint."""
    U, s, Vh, y = _parts(relative, level, X, thin_svd if compiling() else decomposed)
    xp, row, column = array_namespace(s), lambda v: v[..., None, :], lambda v: v[..., :, None]
    both, one = (row(y > 0) & column(y > 0)), (row(y > 0) ^ column(y > 0))
    mixed = lambda gap: xp.where(one, (row(y) + column(y)) / xp.where(one, gap, 1.0), 0.0)
    same = xp.where(both, -row(y) * column(y), mixed(xp.abs(row(s) - column(s))))
    opposite = xp.where(both, row(y) * column(y), mixed(row(s) + column(s)))
    return spread(U, Vh, E, same, opposite, y * y)


_INVERSE = Rule(_recombined,
                lambda relative, level, ins, outs, gs: (_moved(relative, level, ins[0], gs[0]),),
                lambda relative, level, ins, outs, dXs: (_moved(relative, level, ins[0], dXs[0]),))


def _inverse(X, level, relative=True):
    """X^+ of the singular values above a level, to be differentiated."""
    return attached(_INVERSE, X, static=(relative, float(level)))[0].mT


# %% book/structure/landmark_attention.ipynb: _by_steps
def _by_steps(W, steps):
    """Steps 7-15-13 towards W^+, each matrix with its own start."""
    xp = array_namespace(W)
    sums = [xp.max(xp.sum(xp.abs(W), axis=axis, keepdims=True), axis=(-2, -1), keepdims=True)
            for axis in (-2, -1)]
    I, Z = identity_like(W, W.shape[-2]), W.mT / (sums[0] * sums[1])
    for _ in range(steps):
        X = W @ Z
        Z = Z @ (13 * I - X @ (15 * I - X @ (7 * I - X))) / 4
    return Z


# %% book/structure/landmark_attention.ipynb: _fitted
def _fitted(Q, K, C, R, rows, rtol, scale, mask):
    """(P, B, S): P B S fits the rows of A, without guesses where P has hardly any."""
    xp, n, (rows, drawn), total = array_namespace(C), C.shape[-2], rows, C.shape[-2]
    own = mask is not None and n == K.shape[-2]
    if own:                                                 # queries that nobody asks for
        C = C * xp.astype(mask, C.dtype).mT
        total = xp.sum(xp.astype(mask, C.dtype), axis=-1)
    P, S = (msign(F, method="svd", rtol=rtol) for F in (C, R))
    if own and drawn:
        G = _taken_of(mask[..., 0, :], rows, C)
        queries, known = G @ Q, G @ P
    else:
        queries, known = _taken(Q, rows), _taken(P, rows)
    A = row_softmax(*scores(queries, K, scale), mask) @ S.mT
    least = 0.2 * (len(rows) / total)**0.5
    least = least[..., None] if own else least
    return P, _inverse(known / least, 1.0, relative=False) / least @ A, S


# %% book/structure/landmark_attention.ipynb: NystromFactors
class NystromFactors(namedtuple("NystromFactors", "C Z R")):
    """Three thin matrices whose product stands for attention.

    Attributes
    ----------
    C : array, shape (..., n, m)
        Attention to the key landmarks; for the fitted core an orthonormal basis of its columns.
    Z : array, shape (..., m, m)
        The core.
    R : array, shape (..., m, n_k)
        Attention of the query landmarks; for the fitted core an orthonormal basis of its rows.
    """

    __slots__ = ()


@quiet
def nystrom_attention(Q, K, V, landmarks, *, rtol=None, core="inverse", steps=None, rows=None,
                      scale=None, mask=None, causal=False, return_factors=False, rng=None):
    r"""softmax(scale Q K^T) V by way of m landmarks: C (Z (R V)), in O(n m) time and memory.

    Parameters
    ----------
    Q : array, shape (..., n, d)
        Queries, of NumPy, PyTorch or JAX.
    K : array, shape (..., n_k, d)
        Keys. Leading axes broadcast.
    V : array, shape (..., n_k, d_v)
        Values.
    landmarks : int, or a pair of integer arrays
        m means of consecutive tokens, from 1 to min(n, n_k); or the indices of the queries and
        of the keys that are landmarks.
    rtol : float, optional
        Singular values up to ``rtol * s_1`` count as zero: of W for "inverse", by default
        ``4 * sqrt(m) * eps``; of C and of R for "fitted", by default ``eps**(2/3)``.
    core : {"inverse", "fitted", "steps"}, default "inverse"
        "inverse": W^+ of the attention W between landmarks. "fitted": least squares on sampled
        rows of exact attention. "steps": the iteration of Nystromformer.
    steps : int, optional
        For "steps": how many, 6 by default.
    rows : int or integer array, optional
        For "fitted": how many rows are sampled, or which. Default is ``min(n, 4 * m)``.
    scale : float, optional
        Factor of the scores, > 0; d^(-1/2) by default.
    mask : array of bool, optional
        True for a key that is seen, broadcast to (..., n_k). Means are taken over these only, and
        if n = n_k queries at other places are left out of means and of the fit: padding has
        no influence.
    causal : bool, default False
        Only False is allowed.
    return_factors : bool, default False
        Also return the factors.
    rng : None, int or numpy.random.Generator
        For "fitted": which rows are sampled, the same for all matrices of a stack.

    Returns
    -------
    Y : array, shape (..., n, d_v)
        In the dtype of the arguments; 16 bits are computed in float32.
    factors : NystromFactors
        Only with ``return_factors=True``: C, Z, R with Y = C Z R V.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, numbers out of range, options of another core, a mask
        without a key, ``causal=True``.
    TypeError
        Arrays of two libraries, complex numbers, a mask that is not of bool.

    See Also
    --------
    attention_error : How wrong the result is, on the data at hand.
    attention_matrix : The matrix itself.

    Notes
    -----
    O(n m (d + d_v)) operations; "fitted" adds the rows, 4 m n (d + m), and a decomposition of
    two m x n matrices. "inverse" is the definition, exact for m = n, and may be wrong by any
    factor for m < n, since W is ill-conditioned; "steps" is a cut-off near ``0.03 s_1``.
    "fitted" is the one to take: near the best for its C and R, unless attention is so sharp
    that few rows see a landmark. Landmarks mix tokens, later ones too: there is no causal form.
    PyTorch and JAX differentiate the result, through the cut-off as well.
    Derived in :ref:`nystrom-attention-fitted`: :prf:ref:`nystrom-exact`,
    :prf:ref:`steps-cut-off`, :prf:ref:`fitted-core`; Xiong et al. (2021), Su (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import nystrom_attention
    >>> angle = 0.5 * np.arange(12)[:, None]
    >>> Q = np.hstack([np.cos(angle), np.sin(angle)])
    >>> V = np.arange(12.0)[:, None] / 11
    >>> nystrom_attention(Q, Q, V, 3, core="fitted", rng=0)[[0, 11], 0].round(2).tolist()
    [0.44, 0.56]
    """
    steps = _check_options(core, causal, rtol, steps, rows, rng)
    xp, dtype, Q, K, V, scale, mask = _checked(scale, mask, Q=Q, K=K, V=V)
    landmarks = _check_landmarks(landmarks, Q.shape[-2], K.shape[-2])
    q, k = _landmarks(Q, K, landmarks, mask)
    seen = None if mask is None else mask[..., None, :]
    C, R = row_softmax(*scores(Q, k, scale)), row_softmax(*scores(q, K, scale), seen)
    if core == "fitted":
        rows = _check_rows(rows, Q.shape[-2], C.shape[-1], rng)
        rtol = float(xp.finfo(Q.dtype).eps)**(2 / 3) if rtol is None else rtol
        C, Z, R = _fitted(Q, K, C, R, rows, rtol, scale, seen)
    else:
        W = row_softmax(*scores(q, k, scale))
        Z = _by_steps(W, steps) if core == "steps" else _inverse(W, cut_off(rtol, W))
    Y = xp.astype(C @ (Z @ (R @ V)), dtype, copy=False)
    if not return_factors:
        return Y
    return Y, NystromFactors(*(xp.astype(F, dtype, copy=False) for F in (C, Z, R)))


# %% book/structure/landmark_attention.ipynb: AttentionError
class AttentionError(namedtuple("AttentionError", "relative error bound confidence")):
    """What sampled rows say about outputs of attention.

    Attributes
    ----------
    relative : array, shape (...)
        The error over the norm of the outputs, both estimated.
    error : array, shape (...)
        An estimate of norm(Y - AV, "fro"); its square has no bias.
    bound : array, shape (...)
        The norm is at most this, with the stated confidence.
    confidence : float
        The probability with which each bound holds.
    """

    __slots__ = ()


# %% book/structure/landmark_attention.ipynb: _check_outputs
def _check_outputs(Y, Q, K, V):
    """Y, in the library, dtype and shape of the outputs."""
    xp, _, Y, V = as_tokens(Y=Y, V=V)
    shape = (*check_leads(Q=Q, K=K, V=V), Q.shape[-2], V.shape[-1])
    if tuple(Y.shape) != shape:
        raise ValueError(f"Y has shape {tuple(Y.shape)}; allowed is {shape}")
    if not Q.shape[-2]:
        raise ValueError(f"Q has shape {tuple(Q.shape)}; allowed is at least one query")
    return Y


def _reach(V, Y, seen, asked):
    """The largest distance that a row of Y may have from any mean of values that are seen."""
    xp = array_namespace(V)
    centre = xp.sum(V * seen, axis=-2, keepdims=True) / xp.sum(seen, axis=-2, keepdims=True)
    farthest = lambda X, of: xp.max(of * xp.sum((X - centre)**2, axis=-1, keepdims=True),
                                    axis=(-2, -1))**0.5
    return farthest(V, seen) + farthest(Y, asked)


def _seen_and_asked(mask, Q, K):
    """Which keys are seen and which queries count, as columns of 1 and 0."""
    ones = [array_namespace(X).ones_like(X[..., :1]) for X in (K, Q)]
    if mask is None:
        return ones
    seen = array_namespace(K).astype(mask, K.dtype)[..., None]
    return seen, seen if Q.shape[-2] == K.shape[-2] else ones[1]


# %% book/structure/landmark_attention.ipynb: attention_error
@quiet
def attention_error(Q, K, V, Y, *, n_probe=32, confidence=0.95, scale=None, mask=None, rng=None):
    r"""Estimate norm(Y - softmax(scale Q K^T) V, "fro") from a few exact rows.

    Parameters
    ----------
    Q, K, V, scale
        As for `nystrom_attention`.
    Y : array, shape (..., n, d_v)
        Outputs of any method.
    n_probe : int, default 32
        Number of rows, at most n of them; with n the error is exact.
    confidence : float, default 0.95
        0 < confidence < 1, for the bound.
    mask : array of bool, optional
        As for `nystrom_attention`; if n = n_k, queries at other places do not count.
    rng : None, int or numpy.random.Generator
        The source of chance, the same rows for all matrices of a stack.

    Returns
    -------
    AttentionError
        Named tuple of ``relative``, ``error``, ``bound`` and ``confidence``.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, numbers out of range.
    TypeError
        Arrays of two libraries, complex numbers, a mask that is not of bool.

    Notes
    -----
    O(n_probe n_k (d + d_v)) operations. The estimate has a relative standard deviation near
    ``n_probe**-0.5`` where rows err alike. The bound is Hoeffding's: it holds for every Y, and
    is far above the estimate unless n_probe is large.
    Derived in :ref:`nystrom-attention-error`, :prf:ref:`error-from-rows`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import attention_error, attention_matrix
    >>> Q, K, V = np.random.default_rng(0).standard_normal((3, 50, 4))
    >>> Y = attention_matrix(Q, K) @ V
    >>> float(attention_error(Q, K, V, Y, rng=0).error), round(
    ...     float(attention_error(Q, K, V, 1.1 * Y, rng=0).relative), 6)
    (0.0, 0.1)
    """
    confidence = check_number(confidence, "confidence", "a number with 0 < confidence < 1",
                              lambda value: 0 < value < 1)
    xp, dtype, Q, K, V, scale, mask = _checked(scale, mask, Q=Q, K=K, V=V)
    n, p, Y = Q.shape[-2], check_count(n_probe, "n_probe", 1), _check_outputs(Y, Q, K, V)
    p = min(p, n)
    rows, (keys, asked) = _drawn(n, p, rng), _seen_and_asked(mask, Q, K)
    V, Y = V * keys, Y * asked
    unit = power_of_two(xp.maximum(peak_of(V), peak_of(Y)))
    V, Y = V / unit, Y / unit
    seen = None if mask is None else mask[..., None, :]
    exact = row_softmax(*scores(_taken(Q, rows), K, scale), seen) @ V * _taken(asked, rows)
    error2, size2 = (n / p * xp.sum(X, axis=(-2, -1)) for X in
                     ((exact - _taken(Y, rows))**2, exact**2))
    spare = math.sqrt(-math.log1p(-confidence) / (2 * p)) if p < n else 0.0
    bound2 = error2 + n * spare * _reach(V, Y, keys, asked)**2
    ratio = xp.where(error2 > 0, error2 / safe_divisor(size2), 0.0)
    back = lambda x2, unit: xp.astype(x2**0.5 * unit, dtype, copy=False)
    unit = unit[..., 0, 0]
    return AttentionError(back(ratio, 1.0), back(error2, unit), back(bound2, unit), confidence)

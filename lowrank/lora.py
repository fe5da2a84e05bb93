r"""Low-rank adaptation.

A large matrix of weights stays as it is and learns by way of two thin factors,
$W=W_0+s\,(AB-A_0B_0)$.

Generated from book/adapters/lora.ipynb; edit the chapter.
"""

import math
from functools import partial

import numpy as np

from lowrank.arguments import check_choice, check_count, check_number
from lowrank.arrays import (
    adjoint,
    array_namespace,
    as_stack,
    check_library,
    check_parameter,
    constant,
    cut_off,
    device,
    frobenius_norm,
    is_numpy_array,
    matching,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    single,
    singular_values,
    thin_svd,
)
from lowrank.derivatives import Rule, attached, converted
from lowrank.polar_factor import msign
from lowrank.svd import truncated_svd

__all__ = [
    "tangent_share",
    "lora_ga_init",
    "pissa_init",
    "lora_scale",
    "lora_pro_gradients",
    "lora_retract",
    "lora_muon_gradients",
]


# %% book/adapters/lora.ipynb: _factors
def _factors(A, B):
    """(xp, A, B) with finite entries, one library and dtype, and shapes that multiply."""
    xp, A = as_stack(A, "A")
    B = as_stack(B, "B")[1]
    check_library(B, "B", A, "A")
    (m, r), shape = A.shape[-2:], tuple(A.shape[:-2])
    if not m * r or B.shape[-1] < 1 or tuple(B.shape[:-1]) != (*shape, r):
        raise ValueError(f"A has shape {tuple(A.shape)} and B has shape {tuple(B.shape)}; "
                         "allowed are (..., m, r) and (..., r, n), none of m, r and n zero")
    dtype = xp.result_type(A, B)
    return xp, xp.astype(A, dtype, copy=False), xp.astype(B, dtype, copy=False)


def _given(A, B, X, Y, names, scale, rtol):
    """(back, scale, rtol, A, B, X, Y) to compute with, and the way back to the dtype."""
    xp, A, B = _factors(A, B)
    X, Y = matching(X, names[0], A), matching(Y, names[1], B, "B")
    dtype = xp.result_type(A, X, Y)
    scale = check_parameter(scale, "scale", "a finite number above 0",
                            lambda s: 0 < s < math.inf)
    work = [single(xp.astype(x, dtype, copy=False)) for x in (A, B, X, Y)]

    def back(scale, *steps):
        """Steps over the square of the scale, in the dtype of what was given."""
        if not (type(scale) is float and scale == 1):
            steps = (H / scale / scale for H in steps)
        return tuple(xp.astype(H, dtype, copy=False) for H in steps)
    return back, _like(scale, work[0]), cut_off(rtol, work[0]), *work


def _like(scale, x):
    """A number, or an array of the library and dtype of x."""
    return scale if type(scale) is float else converted(scale, x)


def _check_full_rank(X, name, mode, rtol):
    """Refuse a factor whose columns, or rows, depend on each other, where there are values."""
    rank = X.shape[-1 if name == "A" else -2]
    s = singular_values(constant(X / power_of_two(peak_of(X))))
    full = array_namespace(X).all(s[..., -1:] > rtol * s[..., :1])
    if rank > s.shape[-1] or not may_hold(full):
        raise ValueError(f"{name} has not full rank, and mode={mode!r} divides by its singular "
                         "values; allowed is any rank with mode='sylvester'")


# %% book/adapters/lora.ipynb: tangent_share
@quiet
def tangent_share(A, B, G):
    r"""How much of G the factors can follow: norm(P G)^2 / norm(G)^2, P to the tangent space.

    Parameters
    ----------
    A, B : array, shape (..., m, r) and (..., r, n)
        Factors, NumPy, PyTorch or JAX, real or complex.
    G : array, shape (..., m, n)
        Gradient of the loss in the weights, of the same library.

    Returns
    -------
    array, shape (...)
        From 0 to 1, and 1 for G = 0. Not below 1 means that a step of A and B can do to first
        order what full fine-tuning does.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    O(m n r) operations. Of a random start the mean is ``1 - (1 - r/m) (1 - r/n)``, and the most
    that any A and B reach is the share of the first 2 r squared singular values. PyTorch and JAX
    differentiate the result, where a factor has not full rank among factors of this rank.
    Derived in :ref:`lora-ga-section`, :prf:ref:`lora-share`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import tangent_share
    >>> tangent_share([[1.0], [0.0]], [[0.0, 1.0]], [[3.0, 0.0], [4.0, 0.0]]).round(9)
    np.float64(0.36)
    """
    xp, A, B = _factors(A, B)
    place = A[..., :, :1] @ B[..., :1, :]
    G = matching(G, "G", place, "A @ B")
    dtype = xp.result_type(A, G)
    A, B, G = (single(xp.astype(x, dtype, copy=False)) for x in (A, B, G))
    P, Q = msign(A, method="svd"), msign(B, method="svd")
    G = G / power_of_two(peak_of(G))
    left = G - P @ (adjoint(P) @ G)
    left = left - left @ adjoint(Q) @ Q
    whole = frobenius_norm(G)
    ratio = frobenius_norm(left) / safe_divisor(whole)
    return (1 - ratio**2)[..., 0, 0]


# %% book/adapters/lora.ipynb: lora_ga_init
@quiet
def lora_ga_init(G, rank):
    r"""Factors whose first step, ``A A^H G + G B^H B``, is as near to G as rank allows.

    Parameters
    ----------
    G : array, shape (..., m, n)
        Gradient of the loss in the weights, NumPy, PyTorch or JAX, real or complex.
    rank : int >= 1
        Rank r of the adapter, with 2 r at most min(m, n).

    Returns
    -------
    A, B : array, shape (..., m, r) and (..., r, n)
        Orthonormal columns, the first r left singular vectors of G, and orthonormal rows, the
        right singular vectors r + 1 to 2 r. Start from ``W - scale * A @ B`` in place of W, and
        keep that in 32 bits at least.

    Raises
    ------
    ValueError
        A rank out of range, NaN or Inf, a wrong shape.
    TypeError
        A dtype without meaning, or a rank that is no integer.

    Notes
    -----
    One truncated singular value decomposition of rank 2 r, by `truncated_svd` for NumPy and a
    full one otherwise. What is missed is the tail of the singular values after 2 r, and the
    span of the two factors holds the largest share of G that rank r can. Of a G of rank below
    2 r some vectors are arbitrary. The result is a start: PyTorch and JAX see constants.
    Derived in :ref:`lora-ga-section`, :prf:ref:`lora-ga-optimum`; Wang, Yu and Li (2024),
    Su (2024y).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import lora_ga_init
    >>> G = np.diag([4.0, 3.0, 2.0, 1.0])
    >>> A, B = lora_ga_init(G, 1)
    >>> A @ A.T @ G + G @ B.T @ B
    array([[4., 0., 0., 0.],
           [0., 3., 0., 0.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.]])
    """
    _, G = as_stack(G, "G")
    limit = min(G.shape[-2:]) // 2
    where = f" for shape {tuple(G.shape)}, half of the short side"
    rank = check_count(rank, "rank", 1, limit, where)
    U, _, Vh = _leading(G, 2 * rank)
    return U[..., :rank], Vh[..., rank:, :]


def _leading(M, rank):
    """The leading part of the singular value decomposition of M, as constants."""
    if is_numpy_array(M):
        return truncated_svd(M, rank)
    M = constant(M)
    unit = power_of_two(peak_of(M))
    U, s, Vh = thin_svd(M / unit)
    return U[..., :rank], s[..., :rank] * unit[..., 0], Vh[..., :rank, :]


# %% book/adapters/lora.ipynb: pissa_init
@quiet
def pissa_init(W, rank):
    r"""The best approximation of W, shared evenly between two factors, and what is left.

    Parameters
    ----------
    W : array, shape (..., m, n)
        Weights, NumPy, PyTorch or JAX, real or complex.
    rank : int >= 1
        Rank r of the adapter, at most min(m, n).

    Returns
    -------
    A, B : array, shape (..., m, r) and (..., r, n)
        ``U * sqrt(s)`` and ``sqrt(s) * Vh`` of the leading r singular values.
    rest : array, shape (..., m, n)
        W - A B, which stays fixed. Of half precision, all three are in float32.

    Raises
    ------
    ValueError
        A rank out of range, NaN or Inf, a wrong shape.
    TypeError
        A dtype without meaning, or a rank that is no integer.

    Notes
    -----
    `truncated_svd`, for PyTorch and JAX a full decomposition; they see constants. A and B know
    the weights and not the gradient: how much of this their span holds says `tangent_share`.
    Derived in :ref:`lora-ga-section`; Meng, Wang and Zhang (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import pissa_init
    >>> A, B, rest = pissa_init(np.diag([4.0, 1.0]), 1)
    >>> A, B, rest
    (array([[2.],
           [0.]]), array([[2., 0.]]), array([[0., 0.],
           [0., 1.]]))
    """
    xp, W = as_stack(W, "W")
    rank = check_count(rank, "rank", 1, min(W.shape[-2:]), f" for shape {tuple(W.shape)}")
    W = constant(single(W))
    U, s, Vh = _leading(W, rank)
    root = xp.sqrt(s)
    A, B = U * root[..., None, :], root[..., None] * Vh
    return A, B, W - A @ B


# %% book/adapters/lora.ipynb: lora_scale
def lora_scale(rank, alpha, rule="rs"):
    r"""The factor s in W = W_0 + s A B: alpha / sqrt(rank), or alpha / rank.

    Parameters
    ----------
    rank : int >= 1
        Rank r of the adapter.
    alpha : float
        A finite number above 0.
    rule : {"rs", "classic"}
        "rs", which keeps the expected first step after a zero start for every rank, or
        "classic", which divides it by the rank.

    Returns
    -------
    float
        The scale.

    Raises
    ------
    ValueError
        A rank below 1, alpha not above 0, or an unknown rule.
    TypeError
        A rank that is no integer.

    Notes
    -----
    Derived in :ref:`lora-scale-section`, :prf:ref:`lora-first-step`; Kalajdzievski (2023).

    Examples
    --------
    >>> from lowrank import lora_scale
    >>> lora_scale(16, 8.0), lora_scale(16, 8.0, rule="classic")
    (2.0, 0.5)
    """
    rank = check_count(rank, "rank", 1)
    alpha = check_number(alpha, "alpha", "a finite number above 0", lambda a: 0 < a < math.inf)
    check_choice(rule, "rule", ("rs", "classic"))
    return alpha / (math.sqrt(rank) if rule == "rs" else rank)


# %% book/adapters/lora.ipynb: _values
def _values(X, rtol):
    """U, s, V^H of X, with s = 0, and perhaps no vectors, for what counts as zero."""
    turn = adjoint if X.shape[-1] > X.shape[-2] else lambda X: X
    if is_numpy_array(X) and X.dtype.char in "fF":
        U, s, Vh = _by_gram(turn(X))
    else:
        unit = power_of_two(peak_of(X))
        U, s, Vh = thin_svd(turn(X / unit))
        s = s * unit[..., 0]
    s = array_namespace(s).where(s > rtol * s[..., :1], s, 0.0)
    return (U, s, Vh) if turn is not adjoint else (turn(Vh), s, turn(U))


def _by_gram(X):
    """The same for tall X of 32 bits: in double, where squares do no harm."""
    Y = X.astype(np.result_type(X, np.float64))
    squares, V = np.linalg.eigh(Y.conj().mT @ Y)
    s, V = np.sqrt(np.maximum(squares[..., ::-1], 0)), V[..., ::-1]
    U = Y @ (V / safe_divisor(s)[..., None, :])
    return U.astype(X.dtype), s.astype(X.real.dtype), V.conj().mT.astype(X.dtype)


def _inverse(s):
    """1 / s, and 0 for 0."""
    return array_namespace(s).where(s > 0, 1 / safe_divisor(s), 0.0)


# %% book/adapters/lora.ipynb: _least_pair
def _least_pair(rtol, A, B, X, Y):
    """The shortest pair (H_A, H_B) that solves the normal equations for X and Y."""
    (U, a, Vh), (P, b, Qh) = _values(A, rtol), _values(B, rtol)
    right, left = P * _inverse(b)[..., None, :], _inverse(a)[..., None] * Vh
    E, F = X @ right, left @ Y                              # G Q and U^H G
    x, y = adjoint(U) @ E, F @ adjoint(Qh)                  # U^H G Q, twice
    a, b = a[..., None], b[..., None, :]
    h = array_namespace(a).hypot(a, b)
    below, across = (a * _inverse(h))**2, (b * _inverse(h))**2
    g = across * x + below * y
    return (E + U @ (across * g - x)) @ adjoint(right), adjoint(left) @ (F + (below * g - y) @ Qh)


# %% book/adapters/lora.ipynb: _sum
def _sum(u, v, sign=1):
    """u + v, or u - v, for two pairs."""
    return tuple(x + sign * y for x, y in zip(u, v))


def _normal(A, B, C, D, u):
    """L*(M) of A and B, for the M = L(u) of C and D, which is never formed."""
    (X, Y), Bh, Ah = u, adjoint(B), adjoint(A)
    return X @ (D @ Bh) + C @ (Y @ Bh), (Ah @ X) @ D + (Ah @ C) @ Y


def _maps(rtol, A, B):
    """K = L* L of A and B, its pseudo-inverse, and its change with A and B, as functions."""
    K = partial(_normal, A, B, A, B)
    solve = lambda u: _attached_pair(rtol, A, B, *u)
    change = lambda dA, dB, u: _sum(_normal(dA, dB, A, B, u), _normal(A, B, dA, dB, u))
    return K, solve, change


def _least_push(rtol, ins, outs, changes):
    """From changes of A, B, X and Y to those of H_A and H_B."""
    A, B, *g = ins
    dA, dB, *dg = (0 * x if d is None else d for x, d in zip(ins, changes))
    K, solve, change = _maps(rtol, A, B)
    turned = change(dA, dB, solve(outs))
    rest = solve(change(dA, dB, _sum(g, K(outs), -1)))
    inside = _sum(_sum(dg, change(dA, dB, outs), -1), rest)
    return _sum(turned, solve(_sum(inside, K(turned), -1)))


# %% book/adapters/lora.ipynb: _least_pull
def _least_pull(rtol, ins, outs, cotangents):
    """And back."""
    A, B, *g = ins
    h = tuple(0 * H if c is None else c for H, c in zip(outs, cotangents))
    K, solve, _ = _maps(rtol, A, B)
    t = solve(h)
    pairs = ((t, tuple(-H for H in outs)), (solve(t), _sum(g, K(outs), -1)),
             (_sum(h, K(t), -1), solve(outs)))
    gA, gB = 0 * A, 0 * B
    for u, v in (*pairs, *((v, u) for u, v in pairs)):      # <u, K' v>, and K' is self-adjoint
        (x, y), (z, w) = u, v
        gA = gA + z @ (B @ adjoint(y)) + A @ (w @ adjoint(y))
        gB = gB + (adjoint(x) @ z) @ B + (adjoint(x) @ A) @ w
    return gA, gB, *t


_LEAST = Rule(_least_pair, _least_pull, _least_push)


def _attached_pair(rtol, A, B, X, Y):
    """`_least_pair`, with its derivative."""
    if is_numpy_array(A):
        return _least_pair(rtol, A, B, X, Y)
    return attached(_LEAST, A, B, X, Y, static=(rtol,))


# %% book/adapters/lora.ipynb: lora_pro_gradients
def _over_gram(B, X, rtol):
    """X (B B^H)^+, with the singular values of B squared but not its condition number."""
    xp = array_namespace(B)
    none = lambda rows, columns: xp.zeros((*B.shape[:-2], rows, columns), dtype=B.dtype,
                                          device=device(B))
    m, n = X.shape[-2], B.shape[-1]
    return _attached_pair(rtol, none(m, 1), B, X, none(1, n))[0]


@quiet
def lora_pro_gradients(A, B, GA, GB, mode="sylvester", *, scale=1.0, rtol=None):
    r"""Steps of A and B that move W = W_0 + scale A B along the projection of its gradient.

    Parameters
    ----------
    A : array, shape (..., m, r)
        Left factor, NumPy, PyTorch or JAX, real or complex.
    B : array, shape (..., r, n)
        Right factor, of the same library.
    GA, GB : array, shape of A, shape of B
        The gradients of the loss in A and B: ``scale * G @ B^H`` and ``scale * A^H @ G``.
    mode : {"sylvester", "plain", "symmetric"}
        Which of the pairs with this product: the shortest, which is also the nearest to GA and
        GB; the one whose step of B leaves the rows of B; the one that gives both terms half of
        what they share.
    scale : float, default 1.0
        The factor in front of A B, above 0.
    rtol : float, optional
        Singular values of a factor up to ``rtol`` times its largest count as zero.
        Default ``4 * sqrt(min(m, r)) * eps``.

    Returns
    -------
    HA, HB : array, shape of A, shape of B
        ``scale * (HA @ B + A @ HB)`` is the orthogonal projection of G on the tangent space,
        whatever the mode. Subtract them, times a learning rate, from A and B.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf, an unknown mode, scale or rtol out of range; a factor
        without full rank, unless the mode is "sylvester".
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    Two thin singular value decompositions, O((m + n) r^2) operations and O((m + n) r) numbers;
    G itself is never needed. The relative error of the projection grows with the condition
    numbers of A and B, not with their squares. Half precision is computed in float32. Pairs
    (GA, GB) that belong to no G are projected on those that do.

    With "sylvester" any rank will do, A = 0 too, where HA = G B^+ and HB = 0. Its step keeps
    A^H A - B B^H to first order. The other two give the same step of A B for every
    factorisation of it, which "sylvester" does for changes of basis that are unitary.

    PyTorch and JAX differentiate the result, as often as asked, at equal singular values too.
    Where a factor has not full rank there is no derivative; they take that among factors of
    this rank. Derived in :ref:`lora-pro-section`, :prf:ref:`lora-shortest-pair` and
    :prf:ref:`lora-closed-form`; Wang et al. (2024), Su (2024z).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import lora_pro_gradients
    >>> A, B = np.array([[1.0], [0.0]]), np.array([[0.0, 2.0]])
    >>> G = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> HA, HB = lora_pro_gradients(A, B, G @ B.T, A.T @ G)
    >>> HA @ B + A @ HB                     # all of G but what neither the column nor the row sees
    array([[1., 2.],
           [0., 4.]])
    >>> HA, HB = lora_pro_gradients(0 * A, B, G @ B.T, 0 * B)       # at the usual start
    >>> HA @ B, HB
    (array([[0., 2.],
           [0., 4.]]), array([[0., 0.]]))
    """
    check_choice(mode, "mode", ("sylvester", "plain", "symmetric"))
    back, scale, rtol, A, B, X, Y = _given(A, B, GA, GB, ("GA", "GB"), scale, rtol)
    if mode == "sylvester":
        return back(scale, *_attached_pair(rtol, A, B, X, Y))
    for factor, name in ((A, "A"), (B, "B")):
        _check_full_rank(factor, name, mode, rtol)
    P, Q = (msign(F, method="svd", rtol=rtol) for F in (A, B))
    H_A, H_B = _over_gram(B, X, rtol), adjoint(_over_gram(adjoint(A), adjoint(Y), rtol))
    if mode == "plain":
        H_B = H_B - H_B @ adjoint(Q) @ Q
    else:
        H_A = H_A - P @ (adjoint(P) @ H_A) / 2
        H_B = H_B - H_B @ adjoint(Q) @ Q / 2
    return back(scale, H_A, H_B)


# %% book/adapters/lora.ipynb: lora_retract
@quiet
def lora_retract(A, B, HA, HB, lr):
    r"""The best factors of A B - lr (HA B + A HB): a step without its second-order term.

    Parameters
    ----------
    A, B : array, shape (..., m, r) and (..., r, n)
        Factors, NumPy, PyTorch or JAX, real or complex, r at most min(m, n).
    HA, HB : array, shape of A, shape of B
        Their steps.
    lr : float
        Learning rate, any finite number.

    Returns
    -------
    A, B : array, shape (..., m, r) and (..., r, n)
        The balanced factors, A^H A = B B^H, diagonal, of the nearest matrix of rank r.

    Raises
    ------
    ValueError
        Shapes that do not fit, r above min(m, n), NaN or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    Two QR decompositions with 2 r columns and one singular value decomposition of size 2 r,
    O((m + n) r^2) operations and O((m + n) r) numbers. The result ends a step: PyTorch and JAX
    see constants. Derived in :ref:`lora-second-order`, :prf:ref:`lora-retraction`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import lora_retract
    >>> A, B = np.array([[1.0], [0.0]]), np.array([[1.0, 0.0]])
    >>> HA, HB = np.array([[0.0], [1.0]]), np.array([[0.0, 1.0]])
    >>> new_A, new_B = lora_retract(A, B, HA, HB, 0.1)
    >>> step = np.array([[1.0, -0.1], [-0.1, 0.0]])
    >>> bool(np.isclose(np.linalg.norm(new_A @ new_B - step), np.linalg.svd(step)[1][1]))
    True
    """
    xp, A, B = _factors(A, B)
    HA, HB = matching(HA, "HA", A), matching(HB, "HB", B, "B")
    dtype, rank = xp.result_type(A, HA, HB), A.shape[-1]
    if rank > min(A.shape[-2], B.shape[-1]):
        raise ValueError(f"A has shape {tuple(A.shape)} and B has shape {tuple(B.shape)}; "
                         "allowed is a rank r of at most min(m, n)")
    A, B, HA, HB = (single(xp.astype(constant(x), dtype, copy=False)) for x in (A, B, HA, HB))
    lr = constant(converted(check_parameter(lr, "lr", "a finite number", math.isfinite), A))
    left = xp.concat([A, HA], axis=-1)
    right = xp.concat([B - lr * HB, -lr * B], axis=-2)
    units = [power_of_two(peak_of(X)) for X in (left, right)]
    (P, R), (Q, S) = (xp.linalg.qr(X / c) for X, c in zip((left, adjoint(right)), units))
    U, s, Vh = thin_svd(R @ adjoint(S))
    root = xp.sqrt(s[..., :rank]) * units[0][..., 0]**0.5 * units[1][..., 0]**0.5
    A = P @ U[..., :rank] * root[..., None, :]
    B = root[..., None] * (Vh[..., :rank, :] @ adjoint(Q))
    return xp.astype(A, dtype, copy=False), xp.astype(B, dtype, copy=False)


# %% book/adapters/lora.ipynb: lora_muon_gradients
def _inverse_root(B, rtol):
    """((B B^H)^+)^(1/2), with its derivative."""
    P, b, _ = _values(constant(B), rtol)
    root = (P * _inverse(b)[..., None, :]) @ adjoint(P)
    if is_numpy_array(B):
        return root
    with_derivative = _over_gram(B, B @ adjoint(msign(B, method="svd", rtol=rtol)), rtol)
    return root + (with_derivative - constant(with_derivative))


@quiet
def lora_muon_gradients(A, B, GA, GB, *, scale=1.0, rtol=None, schedule=None):
    r"""Steps of A and B for which that of W = W_0 + scale A B has spectral norm at most 1.

    Parameters
    ----------
    A, B, GA, GB : array
        As for `lora_pro_gradients`.
    scale : float, default 1.0
        The factor in front of A B, above 0.
    rtol : float, optional
        Singular values of a factor up to ``rtol`` times its largest count as zero.
        Default ``4 * sqrt(min(m, r)) * eps``.
    schedule : int or sequence of sequences of float, optional
        How `msign` multiplies; by default it is exact.

    Returns
    -------
    HA, HB : array, shape of A, shape of B
        ``scale * HA @ B`` and ``scale * A @ HB`` are the matrices of spectral norm 1/2 in these
        two spaces along which the loss falls fastest.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf, scale or rtol out of range.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    Four thin singular value decompositions, O((m + n) r^2) operations. The step of A B is the
    same for every factorisation of it, and gains at least half of what any step in the tangent
    space with spectral norm 1 does. A factor that is 0 has a step, the other one then has none.

    PyTorch and JAX differentiate the result where A, B, GA and GB have full rank; else as
    `lora_pro_gradients`. Derived in :ref:`lora-spectral-section`, :prf:ref:`lora-spectral-pair`;
    Cesista et al. (2026).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import lora_muon_gradients
    >>> rng = np.random.default_rng(0)
    >>> A, B, G = (rng.standard_normal(shape) for shape in ((9, 2), (2, 7), (9, 7)))
    >>> HA, HB = lora_muon_gradients(A, B, G @ B.T, A.T @ G)
    >>> np.linalg.svd(HA @ B)[1].round(6) + 0.0
    array([0.5, 0.5, 0. , 0. , 0. , 0. , 0. ])
    >>> bool(np.linalg.norm(HA @ B + A @ HB, 2) <= 1)
    True
    """
    back, scale, rtol, A, B, X, Y = _given(A, B, GA, GB, ("GA", "GB"), scale, rtol)
    right, left = _inverse_root(B, rtol), adjoint(_inverse_root(adjoint(A), rtol))
    options = {"method": "svd"} if schedule is None else {"schedule": schedule}
    H_A = msign(X @ right, **options) @ right
    H_B = left @ msign(left @ Y, **options)
    return back(1.0, H_A / 2 / scale, H_B / 2 / scale)

r"""Choosing the rank under noise.

Which $r$ makes $\lVert x_r-x\rVert$ smallest, where $x_r=\sum_{i\le r}\sigma_i^{-1}(u_i^{\mathsf
H}b)\,v_i$ and only $A$ and $b=Ax+e$ are known, and how many singular values of a matrix that is
observed in noise belong to what is observed?

Generated from book/low_rank/choosing_rank.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np
from scipy.optimize import brentq

from lowrank.arguments import check_choice, check_count, check_number, refuse_options
from lowrank.arrays import (
    adjoint,
    as_matrix,
    cut_off,
    double_norm,
    exponent_of,
    finite_peak,
    peak_of,
    round_off,
    safe_divisor,
    shifted,
    singular_values,
    squared_norms,
)
from lowrank.linear_map import linear_map
from lowrank.pseudo_inverse import orthogonal_parts, unscale_inverse
from lowrank.svd import representable

__all__ = [
    "RankChoice",
    "choose_rank",
    "hard_threshold",
    "SignalRank",
    "signal_rank",
    "SubspaceBound",
    "wedin_bound",
]


# %% book/low_rank/choosing_rank.ipynb: _curves
def _curves(s, C, rest):
    """norm(b - A x_r) and norm(x_r), r = 0, ..., len(s), from C = U^H b and norm(b - U C)."""
    C, s = np.abs(C).astype(float), s[:, None].astype(float)
    energies = np.concatenate([C**2, np.asarray(rest, float)[None]**2])
    residuals = np.sqrt(np.cumsum(energies[::-1], axis=0)[::-1])
    norms = np.sqrt(np.cumsum((C / s)**2, axis=0))
    return residuals, np.concatenate([np.zeros_like(norms, shape=(1, C.shape[1])), norms])


# %% book/low_rank/choosing_rank.ipynb: RankChoice
class RankChoice(namedtuple("RankChoice", "x rank residuals norms scores")):
    """What `choose_rank` found: the solution, how many terms it has, and the curves behind it.

    Attributes
    ----------
    x : array, shape (n,) or (n, p)
        The truncated solution of the chosen rank.
    rank : int, or array of int, shape (p,)
        Number of terms, for each right-hand side.
    residuals : array, shape (k + 1,) or (k + 1, p)
        norm(b - A x_r) for r = 0, ..., k, where k is the numerical rank of A.
    norms : array, shape (k + 1,) or (k + 1, p)
        norm(x_r); inf where it overflows.
    scores : array, shape (k + 1,) or (k + 1, p)
        What the method looks at, inf for ranks that were not considered. "discrepancy":
        the residual over what is allowed, of which the first that is at most 1 counts.
        "gcv": the root mean square of what is left out, in the units of b. "lcurve": residual
        times norm, in units of norm(b)**2 / s_1. Of these two the smallest counts.
    """

    __slots__ = ()


# %% book/low_rank/choosing_rank.ipynb: _scores
def _scores(method, residuals, norms, m, most, zero):
    """The scores of all ranks, a column for each b, for sigma_1 = 1; most is what |e| may be."""
    if method == "discrepancy":
        return residuals / safe_divisor(most + zero * (norms + residuals[0]))
    if method == "gcv":
        left_out = np.maximum(m - np.arange(len(residuals)), 1)
        return residuals * math.sqrt(m) / left_out[:, None]
    products = residuals * norms / safe_divisor(residuals[0])**2
    return np.where((norms == 0) & (residuals > 0), np.inf, products)


def _chosen(method, scores, noise):
    """The rank of each column: the first score up to 1, or the smallest."""
    if method != "discrepancy":
        return scores.argmin(axis=0)
    worst = scores.min(axis=0).max()
    if not worst <= 1:
        raise ValueError(f"noise is {noise!r}; no rank up to {len(scores) - 1} leaves a residual "
                         f"as small; the smallest is {worst:.3g} times what is allowed")
    return (scores <= 1).argmax(axis=0)


# %% book/low_rank/choosing_rank.ipynb: _largest_error
def _largest_error(method, noise, safety, m):
    """What norm(e) may be by the discrepancy principle; 0 for the methods that do not know."""
    if method != "discrepancy":
        refuse_options(f'method="{method}"', noise=noise, safety=safety)
        return 0.0
    allowed = 'a number with 0 <= noise < inf for method="discrepancy"'
    noise = check_number(noise, "noise", allowed, lambda value: 0 <= value < math.inf)
    safety = 1 + 2 / math.sqrt(m) if safety is None else safety
    allowed = "a number with 1 < safety < inf"
    safety = check_number(safety, "safety", allowed, lambda value: 1 < value < math.inf)
    return safety * noise * math.sqrt(m)


def _rank_limit(method, max_rank, shape, rank):
    """The largest rank to consider: m / 2, unless the noise is known or max_rank is given."""
    half, top = shape[0] // 2, min(rank, shape[0] - 1)
    if method == "discrepancy":
        half = top = rank
    if max_rank is not None:
        half = check_count(max_rank, "max_rank", 0, min(shape), f" for shape {shape}")
    return min(half, top)


# %% book/low_rank/choosing_rank.ipynb: choose_rank
@np.errstate(all="ignore")
def choose_rank(A, b, method="gcv", *, noise=None, safety=None, max_rank=None, rtol=None):
    r"""The truncated solution of A x = b whose rank fits the noise in b = A x + e.

    Parameters
    ----------
    A : array, shape (m, n)
        The matrix.
    b : array, shape (m,) or (m, p)
        One right-hand side, or p of them; each gets a rank of its own.
    method : {"gcv", "discrepancy", "lcurve"}, default "gcv"
        Generalised cross-validation, for white noise of unknown size; the discrepancy
        principle, for a known size; or the corner of the L-curve.
    noise : float, optional
        Root mean square of the entries of e, for "discrepancy" alone: where norm(e) is
        known, ``norm(e) / sqrt(m)``. The same for all right-hand sides.
    safety : float > 1, optional
        For "discrepancy": the first residual up to ``safety * noise * sqrt(m)`` is taken.
        Default ``1 + 2 / sqrt(m)``: Gaussian noise is larger than that in 3 cases of 1000.
    max_rank : int >= 0, optional
        Largest rank to consider. Default ``m // 2``, and no limit for "discrepancy"; "gcv"
        and "lcurve" never go beyond m - 1.
    rtol : float, optional
        As for `pinv`: singular values up to ``rtol * s_1`` are never kept.

    Returns
    -------
    RankChoice
        Named tuple of ``x``, ``rank``, ``residuals``, ``norms`` and ``scores``.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf, an option out of range or of another method,
        noise so small that no rank explains b, or x so large that it overflows.
    TypeError
        A dtype without meaning, a sparse matrix, or "discrepancy" without noise.

    See Also
    --------
    pinv : The cut-off where round-off is all that is wrong.
    signal_rank : The rank of a matrix that is observed in noise.

    Notes
    -----
    One SVD, O(m n min(m, n)) operations, and O((m + n) p) for each rank. Derived in
    :ref:`choosing-rank-discrepancy`, :prf:ref:`discrepancy`; :ref:`choosing-rank-gcv`,
    :prf:ref:`gcv-risk` and, for the default of max_rank, :prf:ref:`gcv-accident`;
    :ref:`choosing-rank-corner`, :prf:ref:`corner-rule`. Where each fails:
    :ref:`choosing-rank-breaks`. Morozov (1966), Golub, Heath and Wahba (1979),
    Hansen (1992), Reginska (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import choose_rank
    >>> A = np.diag([1.0, 0.5, 1e-4, 1e-5])
    >>> b = A @ [1.0, 1, 1, 1] + [0.01, -0.01, 0.01, 0.01]
    >>> choose_rank(A, b).rank
    2
    >>> choose_rank(A, b, "discrepancy", noise=0.01).x.round(2)
    array([1.01, 0.98, 0.  , 0.  ])
    """
    check_choice(method, "method", ("discrepancy", "gcv", "lcurve"))
    single = np.ndim(b) == 1
    B = as_matrix(np.expand_dims(b, 1) if single else b, "b")
    U, s, Vh, e = orthogonal_parts(A, "A", rtol)
    shape = m, n = len(U), Vh.shape[1]
    if len(B) != m:
        raise ValueError(f"b has shape {np.shape(b)}; allowed is ({m},) or ({m}, p), "
                         f"since A has {m} rows")
    most = _largest_error(method, noise, safety, m)
    limit = _rank_limit(method, max_rank, shape, len(s))
    f = exponent_of(peak_of(B.T[:, :, None])[:, 0, 0])
    B = shifted(B, -f)
    C = adjoint(U) @ B
    residuals, norms = _curves(s, C, np.sqrt(squared_norms(B - U @ C, 0))[0])
    scores = _scores(method, residuals, norms * float(s.max(initial=0)), m,
                     np.ldexp(most, -f), round_off(shape, np.finfo(C.dtype).eps))
    rank = _chosen(method, scores[:limit + 1], noise)
    scores[limit + 1:] = np.inf
    terms = np.where(np.arange(len(s))[:, None] < rank, C / s[:, None], 0)
    scores = shifted(scores, f) if method == "gcv" else scores
    curves = shifted(residuals, f), shifted(norms, f - e), scores
    x = unscale_inverse(adjoint(Vh) @ terms, e - f)
    curves = [curve.astype(x.real.dtype) for curve in curves]
    if single:
        return RankChoice(x[:, 0], int(rank[0]), *(curve[:, 0] for curve in curves))
    return RankChoice(x, rank, *curves)


# %% book/low_rank/choosing_rank.ipynb: _mass_above
def _mass_above(angle, q):
    """The part of the Marchenko-Pastur law above 1 + q^2 + 2 q cos(angle)."""
    side = q * math.sin(angle)
    turn = math.atan2(side, 1 + q * math.cos(angle))
    return (angle - side + (1 - q * q) / (q * q) * (turn - side)) / math.pi


def _noise_median(shape):
    """Median of the singular values of noise of size 1, over sqrt(max(shape))."""
    q = math.sqrt(min(shape) / max(shape))
    angle = brentq(lambda angle: _mass_above(angle, q) - 0.5, 0, math.pi)
    return math.sqrt(1 + q * q + 2 * q * math.cos(angle))


# %% book/low_rank/choosing_rank.ipynb: hard_threshold
def hard_threshold(shape, noise=1.0):
    r"""The singular value above which a term of a noisy matrix brings more signal than noise.

    Parameters
    ----------
    shape : tuple of two ints
        (m, n) of the matrix.
    noise : float >= 0, default 1
        Standard deviation of the noise in each entry.

    Returns
    -------
    float
        ``tau * noise * sqrt(max(m, n))``, with ``tau**2 = 2 (beta + 1) + 8 beta /
        (beta + 1 + sqrt(beta**2 + 14 beta + 1))`` and ``beta = min(m, n) / max(m, n)``.

    Raises
    ------
    ValueError, TypeError
        A shape that is not two positive integers; noise that is negative or not finite.

    See Also
    --------
    signal_rank : Applies it, and estimates the noise where it is not known.

    Notes
    -----
    Derived in :ref:`choosing-rank-threshold`, :prf:ref:`hard-threshold`;
    Gavish and Donoho (2014).

    Examples
    --------
    >>> from lowrank import hard_threshold
    >>> round(hard_threshold((100, 100)), 4)                # 4 / sqrt(3) * 10
    23.094
    """
    try:
        m, n = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape is {shape!r}; allowed are two integers (m, n)") from None
    m, n = check_count(m, "shape[0]", 1), check_count(n, "shape[1]", 1)
    noise = check_number(noise, "noise", "a number with 0 <= noise < inf",
                         lambda value: 0 <= value < math.inf)
    beta = min(m, n) / max(m, n)
    root = math.sqrt(beta * beta + 14 * beta + 1)
    return math.sqrt((2 * (beta + 1) + 8 * beta / (beta + 1 + root)) * max(m, n)) * noise


# %% book/low_rank/choosing_rank.ipynb: SignalRank
class SignalRank(namedtuple("SignalRank", "rank threshold noise edge s")):
    """What `signal_rank` found.

    Attributes
    ----------
    rank : int
        Number of singular values above the threshold.
    threshold : float
        The hard threshold for this shape and noise.
    noise : float
        Standard deviation of the noise in an entry, as given or as estimated.
    edge : float
        Where the singular values of noise alone end, (1 + sqrt(beta)) sqrt(max(m, n)) noise.
    s : array, shape (min(m, n),)
        All singular values.
    """

    __slots__ = ()


@np.errstate(all="ignore")
def signal_rank(A, noise=None):
    r"""How many singular values of a matrix in white noise to keep, for the smallest error.

    Parameters
    ----------
    A : array, shape (m, n)
        The matrix: a signal of low rank plus noise, all entries with the same variance.
    noise : float >= 0, optional
        Standard deviation of the noise in each entry, of the absolute value for complex A.
        Default: from the median singular value.

    Returns
    -------
    SignalRank
        Named tuple of ``rank``, ``threshold``, ``noise``, ``edge`` and ``s``.

    Raises
    ------
    ValueError
        NaN, Inf, or a wrong shape; noise that is negative or not finite.
    TypeError
        A dtype without meaning, a sparse matrix.

    See Also
    --------
    truncated_svd : ``truncated_svd(A, rank)`` is then the estimate of the signal.
    choose_rank : The rank of the solution of A x = b, when b is noisy.

    Notes
    -----
    One SVD. Optimal in the limit of large matrices of fixed signal rank; at 100 x 100 the
    limit is near. Values that are zero up to round-off are never kept. The rank is not
    that of the signal: terms that the noise has covered cost more than they bring. The
    estimate of the noise needs a rank far below min(m, n) / 2, and noise without
    correlation: see :ref:`choosing-rank-breaks`.
    Derived in :ref:`choosing-rank-threshold`, :prf:ref:`hard-threshold` and
    :prf:ref:`noise-law`; Gavish and Donoho (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import signal_rank
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 100))
    >>> found = signal_rank(signal + 0.5 * rng.standard_normal((200, 100)))
    >>> found.rank, round(found.noise, 1)
    (3, 0.5)
    """
    A = as_matrix(A, finite=False)
    e = exponent_of(finite_peak(A, "A")).item()
    s = singular_values(shifted(A, -e))
    root = math.sqrt(max(A.shape))
    if noise is None:
        noise = float(np.ldexp(np.median(s) / (root * _noise_median(A.shape)), e))
    threshold = hard_threshold(A.shape, noise)
    zero = cut_off(None, A) * float(s[0])
    rank = int(np.sum(s > max(np.ldexp(threshold, -e), zero)))
    edge = (1 + math.sqrt(min(A.shape) / max(A.shape))) * root * float(noise)
    return SignalRank(rank, threshold, float(noise), edge, representable(shifted(s, e)))


# %% book/low_rank/choosing_rank.ipynb: SubspaceBound
class SubspaceBound(namedtuple("SubspaceBound", "bound residual gap")):
    """What `wedin_bound` found.

    Attributes
    ----------
    bound : float
        No sine of an angle between the computed and the true subspaces is larger
        (for ``norm="fro"``: nor is their root sum of squares). Where it says nothing,
        1 (or the root of the number of triples).
    residual : float
        The larger residual, with what round-off may hide.
    gap : float
        s_k - norm(A - U diag(s) Vh, 2), or less; at or below 0 there is no certificate.
    """

    __slots__ = ()


def _norm(X, norm):
    """The spectral norm, 2, or the Frobenius norm, "fro", of a matrix."""
    return float(singular_values(X)[0]) if norm == 2 else double_norm(X)


def _defect(Q, name, norm):
    """norm(Q^H Q - I), small."""
    defect = _norm(adjoint(Q) @ Q - np.eye(Q.shape[1]), norm)
    if not defect <= 0.01:
        raise ValueError(f"the columns of {name} are not orthonormal: {name}^H {name} differs "
                         f"from I by {defect:.1e}; allowed is 0.01")
    return defect


def _triples(svd, shape):
    """U, s, V of a decomposition that fits the shape."""
    U, s, Vh = svd
    U, Vh = as_matrix(U, "U"), as_matrix(Vh, "Vh")
    s = as_matrix(np.expand_dims(s, 0), "s")[0]
    fits = (shape[0], len(s)), (len(s), shape[1])
    if (U.shape, Vh.shape) != fits or s.min() < 0:
        raise ValueError(f"U, s and Vh have shapes {U.shape}, {s.shape} and {Vh.shape}; allowed "
                         f"are (m, k), (k,) and (k, n) for A of {shape}, and no negative s")
    return U, s, adjoint(Vh)


# %% book/low_rank/choosing_rank.ipynb: wedin_bound
@np.errstate(all="ignore")
def wedin_bound(A, svd, *, rest=None, norm=2):
    r"""A bound for the angles between computed singular subspaces of A and the true ones.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    svd : tuple of arrays (U, s, Vh), as `truncated_svd` returns it
        Computed leading triples, with shapes (m, k), (k,) and (k, n), of A itself or of a
        matrix near it. The columns of U and the rows of Vh are orthonormal up to 0.01.
    rest : float >= 0, optional
        An upper bound for norm(A - U diag(s) Vh, 2), as `estimate_error` gives it with its
        confidence. Default: computed from all singular values of that matrix.
    norm : {2, "fro"}, default 2
        Whether the largest sine is bounded, or the root sum of squares of all.

    Returns
    -------
    SubspaceBound
        Named tuple of ``bound``, ``residual`` and ``gap``. The bound holds for left and right
        subspaces, against the first k singular vectors of A.

    Raises
    ------
    ValueError
        Shapes that do not fit, vectors that are not orthonormal, NaN or Inf, an option out of
        range.
    TypeError
        A dtype without meaning, or an operator without adjoint.

    See Also
    --------
    scipy.linalg.subspace_angles : The angles, where the true vectors are known.

    Notes
    -----
    Two passes over A with k vectors, and one over the dense A if rest is not given,
    which then costs an SVD. Residuals below ``sqrt(max(m, n)) * eps * s_1`` cannot be told
    from round-off, and the bound is not below that over the gap.
    Derived in :ref:`choosing-rank-subspaces`, :prf:ref:`wedin`; Wedin (1972).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import truncated_svd, wedin_bound
    >>> A = np.diag([4.0, 2.0, 1.0])
    >>> E = 0.1 * np.eye(3)[[1, 0, 2]]
    >>> wedin_bound(A, truncated_svd(A + E, 2)).bound < 0.11
    True
    """
    check_choice(norm, "norm", (2, "fro"))
    A = linear_map(A)
    U, s, V = _triples(svd, A.shape)
    AV, AU = A.apply(V), A.adjoint_apply(U)
    scale = A.exponent or 0
    s = shifted(s, -scale)
    if rest is None:
        rest = _norm(A.dense() - (U * s) @ adjoint(V), 2)
    else:
        rest = check_number(rest, "rest", "a number with 0 <= rest < inf",
                            lambda value: 0 <= value < math.inf)
        rest = float(np.ldexp(rest, -scale))
    eps = float(np.finfo(AV.dtype).eps)
    defect = max(_defect(U, "U", norm), _defect(V, "V", norm)) + math.sqrt(max(A.shape)) * eps
    residual = max(_norm(X, norm) for X in (AV - U * s, AU - V * s))
    residual += 2 * defect * (2 * float(s.max()) + rest)
    gap = float(s.min()) - rest
    most = 1.0 if norm == 2 else math.sqrt(len(s))
    bound = min(most, residual / gap) if gap > 0 else most
    return SubspaceBound(bound, float(np.ldexp(residual, scale)), float(np.ldexp(gap, scale)))

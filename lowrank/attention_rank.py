r"""The rank of attention.

Attention mixes tokens with the matrix $a_{ij}\propto e^{q_i\cdot k_j/\sqrt d}$, whose scores have
rank $d$ only: what is the rank of $A$ after the exponential, what does a causal mask change, and
what do the answers say about a network?

Generated from book/structure/attention_rank.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arguments import check_choice
from lowrank.arrays import (
    NUMPY,
    array_namespace,
    as_common,
    as_stack,
    check_parameter,
    constant,
    cut_off,
    device,
    frobenius_norm,
    is_numpy_array,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    single,
    singular_values,
)
from lowrank.polar_factor import decomposed

__all__ = [
    "attention_matrix",
    "SlogDet",
    "attention_slogdet",
    "numerical_rank",
    "effective_rank",
    "rank_collapse",
]


# %% book/structure/attention_rank.ipynb: as_tokens
def as_tokens(**given):
    """(xp, dtype, arrays...): real arrays (..., n, d) of one library; dtype is for the result."""
    xp, dtype, *arrays = as_common(**given)
    for name, x in zip(given, arrays):
        if x.ndim < 2:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; allowed is (..., n, d)")
    return xp, dtype, *arrays


def check_leads(**arrays):
    """The leading axes of arrays, broadcast together."""
    leads = {name: tuple(x.shape[:-2]) for name, x in arrays.items()}
    try:
        return np.broadcast_shapes(*leads.values())
    except ValueError:
        listed = ", ".join(f"{tuple(x.shape)} of {name}" for name, x in arrays.items())
        raise ValueError(f"the shapes {listed} do not fit; allowed are leading axes that "
                         "broadcast") from None


def check_keys(Q, K):
    """Refuse keys that do not fit the queries."""
    if Q.shape[-1] != K.shape[-1]:
        raise ValueError(f"Q has shape {tuple(Q.shape)} and K {tuple(K.shape)}; "
                         "allowed are equal last axes")
    if not K.shape[-2]:
        raise ValueError(f"K has shape {tuple(K.shape)}; allowed is at least one key")
    check_leads(Q=Q, K=K)


def check_scale(scale, d):
    """The factor of the scores, d^(-1/2) by default."""
    if scale is None:
        return max(d, 1)**-0.5
    return check_parameter(scale, "scale", "None or a number with 0 < scale < inf",
                           lambda scale: 0 < scale < math.inf)


# %% book/structure/attention_rank.ipynb: scores
def scores(Q, K, scale):
    """(S, c): the scores c S, where entries of S are sums of numbers below 4."""
    xp, units = array_namespace(Q), [power_of_two(peak_of(X)) for X in (Q, K)]
    c = xp.clip(units[0] * units[1] * scale, max=float(xp.finfo(Q.dtype).max))
    return (Q / units[0]) @ (K / units[1]).mT, c


def from_row_peak(S, c, allowed=None):
    """c (S - its row maxima), -inf where a key is not allowed."""
    xp = array_namespace(S)
    seen = S if allowed is None else xp.where(allowed, S, -math.inf)
    Z = c * (S - constant(xp.max(seen, axis=-1, keepdims=True)))
    return Z if allowed is None else xp.where(allowed, Z, -math.inf)


def row_softmax(S, c, allowed=None):
    """The row-stochastic matrix of the scores c S."""
    xp = array_namespace(S)
    E = xp.exp(from_row_peak(S, c, allowed))
    return E / xp.sum(E, axis=-1, keepdims=True)


# %% book/structure/attention_rank.ipynb: as_mask
def as_mask(mask, xp, name="mask"):
    """The mask as an array of bool of the library xp."""
    mask = np.asarray(mask) if xp is NUMPY and isinstance(mask, (list, tuple)) else mask
    if mask is None or not hasattr(mask, "dtype") or array_namespace(mask) is not xp:
        raise TypeError(f"{name} is a {type(mask).__name__}; allowed is an array of bool of the "
                        "library of Q")
    if not xp.isdtype(mask.dtype, "bool"):
        raise TypeError(f"{name} has dtype {mask.dtype}; allowed is bool, True for a key that is "
                        "seen")
    return mask


def _allowed(xp, Q, K, causal, mask):
    """Which keys each query sees: None for all."""
    n, m = Q.shape[-2], K.shape[-2]
    allowed = None
    if causal:
        if n != m:
            raise ValueError(f"Q has {n} rows and K has {m}; with causal=True query i sees the "
                             "keys 1 to i, and allowed are as many keys as queries. For the last "
                             "queries of a longer sequence say so in mask")
        place = xp.arange(n, device=device(Q))
        allowed = place[:, None] >= place[None, :]
    if mask is not None:
        mask = as_mask(mask, xp)
        shape = (*check_leads(Q=Q, K=K), n, m)
        if mask.ndim > len(shape) or any(a not in (1, b) for a, b
                                         in zip(mask.shape[::-1], shape[::-1])):
            raise ValueError(f"mask has shape {tuple(mask.shape)}; allowed is what broadcasts to "
                             f"{shape}")
        allowed = mask if allowed is None else allowed & mask
        seen = xp.any(allowed, axis=-1)
        if not may_hold(xp.all(seen)):
            raise ValueError(f"mask leaves {int(xp.count_nonzero(~seen))} rows without a key; "
                             "allowed is at least one True in every row"
                             + (" up to the diagonal" if causal else ""))
    return allowed


# %% book/structure/attention_rank.ipynb: attention_matrix
@quiet
def attention_matrix(Q, K, causal=False, *, scale=None, mask=None):
    r"""The matrix that mixes tokens: a_ij = exp(scale q_i . k_j) / sum_l exp(scale q_i . k_l).

    Parameters
    ----------
    Q : array, shape (..., n, d)
        Queries, of NumPy, PyTorch or JAX.
    K : array, shape (..., n_k, d)
        Keys. Leading axes broadcast.
    causal : bool, default False
        Query i sees the keys 1 to i only; n_k must be n.
    scale : float, optional
        Factor of the scores, > 0; d^(-1/2) by default.
    mask : array of bool, optional
        True for a key that a query sees, broadcast to (..., n, n_k).

    Returns
    -------
    array, shape (..., n, n_k)
        Its rows sum to 1. In the dtype of Q and K; 16 bits are computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, a causal matrix that is not square, a row without a
        key (where values cannot be seen, that row is NaN), a scale that is not positive.
    TypeError
        Arrays of two libraries, complex numbers, a mask that is not of bool.

    Notes
    -----
    O(n n_k d) operations, n n_k numbers. Nothing overflows: scores are compared before they are
    multiplied by their units. Derived in :ref:`attention-rank-matrix`; on its rank see
    :prf:ref:`full-invertible` and :prf:ref:`causal-triangle`. `nystrom_attention` applies it
    without forming it.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import attention_matrix
    >>> Q = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> attention_matrix(Q, Q).round(3)
    array([[0.67, 0.33],
           [0.33, 0.67]])
    >>> attention_matrix(Q, Q, causal=True).round(3)
    array([[1.  , 0.  ],
           [0.33, 0.67]])
    """
    xp, dtype, Q, K = as_tokens(Q=Q, K=K)
    check_keys(Q, K)
    allowed = _allowed(xp, Q, K, causal, mask)
    A = row_softmax(*scores(Q, K, check_scale(scale, Q.shape[-1])), allowed)
    return xp.astype(A, dtype, copy=False)


# %% book/structure/attention_rank.ipynb: SlogDet
class SlogDet(namedtuple("SlogDet", "sign logabsdet")):
    """A determinant: its sign, and the logarithm of its absolute value.

    Attributes
    ----------
    sign : array, shape (...)
        1, -1, or 0 where the determinant is 0.
    logabsdet : array, shape (...)
        -inf where the determinant is 0.
    """

    __slots__ = ()


@quiet
def attention_slogdet(Q, K, causal=False, *, scale=None):
    r"""Sign and logarithm of det A for the attention matrix A of Q and K.

    Parameters
    ----------
    Q, K, causal, scale
        As for `attention_matrix`, with as many keys as queries.

    Returns
    -------
    SlogDet
        Unpacks as ``sign, logabsdet``, of shapes (...).

    Raises
    ------
    ValueError, TypeError
        As `attention_matrix`; a matrix that is not square.

    Notes
    -----
    Causal: the sum of log a_ii, from the scores, so that entries that underflow do no harm; the
    sign is 1. Else an LU decomposition of A, whose answer has a meaning while the condition
    number of A is below 1 / eps: `numerical_rank` tells. PyTorch and JAX differentiate both;
    where A is singular there is no derivative. Derived in :ref:`attention-rank-causal`,
    :prf:ref:`causal-triangle`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import attention_slogdet
    >>> Q = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> sign, logabsdet = attention_slogdet(Q, 5000 * Q, causal=True)
    >>> float(sign), round(float(logabsdet), 6)
    (1.0, 0.0)
    >>> round(float(attention_slogdet(Q, -5000 * Q, causal=True).logabsdet), 1)
    -3535.5
    """
    xp, dtype, Q, K = as_tokens(Q=Q, K=K)
    check_keys(Q, K)
    n, allowed = Q.shape[-2], _allowed(xp, Q, K, causal, None)
    if n != K.shape[-2]:
        raise ValueError(f"Q has {n} rows and K has {K.shape[-2]}; allowed are as many keys as "
                         "queries, since only a square matrix has a determinant")
    S, c = scores(Q, K, check_scale(scale, Q.shape[-1]))
    if causal:
        Z, place = from_row_peak(S, c, allowed), xp.arange(n, device=device(Q))
        own = xp.where(place[:, None] == place[None, :], Z, 0.0)
        totals = xp.log(xp.sum(xp.exp(Z), axis=-1))
        logs = xp.sum(xp.sum(own, axis=-1) - totals, axis=-1)
        sign = xp.ones_like(logs)
    else:
        sign, logs = xp.linalg.slogdet(row_softmax(S, c))
    return SlogDet(*(xp.astype(x, dtype, copy=False) for x in (sign, logs)))


# %% book/structure/attention_rank.ipynb: numerical_rank
def _unit_values(A):
    """Singular values over the largest one; 0 for the zero matrix; to be differentiated."""
    B = single(A / power_of_two(peak_of(A)))
    s = singular_values(B) if is_numpy_array(B) else decomposed(B)[1]
    return s / safe_divisor(s[..., :1])


@quiet
def numerical_rank(A, *, rtol=None):
    r"""How many singular values are above rtol s_1.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    rtol : float, optional
        ``4 * sqrt(min(m, n)) * eps`` by default.

    Returns
    -------
    array of integers, shape (...)

    Raises
    ------
    ValueError
        NaN, Inf, fewer than two axes, or rtol outside [0, 1).
    TypeError
        A dtype without meaning.

    Notes
    -----
    One decomposition, O(m n min(m, n)). It has no derivative. :ref:`attention-rank-numbers`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import numerical_rank
    >>> A = np.diag([1.0, 1e-4, 0.0])
    >>> int(numerical_rank(A)), int(numerical_rank(A, rtol=1e-3))
    (2, 1)
    """
    xp, A = as_stack(A)
    rtol = cut_off(rtol, A)
    if 0 in A.shape[-2:]:
        return xp.sum(xp.zeros(A.shape[:-1], dtype=xp.int64, device=device(A)), axis=-1)
    s = _unit_values(A)
    return xp.count_nonzero((s > rtol) & (s > 0), axis=-1)


# %% book/structure/attention_rank.ipynb: effective_rank
@quiet
def effective_rank(A, *, kind="entropy"):
    r"""A count of directions without a cut-off: exp(-sum p log p) with p = s / sum(s).

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    kind : {"entropy", "participation", "stable"}, default "entropy"
        "participation" is (sum s^2)^2 / sum s^4, "stable" is sum s^2 / s_1^2.

    Returns
    -------
    array, shape (...)
        From 1 to the rank, where k equal values alone give k; 0 for a zero matrix.

    Raises
    ------
    ValueError
        NaN, Inf, fewer than two axes, or an unknown kind.
    TypeError
        A dtype without meaning.

    Notes
    -----
    One decomposition, O(m n min(m, n)). PyTorch and JAX differentiate it, also at equal singular
    values. The slope of "entropy" at a singular value 0 is infinite; there 0 is taken.
    :ref:`attention-rank-numbers`; "entropy" is that of Roy and Vetterli (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import effective_rank
    >>> A = np.diag([2.0, 1.0, 1.0, 0.0])
    >>> round(float(effective_rank(A)), 3), float(effective_rank(A, kind="participation"))
    (2.828, 2.0)
    """
    check_choice(kind, "kind", ("entropy", "participation", "stable"))
    xp, A = as_stack(A)
    if 0 in A.shape[-2:]:
        return xp.real(peak_of(A)[..., 0, 0])
    s = _unit_values(A)
    total = xp.sum(s, axis=-1, keepdims=True)
    if kind == "entropy":
        p = s / safe_divisor(total)
        count = xp.exp(-xp.sum(p * xp.log(xp.where(p > 0, p, 1.0)), axis=-1))
    else:
        squares = xp.sum(s * s, axis=-1)
        fourth = xp.sum(s**4, axis=-1)
        count = squares if kind == "stable" else squares * squares / safe_divisor(fourth)
    count = xp.where(total[..., 0] > 0, count, 0.0)
    return xp.astype(count, xp.real(A[..., 0, 0]).dtype, copy=False)


# %% book/structure/attention_rank.ipynb: rank_collapse
@quiet
def rank_collapse(X):
    r"""The relative distance to matrices with equal rows: min over v of norm(X - 1 v^T) / norm(X).

    Parameters
    ----------
    X : array, shape (..., n, d)
        Tokens as rows, or a matrix that mixes them; NumPy, PyTorch or JAX.

    Returns
    -------
    array, shape (...)
        From 0, all rows are equal, to 1, the rows have the mean 0; 0 for a zero matrix.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes.
    TypeError
        A dtype without meaning.

    Notes
    -----
    O(n d), in Frobenius norms; the best v is the mean of the rows. Differentiable where the rows
    are not all equal, and with derivative 0 there. See :ref:`attention-rank-collapse`,
    :prf:ref:`first-token`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rank_collapse
    >>> float(rank_collapse(np.ones((3, 2)))), float(rank_collapse(np.array([[1.0], [-1.0]])))
    (0.0, 1.0)
    """
    xp, X = as_stack(X, "X")
    if 0 in X.shape[-2:]:
        return xp.abs(peak_of(X)[..., 0, 0])
    B = single(X / power_of_two(peak_of(X)))
    apart = frobenius_norm(B - xp.mean(B, axis=-2, keepdims=True))
    share = apart / safe_divisor(frobenius_norm(B))
    return xp.astype(share[..., 0, 0], xp.real(X[..., 0, 0]).dtype, copy=False)

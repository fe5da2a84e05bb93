r"""Column-row approximation.

A product $AB$ is a sum of $n$ outer products, one for each column of $A$ with the matching row of
$B$; which $k$ of them, with which weights, make $\lVert AB - \sum_{i\in J} d_i\,a_ib_i^{\mathsf
T}\rVert_F$ small?

Generated from book/low_rank/column_row.ipynb; edit the chapter.
"""

from collections import namedtuple

import numpy as np

from lowrank.arguments import as_generator, check_choice, check_count, check_indices
from lowrank.arrays import (
    check_finite,
    double_norm,
    exponent_of,
    safe_divisor,
    safe_norms,
    shifted,
)
from lowrank.linear_map import linear_map
from lowrank.pseudo_inverse import best_factor

__all__ = ["CRInfo", "cr_multiply", "cr_weights"]


# %% book/low_rank/column_row.ipynb: _operands
def _operands(A, B):
    """The maps of A and B; their first product, the norms, will check and measure them."""
    A, B = linear_map(A, sweep=False), linear_map(B, "B", sweep=False)
    if A.shape[1] != B.shape[0]:
        raise ValueError(f"B has shape {B.shape}; "
                         f"allowed is ({A.shape[1]}, q) for A of shape {A.shape}")
    return A, B


# %% book/low_rank/column_row.ipynb: _term_sizes
def _term_sizes(A, B):
    """2**-e |a_i| |b_i| in double precision, the largest of them near 1, and e."""
    sizes = A.column_norms().astype(np.float64) * B.row_norms()
    e = exponent_of(sizes.max()).item()
    return shifted(sizes, -e), e + (A.exponent or 0) + (B.exponent or 0)


# %% book/low_rank/column_row.ipynb: _optimal_probabilities
def _optimal_probabilities(sizes):
    """In proportion to the sizes; uniform where all of them are 0."""
    return sizes / sizes.sum() if sizes.any() else np.full(len(sizes), 1 / len(sizes))


# %% book/low_rank/column_row.ipynb: _check_probabilities
def _check_probabilities(p, sizes):
    """p divided by its sum; refused where it is no probability, or 0 for a term that is not 0."""
    p = np.asarray(p)
    if p.dtype.kind not in "buif":
        raise TypeError(f"p has dtype {p.dtype}; allowed are real numbers")
    if p.shape != sizes.shape or not (np.isfinite(p) & (p >= 0)).all() or not p.any():
        raise ValueError(f"p is {p!r:.60}; "
                         f"allowed are {len(sizes)} finite numbers >= 0, not all of them 0")
    p = p.astype(np.float64) / p.max()
    p /= p.sum()
    biased = np.flatnonzero((p == 0) & (sizes > 0))
    if biased.size:
        raise ValueError(f"p is 0 for {biased.size} terms that are not 0, the first of them "
                         f"{biased[0]}; allowed is p > 0 there, for the mean to be A B")
    return p


# %% book/low_rank/column_row.ipynb: _draw
def _draw(p, k, rng):
    """Distinct indices of k draws with replacement, and their weights count / (k p)."""
    support = np.flatnonzero(p)                     # round-off in the sum must not reach a zero
    counts = rng.multinomial(k, p[support])
    J = support[counts > 0]
    return J, counts[counts > 0] / (k * p[J])


def _largest(sizes, k):
    """The indices of the k largest, increasing; of equals the first."""
    return np.sort(np.argsort(-sizes, kind="stable")[:k])


# %% book/low_rank/column_row.ipynb: _slices
def _slices(length, width, size=2**22):
    """Slices of 0 .. length that keep arrays of that many rows of `width` entries near `size`."""
    step = max(1, size // width)
    return [slice(start, start + step) for start in range(0, length, step)]


def _product_norm2(A, B, e):
    """|2**-e A B|_F^2: by the Gram matrices if they are cheaper than the product."""
    (m, n), q = A.shape, B.shape[1]
    shift = (A.exponent or 0) + (B.exponent or 0) - e
    if n * (m + q) < m * q:
        slices = _slices(n, max(m, n, q))
        columns_of_AhA = (shifted(A.adjoint_apply(A.columns(J)), shift) for J in slices)
        columns_of_BBh = (shifted(B.apply(B.rows(J).conj().T), shift) for J in slices)
        return sum(np.sum(X.conj() * Y, dtype=np.result_type(X, np.float64)).real
                   for X, Y in zip(columns_of_BBh, columns_of_AhA))
    slices = _slices(q, max(m, n))
    return sum(double_norm(shifted(A.apply(B.columns(J)), shift))**2 for J in slices)


def _rms_error(A, B, e, sizes, p, k):
    """2**-e times the root of the mean square error of k draws."""
    some = sizes > 0
    variance = np.sum(sizes[some]**2 / p[some]) - _product_norm2(A, B, e)
    return np.sqrt(max(variance, 0) / k)


# %% book/low_rank/column_row.ipynb: _distance
def _distance(A, B, P, e):
    """|2**-e (A B - P)|_F."""
    shift = (A.exponent or 0) + (B.exponent or 0) - e
    blocks = (shifted(A.apply(B.columns(J)), shift) - shifted(P[:, J], -e)
              for J in _slices(B.shape[1], max(A.shape)))
    return np.sqrt(sum(double_norm(D)**2 for D in blocks))


# %% book/low_rank/column_row.ipynb: CRInfo
class CRInfo(namedtuple("CRInfo", "indices weights rms_error")):
    """What `cr_multiply` chose, and the error of that rule.

    The product that it returned is ``(A[:, indices] * weights) @ B[indices]``.
    """

    __slots__ = ()


# %% book/low_rank/column_row.ipynb: cr_multiply
@np.errstate(all="ignore")
def cr_multiply(A, B, k, *, method="sample", p=None, return_info=False, rng=None):
    r"""Approximate A B by k of its terms, sum over i in J of d_i A[:, i] B[i, :].

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        Left factor.
    B : the same, shape (n, q)
        Right factor. A LinearOperator needs its adjoint here.
    k : int
        Number of terms: from 1 to n for "topk"; any number of draws from 1 for
        "sample", where a term may be drawn more than once.
    method : {"sample", "topk"}, default "sample"
        "sample" draws with replacement and divides by the probabilities: the
        mean of the result is A B. "topk" keeps the k terms with the largest
        ``norm(A[:, i]) * norm(B[i])`` as they are: biased, but exact for k = n.
    p : array_like, shape (n,), optional
        Probabilities for "sample", up to a common factor; positive where the
        term is not zero. The default, in proportion to
        ``norm(A[:, i]) * norm(B[i])``, has the smallest mean square error.
    return_info : bool, default False
        Also return what was chosen, and the exact error of the rule.
    rng : None, int or numpy.random.Generator
        Source of the draws.

    Returns
    -------
    product : ndarray, shape (m, q)
        The approximation, in the common dtype of A and B.
    info : CRInfo
        Only with ``return_info=True``: named tuple of the distinct ``indices``
        in increasing order, their ``weights`` (1 for "topk"), and
        ``rms_error``. For "sample" this is the root of the expectation of
        ``norm(product - A @ B, "fro")**2`` over the draws; it falls like
        ``k**-0.5``. For "topk", where nothing is random, it is that norm.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf, also in the product, k out of range, p negative, of the
        wrong length, zero for a term that is not zero, or given for "topk".
    TypeError
        A dtype without meaning, or k that is no integer.

    See Also
    --------
    cr_weights : better weights for the chosen terms.

    Notes
    -----
    One pass over each matrix for the norms (for a LinearOperator, min(m, n) products
    with unit vectors for A, min(n, q) for B), at most one more for the chosen columns and rows;
    O(n log n) work for the choice, then a product with inner dimension at most
    min(k, n). ``rms_error`` costs as much as A B, or about n**2 (m + q)
    multiplications if those are fewer ("sample"), in blocks: one more pass over
    A for every 2**22 / max(m, n) columns of B. It is relative to round-off:
    below about ``sqrt(eps)`` times the sum of the sizes for "sample", and
    ``eps`` times that sum for "topk", it says no more than that.

    Derived in :ref:`column-row-topk` (:prf:ref:`cr-topk`) and
    :ref:`column-row-sample` (:prf:ref:`cr-variance`,
    :prf:ref:`cr-optimal-probabilities`); sampling is due to Drineas, Kannan and
    Mahoney (2006). Which of the two to use: :ref:`column-row-compare`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import cr_multiply
    >>> A = np.array([[3.0, 0.0, 0.1], [0.0, 2.0, 0.1]])
    >>> cr_multiply(A, A.T, 2, method="topk")
    array([[9., 0.],
           [0., 4.]])
    >>> product, info = cr_multiply(A, A.T, 1000, return_info=True, rng=0)
    >>> bool(np.linalg.norm(product - A @ A.T) < 3 * info.rms_error)
    True
    >>> np.allclose(product, (A[:, info.indices] * info.weights) @ A.T[info.indices])
    True
    """
    A, B = _operands(A, B)
    check_choice(method, "method", ("sample", "topk"))
    if method == "topk" and p is not None:
        raise ValueError("p is given with method='topk'; allowed is p with method='sample' only")
    k = check_count(k, "k", 1, A.shape[1] if method == "topk" else 2**63 - 1)

    sizes, e = _term_sizes(A, B)
    if method == "topk":
        J, weights = _largest(sizes, k), np.ones(k)
    else:
        p = _optimal_probabilities(sizes) if p is None else _check_probabilities(p, sizes)
        J, weights = _draw(p, k, as_generator(rng))
    C, R = A._columns(J), B._rows(J)            # the norms have seen and checked every entry
    product = (C if method == "topk" else C * weights.astype(C.real.dtype)) @ R
    check_finite(product, "the product of A and B, on the chosen terms,")
    if not return_info:
        return product
    error = (_distance(A, B, product, e) if method == "topk" else
             _rms_error(A, B, e, sizes, p, k))
    return product, CRInfo(J, weights, float(shifted(np.float64(error), e)))


# %% book/low_rank/column_row.ipynb: cr_weights
@np.errstate(all="ignore")
def cr_weights(A, B, indices):
    r"""The weights d that minimise norm(A B - A[:, indices] diag(d) B[indices], "fro").

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        Left factor.
    B : the same, shape (n, q)
        Right factor.
    indices : array_like of int, shape (k,)
        The chosen terms, each once.

    Returns
    -------
    ndarray, shape (k,)
        The weights, complex for complex input. Where they are not unique
        (dependent terms), those with the smallest norm, relative to the sizes
        of the terms. The approximation is ``(A[:, indices] * d) @ B[indices]``.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf, also in A B; or indices that are empty,
        repeated or out of range.
    TypeError
        A dtype without meaning, or indices that are no integers.

    Notes
    -----
    Two passes over each matrix, one for the terms and one for a product with k
    vectors: O(n k (m + q) + k**3) work; A B is not formed. Solves the normal
    equations of :prf:ref:`cr-best-weights` in :ref:`column-row-weights`, whose
    matrix is the entrywise product of two Gram matrices, after scaling its
    diagonal to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import cr_weights
    >>> A = np.array([[1.0, 1.0, 1.0]])
    >>> cr_weights(A, A.T, [0]).round(12)                   # one of three equal terms
    array([3.])
    """
    A, B = _operands(A, B)
    J = check_indices(indices, A.shape[1], "indices")
    C, R = A.columns(J), B.rows(J).conj().T
    c, r = (safe_divisor(safe_norms(X, 0)) for X in (C, R))
    C, R = C / c, R / r
    G = (C.conj().T @ C) * (R.conj().T @ R).conj()
    h = np.sum(A.adjoint_apply(C).conj() * B.apply(R), axis=0)
    check_finite(h, "the product of A and B, on the chosen terms,")
    return best_factor(h[:, None], left=G)[:, 0] / (c * r)[0]

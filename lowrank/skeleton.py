r"""CUR, the skeleton decomposition.

Which columns $C=A_{:,J}$, which rows $R=A_{I,:}$ and which small core $U$ make $\lVert
A-CUR\rVert_F$ small, and how is the product to be evaluated so that the digits survive?

Generated from book/low_rank/skeleton.ipynb; edit the chapter.
"""

import math
from collections import namedtuple
from functools import cache, cached_property

import numpy as np
from scipy import linalg

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    check_indices,
    check_rank,
    gaussian_matrix,
    rank_or_tol,
)
from lowrank.arrays import (
    adjoint,
    as_matrix,
    double_norm,
    exponent_of,
    peak_of,
    round_off,
    safe_norms,
    shifted,
    squared_norms,
)
from lowrank.error_estimates import ErrorEstimate, bound_over_estimate
from lowrank.interpolative import (
    ChosenColumns,
    check_f,
    choose_on_sketch,
    filled,
    pivot,
    swap,
    with_identity,
)
from lowrank.linear_map import DenseMap, Factored, LinearMap, linear_map
from lowrank.pseudo_inverse import orthogonal_parts, unscale_inverse
from lowrank.sketching import randomized_svd

__all__ = ["MaxVolume", "maxvol", "CUR", "cur", "aca"]


# %% book/low_rank/skeleton.ipynb: _draw
def _draw(weights, count, rng):
    """`count` different indices, each next one with probability in proportion to its weight."""
    with np.errstate(divide="ignore"):
        return np.argsort(rng.exponential(size=len(weights)) / weights, kind="stable")[:count]


def _scores(M, rule, count, s, V):
    """Leverage, ridge-leverage or squared norm of every column; s and V are leading ones."""
    if rule == "leverage":
        kept = s > round_off(M.shape, np.finfo(s.dtype).eps) * s[0]
        return np.sum(np.abs(V[:, kept])**2, axis=1)
    squares = M.column_norms().astype(np.float64)**2
    if rule == "norm":
        return squares
    leading, s2 = np.abs(V)**2, shifted(s, -(M.exponent or 0)).astype(np.float64)**2
    total = squares.sum()
    ridge = max(total - s2.sum(), np.finfo(s.dtype).eps * total) / count or 1.0
    beyond = np.maximum(squares - leading @ s2, 0)          # s^2 / (s^2 + ridge) <= s^2 / ridge
    return leading @ (s2 / (s2 + ridge)) + beyond / ridge


# %% book/low_rank/skeleton.ipynb: MaxVolume
class MaxVolume(namedtuple("MaxVolume", "rows B")):
    """What `maxvol` found: the chosen rows, and B with C = B C[rows]."""

    __slots__ = ()


def _independent_basis(C):
    """An orthonormal basis of the range of C; a ValueError where its columns are dependent."""
    C = shifted(C, -exponent_of(peak_of(C.T[:, None])).ravel())      # whose norms are in range
    C = shifted(C, -exponent_of(safe_norms(C, 0)))
    Q, T = linalg.qr(C, mode="economic", check_finite=False)
    heights = np.abs(np.diagonal(T))
    dependent = np.flatnonzero(heights <= round_off(C.shape, np.finfo(C.dtype).eps))
    if dependent.size:
        raise ValueError(f"column {dependent[0]} of C depends on those before it, to "
                         "round-off; allowed are independent columns: see interp_decomp")
    return Q


# %% book/low_rank/skeleton.ipynb: _exchange
def _exchange(Z, rows, tol, seen):
    """Up to r exchanges, Z = B^T in place, while one gains more than tol; their number."""
    update, = linalg.get_blas_funcs(("geru" if Z.dtype.kind == "c" else "ger",), (Z,))
    for steps in range(len(rows)):
        k, i = np.unravel_index(np.abs(Z).argmax(), Z.shape)
        growth, now = Z[k, i], frozenset(rows)
        if np.abs(growth) <= tol or now in seen:         # seen: equal volumes, up to rounding
            return steps
        seen.add(now)
        change = Z[:, i].copy()
        change[k] -= 1
        update(-1 / growth, Z[k].copy(), change, a=Z.T, overwrite_a=True)
        rows[k] = int(i)
    return len(rows)


# %% book/low_rank/skeleton.ipynb: maxvol
@np.errstate(all="ignore")
def maxvol(C, *, tol=1.05):
    r"""Rows with C = B C[rows] and max abs(B) <= tol: a block of nearly largest volume.

    Parameters
    ----------
    C : array, shape (m, r), m >= r
        A matrix with independent columns.
    tol : float > 1, default 1.05
        Exchanges go on while one multiplies abs(det(C[rows])) by more than this. ``inf``
        is the start alone: the pivots of LU with partial pivoting, known as DEIM.

    Returns
    -------
    MaxVolume
        Named tuple of ``rows``, an integer array of shape (r,), and ``B`` of shape (m, r).
        B[rows] is the identity exactly, and no abs(B) exceeds tol. Multiplying C from
        the right by an upper triangular matrix with a real diagonal, say by units of its
        columns, changes neither (to round-off); other bases of the range may start elsewhere.

    Raises
    ------
    ValueError
        Fewer rows than columns, columns that are dependent to round-off, tol not above 1,
        NaN or Inf.
    TypeError
        A dtype without meaning, a sparse matrix, tol not a number.

    See Also
    --------
    interp_decomp : The same for the columns of any matrix, of any rank.

    Notes
    -----
    O(m r) operations for each exchange, of which there are at most
    ``log(1 / abs(det(Q[rows]))) / log(tol)`` from the start, with Q an orthonormal basis; and
    O(m r^2) for the start and after every r exchanges. No single exchange improves the
    volume by more than tol; exchanges of two rows might: the largest volume is hard to find.
    Derived in :ref:`skeleton-maxvol`: :prf:ref:`maxvol-growth`, :prf:ref:`maxvol-ends`.
    After Goreinov, Oseledets, Savostyanov, Tyrtyshnikov and Zamarashkin (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import maxvol
    >>> C = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 4.0], [1.0, 8.0]])
    >>> rows, B = maxvol(C)
    >>> sorted(rows.tolist())                       # a line is best measured at its ends
    [0, 3]
    >>> bool(np.allclose(B @ C[rows], C)), bool(np.abs(B).max() <= 1.05)
    (True, True)
    """
    C = as_matrix(C, "C")
    m, r = C.shape
    if m < r:
        raise ValueError(f"C has shape {C.shape}; allowed are at least as many rows as columns")
    tol = check_f(tol, C.dtype, "tol")
    Q = _independent_basis(C)
    rows = np.argsort(linalg.lu(Q, p_indices=True, check_finite=False)[0])[:r].tolist()
    seen, steps = set(), 1
    while steps:
        Z = np.ascontiguousarray(linalg.solve(Q[rows].T, Q.T, check_finite=False))
        steps = _exchange(Z, rows, tol, seen)
    rows = np.array(rows)
    return MaxVolume(rows, with_identity(Z, rows, tol).T)


# %% book/low_rank/skeleton.ipynb: _Chosen
class _Chosen:
    """The columns J of M, read, and C = 2**e Q diag(s) Vh."""

    def __init__(self, M, J):
        self.M, self.J, self.C = M, J, M.columns(J)

    @cached_property
    def parts(self):
        return orthogonal_parts(self.C, self.M.name, None)


def _pivots(chosen, count, f):
    """Columns of a sketch or a basis by pivoted QR and swaps."""
    pivot(chosen, count)
    swap(chosen, f)
    return chosen.J


def _rows_of_basis(Q, rule, f):
    """As many rows of the orthonormal Q as it has columns."""
    count = Q.shape[1]
    if not count:
        return []
    if rule != "id":
        return maxvol(Q, tol=math.inf if rule == "deim" else f).rows
    B = DenseMap(adjoint(Q), "the basis", 0)
    return _pivots(ChosenColumns(B, count, squared_norms(Q, 1)[:, 0]), count, f)


# %% book/low_rank/skeleton.ipynb: _choose
_OVERSAMPLE = 3


def _choose(M, count, rule, f, rng, svd, other):
    """`count` columns of M by one rule: for the other side, where that has been chosen."""
    if rule == "norm":
        J = _draw(_scores(M, rule, count, None, None), count, rng)
    elif rule in ("leverage", "ridge"):
        J = _draw(_scores(M, rule, count, *svd()), count, rng)
    elif other is not None and len(other.J) >= count:
        J = _rows_of_basis(other.parts[0][:, :count], rule, f)
    elif rule == "id":
        width = min(count + _OVERSAMPLE, *M.shape)
        J = _pivots(choose_on_sketch(M, width, rng), count, f)
    else:
        J = _rows_of_basis(svd()[1], rule, f)
    return _Chosen(M, filled(J, count, M.shape[1]))


# %% book/low_rank/skeleton.ipynb: _best_core
_PROBES = 10


def _best_core(C, R, rng):
    """C U and U for the best core, and the error: one pass."""
    M = C.M
    (Q, s, Vh, e), (P, t, Wh, f) = C.parts, R.parts         # R.C is the adjoint of the rows
    G = gaussian_matrix(rng, (M.shape[0], _PROBES), M.dtype)
    Y = adjoint(M.adjoint_apply(np.hstack([Q, G])))
    X = shifted((Y[:len(s)] @ P / t) @ Wh, -f)              # Q^H A R^+
    CU = Q @ X
    D = Y[len(s):] - (adjoint(G) @ CU) @ adjoint(R.C)
    estimate = double_norm(D) / _PROBES**0.5
    bound = estimate * bound_over_estimate(_PROBES, M.dtype, 0.001)
    error = ErrorEstimate(*(float(M.unscale(np.float64(x))) for x in (estimate, bound)), 0.999)
    return CU, unscale_inverse(adjoint(Vh) @ (X / s[:, None]), e + (M.exponent or 0)), error


def _cross_core(C, W, unit):
    """C W^+ and W^+ for the block W that columns C and rows share; `unit` is their exponent."""
    Q, s, Vh, e = orthogonal_parts(W, "A", None)
    CU = shifted((C @ adjoint(Vh) / s) @ adjoint(Q), -e)
    return CU, unscale_inverse((adjoint(Vh) / s) @ adjoint(Q), e + unit)


# %% book/low_rank/skeleton.ipynb: CUR
class CUR(Factored):
    """The product A[:, columns] @ U @ A[rows]. Unpacks as ``columns, U, rows``.

    Attributes
    ----------
    columns, rows : int arrays, shapes (c,) and (r,)
        Indices of the chosen columns and rows, in order of choice.
    U : array, shape (c, r)
        The core, for reading. Multiplying C @ U @ R loses digits; use the result itself.
    C, R : arrays, shapes (m, c) and (r, n)
        The chosen columns and rows.
    CU : array, shape (m, r)
        C @ U, computed without U: the approximation is CU @ R.
    error : ErrorEstimate or None
        Of norm(A - CU @ R, "fro"), where it came for nothing.
    """

    _measured = ("error",)

    def __init__(self, columns, U, rows, *, C, R, CU=None, error=None):
        CU = C @ U if CU is None else CU
        vars(self).update(columns=columns, U=U, rows=rows, C=C, R=R, CU=CU, error=error)

    def _replace(self, **changes):
        """As for every result; another C or U has another product C U."""
        parts = {"C", "U"} & changes.keys()
        if not all(np.array_equal(changes[name], getattr(self, name)) for name in parts):
            changes = {"CU": None, **changes}
        return super()._replace(**changes)

    @property
    def factors(self):
        """C U and R."""
        return self.CU, self.R

    @property
    def rank(self):
        """The smaller of the numbers of columns and rows."""
        return min(self.U.shape)


# %% book/low_rank/skeleton.ipynb: cur
_CORES = "optimal", "cross"
_RULES = "id", "deim", "maxvol", "leverage", "ridge", "norm"


@np.errstate(all="ignore")
def cur(A, rank=None, *, rows=None, columns=None, core="optimal", select="id", f=2.0, rng=None):
    r"""Columns, rows and a core with A ~ A[:, columns] @ U @ A[rows]: skeleton decomposition.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    rank : int, 1 <= rank <= min(m, n)
        How many columns and rows to choose. Needed unless both are given.
    rows, columns : array_like of int, optional
        Given ones, each once, in any number; they are not chosen then.
    core : {"optimal", "cross"}, default "optimal"
        "optimal" is U = C^+ A R^+, the best for these columns and rows. "cross" is
        U = A[rows][:, columns]^+, for which nothing of A is read but C and R.
    select : {"id", "deim", "maxvol", "leverage", "ridge", "norm"}, default "id"
        How to choose. "id": interpolative decomposition of a sketch; "deim", "maxvol": from
        singular vectors, by LU or by largest volume. These choose columns for A and rows
        for the columns (columns for the rows, if rows are given). The others draw
        at random, each side for itself, in proportion to leverage scores, ridge-leverage
        scores or squared norms.
    f : float > 1, default 2
        Bound for the coefficients in "id" and "maxvol", as in `interp_decomp` and `maxvol`.
    rng : None, int or numpy.random.Generator
        Source of the sketch, the draws and the probes.

    Returns
    -------
    CUR
        Unpacks as ``columns, U, rows``; multiplies as the product. Attributes: ``C``, ``R``;
        ``CU``, which is C @ U without the loss of digits of that product; and ``error``,
        an `ErrorEstimate` of norm(A - C U R, "fro"), None for "cross".

    Raises
    ------
    ValueError
        A rank or an option out of range; rows or columns repeated or out of range; NaN
        or Inf; A so small that U overflows.
    TypeError
        A dtype without meaning, indices that are no integers, a LinearOperator without
        adjoint, an option of the wrong type.

    See Also
    --------
    aca : Reads a few rows and columns and nothing else.
    interp_decomp : Columns only, with bounds for the error.

    Notes
    -----
    Passes over A: two for the sketch, one each to read columns and rows (for an array hardly
    that), one with rank + 10 vectors for the best core: 5 for "id", one more than
    `interp_decomp` takes, and 3 if columns and rows are given. "deim", "maxvol" and
    "leverage" take 9, "norm" 5, "ridge" 11; "cross" takes one less. O((m + n) rank) numbers
    of memory.

    If rank exceeds the numerical rank, "id" adds the first columns and rows not chosen; cores
    are pseudo-inverses with the cut-off of `pinv`, and do not mind. ``error`` comes from 10
    fresh probes, and its bound fails with probability 0.001. If the rows are not given, "id"
    and "maxvol" keep the Frobenius error of either core below
    sqrt(1 + f^2 rank (m - rank)) times that of the columns alone.
    Derived in :ref:`skeleton-price` and :ref:`skeleton-stable`: :prf:ref:`two-sided`,
    :prf:ref:`two-cores`, :prf:ref:`any-choice`. After Goreinov, Tyrtyshnikov and
    Zamarashkin (1997), Mahoney and Drineas (2009), Sorensen and Embree (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import cur
    >>> A = np.add.outer(np.arange(6.0), np.arange(5.0))        # rank 2
    >>> columns, U, rows = cur(A, 2, rng=0)
    >>> bool(np.allclose(A[:, columns] @ U @ A[rows], A))
    True
    >>> cur(A, 2, rng=0) @ np.ones(5)                           # never forms C U R
    array([10., 15., 20., 25., 30., 35.])
    """
    M = linear_map(A)
    if rank is not None or rows is None or columns is None:
        rank = check_rank(rank, M.shape)
    check_choice(core, "core", _CORES)
    check_choice(select, "select", _RULES)
    f, rng = check_f(f, M.dtype), as_generator(rng)
    C = R = None
    if columns is not None:
        C = _Chosen(M, check_indices(columns, M.shape[1], "columns"))
    if rows is not None:
        R = _Chosen(M.adjoint, check_indices(rows, M.shape[0], "rows"))
    svd = cache(lambda: randomized_svd(M, rank, rng=rng))
    how = rank, select, f, rng
    C = C or _choose(M, *how, lambda: (svd().s, adjoint(svd().Vh)), R)
    R = R or _choose(M.adjoint, *how, lambda: (svd().s, svd().U), C)
    if core == "optimal":
        CU, U, error = _best_core(C, R, rng)
    else:
        CU, U = _cross_core(C.C, C.C[R.J], M.exponent or 0)
        error = None
    return CUR(C.J, U, R.J, C=M.unscale(C.C), CU=CU, R=M.unscale(adjoint(R.C)), error=error)


# %% book/low_rank/skeleton.ipynb: _Functions
class _Functions(LinearMap):
    """A matrix known by functions that read rows A[I] and columns A[:, J]."""

    def __init__(self, functions, shape, name="A"):
        self.functions, self.name, self.exponent = functions, name, None
        if shape is None or len(shape) != 2:
            raise ValueError(f"shape is {shape!r}; allowed with functions for {name} is (m, n)")
        self.shape = tuple(check_count(size, "shape", 1) for size in shape)

    def _rows(self, I):
        return self._read(0, I, (len(I), self.shape[1]))

    def _columns(self, J):
        return self._read(1, J, (self.shape[0], len(J)))

    def _read(self, which, indices, shape):
        X = as_matrix(self.functions[which](indices), self.name, finite=False)
        if X.shape != shape:
            lines = ("rows", "columns")[which]
            raise ValueError(f"the {lines} of {self.name} that were read have shape {X.shape}; "
                             f"allowed is {shape}")
        return X


def _readable(A, shape):
    """The linear map of a matrix or of a pair of functions."""
    if isinstance(A, tuple | list) and len(A) == 2 and all(map(callable, A)):
        return _Functions(A, shape)
    M = linear_map(A, sweep=False)
    if shape is not None and tuple(shape) != M.shape:
        raise ValueError(f"shape is {shape}; allowed is that of A, {M.shape}")
    return M


# %% book/low_rank/skeleton.ipynb: _Elimination
class _Elimination:
    """A ~ L V by elimination with rows I and columns J, of which L and V are the residuals."""

    def __init__(self, M):
        self.M, self.I, self.J, self.R, self.C = M, [], [], [], []
        self.norm2 = self.largest = 0.0         # |L V|_F^2, largest entry read or of a term

    def rows(self, I):
        """Rows I of A, and of A - L V."""
        R = self.M.rows(np.array(I))
        if not self.I:                                      # now the dtype is known
            (m, n), self.eps = self.M.shape, float(np.finfo(R.dtype).eps)
            self.L, self.V = np.empty((m, 0), R.dtype), np.empty((0, n), R.dtype)
        self.largest = max(self.largest, np.abs(R).max().item())
        E = R - self.L[I] @ self.V
        E[:, self.J] = 0
        return R, E

    @property
    def noise(self):
        """What a residual may be by rounding alone."""
        return round_off(self.M.shape, self.eps) * self.largest

    def keep(self, i, j, row, column):
        """Row i and column j of A, as they were read."""
        self.I.append(i)
        self.J.append(j)
        self.R.append(row)
        self.C.append(column)


# %% book/low_rank/skeleton.ipynb: _eliminate
def _eliminate(found, i):
    """Eliminate with row i; False where only round-off is left in it."""
    (row,), (v,) = found.rows([i])
    j = int(np.abs(v).argmax())
    if np.abs(v[j]) <= found.noise:
        return False
    column = found.M.columns(np.array([j]))[:, 0]
    w = (column - found.L @ found.V[:, j]) / v[j]
    w[found.I], w[i] = 0, 1
    found.last = double_norm(w[:, None]) * double_norm(v[:, None])
    found.largest = max(found.largest, (np.abs(w).max() * np.abs(v[j])).item())
    overlap = np.sum((adjoint(found.L) @ w) * (found.V.conj() @ v)).real
    found.norm2 = max(found.norm2 + 2 * float(overlap) + found.last**2, 0.0)
    found.L, found.V = np.column_stack([found.L, w]), np.vstack([found.V, v])
    found.keep(int(i), j, row, column)
    size = np.abs(w)
    size[found.I] = 0
    found.next = int(size.argmax())
    return True


def _follow(found, i, limit, tol):
    """Go on from row i until the last term is small."""
    while len(found.I) < limit and _eliminate(found, i) and (
            found.last > tol * math.sqrt(found.norm2)):
        i = found.next


# %% book/low_rank/skeleton.ipynb: _probe
def _probe(found, count, rng):
    """Rows that the pivots did not choose, what is left in them, and norm(A - L V) from these."""
    others = np.setdiff1d(np.arange(found.M.shape[0]), found.I)
    if not others.size:
        return others, None, 0.0
    I = rng.choice(others, min(count, others.size), replace=False)
    E = found.rows(I)[1]
    return I, E, double_norm(E) * math.sqrt(others.size / len(I))


# %% book/low_rank/skeleton.ipynb: aca
@np.errstate(all="ignore")
def aca(A, rank=None, *, tol=None, shape=None, n_probe=10, rng=None):
    r"""A ~ C A[rows][:, columns]^-1 R from few entries: adaptive cross approximation.

    Parameters
    ----------
    A : array, memory map, sparse matrix, LinearOperator or pair of functions, shape (m, n)
        The matrix, or ``(rows, columns)``: ``rows(I)`` returns A[I] and ``columns(J)`` returns
        A[:, J] for integer arrays.
    rank : int, 1 <= rank <= min(m, n), optional
        Number of rows and columns; or
    tol : float, 0 <= tol < 1, optional
        relative error in the Frobenius norm, as far as it can be seen from what is read.
        Exactly one of `rank` and `tol` must be given.
    shape : (int, int), optional
        (m, n), needed for a pair of functions.
    n_probe : int >= 1, default 10
        Random rows that are read at the start, and whenever the pivots have come to an end.
    rng : None, int or numpy.random.Generator
        Source of these rows.

    Returns
    -------
    CUR
        As from ``cur(A, rows=rows, columns=columns, core="cross")``, with pivots in order
        of choice. It has fewer than `rank` columns if nothing but round-off was left
        in the rows that were read. ``error`` holds an estimate of norm(A - C U R, "fro") from
        the last random rows. For a given rank its square is unbiased; for a tolerance it is
        what made `aca` stop. Entries alone give no bound, so that ``error.bound`` is inf.

    Raises
    ------
    ValueError
        Both or none of `rank` and `tol`, an option out of range, functions that return the
        wrong shape, or NaN or Inf in what is read.
    TypeError
        A dtype without meaning, an option of the wrong type.

    See Also
    --------
    cur : Better columns and rows, and the best core, for a matrix that can be read.

    Notes
    -----
    Reads (m + n) rank entries, and n_probe n for every look at random rows: one at the start,
    one at the end, and one wherever elimination had to start again.
    O((m + n) rank^2) operations. Elimination stops where its last term is at most tol
    times the approximation; this may be far too early, and random rows are asked for that
    reason. Rows that differ from all others may still be missed, and nothing
    that does not read all of A can find them: see :ref:`skeleton-breaks`.
    Derived in :ref:`skeleton-aca`: :prf:ref:`aca-is-elimination`. After Bebendorf (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import aca
    >>> x, y = np.linspace(0, 1, 400), np.linspace(2, 3, 300)
    >>> entries = lambda x, y: 1 / np.abs(x[:, None] - y)
    >>> result = aca((lambda I: entries(x[I], y), lambda J: entries(x, y[J])),
    ...              tol=1e-10, shape=(400, 300), rng=0)
    >>> bool(np.linalg.norm(entries(x, y) - result.reconstruct()) < 1e-9), result.rank < 12
    (True, True)
    """
    M = _readable(A, shape)
    rank, tol = rank_or_tol(rank, tol, M.shape)
    n_probe, rng = check_count(n_probe, "n_probe", 1), as_generator(rng)
    limit, tol, found = rank or min(M.shape), tol or 0.0, _Elimination(M)
    while True:
        I, E, error = _probe(found, n_probe, rng)
        enough = error <= tol * math.sqrt(found.norm2) or np.abs(E).max() <= found.noise
        if enough or len(found.I) == limit:
            break
        _follow(found, I[np.abs(E).max(axis=1).argmax()], limit, tol)
    if not found.I:                                     # all that was read is zero
        zero = np.array([0])
        found.keep(0, 0, M.rows(zero)[0], M.columns(zero)[:, 0])
    C, R, I = np.stack(found.C, axis=1), np.stack(found.R), np.array(found.I)
    CU, U = _cross_core(C, C[I], M.exponent or 0)
    error = ErrorEstimate(float(M.unscale(np.float64(error))), math.inf, 1.0)
    return CUR(np.array(found.J), U, I, C=M.unscale(C), CU=CU, R=M.unscale(R), error=error)

r"""Interpolative decomposition.

Which $r$ columns of $A$ represent all the others, $A\approx A_{:,J}\,Z$, with coefficients
$|Z_{ij}|\le f$ of moderate size?

Generated from book/low_rank/interpolative.ipynb; edit the chapter.
"""

import math

import numpy as np
from scipy import linalg

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_number,
    gaussian_matrix,
    rank_or_tol,
)
from lowrank.arrays import adjoint, double_norm, round_off, squared_norms
from lowrank.error_estimates import ErrorEstimate, bound_over_estimate
from lowrank.linear_map import DenseMap, Factored, linear_map
from lowrank.sketching import orthonormal_basis, sketch_range

__all__ = ["InterpolativeDecomposition", "interp_decomp"]


# %% book/low_rank/interpolative.ipynb: ChosenColumns
class ChosenColumns:
    """Columns J of A in a QR factorisation A[:, J] = Q T: the rows of Q^H and of B = Q^H A.

    T = B[:, J] is upper triangular; `left` holds the squared distances of columns from range(Q).
    """

    def __init__(self, A, capacity=16, squares=None):
        eps = float(np.finfo(A.dtype).eps)
        self.A, self.J, self.accuracy = A, [], 2 * eps**(1 / 3)             # of `left`
        self.Qh = np.empty((capacity, A.shape[0]), A.dtype)
        self.B = np.empty((capacity, A.shape[1]), A.dtype)
        if squares is None:
            squares = A.column_norms().astype(np.float64)**2
        self.squares = self.left = squares
        self.known = self.left                              # what `left` was when last measured
        self.floor = round_off(A.shape, eps)**2 * self.left.max()   # below it: round-off


# %% book/low_rank/interpolative.ipynb: _add
def _add(chosen, j):
    """Take column j: one pass, for the row q^H A."""
    k, A = len(chosen.J), chosen.A
    if k == len(chosen.B):                                  # make room for as many again
        chosen.Qh, chosen.B = (np.vstack([X, np.empty_like(X)]) for X in (chosen.Qh, chosen.B))
    Qh, q = chosen.Qh[:k], A.columns([j])[:, 0]
    for _ in range(2):
        q = q - ((Qh @ q).conj() @ Qh).conj()
    q = q / q.dtype.type(double_norm(q[:, None]))
    b = A.adjoint_apply(q[:, None])[:, 0].conj()
    b[chosen.J] = 0
    chosen.Qh[k], chosen.B[k] = q.conj(), b
    chosen.J.append(int(j))
    _set_left(chosen, chosen.left - np.abs(b)**2)


# %% book/low_rank/interpolative.ipynb: _set_left
def _set_left(chosen, left):
    """Set `left`, and measure again what cancellation has spoilt."""
    A, k, step = chosen.A, len(chosen.J), max(1, 2**21 // chosen.A.shape[0])
    left = np.maximum(left, 0)
    known = np.maximum(chosen.known, left)
    left[chosen.J] = known[chosen.J] = 0
    noise = np.finfo(A.dtype).eps * np.sqrt(known * chosen.squares)
    spoilt = np.flatnonzero((chosen.accuracy * left < 2 * noise) & (known > chosen.floor))
    for J in np.split(spoilt, range(step, len(spoilt), step)):
        E = A.columns(J) - adjoint(adjoint(chosen.B[:k, J]) @ chosen.Qh[:k])
        left[J] = squared_norms(E, 0)[0]
    known[spoilt] = left[spoilt]
    chosen.left, chosen.known = left, known


# %% book/low_rank/interpolative.ipynb: _wants
def _wants(chosen, rank, goal=-1.0):
    """Is there less than asked for, and more than round-off to be had?"""
    left = chosen.left
    return len(chosen.J) < rank and left.sum() > goal and left.max() > chosen.floor


def _grow(chosen, rank, goal=-1.0):
    """Take the farthest columns until there are `rank`, or the squared error is `goal`."""
    while _wants(chosen, rank, goal):
        _add(chosen, np.argmax(chosen.left))


# %% book/low_rank/interpolative.ipynb: _take
def _take(chosen, J):
    """Take the columns J in place of all others: two passes."""
    chosen.J = list(J)
    Q, T = linalg.qr(chosen.A.columns(chosen.J), mode="economic", check_finite=False)
    chosen.Qh, chosen.B = adjoint(Q), adjoint(chosen.A.adjoint_apply(Q))
    chosen.B[:, chosen.J] = T
    chosen.known = chosen.squares
    _set_left(chosen, chosen.squares - squared_norms(chosen.B, 0)[0])


# %% book/low_rank/interpolative.ipynb: _drop
def _drop(chosen, i):
    """Give back the i-th chosen column."""
    J, B, Qh = chosen.J, chosen.B, chosen.Qh
    J.append(J.pop(i))
    for k in range(i, len(J) - 1):
        x, y = B[k:k + 2, J[k]]
        G = np.array([[x.conj(), y.conj()], [-y, x]]) / np.hypot(np.abs(x), np.abs(y))
        B[k:k + 2], Qh[k:k + 2] = G @ B[k:k + 2], G @ Qh[k:k + 2]
        B[k + 1, J[k]] = 0
    J.pop()
    _set_left(chosen, chosen.left + np.abs(B[len(J)])**2)


# %% book/low_rank/interpolative.ipynb: _coefficients
def _coefficients(chosen):
    """Z, and the squares of rho_ij: by what swaps multiply the volume (0 for chosen columns)."""
    J, k = chosen.J, len(chosen.J)
    T = chosen.B[:k, J]
    Z = linalg.solve_triangular(T, chosen.B[:k], check_finite=False)
    T_inv = linalg.solve_triangular(T, np.eye(k, dtype=T.dtype), check_finite=False)
    gamma2 = np.where(chosen.left > chosen.floor, chosen.left, 0)
    rho2 = np.abs(Z)**2 + np.outer(np.sum(np.abs(T_inv)**2, axis=1), gamma2)
    rho2[:, J] = 0
    return Z, rho2


# %% book/low_rank/interpolative.ipynb: swap
def swap(chosen, f):
    """Swap columns while that makes the volume grow by more than f; Z and rho^2 at the end."""
    seen = set()
    while chosen.J:
        Z, rho2 = _coefficients(chosen)
        i, j = np.unravel_index(np.argmax(rho2), rho2.shape)
        now = frozenset(chosen.J)
        if rho2[i, j].item() <= f * f or now in seen:
            return Z, rho2
        seen.add(now)
        _drop(chosen, i)
        _add(chosen, j)
    return np.zeros((0, chosen.A.shape[1]), chosen.A.dtype), np.zeros((0, 0))


# %% book/low_rank/interpolative.ipynb: filled
def filled(J, rank, n):
    """J, and the first other columns until there are `rank`."""
    spare = np.setdiff1d(np.arange(n), J)[:rank - len(J)] if len(J) < rank else []
    return np.concatenate([J, spare]).astype(int)


def with_identity(Z, J, f):
    """Z for the columns J: identity entries written, no entry above f by a rounding error."""
    full = np.zeros((len(J), Z.shape[1]), Z.dtype)
    full[:len(Z)] = Z
    full[:, J] = np.eye(len(J))
    size = np.abs(full)
    above = size > f
    full[above] *= f / size[above] * (1 - 4 * np.finfo(Z.dtype).eps)
    return full


# %% book/low_rank/interpolative.ipynb: InterpolativeDecomposition
class InterpolativeDecomposition(Factored):
    """The product A[:, columns] @ Z. Unpacks as ``columns, Z``.

    Attributes
    ----------
    columns : int array, shape (rank,)
        Indices of the chosen columns, in order of choice.
    Z : array, shape (rank, n)
        Coefficients; Z[:, columns] is the identity.
    C : array, shape (m, rank)
        The chosen columns A[:, columns].
    error : ErrorEstimate
        Estimate and bound of norm(A - C @ Z, "fro"), of confidence 1 where it was measured.
    suboptimality : float or None
        A number eta with norm(A - C @ Z, 2) <= eta * sigma_(rank + 1), where one is known.
    """

    _measured = ("error", "suboptimality")

    def __init__(self, columns, Z, *, C, error=None, suboptimality=None):
        vars(self).update(columns=columns, Z=Z, C=C, error=error, suboptimality=suboptimality)

    @property
    def factors(self):
        """C and Z."""
        return self.C, self.Z


# %% book/low_rank/interpolative.ipynb: _goal
def _goal(chosen, tol):
    """The largest sum of `left` that certainly is an error of tol."""
    return tol**2 * chosen.squares.sum() * (1 - chosen.accuracy)


def _by_qr(M, rank, tol, f):
    """Columns chosen on A itself, by pivoting and swaps."""
    chosen = ChosenColumns(M, rank or 16)
    limit, goal = (rank, -1.0) if tol is None else (min(M.shape), _goal(chosen, tol))
    while True:
        _grow(chosen, limit, goal)
        Z, rho2 = swap(chosen, f)
        if not _wants(chosen, limit, goal):
            break
    J = filled(chosen.J, rank or 1, M.shape[1])
    complete = len(J) == len(chosen.J)
    return (J, M.columns(J), with_identity(Z, J, f), math.sqrt(np.delete(chosen.left, J).sum()),
            math.sqrt(1 + np.sum(rho2, dtype=np.float64)) if complete else None)


# %% book/low_rank/interpolative.ipynb: choose_on_sketch
def choose_on_sketch(M, width, rng):
    """An empty choice of columns of B = Q^H A, which has `width` rows."""
    Q = orthonormal_basis(sketch_range(M, width, 0, rng))
    B = adjoint(M.adjoint_apply(Q))
    return ChosenColumns(DenseMap(B, "the sketch", 0), width, squared_norms(B, 0)[0])


def pivot(chosen, rank, goal=-1.0):
    """Take the farthest columns of a small array, as `_grow` would."""
    Q, R, P = linalg.qr(chosen.A.A, mode="economic", pivoting=True, check_finite=False)
    squares = np.abs(R).astype(np.float64)**2
    tails = np.append(np.cumsum(squares.sum(axis=1)[::-1])[::-1], 0)
    k = min(rank, np.count_nonzero(np.diagonal(squares) > chosen.floor),
            np.count_nonzero(tails > goal))
    chosen.J, chosen.Qh, chosen.B = P[:k].tolist(), adjoint(Q), np.empty_like(R)
    chosen.B[:, P] = R
    chosen.left = squared_norms(chosen.B[k:], 0)[0]


# %% book/low_rank/interpolative.ipynb: _fitted
_OVERSAMPLE = _PROBES = 10


def _fitted(T, B, Z, f):
    """Least squares T^-1 B, or the column of Z where that has an entry above f."""
    fit = linalg.solve_triangular(T, B, check_finite=False) if len(T) else Z
    return np.where(np.abs(fit).max(axis=0, initial=0) <= f, fit, Z)


def _by_sketch(M, rank, f, rng):
    """Columns chosen on a sketch, Z by least squares on A, the error from fresh probes."""
    chosen = choose_on_sketch(M, min(rank + _OVERSAMPLE, *M.shape), rng)
    pivot(chosen, rank)
    Z, k = swap(chosen, f)[0], len(chosen.J)
    J = filled(chosen.J, rank, M.shape[1])
    C = M.columns(J)
    Q, T = linalg.qr(C[:, :k], mode="economic", check_finite=False)
    G = gaussian_matrix(rng, (M.shape[0], _PROBES), M.dtype)
    B = adjoint(M.adjoint_apply(np.hstack([Q, G])))
    Z = with_identity(_fitted(T, B[:k], Z, f), J, f)
    D = B[k:] - (adjoint(G) @ C) @ Z
    return J, C, Z, double_norm(D) / _PROBES**0.5, None


# %% book/low_rank/interpolative.ipynb: _sketch_to_tol
def _sketch_to_tol(M, tol, f, rng):
    """The same for a tolerance; the error is measured."""
    true, width = ChosenColumns(M), 16
    target = _goal(true, tol)
    while True:
        width = min(2 * width, *M.shape)
        whole = width == min(M.shape)
        limit = width if whole else width - _OVERSAMPLE
        chosen, goal = choose_on_sketch(M, width, rng), target
        while whole or goal > 0:
            pivot(chosen, limit, goal)
            if len(chosen.J) == limit and chosen.left.sum() > goal and not whole:
                break                                       # the sketch is too narrow
            Z, _ = swap(chosen, f)
            _take(true, chosen.J)
            T = true.B[:, chosen.J]
            Z = _fitted(T, true.B, Z, f)
            error = math.hypot(math.sqrt(true.left.sum()), double_norm(T @ Z - true.B))
            if error**2 <= target or not _wants(chosen, limit):
                J = filled(chosen.J, 1, M.shape[1])
                return J, M.columns(J), with_identity(Z, J, f), error, None
            goal = min(goal - (error**2 - target), 0.9 * chosen.left.sum())


# %% book/low_rank/interpolative.ipynb: check_f
def check_f(f, dtype, name="f"):
    """The largest number of the real dtype that is not above f > 1."""
    value = check_number(f, name, "a number above 1", lambda value: value > 1)
    rounded = np.finfo(dtype).dtype.type(value)
    return float(rounded if rounded <= value else np.nextafter(rounded, rounded.dtype.type(0)))


# %% book/low_rank/interpolative.ipynb: interp_decomp
_SMALL = 2**22                                    # entries of a small matrix


@np.errstate(all="ignore")
def interp_decomp(A, rank=None, *, tol=None, f=2.0, method="auto", rng=None):
    r"""Columns and Z with A ~ A[:, columns] @ Z and max abs(Z) <= f: interpolative decomposition.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    rank : int, 1 <= rank <= min(m, n), optional
        Number of columns; or
    tol : float, 0 <= tol < 1, optional
        relative error, norm(A - A[:, columns] @ Z, "fro") <= tol * norm(A, "fro").
        Exactly one of `rank` and `tol` must be given.
    f : float > 1, default 2
        Bound for the entries of Z. Smaller values take more swaps; at 1, rounding
        errors would decide between equal volumes. ``inf`` is plain pivoting.
    method : {"auto", "qr", "sketch"}, default "auto"
        "qr" pivots on A itself, reads it once for every column, and bounds the error
        in terms of sigma_(rank + 1). "sketch" chooses on a random sketch. "auto"
        is "qr" for arrays and sparse matrices with m n <= 2**22, else "sketch".
    rng : None, int or numpy.random.Generator
        Source of the sketch and the probes; not used by "qr".

    Returns
    -------
    InterpolativeDecomposition
        Unpacks as ``columns, Z``: an integer array of shape (rank,) without
        repetition, in order of choice, and an array of shape (rank, n). Z[:, columns] is the
        identity exactly, and no abs(Z) exceeds f. Multiplies as the product.
        Attributes: ``C``, which is A[:, columns]; ``error``, an `ErrorEstimate` of
        norm(A - C @ Z, "fro"); ``suboptimality``, a number eta with
        norm(A - C @ Z, 2) <= eta * sigma_(rank + 1) and eta <= sqrt(1 + f^2 rank (n - rank)),
        for "qr", else None.

    Raises
    ------
    ValueError
        Both or none of `rank` and `tol`, one of them or `f` out of range, an unknown
        method, NaN or Inf.
    TypeError
        A dtype without meaning, a LinearOperator without adjoint, an option of the wrong type.

    See Also
    --------
    best_factor : The least-squares Z for columns of your own.

    Notes
    -----
    "sketch": 4 passes, 2 of them with rank + 10 vectors, one to read the columns and one with
    rank + 10; ``error`` comes from 10 fresh probes and its bound fails with probability 0.001.
    "qr": rank + 2 passes, rank of them with a single vector, one pass more for every swap, and
    one where heights have to be measured again (a LinearOperator takes n unit vectors for the
    column norms, and one for every column that is read); ``error`` is measured, confidence 1.
    "sketch" with `tol`: 4 passes for every width tried, a few more for corrections and one for
    the norms; ``error`` is measured. O((m + n) rank) numbers of memory.

    Z is the least-squares solution; for "sketch", columns of Z in which that has an
    entry above f come from the sketch. If `rank` exceeds the numerical rank (heights
    below 4 sqrt(min(m, n)) eps times the longest column), the surplus columns are the first ones
    not chosen, with identity entries only, and ``suboptimality`` is None. For rows,
    decompose A^H. Derived in :ref:`interpolative-swap` and :ref:`interpolative-sketch`:
    :prf:ref:`swap-growth`, :prf:ref:`strong-choice`, :prf:ref:`sketched-columns`.
    After Gu and Eisenstat (1996); Halko, Martinsson and Tropp (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import interp_decomp
    >>> A = np.outer([1.0, 2, 3], [1, -2, 0.5, 1]) + np.outer([0.0, 1, 1], [0, 0, 4, 0])
    >>> columns, Z = interp_decomp(A, 2)
    >>> sorted(columns.tolist())
    [1, 2]
    >>> bool(np.array_equal(Z[:, columns], np.eye(2)))
    True
    >>> bool(np.allclose(interp_decomp(A, tol=1e-10).reconstruct(), A))
    True
    """
    M = linear_map(A)
    rank, tol = rank_or_tol(rank, tol, M.shape)
    f, rng = check_f(f, M.dtype), as_generator(rng)
    check_choice(method, "method", ("auto", "qr", "sketch"))
    if method == "auto":
        in_memory = isinstance(getattr(M, "parent", M), DenseMap)
        method = "qr" if in_memory and math.prod(M.shape) <= _SMALL else "sketch"
    if method == "qr":
        found = _by_qr(M, rank, tol, f)
    elif tol is None:
        found = _by_sketch(M, rank, f, rng)
    else:
        found = _sketch_to_tol(M, tol, f, rng)
    J, C, Z, error, suboptimality = found
    factor, confidence = 1 + 2 * float(np.finfo(M.dtype).eps)**(1 / 3), 1.0
    if method == "sketch" and tol is None:
        confidence = 0.999
        factor = bound_over_estimate(_PROBES, M.dtype, 1 - confidence)
    error, bound = (float(M.unscale(np.float64(x))) for x in (error, factor * error))
    return InterpolativeDecomposition(J, Z, C=M.unscale(C), suboptimality=suboptimality,
                                      error=ErrorEstimate(error, bound, confidence))

r"""The singular value decomposition.

Among all matrices $B$ of rank at most $r$, which one makes $\lVert A-B\rVert$ smallest, how small
is that, and how is it computed when only $r$ of $\min(m,n)$ directions are wanted?

Generated from book/low_rank/svd.ipynb; edit the chapter.
"""

import numpy as np
from scipy import linalg

from lowrank.arguments import gaussian_matrix, rank_or_tol
from lowrank.arrays import as_matrix, exponent_of, peak_of, shifted, thin_svd
from lowrank.linear_map import Factored, linear_map

__all__ = ["TruncatedSVD", "truncated_svd"]


# %% book/low_rank/svd.ipynb: fix_signs
def fix_signs(U, Vh):
    """Turn each pair of singular vectors so that the largest entry of u is real and positive."""
    size = np.abs(U)
    tied = size >= size.max(-2, keepdims=True) * (1 - np.finfo(U.dtype).eps**0.5)
    pivot = np.take_along_axis(U, tied.argmax(-2)[..., None, :], -2)
    turn = pivot / np.abs(pivot)
    return U * turn.conj(), Vh * turn.swapaxes(-2, -1)


# %% book/low_rank/svd.ipynb: TruncatedSVD
class TruncatedSVD(Factored):
    """U diag(s) Vh, the leading terms of a singular value decomposition.

    Attributes
    ----------
    U : array, shape (..., m, r)
        Left singular vectors as columns. The largest entry of each is real and positive.
    s : array, shape (..., r)
        Singular values in decreasing order.
    Vh : array, shape (..., r, n)
        Conjugate transposes of the right singular vectors, as rows.
    """

    def __init__(self, U, s, Vh):
        vars(self).update(U=U, s=s, Vh=Vh)

    @property
    def factors(self):
        """U diag(s) and Vh."""
        return self.U * self.s[..., None, :], self.Vh


# %% book/low_rank/svd.ipynb: rank_for_tol
def rank_for_tol(s, tol):
    """Smallest r >= 1 with t_r <= tol t_0, for decreasing s of shape (..., n)."""
    squares = shifted(s, -exponent_of(peak_of(s[..., None, :])[..., 0]))**2
    tails = np.sqrt(np.cumsum(squares[..., ::-1], axis=-1)[..., ::-1])       # t_0 .. t_{n-1}
    return max(1, int(np.sum(tails > tol * tails[..., :1], axis=-1).max(initial=0)))


# %% book/low_rank/svd.ipynb: project
def project(Q, X):
    """Q^H X. (BLAS is faster with the thin matrix on the left.)"""
    return (X.conj().T @ Q).conj().T


def combine(Q, C):
    """Q C."""
    return (C.T @ Q.T).T


def _basis_of(W):
    """Orthonormal columns with the range of W; a single column has no need of LAPACK."""
    if W.shape[1] > 1 or not W.any():
        return linalg.qr(W, mode="economic", check_finite=False)[0]
    return W / np.linalg.norm(W)


def orthogonalise(W, Q):
    """X, C, R with W = Q C + X R: X is orthonormal, and orthogonal to the orthonormal Q."""
    C = project(Q, W)
    X = _basis_of(W - combine(Q, C))
    for _ in range(3):
        D = project(Q, X)
        X = X - combine(Q, D)
        if np.abs(D).max(initial=0)**2 <= np.finfo(W.dtype).eps:     # lengths are right to eps
            return X, C, project(X, W)
        X = _basis_of(X)
    X = _basis_of(np.hstack([Q, W]))[:, Q.shape[1]:]
    return X, C, project(X, W)


# %% book/low_rank/svd.ipynb: _Bidiagonal
class _Bidiagonal:
    """A V = U B and A^H U = V B^H + X R E^H, for a linear map A with m >= n.

    The first p columns of U and V are in use, the last block of U begins at `last`, and
    `columns` counts the columns that A was multiplied by.
    """

    def __init__(self, A, size, width):
        (m, n), dtype = A.shape, A.dtype
        self.A, self.width, self.rng = A, width, np.random.default_rng(0)
        self.U, self.V = np.zeros((m, size), dtype, "F"), np.zeros((n, size), dtype, "F")
        self.B = np.zeros((size, size), dtype)
        self.p = self.last = self.columns = 0
        self.X = self.fresh_block()

    def fresh_block(self):
        """Gaussian directions orthogonal to V."""
        G = gaussian_matrix(self.rng, (len(self.V), self.width), self.V.dtype)
        return orthogonalise(G, self.V[:, :self.p])[0]

    def step(self):
        """One more block in each basis: one product with A and one with A^H."""
        p, q = self.p, self.p + self.width
        U, C, R = orthogonalise(self.A.apply(self.X), self.U[:, :p])
        self.U[:, p:q], self.V[:, p:q] = U, self.X
        self.B[:p, p:q], self.B[p:q, p:q] = C, R
        self.p, self.last, self.columns = q, p, self.columns + self.width
        self.X, _, self.R = orthogonalise(self.A.adjoint_apply(U), self.V[:, :q])

    @property
    def full(self):
        """Whether there is no room for another block."""
        return self.p + self.width > len(self.B)


# %% book/low_rank/svd.ipynb: _GolubKahan
class _GolubKahan(_Bidiagonal):
    """The same with its approximate triples, and with restarts from some of them."""

    def triples(self):
        """P, s, Qh with A (V Q) = (U P) diag(s), and the residual of each."""
        P, s, Qh = thin_svd(self.B[:self.p, :self.p])
        return P, s, Qh, np.linalg.norm(self.R @ P[self.last:], axis=0)

    def restart(self, P, s, Qh, k):
        """Keep the first k triples, and X."""
        U = combine(self.U[:, :self.p], P[:, :k])
        V = combine(self.V[:, :self.p], Qh[:k].conj().T)
        self.keep(U, s[:k], V.conj().T)

    def keep(self, U, s, Vh):
        """Go on from these triples."""
        self.p, self.last = len(s), 0
        self.U[:, :self.p], self.V[:, :self.p] = U, Vh.conj().T
        self.B[:] = 0
        self.B[:self.p, :self.p] = np.diag(s)

    def look_again(self, P, s, Qh, k):
        """Keep the first k triples, and a fresh block that is orthogonal to all of V."""
        X = self.fresh_block()
        self.restart(P, s, Qh, k)
        self.X = X


# %% book/low_rank/svd.ipynb: _room
def _room(rank, n):
    """Columns of a block, and of the two bases, for so many triples."""
    width = 1 if rank < 24 else 4 if rank < 80 else 8
    return width, min(max(3 * rank, rank + 48), n - max(width, 4))


def _columns_ahead(before, p, residual, goal):
    """How many more columns until the residual is at its goal, going by the last two looks."""
    if before is None or not goal < residual < before[1]:
        return p / 5
    rate = np.log(before[1] / residual) / (p - before[0])           # they fall by a factor a step
    return min(0.9 * np.log(residual / goal) / rate, p / 2)


# %% book/low_rank/svd.ipynb: _lanczos
def _lanczos(A, rank, start=None, budget=np.inf):
    """The leading triples of a linear map with m >= n, or None beyond `budget` columns."""
    eps, (width, size) = np.finfo(A.dtype).eps, _room(rank, A.shape[1])
    K = _GolubKahan(A, size, width)
    if start is not None:
        K.keep(*start)
        K.X = K.fresh_block()
    due, before, seen = max(rank + width, 3 * rank // 2), None, None
    while True:
        while K.p < due and not K.full:
            K.step()
        P, s, Qh, residuals = K.triples()
        goal, residual = 8 * eps * s[0], residuals[:rank].max()
        if residual <= goal:
            if seen is None or np.abs(s[:rank] - seen).max() > 8 * goal:
                K.width, seen = max(width, 4), s[:rank]
                K.look_again(P, s, Qh, rank)
                due, before = rank + 2 * K.width, None
                continue
            if residuals[rank] <= max(goal, 0.5 * (s[rank - 1] - s[rank])):     # it has settled
                K.restart(P, s, Qh, rank)
                return TruncatedSVD(K.U[:, :rank], s[:rank], K.V[:, :rank].conj().T)
        if K.columns > budget:
            return None
        ahead = _columns_ahead(before, K.p, residual, goal)
        before = None if K.full else (K.p, residual)
        if K.full:
            K.restart(P, s, Qh, rank + (size - rank) // 2)
        due = K.p + max(ahead, 1)


# %% book/low_rank/svd.ipynb: _direct_is_better
def _direct_is_better(shape, rank):
    """Whether all triples at once, from an array, cost less than `rank` triples from products."""
    m, n = max(shape), min(shape)
    return rank > n / 6 or n <= 40 or n <= 200 and m * n <= 2**24


def _flipped(result):
    """The decomposition of the adjoint."""
    return TruncatedSVD(result.Vh.conj().T, result.s, result.U.conj().T)


def _leading(A, rank, start=None):
    """The leading triples of a linear map by iteration, or None where the direct way is better."""
    m, n = A.shape
    if _direct_is_better(A.shape, rank):
        return None
    if m < n:
        found = _leading(A.adjoint, rank, start and _flipped(start))
        return found and _flipped(found)
    found = _lanczos(A, rank, start, budget=n if m * n <= 2**26 else 1000 * n)
    if found is None and m * n > 2**26:
        raise np.linalg.LinAlgError(f"{A.name}: the {rank} largest singular values lie too close "
                                    "together to be found from products; try another rank")
    return found


# %% book/low_rank/svd.ipynb: _grown
def _grown(A, tol):
    """As many triples as an error of tol norm(A) takes, or None where the direct way is better."""
    if tol < 64 * np.finfo(A.dtype).eps**0.5 or _direct_is_better(A.shape, 1):
        return None
    total = np.sum(A.column_norms().astype(np.float64)**2)
    most = min(A.shape) // (10 if A.shape[0] * A.shape[1] <= 2**26 else 6)
    rank, found = min(16, most), None
    while True:
        found = _leading(A, rank, found)
        if found is None:
            return None
        left = total - np.cumsum(found.s.astype(np.float64)**2)
        if left[-1] <= tol**2 * total:
            r = int(np.argmax(left <= tol**2 * total)) + 1
            return TruncatedSVD(found.U[:, :r], found.s[:r], found.Vh[:r])
        if rank == most:
            return None
        rank = min(2 * rank, most)


# %% book/low_rank/svd.ipynb: _stacked
def _stacked(A, rank, tol):
    """truncated_svd of every matrix of a stack, with one rank for all."""
    A = as_matrix(A, stacked=True)
    rank, tol = rank_or_tol(rank, tol, A.shape)
    if A.size and tol is None and not _direct_is_better(A.shape[-2:], rank):
        each = [truncated_svd(X, rank) for X in A.reshape(-1, *A.shape[-2:])]
        return TruncatedSVD(*(np.stack(F).reshape(*A.shape[:-2], *F[0].shape) for F in zip(*each)))
    e = exponent_of(peak_of(A))
    U, s, Vh = thin_svd(shifted(A, -e))
    s = shifted(s, e[..., 0])
    r = rank_for_tol(s, tol) if rank is None else rank
    U, Vh = fix_signs(U[..., :r], Vh[..., :r, :])
    return TruncatedSVD(U, s[..., :r], Vh)


# %% book/low_rank/svd.ipynb: truncated_svd
@np.errstate(under="ignore")
def truncated_svd(A, rank=None, *, tol=None):
    r"""The best approximation of low rank: the B that minimises norm(A - B) with rank(B) <= rank.

    Give exactly one of `rank` and `tol`.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n); or array (..., m, n)
        A matrix, or a stack of matrices.
    rank : int, optional
        Number of terms r, from 1 to min(m, n).
    tol : float, optional
        A relative Frobenius error, 0 <= tol < 1. The rank is then the smallest
        r >= 1 with ``norm(A - B, "fro") <= tol * norm(A, "fro")``; for a stack,
        the largest that any of its matrices needs.

    Returns
    -------
    TruncatedSVD
        Unpacks as ``U, s, Vh`` of shapes (..., m, r), (..., r), (..., r, n),
        which multiplies like the product ``(U * s) @ Vh``. The largest entry of
        each column of U is real and positive; among entries equal to within a
        factor ``1 - eps**0.5`` the first counts.

    Raises
    ------
    ValueError
        Both or none of rank and tol, one of them out of range, NaN or Inf, or an array
        that is no matrix.
    TypeError
        A dtype without meaning, or a LinearOperator without adjoint.
    numpy.linalg.LinAlgError
        No convergence, where m n is too large for all singular values to be computed.

    See Also
    --------
    pinv : The inverse within the same bases.
    estimate_error : Bounds the error from products alone.

    Notes
    -----
    Exact to round-off: residuals are a small multiple of ``eps * s[0]``. The error is
    s_{r+1} in the spectral and (sum of s_i^2 over i > r)^(1/2) in the Frobenius norm, and no
    matrix of rank r has a smaller one.

    All singular values are computed, O(m n min(m, n)), if r > min(m, n) / 6, if the matrix is
    small (min(m, n) <= 40, or <= 200 and m n <= 2^24), and for tol < 64 eps^0.5. Otherwise a
    block Golub-Kahan iteration, from a fixed start, multiplies by blocks of 1 (r < 24), 4
    (r < 80) or 8 columns, each with one pass over A for A X and one for A^H Y. Typically it
    needs 2 r to 5 r columns, and O((m + n) max(3 r, r + 48)) numbers of memory. If it needs
    more than min(m, n) columns and m n <= 2^26, all singular values are computed. With tol
    there is one pass more, for the norms of the columns (n products for a LinearOperator).

    Derived in :ref:`svd-truncated`: :prf:ref:`eckart-young-mirsky`, :prf:ref:`golub-kahan`,
    :prf:ref:`residual-certificate`; after Golub and Kahan (1965).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import truncated_svd
    >>> A = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    >>> U, s, Vh = truncated_svd(A, 2)
    >>> s
    array([3., 2.])
    >>> truncated_svd(A, tol=0.3)
    <TruncatedSVD: 3 x 3 of rank 2, float64>
    >>> truncated_svd(A, 1) @ np.ones(3)
    array([3., 0., 0.])
    """
    if not hasattr(A, "shape"):
        A = as_matrix(A, stacked=True)
    if len(A.shape) != 2:
        return _stacked(A, rank, tol)
    A = linear_map(A)
    rank, tol = rank_or_tol(rank, tol, A.shape)
    found = _grown(A, tol) if rank is None else _leading(A, rank)
    if found is None:
        U, s, Vh = thin_svd(A.dense())
        r = rank_for_tol(s, tol) if rank is None else rank
        found = U[:, :r], s[:r], Vh[:r]
    U, s, Vh = found
    U, Vh = fix_signs(U, Vh)
    return TruncatedSVD(U, A.unscale(s), Vh)

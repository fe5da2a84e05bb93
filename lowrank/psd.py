r"""Positive semidefinite matrices.

A kernel matrix, a covariance or a Laplacian satisfies $x^{\mathsf H}Ax \ge 0$ for every $x$; this
chapter finds a thin factor $F$ with $A \approx FF^{\mathsf H}$ from a few of its columns, or from
one product with it, such that what is missing is again positive semidefinite and its size can be
read off a diagonal.

Generated from book/low_rank/psd.ipynb; edit the chapter.
"""

import numpy as np
from scipy import sparse
from scipy.linalg import solve_triangular

from lowrank.arguments import as_generator, check_count, check_rank, check_tol, gaussian_matrix
from lowrank.arrays import (
    adjoint,
    as_matrix,
    check_shape,
    double_norm,
    exponent_of,
    finite_peak,
    round_off,
    shifted,
    squared_norms,
    thin_svd,
    work_dtype,
)
from lowrank.linear_map import Factored, linear_map

__all__ = ["RPCholesky", "rpcholesky", "Nystrom", "nystrom"]


# %% book/low_rank/psd.ipynb: _is_pair
def _is_pair(A):
    """Is A given as (diagonal, columns function)?"""
    return isinstance(A, tuple | list) and len(A) == 2 and callable(A[1])


def _open(A):
    """The diagonal of A, and a function that reads A[:, J] from J, or A[I][:, J] from J and I."""
    if _is_pair(A):
        diagonal = np.asarray(A[0])
        if diagonal.ndim != 1:
            raise ValueError(f"the diagonal of A has shape {diagonal.shape}; allowed is (n,)")
        return diagonal, A[1]
    A = A.tocsr() if sparse.issparse(A) else as_matrix(A, finite=False)
    _check_square(A)
    if sparse.issparse(A):
        return A.diagonal(), lambda J, I=slice(None): adjoint(A[J][:, I].toarray())
    if A.flags.f_contiguous:
        return A.diagonal(), lambda J, I=None: A.T[J].T if I is None else A[np.ix_(I, J)]
    return A.diagonal(), lambda J, I=None: adjoint(A[J] if I is None else A[np.ix_(J, I)])


def _check_square(A):
    """Refuse what has no diagonal."""
    check_shape(A.shape, "A")
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"A has shape {A.shape}; allowed is a square matrix")


# %% book/low_rank/psd.ipynb: _Entries
_FORGIVEN = 1e5                                             # times eps; more is no rounding


class _Entries:
    """The diagonal of a Hermitian matrix, and columns when called, over 2**exponent, a square."""

    def __init__(self, A):
        diagonal, self.read = _open(A)
        self.errors = np.geterr()                           # as the caller wants it in `read`
        diagonal = as_matrix(diagonal[None], "the diagonal of A")[0]
        self.n, self.dtype = len(diagonal), diagonal.dtype
        exponent = exponent_of(np.abs(diagonal).max()).item()
        self.exponent = exponent - exponent % 2
        diagonal = shifted(diagonal, -self.exponent)
        self.eps, self.largest = np.finfo(self.dtype).eps, np.abs(diagonal).max()
        self.diagonal = diagonal.real.astype(np.float64)
        imaginary = np.abs(diagonal.imag).max()
        if imaginary > self.roundoff:
            self._refuse("Hermitian: its diagonal has an imaginary part of", imaginary)

    @property
    def roundoff(self):
        """What exceeds this is no rounding."""
        return _FORGIVEN * self.eps * self.largest

    def __call__(self, J, *I):
        """2**-exponent A[:, J], or A[I][:, J]."""
        with np.errstate(**self.errors):
            C = np.asarray(self.read(J, *I))
        allowed = (len(I[0]) if I else self.n, len(J))
        if C.shape != allowed:
            raise ValueError(f"columns of A have shape {C.shape}; allowed is {allowed}")
        if not np.can_cast(C.dtype, self.dtype, "same_kind"):
            raise TypeError(f"columns of A have dtype {C.dtype}; "
                            f"allowed is {self.dtype}, as the diagonal")
        finite_peak(C, "what was read of A")
        self.eps = max(self.eps, np.finfo(work_dtype(C.dtype, "what was read of A")).eps)
        return shifted(C.astype(self.dtype, copy=False), -self.exponent)

    def check_left(self, d, k):
        """Refuse a diagonal d after k pivots that is clearly negative."""
        if d.min() < -self.roundoff:
            self._refuse(f"positive semidefinite: after {k} pivots its diagonal has, "
                         f"at index {d.argmin()}, the entry", d.min())

    def compare(self, residual, L, before):
        """Refuse a residual that is not 0 at the pivots before and (L L^H)^T at the new ones."""
        expected = np.hstack([np.zeros((len(L), before)), L.conj() @ L.T])
        difference = np.abs(residual - expected).max()
        if difference > self.roundoff:
            self._refuse("Hermitian, or not what its diagonal says: entries at pivots differ by",
                         difference)

    def _refuse(self, what, value):
        value, allowed = shifted(value, self.exponent), shifted(self.roundoff, self.exponent)
        raise ValueError(f"A is not {what} {value:.3g}; allowed as round-off is {allowed:.3g}")


# %% book/low_rank/psd.ipynb: _keep
def _keep(H, J, d, draws, most, floor):
    """Which proposals J are kept, and L with L L^H = H[kept][:, kept].

    H is what is left of A[J][:, J] at the beginning of the round, d its diagonal. What falls
    below the floor is no pivot.
    """
    now, L, kept = d.copy(), np.zeros_like(H), []
    while len(kept) < most and (below := np.flatnonzero(draws * d < now)).size:
        i, k = below[0], len(kept)                          # the next that is not rejected
        L[:, k] = (H[:, i] - L[:, :k] @ L[i, :k].conj()) / np.sqrt(now[i])
        L[i, k] = np.sqrt(now[i])
        now -= np.abs(L[:, k])**2
        now[(now <= floor) | (J == J[i])] = 0               # nothing left, or taken
        now[:i] = 0                                         # walked past
        kept.append(i)
    return kept, np.tril(L[kept, :len(kept)])


# %% book/low_rank/psd.ipynb: _round
def _round(entries, rows, d, floor, block, most, rng):
    """The pivots of a round, and L with L L^H = their block of what F F^H leaves, F = rows^T."""
    J = rng.choice(entries.n, block, p=d / d.sum())
    if block == 1:
        return J, np.sqrt(d[J])[:, None]                    # always kept: no block to read
    H = entries(J, J) - rows[:, J].T @ rows[:, J].conj()
    kept, L = _keep(H, J, d[J], rng.random(block), most, floor[J])
    return J[kept], L


def _eliminate(entries, rows, pivots, J, L):
    """The new rows of F^T, from the columns of A at the new pivots J."""
    residual = entries(J).T - adjoint(rows[:, J]) @ rows
    entries.compare(residual[:, [*pivots, *J]], L, len(pivots))
    new = solve_triangular(L.conj(), residual, lower=True, check_finite=False)
    new[:, pivots], new[:, J] = 0, L.T                      # exact zeros
    return new


# %% book/low_rank/psd.ipynb: RPCholesky
class RPCholesky(Factored):
    """The product F F^H from `rpcholesky`. Unpacks as ``F, pivots``.

    Attributes
    ----------
    F : array, shape (n, k)
        The factor; F[pivots] is lower triangular.
    pivots : int array, shape (k,)
        Indices of the chosen columns, in order of choice.
    trace_error : float or None
        Sum of the absolute values of the diagonal of A - F F^H. It is its trace and
        bounds its nuclear, Frobenius and 2-norm, up to rounding.
    """

    _measured = ("trace_error",)

    def __init__(self, F, pivots, *, trace_error=None):
        vars(self).update(F=F, pivots=pivots, trace_error=trace_error)

    @property
    def factors(self):
        """F and its conjugate transpose."""
        return self.F, adjoint(self.F)


# %% book/low_rank/psd.ipynb: _factor
@np.errstate(all="ignore")
def _factor(entries, rank, block, tol, rng):
    """The loop of `rpcholesky`: rounds until enough columns are found or little enough is left."""
    d, rows = entries.diagonal, np.empty((rank, entries.n), entries.dtype)      # F is rows^T
    unit, stop = np.abs(d) + np.abs(d).mean(), tol * np.abs(d).sum()
    k, pivots = 0, np.empty(rank, int)
    floor = np.zeros(entries.n)
    entries.check_left(d, k)
    while k < rank and np.abs(d).sum() > stop:
        tau = max(round_off(rows.shape, entries.eps), np.max(-d / unit))
        floor = np.maximum(floor, tau * unit)
        likely = np.where(d > floor, d, 0)
        if not likely.any():
            break                                           # the rank is exhausted
        J, L = _round(entries, rows[:k], likely, floor, block, rank - k, rng)
        new = slice(k, k + len(J))
        rows[new], pivots[new] = _eliminate(entries, rows[:k], pivots[:k], J, L), J
        d, floor[J], k = d - squared_norms(rows[new], 0)[0], np.inf, k + len(J)
        entries.check_left(d, k)
    e, left = entries.exponent, np.abs(d).sum()
    return RPCholesky(shifted(rows[:k].T, e // 2), pivots[:k], trace_error=float(shifted(left, e)))


# %% book/low_rank/psd.ipynb: rpcholesky
def rpcholesky(A, rank, *, block=None, tol=0.0, rng=None):
    r"""Approximate A by F F^H, F = A[:, pivots] L^-H, from its diagonal and `rank` of its columns.

    Parameters
    ----------
    A : array or sparse matrix, shape (n, n), or a pair (diagonal, columns)
        Hermitian and positive semidefinite. Of a pair, ``diagonal`` has shape
        (n,) and the dtype of A, and ``columns(J)`` returns ``A[:, J]`` of shape
        (n, len(J)). With ``block > 1`` it is also called as ``columns(J, I)``
        and returns ``A[I][:, J]`` of shape (len(I), len(J)).
    rank : int, 1 <= rank <= n
        Number of columns; fewer are returned when nothing is left of A but rounding errors.
    block : int >= 1, optional
        Proposals in a round. 1 takes one column at a time. The law of the
        pivots does not depend on it, their values for a given seed do.
        Default: ``min(rank, max(10, ceil(rank / 10)))``, and 1 for a pair.
    tol : float, 0 <= tol < 1, default 0
        Stop after the round in which ``trace_error <= tol tr(A)``. It is relative
        in the trace, the norm of the error that diagonal and columns determine.
        A tol below the rounding errors of A and F is not reached; then
        ``trace_error`` says what is left.
    rng : None, int or numpy.random.Generator
        Source of the pivots.

    Returns
    -------
    RPCholesky
        Unpacks as ``F, pivots``: F of shape (n, k), k <= rank, and its k
        different pivots. ``F[pivots]`` is lower triangular, the Cholesky factor
        of ``A[pivots][:, pivots]``. Also ``.trace_error``, the sum of the absolute
        values of the diagonal of A - F F^H, in double precision. This is tr(A - F F^H),
        which bounds the nuclear, Frobenius and 2-norm of A - F F^H, up to rounding.

    Raises
    ------
    ValueError
        What was read of A is not finite, or shows by more than 10^5 eps max(diag A)
        that A is not Hermitian or not positive semidefinite; shape, rank, block
        or tol out of range. Entries that were not read are not checked.
    TypeError
        A dtype without meaning, or a LinearOperator, which has no diagonal.

    Notes
    -----
    Reads (k + 1) n entries of A, and block^2 more a round if block > 1; O(k^2 n)
    work, k n numbers of memory. Pivots have a diagonal entry d_i of what is left above
    4 sqrt(rank) eps (a_ii + tr(A) / n), or above rounding errors that negative ones show.
    Derived in :ref:`psd-random` and :ref:`psd-rejection`: :prf:ref:`random-pivot-bound`,
    :prf:ref:`rejection-keeps-law`, :prf:ref:`residual-bounds`,
    :prf:ref:`computed-diagonal`; after Chen, Epperly,
    Tropp and Webber (2025) and Epperly, Tropp and Webber (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rpcholesky
    >>> x = np.linspace(0, 1, 1000)
    >>> kernel = lambda J, I=slice(None): np.exp(-10 * (x[I, None] - x[J])**2)
    >>> F, pivots = rpcholesky((np.ones(1000), kernel), 12, rng=0)
    >>> F.shape
    (1000, 12)
    >>> J = [10, 500, 990]
    >>> bool(np.allclose(F[J] @ F[J].T, kernel(J, J), atol=1e-4))
    True
    """
    entries = _Entries(A)
    rank, tol = check_rank(rank, (entries.n, entries.n)), check_tol(tol)
    if block is None:
        block = 1 if _is_pair(A) else min(rank, max(10, -(-rank // 10)))
    return _factor(entries, rank, check_count(block, "block", 1), tol, as_generator(rng))


# %% book/low_rank/psd.ipynb: Nystrom
class Nystrom(Factored):
    """A ~ F F^H from `nystrom`.

    Attributes
    ----------
    F : array, shape (n, rank)
        The factor, with orthogonal columns.
    """

    def __init__(self, F):
        vars(self).update(F=F)

    @property
    def factors(self):
        """F and its conjugate transpose."""
        return self.F, adjoint(self.F)


def _lowest_eigenvalue(B, roundoff, unit):
    """That of B = 2**-unit X^H A X, X orthonormal; refuse a B that shows what A is not."""
    skew, lowest = np.linalg.norm(B - adjoint(B)), np.linalg.eigvalsh(B)[0]
    allowed = shifted(roundoff, unit)
    if skew > roundoff:
        raise ValueError("A is not Hermitian: for an X with orthonormal columns, norm(X^H (A - "
                         f"A^H) X) is {shifted(skew, unit):.3g}; "
                         f"allowed as round-off is {allowed:.3g}")
    if lowest < -roundoff:
        raise ValueError("A is not positive semidefinite: it has an eigenvalue below "
                         f"{shifted(lowest, unit):.3g}; allowed as round-off is {-allowed:.3g}")
    return lowest


# %% book/low_rank/psd.ipynb: nystrom
@np.errstate(all="ignore")
def nystrom(A, rank, *, oversample=10, rng=None):
    r"""Approximate a positive semidefinite A by F F^H from one product A Omega, Omega random.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (n, n)
        Hermitian and positive semidefinite.
    rank : int, 1 <= rank <= n
        Number of columns of F.
    oversample : int >= 0, default 10
        Omega has ``min(n, max(rank + oversample, 2))`` columns.
    rng : None, int or numpy.random.Generator
        Source of Omega.

    Returns
    -------
    Nystrom
        The product F F^H with its factor ``.F`` of shape (n, rank). The columns
        of F are orthogonal, their squared norms approximate the largest
        eigenvalues of A from below and decrease; past the numerical rank they are rounding.

    Raises
    ------
    ValueError
        A contains NaN or Inf, or the sketch shows by more than 10^5 eps norm(A Omega)
        that A is not Hermitian or not positive semidefinite; shape, rank or
        oversample out of range.
    TypeError
        A dtype without meaning.

    Notes
    -----
    One pass over A, O(n l^2) work besides and n l numbers of memory, l columns of
    Omega. The expected trace error is at most 1 + rank / (oversample - 1) times
    the tail of the eigenvalues, and the smallest eigenvalue of A - F F^H is at
    least -eps norm(A Omega), both up to rounding.
    Derived in :ref:`psd-sketch` and :ref:`psd-shift`: :prf:ref:`sketched-trace-bound`,
    :prf:ref:`shift-certificate`; after Tropp, Yurtsever, Udell and Cevher (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import nystrom
    >>> A = np.diag(10.0 ** -np.arange(30))
    >>> approx = nystrom(A, 8, rng=0)
    >>> bool(np.trace(A - approx.reconstruct()) < 2 * np.sum(10.0 ** -np.arange(8, 30)))
    True
    """
    M = linear_map(A)
    _check_square(M)
    n, rank = M.shape[0], check_rank(rank, M.shape)
    size = min(n, max(rank + check_count(oversample, "oversample", 0), 2))
    Omega = np.linalg.qr(gaussian_matrix(as_generator(rng), (n, size), M.dtype))[0]
    Y = M.apply(Omega)
    odd = (M.exponent or 0) % 2                             # an even power of two has a root
    Y, unit = shifted(Y, odd), (M.exponent or 0) - odd

    B, norm = adjoint(Omega) @ Y, double_norm(Y)
    roundoff = np.finfo(Y.dtype).eps * norm
    lowest = _lowest_eigenvalue(B, _FORGIVEN * roundoff, unit)
    if not norm:
        return Nystrom(np.zeros((n, rank), Y.dtype))
    mu = max(roundoff, -2 * lowest)
    L = np.linalg.cholesky(B + mu * np.eye(size, dtype=B.dtype))
    F = adjoint(solve_triangular(L, adjoint(Y + mu * Omega), lower=True, check_finite=False))
    U, s, _ = thin_svd(F)
    return Nystrom(shifted(U[:, :rank] * np.sqrt(np.maximum(s[:rank]**2 - mu, 0)), unit // 2))

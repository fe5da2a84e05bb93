r"""Sketching.

A few products with random vectors give an orthonormal $Q$ whose range holds almost all of a matrix:
$\lVert A - QQ^{\mathsf H}A\rVert_F$ is close to the tail $t_r$, the least that rank $r$ allows, at
the price of two passes over $A$, or six.

Generated from book/low_rank/sketching.ipynb; edit the chapter.
"""

from collections import namedtuple

import numpy as np
from scipy import linalg

from lowrank.conventions import (
    _bound_over_estimate,
    _check_choice,
    _check_count,
    _check_rank,
    _gaussian,
    _generator,
    _linear_map,
    _rank_or_tol,
)
from lowrank.pseudo_inverse import _svd
from lowrank.svd import TruncatedSVD, _combine, _fix_signs, _orthogonalise, _project

__all__ = ["randomized_svd", "RangeBasis", "range_finder"]


# %% book/low_rank/sketching.ipynb: _within
def _within(Q, Bh, rank):
    """U, s, Vh of Q [Q^H A]_rank, the best approximation in the range of Q, from Bh = A^H Q."""
    V, s, Yh = _svd(Bh)
    U, Vh = _fix_signs(_combine(Q, Yh[:rank].conj().T), V[:, :rank].conj().T)
    return U, s[:rank], Vh


# %% book/low_rank/sketching.ipynb: _basis
def _basis(Y):
    """A well-conditioned basis of the range of Y: the factor L of Y = L U with row pivoting."""
    return linalg.lu(Y, permute_l=True, check_finite=False)[0]


def _orthonormal(Y):
    """An orthonormal basis of the range of Y, completed at will where Y lacks rank."""
    return linalg.qr(Y, mode="economic", check_finite=False)[0]


def _sketch(M, width, n_iter, rng):
    """Y with the range of (A A^H)^n_iter A Omega, for `width` Gaussian columns in Omega.

    Y = A L, with a well-conditioned basis L of the range of (A^H A)^n_iter Omega.
    2 n_iter + 1 passes.
    """
    Y = M.apply(_gaussian(rng, (M.shape[1], width), M.dtype))
    for _ in range(n_iter):
        Y = M.apply(_basis(M.adjoint_apply(_basis(Y))))
    return Y


# %% book/low_rank/sketching.ipynb: _krylov
def _krylov(M, width, n_iter, rng):
    """Q with the range of all (A A^H)^j A Omega, j <= n_iter, and A^H Q: 2 n_iter + 2 passes."""
    Q = _orthonormal(_sketch(M, width, 0, rng))
    Bh = last = M.adjoint_apply(Q)
    for _ in range(n_iter):
        room = min(M.shape) - Q.shape[1]
        if not room:
            break
        X = _orthogonalise(M.apply(_basis(last))[:, :room], Q)[0]
        last = M.adjoint_apply(X)
        Q, Bh = np.hstack([Q, X]), np.hstack([Bh, last])
    return Q, Bh


# %% book/low_rank/sketching.ipynb: randomized_svd
def randomized_svd(A, rank, *, oversample=None, n_iter=2, method="subspace", rng=None):
    r"""A nearly best U diag(s) Vh of given rank, from a random sketch: min norm(A - U diag(s) Vh).

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    rank : int, 1 <= rank <= min(m, n)
        Number of singular triples.
    oversample : int >= 0, optional
        Random vectors beyond `rank`. Default 10 for "subspace", 2 for "krylov".
    n_iter : int >= 0, default 2
        Power iterations q; each costs two passes over A.
    method : {"subspace", "krylov"}, default "subspace"
        "subspace" keeps the last product only; "krylov" keeps all of them, which
        brings the error closer to the optimum for the same passes, more work
        on thin matrices and n_iter + 1 times the memory.
    rng : None, int or numpy.random.Generator
        Source of the random vectors.

    Returns
    -------
    TruncatedSVD
        Named tuple (U, s, Vh) of shapes (m, rank), (rank,), (rank, n). U and Vh^H have
        orthonormal columns, s falls and never exceeds the true singular values
        (to round-off). Beyond the rank of A, s is of the size of round-off
        and the vectors complete orthonormal sets.

    Raises
    ------
    ValueError
        NaN or Inf, a rank or an option out of range.
    TypeError
        A dtype without meaning, an option of the wrong type, a LinearOperator without adjoint.

    Notes
    -----
    2 n_iter + 2 passes over A, never more, fewer if a Krylov basis fills the whole space.
    With l = rank + oversample: (2 n_iter + 2) products of A with l columns, O((m + n) l^2)
    further operations and O((m + n) l) numbers of memory; for "krylov" the basis has
    (n_iter + 1) l columns.
    Derived in :ref:`sketching-power` and :ref:`sketching-krylov`. The expected error is bounded
    by :prf:ref:`power-expectation` and :prf:ref:`krylov-expectation`; `estimate_error` measures
    it. After Halko, Martinsson and Tropp (2011), Gu (2015), Musco and Musco (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import randomized_svd
    >>> A = np.vander(np.linspace(0, 1, 500), 80)
    >>> U, s, Vh = randomized_svd(A, 5, rng=0)
    >>> np.allclose(s, np.linalg.svd(A, compute_uv=False)[:5])
    True
    >>> randomized_svd(A, 5, method="krylov", rng=0)
    <TruncatedSVD: 500 x 80 of rank 5, float64>
    """
    M = _linear_map(A)
    rank, n_iter = _check_rank(rank, M.shape), _check_count(n_iter, "n_iter", 0)
    defaults = {"subspace": 10, "krylov": 2}
    _check_choice(method, "method", defaults)
    extra = defaults[method] if oversample is None else _check_count(oversample, "oversample", 0)
    width, rng = min(rank + extra, *M.shape), _generator(rng)

    if method == "krylov":
        Q, Bh = _krylov(M, width, n_iter, rng)
    else:
        Q = _orthonormal(_sketch(M, width, n_iter, rng))
        Bh = M.adjoint_apply(Q)
    U, s, Vh = _within(Q, Bh, rank)
    return TruncatedSVD(U, M.unscale(s), Vh)


# %% book/low_rank/sketching.ipynb: RangeBasis
class RangeBasis(namedtuple("RangeBasis", "Q error bound passes")):
    """What `range_finder` found.

    `Q` is the orthonormal basis, `error` the estimated norm(A - Q Q^H A, "fro"), `bound` a
    number that the error exceeds with probability at most 0.001, `passes` how often A was read.
    """

    __slots__ = ()


class _EnergyMeter:
    """error = norm(A - Q Q^H A, "fro") as a difference of energies, a bound for it, norm(A)."""

    def __init__(self, M):
        self.total = float(np.linalg.norm(M.column_norms()))
        self.round_off = (max(M.shape) * float(np.finfo(M.dtype).eps))**0.5 * self.total

    def __call__(self, Q, Bh):
        captured = float(np.linalg.norm(Bh))
        error = max(self.total - captured, 0)**0.5 * (self.total + captured)**0.5
        return error, float(np.hypot(error, self.round_off)), self.total


class _ProbeMeter:
    """The same from Gaussian probes that Q has never seen."""

    def __init__(self, M, rng, probes=30, delta=0.001 / 32):
        self.Y = M.apply(_gaussian(rng, (M.shape[1], probes), M.dtype))
        self.size, self.factor = probes**0.5, _bound_over_estimate(probes, M.dtype, delta)

    def __call__(self, Q, Bh):
        error = float(np.linalg.norm(self.Y - _combine(Q, _project(Q, self.Y)))) / self.size
        return error, self.factor * error, float(np.hypot(np.linalg.norm(Bh), error))


# %% book/low_rank/sketching.ipynb: range_finder
def _grow(M, tol, meter, rng, first=16):
    """Q, A^H Q and the number of rounds until the bound of the meter is tol * norm(A)."""
    Q, Bh, rounds = np.zeros((M.shape[0], 0), M.dtype), np.zeros((M.shape[1], 0), M.dtype), 0
    while (width := min(max(first, Q.shape[1]), min(M.shape) - Q.shape[1])):
        X = _orthogonalise(_sketch(M, width, 0, rng), Q)[0]
        Q, Bh, rounds = np.hstack([Q, X]), np.hstack([Bh, M.adjoint_apply(X)]), rounds + 1
        _, bound, total = meter(Q, Bh)
        if bound <= tol * total:
            break
    return Q, Bh, rounds


def range_finder(A, *, rank=None, tol=None, rng=None):
    r"""Orthonormal Q with few columns and norm(A - Q Q^H A, "fro") small.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    rank : int, 1 <= rank <= min(m, n), optional
        Number of columns of Q; or
    tol : float, 0 <= tol < 1, optional
        relative error, norm(A - Q Q^H A, "fro") <= tol * norm(A, "fro"). Values below
        50 eps are taken as 50 eps. Exactly one of `rank` and `tol` must be given.
    rng : None, int or numpy.random.Generator
        Source of the random vectors.

    Returns
    -------
    RangeBasis
        Named tuple (Q, error, bound, passes). Q has shape (m, rank); its columns approximate the
        leading left singular vectors, in order, so that Q[:, :k] is a basis of lower rank.
        `error` estimates norm(A - Q Q^H A, "fro") in the units of A, `bound` exceeds
        it except with probability 0.001. With `tol`, Q has the fewest of the columns found
        whose bound passes, at least one; all of them if none passes.

    Raises
    ------
    ValueError
        Both or none of `rank` and `tol`, one out of range, NaN or Inf.
    TypeError
        A dtype without meaning, a LinearOperator without adjoint.

    Notes
    -----
    With `rank`: 10 columns more and two power iterations, 7 passes over A, one of them for 30
    probes. With `tol`: 2 passes a round, with 16 columns in the first and as many as there are
    already in each other; 1 for the norm of A or the probes; 2 for a power iteration.
    If tol^2 > 10 max(m, n) eps the error is a difference of energies, and the bound exceeds it
    by no more than rounding may have taken: nothing depends on chance (but the norm of a
    LinearOperator costs n products). Below, both come from the probes.
    O((m + n) k) numbers of memory for k columns. Derived in :ref:`sketching-tolerance`:
    :prf:ref:`best-in-subspace`, :prf:ref:`pass-never-loses`, :prf:ref:`frobenius-bound`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import range_finder
    >>> A = np.vander(np.linspace(0, 1, 500), 80)
    >>> Q, error, bound, passes = range_finder(A, tol=1e-3, rng=0)
    >>> bool(np.linalg.norm(A - Q @ (Q.T @ A)) <= 1e-3 * np.linalg.norm(A))
    True
    >>> Q.shape, passes
    ((500, 9), 5)
    """
    M = _linear_map(A)
    rank, tol = _rank_or_tol(rank, tol, M.shape)
    rng, eps = _generator(rng), float(np.finfo(M.dtype).eps)
    if rank is not None:
        meter, passes = _ProbeMeter(M, rng), 7
        Q = _orthonormal(_sketch(M, min(rank + 10, *M.shape), 2, rng))
    else:
        meter = _EnergyMeter(M) if tol**2 > 10 * max(M.shape) * eps else _ProbeMeter(M, rng)
        tol = max(tol, 50 * eps)
        Q, Bh, rounds = _grow(M, tol, meter, rng)
        Q, passes = _orthonormal(M.apply(_basis(Bh))), 2 * rounds + 3
    Bh = M.adjoint_apply(Q)

    outside, most, total = meter(Q, Bh)
    U, s, _ = _within(Q, Bh, Q.shape[1])
    tails = np.sqrt(np.cumsum(np.append(0, s[:0:-1].astype(float)**2)))[::-1]        # t_1 .. t_k
    bounds = np.hypot(most, tails) + 20 * eps * total             # the last term is for round-off
    if rank is None:
        fits = bounds <= tol * total
        rank = int(np.argmax(fits)) + 1 if fits.any() else len(s)
    error, bound = np.hypot(outside, tails[rank - 1]), bounds[rank - 1]
    error, bound = (float(M.unscale(value)) for value in (error, bound))
    return RangeBasis(U[:, :rank], error, bound, passes)

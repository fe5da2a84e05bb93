r"""Error estimates.

How large is $\lVert A-\hat A\rVert$ when the difference is too large to be formed, and how can a
method stop as soon as that is small enough, with a probability that is stated and true for every
$A$?

Generated from book/low_rank/error_estimates.ipynb; edit the chapter.
"""

from collections import namedtuple

import numpy as np
from scipy.special import erfinv, gammaincinv

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    check_number,
    gaussian_matrix,
    rank_or_tol,
)
from lowrank.arrays import double_norm, safe_norms, shifted, singular_values
from lowrank.linear_map import OperatorMap, linear_map
from lowrank.sketching import (
    combine,
    lu_basis,
    orthogonalise,
    orthonormal_basis,
    project,
    sketch_range,
    within_range,
)

__all__ = ["ErrorEstimate", "estimate_error", "RangeBasis", "range_finder"]


# %% book/low_rank/error_estimates.ipynb: _Difference
class _Difference(OperatorMap):
    """The map of A - B for two linear maps, in the larger of their units."""

    def __init__(self, A, B):
        self.A, self.B, self.name, self.exponent = A, B, f"{A.name} - {B.name}", None
        self.shape, self.dtype = A.shape, np.result_type(A.dtype, B.dtype)

    def _times(self, X):
        return self._minus(self.A.apply(X), self.B.apply(X))

    def _adjoint_times(self, Y):
        return self._minus(self.A.adjoint_apply(Y), self.B.adjoint_apply(Y))

    def _minus(self, X, Y):
        e, f = self.A.exponent or 0, self.B.exponent or 0
        self.unit = max(e, f)
        return shifted(X, e - self.unit) - shifted(Y, f - self.unit)

    def unscale(self, X):
        return shifted(super().unscale(X), self.unit)


# %% book/low_rank/error_estimates.ipynb: bound_over_estimate
def bound_over_estimate(n_probe, dtype, delta):
    """The factor sqrt(alpha / x_delta), a float, by which a bound exceeds the estimate."""
    alpha = n_probe if dtype.kind == "c" else n_probe / 2
    return float(np.sqrt(alpha / gammaincinv(alpha, delta)))


# %% book/low_rank/error_estimates.ipynb: _frobenius
def _frobenius(D, Y, delta):
    """Estimate and bound of norm(D, "fro")."""
    probes = Y.shape[1]
    estimate = double_norm(Y) / np.sqrt(probes)
    return estimate, estimate * bound_over_estimate(probes, D.dtype, delta)


def _spectral(D, Y, delta):
    """Lower and upper bound of norm(D, 2)."""
    p = delta**(1 / Y.shape[1])
    tau = np.sqrt(-np.log1p(-p)) if D.dtype.kind == "c" else np.sqrt(2) * erfinv(p)
    Q, R = np.linalg.qr(Y)
    B = D.adjoint_apply(Q)
    lower = singular_values(B)[0]
    return lower, max(lower, np.sqrt(safe_norms(B @ R, 0).max() / tau))


# %% book/low_rank/error_estimates.ipynb: ErrorEstimate
class ErrorEstimate(namedtuple("ErrorEstimate", "estimate bound confidence")):
    """What `estimate_error` found: an `estimate`, and a `bound` of stated `confidence`."""

    __slots__ = ()


@np.errstate(over="ignore", under="ignore")
def estimate_error(A, approx, *, n_probe=10, norm="fro", confidence=0.999, rng=None):
    r"""Estimate and bound norm(A - approx) from a few products.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    approx : the same, or a factored result of this package, shape (m, n)
        Its approximation.
    n_probe : int >= 2, default 10
        Number of random vectors. More of them bring the bound closer to the estimate.
    norm : {"fro", 2}, default "fro"
        Frobenius or spectral norm.
    confidence : float, 0.5 <= confidence < 1, default 0.999
        Probability with which the bound holds, whatever A - approx is.
    rng : None, int or numpy.random.Generator
        The probes are drawn from a child of this generator, so that a seed
        already used for the approximation gives fresh vectors.

    Returns
    -------
    ErrorEstimate
        Named tuple of three floats. For ``norm="fro"`` the square of
        ``estimate`` is unbiased; for ``norm=2`` ``estimate`` is a lower bound
        that always holds. ``bound`` is an upper bound that fails with
        probability at most ``1 - confidence``; inf where it overflows.

    Raises
    ------
    ValueError
        Shapes that differ, NaN or Inf, or an option out of range.
    TypeError
        A dtype without meaning, or ``norm=2`` for a LinearOperator without adjoint.

    Notes
    -----
    One pass over A and approx for "fro", one more (with the adjoints) for 2;
    O((m + n) n_probe) numbers of memory. Both are relative to round-off: a
    difference below about ``eps * norm(A)`` is reported as that.
    Derived in :ref:`error-estimates-probes`: :prf:ref:`probe-unbiased`,
    :prf:ref:`frobenius-bound`, :prf:ref:`spectral-bound`; for the spectral norm
    the idea is that of Halko, Martinsson and Tropp (2011), Lemma 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import estimate_error
    >>> A = np.diag([4.0, 3.0, 2.0, 1.0])
    >>> estimate, bound, confidence = estimate_error(A, np.diag([4.0, 3.0, 0, 0]), rng=0)
    >>> 1 < estimate < 4 and bound > 5**0.5 and confidence == 0.999
    True
    """
    A, B = linear_map(A), linear_map(approx, "approx")
    if A.shape != B.shape:
        raise ValueError(f"approx has shape {B.shape}; allowed is the shape of A, {A.shape}")
    n_probe = check_count(n_probe, "n_probe", 2)
    check_choice(norm, "norm", ("fro", 2))
    confidence = check_number(confidence, "confidence", "a number with 0.5 <= confidence < 1",
                              lambda value: 0.5 <= value < 1)

    D, child = _Difference(A, B), as_generator(rng).spawn(1)[0]
    Y = D.apply(gaussian_matrix(child, (D.shape[1], n_probe), D.dtype))
    estimate, bound = (_frobenius if norm == "fro" else _spectral)(D, Y, 1 - confidence)
    return ErrorEstimate(float(D.unscale(estimate)), float(D.unscale(bound)), confidence)


# %% book/low_rank/error_estimates.ipynb: _blind_energy
def _blind_energy(M):
    """The part 2 N u = N eps of the energy by which rounding may move the captured one."""
    return M.terms * float(np.finfo(M.dtype).eps)


class _EnergyMeter:
    """error = norm(A - Q Q^H A, "fro") as a difference of energies, a bound for it, norm(A)."""

    def __init__(self, M):
        self.total = float(np.linalg.norm(M.column_norms()))
        self.round_off = _blind_energy(M)**0.5 * self.total

    def __call__(self, Q, Bh):
        captured = double_norm(Bh)
        error = max(self.total - captured, 0)**0.5 * (self.total + captured)**0.5
        return error, float(np.hypot(error, self.round_off)), self.total


class _ProbeMeter:
    """The same from Gaussian probes that Q has never seen."""

    def __init__(self, M, rng, probes=30, delta=0.001 / 32):
        self.Y = M.apply(gaussian_matrix(rng, (M.shape[1], probes), M.dtype))
        self.size, self.factor = probes**0.5, bound_over_estimate(probes, M.dtype, delta)

    def __call__(self, Q, Bh):
        error = double_norm(self.Y - combine(Q, project(Q, self.Y))) / self.size
        return error, self.factor * error, float(np.hypot(double_norm(Bh), error))


# %% book/low_rank/error_estimates.ipynb: _grow
def _grow(M, tol, meter, rng, first=16):
    """Q, A^H Q and the number of rounds until the bound of the meter is tol * norm(A)."""
    Q, Bh, rounds = np.zeros((M.shape[0], 0), M.dtype), np.zeros((M.shape[1], 0), M.dtype), 0
    while (width := min(max(first, Q.shape[1]), min(M.shape) - Q.shape[1])):
        X = orthogonalise(sketch_range(M, width, 0, rng), Q)
        Q, Bh, rounds = np.hstack([Q, X]), np.hstack([Bh, M.adjoint_apply(X)]), rounds + 1
        _, bound, total = meter(Q, Bh)
        if bound <= tol * total:
            break
    return Q, Bh, rounds


# %% book/low_rank/error_estimates.ipynb: RangeBasis
class RangeBasis(namedtuple("RangeBasis", "Q error bound passes")):
    """What `range_finder` found.

    `Q` is the orthonormal basis, `error` the estimated norm(A - Q Q^H A, "fro"), `bound` a
    number that the error exceeds with probability at most 0.001, `passes` how often A was read.
    """

    __slots__ = ()


# %% book/low_rank/error_estimates.ipynb: range_finder
@np.errstate(over="ignore", under="ignore")
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
    If tol^2 > 10 N eps the error is a difference of energies, and the bound adds N eps norm(A)^2
    to its square for rounding: nothing depends on chance (but the norm of a LinearOperator
    costs min(m, n) products). Below, both come from the probes. Here N is max(m, n), and at
    most 2048 in single precision unless A is a LinearOperator.
    O((m + n) k) numbers of memory for k columns. Derived in :ref:`error-estimates-tolerance`:
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
    M = linear_map(A)
    rank, tol = rank_or_tol(rank, tol, M.shape)
    rng, eps = as_generator(rng), float(np.finfo(M.dtype).eps)
    if rank is not None:
        meter, passes = _ProbeMeter(M, rng), 7
        Q = orthonormal_basis(sketch_range(M, min(rank + 10, *M.shape), 2, rng))
    else:
        meter = _EnergyMeter(M) if tol**2 > 10 * _blind_energy(M) else _ProbeMeter(M, rng)
        tol = max(tol, 50 * eps)
        Q, Bh, rounds = _grow(M, tol, meter, rng)
        Q, passes = orthonormal_basis(M.apply(lu_basis(Bh))), 2 * rounds + 3
    Bh = M.adjoint_apply(Q)

    outside, most, total = meter(Q, Bh)
    U, s, _ = within_range(Q, Bh, Q.shape[1])
    tails = np.sqrt(np.cumsum(np.append(0, s[:0:-1].astype(float)**2)))[::-1]    # t_1 .. t_k
    bounds = np.hypot(most, tails) + 20 * eps * total             # the last term is for round-off
    if rank is None:
        fits = bounds <= tol * total
        rank = int(np.argmax(fits)) + 1 if fits.any() else len(s)
    error, bound = np.hypot(outside, tails[rank - 1]), bounds[rank - 1]
    error, bound = (float(M.unscale(value)) for value in (error, bound))
    return RangeBasis(U[:, :rank], error, bound, passes)

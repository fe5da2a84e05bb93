r"""The pseudo-inverse.

Which matrix $B$ makes $\lVert AB-I\rVert_F$ smallest when $A$ has no inverse, how is it computed,
and when should it not be?

Generated from book/low_rank/pseudo_inverse.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arguments import check_count, check_number, check_tol
from lowrank.arrays import (
    adjoint,
    as_matrix,
    check_hermitian,
    cut_off,
    double_norm,
    exponent_of,
    finite_peak,
    peak_of,
    shifted,
    thin_svd,
    wide,
)
from lowrank.linear_map import linear_map

__all__ = [
    "PenroseResiduals",
    "penrose_residuals",
    "PinvInfo",
    "pinv",
    "best_factor",
    "NewtonSchulzInverse",
    "pinv_newton_schulz",
]


# %% book/low_rank/pseudo_inverse.ipynb: PenroseResiduals
class PenroseResiduals(namedtuple("PenroseResiduals", "AXA XAX AX XA")):
    """Relative violations of the conditions: A X A = A, X A X = X, A X and X A are Hermitian."""

    __slots__ = ()


def _relative(D, whole):
    """norm(D) / norm(whole), where 0 / 0 = 0, and inf where both overflow."""
    size = double_norm(whole)
    value = double_norm(D) / size if size else 0.0
    return math.inf if math.isnan(value) else value


# %% book/low_rank/pseudo_inverse.ipynb: penrose_residuals
def _asymmetry(B, C):
    """norm(P^H - P) / norm(P) for P = B C, which is small or, where B is tall, taken as small."""
    k = B.shape[1]
    if len(B) > 2 * k:
        R = np.linalg.qr(np.hstack([B, adjoint(C)]), mode="r")
        B, C = R[:, :k], adjoint(R[:, k:])
    P = B @ C
    return _relative(adjoint(P) - P, P)


@np.errstate(all="ignore")
def penrose_residuals(A, X):
    r"""How far X is from A^+: norm(A X A - A) / norm(A) and its three companions.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    X : array, shape (n, m)
        The candidate.

    Returns
    -------
    PenroseResiduals
        Named tuple of four floats, in Frobenius norms: ``AXA`` is
        norm(A X A - A) / norm(A), ``XAX`` is norm(X A X - X) / norm(X), ``AX``
        is norm((A X)^H - A X) / norm(A X) and ``XA`` is the same for X A, with
        0 / 0 = 0. All four are 0 only for the pseudo-inverse; an excellent
        computed one has them near ``eps * cond(A)``.

    Raises
    ------
    ValueError
        NaN, Inf, or a shape of X that is not (n, m).

    Notes
    -----
    One pass over A, which is stored as an array; O(m n min(m, n)) operations, O(m n) numbers.
    Derived in :ref:`pseudo-inverse-penrose`, :prf:ref:`penrose-conditions`; Penrose (1955).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import penrose_residuals
    >>> A = np.array([[1.0, 0.0], [0.0, 0.0]])
    >>> penrose_residuals(A, A)
    PenroseResiduals(AXA=0.0, XAX=0.0, AX=0.0, XA=0.0)
    >>> penrose_residuals(A, np.eye(2)).XAX > 0.7       # does not keep out of the kernel
    True
    """
    A, X = linear_map(A), as_matrix(X, "X")
    if X.shape != A.shape[::-1]:
        raise ValueError(f"X has shape {X.shape}; allowed is {A.shape[::-1]} for A of {A.shape}")
    A, unit = A.dense(), A.unscale
    f = exponent_of(peak_of(X)).item()
    X = shifted(X, -f)
    if A.shape[0] <= A.shape[1]:
        AX = shifted(unit(A @ X), f)
        AXA, XAX = AX @ A, X @ AX
    else:
        XA = shifted(unit(X @ A), f)
        AXA, XAX = A @ XA, XA @ X
    return PenroseResiduals(_relative(AXA - A, A), _relative(XAX - X, X),
                            _asymmetry(A, X), _asymmetry(X, A))


# %% book/low_rank/pseudo_inverse.ipynb: orthogonal_parts
def orthogonal_parts(A, name, rtol):
    """U, s, Vh, e with A = 2**e U diag(s) Vh up to what the cut-off drops."""
    A = as_matrix(A, name, finite=False)
    e = exponent_of(finite_peak(A, name)).item()
    U, s, Vh = thin_svd(shifted(A, -e))
    rank = int(np.sum(s > cut_off(rtol, A) * s[0]))
    return U[:, :rank], s[:rank], Vh[:rank], e


# %% book/low_rank/pseudo_inverse.ipynb: unscale_inverse
def unscale_inverse(X, e, name="A"):
    """2**-e X for the pseudo-inverse X of 2**-e A, or a ValueError where it overflows."""
    X = shifted(X, -e)
    if not np.isfinite(X).all():
        raise ValueError(f"{name} is so small that the result overflows {X.dtype}; "
                         f"multiply {name} by a power of two c, which divides the result by c")
    return X


# %% book/low_rank/pseudo_inverse.ipynb: _check_atol
def _check_atol(atol):
    """atol as a float, 0 for None."""
    allowed = "None or a number with 0 <= atol < inf"
    return check_number(0 if atol is None else atol, "atol", allowed,
                        lambda value: 0 <= value < math.inf)


def _eigen_svd(A):
    """U, s, Vh of a Hermitian matrix from its eigenvalues; s is not sorted."""
    values, V = np.linalg.eigh(A)
    return V * np.copysign(1, values)[..., None, :], np.abs(values), adjoint(V)


# %% book/low_rank/pseudo_inverse.ipynb: PinvInfo
class PinvInfo(namedtuple("PinvInfo", "rank kept dropped")):
    """What `pinv` decided: the rank, the smallest value that it kept, the largest it dropped."""

    __slots__ = ()


def _decision(s, keep, e):
    """The PinvInfo of singular values 2**e s: kept is inf for none, dropped is 0 for none."""
    smallest = np.where(keep, s, np.inf).min(-1, initial=np.inf)
    largest = np.where(keep, 0, s).max(-1, initial=0)
    info = PinvInfo(keep.sum(-1), shifted(smallest, e), shifted(largest, e))
    return PinvInfo(*(x.item() for x in info)) if keep.ndim == 1 else info


# %% book/low_rank/pseudo_inverse.ipynb: pinv
@np.errstate(all="ignore")
def pinv(A, *, rtol=None, atol=None, hermitian=False, return_info=False):
    r"""The pseudo-inverse: the B of smallest norm among those that minimise norm(A B - I, "fro").

    Parameters
    ----------
    A : array, shape (m, n) or (..., m, n)
        A matrix or a stack of matrices. May have no rows or no columns.
    rtol, atol : float, optional
        Singular values up to ``max(atol, rtol * s_1)`` count as zero. Defaults:
        ``rtol = 4 * sqrt(min(m, n)) * eps`` of the dtype, ``atol = 0``.
    hermitian : bool, default False
        Say that A is Hermitian: eigenvalues are used, about twice as fast.
    return_info : bool, default False
        Also return what the cut-off decided.

    Returns
    -------
    B : array, shape (n, m) or (..., n, m)
        The pseudo-inverse.
    info : PinvInfo
        Only with ``return_info=True``: named tuple of ``rank``, how many singular values
        were kept, ``kept``, the smallest of these, and ``dropped``, the largest of the
        others, both in the units of A. Every cut-off from ``dropped`` up to below ``kept``
        gives the same B. Where none is kept, ``kept`` is inf; where none is dropped,
        ``dropped`` is 0. Numbers for a matrix, arrays of shape (...) for a stack.

    Raises
    ------
    ValueError
        NaN, Inf or a wrong shape; rtol outside [0, 1), atol negative or not finite;
        ``hermitian`` for a matrix that is not Hermitian to round-off,
        ``max(abs(A - A^H)) > 4 * sqrt(n) * eps * max(abs(A))``; A so small that B overflows.
    TypeError
        A dtype without meaning, a sparse matrix, a masked array.

    See Also
    --------
    best_factor : A^+ M without forming A^+: backward stable, and no slower for a few columns.

    Notes
    -----
    O(m n min(m, n)) operations, one reading of A. Relative error near ``eps * s_1 / s_r``,
    with s_r the smallest value kept. If some s_i are close to the cut-off, so is
    a jump of B: compare ``kept`` with ``dropped``.
    Derived in :ref:`pseudo-inverse-cut`, :prf:ref:`ridge-limit`; the algorithm is
    that of Golub and Kahan (1965).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import pinv
    >>> pinv([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    array([[0.5, 0. , 0. ],
           [0. , 0. , 0. ]])
    >>> A = np.diag([4.0, 0.5, 0.0])
    >>> pinv(A, return_info=True)[1]
    PinvInfo(rank=2, kept=0.5, dropped=0.0)
    >>> pinv(A, rtol=0.2, return_info=True)[1]
    PinvInfo(rank=1, kept=4.0, dropped=0.5)
    """
    A = as_matrix(A, stacked=True, empty=True, finite=False)
    e, atol = exponent_of(finite_peak(A, "A")), _check_atol(atol)
    if hermitian:
        check_hermitian(A)
    U, s, Vh = (_eigen_svd if hermitian else thin_svd)(shifted(A, -e))
    relative = cut_off(rtol, A) * s.max(-1, keepdims=True, initial=0)
    keep = s > np.maximum(np.ldexp(atol, -e[..., 0]), relative)
    reciprocals = np.divide(1, s, out=np.zeros_like(s), where=keep)
    B = (adjoint(Vh) * reciprocals[..., None, :]) @ adjoint(U)
    B = unscale_inverse(B, e)
    return (B, _decision(s, keep, e[..., 0, 0])) if return_info else B


# %% book/low_rank/pseudo_inverse.ipynb: _double_parts
def _double_parts(A, name, rtol):
    """`orthogonal_parts` in double precision, with the cut-off of the dtype that A has."""
    A = as_matrix(A, name, finite=False)
    return orthogonal_parts(A.astype(np.result_type(A, np.float64)), name, cut_off(rtol, A))


def _project(M, Q, W):
    """Q^H M W in one pass over M, with the thinner of the two; None stands for the identity."""
    if W is None or (Q is not None and Q.shape[1] < W.shape[1]):
        Y = adjoint(M.adjoint_apply(Q))
        return Y if W is None else Y @ W
    Y = M.apply(W)
    return Y if Q is None else adjoint(Q) @ Y


# %% book/low_rank/pseudo_inverse.ipynb: _check_fit
def _check_fit(name, lines, given, wanted):
    """Refuse a factor that does not fit M."""
    if given != wanted:
        raise ValueError(f"{name} has {given} {lines}; allowed is {wanted}, as M has")


# %% book/low_rank/pseudo_inverse.ipynb: best_factor
@np.errstate(all="ignore")
def best_factor(M, *, left=None, right=None, rtol=None):
    r"""The missing factor: the smallest U that minimises norm(left @ U @ right - M, "fro").

    Parameters
    ----------
    M : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        What the product should be.
    left : array, shape (m, c), optional
        The factor on the left, the identity if it is not given.
    right : array, shape (r, n), optional
        The factor on the right, the identity if it is not given. Give at least one of the two.
    rtol : float, optional
        Singular values of a factor up to ``rtol`` times its largest count as zero.
        Default, for each of the two, ``4 * sqrt(min(its shape)) * eps``.

    Returns
    -------
    U : array, shape (c, r), (c, n) or (m, r)
        left^+ M right^+.

    Raises
    ------
    ValueError
        No factor, shapes that do not fit, NaN or Inf, rtol outside [0, 1), or a result that
        overflows.
    TypeError
        A dtype without meaning; a LinearOperator without adjoint, where M^H is needed.

    See Also
    --------
    pinv : The same with M = I.

    Notes
    -----
    One pass over M, with min(c, r) vectors if both factors are given, and the
    SVD of each factor, O(m c^2 + n r^2). The condition numbers of the factors
    are never squared, and the product left @ U @ right is as close to M
    as round-off allows if it is evaluated as :ref:`skeleton-stable` says. The factors
    are decomposed and applied in double precision; the result has the dtype of the input.
    Derived in :ref:`pseudo-inverse-factor`, from :prf:ref:`least-squares-solutions`
    and :prf:ref:`two-sided`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import best_factor
    >>> t = np.arange(5.0)
    >>> best_factor((3 * t + 1)[:, None], left=np.column_stack([t, np.ones(5)])).round(6)
    array([[3.],
           [1.]])
    >>> M = np.outer([1.0, 2, 3], [4, 5])
    >>> best_factor(M, left=M[:, :1], right=M[:1]).round(6)     # one column, one row: 1 / M[0, 0]
    array([[0.25]])
    """
    if left is None and right is None:
        raise ValueError("left and right are both None; give at least one of them")
    M, Q, W = linear_map(M, "M"), None, None
    given = [as_matrix(F, name, finite=False) for F, name in ((left, "left"), (right, "right"))
             if F is not None]
    if left is not None:
        Q, s, Vh, e = _double_parts(left, "left", rtol)
        _check_fit("left", "rows", Q.shape[0], M.shape[0])
    if right is not None:
        P, t, Wh, f = _double_parts(right, "right", rtol)
        _check_fit("right", "columns", Wh.shape[1], M.shape[1])
        W = adjoint(Wh)
    U = _project(M, Q, W)
    shift = M.exponent or 0
    if left is not None:
        U, shift = adjoint(Vh) @ (U / s[:, None]), shift - e
    if right is not None:
        U, shift = (U / t) @ adjoint(P), shift - f
    dtype = np.result_type(M.dtype, *(F.dtype for F in given))
    return unscale_inverse(U.astype(dtype, copy=False), -shift, "left or right")


# %% book/low_rank/pseudo_inverse.ipynb: _first_iterate
def _first_iterate(A):
    """alpha A^H, with 1 / alpha an upper bound of s_1^2."""
    sums = (np.abs(A).sum(axis, dtype=np.float64).max().item() for axis in (0, 1))
    bound = min(double_norm(A)**2, math.prod(sums))
    return adjoint(A) / (bound or 1)


def _next_iterate(X, R, AX, order):
    """X + R + R E + ... + R E^(order - 2), with R = X - X A X and E = I - A X."""
    X = X + R
    for _ in range(order - 2):
        R = R - R @ AX
        X = X + R
    return X


# %% book/low_rank/pseudo_inverse.ipynb: _iteration_options
def _iteration_options(A, steps, tol, order):
    """steps, tol, order, checked, and the largest number of steps that can be of use."""
    eps = float(np.finfo(A.dtype).eps)
    tol = eps**0.5 if tol is None else check_tol(tol)
    order = check_count(order, "order", 2)
    if steps is not None:
        steps = check_count(steps, "steps", 0)
        return steps, tol, order, steps
    return None, tol, order, math.ceil(math.log(36 * min(A.shape) / eps**2, order))


# %% book/low_rank/pseudo_inverse.ipynb: NewtonSchulzInverse
class NewtonSchulzInverse(namedtuple("NewtonSchulzInverse", "X rank residual steps converged")):
    """What `pinv_newton_schulz` found: X, its rank, its relative residual, the steps taken."""

    __slots__ = ()


@np.errstate(all="ignore")
def pinv_newton_schulz(A, *, steps=None, tol=None, order=3):
    r"""The pseudo-inverse by products: X <- X + X E + ... + X E^(order - 1) with E = I - A X.

    Parameters
    ----------
    A : array, shape (m, n)
        The matrix.
    steps : int, optional
        Take this many steps: a soft cut-off, near ``s_1 * order**(-steps / 2)``. It takes
        fewer only if rounding errors have taken over.
        By default it stops where ``residual`` is smallest, once that was at most ``tol``.
    tol : float, default sqrt(eps)
        ``converged`` means ``residual <= tol``. Singular values below a gap of
        ``1 / tol`` to ``50 / tol`` are taken for zero.
    order : int >= 2, default 3
        Order of convergence, and number of products in a step, by Horner's rule. 3 takes
        the fewest in all, 2 is the method of Newton and Schulz.

    Returns
    -------
    NewtonSchulzInverse
        Named tuple of ``X`` (n, m); ``rank``, the trace of X A rounded, which counts the
        singular values found; ``residual``, norm(X - X A X, "fro") / norm(X, "fro");
        ``steps``; and ``converged``, which is False if no iterate reached ``tol``:
        the matrix is too ill-conditioned, or its singular values have no gap.

    Raises
    ------
    ValueError
        NaN, Inf, an empty matrix, an option out of range, or A so small that X overflows.
    TypeError
        A dtype without meaning, a sparse matrix, a masked array, or steps or order not an integer.

    See Also
    --------
    pinv : By the singular value decomposition, with a cut-off of your choice: the default choice.

    Notes
    -----
    At most ``order * (steps + 1) + 2`` products, on the smaller side of A; ``steps`` is
    near ``2 log(cond(A)) / log(order)``. The error is that of `pinv` up to a small factor
    if A has full rank. If not, it is near ``cond(A) * eps`` plus the
    ratio of the first singular value taken for zero to the last one kept.
    Derived in :ref:`pseudo-inverse-products`, :prf:ref:`hyperpower`,
    :prf:ref:`three-is-cheapest` and :prf:ref:`kernel-drift`; Ben-Israel and Cohen (1966).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import pinv_newton_schulz
    >>> result = pinv_newton_schulz([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    >>> result.X
    array([[0.5, 0. , 0. ],
           [0. , 0. , 0. ]])
    >>> result.rank, result.converged
    (1, True)
    """
    A = as_matrix(A)
    steps, tol, order, limit = _iteration_options(A, steps, tol, order)
    e = exponent_of(peak_of(A)).item()
    A, back = wide(shifted(A, -e))
    X, best = _first_iterate(A), None
    for k in range(limit + 1):
        AX = A @ X
        R = X - X @ AX
        residual = double_norm(R) / (double_norm(X) or 1)
        if not residual < 1:                                # only rounding errors are left
            break
        if steps is None and best and best.converged and residual > best.residual / 2:
            break
        if steps is not None or best is None or residual < best.residual:
            rank = round(float(np.trace(AX).real))
            best = NewtonSchulzInverse(X, rank, residual, k, residual <= tol)
        if k < limit:
            X = _next_iterate(X, R, AX, order)
    return best._replace(X=unscale_inverse(back(best.X), e))

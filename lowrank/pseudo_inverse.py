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
    exponent_of,
    finite_peak,
    peak_of,
    shifted,
    thin_svd,
)
from lowrank.linear_map import linear_map

__all__ = [
    "PenroseResiduals",
    "penrose_residuals",
    "pinv",
    "best_factor",
    "NewtonSchulzInverse",
    "pinv_newton_schulz",
]


# %% book/low_rank/pseudo_inverse.ipynb: PenroseResiduals
class PenroseResiduals(namedtuple("PenroseResiduals", "AXA XAX AX XA")):
    """Relative violations of the Penrose conditions: A X A = A, X A X = X, A X and X A Hermitian."""

    __slots__ = ()


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
    One pass over A, which is stored as an array; O(m n (m + n)) operations.
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
    AX, XA = A @ X, X @ A

    def relative(D, whole):
        size = np.linalg.norm(whole)
        value = float(np.linalg.norm(D) / size) if size else 0.0
        return math.inf if math.isnan(value) else value

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):    # X may be far off
        return PenroseResiduals(
            relative(shifted(unit(AX), f) @ A - A, A), relative(shifted(unit(XA), f) @ X - X, X),
            relative(AX.conj().T - AX, AX), relative(XA.conj().T - XA, XA))


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
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        X = shifted(X, -e)
    if not np.isfinite(X).all():
        raise ValueError(f"{name} is so small that the result overflows {X.dtype}; "
                         f"multiply {name} by a power of two c, which divides the result by c")
    return X


# %% book/low_rank/pseudo_inverse.ipynb: pinv
def pinv(A, *, rtol=None, atol=None, hermitian=False, return_rank=False):
    r"""The pseudo-inverse: the B of smallest norm among those that minimise norm(A B - I, "fro").

    Parameters
    ----------
    A : array, shape (m, n) or (..., m, n)
        A matrix or a stack of matrices. May have no rows or no columns.
    rtol, atol : float, optional
        Singular values up to ``max(atol, rtol * s_1)`` count as zero. Defaults:
        ``rtol = max(m, n) * eps`` of the dtype, ``atol = 0``.
    hermitian : bool, default False
        Say that A is Hermitian: eigenvalues are used, about twice as fast.
    return_rank : bool, default False
        Also return how many singular values were kept.

    Returns
    -------
    B : array, shape (n, m) or (..., n, m)
        The pseudo-inverse.
    rank : int, or int array of shape (...)
        Only with ``return_rank``.

    Raises
    ------
    ValueError
        NaN, Inf or a wrong shape; rtol outside [0, 1), atol negative or not finite;
        ``hermitian`` for a matrix that is not Hermitian to round-off,
        ``max(abs(A - A^H)) > n * eps * max(abs(A))``; entries of A so small that B overflows.
    TypeError
        A dtype without meaning, a sparse matrix, a masked array.

    See Also
    --------
    best_factor : A^+ M without forming A^+: backward stable, and no slower for a few columns.

    Notes
    -----
    O(m n min(m, n)) operations, one reading of A. Relative error near ``eps * s_1 / s_r``,
    with s_r the smallest value kept. If some s_i are close to the cut-off, so is
    a jump of B: look at the rank.
    Derived in :ref:`pseudo-inverse-cut`, :prf:ref:`ridge-limit`; the algorithm is
    that of Golub and Kahan (1965).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import pinv
    >>> pinv([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    array([[0.5, 0. , 0. ],
           [0. , 0. , 0. ]])
    >>> A = np.diag([1.0, 1e-3, 1e-9])
    >>> pinv(A, return_rank=True)[1], pinv(A, rtol=1e-6, return_rank=True)[1]
    (3, 2)
    """
    A = as_matrix(A, stacked=True, empty=True, finite=False)
    peak = finite_peak(A, "A")
    e = exponent_of(peak)
    atol = 0.0 if atol is None else check_number(
        atol, "atol", "None or a number with 0 <= atol < inf", lambda value: 0 <= value < math.inf)
    if hermitian:
        check_hermitian(A)
        s, V = np.linalg.eigh(shifted(A, -e))            # A = V diag(s) V^H, where s may be negative
        U, Vh = V, adjoint(V)
    else:
        U, s, Vh = thin_svd(shifted(A, -e))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        size, atol = np.abs(s), np.ldexp(atol, -e[..., 0])
        keep = size > np.maximum(atol, cut_off(rtol, A) * size.max(-1, keepdims=True, initial=0))
        inverse = np.divide(1, s, out=np.zeros_like(s), where=keep)
        B = (adjoint(Vh) * inverse[..., None, :]) @ adjoint(U)
    B, rank = unscale_inverse(B, e), keep.sum(-1)
    return (B, rank if A.ndim > 2 else int(rank)) if return_rank else B


# %% book/low_rank/pseudo_inverse.ipynb: best_factor
def _project(M, Q, W):
    """Q^H M W in one pass over M, with the thinner of the two; None stands for the identity."""
    if W is None or (Q is not None and Q.shape[1] < W.shape[1]):
        Y = M.adjoint_apply(Q).conj().T
        return Y if W is None else Y @ W
    Y = M.apply(W)
    return Y if Q is None else Q.conj().T @ Y


def best_factor(M, *, left=None, right=None, rtol=None):
    r"""The missing factor: the U of smallest norm that minimises norm(left @ U @ right - M, "fro").

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
        Default, for each of the two, ``max(its shape) * eps``.

    Returns
    -------
    U : array, shape (c, r), (c, n) or (m, r)
        left^+ M right^+.

    Raises
    ------
    ValueError
        No factor, shapes that do not fit, NaN or Inf, rtol outside [0, 1), a result that overflows.
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
    as round-off allows if it is evaluated as :ref:`pseudo-inverse-breaks` says.
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
    if left is not None:
        Q, s, Vh, e = orthogonal_parts(left, "left", rtol)
        if Q.shape[0] != M.shape[0]:
            raise ValueError(f"left has {Q.shape[0]} rows; allowed is {M.shape[0]}, as M has")
    if right is not None:
        P, t, Wh, f = orthogonal_parts(right, "right", rtol)
        W = Wh.conj().T
        if W.shape[0] != M.shape[1]:
            raise ValueError(f"right has {W.shape[0]} columns; allowed is {M.shape[1]}, as M has")
    U = _project(M, Q, W)
    shift = M.exponent or 0
    if left is not None:
        U, shift = Vh.conj().T @ (U / s[:, None]), shift - e
    if right is not None:
        U, shift = (U / t) @ P.conj().T, shift - f
    return unscale_inverse(U, -shift, "left or right")


# %% book/low_rank/pseudo_inverse.ipynb: NewtonSchulzInverse
class NewtonSchulzInverse(namedtuple("NewtonSchulzInverse", "X rank residual steps converged")):
    """What `pinv_newton_schulz` found: X, its rank, its relative residual, the steps taken."""

    __slots__ = ()


def pinv_newton_schulz(A, *, steps=None, tol=None, order=3):
    r"""The pseudo-inverse by products: X <- X + E X + ... + E^(order - 1) X with E = I - X A.

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
        Order of convergence, and number of products in a step. 3 takes the fewest
        products, 2 is the method of Newton and Schulz.

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
    eps = float(np.finfo(A.dtype).eps)
    tol = eps**0.5 if tol is None else check_tol(tol)
    order = check_count(order, "order", 2)
    limit = None if steps is None else check_count(steps, "steps", 0)
    e = exponent_of(peak_of(A)).item()
    A = shifted(A, -e)
    if wide := A.shape[0] < A.shape[1]:
        A = A.conj().T
    bound = min(np.linalg.norm(A)**2, np.linalg.norm(A, 1) * np.linalg.norm(A, np.inf))  # >= s_1^2
    X = A.conj().T / (bound or 1)
    if limit is None:                                       # as many as a value of eps s_1 needs
        limit = math.ceil(math.log(36 * A.shape[1] / eps**2, order))

    best = None
    for k in range(limit + 1):
        Y = X @ A
        R = X - Y @ X
        residual = float(np.linalg.norm(R) / (np.linalg.norm(X) or 1))
        if not residual < 1:                                # only rounding errors are left
            break
        if steps is None and best and best.converged and residual > best.residual / 2:
            break
        if steps is not None or best is None or residual < best.residual:
            rank = round(float(np.trace(Y).real))
            best = NewtonSchulzInverse(X, rank, residual, k, residual <= tol)
        if k < limit:
            X = X + R
            for _ in range(order - 2):
                R = R - Y @ R
                X = X + R
    return best._replace(X=unscale_inverse(best.X.conj().T if wide else best.X, e))

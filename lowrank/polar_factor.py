r"""The polar factor and its derivative.

$A=U\Sigma V^{\mathsf H}$ of rank $r$ has $\operatorname{msign}A=U_rV_r^{\mathsf H}$; which way to
it is right for which matrix, how does one know that the answer is good, and what is the derivative
of $A\mapsto\operatorname{msign}A$?

Generated from book/matrix_sign/polar_factor.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np
import scipy.linalg
from array_api_compat import array_namespace, device, is_numpy_array

from lowrank.arguments import check_choice, check_tol, refuse_options
from lowrank.arrays import (
    adjoint,
    as_stack,
    cut_off,
    frobenius_norm,
    matching,
    may_hold,
    peak_of,
    power_of_two,
    rescaled,
    safe_divisor,
    thin_svd,
    wide,
)
from lowrank.newton_schulz import (
    NORMALIZE,
    check_schedule,
    gram_form,
    linear_combination,
    matrix_polynomial,
    normalized,
    orthogonality_defect,
    pade_step,
    plain_form,
)
from lowrank.polar_express import (
    check_degrees,
    check_range,
    count_products,
    optimal_msign_schedule,
)

__all__ = ["SignInfo", "msign", "msign_jvp", "msign_vjp"]


# %% book/matrix_sign/polar_factor.ipynb: _isometry
def _isometry(U, s, Vh, rtol):
    """U V^H of the singular values above rtol s_1."""
    kept = array_namespace(s).astype(s > rtol * s[..., :1], U.dtype)
    return (U * kept[..., None, :]) @ Vh


def _by_svd(X, rtol):
    """The partial isometry of a wide X; of a long NumPy matrix by its triangular factor."""
    if not is_numpy_array(X) or X.ndim > 2:
        return _isometry(*thin_svd(X), rtol)
    Q = None
    if 2 * X.shape[1] >= 3 * X.shape[0]:
        Q, R = scipy.linalg.qr(adjoint(X), mode="economic", check_finite=False)
        X = adjoint(R)
    X = _isometry(*scipy.linalg.svd(X, full_matrices=False, check_finite=False), rtol)
    return X if Q is None else X @ adjoint(Q)


# %% book/matrix_sign/polar_factor.ipynb: _robust_schedule
_MARGINS = {16: 2e-2, 32: 1e-4, 64: 1e-6}           # far above the rounding errors of a step


def _robust_schedule(X, degree, lower, cushion, **stop):
    """A schedule with a cushion, and a margin that suits the dtype of X."""
    safety = _MARGINS[array_namespace(X).finfo(X.dtype).bits]
    return optimal_msign_schedule(degree=degree, lower=lower, cushion=cushion, safety=safety,
                                  **stop)


def _worst_bound(Y):
    """The largest |s - 1| that d = norm(I - Y, "fro") allows for any matrix of the stack."""
    d = frobenius_norm(linear_combination((1.0, -1.0), [Y]))
    d = float(array_namespace(d).max(d)) if 0 not in d.shape else 0.0
    return d / (1 + math.sqrt(1 - d)) if d < 1 else math.inf


def _until(X, powers, schedule, tol):
    """(X, taken): the steps of a schedule, then Padé's, until |s - 1| <= tol or no progress."""
    taken, pade = [], pade_step(2 * len(schedule[-1]) - 1)
    for c, promised in zip(schedule, (math.inf, *schedule.errors)):
        powers = powers or [X @ adjoint(X)]
        if _worst_bound(powers[0]) < max(promised, tol):    # nearer than the schedule knows
            break
        X, powers = matrix_polynomial(powers[0], c, powers) @ X, ()
        taken.append(c)
    limit = math.inf
    while True:
        powers = powers or [X @ adjoint(X)]
        bound = _worst_bound(powers[0])
        if not tol < bound < limit:
            return X, taken
        X, powers = matrix_polynomial(powers[0], pade, powers) @ X, ()
        taken.append(pade)
        limit = bound / 2 if bound < 0.25 else bound


# %% book/matrix_sign/polar_factor.ipynb: _qdwh_weights
def _qdwh_weights(l):
    """a, b, c of the best x (a + b x^2) / (1 + c x^2) on [l, 1]."""
    d = (4 * (1 - l * l) / l**4)**(1 / 3)
    root = math.sqrt(1 + d)
    a = root + math.sqrt(8 - 4 * d + 8 * (2 - l * l) / (l * l * root)) / 2
    b = (a - 1)**2 / 4
    return a, b, a + b - 1


# %% book/matrix_sign/polar_factor.ipynb: _solve
def _solve(Z, B):
    """Z^(-1) B for Hermitian Z > 0."""
    if is_numpy_array(Z) and Z.ndim == 2:
        return scipy.linalg.cho_solve(scipy.linalg.cho_factor(Z), B)
    return array_namespace(Z).linalg.solve(Z, B)


def _qdwh_step(X, a, b, c):
    """X (a I + b X^H X) (I + c X^H X)^(-1) for tall X: by QR if c is large, or by Cholesky."""
    xp, n = array_namespace(X), X.shape[-1]
    if c <= 100:
        Z = linear_combination((1.0, c), [adjoint(X) @ X])
        return b / c * X + (a - b / c) * adjoint(_solve(Z, adjoint(X)))
    I = linear_combination((1.0, 0.0), [X[..., :n, :]])
    Q = xp.linalg.qr(xp.concat([math.sqrt(c) * X, I], axis=-2)).Q
    return b / c * X + (a - b / c) / math.sqrt(c) * Q[..., :-n, :] @ adjoint(Q[..., -n:, :])


def _by_qdwh(X, lower):
    """(X, steps, products) for wide X with singular values up to 1."""
    X, Q, count = adjoint(X), None, 0
    eps = float(array_namespace(X).finfo(X.dtype).eps)
    if is_numpy_array(X) and X.ndim == 2:                   # X = Q R, and R tells a bound
        Q, R = scipy.linalg.qr(X, mode="economic", check_finite=False)
        if lower is None:
            inverse, failed = scipy.linalg.get_lapack_funcs("trtri", (R,))(R)
            lower = 0.0 if failed else 0.99 / float(np.linalg.norm(np.triu(inverse)))
        X = R
    l = max(4 * eps, lower or 0.0)                          # what is smaller counts as noise
    while 1 - l > 8 * eps:
        a, b, c = _qdwh_weights(l)
        X = _qdwh_step(X, a, b, c)
        l = min(1.0, l * (a + b * l * l) / (1 + c * l * l))
        count += 1
    return adjoint(X if Q is None else Q @ X), count, count


# %% book/matrix_sign/polar_factor.ipynb: SignInfo
_METHODS = ("auto", "svd", "polynomial", "gram", "qdwh")


def _automatic(A, fixed):
    """The method that "auto" stands for; fixed: how many steps were given, or None."""
    half = array_namespace(A).finfo(A.dtype).bits == 16
    short, long = sorted(A.shape[-2:])
    if fixed is not None:
        return "gram" if long >= 3 * short and fixed > 2 and not half else "polynomial"
    return "polynomial" if half or "cpu" not in str(device(A)).lower() else "svd"


def _gram_products(schedule, restart=3):
    """Products of the Gram form, small and large ones."""
    return sum(count_products(c) + 1 for c in schedule) - math.ceil(len(schedule) / restart)


class SignInfo(namedtuple("SignInfo", "bound hermitian steps products converged")):
    """What is known about a result X of `msign`; see there."""

    __slots__ = ()


def _certify(A, X, isometry, tol):
    """bound, hermitian, converged for wide A and X."""
    xp = array_namespace(A)
    A = A / power_of_two(peak_of(A))
    H = A @ adjoint(X)
    hermitian = (frobenius_norm(H - adjoint(H)) / safe_divisor(frobenius_norm(A)))[..., 0, 0]
    if isometry:                                            # values near 0 are right too
        P = X @ adjoint(X)
        d = 4 * frobenius_norm(P - P @ P)
        certain = d < 1
        d = xp.where(certain, d, xp.zeros_like(d))
        gap = d / (2 * (1 + xp.sqrt(1 - d)))                # 1 - s^2 at most
        bound = xp.where(certain, gap / (1 + xp.sqrt(1 - gap)), math.inf)
    else:
        bound = orthogonality_defect(X)[1]
    bound = bound[..., 0, 0]
    return bound, hermitian, xp.isfinite(bound) if tol is None else bound <= tol


# %% book/matrix_sign/polar_factor.ipynb: msign
def _by_products(X, method, tol, schedule, steps, lower, degree, normalize):
    """(X, steps, products) for wide X by a schedule, a number of steps, or down to tol."""
    info = array_namespace(X).finfo(X.dtype)
    if schedule is None and steps is not None:
        lower = 1e-3 if lower is None else lower
        schedule = _robust_schedule(X, degree, lower, 0.02, steps=steps)
    if schedule is not None:
        X, powers = normalized(X, normalize)
        if method == "gram":
            return gram_form(X, schedule, powers, 3), len(schedule), _gram_products(schedule)
        return plain_form(X, schedule, powers), len(schedule), sum(map(count_products, schedule))
    if method == "gram":
        raise ValueError("schedule and steps are both None; method='gram', which squares the "
                         "condition number, needs one of them")
    if lower is None:
        lower = 1e-3 if info.bits == 16 else 4 * float(info.eps)
    schedule = _robust_schedule(X, degree, lower, 0.1, tol=float(info.eps))
    X, taken = _until(*normalized(X, normalize), schedule, tol)
    return X, len(taken), sum(map(count_products, taken))


def msign(A, *, method="auto", tol=None, rtol=None, schedule=None, steps=None, lower=None,
          degree=5, normalize="schatten8", return_info=False):
    r"""U_r V_r^H for A = U S V^H of rank r: every singular value above zero becomes 1.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    method : {"auto", "svd", "polynomial", "gram", "qdwh"}
        "svd" is exact for every rank. "polynomial" takes matrix products alone, "gram" takes
        them in the Gram form of `apply_schedule`, "qdwh" takes QR and Cholesky
        decompositions. "auto" follows the table in :ref:`polar-factor-auto`: "svd" on a
        processor; products where a schedule or steps are given, for 16 bits, and on an
        accelerator.
    tol : float, optional
        "polynomial" stops as soon as abs(s - 1) <= tol is certified for every singular value
        of the result. ``converged`` means ``bound <= tol``. Default
        ``min(16 * sqrt(min(m, n)) * eps, 0.5)``, where it aims lower; with ``schedule`` or
        ``steps`` none, and ``converged`` means that the bound is finite.
    rtol : float, optional
        "svd" only: singular values up to ``rtol * s_1`` count as zero. Default
        ``max(m, n) * eps``, for 16 bits with the eps of float32.
    schedule : sequence of sequences of float, optional
        Take exactly these steps, such as those of `optimal_msign_schedule`.
    steps : int, optional
        Take so many steps of a schedule for ``lower``, with a cushion of 0.02 and a margin for
        the dtype.
    lower : float, optional
        A lower bound of the singular values of A / b, with b by ``normalize``. Default 1e-3 for
        ``steps`` and for 16 bits, else ``4 * eps``; "qdwh" computes it for a NumPy matrix.
    degree : int or sequence of int, default 5
        Degree of the steps that ``steps`` or ``tol`` choose.
    normalize : {"frobenius", "schatten4", "schatten8", False}
        The bound b of s_1, as in `apply_schedule`. For all methods but "svd".
    return_info : bool, default False
        Also return what is known about the result.

    Returns
    -------
    X : array, shape (..., m, n)
        Of the same library, dtype and device as A. A zero matrix gives zero.
    info : SignInfo
        Only with ``return_info``. ``bound`` certifies abs(s - 1) for every singular value of X,
        from d = norm(I - X X^H); it is Inf where d >= 1. After "svd" it concerns those near 1.
        ``hermitian`` is norm(H - H^H) / norm(A), H = A X^H: d alone does not show that X
        belongs to this A. Both have shape (...), and so has ``converged``. ``steps`` and
        ``products`` are counts, without the products of the certificate.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; an option out of range, or one that the method does not
        take; a schedule that diverges on A.
    TypeError
        A dtype without meaning; 16 bits with "qdwh".

    Notes
    -----
    Of a matrix of rank r < min(m, n), only "svd" gives a partial isometry: products and "qdwh"
    bring null directions back as anything between 0 and 1, and ``converged`` is False.
    The backward error is near eps, ten times that for degree 9; the forward error of every
    method is near ``eps * s_1 / s_n``.
    With ``schedule`` or ``steps`` the function is differentiable and fit for ``vmap`` and
    ``jit``. Everything else looks at values.
    Derived in :ref:`polar-factor-methods`, :prf:ref:`certified-stop` and :prf:ref:`qdwh-step`;
    Su (2025b), Nakatsukasa, Bai and Gygi (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import msign
    >>> A = np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    >>> msign(A)
    array([[0.6, 0. , 0.8],
           [0. , 0. , 0. ]])
    >>> X, info = msign(np.diag([4.0, 2.0, 1.0]), steps=6, return_info=True)
    >>> info.products, bool(info.converged), float(info.bound) < 0.01
    (18, True, True)
    """
    xp, A = as_stack(A)
    check_choice(method, "method", _METHODS)
    check_choice(normalize, "normalize", NORMALIZE)
    fixed = steps if schedule is None else len(schedule := check_schedule(schedule))
    if method == "auto":
        method = "svd" if rtol is not None else _automatic(A, fixed)
    if method != "svd":
        refuse_options(f"method={method!r}", rtol=rtol)
    if method in ("svd", "qdwh"):
        refuse_options(f"method={method!r}", schedule=schedule, steps=steps)
    if method == "qdwh" and xp.finfo(A.dtype).bits == 16:
        raise TypeError(f"A has dtype {A.dtype}; method='qdwh' takes 32 and 64 bits")
    if schedule is not None:
        refuse_options("a given schedule", steps=steps, lower=lower)
    if lower is not None:
        check_range(lower, 1.0)
    check_degrees(degree)
    if tol is not None:
        goal = tol = check_tol(tol)
    else:
        goal = min(4 * min(A.shape[-2:])**0.5 * float(xp.finfo(A.dtype).eps), 1 / 8)
        tol = 4 * goal if fixed is None else None

    (A, back), count = wide(A), (0, 0)
    with np.errstate(all="ignore"):                         # what is not finite is reported
        if 0 in A.shape[-2:]:
            X = xp.zeros_like(A)
        elif method == "svd":
            X = _by_svd(A / power_of_two(peak_of(A)), cut_off(rtol, A))
        elif method == "qdwh":
            X, *count = _by_qdwh(normalized(A, normalize)[0], lower)
        else:
            X, *count = _by_products(A, method, goal, schedule, steps, lower, degree, normalize)
    if not may_hold(xp.all(xp.isfinite(X))):
        raise ValueError(f"the iteration diverged: with normalize={normalize!r} A has a "
                         "singular value above 1")
    if return_info:
        bound, hermitian, converged = _certify(A, X, method == "svd", tol)
        info = SignInfo(bound, hermitian, *count, converged)
    return (back(X), info) if return_info else back(X)


# %% book/matrix_sign/polar_factor.ipynb: msign_jvp
def _derivative(A, G, name, rtol):
    """U (F - F^H)_ij / (s_i + s_j) V^H for F = U^H G V, and what the longer side of A adds."""
    xp, A = as_stack(A)
    G = matching(G, name, A)
    if 0 in A.shape[-2:]:
        return xp.zeros_like(G)
    a, g = power_of_two(peak_of(A)), power_of_two(peak_of(G))
    U, s, Vh = thin_svd(xp.astype(A, G.dtype, copy=False) / a)
    if not may_hold(xp.all(s[..., -1] > cut_off(rtol, A) * s[..., 0])):
        raise ValueError("A has a singular value of at most rtol * s_1, where msign has no "
                         "derivative")
    G, s = G / g, s[..., None]
    GV, UhG = G @ adjoint(Vh), adjoint(U) @ G
    F = UhG @ adjoint(Vh)
    X = U @ ((F - adjoint(F)) / (s + s.mT)) @ Vh
    if A.shape[-2] > A.shape[-1]:
        X = X + ((GV - U @ F) / s.mT) @ Vh
    if A.shape[-2] < A.shape[-1]:
        X = X + U @ ((UhG - F @ Vh) / s)
    return rescaled(X, g, a)


def msign_jvp(A, dA, *, rtol=None):
    r"""X with msign(A + t dA) = msign(A) + t X + O(t^2): the derivative in the direction dA.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, of full rank.
    dA : array, shape (..., m, n)
        The direction.
    rtol : float, optional
        Singular values up to ``rtol * s_1`` are refused. Default ``max(m, n) * eps``.

    Returns
    -------
    array, shape (..., m, n)

    Raises
    ------
    ValueError
        NaN, Inf or shapes that differ; an A with a singular value of at most ``rtol * s_1``.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    See Also
    --------
    msign_vjp : The adjoint of this map, which is the same map.

    Notes
    -----
    One SVD and six products. Equal singular values do no harm: the divisors are sums.
    Its largest possible value is ``2 / (s_n + s_(n-1))`` for a real square A, else ``1 / s_n``.
    Derived in :ref:`polar-factor-derivative`, :prf:ref:`msign-derivative`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import msign_jvp
    >>> msign_jvp(2 * np.eye(2), np.array([[7.0, 1.0], [-1.0, 5.0]]))     # a rotation sets in
    array([[ 0. ,  0.5],
           [-0.5,  0. ]])
    """
    return _derivative(A, dA, "dA", rtol)


def msign_vjp(A, G, *, rtol=None):
    r"""The gradient of Re tr(G^H msign(A)) with respect to A: the derivative pulled back.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, of full rank.
    G : array, shape (..., m, n)
        The gradient with respect to msign(A). For complex matrices the one that PyTorch uses,
        f(X + dX) = f(X) + Re tr(G^H dX); JAX has its conjugate.
    rtol : float, optional
        As for `msign_jvp`.

    Returns
    -------
    array, shape (..., m, n)

    Raises
    ------
    ValueError, TypeError
        As for `msign_jvp`.

    Notes
    -----
    The derivative is self-adjoint, so this is `msign_jvp` with G in the place of dA.
    Derived in :ref:`polar-factor-derivative`, :prf:ref:`msign-self-adjoint`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import msign_vjp
    >>> A = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> msign_vjp(A, np.array([[0.0, 3.0], [0.0, 0.0], [4.0, 5.0]]))
    array([[ 0.,  1.],
           [-1.,  0.],
           [ 2.,  5.]])
    """
    return _derivative(A, G, "G", rtol)

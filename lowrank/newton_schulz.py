r"""The matrix sign by products.

Which matrix with orthonormal rows is closest to $A$, $\min_{XX^{\mathsf H}=I}\lVert X-A\rVert_F$,
and how near to it do we come with matrix products alone?

Generated from book/matrix_sign/newton_schulz.ipynb; edit the chapter.
"""

import math
from collections import namedtuple
from functools import reduce
from operator import add

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from scipy.linalg import get_blas_funcs

from lowrank.arguments import check_choice, check_count
from lowrank.arrays import (
    adjoint,
    as_stack,
    check_hermitian,
    frobenius_norm,
    matching,
    may_hold,
    peak_of,
    power_of_two,
    safe_divisor,
    wide,
)

__all__ = [
    "pade_step",
    "schatten_norm",
    "apply_schedule",
    "PolarResiduals",
    "polar_residuals",
    "NewtonSchulzRoot",
    "sqrtm_newton_schulz",
]


# %% book/matrix_sign/newton_schulz.ipynb: pade_step
def pade_step(degree):
    r"""The odd p of degree 2 q + 1 with 1 - p(x) = O((1 - x)^(q + 1)): p'(x) = c (1 - x^2)^q.

    Parameters
    ----------
    degree : int
        Odd, at least 3.

    Returns
    -------
    tuple of float
        The coefficients c_1, c_3, ... in ascending odd powers. They are integers over 4^q;
        up to degree 31 the floats are exact.

    Raises
    ------
    ValueError
        An even degree, or one below 3.
    TypeError
        A degree that is not an integer.

    Notes
    -----
    Singular values in (0, r) converge to 1 with order q + 1, where r is sqrt(3) for
    degree 3 and sqrt(7/3) for degree 5.
    Derived in :ref:`newton-schulz-pade`, :prf:ref:`pade-closed-form` and
    :prf:ref:`pade-basin`; Kenney and Laub (1991).

    Examples
    --------
    >>> from lowrank import pade_step
    >>> pade_step(3), pade_step(5)
    ((1.5, -0.5), (1.875, -1.25, 0.375))
    """
    degree = check_count(degree, "degree", 3)
    if degree % 2 == 0:
        raise ValueError(f"degree is {degree}; allowed is an odd integer from 3")
    q = degree // 2
    c = degree * math.comb(2 * q, q)
    return tuple((-1)**j * (c * math.comb(q, j) // (2 * j + 1)) / 4**q for j in range(q + 1))


# %% book/matrix_sign/newton_schulz.ipynb: normalized
def normalized(X, normalize):
    """X / b with a bound b >= s_1, and the powers of X X^H / b^2 that are known on the way."""
    if not normalize:
        return X, ()
    xp = array_namespace(X)
    X = X / power_of_two(peak_of(X))
    if xp.finfo(X.dtype).bits == 16:                        # squares may add up to too much
        X = X / 2.0**(max(1, X.shape[-1]).bit_length() // 2)
    Y = X @ adjoint(X)
    trace = xp.real(xp.linalg.trace(Y))[..., None, None]
    b2 = safe_divisor(trace if normalize == "frobenius" else frobenius_norm(Y))
    powers = [Y / b2]
    if normalize == "schatten8":
        Y2 = powers[0] @ adjoint(powers[0])
        c = safe_divisor(frobenius_norm(Y2))**0.5
        b2, powers = b2 * c, [powers[0] / c, Y2 / c**2]
    return X / b2**0.5, powers


# %% book/matrix_sign/newton_schulz.ipynb: schatten_norm
@np.errstate(all="ignore")
def schatten_norm(A, p=4):
    r"""The Schatten norm (s_1^p + s_2^p + ...)^(1/p) by products: a bound of s_1 = norm(A, 2).

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    p : {2, 4, 8, 16, 32, 64}
        The order: 2 is the Frobenius norm, and every doubling costs one product.

    Returns
    -------
    array, shape (...)
        The norm b of each matrix, with ``s_1 <= b <= min(m, n)**(1/p) * s_1``.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; another p.
    TypeError
        A dtype without meaning, or p not an integer.

    Notes
    -----
    Products of the smaller side: O(m n min(m, n)) operations. Safe for entries of any
    size; Inf if the norm is above the largest number of the dtype.
    Derived in :ref:`newton-schulz-normalise`, :prf:ref:`schatten-bounds`; Su (2025b).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import schatten_norm
    >>> A = np.diag([2.0, 1.0, 1.0, 1.0])
    >>> [round(float(schatten_norm(A, p)), 3) for p in (2, 4, 8)]
    [2.646, 2.088, 2.003]
    """
    p = check_count(p, "p", 2)
    if p not in (2, 4, 8, 16, 32, 64):
        raise ValueError(f"p is {p}; allowed is a power of two from 2 to 64")
    X = as_stack(A)[1]
    unit = power_of_two(peak_of(X))
    X = X / unit
    b = frobenius_norm(X)
    X = wide(X)[0] / safe_divisor(b)
    for k in range(1, p.bit_length() - 1):
        X = X @ adjoint(X)
        c = safe_divisor(frobenius_norm(X))
        X, b = X / c, b * c**(0.5**k)
    return (b * unit)[..., 0, 0]


# %% book/matrix_sign/newton_schulz.ipynb: linear_combination
def linear_combination(c, P):
    """c_0 I + c_1 P_1 + c_2 P_2 + ..., for square matrices P_1, P_2, ..."""
    if is_numpy_array(P[0]) and P[0].size:                  # the same with one temporary array
        H = np.multiply(c[1], P[0], order="C")
        for factor, F in zip(c[2:], P[1:]):
            get_blas_funcs("axpy", (H,))(F.ravel(), H.ravel(), a=factor)
        np.einsum("...ii->...i", H)[...] += c[0]
        return H
    xp = array_namespace(P[0])
    I = xp.eye(P[0].shape[-1], dtype=P[0].dtype, device=device(P[0]))
    return reduce(add, (factor * F for factor, F in zip(c[1:], P)), c[0] * I)


def matrix_polynomial(Y, c, powers=()):
    """c_0 I + c_1 Y + ... + c_q Y^q for Hermitian Y; its first powers may be known."""
    q, P = len(c) - 1, list(powers) or [Y]
    scheme = three_products(c) if q == 8 else None
    size = 2 if scheme else min(range(min(q, 2), q + 1), key=lambda s: s - 1 + (q - 1) // s)
    while len(P) < size:
        P.append(P[-1] @ (Y if len(P) > 1 else adjoint(Y)))
    if scheme:
        return _degree_eight(c, *P[:2], *scheme)
    top = (q - 1) // size * size
    H = linear_combination(c[top:], P)
    for k in range(top - size, -1, -size):
        H = linear_combination(c[k:k + size], P) + P[size - 1] @ H
    return H


# %% book/matrix_sign/newton_schulz.ipynb: three_products
def three_products(c):
    """The numbers `_degree_eight` needs for c_0 + ... + c_8 y^8, or None if it cannot be used."""
    sign = math.copysign(1.0, c[8])
    b3, b4, b5, b6, b7, b8 = (sign * x for x in c[3:])
    r = math.sqrt(b8)
    t = b7 / (2 * r) if r else 0.0
    if t == 0:
        return None
    g = (b6 - t * t) / r
    u = (b5 - g * t) / r
    half = (g - r * u / t) / 2
    square = half * half - b4 + u * t + r * b3 / t
    if not square >= 0:
        return None
    e = half - math.copysign(math.sqrt(square), half)
    d, f = g - e, (b3 - u * e) / t
    size = (r + abs(t) + abs(d) + abs(u)) * (r + abs(t) + abs(e)) + abs(f) * (r + abs(t))
    whole = sum(map(abs, c))
    safe = size <= 2 * whole and abs(d * e + u * t + f * r - b4) <= 1e-15 * whole
    return (r, t, d, u, e, f, sign) if safe else None


def _degree_eight(c, Y, Y2, r, t, d, u, e, f, sign):
    """c_0 I + ... + c_8 Y^8 from Y and Y^2 by two more products."""
    Z = Y2 @ (r * Y2 + t * Y)
    W = (Z + d * Y2 + u * Y) @ (Z + e * Y2)
    return linear_combination((*c[:3], sign * f, sign), [Y, Y2, Z, W])


# %% book/matrix_sign/newton_schulz.ipynb: plain_form
def plain_form(X, schedule, powers):
    """X <- h(X X^H) X, step by step."""
    for c in schedule:
        H = matrix_polynomial(powers[0] if powers else X @ adjoint(X), c, powers)
        X, powers = H @ X, ()
    return X


def gram_form(X, schedule, powers, restart):
    """The same by products of R = X X^H, which is computed anew every `restart` steps."""
    for start in range(0, len(schedule), restart):
        R, Q = powers[0] if powers else X @ adjoint(X), None
        part = schedule[start:start + restart]
        for t, c in enumerate(part, 1):
            H = matrix_polynomial(R, c, powers)
            Q, powers = H if Q is None else H @ Q, ()
            if t < len(part):
                R = (H @ R) @ adjoint(H)
        X = Q @ X
    return X


# %% book/matrix_sign/newton_schulz.ipynb: check_schedule
NORMALIZE = ("frobenius", "schatten4", "schatten8", False)
_FORMS = ("auto", "plain", "gram")


def check_schedule(schedule):
    """The steps as tuples of at least two floats."""
    allowed = "a sequence of steps, each a sequence of finite numbers c_1, c_3, ..."
    try:
        steps = [tuple(float(c) for c in step) for step in schedule]
    except (TypeError, ValueError):
        raise ValueError(f"schedule is {schedule!r}; allowed is {allowed}") from None
    for t, step in enumerate(steps):
        if not step or not all(map(math.isfinite, step)):
            raise ValueError(f"step {t} of schedule is {step}; allowed is {allowed}")
    return [step if len(step) > 1 else (*step, 0.0) for step in steps]


# %% book/matrix_sign/newton_schulz.ipynb: apply_schedule
@np.errstate(all="ignore")
def apply_schedule(A, schedule, *, normalize="frobenius", form="auto", restart=3):
    r"""U p(S) V^H, where A / b = U S V^H with b >= norm(A, 2), and p = p_T o ... o p_1 is odd.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    schedule : sequence of sequences of float
        The steps p_1, ..., p_T. Each is c_1, c_3, ..., its coefficients in ascending odd
        powers. Plain numbers, of any odd degree.
    normalize : {"frobenius", "schatten4", "schatten8", False}
        The bound b: the Schatten norm of order 2, 4 or 8, or b = 1. With a norm, the result
        stays the same when A is multiplied by a positive number.
    form : {"auto", "plain", "gram"}
        "plain" multiplies X at every step. "gram" works on the small Gram matrix: faster
        where one side is much longer, and less accurate. "auto" is "gram" for at least three
        steps on ``max(m, n) >= 3 * min(m, n)``, unless the dtype has 16 bits.
    restart : int, default 3
        The Gram form computes its Gram matrix anew after this many steps.

    Returns
    -------
    X : array, shape (..., m, n)
        Of the library, dtype and device of A. A zero matrix gives zero.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; a step that is empty or not finite; an option out
        of range; a schedule that diverges, because a singular value left its range.
    TypeError
        A dtype without meaning, or ``restart`` not an integer.

    See Also
    --------
    polar_residuals : What is wrong with the result as a polar factor.

    Notes
    -----
    Products in a step: 2, 3, 4, 4 and 5 for degree 3, 5, 7, 9 and 17, on the smaller side
    of A; "schatten4" and "schatten8" use those of the first step.
    Differentiable with respect to A, and fit for ``vmap`` and ``jit``, where checks of
    values are skipped. A step that maps large singular values to small ones loses
    digits of those; see :ref:`newton-schulz-breaks`.
    Derived in :ref:`newton-schulz-function` and :ref:`newton-schulz-gram`,
    :prf:ref:`odd-polynomials`, :prf:ref:`degree-eight` and :prf:ref:`gram-form`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import apply_schedule, pade_step
    >>> A = np.array([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    >>> apply_schedule(A, [pade_step(5)] * 8).round(6)
    array([[0.6, 0. , 0.8],
           [0. , 1. , 0. ]])
    """
    schedule, restart = check_schedule(schedule), check_count(restart, "restart", 1)
    check_choice(normalize, "normalize", NORMALIZE)
    check_choice(form, "form", _FORMS)
    xp, X = as_stack(A)
    short, long = sorted(X.shape[-2:])
    X, back = wide(X)
    if form == "auto" and long >= 3 * short and len(schedule) > 2:
        form = "gram" if xp.finfo(X.dtype).bits > 16 else "plain"
    X, powers = normalized(X, normalize)
    if form == "gram":
        X = gram_form(X, schedule, powers, restart)
    else:
        X = plain_form(X, schedule, powers)
    if not may_hold(xp.all(xp.isfinite(X))):
        raise ValueError(f"schedule diverges on A: with normalize={normalize!r} a singular "
                         "value left the range in which its steps stay bounded")
    return back(X)


# %% book/matrix_sign/newton_schulz.ipynb: PolarResiduals
class PolarResiduals(namedtuple("PolarResiduals",
                                "orthogonality bound hermitian backward smallest")):
    """What is wrong with X as a polar factor of A; see `polar_residuals`."""

    __slots__ = ()


# %% book/matrix_sign/newton_schulz.ipynb: identity_defect
def identity_defect(Y):
    """d = norm(I - Y, "fro"), of shape (..., 1, 1); for Y = X X^H also the bound of abs(s - 1)."""
    xp = array_namespace(Y)
    d = frobenius_norm(linear_combination((1.0, -1.0), [Y]))
    root = xp.sqrt(1 - xp.where(d < 1, d, 0.0))
    return xp.where(xp.isnan(d), math.inf, d), xp.where(d < 1, d / (1 + root), math.inf)


# %% book/matrix_sign/newton_schulz.ipynb: polar_residuals
def _lowest(S):
    """The smallest eigenvalue of each Hermitian S, of shape (..., 1, 1); 0 if S is 0 x 0."""
    xp = array_namespace(S)
    if S.shape[-1] == 0:
        return frobenius_norm(S)
    finite = xp.all(xp.isfinite(S), axis=(-2, -1), keepdims=True)
    S = xp.where(finite, S, xp.zeros_like(S))
    half = xp.finfo(S.dtype).bits == 16                     # LAPACK knows no such numbers
    values = xp.linalg.eigvalsh(xp.astype(S, xp.float32) if half else S)[..., :1, None]
    return xp.where(finite, xp.astype(values, S.dtype) if half else values, -math.inf)


@np.errstate(all="ignore")
def polar_residuals(A, X):
    r"""How far X is from the polar factor of A: norm(I - X X^H), norm(A - H X), and H = A X^H.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    X : array, shape (..., m, n)
        The candidate, such as a result of `apply_schedule`.

    Returns
    -------
    PolarResiduals
        Named tuple of arrays of shape (...). For m <= n (otherwise take adjoints), with
        Frobenius norms and S = (H + H^H) / 2: ``orthogonality`` is d = norm(I - X X^H);
        ``bound`` is 1 - sqrt(1 - d), a bound of abs(s - 1) for every singular value s of X,
        or Inf if d >= 1; ``hermitian`` is norm(H - H^H) / norm(A); ``backward`` is
        norm(A - S X) / norm(A); ``smallest`` is the smallest eigenvalue of S over norm(A).
        Where the products of X overflow they are Inf, and ``smallest`` is -Inf.

    Raises
    ------
    ValueError
        NaN, Inf, or shapes that differ.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    Three products on the smaller side and the eigenvalues of S. X is the polar factor of
    an A of full rank if and only if d = 0, ``backward`` = 0 and ``smallest`` >= 0.
    Orthogonality alone says nothing about A. d has round-off of its own, near ``n * eps``.
    Derived in :ref:`newton-schulz-certificate`, :prf:ref:`polar-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import polar_residuals
    >>> r = polar_residuals(np.diag([2.0, 1.0]), np.diag([1.0, 0.9]))
    >>> round(float(r.orthogonality), 3), round(float(r.bound), 3)
    (0.19, 0.1)
    """
    xp, A = as_stack(A)
    X = matching(X, "X", A)
    A = xp.astype(A, X.dtype, copy=False)
    A, X = wide(A)[0], wide(X)[0]
    A = A / power_of_two(peak_of(A))
    size = safe_divisor(frobenius_norm(A))
    H = A @ adjoint(X)
    S = (H + adjoint(H)) / 2
    relative = [frobenius_norm(E) / size for E in (H - adjoint(H), A - S @ X)]
    relative = [xp.where(xp.isnan(r), math.inf, r) for r in relative]
    results = *identity_defect(X @ adjoint(X)), *relative, _lowest(S) / size
    return PolarResiduals(*(r[..., 0, 0] for r in results))


# %% book/matrix_sign/newton_schulz.ipynb: _coupled_step
def _coupled_step(c, W, Y, Z):
    """Y h(W) and h(W) Z for W = Z Y; None stands for Z = I."""
    H = matrix_polynomial(W, c, (W, W @ W) if len(c) > 2 else (W,))
    return Y @ H, H if Z is None else H @ Z


def _coupled(A, schedule):
    """Y near A^(1/2), Z near A^(-1/2), the number of steps, and whether Z Y is near I."""
    Y, Z = A, None
    for c in schedule:
        Y, Z = _coupled_step(c, A if Z is None else Z @ Y, Y, Z)
    return Y, Z, len(schedule), identity_defect(Z @ Y)[0] <= 0.5


# %% book/matrix_sign/newton_schulz.ipynb: _coupled_until
def _coupled_until(A):
    """The same for as many steps as A needs; where it is singular, Y of least residual, Z NaN."""
    xp, n, c = array_namespace(A), max(1, A.shape[-1]), pade_step(9)
    eps, size = float(xp.finfo(A.dtype).eps), frobenius_norm(A)
    W, Y, Z = A, A, None
    most = max(4, math.ceil(-math.log(4 * n**0.5 * eps) / (2 * math.log(c[0]))))
    best, least, regular = (A, A), xp.full_like(size, math.inf), size < 0
    for step in range(1, most + 1):
        d = identity_defect(W)[0]
        if not may_hold(xp.all(d <= 2 * n**0.5)):
            raise ValueError("A is not positive semidefinite: a negative eigenvalue makes the "
                             "iteration diverge")
        Y, Z = _coupled_step(c, W, Y, Z)
        residual = frobenius_norm(Y @ adjoint(Y) - A)
        near = d**5 <= eps                                  # and this step has made it exact
        take = ~regular & (near | (residual < least))
        best = [xp.where(take, new, old) for new, old in zip((Y, Z), best)]
        least, regular = xp.where(take, residual, least), regular | near
        if bool(xp.all(regular)):
            break
        W = Z @ Y
    return best[0], xp.where(regular, best[1], math.nan), step, regular


# %% book/matrix_sign/newton_schulz.ipynb: NewtonSchulzRoot
class NewtonSchulzRoot(namedtuple("NewtonSchulzRoot", "root inverse residual steps converged")):
    """What `sqrtm_newton_schulz` found: R, R^(-1), and how good they are; see there."""

    __slots__ = ()


@np.errstate(all="ignore")
def sqrtm_newton_schulz(A, schedule=None):
    r"""The R >= 0 with R R = A for Hermitian A >= 0, and R^(-1), by products alone.

    Parameters
    ----------
    A : array, shape (..., n, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, Hermitian to round-off.
    schedule : sequence of sequences of float, optional
        Take these steps, as in `apply_schedule`; they act on the square roots of the
        eigenvalues of A over a bound. By default steps of ``pade_step(9)``, as many as A needs.

    Returns
    -------
    NewtonSchulzRoot
        Named tuple of ``root``, R, and ``inverse``, R^(-1), both Hermitian, of shape
        (..., n, n); ``residual``, norm(R R - A) / norm(A), of shape (...); ``steps``; and
        ``converged``, of shape (...).

        By default ``converged`` means that no step could improve R and R^(-1). It is False
        where A is singular to working precision, which starts at cond(A) near
        ``1 / (4 * sqrt(n) * eps)``: there R has the smallest residual that was met, and the
        inverse is NaN.
        With a schedule, R and the inverse are what its steps make, and ``converged`` means
        norm(I - R^(-1) R) <= 1/2, so that no eigenvalue has been left behind.

    Raises
    ------
    ValueError
        NaN, Inf or a shape that is not square; A - A^H with entries above
        ``4 * sqrt(n) * eps * max(abs(A))``; an eigenvalue below about ``-10 * n**1.5 * eps``
        times the largest; a schedule that is malformed or diverges.
    TypeError
        A dtype without meaning.

    Notes
    -----
    Six products a step, one of them for the residual; at most 20 steps in double precision. On
    a CPU an eigenvalue decomposition is about ten times as fast.
    The relative error is near ``eps * sqrt(cond(A))``, as of every method. The residual
    is of the same size; an eigenvalue decomposition keeps it near eps.
    Of a singular A the root is right to round-off where the other eigenvalues are well
    above zero.
    With a ``schedule`` all of the result is differentiable and fit for ``vmap`` and ``jit``,
    and costs two products more than R; by default the function looks at values.
    Derived in :ref:`newton-schulz-roots`, :prf:ref:`coupled-iteration` and
    :prf:ref:`coupled-stability`; Higham (2008), chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import sqrtm_newton_schulz
    >>> result = sqrtm_newton_schulz(np.array([[5.0, 4.0], [4.0, 5.0]]))
    >>> result.root.round(6)
    array([[2., 1.],
           [1., 2.]])
    >>> (3 * result.inverse).round(6), bool(result.converged)
    (array([[ 2., -1.],
           [-1.,  2.]]), True)
    """
    xp, A = as_stack(A)
    steps = None if schedule is None else check_schedule(schedule)
    if steps == []:
        raise ValueError("schedule is empty; allowed is at least one step")
    unit = power_of_two(peak_of(A))
    X = A / unit
    check_hermitian(X)
    size = safe_divisor(frobenius_norm(X))
    X = (X + adjoint(X)) / (2 * size)
    b = safe_divisor(frobenius_norm(X @ adjoint(X)))**0.5     # the Schatten norm of order 4
    X = X / b
    Y, Z, count, converged = _coupled_until(X) if steps is None else _coupled(X, steps)
    R, inverse = (Y + adjoint(Y)) / 2, (Z + adjoint(Z)) / 2
    residual = frobenius_norm(R @ adjoint(R) - X) / safe_divisor(frobenius_norm(X))
    if steps is not None and not may_hold(xp.all(xp.isfinite(Y + Z))):
        raise ValueError("schedule diverges on A: A has a negative eigenvalue, or a step is "
                         "not bounded on its range")
    scale = (b * size)**0.5 * unit**0.5
    return NewtonSchulzRoot(R * scale, inverse / scale, residual[..., 0, 0], count,
                            converged[..., 0, 0])

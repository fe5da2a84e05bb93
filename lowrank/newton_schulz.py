r"""The matrix sign by products.

Which matrix with orthonormal rows is closest to $A$, $\min_{XX^{\mathsf H}=I}\lVert X-A\rVert_F$,
and how near to it do we come with matrix products alone?

Generated from book/matrix_sign/newton_schulz.ipynb; edit the chapter.
"""

import cmath
import math
from collections import namedtuple
from functools import reduce
from operator import add

import numpy as np
from array_api_compat import is_jax_array, is_numpy_array, is_torch_array
from scipy.linalg import get_blas_funcs

from lowrank.arguments import check_choice, check_count
from lowrank.arrays import (
    adjoint,
    array_namespace,
    as_floats,
    as_stack,
    check_finite,
    check_hermitian,
    check_shape,
    compiling,
    constant,
    device,
    frobenius_norm,
    matching,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    wide,
)
from lowrank.derivatives import Rule, attached, summed

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


# %% book/matrix_sign/newton_schulz.ipynb: in_units
def in_units(X):
    """(X / u, u, one): u is the largest entry of X, and one is 1 for a zero matrix and else 0."""
    xp = array_namespace(X)
    plain = 0 not in X.shape and not xp.isdtype(X.dtype, "complex floating")
    peak = xp.max(xp.abs(X), axis=(-2, -1), keepdims=True) if plain else peak_of(X)
    peak = constant(peak)
    zero = peak == 0
    return X / xp.where(zero, math.inf, peak), peak, xp.astype(zero, peak.dtype)


# %% book/matrix_sign/newton_schulz.ipynb: schatten_norm
@quiet
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
    size; Inf if the norm is above the largest number of the dtype. Differentiable as often
    as wanted; of a zero matrix all derivatives are zero.
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
    X, unit, one = in_units(as_stack(A)[1])
    b = frobenius_norm(X + one)
    X = wide(X)[0] / b
    for k in range(1, p.bit_length() - 1):
        X = X @ adjoint(X)
        c = frobenius_norm(X + one)
        X, b = X / c, b * c**(0.5**k)
    return (b * unit)[..., 0, 0]


# %% book/matrix_sign/newton_schulz.ipynb: plus_product
def plus_product(b, C, a, A, B):
    """b C + a A B, rounded once where the library has a call for that, and in 16 bits."""
    if is_torch_array(A):
        if A.ndim > 3:
            C, D, E = (F.reshape(-1, *F.shape[-2:]) for F in (C, A, B))
            return plus_product(b, C, a, D, E).reshape(*A.shape[:-1], B.shape[-1])
        return (C.addmm if A.ndim == 2 else C.baddbmm)(A, B, beta=b, alpha=a)
    xp = array_namespace(A)
    if is_jax_array(A) and xp.finfo(A.dtype).bits == 16:
        R = xp.matmul(A, B, preferred_element_type=xp.float32)
        return xp.astype(b * xp.astype(C, xp.float32) + a * R, A.dtype)
    R = A @ B if a == 1 else a * (A @ B)
    if not is_numpy_array(R):
        return b * C + R
    R += C if b == 1 else b * C
    return R


# %% book/matrix_sign/newton_schulz.ipynb: itself
def itself(Y):
    """The second factor of Y Y for Hermitian Y: NumPy does half the work for Y Y^H."""
    return adjoint(Y) if is_numpy_array(Y) else Y


def gram(X):
    """X X^H."""
    return X @ (X.mH if is_torch_array(X) else adjoint(X))


# %% book/matrix_sign/newton_schulz.ipynb: combination
def combination(c, P):
    """c_1 P_1 + c_2 P_2 + ..."""
    if is_numpy_array(P[0]) and P[0].size:                  # the same with one temporary array
        H = np.multiply(c[0], P[0], order="C")
        for factor, F in zip(c[1:], P[1:]):
            get_blas_funcs("axpy", (H,))(F.ravel(), H.ravel(), a=factor)
        return H
    return reduce(add, (factor * F for factor, F in zip(c, P)))


def plus_identity(c, H):
    """c I + H for square matrices H, which may be written to."""
    if is_numpy_array(H):
        np.einsum("...ii->...i", H)[...] += c
        return H
    return c * array_namespace(H).eye(H.shape[-1], dtype=H.dtype, device=device(H)) + H


def linear_combination(c, P):
    """c_0 I + c_1 P_1 + c_2 P_2 + ..., for square matrices P_1, P_2, ..."""
    return plus_identity(c[0], combination(c[1:], P))


# %% book/matrix_sign/newton_schulz.ipynb: without_constant
def without_constant(Y, c, powers=()):
    """c_1 Y + ... + c_q Y^q for Hermitian Y; its first powers may be known."""
    q, P = len(c) - 1, list(powers) or [Y]
    scheme = three_products(c) if q == 8 else None
    size = 2 if scheme else min(range(min(q, 2), q + 1), key=lambda s: s - 1 + (q - 1) // s)
    if q == 2 and len(P) == 1:
        return plus_product(c[1], Y, c[2], Y, itself(Y))
    while len(P) < size:
        P.append(P[-1] @ (Y if len(P) > 1 else itself(Y)))
    if scheme:
        return _degree_eight(c, *P[:2], *scheme)
    top = (q - 1) // size * size
    H = combination(c[top + 1:], P)
    for k in range(top - size, -1, -size):
        H = plus_product(1.0, combination(c[k + 1:k + size + 1], P), 1.0, P[size - 1], H)
    return H


def matrix_polynomial(Y, c, powers=()):
    """c_0 I + c_1 Y + ... + c_q Y^q for Hermitian Y; its first powers may be known."""
    return plus_identity(c[0], without_constant(Y, c, powers))


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
    """c_1 Y + ... + c_8 Y^8 from Y and Y^2 by two more products."""
    Z = Y2 @ (r * Y2 + t * Y)
    rest = combination((*c[1:3], sign * f), [Y, Y2, Z])
    return plus_product(1.0, rest, sign, Z + d * Y2 + u * Y, Z + e * Y2)


# %% book/matrix_sign/newton_schulz.ipynb: scaled
def scaled(X, normalize, dtype):
    """X / b with a bound b >= s_1 in that dtype, and the known powers of X X^H / b^2."""
    xp = array_namespace(X)
    in_format = lambda X: xp.astype(X, dtype, copy=False)
    norm = lambda X: xp.linalg.matrix_norm(X, keepdims=True)    # of what is never zero
    if not normalize:
        return in_format(X), ()
    X, _, one = in_units(xp.astype(X, xp.float32) if xp.finfo(X.dtype).bits == 16 else X)
    if normalize == "frobenius":
        return in_format(X / norm(X + one)), ()
    if float(xp.finfo(dtype).max) < X.shape[-1]**3:         # squares may leave the format
        X = X * (X.shape[-2]**0.25 / norm(X + one))
    H, size = in_format(X), lambda P: norm(xp.astype(P, X.dtype, copy=False))
    Y = plus_product(1.0, in_format(one), 1.0, H, adjoint(H))
    if normalize == "schatten4":
        b2 = size(Y)
        return in_format(X / b2**0.5), (Y / b2,)
    Y2 = Y @ itself(Y)
    b4 = size(Y2)
    return in_format(X / b4**0.25), (Y / b4**0.5, Y2 / b4)


def normalized(X, normalize):
    """The same in the dtype of X, the powers too."""
    X, powers = scaled(X, normalize, X.dtype)
    return X, [array_namespace(X).astype(P, X.dtype, copy=False) for P in powers]


# %% book/matrix_sign/newton_schulz.ipynb: plain_form
def plain_form(X, schedule, powers):
    """X <- c_0 X + B X for B = c_1 Y + c_2 Y^2 + ..., Y = X X^H, step by step."""
    xp = array_namespace(X)
    for c in schedule:
        B = without_constant(powers[0] if powers else gram(X), c, powers)
        B = B if B.dtype == X.dtype else xp.astype(B, X.dtype)
        X, powers = plus_product(c[0], X, 1.0, B, X), ()
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


# %% book/matrix_sign/newton_schulz.ipynb: by_schedule
def by_schedule(X, steps, normalize, form="auto", restart=3, dtype=None):
    """The steps on X / b, in that dtype or the one of X; nothing is checked."""
    xp, dtype = array_namespace(X), X.dtype if dtype is None else dtype
    (short, long), (X, back) = sorted(X.shape[-2:]), wide(X)
    if form == "auto" and long >= 3 * short and len(steps) > 2:
        form = "gram" if xp.finfo(dtype).bits > 16 else "plain"
    X, powers = scaled(X, normalize, dtype)
    if form != "gram":
        return back(plain_form(X, steps, powers))
    powers = [xp.astype(P, dtype, copy=False) for P in powers]
    return back(gram_form(X, steps, powers, restart))


def runs_away(X):
    """Whether there are other than finite entries; False where one would have to wait for them."""
    if compiling() or "cpu" not in str(device(X)).lower():
        return False
    xp = array_namespace(X)
    try:
        total = complex(constant(xp.sum(X)))
    except (TypeError, RuntimeError):                       # of what is traced or mapped
        return False
    return not cmath.isfinite(total) and not bool(xp.all(xp.isfinite(X)))


# %% book/matrix_sign/newton_schulz.ipynb: apply_schedule
@quiet
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
    Differentiable with respect to A: the derivative is that of the steps, which is the one of
    the sign only where they have converged, and zero at a zero matrix. Fit for ``vmap``,
    ``jit`` and ``torch.compile``. There, and on an accelerator, values are not looked at: NaN
    gives NaN. PyTorch's autocast does not reach inside.
    In 16 bits the relative error against the same steps in exact arithmetic is 0.02 for
    random matrices and "frobenius".
    A step that maps large singular values to small ones loses
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
    X = as_floats(A, "A")[1]
    check_shape(X.shape, "A", stacked=True, empty=True)
    Y = by_schedule(X, schedule, normalize, form, restart)
    if runs_away(Y):
        check_finite(X, "A")
        raise ValueError(f"schedule diverges on A: with normalize={normalize!r} a singular "
                         "value left the range in which its steps stay bounded")
    return Y


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


@quiet
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
        if not may_hold(xp.any(~regular)):                  # a tracer takes all of them
            break
        W = Z @ Y
    return best[0], xp.where(regular, best[1], math.nan), step, regular


# %% book/matrix_sign/newton_schulz.ipynb: _value
def _value(R, E):
    """(X,) with R X + X R = E for Hermitian R >= 0."""
    xp = array_namespace(R)
    r, V = xp.linalg.eigh(R)
    sums = r[..., :, None] + r[..., None, :]
    least = (4 * r.shape[-1]**0.5 * float(xp.finfo(R.dtype).eps))**0.5 * r[..., None, -1:]
    there = sums > least                                    # 0 where both count as zero
    parts = (adjoint(V) @ E @ V) / xp.where(there, sums, 1.0)
    return V @ xp.where(there, parts, xp.zeros_like(parts)) @ adjoint(V),


def _pull(ins, outs, cotangents):
    """<G, X> pulled back to R and to E."""
    X, V = outs[0], _solution(ins[0], cotangents[0])
    return -(V @ adjoint(X) + adjoint(X) @ V), V


def _push(ins, outs, changes):
    """The change of X."""
    (R, _), (X,), (dR, dE) = ins, outs, changes
    change = summed(dE, None if dR is None else -(dR @ X + X @ dR))
    return (None if change is None else _solution(R, change)),


_SYLVESTER = Rule(_value, _pull, _push)


# %% book/matrix_sign/newton_schulz.ipynb: _solution
def _solution(R, E):
    """X with R X + X R = E."""
    if not is_jax_array(R):
        return attached(_SYLVESTER, R, E)[0]
    from jax.lax import custom_linear_solve

    solve = lambda R: lambda _, B: _value(constant(R), B)[0]
    return custom_linear_solve(lambda X: R @ X + X @ R, E, solve(R), transpose_solve=solve(R.mT))


# %% book/matrix_sign/newton_schulz.ipynb: _known
def _known(A, R, Z):
    """A root of A and its inverse, which have been found."""
    return R + 0, Z + 0


def _of_root(Z, dR):
    """The change of Z = R^(-1), or its adjoint; 0 where there is no inverse."""
    xp = array_namespace(Z)
    Z = xp.where(xp.isfinite(Z), Z, xp.zeros_like(Z))
    return -(Z @ dR @ Z)


def _pull_root(ins, outs, cotangents):
    """The cotangents of R and Z pulled back to A."""
    (R, Z), (G, H) = outs, cotangents
    G = summed(G, None if H is None else _of_root(adjoint(Z), H))
    return None if G is None else _solution(R, G), None, None


def _push_root(ins, outs, changes):
    """The changes of R and Z for one of A."""
    R, Z = outs
    if changes[0] is None:
        return None, None
    dR = _solution(R, changes[0])
    return dR, _of_root(Z, dR)


_ROOT = Rule(_known, _pull_root, _push_root)


# %% book/matrix_sign/newton_schulz.ipynb: NewtonSchulzRoot
def _hermitian(Y):
    """The Hermitian part."""
    return (Y + adjoint(Y)) / 2


class NewtonSchulzRoot(namedtuple("NewtonSchulzRoot", "root inverse residual steps converged")):
    """What `sqrtm_newton_schulz` found: R, R^(-1), and how good they are; see there."""

    __slots__ = ()


# %% book/matrix_sign/newton_schulz.ipynb: sqrtm_newton_schulz
@quiet
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
    Root and inverse are differentiable. By default the derivative is that of A^(1/2), which
    takes an eigenvalue decomposition, as often as wanted; 0 where two eigenvalues are zero to
    working precision. With a ``schedule`` it is the derivative of its steps.
    Both are fit for ``vmap`` and ``jit``. A tracer has no values to stop at, and takes as
    many steps as the dtype can need. A schedule costs two products more than R.
    Derived in :ref:`newton-schulz-roots`, :prf:ref:`coupled-iteration`,
    :prf:ref:`coupled-stability` and :prf:ref:`root-derivative`; Higham (2008), chapter 6.

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
    A, steps = as_stack(A)[1], None if schedule is None else check_schedule(schedule)
    if steps == []:
        raise ValueError("schedule is empty; allowed is at least one step")
    check_hermitian(A)
    X, unit, one = in_units(A)
    size = frobenius_norm(X + one)
    X = _hermitian(X) / size
    b = frobenius_norm(X @ adjoint(X) + one)**0.5           # the Schatten norm of order 4
    X = X / b
    found = _coupled_until(constant(X)) if steps is None else _coupled(X, steps)
    (R, inverse), (count, converged) = map(_hermitian, found[:2]), found[2:]
    if steps is None:
        R, inverse = attached(_ROOT, X, R, inverse)
    elif runs_away(R + inverse):
        raise ValueError("schedule diverges on A: A has a negative eigenvalue, or a step is "
                         "not bounded on its range")
    residual = frobenius_norm(R @ adjoint(R) - X) / safe_divisor(frobenius_norm(X + one))
    scale = (b * size)**0.5 * (unit + one)**0.5
    return NewtonSchulzRoot(R * scale, inverse / scale, residual[..., 0, 0], count,
                            converged[..., 0, 0])

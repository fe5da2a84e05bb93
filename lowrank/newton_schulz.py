r"""The matrix sign by products.

Which matrix with orthonormal rows is closest to $A$, $\min_{XX^{\mathsf H}=I}\lVert X-A\rVert_F$,
and how far do matrix products alone take us to it?

Generated from book/matrix_sign/newton_schulz.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np
from array_api_compat import array_namespace

__all__ = ["pade_step", "apply_schedule", "schatten_norm", "PolarResiduals", "polar_residuals"]


# %% book/matrix_sign/newton_schulz.ipynb: _known
def _known(condition):
    try:
        return bool(condition)
    except Exception:
        return True


def _as_stack(A, name="A"):
    try:
        xp = array_namespace(A)
    except TypeError:
        A = np.asarray(A)
        xp = array_namespace(A)
    if not xp.isdtype(A.dtype, ("real floating", "complex floating")) and "float" not in str(A.dtype):
        A = xp.astype(A, xp.float64)
    if A.ndim < 2:
        raise ValueError(f"{name} has shape {A.shape}; allowed is a matrix (m, n) or a stack (..., m, n)")
    if not _known(xp.all(xp.isfinite(A))):
        raise ValueError(f"{name} contains NaN or Inf; every entry must be finite")
    return xp, A


def _is_complex(X):
    return array_namespace(X).isdtype(X.dtype, "complex floating")


def _adjoint(X):
    xp = array_namespace(X)
    X = xp.matrix_transpose(X)
    return xp.conj(X) if _is_complex(X) else X


def _peaks(X):
    xp = array_namespace(X)
    if 0 in X.shape[-2:]:
        return xp.zeros((*X.shape[:-2], 1, 1), dtype=xp.abs(X).dtype)
    if _is_complex(X):
        X = xp.maximum(xp.abs(xp.real(X)), xp.abs(xp.imag(X)))
    return xp.max(xp.abs(X), axis=(-2, -1), keepdims=True)


def _power_of_two(peak):
    xp = array_namespace(peak)
    if xp.__name__.endswith("numpy"):
        return np.where(peak > 0, np.ldexp(peak.dtype.type(1), np.frexp(peak)[1] - 1), 1).astype(peak.dtype)
    return xp.where(peak > 0, 2 ** xp.floor(xp.log2(xp.where(peak > 0, peak, 1))), xp.ones_like(peak))


def _frobenius(X):
    xp = array_namespace(X)
    a = xp.abs(X)
    return xp.sqrt(xp.sum(a * a, axis=(-2, -1), keepdims=True))


# %% book/matrix_sign/newton_schulz.ipynb: pade_step
def _half_degree(degree):
    """q for the odd degree 2 q + 1 >= 3."""
    allowed = "an odd integer from 3"
    if isinstance(degree, bool | np.bool) or not hasattr(degree, "__index__"):
        raise TypeError(f"degree is {degree!r}; allowed is {allowed}")
    if degree < 3 or degree % 2 == 0:
        raise ValueError(f"degree is {degree!r}; allowed is {allowed}")
    return int(degree) // 2


def pade_step(degree):
    r"""Coefficients of the odd p with p(1) = 1 and p'(x) = c (1 - x^2)^q, degree 2 q + 1.

    Parameters
    ----------
    degree : int
        Odd, at least 3.

    Returns
    -------
    tuple of float
        c_1, c_3, ..., in ascending odd powers.
    """
    q = _half_degree(degree)
    c = (2 * q + 1) * math.comb(2 * q, q)
    return tuple((-1)**j * (c * math.comb(q, j) // (2 * j + 1)) / 4**q for j in range(q + 1))


def _check_schedule(schedule):
    """The steps as tuples of floats."""
    allowed = "a sequence of steps, each a sequence of finite coefficients c_1, c_3, ..."
    try:
        steps = tuple(tuple(map(float, step)) for step in schedule)
    except (TypeError, ValueError):
        raise ValueError(f"schedule is {schedule!r}; allowed is {allowed}") from None
    if not all(step and all(map(math.isfinite, step)) for step in steps):
        raise ValueError(f"schedule is {schedule!r}; allowed is {allowed}")
    return steps


# %% book/matrix_sign/newton_schulz.ipynb: _identity
def _identity(Y):
    xp = array_namespace(Y)
    kind = {"device": Y.device} if hasattr(Y, "device") else {}
    return xp.eye(Y.shape[-1], dtype=Y.dtype, **kind)


def _three_products(b):
    """The numbers of a scheme that evaluates a polynomial of degree 8 by three products, or None."""
    sign = math.copysign(1.0, b[8])
    b0, b1, b2, b3, b4, b5, b6, b7, b8 = (sign * x for x in b)
    if b7 == 0 or b8 == 0:
        return None
    r = math.sqrt(b8)
    t = b7 / (2 * r)
    total = (b6 - t**2) / r
    c = (b5 - total * t) / r
    half = (total - r * c / t) / 2
    root = half**2 - b4 + c * t + r * b3 / t
    if root < 0:
        return None
    e = half - math.copysign(math.sqrt(root), half)
    return sign, r, t, total - e, c, e, (b3 - c * e) / t, b2, b1, b0


def _polynomial(Y, c, powers=()):
    """c_0 I + c_1 Y + ... + c_q Y^q of a Hermitian Y with the fewest products known."""
    q, I = len(c) - 1, _identity(Y)
    Y, *powers = powers or (Y,)
    scheme = _three_products(c) if q == 8 else None
    size = 2 if scheme else max(1, min(range(1, q + 1), key=lambda s: s - 1 + (q - 1) // s, default=1))
    size = 2 if q == 2 else size
    P = [I, Y, *powers]
    while len(P) <= size:
        P.append(P[-1] @ (_adjoint(Y) if len(P) == 2 else Y))
    if scheme:
        sign, r, t, d, c1, e, f, b2, b1, b0 = scheme
        Z = P[2] @ (r * P[2] + t * Y)
        W = (Z + d * P[2] + c1 * Y) @ (Z + e * P[2])
        return sign * (W + f * Z + b2 * P[2] + b1 * Y + b0 * I)
    top = (q - 1) // size * size
    H = sum(c[j] * P[j - top] for j in range(top + 1, q + 1)) + c[top] * I if q else c[0] * I
    for start in range(top - size, -1, -size):
        H = sum(c[start + j] * P[j] for j in range(size)) + P[size] @ H
    return H


def _plain_form(X, schedule, powers=()):
    """X <- h(X X^H) X for every step."""
    for c in schedule:
        H = _polynomial(X @ _adjoint(X) if not powers else powers[0], c, powers)
        X, powers = H @ X, ()
    return X


def _gram_form(X, schedule, powers=(), restart=3):
    """The same for wide X, with products of its small Gram matrix between two restarts."""
    for start in range(0, len(schedule), restart):
        R, Q = powers[0] if powers else X @ _adjoint(X), None
        part = schedule[start:start + restart]
        for t, c in enumerate(part):
            H = _polynomial(R, c, powers)
            Q, powers = H if Q is None else H @ Q, ()
            if t + 1 < len(part):
                R = (H @ R) @ _adjoint(H)
        X = Q @ X
    return X


# %% book/matrix_sign/newton_schulz.ipynb: apply_schedule
_NORMALIZE = {"frobenius": 2, "schatten4": 4, "schatten8": 8}


def _divisor(x):
    """x, and 1 where x is 0."""
    xp = array_namespace(x)
    return xp.where(x > 0, x, xp.ones_like(x))


def _normalized(X, normalize):
    """X over a bound of its spectral norm, and the powers of X X^H that are known by now."""
    if normalize is False or normalize is None:
        return X, ()
    X = X / _power_of_two(_peaks(X))
    X = X / _divisor(_frobenius(X))
    if normalize == "frobenius":
        return X, ()
    powers = [X @ _adjoint(X)]
    if normalize == "schatten8":
        powers.append(powers[0] @ _adjoint(powers[0]))
    c2 = _divisor(_frobenius(powers[-1]))**(1 / len(powers))          # the bound squared
    return X / c2**0.5, tuple(P / c2**k for k, P in enumerate(powers, 1))


def _check_normalize(normalize):
    if normalize is not False and normalize not in _NORMALIZE:
        raise ValueError(f"normalize is {normalize!r}; allowed are {', '.join(map(repr, _NORMALIZE))} and False")
    return normalize


def _use_gram(shape, schedule, form):
    if form not in ("auto", "plain", "gram"):
        raise ValueError(f"form is {form!r}; allowed are 'auto', 'plain' and 'gram'")
    m, n = sorted(shape[-2:])
    return form == "gram" or form == "auto" and n >= 3 * m and len(schedule) > 2


def apply_schedule(A, schedule, *, normalize="frobenius", form="auto", restart=3):
    r"""U p(S) V^H for A / bound = U S V^H and the composition p = p_T o ... o p_1 of odd polynomials.

    Parameters
    ----------
    A : array, shape (..., m, n)
    schedule : sequence of sequences of float
        The steps; each is c_1, c_3, ..., in ascending odd powers.
    normalize : {"frobenius", "schatten4", "schatten8", False}
    form : {"auto", "plain", "gram"}
    restart : int, default 3

    Returns
    -------
    X : array, shape (..., m, n)
    """
    schedule, normalize = _check_schedule(schedule), _check_normalize(normalize)
    xp, X = _as_stack(A)
    gram = _use_gram(X.shape, schedule, form)
    tall = X.shape[-2] > X.shape[-1]
    with np.errstate(all="ignore"):
        X, powers = _normalized(_adjoint(X) if tall else X, normalize)
        X = _gram_form(X, schedule, powers, restart) if gram else _plain_form(X, schedule, powers)
    if not _known(xp.all(xp.isfinite(X))):
        raise ValueError("the schedule diverges on A: some singular value left its range")
    return _adjoint(X) if tall else X


def schatten_norm(A, p=4):
    r"""The Schatten norm (sum of s_i^p)^(1/p), p = 2, 4 or 8, an upper bound of s_1, by products.

    Returns an array of shape (...).
    """
    xp, X = _as_stack(A)
    X = _adjoint(X) if X.shape[-2] > X.shape[-1] else X
    unit = _power_of_two(_peaks(X))
    X = X / unit
    norm = _divisor(_frobenius(X))
    Y, scale = X / norm, norm
    for k in range(int(p).bit_length() - 2):
        Y = Y @ _adjoint(Y)
        scale = norm * _frobenius(Y)**(0.5**(k + 1))
    return (xp.where(_frobenius(X) > 0, scale, 0 * scale) * unit)[..., 0, 0]


class PolarResiduals(namedtuple("PolarResiduals", "orthogonality bound hermitian")):
    """How far X is from orthonormal rows or columns, and X^H A from Hermitian."""

    __slots__ = ()


def polar_residuals(A, X):
    r"""d = norm(I - X X^H, "fro"), the bound |s - 1| <= 1 - sqrt(1 - d), and norm(H - H^H) / norm(A), H = A X^H.

    Parameters
    ----------
    A, X : array, shape (..., m, n)
        The matrix and the candidate for its polar factor. Products on the smaller side.

    Returns
    -------
    PolarResiduals
        Three arrays of shape (...): ``orthogonality`` d; ``bound``, which is Inf where d >= 1;
        ``hermitian``.
    """
    xp, A = _as_stack(A)
    X = _as_stack(X, "X")[1]
    if X.shape != A.shape:
        raise ValueError(f"X has shape {tuple(X.shape)}; allowed is the shape of A, {tuple(A.shape)}")
    if A.shape[-2] > A.shape[-1]:
        A, X = _adjoint(A), _adjoint(X)
    A = A / _power_of_two(_peaks(A))
    H = A @ _adjoint(X)
    d = _frobenius(_identity(H) - X @ _adjoint(X))
    inside = d < 1
    bound = xp.where(inside, d / (1 + xp.sqrt(1 - xp.where(inside, d, 0 * d))), xp.full_like(d, math.inf))
    hermitian = _frobenius(H - _adjoint(H)) / _divisor(_frobenius(A))
    return PolarResiduals(d[..., 0, 0], bound[..., 0, 0], hermitian[..., 0, 0])

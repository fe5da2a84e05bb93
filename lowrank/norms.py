r"""Norms of singular values and their gradients.

How does the largest singular value, or the sum of all of them, change when the matrix changes:
which $G$ satisfies $\lVert A + E\rVert \approx \lVert A\rVert + \operatorname{Re}\langle G,
E\rangle$, and what does one take where no derivative exists?

Generated from book/matrix_sign/norms.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    check_number,
    check_tol,
    refuse_options,
)
from lowrank.arrays import (
    adjoint,
    array_namespace,
    as_stack,
    constant,
    cut_off,
    device,
    frobenius_norm,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    single,
    singular_values,
)
from lowrank.derivatives import Rule, attached
from lowrank.polar_factor import decomposed, msign

__all__ = [
    "PowerInfo",
    "spectral_norm",
    "spectral_norm_grad",
    "nuclear_norm",
    "nuclear_norm_grad",
    "spectral_decay",
]


# %% book/matrix_sign/norms.ipynb: _singular_values
def _singular_values(X):
    """Singular values (..., k), k = min(m, n), or 1 if that is 0; 16 bits through float32."""
    if 0 in X.shape[-2:]:
        return peak_of(X)[..., 0]
    c = power_of_two(peak_of(X))
    return c[..., 0] * singular_values(X / c)


def _top_by_svd(X, rtol):
    """s_1, of shape (..., 1, 1), and U_1 V_1^H / k."""
    xp = array_namespace(X)
    if 0 in X.shape[-2:]:
        return peak_of(X), X
    U, s, Vh = decomposed(X)
    largest = constant(s[..., :1])
    tied = xp.astype((s >= (1 - rtol) * largest) & (largest > 0), s.dtype)
    weights = tied / safe_divisor(xp.sum(tied, axis=-1, keepdims=True))
    mean = xp.sum(weights * s, axis=-1, keepdims=True)      # the largest, with G as derivative
    largest = largest + (mean - constant(mean))
    return largest[..., None], (U * xp.astype(weights, U.dtype)[..., None, :]) @ Vh


# %% book/matrix_sign/norms.ipynb: _norm_value
def _norm_value(name, A):
    """The norm of each matrix, of shape (..., 1, 1)."""
    s = _singular_values(A)
    total = array_namespace(s).sum(s, axis=-1, keepdims=True) if name == "nuclear" else s[..., :1]
    return (total[..., None],)


def _norm_gradient(name, A):
    """The least subgradient of it."""
    if name == "nuclear":
        return msign(A, method="svd")
    B = single(A / power_of_two(peak_of(A)))
    return array_namespace(A).astype(_top_by_svd(B, cut_off(None, A))[1], A.dtype)


def _norm_pull(name, ins, outs, cotangents):
    """From the norm to A."""
    return (cotangents[0] * _norm_gradient(name, *ins),)


def _norm_push(name, ins, outs, changes):
    """From A to the norm."""
    xp, G = array_namespace(outs[0]), _norm_gradient(name, *ins)
    products = xp.real(G) * xp.real(changes[0])
    if xp.isdtype(G.dtype, "complex floating"):
        products = products + xp.imag(G) * xp.imag(changes[0])
    return (xp.sum(products, axis=(-2, -1), keepdims=True),)


_NORM = Rule(_norm_value, _norm_pull, _norm_push)


# %% book/matrix_sign/norms.ipynb: PowerInfo
class PowerInfo(namedtuple("PowerInfo", "residual steps converged")):
    """What power iteration knows of its result; see `spectral_norm`."""

    __slots__ = ()


def _top_by_power(X, tol, steps, rng):
    """s_1, of shape (..., 1, 1), u x^H, and PowerInfo, for X scaled to entries near 1."""
    xp, n = array_namespace(X), X.shape[-1]
    start = as_generator(rng).standard_normal((n, 1))
    if 0 in X.shape[-2:]:
        zero = peak_of(X)
        return zero, X, PowerInfo(zero[..., 0, 0], 0, zero[..., 0, 0] == 0)
    x = xp.astype(xp.asarray(start, device=device(X)), X.dtype)
    unit = lambda x: x / safe_divisor(frobenius_norm(x))
    y, most = x + xp.zeros_like(X[..., :1, :1]), steps or 1000
    for step in range(1, most + 1):
        x = unit(y)
        u = X @ x
        theta, u = frobenius_norm(u), unit(u)
        y = adjoint(X) @ u
        residual = frobenius_norm(y - theta * x)
        if steps is None and bool(xp.all(residual <= tol * theta)):
            break
    info = PowerInfo((residual / safe_divisor(theta))[..., 0, 0], step,
                     (residual <= tol * theta)[..., 0, 0])
    return theta, u @ adjoint(x), info


# %% book/matrix_sign/norms.ipynb: spectral_norm
def _top(A, method, rtol, tol, steps, rng):
    """c and s_1 / c, of shape (..., 1, 1), the gradient, and PowerInfo or None."""
    xp, X = as_stack(A)
    check_choice(method, "method", ("svd", "power"))
    c = power_of_two(peak_of(X))
    if method == "svd":
        refuse_options("method='svd'", tol=tol, steps=steps, rng=rng)
        theta, G = _top_by_svd(single(X / c), cut_off(rtol, X))
        theta, G, info = xp.astype(theta, c.dtype), xp.astype(G, X.dtype), None
    else:
        refuse_options("method='power'", rtol=rtol)
        tol = math.sqrt(float(xp.finfo(X.dtype).eps)) if tol is None else check_tol(tol)
        steps = steps if steps is None else check_count(steps, "steps", 1)
        theta, G, info = _top_by_power(X / c, tol, steps, rng)
    return c, theta, G, info


@quiet
def spectral_norm(A, *, method="svd", tol=None, steps=None, rng=None, return_info=False):
    r"""norm(A, 2) = s_1, the largest singular value, by decomposition or by products alone.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    method : {"svd", "power"}
        "power" is power iteration from a Gaussian vector: two products with a vector a step.
    tol : float, optional
        "power" stops when ``norm(A^H u - theta x) <= tol * theta`` for each matrix; default
        sqrt(eps). The relative error of theta is then near ``tol**2 / (1 - s_2 / s_1)``.
    steps : int, optional
        "power" takes exactly so many steps; by default as many as `tol` asks for, up to 1000.
    rng : None, int or numpy.random.Generator
        Source of the start vector.
    return_info : bool, default False
        Also return what is known about the result of "power".

    Returns
    -------
    norm : array, shape (...)
        Zero for a zero or empty matrix, Inf above the largest number of the dtype. "power"
        returns a lower bound.
    info : PowerInfo
        Only with ``return_info``: ``residual``, of shape (...), relative to theta, ``steps``,
        and ``converged``, of shape (...). Some singular value, or 0 if m < n, is within
        ``residual * norm / sqrt(3)`` of the norm; it need not be s_1. None for "svd".

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; an option out of range or of the other method.
    TypeError
        A dtype without meaning.

    Notes
    -----
    Derivatives: with "svd" PyTorch and JAX find `spectral_norm_grad`, which is 0 at A = 0, and
    second derivatives that are exact where s_1 is simple and finite elsewhere; with "power" and
    ``steps`` those of the iteration. Both are fit for ``vmap`` and ``jit``.
    For sparse matrices and linear operators take ``truncated_svd(A, 1).s``; for an upper bound
    by products, `schatten_norm`. O(m n min(m, n)) operations, or 4 m n a step.
    Derived in :ref:`norms-power`, :prf:ref:`power-iteration`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import spectral_norm
    >>> A = np.array([[3.0, 0.0], [4.0, 5.0]])
    >>> round(float(spectral_norm(A)), 6)
    6.708204
    >>> norm, info = spectral_norm(A, method="power", rng=0, return_info=True)
    >>> round(float(norm), 6), bool(info.converged)
    (6.708204, True)
    """
    if method == "svd" and not return_info and (tol, steps, rng) == (None, None, None):
        return attached(_NORM, as_stack(A)[1], static=("spectral",))[0][..., 0, 0]
    c, theta, _, info = _top(A, method, None, tol, steps, rng)
    return ((c * theta)[..., 0, 0], info) if return_info else (c * theta)[..., 0, 0]


@quiet
def spectral_norm_grad(A, *, method="svd", rtol=None, tol=None, steps=None, rng=None):
    r"""The G of least Frobenius norm with norm(B, 2) >= norm(A, 2) + Re <G, B - A> for all B.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    method : {"svd", "power"}
        "power" returns u x^H from power iteration, a subgradient if it has found s_1.
    rtol : float, optional
        "svd": singular values from ``(1 - rtol) * s_1`` on count as tied. Default
        ``4 * sqrt(min(m, n)) * eps``, for 16 bits with the eps of float32.
    tol, steps, rng
        For "power", as in `spectral_norm`.

    Returns
    -------
    G : array, shape (..., m, n)
        ``u_1 v_1^H`` where s_1 is simple, ``U_1 V_1^H / k`` where k values are tied, and 0
        where A = 0.

    Raises
    ------
    ValueError, TypeError
        As for `spectral_norm`.

    Notes
    -----
    ``Re <G, A> = norm(A, 2)``, and the nuclear norm of G is 1. Where values are tied, -G is the
    direction of steepest descent. O(m n min(m, n)) operations.
    Derived in :ref:`norms-subgradients`, :prf:ref:`singular-value-derivative` and
    :prf:ref:`norm-subgradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import spectral_norm_grad
    >>> spectral_norm_grad(np.diag([3.0, 1.0]))
    array([[1., 0.],
           [0., 0.]])
    >>> spectral_norm_grad(np.eye(2))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    return _top(A, method, rtol, tol, steps, rng)[2]


# %% book/matrix_sign/norms.ipynb: nuclear_norm
@quiet
def nuclear_norm(A):
    r"""s_1 + s_2 + ..., the sum of the singular values.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.

    Returns
    -------
    array, shape (...)
        The norm of each matrix; zero for an empty one.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes.
    TypeError
        A dtype without meaning.

    Notes
    -----
    O(m n min(m, n)) operations. By products alone, ``Re <msign(A, ...), A>`` is a lower bound,
    since every X with norm(X, 2) <= 1 gives one.
    Derivatives: PyTorch and JAX find `nuclear_norm_grad`, 0 at A = 0, and of that the derivative
    of `msign`. Fit for ``vmap`` and ``jit``.
    Derived in :ref:`norms-dual`, :prf:ref:`norm-duality`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import nuclear_norm
    >>> round(float(nuclear_norm(np.array([[3.0, 0.0], [4.0, 5.0]]))), 6)
    8.944272
    """
    return attached(_NORM, as_stack(A)[1], static=("nuclear",))[0][..., 0, 0]


@quiet
def nuclear_norm_grad(A, *, rtol=None):
    r"""msign(A), the least G with norm(B, "nuc") >= norm(A, "nuc") + Re <G, B - A> for all B.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    rtol : float, optional
        Singular values up to ``rtol * s_1`` count as zero. Default ``4 * sqrt(min(m, n)) * eps``.

    Returns
    -------
    G : array, shape (..., m, n)
        U_r V_r^H for A = U S V^H of rank r.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; rtol out of range.
    TypeError
        A dtype without meaning.

    Notes
    -----
    `msign` has faster ways for full rank. Derived in :ref:`norms-subgradients`,
    :prf:ref:`norm-subgradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import nuclear_norm_grad
    >>> nuclear_norm_grad(np.diag([3.0, 1.0, 0.0]))
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]])
    """
    return msign(A, method="svd", rtol=rtol)


# %% book/matrix_sign/norms.ipynb: spectral_decay
@quiet
def spectral_decay(W, rate, *, method="svd", rtol=None, tol=None, steps=None, rng=None):
    r"""W - rate * norm(W, 2) * G, G = `spectral_norm_grad` (W): the top direction decays.

    Parameters
    ----------
    W : array, shape (..., m, n)
        Weights of NumPy, PyTorch or JAX, real or complex.
    rate : float, 0 <= rate <= 1
        Learning rate times strength of the decay.
    method, rtol, tol, steps, rng
        How s_1 and its gradient are found, as in `spectral_norm_grad`.

    Returns
    -------
    array, shape (..., m, n)
        New weights. A simple s_1 becomes ``(1 - rate) * s_1``; k tied ones become
        ``(1 - rate / k) * s_1``; the others stay.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; a rate outside [0, 1]; an option out of range.
    TypeError
        A dtype without meaning, or a rate that is no number.

    Notes
    -----
    A gradient step of length `rate` on ``norm(W, 2)**2 / 2``, as the usual weight decay
    ``(1 - rate) * W`` is one on ``norm(W, "fro")**2 / 2``. PyTorch and JAX differentiate it,
    exactly where s_1 is simple; elsewhere the result is finite.
    Derived in :ref:`norms-decay`, :prf:ref:`spectral-decay`; Su (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import spectral_decay
    >>> spectral_decay(np.diag([4.0, 1.0]), 0.25)
    array([[3., 0.],
           [0., 1.]])
    """
    rate = check_number(rate, "rate", "a number with 0 <= rate <= 1", lambda x: 0 <= x <= 1)
    _, X = as_stack(W, "W")
    c, theta, G, _ = _top(X, method, rtol, tol, steps, rng)
    return X - c * (rate * theta * G)                       # s_1 itself may overflow

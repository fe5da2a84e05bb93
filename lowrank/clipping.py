r"""Clipping singular values.

Which matrix of spectral norm at most $t$ is closest to $A$, $\min_{\lVert X\rVert_2\le t}\lVert
X-A\rVert_F$, and how do we reach it when the matrix sign is all we can compute?

Generated from book/matrix_sign/clipping.ipynb; edit the chapter.
"""

import math
from functools import partial

from array_api_compat import is_jax_array

from lowrank.arguments import check_choice, check_number, refuse_options
from lowrank.arrays import (
    adjoint,
    array_namespace,
    as_stack,
    check_finite,
    constant,
    cut_off,
    is_tensor,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    round_off,
    safe_divisor,
    single,
    wide,
)
from lowrank.derivatives import Rule, attached
from lowrank.polar_factor import (
    decomposed,
    derivative_by_multipliers,
    diagonal,
    identity_like,
    msign,
    spread,
)

__all__ = ["svfun", "mclip", "mstep", "svfun_jvp", "svfun_vjp"]


# %% book/matrix_sign/clipping.ipynb: _values
def _values(f, s, c, name="f"):
    """f(c s), which must be real, finite and of the shape of s."""
    y = f(s * c)
    if getattr(y, "shape", None) != s.shape:
        raise ValueError(f"{name} maps an array of shape {tuple(s.shape)} to {y!r:.60}; "
                         "allowed is a function that acts on every entry of an array")
    xp = array_namespace(s)
    if xp.isdtype(y.dtype, "complex floating"):
        raise TypeError(f"{name} has values of dtype {y.dtype}; allowed are real numbers")
    y = xp.astype(y, s.dtype, copy=False)
    check_finite(y, f"{name} of the singular values")
    return y


# %% book/matrix_sign/clipping.ipynb: svfun
@quiet
def svfun(A, f, *, rtol=None):
    r"""U f(S) V^H for A = U S V^H: the function f of the singular values of A.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    f : callable
        Maps an array of positive numbers to real numbers, entry by entry.
    rtol : float, optional
        f acts on the singular values above ``rtol * s_1``; the others contribute nothing, as
        if f were 0 there. Default is ``4 * sqrt(min(m, n)) * eps``. With ``rtol=0`` only zeros are
        left out, which is right for an f with f(s) -> 0 for s -> 0.

    Returns
    -------
    array, shape (..., m, n)
        f(A), of the same library, dtype and device as A.

    Raises
    ------
    ValueError
        NaN or Inf in A or among the values of f, fewer than two axes, an f that changes the
        shape, or an rtol out of range.
    TypeError
        A dtype without meaning, or complex values of f.

    Notes
    -----
    One singular value decomposition, O(m n min(m, n)) operations. If f(0+) is not 0, the
    result jumps where a singular value reaches zero, and ``rtol`` says what is zero.
    Derived in :ref:`clipping-functions`, :prf:ref:`singular-functions`; generalised matrix
    functions of Hawkins and Ben-Israel (1973).
    Derivatives: PyTorch and JAX differentiate the result by :prf:ref:`svfun-derivative`, also at
    equal singular values, with the slopes that they find of f; f may depend on parameters that
    they differentiate too. Values that do not count contribute to f'(0) only if they are zero
    to round-off and f(0) = 0. Second derivatives are exact where the singular values are
    positive and apart, and finite elsewhere. See also `svfun_jvp`.

    Examples
    --------
    The soft threshold, which minimises ``norm(X - A)**2 / 2 + t * norm(X, "nuc")``:

    >>> import numpy as np
    >>> from lowrank import svfun
    >>> A = np.array([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    >>> svfun(A, lambda s: np.maximum(s - 2.5, 0)).round(6)
    array([[1.5, 0. , 2. ],
           [0. , 0. , 0. ]])
    """
    xp, A = as_stack(A)
    rtol = cut_off(rtol, A)
    if 0 in A.shape[-2:]:
        return A
    c = power_of_two(peak_of(A))
    B = single(A / c)                                       # its s do not overflow, c s may
    U, s, Vh = decomposed(B)
    counts, c = s > rtol * s[..., :1], single(c)[..., 0]
    seen = xp.where(counts, s, safe_divisor(s[..., :1]))    # f never sees what does not count
    y = xp.where(counts, _values(f, seen, c), 0.0)
    if is_tensor(A) or is_jax_array(A):
        X = _with_slopes(f, B, U, s, Vh, c, counts, y)
    else:
        X = (U * y[..., None, :]) @ Vh
    return xp.astype(X, A.dtype, copy=False)


# %% book/matrix_sign/clipping.ipynb: _polar_form
def _polar_form(A, t, S, sign):
    """mstep and mclip of a wide A at t by the sign of H - t I, H = A S^H."""
    H = A @ adjoint(S)
    Z = sign((H + adjoint(H)) / 2 - t * identity_like(H, H.shape[-1]))
    return (S + Z @ S) / 2, (A + t * S - Z @ (A - t * S)) / 2


def _block_form(A, t, sign):
    """The same by the sign of [[t I, A], [A^H, t I]]."""
    xp, (m, n) = array_namespace(A), A.shape[-2:]
    top = xp.concat([t * identity_like(A, m), A], axis=-1)
    bottom = xp.concat([adjoint(A), t * identity_like(A, n)], axis=-1)
    W = sign(xp.concat([top, bottom], axis=-2))
    P, Q = W[..., :m, :m], W[..., :m, m:]
    return Q, t * Q + P @ A


# %% book/matrix_sign/clipping.ipynb: _split
def _split(A, t, S, method, sign):
    """mstep and mclip of a wide A at t, in the units of A."""
    xp, unit = array_namespace(A), power_of_two(peak_of(A))
    t = xp.clip(t / unit, max=4 * math.prod(A.shape[-2:])**0.5)         # above 2 s_1 / unit
    X = A / unit
    step, clip = _polar_form(X, t, S, sign) if method == "msign" else _block_form(X, t, sign)
    return step, clip * unit


def _clip(A, lo, hi, method, sign):
    """min(s, hi) - min(s, lo) + lo for a wide A."""
    S = sign(A) if method == "msign" or lo else None
    X = _split(A, hi, S, method, sign)[1] if hi < math.inf else A
    return X - _split(A, lo, S, method, sign)[1] + lo * S if lo else X


def _step(A, t, method, sign):
    """mstep of a wide A at t."""
    return _split(A, t, sign(A) if method == "msign" else None, method, sign)[0]


# %% book/matrix_sign/clipping.ipynb: _check_bound
def _check_bound(value, name):
    """value as a float >= 0; Inf is one."""
    return check_number(value, name, "a number >= 0", lambda bound: bound >= 0)


def _method_and_sign(method, schedule, tol, rtol):
    """The method that "auto" means, and the sign with its options."""
    check_choice(method, "method", ("auto", "svd", "msign", "block"))
    if method == "auto":
        method = "svd" if schedule is None and tol is None else "msign"
    if method == "svd":
        refuse_options("method='svd'", schedule=schedule, tol=tol)
    else:
        refuse_options(f"method={method!r}", rtol=rtol)
    if schedule is not None:
        refuse_options("a given schedule", tol=tol)
    by = "auto" if tol is None else "polynomial"
    return method, partial(msign, method=by, schedule=schedule, tol=tol)


def _by_signs(f, A, *arguments):
    """f(A), by way of A^H if A is tall; A itself if it is empty."""
    if 0 in A.shape[-2:]:
        return A
    xp, (A, back) = array_namespace(A), wide(A)
    X = f(A, *arguments)
    if not may_hold(xp.all(xp.isfinite(X))):
        raise ValueError("the signs diverged: their schedule is not for this precision")
    return back(X)


# %% book/matrix_sign/clipping.ipynb: mclip
@quiet
def mclip(A, lo=0.0, hi=1.0, *, method="auto", schedule=None, tol=None, rtol=None):
    r"""U min(max(S, lo), hi) V^H for A = U S V^H; with lo = 0 the nearest X, norm(X, 2) <= hi.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    lo, hi : float
        The interval, ``0 <= lo <= hi``. ``hi`` may be Inf.
    method : {"auto", "svd", "msign", "block"}
        "msign" takes the matrix signs of A and, for each threshold t, of (A^H A)^(1/2) - t I;
        "block" that of a matrix with m + n rows. "auto" is "msign" if ``schedule`` or ``tol``
        is given, else "svd".
    schedule : int or sequence of sequences of float, optional
        For "msign" and "block": how to compute the signs, as in `msign`.
    tol : float, optional
        For "msign" and "block" instead of ``schedule``: signs by products, each to this
        accuracy, as in `msign`. Without both the signs are those of ``msign(X)``.
    rtol : float, optional
        For "svd": only singular values above ``rtol * s_1`` are clipped, the others become
        zero. Default is 0 for ``lo = 0``, else ``4 * sqrt(min(m, n)) * eps``.

    Returns
    -------
    X : array, shape (..., m, n)
        The clipped matrix, of the same library, dtype and device as A.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; bounds or options out of range; an option of another
        method; a schedule that diverges.
    TypeError
        A dtype without meaning, or bounds that are no numbers.

    Notes
    -----
    "svd": O(m n min(m, n)) operations, backward stable. For ``lo = 0`` the map does not expand,
    so the forward error is a small multiple of ``eps * s_1`` as well. For ``lo > 0`` the result
    jumps where a singular value reaches zero, and products need an A of full rank.

    "msign" with a schedule of quintic steps: per step 3 products with the m x n matrix and, for
    each threshold, 3 of the smaller side; "block": 3 of the side m + n. An error E of the signs
    costs about ``E * s_1 / 2``; a distance from a threshold below ``lower * s_1`` is not
    resolved, with the lower end of the range of the schedule, 1e-3 for a number of steps.

    Derivatives: with "svd" those of `svfun`, with slope 0 at ``hi`` and 1 at ``lo``; else those
    of the signs, for a schedule those of its steps. Fit for ``vmap`` and ``jit``.

    Derived in :ref:`clipping-projection` and :ref:`clipping-signs`,
    :prf:ref:`clip-projection` and :prf:ref:`clip-by-signs`; Su (2025e, 2025f).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import mclip
    >>> A = np.array([[3.0, 0.0, 4.0], [0.0, 0.5, 0.0]])
    >>> mclip(A).round(6)
    array([[0.6, 0. , 0.8],
           [0. , 0.5, 0. ]])
    >>> mclip(A, 1, 2, schedule=12).round(6)
    array([[1.2, 0. , 1.6],
           [0. , 1. , 0. ]])
    """
    xp, A = as_stack(A)
    lo, hi = _check_bound(lo, "lo"), _check_bound(hi, "hi")
    largest = float(xp.finfo(A.dtype).max)
    if lo > min(hi, largest):
        raise ValueError(f"lo is {lo!r} and hi is {hi!r}; allowed is lo <= hi, lo finite")
    hi = hi if hi <= largest else math.inf
    method, sign = _method_and_sign(method, schedule, tol, rtol)
    if method == "svd":
        rtol = 0.0 if rtol is None and lo == 0 else rtol
        clip = lambda s: xp.where(s < lo, lo, xp.where(s < hi, s, hi))      # of slope 0 at hi
        return svfun(A, clip, rtol=rtol)
    return _by_signs(_clip, A, lo, hi, method, sign)


@quiet
def mstep(A, threshold=1.0, *, method="auto", schedule=None, tol=None, rtol=None):
    r"""The sum of u_i v_i^H over s_i > threshold, for A = U S V^H.

    Parameters
    ----------
    A : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX.
    threshold : float, default 1.0
        At least 0. A singular value within round-off of it may go either way.
    method, schedule, tol
        As in `mclip`.
    rtol : float, optional
        For "svd": singular values up to ``rtol * s_1`` become zero too. Default is
        ``4 * sqrt(min(m, n)) * eps``, which makes ``mstep(A, 0)`` equal to ``msign(A)``.

    Returns
    -------
    X : array, shape (..., m, n)
        Of the same library, dtype and device as A; a partial isometry: X X^H and X^H X are
        the projectors on the singular vectors above the threshold, and their number is
        ``norm(X, "fro")**2``.

    Raises
    ------
    ValueError
        NaN, Inf or fewer than two axes; a threshold or option out of range; an option of
        another method.
    TypeError
        A dtype without meaning, or a threshold that is no number.

    Notes
    -----
    The same work as `mclip`, and the same kinds of derivatives.
    Derived in :ref:`clipping-signs`, :prf:ref:`clip-by-signs`; Su (2025e).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import mstep
    >>> A = np.array([[3.0, 0.0, 4.0], [0.0, 0.5, 0.0]])
    >>> mstep(A).round(6)
    array([[0.6, 0. , 0.8],
           [0. , 0. , 0. ]])
    """
    xp, A = as_stack(A)
    threshold = min(_check_bound(threshold, "threshold"), float(xp.finfo(A.dtype).max))
    method, sign = _method_and_sign(method, schedule, tol, rtol)
    if method == "svd":
        return svfun(A, lambda s: s > threshold, rtol=rtol)
    return _by_signs(_step, A, threshold, method, sign)


# %% book/matrix_sign/clipping.ipynb: _slope
def _slope(x, y, fx, fy, mean):
    """(f(x) - f(y)) / (x - y), or the mean of f' where rounding hides the difference."""
    xp, gap = array_namespace(x, y), x - y
    size = xp.where(gap == 0, 1.0, xp.abs(gap))
    quotient = (fx - fy) / xp.where(gap == 0, 1.0, gap)
    noise = 4 * float(xp.finfo(gap.dtype).eps) * (xp.abs(fx) + xp.abs(fy)) / size
    return xp.where((gap == 0) | (xp.abs(quotient - mean) <= noise), mean, quotient)


def _divided(s, y, dy):
    """f[s_i, s_j], f[s_i, -s_j] and f[s_i, 0] from y = f(s), continued as an odd function."""
    row = lambda v: v[..., None, :]
    column = lambda v: v[..., :, None]
    mean = row(dy) / 2 + column(dy) / 2
    same = _slope(column(s), row(s), column(y), row(y), mean)
    opposite = _slope(column(s), -row(s), column(y), -row(y), mean)
    return same, opposite, array_namespace(s).where(s > 0, y / safe_divisor(s), dy)


def _of_function(f, df, s, c, rtol):
    """The same of f(c s)."""
    xp, y, dy = array_namespace(s), _values(f, s, c), c * _values(df, s, c, "df")
    regular = may_hold(xp.all(s > rtol * s[..., :1]))
    if not (regular or may_hold(xp.all(_values(f, 0 * s, c) == 0))):
        raise ValueError("A has singular values of at most rtol * s_1 and f(0) is not 0; "
                         "svfun is not differentiable there")
    return _divided(s, y, dy)


# %% book/matrix_sign/clipping.ipynb: svfun_jvp
@quiet
def svfun_jvp(A, dA, f, df, *, rtol=None):
    r"""The derivative of A -> svfun(A, f) in the direction dA, safe at equal singular values.

    Parameters
    ----------
    A, dA : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, and a direction.
    f, df : callable
        The function of the singular values and its derivative, entry by entry. Where f has a
        corner, df may return any value between the two slopes.
    rtol : float, optional
        Singular values up to ``rtol * s_1`` are allowed only if f(0) = 0. Default is
        ``4 * sqrt(min(m, n)) * eps``.

    Returns
    -------
    array, shape (..., m, n)
        Of the same library, dtype and device as A.

    Raises
    ------
    ValueError
        As `svfun`; shapes that differ; f(0) is not 0 and A is singular to ``rtol``.
    TypeError
        As `svfun`; arrays of two libraries.

    Notes
    -----
    One singular value decomposition and products, O(m n min(m, n)) operations. Where two
    singular values nearly coincide, a smooth f loses at most a third of the digits.
    Derived in :ref:`clipping-derivative`, :prf:ref:`svfun-derivative`; Noferini (2017).

    Examples
    --------
    The clip, at two equal singular values:

    >>> import numpy as np
    >>> from lowrank import svfun_jvp
    >>> A, dA = np.diag([2.0, 2.0, 0.5]), np.array([[0.0, 1, 0], [3, 0, 0], [0, 0, 1]])
    >>> dX = svfun_jvp(A, dA, lambda s: np.minimum(s, 1), lambda s: s < 1)
    >>> [[round(float(x), 6) for x in row[:2]] for row in dX[:2]], round(float(dX[2, 2]), 6)
    ([[0.0, -0.5], [0.5, 0.0]], 1.0)
    """
    return derivative_by_multipliers(A, dA, "dA", rtol, partial(_of_function, f, df))


@quiet
def svfun_vjp(A, G, f, df, *, rtol=None):
    r"""The gradient of A -> Re tr(G^H svfun(A, f)), for training through singular values.

    Parameters
    ----------
    A, G : array, shape (..., m, n)
        The matrices, and the gradient with respect to the result.
    f, df, rtol
        As in `svfun_jvp`.

    Returns
    -------
    array, shape (..., m, n)
        The gradient with respect to A.

    Raises
    ------
    ValueError, TypeError
        As `svfun_jvp`.

    Notes
    -----
    The derivative is its own adjoint, so this is `svfun_jvp` with G in place of dA.

    Examples
    --------
    The gradient of the nuclear norm is the sign, with f(s) = s and G = msign(A):

    >>> import numpy as np
    >>> from lowrank import msign, svfun_vjp
    >>> A = np.array([[3.0, 0.0], [4.0, 0.5]])
    >>> bool(np.allclose(svfun_vjp(A, msign(A), lambda s: s, np.ones_like), msign(A)))
    True
    """
    return derivative_by_multipliers(A, G, "G", rtol, partial(_of_function, f, df))


# %% book/matrix_sign/clipping.ipynb: _slopes
def _slopes(f, s):
    """f'(s), as the library of s finds it; 0 for an f that has no slope."""
    xp = array_namespace(s)
    number = lambda s: xp.astype(f(s), s.dtype, copy=False)
    if is_tensor(s):
        from torch.func import vjp
        return vjp(number, s)[1](xp.ones_like(s))[0]
    from jax import jvp
    return jvp(number, (s,), (xp.ones_like(s),))[1]


def _with_slopes(f, B, U, s, Vh, c, counts, y):
    """U y V^H for B = U s V^H and y = f(c s) where it counts, with its derivative."""
    xp = array_namespace(s)
    zero = s <= round_off(B.shape, xp.finfo(s.dtype).eps) * s[..., :1]
    flat = ~counts & zero & (f(0 * s) == 0)                     # there f goes through zero
    seen = xp.where(counts | flat, s, safe_divisor(s[..., :1]))
    of = lambda s: f(s * c)
    dy = _slopes(of, seen)
    dy = xp.where((counts | flat) & xp.isfinite(dy), dy, 0.0)
    small = xp.where(flat, s, 0.0)
    y = y + dy * (small - constant(small))                      # the value 0, and a slope
    return recombined(B, U, s, Vh, y, dy)


# %% book/matrix_sign/clipping.ipynb: recombined
def _multipliers(ins):
    """U, V^H and the multipliers for the parts of a direction, without the diagonal of F_+."""
    (_, U, s, Vh, y, dy), xp = ins, array_namespace(ins[0])
    s, y, dy = (xp.real(v)[..., 0, :] for v in (s, y, dy))
    same, opposite, alone = _divided(s, y, dy)
    return U, Vh, same * (1 - identity_like(same, s.shape[-1])), opposite, alone


def _recombined_push(ins, outs, changes):
    """From changes of B and y to that of U y V^H."""
    (U, Vh, *multipliers), (dB, _, _, _, dy, _) = _multipliers(ins), changes
    moved = 0 * outs[0] if dB is None else spread(U, Vh, dB, *multipliers)
    return (moved if dy is None else moved + (U * dy) @ Vh,)


def _recombined_pull(ins, outs, cotangents):
    """And back."""
    (U, Vh, *multipliers), (G,) = _multipliers(ins), cotangents
    xp, y = array_namespace(G), ins[4]
    gy = diagonal(adjoint(U) @ G @ adjoint(Vh))[..., None, :]
    return spread(U, Vh, G, *multipliers), None, None, None, xp.astype(gy, y.dtype), None


_RECOMBINED = Rule(lambda B, U, s, Vh, y, dy: ((U * y) @ Vh,), _recombined_pull, _recombined_push)


def recombined(B, U, s, Vh, y, dy):
    """U y V^H for B = U s V^H and y = f(s), with the derivative that has the slopes dy of f."""
    s, y, dy = (v[..., None, :] for v in (s, y, dy))
    return attached(_RECOMBINED, B, U, s, Vh, y, dy)[0]

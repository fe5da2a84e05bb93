r"""Curvature from gradients.

An optimizer that sees only gradients divides by $(\mathbb{E}\,gg^{\mathsf T})^{1/2}$, or by the
root of its diagonal: what has that to do with the Hessian $H$, and how is it computed from $N$
gradients in $d$ dimensions without a matrix of size $d\times d$?

Generated from book/covariances/curvature.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np
from scipy import linalg

from lowrank.arguments import check_choice, check_count, check_number
from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_finite,
    check_library,
    cut_off,
    frobenius_norm,
    is_numpy_array,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    rescaled,
    safe_divisor,
    single,
    singular_values,
    thin_svd,
)
from lowrank.derivatives import Rule, attached, fitted
from lowrank.polar_factor import decomposed, identity_like

__all__ = ["curvature_from_gradients", "whiten_gradient", "Kronecker", "nearest_kronecker"]


# %% book/covariances/curvature.ipynb: _as_gradients
def _as_gradients(G, axes, least=1):
    """(xp, G): finite real floats of shape (..., N, d) or (..., N, m, n), N at least `least`."""
    xp, G = as_floats(G, "G")
    if not xp.isdtype(G.dtype, "real floating"):
        raise TypeError(f"G has dtype {G.dtype}; allowed are real numbers")
    if G.ndim < axes or 0 in G.shape[-axes:] or G.shape[-axes] < least:
        wanted = "(..., N, d)" if axes == 2 else "(..., N, m, n)"
        raise ValueError(f"G has shape {tuple(G.shape)}; allowed is {wanted} with at least "
                         f"{least} gradient{'s' * (least > 1)}, and none of its sizes zero")
    check_finite(G, "G")
    return xp, G


def _mean(X):
    """The mean of the rows, of shape (..., 1, d), for NumPy summed in double."""
    if is_numpy_array(X):
        return np.mean(X, axis=-2, keepdims=True, dtype=np.float64).astype(X.dtype)
    return array_namespace(X).mean(X, axis=-2, keepdims=True)


# %% book/covariances/curvature.ipynb: _right_vectors
def _right_vectors(X):
    """s and V^T of X; in NumPy a tall X is first made square."""
    if is_numpy_array(X) and X.shape[-2] > X.shape[-1]:
        X = np.linalg.qr(X, mode="r")
    return thin_svd(X)[1:]


def _shares(X):
    """U, s, V^T, s_i / (s_i + s_j), and 1 for what is not zero to rounding."""
    U, s, Vh = decomposed(X)
    xp = array_namespace(s)
    s = xp.where(s > cut_off(None, X) * s[..., :1], s, 0.0)
    row, column = s[..., None, :], s[..., :, None]
    kept = xp.astype(column > 0, s.dtype)
    return U, Vh, column / safe_divisor(row + column), kept


# %% book/covariances/curvature.ipynb: _root_value
def _root_value(X):
    """(X^T X)^(1/2)."""
    s, Vh = _right_vectors(X)
    half = array_namespace(s).sqrt(s)[..., None] * Vh
    R = half.mT @ half
    return ((R + R.mT) / 2,)


def _root_push(ins, outs, changes):
    """From a change of X to that of the root."""
    U, Vh, share, kept = _shares(*ins)
    W = U.mT @ changes[0]
    F = W @ Vh.mT
    half = Vh.mT @ (share * F @ Vh + kept * (W - F @ Vh))
    return (half + half.mT,)


def _root_pull(ins, outs, cotangents):
    """And back."""
    U, Vh, share, kept = _shares(*ins)
    W = Vh @ (cotangents[0] + cotangents[0].mT)
    F = W @ Vh.mT
    return (U @ (share * F @ Vh + kept * (W - F @ Vh)),)


_ROOT = Rule(_root_value, _root_pull, _root_push)


# %% book/covariances/curvature.ipynb: _root_of_squares
def _root_of_squares(X):
    """The root of the mean square of each column, of shape (..., d), with slope 0 at 0."""
    xp = array_namespace(X)
    c = power_of_two(xp.max(xp.abs(X), axis=-2, keepdims=True))
    squares = _mean((X / c)**2)
    zero = squares == 0
    return (c * xp.where(zero, 0.0, xp.sqrt(xp.where(zero, 1.0, squares))))[..., 0, :]


# %% book/covariances/curvature.ipynb: curvature_from_gradients
@quiet
def curvature_from_gradients(G, *, centered=False, diagonal=False):
    r"""(G^T G / N)^(1/2), the positive root of the second moment of N gradients.

    Parameters
    ----------
    G : array, shape (..., N, d)
        Gradients as rows, N >= 1; NumPy, PyTorch or JAX, real.
    centered : bool, default False
        Subtract the mean gradient first, as AdaBelief does; then N >= 2. It is still divided
        by N.
    diagonal : bool, default False
        The root of the diagonal, what Adam divides by, which is not the diagonal of the root.

    Returns
    -------
    array, shape (..., d, d) or (..., d)
        Symmetric and positive semidefinite, of rank at most N.

    Raises
    ------
    ValueError
        NaN, Inf, too few gradients, another shape.
    TypeError
        A dtype without meaning, or complex numbers.

    Notes
    -----
    This is never the Hessian: signs are lost, and which power of it this is depends on where
    gradients come from. For gradients of minibatches along a stationary run whose noise is
    proportional to H it is near a multiple of H^(1/2); for exact gradients at offsets of equal
    size in all directions, a multiple of ``|H|``.

    From the singular values of G, whose square is not formed: an eigenvalue of the root is
    right to eps times the largest one, and one of ``sqrt(eps)`` keeps half of its digits.
    O(N d min(N, d) + d^2 min(N, d)) operations; ``diagonal`` takes O(N d).
    PyTorch and JAX differentiate it; the derivative exists where the rank does not change, and
    is 0 for directions that G does not have.
    Derived in :ref:`curvature-from-gradients`, :prf:ref:`stationary-gradients` and
    :prf:ref:`gradient-root-derivative`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import curvature_from_gradients
    >>> G = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
    >>> curvature_from_gradients(G).round(6)
    array([[ 1.822829, -0.103094],
           [-0.103094,  1.410451]])
    >>> curvature_from_gradients(G, diagonal=True).round(6)
    array([1.825742, 1.414214])
    """
    xp, G = _as_gradients(G, 2, 2 if centered else 1)
    c = power_of_two(peak_of(G))
    X, c = single(G / c), single(c)
    if centered:
        X = X - _mean(X)
    if diagonal:
        return xp.astype(c[..., 0] * _root_of_squares(X), G.dtype)
    R = attached(_ROOT, X)[0] / X.shape[-2]**0.5
    return xp.astype(c * R, G.dtype)


# %% book/covariances/curvature.ipynb: _weights
def _weights(rtol, X, e, s):
    """s or 0, a, 1 / a or 0, and the weight outside of V, for a = (s^2 / N + eps^2)^(1/2)."""
    xp = array_namespace(s)
    if rtol is not None:                                        # eps is 0
        s = xp.where(s > rtol * s[..., :1], s, 0.0)
    a = xp.hypot(s / X.shape[-2]**0.5, e[..., 0] + 0 * s)
    inverse = lambda x: xp.where(x > 0, 1 / safe_divisor(x), 0.0)
    return s, a, inverse(a), inverse(e)


def _whitened(y, Vh, w, outside):
    """y W for a row y."""
    x = y @ Vh.mT
    result = (x * w[..., None, :]) @ Vh
    return result if Vh.shape[-2] == Vh.shape[-1] else result + (y - x @ Vh) * outside


# %% book/covariances/curvature.ipynb: _by_reflections
def _by_reflections(rtol, X, y, e):
    """The same for one wide matrix of NumPy, whose right vectors are not made either."""
    N = X.shape[-2]
    (a, tau), R = linalg.qr(X.reshape(X.shape[-2:]).T, mode="raw", check_finite=False)
    (turn,) = linalg.get_lapack_funcs(("ormqr",), (a,))
    turned = lambda way, Y: turn("L", way, a, tau, Y, 64 * max(Y.shape[1], 1))[0]
    Y = turned("T", y.reshape(-1, y.shape[-1]).T)               # the first N of d coordinates
    U, s, _ = thin_svd(R[:N])
    _, _, w, outside = _weights(rtol, X, e.reshape(1, 1), s)
    Y[N:] *= outside
    Y[:N] = U @ (w[:, None] * (U.T @ Y[:N]))
    return turned("N", Y).T.reshape(y.shape)


def _white_value(rtol, X, y, e):
    """y (X^T X / N + eps^2)^(-1/2)."""
    if is_numpy_array(X) and X.size == X.shape[-1] * X.shape[-2] and X.shape[-1] > X.shape[-2]:
        return (_by_reflections(rtol, X, y, e),)
    s, Vh = _right_vectors(X)
    _, _, w, outside = _weights(rtol, X, e, s)
    return (_whitened(y, Vh, w, outside),)


# %% book/covariances/curvature.ipynb: _white_parts
def _white_parts(rtol, X, y, e):
    """What both derivatives need: U, V^T, w, the weight outside, and the multipliers."""
    U, s, Vh = decomposed(X)
    xp, N = array_namespace(s), X.shape[-2]
    s, a, w, outside = _weights(rtol, X, e, s)
    i, j = w[..., :, None], w[..., None, :]
    both = -i * j / safe_divisor(a[..., :, None] + a[..., None, :])
    if rtol is None:
        inside, beside = both, -i * outside / safe_divisor(a[..., None] + e)
    else:                                                       # one of the two may be left out
        inside, beside = xp.where(i * j > 0, both, i**3 + j**3), i**3
    s = s[..., :, None] / N
    return U, Vh, w, outside, s * inside, s * beside


# %% book/covariances/curvature.ipynb: _white_push
def _white_push(rtol, ins, outs, changes):
    """From changes of X and y to that of the result."""
    (X, y, e), (E, h, _) = ins, changes
    U, Vh, w, outside, inside, beside = _white_parts(rtol, X, y, e)
    change = 0 * outs[0] if h is None else _whitened(h, Vh, w, outside)
    if E is None:
        return (change,)
    x = y @ Vh.mT
    W = U.mT @ E
    F = W @ Vh.mT
    rest, B = y - x @ Vh, beside * (W - F @ Vh)
    K = inside * F
    return (change + x @ (K + K.mT) @ Vh + x @ B + rest @ B.mT @ Vh,)


def _white_pull(rtol, ins, outs, cotangents):
    """And back."""
    (X, y, e), (c,) = ins, cotangents
    U, Vh, w, outside, inside, beside = _white_parts(rtol, X, y, e)
    x, z = y @ Vh.mT, c @ Vh.mT
    K = inside * (z.mT @ x + x.mT @ z)
    B = beside * (z.mT @ (y - x @ Vh) + x.mT @ (c - z @ Vh))
    return fitted(U @ (K @ Vh + B), X), fitted(_whitened(c, Vh, w, outside), y), None


_WHITE = Rule(_white_value, _white_pull, _white_push)


# %% book/covariances/curvature.ipynb: whiten_gradient
@quiet
def whiten_gradient(G, g, *, eps=0.0, rtol=None):
    r"""(G^T G / N + eps^2 I)^(-1/2) g, without a matrix of size d x d.

    Parameters
    ----------
    G : array, shape (..., N, d)
        Gradients as rows, N >= 1; NumPy, PyTorch or JAX, real.
    g : array, shape (..., d)
        What is to be whitened, of the same library; leading axes are broadcast with those of G.
    eps : float, default 0.0
        Inside of the root, as a square, in the unit of the gradients. With 0 the pseudo-inverse
        is meant: what is perpendicular to all gradients becomes 0.
    rtol : float, optional
        Only with ``eps=0``: singular values of G up to ``rtol * s_1`` count as zero; default
        ``4 * sqrt(min(N, d)) * eps`` of the dtype.

    Returns
    -------
    array, shape (..., d)
        The whitened g. Of 16 bits it is computed in float32.

    Raises
    ------
    ValueError
        NaN, Inf, shapes that do not fit, eps below 0, rtol out of range or with an eps.
    TypeError
        A dtype without meaning, complex numbers, two libraries.

    Notes
    -----
    One decomposition of G, O(N d min(N, d)), and O(N d) for each g. Memory O(N d).
    ``whiten_gradient(G, G)`` is ``sqrt(N) msign(G)``: a set that whitens itself forgets its
    singular values.
    Adam adds its eps outside of the root, which is another function.
    PyTorch and JAX differentiate in G and g, where with ``eps=0`` the rank is kept.
    Derived in :ref:`curvature-whiten`, :prf:ref:`one-problem` and
    :prf:ref:`gradient-root-derivative`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import whiten_gradient
    >>> G = np.array([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    >>> whiten_gradient(G, np.array([3.0, 0.5, 7.0])).round(6)
    array([1.414214, 1.414214, 0.      ])
    >>> whiten_gradient(G, np.array([3.0, 0.5, 7.0]), eps=1.0).round(6)
    array([1.279204, 0.471405, 7.      ])
    """
    xp, G = _as_gradients(G, 2)
    kind, g = as_floats(g, "g")
    check_library(g, "g", G, "G")
    if not kind.isdtype(g.dtype, "real floating"):
        raise TypeError(f"g has dtype {g.dtype}; allowed are real numbers")
    if not g.ndim or g.shape[-1] != G.shape[-1]:
        raise ValueError(f"g has shape {tuple(g.shape)} and G has shape {tuple(G.shape)}; "
                         "allowed are (..., d) and (..., N, d)")
    check_finite(g, "g")
    eps = check_number(eps, "eps", "a finite number of at least 0", lambda x: 0 <= x < math.inf)
    if eps and rtol is not None:
        raise ValueError(f"rtol is {rtol!r}; with an eps above 0 it is not used")
    dtype = xp.result_type(G, g)
    X, y = (single(xp.astype(A, dtype, copy=False)) for A in (G, g[..., None, :]))
    cut = None if eps else cut_off(rtol, X)
    c, b = power_of_two(xp.maximum(peak_of(X), eps + 0 * peak_of(X))), power_of_two(peak_of(y))
    found = attached(_WHITE, *_leveled(X / c, y / b, eps / c), static=(cut,))[0]
    return xp.astype(rescaled(found, b, c), dtype)[..., 0, :]


def _leveled(X, *others):
    """Arrays with the same number of axes."""
    axes = max(A.ndim for A in (X, *others))
    level = lambda A: array_namespace(A).reshape(A, (1,) * (axes - A.ndim) + tuple(A.shape))
    return tuple(map(level, (X, *others)))


# %% book/covariances/curvature.ipynb: Kronecker
class Kronecker(namedtuple("Kronecker", "L R error steps converged")):
    """What `nearest_kronecker` found: the factors, and how good they are; see there."""

    __slots__ = ()


def _in_front(G):
    """(..., m, N, n) and (..., n, N, m) of (..., N, m, n): the gradients side by side."""
    xp, lead = array_namespace(G), tuple(range(G.ndim - 3))
    N, m, n = (G.ndim - k for k in (3, 2, 1))

    def turned(*order):
        """A copy in that order, so that every reshape below is free."""
        X = xp.permute_dims(G, (*lead, *order))
        return xp.reshape(xp.reshape(X, (*X.shape[:-2], X.shape[-2] * X.shape[-1])), X.shape)
    return turned(m, N, n), turned(n, N, m)


def _through(A, Z):
    """The mean of G Z G^T, for A = (..., m, N, n), by two products."""
    xp, (*lead, m, N, n) = array_namespace(A), A.shape
    AZ = xp.reshape(A, (*lead, m * N, n)) @ Z
    flat = lambda X: xp.reshape(X, (*lead, m, N * n))
    M = flat(AZ) @ flat(A).mT / N
    return (M + M.mT) / 2


# %% book/covariances/curvature.ipynb: _alternate
def _alternate(A, B, turn, steps):
    """(L, R, steps, converged): R -> L -> R by `turn`, until R moves no more."""
    xp = array_namespace(A)
    n = A.shape[-1]
    R = identity_like(A[..., 0, :, :], n) / n**0.5
    tol, most = float(xp.finfo(A.dtype).eps)**0.75, steps or 1000
    for step in range(1, most + 1):
        L, new = turn(A, B, R)
        moved = frobenius_norm(new - R * (frobenius_norm(new) / safe_divisor(frobenius_norm(R))))
        done = moved <= tol * frobenius_norm(new)
        R = new
        if steps is None and bool(xp.all(done)):
            break
    return L, R, step, done[..., 0, 0]


# %% book/covariances/curvature.ipynb: _power_turn
def _power_turn(A, B, R):
    """A unit L = R(R), and sigma times a unit R."""
    L = _through(A, R / safe_divisor(frobenius_norm(R)))
    L = L / safe_divisor(frobenius_norm(L))
    return L, _through(B, L)


def _likely_turn(A, B, R):
    """The likeliest L for R, and R for L."""
    inverse = array_namespace(A).linalg.inv
    L = _through(A, inverse(R)) / A.shape[-1]
    return L, _through(B, inverse(L)) / A.shape[-3]


def _moment_norm(G):
    """norm(C, "fro"), of shape (..., 1, 1), by the smaller Gram matrix."""
    xp, (*lead, N, m, n) = array_namespace(G), G.shape
    V = xp.reshape(G, (*lead, N, m * n))
    return frobenius_norm(V @ V.mT if N < m * n else V.mT @ V) / N


def _check_full(X):
    """Refuse gradients whose E G G^T or E G^T G is singular, where there are values."""
    for A, what in zip(_in_front(X), ("E G G^T", "E G^T G")):
        xp, (*lead, m, N, n) = array_namespace(A), A.shape
        s = singular_values(xp.reshape(A, (*lead, m, N * n)))
        full = N * n >= m and may_hold(xp.all(s[..., -1] > cut_off(None, A) * s[..., 0]))
        if not full:
            raise ValueError(f"{what} is singular, so that no Kronecker product is likeliest; "
                             "allowed are such gradients with divergence='frobenius'")


# %% book/covariances/curvature.ipynb: nearest_kronecker
@quiet
def nearest_kronecker(G, *, steps=None, divergence="frobenius"):
    r"""L, R with L (x) R nearest to C, the mean of vec(G) vec(G)^T, by products E G Z G^T alone.

    Parameters
    ----------
    G : array, shape (..., N, m, n)
        Gradients of a matrix, N >= 1; NumPy, PyTorch or JAX, real. vec goes row by row, as
        ``reshape`` does, so that ``numpy.kron(L, R)`` stands for C.
    steps : int >= 1, optional
        Take exactly so many steps of two maps each; by default as many as R needs to settle,
        within ``eps**0.75``, up to 1000.
    divergence : {"frobenius", "kl"}
        The least norm(C - L (x) R), by power iteration from the identity; or the least
        KL(N(0, C) || N(0, L (x) R)), by turns.

    Returns
    -------
    Kronecker
        Named tuple of ``L`` (..., m, m) and ``R`` (..., n, n), symmetric, positive semidefinite
        up to rounding, with equal Frobenius norms; ``error``, of shape (...); ``steps``; and
        ``converged``, of shape (...), whether R has settled.

        ``error`` is norm(C - L (x) R) / norm(C) in the Frobenius norm, 0 for C = 0, with an
        uncertainty of sqrt(eps) near 0. With "kl" it is the divergence without its part
        ``-log(det(C)) / 2``, which does not depend on L and R and is infinite for singular C.

    Raises
    ------
    ValueError
        NaN, Inf, another shape, an unknown divergence, steps below 1; with "kl" gradients whose
        mean G G^T or G^T G is singular.
    TypeError
        A dtype without meaning, complex numbers, steps that are no integer.

    Notes
    -----
    N m n (m + n) multiplications for a map, O(m^2 + n^2) numbers besides copies of G; the
    error in the Frobenius norm takes N^2 m n more, or N (m n)^2 if that is less. Where m n is
    a few hundred and N as large, forming C and rearranging it is faster.
    One step with "frobenius" has L = E G G^T up to scale, that of Shampoo, and the R that is
    best for it. Where the two largest singular values agree the pair depends on the start.
    With "kl" there may be no minimum for few gradients, N not above m / n + n / m: then
    ``converged`` is False, or L and R are ill-conditioned.
    With ``steps`` it is fit for ``jit``, and PyTorch and JAX differentiate these steps.
    Derived in :ref:`curvature-kronecker` and :ref:`curvature-kl`,
    :prf:ref:`nearest-kronecker-pair` and :prf:ref:`kl-kronecker`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import nearest_kronecker
    >>> G = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [2.0, 0.0]]])
    >>> L, R, error, steps, converged = nearest_kronecker(G)
    >>> L.round(6), bool(converged)
    (array([[1.118034, 0.      ],
           [0.      , 1.118034]]), True)
    """
    xp, G = _as_gradients(G, 3)
    steps = None if steps is None else check_count(steps, "steps", 1)
    check_choice(divergence, "divergence", ("frobenius", "kl"))
    *lead, N, m, n = G.shape
    c = power_of_two(peak_of(xp.reshape(G, (*lead, N * m, n))))
    X, c = single(G / c[..., None]), single(c)
    if divergence == "kl":
        _check_full(X)
    turn = _power_turn if divergence == "frobenius" else _likely_turn
    L, R, step, converged = _alternate(*_in_front(X), turn, steps)
    size, left = frobenius_norm(R), frobenius_norm(L)
    if divergence == "frobenius":
        part = size / safe_divisor(_moment_norm(X))
        error = xp.sqrt(xp.where(part > 0, xp.clip(1 - part**2, 0.0, None), 0.0))[..., 0, 0]
    else:
        logs = [xp.linalg.slogdet(M)[1] for M in (L, R)]
        error = (n * logs[0] + m * logs[1]) / 2 + m * n * xp.log(c[..., 0, 0])
    balance = xp.sqrt(xp.where(left > 0, size / safe_divisor(left), 0.0))
    L, R = c * (L * balance), c * (R / safe_divisor(balance))
    return Kronecker(xp.astype(L, G.dtype), xp.astype(R, G.dtype), error, step, converged)

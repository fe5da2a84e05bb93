r"""Distances between Gaussians.

How far are the laws $\mathcal N(m_1,S_1)$ and $\mathcal N(m_2,S_2)$ apart, and how does one get
digits that are right when the two are nearly equal, when $S_1$ and $S_2$ are singular, and when
only thin factors $S_1=XX^{\mathsf T}$, $S_2=YY^{\mathsf T}$ are at hand?

Generated from book/covariances/gaussians.ipynb; edit the chapter.
"""

import math
from collections import namedtuple
from functools import reduce

import numpy as np
import scipy.linalg

from lowrank.arguments import check_choice, check_count, check_tol
from lowrank.arrays import (
    NUMPY,
    array_namespace,
    as_common,
    check_hermitian,
    compiling,
    constant,
    device,
    is_numpy_array,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    singular_values,
    thin_svd,
)
from lowrank.derivatives import Rule, attached, converted, summed
from lowrank.polar_factor import decomposed, identity_like, msign

__all__ = [
    "gaussian_w2",
    "gaussian_w2_grad",
    "GaussianMap",
    "gaussian_map",
    "gaussian_kl",
    "gaussian_bhattacharyya",
    "gaussian_fisher",
    "Barycenter",
    "gaussian_barycenter",
    "frechet_distance",
]


# %% book/covariances/gaussians.ipynb: _inner
def _inner(A, B):
    """The sum of products of entries, of shape (..., 1, 1)."""
    return array_namespace(A).sum(A * B, axis=(-2, -1), keepdims=True)


def _squares(A):
    return _inner(A, A)


def _residual(X, Y):
    """|X - Y Q|^2 for Q = U V^T, and what Q misses of Y."""
    U, _, Vh = thin_svd(Y.mT @ X)
    YU = Y @ U
    return _squares(X - YU @ Vh) + _squares(Y - YU @ U.mT)


def _factor_distance(X, Y):
    """The distance of XX^T and YY^T: a difference, or where little is left, a residual."""
    if is_numpy_array(X):
        total = _squares(X) + _squares(Y)
        if X.shape == Y.shape and np.all(_squares(X - Y) < 1e-3 * total):
            return _residual(X, Y)                              # Q = I is near already
        value = total - 2 * singular_values(Y.mT @ X).sum(-1)[..., None, None]
        if np.all(value >= 1e-3 * total):
            return value
    return _residual(X, Y)


# %% book/covariances/gaussians.ipynb: _round_off
def _round_off(S):
    """What counts as zero, relative to the largest eigenvalue."""
    return S.shape[-1] * float(array_namespace(S).finfo(S.dtype).eps)


def _kept(w, cut, name):
    """Ascending eigenvalues, with 0 for those below the cut; negative ones are refused."""
    xp = array_namespace(w)
    top = xp.max(xp.abs(w), axis=-1, keepdims=True)
    if not may_hold(xp.all(w >= -cut * top)):
        worst = xp.min(w[..., :1] / xp.where(top > 0, top, 1.0))
        raise ValueError(f"{name} has an eigenvalue of {float(worst):.1e} times the largest; "
                         f"allowed is {-cut:.1e}")
    return xp.where(w > cut * top, w, 0.0)


# %% book/covariances/gaussians.ipynb: _root
def _root(S, name):
    """X with S = X X^T: by Cholesky; by eigenvectors where that fails or cannot be seen to."""
    if is_numpy_array(S):
        try:
            return np.linalg.cholesky(S)
        except np.linalg.LinAlgError:
            pass
    xp = array_namespace(S)
    w, V = xp.linalg.eigh(S)
    return V * xp.sqrt(_kept(w, _round_off(S), name))[..., None, :]


def _bures(S1, S2):
    """The distance of two covariances."""
    return _factor_distance(_root(S1, "S1"), _root(S2, "S2"))


# %% book/covariances/gaussians.ipynb: _plan
def _plan(S1, S2):
    """X V, Y U and s for Y^T X = U diag(s) V^T."""
    X, Y = _root(S1, "S1"), _root(S2, "S2")
    U, s, Vh = thin_svd(Y.mT @ X)
    return X @ Vh.mT, Y @ U, s


def _inverse(s):
    """1 / s, and 0 for what is zero to rounding."""
    xp = array_namespace(s)
    large = s > s.shape[-1] * float(xp.finfo(s.dtype).eps) * s[..., :1]
    return xp.where(large, 1 / xp.where(large, s, 1.0), 0.0)


def _map_value(S1, S2):
    """(A,)"""
    _, Y, s = _plan(S1, S2)
    return ((Y * _inverse(s)[..., None, :]) @ Y.mT,)


# %% book/covariances/gaussians.ipynb: _gradient_rule
def _gradient_rule(value, gradient):
    """The rule of a number (..., 1, 1); gradient(*ins) has None for what has none."""
    def pull(ins, outs, cotangents):
        return tuple(None if G is None else cotangents[0] * G for G in gradient(*ins))

    def push(ins, outs, changes):
        return (summed(*(_inner(G, E) for G, E in zip(gradient(*ins), changes)
                         if G is not None and E is not None)),)

    return Rule(lambda *ins: (value(*ins),), pull, push)


def _factor_gradient(X, Y):
    """In X and in Y."""
    Q = msign(Y.mT @ X, method="svd")
    return 2 * (X - Y @ Q), 2 * (Y - X @ Q.mT)


_FACTORS = _gradient_rule(_factor_distance, _factor_gradient)


# %% book/covariances/gaussians.ipynb: _quotients
def _quotients(s):
    """1 / (s_i s_j (s_i + s_j)), and 0 where s_i or s_j is zero to rounding."""
    xp, inverse = array_namespace(s), _inverse(s)
    both = inverse[..., None, :] * inverse[..., :, None]
    total = xp.where(both > 0, s[..., None, :] + s[..., :, None], 1.0)
    return both / total


# %% book/covariances/gaussians.ipynb: _map_pull
def _map_pull(ins, outs, cotangents):
    """From A to S1 and S2."""
    X, Y, s = _plan(*ins)
    Z = (Y.mT @ (cotangents[0] + cotangents[0].mT) @ Y) * _quotients(s) / 2
    return -Y @ Z @ Y.mT, X @ Z @ X.mT


def _map_push(ins, outs, changes):
    """From S1 and S2 to A."""
    X, Y, s = _plan(*ins)
    change = summed(*(sign * (F.mT @ E @ F) for sign, E, F in zip((-1, 1), changes, (Y, X))
                      if E is not None))
    return (None if change is None else Y @ (change * _quotients(s)) @ Y.mT,)


_MAP = Rule(_map_value, _map_pull, _map_push)


def _bures_gradient(S1, S2):
    """In S1 and in S2."""
    I = identity_like(S1, S1.shape[-1])
    return I - attached(_MAP, S1, S2)[0], I - attached(_MAP, S2, S1)[0]


_BURES = _gradient_rule(_bures, _bures_gradient)


# %% book/covariances/gaussians.ipynb: _excess
def _excess(x):
    """x - log(1 + x), also for small x, to round-off."""
    xp = array_namespace(x)
    small = xp.abs(x) < 0.3
    y = xp.where(small, x, 0.0)
    s = y / (2 + y)
    series = reduce(lambda total, k: s * s * (1 / (2 * k + 1) + total), range(12, 0, -1), 0 * s)
    return xp.where(small, s * (y - 2 * series), x - xp.log1p(xp.where(small, 0.0, x)))


# %% book/covariances/gaussians.ipynb: _lower_solve
def _lower_solve(L, B):
    """L^(-1) B."""
    if is_numpy_array(L) and L.ndim == 2:
        return scipy.linalg.solve_triangular(L, B, lower=True, check_finite=False)
    return array_namespace(L).linalg.solve(L, B)


def _ratios(D, S1, L):
    """x = lambda - 1 and log lambda, from D = S1 - S2 and S2 = L L^T."""
    xp = array_namespace(D)
    M = _lower_solve(L, _lower_solve(L, D).mT)
    x = xp.linalg.eigvalsh(_symmetric(M))
    low = x < -0.9                                              # where 1 + x has few digits
    logs = xp.log1p(xp.where(low, 0.0, x))
    if may_hold(xp.any(low)):
        s = xp.flip(singular_values(_lower_solve(L, xp.linalg.cholesky(S1))), axis=-1)
        x, logs = xp.where(low, s * s - 1, x), xp.where(low, 2 * xp.log(s), logs)
    return x, logs


def _symmetric(A):
    return (A + A.mT) / 2


# %% book/covariances/gaussians.ipynb: _kl_value
def _kl_value(D, S1, S2, delta):
    """From D = S1 - S2, S1, S2 and Delta (..., d, 1)."""
    xp = array_namespace(D)
    L = xp.linalg.cholesky(S2)
    x, logs = _ratios(D, S1, L)
    terms = xp.where(x > -0.9, _excess(xp.where(x > -0.9, x, 0.0)), x - logs)
    return (xp.sum(terms, axis=-1)[..., None, None] + _squares(_lower_solve(L, delta))) / 2


def _kl_gradient(D, S1, S2, delta):
    """In S1, S2 and Delta."""
    solve = array_namespace(D).linalg.solve
    right, u = solve(S2, D).mT, solve(S2, delta)                # D S2^(-1)
    return (None, _symmetric(solve(S1, right)) / 2,
            -(_symmetric(solve(S2, right)) + u @ u.mT) / 2, u)


_KL = _gradient_rule(_kl_value, _kl_gradient)


# %% book/covariances/gaussians.ipynb: _bhattacharyya_value
def _bhattacharyya_value(D, S1, S2, delta):
    """The same four."""
    xp = array_namespace(D)
    _, logs = _ratios(D, S1, xp.linalg.cholesky(S2))
    terms = xp.log1p(2 * xp.sinh(logs / 4)**2)
    mean = _lower_solve(xp.linalg.cholesky((S1 + S2) / 2), delta)
    return xp.sum(terms, axis=-1)[..., None, None] / 2 + _squares(mean) / 8


def _bhattacharyya_gradient(D, S1, S2, delta):
    """With (S1 + S2) / 2 in the place of one of the two."""
    solve, S = array_namespace(D).linalg.solve, (S1 + S2) / 2
    right, v = solve(S, D).mT, solve(S, delta)
    square = v @ v.mT / 16
    return (None, _symmetric(solve(S1, right)) / 8 - square,
            -_symmetric(solve(S2, right)) / 8 - square, v / 4)


_BHATTACHARYYA = _gradient_rule(_bhattacharyya_value, _bhattacharyya_gradient)


# %% book/covariances/gaussians.ipynb: _certain
def _certain(condition):
    """Whether a condition is seen to hold."""
    return not compiling() and not may_hold(~condition)


def _diagonal(S):
    return array_namespace(S).sum(S * identity_like(S, S.shape[-1]), axis=-1)


def _is_regular(S):
    """Whether Cholesky is seen to find pivots above round-off."""
    xp, S = array_namespace(S), constant(S)
    try:
        pivots = _diagonal(xp.linalg.cholesky(S))
    except (np.linalg.LinAlgError, RuntimeError):
        return False
    return _certain(xp.all(pivots**2 > _round_off(S) * _diagonal(S)))


def _null(S):
    """The projector on the null space, a constant."""
    xp, S = array_namespace(S), constant(S)
    w, V = xp.linalg.eigh(S)
    return (V * xp.astype(_kept(w, _round_off(S), "S2") == 0, S.dtype)[..., None, :]) @ V.mT


# %% book/covariances/gaussians.ipynb: _on_the_range
def _on_the_range(D, S1, S2, delta):
    """The same four with the null space of S2 filled up, and where divergences are finite."""
    if _is_regular(S2) and _is_regular(S1):
        return (D, S1, S2, delta), True
    xp, cut, N = array_namespace(D), _round_off(S1), _null(S2)
    P = identity_like(S1, S1.shape[-1]) - N
    outside = (_inner(N, S1) > cut * _diagonal(S1).sum(-1)[..., None, None]) | (
        _squares(N @ delta) > cut * _squares(delta))
    D, S1, S2, delta = P @ D @ P, P @ S1 @ P + N, P @ S2 @ P + N, P @ delta
    e = power_of_two(xp.sqrt(_diagonal(constant(S1))))[..., None]
    least = _kept(xp.linalg.eigvalsh(constant(S1) / e / e.mT), cut, "S1")[..., :1, None]
    finite = (least > 0) & ~outside
    D, delta = (xp.where(finite, x, 0.0) for x in (D, delta))
    return (D, xp.where(finite, S1, S2), S2, delta), finite


# %% book/covariances/gaussians.ipynb: _lead
def _lead(**shapes):
    """The leading axes, broadcast together."""
    try:
        return np.broadcast_shapes(*map(tuple, shapes.values()))
    except ValueError:
        listed = ", ".join(f"{tuple(shape)} of {name}" for name, shape in shapes.items())
        raise ValueError(f"the leading axes {listed} do not fit; allowed are axes that "
                         "broadcast") from None


def _spread(x, lead):
    """x (..., m, n) with all leading axes, and a zero column if it has none."""
    xp = array_namespace(x)
    if not x.shape[-1]:
        x = xp.zeros((*x.shape[:-1], 1), dtype=x.dtype, device=device(x))
    shape = (*lead, *x.shape[-2:])
    return x if tuple(x.shape) == shape else xp.broadcast_to(x, shape)


# %% book/covariances/gaussians.ipynb: _laws
def _laws(m1, S1, m2, S2, factors):
    """(xp, dtype, m1, S1, m2, S2) of shapes (..., d, 1) and (..., d, n), n = d or r."""
    xp, dtype, m1, S1, m2, S2 = as_common(m1=m1, S1=S1, m2=m2, S2=S2)
    d = m1.shape[-1] if m1.ndim else 0
    for name, m in (("m1", m1), ("m2", m2)):
        if not (m.ndim and d and m.shape[-1] == d):
            raise ValueError(f"{name} has shape {tuple(m.shape)}; allowed is (..., d), with one "
                             "d >= 1 for both means")
    for name, S in (("S1", S1), ("S2", S2)):
        if S.ndim < 2 or S.shape[-2] != d or not (factors or S.shape[-1] == d):
            raise ValueError(f"{name} has shape {tuple(S.shape)}; allowed is "
                             f"(..., d, {'r' if factors else 'd'}) with d = {d}")
        if not factors:
            check_hermitian(S, name)
    if not factors:
        S1, S2 = _symmetric(S1), _symmetric(S2)
    lead = _lead(m1=m1.shape[:-1], S1=S1.shape[:-2], m2=m2.shape[:-1], S2=S2.shape[:-2])
    return xp, dtype, *(_spread(x, lead) for x in (m1[..., None], S1, m2[..., None], S2))


def _noises(noise, factors, like):
    """a and b, of shape (..., 1, 1); zeros if there is no noise."""
    xp = array_namespace(like)
    if noise is None:
        zero = xp.zeros_like(like[..., :1, :1])
        return zero, zero
    if not factors:
        raise ValueError("noise is given and factors is False; add it to S1 and S2")
    if not isinstance(noise, (tuple, list)) or len(noise) != 2:
        raise ValueError(f"noise is {noise!r:.60}; allowed is a pair (a, b)")
    lead, made = tuple(like.shape[:-2]), []
    for name, given in zip("ab", noise):
        v = converted(given, like)
        if not may_hold(xp.all((v >= 0) & xp.isfinite(v))):
            raise ValueError(f"noise has {name} = {given!r:.60}; allowed are finite numbers >= 0")
        if _lead(the_laws=lead, noise=v.shape) != lead:
            raise ValueError(f"noise has {name} of shape {tuple(v.shape)}; allowed is a number "
                             f"or one for each pair, {lead}")
        made.append(xp.broadcast_to(v, lead)[..., None, None])
    return made


# %% book/covariances/gaussians.ipynb: _root_of
def _root_of(a):
    """sqrt(a), with derivative 0 at 0."""
    xp = array_namespace(a)
    return xp.where(a > 0, xp.sqrt(xp.where(a > 0, a, 1.0)), 0.0)


def _length(S, factors):
    """The largest entry of a factor, or the root of that of a covariance."""
    return peak_of(S) if factors else _root_of(peak_of(S))


def _unit(first, *others):
    """A power of two near the largest of some lengths (..., 1, 1)."""
    return power_of_two(reduce(array_namespace(first).maximum, others, first))


# %% book/covariances/gaussians.ipynb: _triangle
def _triangle(M):
    """The triangular R of M = B R: from the Gram matrix if its pivots are large, else by QR."""
    G = M.mT @ M
    try:
        L = np.linalg.cholesky(G)
        if np.all(4 * _diagonal(L)**2 > _diagonal(G)):
            return L.mT
    except np.linalg.LinAlgError:
        pass
    return np.linalg.qr(M, mode="r")


def _inside(delta, X, Y):
    """B^T of Delta, X, Y and X - Y (None if columns differ), and how many directions are left."""
    xp, (d, r), twins = array_namespace(X), X.shape[-2:], X.shape[-1] == Y.shape[-1]
    other = X - Y if twins else Y                               # the difference first
    if r + Y.shape[-1] + 1 >= d:
        return delta, X, Y, other if twins else None, 0
    M = xp.concat([X, other, delta], axis=-1)
    if is_numpy_array(X):
        M = _triangle(M)                                        # B^T M
    else:
        M = constant(xp.linalg.qr(constant(M)).Q).mT @ M
    X, other, delta = M[..., :r], M[..., r:-1], M[..., -1:]
    return (delta, X, X - other, other, d - M.shape[-2]) if twins else (
        delta, X, other, None, d - M.shape[-2])


# %% book/covariances/gaussians.ipynb: _with_noise
def _with_noise(X, a):
    """A factor of XX^T + aI."""
    I = identity_like(X, X.shape[-2])
    return array_namespace(X).concat([X, _root_of(a) * I], axis=-1)


def _distance(delta, S1, S2, factors, noise=None):
    """W_2^2, of shape (...)."""
    a, b = _noises(noise, factors, delta)
    c = _unit(peak_of(delta), _length(S1, factors), _length(S2, factors), _root_of(a),
              _root_of(b))
    delta, S1, S2, a, b = delta / c, S1 / c, S2 / c, a / c / c, b / c / c
    beyond = 0.0
    if noise is not None:
        delta, S1, S2, _, left = _inside(delta, S1, S2)
        beyond = left * (_root_of(a) - _root_of(b))**2
        S1, S2 = _with_noise(S1, a), _with_noise(S2, b)
    value = attached(_FACTORS, S1, S2) if factors else attached(_BURES, S1 / c, S2 / c)
    return ((value[0] + _squares(delta) + beyond) * c * c)[..., 0, 0]


# %% book/covariances/gaussians.ipynb: gaussian_w2
@quiet
def gaussian_w2(m1, S1, m2, S2, *, factors=False, noise=None):
    r"""W_2^2 of two Gaussians, the square: norm(m1 - m2)**2 + min over Q of norm(X - Y Q)**2.

    Parameters
    ----------
    m1, m2 : array, shape (..., d)
        Means, of NumPy, PyTorch or JAX, real.
    S1, S2 : array, shape (..., d, d) or (..., d, r)
        Covariances, singular ones too; or with ``factors`` any X and Y, for the covariances
        X X^T and Y Y^T. The numbers r of columns may differ. Leading axes broadcast.
    factors : bool, default False
        Whether factors are given. Then nothing of size (d, d) is made.
    noise : sequence of float, optional
        With ``factors``, a pair (a, b): the covariances are X X^T + a I and Y Y^T + b I. Numbers
        >= 0, or arrays of shape (...).

    Returns
    -------
    array, shape (...)
        The squared distance, of the dtype of what was given; never negative.

    Raises
    ------
    ValueError
        NaN, Inf, shapes that do not fit; a covariance that is not symmetric to round-off, or
        has an eigenvalue below ``-d * eps`` times the largest; noise without factors, or below 0.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    For other laws with these moments it is a lower bound. Costs O(d r^2), or O(d^3); of nearly
    equal laws the residual X - Y Q is squared, which keeps half of the digits that are right in
    the difference.
    Derivatives: PyTorch and JAX find `gaussian_w2_grad`; second derivatives are exact where S1
    and S2, or Y^T X, have full rank, but not with ``noise``. Fit for ``vmap`` and ``jit``. Where
    there is no derivative, they find a finite one.
    Derived in :ref:`gaussians-transport`, :prf:ref:`gaussian-transport`,
    :prf:ref:`spiked-split`; Gelbrich (1990).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_w2
    >>> float(gaussian_w2([0.0, 0.0], np.eye(2), [3.0, 4.0], np.eye(2)))
    25.0
    >>> needle, other = np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])
    >>> float(gaussian_w2([0.0, 0.0], needle, [0.0, 0.0], other, factors=True))
    2.0
    """
    xp, dtype, m1, S1, m2, S2 = _laws(m1, S1, m2, S2, factors)
    return xp.astype(_distance(m1 - m2, S1, S2, factors, noise), dtype, copy=False)


# %% book/covariances/gaussians.ipynb: gaussian_w2_grad
@quiet
def gaussian_w2_grad(m1, S1, m2, S2, *, factors=False):
    r"""The gradient of `gaussian_w2` in the first law: (2 (m1 - m2), I - A), or 2 (X - Y Q).

    Parameters
    ----------
    m1, S1, m2, S2, factors
        As for `gaussian_w2`.

    Returns
    -------
    dm1 : array, shape (..., d)
        2 (m1 - m2).
    dS1 : array, shape (..., d, d) or (..., d, r)
        I - A, A the optimal map; with ``factors`` the gradient in X, with Q = msign(Y^T X).

    Raises
    ------
    ValueError, TypeError
        As for `gaussian_w2`.

    Notes
    -----
    Where Y^T X has not full rank the distance has a kink in X, and this is the smallest of its
    supergradients: directions that X lacks stay away. A singular S1 has I - A with the symmetric
    A of :ref:`gaussians-map`; it is a subgradient wherever there is one.
    Derived in :ref:`gaussians-gradient`, :prf:ref:`transport-gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_w2_grad
    >>> dm, dS = gaussian_w2_grad(np.zeros(2), np.eye(2), np.ones(2), 4 * np.eye(2))
    >>> dm, dS
    (array([-2., -2.]), array([[-1.,  0.],
           [ 0., -1.]]))
    """
    xp, dtype, m1, S1, m2, S2 = _laws(m1, S1, m2, S2, factors)
    c = _unit(_length(S1, factors), _length(S2, factors))
    S1, S2 = S1 / c, S2 / c
    dS = c * _factor_gradient(S1, S2)[0] if factors else _bures_gradient(S1 / c, S2 / c)[0]
    return tuple(xp.astype(x, dtype, copy=False) for x in (2 * (m1 - m2)[..., 0], dS))


# %% book/covariances/gaussians.ipynb: _rest
def _rest(X, V):
    """Singular values and right singular vectors, as columns, of what X is off the span of V."""
    _, s, Vh = thin_svd(X - (X @ V) @ V.mT)
    return s, Vh.mT


def _completed(X, Y):
    """An optimal Q that reaches all of Y from the range of X^T."""
    xp = array_namespace(X)
    U, s, Vh = thin_svd(Y.mT @ X)
    cut = X.shape[-2] * float(xp.finfo(X.dtype).eps)
    kept = xp.astype(s > cut * s[..., :1], X.dtype)[..., None, :]
    U, V = U * kept, Vh.mT * kept
    (s, V_2), (t, U_2) = _rest(X, V), _rest(Y, U)
    s, t = (values > cut * xp.sqrt(_squares(A))[..., 0] for values, A in ((s, X), (t, Y)))
    k = min(s.shape[-1], t.shape[-1])
    if may_hold(xp.any(t[..., k:])) or may_hold(xp.any(t[..., :k] & ~s[..., :k])):
        raise ValueError("S2 has a larger rank than S1; no linear map carries one law to the "
                         "other")
    both = xp.astype(s[..., :k] & t[..., :k], X.dtype)[..., None, :]
    return U @ V.mT + (U_2[..., :k] * both) @ V_2[..., :k].mT


# %% book/covariances/gaussians.ipynb: _pinv
def _pinv(X):
    """X^+, to be differentiated."""
    U, s, Vh = decomposed(X)
    return (Vh.mT * _inverse(s)[..., None, :]) @ U.mT


def _misses(X, Y):
    """Whether Y^T X is seen to have a smaller rank than Y might have."""
    xp, s = array_namespace(X), singular_values(Y.mT @ X)
    return s.shape[-1] < Y.shape[-1] or not may_hold(
        xp.all(s[..., -1] > s.shape[-1] * float(xp.finfo(s.dtype).eps) * s[..., 0]))


# %% book/covariances/gaussians.ipynb: GaussianMap
class GaussianMap(namedtuple("GaussianMap", "A b cost")):
    """x -> A x + b, and its cost; see `gaussian_map`.

    Attributes
    ----------
    A : array, shape (..., d, d), or a pair
        The matrix; with ``factors`` the pair Y Q (..., d, r1) and X^+ (..., r1, d).
    b : array, shape (..., d)
        The shift.
    cost : array, shape (...)
        W_2^2.
    """

    __slots__ = ()


@quiet
def gaussian_map(m1, S1, m2, S2, *, factors=False):
    r"""The A and b for which A x + b carries the first law to the second at the least cost.

    Parameters
    ----------
    m1, S1, m2, S2, factors
        As for `gaussian_w2`.

    Returns
    -------
    GaussianMap
        ``A``, ``b``, and ``cost``, the squared distance.

    Raises
    ------
    ValueError
        As for `gaussian_w2`; and a rank of S2 above that of S1: no linear map does it.
    TypeError
        As for `gaussian_w2`.

    Notes
    -----
    For a regular S1, A is symmetric and positive semidefinite, and unique. With ``factors`` it
    is kept as two factors, ``A[0] @ (A[1] @ x)``, and is zero across the range of X.
    Derivatives in PyTorch and JAX where Y^T X has the rank of Y, exact and repeatable; where it
    has not, A is a constant. Under ``jit`` ranks cannot be looked at, and the map of
    Y^T X alone is returned. Fit for ``vmap`` and ``jit``.
    Derived in :ref:`gaussians-map`, :prf:ref:`transport-map`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_map
    >>> found = gaussian_map(np.zeros(2), np.diag([1.0, 4.0]), np.ones(2), np.eye(2))
    >>> found.A, found.b, float(found.cost)
    (array([[1. , 0. ],
           [0. , 0.5]]), array([1., 1.]), 3.0)
    """
    xp, dtype, m1, S1, m2, S2 = _laws(m1, S1, m2, S2, factors)
    cost = _distance(m1 - m2, S1, S2, factors)
    c = _unit(_length(S1, factors), _length(S2, factors))
    X, Y = S1 / c, S2 / c
    fixed = (constant(X), constant(Y)) if factors else (
        _root(constant(X / c), "S1"), _root(constant(Y / c), "S2"))
    Q = _completed(*fixed) if not compiling() and _misses(*fixed) else None
    if factors:
        A = Y @ (msign(Y.mT @ X, method="svd") if Q is None else Q), _pinv(X)
        image = A[0] @ (A[1] @ m1)
    else:
        A = (attached(_MAP, X / c, Y / c)[0] if Q is None
             else fixed[1] @ Q @ _pinv(fixed[0]))
        image = A @ m1
    back = lambda x: xp.astype(x, dtype, copy=False)
    A = (back(c * A[0]), back(A[1] / c)) if factors else back(A)
    return GaussianMap(A, back((m2 - image)[..., 0]), back(cost))


# %% book/covariances/gaussians.ipynb: _reduced
def _reduced(delta, X, Y, a, b):
    """(D, S1, S2, Delta) inside of what matters, and how many directions are left."""
    delta, X, Y, minus, left = _inside(delta, X, Y)
    I, S1, S2 = identity_like(X, X.shape[-2]), X @ X.mT, Y @ Y.mT
    D = S1 - S2 if minus is None else _symmetric(minus @ (X + Y).mT)
    return (D + (a - b) * I, S1 + a * I, S2 + b * I, delta), left


def _on_both(f, a, b):
    """f(a, b) for a, b > 0; 0 for a = b = 0, Inf if one of them is 0."""
    xp, both = array_namespace(a), (a > 0) & (b > 0)
    value = f(xp.where(both, a, 1.0), xp.where(both, b, 1.0))
    return xp.where(both, value, xp.where(a == b, 0.0, math.inf))


# %% book/covariances/gaussians.ipynb: _divergence
def _divergence(value, beyond, given, factors, noise, invariant=True):
    """A divergence: inside, and beyond as often as there are directions left."""
    xp, dtype, m1, S1, m2, S2 = _laws(*given, factors)
    delta, left = m1 - m2, 0
    a, b = _noises(noise, factors, delta)
    if factors:
        e = _unit(peak_of(delta), peak_of(S1), peak_of(S2), _root_of(a), _root_of(b))
        a, b = a / e / e, b / e / e
        parts, left = _reduced(delta / e, S1 / e, S2 / e, a, b)
    else:
        scales = _diagonal(constant(S2)) if invariant else constant(peak_of(S2))[..., 0]
        e = power_of_two(xp.sqrt(scales))[..., None]            # one for each coordinate, or one
        parts = (*(S / e / e.mT for S in (S1 - S2, S1, S2)), delta / e)
    parts, finite = _on_the_range(*parts)
    found = value(*parts)
    if finite is not True:
        found = xp.where(finite, found, math.inf)
    if left and noise is not None:
        found = found + left * _on_both(beyond, a, b)
    found = found if invariant else found / e / e
    return xp.astype(found[..., 0, 0], dtype, copy=False)


# %% book/covariances/gaussians.ipynb: gaussian_kl
def _in_one(a, b):
    """x = a / b - 1 and log(a / b)."""
    xp, x = array_namespace(a), (a - b) / b
    near = xp.abs(x) < 0.5
    return x, xp.where(near, xp.log1p(xp.where(near, x, 0.0)), xp.log(a / b))


def _kl_beyond(a, b):
    """For one direction."""
    xp, (x, logs) = array_namespace(a), _in_one(a, b)
    near = xp.abs(x) < 0.5
    return xp.where(near, _excess(xp.where(near, x, 0.0)), x - logs) / 2


@quiet
def gaussian_kl(m1, S1, m2, S2, *, factors=False, noise=None):
    r"""KL(N(m1, S1), N(m2, S2)) = E_1 log(p_1 / p_2), in nats.

    Parameters
    ----------
    m1, S1, m2, S2, factors, noise
        As for `gaussian_w2`.

    Returns
    -------
    array, shape (...)
        Inf unless S1 and S2 have one range, and it contains m1 - m2; singular covariances are
        compared on their range.

    Raises
    ------
    ValueError, TypeError
        As for `gaussian_w2`.

    Notes
    -----
    The relative error is near ``eps`` times the condition number of S2, whatever the size of
    the result, since the difference S1 - S2 is taken first. Eigenvalues up to ``d * eps`` times
    the largest count as zero, after each coordinate is divided by its deviation in S2; with
    ``factors`` and without ``noise`` that makes singular values up to ``sqrt(d * eps)``.
    Derivatives: PyTorch and JAX find (S2^-1 - S1^-1) / 2 and the like, and second derivatives,
    but with ``noise`` or thin factors first ones only; 0 where the result is Inf. Fit for
    ``vmap`` and ``jit``.
    Derived in :ref:`gaussians-eigenvalues`, :prf:ref:`gaussian-eigenvalues`,
    :prf:ref:`gaussian-supports`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_kl
    >>> float(gaussian_kl([0.0, 0.0], np.eye(2), [3.0, 4.0], np.eye(2)))
    12.5
    >>> thin = np.array([[1.0], [0.0], [0.0]])
    >>> float(gaussian_kl(np.zeros(3), thin, np.zeros(3), thin[::-1], factors=True))
    inf
    """
    return _divergence(lambda *parts: attached(_KL, *parts)[0], _kl_beyond, (m1, S1, m2, S2),
                       factors, noise)


# %% book/covariances/gaussians.ipynb: gaussian_bhattacharyya
def _bhattacharyya_beyond(a, b):
    """For one direction."""
    xp = array_namespace(a)
    return xp.log1p(2 * xp.sinh(_in_one(a, b)[1] / 4)**2) / 2


@quiet
def gaussian_bhattacharyya(m1, S1, m2, S2, *, factors=False, noise=None):
    r"""The Bhattacharyya distance, -log of the integral of sqrt(p_1 p_2).

    Parameters
    ----------
    m1, S1, m2, S2, factors, noise
        As for `gaussian_w2`.

    Returns
    -------
    array, shape (...)
        Inf where `gaussian_kl` is. The squared Hellinger distance is ``-expm1(-result)``.

    Raises
    ------
    ValueError, TypeError
        As for `gaussian_w2`.

    Notes
    -----
    Symmetric in the two laws. Accuracy and derivatives as of `gaussian_kl`.
    Derived in :ref:`gaussians-eigenvalues`, :prf:ref:`gaussian-eigenvalues`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_bhattacharyya
    >>> float(gaussian_bhattacharyya([0.0, 0.0], np.eye(2), [3.0, 4.0], np.eye(2)))
    3.125
    """
    return _divergence(lambda *parts: attached(_BHATTACHARYYA, *parts)[0],
                       _bhattacharyya_beyond, (m1, S1, m2, S2), factors, noise)


# %% book/covariances/gaussians.ipynb: gaussian_fisher
def _fisher_inside(D, S1, S2, delta):
    """The sum of squares, which the libraries differentiate themselves."""
    xp = array_namespace(D)
    change = _lower_solve(xp.linalg.cholesky(S1), xp.linalg.solve(S2, D).mT)
    return _squares(change) + _squares(xp.linalg.solve(S2, delta))


@quiet
def gaussian_fisher(m1, S1, m2, S2, *, factors=False, noise=None):
    r"""The Fisher divergence, E_1 norm(grad log p_1 - grad log p_2)**2.

    Parameters
    ----------
    m1, S1, m2, S2, factors, noise
        As for `gaussian_w2`.

    Returns
    -------
    array, shape (...)
        Inf where `gaussian_kl` is. In units of 1 / x^2.

    Raises
    ------
    ValueError, TypeError
        As for `gaussian_w2`.

    Notes
    -----
    Half of it is the rate at which `gaussian_kl` falls when both laws get noise: de Bruijn's
    identity. The mean is over the first law. Accuracy and derivatives as of `gaussian_kl`.
    Derived in :ref:`gaussians-fisher`, :prf:ref:`gaussian-fisher-formula`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_fisher
    >>> float(gaussian_fisher([0.0], [[1.0]], [1.0], [[2.0]]))
    0.5
    """
    return _divergence(_fisher_inside, lambda a, b: (a - b)**2 / (a * b * b), (m1, S1, m2, S2),
                       factors, noise, invariant=False)


# %% book/covariances/gaussians.ipynb: _listed
def _listed(means, factors, weights):
    """(dtype, means (k, d), factors (k, d, r) with zero columns where one has fewer, weights)."""
    factors = list(factors)
    if not factors:
        raise ValueError("factors is empty; allowed is one factor (d, r) or more")
    names = [f"factors[{i}]" for i in range(len(factors))]
    xp, dtype, means, *factors = as_common(means=means, **dict(zip(names, factors)))
    if xp is not NUMPY:
        raise TypeError(f"means is a {type(means).__name__}; allowed are arrays of NumPy")
    if means.ndim != 2 or len(means) != len(factors) or not means.shape[1]:
        raise ValueError(f"means has shape {means.shape}; allowed is (k, d) with k = "
                         f"{len(factors)}, a mean for each factor, and d >= 1")
    for name, Y in zip(names, factors):
        if Y.ndim != 2 or len(Y) != means.shape[1]:
            raise ValueError(f"{name} has shape {Y.shape}; allowed is (d, r) with "
                             f"d = {means.shape[1]}")
    widest = max(1, *(Y.shape[1] for Y in factors))
    Y = np.stack([np.pad(Y, ((0, 0), (0, widest - Y.shape[1]))) for Y in factors])
    w = np.ones(len(Y)) if weights is None else as_common(weights=weights)[2]
    if w.shape != (len(Y),) or w.min() < 0 or not w.max() > 0:
        raise ValueError(f"weights is {weights!r:.60}; allowed are {len(Y)} numbers >= 0, "
                         "not all of them 0")
    w = w / w.max()
    return dtype, means, Y, (w / w.sum()).astype(Y.dtype)


# %% book/covariances/gaussians.ipynb: Barycenter
class Barycenter(namedtuple("Barycenter", "m X cost steps converged")):
    """The mean of Gaussians under W_2; see `gaussian_barycenter`.

    Attributes
    ----------
    m : numpy.ndarray, shape (d,)
        Its mean.
    X : numpy.ndarray, shape (d, r)
        A factor of its covariance, r = min(d, k times the most columns of a factor).
    cost : float
        The weighted mean of the squared distances.
    steps : int
        Steps taken.
    converged : bool
        Whether the last one was small enough.
    """

    __slots__ = ()


@quiet
def gaussian_barycenter(means, factors, *, weights=None, tol=None, steps=1000):
    r"""The Gaussian with the least weighted mean of `gaussian_w2` to given ones.

    Parameters
    ----------
    means : array, shape (k, d)
        Their means, of NumPy.
    factors : sequence of arrays, shape (d, r_i)
        Factors Y_i of their covariances Y_i Y_i^T.
    weights : array, shape (k,), optional
        Numbers >= 0, which are divided by their sum; equal ones by default.
    tol : float, optional
        Stops when ``norm(X_new - X) <= tol * norm(X_new)``; default ``eps**0.75``.
    steps : int >= 1, default 1000
        Steps that are allowed.

    Returns
    -------
    Barycenter
        ``m``, ``X``, ``cost``, ``steps`` and ``converged``.

    Raises
    ------
    ValueError
        NaN, Inf, shapes that do not fit, no factor; a weight below 0, or all of them 0.
    TypeError
        Complex numbers, arrays of another library.

    Notes
    -----
    A step costs k decompositions of r x r matrices and k products, and lowers the cost by at
    least the square of its length. If one of the covariances is regular, it converges to the
    barycentre (Álvarez-Esteban and others, 2016); else the start sees all directions, and that
    is all that is promised. Derived in :ref:`gaussians-barycentre`, :prf:ref:`barycentre-step`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_barycenter
    >>> found = gaussian_barycenter([[0.0], [2.0]], [np.array([[1.0]]), np.array([[3.0]])])
    >>> found.m, found.X @ found.X.T, round(found.cost, 12)
    (array([1.]), array([[4.]]), 2.0)
    """
    dtype, means, Y, w = _listed(means, factors, weights)
    tol = float(np.finfo(Y.dtype).eps)**0.75 if tol is None else check_tol(tol)
    most = check_count(steps, "steps", 1)
    c = power_of_two(max(peak_of(Y).max(), peak_of(means)[0, 0]))
    Y, means = Y / c, means / c
    U, s, _ = thin_svd(np.concatenate(list(np.sqrt(w)[:, None, None] * Y), axis=1))
    m, X = w @ means, U * s
    for step in range(1, most + 1):
        P, _, Vh = thin_svd(Y.mT @ X)
        old, X = X, np.tensordot(w, Y @ (P @ Vh), 1)
        converged = np.linalg.norm(X - old) <= tol * np.linalg.norm(X)
        if converged:
            break
    costs = _residual(np.broadcast_to(X, (len(Y), *X.shape)), Y)[:, 0, 0]
    cost = c * c * (w @ (costs + np.sum((means - m)**2, axis=1)))
    return Barycenter((c * m).astype(dtype), (c * X).astype(dtype), float(cost), step,
                      bool(converged))


# %% book/covariances/gaussians.ipynb: _centred
def _centred(F, ddof):
    """The mean of rows, and centred rows whose Gram matrix is the covariance."""
    mean = array_namespace(F).mean(F, axis=-2, keepdims=True)
    return mean, (F - mean) / math.sqrt(F.shape[-2] - ddof)


def _bias_of(s, *samples):
    """The bias from s and from pairs of centred rows and their number."""
    xp, total = array_namespace(s), s[..., None, :] + s[..., :, None]
    pairs = s[..., None, :] * s[..., :, None] / xp.where(total > 0, total, 1.0)
    moved = xp.sum(pairs, axis=(-2, -1)) + xp.sum(s, axis=-1) / 2
    return summed(*(_squares(C)[..., 0, 0] / n + moved / (2 * (n - 1)) for C, n in samples))


# %% book/covariances/gaussians.ipynb: frechet_distance
@quiet
def frechet_distance(F1, F2, *, ddof=1, return_bias=False):
    r"""gaussian_w2 of the means and covariances of two samples: the FID of two sets of features.

    Parameters
    ----------
    F1, F2 : array, shape (..., n1, d) and (..., n2, d)
        Samples as rows, two or more, of NumPy, PyTorch or JAX, real.
    ddof : {1, 0}
        Covariances are sums over n - ddof.
    return_bias : bool, default False
        Also return how much larger it is, on average, than for infinite samples.

    Returns
    -------
    distance : array, shape (...)
        The squared distance, which is what FID is.
    bias : array, shape (...)
        Only with ``return_bias``: the estimate of :prf:ref:`frechet-bias`, with the samples' own
        covariances; a constant for derivatives.

    Raises
    ------
    ValueError
        NaN, Inf, fewer than two rows, shapes that do not fit, another ddof.
    TypeError
        Complex numbers, or arrays of two libraries.

    Notes
    -----
    It sees means and covariances only, and is a lower bound for W_2^2 of the two empirical laws
    with ``ddof=0``. If one sample has no more rows than columns, nothing of size (d, d) is made.
    The bias is that of Gaussian features, to first order in 1 / n. Estimated from the samples'
    own covariances it is too small: by a tenth at n = 5 d, by half near n = d.
    Derivatives, ``vmap`` and ``jit`` as for `gaussian_w2`.
    Derived in :ref:`gaussians-samples`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import frechet_distance
    >>> F = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> float(frechet_distance(F, F + [3.0, 4.0]))
    25.0
    """
    xp, dtype, F1, F2 = as_common(F1=F1, F2=F2)
    check_choice(ddof, "ddof", (1, 0))
    for name, F in (("F1", F1), ("F2", F2)):
        if F.ndim < 2 or F.shape[-2] < 2 or F.shape[-1] != F1.shape[-1] or not F1.shape[-1]:
            raise ValueError(f"{name} has shape {tuple(F.shape)}; allowed is (..., n, d) with "
                             "n >= 2, and one d >= 1 for both")
    lead = _lead(F1=F1.shape[:-2], F2=F2.shape[:-2])
    F1, F2 = _spread(F1, lead), _spread(F2, lead)
    c = _unit(peak_of(F1), peak_of(F2))
    (m1, C1), (m2, C2) = _centred(F1 / c, ddof), _centred(F2 / c, ddof)
    few = min(C1.shape[-2], C2.shape[-2]) <= C1.shape[-1]
    parts = (C1.mT, C2.mT) if few else (C1.mT @ C1, C2.mT @ C2)
    value = attached(_FACTORS if few else _BURES, *parts)[0] + _squares(m1 - m2)
    back = lambda x: xp.astype(x, dtype, copy=False)
    value = back((c * c * value)[..., 0, 0])
    if not return_bias:
        return value
    X, Y = map(constant, parts) if few else (_root(constant(S), "S") for S in parts)
    pairs = [(constant(C), C.shape[-2]) for C in (C1, C2)]
    bias = _bias_of(singular_values(Y.mT @ X), *pairs)
    return value, back((c * c)[..., 0, 0] * bias)

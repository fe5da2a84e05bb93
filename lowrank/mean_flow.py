r"""Average velocity.

A flow turns noise into data along $\dot z=v(z,t)$, in many small steps: which average velocity $u$
makes one step of them, $z_0=z_1-u(z_1,0,1)$, by which identity is it learned, and what are $v$ and
$u$ when the data are Gaussian, so that code can be tested against them?

Generated from book/covariances/mean_flow.ipynb; edit the chapter.
"""

from lowrank.arrays import (
    array_namespace,
    as_common,
    check_hermitian,
    constant,
    cut_off,
    may_hold,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    thin_svd,
)
from lowrank.derivatives import Rule, attached, converted

__all__ = ["gaussian_mean_velocity", "gaussian_velocity"]


# %% book/covariances/mean_flow.ipynb: _filter
def _filter(sigma, r, t):
    """phi at eigenvalues sigma^2 of S, -1 where s_t is 0; no sigma is squared."""
    xp = array_namespace(sigma)
    flat = sigma == 0                                           # there s_t is t
    root = lambda t: xp.where(flat, t, xp.hypot(xp.where(flat, 1.0, (1 - t) * sigma), t))
    st, sr = root(t), root(r)
    at, both = safe_divisor(st), safe_divisor(sr + st)
    rest = (2 - t - r) * (sigma / at) * (sigma / both)
    return xp.where(st > 0, (t + r) / at / both - rest, -1.0)


def _modes(S, factors):
    """Eigenvectors of S, or X X^T, as rows, and roots of eigenvalues; what is rounding is 0."""
    xp, S = array_namespace(S), constant(S)
    c = power_of_two(peak_of(S) if factors else xp.sqrt(peak_of(S)))
    if factors:
        U, sigma, _ = thin_svd(S / c)
        sigma = xp.where(sigma > cut_off(None, S) * sigma[:1], sigma, 0.0)
        return U.mT, c[0, :] * sigma
    check_hermitian(S, "S")
    values, V = xp.linalg.eigh(S / c / c)
    least = cut_off(None, S) * xp.max(xp.abs(values))
    if not may_hold(xp.all(values >= -least)):
        raise ValueError(f"S has an eigenvalue of {float(values[0] / values[-1]):.1e} times the "
                         "largest one; allowed is a positive semidefinite matrix")
    return V.mT, c[0, :] * xp.sqrt(xp.where(values > least, values, 0.0))


# %% book/covariances/mean_flow.ipynb: _no_derivative
def _no_derivative(*_):
    raise ValueError("S is differentiated; allowed is a constant: give S.detach() or "
                     "jax.lax.stop_gradient(S)")


_HELD = Rule(lambda S: (S,), _no_derivative, _no_derivative)


def _as_gaussian(z, m, S, factors):
    """(xp, dtype, z, m, S): finite real floats of one library, shapes (..., d), (d,), (d, k)."""
    xp, dtype, z, m, S = as_common(z=z, m=m, S=S)
    d = m.shape[0] if m.ndim == 1 else 0
    right = S.shape[-1] if factors else d
    if not d or z.ndim < 1 or z.shape[-1] != d or tuple(S.shape) != (d, right) or not right:
        shapes = (tuple(x.shape) for x in (z, m, S))
        raise ValueError("z, m and S have shapes {}, {} and {}; allowed are (..., d), (d,) and "
                         "(d, {}), none of them empty".format(*shapes, "k" if factors else "d"))
    if getattr(S, "requires_grad", False):
        _no_derivative()
    return xp, dtype, z, m, *attached(_HELD, S)


# %% book/covariances/mean_flow.ipynb: _as_times
def _as_times(z, **given):
    """Times as arrays (..., 1) of the library and dtype of z, in order from 0 to 1."""
    xp = array_namespace(z)
    found = [converted(t, z) for t in given.values()]
    ends = zip((0.0, *found), (*found, 1.0), ("0", *given), (*given, "1"))
    for low, high, left, right in ends:
        if not may_hold(xp.all(low <= high)):
            raise ValueError(f"not all of {left} <= {right} holds; allowed are times with 0 <= "
                             f"{' <= '.join(given)} <= 1")
    return [t[..., None] for t in found]


# %% book/covariances/mean_flow.ipynb: gaussian_mean_velocity
def _average(z, r, t, m, S, factors):
    """u, for z, r, t, m and S that are checked."""
    xp = array_namespace(z)
    Vh, sigma = _modes(S, factors)
    y = z - (1 - t) * m
    x = y @ Vh.mT
    none = y - xp.where(sigma > 0, x, 0.0) @ Vh                 # outside of the range of S
    size = xp.max(xp.abs(y), axis=-1, keepdims=True) + xp.max(xp.abs(m))
    seen = xp.max(xp.abs(none), axis=-1, keepdims=True) > float(xp.finfo(z.dtype).eps)**0.5 * size
    if not may_hold(xp.all(~(seen & (t == 0)))):
        raise ValueError("t is 0 where z - m does not lie in the range of S; there is no velocity")
    result = (x * _filter(sigma, r, t)) @ Vh - m
    if Vh.shape[0] < Vh.shape[1]:
        result = result + _filter(0 * t, r, t) * (y - x @ Vh)
    return result


@quiet
def gaussian_mean_velocity(z, r, t, m, S, *, factors=False):
    r"""u(z, r, t), the average velocity from t back to r of the flow from N(0, I) to N(m, S).

    Parameters
    ----------
    z : array, shape (..., d)
        Points at time t, of NumPy, PyTorch or JAX, real.
    r, t : array or float
        Times with 0 <= r <= t <= 1, numbers or arrays that broadcast with the leading axes of
        z; noise is at 1 and data at 0.
    m : array, shape (d,)
        Mean of the data.
    S : array, shape (d, d) or (d, k)
        Covariance of the data, symmetric and positive semidefinite, or X with S = X X^T.
    factors : bool, default False
        Whether X is given: then nothing of size d x d is made.

    Returns
    -------
    array, shape (..., d)
        With ``z - (t - r) * u`` at time r, on the trajectory through z; ``r = t`` gives
        `gaussian_velocity`, and ``z - u`` for r = 0, t = 1 is ``m + S^(1/2) z``.

    Raises
    ------
    ValueError
        Times out of order or out of [0, 1]; t = 0 with a singular S and a z - m outside of its
        range by more than sqrt(eps); an S that is not symmetric or has a negative eigenvalue;
        NaN, Inf, shapes that do not fit; an S in which is differentiated.
    TypeError
        A dtype without meaning, complex numbers, two libraries.

    Notes
    -----
    One decomposition, O(d^3) or O(d k^2), then O(d^2) or O(d k) for each point. No difference
    of nearly equal numbers is taken, also where r is near t. Eigenvalues below
    ``4 * sqrt(d) * eps`` times the largest count as zero.
    Exact for Gaussian data only. PyTorch and JAX differentiate in z, r, t and m, forwards and
    backwards; S is a constant, and its derivative is refused. Fit for ``jit`` and ``vmap``,
    where nothing that depends on values is refused.
    Derived in :ref:`mean-flow-average`, :prf:ref:`gaussian-flow` and :prf:ref:`one-step-map`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_mean_velocity
    >>> m, S = np.array([1.0, -1.0]), np.array([[4.0, 0.0], [0.0, 0.25]])
    >>> z = np.array([0.5, 2.0])
    >>> z - gaussian_mean_velocity(z, 0.0, 1.0, m, S)
    array([2., 0.])
    """
    xp, dtype, z, m, S = _as_gaussian(z, m, S, factors)
    r, t = _as_times(z, r=r, t=t)
    return xp.astype(_average(z, r, t, m, S, factors), dtype, copy=False)


# %% book/covariances/mean_flow.ipynb: gaussian_velocity
@quiet
def gaussian_velocity(z, t, m, S, *, factors=False):
    r"""v(z, t) = E[noise - x | (1 - t) x + t noise = z] for data x of N(m, S), noise of N(0, I).

    Parameters
    ----------
    z : array, shape (..., d)
        Points at time t, of NumPy, PyTorch or JAX, real.
    t : array or float
        Times from 0, data, to 1, noise: a number or an array that broadcasts with the leading
        axes of z.
    m, S, factors
        As for `gaussian_mean_velocity`.

    Returns
    -------
    array, shape (..., d)
        ``z - m`` at t = 1, and ``-z`` at t = 0.

    Raises
    ------
    ValueError, TypeError
        As for `gaussian_mean_velocity`.

    Notes
    -----
    What flow matching regresses on, for Gaussian data. Derivatives and costs are those of
    `gaussian_mean_velocity`.
    Derived in :ref:`mean-flow-velocity`, :prf:ref:`gaussian-velocity`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import gaussian_velocity
    >>> m, S = np.array([1.0, -1.0]), np.array([[2.0, 0.6], [0.6, 0.5]])
    >>> gaussian_velocity(np.array([0.3, 0.7]), 0.25, m, S).round(6)
    array([-1.129493,  1.188957])
    """
    xp, dtype, z, m, S = _as_gaussian(z, m, S, factors)
    (t,) = _as_times(z, t=t)
    return xp.astype(_average(z, t, t, m, S, factors), dtype, copy=False)

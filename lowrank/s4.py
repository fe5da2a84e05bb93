r"""A memory as a convolution.

A linear system $x'=Ax+Bu$, $y=Cx$, read at steps $\Delta$, is a convolution with $K_l=C\bar
A^l\bar B$: what does it cost to know $K_0,\dots,K_{L-1}$, if $A$ is the matrix of a memory that
must not be diagonalised, but is a normal matrix plus one of rank 1?

Generated from book/structure/s4.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arguments import check_choice, check_count
from lowrank.arrays import (
    NUMPY,
    array_namespace,
    as_floats,
    check_finite,
    check_library,
    check_parameter,
    constant,
    device,
    is_array,
    is_numpy_array,
    is_tensor,
    may_hold,
    power_of_two,
    quiet,
    single,
)
from lowrank.hippo import hippo_legs
from lowrank.monarch import from_levels, two_levels
from lowrank.polar_factor import msign

__all__ = [
    "causal_convolution",
    "hippo_nplr",
    "s4_discretize",
    "s4_step",
    "s4d_kernel",
    "s4_kernel",
    "s4d_frequencies",
]


# %% book/structure/s4.ipynb: _space
def _space(x):
    """array_namespace(x), found at once for NumPy."""
    return NUMPY if is_numpy_array(x) else array_namespace(x)


def _joined(finite=True, **given):
    """(xp, dtype, arrays): floats of one library in the dtype that all share.

    Computed is with at least 32 bits; `dtype` is that of the result.
    """
    found = {name: as_floats(x, name) for name, x in given.items()}
    (first, (xp, y)), *others = found.items()
    for name, (_, x) in others:
        check_library(x, name, y, first)
    arrays = [x for _, x in found.values()]
    for name, x in zip(given, arrays) if finite else ():
        check_finite(x, name)
    dtype = xp.result_type(*(x.dtype for x in arrays))
    if any(x.dtype != dtype for x in arrays) or xp.finfo(dtype).bits == 16:
        arrays = [single(xp.astype(x, dtype, copy=False)) for x in arrays]
    return xp, dtype, arrays


def _check_broadcast(**shapes):
    """Refuse shapes that do not broadcast."""
    for axis in range(1, 1 + max(map(len, shapes.values()))):
        lengths = {shape[-axis] for shape in shapes.values() if len(shape) >= axis} - {1}
        if len(lengths) > 1:
            listed = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
            raise ValueError(f"leading axes have the shapes {listed}; allowed are those that "
                             "broadcast")


def _conj(x):
    """The conjugate; in PyTorch by its parts, which `vmap` knows."""
    xp = _space(x)
    return xp.real(x) - 1j * xp.imag(x) if is_tensor(x) else xp.conj(x)


def _is_complex(x):
    """Whether x is of a complex dtype."""
    return _space(x).isdtype(x.dtype, "complex floating")


def _fft_length(n):
    """The least 2^k or 3 2^k that is at least n."""
    k = (n - 1).bit_length()
    return 3 * 2**(k - 2) if k > 1 and 3 * 2**(k - 2) >= n else 2**k


def _product(a, b, n, size):
    """n coefficients of the product of two real power series, by transforms of length `size`."""
    xp = _space(a)
    transform = lambda x: xp.fft.rfft(x, n=size)
    return xp.fft.irfft(transform(a) * transform(b), n=size)[..., :n]


# %% book/structure/s4.ipynb: causal_convolution
@quiet
def causal_convolution(u, K):
    """y_l = K_0 u_l + K_1 u_(l-1) + ... + K_l u_0, along the last axis.

    Parameters
    ----------
    u : array, shape (..., L)
        The input of NumPy, PyTorch or JAX; what came before it counts as 0.
    K : array, shape (..., M)
        The kernel, of the same library; its leading axes and those of u broadcast. Terms
        beyond L have no effect, and a shorter one ends in zeros.

    Returns
    -------
    array, shape (..., L)
        y in the dtype that u and K share.

    Raises
    ------
    ValueError
        No axis, an empty kernel, axes that do not broadcast, NaN or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    O(L log L) by Fourier transforms of at least L + M - 1, so that nothing wraps around:
    :prf:ref:`causal-padding`. Derived in :ref:`s4-system`. The error is a small multiple of
    eps norm(u) norm(K) for each row, which is not small for entries that are tiny beside others.

    Examples
    --------
    >>> from lowrank import causal_convolution
    >>> causal_convolution([1.0, 2.0, 3.0, 4.0], [1.0, -1.0]).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    xp, dtype, (u, K) = _joined(u=u, K=K)
    for name, x in (("u", u), ("K", K)):
        if not x.ndim or name == "K" and not x.shape[-1]:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; allowed is (..., L), L >= 1")
    _check_broadcast(u=u.shape[:-1], K=K.shape[:-1])
    L = u.shape[-1]
    if not L:
        return xp.astype(u + xp.zeros_like(K[..., :1])[..., :0], dtype, copy=False)
    K = K[..., :L]
    units = [power_of_two(xp.max(xp.abs(x), axis=-1, keepdims=True)) for x in (u, K)]
    size = _fft_length(L + K.shape[-1] - 1)
    if _is_complex(u):
        parts = [xp.fft.fft(x / unit, n=size) for x, unit in zip((u, K), units)]
        y = xp.fft.ifft(parts[0] * parts[1])[..., :L]
    else:
        y = _product(u / units[0], K / units[1], L, size)
    return xp.astype(y * units[0] * units[1], dtype, copy=False)


# %% book/structure/s4.ipynb: _mirrored
def _mirrored(x, h):
    """x, and the conjugates of its first h columns in the opposite order."""
    return np.concatenate([x, x[..., :h][..., ::-1].conj()], axis=-1)


def _skew_eigen(S):
    """(w, V): of a real skew matrix the eigenvalues 1j w with w <= 0, rising, and vectors."""
    N, h = len(S), len(S) // 2
    w, V = np.linalg.eigh(-1j * S)
    w, V = w[:N - h], V[:, :N - h]                          # one of each pair, and the middle
    if N % 2:
        w[-1], V[:, -1] = 0, np.linalg.svd(S)[2][-1]
    unit = np.where(np.arange(N - h) < h, 2**0.5, 1.0)      # makes real columns orthonormal
    W = msign(np.hstack([unit * V.real, 2**0.5 * V.imag[:, :h]]), method="svd")
    V = (W[:, :N - h] / unit).astype(complex)
    V[:, :h] += 1j * W[:, N - h:] / 2**0.5
    return w, V


# %% book/structure/s4.ipynb: hippo_nplr
def hippo_nplr(N):
    r"""Lam, P, B, V with A = V (diag(Lam) - P P^H) V^H for the LegS matrix A, and B in this basis.

    Parameters
    ----------
    N : int >= 1
        The number of coefficients.

    Returns
    -------
    Lam : array, shape (N,)
        Eigenvalues of the normal part, complex, sorted by their imaginary parts; the real
        parts are -1/2, and ``Lam[N - 1 - n]`` is the conjugate of ``Lam[n]``.
    P : array, shape (N,)
        The rank 1 part: positive numbers, of complex dtype.
    B : array, shape (N,)
        ``V.conj().T @ B`` for the B of `hippo_legs`, equal to sqrt(2) P.
    V : array, shape (N, N)
        The unitary basis. A state is x = V z; a row C of LegS becomes ``C @ V``.

    Raises
    ------
    ValueError, TypeError
        An N that is not an integer from 1.

    Notes
    -----
    O(N^3). Unique by :prf:ref:`legs-nplr`; derived in :ref:`s4-normal-form`. Small eigenvalues
    have an absolute error near eps N^2, that of the largest.

    Examples
    --------
    >>> from lowrank import hippo_nplr
    >>> Lam, P, B, V = hippo_nplr(3)
    >>> Lam.imag.round(4).tolist()
    [-2.3979, 0.0, 2.3979]
    >>> P.real.round(4).tolist()
    [1.4446, 0.571, 1.4446]
    """
    A, B = hippo_legs(check_count(N, "N", 1))
    P = B / 2**0.5
    S = A + np.outer(P, P)                                  # plus I / 2, which is not needed:
    w, V = _skew_eigen((S - S.T) / 2)                       # this has no symmetric part
    c = P @ V
    V = V * (c.conj() / abs(c))
    Lam, P, V = (_mirrored(x, N // 2) for x in (-0.5 + 1j * w, (P @ V).real.astype(complex), V))
    return Lam, P, 2**0.5 * P, V


# %% book/structure/s4.ipynb: _states
def _states(arrays, **given):
    """Refuse what has not N as last axis, or leading axes that do not broadcast."""
    N = arrays[0].shape[-1] if arrays[0].ndim else 0
    allowed = f"(..., {N}), as Lam has it" if N else "(..., N), N >= 1"
    for name, x in zip(given, arrays):
        if not x.ndim or x.shape[-1] != N or not N:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; allowed is {allowed}")
    return N


def _as_step_size(xp, dt, x):
    """dt > 0 in the precision of x: a number, or an array with an axis more."""
    allowed = "a number > 0, or an array of such"
    real = xp.real(x).dtype if _is_complex(x) else x.dtype
    if is_array(dt) and not is_numpy_array(dt) and _space(dt) is not xp:
        raise TypeError(f"dt is a {type(dt).__name__} and Lam is a {type(x).__name__}; "
                        "both must belong to one array library")
    if getattr(dt, "ndim", 0) or isinstance(dt, list | tuple):
        dt = as_floats(dt, "dt")[1]
        check_library(dt, "dt", x, "Lam")
        check_finite(dt, "dt")
        if _is_complex(dt):
            raise TypeError(f"dt has dtype {dt.dtype}; allowed is {allowed}")
        if not may_hold(xp.all(dt > 0)):
            raise ValueError(f"dt has entries that are not positive; allowed is {allowed}")
        return xp.astype(dt, real, copy=False)[..., None]
    dt = check_parameter(dt, "dt", allowed, lambda value: 0 < value < math.inf)
    return xp.astype(dt, real, copy=False) if is_array(dt) else dt


def _system(dt, finite=True, **given):
    """(xp, dtype, dt, arrays): the parameters of a system, checked."""
    xp, dtype, arrays = _joined(finite, **given)
    _states(arrays, **given)
    dt = _as_step_size(xp, dt, arrays[0])
    shapes = {name: x.shape[:-1] for name, x in zip(given, arrays)}
    _check_broadcast(**shapes, dt=dt.shape[:-1] if getattr(dt, "ndim", 0) else ())
    return xp, dtype, dt, arrays


# %% book/structure/s4.ipynb: _inverse_step
def _inverse_step(Lam, P, Qc, dt, total):
    """(D, p, q) with (I - dt A / 2)^-1 = diag(D) - p q / 2, Qc the conjugate of Q."""
    D = 1 / (1 - dt / 2 * Lam)
    q = D * Qc
    return D, D * P * (dt / (1 + dt / 2 * total(q * P))), q


def _sum(x):
    """The sum along the last axis, which stays."""
    return _space(x).sum(x, axis=-1, keepdims=True)


# %% book/structure/s4.ipynb: s4_discretize
@quiet
def s4_discretize(Lam, P, Q, B, dt):
    """Ab = (I - dt A/2)^-1 (I + dt A/2), Bb = dt (I - dt A/2)^-1 B for A = diag(Lam) - P Q^H.

    Parameters
    ----------
    Lam, P, Q, B : array, shape (..., N)
        The system, of NumPy, PyTorch or JAX; real or complex, leading axes broadcast.
    dt : float, or array of shape (...)
        The step, positive.

    Returns
    -------
    Ab : array, shape (..., N, N)
        The matrix of a bilinear step, dense.
    Bb : array, shape (..., N)
        Its input.

    Raises
    ------
    ValueError
        Shapes that do not fit, a dt that is not positive, NaN or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    O(N^2), without solving a system: :prf:ref:`dplr-step`, derived in :ref:`s4-bilinear`. The
    state of `s4_step` needs no dense matrix; a dense system is discretised by `discretize`.

    Examples
    --------
    >>> from lowrank import s4_discretize
    >>> Ab, Bb = s4_discretize([-1.0], [1.0], [0.0], [1.0], 0.5)
    >>> Ab.round(6).tolist(), Bb.round(6).tolist()
    ([[0.6]], [0.4])
    """
    xp, dtype, dt, (Lam, P, Q, B) = _system(dt, Lam=Lam, P=P, Q=Q, B=B)
    D, p, q = _inverse_step(Lam, P, _conj(Q) if _is_complex(Q) else Q, dt, _sum)
    eye = xp.eye(Lam.shape[-1], dtype=Lam.dtype, device=device(Lam))
    Ab = ((1 + dt / 2 * Lam) * D)[..., None] * eye - p[..., None] * q[..., None, :]
    Bb = dt * (D * B - p * _sum(q * B) / 2)
    return xp.astype(Ab, dtype, copy=False), xp.astype(Bb, dtype, copy=False)


# %% book/structure/s4.ipynb: s4_step
@quiet
def s4_step(x, u, Lam, P, Q, B, dt):
    """The next state Ab x + Bb u of `s4_discretize`, in O(N) and without its matrix.

    Parameters
    ----------
    x : array, shape (..., N)
        The state; zeros at the start.
    u : float, or array of shape (...)
        The next sample of the input.
    Lam, P, Q, B : array, shape (..., N)
        The system, as for `s4_discretize`.
    dt : float, or array of shape (...)
        The step, positive.

    Returns
    -------
    array, shape (..., N)
        The next state x. The output is the real part of ``sum(C * x)``.

    Raises
    ------
    ValueError, TypeError
        As for `s4_discretize`.

    Notes
    -----
    :prf:ref:`dplr-step`, derived in :ref:`s4-bilinear`. For N below some hundred a product with
    the dense matrix is as fast, or faster.

    Examples
    --------
    >>> from lowrank import s4_step
    >>> s4_step([1.0], 1.0, [-1.0], [1.0], [0.0], [1.0], 0.5).round(6).tolist()
    [1.0]
    """
    xp, dtype, dt, (Lam, P, Q, B, x) = _system(dt, Lam=Lam, P=P, Q=Q, B=B, x=x)
    if is_array(u) and not is_numpy_array(u) or np.ndim(u):
        u = as_floats(u, "u")[1]
        check_library(u, "u", Lam, "Lam")
        check_finite(u, "u")
        _check_broadcast(u=u.shape, x=x.shape[:-1], Lam=Lam.shape[:-1])
        u = u[..., None]
    D, p, q = _inverse_step(Lam, P, _conj(Q) if _is_complex(Q) else Q, dt, _sum)
    r = 2 * x + dt * u * B
    return xp.astype(D * r - p * _sum(q * r) / 2 - x, dtype, copy=False)


# %% book/structure/s4.ipynb: _fraction
def _fraction(turns, l, bits):
    """turns * l without whole turns; the product with the leading bits is exact."""
    xp = _space(turns)
    leading = constant(xp.round(turns * 2.0**bits) / 2.0**bits)
    product = leading * l
    return product - xp.round(product) + (turns - leading) * l


def _power_table(log, turns, l, bits):
    """Real and imaginary part of exp(l (log + 2 pi i turns))."""
    xp = _space(log)
    size, angle = xp.exp(log * l), 2 * math.pi * _fraction(turns, l, bits)
    return size * xp.cos(angle), size * xp.sin(angle)


def _power_tables(log, turns, L):
    """(X, Y): tables of d^j for j < m, and of d^(m i) for all i with m i < L."""
    xp = _space(log)
    n, m = two_levels(L)
    bits = 26 if xp.finfo(log.dtype).bits == 64 else 12     # half of the digits
    count = lambda k: xp.astype(xp.arange(k, device=device(log)), log.dtype)
    X = _power_table(log[..., None], turns[..., None], count(m), bits)
    if L > 2**bits:                                         # where m i is not exact
        log, turns, step = m * log, _fraction(turns, m, bits), 1
    else:
        step = m
    i = step * count(n)[:, None]
    return X, _power_table(log[..., None, :], turns[..., None, :], i, bits)


# %% book/structure/s4.ipynb: _diagonal_kernels
def _diagonal_kernels(W, tables, L):
    """Re sum_n W_n d_n^l for l < L, for each row of W, shape (..., k, N)."""
    xp = _space(W)
    X, (re, im) = tables
    w_re, w_im = xp.real(W)[..., None, :], xp.imag(W)[..., None, :]
    re, im = re[..., None, :, :], im[..., None, :, :]
    Y = xp.concat([w_re * re - w_im * im, -(w_re * im + w_im * re)], axis=-1)
    return from_levels(Y, xp.concat(X, axis=-2)[..., None, :, :], L)


# %% book/structure/s4.ipynb: _bilinear_log
def _bilinear_log(z):
    """(log, turns) of (1 + z) / (1 - z)."""
    xp = _space(z)
    x, y = xp.real(z), xp.imag(z)
    up, down = (1 + x)**2 + y**2, (1 - x)**2 + y**2
    near = 4 * x / down
    limit = lambda v, low: xp.maximum(v, low * xp.ones_like(v))     # finite, also if not taken
    smallest = float(xp.finfo(x.dtype).smallest_normal)
    log = xp.where(near > -0.5, xp.log1p(limit(near, -0.5)),
                   xp.log(limit(up, smallest)) - xp.log(down))
    return log / 2, (xp.atan2(y, 1 + x) + xp.atan2(y, 1 - x)) / (2 * math.pi)


def _growth(z):
    """(exp(z) - 1) / z, and 1 at 0."""
    xp = _space(z)
    x, y = xp.real(z), xp.imag(z)
    re = xp.expm1(x) * xp.cos(y) - 2 * xp.sin(y / 2)**2
    im = xp.exp(x) * xp.sin(y)
    return xp.where(z == 0, 1 + z / 2, (re + 1j * im) / xp.where(z == 0, xp.ones_like(z), z))


# %% book/structure/s4.ipynb: _not_closed
def _not_closed(names, arrays, gap, size):
    """The error that says why arrays are not those of a real system."""
    for name, x in zip(names, arrays):
        check_finite(x, name)
    off = [float(_space(g).max(g / s)) for g, s in zip(gap, size)]
    name, off = max(zip(names, off), key=lambda pair: pair[1])
    return ValueError(f"{name} is not closed under conjugation, its entry N - 1 - n differs from "
                      f"the conjugate of entry n by {off:.1e} of the largest one; allowed are real"
                      " arrays and the order of hippo_nplr, by the imaginary part of Lam")


def _halves(xp, names, arrays):
    """One of each conjugate pair of several arrays of one shape, stacked."""
    x = xp.stack(arrays)
    if not _is_complex(x):                                  # each its own conjugate
        for name, y in zip(names, arrays):
            check_finite(y, name)
        return x + 0j
    N, mirror = x.shape[-1], _conj(xp.flip(x, axis=-1))
    gap, size = (xp.max(xp.abs(v), axis=-1) for v in (x - mirror, x))
    allowed = 64 * N**0.5 * float(xp.finfo(x.dtype).eps)
    if not may_hold(xp.all(gap <= allowed * size)):         # neither does it for NaN and Inf
        raise _not_closed(names, arrays, gap, xp.where(size > 0, size, xp.ones_like(size)))
    return ((x + mirror) / 2)[..., :(N + 1) // 2]


# %% book/structure/s4.ipynb: _real_system
def _real_system(dt, **given):
    """(xp, dtype, dt, weights, halves): a real system; halves count twice, but the middle."""
    xp, dtype, dt, arrays = _system(dt, finite=False, **given)
    x, names = arrays[0], list(given)
    if all(y.shape == x.shape for y in arrays):
        halves = _halves(xp, names, arrays)
        halves = [halves[i, ...] for i in range(len(names))]
    else:
        halves = [_halves(xp, [name], [y])[0, ...] for name, y in zip(names, arrays)]
    real = xp.real(halves[0]).dtype
    N, paired = x.shape[-1], _is_complex(x)
    weights = [2.0 if paired and 2 * n + 1 < N else 1.0 for n in range(halves[0].shape[-1])]
    weights = xp.asarray(weights, dtype=real, device=device(x))
    return xp, real if paired else dtype, dt, weights, halves


# %% book/structure/s4.ipynb: s4d_kernel
@quiet
def s4d_kernel(Lam, B, C, L, dt, *, method="zoh"):
    r"""K_l = sum of C Ab^l Bb for A = diag(Lam): the first L numbers of a diagonal kernel.

    Parameters
    ----------
    Lam, B, C : array, shape (..., N)
        The system, of NumPy, PyTorch or JAX; leading axes broadcast. Real, or complex and
        closed under conjugation: entry N - 1 - n is the conjugate of entry n.
    L : int >= 1
        The length of the kernel.
    dt : float, or array of shape (...)
        The step, positive.
    method : {"zoh", "bilinear"}, default "zoh"
        The exact solution for an input that is constant between samples, or bilinear steps.

    Returns
    -------
    array, shape (..., L)
        The kernel, real.

    Raises
    ------
    ValueError
        Shapes that do not fit, an L below 1, a dt that is not positive, an unknown method,
        parameters that are not closed under conjugation, NaN or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    O(N sqrt(L)) exponentials and one matrix product of N L terms, by :prf:ref:`kernel-rank`;
    derived in :ref:`s4-diagonal-kernel`. Angles are taken modulo a turn before they are rounded,
    so that all powers are those of one d, which is rounded once.

    Examples
    --------
    >>> from lowrank import s4d_kernel
    >>> s4d_kernel([-1.0], [1.0], [1.0], 3, 1.0, method="bilinear").round(6).tolist()
    [0.666667, 0.222222, 0.074074]
    """
    L = check_count(L, "L", 1)
    check_choice(method, "method", ("zoh", "bilinear"))
    xp, dtype, dt, weights, (Lam, B, C) = _real_system(dt, Lam=Lam, B=B, C=C)
    z = dt * Lam
    if method == "zoh":
        log, turns, gain = xp.real(z), xp.imag(z) / (2 * math.pi), _growth(z)
    else:
        (log, turns), gain = _bilinear_log(z / 2), 1 / (1 - z / 2)
    W = weights * C * (dt * gain * B)
    K = _diagonal_kernels(W[..., None, :], _power_tables(log, turns, L), L)
    return xp.astype(K[..., 0, :], dtype, copy=False)


# %% book/structure/s4.ipynb: _toeplitz
_FIRST = 64                     # coefficients of a reciprocal that are found by elimination


def _toeplitz(a):
    """The lower triangular Toeplitz matrices with first columns a, shape (..., s)."""
    xp, s = _space(a), a.shape[-1]
    row = xp.concat([a, xp.zeros_like(a)], axis=-1)         # read with 2 s - 1 to a line
    rows = xp.broadcast_to(row[..., None, :], (*a.shape[:-1], s, 2 * s))
    flat = xp.reshape(rows, (*a.shape[:-1], 2 * s * s))[..., :s * (2 * s - 1)]
    return xp.reshape(flat, (*a.shape[:-1], s, 2 * s - 1))[..., :s].mT


# %% book/structure/s4.ipynb: _quotient
def _quotient(b, a):
    """b / (1 + z a) modulo z^L, for real series with L coefficients."""
    xp, L = _space(b), b.shape[-1]
    a = xp.concat([xp.ones_like(a[..., :1]), a[..., :-1]], axis=-1)
    lengths = [L]
    while lengths[-1] > _FIRST:
        lengths.append(-(-lengths[-1] // 2))
    n = lengths.pop()
    T = _toeplitz(a[..., :n])
    if not lengths:
        return xp.linalg.solve(T, b[..., None])[..., 0]
    one = xp.concat([a[..., :1], xp.zeros_like(a[..., 1:n])], axis=-1)
    r = xp.linalg.solve(T, one[..., None])[..., 0]
    for n in lengths[:0:-1]:
        known, size = r.shape[-1], _fft_length(2 * r.shape[-1])
        e = _product(a[..., :n], r, n, size)[..., known:]   # what wraps around is known
        r = xp.concat([r, -_product(r, e, n - known, size)], axis=-1)
    n = r.shape[-1]
    size = _fft_length(2 * n)
    g = _product(b[..., :n], r, n, size)                    # the same step, for the quotient
    e = b[..., n:] - _product(a, g, L, size)[..., n:]
    return xp.concat([g, _product(r, e, L - n, size)], axis=-1)


# %% book/structure/s4.ipynb: _by_series
def _by_series(S, L):
    """The kernel of a discrete system S, by the quotient of power series."""
    xp = _space(S.p)
    tables = _power_tables(*S.log, L)
    pair = lambda a: xp.stack(xp.broadcast_arrays(S.weights * a * S.b, S.weights * a * S.p),
                              axis=-2)
    kernels = lambda a: _diagonal_kernels(pair(a), tables, L)
    (cb, cp), (qb, qp) = ((k[..., 0, :], k[..., 1, :]) for k in map(kernels, (S.c, S.q)))
    rest = _product(cp, _quotient(qb, qp), L, _fft_length(2 * L))
    return cb - xp.concat([xp.zeros_like(rest[..., :1]), rest[..., :-1]], axis=-1)


# %% book/structure/s4.ipynb: _real
_Power = namedtuple("_Power", "d U V A")        # diag(d) - U V as rows of numbers, or A, dense
_PARTS = {np.dtype(np.complex64): np.float32, np.dtype(np.complex128): np.float64}
_WHOLES = {np.dtype(np.float32): np.complex64, np.dtype(np.float64): np.complex128}


def _real(x):
    """Complex (..., h) as real numbers (..., 2 h)."""
    if is_numpy_array(x):
        return np.ascontiguousarray(x).view(_PARTS[x.dtype])
    xp = _space(x)
    pairs = xp.stack([xp.real(x), xp.imag(x)], axis=-1)
    return xp.reshape(pairs, (*x.shape[:-1], 2 * x.shape[-1]))


def _times(d, X):
    """Complex d times rows X of real numbers."""
    if is_numpy_array(X):
        return (d * X.view(_WHOLES[X.dtype])).view(X.dtype)
    return _real(d * (X[..., 0::2] + 1j * X[..., 1::2]))


# %% book/structure/s4.ipynb: _right
def _right(F, X):
    """F times the columns that are stored as the rows of X."""
    if F.A is not None:
        return X @ F.A.mT
    return _times(F.d, X) - X @ F.V.mT @ F.U


def _left(F, Y):
    """The rows of Y times F."""
    if F.A is not None:
        return Y @ F.A
    return _times(_conj(F.d), Y) - Y @ F.U.mT @ F.V


# %% book/structure/s4.ipynb: _squared
def _squared(F):
    """The square of a power."""
    if F.A is not None:
        return F._replace(A=F.A @ F.A)
    xp, size = _space(F.d), F.U.shape[-1]
    if 8 * F.U.shape[-2] <= size:
        U = xp.concat([_times(F.d, F.U), F.U], axis=-2)
        return _Power(F.d * F.d, U, xp.concat([F.V, _left(F, F.V)], axis=-2), None)
    A = _left(F, xp.eye(size, dtype=F.U.dtype, device=device(F.U)))
    return F._replace(A=A @ A)


# %% book/structure/s4.ipynb: _broadcast
def _broadcast(*arrays):
    """The arrays with one shape."""
    if all(x.shape == arrays[0].shape for x in arrays):
        return arrays
    return _space(arrays[0]).broadcast_arrays(*arrays)


def _first_power(S):
    """Ab as a power, with the weights of pairs, and the vectors Bb and C as rows."""
    root = S.weights**0.5
    d, p, q, b = (x[..., None, :] for x in _broadcast(S.d, S.p, S.q, S.b))
    b, c = _real(root * b), _real(root * _conj(S.c))[..., None, :]
    if c.ndim != 2 or b.ndim != 2:
        c = c + 0 * b                                       # one row for each system
    return _Power(d, _real(root * p), _real(root * _conj(q)), None), b, c


# %% book/structure/s4.ipynb: _by_krylov
def _by_krylov(S, L):
    """The kernel of a discrete system S, by small steps from the right, large from the left."""
    xp = _space(S.p)
    F, X, y = _first_power(S)
    one_by_one = max(16, X.shape[-1] // 8)
    doublings = max(0, math.ceil(math.log2(L / one_by_one)))
    small = min(doublings, math.ceil(math.log2(L) / 2))
    larger = []
    for k in range(doublings):
        if k < small:
            X = xp.concat([X, _right(F, X)], axis=-2)
        else:
            larger.append(F)
        F = _squared(F)
    rows = [y]
    for _ in range(-(-L // 2**doublings) - 1):
        rows.append(_left(F, rows[-1]))
    Y = xp.concat(rows, axis=-2)
    for F in reversed(larger):
        Y = xp.stack([Y, _left(F, Y)], axis=-2)
        Y = xp.reshape(Y, (*Y.shape[:-3], 2 * Y.shape[-3], Y.shape[-1]))
    return from_levels(Y, X.mT, L)


# %% book/structure/s4.ipynb: _filtered
_ROOM = 2**17                   # numbers of a table of NumPy that are in memory at a time


def _filtered(S, L):
    """C (I - Ab^L), by the binary digits of L."""
    F, _, row = _first_power(S)
    while L:
        row = _left(F, row) if L % 2 else row
        L //= 2
        F = _squared(F) if L else F
    pairs = _space(row).reshape(row[..., 0, :], (*row.shape[:-2], row.shape[-1] // 2, 2))
    return S.c - (pairs[..., 0] - 1j * pairs[..., 1]) / S.weights**0.5


# %% book/structure/s4.ipynb: _pair_sums
def _pair_sums(W, mu, sigma, f):
    """sum_n w_n / (1j sigma - f mu_n) with conjugate pairs, for weights W, shape (..., k, h)."""
    xp, size = _space(mu), _space(mu).abs(mu)[..., None, :]
    re = (f * size - sigma) * (f * size + sigma)
    im = 2 * sigma * f * xp.real(mu)[..., None, :]          # minus that of the denominator
    square = re * re + im * im
    sums = lambda R: (re / square) @ R.mT + 1j * ((im / square) @ R.mT)
    return 1j * sigma * sums(xp.real(W)) - f * sums(xp.real(W * _conj(mu)[..., None, :]))


def _by_cauchy(S, L, filtered):
    """The kernel of a system, from its transform at half of the roots of unity."""
    xp, Z = _space(S.p), S.system
    c = S.c if filtered else _filtered(S, L)
    mu = Z.dt * Z.Lam
    rows = xp.broadcast_arrays(c * Z.B, c * Z.P, Z.Qc * Z.B, Z.Qc * Z.P)
    W = S.weights * xp.stack(rows, axis=-2)
    half = L // 2 + 1
    angle = xp.astype(xp.arange(half, device=device(mu)), S.weights.dtype)[:, None] * (math.pi / L)
    step = max(1, _ROOM // math.prod(mu.shape)) if is_numpy_array(mu) and mu.size else half
    parts = []
    for i in range(0, half, step):
        part = angle[i:i + step, ...]
        f, sine = xp.cos(part), xp.sin(part)
        k = _pair_sums(W, mu, 2 * sine, f)
        scaled = lambda x: (Z.dt * f[:, 0]) * x
        value = k[..., 0] - scaled(k[..., 1] * k[..., 2]) / (1 + scaled(k[..., 3]))
        parts.append(Z.dt * (f + 1j * sine)[:, 0] * value)
    return xp.fft.irfft(xp.concat(parts, axis=-1), n=L)


# %% book/structure/s4.ipynb: _Discrete
_Discrete = namedtuple("_Discrete", "d log p q b c weights system")
_Continuous = namedtuple("_Continuous", "Lam P Qc B dt")


# %% book/structure/s4.ipynb: s4_kernel
@quiet
def s4_kernel(Lam, P, Q, B, C, L, dt, *, method="auto", filtered=False):
    r"""K_l = C Ab^l Bb for l < L, where Ab, Bb are bilinear steps of A = diag(Lam) - P Q^H, B.

    Parameters
    ----------
    Lam, P, Q, B, C : array, shape (..., N)
        The system, of NumPy, PyTorch or JAX; leading axes broadcast. Real, or complex and
        closed under conjugation: entry N - 1 - n is the conjugate of entry n, as `hippo_nplr`
        sorts them. C is used as given, not conjugated; a row of LegS is ``C @ V``.
    L : int >= 1
        The length of the kernel.
    dt : float, or array of shape (...)
        The step, positive.
    method : {"auto", "krylov", "series", "cauchy"}, default "auto"
        Powers from two sides; a quotient of power series; a sum of fractions at each root of
        unity. "auto" is "cauchy" if filtered, "series" if N > 256 and L > 16 N, else "krylov".
    filtered : bool, default False
        Whether C is C (I - Ab^L), which saves "cauchy" the power; the others refuse it.

    Returns
    -------
    array, shape (..., L)
        The kernel, real.

    Raises
    ------
    ValueError
        Shapes that do not fit, an L below 1, a dt that is not positive, an unknown method, one
        that does not take a filtered C, parameters that are not closed under conjugation, NaN
        or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    Derived in :ref:`s4-quotient` (:prf:ref:`kernel-quotient`), :ref:`s4-krylov`
    (:prf:ref:`kernel-rank`) and :ref:`s4-cauchy` (:prf:ref:`kernel-cauchy`); the table in
    :ref:`s4-kernel` says what each costs and needs. With NumPy arrays "cauchy" keeps blocks of
    frequencies in memory, never N times L numbers. Derivatives are those of the steps; that of a
    pair is shared by both entries, so that a step of a gradient keeps it closed.

    Examples
    --------
    >>> from lowrank import hippo_nplr, s4_kernel
    >>> Lam, P, B, V = hippo_nplr(4)
    >>> s4_kernel(Lam, P, P, B, [1.0, -1.0, 0.5, 2.0] @ V, 3, 0.1).round(6).tolist()
    [0.309089, -0.050126, -0.170121]
    """
    L = check_count(L, "L", 1)
    check_choice(method, "method", ("auto", "krylov", "series", "cauchy"))
    if filtered and method in ("krylov", "series"):
        raise ValueError(f"filtered is {filtered!r}; method {method!r} allows only False")
    xp, dtype, dt, weights, halves = _real_system(dt, Lam=Lam, P=P, Q=Q, B=B, C=C)
    Lam, P, Qc, B, c = (_conj(x) if i == 2 else x for i, x in enumerate(halves))
    total = lambda x: xp.sum(weights * xp.real(x), axis=-1, keepdims=True)
    D, p, q = _inverse_step(Lam, P, Qc, dt, total)
    b = dt * (D * B - p * total(q * B) / 2)
    z = dt / 2 * Lam
    S = _Discrete((1 + z) * D, None, p, q, b, c, weights, _Continuous(Lam, P, Qc, B, dt))
    if method == "auto":
        h = Lam.shape[-1]
        method = "cauchy" if filtered else "series" if h > 128 and L > 32 * h else "krylov"
    if method == "cauchy":
        K = _by_cauchy(S, L, filtered)
    elif method == "krylov":
        K = _by_krylov(S, L)
    else:
        K = _by_series(S._replace(log=_bilinear_log(z)), L)
    return xp.astype(K, dtype, copy=False)


# %% book/structure/s4.ipynb: s4d_frequencies
def s4d_frequencies(N, kind="legs"):
    r"""Frequencies w to start a diagonal memory from, ``Lam = -0.5 + 1j * w``.

    Parameters
    ----------
    N : int >= 1
        The number of states.
    kind : {"legs", "inv", "lin"}, default "legs"
        Those of LegS, which cost O(N^3); the inverse law N (N / (2 n + 1) - 1) / pi, near
        them; the linear law pi n, the harmonics of a window.

    Returns
    -------
    array, shape (N,)
        Rising, and symmetric: ``w[N - 1 - n] == -w[n]``. For n < N / 2 the law gives the pair
        of n; for odd N there is a 0 in the middle, and "lin" begins with n = 0 for even N, with
        1 for odd N.

    Raises
    ------
    ValueError, TypeError
        An N that is not an integer from 1, or an unknown kind.

    Notes
    -----
    Derived in :ref:`s4-diagonal`; the frequencies of LegS are those of :prf:ref:`legs-nplr`.

    Examples
    --------
    >>> from lowrank import s4d_frequencies
    >>> s4d_frequencies(4).round(3).tolist()
    [-4.603, -0.557, 0.557, 4.603]
    >>> s4d_frequencies(4, "inv").round(3).tolist()
    [-3.82, -0.424, 0.424, 3.82]
    """
    N = check_count(N, "N", 1)
    check_choice(kind, "kind", ("legs", "inv", "lin"))
    if kind == "legs":
        return hippo_nplr(N)[0].imag.copy()
    n = np.arange(N // 2)
    w = N / np.pi * (N / (2 * n + 1) - 1) if kind == "inv" else np.pi * (n + N % 2)[::-1]
    return np.concatenate([-w, np.zeros(N % 2), w[::-1]])

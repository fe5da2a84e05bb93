r"""A history in N numbers.

Given the values $u(v)$, $0\le v\le t$, of a signal that goes on, keep the numbers
$x_n(t)=\int_0^1u(ts)\,p_n(s)\,ds$, $n<N$, so that $\sum_nx_n(t)\,p_n(v/t)$ stays the best
approximation of all that has been, while nothing but $x$ is stored.

Generated from book/structure/hippo.ipynb; edit the chapter.
"""

import math
from functools import cache

import numpy as np
from array_api_compat import is_jax_array
from scipy import linalg

from lowrank.arguments import check_choice, check_count, check_number
from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_finite,
    check_parameter,
    compiling,
    device,
    fixed,
    is_array,
    is_numpy_array,
    is_tensor,
    may_hold,
    quiet,
)

__all__ = [
    "hippo_legs",
    "hippo_legt",
    "legs_project",
    "legs_update",
    "legs_matvec",
    "legs_solve",
    "legs_stream",
    "legendre_reconstruct",
    "discretize",
    "hippo_fourier",
]


# %% book/structure/hippo.ipynb: hippo_legs
def _weights(N):
    """n and r_n = sqrt(2 n + 1), n < N."""
    n = np.arange(check_count(N, "N", 1), dtype=np.float64)
    return n, np.sqrt(2 * n + 1)


def hippo_legs(N):
    r"""A, B of t x' = A x + B u: the Legendre coefficients of a whole history, LegS.

    Parameters
    ----------
    N : int >= 1
        How many coefficients are kept.

    Returns
    -------
    A : array, shape (N, N)
        Lower triangular, of NumPy and in double precision: ``-sqrt((2n+1)(2k+1))`` below the
        diagonal, ``-(n+1)`` on it.
    B : array, shape (N,)
        ``sqrt(2n+1)``.

    Raises
    ------
    ValueError, TypeError
        N is no integer from 1.

    Notes
    -----
    The polynomials are orthonormal on [0, 1], so that the norm of x is the root mean square of
    what x stands for. Without the factor t, x' = A x + B u remembers in exponential time.
    Derived in :ref:`hippo-legs`, :prf:ref:`legs-ode`.

    Examples
    --------
    >>> from lowrank import hippo_legs
    >>> A, B = hippo_legs(3)
    >>> A.round(3)
    array([[-1.   ,  0.   ,  0.   ],
           [-1.732, -2.   ,  0.   ],
           [-2.236, -3.873, -3.   ]])
    >>> B.round(3)
    array([1.   , 1.732, 2.236])
    """
    n, r = _weights(N)
    return np.tril(-np.outer(r, r), -1) - np.diag(n + 1), r


# %% book/structure/hippo.ipynb: hippo_legt
def hippo_legt(N, window=1.0):
    r"""A, B of x' = A x + B u: the Legendre coefficients of a window that moves along, LegT.

    Parameters
    ----------
    N : int >= 1
        How many coefficients are kept.
    window : float > 0, default 1.0
        The length w of the window, in the unit of time.

    Returns
    -------
    A : array, shape (N, N)
        ``-sqrt((2n+1)(2k+1)) / w`` for k <= n, times ``(-1)**(n-k)`` above the diagonal.
    B : array, shape (N,)
        ``sqrt(2n+1) / w``.

    Raises
    ------
    ValueError, TypeError
        N is no integer from 1, or the window no positive number.

    Notes
    -----
    The newest value is ``x @ sqrt(2n+1)``, the oldest that with alternating signs. What leaves
    the window is known from x only, so this is an approximation, unless the signal is a
    polynomial of degree below N there. Derived in :ref:`hippo-balance` and :ref:`hippo-pade`:
    :prf:ref:`hippo-energy`, :prf:ref:`legt-pade`. The matrices of Legendre memory units follow
    by scaling coefficient n with ``(-1)**n * sqrt(2n+1)``.

    Examples
    --------
    >>> from lowrank import hippo_legt
    >>> A, B = hippo_legt(2, window=2.0)
    >>> A.round(3)
    array([[-0.5  ,  0.866],
           [-0.866, -1.5  ]])
    >>> B.round(3)
    array([0.5  , 0.866])
    """
    n, r = _weights(N)
    window = _check_window(window)
    sign = np.where((n[:, None] < n) & ((n[:, None] - n) % 2 == 1), -1.0, 1.0)
    return -sign * np.outer(r, r) / window, r / window


def _check_window(window):
    """The length of a window as a float."""
    return check_number(window, "window", "a number with 0 < window < inf",
                        lambda w: 0 < w < math.inf)


# %% book/structure/hippo.ipynb: legendre_table
def _legendre(N, s, c):
    """P_n(y) and P_{n+1}(y) - P_n(y), n < N, at the end 1 - y = 2 min(s, c)."""
    xp = array_namespace(s)
    z = 2 * xp.where(s < c, s, c)
    P, d = [xp.ones_like(z)], [-z]
    for n in range(1, N):
        P.append(P[-1] + d[-1])
        d.append((n * d[-1] - (2 * n + 1) * z * P[-1]) / (n + 1))
    return P, d


def _mirrored(s, c, values):
    """values of even and odd functions of 2 s - 1, alternately, from those at the other end."""
    xp = array_namespace(s)
    side = xp.where(s < c, -xp.ones_like(s), xp.ones_like(s))
    return xp.stack([side * v if odd else v for v, odd in values], axis=-2)


def legendre_table(N, s, c):
    """p_n(s) = sqrt(2n+1) P_n(2s-1), n < N along axis -2, for s in [0, 1] and c = 1 - s."""
    P, _ = _legendre(N, s, c)
    return _mirrored(s, c, [((2 * n + 1)**0.5 * P[n], n % 2) for n in range(N)])


def legendre_integrals(N, s, c):
    """Integrals of the p_n up to s, each but for a constant; as `legendre_table`."""
    P, d = _legendre(N, s, c)
    values = [(1 + d[0]) / 2] + [(d[n] + d[n - 1]) / (2 * (2 * n + 1)**0.5) for n in range(1, N)]
    return _mirrored(s, c, [(v, n % 2 == 0) for n, v in enumerate(values)])


# %% book/structure/hippo.ipynb: gauss_nodes
@cache
def _nodes(N):
    half = (N + 1) // 2
    s = np.sin(np.pi * (4 * np.arange(1, half + 1) - 1) / (8 * N + 4))**2
    for _ in range(4):
        P, d = _legendre(N + 1, s, 1 - s)
        slope = N * (P[N - 1] - (1 - 2 * s) * P[N]) / (4 * s * (1 - s))
        s = s + P[N] / (2 * slope)
    s[N // 2:] = 0.5
    return tuple(s.tolist()) + tuple((1 - s[:N // 2])[::-1].tolist())


@fixed
def gauss_nodes(N):
    """The nodes of Gauss's rule on [0, 1], ascending, in a tuple; 1 - s is the reverse."""
    return _nodes(N)


def gauss_basis(N, like):
    """(s, c, w, G): nodes, 1 - nodes, roots of the weights, G[n, i] = w_i p_n(s_i), orthogonal."""
    xp, nodes = array_namespace(like), gauss_nodes(N)
    as_array = lambda v: xp.asarray(v, dtype=like.dtype, device=device(like))
    s, c = as_array(list(nodes)), as_array(list(nodes[::-1]))
    table = legendre_table(N, s, c)
    w = 1 / xp.sqrt(xp.sum(table * table, axis=0))
    return s, c, w, table * w


# %% book/structure/hippo.ipynb: as_doubles
def as_doubles(x, name, axes=1):
    """(xp, dtype, X): x, finite, in double precision where the library has it, and its dtype."""
    xp, A = as_floats(x, name)
    if A.ndim < axes:
        raise ValueError(f"{name} has shape {tuple(A.shape)}; allowed are at least {axes} axes")
    check_finite(A, name)
    half = is_numpy_array(x) and x.dtype == np.float16          # A is float32 then
    kind = "complex floating" if xp.isdtype(A.dtype, "complex floating") else "real floating"
    known = xp.__array_namespace_info__().dtypes(kind=kind)
    wide = known.get("complex128" if kind[0] == "c" else "float64", A.dtype)
    if xp.isdtype(A.dtype, "real floating") and xp.finfo(A.dtype).bits == 16 and wide == A.dtype:
        wide = xp.float32
    return xp, x.dtype if half else A.dtype, xp.astype(A, wide, copy=False)


def real_like(X):
    """A real number in the precision, and on the device, of X."""
    xp = array_namespace(X)
    one = xp.zeros((), dtype=X.dtype, device=device(X))
    return xp.real(one) if xp.isdtype(X.dtype, "complex floating") else one


# %% book/structure/hippo.ipynb: _together
def _together(x, name, y, other):
    """(xp, dtype, X, Y): two arrays of one library in one double precision; batches may differ."""
    xp, dtype_x, X = as_doubles(x, name)
    yp, dtype_y, Y = as_doubles(y, other)
    if xp is not yp:
        raise TypeError(f"{other} is a {type(y).__name__} and {name} is a {type(x).__name__}; "
                        "both must belong to one array library")
    try:
        np.broadcast_shapes(X.shape[:-1], Y.shape[:-1])
    except ValueError:
        raise ValueError(f"{other} has shape {tuple(Y.shape)}; allowed are leading axes that fit "
                         f"those of {name}, whose shape is {tuple(X.shape)}") from None
    dtype, work = xp.result_type(dtype_x, dtype_y), xp.result_type(X, Y)
    return xp, dtype, xp.astype(X, work, copy=False), xp.astype(Y, work, copy=False)


# %% book/structure/hippo.ipynb: _new_part
def _new_part(N, start, size, total, like):
    """Integrals of the p_n over `size` samples after `start`, in units of `total`, (N, size)."""
    xp = array_namespace(like)
    j = xp.arange(size + 1, dtype=like.dtype, device=device(like))
    Q = legendre_integrals(N, (start + j) / total, (total - start - j) / total)
    return Q[..., 1:] - Q[..., :-1]


def _blocks(X, U, starts):
    """The coefficients after each of the blocks U (..., g, b) that follow `starts` (g, 1)."""
    xp, N, b = array_namespace(X), X.shape[-1], U.shape[-1]
    s, c, w, G = gauss_basis(N, real_like(X))
    total = starts + b
    T = legendre_table(N, starts * s / total, (starts * c + b) / total)
    T = xp.astype((starts / total)[..., None] * T * w, X.dtype, copy=False)
    K = xp.astype(_new_part(N, starts, b, total, real_like(X)), X.dtype, copy=False)
    G, new = xp.astype(G, X.dtype, copy=False), (U[..., None, :] @ K.mT)[..., 0, :]
    for i in range(U.shape[-2]):
        X = (X @ G) @ T[i, ...].mT + new[..., i, :]
        yield X


# %% book/structure/hippo.ipynb: legs_project
@quiet
def legs_project(u, N):
    r"""x_n = the integral of u(Ls) p_n(s) over [0, 1], n < N: a record in N numbers, exactly.

    Parameters
    ----------
    u : array, shape (..., L)
        Records of L >= 1 samples, each of which holds for one unit of time; NumPy, PyTorch or
        JAX, real or complex.
    N : int >= 1
        How many coefficients.

    Returns
    -------
    array, shape (..., N)
        Coefficients with respect to the orthonormal ``sqrt(2n+1) P_n(2s-1)``.

    Raises
    ------
    ValueError, TypeError
        An empty record, NaN or Inf, an N that is no integer from 1.

    Notes
    -----
    O(N L) operations, O(N) numbers of memory beside u. Exact but for rounding: in double
    precision the error is below 1e-12 of the root mean square of u, for L up to 10^5. For
    records that go on see `legs_update`. Derived in
    :ref:`hippo-exact`, :prf:ref:`legs-exact`.

    Examples
    --------
    >>> from lowrank import legs_project
    >>> legs_project([1, 2, 0, -1, 3], 4).round(6)
    array([1.      , 0.138564, 0.751319, 0.804308])
    """
    N = check_count(N, "N", 1)
    xp, dtype, U = as_doubles(u, "u")
    L = _length(U, "u")
    X = xp.zeros((*U.shape[:-1], N), dtype=U.dtype, device=device(U))
    for i in range(0, L, 4096):
        part = U[..., i:min(i + 4096, L)]
        K = _new_part(N, float(i), part.shape[-1], float(L), real_like(U))
        X = X + part @ xp.astype(K.mT, U.dtype, copy=False)
    return xp.astype(X, dtype, copy=False)


def _length(U, name):
    """The number of samples, at least one."""
    if not U.shape[-1]:
        raise ValueError(f"{name} has shape {tuple(U.shape)}; allowed is at least one sample")
    return U.shape[-1]


# %% book/structure/hippo.ipynb: legs_update
@quiet
def legs_update(x, count, block):
    r"""(x, count) after a block of samples: the coefficients of a history that goes on, exactly.

    Parameters
    ----------
    x : array, shape (..., N)
        Coefficients of the `count` samples so far; zeros for the start.
    count : int >= 0
        How many samples there were; JAX may trace it.
    block : array, shape (..., m)
        The next m >= 1 samples, of the library of x. Leading axes are batches, broadcast.

    Returns
    -------
    x : array, shape (..., N)
        What ``legs_project`` gives of all samples together.
    count : int
        count + m.

    Raises
    ------
    ValueError, TypeError
        An empty block, a negative count, NaN or Inf, shapes or libraries that do not fit.

    Notes
    -----
    O(N^2 + N m) operations: the larger the blocks, the less a sample costs. Exact but for
    rounding: the relative error stays below 1e-12 for hundreds of updates. Derived in
    :ref:`hippo-exact`, :prf:ref:`legs-exact`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import legs_update
    >>> x, count = legs_update(np.zeros(4), 0, [1, 2])
    >>> x, count = legs_update(x, count, [0, -1, 3])
    >>> x.round(6), count
    (array([1.      , 0.138564, 0.751319, 0.804308]), 5)
    """
    xp, dtype, X, U = _together(x, "x", block, "block")
    m = _length(U, "block")
    if not X.shape[-1]:
        raise ValueError(f"x has shape {tuple(X.shape)}; allowed is at least one coefficient")
    count = _check_samples(count)
    start = xp.reshape(real_like(X) + count, (1, 1))
    (X,) = _blocks(X, U[..., None, :], start)
    return xp.astype(X, dtype, copy=False), count + m


def _check_samples(count):
    """A number of samples; one that is traced stays as it is."""
    if is_array(count) and not is_numpy_array(count):
        count = check_parameter(count, "count", "an integer from 0", lambda c: c >= 0)
        return count if is_array(count) else int(count)
    return check_count(count, "count", 0)


# %% book/structure/hippo.ipynb: _row
def _row(N, X):
    """n and r_n, n < N, in the dtype of X."""
    xp = array_namespace(X)
    n = xp.arange(N, dtype=real_like(X).dtype, device=device(X))
    return tuple(xp.astype(v, X.dtype, copy=False) for v in (n, xp.sqrt(2 * n + 1)))


def _matvec(X):
    """A x along the last axis."""
    n, r = _row(X.shape[-1], X)
    return n * X - r * array_namespace(X).cumulative_sum(r * X, axis=-1)


# %% book/structure/hippo.ipynb: _solve
def _solve(V, lam):
    """(I - lam A)^(-1) v along the last axis."""
    xp, N = array_namespace(V), V.shape[-1]
    n, r = _row(N, V)
    before, after = 1 - lam * n, 1 + lam * (n + 1)
    if is_numpy_array(V) and V.size:            # without columns, SciPy's wrapper corrupts memory
        solve, = linalg.get_lapack_funcs(("tbtrs",), (V,))
        band = np.stack([after, np.append(-before[1:], 0)])
        S = solve(band, (r * V).reshape(-1, N).T, uplo="L")[0].T.reshape(V.shape)
    else:
        S = _running(xp, before / after, r * V / after)
    last = xp.concat([xp.zeros_like(S[..., :1]), S[..., :-1]], axis=-1)
    return (V - lam * r * last) / after


def _running(xp, a, S):
    """S_n <- a_n S_{n-1} + S_n along the last axis, in log2 N steps."""
    a, step = xp.concat([xp.zeros_like(a[:1]), a[1:]]), 1
    while step < S.shape[-1]:
        S = xp.concat([S[..., :step], S[..., step:] + a[step:] * S[..., :-step]], axis=-1)
        a = xp.concat([a[:step], a[step:] * a[:-step]])
        step *= 2
    return S


# %% book/structure/hippo.ipynb: legs_matvec
@quiet
def legs_matvec(x):
    r"""A x for the matrix A of LegS, in O(N) operations.

    Parameters
    ----------
    x : array, shape (..., N)
        A vector or a stack of them; NumPy, PyTorch or JAX.

    Returns
    -------
    array, shape (..., N)

    Raises
    ------
    ValueError
        No axis, NaN or Inf.

    Notes
    -----
    A product with the dense matrix is faster up to N of some hundreds. Derived in
    :ref:`hippo-linear-time`, :prf:ref:`legs-recursion`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import hippo_legs, legs_matvec
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> np.allclose(legs_matvec(x), hippo_legs(3)[0] @ x)
    True
    """
    xp, dtype, X = as_doubles(x, "x")
    return xp.astype(_matvec(X) if X.shape[-1] else X, dtype, copy=False)


@quiet
def legs_solve(v, lam):
    r"""(I - lam A)^(-1) v for the matrix A of LegS, without the matrix.

    Parameters
    ----------
    v : array, shape (..., N)
        A vector or a stack of them; NumPy, PyTorch or JAX.
    lam : float >= 0
        The step, half of it for the bilinear rule. PyTorch and JAX may differentiate it.

    Returns
    -------
    array, shape (..., N)

    Raises
    ------
    ValueError, TypeError
        No axis, NaN or Inf, a lam that is negative or no number.

    Notes
    -----
    O(N) operations in NumPy, by LAPACK's bidiagonal solver; O(N log N) in log2 N vector steps
    elsewhere. A dense triangular solve is faster up to N of some hundreds. Derived in
    :ref:`hippo-linear-time`, :prf:ref:`legs-recursion`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import legs_matvec, legs_solve
    >>> z = legs_solve(np.array([1.0, 2.0, 3.0]), 0.5)
    >>> (z - 0.5 * legs_matvec(z)).round(12)
    array([1., 2., 3.])
    """
    lam = check_parameter(lam, "lam", "a number with 0 <= lam < inf", lambda v: 0 <= v < math.inf)
    xp, dtype, V = as_doubles(v, "v")
    return xp.astype(_solve(V, lam) if V.shape[-1] else V, dtype, copy=False)


# %% book/structure/hippo.ipynb: legs_stream
@quiet
def legs_stream(u, N, *, method="exact", block=256):
    r"""The N coefficients of a signal after each block of its samples, in one pass.

    Parameters
    ----------
    u : array, shape (..., L)
        Signals of L >= 1 samples; NumPy, PyTorch or JAX, real or complex.
    N : int >= 1
        How many coefficients.
    method : {"exact", "bilinear"}, default "exact"
        "exact": block by block, by Gauss's rule. "bilinear": sample by sample, by the bilinear
        rule with the time in the middle of the sample, which is of second order.
    block : int >= 1, default 256
        How many samples there are between two results; the last block may be shorter.

    Returns
    -------
    array, shape (..., ceil(L / block), N)
        Row j holds the coefficients of the first (j + 1) * block samples.

    Raises
    ------
    ValueError, TypeError
        An empty signal, NaN or Inf, an unknown method, an N or a block that is no integer from 1.

    Notes
    -----
    "exact" takes O(N^2 + N block) operations a block and O(N^2 + N block) memory beside u and the
    result; its relative error is that of `legs_update`. "bilinear" takes O(N) operations
    a sample in NumPy. Under `jax.jit` and `torch.compile` the loop over the blocks is unrolled.
    Derived in :ref:`hippo-exact` and :ref:`hippo-linear-time`: :prf:ref:`legs-exact`,
    :prf:ref:`legs-recursion`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import legs_stream
    >>> u = np.sin(np.arange(1000) / 100)
    >>> legs_stream(u, 3, block=500).round(4)
    array([[ 0.1442, -0.5754, -0.3503],
           [ 0.1842, -0.0459,  0.2893]])
    """
    check_choice(method, "method", ("exact", "bilinear"))
    N, block = check_count(N, "N", 1), check_count(block, "block", 1)
    xp, dtype, U = as_doubles(u, "u")
    L = _length(U, "u")
    X = xp.zeros((*U.shape[:-1], N), dtype=U.dtype, device=device(U))
    states = (_exact_states if method == "exact" else _bilinear_states)(X, U, L, block)
    return xp.astype(xp.stack(list(states), axis=-2), dtype, copy=False)


# %% book/structure/hippo.ipynb: _exact_states
def _exact_states(X, U, L, block):
    """The coefficients after each block; the tables of several blocks are made together."""
    xp, N, zero = array_namespace(X), X.shape[-1], real_like(X)
    together = max(1, 2**18 // (N * (N + block))) * block
    whole = L - L % block
    for start in range(0, whole, together):
        stop = min(start + together, whole)
        starts = xp.arange(start, stop, block, dtype=zero.dtype, device=device(X))[:, None]
        shape = (*U.shape[:-1], (stop - start) // block, block)
        parts = xp.reshape(U[..., start:stop], shape)
        for X in _blocks(X, parts, starts):
            yield X
    if whole < L:
        yield from _blocks(X, U[..., None, whole:], xp.reshape(zero + whole, (1, 1)))


def _bilinear_states(X, U, L, block):
    """The coefficients after each block, by a bilinear step for each sample."""
    xp, (_, r) = array_namespace(X), _row(X.shape[-1], X)
    for j in range(L):
        u, t = U[..., j:j + 1], j + 0.5
        if j:
            X = _solve(X + _matvec(X) / (2 * t) + u * r / t, 0.5 / t)
        else:
            X = xp.concat([u, X[..., 1:]], axis=-1)
        if (j + 1) % block == 0 or j + 1 == L:
            yield X


# %% book/structure/hippo.ipynb: legendre_reconstruct
@quiet
def legendre_reconstruct(x, s):
    r"""sum of x_n sqrt(2n+1) P_n(2s-1): what N coefficients remember of the time s.

    Parameters
    ----------
    x : array, shape (..., N)
        Coefficients, of NumPy, PyTorch or JAX.
    s : array_like
        Times in [0, 1], of any shape: 0 is the oldest and 1 the newest.

    Returns
    -------
    array, shape (..., *s.shape)
        The values, of the library and dtype of x.

    Raises
    ------
    ValueError, TypeError
        No axis, NaN or Inf, times outside of [0, 1].

    Notes
    -----
    For LegS s is v / t, for LegT 1 - (t - v) / w. Derived in :ref:`hippo-legs`,
    :prf:ref:`legs-ode`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import legendre_reconstruct, legs_project
    >>> x = legs_project(np.arange(8.0), 2)
    >>> legendre_reconstruct(x, [0.0, 0.5, 1.0])
    array([-0.4375,  3.5   ,  7.4375])
    """
    xp, dtype, X = as_doubles(x, "x")
    if is_array(s) and array_namespace(s) is xp:
        S = xp.astype(s, real_like(X).dtype, copy=False)
    else:
        s = s if compiling() else as_floats(s, "s")[1]
        S = xp.asarray(s, dtype=real_like(X).dtype, device=device(X))
    check_finite(S, "s")
    if not may_hold(xp.all((S >= 0) & (S <= 1))):
        raise ValueError(f"s has values from {float(xp.min(S)):g} to {float(xp.max(S)):g}; "
                         "allowed are values from 0 to 1")
    flat = xp.reshape(S, (-1,))
    table = xp.astype(legendre_table(X.shape[-1], flat, 1 - flat), X.dtype, copy=False)
    return xp.astype(xp.reshape(X @ table, (*X.shape[:-1], *S.shape)), dtype, copy=False)


# %% book/structure/hippo.ipynb: _exponential
def _exponential(M):
    """exp(M) of each matrix, by the library's own means."""
    if is_tensor(M):
        import torch
        return torch.linalg.matrix_exp(M)
    if is_jax_array(M):
        from jax.scipy.linalg import expm
        return expm(M)
    return array_namespace(M).asarray(linalg.expm(np.asarray(M)))


# %% book/structure/hippo.ipynb: discretize
@quiet
def discretize(A, B, dt, method="zoh"):
    r"""Ab, Bb of x_{k+1} = Ab x_k + Bb u_k, for x' = A x + B u and steps of length dt.

    Parameters
    ----------
    A : array, shape (..., N, N)
        A matrix or a stack of them; NumPy, PyTorch or JAX.
    B : array, shape (..., N) or (..., N, M)
        The input, a vector or, with as many axes as A, a matrix. Leading axes as those of A.
    dt : float > 0
        The length of a step. PyTorch and JAX may differentiate it.
    method : {"zoh", "bilinear", "forward", "backward"}, default "zoh"
        "zoh" is exact for an input that is constant within each step.

    Returns
    -------
    Ab : array, shape (..., N, N)
    Bb : array, shape of B

    Raises
    ------
    ValueError, TypeError
        Shapes or libraries that do not fit, NaN or Inf, a dt that is no positive number, an
        unknown method.

    Notes
    -----
    If Re x^H A x <= 0 for all x, as for LegS and LegT, a step of the bilinear rule without
    input makes no x longer, whatever dt is; one of "forward" may: see :ref:`hippo-breaks`.
    Derived in :ref:`hippo-pade`, :prf:ref:`legs-fading`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import discretize
    >>> Ab, Bb = discretize(np.array([[-1.0]]), np.array([1.0]), 0.5)
    >>> Ab.round(6), Bb.round(6)
    (array([[0.606531]]), array([0.393469]))
    """
    check_choice(method, "method", ("zoh", "bilinear", "forward", "backward"))
    dt = check_parameter(dt, "dt", "a number with 0 < dt < inf", lambda v: 0 < v < math.inf)
    xp, dtype, A, B, vector = _system(A, B)
    N, I = A.shape[-1], xp.eye(A.shape[-1], dtype=A.dtype, device=device(A))
    back = lambda Ab, Bb: (xp.astype(Ab, dtype, copy=False),
                           xp.astype(Bb[..., 0] if vector else Bb, dtype, copy=False))
    if method == "forward":
        return back(I + dt * A, dt * B)
    if method == "zoh":
        right = xp.concat([A, B], axis=-1) * dt
        shape = (*A.shape[:-2], B.shape[-1], right.shape[-1])
        below = xp.zeros(shape, dtype=A.dtype, device=device(A))
        E = _exponential(xp.concat([right, below], axis=-2))[..., :N, :]
        return back(E[..., :N], E[..., N:])
    left, right = (I - dt * A, I) if method == "backward" else (I - dt / 2 * A, I + dt / 2 * A)
    both = xp.linalg.solve(left, xp.concat([right + 0 * A, dt * B], axis=-1))
    return back(both[..., :N], both[..., N:])


# %% book/structure/hippo.ipynb: _system
def _system(A, B):
    """(xp, dtype, A, B, vector): a square A and a B with a last axis, of one library and dtype."""
    xp, dtype_A, A_ = as_doubles(A, "A", axes=2)
    yp, dtype_B, B_ = as_doubles(B, "B")
    if xp is not yp:
        raise TypeError(f"B is a {type(B).__name__} and A is a {type(A).__name__}; "
                        "both must belong to one array library")
    if A_.shape[-1] != A_.shape[-2] or not A_.shape[-1]:
        raise ValueError(f"A has shape {tuple(A_.shape)}; allowed is a square matrix (N, N) or a "
                         "stack (..., N, N), with N >= 1")
    vector = B_.ndim == A_.ndim - 1
    if B_.shape[:A_.ndim - 1] != A_.shape[:-1] or not (vector or B_.ndim == A_.ndim):
        raise ValueError(f"B has shape {tuple(B_.shape)}; allowed is {tuple(A_.shape[:-1])}, or "
                         "that with one more axis")
    work = xp.result_type(A_, B_)
    A_, B_ = (xp.astype(M, work, copy=False) for M in (A_, B_))
    return xp, xp.result_type(dtype_A, dtype_B), A_, B_[..., None] if vector else B_, vector


# %% book/structure/hippo.ipynb: hippo_fourier
def hippo_fourier(N, window=None):
    r"""A, B of a memory in N waves exp(2 pi i n s): of a window, or of a whole history.

    Parameters
    ----------
    N : int >= 1
        How many coefficients: n = k - N // 2 for k < N. An odd N is symmetric, and real signals
        then have coefficients in conjugate pairs.
    window : float, optional
        The length w > 0 of a window, for x' = A x + B u. Default is the whole history, for
        t x' = A x + B u.

    Returns
    -------
    A : array, shape (N, N)
        Complex, of NumPy, in double precision.
    B : array, shape (N,)

    Raises
    ------
    ValueError, TypeError
        N is no integer from 1, or the window no positive number.

    Notes
    -----
    Both are approximations. For a window, the value at the seam is taken as the mean of its
    two sides, which it is: the articles and some programs take it for the oldest value, and
    get an echo. For a whole history, polynomials are exact where waves are not: prefer
    `hippo_legs`. Derived in :ref:`hippo-fourier`, :prf:ref:`fourier-seam`.

    Examples
    --------
    >>> from lowrank import hippo_fourier
    >>> A, B = hippo_fourier(3, window=1.0)
    >>> A.round(3)
    array([[-2.-6.283j, -2.+0.j   , -2.+0.j   ],
           [-2.+0.j   , -2.+0.j   , -2.+0.j   ],
           [-2.+0.j   , -2.+0.j   , -2.+6.283j]])
    >>> B.real
    array([2., 2., 2.])
    """
    _weights(N)
    n = np.arange(N) - N // 2
    turning = 2j * np.pi * np.diag(n)
    if window is not None:
        window = _check_window(window)
        return (turning - 2) / window, np.full(N, 2 / window, complex)
    apart = n[:, None] - n
    slopes = n[:, None] / np.where(apart == 0, 1, apart) * (apart != 0)
    return turning / 2 - np.eye(N) - slopes, np.ones(N, complex)

r"""Rotary positions.

Token $m$ asks with a query $q$, token $n$ answers with a key $k$: which matrices $R_n$ make
$\langle R_mq,R_nk\rangle$ depend on where the two stand only through $n-m$, for positions with one
coordinate or several, and how are they applied without an error that grows with $n$?

Generated from book/rotations/rope.ipynb; edit the chapter.
"""

import math
from functools import reduce
from operator import add

import numpy as np
from scipy import linalg

from lowrank.arguments import check_choice, check_count, check_number
from lowrank.arrays import (
    NUMPY,
    array_namespace,
    as_floats,
    as_matrix,
    check_finite,
    compiling,
    constant,
    device,
    exponent_of,
    is_array,
    is_numpy_array,
    is_tensor,
    may_hold,
    peak_of,
    quiet,
    shifted,
    single,
)
from lowrank.derivatives import Rule, attached, fitted

__all__ = [
    "rope_canonical",
    "rope_permutation",
    "rope_frequencies",
    "yarn_attention_factor",
    "rope_rotate",
    "rope_matrix",
]


# %% book/rotations/rope.ipynb: rope_canonical
def rope_canonical(B):
    r"""Planes and frequencies of a skew-symmetric matrix, B = Q Omega Q^T.

    Parameters
    ----------
    B : array, shape (d, d)
        Real and skew-symmetric to round-off.

    Returns
    -------
    Q : array, shape (d, d)
        Orthogonal. Columns 2 i and 2 i + 1 span plane i; if d is odd the last one is an axis that
        stays.
    freqs : array, shape (d // 2,)
        At least 0, decreasing: expm(x B) = Q rope_matrix(x, freqs, d=d) Q^T.

    Raises
    ------
    ValueError
        NaN or Inf, no square matrix with at least one row, or an entry of B + B^T above
        4 d eps times the largest one of B.
    TypeError
        A dtype without meaning, or complex numbers.

    Notes
    -----
    One real Schur decomposition, O(d^3). Q is orthogonal and Q Omega Q^T is B to a few eps, also
    for repeated and for zero frequencies; a frequency has an error of a few eps times the largest
    one, so small ones have fewer digits. In planes of one frequency Q is any of many. Derived in
    :ref:`rope-planes`, :prf:ref:`rope-complete`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rope_canonical, rope_matrix
    >>> B = np.array([[0, -1, 2, 0], [1, 0, 0, -3], [-2, 0, 0, 1], [0, 3, -1, 0]])
    >>> Q, freqs = rope_canonical(B)
    >>> freqs.round(6)
    array([3.618034, 1.381966])
    >>> np.allclose(Q @ rope_matrix(np.pi / 2 / freqs[0], freqs[:1], d=4) @ Q.T @ Q[:, 0], Q[:, 1])
    True
    """
    B = as_matrix(B, "B")
    if B.dtype.kind == "c":
        raise TypeError(f"B has dtype {B.dtype}; allowed are real numbers")
    d = len(B)
    if B.shape != (d, d):
        raise ValueError(f"B has shape {B.shape}; allowed is a square matrix (d, d)")
    e = int(exponent_of(peak_of(B).item()))
    B = shifted(B, -e)
    defect, allowed = np.abs(B + B.T).max(), 4 * d * np.finfo(B.dtype).eps
    if defect > allowed:
        raise ValueError(f"B is not skew-symmetric: B + B^T has entries of {defect:.1e} times the "
                         f"largest one of B; allowed is {allowed:.1e}")
    S, Q = linalg.schur((B - B.T) / 2, output="real")
    below = np.append(np.diag(S, -1), S.dtype.type(0))
    first = np.flatnonzero(below)                           # where a block of two begins
    alone = np.setdiff1d(np.arange(d), [*first, *(first + 1)])
    freqs = np.append((below[first] - S[first, first + 1]) / 2,
                      np.zeros(len(alone) // 2, S.dtype))
    pairs = np.append(np.stack([first, first + 1], -1),
                      alone[:len(alone) // 2 * 2].reshape(-1, 2), axis=0)
    pairs = np.where((freqs < 0)[:, None], pairs[:, ::-1], pairs)
    order = np.argsort(-np.abs(freqs), kind="stable")
    columns = np.append(pairs[order].ravel(), alone[len(alone) // 2 * 2:])
    return Q[:, columns], shifted(np.abs(freqs[order]), e)


# %% book/rotations/rope.ipynb: rope_permutation
_LAYOUTS = "interleaved", "halves"


def rope_permutation(d, *, to="halves"):
    r"""The order in which the coordinates of one layout make the other one.

    Parameters
    ----------
    d : int >= 2
        Number of rotated coordinates, even.
    to : {"halves", "interleaved"}
        The layout that is wanted; what is given has the other one.

    Returns
    -------
    array, shape (d,)
        Indices: x[..., order] for queries and keys, W[order] for the rows of a weight that makes
        them, W[:, order] for its columns.

    Raises
    ------
    ValueError
        d odd or below 2, or another word.
    TypeError
        d is no integer.

    Notes
    -----
    Queries and keys must both be permuted: :prf:ref:`rope-layouts-permute`.

    Examples
    --------
    >>> from lowrank import rope_permutation
    >>> rope_permutation(6)
    array([0, 2, 4, 1, 3, 5])
    >>> rope_permutation(6, to="interleaved")
    array([0, 3, 1, 4, 2, 5])
    """
    shape = (2, _check_even(d) // 2)
    check_choice(to, "to", _LAYOUTS[::-1])
    order = np.arange(d)
    return (order.reshape(shape[::-1]) if to == "halves" else order.reshape(shape)).T.ravel()


def _check_even(d):
    """d as an even int of at least 2."""
    d = check_count(d, "d", 2)
    if d % 2:
        raise ValueError(f"d is {d}; allowed is an even integer, two coordinates for each plane")
    return d


# %% book/rotations/rope.ipynb: _check_factor
def _check_factor(factor):
    """factor as a float of at least 1."""
    return check_number(factor, "factor", "a finite number of at least 1",
                        lambda s: 1 <= s < math.inf)


def _yarn_ramp(k, base, length):
    """From 0, where a plane turns 32 times within the length, to 1, where it turns once."""
    length = check_number(length, "original_length", "a finite number above 0",
                          lambda v: 0 < v < math.inf)
    index = lambda turns: k * math.log(length / (2 * math.pi * turns)) / math.log(base)
    low, high = max(math.floor(index(32)), 0), min(math.ceil(index(1)), 2 * k - 1)
    return np.clip((np.arange(k) - low) / max(high - low, 1e-3), 0, 1)


# %% book/rotations/rope.ipynb: rope_frequencies
def rope_frequencies(d, base=10000.0, *, axes=1, allocation="interleaved", scaling=None,
                     factor=1.0, original_length=None):
    r"""The frequencies base^(-2 i / d) of d/2 planes, for one axis or shared among several.

    Parameters
    ----------
    d : int >= 2
        Number of rotated coordinates, even.
    base : float > 1, default 10000.0
        Ratio of the largest frequency, 1, and what would be number d/2.
    axes : int >= 1, default 1
        Number of coordinates of a position, at most d/2.
    allocation : {"interleaved", "chunked"}
        Which axis turns plane i: axis i mod axes, or the first d/2/axes planes axis 0, and so on.
        The frequencies are those of one axis in both cases, so that a token with equal coordinates
        (n, n, ...) is rotated as token n of a text.
    scaling : {None, "linear", "ntk", "yarn"}
        For contexts that are `factor` times as long as in training: all divided by it; a base such
        that the last is; or only those that turn slowly.
    factor : float >= 1, default 1.0
        How many times as long.
    original_length : float > 0, optional
        For "yarn": the length in training.

    Returns
    -------
    array, shape (d // 2,) or (axes, d // 2)
        In float64; two dimensions for axes > 1, with zeros where an axis does not act.

    Raises
    ------
    ValueError
        A number out of its range, another word, an `original_length` that is missing or not used,
        or a `factor` that is not used.
    TypeError
        A number of another type.

    Notes
    -----
    The angle of a token is positions @ freqs: :ref:`rope-axes`. What the scalings keep:
    :prf:ref:`rope-stretched`. "yarn" needs `yarn_attention_factor` as well. Keep the result in
    float64: a cast to bfloat16 moves angles by whole turns within hundreds of tokens
    (:ref:`rope-exact`).

    Examples
    --------
    >>> from lowrank import rope_frequencies
    >>> rope_frequencies(8)
    array([1.   , 0.1  , 0.01 , 0.001])
    >>> rope_frequencies(8, axes=2)
    array([[1.   , 0.   , 0.01 , 0.   ],
           [0.   , 0.1  , 0.   , 0.001]])
    >>> print(*rope_frequencies(8, scaling="yarn", factor=4, original_length=4096).round(6))
    1.0 0.1 0.00625 0.00025
    """
    k = _check_even(d) // 2
    base = check_number(base, "base", "a finite number above 1", lambda b: 1 < b < math.inf)
    axes = check_count(axes, "axes", 1, k)
    check_choice(allocation, "allocation", ("interleaved", "chunked"))
    check_choice(scaling, "scaling", (None, "linear", "ntk", "yarn"))
    s = _check_factor(factor)
    if scaling is None and s != 1:
        raise ValueError(f"factor is {factor!r} and scaling is None; allowed is a factor with "
                         "scaling='linear', 'ntk' or 'yarn'")
    if (original_length is None) == (scaling == "yarn"):
        raise ValueError(f"original_length is {original_length!r} and scaling is {scaling!r}; "
                         "allowed is a length with scaling='yarn', and None with the others")
    i = np.arange(k)
    freqs = base ** (-i / k)
    if scaling == "linear":
        freqs = freqs / s
    elif scaling == "ntk":
        freqs = freqs * s ** (-i / max(k - 1, 1))
    elif scaling == "yarn":
        t = _yarn_ramp(k, base, original_length)
        freqs = freqs * (1 - t) + freqs / s * t
    if axes == 1:
        return freqs
    owner = i % axes if allocation == "interleaved" else i * axes // k
    return np.where(owner == np.arange(axes)[:, None], freqs, 0.0)


# %% book/rotations/rope.ipynb: yarn_attention_factor
def yarn_attention_factor(factor):
    r"""The factor 1 + ln(s) / 10 that YaRN gives queries and keys; scores get its square.

    Parameters
    ----------
    factor : float >= 1
        s, how many times as long as in training contexts are.

    Returns
    -------
    float
        At least 1.

    Raises
    ------
    ValueError
        A factor below 1 or not finite.
    TypeError
        No number.

    Notes
    -----
    A rule of thumb of its authors; see :ref:`rope-long`. Apply it once to queries and keys each,
    or its square to the scores.

    Examples
    --------
    >>> from lowrank import yarn_attention_factor
    >>> round(yarn_attention_factor(4), 6)
    1.138629
    """
    return 1 + 0.1 * math.log(_check_factor(factor))


# %% book/rotations/rope.ipynb: _product
_STEP = 2 * math.pi / 2**32
_STEPS = 683565275.5764316, -4.2259636374233396e-08         # 2^32 / 2 pi, and what is missing


def _product(x, c, bits):
    """(p, e) with x c = p + e, by Dekker's splitting for numbers of so many bits."""
    high = lambda v: (2.0 ** -(-bits // 2) + 1) * v
    a, b = (high(v) - (high(v) - v) for v in (x, c))
    p = x * c
    return p, ((a * b - p) + a * (c - b) + (x - a) * b) + (x - a) * (c - b)


def _in_steps(freqs):
    """(T, rho): freqs are T + rho steps and whole turns, with an int32 T and abs(rho) <= 1/2."""
    xp = array_namespace(freqs)
    bits = 53 if xp.finfo(freqs.dtype).bits == 64 else 24
    first = _STEPS[0] if bits == 53 else float(np.float32(_STEPS[0]))
    p, e = _product(freqs, first + 0 * freqs, bits)
    e = e + (_STEPS[0] - first + _STEPS[1]) * freqs
    whole = xp.round(p)
    rest = (p - whole) + e
    more = xp.round(rest)
    whole = whole - 2.0**32 * xp.floor(whole / 2.0**32 + 0.5)
    return xp.astype(whole, xp.int32) + xp.astype(more, xp.int32), rest - more


# %% book/rotations/rope.ipynb: _phases
def _phases(positions, freqs, X):
    """positions @ freqs modulo 2 pi in the dtype of X, with the derivatives by both."""
    xp, dtype, where = array_namespace(X), X.dtype, device(X)
    put = lambda v, dtype: (xp.astype(v, dtype, copy=False) if array_namespace(v) is xp
                            else xp.asarray(v, dtype=dtype, device=where))
    product = lambda p, F: reduce(add, (p[..., i:i + 1] * F[i, :] for i in range(F.shape[0])))
    T, rho = _in_steps(constant(freqs))
    home = array_namespace(positions)
    real = home.isdtype(positions.dtype, "real floating")
    whole = home.round(constant(positions)) if real else positions
    n = put(home.astype(whole, home.int32), xp.int32)
    a, rest = product(n, put(T, xp.int32)), product(xp.astype(n, dtype), put(rho, dtype))
    angle = (xp.astype(a, dtype) + rest) * _STEP
    if real:
        part = put(constant(positions) - whole, dtype)
        angle = angle + product(part, put(constant(freqs), dtype))
    if _learned(positions, freqs):
        plain = product(put(positions, dtype), put(freqs, dtype))
        angle = angle + (plain - constant(plain))
    return angle


def _learned(positions, freqs):
    """Whether an angle may have a derivative."""
    real = array_namespace(positions).isdtype(positions.dtype, "real floating")
    return not is_numpy_array(freqs) or (real and not is_numpy_array(positions))


# %% book/rotations/rope.ipynb: _turned
def _turned(X, c, s, layout):
    """X, all of whose coordinates are rotated by angles with the cosines c and sines s."""
    xp, k = array_namespace(X), X.shape[-1] // 2
    if is_numpy_array(X):
        return _turned_in_numpy(X, c, s, layout)
    x, y = _pairs(X, layout)
    turned = c * x - s * y, s * x + c * y
    Y = xp.stack(turned, axis=-1 if layout == "interleaved" else -2)
    return xp.reshape(Y, (*Y.shape[:-2], 2 * k))


# %% book/rotations/rope.ipynb: _pairs
def _pairs(X, layout):
    """First and second coordinates of the planes."""
    k = X.shape[-1] // 2
    return (X[..., ::2], X[..., 1::2]) if layout == "interleaved" else (X[..., :k], X[..., k:])


def _turned_in_numpy(X, c, s, layout):
    """The same as a product of complex numbers, for halves in blocks that stay in the cache."""
    turn = np.empty(c.shape, np.result_type(c, 1j))
    turn.real, turn.imag = c, s
    if layout == "interleaved":
        return (np.ascontiguousarray(X).view(turn.dtype) * turn).view(X.dtype)
    Y, step = np.empty(X.shape, X.dtype), max(1, 2**15 // max(1, X[:1].size))
    for i in range(0, len(X), step):
        at = slice(i, i + step)
        x, y = _pairs(X[at], layout)
        Z = np.empty(x.shape, turn.dtype)
        Z.real, Z.imag = x, y
        Z *= turn[at] if len(turn) > 1 else turn
        u, v = _pairs(Y[at], layout)
        u[...], v[...] = Z.real, Z.imag
    return Y


# %% book/rotations/rope.ipynb: _pull
def _pull(layout, learned, ins, _, cotangents):
    """From the cotangent of the result to those of X, and of cosines and sines if these move."""
    (X, c, s), (g,) = ins, cotangents
    back = _turned(g, c, -s, layout)
    if not learned:
        return back, None, None
    (x, y), (u, v) = _pairs(X, layout), _pairs(g, layout)
    return back, fitted(u * x + v * y, c), fitted(v * x - u * y, s)


def _push(layout, learned, ins, _, changes):
    """And changes forwards."""
    (X, c, s), (dX, dc, ds) = ins, changes
    dY = _turned(0 * X if dX is None else dX, c, s, layout)
    if not learned or (dc is None and ds is None):
        return (dY,)
    dc, ds = (0 * c if d is None else d for d in (dc, ds))
    return (dY + _turned(X, dc, ds, layout),)


_ROTATION = Rule(lambda layout, learned, X, c, s: (_turned(X, c, s, layout),), _pull, _push)


# %% book/rotations/rope.ipynb: _traced
def _traced(v, X):
    """v; as a tensor where PyTorch compiles, which looks into no array of NumPy."""
    if not compiling() or is_tensor(v):
        return v
    return array_namespace(X).asarray(v, device=device(X))


def _as_frequencies(freqs, X):
    """(freqs, several): of shape (axes, k), in the widest type; whether that was its shape."""
    kind, found = as_floats(_traced(freqs, X), "freqs")
    _check_library(kind, found, "freqs", X)
    real = kind.isdtype(found.dtype, "real floating")
    if found.ndim not in (1, 2) or 0 in found.shape or not real:
        raise ValueError(f"freqs has shape {tuple(found.shape)} and dtype {found.dtype}; "
                         "allowed are real numbers of shape (k,) or (axes, k), at least one")
    check_finite(found, "freqs")
    types = kind.__array_namespace_info__().dtypes(kind="real floating")
    double = types.get("float64", kind.float32)
    found = kind.astype(found, double, copy=False)
    return (found[None], False) if found.ndim == 1 else (found, True)


# %% book/rotations/rope.ipynb: _as_positions
def _as_positions(positions, X, axes):
    """positions with shape (..., axes) for None or a number of axes: integers, or floats."""
    found = _traced(positions, X)
    found = found if is_array(found) else np.asarray(found)
    kind = array_namespace(found)
    _check_library(kind, found, "positions", X)
    real = kind.isdtype(found.dtype, "real floating") and kind.finfo(found.dtype).bits > 16
    if not real and not kind.isdtype(found.dtype, "integral"):
        raise TypeError(f"positions has dtype {found.dtype}; allowed are integers, and floats of "
                        "32 bits or more: with 16 bits there are integers that are missing")
    if real:
        check_finite(found, "positions")
    if real or kind.iinfo(found.dtype).max >= 2**31:
        size = kind.abs(found)
        if not may_hold(kind.all(size < 2.0**31 if real else size <= 2**31 - 1)):
            raise ValueError("positions has an entry of 2^31 or more in size; "
                             "allowed are smaller ones")
    if axes is not None and (not found.ndim or found.shape[-1] != axes):
        raise ValueError(f"positions has shape {tuple(found.shape)}; allowed for freqs with "
                         f"{axes} axes is (..., {axes})")
    found = found[..., None] if axes is None else found
    there, here = tuple(found.shape[:-1]), tuple(X.shape[:-1])
    if len(there) > len(here) or any(m not in (1, n) for m, n in zip(there[::-1], here[::-1])):
        raise ValueError(f"positions is for tokens of shape {there} and X has tokens of shape "
                         f"{here}; allowed are positions that broadcast to X")
    return found


def _check_library(kind, x, name, X):
    """Refuse an array that is neither NumPy's nor of the library of X."""
    if kind is not NUMPY and kind is not array_namespace(X):
        raise TypeError(f"{name} is a {type(x).__name__} and X is a {type(X).__name__}; allowed "
                        "are arrays of one library, and NumPy's beside those of another")


# %% book/rotations/rope.ipynb: rope_rotate
@quiet
def rope_rotate(X, positions, freqs, *, layout="interleaved", inverse=False):
    r"""Queries or keys, rotated in each plane by the angle positions @ freqs.

    Parameters
    ----------
    X : array, shape (..., d)
        Real vectors of NumPy, PyTorch or JAX, one a token.
    positions : array, shape (...) or (..., axes)
        The place of each token, with as many coordinates as freqs has axes; what is left
        broadcasts to the tokens of X, so that (n,) serves X of shape (heads, n, d). Integers, or
        real numbers of 32 bits or more, below 2^31 in size. Of NumPy or of the library of X.
    freqs : array, shape (k,) or (axes, k)
        From `rope_frequencies`, or learned, of NumPy or of the library of X. 2 k coordinates of X
        are rotated, and the others, if d > 2 k, stay.
    layout : {"interleaved", "halves"}
        Plane i has the coordinates 2 i and 2 i + 1, or i and i + k.
    inverse : bool, default False
        Rotate back.

    Returns
    -------
    array, shape (..., d)
        Of the library, device and dtype of X; half precision is computed in float32.

    Raises
    ------
    ValueError
        NaN or Inf, shapes that do not fit, a position of 2^31 or more, or another layout.
    TypeError
        Complex X, positions in half precision, or arrays of different libraries.

    Notes
    -----
    O(d) operations a token. Up to a position of 2^24 cosines and sines have an error below 1e-6
    in float32, and of some eps in float64, if frequencies are below pi and positions are integers:
    :prf:ref:`rope-fixed-point`. Of a real position the distance from the nearest integer adds
    rounding of its own, a few eps. Frequencies of NumPy are constants, which no cast of a module
    reaches; a tensor that is learned is taken as it is. PyTorch and JAX differentiate by X, by
    real positions and by learned frequencies. Derived in :ref:`rope-function`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rope_frequencies, rope_rotate
    >>> freqs = rope_frequencies(4)
    >>> rope_rotate(np.array([1.0, 2, 3, 4]), 3, freqs).round(6)
    array([-1.272233, -1.838865,  2.878668,  4.088187])
    >>> rope_rotate(np.array([1.0, 2, 3, 4]), 3, freqs, layout="halves").round(6)
    array([-1.413353,  1.879118, -2.828857,  4.058191])
    >>> q, k = np.ones((2, 5, 4))
    >>> rotated = lambda start: (rope_rotate(x, np.arange(5) + start, freqs) for x in (q, k))
    >>> (q0, k0), (q1, k1) = rotated(0), rotated(2**22)
    >>> np.allclose(q0 @ k0.T, q1 @ k1.T, rtol=0, atol=1e-12)
    True
    """
    check_choice(layout, "layout", _LAYOUTS)
    given, (xp, X) = X, as_floats(X, "X")
    if not X.ndim or not xp.isdtype(X.dtype, "real floating"):
        raise TypeError(f"X has shape {tuple(X.shape)} and dtype {X.dtype}; allowed are real "
                        "numbers of shape (..., d)")
    check_finite(X, "X")
    freqs, several = _as_frequencies(freqs, X)
    positions = _as_positions(positions, X, freqs.shape[0] if several else None)
    size = 2 * freqs.shape[-1]
    if size > X.shape[-1]:
        raise ValueError(f"X has shape {tuple(X.shape)} and freqs has {size // 2} planes; "
                         f"allowed is a last axis of at least {size}")
    half = isinstance(given, np.ndarray) and given.dtype == np.float16
    dtype, X = np.float16 if half else X.dtype, single(X)
    angle = _phases(positions, freqs, X)
    c, s = xp.cos(angle), xp.sin(-angle if inverse else angle)
    static = layout, _learned(positions, freqs)
    (Y,) = attached(_ROTATION, X[..., :size], c, s, static=static)
    Y = xp.concat([Y, X[..., size:]], axis=-1) if size < X.shape[-1] else Y
    return xp.astype(Y, dtype, copy=False)


# %% book/rotations/rope.ipynb: rope_matrix
def rope_matrix(position, freqs, *, d=None, layout="interleaved"):
    r"""The matrix R with rope_rotate(x, position, freqs) = R x, for one position.

    Parameters
    ----------
    position : float or array, shape (axes,)
        The place.
    freqs : array, shape (k,) or (axes, k)
        As for `rope_rotate`.
    d : int >= 2, optional
        Size of the matrix; default is 2 k. Further coordinates stay.
    layout : {"interleaved", "halves"}
        As for `rope_rotate`.

    Returns
    -------
    array, shape (d, d)
        Orthogonal, in NumPy's float64.

    Raises
    ------
    ValueError
        As `rope_rotate`, or d below 2 k.
    TypeError
        As `rope_rotate`.

    Notes
    -----
    To look at and to check with; rotating needs no matrix. Derived in :ref:`rope-planes`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rope_matrix
    >>> rope_matrix(1, [np.pi / 2], d=3).round(9) + 0.0
    array([[ 0., -1.,  0.],
           [ 1.,  0.,  0.],
           [ 0.,  0.,  1.]])
    """
    freqs = np.asarray(freqs)
    d = 2 * freqs.shape[-1] if d is None and freqs.ndim else d
    d = check_count(d, "d", 2 * freqs.shape[-1] if freqs.ndim else 2)
    return rope_rotate(np.eye(d), position, freqs, layout=layout).T

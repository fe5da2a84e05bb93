"""Turning one vector onto another.

Two unit vectors $a$ and $b$ are given.

Generated from book/structure/unit_rotation.ipynb; edit the chapter.
"""

import math
from functools import reduce
from itertools import zip_longest
from operator import add

import numpy as np

from lowrank.arrays import (
    array_namespace,
    as_floats,
    check_finite,
    check_parameter,
    device,
    exponent_of,
    is_numpy_array,
    may_hold,
    power_of_two,
    quiet,
    shifted,
    single,
)
from lowrank.derivatives import Rule, attached, converted

__all__ = ["rotate", "rotation_between", "reflect", "reflection_between"]


# %% book/structure/unit_rotation.ipynb: _is_complex
def _is_complex(x):
    """Whether x has complex numbers."""
    if is_numpy_array(x):
        return x.dtype.kind == "c"
    return array_namespace(x).isdtype(x.dtype, "complex floating")


def _parts(x):
    """The real part of x, and the imaginary part, which is 0 for real numbers."""
    xp = array_namespace(x)
    return (xp.real(x), xp.imag(x)) if _is_complex(x) else (x, 0 * x)


def _dot(x, y):
    """x^H y along the last axis, kept with length 1."""
    if is_numpy_array(x):
        return np.vecdot(x, y)[..., None]
    xp = array_namespace(x)
    return xp.sum((xp.conj(x) if _is_complex(x) else x) * y, axis=-1, keepdims=True)


def _square(x):
    """|x|^2 along the last axis, kept with length 1: a real number."""
    return _parts(_dot(x, x))[0]


# %% book/structure/unit_rotation.ipynb: _perpendicular
def _perpendicular(a):
    """What of the axis with the smallest |a_j| is perpendicular to a unit vector, of length 1."""
    xp = array_namespace(a)
    places = xp.arange(a.shape[-1], device=device(a))
    e = xp.astype(places == xp.argmin(xp.abs(a), axis=-1, keepdims=True), a.dtype)
    e = e - _dot(a, e) * a
    return e / xp.sqrt(_square(e))


# %% book/structure/unit_rotation.ipynb: _normal
def _normal(a, b):
    """(kappa, h) with n = kappa a + h the unit normal of the mirror from a to b, unit vectors."""
    xp, c = array_namespace(a), _dot(a, b) / _dot(a, a)
    p = b - c * a
    again = _dot(a, p)
    c, p = c + again, p - again * a
    s = xp.sqrt(_square(p))
    size = xp.hypot(xp.abs(c), s)
    c, s = c / size, s / size                               # b = c a + p, and |p| = s
    x, y = _parts(c)
    rest = xp.where(x > 0, (s * s + y * y) / (1 + xp.abs(x)), 1 - x)        # 1 - Re c
    apart = xp.sqrt(2 * rest)                               # |a - b|
    k, p = (rest - 1j * y if _is_complex(c) else rest), p / -size
    same = (x > 0) & (apart <= 4 * float(xp.finfo(a.dtype).eps))
    if is_numpy_array(same) and not same.any():
        return k / apart, p / apart
    apart = xp.where(same, 1.0, apart)
    return xp.where(same, 0 * c, k / apart), xp.where(same, _perpendicular(a), p / apart)


# %% book/structure/unit_rotation.ipynb: _swing
def _swing(n, k, w):
    """The change of n = w / |w| for a change of w, where |w| = 2 Re k; 0 where that is 0."""
    xp, size = array_namespace(n), 2 * _parts(k)[0]
    moved = (w - _parts(_dot(n, w))[0] * n) / xp.where(size > 0, size, 1.0)
    return xp.where(size > 0, moved, 0 * moved)


def _normal_push(ins, outs, changes):
    """From changes of a and b to those of kappa and h."""
    (a, _), (k, h) = ins, outs
    da, db = (0 * a if d is None else d for d in changes)
    n = k * a + h
    dn = _swing(n, k, da - db)
    dk = _dot(da, n) + _dot(a, dn)
    return dk, dn - dk * a - k * da


# %% book/structure/unit_rotation.ipynb: _normal_pull
def _normal_pull(ins, outs, cotangents):
    """And back."""
    (a, _), (k, h) = ins, outs
    gk, gh = (0 * out if g is None else g for g, out in zip(cotangents, outs))
    xp, n = array_namespace(a), k * a + h
    gk = gk - _dot(a, gh)
    gw = _swing(n, k, gh + gk * a)
    return gw - xp.conj(k) * gh + xp.conj(gk) * n, -gw


_NORMAL = Rule(_normal, _normal_pull, _normal_push)


def _attached_normal(a, b):
    """kappa and h of unit vectors of any leading axes that broadcast, with the derivative."""
    if is_numpy_array(a):
        return _normal(a, b)
    return attached(_NORMAL, *array_namespace(a).broadcast_arrays(a, b))


# %% book/structure/unit_rotation.ipynb: _check_shapes
def _check_shapes(shapes):
    """Refuse vectors of different lengths, and leading axes that do not broadcast."""
    said = " and ".join(f"{name} of shape {tuple(shape)}" for name, shape in shapes.items())
    for shape in shapes.values():
        if not shape or not shape[-1]:
            raise ValueError(f"given are {said}; allowed are vectors (d,) or stacks (..., d) "
                             "with at least one entry")
    lasts, *leading = zip_longest(*(shape[::-1] for shape in shapes.values()), fillvalue=1)
    for sizes in (lasts, *(set(sizes) - {1} for sizes in leading)):
        if len(set(sizes)) > 1:
            raise ValueError(f"given are {said}; allowed are last axes of one length, "
                             "and leading axes that broadcast")


def _as_vectors(real=False, **given):
    """(xp, dtype, back, vectors): finite floats of 32 bits or more, and the way back."""
    found = {name: as_floats(v, name) for name, v in given.items()}
    xp, vectors = found["a"][0], {name: v for name, (_, v) in found.items()}
    for name, (other, v) in found.items():
        if other is not xp:
            raise TypeError(f"{name} is a {type(v).__name__} and a is a "
                            f"{type(vectors['a']).__name__}; all must belong to one array library")
        if real and name != "x" and _is_complex(v):
            raise TypeError(f"{name} has dtype {v.dtype}; allowed are real numbers, "
                            "and complex ones in reflect and reflection_between")
    _check_shapes({name: v.shape for name, v in vectors.items()})
    for name, v in vectors.items():
        check_finite(v, name)
        if name != "x" and not may_hold(~xp.any(xp.all(v == 0, axis=-1))):
            raise ValueError(f"{name} contains a vector of zeros, which has no direction; "
                             "allowed is any other length")
    common = xp.result_type(*vectors.values())
    half = all(isinstance(v, np.ndarray) and v.dtype == np.float16 for v in given.values())
    back = lambda y: xp.astype(y, np.float16 if half else common, copy=False)
    pair = xp.result_type(vectors["a"], vectors["b"])
    dtypes = {"x": common, "a": pair, "b": pair}
    vectors = [single(xp.astype(v, dtypes[name], copy=False)) for name, v in vectors.items()]
    return xp, xp.result_type(*vectors), back, *vectors


def _as_unit(v):
    """v over its length, in double precision if the library has it."""
    if is_numpy_array(v):
        v = v.astype(np.result_type(v, np.float64), copy=False)
        y = shifted(v, -exponent_of(np.abs(v).max(axis=-1, keepdims=True)))
    else:
        xp = array_namespace(v)
        kind, name = (("complex floating", "complex128") if _is_complex(v)
                      else ("real floating", "float64"))
        double = xp.__array_namespace_info__().dtypes(kind=kind).get(name, v.dtype)
        v = xp.astype(v, double, copy=False)
        ends = reduce(xp.maximum, map(xp.abs, _parts(v)))
        y = v / power_of_two(xp.max(ends, axis=-1, keepdims=True))
    return y / array_namespace(y).sqrt(_square(y))


# %% book/structure/unit_rotation.ipynb: _half_turn
def _half_turn(a, b, fraction):
    """(a, kappa, h) of the rotation from a to b, or of a fraction of it."""
    xp, a, b = array_namespace(a), _as_unit(a), _as_unit(b)
    k, h = _attached_normal(a, -b)
    if a.shape[-1] == 1 and not may_hold(~xp.any(k == 0)):
        raise ValueError("a and b have one entry and are opposite, and no rotation of a line "
                         "turns it round; allowed are two entries or more")
    if fraction is None:
        return a, k, h
    t = converted(check_parameter(fraction, "fraction", "a finite number", math.isfinite), k)
    square = _square(h)
    turns = square > 0
    s = xp.sqrt(xp.where(turns, square, 1.0))
    half = xp.atan2(s, k)                                   # half the angle
    return (a, xp.where(turns, xp.cos(t * half), 1.0),
            h * xp.where(turns, xp.sin(t * half) / s, t))


# %% book/structure/unit_rotation.ipynb: _turned
def _turned(x, ax, hx, a, h, k):
    """x after the rotation of a, kappa and h, for the inner products ax and hx."""
    p, q = _dot(a, a), _dot(h, h)
    half_nu = (k * k * p + q) / 2
    return _plus(x, ((k * ax - hx) / half_nu, h), ((-k * hx - q / p * ax) / half_nu, a))


def _plus(x, *terms):
    """x plus vectors times numbers, given as pairs (numbers, vector)."""
    if is_numpy_array(x) and x.ndim > terms[0][1].ndim == 1:            # one product
        y = np.concatenate([c for c, _ in terms], axis=-1) @ np.stack([v for _, v in terms])
        y += x
        return y
    return reduce(add, (c * v for c, v in terms), x)


# %% book/structure/unit_rotation.ipynb: rotate
@quiet
def rotate(x, a, b, *, fraction=None):
    r"""R x for the rotation R in the plane of a and b with R a/|a| = b/|b|, without forming R.

    Parameters
    ----------
    x : array, shape (..., d)
        Vectors of NumPy, PyTorch or JAX.
    a, b : array, shape (..., d)
        Vectors of the same library, of any length but 0, real. Their leading axes and those of
        x broadcast.
    fraction : float, optional
        Rotate by this fraction of the angle from a to b; default is 1. Any finite number.

    Returns
    -------
    array, shape (..., d)
        Of the same library and device, and of the dtype that all have in common.

    Raises
    ------
    ValueError
        NaN or Inf, a vector of zeros in a or b, shapes that do not fit, opposite vectors of
        length d = 1, or a fraction that is not finite.
    TypeError
        A dtype without meaning, complex a or b, or arrays of different libraries.

    Notes
    -----
    O(d) operations and memory a vector. Lengths are kept and a/|a| goes to b/|b| up to a few eps
    at every angle. R is the nearest rotation to the identity of all that send a to b
    (:prf:ref:`nearest-turn`). If a and b are opposite to round-off there are many: taken is the
    plane of a and the axis j with the smallest abs(a[j]). A small change of b near -a turns R
    much (:prf:ref:`turn-sensitivity`). PyTorch and JAX differentiate the result, also at a = b;
    opposite vectors have no derivative, and what is returned there holds that plane fixed.
    Derived in :ref:`unit-rotation-function`, :prf:ref:`half-angle-form`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rotate
    >>> a, b = np.array([2.0, 0, 0]), np.array([0, 5.0, 0])
    >>> rotate(np.array([[1.0, 0, 7], [0, 1, 7]]), a, b)
    array([[ 0.,  1.,  7.],
           [-1.,  0.,  7.]])
    >>> rotate(a, a, b, fraction=1 / 3).round(6)
    array([1.732051, 1.      , 0.      ])
    """
    xp, dtype, back, x, a, b = _as_vectors(True, x=x, a=a, b=b)
    a, k, h = (xp.astype(v, dtype, copy=False) for v in _half_turn(a, b, fraction))
    return back(_turned(x, _dot(a, x), _dot(h, x), a, h, k))


@quiet
def rotation_between(a, b, *, fraction=None):
    r"""The rotation matrix R in the plane of a and b with R a/|a| = b/|b|.

    Parameters
    ----------
    a, b : array, shape (..., d)
        Vectors of NumPy, PyTorch or JAX, of one library, real, of any length but 0. Their
        leading axes broadcast.
    fraction : float, optional
        Rotate by this fraction of the angle from a to b; default is 1. Any finite number.

    Returns
    -------
    array, shape (..., d, d)
        Of the same library and device, and of the dtype that both have in common.

    Raises
    ------
    ValueError
        As `rotate`.
    TypeError
        As `rotate`.

    Notes
    -----
    The only rotation that sends a to b and leaves everything perpendicular to both unchanged;
    exactly the identity if a = b. O(d^2); to apply it use `rotate`, which takes O(d). Orthogonal
    up to a few eps at every angle, opposite vectors included; what happens there and with
    derivatives says `rotate`. Derived in :ref:`unit-rotation-plane` and
    :ref:`unit-rotation-function`: :prf:ref:`plane-rotation`, :prf:ref:`half-angle-form`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import rotation_between
    >>> a, b = np.array([1.0, 2, 2]) / 3, np.array([2.0, -1, 2]) / 3
    >>> R = rotation_between(a, b)
    >>> (117 * R).round(9)
    array([[ 88.,  77.,  -4.],
           [-53.,  56., -88.],
           [-56.,  68.,  77.]])
    >>> np.allclose(R @ a, b), np.allclose(R.T @ R, np.eye(3))
    (True, True)
    """
    xp, dtype, back, a, b = _as_vectors(True, a=a, b=b)
    a, k, h = (xp.astype(v, dtype, copy=False) for v in _half_turn(a, b, fraction))
    identity = xp.eye(a.shape[-1], dtype=dtype, device=device(a))
    rows = (v[..., None, :] for v in (a, h))
    return back(_turned(identity, a[..., None], h[..., None], *rows, -k[..., None]))


# %% book/structure/unit_rotation.ipynb: reflect
def _mirror(a, b):
    """(n, factor) of the matrix I - factor n n^H from a to b."""
    xp, a, b = array_namespace(a), _as_unit(a), _as_unit(b)
    k, h = _attached_normal(a, b)
    if a.shape[-1] == 1 and not may_hold(~xp.any(k == 0)):
        raise ValueError("a and b have one entry and are equal, and no mirror of a line "
                         "keeps it; allowed are two entries or more")
    n, real = k * a + h, _parts(k)[0]
    two = 2 / _square(n)
    if not _is_complex(n):
        return n, two
    apart = real > 0
    return n, two * xp.where(apart, real / xp.where(apart, xp.conj(k), 1.0), 1.0)


@quiet
def reflect(x, a, b):
    r"""H x for the mirror H with H a/|a| = b/|b|, without forming H; complex vectors too.

    Parameters
    ----------
    x : array, shape (..., d)
        Vectors of NumPy, PyTorch or JAX.
    a, b : array, shape (..., d)
        Vectors of the same library, of any length but 0, real or complex. Their leading axes
        and those of x broadcast.

    Returns
    -------
    array, shape (..., d)
        Of the same library and device, and of the dtype that all have in common.

    Raises
    ------
    ValueError
        NaN or Inf, a vector of zeros in a or b, shapes that do not fit, or equal vectors of
        length d = 1.
    TypeError
        A dtype without meaning, or arrays of different libraries.

    Notes
    -----
    O(d) operations and memory a vector. H = I - 2 n n^T is the nearest to the identity of the
    orthogonal matrices with determinant -1 that send a to b, and of all of them if a and b make
    an obtuse angle (:prf:ref:`nearest-turn`). For complex vectors it is the only unitary
    matrix that is the identity plus rank 1 and sends a to b (:prf:ref:`complex-mirror`).
    Lengths are kept and a goes to b up to a few eps at every angle; if a and b are equal to
    round-off, n is perpendicular to a, in the plane of a and the axis j with the smallest
    abs(a[j]). PyTorch and JAX differentiate the result; at a = b there is no derivative, and
    what is returned there holds n fixed. Derived in :ref:`unit-rotation-function`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import reflect
    >>> a, b = np.array([1.0, 2, 2]), np.array([2.0, -1, 2])
    >>> reflect(np.stack([a, b]), a, b).round(9)
    array([[ 2., -1.,  2.],
           [ 1.,  2.,  2.]])
    """
    xp, dtype, back, x, a, b = _as_vectors(x=x, a=a, b=b)
    n, factor = (xp.astype(v, dtype, copy=False) for v in _mirror(a, b))
    return back(_plus(x, (-factor * _dot(n, x), n)))


@quiet
def reflection_between(a, b):
    r"""The mirror H = I - 2 n n^T with H a/|a| = b/|b|, for complex vectors I - (1 + phase) n n^H.

    Parameters
    ----------
    a, b : array, shape (..., d)
        Vectors of NumPy, PyTorch or JAX, of one library, real or complex, of any length but 0.
        Their leading axes broadcast.

    Returns
    -------
    array, shape (..., d, d)
        Of the same library and device, and of the dtype that both have in common.

    Raises
    ------
    ValueError
        As `reflect`.
    TypeError
        As `reflect`.

    Notes
    -----
    O(d^2); to apply it use `reflect`, which takes O(d). For real vectors the only mirror that
    sends a to b, and it sends b to a: :prf:ref:`only-mirror`. Orthogonal up to a few eps at every
    angle; what happens at equal vectors says `reflect`. Derived in
    :ref:`unit-rotation-reflection` and :ref:`unit-rotation-function`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import reflection_between
    >>> a, b = np.array([1.0, 2, 2]) / 3, np.array([2.0, -1, 2]) / 3
    >>> (10 * reflection_between(a, b)).round(9) + 0.0
    array([[ 8.,  6.,  0.],
           [ 6., -8.,  0.],
           [ 0.,  0., 10.]])
    """
    xp, dtype, back, a, b = _as_vectors(a=a, b=b)
    n, factor = (xp.astype(v, dtype, copy=False) for v in _mirror(a, b))
    identity = xp.eye(n.shape[-1], dtype=dtype, device=device(n))
    return back(identity - (factor * n)[..., None] * xp.conj(n)[..., None, :])

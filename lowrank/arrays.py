"""One formula, any array library.

The functions of the parts that follow write $f(A)$ once, and the same lines serve a NumPy array, a
PyTorch tensor on its device and a JAX array under `jit`, together with the derivative $f'(A)$ that
such a library finds by itself.

Generated from book/foundations/arrays.ipynb; edit the chapter.
"""

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_array

from lowrank.conventions import _check_number, _check_tol, _to_floats

__all__ = []


# %% book/foundations/arrays.ipynb: _NUMPY
_NUMPY = array_namespace(np.empty(0))                # NumPy under the names of the standard


# %% book/foundations/arrays.ipynb: _as_floats
def _as_floats(x, name):
    """(xp, x): the namespace of x, and x as an array of floating-point numbers."""
    if is_numpy_array(x) or not is_array_api_obj(x):
        return _NUMPY, _to_floats(x, name)                  # lists too become NumPy arrays
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, ("real floating", "complex floating")):
        x = xp.astype(x, xp.__array_namespace_info__().default_dtypes()["real floating"])
    return xp, x


# %% book/foundations/arrays.ipynb: _known
def _known(condition):
    """bool(condition); True where a tracer has no value to look at."""
    try:
        return bool(condition)
    except (TypeError, RuntimeError):           # JAX raises the first, PyTorch the second
        return True


def _bounded(x):
    """A condition that holds for finite entries only, and for all of them unless sums overflow."""
    xp = array_namespace(x)
    if not is_numpy_array(x):
        return xp.isfinite(xp.sum(x))
    x = x.ravel(order="K")                      # a view, unless entries are missing in between
    return np.isfinite(x.dot(x))


def _check_finite(x, name):
    """Refuse NaN and Inf, where there are values to look at."""
    xp = array_namespace(x)
    with np.errstate(all="ignore"):
        finite = _known(_bounded(x)) or _known(xp.all(xp.isfinite(x)))
    if not finite:
        raise ValueError(f"{name} contains {int(xp.count_nonzero(xp.isnan(x)))} NaN and "
                         f"{int(xp.count_nonzero(xp.isinf(x)))} Inf; every entry must be finite")


def _as_stack(A, name="A"):
    """(xp, A): the namespace of A, and A as finite floats of shape (..., m, n)."""
    xp, A = _as_floats(A, name)
    if A.ndim < 2:
        raise ValueError(f"{name} has shape {tuple(A.shape)}; "
                         "allowed is a matrix (m, n) or a stack (..., m, n)")
    _check_finite(A, name)
    return xp, A


def _matching(G, name, A, other="A"):
    """G as finite floats of the library and the shape of A, in the dtype that both share."""
    xp, G = _as_floats(G, name)
    if array_namespace(A) is not xp:
        raise TypeError(f"{name} is a {type(G).__name__} and {other} is a {type(A).__name__}; "
                        "both must belong to one array library")
    if G.shape != A.shape:
        raise ValueError(f"{name} has shape {tuple(G.shape)}; "
                         f"allowed is the shape of {other}, {tuple(A.shape)}")
    _check_finite(G, name)
    return xp.astype(G, xp.result_type(G, A), copy=False)


def _check_parameter(value, name, allowed, holds):
    """_check_number, but a number without a value, or to be differentiated, stays as it is."""
    seen = value.detach() if hasattr(value, "detach") else value
    try:
        number = _check_number(seen, name, allowed, holds)
    except (TypeError, RuntimeError):
        if is_numpy_array(value) or not is_array_api_obj(value) or value.ndim:
            raise
        return value
    return value if getattr(value, "requires_grad", False) else number


# %% book/foundations/arrays.ipynb: _adjoint
def _adjoint(A):
    """The conjugate transpose of the last two axes."""
    xp = array_namespace(A)
    return xp.conj(A).mT if xp.isdtype(A.dtype, "complex floating") else A.mT


def _peaks(A):
    """Largest absolute real or imaginary part of each matrix, of shape (..., 1, 1)."""
    xp = array_namespace(A)
    if 0 in A.shape[-2:]:
        A = xp.zeros((*A.shape[:-2], 1, 1), dtype=A.dtype, device=A.device)
    largest = lambda part: xp.max(xp.abs(part), axis=(-2, -1), keepdims=True)
    if xp.isdtype(A.dtype, "complex floating"):
        return xp.maximum(largest(xp.real(A)), largest(xp.imag(A)))
    return largest(A)


def _power_of_two(peak):
    """A power of two near peak, none below the normal numbers; 1 where peak is 0."""
    xp = array_namespace(peak)
    info = xp.finfo(peak.dtype)
    inside = xp.clip(peak, min=float(info.smallest_normal), max=float(info.max) / 2)
    return 2.0 ** xp.floor(xp.log2(xp.where(peak > 0, inside, xp.ones_like(peak))))


def _rescaled(X, up, down):
    """X up / down for two powers of two, where nothing but the result may leave the range."""
    half_up, half_down = (_power_of_two(c**0.5) for c in (up, down))
    with np.errstate(over="ignore", under="ignore"):        # as large or small as it is
        return X * (half_up / half_down) * ((up / half_up) / (down / half_down))


def _frobenius(A):
    """Frobenius norms, of shape (..., 1, 1), for entries whose squares do not overflow."""
    xp = array_namespace(A)
    return xp.linalg.matrix_norm(A, ord="fro", keepdims=True)


# %% book/foundations/arrays.ipynb: _svd
def _svd(A):
    """Thin U, s, Vh of each matrix, in the dtype of A; half precision by way of float32."""
    xp = array_namespace(A)
    half = xp.finfo(A.dtype).bits == 16
    factors = xp.linalg.svd(xp.astype(A, xp.float32) if half else A, full_matrices=False)
    return tuple(xp.astype(F, A.dtype) for F in factors) if half else tuple(factors)


# %% book/foundations/arrays.ipynb: _cut_off
def _cut_off(rtol, A):
    """rtol, by default max(m, n) * eps of the dtype in which A is decomposed."""
    if rtol is None:
        eps = float(array_namespace(A).finfo(A.dtype).eps)
        return max(1, *A.shape[-2:]) * min(eps, 2.0**-23)
    return _check_tol(rtol, "rtol")

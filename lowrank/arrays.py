"""Arrays.

The functions of this book write $f(A)$ once: for a matrix in units of $10^{-200}$ or $10^{200}$,
real or complex, and from the part on the matrix sign on for a NumPy array, a PyTorch tensor on its
device and a JAX array under `jit`, together with the derivative $f'(A)$ that such a library finds
by itself.

Generated from book/foundations/arrays.ipynb; edit the chapter.
"""

import sys
from contextlib import nullcontext
from functools import reduce, wraps

import array_api_compat
import numpy as np
from array_api_compat import is_jax_array
from scipy import linalg

from lowrank.arguments import check_number, check_tol

__all__ = []


# %% book/foundations/arrays.ipynb: NUMPY
NUMPY = array_api_compat.array_namespace(np.empty(0))       # under the names of the standard


# %% book/foundations/arrays.ipynb: work_dtype
def work_dtype(dtype, name):
    """The dtype to compute in: floats stay, integers and bool become float64."""
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    if dtype == np.float16:
        return np.dtype(np.float32)
    if dtype.char in "fdFD":
        return dtype
    what = f"dtype {dtype}" + (", not all of it numbers" if dtype == object else "")
    raise TypeError(f"{name} has {what}; allowed are bool, integers, float16, "
                    "float32, float64, complex64 and complex128")


# %% book/foundations/arrays.ipynb: _to_ndarray
def _to_ndarray(A, name):
    """A as an array; what only resembles one is refused."""
    if np.ma.isMaskedArray(A):
        raise TypeError(f"{name} is a masked array; fill its masked entries first, "
                        "since their meaning would be lost")
    try:
        array = np.asarray(A)
        if array.dtype == object:                           # numbers as objects
            array = np.asarray(array.tolist())
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor's own refusals, for example
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} does not form an array: {error}") from None
    if array.dtype == object and not array.ndim:            # NumPy's answer to what is none
        raise TypeError(f"{name} is a {type(A).__name__}; allowed here is an array")
    return array


def _to_floats(A, name):
    """A as a NumPy array in the dtype to compute in; a view of A wherever that is possible."""
    A = A if type(A) is np.ndarray and A.dtype.kind != "O" else _to_ndarray(A, name)
    return A.astype(work_dtype(A.dtype, name), copy=False)


# %% book/foundations/arrays.ipynb: is_numpy_array
def is_numpy_array(x):
    """Whether x is an array or a scalar of NumPy."""
    return isinstance(x, (np.ndarray, np.generic))


def is_tensor(x):
    """Whether x is a tensor of PyTorch, which need not be there."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def is_array(x):
    """Whether x is an array of any library."""
    return is_tensor(x) or array_api_compat.is_array_api_obj(x)


def array_namespace(*arrays):
    """The namespace xp of arrays, which belong to one library."""
    if not all(map(is_tensor, arrays)):
        return array_api_compat.array_namespace(*arrays)
    import array_api_compat.torch as xp
    return xp


def device(x):
    """The device of x; None of a tracer of JAX."""
    return x.device if is_tensor(x) else array_api_compat.device(x)


# %% book/foundations/arrays.ipynb: as_floats
def as_floats(x, name):
    """(xp, x): the namespace of x, and x as an array of floating-point numbers."""
    if is_numpy_array(x) or not is_array(x):
        return NUMPY, _to_floats(x, name)                   # lists too become NumPy arrays
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, ("real floating", "complex floating")):
        x = xp.astype(x, xp.__array_namespace_info__().default_dtypes()["real floating"])
    return xp, x


def single(A):
    """A, with at least 32 bits a number."""
    xp = array_namespace(A)
    return xp.astype(A, xp.float32) if xp.finfo(A.dtype).bits == 16 else A


def adjoint(A):
    """The conjugate transpose of the last two axes."""
    xp = array_namespace(A)
    return xp.conj(A).mT if xp.isdtype(A.dtype, "complex floating") else A.mT


def wide(A):
    """(W, back): of A and A^H the one with at least as many columns as rows, and the way back."""
    return (adjoint(A), adjoint) if A.shape[-2] > A.shape[-1] else (A, lambda X: X)


# %% book/foundations/arrays.ipynb: compiling
def compiling():
    """Whether PyTorch compiles the calling function: then arrays have no values."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def may_hold(condition):
    """Whether a condition may hold: bool(condition), and True where a tracer has no value."""
    if compiling() and not isinstance(condition, bool):
        return True
    try:
        return bool(condition)
    except (TypeError, RuntimeError):           # JAX raises the first, PyTorch the second
        return True


def fixed(function):
    """A function of plain numbers, whose results are constants for `torch.compile`."""
    function._dynamo_marked_constant = True     # what torch.compiler.assume_constant_result does
    return function


# %% book/foundations/arrays.ipynb: is_bounded
def is_bounded(x):
    """A condition that holds for finite entries only, and for all of them unless sums overflow."""
    xp = array_namespace(x)
    if not is_numpy_array(x):
        return xp.isfinite(xp.sum(x))
    x = x.ravel(order="K")                      # a view, unless entries are missing in between
    return np.isfinite(x.dot(x))


def _not_finite(x, name):
    """The error that counts what is not finite."""
    xp = array_namespace(x)
    nan, inf = (int(xp.count_nonzero(test(x))) for test in (xp.isnan, xp.isinf))
    return ValueError(f"{name} contains {nan} NaN and {inf} Inf; every entry must be finite")


def check_finite(x, name):
    """Refuse NaN and Inf, where there are values to look at."""
    if compiling():
        return
    xp = array_namespace(x)
    with np.errstate(all="ignore"):
        finite = may_hold(is_bounded(x)) or may_hold(xp.all(xp.isfinite(x)))
    if not finite:
        raise _not_finite(x, name)


# %% book/foundations/arrays.ipynb: check_shape
def check_shape(shape, name, *, stacked=False, empty=False):
    """Refuse what is no matrix (or no stack of them, where stacks are allowed)."""
    allowed = "a matrix (m, n) or a stack (..., m, n)" if stacked else "a matrix (m, n)"
    if len(shape) != 2 and not (stacked and len(shape) > 2):
        raise ValueError(f"{name} has shape {tuple(shape)}; allowed is {allowed}")
    if 0 in shape[-2:] and not empty:
        raise ValueError(f"{name} has shape {tuple(shape)}; allowed is {allowed}, "
                         "with at least one row and one column")


def as_matrix(A, name="A", *, stacked=False, empty=False, finite=True):
    """A as a NumPy array of floats: a matrix, or a stack of them where stacks are allowed."""
    A = _to_floats(A, name)
    check_shape(A.shape, name, stacked=stacked, empty=empty)
    if finite:
        check_finite(A, name)
    return A


def as_stack(A, name="A"):
    """(xp, A): the namespace of A, and A as finite floats of shape (..., m, n)."""
    xp, A = as_floats(A, name)
    check_shape(A.shape, name, stacked=True, empty=True)
    check_finite(A, name)
    return xp, A


def check_library(G, name, A, other):
    """Refuse an array G of another library than that of A."""
    if array_namespace(G) is not array_namespace(A):
        raise TypeError(f"{name} is a {type(G).__name__} and {other} is a {type(A).__name__}; "
                        "both must belong to one array library")


def matching(G, name, A, other="A"):
    """G as finite floats of the library and the shape of A, in the dtype that both share."""
    xp, G = as_floats(G, name)
    check_library(G, name, A, other)
    if G.shape != A.shape:
        raise ValueError(f"{name} has shape {tuple(G.shape)}; "
                         f"allowed is the shape of {other}, {tuple(A.shape)}")
    check_finite(G, name)
    return xp.astype(G, xp.result_type(G, A), copy=False)


def as_common(**given):
    """(xp, dtype, arrays...): finite real floats of one library and one dtype.

    16 bits are computed in 32; `dtype` is for the result.
    """
    found = {name: as_floats(x, name) for name, x in given.items()}
    (first, (xp, main)), *_ = found.items()
    for name, (_, x) in found.items():
        check_library(x, name, main, first)
        if not xp.isdtype(x.dtype, "real floating"):
            raise TypeError(f"{name} has dtype {x.dtype}; allowed are real numbers")
        check_finite(x, name)
    arrays = [x for _, x in found.values()]
    dtype = common = xp.result_type(*arrays)
    if xp is NUMPY and all(getattr(x, "dtype", None) == np.float16 for x in given.values()):
        dtype = np.dtype(np.float16)                        # which NumPy has in 32 bits by now
    return xp, dtype, *(single(xp.astype(x, common, copy=False)) for x in arrays)


# %% book/foundations/arrays.ipynb: check_parameter
def check_parameter(value, name, allowed, holds):
    """check_number, but a number that is traced, or a tensor, stays as it is."""
    foreign = is_array(value) and not is_numpy_array(value) and not value.ndim
    if foreign and compiling():
        return value
    seen = value.detach() if hasattr(value, "detach") else value
    try:
        number = check_number(seen, name, allowed, holds)
    except (TypeError, RuntimeError):
        if foreign:                                         # without a value
            return value
        raise
    return value if hasattr(value, "requires_grad") else number


# %% book/foundations/arrays.ipynb: uncast
def uncast(tensors):
    """A context in which PyTorch casts nothing by itself, if there are tensors."""
    for x in tensors[:1]:
        torch, kind = sys.modules["torch"], x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            return torch.autocast(kind, enabled=False)
    return nullcontext()


def quiet(function):
    """The function, without NumPy's floating-point warnings and PyTorch's automatic casts."""
    @wraps(function)
    def silent(*args, **kwargs):
        with uncast([x for x in (*args, *kwargs.values()) if is_tensor(x)]):
            if compiling():
                return function(*args, **kwargs)
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)
    return silent


# %% book/foundations/arrays.ipynb: peak_of
def peak_of(A):
    """Largest absolute real or imaginary part of each matrix, of shape (..., 1, 1)."""
    xp = array_namespace(A)
    if 0 in A.shape[-2:]:
        A = xp.zeros((*A.shape[:-2], 1, 1), dtype=A.dtype, device=device(A))
    is_complex = xp.isdtype(A.dtype, "complex floating")
    parts = (xp.real(A), xp.imag(A)) if is_complex else (A,)
    ends = [(xp.max(part, axis=(-2, -1), keepdims=True),
             -xp.min(part, axis=(-2, -1), keepdims=True)) for part in parts]
    return reduce(xp.maximum, sum(ends, ()))


def finite_peak(A, name):
    """peak_of(A), or a ValueError that counts what is not finite."""
    peak = peak_of(A)
    if not np.isfinite(peak).all():
        raise _not_finite(A, name)
    return peak


# %% book/foundations/arrays.ipynb: exponent_of
def exponent_of(peak):
    """The integer e with 2**(e-1) <= peak < 2**e; 0 where peak is 0."""
    return np.frexp(peak)[1]


def shifted(X, e):
    """X * 2**e, exact while the result is a normal number; X itself where e is 0."""
    if not (e if type(e) is int else np.any(e)):
        return X
    one, half = X.real.dtype.type(1), np.asarray(e) // 2
    with np.errstate(under="ignore"):               # what underflows is below eps of the rest
        return X * np.ldexp(one, half) * np.ldexp(one, e - half)


# %% book/foundations/arrays.ipynb: squared_norms
def squared_norms(X, axis):
    """Sums of |x|^2 of a matrix along an axis, kept as length 1, summed in double.

    Of float32 and complex64 the relative error is below 2^-29, up to 2^24 numbers a sum; nothing
    over- or underflows. Of float64 and complex128 squares may: see `safe_norms`.
    """
    if X.flags.f_contiguous and not X.flags.c_contiguous:
        return squared_norms(X.T, 1 - axis).T
    (m, n), parts = X.shape, (X.real, X.imag) if np.iscomplexobj(X) else (X,)
    sums, step = np.zeros(n if axis == 0 else m), max(1, 2**15 // max(1, n))
    for i in range(0, m, step):
        for part in parts:
            Y = part[i:i + step].astype(np.float64, copy=False)
            if axis == 0:
                sums += np.einsum("ij,ij->j", Y, Y)
            else:
                sums[i:i + step] += np.vecdot(Y, Y)
    return np.expand_dims(sums, axis)


def double_norm(X):
    """The Frobenius norm of a matrix, as a float, with its squares summed in double."""
    return float(np.sqrt(squared_norms(X, 0).sum()))


# %% book/foundations/arrays.ipynb: safe_norms
def safe_norms(X, axis):
    """2-norms along an axis, kept as length 1, without overflow or underflow of the squares."""
    parts = (X.real, X.imag) if np.iscomplexobj(X) else (X,)
    largest = [np.abs(part).max(axis, keepdims=True, initial=0) for part in parts]
    e = exponent_of(reduce(np.maximum, largest))
    norms = np.sqrt(squared_norms(shifted(X, -e), axis))
    return shifted(norms.astype(X.real.dtype), e)


# %% book/foundations/arrays.ipynb: constant
def constant(x):
    """x, as a constant for every derivative."""
    if is_tensor(x):
        return x.detach()
    return sys.modules["jax"].lax.stop_gradient(x) if is_jax_array(x) else x


def power_of_two(peak):
    """A power of two near peak, none below the normal numbers; 1 where peak is 0."""
    xp, peak = array_namespace(peak), constant(peak)
    info = xp.finfo(peak.dtype)
    inside = xp.clip(peak, min=float(info.smallest_normal), max=float(info.max) / 2)
    return 2.0 ** xp.floor(xp.log2(xp.where(peak > 0, inside, xp.ones_like(peak))))


def rescaled(X, up, down):
    """X up / down for two powers of two, where nothing but the result may leave the range."""
    half_up, half_down = (power_of_two(c**0.5) for c in (up, down))
    return X * (half_up / half_down) * ((up / half_up) / (down / half_down))


# %% book/foundations/arrays.ipynb: frobenius_norm
def frobenius_norm(A):
    """Frobenius norms, of shape (..., 1, 1), for entries whose squares do not overflow."""
    xp = array_namespace(A)
    norm = lambda A: xp.linalg.matrix_norm(A, ord="fro", keepdims=True)
    if is_numpy_array(A):                                   # which nobody differentiates
        return norm(A)
    zero = xp.all(A == 0, axis=(-2, -1), keepdims=True)
    return xp.where(zero, 0.0, norm(xp.where(zero, 1.0, A)))


def safe_divisor(x):
    """x, and 1 where x is 0: safe to divide by."""
    return array_namespace(x).where(x > 0, x, 1.0)


# %% book/foundations/arrays.ipynb: thin_svd
def thin_svd(A):
    """Thin U, s, Vh of each matrix, in the dtype of A; half precision by way of float32."""
    xp = array_namespace(A)
    if is_numpy_array(A):
        return _lapack_svd(A)
    half = xp.finfo(A.dtype).bits == 16
    factors = xp.linalg.svd(xp.astype(A, xp.float32) if half else A, full_matrices=False)
    return tuple(xp.astype(F, A.dtype) for F in factors) if half else tuple(factors)


def _lapack_svd(A):
    """The same for NumPy: LAPACK's fast gesdd, and where it fails the older gesvd."""
    try:
        return tuple(np.linalg.svd(A, full_matrices=False))
    except np.linalg.LinAlgError:
        each = [linalg.svd(X, full_matrices=False, lapack_driver="gesvd")
                for X in A.reshape(-1, *A.shape[-2:])]
        return tuple(np.stack(F).reshape(*A.shape[:-2], *F[0].shape) for F in zip(*each))


# %% book/foundations/arrays.ipynb: singular_values
def singular_values(A):
    """The singular values of each matrix, decreasing: `thin_svd` without the vectors."""
    xp = array_namespace(A)
    if is_numpy_array(A):
        try:
            return np.linalg.svd(A, compute_uv=False)
        except np.linalg.LinAlgError:
            return _lapack_svd(A)[1]
    half = xp.finfo(A.dtype).bits == 16
    s = xp.linalg.svdvals(xp.astype(A, xp.float32) if half else A)
    return xp.astype(s, A.dtype) if half else s


# %% book/foundations/arrays.ipynb: round_off
def round_off(shape, eps):
    """4 sqrt(min(m, n)) eps: what is below this part of the largest one counts as zero."""
    return 4 * min(shape[-2:])**0.5 * float(eps)


def cut_off(rtol, A):
    """rtol, by default 4 sqrt(min(m, n)) eps of the dtype in which A is decomposed."""
    if rtol is None:
        eps = float(array_namespace(A).finfo(A.dtype).eps)
        return round_off(A.shape, min(eps, 2.0**-23))
    return check_tol(rtol, "rtol")


def check_hermitian(A, name="A"):
    """Refuse a matrix or a stack that is not Hermitian to round-off."""
    xp = array_namespace(A)
    if A.shape[-2] != A.shape[-1]:
        raise ValueError(f"{name} has shape {tuple(A.shape)}; "
                         "allowed is a square matrix (n, n) or a stack (..., n, n)")
    allowed = round_off(A.shape, xp.finfo(A.dtype).eps)
    B = A / safe_divisor(peak_of(A))
    defect = peak_of(B - adjoint(B))
    if not may_hold(xp.all(defect <= allowed)):
        raise ValueError(f"{name} is not Hermitian: {name} - {name}^H has entries of "
                         f"{float(xp.max(defect)):.1e} times the largest one of {name}; "
                         f"allowed is {allowed:.1e}")

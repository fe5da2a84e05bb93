r"""Conventions.

Every method of this book replaces a matrix $A$ by a short product $\hat A$ and must then say how
large $\lVert A - \hat A\rVert$ is, in which units, and how many passes over $A$ it took.

Generated from book/foundations/conventions.ipynb; edit the chapter.
"""

import operator
from collections import namedtuple
from functools import reduce

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from scipy.special import erfinv, gammaincinv

__all__ = ["ErrorEstimate", "estimate_error"]


# %% book/foundations/conventions.ipynb: _max_abs
def _max_abs(X):
    """Largest absolute real or imaginary part over the last two axes, kept with length 1."""
    parts = (X.real, X.imag) if np.iscomplexobj(X) else (X,)
    largest = [part.max((-2, -1), keepdims=True, initial=0) for part in parts]
    smallest = [part.min((-2, -1), keepdims=True, initial=0) for part in parts]
    return np.maximum(reduce(np.maximum, largest), -reduce(np.minimum, smallest))


def _exponent(peak):
    """The integer e with 2**(e-1) <= peak < 2**e; 0 where peak is 0."""
    return np.frexp(peak)[1]


def _unit(peak, dtype):
    """The exponent to work in: that of the peak, or 0 where fourth powers are far from the limits."""
    e = _exponent(peak).item()
    return e if abs(e) > np.finfo(dtype).maxexp // 8 else 0


def _scale(X, e):
    """X * 2**e, exact while the result is a normal number; X itself where e is 0."""
    if not np.any(e):
        return X
    one, half = X.real.dtype.type(1), np.asarray(e) // 2
    with np.errstate(under="ignore"):               # what underflows is below eps of the rest
        return X * np.ldexp(one, half) * np.ldexp(one, e - half)


# %% book/foundations/conventions.ipynb: _rank_for_tol
def _rank_for_tol(s, tol):
    """Smallest r >= 1 with t_r <= tol t_0, for decreasing s of shape (..., n)."""
    squares = _scale(s, -_exponent(_max_abs(s[..., None, :])[..., 0]))**2
    tails = np.sqrt(np.cumsum(squares[..., ::-1], axis=-1)[..., ::-1])       # t_0 .. t_{n-1}
    return max(1, int(np.sum(tails > tol * tails[..., :1], axis=-1).max(initial=0)))


# %% book/foundations/conventions.ipynb: _work_dtype
def _work_dtype(dtype, name):
    """The dtype to compute in: floats stay, integers and bool become float64."""
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    if dtype == np.float16:
        return np.dtype(np.float32)
    if dtype.char in "fdFD":
        return dtype
    raise TypeError(f"{name} has dtype {dtype}; allowed are bool, integers, float16, "
                    "float32, float64, complex64 and complex128")


def _check_shape(shape, name, *, stacked=False, empty=False):
    """Refuse what is no matrix (or no stack of them, where stacks are allowed)."""
    allowed = "a matrix (m, n) or a stack (..., m, n)" if stacked else "a matrix (m, n)"
    if len(shape) != 2 and not (stacked and len(shape) > 2):
        raise ValueError(f"{name} has shape {shape}; allowed is {allowed}")
    if 0 in shape[-2:] and not empty:
        raise ValueError(f"{name} has shape {shape}; allowed is {allowed}, "
                         "with at least one row and one column")


# %% book/foundations/conventions.ipynb: _finite_peak
def _finite_peak(X, name):
    """_max_abs(X), or a ValueError that counts what is not finite."""
    peak = _max_abs(X)
    if not np.isfinite(peak).all():
        raise ValueError(f"{name} contains {np.isnan(X).sum()} NaN and "
                         f"{np.isinf(X).sum()} Inf; every entry must be finite")
    return peak


def _to_ndarray(A, name):
    """A as an array; what only resembles one is refused."""
    if np.ma.isMaskedArray(A):
        raise TypeError(f"{name} is a masked array; fill its masked entries first, "
                        "since their meaning would be lost")
    if sparse.issparse(A) or isinstance(A, LinearOperator):
        raise TypeError(f"{name} is a {type(A).__name__}; allowed here is an array")
    try:
        return np.asarray(A)
    except ValueError as error:
        raise ValueError(f"{name} does not form an array: {error}") from None


def _to_floats(A, name):
    """A as an array in the dtype to compute in; a view of A wherever that is possible."""
    A = A if type(A) is np.ndarray else _to_ndarray(A, name)
    return A.astype(_work_dtype(A.dtype, name), copy=False)


def _to_array(A, name, *, stacked=False, empty=False):
    """_to_floats of a matrix, or of a stack of them where stacks are allowed."""
    A = _to_floats(A, name)
    _check_shape(A.shape, name, stacked=stacked, empty=empty)
    return A


def _as_array(A, name="A", *, stacked=False, empty=False):
    """A as a finite array in the dtype to compute in."""
    A = _to_array(A, name, stacked=stacked, empty=empty)
    _finite_peak(A, name)
    return A


# %% book/foundations/conventions.ipynb: _check_value
def _check_value(value, name, allowed, convert, holds):
    """The value as a number for which `holds` is true; `allowed` says in words which these are."""
    wrong = ValueError
    try:
        if isinstance(value, (bool, np.bool, str, bytes)) or getattr(value, "ndim", 0):
            raise TypeError
        number = convert(value)
        if holds(number):
            return number
    except (TypeError, ValueError):
        wrong = TypeError
    except OverflowError:                                   # an integer above all floats
        pass
    raise wrong(f"{name} is {value!r}; allowed is {allowed}")


def _check_number(value, name, allowed, holds):
    """The value as a float."""
    return _check_value(value, name, allowed, float, holds)


def _check_count(count, name, lowest, highest=None, where=""):
    """count as an int that is at least `lowest`, and at most `highest` if there is one."""
    allowed = f"an integer from {lowest}" + ("" if highest is None else f" to {highest}") + where
    high_enough = lambda value: lowest <= value and (highest is None or value <= highest)
    return _check_value(count, name, allowed, operator.index, high_enough)


def _check_rank(rank, shape, name="rank"):
    """rank as an int from 1 to min(m, n)."""
    return _check_count(rank, name, 1, min(shape[-2:]), f" for shape {tuple(shape)}")


def _check_tol(tol, name="tol"):
    """tol as a float with 0 <= tol < 1."""
    return _check_number(tol, name, f"a number with 0 <= {name} < 1", lambda value: 0 <= value < 1)


def _rank_or_tol(rank, tol, shape):
    """The pair (rank, None) or (None, tol), checked: exactly one of the two must be given."""
    if (rank is None) == (tol is None):
        raise ValueError(f"rank is {rank!r} and tol is {tol!r}; give exactly one of them")
    return (_check_rank(rank, shape), None) if tol is None else (None, _check_tol(tol))


def _check_choice(value, name, allowed):
    """Refuse what is not one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(map(repr, allowed))}")


def _check_indices(indices, n, name):
    """indices as an array of distinct integers from 0 to n - 1."""
    J = np.asarray(indices)
    allowed = f"distinct integers from 0 to {n - 1}, at least one"
    if J.size and J.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {J.dtype}; allowed are {allowed}")
    if J.ndim != 1 or not J.size or J.min() < 0 or J.max() >= n or len(np.unique(J)) < len(J):
        raise ValueError(f"{name} is {indices!r:.60}; allowed are {allowed}")
    return J.astype(np.intp)


def _generator(rng):
    """A NumPy generator from None, a seed or a generator; the global state is never used."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng is {rng!r}; allowed is None, a non-negative integer "
                          "or a numpy.random.Generator") from None


# %% book/foundations/conventions.ipynb: _Factored
class _Factored:
    """Mixin for a named tuple that stands for a product of its `factors`, left to right."""

    __slots__ = ()
    __array_ufunc__ = None                       # `array @ result` asks __rmatmul__ below
    __add__ = __mul__ = __rmul__ = None          # a tuple would join or repeat itself

    @property
    def shape(self):
        """(..., m, n) of the product."""
        return (*self.factors[0].shape[:-1], self.factors[-1].shape[-1])

    @property
    def dtype(self):
        """The dtype of the product."""
        return np.result_type(*self.factors)

    @property
    def rank(self):
        """Number of terms: the shortest inner dimension."""
        return min(F.shape[-1] for F in self.factors[:-1])

    def reconstruct(self):
        """The product as one array: m n numbers."""
        return reduce(np.matmul, self.factors)

    def __array__(self, dtype=None, copy=None):
        return self.reconstruct().astype(dtype or self.dtype, copy=False)

    def __matmul__(self, x):
        x = np.asarray(x)
        if x.ndim == 1:
            return (self @ x[:, None])[..., 0]
        return reduce(lambda y, F: F @ y, reversed(self.factors), x)

    def __rmatmul__(self, x):
        x = np.asarray(x)
        if x.ndim == 1:
            return (x[None] @ self)[..., 0, :]
        return reduce(np.matmul, self.factors, x)

    def __repr__(self):
        size = " x ".join(map(str, self.shape))
        return f"<{type(self).__name__}: {size} of rank {self.rank}, {self.dtype}>"


# %% book/foundations/conventions.ipynb: _safe_norms
def _safe_norms(X, axis):
    """2-norms along an axis, kept as length 1, without overflow or underflow of the squares."""
    parts = (X.real, X.imag) if np.iscomplexobj(X) else (X,)
    peaks = [np.abs(part).max(axis, keepdims=True, initial=0) for part in parts]
    e = _exponent(reduce(np.maximum, peaks))
    return _scale(np.linalg.norm(_scale(X, -e), axis=axis, keepdims=True), e)


def _squared_norms(X, axis):
    """Sums of |x|^2 along an axis as they come, kept as length 1."""
    if X.strides[axis] == X.itemsize:                       # dot products
        squares = np.vecdot(X, X, axis=axis).real
    else:
        parts = (X.real, X.imag) if np.iscomplexobj(X) else (X,)
        kept = "ij,ij->j" if axis == 0 else "ij,ij->i"
        squares = sum(np.einsum(kept, part, part) for part in parts)
    return np.expand_dims(squares, axis)


class _LinearMap:
    """Products with 2**-exponent A. A subclass says how one kind of input multiplies."""

    def __init__(self, A, name, exponent=None):
        self.A, self.name, self.exponent = A, name, exponent
        self.shape, self.dtype = A.shape, _work_dtype(np.dtype(A.dtype), name)

    def apply(self, X):
        """2**-e A X, for X of shape (n, k): one pass."""
        return self._scaled(self._times(X))

    def adjoint_apply(self, Y):
        """2**-e A^H Y, for Y of shape (m, k): one pass."""
        return self._scaled(self._adjoint_times(Y))

    def columns(self, J):
        """2**-e A[:, J] as an array: at most one pass."""
        return self._scaled(self._columns(J))

    def rows(self, I):
        """2**-e A[I, :] as an array: at most one pass."""
        return self._scaled(self._rows(I))

    def column_norms(self):
        """2**-e times the 2-norms of the columns: one pass."""
        return self._scaled(self._norms(0))[0]

    def row_norms(self):
        """2**-e times the 2-norms of the rows: one pass."""
        return self._scaled(self._norms(1))[:, 0]

    def dense(self):
        """2**-e A as an array, to be read only: one pass, m n numbers."""
        return self._scaled(self._dense())

    @property
    def adjoint(self):
        """The map of A^H, with the same exponent."""
        return _Adjoint(self)

    def unscale(self, X):
        """2**e X: back in the units of A."""
        return _scale(X, self.exponent or 0)

    def _scaled(self, Y):
        """Refuse what is not finite; scale by the power of two that the first product sets."""
        if not np.isfinite(Y).all():
            raise ValueError(f"a product with {self.name} contains NaN or Inf; every entry must "
                             "be finite, and small enough that sums do not overflow")
        if self.exponent is None and (peak := _max_abs(Y).item()):
            self.exponent = _unit(peak, Y.dtype)
        return _scale(Y, -(self.exponent or 0))

    def _norms(self, axis):
        norms = np.zeros(self._norms_shape(axis), self.dtype.char.lower())
        for block_rows, block_columns, block in self._blocks():
            part = norms[:, block_columns] if axis == 0 else norms[block_rows]
            part[...] = np.hypot(part, _safe_norms(block, axis))
        return norms

    def _norms_shape(self, axis):
        return (1, self.shape[1]) if axis == 0 else (self.shape[0], 1)


# %% book/foundations/conventions.ipynb: _Dense
class _Dense(_LinearMap):
    """An array in memory."""

    def _times(self, X):
        return (X.T @ self.A.T).T

    def _adjoint_times(self, Y):
        return (Y.conj().T @ self.A).conj().T

    def _columns(self, J):
        if isinstance(J, slice) or not self.A.flags.c_contiguous:
            return self.A[:, J]
        return np.take(self.A, J, axis=1)                   # row by row, as it lies in memory

    def _rows(self, I):
        return self.A[I]

    def _dense(self):
        return self.A

    def _blocks(self, size=2**21):
        """Slabs of about `size` entries along the axis that is slow in memory."""
        m, n = self.shape
        every = slice(None)
        if self.A.flags.f_contiguous and not self.A.flags.c_contiguous:
            for j in range(0, n, max(1, size // m)):
                cut = slice(j, j + max(1, size // m))
                yield every, cut, self.A[:, cut].astype(self.dtype, copy=False)
        else:
            for i in range(0, m, max(1, size // n)):
                cut = slice(i, i + max(1, size // n))
                yield cut, every, self.A[cut].astype(self.dtype, copy=False)

    def _norms(self, axis):
        """Plain sums of squares in one sweep; where those over- or underflow, safe ones."""
        squares = np.zeros(self._norms_shape(axis))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for rows, columns, block in self._blocks(2**19):
                part = squares[:, columns] if axis == 0 else squares[rows]
                part += _squared_norms(block, axis)
            norms = np.sqrt(squares).astype(self.dtype.char.lower())
        limits = np.finfo(self.dtype)
        safe = (squares >= self.shape[axis] * limits.tiny / limits.eps) & np.isfinite(norms)
        if not safe.all():
            again = np.flatnonzero(~safe)
            lines = self.A[:, again] if axis == 0 else self.A[again]
            norms[~safe] = _safe_norms(lines, axis).ravel()
        return norms


class _Mapped(_Dense):
    """An array in a file (numpy.memmap): read in slabs, in order, never whole."""

    _norms = _LinearMap._norms

    def _times(self, X):
        Y = np.zeros((self.shape[0], X.shape[1]), np.result_type(self.dtype, X))
        for rows, columns, block in self._blocks():
            Y[rows] += block @ X[columns]
        return Y

    def _adjoint_times(self, Y):
        X = np.zeros((self.shape[1], Y.shape[1]), np.result_type(self.dtype, Y))
        for rows, columns, block in self._blocks():
            X[columns] += (block.T @ Y[rows].conj()).conj()
        return X

    def _columns(self, J):
        return np.array(self.A[:, J], self.dtype)

    def _rows(self, I):
        return np.array(self.A[I], self.dtype)

    def _dense(self):
        return np.array(self.A, self.dtype)


# %% book/foundations/conventions.ipynb: _Sparse
class _Sparse(_Dense):
    """A SciPy sparse matrix or array in CSR or CSC form."""

    def _times(self, X):
        return self.A @ X

    def _adjoint_times(self, Y):
        return (self.A.T @ Y.conj()).conj()

    def _columns(self, J):
        return self.A[:, J].toarray().astype(self.dtype, copy=False)

    def _rows(self, I):
        return self.A[I].toarray().astype(self.dtype, copy=False)

    def _dense(self):
        return self.A.toarray().astype(self.dtype, copy=False)

    def _norms(self, axis):
        data = self.A.data.astype(self.dtype, copy=False)
        if not data.size or not np.isfinite(peak := _max_abs(data[None]).item()):
            return np.full(self._norms_shape(axis), peak if data.size else 0.0)
        e = _exponent(peak)
        squares = np.abs(_scale(data, -e))**2
        squares = type(self.A)((squares, self.A.indices, self.A.indptr), shape=self.shape)
        norms = np.sqrt(np.asarray(squares.sum(axis=axis)))
        return _scale(norms.reshape(self._norms_shape(axis)), e)


class _Operator(_LinearMap):
    """A scipy.sparse.linalg.LinearOperator: nothing but products."""

    def _times(self, X):
        if not X.shape[1]:                          # SciPy cannot multiply by nothing
            return np.zeros((self.shape[0], 0), self.dtype)
        return np.asarray(self.A.matmat(X))

    def _adjoint_times(self, Y):
        if not Y.shape[1]:
            return np.zeros((self.shape[1], 0), self.dtype)
        try:
            return np.asarray(self.A.rmatmat(Y))
        except (NotImplementedError, RecursionError, TypeError) as error:     # as SciPy has it
            raise TypeError(f"{self.name} is a LinearOperator without an adjoint; "
                            "allowed is one with rmatvec or rmatmat") from error

    def _unit_vectors(self, size, index):
        index = np.arange(size)[index]
        E = np.zeros((size, len(index)), self.dtype)
        E[index, np.arange(len(index))] = 1
        return E

    def _columns(self, J):
        return self._times(self._unit_vectors(self.shape[1], J))

    def _rows(self, I):
        return self._adjoint_times(self._unit_vectors(self.shape[0], I)).conj().T

    def _dense(self):
        return self._columns(slice(None))

    def _blocks(self, size=2**21):
        step = max(1, size // self.shape[0])
        for j in range(0, self.shape[1], step):
            yield slice(None), slice(j, j + step), self._columns(slice(j, j + step))


class _Product(_Operator):
    """One of our own factored results."""

    def _times(self, X):
        return self.A @ X

    def _adjoint_times(self, Y):
        return (Y.conj().T @ self.A).conj().T


class _Adjoint(_LinearMap):
    """The map of A^H, which shares everything with the map of A."""

    def __init__(self, parent):
        self.parent, self.name = parent, parent.name
        self.shape, self.dtype = parent.shape[::-1], parent.dtype
        self.apply, self.adjoint_apply = parent.adjoint_apply, parent.apply
        self.column_norms, self.row_norms = parent.row_norms, parent.column_norms
        self.unscale = parent.unscale

    adjoint = property(lambda self: self.parent)
    exponent = property(lambda self: self.parent.exponent)

    def columns(self, J):
        return self.parent.rows(J).conj().T

    def rows(self, I):
        return self.parent.columns(I).conj().T

    def dense(self):
        return self.parent.dense().conj().T


# %% book/foundations/conventions.ipynb: _linear_map
def _linear_map(A, name="A", *, sweep=True):
    """The linear map of whatever a user may pass as a matrix.

    ``sweep=False`` leaves NaN, Inf and the unit of an array to its first product, as for the
    other kinds: for callers whose first product reads every entry, such as the norms.
    """
    if isinstance(A, _LinearMap):
        return A
    if isinstance(A, (_Factored, LinearOperator, np.memmap)) or sparse.issparse(A):
        _check_shape(A.shape, name)
    if isinstance(A, _Factored):
        return _Product(A, name)
    if isinstance(A, LinearOperator):
        return _Operator(A, name)
    if isinstance(A, np.memmap):
        return _Mapped(A, name)
    if sparse.issparse(A):
        return _Sparse(A if A.format in ("csr", "csc") else A.tocsr(), name)
    A = _to_array(A, name)
    return _Dense(A, name, _unit(_finite_peak(A, name).item(), A.dtype) if sweep else None)


# %% book/foundations/conventions.ipynb: _gaussian
def _gaussian(rng, shape, dtype):
    """Independent standard normal entries, E|g|^2 = 1: real or complex as the dtype is."""
    real = np.finfo(dtype).dtype.type
    if np.dtype(dtype).kind != "c":
        return rng.standard_normal(shape, real)
    parts = rng.standard_normal((2, *shape), real) * real(0.5**0.5)
    return parts[0] + 1j * parts[1]


# %% book/foundations/conventions.ipynb: ErrorEstimate
def _bound_over_estimate(n_probe, dtype, delta):
    """The factor sqrt(alpha / x_delta), a float, by which a bound exceeds the estimate."""
    alpha = n_probe if dtype.kind == "c" else n_probe / 2
    return float(np.sqrt(alpha / gammaincinv(alpha, delta)))


class _Difference(_Operator):
    """The map of A - B for two linear maps, in the larger of their units."""

    def __init__(self, A, B):
        self.A, self.B, self.name, self.exponent = A, B, f"{A.name} - {B.name}", None
        self.shape, self.dtype = A.shape, np.result_type(A.dtype, B.dtype)

    def _times(self, X):
        return self._minus(self.A.apply(X), self.B.apply(X))

    def _adjoint_times(self, Y):
        return self._minus(self.A.adjoint_apply(Y), self.B.adjoint_apply(Y))

    def _minus(self, X, Y):
        e, f = self.A.exponent or 0, self.B.exponent or 0
        self.unit = max(e, f)
        return _scale(X, e - self.unit) - _scale(Y, f - self.unit)

    def unscale(self, X):
        return _scale(super().unscale(X), self.unit)


class ErrorEstimate(namedtuple("ErrorEstimate", "estimate bound confidence")):
    """What `estimate_error` found: an `estimate`, and a `bound` of stated `confidence`."""

    __slots__ = ()


def estimate_error(A, approx, *, n_probe=10, norm="fro", confidence=0.999, rng=None):
    r"""Estimate and bound norm(A - approx) from a few products.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    approx : the same, or a factored result of this package, shape (m, n)
        Its approximation.
    n_probe : int >= 2, default 10
        Number of random vectors. More of them bring the bound closer to the estimate.
    norm : {"fro", 2}, default "fro"
        Frobenius or spectral norm.
    confidence : float, 0.5 <= confidence < 1, default 0.999
        Probability with which the bound holds, whatever A - approx is.
    rng : None, int or numpy.random.Generator
        The probes are drawn from a child of this generator, so that a seed
        already used for the approximation gives fresh vectors.

    Returns
    -------
    ErrorEstimate
        Named tuple of three floats. For ``norm="fro"`` the square of
        ``estimate`` is unbiased; for ``norm=2`` ``estimate`` is a lower bound
        that always holds. ``bound`` is an upper bound that fails with
        probability at most ``1 - confidence``.

    Raises
    ------
    ValueError
        Shapes that differ, NaN or Inf, or an option out of range.
    TypeError
        A dtype without meaning, or ``norm=2`` for a LinearOperator without adjoint.

    Notes
    -----
    One pass over A and approx for "fro", one more (with the adjoints) for 2;
    O((m + n) n_probe) numbers of memory. Both are relative to round-off: a
    difference below about ``eps * norm(A)`` is reported as that.
    Derived in :ref:`conventions-error`: :prf:ref:`probe-unbiased`,
    :prf:ref:`frobenius-bound`, :prf:ref:`spectral-bound`; for the spectral norm
    the idea is that of Halko, Martinsson and Tropp (2011), Lemma 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import estimate_error
    >>> A = np.diag([4.0, 3.0, 2.0, 1.0])
    >>> estimate, bound, confidence = estimate_error(A, np.diag([4.0, 3.0, 0, 0]), rng=0)
    >>> 1 < estimate < 4 and bound > 5**0.5 and confidence == 0.999
    True
    """
    A, B = _linear_map(A), _linear_map(approx, "approx")
    if A.shape != B.shape:
        raise ValueError(f"approx has shape {B.shape}; allowed is the shape of A, {A.shape}")
    n_probe = _check_count(n_probe, "n_probe", 2)
    _check_choice(norm, "norm", ("fro", 2))
    confidence = _check_number(confidence, "confidence", "a number with 0.5 <= confidence < 1",
                               lambda value: 0.5 <= value < 1)

    D = _Difference(A, B)
    is_complex = D.dtype.kind == "c"
    Y = D.apply(_gaussian(_generator(rng).spawn(1)[0], (D.shape[1], n_probe), D.dtype))
    if norm == "fro":
        estimate = np.linalg.norm(Y) / np.sqrt(n_probe)
        bound = estimate * _bound_over_estimate(n_probe, D.dtype, 1 - confidence)
    else:
        p = (1 - confidence)**(1 / n_probe)
        tau = np.sqrt(-np.log1p(-p)) if is_complex else np.sqrt(2) * erfinv(p)
        Q, R = np.linalg.qr(Y)
        adjoint_Q = D.adjoint_apply(Q)
        estimate = np.linalg.norm(adjoint_Q, 2)
        bound = max(estimate, np.sqrt(np.linalg.norm(adjoint_Q @ R, axis=0).max() / tau))
    return ErrorEstimate(float(D.unscale(estimate)), float(D.unscale(bound)), confidence)

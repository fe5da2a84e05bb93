r"""A matrix through its products.

A method for low rank needs $X\mapsto AX$, $Y\mapsto A^{\mathsf H}Y$ and now and then a row or a
column of $A$: this chapter gives an array, a sparse matrix, a file and a pair of functions these
few verbs, and nothing else.

Generated from book/foundations/linear_map.ipynb; edit the chapter.
"""

import math
from contextlib import contextmanager
from functools import reduce
from inspect import signature

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from lowrank.arrays import (
    as_matrix,
    check_shape,
    exponent_of,
    finite_peak,
    peak_of,
    safe_norms,
    shifted,
    squared_norms,
    work_dtype,
)

__all__ = []


# %% book/foundations/linear_map.ipynb: Result
def _is_other_factor(old, new):
    """Whether an array of numbers is replaced by one that differs."""
    return getattr(old, "dtype", np.dtype(int)).kind in "fc" and not np.array_equal(old, new)


def _made(cls, known):
    return cls(**known)


class Result:
    """What a method found: frozen, and made by its class whenever it is copied or changed.

    The class takes what it unpacks as positional arguments and all else by keyword, and keeps
    each under its name in `vars(self)`.
    """

    _measured = ()                               # what is true of these very factors only

    def __init_subclass__(cls):
        arguments = signature(cls).parameters.values()
        cls._fields = tuple(x.name for x in arguments if x.kind is x.POSITIONAL_OR_KEYWORD)
        cls.__match_args__ = cls._fields

    def __iter__(self):
        return (getattr(self, name) for name in self._fields)

    def _asdict(self):
        """All that it knows: the arguments that make another one like it."""
        return dict(vars(self))

    def _replace(self, **changes):
        """The result with other parts; what was measured of other factors is no longer known."""
        known = self._asdict()
        if any(_is_other_factor(known.get(name), value) for name, value in changes.items()):
            known |= dict.fromkeys(self._measured)
        return type(self)(**known | changes)

    def __replace__(self, **changes):            # what copy.replace calls
        return self._replace(**changes)

    def __reduce__(self):                        # what copy and pickle call
        return _made, (type(self), self._asdict())

    def __setattr__(self, name, *value):
        raise AttributeError(f"{name} of a {type(self).__name__} cannot be set; "
                             f"_replace({name}=...) makes another one")

    __delattr__ = __setattr__

    def __repr__(self):
        known = (f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({', '.join(known)})"


# %% book/foundations/linear_map.ipynb: Factored
def _operand(x, size, axis):
    """x, with `size` entries along an axis: an array, or what knows products itself."""
    shape = np.shape(x)
    if not shape or shape[max(axis, -len(shape))] != size:
        allowed = f"(..., {size}, k)" if axis == -2 else f"(..., k, {size})"
        raise ValueError(f"x has shape {shape}; allowed is ({size},) or {allowed}")
    if isinstance(x, Factored | LinearOperator) or sparse.issparse(x) and len(shape) == 2:
        return x
    x = np.atleast_2d(x.toarray() if sparse.issparse(x) else x)
    return as_matrix(x, "x", stacked=True, empty=True, finite=False).reshape(shape)


def _times(F, x):
    """F @ x for a stack F; sparse matrices and operators multiply matrices only."""
    if isinstance(x, np.ndarray | Factored):
        return F @ x
    flat = F.reshape(math.prod(F.shape[:-1]), F.shape[-1])
    return np.asarray(flat @ x).reshape(*F.shape[:-1], x.shape[-1])


_FAR_BELOW = np.errstate(under="ignore")         # what underflows is far below the largest terms


class Factored(Result):
    """A result that stands for the product of its `factors`, left to right."""

    __array_ufunc__ = None                       # `array @ result` asks __rmatmul__ below

    @property
    def shape(self):
        """(..., m, n) of the product."""
        return (*self.factors[0].shape[:-1], self.factors[-1].shape[-1])

    @property
    def ndim(self):
        """Number of axes: 2, more for a stack."""
        return self.factors[0].ndim

    @property
    def dtype(self):
        """The dtype of the product."""
        return np.result_type(*self.factors)

    @property
    def rank(self):
        """Number of terms: the shortest inner dimension."""
        return min(F.shape[-1] for F in self.factors[:-1])

    @_FAR_BELOW
    def reconstruct(self):
        """The product as one array: m n numbers."""
        return reduce(np.matmul, self.factors)

    def _right(self, x):
        """The product with a matrix on the right, or what multiplies itself."""
        *others, last = self.factors
        return reduce(lambda y, F: F @ y, reversed(others), _times(last, x))

    def _left(self, x):
        """The same on the left."""
        first, *others = self.factors
        xF = _times(first.mT, x.T).mT if sparse.issparse(x) else x @ first
        return reduce(np.matmul, others, xF)

    @_FAR_BELOW
    def __matmul__(self, x):
        x = _operand(x, self.shape[-1], -2)
        return (self @ x[:, None])[..., 0] if x.ndim == 1 else self._right(x)

    @_FAR_BELOW
    def __rmatmul__(self, x):
        x = _operand(x, self.shape[-2], -1)
        return (x[None] @ self)[..., 0, :] if x.ndim == 1 else self._left(x)

    def matvec(self, x):
        """The product with a vector; with `rmatvec`, what SciPy's solvers ask for."""
        return self @ x

    def rmatvec(self, y):
        """The product of the adjoint with a vector."""
        return (np.conj(y).T @ self).conj().T

    rmatmat = rmatvec

    def __repr__(self):
        size = " x ".join(map(str, self.shape))
        return f"<{type(self).__name__}: {size} of rank {self.rank}, {self.dtype}>"


# %% book/foundations/linear_map.ipynb: _unit
def _unit(peak, dtype):
    """The exponent to work in: that of the peak, or 0 where fourth powers are in the range."""
    e = exponent_of(peak).item()
    return e if abs(e) > np.finfo(dtype).maxexp // 8 else 0


# %% book/foundations/linear_map.ipynb: _array_unit
def _array_unit(A, name):
    """The exponent to work in for an array, whose entries must be finite."""
    if A.flags.forc:
        entries, far = A.ravel(order="K"), 2.0**(np.finfo(A.dtype).maxexp // 8)
        if 4 * A.size / far**2 < np.vdot(entries, entries).real < far**2:
            return 0
    return _unit(finite_peak(A, name).item(), A.dtype)


# %% book/foundations/linear_map.ipynb: LinearMap
_QUIET = np.errstate(over="ignore", under="ignore", invalid="ignore")      # `_scaled` looks


class LinearMap:
    """Products with 2**-exponent A. A subclass says how one kind of input multiplies."""

    def __init__(self, A, name, exponent=None):
        self.A, self.name, self.exponent = A, name, exponent
        self.shape, self.dtype = A.shape, work_dtype(np.dtype(A.dtype), name)

    @_QUIET
    def apply(self, X):
        """2**-e A X, for X of shape (n, k): one pass."""
        return self._scaled(self._times(shifted(X, -self._half)), self._half)

    @_QUIET
    def adjoint_apply(self, Y):
        """2**-e A^H Y, for Y of shape (m, k): one pass."""
        return self._scaled(self._adjoint_times(shifted(Y, -self._half)), self._half)

    @_QUIET
    def columns(self, J):
        """2**-e A[:, J] as an array: at most one pass."""
        return self._scaled(self._columns(J))

    @_QUIET
    def rows(self, I):
        """2**-e A[I, :] as an array: at most one pass."""
        return self._scaled(self._rows(I))

    @_QUIET
    def column_norms(self):
        """2**-e times the 2-norms of the columns, in double precision: one pass."""
        return self._scaled(self._norms(0, self._half), self._half, self.dtype)

    @_QUIET
    def row_norms(self):
        """2**-e times the 2-norms of the rows, in double precision: one pass."""
        return self._scaled(self._norms(1, self._half), self._half, self.dtype)

    @_QUIET
    def dense(self):
        """2**-e A as an array, to be read only: one pass, m n numbers."""
        with self.in_memory():
            return self._scaled(self._dense())

    @contextmanager
    def in_memory(self):
        """For what needs A as an array: a MemoryError says which A, and how large it is."""
        try:
            yield
        except MemoryError as error:
            size = math.prod(self.shape) * self.dtype.itemsize / 2**30
            raise MemoryError(f"{self.name} has shape {tuple(self.shape)}: as an array of "
                              f"{self.dtype} it takes {size:.3g} GiB, which with what is computed "
                              "from it is more than is free") from error

    @property
    def adjoint(self):
        """The map of A^H, with the same exponent."""
        return _AdjointMap(self)

    def unscale(self, X):
        """2**e X: back in the units of A."""
        return shifted(X, self.exponent or 0)

    @property
    def terms(self):
        """How many terms a product adds, at most, in the precision of its dtype."""
        return max(self.shape)

    @property
    def _half(self):
        """What is taken from X before a product; the rest of e is taken from the product."""
        return (self.exponent or 0) // 2

    def _scaled(self, Y, taken=0, dtype=None):
        """Refuse what is not finite; scale by the power of two that the first product sets."""
        entries = Y.ravel(order="K")
        if not (np.isfinite(np.vdot(entries, entries)) or np.isfinite(Y).all()):
            raise ValueError(f"a product with {self.name} contains NaN or Inf; every entry must "
                             "be finite, and small enough that sums do not overflow")
        if self.exponent is None and (peak := peak_of(np.atleast_2d(Y)).item()):
            self.exponent = _unit(peak, dtype or Y.dtype)
        return shifted(Y, taken - (self.exponent or 0))

    def _norms(self, axis, half):
        norms = np.zeros(self.shape[1 - axis])
        for rows, columns, block in self._blocks():
            kept = columns if axis == 0 else rows
            part = safe_norms(shifted(_in_double(block), -half), axis)
            norms[kept] = np.hypot(norms[kept], part.ravel())
        return norms


# %% book/foundations/linear_map.ipynb: _in_double
def _in_double(X):
    """X in double precision, real or complex."""
    return X.astype(np.result_type(X.dtype, np.float64), copy=False)


def _doubtful(squares, terms):
    """Where a sum of so many squares may have lost some of them, or overflowed."""
    limits = np.finfo(np.float64)
    return ~((squares >= terms * limits.tiny / limits.eps) & np.isfinite(squares))


# %% book/foundations/linear_map.ipynb: _product
_PIECE = 2**11                          # terms that are added in single precision, at most


def _product(A, X):
    """A X; the pieces of a long sum in single precision are added in double."""
    n = A.shape[1]
    if A.dtype.char not in "fF" or n <= _PIECE:
        return (X.T @ A.T).T
    Y = np.zeros((len(A), X.shape[1]), np.result_type(A, X, np.float64))
    for i in range(0, n, _PIECE):
        Y += (X[i:i + _PIECE].T @ A[:, i:i + _PIECE].T).T
    return Y.astype(np.result_type(A, X))


# %% book/foundations/linear_map.ipynb: DenseMap
class DenseMap(LinearMap):
    """An array in memory."""

    @property
    def terms(self):
        return min(max(self.shape), _PIECE) if self.dtype.char in "fF" else max(self.shape)

    def _times(self, X):
        return _product(self.A, X)

    def _adjoint_times(self, Y):
        return _product(self.A.T, Y.conj()).conj()

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

    def _norms(self, axis, half):
        """Plain sums of squares in one sweep; where that may be wrong, safe ones."""
        squares = np.zeros(self.shape[1 - axis])
        for rows, columns, block in self._blocks(2**19):
            kept = columns if axis == 0 else rows
            squares[kept] += squared_norms(shifted(block, -half), axis).ravel()
        norms, again = np.sqrt(squares), np.flatnonzero(_doubtful(squares, self.shape[axis]))
        if again.size:
            lines = _in_double(self.A[:, again] if axis == 0 else self.A[again])
            norms[again] = safe_norms(shifted(lines, -half), axis).ravel()
        return norms


class _MemoryMap(DenseMap):
    """An array in a file (numpy.memmap): read in slabs, in order, never whole."""

    _norms = LinearMap._norms

    def _times(self, X):
        Y = np.zeros((self.shape[0], X.shape[1]), np.result_type(self.dtype, X, np.float64))
        for rows, columns, block in self._blocks():
            Y[rows] += _product(block, X[columns])
        return Y.astype(np.result_type(self.dtype, X), copy=False)

    def _adjoint_times(self, Y):
        X = np.zeros((self.shape[1], Y.shape[1]), np.result_type(self.dtype, Y, np.float64))
        for rows, columns, block in self._blocks():
            X[columns] += _product(block.T, Y[rows].conj()).conj()
        return X.astype(np.result_type(self.dtype, Y), copy=False)

    def _columns(self, J):
        return np.array(self.A[:, J], self.dtype)

    def _rows(self, I):
        return np.array(self.A[I], self.dtype)

    def _dense(self):
        return np.array(self.A, self.dtype)


# %% book/foundations/linear_map.ipynb: _summed
def _summed(A, name):
    """A in CSR or CSC form and the dtype to work in, with each entry stored once."""
    A = A.astype(work_dtype(A.dtype, name), copy=False)
    A = A if A.format in ("csr", "csc") else A.tocsr()
    form = sparse.csc_array if A.format == "csc" else sparse.csr_array
    used = slice(A.indptr[-1])                              # there may be room for more
    A = form((A.data[used], A.indices[used], A.indptr), shape=A.shape)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    return A


def _longest_line(A):
    """The largest number of entries that a row or a column stores."""
    return max(np.diff(A.indptr).max(), np.bincount(A.indices, minlength=1).max())


def _safe_sums(norms, sizes, lines):
    """The norms, where they are those of such lines: the root of the sum of squares of sizes."""
    peak = np.zeros(len(norms))
    np.maximum.at(peak, lines, sizes)
    e = exponent_of(peak)
    squares = np.bincount(lines, np.ldexp(sizes, -e[lines])**2, len(norms))
    return np.where(peak > 0, shifted(np.sqrt(squares), e), norms)


# %% book/foundations/linear_map.ipynb: _SparseMap
class _SparseMap(DenseMap):
    """A SciPy sparse array in CSR or CSC form that stores each entry once."""

    def __init__(self, A, name):
        super().__init__(_summed(A, name), name)
        peak = peak_of(self.A.data[None]).item()
        self.exponent = _unit(peak, self.dtype) if np.isfinite(peak) else None
        single = self.dtype.char in "fF"
        self.B = _in_double(self.A) if single and _longest_line(self.A) > _PIECE else self.A

    def _times(self, X):
        return (self.B @ X).astype(np.result_type(self.dtype, X), copy=False)

    def _adjoint_times(self, Y):
        X = (self.B.T @ Y.conj()).conj()
        return X.astype(np.result_type(self.dtype, Y), copy=False)

    def _columns(self, J):
        return self.A[:, J].toarray()

    def _rows(self, I):
        return self.A[I].toarray()

    def _dense(self):
        return self.A.toarray()

    def _norms(self, axis, half):
        sizes = np.abs(shifted(_in_double(self.A.data), -half))
        lines, count = self.A.tocoo(copy=False).coords[1 - axis], self.shape[1 - axis]
        if not np.isfinite(sizes.max(initial=0)):
            return np.full(count, np.inf)
        squares = np.bincount(lines, sizes**2, count)
        again = _doubtful(squares, self.shape[axis])[lines] & (sizes > 0)
        norms = np.sqrt(squares)
        return _safe_sums(norms, sizes[again], lines[again]) if again.any() else norms


# %% book/foundations/linear_map.ipynb: _says
def _says(A, product):
    """Whether a LinearOperator itself says what "matmat" or "rmatmat" is."""
    if getattr(A, f"_CustomLinearOperator__{product}_impl", product) is None:
        return False
    ways = ["_matmat"] if product == "matmat" else ["_rmatmat", "_adjoint"]
    own = any(getattr(type(A), way) is not getattr(LinearOperator, way) for way in ways)
    parts = [part for part in getattr(A, "args", ()) if isinstance(part, LinearOperator)]
    return own and all(_says(part, "matmat") and _says(part, "rmatmat") for part in parts)


def _operator_dtype(A):
    """The dtype of a LinearOperator, by a product with a real vector where it has none."""
    return np.asarray(A.matvec(np.ones(A.shape[1]))).dtype if A.dtype is None else A.dtype


def _by_vectors(product):
    """The product with a matrix, column by column."""
    return lambda X: np.stack([product(x) for x in X.T], axis=1)


# %% book/foundations/linear_map.ipynb: OperatorMap
class OperatorMap(LinearMap):
    """A scipy.sparse.linalg.LinearOperator: nothing but products."""

    def __init__(self, A, name):
        self.A, self.name, self.exponent = A, name, None
        self.shape, self.dtype = A.shape, work_dtype(np.dtype(_operator_dtype(A)), name)
        self._matmat = A.matmat if _says(A, "matmat") else _by_vectors(A.matvec)
        self._rmatmat = A.rmatmat if _says(A, "rmatmat") else _by_vectors(A.rmatvec)

    def _times(self, X):                            # SciPy cannot multiply by nothing
        return self._as_declared(self._matmat(X) if X.size else np.zeros((self.shape[0], 0)), X)

    def _adjoint_times(self, Y):
        try:
            X = self._rmatmat(Y) if Y.size else np.zeros((self.shape[1], 0))
        except (NotImplementedError, RecursionError, TypeError) as error:     # as SciPy has it
            raise TypeError(f"{self.name} is a LinearOperator without an adjoint; "
                            "allowed is one with rmatvec or rmatmat") from error
        return self._as_declared(X, Y)

    def _as_declared(self, Y, X):
        """The product Y with X in the dtype of both; a complex one of two real ones is refused."""
        Y, dtype = np.asarray(Y), np.result_type(self.dtype, X)
        if work_dtype(Y.dtype, f"a product with {self.name}").kind == "c" != dtype.kind:
            raise TypeError(f"{self.name} has dtype {self.dtype}, and its product with a real "
                            f"vector has {Y.dtype}; allowed is dtype={Y.dtype} for such a "
                            "LinearOperator")
        return Y.astype(dtype, copy=False)

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
        A = np.empty(self.shape, self.dtype)
        for rows, columns, block in self._blocks():
            A[rows, columns] = block
        return A

    def _blocks(self):
        """Up to 64 columns at a time, or rows where these are fewer and there is an adjoint."""
        m, n = self.shape
        width, every = max(8, min(64, 2**22 // max(m, n))), slice(None)
        by_rows = m < n and self._has_adjoint()
        for i in range(0, m if by_rows else n, width):
            cut = slice(i, i + width)
            yield (cut, every, self._rows(cut)) if by_rows else (every, cut, self._columns(cut))

    def _has_adjoint(self):
        try:
            return self._adjoint_times(np.zeros((self.shape[0], 1), self.dtype)) is not None
        except TypeError:
            return False


class _ProductMap(OperatorMap):
    """One of our own factored results."""

    __init__ = LinearMap.__init__

    def _times(self, X):
        return self.A @ X

    def _adjoint_times(self, Y):
        return (Y.conj().T @ self.A).conj().T


# %% book/foundations/linear_map.ipynb: _AdjointMap
class _AdjointMap(LinearMap):
    """The map of A^H, which shares everything with the map of A."""

    def __init__(self, parent):
        self.parent, self.name = parent, parent.name
        self.shape, self.dtype = parent.shape[::-1], parent.dtype
        self.apply, self.adjoint_apply = parent.adjoint_apply, parent.apply
        self.column_norms, self.row_norms = parent.row_norms, parent.column_norms
        self.unscale, self.in_memory = parent.unscale, parent.in_memory

    adjoint = property(lambda self: self.parent)
    exponent = property(lambda self: self.parent.exponent)

    def columns(self, J):
        return self.parent.rows(J).conj().T

    def rows(self, I):
        return self.parent.columns(I).conj().T

    def dense(self):
        return self.parent.dense().conj().T


# %% book/foundations/linear_map.ipynb: linear_map
def linear_map(A, name="A", *, sweep=True):
    """The linear map of whatever a user may pass as a matrix.

    ``sweep=False`` leaves NaN, Inf and the unit of an array to its first product, as for the
    other kinds: for callers whose first product reads every entry, such as the norms.
    """
    if isinstance(A, LinearMap):
        return A
    if isinstance(A, (Factored, LinearOperator, np.memmap)) or sparse.issparse(A):
        check_shape(A.shape, name)
    if isinstance(A, Factored):
        return _ProductMap(A, name)
    if isinstance(A, LinearOperator):
        return OperatorMap(A, name)
    if isinstance(A, np.memmap):
        return _MemoryMap(A, name)
    if sparse.issparse(A):
        return _SparseMap(A, name)
    A = as_matrix(A, name, finite=False)
    return DenseMap(A, name, _array_unit(A, name) if sweep else None)

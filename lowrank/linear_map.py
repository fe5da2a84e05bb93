r"""A matrix through its products.

A method for low rank needs $X\mapsto AX$, $Y\mapsto A^{\mathsf H}Y$ and now and then a row or a
column of $A$: this chapter gives an array, a sparse matrix, a file and a pair of functions these
few verbs, and nothing else.

Generated from book/foundations/linear_map.ipynb; edit the chapter.
"""

import math
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

    def reconstruct(self):
        """The product as one array: m n numbers."""
        return reduce(np.matmul, self.factors)

    def __matmul__(self, x):
        *others, last = self.factors
        x = _operand(x, last.shape[-1], -2)
        if x.ndim == 1:
            return (self @ x[:, None])[..., 0]
        return reduce(lambda y, F: F @ y, reversed(others), _times(last, x))

    def __rmatmul__(self, x):
        first, *others = self.factors
        x = _operand(x, first.shape[-2], -1)
        if x.ndim == 1:
            return (x[None] @ self)[..., 0, :]
        xF = _times(first.mT, x.T).mT if sparse.issparse(x) else x @ first
        return reduce(np.matmul, others, xF)

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


# %% book/foundations/linear_map.ipynb: LinearMap
def _squared_norms(X, axis):
    """Sums of |x|^2 along an axis as they come, kept as length 1."""
    if X.strides[axis] == X.itemsize:                       # dot products
        squares = np.vecdot(X, X, axis=axis).real
    else:
        parts = (X.real, X.imag) if np.iscomplexobj(X) else (X,)
        kept = "ij,ij->j" if axis == 0 else "ij,ij->i"
        squares = sum(np.einsum(kept, part, part) for part in parts)
    return np.expand_dims(squares, axis)


class LinearMap:
    """Products with 2**-exponent A. A subclass says how one kind of input multiplies."""

    def __init__(self, A, name, exponent=None):
        self.A, self.name, self.exponent = A, name, exponent
        self.shape, self.dtype = A.shape, work_dtype(np.dtype(A.dtype), name)

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
        return _AdjointMap(self)

    def unscale(self, X):
        """2**e X: back in the units of A."""
        return shifted(X, self.exponent or 0)

    def _scaled(self, Y):
        """Refuse what is not finite; scale by the power of two that the first product sets."""
        if not np.isfinite(Y).all():
            raise ValueError(f"a product with {self.name} contains NaN or Inf; every entry must "
                             "be finite, and small enough that sums do not overflow")
        if self.exponent is None and (peak := peak_of(Y).item()):
            self.exponent = _unit(peak, Y.dtype)
        return shifted(Y, -(self.exponent or 0))

    def _norms(self, axis):
        norms = np.zeros(self._norms_shape(axis), self.dtype.char.lower())
        for block_rows, block_columns, block in self._blocks():
            part = norms[:, block_columns] if axis == 0 else norms[block_rows]
            part[...] = np.hypot(part, safe_norms(block, axis))
        return norms

    def _norms_shape(self, axis):
        return (1, self.shape[1]) if axis == 0 else (self.shape[0], 1)


# %% book/foundations/linear_map.ipynb: DenseMap
class DenseMap(LinearMap):
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
            norms[~safe] = safe_norms(lines, axis).ravel()
        return norms


class _MemoryMap(DenseMap):
    """An array in a file (numpy.memmap): read in slabs, in order, never whole."""

    _norms = LinearMap._norms

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


# %% book/foundations/linear_map.ipynb: _SparseMap
class _SparseMap(DenseMap):
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
        if not data.size or not np.isfinite(peak := peak_of(data[None]).item()):
            return np.full(self._norms_shape(axis), peak if data.size else 0.0)
        e = exponent_of(peak)
        squares = np.abs(shifted(data, -e))**2
        squares = type(self.A)((squares, self.A.indices, self.A.indptr), shape=self.shape)
        norms = np.sqrt(np.asarray(squares.sum(axis=axis)))
        return shifted(norms.reshape(self._norms_shape(axis)), e)


# %% book/foundations/linear_map.ipynb: OperatorMap
class OperatorMap(LinearMap):
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


class _ProductMap(OperatorMap):
    """One of our own factored results."""

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
        self.unscale = parent.unscale

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
        return _SparseMap(A if A.format in ("csr", "csc") else A.tocsr(), name)
    A = as_matrix(A, name, finite=False)
    return DenseMap(A, name, _unit(finite_peak(A, name).item(), A.dtype) if sweep else None)

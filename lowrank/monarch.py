r"""Monarch matrices.

Which matrix $M'$, small after its indices have been split, $M'_{ab,ce}=\sum_\rho
L_{bac\rho}\,R_{cb\rho e}$, is nearest to a given $M$, how near does it come, and what can be
computed with it in $O(n^{3/2})$?

Generated from book/structure/monarch.ipynb; edit the chapter.
"""

import math
from collections import namedtuple
from functools import reduce
from itertools import product

import numpy as np
from array_api_compat import is_jax_array
from scipy import sparse

from lowrank.arguments import check_choice, check_count
from lowrank.arrays import (
    adjoint,
    array_namespace,
    as_floats,
    as_matrix,
    as_stack,
    check_finite,
    constant,
    device,
    exponent_of,
    is_numpy_array,
    is_tensor,
    peak_of,
    power_of_two,
    quiet,
    safe_divisor,
    shifted,
    single,
    singular_values,
)
from lowrank.clipping import recombined
from lowrank.linear_map import Factored
from lowrank.polar_factor import decomposed

__all__ = [
    "Monarch",
    "monarch_project",
    "monarch_dense",
    "monarch_matmul",
    "MonarchOption",
    "monarch_options",
    "dft_monarch",
    "monarch_solve",
    "monarch_slogdet",
]


# %% book/structure/monarch.ipynb: _permuted
def _permuted(X, *order):
    """X with its last axes in this order."""
    lead = X.ndim - len(order)
    return array_namespace(X).permute_dims(X, (*range(lead), *(lead + i for i in order)))


def _reshaped(X, count, *shape):
    """X with its last axes, so many, in another shape."""
    return array_namespace(X).reshape(X, (*X.shape[:X.ndim - count], *shape))


def _slices(M, k, l):
    """The slices of each matrix, of shape (..., k, l, q, p)."""
    m, n = M.shape[-2:]
    return _permuted(_reshaped(M, 2, m // l, l, k, n // k), 2, 1, 0, 3)


def _dense(L, R):
    """The matrices with these factors."""
    S = _permuted(L, 0, 2, 1, 3) @ _permuted(R, 1, 0, 2, 3)             # (..., l, k, q, p)
    l, k, q, p = S.shape[-4:]
    return _reshaped(_permuted(S, 2, 0, 1, 3), 4, q * l, k * p)


# %% book/structure/monarch.ipynb: _divisors
def _divisors(n):
    """The divisors of n, in order."""
    return [d for d in range(1, n + 1) if n % d == 0]


def _near_root(n):
    """The divisor of n that is nearest to its root, by ratio; of two the smaller one."""
    return min(_divisors(n), key=lambda d: max(d * d / n, n / (d * d)))


def _check_divisor(d, name, n, what):
    """d as an int, if it divides n."""
    d = check_count(d, f"{name} of blocks", 1)
    if n % d:
        raise ValueError(f"{name} of blocks is {d}, and there are {n} {what}; allowed are the "
                         f"divisors of {n}: {', '.join(map(str, _divisors(n)))}")
    return d


def _check_blocks(blocks, m, n):
    """(k, l), where k divides n and l divides m; those nearest to the roots for None."""
    if not m or not n:
        raise ValueError(f"M has shape {(m, n)}; allowed is at least one row and one column")
    if blocks is None:
        return _near_root(n), _near_root(m)
    try:
        k, l = blocks
    except (TypeError, ValueError):
        raise ValueError(f"blocks is {blocks!r}; allowed are two integers (k, l)") from None
    return _check_divisor(k, "k", n, "columns"), _check_divisor(l, "l", m, "rows")


# %% book/structure/monarch.ipynb: _together
def _together(**arrays):
    """The arrays as finite floats of one library and one dtype."""
    (first, _), *_ = arrays.items()
    found = {name: as_floats(x, name) for name, x in arrays.items()}
    xp = found[first][0]
    for name, (other, x) in found.items():
        if other is not xp:
            raise TypeError(f"{name} is a {type(x).__name__} and {first} is a "
                            f"{type(found[first][1]).__name__}; both must belong to one array "
                            "library")
        check_finite(x, name)
    dtype = reduce(xp.result_type, (x for _, x in found.values()))
    return [xp.astype(x, dtype, copy=False) for _, x in found.values()]


def _check_pair(L, R):
    """Refuse what are not the factors of one matrix."""
    fits = L.ndim > 3 and R.ndim > 3
    if not (fits and R.shape[-4:-1] == (L.shape[-2], L.shape[-4], L.shape[-1])):
        raise ValueError(f"L has shape {tuple(L.shape)} and R has shape {tuple(R.shape)}; "
                         "allowed are (..., l, q, k, r) and (..., k, l, r, p)")


def _check_rows(X, name, rows):
    """Refuse what is no matrix with so many rows."""
    if X.ndim < 2 or X.shape[-2] != rows:
        raise ValueError(f"{name} has shape {tuple(X.shape)}; allowed is (..., {rows}, s)")


# %% book/structure/monarch.ipynb: _flat
def _flat(L, R):
    """The blocks L_b, (..., l, q, k r), and R_c, (..., k, l r, p)."""
    (l, q, k, r), p = L.shape[-4:], R.shape[-1]
    return _reshaped(L, 4, l, q, k * r), _reshaped(R, 4, k, l * r, p)


def _product(L, R, X):
    """M X."""
    (l, q, k, r), p, s = L.shape[-4:], R.shape[-1], X.shape[-1]
    Lb, Rc = _flat(L, R)
    Z = _reshaped(Rc @ _reshaped(X, 2, k, p, s), 3, k, l, r, s)
    Y = Lb @ _reshaped(_permuted(Z, 1, 0, 2, 3), 4, l, k * r, s)
    return _reshaped(_permuted(Y, 1, 0, 2), 3, q * l, s)


def _adjoint_product(L, R, Y):
    """M^H Y."""
    (l, q, k, r), p, s = L.shape[-4:], R.shape[-1], Y.shape[-1]
    Lb, Rc = _flat(L, R)
    Z = adjoint(Lb) @ _permuted(_reshaped(Y, 2, q, l, s), 1, 0, 2)
    Z = _permuted(_reshaped(Z, 3, l, k, r, s), 1, 0, 2, 3)
    return _reshaped(adjoint(Rc) @ _reshaped(Z, 4, k, l * r, s), 3, k * p, s)


# %% book/structure/monarch.ipynb: Monarch
class Monarch(Factored):
    """A matrix with slices of rank r, M[a l + b, c p + e] = sum_t L[b, a, c, t] R[c, b, t, e].

    Attributes
    ----------
    L : array, shape (..., l, q, k, r)
        Blocks L_b for the low digit b of a row; m = q l.
    R : array, shape (..., k, l, r, p)
        Blocks R_c for the high digit c of a column; n = k p.
    """

    def __init__(self, L, R):
        L, R = as_floats(L, "L")[1], as_floats(R, "R")[1]
        _check_pair(L, R)
        vars(self).update(L=L, R=R)

    @property
    def factors(self):
        """L and R."""
        return self.L, self.R

    @property
    def blocks(self):
        """(k, l): how many blocks R and L have."""
        return self.R.shape[-4], self.L.shape[-4]

    @property
    def shape(self):
        """(..., m, n)."""
        (l, q), (k, p) = self.L.shape[-4:-2], (self.R.shape[-4], self.R.shape[-1])
        return *np.broadcast_shapes(self.L.shape[:-4], self.R.shape[:-4]), q * l, k * p

    @property
    def ndim(self):
        """Number of axes: 2, more for a stack."""
        return len(self.shape)

    @property
    def dtype(self):
        """The dtype of the product."""
        return array_namespace(self.L).result_type(self.L, self.R)

    @property
    def rank(self):
        """The rank r of a slice, at most."""
        return self.L.shape[-1]

    def reconstruct(self):
        """The matrix as one array: m n numbers."""
        return monarch_dense(self.L, self.R)

    def __matmul__(self, x):
        if is_numpy_array(self.L):
            return super().__matmul__(x)
        x = as_floats(x, "x")[1]
        columns = x[:, None] if x.ndim == 1 else x
        y = monarch_matmul(self.L, self.R, columns)
        return y[..., 0] if x.ndim == 1 else y

    def _right(self, x):
        if sparse.issparse(x):
            x = x.toarray()
        if not isinstance(x, np.ndarray):                    # a result or an operator
            x = x @ np.eye(x.shape[-1], dtype=x.dtype)
        return _product(self.L, self.R, x)

    def _left(self, x):
        x = x.toarray() if sparse.issparse(x) else x
        return _adjoint_product(self.L.conj(), self.R.conj(), x.mT).mT

    def __repr__(self):
        (k, l), size = self.blocks, " x ".join(map(str, self.shape))
        return (f"<{type(self).__name__}: {size} in {k} x {l} slices of rank {self.rank}, "
                f"{self.dtype}>")


# %% book/structure/monarch.ipynb: monarch_project
_SHARES = {"balanced": 0.5, "left": 1.0, "right": 0.0}       # the part of log s that L takes


@quiet
def monarch_project(M, blocks=None, rank=1, *, side="balanced"):
    r"""The Monarch matrix that is nearest to M: each slice at its best rank.

    Parameters
    ----------
    M : array, shape (..., m, n)
        A matrix or a stack of matrices of NumPy, PyTorch or JAX, real or complex.
    blocks : pair of integers (k, l), optional
        k divides n and l divides m: a slice has m / l rows and n / k columns. Default are the
        divisors nearest to the square roots.
    rank : int >= 1, default 1
        The rank of a slice, at most min(m / l, n / k).
    side : {"balanced", "left", "right"}
        Which factor takes the singular values: both half of each, L, or R. The other one
        then has orthonormal rows, or columns, in each slice.

    Returns
    -------
    Monarch
        Unpacks to L and R, of the library, dtype and device of M. ``rank * (k m + l n)``
        numbers.

    Raises
    ------
    ValueError
        Blocks that do not divide the shape, a rank out of range, NaN or Inf, a matrix without
        rows or columns.
    TypeError
        A dtype without meaning, or a rank that is no integer.

    Notes
    -----
    k l singular value decompositions of slices, O(m n min(m / l, n / k)) operations, exact to
    rounding. Fit for ``vmap``, ``jit`` and ``torch.compile``.

    Derivatives are those of the product L R. They are exact, to second order where the singular
    values of each slice are apart, and to first order where some are equal, as long as
    s_r > s_(r+1) in every slice. Where s_r = s_(r+1) > 0 the product has no derivative, and a
    finite number comes out. In a slice whose rank is below r, factors that share the singular
    values cannot reach what would raise it: that part of the derivative comes out as 0. L and R
    alone are given only up to an invertible matrix for each slice; what is found of a function
    that depends on this choice has no meaning.

    Derived in :ref:`monarch-projection-section`, :prf:ref:`monarch-projection` and
    :prf:ref:`monarch-frames`; Dao et al. (2022), Su (2024m).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import monarch_project
    >>> A = np.kron(np.diag([1.0, 2.0]), np.ones((3, 3)))
    >>> M = monarch_project(A, (2, 3))
    >>> M
    <Monarch: 6 x 6 in 2 x 3 slices of rank 1, float64>
    >>> L, R = M
    >>> L.shape, R.shape, bool(np.allclose(M @ np.arange(6), A @ np.arange(6)))
    ((3, 2, 2, 1), (2, 3, 1, 3), True)
    """
    xp, M = as_stack(M, "M")
    k, l = _check_blocks(blocks, *M.shape[-2:])
    check_choice(side, "side", tuple(_SHARES))
    S = _slices(M, k, l)
    q, p = S.shape[-2:]
    r = check_count(rank, "rank", 1, min(q, p), f" for slices of shape {(q, p)}")
    unit = power_of_two(peak_of(S))
    U, V = _split(single(S / unit), r, _SHARES[side])
    unit, share = single(unit), _SHARES[side]
    U, V = U * unit**share, V * unit**(1 - share)            # (..., k, l, q, r) and (..., r, p)
    return Monarch(xp.astype(_permuted(U, 1, 2, 0, 3), M.dtype, copy=False),
                   xp.astype(V, M.dtype, copy=False))


# %% book/structure/monarch.ipynb: _split
def _split(B, r, share):
    """(U s)^share and s^(1-share) V^H of rank r, whose product has the derivative of the best."""
    xp = array_namespace(B)
    U, s, Vh = decomposed(B)
    D = _change(B, U, s, Vh, r) if is_tensor(B) or is_jax_array(B) else None
    U, s, Vh = U[..., :r], s[..., None, :r], Vh[..., :r, :]
    left, right = (xp.astype(v, U.dtype) for v in (s**share, s.mT**(1 - share)))
    if D is None:
        return U * left, right * Vh
    U, W = _moved(D, *map(constant, (U, s, Vh)))
    return U * constant(left), constant(right) * W


# %% book/structure/monarch.ipynb: monarch_dense
@quiet
def monarch_dense(L, R):
    r"""M[a l + b, c p + e] = sum over t of L[b, a, c, t] R[c, b, t, e], as a matrix.

    Parameters
    ----------
    L : array, shape (..., l, q, k, r)
        Left factor, NumPy, PyTorch or JAX.
    R : array, shape (..., k, l, r, p)
        Right factor.

    Returns
    -------
    array, shape (..., q * l, k * p)
        The matrix, in the dtype of both.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf.
    TypeError
        A dtype without meaning, or arrays of two libraries.

    Notes
    -----
    m n r multiplications; for products with M take `monarch_matmul`. Derived in
    :ref:`monarch-slices-section`, :prf:ref:`monarch-slices`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import monarch_dense, monarch_project
    >>> A = np.arange(16.0).reshape(4, 4)
    >>> L, R = monarch_project(A, (2, 2), rank=2)
    >>> bool(np.allclose(monarch_dense(L, R), A))
    True
    """
    L, R = _together(L=L, R=R)
    _check_pair(L, R)
    return array_namespace(L).astype(_dense(single(L), single(R)), L.dtype, copy=False)


@quiet
def monarch_matmul(L, R, X, *, adjoint=False):
    r"""M X, or M^H X, for the Monarch matrix with the factors L and R, which is never formed.

    Parameters
    ----------
    L, R : array
        As for `monarch_dense`.
    X : array, shape (..., n, s)
        Columns to multiply; with ``adjoint=True`` of shape (..., m, s).
    adjoint : bool, default False
        Multiply by the conjugate transpose.

    Returns
    -------
    array, shape (..., m, s)
        The product, with ``adjoint=True`` of shape (..., n, s), in the dtype of all three.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf.
    TypeError
        As for `monarch_dense`.

    Notes
    -----
    ``r * (k m + l n)`` multiplications for each column, in two batches of products of
    matrices: 2 n^1.5 for n = m, k = l = sqrt(n), r = 1, instead of n^2. One column at a time
    the small matrices cost more than they save for n up to several hundred. Half precision
    is multiplied in float32. Derived in :ref:`monarch-slices-section`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import dft_monarch, monarch_matmul
    >>> L, R, order = dft_monarch(12)
    >>> X = np.random.default_rng(0).standard_normal((12, 3))
    >>> bool(np.allclose(monarch_matmul(L, R, X[order]), np.fft.fft(X, axis=0)))
    True
    """
    L, R, X = _together(L=L, R=R, X=X)
    _check_pair(L, R)
    rows = L.shape[-4] * L.shape[-3] if adjoint else R.shape[-4] * R.shape[-1]
    _check_rows(X, "X", rows)
    times = _adjoint_product if adjoint else _product
    Y = times(single(L), single(R), single(X))
    return array_namespace(X).astype(Y, X.dtype, copy=False)


# %% book/structure/monarch.ipynb: _change
def _change(B, U, s, Vh, r):
    """Zero, with the derivative of the best approximation of rank r."""
    xp = array_namespace(B)
    kept = xp.astype(xp.arange(s.shape[-1], device=device(B)) < r, s.dtype)
    X = recombined(B, U, s, Vh, s * kept, xp.broadcast_to(kept, s.shape))
    return X - constant(X)


def _moved(D, U, s, Vh):
    """U + D V S^-1 and V^H + C^-1 U^H D (I - V V^H), to second order in D."""
    inverse = array_namespace(s).where(s > 0, 1 / safe_divisor(s), 0.0)
    UhD, DV = (adjoint(U) @ D) * inverse.mT, (D @ adjoint(Vh)) * inverse
    UhDV = UhD @ adjoint(Vh)
    beside = UhD - UhDV @ Vh
    return U + DV, Vh + beside - UhDV @ beside


# %% book/structure/monarch.ipynb: MonarchOption
class MonarchOption(namedtuple("MonarchOption", "blocks rank error parameters")):
    """One way to spend a budget, as `monarch_options` lists them; see there."""

    __slots__ = ()


@np.errstate(all="ignore")
def monarch_options(M, budget):
    r"""For every pair of blocks the rank that a budget allows, and the error: the best first.

    Parameters
    ----------
    M : array, shape (m, n)
        The matrix to approximate, NumPy.
    budget : int >= 1
        How many numbers L and R may have together, at least m + n.

    Returns
    -------
    list of MonarchOption
        Named tuples of ``blocks`` (k, l) and ``rank``, as `monarch_project` takes them, the
        relative ``error`` in the Frobenius norm and ``parameters``, how many numbers these
        are. Blocks (1, 1) are the truncated singular value decomposition of M itself. Errors at
        round-off count as equal; of these the one with fewest parameters comes first.

    Raises
    ------
    ValueError
        A budget below m + n, NaN or Inf, or what is no matrix.
    TypeError
        A dtype without meaning, or a budget that is no integer.

    Notes
    -----
    The singular values of all slices, O(m n min(m / l, n / k)) operations for a pair of
    divisors: together about six times those of M if m = n is a power of two. All errors are
    exact (:prf:ref:`monarch-projection`), none is estimated. Derived in
    :ref:`monarch-nesting-section`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import monarch_options
    >>> A = np.kron(np.eye(4), 1 / (1 + np.add.outer(np.arange(3), np.arange(3))))
    >>> best = monarch_options(A, 100)[0]
    >>> best.blocks, best.rank, best.parameters, best.error < 1e-15
    ((4, 3), 1, 84, True)
    """
    M = as_matrix(M, "M")
    m, n = M.shape
    budget = check_count(budget, "budget", m + n, where=f" for shape {M.shape}")
    M = shifted(M, -exponent_of(peak_of(M)))
    whole, floor = np.linalg.norm(M) or 1.0, 8 * np.finfo(M.dtype).eps
    found = []
    for k, l in product(_divisors(n), _divisors(m)):
        rank = min(budget // (k * m + l * n), m // l, n // k)
        if rank:
            rest = singular_values(_slices(M, k, l))[..., rank:]
            error = float(np.linalg.norm(rest.astype(float)) / whole)
            found.append(MonarchOption((k, l), rank, error, rank * (k * m + l * n)))
    return sorted(found, key=lambda option: (max(option.error, floor), option.parameters))


# %% book/structure/monarch.ipynb: dft_monarch
def dft_monarch(n, blocks=None):
    r"""The matrix of `numpy.fft.fft` as a Monarch matrix of rank 1, and the order of its columns.

    Parameters
    ----------
    n : int >= 1
        The length of the transform.
    blocks : pair of integers (k, l), optional
        k l = n. Default are those nearest to the square root.

    Returns
    -------
    L : array, shape (l, k, k, 1)
        Transforms of length k, and twiddle factors; complex128, NumPy.
    R : array, shape (k, l, 1, l)
        Transforms of length l.
    order : array of int, shape (n,)
        ``Monarch(L, R) @ x[order]`` is ``numpy.fft.fft(x)``.

    Raises
    ------
    ValueError
        An n below 1, or blocks with k l != n.
    TypeError
        An n that is no integer.

    Notes
    -----
    n (k + l) numbers; exponents are reduced as integers, so that every entry has an error
    near eps for any n. Derived in :ref:`monarch-fourier`, :prf:ref:`fft-is-monarch`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import Monarch, dft_monarch
    >>> L, R, order = dft_monarch(6, (2, 3))
    >>> x = np.array([1.0, 0.0, 2.0, 0.0, 0.0, 1.0])
    >>> bool(np.allclose(Monarch(L, R) @ x[order], np.fft.fft(x)))
    True
    >>> order.tolist()
    [0, 2, 4, 1, 3, 5]
    """
    n = check_count(n, "n", 1)
    k, l = _check_blocks((n // _near_root(n), _near_root(n)) if blocks is None else blocks, n, n)
    if k * l != n:
        raise ValueError(f"blocks is {(k, l)}; allowed are two integers whose product is {n}")
    root = lambda exponent: np.exp(-2j * np.pi / n * (exponent % n))
    high, low = np.arange(k), np.arange(l)
    a, c, b, e = high[:, None], high, low[:, None, None], low
    L = root(a * c * l + b * c)[..., None]
    R = np.broadcast_to(root(low[:, None] * e * k)[:, None], (k, l, 1, l)).copy()
    return L, R, (e * k + high[:, None]).ravel()


# %% book/structure/monarch.ipynb: _square_blocks
def _square_blocks(L, R):
    """The blocks of an invertible kind, (..., l, k, k) and (..., k, l, l)."""
    (l, q, k, r), p = L.shape[-4:], R.shape[-1]
    if (q, p, r) != (k, l, 1):
        raise ValueError(f"L has shape {tuple(L.shape)} and R has shape {tuple(R.shape)}; allowed "
                         "are rank 1 and square blocks, (..., l, k, k, 1) and (..., k, l, 1, l)")
    return L[..., 0], R[..., 0, :]


def _solution(Lb, Rc, Y):
    """M^-1 Y."""
    (l, k), s, solve = Lb.shape[-3:-1], Y.shape[-1], array_namespace(Y).linalg.solve
    Z = solve(Lb, _permuted(_reshaped(Y, 2, k, l, s), 1, 0, 2))
    return _reshaped(solve(Rc, _permuted(Z, 1, 0, 2)), 3, k * l, s)


def _adjoint_solution(Lb, Rc, Y):
    """M^-H Y."""
    (l, k), s, solve = Lb.shape[-3:-1], Y.shape[-1], array_namespace(Y).linalg.solve
    Z = solve(adjoint(Lb), _permuted(solve(adjoint(Rc), _reshaped(Y, 2, k, l, s)), 1, 0, 2))
    return _reshaped(_permuted(Z, 1, 0, 2), 3, k * l, s)


# %% book/structure/monarch.ipynb: monarch_solve
@quiet
def monarch_solve(L, R, Y, *, adjoint=False):
    r"""X with M X = Y, or M^H X = Y, for a Monarch matrix of rank 1 with square blocks.

    Parameters
    ----------
    L : array, shape (..., l, k, k, 1)
        Left factor, NumPy, PyTorch or JAX; n = k l.
    R : array, shape (..., k, l, 1, l)
        Right factor.
    Y : array, shape (..., n, s)
        Right-hand sides.
    adjoint : bool, default False
        Solve with the conjugate transpose.

    Returns
    -------
    array, shape (..., n, s)
        The solution, in the dtype of all three.

    Raises
    ------
    ValueError
        Other blocks or ranks, shapes that do not fit, NaN or Inf.
    TypeError
        As for `monarch_dense`.
    numpy.linalg.LinAlgError
        A singular block; PyTorch raises its own error, JAX returns Inf or NaN.

    Notes
    -----
    Two batches of small systems: ``n (k^2 + l^2) / 3`` multiplications, and those of a product
    for each column, instead of n^3 / 3. Of other ranks or blocks the inverse is no such
    product; form the matrix by `monarch_dense`. The condition that counts is that of the blocks.
    Derived in :ref:`monarch-inverse-section`, :prf:ref:`monarch-inverse`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import dft_monarch, monarch_solve
    >>> L, R, order = dft_monarch(6)
    >>> x = monarch_solve(L, R, np.fft.fft(np.arange(6.0))[:, None])[:, 0]
    >>> bool(np.allclose(x, np.arange(6.0)[order]))
    True
    """
    L, R, Y = _together(L=L, R=R, Y=Y)
    _check_pair(L, R)
    Lb, Rc = (single(F) for F in _square_blocks(L, R))
    _check_rows(Y, "Y", Lb.shape[-3] * Rc.shape[-3])
    X = (_adjoint_solution if adjoint else _solution)(Lb, Rc, single(Y))
    return array_namespace(Y).astype(X, Y.dtype, copy=False)


@quiet
def monarch_slogdet(L, R):
    r"""Sign and logarithm of the determinant of a Monarch matrix of rank 1 with square blocks.

    Parameters
    ----------
    L, R : array
        As for `monarch_solve`.

    Returns
    -------
    sign : array, shape (...)
        -1, 0 or 1; a number of modulus 1 for complex factors.
    logabsdet : array, shape (...)
        The logarithm of the absolute value; -Inf for a singular block.

    Raises
    ------
    ValueError, TypeError
        As for `monarch_solve`.

    Notes
    -----
    ``n (k^2 + l^2) / 3`` multiplications instead of n^3 / 3; nothing over- or underflows.
    Derived in :ref:`monarch-inverse-section`, :prf:ref:`monarch-inverse`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import dft_monarch, monarch_slogdet
    >>> sign, logabsdet = monarch_slogdet(*dft_monarch(100)[:2])
    >>> round(float(logabsdet / (50 * np.log(100))), 9)                # |det F| = n^(n/2)
    1.0
    """
    L, R = _together(L=L, R=R)
    _check_pair(L, R)
    xp = array_namespace(L)
    signs, logs = zip(*(xp.linalg.slogdet(single(F)) for F in _square_blocks(L, R)))
    sign = xp.prod(signs[0], axis=-1) * xp.prod(signs[1], axis=-1)
    total = xp.sum(logs[0], axis=-1) + xp.sum(logs[1], axis=-1)
    return xp.astype(sign, L.dtype, copy=False), xp.astype(total, logs[0].dtype, copy=False)


# %% book/structure/monarch.ipynb: two_levels
def two_levels(count):
    """(rows, h) with rows * h >= count, about equal: an index t = h i + g in two digits."""
    h = math.isqrt(max(count - 1, 0)) + 1
    return max(1, -(-count // h)), h


def from_levels(rows, columns, count):
    """The first `count` numbers of rows @ columns, read row by row: (..., count)."""
    return _reshaped(rows @ columns, 2, rows.shape[-2] * columns.shape[-1])[..., :count]

r"""Subspace embeddings.

A random $S$ with few rows keeps the length of every vector of a subspace, $(1-\varepsilon)\lVert
x\rVert\le\lVert Sx\rVert\le(1+\varepsilon)\lVert x\rVert$, and with lengths all that is made of
them: $\min_x\lVert Ax-b\rVert$ for a tall matrix is solved by way of a short one.

Generated from book/low_rank/embeddings.ipynb; edit the chapter.
"""

from collections import namedtuple

import numpy as np
from scipy import linalg, sparse
from scipy.fft import dct

from lowrank.arguments import (
    as_generator,
    check_choice,
    check_count,
    gaussian_matrix,
    refuse_options,
)
from lowrank.arrays import (
    as_matrix,
    cut_off,
    exponent_of,
    peak_of,
    safe_divisor,
    shifted,
    singular_values,
    thin_svd,
    work_dtype,
)
from lowrank.linear_map import OperatorMap, linear_map

__all__ = [
    "Embedding",
    "embedding_distortion",
    "leverage_scores",
    "subspace_embedding",
    "SketchedSolution",
    "sketched_lstsq",
]


# %% book/low_rank/embeddings.ipynb: _with_rows
def _with_rows(A, m):
    """A as floats with m rows: a sparse matrix, or an array with two axes."""
    if sparse.issparse(A):
        A = A.astype(work_dtype(A.dtype, "A"))
    else:
        A = as_matrix(A, empty=True, finite=False)
    if A.shape[0] != m:
        raise ValueError(f"A has shape {A.shape}; allowed is ({m}, n)")
    return A


def _in_double(times, A):
    """times(A) in the dtype of A, but with sums in double precision, some columns at a time."""
    double, n = np.result_type(A.dtype, np.float64), A.shape[1]
    step = n or 1 if A.dtype == double or sparse.issparse(A) else 1 + 2**22 // A.shape[0]
    parts = [times(A[:, j:j + step].astype(double, copy=False)).astype(A.dtype, copy=False)
             for j in range(0, n or 1, step)]
    return np.hstack(parts) if len(parts) > 1 else parts[0]


# %% book/low_rank/embeddings.ipynb: Embedding
class Embedding:
    """A short matrix S for tall ones: ``S @ A`` keeps lengths in the range of A, nearly.

    Parameters
    ----------
    matrix : array or sparse matrix, shape (l, m)
        S itself.

    Notes
    -----
    ``S @ A`` takes a vector (m,), an array (m, n) or a sparse matrix (m, n), and is an array
    in the dtype of A; sums are taken in double precision. `shape` is (l, m), and
    ``S.toarray()`` is S as an array. Derived in
    :ref:`embeddings-lengths`; `subspace_embedding` makes random ones.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import Embedding
    >>> Embedding(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])) @ [3, 4, 5]
    array([ 7., 10.])
    """

    __array_ufunc__ = None                       # an array on the left does not take S apart

    def __init__(self, matrix):
        self.matrix, self.shape = matrix, matrix.shape

    @np.errstate(all="ignore")
    def __matmul__(self, A):
        if np.ndim(A) == 1:
            return (self @ np.asarray(A)[:, None])[:, 0]
        return _in_double(self._times, _with_rows(A, self.shape[1]))

    def _times(self, A):
        """S A as an array, for A in double precision."""
        Y = self.matrix @ A
        return Y.toarray() if sparse.issparse(Y) else Y

    def toarray(self):
        """S as an array."""
        return self @ np.eye(self.shape[1])

    def __repr__(self):
        return f"<Embedding: {self.shape[0]} x {self.shape[1]}>"


# %% book/low_rank/embeddings.ipynb: embedding_distortion
def _range_basis(A):
    """Orthonormal columns that span the range of A to round-off."""
    A = linear_map(A).dense()
    U, s, _ = thin_svd(A)
    return U[:, s > cut_off(None, A) * s[0]]


@np.errstate(all="ignore")
def embedding_distortion(S, A):
    r"""The smallest eps with (1 - eps) norm(A x) <= norm(S A x) <= (1 + eps) norm(A x) for all x.

    Parameters
    ----------
    S : Embedding, array or sparse matrix, shape (l, m)
        The matrix that is to keep lengths.
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix in whose range it is to keep them.

    Returns
    -------
    float
        The distortion: 0 if all lengths are kept, at least 1 if S maps a vector of the range
        to zero.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf.

    Notes
    -----
    The singular values of S Q, for an orthonormal basis Q of the range of A, which costs
    O(m n^2): :prf:ref:`embedding-lengths`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import embedding_distortion
    >>> A = np.ones((4, 1))
    >>> embedding_distortion(np.array([[2.0, 0.0, 0.0, 0.0]]), A)
    0.0
    >>> round(embedding_distortion(np.array([[1.0, 1.0, 1.0, 0.0]]), A), 3)
    0.5
    """
    Q = _range_basis(A)
    s = singular_values(S @ Q)
    lost = Q.shape[1] > len(s)
    return max(np.abs(s - 1).max(initial=0).item(), float(lost))


# %% book/low_rank/embeddings.ipynb: _gaussian
def _gaussian(l, m, rng):
    """Independent normal entries of variance 1 / l."""
    return Embedding(gaussian_matrix(rng, (l, m), float) / l**0.5)


# %% book/low_rank/embeddings.ipynb: _sparse_signs
def _sparse_signs(l, m, nonzeros, rng):
    """In each column, and in each of so many blocks of rows, one entry +-1 / sqrt(nonzeros)."""
    edges = np.arange(nonzeros + 1) * l // nonzeros
    rows = rng.integers(edges[:-1], edges[1:], (m, nonzeros))
    signs = rng.choice([-1.0, 1.0], m * nonzeros) / nonzeros**0.5
    starts = np.arange(0, m * nonzeros + 1, nonzeros)
    return Embedding(sparse.csc_array((signs, rows.ravel(), starts), shape=(l, m)))


# %% book/low_rank/embeddings.ipynb: leverage_scores
@np.errstate(all="ignore")
def leverage_scores(A):
    r"""The squared norms of the rows of an orthonormal basis of the range: diag(A pinv(A)).

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.

    Returns
    -------
    array, shape (m,)
        Numbers from 0 to 1, whose sum is the rank of A.

    Raises
    ------
    ValueError
        NaN or Inf, or what is no matrix.
    TypeError
        A dtype without meaning.

    Notes
    -----
    Singular values below the cut-off of `pinv` count as zero. O(m n min(m, n)).
    Rows drawn in proportion keep lengths: :prf:ref:`row-sampling`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import leverage_scores
    >>> leverage_scores([[1, 0], [1, 0], [0, 5]]).round(3)
    array([0.5, 0.5, 1. ])
    """
    return np.sum(np.abs(_range_basis(A))**2, axis=1)


def _probabilities(p, m):
    """p divided by its sum; equal ones if p is None."""
    p = np.ones(m) if p is None else np.asarray(p)
    allowed = f"{m} finite numbers >= 0, not all of them 0"
    if p.dtype.kind not in "biuf":
        raise TypeError(f"p has dtype {p.dtype}; allowed are {allowed}")
    p = p.astype(float)
    if p.shape != (m,) or not np.all(p >= 0) or not 0 < p.max(initial=0) < np.inf:
        raise ValueError(f"p is {p!r:.60}; allowed are {allowed}")
    p = p / p.max()
    return p / p.sum()


def _sampled_rows(l, m, p, rng):
    """l of the rows, drawn with probabilities p and divided by sqrt(l p)."""
    p = _probabilities(p, m)
    rows = rng.choice(m, l, p=p)
    return Embedding(sparse.csr_array(((l * p[rows])**-0.5, rows, np.arange(l + 1)), shape=(l, m)))


# %% book/low_rank/embeddings.ipynb: _Cosines
class _Cosines(Embedding):
    """sqrt(m / l) R F D: random signs, the orthogonal cosine transform, and l of its m rows."""

    def __init__(self, l, m, rng):
        self.shape, self.signs = (l, m), rng.choice([-1.0, 1.0], (m, 1))
        self.rows = np.sort(rng.choice(m, l, replace=False))

    def _times(self, A):
        """S A, some columns at a time."""
        (l, m), n = self.shape, A.shape[1]
        Y, step = np.empty((l, n), A.dtype), 1 + 2**21 // m
        A = A.tocsc() if sparse.issparse(A) else A
        for j in range(0, n, step):
            some = A[:, j:j + step]
            some = some.toarray() if sparse.issparse(some) else some
            Y[:, j:j + step] = dct(self.signs * some, axis=0, norm="ortho")[self.rows]
        return (m / l)**0.5 * Y


# %% book/low_rank/embeddings.ipynb: subspace_embedding
def subspace_embedding(l, m, kind="sparse", *, nonzeros=None, p=None, rng=None):
    r"""A random S of shape (l, m) with norm(S x) near norm(x) for all x of a small subspace.

    Parameters
    ----------
    l : int >= 1
        Number of rows. The distortion for a subspace of dimension d is about sqrt(d / l); that of
        "rows" only if p are leverage scores, or all leverage scores are alike.
    m : int >= 1
        Number of columns.
    kind : {"sparse", "gaussian", "cosine", "rows"}, default "sparse"
        "sparse": a few random signs in each column. "gaussian": independent normal entries.
        "cosine": random signs, the discrete cosine transform, and l of its rows (l <= m).
        "rows": l rows, drawn with replacement.
    nonzeros : int, 1 <= nonzeros <= l, optional
        Signs in each column of a "sparse" S, 8 by default, or l if there are fewer rows.
    p : array, shape (m,), optional
        Numbers in proportion to which "rows" are drawn; equal ones if they are not given.
        `leverage_scores` are the best.
    rng : None, int or numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    Embedding
        S, which multiplies vectors, arrays and sparse matrices from the left.

    Raises
    ------
    ValueError
        A size or an option out of range, or one that the kind does not take.
    TypeError
        An option of the wrong type.

    See Also
    --------
    embedding_distortion : How well S keeps the lengths in the range of a matrix.
    sketched_lstsq : Least squares by way of S A.

    Notes
    -----
    For A with n columns S A costs 8 m n additions for "sparse" (8 for each stored entry of a
    sparse A), l m n multiplications for "gaussian", O(m n log m) for "cosine" (a sparse A
    becomes dense, some columns at a time), and reads l rows for "rows". Derived in
    :ref:`embeddings`: :prf:ref:`gaussian-embedding`, :prf:ref:`sparse-signs`,
    :prf:ref:`row-sampling`, :prf:ref:`cosines-flatten`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import embedding_distortion, subspace_embedding
    >>> A = np.vander(np.linspace(0, 1, 5000), 10)
    >>> S = subspace_embedding(400, 5000, rng=0)
    >>> (S @ A).shape
    (400, 10)
    >>> embedding_distortion(S, A) < 0.3
    True
    """
    l, m, rng = check_count(l, "l", 1), check_count(m, "m", 1), as_generator(rng)
    check_choice(kind, "kind", ("sparse", "gaussian", "cosine", "rows"))
    refuse_options(f"kind={kind!r}", **{} if kind == "sparse" else {"nonzeros": nonzeros})
    refuse_options(f"kind={kind!r}", **{} if kind == "rows" else {"p": p})
    if kind == "gaussian":
        return _gaussian(l, m, rng)
    if kind == "rows":
        return _sampled_rows(l, m, p, rng)
    if kind == "cosine":
        return _Cosines(check_count(l, "l", 1, m, " for kind='cosine'"), m, rng)
    nonzeros = min(8, l) if nonzeros is None else check_count(nonzeros, "nonzeros", 1, l)
    return _sparse_signs(l, m, nonzeros, rng)


# %% book/low_rank/embeddings.ipynb: _whitening
def _whitening(Y, rtol):
    """N and U with Y N = U, orthonormal: a column for each singular value of Y that counts."""
    U, s, Vh = thin_svd(Y)
    kept = s > cut_off(rtol, Y) * s[0]
    return Vh[kept].conj().T / s[kept], U[:, kept]


def _conjugate_gradients(A, N, x, h):
    """x, h = b - A x and the norms of N^H A^H h, column by column, from step to step."""
    apply, adjoint_apply = (lambda X: A.unscale(A.apply(X)),
                            lambda X: A.unscale(A.adjoint_apply(X)))
    gradient = N.conj().T @ adjoint_apply(h)
    size, direction = np.linalg.norm(gradient, axis=0), gradient
    while True:
        yield x, h, size
        step = N @ direction
        change = apply(step)
        length = size**2 / safe_divisor(np.linalg.norm(change, axis=0)**2)
        x, h = x + length * step, h - length * change
        gradient, before = N.conj().T @ adjoint_apply(h), size
        size = np.linalg.norm(gradient, axis=0)
        direction = gradient + (size / safe_divisor(before))**2 * direction


# %% book/low_rank/embeddings.ipynb: SketchedSolution
class SketchedSolution(namedtuple("SketchedSolution",
                                  "x residual distance rank n_iter converged")):
    """A least-squares solution, and how good it is.

    Attributes
    ----------
    x : array, shape (n,) or (n, k)
        The solution, the shortest one if the rank of A is below n.
    residual : float or array, shape (k,)
        norm(A x - b).
    distance : float or array, shape (k,)
        An estimate of norm(A (x - x_best)), right up to a factor between 1 - eps and 1 + eps
        for an embedding of distortion eps.
    rank : int
        Number of singular values of the sketch that do not count as zero.
    n_iter : int
        Steps that were made.
    converged : bool
        False if `max_iter` ended the iteration.
    """

    __slots__ = ()


def _sketched(S, A):
    """S A; of an operator some columns at a time."""
    if isinstance(A, OperatorMap):
        blocks = range(0, A.shape[1], 64)
        Y = np.hstack([S @ A.unscale(A.columns(slice(j, j + 64))) for j in blocks])
    else:
        Y = S @ A.A
    if not np.isfinite(Y).all():
        raise ValueError(f"the sketch of {A.name} contains NaN or Inf; every entry must be "
                         "finite, and small enough that sums do not overflow")
    return Y


# %% book/low_rank/embeddings.ipynb: _right_sides
def _right_sides(b, m):
    """b as columns of floats, and the exponent of each."""
    b = np.asarray(b)
    if b.ndim not in (1, 2) or len(b) != m:
        raise ValueError(f"b has shape {b.shape}; allowed is ({m},) or ({m}, k)")
    b = as_matrix(b.reshape(m, -1), "b", empty=True)
    return b, exponent_of(peak_of(b.T[..., None])[:, 0, 0])


def _best_step(run, small, most):
    """x, h and the gradient of the best step of each column, and how the iteration ended."""
    x, h, least = next(run)
    n_iter, idle = 0, np.zeros(len(least))
    while True:
        settled = bool(np.all((least <= small) | (idle >= 3)))
        if settled or n_iter == most:
            return x, h, least, n_iter, settled
        *new, size = next(run)
        better = size < least
        x, h = (np.where(better, after, before) for after, before in zip(new, (x, h)))
        least, idle, n_iter = np.minimum(size, least), np.where(better, 0, idle + 1), n_iter + 1


# %% book/low_rank/embeddings.ipynb: sketched_lstsq
@np.errstate(all="ignore")
def sketched_lstsq(A, b, *, l=None, kind="sparse", rtol=None, max_iter=100, rng=None):
    r"""The x that minimises norm(A x - b) for a tall A, by way of a short S A.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix, with many more rows than columns.
    b : array, shape (m,) or (m, k)
        One right side, or several.
    l : int, optional
        Rows of the embedding S, at least n; ``max(8 n, 64)`` by default. With m rows or more
        S is the identity.
    kind : {"sparse", "gaussian", "cosine", "rows"}, default "sparse"
        As for `subspace_embedding`.
    rtol : float, optional
        Singular values of S A up to ``rtol`` times the largest count as zero, as for `pinv`.
    max_iter : int >= 0, default 100
        Most steps of the iteration. With 0, the x that minimises norm(S (A x - b)).
    rng : None, int or numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    SketchedSolution
        Named tuple (x, residual, distance, rank, n_iter, converged).

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or Inf, an option out of range.
    TypeError
        A dtype without meaning, an option of the wrong type, a LinearOperator without adjoint.

    See Also
    --------
    best_factor : The same by a decomposition of A, for arrays of moderate size.

    Notes
    -----
    Costs S A (8 additions for each entry of A), a QR decomposition of (l, n + k) and a singular
    value decomposition of (n, n) numbers, and two passes over A a step. Each step gains a
    factor of about sqrt(n / l), whatever the condition number of A: some 35 steps to
    round-off. Then norm(A (x - x_best)) is a small multiple of what rounding does to any
    method. For a dense A that fits into memory a decomposition takes about as long; a sparse
    one is never filled.

    If S maps a direction of A nearly to zero, as "rows" may, `distance` is too small.
    Derived in :ref:`embeddings-precondition`: :prf:ref:`sketch-and-solve`,
    :prf:ref:`sketch-precondition`. After Rokhlin and Tygert (2008), Avron, Maymounkov and
    Toledo (2010), Meng, Saunders and Mahoney (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import sketched_lstsq
    >>> t = np.linspace(0, 1, 10_000)
    >>> A = np.vander(t, 12)
    >>> found = sketched_lstsq(A, np.exp(t), rng=0)
    >>> np.allclose(A @ found.x, np.exp(t), rtol=1e-12)
    True
    >>> found.rank, found.converged
    (12, True)
    """
    A = linear_map(A)
    (m, n), vector = A.shape, np.ndim(b) == 1
    b, e = _right_sides(b, m)
    b = shifted(b, -e).astype(np.result_type(A.dtype, b.dtype), copy=False)
    most = check_count(max_iter, "max_iter", 0)
    l = max(8 * n, 64) if l is None else check_count(l, "l", n, where=f" for shape {(m, n)}")
    if l < m:
        S = subspace_embedding(l, m, kind, rng=rng)
    else:
        S = Embedding(sparse.eye_array(m, format="csr"))
    Y = _sketched(S, A)
    R = linalg.qr(np.hstack([Y, S @ b]), mode="r", check_finite=False)[0]
    N, U = _whitening(R[:n, :n], cut_off(rtol, Y))        # the triangle has the same N
    x = N @ (U.conj().T @ R[:n, n:])
    run = _conjugate_gradients(A, N, x, b - A.unscale(A.apply(x)))
    small = np.finfo(b.dtype).eps * np.linalg.norm(b, axis=0)
    x, h, distance, n_iter, converged = _best_step(run, small, most)
    x, residual, distance = (shifted(F, e) for F in (x, np.linalg.norm(h, axis=0), distance))
    if vector:
        x, residual, distance = x[:, 0], residual[0], distance[0]
    return SketchedSolution(x, residual, distance, N.shape[1], n_iter, converged)

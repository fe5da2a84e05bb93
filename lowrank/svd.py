r"""The singular value decomposition.

Among all matrices $B$ of rank at most $r$, which one makes $\lVert A-B\rVert$ smallest, how small
is that, and how is it computed when only $r$ of $\min(m,n)$ directions are wanted?

Generated from book/low_rank/svd.ipynb; edit the chapter.
"""

import numpy as np
from scipy import linalg, sparse

from lowrank.arguments import gaussian_matrix, rank_or_tol
from lowrank.arrays import as_matrix, exponent_of, peak_of, shifted, thin_svd
from lowrank.linear_map import Factored, OperatorMap, linear_map

__all__ = ["TruncatedSVD", "truncated_svd"]


# %% book/low_rank/svd.ipynb: fix_signs
def _pivots(U):
    """The largest entry of each column, the first of those that tie; shape (..., 1, r)."""
    size = np.abs(U)
    tied = size >= size.max(-2, keepdims=True) * (1 - np.finfo(U.dtype).eps**0.5)
    return np.take_along_axis(U, tied.argmax(-2)[..., None, :], -2)


def fix_signs(U, Vh):
    """Turn each pair of singular vectors so that the largest entry of u is real and positive."""
    pivot = _pivots(U)
    turn = pivot / np.abs(pivot)
    return U * turn.conj(), Vh * turn.swapaxes(-2, -1)


# %% book/low_rank/svd.ipynb: TruncatedSVD
class TruncatedSVD(Factored):
    """U diag(s) Vh, the leading terms of a singular value decomposition.

    Attributes
    ----------
    U : array, shape (..., m, r)
        Left singular vectors as columns. The largest entry of each is real and positive.
    s : array, shape (..., r)
        Singular values in decreasing order.
    Vh : array, shape (..., r, n)
        Conjugate transposes of the right singular vectors, as rows.
    """

    def __init__(self, U, s, Vh):
        vars(self).update(U=U, s=s, Vh=Vh)

    @property
    def factors(self):
        """U diag(s) and Vh."""
        return self.U * self.s[..., None, :], self.Vh


# %% book/low_rank/svd.ipynb: rank_for_tol
def rank_for_tol(s, tol):
    """Smallest r >= 1 with t_r <= tol t_0, for decreasing s of shape (..., n)."""
    squares = shifted(s, -exponent_of(peak_of(s[..., None, :])[..., 0]))**2
    tails = np.sqrt(np.cumsum(squares[..., ::-1], axis=-1)[..., ::-1])       # t_0 .. t_{n-1}
    return max(1, int(np.sum(tails > tol * tails[..., :1], axis=-1).max(initial=0)))


def representable(s, name="A"):
    """Singular values, or a ValueError where one exceeds the largest number of their dtype."""
    if not np.isfinite(s).all():
        raise ValueError(f"{name} is so large that its singular values overflow {s.dtype}; "
                         f"multiply {name} by a power of two c, which multiplies them by c")
    return s


# %% book/low_rank/svd.ipynb: _combined
def _combined(C, rows):
    """C rows, for a real C."""
    return C.astype(rows.dtype) @ rows


class _Rows:
    """Vectors as the rows of an array that grows."""

    def __init__(self, length, dtype):
        self.array, self.count = np.empty((64, length), dtype), 0

    @property
    def rows(self):
        """All of them."""
        return self.array[:self.count]

    def append(self, x):
        """One more."""
        if self.count == len(self.array):
            larger = np.empty((2 * self.count, len(x)), x.dtype)
            larger[:self.count], self.array = self.array, larger
        self.array[self.count] = x
        self.count += 1

    def replace(self, first, X):
        """These rows in place of all from `first` on."""
        self.count = first + len(X)
        self.array[first:self.count] = X


# %% book/low_rank/svd.ipynb: _eps
def _eps(A):
    """The round-off unit of the dtype in which a linear map computes."""
    return float(np.finfo(A.dtype).eps)


def _length(x):
    """The 2-norm of a vector."""
    return float(np.vdot(x, x).real)**0.5


def _remainder(w, basis):
    """What is left of w without its part in the span of orthonormal rows, and its length."""
    Q, length = basis.rows, _length(w)
    for _ in range(3):
        w = w - (Q @ w.conj()).conj() @ Q
        before, length = length, _length(w)
        if length > 0.7 * before:
            break
    return w, length


# %% book/low_rank/svd.ipynb: _Chain
class _Chain:
    """A V = U B and A^H U = V B^H + v [0 ... 0 r], V and v being the last rows of a basis."""

    def __init__(self, A, start, basis, ends, tiny):
        self.A, self.basis, self.ends, self.tiny = A, basis, ends, tiny
        self.left, self.first, self.eps = _Rows(A.shape[0], A.dtype), basis.count, _eps(A)
        self.alphas, self.columns, self.r, self.closed = [], [], np.empty(0), False
        basis.append(start)

    def step(self):
        """One product with A and one with A^H; a vector that is round-off closes the chain."""
        v, beta = self.basis.rows[-1], 0.0
        u = self.A.apply(v[:, None])[:, 0] - _combined(self.r, self.left.rows[-len(self.r):])
        u, alpha = self._normal(u, self.ends)
        if alpha and self.basis.count < self.A.shape[1]:
            w = self.A.adjoint_apply(u[:, None])[:, 0] - alpha * v
            w, beta = self._normal(w, self.basis)
        if beta:
            self.basis.append(w)
        self.left.append(u)
        self.alphas.append(alpha)
        self.columns.append(self.r)
        self.r, self.closed = np.array([beta]), not beta

    def _normal(self, x, basis):
        """What is left of x, of length 1, and the length that it had; 0 if that is round-off."""
        x, length = _remainder(x, basis) if basis.count else (x, _length(x))
        self.tiny = max(self.tiny, 4 * self.eps * length)
        return (x / length, length) if length > self.tiny else (0 * x, 0.0)


# %% book/low_rank/svd.ipynb: _Triples
class _Triples(_Chain):
    """A chain and its approximate triples."""

    def B(self):
        """The projected matrix, upper triangular."""
        B = np.diag(self.alphas)
        for j, r in enumerate(self.columns):
            B[j - len(r):j, j] = r
        return B

    def values(self):
        """s and Q of B = P diag(s) Q^T, and the residual of each triple."""
        if max(map(len, self.columns)) > 1:                          # after a restart
            P, s, Qt = thin_svd(self.B())
            return s, Qt.T, self.r[-1] * np.abs(P[-1])
        alpha, beta = np.array(self.alphas), np.concatenate(self.columns)
        squares = alpha**2
        squares[1:] += beta**2
        squares, Q = linalg.eigh_tridiagonal(squares, alpha[:-1] * beta, check_finite=False)
        s, Q = np.sqrt(np.maximum(squares[::-1], 0)), Q[:, ::-1]
        return s, Q, self.r[-1] * alpha[-1] * np.abs(Q[-1]) / np.maximum(s, self.eps**4)

    def triples(self, s, Q):
        """U, s, Vh of the leading triples with these approximate s and Q."""
        B, k = self.B(), len(s)
        Q = Q[:, :k] if s[-1] > 0.01 * s[0] else thin_svd(B)[2][:k].T
        P, s, Wt = thin_svd(B @ Q)
        right = self.basis.rows[self.first:self.first + len(B)]
        return TruncatedSVD(_combined(P.T, self.left.rows).T, s, _combined(Wt @ Q.T, right).conj())


# %% book/low_rank/svd.ipynb: _LongChain
class _LongChain(_Triples):
    """A chain that can be restarted from some of its triples."""

    def restart(self, k):
        """Forget all but the k leading triples, and v; their s."""
        P, s, Qt = thin_svd(self.B())
        right, v = self.basis.rows[self.first:-1], self.basis.rows[-1:].copy()
        self.basis.replace(self.first, np.vstack([_combined(Qt[:k], right), v]))
        self.left.replace(0, _combined(P[:, :k].T, self.left.rows))
        self.alphas, self.columns, self.r = [*s[:k]], [np.empty(0)] * k, self.r[-1] * P[-1, :k]
        return s[:k]


# %% book/low_rank/svd.ipynb: _Look
class _Look(_LongChain):
    """A chain that asks whether a singular value of sigma or more is left."""

    def expect(self, sigma, n, delta=1e-3):
        """Begin with the components that its vectors would have, over the first of them."""
        self.sigma, self.most = sigma, 2 * n / (np.pi * delta**2)
        self.c, self.d, self.total, self.missed = 1.0, np.empty(0), 1.0, False
        return self

    def step(self):
        """A step of the chain, and the next two components; closed where the answer is clear."""
        super().step()
        alpha, beta = self.alphas[-1], self.r[-1]
        left = self.sigma * self.c - self.columns[-1] @ self.d
        d = left / alpha if alpha else np.inf
        right = self.sigma * d - alpha * self.c if alpha else left
        self.missed = left < 0 or right < 0 or (right == 0 and beta > 0)
        self.c, self.d = right / beta if beta else np.inf, np.array([d])
        self.total += self.c**2
        self.closed = self.closed or self.missed or self.total > self.most

    def restart(self, k):
        """The components in the vectors that a restart keeps."""
        s = super().restart(k)
        self.d = self.sigma * self.r * self.c / (self.sigma**2 - s**2)
        self.total = np.sum((s * self.d / self.sigma)**2) + self.c**2


# %% book/low_rank/svd.ipynb: _columns_ahead
def _columns_ahead(q, ratio):
    """How many more columns until the last entry of q has fallen by a factor."""
    tail, most = np.abs(q[-4:]), max(8, len(q) // 4)
    if not 0 < tail[-1] < tail.max():
        return most
    rate = np.log(tail.max() / tail[-1]) / (len(tail) - 1 - tail.argmax())
    return int(min(1 + 0.85 * np.log(ratio) / rate, most))


def _is_function(A):
    """Whether products come from a function, whose accuracy has to be measured."""
    return isinstance(getattr(A, "parent", A), OperatorMap)


def _stored(A):
    """What a linear map, or the one of its adjoint, was made of."""
    return getattr(A, "parent", A).A


def _noise(A, v):
    """The relative error of A v, from A v and 3 A (v / 3)."""
    Av = A.apply(v)
    return _length(Av - 3 * A.apply(v / 3)) / (_length(Av) or 1.0) / 2**0.5


class _TooSlow(Exception):
    """Products cost more than the direct way."""


# %% book/low_rank/svd.ipynb: _Search
class _Search:
    """What chains for a linear map with m >= n leave behind: bases, and the triples found."""

    def __init__(self, A, need, budget, patience):
        (m, n), dtype = A.shape, A.dtype
        self.A, self.need, self.budget, self.patience, self.spent = A, need, budget, patience, 0
        self.accuracy, self.measured = 8 * _eps(A), not _is_function(A)
        self.rng = np.random.default_rng(0)
        self.basis, self.ends = _Rows(n, dtype), _Rows(m, dtype)
        self.found = TruncatedSVD(np.empty((m, 0), dtype), np.empty(0), np.empty((0, n), dtype))

    def fresh_chain(self, kind=_LongChain):
        """A chain from a random vector that is orthogonal to the basis."""
        v = gaussian_matrix(self.rng, self.A.shape[1:], self.A.dtype)
        v, length = _remainder(v, self.basis)
        tiny = self.accuracy / 2 * self.found.s.max(initial=0)
        return kind(self.A, v / length, self.basis, self.ends, tiny)

    def grow(self, chain, columns):
        """Steps of a chain within the budget; restarts, where it would fill the memory."""
        longest = max(64 + 4 * self.need(self.found.s), 2**25 // sum(self.A.shape))
        for _ in range(columns):
            if chain.closed:
                return
            if self.spent >= self.budget:
                raise _TooSlow
            if len(chain.alphas) >= longest:
                chain.restart(longest // 2)
            chain.step()
            self.spent += 1


# %% book/low_rank/svd.ipynb: _wanted
def _wanted(search, chain, s, Q, residuals):
    """How many triples of a chain are needed, and how many columns they lack."""
    found = search.found.s
    both = np.sort(np.append(found, s))[::-1]
    k, goal = search.need(both), search.accuracy * both[0]
    larger = np.sum(found[:, None] > s - 2 * goal, axis=0) + np.arange(len(s))
    w = int(np.sum(larger < k))
    if chain.closed:
        return w, 0
    if w + len(found) < k or not w:                     # not w: what was missed is yet to come
        return w, max(k - w - len(found), len(s) // 2)
    if residuals[:w].max(initial=0) > goal:
        worst = residuals[:w].argmax()
        return w, _columns_ahead(Q[:, worst], residuals[worst] / goal)
    sigma = both[k - 1] + 4 * goal
    missing = np.sum(residuals[w:]**2 / (sigma**2 - s[w:]**2)) > 1
    return w, 1 + len(s) // 10 if missing else 0


# %% book/low_rank/svd.ipynb: _converge
def _converge(search, chain):
    """Grow a chain until its leading triples are exact, and take these over."""
    more = 5 * (search.need(search.found.s) - len(search.found.s)) // 4 + 8
    while more:
        search.grow(chain, more)
        s, Q, residuals = chain.values()
        if not search.measured:
            _measure(search, chain, Q[:, :1])
        w, more = _wanted(search, chain, s, Q, residuals)
        flat = w and s[w - 1] >= 0.1 * s[0]                            # squares do no harm then
        if more and search.spent + more > (search.patience if flat else search.budget):
            raise _TooSlow
    if not chain.closed:
        search.basis.count -= 1
        search.ends.append(chain.left.rows[-1])
    if w:
        search.found = _merged(search.found, chain.triples(s[:w], Q), search.need)


# %% book/low_rank/svd.ipynb: _measure
def _measure(search, chain, q):
    """Ask for no more than the products of a function can give."""
    rows = chain.basis.rows[chain.first:chain.first + len(q)]
    search.accuracy = max(search.accuracy, 2 * _noise(search.A, _combined(q.T, rows).T))
    search.measured = True


def _merged(old, new, need):
    """The leading ones of two lists of triples."""
    U, s, Vh = (np.concatenate(pair, axis) for *pair, axis in zip(old, new, (1, 0, 0)))
    order = np.argsort(-s, kind="stable")
    order = order[:need(s[order])]
    return TruncatedSVD(U[:, order], s[order], Vh[order])


# %% book/low_rank/svd.ipynb: _is_complete
def _is_complete(search):
    """Whether a second look finds nothing; if it does, the bases keep what was found only."""
    left, s = search.A.shape[1] - search.basis.count, search.found.s
    if not left:
        return True
    look = search.fresh_chain(_Look).expect(s[-1] + 2 * search.accuracy * s[0], left)
    search.grow(look, left)
    if look.missed:
        search.basis.replace(0, search.found.Vh.conj())
        search.ends.count = 0
    return not look.missed


def _run(search):
    """Grow chains until the triples that they leave are enough, and nothing is missed."""
    _converge(search, search.fresh_chain())
    while search.need(search.found.s) > len(search.found.s) or not _is_complete(search):
        _converge(search, search.fresh_chain())
    return search.found


# %% book/low_rank/svd.ipynb: _mended
def _mended(A, Vh):
    """U, s, Vh from the span of right singular vectors: a product, and a small SVD."""
    W = np.asfortranarray(A.apply(Vh.conj().T))                        # LAPACK makes Q of it
    Q, R = linalg.qr(W, mode="economic", overwrite_a=True, check_finite=False)
    P, s, Wh = thin_svd(R)
    return TruncatedSVD((P.T @ Q.T).T, s, Wh @ Vh)


# %% book/low_rank/svd.ipynb: _check_adjoint
def _check_adjoint(A, found, accuracy):
    """Refuse a function whose adjoint is another one's."""
    if not _is_function(A):
        return
    U, s, Vh = found
    r = np.random.default_rng(1).standard_normal((len(s), 1)).astype(U.dtype)
    left = A.apply(Vh.conj().T @ r) - U @ (s[:, None] * r)
    right = A.adjoint_apply(U @ r) - Vh.conj().T @ (s[:, None] * r)
    residual = max(_length(left), _length(right)) / (_length(r) * s[0] or 1.0)
    if residual > (allowed := 4 * accuracy * A.shape[1]**0.5):
        raise np.linalg.LinAlgError(
            f"{A.name}: products with it and with its adjoint do not belong together; relative to "
            f"the largest singular value they differ by {residual:.1e}, allowed is {allowed:.1e}")


def _from_products(A, need, *budget):
    """As many leading triples as need(s) says, by chains; m >= n."""
    search = _Search(A, need, *budget)
    found = _run(search)
    if found.s[-1] <= 0.01 * found.s[0] or search.accuracy > 8 * _eps(A):
        found = _mended(A, found.Vh)
    _check_adjoint(A, found, search.accuracy)
    return found


# %% book/low_rank/svd.ipynb: _direct_is_better
def _direct_is_better(shape, rank):
    """Whether all triples at once, from an array, cost less than `rank` triples from products."""
    m, n = max(shape), min(shape)
    return rank > n / 5 or n <= 40 or n <= 200 and m * n <= 2**24


def _gram(A, fits):
    """A^H A, up to a power of two, or None where it costs too much."""
    S = _stored(A)
    if sparse.issparse(S) and A.shape[1] <= 5000:
        S = (S if S.shape == A.shape else S.conj().T).tocsr()
        if np.sum(np.diff(S.indptr).astype(float)**2) <= 500 * S.nnz:
            S = S * 2.0**-exponent_of(peak_of(S.data[None])).item()
            return (S.conj().T @ S).toarray()
    if not fits:
        return None
    D = A.dense()
    return D.conj().T @ D


def _by_gram(A, rank, fits):
    """The leading triples by eigenvectors of A^H A, or None where squares lose too much."""
    if (G := _gram(A, fits)) is None:
        return None
    G = shifted(G, -exponent_of(peak_of(G)).item())
    n = len(G)
    squares, V = linalg.eigh(G, subset_by_index=(n - rank, n - 1), check_finite=False)
    return _mended(A, V.conj().T) if squares[0] >= 0.01 * squares[-1] else None


# %% book/low_rank/svd.ipynb: _accurate
def _accurate(A, tol):
    """A, or the same entries in double precision where `tol` asks for that."""
    stored = _stored(A)
    if tol is None or tol >= 64 * _eps(A)**0.5 or A.dtype.char not in "fF" \
            or not (type(stored) is np.ndarray or sparse.issparse(stored)):
        return A
    double = linear_map(stored.astype(np.result_type(A.dtype, np.float64)), A.name)
    return double if double.shape == A.shape else double.adjoint


# %% book/low_rank/svd.ipynb: _needed
def _needed(A, rank, tol, most):
    """The function that says how many terms a list of singular values asks for."""
    if rank is not None:
        return lambda s: rank
    total = np.sum(A.column_norms().astype(np.float64)**2)

    def need(s):
        enough = np.cumsum(np.append(0, s)**2) >= (1 - tol**2) * total
        k = max(1, int(enough.argmax())) if enough.any() else max(len(s) + 1, 16)
        if k > most:
            raise _TooSlow
        return min(k, A.shape[1])

    return need


def _flipped(result):
    """The decomposition of the adjoint."""
    return TruncatedSVD(result.Vh.conj().T, result.s, result.U.conj().T)


def _all_at_once(A, rank, tol):
    """The leading triples of an array, by LAPACK."""
    with A.in_memory():
        U, s, Vh = thin_svd(A.dense())
    r = rank_for_tol(s, tol) if rank is None else rank
    return TruncatedSVD(U[:, :r], s[:r], Vh[:r])


# %% book/low_rank/svd.ipynb: _budgets
def _budgets(A, fits):
    """Columns that chains may take, and how many where the values are flat."""
    n = A.shape[1]
    if not fits:
        return 4 * n, 4 * n
    budget = max(n // 2, min(n, 200))
    return budget, budget // 2 if sparse.issparse(_stored(A)) else budget // 4


def _by_iteration(A, rank, tol, fits):
    """The leading triples from products or squares, or None where the direct way is better."""
    m, n = A.shape
    if rank and n <= min(m / 4, 1000) and (found := _by_gram(A, rank, False)):
        return found
    try:
        most = n // 5 if fits else max(64, 2**25 // (m + n))
        return _from_products(A, _needed(A, rank, tol, most), *_budgets(A, fits))
    except _TooSlow:
        return _by_gram(A, rank, fits) if rank else None


# %% book/low_rank/svd.ipynb: _leading
def _leading(A, rank, tol):
    """The leading triples of a linear map with m >= n, by the way that suits it."""
    m, n = A.shape
    array, smallest = type(_stored(A)) is np.ndarray, 64 * _eps(A)**0.5
    fits, every = array or m * n <= 2**26, tol is not None and tol < smallest
    if every and not fits:
        raise np.linalg.LinAlgError(
            f"{A.name} is {m} x {n}, and tol = {tol} asks for all of its singular values; allowed "
            f"is an array, or tol >= {smallest:.1e}, or m n <= 2^26")
    if every or (array or m * n <= 2**24) and _direct_is_better(A.shape, rank or 1):
        return _all_at_once(A, rank, tol)
    found = _by_iteration(A, rank, tol, fits)
    if not (found or fits):
        raise np.linalg.LinAlgError(
            f"{A.name}: the leading singular values lie too close together, or too many are "
            "needed, to be found from products; try another rank or a larger tol")
    return found or _all_at_once(A, rank, tol)


# %% book/low_rank/svd.ipynb: _stacked
def _stacked(A, rank, tol):
    """truncated_svd of every matrix of a stack, with one rank for all."""
    A = as_matrix(A, stacked=True)
    rank, tol = rank_or_tol(rank, tol, A.shape)
    if A.size and tol is None and not _direct_is_better(A.shape[-2:], rank):
        each = [truncated_svd(X, rank) for X in A.reshape(-1, *A.shape[-2:])]
        return TruncatedSVD(*(np.stack(F).reshape(*A.shape[:-2], *F[0].shape) for F in zip(*each)))
    e = exponent_of(peak_of(A))
    U, s, Vh = thin_svd(shifted(A, -e))
    s = representable(shifted(s, e[..., 0]))
    r = rank_for_tol(s, tol) if rank is None else rank
    U, Vh = fix_signs(U[..., :r], Vh[..., :r, :])
    return TruncatedSVD(U, s[..., :r], Vh)


# %% book/low_rank/svd.ipynb: truncated_svd
@np.errstate(all="ignore")
def truncated_svd(A, rank=None, *, tol=None):
    r"""The best approximation of low rank: the B that minimises norm(A - B) with rank(B) <= rank.

    Give exactly one of `rank` and `tol`.

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n); or array (..., m, n)
        A matrix, or a stack of matrices.
    rank : int, optional
        Number of terms r, from 1 to min(m, n).
    tol : float, optional
        A relative Frobenius error, 0 <= tol < 1. The rank is then the smallest
        r >= 1 with ``norm(A - B, "fro") <= tol * norm(A, "fro")``; for a stack,
        the largest that any of its matrices needs.

    Returns
    -------
    TruncatedSVD
        Unpacks as ``U, s, Vh`` of shapes (..., m, r), (..., r), (..., r, n),
        which multiplies like the product ``(U * s) @ Vh``. The largest entry of
        each column of U is real and positive; among entries equal to within a
        factor ``1 - eps**0.5`` the first counts.

    Raises
    ------
    ValueError
        Both or none of rank and tol, one of them out of range, NaN or Inf, an array that
        is no matrix, or a singular value above the largest number of the dtype.
    TypeError
        A dtype without meaning, or a LinearOperator without adjoint.
    numpy.linalg.LinAlgError
        No convergence, where m n is too large for all singular values to be computed; a
        LinearOperator whose adjoint belongs to another one.

    See Also
    --------
    pinv : The inverse within the same bases.
    estimate_error : Bounds the error from products alone.

    Notes
    -----
    Exact to round-off: residuals are a small multiple of ``eps * s[0]``. The error is
    s_{r+1} in the spectral and (sum of s_i^2 over i > r)^(1/2) in the Frobenius norm, and no
    matrix of rank r has a smaller one.

    All singular values are computed, O(m n min(m, n)), if r > min(m, n) / 5 or the matrix is
    small (min(m, n) <= 40, or <= 200 and m n <= 2^24), where A is an array or m n <= 2^24, and
    for tol < 64 eps^0.5 (of float64 for arrays and sparse matrices), where A is an array or
    m n <= 2^26. Otherwise chains of Golub and Kahan, from a fixed start, multiply one vector
    at a time with A and with A^H, typically 1.5 r + 20 to 4 r + 30 times each. They keep that
    many numbers times m + n, and are restarted beyond max(64 + 4 r, 2^25 / (m + n)) columns.

    Eigenvectors of the smaller of A^H A and A A^H are taken where s_r >= 0.1 s_1, for a sparse
    matrix whose short side is at most 1000 and a quarter of the long one (in twice the memory of
    the result), and where chains have needed min(m, n) / 8 columns (a quarter if A is sparse).
    After min(m, n) / 2 columns all singular values are computed. Both only if A is an array or
    m n <= 2^26; else there is an error after 4 min(m, n) columns. With tol there is one pass
    more, for the norms of the columns (min(m, n) products for a LinearOperator).

    A second look makes sure that no copy of a singular value was missed; its risk is 0.001.
    The products of a LinearOperator may be less accurate than its dtype. Their accuracy is
    measured, and then residuals are small multiples of that.

    Derived in :ref:`svd-truncated`: :prf:ref:`eckart-young-mirsky`, :prf:ref:`golub-kahan`,
    :prf:ref:`residual-certificate`, :prf:ref:`no-room`; after Golub and Kahan (1965).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import truncated_svd
    >>> A = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    >>> U, s, Vh = truncated_svd(A, 2)
    >>> s
    array([3., 2.])
    >>> truncated_svd(A, tol=0.3)
    <TruncatedSVD: 3 x 3 of rank 2, float64>
    >>> truncated_svd(A, 1) @ np.ones(3)
    array([3., 0., 0.])
    """
    if not hasattr(A, "shape"):
        A = as_matrix(A, stacked=True)
    if len(A.shape) != 2:
        return _stacked(A, rank, tol)
    A = linear_map(A)
    rank, tol = rank_or_tol(rank, tol, A.shape)
    A, dtype = _accurate(A, tol), A.dtype
    wide = A.shape[0] < A.shape[1]
    found = _leading(A.adjoint if wide else A, rank, tol)
    U, s, Vh = _flipped(found) if wide else found
    U, Vh = fix_signs(U.astype(dtype, copy=False), Vh.astype(dtype, copy=False))
    s = representable(A.unscale(s).astype(U.real.dtype), A.name)
    return TruncatedSVD(U, s, Vh)

r"""CUR for retrieval.

A query has a score $x_j$ with each of $n$ items, and every score is expensive; from the scores
$x_J$ with a few anchor items alone, $x \approx x_J\,A_{I,J}^{+}\,A_{I,:}$ guesses all the others,
and with them the best items.

Generated from book/low_rank/retrieval.ipynb; edit the chapter.
"""

import math
from collections import namedtuple

import numpy as np

from lowrank.arguments import as_generator, check_count, check_indices, check_tol
from lowrank.arrays import as_matrix, exponent_of, peak_of, round_off, shifted, singular_values
from lowrank.interpolative import interp_decomp
from lowrank.linear_map import Result
from lowrank.pseudo_inverse import orthogonal_parts, unscale_inverse

__all__ = ["Ranking", "CURIndex"]


# %% book/low_rank/retrieval.ipynb: _choose_anchors
def _choose_anchors(scores, count, rng):
    """`count` columns by an interpolative decomposition, then by one of what is left, ..."""
    J, every = np.zeros(0, int), np.arange(scores.shape[1])
    while len(J) < count:
        rest = np.setdiff1d(every, J)
        rank = min(count - len(J), len(scores), len(rest))
        J = np.append(J, rest[interp_decomp(scores[:, rest], rank, rng=rng).columns])
    return J


# %% book/low_rank/retrieval.ipynb: _left_out_errors
_RIDGES = (0.0, *(10.0**(p / 4) for p in range(-24, -3)))       # sqrt(mu), in units of s_1


def _left_out_errors(U, t, L, ridges):
    """norm(errors of rows of L, each predicted from the others) / norm(L), for every ridge."""
    if not L.any():
        return np.zeros(len(ridges))
    least = round_off(U.shape, np.finfo(L.dtype).eps)
    U, t, L = (X.astype(np.float64, copy=False) for X in (U, t, L))
    N = U.T @ L
    rest, free = L - U @ N, 1 - np.sum(U**2, axis=1)
    determined = free <= least
    rest[determined], free[determined] = 0, 0
    errors = []
    for ridge in ridges:
        gone = 1 / (1 + (t / max(ridge, least))**2)             # mu / (t^2 + mu)
        E = (rest + (U * gone) @ N) / (free + U**2 @ gone)[:, None]
        errors.append(np.linalg.norm(E) / np.linalg.norm(L))
    return np.array(errors)


# %% book/low_rank/retrieval.ipynb: _top
def _top(x, k):
    """The k items with the largest of the scores x, best first; of equals the lower number."""
    if k == len(x):
        chosen = np.arange(k)
    else:
        cut = np.partition(x, len(x) - k)[len(x) - k]
        above = np.flatnonzero(x > cut)
        chosen = np.sort(np.append(above, np.flatnonzero(x == cut)[:k - len(above)]))
    return chosen[np.argsort(-x[chosen], kind="stable")]


# %% book/low_rank/retrieval.ipynb: _real_scores
def _real_scores(scores, name, empty=False):
    """Scores as a finite real matrix."""
    X = as_matrix(scores, name, empty=empty)
    if X.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {X.dtype}; "
                        "allowed are real numbers, since they are to be ranked")
    return X


def _scaled_scores(scores):
    """R and e with the scores 2**e R, none of them above 1."""
    R = _real_scores(scores, "scores")
    e = exponent_of(peak_of(R)).item()
    return shifted(R, -e), e


def _anchors(R, n_anchors, anchors, rng):
    """The anchors, given or chosen."""
    if (n_anchors is None) == (anchors is None):
        raise ValueError(f"n_anchors is {n_anchors!r} and anchors is {anchors!r:.60}; "
                         "give exactly one of them")
    if anchors is None:
        return _choose_anchors(R, check_count(n_anchors, "n_anchors", 1, R.shape[1]), rng)
    return check_indices(anchors, R.shape[1], "anchors")


def _anchor_scores(anchor_scores, count):
    """The scores of queries with `count` anchors as rows."""
    x = np.asanyarray(anchor_scores)
    x = _real_scores(x[None] if x.ndim == 1 else anchor_scores, "anchor_scores")
    if x.shape[1] != count:
        raise ValueError(f"anchor_scores has {x.shape[1]} scores a query; "
                         f"allowed are {count}, one for each of the anchors")
    return x


def _item_scores(scores, count):
    """The scores of new items with the `count` queries of the core."""
    r = _real_scores(scores, "scores")
    if len(r) != count:
        raise ValueError(f"scores has {len(r)} rows; allowed are {count}, "
                         "one for each query of the core")
    return r


@np.errstate(all="ignore")
def _product(X, Y):
    """X @ Y, which may underflow."""
    return X @ Y


def _ask(score, items):
    """The scores of some items by the user's function."""
    x = np.asarray(score(items))
    if x.shape != items.shape:
        raise ValueError(f"score(items) has shape {x.shape}; allowed is {items.shape}, "
                         "one number for each of the items")
    return _real_scores(x[None], "score(items)")[0]


# %% book/low_rank/retrieval.ipynb: _fit
@np.errstate(all="ignore")
def _fit(R, J, ridge, queries):
    """Z, the two factors of the core, the ridge, the left-out error and the amplification."""
    others = np.setdiff1d(np.arange(R.shape[1]), J)
    U, s, Vh, f = orthogonal_parts(R[:, J], "scores[:, anchors]", None)
    B, t = R[:, others], s / s.max(initial=0)
    L = np.linalg.qr(B.T, mode="r").T if B.shape[1] > len(B) else B
    ridges = _RIDGES if ridge is None else (check_tol(ridge, "ridge"),)
    errors = _left_out_errors(U, t, L, ridges)
    best = int(np.argmin(errors))
    left = unscale_inverse(Vh.T / (s * (1 + (ridges[best] / t)**2)), f, "scores[:, anchors]")
    Z = np.zeros((len(J), R.shape[1]), R.dtype)
    Z[:, J], Z[:, others] = np.eye(len(J)), left @ (U.T @ B)
    size = singular_values(left @ (U.T @ L)).max(initial=0)
    core = (left, U.T) if queries is None else _core(Z, R, queries)
    return Z, *core, ridges[best], errors[best], math.hypot(1, size)


def _core(Z, R, queries):
    """Z R[queries]^+ as two factors."""
    asked = R[check_indices(queries, len(R), "queries")]
    P, t, Wh, f = orthogonal_parts(asked, "scores[queries]", None)
    return unscale_inverse((Z @ Wh.T) / t, f, "scores[queries]"), P.T


# %% book/low_rank/retrieval.ipynb: Ranking
class Ranking(namedtuple("Ranking", "items scores")):
    """The best items of a query, best first: their numbers and their scores."""

    __slots__ = ()


def _ranking(x, k):
    """The k best of all scores x, of shape (n,) or (b, n)."""
    k = check_count(k, "k", 1, x.shape[-1])
    items = np.array([_top(row, k) for row in np.atleast_2d(x)]).reshape(*x.shape[:-1], k)
    return Ranking(items, np.take_along_axis(x, items, axis=-1))


def _search(index, score, k, budget):
    """The k best of `budget` items with exact scores."""
    c, n = index.Z.shape
    budget = check_count(budget, "budget", c, n)
    k = check_count(k, "k", 1, budget)
    x, scored = index.scores(_ask(score, index.anchors)), index.anchors
    if budget > c:
        others = np.setdiff1d(np.arange(n), scored)
        second = others[_top(x[others], budget - c)]
        x[second] = _ask(score, second)
        scored = np.append(scored, second)
    scored = np.sort(scored)                                    # so that equals stay in order
    best = scored[_top(x[scored], k)]
    return Ranking(best, x[best])


# %% book/low_rank/retrieval.ipynb: _read_only
def _read_only(X):
    """A view of X that cannot be written to."""
    X = np.asarray(X).view()
    X.flags.writeable = False
    return X


class _Index(Result):
    """What a `CURIndex` consists of, checked."""

    def __init__(self, anchors, Z, left, right, ridge, error, amplification):
        Z = _real_scores(Z, "Z")
        left, right = _real_scores(left, "left", True), _real_scores(right, "right", True)
        anchors = check_indices(anchors, Z.shape[1], "anchors")
        if not len(anchors) == len(Z) == len(left) or left.shape[1] != len(right):
            raise ValueError("anchors, Z, left and right have shapes "
                             f"{anchors.shape}, {Z.shape}, {left.shape}, {right.shape}; "
                             "allowed are (c,), (c, n), (c, p) and (p, q)")
        vars(self).update(anchors=_read_only(anchors), Z=_read_only(Z), left=_read_only(left),
                          right=_read_only(right), ridge=float(ridge), error=float(error),
                          amplification=float(amplification))

    def __repr__(self):
        return (f"<CURIndex: {len(self.anchors)} anchors, {self.Z.shape[1]} items, "
                f"{self.right.shape[1]} queries, {self.Z.dtype}>")


# %% book/low_rank/retrieval.ipynb: CURIndex
class CURIndex(_Index):
    r"""Scores of a query with all items from those with a few: x ~ x[anchors] @ Z.

    Made by `CURIndex.fit`. Nothing in it can be changed. It is saved as plain arrays by
    ``np.savez(file, **index._asdict())`` and read by ``CURIndex(**np.load(file))``.

    Attributes
    ----------
    anchors : int array, shape (c,)
        The items with which a query must be scored, in this order.
    Z : array, shape (c, n)
        Coefficients; Z[:, anchors] is the identity.
    left, right : arrays, shapes (c, p) and (p, q)
        Factors of the core, which gives a new item its column of Z.
    ridge : float
        The ridge that was used, as for `fit`.
    error : float
        Relative error of the anchor queries on the items that are no anchors,
        norm(errors, "fro") / norm(scores, "fro"), each query completed without itself.
    amplification : float
        norm(Z, 2): a row at the distance d from the row space of Z is completed with an
        error of at most amplification * d.

    Notes
    -----
    Derived in :ref:`retrieval-completion`, :ref:`retrieval-ridge` and :ref:`retrieval-later`:
    :prf:ref:`cross-exact`, :prf:ref:`retrieval-amplification`,
    :prf:ref:`retrieval-left-out`. After Yadav et al. (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import CURIndex
    >>> users = np.array([[1.0, 0], [0, 1], [1, 1]])
    >>> films = np.array([[5.0, 1, 4, 2], [1, 5, 2, 4]])
    >>> index = CURIndex.fit(users @ films, anchors=[0, 1])
    >>> index
    <CURIndex: 2 anchors, 4 items, 3 queries, float64>
    >>> index.query([6.0, 6.0], 4).scores.round(6)             # from those with items 0 and 1
    array([6., 6., 6., 6.])
    >>> index.query([5.5, 3.5], 2).items
    array([0, 2])
    """

    @classmethod
    def fit(cls, scores, n_anchors=None, *, anchors=None, queries=None, ridge=None, rng=None):
        r"""An index from the scores of anchor queries with all items.

        Parameters
        ----------
        scores : array, shape (q, n)
            Row i has the scores of anchor query i. Larger is better. Several times
            more queries than anchors are recommended.
        n_anchors : int, 1 <= n_anchors <= n, optional
            Choose so many anchors by interpolative decomposition; or
        anchors : array_like of int, optional
            use these. Exactly one of the two must be given.
        queries : array_like of int, optional
            The rows with which items added later will be scored, all by default. A
            later item then costs fewer scores and has a somewhat larger error.
        ridge : float, 0 <= ridge < 1, optional
            sqrt(mu) / s_1 for a price of mu norm(Z)^2 beside the errors of the fit, with s_1 the
            largest singular value of scores[:, anchors]; 0 is the pseudo-inverse. By default
            the one of 0, 10**-6, 10**-5.75, ..., 0.1 for which left-out anchor queries have
            the smallest error.
        rng : None, int or numpy.random.Generator
            For `interp_decomp`, which sketches scores of more than 2**22 entries.

        Returns
        -------
        CURIndex

        Raises
        ------
        ValueError
            NaN or Inf, both or none of `n_anchors` and `anchors`, numbers out of range or
            repeated, scores of the anchors so small that Z overflows.
        TypeError
            Complex scores, a dtype without meaning, a sparse matrix, a masked array.

        Notes
        -----
        O(q n (q + c)) operations, O(q n) numbers of memory. ``error`` takes the anchors
        as given: when they were chosen on the same queries it is slightly too small.
        """
        R, e = _scaled_scores(scores)
        J = _anchors(R, n_anchors, anchors, as_generator(rng))
        Z, left, *known = _fit(R, J, ridge, queries)
        return cls(J, Z, unscale_inverse(left, e, "scores"), *known)

    def scores(self, anchor_scores):
        """Scores with all items from those with the anchors: anchor_scores @ Z.

        Parameters
        ----------
        anchor_scores : array, shape (c,) or (b, c)
            Scores of one query with ``index.anchors``, or of a batch, one row each.

        Returns
        -------
        array, shape (n,) or (b, n)
            Anchors keep their scores.
        """
        x = _product(_anchor_scores(anchor_scores, len(self.anchors)), self.Z)
        return x[0] if np.ndim(anchor_scores) == 1 else x

    def query(self, anchor_scores, k):
        """The k items with the largest completed scores, for one query or a batch.

        Parameters
        ----------
        anchor_scores : array, shape (c,) or (b, c)
            Scores with ``index.anchors``.
        k : int, 1 <= k <= n
            How many items to return.

        Returns
        -------
        Ranking
            ``items`` and ``scores``, shape (k,) or (b, k), best first; of equal scores the
            item with the lower number. Scores of anchors are exact, the others completed.

        Notes
        -----
        O(c n) operations and O(n) numbers for a query, b times that for a batch.
        """
        return _ranking(self.scores(anchor_scores), k)

    def search(self, score, k, *, budget):
        """The best k items by exact scores, of which `budget` are computed for this query.

        Parameters
        ----------
        score : callable
            ``score(items)`` returns the exact scores of the query with an int array of
            items. It is called with the anchors, then with the most promising others.
        k : int, 1 <= k <= budget
            How many items to return.
        budget : int, c <= budget <= n
            Number of exact scores in all, those of the anchors included.

        Returns
        -------
        Ranking
            ``items`` and exact ``scores``, shape (k,), best first; of equal scores the item
            with the lower number.
        """
        return _search(self, score, k, budget)

    def add(self, scores):
        """A new index with further items n, n + 1, ..., from their scores with the queries.

        Parameters
        ----------
        scores : array, shape (q, p)
            Row i has the scores of the i-th of the ``queries`` that `fit` was given, by
            default of the i-th anchor query, with the p new items.

        Returns
        -------
        CURIndex
            ``error`` and ``amplification`` remain those of the fit.
        """
        new = _product(self.left, _product(self.right, _item_scores(scores, self.right.shape[1])))
        return self._replace(Z=np.hstack([self.Z, new.astype(self.Z.dtype)]))

r"""Sketching.

A few products with random vectors give an orthonormal $Q$ whose range holds almost all of a
matrix: $\lVert A - QQ^{\mathsf H}A\rVert_F$ is close to the tail $t_r$, the least that rank $r$
allows, at the price of two passes over $A$, or six.

Generated from book/low_rank/sketching.ipynb; edit the chapter.
"""

import numpy as np
from scipy import linalg

from lowrank.arguments import as_generator, check_choice, check_count, check_rank, gaussian_matrix
from lowrank.arrays import thin_svd
from lowrank.linear_map import linear_map
from lowrank.svd import TruncatedSVD, fix_signs, representable

__all__ = ["randomized_svd"]


# %% book/low_rank/sketching.ipynb: project
def project(Q, X):
    """Q^H X. (BLAS is faster with the thin matrix on the left.)"""
    return (X.conj().T @ Q).conj().T


def combine(Q, C):
    """Q C."""
    return (C.T @ Q.T).T


def within_range(Q, Bh, rank):
    """U, s, Vh of Q [Q^H A]_rank, the best approximation in the range of Q, from Bh = A^H Q."""
    V, s, Uh = thin_svd(Bh)
    U, Vh = fix_signs(combine(Q, Uh[:rank].conj().T), V[:, :rank].conj().T)
    return U, s[:rank], Vh


# %% book/low_rank/sketching.ipynb: lu_basis
def lu_basis(Y):
    """A well-conditioned basis of the range of Y: the factor L of Y = L U with row pivoting."""
    return linalg.lu(Y, permute_l=True, check_finite=False)[0]


def orthonormal_basis(Y):
    """An orthonormal basis of the range of Y, completed at will where Y lacks rank."""
    return linalg.qr(Y, mode="economic", check_finite=False)[0]


def sketch_range(M, width, n_iter, rng):
    """Y with the range of (A A^H)^n_iter A Omega, for `width` Gaussian columns in Omega.

    Y = A L, with a well-conditioned basis L of the range of (A^H A)^n_iter Omega.
    2 n_iter + 1 passes.
    """
    Y = M.apply(gaussian_matrix(rng, (M.shape[1], width), M.dtype))
    for _ in range(n_iter):
        Y = M.apply(lu_basis(M.adjoint_apply(lu_basis(Y))))
    return Y


# %% book/low_rank/sketching.ipynb: orthogonalise
def orthogonalise(Y, Q):
    """Orthonormal columns, orthogonal to the orthonormal Q; with Q their span contains Y."""
    X = orthonormal_basis(Y - combine(Q, project(Q, Y)))
    for _ in range(3):
        C = project(Q, X)
        X = X - combine(Q, C)
        if np.abs(C).max(initial=0)**2 <= np.finfo(Y.dtype).eps:     # lengths are right to eps
            return X
        X = orthonormal_basis(X)
    return orthonormal_basis(np.hstack([Q, Y]))[:, Q.shape[1]:]


# %% book/low_rank/sketching.ipynb: _krylov
def _krylov(M, width, n_iter, rng):
    """Q with the range of all (A A^H)^j A Omega, j <= n_iter, and A^H Q: 2 n_iter + 2 passes."""
    Q = orthonormal_basis(sketch_range(M, width, 0, rng))
    Bh = last = M.adjoint_apply(Q)
    for _ in range(n_iter):
        room = min(M.shape) - Q.shape[1]
        if not room:
            break
        X = orthogonalise(M.apply(lu_basis(last))[:, :room], Q)
        last = M.adjoint_apply(X)
        Q, Bh = np.hstack([Q, X]), np.hstack([Bh, last])
    return Q, Bh


# %% book/low_rank/sketching.ipynb: randomized_svd
@np.errstate(all="ignore")
def randomized_svd(A, rank, *, oversample=None, n_iter=2, method="subspace", rng=None):
    r"""A nearly best U diag(s) Vh of given rank, from a random sketch: min norm(A - U diag(s) Vh).

    Parameters
    ----------
    A : array, memory map, sparse matrix or LinearOperator, shape (m, n)
        The matrix.
    rank : int, 1 <= rank <= min(m, n)
        Number of singular triples.
    oversample : int >= 0, optional
        Random vectors beyond `rank`. Default for "subspace" a third of `rank`, but at
        least 4 and at most 10; 2 for "krylov".
    n_iter : int >= 0, default 2
        Power iterations q; each costs two passes over A.
    method : {"subspace", "krylov"}, default "subspace"
        "subspace" keeps the last product only; "krylov" keeps all of them, which
        brings the error closer to the optimum for the same passes, more work
        on thin matrices and n_iter + 1 times the memory.
    rng : None, int or numpy.random.Generator
        Source of the random vectors.

    Returns
    -------
    TruncatedSVD
        Unpacks as ``U, s, Vh`` of shapes (m, rank), (rank,), (rank, n). U and Vh^H have
        orthonormal columns, s falls and never exceeds the true singular values
        (to round-off). Beyond the rank of A, s is of the size of round-off
        and the vectors complete orthonormal sets.

    Raises
    ------
    ValueError
        NaN or Inf, a rank or an option out of range, or a singular value above the largest
        number of the dtype.
    TypeError
        A dtype without meaning, an option of the wrong type, a LinearOperator without adjoint.

    Notes
    -----
    2 n_iter + 2 passes over A, never more, fewer if a Krylov basis fills the whole space.
    With l = rank + oversample: (2 n_iter + 2) products of A with l columns, O((m + n) l^2)
    further operations and O((m + n) l) numbers of memory; for "krylov" the basis has
    (n_iter + 1) l columns.
    Derived in :ref:`sketching-power` and :ref:`sketching-krylov`. The expected error is bounded
    by :prf:ref:`power-expectation` and :prf:ref:`krylov-expectation`, the error of one run, with
    a probability, by :prf:ref:`sketch-probability`; `estimate_error` measures it. After Halko,
    Martinsson and Tropp (2011), Gu (2015), Musco and Musco (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank import randomized_svd
    >>> A = np.vander(np.linspace(0, 1, 500), 80)
    >>> U, s, Vh = randomized_svd(A, 5, rng=0)
    >>> np.allclose(s, np.linalg.svd(A, compute_uv=False)[:5])
    True
    >>> randomized_svd(A, 5, method="krylov", rng=0)
    <TruncatedSVD: 500 x 80 of rank 5, float64>
    """
    M = linear_map(A)
    rank, n_iter = check_rank(rank, M.shape), check_count(n_iter, "n_iter", 0)
    defaults = {"subspace": min(max(rank // 3, 4), 10), "krylov": 2}
    check_choice(method, "method", defaults)
    extra = defaults[method] if oversample is None else check_count(oversample, "oversample", 0)
    width, rng = min(rank + extra, *M.shape), as_generator(rng)

    if method == "krylov":
        Q, Bh = _krylov(M, width, n_iter, rng)
    else:
        Q = orthonormal_basis(sketch_range(M, width, n_iter, rng))
        Bh = M.adjoint_apply(Q)
    U, s, Vh = within_range(Q, Bh, rank)
    return TruncatedSVD(U, representable(M.unscale(s), M.name), Vh)

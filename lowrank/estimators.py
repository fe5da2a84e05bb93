r"""Estimators for scikit-learn.

Fitted on the rows of a matrix $X$, what do the approximations $X\approx (XV)V^{\mathsf T}$,
$X\approx X_{:,J}Z$ and $k(X,X)\approx FF^{\mathsf T}$ make of a *new* row, and what is then still
promised?

Generated from book/in_use/estimators.ipynb; edit the chapter.
"""

import numpy as np
from scipy import sparse
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

from lowrank.arguments import check_choice, check_count, check_tol, refuse_options
from lowrank.arrays import thin_svd
from lowrank.error_estimates import estimate_error, range_finder
from lowrank.interpolative import interp_decomp
from lowrank.linear_map import linear_map
from lowrank.psd import rpcholesky
from lowrank.sketching import randomized_svd
from lowrank.svd import TruncatedSVD, fix_signs, truncated_svd

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.feature_selection import SelectorMixin
    from sklearn.metrics.pairwise import pairwise_kernels
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.sparsefuncs import mean_variance_axis
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError('lowrank.estimators needs the extra `sklearn`: pip install "lowrank-book[sklearn]"') from error

__all__ = ["LowRankSVD", "ColumnSelector", "RPCholeskyFeatures"]


# %% book/in_use/estimators.ipynb: _generator
def _generator(random_state):
    """A NumPy generator from what scikit-learn calls random_state; None is fresh entropy."""
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))


def _ceiling(count, name, most):
    """At most `most`, and at most `count` if that is given."""
    return most if count is None else min(check_count(count, name, 1), most)


class _Rows:
    """Mixin for estimators that take rows of float32 or float64, dense or sparse."""

    def _checked(self, X, **options):
        options = {"accept_sparse": ("csr", "csc"), "dtype": (np.float64, np.float32), **options}
        return validate_data(self, X, **options)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# %% book/in_use/estimators.ipynb: _row_basis
def _row_basis(X, n_components, tol, algorithm, n_iter, rng):
    """Orthonormal rows V^T, as many as the two limits allow."""
    check_choice(algorithm, "algorithm", ("exact", "randomized"))
    most, tol = _ceiling(n_components, "n_components", min(X.shape)), check_tol(tol)
    if algorithm == "exact":
        return truncated_svd(X, tol=tol).Vh[:most] if tol else truncated_svd(X, most).Vh
    if tol:
        return range_finder(X.T, tol=tol, rng=rng).Q.T[:most]
    return randomized_svd(X, most, n_iter=n_iter, rng=rng).Vh


# %% book/in_use/estimators.ipynb: _frobenius_norm
def _frobenius_norm(X):
    """Summed in double precision."""
    M = linear_map(X)
    return M.unscale(np.linalg.norm(M.column_norms().astype(np.float64)))


def _variances(X):
    """Those of the columns, in double precision."""
    if sparse.issparse(X):
        return mean_variance_axis(X.astype(np.float64), axis=0)[1]
    return np.var(X, axis=0, dtype=np.float64)


# %% book/in_use/estimators.ipynb: LowRankSVD
class LowRankSVD(_Rows, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""The scores X V of the rows of X, where (X V) V^T is its best approximation of low rank.

    A transformer of scikit-learn. X is not centred, so that a sparse matrix stays what it is.

    Parameters
    ----------
    n_components : int >= 1, optional
        The largest number r of components; min(X.shape) if that is smaller, or by default.
    tol : float, 0 <= tol < 1, default 0
        As few components as give norm(X - X V V^T, "fro") <= tol norm(X, "fro"),
        and at most `n_components`. With 0 that number alone decides.
    algorithm : {"exact", "randomized"}, default "exact"
        V from `truncated_svd`, or from a random sketch: by `randomized_svd`, with tol by
        `range_finder` of X^T.
    n_iter : int >= 0, default 2
        As for `randomized_svd`; not used with tol or by "exact".
    random_state : None, int or numpy.random.RandomState
        Source of the sketch and of the probes behind `error_`.

    Attributes
    ----------
    components_ : array, shape (r, n_features)
        V^T, orthonormal rows. The largest score of each is positive.
    singular_values_ : array, shape (r,)
        The norms of the scores of the training rows: the singular values of X for "exact",
        never larger for "randomized" (to round-off).
    error_ : ErrorEstimate
        `estimate_error` of norm(X - X V V^T, "fro").
    energy_ratio_ : array, shape (r,)
        Squares of `singular_values_` over that of norm(X, "fro").
    explained_variance_ : array, shape (r,)
        Variance of each score around its mean; it need not fall, as X is not centred.
    explained_variance_ratio_ : array, shape (r,)
        The same over the sum of the variances of the columns of X.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : array, shape (n_features,)
        Their names, where X has names.

    Notes
    -----
    Passes over X: those of the function that finds V, three more for the scores, their error
    and the norm, and those of a variance. With both limits and "exact", all components that
    tol asks for are computed first.

    Derived in :ref:`estimators-scores` and :ref:`estimators-variance`:
    :prf:ref:`what-scores-keep`, :prf:ref:`variance-without-centring`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank.estimators import LowRankSVD
    >>> X = 1 / (1 + np.arange(200)[:, None] + np.arange(100))
    >>> svd = LowRankSVD(tol=1e-3, random_state=0).fit(X)
    >>> svd.transform(X[:5]).shape
    (5, 6)
    >>> bool(np.linalg.norm(X - svd.inverse_transform(svd.transform(X))) < 2e-3)
    True
    """

    def __init__(self, n_components=None, *, tol=0.0, algorithm="exact", n_iter=2,
                 random_state=None):
        self.n_components, self.tol = n_components, tol
        self.algorithm, self.n_iter, self.random_state = algorithm, n_iter, random_state

    def fit(self, X, y=None):
        """Find the components of the rows of X; y is ignored."""
        X, rng = self._checked(X), _generator(self.random_state)
        Vh = _row_basis(X, self.n_components, self.tol, self.algorithm, self.n_iter, rng)
        U, s, Qh = thin_svd(X @ Vh.T)
        U, self.components_ = fix_signs(U, Qh @ Vh)
        self.singular_values_, self._n_features_out = s, len(s)
        self.error_ = estimate_error(X, TruncatedSVD(U, s, self.components_), rng=rng)
        self.energy_ratio_ = (s / (_frobenius_norm(X) or 1))**2
        self.explained_variance_ = _variances(U * s)
        self.explained_variance_ratio_ = self.explained_variance_ / (_variances(X).sum() or 1)
        return self

    def transform(self, X):
        """The scores X V."""
        check_is_fitted(self)
        return self._checked(X, reset=False) @ self.components_.T

    def inverse_transform(self, X):
        """The rows with these scores: X V^T."""
        check_is_fitted(self)
        return check_array(X, dtype=(np.float64, np.float32)) @ self.components_


# %% book/in_use/estimators.ipynb: ColumnSelector
class ColumnSelector(_Rows, SelectorMixin, BaseEstimator):
    r"""Columns of X that represent the others: X ~ X[:, J] Z with moderate coefficients.

    A feature selector of scikit-learn that needs no labels.

    Parameters
    ----------
    n_features_to_select : int >= 1, optional
        The largest number of columns; min(X.shape) if that is smaller. By default as many
        as `tol` asks for.
    tol : float, 0 <= tol < 1, default 0
        As few columns as give norm(X - X[:, J] Z, "fro") <= tol norm(X, "fro"), and at
        most `n_features_to_select`. With 0 and no number, all columns that are no
        combinations of others.
    f : float > 1, default 2
        As for `interp_decomp`: no coefficient in Z exceeds it.
    random_state : None, int or numpy.random.RandomState
        Source of the sketch, for more than 2**22 entries.

    Attributes
    ----------
    columns_ : int array, shape (r,)
        J in order of choice. `transform` keeps the order of X.
    coefficients_ : array, shape (r, n_features)
        Z, with rows in the order of `transform`.
    error_ : ErrorEstimate
        Of norm(X - X[:, J] Z, "fro"), from `interp_decomp`.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : array, shape (n_features,)
        Their names, where X has names.

    Notes
    -----
    Columns count by their norm: scale them first if their units differ, and subtract the mean
    if constants are not to be represented.

    Derived in :ref:`estimators-columns`: :prf:ref:`model-on-columns`, :prf:ref:`strong-choice`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank.estimators import ColumnSelector
    >>> X = np.array([[1.0, 2, 3, 0], [0, 1, 1, 1], [2, 0, 2, 1]])
    >>> selector = ColumnSelector(2).fit(X)
    >>> selector.transform(X).shape, selector.inverse_transform(selector.transform(X)).shape
    ((3, 2), (3, 4))
    """

    def __init__(self, n_features_to_select=None, *, tol=0.0, f=2.0, random_state=None):
        self.n_features_to_select, self.tol = n_features_to_select, tol
        self.f, self.random_state = f, random_state

    def fit(self, X, y=None):
        """Choose columns of X; y is ignored."""
        X, rng = self._checked(X), _generator(self.random_state)
        most = _ceiling(self.n_features_to_select, "n_features_to_select", min(X.shape))
        by_tol = self.n_features_to_select is None or check_tol(self.tol) > 0
        chosen = interp_decomp(X, tol=self.tol, f=self.f, rng=rng) if by_tol else None
        if not by_tol or chosen.rank > most:
            chosen = interp_decomp(X, most, f=self.f, rng=rng)
        self.columns_, self.error_ = chosen.columns, chosen.error
        self.coefficients_ = chosen.Z[np.argsort(chosen.columns)]
        return self

    def _get_support_mask(self):
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.columns_)

    def inverse_transform(self, X):
        """All columns from the chosen ones: X Z. (Other selectors put zeros there.)"""
        check_is_fitted(self)
        return check_array(X, dtype=(np.float64, np.float32)) @ self.coefficients_


# %% book/in_use/estimators.ipynb: _gaussian_kernel
_CSR = {"accept_sparse": "csr", "accept_large_sparse": False}     # what the kernels can read
_KERNELS = ("rbf", "laplacian", "chi2", "linear", "poly", "polynomial", "cosine", "precomputed")


def _gaussian_kernel(X, Y, gamma):
    """exp(-gamma |x - y|^2) from differences, for arrays."""
    gamma = 1 / X.shape[1] if gamma is None else gamma
    return np.exp(-gamma * cdist(X, Y, "sqeuclidean")).astype(X.dtype, copy=False)


class _KernelOfRows(_Rows):
    """Mixin for an estimator with a kernel and its parameters."""

    def _matrix(self, X):
        """The kernel matrix of the rows as it is, or its diagonal and a function for the rest."""
        self._check_kernel()
        if self.kernel == "precomputed":
            return X
        size = 1 if callable(self.kernel) else 32
        diagonal = [self._entries(X[i:i + size], X[i:i + size]).diagonal()
                    for i in range(0, X.shape[0], size)]
        return np.concatenate(diagonal), lambda J, I=slice(None): self._entries(X[I], X[J])

    def _entries(self, X, Y):
        """k(X, Y)."""
        if self.kernel == "precomputed":
            C = X[:, self.component_indices_]
            return C.toarray() if sparse.issparse(C) else C
        if self.kernel == "rbf" and not sparse.issparse(X):
            return _gaussian_kernel(X, Y, self.gamma)
        options = (self.kernel_params or {} if callable(self.kernel) else
                   {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0})
        options = {name: value for name, value in options.items() if value is not None}
        K = pairwise_kernels(X, Y, metric=self.kernel, filter_params=True, **options)
        return K.astype(X.dtype, copy=False)

    def _check_kernel(self):
        if callable(self.kernel):
            refuse_options("a function as kernel", gamma=self.gamma, degree=self.degree,
                           coef0=self.coef0)
        else:
            check_choice(self.kernel, "kernel", _KERNELS)
            refuse_options("a kernel by name", kernel_params=self.kernel_params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags


# %% book/in_use/estimators.ipynb: RPCholeskyFeatures
class RPCholeskyFeatures(_KernelOfRows, ClassNamePrefixFeaturesOutMixin, TransformerMixin,
                         BaseEstimator):
    r"""Features phi(x) = k(x, S) L^-T with k(x, y) ~ phi(x) phi(y)^T, for random pivots S.

    A transformer of scikit-learn: a feature map of a positive semidefinite kernel from few
    of the training rows, in the place of `sklearn.kernel_approximation.Nystroem`.

    Parameters
    ----------
    kernel : str or callable, default "rbf"
        "rbf", "laplacian", "chi2", "linear", "poly", "cosine" of scikit-learn; a function
        of two rows; a kernel object of `sklearn.gaussian_process`; or "precomputed": then
        `fit` gets k of the training rows, and `transform` k of new rows and these.
    gamma : float, optional
        Of "rbf", "laplacian", "chi2" and "poly". Default: 1 / n_features, and 1 for "chi2".
    degree : float, optional
        Of "poly". Default 3.
    coef0 : float, optional
        Of "poly". Default 1.
    kernel_params : dict, optional
        Keyword arguments of a function.
    n_components : int >= 1 or None, default 100
        The largest number r of features; the number of rows if that is smaller, or for None.
        Fewer are returned when nothing is left of the kernel matrix.
    tol : float, 0 <= tol < 1, default 0
        Stop when `trace_error_` is at most tol times the trace of the kernel matrix.
    random_state : None, int or numpy.random.RandomState
        Source of the pivots.

    Attributes
    ----------
    component_indices_ : int array, shape (r,)
        The rows of X that are pivots, in order of choice.
    components_ : array or sparse matrix, shape (r, n_features)
        S, these rows; None for "precomputed".
    cholesky_ : array, shape (r, r)
        L, lower triangular with L L^T = k(S, S).
    trace_error_ : float
        The sum of k(x, x) - phi(x) phi(x)^T over the training rows; it bounds the nuclear,
        Frobenius and 2-norm of the error of the kernel matrix (to round-off).
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : array, shape (n_features,)
        Their names, where X has names.

    Notes
    -----
    About (r + 32) n entries of the kernel for n rows, (r + 1) n for a function, besides
    those that decide about proposals; O(r^2 n) work. A row later takes r entries and O(r^2)
    work. "sigmoid" and "additive_chi2" are not positive semidefinite, and refused.

    Derived in :ref:`estimators-kernel` and :ref:`estimators-outliers`:
    :prf:ref:`features-of-new-points`, :prf:ref:`uniform-misses-outliers`; the bound for the
    pivots is :prf:ref:`random-pivot-bound`.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank.estimators import RPCholeskyFeatures
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> features = RPCholeskyFeatures(gamma=10, n_components=8, random_state=0)
    >>> F = features.fit_transform(X)
    >>> bool(np.allclose(F @ F.T, np.exp(-10 * (X - X.T)**2), atol=1e-2))
    True
    """

    def __init__(self, kernel="rbf", *, gamma=None, degree=None, coef0=None, kernel_params=None,
                 n_components=100, tol=0.0, random_state=None):
        self.kernel, self.kernel_params = kernel, kernel_params
        self.gamma, self.degree, self.coef0 = gamma, degree, coef0
        self.n_components, self.tol, self.random_state = n_components, tol, random_state

    def fit(self, X, y=None):
        """Choose pivots among the rows of X; y is ignored."""
        X, rng = self._checked(X, **_CSR), _generator(self.random_state)
        most = _ceiling(self.n_components, "n_components", X.shape[0])
        block = min(most, max(10, -(-most // 10)))
        found = rpcholesky(self._matrix(X), most, block=block, tol=self.tol, rng=rng)
        if not found.rank:
            raise ValueError("no row of X has k(x, x) > 0; there are no features")
        self.component_indices_, self._n_features_out = found.pivots, found.rank
        self.components_ = None if self.kernel == "precomputed" else X[found.pivots]
        self.cholesky_ = found.F[found.pivots]
        self.trace_error_ = found.trace_error
        return self

    def transform(self, X):
        """The features k(X, S) L^-T."""
        check_is_fitted(self)
        X = self._checked(X, **_CSR, reset=False)
        C = self._entries(X, self.components_)
        return solve_triangular(self.cholesky_, C.T, lower=True, check_finite=False).T

"""Tests of lowrank.estimators, generated from book/in_use/estimators.ipynb; edit the chapter."""

import numpy as np

from lowrank.estimators import ColumnSelector, LowRankSVD, RPCholeskyFeatures


# %% book/in_use/estimators.ipynb: test_scores_are_the_same_either_way
def test_scores_are_the_same_either_way():
    from scipy.sparse import csr_array

    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 20)) * 0.7**np.arange(20) + 1
    norm = np.linalg.norm(X)
    for given in (X, X.astype(np.float32), csr_array(X)):
        eps = np.finfo(given.dtype).eps
        for options in ({"n_components": 6}, {"tol": 0.05}, {"n_components": 2, "tol": 0.05}):
            for algorithm in ("exact", "randomized"):
                svd = LowRankSVD(**options, algorithm=algorithm, random_state=0)
                T = svd.fit_transform(given)
                V, s = svd.components_.T, svd.singular_values_
                assert T.dtype == V.dtype == given.dtype
                assert np.array_equal(T, svd.transform(given))
                assert np.abs(V.T @ V - np.eye(len(s))).max() < 50 * eps
                assert np.abs(T.T @ T - np.diag(s**2)).max() < 50 * eps * s[0]**2
                assert np.all(T.max(axis=0) >= -T.min(axis=0) * (1 - 2 * eps**0.5))
                error = np.linalg.norm(X - svd.inverse_transform(T))
                assert error <= svd.error_.bound and svd.error_.estimate < 2 * error
                assert abs(1 - svd.energy_ratio_.sum() - (error / norm)**2) < 50 * eps
                if "n_components" not in options:
                    assert error <= 0.05 * norm
                assert len(s) <= options.get("n_components", 20)


# %% book/in_use/estimators.ipynb: test_new_rows_get_the_features_of_the_theorem
def test_new_rows_get_the_features_of_the_theorem():
    from scipy.sparse import csr_array
    from sklearn.metrics.pairwise import pairwise_kernels

    rng = np.random.default_rng(3)
    X = np.abs(rng.standard_normal((80, 3)))
    new = np.abs(rng.standard_normal((30, 3)))

    def product(x, y, power=2):
        return float(1 + x @ y)**power

    for kernel, options in (("rbf", {"gamma": 0.7}), ("laplacian", {}), ("chi2", {}),
                            ("poly", {"degree": 2, "coef0": 0.5}), ("linear", {}), ("cosine", {}),
                            (product, {"kernel_params": {"power": 2}})):
        features = RPCholeskyFeatures(kernel, **options, n_components=12, random_state=0).fit(X)
        J, L = features.component_indices_, features.cholesky_
        given = options.get("kernel_params", options)
        K = pairwise_kernels(X, X, metric=kernel, filter_params=True, **given)
        C = pairwise_kernels(new, X[J], metric=kernel, filter_params=True, **given)
        F, peak = features.transform(X), K.max()
        assert np.array_equal(L, np.tril(L)) and np.array_equal(features.components_, X[J])
        assert np.abs(L @ L.T - K[np.ix_(J, J)]).max() < 1e-13 * peak
        assert np.abs(np.trace(K - F @ F.T) - features.trace_error_) < 1e-10 * np.trace(K)
        assert np.abs(features.transform(new) @ L.T - C).max() < 1e-13 * peak
        if kernel not in ("chi2", product):
            rows = RPCholeskyFeatures(kernel, **options, n_components=12, random_state=0)
            assert np.abs(rows.fit_transform(csr_array(X)) - F).max() < 1e-6 * peak**0.5
    ready = RPCholeskyFeatures("precomputed", n_components=12, random_state=0).fit(K)
    assert np.array_equal(ready.component_indices_, J) and ready.components_ is None
    K_new = pairwise_kernels(new, X, metric=kernel)
    assert np.abs(ready.transform(K_new) @ ready.cholesky_.T - C).max() < 1e-13 * peak


# %% book/in_use/estimators.ipynb: test_copies_know_the_same
def test_copies_know_the_same():
    from copy import deepcopy

    from sklearn.base import clone

    X = np.random.default_rng(4).standard_normal((50, 8)) + 0.1
    for estimator in (LowRankSVD(3, random_state=0), ColumnSelector(3, random_state=0),
                      RPCholeskyFeatures(n_components=9, random_state=0)):
        Z = estimator.fit_transform(X)
        assert np.array_equal(deepcopy(estimator).transform(X), Z)
        again = clone(estimator)
        assert not vars(again).keys() & {"n_features_in_", "error_"}
        assert np.array_equal(again.fit_transform(X), Z)
        assert np.allclose(estimator.transform(X[7:9]), Z[7:9], rtol=0, atol=1e-12)
        assert len(estimator.get_feature_names_out()) == Z.shape[1]

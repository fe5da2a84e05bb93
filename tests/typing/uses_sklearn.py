"""The estimators, used as their users do: see uses.py."""

import numpy as np
from scipy.sparse import csr_array

import lowrank

X = np.abs(np.random.default_rng(0).standard_normal((12, 8)))
count = np.int64(3)


def use_estimators() -> None:
    svd = lowrank.LowRankSVD(count, tol=0, algorithm="randomized", n_iter=1, random_state=np.random.RandomState(0)).fit(X)
    assert svd.inverse_transform(svd.transform(csr_array(X))).shape == X.shape and svd.n_features_in_ == 8
    error: lowrank.ErrorEstimate = svd.error_
    assert error.estimate <= error.bound and svd.singular_values_[0] > 0 and svd.energy_ratio_.sum() < 1
    assert len(svd.components_) == len(svd.explained_variance_) == len(svd.explained_variance_ratio_) == 3
    lowrank.LowRankSVD(tol=0.5).fit_transform(X)
    selector: lowrank.ColumnSelector = lowrank.ColumnSelector(2, tol=0.1, f=1.5, random_state=0).fit(X)
    assert selector.coefficients_.shape == (len(selector.columns_), 8) and selector.error_.confidence == 1
    assert selector.inverse_transform(selector.transform(X)).shape == X.shape and selector.get_support().sum() == 2
    features = lowrank.RPCholeskyFeatures(gamma=count, n_components=4, tol=0.0, random_state=0).fit(X)
    assert len(features.cholesky_) == len(features.component_indices_) == len(features.components_)
    assert features.trace_error_ < 12 and features.transform(X).shape == (12, 4)
    lowrank.RPCholeskyFeatures(np.dot, kernel_params={}, n_components=None).fit(X)
    lowrank.RPCholeskyFeatures("poly", degree=2, coef0=1.0).fit(X)

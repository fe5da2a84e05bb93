"""The estimators as scikit-learn and its users use them: its own checks, kinds of input, limits, refusals, cost."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import lowrank
from lowrank import ColumnSelector, LowRankSVD, RPCholeskyFeatures

EVERY = [
    LowRankSVD(),
    LowRankSVD(2, tol=0.1),
    LowRankSVD(3, algorithm="randomized"),
    LowRankSVD(tol=0.1, algorithm="randomized"),
    ColumnSelector(),
    ColumnSelector(2, tol=0.1),
    RPCholeskyFeatures(),
    RPCholeskyFeatures(n_components=None, tol=0.1),
    RPCholeskyFeatures("linear"),
    RPCholeskyFeatures("laplacian", n_components=3),
]
ONE_OF_EACH = [LowRankSVD(3), ColumnSelector(3), RPCholeskyFeatures(n_components=3)]
by_name = pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=lambda estimator: type(estimator).__name__)


@parametrize_with_checks(EVERY)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def rows(m=70, n=12, seed=0):
    """Rows far from the origin with decaying columns."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, n)) @ (0.6 ** np.arange(n)[:, None] * rng.standard_normal((n, n))) + 1


# What all three have in common


@by_name
def test_limits_are_clipped_and_combined(estimator):
    X = rows()
    name = "n_features_to_select" if isinstance(estimator, ColumnSelector) else "n_components"
    size = lambda **options: clone(estimator).set_params(random_state=0, **options).fit_transform(X).shape[1]
    most = size(**{name: None})
    assert size(**{name: 1000}) == most == (len(X) if name == "n_components" and most > 12 else 12)
    few = size(**{name: None}, tol=0.2)
    assert 1 < few < 12 or few < most
    assert size(**{name: 100}, tol=0.2) == few and size(**{name: few - 1}, tol=0.2) == few - 1
    assert clone(estimator).set_params(**{name: 5}).fit_transform(X[:2]).shape[1] == 2


@by_name
def test_random_states(estimator):
    X = rows()
    if isinstance(estimator, LowRankSVD):
        estimator = clone(estimator).set_params(algorithm="randomized", n_iter=0)
    if isinstance(estimator, ColumnSelector):
        X = np.random.default_rng(1).standard_normal((700, 6000))  # chosen on a sketch
    fit = lambda state: clone(estimator).set_params(random_state=state).fit_transform(X)
    assert np.array_equal(fit(3), fit(3))
    assert np.array_equal(fit(np.random.RandomState(3)), fit(np.random.RandomState(3)))
    state = np.random.RandomState(3)
    assert not np.array_equal(fit(state), fit(state))
    assert not np.array_equal(fit(None), fit(None))
    before = np.random.get_state()[1].copy()
    fit(None)
    assert np.array_equal(before, np.random.get_state()[1])
    with pytest.raises(ValueError, match="'seed' cannot be used to seed"):
        fit("seed")


@by_name
def test_kinds_of_rows(estimator):
    X = np.round(rows(), 2)
    X[np.abs(X) < 0.7] = 0
    fit = lambda X: clone(estimator).set_params(random_state=0).fit_transform(X)
    expected, given = fit(X), X.copy()
    for kind in (np.asfortranarray, sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.coo_array):
        Z = fit(kind(X))
        if sparse.issparse(Z):
            assert isinstance(estimator, ColumnSelector)
            Z = Z.toarray()
        assert np.allclose(Z, expected, atol=1e-6)
    assert np.array_equal(X, given)
    assert np.allclose(fit(X.astype(np.float32)), expected, atol=2e-3) and fit(X.astype("f")).dtype == np.float32
    assert np.allclose(fit(X.astype(np.float16)), expected, atol=0.05)
    assert fit((10 * X).astype(int)).dtype == (int if isinstance(estimator, ColumnSelector) else float)
    read_only = X.copy()
    read_only.flags.writeable = False
    assert np.array_equal(fit(read_only), expected)
    with pytest.raises(ValueError, match="[Cc]omplex"):
        fit(X + 1j)
    with pytest.raises(ValueError, match="NaN"):
        fit(np.where(X > 1, np.nan, X))


@by_name
def test_names_and_data_frames(estimator):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(), columns=[f"column {j}" for j in range(12)])
    estimator = clone(estimator).set_params(random_state=0).set_output(transform="pandas")
    Z = estimator.fit_transform(X)
    assert list(estimator.feature_names_in_) == list(X.columns) and list(Z.index) == list(X.index)
    assert list(Z.columns) == list(estimator.get_feature_names_out())
    if isinstance(estimator, ColumnSelector):
        assert np.array_equal(Z, X[Z.columns])
    if not isinstance(estimator, RPCholeskyFeatures):
        assert estimator.inverse_transform(Z).shape == X.shape
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(X.rename(columns={"column 0": "another"}))


@by_name
def test_copies_and_batches(estimator):
    X = rows()
    estimator = clone(estimator).set_params(random_state=0)
    Z = estimator.fit_transform(X)
    assert np.array_equal(pickle.loads(pickle.dumps(estimator)).transform(X), Z)
    assert np.allclose(np.vstack([estimator.transform(X[i : i + 9]) for i in range(0, 70, 9)]), Z, atol=1e-12)
    assert set(vars(clone(estimator))) == set(clone(estimator).get_params())
    size = len(pickle.dumps(clone(estimator).fit(np.tile(X, (20, 1)))))
    assert size < 20 * X.nbytes / 4  # the rows are not remembered


@by_name
def test_in_a_search(estimator):
    X = rows(60)
    y = X @ np.arange(12.0)
    name = "n_features_to_select" if isinstance(estimator, ColumnSelector) else "n_components"
    model = Pipeline([("features", clone(estimator).set_params(random_state=0)), ("ridge", Ridge(1e-6))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(model, {f"features__{name}": [1, 4, 50]}, cv=3).fit(X, y)
    assert search.best_params_[f"features__{name}"] > 1 and np.isfinite(search.cv_results_["mean_test_score"]).all()


@by_name
def test_floating_point_errors_may_be_errors(estimator):
    X = rows()
    X[:, 3] = 0
    with np.errstate(all="raise", under="ignore"):
        clone(estimator).set_params(random_state=0).fit_transform(X)


def test_the_package_is_imported_without_scikit_learn():
    code = "import lowrank, sys; dir(lowrank); lowrank.truncated_svd; lowrank.rpcholesky; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import lowrank\nfrom lowrank import *\n"
        "try: lowrank.LowRankSVD\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == 'lowrank.estimators needs the extra `sklearn`: pip install "lowrank-book[sklearn]"\n'
    assert "LowRankSVD" not in lowrank.__all__ and "LowRankSVD" in dir(lowrank)


# LowRankSVD


@pytest.mark.parametrize("algorithm", ["exact", "randomized"])
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("unit", [1e-15, 1.0, 1e15])
def test_scores_against_all_singular_values(algorithm, dtype, unit):
    X = (unit * rows(300, 80)).astype(dtype)
    svd = LowRankSVD(5, algorithm=algorithm, random_state=0).fit(X)
    s = np.linalg.svd(X.astype(float), compute_uv=False)
    eps = np.finfo(dtype).eps
    assert svd.singular_values_.dtype == svd.components_.dtype == X.dtype
    assert np.all(svd.singular_values_ <= s[:5] * (1 + 100 * eps))
    best = np.linalg.norm(s[5:])
    error = np.linalg.norm(X - svd.inverse_transform(svd.transform(X)).astype(float))
    assert error <= best * (1.001 if algorithm == "exact" else 1.1) + 100 * eps * s[0]
    assert error <= svd.error_.bound * (1 + 1e-3) and svd.error_.confidence == 0.999
    assert abs(svd.energy_ratio_.sum() + (error / np.linalg.norm(s)) ** 2 - 1) < 1000 * eps


def test_beside_the_classes_of_scikit_learn():
    X = rows()
    ours, theirs = LowRankSVD(4, random_state=0).fit(X), TruncatedSVD(4, algorithm="arpack", random_state=0).fit(X)
    assert np.allclose(np.abs(ours.components_ @ theirs.components_.T), np.eye(4), atol=1e-8)
    for name in ("singular_values_", "explained_variance_", "explained_variance_ratio_"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name))
    centred = X - X.mean(axis=0)
    ours, theirs = LowRankSVD(4, random_state=0).fit(centred), PCA(4).fit(X)
    assert np.allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_)
    assert np.allclose(ours.energy_ratio_, theirs.explained_variance_ratio_)
    assert np.allclose(np.abs(ours.transform(centred)), np.abs(theirs.transform(X)))


def test_variances_of_sparse_and_offset_rows():
    X = np.where(np.abs(rows()) > 1.5, rows(), 0)
    for given in (X, X.astype("f")):
        dense, thin = (LowRankSVD(3, random_state=0).fit(kind) for kind in (given, sparse.csr_array(given)))
        assert np.allclose(dense.explained_variance_ratio_, thin.explained_variance_ratio_, rtol=1e-4)
    far = LowRankSVD(12, random_state=0).fit(rows(5000) + 1e5)
    assert np.isclose(far.explained_variance_ratio_.sum(), 1, rtol=1e-4)
    assert far.energy_ratio_[0] > 1 - 1e-6 > 0.5 > far.explained_variance_ratio_[0]


def test_nothing_to_explain():
    for X in (np.zeros((6, 4)), np.ones((6, 4)), np.ones((1, 4))):
        svd = LowRankSVD(2, random_state=0).fit(X)
        assert np.all(np.isfinite(svd.explained_variance_ratio_)) and np.all(svd.explained_variance_ratio_ < 1e-20)
        assert np.allclose(svd.inverse_transform(svd.transform(X)), X)


def test_a_tolerance_is_kept():
    X = rows(300, 60)
    norm = np.linalg.norm(X)
    for algorithm in ("exact", "randomized"):
        for tol in (0.5, 1e-2, 1e-4):
            svd = LowRankSVD(tol=tol, algorithm=algorithm, random_state=0).fit(X)
            error = np.linalg.norm(X - svd.inverse_transform(svd.transform(X)))
            assert error <= tol * norm
            best = lowrank.truncated_svd(X, tol=tol).rank
            assert len(svd.components_) == best if algorithm == "exact" else len(svd.components_) <= best + 2


def test_large_sparse_rows_stay_sparse():
    X = sparse.random_array((200_000, 5_000), density=1e-4, rng=np.random.default_rng(2), format="csr")
    svd = LowRankSVD(3, algorithm="randomized", random_state=0)  # dense, X would have 8 GB
    assert svd.fit_transform(X).shape == (200_000, 3)


# ColumnSelector


def test_columns_and_coefficients():
    X = rows()
    selector = ColumnSelector(4, random_state=0).fit(X)
    J = selector.get_support(indices=True)
    assert sorted(selector.columns_.tolist()) == J.tolist()
    assert np.array_equal(selector.transform(X), X[:, J])
    assert np.array_equal(selector.coefficients_[:, J], np.eye(4)) and np.abs(selector.coefficients_).max() <= 2
    restored = selector.inverse_transform(selector.transform(X))
    assert np.array_equal(restored[:, J], X[:, J])
    assert np.linalg.norm(X - restored) <= selector.error_.bound
    best = lowrank.best_factor(X, left=X[:, J])
    assert np.allclose(selector.coefficients_, best)


def test_dependent_columns_are_dropped_by_default():
    X = rows()
    X = np.hstack([X, X[:, :3] + X[:, 3:6], np.zeros((70, 2))])
    selector = ColumnSelector(random_state=0).fit(X)
    assert selector.transform(X).shape == (70, 12)
    assert np.allclose(selector.inverse_transform(selector.transform(X)), X)
    assert ColumnSelector(14, random_state=0).fit_transform(X).shape == (70, 14)


# RPCholeskyFeatures

KERNELS = [
    ("rbf", {"gamma": 0.3}),
    ("laplacian", {"gamma": 0.3}),
    ("chi2", {"gamma": 0.3}),
    ("poly", {"degree": 2, "gamma": 0.1, "coef0": 2}),
    ("polynomial", {}),
    ("linear", {}),
    ("cosine", {}),
    (RBF(2.0), {}),
]


@pytest.mark.parametrize(("kernel", "options"), KERNELS, ids=lambda value: str(value).partition("(")[0])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_features_of_new_rows(kernel, options, dtype):
    X, new = (np.abs(rows(m, 5, seed)).astype(dtype) for m, seed in ((90, 0), (40, 1)))
    features = RPCholeskyFeatures(kernel, **options, n_components=20, random_state=0)
    F = features.fit_transform(X)
    every = np.vstack([X, new]).astype(float)
    K = pairwise_kernels(every, metric=kernel, filter_params=True, **options)
    phi = np.vstack([F, features.transform(new)]).astype(float)
    e, J, eps = K - phi @ phi.T, features.component_indices_, np.finfo(dtype).eps
    assert F.dtype == dtype and features.components_.dtype == dtype and np.array_equal(features.components_, X[J])
    assert np.abs(e[:, J]).max() < 100 * eps * K.max()
    assert np.linalg.eigvalsh(e)[0] > -1e4 * eps * K.max()
    assert abs(np.trace(e[:90, :90]) - features.trace_error_) < 1e4 * eps * K.max()
    L = features.cholesky_
    assert np.array_equal(L, np.tril(L)) and len(set(J.tolist())) == len(J) == len(L) == F.shape[1] <= 20


def test_the_same_pivots_make_the_same_predictions():
    X, y = rows(), rows()[:, 0] ** 2
    features = RPCholeskyFeatures(gamma=0.2, n_components=15, random_state=0)
    theirs = Nystroem(gamma=0.2, n_components=15, random_state=0)
    theirs.fit(features.fit(X).components_)  # all of them are landmarks
    ours, other = (make_pipeline(f, Ridge(0.1)) for f in (features, theirs))
    ours.fit(X, y)
    Z = theirs.transform(X)
    assert np.allclose(ours.predict(X), Ridge(0.1).fit(Z, y).predict(Z))


def test_a_kernel_of_our_own_is_asked_for_what_is_needed():
    calls = []

    def kernel(x, y, width):
        calls.append(1)
        return np.exp(-np.sum((x - y) ** 2) / width)

    X = rows(200, 3)
    features = RPCholeskyFeatures(kernel, kernel_params={"width": 4.0}, n_components=6, random_state=0).fit(X)
    assert 7 * 200 <= len(calls) <= 7 * 200 + 4 * 6**2 + 6 * 200
    again = RPCholeskyFeatures(gamma=0.25, n_components=6, random_state=0).fit(X)
    assert np.array_equal(features.component_indices_, again.component_indices_)
    assert np.allclose(features.transform(X), again.transform(X))


def test_precomputed():
    X, new = rows(), rows(seed=1)
    K, K_new = (pairwise_kernels(Y, X, metric="rbf", gamma=0.2) for Y in (X, new))
    K = (K + K.T) / 2
    for given in (K, np.asfortranarray(K), sparse.csr_array(K)):
        ready = RPCholeskyFeatures("precomputed", n_components=20, random_state=0)
        F = ready.fit_transform(given)
        assert ready.components_ is None and abs(70 - np.sum(F**2) - ready.trace_error_) < 1e-10
        rest = pairwise_kernels(new, X[ready.component_indices_], metric="rbf", gamma=0.2)
        assert np.allclose(ready.transform(K_new) @ ready.cholesky_.T, rest)
        assert np.allclose(ready.transform(sparse.csr_array(K_new)), ready.transform(K_new))
    model = Pipeline([("features", ready), ("ridge", Ridge())])
    assert np.isfinite(GridSearchCV(model, {"features__n_components": [5, 10]}, cv=3).fit(K, X[:, 0]).best_score_)
    with pytest.raises(ValueError, match=r"A has shape \(70, 60\); allowed is a square matrix"):
        ready.fit(K[:, :60])


def test_close_points_far_from_the_origin():
    X = 1e-3 * rows() + 1e4  # |x|^2 - 2 x y + |y|^2 would leave no digit
    features = RPCholeskyFeatures(gamma=1e5, n_components=30, random_state=0)
    F = features.fit_transform(X)
    G = RPCholeskyFeatures(gamma=1e5, n_components=30, random_state=0).fit_transform(X - 1e4)
    assert np.allclose(F, G, atol=1e-3)
    K = np.exp(-1e5 * ((X[:, None] - X) ** 2).sum(-1))
    assert np.abs(np.trace(K - F @ F.T) - features.trace_error_) < 1e-9


def test_outliers_are_seen():
    rng = np.random.default_rng(3)
    X = np.vstack([0.2 * rng.standard_normal((480, 3)), 20 * rng.standard_normal((20, 3))])
    for seed in range(5):
        ours = RPCholeskyFeatures(n_components=60, random_state=seed).fit_transform(X)
        theirs = Nystroem(n_components=60, random_state=seed).fit_transform(X)
        assert np.sum(np.sum(ours**2, axis=1) < 0.9) == 0 and np.sum(np.sum(theirs**2, axis=1) < 0.1) > 10


def test_few_rows_of_rank():
    X = rows(30, 3)
    assert RPCholeskyFeatures("linear", random_state=0).fit_transform(X).shape[1] in (3, 4)
    same = np.ones((5, 2))
    features = RPCholeskyFeatures(random_state=0).fit(same)
    assert features.transform(same).shape == (5, 1) and features.trace_error_ == 0


# Refusals


@pytest.mark.parametrize(
    ("estimator", "wrong", "message"),
    [
        (LowRankSVD(0), ValueError, "n_components is 0; allowed is an integer from 1"),
        (LowRankSVD(2.5), TypeError, "n_components is 2.5; allowed is an integer from 1"),
        (LowRankSVD(tol=1), ValueError, "tol is 1; allowed is a number with 0 <= tol < 1"),
        (LowRankSVD(algorithm="arpack"), ValueError, "algorithm is 'arpack'; allowed are 'exact', 'randomized'"),
        (LowRankSVD(2, algorithm="randomized", n_iter=-1), ValueError, "n_iter is -1"),
        (ColumnSelector(0), ValueError, "n_features_to_select is 0; allowed is an integer from 1"),
        (ColumnSelector(tol=-1), ValueError, "tol is -1"),
        (ColumnSelector(2, f=1), ValueError, "f is 1; allowed is a number above 1"),
        (RPCholeskyFeatures(n_components=-1), ValueError, "n_components is -1"),
        (RPCholeskyFeatures(tol=2), ValueError, "tol is 2"),
        (RPCholeskyFeatures("sigmoid"), ValueError, "kernel is 'sigmoid'; allowed are 'rbf', "),
        (RPCholeskyFeatures("additive_chi2"), ValueError, "kernel is 'additive_chi2'"),
        (RPCholeskyFeatures(np.dot, gamma=1.0), ValueError, "gamma is 1.0; a function as kernel does not take it"),
        (RPCholeskyFeatures("rbf", kernel_params={}), ValueError, "kernel_params is {}; a kernel by name does not"),
        (RPCholeskyFeatures(lambda x, y: -1.0), ValueError, "A is not positive semidefinite"),
        (RPCholeskyFeatures(lambda x, y: 0.0), ValueError, r"no row of X has k\(x, x\) > 0"),
    ],
)
def test_refusals(estimator, wrong, message):
    with pytest.raises(wrong, match=message):
        estimator.fit(rows())

"""Types of lowrank.estimators.

Generated from book/in_use/estimators.ipynb; edit the chapter.
"""

from typing import Any, Literal, Protocol, SupportsFloat, SupportsIndex

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.feature_selection import SelectorMixin

from lowrank.error_estimates import ErrorEstimate

__all__ = ["LowRankSVD", "ColumnSelector", "RPCholeskyFeatures"]


class _Function(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class _Rows: ...


class LowRankSVD(_Rows, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    components_: Any
    singular_values_: Any
    error_: ErrorEstimate
    energy_ratio_: Any
    explained_variance_: Any
    explained_variance_ratio_: Any
    @property
    def n_features_in_(self) -> int: ...
    @property
    def feature_names_in_(self) -> Any: ...
    n_components: int
    tol: float
    algorithm: Literal["exact", "randomized"]
    n_iter: int
    random_state: Any
    def __init__(
        self,
        n_components: SupportsIndex | None = None,
        *,
        tol: SupportsFloat = 0.0,
        algorithm: Literal["exact", "randomized"] = 'exact',
        n_iter: SupportsIndex = 2,
        random_state: SupportsIndex | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(self, X: Any, y: Any = None) -> Any: ...
    def transform(self, X: Any) -> Any: ...
    def inverse_transform(self, X: Any) -> Any: ...


class ColumnSelector(_Rows, SelectorMixin, BaseEstimator):
    columns_: Any
    coefficients_: Any
    error_: ErrorEstimate
    @property
    def n_features_in_(self) -> int: ...
    @property
    def feature_names_in_(self) -> Any: ...
    n_features_to_select: int
    tol: float
    f: float
    random_state: Any
    def __init__(
        self,
        n_features_to_select: SupportsIndex | None = None,
        *,
        tol: SupportsFloat = 0.0,
        f: SupportsFloat = 2.0,
        random_state: SupportsIndex | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(self, X: Any, y: Any = None) -> Any: ...
    def inverse_transform(self, X: Any) -> Any: ...


class _KernelOfRows(_Rows): ...


class RPCholeskyFeatures(_KernelOfRows, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    component_indices_: Any
    components_: Any
    cholesky_: Any
    trace_error_: float
    @property
    def n_features_in_(self) -> int: ...
    @property
    def feature_names_in_(self) -> Any: ...
    kernel: Any
    kernel_params: Any
    gamma: float
    degree: float
    coef0: float
    n_components: int | None
    tol: float
    random_state: Any
    def __init__(
        self,
        kernel: str | _Function = 'rbf',
        *,
        gamma: SupportsFloat | None = None,
        degree: SupportsFloat | None = None,
        coef0: SupportsFloat | None = None,
        kernel_params: Any = None,
        n_components: SupportsIndex | None = 100,
        tol: SupportsFloat = 0.0,
        random_state: SupportsIndex | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(self, X: Any, y: Any = None) -> Any: ...
    def transform(self, X: Any) -> Any: ...

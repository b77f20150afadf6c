"""DataProcessor: tables of tracks or listeners as a few dense, scaled columns (scikit-learn)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from audotics.errors import BadInputError
from audotics.features.columns import find_columns, from_pandas, read_columns, vector_places
from audotics.features.term_encoder import TermEncoder

_MAX_COVARIANCE = 2000
"""With more columns, a truncated decomposition is faster than the full covariance."""


class DataProcessor(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Imputes, scales, encodes, selects and reduces whatever features a table has.

    Numbers, booleans and dates (as years) are imputed by the median, with a column that says where,
    and standardised; vectors likewise by the mean; genres and tags become TF-IDF or multi-hot columns;
    artist, album, country and other strings one-hot columns. Then `SelectKBest` and `PCA` (or
    `TruncatedSVD` for very many columns). Columns are found by name and type, matched by name;
    ids and titles carry no features. Without any feature the result has no columns.

    Args:
        k: How many encoded columns to keep; fewer are fine, None keeps all. With ``y`` those with
            the highest F statistic, else those with the highest variance.
        n_components: How many columns come out at most; None leaves the selected columns as
            they are (a sparse matrix where most of it is zero).
        weighting: ``tfidf`` or ``multihot`` for lists of strings.
        min_frequency: On how many rows a term or category must stand to get a column.
        max_terms: The most columns that one list or string column is given.
        random_state: Seed of the truncated decomposition, as scikit-learn takes it.

    Attributes:
        columns_: Kind of each column used (see `columns.find_columns`).
        pipeline_: The fitted `Pipeline`, or None where there are no features.
        n_features_in_: Columns of the table that `fit` saw.
        n_features_out_: Columns that come out.
    """

    def __init__(
        self,
        k: int | None = 512,
        n_components: int | None = 64,
        *,
        weighting: str = "tfidf",
        min_frequency: int = 5,
        max_terms: int = 1000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.k = k
        self.n_components = n_components
        self.weighting = weighting
        self.min_frequency = min_frequency
        self.max_terms = max_terms
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn from a table or array ``X [n_rows, n_columns]`` and perhaps a target ``y [n_rows]``.

        Args:
            X: polars or pandas table, or anything numeric that numpy understands; NaN and infinite
                numbers are missing values.
            y: Classes or numbers that the selected columns should tell something about.
        """
        for name in ("k", "n_components"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInputError(f"{name} is {value}", remedy="Give a number from 1 on, or None for all")
        table = self._table(X, reset=True)
        kinds = find_columns(table)
        readable = read_columns(table, kinds)
        self.columns_ = self._telling(readable, kinds)
        self.pipeline_ = self._fitted_pipeline(readable, _target(y, table.height))
        self.n_features_out_ = len(self.get_feature_names_out())
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        """Features ``[n_rows, n_features_out_]`` as float64, sparse only where ``n_components`` is None."""
        check_is_fitted(self)
        table = self._table(X, reset=False)
        if self.pipeline_ is None or not table.height:
            return np.zeros((table.height, self.n_features_out_))
        with config_context(transform_output="default"):
            return self.pipeline_.transform(read_columns(table, self.columns_))

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:
        """Names of the columns that come out; ``input_features`` is only checked for its length."""
        check_is_fitted(self, "columns_")
        if input_features is not None and len(input_features) != self.n_features_in_:
            raise ValueError("input_features should have length equal to number of features")
        if self.pipeline_ is None:
            return np.array([], dtype=object)
        names: npt.NDArray[Any] = self.pipeline_.get_feature_names_out()
        return names

    def _table(self, X: Any, *, reset: bool) -> pl.DataFrame:  # noqa: N803 - scikit-learn's name
        if hasattr(X, "columns") and hasattr(X, "iloc"):
            X = from_pandas(X)  # noqa: N806 - scikit-learn's name
        if isinstance(X, pl.DataFrame):
            if reset:
                validate_data(self, X, skip_check_array=True)
            return X
        array = validate_data(
            self, X, reset=reset, dtype="numeric", ensure_all_finite=False, ensure_min_features=0
        )
        return pl.from_numpy(array, schema=[f"x{place}" for place in range(array.shape[1])])

    def _fitted_pipeline(self, table: pl.DataFrame, y: npt.NDArray[Any] | None) -> Pipeline | None:
        with config_context(transform_output="default"):
            if not self.columns_:
                return None
            steps = [("encode", self._encoder())]
            encoded = steps[0][1].fit_transform(table)
            if not column_variance(encoded).max() > 0.0:
                return None
            if self.k is not None and self.k < encoded.shape[1]:
                steps.append(("select", SelectKBest(_score_function(y), k=self.k)))
                encoded = steps[-1][1].fit_transform(encoded, y)
            if self.n_components is not None:
                steps.append(("reduce", self._reducer(self.n_components, encoded.shape).fit(encoded)))
        return Pipeline(steps)

    def _telling(self, table: pl.DataFrame, kinds: dict[str, str | int]) -> dict[str, str | int]:
        """The columns that get encoded: `ColumnTransformer` refuses encoders that learned no term."""
        return {
            name: kind
            for name, kind in kinds.items()
            if kind not in ("text", "terms") or self._term_encoder().fit(table.select(name)).vocabulary_.size
        }

    def _term_encoder(self) -> TermEncoder:
        return TermEncoder(self.weighting, self.min_frequency, self.max_terms)

    def _encoder(self) -> ColumnTransformer:
        numeric = [name for name, kind in self.columns_.items() if kind == "numeric"]
        vectors = {name: kind for name, kind in self.columns_.items() if isinstance(kind, int)}
        places = [place for name, length in vectors.items() for place in vector_places(name, length)]
        median = SimpleImputer(strategy="median", add_indicator=True)
        blocks = [
            ("numeric", Pipeline([("impute", median), ("scale", StandardScaler())]), numeric),
            ("vector", Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler())]), places),
        ]
        for name, kind in self.columns_.items():
            if kind in ("terms", "text"):
                blocks.append((name, self._term_encoder(), [name]))
        used = [block for block in blocks if block[2]]
        return ColumnTransformer(used, verbose_feature_names_out=False)

    def _reducer(self, n_components: int, shape: tuple[int, int]) -> PCA | TruncatedSVD:
        n_components = min(n_components, *shape)
        if shape[1] <= _MAX_COVARIANCE:
            return PCA(n_components, svd_solver="covariance_eigh")
        return TruncatedSVD(n_components, random_state=self.random_state)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def column_variance(X: Any, y: object = None) -> npt.NDArray[np.float64]:  # noqa: N803 - scikit-learn's name
    """Variance of each column ``[n_columns]`` of a dense or sparse matrix: the score without a target."""
    if sparse.issparse(X):
        return np.asarray(mean_variance_axis(X, axis=0)[1], dtype=np.float64)
    return np.asarray(X.var(axis=0), dtype=np.float64)


def _target(y: Any, n_rows: int) -> npt.NDArray[Any] | None:
    """The target as an array ``[n_rows]``; None where it has one value only and so says nothing."""
    if y is None:
        return None
    target = column_or_1d(y)
    if len(target) != n_rows:
        raise BadInputError(f"the table has {n_rows} rows and the target {len(target)}")
    return target if len(np.unique(target)) > 1 else None


def _score_function(y: npt.NDArray[Any] | None) -> Any:
    if y is None:
        return column_variance
    return f_regression if type_of_target(y) == "continuous" else f_classif

"""The context encoder as a scikit-learn transformer, for pipelines and searches."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from audotics.data.queries import NO_TIME
from audotics.domain import FloatArray
from audotics.features.columns import from_pandas
from audotics.features.context import ContextEncoder


class ContextTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Encodes the columns timestamp, device and country of a table of events with `ContextEncoder`.

    Args:
        n_devices: How many devices have a column of their own.
        n_countries: How many countries have a column of their own.

    Attributes:
        encoder_: The fitted `ContextEncoder`, the same class that serving uses.
    """

    def __init__(self, n_devices: int = 8, n_countries: int = 32) -> None:
        self.n_devices = n_devices
        self.n_countries = n_countries

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn the values of a polars or pandas table of events ``X``; columns may be missing."""
        self.encoder_ = ContextEncoder(self.n_devices, self.n_countries).fit(_as_polars(X))
        return self

    def transform(self, X: Any) -> FloatArray:  # noqa: N803 - scikit-learn's name
        """Encode a table of events as ``[n_rows, n_context]``; missing columns are unknown context."""
        check_is_fitted(self)
        table = _as_polars(X)
        at = np.full(table.height, NO_TIME, dtype=np.int64)
        if "timestamp" in table.columns:
            at = table["timestamp"].cast(pl.Datetime("us")).dt.epoch("us").fill_null(NO_TIME).to_numpy()
        return self.encoder_.encode(at, _values(table, "device"), _values(table, "country"))

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[Any]:
        """Names of the context columns ``[n_context]``."""
        check_is_fitted(self)
        return np.array(self.encoder_.names, dtype=object)


def _as_polars(table: Any) -> pl.DataFrame:
    return table if isinstance(table, pl.DataFrame) else from_pandas(table)


def _values(table: pl.DataFrame, column: str) -> tuple[str | None, ...]:
    if column not in table.columns:
        return (None,) * table.height
    return tuple(table[column].cast(pl.String).to_list())

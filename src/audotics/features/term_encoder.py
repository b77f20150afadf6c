"""A scikit-learn transformer of bags of terms: genres, tags, or a category as a bag with one term."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from audotics.errors import BadInputError
from audotics.features.weights import inverse_document_frequency, tfidf_rows

WEIGHTINGS = ("tfidf", "multihot")


class TermEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Sparse columns for the frequent terms of one column of lists (or of single strings).

    Terms never seen in training, null cells and terms left out give zeros. A term that stands on
    every row says nothing and is left out, too.

    Args:
        weighting: ``tfidf`` (`weights.tfidf_rows`) or ``multihot`` (1 where the term stands, however
            often). For single strings both are one-hot.
        min_frequency: On how many rows a term must stand.
        max_terms: The most frequent terms that are kept.

    Attributes:
        vocabulary_: ``[n_terms]`` the terms, sorted.
        idf_: ``[n_terms]`` their inverse document frequency.
        column_: Name of the column.
    """

    def __init__(self, weighting: str = "tfidf", min_frequency: int = 5, max_terms: int = 1000) -> None:
        self.weighting = weighting
        self.min_frequency = min_frequency
        self.max_terms = max_terms

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn the terms of the only column of ``X [n_rows, 1]``."""
        if self.weighting not in WEIGHTINGS:
            raise BadInputError(
                f"weighting {self.weighting!r} is unknown", remedy=f"Choose one of {', '.join(WEIGHTINGS)}"
            )
        cells = _cells(X)
        frequent = (
            cells.group_by("term")
            .len("n_with_term")
            .filter((pl.col("n_with_term") >= self.min_frequency) & (pl.col("n_with_term") < X.height))
            .sort("n_with_term", "term", descending=[True, False])
            .head(self.max_terms)
            .sort("term")
        )
        self.column_ = X.columns[0]
        self.vocabulary_ = np.array(frequent["term"].to_list(), dtype=np.str_)
        self.idf_ = inverse_document_frequency(frequent["n_with_term"].to_numpy(), cells["row"].n_unique())
        return self

    def transform(self, X: pl.DataFrame) -> sparse.csr_matrix:  # noqa: N803 - scikit-learn's name
        """Encode the only column of ``X [n_rows, 1]`` as ``[n_rows, n_terms]``."""
        check_is_fitted(self)
        places = pl.DataFrame(
            {"term": self.vocabulary_.tolist(), "place": np.arange(len(self.vocabulary_), dtype=np.int32)},
            schema={"term": pl.String, "place": pl.Int32},
        )
        cells = _cells(X).join(places, on="term")
        row, place = cells["row"].to_numpy(), cells["place"].to_numpy()
        if self.weighting == "tfidf":
            return tfidf_rows(row, place, cells["count"].to_numpy(), self.idf_, X.height)
        ones = np.ones(len(row), dtype=np.float32)
        return sparse.csr_matrix((ones, (row, place)), shape=(X.height, len(self.vocabulary_)))

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[Any]:
        """``column=term`` for each column."""
        check_is_fitted(self)
        return np.array([f"{self.column_}={term}" for term in self.vocabulary_.tolist()], dtype=object)


def _cells(table: pl.DataFrame) -> pl.DataFrame:
    """Columns row, term and count: how often each term stands on each row."""
    terms = table.to_series(0)
    rows = pl.DataFrame(
        [pl.int_range(table.height, dtype=pl.Int32, eager=True).alias("row"), terms.alias("term")]
    )
    if isinstance(terms.dtype, pl.List):
        rows = rows.explode("term", empty_as_null=True)
    said = pl.col("term").is_not_null() & (pl.col("term") != "")
    return rows.filter(said).group_by("row", "term").len("count")

"""Weights of terms: TF-IDF rows, the one implementation for content terms and the scikit-learn pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse


def inverse_document_frequency(n_with_term: npt.NDArray[Any], n_rows: int) -> npt.NDArray[np.float64]:
    """``1 + ln((1 + n_rows) / (1 + n_with_term))`` for each term ``[n_terms]``, never 0.

    Args:
        n_with_term: ``[n_terms]``, on how many rows each term stands.
        n_rows: How many rows have any term.
    """
    weights: npt.NDArray[np.float64] = 1.0 + np.log((1.0 + n_rows) / (1.0 + n_with_term))
    return weights


def tfidf_rows(
    row: npt.NDArray[Any],
    term: npt.NDArray[Any],
    count: npt.NDArray[Any],
    idf: npt.NDArray[np.float64],
    n_rows: int,
) -> sparse.csr_matrix:
    """Rows of ``(1 + ln count) * idf``, each scaled to length 1 (or empty): ``[n_rows, n_terms]``, float32.

    Sublinear term frequency and smoothed inverse document frequency as in Manning, Raghavan and
    Schütze, *Introduction to Information Retrieval* (2008), section 6.4.

    Args:
        row: ``[n_cells]``, each cell a distinct pair of row and term.
        term: ``[n_cells]``.
        count: ``[n_cells]``, how often the term stands on the row, at least 1.
        idf: ``[n_terms]``.
        n_rows: How many rows.
    """
    weight = (1.0 + np.log(count)) * idf[term]
    length = np.sqrt(np.bincount(row, weights=weight**2, minlength=n_rows))
    values = (weight / length[row]).astype(np.float32)
    matrix = sparse.csr_matrix((values, (row, term)), shape=(n_rows, len(idf)))
    matrix.sort_indices()
    return matrix

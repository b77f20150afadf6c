"""The terms of a catalogue with their weights, by which tracks outside it are described, too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.features.terms import GROUPS, term_occurrences
from audotics.features.weights import inverse_document_frequency, tfidf_rows


@dataclass(frozen=True, slots=True)
class _Terms:
    """The terms of one group.

    Args:
        counts: ``[n_terms]`` ascending ``key``, and ``n_with_term``, on how many tracks it stands.
        n_described: How many tracks have any term of the group.
    """

    counts: pl.DataFrame
    n_described: int

    @classmethod
    def of(cls, track_table: pl.DataFrame, group: str) -> _Terms:
        standing = term_occurrences(track_table, group).select("row", "key").unique()
        counts = standing.group_by("key").len("n_with_term").sort("key")
        return cls(counts, standing["row"].n_unique())

    @property
    def idf(self) -> npt.NDArray[np.float64]:
        return inverse_document_frequency(self.counts["n_with_term"].to_numpy(), self.n_described)


class TermVocabulary:
    """Every term that stands on a track, by group (`GROUPS`), and how much it counts.

    Args:
        track_table: The tracks table (``schema.TRACKS``), one row per track in index order.
    """

    def __init__(self, track_table: pl.DataFrame) -> None:
        self._groups = {group: _Terms.of(track_table, group) for group in GROUPS}

    def at_least(self, n_tracks: int) -> TermVocabulary:
        """Without the terms that stand on fewer tracks; the others count as much as before."""
        other = TermVocabulary.__new__(TermVocabulary)
        often = pl.col("n_with_term") >= n_tracks
        other._groups = {
            group: replace(terms, counts=terms.counts.filter(often)) for group, terms in self._groups.items()
        }
        return other

    def describe(self, rows: pl.DataFrame, group: str) -> sparse.csr_matrix:
        """TF-IDF of the group's terms ``[n_rows, n_terms]``, rows of length 1 or empty; see `tfidf_rows`.

        Args:
            rows: Tracks (``schema.TRACKS``), in the catalogue or not; terms that no track of the catalogue
                has are left out.
            group: One of `GROUPS`.
        """
        terms = self._groups[group]
        cells = term_occurrences(rows, group).group_by("row", "key").len("count")
        cells = cells.join(terms.counts.select("key").with_row_index("term"), on="key").sort("row", "term")
        row, term, count = (cells[name].to_numpy() for name in ("row", "term", "count"))
        return tfidf_rows(row, term, count, terms.idf, rows.height)

"""Warm starts: rows learned for an earlier vocabulary, put where the same tracks stand now."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.data.vocabulary import Vocabulary
from audotics.domain import BoolArray, FloatArray, IndexArray
from audotics.retrieval.stand_ins import ContentIndex


class TrackRows:
    """Carries rows of tracks from an earlier vocabulary into a new one.

    A track that both know keeps its row. A new one gets the mean row of the known tracks that are most like
    it by content (`ContentIndex.stand_ins`), so that it starts where its attributes say that it belongs
    (Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", 2010).

    Args:
        earlier: The vocabulary of the rows.
        corpus: The data with the new vocabulary.
    """

    def __init__(self, earlier: Vocabulary, corpus: Corpus) -> None:
        self._corpus = corpus
        self.place: IndexArray = earlier.encode(pl.Series(corpus.tracks.ids, dtype=pl.String))
        """Index in the earlier vocabulary ``[n_tracks]``, -1 for new tracks."""

    @property
    def known(self) -> BoolArray:
        """Which tracks the earlier vocabulary has ``[n_tracks]``."""
        known: BoolArray = self.place >= 0
        return known

    def carried(self, rows: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Rows in the new order, and which of them are told.

        Args:
            rows: ``[n_earlier, dim]``.

        Returns:
            ``[n_tracks, dim]``, and ``[n_tracks]``: False for a new track that is like no known one; its row
            is 0.
        """
        there = np.zeros((len(self.place), rows.shape[1]), np.float32)
        there[self.known] = rows[self.place[self.known]]
        new = np.flatnonzero(~self.known)
        told = self.known.copy()
        if len(new) and self.known.any():
            there[new] = self._shares @ there
            told[new] = np.diff(self._shares.indptr) > 0
        return there, told

    @cached_property
    def _shares(self) -> sparse.csr_matrix:
        """What each known track gives to each new one ``[n_new, n_tracks]``."""
        table = self._corpus.track_table
        return ContentIndex(table, self.known).stand_ins(table[np.flatnonzero(~self.known)])


@runtime_checkable
class WarmStarting(Protocol):
    """A retriever whose next fit may start from what an earlier one learned."""

    def start_from(self, earlier: Mapping[str, npt.NDArray[Any]], rows: TrackRows) -> None:
        """Start the next fit, and only that, from there.

        Args:
            earlier: What `Retriever.arrays` of the earlier one gives.
            rows: Carries its rows into the vocabulary of the next fit.
        """
        ...

"""One honest phrase per recommended track, from what its strongest retriever says raised it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, IndexArray
from audotics.retrieval.protocol import Evidence, Explanation, Retriever


class Explainer:
    """Turns retrievers' explanations into phrases.

    Args:
        retrievers: In the order that ``source`` numbers them.
        track_table: Catalogue in index order, for names.
    """

    def __init__(self, retrievers: Sequence[Retriever], track_table: pl.DataFrame) -> None:
        self._retrievers = retrievers
        self._names = track_names(track_table)

    def phrases(self, batch: QueryBatch, track_index: IndexArray, source: IndexArray) -> list[list[str]]:
        """A phrase for each shown track ``[batch][<= k]``; padding is left out."""
        rows, columns = np.nonzero(track_index != PADDING)
        flat_tracks, flat_sources = track_index[rows, columns], source[rows, columns]
        found: list[Explanation | None] = [None] * len(rows)
        for number, retriever in enumerate(self._retrievers):
            mine = np.flatnonzero(flat_sources == number)
            if len(mine):
                asked = batch.take(rows[mine])
                for place, explanation in zip(mine, retriever.explain(asked, flat_tracks[mine]), strict=True):
                    found[place] = explanation
        result: list[list[str]] = [[] for _ in range(batch.size)]
        for row, explanation in zip(rows.tolist(), found, strict=True):
            result[row].append(self._phrase(explanation, is_listener=bool(batch.user_index[row] >= 0)))
        return result

    def _phrase(self, explanation: Explanation | None, *, is_listener: bool) -> str:
        if explanation is None:
            return "something new to try"
        if explanation.evidence is Evidence.POPULAR:
            return "popular with many listeners"
        if explanation.evidence is Evidence.HEARD:
            return "you have played this"
        if explanation.evidence is Evidence.TERM:
            return f"more {explanation.term}"
        verb = "because you play" if is_listener else "goes with"
        return f"{verb} {self._names[explanation.cause]}"


def track_names(track_table: pl.DataFrame) -> list[str]:
    """What to call each track, in index order: 'title by artist', or the id where it has no title."""
    title, artist = pl.col("title"), pl.col("artist")
    name = (
        pl.when(title.is_null())
        .then(pl.col("track_id"))
        .when(artist.is_null() | (artist == title))
        .then(title)
        .otherwise(pl.format("{} by {}", title, artist))
    )
    return track_table.select(name.alias("name"))["name"].to_list()

"""WarmStart: a training that begins with what an earlier version knows instead of at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.corpus import Corpus
from audotics.data.dataset import Dataset
from audotics.data.vocabulary import Vocabulary
from audotics.ranking.stored_vectors import stored_vectors
from audotics.ranking.vectors import EarlierVectors, VectorStart
from audotics.recommender.recommender import Recommender
from audotics.retrieval.protocol import Retriever
from audotics.retrieval.warm_start import TrackRows, WarmStarting

LEAST_TAUGHT = 400
"""With so many listeners since the earlier version, what they did alone is hidden; else the usual share."""


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What an earlier version knows.

    The final fit of every retriever may start from it: that one sees all events anyway. Fits on the visible
    part may where only events are hidden that came after ``knows_until``. Otherwise the earlier version has
    learned from what is hidden now: retrievers that start from it would look better on the teaching lists
    than they are, and rankers would trust them too much.

    Args:
        users: Its listeners.
        tracks: Its tracks.
        retrievers: Learned arrays by retriever name.
        vectors: Of its deep ranker; None where it has none.
        knows_until: Time of the last event that it learned from, UTC.
    """

    users: Vocabulary
    tracks: Vocabulary
    retrievers: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    vectors: EarlierVectors | None
    knows_until: datetime

    @classmethod
    def of(cls, recommender: Recommender, knows_until: datetime) -> Self:
        """Of a loaded version."""
        deep = find_spec("tensorflow") is not None
        return cls(
            users=recommender.users,
            tracks=recommender.tracks,
            retrievers={retriever.name: retriever.arrays() for retriever in recommender.retrievers},
            vectors=stored_vectors(recommender.unheard.ranker) if deep else None,
            knows_until=knows_until,
        )

    def hide_since(self, dataset: Dataset) -> datetime | None:
        """From when on to hide events so that nothing hidden was learned; None where that is too little."""
        starts_at = self.knows_until + timedelta(microseconds=1)
        if not dataset.timed:
            return None
        news = dataset.events().filter(pl.col("timestamp") >= starts_at)
        n_listeners = news.select(pl.col("user_id").n_unique()).collect().item()
        return starts_at if n_listeners >= LEAST_TAUGHT else None

    def into(self, corpus: Corpus) -> WarmRows:
        """The same in the index space of a corpus."""
        return WarmRows(self, corpus, TrackRows(self.tracks, corpus))


@dataclass(frozen=True, slots=True)
class WarmRows:
    """A warm start by the vocabularies of a corpus.

    Args:
        start: What is known.
        corpus: Whose vocabularies count.
        rows: Carries rows of tracks over.
    """

    start: WarmStart
    corpus: Corpus
    rows: TrackRows

    def begin(self, retriever: Retriever) -> Retriever:
        """The retriever, its next fit starting from what is known where it can."""
        earlier = self.start.retrievers.get(retriever.name)
        if earlier is not None and isinstance(retriever, WarmStarting):
            retriever.start_from(earlier, self.rows)
        return retriever

    def vectors(self) -> VectorStart | None:
        """Vectors for the deep ranker: those of listeners who are new are the mean of their tracks."""
        earlier = self.start.vectors
        if earlier is None:
            return None
        tracks, told = self.rows.carried(earlier.tracks)
        place = self.start.users.encode(pl.Series(self.corpus.users.ids, dtype=pl.String))
        known = place >= 0
        means, with_tracks = self._means(tracks, told)
        users = means * _ratio(earlier.users[place[known]], means[known & with_tracks])
        users[known] = earlier.users[place[known]]
        return VectorStart(users.astype(np.float32), known | with_tracks, tracks, told)

    def _means(
        self, tracks: npt.NDArray[np.float32], told: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Mean vector of each listener's tracks ``[n_users, dim]``, and who has any."""
        matrix = self.corpus.interactions.matrix()
        n = matrix @ told.astype(np.float32)
        means = (matrix @ np.where(told[:, None], tracks, 0)) / np.maximum(n, 1)[:, None]
        return means.astype(np.float32), n > 0


def _ratio(vectors: npt.NDArray[np.float32], means: npt.NDArray[np.float32]) -> float:
    """How much longer listeners' own vectors are than the means of their tracks."""
    if not len(vectors) or not len(means):
        return 1.0
    length = float(np.linalg.norm(means, axis=1).mean())
    return float(np.linalg.norm(vectors, axis=1).mean()) / length if length > 0 else 1.0

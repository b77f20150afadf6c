"""The listener's own most played tracks, for listening again."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from audotics.data.compressed import Compressed
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.learned import LearnedRetriever, strongest_tracks
from audotics.retrieval.protocol import Arrays, Choice, Explanation, Range, RetrieverConfig, SearchSpace
from audotics.retrieval.weighting import play_scale, play_weights, recency_weights


class FavouritesConfig(RetrieverConfig):
    """Settings of `Favourites`."""

    play_strength: float = Field(1.0, ge=0)
    """How much repeated plays count, see `play_weights`."""
    half_life: float = Field(100.0, gt=0)
    """Other tracks played since, after which a track counts half. Without order nothing fades."""


class Favourites(LearnedRetriever[FavouritesConfig]):
    """Weight of a listener's plays of a track, fading with every other track played since.

    Recency is counted in tracks, not in days, so that a raw history without times is answered like the
    history of a known listener.
    """

    name: ClassVar[str] = "favourites"
    config_type: ClassVar[type[RetrieverConfig]] = FavouritesConfig
    space: ClassVar[SearchSpace] = {
        "play_strength": Choice((0.3, 1.0, 3.0)),
        "half_life": Range(5.0, 1000.0, log=True),
    }

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether anybody played a track more than once."""
        return bool((corpus.interactions.plays > 1).any())

    def learn(self, corpus: Corpus) -> Arrays:
        """Learn the usual number of plays; all else is in the query."""
        return {"play_scale": np.array([play_scale(corpus.interactions)], np.float32)}

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``; 0 for tracks not in the history."""
        return self.compact_scores(batch).toarray()

    def compact_scores(self, batch: QueryBatch) -> Compressed:
        """The same, compressed: nobody has heard most tracks."""
        histories = batch.histories
        return Compressed(
            self._fondness(histories), histories.track_index, histories.indptr, histories.n_tracks
        )

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """Heard, where the track is in the history."""
        own = query.histories.track_index == track_index[:, None]
        return strongest_tracks(query.histories, self._fondness(query.histories) * own, track_index)

    def _fondness(self, histories: Interactions) -> FloatArray:
        """Faded weight of each pair ``[n_pairs]``."""
        scale = float(self.arrays()["play_scale"][0])
        weights = play_weights(histories.plays, scale, self.config.play_strength)
        half_life = self.config.half_life if histories.ordered else None
        faded: FloatArray = weights * recency_weights(histories, half_life)
        return faded

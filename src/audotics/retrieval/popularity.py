"""What many listeners play: overall, lately, and in the listener's country."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from audotics.data.corpus import POSITIVE_EVENTS, Corpus
from audotics.data.queries import QueryBatch
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, FloatArray, IndexArray
from audotics.retrieval.learned import LearnedRetriever
from audotics.retrieval.protocol import (
    Arrays,
    Choice,
    Evidence,
    Explanation,
    Range,
    RetrieverConfig,
    SearchSpace,
)

MICROSECONDS_PER_DAY = 86_400_000_000

MAX_COUNTRIES = 32
"""Countries with shares of their own, those with most listeners; the others hear what the world plays."""


class PopularityConfig(RetrieverConfig):
    """Settings of `Popularity`."""

    play_share: float = Field(0.0, ge=0, le=1)
    """Power of a listener's plays: 0 counts distinct listeners, 1 counts plays."""
    half_life_days: float | None = Field(None, gt=0)
    """Age at which an interaction counts half; None counts all ages alike. Needs timestamps."""
    country_shrinkage: float = Field(50.0, ge=0)
    """Interactions of a country at which its own share and the global share weigh the same."""


class Popularity(LearnedRetriever[PopularityConfig]):
    """Share of interactions that a track has, decayed by age and adapted to the query's country.

    Each pair counts ``plays^s 2^(-age / half-life)``. A country's shares are shrunk to the global ones,

        share(t | c) = (count_ct + m share_t) / (count_c + m),

    so a country with few events recommends what the world plays, as does one that is not among the
    `MAX_COUNTRIES` with most listeners.
    """

    name: ClassVar[str] = "popularity"
    config_type: ClassVar[type[RetrieverConfig]] = PopularityConfig
    space: ClassVar[SearchSpace] = {
        "play_share": Choice((0.0, 0.3)),
        "half_life_days": Choice((None, 3.0, 14.0, 60.0, 365.0)),
        "country_shrinkage": Range(10.0, 10_000.0, log=True),
    }

    def learn(self, corpus: Corpus) -> Arrays:
        """Count pairs overall and by country."""
        interactions = corpus.interactions
        counts = interactions.plays**self.config.play_share * self._decay(corpus)
        overall = _shares(interactions.track_index, counts, corpus.n_tracks)
        names, country_of_pair = self._countries(corpus)
        here = np.flatnonzero(country_of_pair != PADDING)
        cell = country_of_pair[here].astype(np.int64) * corpus.n_tracks + interactions.track_index[here]
        own = np.bincount(cell, counts[here], len(names) * corpus.n_tracks)
        own = own.reshape(len(names), corpus.n_tracks)
        total = own.sum(axis=1, keepdims=True) + self.config.country_shrinkage
        by_country = (own + self.config.country_shrinkage * overall) / np.maximum(total, 1e-12)
        return {"overall": overall, "countries": names, "by_country": by_country.astype(np.float32)}

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``: the share of the query's country, the global one if unknown."""
        arrays = self.arrays()
        scores = np.tile(arrays["overall"], (batch.size, 1))
        places = self._places(batch.country)
        known = places >= 0
        scores[known] = arrays["by_country"][places[known]]
        return scores

    def compact_scores(self, batch: QueryBatch) -> FloatArray:
        """The same, without a copy where no query names a country."""
        if any(batch.country):
            return self.score(batch)
        overall = self.arrays()["overall"]
        return np.broadcast_to(overall, (batch.size, len(overall)))

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """Popular, wherever anybody has played the track."""
        played = (self.arrays()["overall"][track_index] > 0) & (track_index != PADDING)
        return [Explanation(Evidence.POPULAR) if known else None for known in played.tolist()]

    def _decay(self, corpus: Corpus) -> FloatArray:
        """Weight of each pair ``[n_pairs]`` by its age at the end of the training data."""
        last_at = corpus.interactions.last_at
        if self.config.half_life_days is None or not corpus.timed or len(last_at) == 0:
            return np.ones(len(last_at), np.float32)
        age_days = (last_at.max() - last_at) / MICROSECONDS_PER_DAY
        decay: FloatArray = np.exp2(-age_days / self.config.half_life_days).astype(np.float32)
        return decay

    @staticmethod
    def _countries(corpus: Corpus) -> tuple[npt.NDArray[np.str_], IndexArray]:
        """Names of the countries and the country of each pair ``[n_pairs]`` (-1 unknown or not counted).

        A listener's country is where most of their positive events come from, else the users table's.
        """
        from_events = (
            corpus.events.filter(pl.col("event").is_in(POSITIVE_EVENTS), pl.col("country").is_not_null())
            .group_by("user_index")
            .agg(pl.col("country").mode().sort().first().alias("played_in"))
        )
        listeners = (
            corpus.user_table.select("country")
            .with_row_index("user_index")
            .with_columns(pl.col("user_index").cast(pl.Int32))
            .join(from_events, on="user_index", how="left", maintain_order="left")
            .select(pl.coalesce("played_in", "country").alias("country"))["country"]
        )
        counted = listeners.drop_nulls().value_counts().sort("count", "country", descending=[True, False])
        names = Vocabulary.sorted(counted["country"].head(MAX_COUNTRIES))
        places = names.encode(listeners)
        return np.array(names.ids, dtype=np.str_), places[corpus.interactions.row_index]

    def _places(self, countries: tuple[str | None, ...]) -> IndexArray:
        table = {str(name): place for place, name in enumerate(self.arrays()["countries"])}
        return np.array([table.get(name or "", PADDING) for name in countries], np.int32)


def _shares(track_index: IndexArray, counts: FloatArray, n_tracks: int) -> FloatArray:
    totals = np.bincount(track_index, counts, n_tracks)
    shares: FloatArray = (totals / max(float(totals.sum()), 1e-12)).astype(np.float32)
    return shares

"""Asking a recommender on behalf of new listeners: the queries that a service would send for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS, Corpus
from audotics.domain import BoolArray, IndexArray, Mode, Query
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.newcomers import (
    MOST_LISTENERS,
    N_EVENTS,
    NewcomerResult,
    drawn_rows,
    favourite_artists,
    newcomer_reports,
    shortened,
)
from audotics.evaluation.report import Newcomer, NewcomerReport
from audotics.features.catalogue import artist_keys
from audotics.recommender.candidates import Allowed, best_of
from audotics.recommender.recommender import Recommender
from audotics.retrieval.popularity import Popularity
from audotics.retrieval.protocol import Retriever


def judge_newcomers(
    evaluator: ModelEvaluator,
    recommender: Recommender,
    corpus: Corpus,
    retrievers: Sequence[Retriever],
    name: str,
    *,
    most_listeners: int = MOST_LISTENERS,
) -> tuple[NewcomerReport, ...]:
    """Ask again for the listeners of a test, as if they were new.

    Args:
        evaluator: The test. Only test tracks that their listener had not heard are asked for.
        recommender: The system that the report is about.
        corpus: What it was trained on.
        retrievers: Measured beside it; `Popularity` must be among them.
        name: What to call the system.
        most_listeners: How many are asked for each kind of newcomer; a random part where there are more.

    Returns:
        A report for each kind of newcomer that somebody can stand for; none if the test has nothing unheard.
    """
    asking = _Asking.of(evaluator, recommender, corpus)
    results = [
        asking.measured(newcomer, rows, recommender, retrievers, name)
        for newcomer in Newcomer
        if len(rows := drawn_rows(asking.can_stand_for(newcomer), most_listeners, evaluator.seed))
    ]
    return newcomer_reports(
        results, name, Popularity.name, n_resamples=evaluator.n_resamples, seed=evaluator.seed
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    """The listeners of a test with all that is known of them."""

    evaluator: ModelEvaluator
    corpus: Corpus
    favourites: IndexArray  # [n_listeners, N_FAVOURITES] codes of artists
    artist: IndexArray  # [n_tracks] code of each track's artist

    @classmethod
    def of(cls, evaluator: ModelEvaluator, recommender: Recommender, corpus: Corpus) -> _Asking:
        artist = recommender.catalogue.artist
        histories = corpus.interactions.rows(evaluator.user_index)
        return cls(evaluator, corpus, favourite_artists(histories, artist), artist)

    def can_stand_for(self, newcomer: Newcomer) -> BoolArray:
        """``[n_listeners]``: who has unheard test tracks and at least as much of a history."""
        test = self.evaluator.test
        unheard = np.bincount(test.holdout.row_index[~test.heard], minlength=test.holdout.n_listeners) > 0
        if newcomer is Newcomer.FAVOURITE_ARTISTS:
            enough = (self.favourites >= 0).all(axis=1)
        else:
            lengths = self.corpus.interactions.rows(self.evaluator.user_index).lengths
            enough = lengths >= N_EVENTS[newcomer]
        can: BoolArray = unheard & enough
        return can

    def measured(
        self,
        newcomer: Newcomer,
        rows: IndexArray,
        recommender: Recommender,
        retrievers: Sequence[Retriever],
        name: str,
    ) -> NewcomerResult:
        """What the system and the retrievers recommend to the listeners ``rows``, and how good it is."""
        test, cutoff = self.evaluator.test, self.evaluator.headline
        user_index = test.user_index[rows]
        contexts = usual_contexts(self.corpus, user_index)
        asked, strangers = (
            replace(recommender.encode(queries)[0], device=contexts[0], country=contexts[1])
            for queries in (self._queries(newcomer, rows, recommender), [Query()] * len(rows))
        )
        histories = self.corpus.interactions.rows(user_index)
        heard = np.split(histories.track_index, histories.indptr[1:-1])
        allowed = Allowed((Mode.DISCOVER,) * len(rows), tuple(heard))
        lists = {name: recommender.recommend_indices(asked, allowed, cutoff)}
        for retriever in retrievers:
            # As when serving, tracks that stand for favourite artists are out of the lists of who uses them.
            batch = strangers if isinstance(retriever, Popularity) else asked
            lists[retriever.name] = best_of(retriever, batch, allowed, cutoff)
        return NewcomerResult.of(newcomer, test.holdout.keep(~test.heard).take(rows), lists, cutoff)

    def _queries(self, newcomer: Newcomer, rows: IndexArray, recommender: Recommender) -> list[Query]:
        if newcomer is Newcomer.FAVOURITE_ARTISTS:
            keys = artist_keys(recommender.track_table)
            codes, first = np.unique(self.artist, return_index=True)
            named = dict(zip(codes.tolist(), keys.gather(first).to_list(), strict=True))
            return [
                Query(artists=tuple(named[code] for code in row)) for row in self.favourites[rows].tolist()
            ]
        histories = self.corpus.interactions.rows(self.evaluator.user_index[rows])
        left = shortened(histories, N_EVENTS[newcomer], self.evaluator.seed)
        ids = [recommender.tracks.ids[track] for track in left.track_index.tolist()]
        starts = left.indptr.tolist()
        return [Query(history=tuple(ids[start:stop])) for start, stop in pairwise(starts)]


def usual_contexts(
    corpus: Corpus, user_index: IndexArray
) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    """Device and country that each listener mostly plays in; a country else from the users table.

    Args:
        corpus: The training data.
        user_index: ``[n]``, -1 for listeners training never saw.

    Returns:
        ``n`` devices and ``n`` countries, None where unknown.
    """
    asked = pl.DataFrame({"user_index": user_index.astype(np.int32)})
    usual = (
        corpus.events.filter(
            pl.col("event").is_in(POSITIVE_EVENTS), pl.col("user_index").is_in(asked["user_index"].implode())
        )
        .group_by("user_index")
        .agg(pl.col("device", "country").drop_nulls().mode().sort().first())
    )
    table = corpus.user_table.select(pl.col("country").alias("home")).with_row_index("user_index")
    found = asked.join(usual, on="user_index", how="left", maintain_order="left").join(
        table.with_columns(pl.col("user_index").cast(pl.Int32)),
        on="user_index",
        how="left",
        maintain_order="left",
    )
    country = found.select(pl.coalesce("country", "home")).to_series()
    return tuple(found["device"].to_list()), tuple(country.to_list())

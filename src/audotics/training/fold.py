"""The fold of a training run: what is hidden, from whom, and which listeners judge what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS, Corpus, build_corpus
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.data.splits import choose_split
from audotics.domain import BoolArray, IndexArray, Mode
from audotics.recommender.candidates import Allowed

ROLE_SHARES = (0.64, 0.18, 0.18)
"""Shares of the held-out listeners that teach, choose and judge."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Listeners with hidden events, asked about what they then played.

    Args:
        corpus: Everything, the hidden events included.
        visible: The same vocabularies without the hidden events.
        batch: One query for each listener with hidden events, as of the moment of hiding.
        hidden: Columns row (of the batch), track_index and one boolean per kind of event.
        description: How the events were hidden.
        include_heard: Whether hidden plays of heard tracks count as answers.
    """

    corpus: Corpus
    visible: Corpus
    batch: QueryBatch
    hidden: pl.DataFrame
    description: str
    include_heard: bool

    @property
    def allowed(self) -> Allowed:
        """What may be proposed to the held-out listeners."""
        mode = Mode.MIX if self.include_heard else Mode.DISCOVER
        return Allowed((mode,) * self.batch.size, (np.zeros(0, np.int32),) * self.batch.size)

    def take(self, rows: IndexArray) -> Fold:
        """The chosen queries."""
        renumbered = pl.DataFrame({"row": rows, "new": np.arange(len(rows), dtype=np.int32)})
        hidden = self.hidden.join(renumbered, on="row", how="inner", maintain_order="left")
        return Fold(
            self.corpus,
            self.visible,
            self.batch.take(rows),
            hidden.drop("row").rename({"new": "row"}),
            self.description,
            self.include_heard,
        )

    def roles(self, seed: int, most: int) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Rows of the listeners that teach, choose and judge: disjoint, drawn by the seed.

        Args:
            seed: Seed of the draw.
            most: Most listeners used in all.
        """
        order = np.random.default_rng(seed).permutation(self.batch.size)[:most].astype(np.int32)
        ends = np.floor(np.cumsum(ROLE_SHARES) * len(order) + 1e-9).astype(int)
        return order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :]


def hide(
    events: pl.DataFrame,
    tracks: pl.DataFrame,
    users: pl.DataFrame,
    *,
    seed: int,
    include_heard: bool,
) -> Fold:
    """Hide part of the events the way the data suggests (`choose_split`).

    Args:
        events: All training events (``schema.EVENTS``).
        tracks: The catalogue.
        users: The users table.
        seed: Seed of a random fold.
        include_heard: Whether hidden plays of heard tracks count as answers.
    """
    numbered = events.with_row_index("row")
    split = choose_split(numbered, seed=seed)
    kept = _marked(split.train, events.height)
    hidden = _marked(split.test, events.height)
    corpus = build_corpus(events, tracks, users)
    visible = corpus.keep(kept)
    answers = _answers(corpus.events.filter(pl.Series(hidden)), visible, include_heard)
    users_asked = np.unique(answers["user_index"].to_numpy())
    batch = _queries(visible, answers, users_asked, timed=corpus.timed)
    rows = pl.DataFrame({"user_index": users_asked, "row": np.arange(len(users_asked), dtype=np.int32)})
    return Fold(
        corpus,
        visible,
        batch,
        answers.join(rows, on="user_index", maintain_order="left").drop("user_index"),
        split.description,
        include_heard,
    )


def _marked(part: pl.DataFrame, height: int) -> BoolArray:
    mark = np.zeros(height, dtype=np.bool_)
    mark[part["row"].to_numpy()] = True
    return mark


def _answers(hidden: pl.DataFrame, visible: Corpus, include_heard: bool) -> pl.DataFrame:
    """One row per hidden user-track pair, with what happened, where, and when first."""
    pairs = hidden.group_by("user_index", "track_index", maintain_order=True).agg(
        pl.col("event").is_in(POSITIVE_EVENTS).any().alias("play"),
        (pl.col("event") == "complete").any().alias("complete"),
        pl.col("event").is_in(("like", "add_to_playlist")).any().alias("like"),
        (pl.col("event") == "skip").any().alias("skip"),
        pl.col("timestamp").min(),
        pl.col("device").first(),
        pl.col("country").first(),
    )
    if include_heard:
        return pairs
    heard = pl.DataFrame(
        {"user_index": visible.interactions.row_index, "track_index": visible.interactions.track_index}
    )
    return pairs.join(heard, on=["user_index", "track_index"], how="anti", maintain_order="left")


def _queries(visible: Corpus, answers: pl.DataFrame, users_asked: IndexArray, *, timed: bool) -> QueryBatch:
    """Each listener asks at the moment, and in the context, of the first hidden event."""
    if not timed:
        return QueryBatch.of_listeners(visible.interactions, users_asked)
    first = answers.sort("timestamp").group_by("user_index").first().sort("user_index")
    return QueryBatch(
        histories=visible.interactions.rows(users_asked),
        user_index=users_asked,
        at=first["timestamp"].dt.epoch("us").fill_null(NO_TIME).to_numpy(),
        device=tuple(first["device"].to_list()),
        country=tuple(first["country"].to_list()),
    )

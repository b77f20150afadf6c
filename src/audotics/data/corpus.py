"""Corpus: a Dataset (or one part of a split) in index space, what everything that learns is fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from audotics.data.interactions import Interactions
from audotics.data.vocabulary import Vocabulary

POSITIVE_EVENTS = ("play", "complete", "like", "add_to_playlist")
"""Events that say a listener chose a track; a skip or a dislike alone is no interaction."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Training data in index space. Build it with `build_corpus`.

    Args:
        users: Listeners of the training events, in index order.
        tracks: Tracks of the training events and of the catalogue, in index order.
        interactions: ``[n_users, n_tracks]`` positive pairs.
        events: The training events with the columns of the Dataset schema, plus ``user_index``,
            ``track_index`` and ``at`` (int64: microseconds, position, or 0), without the id columns.
        track_table: The tracks table, one row per track of the vocabulary, in index order.
        user_table: The users table, one row per listener of the vocabulary, in index order.
        timed: Whether the events have timestamps.
    """

    users: Vocabulary
    tracks: Vocabulary
    interactions: Interactions
    events: pl.DataFrame
    track_table: pl.DataFrame
    user_table: pl.DataFrame
    timed: bool

    @property
    def n_users(self) -> int:
        """Size of the listener vocabulary."""
        return len(self.users)

    @property
    def n_tracks(self) -> int:
        """Size of the track vocabulary."""
        return len(self.tracks)

    def keep(self, chosen: pl.Series | np.ndarray) -> Corpus:
        """The same vocabularies and tables with only the chosen events (boolean per event).

        For out-of-fold training: indices stay comparable, while tracks that lose all their
        events become cold. Tags that a listener gave to a track with which they have no event left go,
        too: a listener who has not played a track yet has not tagged it.
        """
        events = self.events.filter(pl.Series(chosen, dtype=pl.Boolean))
        return replace(
            self,
            events=events,
            interactions=_interactions(events, len(self.users), len(self.tracks)),
            track_table=without_tags_of(self.track_table, self._pairs_lost(events)),
        )

    def _pairs_lost(self, kept: pl.DataFrame) -> pl.DataFrame:
        """``track_id`` and ``tagged_by`` of the listener-track pairs of which no event is kept."""
        table = self.track_table
        if "tagged_by" not in table.columns or table["tagged_by"].null_count() == table.height:
            return pl.DataFrame(schema=_TAGGED)
        pair = ["user_index", "track_index"]
        lost = self.events.select(pair).unique().join(kept.select(pair).unique(), on=pair, how="anti")
        return pl.DataFrame(
            {
                "track_id": pl.Series(self.tracks.ids, dtype=pl.String).gather(lost["track_index"]),
                "tagged_by": pl.Series(self.users.ids, dtype=pl.String).gather(lost["user_index"]),
            }
        )


_TAGGED = pl.Schema({"track_id": pl.String(), "tagged_by": pl.String()})


def without_tags_of(track_table: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """The tracks table without the tags that certain listeners gave to certain tracks.

    Args:
        track_table: ``schema.TRACKS``; tags of which it is not known who gave them all stay.
        pairs: ``track_id`` and ``tagged_by``.
    """
    if pairs.is_empty() or "tagged_by" not in track_table.columns:
        return track_table
    lists = ["tags", "tagged_by"]
    known = pl.col("tags").list.len() == pl.col("tagged_by").list.len()
    given = track_table.filter(known).select("track_id", *lists).explode(lists)
    left = given.join(pairs, on=["track_id", "tagged_by"], how="anti", maintain_order="left")
    left = left.group_by("track_id", maintain_order=True).agg(lists)
    touched = given.join(pairs, on=["track_id", "tagged_by"], how="semi")["track_id"].unique()
    table = track_table.join(left, on="track_id", how="left", suffix="_left", maintain_order="left")
    changed = pl.col("track_id").is_in(touched.implode())
    return table.with_columns(
        pl.when(changed).then(pl.col(f"{name}_left").fill_null([])).otherwise(pl.col(name)).alias(name)
        for name in lists
    ).select(track_table.columns)


def build_corpus(events: pl.DataFrame, tracks: pl.DataFrame, users: pl.DataFrame) -> Corpus:
    """Encode training events and the catalogue.

    Args:
        events: Training events with the columns of ``schema.EVENTS``.
        tracks: The catalogue (``schema.TRACKS``); may be empty, may lack tracks that have events.
        users: The users table (``schema.USERS``); only listeners with events are kept.
    """
    user_vocabulary = Vocabulary.sorted(events["user_id"])
    track_vocabulary = Vocabulary.sorted(events["track_id"], tracks["track_id"])
    timed = events["timestamp"].null_count() < events.height
    encoded = events.with_columns(
        pl.Series("user_index", user_vocabulary.encode(events["user_id"])),
        pl.Series("track_index", track_vocabulary.encode(events["track_id"])),
        (pl.col("timestamp").dt.epoch("us") if timed else pl.col("position").cast(pl.Int64))
        .fill_null(0)
        .alias("at"),
    ).drop("user_id", "track_id")
    return Corpus(
        users=user_vocabulary,
        tracks=track_vocabulary,
        interactions=_interactions(encoded, len(user_vocabulary), len(track_vocabulary)),
        events=encoded,
        track_table=_in_order(track_vocabulary, "track_id", tracks),
        user_table=_in_order(user_vocabulary, "user_id", users),
        timed=timed,
    )


def _in_order(vocabulary: Vocabulary, key: str, table: pl.DataFrame) -> pl.DataFrame:
    ids = pl.DataFrame({key: vocabulary.ids}, schema={key: pl.String})
    return ids.join(table.unique(key, keep="first"), on=key, how="left", maintain_order="left")


def _interactions(events: pl.DataFrame, n_users: int, n_tracks: int) -> Interactions:
    positive = events.filter(pl.col("event").is_in(POSITIVE_EVENTS))
    ordered = bool(events["at"].n_unique() > 1)
    return Interactions.from_events(positive, n_users, n_tracks, ordered=ordered)

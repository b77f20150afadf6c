"""Days kept back from both versions, and what each may know of the time before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS, Corpus, build_corpus
from audotics.data.dataset import Dataset
from audotics.data.interactions import FIRST_TIME
from audotics.domain import Mode, Query, Reaction
from audotics.errors import BadInputError
from audotics.recommender.reactions import Reactions
from audotics.recommender.recommender import Recommender

MOST_LISTENERS = 2000
"""Held-out listeners who are asked; more make intervals little narrower and judging slow."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What two versions are compared on. Build it with `held_out_of`.

    Args:
        visible: Everything before the held-out events.
        known: The same events with their ids, of the asked listeners alone.
        test: The held-out events of the asked listeners: ``user_id``, ``track_id``, ``event``.
        starts_at: Time of the first held-out moment, UTC; None where a test was given.
    """

    visible: Corpus
    known: pl.DataFrame
    test: pl.DataFrame
    starts_at: datetime | None

    @property
    def user_ids(self) -> list[str]:
        """Listeners with held-out events, sorted."""
        return self.test["user_id"].unique().sort().to_list()

    def refuse_seen(self, recommender: Recommender, name: str) -> None:
        """Refuse who has learned from the held-out days.

        Raises:
            BadInputError: The recommender knows of plays at or after the start.
        """
        learned_until = ends_at(recommender)
        if self.starts_at is None or learned_until is None or learned_until < self.starts_at:
            return
        raise BadInputError(
            f"{name} has learned from plays up to {learned_until:%Y-%m-%d %H:%M}, and is asked about plays "
            f"from {self.starts_at:%Y-%m-%d %H:%M} on",
            where="held-out days",
            remedy="Judge one that was fitted on the time before, or hold out later days",
        )

    def since(self, recommender: Recommender) -> Reactions:
        """What the asked listeners did after a recommender learned and before the held-out days.

        A server lays it over the version, so a champion that is some weeks old is judged with it, too.
        """
        learned_until = ends_at(recommender)
        if learned_until is None or "timestamp" not in self.known.columns:
            return {}
        news = self.known.filter(pl.col("timestamp") > learned_until)
        rows = news.group_by("user_id", maintain_order=True).agg("track_id", "timestamp", "event")
        return {
            user_id: [Reaction(*reaction) for reaction in zip(tracks, times, kinds, strict=True)]
            for user_id, tracks, times, kinds in rows.iter_rows()
        }


class Answering:
    """A recommender as a system under evaluation, with what a server would lay over it.

    Args:
        recommender: Who answers.
        mode: What is asked for.
        since: What the listeners did since it learned.
    """

    def __init__(self, recommender: Recommender, mode: Mode, since: Reactions) -> None:
        self._recommender = recommender
        self._mode = mode
        self._since = since

    def __call__(self, user_ids: Sequence[str], k: int, /) -> list[list[str]]:
        """See `audotics.evaluation.systems.Answerer`."""
        queries = [Query(user_id=user_id, k=k, mode=self._mode) for user_id in user_ids]
        batch, allowed = self._recommender.encode(queries, self._since)
        lists = self._recommender.recommend_indices(batch, allowed, k)
        ids = self._recommender.tracks.ids
        return [[ids[track] for track in row if track >= 0] for row in lists.tolist()]


def ends_at(recommender: Recommender) -> datetime | None:
    """Time of the newest play that a recommender learned from; None where its data had no times."""
    newest = int(recommender.histories.last_at.max(initial=0))
    return _EPOCH + timedelta(microseconds=newest) if newest >= FIRST_TIME else None


def held_out_of(
    dataset: Dataset,
    *,
    after: datetime | None = None,
    test: pl.DataFrame | None = None,
    most_listeners: int = MOST_LISTENERS,
    seed: int = 0,
) -> HeldOut:
    """Keep back the newest events of a Dataset, or a given test.

    Args:
        dataset: All events with ``after``; with ``test`` what came before it.
        after: Events at or after this time (UTC) are held out.
        test: Held-out ``user_id``, ``track_id`` and, where known, ``event``.
        most_listeners: Of more listeners a random part is asked.
        seed: Draws them.

    Raises:
        BadInputError: Neither or both are given, or nothing is held out or left.
    """
    if (after is None) == (test is None):
        raise BadInputError("give either a time or a test", where="held-out days")
    events = dataset.events().collect()
    if test is None:
        at = pl.col("timestamp")
        test, events = events.filter(at >= after), events.filter(at < after)
    if test.is_empty() or events.is_empty():
        raise BadInputError(
            f"{test.height:,} events are held out and {events.height:,} are left",
            where=str(dataset.path),
            remedy="Give data that goes on after the end of training, or a test file",
        )
    if "event" not in test.columns:
        test = test.with_columns(event=pl.lit("play"))
    asked = _drawn(test, most_listeners, seed)
    return HeldOut(
        visible=build_corpus(events, dataset.tracks(), dataset.users()),
        known=events.filter(pl.col("user_id").is_in(asked.implode())) if dataset.timed else events.clear(),
        test=test.filter(pl.col("user_id").is_in(asked.implode())),
        starts_at=after,
    )


def _drawn(test: pl.DataFrame, most: int, seed: int) -> pl.Series:
    """Listeners who chose something in the held-out days, at most so many."""
    chosen = test.filter(pl.col("event").is_in(POSITIVE_EVENTS))["user_id"].unique().sort()
    order = np.random.default_rng(seed).permutation(len(chosen))[:most]
    return chosen.gather(np.sort(order))

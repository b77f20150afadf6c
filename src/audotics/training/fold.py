"""The fold of a training run: what is hidden, from whom, and which listeners judge what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS, Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.data.splits import assert_no_leak, split_by_time
from audotics.domain import PADDING, BoolArray, IndexArray, Mode
from audotics.recommender.candidates import Allowed
from audotics.training.splitting import SplitName, named_split

ROLE_SHARES = (0.56, 0.14, 0.14, 0.16)
"""Shares of the held-out listeners that teach, stop, choose and judge."""

CONTEXT_SHARE = 0.5
"""Share of the teaching queries that come with time, device and country: live ones do, batches do not."""


RoleT = TypeVar("RoleT")


class Roles(NamedTuple, Generic[RoleT]):
    """The same thing (rows, queries, lists) for the listeners of each role; no listener has two roles.

    Args:
        teach: Tuning of retrievers and fitting of rankers.
        stop: What a ranker decides while it is fitted: when to stop, how strong a penalty, calibration.
        choose: Which ranker serves.
        judge: Nothing; they only measure the result.
    """

    teach: RoleT
    stop: RoleT
    choose: RoleT
    judge: RoleT


@dataclass(frozen=True, slots=True)
class Fold:
    """Listeners with hidden events, asked about what they then played.

    Args:
        corpus: Everything, the hidden events included.
        visible: The same vocabularies without the hidden events.
        batch: One query for each listener with hidden events, as of the moment of hiding.
        hidden: Columns row (of the batch), track_index and one boolean per kind of event.
        description: How the events were hidden.
        mode: Which tracks count as answers: those not heard before, those heard before, or both.
        repeats: Answers of the other kind, where ``mode`` is discover: hidden plays of heard tracks, with a
            column user_index in place of row.
        out_of_bounds: ``batch`` rows of tracks that may not be proposed; empty but for shortened histories.
    """

    corpus: Corpus
    visible: Corpus
    batch: QueryBatch
    hidden: pl.DataFrame
    description: str
    mode: Mode
    repeats: pl.DataFrame
    out_of_bounds: tuple[IndexArray, ...] = ()

    @property
    def allowed(self) -> Allowed:
        """What may be proposed to the held-out listeners."""
        excluded = self.out_of_bounds or (np.zeros(0, np.int32),) * self.batch.size
        return Allowed((self.mode,) * self.batch.size, excluded)

    @property
    def include_heard(self) -> bool:
        """Whether heard and unheard tracks count alike."""
        return self.mode is Mode.MIX

    def take(self, rows: IndexArray) -> Fold:
        """The chosen queries."""
        renumbered = pl.DataFrame({"row": rows, "new": np.arange(len(rows), dtype=np.int32)})
        hidden = self.hidden.join(renumbered, on="row", how="inner", maintain_order="left")
        return replace(
            self,
            batch=self.batch.take(rows),
            hidden=hidden.drop("row").rename({"new": "row"}),
            out_of_bounds=tuple(self.out_of_bounds[row] for row in rows.tolist())
            if self.out_of_bounds
            else (),
        )

    def asking_for_repeats(self) -> Fold:
        """Queries of the same moment for tracks that their listeners have heard, and may play again."""
        users, rows = np.unique(self.repeats["user_index"].to_numpy(), return_inverse=True)
        return replace(
            self,
            batch=_queries(self.visible, self.repeats, users.astype(np.int32), timed=self.corpus.timed),
            hidden=self.repeats.drop("user_index").with_columns(row=pl.Series(rows.astype(np.int32))),
            mode=Mode.FAMILIAR,
            repeats=self.repeats.clear(),
        )

    def shortened(self, lengths: tuple[int, ...], most: int, seed: int) -> Fold:
        """Queries of newcomers: the same listeners, but nobody knows them and little of what they heard.

        Of each history a random one of ``lengths`` tracks is left: the last ones where there is an order,
        else random ones. What the listener had heard in truth may not be proposed.

        Args:
            lengths: Tracks that a newcomer may have.
            most: Most queries.
            seed: Seed of the draws.
        """
        rng = np.random.default_rng(seed)
        long_enough = np.flatnonzero(self.batch.histories.lengths > max(lengths))
        part = self.take(rng.permutation(long_enough)[:most].astype(np.int32))
        batch = part.batch
        heard = np.split(batch.histories.track_index, batch.histories.indptr[1:-1])
        left = rng.choice(lengths, batch.size)
        cut = replace(
            batch,
            histories=cut_histories(batch.histories, left, rng),
            user_index=np.full(batch.size, PADDING, np.int32),
        )
        return replace(part, batch=cut, out_of_bounds=tuple(heard) if batch.size else ())

    def thinned(self, n_pairs: int, seed: int) -> Fold:
        """The same queries over a smaller service, of about ``n_pairs`` pairs where there are more.

        What is visible of the asked listeners stays, and what is visible of a random sample of the others.
        What suits the sample suits the whole well enough to choose settings by, at a cost that does not
        grow with the service.
        """
        interactions = self.visible.interactions
        if interactions.n_pairs <= n_pairs:
            return self
        order = np.random.default_rng(seed).permutation(interactions.n_rows)
        asked = np.isin(order, self.batch.user_index)
        order = np.concatenate([order[asked], order[~asked]])
        within = np.cumsum(interactions.lengths[order]) <= n_pairs
        chosen = np.zeros(interactions.n_rows, np.bool_)
        chosen[order[within | np.isin(order, self.batch.user_index)]] = True
        return replace(self, visible=self.visible.keep(chosen[self.visible.events["user_index"].to_numpy()]))

    def roles(self, seed: int, most: int) -> Roles[IndexArray]:
        """The listeners' parts, drawn by the seed; beyond ``most`` listeners the others have none."""
        order = np.random.default_rng(seed).permutation(self.batch.size)[:most].astype(np.int32)
        ends = np.floor(np.cumsum(ROLE_SHARES) * len(order) + 1e-9).astype(int)
        teach, stop, choose, judge = np.split(order, ends[:-1])
        return Roles(teach, stop, choose, judge)

    def without_context(self, share: float, seed: int) -> Fold:
        """The same queries, a random share of them at no particular time, device or country."""
        hidden = np.random.default_rng(seed).random(self.batch.size) < share
        batch = self.batch
        plain = QueryBatch(
            batch.histories,
            batch.user_index,
            np.where(hidden, NO_TIME, batch.at),
            tuple(None if gone else value for gone, value in zip(hidden, batch.device, strict=True)),
            tuple(None if gone else value for gone, value in zip(hidden, batch.country, strict=True)),
        )
        return replace(self, batch=plain)


def hide(
    events: pl.DataFrame,
    tracks: pl.DataFrame,
    users: pl.DataFrame,
    *,
    way: SplitName = "auto",
    since: datetime | None = None,
    most_listeners: int | None = None,
    seed: int,
    include_heard: bool,
) -> Fold:
    """Hide part of the events.

    Args:
        events: All training events (``schema.EVENTS``).
        tracks: The catalogue.
        users: The users table.
        way: How to split; ``auto`` takes what the data suggests (`choose_split`).
        since: Hide what happened from this moment on, whatever ``way`` says.
        most_listeners: Where each listener is split apart, at most so many have something hidden, and all
            others stay whole: what is fitted on the visible part is then nearer to the final model.
        seed: Seed of a random split and of the draw of listeners.
        include_heard: Whether hidden plays of heard tracks count as answers.
    """
    numbered = events.with_row_index("row")
    split = split_by_time(numbered, starts_at=since) if since else named_split(numbered, way, seed)
    assert_no_leak(split)
    hidden = _marked(split.test, events.height)
    if split.cutoff_at is None and most_listeners is not None:
        chosen = split.test["user_id"].unique().sort().shuffle(seed=seed).head(most_listeners)
        hidden &= events["user_id"].is_in(chosen.implode()).to_numpy()
        kept = ~hidden
    else:
        kept = _marked(split.train, events.height)
    corpus = build_corpus(events, tracks, users)
    visible = corpus.keep(kept)
    pairs = _answers(corpus.events.filter(pl.Series(hidden)))
    mode = Mode.MIX if include_heard else Mode.DISCOVER
    answers, repeats = (pairs, pairs.clear()) if include_heard else _by_novelty(pairs, visible)
    users_asked = np.unique(answers["user_index"].to_numpy())
    rows = pl.DataFrame({"user_index": users_asked, "row": np.arange(len(users_asked), dtype=np.int32)})
    return Fold(
        corpus,
        visible,
        _queries(visible, answers, users_asked, timed=corpus.timed),
        answers.join(rows, on="user_index", maintain_order="left").drop("user_index"),
        split.description,
        mode,
        repeats.filter("play"),
    )


def _marked(part: pl.DataFrame, height: int) -> BoolArray:
    mark = np.zeros(height, dtype=np.bool_)
    mark[part["row"].to_numpy()] = True
    return mark


def cut_histories(
    histories: Interactions, lengths: npt.NDArray[np.integer[Any]], rng: np.random.Generator
) -> Interactions:
    """Each history with ``lengths [n_rows]`` tracks left: its last ones, or random ones without an order."""
    chance = histories.tracks_since if histories.ordered else rng.permutation(histories.n_pairs)
    order = np.lexsort((chance, histories.row_index))
    place = np.empty(histories.n_pairs, np.int64)
    place[order] = np.arange(histories.n_pairs) - np.repeat(histories.indptr[:-1], histories.lengths)
    return histories.where(place < np.repeat(lengths, histories.lengths))


def _answers(hidden: pl.DataFrame) -> pl.DataFrame:
    """One row per hidden user-track pair, with what happened, where, and when first."""
    return hidden.group_by("user_index", "track_index", maintain_order=True).agg(
        pl.col("event").is_in(POSITIVE_EVENTS).any().alias("play"),
        (pl.col("event") == "complete").any().alias("complete"),
        pl.col("event").is_in(("like", "add_to_playlist")).any().alias("like"),
        (pl.col("event") == "skip").any().alias("skip"),
        pl.col("timestamp").min(),
        pl.col("device").first(),
        pl.col("country").first(),
    )


def _by_novelty(pairs: pl.DataFrame, visible: Corpus) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs that the visible part does not know, and those that it knows."""
    pair = ["user_index", "track_index"]
    heard = pl.DataFrame(
        {"user_index": visible.interactions.row_index, "track_index": visible.interactions.track_index}
    )
    new = pairs.join(heard, on=pair, how="anti", maintain_order="left")
    return new, pairs.join(heard, on=pair, how="semi", maintain_order="left")


def _queries(visible: Corpus, answers: pl.DataFrame, users_asked: IndexArray, *, timed: bool) -> QueryBatch:
    """Each listener asks at the moment, and in the context, of the first hidden event."""
    if not timed:
        return QueryBatch.of_listeners(visible.interactions, users_asked)
    first = answers.sort("timestamp", "track_index").group_by("user_index").first().sort("user_index")
    return QueryBatch(
        histories=visible.interactions.rows(users_asked),
        user_index=users_asked,
        at=first["timestamp"].dt.epoch("us").fill_null(NO_TIME).to_numpy(),
        device=tuple(first["device"].to_list()),
        country=tuple(first["country"].to_list()),
    )

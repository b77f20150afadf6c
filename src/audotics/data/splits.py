"""Splits: which events a model may learn from, and which it is asked about.

Nothing here looks at features or vocabularies. They are fitted on `Split.train` alone
(``build_corpus(split.train, tracks, users)``), and `assert_no_leak` proves that the part kept
back is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from audotics.data.schema import EVENTS
from audotics.data.vocabulary import Vocabulary
from audotics.domain import TimeArray
from audotics.errors import BadInputError, RefusedError

DEFAULT_SHARE = 0.2
"""Share of a listener's tracks that `choose_split` holds out where there are no times."""

DEFAULT_TIMED_SHARE = 0.15
"""Share of all events that `choose_split` holds out where there are times."""

DEFAULT_GAP_MINUTES = 30.0
"""Time between the parts, so that a session that spans the cut does not stand in both."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ORDER = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Split:
    """A holdout: two disjoint parts of one listening log.

    Args:
        train: Events to learn from, with the columns of ``schema.EVENTS``, in their original order.
        test: Events kept back, same columns.
        description: How the parts were made, one phrase for reports.
        cutoff_at: End of training (exclusive, UTC) of a split by global time, else None.
        by_pair: Whether all events of a user-track pair stand in one part. Otherwise a listener
            may repeat in the test part what was played in training.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    description: str
    cutoff_at: datetime | None = None
    by_pair: bool = False


def split_by_time(
    events: pl.DataFrame,
    *,
    test_days: float | None = None,
    test_share: float | None = None,
    starts_at: datetime | None = None,
    gap_minutes: float = DEFAULT_GAP_MINUTES,
    train_days: float | None = None,
) -> Split:
    """One cut for everybody: learn from before it, test on after it, as a live service would.

    Events inside the gap belong to neither part; so do events without a time.

    Args:
        events: Events with timestamps.
        test_days: Length of the test part, counted back from the last event. Give this, ``test_share`` or
            ``starts_at``.
        test_share: Share of all timed events in the test part (more where many have the same time).
        starts_at: Begin of the test part, with a time zone.
        gap_minutes: Time before the test part that is left out.
        train_days: Length of the training part; None takes everything before the gap.

    Raises:
        BadInputError: No event has a time, or the arguments leave a part empty.
    """
    if sum(given is not None for given in (test_days, test_share, starts_at)) != 1:
        raise BadInputError("give one of test_days, test_share and starts_at", where="split_by_time")
    times = _sorted_times(events)
    if not len(times):
        raise BadInputError("the events have no timestamps", where="split", remedy="Use split_random instead")
    if starts_at is not None:
        start_at, size = starts_at, f"what came since {starts_at:%Y-%m-%d %H:%M}"
    elif test_days is not None:
        start_at, size = _moment(times[-1]) - _days(test_days), f"the last {test_days:g} days"
    else:
        share = _valid_share(test_share)
        start_at, size = _moment(_start_of_last(times, share)), f"the last {share:.0%} of the events"
    description = f"global time: {size} after a gap of {gap_minutes:g} minutes"
    cutoff_at = start_at - timedelta(minutes=gap_minutes)
    before = pl.col("timestamp") < cutoff_at
    if train_days is not None:
        before &= pl.col("timestamp") >= cutoff_at - _days(train_days)
        description += f" and {train_days:g} days of training"
    after = pl.col("timestamp") >= start_at
    return _checked(Split(events.filter(before), events.filter(after), description, cutoff_at))


def split_yambda(events: pl.DataFrame) -> Split:
    """The protocol of Yambda (Ploshkin et al., 2025): 300 days to learn, 30 minutes gap, 1 day to test."""
    return split_by_time(events, test_days=1, gap_minutes=30, train_days=300)


def split_last_n(events: pl.DataFrame, n: int = 1) -> Split:
    """Hold out each listener's last ``n`` plays, by time or else by position; at least one stays in train.

    Events of one listener with one track at one time (a play and its like) count as one play and
    stay together. Ties in time are broken by track id, so the order of rows does not matter. Events
    with neither time nor position count as oldest and are never held out.

    Raises:
        BadInputError: The events have no order, or nobody has two plays.
    """
    if n < 1:
        raise BadInputError(f"n must be at least 1, not {n}", where="split_last_n")
    return _split_last(events, lambda plays: np.full_like(plays, n), f"the last {n} plays of each listener")


def split_last_share(events: pl.DataFrame, share: float = DEFAULT_SHARE) -> Split:
    """Hold out the last part of each listener's plays: ``floor(plays * share)``; see `split_last_n`.

    Raises:
        BadInputError: The events have no order, or nobody has enough plays for one to be held out.
    """
    share = _valid_share(share)
    description = f"the last {share:.0%} of each listener's plays"
    return _split_last(events, lambda plays: _floor_share(plays, share), description)


def split_random(events: pl.DataFrame, share: float = DEFAULT_SHARE, seed: int = 0) -> Split:
    """Hold out a random part of each listener's tracks, with all events of the held-out pairs.

    Of a listener's ``n`` tracks ``floor(n * share)`` are held out, so at least one stays. The
    choice depends on the set of pairs and the seed, not on the order of rows.

    Raises:
        BadInputError: Nobody has enough tracks for one to be held out.
    """
    share = _valid_share(share)
    user, track = _numbers(events["user_id"]), _numbers(events["track_id"])
    n_tracks = int(track.max(initial=0)) + 1
    pairs, pair_of_event = np.unique(user * n_tracks + track, return_inverse=True)
    owner = pairs // n_tracks
    shuffled = np.lexsort((np.random.default_rng(seed).random(len(pairs)), owner))
    n_of_user = np.bincount(owner)
    place = np.arange(len(pairs)) - np.repeat(np.cumsum(n_of_user) - n_of_user, n_of_user)
    held = np.zeros(len(pairs), np.bool_)
    held[shuffled] = place < _floor_share(n_of_user, share)[owner]
    description = f"random {share:.0%} of each listener's tracks (seed {seed})"
    held = held[pair_of_event]
    return _checked(Split(events.filter(~held), events.filter(held), description, by_pair=True))


def split_given(train_events: pl.DataFrame, test_frame: pl.DataFrame) -> Split:
    """Two parts that somebody else made.

    Args:
        train_events: Events to learn from.
        test_frame: Columns user_id and track_id, and any others of the schema; missing ones are
            filled (event ``play``, plays 1, else null).

    Raises:
        BadInputError: A part is empty, or the test part lacks its ids.
    """
    missing = [name for name in ("user_id", "track_id") if name not in test_frame.columns]
    if missing:
        remedy = "A test part needs the columns user_id and track_id"
        raise BadInputError(f"no column {' and no column '.join(missing)}", where="test part", remedy=remedy)
    defaults: dict[str, str | float] = {"event": "play", "plays": 1.0}
    test = test_frame.select(
        (pl.col(name) if name in test_frame.columns else pl.lit(defaults.get(name))).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    )
    untimed = _is_empty(train_events["timestamp"]) and _is_empty(test["timestamp"])
    return _checked(Split(train_events, test, "given parts", by_pair=untimed))


def choose_split(events: pl.DataFrame, seed: int = 0) -> Split:
    """The most honest question that the data allows.

    Global time where the times reach further than the gap; the last part of each listener's own
    order where there are positions; else a random part of each listener's tracks.
    """
    times = _sorted_times(events)
    if len(times):
        start_at = _moment(_start_of_last(times, DEFAULT_TIMED_SHARE))
        if _moment(times[0]) < start_at - timedelta(minutes=DEFAULT_GAP_MINUTES):
            return split_by_time(events, test_share=DEFAULT_TIMED_SHARE)
    if not _is_empty(events["position"]):
        return split_last_share(events)
    return split_random(events, seed=seed)


def assert_no_leak(split: Split) -> None:
    """Prove that training does not hold what the test asks.

    Raises:
        RefusedError: A play (listener, track, time, position) stands in both parts, an event of a split
            by time is on the wrong side of the cut, or a pair of a split by pair stands in both parts.
    """
    if split.cutoff_at is not None:
        cut = split.cutoff_at.isoformat()
        _refuse(
            split.train.filter(pl.col("timestamp") >= split.cutoff_at), f"not older than the cut at {cut}"
        )
        _refuse(split.test.filter(pl.col("timestamp") < split.cutoff_at), f"to be tested, older than {cut}")
    _refuse(_shared(split, "user_id", "track_id", "timestamp", "position"), "that the test part asks for")
    if split.by_pair:
        _refuse(_shared(split, "user_id", "track_id"), "of user-track pairs that the test part asks for")


def _shared(split: Split, *keys: str) -> pl.DataFrame:
    # Untimed parts agree on "no time" alone: there the pair rule decides, unless positions tell plays apart.
    placed = pl.any_horizontal(pl.col(*keys[2:]).is_not_null()) if keys[2:] else pl.lit(True)
    asked = split.test.filter(placed).select(keys).unique()
    return split.train.filter(placed).join(asked, on=list(keys), how="semi", nulls_equal=True)


def _refuse(leaked: pl.DataFrame, what: str) -> None:
    if leaked.height:
        first = leaked.row(0, named=True)
        raise RefusedError(
            f"{leaked.height} events {what} "
            f"(the first: listener {first['user_id']}, track {first['track_id']})",
            where="leak between the parts of the split",
            remedy="Make the parts disjoint before training",
        )


def _split_last(events: pl.DataFrame, n_held: Callable[[TimeArray], TimeArray], description: str) -> Split:
    order = events["timestamp"].dt.epoch("us")
    if _is_empty(order):
        order = events["position"].cast(pl.Int64)
    if _is_empty(order):
        raise BadInputError("the events have no order", where="split", remedy="Use split_random instead")
    at = order.fill_null(_NO_ORDER).to_numpy()
    user, track = _numbers(events["user_id"]), _numbers(events["track_id"])
    oldest_first = np.lexsort((track, at, user))
    keys = np.stack([user, at, track])[:, oldest_first]
    is_new_play = np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0))
    plays = keys[:, is_new_play]
    n_of_user = np.bincount(plays[0])
    from_end = np.repeat(np.cumsum(n_of_user), n_of_user) - np.arange(plays.shape[1])
    n_wanted = np.minimum(n_held(n_of_user), n_of_user - 1)
    held_plays = (from_end <= n_wanted[plays[0]]) & (plays[1] != _NO_ORDER)
    held = np.empty(events.height, np.bool_)
    held[oldest_first] = held_plays[np.cumsum(is_new_play) - 1]
    return _checked(Split(events.filter(~held), events.filter(held), description))


def _checked(split: Split) -> Split:
    for name, part in (("training", split.train), ("test", split.test)):
        if part.is_empty():
            raise BadInputError(
                f"the {name} part has no events",
                where=f"split ({split.description})",
                remedy="Give more events or hold out another part",
            )
    return split


def _numbers(ids: pl.Series) -> TimeArray:
    """Each id's place among the sorted ids ``[n_events]``."""
    return Vocabulary.sorted(ids).encode(ids).astype(np.int64)


def _sorted_times(events: pl.DataFrame) -> TimeArray:
    times: TimeArray = events["timestamp"].drop_nulls().dt.epoch("us").sort().to_numpy()
    return times


def _start_of_last(times: TimeArray, share: float) -> int:
    return int(times[-max(1, int(len(times) * share))])


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))


def _floor_share(count: TimeArray, share: float) -> TimeArray:
    # The small term undoes binary rounding: floor(100 * 0.29) is 28 without it.
    held: TimeArray = np.floor(count * share + 1e-9).astype(np.int64)
    return held


def _is_empty(column: pl.Series) -> bool:
    return column.null_count() == len(column)


def _days(days: float) -> timedelta:
    if days <= 0:
        raise BadInputError(f"a part of {days:g} days has no events", where="split_by_time")
    return timedelta(days=days)


def _valid_share(share: float | None) -> float:
    if share is None or not 0 < share < 1:
        raise BadInputError(f"the share held out must be between 0 and 1, not {share}", where="split")
    return share

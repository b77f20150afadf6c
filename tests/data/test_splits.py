"""Splits keep the parts apart, hold out what they promise, and a planted leak is caught."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.corpus import build_corpus
from audotics.data.schema import EVENTS, TRACKS, USERS
from audotics.data.splits import (
    assert_no_leak,
    choose_split,
    split_by_time,
    split_given,
    split_last_n,
    split_last_share,
    split_random,
    split_yambda,
)
from audotics.errors import BadInputError, RefusedError

START = datetime(2026, 1, 1, tzinfo=UTC)


def events_of(**columns: list) -> pl.DataFrame:
    """Events in the shape of the schema from the columns given."""
    given_frame = pl.DataFrame(columns)
    defaults = {"event": "play", "plays": 1.0}
    return given_frame.select(
        (pl.col(name) if name in columns else pl.lit(defaults.get(name))).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    )


def log(*rows: tuple[str, str, float]) -> pl.DataFrame:
    """Events from (listener, track, hours after the start)."""
    return events_of(
        user_id=[row[0] for row in rows],
        track_id=[row[1] for row in rows],
        timestamp=[START + timedelta(hours=row[2]) for row in rows],
    )


def pairs(frame: pl.DataFrame) -> set[tuple[str, str]]:
    return set(frame.select("user_id", "track_id").iter_rows())


def plays(frame: pl.DataFrame) -> list[tuple[str, str]]:
    return sorted(frame.select("user_id", "track_id").iter_rows())


def random_pairs(n_users: int, n_tracks: int, n_events: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return events_of(
        user_id=[f"u{i}" for i in rng.integers(0, n_users, n_events)],
        track_id=[f"t{i}" for i in rng.integers(0, n_tracks, n_events)],
    )


class TestByTime:
    def test_window_gap_and_train_by_hand(self) -> None:
        events = log(("a", "1", 0), ("a", "2", 23.4), ("a", "3", 23.6), ("b", "4", 24), ("b", "5", 48))
        split = split_by_time(events, test_days=1, gap_minutes=30)
        assert plays(split.train) == [("a", "1"), ("a", "2")]
        assert plays(split.test) == [("b", "4"), ("b", "5")], "23.6 h lies in the gap"
        assert split.cutoff_at == START + timedelta(hours=23.5)
        assert "30 minutes" in split.description

    def test_share_of_events(self) -> None:
        events = log(*[("a", str(hour), hour) for hour in range(20)])
        split = split_by_time(events, test_share=0.15, gap_minutes=0)
        assert split.test["track_id"].to_list() == ["17", "18", "19"]
        assert split.train.height == 17

    def test_a_given_moment_begins_the_test(self) -> None:
        events = log(*[("a", str(hour), hour) for hour in range(20)])
        split = split_by_time(events, starts_at=START + timedelta(hours=15), gap_minutes=60)
        assert split.test["track_id"].to_list() == ["15", "16", "17", "18", "19"]
        assert split.train.height == 14
        assert f"since {START + timedelta(hours=15):%Y-%m-%d %H:%M}" in split.description

    def test_events_at_the_same_instant_stay_together(self) -> None:
        events = log(("a", "1", 0), ("b", "2", 5), ("c", "3", 5), ("d", "4", 5))
        split = split_by_time(events, test_share=0.25, gap_minutes=0)
        assert plays(split.test) == [("b", "2"), ("c", "3"), ("d", "4")]

    def test_events_without_time_are_in_neither_part(self) -> None:
        timed = log(*[("a", str(hour), hour) for hour in range(10)])
        untimed = events_of(user_id=["z"], track_id=["9"])
        split = split_by_time(pl.concat([timed, untimed]), test_share=0.2)
        assert "z" not in pl.concat([split.train, split.test])["user_id"]

    def test_yambda_is_three_hundred_days_half_an_hour_one_day(self) -> None:
        end = 400 * 24.0
        cut = end - 24 - 0.5
        events = log(
            ("a", "too old", cut - 300 * 24 - 0.1),
            ("a", "first", cut - 300 * 24),
            ("a", "last", cut - 0.01),
            ("a", "in the gap", cut),
            ("a", "tested", end - 24),
            ("a", "end", end),
        )
        split = split_yambda(events)
        assert split.train["track_id"].to_list() == ["first", "last"]
        assert split.test["track_id"].to_list() == ["tested", "end"]

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"test_days": 1, "test_share": 0.1},
            {"test_days": 0},
            {"test_days": 1, "train_days": -1},
            {"test_share": 1.0},
            {"test_share": float("nan")},
            {"test_days": 1000},
            {"test_share": 0.1, "gap_minutes": 1e6},
        ],
    )
    def test_impossible_wishes_are_refused(self, arguments: dict[str, float]) -> None:
        events = log(*[("a", str(hour), hour) for hour in range(10)])
        with pytest.raises(BadInputError):
            split_by_time(events, **arguments)

    def test_untimed_events_name_the_remedy(self) -> None:
        with pytest.raises(BadInputError, match="split_random"):
            split_by_time(random_pairs(3, 3, 9), test_days=1)


class TestLast:
    def test_last_two_by_time(self) -> None:
        events = log(("a", "3", 3), ("a", "1", 1), ("a", "2", 2), ("b", "1", 9), ("b", "2", 8), ("c", "1", 0))
        split = split_last_n(events, 2)
        assert plays(split.test) == [("a", "2"), ("a", "3"), ("b", "1")], "b and c keep one play each"
        assert plays(split.train) == [("a", "1"), ("b", "2"), ("c", "1")]
        assert split.train["track_id"].to_list() == ["1", "2", "1"], "rows keep their order"

    def test_by_position_where_there_are_no_times(self) -> None:
        events = events_of(user_id=["p"] * 4, track_id=["w", "x", "y", "z"], position=[3, 0, 1, 2])
        assert plays(split_last_n(events, 1).test) == [("p", "w")]

    def test_events_of_one_play_stay_together(self) -> None:
        events = events_of(
            user_id=["a"] * 3,
            track_id=["1", "2", "2"],
            timestamp=[START, START + timedelta(1), START + timedelta(1)],
            event=["play", "complete", "like"],
        )
        assert split_last_n(events, 1).test["event"].to_list() == ["complete", "like"]

    def test_events_without_order_are_never_held_out(self) -> None:
        events = events_of(
            user_id=["p"] * 3 + ["q"] * 2, track_id=list("abcde"), position=[0, 1, None, None, None]
        )
        assert plays(split_last_n(events, 2).test) == [("p", "a"), ("p", "b")]

    def test_share_is_floored_without_binary_error(self) -> None:
        events = log(*[("a", f"{hour:03}", hour) for hour in range(100)], ("b", "x", 0))
        split = split_last_share(events, 0.29)
        assert split.test["track_id"].to_list() == [f"{hour:03}" for hour in range(71, 100)]

    @given(st.randoms(use_true_random=False), st.integers(1, 4))
    def test_row_order_does_not_matter_even_with_ties(self, random: object, n: int) -> None:
        rows = [("a", str(i), i // 3) for i in range(9)] + [("b", str(i), 0) for i in range(4)]
        expected = plays(split_last_n(log(*rows), n).test)
        random.shuffle(rows)  # type: ignore[attr-defined]
        assert plays(split_last_n(log(*rows), n).test) == expected

    def test_no_order_is_an_error(self) -> None:
        with pytest.raises(BadInputError, match="no order"):
            split_last_n(random_pairs(3, 3, 9))
        with pytest.raises(BadInputError, match="at least 1"):
            split_last_n(log(("a", "1", 0)), 0)
        with pytest.raises(BadInputError, match="test part has no events"):
            split_last_n(log(("a", "1", 0), ("b", "1", 0)), 1)


class TestRandom:
    @given(
        counts=st.lists(st.integers(1, 23), min_size=1, max_size=8),
        share=st.sampled_from([0.05, 0.2, 0.29, 0.5, 0.99]),
        seed=st.integers(0, 5),
    )
    def test_floor_of_each_listeners_tracks(self, counts: list[int], share: float, seed: int) -> None:
        # One listener with many tracks makes sure that there is something to hold out.
        counts = [*counts, 100]
        expected = [int(round(n * share, 6)) for n in counts]
        events = log(*[(f"u{u}", f"t{t}", t) for u, n in enumerate(counts) for t in range(n)])
        split = split_random(events, share, seed)
        held = dict(split.test.group_by("user_id").len().iter_rows())
        assert [held.get(f"u{u}", 0) for u in range(len(counts))] == expected
        assert set(split.train["user_id"]) == set(events["user_id"]), "everybody keeps a track"

    def test_all_events_of_a_pair_go_one_way_and_none_is_lost(self) -> None:
        events = random_pairs(40, 30, 3000)
        split = split_random(events, 0.2, seed=3)
        assert not pairs(split.train) & pairs(split.test)
        assert plays(pl.concat([split.train, split.test])) == plays(events)

    def test_row_order_does_not_matter_and_seeds_differ(self) -> None:
        events = random_pairs(40, 30, 3000)
        shuffled = events.sample(fraction=1.0, shuffle=True, seed=9)
        first = split_random(events, 0.2, seed=1).test
        assert plays(first) == plays(split_random(shuffled, 0.2, seed=1).test)
        assert pairs(first) != pairs(split_random(events, 0.2, seed=2).test)

    def test_every_track_of_a_listener_is_as_likely(self) -> None:
        events = log(*[("a", str(i), i) for i in range(10)])
        drawn = [split_random(events, 0.2, seed).test for seed in range(300)]
        counts = pl.concat(drawn)["track_id"].value_counts()["count"]
        assert len(counts) == 10
        assert counts.min() > 35 and counts.max() < 90, "60 expected, standard deviation 7"

    def test_nothing_to_hold_out_is_an_error(self) -> None:
        with pytest.raises(BadInputError, match="test part has no events"):
            split_random(log(("a", "1", 0), ("b", "1", 0)), 0.2)


class TestGiven:
    def test_two_columns_are_enough(self) -> None:
        train = random_pairs(5, 5, 20)
        split = split_given(train, pl.DataFrame({"user_id": [7], "track_id": ["x"]}))
        assert split.train is train
        assert dict(split.test.schema) == dict(train.schema)
        assert split.test.row(0, named=True)["event"] == "play"
        assert split.test["user_id"].to_list() == ["7"]
        assert_no_leak(split)

    def test_missing_column_is_named(self) -> None:
        with pytest.raises(BadInputError, match="no column track_id"):
            split_given(random_pairs(2, 2, 4), pl.DataFrame({"user_id": ["a"]}))

    def test_a_pair_in_both_untimed_parts_is_a_leak(self) -> None:
        train = events_of(user_id=["a", "b"], track_id=["1", "2"])
        with pytest.raises(RefusedError, match="listener b, track 2"):
            assert_no_leak(split_given(train, train.tail(1)))

    def test_a_repeat_in_timed_parts_is_none(self) -> None:
        assert_no_leak(split_given(log(("a", "1", 0)), log(("a", "1", 5))))


class TestChoice:
    def test_time_first(self) -> None:
        split = choose_split(log(*[("a", str(i), i) for i in range(100)]))
        assert split.cutoff_at is not None
        assert 0.1 <= split.test.height / 100 <= 0.2

    def test_position_next(self) -> None:
        events = events_of(user_id=["p"] * 10, track_id=list("abcdefghij"), position=list(range(10)))
        assert plays(choose_split(events).test) == [("p", "i"), ("p", "j")]

    def test_else_random_pairs(self) -> None:
        split = choose_split(random_pairs(20, 20, 400))
        assert split.by_pair
        assert_no_leak(split)

    def test_times_within_one_gap_are_no_times(self) -> None:
        split = choose_split(log(*[("a", str(i), i / 1000) for i in range(100)]))
        assert split.by_pair


class TestLeaks:
    def test_honest_splits_pass(self) -> None:
        timed = log(*[(f"u{i % 7}", f"t{i % 11}", i) for i in range(400)])
        for split in (
            choose_split(timed),
            split_last_n(timed, 2),
            split_last_share(timed),
            split_random(timed),
        ):
            assert_no_leak(split)

    def test_a_tested_play_in_training_is_caught(self) -> None:
        split = split_last_n(log(*[("a", str(i), i) for i in range(5)]), 1)
        with pytest.raises(RefusedError, match="1 events that the test part asks for"):
            assert_no_leak(replace(split, train=pl.concat([split.train, split.test])))

    def test_a_tested_position_in_training_is_caught(self) -> None:
        events = events_of(user_id=["p"] * 5, track_id=["x"] * 5, position=list(range(5)))
        split = split_last_n(events, 1)
        assert_no_leak(split)
        with pytest.raises(RefusedError):
            assert_no_leak(replace(split, train=events))

    def test_training_after_the_cut_is_caught(self) -> None:
        split = split_by_time(log(*[("a", str(i), i) for i in range(50)]), test_days=1)
        late = log(("b", "new", 26))
        with pytest.raises(RefusedError, match="not older than the cut"):
            assert_no_leak(replace(split, train=pl.concat([split.train, late])))
        with pytest.raises(RefusedError, match="to be tested, older"):
            assert_no_leak(replace(split, test=pl.concat([split.test, log(("b", "new", 0))])))

    def test_a_pair_in_both_parts_is_caught(self) -> None:
        split = split_random(random_pairs(20, 20, 400))
        planted = pl.concat([split.train, split.test.head(1)])
        with pytest.raises(RefusedError, match="user-track pairs"):
            assert_no_leak(replace(split, train=planted))
        assert_no_leak(replace(split, train=planted, by_pair=False))

    def test_vocabularies_hold_nothing_of_the_test_alone(self) -> None:
        events = log(
            *[("old", f"t{i}", i) for i in range(50)], ("newcomer", "t1", 55), ("old", "only tested", 56)
        )
        split = split_by_time(events, test_days=0.1)
        corpus = build_corpus(split.train, pl.DataFrame(schema=TRACKS), pl.DataFrame(schema=USERS))
        assert "newcomer" in split.test["user_id"] and "only tested" in split.test["track_id"]
        assert "newcomer" not in corpus.users
        assert "only tested" not in corpus.tracks
        assert corpus.n_tracks == split.train["track_id"].n_unique()


def test_a_million_events_split_fast() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    events = pl.DataFrame(
        {
            "user_id": pl.Series(rng.integers(0, 10_000, n)).cast(pl.String),
            "track_id": pl.Series(rng.integers(0, 50_000, n)).cast(pl.String),
            "timestamp": pl.Series(rng.integers(0, 10**13, n))
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC"),
            "position": pl.Series([None] * n, dtype=pl.Int32),
        }
    )
    for make in (choose_split, split_last_n, split_random):
        began = time.process_time()
        make(events)
        assert time.process_time() - began < 4.0, f"{make.__name__}: twice the limit, for a shared machine"

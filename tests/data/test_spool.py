from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data import spool as spool_module
from audotics.data.formats.protocol import LINE
from audotics.data.schema import TIMESTAMP
from audotics.data.spool import EventSpool


def _at(second: int) -> datetime:
    return datetime(2024, 1, 1, 0, 0, second, tzinfo=UTC)


def _rows(**columns: object) -> pl.DataFrame:
    frame = pl.DataFrame(columns, strict=False)
    if "timestamp" in columns:
        frame = frame.cast({"timestamp": TIMESTAMP})
    return frame.with_row_index(LINE, offset=1)


def _drain(spool: EventSpool) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    rejected = list(spool.settle_undated())
    buckets = list(spool.buckets())
    events = pl.concat([bucket.events for bucket in buckets])
    return (
        events,
        sum(bucket.n_merged for bucket in buckets),
        pl.concat(rejected) if rejected else pl.DataFrame(),
    )


def test_events_come_back_by_listener_and_time(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    spool.add(_rows(user_id=["b", "a"], track_id=["x", "y"], timestamp=[_at(2), _at(3)]), "one")
    spool.add(_rows(user_id=["a", "b"], track_id=["z", "x"], timestamp=[_at(1), _at(1)]), "two")
    events, n_merged, _ = _drain(spool)
    assert events.select("user_id", "track_id").rows() == [("a", "z"), ("a", "y"), ("b", "x"), ("b", "x")]
    assert n_merged == 0
    assert spool.timed


def test_only_rows_equal_in_every_column_are_merged(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    spool.add(
        _rows(
            user_id=["a"] * 5,
            track_id=["x", "y", "x", "x", "x"],
            timestamp=[_at(1), _at(1), _at(1), _at(1), _at(2)],
            device=["tv", None, "tv", None, "tv"],
        ),
        "one",
    )
    events, n_merged, _ = _drain(spool)
    assert n_merged == 1
    assert events.select("track_id", "device").rows() == [("x", "tv"), ("y", None), ("x", None), ("x", "tv")]


def test_undated_rows_are_fine_where_nothing_is_dated(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    spool.add(_rows(user_id=["a", "a"], track_id=["x", "x"], plays=[1.0, 2.0]), "one")
    spool.add(_rows(user_id=["a"], track_id=["x"], plays=[1.0], timestamp=[None]), "two")
    events, n_merged, rejected = _drain(spool)
    assert not spool.timed
    assert rejected.is_empty()
    # The third row lacks a column that the first has not either: they say the same.
    assert (events.height, n_merged) == (2, 1)


def test_undated_rows_are_rejected_where_others_are_dated(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    spool.add(_rows(user_id=["a"], track_id=["x"]), "none.csv")
    spool.add(_rows(user_id=["a", "b"], track_id=["x", "y"], timestamp=[_at(1), None]), "some.csv")
    events, _, rejected = _drain(spool)
    assert events.height == 1
    assert rejected.select("file", "line", "column").rows() == [
        ("none.csv", 1, "timestamp"),
        ("some.csv", 2, "timestamp"),
    ]


def test_file_order_is_kept_where_there_are_no_times(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    tracks = [str(n * 37 % 101) for n in range(101)]
    spool.add(_rows(user_id=["a"] * 101, track_id=tracks), "one")
    assert _drain(spool)[0]["track_id"].to_list() == tracks


def test_position_gives_the_order_where_it_is_known(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    spool.add(_rows(user_id=["a"] * 4, track_id=["x", "y", "z", "w"], position=[2, None, 0, 1]), "one")
    assert _drain(spool)[0]["track_id"].to_list() == ["z", "w", "x", "y"]


def test_pairs_are_distinct_and_can_be_asked_before_the_end(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 4)
    assert spool.pairs().collect().is_empty()
    spool.add(
        _rows(user_id=["a", "a", "b"], track_id=["x", "x", "y"], timestamp=[_at(1), _at(2), _at(3)]), "f"
    )
    spool.add(_rows(user_id=["c"], track_id=["z"]), "undated")
    assert sorted(spool.pairs().collect().rows()) == [("a", "x"), ("b", "y"), ("c", "z")]
    assert _drain(spool)[0].height == 3


def test_context_columns_of_different_types_become_text(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path, 2)
    spool.add(_rows(user_id=["a"], track_id=["x"], timestamp=[_at(1)], context_mood=[0.5]), "one")
    spool.add(_rows(user_id=["b"], track_id=["x"], timestamp=[_at(1)], context_mood=["calm"]), "two")
    spool.add(_rows(user_id=["c"], track_id=["x"], timestamp=[_at(1)]), "three")
    events, _, _ = _drain(spool)
    assert events["context_mood"].to_list() == ["0.5", "calm", None]


@given(
    chunks=st.lists(
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), st.integers(0, 3)), max_size=12
        ),
        max_size=6,
    ),
    held=st.integers(1, 20),
    n_buckets=st.integers(1, 5),
)
def test_any_spilling_gives_the_distinct_rows(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[list[tuple[str, str, int]]],
    held: int,
    n_buckets: int,
) -> None:
    spool = EventSpool(tmp_path_factory.mktemp("spool"), n_buckets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "_HELD_ROWS", held)
        for chunk in chunks:
            users, tracks, seconds = ([row[place] for row in chunk] for place in range(3))
            times = pl.Series([_at(second) for second in seconds], dtype=TIMESTAMP)
            frame = pl.DataFrame(
                {"user_id": users, "track_id": tracks}, schema={"user_id": pl.String, "track_id": pl.String}
            )
            spool.add(frame.with_columns(times.alias("timestamp")).with_row_index(LINE, offset=1), "one")
        assert list(spool.settle_undated()) == []
        buckets = list(spool.buckets())
    everything = [row for chunk in chunks for row in chunk]
    found = [row for bucket in buckets for row in bucket.events.select(pl.col("^user_id|track_id$")).rows()]
    assert len(found) == len(set(everything))
    assert sum(bucket.n_merged for bucket in buckets) == len(everything) - len(set(everything))
    listeners = [set(bucket.events["user_id"]) for bucket in buckets]
    assert sum(map(len, listeners)) == len(set().union(*listeners))
    for bucket in buckets:
        if not bucket.events.is_empty():
            order = bucket.events.select("user_id", "timestamp").rows()
            assert order == sorted(order)

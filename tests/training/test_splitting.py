from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from audotics.training.splitting import named_split
from contract.planted import events_table, planted_events


def sequences(step: int) -> pl.DataFrame:
    """Ten listeners with ten positions each, ``step`` apart."""
    return events_table(
        pl.DataFrame(
            {
                "user_id": [f"u{user}" for user in range(10) for _ in range(10)],
                "track_id": [f"t{place}" for _ in range(10) for place in range(10)],
                "position": [place * step for _ in range(10) for place in range(10)],
            }
        )
    )


def timed() -> pl.DataFrame:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return sequences(1).with_columns(
        pl.Series("timestamp", [start + timedelta(hours=n) for n in range(100)]).cast(
            pl.Datetime("us", "UTC")
        )
    )


def test_whole_sequences_are_asked_for_their_end() -> None:
    split = named_split(sequences(1), "auto", seed=0)
    assert split.test["position"].min() > split.train["position"].max()


def test_sequences_with_gaps_are_asked_for_what_is_missing_anywhere() -> None:
    split = named_split(sequences(2), "auto", seed=0)
    assert split.test["position"].min() < split.train["position"].max()
    assert split.by_pair


@pytest.mark.parametrize(
    ("way", "events", "n_test"),
    [
        ("time", timed(), 15),
        ("auto", timed(), 15),
        ("last-one", sequences(1), 10),
        ("last-share", sequences(2), 20),
        ("random", sequences(1), 20),
        ("random", planted_events(n_users=10), 20),
    ],
)
def test_each_way_holds_out_what_it_says(way: str, events: pl.DataFrame, n_test: int) -> None:
    split = named_split(events, way, seed=0)  # type: ignore[arg-type]
    assert split.test.height == pytest.approx(n_test, abs=1)


def test_the_yambda_way_keeps_a_year_back() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    days = events_table(
        pl.DataFrame(
            {
                "user_id": ["u"] * 400,
                "track_id": [f"t{day}" for day in range(400)],
                "timestamp": [start + timedelta(days=day) for day in range(400)],
            }
        )
    )
    split = named_split(days, "yambda", seed=0)
    assert split.test.height <= 2
    assert 298 <= split.train.height <= 301

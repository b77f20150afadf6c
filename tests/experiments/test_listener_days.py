from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.errors import BadInputError
from audotics.experiments.definition import MetricName
from audotics.experiments.listener_days import exposures_of, listener_days
from audotics.experiments.per_listener import ListenerDays, Period
from audotics.journal.outcomes import outcomes

START = datetime(2025, 3, 3, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=3))


def hours(n: float) -> datetime:
    return START + timedelta(hours=n)


EXPOSURES = [  # request, listener, hours after the start, tracks, variant
    ("r1", "ann", 1, ["t1", "t2"], "e:b"),
    ("r2", "ann", 30, ["t3"], "e:b,other:x"),
    ("r3", "bob", 2, ["t1"], "e:a"),
    ("r4", "cat", 26, ["t1"], "e:a"),
    ("r5", "dan", 3, ["t1"], "e:a"),
    ("r6", "dan", 4, ["t1"], "e:b"),
    ("r7", "eve", 5, ["t1"], "other:a"),
    ("r8", "tester", 5, ["t1"], "e:a"),
    ("r9", "late", 80, ["t1"], "e:a"),
]
EVENTS = [  # listener, track, hours after the start, event, minutes
    ("ann", "t9", -30, "complete", 3),
    ("ann", "t9", -5, "skip", 0.5),
    ("ann", "t1", 1.1, "complete", 3),
    ("ann", "t2", 1.2, "skip", 0.25),
    ("ann", "t1", 1.3, "like", None),
    ("ann", "t3", 30.5, "play", 2),
    ("bob", "t1", 1.0, "complete", 9),  # before the first exposure: neither past nor experiment
    ("bob", "t1", 2.5, "complete", 4),
    ("bob", "t4", 50, "complete", 6),
    ("eve", "t1", 6, "complete", 3),
    ("ann", "t1", 90, "complete", 3),  # after the end
]


def gathered(**options: object) -> ListenerDays:
    exposures = pl.DataFrame(
        {
            "request_id": [row[0] for row in EXPOSURES],
            "user_id": [row[1] for row in EXPOSURES],
            "timestamp": [hours(row[2]) for row in EXPOSURES],
            "track_ids": [row[3] for row in EXPOSURES],
            "scores": [[0.0] * len(row[3]) for row in EXPOSURES],
            "propensities": [[1.0] * len(row[3]) for row in EXPOSURES],
            "model_version": "v",
            "variant": [row[4] for row in EXPOSURES],
            "rung": "",
        }
    ).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    events = pl.DataFrame(
        {
            "user_id": [row[0] for row in EVENTS],
            "track_id": [row[1] for row in EVENTS],
            "timestamp": [hours(row[2]) for row in EVENTS],
            "event": [row[3] for row in EVENTS],
            "ms_played": [None if row[4] is None else int(row[4] * 60_000) for row in EVENTS],
        }
    ).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    shown = exposures_of(outcomes(exposures, events), "e")
    settings = {"arms": ("a", "b"), "period": PERIOD, "left_out": ["tester"]} | options
    return listener_days(shown, events, **settings)  # type: ignore[arg-type]


def sums(days: ListenerDays, metric: MetricName, **options: object) -> list[tuple[float, float]]:
    above, below = days.sums(days.metrics[metric], **options)  # type: ignore[arg-type]
    return list(zip(above.tolist(), below.tolist(), strict=True))


def test_listeners_are_those_who_were_shown_something_in_one_arm() -> None:
    days = gathered()
    assert days.user_ids.to_list() == ["ann", "bob", "cat"]
    assert days.arm.tolist() == [1, 0, 0]
    assert days.first_day.tolist() == [0, 0, 1]
    assert days.n_crossed == 1
    assert days.present(0).tolist() == [True, True, False]


def test_ratios_count_the_tracks_that_the_experiment_showed() -> None:
    days = gathered()
    assert sums(days, MetricName.COMPLETION) == [(1, 3), (1, 1), (0, 0)]
    assert sums(days, MetricName.SKIP) == [(1, 3), (0, 1), (0, 0)]
    assert sums(days, MetricName.LIKE) == [(1, 3), (0, 1), (0, 0)]
    assert sums(days, MetricName.COMPLETION, last=0) == [(1, 2), (1, 1), (0, 0)]
    assert sums(days, MetricName.COMPLETION, ages=(1, 3)) == [(0, 1), (0, 0), (0, 0)]


def test_minutes_are_of_all_listening_since_the_first_exposure_per_day() -> None:
    days = gathered()
    assert sums(days, MetricName.LISTENING_MINUTES) == [(5.25, 3), (10, 3), (0, 2)]
    assert sums(days, MetricName.LISTENING_MINUTES, last=1) == [(5.25, 2), (4, 2), (0, 1)]
    assert sums(days, MetricName.LISTENING_MINUTES, last=0)[2] == (0, 0)
    assert sums(days, MetricName.LISTENING_MINUTES, ages=(1, 3)) == [(2, 2), (6, 2), (0, 1)]


def test_a_return_is_known_once_the_next_day_is_over() -> None:
    # Ann was shown something on days 0 and 1 and seen on both; Bob on day 0, seen on 0 and 2; Cat on day 1.
    days = gathered()
    assert sums(days, MetricName.RETURN_NEXT_DAY) == [(1, 2), (0, 1), (0, 1)]
    assert sums(days, MetricName.RETURN_NEXT_DAY, last=1) == [(1, 1), (0, 1), (0, 0)]


def test_diversity_counts_artists_or_tracks_per_day_of_listening() -> None:
    assert sums(gathered(), MetricName.DIVERSITY) == [(2, 2), (2, 2), (0, 0)]
    tracks = pl.DataFrame({"track_id": ["t1", "t3"], "artist_id": ["x", "y"]})
    assert sums(gathered(tracks=tracks), MetricName.DIVERSITY)[0] == (2, 2)


def test_the_past_is_what_came_before_the_start() -> None:
    past = gathered().past
    assert [part.tolist() for part in past[MetricName.COMPLETION]] == [[1, 0, 0], [2, 0, 0]]
    assert [part.tolist() for part in past[MetricName.LISTENING_MINUTES]] == [[3.5, 0, 0], [28, 0, 0]]
    # The last day before the start is no pair yet: what follows it belongs to the experiment.
    assert [part.tolist() for part in past[MetricName.RETURN_NEXT_DAY]] == [[1, 0, 0], [1, 0, 0]]


def test_answers_with_something_started() -> None:
    days = gathered()
    above, below = days.sums(days.answers)
    assert above.tolist() == [2, 1, 0]
    assert below.tolist() == [2, 1, 1]


def test_nobody_shown_is_said() -> None:
    with pytest.raises(BadInputError, match="no listener was shown anything"):
        gathered(arms=("c", "d"))


def test_periods_are_whole_days_but_for_an_unfinished_first_one() -> None:
    assert Period.until(START, hours(50)) == Period(START, hours(48))
    assert Period.until(START, hours(48)).n_days == 2
    assert Period.until(START, hours(5)) == Period(START, hours(5))
    assert Period.until(START, hours(5)).n_days == 1
    with pytest.raises(BadInputError, match="not begun"):
        Period.until(START, START)


def test_days_add_up() -> None:
    days = gathered()
    rows = days.metrics[MetricName.COMPLETION]
    parts = [np.array(days.sums(rows, ages=(age, age + 1))) for age in range(3)]
    assert np.array(parts).sum(axis=0) == pytest.approx(np.array(days.sums(rows)))

"""Sessions come by local hour and weekday, and no listener is in two at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.simulation import SimulationConfig, genres
from audotics.simulation.listeners import COUNTRIES, UTC_OFFSET_HOURS, Listeners, make_listeners
from audotics.simulation.sessions import (
    DAY,
    DEVICE_SHARES,
    HOURS,
    LONGEST,
    MEAN_LENGTH,
    SECOND,
    Sessions,
    draw_sessions,
    session_scale,
    without_overlap,
)


@pytest.fixture(scope="module")
def listeners() -> Listeners:
    return make_listeners(SimulationConfig(n_users=20_000, n_tracks=10, n_days=30, seed=1))


def sessions_of(listeners: Listeners, day: int, scale: float = 1.0) -> Sessions:
    rng = np.random.default_rng([7, day])
    return draw_sessions(listeners, 0, listeners.n_users, day, scale, rng)


def made_sessions(user: list[int], start: list[int]) -> Sessions:
    nothing = np.zeros(len(user), np.int64)
    return Sessions(np.array(user, np.int64), np.array(start, np.int64), nothing, nothing, nothing + 1)


def test_tables_have_a_row_for_each_case() -> None:
    assert HOURS.shape == (7, 24) and (HOURS > 0).all()
    assert DEVICE_SHARES.shape[0] == len(genres.SLOTS)
    assert np.allclose(DEVICE_SHARES.sum(axis=1), 1)
    assert len(COUNTRIES) == len(UTC_OFFSET_HOURS)


def test_sessions_begin_on_their_day_in_order(listeners: Listeners) -> None:
    sessions = sessions_of(listeners, 3)
    assert sessions.start.min() >= 3 * DAY and sessions.start.max() < 4 * DAY
    assert (np.diff(sessions.user) >= 0).all()
    same = sessions.user[1:] == sessions.user[:-1]
    assert (np.diff(sessions.start)[same] >= 0).all()


def test_only_the_asked_listeners_and_only_after_signing_up(listeners: Listeners) -> None:
    sessions = draw_sessions(listeners, 500, 900, 2, 3.0, np.random.default_rng(0))
    assert sessions.user.min() >= 500 and sessions.user.max() < 900
    assert (listeners.signup_day[sessions.user] <= 2).all()


def test_local_time_of_day(listeners: Listeners) -> None:
    sessions = sessions_of(listeners, 1, scale=4.0)  # a Tuesday
    for country in ("US", "JP"):
        number = COUNTRIES.index(country)
        chosen = listeners.country[sessions.user] == number
        local = (sessions.start[chosen] // (3600 * SECOND) + UTC_OFFSET_HOURS[number]) % 24
        share = np.bincount(local, minlength=24) / chosen.sum()
        assert np.abs(share - HOURS[1] / HOURS[1].sum()).max() < 0.015, country


def test_slot_and_device_follow_the_local_hour(listeners: Listeners) -> None:
    sessions = sessions_of(listeners, 1, scale=4.0)
    local = (sessions.start // (3600 * SECOND) + UTC_OFFSET_HOURS[listeners.country[sessions.user]]) % 24
    morning = sessions.slot == genres.SLOTS.index("morning")
    assert set(local[morning]) == {5, 6, 7, 8, 9}
    car = sessions.device == 3
    assert car[morning].mean() > 2 * car[~morning].mean()


def test_friday_evenings_are_weekend_evenings(listeners: Listeners) -> None:
    weekend = genres.SLOTS.index("weekend evening")
    assert not (sessions_of(listeners, 2).slot == weekend).any(), (
        "Wednesday, with Tuesday and Thursday beside it"
    )
    assert (sessions_of(listeners, 4).slot == weekend).mean() > 0.1, "Friday"


def test_saturday_has_more_than_tuesday(listeners: Listeners) -> None:
    everybody = replace(listeners, signup_day=np.full_like(listeners.signup_day, -1))
    tuesday, saturday = (len(sessions_of(everybody, day).user) for day in (1, 5))
    assert saturday > 1.05 * tuesday


def test_lengths(listeners: Listeners) -> None:
    length = sessions_of(listeners, 0, scale=4.0).length
    assert length.min() == 1 and length.max() <= LONGEST
    assert length.mean() == pytest.approx(MEAN_LENGTH, rel=0.05)


def test_scale_meets_the_size_wanted() -> None:
    config = SimulationConfig(n_users=3_000, n_tracks=10, n_days=20, n_events=200_000, seed=3)
    listeners = make_listeners(config)
    scale = session_scale(listeners)
    total = sum(sessions_of(listeners, day, scale).length.sum() for day in range(20))
    assert total == pytest.approx(200_000, rel=0.05)


def test_overlap_by_hand() -> None:
    sessions = made_sessions([4, 4, 4, 7, 7], [10, 12, 50, 0, 5])
    duration = np.array([5, 10, 1, 100, 1])
    busy_until = np.zeros(8, np.int64)
    busy_until[7] = 3
    start = without_overlap(sessions, duration, busy_until)
    assert start.tolist() == [10, 15, 50, 3, 103]
    assert busy_until[[4, 7]].tolist() == [51, 104]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1000), st.integers(1, 300)), min_size=0, max_size=25
    ),
    busy=st.lists(st.integers(0, 500), min_size=4, max_size=4),
)
def test_overlap_equals_the_obvious_loop(rows: list[tuple[int, int, int]], busy: list[int]) -> None:
    rows = sorted(rows)
    until, expected = list(busy), []
    for user, start, duration in rows:
        begun = max(start, until[user])
        expected.append(begun)
        until[user] = begun + duration
    busy_until = np.array(busy, np.int64)
    sessions = made_sessions([row[0] for row in rows], [row[1] for row in rows])
    found = without_overlap(sessions, np.array([row[2] for row in rows], np.int64), busy_until)
    assert found.tolist() == expected
    assert busy_until.tolist() == until

"""The listening that a version learned from, described so that later listening can be held against it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.data.importing import import_dataset
from audotics.data.listening import BAND, HOUR, KNOWN_LISTENER, KNOWN_TRACK, NEVER, WEEKDAY, Known, listening
from audotics.data.listening_profile import (
    PROFILE,
    WEEK,
    ListeningProfile,
    Popularity,
    profile_dataset,
    profile_events,
)
from audotics.data.schema import TRACKS
from audotics.errors import DamagedError
from audotics.simulation import SimulationConfig, simulate
from audotics.simulation.service import simulate_tables
from contract.planted import completed, events_table

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def world():
    config = SimulationConfig(n_users=120, n_tracks=400, n_days=35, seed=3, started_on=MONDAY)
    return simulate_tables(config)


def told(events, **columns):
    return events_table(pl.DataFrame({**events, **columns}))


def test_every_column_says_what_its_name_says():
    events = told(
        {"user_id": ["anna", "bert"], "track_id": ["t1", "t2"]},
        timestamp=[MONDAY.replace(hour=23), MONDAY + timedelta(days=6)],
        event=["complete", "skip"],
        ms_played=[100_000, 500],
        device=["car", None],
        country=["DE", "FR"],
    ).with_columns(context_mood=pl.Series(["calm", None]))
    tracks = completed(
        pl.DataFrame(
            {
                "track_id": ["t1"],
                "duration_ms": [200_000],
                "released": [date(2026, 5, 1)],
                "explicit": [True],
                "genres": [["jazz", "soul"]],
            }
        ),
        TRACKS,
    ).with_columns(feature_tempo=120.0)
    known = Known.of(pl.Series(["anna"]), pl.DataFrame({"track_id": ["t1", "t2"], "n": [3, 0]}))
    first, second = listening(events, tracks, known).to_dicts()
    assert first == {
        HOUR: 23,
        WEEKDAY: "Mon",
        "context:device": "car",
        "context:country": "DE",
        "context:mood": "calm",
        "listening:event": "complete",
        "listening:share_heard": 0.5,
        "track:duration_s": 200.0,
        "track:age": "under 30 days",
        "track:explicit": True,
        "track:genre": "jazz",
        "track:feature_tempo": 120.0,
        KNOWN_LISTENER: "known",
        KNOWN_TRACK: "known",
        BAND: "top 1 %",
    }
    assert second[WEEKDAY] == "Sun"
    assert second["track:genre"] is second["track:age"] is second["listening:share_heard"] is None
    assert (second[KNOWN_LISTENER], second[KNOWN_TRACK], second[BAND]) == ("unknown", "unknown", NEVER)


def test_bands_follow_the_rank():
    tracks = pl.DataFrame({"track_id": [f"t{n:03d}" for n in range(200)], "n": range(200, 0, -1)})
    bands = Known.of(pl.Series(["anna"]), tracks).tracks
    counts = dict(bands["band"].value_counts().rows())
    assert counts == {"top 1 %": 2, "next 4 %": 8, "next 15 %": 30, "the rest": 160}
    assert bands["track_id"][0] == "t000"


def test_a_track_counts_once_for_a_listener_and_day():
    events = pl.DataFrame(
        {
            "user_id": ["anna", "anna", "anna", "bert"],
            "track_id": ["a", "a", "a", "b"],
            "timestamp": [MONDAY, MONDAY + timedelta(hours=1), MONDAY + timedelta(days=1), MONDAY],
        }
    )
    assert Popularity.of(events) == Popularity(top={"a": 2, "b": 1}, tail=())
    thinned = Popularity.of(events, n_top=1)
    assert thinned == Popularity(top={"a": 2}, tail=((1, 1),))
    assert thinned.counts.tolist() == [2, 1]


def test_the_newest_weeks_are_described(world):
    events = world.events
    first, last = events["timestamp"].min(), events["timestamp"].max()
    profile = profile_events(events.lazy(), world.tracks, first, last)
    assert (profile.starts_at, profile.ends_at) == (last - 4 * WEEK, last)
    newest = events.filter(pl.col("timestamp") > last - 4 * WEEK)
    hours = profile.quantities[HOUR]
    expected = newest["timestamp"].dt.hour().cast(pl.String).value_counts()
    assert dict(zip(hours.labels, hours.counts, strict=True)).items() >= dict(expected.rows()).items()
    assert hours.n_listeners == newest["user_id"].n_unique()
    assert "track:feature_tempo" in profile.quantities
    assert sum(profile.popularity.top.values()) > 100


def test_what_is_known_is_what_stands_before_the_last_days(world):
    events = world.events
    last = events["timestamp"].max()
    profile = profile_events(events.lazy(), world.tracks, events["timestamp"].min(), last)
    newest = events.filter(pl.col("timestamp") > last - WEEK)
    before = events.filter(pl.col("timestamp") <= last - WEEK)
    unknown = (~newest["user_id"].is_in(before["user_id"].implode())).sum()
    listeners = profile.quantities[KNOWN_LISTENER]
    assert unknown > 0
    assert dict(zip(listeners.labels, listeners.counts, strict=True))["unknown"] == unknown
    assert listeners.n == newest.height
    assert set(profile.quantities[BAND].labels) >= {"top 1 %", NEVER}


def test_a_few_days_have_no_weekdays(world):
    first = world.events["timestamp"].min()
    days = world.events.filter(pl.col("timestamp") < first + timedelta(days=4))
    profile = profile_events(days.lazy(), world.tracks, first, days["timestamp"].max())
    assert WEEKDAY not in profile.quantities
    assert profile.quantities[HOUR].n == days.height
    assert profile.quantities[KNOWN_LISTENER].n < days.height / 2


def test_of_a_dataset_and_through_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    simulate(SimulationConfig(n_users=60, n_tracks=200, n_days=14, seed=1), folder)
    dataset = Dataset.open(folder)
    whole = profile_dataset(dataset)
    whole.write(tmp_path)
    assert ListeningProfile.read(tmp_path) == whole
    assert whole.quantities[HOUR].n_listeners > 50
    monkeypatch.setattr("audotics.data.listening_profile.MOST_EVENTS", 2_000)
    part = profile_dataset(dataset)
    share = part.quantities[HOUR].n_listeners / whole.quantities[HOUR].n_listeners
    assert 0.1 < share < 0.8
    assert part.quantities[HOUR].n > 10 * part.quantities[HOUR].n_listeners  # whole listeners, not events


def test_data_without_times(tmp_path):
    plays = pl.DataFrame(
        {"user_id": [f"u{n % 9}" for n in range(60)], "track_id": [f"t{n}" for n in range(60)]}
    )
    plays.write_csv(tmp_path / "plays.csv")
    dataset = import_dataset(tmp_path / "plays.csv", out=tmp_path / "data").dataset
    profile = profile_dataset(dataset)
    assert profile.starts_at is profile.popularity is None
    assert set(profile.quantities) == {"listening:event"}


def test_a_version_without_one_and_a_damaged_one(tmp_path):
    assert ListeningProfile.read(tmp_path) is None
    profile = ListeningProfile(starts_at=None, ends_at=None, quantities={}, popularity=None)
    profile.write(tmp_path)
    path = tmp_path / PROFILE
    path.write_text(path.read_text().replace('"schema_version":1', '"schema_version":2'))
    with pytest.raises(DamagedError, match="newer"):
        ListeningProfile.read(tmp_path)
    path.write_text("{")
    with pytest.raises(DamagedError, match="cannot be read"):
        ListeningProfile.read(tmp_path)


def test_numbers_stay_numbers(world):
    profile = profile_events(
        world.events.lazy(), world.tracks, world.events["timestamp"].min(), world.events["timestamp"].max()
    )
    kinds = {name: one.kind for name, one in profile.quantities.items()}
    assert kinds["track:duration_s"] == kinds["track:feature_energy"] == "number"
    assert kinds["context:country"] == kinds["track:age"] == "value"
    assert all(np.isfinite(one.covariance).all() for one in profile.quantities.values())

"""What a retraining learns from: base and journal, late events, repeated ones, erasures, the catalogue."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Engine

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.errors import BadInputError, DamagedError
from audotics.journal.catalogue import TrackJournal
from audotics.journal.events import EventJournal
from audotics.lifecycle.data_folders import DataFolders, base_dataset
from audotics.lifecycle.training_data import TrainingData, build_training_data
from contract.aging import aging_world, day, events_of, journal_events, post_days, write_days
from contract.planted import planted_events

KEY = ["user_id", "track_id", "timestamp", "event"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_days(tmp_path_factory.mktemp("base") / "days", 0, 10)


def built(tmp_path: Path, base: Dataset, engine: Engine, seq: int = 0) -> TrainingData:
    return build_training_data(DataFolders(tmp_path / "models"), base, seq, engine)


def keys(events: pl.DataFrame | pl.LazyFrame) -> list[tuple[object, ...]]:
    return sorted(events.lazy().select(KEY).collect().rows())


def test_the_base_and_the_journal_make_one_log(tmp_path: Path, base: Dataset, engine: Engine):
    post_days(engine, 10, 12)

    data = built(tmp_path, base, engine)

    assert keys(data.dataset.events()) == keys(events_of(0, 12))
    assert data.record.n_new == events_of(10, 12).height
    assert data.record.base == base.manifest.fingerprint
    assert Dataset.open(data.dataset.path).manifest.fingerprint == data.record.fingerprint
    device = data.dataset.events().filter(pl.col("timestamp") >= day(10)).select("device").collect()
    assert device["device"].null_count() == 0, "columns of the journal arrive, too"


def test_events_that_the_base_has_already_count_once(tmp_path: Path, base: Dataset, engine: Engine):
    post_days(engine, 8, 11)

    data = built(tmp_path, base, engine)

    assert keys(data.dataset.events()) == keys(events_of(0, 11))
    assert data.record.n_repeated == events_of(8, 10).height
    assert data.record.n_new == events_of(10, 11).height


def test_an_event_that_arrives_late_is_found_by_its_place_in_the_journal(
    tmp_path: Path, base: Dataset, engine: Engine
):
    journal = EventJournal(engine)
    late = events_of(10, 11).head(5)
    journal.append(journal_events(events_of(10, 11).slice(5)))
    first = built(tmp_path, base, engine)
    journal.append(journal_events(late))
    post_days(engine, 11, 12)

    second = built(tmp_path, first.dataset, engine, first.record.journal_seq)

    assert keys(second.dataset.events()) == keys(events_of(0, 12))
    assert second.record.n_repeated == 0, "nothing is read twice"


def test_who_was_erased_is_gone_from_every_table_and_may_come_back(tmp_path: Path, engine: Engine):
    gone, friend = aging_world().users["user_id"][0], aging_world().users["user_id"][1]
    users = aging_world().users.with_columns(
        friends=pl.when(pl.col("user_id") == friend).then(pl.lit([gone])).otherwise(pl.lit([friend]))
    )
    tracks = aging_world().tracks.with_columns(
        tags=pl.lit(["loud", "soft"]), tagged_by=pl.concat_list(pl.lit(gone), pl.lit(friend))
    )
    base = write_days(tmp_path / "days", 0, 10, users=users, tracks=tracks)
    journal = EventJournal(engine)
    post_days(engine, 10, 11)
    journal.erase(gone)
    came_back = events_of(10, 11).filter(pl.col("user_id") != gone).head(1)
    came_back = came_back.with_columns(user_id=pl.lit(gone), timestamp=pl.lit(day(400)))
    journal.append(journal_events(came_back))

    data = built(tmp_path, base, engine)

    theirs = data.dataset.events().filter(pl.col("user_id") == gone).collect()
    assert theirs["timestamp"].to_list() == [day(400)]
    assert data.record.n_erased == events_of(0, 10).filter(pl.col("user_id") == gone).height > 0
    assert gone not in data.dataset.users()["user_id"].to_list()
    assert gone not in data.dataset.users()["friends"].explode().to_list()
    assert data.dataset.tracks()["tagged_by"].explode().unique().to_list() == [friend]
    assert data.dataset.tracks()["tags"].explode().unique().to_list() == ["soft"]


def test_tracks_that_were_put_join_the_catalogue_and_mend_it(tmp_path: Path, base: Dataset, engine: Engine):
    known = base.tracks().row(0, named=True)
    journal = TrackJournal(engine)
    journal.put("brand-new", {"title": "New", "artist_id": "x", "released": "2026", "feature_tempo": 120})
    journal.put(known["track_id"], {"title": "Renamed"})

    tracks = built(tmp_path, base, engine).dataset.tracks()

    new = tracks.row(by_predicate=pl.col("track_id") == "brand-new", named=True)
    assert (new["title"], new["artist_id"], new["released"].isoformat()) == ("New", "x", "2026-01-01")
    assert new["feature_tempo"] == 120
    mended = tracks.row(by_predicate=pl.col("track_id") == known["track_id"], named=True)
    assert mended["title"] == "Renamed"
    for column in ("artist_id", "album_id", "released", "genres"):
        assert mended[column] == known[column]
    assert tracks.height == base.tracks().height + 1


def test_contexts_that_only_one_side_has_are_null_on_the_other(tmp_path: Path, engine: Engine):
    with DatasetWriter(tmp_path / "days") as writer:
        writer.add_events(events_of(0, 2).with_columns(context_mood=pl.lit("calm")))
        base = writer.commit()
    (event,) = journal_events(events_of(2, 3).head(1))
    with_context = type(event)(
        event_id="e", user_id="u", track_id="t", at_us=event.at_us, context={"context_place": "train"}
    )
    EventJournal(engine).append([with_context])

    events = built(tmp_path, base, engine).dataset.events().collect()

    assert events.filter(pl.col("user_id") == "u").select("context_mood", "context_place").row(0) == (
        None,
        "train",
    )
    assert events["context_mood"].drop_nulls().unique().to_list() == ["calm"]


def test_data_without_times_cannot_be_gone_on_with(tmp_path: Path, engine: Engine):
    with DatasetWriter(tmp_path / "untimed") as writer:
        writer.add_events(planted_events())
        base = writer.commit()

    with pytest.raises(BadInputError, match="no times"):
        built(tmp_path, base, engine)


def test_the_champions_own_data_comes_first_then_what_was_given(
    tmp_path: Path, base: Dataset, engine: Engine
):
    folders = DataFolders(tmp_path / "models")
    post_days(engine, 10, 11)
    data = built(tmp_path, base, engine)

    own, seq = base_dataset(folders, data.record.fingerprint, base.path, "v")
    assert (own.path, seq) == (data.dataset.path, data.record.journal_seq)
    assert base_dataset(folders, "f" * 64, base.path, "v")[0].path == base.path
    assert base_dataset(folders, "f" * 64, base.path, "v")[1] == 0
    with pytest.raises(BadInputError, match="--data"):
        base_dataset(folders, "f" * 64, None, "v")


def test_damaged_data_is_not_gone_on_with(tmp_path: Path, base: Dataset, engine: Engine):
    folders = DataFolders(tmp_path / "models")
    post_days(engine, 10, 11)
    data = built(tmp_path, base, engine)
    with (data.dataset.path / "tracks.parquet").open("ab") as file:
        file.write(b"x")

    with pytest.raises(DamagedError):
        folders.find(data.record.fingerprint)


def test_old_data_goes_but_not_the_champions_and_not_the_newest(
    tmp_path: Path, base: Dataset, engine: Engine
):
    folders = DataFolders(tmp_path / "models")
    made = []
    for number in range(10, 15):
        post_days(engine, number, number + 1)
        made.append(built(tmp_path, base, engine).record.fingerprint)
    left_by_a_kill = tmp_path / "models" / "data" / "building"
    left_by_a_kill.mkdir()

    assert set(folders.prune([made[0]])) == set(made[1:3])

    kept = {path.name for path in (tmp_path / "models" / "data").iterdir()}
    names = [fingerprint[:16] for fingerprint in (made[0], made[3], made[4])]
    assert kept == {*names, *(f"{name}.json" for name in names)}
    assert all(folders.find(fingerprint) for fingerprint in (made[0], made[3], made[4]))
    assert folders.find(made[1]) is None


def test_building_the_same_again_gives_the_same(tmp_path: Path, base: Dataset, engine: Engine):
    post_days(engine, 10, 11)

    assert (
        built(tmp_path, base, engine).record.fingerprint == built(tmp_path, base, engine).record.fingerprint
    )


BUILDER = """
import sys
from pathlib import Path
from audotics.data.dataset import Dataset
from audotics.journal.engine import open_engine
from audotics.lifecycle.data_folders import DataFolders
from audotics.lifecycle.training_data import build_training_data

base, engine = Dataset.open(sys.argv[1]), open_engine(sys.argv[2], timeout_s=5)
folders = DataFolders(Path(sys.argv[3]))
print("ready", flush=True)
while True:
    build_training_data(folders, base, 0, engine)
    print("built", flush=True)
"""


def test_a_killed_builder_leaves_whole_data_or_none(tmp_path: Path, base: Dataset, engine: Engine):
    post_days(engine, 10, 12)
    url = engine.url.render_as_string(hide_password=False)
    models = tmp_path / "models"
    command = [sys.executable, "-c", BUILDER, str(base.path), url, str(models)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "ready\n"
        time.sleep(0.07)
        os.kill(builder.pid, signal.SIGKILL)
    for record in (models / "data").glob("*.json"):
        assert DataFolders(models).find(json.loads(record.read_text())["fingerprint"])

    data = built(tmp_path, base, engine)

    assert keys(data.dataset.events()) == keys(events_of(0, 12))
    (models / "data" / ".0123.json.89ab").write_text("{")  # what a kill leaves of a record
    DataFolders(models).prune([])
    assert {path.suffix for path in (models / "data").iterdir()} == {"", ".json"}
    assert sum(path.is_dir() for path in (models / "data").iterdir()) == 1


def test_a_dataset_as_it_was_at_a_moment(base: Dataset):
    earlier = base.before(day(4))

    assert keys(earlier.events()) == keys(events_of(0, 4))
    assert earlier.manifest.rows["events"] == events_of(0, 4).height
    assert earlier.manifest.time_range == (
        events_of(0, 4)["timestamp"].min(),
        events_of(0, 4)["timestamp"].max(),
    )
    assert earlier.manifest.fingerprint == base.manifest.fingerprint
    assert earlier.before(day(9)).manifest.rows["events"] == earlier.manifest.rows["events"]
    with pytest.raises(BadInputError, match="no event"):
        base.before(day(0) - timedelta(days=1))

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from audotics.data import Dataset, DatasetWriter
from audotics.data import writer as writer_module
from audotics.data.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, Counts, fingerprint_of
from audotics.data.schema import EVENTS, PLAYLISTS, REJECTS, SCHEMA_VERSION, TRACKS, USERS
from audotics.errors import BadInputError, DamagedError

AT = datetime(2024, 1, 2, tzinfo=UTC)


def _events(n: int = 3, **more: object) -> pl.DataFrame:
    columns = {"user_id": [f"u{i}" for i in range(n)], "track_id": ["t"] * n, "timestamp": [AT] * n}
    return pl.DataFrame(columns | more, strict=False)


def _make(target: Path, n: int = 3) -> Dataset:
    with DatasetWriter(target, source="a test") as writer:
        writer.add_events(_events(n))
        writer.set_table(
            "tracks",
            pl.DataFrame(
                {"track_id": ["t"], "title": ["T"], "feature_x": [0.5]},
                schema_overrides={"feature_x": pl.Float32},
            ),
        )
        return writer.commit()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    made = _make(tmp_path / "data")
    found = Dataset.open(tmp_path / "data")
    assert found.manifest == made.manifest
    events = found.events().collect()
    assert events.schema == pl.Schema(EVENTS)
    assert events.select("user_id", "event", "plays").rows() == [(f"u{i}", "play", 1.0) for i in range(3)]
    tracks = found.tracks()
    assert list(tracks.columns) == [*TRACKS, "feature_x"]
    assert tracks.select("track_id", "title", "feature_x").rows() == [("t", "T", 0.5)]
    assert found.timed
    assert "3 events, 1 tracks" in repr(found)


def test_absent_tables_are_empty_but_have_their_columns(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    for table, schema in (
        (dataset.users(), USERS),
        (dataset.playlists(), PLAYLISTS),
        (dataset.rejects(), REJECTS),
    ):
        assert table.is_empty()
        assert table.schema == pl.Schema(schema)


def test_a_dataset_without_events_is_legal_and_untimed(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "data") as writer:
        dataset = writer.commit()
    assert dataset.events().collect().schema == pl.Schema(EVENTS)
    assert not dataset.timed


def test_the_manifest_says_what_is_there(tmp_path: Path) -> None:
    manifest = _make(tmp_path / "data").manifest
    assert manifest.schema_version == SCHEMA_VERSION
    assert manifest.source == "a test"
    assert manifest.rows == {"events": 3, "tracks": 1}
    assert manifest.counts == {"events": Counts(read=3, accepted=3), "tracks": Counts(read=1, accepted=1)}
    assert manifest.time_range == (AT, AT)
    assert set(manifest.files) == {"events/part-00000.parquet", "rejects.parquet", "tracks.parquet"}


def test_equal_data_has_an_equal_fingerprint(tmp_path: Path) -> None:
    one, two, other = (_make(tmp_path / name, n) for name, n in (("a", 3), ("b", 3), ("c", 4)))
    assert one.manifest.fingerprint == two.manifest.fingerprint != other.manifest.fingerprint


def test_parts_are_read_as_one_in_their_order(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "data") as writer:
        for user in ("b", "a", "c"):
            writer.add_events(_events(1, user_id=[user]))
        dataset = writer.commit()
    assert dataset.events().collect()["user_id"].to_list() == ["b", "a", "c"]


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    for path in dataset.path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (_events(1, event=["purchase"]), "event"),
        (_events(1, plays=[0.0]), "plays"),
        (_events(1, user_id=[None]), "user_id"),
        (_events(1, track_id=["x" * 300]), "track_id"),
        (_events(1, mood=["calm"]), "no column mood"),
        (_events(1, ms_played=["long"]), "wrong type"),
        (_events(1, position=[-1]), "position"),
    ],
)
def test_events_that_break_the_schema_are_refused(tmp_path: Path, frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(BadInputError, match=message), DatasetWriter(tmp_path / "data") as writer:
        writer.add_events(frame)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="track_id"), DatasetWriter(tmp_path / "data") as writer:
        writer.set_table("tracks", pl.DataFrame({"track_id": ["a", "a"]}))


def test_half_dated_events_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="some have none"), DatasetWriter(tmp_path / "data") as writer:
        writer.add_events(_events(2))
        writer.add_events(_events(2, timestamp=[None, None]).cast({"timestamp": EVENTS["timestamp"]}))
        writer.commit()


def test_parts_must_have_the_same_context(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="context"), DatasetWriter(tmp_path / "data") as writer:
        writer.add_events(_events(1, context_mood=["calm"]))
        writer.add_events(_events(1))


def test_many_rejects_go_through_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_REJECTS_HELD", 3)
    with DatasetWriter(tmp_path / "data") as writer:
        for line in range(10):
            reject = {"file": ["f"], "line": [line], "column": ["c"], "value": ["v"], "reason": ["r"]}
            writer.add_rejects(pl.DataFrame(reject, schema=REJECTS))
        dataset = writer.commit()
    assert dataset.rejects()["line"].to_list() == list(range(10))
    assert dataset.manifest.rows["rejects"] == 10
    assert Dataset.open(tmp_path / "data").manifest == dataset.manifest


def test_an_existing_dataset_is_replaced_whole(tmp_path: Path) -> None:
    _make(tmp_path / "data", 3)
    _make(tmp_path / "data", 5)
    assert Dataset.open(tmp_path / "data").manifest.rows["events"] == 5
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_system_that_cannot_swap_names_replaces_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_exchange", lambda one, other: False)
    test_an_existing_dataset_is_replaced_whole(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_what_is_no_dataset_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "data"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
        (target / "thesis.txt").write_text("mine")
    else:
        if kind == "link":
            _make(tmp_path / "elsewhere")
        target.symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInputError, match="exists and is not a dataset"):
        DatasetWriter(target)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_may_become_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    _make(tmp_path / "data")
    assert Dataset.open(tmp_path / "data").manifest.rows["events"] == 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    _make(tmp_path / "data")
    with pytest.raises(error), DatasetWriter(tmp_path / "data") as writer:
        writer.add_events(_events(9))
        raise error
    assert Dataset.open(tmp_path / "data").manifest.rows["events"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


_ENDLESS_WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from audotics.data import DatasetWriter
target, n = Path(sys.argv[1]), 0
while True:
    n += 1
    with DatasetWriter(target) as writer:
        for part in range(3):
            times = pl.repeat(datetime(2024, 1, 1, tzinfo=UTC), n, eager=True)
            users = pl.Series([f"{part}-{i}" for i in range(n)])
            writer.add_events(pl.DataFrame({"user_id": users, "track_id": users, "timestamp": times}))
        writer.commit()
    print(n, flush=True)
"""


def test_killed_writers_leave_the_old_or_the_new(tmp_path: Path) -> None:
    """A child replaces a dataset without end and is killed at odd moments; never is it torn."""
    target = tmp_path / "data"
    for round_number in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", _ENDLESS_WRITER, str(target)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(0.01 + 0.03 * round_number)
            os.kill(child.pid, signal.SIGKILL)
        events = Dataset.open(target).events().collect()
        assert events.height % 3 == 0
        assert events["user_id"].n_unique() == events.height
    _make(target)
    assert [path.name for path in tmp_path.iterdir()] == ["data"], "abandoned folders are cleared"


def test_a_living_writer_is_not_disturbed_by_another(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "data") as first:
        first.add_events(_events(7))
        _make(tmp_path / "data")
        first.commit()
    assert Dataset.open(tmp_path / "data").manifest.rows["events"] == 7


def test_opening_nothing_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BadInputError, match="no dataset here"):
            Dataset.open(path)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    for name, record in dataset.manifest.files.items():
        path = dataset.path / name
        original = path.read_bytes()
        for place in range(0, record.size, max(1, record.size // 7)):
            flipped = bytearray(original)
            flipped[place] ^= 1
            path.write_bytes(flipped)
            with pytest.raises(DamagedError, match=name):
                Dataset.open(dataset.path)
        path.write_bytes(original[:-1])
        with pytest.raises(DamagedError, match=name):
            Dataset.open(dataset.path)
        path.unlink()
        with pytest.raises(DamagedError, match="missing"):
            Dataset.open(dataset.path)
        path.write_bytes(original)
    Dataset.open(dataset.path)


@pytest.mark.parametrize("name", ["events/part-00009.parquet", "notes.txt", ".hidden"])
def test_an_unlisted_file_is_refused(tmp_path: Path, name: str) -> None:
    dataset = _make(tmp_path / "data")
    shutil.copy(dataset.path / "tracks.parquet", dataset.path / name)
    with pytest.raises(DamagedError, match="not in the manifest"):
        Dataset.open(dataset.path)


def test_links_are_refused(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    moved = shutil.move(dataset.path / "tracks.parquet", tmp_path / "outside.parquet")
    (dataset.path / "tracks.parquet").symlink_to(moved)
    with pytest.raises(DamagedError, match="links"):
        Dataset.open(dataset.path)


def _edit(dataset: Dataset, **changes: object) -> None:
    path = dataset.path / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_newer_schema_is_refused_with_a_remedy(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    _edit(dataset, schema_version=SCHEMA_VERSION + 1, unheard_of=1)
    with pytest.raises(DamagedError, match="Install the release of Audotics"):
        Dataset.open(dataset.path)


@pytest.mark.parametrize(
    "changes", [{"rows": None}, {"kind": "other"}, {"more": 1}, {"fingerprint": "0" * 64}, {"files": {}}]
)
def test_a_manifest_that_was_edited_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    dataset = _make(tmp_path / "data")
    _edit(dataset, **changes)
    with pytest.raises(DamagedError, match="manifest"):
        Dataset.open(dataset.path)


def test_names_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    shutil.copy(dataset.path / "tracks.parquet", tmp_path / "outside.parquet")
    files = dataset.manifest.files | {"../outside.parquet": dataset.manifest.files["tracks.parquet"]}
    plain = {name: record.model_dump() for name, record in files.items()}
    _edit(dataset, files=plain, fingerprint=fingerprint_of(files))
    with pytest.raises(DamagedError, match="missing"):
        Dataset.open(dataset.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    dataset = _make(tmp_path / "data")
    (dataset.path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(DamagedError, match="manifest"):
        Dataset.open(dataset.path)


def test_a_manifest_that_is_a_link_or_too_large_is_refused(tmp_path: Path) -> None:
    dataset = _make(tmp_path / "data")
    manifest = dataset.path / MANIFEST_NAME
    manifest.rename(tmp_path / "elsewhere.json")
    manifest.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DamagedError, match="cannot be read") as caught:
        Dataset.open(dataset.path)
    assert caught.value.where == str(manifest)
    manifest.unlink()
    manifest.write_bytes(b"")
    os.truncate(manifest, MAX_MANIFEST_BYTES + 1)
    with pytest.raises(DamagedError, match="larger than"):
        Dataset.open(dataset.path)

import hashlib
import os
import re
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from audotics.errors import BadInputError, DamagedError
from audotics.registry import Registry, VersionRecord
from audotics.registry.names import check_alias, check_name, is_version, version_at
from audotics.telemetry import StageRecord


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_published_version_holds_the_staged_files_and_a_manifest(registry, publish):
    before = datetime.now(UTC)
    version = publish({"a/b.npy": b"12345", "c.json": b""})

    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", version)
    folder = registry.folder(version)
    assert files_below(folder) == {"a/b.npy", "c.json", "manifest.json"}
    manifest = registry.verify(version)
    assert manifest.version == version
    assert before <= manifest.created_at <= datetime.now(UTC)
    assert set(manifest.files) == {"a/b.npy", "c.json"}
    assert manifest.files["a/b.npy"].size == 5
    assert manifest.files["a/b.npy"].sha256 == hashlib.sha256(b"12345").hexdigest()


def test_the_manifest_keeps_what_training_said(registry, publish, record):
    timings = (StageRecord("fit", 1.5, 300.0, 20),)
    manifest = registry.show(publish(timings=timings))
    said = {name: getattr(manifest, name) for name in VersionRecord.model_fields}
    assert VersionRecord(**said) == record.model_copy(update={"timings": timings})


def test_only_the_owner_may_read(registry, publish):
    version = publish()
    for path in [registry.models_dir, *registry.models_dir.rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert registry.folder(version).is_dir()


def test_versions_sort_in_the_order_of_publishing(registry, publish):
    published = [publish() for _ in range(5)]
    assert list(registry.versions()) == published
    assert registry.resolve("latest") == published[-1]


def test_two_versions_of_the_same_moment_are_both_published(registry, publish, monkeypatch):
    moment = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
    moments = iter([moment, moment, moment + timedelta(seconds=1)])

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(moments)

    monkeypatch.setattr("audotics.registry.store.datetime", Clock)
    first, second = publish({"x": b"1"}), publish({"x": b"2"})
    assert (first, second) == ("20261123T101500Z-0000", "20261123T101501Z-0000")
    assert registry.verify(first).files != registry.verify(second).files


def test_nothing_is_left_of_a_training_that_fails(registry):
    with pytest.raises(ZeroDivisionError), registry.stage() as staging:
        (staging / "half").write_bytes(b"x")
        1 / 0  # noqa: B018
    assert registry.versions() == ()
    assert list((registry.models_dir / "versions").iterdir()) == []


def test_staging_folders_of_living_processes_are_left_alone(registry):
    with registry.stage() as mine:
        (mine / "work").write_bytes(b"x")
        with registry.stage() as other:
            assert other != mine
            assert (mine / "work").exists()


def test_staging_folders_of_dead_processes_are_removed(registry):
    left = registry.models_dir / "versions" / ".staging-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    with registry.stage():
        assert not left.exists()


def test_every_file_is_flushed_before_the_version_appears(registry, publish, monkeypatch):
    calls: list[tuple[str, str]] = []
    fsync, rename = os.fsync, Path.rename

    def recording_fsync(descriptor):
        calls.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def recording_rename(self, target):
        calls.append(("rename", Path(target).name))
        return rename(self, target)

    with registry.stage() as staging:
        staging_name = staging.name
    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "rename", recording_rename)
    version = publish({"a/b.npy": b"x", "c.npy": b"y"})

    renamed = calls.index(("rename", version))
    flushed = [name for call, name in calls[:renamed] if call == "fsync"]
    assert {"b.npy", "a", "c.npy", "manifest.json"} <= set(flushed)
    assert flushed[-1].startswith(staging_name[:9]), "the folder itself comes last, after its manifest"
    assert ("fsync", "versions") in calls[renamed:], "the new name is flushed too"


def test_links_are_not_published(registry, record, tmp_path):
    (tmp_path / "secret").write_text("s")
    with pytest.raises(DamagedError, match="is a link"), registry.stage() as staging:
        (staging / "innocent").symlink_to(tmp_path / "secret")
        registry.publish(staging, record)
    assert registry.versions() == ()


def test_only_staged_folders_are_published(registry, record, tmp_path):
    with registry.stage(), pytest.raises(BadInputError, match="from `stage`"):
        registry.publish(tmp_path, record)


def test_a_staged_manifest_is_refused(registry, record):
    with pytest.raises(BadInputError, match="manifest"), registry.stage() as staging:
        (staging / "manifest.json").write_text("{}")
        registry.publish(staging, record)


def test_concurrent_publishers_do_not_disturb_each_other(registry, publish):
    published: list[str] = []
    threads = [
        threading.Thread(target=lambda: published.extend(publish() for _ in range(5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(published) == list(registry.versions())
    assert len(set(published)) == 20
    for version in published:
        registry.verify(version)


TIMES = st.datetimes(datetime(2000, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))


@given(TIMES, TIMES)
def test_versions_sort_by_time(one, other):
    assert is_version(version_at(one))
    if one.replace(microsecond=0) < other.replace(microsecond=0):
        assert version_at(one) < version_at(other)
    if one <= other:
        assert version_at(one) <= version_at(other)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "ä", "a b", "a\n", "x" * 65, "a\0"]
)
def test_names_that_could_leave_their_folder_are_refused(name, record):
    with pytest.raises(BadInputError, match="not a valid alias"):
        check_name(name, "alias")
    with pytest.raises((ValidationError, BadInputError)):
        VersionRecord(**record.model_dump(exclude={"name"}), name=name)


@given(st.text("azAZ09_-", min_size=1, max_size=1), st.text("azAZ09._-", max_size=63))
def test_plain_names_are_accepted(first, rest):
    assert check_name(first + rest, "alias") == first + rest


@pytest.mark.parametrize("name", ["latest", "20261123T101500Z-3f2a", "history.jsonl"])
def test_aliases_cannot_be_mistaken_for_something_else(name):
    with pytest.raises(BadInputError, match="cannot be an alias"):
        check_alias(name)


def test_an_empty_store_says_how_to_fill_it(tmp_path):
    registry = Registry(tmp_path / "nowhere")
    assert registry.versions() == ()
    assert registry.aliases() == {}
    with pytest.raises(BadInputError, match=r"there is no version yet.*audotics train"):
        registry.resolve("latest")
    assert not (tmp_path / "nowhere").exists(), "asking creates nothing"

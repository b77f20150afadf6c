import json
import os
import time
from pathlib import Path

import pytest

from audotics.errors import DamagedError
from audotics.registry.seals import Seals
from audotics.registry.verify import verify_folder


@pytest.fixture
def two(registry, publish) -> list[str]:
    versions = [publish(), publish()]
    for version in versions:
        registry.set_alias("champion", version)
    return versions


@pytest.fixture
def hashed(monkeypatch) -> list[Path]:
    """The folders whose files were hashed."""
    seen: list[Path] = []

    def watched(folder: Path):
        seen.append(folder)
        return verify_folder(folder)

    monkeypatch.setattr("audotics.registry.seals.verify_folder", watched)
    return seen


def test_a_rollback_hashes_nothing(registry, two, hashed):
    assert registry.rollback("champion") == two[0]
    assert hashed == []


def test_without_a_seal_a_rollback_hashes_and_seals(registry, two, hashed):
    seal = registry.models_dir / "seals" / f"{two[0]}.json"
    seal.unlink()
    assert registry.rollback("champion") == two[0]
    assert hashed == [registry.folder(two[0])]
    registry.set_alias("champion", two[1])
    hashed.clear()
    registry.rollback("champion")
    assert hashed == [] and seal.exists()


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", '{"recommender.json": [2, 0, 0, 0]}'])
def test_a_seal_that_is_none_is_not_believed(registry, two, hashed, text):
    (registry.models_dir / "seals" / f"{two[0]}.json").write_text(text)
    registry.rollback("champion")
    assert hashed == [registry.folder(two[0])]


def test_other_content_of_the_same_size_and_time_is_found(registry, two):
    path = registry.folder(two[0]) / "recommender.json"
    before = path.stat()
    path.write_bytes(b"[]")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(DamagedError, match="other content"):
        registry.rollback("champion")
    assert registry.alias("champion") == two[1]


def test_a_file_put_in_the_place_of_another_is_found(registry, two):
    path = registry.folder(two[0]) / "recommender.json"
    (path.parent.parent / "beside").write_bytes(b"[]")
    (path.parent.parent / "beside").rename(path)
    with pytest.raises(DamagedError, match="other content"):
        registry.rollback("champion")


@pytest.mark.parametrize("damage", ["missing", "unlisted", "link"])
def test_what_lies_there_is_compared_too(registry, two, tmp_path, damage):
    folder = registry.folder(two[0])
    if damage == "missing":
        (folder / "recommender.json").unlink()
    elif damage == "unlisted":
        (folder / "more.json").write_bytes(b"{}")
    else:
        (folder / "recommender.json").rename(tmp_path / "moved")
        (folder / "recommender.json").symlink_to(tmp_path / "moved")
    with pytest.raises(DamagedError):
        registry.rollback("champion")
    assert registry.alias("champion") == two[1]


def test_what_changes_while_it_is_hashed_is_not_sealed(registry, publish, monkeypatch):
    version = publish()
    folder = registry.folder(version)
    (registry.models_dir / "seals" / f"{version}.json").unlink()

    def verified_and_then_changed(folder: Path):
        manifest = verify_folder(folder)
        (folder / "recommender.json").write_bytes(b"[]")
        return manifest

    monkeypatch.setattr("audotics.registry.seals.verify_folder", verified_and_then_changed)
    registry.set_alias("champion", version)
    assert not Seals(registry.models_dir / "seals").holds(folder)


def test_verifying_for_a_server_reads_everything_and_writes_nothing(registry, two):
    """A server may have the models mounted read-only, and trusts no seal."""
    path = registry.folder(two[0]) / "recommender.json"
    seal = registry.models_dir / "seals" / f"{two[0]}.json"
    path.write_bytes(b"[]")
    forged = json.loads(seal.read_text())
    status = path.stat()
    forged["recommender.json"] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    seal.write_text(json.dumps(forged))
    assert Seals(seal.parent).holds(registry.folder(two[0]))
    written_at = seal.stat().st_mtime_ns
    with pytest.raises(DamagedError, match="other content"):
        registry.verify(two[0])
    assert seal.stat().st_mtime_ns == written_at


def test_a_models_folder_that_cannot_hold_seals_still_publishes(registry, publish):
    registry.models_dir.mkdir(parents=True, exist_ok=True)
    (registry.models_dir / "seals").write_text("in the way")
    version = publish()
    assert registry.set_alias("champion", version) == version


def test_a_rollback_of_a_large_version_takes_less_than_a_second(registry, publish):
    large = {f"retrieval/{number}.npy": os.urandom(2**20) * 50 for number in range(4)}
    for version in (publish(large), publish()):
        registry.set_alias("champion", version)
    started = time.perf_counter()
    registry.rollback("champion")
    assert time.perf_counter() - started < 1.0


def test_publishing_seals(registry, publish, hashed):
    version = publish()
    assert Seals(registry.models_dir / "seals").holds(registry.folder(version))
    assert hashed == []

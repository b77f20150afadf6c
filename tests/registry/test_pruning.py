import json
import threading
from io import BytesIO

import numpy as np
import pytest

from audotics.errors import BadInputError
from audotics.registry import Registry


@pytest.fixture
def six(publish) -> list[str]:
    return [publish() for _ in range(6)]


def pruned_log(registry) -> list[dict[str, object]]:
    return [json.loads(line) for line in (registry.models_dir / "pruned.jsonl").read_text().splitlines()]


def test_the_newest_stay(registry, six):
    done = registry.prune(2)
    assert list(done.removed) == six[:4]
    assert registry.versions() == tuple(six[4:])
    assert set(done.kept.values()) == {"among the newest 2"}


def test_what_aliases_point_to_and_lead_back_to_stays(registry, six):
    for version in six[:4]:
        registry.set_alias("champion", version)
    registry.set_alias("shadow", six[0])
    done = registry.prune(1)
    assert done.kept == {
        six[0]: "shadow",
        six[1]: "champion can be rolled back to it",
        six[2]: "champion can be rolled back to it",
        six[3]: "champion",
        six[5]: "among the newest 1",
    }
    assert list(done.removed) == [six[4]]
    assert registry.rollback("champion") == six[2]
    assert registry.rollback("champion") == six[1]


def test_a_version_rolled_back_from_is_not_needed(registry, six):
    for version in six[:3]:
        registry.set_alias("champion", version)
    registry.rollback("champion")
    assert six[2] in registry.prune(1).removed


def test_rolling_back_beyond_what_is_kept_says_so_and_moves_nothing(registry, six):
    for version in six[:5]:
        registry.set_alias("champion", version)
    registry.prune(1)
    assert [registry.rollback("champion") for _ in range(2)] == [six[3], six[2]]
    with pytest.raises(BadInputError, match=f"there is no version '{six[1]}'"):
        registry.rollback("champion")
    assert registry.alias("champion") == six[2]


def test_protected_versions_stay(registry, six):
    assert six[1] not in registry.prune(1, protected=[six[1], "20200101T000000Z-0000"]).removed
    assert registry.versions() == (six[1], six[5])


def test_a_dry_run_only_tells(registry, six):
    told = registry.prune(2, dry_run=True)
    assert registry.versions() == tuple(six)
    assert not (registry.models_dir / "pruned.jsonl").exists()
    assert registry.prune(2) == told


def test_each_removal_is_noted(registry, six):
    registry.prune(5)
    (entry,) = pruned_log(registry)
    assert entry["version"] == six[0] and entry["keep"] == 5
    assert entry["bytes"] > 250, "three files and a manifest"


def test_nothing_of_a_pruned_version_is_left(registry, six):
    registry.prune(1)
    assert [path.name for path in (registry.models_dir / "versions").iterdir()] == [six[5]]
    assert [path.stem for path in (registry.models_dir / "seals").iterdir()] == [six[5]]


def test_what_a_killed_run_put_away_is_deleted_by_the_next(registry, six):
    left = registry.models_dir / "versions" / ".pruned-20200101T000000Z-0000-beef"
    (left / "retrieval").mkdir(parents=True)
    registry.prune(6)
    assert not left.exists()
    assert registry.versions() == tuple(six)


def test_a_damaged_version_can_be_pruned(registry, six):
    (registry.folder(six[0]) / "manifest.json").write_text("{")
    assert six[0] in registry.prune(1).removed


@pytest.mark.parametrize("keep", [0, -1])
def test_something_must_be_kept(registry, six, keep):
    with pytest.raises(BadInputError, match="at least one version"):
        registry.prune(keep)
    assert len(registry.versions()) == 6


def test_an_empty_folder_has_nothing_to_prune(registry):
    done = registry.prune(3)
    assert (done.removed, done.kept) == ({}, {})


def test_a_reader_that_has_a_version_mapped_goes_on(registry, publish):
    values = np.arange(100_000)
    old = publish({"a.npy": npy_bytes(values)})
    publish()
    mapped = np.load(registry.folder(old) / "a.npy", mmap_mode="r")
    assert old in registry.prune(1).removed
    assert (mapped == values).all()


def test_an_alias_never_ends_up_on_a_pruned_version(registry, publish):
    """Two processes, one promotes what the other prunes: the promotion fails or the version stays."""
    for _ in range(8):
        old, _ = publish(), publish()
        failures: list[Exception] = []

        def promote(version: str = old, into: list[Exception] = failures) -> None:
            try:
                Registry(registry.models_dir).set_alias("challenger", version)
            except Exception as error:
                into.append(error)

        promoting = threading.Thread(target=promote)
        promoting.start()
        registry.prune(1)
        promoting.join()
        pointed = registry.alias("challenger")
        assert pointed is None or pointed in registry.versions()
        assert (pointed == old) == (not failures)


def npy_bytes(values: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def test_the_log_survives_pruning_twice(registry, six):
    registry.prune(4)
    registry.prune(2)
    assert [entry["version"] for entry in pruned_log(registry)] == six[:4]

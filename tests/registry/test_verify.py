import json
import os
import shutil
from pathlib import Path

import pytest

from audotics.errors import BadInputError, DamagedError
from audotics.registry import Registry
from audotics.registry.manifest import MAX_MANIFEST_BYTES


@pytest.fixture
def folder(registry, publish) -> Path:
    return registry.folder(publish())


def rewrite_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_untouched_version_verifies(registry, folder):
    assert registry.verify(folder.name) == registry.show("latest")


@pytest.mark.parametrize("name", ["features/terms.npy", "retrieval/als/users.npy", "recommender.json"])
def test_every_flipped_byte_is_found_and_its_file_named(registry, folder, name):
    path = folder / name
    content = path.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedError, match="has other content") as caught:
            registry.verify(folder.name)
        assert caught.value.where == str(path)
    path.write_bytes(content)
    registry.verify(folder.name)


def test_every_truncation_is_found(registry, folder):
    path = folder / "features" / "terms.npy"
    content = path.read_bytes()
    for size in [0, 1, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(DamagedError, match=f"has {size} bytes instead of 250"):
            registry.verify(folder.name)


def test_every_missing_file_is_found(registry, folder):
    for name in ["features/terms.npy", "retrieval/als/users.npy", "recommender.json"]:
        (folder / name).rename(folder.parent / "aside")
        with pytest.raises(DamagedError, match="missing") as caught:
            registry.verify(folder.name)
        assert caught.value.where == str(folder / name)
        (folder.parent / "aside").rename(folder / name)


def test_a_half_copied_version_never_becomes_champion(registry, folder, publish, tmp_path):
    good = folder.name
    registry.set_alias("champion", good)
    whole = registry.folder(publish())
    names = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
    for n_copied in range(len(names)):
        elsewhere = Registry(tmp_path / f"copy{n_copied}")
        shutil.copytree(folder, elsewhere.models_dir / "versions" / good)
        elsewhere.set_alias("champion", good)
        half = elsewhere.models_dir / "versions" / whole.name
        for name in names[:n_copied]:
            (half / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole / name, half / name)
        half.mkdir(parents=True, exist_ok=True)
        with pytest.raises(DamagedError):
            elsewhere.set_alias("champion", whole.name)
        assert elsewhere.alias("champion") == good


@pytest.mark.parametrize("name", ["extra.npy", "features/extra.npy", ".hidden", "new/deep/extra"])
def test_unlisted_files_are_found(registry, folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(DamagedError, match="not listed") as caught:
        registry.verify(folder.name)
    assert caught.value.where == str(folder / name)


def test_a_file_swapped_with_its_namesake_of_another_version_is_found(registry, folder, publish):
    other = registry.folder(publish({"features/terms.npy": b"TERMS" * 50}))
    shutil.copy(other / "features/terms.npy", folder / "features/terms.npy")
    with pytest.raises(DamagedError, match="other content"):
        registry.verify(folder.name)


def test_links_are_refused_even_where_they_lead_to_the_right_content(registry, folder, tmp_path):
    path = folder / "recommender.json"
    shutil.move(path, tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(DamagedError, match="is a link"):
        registry.verify(folder.name)


def test_linked_folders_and_special_files_are_refused(registry, folder, tmp_path):
    (folder / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DamagedError, match="is a link"):
        registry.verify(folder.name)
    (folder / "more").unlink()
    os.mkfifo(folder / "more")
    with pytest.raises(DamagedError, match="special file"):
        registry.verify(folder.name)


def test_a_version_that_is_itself_a_link_is_refused(registry, folder, tmp_path):
    shutil.move(folder, tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved", target_is_directory=True)
    with pytest.raises(DamagedError, match="is a link"):
        registry.verify(folder.name)


def test_a_linked_manifest_is_refused(registry, folder, tmp_path):
    shutil.move(folder / "manifest.json", tmp_path / "manifest.json")
    (folder / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(DamagedError, match="cannot be read"):
        registry.verify(folder.name)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "features/../../outside", "a\0b"])
def test_names_that_leave_the_version_are_refused(registry, folder, tmp_path, name):
    (folder.parent / "outside").write_bytes(b"x")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files=files | {name: {"size": 1, "sha256": "0" * 64}})
    with pytest.raises(DamagedError, match="outside the version"):
        registry.verify(folder.name)


def test_a_newer_schema_is_refused_by_name(registry, folder):
    rewrite_manifest(folder, schema_version=2, something_new=True)
    with pytest.raises(DamagedError, match="schema 2, this release reads up to 1"):
        registry.verify(folder.name)


@pytest.mark.parametrize("schema", ["1", None, {}, 1.5])
def test_a_schema_that_is_no_number_is_refused(registry, folder, schema):
    rewrite_manifest(folder, schema_version=schema)
    with pytest.raises(DamagedError):
        registry.show(folder.name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", "\ud800", "[" * 100_000])
def test_a_manifest_that_is_none_is_refused(registry, folder, text):
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DamagedError, match="is not a manifest"):
        registry.verify(folder.name)


def test_a_manifest_cut_anywhere_is_refused(registry, folder):
    text = (folder / "manifest.json").read_bytes()
    for size in range(0, len(text) - 2, 7):
        (folder / "manifest.json").write_bytes(text[:size])
        with pytest.raises(DamagedError):
            registry.show(folder.name)


@pytest.mark.parametrize(
    "changes",
    [{"files": {"recommender.json": {"size": -1, "sha256": "0" * 64}}}, {"name": "../x"}, {"surprise": 1}],
)
def test_fields_that_are_not_as_declared_are_refused(registry, folder, changes):
    rewrite_manifest(folder, **changes)
    with pytest.raises(DamagedError):
        registry.verify(folder.name)


def test_a_manifest_of_another_version_is_refused(registry, folder, publish):
    other = registry.folder(publish())
    shutil.copy(other / "manifest.json", folder / "manifest.json")
    with pytest.raises(DamagedError, match=f"of version '{other.name}'"):
        registry.verify(folder.name)


def test_an_enormous_manifest_is_not_read(registry, folder):
    os.truncate(folder / "manifest.json", MAX_MANIFEST_BYTES + 1)
    with pytest.raises(DamagedError, match="larger than"):
        registry.verify(folder.name)


@pytest.mark.parametrize("reference", ["20200101T000000Z-0000", "nobody", "../aliases", "/etc", ""])
def test_unknown_versions_are_bad_input(registry, folder, reference):
    with pytest.raises(BadInputError):
        registry.verify(reference)


def test_of_files_that_nobody_opens_presence_and_size_are_checked_and_nothing_else(registry, folder):
    path = folder / "features/terms.npy"
    content = path.read_bytes()
    path.write_bytes(content[::-1])
    assert registry.verify(folder.name, lambda name: name != "features/terms.npy").version == folder.name
    with pytest.raises(DamagedError, match="has other content"):
        registry.verify(folder.name, lambda name: name == "features/terms.npy")
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedError, match="bytes instead of"):
        registry.verify(folder.name, lambda _: False)
    path.unlink()
    with pytest.raises(DamagedError, match="missing"):
        registry.verify(folder.name, lambda _: False)

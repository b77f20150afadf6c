import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from audotics.cli.main import app
from audotics.errors import BadInputError, DamagedError
from audotics.registry import DatasetRecord, Registry, VersionRecord


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    published = []
    for name in ("first", "second"):
        record = VersionRecord(
            name=name,
            code_version="0.1.0",
            config={},
            dataset=DatasetRecord(fingerprint=name * 10),
            vocabulary_hash="v",
        )
        with registry.stage() as staging:
            (staging / "a.npy").write_bytes(b"x" * 2**20)
            published.append(registry.publish(staging, record))
    return published


@pytest.fixture
def models(registry: Registry):
    """Runs `audotics models ...`; errors come through as they are raised."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments, "--models", str(registry.models_dir)])

    return run


def test_an_empty_folder_has_no_version(models, registry):
    result = models("list")
    assert result.exit_code == 0
    assert result.stdout == f"no version in {registry.models_dir}\n"
    assert json.loads(models("list", "--json").stdout) == []


def test_list_shows_names_and_aliases(models, registry, versions):
    registry.set_alias("champion", versions[0])
    lines = models("list").stdout.splitlines()
    assert lines[0].split() == ["version", "name", "dataset", "aliases"]
    assert lines[1].split() == [versions[0], "first", "firstfirstfi", "champion"]
    assert lines[2].split() == [versions[1], "second", "secondsecond"]


def test_list_marks_what_is_damaged_and_lists_the_rest(models, registry, versions):
    (registry.folder(versions[0]) / "manifest.json").write_text("{")
    rows = json.loads(models("list", "--json").stdout)
    assert [row["name"] for row in rows] == ["DAMAGED", "second"]
    assert rows[0]["dataset"] == "is not a manifest"


def test_show_prints_the_manifest(models, versions):
    shown = json.loads(models("show", "latest").stdout)
    assert (shown["version"], shown["name"]) == (versions[1], "second")


def test_verify_counts_the_files(models, versions):
    result = models("verify", versions[0])
    assert result.stdout == f"{versions[0]}: 1 files, 1.0 MiB, all as published\n"


def test_verify_names_the_damaged_file_with_exit_code_3(models, registry, versions):
    path = registry.folder(versions[0]) / "a.npy"
    path.write_bytes(b"y" * 2**20)
    error = models("verify", versions[0]).exception
    assert isinstance(error, DamagedError)
    assert error.exit_code == 3
    assert str(path) in str(error)


def test_promote_and_roll_back(models, registry, versions):
    assert models("promote", versions[0]).stdout == f"champion -> {versions[0]}\n"
    assert models("promote", "latest").stdout == f"champion -> {versions[1]}\n"
    assert registry.alias("champion") == versions[1]
    assert models("rollback").stdout == f"champion -> {versions[0]}\n"
    assert isinstance(models("rollback").exception, BadInputError)


def test_another_alias_can_be_promoted(models, registry, versions):
    models("promote", "latest", "--alias", "challenger")
    assert registry.aliases() == {"challenger": versions[1]}


def test_the_folder_may_come_from_the_environment(monkeypatch, registry, versions):
    monkeypatch.setenv("AUDOTICS_MODELS", str(registry.models_dir))
    assert versions[1] in CliRunner().invoke(app, ["models", "list"]).stdout


def test_export_says_what_a_version_without_a_deep_ranker_has(audotics, workplace, tmp_path):
    pytest.importorskip("tensorflow")
    told = audotics(
        "models", "export", "champion", tmp_path / "out", "--to", "tf-serving", "--models", workplace.models
    )
    assert told.code == 2
    assert f"version {workplace.version} has no deep ranker; it ranks with" in told.err
    assert not (tmp_path / "out").exists()


def test_export_knows_one_layout(audotics, workplace, tmp_path):
    told = audotics("models", "export", "champion", tmp_path, "--to", "onnx", "--models", workplace.models)
    assert told.code == 2
    assert "tf-serving" in told.err

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


def words(text: str) -> str:
    """The text with single spaces: tables are wrapped and padded."""
    return " ".join(text.split())


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


def test_show_prints_the_manifest_as_json(models, versions):
    shown = json.loads(models("show", "latest", "--json").stdout)
    assert (shown["version"], shown["name"]) == (versions[1], "second")


def test_show_tells_people_what_a_version_is(models, registry, versions):
    registry.set_alias("champion", versions[1])
    shown = words(models("show", "latest").stdout)
    assert f"Version {versions[1]}" in shown
    assert "name second" in shown and "aliases champion" in shown and "events without times" in shown
    assert "files 1, 1.0 MiB" in shown
    assert "Quality" not in shown, "nothing was measured of it"


def test_show_tells_quality_settings_and_machine(audotics, workplace):
    shown = words(audotics("models", "show", "champion", "--models", workplace.models).out)
    assert "name planted" in shown and "rp3beta" in shown
    assert "NDCG@20 0." in shown and "Held out: " in shown
    assert "python 3." in shown and "cores " in shown


def test_comparing_a_version_with_itself_finds_no_difference(audotics, workplace):
    models = workplace.models
    told = audotics("models", "compare", "champion", "latest", "--models", models, "--quiet")
    assert told.code == 0
    shown = words(told.out)
    assert "Jaccard@20 1.0000" in shown and "rank-biased overlap 1.0000" in shown
    assert "No setting differs" in shown and "give a DATASET" in shown


def test_compare_measures_on_a_test(audotics, workplace):
    where = (workplace.dataset, "--test", workplace.test, "--models", workplace.models)
    told = audotics("models", "compare", "champion", "latest", *where, "--json", "--quiet")
    found = json.loads(told.out)
    assert found["measured"]["report"]["test"]["n_listeners"] == 90
    assert found["measured"]["differences"]["ndcg@20"]["difference"] == 0.0
    shown = words(audotics("models", "compare", "champion", "latest", *where).out)
    assert "90 listeners" in shown and "NDCG@20 by segment" in shown


def test_compare_refuses_a_test_without_histories(audotics, workplace):
    told = audotics(
        "models", "compare", "champion", "latest", "--test", workplace.test, "--models", workplace.models
    )
    assert told.code == 2
    assert "Give the DATASET" in told.err


def test_compare_of_data_without_times_asks_for_a_test(audotics, workplace):
    where = ("champion", "latest", workplace.dataset, "--models", workplace.models)
    told = audotics("models", "compare", *where)
    assert told.code == 2
    assert "Give a test file" in told.err


def test_prune_tells_what_goes_and_what_stays(models, registry, versions):
    told = models("prune", "--keep", "1", "--dry-run").stdout
    assert f"{versions[0]}  would remove  1.0 MiB" in told
    assert len(registry.versions()) == 2
    done = json.loads(models("prune", "--keep", "1", "--json").stdout)
    assert list(done["removed"]) == [versions[0]]
    assert done["kept"] == {versions[1]: "among the newest 1"}
    assert registry.versions() == (versions[1],)


def test_prune_protects_what_it_is_told_to(models, registry, versions):
    registry.set_alias("shadow", versions[0])
    told = models("prune", "--keep", "1", "--protect", "shadow").stdout
    assert "kept" in told and "remove" not in told
    assert registry.versions() == tuple(versions)


def test_prune_needs_a_number(models, versions):
    assert models("prune").exit_code == 2
    assert models("prune", "--keep", "0").exit_code == 2


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

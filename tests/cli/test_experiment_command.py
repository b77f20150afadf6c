"""`audotics experiment`: the life of an experiment from the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from audotics.lifecycle.reports import ReportFolder, RetrainReport
from audotics.registry import DatasetRecord, Registry, VersionRecord
from contract.workplace import Audotics, Outcome


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    """Two; the first is the champion, the second the challenger."""
    published = []
    for name in ("first", "second"):
        record = VersionRecord(
            name=name,
            code_version="test",
            config={},
            dataset=DatasetRecord(fingerprint=name),
            vocabulary_hash="v",
        )
        with registry.stage() as staging:
            (staging / "a.npy").write_bytes(name.encode())
            published.append(registry.publish(staging, record))
    registry.set_alias("champion", published[0])
    registry.set_alias("challenger", published[1])
    return published


@pytest.fixture
def run(audotics: Audotics, tmp_path: Path) -> Callable[..., Outcome]:
    url = f"sqlite:///{tmp_path}/journal.db"
    return lambda *arguments: audotics("experiment", *arguments, "--database", url)


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    file = tmp_path / "ranker.toml"
    file.write_text(
        'name = "ranker"\n[[arms]]\nname = "control"\nshare = 100\n'
        '[[arms]]\nname = "new"\nshare = 100\nmodel = "challenger"\n'
    )
    return file


def test_a_whole_life(run, definition: Path, registry: Registry, versions: list[str]) -> None:
    models = ("--models", registry.models_dir)
    assert "no experiment yet" in run("list").out
    assert run("create", definition).out == "ranker: draft, arms control 1 %, new 1 %\n"
    begun = run("start", "ranker", *models, "--reason", "go")
    assert begun.out.endswith(f"control = {versions[0]}, new = {versions[1]}\n")
    assert run("shares", "ranker", "control=5000", "new=5000").out == "ranker: arms control 50 %, new 50 %\n"
    assert run("list").out == "ranker  running  ab  layer default  control 50 %, new 50 %\n"
    promoted = run("promote", "ranker", "new", *models, "--reason", "it won")
    assert promoted.out == f"champion -> {versions[1]} (before: {versions[0]}); ranker: stopped\n"
    assert registry.alias("champion") == versions[1]
    shown = json.loads(run("show", "ranker").out)
    assert shown["promoted"] == "new"
    assert shown["buckets"]["control"] == [[0, 100], [200, 5100]]
    assert [one["reason"] for one in shown["history"]] == ["", "go", "", "it won", "it won"]
    back = run("promote", "ranker", "control", *models)
    assert back.code == 0
    assert registry.alias("champion") == versions[0]


def test_stop_and_holdout(run, definition: Path, registry: Registry, versions: list[str]) -> None:
    run("create", definition)
    run("start", "ranker", "--models", registry.models_dir)
    assert run("stop", "ranker", "--reason", "enough").out == "ranker: stopped\n"
    assert run("holdout", "150").out == "holdout: 1.5 %\n"
    listed = json.loads(run("list", "--json").out)
    assert listed["holdout"] == {"share": 150, "salt": "holdout"}
    assert listed["experiments"][0]["stop_reason"] == "enough"
    assert "holdout  1.5 %" in run("list").out


def test_what_the_gates_refused_is_not_promoted(run, definition, registry, versions) -> None:
    now = datetime.now(UTC)
    report = RetrainReport(
        outcome="refused",
        champion=versions[0],
        version=versions[1],
        reasons=("quality: worse",),
        started_at=now,
        finished_at=now,
    )
    ReportFolder(registry.models_dir).keep(report)
    models = ("--models", registry.models_dir)
    run("create", definition)
    run("start", "ranker", *models)
    refused = run("promote", "ranker", "new", *models)
    assert refused.code == 3
    assert "the gates refused it: quality: worse" in refused.err
    assert registry.alias("champion") == versions[0]
    assert json.loads(run("show", "ranker").out)["state"] == "running"
    assert run("promote", "ranker", "new", *models, "--force").code == 0
    assert registry.alias("champion") == versions[1]


def test_what_cannot_be_promoted(run, definition, registry, versions, tmp_path) -> None:
    models = ("--models", registry.models_dir)
    run("create", definition)
    draft = run("promote", "ranker", "new", *models)
    assert (draft.code, "it never ran" in draft.err) == (3, True)
    run("start", "ranker", *models)
    assert run("promote", "ranker", "old", *models).code == 2
    (registry.folder(versions[1]) / "a.npy").write_bytes(b"damage")
    assert run("promote", "ranker", "new", *models).code == 3
    assert registry.alias("champion") == versions[0]
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'name = "rules"\nlayer = "rules"\n[[arms]]\nname = "control"\nshare = 100\n'
        '[[arms]]\nname = "capped"\nshare = 100\nrules = { artist_cap = 2 }\n'
    )
    run("create", rules)
    run("start", "rules", *models)
    no_version = run("promote", "rules", "capped", *models)
    assert (no_version.code, "changes rules or parameters" in no_version.err) == (2, True)


def test_a_damaged_version_does_not_start(run, definition, registry, versions) -> None:
    (registry.folder(versions[1]) / "a.npy").write_bytes(b"damage")
    run("create", definition)
    assert run("start", "ranker", "--models", registry.models_dir).code == 3
    assert json.loads(run("show", "ranker").out)["state"] == "draft"


@pytest.mark.parametrize("given", ["new", "new=", "=5", "new=5.5", "new=-1"])
def test_shares_that_are_none(run, definition, given: str) -> None:
    run("create", definition)
    refused = run("shares", "ranker", given)
    assert refused.code == 2
    assert "is no share" in refused.err or "No such option" in refused.err


def test_versions_of_running_experiments_are_not_pruned(
    run, audotics, definition, registry, versions, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("AUDOTICS_DATABASE_URL", f"sqlite:///{tmp_path}/journal.db")
    prune = ("models", "prune", "--keep", 1, "--json", "--dry-run", "--models", registry.models_dir)
    registry.set_alias("challenger", versions[0])
    assert json.loads(audotics(*prune).out)["removed"] == {}, "the newest is kept"
    assert not (tmp_path / "journal.db").exists(), "the question makes no database"
    record = registry.show(versions[0])
    with registry.stage() as staging:
        (staging / "a.npy").write_bytes(b"third")
        registry.publish(
            staging,
            VersionRecord(
                name="third",
                code_version="test",
                config={},
                dataset=record.dataset,
                vocabulary_hash="v",
            ),
        )
    (registry.models_dir / "aliases" / "challenger").unlink()
    history = registry.models_dir / "aliases" / "history.jsonl"
    lines = [line for line in history.read_text().splitlines() if "challenger" not in line]
    history.write_text("\n".join(lines) + "\n")
    assert list(json.loads(audotics(*prune).out)["removed"]) == [versions[1]]
    definition.write_text(definition.read_text().replace("challenger", versions[1]))
    run("create", definition)
    assert list(json.loads(audotics(*prune).out)["removed"]) == [versions[1]], "a draft pins nothing"
    run("start", "ranker", "--models", registry.models_dir)
    assert json.loads(audotics(*prune).out)["removed"] == {}
    run("stop", "ranker")
    assert list(json.loads(audotics(*prune).out)["removed"]) == [versions[1]]


def test_what_is_not_there(run, tmp_path) -> None:
    for command in (("show", "none"), ("stop", "none"), ("create", tmp_path / "none.toml")):
        missing = run(*command)
        assert missing.code == 2
        assert "none" in missing.err

"""`audotics recommend --all --engine ray`: the files of one process, taken up again after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audotics.cli.main import app
from audotics.distributed.batch import PartsByWorkers, SharedVersion
from audotics.distributed.workers import RayWorkers
from audotics.domain import Mode
from audotics.recommender import batch_files
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.batch_files import BatchFile
from audotics.registry import Registry
from audotics.slate import SlateConfig
from audotics.training.publishing import load_version
from contract.in_turn import InTurn
from contract.small_version import publish_small


class Stopped(BaseException):
    pass


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch") / "models"
    publish_small(folder)
    return folder


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_command_writes_the_same_file(
    ray_workers: RayWorkers,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    monkeypatch.setattr(batch_files, "PART_LISTENERS", 25)
    monkeypatch.chdir(tmp_path)  # paths need not be absolute
    (tmp_path / "rules.toml").write_text("artist_cap = 1\n")
    said = []
    for engine in ("ray", "local"):
        arguments = ["recommend", "--all", "--models", str(models), "--out", f"{engine}.{ending}"]
        arguments += ["--quiet", "--json", "--engine", engine, "--rules", "rules.toml"]
        arguments += ["--workers", "2"] if engine == "ray" else []
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        said.append({name: told for name, told in json.loads(done.stdout).items() if name != "file"})
    assert (tmp_path / f"ray.{ending}").read_bytes() == (tmp_path / f"local.{ending}").read_bytes()
    assert said[0] == said[1]
    assert said[0]["n_listeners"] == 90
    assert {path.suffix for path in tmp_path.iterdir()} == {f".{ending}", ".toml"}


def test_only_missing_parts_are_written(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_files, "PART_LISTENERS", 20)
    registry = Registry(models)
    recommender = load_version(registry).with_rules(SlateConfig())
    version = recommender.model_version
    shared = SharedVersion.of(registry.folder(version), version, recommender.rules)
    whole, out = tmp_path / "whole.parquet", tmp_path / "lists.parquet"
    listeners = recommender.users.ids
    BatchFile(BatchProcessor(recommender), whole).write(listeners, 5, Mode.DISCOVER)

    done: list[int] = []

    def stop_at_third(n_listeners: int) -> None:
        done.append(n_listeners)
        if sum(done) == 60:
            raise Stopped

    with pytest.raises(Stopped):
        BatchFile(BatchProcessor(recommender), out, PartsByWorkers(InTurn(), shared)).write(
            listeners, 5, Mode.DISCOVER, stop_at_third
        )
    workers = InTurn()
    done.clear()
    file = BatchFile(BatchProcessor(recommender), out, PartsByWorkers(workers, shared))
    file.write(listeners, 5, Mode.DISCOVER, done.append)
    assert workers.n_tasks == 2
    assert done == [60, 20, 10]
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("asked", [["--user", "u001"], ["--all"]])
def test_what_a_cluster_is_not_for_is_refused(models: Path, asked: list[str]) -> None:
    done = CliRunner().invoke(app, ["recommend", "--models", str(models), "--engine", "ray", *asked])
    assert "Give --all or --users, and --out" in str(done.exception)

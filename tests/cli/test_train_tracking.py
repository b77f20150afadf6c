"""`audotics train --track`: read back by MLflow's own client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audotics.registry import Registry
from audotics.registry.manifest import Manifest
from contract.workplace import QUICK, Outcome, Workplace

mlflow = pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def tracked_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracked") / "models"


@pytest.fixture
def tracked(audotics, workplace: Workplace, tracked_models: Path) -> Outcome:
    """Trained once; MLflow takes seconds to make a database."""
    if tracked_models.exists():
        return Outcome(0, "", "")
    return audotics("train", workplace.dataset, "--models", tracked_models, "--track", "local", *QUICK)


def read_back(models: Path):
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{models / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("audotics")
    return client, client.search_runs([experiment.experiment_id])


def test_a_run_is_read_back_by_mlflow(tracked: Outcome, tracked_models: Path, tmp_path: Path) -> None:
    assert tracked.code == 0
    client, (run,) = read_back(tracked_models)
    registry = Registry(tracked_models)
    manifest = registry.show("champion")
    assert run.info.status == "FINISHED"
    assert f"note: tracked as run {run.info.run_id}" in tracked.err
    assert run.info.run_name == f"model {manifest.version}"
    assert run.data.params["train.tune_trials"] == "1"
    assert run.data.params["ranker"] == manifest.config["ranker"]
    assert run.data.tags["version"] == manifest.version
    assert run.data.tags["data.fingerprint"] == manifest.dataset.fingerprint
    assert run.data.tags["seed.train"] == "0"
    told = manifest.metrics["judges"]["ndcg@20"]
    assert run.data.metrics["ndcg_at_20"] == pytest.approx(told["mean"])
    assert run.data.metrics["ndcg_at_20.low"] == pytest.approx(told["low"])
    assert run.data.metrics["training_s"] > 0
    trials = client.get_metric_history(run.info.run_id, "tuning.item-knn")
    assert [point.step for point in trials] == list(range(1, len(trials) + 1)) and trials
    path = client.download_artifacts(run.info.run_id, "manifest.json", str(tmp_path))
    assert Manifest.model_validate_json(Path(path).read_text()) == manifest


def test_plots_and_report_are_there_and_nothing_pickled(tracked: Outcome, tracked_models: Path) -> None:
    client, (run,) = read_back(tracked_models)
    names = {
        item.path for folder in (None, "plots") for item in client.list_artifacts(run.info.run_id, folder)
    }
    assert {"manifest.json", "evaluation", "plots", "plots/systems.svg"} <= names
    files = [path for path in (tracked_models / "mlflow").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".svg"}
    report = next(path for path in files if path.name == "report.json")
    assert json.loads(report.read_text())["systems"][0]["name"] == "audotics"
    assert not any(path.suffix in {".pkl", ".pickle"} for path in tracked_models.rglob("*"))


def test_the_tracking_store_is_no_version(audotics, tracked: Outcome, tracked_models: Path) -> None:
    rows = json.loads(audotics("models", "list", "--models", tracked_models, "--json").out)
    assert [row["aliases"] for row in rows] == ["champion"]


def test_a_tracker_that_is_away_costs_a_note_and_not_the_training(
    audotics, workplace: Workplace, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    told = audotics(
        "train", workplace.dataset, "--models", models, "--track", "http://127.0.0.1:9", "--quiet", *QUICK
    )
    assert told.code == 0
    assert "note: http://127.0.0.1:9: the run is not tracked" in told.err
    assert Registry(models).alias("champion") is not None


def test_without_mlflow_training_does_not_begin(audotics, workplace, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("audotics.lifecycle.tracking.find_spec", lambda name: None)
    told = audotics("train", workplace.dataset, "--models", tmp_path / "models", "--track", "local", *QUICK)
    assert told.code == 2
    assert "pip install 'audotics[mlflow]'" in told.err
    assert not (tmp_path / "models").exists()

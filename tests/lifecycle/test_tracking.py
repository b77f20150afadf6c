from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from audotics.lifecycle.run_record import RunRecord, run_record
from audotics.lifecycle.tracking import TrackingError, _patient, track
from audotics.registry import Registry
from audotics.registry.manifest import Manifest
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.pipeline import Trained, TrainingPipeline
from audotics.training.publishing import publish
from contract.planted import planted_events, planted_tracks, planted_users
from contract.simulated_logs import simulated_log, write

pytest.importorskip("mlflow")

QUICK = TrainConfig(retrievers=("item-knn", "popularity"), rankers=("single", "linear"), tune_trials=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Manifest, Path]:
    folder = tmp_path_factory.mktemp("run")
    dataset = write(folder / "data", planted_events(), planted_tracks(), planted_users())
    return trained_and_published(QUICK, dataset, folder / "models")


def trained_and_published(config: TrainConfig, dataset, models: Path) -> tuple[Trained, Manifest, Path]:
    progress = Progress()
    trained = TrainingPipeline(config, progress).train(dataset)
    registry = Registry(models)
    return trained, registry.show(publish(trained, dataset, registry, "nightly", progress)), models


@pytest.fixture
def record(run) -> RunRecord:
    trained, manifest, _ = run
    return run_record(trained, manifest)


def test_settings_are_flat(record: RunRecord, run) -> None:
    assert record.settings["train.seed"] == "0"
    assert all(isinstance(value, str) for value in record.settings.values())
    assert not any(value.startswith("{") and len(value) > 2 for value in record.settings.values())


def test_tags_find_the_run(record: RunRecord, run) -> None:
    _, manifest, _ = run
    assert record.tags["version"] == manifest.version
    assert record.tags["code_version"] == manifest.code_version
    assert record.tags["data.ends_at"] == "", "planted data has no times"
    assert record.tags["environment.numpy"] == manifest.environment["numpy"]


def test_figures_have_intervals_and_costs(record: RunRecord) -> None:
    assert record.figures["ndcg@20.low"] <= record.figures["ndcg@20"] <= record.figures["ndcg@20.high"]
    assert {"coverage@20", "contest.linear", "training_s", "size_mib", "peak_memory_mib"} <= set(
        record.figures
    )
    assert all(map(math.isfinite, record.figures.values()))


def test_tuning_is_a_curve(record: RunRecord, run) -> None:
    trained, _, _ = run
    tried = [trial.ndcg for trial in trained.trials["item-knn"]]
    assert record.curves["tuning.item-knn"] == list(enumerate(tried, start=1))


def test_gaps_of_a_curve_are_left_out(run) -> None:
    trained, manifest, _ = run
    curves = {"ranking loss": (0.5, None, 0.25), "nothing": (None,)}
    report = trained.report.model_copy(update={"learning_curves": curves})
    record = run_record(replace(trained, report=report), manifest)
    assert record.curves["curve.ranking loss"] == [(1, 0.5), (3, 0.25)]
    assert "curve.nothing" not in record.curves


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nowhere://at/all", "sqlite:////proc/none/mlflow.db"])
def test_a_tracker_that_cannot_be_used_is_said_to_be(run, uri: str) -> None:
    with pytest.raises(TrackingError, match="not tracked") as caught:
        track(*run[:2], uri, run[2])
    assert caught.value.where == uri


def test_settings_of_mlflow_are_left_as_they_were(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    with _patient():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ


@pytest.mark.slow
def test_learning_curves_of_what_tensorflow_trains_reach_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    import mlflow

    config = TrainConfig(
        retrievers=("popularity", "sequence"),
        rankers=("single", "deep"),
        tune_trials=0,
        settings={"sequence": {"dim": 8, "n_heads": 2, "length": 6, "max_steps": 40}},
        deep={"embedding_dim": 8, "hidden": [16], "epochs": 3, "pretraining_epochs": 2},
    )
    log = simulated_log()
    trained, manifest, models = trained_and_published(
        config, log.whole(tmp_path / "data"), tmp_path / "models"
    )
    run_id = track(trained, manifest, "local", models, documents={"gates.json": "{}"})
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{models / 'mlflow.db'}")
    names = set(client.get_run(run_id).data.metrics)
    curves = {
        "curve.ranking loss",
        "curve.validation NDCG_at_20",
        "curve.two-tower validation loss",
        "curve.sequence loss",
        "curve.sequence gain",
    }
    assert curves <= names
    losses = [point.value for point in client.get_metric_history(run_id, "curve.sequence loss")]
    assert len(losses) > 1 and losses[-1] < losses[0]
    plots = {item.path for item in client.list_artifacts(run_id, "plots")}
    assert any("learning" in name for name in plots)
    assert "gates.json" in {item.path for item in client.list_artifacts(run_id)}

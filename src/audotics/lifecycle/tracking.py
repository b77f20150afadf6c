"""Experiment tracking: a training run in MLflow, as parameters, metrics per epoch, plots and the manifest.

Models stay in the registry: nothing is logged that would have to be unpickled. Tracking is a convenience:
whoever trains takes a `TrackingError` for a warning, never for the end of the training.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from audotics.errors import MissingExtraError, UnavailableError
from audotics.evaluation.plots import report_plots
from audotics.lifecycle.run_record import RunRecord, run_record
from audotics.registry.manifest import Manifest
from audotics.training.pipeline import Trained

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCAL = "local"
"""Stands for an SQLite file and a folder of artifacts beside the versions."""

EXPERIMENT = "audotics"

_FORBIDDEN = re.compile(r"[^\w\-. /]")
_MOST_METRICS, _MOST_SETTINGS, _LONGEST_SETTING, _LONGEST_TAG = 1000, 100, 6000, 5000
_PATIENCE = {
    # A training that ran for an hour must not wait for minutes on a tracker that is away.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    # MLflow reports its use to its makers otherwise.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class TrackingError(UnavailableError):
    """A tracker did not take a run, or not the whole of it; nothing else is lost."""


def check_tracking() -> None:
    """Refuse before the training what could not be tracked after it.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    if find_spec("mlflow") is None:
        raise MissingExtraError("tracking", "mlflow")


def track(
    trained: Trained,
    manifest: Manifest,
    uri: str,
    models_dir: Path,
    *,
    documents: Mapping[str, str] | None = None,
) -> str:
    """Log a run and return its id.

    Args:
        trained: What training gave.
        manifest: Of the version it was published as.
        uri: Of a tracking server or store, as MLflow knows them; ``local`` is ``mlflow.db`` and ``mlflow/``
            among the models.
        models_dir: Where the versions lie.
        documents: Further texts to keep with the run, by file name (the report of the gates).

    Raises:
        MissingExtraError: MLflow is not installed.
        TrackingError: The tracker is away or refuses.
    """
    check_tracking()
    with _patient():
        from mlflow import MlflowClient

        try:
            client = MlflowClient(tracking_uri=_store(uri, models_dir))
            experiment_id = _experiment(client, models_dir if uri == LOCAL else None)
            return _log(client, experiment_id, trained, manifest, documents or {})
        except Exception as error:  # whatever a tracker, its database or the network comes up with
            message = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise TrackingError(f"the run is not tracked ({message})", where=uri) from error


def tracker(uri: str, models_dir: Path, tell: Callable[[str], None]) -> Callable[[Trained, Manifest], None]:
    """Who logs runs and never fails them: says which run it became, or why none.

    Args:
        uri: See `track`.
        models_dir: Where the versions lie.
        tell: Takes one line for people.

    Raises:
        MissingExtraError: MLflow is not installed: better said before a training than after it.
    """
    check_tracking()

    def log(trained: Trained, manifest: Manifest) -> None:
        try:
            tell(f"tracked as run {track(trained, manifest, uri, models_dir)}")
        except TrackingError as error:
            tell(str(error))

    return log


def _store(uri: str, models_dir: Path) -> str:
    return f"sqlite:///{(models_dir / 'mlflow.db').resolve()}" if uri == LOCAL else uri


def _experiment(client: MlflowClient, models_dir: Path | None) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    artifacts = None if models_dir is None else (models_dir / "mlflow").resolve().as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))


def _log(
    client: MlflowClient,
    experiment_id: str,
    trained: Trained,
    manifest: Manifest,
    documents: Mapping[str, str],
) -> str:
    record = run_record(trained, manifest)
    tags = {name: value[:_LONGEST_TAG] for name, value in record.tags.items()}
    run = client.create_run(experiment_id, tags=tags, run_name=record.name)
    run_id = str(run.info.run_id)
    status = "FAILED"
    try:
        _log_values(client, run_id, record)
        client.log_text(run_id, manifest.to_json(), "manifest.json")
        client.log_text(run_id, trained.report.model_dump_json(indent=2), "evaluation/report.json")
        for name, text in documents.items():
            client.log_text(run_id, text, name)
        for name, svg in _plots(trained):
            client.log_text(run_id, svg, f"plots/{name}.svg")
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id


def _log_values(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    from mlflow.entities import Metric, Param

    settings = [
        Param(_key(name), value[:_LONGEST_SETTING]) for name, value in record.settings.items() if value
    ]
    now = int(time.time() * 1000)
    metrics = [Metric(_key(name), value, now, 0) for name, value in record.figures.items()]
    metrics += [
        Metric(_key(name), value, now, step) for name, curve in record.curves.items() for step, value in curve
    ]
    for start in range(0, len(settings), _MOST_SETTINGS):
        client.log_batch(run_id, params=settings[start : start + _MOST_SETTINGS])
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])


def _key(name: str) -> str:
    """The name as MLflow takes it: ``ndcg@20`` becomes ``ndcg_at_20``."""
    return _FORBIDDEN.sub("_", name.replace("@", "_at_"))


def _plots(trained: Trained) -> Iterator[tuple[str, str]]:
    """Pictures of the report; none where matplotlib is not installed."""
    try:
        plots = report_plots(trained.report)
    except MissingExtraError:
        return
    for plot in plots:
        yield _key(plot.title.lower()).replace(" ", "-"), plot.svg


@contextmanager
def _patient() -> Iterator[None]:
    """Settings of MLflow that it takes from the environment alone; those that are set stay."""
    missing = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)

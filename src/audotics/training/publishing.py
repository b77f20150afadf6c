"""Publishing a training run as a version that serving, evaluation and people can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from pydantic import JsonValue

from audotics.data.dataset import Dataset
from audotics.data.listening_profile import profile_dataset
from audotics.evaluation.report import EvaluationReport
from audotics.features.persistence import save_processor
from audotics.features.processor import DataProcessor
from audotics.recommender import bundle
from audotics.recommender.recommender import Recommender
from audotics.registry.lineage import code_version, environment
from audotics.registry.manifest import DatasetRecord, VersionRecord
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from audotics.telemetry import Progress
from audotics.training.judging import HYBRID
from audotics.training.pipeline import Trained

REPORT = Path("evaluation") / "report.json"
"""Where a version keeps the report of its judging listeners."""


def publish(
    trained: Trained,
    dataset: Dataset,
    registry: Registry,
    name: str,
    progress: Progress,
    *,
    alias: str = CHAMPION,
    origin: Mapping[str, JsonValue] = MappingProxyType({}),
) -> str:
    """Write a version, point an alias to it and return its id.

    Args:
        trained: What training gave.
        dataset: What it was trained on.
        registry: Where it goes.
        name: A name for people.
        progress: Who is told; the manifest gets what each stage cost.
        alias: What points to it: the champion serves, anything else (``challenger``) does not.
        origin: What else its manifest should say of how it came about, as part of ``config``.
    """
    with progress.stage("publish"), registry.stage() as folder:
        bundle.save(trained.recommender, folder)
        save_processor(trained.track_processor, folder / "features" / "tracks.skops")
        # Friends are what a retriever reads, not what a listener is like.
        users = DataProcessor().fit(dataset.users().drop("friends", strict=False))
        save_processor(users, folder / "features" / "users.skops")
        (folder / REPORT.parent).mkdir()
        (folder / REPORT).write_text(trained.report.model_dump_json(), encoding="utf-8")
        profile_dataset(dataset).write(folder)
        published = registry.publish(folder, _record(trained, dataset, name, progress, origin))
    registry.set_alias(alias, published)
    return published


def load_version(registry: Registry, reference: str = CHAMPION) -> Recommender:
    """Verify every checksum of a version, then load it.

    Raises:
        BadInputError: There is no such version.
        DamagedError: The version is not as it was published.
    """
    manifest = registry.verify(reference)
    return bundle.load(registry.folder(manifest.version), manifest.version)


def load_report(registry: Registry, reference: str = CHAMPION) -> EvaluationReport:
    """The report that training made of a version on its judging listeners."""
    manifest = registry.verify(reference)
    text = (registry.folder(manifest.version) / REPORT).read_text(encoding="utf-8")
    return EvaluationReport.model_validate_json(text)


def _record(
    trained: Trained, dataset: Dataset, name: str, progress: Progress, origin: Mapping[str, JsonValue]
) -> VersionRecord:
    hybrid = next(system for system in trained.report.systems if system.name == HYBRID)
    manifest = dataset.manifest
    starts_at, ends_at = manifest.time_range or (None, None)
    return VersionRecord(
        name=name,
        code_version=code_version(),
        config={
            "train": trained.config.model_dump(mode="json"),
            "retrievers": {
                retriever.name: retriever.config.model_dump(mode="json")
                for retriever in trained.recommender.retrievers
            },
            "ranker": next(standing.name for standing in trained.standings if standing.chosen),
            **origin,
        },
        dataset=DatasetRecord(fingerprint=manifest.fingerprint, starts_at=starts_at, ends_at=ends_at),
        metrics={
            "holdout": trained.holdout,
            "judges": {metric: interval.model_dump() for metric, interval in hybrid.metrics.items()},
            "contest": [asdict(standing) for standing in trained.standings],
            "contest_newcomers": [asdict(standing) for standing in trained.newcomer_standings],
            "contest_heard": [asdict(standing) for standing in trained.heard_standings],
            "left_out": dict(trained.left_out),
        },
        seeds={"train": trained.config.seed},
        timings=tuple(progress.records),
        environment=environment(),
        vocabulary_hash=bundle.vocabulary_hash(trained.recommender.users, trained.recommender.tracks),
    )

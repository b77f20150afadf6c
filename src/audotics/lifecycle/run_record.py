"""What of a training run is worth tracking: plain values, whatever tracker takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audotics.registry.manifest import Manifest
from audotics.retrieval.sequence import SequenceEncoder
from audotics.training.judging import HYBRID
from audotics.training.pipeline import Trained


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One training run.

    Args:
        name: For people.
        settings: Dotted name -> value as text.
        tags: What the run is found by: version, data, code, seeds, machine.
        figures: Name -> final value.
        curves: Name -> ``(step, value)`` of each epoch, look or trial, in order.
    """

    name: str
    settings: dict[str, str]
    tags: dict[str, str]
    figures: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]


def run_record(trained: Trained, manifest: Manifest) -> RunRecord:
    """Everything that a run and its published version tell.

    Args:
        trained: What training gave.
        manifest: Of the version it was published as.
    """
    return RunRecord(
        name=f"{manifest.name} {manifest.version}",
        settings=dict(_flat(manifest.config)),
        tags=_tags(manifest),
        figures=dict(_finite(_figures(trained, manifest))),
        curves={name: points for name, points in _curves(trained) if points},
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _tags(manifest: Manifest) -> dict[str, str]:
    data = manifest.dataset
    return {
        "version": manifest.version,
        "code_version": manifest.code_version,
        "data.fingerprint": data.fingerprint,
        "data.starts_at": "" if data.starts_at is None else data.starts_at.isoformat(),
        "data.ends_at": "" if data.ends_at is None else data.ends_at.isoformat(),
        **{f"seed.{name}": str(seed) for name, seed in manifest.seeds.items()},
        **{f"environment.{name}": value for name, value in manifest.environment.items()},
    }


def _figures(trained: Trained, manifest: Manifest) -> Iterator[tuple[str, float]]:
    hybrid = trained.report.system(HYBRID)
    for metric, interval in hybrid.metrics.items():
        yield metric, interval.mean
        yield f"{metric}.low", interval.low
        yield f"{metric}.high", interval.high
    yield from hybrid.catalogue.items()
    for standing in trained.standings:
        yield f"contest.{standing.name}", standing.ndcg
    yield "training_s", manifest.training_s
    yield "size_mib", manifest.size_bytes / 2**20
    yield "peak_memory_mib", max((stage.peak_memory_mib for stage in manifest.timings), default=0.0)


def _curves(trained: Trained) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    for name, values in trained.report.learning_curves.items():
        yield f"curve.{name}", _points(enumerate((math.nan if v is None else v for v in values), start=1))
    for retriever in trained.recommender.retrievers:
        if isinstance(retriever, SequenceEncoder) and hasattr(retriever, "history_"):
            history = retriever.history_
            yield "curve.sequence loss", _points(zip(history.steps, history.loss, strict=True))
            yield "curve.sequence gain", _points(zip(history.steps, history.gain, strict=True))
    for name, trials in trained.trials.items():
        yield f"tuning.{name}", _points(enumerate((trial.ndcg for trial in trials), start=1))


def _points(pairs: Any) -> list[tuple[int, float]]:
    return [(int(step), float(value)) for step, value in pairs if math.isfinite(value)]


def _finite(figures: Iterator[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    return ((name, value) for name, value in figures if math.isfinite(value))

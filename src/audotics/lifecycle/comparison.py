"""Two versions side by side: quality in pairs, likeness of their lists, settings and lineage that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, JsonValue

from audotics.data.dataset import Dataset
from audotics.data.vocabulary import Vocabulary
from audotics.errors import BadInputError
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.report import EvaluationReport, Task
from audotics.evaluation.segments import Segment, listener_segments
from audotics.evaluation.significance import PairedDifference, paired_difference
from audotics.evaluation.systems import SystemResult
from audotics.lifecycle.evidence import CUTOFFS, ask_all, differences
from audotics.lifecycle.held_out import MOST_LISTENERS, Answering, HeldOut, held_out_of
from audotics.lifecycle.overlap import Overlap, overlap
from audotics.recommender import bundle
from audotics.recommender.recommender import Recommender
from audotics.registry.manifest import Manifest
from audotics.registry.store import Registry
from audotics.telemetry import Progress

LENGTH = 20
_SAMPLE = 500
_FINGERPRINT = 12
FIRST, SECOND = "first", "second"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """Both versions on the same held-out listeners.

    Args:
        report: Metrics, segments and lists of each, under the names ``first`` and ``second``.
        differences: ``"ndcg@20"`` -> first minus second, listener by listener.
        segments: The same of NDCG at the headline cutoff, by segment.
    """

    report: EvaluationReport
    differences: dict[str, PairedDifference]
    segments: dict[Segment, PairedDifference]


class VersionComparison(_Frozen):
    """What `compare` found.

    Args:
        first: One version.
        second: The other.
        lineage: What is told of where each comes from: label -> both values, equal or not.
        config: Settings that differ, by dotted name; None where one has no such setting.
        told: ``"ndcg@20"`` -> what training measured of each on its own judges. These listeners differ, so
            the figures are no comparison.
        overlap: Likeness of their lists.
        measured: Both on the same held-out listeners; None where no data was given.
    """

    first: str
    second: str
    lineage: dict[str, tuple[str, str]]
    config: dict[str, tuple[JsonValue, JsonValue]]
    told: dict[str, tuple[float | None, float | None]]
    overlap: Overlap
    measured: Measured | None


def compare(
    registry: Registry,
    first: str,
    second: str,
    dataset: Dataset | None = None,
    *,
    test: pl.DataFrame | None = None,
    task: Task = Task.DISCOVER,
    seed: int = 0,
    progress: Progress | None = None,
) -> VersionComparison:
    """Compare two published versions.

    Args:
        registry: Where they are.
        first: A version, an alias or ``latest``.
        second: The other.
        dataset: Events that go on after the training of both, or, with ``test``, all that came before it;
            None compares settings, lineage and lists alone.
        test: Held-out ``user_id`` and ``track_id``.
        task: What is asked for and counts.
        seed: Draws listeners and resamples.
        progress: Who is told.

    Raises:
        BadInputError: There is no such version, or nothing that both have not learned from.
        DamagedError: A version is not as it was published.
    """
    progress = progress or Progress()
    manifests = {FIRST: registry.verify(first), SECOND: registry.verify(second)}
    with progress.stage("load both versions"):
        recommenders = {
            name: bundle.load(registry.folder(manifest.version), manifest.version)
            for name, manifest in manifests.items()
        }
    measured = None
    if dataset is None:
        user_ids = _known_to_both(recommenders, seed)
        systems = {name: Answering(one, task.mode, {}) for name, one in recommenders.items()}
    else:
        after = None if test is not None else _after_both(manifests)
        held_out = held_out_of(dataset, after=after, test=test, most_listeners=MOST_LISTENERS, seed=seed)
        measured = _measure(recommenders, held_out, task, seed, progress)
        user_ids = held_out.user_ids[:_SAMPLE]
        systems = {name: Answering(one, task.mode, held_out.since(one)) for name, one in recommenders.items()}
    one, other = manifests[FIRST], manifests[SECOND]
    return VersionComparison(
        first=one.version,
        second=other.version,
        lineage=dict(_in_pairs(_lineage(one), _lineage(other))),
        config=dict(_settings_that_differ(one.config, other.config)),
        told={metric: (_told(one, metric), _told(other, metric)) for metric in _TOLD},
        overlap=_overlap(recommenders, systems, user_ids),
        measured=measured,
    )


def _after_both(manifests: Mapping[str, Manifest]) -> datetime:
    ends = [manifest.dataset.ends_at for manifest in manifests.values()]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        raise BadInputError(
            "a version's data has no times, so no later days can be held out",
            where="compare",
            remedy="Give a test file",
        )
    return max(known) + datetime.resolution


def _measure(
    recommenders: Mapping[str, Recommender], held_out: HeldOut, task: Task, seed: int, progress: Progress
) -> Measured:
    evaluator = ModelEvaluator(held_out.visible, held_out.test, task=task, cutoffs=CUTOFFS, seed=seed)
    results = ask_all(evaluator, recommenders, held_out, progress)
    return Measured(
        report=evaluator.report(list(results.values()), FIRST),
        differences=differences(results, FIRST, SECOND, evaluator),
        segments=dict(_segments(results, held_out, evaluator)),
    )


def _segments(
    results: Mapping[str, SystemResult], held_out: HeldOut, evaluator: ModelEvaluator
) -> Iterator[tuple[Segment, PairedDifference]]:
    metric = f"ndcg@{evaluator.headline}"
    one, other = results[FIRST], results[SECOND]
    masks = listener_segments(held_out.visible.interactions, evaluator.user_index)
    pairs = {
        segment: (one.metrics[metric][mask], other.metrics[metric][mask]) for segment, mask in masks.items()
    }
    pairs |= {
        segment: (values[metric], other.segments[segment][metric]) for segment, values in one.segments.items()
    }
    for segment, (a, b) in pairs.items():
        if not np.isnan(a - b).all():
            yield segment, paired_difference(a, b, n_resamples=evaluator.n_resamples, seed=evaluator.seed)


def _known_to_both(recommenders: Mapping[str, Recommender], seed: int) -> list[str]:
    one, other = recommenders[FIRST].users, recommenders[SECOND].users
    shared = sorted(set(one.ids) & set(other.ids))
    if not shared:
        raise BadInputError("the two versions have no listener in common", where="compare")
    order = np.random.default_rng(seed).permutation(len(shared))[:_SAMPLE]
    return [shared[place] for place in order.tolist()]


def _overlap(
    recommenders: Mapping[str, Recommender], systems: Mapping[str, Answering], user_ids: list[str]
) -> Overlap:
    tracks = Vocabulary(dict.fromkeys(recommenders[FIRST].tracks.ids + recommenders[SECOND].tracks.ids))
    lists = []
    for system in systems.values():
        numbers = np.full((len(user_ids), LENGTH), -1, np.int32)
        for row, track_ids in enumerate(system(user_ids, LENGTH)):
            numbers[row, : len(track_ids)] = tracks.indices(track_ids)
        lists.append(numbers)
    return overlap(*lists)


_TOLD = ("ndcg@20", "recall@20", "hit_rate@20")


def _told(manifest: Manifest, metric: str) -> float | None:
    judges = manifest.metrics.get("judges")
    found = judges.get(metric) if isinstance(judges, dict) else None
    mean = found.get("mean") if isinstance(found, dict) else None
    return float(mean) if isinstance(mean, int | float) else None


def _lineage(manifest: Manifest) -> dict[str, str]:
    data = manifest.dataset
    return {
        "name": manifest.name,
        "published": f"{manifest.created_at:%Y-%m-%d %H:%M}",
        "code": manifest.code_version,
        "data": data.fingerprint[:_FINGERPRINT],
        "data from": "" if data.starts_at is None else f"{data.starts_at:%Y-%m-%d %H:%M}",
        "data to": "" if data.ends_at is None else f"{data.ends_at:%Y-%m-%d %H:%M}",
        "seeds": ", ".join(f"{name} {seed}" for name, seed in sorted(manifest.seeds.items())),
        "training": f"{manifest.training_s:,.0f} s",
        "size": f"{manifest.size_bytes / 2**20:,.1f} MiB",
    } | dict(sorted(manifest.environment.items()))


def _in_pairs(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for label in dict.fromkeys([*one, *other]):
        yield label, (one.get(label, ""), other.get(label, ""))


def _settings_that_differ(
    one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, tuple[JsonValue, JsonValue]]]:
    for name in dict.fromkeys([*one, *other]):
        a, b = one.get(name), other.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _settings_that_differ(a, b, f"{prefix}{name}.")
        elif a != b:
            yield f"{prefix}{name}", (a, b)

"""Evidence: what was measured of a challenger and its champion, before anybody judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import polars as pl
from pydantic import BaseModel, ConfigDict

from audotics.data.dataset import Dataset
from audotics.data.vocabulary import Vocabulary
from audotics.errors import BadInputError
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.heads import HeadMetrics
from audotics.evaluation.report import SystemReport, Task, TestDescription
from audotics.evaluation.significance import PairedDifference, paired_difference
from audotics.evaluation.systems import SystemResult
from audotics.lifecycle.findings import Finding
from audotics.lifecycle.head_quality import head_quality
from audotics.lifecycle.held_out import MOST_LISTENERS, Answering, HeldOut, held_out_of
from audotics.lifecycle.latency import Latency, measure_latency
from audotics.lifecycle.parts import faults_of
from audotics.lifecycle.skew import Skew, measure_skew
from audotics.recommender import bundle
from audotics.recommender.recommender import Recommender
from audotics.registry.store import Registry
from audotics.telemetry import Progress

CHALLENGER, CHAMPION = "challenger", "champion"
CUTOFFS = (10, 20)
N_SAMPLED = 200
"""Listeners for whom latency and skew are measured, as a default."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Side(_Frozen):
    """What was measured of one version.

    Args:
        version: Its id; empty before publishing.
        quality: On the held-out days: metrics with intervals, segments, coverage, share of new tracks.
        heads: Quality of its chances, by head.
        latency: Of single requests in process.
        size_bytes: On disk; None where it was not published.
    """

    version: str
    quality: SystemReport
    heads: dict[str, HeadMetrics]
    latency: Latency
    size_bytes: int | None = None


class Evidence(_Frozen):
    """Everything that the gates look at.

    Args:
        gathered_at: When, UTC.
        test: The held-out listeners and tracks.
        challenger: The version that wants to serve.
        champion: The version that serves; None where there is none yet.
        differences: ``"ndcg@20"`` -> challenger minus champion, listener by listener.
        skew: The challenger's lists offline and as served.
        faults: What its files lack that servers need.
        lost_listeners: Share of the champion's listeners whom the challenger does not know.
        lost_tracks: The same of tracks.
        findings: What the checks of the data found.
    """

    gathered_at: datetime
    test: TestDescription
    challenger: Side
    champion: Side | None
    differences: dict[str, PairedDifference]
    skew: Skew
    faults: tuple[str, ...] = ()
    lost_listeners: float = 0.0
    lost_tracks: float = 0.0
    findings: tuple[Finding, ...] = ()


def gather(
    registry: Registry,
    champion: str | None,
    challenger: str,
    dataset: Dataset,
    *,
    held_out_from: datetime | None = None,
    test: pl.DataFrame | None = None,
    judged: Recommender | None = None,
    in_memory: Recommender | None = None,
    findings: Sequence[Finding] = (),
    task: Task = Task.DISCOVER,
    most_listeners: int = MOST_LISTENERS,
    n_sampled: int = N_SAMPLED,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evidence:
    """Load, compare and measure two published versions on days that neither has learned from.

    Args:
        registry: Where they are.
        champion: The version that serves, by id or alias; None where there is none.
        challenger: The version that wants to.
        dataset: All events, the held-out days included; with ``test`` what came before it.
        held_out_from: Start of the held-out days; None takes what follows the challenger's data.
        test: Held-out ``user_id`` and ``track_id`` instead of days of the Dataset.
        judged: Answers for the challenger where the published one was fitted on everything: the same
            training without the held-out days. Speed, size and skew are still those of the published one.
        in_memory: The challenger as it was trained and published, for the skew; None asks the files twice.
        findings: What the checks of the data found.
        task: What is asked for and counts.
        most_listeners: Held-out listeners who are asked.
        n_sampled: Those of them for whom latency and skew are measured.
        seed: Draws them, and the resamples.
        progress: Who is told.

    Raises:
        BadInputError: There is no such version, nothing is held out, or a version has learned from it.
        DamagedError: A version is not as it was published.
    """
    progress = progress or Progress()
    with progress.stage("load both versions"):
        served = _load(registry, challenger)
        reigning = None if champion is None else _load(registry, champion)
    if test is None and held_out_from is None:
        held_out_from = _after(registry, challenger)
    held_out = held_out_of(dataset, after=held_out_from, test=test, most_listeners=most_listeners, seed=seed)
    evidence = gather_from(
        reigning,
        served,
        held_out,
        judged=judged,
        in_memory=in_memory,
        findings=findings,
        task=task,
        n_sampled=n_sampled,
        seed=seed,
        progress=progress,
    )
    with progress.stage("check the files"):
        faults = faults_of(registry, challenger, served, reigning)
    sizes = {"challenger": registry.show(challenger).size_bytes}
    if champion is not None:
        sizes["champion"] = registry.show(champion).size_bytes
    return _with_files(evidence, sizes, faults)


def gather_from(
    champion: Recommender | None,
    challenger: Recommender,
    held_out: HeldOut,
    *,
    judged: Recommender | None = None,
    in_memory: Recommender | None = None,
    findings: Sequence[Finding] = (),
    task: Task = Task.DISCOVER,
    n_sampled: int = N_SAMPLED,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evidence:
    """Compare two recommenders, published or not; sizes and files are left out.

    Args:
        champion: The one that serves; None where there is none.
        challenger: The one that wants to.
        held_out: What they are asked about.
        judged: See `gather`.
        in_memory: See `gather`.
        findings: What the checks of the data found.
        task: What is asked for and counts.
        n_sampled: Listeners for whom latency and skew are measured.
        seed: Of the resamples.
        progress: Who is told.

    Raises:
        BadInputError: One has learned from the held-out days, or nothing is left to evaluate on.
    """
    progress = progress or Progress()
    answering = {CHALLENGER: judged or challenger} | ({} if champion is None else {CHAMPION: champion})
    evaluator = ModelEvaluator(held_out.visible, held_out.test, task=task, cutoffs=CUTOFFS, seed=seed)
    results = ask_all(evaluator, answering, held_out, progress)
    report = evaluator.report(list(results.values()), CHALLENGER)
    with progress.stage("measure chances"):
        heads = {name: head_quality(one, held_out) for name, one in answering.items()}
    asked = held_out.user_ids
    sample = asked[:: max(1, len(asked) // n_sampled)][:n_sampled]
    with progress.stage("measure latency"):
        latency = measure_latency(answering | {CHALLENGER: challenger}, sample)
    with progress.stage("measure skew"):
        skew = measure_skew(challenger, sample, offline=in_memory)
    sides = {
        name: Side(
            version=(challenger if name == CHALLENGER else one).model_version,
            quality=report.system(name),
            heads=heads[name],
            latency=latency[name],
        )
        for name, one in answering.items()
    }
    return Evidence(
        gathered_at=datetime.now(UTC),
        test=report.test,
        challenger=sides[CHALLENGER],
        champion=sides.get(CHAMPION),
        differences=differences(results, CHALLENGER, CHAMPION, evaluator) if champion is not None else {},
        skew=skew,
        lost_listeners=0.0 if champion is None else _lost(champion.users, challenger.users),
        lost_tracks=0.0 if champion is None else _lost(champion.tracks, challenger.tracks),
        findings=tuple(findings),
    )


def ask_all(
    evaluator: ModelEvaluator, answering: Mapping[str, Recommender], held_out: HeldOut, progress: Progress
) -> dict[str, SystemResult]:
    """Ask every recommender for the lists of the same listeners.

    Raises:
        BadInputError: One has learned from the held-out days.
    """
    results = {}
    for name, recommender in answering.items():
        held_out.refuse_seen(recommender, f"the {name}")
        system = Answering(recommender, evaluator.test.task.mode, held_out.since(recommender))
        with progress.stage(f"ask the {name}", total=len(evaluator.user_ids)) as stage:
            results[name] = evaluator.ask(name, system, on_progress=stage.advance)
    return results


def differences(
    results: Mapping[str, SystemResult], first: str, second: str, evaluator: ModelEvaluator
) -> dict[str, PairedDifference]:
    """First minus second on every metric per listener that both have, with the same resamples."""
    one, other = results[first].metrics, results[second].metrics
    return {
        metric: paired_difference(
            one[metric], other[metric], n_resamples=evaluator.n_resamples, seed=evaluator.seed
        )
        for metric in one
        if metric in other and (one[metric] - other[metric] == one[metric] - other[metric]).any()
    }


def _load(registry: Registry, reference: str) -> Recommender:
    manifest = registry.verify(reference)
    return bundle.load(registry.folder(manifest.version), manifest.version)


def _after(registry: Registry, challenger: str) -> datetime:
    manifest = registry.show(challenger)
    if manifest.dataset.ends_at is None:
        raise BadInputError(
            "the challenger's data has no times, so no later days can be held out",
            where=manifest.version,
            remedy="Give a test",
        )
    # Datasets keep microseconds: the next one is the first that training cannot have seen.
    return manifest.dataset.ends_at + datetime.resolution


def _lost(before: Vocabulary, now: Vocabulary) -> float:
    ids = pl.Series(before.ids, dtype=pl.String)
    return float((now.encode(ids) < 0).mean()) if len(ids) else 0.0


def _with_files(evidence: Evidence, sizes: Mapping[str, int], faults: Sequence[str]) -> Evidence:
    sides = {
        name: side.model_copy(update={"size_bytes": sizes[name]})
        for name, side in ((CHALLENGER, evidence.challenger), (CHAMPION, evidence.champion))
        if side is not None
    }
    return evidence.model_copy(update=sides | {"faults": tuple(faults)})

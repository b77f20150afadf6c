"""Retraining: new data, a challenger, the gates, and then a new champion or a refusal with its reasons.

Every step leaves what the next one needs on the disk, so a run that was killed is gone on with:

    killed while                 the next run
    building the dataset         removes what was begun and builds anew
    training                     trains anew
    publishing                   finds no version, or one that is whole and was not judged: judges it
    judging                      judges it again
    promoting                    finds it passed and not promoted: promotes it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Engine

from audotics.data.dataset import Dataset
from audotics.errors import BadInputError, DamagedError
from audotics.journal.events import EventJournal
from audotics.lifecycle.data_folders import DataFolders, base_dataset
from audotics.lifecycle.findings import Finding, refusals
from audotics.lifecycle.gatekeeping import Case, Gates, LimitGates
from audotics.lifecycle.held_days import HeldDays, hold_out
from audotics.lifecycle.pending import ORIGIN, find_pending, held_out_from_of
from audotics.lifecycle.reports import ReportFolder, RetrainReport
from audotics.lifecycle.reuse import config_like
from audotics.lifecycle.training_data import TrainingData, build_training_data
from audotics.monitoring.monitor import drift_summary
from audotics.monitoring.verdicts import Verdict
from audotics.recommender.recommender import Recommender
from audotics.registry.manifest import Manifest
from audotics.registry.names import CHALLENGER, CHAMPION
from audotics.registry.store import Registry
from audotics.telemetry import Progress
from audotics.training.pipeline import Trained, TrainingPipeline
from audotics.training.publishing import load_version, publish
from audotics.training.warm_start import WarmStart


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """How to retrain.

    Args:
        data: Dataset to go on from where the champion's own is not kept here.
        held_out_days: The newest days, which judge.
        changes: Settings of training that differ from the champion's.
        tune: Whether to search the retrievers' settings anew instead of taking over the champion's.
        warm: Whether to start from what the champion learned; else everything starts at random.
        name: A name of the new version for people.
    """

    data: Path | None = None
    held_out_days: float = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)
    tune: bool = False
    warm: bool = True
    name: str = "retrained"


class Retraining:
    """Retrains the champion of one models folder. One at a time: hold a `Lease`.

    The challenger is trained on what lies before the held-out days and is promoted as it was judged, byte by
    byte. Fitting it once more on everything would cost the retrievers' time again and put a model into
    service that no gate has seen. What it does not know of the newest days reaches listeners nevertheless:
    servers lay events and tracks of the journal over whatever version serves, and the next retraining learns
    from them.

    Args:
        models_dir: Versions, datasets and reports.
        engine: Of the journal.
        gates: Look at the data, and at the challenger.
        settings: How.
        progress: Who is told of the stages. Its checkpoint may end the run between two of them, which loses
            nothing that is done.
        on_published: Called with every challenger before it is judged (`audotics.lifecycle.tracking`).
    """

    def __init__(
        self,
        models_dir: Path,
        engine: Engine,
        *,
        gates: Gates | None = None,
        settings: RetrainSettings | None = None,
        progress: Progress | None = None,
        on_published: Callable[[Trained, Manifest], None] | None = None,
    ) -> None:
        self.registry = Registry(models_dir)
        self.reports = ReportFolder(models_dir)
        self.folders = DataFolders(models_dir)
        self._engine = engine
        self._gates = gates or LimitGates()
        self._settings = settings or RetrainSettings()
        self._progress = progress or Progress()
        self._on_published = on_published
        self._n_stages_before = 0

    def run(self, trigger: str = "asked for") -> RetrainReport:
        """Retrain once.

        Args:
            trigger: Why, for the report.

        Returns:
            How it ended; kept beside the versions unless there was nothing to do.

        Raises:
            BadInputError: There is no champion, or no data to go on from.
            DamagedError: The champion or its data is damaged.
            UnavailableError: The journal does not answer.
        """
        self._n_stages_before = len(self._progress.records)
        champion = self.registry.alias(CHAMPION)
        if champion is None:
            raise BadInputError(
                "there is no champion to retrain",
                where=str(self.registry.models_dir),
                remedy="Train one first: `audotics train DATASET --models DIR`",
            )
        self._finish_report_of(champion)
        manifest = self.registry.show(champion)
        draft = RetrainReport(
            outcome="nothing",
            champion=champion,
            trigger=trigger,
            started_at=datetime.now(UTC),
            finished_at=datetime.now(UTC),
        )
        pending = find_pending(self.registry, self.folders, self.reports, champion)
        if pending is not None:
            return self._conclude(draft, pending)
        return self._anew(draft, manifest)

    def _anew(self, draft: RetrainReport, champion: Manifest) -> RetrainReport:
        """From the journal to a conclusion."""
        if self._nothing_came(champion):
            return self._ended(draft, "nothing", ("no event came since the champion's data was gathered",))
        with self._progress.stage("build the data"):
            data, held = self._data(champion)
        draft = draft.model_copy(
            update={
                "data": data.record,
                "journal_seq": data.record.journal_seq,
                "held_out_from": held.starts_at,
            }
        )
        if held.too_little:
            self._prune()
            return self._ended(draft, "nothing", (held.too_little,))
        with self._progress.stage("measure drift"):
            drift = self._drift(champion.version)
        with self._progress.stage("check the data"):
            findings = self._gates.check(data.dataset, data.base)
        draft = draft.model_copy(
            update={
                "drift": drift,
                "findings": tuple(asdict(finding) for finding in findings),
            }
        )
        if wrong := refusals(findings):
            return self._refused(draft, tuple(finding.what for finding in wrong))
        version, in_memory = self._challenger(champion, data.dataset, held)
        return self._conclude(draft, self.registry.show(version), findings, in_memory)

    def _nothing_came(self, champion: Manifest) -> bool:
        """Whether the champion's data is ours and the journal has no later event: nothing needs building."""
        found = self.folders.find(champion.dataset.fingerprint)
        return found is not None and not EventJournal(self._engine).count_after(found[1].journal_seq)

    def _data(self, champion: Manifest) -> tuple[TrainingData, HeldDays]:
        base, seq = base_dataset(
            self.folders, champion.dataset.fingerprint, self._settings.data, champion.version
        )
        data = build_training_data(self.folders, base, seq, self._engine)
        # A base that was given may be another one than the champion's, whose manifest then tells nothing.
        seen_until = champion.dataset.ends_at or champion.created_at
        held = hold_out(data.dataset, seen_until, self._settings.held_out_days, datetime.now(UTC))
        return data, held

    def _challenger(self, champion: Manifest, dataset: Dataset, held: HeldDays) -> tuple[str, Recommender]:
        """Train on what lies before the held-out days, and publish."""
        config = config_like(champion, self._settings.changes, tune=self._settings.tune)
        known = dataset.before(held.starts_at)
        warm = None
        if self._settings.warm:
            recommender = load_version(self.registry, champion.version)
            warm = WarmStart.of(recommender, champion.dataset.ends_at or champion.created_at)
        trained = TrainingPipeline(config, self._progress).train(known, warm)
        origin: JsonValue = {
            "champion": champion.version,
            "held_out_from": held.starts_at.isoformat(),
            "n_new_events": held.n_to_learn,
        }
        version = publish(
            trained,
            known,
            self.registry,
            self._settings.name,
            self._progress,
            alias=CHALLENGER,
            origin={ORIGIN: origin},
        )
        if self._on_published is not None:
            self._on_published(trained, self.registry.show(version))
        return version, trained.recommender

    def _conclude(
        self,
        draft: RetrainReport,
        challenger: Manifest,
        findings: Sequence[Finding] = (),
        in_memory: Recommender | None = None,
    ) -> RetrainReport:
        """Judge a published challenger, keep the report, promote it or not."""
        version = challenger.version
        found = self.folders.find(challenger.dataset.fingerprint)
        if found is None:
            raise BadInputError("its data is gone", where=version, remedy="Retrain again")
        held_out_from = held_out_from_of(challenger)
        draft = draft.model_copy(
            update={
                "version": version,
                "journal_seq": found[1].journal_seq,
                "held_out_from": held_out_from,
            }
        )
        case = Case(self.registry, draft.champion, version, found[0], held_out_from, findings, in_memory)
        try:
            self.registry.set_alias(CHALLENGER, version)
            with self._progress.stage("judge"):
                verdict = self._gates.judge(case)
        except BadInputError as error:  # such as held-out days in which nobody heard anything new
            return self._refused(draft, (f"it cannot be judged: {error}",))
        except DamagedError as error:
            if version not in error.where:
                raise
            return self._refused(draft, (f"it is damaged: {error}",))
        draft = draft.model_copy(update={"gates": verdict.to_json()})
        if not verdict.passed:
            return self._refused(draft, verdict.reasons)
        with self._progress.stage("promote"):
            self._keep(draft, "passed", verdict.reasons)
            self.registry.set_alias(CHAMPION, version)
        report = self._keep(draft, "promoted", verdict.reasons)
        self._prune()
        return report

    def _refused(self, draft: RetrainReport, reasons: tuple[str, ...]) -> RetrainReport:
        report = self._keep(draft, "refused", reasons)
        self._prune()
        return report

    def _keep(self, draft: RetrainReport, outcome: str, reasons: tuple[str, ...]) -> RetrainReport:
        report = self._ended(draft, outcome, reasons)
        self.reports.keep(report)
        return report

    def _ended(self, draft: RetrainReport, outcome: str, reasons: tuple[str, ...]) -> RetrainReport:
        ended = {
            "outcome": outcome,
            "reasons": reasons,
            "finished_at": datetime.now(UTC),
            "stages": tuple(self._progress.records[self._n_stages_before :]),
        }
        return draft.model_copy(update=ended)

    def _drift(self, champion: str) -> JsonValue:
        """For the report. A reference that cannot be read (of another release, say) is no reason to stop."""
        try:
            found = drift_summary(self.registry, self._engine, version=champion)
        except DamagedError as error:
            return {"verdict": Verdict.UNKNOWN.value, "reasons": [str(error)]}
        return dict(found.model_dump(mode="json"))

    def _finish_report_of(self, champion: str) -> None:
        """Say that the champion was promoted, where a kill came between its promotion and saying so."""
        report = self.reports.of(champion)
        if report is not None and report.outcome == "passed":
            self.reports.keep(report.model_copy(update={"outcome": "promoted"}))

    def _prune(self) -> None:
        """Keep the data of the champion, and of the one before it, to which a rollback leads."""
        champions = dict.fromkeys(version for _, version in reversed(self.registry.moves(CHAMPION)))
        there = [version for version in champions if version in self.registry.versions()]
        self.folders.prune([self.registry.show(version).dataset.fingerprint for version in there[:2]])

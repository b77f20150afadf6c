"""Retraining of an installation: its folder of models, its database, its limits, and the lease around it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from audotics.errors import UnavailableError
from audotics.journal.events import EventJournal
from audotics.lifecycle.data_folders import DataFolders
from audotics.lifecycle.gatekeeping import LimitGates
from audotics.lifecycle.lease import LIFE_S, Lease
from audotics.lifecycle.limits import GateLimits
from audotics.lifecycle.reports import ReportFolder, RetrainReport
from audotics.lifecycle.retraining import Retraining, RetrainSettings
from audotics.lifecycle.triggers import Situation
from audotics.monitoring.monitor import monitor
from audotics.monitoring.verdicts import Verdict
from audotics.registry.manifest import Manifest
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from audotics.telemetry import Progress
from audotics.training.pipeline import Trained

DATABASE_TIMEOUT_S = 10.0
"""Longest wait for a lock or a statement: nobody waits for an answer of a retraining."""


class StoppedError(UnavailableError):
    """Work was ended between two steps because somebody asked for it; nothing that is done is lost."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where to retrain, and within which limits.

    Args:
        models_dir: Versions, datasets and reports.
        engine: Of the journal.
        limits: Of the gates.
        stop: Set to end the work between two steps.
        lease_life_s: How long a dead process keeps the next one waiting.
        new_progress: Makes who is told of the stages of one run, given its checkpoint.
        on_published: Called with every challenger before it is judged.
    """

    models_dir: Path
    engine: Engine
    limits: GateLimits = field(default_factory=GateLimits)
    stop: threading.Event = field(default_factory=threading.Event)
    lease_life_s: float = LIFE_S
    new_progress: Callable[[Callable[[], None]], Progress] = lambda checkpoint: Progress(None, checkpoint)
    on_published: Callable[[Trained, Manifest], None] | None = None

    def retrain(
        self, settings: RetrainSettings, trigger: str = "asked for", wait_s: float = 0.0
    ) -> RetrainReport:
        """Retrain once, while nobody else does.

        Args:
            settings: How.
            trigger: Why, for the report.
            wait_s: How long to wait for somebody else who is at it.

        Raises:
            HeldError: Somebody else is still at it.
            StoppedError: `stop` was set.
            AudoticsError: See `Retraining.run`.
        """
        with Lease(self.engine, life_s=self.lease_life_s).held(wait_s, self.stop.is_set) as lease:

            def checkpoint() -> None:
                if self.stop.is_set():
                    raise StoppedError("retraining was ended by a signal", remedy="The next run goes on")
                lease.check()

            progress = self.new_progress(checkpoint)
            gates = LimitGates(self.limits, progress)
            return Retraining(
                self.models_dir,
                self.engine,
                gates=gates,
                settings=settings,
                progress=progress,
                on_published=self.on_published,
            ).run(trigger)

    def situation(self) -> Situation:
        """What triggers look at.

        Raises:
            BadInputError: There is no champion.
            UnavailableError: The journal does not answer.
        """
        champion = Registry(self.models_dir).show(CHAMPION)
        last = ReportFolder(self.models_dir).newest()
        known = DataFolders(self.models_dir).record_of(champion.dataset.fingerprint)
        seen = max(last.journal_seq if last else 0, known.journal_seq if known else 0)
        return Situation(
            now=datetime.now(UTC),
            champion_at=champion.created_at,
            last_ended_at=last.finished_at if last else None,
            n_new_events=EventJournal(self.engine).count_after(seen),
        )

    def drifted(self) -> str:
        """What has drifted so far that it is an alarm; empty where nothing has. For the trigger `When`."""
        found = monitor(Registry(self.models_dir), self.engine).drift
        return _alarm("drift", found.verdict, found.reasons)

    def quality_fell(self) -> str:
        """What listeners do less by far with what is recommended; empty where nothing. For `When`."""
        found = monitor(Registry(self.models_dir), self.engine).quality
        return _alarm("quality", found.verdict, found.reasons)


def _alarm(name: str, verdict: Verdict, reasons: tuple[str, ...]) -> str:
    return f"{name}: {'; '.join(reasons)}" if verdict is Verdict.ALARM else ""

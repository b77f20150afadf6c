"""What retraining asks of the gates, and the gates with their limits behind that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from audotics.data.dataset import Dataset
from audotics.lifecycle import data_checks, evidence, gates
from audotics.lifecycle.findings import Finding
from audotics.lifecycle.limits import GateLimits
from audotics.recommender.recommender import Recommender
from audotics.registry.store import Registry
from audotics.telemetry import Progress


@dataclass(frozen=True, slots=True)
class Case:
    """A challenger before the gates.

    Args:
        registry: Where both versions are.
        champion: Id of the version that serves.
        challenger: Id of the version that wants to.
        dataset: All events, the held-out days included.
        held_out_from: From here on neither version has seen anything.
        findings: What the checks of the data found.
        in_memory: The challenger as training made it; None where a killed run published it.
    """

    registry: Registry
    champion: str
    challenger: str
    dataset: Dataset
    held_out_from: datetime
    findings: Sequence[Finding] = ()
    in_memory: Recommender | None = None


class Verdict(Protocol):
    """What the gates said of a challenger."""

    @property
    def passed(self) -> bool:
        """Whether it may serve."""
        ...

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, or what it passed, in words."""
        ...

    def to_json(self) -> JsonValue:
        """Everything that was measured."""
        ...


class Gates(Protocol):
    """Decide what may be learned from, and what may serve."""

    def check(self, dataset: Dataset, base: Dataset) -> Sequence[Finding]:
        """Look at new data before anything learns from it."""
        ...

    def judge(self, case: Case) -> Verdict:
        """Measure both versions on the held-out days and decide."""
        ...


class LimitGates:
    """The gates of `audotics.lifecycle.gates` and the checks of `audotics.lifecycle.data_checks`.

    Args:
        limits: What may be; the defaults where None.
        progress: Who is told of the stages of judging.
    """

    def __init__(self, limits: GateLimits | None = None, progress: Progress | None = None) -> None:
        self._limits = limits or GateLimits()
        self._progress = progress or Progress()

    def check(self, dataset: Dataset, base: Dataset) -> Sequence[Finding]:
        """See `audotics.lifecycle.data_checks.check`."""
        return data_checks.check(dataset, base, self._limits.data)

    def judge(self, case: Case) -> gates.GateReport:
        """See `audotics.lifecycle.evidence.gather` and `audotics.lifecycle.gates.judge`."""
        gathered = evidence.gather(
            case.registry,
            case.champion,
            case.challenger,
            case.dataset,
            held_out_from=case.held_out_from,
            in_memory=case.in_memory,
            findings=case.findings,
            progress=self._progress,
        )
        return gates.judge(gathered, self._limits)

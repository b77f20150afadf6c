"""Why versions were dropped, kept beside the versions: models/reports/guardrails/<version>-<time>.json."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from audotics.registry.durable import make_folder, replace_text
from audotics.serving.guardrails.probation import Breach, Probation

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Dropped:
    """A version that was dropped here.

    Args:
        version: The version.
        reason: In words.
        at: In UTC.
    """

    version: str
    reason: str
    at: datetime


class DropReport(BaseModel):
    """A version that a server dropped.

    Args:
        schema_version: Of this report.
        version: The version.
        back_to: What serves instead.
        alias: Which alias named it.
        alias_now: Where the alias points after the drop; the version itself where it was left alone.
        check: The limit that it broke.
        reason: In words.
        n: Values that the check had seen.
        p_value: Of "it keeps the limit".
        began_at: When it began to serve there.
        dropped_at: When it was dropped.
        n_answers: Answers that it was asked to compute there.
        n_stood_in: Of those, the ones that the old version answered.
        evidence: Every check: values seen and p-value.
        host: Where.
        pid: The server process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    version: str
    back_to: str
    alias: str
    alias_now: str
    check: str
    reason: str
    n: int
    p_value: float
    began_at: AwareDatetime
    dropped_at: AwareDatetime
    n_answers: int
    n_stood_in: int
    evidence: dict[str, tuple[int, float]]
    host: str
    pid: int

    @classmethod
    def of(
        cls, trial: Probation, breach: Breach, *, alias: str, alias_now: str, dropped_at: datetime
    ) -> DropReport:
        """The report of a probation that this process ended."""
        return cls(
            version=trial.version,
            back_to=trial.previous.version,
            alias=alias,
            alias_now=alias_now,
            check=breach.check,
            reason=breach.said,
            n=breach.n,
            p_value=breach.p_value,
            began_at=trial.began_at,
            dropped_at=dropped_at,
            n_answers=trial.n_answers,
            n_stood_in=trial.n_stood_in,
            evidence=dict(trial.evidence()),
            host=socket.gethostname(),
            pid=os.getpid(),
        )


def keep_report(models_dir: Path, report: DropReport) -> Path:
    """Write a report, durably; returns its file.

    Raises:
        OSError: The folder of models cannot be written to.
    """
    folder = make_folder(models_dir / "reports" / "guardrails")
    path = folder / f"{report.version}-{report.dropped_at:%Y%m%dT%H%M%S%f}Z-{report.pid}.json"
    replace_text(path, report.model_dump_json(indent=2) + "\n")
    return path


def read_reports(models_dir: Path) -> list[DropReport]:
    """All of them, the oldest first."""
    paths = (models_dir / "reports" / "guardrails").glob("*.json")
    reports = [DropReport.model_validate_json(path.read_text(encoding="utf-8")) for path in paths]
    return sorted(reports, key=lambda report: report.dropped_at)

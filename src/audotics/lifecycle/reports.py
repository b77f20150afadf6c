"""What became of each retraining, kept beside the versions: models/reports/<version>.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, NonNegativeInt

from audotics.lifecycle.data_folders import DataRecord
from audotics.registry.durable import make_folder, replace_text
from audotics.registry.reading import read_record
from audotics.telemetry import StageRecord

SCHEMA_VERSION = 1
MAX_REPORT_BYTES = 16 << 20

Outcome = Literal["promoted", "passed", "refused", "nothing"]
"""``passed``: the gates said yes and the alias was about to move; it stays so only after a kill."""


class RetrainReport(BaseModel):
    """One retraining, from its trigger to its end.

    Args:
        schema_version: Of this report.
        outcome: How it ended.
        champion: The version that served.
        version: The challenger; None where none was trained.
        reasons: Why it ended so, in words.
        trigger: Why it was started.
        started_at: UTC.
        finished_at: UTC.
        journal_seq: Place in the journal up to which events were looked at.
        held_out_from: Events from this moment on judged and taught nothing.
        data: What it learned from; None where a challenger of an earlier, killed run was judged.
        findings: What the checks of the data found.
        gates: What each gate measured and said; None where none was asked.
        drift: Whether listening and online quality have moved since the champion was trained, and what did.
        stages: What each stage cost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    outcome: Outcome
    champion: str
    version: str | None = None
    reasons: tuple[str, ...] = ()
    trigger: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime
    journal_seq: NonNegativeInt = 0
    held_out_from: AwareDatetime | None = None
    data: DataRecord | None = None
    findings: tuple[JsonValue, ...] = ()
    gates: JsonValue = None
    drift: JsonValue = None
    stages: tuple[StageRecord, ...] = ()

    @property
    def name(self) -> str:
        """Under which it is kept: the version, else the data that was refused before one was trained."""
        if self.version is not None:
            return self.version
        return f"data-{self.data.fingerprint[:16]}" if self.data is not None else f"of-{self.champion}"


class ReportFolder:
    """Keeps the reports of a models folder; each is replaced in one step.

    Args:
        models_dir: Where the versions lie.
    """

    def __init__(self, models_dir: Path) -> None:
        self._folder = models_dir / "reports"

    def keep(self, report: RetrainReport) -> Path:
        """Write it, durably; returns its file."""
        make_folder(self._folder)
        path = self._folder / f"{report.name}.json"
        replace_text(path, report.model_dump_json(indent=2) + "\n")
        return path

    def of(self, version: str) -> RetrainReport | None:
        """The report of a challenger; None where it was not judged yet.

        Raises:
            DamagedError: It cannot be read.
        """
        path = self._folder / f"{version}.json"
        return self._read(path) if path.is_file() else None

    def newest(self) -> RetrainReport | None:
        """The report of the last retraining that came to an end; None before the first.

        Raises:
            DamagedError: A report cannot be read.
        """
        if not self._folder.is_dir():
            return None
        reports = [self._read(path) for path in self._folder.glob("*.json")]
        return max(reports, key=lambda report: report.finished_at, default=None)

    @staticmethod
    def _read(path: Path) -> RetrainReport:
        return read_record(
            path,
            RetrainReport,
            newest=SCHEMA_VERSION,
            max_bytes=MAX_REPORT_BYTES,
            remedy="Remove the report; its version will be judged again",
        )

"""Whether a version that won an experiment may become the champion."""

from __future__ import annotations

from pathlib import Path

from audotics.errors import RefusedError
from audotics.lifecycle.reports import ReportFolder


def check_gates(models_dir: Path, version: str) -> None:
    """Refuse a version that the gates refused when it was trained; one that they never judged passes.

    Raises:
        RefusedError: The gates said no.
        DamagedError: Their report cannot be read.
    """
    report = ReportFolder(models_dir).of(version)
    if report is not None and report.outcome == "refused":
        raise RefusedError(
            f"the gates refused it: {'; '.join(report.reasons)}",
            where=f"version {version}",
            remedy="Promote it all the same with `audotics models promote`, or with --force",
        )

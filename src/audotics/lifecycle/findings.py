"""What a check of data found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a finding means for a retraining."""

    REFUSE = "refuse"
    """Nothing may be promoted that learned from this."""
    WARN = "warn"
    """Worth a look; learning from it is defensible."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it usually is.

    Args:
        name: The check, one word with underscores; several columns may be found by one check.
        severity: What it means.
        what: One sentence for people, without a full stop.
        value: What was measured.
        limit: What it may be.
    """

    name: str
    severity: Severity
    what: str
    value: float
    limit: float

    @property
    def refuses(self) -> bool:
        """Whether it forbids promotion."""
        return self.severity is Severity.REFUSE


def refusals(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that forbid promotion."""
    return [finding for finding in findings if finding.refuses]

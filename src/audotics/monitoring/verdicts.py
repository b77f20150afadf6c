"""What monitoring says of a thing that it watches."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """From harmless to urgent."""

    UNKNOWN = "unknown"
    """Too little is there to say."""
    STEADY = "steady"
    SHIFTED = "shifted"
    """More than chance, and enough to look at."""
    ALARM = "alarm"
    """Another population, or a loss that listeners feel."""

    @property
    def level(self) -> int:
        """0 unknown or steady, 1 shifted, 2 alarm."""
        return {Verdict.SHIFTED: 1, Verdict.ALARM: 2}.get(self, 0)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most urgent of them; unknown where there is none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.UNKNOWN)

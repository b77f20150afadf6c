"""What a version did lately: the measure for the one that follows it."""

from __future__ import annotations

from collections import deque

import numpy as np

LATEST_ANSWERS = 2000
LATEST_REACTIONS = 5000


class Tally:
    """Yes and no, of the latest.

    Args:
        most: How many are kept.

    Attributes:
        n_yes: How many of those kept are a yes.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[bool] = deque(maxlen=most)
        self.n_yes = 0

    def add(self, yes: bool) -> None:
        """Keep one; the oldest goes where there are too many."""
        if len(self._kept) == self._kept.maxlen:
            self.n_yes -= self._kept[0]
        self._kept.append(yes)
        self.n_yes += yes

    @property
    def n(self) -> int:
        """How many are kept."""
        return len(self._kept)

    @property
    def share(self) -> float:
        """Of yes; 0 before the first."""
        return self.n_yes / self.n if self.n else 0.0


class Record:
    """The latest answers of one version, and what listeners did with them.

    Attributes:
        seconds: What its latest computed answers took.
        failed: Whether computing them failed.
        skipped: Whether a listener's first deed after an answer was to skip or dislike one of its tracks.
        completed: Whether they heard a track to its end or liked it before they skipped or disliked one.
    """

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=LATEST_ANSWERS)
        self.failed = Tally(LATEST_ANSWERS)
        self.skipped = Tally(LATEST_REACTIONS)
        self.completed = Tally(LATEST_REACTIONS)

    def answered(self, seconds: float) -> None:
        """An answer was computed."""
        self.seconds.append(seconds)
        self.failed.add(False)

    def reacted(self, skipped: bool | None, completed: bool | None) -> None:
        """A listener reacted to an answer; None where that tells nothing new."""
        if skipped is not None:
            self.skipped.add(skipped)
        if completed is not None:
            self.completed.add(completed)


def quantile(seconds: deque[float], share: float) -> float:
    """Of so many times; 0 where there are none."""
    return float(np.quantile(np.fromiter(seconds, np.float64), share)) if seconds else 0.0

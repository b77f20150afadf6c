"""Triggers: small callables that look at the situation and say why to retrain now, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Situation:
    """What a trigger may look at.

    Args:
        now: UTC.
        champion_at: When the champion was published, UTC.
        last_ended_at: When the last retraining ended, however it did; None before the first.
        n_new_events: Events that the journal has beyond those that the last retraining looked at.
    """

    now: datetime
    champion_at: datetime
    last_ended_at: datetime | None
    n_new_events: int


class Trigger(Protocol):
    """Says why to retrain, or gives an empty text."""

    def __call__(self, situation: Situation, /) -> str:
        """The reason, in a few words; empty where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Retrain regularly, whatever happened.

    Args:
        hours: From the end of one retraining to the start of the next.
    """

    hours: float

    def __call__(self, situation: Situation) -> str:
        """See `Trigger`."""
        since = situation.last_ended_at or situation.champion_at
        due = situation.now - since >= timedelta(hours=self.hours)
        return f"{self.hours:g} hours have passed" if due else ""


@dataclass(frozen=True, slots=True)
class OlderThan:
    """Retrain a champion that was published long ago.

    Args:
        days: Age from which on it is too old.
    """

    days: float

    def __call__(self, situation: Situation) -> str:
        """See `Trigger`."""
        age = (situation.now - situation.champion_at) / timedelta(days=1)
        return f"the champion is {age:.1f} days old" if age >= self.days else ""


@dataclass(frozen=True, slots=True)
class NewEvents:
    """Retrain when there is enough to learn from.

    Args:
        least: How many events that no retraining has looked at.
    """

    least: int

    def __call__(self, situation: Situation) -> str:
        """See `Trigger`."""
        n = situation.n_new_events
        return f"{n:,} new events" if n >= self.least else ""


@dataclass(frozen=True, slots=True)
class When:
    """Retrain when somebody who watches something else says so: drift, a loss of quality.

    Args:
        ask: Gives the reason, or an empty text. Asked only where there are new events: without them nothing
            can have changed, and asking may take a while.
    """

    ask: Callable[[], str]

    def __call__(self, situation: Situation) -> str:
        """See `Trigger`."""
        return self.ask() if situation.n_new_events else ""

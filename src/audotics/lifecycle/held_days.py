"""Which days judge a challenger and its champion: the newest ones, that neither has seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from audotics.data.dataset import Dataset

LEAST_LISTENERS = 10
"""With fewer listeners in the held-out days nothing can be judged."""


@dataclass(frozen=True, slots=True)
class HeldDays:
    """How the events since the champion's cut-off are shared out.

    Args:
        starts_at: From here on events judge; the challenger learns from earlier ones.
        n_to_learn: Events that the challenger learns from and the champion had not.
        n_to_judge: Events that judge.
        n_listeners: Listeners who have such events.
    """

    starts_at: datetime
    n_to_learn: int
    n_to_judge: int
    n_listeners: int

    @property
    def too_little(self) -> str:
        """Why there is nothing to do yet; empty where there is."""
        if not self.n_to_learn:
            return "no new events to learn from beside those held out to judge"
        if self.n_listeners < LEAST_LISTENERS:
            return f"only {self.n_listeners} listeners have events to judge by, {LEAST_LISTENERS} are needed"
        return ""


def hold_out(dataset: Dataset, seen_until: datetime, days: float, now: datetime) -> HeldDays:
    """Hold the newest days out, but nothing that the champion has learned from.

    Args:
        dataset: Everything known, with times.
        seen_until: Time of the last event that the champion learned from.
        days: How many days judge.
        now: Events later than this are mistakes of some clock, and no measure of what is new.
    """
    time = pl.col("timestamp")
    events = dataset.events().filter(time <= now)
    newest = events.select(time.max()).collect().item()
    starts_at = max(newest - timedelta(days=days), seen_until) + timedelta(microseconds=1)
    judges = time >= starts_at
    counts = events.select(
        ((time > seen_until) & ~judges).sum().alias("learn"),
        judges.sum().alias("judge"),
        pl.col("user_id").filter(judges).n_unique().alias("listeners"),
    ).collect()
    return HeldDays(starts_at, *counts.row(0))

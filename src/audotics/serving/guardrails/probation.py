"""The time in which a new version must show that it is no worse than the one before.

Every check is a sequential test: it may be read after every answer, and the chance that it ever drops a
version that keeps within its limit is ``alpha`` at most, however long the probation (`MeanAbove` for shares
of answers, `rate_excess_p_value` for what listeners do against what they did with the old version).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from audotics.experiments.betting import MeanAbove
from audotics.experiments.rates import rate_excess_p_value
from audotics.serving.guardrails.record import Record, quantile
from audotics.serving.guardrails.shadow import Comparison
from audotics.serving.served import Served


@dataclass(frozen=True, slots=True)
class Limits:
    """How much worse a new version may be.

    Args:
        alpha: Chance of each check to drop a version that keeps within its limit.
        failing: Share of answers that may fail, beyond the old version's.
        slower: An answer is slow that takes so many times the old version's median, late that takes so
            many times its 99th percentile.
        slow: Share of answers that may be slow.
        late: Share of answers that may be late.
        skipped: By how much the share of answers whose first reaction is a skip may grow.
        completed: By how much the share of answers heard or liked before anything is skipped may fall.
        likeness: Share of tracks that must stand in the old version's longer lists, beyond chance; 0 asks
            for none.
        less_popular: By how many places (as a share of the catalogue) tracks may be less popular.
        more_alike: By how much answers to two listeners may be more alike than the old ones were.
        hangs_s: An answer that takes longer hangs.
        fewest: Reactions to either version before skips are judged, as rates of the first ones still wander.
    """

    alpha: float = 0.001
    failing: float = 0.05
    slower: float = 3.0
    slow: float = 0.5
    late: float = 0.1
    skipped: float = 0.05
    completed: float = 0.05
    likeness: float = 0.2
    less_popular: float = 0.25
    more_alike: float = 0.4
    hangs_s: float = 2.0
    fewest: int = 20


SLACK_S = 0.005
"""Beside the factor: answers of a millisecond wait that long for the scheduler alone."""

FEWEST_BESIDE = 5
"""Answers of the old version beside the new one before times are judged: that the machine has just become
slower is not the new version's fault."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that a version did not keep.

    Args:
        check: Which: ``failing``, ``hanging``, ``slow``, ``late``, ``skipped``, ``completed``, ``unlike``,
            ``unpopular`` or ``alike``.
        said: In words.
        n: Values seen by this check.
        p_value: Of "it keeps the limit".
    """

    check: str
    said: str
    n: int
    p_value: float


class Probation:
    """A version on probation; not safe for threads.

    Args:
        new: The version.
        previous: The one before, to which one can go back.
        reference: What that one did lately.
        own: What the new one does, kept beyond the probation.
        limits: How much worse it may be.

    Attributes:
        began_at: In UTC.
        n_answers: Answers that the new version was asked to compute.
        n_stood_in: Of those, the ones that it failed.
        shadow_seconds: What the old version took beside it.
    """

    def __init__(self, new: Served, previous: Served, reference: Record, own: Record, limits: Limits) -> None:
        self.version = new.version
        self.previous = previous
        self.limits = limits
        self.began_at = datetime.now(UTC)
        self.n_answers = self.n_stood_in = 0
        self.shadow_seconds: deque[float] = deque(maxlen=100)
        self._reference, self._own = reference, own
        self._skips, self._completions = [0, 0], [0, 0]
        self._slow_from = self._late_from = math.inf
        self._means = {
            "failing": MeanAbove(min(0.9, limits.failing + reference.failed.share)),
            "slow": MeanAbove(limits.slow),
            "late": MeanAbove(limits.late),
            "unpopular": MeanAbove((1 + limits.less_popular) / 2),
            "alike": MeanAbove((1 + limits.more_alike) / 2),
        }
        self._unlike: MeanAbove | None = None

    def answered(self, seconds: float) -> None:
        """The new version computed an answer."""
        self.n_answers += 1
        self._own.answered(seconds)
        self._means["failing"].add(0.0)
        if self._slow_from < math.inf:
            self._means["slow"].add(seconds > self._slow_from)
            self._means["late"].add(seconds > self._late_from)

    def failed(self) -> None:
        """It could not, where the old one can."""
        self.n_answers += 1
        self.n_stood_in += 1
        self._own.failed.add(True)
        self._means["failing"].add(1.0)

    def reacted(self, skipped: bool | None, completed: bool | None) -> None:
        """A listener reacted to one of its answers, see `Record.reacted`."""
        for told, counts in ((skipped, self._skips), (completed, self._completions)):
            if told is not None:
                counts[0] += told
                counts[1] += 1
        self._own.reacted(skipped, completed)

    def compared(self, comparison: Comparison) -> None:
        """One of its answers was compared with the old version's."""
        self.shadow_seconds.append(comparison.seconds)
        if comparison.found is not None and self.limits.likeness > 0:
            if self._unlike is None:
                wanted = comparison.by_chance + self.limits.likeness * (1 - comparison.by_chance)
                self._unlike = MeanAbove(min(0.99, max(0.01, 1 - wanted)))
            self._unlike.add(1 - comparison.found)
        if comparison.less_popular is not None:
            self._means["unpopular"].add((1 + comparison.less_popular) / 2)
        if comparison.more_alike is not None:
            self._means["alike"].add((1 + comparison.more_alike) / 2)

    def learn_times(self) -> None:
        """Take the old version's times anew: of before, or of now where the machine has become slower."""
        if len(self.shadow_seconds) >= FEWEST_BESIDE:
            slower, measures = self.limits.slower, (self._reference.seconds, self.shadow_seconds)
            self._slow_from = slower * max(quantile(times, 0.5) for times in measures) + SLACK_S
            self._late_from = slower * max(quantile(times, 0.99) for times in measures) + SLACK_S

    def breach(self, running_s: float = 0.0) -> Breach | None:
        """The first limit that is surely broken; None where none is.

        Args:
            running_s: For how long the answer that is being computed has been computed.
        """
        if running_s > max(self.limits.hangs_s, self._late_from if self._late_from < math.inf else 0.0):
            return Breach("hanging", f"an answer has been computed for {running_s:.1f} seconds", 1, 0.0)
        for check, (n, p_value, said) in self._readings().items():
            if p_value <= self.limits.alpha:
                return Breach(check, said(), n, p_value)
        return None

    def evidence(self) -> Mapping[str, tuple[int, float]]:
        """By check: values seen, and the p-value of "it keeps the limit" (`Limits.alpha` drops it)."""
        return {check: (n, p_value) for check, (n, p_value, _) in self._readings().items()}

    def _readings(self) -> dict[str, tuple[int, float, Callable[[], str]]]:
        means = self._means if self._unlike is None else self._means | {"unlike": self._unlike}
        readings: dict[str, tuple[int, float, Callable[[], str]]] = {
            check: (bets.n, bets.p_value, lambda check=check, bets=bets: self._words(check, bets))  # type: ignore[misc]
            for check, bets in means.items()
        }
        skips, completions = self._reference.skipped, self._reference.completed
        readings["skipped"] = self._excess(
            "skipped", self._skips, (skips.n_yes, skips.n), self.limits.skipped
        )
        spoilt = [self._completions[1] - self._completions[0], self._completions[1]]
        readings["completed"] = self._excess(
            "neither heard nor liked",
            spoilt,
            (completions.n - completions.n_yes, completions.n),
            self.limits.completed,
        )
        return readings

    def _excess(
        self, what: str, now: list[int], before: tuple[int, int], margin: float
    ) -> tuple[int, float, Callable[[], str]]:
        def said() -> str:
            return f"{what}: {_share(*now)} of its answers, {_share(*before)} of the old version's"

        if min(now[1], before[1]) < self.limits.fewest:
            return now[1], 1.0, said
        return now[1], float(rate_excess_p_value(*before, *now, margin=margin)), said

    def _words(self, check: str, bets: MeanAbove) -> str:
        n, mean = bets.n, bets.mean
        return {
            "failing": f"{mean:.0%} of {n} answers failed",
            "slow": f"{mean:.0%} of {n} answers took longer than {1e3 * self._slow_from:.0f} ms",
            "late": f"{mean:.0%} of {n} answers took longer than {1e3 * self._late_from:.0f} ms",
            "unlike": f"{1 - mean:.0%} of its tracks stand in the old version's longer lists ({n} answers)",
            "unpopular": f"its tracks are less popular by {2 * mean - 1:.0%} of the catalogue ({n} answers)",
            "alike": f"its answers to two listeners are {2 * mean - 1:.2f} more alike ({n} pairs)",
        }[check]


def _share(yes: int, n: int) -> str:
    return f"{yes / n:.0%} of {n}" if n else "none"

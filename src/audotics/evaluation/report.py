"""EvaluationReport: everything an evaluation found, as frozen values that save and load."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from audotics.domain import Mode
from audotics.errors import BadInputError
from audotics.evaluation.heads import HeadMetrics
from audotics.evaluation.segments import Segment
from audotics.evaluation.significance import Interval, PairedDifference


class Task(StrEnum):
    """What is asked for, and so which test tracks count; each has the mode of the same name."""

    DISCOVER = "discover"
    """Only tracks the listener had not heard in training; heard ones leave the test."""
    FAMILIAR = "familiar"
    """Only tracks the listener had heard in training; the others leave the test."""
    MIX = "mix"
    """All of them."""

    @classmethod
    def _missing_(cls, value: object) -> Task | None:
        # What reports called the mix before there was a task for each mode.
        return cls.MIX if value == "include_heard" else None

    @property
    def mode(self) -> Mode:
        """The mode that queries of the task have."""
        return Mode(self.value)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TestDescription(_Frozen):
    """What was evaluated on.

    Args:
        task: Which test tracks count.
        n_listeners: Listeners with at least one test track.
        n_cold_listeners: Those of them without interactions in training.
        n_pairs: Test tracks of all listeners.
        n_unknown_pairs: Those of them that are outside training's vocabulary (no list can hold them).
        n_heard_dropped: Pairs left out because the listener had heard the track in training.
        n_unheard_dropped: Pairs left out because the listener had not heard it.
        n_tracks: Size of the catalogue that lists are drawn from.
        cutoffs: Lengths that lists were cut at.
        headline: The cutoff of comparisons, segments and what describes the lists themselves.
        n_resamples: Resamples behind each interval and p-value.
        seed: Seed of the resampling.
    """

    __test__ = False  # the name is no test class, whatever pytest collects

    task: Task
    n_listeners: int
    n_cold_listeners: int
    n_pairs: int
    n_unknown_pairs: int
    n_heard_dropped: int
    n_tracks: int
    cutoffs: tuple[int, ...]
    headline: int
    n_resamples: int
    seed: int
    n_unheard_dropped: int = 0


class SegmentReport(_Frozen):
    """One system on one kind of listeners or test tracks.

    Args:
        segment: Which.
        n_listeners: Listeners with test tracks of the segment.
        n_pairs: Test tracks of the segment.
        metrics: Means with intervals over those listeners, counting those test tracks alone.
    """

    segment: Segment
    n_listeners: int
    n_pairs: int
    metrics: dict[str, Interval]


class SystemReport(_Frozen):
    """One system on the whole test.

    Args:
        name: What the system is called.
        metrics: ``"ndcg@20"`` -> mean over listeners with interval; `METRICS` at every cutoff,
            novelty and diversity of the lists at the headline cutoff.
        catalogue: Values of all lists together at the headline cutoff: ``coverage``, ``gini``, of the
            places filled ``new_track_share`` (no training event names the track) and ``repeat_share``
            (the listener had heard it), and, where a listener has a history, ``popularity_lift``.
        segments: The headline metrics by segment; left out are segments without listeners, and
            kinds of test tracks that all of them are of.
        n_without_lists: Listeners who got no recommendation (they score 0).
        seconds: How long answering took, if it was timed.
        heads: Quality of the ranker's probabilities, if given.
    """

    name: str
    metrics: dict[str, Interval]
    catalogue: dict[str, float]
    segments: tuple[SegmentReport, ...]
    n_without_lists: int
    seconds: float | None = None
    heads: dict[str, HeadMetrics] = {}


class Comparison(PairedDifference):
    """The reference system against one baseline on one metric, listener by listener.

    Args:
        metric: Which metric.
        system: The reference.
        baseline: What it is compared with.
        p_holm: ``p_value`` corrected for the number of baselines (Holm 1979).
    """

    metric: str
    system: str
    baseline: str
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below 5 %."""
        return self.p_holm < 0.05


class Newcomer(StrEnum):
    """What a service knows of a new listener: the last or some events, or favourite artists alone."""

    NO_EVENTS = "0 events"
    ONE_EVENT = "1 event"
    THREE_EVENTS = "3 events"
    TEN_EVENTS = "10 events"
    FAVOURITE_ARTISTS = "3 artists"


class NewcomerReport(_Frozen):
    """Listeners asked again as if they were new, about those of their test tracks that they had not heard.

    Args:
        newcomer: What was left of them.
        n_listeners: How many were asked.
        n_pairs: Their test tracks.
        systems: System -> ``"ndcg@20"`` and ``"recall@20"`` -> mean over those listeners with interval.
        comparisons: The reference against popularity, corrected for the number of kinds (Holm).
    """

    newcomer: Newcomer
    n_listeners: int
    n_pairs: int
    systems: dict[str, dict[str, Interval]]
    comparisons: tuple[Comparison, ...]


class EvaluationReport(_Frozen):
    """Everything an evaluation found.

    Args:
        created_at: When, UTC.
        test: What was evaluated on.
        systems: One entry per system, the reference first.
        comparisons: The reference against each of the others; empty if there is one system.
        learning_curves: Name of a series -> its value after each epoch (None where it has none),
            if training told.
        newcomers: The same systems asked by new listeners; empty where nobody was asked so.
    """

    created_at: datetime
    test: TestDescription
    systems: tuple[SystemReport, ...]
    comparisons: tuple[Comparison, ...] = ()
    learning_curves: dict[str, tuple[float | None, ...]] = {}
    newcomers: tuple[NewcomerReport, ...] = ()

    @property
    def reference(self) -> SystemReport:
        """The system that the report is about."""
        return self.systems[0]

    def system(self, name: str) -> SystemReport:
        """The entry of one system.

        Raises:
            BadInputError: There is none of that name.
        """
        for system in self.systems:
            if system.name == name:
                return system
        names = ", ".join(system.name for system in self.systems)
        raise BadInputError(f"the report has no system '{name}'", remedy=f"It has: {names}")

    def to_json(self, path: Path) -> None:
        """Write everything as JSON, readable by `from_json`."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: Path) -> EvaluationReport:
        """Read what `to_json` wrote.

        Raises:
            BadInputError: The file is no such report.
        """
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            raise BadInputError(
                "this is no evaluation report",
                where=str(path),
                remedy="Write one with `audotics evaluate --json`",
            ) from error

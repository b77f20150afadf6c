"""Gates: whether a challenger may become the champion, by what was measured of both.

The question is not whether it is better but whether it is not worse: a version that knows newer tracks and
tastes is worth having as soon as nothing speaks against it (non-inferiority, Wellek, "Testing statistical
hypotheses of equivalence and noninferiority", 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue

from audotics.evaluation.heads import ReliabilityBin
from audotics.lifecycle.evidence import Evidence, Side
from audotics.lifecycle.findings import refusals
from audotics.lifecycle.limits import GateLimits, read_limits

__all__ = ["GateLimits", "GateReport", "GateRow", "judge", "read_limits"]

_MIB = 2**20


class GateRow(BaseModel):
    """One gate.

    Args:
        gate: Its name; a gate may have a row against the champion and an absolute one.
        passed: Whether the challenger goes through.
        what: What was measured and what is asked for, one sentence without a full stop.
        value: The measured figure.
        limit: The least or most that passes.
        low: Lower end of the value's 95 % interval, where it has one.
        high: Upper end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    passed: bool
    what: str
    value: float
    limit: float
    low: float | None = None
    high: float | None = None


class GateReport(BaseModel):
    """The verdict on a challenger.

    Args:
        challenger: The version judged; empty before publishing.
        champion: The version it was judged against; None for a first version.
        rows: Every gate, in order.
        evidence: What was measured.
        limits: By which it was judged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    challenger: str
    champion: str | None
    rows: tuple[GateRow, ...]
    evidence: Evidence
    limits: GateLimits

    @property
    def passed(self) -> bool:
        """Whether every gate let it through."""
        return all(row.passed for row in self.rows)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each gate that refuses says; where all pass, what the quality gate says."""
        refused = tuple(f"{row.gate}: {row.what}" for row in self.rows if not row.passed)
        return refused or tuple(f"{row.gate}: {row.what}" for row in self.rows if row.gate == "quality")

    def to_json(self) -> JsonValue:
        """Everything, with ``passed`` and ``reasons``, as JSON values."""
        said: dict[str, JsonValue] = {"passed": self.passed, "reasons": list(self.reasons)}
        return said | self.model_dump(mode="json")


def judge(evidence: Evidence, limits: GateLimits | None = None) -> GateReport:
    """Hold a challenger to the limits. A first version, without a champion, to the absolute ones alone.

    Args:
        evidence: What was measured.
        limits: What may be; None takes the defaults.
    """
    limits = limits or GateLimits()
    rows = [
        *_enough(evidence, limits),
        *_quality(evidence, limits),
        *_coverage(evidence, limits),
        *_new_tracks(evidence, limits),
        *_calibration(evidence, limits),
        *_latency(evidence, limits),
        *_size(evidence, limits),
        *_skew(evidence, limits),
        *_schema(evidence, limits),
        *_data(evidence),
    ]
    return GateReport(
        challenger=evidence.challenger.version,
        champion=None if evidence.champion is None else evidence.champion.version,
        rows=tuple(rows),
        evidence=evidence,
        limits=limits,
    )


def _enough(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    n = evidence.test.n_listeners
    yield _at_least("held-out listeners", f"{n:,} listeners judge", n, limits.least_listeners)


def _quality(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    metric = limits.quality_metric
    own = evidence.challenger.quality.metrics.get(metric)
    if own is None:
        yield GateRow(gate="quality", passed=False, what=f"{metric} was not measured", value=0.0, limit=0.0)
        return
    if evidence.champion is not None:
        found, mean = evidence.differences[metric], evidence.champion.quality.metrics[metric].mean
        least, drop = -limits.quality_margin * mean, -limits.quality_drop * mean
        what = (
            f"{metric} {own.mean:.4f}, {found.difference:+.4f} against the champion "
            f"(95 % interval {found.low:+.4f} to {found.high:+.4f})"
        )
        yield GateRow(
            gate="quality",
            passed=found.low >= least and found.difference >= drop,
            what=f"{what}; the mean may be {drop:+.4f}, the lower end {least:+.4f}",
            value=found.difference,
            limit=least,
            low=found.low,
            high=found.high,
        )
    if evidence.champion is None or limits.least_quality > 0:
        row = _at_least("least quality", f"{metric} is {own.mean:.4f}", own.mean, limits.least_quality)
        yield row.model_copy(update={"low": own.low, "high": own.high})


def _coverage(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    test = evidence.test
    value = _of_catalogue(evidence.challenger, "coverage", evidence)
    reach = min(1.0, test.n_listeners * test.headline / max(test.n_tracks, 1))
    floor = limits.least_reach * reach
    what = f"lists show {value:.1%} of the catalogue"
    if evidence.champion is not None:
        champion = _of_catalogue(evidence.champion, "coverage", evidence)
        what += f", the champion's {champion:.1%}"
        floor = max(floor, limits.coverage_factor * champion)
    yield _at_least("coverage", what, value, floor)


def _new_tracks(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    value = _of_catalogue(evidence.challenger, "new_track_share", evidence)
    what = f"{value:.1%} of the places go to tracks without a play"
    yield _at_most("new tracks", what, value, limits.most_new_tracks)
    if evidence.champion is not None:
        champion = _of_catalogue(evidence.champion, "new_track_share", evidence)
        least = max(0.0, min(limits.new_track_factor * champion, champion - limits.new_track_slack))
        yield _at_least("new tracks", f"{what}, with the champion {champion:.1%}", value, least)


def _calibration(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    for head, found in evidence.challenger.heads.items():
        if found.n < limits.least_outcomes:
            continue
        chance = error_by_chance(found.bins)
        error, most = found.calibration_error, limits.most_calibration_error + chance
        what = f"chances of {head} are off by {error:.3f} on average ({chance:.3f} by chance alone)"
        before = None if evidence.champion is None else evidence.champion.heads.get(head)
        if before is not None and before.n >= limits.least_outcomes:
            what += f", the champion's by {before.calibration_error:.3f}"
            most = min(most, before.calibration_error + limits.calibration_slack + chance)
        yield _at_most("calibration", what, error, most)


def error_by_chance(bins: Sequence[ReliabilityBin]) -> float:
    """Calibration error that is expected of perfectly calibrated chances, outcomes being so few.

    The mean distance of a bin's observed share from its chance ``p`` is ``sqrt(2 p (1 - p) / (pi n))``.
    """
    n = np.array([part.n for part in bins], np.float64)
    p = np.array([part.predicted for part in bins], np.float64)
    if not n.sum():
        return 0.0
    return float((n * np.sqrt(2 * p * (1 - p) / (np.pi * n))).sum() / n.sum())


def _latency(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    value, most = evidence.challenger.latency.p99_ms, limits.most_latency_ms
    what = f"p99 of single requests is {value:.1f} ms"
    if evidence.champion is not None:
        champion = evidence.champion.latency.p99_ms
        what += f", the champion's {champion:.1f} ms"
        most = min(most, limits.latency_factor * champion + limits.latency_slack_ms)
    yield _at_most("latency", what, value, most)


def _size(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    if evidence.challenger.size_bytes is None:
        return
    value, most = evidence.challenger.size_bytes / _MIB, limits.most_size_mib
    what = f"takes {value:,.1f} MiB"
    if evidence.champion is not None and evidence.champion.size_bytes is not None:
        champion = evidence.champion.size_bytes / _MIB
        what += f", the champion {champion:,.1f} MiB"
        most = min(most, limits.size_factor * champion + limits.size_slack_mib)
    yield _at_most("size", what, value, most)


def _skew(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    skew = evidence.skew
    paths = "in memory and from its files" if skew.offline == "in memory" else "many at once and one by one"
    what = (
        f"scores of {skew.n_lists} lists, {paths}, differ by at most {skew.score_difference:.2g} deviations"
    )
    yield _at_most("skew", what, skew.score_difference, limits.skew_tolerance)
    what = f"{skew.swapped:.2%} of the places, {paths}, hold other tracks"
    yield _at_most("skew", what, skew.swapped, limits.skew_swaps)


def _schema(evidence: Evidence, limits: GateLimits) -> Iterator[GateRow]:
    faults = evidence.faults
    what = "; ".join(faults) or "every part that servers need is there"
    yield GateRow(gate="schema", passed=not faults, what=what, value=len(faults), limit=0.0)
    if evidence.champion is not None:
        for kind, lost in (("listeners", evidence.lost_listeners), ("tracks", evidence.lost_tracks)):
            yield _at_most("schema", f"{lost:.1%} of the champion's {kind} are gone", lost, limits.most_lost)


def _data(evidence: Evidence) -> Iterator[GateRow]:
    for finding in refusals(evidence.findings):
        what = f"{finding.name}: {finding.what}"
        yield GateRow(gate="data", passed=False, what=what, value=finding.value, limit=finding.limit)


def _of_catalogue(side: Side, name: str, evidence: Evidence) -> float:
    return side.quality.catalogue[f"{name}@{evidence.test.headline}"]


def _at_least(gate: str, what: str, value: float, least: float) -> GateRow:
    said = f"{what}; at least {_figure(least)} is asked for"
    return GateRow(gate=gate, passed=value >= least, what=said, value=value, limit=least)


def _at_most(gate: str, what: str, value: float, most: float) -> GateRow:
    said = f"{what}; at most {_figure(most)} is let through"
    return GateRow(gate=gate, passed=value <= most, what=said, value=value, limit=most)


def _figure(value: float) -> str:
    return f"{value:.4g}"

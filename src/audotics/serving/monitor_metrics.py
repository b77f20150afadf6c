"""What monitoring found, for Prometheus."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import ValidationError

from audotics.monitoring.report import ALL_RUNGS, GroupQuality, MonitorReport

MOST_GROUPS = 20
"""Versions and variants that are shown: those with the most answers. Labels must stay few."""

REPORT = "monitor.json"

_PREDICTION = ("accuracy", "precision", "recall", "f1")
_log = logging.getLogger("audotics.serving")


class MonitorMetrics(Collector):
    """Shows the newest report. Versions that it does not name are gone from the page, too.

    Args:
        registry: Counts the failures.
        shared: Folder in which the workers of one server share the report; None for a single process.
    """

    def __init__(self, registry: CollectorRegistry, shared: Path | None) -> None:
        self._failures = Counter(
            "audotics_monitor_failures_total", "Looks at drift and quality that failed", registry=registry
        )
        self._path = None if shared is None else shared / REPORT
        self._report: MonitorReport | None = None
        self._read_at = 0

    def failed(self) -> None:
        """Count a look that failed."""
        self._failures.inc()

    def found(self, report: MonitorReport) -> None:
        """Show a report, in all workers."""
        self._report = report
        if self._path is not None:
            part = self._path.with_suffix(".part")
            part.write_text(report.model_dump_json(), encoding="utf-8")
            part.replace(self._path)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families of the newest report; none before the first."""
        report = self._newest()
        if report is None:
            return
        yield _plain(
            "audotics_monitor_last_success_timestamp_seconds",
            "When drift and quality were last looked at",
            report.at.timestamp(),
        )
        yield _plain(
            "audotics_monitor_verdict", "0 steady or unknown, 1 shifted, 2 alarm", report.verdict.level
        )
        yield from _drift(report)
        yield from _quality(report)
        yield _predictions(report)

    def _newest(self) -> MonitorReport | None:
        if self._path is None:
            return self._report
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._read_at:
                self._report = MonitorReport.model_validate_json(self._path.read_bytes())
                self._read_at = changed
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.warning("the monitoring report cannot be read: %s", error)
        return self._report


def shared_folder(variable: str) -> Path | None:
    """The folder that an environment variable names for the workers of one server; None without."""
    given = os.environ.get(variable)
    return Path(given) if given else None


def _drift(report: MonitorReport) -> Iterator[GaugeMetricFamily]:
    verdict = GaugeMetricFamily(
        "audotics_drift_verdict",
        "0 steady or unknown, 1 shifted, 2 alarm: listening against training",
        labels=["quantity"],
    )
    index = GaugeMetricFamily("audotics_drift_psi", "Population stability index", labels=["quantity"])
    gap = GaugeMetricFamily(
        "audotics_drift_ks", "Largest gap of the distribution functions", labels=["quantity"]
    )
    unknown = GaugeMetricFamily(
        "audotics_unknown_ratio",
        "Share of events by listeners, or of tracks, unknown to training",
        labels=["kind"],
    )
    for one in report.drift.quantities:
        verdict.add_metric([one.name], one.verdict.level)
        if one.psi is not None:
            index.add_metric([one.name], one.psi)
        if one.ks is not None:
            gap.add_metric([one.name], one.ks)
        if one.name.startswith("known:") and one.now is not None:
            unknown.add_metric([one.name.removeprefix("known:")], one.now)
    yield from (verdict, index, gap, unknown)


def _quality(report: MonitorReport) -> Iterator[GaugeMetricFamily]:
    labels = ["metric", "version", "variant"]
    value = GaugeMetricFamily(
        "audotics_quality_ratio",
        "Plays of what was shown; completions, likes, skips of listens",
        labels=labels,
    )
    low = GaugeMetricFamily("audotics_quality_ratio_low", "Lower end of its 95 % interval", labels=labels)
    high = GaugeMetricFamily("audotics_quality_ratio_high", "Upper end of its 95 % interval", labels=labels)
    answers = GaugeMetricFamily("audotics_quality_answers", "Answers looked at", labels=labels[1:])
    for group in _largest(report):
        answers.add_metric([group.version, group.variant], group.n_answers)
        for metric, rate in group.rates.items():
            for family, found in ((value, rate.value), (low, rate.low), (high, rate.high)):
                if found is not None:
                    family.add_metric([metric, group.version, group.variant], found)
    lift = GaugeMetricFamily(
        "audotics_quality_lift", "Difference to the holdout, positive is better", labels=labels
    )
    for one in report.quality.lifts:
        lift.add_metric([one.metric, one.version, one.variant], one.difference)
    verdict = GaugeMetricFamily(
        "audotics_quality_verdict",
        "0 steady or unknown, 1 shifted, 2 alarm: the newest day against those before",
        labels=["metric"],
    )
    for drop in report.quality.drops:
        verdict.add_metric([drop.metric], drop.verdict.level)
    yield from (value, low, high, answers, lift, verdict)


def _predictions(report: MonitorReport) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "audotics_prediction_ratio",
        "Accuracy, precision, recall and F1 of predicting which track shown is played",
        labels=["metric", "version", "variant"],
    )
    for one in report.predictions[:MOST_GROUPS]:
        for metric in _PREDICTION:
            family.add_metric([metric, one.version, one.variant], getattr(one.metrics, metric))
    return family


def _largest(report: MonitorReport) -> list[GroupQuality]:
    together = [group for group in report.quality.groups if group.rung == ALL_RUNGS]
    return sorted(together, key=lambda group: -group.n_answers)[:MOST_GROUPS]


def _plain(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)

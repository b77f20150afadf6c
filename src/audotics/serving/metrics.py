"""What a worker counts and times, for Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import Collector

from audotics.serving.encoding import Rung, ServedFrom

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: folder in which the workers of one server add their counts together."""


class Metrics:
    """Counters and histograms, named as Prometheus' conventions ask. Labels never hold ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "audotics_answers_total",
            "Recommendations by rung of the ladder and where they came from",
            ("rung", "served_from"),
            registry=self.registry,
        )
        self._steps = Counter(
            "audotics_steps_down_total",
            "Personal answers that were not to be had",
            ("reason",),
            registry=self.registry,
        )
        self._requests = Histogram(
            "audotics_request_seconds",
            "Time of HTTP requests",
            ("route", "method", "status"),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._stages = Histogram(
            "audotics_stage_seconds",
            "Time inside an uncached answer",
            ("stage",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._events = Counter(
            "audotics_events_total", "Events by what became of them", ("outcome",), registry=self.registry
        )
        self._lag = Histogram(
            "audotics_event_loop_lag_seconds",
            "How late the event loop wakes up: work that blocks it shows here",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.swaps = Counter(
            "audotics_model_swaps_total", "Versions that began to serve", registry=self.registry
        )
        self._dropped = Counter(
            "audotics_exposures_dropped_total",
            "Answers whose exposure was lost: too many waited, or the database refused it",
            registry=self.registry,
        )
        self._journal_lag = Gauge(
            "audotics_journal_lag_seconds",
            "Since when a worker has not known everything in the event log; the worst worker",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._pending = Gauge(
            "audotics_journal_pending_events",
            "Events accepted and not yet on the disk",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._model_age = Gauge(
            "audotics_model_age_seconds",
            "Since the serving version was published; the worker with the oldest",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._n_dropped = 0
        self._collectors: list[Collector] = []
        self._children: dict[tuple[str, ...], Counter | Histogram] = {}

    def add(self, collector: Collector) -> None:
        """Show what another collector tells: values that are the same whichever worker is asked."""
        self._collectors.append(collector)
        if MULTIPROCESS not in os.environ:
            self.registry.register(collector)

    def state(self, *, journal_lag_s: float, pending: int, dropped: int, model_age_s: float) -> None:
        """Note how a worker stands.

        Args:
            journal_lag_s: Since when it has not known everything in the journal.
            pending: Events accepted and not yet on the disk.
            dropped: Exposures lost since it began.
            model_age_s: Age of the version that serves.
        """
        self._journal_lag.set(journal_lag_s)
        self._pending.set(pending)
        self._model_age.set(model_age_s)
        self._dropped.inc(dropped - self._n_dropped)
        self._n_dropped = dropped

    def answered(self, rung: Rung, origin: ServedFrom) -> None:
        """Count an answer."""
        self._counter(self._answers, rung.value, origin.value).inc()

    def stepped_down(self, reason: str) -> None:
        """Count a personal answer that was not to be had."""
        self._counter(self._steps, reason).inc()

    def events(self, outcome: str, n: int) -> None:
        """Count events."""
        if n:
            self._counter(self._events, outcome).inc(n)

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """Time a request."""
        key = ("request", route, method, str(status))
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(route, method, str(status))
        child.observe(seconds)  # type: ignore[union-attr]

    def lagged(self, seconds: float) -> None:
        """Note how late the event loop woke up."""
        self._lag.observe(max(0.0, seconds))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time a stage of an uncached answer."""
        start = time.perf_counter()
        try:
            yield
        finally:
            child = self._children.get(("stage", stage))
            if child is None:
                child = self._children["stage", stage] = self._stages.labels(stage)
            child.observe(time.perf_counter() - start)  # type: ignore[union-attr]

    def exposition(self) -> bytes:
        """The text that Prometheus reads; of all workers of this server."""
        if MULTIPROCESS in os.environ:
            together = CollectorRegistry()
            multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            for collector in self._collectors:
                together.register(collector)
            return generate_latest(together)
        return generate_latest(self.registry)

    def _counter(self, counter: Counter, *labels: str) -> Counter:
        key = (counter._name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = counter.labels(*labels)
        assert isinstance(child, Counter)  # noqa: S101
        return child

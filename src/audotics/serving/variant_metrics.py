"""What a worker counts and times by variant, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class VariantMetrics:
    """What is counted by variant, registered with the metrics of a worker.

    Args:
        registry: Of the worker's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "audotics_variant_answers_total",
            "Answers in experiments by variant, where they came from, and whether anything was missing",
            ("variant", "served_from", "degraded"),
            registry=registry,
        )
        self.seconds = Histogram(
            "audotics_variant_answer_seconds",
            "Time of answers in experiments",
            ("variant",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.not_loaded = Counter(
            "audotics_variant_versions_not_loaded_total",
            "Versions of experiments that could not be loaded",
            registry=registry,
        )
        self.unready = Counter(
            "audotics_variant_unready_total",
            "Requests answered as the control without a label, as a version of the experiment is not loaded",
            ("experiment",),
            registry=registry,
        )

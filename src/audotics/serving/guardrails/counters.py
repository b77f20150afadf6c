"""What the guardrails count, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class GuardrailCounters:
    """Registered with the metrics of a worker.

    Args:
        registry: Of the worker's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.drops = Counter(
            "audotics_guardrail_drops_total",
            "Versions dropped while on probation, by the limit that they broke",
            ("check",),
            registry=registry,
        )
        self.passed = Counter(
            "audotics_guardrail_passed_total", "Versions that ended their probation well", registry=registry
        )
        self.stand_ins = Counter(
            "audotics_guardrail_stand_ins_total",
            "Requests that a version on probation failed and the one before answered",
            registry=registry,
        )
        self.shadows = Counter(
            "audotics_guardrail_shadows_total",
            "Answers compared with those of the version before",
            registry=registry,
        )
        self.on_probation = Gauge(
            "audotics_guardrail_probation",
            "Workers whose version is on probation",
            registry=registry,
            multiprocess_mode="livesum",
        )

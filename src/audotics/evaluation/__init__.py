"""Evaluation: full-ranking metrics, intervals over listeners, paired tests, segments and reports."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Answerer": "systems",
    "Comparison": "report",
    "EvaluationReport": "report",
    "HeadMetrics": "heads",
    "Holdout": "holdout",
    "Interval": "significance",
    "MetricsCollector": "collector",
    "ModelEvaluator": "evaluator",
    "SystemResult": "systems",
    "Task": "report",
    "bootstrap_intervals": "significance",
    "content_vectors": "diversity",
    "evaluate_heads": "heads",
    "head_metrics": "heads",
    "holm": "significance",
    "paired_difference": "significance",
    "ranking_metrics": "metrics",
    "report_panels": "render",
    "write_html": "report_html",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audotics.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""Evaluation: full-ranking metrics, intervals over listeners, paired tests, segments and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.evaluation.collector import MetricsCollector as MetricsCollector
    from audotics.evaluation.diversity import content_vectors as content_vectors
    from audotics.evaluation.evaluator import ModelEvaluator as ModelEvaluator
    from audotics.evaluation.heads import HeadMetrics as HeadMetrics
    from audotics.evaluation.heads import evaluate_heads as evaluate_heads
    from audotics.evaluation.heads import head_metrics as head_metrics
    from audotics.evaluation.holdout import Holdout as Holdout
    from audotics.evaluation.metrics import ranking_metrics as ranking_metrics
    from audotics.evaluation.render import report_panels as report_panels
    from audotics.evaluation.report import Comparison as Comparison
    from audotics.evaluation.report import EvaluationReport as EvaluationReport
    from audotics.evaluation.report import Newcomer as Newcomer
    from audotics.evaluation.report import NewcomerReport as NewcomerReport
    from audotics.evaluation.report import Task as Task
    from audotics.evaluation.report_html import write_html as write_html
    from audotics.evaluation.significance import Interval as Interval
    from audotics.evaluation.significance import bootstrap_intervals as bootstrap_intervals
    from audotics.evaluation.significance import holm as holm
    from audotics.evaluation.significance import paired_difference as paired_difference
    from audotics.evaluation.systems import Answerer as Answerer
    from audotics.evaluation.systems import SystemResult as SystemResult

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Answerer": "systems",
        "Comparison": "report",
        "EvaluationReport": "report",
        "HeadMetrics": "heads",
        "Holdout": "holdout",
        "Interval": "significance",
        "MetricsCollector": "collector",
        "ModelEvaluator": "evaluator",
        "Newcomer": "report",
        "NewcomerReport": "report",
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
    },
)

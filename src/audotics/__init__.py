"""Audotics: hybrid music recommendation, from a listening log to evaluated recommendations.

Importing this package is cheap: public names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "DataProcessor": "audotics.features",
    "Dataset": "audotics.data",
    "DeepRecommender": "audotics.ranking",
    "FeaturePipeline": "audotics.recommender",
    "MetricsCollector": "audotics.evaluation",
    "ModelConfig": "audotics.ranking",
    "ModelEvaluator": "audotics.evaluation",
    "Query": "audotics.domain",
    "Recommender": "audotics.recommender",
    "TrainingPipeline": "audotics.training",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audotics' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

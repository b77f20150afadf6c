"""Rankers: order the candidates of a query; the deep one and its rivals.

Names are loaded on first use: the deep ranker brings TensorFlow, the others scikit-learn at most.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "HEADS": "audotics.ranking.protocol",
    "BoostedRanker": "audotics.ranking.boosted",
    "DeepRanker": "audotics.ranking.deep",
    "DeepRecommender": "audotics.ranking.model",
    "LinearRanker": "audotics.ranking.linear",
    "LogisticRanker": "audotics.ranking.logistic",
    "MeanRanker": "audotics.ranking.mean",
    "ModelConfig": "audotics.ranking.config",
    "Ranker": "audotics.ranking.protocol",
    "RankingExamples": "audotics.ranking.protocol",
    "RankingInputs": "audotics.ranking.protocol",
    "SingleRanker": "audotics.ranking.single",
    "validation_ndcg": "audotics.ranking.quality",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audotics.ranking' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

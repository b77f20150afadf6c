"""Rankers: order the candidates of a query; the deep one and its rivals.

Names are loaded on first use: the deep ranker brings TensorFlow, the others scikit-learn at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.ranking.blend import BlendRanker as BlendRanker
    from audotics.ranking.boosted import BoostedRanker as BoostedRanker
    from audotics.ranking.config import ModelConfig as ModelConfig
    from audotics.ranking.deep import DeepRanker as DeepRanker
    from audotics.ranking.head_weights import SURFACES as SURFACES
    from audotics.ranking.head_weights import surface_weights as surface_weights
    from audotics.ranking.head_weights import weighted_by_heads as weighted_by_heads
    from audotics.ranking.heads import HeadModel as HeadModel
    from audotics.ranking.linear import LinearRanker as LinearRanker
    from audotics.ranking.logistic import LogisticRanker as LogisticRanker
    from audotics.ranking.mean import MeanRanker as MeanRanker
    from audotics.ranking.model import DeepRecommender as DeepRecommender
    from audotics.ranking.protocol import HEADS as HEADS
    from audotics.ranking.protocol import Ranker as Ranker
    from audotics.ranking.protocol import RankingExamples as RankingExamples
    from audotics.ranking.protocol import RankingInputs as RankingInputs
    from audotics.ranking.quality import validation_ndcg as validation_ndcg
    from audotics.ranking.single import SingleRanker as SingleRanker

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BlendRanker": "blend",
        "BoostedRanker": "boosted",
        "DeepRanker": "deep",
        "DeepRecommender": "model",
        "HEADS": "protocol",
        "HeadModel": "heads",
        "LinearRanker": "linear",
        "LogisticRanker": "logistic",
        "MeanRanker": "mean",
        "ModelConfig": "config",
        "Ranker": "protocol",
        "RankingExamples": "protocol",
        "RankingInputs": "protocol",
        "SURFACES": "head_weights",
        "SingleRanker": "single",
        "surface_weights": "head_weights",
        "validation_ndcg": "quality",
        "weighted_by_heads": "head_weights",
    },
)

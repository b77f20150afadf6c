"""Audotics: hybrid music recommendation, from a listening log to evaluated recommendations.

Importing this package is cheap: public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names
from audotics.version import __version__ as __version__

if TYPE_CHECKING:
    from audotics.data.dataset import Dataset as Dataset
    from audotics.data.importing import import_dataset as import_dataset
    from audotics.domain import Query as Query
    from audotics.evaluation.collector import MetricsCollector as MetricsCollector
    from audotics.evaluation.evaluator import ModelEvaluator as ModelEvaluator
    from audotics.features.processor import DataProcessor as DataProcessor
    from audotics.ranking.config import ModelConfig as ModelConfig
    from audotics.ranking.model import DeepRecommender as DeepRecommender
    from audotics.recommender.batch import BatchProcessor as BatchProcessor
    from audotics.recommender.feature_pipeline import FeaturePipeline as FeaturePipeline
    from audotics.recommender.recommender import Recommender as Recommender
    from audotics.serving.cache import CacheManager as CacheManager
    from audotics.telemetry.performance import PerformanceMonitor as PerformanceMonitor
    from audotics.training.config import TrainConfig as TrainConfig
    from audotics.training.pipeline import TrainingPipeline as TrainingPipeline

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BatchProcessor": "recommender.batch",
        "CacheManager": "serving.cache",
        "DataProcessor": "features.processor",
        "Dataset": "data.dataset",
        "DeepRecommender": "ranking.model",
        "FeaturePipeline": "recommender.feature_pipeline",
        "MetricsCollector": "evaluation.collector",
        "ModelConfig": "ranking.config",
        "ModelEvaluator": "evaluation.evaluator",
        "PerformanceMonitor": "telemetry.performance",
        "Query": "domain",
        "Recommender": "recommender.recommender",
        "TrainConfig": "training.config",
        "TrainingPipeline": "training.pipeline",
        "import_dataset": "data.importing",
    },
)

"""Candidates, ranking and rules as one object, used offline and online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.recommender.batch import BatchProcessor as BatchProcessor
    from audotics.recommender.feature_pipeline import FeaturePipeline as FeaturePipeline
    from audotics.recommender.recommender import Recommender as Recommender

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BatchProcessor": "batch",
        "FeaturePipeline": "feature_pipeline",
        "Recommender": "recommender",
    },
)

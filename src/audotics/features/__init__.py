"""Features of tracks, listeners and context: fitted with scikit-learn, served from plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.features.audio import audio_features as audio_features
    from audotics.features.content_profile import ContentProfile as ContentProfile
    from audotics.features.context import ContextEncoder as ContextEncoder
    from audotics.features.context_transformer import ContextTransformer as ContextTransformer
    from audotics.features.history import HistoryStatistics as HistoryStatistics
    from audotics.features.persistence import load_processor as load_processor
    from audotics.features.persistence import save_processor as save_processor
    from audotics.features.processor import DataProcessor as DataProcessor
    from audotics.features.terms import TermMatrix as TermMatrix
    from audotics.features.terms import content_terms as content_terms

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ContentProfile": "content_profile",
        "ContextEncoder": "context",
        "ContextTransformer": "context_transformer",
        "DataProcessor": "processor",
        "HistoryStatistics": "history",
        "TermMatrix": "terms",
        "audio_features": "audio",
        "content_terms": "terms",
        "load_processor": "persistence",
        "save_processor": "persistence",
    },
)

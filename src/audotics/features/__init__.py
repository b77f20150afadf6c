"""Features of tracks, listeners and context: fitted with scikit-learn, served from plain arrays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "ContentProfile": "history",
    "ContextEncoder": "context",
    "ContextTransformer": "context_transformer",
    "DataProcessor": "processor",
    "HistoryStatistics": "history",
    "TermMatrix": "terms",
    "audio_features": "audio",
    "content_terms": "terms",
    "load_processor": "persistence",
    "save_processor": "persistence",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audotics.features' has no attribute {name!r}")
    return getattr(import_module(f"audotics.features.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__

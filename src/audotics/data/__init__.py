"""Listening data: the schema, importers, the Dataset folder, splits and the index-space Corpus."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Dataset": "audotics.data.dataset",
    "DatasetWriter": "audotics.data.writer",
    "ImportReport": "audotics.data.importing",
    "import_dataset": "audotics.data.importing",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audotics.data' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

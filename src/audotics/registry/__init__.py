"""Versions and aliases on disk; knows files only.

models/
  versions/<version>/      immutable, with a manifest.json that lists every file
  aliases/<alias>          a text file holding a version
  aliases/history.jsonl    every move of an alias, oldest first
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audotics.registry.manifest import DatasetRecord as DatasetRecord
    from audotics.registry.manifest import FileRecord as FileRecord
    from audotics.registry.manifest import Manifest as Manifest
    from audotics.registry.manifest import VersionRecord as VersionRecord
    from audotics.registry.store import Registry as Registry

_PUBLIC = {
    "DatasetRecord": "audotics.registry.manifest",
    "FileRecord": "audotics.registry.manifest",
    "Manifest": "audotics.registry.manifest",
    "Registry": "audotics.registry.store",
    "VersionRecord": "audotics.registry.manifest",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'audotics.registry' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

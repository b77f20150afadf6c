"""Versions and aliases on disk; knows files only.

models/
  versions/<version>/      immutable, with a manifest.json that lists every file
  aliases/<alias>          a text file holding a version
  aliases/history.jsonl    every move of an alias, oldest first
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.registry.manifest import DatasetRecord as DatasetRecord
    from audotics.registry.manifest import FileRecord as FileRecord
    from audotics.registry.manifest import Manifest as Manifest
    from audotics.registry.manifest import VersionRecord as VersionRecord
    from audotics.registry.store import Registry as Registry

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "DatasetRecord": "manifest",
        "FileRecord": "manifest",
        "Manifest": "manifest",
        "Registry": "store",
        "VersionRecord": "manifest",
    },
)

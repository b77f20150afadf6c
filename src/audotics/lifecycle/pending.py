"""Challengers that a killed retraining left: published, and not judged to the end."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from audotics.errors import DamagedError
from audotics.lifecycle.data_folders import DataFolders
from audotics.lifecycle.reports import ReportFolder
from audotics.registry.manifest import Manifest
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry

ORIGIN = "retrained"
"""Entry of a manifest's ``config`` that says from which champion a version was retrained."""


def find_pending(
    registry: Registry, folders: DataFolders, reports: ReportFolder, champion: str
) -> Manifest | None:
    """The newest challenger of a champion, if it still waits for its judgement or its promotion.

    One whose data is gone cannot be judged any more, and one that was champion already was moved away from on
    purpose: neither waits.

    Args:
        registry: Of the versions.
        folders: Their data.
        reports: What became of challengers.
        champion: The version that serves.

    Raises:
        DamagedError: A report or a record cannot be read.
    """
    for version in reversed(registry.versions()):
        if version <= champion:
            return None
        try:
            manifest = registry.show(version)
        except DamagedError:
            continue
        is_its = _origin(manifest).get("champion") == champion
        if not is_its or folders.find(manifest.dataset.fingerprint) is None:
            continue
        report = reports.of(version)
        promoting = report is not None and report.outcome == "passed"
        return manifest if report is None or (promoting and not _was_moved_from(registry, version)) else None
    return None


def held_out_from_of(challenger: Manifest) -> datetime:
    """From when on events were held out of a retraining."""
    return datetime.fromisoformat(str(_origin(challenger)["held_out_from"]))


def _origin(manifest: Manifest) -> dict[str, JsonValue]:
    """What a manifest says of its retraining; empty where a version was trained otherwise."""
    origin = manifest.config.get(ORIGIN)
    return origin if isinstance(origin, dict) else {}


def _was_moved_from(registry: Registry, version: str) -> bool:
    """Whether the version was champion until somebody moved on or back."""
    return ("set", version) in registry.moves(CHAMPION)[:-1]

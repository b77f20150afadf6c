"""Removing old versions, never one that is needed."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audotics.errors import BadInputError
from audotics.registry.aliases import Aliases
from audotics.registry.durable import append_line, flush_folder, locked, make_folder
from audotics.registry.names import is_version
from audotics.registry.seals import Seals

LOG = "pruned.jsonl"
"""Every removal, oldest first, in the models folder."""

ROLLBACKS = 2
"""How many steps back of every alias stay possible."""

_PRUNED = ".pruned-"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be.

    Args:
        removed: Versions and their bytes, oldest first.
        kept: Versions and why each stays, oldest first.
    """

    removed: dict[str, int]
    kept: dict[str, str]


class Pruning:
    """Removes versions of one models folder.

    Args:
        models_dir: The folder.
        aliases: Its aliases.
        seals: Its seals.
    """

    def __init__(self, models_dir: Path, aliases: Aliases, seals: Seals) -> None:
        self._models_dir = models_dir
        self._versions = models_dir / "versions"
        self._aliases_dir = models_dir / "aliases"
        self._aliases = aliases
        self._seals = seals

    def prune(self, keep: int, protected: Collection[str], *, dry_run: bool) -> Pruned:
        """See `Registry.prune`."""
        if keep < 1:
            raise BadInputError("at least one version must be kept", where="keep")
        make_folder(self._aliases_dir)
        # No alias can move to a version between the decision and its disappearance.
        with locked(self._aliases_dir):
            plan = self._plan(keep, protected)
            if dry_run:
                return plan
            for version, size in plan.removed.items():
                self._put_away(version, size, keep)
        self._delete_put_away()
        return plan

    def _plan(self, keep: int, protected: Collection[str]) -> Pruned:
        versions = sorted(path.name for path in self._versions.glob("*") if is_version(path.name))
        reasons = dict.fromkeys(versions[-keep:], f"among the newest {keep}")
        reasons |= dict.fromkeys(protected, "protected")
        reasons |= dict(self._needed())
        removed = {name: _size(self._versions / name) for name in versions if name not in reasons}
        return Pruned(removed, {name: reasons[name] for name in versions if name in reasons})

    def _needed(self) -> Iterator[tuple[str, str]]:
        """Versions that aliases point to, or lead back to; the stronger reason last."""
        for name in self._aliases.names():
            for version in self._aliases.earlier(name)[:ROLLBACKS]:
                yield version, f"{name} can be rolled back to it"
        for name in self._aliases.names():
            current = self._aliases.get(name)
            if current is not None:
                yield current, name

    def _put_away(self, version: str, size: int, keep: int) -> None:
        """Take the version out of sight in one step. Readers that have its files open keep them."""
        removed_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"at": removed_at, "version": version, "bytes": size, "keep": keep}
        append_line(self._models_dir / LOG, json.dumps(entry))
        self._seals.remove(self._versions / version)
        (self._versions / version).rename(self._versions / f"{_PRUNED}{version}-{secrets.token_hex(4)}")
        flush_folder(self._versions)

    def _delete_put_away(self) -> None:
        """Also what an earlier run put away before it was killed."""
        for folder in self._versions.glob(f"{_PRUNED}*"):
            shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())

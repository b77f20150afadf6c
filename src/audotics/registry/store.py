"""The model store: publish, verify and find versions."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from audotics.errors import BadInputError
from audotics.registry.aliases import Aliases
from audotics.registry.durable import (
    FOLDER_MODE,
    flush_folder,
    make_folder,
    seal_file,
    try_lock,
    write_new,
)
from audotics.registry.manifest import MANIFEST, FileRecord, Manifest, VersionRecord, complete, read_manifest
from audotics.registry.names import LATEST, is_version, version_at
from audotics.registry.pruning import Pruned, Pruning
from audotics.registry.seals import Seals
from audotics.registry.verify import regular_files, verify_folder

_STAGING = ".staging-"


class Registry:
    """Versions and aliases under one folder.

    A version appears whole or not at all, whatever happens to the process that publishes it:

        with registry.stage() as staging:
            (staging / "model.npy").write_bytes(...)
            version = registry.publish(staging, record)
        registry.set_alias("champion", version)

    Args:
        models_dir: The folder; created with the first version.
    """

    def __init__(self, models_dir: Path) -> None:
        self.models_dir = Path(models_dir)
        self._versions = self.models_dir / "versions"
        self._aliases = Aliases(self.models_dir / "aliases")
        self._seals = Seals(self.models_dir / "seals")

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """An empty folder to build a version in; gone afterwards unless it was published.

        What processes that died left of theirs is removed first.
        """
        make_folder(self._versions)
        self._remove_dead_stagings()
        staging, lock = self._new_staging()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            os.close(lock)

    def publish(self, staging: Path, record: VersionRecord) -> str:
        """Make the staged files a version; return its id.

        Every file is hashed, restricted to its owner and flushed to the disk before the folder
        gets its final name in one step.

        Raises:
            BadInputError: The folder is not from `stage`, or already holds a manifest.
            DamagedError: It holds a link or a special file.
        """
        if staging.parent != self._versions or not staging.name.startswith(_STAGING):
            raise BadInputError("only a folder from `stage` can be published", where=str(staging))
        if (staging / MANIFEST).exists():
            raise BadInputError("the staged files must not include a manifest", where=str(staging / MANIFEST))
        files = {}
        for name, path in regular_files(staging):
            sha256, size = seal_file(path)
            files[name] = FileRecord(size=size, sha256=sha256)
        for folder, _, _ in os.walk(staging, topdown=False):
            Path(folder).chmod(FOLDER_MODE)
            flush_folder(Path(folder))
        while True:
            now = datetime.now(UTC)
            version = version_at(now)
            write_new(staging / MANIFEST, complete(record, version, now, files).to_json())
            flush_folder(staging)
            try:
                staging.rename(self._versions / version)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                (staging / MANIFEST).unlink()  # another process took this moment; the next one is free
                continue
            flush_folder(self._versions)
            self._seals.seal(self._versions / version)
            return version

    def verify(self, reference: str, is_opened: Callable[[str], bool] = lambda _: True) -> Manifest:
        """Check every file of a version (an id, an alias or ``latest``) against its manifest.

        Args:
            reference: Which version.
            is_opened: Whether a file, by its name, will be opened: of the others only presence and size are
                checked.

        Raises:
            BadInputError: There is no such version.
            DamagedError: Names the file that is not as published.
        """
        return verify_folder(self.folder(reference), is_opened)

    def show(self, reference: str) -> Manifest:
        """The manifest of a version (an id, an alias or ``latest``), its files unchecked."""
        return read_manifest(self.folder(reference))

    def folder(self, reference: str) -> Path:
        """Where a version (an id, an alias or ``latest``) lies. Use nothing in it before `verify`."""
        return self._versions / self.resolve(reference)

    def versions(self) -> tuple[str, ...]:
        """Every version, oldest first."""
        if not self._versions.is_dir():
            return ()
        return tuple(sorted(path.name for path in self._versions.iterdir() if is_version(path.name)))

    def resolve(self, reference: str) -> str:
        """The version that an id, an alias or ``latest`` stands for.

        Raises:
            BadInputError: There is none.
        """
        versions = self.versions()
        if reference == LATEST:
            found = versions[-1] if versions else None
        else:
            found = reference if is_version(reference) else self.alias(reference)
        if found is None or found not in versions:
            raise BadInputError(
                f"there is no version {reference!r}" if versions else "there is no version yet",
                where=str(self.models_dir),
                remedy="See them with `audotics models list`" if versions else "Make one: `audotics train`",
            )
        return found

    def aliases(self) -> dict[str, str]:
        """Every alias and the version it points to."""
        pointers = ((name, self._aliases.get(name)) for name in self._aliases.names())
        return {name: version for name, version in pointers if version is not None}

    def alias(self, name: str) -> str | None:
        """The version an alias points to, or None."""
        return self._aliases.get(name)

    def moves(self, name: str) -> list[tuple[str, str]]:
        """Every move of an alias, oldest first: ``set`` or ``rollback``, and the version it went to."""
        return self._aliases.moves(name)

    def set_alias(self, name: str, version: str) -> str:
        """Point an alias to a version (an id, another alias or ``latest``) that verifies; return its id.

        Raises:
            BadInputError: The alias is no valid name, or there is no such version.
            DamagedError: The version is damaged; the alias stays where it was.
        """
        found = self._seals.verify(self.folder(version)).version
        # Between verifying and setting somebody may have pruned it.
        self._aliases.set(name, found, check=self.resolve)
        return found

    def set_at(self, name: str) -> int:
        """When an alias was last set or rolled back, in nanoseconds; 0 where there is none."""
        return self._aliases.set_at(name)

    def rollback(self, name: str, away_from: str | None = None) -> str:
        """Point an alias back to the version before its last move, if that is whole; return its id.

        This takes no longer for large versions: a version whose seal holds is not hashed again (`Seals`). The
        server that loads it does.

        Args:
            name: The alias.
            away_from: Only where it still points to this version; else nothing happens, and the version that
                it points to is returned.

        Raises:
            BadInputError: There is no such alias, or no move to take back.
            DamagedError: The earlier version is damaged; the alias stays where it was.
        """
        return self._aliases.rollback(name, check=self._is_whole, away_from=away_from)

    def prune(self, keep: int, *, protected: Collection[str] = (), dry_run: bool = False) -> Pruned:
        """Remove old versions, and note each in ``pruned.jsonl``.

        What stays: the newest ``keep``, what an alias points to, and what rolling one back twice leads to. A
        version is renamed away first and then deleted, so that nobody sees a part of it; a server that has it
        loaded goes on with the files it has open.

        Args:
            keep: How many of the newest stay in any case.
            protected: Versions that stay, too.
            dry_run: Only tell.

        Raises:
            BadInputError: ``keep`` is not positive.
        """
        return Pruning(self.models_dir, self._aliases, self._seals).prune(keep, protected, dry_run=dry_run)

    def _is_whole(self, version: str) -> None:
        folder = self.folder(version)
        if not self._seals.holds(folder):
            self._seals.verify(folder)

    def _new_staging(self) -> tuple[Path, int]:
        while True:
            staging = self._versions / f"{_STAGING}{secrets.token_hex(8)}"
            staging.mkdir(mode=FOLDER_MODE)
            lock = self._try_lock(staging)
            if lock is not None:
                return staging, lock

    def _remove_dead_stagings(self) -> None:
        for staging in self._versions.glob(f"{_STAGING}*"):
            lock = self._try_lock(staging)
            if lock is not None:
                shutil.rmtree(staging, ignore_errors=True)
                os.close(lock)

    @staticmethod
    def _try_lock(staging: Path) -> int | None:
        # Between making a folder and locking it another process may take it for a dead one and remove it:
        # the lock counts only while the folder is still there.
        try:
            lock = try_lock(staging)
        except FileNotFoundError:
            return None
        if lock is not None and not staging.exists():
            os.close(lock)
            return None
        return lock

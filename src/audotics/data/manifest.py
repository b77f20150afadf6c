"""The manifest of a Dataset: what was read, what is in the folder, and proof that nothing changed."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from audotics.data.schema import SCHEMA_VERSION
from audotics.errors import DamagedError
from audotics.registry.manifest import FileRecord
from audotics.registry.reading import read_record

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 << 20

_REMEDY = "Restore the folder from a copy or import the data again"


class Counts(BaseModel):
    """What became of the rows of one source table: ``read = accepted + merged + rejected``, always.

    Args:
        read: Rows read.
        accepted: Rows taken.
        merged: Rows that repeat an accepted row exactly.
        rejected: Rows refused; each stands in ``rejects.parquet``.
        left_out: Rows beside these that a set's rules exclude (tags of held-out artists).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: NonNegativeInt = 0
    accepted: NonNegativeInt = 0
    merged: NonNegativeInt = 0
    rejected: NonNegativeInt = 0
    left_out: NonNegativeInt = 0


class Manifest(BaseModel):
    """Contents of ``manifest.json``.

    Args:
        schema_version: Version of the table schema; newer ones are refused.
        created_at: When it was written.
        created_by: Package and version that wrote it.
        source: Format and names of the sources, for people.
        counts: Accounting per source table (``events``, ``tracks``, ``tracks.tags``, ...).
        rows: Rows per stored table.
        time_range: First and last event, null for data without times.
        files: Every file of the folder but this one, by relative path.
        fingerprint: SHA-256 over paths and digests of ``files``: equal data, equal fingerprint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["audotics-dataset"] = "audotics-dataset"
    schema_version: int
    created_at: datetime
    created_by: str
    source: str
    counts: dict[str, Counts]
    rows: dict[str, NonNegativeInt]
    time_range: tuple[datetime, datetime] | None
    files: dict[str, FileRecord]
    fingerprint: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Parse the manifest of ``folder`` and check that it agrees with itself.

        Raises:
            DamagedError: It is torn, a link, from a newer version, or names files outside the folder.
        """
        path = folder / MANIFEST_NAME
        manifest = read_record(path, cls, newest=SCHEMA_VERSION, max_bytes=MAX_MANIFEST_BYTES, remedy=_REMEDY)
        if manifest.fingerprint != fingerprint_of(manifest.files):
            raise _damaged("the manifest does not agree with its own fingerprint", path)
        return manifest


def fingerprint_of(files: dict[str, FileRecord]) -> str:
    """One SHA-256 over the sorted paths and digests of all files."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name].sha256}\n".encode())
    return digest.hexdigest()


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Check that the folder holds exactly the files of the manifest, bit by bit.

    Raises:
        DamagedError: Naming the first file that is missing, changed, unlisted, or a link.
    """
    present = set()
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise _damaged("links are not allowed in a dataset", path)
        if not path.is_dir():
            present.add(path.relative_to(folder).as_posix())
    for name in sorted(present - set(manifest.files) - {MANIFEST_NAME}):
        raise _damaged("the file is not in the manifest", folder / name)
    for name, stored in sorted(manifest.files.items()):
        if name not in present:  # also every name that leaves the folder
            raise _damaged("the file is missing", folder / name)
        if (folder / name).stat().st_size != stored.size or _sha256(folder / name) != stored.sha256:
            raise _damaged("the file is not what its manifest says", folder / name)


def _damaged(what: str, path: Path) -> DamagedError:
    return DamagedError(what, where=str(path), remedy=_REMEDY)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

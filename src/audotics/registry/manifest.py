"""What stands in a version's ``manifest.json``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, field_validator

from audotics.errors import DamagedError
from audotics.registry.names import check_name
from audotics.registry.reading import read_record
from audotics.telemetry import StageRecord

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 2**20

_REMEDY = "Copy the version again, or train a new one"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Record):
    """Size in bytes and SHA-256 (hex) of one file."""

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DatasetRecord(_Record):
    """The data a version was trained on.

    Args:
        fingerprint: Of the whole Dataset, from its own manifest.
        starts_at: Time of the first event; None for data without times.
        ends_at: Time of the last event; None for data without times.
    """

    fingerprint: str
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class VersionRecord(_Record):
    """What training says of a version when it publishes it.

    Args:
        name: A name for people, ``[A-Za-z0-9._-]{1,64}``; need not be unique.
        code_version: Of Audotics.
        config: Every setting in force, defaults included.
        dataset: What it was trained on.
        metrics: What evaluation measured before publishing.
        seeds: Of everything random.
        timings: Seconds and peak memory of each stage of training.
        environment: Versions of Python and the libraries.
        vocabulary_hash: Of the listener and track vocabularies that every part was trained with.
    """

    name: str
    code_version: str
    config: dict[str, JsonValue]
    dataset: DatasetRecord
    metrics: dict[str, JsonValue] = {}
    seeds: dict[str, int] = {}
    timings: tuple[StageRecord, ...] = ()
    environment: dict[str, str] = {}
    vocabulary_hash: str

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return check_name(name, "version name")


class Manifest(VersionRecord):
    """A published version: what training said, and what publishing found in the folder.

    Args:
        schema_version: Of this file.
        version: The folder's name.
        created_at: Time of publishing, UTC.
        files: Every file but the manifest, by its path inside the folder with ``/`` between parts.
    """

    schema_version: int
    version: str
    created_at: AwareDatetime
    files: dict[str, FileRecord]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size for file in self.files.values())

    @property
    def training_s(self) -> float:
        """Seconds of all stages of training; stages inside others count once."""
        return sum(stage.seconds for stage in self.timings if " / " not in stage.name)

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        return self.model_dump_json(indent=2) + "\n"


def complete(record: VersionRecord, version: str, at: datetime, files: dict[str, FileRecord]) -> Manifest:
    """The manifest of a version about to be published."""
    # Field by field, not by dumping: nested records stay what they are.
    said = {name: getattr(record, name) for name in VersionRecord.model_fields}
    return Manifest(schema_version=SCHEMA_VERSION, version=version, created_at=at, files=files, **said)


def read_manifest(folder: Path) -> Manifest:
    """Read and validate a version's manifest; its files are not looked at.

    Raises:
        DamagedError: It is missing, unreadable, too large, of a newer schema or of another version.
    """
    path = folder / MANIFEST
    manifest = read_record(
        path, Manifest, newest=SCHEMA_VERSION, max_bytes=MAX_MANIFEST_BYTES, remedy=_REMEDY
    )
    if manifest.version != folder.name:
        raise damaged(f"the manifest is of version {manifest.version!r}", path)
    return manifest


def damaged(what: str, path: Path) -> DamagedError:
    """The error of a version whose file or folder ``path`` is not as it was published."""
    return DamagedError(what, where=str(path), remedy=_REMEDY)

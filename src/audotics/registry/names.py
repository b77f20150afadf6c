"""Names of versions and aliases, checked before they become part of a path."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from audotics.errors import BadInputError

_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_PARTS_OF_SECOND = 1 << 16

CHAMPION = "champion"
"""The alias of the version that serves."""

CHALLENGER = "challenger"
"""The alias of the version that was trained last to take its place."""

LATEST = "latest"
"""Stands for the version published last; never an alias."""


def check_name(name: str, kind: str) -> str:
    """Return the name.

    Raises:
        BadInputError: It could leave its folder or hide in it.
    """
    if _NAME.fullmatch(name) is None:
        raise BadInputError(
            f"{name!r} is not a valid {kind}",
            remedy="Use 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'",
        )
    return name


def check_alias(name: str) -> str:
    """Return the alias.

    Raises:
        BadInputError: It is no name, or could be mistaken for a version.
    """
    if name in {LATEST, "history.jsonl"} or is_version(name):
        raise BadInputError(f"{name!r} cannot be an alias", remedy=f"Choose another name, such as {CHAMPION}")
    return check_name(name, "alias")


def is_version(name: str) -> bool:
    """Whether the name has the form of a version, ``20261123T101500Z-3f2a``."""
    return _VERSION.fullmatch(name) is not None


def version_at(time: datetime) -> str:
    """The version published at this time; versions sort by time, to 1/65536 of a second."""
    time = time.astimezone(UTC)
    return f"{time:%Y%m%dT%H%M%SZ}-{time.microsecond * _PARTS_OF_SECOND // 1_000_000:04x}"


def published_at(version: str) -> datetime:
    """When a version was published, to the second."""
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

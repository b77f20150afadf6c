"""Reading a manifest that may be damaged or forged: bounded, not through links, every fault named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from audotics.errors import BadInputError, DamagedError

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_record(path: Path, model: type[ModelT], *, newest: int, max_bytes: int, remedy: str) -> ModelT:
    """A JSON file with a ``schema_version`` as a validated record.

    Args:
        path: The file.
        model: What it should hold.
        newest: The newest schema that this release reads.
        max_bytes: Size above which it is not read.
        remedy: What helps where it is damaged.

    Raises:
        DamagedError: It is missing, a link, too large, torn, of a newer schema, or lacks a field.
    """
    text = _read(path, max_bytes, remedy)
    try:
        found = json.loads(text)["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError("is not a manifest", where=str(path), remedy=remedy) from error
    if not isinstance(found, int) or found > newest:
        raise DamagedError(
            f"the manifest has schema {found!r}, this release reads up to {newest}",
            where=str(path),
            remedy="Install the release of Audotics that wrote it, or a newer one",
        )
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        what = f"field {field!r} of the manifest: {first['msg']}"
        raise DamagedError(what, where=str(path), remedy=remedy) from error
    except BadInputError as error:  # a name that cannot be one
        raise DamagedError(error.what, where=str(path), remedy=remedy) from error


def _read(path: Path, max_bytes: int, remedy: str) -> bytes:
    try:
        # O_NOFOLLOW: a link could lead anywhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise DamagedError(f"cannot be read ({error.strerror})", where=str(path), remedy=remedy) from error
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(max_bytes + 1)
    if len(text) > max_bytes:
        raise DamagedError(f"is larger than {max_bytes:,} bytes", where=str(path), remedy=remedy)
    return text

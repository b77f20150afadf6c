"""Seals: proof, without reading a gigabyte, that a version's files are those that were verified.

A seal notes what the file system says of every file whose hash was right: size, times of change, number of
the inode. Whoever writes into a file, or puts another in its place, moves the time that the inode changed,
which no program can set back. What a seal cannot see is a disk that returns other bytes than were written: so
a server still reads and hashes everything before it loads a version.

    models/seals/<version>.json
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from audotics.errors import DamagedError
from audotics.registry.durable import make_folder, replace_text
from audotics.registry.manifest import Manifest
from audotics.registry.verify import regular_files, verify_folder

_Marks = dict[str, list[int]]


class Seals:
    """Notes of verified versions.

    Args:
        folder: Where they lie; created with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seal(self, version_folder: Path) -> None:
        """Note the files of a version as they are: they were written and hashed just now."""
        self._write(version_folder, _marks(version_folder))

    def verify(self, version_folder: Path) -> Manifest:
        """Hash every file (`verify_folder`), and seal the version as it was before.

        Raises:
            DamagedError: Names the file that is not as published.
        """
        marks: _Marks = {}
        with suppress(OSError):  # a folder that is gone: hashing says so in words
            marks = _marks(version_folder)  # first: what changes while it is hashed breaks the seal
        manifest = verify_folder(version_folder)
        self._write(version_folder, marks)
        return manifest

    def holds(self, version_folder: Path) -> bool:
        """Whether there is a seal, and every file is as it was then, with none more or less."""
        try:
            sealed = json.loads(self._path(version_folder).read_bytes())
            return bool(sealed == _marks(version_folder))
        except (OSError, ValueError, DamagedError):
            return False

    def remove(self, version_folder: Path) -> None:
        """Forget a version."""
        self._path(version_folder).unlink(missing_ok=True)

    def _write(self, version_folder: Path, marks: _Marks) -> None:
        # Where it cannot be written nothing is lost: an unsealed version is hashed again when it matters.
        with suppress(OSError):
            make_folder(self._folder)
            replace_text(self._path(version_folder), json.dumps(marks))

    def _path(self, version_folder: Path) -> Path:
        return self._folder / f"{version_folder.name}.json"


def _marks(version_folder: Path) -> _Marks:
    marks = {}
    for name, path in regular_files(version_folder):
        status = path.stat(follow_symlinks=False)
        marks[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return marks

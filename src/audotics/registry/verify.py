"""Checking a version's folder against its manifest before anything in it is used."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from audotics.registry.manifest import MANIFEST, FileRecord, Manifest, damaged, read_manifest


def regular_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below the folder: its name inside (``/`` between parts) and its path, sorted by name.

    Raises:
        DamagedError: Something is a link or neither file nor folder.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from ((f"{entry.name}/{name}", inner) for name, inner in regular_files(path))
        elif entry.is_file(follow_symlinks=False):
            yield entry.name, path
        else:
            raise damaged("is a link or a special file, a version holds neither", path)


def verify_folder(folder: Path, is_opened: Callable[[str], bool] = lambda _: True) -> Manifest:
    """Check every file's presence and size, its SHA-256 if it will be opened, and that there is no other.

    Args:
        folder: Of the version.
        is_opened: Whether a file, by its name in the manifest, will be opened by whoever asks.

    Raises:
        DamagedError: Names the first file that is not as the manifest says.
    """
    if folder.is_symlink():
        raise damaged("is a link, a version is a folder", folder)
    manifest = read_manifest(folder)
    present = dict(regular_files(folder))
    del present[MANIFEST]
    for name in manifest.files:
        _check_inside(folder, name)
    for name, path in present.items():
        if name not in manifest.files:
            raise damaged("is not listed in the manifest", path)
    for name, record in manifest.files.items():
        if name not in present:
            raise damaged("is listed in the manifest but missing", folder / name)
        _check_content(present[name], record, hashed=is_opened(name))
    return manifest


def _check_inside(folder: Path, name: str) -> None:
    # The resolved path decides, not the text: ".." and absolute names both end up here.
    if "\0" in name or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise damaged(f"lists {name!r}, which lies outside the version", folder / MANIFEST)


def _check_content(path: Path, record: FileRecord, *, hashed: bool) -> None:
    # The walk saw a file; refusing links again here leaves no moment in which one could take its place.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != record.size:
            raise damaged(f"has {status.st_size:,} bytes instead of {record.size:,}", path)
        if hashed and hashlib.file_digest(file, "sha256").hexdigest() != record.sha256:
            raise damaged("has other content than when it was published", path)

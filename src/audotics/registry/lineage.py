"""Where a version comes from: the code and the machine that trained it."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from audotics.version import __version__

LIBRARIES = ("numpy", "scipy", "polars", "scikit-learn", "tensorflow", "keras")

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PACKAGE = Path(__file__).parents[1]


def code_version(package: Path = _PACKAGE) -> str:
    """Version of Audotics, with the commit where it runs from a git checkout: ``0.1.0+g3f2a9c01d4e5``.

    The commit is read from git's files, without running git. Changes that are not committed do not show.

    Args:
        package: Folder of the package.
    """
    commit = _commit(package)
    return f"{__version__}+g{commit[:12]}" if commit else __version__


def environment() -> dict[str, str]:
    """Python, system, processor, cores, and the versions of the libraries that are installed."""
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": str(os.cpu_count() or 1),
    }
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _commit(package: Path) -> str:
    """The checked-out commit; empty where the package does not run from its own checkout."""
    if package.parent.name != "src":  # installed somewhere inside a checkout of something else
        return ""
    try:
        git = _git_folder(package.parents[1] / ".git")
        head = _text(git / "HEAD")
        if not head.startswith("ref: "):
            return head if _COMMIT.fullmatch(head) else ""
        common = git / _text(git / "commondir") if (git / "commondir").is_file() else git
        return _named(common, head.removeprefix("ref: "))
    except (OSError, UnicodeDecodeError):
        return ""


def _git_folder(path: Path) -> Path:
    """Where git keeps its files: a linked work tree has a file that says so."""
    if path.is_dir():
        return path
    return path.parent / _text(path).removeprefix("gitdir: ")


def _named(git: Path, reference: str) -> str:
    loose = git / reference
    if loose.is_file():
        found = _text(loose)
        return found if _COMMIT.fullmatch(found) else ""
    for line in _text(git / "packed-refs").splitlines():
        commit, _, name = line.partition(" ")
        if name == reference and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()

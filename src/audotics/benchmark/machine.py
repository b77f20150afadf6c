"""What a benchmark ran on: a figure without its machine, threads and versions says little."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from audotics.version import __version__

LIBRARIES = ("numpy", "scipy", "polars", "scikit-learn", "tensorflow", "keras", "optuna")
"""Libraries of ours whose versions matter; those of the peers come on top."""

_CPU_INFO = Path("/proc/cpuinfo")


class Machine(BaseModel):
    """Hardware and software.

    Args:
        processor: Its name, as far as the system tells.
        cores: Processor cores that this process may use.
        memory_gib: Physical memory.
        system: Operating system.
        versions: Python, Audotics and libraries -> version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: dict[str, str]


def this_machine(libraries: Iterable[str] = ()) -> Machine:
    """Describe the machine and the installed versions.

    Args:
        libraries: Distributions to name beside `LIBRARIES`.
    """
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        memory_gib=pages / 2**30,
        system=platform.platform(),
        versions={
            "python": platform.python_version(),
            "audotics": __version__,
            **_versions(dict.fromkeys([*LIBRARIES, *libraries])),
        },
    )


def usable_cores() -> int:
    """Processor cores that this process may use."""
    # Only Linux tells which cores a process may use.
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in _CPU_INFO.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    found = {}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found

"""Processes of Ray that a process has started, by what they are at."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPLICA = "ray::ServeReplica"
TRAINER = "RayTrainWorker"


def ray_processes(at: str = "", below: int | None = None) -> list[int]:
    """Ids of Ray's processes below one (this one), oldest first.

    Args:
        at: Part of their title, into which Ray writes what a worker does: ``ray::read_shard``.
        below: Whose descendants; clusters of others on the machine are not meant.
    """
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        parents[int(folder.name)] = int(stat.rsplit(")", 1)[1].split()[1])
        titles[int(folder.name)] = title
    root = below or os.getpid()
    return sorted(
        process
        for process, title in titles.items()
        if title.startswith("ray::") and at in title and root in _ancestors(process, parents)
    )


def _ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    while process in parents:
        process = parents[process]
        yield process


@contextmanager
def peaks_of_workers() -> Iterator[dict[int, float]]:
    """Peak memory in MiB of this process' workers by id, as long as a block lasts."""
    peaks: dict[int, float] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for process in ray_processes():
                try:
                    status = Path(f"/proc/{process}/status").read_text()
                except OSError:
                    continue
                for line in status.splitlines():
                    if line.startswith("VmHWM:"):
                        peaks[process] = int(line.split()[1]) / 1024

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()

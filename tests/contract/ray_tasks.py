"""Tasks for Ray's workers, which import them by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from audotics.errors import BadInputError


def square(number: int) -> int:
    return number * number


def process_and_threads(_: int) -> tuple[int, str]:
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


def die_first(marker: Path) -> int:
    """Killed as by the system when memory runs out, the first time; then the process that answers."""
    if not marker.exists():
        marker.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def always_die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number: int) -> None:
    raise BadInputError(f"{number} is odd", where="task", remedy="Double it")


def divide(number: int) -> float:
    return 1 / number

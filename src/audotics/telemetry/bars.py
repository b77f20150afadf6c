"""Progress bars on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress

from audotics.telemetry.progress import Stage, StageRecord


class Bars:
    """One bar per running stage; a finished stage leaves one line behind.

    Args:
        console: The terminal; standard error where not given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[Stage, TaskID] = {}

    def started(self, stage: Stage) -> None:
        """Add a bar."""
        if not self._tasks:
            self._bars.start()
        self._tasks[stage] = self._bars.add_task(stage.name, total=stage.total)

    def advanced(self, stage: Stage) -> None:
        """Move the bar."""
        self._bars.update(self._tasks[stage], completed=stage.done)

    def finished(self, stage: Stage, record: StageRecord | None) -> None:
        """Replace the bar by a line, or by nothing where the stage failed."""
        self._bars.remove_task(self._tasks.pop(stage))
        if record is not None:
            cost = f"{record.seconds:.1f} s, peak {record.peak_memory_mib:,.0f} MiB"
            self._bars.console.print(f"{record.name}: {cost}", markup=False, highlight=False)
        if not self._tasks:
            self._bars.stop()

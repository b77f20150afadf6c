"""Progress of long work: a bar on a terminal, a line per stage elsewhere, and a record of every stage.

Whoever works calls `Progress.stage`; who watches is decided once, where the work is started:

    progress = progress_on_stderr()
    with progress.stage("read events", total=n_rows) as stage:
        stage.advance(1000)
    progress.records  # seconds and peak memory of each finished stage
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TextIO

from audotics.telemetry.memory import peak_memory_mib, restart_peak


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What one finished stage cost.

    Args:
        name: The stage; a stage inside another has both names joined by `` / ``.
        seconds: Wall-clock time.
        peak_memory_mib: Highest resident memory of the process during the stage, MiB.
        done: Units advanced (rows, batches); 0 where the stage counts nothing.
    """

    name: str
    seconds: float
    peak_memory_mib: float
    done: int = 0


class View(Protocol):
    """Shows stages to somebody."""

    def started(self, stage: Stage) -> None:
        """A stage begins."""
        ...

    def advanced(self, stage: Stage) -> None:
        """``stage.done`` grew."""
        ...

    def finished(self, stage: Stage, record: StageRecord | None) -> None:
        """A stage ends; the record is None where it failed."""
        ...


class Stage:
    """A stage under way.

    Args:
        name: Full name, outer stages first.
        total: Units to do, where known.
        view: Who watches.
    """

    def __init__(self, name: str, total: int | None, view: View | None) -> None:
        self.name = name
        self.total = total
        self.done = 0
        self.peak_memory_mib = 0.0
        self._view = view

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more units as done."""
        self.done += n
        if self._view is not None:
            self._view.advanced(self)


def _nothing_in_the_way() -> None:
    """The checkpoint of work that nobody ends."""


class Progress:
    """Runs stages, shows them and remembers what they cost.

    Args:
        view: Who watches; None is silent.
        checkpoint: Called before every stage, and by whoever works between two steps; raises to end the work
            there.
    """

    def __init__(
        self, view: View | None = None, checkpoint: Callable[[], None] = _nothing_in_the_way
    ) -> None:
        self.records: list[StageRecord] = []
        self.checkpoint = checkpoint
        self._view = view
        self._open: list[Stage] = []

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Stage]:
        """Run a stage; it is recorded when it ends well.

        Args:
            name: What is being done, in a few words.
            total: Units to do, where known.
        """
        self.checkpoint()
        stage = Stage(" / ".join([*(outer.name for outer in self._open[-1:]), name]), total, self._view)
        self._begin(stage)
        started = time.perf_counter()
        record = None
        try:
            yield stage
            seconds = time.perf_counter() - started
            peak = max(stage.peak_memory_mib, peak_memory_mib())
            record = StageRecord(stage.name, seconds, peak, stage.done)
            self.records.append(record)
        finally:
            self._end(stage, record)

    def _begin(self, stage: Stage) -> None:
        self._credit_outer_stage()
        restart_peak()
        self._open.append(stage)
        if self._view is not None:
            self._view.started(stage)

    def _end(self, stage: Stage, record: StageRecord | None) -> None:
        self._open.remove(stage)
        self._credit_outer_stage()
        if self._open:
            self._open[-1].peak_memory_mib = max(self._open[-1].peak_memory_mib, stage.peak_memory_mib)
        if self._view is not None:
            self._view.finished(stage, record)

    def _credit_outer_stage(self) -> None:
        # The system keeps one peak. Before an inner stage restarts it, the outer one takes note.
        if self._open:
            self._open[-1].peak_memory_mib = max(self._open[-1].peak_memory_mib, peak_memory_mib())


class Lines:
    """One plain line per finished stage.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, stage: Stage) -> None:
        """Nothing yet: the line tells what the stage took."""

    def advanced(self, stage: Stage) -> None:
        """Nothing: lines are for logs."""

    def finished(self, stage: Stage, record: StageRecord | None) -> None:
        """Write the line."""
        if record is None:
            return
        done = f"{record.done:,} in " if record.done else ""
        line = f"{record.name}: {done}{record.seconds:.1f} s, peak {record.peak_memory_mib:,.0f} MiB"
        print(line, file=self._stream, flush=True)


def progress_on_stderr(
    *, quiet: bool = False, checkpoint: Callable[[], None] = _nothing_in_the_way
) -> Progress:
    """Progress as the command line shows it.

    Args:
        quiet: Show nothing; stages are recorded all the same.
        checkpoint: See `Progress`.
    """
    if quiet:
        return Progress(None, checkpoint)
    if not sys.stderr.isatty():
        return Progress(Lines(sys.stderr), checkpoint)
    from audotics.telemetry.bars import Bars  # rich is slow to import and only terminals need it

    return Progress(Bars(), checkpoint)

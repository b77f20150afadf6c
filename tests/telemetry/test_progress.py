import io
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console

from audotics.telemetry import Progress, Stage, StageRecord, progress_on_stderr
from audotics.telemetry.bars import Bars
from audotics.telemetry.memory import peak_memory_mib, restart_peak
from audotics.telemetry.progress import Lines


class Watcher:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def started(self, stage: Stage) -> None:
        self.seen.append(("started", stage.name, stage.total))

    def advanced(self, stage: Stage) -> None:
        self.seen.append(("advanced", stage.name, stage.done))

    def finished(self, stage: Stage, record: StageRecord | None) -> None:
        self.seen.append(("finished", stage.name, record))


def test_a_stage_is_timed_and_counted():
    progress = Progress()
    with progress.stage("read", total=10) as stage:
        stage.advance()
        stage.advance(4)
        time.sleep(0.02)
    (record,) = progress.records
    assert (record.name, record.done) == ("read", 5)
    assert 0.02 <= record.seconds < 5
    assert record.peak_memory_mib > 1


def test_inner_stages_carry_the_outer_name_and_end_first():
    progress = Progress()
    with progress.stage("train"):
        with progress.stage("als"), progress.stage("fold 1"):
            pass
        with progress.stage("ranker"):
            pass
    with progress.stage("publish"):
        pass
    names = [record.name for record in progress.records]
    assert names == ["train / als / fold 1", "train / als", "train / ranker", "train", "publish"]


def test_a_watcher_sees_every_step():
    watcher = Watcher()
    progress = Progress(watcher)
    with progress.stage("read", total=2) as stage:
        stage.advance(2)
    assert watcher.seen == [
        ("started", "read", 2),
        ("advanced", "read", 2),
        ("finished", "read", progress.records[0]),
    ]


def test_a_stage_that_fails_is_closed_but_not_recorded():
    watcher = Watcher()
    progress = Progress(watcher)
    with pytest.raises(ZeroDivisionError), progress.stage("outer"), progress.stage("inner"):
        1 / 0  # noqa: B018
    assert progress.records == []
    assert watcher.seen[-2:] == [("finished", "outer / inner", None), ("finished", "outer", None)]
    with progress.stage("next"):
        pass
    assert progress.records[0].name == "next", "what failed does not stay open"


@pytest.mark.skipif(not restart_peak(), reason="this system keeps one peak for the whole process")
def test_memory_peaks_belong_to_their_stage_and_those_around_it():
    progress = Progress()
    with progress.stage("outer"):
        with progress.stage("large"):
            np.ones(100 * 2**20, np.uint8)
        with progress.stage("small"):
            pass
    with progress.stage("after"):
        pass
    peak = {record.name: record.peak_memory_mib for record in progress.records}
    assert peak["outer / large"] > peak["outer / small"] + 90
    assert peak["outer"] >= peak["outer / large"]
    assert peak["after"] < peak["outer"] - 90


@pytest.mark.skipif(not restart_peak(), reason="this system keeps one peak for the whole process")
def test_an_outer_peak_before_an_inner_stage_is_not_lost():
    progress = Progress()
    with progress.stage("outer"):
        np.ones(100 * 2**20, np.uint8)
        with progress.stage("inner"):
            pass
    inner, outer = progress.records
    assert outer.peak_memory_mib > inner.peak_memory_mib + 90


def test_without_proc_the_peak_of_the_process_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr("audotics.telemetry.memory._STATUS", tmp_path / "missing")
    monkeypatch.setattr("audotics.telemetry.memory._CLEAR_REFS", tmp_path / "missing" / "file")
    assert not restart_peak()
    assert 5 < peak_memory_mib() < 100_000


def test_lines_say_what_how_much_how_long():
    stream = io.StringIO()
    lines = Lines(stream)
    stage = Stage("read", 10, None)
    lines.started(stage)
    lines.advanced(stage)
    lines.finished(stage, StageRecord("read", 12.34, 1234.5, 1_000_000))
    lines.finished(stage, StageRecord("fit", 0.01, 80.0))
    lines.finished(stage, None)
    assert stream.getvalue() == "read: 1,000,000 in 12.3 s, peak 1,234 MiB\nfit: 0.0 s, peak 80 MiB\n"


def test_a_terminal_shows_a_bar_and_keeps_a_line():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    progress = Progress(Bars(console))
    with progress.stage("read [events]", total=4) as stage:
        stage.advance(3)
        with progress.stage("parse"):
            pass
    text = stream.getvalue()
    assert "3/4" in text
    assert "read [events]: 0.0 s, peak" in text, "brackets are text, not markup"
    assert "read [events] / parse: 0.0 s" in text


def test_a_failure_on_a_terminal_leaves_no_bar():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with pytest.raises(ZeroDivisionError), Progress(Bars(console)).stage("read"):
        1 / 0  # noqa: B018
    with Progress(Bars(console)).stage("again"):
        pass  # a live display left running would refuse a second one


SCRIPT = """
import sys
from audotics.telemetry import progress_on_stderr
progress = progress_on_stderr(quiet="quiet" in sys.argv)
with progress.stage("read"): pass
assert len(progress.records) == 1
assert "rich" not in sys.modules or "terminal" in sys.argv
"""


def test_logs_get_lines_and_quiet_gets_nothing():
    for arguments, expected in (([], "read: 0.0 s"), (["quiet"], "")):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        assert done.stderr.startswith(expected)
        assert bool(done.stderr) == bool(expected)


def test_a_terminal_on_stderr_is_recognised():
    parent, child = os.openpty()
    try:
        subprocess.run([sys.executable, "-c", SCRIPT, "terminal"], stderr=child, check=True)
        assert b"read: 0.0 s" in os.read(parent, 10_000)
    finally:
        os.close(parent)
        os.close(child)


def test_quiet_records_all_the_same():
    progress = progress_on_stderr(quiet=True)
    with progress.stage("read"):
        pass
    assert [record.name for record in progress.records] == ["read"]

"""The child process: does one job and ends, so that its time and its memory are its own.

``python -m audotics.benchmark.child FOLDER`` reads ``job.json`` of the folder and writes beside it. It is
started by `processes.run_job` and ends with its parent, however that ends.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from audotics.benchmark.jobs import (
    ANSWERS,
    JOB,
    LISTS,
    OUTCOME,
    TRAIN,
    TRIALS,
    VISIBLE,
    FitJob,
    JobFile,
    Outcome,
    OwnJob,
    Trial,
    Trials,
    TuneJob,
    load_answers,
    load_histories,
)
from audotics.benchmark.names import find_peer
from audotics.benchmark.protocol import Resources
from audotics.errors import AudoticsError
from audotics.telemetry.memory import peak_memory_mib


def do_job(folder: Path) -> None:
    """Do the job of a folder and write its results there."""
    job = JobFile.model_validate_json((folder / JOB).read_text(encoding="utf-8")).job
    match job:
        case TuneJob():
            _tune(job, folder)
        case FitJob():
            _fit(job, folder)
        case OwnJob():
            from audotics.benchmark.own import train_and_recommend  # imports what only ours needs

            _write(folder, *train_and_recommend(job))


def _tune(job: TuneJob, folder: Path) -> None:
    from audotics.benchmark.tuning import search

    visible = load_histories(job.corpus / VISIBLE)

    def keep(trials: tuple[Trial, ...]) -> None:
        told = Trials(trials=trials, peak_memory_mib=peak_memory_mib())
        part = folder / f"{TRIALS}.part"
        part.write_text(told.model_dump_json(), encoding="utf-8")
        part.replace(folder / TRIALS)

    search(
        find_peer(job.peer).load(),
        visible,
        load_answers(job.corpus / ANSWERS, visible.n_tracks),
        Resources(job.threads, job.seed),
        n_trials=job.trials,
        seconds=job.seconds,
        include_heard=job.include_heard,
        on_trial=keep,
    )


def _fit(job: FitJob, folder: Path) -> None:
    histories = load_histories(job.corpus / TRAIN)
    peer = find_peer(job.peer).load()(job.settings, Resources(job.threads, job.seed))
    started = time.perf_counter()
    peer.fit(histories)
    fitted = time.perf_counter()
    everybody = np.arange(histories.n_rows, dtype=np.int32)
    lists = peer.recommend(everybody, job.k, include_heard=job.include_heard)
    answered = time.perf_counter()
    outcome = Outcome(
        fit_s=fitted - started, recommend_s=answered - fitted, peak_memory_mib=peak_memory_mib()
    )
    _write(folder, outcome, lists)


def _write(folder: Path, outcome: Outcome, lists: np.ndarray) -> None:
    np.save(folder / LISTS, lists, allow_pickle=False)
    (folder / OUTCOME).write_text(outcome.model_dump_json(), encoding="utf-8")


def _end_with_parent() -> None:
    """The parent holds the other end of standard input and never writes: its end is the parent's."""
    # Not sys.stdin: the interpreter cannot end while a thread waits inside of that.
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """Entry point; what went wrong is the last line of standard error."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        do_job(Path(sys.argv[1]))
    except AudoticsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

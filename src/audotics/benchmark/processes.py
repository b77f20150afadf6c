"""Runs a job in a process of its own: same threads for everybody, a time-out, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from audotics.benchmark.jobs import JOB, JobFile

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""What the libraries read their number of threads from."""

_TAIL_BYTES = 4000


class JobFailedError(Exception):
    """A child did not do its job; the text says why, in one line."""


def run_job(job: JobFile, folder: Path, *, threads: int, timeout_s: float) -> None:
    """Do a job in a child process.

    Args:
        job: What to do.
        folder: Made here; the child writes its results there.
        threads: How many threads each library of the child may use.
        timeout_s: The child is killed after so many seconds.

    Raises:
        JobFailedError: The child ended with an error, was killed, or took too long.
    """
    folder.mkdir(parents=True)
    (folder / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "audotics.benchmark.child", str(folder)]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=_environment(threads),
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the whole group
        )
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise JobFailedError(f"not done after {timeout_s:,.0f} s") from None
        finally:
            _end(child)
        if code:
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - _TAIL_BYTES))
            raise JobFailedError(_reason(code, errors.read().decode("utf-8", "replace")))


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole process group, if any of it is left, and reap the child."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _reason(code: int, errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if code < 0:
        killed = f"ended by signal {signal.Signals(-code).name}"
        return f"{killed} (out of memory?)" if -code == signal.SIGKILL else killed
    return lines[-1] if lines else f"ended with code {code}"

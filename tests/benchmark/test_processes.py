"""Child processes: what they do, how they fail, and that none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audotics.benchmark.jobs import JOB, LISTS, OUTCOME, TRIALS, FitJob, JobFile, Outcome, Trials, TuneJob
from audotics.benchmark.processes import THREAD_VARIABLES, JobFailedError, run_job


def fit_job(material, **changes) -> JobFile:
    job = FitJob(
        peer="ease",
        corpus=material.folder,
        settings={"l2": 50.0, "play_strength": 0.0},
        k=10,
        include_heard=False,
        threads=1,
        seed=0,
    )
    return JobFile(job=job.model_copy(update=changes))


def tune_job(material, **changes) -> JobFile:
    job = TuneJob(
        peer="ease", corpus=material.folder, trials=3, seconds=60, include_heard=False, threads=1, seed=0
    )
    return JobFile(job=job.model_copy(update=changes))


def left_running(folder: Path) -> list[str]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


def test_a_fit_gives_lists_and_what_it_took(material, tmp_path):
    run_job(fit_job(material), tmp_path / "job", threads=1, timeout_s=120)
    lists = np.load(tmp_path / "job" / LISTS, allow_pickle=False)
    assert lists.shape == (material.corpus.n_users, 10)
    outcome = Outcome.model_validate_json((tmp_path / "job" / OUTCOME).read_text())
    assert outcome.fit_s > 0
    assert outcome.recommend_s > 0
    assert 20 < outcome.peak_memory_mib < 1000


def test_the_memory_told_is_the_childs_own(material, tmp_path):
    """Not what the parent holds: a child begins as a copy of it."""
    ballast = np.ones(40 << 20)  # 320 MiB, all of it touched
    run_job(fit_job(material), tmp_path / "job", threads=1, timeout_s=120)
    outcome = Outcome.model_validate_json((tmp_path / "job" / OUTCOME).read_text())
    assert outcome.peak_memory_mib < ballast.nbytes / 2**20


def test_a_search_gives_trials(material, tmp_path):
    run_job(tune_job(material), tmp_path / "job", threads=1, timeout_s=120)
    trials = Trials.model_validate_json((tmp_path / "job" / TRIALS).read_text())
    assert len(trials.trials) == 3
    assert trials.best.ndcg == max(trial.ndcg for trial in trials.trials)


def test_what_went_wrong_is_one_line(material, tmp_path):
    with pytest.raises(JobFailedError) as failure:
        run_job(fit_job(material, settings={"l2": "much"}), tmp_path / "job", threads=1, timeout_s=120)
    assert str(failure.value) == "ValueError: could not convert string to float: 'much'"


def test_an_error_raised_on_purpose_is_told_without_its_type(material, tmp_path):
    with pytest.raises(JobFailedError, match=r"^--against: there is no peer 'nobody'"):
        run_job(fit_job(material, peer="nobody"), tmp_path / "job", threads=1, timeout_s=120)


def test_a_time_out_ends_the_child_and_leaves_its_trials(material, tmp_path):
    with pytest.raises(JobFailedError, match="not done after 5 s"):
        run_job(tune_job(material, trials=10**6, seconds=10**6), tmp_path / "job", threads=1, timeout_s=5)
    assert left_running(tmp_path) == []
    assert Trials.model_validate_json((tmp_path / "job" / TRIALS).read_text()).trials


def test_every_library_is_given_the_same_number_of_threads(material, tmp_path, monkeypatch):
    """A library that says what it sees and ends: seen by the child in place of the real one."""
    package = tmp_path / "path" / "implicit"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        f"import os, sys\nsys.exit(' '.join(os.environ.get(name, '-') for name in {THREAD_VARIABLES!r}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}:{os.environ.get('PYTHONPATH', '')}")
    settings = {
        "factors": 4,
        "alpha": 1.0,
        "regularization_per_alpha": 1.0,
        "iterations": 1,
        "play_strength": 0.0,
    }
    with pytest.raises(JobFailedError) as seen:
        run_job(
            fit_job(material, peer="implicit-als", settings=settings),
            tmp_path / "job",
            threads=3,
            timeout_s=60,
        )
    assert str(seen.value) == " ".join(["3"] * len(THREAD_VARIABLES))


PARENT = """
import sys
from pathlib import Path
from audotics.benchmark.jobs import JobFile
from audotics.benchmark.processes import run_job
job = JobFile.model_validate_json(Path(sys.argv[1]).read_text())
try:
    run_job(job, Path(sys.argv[2]), threads=1, timeout_s=600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_child_ends_with_its_parent(material, tmp_path, sent):
    (tmp_path / JOB).write_text(tune_job(material, trials=10**6, seconds=10**6).model_dump_json())
    folder = tmp_path / "job"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / JOB), str(folder)])
    deadline = time.monotonic() + 120
    while not (folder / TRIALS).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(sent)
    assert parent.wait(30) == (130 if sent == signal.SIGINT else -sent)
    while left_running(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""`audotics benchmark` for its users."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audotics.benchmark.report import BenchmarkReport
from contract.workplace import QUICK, Audotics, Workplace

SMALL = ("--trials", 1, "--threads", 1, "--quiet")


def test_a_part_is_held_out_and_all_is_written(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    files = tmp_path / "report.json", tmp_path / "plot.png"
    told = audotics(
        *("benchmark", workplace.dataset, "--against", "popularity, ease", "--json", files[0]),
        *("--plot", files[1], *SMALL, *QUICK),
    )
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("Test: random 20% of each listener's tracks (seed 0).")
    for title in ("Quality", "audotics minus each, NDCG@20", "Cost"):
        assert f"\n{title}\n" in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    report = BenchmarkReport.from_json(files[0])
    assert report.costs[0].name == "audotics"
    assert {cost.name for cost in report.costs} == {"audotics", "popularity", "ease"}
    assert (report.conditions.trials, report.conditions.threads) == (1, 1)
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in tmp_path.iterdir()} == {"report.json", "plot.png"}


def test_a_trained_version_takes_part_on_a_given_test(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    told = audotics(
        *("benchmark", workplace.dataset, "--test", workplace.test, "--models", workplace.models),
        *("--against", "popularity", "--json", target, *SMALL),
    )
    assert (told.code, told.err) == (0, "")
    report = BenchmarkReport.from_json(target)
    assert report.split == "given test"
    assert report.costs[0].note.startswith(f"version {workplace.version}, ranker ")
    assert report.costs[0].fit_s > 0
    # The same figure as that of `audotics evaluate` on the same test.
    evaluated = tmp_path / "evaluation.json"
    told = audotics(
        *("evaluate", workplace.dataset, "--models", workplace.models, "--test", workplace.test),
        *("--json", evaluated, "--quiet"),
    )
    assert told.code == 0
    ours = json.loads(evaluated.read_text())["systems"][0]["metrics"]["ndcg@20"]
    assert report.evaluation.reference.metrics["ndcg@20"].model_dump() == ours


def test_ours_can_stay_out(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics(
        *("benchmark", workplace.dataset, "--against", "popularity", "--peers-only", *SMALL),
    )
    assert told.code == 0
    assert "audotics 0" not in told.out.split("Cost")[1].split("Learning:")[0]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--against", "als"], "--against: there is no peer 'als'"),
        (["--against", "sasrec"], "needs"),
        (["--models", "models"], "--models: a trained version has seen all of its Dataset"),
        (["--map", "user_id=account"], "--map: this belongs to a test file"),
        (["--plot", "plot.gif"], "plot.gif: cannot draw .gif"),
        (["--json", "missing/report.json"], "missing: the folder does not exist"),
        (["--set", "tune_trails=1"], "there is no such setting"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    audotics: Audotics,
    workplace: Workplace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    what: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = audotics("benchmark", workplace.dataset, *options)
    assert (told.code, told.out) == (2, "")
    assert what in told.err
    assert len(told.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--peers-only",), ("--set", "tune_trials=1")])
def test_a_version_is_taken_as_it_is(
    audotics: Audotics, workplace: Workplace, option: tuple[str, ...]
) -> None:
    told = audotics(
        "benchmark", workplace.dataset, "--test", workplace.test, "--models", workplace.models, *option
    )
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: --models: a version is taken as it is")


def test_a_version_of_other_data_is_refused(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert audotics("import", workplace.test, "--out", other, "--quiet").code == 0
    told = audotics("benchmark", other, "--test", workplace.test, "--models", workplace.models)
    assert told.code == 2
    assert "this is not the Dataset that the version was trained on" in told.err


def test_ctrl_c_leaves_nothing_behind(workplace: Workplace, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", "from audotics.cli.main import main; main()"]
    options = ["--against", "ease", "--trials", "1000000", "--seconds", "1000000", "--quiet", "--peers-only"]
    running = subprocess.Popen(
        [*command, "benchmark", str(workplace.dataset), *options],
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(scratch.glob("*/ease-tune/trials.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=30)[1] == "interrupted: unfinished work was dropped\n"
    assert running.returncode == 130
    assert list(scratch.iterdir()) == []

"""`audotics tune` for its users."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from audotics.registry import Registry
from contract.workplace import QUICK, Audotics, Workplace

NAMES = ("--retriever", "rp3beta", "--retriever", "item-knn")


@pytest.fixture
def plays(workplace: Workplace) -> Path:
    """A Dataset named dataset."""
    return workplace.dataset


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_what_was_gained_and_writes_it_down(audotics: Audotics, plays: Path, here: Path) -> None:
    told = audotics("tune", plays, "--trials", 4, *NAMES)
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0] == "Held out: random 20% of each listener's tracks (seed 0)"
    assert lines[1] == "NDCG@20 on the listeners that teach, of the defaults and the best:"
    assert lines[2].split() == ["retriever", "trials", "default", "best", "lead", "best", "settings"]
    for name in ("rp3beta", "item-knn"):
        assert any(re.match(rf"{name} +4  +0\.\d{{4}}  +0\.\d{{4}}  ", line) for line in lines)
    assert "dataset-tuning.jsonl: 8 new trials, 8 in all" in lines
    assert lines[-1].startswith(f"Wrote dataset-tuned.toml. Train with it: audotics train {plays} --config ")
    assert max(map(len, lines[:-1])) <= 80
    assert {path.name for path in here.iterdir()} == {"dataset-tuning.jsonl", "dataset-tuned.toml"}
    assert [line.split(":")[0] for line in told.err.splitlines()] == [
        "read and hide",
        *(f"turn {turn} of 4" for turn in range(1, 5)),
    ]


def test_training_takes_what_was_written(audotics: Audotics, plays: Path, here: Path) -> None:
    told = audotics("tune", plays, "--trials", 5, *NAMES, "--json", "--quiet", "--set", "seed=2")
    assert (told.code, told.err) == (0, "")
    found = {one["name"]: one for one in json.loads(told.out)["retrievers"]}
    done = audotics("train", plays, "--config", "dataset-tuned.toml", "--models", "models", "--quiet", *QUICK)
    assert done.code == 0
    manifest = Registry(here / "models").show("champion")
    assert manifest.config["train"]["seed"] == 2
    for name, one in found.items():
        settings = manifest.config["retrievers"][name]
        assert settings == settings | one["settings"]
        assert (one["settings"] == one["best_settings"]) == one["gains"] or one["lead"] == 0


def test_it_goes_on_from_its_history(audotics: Audotics, plays: Path, here: Path) -> None:
    files = ("--history", "kept.jsonl", "--out", "found.toml", "--quiet")
    assert audotics("tune", plays, "--trials", 2, *NAMES, *files).code == 0
    told = audotics("tune", plays, "--trials", 1, "--retriever", "rp3beta", *files)
    assert "kept.jsonl: 1 new trials, 5 in all" in told.out
    assert "item-knn" in told.out
    assert set(tomllib.loads((here / "found.toml").read_text())["settings"]) == {"rp3beta", "item-knn"}
    other = audotics("tune", plays, "--trials", 1, "--retriever", "rp3beta", *files, "--set", "seed=1")
    assert "kept.jsonl: 1 new trials, 1 in all, and 5 of other data, splits or releases" in other.out


def test_a_line_cut_short_is_noted(audotics: Audotics, plays: Path, here: Path) -> None:
    assert audotics("tune", plays, "--trials", 2, *NAMES, "--quiet").code == 0
    history = here / "dataset-tuning.jsonl"
    history.write_bytes(history.read_bytes()[:-30])
    told = audotics("tune", plays, "--trials", 1, *NAMES, "--quiet")
    assert told.code == 0
    assert told.err == "note: dataset-tuning.jsonl: no trial can be read in line 5; it is left out\n"
    assert "dataset-tuning.jsonl: 2 new trials, 5 in all" in told.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--retriever", "als"], "there is no retriever 'als'. Known are popularity, "),
        (["--retriever", "transitions"], "--retriever: training would not use transitions: "),
        (["--set", "tune_trails=1"], "setting tune_trails: there is no such setting"),
        (
            ["--set", 'retrievers=["ease"]', "--set", "settings.ease={}"],
            "settings: these fix every retriever",
        ),
        (["--history", "no-such/kept.jsonl"], "no-such: the folder does not exist. Create it first"),
        (["--out", "no-such/found.toml"], "no-such: the folder does not exist. Create it first"),
        (["--config", "no-such.toml"], "no-such.toml: cannot be read as TOML "),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    audotics: Audotics, plays: Path, here: Path, options: list[str], message: str
) -> None:
    told = audotics("tune", plays, "--trials", 1, "--quiet", *options)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {message}")
    assert len(told.err.splitlines()) == 1
    assert list(here.iterdir()) == []


def test_a_foreign_file_is_left_as_it_is(audotics: Audotics, plays: Path, here: Path) -> None:
    file = here / "mine.csv"
    file.write_text("user_id,track_id\nanna,t-17\n")
    told = audotics("tune", plays, "--history", file, "--quiet")
    assert (told.code, told.out) == (2, "")
    assert told.err == f"error: {file}: this is no tuning history. Name another file with --history\n"
    assert file.read_text() == "user_id,track_id\nanna,t-17\n"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_it_loses_no_finished_trial(
    audotics: Audotics, plays: Path, here: Path, kind: signal.Signals
) -> None:
    history = here / "dataset-tuning.jsonl"
    with subprocess.Popen(
        [
            *(sys.executable, "-c", "from audotics.cli.main import main; main()"),
            *("tune", plays, "--trials", "1000000", "--seconds", "inf", *NAMES, "--quiet"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A shell that starts jobs in the background has them ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as tuning:
        deadline = time.monotonic() + 120
        while not history.exists() or history.read_bytes().count(b"\n") < 6:
            assert tuning.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        tuning.send_signal(kind)
        err = tuning.communicate(timeout=60)[1]
    if kind == signal.SIGINT:
        assert tuning.returncode == 130
        assert err.splitlines() == [
            "note: finished trials are kept in dataset-tuning.jsonl; the same command goes on from there",
            "interrupted: unfinished work was dropped",
        ]
    assert [path.name for path in here.iterdir()] == ["dataset-tuning.jsonl"]
    n_kept = len(history.read_bytes().splitlines()) - 1
    told = audotics("tune", plays, "--trials", 1, *NAMES, "--quiet")
    assert told.code == 0
    new, total = map(int, re.findall(r"(\d+) new trials, (\d+) in all", told.out)[0])
    # One line may be cut short by the kill.
    assert new == 2 and total - new in {n_kept, n_kept - 1} and total >= 7

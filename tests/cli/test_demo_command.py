"""`audotics demo`, with quick settings instead of the defaults."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from audotics.data.dataset import Dataset
from audotics.registry import Registry
from audotics.training import pipeline
from audotics.training.config import TrainConfig
from contract.workplace import Audotics, Workplace


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrainConfig(
        retrievers=("item-knn", "rp3beta", "popularity"), rankers=("single", "linear"), tune_trials=1
    )
    monkeypatch.setattr(pipeline, "TrainConfig", lambda: settings)
    monkeypatch.delenv("AUDOTICS_SAMPLE", raising=False)


def test_a_file_of_events_goes_all_the_way(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    told = audotics("demo", "--data", workplace.dataset.parent / "plays.csv", "--out", out, "--quiet")
    assert (told.code, told.err) == (0, "")
    assert told.out.count("For listener ") == 3
    version = Registry(out / "models").verify("champion").version
    assert f"The model is {version} in {out / 'models'}." in told.out
    assert Dataset.open(out / "dataset").manifest.rows["events"] == 1080


def test_a_dataset_keeps_its_catalogue(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    told = audotics("demo", "--data", workplace.dataset, "--out", out, "--quiet")
    assert told.code == 0
    assert " by Band " in told.out
    assert not (out / "dataset").exists()
    trained_on = Registry(out / "models").show("champion").dataset.fingerprint
    assert trained_on == Dataset.open(workplace.dataset).manifest.fingerprint


def test_what_it_says_next_can_be_typed(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    told = audotics("demo", "--data", workplace.dataset, "--out", tmp_path / "demo", "--quiet")
    commands = [shlex.split(line) for line in told.out.splitlines() if line.startswith("  audotics ")]
    named = {command[1]: command[2:] for command in commands}
    assert set(named) == {"recommend", "evaluate", "import", "train", "--help"}
    assert audotics("recommend", *named["recommend"]).code == 0
    evaluate = [part for part in named["evaluate"] if part not in ("--html", "report.html")]
    assert audotics("evaluate", *evaluate).code == 0


def test_data_that_cannot_be_used_is_one_line(audotics: Audotics, tmp_path: Path) -> None:
    told = audotics("demo", "--data", tmp_path / "missing", "--out", tmp_path / "demo", "--quiet")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {tmp_path / 'missing'}: ")


def test_a_file_in_the_way_is_refused_at_once(audotics: Audotics, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    told = audotics("demo", "--out", tmp_path / "demo")
    assert (told.code, told.err) == (2, f"error: {tmp_path / 'demo'}: this is no folder. Choose another\n")

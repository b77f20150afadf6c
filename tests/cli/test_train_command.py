"""`audotics train` for its users."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audotics.registry import Registry
from contract.workplace import QUICK, Audotics, Workplace


def test_the_summary_fits_a_terminal_and_says_who_serves(workplace: Workplace) -> None:
    lines = workplace.train_output.splitlines()
    assert lines[0] == "Held out: random 20% of each listener's tracks (seed 0)"
    assert sum(line.endswith("<- serves") for line in lines) == 1
    for name in ("single", "mean", "linear"):
        assert any(line.startswith(f"  {name} ") for line in lines)
    for system in ("audotics", "item-knn", "rp3beta", "popularity"):
        assert any(line.startswith(f"{system} ") and "±" in line for line in lines)
    assert f"Published {workplace.version} as champion" in lines
    assert len(lines) < 30
    tables = lines[: lines.index(f"Published {workplace.version} as champion")]
    assert max(map(len, tables)) <= 80


def test_the_version_tells_how_it_was_made(workplace: Workplace) -> None:
    manifest = Registry(workplace.models).verify("champion")
    assert manifest.name == "planted"
    assert manifest.config["train"]["tune_trials"] == 1
    assert set(manifest.config["retrievers"]) == {"item-knn", "rp3beta", "popularity"}


def test_json_is_all_there_is_on_stdout(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    models = tmp_path / "models"
    told = audotics("train", workplace.dataset, "--models", models, "--json", "--include-heard", *QUICK)
    assert told.code == 0
    found = json.loads(told.out)
    assert found["version"] == Registry(models).resolve("champion")
    assert [ranker["name"] for ranker in found["rankers"]] == ["mean", "linear"]
    assert list(found["left_out"]) == ["single"]
    assert found["report"]["test"]["task"] == "mix"
    assert "fit everything on all events: " in told.err


def test_a_file_of_settings_gives_way_to_set(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('retrievers = ["popularity"]\nrankers = ["mean"]\ntune_trials = 5\nseed = 3\n')
    models = tmp_path / "models"
    told = audotics(
        "train", workplace.dataset, "--models", models, "--config", file, "--set", "tune_trials=0", "--quiet"
    )
    assert (told.code, told.err) == (0, "")
    config = Registry(models).show("champion").config["train"]
    assert (config["tune_trials"], config["seed"], config["rankers"]) == (0, 3, ["mean"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "nonsense"], "--set: 'nonsense' is no assignment. Write key=value"),
        (["--set", "nonsense=1"], "setting nonsense: there is no such setting. Settings are seed, "),
        (
            ["--set", "tune_trials=-1"],
            "setting tune_trials: Input should be greater than or equal to 0, not -1",
        ),
        (["--set", "tune_trials=many"], "setting tune_trials: Input should be a valid integer"),
        (["--set", "seed=1", "--set", "seed.x=3"], "--set seed.x=3: 'seed' is no table of settings"),
        (["--set", 'retrievers=["no-such"]'], "there is no retriever 'no-such'. Known are popularity, "),
        (["--config", "no-such.toml"], "no-such.toml: cannot be read as TOML "),
        (["--name", "a/b"], "'a/b' is not a valid version name"),
    ],
)
def test_wrong_settings_are_one_line_and_make_no_version(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, arguments: list[str], message: str
) -> None:
    told = audotics("train", workplace.dataset, "--models", tmp_path / "models", "--quiet", *arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {message}")
    assert len(told.err.splitlines()) == 1
    assert not (tmp_path / "models").exists()


def test_what_is_no_dataset_is_refused(audotics: Audotics, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        told = audotics("train", place, "--models", tmp_path / "models")
        assert told.code == 2
        assert told.err.startswith(f"error: {place}: there is no dataset here")


def test_a_file_where_models_should_go_is_refused_at_once(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    file = tmp_path / "models"
    file.write_text("mine")
    for models in (file, file / "below"):
        told = audotics("train", workplace.dataset, "--models", models, *QUICK)
        assert (told.code, told.err) == (2, f"error: {file}: this is no folder. Choose another\n")
    assert file.read_text() == "mine"


def test_ctrl_c_in_the_middle_leaves_the_champion_as_it_was(own_workplace: Workplace) -> None:
    champion, published = own_workplace.version, _files(own_workplace.models)
    endless = ("--set", 'retrievers=["ials"]', "--set", "tune_trials=100000", "--set", "tune_seconds=600")
    with subprocess.Popen(
        [
            sys.executable,
            *("-c", "from audotics.cli.main import main; main()"),
            *("train", own_workplace.dataset, "--models", own_workplace.models, *endless),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A shell that starts jobs in the background has them ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as training:
        assert training.stderr is not None
        assert training.stderr.readline().startswith("read and hide: ")
        time.sleep(1)  # by now it is tuning
        training.send_signal(signal.SIGINT)
        out, err = training.communicate(timeout=60)
    assert (training.returncode, out) == (130, "")
    assert err == "interrupted: unfinished work was dropped\n"
    assert own_workplace.version == champion
    assert _files(own_workplace.models) == published


def _files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))

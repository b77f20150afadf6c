"""The command line as people meet it: arguments in; exit code, stdout and stderr out."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from audotics.cli import main as command_line
from contract.planted import planted_events, planted_tracks
from contract.workplace import QUICK, Audotics, Outcome, Workplace


@pytest.fixture
def audotics(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Audotics:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["audotics", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            command_line.main()
        output = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), output.out, output.err)

    return run


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Made once for all tests, which must not change it."""
    folder = tmp_path_factory.mktemp("workplace")
    planted_events().select("user_id", "track_id", "plays").write_csv(folder / "plays.csv")
    planted_tracks().select("track_id", "title", "artist_id", "artist").write_csv(folder / "tracks.csv")
    dataset, models = folder / "dataset", folder / "models"
    succeed("import", folder / "plays.csv", "--tracks", folder / "tracks.csv", "--out", dataset)
    told = succeed("train", dataset, "--models", models, "--name", "planted", *QUICK)
    return Workplace(dataset, models, _write_test(folder / "test.csv"), told)


@pytest.fixture
def own_workplace(workplace: Workplace, tmp_path: Path) -> Workplace:
    """A copy whose models a test may damage."""
    models = tmp_path / "models"
    shutil.copytree(workplace.models, models)
    return Workplace(workplace.dataset, models, workplace.test, workplace.train_output)


def succeed(*arguments: object) -> str:
    done = CliRunner().invoke(command_line.app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def _write_test(path: Path) -> Path:
    """Three unheard tracks of each listener."""
    heard = planted_events().select("user_id", "track_id")
    every = heard.select(pl.col("user_id").unique()).join(
        heard.select(pl.col("track_id").unique()), how="cross"
    )
    unheard = every.join(heard, on=["user_id", "track_id"], how="anti").sort("user_id", "track_id")
    unheard.group_by("user_id", maintain_order=True).head(3).write_csv(path)
    return path

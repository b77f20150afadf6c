"""`audotics simulate` writes a dataset, says where the truth is, and refuses impossible wishes."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from audotics.cli import simulate as simulate_command
from audotics.data.dataset import Dataset
from audotics.errors import BadInputError
from audotics.simulation import Truth


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()

    @made.callback()
    def _group() -> None:
        """A second command would make one of its own; alone it would not have a name."""

    simulate_command.register(made)
    return made


def run(app: typer.Typer, out: Path, *options: str) -> Result:
    sizes = ["--users", "30", "--tracks", "100", "--days", "4"]
    return CliRunner().invoke(app, ["simulate", *sizes, "--out", str(out), *options])


def test_writes_dataset_and_truth(app: typer.Typer, tmp_path: Path) -> None:
    result = run(app, tmp_path / "service", "--seed", "7", "--events", "900")
    assert result.exit_code == 0, result.output
    assert "30 listeners, 100 tracks, 4 days" in result.stdout
    assert "service.truth" in result.stdout
    rows = Dataset.open(tmp_path / "service").manifest.rows
    assert rows["tracks"] == 100 and rows["users"] == 30
    assert 500 < rows["events"] < 1_300
    assert Truth.load(tmp_path / "service").config.seed == 7


def test_quiet_shows_no_progress(app: typer.Typer, tmp_path: Path) -> None:
    assert "listening" not in run(app, tmp_path / "one", "--quiet").stderr
    assert "listening" in run(app, tmp_path / "two").stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--users", "0"), "--users"),
        (("--days", "-3"), "--days"),
        (("--events", "1000000"), "--events"),
    ],
)
def test_impossible_sizes_name_the_option(
    app: typer.Typer, tmp_path: Path, options: tuple[str, str], named: str
) -> None:
    result = run(app, tmp_path / "service", *options)
    assert isinstance(result.exception, BadInputError)
    assert result.exception.where == named
    assert not (tmp_path / "service").exists()


def test_sizes_are_required(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "--out", str(tmp_path / "service")])
    assert result.exit_code == 2

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from audotics.cli import describe, import_
from audotics.data import Dataset
from audotics.errors import AudoticsError, BadInputError, DamagedError


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    import_.register(app)
    describe.register(app)
    return app


def _run(app: typer.Typer, *arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _fails(app: typer.Typer, *arguments: object) -> AudoticsError:
    result = _run(app, *arguments)
    assert isinstance(result.exception, AudoticsError), result.output
    return result.exception


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.tsv"
    rows = "".join(f"u{n}\tt{n % 9}\t{n + 1}\n" for n in range(200))
    path.write_text(f"listener\tsong\tplays\n{rows}u1\tt1\t-5\n")
    return path


def test_import_prints_the_accounting(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    result = _run(app, "import", log, "--out", tmp_path / "data", "--format", "csv")
    assert result.exit_code == 0, result.output
    row = next(line for line in result.stdout.splitlines() if "events" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == ["events", "201", "200", "0", "1", "0"]
    assert "log.tsv: reads user_id from listener, track_id from song" in result.stdout
    assert "rejected log.tsv:202 plays '-5': plays must be a number above 0" in result.stdout
    assert Dataset.open(tmp_path / "data").manifest.rows == {"rejects": 1, "events": 200}


def test_import_for_programs(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    result = _run(app, "import", log, "--out", tmp_path / "data", "--json", "--quiet")
    report = json.loads(result.stdout)
    assert report["counts"]["events"] == {
        **{"read": 201, "accepted": 200, "merged": 0},
        **{"rejected": 1, "left_out": 0},
    }
    assert report["fingerprint"] == Dataset.open(tmp_path / "data").manifest.fingerprint
    assert report["rejects"][0]["line"] == 202


def test_quiet_prints_nothing(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    result = _run(app, "import", log, "--out", tmp_path / "data", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_columns_and_tables_by_option(app: typer.Typer, tmp_path: Path) -> None:
    for name, content in {
        "log.csv": "who,what\na,x\n",
        "tracks.csv": "what,called\nx,Song\n",
        "users.csv": "who,country\na,DE\n",
        "lists.csv": "playlist_id,what\np,x\n",
        "other.csv": "who,what\nb,x\n",
    }.items():
        (tmp_path / name).write_text(content)
    mapping = ["--map", "user_id=who", "--map", "what=track_id", "--map", "title=called"]
    tables = ["--tracks", tmp_path / "tracks.csv", "--users", tmp_path / "users.csv"]
    tables += ["--playlists", tmp_path / "lists.csv", "--events", tmp_path / "other.csv"]
    arguments = [tmp_path / "log.csv", "--format", "csv", "--out", tmp_path / "data", *mapping, *tables]
    result = _run(app, "import", *arguments)
    assert result.exit_code == 0, result.output
    dataset = Dataset.open(tmp_path / "data")
    assert dataset.events().collect()["user_id"].to_list() == ["b"]
    assert dataset.tracks()["title"].to_list() == ["Song"]
    assert dataset.users()["country"].to_list() == ["DE"]
    assert dataset.playlists().rows() == [("p", 0, "x")]


@pytest.mark.parametrize("pair", ["user_id", "=x", "user_id=", ""])
def test_a_mapping_needs_both_sides(app: typer.Typer, log: Path, tmp_path: Path, pair: str) -> None:
    error = _fails(app, "import", log, "--out", tmp_path / "data", "--map", pair)
    assert isinstance(error, BadInputError)
    assert "--map" in str(error)


def test_failures_are_errors_of_the_tree(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    strict = _fails(app, "import", log, "--out", out, "--max-rejects", 0)
    assert "1 of 201 rows for events are unusable" in str(strict)
    assert "no such file" in str(_fails(app, "import", tmp_path / "none", "--out", out))
    assert "no format" in str(_fails(app, "import", log, "--out", out, "--format", "word"))
    assert "not a dataset" in str(_fails(app, "import", log, "--out", log))
    assert not out.exists()


def test_a_share_is_between_0_and_1(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    assert _run(app, "import", log, "--out", tmp_path / "data", "--max-rejects", 5).exit_code == 2


def test_describe_prints_figures_and_findings(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    _run(app, "import", log, "--out", tmp_path / "data", "--quiet")
    result = _run(app, "describe", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "popularity Gini" in result.stdout
    assert "200 of 200 listeners have fewer than 5 events." in result.stdout


def test_describe_for_programs_and_as_a_page(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    _run(app, "import", log, "--out", tmp_path / "data", "--quiet")
    result = _run(app, "describe", tmp_path / "data", "--json", "--html", tmp_path / "page.html")
    assert json.loads(result.stdout)["n_listeners"] == 200
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_describe_refuses_what_is_damaged_or_no_dataset(app: typer.Typer, log: Path, tmp_path: Path) -> None:
    assert isinstance(_fails(app, "describe", tmp_path), BadInputError)
    _run(app, "import", log, "--out", tmp_path / "data", "--quiet")
    (tmp_path / "data" / "rejects.parquet").unlink()
    damaged = _fails(app, "describe", tmp_path / "data")
    assert isinstance(damaged, DamagedError)
    assert damaged.exit_code == 3

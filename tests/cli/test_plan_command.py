"""`audotics plan`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from audotics.cli.main import app
from audotics.distributed.costs import read_costs
from audotics.distributed.sizing import Demand, size_service
from audotics.errors import BadInputError

SIZES = ["--listeners", "100000000", "--tracks", "50000000", "--events-per-day", "1000000000"]


def planned(*options: str) -> str:
    done = CliRunner().invoke(app, ["plan", *SIZES, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_page_has_every_part_and_says_what_it_rests_on():
    page = planned()
    costs = read_costs()
    assert "100,000,000 listeners, 50,000,000 tracks" in page
    assert costs.machine in page
    for word in ("Training", "servers", "PostgreSQL", "Redis", "core-hours", "Limits", "BEYOND", "then: "):
        assert word in page
    for stage in ("import", "ials", "ease", "ranker"):
        assert f"  {stage} " in page


def test_what_is_reached_stands_first():
    states = [line.split()[0] for line in planned().splitlines() if line.startswith(("  BEYOND", "  within"))]
    assert states == sorted(states)  # BEYOND before within
    assert set(states) == {"BEYOND", "within"}


def test_json_is_the_plan(monkeypatch):
    read = json.loads(planned("--json", "--target-rps", "5000", "--cores", "32"))
    demand = Demand(
        listeners=100_000_000, tracks=50_000_000, events_per_day=10**9, target_rps=5000.0, cores=32
    )
    sizing = size_service(demand, read_costs())
    assert read["training_core_hours"] == sizing.training_core_hours
    assert read["demand"]["answers_per_s"] == 5000.0
    assert read["demand"]["events"] == 90 * 10**9
    assert [one["machines"] for one in read["parts"]] == [one.machines for one in sizing.parts]
    assert any(one["reached"] for one in read["limits"])


def test_a_small_service_needs_no_cluster():
    done = CliRunner().invoke(
        app, ["plan", "--listeners", "1000", "--tracks", "5000", "--events-per-day", "10000", "--json"]
    )
    read = json.loads(done.stdout)
    assert read["training_machines"] == read["batch_machines"] == 1
    assert all(stage["fits"] for stage in read["training"])


@pytest.mark.parametrize(
    ("option", "value"),
    [("--events-per-day", "0"), ("--days", "0"), ("--target-rps", "-1"), ("--cores", "0")],
)
def test_what_makes_no_sense_names_the_option(option, value):
    arguments = dict(zip(SIZES[::2], SIZES[1::2], strict=True)) | {option: value}
    given = [word for pair in arguments.items() for word in pair]
    done = CliRunner().invoke(app, ["plan", *given])
    assert isinstance(done.exception, BadInputError)
    assert done.exception.where == option

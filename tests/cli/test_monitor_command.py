"""`audotics monitor`: what it prints and how it ends."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from audotics.cli.monitor import span
from audotics.errors import BadInputError
from audotics.journal import open_engine
from contract.monitored import answers_before, fill, simulated


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models, the journal of a week that went well, and one of a week in which everybody sat in cars."""
    folder = tmp_path_factory.mktemp("monitor")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = simulated(n_users=200, n_days=9, ends_at=midnight)
    version = world.publish(folder / "models")
    for name, events in (("well", world.after), ("cars", world.after.with_columns(device=pl.lit("car")))):
        engine = open_engine(f"sqlite:///{folder}/{name}.db", timeout_s=10)
        fill(engine, events, answers_before(events, version))
        engine.dispose()
    return folder


def arguments(folder, journal, *more):
    return [
        "monitor",
        "--models",
        str(folder / "models"),
        "--database",
        f"sqlite:///{folder}/{journal}.db",
        *more,
    ]


def test_a_service_that_goes_well(audotics, folder):
    done = audotics(*arguments(folder, "well", "--html", str(folder / "page.html")))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("steady: version ")
    for heading in ("Listening against training", "Quality by day", "The newest day against the days before"):
        assert heading in lines
    assert max(map(len, lines)) <= 140
    assert "Listening against training" in (folder / "page.html").read_text()


def test_an_alarm_ends_in_three_unless_nobody_asked(audotics, folder):
    done = audotics(*arguments(folder, "cars", "--json"))
    assert done.code == 3
    report = json.loads(done.out)
    assert report["drift"]["quantities"][0]["name"] == "context:device"
    assert report["drift"]["quantities"][0]["verdict"] == "alarm"
    assert audotics(*arguments(folder, "cars", "--fail-on", "never")).code == 0


def test_what_cannot_be_used(audotics, folder):
    for more, said in (
        (("--since", "a week"), "--since: 'a week' is no span of time"),
        (("--window", "0h"), "--window"),
        (("--html", str(folder / "no" / "page.html")), "the folder does not exist"),
        (("--model", "nobody"), "there is no version 'nobody'"),
    ):
        done = audotics(*arguments(folder, "well", *more))
        assert done.code == 2, more
        assert said in done.err


@pytest.mark.parametrize(
    ("text", "length"),
    [("90m", timedelta(minutes=90)), ("12h", timedelta(hours=12)), ("1.5d", timedelta(days=1.5))],
)
def test_spans(text, length):
    assert span("--since", text) == length


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "0d", "1w", "9" * 400 + "d", "40000d"])
def test_no_spans(text):
    with pytest.raises(BadInputError, match="no span of time"):
        span("--since", text)

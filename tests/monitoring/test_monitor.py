"""The whole look at a service: a version in a registry, a journal in a database, one report."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from audotics.errors import DamagedError
from audotics.journal import open_engine
from audotics.monitoring.monitor import drift_summary, monitor
from audotics.monitoring.predictions import collect_predictions
from audotics.monitoring.reference import Reference
from audotics.monitoring.report import MonitorReport
from audotics.monitoring.tables import headline, monitor_page, monitor_tables
from audotics.monitoring.verdicts import Verdict
from audotics.registry import Registry
from contract.monitored import answers_before, fill, simulated

DAYS = 14


@pytest.fixture(scope="module")
def service():
    return simulated(n_users=300, n_days=DAYS)


@pytest.fixture(scope="module")
def place(service, tmp_path_factory):
    """A folder with models and the journal of a service that goes well."""
    folder = tmp_path_factory.mktemp("monitored")
    version = service.publish(folder / "models")
    engine = open_engine(f"sqlite:///{folder}/journal.db", timeout_s=10)
    fill(engine, service.after, answers_before(service.after, version, holdout_share=0.2))
    yield Registry(folder / "models"), engine, version
    engine.dispose()


@pytest.fixture
def end(service):
    return service.cut + timedelta(days=DAYS, hours=12)


@pytest.fixture(scope="module")
def report(place, service):
    registry, engine, _ = place
    return monitor(registry, engine, now=service.cut + timedelta(days=DAYS, hours=12))


def test_a_service_that_goes_well(report, place, end):
    _, _, version = place
    assert report.version == version
    assert report.at == end
    assert report.verdict is Verdict.STEADY, report.reasons
    assert report.drift.since >= end - timedelta(days=7)
    assert report.drift.n_listeners > 200
    groups = {(one.variant, one.rung) for one in report.quality.groups}
    assert groups == {("", ""), ("", "personalised"), ("holdout", ""), ("holdout", "personalised")}
    lifts = {lift.metric: lift for lift in report.quality.lifts}
    assert lifts["play"].low > 0.1
    assert len(report.quality.days) >= 7
    assert {drop.metric for drop in report.quality.drops} == {"play", "completion", "like", "skip"}
    assert MonitorReport.model_validate_json(report.model_dump_json()) == report


def test_predictions_are_better_than_chance(report):
    (found,) = (one for one in report.predictions if one.variant == "")
    assert found.metrics.precision > 1.3 * found.metrics.base_rate
    assert 0.5 < found.metrics.recall < 1
    assert found.metrics.calibration_error < 0.1


def test_the_reference_is_read_from_the_version(place, service):
    registry, _, version = place
    found = Reference.of_version(registry, "champion")
    expected = service.reference()
    assert found.version == version
    assert found.profile == expected.profile
    assert found.known.listeners.sort("user_id").equals(expected.known.listeners.sort("user_id"))
    assert found.known.tracks.sort("track_id").equals(expected.known.tracks.sort("track_id"))


def test_a_summary_for_whoever_decides(service, tmp_path, end):
    version = service.publish(tmp_path / "models")
    engine = open_engine(f"sqlite:///{tmp_path}/journal.db", timeout_s=10)
    yesterday = service.cut + timedelta(days=DAYS - 1)
    in_cars = service.after.with_columns(device=pl.lit("car"))
    fill(engine, in_cars, answers_before(in_cars, version, bad_since=yesterday))
    summary = drift_summary(Registry(tmp_path / "models"), engine, now=end)
    assert summary.verdict is Verdict.ALARM
    assert str(summary).startswith("play rate is alarm")
    assert any("context:device is alarm: car" in reason for reason in summary.reasons)
    quiet = drift_summary(Registry(tmp_path / "models"), engine, now=end + timedelta(days=30))
    assert quiet.verdict is Verdict.UNKNOWN
    assert str(quiet) == ""
    engine.dispose()


def test_only_the_newest_rows(place, end):
    registry, engine, _ = place
    few = monitor(registry, engine, now=end, most_rows=1_000)
    assert 0 < few.drift.n_events <= 1_000


def test_a_version_without_a_reference_still_has_quality(place, service, tmp_path, end):
    _, engine, _ = place
    service.publish(tmp_path / "models", profile=False)
    report = monitor(Registry(tmp_path / "models"), engine, now=end)
    assert "keeps no reference" in headline(report)[2]
    assert report.quality.groups


def test_a_version_that_cannot_be_read(service, tmp_path, place):
    _, engine, _ = place
    version = service.publish(tmp_path / "models")
    registry = Registry(tmp_path / "models")
    (registry.folder(version) / "vocabulary" / "users.json").write_text("[")
    with pytest.raises(DamagedError, match="cannot be read"):
        monitor(registry, engine)


def test_tables_and_page(report):
    tables = {table.title: table for table in monitor_tables(report)}
    assert len(tables) == 6
    for table in tables.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}
    drift = tables["Listening against training"]
    assert len(drift.rows) == len(report.drift.quantities)
    page = monitor_page(report)
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert page.count("<section>") == 6
    hostile = report.model_copy(
        update={"drift": report.drift.model_copy(update={"note": "<img src=x onerror=alert(1)>"})}
    )
    assert "<img" not in monitor_page(hostile)


def test_predictions_are_judged_on_what_calibration_has_not_seen():
    rng = np.random.default_rng(0)
    n = 4_000
    score = rng.normal(size=n)
    played = rng.random(n) < 1 / (1 + np.exp(-(1.5 * score - 1)))
    start = pl.datetime(2026, 5, 4, time_zone="UTC")
    shown = pl.DataFrame({"score": score, "played": played}).with_columns(
        at=start + pl.duration(minutes=pl.int_range(n)),
        request_id=pl.int_range(n).cast(pl.String),
        model_version=pl.lit("v1"),
        variant=pl.when(pl.int_range(n) % 2 == 0).then(pl.lit("a")).otherwise(pl.lit("b")),
        rung=pl.lit("personalised"),
    )
    collector = collect_predictions(shown)
    assert [group.variant for group in collector.groups] == ["a", "b"]
    found = collector.metrics("v1", "a")
    assert found.n == 1_000
    assert found.calibration_error < 0.06
    assert found.recall > 0.65
    # Where the later half is noise, nothing learned from the earlier half helps.
    noise = shown.with_columns(
        score=pl.when(pl.int_range(n) >= n // 2).then(pl.lit(rng.permutation(score))).otherwise("score")
    )
    assert collect_predictions(noise).metrics("v1", "a").precision < found.precision - 0.1
    assert collect_predictions(shown.head(150)).groups == ()
    assert collect_predictions(shown.with_columns(rung=pl.lit("popular"))).groups == ()

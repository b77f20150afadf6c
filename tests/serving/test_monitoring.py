"""What a running server tells Prometheus of drift, quality, its model and its journal."""

import asyncio
import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import polars as pl
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from audotics.journal import open_engine
from audotics.monitoring.monitor import monitor
from audotics.registry import Registry
from audotics.registry.names import published_at
from audotics.serving.metrics import MULTIPROCESS
from audotics.serving.monitor_metrics import MonitorMetrics
from audotics.serving.monitoring import MonitorJob
from audotics.settings import Settings
from contract.monitored import answers_before, fill, simulated
from contract.services import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Models and the journal of two weeks in which everybody moved to their cars at the end."""
    folder = tmp_path_factory.mktemp("watched")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = simulated(n_users=150, n_days=9, ends_at=midnight)
    version = world.publish(folder / "models")
    engine = open_engine(f"sqlite:///{folder}/journal.db", timeout_s=10)
    in_cars = world.after.with_columns(device=pl.lit("car"))
    fill(engine, in_cars, answers_before(in_cars, version, holdout_share=0.3))
    report = monitor(Registry(folder / "models"), engine)
    engine.dispose()
    return folder, version, report


@pytest.fixture
def start_watched(service, start_server):
    """Starts a server over that service."""
    folder, _, _ = service

    def start(**settings):
        journal = f"sqlite:///{folder}/journal.db"
        return start_server(SimpleNamespace(folder=folder / "models"), database_url=journal, **settings)

    return start


def samples(text):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def page(server):
    return httpx.get(f"{server.url}/metrics", timeout=PATIENCE_S).text


LOOK_S = 120.0
"""A look takes two seconds of computing, at low priority: a busy machine lets it wait."""


def wait_for(server, name):
    """The page as soon as it has the metric."""
    until = time.monotonic() + LOOK_S
    while time.monotonic() < until:
        text = page(server)
        if name in text:
            return text
        time.sleep(0.2)
    raise AssertionError(f"{name} did not come; the server says\n{server.log}")


@pytest.fixture
def metrics(tmp_path):
    registry = CollectorRegistry()
    found = MonitorMetrics(registry, None)
    registry.register(found)
    return registry, found


def test_a_report_as_prometheus_reads_it(service, metrics):
    _, version, report = service
    registry, found = metrics
    assert "audotics_drift" not in generate_latest(registry).decode()
    found.found(report)
    told = samples(generate_latest(registry).decode())
    assert told["audotics_monitor_verdict",] == 2
    assert told["audotics_monitor_last_success_timestamp_seconds",] == pytest.approx(report.at.timestamp())
    assert told["audotics_drift_verdict", "context:device"] == 2
    assert told["audotics_drift_verdict", "track:genre"] == 0
    assert told["audotics_drift_psi", "context:device"] > 1
    assert 0 <= told["audotics_drift_ks", "track:duration_s"] < 0.2
    assert 0 < told["audotics_unknown_ratio", "listener"] < 0.2
    value = told["audotics_quality_ratio", "play", "", version]
    low = told["audotics_quality_ratio_low", "play", "", version]
    assert low < value < told["audotics_quality_ratio_high", "play", "", version]
    assert told["audotics_quality_answers", "holdout", version] > 10
    assert told["audotics_quality_lift", "play", "", version] > 0
    assert told["audotics_prediction_ratio", "recall", "", version] > 0.3
    found.failed()
    assert samples(generate_latest(registry).decode())["audotics_monitor_failures_total",] == 1


def test_versions_that_are_gone_leave_the_page(service, metrics):
    _, version, report = service
    registry, found = metrics
    found.found(report)
    later = report.model_copy(update={"quality": report.quality.model_copy(update={"groups": ()})})
    found.found(later)
    assert (
        f'audotics_quality_answers{{variant="",version="{version}"}}'
        not in generate_latest(registry).decode()
    )


def test_workers_share_the_report(service, tmp_path):
    _, _, report = service
    first, second = (MonitorMetrics(CollectorRegistry(), tmp_path) for _ in range(2))
    assert list(second.collect()) == []
    first.found(report)
    assert [family.name for family in second.collect()] == [family.name for family in first.collect()]
    (tmp_path / "monitor.json").write_text("{")
    names = [family.name for family in second.collect()]
    assert "audotics_drift_psi" in names  # what it knew stays until there is something new


def test_a_server_looks_after_itself_beside_its_requests(service, start_watched):
    _, version, _ = service
    server = start_watched(monitor_every_s=0.5)
    text = wait_for(server, "audotics_monitor_last_success_timestamp_seconds")
    told = samples(text)
    assert told["audotics_drift_verdict", "context:device"] == 2
    assert told["audotics_quality_answers", "", version] > 100
    age = (datetime.now(UTC) - published_at(version)).total_seconds()
    assert told["audotics_model_age_seconds",] == pytest.approx(age, abs=10)
    assert 0 <= told["audotics_journal_lag_seconds",] < 5
    assert told["audotics_journal_pending_events",] == 0
    assert told["audotics_exposures_dropped_total",] == 0
    assert "monitoring: context:device is alarm" in server.log
    complaints = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert complaints.returncode == 0, complaints.stdout + complaints.stderr


def test_two_workers_have_one_look_and_one_state(start_watched):
    server = start_watched(workers=2, monitor_every_s=0.5)
    wait_for(server, "audotics_monitor_last_success_timestamp_seconds")
    for _ in range(6):  # whichever worker answers
        told = samples(page(server))
        assert told["audotics_drift_verdict", "context:device"] == 2
        ages = [name for name in told if name[0] == "audotics_model_age_seconds"]
        assert ages == [("audotics_model_age_seconds",)]
    # The state of a worker that dies is no part of the server's: else its lag would stand for ever.
    dead = server.workers[0]
    variables = Path(f"/proc/{dead}/environ").read_bytes().decode().split("\0")
    folder = Path(dict(one.split("=", 1) for one in variables if one)[MULTIPROCESS])
    assert list(folder.glob(f"gauge_live*_{dead}.db"))
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: not list(folder.glob(f"gauge_live*_{dead}.db")), "the dead worker's state leaves")
    assert list(folder.glob(f"counter_{dead}.db"))  # what it counted stays


def test_what_goes_wrong_is_counted_and_logged(service, tmp_path, caplog):
    folder, _, report = service
    registry = CollectorRegistry()
    metrics = MonitorMetrics(registry, None)
    registry.register(metrics)
    metrics.found(report)
    nowhere = Settings(models=tmp_path, database_url=f"sqlite:///{folder}/journal.db")
    job = MonitorJob(nowhere, "champion", metrics, None)
    with caplog.at_level("WARNING"):
        asyncio.run(job.look())
    assert "monitoring failed: " in caplog.text
    assert "there is no version yet" in caplog.text
    told = samples(generate_latest(registry).decode())
    assert told["audotics_monitor_failures_total",] == 1
    assert told["audotics_drift_verdict", "context:device"] == 2  # the last report stays, with its time


def test_a_look_that_is_never_asked_for(service):
    folder, _, _ = service
    settings = Settings(models=folder / "models", monitor_every_s=0)
    job = MonitorJob(settings, "champion", MonitorMetrics(CollectorRegistry(), None), None)

    async def begin_and_end():
        job.start()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await job.stop()
        return others

    assert asyncio.run(begin_and_end()) == set()

"""Alerts and the dashboard: Prometheus takes them, trouble raises them, a server tells what they ask for."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from audotics.journal import open_engine
from contract.audotics_server import AudoticsServer
from contract.deployment import DEPLOY, ROOT
from contract.monitored import answers_before, fill, simulated

PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "provisioning" / "dashboards" / "audotics.json"
PLANTED = Path(__file__).parent / "prometheus" / "alerts_test.yml"
LOOK_S = 120.0
"""A look takes two seconds of computing, at low priority: a busy machine lets it wait."""

_NAME = re.compile(r"\baudotics_[a-z0-9_]+")
_RECORDED = re.compile(r"\baudotics:[a-z0-9_:]+")


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    path = shutil.which("promtool")
    if path is None:
        pytest.fail("promtool is not installed: scripts/install-services", pytrace=False)
    return subprocess.run(
        [path, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return rules("alerts.yml")


def all_rules() -> list[dict[str, Any]]:
    return [*alerts(), *rules("recording.yml")]


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return read


def expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def test_prometheus_takes_the_configuration_and_the_rules():
    for name in ("recording.yml", "alerts.yml"):
        done = promtool("check", "rules", PROMETHEUS / name)
        assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    named = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["rule_files"]
    assert named == ["recording.yml", "alerts.yml"]


def test_planted_trouble_raises_its_alert_and_lesser_trouble_does_not(tmp_path):
    for path in (PROMETHEUS / "recording.yml", PROMETHEUS / "alerts.yml", PLANTED):
        shutil.copy(path, tmp_path)
    done = promtool("test", "rules", tmp_path / PLANTED.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_planted_both_ways():
    tests = yaml.safe_load(PLANTED.read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    names = {alert["alert"] for alert in alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_an_alert_that_never_fires_is_noticed(tmp_path):
    """The planted series test the thresholds: with others they fail."""
    shutil.copy(PROMETHEUS / "recording.yml", tmp_path)
    shutil.copy(PLANTED, tmp_path)
    text = (PROMETHEUS / "alerts.yml").read_text()
    blunted = text.replace("ratio_rate5m > 0.01", "ratio_rate5m > 0.5")
    assert blunted != text
    (tmp_path / "alerts.yml").write_text(blunted)
    done = promtool("test", "rules", tmp_path / PLANTED.name)
    assert done.returncode != 0
    assert "AudoticsErrors" in done.stdout + done.stderr


def test_every_alert_says_what_it_is_and_is_explained():
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for alert in alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(alert["annotations"]) == {"summary", "description"}
        assert f"`{alert['alert']}`" in page


def test_panels_of_the_dashboard(dashboard):
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {
        "datasource",
        "instance",
        "variant",
    }
    source = {"type": "prometheus", "uid": "${datasource}"}
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert len(shown) > 20
    for panel in shown:
        assert panel["datasource"] == source
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert all(target["datasource"] == source for target in panel["targets"])


def test_panels_of_the_dashboard_do_not_overlap(dashboard):
    def cells(panel):
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        return set(itertools.product(columns, rows))

    taken = [cells(panel) for panel in dashboard["panels"]]
    assert sum(map(len, taken)) == len(set().union(*taken))
    assert max(column for column, _ in set().union(*taken)) == 23


def test_prometheus_takes_every_expression_of_the_dashboard(dashboard, tmp_path):
    filled = {"$__rate_interval": "1m", "$instance": ".*", "$variant": ".*"}
    recorded = []
    for number, expression in enumerate(expressions(dashboard)):
        for variable, value in filled.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression
        recorded.append({"record": f"panel:{number}", "expr": expression})
    rule_file = tmp_path / "panels.yml"
    rule_file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = promtool("check", "rules", rule_file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_provisioning_finds_the_dashboard_and_its_source():
    provisioning = DASHBOARD.parents[1]
    provider = yaml.safe_load((provisioning / "dashboards" / "audotics.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    mounted = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounted
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """Names of the series that a real server offers once drift and quality were looked at."""
    folder = tmp_path_factory.mktemp("told")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = simulated(n_users=150, n_days=9, ends_at=midnight)
    version = world.publish(folder / "models")
    server = AudoticsServer(folder, folder / "models", monitor_every_s=0.5)
    engine = open_engine(str(server.settings["database_url"]), timeout_s=10)
    fill(engine, world.after, answers_before(world.after, version, holdout_share=0.3))
    engine.dispose()
    server.start()
    try:
        yield _series(server)
    finally:
        server.stop()


def _series(server: AudoticsServer) -> set[str]:
    until = time.monotonic() + LOOK_S
    text = ""
    while "audotics_monitor_last_success" not in text and time.monotonic() < until:
        text = httpx.get(f"{server.url}/metrics", timeout=30).text
        time.sleep(0.2)
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        names |= {name}
        if kind == "histogram":
            names |= {f"{name}_{part}" for part in ("bucket", "count", "sum")}
    return names


def test_a_server_tells_every_metric_that_alerts_ask_for(told):
    asked = set(_NAME.findall(" ".join(rule["expr"] for rule in all_rules())))
    assert len(asked) == 12
    assert asked - told == set()


def test_a_server_tells_every_metric_that_the_dashboard_asks_for(told, dashboard):
    variables = [variable["query"] for variable in dashboard["templating"]["list"]]
    asked = set(_NAME.findall(" ".join([*expressions(dashboard), *variables])))
    assert len(asked) > 20
    assert asked - told == set()


def test_every_recorded_figure_that_is_asked_for_is_recorded(dashboard):
    recorded = {rule["record"] for rule in rules("recording.yml")}
    asked = " ".join([*expressions(dashboard), *(rule["expr"] for rule in all_rules())])
    assert set(_RECORDED.findall(asked)) == recorded

from __future__ import annotations

import base64
import io
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from xml.etree import ElementTree

import pytest
from rich.console import Console

from audotics.experiments.analysis import analyse
from audotics.experiments.definition import Experiment
from audotics.experiments.experiment_report import ExperimentReport, Finding, Severity
from audotics.experiments.rehearsal import Population, rehearse
from audotics.experiments.report_pages import experiment_page, experiment_panels
from audotics.experiments.report_plots import report_plots
from audotics.experiments.report_tables import headline, report_tables

START = datetime(2025, 3, 3, tzinfo=UTC)


@cache
def report(uplift: float = 0.15, days: int = 5) -> ExperimentReport:
    logged = rehearse(
        Population.simulated(800),
        "try",
        {"a": 1, "b": 1},
        uplifts={"b": uplift},
        started_at=START,
        n_days=days,
    )
    experiment = Experiment.model_validate(
        {
            "name": "try",
            "arms": [{"name": "a", "share": 5000}, {"name": "b", "share": 5000}],
            "created_at": START,
            "started_at": START,
            "metrics": [{"name": "completion", "role": "primary"}, {"name": "skip", "role": "guardrail"}],
        }
    )
    return analyse(experiment, logged.outcomes, logged.events, START + timedelta(days=days))


def text_of(found: ExperimentReport) -> str:
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(experiment_panels(found))
    return console.export_text()


def test_the_terminal_tells_result_intervals_and_arms() -> None:
    text = text_of(report())
    assert "b is better in completion" in text
    assert "Guardrails" in text
    assert "a (control)" in text
    primary = report().comparisons[0].adjusted_relative
    assert primary is not None
    assert f"{primary.always_low:+.2%} to {primary.always_high:+.2%}" in text


def test_an_undecided_report_says_so() -> None:
    assert headline(report(0.0)) == "No treatment is known to be better or worse in a primary metric yet."


def test_a_stop_and_a_fault_come_first() -> None:
    fault = Finding(check="event log", severity=Severity.FAULT, text="b lost events", p_value=1e-9)
    broken = report(-0.3).model_copy(update={"findings": (fault,)})
    assert headline(broken).startswith("A check of the data failed")
    assert "Stop: b makes skip worse" in headline(broken)
    assert report_tables(broken)[0].rows == (("fault, event log: b lost events", "<0.001"),)


def test_names_are_escaped_and_nothing_is_loaded() -> None:
    evil = report().model_copy(update={"name": "<script>alert(1)</script>"})
    page = experiment_page(evil)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "[bold]" in text_of(report().model_copy(update={"name": "[bold]x"}))


def test_pictures_are_whole_and_described() -> None:
    page = experiment_page(report())
    pictures = re.findall(r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert [alt[:6] for alt, _ in pictures] == ["Change", "The di"]
    for _, picture in pictures:
        assert ElementTree.fromstring(base64.b64decode(picture)).tag.endswith("svg")  # noqa: S314


@pytest.mark.parametrize(("days", "n_plots"), [(1, 1), (3, 2)])
def test_one_day_has_no_course(days: int, n_plots: int) -> None:
    assert len(report_plots(report(0.15, days))) == n_plots

"""The report on a terminal and as a page."""

from __future__ import annotations

import base64
import builtins
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from audotics.data.corpus import Corpus
from audotics.errors import MissingExtraError
from audotics.evaluation import EvaluationReport, ModelEvaluator, report_panels, write_html
from audotics.evaluation.plots import Plot, report_plots
from audotics.evaluation.render import report_summary
from audotics.evaluation.report import Newcomer

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects what a browser would see and fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def page_text(full_report: EvaluationReport, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_html(full_report, path, title="Evaluation <1>")
    return path.read_text(encoding="utf-8")


def printed(report: EvaluationReport, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report_panels(report))
    return console.export_text()


def test_terminal_shows_names_as_they_are(full_report: EvaluationReport, hostile_name: str) -> None:
    text = printed(full_report, 250)
    assert hostile_name in text
    assert "[red]noise" in text
    assert "NDCG@10" in text
    assert f"{full_report.reference.metrics['ndcg@10'].mean:.4f}" in text


@pytest.mark.parametrize("width", [80, 120])
def test_an_ordinary_terminal_folds_neither_names_nor_figures(
    full_report: EvaluationReport, width: int
) -> None:
    names = ["audotics", *(system.name for system in full_report.systems[1:])]
    names[1:2] = ["popularity"]
    systems = [
        system.model_copy(update={"name": name})
        for system, name in zip(full_report.systems, names, strict=True)
    ]
    text = printed(full_report.model_copy(update={"systems": tuple(systems)}), width)
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= width
    assert "…" not in text
    ndcg = systems[1].metrics["ndcg@10"]
    figures = f"{ndcg.mean:.4f} ±{(ndcg.high - ndcg.low) / 2:.4f}"
    assert any(line.startswith("popularity ") and figures in line for line in lines)


def test_a_hostile_name_takes_no_figure_from_a_narrow_terminal(full_report: EvaluationReport) -> None:
    text = printed(full_report, 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert f"{full_report.reference.metrics['mrr@10'].mean:.4f}" in text


def test_the_summary_is_the_first_table(full_report: EvaluationReport) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(report_summary(full_report))
    text = console.export_text()
    assert "Systems" in text
    assert "at every cutoff" not in text
    assert f"{full_report.reference.metrics['ndcg@10'].mean:.4f}" in text


def test_page_is_well_formed_and_complete(
    page_text: str, full_report: EvaluationReport, hostile_name: str
) -> None:
    page = Page(page_text)
    words = " ".join(page.words)
    assert hostile_name in words
    assert "Evaluation <1>" in words
    for heading in ("Systems", "Segments", "Reach of the catalogue", "Calibration", "Learning curves"):
        assert heading in words
    assert f"{full_report.reference.metrics['recall@10'].mean:.4f}" in words
    assert sum(tag == "table" for tag, _ in page.tags) == 11
    for newcomer in Newcomer:
        assert str(newcomer) in words


def test_page_runs_nothing_and_loads_nothing(page_text: str) -> None:
    page = Page(page_text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "link" not in {tag for tag, _ in page.tags}
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy is not None and policy.startswith("default-src 'none'")
    for _, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs)
        assert (attrs.get("src") or "data:").startswith("data:image/svg+xml;base64,") or "src" not in attrs


def test_pictures_are_sound_and_described(page_text: str) -> None:
    images = [attrs for tag, attrs in Page(page_text).tags if tag == "img"]
    assert len(images) == 5
    for attrs in images:
        svg = base64.b64decode((attrs["src"] or "").partition(",")[2])
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
        assert root.tag.endswith("svg")
        assert attrs["alt"]
        assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_plots_are_the_same_bytes_each_time(full_plots: tuple[Plot, ...], page_text: str) -> None:
    for plot in full_plots:
        assert base64.b64encode(plot.svg.encode()).decode() in page_text


def test_plots_need_only_what_is_there(small_corpus: Corpus) -> None:
    test = pl.DataFrame({"user_id": ["ann"], "track_id": ["c"]})
    evaluator = ModelEvaluator(small_corpus, test, cutoffs=(2,), n_resamples=20)
    report = evaluator.report([evaluator.evaluate("nothing found", np.array([[-1]], np.int32))])
    before = dict(matplotlib.rcParams)
    assert [plot.title for plot in report_plots(report)] == ["Systems", "Segments", "Reach of the catalogue"]
    assert dict(matplotlib.rcParams) == before, "no global state was touched"


def test_curves_with_gaps_or_without_points_are_drawn(full_report: EvaluationReport) -> None:
    reference = full_report.reference.model_copy(update={"heads": {}})
    odd = full_report.model_copy(
        update={"systems": (reference,), "learning_curves": {"loss": (1.0, None, 2.0), "empty loss": ()}}
    )
    assert report_plots(odd)[-1].title == "Learning curves"


def test_without_matplotlib_the_extra_is_named(
    full_report: EvaluationReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match=re.escape("audotics[report]")):
        write_html(full_report, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_room_is_cheap_to_enter() -> None:
    code = (
        "import sys, audotics.evaluation as room\n"
        "room.ModelEvaluator, room.MetricsCollector, room.report_panels, room.write_html\n"
        "heavy = ('tensorflow', 'keras', 'sklearn', 'matplotlib', 'scipy.stats')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    import audotics.evaluation as room

    for name in room.__all__:
        assert getattr(room, name) is not None
    assert dir(room) == room.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = room.nothing

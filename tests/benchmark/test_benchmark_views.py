"""A report on the terminal and as a picture."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from audotics.benchmark import benchmark_panels, write_plot
from audotics.benchmark.plot import check_plot_target
from audotics.errors import BadInputError, MissingExtraError


def shown(report) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(benchmark_panels(report))
    return console.export_text()


def test_every_system_stands_in_every_table(report):
    text = shown(report)
    ndcg = report.evaluation.reference.metrics["ndcg@20"]
    assert f"{ndcg.mean:.4f} ±{(ndcg.high - ndcg.low) / 2:.4f}" in text
    rows = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert rows.count("ease") == 3  # quality, cost, and the heading of the differences
    assert rows.count("popularity") == 3
    assert "ease minus each, NDCG@20" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_conditions_are_told(report):
    words = " ".join(shown(report).split())
    assert "at most 2 settings in 5 s" in words
    assert "1 threads each" not in words
    assert "1 thread each" in words
    assert f"numpy {report.machine.versions['numpy']}" in words


def test_failures_and_absences_are_told(report):
    told = report.model_copy(
        update={"failed": {"implicit-als": "out of memory"}, "left_out": {"sasrec": "not installed"}}
    )
    words = " ".join(shown(told).split())
    assert "implicit-als failed - - -" in words
    assert "implicit-als failed: out of memory." in words
    assert "sasrec left out: not installed" in words


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_plot_is_written_in_the_format_asked_for(report, tmp_path, ending, start):
    target = tmp_path / "part"
    write_plot(report, target, ending)
    assert target.read_bytes().startswith(start)


def test_a_plot_names_every_system_and_what_it_shows(report, tmp_path):
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        write_plot(report, tmp_path / "plot.svg", "svg")
    drawn = (tmp_path / "plot.svg").read_text()
    for text in ("ease", "popularity", "NDCG@20, 95 % interval", "peak memory, MiB", "top-100 lists per s"):
        assert text in drawn


def test_a_plot_that_cannot_be_drawn_is_refused_before_the_work(tmp_path, monkeypatch):
    with pytest.raises(BadInputError, match=r"cannot draw \.gif\. Use one of \.png"):
        check_plot_target(tmp_path / "plot.gif")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="report"):
        check_plot_target(tmp_path / "plot.png")

"""What the pictures of a report show: text is drawn as outlines with the words beside them as comments."""

from __future__ import annotations

import html
import re
from collections import Counter

import numpy as np
import pytest

from audotics.evaluation import EvaluationReport
from audotics.evaluation.plots import ACCENT, N_COMPARED, Plot, report_plots
from audotics.evaluation.segments import Segment


def words(plot: Plot) -> Counter[str]:
    """Every text of the picture, and how often it stands there."""
    return Counter(
        html.unescape(text.strip()) for text in re.findall(r"<!--(.*?)-->", plot.svg, flags=re.DOTALL)
    )


@pytest.fixture(scope="module")
def plots(full_plots: tuple[Plot, ...]) -> dict[str, Plot]:
    return {plot.title: plot for plot in full_plots}


def test_one_picture_for_each_subject(plots: dict[str, Plot]) -> None:
    assert list(plots) == ["Systems", "Segments", "Reach of the catalogue", "Calibration", "Learning curves"]
    assert all(plot.description for plot in plots.values())


def test_systems_show_their_names_and_means(plots: dict[str, Plot], full_report: EvaluationReport) -> None:
    found = words(plots["Systems"])
    assert {"NDCG@10", "recall@10"} <= set(found)
    for system in full_report.systems:
        assert found[system.name] == 1, "axes share their rows"
        assert found[f"{system.metrics['ndcg@10'].mean:.4f}"] >= 1
        assert found[f"{system.metrics['recall@10'].mean:.4f}"] >= 1


def test_dollar_signs_are_not_read_as_formulas(plots: dict[str, Plot], hostile_name: str) -> None:
    assert "$x_$" in hostile_name
    assert words(plots["Systems"])[hostile_name] == 1
    assert words(plots["Segments"])[hostile_name] == 1


def test_segments_show_kinds_and_counts(plots: dict[str, Plot], full_report: EvaluationReport) -> None:
    text = " ".join(words(plots["Segments"]))
    for part in full_report.reference.segments:
        for word in str(part.segment).split():
            assert word in text
        assert f"{part.n_listeners:,}" in text


def test_segments_show_the_reference_beside_few_others(full_report: EvaluationReport) -> None:
    reference = full_report.reference.model_copy(update={"heads": {}})
    rivals = [full_report.systems[1].model_copy(update={"name": f"rival {n}"}) for n in range(6)]
    many = full_report.model_copy(update={"systems": (reference, *rivals), "learning_curves": {}})
    found = words({plot.title: plot for plot in report_plots(many)}["Segments"])
    shown = [system.name for system in many.systems if found[system.name]]
    assert len(shown) == N_COMPARED
    assert shown[0] == many.reference.name


def test_reach_shows_coverage_and_gini(plots: dict[str, Plot], full_report: EvaluationReport) -> None:
    found = words(plots["Reach of the catalogue"])
    for system in full_report.systems:
        assert found[f"{system.catalogue['coverage@10']:.3f}"] >= 1
        assert found[f"{system.catalogue['gini@10']:.3f}"] >= 1


def test_calibration_has_a_panel_for_each_head(plots: dict[str, Plot], full_report: EvaluationReport) -> None:
    found = words(plots["Calibration"])
    for head, metrics in full_report.reference.heads.items():
        assert found[f"{head} (error {metrics.calibration_error:.3f})"] == 1
    assert found["predicted"] == len(full_report.reference.heads)


def test_curves_that_measure_the_same_share_a_panel(plots: dict[str, Plot]) -> None:
    found = words(plots["Learning curves"])
    assert found["epoch"] == 2
    assert (found["loss"], found["NDCG@10"]) == (1, 1)
    assert {"train loss", "validation loss", "validation ndcg@10"} <= set(found)


def test_the_reference_stands_out(plots: dict[str, Plot]) -> None:
    for title in ("Systems", "Segments", "Reach of the catalogue"):
        assert ACCENT in plots[title].svg


def test_a_system_of_zeros_can_be_drawn(full_report: EvaluationReport) -> None:
    zero = {
        name: interval.model_copy(update={"mean": 0.0, "low": 0.0, "high": 0.0})
        for name, interval in full_report.reference.metrics.items()
    }
    nothing = full_report.reference.model_copy(update={"metrics": zero, "heads": {}, "segments": ()})
    report = full_report.model_copy(update={"systems": (nothing,), "comparisons": (), "learning_curves": {}})
    drawn = {plot.title: plot for plot in report_plots(report)}
    assert words(drawn["Systems"])["0.0000"] == 2
    assert np.isfinite([len(plot.svg) for plot in drawn.values()]).all()


def test_every_kind_of_segment_has_two_words() -> None:
    # The axis breaks the label after its first word.
    assert all(len(segment.split()) in (1, 2) for segment in Segment)

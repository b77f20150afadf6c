from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from audotics.data.corpus import Corpus
from audotics.domain import Mode
from audotics.errors import BadInputError
from audotics.evaluation import EvaluationReport, ModelEvaluator, Task
from audotics.evaluation.cells import metric_label
from audotics.evaluation.segments import Segment
from audotics.evaluation.tables import best_first, describe_test, report_tables


def test_written_and_read_again(full_report: EvaluationReport, tmp_path: Path) -> None:
    full_report.to_json(tmp_path / "report.json")
    assert EvaluationReport.from_json(tmp_path / "report.json") == full_report


def test_json_is_for_other_programs_too(full_report: EvaluationReport, tmp_path: Path) -> None:
    full_report.to_json(tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["test"]["task"] == "mix"
    assert set(found["systems"][0]["metrics"]["ndcg@10"]) == {"mean", "low", "high", "n"}
    assert found["comparisons"][0]["baseline"] == "popularity"
    assert "NaN" not in (tmp_path / "report.json").read_text()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"systems": []}', "\x00"])
def test_what_is_no_report(tmp_path: Path, content: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match="no evaluation report") as caught:
        EvaluationReport.from_json(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no evaluation report"):
        EvaluationReport.from_json(tmp_path / "none.json")


def test_reports_from_before_newcomers_are_read(full_report: EvaluationReport, tmp_path: Path) -> None:
    found = json.loads(full_report.model_dump_json())
    del found["newcomers"], found["test"]["n_unheard_dropped"]
    found["test"]["task"] = "include_heard"
    for system in found["systems"]:
        del system["catalogue"]["new_track_share@10"], system["catalogue"]["repeat_share@10"]
    (tmp_path / "old.json").write_text(json.dumps(found))
    old = EvaluationReport.from_json(tmp_path / "old.json")
    assert old.test == full_report.test
    assert old.newcomers == ()
    tables = {table.title: table for table in report_tables(old)}
    assert {row[1] for row in tables["New tracks"].rows} == {"-"}


def test_tasks_have_the_modes_of_their_names() -> None:
    assert {task.mode for task in Task} == set(Mode)
    with pytest.raises(ValueError, match="nothing"):
        Task("nothing")


def test_frozen(full_report: EvaluationReport) -> None:
    with pytest.raises(ValidationError):
        full_report.systems = ()  # type: ignore[misc]


def test_system_by_name(full_report: EvaluationReport, hostile_name: str) -> None:
    assert full_report.system("popularity").name == "popularity"
    assert full_report.reference.name == hostile_name
    with pytest.raises(BadInputError, match=r"no system 'nobody'.*popularity"):
        full_report.system("nobody")


def test_every_segment_is_told(full_report: EvaluationReport) -> None:
    assert {part.segment for part in full_report.reference.segments} == set(Segment)


def test_tables_have_a_cell_for_each_column(full_report: EvaluationReport) -> None:
    tables = report_tables(full_report)
    assert len(tables) == 11
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_tables_say_what_the_report_says(full_report: EvaluationReport) -> None:
    systems, cutoffs, lists, new, repeats, segments, known, ndcgs, recalls, comparisons, heads = (
        report_tables(full_report)
    )
    ndcg = full_report.reference.metrics["ndcg@10"]
    assert systems.rows[0][1] == f"{ndcg.mean:.4f} ±{(ndcg.high - ndcg.low) / 2:.4f}"
    assert [row[0] for row in systems.rows] == [system.name for system in full_report.systems]
    assert cutoffs.columns == ("metric", "@5", "@10")
    assert (lists.rows[0][-1], lists.rows[1][-1]) == ("1.2 s", "-")
    assert [row[0] for row in segments.rows] == [part.segment for part in full_report.reference.segments]
    reference = full_report.reference
    told = {part.segment: part.metrics["recall@10"] for part in reference.segments}
    assert new.columns[1:] == ("new-track share", "recall@10 of new tracks", "recall@10 of known tracks")
    assert new.rows[0][1] == f"{reference.catalogue['new_track_share@10']:.4f}"
    assert new.rows[0][2].startswith(f"{told[Segment.NEW_TRACKS].mean:.4f} ±")
    assert repeats.rows[0][1] == f"{reference.catalogue['repeat_share@10']:.4f}"
    assert repeats.rows[0][3].startswith(f"{told[Segment.DISCOVERIES].mean:.4f} ±")
    assert [row[0] for row in known.rows] == [found.newcomer for found in full_report.newcomers]
    first = full_report.newcomers[0]
    means = first.systems[reference.name]["ndcg@10"]
    assert known.rows[0][1] == str(first.n_listeners)
    assert known.rows[0][2] == f"{means.mean:.4f} ±{(means.high - means.low) / 2:.4f}"
    assert known.rows[0][4].rstrip("*") == f"{first.comparisons[0].difference:+.4f}"
    assert [row[0] for row in ndcgs.rows] == list(first.systems)
    assert recalls.rows[1][1] == f"{first.systems['popularity']['recall@10'].mean:.4f}"
    assert len(comparisons.rows) == 2 * 3
    assert comparisons.rows[0][2].rstrip("*") == f"{full_report.comparisons[0].difference:+.4f}"
    assert heads.columns == ("metric", "play", "skip")
    play = full_report.reference.heads["play"]
    assert heads.rows[0][1] == f"{play.n:,}"
    assert dict(zip([row[0] for row in heads.rows], [row[1] for row in heads.rows], strict=True))[
        "calibration error"
    ] == (f"{play.calibration_error:.4f}")


def test_tables_without_content_are_left_out(small_corpus: Corpus) -> None:
    test = pl.DataFrame({"user_id": ["ann"], "track_id": ["c"]})
    evaluator = ModelEvaluator(small_corpus, test, cutoffs=(2,), n_resamples=20)
    report = evaluator.report([evaluator.evaluate("alone", np.array([[2]], np.int32))])
    assert [table.title for table in report_tables(report)] == [
        "Systems",
        "alone at every cutoff",
        "What the lists look like",
        "New tracks",
        "alone by segment",
    ]


def test_description_names_task_and_counts(full_report: EvaluationReport, small_corpus: Corpus) -> None:
    assert "Task: mix" in describe_test(full_report)
    assert "5 cold" in describe_test(full_report)
    test = pl.DataFrame({"user_id": ["ann", "ann"], "track_id": ["c", "a"]})
    evaluator = ModelEvaluator(small_corpus, test, cutoffs=(2,), n_resamples=20)
    text = describe_test(evaluator.report([evaluator.evaluate("m", np.array([[2]], np.int32))]))
    assert "Task: discover" in text
    assert "1 test tracks were left out because their listener had heard them." in text
    familiar = ModelEvaluator(small_corpus, test, task=Task.FAMILIAR, cutoffs=(2,), n_resamples=20)
    text = describe_test(familiar.report([familiar.evaluate("m", np.array([[0]], np.int32))]))
    assert "Task: familiar" in text
    assert "1 test tracks were left out because their listener had not heard them." in text


def test_one_listener_has_no_spread(small_corpus: Corpus) -> None:
    test = pl.DataFrame({"user_id": ["ann"], "track_id": ["c"]})
    evaluator = ModelEvaluator(small_corpus, test, cutoffs=(2,), n_resamples=20)
    systems = report_tables(evaluator.report([evaluator.evaluate("m", np.array([[2]], np.int32))]))[0]
    assert systems.rows[0][1] == "1.0000"


@pytest.mark.parametrize(
    ("metric", "label"), [("ndcg@20", "NDCG@20"), ("hit_rate@5", "hit rate@5"), ("loss", "loss")]
)
def test_labels(metric: str, label: str) -> None:
    assert metric_label(metric) == label


def test_best_first_keeps_the_reference_in_front(full_report: EvaluationReport, hostile_name: str) -> None:
    names = best_first(full_report, "ndcg@10", 3)
    assert names[0] == hostile_name
    means = [full_report.system(name).metrics["ndcg@10"].mean for name in names[1:]]
    assert means == sorted(means, reverse=True)
    assert len(best_first(full_report, "ndcg@10", 2)) == 2

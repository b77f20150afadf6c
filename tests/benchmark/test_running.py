"""A whole benchmark, with real child processes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.benchmark.report import BenchmarkReport
from audotics.benchmark.running import run_benchmark
from audotics.benchmark.systems import Ours
from audotics.errors import BadInputError, RefusedError
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig

QUICK = TrainConfig(
    seed=3, retrievers=("item-knn", "popularity"), rankers=("single", "mean"), tune_trials=1, tune_seconds=10
)


def test_all_are_measured_on_the_same_test_best_first(report):
    assert [system.name for system in report.evaluation.systems] == ["ease", "popularity"]
    assert [cost.name for cost in report.costs] == ["ease", "popularity"]
    assert report.evaluation.test.n_listeners == 90
    assert report.split == "random 20% of each listener's tracks (seed 3)"
    metric = {system.name: system.metrics["ndcg@20"].mean for system in report.evaluation.systems}
    assert metric["ease"] > metric["popularity"] + 0.1
    pair = next(found for found in report.evaluation.comparisons if found.metric == "ndcg@20")
    assert (pair.system, pair.baseline) == ("ease", "popularity")
    assert pair.difference == pytest.approx(metric["ease"] - metric["popularity"])


def test_costs_are_told(report):
    ease, popularity = report.costs
    assert ease.n_trials == 2
    assert ease.tune_s > 0
    assert 0 < ease.validation_ndcg < 1
    assert (popularity.n_trials, popularity.tune_s, popularity.settings) == (0, None, {})
    for cost in report.costs:
        assert cost.listeners_per_s == pytest.approx(report.n_listeners / cost.recommend_s)
        assert cost.peak_memory_mib > 20
    assert report.machine.versions["numpy"] == np.__version__
    assert report.machine.cores >= 1


def test_a_report_survives_its_file(report, tmp_path):
    report.to_json(tmp_path / "report.json")
    assert BenchmarkReport.from_json(tmp_path / "report.json") == report
    (tmp_path / "broken.json").write_text('{"split": 1}')
    with pytest.raises(BadInputError, match=r"broken\.json: this is no benchmark report"):
        BenchmarkReport.from_json(tmp_path / "broken.json")


def test_ours_takes_part_and_comes_first(planted, tmp_path, monkeypatch, conditions):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    progress = Progress()
    found = run_benchmark(
        planted,
        None,
        conditions,
        config=QUICK,
        peers=["popularity"],
        ours=Ours(QUICK),
        progress=progress,
    )
    assert [system.name for system in found.evaluation.systems] == ["audotics", "popularity"]
    ours = found.costs[0]
    assert re.fullmatch("ranker (single|mean)", ours.note)
    assert ours.settings["tune_trials"] == 1
    metric = {system.name: system.metrics["ndcg@20"].mean for system in found.evaluation.systems}
    assert metric["audotics"] > metric["popularity"] + 0.1
    assert [record.name for record in progress.records] == [
        "read and hold out",
        "fit popularity and recommend",
        "train audotics and recommend",
        "evaluate",
    ]
    assert list(tmp_path.iterdir()) == []


def break_implicit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is there and does not work, for the children alone."""
    (folder / "implicit").mkdir()
    (folder / "implicit" / "__init__.py").write_text("raise ImportError('built for another processor')\n")
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")


def test_a_peer_that_fails_is_told_of_and_the_others_go_on(planted, tmp_path, monkeypatch, conditions):
    pytest.importorskip("implicit")
    break_implicit(tmp_path, monkeypatch)
    found = run_benchmark(
        planted, None, conditions, config=TrainConfig(seed=3), peers=["implicit-als", "popularity"]
    )
    assert found.failed == {"implicit-als": "ImportError: built for another processor"}
    assert [cost.name for cost in found.costs] == ["popularity"]


def test_if_nothing_comes_to_its_end_there_is_no_report(planted, tmp_path, monkeypatch, conditions):
    pytest.importorskip("implicit")
    break_implicit(tmp_path, monkeypatch)
    with pytest.raises(RefusedError, match=r"implicit-als: ImportError: built for another processor"):
        run_benchmark(planted, None, conditions, config=TrainConfig(), peers=["implicit-als"])


def test_tuning_that_takes_too_long_keeps_what_it_found(planted, conditions):
    endless = conditions.model_copy(update={"trials": 10**6, "seconds": 10**6, "timeout_s": 5.0})
    found = run_benchmark(planted, None, endless, config=TrainConfig(seed=3), peers=["ease"])
    assert found.costs[0].note == "tuning ended early: not done after 5 s"
    assert found.costs[0].n_trials > 0


def test_listeners_without_history_get_what_is_popular_from_every_peer(planted, conditions):
    events = planted.events().collect()
    popular = (
        events["track_id"].value_counts().sort("count", "track_id", descending=[True, False])["track_id"]
    )
    test = pl.DataFrame({"user_id": ["zoe"] * 5, "track_id": popular.head(5)})
    found = run_benchmark(planted, test, conditions, config=TrainConfig(), peers=["ease"])
    assert found.evaluation.test.n_cold_listeners == 1
    assert found.evaluation.reference.metrics["ndcg@5"].mean == 1.0


def test_most_played_takes_part_where_heard_tracks_count(planted, conditions):
    heard = planted.events().collect().select("user_id", "track_id")
    config = TrainConfig(include_heard=True)
    found = run_benchmark(planted, heard, conditions, config=config, peers=["most-played"])
    assert found.evaluation.reference.metrics["recall@20"].mean == 1.0

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.errors import BadInputError, DamagedError
from audotics.evaluation.segments import Segment
from audotics.lifecycle.comparison import VersionComparison, compare
from audotics.registry import Registry
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.pipeline import TrainingPipeline
from audotics.training.publishing import publish
from contract.simulated_logs import simulated_log, write
from contract.small_version import publish_small

LOG = simulated_log(seed=1)


@dataclass(frozen=True)
class Two:
    """A popularity list of last week and a hybrid of yesterday, and the days since."""

    registry: Registry
    popular: str
    hybrid: str
    days: Dataset
    before: Dataset


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    folder = tmp_path_factory.mktemp("two")
    registry = Registry(folder / "models")
    versions = []
    for name, retrievers, days in (
        ("popular", ("popularity",), 6),
        ("hybrid", ("item-knn", "popularity"), 0),
    ):
        config = TrainConfig(retrievers=retrievers, rankers=("single",), tune_trials=0, seed=len(retrievers))
        events = LOG.events.filter(pl.col("timestamp") < LOG.new_from - timedelta(days=days))
        dataset = write(folder / name, events, LOG.tracks, LOG.users)
        trained = TrainingPipeline(config).train(dataset)
        versions.append(publish(trained, dataset, registry, name, Progress()))
    return Two(registry, *versions, LOG.whole(folder / "days"), dataset)


@pytest.fixture(scope="module")
def found(two: Two) -> VersionComparison:
    return compare(two.registry, two.hybrid, two.popular, two.days)


def test_quality_is_compared_in_pairs_on_later_days(found: VersionComparison, two: Two) -> None:
    assert (found.first, found.second) == (two.hybrid, two.popular)
    assert found.measured is not None
    first, second = (found.measured.report.system(name) for name in ("first", "second"))
    difference = found.measured.differences["ndcg@20"]
    assert difference.difference == pytest.approx(
        first.metrics["ndcg@20"].mean - second.metrics["ndcg@20"].mean
    )
    assert difference.difference > 0 and difference.low < difference.difference < difference.high
    assert difference.n == found.measured.report.test.n_listeners


def test_segments_are_compared_too(found: VersionComparison) -> None:
    assert found.measured is not None
    segments = found.measured.segments
    assert {Segment.HEAVY_LISTENERS, Segment.LIGHT_LISTENERS} <= set(segments)
    of_listeners = [part.n for segment, part in segments.items() if segment.endswith("listeners")]
    assert sum(of_listeners) == found.measured.report.test.n_listeners


def test_lists_of_different_models_differ_and_of_the_same_do_not(found: VersionComparison, two: Two) -> None:
    assert 0 < found.overlap.jaccard < 0.9
    same = compare(two.registry, two.hybrid, two.hybrid)
    assert same.overlap.jaccard == same.overlap.same_top == 1.0
    assert same.config == {} and all(a == b for a, b in same.lineage.values())


def test_settings_and_lineage_that_differ_are_told(found: VersionComparison) -> None:
    assert found.config["train.retrievers"] == (["item-knn", "popularity"], ["popularity"])
    assert found.config["train.seed"] == (2, 1)
    assert found.config["retrievers.item-knn"][1] is None
    assert "train.tune_trials" not in found.config
    assert found.lineage["name"] == ("hybrid", "popular")
    assert found.lineage["data to"][0] > found.lineage["data to"][1]
    assert found.lineage["python"][0] == found.lineage["python"][1]


def test_backwards_all_signs_turn(found: VersionComparison, two: Two) -> None:
    back = compare(two.registry, two.popular, two.hybrid, two.days)
    assert back.measured is not None and found.measured is not None
    assert back.measured.differences["ndcg@20"].difference == pytest.approx(
        -found.measured.differences["ndcg@20"].difference
    )
    assert back.overlap == found.overlap


def test_without_data_what_training_told_stands_there(two: Two) -> None:
    found = compare(two.registry, two.hybrid, two.popular)
    assert found.measured is None
    assert found.overlap.n_listeners > 0
    told = two.registry.show(two.hybrid).metrics["judges"]["ndcg@20"]["mean"]
    assert found.told["ndcg@20"][0] == pytest.approx(told)


def test_a_test_needs_no_later_days(two: Two) -> None:
    test = LOG.events.filter(pl.col("timestamp") >= LOG.new_from).select("user_id", "track_id")
    found = compare(two.registry, two.hybrid, two.popular, two.before, test=test)
    assert found.measured is not None and found.measured.report.test.n_pairs > 0


def test_data_that_one_has_learned_from_is_refused(two: Two) -> None:
    with pytest.raises(BadInputError, match="0 events are held out"):
        compare(two.registry, two.hybrid, two.popular, two.before)


def test_versions_of_other_listeners_cannot_be_compared(two: Two) -> None:
    other = publish_small(two.registry.models_dir, promote=False)
    with pytest.raises(BadInputError, match="no listener in common"):
        compare(two.registry, two.hybrid, other)


def test_a_damaged_version_is_refused(two: Two, tmp_path: Path) -> None:
    version = publish_small(tmp_path / "models")
    registry = Registry(tmp_path / "models")
    (registry.folder(version) / "recommender.json").write_text("{}")
    with pytest.raises(DamagedError):
        compare(registry, version, version)


def test_the_comparison_is_json_and_comes_back(found: VersionComparison) -> None:
    text = found.model_dump_json()
    assert json.loads(text)["measured"]["segments"]
    assert VersionComparison.model_validate_json(text) == found

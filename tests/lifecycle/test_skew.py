from __future__ import annotations

import polars as pl
import pytest

from audotics.lifecycle.latency import measure_latency
from audotics.lifecycle.skew import UNLIMITED, Skew, compared, measure_skew
from audotics.recommender.recommender import Recommender
from contract.small_version import small_recommender


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return small_recommender()


def table(scores: dict[str, float], user: str = "u") -> pl.DataFrame:
    rows = {"user_id": [user] * len(scores), "track_id": list(scores), "score": list(scores.values())}
    return pl.DataFrame(rows, schema={"user_id": pl.String, "track_id": pl.String, "score": pl.Float32})


def between(many: pl.DataFrame, single: pl.DataFrame) -> Skew:
    return compared(many, single, n_lists=1, offline="files")


def test_differences_are_measured_in_deviations_of_their_list() -> None:
    found = between(table({"a": 1.0, "b": 3.0}), table({"a": 1.0, "b": 3.5}))
    assert found.score_difference == pytest.approx(0.5 / 2**0.5)
    assert found.swapped == 0.0
    larger = between(table({"a": 100.0, "b": 300.0}), table({"a": 100.0, "b": 350.0}))
    assert larger.score_difference == pytest.approx(found.score_difference)


def test_other_tracks_are_swapped_places() -> None:
    found = between(table({"a": 1.0, "b": 2.0, "c": 3.0}), table({"a": 1.0, "b": 2.0, "d": 3.0}))
    assert found.swapped == pytest.approx(1 / 3) and found.score_difference == 0.0
    nothing_shared = between(table({"a": 1.0}), table({"b": 1.0}))
    assert (nothing_shared.swapped, nothing_shared.score_difference) == (1.0, 0.0)
    longer = between(table({"a": 1.0, "b": 2.0}), table({"a": 1.0}))
    assert longer.swapped == 0.5


def test_lists_of_equal_scores_have_no_spread_to_divide_by() -> None:
    assert between(table({"a": 1.0, "b": 1.0}), table({"a": 1.0, "b": 1.25})).score_difference == 0.25


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_as_far_apart_as_can_be(odd: float) -> None:
    found = between(table({"a": 1.0, "b": 3.0}), table({"a": 1.0, "b": odd}))
    assert found.score_difference == UNLIMITED


def test_one_by_one_is_as_many_at_once(recommender: Recommender) -> None:
    found = measure_skew(recommender, [*recommender.users.ids[:20], "a stranger"])
    assert found.n_lists == 21 and found.offline == "files"
    assert found.score_difference < 1e-4 and found.swapped == 0.0


def test_another_model_in_memory_is_skew(recommender: Recommender) -> None:
    found = measure_skew(recommender, recommender.users.ids[:20], offline=small_recommender(seed=1))
    assert found.offline == "in memory"
    assert found.score_difference > 0.1


def test_nobody_asked_is_no_difference(recommender: Recommender) -> None:
    assert measure_skew(recommender, []) == Skew(
        n_lists=0, score_difference=0.0, swapped=0.0, offline="files"
    )


def test_latency_of_both_is_measured_on_the_same_requests(recommender: Recommender) -> None:
    found = measure_latency({"one": recommender, "other": recommender}, recommender.users.ids, n=10)
    assert {name: latency.n for name, latency in found.items()} == {"one": 10, "other": 10}
    assert all(0 < latency.p50_ms <= latency.p99_ms for latency in found.values())
    assert found["one"].p50_ms == pytest.approx(found["other"].p50_ms, rel=2)

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from audotics.domain import Query
from audotics.errors import BadInputError
from audotics.experiments.off_policy import Estimator, policy_value
from audotics.experiments.replay import logged_for, logged_queries, replay_target, target_chances
from audotics.experiments.reward_models import TrackMeans, cross_fitted
from audotics.recommender.recommender import Recommender
from audotics.slate.config import SlateConfig
from contract.small_version import small_recommender

RULES = {"explore": 0.5, "explore_places": (2, 3), "explore_pool": 6}


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return small_recommender()


def log_of(recommender: Recommender, n: int) -> pl.DataFrame:
    """Answers of an exploring server in the columns that replay reads; a reward for even track numbers."""
    users = [f"u{i % 30:03}" for i in range(n)]
    slates = recommender.recommend([Query(user, k=3, rules=RULES, seed=i) for i, user in enumerate(users)])
    rows = [
        (f"r{i}", user, position, track, float(propensity))
        for i, (user, slate) in enumerate(zip(users, slates, strict=True))
        for position, (track, propensity) in enumerate(
            zip(slate.track_ids, slate.propensities, strict=True), start=1
        )
    ]
    columns = ["request_id", "user_id", "position", "track_id", "propensity"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        at=pl.lit(datetime(2025, 3, 3, tzinfo=UTC)),
        completed=pl.col("track_id").str.extract(r"(\d+)").cast(pl.Int64) % 2 == 0,
    )


def test_a_version_without_exploration_shows_its_best_tracks_for_certain(recommender: Recommender) -> None:
    ids, queries = logged_queries(log_of(recommender, 4))
    target = replay_target(recommender, ids, queries)
    assert target["probability"].unique().to_list() == [1.0]
    slates = recommender.recommend(queries)
    assert target["track_id"].to_list() == [track for slate in slates for track in slate.track_ids]
    assert target["position"].to_list() == [1, 2, 3] * 4


def test_chances_of_an_exploring_version_are_those_that_it_logs(recommender: Recommender) -> None:
    logged = log_of(recommender, 300)
    ids, queries = logged_queries(logged)
    target = replay_target(recommender, ids, queries, SlateConfig(**RULES))
    assert target_chances(logged, target).to_numpy() == pytest.approx(
        logged["propensity"].to_numpy(), abs=1e-6
    )
    sums = target.group_by("request_id", "position").agg(pl.col("probability").sum())
    assert sums["probability"].to_numpy() == pytest.approx(np.ones(sums.height))


def test_chances_without_a_closed_form_are_refused(recommender: Recommender) -> None:
    with pytest.raises(BadInputError, match="closed form"):
        replay_target(recommender, ["r"], [Query("u000")], SlateConfig(explore=0.1, diversity=0.5))


def test_replaying_the_logging_policy_gives_what_was_earned(recommender: Recommender) -> None:
    logged = log_of(recommender, 300)
    ids, queries = logged_queries(logged)
    target = replay_target(recommender, ids, queries, SlateConfig(**RULES))
    rows = logged_for(logged, target, pl.col("completed"))
    assert policy_value(rows, Estimator.IPS).value == pytest.approx(logged["completed"].sum() / 300, abs=1e-6)


def test_a_challenger_is_worth_what_it_would_have_shown(recommender: Recommender) -> None:
    logged = log_of(recommender, 2000)
    ids, queries = logged_queries(logged)
    target = replay_target(recommender, ids, queries)
    rows = logged_for(logged, target, pl.col("completed"))
    even = target["track_id"].str.extract(r"(\d+)").cast(pl.Int64) % 2 == 0
    truth = even.sum() / 2000
    for estimator in (Estimator.IPS, Estimator.SNIPS, Estimator.DR):
        found = policy_value(rows, estimator)
        assert abs(found.value - truth) < 4 * found.error


def test_listeners_without_an_id_are_each_their_own(recommender: Recommender) -> None:
    logged = log_of(recommender, 10).with_columns(user_id=pl.lit(None, pl.String))
    ids, queries = logged_queries(logged)
    assert all(query.user_id is None for query in queries)
    rows = logged_for(logged, replay_target(recommender, ids, queries), pl.col("completed"), None)
    assert rows.n_answers == 10
    assert rows.listener.max() == 9
    assert rows.predicted is None


def test_predictions_come_from_other_listeners() -> None:
    # Each listener has one track, so whoever learned from others knows nothing of it but the mean.
    logged = pl.DataFrame(
        {
            "request_id": [f"r{i}" for i in range(40)],
            "user_id": [f"u{i}" for i in range(40)],
            "track_id": [f"t{i}" for i in range(40)],
            "position": [1] * 40,
            "reward": [float(i % 2) for i in range(40)],
        }
    )
    target = logged.select("request_id", "position", "track_id", probability=pl.lit(1.0))
    shown, wanted = cross_fitted(lambda: TrackMeans(strength=0.0), logged, target)
    assert wanted == pytest.approx(shown)
    assert np.corrcoef(shown, logged["reward"].to_numpy())[0, 1] < 0.1
    assert shown.mean() == pytest.approx(0.5, abs=0.1)


def test_track_means_are_drawn_towards_the_mean_of_all() -> None:
    rows = pl.DataFrame({"track_id": ["a", "a", "b"], "reward": [1.0, 1.0, 0.4]})
    model = TrackMeans(strength=2.0).fit(rows)
    asked = pl.DataFrame({"track_id": ["b", "a", "new"]})
    assert model.predict(asked) == pytest.approx([(0.4 + 1.6) / 3, (2 + 1.6) / 4, 0.8])

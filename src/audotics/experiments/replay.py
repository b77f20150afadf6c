"""From logged answers to what another version would have shown in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from audotics.domain import Context, Query
from audotics.errors import BadInputError
from audotics.experiments.off_policy import Logged
from audotics.experiments.reward_models import RewardModel, TrackMeans, cross_fitted
from audotics.recommender.recommender import Recommender
from audotics.slate.config import SlateConfig

_AT_ONCE = 512
_TRACK = ["request_id", "position", "track_id"]


def logged_queries(outcomes: pl.DataFrame) -> tuple[list[str], list[Query]]:
    """The request ids of a log and, as far as the log tells, what was asked: who, when, how many tracks.

    The listener's history is what a version knows of them, not what was known on that day: ask versions that
    were trained before the log began.

    Args:
        outcomes: Columns of `audotics.journal.outcomes.OUTCOMES`.
    """
    answers = outcomes.group_by("request_id", maintain_order=True).agg(
        pl.col("user_id").first(), pl.col("at").first(), pl.col("position").max().alias("k")
    )
    queries = [
        Query(user_id=user_id, k=k, context=Context(at=at))
        for user_id, at, k in answers.select("user_id", "at", "k").iter_rows()
    ]
    return answers["request_id"].to_list(), queries


def replay_target(
    recommender: Recommender,
    request_ids: Sequence[str],
    queries: Sequence[Query],
    explore: SlateConfig | None = None,
) -> pl.DataFrame:
    """The chance of each track at each place if a version had answered logged queries.

    Without exploration a version shows its best ``k`` tracks with chance 1. With it an open place keeps its
    track with chance ``1 - explore`` and else holds each track of the pool, the candidates next in rank,
    with equal chance (see `audotics.slate.exploration`).

    Args:
        recommender: The version that is asked about.
        request_ids: One for each query.
        queries: What was asked; see `logged_queries`.
        explore: Rules whose ``explore``, ``explore_places`` and ``explore_pool`` the target uses.

    Returns:
        Columns request_id, position (from 1), track_id, probability.

    Raises:
        BadInputError: Exploration among objectives or in flow order, where chances have no closed form.
    """
    if explore is not None and not explore.explore:
        explore = None
    if explore is not None and (explore.diversity or explore.calibration or explore.order != "score"):
        raise BadInputError(
            "chances of places have no closed form with diversity, calibration or an order that flows",
            where="replay",
            remedy="Ask about the version without exploration, or without those rules",
        )
    pool = explore.explore_pool if explore is not None else 0
    asked = [replace(query, k=query.k + pool, rules={**query.rules, "explore": 0.0}) for query in queries]
    frames = []
    for start in range(0, len(asked), _AT_ONCE):
        slates = recommender.recommend(asked[start : start + _AT_ONCE])
        frames.append(
            pl.DataFrame(
                {
                    "request_id": list(request_ids[start : start + _AT_ONCE]),
                    "track_id": [list(slate.track_ids) for slate in slates],
                    "k": [query.k for query in queries[start : start + _AT_ONCE]],
                },
                schema={"request_id": pl.String, "track_id": pl.List(pl.String), "k": pl.Int64},
            )
        )
    lists = pl.concat(frames).with_columns(
        position=pl.int_ranges(1, pl.col("track_id").list.len() + 1, dtype=pl.Int32)
    )
    ranked = lists.explode("track_id", "position").drop_nulls("track_id")
    return _certain(ranked) if explore is None else _explored(ranked, explore)


def target_chances(logged: pl.DataFrame, target: pl.DataFrame) -> pl.Series:
    """The target's chance of each logged row's track at its place ``[n_rows]``; 0 where it never is."""
    found = logged.select(_TRACK).join(target, on=_TRACK, how="left", maintain_order="left")
    return found["probability"].fill_null(0.0)


def logged_for(
    outcomes: pl.DataFrame,
    target: pl.DataFrame,
    reward: pl.Expr,
    new_model: Callable[[], RewardModel] | None = TrackMeans,
) -> Logged:
    """What `audotics.experiments.off_policy.policy_value` reads.

    Args:
        outcomes: Columns of `audotics.journal.outcomes.OUTCOMES`.
        target: Columns request_id, position, track_id, probability, such as from `replay_target`.
        reward: What a row earns, such as ``pl.col("completed")``.
        new_model: Makes the model of rewards for `DM` and `DR`; None leaves predictions out.
    """
    rows = outcomes.with_columns(reward=reward.cast(pl.Float64), position=pl.col("position").cast(pl.Int32))
    target = target.with_columns(pl.col("position").cast(pl.Int32))
    predictions = (None, None) if new_model is None else cross_fitted(new_model, rows, target)
    # Nobody in particular: each such answer is a listener of its own.
    listener = rows["user_id"].fill_null("request " + rows["request_id"])
    return Logged(
        answer=_numbers(rows["request_id"]),
        place=rows["position"].to_numpy().astype(np.int64) - 1,
        listener=_numbers(listener),
        reward=rows["reward"].to_numpy(),
        propensity=rows["propensity"].cast(pl.Float64).to_numpy(),
        target=target_chances(rows, target).cast(pl.Float64).to_numpy(),
        predicted=predictions[0],
        predicted_target=predictions[1],
    )


def _certain(ranked: pl.DataFrame) -> pl.DataFrame:
    return ranked.select(*_TRACK, probability=pl.lit(1.0))


def _explored(ranked: pl.DataFrame, rules: SlateConfig) -> pl.DataFrame:
    """Chances of every track at every place; open places are those that the pool suffices for."""
    shown = ranked.filter(pl.col("position") <= pl.col("k"))
    pool = ranked.filter(pl.col("position") > pl.col("k")).select("request_id", "track_id")
    sizes = pool.group_by("request_id").agg(n_pool=pl.len())
    wanted = pl.col("position").is_in(sorted(set(rules.explore_places)))
    places = (
        shown.join(sizes, on="request_id", how="left")
        .with_columns(pl.col("n_pool").fill_null(0), wanted=wanted)
        .sort("request_id", "position")
        .with_columns(number=pl.col("wanted").cum_sum().over("request_id") - 1)
        .with_columns(open=pl.col("wanted") & (pl.col("number") < pl.col("n_pool")))
    )
    kept = places.select(*_TRACK, probability=pl.when("open").then(1.0 - rules.explore).otherwise(1.0))
    drawn = (
        places.filter("open")
        .select("request_id", "position", "n_pool")
        .join(pool, on="request_id")
        .select(*_TRACK, probability=rules.explore / pl.col("n_pool"))
    )
    return pl.concat([kept, drawn])


def _numbers(ids: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Distinct values numbered from 0 without gaps ``[n]``."""
    return ids.rank("dense").cast(pl.Int64).to_numpy() - 1

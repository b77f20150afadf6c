"""How well a version's heads say what listeners then did with its candidates."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, Mode, Query
from audotics.evaluation.heads import HeadMetrics, evaluate_heads
from audotics.lifecycle.held_out import HeldOut
from audotics.recommender.candidates import blocks
from audotics.recommender.recommender import Recommender
from audotics.training.lists import available_heads, labels_of

MOST_LISTENERS = 1000


def head_quality(recommender: Recommender, held_out: HeldOut) -> dict[str, HeadMetrics]:
    """Quality of the chances that the branch for unheard tracks gives, on the held-out days.

    Whether a candidate was played is known of all; what became of a play only where there was one.

    Returns:
        Head -> quality; empty where the version has no heads.
    """
    branch, since = recommender.unheard, held_out.since(recommender)
    if branch.heads is None:
        return {}
    user_ids = held_out.user_ids[:MOST_LISTENERS]
    happened = _happened(held_out.test, user_ids, recommender.tracks)
    # A test that tells of plays alone says nothing of the other reactions, not that there were none.
    told = available_heads(happened)
    heads = tuple(head for head in branch.heads.heads_ if head in told)
    chances, labels = [], []
    for start, stop in blocks(len(user_ids), len(recommender.tracks)):
        queries = [Query(user_id=user_id, mode=Mode.DISCOVER) for user_id in user_ids[start:stop]]
        batch, allowed = recommender.encode(queries, since)
        inputs = branch.assembler.assemble(batch, branch.generator.generate(batch, allowed))
        found = branch.heads.probabilities(inputs)
        part = happened.filter(pl.col("row").is_between(start, stop - 1)).with_columns(pl.col("row") - start)
        chances.append(np.stack([found[head] for head in heads], axis=-1)[inputs.present])
        labels.append(labels_of(part, inputs.track_index, heads)[inputs.present])
    return evaluate_heads(np.concatenate(chances), np.concatenate(labels), heads)


def _happened(test: pl.DataFrame, user_ids: list[str], tracks: Vocabulary) -> pl.DataFrame:
    """One row per held-out pair: ``row`` of the listener, ``track_index`` and a boolean per head."""
    rows = Vocabulary(user_ids).encode(test["user_id"])
    kind = pl.col("event")
    return (
        test.with_columns(
            row=pl.Series(rows.astype(np.int32)), track_index=pl.Series(tracks.encode(test["track_id"]))
        )
        .filter((pl.col("row") != PADDING) & (pl.col("track_index") != PADDING))
        .group_by("row", "track_index")
        .agg(
            kind.is_in(POSITIVE_EVENTS).any().alias("play"),
            (kind == "complete").any().alias("complete"),
            kind.is_in(("like", "add_to_playlist")).any().alias("like"),
            (kind == "skip").any().alias("skip"),
        )
    )

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.domain import PADDING
from audotics.ranking.protocol import RankingExamples
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.retrieval.names import new_retriever
from audotics.training.fold import Fold
from audotics.training.lists import answer_counts, available_heads, joined, ranking_examples

NAMES = ("item-knn", "popularity")


@pytest.fixture(scope="module")
def parts(fold: Fold) -> tuple[CandidateGenerator, FeatureAssembler]:
    retrievers = [new_retriever(name, {}).fit(fold.visible) for name in NAMES]
    return CandidateGenerator(retrievers, 25), FeatureAssembler.fit(fold.visible, NAMES)


@pytest.fixture(scope="module")
def examples(fold: Fold, parts: tuple[CandidateGenerator, FeatureAssembler]) -> RankingExamples:
    return ranking_examples(fold, *parts, ("play",))


def test_positives_are_exactly_the_hidden_pairs_among_the_candidates(
    fold: Fold, examples: RankingExamples
) -> None:
    hidden = set(fold.hidden.select("row", "track_index").iter_rows())
    rows, slots = np.nonzero(examples.inputs.present)
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        track = int(examples.inputs.track_index[row, slot])
        assert examples.labels[row, slot, 0] == ((row, track) in hidden)
    assert np.isnan(examples.labels[~examples.inputs.present]).all()
    assert np.nansum(examples.labels) > 0


def test_no_candidate_is_visible_to_the_retrievers(fold: Fold, examples: RankingExamples) -> None:
    visible = fold.visible.interactions.matrix().toarray() > 0
    rows, slots = np.nonzero(examples.inputs.present)
    users = examples.inputs.user_index[rows]
    assert not visible[users, examples.inputs.track_index[rows, slots]].any()


def test_joined_lists_keep_their_content(fold: Fold, examples: RankingExamples) -> None:
    first = examples.take(np.array([0, 1], np.int32))
    narrow = RankingExamples(
        type(first.inputs)(
            first.inputs.features[:, :3],
            first.inputs.feature_names,
            first.inputs.track_index[:, :3],
            first.inputs.user_index,
            first.inputs.context,
            first.inputs.recent,
        ),
        first.labels[:, :3],
        first.heads,
    )
    both = joined(narrow, first)
    assert both.inputs.n_lists == 4
    np.testing.assert_array_equal(both.inputs.track_index[:2, :3], narrow.inputs.track_index)
    assert (both.inputs.track_index[:2, 3:] == PADDING).all()
    assert np.isnan(both.labels[:2, 3:]).all()
    np.testing.assert_array_equal(both.inputs.features[2:], first.inputs.features)


def test_answers_are_counted_also_where_no_candidate_is(fold: Fold, examples: RankingExamples) -> None:
    counts = answer_counts(fold)
    assert counts.sum() == fold.hidden.filter("play").height
    assert (np.nansum(examples.labels[..., 0], axis=1) <= counts).all()


def test_heads_that_say_nothing_are_left_out() -> None:
    hidden = pl.DataFrame(
        {"play": [True, True], "complete": [True, False], "like": [False, False], "skip": [True, True]}
    )
    assert available_heads(hidden) == ("play", "complete")

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audotics.errors import DamagedError
from audotics.ranking.by_history import FEW_TRACKS, ByHistoryRanker, lists_by_tier
from audotics.ranking.linear import LinearRanker
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from contract.ranking_lists import linear_examples


def with_histories(examples: RankingExamples, lengths: np.ndarray) -> RankingExamples:
    """The same lists, asked by listeners who have heard so many tracks."""
    recent = np.where(np.arange(20)[None, ::-1] < lengths[:, None], 7, -1).astype(np.int32)
    return replace(examples, inputs=replace(examples.inputs, recent=recent))


def lists(seed: int) -> RankingExamples:
    examples = linear_examples(seed=seed)
    return with_histories(examples, np.arange(examples.inputs.n_lists) % 12)


def new() -> ByHistoryRanker:
    return ByHistoryRanker(MeanRanker(), LinearRanker(), LogisticRanker())


def test_every_list_has_one_tier() -> None:
    examples = lists(1)
    parts = dict(lists_by_tier(examples.inputs))
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(examples.inputs.n_lists))
    heard = np.count_nonzero(examples.inputs.recent >= 0, axis=1)
    assert set(heard[parts[0]]) == {0}
    assert set(heard[parts[1]]) == set(range(1, FEW_TRACKS + 1))
    assert heard[parts[2]].min() == FEW_TRACKS + 1


def test_each_ranker_learns_and_scores_its_own_lists() -> None:
    train, validation, asked = lists(1), lists(2), lists(3)
    scores = new().fit(train, validation).score(asked.inputs)
    of_train, of_validation = dict(lists_by_tier(train.inputs)), dict(lists_by_tier(validation.inputs))
    for tier, rows in lists_by_tier(asked.inputs):
        alone = (MeanRanker, LinearRanker, LogisticRanker)[tier]()
        alone.fit(train.take(of_train[tier]), validation.take(of_validation[tier]))
        np.testing.assert_array_equal(scores[rows], alone.score(asked.inputs.take(rows)))


def test_saved_and_loaded_it_scores_the_same(tmp_path: Path) -> None:
    ranker = new().fit(lists(1), lists(2))
    ranker.save(tmp_path)
    asked = lists(3).inputs
    np.testing.assert_array_equal(ByHistoryRanker.load(tmp_path).score(asked), ranker.score(asked))


@pytest.mark.parametrize(
    "tiers", ['{"few": "mean"}', '["mean"]', '{"nothing": "mean", "few": "by-history", "many": "mean"}']
)
def test_an_incomplete_one_is_refused(tmp_path: Path, tiers: str) -> None:
    (tmp_path / "ranker.json").write_text(f'{{"ranker": "by-history", "tiers": {tiers}}}', encoding="utf-8")
    with pytest.raises(DamagedError):
        ByHistoryRanker.load(tmp_path)

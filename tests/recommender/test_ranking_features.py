from __future__ import annotations

import numpy as np
import pytest

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, Candidates
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler, opinions
from audotics.recommender.recommender import Recommender


def one_list(scores: list[float], ranks: list[float], depth: int = 3) -> Candidates:
    width = len(scores)
    return Candidates(
        np.arange(width, dtype=np.int32)[None],
        np.array(scores, np.float32)[None, :, None],
        np.array(ranks, np.float32)[None, :, None],
        ("only",),
        depth,
    )


def test_opinions_of_a_list_worked_out_by_hand() -> None:
    # The third is there for a long slate only: no retriever proposed it at the usual depth.
    said = opinions(one_list([4.0, 2.0, 0.0], [1, 2, 4]))[0]
    np.testing.assert_allclose(said[:, 0], [1, -1, -3], rtol=1e-5)
    np.testing.assert_allclose(said[:, 1], [1, 0.5, 0], rtol=1e-5)
    np.testing.assert_allclose(said[:, 2], [1, 1 - np.log(2) / np.log(4), 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(said[:, 3], [1, 1, 0])


def test_candidates_of_a_long_slate_change_nothing_said_of_the_others() -> None:
    usual = opinions(one_list([5.0, 3.0, 1.0], [1, 2, 3]))[0]
    longer = opinions(one_list([5.0, 3.0, 1.0, 0.5, 0.1], [1, 2, 3, 4, 4]))[0]
    np.testing.assert_allclose(longer[:3], usual, rtol=1e-6)


def test_padding_changes_no_opinion() -> None:
    plain = one_list([4.0, 2.0, 0.0], [1, 2, 4])
    wide = Candidates(
        np.array([[0, 1, 2, PADDING]], np.int32),
        np.array([[[4.0], [2.0], [0.0], [0.0]]], np.float32),
        np.array([[[1.0], [2.0], [4.0], [4.0]]], np.float32),
        ("only",),
        3,
    )
    np.testing.assert_allclose(opinions(wide)[0, :3], opinions(plain)[0], rtol=1e-6)


def test_equal_scores_say_nothing_and_stay_finite() -> None:
    said = opinions(one_list([1.0, 1.0], [1, 2], depth=2))
    np.testing.assert_allclose(said[0, :, 0], 0, atol=1e-4)


@pytest.fixture
def inputs(recommender: Recommender, generator: CandidateGenerator, everyone: QueryBatch):
    candidates = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    return recommender.unheard.assembler.assemble(everyone, candidates)


def test_every_feature_has_a_name_and_order_one(inputs) -> None:
    assert inputs.features.shape[2] == len(inputs.feature_names) == len(set(inputs.feature_names))
    assert np.isfinite(inputs.features).all()
    assert np.abs(inputs.features).max() <= 6
    assert (inputs.features[~inputs.present] == 0).all()


def test_features_do_not_depend_on_the_block(
    recommender: Recommender, generator: CandidateGenerator, everyone: QueryBatch, inputs
) -> None:
    for row in (0, 41, 89):
        alone = everyone.part(row, row + 1)
        candidates = generator.generate(alone, Allowed.everything_unheard(1))
        single = recommender.unheard.assembler.assemble(alone, candidates)
        width = single.track_index.shape[1]
        np.testing.assert_array_equal(single.track_index[0], inputs.track_index[row, :width])
        np.testing.assert_allclose(single.features[0], inputs.features[row, :width], rtol=1e-4, atol=1e-4)


def test_state_goes_through_arrays(recommender: Recommender, everyone: QueryBatch, generator, inputs) -> None:
    assembler = recommender.unheard.assembler
    again = FeatureAssembler.from_arrays(assembler.retrievers, assembler.arrays())
    candidates = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    np.testing.assert_array_equal(again.assemble(everyone, candidates).features, inputs.features)


def test_an_unscaled_assembler_cannot_be_saved(planted: Corpus) -> None:
    with pytest.raises(RuntimeError, match="scaling"):
        FeatureAssembler.fit(planted, ("ials",)).arrays()


def test_the_strongest_retriever_has_the_highest_standardised_score(recommender: Recommender, inputs) -> None:
    strongest = recommender.unheard.assembler.strongest_retriever(inputs)
    first, second = inputs.features[:, :, 0], inputs.features[:, :, 1]
    np.testing.assert_array_equal(strongest == 1, second > first)

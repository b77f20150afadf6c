from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, Mode, Query
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.recommender import bundle
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever
from audotics.retrieval.stand_ins import StandIns
from contract.planted import GENRES, genre_of, no_users, planted_events, planted_tracks, track_id

NAMES = ("item-knn", "content")
NEW = (2, 35, 68)
"""The last track of a band of each genre."""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    events = planted_events().filter(~pl.col("track_id").is_in([track_id(number) for number in NEW]))
    return build_corpus(events, planted_tracks(), no_users())


@pytest.fixture(scope="module")
def everyone(corpus: Corpus) -> QueryBatch:
    return QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))


@pytest.fixture(scope="module")
def generator(corpus: Corpus) -> CandidateGenerator:
    return CandidateGenerator([new_retriever(name, {}).fit(corpus) for name in NAMES], 20)


@pytest.fixture(scope="module")
def branch(corpus: Corpus, everyone: QueryBatch, generator: CandidateGenerator) -> Branch:
    """New tracks by item-kNN's lent score, at the log odds that known ones have of it."""
    assembler = FeatureAssembler.fit(corpus, NAMES)
    allowed = Allowed.everything_unheard(everyone.size)
    inputs = assembler.assemble(everyone, generator.generate(everyone, allowed))
    assembler = assembler.scaled(inputs)
    examples = RankingExamples(inputs, np.zeros((*inputs.track_index.shape, 1), np.float32), ("play",))
    ranker = LogisticRanker()
    ranker.feature_names_ = assembler.names
    ranker.weights_ = np.array([name == "item-knn:z" for name in assembler.names], np.float32)
    new = NewTracks(StandIns.of(corpus), ranker, (1.0, -2.0))
    return Branch(generator, assembler, MeanRanker().fit(examples, examples), None, (1.0, -2.0), new)


def recommender_of(corpus: Corpus, branch: Branch) -> Recommender:
    return Recommender(
        users=corpus.users,
        tracks=corpus.tracks,
        histories=corpus.interactions,
        track_table=corpus.track_table,
        unheard=branch,
    )


def shifted(branch: Branch, log_odds: float) -> Branch:
    assert branch.new is not None
    slope, intercept = branch.new.level
    return replace(branch, new=replace(branch.new, level=(slope, intercept + log_odds)))


def test_new_candidates_come_last_with_the_scores_that_they_are_lent(
    corpus: Corpus, everyone: QueryBatch, generator: CandidateGenerator, branch: Branch
) -> None:
    assert branch.new is not None
    stand_ins = branch.new.stand_ins
    allowed = Allowed.everything_unheard(everyone.size)
    candidates, n_known = generator.generate_with_new(everyone, allowed, stand_ins)
    known, new = candidates.track_index[:, :n_known], candidates.track_index[:, n_known:]
    assert not np.isin(known, NEW).any()
    assert set(new[new != PADDING].tolist()) == set(NEW)
    assert (candidates.ranks[:, n_known:] == candidates.depth + 1).all()
    for number, retriever in enumerate(generator.retrievers):
        lent = stand_ins.lend(retriever.score(everyone))
        for row in range(everyone.size):
            for slot, track in enumerate(new[row].tolist()):
                if track != PADDING:
                    place = NEW.index(track)
                    assert candidates.scores[row, n_known + slot, number] == pytest.approx(
                        lent[row, place], rel=1e-4, abs=1e-6
                    )


def test_known_candidates_and_their_features_are_as_without_new_ones(
    everyone: QueryBatch, generator: CandidateGenerator, branch: Branch
) -> None:
    assert branch.new is not None
    barred = Allowed((Mode.DISCOVER,) * everyone.size, (np.array(NEW, np.int32),) * everyone.size)
    alone = generator.generate(everyone, barred)
    allowed = Allowed.everything_unheard(everyone.size)
    both, n_known = generator.generate_with_new(everyone, allowed, branch.new.stand_ins)
    np.testing.assert_array_equal(both.track_index[:, :n_known], alone.track_index)
    features = branch.assembler.assemble(everyone, alone).features
    beside = branch.assembler.assemble(everyone, both).features[:, :n_known]
    np.testing.assert_allclose(beside, features, rtol=1e-5, atol=1e-6)


def test_what_is_excluded_or_heard_is_not_offered_as_new(
    everyone: QueryBatch, generator: CandidateGenerator, branch: Branch
) -> None:
    assert branch.new is not None
    excluded = Allowed((Mode.DISCOVER,) * everyone.size, (np.array([2], np.int32),) * everyone.size)
    heard = Allowed((Mode.FAMILIAR,) * everyone.size, (np.zeros(0, np.int32),) * everyone.size)
    shown = generator.generate_with_new(everyone, excluded, branch.new.stand_ins)[0].track_index
    assert 2 not in shown and 35 in shown
    familiar = generator.generate_with_new(everyone, heard, branch.new.stand_ins)[0].track_index
    assert not np.isin(familiar, NEW).any()


def test_a_new_track_is_shown_to_those_who_play_its_like(corpus: Corpus, branch: Branch) -> None:
    recommender = recommender_of(corpus, shifted(branch, 1.0))
    slates = recommender.recommend([Query(user_id=user_id, k=10) for user_id in corpus.users.ids])
    new = {track_id(number) for number in NEW}
    shown = [
        (GENRES[number % len(GENRES)], track)
        for number, slate in enumerate(slates)
        for track in slate.track_ids
        if track in new
    ]
    assert len(shown) > 45
    assert np.mean([genre_of(track) == home for home, track in shown]) > 0.9
    reasons = {
        reason
        for slate in slates
        for track, reason in zip(slate.track_ids, slate.reasons, strict=True)
        if track in new
    }
    assert any(reason.startswith("new from Band") for reason in reasons)


def test_the_level_decides_how_far_up_new_tracks_stand(corpus: Corpus, branch: Branch) -> None:
    queries = [Query(user_id=user_id, k=5) for user_id in corpus.users.ids]
    shares = []
    for log_odds in (-50.0, 0.0, 50.0):
        slates = recommender_of(corpus, shifted(branch, log_odds)).recommend(queries)
        new = {track_id(number) for number in NEW}
        shares.append(sum(track in new for slate in slates for track in slate.track_ids))
    assert shares[0] == 0 < shares[1] < shares[2]


def test_groups_are_answered_without_new_tracks(corpus: Corpus, branch: Branch) -> None:
    query = Query(group=("u000", "u003"), k=10)
    (slate,) = recommender_of(corpus, branch).recommend([query])
    (before,) = recommender_of(corpus, branch.without_new).recommend([query])
    assert slate.track_ids == before.track_ids


def test_without_a_new_track_nothing_changes(corpus: Corpus, branch: Branch) -> None:
    assert branch.new is not None
    nothing = StandIns(np.zeros(0, np.int32), branch.new.stand_ins.shares[:0])
    queries = [Query(user_id=user_id, k=10) for user_id in corpus.users.ids]
    idle = replace(branch, new=replace(branch.new, stand_ins=nothing))
    assert not idle.offers_new
    after = recommender_of(corpus, idle).recommend(queries)
    before = recommender_of(corpus, branch.without_new).recommend(queries)
    assert [slate.track_ids for slate in after] == [slate.track_ids for slate in before]


def test_new_tracks_survive_saving(corpus: Corpus, branch: Branch, tmp_path: Path) -> None:
    recommender = recommender_of(corpus, shifted(branch, 1.0))
    bundle.save(recommender, tmp_path)
    again = bundle.load(tmp_path)
    queries = [Query(user_id=user_id, k=10) for user_id in corpus.users.ids]
    for before, after in zip(recommender.recommend(queries), again.recommend(queries), strict=True):
        assert before.track_ids == after.track_ids
        np.testing.assert_array_equal(before.scores, after.scores)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".npy", ".json", ".parquet"}


def test_a_new_catalogue_has_its_own_new_tracks(branch: Branch) -> None:
    assert branch.new is not None
    events = planted_events().filter(pl.col("track_id") != track_id(10))
    refitted = branch.new.refitted(build_corpus(events, planted_tracks(), no_users()))
    assert 10 in refitted.stand_ins.track_index and refitted.level == branch.new.level

"""Listeners of a test asked again as if they were new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.dataset import Dataset
from audotics.data.queries import QueryBatch
from audotics.data.schema import USERS
from audotics.data.writer import DatasetWriter
from audotics.domain import PADDING, IndexArray, Mode, Query
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.newcomers import N_EVENTS
from audotics.evaluation.report import Newcomer, NewcomerReport, Task
from audotics.recommender.candidates import Allowed
from audotics.recommender.recommender import Recommender
from audotics.retrieval.popularity import Popularity
from audotics.training.config import TrainConfig
from audotics.training.judging import HYBRID
from audotics.training.newcomers import judge_newcomers, usual_contexts
from audotics.training.pipeline import Trained, TrainingPipeline
from contract.planted import (
    GENRES,
    completed,
    events_table,
    genre_of,
    no_users,
    planted_events,
    planted_tracks,
)

CONFIG = TrainConfig(
    retrievers=("item-knn", "rp3beta", "content", "popularity"),
    rankers=("single", "mean", "linear"),
    tune_trials=0,
    per_retriever=30,
)


def world(folder: Path, *, countries: bool) -> Dataset:
    """Listeners who stay in their genre; with countries, everybody of a country has the same one."""
    events = planted_events(n_users=300)
    if countries:
        home = pl.col("user_id").str.slice(1).cast(pl.Int32) % len(GENRES)
        events = events.with_columns(country=pl.format("C{}", home), device=pl.lit("phone"))
    with DatasetWriter(folder, source="planted") as writer:
        writer.add_events(events)
        writer.set_table("tracks", planted_tracks())
        return writer.commit()


@pytest.fixture(scope="module")
def anywhere(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return TrainingPipeline(CONFIG).train(world(tmp_path_factory.mktemp("a") / "dataset", countries=False))


@pytest.fixture(scope="module")
def by_country(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return TrainingPipeline(CONFIG).train(world(tmp_path_factory.mktemp("c") / "dataset", countries=True))


def told_of(trained: Trained) -> dict[Newcomer, NewcomerReport]:
    return {found.newcomer: found for found in trained.report.newcomers}


def ndcg(found: NewcomerReport, name: str) -> float:
    return found.systems[name]["ndcg@20"].mean


def test_every_kind_of_newcomer_is_in_the_report(anywhere: Trained) -> None:
    told = told_of(anywhere)
    assert list(told) == list(Newcomer)
    for found in told.values():
        assert 0 < found.n_listeners <= anywhere.report.test.n_listeners
        assert set(found.systems) == {HYBRID, *CONFIG.retrievers}


def test_one_event_tells_the_genre(anywhere: Trained) -> None:
    for newcomer, found in told_of(anywhere).items():
        if newcomer is not Newcomer.NO_EVENTS:
            assert found.comparisons[0].significant, newcomer
            assert found.comparisons[0].difference > 0.05, newcomer
    slates = anywhere.recommender.recommend([Query(history=(f"t{30 * home + 2:03d}",)) for home in range(3)])
    for home, slate in enumerate(slates):
        shown = [genre_of(track) for track in slate.track_ids]
        assert shown.count(GENRES[home]) >= 8


def test_more_events_tell_more(anywhere: Trained) -> None:
    told = told_of(anywhere)
    by_events = [ndcg(told[newcomer], HYBRID) for newcomer in N_EVENTS]
    assert by_events[0] < by_events[1] < by_events[3]


@pytest.mark.parametrize("where", ["anywhere", "by_country"])
def test_without_events_nobody_is_worse_off_than_with_popularity(
    where: str, request: pytest.FixtureRequest
) -> None:
    found = told_of(request.getfixturevalue(where))[Newcomer.NO_EVENTS]
    assert ndcg(found, HYBRID) >= ndcg(found, "popularity") - 1e-9


def test_where_a_newcomer_lives_tells_something(anywhere: Trained, by_country: Trained) -> None:
    unknown, known = (told_of(trained)[Newcomer.NO_EVENTS] for trained in (anywhere, by_country))
    assert ndcg(known, HYBRID) > 1.3 * ndcg(unknown, HYBRID)


class Spy:
    """Notes what a recommender is asked and answers, and answers the same."""

    def __init__(self, recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[QueryBatch, Allowed, IndexArray]] = []
        answer = recommender.recommend_indices

        def noted(batch: QueryBatch, allowed: Allowed, k: int) -> IndexArray:
            lists = answer(batch, allowed, k)
            self.asked.append((batch, allowed, lists))
            return lists

        monkeypatch.setattr(recommender, "recommend_indices", noted)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """What `anywhere` was trained on."""
    return build_corpus(planted_events(n_users=300), planted_tracks(), no_users())


def evaluator_of(corpus: Corpus, test: list[tuple[str, str]], task: Task = Task.DISCOVER) -> ModelEvaluator:
    table = pl.DataFrame(test, schema=["user_id", "track_id"], orient="row")
    return ModelEvaluator(corpus, table, task=task, n_resamples=20)


def unheard_by(corpus: Corpus, n_users: int) -> list[tuple[str, str]]:
    """The first tracks that each of the first listeners has not heard."""
    pairs = []
    for user in range(n_users):
        heard = set(corpus.interactions.rows(np.array([user])).track_index.tolist())
        new = [track for track in range(corpus.n_tracks) if track not in heard][:4]
        pairs += [(corpus.users.ids[user], corpus.tracks.ids[track]) for track in new]
    return pairs


def judged(
    evaluator: ModelEvaluator, trained: Trained, corpus: Corpus, most: int = 500
) -> dict[Newcomer, NewcomerReport]:
    reports = judge_newcomers(
        evaluator,
        trained.recommender,
        corpus,
        [Popularity().fit(corpus)],
        HYBRID,
        most_listeners=most,
    )
    return {found.newcomer: found for found in reports}


def test_newcomers_are_strangers_and_get_nothing_that_they_know(
    anywhere: Trained, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(anywhere.recommender, monkeypatch)
    evaluator = evaluator_of(corpus, unheard_by(corpus, 30))
    judged(evaluator, anywhere, corpus)
    whole = corpus.interactions.rows(evaluator.user_index)
    heard = [set(part.tolist()) for part in np.split(whole.track_index, whole.indptr[1:-1])]
    assert len(spy.asked) == len(Newcomer)
    for newcomer, (batch, allowed, lists) in zip(Newcomer, spy.asked, strict=True):
        assert (batch.user_index == PADDING).all()
        assert set(allowed.mode) == {Mode.DISCOVER}
        assert (lists != PADDING).all()
        left = np.split(batch.histories.track_index, batch.histories.indptr[1:-1])
        for row, (own, shown) in enumerate(zip(left, lists.tolist(), strict=True)):
            assert not heard[row] & set(shown)
            if newcomer in N_EVENTS:
                assert len(own) == N_EVENTS[newcomer]
                assert set(own.tolist()) <= heard[row]


def test_artists_stand_for_a_history_as_in_any_query(
    anywhere: Trained, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(anywhere.recommender, monkeypatch)
    evaluator = evaluator_of(corpus, unheard_by(corpus, 5))
    judged(evaluator, anywhere, corpus)
    batch = spy.asked[-1][0]
    for row, user in enumerate(evaluator.user_ids):
        own = corpus.interactions.rows(np.array([corpus.users.index(user)]))
        plays: dict[str, float] = {}
        for track, count in zip(own.track_index.tolist(), own.plays.tolist(), strict=True):
            artist = f"a{track // 3}"
            plays[artist] = plays.get(artist, 0) + count
        artists = {f"a{track // 3}" for track in batch.histories.rows(np.array([row])).track_index.tolist()}
        assert len(artists) == 3
        best = sorted(plays.values(), reverse=True)[:3]
        assert sorted((plays[artist] for artist in artists), reverse=True) == best


def test_no_more_are_asked_than_are_wanted(anywhere: Trained, corpus: Corpus) -> None:
    told = judged(evaluator_of(corpus, unheard_by(corpus, 30)), anywhere, corpus, most=7)
    assert {found.n_listeners for found in told.values()} == {7}


def test_only_discoveries_are_asked_for(anywhere: Trained, corpus: Corpus) -> None:
    heard = corpus.interactions.rows(np.array([0])).track_index
    pairs = unheard_by(corpus, 3) + [(corpus.users.ids[0], corpus.tracks.ids[track]) for track in heard]
    told = judged(evaluator_of(corpus, pairs, Task.MIX), anywhere, corpus)
    assert told[Newcomer.NO_EVENTS].n_pairs == 3 * 4
    familiar = evaluator_of(corpus, pairs, Task.FAMILIAR)
    assert judged(familiar, anywhere, corpus) == {}


def test_real_strangers_stand_for_those_without_events_alone(anywhere: Trained, corpus: Corpus) -> None:
    told = judged(evaluator_of(corpus, [("nobody", "t001"), ("nobody", "t900")]), anywhere, corpus)
    assert set(told) == {Newcomer.NO_EVENTS}
    assert (told[Newcomer.NO_EVENTS].n_listeners, told[Newcomer.NO_EVENTS].n_pairs) == (1, 2)


def test_usual_contexts_by_hand() -> None:
    rows = [
        ("ann", "phone", "SE", "play"),
        ("ann", "phone", "NO", "play"),
        ("ann", "car", "SE", "like"),
        ("bob", None, None, "play"),
        ("cyd", "tv", "FI", "skip"),
        ("cyd", None, "DK", "play"),
    ]
    events = pl.DataFrame(rows, schema=["user_id", "device", "country", "event"], orient="row")
    users = completed(pl.DataFrame({"user_id": ["bob", "ann"], "country": ["IS", "XX"]}), USERS)
    corpus = build_corpus(events_table(events.with_columns(track_id=pl.lit("t000"))), planted_tracks(), users)
    ids = ["cyd", "stranger", "ann", "bob"]
    devices, countries = usual_contexts(corpus, corpus.users.indices(ids))
    assert devices == (None, None, "phone", None)
    assert countries == ("DK", None, "SE", "IS")

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.data.schema import TRACKS, USERS
from audotics.retrieval.friends import Friends, FriendsConfig, friend_matrix
from audotics.retrieval.protocol import Evidence
from contract.planted import completed, events_table, no_users

PLAYS = {"ann": "abc", "ben": "bcd", "cat": "xy", "dan": "ax"}
FRIENDS = {"ann": ["ben", "cat", "ann", "nobody"], "ben": ["ann"], "eve": ["ann"], "dan": None}


def corpus_of(friends: dict[str, list[str] | None] | None = None) -> Corpus:
    rows = [(user, track) for user, tracks in PLAYS.items() for track in tracks]
    events = events_table(pl.DataFrame(rows, schema=["user_id", "track_id"], orient="row"))
    named = friends if friends is not None else FRIENDS
    users = completed(pl.DataFrame({"user_id": list(named), "friends": list(named.values())}), USERS)
    return build_corpus(events, pl.DataFrame(schema=TRACKS), users)


def of(corpus: Corpus, *users: str) -> QueryBatch:
    return QueryBatch.of_listeners(corpus.interactions, corpus.users.encode(pl.Series(users)))


def scores(corpus: Corpus, user: str, **settings: float) -> dict[str, float]:
    found = Friends(FriendsConfig.model_validate(settings)).fit(corpus).score(of(corpus, user))[0]
    return {
        track: round(float(score), 4) for track, score in zip(corpus.tracks.ids, found, strict=True) if score
    }


def test_friends_are_those_named_who_are_listeners() -> None:
    corpus = corpus_of()
    matrix = friend_matrix(corpus)
    ids = corpus.users.ids
    entries = matrix.tocoo()
    pairs = {(ids[row], ids[column]) for row, column in zip(entries.row, entries.col, strict=True)}
    assert pairs == {("ann", "ben"), ("ann", "cat"), ("ben", "ann")}


def test_each_friend_votes_for_what_they_play() -> None:
    plain = scores(corpus_of(), "ann", taste=0.0, vote_power=0.0)
    assert plain == {"b": 0.5, "c": 0.5, "d": 0.5, "x": 0.5, "y": 0.5}


def test_a_friend_of_like_taste_counts_more() -> None:
    # Ben shares two of three tracks with Ann, Cat none.
    found = scores(corpus_of(), "ann", taste=3.0, vote_power=0.0)
    assert found["d"] == pytest.approx(0.5 * (1 + 3 * 2 / 3))
    assert found["y"] == pytest.approx(0.5)


def test_popular_tracks_can_be_damped() -> None:
    found = scores(corpus_of(), "ann", taste=0.0, vote_power=1.0)
    assert found["y"] == 0.5
    assert found["x"] == 0.25


def test_nobody_known_and_nobody_without_friends_gets_a_score() -> None:
    corpus = corpus_of()
    retriever = Friends().fit(corpus)
    unknown = QueryBatch.of_listeners(corpus.interactions, np.array([-1], np.int32))
    assert not retriever.score(unknown).any()
    assert not retriever.score(of(corpus, "dan")).any()


def test_a_listener_without_history_hears_from_friends() -> None:
    corpus = corpus_of()
    batch = of(corpus, "ann")
    empty = QueryBatch(
        Interactions.from_histories([[]], corpus.n_tracks),
        batch.user_index,
        batch.at,
        batch.device,
        batch.country,
    )
    assert Friends().fit(corpus).score(empty).any()


def test_the_reason_is_that_a_friend_plays_it() -> None:
    corpus = corpus_of()
    tracks = corpus.tracks.encode(pl.Series(["d", "a"]))
    batch = of(corpus, "ann", "ann")
    found = Friends().fit(corpus).explain(batch, tracks)
    assert found[0] is not None
    assert found[0].evidence is Evidence.FRIENDS
    assert found[1] is None


def test_it_applies_where_friends_are_known() -> None:
    assert Friends.applies_to(corpus_of())
    assert not Friends.applies_to(corpus_of({"ann": ["nobody"]}))
    events = events_table(pl.DataFrame({"user_id": ["u"], "track_id": ["t"]}))
    assert not Friends.applies_to(build_corpus(events, pl.DataFrame(schema=TRACKS), no_users()))


def test_a_dataset_of_an_earlier_release_knows_of_no_friends() -> None:
    corpus = corpus_of()
    old = replace(corpus, user_table=corpus.user_table.drop("friends"))
    assert not Friends.applies_to(old)


def test_saved_and_loaded_it_scores_the_same() -> None:
    corpus = corpus_of()
    retriever = Friends().fit(corpus)
    again = Friends.from_arrays(retriever.config.model_dump(mode="json"), retriever.arrays())
    batch = of(corpus, "ann", "ben", "cat")
    np.testing.assert_array_equal(again.score(batch), retriever.score(batch))

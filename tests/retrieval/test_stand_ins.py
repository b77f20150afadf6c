from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.queries import QueryBatch
from audotics.data.schema import TRACKS
from audotics.retrieval import stand_ins as module
from audotics.retrieval.names import new_retriever
from audotics.retrieval.stand_ins import ContentIndex, StandIns
from contract.planted import completed, genre_of, no_users, planted_events, planted_tracks, track_id

NEW = (2, 35, 68)
"""The last track of a band of each genre."""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    events = planted_events().filter(~pl.col("track_id").is_in([track_id(number) for number in NEW]))
    return build_corpus(events, planted_tracks(), no_users())


@pytest.fixture(scope="module")
def found(corpus: Corpus) -> StandIns:
    return StandIns.of(corpus)


def everyone(corpus: Corpus) -> QueryBatch:
    return QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))


def test_tracks_that_no_event_names_are_new(found: StandIns) -> None:
    assert found.track_index.tolist() == list(NEW)
    assert found.n_new == 3


def test_shares_add_up_to_one_over_played_tracks(found: StandIns) -> None:
    np.testing.assert_allclose(np.asarray(found.shares.sum(axis=1)).ravel(), 1.0, rtol=1e-5)
    assert not set(found.shares.indices.tolist()) & set(NEW)


def test_tracks_of_the_same_artist_stand_in_first_and_of_the_same_genre_next(found: StandIns) -> None:
    for row, track in enumerate(NEW):
        shares = found.shares[row].toarray()[0]
        band = [other for other in range(track // 3 * 3, track // 3 * 3 + 3) if other != track]
        assert set(np.argsort(-shares)[:2].tolist()) == set(band)
        assert {genre_of(track_id(other)) for other in np.flatnonzero(shares)} == {genre_of(track_id(track))}


def test_the_mean_of_the_stand_ins_factors_is_what_is_lent_by_a_linear_score(
    corpus: Corpus, found: StandIns
) -> None:
    retriever = new_retriever("ials", {"rank": 8}).fit(corpus)
    scores = retriever.score(everyone(corpus))
    expected = scores @ found.shares.T.toarray()
    np.testing.assert_allclose(found.lend(scores), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["popularity", "item-knn", "content", "ials"])
def test_every_form_of_scores_is_lent_alike(corpus: Corpus, found: StandIns, name: str) -> None:
    retriever = new_retriever(name, {}).fit(corpus)
    batch = everyone(corpus)
    lent = found.lend(retriever.compact_scores(batch))
    assert lent.shape == (batch.size, found.n_new) and lent.dtype == np.float32
    np.testing.assert_allclose(lent, found.lend(retriever.score(batch)), rtol=1e-4, atol=1e-6)


def test_listeners_of_a_genre_are_lent_most_for_its_new_track(corpus: Corpus, found: StandIns) -> None:
    lent = found.lend(new_retriever("item-knn", {}).fit(corpus).score(everyone(corpus)))
    home = np.arange(corpus.n_users) % 3
    assert (lent.argmax(axis=1) == home).mean() > 0.9


def test_a_track_that_content_says_nothing_of_has_nobody_to_stand_in(corpus: Corpus) -> None:
    blank = pl.DataFrame({"track_id": ["unknown"], "artist_id": ["somebody else"]})
    table = pl.concat([planted_tracks(), completed(blank, TRACKS)])
    events = planted_events().filter(~pl.col("track_id").is_in([track_id(number) for number in NEW]))
    assert StandIns.of(build_corpus(events, table, no_users())).n_new == len(NEW)


def test_a_track_outside_the_catalogue_gets_the_stand_ins_of_its_content(
    corpus: Corpus, found: StandIns
) -> None:
    played = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks) > 0
    index = ContentIndex(corpus.track_table, played)
    released_today = completed(
        pl.DataFrame(
            {"track_id": ["t999"], "artist_id": ["a0"], "artist": ["Band 0"], "genres": [["ambient"]]}
        ),
        TRACKS,
    )
    shares = index.stand_ins(released_today)
    np.testing.assert_allclose(shares.toarray(), found.shares[0].toarray(), rtol=1e-5)
    stranger = completed(pl.DataFrame({"track_id": ["t998"], "genres": [["polka"]]}), TRACKS)
    assert index.stand_ins(stranger).nnz == 0
    assert index.stand_ins(released_today[:0]).shape == (0, corpus.n_tracks)


def test_the_newest_releases_are_kept_where_there_are_too_many(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = pl.Series([f"20{number % 30 + 1:02d}-01-01" for number in range(90)]).str.to_date()
    events = planted_events().filter(~pl.col("track_id").is_in([track_id(number) for number in NEW]))
    dated = build_corpus(events, planted_tracks().with_columns(released=days), no_users())
    monkeypatch.setattr(module, "MOST_NEW", 1)
    # 2003, 2006 and 2009.
    assert StandIns.of(dated).track_index.tolist() == [68]


def test_nothing_is_new_where_everything_is_played() -> None:
    found = StandIns.of(build_corpus(planted_events(n_plays=40), planted_tracks(), no_users()))
    assert found.n_new == 0
    assert found.lend(np.zeros((4, 90), np.float32)).shape == (4, 0)


def test_what_is_stored_comes_back(found: StandIns) -> None:
    again = StandIns.from_arrays(found.arrays(), found.shares.shape[1])
    np.testing.assert_array_equal(again.track_index, found.track_index)
    np.testing.assert_array_equal(again.shares.toarray(), found.shares.toarray())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**31 - 1))
def test_lent_scores_stay_between_those_of_the_stand_ins(batch: int, n_new: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.random((n_new, 9)).astype(np.float32)
    shares /= shares.sum(axis=1, keepdims=True)
    scores = rng.normal(size=(batch, 9)).astype(np.float32)
    lent = StandIns(np.arange(n_new, dtype=np.int32), sparse.csr_matrix(shares)).lend(scores)
    assert (lent <= scores.max(axis=1, keepdims=True) + 1e-5).all()
    assert (lent >= scores.min(axis=1, keepdims=True) - 1e-5).all()


def test_who_has_stand_ins_is_told_without_seeking_them(corpus: Corpus) -> None:
    index = ContentIndex(corpus.track_table, np.bincount(corpus.interactions.track_index, minlength=90) > 0)
    rows = completed(
        pl.DataFrame(
            {
                "track_id": ["x", "y", "z"],
                "artist": [None, "Nobody", None],
                "genres": [["bebop"], None, ["yodel", "cumbia"]],
            },
            schema_overrides={"artist": pl.String},
        ),
        TRACKS,
    )
    assert index.reaches(rows).tolist() == [True, False, True]
    np.testing.assert_array_equal(index.reaches(rows), np.diff(index.stand_ins(rows).indptr) > 0)
    assert index.reaches(corpus.track_table).all()
    alone = ContentIndex(corpus.track_table, np.zeros(90, np.bool_))
    assert not alone.reaches(rows).any()

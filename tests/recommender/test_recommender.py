from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.corpus import Corpus
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.domain import PADDING, Context, Mode, Query
from audotics.errors import BadInputError
from audotics.recommender.candidates import Allowed
from audotics.recommender.filling import best_candidates
from audotics.recommender.recommender import Recommender
from contract.planted import genre_of


def heard_by(planted: Corpus, user_id: str) -> set[str]:
    row = planted.interactions.rows(planted.users.indices([user_id]))
    return {planted.tracks.ids[track] for track in row.track_index}


def test_listeners_get_unheard_tracks_of_their_genre(planted: Corpus, recommender: Recommender) -> None:
    slates = recommender.recommend([Query(user_id=user_id, k=8) for user_id in planted.users.ids])
    shares = []
    for slate in slates:
        heard = heard_by(planted, slate.user_id or "")
        assert not heard & set(slate.track_ids)
        home = max({genre_of(track) for track in heard}, key=[genre_of(t) for t in heard].count)
        shares.append(np.mean([genre_of(track) == home for track in slate.track_ids]))
    assert np.mean(shares) > 0.8


def test_slates_are_sorted_full_and_without_repeats(recommender: Recommender) -> None:
    (slate,) = recommender.recommend([Query(user_id="u001", k=10)])
    assert len(slate.track_ids) == len(set(slate.track_ids)) == 10
    assert (np.diff(slate.scores) <= 0).all()
    assert len(slate.reasons) == len(slate.sources) == 10


def test_one_query_alone_is_answered_as_among_many(planted: Corpus, recommender: Recommender) -> None:
    queries = [Query(user_id=user_id, k=5) for user_id in planted.users.ids[:30]]
    queries += [Query(history=planted.tracks.ids[:n], k=5) for n in range(4)]
    queries += [
        Query(user_id="nobody", k=3),
        Query(user_id=planted.users.ids[3], k=5, rules={"artist_cap": 1}),
    ]
    together = recommender.recommend(queries)
    for query, expected in zip(queries, together, strict=True):
        (alone,) = recommender.recommend([query])
        assert alone.track_ids == expected.track_ids
        assert alone.sources == expected.sources
        assert alone.reasons == expected.reasons
        np.testing.assert_allclose(alone.scores, expected.scores, rtol=1e-4, atol=1e-4)


def test_lists_for_evaluation_equal_slates(planted: Corpus, recommender: Recommender) -> None:
    users = np.arange(20, dtype=np.int32)
    batch = QueryBatch.of_listeners(planted.interactions, users)
    lists = recommender.recommend_indices(batch, Allowed.everything_unheard(20), 6)
    slates = recommender.recommend([Query(user_id=planted.users.ids[user], k=6) for user in users])
    for row, slate in zip(lists, slates, strict=True):
        assert tuple(planted.tracks.ids[track] for track in row) == slate.track_ids


def test_a_raw_history_is_answered_like_a_listener_with_it(planted: Corpus, recommender: Recommender) -> None:
    history = tuple(f"t{number:03d}" for number in range(5))  # all ambient
    (slate,) = recommender.recommend([Query(history=history, k=8)])
    assert not set(history) & set(slate.track_ids)
    assert np.mean([genre_of(track) == "ambient" for track in slate.track_ids]) > 0.8
    (other,) = recommender.recommend([Query(user_id="u001", history=history, k=8)])
    assert other.track_ids == slate.track_ids


def test_known_and_raw_histories_mix_in_one_call(recommender: Recommender) -> None:
    known, raw = Query(user_id="u002", k=4), Query(history=("t000", "t001"), k=4)
    together = recommender.recommend([known, raw, known])
    assert together[0] is not together[2]
    assert together[0].track_ids == together[2].track_ids
    assert together[1].track_ids == recommender.recommend([raw])[0].track_ids


@pytest.mark.parametrize("query", [Query(user_id="nobody", k=5), Query(history=(), k=5), Query(k=5)])
def test_who_is_unknown_still_gets_a_slate(recommender: Recommender, query: Query) -> None:
    (slate,) = recommender.recommend([query])
    assert len(slate.track_ids) == 5
    assert np.isfinite(slate.scores).all()


def test_unknown_tracks_in_history_and_exclusions_are_left_out(recommender: Recommender) -> None:
    (plain,) = recommender.recommend([Query(history=("t000",), k=5)])
    (noisy,) = recommender.recommend([Query(history=("t000", "??"), exclude=("also not",), k=5)])
    assert plain.track_ids == noisy.track_ids


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 89), max_size=12), st.integers(1, 100), st.sampled_from(Mode))
def test_a_slate_never_breaks_its_rules(
    recommender: Recommender, heard: list[int], k: int, mode: Mode
) -> None:
    history = tuple(f"t{number:03d}" for number in heard)
    excluded = ("t010", "t045")
    (slate,) = recommender.recommend([Query(history=history, k=k, mode=mode, exclude=excluded)])
    shown = set(slate.track_ids)
    assert len(shown) == len(slate.track_ids) <= k
    assert not shown & set(excluded)
    if mode is Mode.DISCOVER:
        assert not shown & set(history)
    if mode is Mode.FAMILIAR:
        assert shown <= set(history)


def test_queries_of_different_length_get_their_own(recommender: Recommender) -> None:
    short, long = recommender.recommend([Query(user_id="u000", k=3), Query(user_id="u000", k=9)])
    assert long.track_ids[:3] == short.track_ids


def test_the_context_reaches_the_batch(recommender: Recommender) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    batch, _ = recommender.encode([Query(context=Context(at=at, device="car", country="NO")), Query()])
    assert batch.at.tolist() == [int(at.timestamp()) * 1_000_000, NO_TIME]
    assert batch.device == ("car", None)
    assert batch.country == ("NO", None)


def test_best_candidates_by_hand() -> None:
    scores = np.array([[0.5, 0.9, 0.5], [0.1, -np.inf, -np.inf]], np.float32)
    tracks = np.array([[4, 7, 9], [3, PADDING, PADDING]], np.int32)
    best, slots = best_candidates(scores, tracks, 4)
    assert best.tolist() == [[7, 4, 9, PADDING], [3, PADDING, PADDING, PADDING]]
    assert slots.tolist() == [[1, 0, 2], [0, 1, 2]]


def test_an_answer_does_not_depend_on_k_or_on_its_neighbours(recommender: Recommender) -> None:
    short, long = Query(user_id="u000", k=5), Query(user_id="u003", k=85)
    (alone,) = recommender.recommend([short])
    beside, _ = recommender.recommend([short, long])
    assert alone.track_ids == beside.track_ids
    np.testing.assert_allclose(alone.scores, beside.scores, rtol=1e-4, atol=1e-4)


def test_a_time_without_a_zone_is_utc(recommender: Recommender) -> None:
    naive, aware = datetime(2026, 7, 1, 12), datetime(2026, 7, 1, 12, tzinfo=UTC)
    batch, _ = recommender.encode([Query(context=Context(at=naive)), Query(context=Context(at=aware))])
    assert batch.at[0] == batch.at[1]


def test_less_than_one_track_is_refused(recommender: Recommender) -> None:
    with pytest.raises(BadInputError, match="k is 0"):
        recommender.recommend([Query(user_id="u000", k=0)])

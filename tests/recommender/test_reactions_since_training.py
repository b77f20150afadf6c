from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.vocabulary import Vocabulary
from audotics.domain import Query, Reaction
from audotics.recommender.reactions import aversion_of, disliked, laid_over
from audotics.recommender.recommender import Recommender

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TRACKS = Vocabulary([f"t{i}" for i in range(6)])


def row(*pairs: tuple[int, float, int], ordered: bool = True) -> Interactions:
    tracks, plays, at = zip(*pairs, strict=True) if pairs else ((), (), ())
    return Interactions(
        np.array([0, len(pairs)]),
        np.array(tracks, np.int32),
        np.array(plays, np.float32),
        np.array(at, np.int64),
        len(TRACKS),
        ordered,
    )


def reaction(track: int, minutes: float = 0, event: str = "play") -> Reaction:
    return Reaction(f"t{track}", NOW + timedelta(minutes=minutes), event)


def test_a_new_track_comes_last_and_a_known_one_counts_more() -> None:
    day = int(NOW.timestamp() * 1e6) - 86_400_000_000
    laid = laid_over(row((2, 3, day), (4, 1, day + 1)), [[reaction(2, 5), reaction(5, 1)]], TRACKS)
    assert laid.track_index.tolist() == [4, 5, 2]
    assert laid.plays.tolist() == [1, 1, 4]
    assert laid.last_at[1] == int((NOW + timedelta(minutes=1)).timestamp() * 1e6)


def test_late_events_land_at_their_time() -> None:
    at = int(NOW.timestamp() * 1e6)
    laid = laid_over(row((0, 1, at - 10**9), (1, 1, at)), [[reaction(3, -10)]], TRACKS)
    assert laid.track_index.tolist() == [0, 3, 1]


def test_places_go_on_where_there_are_no_times() -> None:
    laid = laid_over(row((0, 1, 0), (1, 1, 1)), [[reaction(3, 9), reaction(2, 1)]], TRACKS)
    assert laid.track_index.tolist() == [0, 1, 2, 3]
    assert laid.last_at.tolist() == [0, 1, 2, 3]


def test_without_order_nothing_gets_a_time() -> None:
    laid = laid_over(row((0, 1, 0), (4, 1, 0), ordered=False), [[reaction(2, 9)]], TRACKS)
    assert laid.track_index.tolist() == [0, 2, 4]
    assert not laid.last_at.any()


def test_skips_and_unknown_tracks_are_no_plays() -> None:
    before = row((0, 1, 0))
    assert laid_over(before, [[reaction(1, 0, "skip"), Reaction("nowhere", NOW)]], TRACKS) is before


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(-500, 500), st.sampled_from(["play", "like", "skip"])),
        max_size=12,
    )
)
def test_the_order_of_arrival_does_not_matter(events: list[tuple[int, int, str]]) -> None:
    reactions = [reaction(*event) for event in dict.fromkeys(events)]
    base = row((1, 2, int(NOW.timestamp() * 1e6)))
    one, other = (laid_over(base, [order], TRACKS) for order in (reactions, reactions[::-1]))
    assert one.track_index.tolist() == other.track_index.tolist()
    assert one.plays.tolist() == other.plays.tolist()
    assert one.plays.sum() == 2 + sum(one.event != "skip" for one in reactions)
    assert (np.diff(one.last_at) >= 0).all()


def test_a_later_like_takes_a_dislike_back() -> None:
    assert disliked([reaction(1, 0, "dislike"), reaction(2, 0, "dislike"), reaction(1, 1, "like")]) == ["t2"]
    assert disliked([reaction(1, 2, "dislike"), reaction(1, 1, "like")]) == ["t1"]


@pytest.fixture(scope="module")
def asked(planted: Corpus) -> str:
    return planted.users.ids[0]


def scores_of(recommender: Recommender, user: str, since: list[Reaction]) -> dict[str, float]:
    query = Query(user_id=user, k=15)
    (slate,) = recommender.recommend([query], {user: since})
    return dict(zip(slate.track_ids, slate.scores.tolist(), strict=True))


def test_a_skip_lowers_the_track_and_its_artist(recommender: Recommender, asked: str) -> None:
    before = scores_of(recommender, asked, [])
    first = next(iter(before))
    skip = Reaction(first, datetime.now(UTC), "skip")
    after = scores_of(recommender, asked, [skip])
    artist = recommender.catalogue.artist
    of_first = artist[recommender.tracks.index(first)]
    for track_id, score in after.items():
        if track_id in before:
            same = artist[recommender.tracks.index(track_id)] == of_first and of_first >= 0
            assert (score < before[track_id]) == (same or track_id == first)
    assert next(iter(after)) != first


def test_a_disliked_track_does_not_come_back(recommender: Recommender, asked: str) -> None:
    first = next(iter(scores_of(recommender, asked, [])))
    assert first not in scores_of(recommender, asked, [Reaction(first, NOW, "dislike")])


def test_skips_fade_and_plays_make_up_for_them(recommender: Recommender) -> None:
    track = recommender.tracks.ids[0]

    def shift(*since: Reaction) -> float:
        aversion = aversion_of(since, recommender.tracks, recommender.catalogue, NOW)
        assert aversion is not None
        return float(aversion.shifts(np.array([0], np.int32))[0])

    skip = Reaction(track, NOW, "skip")
    old = Reaction(track, NOW - timedelta(days=30), "skip")
    twice = shift(skip, skip)
    assert twice < shift(skip) < shift(old) < 0
    assert shift(skip, Reaction(track, NOW), Reaction(track, NOW)) > shift(skip)
    assert shift(Reaction(track, NOW, "dislike")) < shift(skip)
    assert aversion_of([Reaction(track, NOW)], recommender.tracks, recommender.catalogue, NOW) is None


def test_an_empty_overlay_changes_nothing(recommender: Recommender, asked: str) -> None:
    query = Query(user_id=asked, k=10)
    assert recommender.recommend([query])[0].track_ids == recommender.recommend([query], {})[0].track_ids


def test_what_a_new_listener_plays_is_their_history(recommender: Recommender, planted: Corpus) -> None:
    heard = [planted.tracks.ids[i] for i in planted.interactions.rows(np.array([0])).track_index]
    start = NOW - timedelta(days=1)
    since = [Reaction(track, start + timedelta(minutes=m)) for m, track in enumerate(heard)]
    (live,) = recommender.recommend([Query(user_id="somebody new")], {"somebody new": since})
    (raw,) = recommender.recommend([Query(history=tuple(heard))])
    assert live.track_ids == raw.track_ids

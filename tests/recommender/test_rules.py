"""Queries with rules, blocks, artists and groups through the whole recommender."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import Block, Context, Exposure, GroupStrategy, Mode, Query
from audotics.errors import BadInputError
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.candidates import Allowed
from audotics.recommender.queries import TRACKS_PER_ARTIST
from audotics.recommender.reasons import DRAWN
from audotics.recommender.recommender import Recommender
from audotics.slate.config import SlateConfig, Withholding
from contract.planted import genre_of

MAY = datetime(2026, 5, 1, tzinfo=UTC)


def artist_of(track: str) -> str:
    return f"a{int(track[1:]) // 3}"


def heard_by(planted: Corpus, user_id: str) -> set[str]:
    row = planted.interactions.rows(planted.users.indices([user_id]))
    return {planted.tracks.ids[track] for track in row.track_index}


def test_default_rules_are_the_rankers_order(planted: Corpus, recommender: Recommender) -> None:
    users = np.arange(planted.n_users, dtype=np.int32)
    batch = QueryBatch.of_listeners(planted.interactions, users)
    plain = recommender.recommend_indices(batch, Allowed.everything_unheard(len(users)), 7)
    wide = recommender.with_rules(SlateConfig(artist_cap=100))
    queries = [Query(user_id=user_id, k=7) for user_id in planted.users.ids]
    for one in (recommender, wide):
        for row, slate in zip(plain, one.recommend(queries), strict=True):
            assert tuple(planted.tracks.ids[track] for track in row) == slate.track_ids
            assert slate.propensities.tolist() == [1.0] * 7


def test_rules_of_the_recommender_and_of_a_request(recommender: Recommender) -> None:
    capped = recommender.with_rules(SlateConfig(artist_cap=1))
    one, two, free = capped.recommend(
        [Query("u000", k=9), Query("u000", k=9, rules={"artist_cap": 2}), Query("u000", k=9)]
    )
    assert max(Counter(map(artist_of, one.track_ids)).values()) == 1
    assert max(Counter(map(artist_of, two.track_ids)).values()) == 2
    assert free.track_ids == one.track_ids
    assert len(one.track_ids) == len(two.track_ids) == 9
    assert (np.diff(one.scores) <= 0).all()
    assert recommender.rules == SlateConfig()


def test_an_unknown_rule_of_a_request_is_refused(recommender: Recommender) -> None:
    with pytest.raises(BadInputError, match="there is no such setting"):
        recommender.recommend([Query("u000", rules={"caps": 1})])


def test_diversity_and_calibration_reach_the_slate(recommender: Recommender) -> None:
    (plain,) = recommender.recommend([Query("u000", k=10)])
    (diverse,) = recommender.recommend([Query("u000", k=10, rules={"diversity": 0.9})])
    assert len(set(map(genre_of, diverse.track_ids))) > len(set(map(genre_of, plain.track_ids)))
    history = ("t000", "t001", "t004", "t030", "t031", "t034")
    asked = Query(history=history, k=10, rules={"calibration": 0.95})
    (calibrated,) = recommender.recommend([asked])
    genres = Counter(map(genre_of, calibrated.track_ids))
    assert set(genres) == {"ambient", "bebop"}
    assert min(genres.values()) >= 4


def test_blocks_are_judged_at_the_time_of_the_request(recommender: Recommender) -> None:
    (plain,) = recommender.recommend([Query("u000", k=5)])
    first, second = plain.track_ids[:2]
    blocked = (Block(track_id=first), Block(artist_id=artist_of(second), until=MAY))
    before, after, naive = recommender.recommend(
        [
            Query("u000", k=9, blocked=blocked, context=Context(at=at))
            for at in (MAY - timedelta(seconds=1), MAY, datetime(2026, 4, 30, 23))
        ]
    )
    assert first not in before.track_ids + after.track_ids
    assert artist_of(second) not in map(artist_of, before.track_ids)
    assert second in after.track_ids
    assert naive.track_ids == before.track_ids


def test_artists_are_blocked_by_name_too(recommender: Recommender) -> None:
    (plain,) = recommender.recommend([Query("u000", k=3)])
    number = artist_of(plain.track_ids[0])[1:]
    (without,) = recommender.recommend([Query("u000", k=9, blocked=(Block(artist_id=f"band {number}"),))])
    assert f"a{number}" not in map(artist_of, without.track_ids)


def test_what_is_withheld_depends_on_the_market(recommender: Recommender) -> None:
    (plain,) = recommender.recommend([Query("u000", k=3)])
    first = plain.track_ids[0]
    german = recommender.with_rules(SlateConfig(withhold=(Withholding(tracks=(first,), markets=("DE",)),)))
    slates = german.recommend(
        [
            Query("u000", market="DE"),
            Query("u000", context=Context(country="DE")),
            Query("u000", market="FR", context=Context(country="DE")),
            Query("u000"),
        ]
    )
    assert [first in slate.track_ids for slate in slates] == [False, False, True, True]


def test_explicit_tracks_are_left_out_on_request(planted: Corpus, recommender: Recommender) -> None:
    explicit = pl.Series([number % 2 == 0 for number in range(90)])
    marked = Recommender(
        users=planted.users,
        tracks=planted.tracks,
        histories=planted.interactions,
        track_table=planted.track_table.with_columns(explicit.alias("explicit")),
        unheard=recommender.unheard,
    )
    strict = marked.with_rules(SlateConfig(allow_explicit=False))
    everything, asked = marked.recommend([Query("u000"), Query("u000", allow_explicit=False)])
    (clean,) = strict.recommend([Query("u000")])
    assert asked.track_ids == clean.track_ids
    assert all(int(track[1:]) % 2 for track in clean.track_ids)
    assert len(clean.track_ids) == 10
    assert any(int(track[1:]) % 2 == 0 for track in everything.track_ids)


def test_favourite_artists_are_enough_for_a_personal_list(recommender: Recommender) -> None:
    (slate,) = recommender.recommend([Query(k=10, artists=("a10", "a12", "Band 15"))])
    assert np.mean([genre_of(track) == "bebop" for track in slate.track_ids]) > 0.8
    nobody, anonymous = recommender.recommend([Query(k=5, artists=("?",)), Query(k=5, history=())])
    assert nobody.track_ids == anonymous.track_ids


def test_the_history_of_artists_is_their_most_played_tracks(
    planted: Corpus, recommender: Recommender
) -> None:
    batch, _ = recommender.encode(
        [Query(artists=("a10", "a12"), history=("t000",)), Query("u000", artists=("a10",)), Query("u000")]
    )
    own, known, plain = (batch.histories.rows(np.array([row])) for row in range(3))
    tracks = [planted.tracks.ids[track] for track in own.track_index]
    assert tracks[-1] == "t000"
    assert set(map(artist_of, tracks[:-1])) == {"a10", "a12"}
    assert len(tracks) == 7 <= 2 * TRACKS_PER_ARTIST + 1
    listeners = np.bincount(planted.interactions.track_index, minlength=90)
    mine = [listeners[planted.tracks.indices([t])[0]] for t in tracks[:-1] if artist_of(t) == "a10"]
    assert mine == sorted(mine)
    # What a listener has played says more than what artists they name.
    assert known.track_index.tolist() == plain.track_index.tolist()


def test_exploration_is_reproducible_and_says_so(recommender: Recommender) -> None:
    rules = {"explore": 1.0, "explore_places": (2, 4), "explore_pool": 8}
    (plain,) = recommender.recommend([Query("u000", k=6)])
    first, again, other = recommender.recommend(
        [Query("u000", k=6, rules=rules, seed=seed) for seed in (1, 1, 2)]
    )
    assert first.track_ids == again.track_ids != other.track_ids
    for slate in (first, other):
        assert slate.propensities.tolist() == [1.0, 0.125, 1.0, 0.125, 1.0, 1.0]
        assert [reason == DRAWN for reason in slate.reasons] == [False, True, False, True, False, False]
        assert [slate.track_ids[place] for place in (0, 2, 4, 5)] == [
            plain.track_ids[place] for place in (0, 2, 4, 5)
        ]
    (alone,) = recommender.recommend([Query("u000", k=6, rules=rules, seed=1)])
    assert alone.track_ids == first.track_ids


def test_an_exposure_keeps_what_the_slate_says(recommender: Recommender) -> None:
    (slate,) = recommender.recommend([Query("u000", k=4, rules={"explore": 0.5, "explore_places": (1,)})])
    exposure = Exposure.of(slate, request_id="r1", at=MAY, model_version=recommender.model_version)
    assert (exposure.user_id, exposure.track_ids, exposure.variant) == ("u000", slate.track_ids, "")
    assert exposure.propensities.tolist() == slate.propensities.tolist()
    assert exposure.model_version == "test"


@pytest.mark.parametrize("strategy", GroupStrategy)
@pytest.mark.parametrize("mode", Mode)
def test_a_group_gets_one_list(
    planted: Corpus, recommender: Recommender, strategy: GroupStrategy, mode: Mode
) -> None:
    members = ("u000", "u001", "u003")
    heard = [heard_by(planted, user_id) for user_id in members]
    query = Query(group=members, strategy=strategy, mode=mode, k=8, exclude=("t002",))
    alone, slate = recommender.recommend([Query("u000", k=8), query])
    assert alone.user_id == "u000"
    assert slate.user_id is None
    assert len(set(slate.track_ids)) == len(slate.reasons) == len(slate.sources) == 8
    assert "t002" not in slate.track_ids
    if mode is Mode.DISCOVER:
        assert not set(slate.track_ids) & set.union(*heard)
    if mode is Mode.FAMILIAR:
        assert set(slate.track_ids) <= set.union(*heard)


def test_a_group_takes_turns_between_tastes(recommender: Recommender) -> None:
    members = ("u000", "u001", "u002")
    (fair,) = recommender.recommend([Query(group=members, strategy=GroupStrategy.TURNS, k=9)])
    assert set(map(genre_of, fair.track_ids[:6])) == {"ambient", "bebop", "cumbia"}
    (capped,) = recommender.recommend([Query(group=members, k=9, rules={"artist_cap": 1})])
    assert max(Counter(map(artist_of, capped.track_ids)).values()) == 1


def test_a_group_of_like_minds_gets_what_they_like(recommender: Recommender) -> None:
    (slate,) = recommender.recommend([Query(group=("u000", "u003", "u006"), k=8)])
    assert np.mean([genre_of(track) == "ambient" for track in slate.track_ids]) > 0.8


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        (Query(group=("u000",)), "the group has 1 listeners"),
        (Query(group=tuple(f"u{n:03d}" for n in range(51))), "the group has 51 listeners"),
        (Query(group=("u000", "u000")), "stands twice"),
        (Query("u000", group=("u001", "u002")), "a group has no listener"),
        (Query("u000", familiarity=1.5), "familiarity is 1.5"),
        (Query("u000", weights={"plays": 1.0}), "there is no head 'plays'"),
        (Query("u000", weights={"skip": float("nan")}), "the weight of 'skip' is nan"),
        (Query("u000", surface="kitchen"), "there is no surface 'kitchen'"),
        (Query("u000", blocked=(Block(),)), "a block names either a track or an artist"),
        (Query("u000", blocked=(Block("t", "a"),)), "a block names either a track or an artist"),
    ],
)
def test_what_cannot_be_answered_is_refused(recommender: Recommender, query: Query, complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        recommender.recommend([query])


def test_wishes_carry_weights_and_familiarity(recommender: Recommender) -> None:
    wishes = recommender.wishes(
        [Query("u000", weights={"skip": -1.0}, surface="focus", familiarity=0.25, k=3), Query("u001")]
    )
    assert wishes.weights == ({"skip": -1.0}, {})
    assert wishes.surfaces == ("focus", None)
    assert wishes.familiarity[0] == 0.25
    assert np.isnan(wishes.familiarity[1])
    assert wishes.lengths.tolist() == [3, 10]


def test_batches_follow_the_rules_and_count_them(planted: Corpus, recommender: Recommender) -> None:
    rules = SlateConfig(artist_cap=1, withhold=(Withholding(artists=("a0",)),))
    processor = BatchProcessor(recommender.with_rules(rules))
    table = processor.table(planted.users.ids, 6, Mode.MIX)
    artists = table.with_columns(pl.col("track_id").map_elements(artist_of, pl.String).alias("artist"))
    assert artists.group_by("user_id", "artist").len()["len"].max() == 1
    assert "a0" not in artists["artist"]
    told = processor.statistics.summary()
    assert (told["n_slates"], told["n_shown"]) == (planted.n_users, table.height)
    assert told["largest_artist_share"] == pytest.approx(1 / 6)
    acted = told["acted"]
    assert isinstance(acted, dict)
    assert acted["withheld"] == 3 * planted.n_users
    assert acted["artist_cap"] > 0

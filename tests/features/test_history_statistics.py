"""Play statistics: by hand, and against the obvious slow computation."""

from math import log, log1p

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.errors import NotFittedError
from audotics.features.history import HistoryStatistics
from contract.six_tracks import ALBUMS, ARTISTS, DAY, PLAYS, START, Play, corpus, raw


def values(statistics: HistoryStatistics, row: np.ndarray) -> dict[str, float]:
    return dict(zip(statistics.names, row.tolist(), strict=True))


def test_every_feature_by_hand() -> None:
    data = corpus(PLAYS)
    statistics = HistoryStatistics().fit(data)
    batch = QueryBatch(
        data.interactions, np.array([0, 1], np.int32), np.full(2, START + 10 * DAY), (None,) * 2, (None,) * 2
    )
    row = values(statistics, statistics.compute(batch, np.array([[0, 1, 4], [5, 0, -1]], np.int32))[0, 0])
    hour = log(8761)
    assert row == pytest.approx(
        {
            "track_plays": log(3),
            "track_share": 2 / 4,
            "track_order": 1 - log(3) / log(1001),  # t2 and t3 came after it
            "track_recency": 1 - log1p(6 * 24) / hour,
            "artist_plays": log(3),
            "artist_share": 2 / 4,
            "artist_tracks": 1 / 3,
            "artist_order": 1 - log(3) / log(1001),
            "artist_recency": 1 - log1p(6 * 24) / hour,
            "album_plays": log(3),
            "album_share": 2 / 4,
            "album_tracks": 1 / 3,
            "album_order": 1 - log(3) / log(1001),
            "album_recency": 1 - log1p(6 * 24) / hour,
            "history_length": log(4) / log(1001),
            "popularity": 1.0,
            "cold": 0.0,
            "age": log1p(375) / log(3651),
            "release_known": 1.0,
        },
        abs=1e-5,
    )


def test_owner_of_an_unheard_track_and_padding() -> None:
    data = corpus(PLAYS)
    statistics = HistoryStatistics().fit(data)
    batch = QueryBatch.of_listeners(data.interactions, np.array([0, 1], np.int32))
    computed = statistics.compute(batch, np.array([[1, 4, 3], [5, 2, -1]], np.int32))
    assert computed.dtype == np.float32
    same_artist = values(statistics, computed[0, 0])
    assert same_artist["track_plays"] == same_artist["album_plays"] == 0
    assert same_artist["artist_plays"] == pytest.approx(log(3))
    assert same_artist["cold"] == 1 and same_artist["popularity"] == 0
    same_album = values(statistics, computed[0, 1])
    assert same_album["album_share"] == pytest.approx(1 / 4)
    assert same_album["album_order"] == pytest.approx(1 - log(2) / log(1001))
    no_artist = values(statistics, computed[0, 2])
    assert no_artist["track_plays"] == pytest.approx(log(2)) and no_artist["artist_plays"] == 0
    assert not computed[1, 2].any()


def test_a_query_without_time_is_asked_at_the_end_of_training() -> None:
    data = corpus(PLAYS)
    statistics = HistoryStatistics().fit(data)
    asked = QueryBatch.of_listeners(data.interactions, np.array([0, 1], np.int32))
    timed = QueryBatch(
        asked.histories, asked.user_index, np.full(2, START + 10 * DAY), asked.device, asked.country
    )
    tracks = np.tile(np.arange(6, dtype=np.int32), (2, 1))
    np.testing.assert_array_equal(statistics.compute(asked, tracks), statistics.compute(timed, tracks))


def test_a_release_in_the_future_has_age_nought() -> None:
    statistics = HistoryStatistics().fit(corpus(PLAYS))
    batch = raw([])
    row = values(statistics, statistics.compute(batch, np.array([[5]], np.int32))[0, 0])
    assert (row["age"], row["release_known"]) == (0, 1)


def test_raw_history_in_timed_data_uses_its_order() -> None:
    statistics = HistoryStatistics().fit(corpus(PLAYS))
    histories = Interactions.from_histories([[0, 2, 3], []], 6)
    batch = QueryBatch(
        histories, np.full(2, -1, np.int32), np.full(2, START + 900 * DAY), (None,) * 2, (None,) * 2
    )
    computed = statistics.compute(batch, np.array([[3, 2], [3, 2]], np.int32))
    newest = values(statistics, computed[0, 0])
    assert newest["track_recency"] == newest["track_order"] == 1
    nothing = values(statistics, computed[1, 0])
    assert nothing["track_recency"] == nothing["history_length"] == nothing["track_share"] == 0


def test_data_without_order_times_or_content_has_fewer_features() -> None:
    bare = HistoryStatistics().fit(corpus([("u", "t0", None), ("v", "t1", None)], content=False))
    assert bare.names == ("track_plays", "track_share", "history_length", "popularity", "cold")
    ordered = HistoryStatistics().fit(
        corpus([("u", "t0", None), ("u", "t1", None)], content=False, positions=True)
    )
    assert ordered.names[:3] == ("track_plays", "track_share", "track_order")
    batch = raw([4, 0])
    assert bare.compute(batch, np.array([[0, 4]], np.int32)).shape == (1, 2, 5)
    assert ordered.compute(batch, np.array([[0]], np.int32))[0, 0, 2] == 1


def test_artists_as_tracks_have_no_artist_level() -> None:
    data = corpus(PLAYS)
    ids = pl.Series("artist_id", [f"t{i}" for i in range(6)])
    lonely = Corpus(
        **{name: getattr(data, name) for name in Corpus.__slots__}
        | {"track_table": data.track_table.with_columns(ids)}
    )
    assert not any(name.startswith("artist") for name in HistoryStatistics().fit(lonely).names)


def test_empty_batches_and_lists() -> None:
    data = corpus(PLAYS)
    statistics = HistoryStatistics().fit(data)
    nobody = QueryBatch.of_listeners(data.interactions, np.zeros(0, np.int32))
    cold = QueryBatch.of_listeners(data.interactions, np.array([-1, -1], np.int32))
    n = len(statistics.names)
    assert statistics.compute(nobody, np.zeros((0, 3), np.int32)).shape == (0, 3, n)
    assert statistics.compute(cold, np.zeros((2, 0), np.int32)).shape == (2, 0, n)
    assert not statistics.compute(cold, np.full((2, 2), -1, np.int32)).any()


def test_arrays_bring_the_same_features_back() -> None:
    data = corpus(PLAYS)
    batch = QueryBatch.of_listeners(data.interactions, np.array([1, 0, -1], np.int32))
    tracks = np.tile(np.array([0, 4, 5, -1], np.int32), (3, 1))
    statistics = HistoryStatistics().fit(data)
    assert all(array.dtype != object for array in statistics.arrays().values())
    again = HistoryStatistics.from_arrays(statistics.arrays())
    assert again.names == statistics.names
    np.testing.assert_array_equal(again.compute(batch, tracks), statistics.compute(batch, tracks))


def test_a_second_fit_forgets_the_first() -> None:
    batch = raw([0, 1])
    tracks = np.arange(6, dtype=np.int32)[None, :]
    other = corpus([("w", "t5", None), ("w", "t1", None)], content=False)
    refitted = HistoryStatistics().fit(corpus(PLAYS)).fit(other)
    fresh = HistoryStatistics().fit(other)
    assert refitted.names == fresh.names
    np.testing.assert_array_equal(refitted.compute(batch, tracks), fresh.compute(batch, tracks))


def test_before_fit_it_says_so() -> None:
    with pytest.raises(NotFittedError, match="HistoryStatistics"):
        HistoryStatistics().arrays()


plays = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from(["t0", "t1", "t2", "t3", "t4"]), st.integers(0, 50)),
    min_size=2,
    max_size=25,
)


def _slow(events: list[Play], user: str, track: int) -> dict[str, float]:
    """The owner features of one candidate, computed the obvious way."""
    mine = [(int(name[1:]), at) for who, name, at in events if who == user]
    last = {played: max(at for other, at in mine if other == played) for played, _ in mine}
    ranking = sorted(last, key=lambda played: (last[played], played))
    out: dict[str, float] = {}
    for level, owners in (("track", list(range(6))), ("artist", ARTISTS), ("album", ALBUMS)):
        owner = owners[track]
        same = [played for played, _ in mine if owner is not None and owners[played] == owner]
        out[f"{level}_plays"] = log1p(len(same))
        out[f"{level}_share"] = len(same) / len(mine)
        since = [len(ranking) - 1 - ranking.index(played) for played in same]
        out[f"{level}_order"] = 1 - log1p(min(since)) / log(1001) if same else 0
        days = [50 - last[played] for played in same]
        out[f"{level}_recency"] = 1 - log1p(24 * min(days)) / log(8761) if same else 0
        if level != "track":
            out[f"{level}_tracks"] = len(set(same)) / len(last)
    return out


@settings(max_examples=60, deadline=None)
@given(plays)
def test_agrees_with_the_slow_computation(events: list[Play]) -> None:
    data = corpus(events)
    statistics = HistoryStatistics().fit(data)
    if "track_recency" not in statistics.names:  # all plays at one instant: no order is known
        return
    n = data.n_users
    batch = QueryBatch(
        data.interactions,
        np.arange(n, dtype=np.int32),
        np.full(n, START + 50 * DAY),
        (None,) * n,
        (None,) * n,
    )
    computed = statistics.compute(batch, np.tile(np.arange(6, dtype=np.int32), (n, 1)))
    assert np.isfinite(computed).all()
    for row, user in enumerate(data.users.ids):
        for track in range(6):
            found = values(statistics, computed[row, track])
            expected = _slow(events, user, track)
            assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)

"""Histories cut down, favourite artists, and what is told of newcomers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.domain import PADDING
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.newcomers import (
    N_EVENTS,
    NewcomerResult,
    drawn_rows,
    favourite_artists,
    newcomer_reports,
    shortened,
)
from audotics.evaluation.report import Newcomer

N_TRACKS = 12
HISTORIES = st.lists(st.lists(st.integers(0, N_TRACKS - 1), max_size=15), min_size=1, max_size=6)


def tracks_of(histories: Interactions) -> list[list[int]]:
    return [part.tolist() for part in np.split(histories.track_index, histories.indptr[1:-1])]


def plays_of(histories: Interactions) -> dict[tuple[int, int], float]:
    pairs = zip(histories.row_index.tolist(), histories.track_index.tolist(), strict=True)
    return dict(zip(pairs, histories.plays.tolist(), strict=True))


def of(histories: list[list[int]], *, ordered: bool = True) -> Interactions:
    return replace(Interactions.from_histories(histories, N_TRACKS), ordered=ordered)


@given(HISTORIES, st.integers(0, 12))
def test_where_there_is_an_order_the_last_are_left(histories: list[list[int]], n: int) -> None:
    whole = of(histories)
    for full, left in zip(tracks_of(whole), tracks_of(shortened(whole, n)), strict=True):
        assert left == full[max(0, len(full) - n) :]


@given(HISTORIES, st.integers(0, 12), st.integers(0, 5))
def test_without_an_order_some_are_drawn(histories: list[list[int]], n: int, seed: int) -> None:
    whole = of(histories, ordered=False)
    left, again, more = (shortened(whole, size, seed) for size in (n, n, n + 1))
    assert tracks_of(left) == tracks_of(again)
    for full, some, others in zip(tracks_of(whole), tracks_of(left), tracks_of(more), strict=True):
        assert len(some) == min(n, len(full))
        assert set(some) <= set(others) <= set(full)


@given(HISTORIES, st.booleans(), st.data())
def test_every_history_may_have_a_length_of_its_own(
    histories: list[list[int]], ordered: bool, data: st.DataObject
) -> None:
    whole = of(histories, ordered=ordered)
    size = len(histories)
    lengths = np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), np.int32)
    left = shortened(whole, lengths)
    assert left.lengths.tolist() == np.minimum(lengths, whole.lengths).tolist()
    assert plays_of(left).items() <= plays_of(whole).items(), "how often each was played stays"


def test_draws_are_fair() -> None:
    whole = of([list(range(10))] * 2000, ordered=False)
    counts = np.bincount(shortened(whole, 3, seed=1).track_index, minlength=10)
    assert counts.min() > 500
    assert counts.max() < 700


def test_favourites_by_hand() -> None:
    artist = np.array([0, 0, 1, 2, -1, 3], np.int32)
    histories = [
        [0, 2, 2, 1, 1, 4, 4, 4, 4],  # artist 0 three times, 1 twice, of 4 nobody knows the artist
        [5, 3, 2],  # once each: the latest first
        [4],
        [],
    ]
    found = favourite_artists(Interactions.from_histories(histories, 6), artist)
    assert found.tolist() == [[0, 1, PADDING], [1, 2, 3], [PADDING] * 3, [PADDING] * 3]


def test_nobody_has_favourites_where_no_artist_is_known() -> None:
    found = favourite_artists(of([[0, 1]]), np.full(N_TRACKS, PADDING, np.int32), 2)
    assert found.tolist() == [[PADDING, PADDING]]


@given(HISTORIES, st.lists(st.integers(-1, 4), min_size=N_TRACKS, max_size=N_TRACKS))
def test_favourites_are_those_played_most(histories: list[list[int]], owners: list[int]) -> None:
    artist = np.array(owners, np.int32)
    found = favourite_artists(of(histories), artist, 3)
    for history, row in zip(histories, found.tolist(), strict=True):
        plays = Counter(owners[track] for track in history if owners[track] != PADDING)
        shown = [one for one in row if one != PADDING]
        assert row == shown + [PADDING] * (3 - len(shown))
        assert [plays[one] for one in shown] == sorted(plays.values(), reverse=True)[:3]
        assert len(set(shown)) == len(shown)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 20), st.integers(0, 3))
def test_draws_of_listeners(eligible: list[bool], most: int, seed: int) -> None:
    rows = drawn_rows(np.array(eligible, np.bool_), most, seed)
    assert len(rows) == min(most, sum(eligible))
    assert all(eligible[row] for row in rows)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert set(rows.tolist()) <= set(drawn_rows(np.array(eligible, np.bool_), most + 1, seed).tolist())


def result(newcomer: Newcomer, found: list[int], n: int = 40) -> NewcomerResult:
    """``n`` listeners want one of two tracks each; systems give everybody the same track."""
    holdout = Holdout.from_pairs(np.arange(n), np.arange(n) % 2, n, 3)
    lists = {
        name: np.full((n, 1), track, np.int32)
        for name, track in zip(("ours", "popularity"), found, strict=True)
    }
    return NewcomerResult.of(newcomer, holdout, lists, 20)


def test_what_is_told_by_hand() -> None:
    asked = [result(Newcomer.NO_EVENTS, [1, 1]), result(Newcomer.ONE_EVENT, [0, 2])]
    equal, better = newcomer_reports(asked, "ours", "popularity", n_resamples=200)
    assert (equal.newcomer, equal.n_listeners, equal.n_pairs) == (Newcomer.NO_EVENTS, 40, 40)
    assert equal.systems["ours"] == equal.systems["popularity"]
    assert (equal.comparisons[0].difference, equal.comparisons[0].p_value) == (0.0, 1.0)
    assert [one.metric for one in better.comparisons] == ["ndcg@20", "recall@20"]
    assert better.systems["ours"]["recall@20"].mean == 0.5
    assert better.systems["popularity"]["recall@20"].mean == 0.0
    assert better.comparisons[0].difference == pytest.approx(0.5)
    assert better.comparisons[0].significant
    assert better.comparisons[0].p_holm == pytest.approx(2 * better.comparisons[0].p_value)


def test_nothing_is_told_of_nobody() -> None:
    assert newcomer_reports([], "ours", "popularity") == ()


def test_every_kind_is_an_amount_of_events_or_artists() -> None:
    assert set(Newcomer) == {*N_EVENTS, Newcomer.FAVOURITE_ARTISTS}
    assert [int(kind.split()[0]) for kind in N_EVENTS] == list(N_EVENTS.values())

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME
from audotics.domain import Mode
from audotics.training.fold import ROLE_SHARES, Fold, cut_histories, hide
from contract.planted import events_table, no_users, planted_events, planted_tracks

START = datetime(2026, 1, 1, tzinfo=UTC)


def timed_events() -> pl.DataFrame:
    """Two listeners, one play an hour for 100 hours; every fifth is a skip, every seventh complete."""
    hours = range(100)
    kinds = ["skip" if hour % 5 == 0 else "complete" if hour % 7 == 0 else "play" for hour in hours]
    parts = [
        pl.DataFrame(
            {
                "user_id": [user] * 100,
                "track_id": [f"t{(hour * step) % 90:03d}" for hour in hours],
                "timestamp": [START + timedelta(hours=hour) for hour in hours],
                "event": kinds,
                "device": ["phone" if hour < 90 else "car" for hour in hours],
            }
        )
        for user, step in (("a", 1), ("b", 7))
    ]
    return events_table(pl.concat(parts))


def test_hidden_pairs_are_not_visible(fold: Fold) -> None:
    visible = fold.visible.interactions.matrix().toarray() > 0
    users = fold.batch.user_index[fold.hidden["row"].to_numpy()]
    tracks = fold.hidden["track_index"].to_numpy()
    assert not visible[users, tracks].any()
    everything = fold.corpus.interactions.matrix().toarray() > 0
    assert everything[users, tracks].all()
    assert visible.sum() + fold.hidden.height == everything.sum()


def test_both_corpora_number_listeners_and_tracks_alike(fold: Fold) -> None:
    assert fold.visible.users is fold.corpus.users
    assert fold.visible.tracks is fold.corpus.tracks


def test_histories_are_those_before_hiding(fold: Fold) -> None:
    for row in range(5):
        history = fold.batch.histories.rows(np.array([row])).track_index
        known = fold.visible.interactions.rows(fold.batch.user_index[[row]]).track_index
        np.testing.assert_array_equal(history, known)


def test_a_thinned_fold_keeps_the_histories_of_those_asked(fold: Fold) -> None:
    few = fold.take(np.arange(5, dtype=np.int32))
    thin = few.thinned(200, seed=0)
    assert thin.visible.interactions.n_pairs <= 200 < few.visible.interactions.n_pairs
    kept = thin.visible.interactions.rows(few.batch.user_index)
    np.testing.assert_array_equal(kept.track_index, few.batch.histories.track_index)
    lengths = thin.visible.interactions.lengths
    assert ((lengths == 0) | (lengths == few.visible.interactions.lengths)).all()
    assert few.thinned(10**9, seed=0) is few


def test_taking_rows_keeps_each_listeners_own_answers(fold: Fold) -> None:
    chosen = np.array([5, 2], np.int32)
    part = fold.take(chosen)
    assert part.batch.user_index.tolist() == fold.batch.user_index[chosen].tolist()
    for new, old in enumerate(chosen):
        before = fold.hidden.filter(pl.col("row") == int(old))["track_index"].sort().to_list()
        assert part.hidden.filter(pl.col("row") == new)["track_index"].sort().to_list() == before


def test_roles_are_disjoint_and_of_the_promised_size(fold: Fold) -> None:
    roles = fold.roles(seed=3, most=1000)
    assert sorted(np.concatenate(roles).tolist()) == list(range(fold.batch.size))
    for rows, share in zip(roles, ROLE_SHARES, strict=True):
        assert len(rows) / fold.batch.size == pytest.approx(share, abs=0.02)
    assert fold.roles(seed=3, most=1000).teach.tolist() == roles.teach.tolist()
    assert fold.roles(seed=4, most=1000).teach.tolist() != roles.teach.tolist()
    assert sum(map(len, fold.roles(seed=3, most=20))) == 20


def test_something_is_hidden_from_so_many_listeners_only() -> None:
    few = hide(planted_events(), planted_tracks(), no_users(), most_listeners=12, seed=0, include_heard=False)
    assert few.batch.size == 12
    whole = np.setdiff1d(np.arange(few.corpus.n_users), few.batch.user_index)
    np.testing.assert_array_equal(
        few.visible.interactions.rows(whole).lengths, few.corpus.interactions.rows(whole).lengths
    )
    visible = few.visible.interactions.rows(few.batch.user_index).lengths
    assert (visible < few.corpus.interactions.rows(few.batch.user_index).lengths).all()


def test_context_is_taken_from_a_share_of_the_queries() -> None:
    fold = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=True)
    many = fold.take(np.zeros(400, np.int32))
    half = many.without_context(0.5, seed=0).batch
    gone = half.at == NO_TIME
    assert 140 < gone.sum() < 260
    assert all((device is None) == missing for device, missing in zip(half.device, gone, strict=True))
    assert (many.without_context(1.0, seed=0).batch.at == NO_TIME).all()
    assert many.without_context(0.0, seed=0).batch.device == many.batch.device


def test_timed_data_is_hidden_from_a_moment_on() -> None:
    fold = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=True)
    assert fold.corpus.timed
    last_seen = fold.visible.events["timestamp"].max()
    assert (fold.batch.at != NO_TIME).all()
    for at in fold.batch.at:
        assert datetime.fromtimestamp(at / 1e6, UTC) > last_seen
    assert fold.batch.device == ("phone", "phone")


def test_labels_of_a_pair_join_all_its_events() -> None:
    fold = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=True)
    hidden_from = fold.batch.at.min()
    events = timed_events().filter(pl.col("timestamp").dt.epoch("us") >= int(hidden_from))
    tracks = events.filter(pl.col("user_id") == "a").group_by("track_id").agg(pl.col("event").unique())
    row = fold.batch.user_index.tolist().index(fold.corpus.users.index("a"))
    hidden = fold.hidden.filter(pl.col("row") == row)
    assert hidden.height == tracks.height
    for track, kinds in tracks.iter_rows():
        found = hidden.filter(pl.col("track_index") == fold.corpus.tracks.index(track)).row(0, named=True)
        assert found["skip"] == ("skip" in kinds)
        assert found["complete"] == ("complete" in kinds)
        assert found["play"] == bool({"play", "complete"} & set(kinds))


def test_heard_tracks_are_no_answers_unless_asked_for() -> None:
    discover = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=False)
    visible = discover.visible.interactions.matrix().toarray() > 0
    users = discover.batch.user_index[discover.hidden["row"].to_numpy()]
    assert not visible[users, discover.hidden["track_index"].to_numpy()].any()
    mixed = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=True)
    assert mixed.hidden.height > discover.hidden.height
    assert set(discover.allowed.mode) == {Mode.DISCOVER}
    assert set(mixed.allowed.mode) == {Mode.MIX}


def test_newcomers_have_little_history_and_no_name(fold: Fold) -> None:
    short = fold.shortened((0, 1, 3), most=40, seed=3)
    assert short.batch.size == 40
    assert set(short.batch.histories.lengths.tolist()) == {0, 1, 3}
    assert (short.batch.user_index == -1).all()


def test_newcomers_keep_their_answers_and_are_not_offered_what_they_had_heard(fold: Fold) -> None:
    short = fold.shortened((1,), most=fold.batch.size, seed=3)
    whole = np.split(fold.batch.histories.track_index, fold.batch.histories.indptr[1:-1])
    bounds = short.allowed.excluded
    assert sorted(map(tuple, bounds)) == sorted(map(tuple, whole))
    for row, heard in enumerate(bounds):
        assert set(short.batch.histories.rows(np.array([row])).track_index.tolist()) <= set(heard.tolist())
        answers = short.hidden.filter(pl.col("row") == row)["track_index"].to_list()
        assert answers and not set(answers) & set(heard.tolist())


@given(lengths=st.lists(st.integers(0, 6), min_size=4, max_size=4), seed=st.integers(0, 99))
def test_cut_histories_keep_the_last_tracks_in_order(lengths: list[int], seed: int) -> None:
    histories = Interactions.from_histories([[3, 1, 2], [], [5], [9, 8, 7, 6, 5]], n_tracks=10)
    cut = cut_histories(histories, np.array(lengths), np.random.default_rng(seed))
    for row, length in enumerate(lengths):
        whole = histories.rows(np.array([row])).track_index.tolist()
        assert cut.rows(np.array([row])).track_index.tolist() == (whole[-length:] if length else [])


def test_without_an_order_random_tracks_are_left() -> None:
    one = Interactions.from_histories([list(range(9))] * 200, n_tracks=9)
    cut = cut_histories(replace(one, ordered=False), np.full(200, 1), np.random.default_rng(0))
    assert set(cut.track_index.tolist()) == set(range(9))


def test_repeats_are_asked_for_apart() -> None:
    discover = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=False)
    again = discover.asking_for_repeats()
    assert again.allowed.mode == (Mode.FAMILIAR,) * again.batch.size
    visible = discover.visible.interactions.matrix().toarray() > 0
    users = again.batch.user_index[again.hidden["row"].to_numpy()]
    assert visible[users, again.hidden["track_index"].to_numpy()].all()
    mixed = hide(timed_events(), planted_tracks(), no_users(), seed=0, include_heard=True)
    plays = discover.hidden.filter("play").height + again.hidden.height
    assert plays == mixed.hidden.filter("play").height

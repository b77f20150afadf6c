from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import POSITIVE_EVENTS, Corpus, build_corpus
from audotics.data.schema import EVENT_KINDS, TRACKS
from contract.planted import completed, events_table, no_users

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def catalogue(*track_ids: str) -> pl.DataFrame:
    return completed(
        pl.DataFrame({"track_id": track_ids, "title": [f"Song {key}" for key in track_ids]}), TRACKS
    )


def no_catalogue() -> pl.DataFrame:
    return pl.DataFrame(schema=TRACKS)


def corpus_of(tracks: pl.DataFrame | None = None, **columns: list[object]) -> Corpus:
    events = events_table(pl.DataFrame(columns, strict=False))
    return build_corpus(events, no_catalogue() if tracks is None else tracks, no_users())


def pairs(corpus: Corpus) -> set[tuple[str, str]]:
    interactions = corpus.interactions
    return {
        (corpus.users.ids[user], corpus.tracks.ids[track])
        for user, track in zip(interactions.row_index, interactions.track_index, strict=True)
    }


def test_the_catalogue_adds_tracks_that_nobody_played() -> None:
    corpus = corpus_of(catalogue("z", "b"), user_id=["u", "v"], track_id=["b", "a"])
    assert corpus.tracks.ids == ("a", "b", "z")
    assert (corpus.n_users, corpus.n_tracks) == (2, 3)
    assert corpus.interactions.n_tracks == 3


def test_the_catalogue_lies_in_index_order_and_misses_nothing() -> None:
    corpus = corpus_of(catalogue("z", "b"), user_id=["u"], track_id=["a"])
    assert corpus.track_table["track_id"].to_list() == ["a", "b", "z"]
    assert corpus.track_table["title"].to_list() == [None, "Song b", "Song z"]


def test_data_without_a_catalogue_has_a_row_for_every_played_track() -> None:
    corpus = corpus_of(user_id=["u", "u"], track_id=["b", "a"])
    assert corpus.track_table["track_id"].to_list() == ["a", "b"]
    assert corpus.track_table.drop("track_id").null_count().sum_horizontal().item() == 2 * (len(TRACKS) - 1)


def test_described_listeners_without_events_are_left_out() -> None:
    users = no_users().vstack(
        completed(
            pl.DataFrame({"user_id": ["silent", "u"], "country": ["NO", "DE"]}), dict(no_users().schema)
        )
    )
    events = events_table(pl.DataFrame({"user_id": ["u", "t"], "track_id": ["a", "a"]}))
    corpus = build_corpus(events, no_catalogue(), users)
    assert corpus.users.ids == ("t", "u")
    assert corpus.user_table["country"].to_list() == [None, "DE"]


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_only_a_choice_is_an_interaction(kind: str) -> None:
    corpus = corpus_of(user_id=["u"], track_id=["a"], event=[kind])
    assert corpus.interactions.n_pairs == (kind in POSITIVE_EVENTS)
    # What was skipped is in the vocabulary all the same, and the event is there to be read.
    assert corpus.tracks.ids == ("a",)
    assert corpus.events["event"].to_list() == [kind]


def test_plays_of_a_pair_add_up_but_not_what_was_skipped() -> None:
    corpus = corpus_of(
        user_id=["u"] * 3, track_id=["a"] * 3, event=["play", "complete", "skip"], plays=[2, 3, 50]
    )
    assert corpus.interactions.plays.tolist() == [5.0]


def test_times_give_the_order_of_a_history() -> None:
    hours = [3, 1, 2]
    corpus = corpus_of(
        user_id=["u"] * 3, track_id=["a", "b", "c"], timestamp=[NOON + timedelta(hours=h) for h in hours]
    )
    assert corpus.timed
    assert corpus.interactions.ordered
    assert [corpus.tracks.ids[track] for track in corpus.interactions.track_index] == ["b", "c", "a"]
    assert corpus.interactions.last_at[-1] == int((NOON + timedelta(hours=3)).timestamp()) * 1_000_000


def test_a_repeat_moves_a_track_to_the_end() -> None:
    times = [NOON + timedelta(hours=h) for h in range(3)]
    corpus = corpus_of(user_id=["u"] * 3, track_id=["b", "a", "b"], timestamp=times)
    assert [corpus.tracks.ids[track] for track in corpus.interactions.track_index] == ["a", "b"]


def test_positions_give_the_order_where_there_are_no_times() -> None:
    corpus = corpus_of(user_id=["u"] * 3, track_id=["a", "b", "c"], position=[2, 0, 1])
    assert not corpus.timed
    assert corpus.interactions.ordered
    assert [corpus.tracks.ids[track] for track in corpus.interactions.track_index] == ["b", "c", "a"]


def test_without_times_and_positions_there_is_no_order() -> None:
    corpus = corpus_of(user_id=["u", "u"], track_id=["b", "a"])
    assert not corpus.timed
    assert not corpus.interactions.ordered
    assert not corpus.interactions.last_at.any()


def test_keeping_events_changes_no_number() -> None:
    corpus = corpus_of(
        catalogue("z"), user_id=["u", "u", "v"], track_id=["a", "b", "c"], plays=[1, 2, 3], position=[0, 1, 0]
    )
    part = corpus.keep(np.array([True, False, False]))
    assert part.users is corpus.users
    assert part.tracks is corpus.tracks
    assert pairs(part) == {("u", "a")}
    assert part.interactions.n_rows == 2
    assert part.interactions.lengths.tolist() == [1, 0]
    assert part.track_table.equals(corpus.track_table)


def test_keeping_everything_or_nothing() -> None:
    corpus = corpus_of(user_id=["u", "v"], track_id=["a", "b"])
    assert pairs(corpus.keep(pl.Series([True, True]))) == pairs(corpus) == {("u", "a"), ("v", "b")}
    nothing = corpus.keep(pl.Series([False, False]))
    assert nothing.interactions.n_pairs == nothing.events.height == 0
    assert nothing.interactions.n_rows == 2


def tagged_catalogue() -> pl.DataFrame:
    """Track ``a`` tagged by u, v and somebody without events; ``b`` by u; ``c`` by nobody knows whom."""
    rows = {
        "track_id": ["a", "b", "c", "d"],
        "tags": [["rock", "loud", "rock", "old"], ["pop"], ["jazz", "slow"], None],
        "tagged_by": [["u", "u", "v", "w"], ["u"], None, None],
    }
    return completed(pl.DataFrame(rows), TRACKS)


def tags_of(corpus: Corpus) -> dict[str, tuple[list[str], list[str]]]:
    rows = corpus.track_table.iter_rows(named=True)
    return {row["track_id"]: (row["tags"], row["tagged_by"]) for row in rows}


def test_a_hidden_play_takes_the_listeners_own_tags_of_the_track_along() -> None:
    corpus = corpus_of(tagged_catalogue(), user_id=["u", "u", "v", "u"], track_id=["a", "b", "a", "c"])
    table = tags_of(corpus.keep(np.array([False, True, True, False])))
    assert table["a"] == (["rock", "old"], ["v", "w"])
    assert table["b"] == (["pop"], ["u"])
    assert table["c"] == (["jazz", "slow"], None)
    assert table["d"] == (None, None)


def test_a_listener_with_another_play_of_the_track_left_keeps_the_tags() -> None:
    corpus = corpus_of(tagged_catalogue(), user_id=["u", "u", "v"], track_id=["a", "a", "a"])
    assert tags_of(corpus.keep(np.array([False, True, True]))) == tags_of(corpus)


def test_a_track_may_lose_all_its_tags() -> None:
    corpus = corpus_of(tagged_catalogue(), user_id=["u", "u"], track_id=["a", "b"])
    assert tags_of(corpus.keep(np.array([True, False])))["b"] == ([], [])


def test_lists_of_different_length_say_nothing_of_who_tagged() -> None:
    odd = tagged_catalogue().with_columns(pl.col("tagged_by").list.head(1))
    corpus = corpus_of(odd, user_id=["u"], track_id=["a"])
    assert tags_of(corpus.keep(np.array([False])))["a"] == (["rock", "loud", "rock", "old"], ["u"])

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.segments import Segment, heard_pairs, listener_segments, pair_segments

LISTENERS = (
    Segment.COLD_LISTENERS,
    Segment.LIGHT_LISTENERS,
    Segment.MEDIUM_LISTENERS,
    Segment.HEAVY_LISTENERS,
)


def chosen(masks: dict[Segment, np.ndarray]) -> dict[Segment, list[int]]:
    return {segment: np.flatnonzero(mask).tolist() for segment, mask in masks.items()}


def test_listeners_by_hand() -> None:
    histories = [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]]
    interactions = Interactions.from_histories(histories, 6)
    evaluated = np.array([5, -1, 0, 2, 3], np.int32)
    assert chosen(listener_segments(interactions, evaluated)) == {
        Segment.COLD_LISTENERS: [1],
        Segment.LIGHT_LISTENERS: [2],
        Segment.MEDIUM_LISTENERS: [3, 4],
        Segment.HEAVY_LISTENERS: [0],
    }


def test_plays_count_not_tracks() -> None:
    # One track played often is heavier than three tracks played once.
    interactions = Interactions.from_histories([[0] * 50, [0, 1, 2], [0, 1]], 3)
    masks = listener_segments(interactions, np.arange(3, dtype=np.int32))
    assert masks[Segment.HEAVY_LISTENERS].tolist() == [True, False, False]


def test_known_listener_without_interactions_is_cold() -> None:
    interactions = Interactions.from_histories([[0], []], 1)
    masks = listener_segments(interactions, np.array([0, 1], np.int32))
    assert masks[Segment.COLD_LISTENERS].tolist() == [False, True]


def test_nobody_in_training() -> None:
    masks = listener_segments(Interactions.from_histories([], 3), np.array([-1, -1], np.int32))
    assert masks[Segment.COLD_LISTENERS].all()
    assert not masks[Segment.LIGHT_LISTENERS].any()


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=12),
    st.lists(st.integers(-1, 0), max_size=4),
)
def test_every_listener_is_in_one_segment(histories: list[list[int]], more: list[int]) -> None:
    evaluated = np.array([*range(len(histories)), *more], np.int32)
    masks = listener_segments(Interactions.from_histories(histories, 6), evaluated)
    assert np.array_equal(sum(masks[segment].astype(int) for segment in LISTENERS), np.ones(len(evaluated)))


def test_pairs_by_hand(small_corpus) -> None:
    # Rows: ann (heard a b), a stranger. Tracks: a b c d new = 0 .. 4, 5 is outside the vocabulary.
    holdout = Holdout.from_pairs([0, 0, 0, 0, 1], [0, 2, 4, 5, 1], 2, 6)
    evaluated = np.array([small_corpus.users.index("ann"), -1], np.int32)
    heard = heard_pairs(holdout, small_corpus.interactions, evaluated)
    assert heard.tolist() == [True, False, False, False, False]
    assert chosen(pair_segments(small_corpus, holdout, heard)) == {
        Segment.NEW_TRACKS: [2, 3],
        Segment.KNOWN_TRACKS: [0, 1, 4],
        Segment.REPEATS: [0],
        Segment.DISCOVERIES: [1, 2, 3, 4],
    }


def test_a_skipped_track_is_known_but_not_heard(make_corpus) -> None:
    corpus = make_corpus([("u", "a"), ("u", "b")], kinds=["play", "skip"])
    holdout = Holdout.from_pairs([0, 0], [0, 1], 1, 2)
    heard = heard_pairs(holdout, corpus.interactions, np.array([0], np.int32))
    assert heard.tolist() == [True, False]
    assert pair_segments(corpus, holdout, heard)[Segment.KNOWN_TRACKS].all()

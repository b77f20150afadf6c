from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME
from audotics.retrieval.sequence_inputs import (
    N_PAUSES,
    UNKNOWN_PAUSE,
    pause_classes,
    play_sequences,
    recent_sequences,
    sequences_ending,
)
from contract.planted import events_table, no_users, planted_tracks

MINUTE = 60_000_000
NOON = 1_767_268_800_000_000
NEVER = np.array([NO_TIME])


def history(*at: int) -> Interactions:
    """One listener's tracks 0, 1, 2 ... at the given times."""
    n = len(at)
    return Interactions(
        np.array([0, n]), np.arange(n, dtype=np.int32), np.ones(n, np.float32), np.array(at), n, ordered=True
    )


def test_the_newest_stand_last_and_padding_first() -> None:
    both = Interactions.from_histories([[4, 2, 3], [1]], 5)
    found = recent_sequences(both, np.full(2, NO_TIME), 2)
    assert found.tracks.tolist() == [[2, 3], [-1, 1]]


def test_places_in_an_order_are_no_times() -> None:
    found = recent_sequences(history(0, 5, 9), np.array([NOON]), 4)
    assert not found.pauses.any()


def test_a_pause_lasts_until_the_next_play_or_the_request() -> None:
    asked_at = np.array([NOON + 60 * MINUTE])
    found = recent_sequences(history(NOON, NOON + 3 * MINUTE), asked_at, 3)
    # Padding; 3 minutes: 1 + log2(1 + 3); 57 minutes: 1 + floor(log2(58)).
    assert found.pauses.tolist() == [[UNKNOWN_PAUSE, 3, 6]]


def test_a_request_without_time_leaves_the_last_pause_unknown() -> None:
    found = recent_sequences(history(NOON, NOON + 3 * MINUTE), NEVER, 2)
    assert found.pauses.tolist() == [[3, UNKNOWN_PAUSE]]


@pytest.mark.parametrize(
    ("minutes", "expected"), [(-5, 1), (0, 1), (0.9, 1), (1, 2), (3, 3), (10**7, N_PAUSES - 1)]
)
def test_classes_of_pauses(minutes: float, expected: int) -> None:
    until = np.array([NOON + int(minutes * MINUTE)])
    assert pause_classes(np.array([NOON]), until).tolist() == [expected]


def test_a_sequence_may_end_anywhere_in_a_row() -> None:
    row = history(NOON, NOON + MINUTE, NOON + 8 * MINUTE)
    rows, ends = np.zeros(3, np.int64), np.array([0, 1, 2])
    found = sequences_ending(row, rows, ends, np.full(3, NO_TIME), 2)
    assert found.tracks.tolist() == [[-1, -1], [-1, 0], [0, 1]]
    assert found.pauses.tolist() == [[0, 0], [0, 0], [2, 0]]


def test_nobody_and_nothing_are_padding() -> None:
    empty = Interactions.from_histories([[], []], 3)
    assert (recent_sequences(empty, np.full(2, NO_TIME), 4).tracks == -1).all()
    nobody = Interactions.from_histories([], 3)
    assert recent_sequences(nobody, np.zeros(0, np.int64), 4).tracks.shape == (0, 4)


def test_plays_are_told_in_order_with_their_repeats() -> None:
    rows = {
        "user_id": ["q", "p", "p", "p", "p", "p"],
        "track_id": ["t001", "t000", "t002", "t000", "t001", "t000"],
        "position": [0, 4, 2, 0, 3, 1],
        "event": ["play", "like", "complete", "play", "skip", "play"],
    }
    corpus = build_corpus(events_table(pl.DataFrame(rows)), planted_tracks(), no_users())
    found = play_sequences(corpus)
    # The second of two plays in a row and the skip are left out.
    assert np.split(found.track_index, found.indptr[1:-1])[0].tolist() == [0, 2, 0]
    assert found.last_at.tolist() == [0, 2, 4, 0]
    assert found.ordered

"""Diversity and calibration against the obvious slow computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from audotics.errors import BadInputError
from audotics.slate.assembly import SPAN, RankedLists, SlateMaker, scaled_relevance
from audotics.slate.calibration import SMOOTHING, genre_mixes
from audotics.slate.catalogue import SlateCatalogue, TrackVectors
from audotics.slate.config import SlateConfig
from contract.ten_tracks import ranked, ten_tracks, ten_tracks_catalogue, ten_vectors, tracks_of

CATALOGUE = ten_tracks_catalogue()
CONTENT = CATALOGUE.content.toarray()
GENRES = CATALOGUE.genres.toarray()
SCORES = st.lists(st.integers(0, 50), min_size=2, max_size=10).map(
    lambda values: [float(value) for value in sorted(values, reverse=True)]
)
ORDER = st.permutations(range(10))


def one_list(order: list[int], scores: list[float], k: int, history: list[int]) -> RankedLists:
    return ranked([order[: len(scores)]], k, [history], [scores])


def slate(lists: RankedLists, **knobs: float) -> list[int]:
    return tracks_of(SlateMaker(SlateConfig(**knobs), CATALOGUE).fill(lists), lists)[0]


def utilities(lists: RankedLists, shown: list[int], diversity: float, calibration: float) -> dict[int, float]:
    """The definitions, one candidate at a time: what each track is worth after those shown."""
    relevance = scaled_relevance(lists.scores, lists.lengths)[0].tolist()
    mix = genre_mixes(CATALOGUE.genres, lists.histories).toarray()[0]
    wanted = mix > 0
    worth = {}
    for track, relevant in zip(lists.track_index[0].tolist(), relevance, strict=True):
        if track in shown:
            continue
        likeness = max((float(CONTENT[track] @ CONTENT[other]) for other in shown), default=0.0)
        held = (GENRES[shown].sum(axis=0) + GENRES[track]) / (len(shown) + 1)
        smooth = (1 - SMOOTHING) * held + SMOOTHING * mix
        divergence = float((mix[wanted] * np.log(mix[wanted] / smooth[wanted])).sum())
        kept = (1 - diversity) * (1 - calibration) * relevant
        worth[track] = kept - diversity * likeness - calibration * divergence
    return worth


@settings(max_examples=60)
@given(
    ORDER, SCORES, st.integers(1, 10), st.lists(st.integers(0, 9), max_size=4), st.sampled_from([0.3, 0.7])
)
def test_both_objectives_are_what_their_papers_say(
    order: list[int], scores: list[float], k: int, history: list[int], knob: float
) -> None:
    lists = one_list(order, scores, k, history)
    for diversity, calibration in ((knob, 0.0), (0.0, knob), (0.2, knob)):
        shown = slate(lists, diversity=diversity, calibration=calibration)
        assert len(shown) == min(k, len(scores))
        for place, track in enumerate(shown):
            worth = utilities(lists, shown[:place], diversity, calibration)
            assert worth[track] >= max(worth.values()) - 1e-5


@given(ORDER, SCORES, st.integers(1, 10))
def test_a_knob_of_zero_changes_nothing(order: list[int], scores: list[float], k: int) -> None:
    lists = one_list(order, scores, k, [0])
    # The caps are too wide to act; they only keep the fast path from being taken.
    assert slate(lists, artist_cap=10, diversity=0.0, calibration=0.0) == order[: min(k, len(scores))]


def test_diversity_moves_the_unlike_up() -> None:
    # Dub, dub, dub, then jazz: the second place goes to what is unlike the first.
    lists = ranked([[0, 1, 2, 7]], 3)
    assert slate(lists, diversity=0.1) == [0, 1, 2]
    assert slate(lists, diversity=0.6) == [0, 7, 1]


def test_calibration_follows_the_listener() -> None:
    half_and_half = [[0, 4]]
    lists = ranked([[0, 1, 2, 5, 6, 7]], 4, half_and_half)
    calibrated = slate(lists, calibration=0.9)
    genres = GENRES[calibrated].sum(axis=0)
    assert genres.tolist() == [2.0, 2.0, 0.0]


def test_without_a_mix_calibration_changes_nothing() -> None:
    lists = ranked([[0, 1, 2, 5, 6, 7]], 4)
    assert slate(lists, calibration=0.9) == [0, 1, 2, 5]


def test_genre_mixes_by_hand() -> None:
    histories = ranked([[0]], 1, [[0, 3, 3]]).histories
    mix = genre_mixes(CATALOGUE.genres, histories).toarray()[0]
    once, twice = np.log(2), np.log(3)
    assert mix == pytest.approx(np.array([once + twice / 2, twice / 2, 0]) / (once + twice))


def test_dense_vectors_do_the_same_as_sparse_ones() -> None:
    dense = SlateCatalogue(
        ten_tracks(),
        CATALOGUE.listeners,
        lambda: TrackVectors(ten_vectors().content.toarray(), ten_vectors().genres),
    )
    lists = ranked([[0, 1, 2, 7, 5], [4, 5, 0, 7]], 4)
    config = SlateConfig(diversity=0.5)
    assert tracks_of(SlateMaker(config, dense).fill(lists), lists) == tracks_of(
        SlateMaker(config, CATALOGUE).fill(lists), lists
    )


def test_relevance_spans_the_best_candidates() -> None:
    scores = np.array([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, -np.inf], [2.0, 2.0, *[-np.inf] * 5]], np.float32)
    scaled = scaled_relevance(scores, np.array([1, 3], np.int32))
    assert SPAN == 5
    assert scaled[0].tolist() == [1.0, 0.75, 0.5, 0.25, 0.0, -0.25, -np.inf]
    assert scaled[1].tolist() == [0.0, 0.0, *[-np.inf] * 5]


def test_a_bare_catalogue_cannot_be_calibrated_or_diversified() -> None:
    nothing = TrackVectors(np.zeros((10, 0), np.float32), sparse.csr_matrix((10, 0), dtype=np.float32))
    bare = SlateCatalogue(ten_tracks(), CATALOGUE.listeners, lambda: nothing)
    for knobs, complaint in (
        ({"diversity": 0.5}, "nothing says which tracks are alike"),
        ({"calibration": 0.5}, "neither genres nor tags"),
    ):
        with pytest.raises(BadInputError, match=complaint):
            SlateMaker(SlateConfig(**knobs), bare).fill(ranked([[0, 1]], 2))


def test_what_diversity_did_is_counted() -> None:
    lists = ranked([[0, 1, 2, 7]], 2)
    assert SlateMaker(SlateConfig(diversity=0.6), CATALOGUE).fill(lists).acted == {"diversity": 1}

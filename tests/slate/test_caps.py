"""Caps by hand and as properties of random lists."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.slate.assembly import SlateMaker
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.config import SlateConfig
from contract.ten_tracks import ranked, ten_tracks_catalogue, tracks_of

CATALOGUE = ten_tracks_catalogue()
ORDERS = st.permutations(range(10)).flatmap(lambda order: st.integers(1, 10).map(lambda n: order[:n]))
CAPS = st.builds(
    SlateConfig,
    artist_cap=st.none() | st.integers(1, 4),
    album_cap=st.none() | st.integers(1, 3),
    one_recording=st.booleans(),
)


def slate(config: SlateConfig, tracks: list[int], k: int) -> list[int]:
    lists = ranked([tracks], k)
    return tracks_of(SlateMaker(config, CATALOGUE).fill(lists), lists)[0]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"artist_cap": 1}, [0, 4, 7, 8, 9]),
        ({"artist_cap": 2}, [0, 1, 4, 5, 7, 8]),
        ({"album_cap": 1}, [0, 3, 4, 6, 7, 8]),
        # t2 is t0 remastered; t6 is t4 live, which is another recording.
        ({"one_recording": True}, [0, 1, 3, 4, 5, 6]),
        ({"artist_cap": 3, "one_recording": True}, [0, 1, 3, 4, 5, 6]),
    ],
)
def test_caps_by_hand(setting: dict[str, object], expected: list[int]) -> None:
    assert slate(SlateConfig.model_validate(setting), list(range(10)), 6) == expected


@given(CAPS, ORDERS, st.integers(1, 10))
def test_caps_hold_and_the_order_stays(config: SlateConfig, tracks: list[int], k: int) -> None:
    shown = slate(config, tracks, k)
    assert [track for track in tracks if track in shown] == shown
    for owners, cap in (
        (CATALOGUE.artist, config.artist_cap),
        (CATALOGUE.album, config.album_cap),
        (CATALOGUE.recording, 1 if config.one_recording else None),
    ):
        counts = Counter(int(owners[track]) for track in shown if owners[track] >= 0)
        assert cap is None or max(counts.values(), default=0) <= cap


@given(CAPS, ORDERS, st.integers(1, 10))
def test_a_short_slate_has_no_room_for_any_candidate(config: SlateConfig, tracks: list[int], k: int) -> None:
    shown = slate(config, tracks, k)
    if len(shown) == min(k, len(tracks)):
        return
    for left in set(tracks) - set(shown):
        # With one more place and only this candidate beside the shown ones it is still passed over.
        assert slate(config, [*shown, left], len(shown) + 1) == shown


@given(st.integers(1, 4), st.integers(1, 3), ORDERS, st.integers(1, 10))
def test_nothing_is_lost_where_a_slate_can_be_filled(
    artist_cap: int, album_cap: int, tracks: list[int], k: int
) -> None:
    """Albums lie inside artists, so the longest slate is counted album by album, then artist by artist."""
    config = SlateConfig(artist_cap=artist_cap, album_cap=album_cap)
    free = sum(1 for track in tracks if CATALOGUE.artist[track] < 0)
    by_artist: Counter[int] = Counter()
    albums = Counter((int(CATALOGUE.artist[t]), int(CATALOGUE.album[t])) for t in tracks)
    for (artist, album), n in albums.items():
        if artist >= 0:
            by_artist[artist] += n if album < 0 else min(n, album_cap)
    longest = free + sum(min(n, artist_cap) for n in by_artist.values())
    assert len(slate(config, tracks, k)) == min(k, longest)


@given(st.lists(ORDERS, min_size=1, max_size=5), CAPS)
def test_a_slate_does_not_depend_on_its_neighbours(orders: list[list[int]], config: SlateConfig) -> None:
    lengths = [1 + row % 4 for row in range(len(orders))]
    lists = ranked(orders, lengths)
    together = tracks_of(SlateMaker(config, CATALOGUE).fill(lists), lists)
    assert together == [slate(config, order, k) for order, k in zip(orders, lengths, strict=True)]


def test_what_each_cap_did_is_counted(catalogue: SlateCatalogue) -> None:
    lists = ranked([[0, 1, 2, 4, 7], [4, 0, 7]], 3)
    made = SlateMaker(SlateConfig(artist_cap=1, album_cap=3), catalogue).fill(lists)
    assert tracks_of(made, lists) == [[0, 4, 7], [4, 0, 7]]
    # Without the artist cap t1 would follow t0, at the second place and at the third.
    assert made.acted == {"artist_cap": 2, "album_cap": 0}


def test_a_list_without_candidates_gives_an_empty_slate(catalogue: SlateCatalogue) -> None:
    lists = ranked([[], [3, 4]], 2)
    for config in (SlateConfig(artist_cap=1), SlateConfig(diversity=0.5, explore=0.5, order="flow")):
        made = SlateMaker(config, catalogue).fill(lists)
        assert sorted(map(sorted, tracks_of(made, lists))) == [[], [3, 4]]
        assert np.isfinite(made.propensities).all()

"""Flow against every order of short slates, and the ear's distances by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.domain import PADDING
from audotics.slate.assembly import SlateMaker
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.config import SlateConfig
from audotics.slate.flow import flowing, way_lengths
from audotics.slate.sound import Sound
from contract.ten_tracks import ranked, ten_tracks, ten_vectors, tracks_of


def sound(**columns: list[float | None]) -> Sound:
    return Sound.of(pl.DataFrame({f"feature_{name}": values for name, values in columns.items()}))


def random_sound(n_tracks: int, seed: int) -> Sound:
    rng = np.random.default_rng(seed)
    return sound(
        tempo=rng.uniform(60, 180, n_tracks).tolist(),
        energy=rng.uniform(0, 1, n_tracks).tolist(),
        key=rng.integers(0, 12, n_tracks).astype(float).tolist(),
        mode=rng.integers(0, 2, n_tracks).astype(float).tolist(),
    )


def step(heard: Sound, one: int, other: int) -> float:
    return float(heard.distances(np.array([[one, other]], np.int32))[0, 0, 1])


def test_an_octave_of_tempo_is_no_step_and_half_an_octave_the_largest() -> None:
    heard = sound(tempo=[60.0, 120.0, 60.0 * 2**0.5, 66.0], energy=[0.0] * 4, key=[0.0] * 4, mode=[1.0] * 4)
    assert step(heard, 0, 1) == pytest.approx(0, abs=1e-5)
    assert step(heard, 0, 2) == pytest.approx(1, abs=1e-5)
    assert step(heard, 0, 3) == pytest.approx(2 * np.log2(1.1), abs=1e-5)


def test_keys_are_as_far_as_on_the_circle_of_fifths() -> None:
    # C, G (one fifth up), F sharp (opposite), A minor (relative of C), no key (-1, as Spotify writes it).
    heard = sound(tempo=[100.0] * 5, energy=[0.5] * 5, key=[0, 7, 6, 9, -1], mode=[1.0, 1.0, 1.0, 0.0, 1.0])
    assert step(heard, 0, 1) == pytest.approx(1 / 7)
    assert step(heard, 0, 2) == pytest.approx(6 / 7)
    assert step(heard, 0, 3) == pytest.approx(1 / 7)
    assert step(heard, 0, 4) == pytest.approx(0.5)


def test_what_is_unknown_lies_in_the_middle() -> None:
    heard = sound(tempo=[100.0, None, 0.0])
    assert step(heard, 0, 1) == step(heard, 0, 2) == pytest.approx(1.5)
    nothing = sound(energy=[None] * 5)
    assert flowing(np.array([[3, 0, 4, 1]], np.int32), nothing).tolist() == [[0, 1, 2, 3]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 7))
def test_short_slates_flow_nearly_as_well_as_any_order(seed: int, n: int) -> None:
    heard = random_sound(7, seed)
    shown = np.array([[*range(n), *[PADDING] * (7 - n)]], np.int32)
    order = flowing(shown, heard)
    assert order[0, 0] == 0
    assert sorted(order[0, :n].tolist()) == list(range(n))
    steps, lengths = heard.distances(shown), np.array([n], np.int32)
    ways = [
        way_lengths(np.array([[0, *rest, *range(n, 7)]], np.int32), steps, lengths)[0]
        for rest in permutations(range(1, n))
    ]
    mine = way_lengths(order, steps, lengths)[0]
    assert min(ways) - 1e-4 <= mine <= min(ways) * 1.3 + 1e-4


def test_no_turn_of_a_stretch_makes_a_way_shorter() -> None:
    heard = random_sound(40, 5)
    shown = np.tile(np.arange(40, dtype=np.int32), (3, 1))
    shown[1, 25:] = PADDING
    order, steps = flowing(shown, heard), heard.distances(shown)
    lengths = np.array([40, 25, 40], np.int32)
    best = way_lengths(order, steps, lengths)
    for start in range(1, 39):
        for stop in range(start + 1, 40):
            turned = order.copy()
            turned[:, start : stop + 1] = turned[:, start : stop + 1][:, ::-1]
            rows = [0, 2] if stop >= 25 else [0, 1, 2]
            assert (way_lengths(turned, steps, lengths)[rows] >= best[rows] - 1e-3).all()
    plain = np.tile(np.arange(40, dtype=np.int32), (3, 1))
    assert (best < 0.6 * way_lengths(plain, steps, lengths)).all()


def test_padding_stays_at_the_end() -> None:
    shown = np.array([[3, 1, PADDING, PADDING], [0, 1, 2, 3], [PADDING] * 4], np.int32)
    order = flowing(shown, random_sound(4, 1))
    assert order[0, 2:].tolist() == [2, 3]
    assert order[2].tolist() == [0, 1, 2, 3]


def test_a_slate_in_flow_holds_the_same_tracks() -> None:
    table = ten_tracks().with_columns(
        pl.Series("feature_tempo", [100.0, 140.0, 101.0, 139.0, 102.0, 138.0, 103.0, 137.0, 104.0, 136.0])
    )
    catalogue = SlateCatalogue(table, np.ones(10, np.int32), ten_vectors)
    lists = ranked([list(range(10))], 6)
    made = SlateMaker(SlateConfig(order="flow"), catalogue).fill(lists)
    assert tracks_of(made, lists) == [[0, 2, 4, 5, 3, 1]]
    assert made.acted == {"order": 5}

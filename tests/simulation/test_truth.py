"""The truth answers for a listener, a track and a moment, and survives saving."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.errors import BadInputError, DamagedError
from audotics.simulation import SimulationConfig, Truth, genres
from audotics.simulation.listeners import STATIC


@pytest.fixture
def truth() -> Truth:
    """Two listeners: u0 goes from jazz to metal on day 4, u1 loves pop for ever. Three tracks."""
    jazz, metal, pop = (genres.NAMES.index(name) for name in ("jazz", "metal", "pop"))
    before = np.zeros((2, genres.N_GENRES), np.float32)
    before[0, jazz], before[1, pop] = 1, 1
    after = np.zeros_like(before)
    after[0, metal], after[1, pop] = 1, 1
    return Truth(
        config=SimulationConfig(n_users=2, n_tracks=3, n_days=10),
        track_genre=np.int32([jazz, metal, pop]),
        track_style=np.int32([0, 0, 1]),
        taste_before=before,
        taste_after=after,
        drift_day=np.float32([4, STATIC]),
        user_style=np.int32([0, 0]),
    )


JAZZ, METAL, POP = "t0000000", "t0000001", "t0000002"


def test_affinity_changes_with_the_drift(truth: Truth) -> None:
    pairs = (["u0000000"] * 3, [JAZZ, METAL, POP])
    start = truth.config.started_on
    assert truth.affinity(*pairs, start).tolist() == [1, 0, 0]
    assert truth.affinity(*pairs, start + timedelta(days=3.9)).tolist() == [1, 0, 0]
    assert truth.affinity(*pairs, start + timedelta(days=4)).tolist() == [0, 1, 0]
    assert truth.affinity(*pairs).tolist() == [0, 1, 0], "without a moment, at the end"
    assert truth.affinity(["u0000001"], [POP])[0] == pytest.approx((0.2 / 0.5) ** 0.25), "another style"


def test_drifted_and_taste(truth: Truth) -> None:
    users = pl.Series(["u0000001", "u0000000"])
    assert truth.drifted(users).tolist() == [False, True]
    assert truth.drifted(users, truth.config.started_on).tolist() == [False, False]
    names = [truth.genre_names[genre] for genre in truth.taste(users).argmax(axis=1)]
    assert names == ["pop", "metal"]


def test_like_probability_follows_affinity(truth: Truth) -> None:
    on, off = truth.like_probability(["u0000000"] * 2, [METAL, JAZZ])
    assert on == pytest.approx(0.12 * (1 - 0.06), rel=1e-5)
    assert off == 0.0


@pytest.mark.parametrize("bad", ["t0000003", "u0000000", "0000001", "tx", "", "t-1"])
def test_unknown_tracks_are_named(truth: Truth, bad: str) -> None:
    with pytest.raises(BadInputError, match="no such id"):
        truth.tracks([JAZZ, bad])


def test_saved_equals_loaded(truth: Truth, tmp_path: Path) -> None:
    truth.save(tmp_path / "x.truth")
    for place in (tmp_path / "x.truth", tmp_path / "x"):
        loaded = Truth.load(place)
        assert loaded.config == truth.config
        for name in ("track_genre", "track_style", "taste_before", "taste_after", "drift_day", "user_style"):
            assert np.array_equal(getattr(loaded, name), getattr(truth, name)), name


def test_a_dataset_without_truth_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="simulated"):
        Truth.load(tmp_path / "imported")


@pytest.mark.parametrize("damage", ["gone", "noise", "short", "object", "facts"])
def test_damage_is_noticed(truth: Truth, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "x.truth"
    truth.save(folder)
    file = folder / "user_style.npy"
    match damage:
        case "gone":
            file.unlink()
        case "noise":
            file.write_bytes(b"\x00noise")
        case "short":
            np.save(file, truth.user_style[:1])
        case "object":
            np.save(file, np.array([{}, {}], dtype=object), allow_pickle=True)
        case "facts":
            (folder / "truth.json").write_text('{"config": 3}')
    with pytest.raises(DamagedError):
        Truth.load(folder)


def test_ids_of_the_tables_are_the_numbers_of_the_truth(world: object, service: object) -> None:
    tables, made = world, service
    order = tables.truth.tracks(tables.tracks["track_id"])  # type: ignore[attr-defined]
    assert (order == np.arange(len(order))).all()
    assert (tables.truth.track_genre == made.catalogue.genre).all()  # type: ignore[attr-defined]
    users = tables.truth.users(tables.users["user_id"])  # type: ignore[attr-defined]
    assert (users == np.arange(len(users))).all()

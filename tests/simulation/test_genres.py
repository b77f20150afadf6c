"""The taste geometry agrees with the sound of the genres, and the hours with what people want then."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.simulation import genres


def number(name: str) -> int:
    return genres.NAMES.index(name)


def test_names_are_distinct_and_shares_sum_to_one() -> None:
    assert len(set(genres.NAMES)) == genres.N_GENRES
    assert genres.shares().sum() == pytest.approx(1.0)
    assert genres.STYLE_KERNEL.sum() == pytest.approx(1.0)
    assert len(genres.STYLE_KERNEL) == genres.N_STYLES


def test_audio_means_are_in_range() -> None:
    for name in ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness"):
        values = genres.column(name)
        assert ((values > 0) & (values < 1)).all(), name
    assert ((genres.column("tempo") > 60) & (genres.column("tempo") < 200)).all()


def test_nearness_is_a_distribution_and_loves_itself_most() -> None:
    near = genres.nearness()
    assert np.allclose(near.sum(axis=1), 1.0, atol=1e-6)
    assert (near.argmax(axis=1) == np.arange(genres.N_GENRES)).all()


@pytest.mark.parametrize(
    ("genre", "near", "far"),
    [("ambient", "classical", "punk"), ("metal", "punk", "classical"), ("pop", "country", "ambient")],
)
def test_nearness_sounds_plausible(genre: str, near: str, far: str) -> None:
    row = genres.nearness()[number(genre)]
    assert row[number(near)] > 10 * row[number(far)]


def test_nights_are_calm_and_weekend_evenings_dance() -> None:
    fit = genres.slot_fit()
    assert fit.shape == (len(genres.SLOTS), genres.N_GENRES)
    night, weekend = fit[genres.SLOTS.index("night")], fit[genres.SLOTS.index("weekend evening")]
    assert night[number("ambient")] > night[number("punk")]
    assert weekend[number("electronic")] > weekend[number("classical")]
    assert np.allclose(fit.mean(axis=1), 0.0)


def test_slots_by_hand() -> None:
    hours = np.array([0, 4, 5, 9, 10, 16, 17, 22, 23])
    weekday = genres.slot_of(hours, np.zeros(9, np.bool_))
    names = [genres.SLOTS[slot] for slot in weekday]
    assert names == ["night"] * 2 + ["morning"] * 2 + ["day"] * 2 + ["evening"] * 2 + ["night"]
    weekend = genres.slot_of(hours, np.ones(9, np.bool_))
    assert [genres.SLOTS[slot] for slot in weekend[6:8]] == ["weekend evening"] * 2
    assert (weekend[[0, 1, 2, 3, 4, 5, 8]] == weekday[[0, 1, 2, 3, 4, 5, 8]]).all()

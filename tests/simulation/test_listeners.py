"""Listeners have tastes, some of which jump far at a known day."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.data.schema import USERS
from audotics.simulation import SimulationConfig, genres
from audotics.simulation.listeners import COUNTRIES, STATIC, Listeners, make_listeners, taste_at


@pytest.fixture(scope="module")
def listeners() -> Listeners:
    return make_listeners(SimulationConfig(n_users=8_000, n_tracks=10, n_days=100, seed=2))


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return 1 - np.abs(first - second).sum(axis=1) / 2


def test_tastes_are_distributions_over_few_genres(listeners: Listeners) -> None:
    for taste in (listeners.taste_before, listeners.taste_after):
        assert taste.shape == (8_000, genres.N_GENRES)
        assert np.allclose(taste.sum(axis=1), 1, atol=1e-5)
        assert taste.min() > 0
    entropy = -(listeners.taste_before * np.log(listeners.taste_before)).sum(axis=1)
    assert 2.5 < np.exp(entropy).mean() < 7, "effective number of genres"


def test_shares_of_drift(listeners: Listeners) -> None:
    abrupt = listeners.drift_day < STATIC
    changed = (listeners.taste_before != listeners.taste_after).any(axis=1)
    assert abrupt.mean() == pytest.approx(0.3, abs=0.02)
    assert (changed & ~abrupt).mean() == pytest.approx(0.7 * 0.2, abs=0.02)
    assert changed[abrupt].all()


def test_abrupt_drift_goes_far_and_falls_inside_the_log(listeners: Listeners) -> None:
    abrupt = listeners.drift_day < STATIC
    kept = overlap(listeners.taste_before, listeners.taste_after)
    assert kept[abrupt].mean() < 0.35
    favourite_changed = listeners.taste_before.argmax(axis=1) != listeners.taste_after.argmax(axis=1)
    assert favourite_changed[abrupt].mean() > 0.9
    assert listeners.drift_day[abrupt].min() >= 35 and listeners.drift_day[abrupt].max() <= 75


def test_taste_at_by_hand() -> None:
    before, after = np.float32([[1, 0]] * 3), np.float32([[0, 1]] * 3)
    drift_day = np.float32([10, 90, STATIC])
    assert taste_at(before, after, drift_day, 0.0, 100).tolist() == [[1, 0]] * 3
    at_25 = taste_at(before, after, drift_day, 25.0, 100)
    assert np.allclose(at_25, [[0, 1], [1, 0], [0.75, 0.25]])
    assert taste_at(before, after, drift_day, 10.0, 100)[0].tolist() == [0, 1], (
        "the new taste from that moment"
    )
    assert taste_at(before, after, drift_day, 500.0, 100).tolist() == [[0, 1]] * 3
    each = taste_at(before, after, drift_day, np.float32([9, 91, 50]), 100)
    assert np.allclose(each, [[1, 0], [0, 1], [0.5, 0.5]])


def test_no_drift_when_none_is_wanted() -> None:
    still = make_listeners(
        SimulationConfig(n_users=200, n_tracks=1, n_days=9, abrupt_drift_share=0, gradual_drift_share=0)
    )
    assert (still.taste_before == still.taste_after).all()
    assert np.isinf(still.drift_day).all()


def test_country_and_age_colour_taste(listeners: Listeners) -> None:
    latin = listeners.taste_before[:, genres.NAMES.index("latin")]
    mexico = listeners.country == COUNTRIES.index("MX")
    assert latin[mexico].mean() > 1.5 * latin[listeners.country == COUNTRIES.index("SE")].mean()
    classical = listeners.taste_before[:, genres.NAMES.index("classical")]
    old = listeners.birth_year < 1975
    assert classical[old].mean() > 1.5 * classical[~old].mean()


def test_activity_has_a_heavy_tail(listeners: Listeners) -> None:
    rate = np.sort(listeners.sessions_per_day)[::-1]
    assert rate[:800].sum() / rate.sum() > 0.3, "a tenth of the listeners plays a third or more"
    assert rate.min() > 0


def test_newcomers_sign_up_during_the_log(listeners: Listeners) -> None:
    new = listeners.signup_day >= 0
    assert new.mean() == pytest.approx(0.15, abs=0.02)
    assert listeners.signup_day.max() < 100


def test_table_has_the_schema_and_some_gaps(listeners: Listeners) -> None:
    table = listeners.table()
    assert dict(table.schema) == USERS
    assert table["user_id"].n_unique() == 8_000
    assert set(table["country"]) == set(COUNTRIES)
    assert 0.03 < table["birth_year"].null_count() / 8_000 < 0.07
    assert 0.07 < table["gender"].null_count() / 8_000 < 0.13
    ages = 2025 - table["birth_year"].drop_nulls()
    assert ages.min() >= 13 and ages.max() <= 91
    first_new = table.filter(listeners.signup_day == 0)["signed_up"]
    assert (first_new == listeners.config.started_on.date()).all()

"""Settings refuse what cannot be simulated, and seed every concern by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from audotics.simulation import SimulationConfig


def make(**settings: object) -> SimulationConfig:
    return SimulationConfig.model_validate({"n_users": 10, "n_tracks": 10, "n_days": 10} | settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_users": 0},
        {"n_tracks": -1},
        {"n_days": 0},
        {"seed": -1},
        {"n_events": 0},
        {"abrupt_drift_share": 1.1},
        {"unknown": 1},
        {"n_events": 5_001},
        {"started_on": datetime(2025, 1, 1, 12, tzinfo=UTC)},
        {"started_on": datetime(2025, 1, 1)},
        {"started_on": datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(**settings)


def test_size_is_wanted_or_follows_from_listeners_and_days() -> None:
    assert make().expected_events == 6 * 10 * 10
    assert make(n_events=5_000).expected_events == 5_000


def test_settings_survive_json() -> None:
    config = make(seed=3, started_on=datetime(2024, 2, 29, tzinfo=UTC))
    assert SimulationConfig.model_validate_json(config.model_dump_json()) == config


def test_each_concern_has_its_own_random_numbers() -> None:
    config = make(seed=5)
    drawn = {
        config.generator(concern, *numbers).integers(1 << 62)
        for concern, numbers in [("a", ()), ("b", ()), ("a", (1,)), ("a", (1, 2)), ("a", (2, 1))]
    }
    assert len(drawn) == 5
    assert config.generator("a").integers(1 << 62) == make(seed=5).generator("a").integers(1 << 62)
    assert config.generator("a").integers(1 << 62) != make(seed=6).generator("a").integers(1 << 62)

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from audotics.errors import BadInputError
from audotics.slate.config import SlateConfig, Withholding, read_rules

MAY = datetime(2026, 5, 1, tzinfo=UTC)


def test_by_default_the_rankers_order_stays() -> None:
    assert SlateConfig().keeps_order
    assert not SlateConfig().withholds


@pytest.mark.parametrize(
    "setting",
    [
        {"artist_cap": 1},
        {"album_cap": 3},
        {"one_recording": True},
        {"diversity": 0.1},
        {"calibration": 0.1},
        {"explore": 0.1},
        {"order": "flow"},
    ],
)
def test_every_rule_says_that_it_may_change_the_order(setting: dict[str, object]) -> None:
    assert not SlateConfig.model_validate(setting).keeps_order


def test_a_file_says_everything(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        """
        artist_cap = 2
        diversity = 0.25
        explore_places = [3, 6]

        [[withhold]]
        artists = ["a1"]
        markets = ["DE"]
        until = 2026-06-01
        """
    )
    rules = read_rules(file)
    assert (rules.artist_cap, rules.diversity, rules.explore_places) == (2, 0.25, (3, 6))
    assert rules.withhold == (Withholding(artists=("a1",), markets=("DE",), until=date(2026, 6, 1)),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("artist_cap = 0", "rule artist_cap: Input should be greater than or equal to 1, not 0"),
        ("diversity = 2", "rule diversity: Input should be less than or equal to 1, not 2"),
        ("artistcap = 2", "rule artistcap: there is no such setting"),
        ("order = 'random'", "rule order: "),
        ("explore_places = [0]", "explore_places start at 1"),
        ("[[withhold]]\nmarkets = ['DE']", "names neither tracks nor artists"),
        ("[[withhold]]\ntracks = ['a']\nmarkets = ['DE']\nunless_in = ['FR']", "not both"),
        ("artist_cap =", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_rules(file)
    assert complaint in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_rules(tmp_path / "none.toml")


def test_a_request_changes_what_it_names() -> None:
    rules = SlateConfig(artist_cap=2, withhold=(Withholding(tracks=("t",)),))
    changed = rules.changed({"diversity": 0.5})
    assert (changed.artist_cap, changed.diversity, changed.withhold) == (2, 0.5, rules.withhold)
    assert rules.changed({}) is rules
    with pytest.raises(BadInputError, match="there is no such setting"):
        rules.changed({"artists": 1})


def test_equal_rules_are_one_key() -> None:
    assert len({SlateConfig(artist_cap=2), SlateConfig(artist_cap=2), SlateConfig()}) == 2


@pytest.mark.parametrize(
    ("withholding", "market", "held"),
    [
        ({}, None, True),
        ({"markets": ("DE",)}, "DE", True),
        ({"markets": ("DE",)}, "FR", False),
        ({"markets": ("DE",)}, None, False),
        ({"unless_in": ("DE",)}, "DE", False),
        ({"unless_in": ("DE",)}, "FR", True),
        ({"unless_in": ("DE",)}, None, True),
        ({"until": date(2026, 5, 2)}, None, True),
        ({"until": date(2026, 5, 1)}, None, False),
        ({"until": datetime(2026, 5, 1, 0, 0, 1)}, None, True),
        ({"until": datetime(2026, 5, 1, tzinfo=UTC)}, None, False),
    ],
)
def test_withholding_by_market_and_date(
    withholding: dict[str, object], market: str | None, held: bool
) -> None:
    assert Withholding.model_validate({"tracks": ("t",), **withholding}).holds(market, MAY) is held

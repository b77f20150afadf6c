from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from audotics.errors import BadInputError, DamagedError
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving import following
from audotics.serving.following import ModelFollower
from audotics.serving.served import Served
from audotics.slate import SlateConfig

if TYPE_CHECKING:
    from conftest import Models


def follower(models: Models, swapped: list[str] | None = None) -> ModelFollower:
    seen = [] if swapped is None else swapped
    return ModelFollower(models.folder, CHAMPION, SlateConfig(), lambda served: seen.append(served.version))


def break_version(models: Models, version: str) -> tuple[Path, bytes]:
    file = models.folder / "versions" / version / "tracks.parquet"
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + b"\0")
    return file, sound


def test_the_champion_serves(models: Models) -> None:
    held = follower(models)
    assert held.current.version == models.first
    assert not held.check()
    assert held.trouble == ""


def test_a_promotion_is_followed_and_taken_back(own_models: Models) -> None:
    swapped: list[str] = []
    held = follower(own_models, swapped)
    registry = Registry(own_models.folder)
    registry.set_alias(CHAMPION, own_models.second)
    assert held.check()
    registry.rollback(CHAMPION)
    assert held.check()
    assert swapped == [own_models.second, own_models.first]


def test_a_version_that_does_not_load_changes_nothing(
    own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = follower(own_models)
    Registry(own_models.folder).set_alias(CHAMPION, own_models.second)
    file, sound = break_version(own_models, own_models.second)
    assert not held.check()
    assert held.current.version == own_models.first
    assert own_models.second in held.trouble
    # Once its files are whole it gets another chance, after a while.
    file.write_bytes(sound)
    assert not held.check()
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + following.RETRY_S + 1)
    monkeypatch.setattr(following, "time", later)
    assert held.check()
    assert held.current.version == own_models.second
    assert held.trouble == ""


def test_a_version_that_loads_but_fails_to_answer_does_not_serve(
    own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = follower(own_models)
    Registry(own_models.folder).set_alias(CHAMPION, own_models.second)

    def failing(self: Served, *_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Served, "popular_overall", failing)
    assert not held.check()
    assert held.current.version == own_models.first


def test_a_damaged_champion_at_the_start_leaves_an_older_version(own_models: Models) -> None:
    break_version(own_models, own_models.first)
    held = follower(own_models)
    assert held.current.version == own_models.second
    assert own_models.first in held.trouble


def test_without_a_sound_version_there_is_no_server(own_models: Models) -> None:
    for version in (own_models.first, own_models.second):
        break_version(own_models, version)
    with pytest.raises(DamagedError, match=r"tracks\.parquet"):
        follower(own_models)


def test_without_any_version_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no version yet"):
        ModelFollower(tmp_path, CHAMPION, SlateConfig())


def test_a_lost_alias_is_trouble_but_no_end(own_models: Models) -> None:
    held = follower(own_models)
    (own_models.folder / "aliases" / CHAMPION).unlink()
    assert not held.check()
    assert "champion" in held.trouble
    assert held.current.version == own_models.first

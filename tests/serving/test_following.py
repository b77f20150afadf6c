from __future__ import annotations

import gc
import shutil
import time
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from audotics.domain import Query
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


class Keeping:
    """Says that every version is on probation, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, new: Served, old: Served) -> bool:
        self.asked.append((new.version, old.version))
        return True


def on_probation(models: Models) -> tuple[ModelFollower, Keeping]:
    held, keeping = follower(models), Keeping()
    held.on_trial = keeping
    Registry(models.folder).set_alias(CHAMPION, models.second)
    assert held.check()
    return held, keeping


def test_the_version_before_is_kept_until_it_is_let_go(own_models: Models) -> None:
    held, keeping = on_probation(own_models)
    assert keeping.asked == [(own_models.second, own_models.first)]
    assert held.previous is not None
    assert held.previous.version == own_models.first
    held.release("another one")
    assert held.previous is not None
    held.release(own_models.second)
    assert held.previous is None


def test_a_dropped_version_makes_way_at_once(own_models: Models) -> None:
    held, _ = on_probation(own_models)
    before = held.previous
    assert held.drop(own_models.second, "slow: as a snail")
    assert held.current is before, "nothing had to be loaded"
    assert held.previous is None
    assert not held.drop(own_models.second, "again")
    assert not held.check()
    assert "slow: as a snail" in held.trouble
    assert "promote it again" in held.trouble


def test_only_what_is_on_probation_can_be_dropped(own_models: Models) -> None:
    held, _ = on_probation(own_models)
    assert not held.drop(own_models.first, "not this one")
    held.release(own_models.second)
    assert not held.drop(own_models.second, "too late")
    assert held.current.version == own_models.second


def test_a_dropped_version_returns_when_its_alias_is_set_anew(own_models: Models) -> None:
    held, _ = on_probation(own_models)
    held.drop(own_models.second, "slow")
    Registry(own_models.folder).set_alias(CHAMPION, own_models.second)
    assert held.check()
    assert held.current.version == own_models.second
    assert held.trouble == ""


def test_what_another_server_rolled_back_is_followed_without_loading(
    own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, keeping = on_probation(own_models)
    before = held.previous
    Registry(own_models.folder).rollback(CHAMPION)
    monkeypatch.setattr(Served, "load", None)
    assert held.check()
    assert held.current is before
    assert keeping.asked[-1] == (own_models.first, own_models.first)


def test_a_third_version_has_the_first_to_go_back_to(own_models: Models) -> None:
    from contract.small_version import publish_small

    held, keeping = on_probation(own_models)
    third = publish_small(own_models.folder, seed=2)
    assert held.check()
    assert keeping.asked[-1] == (third, own_models.first), "the second one has not proved itself"
    assert held.drop(third, "slow")
    assert held.current.version == own_models.first


def test_a_version_that_fails_its_rehearsal_does_not_serve(own_models: Models) -> None:
    held = follower(own_models)

    def rehearse(fresh: Served) -> None:
        raise ValueError(f"{fresh.version} forgot its lines")

    held.rehearse = rehearse
    Registry(own_models.folder).set_alias(CHAMPION, own_models.second)
    assert not held.check()
    assert held.current.version == own_models.first
    assert "forgot its lines" in held.trouble


def test_memory_returns_with_the_end_of_the_probation(own_models: Models) -> None:
    """Without the collector of cycles: a server freezes what it starts with, and that is never collected."""
    held, _ = on_probation(own_models)
    assert held.previous is not None
    old = weakref.ref(held.previous.recommender), weakref.ref(held.previous)
    gc.disable()
    try:
        held.release(own_models.second)
        assert [one() for one in old] == [None, None]
    finally:
        gc.enable()


def test_requests_in_flight_keep_their_version(own_models: Models) -> None:
    held, _ = on_probation(own_models)
    in_flight = held.previous
    held.release(own_models.second)
    assert in_flight is not None
    assert in_flight.popular_overall(Query(), {}).track_ids


def test_a_version_whose_folder_is_removed_goes_on(own_models: Models) -> None:
    """Its arrays are maps of files that have no name any more: they stay until nobody holds them."""
    held, _ = on_probation(own_models)
    shutil.rmtree(own_models.folder / "versions" / own_models.first)
    assert held.previous is not None
    (slate,) = held.previous.recommender.recommend([Query(user_id="u001")])
    assert slate.track_ids
    assert held.drop(own_models.second, "slow")
    (again,) = held.current.recommender.recommend([Query(user_id="u002", k=20)])
    assert len(again.track_ids) == 20


def test_tracks_laid_over_a_version_that_was_just_dropped_are_laid_over_the_other(own_models: Models) -> None:
    held = follower(own_models)
    dropped: list[bool] = []

    def over(served: Served) -> Served:
        """A track comes, and while it is laid over the version that one is dropped."""
        if served.version == own_models.second and not dropped:
            dropped.append(held.drop(own_models.second, "slow"))
            return replace(served, overlay=1)
        return served

    held.on_trial = lambda _, __: True
    Registry(own_models.folder).set_alias(CHAMPION, own_models.second)
    assert held.check()
    held._overlay = over
    assert not held.lay()
    assert dropped == [True]
    assert held.current.version == own_models.first

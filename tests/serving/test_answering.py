"""The ladder, rung by rung, over a real version whose parts are made to fail or to be slow."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from audotics.domain import Block, Context, Mode, Query
from audotics.errors import UnavailableError
from audotics.journal.engine import open_engine
from audotics.journal.events import EventJournal, JournalEvent, Recorded
from audotics.recommender.recommender import Recommender
from audotics.registry.names import CHAMPION
from audotics.serving.answering import Answering
from audotics.serving.cache import CacheManager
from audotics.serving.encoding import Answer, Rung, ServedFrom
from audotics.serving.following import ModelFollower
from audotics.serving.metrics import Metrics
from audotics.serving.profiles import Profiles
from audotics.serving.served import Served
from audotics.slate import SlateConfig

if TYPE_CHECKING:
    from conftest import Models


class Ladder:
    """An `Answering` with its parts."""

    def __init__(self, models: Models, folder: Path, **settings: Any) -> None:
        self.engine = open_engine(f"sqlite:///{folder / 'journal.db'}")
        self.journal = EventJournal(self.engine)
        self.profiles = Profiles(self.journal)
        self.models = ModelFollower(models.folder, CHAMPION, SlateConfig())
        self.cache = CacheManager()
        self.answering = Answering(
            self.models, self.profiles, self.cache, Metrics(), **{"deadline_s": 10.0, **settings}
        )

    @property
    def served(self) -> Served:
        return self.models.current

    def ask(self, *queries: Query) -> list[Answer]:
        async def together() -> list[Answer]:
            return await asyncio.gather(*(self.answering.answer(query) for query in queries))

        return asyncio.run(together())

    def play(self, user: str, track: str, kind: str = "play") -> None:
        event = JournalEvent(f"{user}-{track}-{kind}", user, track, time.time_ns() // 1000, kind)
        self.profiles.take([Recorded(self.journal.append([event])[0].seq, event, 0)])


def said(answer: Answer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.json())
    return document


def tracks(answer: Answer) -> list[str]:
    return [track["track_id"] for track in said(answer)["tracks"]]


@pytest.fixture
def ladder(models: Models, tmp_path: Path) -> Iterator[Ladder]:
    made = Ladder(models, tmp_path)
    yield made
    made.answering.close()
    made.engine.dispose()


def fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """No recommender answers."""

    def failing(self: Recommender, *_: Any) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(Recommender, "recommend", failing)


def test_the_second_answer_comes_from_the_cache(ladder: Ladder) -> None:
    user = ladder.served.recommender.users.ids[0]
    (first,) = ladder.ask(Query(user_id=user))
    (second,) = ladder.ask(Query(user_id=user))
    assert (first.origin, second.origin) == (ServedFrom.COMPUTED, ServedFrom.CACHE)
    assert first.payload == second.payload
    assert first.request_id != second.request_id
    assert said(first)["rung"] == Rung.PERSONALISED


def test_an_event_makes_the_cached_answer_stale_at_once(ladder: Ladder) -> None:
    user = ladder.served.recommender.users.ids[0]
    (before,) = ladder.ask(Query(user_id=user))
    ladder.play(user, tracks(before)[0])
    (after,) = ladder.ask(Query(user_id=user))
    assert after.origin is ServedFrom.COMPUTED
    assert tracks(before)[0] not in tracks(after)


def test_other_wishes_are_other_answers(ladder: Ladder) -> None:
    user = ladder.served.recommender.users.ids[0]
    wishes = [
        Query(user_id=user),
        Query(user_id=user, k=3),
        Query(user_id=user, mode=Mode.MIX),
        Query(user_id=user, exclude=("t001",)),
        Query(user_id=user, context=Context(country="se")),
        Query(user_id=user, rules={"artist_cap": 1}),
    ]
    for wish in wishes:
        (answer,) = ladder.ask(wish)
        assert answer.origin is ServedFrom.COMPUTED


def test_the_same_question_at_the_same_time_is_computed_once(
    ladder: Ladder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    working = Recommender.recommend

    def counted(self: Recommender, *more: Any) -> Any:
        calls.append(1)
        time.sleep(0.05)
        return working(self, *more)

    monkeypatch.setattr(Recommender, "recommend", counted)
    answers = ladder.ask(*[Query(user_id="u001")] * 20)
    assert len(calls) == 1
    assert len({answer.payload for answer in answers}) == 1
    assert len({answer.request_id for answer in answers}) == 20


def test_without_the_ranker_the_retrievers_vote(ladder: Ladder, monkeypatch: pytest.MonkeyPatch) -> None:
    working = Recommender.recommend
    own = ladder.served.recommender

    def failing(self: Recommender, *more: Any) -> Any:
        if self is own:
            raise RuntimeError("planted")
        return working(self, *more)

    monkeypatch.setattr(Recommender, "recommend", failing)
    (answer,) = ladder.ask(Query(user_id="u001", k=5))
    assert said(answer)["rung"] == Rung.RETRIEVAL
    assert answer.degraded == ("ranker",)
    assert len(tracks(answer)) == 5
    monkeypatch.setattr(Recommender, "recommend", working)
    (recovered,) = ladder.ask(Query(user_id="u001", k=5))
    assert said(recovered)["rung"] == Rung.PERSONALISED


@pytest.mark.parametrize(
    ("query", "rung"),
    [
        (Query(user_id="u001", k=4), Rung.FAVOURITES),
        (Query(user_id="stranger", k=4, context=Context(country="PLANTED")), Rung.POPULAR_COUNTRY),
        (Query(user_id="stranger", k=4), Rung.POPULAR),
        (Query(history=("t001",), k=4), Rung.POPULAR),
    ],
)
def test_below_them_there_is_always_something(
    ladder: Ladder, monkeypatch: pytest.MonkeyPatch, query: Query, rung: Rung
) -> None:
    ladder.served.popular_in["PLANTED"] = ladder.served.popular[::-1]
    fail(monkeypatch)
    (answer,) = ladder.ask(query)
    assert said(answer)["rung"] == rung
    assert len(tracks(answer)) == 4


@pytest.mark.parametrize("user", ["u001", "stranger"])
def test_no_rung_shows_what_is_kept_out(ladder: Ladder, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    fail(monkeypatch)
    (plain,) = ladder.ask(Query(user_id=user, k=8))
    first, second, third = tracks(plain)[:3]
    artist = ladder.served.recommender.track_table["artist_id"][ladder.served.recommender.tracks.index(third)]
    ladder.play(user, second, "dislike")
    (answer,) = ladder.ask(Query(user_id=user, k=8, exclude=(first,), blocked=(Block(artist_id=artist),)))
    assert not {first, second, third} & set(tracks(answer))


def test_failed_answers_are_not_kept(ladder: Ladder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail(patch)
        ladder.ask(Query(user_id="u001"))
    (answer,) = ladder.ask(Query(user_id="u001"))
    assert said(answer)["rung"] == Rung.PERSONALISED


def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Answers wait for the event that is returned."""
    go_on = threading.Event()
    working = Recommender.recommend

    def waiting(self: Recommender, *more: Any) -> Any:
        go_on.wait(5)
        return working(self, *more)

    monkeypatch.setattr(Recommender, "recommend", waiting)
    return go_on


def test_past_the_deadline_another_rung_answers(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = Ladder(models, tmp_path, deadline_s=0.1)
    go_on = slow(monkeypatch)
    started = time.monotonic()
    (answer,) = ladder.ask(Query(user_id="u001"))
    assert time.monotonic() - started < 1.0
    assert answer.degraded == ("deadline",)
    assert said(answer)["rung"] == Rung.FAVOURITES
    go_on.set()
    ladder.answering.close()


def test_what_cannot_be_begun_steps_down_at_once(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = Ladder(models, tmp_path, in_flight=2)
    go_on = slow(monkeypatch)
    threading.Timer(0.5, go_on.set).start()
    answers = ladder.ask(*(Query(user_id=f"u{n:03d}") for n in range(8)))
    reasons = [answer.degraded for answer in answers]
    assert reasons.count(()) == 2
    assert reasons.count(("overload",)) == 6
    (later,) = ladder.ask(Query(user_id="u007"))
    assert later.degraded == ()
    ladder.answering.close()


def test_an_overloaded_server_gives_the_older_answer(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = Ladder(models, tmp_path, in_flight=1)
    (before,) = ladder.ask(Query(user_id="u001"))
    ladder.play("u001", tracks(before)[0])
    go_on = slow(monkeypatch)
    threading.Timer(0.5, go_on.set).start()
    _, stale = ladder.ask(Query(user_id="u002"), Query(user_id="u001"))
    assert stale.origin is ServedFrom.STALE
    assert stale.payload == before.payload
    ladder.answering.close()


def test_an_overloaded_server_gives_the_answer_from_before_a_track_was_added(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = Ladder(models, tmp_path, in_flight=1)
    (before,) = ladder.ask(Query(user_id="u001"))
    ladder.models.current = replace(ladder.served, overlay=7, before=ladder.served.cache_version)
    go_on = slow(monkeypatch)
    threading.Timer(0.5, go_on.set).start()
    _, stale = ladder.ask(Query(user_id="u002"), Query(user_id="u001"))
    assert (stale.origin, stale.payload) == (ServedFrom.STALE, before.payload)
    (fresh,) = ladder.ask(Query(user_id="u001"))
    assert fresh.origin is ServedFrom.COMPUTED
    ladder.answering.close()


def test_a_journal_that_is_away_costs_only_what_it_knows(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = Ladder(models, tmp_path)
    monkeypatch.setattr(ladder.profiles, "known", lambda *_: None)

    def away(*_: Any, **__: Any) -> Any:
        raise UnavailableError("the journal is away")

    monkeypatch.setattr(ladder.journal, "of_listener", away)
    monkeypatch.setattr(ladder.profiles, "read", away)
    (answer,) = ladder.ask(Query(user_id="u001"))
    assert answer.degraded == ("profile",)
    assert said(answer)["rung"] == Rung.PERSONALISED
    ladder.answering.close()


def test_the_erased_are_strangers(ladder: Ladder) -> None:
    (known,) = ladder.ask(Query(user_id="u001"))
    (stranger,) = ladder.ask(Query(user_id="nobody"))
    ladder.profiles.forget(["u001"])
    (erased,) = ladder.ask(Query(user_id="u001"))
    assert tracks(erased) == tracks(stranger) != tracks(known)
    assert said(erased)["user_id"] == "u001"


def test_a_group_hears_what_its_members_played_since(ladder: Ladder) -> None:
    group = Query(group=("u001", "u002"), k=5)
    (before,) = ladder.ask(group)
    ladder.play("u002", tracks(before)[0])
    (after,) = ladder.ask(group)
    assert after.origin is ServedFrom.COMPUTED
    assert tracks(before)[0] not in tracks(after)


def test_an_exposure_says_what_was_shown(ladder: Ladder) -> None:
    (answer,) = ladder.ask(Query(user_id="u001", k=3))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    exposure = answer.exposure(at)
    assert list(exposure.track_ids) == tracks(answer)
    assert exposure.request_id == answer.request_id
    assert exposure.model_version == ladder.served.version
    assert exposure.propensities.tolist() == [1.0] * 3

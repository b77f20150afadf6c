from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.journal.engine import open_engine
from audotics.journal.events import EventJournal, JournalEvent, Recorded
from audotics.serving.profiles import MOST_REACTIONS, NOBODY, Profiles, bounded_time

TRAINED = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    name: str, user: str = "u", track: str = "t", minute: float = 1, kind: str = "play"
) -> JournalEvent:
    at = TRAINED + timedelta(minutes=minute)
    return JournalEvent(name, user, track, int(at.timestamp() * 1e6))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[EventJournal]:
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    yield EventJournal(engine)
    engine.dispose()


def test_a_listener_without_events_is_nobody(journal: EventJournal) -> None:
    assert Profiles(journal).known("u", TRAINED) == NOBODY


def test_events_are_ordered_by_their_own_time(journal: EventJournal) -> None:
    journal.append([event("a", track="second", minute=2), event("b", track="first", minute=1)])
    profiles = Profiles(journal)
    profiles.follow()
    profile = profiles.read("u", TRAINED)
    assert [one.track_id for one in profile.reactions] == ["first", "second"]
    assert profile.revision == journal.last_seq()


def test_what_training_knows_is_left_out(journal: EventJournal) -> None:
    journal.append([event("a", minute=-5), event("b", track="later", minute=5)])
    profiles = Profiles(journal)
    profiles.follow()
    assert [one.track_id for one in profiles.read("u", TRAINED).reactions] == ["later"]


def test_an_event_counts_once_however_it_arrives(journal: EventJournal) -> None:
    (receipt,) = journal.append([event("a")])
    profiles = Profiles(journal)
    profiles.take([Recorded(receipt.seq, event("a"), 0)])
    profiles.follow()
    assert len(profiles.read("u", TRAINED).reactions) == 1


def test_another_process_sees_it_after_following(journal: EventJournal) -> None:
    mine, other = Profiles(journal), Profiles(journal)
    mine.take([Recorded(receipt.seq, event("a"), 0) for receipt in journal.append([event("a")])])
    assert other.known("u", TRAINED) == NOBODY
    assert other.follow() == 1
    assert other.known("u", TRAINED) == mine.known("u", TRAINED)


def test_profiles_that_left_memory_come_back_from_the_journal(journal: EventJournal) -> None:
    journal.append([event(f"{user}{n}", user, f"t{n}", n + 1) for user in ("u", "v") for n in range(3)])
    profiles = Profiles(journal, most_listeners=1)
    profiles.follow()
    assert profiles.known("u", TRAINED) is None
    # An event of a listener who is not in memory must not pass for the whole profile.
    journal.append([event("u9", "u", "t9", 9)])
    profiles.follow()
    assert profiles.known("u", TRAINED) is None
    assert [one.track_id for one in profiles.read("u", TRAINED).reactions] == ["t0", "t1", "t2", "t9"]


def test_the_latest_events_are_kept(journal: EventJournal) -> None:
    journal.append([event(str(n), track=f"t{n}", minute=n) for n in range(1, MOST_REACTIONS + 11)])
    profiles = Profiles(journal)
    profiles.follow()
    reactions = profiles.read("u", TRAINED).reactions
    assert len(reactions) == MOST_REACTIONS
    assert reactions[0].track_id == "t11"


def test_the_forgotten_leave_nothing(journal: EventJournal) -> None:
    journal.append([event("a")])
    profiles = Profiles(journal)
    profiles.follow()
    profiles.forget(["u"])
    assert profiles.known("u", TRAINED) == NOBODY
    assert profiles.is_erased("u")
    assert not profiles.is_erased("v")


def test_an_erasure_by_another_process_is_followed(journal: EventJournal) -> None:
    journal.append([event("a")])
    profiles = Profiles(journal)
    profiles.follow()
    journal.erase("u")
    later = JournalEvent("b", "u", "again", int((datetime.now(UTC) + timedelta(seconds=1)).timestamp() * 1e6))
    journal.append([later])
    for one in (profiles, Profiles(journal)):
        one.follow()
        assert one.is_erased("u")
        assert [reaction.track_id for reaction in one.read("u", TRAINED).reactions] == ["again"]


def test_the_most_active_come_first(journal: EventJournal) -> None:
    journal.append([event("a", "u"), event("b", "v"), event("c", "w"), event("d", "u")])
    profiles = Profiles(journal)
    profiles.follow()
    assert profiles.most_active(2)[0] in {"u", "w"}
    assert len(profiles.most_active(2)) == 2


@given(st.permutations(range(6)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    class NoJournal:
        """Nothing is read from it."""

    recorded = [Recorded(n + 1, event(str(n), track=f"t{n}", minute=n + 1), 0) for n in range(6)]
    profiles = Profiles(NoJournal())  # type: ignore[arg-type]
    for n in order:
        profiles.take([recorded[n]])
    profile = profiles.known("u", TRAINED)
    assert profile is not None
    assert [one.track_id for one in profile.reactions] == [f"t{n}" for n in range(6)]
    assert profile.revision == 6


def test_clocks_that_lie() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert bounded_time(now + timedelta(minutes=1), now) == now
    assert bounded_time(now + timedelta(hours=1), now) is None
    assert bounded_time(datetime(1971, 1, 1, tzinfo=UTC), now) is None
    late = now - timedelta(days=400)
    assert bounded_time(late, now) == late

"""What listeners did since training, laid over the version that serves: the live part of a server."""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock

from audotics.domain import Reaction
from audotics.journal.events import EventJournal, Recorded

MOST_REACTIONS = 500
"""Latest events of a listener that a profile keeps."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A listener as the journal knows them.

    Args:
        reactions: What they did since training, oldest first.
        revision: Place in the journal of the last event taken in; 0 before the first. A cached answer
            holds for one revision.
    """

    reactions: tuple[Reaction, ...] = ()
    revision: int = 0


NOBODY = Profile()


@dataclass(slots=True)
class _Kept:
    """Events of one listener by time, each with its place in the journal."""

    events: list[tuple[datetime, int, str, str]] = field(default_factory=list)
    places: set[int] = field(default_factory=set)
    revision: int = 0

    def add(self, recorded: Recorded) -> None:
        if recorded.seq in self.places:
            return
        event = recorded.event
        at = datetime.fromtimestamp(event.at_us / 1e6, UTC)
        insort(self.events, (at, recorded.seq, event.track_id, event.event))
        self.places.add(recorded.seq)
        self.revision = max(self.revision, recorded.seq)
        if len(self.events) > MOST_REACTIONS:
            self.places.discard(self.events.pop(0)[1])

    def profile(self, after: datetime) -> Profile:
        reactions = (Reaction(track, at, kind) for at, _, track, kind in self.events if at > after)
        return Profile(tuple(reactions), self.revision)


class Profiles:
    """Profiles of the listeners with events, the most recently active in memory.

    Events arrive twice: at once from this process's own requests (`take`), and by following the journal,
    which tells of those that other processes accepted (`follow`). Each counts once, by its place.

    Args:
        journal: Where events are kept.
        most_listeners: Profiles in memory; those of others are read from the journal when asked for.

    Attributes:
        on_erased: Called with each listener whom another process erased.
        on_recorded: Called with the events that were read from the journal, each once, in its order.
    """

    def __init__(self, journal: EventJournal, most_listeners: int = 100_000) -> None:
        self._journal = journal
        self._most = most_listeners
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._erased: set[str] = set()
        self._lock = Lock()
        self._followed = 0
        self._erasures_followed = 0
        self._complete = True
        self.on_erased: Callable[[str], object] = lambda _: None
        self.on_recorded: Callable[[Sequence[Recorded]], object] = lambda _: None

    @property
    def followed(self) -> int:
        """Place in the journal up to which this process knows everything."""
        return self._followed

    def known(self, user_id: str, after: datetime) -> Profile | None:
        """The profile from memory; None where only the journal knows whether there is one.

        Args:
            user_id: The listener.
            after: Earlier events are part of the version's own histories.
        """
        with self._lock:
            kept = self._kept.get(user_id)
            if kept is None:
                return NOBODY if self._complete else None
            self._kept.move_to_end(user_id)
            return kept.profile(after)

    def reactions(self, user_ids: Iterable[str], after: datetime) -> dict[str, tuple[Reaction, ...]]:
        """What listeners did, as far as memory knows them; the others are left out."""
        found = ((user_id, self.known(user_id, after)) for user_id in user_ids)
        return {user_id: profile.reactions for user_id, profile in found if profile and profile.reactions}

    def read(self, user_id: str, after: datetime) -> Profile:
        """The profile, from the journal where memory has none; may wait for the database.

        Raises:
            UnavailableError: The journal cannot be read now.
        """
        known = self.known(user_id, after)
        if known is not None:
            return known
        recorded = self._journal.of_listener(user_id, limit=MOST_REACTIONS)
        with self._lock:
            self._add(user_id, recorded, create=True)
            return self._kept[user_id].profile(after)

    def take(self, recorded: Iterable[Recorded]) -> None:
        """Take in events that are durable."""
        by_listener: dict[str, list[Recorded]] = {}
        for one in recorded:
            by_listener.setdefault(one.event.user_id, []).append(one)
        with self._lock:
            for user_id, events in by_listener.items():
                # Of a listener who is not in memory the rest of the events would be missing.
                self._add(user_id, events, create=self._complete)

    def follow(self, limit: int = 10_000) -> int:
        """Read on in the journal, once; returns how many events there were.

        Listeners whom another process erased are forgotten here, too.

        Raises:
            UnavailableError: The journal cannot be read now.
        """
        for erasure in self._journal.erased_after(self._erasures_followed):
            self.forget([erasure.user_id])
            self.on_erased(erasure.user_id)
            self._erasures_followed = erasure.seq
        recorded = self._journal.after(self._followed, limit)
        self.take(recorded)
        if recorded:
            self._followed = recorded[-1].seq
            self.on_recorded(recorded)
        return len(recorded)

    def forget(self, user_ids: Iterable[str]) -> None:
        """Erase listeners: nothing of theirs is used any more, what versions know of them included."""
        with self._lock:
            for user_id in user_ids:
                self._kept.pop(user_id, None)
                self._erased.add(user_id)

    def is_erased(self, user_id: str) -> bool:
        """Whether the listener asked to be forgotten; events after that start a new life."""
        return user_id in self._erased

    def most_active(self, n: int) -> list[str]:
        """Listeners with the latest events, the last one first."""
        with self._lock:
            return list(reversed(self._kept))[:n]

    def _add(self, user_id: str, events: Sequence[Recorded], *, create: bool) -> None:
        kept = self._kept.get(user_id)
        if kept is None:
            if not create:
                return
            kept = self._kept[user_id] = _Kept()
        for one in events:
            kept.add(one)
        self._kept.move_to_end(user_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
            self._complete = False


def bounded_time(at: datetime, now: datetime, ahead: timedelta = timedelta(minutes=5)) -> datetime | None:
    """The time of an event as it counts; None where the sender's clock lies.

    A clock a little ahead is common: its events count as happening now. Beyond ``ahead`` an event is
    refused, and so is one from before 1990, when no listening log was kept.
    """
    if at.year < _FIRST_YEAR or at > now + ahead:
        return None
    return min(at, now)


_FIRST_YEAR = 1990

Clock = Callable[[], datetime]

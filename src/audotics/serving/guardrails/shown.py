"""Which version showed what: joins what listeners do with the answers of this process.

The log of exposures tells it for ever and for all processes; here it is needed at once, and only for the
answers of the last minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audotics.domain import Exposure
from audotics.journal.events import JournalEvent

MOST_ANSWERS = 20_000

BAD = frozenset({"skip", "dislike"})
GOOD = frozenset({"complete", "like", "add_to_playlist"})


@dataclass(slots=True)
class _Answer:
    user_id: str | None
    version: str
    track_ids: tuple[str, ...]
    skip_told: bool = False
    completion_told: bool = False


@dataclass(frozen=True, slots=True)
class AnswerReaction:
    """What an event says of the version that showed the track.

    Args:
        version: The version.
        skipped: Whether the listener skipped or disliked; None where an earlier event to this answer told.
        completed: Whether they heard it to the end or liked it; None where this event does not tell.
    """

    version: str
    skipped: bool | None
    completed: bool | None


class ShownAnswers:
    """The latest answers, by request and by listener.

    One answer counts once, however many of its tracks a listener skips: their deeds are not independent of
    each other, and a test that took them for it would give false alarms.

    Args:
        most: Answers that are kept.
    """

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self._most = most
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._last_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, exposure: Exposure) -> None:
        """Keep an answer; the oldest goes where there are too many."""
        user_id = exposure.user_id
        self._answers[exposure.request_id] = _Answer(user_id, exposure.model_version, exposure.track_ids)
        if user_id is not None:
            self._last_of[user_id] = exposure.request_id
        while len(self._answers) > self._most:
            self._drop(next(iter(self._answers)))

    def reactions(self, events: Iterable[JournalEvent]) -> Iterator[AnswerReaction]:
        """What events say of the versions whose tracks they are about.

        An event that names no request counts for the last answer to its listener, if that held its track.
        """
        for event in events:
            request_id = event.request_id or self._last_of.get(event.user_id)
            answer = None if request_id is None else self._answers.get(request_id)
            if answer is None or answer.user_id != event.user_id or event.track_id not in answer.track_ids:
                continue
            reaction = _reaction(answer, event.event)
            if reaction is not None:
                yield reaction

    def forget(self, user_id: str) -> None:
        """Drop every answer to a listener who is erased."""
        for request_id in [name for name, answer in self._answers.items() if answer.user_id == user_id]:
            self._drop(request_id)

    def _drop(self, request_id: str) -> None:
        user_id = self._answers.pop(request_id).user_id
        if user_id is not None and self._last_of.get(user_id) == request_id:
            del self._last_of[user_id]


def _reaction(answer: _Answer, kind: str) -> AnswerReaction | None:
    skipped = None if answer.skip_told else kind in BAD
    telling = kind in BAD or kind in GOOD
    completed = kind in GOOD if telling and not answer.completion_told else None
    answer.skip_told = True
    answer.completion_told |= telling
    if skipped is None and completed is None:
        return None
    return AnswerReaction(answer.version, skipped, completed)

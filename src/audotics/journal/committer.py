"""Group commit: the events of many requests reach the disk with one flush."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from audotics.errors import UnavailableError
from audotics.journal.events import EventJournal, JournalEvent, Receipt
from audotics.journal.gathering import Gathering

_Submission = tuple[Sequence[JournalEvent], "Future[list[Receipt]]"]


class GroupCommitter:
    """Appends to the journal from one thread of its own, several submissions in each transaction.

    A submission is acknowledged (its future has a result) when its events are on the disk, never earlier.
    One that the journal refuses fails alone; the others of its group are committed.

    Args:
        journal: Where to append.
        max_events: Events of one transaction.
        max_wait_s: How long a submission waits for others. Events that arrive during a commit wait for its
            end in any case and are committed together.
        max_pending: Events accepted and not yet committed; beyond, submissions are refused.
    """

    def __init__(
        self,
        journal: EventJournal,
        *,
        max_events: int = 2_000,
        max_wait_s: float = 0.002,
        max_pending: int = 50_000,
    ) -> None:
        self._journal = journal
        self._gathering = Gathering(
            self._commit,
            most_in_group=max_events,
            max_wait_s=max_wait_s,
            max_pending=max_pending,
            name="audotics-journal",
        )

    @property
    def pending(self) -> int:
        """Events accepted and not yet committed."""
        return self._gathering.pending

    def submit(self, events: Sequence[JournalEvent]) -> Future[list[Receipt]]:
        """Accept events to be written; never waits.

        Returns:
            A future with the receipts of `EventJournal.append`, or with its error. It cannot be cancelled:
            what was accepted is committed.

        Raises:
            UnavailableError: Too much is pending, or the committer is closed.
        """
        future: Future[list[Receipt]] = Future()
        future.set_running_or_notify_cancel()
        if not self._gathering.offer((events, future), len(events)):
            raise UnavailableError(
                "the event log is closed" if self._gathering.closed else "the event log is behind",
                where=f"{self.pending} events are waiting",
                remedy="Send the same events again in a moment",
            )
        return future

    def close(self) -> None:
        """Commit what was accepted, then stop; what is submitted later is refused."""
        self._gathering.close()

    def _commit(self, group: list[_Submission]) -> None:
        try:
            receipts = self._journal.append([event for events, _ in group for event in events])
        except UnavailableError as error:
            for _, future in group:
                future.set_exception(error)
        except Exception as error:
            if len(group) == 1:
                group[0][1].set_exception(error)
                return
            for submission in group:  # one of them is to blame: each on its own
                self._commit([submission])
        else:
            start = 0
            for events, future in group:
                future.set_result(receipts[start : start + len(events)])
                start += len(events)

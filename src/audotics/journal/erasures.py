"""Who was erased, and when: read by everything that keeps or reads events of listeners."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Connection, Engine, bindparam, select

from audotics.journal.engine import reading
from audotics.journal.tables import erasures

_AFTER = (
    select(erasures.c.seq, erasures.c.user_id, erasures.c.at_us)
    .where(erasures.c.seq > bindparam("seq"))
    .order_by(erasures.c.seq)
)


@dataclass(frozen=True, slots=True)
class Erasure:
    """A listener wanted to be forgotten.

    Args:
        seq: Place in the journal.
        user_id: Whose events up to ``at_us`` are gone, and must be left out of what was copied earlier.
        at_us: When, in UTC microseconds. Who plays again later is a new listener under the old id.
    """

    seq: int
    user_id: str
    at_us: int


class Erasures:
    """The list of erasures, followed as it grows.

    Args:
        engine: From `open_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._seen = 0
        self._until: dict[str, int] = {}

    def after(self, seq: int) -> list[Erasure]:
        """Erasures with a greater ``seq``, in order.

        Raises:
            UnavailableError: The database does not answer.
        """
        with reading(self._engine) as connection:
            return [Erasure(*row) for row in connection.execute(_AFTER, {"seq": seq})]

    def until(self, connection: Connection) -> dict[str, int]:
        """Up to when each erased listener's past is gone, as the transaction sees it.

        Asked inside a writing transaction after `take_seqs`, the answer cannot change before the commit:
        nothing of a listener who is erased meanwhile slips in behind the erasure.
        """
        with self._lock:
            for seq, user_id, at_us in connection.execute(_AFTER, {"seq": self._seen}):
                self._until[user_id] = max(at_us, self._until.get(user_id, at_us))
                self._seen = max(self._seen, seq)
            return self._until

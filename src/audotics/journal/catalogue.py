"""Tracks added or changed while serving, until the next training takes them in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from audotics.errors import BadInputError
from audotics.journal.engine import reading, writing
from audotics.journal.tables import take_seqs
from audotics.journal.tables import tracks as table
from audotics.journal.texts import check_id, check_text


class TrackJournal:
    """The newest document of each track, in the order of the changes.

    Args:
        engine: From `audotics.journal.open_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, track_id: str, document: Mapping[str, Any]) -> int:
        """Keep the document in place of the track's earlier one; on the disk when this returns.

        Args:
            track_id: The track.
            document: What is known of it; anything that JSON can hold.

        Returns:
            The place of the change in the journal, which grows.

        Raises:
            BadInputError: The document cannot be stored.
            UnavailableError: The database does not answer.
        """
        try:
            text = json.dumps(dict(document), allow_nan=False)
            check_id("track_id", track_id)
            check_text(track_id)
        except (TypeError, ValueError) as error:
            raise BadInputError(f"cannot be stored: {error}", where=f"track {track_id!r}") from error
        with writing(self._engine) as connection:
            seq = take_seqs(connection, 1)
            connection.execute(delete(table).where(table.c.track_id == track_id))
            connection.execute(insert(table).values(seq=seq, track_id=track_id, document=text))
        return seq

    def after(self, seq: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Tracks changed later than ``seq``, in the order of their last change.

        Returns:
            For each its place in the journal, its id and its document.

        Raises:
            UnavailableError: The database does not answer.
        """
        changed = select(table).where(table.c.seq > seq).order_by(table.c.seq)
        with reading(self._engine) as connection:
            found = connection.execute(changed).all()
        return [(row.seq, row.track_id, json.loads(row.document)) for row in found]

    def get(self, track_id: str) -> dict[str, Any] | None:
        """The track's document; None where it was never put.

        Raises:
            UnavailableError: The database does not answer.
        """
        wanted = select(table.c.document).where(table.c.track_id == track_id)
        with reading(self._engine) as connection:
            text: str | None = connection.execute(wanted).scalar_one_or_none()
        return None if text is None else dict(json.loads(text))

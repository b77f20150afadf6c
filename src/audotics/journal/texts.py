"""What a text must be like for both databases, and an id for a dataset, to hold it."""

from __future__ import annotations

from audotics.data.schema import MAX_ID_BYTES


def check_id(name: str, given: str) -> None:
    """Raise ValueError unless the id has a length that datasets accept."""
    # Four bytes are the most that a character takes: nearly always counting characters is enough.
    if not given or (4 * len(given) > MAX_ID_BYTES and len(given.encode()) > MAX_ID_BYTES):
        raise ValueError(f"{name} must have 1 to {MAX_ID_BYTES} bytes")


def check_text(given: str) -> None:
    """Raise ValueError for what one of the databases would refuse."""
    if "\0" in given:
        raise ValueError("PostgreSQL cannot store the character U+0000")
    given.encode()  # UnicodeEncodeError, which is a ValueError, for half of a surrogate pair

"""A catalogue of six tracks and plays of it, for features that are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from audotics.data import schema
from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch

DAY = 86_400_000_000
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
ARTISTS = ["A", "A", "B", None, "B", None]
ALBUMS = ["x", "y", "z", None, "z", None]
RELEASED = [date(2025, 1, 1), None, date(2026, 1, 11), None, None, date(2030, 1, 1)]
TAGS = [["rock", "rock"], ["rock", "pop"], ["pop"], [], ["jazz", "pop"], ["jazz"]]

Play = tuple[str, str, int | None]


def corpus(plays: Sequence[Play], *, content: bool = True, positions: bool = False) -> Corpus:
    """Plays (listener, track, days after the start or None) over a catalogue of the six tracks t0 to t5."""
    n = len(plays)
    events = pl.DataFrame(
        {
            "user_id": [user for user, _, _ in plays],
            "track_id": [track for _, track, _ in plays],
            "timestamp": [None if at is None else START + at * DAY for _, _, at in plays],
            "event": ["play"] * n,
            "plays": [1.0] * n,
            "position": list(range(n)) if positions else [None] * n,
        },
        schema={
            name: schema.EVENTS[name]
            for name in ("user_id", "track_id", "timestamp", "event", "plays", "position")
        },
    )
    known = {"artist_id": ARTISTS, "album_id": ALBUMS, "released": RELEASED, "tags": TAGS} if content else {}
    ids = [f"t{i}" for i in range(6)]
    columns = {name: known.get(name, [None] * 6) for name in schema.TRACKS if name != "track_id"}
    tracks = pl.DataFrame({"track_id": ids, **columns}, schema=schema.TRACKS)
    return build_corpus(events, tracks, pl.DataFrame(schema=schema.USERS))


PLAYS: list[Play] = [
    ("u", "t0", 0),
    ("u", "t0", 4),
    ("u", "t2", 9),
    ("u", "t3", 10),
    ("v", "t0", 2),
    ("v", "t4", 3),
]


def raw(*histories: list[int]) -> QueryBatch:
    """Anonymous queries at no particular time."""
    rows = Interactions.from_histories(histories, 6)
    return QueryBatch.of_listeners(rows, np.arange(len(histories), dtype=np.int32))

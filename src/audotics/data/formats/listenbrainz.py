"""ListenBrainz listens as JSON lines: the public dumps and the export of one account.

Layout: https://listenbrainz.readthedocs.io, "Data Dumps" and "JSON Documentation".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.json_records import read_json_lines
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    files_like,
    first_lines,
    known_text,
    milliseconds,
    named_key,
    names_part,
    select_columns,
)
from audotics.errors import BadInputError

_PATTERNS = tuple(
    f"{folder}*.{suffix}" for folder in ("", "*/", "listens/*/") for suffix in ("listens", "jsonl", "json")
)
_TRACK = "$.track_metadata"
_INFO = f"{_TRACK}.additional_info"
_MAPPING = f"{_TRACK}.mbid_mapping"
_IDENTITY = {
    "recording": f"{_MAPPING}.recording_mbid",
    "said_recording": f"{_INFO}.recording_mbid",
    "messybrainz": "$.recording_msid",
    "title": f"{_TRACK}.track_name",
    "artist": f"{_TRACK}.artist_name",
}
_EVENT = {
    "user_name": "$.user_name",
    "user_id": "$.user_id",
    "listened_at": "$.listened_at",
    "timestamp": "$.timestamp",
    "duration_played": f"{_INFO}.duration_played",
    "player": f"{_INFO}.media_player",
}
_NAMES = {
    "artist_mbid": f"{_MAPPING}.artist_mbids[0]",
    "said_artist_mbid": f"{_INFO}.artist_mbids[0]",
    "album": f"{_TRACK}.release_name",
    "album_mbid": f"{_MAPPING}.release_mbid",
    "said_album_mbid": f"{_INFO}.release_mbid",
    "duration_ms": f"{_INFO}.duration_ms",
    "duration": f"{_INFO}.duration",
}

ACCOUNT = "me"
"""The listener of an account's own export, whose listens do not name them."""


class ListenBrainz:
    """Reads one file of listens, or a folder by year and month as in the archives.

    Tags that listeners submitted are not used: there are hardly any, and they would have to be kept
    from held-out tracks.
    """

    name = "listenbrainz"
    summary = "ListenBrainz listens: a .listens or .jsonl file, or the unpacked dump or export with listens/"

    def detects(self, source: Path) -> bool:
        """Whether the first line of the first file is a listen."""
        return any(_is_listen(path) for path in files_like(source, *_PATTERNS)[:3])

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Listens as events, what they say of their tracks as tracks."""
        files = [source] if source.is_file() else [p for p in files_like(source, *_PATTERNS) if _is_listen(p)]
        if not files:
            raise BadInputError(
                "no listens here", where=str(source), remedy="Unpack the archive and name its folder"
            )
        for path in files:
            if "events" not in options.replaced:
                yield RawTable("events", path, _events(path))
            if "tracks" not in options.replaced:
                yield names_part(path, _names(path), counted="events" in options.replaced)


def _first_record(path: Path) -> dict[str, object]:
    try:
        record = json.loads(first_lines(path, 1)[0])
    except (ValueError, IndexError):
        return {}
    return record if isinstance(record, dict) else {}


def _is_listen(path: Path) -> bool:
    record = _first_record(path)
    return "track_metadata" in record and bool({"listened_at", "timestamp"} & record.keys())


def _track_id() -> pl.Expr:
    """The recording by MusicBrainz, as ListenBrainz mapped it, as the player said; else by MessyBrainz."""
    ids = (known_text(column) for column in ("recording", "said_recording", "messybrainz"))
    return pl.coalesce(*ids, named_key("artist", "title"))


def _events(path: Path) -> Iterator[Chunk]:
    is_export = not {"user_name", "user_id"} & _first_record(path).keys()
    return select_columns(
        read_json_lines(path, _IDENTITY | _EVENT),
        user_id=pl.lit(ACCOUNT) if is_export else pl.coalesce("user_name", "user_id"),
        track_id=_track_id(),
        timestamp=pl.coalesce("listened_at", "timestamp"),
        ms_played=milliseconds("duration_played"),
        device=known_text("player"),
    )


def _names(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_json_lines(path, _IDENTITY | _NAMES),
        track_id=_track_id(),
        title=known_text("title"),
        artist_id=pl.coalesce(
            known_text("artist_mbid"), known_text("said_artist_mbid"), known_text("artist")
        ),
        artist=known_text("artist"),
        album_id=pl.coalesce(
            known_text("album_mbid"), known_text("said_album_mbid"), named_key("artist", "album")
        ),
        album=known_text("album"),
        duration_ms=pl.coalesce(known_text("duration_ms"), milliseconds("duration")),
    )


FORMAT = ListenBrainz()

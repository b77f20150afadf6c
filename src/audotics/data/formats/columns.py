"""Which column of a free-form file is which column of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audotics.data.formats.protocol import TableName
from audotics.data.schema import CONTEXT_PREFIX, EVENTS, FEATURE_PREFIX, PLAYLISTS, TRACKS, USERS
from audotics.errors import BadInputError

REQUIRED: dict[TableName, tuple[str, ...]] = {
    "events": ("user_id", "track_id"),
    "tracks": ("track_id",),
    "users": ("user_id",),
    "playlists": ("playlist_id", "track_id"),
}

_KNOWN: dict[TableName, tuple[str, ...]] = {
    "events": tuple(EVENTS),
    "tracks": (*TRACKS, "duration_s"),
    "users": tuple(USERS),
    "playlists": tuple(PLAYLISTS),
}

# Names as written by others, lower case and without "_", "-", spaces; the first that is there is taken.
_USER = ("user", "uid", "userid", "username", "listener", "listenerid", "member", "account", "accountid")
_TRACK = (
    "track",
    "tid",
    "trackid",
    "item",
    "itemid",
    "iid",
    "song",
    "songid",
    "trackuri",
    "recordingid",
    "artistid",
)
_ALIASES: dict[TableName, dict[str, tuple[str, ...]]] = {
    "events": {
        "user_id": (*_USER, "playlistid", "pid", "playlist"),
        "track_id": _TRACK,
        "timestamp": (
            *("ts", "time", "datetime", "date", "playedat", "listenedat", "endtime", "unixtime"),
            *("eventtime", "createdat", "startedat", "at"),
        ),
        "event": ("eventtype", "action", "kind", "interaction"),
        "plays": ("count", "weight", "playcount", "nplays", "playscount", "listens", "listencount"),
        "position": ("pos", "order", "rank", "index"),
        "ms_played": ("msplayed", "playedms", "listenedms", "playduration"),
        "session_id": ("session", "sessionid", "sid"),
        "device": ("platform", "devicetype"),
        "country": ("countrycode", "conncountry"),
    },
    "tracks": {
        "track_id": ("id", "uri", *_TRACK),
        "title": ("name", "trackname", "songname", "tracktitle", "songtitle"),
        "artist_id": ("artistid", "artisturi"),
        "artist": ("artistname", "artists", "performer"),
        "album_id": ("albumid", "albumuri"),
        "album": ("albumname", "release", "albumtitle"),
        "duration_ms": ("durationms", "lengthms"),
        "duration_s": ("durationsec", "durations", "durationseconds", "seconds", "lengthsec"),
        "released": ("releasedate", "releaseyear", "year", "releasedat"),
        "explicit": ("isexplicit",),
        "genres": ("genre",),
        "tags": ("tag", "keywords"),
        "embedding": ("vector", "embed"),
    },
    "users": {
        "user_id": ("id", *_USER),
        "country": ("countrycode", "location"),
        "birth_year": ("birthyear", "yearofbirth"),
        "gender": ("sex",),
        "signed_up": ("signedup", "registered", "signupdate", "registeredat", "createdat"),
    },
    "playlists": {
        "playlist_id": ("pid", "playlist", "playlistid"),
        "position": ("pos", "order", "index"),
        "track_id": _TRACK,
    },
}

AUDIO_FEATURES = frozenset(
    {
        *("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness"),
        *("instrumentalness", "liveness", "valence", "tempo", "timesignature", "popularity"),
        *("chorushit", "sections", "arousal", "brightness", "bpm"),
    }
)
"""Columns of a tracks table that are numbers about the sound; they become ``feature_*``."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What the columns of one file mean.

    Args:
        columns: ``{schema column: column of the file}``.
        recognised: Those of ``columns`` that neither are schema names nor were mapped by the user.
        ignored: Columns of the file that nothing reads.
    """

    columns: dict[str, str]
    recognised: dict[str, str]
    ignored: tuple[str, ...]


def name_columns(table: TableName, found: Sequence[str], column_map: Mapping[str, str], file: Path) -> Naming:
    """Match the columns of a file to the schema: the user's map, then equal names, then known aliases.

    Args:
        table: What the file is to become.
        found: Names in the file, in file order.
        column_map: As the user said it; either side may be the schema column. Pairs that name no
            column of this file are left to other files.
        file: For messages.

    Raises:
        BadInputError: A required column is missing or a column stands twice.
    """
    if len(set(found)) != len(found):
        twice = sorted({name for name in found if found.count(name) > 1})
        raise BadInputError(f"columns stand twice: {', '.join(twice)}", where=str(file))
    columns = _mapped(table, found, column_map)
    for name in found:
        if name not in columns.values() and _is_schema_column(table, name) and name not in columns:
            columns[name] = name
    recognised = _recognise(table, [name for name in found if name not in columns.values()], set(columns))
    columns |= recognised
    missing = [name for name in REQUIRED[table] if name not in columns]
    if missing:
        shown = ", ".join(repr(name[:40]) for name in found[:20])
        free = [name for name in found if name not in columns.values()]
        raise BadInputError(
            f"no column for {' and '.join(missing)} of the {table} table; the file has {shown}",
            where=str(file),
            remedy=f"Say which it is with --map, e.g. --map {missing[0]}={_example(free)}",
        )
    ignored = tuple(name for name in found if name not in columns.values())
    return Naming(columns, recognised, ignored)


def known_names(table: TableName, column_map: Mapping[str, str]) -> tuple[str, ...]:
    """Every name that may mean something, for sources that do not list their columns up front."""
    mapped = (*column_map.keys(), *column_map.values())
    return tuple(dict.fromkeys((*_KNOWN[table], *mapped)))


def _is_schema_column(table: TableName, name: str) -> bool:
    prefix = CONTEXT_PREFIX if table == "events" else FEATURE_PREFIX
    free = table in ("events", "tracks", "users") and name.startswith(prefix)
    return free or name in _KNOWN[table]


def _mapped(table: TableName, found: Sequence[str], column_map: Mapping[str, str]) -> dict[str, str]:
    columns = {}
    for left, right in column_map.items():
        if _is_schema_column(table, left) and right in found:
            columns[left] = right
        elif _is_schema_column(table, right) and left in found:
            columns[right] = left
    return columns


def _recognise(table: TableName, free: Sequence[str], taken: set[str]) -> dict[str, str]:
    plain = {_plain(name): name for name in reversed(free)}
    recognised: dict[str, str] = {}
    for column in _KNOWN[table]:
        aliases = (_plain(column), *_ALIASES[table].get(column, ()))
        match = next((plain[alias] for alias in aliases if alias in plain), None)
        if column not in taken and match is not None and match not in recognised.values():
            recognised[column] = match
    if "duration_ms" in taken | set(recognised):
        recognised.pop("duration_s", None)
    if table == "tracks":
        rest = (name for name in free if name not in recognised.values())
        recognised |= {FEATURE_PREFIX + name.lower(): name for name in rest if _plain(name) in AUDIO_FEATURES}
    return recognised


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _example(found: Sequence[str]) -> str:
    return found[0][:40] if found and found[0].isprintable() and found[0] else "COLUMN"

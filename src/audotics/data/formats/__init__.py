"""The formats by name; the module of a format is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from audotics.data.formats.protocol import Format
from audotics.errors import BadInputError

_MODULES = {
    "hetrec-lastfm": "hetrec_lastfm",
    "lastfm-1k": "lastfm_1k",
    "lastfm-360k": "lastfm_360k",
    "taste-profile": "taste_profile",
    "adjacency": "adjacency",
    "playlist-csv": "playlist_csv",
    "mpd": "mpd",
    "listenbrainz": "listenbrainz",
    "spotify-history": "spotify_history",
    "yambda": "yambda",
    "movielens": "movielens",
    "situnes": "situnes",
    "spotify-tracks": "spotify_tracks",
    "parquet": "tabular:PARQUET",
    "jsonl": "tabular:JSONL",
    "csv": "tabular:CSV",
}
"""Module of each format (and its name there, if not ``FORMAT``), in the order in which `detect` asks: named
sets before the generic ones."""

FORMAT_NAMES = ("auto", *_MODULES)
"""What ``--format`` accepts."""


def get_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        BadInputError: There is no such format.
    """
    if name not in _MODULES:
        raise BadInputError(
            f"there is no format {name!r}",
            where="--format",
            remedy=f"Choose one of {', '.join(FORMAT_NAMES)}",
        )
    module, _, attribute = _MODULES[name].partition(":")
    found: Format = getattr(import_module(f"{__name__}.{module}"), attribute or "FORMAT")
    return found


def detect(source: Path) -> Format:
    """The first format that recognises ``source``.

    Raises:
        BadInputError: None does.
    """
    for name in _MODULES:
        candidate = get_format(name)
        if candidate.detects(source):
            return candidate
    raise BadInputError(
        "no known format recognises this source",
        where=str(source),
        remedy=f"Name it with --format: {', '.join(_MODULES)}",
    )

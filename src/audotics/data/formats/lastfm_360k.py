"""Last.fm 360K users: the artists each listener played most and how often (Celma 2010).

The recommended "track" is an artist here.
"""

from __future__ import annotations

import polars as pl

from audotics.data.formats.lastfm_set import LastfmSet
from audotics.data.formats.sources import known_text

_ARTIST_ID = pl.coalesce(known_text("artist_mbid"), known_text("artist"))

FORMAT = LastfmSet(
    "lastfm-360k",
    title="Last.fm 360K users",
    plays_file="usersha1-artmbid-artname-plays.tsv",
    profile_file="usersha1-profile.tsv",
    columns=("user", "artist_mbid", "artist", "plays"),
    events={"user_id": pl.col("user"), "track_id": _ARTIST_ID, "plays": pl.col("plays")},
    tracks={
        "track_id": _ARTIST_ID,
        "title": known_text("artist"),
        "artist_id": _ARTIST_ID,
        "artist": known_text("artist"),
    },
    note="an artist without a MusicBrainz id is known by name",
)

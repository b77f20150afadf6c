"""Last.fm 1K users: 19 million plays with times (Celma, "Music Recommendation and Discovery", 2010)."""

from __future__ import annotations

import polars as pl

from audotics.data.formats.lastfm_set import LastfmSet
from audotics.data.formats.sources import known_text, named_key

_TRACK_ID = pl.coalesce(known_text("track_mbid"), named_key("artist", "title"))

FORMAT = LastfmSet(
    "lastfm-1k",
    title="Last.fm 1K users",
    plays_file="userid-timestamp-artid-artname-traid-traname.tsv",
    profile_file="userid-profile.tsv",
    columns=("user", "time", "artist_mbid", "artist", "track_mbid", "title"),
    events={"user_id": pl.col("user"), "track_id": _TRACK_ID, "timestamp": pl.col("time")},
    tracks={
        "track_id": _TRACK_ID,
        "title": known_text("title"),
        "artist_id": pl.coalesce(known_text("artist_mbid"), known_text("artist")),
        "artist": known_text("artist"),
    },
    note="a track without a MusicBrainz id is known by its artist and title",
)

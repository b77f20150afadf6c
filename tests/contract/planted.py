"""A tiny music service whose truth is known: listeners who stay in their genre."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.data.schema import EVENTS, TRACKS, USERS

GENRES = ("ambient", "bebop", "cumbia")
TRACKS_PER_GENRE = 30


def planted_events(n_users: int = 90, n_plays: int = 12, seed: int = 0) -> pl.DataFrame:
    """Events without times: each listener plays distinct tracks, nine in ten from one genre."""
    rng = np.random.default_rng(seed)
    users, tracks, plays = [], [], []
    for user in range(n_users):
        home = user % len(GENRES)
        chance = np.full((len(GENRES), TRACKS_PER_GENRE), 0.1 / 2)
        chance[home] = 0.9
        # Within a genre the first tracks are the popular ones.
        chance = (chance / np.sqrt(1 + np.arange(TRACKS_PER_GENRE))).ravel()
        chosen = rng.choice(chance.size, size=n_plays, replace=False, p=chance / chance.sum())
        users += [f"u{user:03d}"] * n_plays
        tracks += [track_id(track) for track in chosen]
        plays += rng.integers(1, 9, n_plays).tolist()
    return events_table(pl.DataFrame({"user_id": users, "track_id": tracks, "plays": plays}))


def track_id(number: int) -> str:
    """Id of a planted track."""
    return f"t{number:03d}"


def genre_of(track: str) -> str:
    """Genre of a planted track id."""
    return GENRES[int(track[1:]) // TRACKS_PER_GENRE]


def planted_tracks() -> pl.DataFrame:
    """The catalogue: three tracks an artist, one genre each."""
    numbers = range(len(GENRES) * TRACKS_PER_GENRE)
    ids = [track_id(number) for number in numbers]
    return completed(
        pl.DataFrame(
            {
                "track_id": ids,
                "title": [f"Song {number}" for number in numbers],
                "artist_id": [f"a{number // 3}" for number in numbers],
                "artist": [f"Band {number // 3}" for number in numbers],
                "genres": [[genre_of(track)] for track in ids],
            }
        ),
        TRACKS,
    )


def no_users() -> pl.DataFrame:
    """An empty users table."""
    return pl.DataFrame(schema=USERS)


def planted_users(n_users: int = 90) -> pl.DataFrame:
    """Everybody's friends are the next four listeners of the same genre."""
    names = [f"u{user:03d}" for user in range(n_users)]
    friends = [
        [names[(user + len(GENRES) * step) % n_users] for step in range(1, 5)] for user in range(n_users)
    ]
    return completed(pl.DataFrame({"user_id": names, "friends": friends}), USERS)


def events_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the missing event columns added."""
    defaults = {"event": "play", "plays": 1.0}
    missing = [pl.lit(value).alias(name) for name, value in defaults.items() if name not in rows.columns]
    return completed(rows.with_columns(missing), EVENTS)


def completed(rows: pl.DataFrame, schema: dict[str, object]) -> pl.DataFrame:
    """Rows with every column of the schema, null where missing."""
    missing = [pl.lit(None).alias(name) for name in schema if name not in rows.columns]
    return rows.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in schema.items())

"""What a playlist's title says: artists and genres by name, and the tracks to start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import polars as pl

from audotics.domain import IndexArray
from audotics.recommender.recommender import Recommender

TRACKS_PER_NAME = 5
"""How many of the most played tracks of an artist or a genre stand for it."""

_MOST_WORDS = 6
_MOST_NAMES = 8
_AROUND = " \t.,;:!?\"'()[]{}-–—&+#"


def tracks_for_title(recommender: Recommender, title: str) -> tuple[str, ...]:
    """Ids of the most played tracks of every artist and genre that the title names, best known last.

    Names are found whole, case ignored, the longest first; where a word is a genre and an artist,
    the genre counts. Takes a while when a version is first asked.
    """
    found: list[IndexArray] = []
    words = title.lower().split()
    start = 0
    while start < len(words) and len(found) < _MOST_NAMES:
        for n_words, name in _names_at(words, start):
            tracks = _tracks_named(recommender, name)
            if len(tracks):
                found.append(tracks)
                start += n_words
                break
        else:
            start += 1
    if not found:
        return ()
    listeners = recommender.catalogue.listeners
    best = [tracks[np.argsort(-listeners[tracks], kind="stable")[:TRACKS_PER_NAME]] for tracks in found]
    seeds = np.unique(np.concatenate(best))
    seeds = seeds[np.argsort(listeners[seeds], kind="stable")]
    return tuple(recommender.tracks.ids[track] for track in seeds.tolist())


def _names_at(words: Sequence[str], start: int) -> Iterator[tuple[int, str]]:
    for n_words in range(min(_MOST_WORDS, len(words) - start), 0, -1):
        name = " ".join(words[start : start + n_words])
        yield n_words, name
        bare = name.strip(_AROUND)
        if bare and bare != name:
            yield n_words, bare


def _tracks_named(recommender: Recommender, name: str) -> IndexArray:
    # Live tracks have no listeners to be among the most played: their coming is no reason to look again.
    genre = _genres(recommender.bare).get(name)
    if genre is not None:
        return genre
    (tracks,) = recommender.catalogue.tracks_by([name])
    return tracks


@lru_cache(maxsize=2)
def _genres(recommender: Recommender) -> dict[str, IndexArray]:
    """Indices of the tracks of each genre and tag, by its lower-case name."""
    table = recommender.track_table
    columns = [name for name in ("genres", "tags") if name in table.columns]
    parts = [
        table.select(pl.col(name).alias("name"))
        .with_row_index("track")
        .explode("name")
        .drop_nulls("name")
        .with_columns(pl.col("name").cast(pl.String).str.to_lowercase())
        for name in columns
    ]
    if not parts:
        return {}
    grouped = pl.concat(parts).group_by("name").agg(pl.col("track").unique().sort())
    return {name: np.array(tracks, np.int32) for name, tracks in grouped.iter_rows()}

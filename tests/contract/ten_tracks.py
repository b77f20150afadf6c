"""A catalogue of ten tracks made for rules, and lists to fill slates from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from scipy import sparse

from audotics.data.interactions import Interactions
from audotics.data.schema import TRACKS
from audotics.domain import PADDING
from audotics.slate.assembly import Filled, RankedLists
from audotics.slate.catalogue import SlateCatalogue, TrackVectors
from contract.planted import completed

ARTISTS = ["A", "A", "A", "A", "B", "B", "B", "C", None, None]
ALBUMS = ["a1", "a1", "a1", "a2", "b1", "b1", "b2", None, None, None]
TITLES = ["One", "Two", "One (Remastered 2011)", "Four", "Five", "Six", "Five (Live)", "Seven", "One", "Nine"]
EXPLICIT = [False, True, None, False, True, False, False, False, None, False]
GENRES = [["dub"], ["dub"], ["dub"], ["dub", "folk"], ["folk"], ["folk"], ["folk"], ["jazz"], [], []]


def ten_tracks() -> pl.DataFrame:
    """Tracks t0 to t9: four by A, three by B, one by C, two by nobody known."""
    rows = pl.DataFrame(
        {
            "track_id": [f"t{number}" for number in range(10)],
            "title": TITLES,
            "artist_id": ARTISTS,
            "artist": [None if artist is None else f"Band {artist}" for artist in ARTISTS],
            "album_id": ALBUMS,
            "duration_ms": [200_000, 180_000, 201_500, None, 100_000, 90_000, 100_500, None, 200_000, None],
            "explicit": EXPLICIT,
            "genres": GENRES,
            "released": [date(2020, 1, 1)] * 10,
        }
    )
    return completed(rows, TRACKS)


def ten_vectors() -> TrackVectors:
    """Tracks are alike if they share genres."""
    names = ("dub", "folk", "jazz")
    marks = np.array([[name in genres for name in names] for genres in GENRES], np.float32)
    counts = np.maximum(marks.sum(axis=1, keepdims=True), 1)
    return TrackVectors(sparse.csr_matrix(marks / np.sqrt(counts)), sparse.csr_matrix(marks / counts))


def ten_tracks_catalogue() -> SlateCatalogue:
    """The ten tracks, the first with most listeners, the last with none."""
    return SlateCatalogue(ten_tracks(), np.arange(9, -1, -1, dtype=np.int32), ten_vectors)


def ranked(
    lists: Sequence[Sequence[int]],
    k: int | Sequence[int],
    histories: Sequence[Sequence[int]] | None = None,
    scores: Sequence[Sequence[float]] | None = None,
    n_tracks: int = 10,
) -> RankedLists:
    """Lists of tracks, best first; without scores these fall by 1 from place to place."""
    width = max(map(len, lists))
    track_index = np.full((len(lists), width), PADDING, np.int32)
    values = np.full((len(lists), width), -np.inf, np.float32)
    for row, tracks in enumerate(lists):
        track_index[row, : len(tracks)] = tracks
        values[row, : len(tracks)] = -np.arange(len(tracks)) if scores is None else scores[row]
    return RankedLists(
        track_index,
        values,
        np.broadcast_to(np.asarray(k, np.int32), len(lists)),
        Interactions.from_histories(histories or [[]] * len(lists), n_tracks),
        np.arange(len(lists), dtype=np.uint64),
    )


def tracks_of(filled: Filled, lists: RankedLists) -> list[list[int]]:
    """Tracks of each slate."""
    return [
        [int(lists.track_index[row, slot]) for slot in slots if slot >= 0]
        for row, slots in enumerate(filled.slots)
    ]

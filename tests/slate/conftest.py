"""A catalogue made for rules, and lists to fill slates from."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from audotics.data.schema import TRACKS
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


@pytest.fixture(scope="session")
def catalogue() -> SlateCatalogue:
    listeners = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], np.int32)
    return SlateCatalogue(ten_tracks(), listeners, ten_vectors)

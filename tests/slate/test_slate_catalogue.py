from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.schema import TRACKS
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.recordings import normalised_titles, recording_codes
from contract.planted import completed
from contract.ten_tracks import ten_vectors


def catalogue_of(**columns: list[object]) -> SlateCatalogue:
    n_tracks = len(next(iter(columns.values())))
    table = pl.DataFrame({"track_id": [f"t{number}" for number in range(n_tracks)], **columns})
    return SlateCatalogue(completed(table, TRACKS), np.ones(n_tracks, np.int32), ten_vectors)


@pytest.mark.parametrize(
    ("title", "normal"),
    [
        ("Jóga", "jóga"),
        ("Let It Be - Remastered 2009", "let it be"),
        ("Let It Be (2009 Remaster)", "let it be"),
        ("LET  IT BE!", "let it be"),
        ("Hurt (Live)", "hurt live"),
        ("Hurt - Live at Wembley", "hurt live at wembley"),
        ("Blue (feat. Somebody)", "blue"),
        ("Blue [Deluxe Edition]", "blue"),
        ("Blue (Somebody Remix)", "blue somebody remix"),
        ("Blue - Radio Edit", "blue radio edit"),
        ("9-5", "9 5"),
        ("???", None),
        ("東京", "東京"),
    ],
)
def test_titles_lose_what_names_an_edition(title: str, normal: str | None) -> None:
    assert normalised_titles(pl.Series([title])).to_list() == [normal]


def codes(durations: list[int | None], titles: list[str] | None = None) -> list[int]:
    n_tracks = len(durations)
    table = pl.DataFrame(
        {
            "track_id": [str(number) for number in range(n_tracks)],
            "title": titles or ["Same"] * n_tracks,
            "artist": ["Ann"] * n_tracks,
            "duration_ms": durations,
        },
        schema_overrides={"duration_ms": pl.Int64},
    )
    return recording_codes(completed(table, TRACKS)).tolist()


def test_recordings_are_told_apart_by_duration() -> None:
    assert codes([200_000, 202_000, 204_001]) == [0, 0, 1]
    assert codes([204_001, 200_000, 202_000]) == [1, 0, 0]


def test_an_unknown_duration_joins_the_shortest() -> None:
    assert codes([None, 200_000, 300_000]) == [0, 0, 1]
    assert codes([None, None]) == [0, 0]


def test_without_title_or_artist_there_is_no_recording(catalogue: SlateCatalogue) -> None:
    assert catalogue.recording[8:].tolist() == [-1, -1]
    assert catalogue.recording[0] == catalogue.recording[2] != catalogue.recording[1]
    assert catalogue.recording[4] != catalogue.recording[6]
    assert recording_codes(pl.DataFrame({"track_id": ["a"]})).tolist() == [-1]


def test_only_marked_tracks_are_explicit(catalogue: SlateCatalogue) -> None:
    assert catalogue.explicit.tolist() == [1, 4]
    bare = SlateCatalogue(pl.DataFrame({"track_id": ["a"]}), np.ones(1, np.int32), ten_vectors)
    assert bare.explicit.tolist() == []


def test_artists_are_found_by_id_and_by_name(catalogue: SlateCatalogue) -> None:
    by_id, by_name, unknown = catalogue.tracks_by(["B", "  band a ", "Nobody"])
    assert by_id.tolist() == [4, 5, 6]
    assert by_name.tolist() == [0, 1, 2, 3]
    assert unknown.tolist() == []


def test_artists_of_one_name_are_found_together_unless_an_id_says_which() -> None:
    shared = catalogue_of(artist_id=["1", "2", "Twins"], artist=["Twins", "twins", "Other"])
    assert [tracks.tolist() for tracks in shared.tracks_by(["twins", "Twins", "1"])] == [[0, 1], [2], [0]]
    named = catalogue_of(artist=["Ann", "Bob", "Ann"])
    assert [tracks.tolist() for tracks in named.tracks_by(["ann"])] == [[0, 2]]


def test_a_catalogue_without_artists_knows_none() -> None:
    nameless = catalogue_of(title=["a", "b"])
    assert [tracks.tolist() for tracks in nameless.tracks_by(["Ann"])] == [[]]
    assert nameless.artist.tolist() == [-1, -1]

"""The catalogue has the shape of a real one: heavy tails, albums, sound that follows genre and style."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.schema import TRACKS
from audotics.simulation import SimulationConfig, genres
from audotics.simulation.catalogue import ALBUM_LENGTH, Catalogue, make_catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return make_catalogue(SimulationConfig(n_users=10, n_tracks=12_000, n_days=90, seed=4))


@pytest.fixture(scope="module")
def table(catalogue: Catalogue) -> pl.DataFrame:
    return catalogue.table()


def test_table_has_the_schema_and_audio_features(table: pl.DataFrame) -> None:
    assert dict(table.select(list(TRACKS)).schema) == TRACKS
    assert [name for name in table.columns if name not in TRACKS] == [
        f"feature_{name}"
        for name in (
            "danceability",
            "energy",
            "valence",
            "acousticness",
            "instrumentalness",
            "speechiness",
            "tempo",
            "loudness",
        )
    ]
    assert table["track_id"].n_unique() == 12_000
    filled = table.drop("embedding", "tagged_by")
    assert filled.null_count().sum_horizontal().item() == 0


def test_an_album_has_one_artist_one_title_one_date(table: pl.DataFrame) -> None:
    per_album = table.group_by("album_id").agg(
        pl.col("artist_id", "artist", "album", "released").n_unique(), pl.len()
    )
    assert per_album.select(pl.col("artist_id", "artist", "album", "released").max()).row(0) == (1, 1, 1, 1)
    assert per_album["len"].max() == ALBUM_LENGTH
    assert table.group_by("artist_id").agg(pl.col("artist").n_unique())["artist"].max() == 1


def test_running_order_keeps_artists_together_and_albums_by_date(catalogue: Catalogue) -> None:
    order = catalogue.albums.running_order
    assert sorted(order) == list(range(catalogue.n_tracks))
    artist, day = catalogue.albums.artist[order], catalogue.albums.release_day[order]
    assert (np.diff(artist) >= 0).all()
    same = artist[1:] == artist[:-1]
    assert (np.diff(day)[same] >= 0).all()


def test_catalogue_sizes_and_appeal_have_heavy_tails(catalogue: Catalogue) -> None:
    sizes = np.bincount(catalogue.albums.artist)
    assert sizes.max() > 5 * sizes.mean()
    top = np.sort(catalogue.appeal)[::-1]
    assert top[: len(top) // 100].sum() / top.sum() > 0.2, "one track in a hundred has a fifth of the appeal"


@pytest.mark.parametrize(
    ("feature", "low", "high"),
    [
        ("danceability", 0, 1),
        ("energy", 0, 1),
        ("valence", 0, 1),
        ("acousticness", 0, 1),
        ("instrumentalness", 0, 1),
        ("speechiness", 0, 1),
        ("tempo", 50, 215),
        ("loudness", -45, 0),
    ],
)
def test_features_are_in_their_ranges(catalogue: Catalogue, feature: str, low: float, high: float) -> None:
    values = catalogue.sound[feature]
    assert np.isfinite(values).all()
    assert values.min() >= low and values.max() <= high
    assert values.std() > 0


def test_sound_follows_genre(catalogue: Catalogue) -> None:
    for name in ("danceability", "energy", "acousticness", "instrumentalness", "tempo"):
        total = np.bincount(catalogue.genre, catalogue.sound[name], genres.N_GENRES)
        mean = total / np.bincount(catalogue.genre, minlength=genres.N_GENRES)
        assert np.corrcoef(mean, genres.column(name))[0, 1] > 0.95, name


def test_sound_tells_style_inside_a_genre(catalogue: Catalogue) -> None:
    rock = catalogue.genre == genres.NAMES.index("rock")
    energy = [catalogue.sound["energy"][rock & (catalogue.style == style)].mean() for style in (0, 2)]
    assert energy[0] > energy[1] + 0.08


def test_loud_is_energetic(catalogue: Catalogue) -> None:
    assert np.corrcoef(catalogue.sound["loudness"], catalogue.sound["energy"])[0, 1] > 0.6


def test_releases_before_and_during_the_log(catalogue: Catalogue) -> None:
    day = catalogue.albums.release_day
    during = day >= 0
    assert 0.06 < during.mean() < 0.2
    assert day.max() < 90
    assert np.ptp(day[during]) > 60, "spread over the log, not bunched"
    assert day.min() < -365 * 10


def test_released_column_is_the_day_of_the_log(catalogue: Catalogue, table: pl.DataFrame) -> None:
    start = catalogue.config.started_on.date()
    days = (table["released"] - start).dt.total_days().to_numpy()
    assert (days == catalogue.albums.release_day).all()


def test_decade_tag_is_the_decade_of_release(table: pl.DataFrame) -> None:
    decade = pl.format("{}s", pl.col("released").dt.year() // 10 * 10)
    assert table.select(pl.col("tags").list.contains(decade).all()).item()


def test_tags_are_a_multiset_without_blanks(table: pl.DataFrame) -> None:
    tags = table["tags"]
    assert not tags.explode().is_in(["", " "]).any()
    assert tags.list.len().min() >= 2
    assert (tags.list.len() > tags.list.n_unique()).any(), "some tag stands twice"


def test_genres_column_names_the_true_genre_for_most_tracks(
    catalogue: Catalogue, table: pl.DataFrame
) -> None:
    true = pl.Series(genres.NAMES).gather(catalogue.genre)
    assert (table["genres"].list.first() == true).all()
    assert table["genres"].list.len().is_between(1, 2).all()


def test_explicit_tracks_follow_the_genre(catalogue: Catalogue) -> None:
    share = [
        catalogue.explicit[catalogue.genre == genres.NAMES.index(name)].mean()
        for name in ("hip hop", "classical")
    ]
    assert share[0] > 0.5 and share[1] == 0


def test_the_smallest_catalogues_can_be_played_from_the_first_day() -> None:
    for n_tracks in (1, 2, 7):
        for share in (0.0, 1.0):
            config = SimulationConfig(n_users=1, n_tracks=n_tracks, n_days=5, new_release_share=share)
            made = make_catalogue(config)
            assert made.n_tracks == n_tracks
            assert (made.albums.release_day <= 0).any()
            assert made.table().height == n_tracks

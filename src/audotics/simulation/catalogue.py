"""The simulated catalogue: artists, albums and tracks, with sound that follows genre and style."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.schema import FEATURE_PREFIX, TRACKS
from audotics.domain import BoolArray, FloatArray, IndexArray
from audotics.simulation import genres
from audotics.simulation.config import SimulationConfig
from audotics.simulation.names import artist_names, titles
from audotics.simulation.sampling import draw, draw_rows, place_in_group

TRACKS_PER_ARTIST = 14
ALBUM_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Albums:
    """Who made which tracks, and when they came out.

    Args:
        artist: ``[n_tracks]`` artist number.
        album: ``[n_tracks]`` album number; an album has one artist and one release day.
        release_day: ``[n_tracks]`` days after the start of the log; negative is before it.
        running_order: ``[n_tracks]`` track numbers, each artist's together, albums oldest first.
    """

    artist: IndexArray
    album: IndexArray
    release_day: IndexArray
    running_order: IndexArray


@dataclass(frozen=True)
class Catalogue:
    """All tracks of the simulated service, one entry per track number.

    Args:
        config: The simulation's settings.
        albums: Artist, album and release of each track.
        genre: ``[n_tracks]`` place in `genres.GENRES`.
        second_genre: ``[n_tracks]`` the other genre its artist is filed under (may be the same).
        style: ``[n_tracks]`` place on the ring of styles inside the genre.
        appeal: ``[n_tracks]`` how popular the track is by itself, heavy-tailed.
        duration_ms: ``[n_tracks]``.
        explicit: ``[n_tracks]``.
        sound: Audio features by name, each ``[n_tracks]``.
    """

    config: SimulationConfig
    albums: Albums
    genre: IndexArray
    second_genre: IndexArray
    style: IndexArray
    appeal: FloatArray
    duration_ms: IndexArray
    explicit: BoolArray
    sound: dict[str, FloatArray]

    @property
    def n_tracks(self) -> int:
        """Size of the catalogue."""
        return len(self.genre)

    @property
    def cell(self) -> IndexArray:
        """``[n_tracks]``: genre and style as one number, the grain at which listeners choose."""
        cell: IndexArray = self.genre * genres.N_STYLES + self.style
        return cell

    @property
    def released(self) -> npt.NDArray[np.datetime64]:
        """``[n_tracks]`` dates of release."""
        start = np.datetime64(self.config.started_on.date(), "D")
        dates: npt.NDArray[np.datetime64] = start + self.albums.release_day.astype("timedelta64[D]")
        return dates

    @cached_property
    def track_ids(self) -> pl.Series:
        """Ids ``[n_tracks]``; the digits are the track number."""
        return _ids("t", np.arange(self.n_tracks), "track_id")

    def table(self) -> pl.DataFrame:
        """The tracks table, with ``feature_*`` columns for the sound."""
        rng = self.config.generator("names")
        albums = self.albums
        artist_name = artist_names(int(albums.artist.max()) + 1, rng)
        album_title = titles(int(albums.album.max()) + 1, rng)
        columns = {
            "track_id": self.track_ids,
            "title": titles(self.n_tracks, rng),
            "artist_id": _ids("a", albums.artist, "artist_id"),
            "artist": artist_name.gather(albums.artist),
            "album_id": _ids("b", albums.album, "album_id"),
            "album": album_title.gather(albums.album),
            "duration_ms": self.duration_ms,
            "released": pl.Series(self.released),
            "explicit": self.explicit,
            "genres": _lists(np.array(genres.NAMES), self.genre, self.second_genre),
            "tags": self._tags(rng),
            "tagged_by": pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, self.n_tracks),
            "embedding": pl.Series([None], dtype=pl.List(pl.Float32)).new_from_index(0, self.n_tracks),
        }
        features = {f"{FEATURE_PREFIX}{name}": values for name, values in self.sound.items()}
        return pl.DataFrame(columns | features, schema_overrides=TRACKS)

    def _tags(self, rng: np.random.Generator) -> pl.Series:
        """A multiset of tags per track: genre, mood, decade, and sometimes the genre again."""
        year = self.released.astype("datetime64[Y]").astype(np.int64) + 1970
        mood = np.where(
            self.sound["energy"] > 0.6,
            np.where(self.sound["valence"] > 0.5, "party", "intense"),
            np.where(self.sound["valence"] > 0.5, "happy", "melancholic"),
        )
        spoken = np.array([genre.tags for genre in genres.GENRES])
        first, second = spoken[self.genre].T
        frame = pl.DataFrame(
            {
                "first": first,
                "second": np.where(rng.random(self.n_tracks) < 0.5, second, ""),
                "again": np.where(rng.random(self.n_tracks) < 0.3, first, ""),
                "mood": np.where(rng.random(self.n_tracks) < 0.7, mood, ""),
                "decade": np.char.add((year // 10 * 10).astype("U4"), "s"),
            }
        )
        return frame.select(
            pl.concat_list(pl.all()).list.filter(pl.element() != "").alias("tags")
        ).to_series()


def make_catalogue(config: SimulationConfig) -> Catalogue:
    """Draw the catalogue: artists by genre share, fame and catalogue size heavy-tailed, sound by genre."""
    rng = config.generator("catalogue")
    n_artists = max(1, round(config.n_tracks / TRACKS_PER_ARTIST))
    home = draw(genres.shares(), n_artists, rng)
    other = draw_rows(genres.nearness(), home, rng)
    artist_style = rng.integers(0, genres.N_STYLES, n_artists)
    fame = 1.0 + rng.pareto(1.2, n_artists)
    albums = _make_albums(config, draw(rng.lognormal(0.0, 0.8, n_artists), config.n_tracks, rng), rng)
    artist, n_tracks = albums.artist, config.n_tracks
    genre = np.where(rng.random(n_tracks) < 0.85, home[artist], other[artist]).astype(np.int32)
    stray = rng.random(n_tracks) < 0.1
    style = np.where(stray, rng.integers(0, genres.N_STYLES, n_tracks), artist_style[artist]).astype(np.int32)
    return Catalogue(
        config=config,
        albums=albums,
        genre=genre,
        second_genre=other[artist].astype(np.int32),
        style=style,
        appeal=(fame[artist] * rng.lognormal(0.0, 1.2, n_tracks)).astype(np.float32),
        duration_ms=(rng.lognormal(np.log(210.0), 0.25, n_tracks).clip(60, 900) * 1000).astype(np.int32),
        explicit=rng.random(n_tracks) < genres.column("explicit")[genre],
        sound=_make_sound(genre, style, artist, rng),
    )


def _make_albums(config: SimulationConfig, artist: npt.NDArray[np.int64], rng: np.random.Generator) -> Albums:
    by_artist = np.argsort(artist, kind="stable")
    part = np.empty(len(artist), np.int64)
    part[by_artist] = place_in_group(artist[by_artist]) // ALBUM_LENGTH
    key = artist * (len(artist) // ALBUM_LENGTH + 1) + part
    _, album = np.unique(key, return_inverse=True)
    n_albums = int(album.max()) + 1
    new = rng.random(n_albums) < config.new_release_share
    past = -1 - rng.exponential(6 * 365.0, n_albums).clip(0, 60 * 365)
    day = np.where(new, rng.integers(0, config.n_days, n_albums), past).astype(np.int32)
    if new.all():
        day[rng.integers(n_albums)] = -1  # A service without a single track on its first day plays nothing.
    release_day = day[album]
    return Albums(
        artist.astype(np.int32),
        album.astype(np.int32),
        release_day,
        np.lexsort((album, release_day, artist)).astype(np.int32),
    )


def _make_sound(
    genre: IndexArray, style: IndexArray, artist: IndexArray, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Audio features: a beta distribution round the genre's mean, moved a little by style and artist."""
    angle = 2 * np.pi * style / genres.N_STYLES
    own = rng.normal(0.0, 0.04, (int(artist.max()) + 1, 2))[artist]
    lean = {
        "energy": 0.10 * np.cos(angle) + own[:, 0],
        "acousticness": -0.08 * np.cos(angle) - own[:, 0],
        "valence": 0.10 * np.sin(angle) + own[:, 1],
        "danceability": 0.08 * np.sin(angle) + own[:, 1],
    }
    sound: dict[str, npt.NDArray[np.float64]] = {}
    for name, concentration in _CONCENTRATION.items():
        mean = np.clip(genres.column(name)[genre] + lean.get(name, 0.0), 0.01, 0.99)
        sound[name] = rng.beta(mean * concentration, (1 - mean) * concentration)
    sound["tempo"] = rng.normal(genres.column("tempo")[genre], 22.0).clip(50, 215)
    sound["loudness"] = (-15.0 + 11.0 * sound["energy"] + rng.normal(0, 2.0, len(genre))).clip(-45, 0)
    return {name: values.astype(np.float32) for name, values in sound.items()}


_CONCENTRATION = {
    "danceability": 14.0,
    "energy": 11.0,
    "valence": 6.0,
    "acousticness": 3.0,
    "instrumentalness": 1.0,
    "speechiness": 20.0,
}
"""Sum of the two parameters of each feature's beta distribution: the larger, the tighter."""


def _ids(letter: str, numbers: npt.NDArray[np.integer], name: str) -> pl.Series:
    digits = pl.Series(numbers).cast(pl.String).str.zfill(7)
    return (pl.Series([letter]).new_from_index(0, len(digits)) + digits).alias(name)


def _lists(names: npt.NDArray[np.str_], first: IndexArray, second: IndexArray) -> pl.Series:
    frame = pl.DataFrame({"first": names[first], "second": names[second]})
    return frame.select(pl.concat_list("first", "second").list.unique(maintain_order=True)).to_series()

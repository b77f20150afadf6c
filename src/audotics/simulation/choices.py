"""Which track plays next: by taste and hour, from the charts, from favourites, or on with the album."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray, IndexArray, TimeArray
from audotics.simulation import genres
from audotics.simulation.catalogue import Catalogue
from audotics.simulation.listeners import Listeners
from audotics.simulation.sampling import draw_rows
from audotics.simulation.sessions import Sessions

N_FAVOURITES = 24
KEEP_FAVOURITE = 0.25
"""Share of completed listens whose track becomes a favourite."""

SAME_GENRE = 0.75
"""Share of a session's listens that stay in the genre it began with."""

FRESHNESS = 4.0
FRESH_DAYS = 14.0
"""A new track is ``1 + FRESHNESS`` times as visible on its first day, fading with this time constant."""

FORGETTING = 0.9
"""What is left of a track's social feedback after one day."""


class Charts:
    """What is available and how visible it is; listening feeds back into visibility.

    A choice inside a cell (genre and style) inverts the cumulative visibility of the cell's tracks.

    Args:
        catalogue: All tracks, those not yet released included.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        n_cells = genres.N_GENRES * genres.N_STYLES
        self._by_cell = np.argsort(catalogue.cell, kind="stable")
        self._bounds = np.searchsorted(catalogue.cell[self._by_cell], np.arange(n_cells + 1))
        self._cell_distance = _cell_distance()
        self._recent_plays = np.zeros(catalogue.n_tracks)
        self.open_day(0)

    def open_day(self, day: int) -> None:
        """Set visibility for one day: nothing unreleased, a boost for the new, feedback from recent plays."""
        age = day - self._catalogue.albums.release_day
        visible = np.where(age >= 0, self._catalogue.appeal, 0.0).astype(np.float64)
        visible = visible * (1 + FRESHNESS * np.exp(-age.clip(0) / FRESH_DAYS) * (age < 10 * FRESH_DAYS))
        visible = visible * np.sqrt(1 + self._recent_plays)
        self._popular = np.append(0.0, np.cumsum(visible[self._by_cell]))
        self._even = np.append(0.0, np.cumsum(np.sqrt(visible[self._by_cell])))
        filled = self._popular[self._bounds[1:]] > self._popular[self._bounds[:-1]]
        self._stand_in = np.where(filled, self._cell_distance, np.inf).argmin(axis=1)
        self._recent_plays *= FORGETTING

    def count_plays(self, track: TimeArray) -> None:
        """Plays ``[n]`` that make their tracks more visible from the next day on."""
        self._recent_plays += np.bincount(track, minlength=self._catalogue.n_tracks)

    def from_cell(self, cell: TimeArray, mainstream: BoolArray, rng: np.random.Generator) -> TimeArray:
        """A track from each cell ``[n]`` (or the nearest cell with any), by visibility or nearly evenly."""
        cell = self._stand_in[cell]
        low, high = self._bounds[cell], self._bounds[cell + 1]
        chance = rng.random(len(cell))
        found = np.empty(len(cell), np.int64)
        for cumulative, chosen in ((self._popular, mainstream), (self._even, ~mainstream)):
            floor, ceiling = cumulative[low[chosen]], cumulative[high[chosen]]
            target = floor + chance[chosen] * (ceiling - floor)
            found[chosen] = np.searchsorted(cumulative, target, side="right") - 1
        track: TimeArray = self._by_cell[np.clip(found, low, high - 1)]
        return track

    def from_everything(self, n: int, rng: np.random.Generator) -> TimeArray:
        """``n`` tracks by visibility alone."""
        target = rng.random(n) * self._popular[-1]
        place = np.searchsorted(self._popular, target, side="right") - 1
        track: TimeArray = self._by_cell[np.minimum(place, len(self._by_cell) - 1)]
        return track


@dataclass(frozen=True, slots=True)
class Choice:
    """The tracks of all listens of a block.

    Args:
        track: ``[n_listens]`` track number.
        favourite: ``[n_listens]`` whether the listener returned to a favourite.
    """

    track: TimeArray
    favourite: BoolArray


class Favourites:
    """The tracks each listener returns to: a ring of the latest that went well.

    Args:
        n_users: Number of listeners; the memory is ``[n_users, N_FAVOURITES]``.
    """

    def __init__(self, n_users: int) -> None:
        self._tracks = np.full((n_users, N_FAVOURITES), -1, np.int32)
        self._next = np.zeros(n_users, np.int32)

    def recall(self, user: TimeArray, rng: np.random.Generator) -> IndexArray:
        """One favourite of each listener ``[n]``, -1 where the place drawn is still empty."""
        recalled: IndexArray = self._tracks[user, rng.integers(0, N_FAVOURITES, len(user))]
        return recalled

    def learn(self, user: TimeArray, track: TimeArray) -> None:
        """Remember tracks; ``user`` is grouped by listener, and later entries push out older ones."""
        if not len(user):
            return
        is_first = np.append(True, user[1:] != user[:-1])
        group = np.cumsum(is_first) - 1
        place = np.arange(len(user)) - np.flatnonzero(is_first)[group]
        self._tracks[user, (self._next[user] + place) % N_FAVOURITES] = track
        counts = np.bincount(group)
        self._next[user[is_first]] = (self._next[user[is_first]] + counts) % N_FAVOURITES


class Chooser:
    """Chooses the tracks of whole blocks of sessions.

    Args:
        catalogue: All tracks.
        listeners: All listeners.
    """

    def __init__(self, catalogue: Catalogue, listeners: Listeners) -> None:
        self._catalogue = catalogue
        self._listeners = listeners
        self._order = catalogue.albums.running_order
        self._place = np.empty(catalogue.n_tracks, np.int64)
        self._place[self._order] = np.arange(catalogue.n_tracks)
        artist = catalogue.albums.artist
        self._artist_size = np.bincount(artist)
        self._artist_start = np.cumsum(self._artist_size) - self._artist_size
        self._fit = np.exp(listeners.config.context_strength * genres.slot_fit())
        self.charts = Charts(catalogue)
        self.favourites = Favourites(listeners.n_users)

    def choose(self, sessions: Sessions, taste: FloatArray, day: int, rng: np.random.Generator) -> Choice:
        """Tracks for every listen of the sessions.

        Args:
            sessions: A block of sessions.
            taste: ``[n_sessions, N_GENRES]`` the listeners' taste on that day.
            day: Day of the log; nothing released later is chosen.
            rng: Where the randomness comes from.
        """
        config = self._listeners.config
        session = np.repeat(np.arange(len(sessions.user)), sessions.length)
        user, n = sessions.user[session], len(session)
        wish = taste * self._fit[sessions.slot]
        main = draw_rows(wish, np.arange(len(sessions.user)), rng)
        genre = np.where(rng.random(n) < SAME_GENRE, main[session], draw_rows(wish, session, rng))
        step = draw_rows(genres.STYLE_KERNEL[None], np.zeros(n, np.int64), rng)
        cell = genre * genres.N_STYLES + (self._listeners.style[user] + step) % genres.N_STYLES
        mainstream = rng.random(n) < self._listeners.mainstream[user]
        track = self.charts.from_cell(cell, mainstream, rng)
        exploring = rng.random(n) < config.exploration
        track[exploring] = self.charts.from_everything(int(exploring.sum()), rng)
        recalled = self.favourites.recall(user, rng)
        favourite = (rng.random(n) < self._listeners.familiarity[user]) & (recalled >= 0) & ~exploring
        track[favourite] = recalled[favourite]
        begins = np.append(True, session[1:] != session[:-1]) if n else np.zeros(0, np.bool_)
        goes_on = ~begins & (rng.random(n) < config.album_runs)
        return Choice(self._continued(track, goes_on, day), favourite & ~goes_on)

    def _continued(self, track: TimeArray, goes_on: BoolArray, day: int) -> TimeArray:
        """Replace listens that go on by the next tracks of the artist (by the same, if not yet released)."""
        at = np.arange(len(track))
        source = np.maximum.accumulate(np.where(goes_on, 0, at))
        origin = track[source]
        artist = self._catalogue.albums.artist[origin]
        start, size = self._artist_start[artist], self._artist_size[artist]
        following = self._order[start + (self._place[origin] - start + at - source) % size]
        released = self._catalogue.albums.release_day[following] <= day
        return np.where(goes_on & released, following, origin).astype(np.int64)


def _cell_distance() -> npt.NDArray[np.float64]:
    """How far cells are from each other ``[n_cells, n_cells]``: first by genre, then by place on the ring."""
    by_genre = 1.0 - genres.nearness() + 2.0 * ~np.eye(genres.N_GENRES, dtype=np.bool_)
    apart = np.abs(np.arange(genres.N_STYLES)[:, None] - np.arange(genres.N_STYLES))
    by_style = np.minimum(apart, genres.N_STYLES - apart) / genres.N_STYLES
    shape = (genres.N_GENRES, genres.N_STYLES)
    genre, style = (part.ravel() for part in np.indices(shape))
    distance: npt.NDArray[np.float64] = by_genre[genre][:, genre] + by_style[style][:, style]
    return distance

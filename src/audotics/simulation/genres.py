"""The genres of the simulated world: how they sound, how near they are, when they are wanted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audotics.domain import FloatArray


class Genre(NamedTuple):
    """A genre and the mean of its tracks' audio features (0 to 1, tempo in beats per minute).

    ``share`` is its weight among artists, ``age_slope`` how much more it is liked per 15 years of
    age, ``explicit`` the share of tracks with explicit lyrics, ``tags`` what listeners call it.
    """

    name: str
    share: float
    danceability: float
    energy: float
    valence: float
    tempo: float
    acousticness: float
    instrumentalness: float
    speechiness: float
    age_slope: float
    explicit: float
    tags: tuple[str, str]


# fmt: off
GENRES = (
    Genre("pop",        0.17, 0.65, 0.65, 0.52, 118, 0.20, 0.01, 0.07, -0.3, 0.12, ("pop", "catchy")),
    Genre("rock",       0.14, 0.50, 0.74, 0.50, 126, 0.14, 0.06, 0.06,  0.4, 0.06, ("rock", "guitar")),
    Genre("hip hop",    0.14, 0.74, 0.64, 0.47, 112, 0.15, 0.02, 0.22, -0.6, 0.60, ("hip hop", "rap")),
    Genre("electronic", 0.09, 0.68, 0.76, 0.42, 125, 0.06, 0.50, 0.07, -0.2, 0.04, ("electronic", "club")),
    Genre("r&b",        0.07, 0.64, 0.50, 0.45, 108, 0.35, 0.02, 0.09, -0.3, 0.25, ("r&b", "smooth")),
    Genre("latin",      0.08, 0.73, 0.70, 0.64, 110, 0.22, 0.01, 0.09, -0.1, 0.15, ("latin", "fiesta")),
    Genre("metal",      0.05, 0.40, 0.90, 0.33, 130, 0.02, 0.20, 0.09,  0.0, 0.15, ("metal", "heavy")),
    Genre("jazz",       0.04, 0.52, 0.35, 0.50, 112, 0.68, 0.40, 0.06,  0.5, 0.01, ("jazz", "swing")),
    Genre("classical",  0.04, 0.28, 0.15, 0.20, 102, 0.94, 0.78, 0.04,  0.6, 0.00, ("classical", "strings")),
    Genre("folk",       0.05, 0.50, 0.33, 0.42, 116, 0.72, 0.06, 0.04,  0.3, 0.03, ("folk", "acoustic")),
    Genre("country",    0.06, 0.57, 0.63, 0.56, 124, 0.30, 0.01, 0.04,  0.3, 0.03, ("country", "americana")),
    Genre("ambient",    0.03, 0.30, 0.20, 0.18,  98, 0.80, 0.85, 0.04,  0.1, 0.00, ("ambient", "drone")),
    Genre("reggae",     0.03, 0.75, 0.60, 0.72, 112, 0.17, 0.03, 0.12,  0.1, 0.10, ("reggae", "dub")),
    Genre("soul",       0.04, 0.60, 0.50, 0.62, 110, 0.50, 0.05, 0.06,  0.4, 0.02, ("soul", "funk")),
    Genre("punk",       0.03, 0.46, 0.90, 0.55, 150, 0.03, 0.04, 0.08,  0.0, 0.25, ("punk", "loud")),
    Genre("indie",      0.08, 0.55, 0.60, 0.48, 122, 0.28, 0.12, 0.05, -0.3, 0.05, ("indie", "alternative")),
)
# fmt: on

NAMES = tuple(genre.name for genre in GENRES)
N_GENRES = len(GENRES)

N_STYLES = 5
"""Each genre has as many styles, placed on a ring; a listener likes one place of the ring in all genres."""

STYLE_KERNEL = np.array([0.5, 0.2, 0.05, 0.05, 0.2])
"""``[N_STYLES]``: how often a listener chooses a style that lies so many places on from their own."""

SLOTS = ("night", "morning", "day", "evening", "weekend evening")
"""Parts of the local day with their own wishes."""


def column(name: str) -> npt.NDArray[np.float64]:
    """One property of every genre ``[N_GENRES]``."""
    return np.array([getattr(genre, name) for genre in GENRES], dtype=np.float64)


def shares() -> npt.NDArray[np.float64]:
    """Weight of each genre ``[N_GENRES]``, summing to 1."""
    weights = column("share")
    share: npt.NDArray[np.float64] = weights / weights.sum()
    return share


def _sound() -> npt.NDArray[np.float64]:
    names = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness")
    sound = np.stack([column(name) for name in names], axis=1)
    standardised: npt.NDArray[np.float64] = (sound - sound.mean(axis=0)) / sound.std(axis=0)
    return standardised


def nearness() -> FloatArray:
    """How likely a lover of one genre also likes another ``[N_GENRES, N_GENRES]``, rows summing to 1.

    A Gaussian kernel over the genres' standardised audio profiles, so that taste and sound agree.
    """
    sound = _sound()
    distance2 = ((sound[:, None] - sound[None]) ** 2).sum(axis=2)
    kernel = np.exp(-distance2)
    near: FloatArray = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return near


def slot_fit() -> npt.NDArray[np.float64]:
    """How well each genre fits each part of the day ``[len(SLOTS), N_GENRES]``, a log weight around 0."""
    dance, energy, _, acoustic, instrumental, _ = _sound().T
    calm = (acoustic - energy) / 2
    fit = np.stack([calm, energy - 0.3 * instrumental, 0.4 * instrumental, 0.6 * calm, dance + 0.4 * energy])
    centred: npt.NDArray[np.float64] = fit - fit.mean(axis=1, keepdims=True)
    return centred


def slot_of(local_hour: npt.NDArray[np.integer], weekend: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The part of the day (place in `SLOTS`) of each local hour ``[n]``, given whether it is a weekend."""
    slot = np.digitize(local_hour, [5, 10, 17, 23])
    slot = np.where(slot == 4, 0, slot)
    return np.where((slot == 3) & weekend, 4, slot)

"""Are planted tastes recovered: do recommendations have the genres that their listeners love now?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.errors import BadInputError
from audotics.simulation import genres
from audotics.simulation.truth import Truth


@dataclass(frozen=True, slots=True)
class TasteRecovery:
    """How near the genres of recommendations are to true tastes; 1 is the same mix, 0 shares no genre.

    Args:
        n_listeners: Listeners with recommendations.
        n_drifted: Those of them whose taste has jumped.
        current: Mean closeness of a listener's recommendations to the listener's current taste.
        popular: The same for the popular tracks, recommended to everybody.
        others: The same for recommendations handed to the next listener: what knowing the person adds.
        affinity: Mean true affinity of the recommended tracks, 0 to 1.
        affinity_popular: The same for the popular tracks.
        drifted_current: Closeness to the current taste among drifted listeners; NaN without any.
        drifted_old: Their closeness to the taste they had before.
        drifted_followed: Share of them whose recommendations are nearer to the current than to the old taste.
    """

    n_listeners: int
    n_drifted: int
    current: float
    popular: float
    others: float
    affinity: float
    affinity_popular: float
    drifted_current: float
    drifted_old: float
    drifted_followed: float


def recovered_tastes(
    slates: pl.DataFrame, truth: Truth, *, popular: Sequence[str], at: datetime | None = None
) -> TasteRecovery:
    """Measure recommendations against the truth.

    Closeness of two genre mixes p and q is ``1 - sum(|p - q|) / 2``, their shared mass. The mix of a
    slate counts each track once.

    Args:
        slates: Columns user_id and track_id, one row per recommended track.
        truth: The simulation's truth.
        popular: Track ids of the popularity baseline, as many as a slate has.
        at: When the recommendations are for; None is the end of the log.

    Raises:
        BadInputError: There is nothing to measure, or an id is not of this simulation.
    """
    if slates.is_empty() or not popular:
        raise BadInputError("no recommendations to measure", where="recovered_tastes")
    listeners = slates["user_id"].unique().sort()
    row = listeners.search_sorted(slates["user_id"]).to_numpy()
    mix = _mixes(row, truth.track_genre[truth.tracks(slates["track_id"])], len(listeners))
    popular_mix = _mixes(np.zeros(len(popular), np.int64), truth.track_genre[truth.tracks(popular)], 1)
    now = truth.taste(listeners, at)
    old = truth.taste(listeners, truth.config.started_on)
    drifted = truth.drifted(listeners, at)
    to_now, to_old = _closeness(mix, now), _closeness(mix, old)
    return TasteRecovery(
        n_listeners=len(listeners),
        n_drifted=int(drifted.sum()),
        current=float(to_now.mean()),
        popular=float(_closeness(popular_mix, now).mean()),
        others=float(_closeness(np.roll(mix, 1, axis=0), now).mean()),
        affinity=float(truth.affinity(slates["user_id"], slates["track_id"], at).mean()),
        affinity_popular=_popular_affinity(truth, listeners, popular, at),
        drifted_current=_mean(to_now[drifted]),
        drifted_old=_mean(to_old[drifted]),
        drifted_followed=_mean(to_now[drifted] > to_old[drifted]),
    )


def _mixes(
    row: npt.NDArray[np.integer], genre: npt.NDArray[np.integer], n_rows: int
) -> npt.NDArray[np.float64]:
    counts = np.bincount(row * genres.N_GENRES + genre, minlength=n_rows * genres.N_GENRES)
    table = counts.reshape(n_rows, genres.N_GENRES)
    mix: npt.NDArray[np.float64] = table / table.sum(axis=1, keepdims=True)
    return mix


def _closeness(mix: npt.NDArray[np.floating], taste: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    closeness: npt.NDArray[np.float64] = 1.0 - np.abs(mix - taste).sum(axis=1) / 2
    return closeness


def _popular_affinity(
    truth: Truth, listeners: pl.Series, popular: Sequence[str], at: datetime | None
) -> float:
    pairs = listeners.to_frame("user_id").join(pl.DataFrame({"track_id": list(popular)}), how="cross")
    return float(truth.affinity(pairs["user_id"], pairs["track_id"], at).mean())


def _mean(values: npt.NDArray[np.generic]) -> float:
    return float(values.mean()) if len(values) else float("nan")

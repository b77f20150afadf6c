"""What is true of a simulated service: tastes, drift, affinity, and the chance of a like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl

from audotics.domain import BoolArray, FloatArray, IndexArray, TimeArray
from audotics.errors import BadInputError, DamagedError
from audotics.simulation import genres
from audotics.simulation.catalogue import Catalogue
from audotics.simulation.config import SimulationConfig
from audotics.simulation.listeners import Listeners, taste_at
from audotics.simulation.reactions import OUTCOMES, chances, true_affinity

TRUTH_NAME = "truth.json"

Ids: TypeAlias = Sequence[str] | pl.Series
"""Ids of listeners or tracks, one after the other."""


@dataclass(frozen=True)
class Truth:
    """The planted facts that a recommender should recover, never part of the Dataset.

    Args:
        config: The simulation's settings.
        track_genre: ``[n_tracks]`` place in ``genre_names``.
        track_style: ``[n_tracks]`` place on the ring of styles inside the genre.
        taste_before: ``[n_users, N_GENRES]`` at the start of the log.
        taste_after: ``[n_users, N_GENRES]`` at its end.
        drift_day: ``[n_users]`` when the taste jumps, in days after the start; infinite if it does not.
        user_style: ``[n_users]`` preferred place on the ring of styles.
    """

    config: SimulationConfig
    track_genre: IndexArray
    track_style: IndexArray
    taste_before: FloatArray
    taste_after: FloatArray
    drift_day: FloatArray
    user_style: IndexArray

    genre_names = genres.NAMES

    @classmethod
    def of(cls, catalogue: Catalogue, listeners: Listeners) -> Truth:
        """The truth about a generated world."""
        return cls(
            config=catalogue.config,
            track_genre=catalogue.genre,
            track_style=catalogue.style,
            taste_before=listeners.taste_before,
            taste_after=listeners.taste_after,
            drift_day=listeners.drift_day,
            user_style=listeners.style,
        )

    @staticmethod
    def folder(dataset: Path) -> Path:
        """Where the truth about a dataset stands: beside it, where nothing that reads the Dataset sees it."""
        place = dataset.resolve()
        return place.with_name(f"{place.name}.truth")

    def tracks(self, track_ids: Ids) -> TimeArray:
        """Track numbers ``[n]`` of track ids."""
        return _numbers(track_ids, "t", len(self.track_genre))

    def users(self, user_ids: Ids) -> TimeArray:
        """Listener numbers ``[n]`` of user ids."""
        return _numbers(user_ids, "u", len(self.user_style))

    def taste(self, user_ids: Ids, at: datetime | None = None) -> FloatArray:
        """Genre weights ``[n, N_GENRES]`` of listeners at a moment (None: the end of the log)."""
        return self._taste(self.users(user_ids), at)

    def drifted(self, user_ids: Ids, at: datetime | None = None) -> BoolArray:
        """Whether each listener's taste has jumped by then ``[n]``."""
        drifted: BoolArray = self.drift_day[self.users(user_ids)] <= self._day(at)
        return drifted

    def affinity(self, user_ids: Ids, track_ids: Ids, at: datetime | None = None) -> FloatArray:
        """How well each track suits its listener at a moment ``[n]``, 0 to 1 (`reactions.true_affinity`)."""
        user, track = self.users(user_ids), self.tracks(track_ids)
        taste = self._taste(user, at)
        return true_affinity(taste, self.user_style[user], self.track_genre[track], self.track_style[track])

    def like_probability(self, user_ids: Ids, track_ids: Ids, at: datetime | None = None) -> FloatArray:
        """Chance that a first listen of each track ends in a like ``[n]``."""
        affinity = self.affinity(user_ids, track_ids, at)
        table = chances(affinity, np.zeros(len(affinity), np.bool_))
        return table[:, OUTCOMES.index("like")]

    def save(self, folder: Path) -> None:
        """Write one ``.npy`` file per array, and last ``truth.json``, without which nothing is loaded."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        facts = {"config": self.config.model_dump(mode="json"), "genre_names": list(self.genre_names)}
        (folder / TRUTH_NAME).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read the truth from its folder, or from beside the dataset that ``path`` names.

        Raises:
            BadInputError: There is no truth there: the dataset was not simulated.
            DamagedError: A file is missing or not readable.
        """
        folder = path if (path / TRUTH_NAME).exists() else cls.folder(path)
        if not (folder / TRUTH_NAME).exists():
            raise BadInputError(
                f"no {TRUTH_NAME}", where=str(path), remedy="Only a simulated dataset has a truth beside it"
            )
        try:
            facts = json.loads((folder / TRUTH_NAME).read_text(encoding="utf-8"))
            arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
            truth = cls(config=SimulationConfig.model_validate(facts["config"]), **arrays)
            if (len(truth.user_style), len(truth.track_genre)) != (
                truth.config.n_users,
                truth.config.n_tracks,
            ):
                raise ValueError("its arrays are not as long as its settings say")
            return truth
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"the truth cannot be read ({error})", where=str(folder), remedy="Simulate again"
            ) from error

    def _day(self, at: datetime | None) -> float:
        if at is None:
            return float(self.config.n_days)
        return (at - self.config.started_on).total_seconds() / 86_400

    def _taste(self, user: TimeArray, at: datetime | None) -> FloatArray:
        return taste_at(
            self.taste_before[user],
            self.taste_after[user],
            self.drift_day[user],
            self._day(at),
            self.config.n_days,
        )


_ARRAYS = tuple(field.name for field in fields(Truth) if field.name != "config")


def _numbers(ids: Ids, letter: str, size: int) -> TimeArray:
    column = pl.Series("id", ids, dtype=pl.String)
    numbers = column.str.strip_prefix(letter).cast(pl.Int64, strict=False)
    known = numbers.is_between(0, size - 1).fill_null(False) & column.str.starts_with(letter)
    bad = column.filter(~known)
    if len(bad):
        raise BadInputError(f"no such id in this simulation: {bad[0]}", where="truth")
    return numbers.to_numpy()

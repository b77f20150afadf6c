"""What a version was trained on, as monitoring needs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from audotics.data.listening import Known
from audotics.data.listening_profile import ListeningProfile
from audotics.errors import DamagedError
from audotics.registry import Registry


@dataclass(frozen=True, slots=True)
class Reference:
    """Read from a version without loading its model.

    Args:
        version: Its id.
        profile: Of the listening that it learned from; None where it was published without one.
        tracks: Its catalogue.
        known: Whom and what it knows.
    """

    version: str
    profile: ListeningProfile | None
    tracks: pl.DataFrame
    known: Known

    @classmethod
    def of_version(cls, registry: Registry, reference: str) -> Self:
        """The reference of a version (an id, an alias or ``latest``).

        Raises:
            BadInputError: There is no such version.
            DamagedError: A file of it cannot be read.
        """
        folder = registry.folder(reference)
        try:
            users = json.loads((folder / "vocabulary" / "users.json").read_text(encoding="utf-8"))
            tracks = pl.read_parquet(folder / "tracks.parquet")
            heard = _listeners_per_track(folder, tracks.height)
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise DamagedError(f"the version cannot be read ({error})", where=str(folder)) from error
        known = Known.of(
            pl.Series("user_id", users, dtype=pl.String), tracks.select("track_id", n=pl.Series(heard))
        )
        return cls(registry.resolve(reference), ListeningProfile.read(folder), tracks, known)


def _listeners_per_track(folder: Path, n_tracks: int) -> np.ndarray:
    index = np.load(folder / "histories" / "track_index.npy", mmap_mode="r", allow_pickle=False)
    return np.bincount(index, minlength=n_tracks)

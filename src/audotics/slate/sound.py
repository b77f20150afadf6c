"""Tempo, energy and key of tracks, and how far two tracks are apart to the ear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from audotics.domain import FloatArray, IndexArray

_UNKNOWN = 0.5
"""Distance where one of the two is unknown: between nearest and farthest."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What flow listens to, ``[n_tracks]`` each, NaN where unknown.

    Args:
        tempo: Logarithm to base 2 of the beats per minute.
        energy: Scaled so that the middle 90 % of the catalogue span 1.
        fifths: Place on the circle of fifths, 0 to 11; a minor key stands at its relative major's.
        minor: 1 for minor, 0 for major.
    """

    tempo: FloatArray
    energy: FloatArray
    fifths: FloatArray
    minor: FloatArray

    @classmethod
    def of(cls, track_table: pl.DataFrame) -> Sound:
        """Read ``feature_`` columns tempo (BPM), energy, key (0 is C) and mode (1 is major)."""
        tempo = _column(track_table, "feature_tempo")
        tempo[~(tempo > 0)] = np.nan
        energy = _column(track_table, "feature_energy")
        if np.isfinite(energy).any():
            low, high = np.nanquantile(energy, [0.05, 0.95])
            energy = (energy / max(high - low, 1e-6)).astype(np.float32)
        key = _column(track_table, "feature_key")
        key[~((key >= 0) & (key <= 11))] = np.nan
        mode = _column(track_table, "feature_mode")
        minor = np.where(np.isnan(mode), np.nan, mode < 0.5).astype(np.float32)
        # Three semitones up from a minor key lies its relative major; seven semitones are one fifth.
        major = key + 3 * np.nan_to_num(minor)
        return cls(np.log2(tempo), energy, ((np.round(major) * 7) % 12).astype(np.float32), minor)

    def distances(self, track_index: IndexArray) -> FloatArray:
        """How rough each step would be ``[batch, k, k]``, 0 to 3; a padded track is read as the first.

        The sum of three parts of at most 1: tempo (an octave counts as equal, half an octave as 1),
        energy, and key (steps on the circle of fifths, as DJs mix harmonically; a change between
        major and minor is one step more).

        Args:
            track_index: ``[batch, k]``.
        """
        index = np.maximum(track_index, 0)
        octaves = _differences(self.tempo[index]) % 1.0
        tempo = 2.0 * np.minimum(octaves, 1.0 - octaves)
        energy = np.minimum(np.abs(_differences(self.energy[index])), 1.0)
        steps = np.abs(_differences(self.fifths[index]))
        steps = np.minimum(steps, 12.0 - steps) + np.nan_to_num(np.abs(_differences(self.minor[index])))
        total = sum(
            np.nan_to_num(part, nan=_UNKNOWN) for part in (tempo, energy, np.minimum(steps / 7.0, 1.0))
        )
        return np.asarray(total, dtype=np.float32)


def _column(track_table: pl.DataFrame, name: str) -> FloatArray:
    if name not in track_table.columns:
        return np.full(track_table.height, np.nan, np.float32)
    return track_table[name].cast(pl.Float32).fill_null(np.nan).to_numpy().copy()


def _differences(values: FloatArray) -> FloatArray:
    return values[:, :, None] - values[:, None, :]

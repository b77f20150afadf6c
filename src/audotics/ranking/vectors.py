"""Vectors of listeners and tracks that the deep ranker learned, and those that it starts from."""

from __future__ import annotations

from dataclasses import dataclass

from audotics.domain import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class EarlierVectors:
    """What a trained deep ranker holds.

    Args:
        users: ``[n_users, dim]``, by its own vocabulary.
        tracks: ``[n_tracks, dim]``, embedding and projected content together.
    """

    users: FloatArray
    tracks: FloatArray


@dataclass(frozen=True, slots=True)
class VectorStart:
    """Vectors to begin with; rows that are not told begin at random.

    Args:
        users: ``[n_users, dim]``.
        users_told: ``[n_users]``.
        tracks: ``[n_tracks, dim]``, embedding and projected content together.
        tracks_told: ``[n_tracks]``.
    """

    users: FloatArray
    users_told: BoolArray
    tracks: FloatArray
    tracks_told: BoolArray

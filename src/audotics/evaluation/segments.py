"""Segments: kinds of listeners and kinds of test pairs that an average may hide."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.domain import PADDING, BoolArray, IndexArray, TimeArray
from audotics.evaluation.holdout import Holdout


class Segment(StrEnum):
    """What reports tell apart."""

    COLD_LISTENERS = "cold listeners"
    LIGHT_LISTENERS = "light listeners"
    MEDIUM_LISTENERS = "medium listeners"
    HEAVY_LISTENERS = "heavy listeners"
    NEW_TRACKS = "new tracks"
    KNOWN_TRACKS = "known tracks"
    REPEATS = "repeats"
    DISCOVERIES = "discoveries"


def listener_segments(interactions: Interactions, user_index: IndexArray) -> dict[Segment, BoolArray]:
    """Cold listeners, and warm ones by thirds of how much training's listeners play.

    Cold means no interaction in training. The bounds are the terciles of the plays of all of
    training's listeners, so that they do not move with the test; light is up to the first, heavy
    above the second.

    Args:
        interactions: All of training, a row per listener of the vocabulary.
        user_index: ``[n_listeners]`` those evaluated, -1 for listeners outside the vocabulary.

    Returns:
        Segment -> ``[n_listeners]`` mask; the four masks part the listeners.
    """
    plays = np.bincount(interactions.row_index, weights=interactions.plays, minlength=interactions.n_rows)
    active = plays[interactions.lengths > 0]
    first, second = np.quantile(active, [1 / 3, 2 / 3]) if len(active) else (0.0, 0.0)
    warm = _is_warm(interactions, user_index)
    own = np.where(warm, plays[user_index] if len(plays) else 0.0, 0.0)
    return {
        Segment.COLD_LISTENERS: ~warm,
        Segment.LIGHT_LISTENERS: warm & (own <= first),
        Segment.MEDIUM_LISTENERS: warm & (own > first) & (own <= second),
        Segment.HEAVY_LISTENERS: warm & (own > second),
    }


def _is_warm(interactions: Interactions, user_index: IndexArray) -> BoolArray:
    if interactions.n_rows == 0:
        return np.zeros(len(user_index), np.bool_)
    warm: BoolArray = (user_index != PADDING) & (interactions.lengths[user_index] > 0)
    return warm


def pair_segments(corpus: Corpus, holdout: Holdout, heard: BoolArray) -> dict[Segment, BoolArray]:
    """New and known tracks; repeats and discoveries.

    A track is new when no training event names it. A pair is a repeat when the listener had
    heard the track in training.

    Args:
        corpus: Training.
        holdout: The test pairs.
        heard: ``[n_pairs]``, from `heard_pairs`.

    Returns:
        Segment -> ``[n_pairs]`` mask.
    """
    known = tracks_with_events(corpus, holdout.n_tracks)[holdout.track_index]
    return {
        Segment.NEW_TRACKS: ~known,
        Segment.KNOWN_TRACKS: known,
        Segment.REPEATS: heard,
        Segment.DISCOVERIES: ~heard,
    }


def tracks_with_events(corpus: Corpus, n_tracks: int) -> BoolArray:
    """Which of ``n_tracks`` tracks, at least the vocabulary's, some training event names ``[n_tracks]``."""
    named = np.zeros(n_tracks, np.bool_)
    named[corpus.events["track_index"].to_numpy()] = True
    return named


def heard_pairs(holdout: Holdout, interactions: Interactions, user_index: IndexArray) -> BoolArray:
    """Which test pairs the listener had already heard in training ``[n_pairs]``."""
    profiles = interactions.rows(user_index)
    keys: TimeArray = profiles.row_index.astype(np.int64) * holdout.n_tracks + profiles.track_index
    return np.isin(holdout.keys, keys)

"""Groups: what several listeners who hear a slate together make of each candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, FloatArray, GroupStrategy, IndexArray
from audotics.recommender.unions import union


@dataclass(frozen=True, slots=True)
class GroupOpinion:
    """One list of candidates with everybody's scores.

    Args:
        track_index: ``[width]`` distinct tracks.
        scores: ``[n_members, width]``, standardised over the list: a member who scores everything high
            has no more weight than one who does not.
        source: ``[n_members, width]``: the retriever that argued most for each track, to each member.
    """

    track_index: IndexArray
    scores: FloatArray
    source: IndexArray

    def combined(self, strategy: GroupStrategy) -> FloatArray:
        """One score per track ``[width]`` (Masthoff, *Group Recommender Systems*, 2011).

        - average: the mean of the members' scores;
        - least misery: the lowest of them;
        - turns: members choose in turn, each their best of what is left, the order of turns reversed
          after each round (``a b b a ...``); the score falls with the place.
        """
        if strategy is GroupStrategy.AVERAGE:
            mean: FloatArray = self.scores.mean(axis=0)
            return mean
        if strategy is GroupStrategy.LEAST_MISERY:
            lowest: FloatArray = self.scores.min(axis=0)
            return lowest
        return _in_turns(self.scores)

    @property
    def speaker(self) -> IndexArray:
        """The member who likes each track most ``[width]``: its reason is theirs."""
        speaker: IndexArray = self.scores.argmax(axis=0).astype(np.int32)
        return speaker


def shared_candidates(proposed: IndexArray) -> IndexArray:
    """Distinct tracks that anybody in the group has as candidates ``[width]``.

    Args:
        proposed: ``[n_members, width]`` candidates of each member, padded with -1.
    """
    tracks = union(proposed.reshape(1, -1))[0]
    present: IndexArray = tracks[tracks != PADDING]
    return present


def standardised(scores: FloatArray) -> FloatArray:
    """Each member's finite scores ``[n_members, width]`` with mean 0 and deviation 1 over the list."""
    deviation = scores.std(axis=1, keepdims=True)
    scaled: FloatArray = (scores - scores.mean(axis=1, keepdims=True)) / np.where(
        deviation > 0, deviation, 1.0
    )
    return scaled


def merged_history(histories: Interactions) -> Interactions:
    """One row with everything that any of the rows holds."""
    pairs = pl.DataFrame(
        {
            "user_index": np.zeros(histories.n_pairs, np.int32),
            "track_index": histories.track_index,
            "plays": histories.plays,
            "at": histories.last_at,
        }
    )
    return Interactions.from_events(pairs, 1, histories.n_tracks, ordered=histories.ordered)


def _in_turns(scores: FloatArray) -> FloatArray:
    n_members, width = scores.shape
    left = scores.astype(np.float64)
    places = np.empty(width, np.float32)
    for place in range(width):
        turn, member = divmod(place, n_members)
        if turn % 2:
            member = n_members - 1 - member
        best = int(left[member].argmax())
        places[best] = place
        left[:, best] = -np.inf
    falling: FloatArray = -places / np.float32(max(1, width))
    return falling

"""SlateMaker: fills slates place by place under the rules, for many requests at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray
from audotics.slate.calibration import Calibration
from audotics.slate.caps import Cap
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.config import SlateConfig
from audotics.slate.diversity import MarginalRelevance
from audotics.slate.exploration import Seeds, explore
from audotics.slate.flow import flowing
from audotics.slate.rule import Constraint, Objective, Rule

SPAN = 5
"""Relevance is scaled over the best ``SPAN * k`` candidates: the best has 1, the last of them 0."""


@dataclass(frozen=True, slots=True)
class RankedLists:
    """Scored candidates of a batch, best first.

    Args:
        track_index: ``[batch, width]``, padded with -1 at the end.
        scores: ``[batch, width]``, descending, -inf where padded.
        lengths: ``[batch]``: length of the slate wanted.
        histories: What each listener plays.
        seeds: ``[batch]``: seed of each request's draws.
    """

    track_index: IndexArray
    scores: FloatArray
    lengths: IndexArray
    histories: Interactions
    seeds: Seeds


@dataclass(frozen=True, slots=True)
class Filled:
    """Slates as places in the ranked lists, ``[batch, k]`` each.

    Args:
        slots: Place in the ranked list, -1 where the slate is short.
        propensities: Chance of being shown, see `audotics.domain.Slate`.
        drawn: Whether exploration drew it.
        acted: How many places of the slates would hold another track without each rule.
    """

    slots: IndexArray
    propensities: FloatArray
    drawn: BoolArray
    acted: Counter[str] = field(default_factory=Counter)


class SlateMaker:
    """Applies one set of rules.

    Args:
        config: The rules.
        catalogue: What they need to know of tracks.
    """

    def __init__(self, config: SlateConfig, catalogue: SlateCatalogue) -> None:
        self.config = config
        self.catalogue = catalogue

    def fill(self, lists: RankedLists) -> Filled:
        """Slates of each request's length, or shorter where the rules admit no more candidates.

        Greedy: every place takes the admitted candidate of highest utility, which is relevance weighed
        against the objectives; equals go to the ranker's order. Where one cap's owners lie inside
        another's (albums inside artists), no other choice would give a longer slate.
        """
        config = self.config
        k = int(lists.lengths.max(initial=0))
        wanted = lists.lengths + config.explore_pool if config.explore > 0 else lists.lengths
        acted: Counter[str] = Counter()
        chosen = self._greedy(lists, wanted, acted)
        if config.explore > 0:
            explored = explore(chosen, lists.lengths, config.explore_places, config.explore, lists.seeds)
            acted["explore"] = int(explored.drawn.sum())
            slots, drawn = explored.slots, explored.drawn
            propensities = explored.inclusion if config.order == "flow" else explored.propensities
        else:
            slots, drawn = chosen, np.zeros(chosen.shape, np.bool_)
            propensities = np.ones(chosen.shape, np.float32)
        filled = Filled(slots[:, :k], propensities[:, :k], drawn[:, :k], acted)
        return self._in_flow(filled, lists.track_index) if config.order == "flow" else filled

    def _greedy(self, lists: RankedLists, wanted: IndexArray, acted: Counter[str]) -> IndexArray:
        """Candidates taken ``[batch, max(wanted)]``, -1 where nothing is admitted any more."""
        constraints, objectives = self._constraints(lists), self._objectives(lists)
        batch, width = lists.track_index.shape
        rows = np.arange(batch)
        free = lists.track_index != PADDING
        relevance = scaled_relevance(lists.scores, lists.lengths)
        chosen = np.full((batch, min(int(wanted.max(initial=0)), width)), -1, np.int32)
        for place in range(chosen.shape[1]):
            filling = place < lists.lengths
            # What exploration may draw follows in the ranker's order: objectives shape slates, not pools.
            weighing = objectives if filling.any() else ()
            forbidden = {rule.name: rule.forbidden() for rule in constraints}
            penalties = {rule.name: (rule.knob * filling[:, None], rule.penalty()) for rule in weighing}
            slots, found = _best(free, forbidden, relevance, penalties)
            found &= place < wanted
            if filling.any():
                _count(acted, slots, found & filling, (free, forbidden, relevance, penalties))
            chosen[found, place] = slots[found]
            if not found.any():
                break
            rules: Sequence[Rule] = (*constraints, *weighing)
            for rule in rules:
                rule.take(slots)
            free[rows[found], slots[found]] = False
            free[~found] = False
        return chosen

    def _constraints(self, lists: RankedLists) -> Sequence[Constraint]:
        config, catalogue = self.config, self.catalogue
        index = np.maximum(lists.track_index, 0)
        caps: list[Constraint] = []
        if config.artist_cap is not None:
            caps.append(Cap("artist_cap", catalogue.artist[index], config.artist_cap))
        if config.album_cap is not None:
            caps.append(Cap("album_cap", catalogue.album[index], config.album_cap))
        if config.one_recording:
            caps.append(Cap("one_recording", catalogue.recording[index], 1))
        return caps

    def _objectives(self, lists: RankedLists) -> Sequence[Objective]:
        config, tracks = self.config, lists.track_index
        objectives: list[Objective] = []
        if config.diversity > 0:
            objectives.append(MarginalRelevance(self.catalogue.content, tracks, config.diversity))
        if config.calibration > 0:
            genres = self.catalogue.genres
            objectives.append(Calibration(genres, tracks, lists.histories, config.calibration))
        return objectives

    def _in_flow(self, filled: Filled, track_index: IndexArray) -> Filled:
        shown = np.where(
            filled.slots >= 0, np.take_along_axis(track_index, np.maximum(filled.slots, 0), axis=1), PADDING
        )
        order = flowing(shown, self.catalogue.sound)
        moved = (order != np.arange(order.shape[1])) & (shown != PADDING)
        filled.acted["order"] = int(moved.sum())
        return Filled(
            np.take_along_axis(filled.slots, order, axis=1),
            np.take_along_axis(filled.propensities, order, axis=1),
            np.take_along_axis(filled.drawn, order, axis=1),
            filled.acted,
        )


def scaled_relevance(scores: FloatArray, lengths: IndexArray) -> FloatArray:
    """Scores ``[batch, width]`` scaled so that the best is 1 and the one at rank ``SPAN * k`` is 0.

    Candidates below that have less than 0, those that are padded -inf.
    """
    present = np.isfinite(scores)
    last = np.clip(np.minimum(lengths * SPAN, present.sum(axis=1)) - 1, 0, None)
    top = np.where(present[:, :1], scores[:, :1], 0.0)
    low = np.where(present[:, :1], np.take_along_axis(scores, last[:, None].astype(np.int64), axis=1), 0.0)
    span = top - low
    scaled = np.divide(scores - low, span, out=np.zeros_like(scores), where=present & (span > 0))
    return np.where(present, scaled, -np.inf).astype(np.float32)


Forbidden = dict[str, BoolArray]
Penalties = dict[str, tuple[npt.NDArray[np.floating], FloatArray]]


def _best(
    free: BoolArray, forbidden: Forbidden, relevance: FloatArray, penalties: Penalties
) -> tuple[IndexArray, BoolArray]:
    """The admitted candidate of highest utility ``[batch]``, and whether there is one."""
    admitted = free.copy()
    for mask in forbidden.values():
        admitted &= ~mask
    rows = np.arange(len(free))
    if not penalties:
        # Without objectives utility falls with the rank.
        first = admitted.argmax(axis=1)
        return first, admitted[rows, first]
    kept = np.prod([1.0 - knob for knob, _ in penalties.values()], axis=0)
    utility = np.where(admitted, kept * np.where(admitted, relevance, 0.0), -np.inf)
    for knob, penalty in penalties.values():
        utility -= knob * penalty
    best = utility.argmax(axis=1)
    return best, admitted[rows, best]


def _count(
    acted: Counter[str],
    slots: IndexArray,
    counted: BoolArray,
    state: tuple[BoolArray, Forbidden, FloatArray, Penalties],
) -> None:
    """Add for each rule how many requests would have taken another candidate without it."""
    free, forbidden, relevance, penalties = state
    for name in (*forbidden, *penalties):
        others = {key: mask for key, mask in forbidden.items() if key != name}
        lighter = {key: penalty for key, penalty in penalties.items() if key != name}
        without, found = _best(free, others, relevance, lighter)
        acted[name] += int((counted & found & (without != slots)).sum())

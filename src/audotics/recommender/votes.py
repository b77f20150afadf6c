"""A recommender without its ranker: what the retrievers say, for servers whose ranker does not answer."""

from __future__ import annotations

import copy
from dataclasses import replace

from audotics.ranking.mean import MeanRanker
from audotics.recommender.branch import Branch
from audotics.recommender.recommender import Recommender


def by_votes(recommender: Recommender) -> Recommender:
    """The same candidates in the order of the mean of their standardised scores."""
    other = copy.copy(recommender)
    other.unheard = _voting(recommender.unheard)
    other.heard = None if recommender.heard is None else _voting(recommender.heard)
    return other


def _voting(branch: Branch) -> Branch:
    return replace(branch, ranker=MeanRanker().over(branch.assembler.names), heads=None)

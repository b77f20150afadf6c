"""Queries that nobody can answer are refused, in words that say what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audotics.domain import Block, Query
from audotics.errors import BadInputError
from audotics.ranking.head_weights import SURFACES
from audotics.ranking.protocol import HEADS

GROUP_SIZES = range(2, 51)


def check_queries(queries: Sequence[Query]) -> None:
    """Refuse what cannot be answered.

    Raises:
        BadInputError: A field of a query is out of its bounds, or two contradict each other.
    """
    for query in queries:
        if query.k < 1:
            raise BadInputError(f"k is {query.k}", where="query", remedy="Ask for at least one track")
        if query.familiarity is not None and not 0 <= query.familiarity <= 1:
            raise BadInputError(f"familiarity is {query.familiarity}", where="query", remedy="Give 0 to 1")
        if query.surface is not None and query.surface not in SURFACES:
            known = ", ".join(SURFACES)
            raise BadInputError(
                f"there is no surface {query.surface!r}", where="query", remedy=f"Known are {known}"
            )
        _check_weights(query.weights)
        _check_group(query)
        for block in query.blocked:
            _check_block(block)


def _check_weights(weights: Mapping[str, float]) -> None:
    for head, weight in weights.items():
        if head not in HEADS:
            raise BadInputError(
                f"there is no head {head!r}", where="query weights", remedy=f"Heads are {', '.join(HEADS)}"
            )
        if not np.isfinite(weight):
            raise BadInputError(f"the weight of {head!r} is {weight}", where="query weights")


def _check_group(query: Query) -> None:
    if not query.group:
        return
    if len(set(query.group)) != len(query.group):
        raise BadInputError("a listener stands twice in the group", where="query group")
    if len(query.group) not in GROUP_SIZES:
        raise BadInputError(
            f"the group has {len(query.group)} listeners",
            where="query group",
            remedy=f"Give {GROUP_SIZES.start} to {GROUP_SIZES.stop - 1}",
        )
    if query.user_id is not None or query.history is not None or query.artists:
        raise BadInputError(
            "a group has no listener, history or artists of its own",
            where="query",
            remedy="Give either the group or those",
        )


def _check_block(block: Block) -> None:
    if (block.track_id is None) == (block.artist_id is None):
        raise BadInputError(
            "a block names either a track or an artist", where="query blocked", remedy="Give one of the two"
        )

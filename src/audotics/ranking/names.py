"""The rankers by name, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from audotics.errors import BadInputError
from audotics.ranking.protocol import Ranker

_RANKERS = {
    "single": ("audotics.ranking.single", "SingleRanker"),
    "mean": ("audotics.ranking.mean", "MeanRanker"),
    "logistic": ("audotics.ranking.logistic", "LogisticRanker"),
    "linear": ("audotics.ranking.linear", "LinearRanker"),
    "boosted": ("audotics.ranking.boosted", "BoostedRanker"),
    "deep": ("audotics.ranking.deep", "DeepRanker"),
    "blend": ("audotics.ranking.blend", "BlendRanker"),
}

RANKER_NAMES = tuple(_RANKERS)
"""The rankers that compete, simplest first: the order in which one must beat another to be preferred."""

_COMPOSED = {"by-history": ("audotics.ranking.by_history", "ByHistoryRanker")}
"""What is made of the winners, never a competitor itself."""


def ranker_class(name: str) -> type[Ranker]:
    """The class of a ranker.

    Raises:
        BadInputError: There is no ranker of that name.
    """
    known = _RANKERS | _COMPOSED
    if name not in known:
        raise BadInputError(f"there is no ranker {name!r}", remedy=f"Known are {', '.join(_RANKERS)}")
    module, attribute = known[name]
    found: type[Ranker] = getattr(import_module(module), attribute)
    return found

"""Vectors of a stored deep ranker, for a later one to start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audotics.ranking.blend import BlendRanker
from audotics.ranking.by_history import ByHistoryRanker
from audotics.ranking.deep import DeepRanker
from audotics.ranking.protocol import Ranker
from audotics.ranking.vectors import EarlierVectors


def stored_vectors(ranker: Ranker) -> EarlierVectors | None:
    """Vectors of the deep ranker inside a ranker that was loaded; None where there is none.

    Raises:
        DamagedError: Its model cannot be read.
        MissingExtraError: TensorFlow is not installed.
    """
    folder = next((deep.folder for deep in _deep_rankers(ranker) if deep.folder is not None), None)
    return None if folder is None else _read(folder)


def _deep_rankers(ranker: Ranker) -> Iterator[DeepRanker]:
    if isinstance(ranker, DeepRanker):
        yield ranker
    elif isinstance(ranker, ByHistoryRanker):
        for tier in reversed(ranker.tiers):
            yield from _deep_rankers(tier)
    elif isinstance(ranker, BlendRanker):
        for member in ranker.members:
            yield from _deep_rankers(member)


def _read(folder: Path) -> EarlierVectors:
    # Training only: serving reads other files and imports neither library.
    from audotics.ranking.export import load_model

    return load_model(folder).vectors()

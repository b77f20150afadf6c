"""Candidate generation: the union of what every retriever proposes, with every retriever's score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, BoolArray, Candidates, FloatArray, IndexArray, Mode
from audotics.retrieval.protocol import Retriever, top_k

BLOCK_FLOATS = 1 << 23
"""Queries are answered in blocks so that one retriever's scores take at most 32 MB."""

BLOCK_QUERIES = 512
"""Most queries of a block: the features of their candidates take memory, too."""


def blocks(n_queries: int, n_tracks: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the blocks in which queries are answered."""
    size = max(1, min(BLOCK_QUERIES, BLOCK_FLOATS // max(1, n_tracks)))
    for start in range(0, n_queries, size):
        yield start, min(start + size, n_queries)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which tracks may be proposed.

    Args:
        mode: ``batch`` modes: discover leaves heard tracks out, familiar keeps nothing else.
        excluded: For each query the track indices that must not appear.
    """

    mode: tuple[Mode, ...]
    excluded: tuple[IndexArray, ...]

    @classmethod
    def everything_unheard(cls, size: int) -> Allowed:
        """Discover mode for every query, no exclusions."""
        return cls((Mode.DISCOVER,) * size, (np.zeros(0, np.int32),) * size)

    def in_mode(self, mode: Mode) -> Allowed:
        """The same exclusions with another mode for every query."""
        return Allowed((mode,) * len(self.mode), self.excluded)

    def part(self, start: int, stop: int) -> Allowed:
        """Queries ``start`` to ``stop``."""
        return Allowed(self.mode[start:stop], self.excluded[start:stop])

    def mask(self, batch: QueryBatch) -> BoolArray:
        """``[batch, n_tracks]``: True where a track must not be proposed."""
        histories = batch.histories
        heard = np.zeros((batch.size, histories.n_tracks), dtype=np.bool_)
        heard[histories.row_index, histories.track_index] = True
        familiar = np.array([mode is Mode.FAMILIAR for mode in self.mode], dtype=np.bool_)
        mixed = np.array([mode is Mode.MIX for mode in self.mode], dtype=np.bool_)
        heard[familiar] = ~heard[familiar]
        heard[mixed] = False
        for row, tracks in enumerate(self.excluded):
            heard[row, tracks] = True
        return heard


class CandidateGenerator:
    """Asks every retriever for its best tracks and joins the answers.

    Args:
        retrievers: Fitted retrievers.
        per_retriever: How many tracks each retriever proposes for a query.
    """

    def __init__(self, retrievers: Sequence[Retriever], per_retriever: int) -> None:
        self.retrievers = tuple(retrievers)
        self.per_retriever = per_retriever

    def generate(
        self, batch: QueryBatch, allowed: Allowed, k: int = 0, also: IndexArray | None = None
    ) -> Candidates:
        """Candidates for one block of queries (memory: batch x n_tracks x n_retrievers floats).

        Args:
            batch: The queries.
            allowed: What may be proposed.
            k: Length of the slate wanted. Where it is more than ``per_retriever``, retrievers propose
                as many; ranks still end at ``per_retriever``, as rankers learned them.
            also: ``[batch, n]``, padded with -1: tracks that are candidates, too, where they are allowed.
        """
        forbidden = allowed.mask(batch)
        depth = min(self.per_retriever, batch.histories.n_tracks)
        scored: list[FloatArray] = []
        lists: list[IndexArray] = []
        for retriever in self.retrievers:
            scores = retriever.score(batch)
            scores[forbidden] = -np.inf
            lists.append(top_k(scores, max(self.per_retriever, k)))
            scored.append(scores)
        given = [] if also is None else [_allowed_only(also, forbidden)]
        track_index = union(np.concatenate([*lists, *given], axis=1))
        safe = np.maximum(track_index, 0)
        present = track_index != PADDING
        values = np.stack([np.take_along_axis(scores, safe, axis=1) for scores in scored], axis=2)
        values[~present] = 0.0
        ranks = np.stack([_ranks(best[:, :depth], safe, batch.histories.n_tracks) for best in lists], axis=2)
        names = tuple(retriever.name for retriever in self.retrievers)
        return Candidates(track_index, values, ranks, names, depth)


def best_of(retriever: Retriever, batch: QueryBatch, allowed: Allowed, k: int) -> IndexArray:
    """One retriever's own best tracks ``[batch, k]`` for any number of queries, padded with -1."""
    parts = [np.zeros((0, min(k, batch.histories.n_tracks)), np.int32)]
    for start, stop in blocks(batch.size, batch.histories.n_tracks):
        part = batch.part(start, stop)
        scores = retriever.score(part)
        scores[allowed.part(start, stop).mask(part)] = -np.inf
        parts.append(top_k(scores, k))
    return np.concatenate(parts)


def union(lists: IndexArray) -> IndexArray:
    """Distinct track indices of each row ``[batch, width]``, ascending, padded with -1 at the end."""
    ordered = np.sort(lists, axis=1)
    repeated = np.zeros(ordered.shape, dtype=np.bool_)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    ordered[repeated | (ordered == PADDING)] = np.iinfo(np.int32).max
    ordered.sort(axis=1)
    width = int((ordered != np.iinfo(np.int32).max).sum(axis=1).max(initial=1))
    distinct = ordered[:, :width]
    distinct[distinct == np.iinfo(np.int32).max] = PADDING
    return distinct


def _allowed_only(track_index: IndexArray, forbidden: BoolArray) -> IndexArray:
    barred = np.take_along_axis(forbidden, np.maximum(track_index, 0), axis=1)
    return np.where(barred, PADDING, track_index).astype(np.int32)


def _ranks(best: IndexArray, wanted: IndexArray, n_tracks: int) -> FloatArray:
    """Rank of each wanted track in a retriever's list ``best [batch, n]``; n + 1 where it is not in it."""
    n = best.shape[1]
    places = np.full((len(best), n_tracks + 1), n + 1, dtype=np.int32)
    # Padding (-1) writes to the spare last column.
    np.put_along_axis(places, np.where(best == PADDING, n_tracks, best), np.arange(1, n + 1)[None, :], axis=1)
    return np.take_along_axis(places, wanted, axis=1).astype(np.float32)

"""Candidate generation: the union of what every retriever proposes, with every retriever's score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, BoolArray, Candidates, FloatArray, IndexArray, Mode
from audotics.recommender.score_rows import Barred, Wanted, rows_of
from audotics.recommender.unions import ranked_union, union
from audotics.recommender.voices import Voices
from audotics.retrieval.protocol import Retriever, Scores
from audotics.retrieval.stand_ins import StandIns
from audotics.retrieval.top_k import top_k

BLOCK_FLOATS = 1 << 24
"""Queries are answered in blocks so that one retriever's scores take at most 64 MB."""

BLOCK_QUERIES = 512
"""Most queries of a block: the features of their candidates take memory, too."""

CACHED_FLOATS = 1 << 20
"""Inside a block, scores are selected from 4 MB at a time, so that they stay in the cache."""


def blocks(n_queries: int, n_tracks: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the blocks in which queries are answered."""
    size = max(1, min(BLOCK_QUERIES, BLOCK_FLOATS // max(1, n_tracks)))
    for start in range(0, n_queries, size):
        yield start, min(start + size, n_queries)


_NOTHING: IndexArray = np.zeros(0, np.int32)


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
        voices: Where there are live tracks, which no retriever knows: who speaks for them.
    """

    def __init__(
        self, retrievers: Sequence[Retriever], per_retriever: int, voices: Voices | None = None
    ) -> None:
        self.retrievers = tuple(retrievers)
        self.per_retriever = per_retriever
        self.voices = voices

    def generate(
        self, batch: QueryBatch, allowed: Allowed, k: int = 0, also: IndexArray | None = None
    ) -> Candidates:
        """Candidates for one block of queries.

        Memory: batch x n_tracks floats for each retriever whose scores are neither sparse nor the same for
        everybody.

        Args:
            batch: The queries.
            allowed: What may be proposed.
            k: Length of the slate wanted. Where it is more than ``per_retriever``, retrievers propose
                as many; ranks still end at ``per_retriever``, as rankers learned them.
            also: ``[batch, n]``, padded with -1: tracks that are candidates, too, where they are allowed.
        """
        scored = self._scores(batch)
        return self._selected(batch, allowed, scored, k, also, _NOTHING)

    def generate_with_new(
        self, batch: QueryBatch, allowed: Allowed, stand_ins: StandIns, k: int = 0
    ) -> tuple[Candidates, int]:
        """The same, and new tracks with the scores that they are lent, which nobody proposes.

        Args:
            batch: The queries.
            allowed: What may be proposed.
            stand_ins: The new tracks; they are among no retriever's proposals.
            k: As for `generate`.

        Returns:
            Candidates, known ones first; the slot where the new ones begin.
        """
        scored = self._scores(batch)
        barred = allowed.mask(batch)[:, stand_ins.track_index]
        # First these: selecting known candidates marks what is barred in the scores.
        track_index, values = new_candidates(scored, stand_ins, barred, self.per_retriever)
        known = self._selected(batch, allowed, scored, k, None, stand_ins.track_index)
        return _beside(known, track_index, values), known.track_index.shape[1]

    def _scores(self, batch: QueryBatch) -> list[Scores]:
        """Every retriever's scores of the tracks that it knows."""
        heard = batch if self.voices is None else self.voices.spoken(batch)
        return [retriever.compact_scores(heard) for retriever in self.retrievers]

    def _selected(
        self,
        batch: QueryBatch,
        allowed: Allowed,
        scored: Sequence[Scores],
        k: int,
        also: IndexArray | None,
        never: IndexArray,
    ) -> Candidates:
        """Candidates out of every retriever's scores; ``never`` are proposed to nobody."""
        n_tracks = batch.histories.n_tracks if self.voices is None else self.voices.n_known
        never = never[never < n_tracks]
        depth = min(self.per_retriever, n_tracks)
        parts = []
        for start, stop in _cached_parts(batch.size, n_tracks):
            mask = allowed.part(start, stop).mask(batch.part(start, stop))
            mask = np.ascontiguousarray(mask[:, :n_tracks])
            mask[:, never] = True
            barred = Barred.of(mask)
            rows = [rows_of(scores, start, stop) for scores in scored]
            lists = [scores.best(max(self.per_retriever, k), barred) for scores in rows]
            given = np.zeros((stop - start, 0), np.int32)
            if also is not None:
                given = _allowed_only(also[start:stop], mask)
            track_index, ranks = ranked_union(np.stack(lists, axis=1), given, depth)
            wanted = Wanted(track_index, n_tracks)
            values = np.stack([scores.at(wanted) for scores in rows], axis=1)
            np.copyto(values, 0.0, where=wanted.absent[:, None])
            parts.append((track_index, values, ranks))
        names = tuple(retriever.name for retriever in self.retrievers)
        return _joined(parts, names, depth)


def best_of(retriever: Retriever, batch: QueryBatch, allowed: Allowed, k: int) -> IndexArray:
    """One retriever's own best tracks ``[batch, k]`` for any number of queries, padded with -1."""
    n_tracks = batch.histories.n_tracks
    best = np.empty((batch.size, min(k, n_tracks)), np.int32)
    for first, last in blocks(batch.size, n_tracks):
        block, allowed_here = batch.part(first, last), allowed.part(first, last)
        scores = retriever.compact_scores(block)
        for start, stop in _cached_parts(block.size, n_tracks):
            barred = Barred.of(allowed_here.part(start, stop).mask(block.part(start, stop)))
            best[first + start : first + stop] = rows_of(scores, start, stop).best(k, barred)
    return best


def new_candidates(
    scored: Sequence[Scores], stand_ins: StandIns, barred: BoolArray, per_retriever: int
) -> tuple[IndexArray, FloatArray]:
    """The new tracks that some retriever's lent scores put first.

    Args:
        scored: Every retriever's scores ``[batch, n_tracks]``.
        stand_ins: The new tracks.
        barred: ``[batch, n_new]``, which of them must not be proposed.
        per_retriever: How many known tracks each retriever proposes: so many new ones are proposed by
            all of them together.

    Returns:
        Tracks ``[batch, width]``, ascending, padded with -1 at the end; lent scores
        ``[batch, n_retrievers, width]``, anything where padded.
    """
    if not stand_ins.n_new:
        return np.zeros((len(barred), 0), np.int32), np.zeros((len(barred), len(scored), 0), np.float32)
    lent = [stand_ins.lend(scores) for scores in scored]
    each = max(1, per_retriever // max(1, len(lent)))
    best = [top_k(np.where(barred, np.float32(-np.inf), scores), each) for scores in lent]
    places = union(np.concatenate(best, axis=1))
    safe = np.maximum(places, 0)
    values = np.stack([np.take_along_axis(scores, safe, axis=1) for scores in lent], axis=1)
    track_index = np.where(places < 0, places, stand_ins.track_index[safe]).astype(np.int32)
    return track_index, values


def _beside(known: Candidates, track_index: IndexArray, values: FloatArray) -> Candidates:
    """Known candidates and, from slot ``known.track_index.shape[1]`` on, new ones, proposed by nobody.

    Args:
        known: ``[batch, w]``.
        track_index: ``[batch, n]`` new tracks, padded with -1.
        values: ``[batch, n_retrievers, n]`` lent scores.
    """
    values = np.where((track_index < 0)[:, None], np.float32(0.0), values).swapaxes(1, 2)
    ranks = np.full(values.shape, known.depth + 1, np.float32)
    return Candidates(
        np.concatenate([known.track_index, track_index], axis=1),
        np.concatenate([known.scores, values], axis=1),
        np.concatenate([known.ranks, ranks], axis=1),
        known.retrievers,
        known.depth,
    )


def _cached_parts(n_queries: int, n_tracks: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the parts of a block whose scores fit the cache."""
    step = max(1, CACHED_FLOATS // max(1, n_tracks))
    for start in range(0, n_queries, step):
        yield start, min(start + step, n_queries)


def _joined(
    parts: Sequence[tuple[IndexArray, FloatArray, FloatArray]], names: tuple[str, ...], depth: int
) -> Candidates:
    """The parts of a block (tracks, scores, ranks) as one, padded to the widest."""
    batch = sum(len(track_index) for track_index, _, _ in parts)
    width = max((track_index.shape[1] for track_index, _, _ in parts), default=1)
    every_track = np.empty((batch, width), np.int32)
    every_score = np.empty((batch, len(names), width), np.float32)
    every_rank = np.empty((batch, len(names), width), np.float32)
    start = 0
    for track_index, scores, ranks in parts:
        rows = slice(start, start + len(track_index))
        filled = track_index.shape[1]
        for every, part, filler in (
            (every_track, track_index, PADDING),
            (every_score, scores, 0.0),
            (every_rank, ranks, depth + 1),
        ):
            every[rows, ..., :filled] = part
            every[rows, ..., filled:] = filler
        start = rows.stop
    # Each retriever's scores lie side by side in memory: whatever is summed, is summed over candidates.
    return Candidates(
        every_track, every_score.transpose(0, 2, 1), every_rank.transpose(0, 2, 1), names, depth
    )


def _allowed_only(track_index: IndexArray, forbidden: BoolArray) -> IndexArray:
    barred = np.take_along_axis(forbidden, np.maximum(track_index, 0), axis=1)
    return np.where(barred, PADDING, track_index).astype(np.int32)

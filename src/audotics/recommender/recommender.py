"""Recommender: candidates, ranking and slate in one vectorised object, the same offline and online."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC

import numpy as np
import polars as pl

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray, Query, Slate
from audotics.errors import BadInputError
from audotics.ranking.protocol import Ranker
from audotics.recommender.candidates import Allowed, CandidateGenerator, blocks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.reasons import Explainer


@dataclass(frozen=True, slots=True)
class Answers:
    """Ranked tracks of a batch in index space.

    Args:
        track_index: ``[batch, k]``, best first, padded with -1.
        scores: ``[batch, k]``, the ranker's, -inf where padded.
        source: ``[batch, k]``, number of the retriever that argued most for each track.
    """

    track_index: IndexArray
    scores: FloatArray
    source: IndexArray


class Recommender:
    """Answers queries with slates.

    Args:
        users: Listeners known to training.
        tracks: Tracks that can be recommended.
        histories: ``[n_users, n_tracks]`` what training knows each listener has heard.
        track_table: Catalogue in index order, for names and reasons.
        generator: Candidate generator over fitted retrievers.
        assembler: Fitted ranking features.
        ranker: Fitted ranker.
        model_version: Name of the version this was loaded from, empty before publishing.
    """

    def __init__(
        self,
        *,
        users: Vocabulary,
        tracks: Vocabulary,
        histories: Interactions,
        track_table: pl.DataFrame,
        generator: CandidateGenerator,
        assembler: FeatureAssembler,
        ranker: Ranker,
        model_version: str = "",
    ) -> None:
        self.users = users
        self.tracks = tracks
        self.histories = histories
        self.track_table = track_table
        self.generator = generator
        self.assembler = assembler
        self.ranker = ranker
        self.model_version = model_version
        self._explainer = Explainer(generator.retrievers, track_table)

    def recommend(self, queries: Sequence[Query]) -> list[Slate]:
        """Answer each query with its best ``k`` tracks and a reason for each."""
        slates: list[Slate] = []
        for start, stop in blocks(len(queries), len(self.tracks)):
            asked = queries[start:stop]
            batch, allowed = self.encode(asked)
            answers = self.answer(batch, allowed, max(query.k for query in asked))
            slates.extend(self._slates(asked, batch, answers))
        return slates

    def recommend_indices(self, batch: QueryBatch, allowed: Allowed, k: int) -> IndexArray:
        """Best ``k`` tracks of each query ``[batch, k]`` without reasons, for evaluation and batches."""
        parts = [
            self.answer(batch.part(start, stop), allowed.part(start, stop), k).track_index
            for start, stop in blocks(batch.size, len(self.tracks))
        ]
        return np.concatenate(parts) if parts else np.zeros((0, k), np.int32)

    def answer(self, batch: QueryBatch, allowed: Allowed, k: int) -> Answers:
        """Candidates, ranking and the best ``k`` for one block of queries."""
        candidates = self.generator.generate(batch, allowed, k)
        inputs = self.assembler.assemble(batch, candidates)
        scores = self.ranker.score(inputs)
        best, order = best_candidates(scores, candidates.track_index, k)
        source = np.take_along_axis(self.assembler.strongest_retriever(inputs), order, axis=1)
        taken = np.take_along_axis(scores, order, axis=1)
        return Answers(best, _padded(taken, k, -np.inf), _padded(source, k, PADDING))

    def encode(self, queries: Sequence[Query]) -> tuple[QueryBatch, Allowed]:
        """Queries in index space; unknown ids of a raw history are left out.

        Raises:
            BadInputError: A query asks for fewer than one track.
        """
        for query in queries:
            if query.k < 1:
                raise BadInputError(f"k is {query.k}", where="query", remedy="Ask for at least one track")
        user_index = self.users.indices([query.user_id or "" for query in queries])
        histories = self.histories.rows(user_index)
        given = [row for row, query in enumerate(queries) if query.history is not None]
        if given:
            raw = [self.tracks.indices(queries[row].history or ()).tolist() for row in given]
            histories = histories.replaced(given, Interactions.from_histories(raw, self.histories.n_tracks))
        batch = QueryBatch(
            histories=histories,
            user_index=user_index,
            at=np.array([_microseconds(query) for query in queries], dtype=np.int64),
            device=tuple(query.context.device for query in queries),
            country=tuple(query.context.country for query in queries),
        )
        excluded = []
        for query in queries:
            known = self.tracks.indices(query.exclude)
            excluded.append(known[known >= 0])
        return batch, Allowed(tuple(query.mode for query in queries), tuple(excluded))

    def _slates(self, queries: Sequence[Query], batch: QueryBatch, answers: Answers) -> Iterator[Slate]:
        reasons = self._explainer.phrases(batch, answers.track_index, answers.source)
        names = [retriever.name for retriever in self.generator.retrievers]
        for row, query in enumerate(queries):
            shown: BoolArray = answers.track_index[row, : query.k] != PADDING
            chosen = answers.track_index[row, : query.k][shown]
            yield Slate(
                user_id=query.user_id,
                track_ids=tuple(self.tracks.ids[i] for i in chosen.tolist()),
                scores=answers.scores[row, : query.k][shown],
                sources=tuple(names[i] for i in answers.source[row, : query.k][shown].tolist()),
                reasons=tuple(reasons[row][: len(chosen)]),
            )


def best_candidates(scores: FloatArray, track_index: IndexArray, k: int) -> tuple[IndexArray, IndexArray]:
    """The ``k`` best candidates of each list, and their slots.

    Args:
        scores: ``[batch, width]``, -inf where padded.
        track_index: ``[batch, width]``.
        k: Length of the result.

    Returns:
        Tracks ``[batch, k]``, best first, padded with -1; slots ``[batch, min(k, width)]``.
    """
    # A stable sort: ties go to the lower index, so an answer does not depend on the block it came from.
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    return _padded(np.take_along_axis(track_index, order, axis=1), k, PADDING), order


def _padded(values: np.ndarray, k: int, filler: float) -> np.ndarray:
    missing = k - values.shape[1]
    return values if missing <= 0 else np.pad(values, ((0, 0), (0, missing)), constant_values=filler)


def _microseconds(query: Query) -> int:
    at = query.context.at
    if at is None:
        return NO_TIME
    # Without a zone a time means UTC, as everywhere in the data; datetime would take the machine's own.
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(zoned.timestamp() * 1_000_000)

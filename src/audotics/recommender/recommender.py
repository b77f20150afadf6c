"""Recommender: candidates, ranking and slate in one vectorised object, the same offline and online."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import polars as pl

from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, IndexArray, Mode, Query, Slate
from audotics.recommender.branch import Branch, ScoredLists, familiarity, mixed
from audotics.recommender.candidates import Allowed, blocks
from audotics.recommender.filling import Answers, depth_needed, filled
from audotics.recommender.groups import GroupOpinion, merged_history, shared_candidates, standardised
from audotics.recommender.live_tracks import LiveGround, with_live_tracks
from audotics.recommender.queries import QueryEncoder, Wishes
from audotics.recommender.query_checks import check_queries
from audotics.recommender.reactions import Reactions
from audotics.recommender.reasons import DRAWN, Explainer
from audotics.recommender.track_vectors import track_vectors
from audotics.retrieval.protocol import Retriever
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.config import SlateConfig
from audotics.slate.statistics import SlateStatistics


class Recommender:
    """Answers queries with slates.

    Args:
        users: Listeners known to training.
        tracks: Tracks that can be recommended.
        histories: ``[n_users, n_tracks]`` what training knows each listener has heard.
        track_table: Catalogue in index order, for names and reasons.
        unheard: The way to tracks that the listener has not heard.
        heard: The way to tracks that they have heard; None where training knew of no repeats: then the
            first one answers for both.
        model_version: Name of the version this was loaded from, empty before publishing.
        rules: Rules of every slate; the default keeps the ranker's order.
    """

    def __init__(
        self,
        *,
        users: Vocabulary,
        tracks: Vocabulary,
        histories: Interactions,
        track_table: pl.DataFrame,
        unheard: Branch,
        heard: Branch | None = None,
        model_version: str = "",
        rules: SlateConfig | None = None,
    ) -> None:
        self.users = users
        self.tracks = tracks
        self.histories = histories
        self.track_table = track_table
        self.unheard = unheard
        self.heard = heard
        self.model_version = model_version
        self.rules = rules or SlateConfig()
        self._base: Recommender | None = None
        listeners = np.bincount(histories.track_index, minlength=len(tracks)).astype(np.int32)
        # Not of `self`: a version that is let go of must not wait for the collector of cycles.
        retrievers = self.retrievers
        self.catalogue = SlateCatalogue(
            track_table, listeners, lambda: track_vectors(unheard.assembler.content, retrievers)
        )
        self.explainer = Explainer(self.retrievers, track_table, listeners)

    @property
    def retrievers(self) -> tuple[Retriever, ...]:
        """All retrievers, in the order that sources number them: those for heard tracks end the list."""
        return (self.heard or self.unheard).generator.retrievers

    def with_rules(self, rules: SlateConfig) -> Recommender:
        """The same model under other rules; everything learned is shared."""
        other = copy.copy(self)
        other.rules = rules
        return other

    def with_tracks(self, rows: pl.DataFrame) -> Recommender:
        """The same model with tracks added that it has never seen; everything learned is shared.

        They are recommended by their content (`offers_new`), and they count where listeners have heard them.
        Tracks that are known keep their numbers, their features and their order.

        Args:
            rows: ``[n_live]`` tracks (``schema.TRACKS``, columns may be missing), the last added last. They
                take the place of those added before.

        Raises:
            BadInputError: A track is known to the version, or stands twice.
        """
        other = with_live_tracks(self.bare, self.bare.live_ground, rows)
        other._base = self.bare
        return other

    @property
    def bare(self) -> Recommender:
        """The same without the tracks of `with_tracks`."""
        return self._base or self

    @cached_property
    def live_ground(self) -> LiveGround:
        """What live tracks are compared with; seconds to make where there are 100,000 tracks."""
        return LiveGround(self)

    @property
    def offers_new(self) -> bool:
        """Whether tracks that nobody has played can be recommended: content tells who will."""
        return self.unheard.new is not None

    def recommend(self, queries: Sequence[Query], since: Reactions | None = None) -> list[Slate]:
        """Answer each query with its best ``k`` tracks and a reason for each.

        Args:
            queries: Who asks for what.
            since: What the listeners did since training.

        Raises:
            BadInputError: A query cannot be answered, see `check_queries`.
        """
        check_queries(queries)
        slates: dict[int, Slate] = {}
        alone = [place for place, query in enumerate(queries) if not query.group]
        for start, stop in blocks(len(alone), len(self.tracks)):
            places = alone[start:stop]
            asked = [queries[place] for place in places]
            batch, allowed = self.encode(asked, since)
            longest = max(query.k for query in asked)
            answers = self.answer(batch, allowed, longest, self.wishes(asked, since))
            reasons = self.explainer.phrases(batch, answers.track_index, answers.source)
            slates |= zip(places, self._slates(asked, answers, reasons), strict=True)
        for place, query in enumerate(queries):
            if query.group:
                slates[place] = self._together(query, since)
        return [slates[place] for place in range(len(queries))]

    def recommend_indices(self, batch: QueryBatch, allowed: Allowed, k: int) -> IndexArray:
        """Best ``k`` tracks of each query ``[batch, k]`` in the ranker's order, for evaluation."""
        parts = [
            self.answer(batch.part(start, stop), allowed.part(start, stop), k).track_index
            for start, stop in blocks(batch.size, len(self.tracks))
        ]
        return np.concatenate(parts) if parts else np.zeros((0, k), np.int32)

    def answer(self, batch: QueryBatch, allowed: Allowed, k: int, wishes: Wishes | None = None) -> Answers:
        """Candidates, ranking and the best ``k`` for one block of queries.

        Args:
            batch: The queries.
            allowed: What may appear.
            k: Length of the longest slate.
            wishes: What the queries ask of ranking and rules; None takes the ranker's order as it is.
        """
        scored = self._scored(batch, allowed, depth_needed(k, wishes), wishes)
        lists = scored.track_index, scored.scores, scored.source
        return filled(self.catalogue, lists, batch.histories, k, wishes)

    def encode(self, queries: Sequence[Query], since: Reactions | None = None) -> tuple[QueryBatch, Allowed]:
        """Queries in index space; unknown ids of a raw history are left out.

        Raises:
            BadInputError: A query cannot be answered, see `check_queries`.
        """
        check_queries(queries)
        encoder = self._encoder(since)
        return encoder.batch(queries), encoder.allowed(queries)

    def allowed(self, queries: Sequence[Query], since: Reactions | None = None) -> Allowed:
        """What may appear, as `encode` says it, for whoever makes a list in another way."""
        return self._encoder(since).allowed(queries)

    def wishes(self, queries: Sequence[Query], since: Reactions | None = None) -> Wishes:
        """What queries ask of ranking and rules, in the order of `encode`.

        Raises:
            BadInputError: A rule that a query sets is unknown or out of bounds.
        """
        return self._encoder(since).wishes(queries)

    def statistics(self, batch: QueryBatch, allowed: Allowed, answers: Answers) -> SlateStatistics:
        """What the slates of one block look like and how often each rule acted.

        ``withheld`` counts whatever was kept out beforehand: excluded, blocked, explicit or by market.
        """
        withheld = sum(len(tracks) for tracks in allowed.excluded)
        acted = answers.acted + Counter(withheld=withheld)
        return SlateStatistics.of(answers.track_index, batch.histories, self.catalogue, acted)

    def _scored(
        self,
        batch: QueryBatch,
        allowed: Allowed,
        depth: int,
        wishes: Wishes | None,
        unheard: Branch | None = None,
    ) -> ScoredLists:
        """Candidates and what orders them, of the kinds that the queries' dials ask for."""
        unheard = unheard or self.unheard
        dial = familiarity(allowed, wishes)
        if self.heard is None:
            kinds = [Mode.DISCOVER if one == 0 else Mode.FAMILIAR if one == 1 else Mode.MIX for one in dial]
            return unheard.scored(batch, Allowed(tuple(kinds), allowed.excluded), depth, wishes)
        if (dial == 0).all():
            return unheard.scored(batch, allowed.in_mode(Mode.DISCOVER), depth, wishes)
        if (dial == 1).all():
            return self.heard.scored(batch, allowed.in_mode(Mode.FAMILIAR), depth, wishes)
        return mixed(unheard, self.heard, batch, allowed, depth, wishes)

    def _slates(
        self, queries: Sequence[Query], answers: Answers, reasons: Sequence[Sequence[str]]
    ) -> Iterator[Slate]:
        names = [retriever.name for retriever in self.retrievers]
        for row, query in enumerate(queries):
            shown = np.flatnonzero(answers.track_index[row, : query.k] != PADDING)
            drawn = answers.drawn[row, shown].tolist()
            yield Slate(
                user_id=query.user_id,
                track_ids=tuple(self.tracks.ids[i] for i in answers.track_index[row, shown].tolist()),
                scores=answers.scores[row, shown],
                sources=tuple(names[i] for i in answers.source[row, shown].tolist()),
                reasons=tuple(
                    DRAWN if by_chance else reason
                    for by_chance, reason in zip(drawn, reasons[row], strict=False)
                ),
                propensities=answers.propensities[row, shown],
            )

    def _together(self, query: Query, since: Reactions | None) -> Slate:
        """The slate of a group: everybody's scores over the union of everybody's candidates."""
        members = [replace(query, user_id=user_id, group=()) for user_id in query.group]
        batch, allowed = self.encode(members, since)
        wishes = self.wishes([query])
        opinion = self._opinion(batch, allowed, depth_needed(query.k, wishes), self.wishes(members, since))
        lists = (
            opinion.track_index[None],
            opinion.combined(query.strategy)[None],
            opinion.speaker[None],
        )
        together = merged_history(batch.histories)
        answers = filled(self.catalogue, lists, together, query.k, wishes)
        # The source of the list above is the member who likes the track most; the reason is theirs.
        shown = np.flatnonzero(answers.track_index[0] != PADDING)
        speakers, tracks = answers.source[0, shown], answers.track_index[0, shown]
        answers.source[0, shown] = opinion.source[speakers, np.searchsorted(opinion.track_index, tracks)]
        asked = batch.take(speakers)
        reasons = self.explainer.phrases(asked, tracks[:, None], answers.source[0, shown][:, None])
        (slate,) = self._slates([query], answers, [[reason for (reason,) in reasons]])
        return slate

    def _opinion(self, batch: QueryBatch, allowed: Allowed, depth: int, wishes: Wishes) -> GroupOpinion:
        # One member's new tracks are lent scores that the others' lists do not hold.
        unheard = self.unheard.without_new
        proposed = self._scored(batch, allowed, depth, wishes, unheard).track_index
        tracks = shared_candidates(proposed)
        if Mode.DISCOVER in allowed.mode:
            tracks = np.setdiff1d(tracks, batch.histories.track_index).astype(np.int32)
        anything = Allowed((Mode.MIX,) * batch.size, allowed.excluded)
        also = np.broadcast_to(tracks, (batch.size, len(tracks)))
        # What one member has heard another has not: one ranker for both kinds keeps them comparable.
        scored = unheard.scored(batch, anything, depth, wishes, also)
        # Candidates stand in ascending order, padding at the end.
        index = np.where(scored.track_index != PADDING, scored.track_index, len(self.tracks))
        slots = np.stack([np.searchsorted(row, tracks) for row in index]).astype(np.int64)
        source = np.take_along_axis(scored.source, slots, axis=1)
        return GroupOpinion(tracks, standardised(np.take_along_axis(scored.scores, slots, axis=1)), source)

    def _encoder(self, since: Reactions | None) -> QueryEncoder:
        return QueryEncoder(self.users, self.tracks, self.histories, self.catalogue, self.rules, since)

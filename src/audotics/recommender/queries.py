"""Queries in index space: who asks with which history, what may appear, and what they wish for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.data.vocabulary import Vocabulary
from audotics.domain import FloatArray, IndexArray, Query, Reaction
from audotics.ranking.head_weights import surface_weights
from audotics.recommender.candidates import Allowed
from audotics.recommender.reactions import (
    Aversion,
    Reactions,
    aversion_of,
    disliked,
    laid_over,
    microseconds,
    zoned,
)
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.config import SlateConfig
from audotics.slate.exploration import Seeds

TRACKS_PER_ARTIST = 5
"""How many of a favourite artist's most played tracks stand for a history."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the queries of a batch ask of ranking and rules, row by row.

    Args:
        lengths: ``[batch]``: length of the slate.
        rules: ``batch`` sets of rules.
        weights: ``batch`` weights of the heads by name, beside the surface's.
        surfaces: ``batch`` names of presets of the weights, None where none is asked for.
        familiarity: ``[batch]`` in [0, 1], NaN where the mode decides.
        seeds: ``[batch]``: seeds of what exploration draws.
        aversions: ``batch`` times what the listener lately skipped, None where nothing.
    """

    lengths: IndexArray
    rules: tuple[SlateConfig, ...]
    weights: tuple[Mapping[str, float], ...]
    surfaces: tuple[str | None, ...]
    familiarity: FloatArray
    seeds: Seeds
    aversions: tuple[Aversion | None, ...] = ()

    @property
    def keep_order(self) -> bool:
        """Whether every slate is the ranker's order."""
        return all(rules.keeps_order for rules in self.rules)

    @property
    def weigh_heads(self) -> bool:
        """Whether any query weighs a reaction."""
        return any(self.weights) or any(surface is not None for surface in self.surfaces)

    def by_weights(self, heads: tuple[str, ...]) -> Iterator[tuple[dict[str, float], IndexArray]]:
        """Weights of the known ``heads``, a query's own before its surface's, with the rows they hold for."""
        rows: dict[tuple[tuple[str, float], ...], list[int]] = {}
        for row, (own, surface) in enumerate(zip(self.weights, self.surfaces, strict=True)):
            preset = {} if surface is None else surface_weights(surface, heads)
            weights = preset | {head: weight for head, weight in own.items() if head in heads}
            rows.setdefault(tuple(sorted(weights.items())), []).append(row)
        for weights_of_rows, places in rows.items():
            yield dict(weights_of_rows), np.array(places, dtype=np.int32)

    @property
    def by_rules(self) -> Iterator[tuple[SlateConfig, IndexArray]]:
        """Each set of rules with the rows that it holds for."""
        rows: dict[SlateConfig, list[int]] = {}
        for row, rules in enumerate(self.rules):
            rows.setdefault(rules, []).append(row)
        for rules, places in rows.items():
            yield rules, np.array(places, dtype=np.int32)


class QueryEncoder:
    """Turns queries into index space.

    Args:
        users: Listeners known to training.
        tracks: Tracks that can be recommended.
        histories: ``[n_users, n_tracks]``: what training knows each listener has heard.
        catalogue: What rules know of tracks.
        rules: What holds where a query does not say otherwise.
        since: What listeners did since training.
    """

    def __init__(
        self,
        users: Vocabulary,
        tracks: Vocabulary,
        histories: Interactions,
        catalogue: SlateCatalogue,
        rules: SlateConfig,
        since: Reactions | None = None,
    ) -> None:
        self._users = users
        self._tracks = tracks
        self._histories = histories
        self._catalogue = catalogue
        self._rules = rules
        self._since = since or {}

    def batch(self, queries: Sequence[Query]) -> QueryBatch:
        """Who asks, with which history, when and where; unknown ids of a raw history are left out."""
        user_index = self._users.indices([query.user_id or "" for query in queries])
        histories = self._histories.rows(user_index)
        raw = {row: self._raw_history(query) for row, query in enumerate(queries)}
        given = {row: history for row, history in raw.items() if history is not None}
        if given:
            others = Interactions.from_histories(list(given.values()), self._histories.n_tracks)
            histories = histories.replaced(list(given), others)
        if self._since:
            histories = laid_over(histories, [self._reactions(query) for query in queries], self._tracks)
        return QueryBatch(
            histories=histories,
            user_index=user_index,
            at=np.array([_microseconds(query) for query in queries], dtype=np.int64),
            device=tuple(query.context.device for query in queries),
            country=tuple(query.context.country for query in queries),
        )

    def allowed(self, queries: Sequence[Query]) -> Allowed:
        """What may appear: by mode, and without what is excluded, blocked or withheld."""
        shared: dict[tuple[object, ...], IndexArray] = {}
        excluded = []
        for query in queries:
            at = _asked_at(query)
            rules = self._rules.changed(query.rules)
            withheld = _NOTHING
            if rules.withholds or not query.allow_explicit:
                key = (rules, query.allow_explicit, _market(query), at if rules.withhold else None)
                if key not in shared:
                    shared[key] = self._withheld(rules, query, at)
                withheld = shared[key]
            own = self._own_exclusions(query, at)
            excluded.append(np.concatenate([withheld, own]) if len(own) else withheld)
        return Allowed(tuple(query.mode for query in queries), tuple(excluded))

    def wishes(self, queries: Sequence[Query]) -> Wishes:
        """What the queries ask of ranking and rules.

        Raises:
            BadInputError: A rule that a query sets is unknown or out of bounds.
        """
        dials = [query.familiarity for query in queries]
        rules = tuple(self._rules.changed(query.rules) for query in queries)
        seeds = np.zeros(len(queries), np.uint64)
        for row, (query, its_rules) in enumerate(zip(queries, rules, strict=True)):
            if its_rules.explore > 0:
                seeds[row] = _seed(query, its_rules.seed)
        return Wishes(
            lengths=np.array([query.k for query in queries], dtype=np.int32),
            rules=rules,
            weights=tuple(query.weights for query in queries),
            surfaces=tuple(query.surface for query in queries),
            familiarity=np.array([np.nan if dial is None else dial for dial in dials], dtype=np.float32),
            seeds=seeds,
            aversions=self._aversions(queries),
        )

    def _reactions(self, query: Query) -> Sequence[Reaction]:
        """What the listener did since training; a raw history is the whole history."""
        return () if query.history is not None else self._since.get(query.user_id or "", ())

    def _aversions(self, queries: Sequence[Query]) -> tuple[Aversion | None, ...]:
        if not self._since:
            return ()
        found = tuple(
            aversion_of(
                self._since.get(query.user_id or "", ()), self._tracks, self._catalogue, _asked_at(query)
            )
            for query in queries
        )
        return found if any(found) else ()

    def _raw_history(self, query: Query) -> list[int] | None:
        """Track indices that stand for the query's history; None where training's own does."""
        given: list[int] = self._tracks.indices(query.history or ()).tolist()
        known = query.user_id is not None and query.user_id in self._users
        if query.artists and not (known and query.history is None):
            return self._favourites(query.artists) + given
        return None if query.history is None else given

    def _favourites(self, artists: Sequence[str]) -> list[int]:
        """The artists' most played tracks, the most played last: it counts as the latest."""
        listeners = self._catalogue.listeners
        ranked = [
            tracks[np.argsort(-listeners[tracks], kind="stable")][:TRACKS_PER_ARTIST].tolist()
            for tracks in self._catalogue.tracks_by(artists)
        ]
        by_rank = [
            tracks[rank] for rank in range(TRACKS_PER_ARTIST) for tracks in ranked if rank < len(tracks)
        ]
        return by_rank[::-1]

    def _own_exclusions(self, query: Query, at: datetime) -> IndexArray:
        held = [block for block in query.blocked if block.until is None or at < zoned(block.until)]
        unwanted = disliked(self._since.get(query.user_id or "", ()))
        ids = (*query.exclude, *unwanted, *(block.track_id for block in held if block.track_id is not None))
        known = self._tracks.indices(ids)
        artists = [block.artist_id for block in held if block.artist_id is not None]
        return np.concatenate([known[known >= 0], *self._catalogue.tracks_by(artists)]).astype(np.int32)

    def _withheld(self, rules: SlateConfig, query: Query, at: datetime) -> IndexArray:
        market = _market(query)
        parts = [_NOTHING]
        if not (rules.allow_explicit and query.allow_explicit):
            parts.append(self._catalogue.explicit)
        for withholding in rules.withhold:
            if withholding.holds(market, at):
                known = self._tracks.indices(withholding.tracks)
                parts += [known[known >= 0], *self._catalogue.tracks_by(withholding.artists)]
        return np.unique(np.concatenate(parts)).astype(np.int32)


_NOTHING: IndexArray = np.zeros(0, np.int32)


def _asked_at(query: Query) -> datetime:
    """Where the time of the request is not known it is the clock's."""
    return datetime.now(UTC) if query.context.at is None else zoned(query.context.at)


def _market(query: Query) -> str | None:
    return query.context.country if query.market is None else query.market


def _microseconds(query: Query) -> int:
    at = query.context.at
    return NO_TIME if at is None else microseconds(at)


def _seed(query: Query, salt: int) -> int:
    """A number that is the same for the same request, whichever process answers it."""
    named = (query.user_id, query.history, query.artists, query.group, query.context.at)
    text = repr(named) if query.seed is None else repr(query.seed)
    digest = hashlib.blake2b(f"{salt} {text}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")

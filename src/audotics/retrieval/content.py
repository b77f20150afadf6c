"""Tracks whose content is like what the listener plays; the one retriever that reaches cold tracks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from audotics.data.compressed import Compressed, product
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.content_description import broad_vectors, described_tracks, stored_matrix, unit_rows
from audotics.retrieval.factored import some_listeners
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.learned import LearnedRetriever, strongest_tracks
from audotics.retrieval.protocol import (
    Arrays,
    Choice,
    Evidence,
    Explanation,
    Range,
    RetrieverConfig,
    Scores,
    SearchSpace,
)
from audotics.retrieval.vector_index import LEAST_VECTORS, VectorIndex
from audotics.retrieval.weighting import HALF_LIFE, HistoryWeights, weighting_arrays


class ContentKNNConfig(RetrieverConfig):
    """Settings of `ContentKNN`: the weight of each kind of content, and how history and popularity count."""

    artist: float = Field(1.0, ge=0)
    album: float = Field(0.5, ge=0)
    genre: float = Field(0.3, ge=0)
    tag: float = Field(1.0, ge=0)
    decade: float = Field(0.05, ge=0)
    audio: float = Field(0.3, ge=0)
    history_strength: float = Field(0.3, ge=0)
    """How much repeated plays count in the history of a query, see `play_weights`."""
    half_life: float | None = Field(None, gt=0)
    """Tracks after which a play in the history counts half, where there is order; see `recency_weights`."""
    popularity_power: float = Field(0.2, ge=0, le=1)
    """Scores are multiplied by ``(1 + listeners)`` to this power, which orders tracks of equal content."""


class ContentKNN(LearnedRetriever[ContentKNNConfig]):
    """Weighted mean of cosines between the content of the history and of each track.

    For every kind of content (artist, album, genre, tag, decade, audio) the history's profile is the
    weighted sum of its tracks' vectors, scaled to length 1; a track's score is the mean of the cosines
    with the profile, weighted by the kinds' settings, times a power of the track's popularity.
    A track nobody has played yet is scored by the same rule.
    """

    name: ClassVar[str] = "content"
    config_type: ClassVar[type[RetrieverConfig]] = ContentKNNConfig
    space: ClassVar[SearchSpace] = {
        "artist": Range(0.0, 3.0),
        "album": Range(0.0, 3.0),
        "genre": Range(0.0, 3.0),
        "tag": Range(0.0, 3.0),
        "decade": Range(0.0, 1.0),
        "audio": Range(0.0, 3.0),
        "history_strength": Choice((0.0, 0.3, 1.0)),
        "half_life": HALF_LIFE,
        "popularity_power": Range(0.0, 0.8),
    }

    def __init__(self, config: ContentKNNConfig | None = None) -> None:
        super().__init__(config)
        self._factors: tuple[FloatArray, FloatArray] | None = None

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether the catalogue describes its tracks."""
        described = described_tracks(corpus.track_table)
        return len(described["name_ends"]) > 0 or described["audio"].shape[1] > 0

    def learn(self, corpus: Corpus) -> Arrays:
        """Describe every track by terms and audio; nothing of the listeners but popularity is learned."""
        listeners = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks)
        return {
            **described_tracks(corpus.track_table),
            "listeners": listeners.astype(np.float32),
            **weighting_arrays(corpus.interactions),
        }

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``."""
        scores = self.compact_scores(batch)
        return scores if isinstance(scores, np.ndarray) else scores.toarray()

    def compact_scores(self, batch: QueryBatch) -> Scores:
        """The same; compressed where no audio makes every track a little alike."""
        arrays = self.arrays()
        index = VectorIndex.of(arrays)
        if index is not None:
            return self._products(batch.histories, index)
        history = self._history(batch.histories)
        by_term = stored_matrix(arrays, "by_term_", len(arrays["listeners"]))
        alike = product(self._profiles(history), by_term)
        popularity = self._popularity
        if self._weight("audio") == 0:
            return replace(alike, data=alike.data * popularity[alike.indices])
        scores = self._audio_profiles(history) @ arrays["audio"].T
        rows = np.arange(alike.n_rows).repeat(alike.lengths)
        scores[rows, alike.indices] += alike.data
        scores *= popularity
        return scores

    def fit(self, corpus: Corpus) -> Self:
        """Learn from the corpus, then index what makes most tracks of a large catalogue a little alike."""
        super().fit(corpus)
        if corpus.n_tracks >= LEAST_VECTORS:
            arrays = self.arrays()
            arrays |= broad_vectors(arrays, self._popularity)
            queries = self._broad_profiles(some_listeners(corpus).histories)[0]
            index = VectorIndex.built(arrays["broad_vectors"], queries)
            arrays |= {} if index is None else index.arrays()
        return self

    def _products(self, histories: Interactions, index: VectorIndex) -> InnerProducts:
        """Scores as products of what is broad, and entries for the tracks that share a rarer term."""
        arrays = self.arrays()
        queries, narrow = self._broad_profiles(histories)
        alike = product(narrow, stored_matrix(arrays, "by_term_", len(arrays["listeners"])))
        entries = replace(alike, data=alike.data * self._popularity.take(alike.indices))
        return InnerProducts(queries, arrays["broad_vectors"], index, entries)

    def _broad_profiles(self, histories: Interactions) -> tuple[FloatArray, Compressed]:
        """Profiles over audio and broad terms ``[batch, n_components + n_broad]``, and over other terms."""
        arrays = self.arrays()
        history = self._history(histories)
        profiles = self._profiles(history)
        places = arrays["broad_places"].take(profiles.indices)
        broad = places >= 0
        rows = np.arange(profiles.n_rows).repeat(profiles.lengths)
        n_components = arrays["audio"].shape[1]
        queries = np.zeros((profiles.n_rows, arrays["broad_vectors"].shape[1]), np.float32)
        if n_components:
            queries[:, :n_components] = self._audio_profiles(history)
        queries[rows[broad], n_components + places[broad]] = profiles.data[broad]
        counts = np.bincount(rows[~broad], minlength=profiles.n_rows)
        narrow = Compressed(
            profiles.data[~broad],
            profiles.indices[~broad],
            np.concatenate([[0], counts.cumsum()]),
            profiles.n_columns,
        )
        return queries, narrow

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The strongest shared term, else the history track that sounds most alike."""
        history = self._history(query.histories)
        found = self._nearest_sounding(query.histories, history.data, track_index)
        profile = self._profiles(history)
        if not profile.nnz:
            return found
        terms = self._terms()
        places, lengths = terms.entries(track_index)
        order = profile.indices.argsort()
        known = profile.indices[order]
        slot = np.minimum(known.searchsorted(terms.indices[places]), len(known) - 1)
        is_shared = known[slot] == terms.indices[places]
        shared = np.where(is_shared, profile.data[order][slot] * terms.data[places], 0.0)
        ends = lengths.cumsum().tolist()
        for row, (start, end) in enumerate(pairwise([0, *ends])):
            if end > start and shared[start:end].any():
                strongest = start + int(shared[start:end].argmax())
                term = self._term_name(int(terms.indices[places[strongest]]))
                found[row] = Explanation(Evidence.TERM, term=term)
        return found

    def _nearest_sounding(
        self, history: Interactions, weights: FloatArray, track_index: IndexArray
    ) -> list[Explanation | None]:
        audio = self.arrays()["audio"]
        if self._weight("audio") == 0:
            return [None] * len(track_index)
        cosines = audio[track_index] @ audio[history.track_index].T
        return strongest_tracks(history, weights * cosines, track_index)

    def _profiles(self, history: Compressed) -> Compressed:
        """Profiles over terms ``[batch, n_terms]``; the block of each kind has its weight as length."""
        arrays = self.arrays()
        profiles = product(history, self._terms())
        groups = self._groups
        group = arrays["group_of_term"][profiles.indices]
        block = np.arange(profiles.n_rows).repeat(profiles.lengths) * len(groups) + group
        squares = np.bincount(block, profiles.data**2, minlength=profiles.n_rows * len(groups))
        weights = np.array([self._weight(name) for name in groups])
        scales = (weights[group] / np.sqrt(squares[block])).astype(np.float32)
        return replace(profiles, data=profiles.data * scales)

    def _audio_profiles(self, history: Compressed) -> FloatArray:
        """Profiles over audio features ``[batch, n_components]``, of the weight's length."""
        heard = self.arrays()["audio"].take(history.indices, axis=0)
        heard *= history.data[:, None]
        profiles = np.zeros((history.n_rows, heard.shape[1]), np.float32)
        known = history.lengths.nonzero()[0]
        if len(known):
            # Track by track, so that the sum does not depend on how many queries there are.
            profiles[known] = np.add.reduceat(heard, history.indptr[known], axis=0)
        return unit_rows(profiles) * np.float32(self._weight("audio"))

    def _terms(self) -> Compressed:
        """What describes each track ``[n_tracks, n_terms]``."""
        return stored_matrix(self.arrays(), "", len(self.arrays()["name_ends"]))

    @property
    def _groups(self) -> list[str]:
        """Kinds of terms that the catalogue has."""
        groups: list[str] = self.arrays()["groups"].tolist()
        return groups

    def _weight(self, kind: str) -> float:
        """Share of one kind of content; the kinds that the catalogue has add up to 1."""
        arrays = self.arrays()
        kinds = self._groups + ["audio"] * bool(arrays["audio"].shape[1])
        total = sum(getattr(self.config, name) for name in kinds)
        return float(getattr(self.config, kind)) / total if kind in kinds and total > 0 else 0.0

    @property
    def _popularity(self) -> FloatArray:
        """Factor of each track ``[n_tracks]``, 1 for the most popular one."""
        listeners = self.arrays()["listeners"]
        # Raising all tracks to a power takes longer than all else that a request asks of this retriever.
        if self._factors is None or self._factors[0] is not listeners:
            raised = ((1.0 + listeners) / (1.0 + listeners.max())) ** self.config.popularity_power
            self._factors = listeners, raised.astype(np.float32)
        return self._factors[1]

    def _history(self, histories: Interactions) -> Compressed:
        config = self.config
        weights = HistoryWeights.learned(self.arrays(), config.history_strength, config.half_life)
        return weights.rows(histories)

    def _term_name(self, term: int) -> str:
        arrays = self.arrays()
        start = int(arrays["name_ends"][term - 1]) if term else 0
        return bytes(arrays["name_bytes"][start : int(arrays["name_ends"][term])]).decode()

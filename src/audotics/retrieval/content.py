"""Tracks whose content is like what the listener plays; the one retriever that reaches cold tracks."""

from __future__ import annotations

import weakref
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.features.terms import content_terms
from audotics.retrieval.learned import LearnedRetriever, strongest_track
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
        return scores.toarray() if sparse.issparse(scores) else scores

    def compact_scores(self, batch: QueryBatch) -> Scores:
        """The same; compressed where no audio makes every track a little alike."""
        arrays = self.arrays()
        history = self._history(batch.histories)
        by_term = _compressed(arrays, "by_term_", len(arrays["listeners"]))
        alike = sparse.csr_matrix(self._profiles(history) @ by_term)
        popularity = self._popularity()
        if self._weight("audio") == 0:
            alike.data *= popularity[alike.indices]
            return alike
        scores: FloatArray = alike.toarray()
        scores += self._audio_profiles(history) @ arrays["audio"].T
        scores *= popularity
        return scores

    def explain(self, batch: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The strongest shared term, else the history track that sounds most alike."""
        history = self._history(batch.histories)
        terms = _compressed(self.arrays(), "", len(self.arrays()["name_ends"]))
        shared = sparse.csr_matrix(self._profiles(history).multiply(terms[track_index]))
        shared.eliminate_zeros()
        found = self._nearest_sounding(batch.histories, history.data, track_index)
        order = np.lexsort((-shared.data, np.repeat(np.arange(batch.size), np.diff(shared.indptr))))
        for row in np.flatnonzero(np.diff(shared.indptr)):
            strongest = shared.indices[order[shared.indptr[row]]]
            found[row] = Explanation(Evidence.TERM, term=self._term_name(int(strongest)))
        return found

    def _nearest_sounding(
        self, histories: Interactions, weights: FloatArray, track_index: IndexArray
    ) -> list[Explanation | None]:
        audio = self.arrays()["audio"]
        if self._weight("audio") == 0:
            return [None] * histories.n_rows
        cosines = np.sum(audio[histories.track_index] * audio[track_index[histories.row_index]], axis=1)
        return strongest_track(histories, weights * cosines, track_index)

    def _profiles(self, history: sparse.csr_matrix) -> sparse.csr_matrix:
        """Profiles over terms ``[batch, n_terms]``; the block of each kind has its weight as length."""
        arrays = self.arrays()
        profiles = sparse.csr_matrix(history @ _compressed(arrays, "", len(arrays["name_ends"])))
        groups = [str(name) for name in arrays["groups"]]
        rows = np.repeat(np.arange(profiles.shape[0]), np.diff(profiles.indptr))
        group = arrays["group_of_term"][profiles.indices]
        block = rows * len(groups) + group
        squares = np.bincount(block, profiles.data**2, minlength=profiles.shape[0] * len(groups))
        weights = np.array([self._weight(name) for name in groups])
        profiles.data *= (weights[group] / np.sqrt(squares[block])).astype(np.float32)
        return profiles

    def _audio_profiles(self, history: sparse.csr_matrix) -> FloatArray:
        """Profiles over audio features ``[batch, n_components]``, of the weight's length."""
        profiles: FloatArray = history @ self.arrays()["audio"]
        return _unit_rows(profiles) * np.float32(self._weight("audio"))

    def _weight(self, kind: str) -> float:
        """Share of one kind of content; the kinds that the catalogue has add up to 1."""
        arrays = self.arrays()
        kinds = [str(name) for name in arrays["groups"]] + ["audio"] * bool(arrays["audio"].shape[1])
        total = sum(getattr(self.config, name) for name in kinds)
        return float(getattr(self.config, kind)) / total if kind in kinds and total > 0 else 0.0

    def _popularity(self) -> FloatArray:
        """Factor of each track ``[n_tracks]``, 1 for the most popular one."""
        listeners = 1.0 + self.arrays()["listeners"]
        factors: FloatArray = ((listeners / listeners.max()) ** self.config.popularity_power).astype(
            np.float32
        )
        return factors

    def _history(self, histories: Interactions) -> sparse.csr_matrix:
        config = self.config
        weights = HistoryWeights.learned(self.arrays(), config.history_strength, config.half_life)
        return weights.matrix(histories)

    def _term_name(self, term: int) -> str:
        arrays = self.arrays()
        start = int(arrays["name_ends"][term - 1]) if term else 0
        return bytes(arrays["name_bytes"][start : int(arrays["name_ends"][term])]).decode()


_LAST_DESCRIBED: dict[int, Arrays] = {}
"""What `described_tracks` last answered, by the identity of the table; at most one entry."""


def described_tracks(track_table: pl.DataFrame) -> Arrays:
    """Terms and audio of every track, as the read-only arrays that `ContentKNN` keeps of a catalogue.

    No setting changes them, and tuning fits dozens of settings on one catalogue: so the answer for the
    last table is remembered, until another table is asked about or this one is gone. Tables are never
    changed in place.

    Args:
        track_table: The tracks table (``schema.TRACKS``), one row per track in index order.
    """
    key = id(track_table)
    arrays = _LAST_DESCRIBED.get(key)
    if arrays is None:
        arrays = _describe(track_table)
        _LAST_DESCRIBED.clear()
        _LAST_DESCRIBED[key] = arrays
        # An identity may be given again once its table is gone.
        weakref.finalize(track_table, _LAST_DESCRIBED.pop, key, None)
    return arrays


def _describe(track_table: pl.DataFrame) -> Arrays:
    # Learning only: loading and scoring a stored retriever must not need scikit-learn.
    from audotics.features.audio import audio_features

    terms = content_terms(track_table)
    by_term = terms.matrix.T.tocsr()
    arrays = {
        **terms.arrays(),
        "group_of_term": np.repeat(np.arange(len(terms.groups)), np.diff(terms.bounds)).astype(np.int32),
        "by_term_data": by_term.data,
        "by_term_indices": by_term.indices,
        "by_term_indptr": by_term.indptr,
        "audio": _unit_rows(audio_features(track_table)),
    }
    for array in arrays.values():
        # Several retrievers share them.
        array.flags.writeable = False
    return arrays


def _compressed(arrays: Arrays, prefix: str, width: int) -> sparse.csr_matrix:
    """The sparse matrix that three of the arrays hold."""
    parts = (arrays[f"{prefix}data"], arrays[f"{prefix}indices"], arrays[f"{prefix}indptr"])
    return sparse.csr_matrix(parts, shape=(len(parts[2]) - 1, width), copy=False)


def _unit_rows(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths: FloatArray = np.sqrt(np.sum(vectors * vectors, axis=1, keepdims=True))
    lengths[lengths == 0] = 1.0
    scaled: FloatArray = vectors / lengths
    return scaled

"""What comes after the last tracks of a history, by self-attention over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import BoolArray, FloatArray, IndexArray, TimeArray
from audotics.errors import MissingExtraError
from audotics.retrieval.factored import FactoredRetriever
from audotics.retrieval.learned import strongest_tracks
from audotics.retrieval.protocol import Arrays, Choice, Explanation, RetrieverConfig, SearchSpace
from audotics.retrieval.sequence_encoder import block_shapes, encode
from audotics.retrieval.sequence_inputs import recent_sequences
from audotics.retrieval.warm_start import TrackRows

LEAST_PAIRS = 10_000
"""With fewer listener-track pairs counting transitions tells as much, in no time."""

_ASKED_ABOUT = 3
"""History tracks that are tried as the cause of a score, those most like the track."""
_LEAST_FALL = 1e-3
"""A smaller change of the score may be rounding, and is no cause."""


class SequenceConfig(RetrieverConfig):
    """Settings of `SequenceEncoder`."""

    dim: int = Field(64, ge=2, le=1024)
    """Length of the vectors of tracks."""
    n_blocks: int = Field(1, ge=1, le=4)
    """Blocks of attention."""
    n_heads: int = Field(2, ge=1)
    """Heads of each block; a divisor of ``dim``."""
    length: int = Field(50, ge=1, le=1000)
    """Tracks at the end of a history that are read."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Share of every layer's outputs that training leaves out."""
    id_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the tracks of a step that are known by their content alone, as new ones are."""
    n_negatives: int = Field(1024, ge=1)
    """Tracks that the right one is told from in each step; all of them where there are no more."""
    batch_size: int = Field(64, ge=1)
    """Windows of histories in a step."""
    n_epochs: int = Field(30, ge=1)
    """Most passes over the histories."""
    max_steps: int = Field(1500, ge=1)
    """Most steps: what bounds the time on large data."""
    learning_rate: float = Field(5e-3, gt=0)
    """Highest rate of Adam."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Fixes starting weights, windows, negatives and noise."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where it is trained; auto takes a GPU where there is one."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dim % self.n_heads:
            raise ValueError("n_heads must divide dim")
        return self


@dataclass(slots=True)
class SequenceHistory:
    """Learning curves of one fit, an entry for every look at the held-out last tracks.

    Args:
        steps: Steps done.
        loss: Mean training loss of the steps since the look before.
        gain: Mean gain of the held-out tracks (`sequence_training.HeldOut.gain`).
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)

    def looked(self, step: int, losses: Sequence[float], gain: float) -> None:
        """Note a look after ``step``; ``losses`` are those of the steps since the one before."""
        self.steps.append(step)
        self.loss.append(float(np.mean(losses)))
        self.gain.append(gain)

    @property
    def looks_since_best(self) -> int:
        """Looks after the best one; of equal ones the last is the best."""
        return int(np.argmax(self.gain[::-1]))


WARM_SHARE = 2 / 3
"""Part of the steps that a warm start takes. It saves fewer than in matrix factorisation: the rate rises and
falls anew, and only ends as low as it began when there is time for both."""


@dataclass(frozen=True, slots=True)
class SequenceStart:
    """What an earlier encoder learned, for one of the same shape.

    Args:
        tracks: ``[n_tracks, dim]``, vectors by the new vocabulary.
        told: ``[n_tracks]``, which of them are known.
        weights: Everything else that `sequence_encoder.encode` reads.
    """

    tracks: FloatArray
    told: BoolArray
    weights: Arrays


class SequenceEncoder(FactoredRetriever[SequenceConfig]):
    """Inner product of the encoded history with each track's vector.

    The last tracks of a history and the pauses between them pass through blocks of causal self-attention,
    trained so that every place tells the track that came next. A track's vector comes from its id and its
    content; one that nobody has played has the vector that its content alone gives.

    Fitting needs TensorFlow; scoring is numpy.

    Sources: Kang and McAuley, "Self-Attentive Sequential Recommendation" (2018); Klenitskiy and Vasilev,
    "Turning Dross Into Gold Loss" (2023), on the softmax over many negatives; Yi et al., "Sampling-Bias-
    Corrected Neural Modeling" (2019).

    Attributes:
        history_: Learning curves of `fit`; not stored.
    """

    name: ClassVar[str] = "sequence"
    vectors_name: ClassVar[str] = "track_vectors"
    config_type: ClassVar[type[RetrieverConfig]] = SequenceConfig
    space: ClassVar[SearchSpace] = {
        "dropout": Choice((0.2, 0.3, 0.5)),
        "learning_rate": Choice((2e-3, 5e-3)),
    }

    quick_to_tune: ClassVar[bool] = False
    history_: SequenceHistory

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether order is known, there is enough of it, and TensorFlow is installed."""
        interactions = corpus.interactions
        return (
            interactions.ordered
            and interactions.n_pairs >= LEAST_PAIRS
            and find_spec("tensorflow") is not None
        )

    _start: SequenceStart | None = None

    def start_from(self, earlier: Mapping[str, npt.NDArray[Any]], rows: TrackRows) -> None:
        """Start the next fit from an earlier encoder; it then takes `WARM_SHARE` of the steps.

        Vectors of tracks start at their rows, or among tracks of like content; an encoder of another shape
        starts anew. See `audotics.retrieval.warm_start.WarmStarting`.
        """
        config = self.config
        shapes = block_shapes(config.dim, config.n_heads, config.length)
        there = {name: np.shape(array) for name, array in earlier.items()}
        fits = there[self.vectors_name][1] == config.dim and all(
            there.get(f"{number}_{name}") == shape
            for number in range(config.n_blocks)
            for name, shape in shapes.items()
        )
        if fits:
            tracks, told = rows.carried(earlier[self.vectors_name])
            weights = {name: array for name, array in earlier.items() if name != self.vectors_name}
            self._start = SequenceStart(tracks, told, weights)

    def learn(self, corpus: Corpus) -> Arrays:
        """Train the encoder and the track tower.

        Raises:
            MissingExtraError: TensorFlow is not installed.
        """
        if find_spec("tensorflow") is None:
            raise MissingExtraError("the sequence retriever", "tensorflow")
        # Learning only: loading and scoring a stored retriever must not need this library.
        from audotics.retrieval.sequence_training import train

        self.history_ = SequenceHistory()
        start, self._start = self._start, None
        return train(self.config, corpus, self.history_, start=start)

    def query_vectors(self, batch: QueryBatch) -> FloatArray:
        """Encoded histories ``[batch, dim]``; 0 for an empty one or one of unknown order."""
        return self._encoded(batch.histories, batch.at)

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The history track without which the score would fall most, of those most like the track.

        Attention weights are no contributions: so the history is encoded again without each of them.
        """
        history = _ends(query.histories, self.config.length + 1)
        if not history.n_pairs:
            return [None] * len(track_index)
        vectors = self.arrays()["track_vectors"]
        wanted = vectors[track_index]
        likeness = wanted @ vectors[history.track_index].T
        likeness[:, history.tracks_since >= self.config.length] = -np.inf
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :_ASKED_ABOUT]
        tried = np.unique(nearest[np.isfinite(np.take_along_axis(likeness, nearest, axis=1))])
        scores = wanted @ self._encoded(_with_and_without(history, tried), query.at.repeat(1 + len(tried))).T
        falls = scores[:, :1] - scores[:, 1:]
        shares = np.zeros(likeness.shape, np.float32)
        shares[:, tried] = np.where(falls > _LEAST_FALL, falls, 0.0)
        asked = np.zeros(likeness.shape, np.bool_)
        np.put_along_axis(asked, nearest, values=True, axis=1)
        return strongest_tracks(history, np.where(asked, shares, 0.0), track_index)

    def _encoded(self, histories: Interactions, asked_at: TimeArray) -> FloatArray:
        """What each history asks for ``[n, dim]``; 0 where its order is unknown."""
        arrays = self.arrays()
        if not histories.ordered:
            return np.zeros((histories.n_rows, arrays["norm"].shape[1]), np.float32)
        return encode(arrays, recent_sequences(histories, asked_at, self.config.length))


def _ends(histories: Interactions, n: int) -> Interactions:
    """The last ``n`` tracks of each history."""
    return histories.where(histories.tracks_since < n)


def _with_and_without(history: Interactions, pairs: TimeArray) -> Interactions:
    """The one history, then the same without each of some pairs ``[n]``, as ``1 + n`` rows."""
    n_pairs = history.n_pairs
    shorter = np.arange(n_pairs - 1) + (np.arange(n_pairs - 1) >= pairs[:, None])
    taken = np.concatenate([np.arange(n_pairs), shorter.ravel()])
    lengths = np.array([0, n_pairs, *[n_pairs - 1] * len(pairs)])
    return Interactions(
        lengths.cumsum(),
        history.track_index[taken],
        history.plays[taken],
        history.last_at[taken],
        history.n_tracks,
        history.ordered,
    )

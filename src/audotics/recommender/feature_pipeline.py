"""FeaturePipeline: tables in, predictions out. scikit-learn features feed the deep model, no retrievers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.corpus import Corpus
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, FloatArray, IndexArray
from audotics.errors import BadInputError, NotFittedError
from audotics.features.processor import DataProcessor
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.deep import DeepRanker
from audotics.ranking.hashing import hashed_index
from audotics.ranking.protocol import HEADS, RankingExamples, RankingInputs
from audotics.recommender.candidates import blocks

N_POSITIVES, N_NEGATIVES = 20, 60
"""Tracks of a training list: played ones at most, and others drawn at random."""

VALIDATION_SHARE = 0.2
"""Share of the listeners whose lists only decide when to stop."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    users: Vocabulary
    tracks: Vocabulary
    popularity: FloatArray
    ranker: DeepRanker

    def track_index(self, track_ids: pl.Series) -> IndexArray:
        """Indices of tracks ``[len(track_ids)]``; those that training never saw have hashed ones.

        A listener never seen is -1 to the model. To a list of candidates -1 is no track at all.
        """
        index = self.tracks.encode(track_ids).copy()
        new = np.flatnonzero(index == PADDING)
        rows = self.ranker.config.hashed_rows
        keys = track_ids.gather(new).cast(pl.String).fill_null("")
        index[new] = [hashed_index(key, len(self.tracks), rows) for key in keys]
        return index


class FeaturePipeline:
    """Predicts how listeners react to tracks from tables about both, for prototypes and cold starts.

    Rows about listeners and tracks that training never saw are welcome: their columns speak for them.
    The Recommender adds retrievers, history and slates to the same model.

    Args:
        user_processor: Makes features of the user table.
        track_processor: Makes features of the track table.
        config: Settings of the deep model.
        max_listeners: Most listeners whose lists are learned from.
    """

    def __init__(
        self,
        user_processor: DataProcessor | None = None,
        track_processor: DataProcessor | None = None,
        config: ModelConfig | None = None,
        max_listeners: int = 5000,
    ) -> None:
        self.user_processor = user_processor or DataProcessor(n_components=16)
        self.track_processor = track_processor or DataProcessor(n_components=32)
        self.config = config or ModelConfig()
        self.max_listeners = max_listeners
        self._fitted: _Fitted | None = None

    def fit(self, corpus: Corpus) -> FeaturePipeline:
        """Fit both processors, then the deep model on played tracks against random ones.

        Raises:
            MissingExtraError: TensorFlow is not installed.
            BadInputError: Fewer than two listeners have played anything.
        """
        listeners = np.flatnonzero(corpus.interactions.lengths > 0)
        if len(listeners) < 2:
            raise BadInputError("fewer than two listeners have played anything", where="corpus")
        rng = np.random.default_rng(self.config.seed)
        chosen = rng.permutation(listeners)[: self.max_listeners].astype(np.int32)
        popularity = np.log1p(np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks))
        popularity = (popularity / max(popularity.max(), 1.0)).astype(np.float32)
        user_features = _dense(self.user_processor.fit_transform(corpus.user_table))
        track_features = _dense(self.track_processor.fit_transform(corpus.track_table))
        track_index, labels, heads = _lists(corpus, chosen, rng)
        inputs = _inputs(user_features[chosen], track_features[track_index], popularity[track_index])
        examples = RankingExamples(_placed(inputs, chosen, track_index), labels, heads)
        n_held = max(1, int(len(chosen) * VALIDATION_SHARE))
        order = np.arange(len(chosen), dtype=np.int32)
        ranker = DeepRanker(RankingWorld(corpus.n_users, track_features), self.config)
        ranker.fit(examples.take(order[n_held:]), examples.take(order[:n_held]))
        self._fitted = _Fitted(corpus.users, corpus.tracks, popularity, ranker)
        return self

    def process_and_predict(self, user_data: pl.DataFrame, track_data: pl.DataFrame) -> dict[str, FloatArray]:
        """Chance of each reaction of each listener to each track.

        Args:
            user_data: ``user_id`` and the columns of the users table that training had.
            track_data: ``track_id`` and the columns of the tracks table that training had.

        Returns:
            Head -> ``[n_users, n_tracks]`` in [0, 1].

        Raises:
            NotFittedError: Called before `fit`.
            BadInputError: An id column is missing.
        """
        fitted = self._fitted
        if fitted is None:
            raise NotFittedError("FeaturePipeline")
        for table, column in ((user_data, "user_id"), (track_data, "track_id")):
            if column not in table.columns:
                raise BadInputError(f"column {column} is missing", where="process_and_predict")
        user_index = fitted.users.encode(user_data["user_id"])
        track_index = fitted.track_index(track_data["track_id"])
        known = np.where(track_index < len(fitted.tracks), track_index, PADDING)
        popularity = np.where(known >= 0, fitted.popularity[known], np.float32(0))
        users = _dense(self.user_processor.transform(user_data))
        tracks = _dense(self.track_processor.transform(track_data))
        shape = (len(users), len(tracks))
        chances = {head: np.empty(shape, np.float32) for head in fitted.ranker.shape_.heads}
        # Features of every listener with every track would not fit memory for all listeners at once.
        for start, stop in blocks(len(users), tracks.shape[0] * (1 + users.shape[1] + tracks.shape[1])):
            size = stop - start
            inputs = _inputs(
                users[start:stop],
                np.broadcast_to(tracks, (size, *tracks.shape)),
                np.broadcast_to(popularity, (size, len(tracks))),
            )
            asked = _placed(inputs, user_index[start:stop], np.tile(track_index, (size, 1)))
            for head, chance in fitted.ranker.probabilities(asked).items():
                chances[head][start:stop] = chance
        return chances


def _dense(features: npt.ArrayLike) -> FloatArray:
    return np.asarray(features, dtype=np.float32)


def _inputs(users: FloatArray, tracks: FloatArray, popularity: FloatArray) -> FloatArray:
    """Features of every pair ``[n_users, width, 1 + n_user_features + n_track_features]``."""
    width = tracks.shape[1]
    repeated = np.repeat(users[:, None, :], width, axis=1)
    return np.concatenate([popularity[:, :, None], repeated, tracks], axis=2, dtype=np.float32)


def _placed(features: FloatArray, user_index: IndexArray, track_index: IndexArray) -> RankingInputs:
    n_lists = len(user_index)
    return RankingInputs(
        features,
        ("popularity", *(f"feature_{place}" for place in range(1, features.shape[2]))),
        track_index,
        user_index,
        np.zeros((n_lists, 0), np.float32),
        np.zeros((n_lists, 0), np.int32),
    )


def _lists(
    corpus: Corpus, chosen: IndexArray, rng: np.random.Generator
) -> tuple[IndexArray, FloatArray, tuple[str, ...]]:
    """Played and random tracks of the chosen listeners, with what happened.

    Returns:
        Tracks ``[n_lists, width]`` padded with -1, labels ``[n_lists, width, n_heads]``, heads.
    """
    happened = corpus.events.group_by("user_index", "track_index", maintain_order=True).agg(
        (pl.col("event") == "complete").any().alias("complete"),
        pl.col("event").is_in(("like", "add_to_playlist")).any().alias("like"),
        (pl.col("event") == "skip").any().alias("skip"),
        (~pl.col("event").is_in(("skip", "dislike"))).any().alias("play"),
    )
    heads = (HEADS[0], *(head for head in HEADS[1:] if 0 < happened[head].sum() < happened.height))
    numbered = pl.DataFrame({"user_index": chosen, "row": np.arange(len(chosen), dtype=np.int32)})
    mine = happened.join(numbered, on="user_index", maintain_order="left").sample(
        fraction=1.0, shuffle=True, seed=int(rng.integers(2**31))
    )
    mine = mine.with_columns(pl.int_range(pl.len()).over("row").alias("slot")).filter(
        pl.col("slot") < N_POSITIVES
    )
    track_index = np.full((len(chosen), N_POSITIVES + N_NEGATIVES), PADDING, np.int32)
    labels = np.full((*track_index.shape, len(heads)), np.nan, np.float32)
    at = mine["row"].to_numpy(), mine["slot"].to_numpy()
    track_index[at] = mine["track_index"].to_numpy()
    labels[at] = mine.select(heads).to_numpy()
    track_index[:, N_POSITIVES:] = rng.integers(corpus.n_tracks, size=(len(chosen), N_NEGATIVES))
    labels[:, N_POSITIVES:, 0] = 0.0
    pairs = corpus.interactions
    played = pairs.row_index.astype(np.int64) * corpus.n_tracks + pairs.track_index
    drawn = chosen[:, None].astype(np.int64) * corpus.n_tracks + track_index[:, N_POSITIVES:]
    track_index[:, N_POSITIVES:][np.isin(drawn, played)] = PADDING
    labels[np.where(track_index == PADDING)] = np.nan
    # Equal scores keep the order of the slots, so that order must not tell who was played.
    shuffled = rng.permuted(np.tile(np.arange(track_index.shape[1]), (len(chosen), 1)), axis=1)
    rows = np.arange(len(chosen))[:, None]
    return track_index[rows, shuffled], labels[rows, shuffled], heads

"""What a ranker reads of each candidate: every retriever's opinion, the history with it, its content."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import Candidates, FloatArray, IndexArray
from audotics.features.content_profile import ContentProfile
from audotics.features.context import ContextEncoder
from audotics.features.history import HistoryStatistics
from audotics.features.terms import content_terms
from audotics.ranking.protocol import RankingInputs
from audotics.recommender.voices import Voices
from audotics.retrieval.protocol import Arrays

N_RECENT = 20
"""How many of the listener's last tracks a ranker may attend to."""

Z_LIMIT = 6.0

_CACHED_FLOATS = 1 << 18
"""Features made at once (1 MB): each is touched several times on the way."""


class FeatureAssembler:
    """Builds `RankingInputs` from candidates, in training and in serving alike.

    Args:
        retrievers: Names in the order of `Candidates.scores`.
        statistics: Fitted play statistics of listener, track, artist and album.
        content: Fitted content profile; has no columns where the catalogue has no content.
        context: Fitted encoder of time, device and country.
        scaling: ``[2, n]`` mean and standard deviation of the features that are not retrievers' own.
        voices: Where there are live tracks: who stands for them among the recent tracks.
    """

    def __init__(
        self,
        retrievers: tuple[str, ...],
        statistics: HistoryStatistics,
        content: ContentProfile,
        context: ContextEncoder,
        scaling: FloatArray | None = None,
        voices: Voices | None = None,
    ) -> None:
        self.retrievers = retrievers
        self.statistics = statistics
        self.content = content
        self.context = context
        self.scaling = scaling
        self.voices = voices

    @classmethod
    def fit(cls, corpus: Corpus, retrievers: tuple[str, ...]) -> FeatureAssembler:
        """Learn the statistics of a corpus; the scaling follows with `scaled`."""
        return cls(
            retrievers,
            HistoryStatistics().fit(corpus),
            ContentProfile().fit(content_terms(corpus.track_table)),
            ContextEncoder().fit(corpus.events),
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        own = tuple(f"{name}:{kind}" for kind in ("z", "top", "rank") for name in self.retrievers)
        return (*own, "votes", *self.statistics.names, *self.content.names)

    def assemble(self, batch: QueryBatch, candidates: Candidates) -> RankingInputs:
        """Features of every candidate ``[batch, width, n_features]``, scaled once a scaling is known."""
        n_lists, width = candidates.track_index.shape
        step = max(1, _CACHED_FLOATS // max(1, width * len(self.names)))
        if n_lists <= step:
            features = self._made(batch, candidates).swapaxes(1, 2)
        else:
            features = np.empty((n_lists, width, len(self.names)), np.float32)
            for start in range(0, n_lists, step):
                stop = min(start + step, n_lists)
                made = self._made(batch.part(start, stop), candidates.part(start, stop))
                features[start:stop] = made.swapaxes(1, 2)
        heard = batch if self.voices is None else self.voices.spoken(batch)
        return RankingInputs(
            features=features,
            feature_names=self.names,
            track_index=candidates.track_index,
            user_index=batch.user_index,
            context=self.context.encode(batch.at, batch.device, batch.country),
            recent=heard.histories.latest(N_RECENT),
        )

    def _made(self, batch: QueryBatch, candidates: Candidates) -> FloatArray:
        """Features of a few lists ``[batch, n_features, width]``: each is made for all candidates at once."""
        n_own, n_content = 3 * len(self.retrievers) + 1, len(self.content.names)
        n_lists, width = candidates.track_index.shape
        lists = np.empty((n_lists, len(self.names), width), np.float32)
        lists[:, :n_own] = opinions(candidates).swapaxes(1, 2)
        others = lists[:, n_own:]
        statistics = self.statistics.compute(batch, candidates.track_index)
        others[:, : others.shape[1] - n_content] = statistics.swapaxes(1, 2)
        if n_content:
            content = self.content.compute(batch, candidates.track_index)
            others[:, others.shape[1] - n_content :] = content.swapaxes(1, 2)
        if self.scaling is not None:
            others -= self.scaling[0][:, None]
            others /= self.scaling[1][:, None]
            np.clip(others, -Z_LIMIT, Z_LIMIT, out=others)
        np.copyto(lists, 0.0, where=~candidates.present[:, None])
        return lists

    def extended(
        self, statistics: HistoryStatistics, content: ContentProfile, voices: Voices
    ) -> FeatureAssembler:
        """The same features with statistics and content of live tracks, too."""
        return FeatureAssembler(self.retrievers, statistics, content, self.context, self.scaling, voices)

    def scaled(self, inputs: RankingInputs) -> FeatureAssembler:
        """The same with the scaling that brings the features of these unscaled lists to order one."""
        others = inputs.features[inputs.present][:, 3 * len(self.retrievers) + 1 :]
        deviation = others.std(axis=0)
        scaling = np.stack([others.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0)])
        return FeatureAssembler(
            self.retrievers, self.statistics, self.content, self.context, scaling.astype(np.float32)
        )

    def refitted(self, corpus: Corpus) -> FeatureAssembler:
        """Statistics and content of another corpus, with the context columns and the scaling kept.

        A ranker that was fitted on these features can read those: a context encoder fitted anew might
        order its columns differently.
        """
        fresh = FeatureAssembler.fit(corpus, self.retrievers)
        return FeatureAssembler(self.retrievers, fresh.statistics, fresh.content, self.context, self.scaling)

    def strongest_retriever(self, inputs: RankingInputs) -> IndexArray:
        """``[batch, width]``: number of the retriever with the highest standardised score."""
        best: IndexArray = inputs.features[:, :, : len(self.retrievers)].argmax(axis=2).astype(np.int32)
        return best

    def arrays(self) -> dict[str, Arrays]:
        """Learned state by part."""
        if self.scaling is None:
            raise RuntimeError("the scaling is not fitted")
        return {
            "statistics": self.statistics.arrays(),
            "content": self.content.arrays(),
            "context": self.context.arrays(),
            "scaling": {"scaling": self.scaling},
        }

    @classmethod
    def from_arrays(
        cls, retrievers: tuple[str, ...], parts: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    ) -> FeatureAssembler:
        """Fitted again from what `arrays` gave."""
        return cls(
            retrievers,
            HistoryStatistics.from_arrays(parts["statistics"]),
            ContentProfile.from_arrays(parts["content"]),
            ContextEncoder.from_arrays(parts["context"]),
            np.asarray(parts["scaling"]["scaling"], dtype=np.float32),
        )


def opinions(candidates: Candidates) -> FloatArray:
    """What the retrievers say ``[batch, width, 3 * n_retrievers + 1]``.

    For each retriever the score standardised over the list, the score relative to the list's best,
    and the rank on a logarithmic scale (1 first, 0 not proposed); then how many proposed the track.
    """
    # Candidates side by side in memory, as the generator lays them: every sum below is over candidates.
    scores = np.ascontiguousarray(candidates.scores.swapaxes(1, 2))
    ranks = np.ascontiguousarray(candidates.ranks.swapaxes(1, 2))
    batch, n, width = scores.shape
    out = np.empty((batch, 3 * n + 1, width), np.float32)
    proposed = ranks <= candidates.depth
    # Statistics over what the retrievers propose at the depth that rankers learned: a longer slate brings
    # more candidates, which must not change what is said of the others.
    usual = candidates.present & proposed.any(axis=1)
    counted = usual[:, None]
    count = np.maximum(usual.sum(axis=1), 1)[:, None, None]
    centred = scores - scores.sum(axis=2, keepdims=True, where=counted, dtype=np.float64) / count
    variance = np.square(centred).sum(axis=2, keepdims=True, where=counted) / count
    centred /= np.sqrt(variance + 1e-12)
    out[:, :n] = np.clip(centred, -Z_LIMIT, Z_LIMIT, out=centred)
    relative, rank = out[:, n : 2 * n], out[:, 2 * n : 3 * n]
    np.divide(scores, scores.max(axis=2, keepdims=True, where=counted, initial=1e-12), out=relative)
    np.clip(relative, -1.0, 1.0, out=relative)
    np.log(ranks, out=rank)
    rank /= -float(np.log(candidates.depth + 1.0))
    rank += 1.0
    out[:, 3 * n] = proposed.sum(axis=1, dtype=np.int16) / np.float32(n)
    return out.swapaxes(1, 2)

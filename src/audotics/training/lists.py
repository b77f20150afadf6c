"""Ranking examples: candidates from retrievers that had not seen the answers, labelled with the answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from audotics.domain import FloatArray, IndexArray
from audotics.ranking.protocol import HEADS, RankingExamples, RankingInputs
from audotics.recommender.candidates import CandidateGenerator, blocks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.training.fold import Fold


def ranking_examples(
    fold: Fold, generator: CandidateGenerator, assembler: FeatureAssembler, heads: tuple[str, ...]
) -> RankingExamples:
    """Candidate lists for every query of the fold, labelled for the given heads."""
    return joined(
        *(
            RankingExamples(inputs, labels_of(part.hidden, inputs.track_index, heads), heads)
            for part, inputs in _assembled(fold, generator, assembler)
        )
    )


def joined(*parts: RankingExamples) -> RankingExamples:
    """The lists of all parts, padded to the widest."""
    width = max(part.inputs.track_index.shape[1] for part in parts)
    labels = np.concatenate([_widened(part.labels, width, np.nan) for part in parts])
    return RankingExamples(_stacked([part.inputs for part in parts], width), labels, parts[0].heads)


def answer_counts(fold: Fold) -> IndexArray:
    """``[batch]``: hidden plays of each query, whether or not they are among its candidates."""
    played = fold.hidden.filter("play")["row"].to_numpy()
    return np.bincount(played, minlength=fold.batch.size).astype(np.int32)


def available_heads(hidden: pl.DataFrame) -> tuple[str, ...]:
    """Play, and those other heads that happened for some hidden pairs and not for others."""
    others = [head for head in HEADS[1:] if 0 < hidden[head].sum() < hidden.height]
    return (HEADS[0], *others)


def _assembled(
    fold: Fold, generator: CandidateGenerator, assembler: FeatureAssembler
) -> Iterator[tuple[Fold, RankingInputs]]:
    for start, stop in blocks(fold.batch.size, fold.corpus.n_tracks):
        part = fold.take(np.arange(start, stop, dtype=np.int32))
        yield part, assembler.assemble(part.batch, generator.generate(part.batch, part.allowed))


def labels_of(hidden: pl.DataFrame, track_index: IndexArray, heads: tuple[str, ...]) -> FloatArray:
    """Labels of candidates ``[n_lists, width, n_heads]``: play is 0 where nothing is known, other heads NaN.

    Args:
        hidden: As in `Fold`.
        track_index: ``[n_lists, width]``, padded with -1; play is NaN there.
        heads: ``n_heads`` names, play first.
    """
    rows, columns = np.nonzero(track_index >= 0)
    slots = pl.DataFrame(
        {"row": rows.astype(np.int32), "track_index": track_index[rows, columns], "column": columns}
    )
    found = slots.join(hidden.select("row", "track_index", *heads), on=["row", "track_index"], how="inner")
    labels = np.full((*track_index.shape, len(heads)), np.nan, dtype=np.float32)
    labels[rows, columns, 0] = 0.0
    labels[found["row"].to_numpy(), found["column"].to_numpy()] = found.select(heads).to_numpy()
    return labels


def _widened(values: np.ndarray, width: int, filler: float) -> np.ndarray:
    missing = ((0, 0), (0, width - values.shape[1]), *((0, 0),) * (values.ndim - 2))
    return np.pad(values, missing, constant_values=filler)


def _stacked(parts: list[RankingInputs], width: int) -> RankingInputs:
    return RankingInputs(
        np.concatenate([_widened(part.features, width, 0.0) for part in parts]),
        parts[0].feature_names,
        np.concatenate([_widened(part.track_index, width, -1) for part in parts]),
        np.concatenate([part.user_index for part in parts]),
        np.concatenate([part.context for part in parts]),
        np.concatenate([part.recent for part in parts]),
    )

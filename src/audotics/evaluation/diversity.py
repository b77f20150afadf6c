"""Beyond accuracy: what the lists look like, whoever may like them.

Lists are ``[n_listeners, k]`` track indices padded with -1; every track is inside the vocabulary.

Sources: Castells, Hurley & Vargas, "Novelty and diversity in recommender systems", Recommender Systems
Handbook, 2015; Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005;
Shani & Gunawardana, "Evaluating recommendation systems", Recommender Systems Handbook, 2011;
Abdollahpouri et al., "The unfairness of popularity bias in recommendation", RMSE at RecSys 2019.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray, TimeArray
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.metrics import MetricArray
from audotics.features.terms import content_terms

TrackVectors: TypeAlias = FloatArray | sparse.csr_matrix
"""``[n_tracks, dim]``; a row of zeros is a track of which nothing is known."""


def exposure(recommended: IndexArray, n_tracks: int) -> TimeArray:
    """How many of the lists hold each track ``[n_tracks]``."""
    return np.bincount(recommended[recommended != PADDING], minlength=n_tracks).astype(np.int64)


def coverage(exposure_counts: TimeArray) -> float:
    """Share of the catalogue that at least one list holds (Shani & Gunawardana 2011, 8.3.3)."""
    return float(np.count_nonzero(exposure_counts) / max(len(exposure_counts), 1))


def novelty(recommended: IndexArray, n_listeners_of: TimeArray, n_users: int) -> MetricArray:
    """Mean self-information of the list in bits: ``mean(-log2 p)`` (Castells et al. 2015, 26.3.1).

    ``p`` is the share of training's listeners who heard the track. One listener more
    is counted for each track and in all, so that a track without any has a finite value.

    Args:
        recommended: ``[n_listeners, k]``.
        n_listeners_of: ``[n_tracks]``, training's listeners of each track.
        n_users: Training's listeners in all.

    Returns:
        ``[n_listeners]``, NaN for empty lists.
    """
    bits = np.log2((n_users + 1) / (n_listeners_of + 1.0))
    return _mean_in_list(bits, recommended)


def new_track_share(recommended: IndexArray, has_events: BoolArray) -> float:
    """Share of the filled places that go to tracks without training events.

    Args:
        recommended: ``[n_listeners, k]``.
        has_events: ``[n_tracks]``, whether some training event names the track.
    """
    shown = recommended[recommended != PADDING]
    return float(np.count_nonzero(~has_events[shown])) / max(len(shown), 1)


def repeat_share(recommended: IndexArray, profiles: Interactions) -> float:
    """Share of the filled places that go to tracks their listener had heard in training.

    Args:
        recommended: ``[n_listeners, k]``.
        profiles: ``n_listeners`` rows, what training has of each.
    """
    n_tracks = max(profiles.n_tracks, int(recommended.max(initial=0)) + 1)
    heard = Holdout.from_pairs(profiles.row_index, profiles.track_index, profiles.n_rows, n_tracks)
    n_shown = int(np.count_nonzero(recommended != PADDING))
    return float(np.count_nonzero(heard.hits(recommended))) / max(n_shown, 1)


def intra_list_diversity(recommended: IndexArray, vectors: TrackVectors) -> MetricArray:
    """One minus the mean cosine of the list's pairs of tracks (Ziegler et al. 2005).

    Computed from the sum ``s`` of the list's unit vectors, as ``(|s|^2 - m) / (m (m - 1))`` is the mean
    cosine of ``m`` of them. Tracks of which nothing is known (zero vectors) are left out.

    Args:
        recommended: ``[n_listeners, k]``.
        vectors: ``[n_tracks, dim]``, dense or sparse.

    Returns:
        ``[n_listeners]``, NaN where fewer than two tracks of the list are described.
    """
    table = sparse.csr_matrix(vectors, dtype=np.float64)
    norms = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    described = norms > 0
    unit = sparse.diags_array(1.0 / np.where(described, norms, 1.0)) @ table
    lists = _list_matrix(recommended, len(norms))
    total = sparse.csr_matrix(lists @ unit)
    squared = np.asarray(total.multiply(total).sum(axis=1)).ravel()
    count = np.asarray(lists @ described.astype(np.float64))
    pairs = np.where(count > 1, count * (count - 1), np.nan)
    return np.asarray(1.0 - (squared - count) / pairs, np.float64)


def popularity_lift(
    recommended: IndexArray, profiles: Interactions, n_listeners_of: TimeArray
) -> float | None:
    """How much more popular the lists are than what the same listeners play of their own accord.

    ``mean popularity of the lists / mean popularity of the profiles - 1``, each averaged inside
    a listener first and then over listeners (Abdollahpouri et al. 2019). 0 = as popular, 1 = twice as much.

    Args:
        recommended: ``[n_listeners, k]``.
        profiles: ``n_listeners`` rows, what training has of each.
        n_listeners_of: ``[n_tracks]``, training's listeners of each track.

    Returns:
        The lift over listeners with both a list and a history; None if there are none.
    """
    popularity = n_listeners_of.astype(np.float64)
    of_lists = _mean_in_list(popularity, recommended)
    sums = np.bincount(
        profiles.row_index, weights=popularity[profiles.track_index], minlength=profiles.n_rows
    )
    of_profiles = sums / np.where(profiles.lengths > 0, profiles.lengths, np.nan)
    both = ~np.isnan(of_lists) & ~np.isnan(of_profiles)
    if not both.any():
        return None
    return float(of_lists[both].mean() / of_profiles[both].mean() - 1.0)


def content_vectors(corpus: Corpus) -> TrackVectors | None:
    """What the catalogue says of each track, for `intra_list_diversity`.

    The terms of `audotics.features.terms.content_terms` (artist, album, genres, tags, decade), or
    else the given embeddings. None where the catalogue has neither.

    Returns:
        ``[n_tracks, dim]`` or None.
    """
    terms = content_terms(corpus.track_table)
    return terms.matrix if terms.n_terms else _given_embeddings(corpus.track_table["embedding"])


def _given_embeddings(column: pl.Series) -> FloatArray | None:
    known = column.is_not_null().to_numpy()
    if not known.any():
        return None
    stacked = np.array(column.drop_nulls().to_list(), dtype=np.float32)
    vectors = np.zeros((len(column), stacked.shape[1]), np.float32)
    vectors[known] = stacked
    return vectors


def _mean_in_list(value_of_track: npt.NDArray[np.float64], recommended: IndexArray) -> MetricArray:
    """Mean over each list ``[n_listeners]`` of a value per track ``[n_tracks]``, NaN for empty lists."""
    present = recommended != PADDING
    values = np.where(present, value_of_track[np.where(present, recommended, 0)], 0.0)
    lengths = present.sum(axis=1)
    return np.asarray(values.sum(axis=1) / np.where(lengths > 0, lengths, np.nan), np.float64)


def _list_matrix(recommended: IndexArray, n_tracks: int) -> sparse.csr_matrix:
    """Ones where a list holds a track ``[n_listeners, n_tracks]``."""
    present = recommended != PADDING
    indptr = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    columns = recommended[present]
    return sparse.csr_matrix((np.ones(len(columns)), columns, indptr), shape=(len(recommended), n_tracks))

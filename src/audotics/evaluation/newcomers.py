"""New listeners: who is asked again as if nothing or little were known of them, and what they were given.

The listeners of a test stand for newcomers: their histories are cut down, their test tracks stay the same.
Whatever they really had heard is no answer for any system, so kinds of newcomers differ in nothing but in
what is known of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, BoolArray, IndexArray
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.metrics import MetricArray, ranking_metrics
from audotics.evaluation.report import Comparison, Newcomer, NewcomerReport
from audotics.evaluation.significance import N_RESAMPLES, bootstrap_intervals, holm, paired_difference

MOST_LISTENERS = 500
"""How many listeners are asked at most for each kind of newcomer."""

N_EVENTS = {
    Newcomer.NO_EVENTS: 0,
    Newcomer.ONE_EVENT: 1,
    Newcomer.THREE_EVENTS: 3,
    Newcomer.TEN_EVENTS: 10,
}
"""How many events are left of a history."""

N_FAVOURITES = 3
"""How many favourite artists a newcomer names."""

NEWCOMER_METRICS = ("ndcg", "recall")


def shortened(
    histories: Interactions, n_events: int | IndexArray, seed: int | np.random.Generator = 0
) -> Interactions:
    """What a history looks like when it has just begun: ``n_events`` plays of as many different tracks.

    The last ones where histories are ordered, else a random draw; a shorter history stays whole. Only the
    choice of tracks is made here: how often and when each was played stays as it was.

    Args:
        histories: What the listeners really had heard.
        n_events: How many are left, of all rows or of each ``[n_rows]``.
        seed: Of the draw. Of two draws with the same number the larger holds the smaller.
    """
    since = histories.tracks_since
    if not histories.ordered:
        drawn = np.random.default_rng(seed).random(histories.n_pairs)
        # Within each row the draws put the pairs in an order of their own.
        order = np.lexsort((drawn, histories.row_index))
        since = np.empty_like(since)
        since[order] = histories.tracks_since
    left = np.repeat(np.broadcast_to(n_events, histories.n_rows), histories.lengths)
    return histories.where(since < left)


def favourite_artists(histories: Interactions, artist: IndexArray, n: int = N_FAVOURITES) -> IndexArray:
    """The artists that each listener plays most, among equals the latest first.

    Args:
        histories: What the listeners really had heard.
        artist: ``[n_tracks]``, number of each track's artist, -1 where unknown.
        n: How many.

    Returns:
        ``[n_rows, n]`` numbers of artists, padded with -1.
    """
    favourites = np.full((histories.n_rows, n), PADDING, np.int32)
    owner = artist[histories.track_index].astype(np.int64)
    pairs = np.flatnonzero(owner != PADDING)
    if len(pairs) == 0:
        return favourites
    n_artists = int(artist.max()) + 1
    keys, of_key = np.unique(histories.row_index[pairs] * n_artists + owner[pairs], return_inverse=True)
    plays = np.bincount(of_key, weights=histories.plays[pairs])
    last = np.zeros(len(keys), np.int64)
    np.maximum.at(last, of_key, pairs)
    rows, artists = np.divmod(keys, n_artists)
    order = np.lexsort((-last, -plays, rows))
    starts = np.searchsorted(rows[order], np.arange(histories.n_rows))
    place = np.arange(len(order)) - starts[rows[order]]
    shown = place < n
    favourites[rows[order][shown], place[shown]] = artists[order][shown]
    return favourites


def drawn_rows(eligible: BoolArray, most: int, seed: int) -> IndexArray:
    """At most ``most`` of the rows where ``eligible [n]``, ascending; the same seed prefers the same rows."""
    order = np.random.default_rng(seed).permutation(len(eligible))
    return np.sort(order[eligible[order]][:most]).astype(np.int32)


@dataclass(frozen=True, slots=True)
class NewcomerResult:
    """What one kind of newcomer was given, listener by listener.

    Args:
        newcomer: The kind.
        holdout: The test tracks of those who were asked, at least one each.
        systems: System -> ``"ndcg@20"`` -> ``[n_listeners]``.
    """

    newcomer: Newcomer
    holdout: Holdout
    systems: dict[str, dict[str, MetricArray]]

    @classmethod
    def of(
        cls, newcomer: Newcomer, holdout: Holdout, lists: Mapping[str, IndexArray], cutoff: int
    ) -> NewcomerResult:
        """Measure what systems answered.

        Args:
            newcomer: The kind.
            holdout: The test tracks.
            lists: System -> ``[n_listeners, k]``, best first, padded with -1.
            cutoff: Length to cut them at.
        """
        measured = {
            name: ranking_metrics(given, holdout, [cutoff], NEWCOMER_METRICS) for name, given in lists.items()
        }
        return cls(newcomer, holdout, measured)


def newcomer_reports(
    results: Sequence[NewcomerResult],
    reference: str,
    baseline: str,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[NewcomerReport, ...]:
    """Intervals of every system, and the reference against the baseline for every kind of newcomer.

    Args:
        results: One for each kind.
        reference: Name of the system that the report is about.
        baseline: What it is compared with.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resampling.
    """
    compared = _compared(results, reference, baseline, n_resamples, seed)
    return tuple(
        NewcomerReport(
            newcomer=result.newcomer,
            n_listeners=result.holdout.n_listeners,
            n_pairs=result.holdout.n_pairs,
            systems={
                name: bootstrap_intervals(metrics, n_resamples=n_resamples, seed=seed)
                for name, metrics in result.systems.items()
            },
            comparisons=comparisons,
        )
        for result, comparisons in zip(results, compared, strict=True)
    )


def _compared(
    results: Sequence[NewcomerResult], reference: str, baseline: str, n_resamples: int, seed: int
) -> list[tuple[Comparison, ...]]:
    """For each result one comparison a metric; a metric's p-values are corrected together."""
    by_metric = []
    for metric in results[0].systems[reference] if results else ():
        pairs = [
            paired_difference(
                result.systems[reference][metric],
                result.systems[baseline][metric],
                n_resamples=n_resamples,
                seed=seed,
            )
            for result in results
        ]
        corrected = holm([pair.p_value for pair in pairs])
        by_metric.append(
            [
                Comparison(metric=metric, system=reference, baseline=baseline, p_holm=p, **pair.model_dump())
                for pair, p in zip(pairs, corrected, strict=True)
            ]
        )
    return list(zip(*by_metric, strict=True))

"""ModelEvaluator: full ranking over the catalogue, never over sampled candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from audotics.data.corpus import Corpus
from audotics.data.describe import gini
from audotics.domain import PADDING, IndexArray
from audotics.errors import BadInputError
from audotics.evaluation import diversity
from audotics.evaluation.heads import HeadMetrics
from audotics.evaluation.metrics import MetricArray, ranking_metrics
from audotics.evaluation.report import (
    Comparison,
    EvaluationReport,
    NewcomerReport,
    SegmentReport,
    SystemReport,
    Task,
    TestDescription,
)
from audotics.evaluation.segments import Segment, listener_segments, pair_segments, tracks_with_events
from audotics.evaluation.significance import N_RESAMPLES, Interval, bootstrap_intervals
from audotics.evaluation.systems import Answerer, SystemResult, compare_systems, find_system
from audotics.evaluation.testset import TestSet, read_test

SEGMENT_METRICS = ("ndcg", "recall", "hit_rate")
"""What is told of every segment and compared between systems, at the headline cutoff."""

LISTENERS_PER_CALL = 1024


class ModelEvaluator:
    """Evaluates systems on one test, each on the same listeners and with the same resamples.

    The caller leaves out of the lists what the task does not ask for. Listeners without
    recommendations score 0; test tracks outside the vocabulary count as never found.

    Args:
        corpus: What the systems were trained on.
        test: ``user_id`` and ``track_id`` of what was held out, further columns ignored but
            ``event``: where it exists only positive events count.
        task: Which test tracks count.
        cutoffs: Lengths to cut lists at.
        vectors: ``[n_tracks, dim]`` that diversity is measured in. Default: the catalogue's own content.
        n_resamples: Bootstrap resamples behind intervals and p-values.
        seed: Seed of the resampling.

    Raises:
        BadInputError: The test lacks a column, has nulls, or nothing of it is left to evaluate on.
    """

    def __init__(
        self,
        corpus: Corpus,
        test: pl.DataFrame,
        *,
        task: Task = Task.DISCOVER,
        cutoffs: Sequence[int] = (5, 10, 20, 100),
        vectors: diversity.TrackVectors | None = None,
        n_resamples: int = N_RESAMPLES,
        seed: int = 0,
    ) -> None:
        if not cutoffs or min(cutoffs) < 1:
            raise BadInputError(
                "cutoffs must be positive", where="cutoffs", remedy="Give e.g. 5, 10, 20, 100"
            )
        self.cutoffs = tuple(sorted(set(cutoffs)))
        self.headline = max((c for c in self.cutoffs if c <= 20), default=self.cutoffs[0])
        self.n_resamples = n_resamples
        self.seed = seed
        self.test: TestSet = read_test(corpus, test, task)
        self._corpus = corpus
        self._vectors = diversity.content_vectors(corpus) if vectors is None else vectors
        self._n_listeners_of = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks)
        self._listener_segments = listener_segments(corpus.interactions, self.user_index)
        self._pair_segments = pair_segments(corpus, self.test.holdout, self.test.heard)
        self._has_events = tracks_with_events(corpus, self.test.holdout.n_tracks)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The listeners with test tracks, in the order of every array."""
        return self.test.user_ids

    @property
    def user_index(self) -> IndexArray:
        """``[n_listeners]`` their numbers in the corpus, -1 for those training never saw."""
        return self.test.user_index

    @property
    def k(self) -> int:
        """How long lists must be: the largest cutoff."""
        return self.cutoffs[-1]

    def ask(
        self,
        name: str,
        answer: Answerer,
        *,
        heads: Mapping[str, HeadMetrics] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> SystemResult:
        """Ask a system for every listener's list, time it and evaluate it.

        Args:
            name: What to call the system.
            answer: The system.
            heads: Quality of its probabilities, from `evaluate_heads`.
            on_progress: Called with the number of listeners answered since the last call.

        Raises:
            BadInputError: The system gave too few lists, or a track twice in one list.
        """
        lists: list[Sequence[str]] = []
        started = time.perf_counter()
        for start in range(0, len(self.user_ids), LISTENERS_PER_CALL):
            asked = self.user_ids[start : start + LISTENERS_PER_CALL]
            given = answer(asked, self.k)
            if len(given) != len(asked):
                raise BadInputError(f"asked for {len(asked)} lists, got {len(given)}", where=name)
            lists.extend(given)
            if on_progress is not None:
                on_progress(len(asked))
        seconds = time.perf_counter() - started
        return self.evaluate(name, self.test.encode(lists, self.k), seconds=seconds, heads=heads)

    def evaluate(
        self,
        name: str,
        recommended: IndexArray,
        *,
        seconds: float | None = None,
        heads: Mapping[str, HeadMetrics] | None = None,
    ) -> SystemResult:
        """Evaluate lists that are already there.

        Args:
            name: What to call the system.
            recommended: ``[n_listeners, k]`` track indices in the order of `user_ids`, best first, padded
                with -1; columns beyond the largest cutoff are ignored.
            seconds: How long answering took, if known.
            heads: Quality of the system's probabilities, from `evaluate_heads`.

        Raises:
            BadInputError: The shape or an index is wrong, or a list holds a track twice.
        """
        lists = recommended[:, : self.k]
        self.test.check(name, lists)
        holdout, cutoff = self.test.holdout, [self.headline]
        segments = {
            segment: ranking_metrics(lists, holdout.keep(chosen), cutoff, SEGMENT_METRICS)
            for segment, chosen in self._pair_segments.items()
            if chosen.any() and not chosen.all()
        }
        described, catalogue = self._describe(lists[:, : self.headline])
        return SystemResult(
            name=name,
            metrics=ranking_metrics(lists, holdout, self.cutoffs) | described,
            catalogue=catalogue,
            segments=segments,
            n_without_lists=int((lists == PADDING).all(axis=1).sum()),
            seconds=seconds,
            heads=dict(heads or {}),
        )

    def compare(
        self, results: Sequence[SystemResult], reference: str, metrics: Sequence[str] | None = None
    ) -> tuple[Comparison, ...]:
        """The reference against each other system, in pairs, corrected for their number (Holm).

        Args:
            results: Systems evaluated here.
            reference: Name of the one that the others are baselines of.
            metrics: What to compare. Default: NDCG, recall and hit rate at the headline cutoff.

        Raises:
            BadInputError: No result has the name ``reference``.
        """
        names = metrics or [f"{name}@{self.headline}" for name in SEGMENT_METRICS]
        return compare_systems(results, reference, names, n_resamples=self.n_resamples, seed=self.seed)

    def report(
        self,
        results: Sequence[SystemResult],
        reference: str | None = None,
        *,
        learning_curves: Mapping[str, Sequence[float]] | None = None,
        newcomers: Sequence[NewcomerReport] = (),
    ) -> EvaluationReport:
        """Intervals, segments and comparisons of all systems.

        Args:
            results: Systems evaluated here, with distinct names.
            reference: Name of the system that the report is about. Default: the first.
            learning_curves: Name of a series -> its value after each epoch; series whose names end in
                the same word ("train loss", "validation loss") are drawn together.
            newcomers: What `audotics.evaluation.newcomers` found of the same systems.

        Raises:
            BadInputError: There is no result, two share a name, or none has the name ``reference``.
        """
        if len({result.name for result in results}) != len(results) or not results:
            raise BadInputError("a report needs systems with distinct names", where="results")
        first = find_system(results, reference or results[0].name)
        ordered = [first, *(result for result in results if result is not first)]
        return EvaluationReport(
            created_at=datetime.now(UTC),
            test=self._describe_test(),
            systems=tuple(self._summarise(result) for result in ordered),
            comparisons=self.compare(ordered, first.name),
            learning_curves={
                name: tuple(float(value) if np.isfinite(value) else None for value in values)
                for name, values in (learning_curves or {}).items()
            },
            newcomers=tuple(newcomers),
        )

    def _describe(self, lists: IndexArray) -> tuple[dict[str, MetricArray], dict[str, float]]:
        """What the lists look like: values per listener, and of all lists together."""
        n_tracks, at = self._corpus.n_tracks, f"@{self.headline}"
        profiles = self._corpus.interactions.rows(self.user_index)
        new_tracks = diversity.new_track_share(lists, self._has_events)
        repeats = diversity.repeat_share(lists, profiles)
        # A test track outside the vocabulary may be recommended by name; training knows nothing of it.
        lists = np.where(lists < n_tracks, lists, PADDING).astype(np.int32)
        shown = diversity.exposure(lists, n_tracks)
        described = {f"novelty{at}": diversity.novelty(lists, self._n_listeners_of, self._corpus.n_users)}
        if self._vectors is not None:
            described[f"diversity{at}"] = diversity.intra_list_diversity(lists, self._vectors)
        catalogue = {
            f"coverage{at}": diversity.coverage(shown),
            f"gini{at}": gini(shown),
            f"new_track_share{at}": new_tracks,
            f"repeat_share{at}": repeats,
        }
        lift = diversity.popularity_lift(lists, profiles, self._n_listeners_of)
        return described, catalogue | ({} if lift is None else {f"popularity_lift{at}": lift})

    def _summarise(self, result: SystemResult) -> SystemReport:
        return SystemReport(
            name=result.name,
            metrics=self._intervals(result.metrics),
            catalogue=result.catalogue,
            segments=tuple(self._segments(result)),
            n_without_lists=result.n_without_lists,
            seconds=result.seconds,
            heads=result.heads,
        )

    def _segments(self, result: SystemResult) -> list[SegmentReport]:
        lengths = self.test.holdout.lengths
        names = [f"{name}@{self.headline}" for name in SEGMENT_METRICS]
        of_listeners = [
            SegmentReport(
                segment=segment,
                n_listeners=int(chosen.sum()),
                n_pairs=int(lengths[chosen].sum()),
                metrics=self._intervals({name: result.metrics[name][chosen] for name in names}),
            )
            for segment, chosen in self._listener_segments.items()
            if chosen.any()
        ]
        of_pairs = [
            SegmentReport(
                segment=segment,
                n_listeners=int((~np.isnan(values[names[0]])).sum()),
                n_pairs=int(self._pair_segments[segment].sum()),
                metrics=self._intervals(values),
            )
            for segment, values in result.segments.items()
        ]
        return of_listeners + of_pairs

    def _intervals(self, metrics: dict[str, MetricArray]) -> dict[str, Interval]:
        return bootstrap_intervals(metrics, n_resamples=self.n_resamples, seed=self.seed)

    def _describe_test(self) -> TestDescription:
        return TestDescription(
            task=self.test.task,
            n_listeners=len(self.user_ids),
            n_cold_listeners=int(self._listener_segments[Segment.COLD_LISTENERS].sum()),
            n_pairs=self.test.holdout.n_pairs,
            n_unknown_pairs=int((self.test.holdout.track_index >= self._corpus.n_tracks).sum()),
            n_heard_dropped=self.test.n_heard_dropped,
            n_unheard_dropped=self.test.n_unheard_dropped,
            n_tracks=self._corpus.n_tracks,
            cutoffs=self.cutoffs,
            headline=self.headline,
            n_resamples=self.n_resamples,
            seed=self.seed,
        )

"""BatchProcessor: lists for many listeners at once, as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from audotics.domain import PADDING, Mode, Query
from audotics.recommender.candidates import blocks
from audotics.recommender.recommender import Recommender
from audotics.slate.config import SlateConfig
from audotics.slate.statistics import SlateStatistics

LIST_COLUMNS = ("user_id", "track_id", "rank", "score")


class BatchProcessor:
    """Answers many listeners without reasons, block by block, under the recommender's rules.

    Blocks are answered side by side: most of the work is numpy's, which runs without the interpreter's lock.
    What a block holds, and so every list, does not depend on the number of threads.

    Args:
        recommender: Who answers.
        n_threads: Blocks answered at once; each takes the memory of its scores and features. None takes
            one for each core.

    Attributes:
        statistics: What the slates of the last table look like; empty where no rule is set.
    """

    def __init__(self, recommender: Recommender, n_threads: int | None = None) -> None:
        self._recommender = recommender
        self._n_threads = n_threads or os.cpu_count() or 1
        self.statistics = SlateStatistics()

    @property
    def identity(self) -> dict[str, str]:
        """What lists depend on, beside listeners, length and mode: the version and the rules."""
        recommender = self._recommender
        return {
            "model_version": recommender.model_version,
            "vocabulary": recommender.users.fingerprint + recommender.tracks.fingerprint,
            "rules": recommender.rules.model_dump_json(),
        }

    def table(
        self, user_ids: Sequence[str], k: int, mode: Mode, on_done: Callable[[int], None] = lambda _: None
    ) -> pl.DataFrame:
        """The best ``k`` tracks of each listener, columns `LIST_COLUMNS`; rank 1 is best.

        Args:
            user_ids: Listeners; those that training never saw get what everybody may like.
            k: Most tracks per listener.
            mode: Whether heard tracks may appear.
            on_done: Called with the number of listeners answered since the last call.
        """
        # Batches only: a server answers one query after another and has no use for this library.
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self.statistics = SlateStatistics()
        tracks = pl.Series(self._recommender.tracks.ids, dtype=pl.String)
        parts = [_EMPTY]

        def answered(bounds: tuple[int, int]) -> tuple[pl.DataFrame, SlateStatistics]:
            return self._block(user_ids[slice(*bounds)], tracks, k, mode)

        all_bounds = list(blocks(len(user_ids), len(tracks)))
        # One thread of linear algebra for each block: threads of its own would wait for those of the others.
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(self._n_threads) as threads:
            for (start, stop), (part, statistics) in zip(
                all_bounds, threads.map(answered, all_bounds), strict=True
            ):
                parts.append(part)
                self.statistics += statistics
                on_done(stop - start)
        return pl.concat(parts)

    def _block(
        self, user_ids: Sequence[str], track_ids: pl.Series, k: int, mode: Mode
    ) -> tuple[pl.DataFrame, SlateStatistics]:
        """The lists of one block of listeners, and what they look like where rules are set."""
        queries = [Query(user_id=user_id, k=k, mode=mode) for user_id in user_ids]
        recommender = self._recommender
        batch, allowed = recommender.encode(queries)
        answers = recommender.answer(batch, allowed, k, recommender.wishes(queries))
        statistics = SlateStatistics()
        if recommender.rules != SlateConfig():
            statistics = recommender.statistics(batch, allowed, answers)
        rows, columns = np.nonzero(answers.track_index != PADDING)
        lists = pl.DataFrame(
            {
                "user_id": pl.Series(user_ids, dtype=pl.String).gather(rows),
                "track_id": track_ids.gather(answers.track_index[rows, columns]),
                "rank": (columns + 1).astype(np.int32),
                "score": answers.scores[rows, columns].astype(np.float32),
            }
        )
        return lists, statistics


_EMPTY = pl.DataFrame(
    schema={"user_id": pl.String, "track_id": pl.String, "rank": pl.Int32, "score": pl.Float32}
)

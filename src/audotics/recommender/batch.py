"""BatchProcessor: lists for many listeners at once, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

    Args:
        recommender: Who answers.

    Attributes:
        statistics: What the slates of the last table look like; empty where no rule is set.
    """

    def __init__(self, recommender: Recommender) -> None:
        self._recommender = recommender
        self.statistics = SlateStatistics()

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
        self.statistics = SlateStatistics()
        parts = [_EMPTY]
        for start, stop in blocks(len(user_ids), len(self._recommender.tracks)):
            parts.append(self._block(user_ids[start:stop], k, mode))
            on_done(stop - start)
        return pl.concat(parts)

    def _block(self, user_ids: Sequence[str], k: int, mode: Mode) -> pl.DataFrame:
        queries = [Query(user_id=user_id, k=k, mode=mode) for user_id in user_ids]
        recommender = self._recommender
        batch, allowed = recommender.encode(queries)
        answers = recommender.answer(batch, allowed, k, recommender.wishes(queries))
        if recommender.rules != SlateConfig():
            self.statistics += recommender.statistics(batch, allowed, answers)
        rows, columns = np.nonzero(answers.track_index != PADDING)
        listeners = pl.Series(user_ids, dtype=pl.String)
        tracks = pl.Series(recommender.tracks.ids, dtype=pl.String)
        return pl.DataFrame(
            {
                "user_id": listeners.gather(rows),
                "track_id": tracks.gather(answers.track_index[rows, columns]),
                "rank": (columns + 1).astype(np.int32),
                "score": answers.scores[rows, columns].astype(np.float32),
            }
        )


_EMPTY = pl.DataFrame(
    schema={"user_id": pl.String, "track_id": pl.String, "rank": pl.Int32, "score": pl.Float32}
)

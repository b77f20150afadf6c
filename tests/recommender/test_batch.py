from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus
from audotics.domain import Mode, Query
from audotics.errors import BadInputError
from audotics.recommender import candidates
from audotics.recommender.batch import LIST_COLUMNS, BatchProcessor
from audotics.recommender.recommender import Recommender


def test_the_table_holds_every_slate(planted: Corpus, recommender: Recommender) -> None:
    done: list[int] = []
    table = BatchProcessor(recommender).table(planted.users.ids, 6, Mode.DISCOVER, done.append)
    assert tuple(table.columns) == LIST_COLUMNS
    assert sum(done) == planted.n_users
    slates = recommender.recommend([Query(user_id=user_id, k=6) for user_id in planted.users.ids])
    for slate in slates:
        rows = table.filter(pl.col("user_id") == slate.user_id)
        assert rows["track_id"].to_list() == list(slate.track_ids)
        assert rows["rank"].to_list() == list(range(1, 7))


def test_heard_tracks_come_back_on_request(planted: Corpus, recommender: Recommender) -> None:
    heard = pl.DataFrame(
        {
            "user_id": pl.Series(planted.users.ids).gather(planted.interactions.row_index),
            "track_id": pl.Series(planted.tracks.ids).gather(planted.interactions.track_index),
        }
    )
    processor = BatchProcessor(recommender)
    for mode, repeats in ((Mode.DISCOVER, False), (Mode.MIX, True)):
        table = processor.table(planted.users.ids, 10, mode)
        assert bool(table.join(heard, on=["user_id", "track_id"]).height) is repeats


def test_threads_and_blocks_change_no_list(
    planted: Corpus, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = BatchProcessor(recommender, n_threads=1).table(planted.users.ids, 7, Mode.DISCOVER)
    monkeypatch.setattr(candidates, "BLOCK_QUERIES", 5)
    done: list[int] = []
    for n_threads in (1, 3):
        processor = BatchProcessor(recommender, n_threads=n_threads)
        table = processor.table(planted.users.ids, 7, Mode.DISCOVER, done.append)
        assert table["user_id"].to_list() == whole["user_id"].to_list()
        assert table["track_id"].to_list() == whole["track_id"].to_list()
        np.testing.assert_allclose(table["score"], whole["score"], rtol=1e-4, atol=1e-5)
    n = planted.n_users
    assert done == 2 * [min(5, n - start) for start in range(0, n, 5)]


def test_an_error_of_one_block_is_raised(planted: Corpus, recommender: Recommender) -> None:
    processor = BatchProcessor(recommender, n_threads=2)
    with pytest.raises(BadInputError, match="k"):
        processor.table(planted.users.ids, 0, Mode.DISCOVER)


def test_nobody_asked_gives_an_empty_table(recommender: Recommender) -> None:
    table = BatchProcessor(recommender).table([], 10, Mode.DISCOVER)
    assert table.height == 0
    assert tuple(table.columns) == LIST_COLUMNS

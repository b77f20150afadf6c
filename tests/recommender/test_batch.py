from __future__ import annotations

import polars as pl

from audotics.data.corpus import Corpus
from audotics.domain import Mode, Query
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


def test_nobody_asked_gives_an_empty_table(recommender: Recommender) -> None:
    table = BatchProcessor(recommender).table([], 10, Mode.DISCOVER)
    assert table.height == 0
    assert tuple(table.columns) == LIST_COLUMNS

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from audotics.data.corpus import Corpus
from audotics.domain import Mode
from audotics.recommender import batch_files
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.batch_files import BatchFile
from audotics.recommender.recommender import Recommender
from audotics.slate import SlateConfig


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_files, "PART_LISTENERS", 20)


class Killed(BaseException):
    pass


def killed_after(n: int) -> object:
    done = [0]

    def on_done(more: int) -> None:
        done[0] += more
        if done[0] > n:
            raise Killed

    return on_done


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl"])
def test_the_file_holds_what_the_table_does(
    planted: Corpus, recommender: Recommender, tmp_path: Path, ending: str
) -> None:
    processor = BatchProcessor(recommender)
    out = tmp_path / f"lists.{ending}"
    counts = BatchFile(processor, out).write(planted.users.ids, 5, Mode.DISCOVER)
    table = processor.table(planted.users.ids, 5, Mode.DISCOVER)
    read = {
        "parquet": pl.read_parquet,
        "csv": pl.read_csv,
        "tsv": lambda path: pl.read_csv(path, separator="\t"),
        "jsonl": pl.read_ndjson,
    }[ending]
    assert_frame_equal(read(out).cast(dict(table.schema)), table, rel_tol=1e-5)
    assert counts["n_tracks"].sum() == table.height
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_killed_run_is_taken_up_again(planted: Corpus, recommender: Recommender, tmp_path: Path) -> None:
    ruled = recommender.with_rules(SlateConfig(artist_cap=1))
    out, whole = tmp_path / "lists.parquet", tmp_path / "whole.parquet"
    reference = BatchFile(BatchProcessor(ruled), whole)
    reference.write(planted.users.ids, 5, Mode.DISCOVER)
    with pytest.raises(Killed):
        BatchFile(BatchProcessor(ruled), out).write(
            planted.users.ids,
            5,
            Mode.DISCOVER,
            killed_after(50),  # type: ignore[arg-type]
        )
    assert not out.exists()
    parts = {
        path.name: path.stat().st_mtime_ns for path in (tmp_path / "lists.parquet.parts").glob("0*.parquet")
    }
    assert len(parts) == 2
    asked: list[int] = []
    again = BatchProcessor(ruled)
    table = again.table

    def counted(user_ids: list[str], *more: object) -> pl.DataFrame:
        asked.append(len(user_ids))
        return table(user_ids, *more)  # type: ignore[arg-type]

    again.table = counted  # type: ignore[method-assign, assignment]
    resumed = BatchFile(again, out)
    resumed.write(planted.users.ids, 5, Mode.DISCOVER)
    assert sum(asked) == planted.n_users - 40
    assert out.read_bytes() == whole.read_bytes()
    assert resumed.statistics == reference.statistics
    assert not (tmp_path / "lists.parquet.parts").exists()


def test_parts_of_another_request_are_not_used(
    planted: Corpus, recommender: Recommender, tmp_path: Path
) -> None:
    out = tmp_path / "lists.parquet"
    with pytest.raises(Killed):
        BatchFile(BatchProcessor(recommender), out).write(
            planted.users.ids,
            5,
            Mode.DISCOVER,
            killed_after(50),  # type: ignore[arg-type]
        )
    BatchFile(BatchProcessor(recommender), out).write(planted.users.ids, 3, Mode.DISCOVER)
    assert pl.read_parquet(out)["rank"].max() == 3


def test_no_listeners_make_an_empty_file(recommender: Recommender, tmp_path: Path) -> None:
    out = tmp_path / "lists.parquet"
    assert BatchFile(BatchProcessor(recommender), out).write([], 3, Mode.DISCOVER).is_empty()
    assert pl.read_parquet(out).columns == ["user_id", "track_id", "rank", "score"]

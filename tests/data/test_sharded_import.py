"""An import by workers gives the Dataset of an import in this process, bit for bit."""

from __future__ import annotations

import pickle
from pathlib import Path

import polars as pl
import pytest

from audotics.data import import_dataset, spool
from audotics.data.importing import ImportReport
from audotics.errors import BadInputError, MissingExtraError, UnavailableError
from contract.in_turn import InTurn


def _events(n: int, seed: int, **more: object) -> pl.DataFrame:
    """Events with repetitions, over few listeners, so that every shard knows most of them."""
    picked = pl.int_range(n, eager=True).shuffle(seed)
    return pl.DataFrame(
        {
            "user_id": [f"u{number % 13}" for number in picked],
            "track_id": [f"t{number % 7}" for number in picked],
            "timestamp": [1_600_000_000 + number % 50 for number in picked],
            **more,
        }
    )


def _both(source: Path, tmp_path: Path, **options: object) -> tuple[ImportReport, ImportReport, InTurn]:
    workers = InTurn()
    alone = import_dataset(source, out=tmp_path / "alone", **options)
    shared = import_dataset(source, out=tmp_path / "shared", workers=workers, **options)
    return alone, shared, workers


def _assert_same(alone: ImportReport, shared: ImportReport) -> None:
    assert shared.dataset.manifest.fingerprint == alone.dataset.manifest.fingerprint
    assert shared.dataset.manifest.files == alone.dataset.manifest.files
    assert shared.dataset.manifest.rows == alone.dataset.manifest.rows
    assert shared.dataset.manifest.time_range == alone.dataset.manifest.time_range
    assert shared.counts == alone.counts
    assert list(shared.counts) == list(alone.counts)
    assert shared.notes == alone.notes
    assert shared.rejects.equals(alone.rejects)


@pytest.fixture(params=[50, 1_000_000], ids=["cut", "whole"])
def held_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows from which on events are cut by listener: beyond them, and far below."""
    monkeypatch.setattr(spool, "_HELD_ROWS", request.param)
    return int(request.param)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "jsonl"])
def test_shards_of_any_kind(kind: str, held_rows: int, tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.mkdir()
    for number in range(3):
        events = _events(100 + number, seed=number)
        path = source / f"day-{number}.{kind}"
        if kind == "parquet":
            events.write_parquet(path)
        elif kind == "jsonl":
            events.write_ndjson(path)
        else:
            events.write_csv(path, separator="\t" if kind == "tsv" else ",")
    alone, shared, workers = _both(source, tmp_path)
    _assert_same(alone, shared)
    assert alone.counts["events"].merged > 0
    assert workers.n_tasks == 3 + len(list((tmp_path / "shared" / "events").iterdir()))


def test_rejects_catalogues_and_columns_that_only_some_shards_have(held_rows: int, tmp_path: Path) -> None:
    parts = tmp_path / "log" / "events"
    parts.mkdir(parents=True)
    _events(60, 1, context_device=["tv", "phone"] * 30).write_csv(parts / "a.csv")
    _events(60, 2, context_hour=range(60), context_device=[1.5] * 60).write_csv(parts / "b.csv")
    (parts / "c.csv").write_text("user_id,track_id,timestamp\nu1,t1,never\nu2,,1600000000\nu3,t1,\nu3,t2\n")
    pl.DataFrame({"track_id": ["t1", "t1", "t2"], "title": ["A", "B", "C"]}).write_csv(
        tmp_path / "log" / "tracks.csv"
    )
    alone, shared, _ = _both(tmp_path / "log", tmp_path, max_rejects=0.5)
    _assert_same(alone, shared)
    assert alone.counts["events"].rejected == 4
    assert alone.counts["tracks"].rejected == 1
    assert shared.dataset.rejects().equals(alone.dataset.rejects())


def test_events_without_times(held_rows: int, tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.mkdir()
    for number in range(3):
        _events(80, number).drop("timestamp").write_csv(source / f"{number}.csv")
    _assert_same(*_both(source, tmp_path)[:2])


def test_a_set_with_events_of_its_own(held_rows: int, tmp_path: Path) -> None:
    """The set's tracks and tags are limited to pairs that only workers have seen."""
    source = tmp_path / "log"
    source.mkdir()
    _events(200, 1).write_csv(source / "events.csv")
    pl.DataFrame({"track_id": ["t1", "t2"], "title": ["A", "B"]}).write_csv(source / "tracks.csv")
    own = tmp_path / "newest.parquet"
    _events(90, 2).write_parquet(own)
    alone, shared, workers = _both(source, tmp_path, events=own)
    _assert_same(alone, shared)
    assert workers.n_tasks > 1


def test_a_format_whose_files_depend_on_each_other_is_read_here(held_rows: int, tmp_path: Path) -> None:
    source = tmp_path / "ml"
    source.mkdir()
    rows = [f"{number % 9 + 1},{number % 5 + 1},4.0,{1_600_000_000 + number}" for number in range(120)]
    (source / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *rows, ""]))
    (source / "movies.csv").write_text(
        "movieId,title,genres\n" + "".join(f"{number},M{number},Jazz\n" for number in range(1, 6))
    )
    alone, shared, workers = _both(source, tmp_path, format="movielens")
    _assert_same(alone, shared)
    assert workers.n_tasks == len(list((tmp_path / "shared" / "events").iterdir()))


def test_too_many_rejects_stop_the_import_and_leave_nothing(tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.mkdir()
    _events(20, 1).write_csv(source / "a.csv")
    (source / "b.csv").write_text("user_id,track_id,timestamp\n" + "u1,t1,never\n" * 20)
    messages = []
    for workers in (None, InTurn()):
        with pytest.raises(BadInputError, match="20 of 40 rows for events are unusable") as refused:
            import_dataset(source, out=tmp_path / "out", workers=workers)
        messages.append(str(refused.value))
    assert messages[0] == messages[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]


@pytest.mark.parametrize(
    "error",
    [
        BadInputError("no", where="there", remedy="Do"),
        MissingExtraError("this", "ray"),
        UnavailableError("away", retry_after_s=7.0),
    ],
)
def test_errors_travel_between_processes(error: BadInputError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
import zstandard

from audotics.data.formats import FORMAT_NAMES, detect, get_format
from audotics.data.formats.protocol import LINE, FormatOptions, RawTable
from audotics.data.formats.tabular import read_table, sniff_kind
from audotics.errors import BadInputError

EVENTS = pl.DataFrame({"user_id": ["a", "b"], "track_id": ["x", "y"], "plays": [1, 2]})


def _rows(raw: RawTable) -> pl.DataFrame:
    return pl.concat([chunk.rows for chunk in raw.chunks])


def _rejects(raw: RawTable) -> pl.DataFrame:
    return pl.concat([chunk.rejected for chunk in raw.chunks])


def _tables(format_name: str, source: Path, **options: object) -> list[tuple[str, str]]:
    found = get_format(format_name).tables(source, FormatOptions(**options))  # type: ignore[arg-type]
    return [(raw.table, raw.file.name) for raw in found]


def test_every_name_leads_to_a_format_of_that_name() -> None:
    assert FORMAT_NAMES[0] == "auto"
    for name in FORMAT_NAMES[1:]:
        assert get_format(name).name == name
        assert get_format(name).summary


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadInputError, match=r"Choose one of auto, .*csv"):
        get_format("xlsx")


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log"])
def test_kinds_are_told_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    EVENTS.write_parquet(path)
    assert sniff_kind(path) == "parquet"
    EVENTS.write_ndjson(path)
    assert sniff_kind(path) == "jsonl"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert sniff_kind(path) == "jsonl"
    EVENTS.write_csv(path, separator="\t")
    assert sniff_kind(path) == "csv"
    path.write_bytes(zstandard.compress(path.read_bytes()))
    assert sniff_kind(path) == "csv"


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_all_kinds_give_the_same_rows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    {"csv": EVENTS.write_csv, "parquet": EVENTS.write_parquet, "jsonl": EVENTS.write_ndjson}[kind](path)
    rows = _rows(read_table("events", path, {}))
    first_line = 2 if kind == "csv" else 1
    assert rows.select(pl.all().cast(pl.String)).rows() == [
        (str(first_line), "a", "x", "1"),
        (str(first_line + 1), "b", "y", "2"),
    ]


def test_parquet_keeps_its_types_and_counts_rows_over_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user_id": range(1000), "track_id": range(1000)}).write_parquet(path, row_group_size=64)
    rows = _rows(read_table("events", path, {}))
    assert rows["user_id"].dtype == pl.Int64
    assert rows[LINE].to_list() == list(range(1, 1001))


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.99])
def test_half_a_parquet_file_is_named(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user_id": range(5000), "track_id": range(5000)}).write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(BadInputError, match=r"log\.parquet: the Parquet file is damaged"):
        read_table("events", path, {})


def test_parquet_with_a_damaged_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    frame = pl.DataFrame(
        {"user_id": [f"user {n * 7919 % 5003}" for n in range(5000)], "track_id": range(5000)}
    )
    frame.write_parquet(path)
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"log\.parquet"):
        _rows(read_table("events", path, {}))


def test_json_values_of_any_type_become_text(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"user_id": 7, "track_id": "x", "timestamp": 1614859200.5, "context_mood": {"calm": 1}}\n'
        '{"user_id": "b", "track_id": null, "timestamp": "2021-03-04"}\n'
        "\n"
        '{"track_id": "z", "user_id": "c", "unheard_of": [1, 2]}\n'
    )
    rows = _rows(read_table("events", path, {}))
    assert rows[LINE].to_list() == [1, 2, 4]
    assert rows["user_id"].to_list() == ["7", "b", "c"]
    assert rows["timestamp"].to_list() == ["1614859200.5", "2021-03-04", None]
    assert rows["track_id"].to_list() == ["x", None, "z"]


@pytest.mark.parametrize(
    "torn", ['{"user_id": "b", "tra', "[1, 2]", '"text"', "null", "{'user_id': 1}", "}{"]
)
def test_torn_json_lines_are_rejected_alone(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f'{{"user_id": "a", "track_id": "x"}}\n{torn}\n{{"user_id": "c", "track_id": 1.5}}\n')
    assert _rows(read_table("events", path, {})).rows() == [(1, "a", "x"), (3, "c", "1.5")]
    assert _rejects(read_table("events", path, {})).select("line", "value", "reason").rows() == [
        (2, torn, "line is no JSON object")
    ]


def test_json_without_a_single_object_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("{torn\n{torn\n")
    with pytest.raises(BadInputError, match="no line is a JSON object"):
        read_table("events", path, {})


def test_notes_say_what_was_recognised_and_ignored(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("uid,track_id,url,comment\n")
    assert read_table("events", path, {}).notes == (
        "log.csv: reads user_id from uid",
        "log.csv: ignores url, comment",
    )


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv.gz", "c.tsv", "test.csv", "readme.md", "tracks.csv"):
        (tmp_path / name).write_bytes(b"x")
    options = {"replaced": frozenset({"events", "tracks"})}
    assert _tables("csv", tmp_path, **options) == []
    for name in ("a.csv", "b.csv", "c.tsv"):
        (tmp_path / name).write_text("user_id,track_id\n")
    (tmp_path / "a.csv.gz").unlink()
    (tmp_path / "tracks.csv").write_text("track_id,title\n")
    assert _tables("csv", tmp_path) == [
        ("events", "a.csv"),
        ("events", "b.csv"),
        ("events", "c.tsv"),
        ("tracks", "tracks.csv"),
    ]


def test_a_folder_with_named_tables_takes_only_these(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    for name in ("events/part-1.parquet", "events/part-0.parquet", "rejects.parquet", "other.parquet"):
        EVENTS.write_parquet(tmp_path / name)
    EVENTS.write_parquet(tmp_path / "users.parquet")
    assert _tables("parquet", tmp_path) == [
        ("events", "part-0.parquet"),
        ("events", "part-1.parquet"),
        ("users", "users.parquet"),
    ]


def test_a_folder_without_files_of_the_kind_is_bad_input(tmp_path: Path) -> None:
    EVENTS.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadInputError, match="no jsonl files"):
        _tables("jsonl", tmp_path)


def test_detection_of_free_tables(tmp_path: Path) -> None:
    table = EVENTS.rename({"plays": "score"})
    for kind, write in (
        ("csv", table.write_csv),
        ("jsonl", table.write_ndjson),
        ("parquet", table.write_parquet),
    ):
        folder = tmp_path / kind
        folder.mkdir()
        write(folder / f"log.{kind}")
        assert detect(folder / f"log.{kind}").name == kind
        assert detect(folder).name == kind


def test_an_unknown_folder_names_the_formats(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("hello")
    with pytest.raises(BadInputError, match=r"Name it with --format: .*hetrec-lastfm"):
        detect(tmp_path)

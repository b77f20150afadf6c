"""Finding the files of a set, and the expressions that formats share."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from audotics.data.formats.protocol import LINE, Chunk
from audotics.data.formats.sources import (
    files_like,
    first_lines,
    has_header,
    keep_pairs,
    known_text,
    milliseconds,
    named_file,
    named_key,
    names_part,
    reject_values,
    require_file,
    select_columns,
    unpacked_name,
    uri_key,
)
from audotics.data.schema import REJECTS
from audotics.errors import BadInputError


def values(frame: pl.DataFrame, expression: pl.Expr) -> list[object]:
    return frame.select(expression.alias("x"))["x"].to_list()


def chunk(*rows: tuple[object, ...], columns: tuple[str, ...]) -> Chunk:
    frame = pl.DataFrame(list(rows), schema=list(columns), orient="row")
    return Chunk(frame.with_row_index(LINE, offset=1).cast({LINE: pl.Int64}))


class TestFiles:
    def test_plain_before_compressed(self, tmp_path):
        (tmp_path / "a.dat.zst").touch()
        assert require_file(tmp_path, "a.dat").name == "a.dat.zst"
        (tmp_path / "a.dat").touch()
        assert require_file(tmp_path, "a.dat").name == "a.dat"

    def test_a_missing_file_is_named_with_its_folder(self, tmp_path):
        with pytest.raises(BadInputError) as caught:
            require_file(tmp_path, "a.dat")
        assert "a.dat" in str(caught.value)
        assert caught.value.where == str(tmp_path)

    def test_a_named_file_is_the_source_or_in_it(self, tmp_path):
        path = tmp_path / "a.dat.gz"
        path.touch()
        assert named_file(path, "a.dat") == named_file(tmp_path, "a.dat") == path
        assert named_file(path, "b.dat") is None
        assert named_file(path, "b.dat", required=True) == path
        with pytest.raises(BadInputError):
            named_file(tmp_path, "b.dat", required=True)

    def test_names_without_packing(self, tmp_path):
        assert unpacked_name(tmp_path / "x.tsv.gz") == "x.tsv"
        assert unpacked_name(tmp_path / "x.tsv") == "x.tsv"

    def test_patterns_find_packed_files_once_and_in_order(self, tmp_path):
        for name in ("b.json", "a.json.gz", "c.json.zst", "d.jsonl", "sub/e.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        found = [path.name for path in files_like(tmp_path, "*.json", "[ab].json", "*/*.json")]
        assert found == ["a.json.gz", "b.json", "c.json.zst", "e.json"]
        assert files_like(tmp_path / "a.json.gz", "data/*.json") == [tmp_path / "a.json.gz"]
        assert files_like(tmp_path / "d.jsonl", "*.json") == []

    def test_first_lines_are_whole_and_not_blank(self, tmp_path):
        path = tmp_path / "x.txt.gz"
        path.write_bytes(gzip.compress(b"\xef\xbb\xbfa\n\n  \nb\nc"))
        assert first_lines(path) == ["a", "b"]
        assert first_lines(path, 1) == ["a"]

    @pytest.mark.parametrize("content", [bytes(range(32)) * 9, b"\x1f\x8bbroken", b""])
    def test_first_lines_of_no_text_are_none(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        assert first_lines(tmp_path / "x") == []
        assert not has_header(tmp_path / "x", ",", "a")

    def test_headers_may_have_more_columns_in_any_order(self, tmp_path):
        (tmp_path / "x").write_text("b\t a\tc\n1\t2\t3\n")
        assert has_header(tmp_path / "x", "\t", "a", "b")
        assert not has_header(tmp_path / "x", "\t", "a", "d")


class TestExpressions:
    def test_blank_text_is_unknown(self):
        assert values(pl.DataFrame({"t": [" a ", "", "  ", None]}), known_text("t")) == [
            "a",
            None,
            None,
            None,
        ]

    def test_a_name_needs_both_halves(self):
        frame = pl.DataFrame({"a": ["Cab", " ", None, "Cab"], "t": [" x ", "x", "x", ""]})
        assert values(frame, named_key("a", "t")) == ["Cab - x", None, None, None]

    def test_uris_lose_their_scheme_only(self):
        uris = ["spotify:track:1a", "spotify:artist:2b", "spotify:local:x:y:1", "1a", ""]
        assert values(pl.DataFrame({"u": uris}), uri_key("u")) == [
            "1a",
            "2b",
            "spotify:local:x:y:1",
            "1a",
            None,
        ]

    def test_seconds_become_milliseconds_and_other_text_stays(self):
        seconds = ["1", "2.5", "long", "", None, "inf"]
        assert values(pl.DataFrame({"s": seconds}), milliseconds("s")) == [
            "1000",
            "2500",
            "long",
            "",
            None,
            "inf",
        ]


class TestChunks:
    def test_selecting_keeps_rejects_and_counts(self, tmp_path):
        given = chunk(("a", "b"), columns=("x", "y"))
        refused = reject_values(tmp_path / "f.csv", given.rows, "y", "why")
        given = Chunk(given.rows, refused, {"rule": 2})
        (found,) = select_columns([given], user_id=pl.col("x"))
        assert found.rows.to_dicts() == [{LINE: 1, "user_id": "a"}]
        assert found.left_out == {"rule": 2}
        assert found.rejected.to_dicts() == [
            {"file": "f.csv", "line": 1, "column": "y", "value": "b", "reason": "why"}
        ]
        assert found.rejected.schema == pl.Schema(REJECTS)

    def test_only_known_pairs_are_kept(self):
        given = Chunk(
            chunk(("a", "1"), ("a", "2"), ("b", "1"), columns=("who", "track_id")).rows, left_out={"rule": 1}
        )
        pairs = pl.LazyFrame({"user_id": ["a", "b"], "track_id": ["2", "1"]})
        (found,) = keep_pairs([given], "who", pairs, "rule")
        assert found.rows.select("who", "track_id").rows() == [("a", "2"), ("b", "1")]
        assert found.left_out == {"rule": 2}

    def test_names_beside_counted_events_come_once_per_track(self, tmp_path):
        given = chunk(
            ("1", None, "x"),
            ("1", "late", "y"),
            (None, "lost", "z"),
            ("2", "b", None),
            columns=("track_id", "title", "artist"),
        )
        part = names_part(tmp_path, [given], counted=False)
        (found,) = part.chunks
        assert (part.table, part.part, part.counted) == ("tracks", "names", False)
        assert found.rows.drop(LINE).rows() == [("1", "late", "x"), ("2", "b", None)]

    def test_names_on_their_own_come_as_they_are(self, tmp_path):
        given = chunk(("1", "a"), ("1", "a"), columns=("track_id", "title"))
        assert [found.rows.height for found in names_part(tmp_path, [given], counted=True).chunks] == [2]

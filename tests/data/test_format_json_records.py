"""JSON lines and JSON documents as columns."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.formats import json_records
from audotics.data.formats.json_records import in_chunks, read_document, read_json_lines, take_objects
from audotics.data.formats.protocol import LINE, no_rejects
from audotics.errors import BadInputError

FIELDS = {"who": "$.who", "deep": "$.a.b.c", "first": "$.a.names[0]"}

TEXTS = st.one_of(
    st.none(), st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "who": st.one_of(TEXTS, st.integers(-(2**53), 2**53), st.booleans()),
        "a": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={
                    "b": st.fixed_dictionaries({}, optional={"c": TEXTS}),
                    "names": st.lists(TEXTS, max_size=3),
                },
            ),
        ),
        "else": st.integers(0, 9),
    },
)


def read(path: Path) -> tuple[list[dict[str, object]], list[int]]:
    chunks = list(read_json_lines(path, FIELDS))
    rows = pl.concat([chunk.rows for chunk in chunks]).to_dicts()
    return rows, pl.concat([chunk.rejected for chunk in chunks])["line"].to_list()


def as_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


class TestLines:
    def test_fields_of_all_depths(self, tmp_path):
        path = tmp_path / "x.jsonl"
        path.write_text(
            '{"who": 7, "a": {"b": {"c": "deep"}, "names": ["x", "y"]}}\n\n'
            '{"who": null, "a": {"names": []}}\n'
        )
        rows, rejected = read(path)
        assert rows == [
            {LINE: 1, "who": "7", "deep": "deep", "first": "x"},
            {LINE: 3, "who": None, "deep": None, "first": None},
        ]
        assert rejected == []

    @pytest.mark.parametrize("line", ["{", "[1]", "3", "null", '"text"', "{} {}", "nonsense"])
    def test_lines_that_are_no_objects_are_rejected(self, tmp_path, line):
        path = tmp_path / "x.jsonl"
        path.write_text(f'{{"who": "a"}}\n{line}\n{{"who": "b"}}\n')
        rows, rejected = read(path)
        assert [row["who"] for row in rows] == ["a", "b"]
        assert rejected == [2]

    @given(st.lists(RECORDS, min_size=1, max_size=6))
    def test_both_ways_of_reading_agree_with_the_json_module(self, tmp_path_factory, records):
        folder = tmp_path_factory.mktemp("json")
        lines = [json.dumps(record) for record in records]
        (folder / "clean").write_text("\n".join(lines))
        (folder / "dirty").write_text("\n".join([*lines, "{torn"]))
        expected = [
            {
                LINE: place,
                "who": as_text(record.get("who")),
                "deep": ((record.get("a") or {}).get("b") or {}).get("c"),
                "first": next(iter((record.get("a") or {}).get("names") or ()), None),
            }
            for place, record in enumerate(records, 1)
        ]
        assert read(folder / "clean") == (expected, [])
        assert read(folder / "dirty") == (expected, [len(lines) + 1])


class TestDocuments:
    def test_a_document_may_have_a_byte_order_mark_and_latin_bytes(self, tmp_path):
        (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"name": "Bj\xf6rk"}')
        assert read_document(tmp_path / "x.json") == {"name": "Björk"}

    @pytest.mark.parametrize("content", [b"", b"[1,", b"\xff\xfe[]", b"[" * 100_000])
    def test_what_is_no_document_is_refused_by_name(self, tmp_path, content):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(BadInputError, match=r"x\.json"):
            read_document(tmp_path / "x.json")

    def test_objects_are_told_from_other_values(self, tmp_path):
        records = take_objects(
            tmp_path / "x.json", [(1, {"a": 1, "b": True}), (2, 7), (3, {"a": "x"}), (4, None)]
        )
        assert records.columns("a", "b").rows() == [(1, "1", "true"), (3, "x", None)]
        assert records.rejected["line"].to_list() == [2, 4]
        assert records.rejected["value"].to_list() == ["7", "None"]

    def test_rejects_come_once_and_rows_in_pieces(self, monkeypatch):
        monkeypatch.setattr(json_records, "CHUNK_ROWS", 2)
        rows = pl.DataFrame({LINE: [1, 2, 3], "x": ["a", "b", "c"]})
        refused = no_rejects().vstack(
            pl.DataFrame([("f", 9, "", "v", "r")], schema=no_rejects().schema, orient="row")
        )
        chunks = list(in_chunks(rows, refused))
        assert [chunk.rows.height for chunk in chunks] == [0, 2, 1]
        assert [chunk.rejected.height for chunk in chunks] == [1, 0, 0]

"""JSON sources: a record on each line, or one document that holds them all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from audotics.data.formats.protocol import CHUNK_ROWS, LINE, Chunk
from audotics.data.formats.text import SHOWN_CHARACTERS, decode, open_source, read_lines, reject_lines
from audotics.errors import BadInputError


def read_json_lines(path: Path, fields: Mapping[str, str]) -> Iterator[Chunk]:
    """Fields of the records of a file with one JSON object on each line.

    Args:
        path: The file.
        fields: ``{column: JSONPath}``, of the forms ``$.names.within.names`` and ``$.names.of.a_list[0]``.

    Returns:
        Chunks with `LINE` and a text column for each field, null where a record lacks it. Lines that
        are not a JSON object are rejects.
    """
    for block in read_lines(path):
        lines = block.lines.with_columns(pl.col("text").str.strip_chars())
        try:
            rows, torn = _decoded(lines, fields), block.rejected.clear()
        except pl.exceptions.ComputeError:
            rows, torn = _picked(path, lines, fields)
        yield from in_chunks(rows, pl.concat([block.rejected, torn]))


def _decoded(lines: pl.DataFrame, fields: Mapping[str, str]) -> pl.DataFrame:
    """All fields in one pass; fails as a whole if one line is torn or of another shape."""
    record = lines.select(LINE, pl.col("text").str.json_decode(_shape(fields)).alias("record"))
    if record["record"].null_count():
        raise pl.exceptions.ComputeError("a line is null")
    return record.select(LINE, **{column: _field(where) for column, where in fields.items()})


def _picked(path: Path, lines: pl.DataFrame, fields: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Field by field, an order of magnitude slower, whatever the lines are."""
    text = pl.col("text")
    is_object = text.str.starts_with("{") & text.str.json_path_match("$").is_not_null()
    whole = lines.select(is_object).to_series()
    found = {column: text.str.json_path_match(where) for column, where in fields.items()}
    torn = reject_lines(path, lines.filter(~whole), "the line is no JSON object")
    return lines.filter(whole).select(LINE, **found), torn


def _steps(where: str) -> tuple[list[str], bool]:
    """The names of a JSONPath, and whether the first entry of a list is meant."""
    return where.removeprefix("$.").removesuffix("[0]").split("."), where.endswith("[0]")


def _shape(fields: Mapping[str, str]) -> pl.Struct:
    tree: dict[str, Any] = {}
    for where in fields.values():
        names, of_list = _steps(where)
        node = tree
        for name in names[:-1]:
            node = node.setdefault(name, {})
        node[names[-1]] = pl.List(pl.String) if of_list else pl.String()
    return _struct(tree)


def _struct(tree: Mapping[str, Any]) -> pl.Struct:
    return pl.Struct({name: _struct(node) if isinstance(node, dict) else node for name, node in tree.items()})


def _field(where: str) -> pl.Expr:
    names, of_list = _steps(where)
    value = pl.col("record")
    for name in names:
        value = value.struct.field(name)
    return value.list.first() if of_list else value


def read_document(path: Path) -> Any:
    """The one JSON value of a file.

    Raises:
        BadInputError: The file is missing, torn or no JSON.
    """
    with open_source(path) as source:
        text = decode(source.read().removeprefix(b"\xef\xbb\xbf"))
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(
            f"the file is no JSON document ({error})", where=str(path), remedy="Fetch or copy it again"
        ) from error


@dataclass(frozen=True, slots=True)
class Records:
    """JSON objects and where they stood.

    Args:
        objects: The objects.
        places: The 1-based place of each, what `LINE` holds for documents.
        rejected: Rejects for values that are no objects.
    """

    objects: list[dict[str, Any]]
    places: list[int]
    rejected: pl.DataFrame

    def columns(self, *keys: str) -> pl.DataFrame:
        """`LINE` and the values of some keys as text, null where unknown."""
        values = {key: [_as_text(record.get(key)) for record in self.objects] for key in keys}
        schema = {LINE: pl.Int64()} | {key: pl.String() for key in keys}
        return pl.DataFrame({LINE: self.places} | values, schema=schema)


def take_objects(path: Path, values: Iterable[tuple[int, Any]]) -> Records:
    """Which of the values (each with its place) are JSON objects."""
    objects, places, others = [], [], []
    for place, value in values:
        if isinstance(value, dict):
            objects.append(value)
            places.append(place)
        else:
            others.append((place, str(value)[:SHOWN_CHARACTERS]))
    lines = pl.DataFrame(others, schema={LINE: pl.Int64, "text": pl.String}, orient="row")
    return Records(objects, places, reject_lines(path, lines, "the entry is no JSON object"))


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value)


def in_chunks(rows: pl.DataFrame, rejected: pl.DataFrame) -> Iterator[Chunk]:
    """Rows of one document as chunks of the usual size; rejects come with the first."""
    yield Chunk(rows.clear(), rejected)
    for part in rows.iter_slices(CHUNK_ROWS):
        yield Chunk(part)

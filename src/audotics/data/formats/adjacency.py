"""Adjacency lists: a listener and their tracks on each line, as in the files of S3-Rec, KGAT and LightGCN."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.protocol import CHUNK_ROWS, LINE, Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import first_lines, unpacked_name
from audotics.data.formats.text import LineBlock, decode, find_file, open_source, read_lines
from audotics.errors import BadInputError

_ATTRIBUTES = "_item2attributes.json"
_NO_TRACKS = "listener without tracks"


class Adjacency:
    """Reads ``user item item ...`` lines, and the attributes of the items where they lie beside them.

    The order in a line is kept as ``position``, unless every line of the file is sorted by number:
    then the file says nothing about order.
    """

    name = "adjacency"
    summary = "lines of a listener and their tracks (user item item ...): a file, or a folder with train.txt"

    def detects(self, source: Path) -> bool:
        """Whether the lines hold whole numbers, as many as there are tracks, each listener once."""
        lists = _lists_file(source)
        if lists is None or not unpacked_name(lists).endswith(".txt"):
            return False
        lines = [line.split() for line in first_lines(lists)]
        if not all(word.isdigit() for words in lines for word in words):
            return False
        listeners = {words[0] for words in lines}
        lengths = {len(words) for words in lines}
        return len(listeners) == len(lines) and max(lengths, default=0) > 2 and len(lengths) > 1

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Each listener-track pair as an event, attributes as tags of the tracks."""
        lists = _lists_file(source)
        if lists is None:
            raise BadInputError(
                "no adjacency lists here",
                where=str(source),
                remedy="Give the file itself, or name it train.txt",
            )
        if "events" not in options.replaced:
            ordered = any(_has_descent(block) for block in read_lines(lists))
            note = "order of tracks kept" if ordered else "tracks sorted in every line: taken as unordered"
            yield RawTable("events", lists, _pairs(lists, ordered=ordered), notes=(note,))
        attributes = find_file(lists.parent, unpacked_name(lists).removesuffix(".txt") + _ATTRIBUTES)
        if attributes is not None and "tracks" not in options.replaced:
            yield RawTable("tracks", attributes, _attributes(attributes))


def _lists_file(source: Path) -> Path | None:
    """The file itself; in a folder train.txt, or the one whose attributes lie beside it."""
    if source.is_file():
        return source
    described = sorted(source.glob(f"*{_ATTRIBUTES}*"))
    names = [unpacked_name(path).removesuffix(_ATTRIBUTES) + ".txt" for path in described]
    found = (find_file(source, name) for name in ("train.txt", *names))
    return next((path for path in found if path is not None), None)


def _words(block: LineBlock) -> pl.DataFrame:
    """`LINE`, ``user_id`` and the list ``track_id`` of each line."""
    words = pl.col("text").str.extract_all(r"\S+")
    return block.lines.select(LINE, user_id=words.list.first(), track_id=words.list.slice(1))


def _has_descent(block: LineBlock) -> bool:
    """Whether an item follows a greater one in some line, or is no number."""
    number = pl.col("track_id").cast(pl.Int64, strict=False)
    after_greater = number < number.shift(1).over(LINE)
    pairs = _words(block).explode("track_id").drop_nulls("track_id")
    return bool(pairs.select((number.is_null() | after_greater.fill_null(value=False)).any()).item())


def _pairs(path: Path, *, ordered: bool) -> Iterator[Chunk]:
    for block in read_lines(path):
        lists = _words(block)
        empty = lists.filter(pl.col("track_id").list.len() == 0)
        yield Chunk(_with_position(lists.clear()), block.rejected, {_NO_TRACKS: empty.height})
        rows = _with_position(lists.filter(pl.col("track_id").list.len() > 0))
        for part in rows.iter_slices(CHUNK_ROWS):
            yield Chunk(part if ordered else part.drop("position"))


def _with_position(lists: pl.DataFrame) -> pl.DataFrame:
    place = pl.int_ranges(0, pl.col("track_id").list.len(), dtype=pl.Int32)
    return lists.with_columns(position=place).explode("track_id", "position")


def _attributes(path: Path) -> Iterator[Chunk]:
    """A JSON object: attributes by item. The "line" of an item is its place in the object."""
    with open_source(path) as source:
        text = decode(source.read())
    try:
        by_item = json.loads(text)
        rows = pl.DataFrame(
            {"track_id": list(by_item), "tags": [[str(tag) for tag in tags] for tags in by_item.values()]},
            schema={"track_id": pl.String, "tags": pl.List(pl.String)},
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"the file is not a JSON object of lists ({error})",
            where=str(path),
            remedy='It should look like {"12": [3, 7], "13": []}',
        ) from error
    yield Chunk(rows.with_row_index(LINE, offset=1).cast({LINE: pl.Int64}))


FORMAT = Adjacency()

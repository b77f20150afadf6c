"""Free-form tables: csv and tsv, Parquet, JSON lines; one file, or a folder of parts and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import polars as pl

from audotics.data.formats.columns import Naming, known_names, name_columns
from audotics.data.formats.delimited import read_delimited, sniff_dialect
from audotics.data.formats.protocol import (
    CHUNK_ROWS,
    LINE,
    Chunk,
    FormatOptions,
    RawTable,
    TableName,
    no_rejects,
)
from audotics.data.formats.text import read_head, read_lines, reject_lines
from audotics.errors import BadInputError

Kind: TypeAlias = Literal["csv", "parquet", "jsonl"]

_SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".txt"),
    "parquet": (".parquet", ".pq"),
    "jsonl": (".jsonl", ".ndjson"),
}
_PACKED = (".gz", ".zst")
_PARQUET_MAGIC = b"PAR1"
_ANSWERS = ("test", "valid", "validation", "holdout")


def sniff_kind(path: Path) -> Kind:
    """What a file is, by its content.

    Raises:
        BadInputError: It cannot be read, or is binary but not Parquet.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise BadInputError(f"cannot read the file ({error.strerror})", where=str(path)) from error
    if magic == _PARQUET_MAGIC:
        return "parquet"
    return "jsonl" if read_head(path, 4096).lstrip().startswith("{") else "csv"


def read_table(
    table: TableName, path: Path, column_map: Mapping[str, str], kind: Kind | None = None
) -> RawTable:
    """One file as (a part of) a table, its columns matched to the schema.

    Args:
        table: What the file is to become.
        path: A csv, tsv, Parquet or JSON lines file, the text ones plain, gzip or Zstandard.
        column_map: As the user said it.
        kind: What the file is; None looks.

    Raises:
        BadInputError: It cannot be read, or lacks a required column.
    """
    kind = kind or sniff_kind(path)
    if kind == "csv":
        dialect = sniff_dialect(path)
        naming = name_columns(table, dialect.columns, column_map, path)
        chunks = _named(read_delimited(path, dialect), naming)
    elif kind == "jsonl":
        naming = name_columns(table, _keys_of_head(path), column_map, path)
        chunks = _named(_read_json_lines(path, table, naming, column_map), naming)
    else:
        naming = name_columns(table, _parquet_columns(path), column_map, path)
        chunks = _read_parquet(path, naming)
    again = partial(read_table, table, path, dict(column_map), kind)
    return RawTable(table, path, chunks, notes=_notes(path, naming), again=again)


def _notes(path: Path, naming: Naming) -> tuple[str, ...]:
    read_as = ", ".join(f"{column} from {name}" for column, name in naming.recognised.items())
    ignored = ", ".join(name[:40] for name in naming.ignored)
    notes = (f"{path.name}: reads {read_as}" if read_as else "", f"{path.name}: ignores {ignored}")
    return tuple(note for note, wanted in zip(notes, (read_as, ignored), strict=True) if wanted)


def _named(chunks: Iterable[Chunk], naming: Naming) -> Iterator[Chunk]:
    names = [pl.col(name).alias(column) for column, name in naming.columns.items()]
    for chunk in chunks:
        yield Chunk(chunk.rows.select(LINE, *names), chunk.rejected)


def _parquet_columns(path: Path) -> list[str]:
    try:
        return list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged_parquet(path, error) from error


def _damaged_parquet(path: Path, error: Exception) -> BadInputError:
    return BadInputError(
        f"the Parquet file is damaged ({str(error).splitlines()[0][:120]})",
        where=str(path),
        remedy="Fetch or copy it again",
    )


def _read_parquet(path: Path, naming: Naming) -> Iterator[Chunk]:
    names = [pl.col(name).alias(column) for column, name in naming.columns.items()]
    scan = pl.scan_parquet(path, row_index_name=None).select(names)
    first = 1
    try:
        for rows in scan.collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True):
            yield Chunk(rows.with_row_index(LINE, offset=first))
            first += rows.height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged_parquet(path, error) from error


def _keys_of_head(path: Path) -> list[str]:
    keys: dict[str, None] = {}
    for line in read_head(path, 1 << 20).splitlines():
        record = _json_object(line)
        keys.update(dict.fromkeys(record or ()))
    if not keys:
        raise BadInputError(
            "no line is a JSON object", where=str(path), remedy='Each line must look like {"user_id": ...}'
        )
    return list(keys)


def _json_object(line: str) -> dict[str, object] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _read_json_lines(
    path: Path, table: TableName, naming: Naming, column_map: Mapping[str, str]
) -> Iterator[Chunk]:
    # Optional columns may first appear far below the lines that were looked at.
    late = [name for name in known_names(table, column_map) if name not in naming.columns]
    names = [*naming.columns.values(), *(name for name in late if name not in naming.columns.values())]
    for block in read_lines(path):
        rows, rejected = _parse_json(path, block.lines, names)
        yield Chunk(rows, pl.concat([block.rejected, rejected]))


def _parse_json(path: Path, lines: pl.DataFrame, names: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    schema = dict.fromkeys(names, pl.String)
    try:
        # Any value of a column read as text becomes its JSON: what the engine's rules expect.
        rows = pl.read_ndjson("\n".join(lines["text"]).encode(), schema=schema)
        if rows.height == lines.height:
            return rows.insert_column(0, lines[LINE]), no_rejects()
    except pl.exceptions.PolarsError:
        pass
    records = [_json_object(text) for text in lines["text"]]
    whole = pl.Series([record is not None for record in records], dtype=pl.Boolean)
    columns = {
        name: [_as_text(record.get(name)) for record in records if record is not None] for name in names
    }
    rows = pl.DataFrame(columns, schema=schema).insert_column(0, lines.filter(whole)[LINE])
    return rows, reject_lines(path, lines.filter(~whole), "line is no JSON object")


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class TabularFormat:
    """Files of one kind whose columns are matched to the schema by name.

    A folder may hold ``events.*`` (or a folder ``events/`` of parts) beside ``tracks.*``, ``users.*``
    and ``playlists.*``, as a Dataset folder does. Without a file called ``events`` every other file of
    the kind is a part of the events, except those called ``test`` or ``validation``.
    """

    name: Kind
    summary: str

    def detects(self, source: Path) -> bool:
        """Whether there are files of this kind; text of any kind passes as csv."""
        if source.is_dir():
            return bool(self._files(source))
        try:
            return sniff_kind(source) == self.name
        except BadInputError:
            return self.name == "csv"  # asked last: its reader says what is wrong with the file

    def tables(self, source: Path, options: FormatOptions) -> Iterator[RawTable]:
        """Each file as a part of its table."""
        files: list[tuple[TableName, Path]] = [("events", source)]
        if source.is_dir():
            files = self._files(source)
        if not files:
            raise BadInputError(
                f"no {self.name} files in the folder", where=str(source), remedy="Name the file, or --format"
            )
        for table, path in files:
            if table not in options.replaced:
                yield read_table(table, path, options.column_map, self.name)

    def _files(self, folder: Path) -> list[tuple[TableName, Path]]:
        mine = [path for path in sorted(folder.iterdir()) if path.is_file() and self._is_mine(path)]
        tables: dict[TableName, list[Path]] = {}
        for table in get_args(TableName):
            parts = folder / table
            inside = sorted(parts.iterdir()) if parts.is_dir() else []
            tables[table] = [path for path in mine if _stem(path) == table]
            tables[table] += [path for path in inside if path.is_file() and self._is_mine(path)]
        if not tables["events"]:
            named = {*get_args(TableName), *_ANSWERS, "rejects"}
            tables["events"] = [path for path in mine if _stem(path) not in named]
        return [(table, path) for table, paths in tables.items() for path in paths]

    def _is_mine(self, path: Path) -> bool:
        name = path.stem if path.suffix in _PACKED and self.name != "parquet" else path.name
        return Path(name).suffix.lower() in _SUFFIXES[self.name]


def _stem(path: Path) -> str:
    return path.name.split(".")[0].lower()


CSV = TabularFormat("csv", "csv, tsv or other delimited text with a header (gz, zst), or a folder of it")
PARQUET = TabularFormat("parquet", "a Parquet file, or a folder of them")
JSONL = TabularFormat("jsonl", "one JSON object on each line (gz, zst), or a folder of such files")

"""Delimited text (csv, tsv and the like) as raw columns, with every unreadable line accounted for.

Well-formed lines, quoted or not, go through vectorised polars expressions. Only lines that break
the rules of RFC 4180 (stray quotes in titles, records over several lines) are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from audotics.data.formats.protocol import LINE, Chunk
from audotics.data.formats.text import read_head, read_lines, reject_lines
from audotics.errors import BadInputError

SEPARATORS = ("\t", ",", ";", "|")
MAX_RECORD_LINES = 50
"""Over how many lines one quoted record may run before its opening quote counts as a stray one."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the columns of a file are told apart.

    Args:
        separator: One character.
        columns: Names in file order.
        has_header: Whether the first line holds the names.
        quoted: Whether double quotes may enclose a value. Without, a quote is a character like any.
    """

    separator: str
    columns: tuple[str, ...]
    has_header: bool = True
    quoted: bool = True


def sniff_dialect(path: Path) -> Dialect:
    """Separator and column names from the first lines of a file with a header.

    Raises:
        BadInputError: The file is empty, or not text.
    """
    lines = [line for line in read_head(path).splitlines()[:20] if line.strip()]
    if not lines:
        raise BadInputError(
            "the file is empty", where=str(path), remedy="A header line and at least one row are needed"
        )
    separator = max(SEPARATORS, key=lambda mark: _agreement(lines, mark))
    columns = _split_quoted(lines[0], separator) or lines[0].split(separator)
    return Dialect(separator, tuple(name.strip() for name in columns))


def _agreement(lines: Sequence[str], separator: str) -> tuple[float, int]:
    """How many lines have as many separators as the header, and how many that is."""
    in_header = lines[0].count(separator)
    if in_header == 0:
        return 0.0, 0
    same = sum(line.count(separator) == in_header for line in lines[:-1] or lines)
    return 1.0 + same / len(lines), in_header


def read_delimited(path: Path, dialect: Dialect) -> Iterator[Chunk]:
    """The rows of a file as text columns named by ``dialect.columns``, with `LINE`.

    Lines with another number of columns, NUL bytes or absurd length are handed over as rejects.

    Raises:
        BadInputError: The file is missing, damaged or truncated.
    """
    open_record: pl.DataFrame | None = None
    header = dialect.has_header
    for block in read_lines(path):
        lines = block.lines
        if open_record is not None:
            lines = pl.concat([open_record, lines])
        if header and not lines.is_empty():
            lines, header = lines.slice(1), False
        chunk, open_record = _parse(path, lines, dialect, at_end=False)
        yield Chunk(chunk.rows, pl.concat([block.rejected, chunk.rejected]))
    if open_record is not None:
        yield _parse(path, open_record, dialect, at_end=True)[0]


def _parse(
    path: Path, lines: pl.DataFrame, dialect: Dialect, *, at_end: bool
) -> tuple[Chunk, pl.DataFrame | None]:
    n_columns = len(dialect.columns)
    has_quote = (
        pl.col("text").str.contains('"', literal=True) if dialect.quoted else pl.lit(value=False)
    ).alias("has_quote")
    lines = lines.with_columns(
        has_quote, pl.col("text").str.count_matches(dialect.separator, literal=True).alias("n")
    )
    simple = ~pl.col("has_quote") & (pl.col("n") == n_columns - 1)
    plain = lines.filter(simple)
    odd = lines.filter(~simple)
    if odd.is_empty():
        return Chunk(_split_plain(plain, dialect)), None
    well_quoted = pl.col("text").str.contains(_record_pattern(dialect.separator, n_columns))
    well_formed = pl.col("has_quote") & well_quoted
    quoted = odd.filter(well_formed)
    odd = odd.filter(~well_formed)
    repaired, rejected, rest = _repair(lines, odd, dialect, at_end=at_end)
    used = repaired.used | (set() if rest is None else set(rest[LINE]))
    parts = [_split_plain(plain, dialect), _split_well_quoted(quoted, dialect)]
    if used:
        parts = [part.filter(~pl.col(LINE).is_in(sorted(used))) for part in parts]
    rows = pl.concat([*parts, repaired.rows]).sort(LINE)
    reason = pl.format(f"line has {{}} columns, the file has {n_columns}", pl.col("n") + 1)
    return Chunk(rows, reject_lines(path, rejected, reason)), rest


def _split_plain(lines: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    if len(dialect.columns) == 1:
        return lines.select(LINE, pl.col("text").alias(dialect.columns[0]))
    fields = pl.col("text").str.split_exact(dialect.separator, len(dialect.columns) - 1)
    return lines.select(LINE, fields.struct.rename_fields(list(dialect.columns)).alias("fields")).unnest(
        "fields"
    )


def _split_well_quoted(lines: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    if lines.is_empty():
        return pl.DataFrame(schema={LINE: pl.Int64, **dict.fromkeys(dialect.columns, pl.String)})
    rows: pl.DataFrame = pl.read_csv(
        "\n".join(lines["text"]).encode(),
        has_header=False,
        new_columns=list(dialect.columns),
        separator=dialect.separator,
        infer_schema=False,
    )
    return rows.insert_column(0, lines[LINE])


def _record_pattern(separator: str, n_columns: int) -> str:
    mark = re.escape(separator)
    field = f'(?:"(?:[^"]|"")*"|[^"{mark}]*)'
    return f"^{field}(?:{mark}{field}){{{n_columns - 1}}}$"


@dataclass(frozen=True, slots=True)
class _Repaired:
    rows: pl.DataFrame
    used: set[int]


def _repair(
    lines: pl.DataFrame, odd: pl.DataFrame, dialect: Dialect, *, at_end: bool
) -> tuple[_Repaired, pl.DataFrame, pl.DataFrame | None]:
    """Line by line: what can be saved, what must be refused, and a record still open at the end."""
    n_columns = len(dialect.columns)
    texts, numbers = lines["text"], lines[LINE]
    places = {number: place for place, number in enumerate(numbers)} if not odd.is_empty() else {}
    fields: list[list[str]] = []
    at: list[int] = []
    used: set[int] = set()
    refused: list[int] = []
    for number, text, has_quote in odd.select(LINE, "text", "has_quote").iter_rows():
        if number in used:
            continue
        literal = text.split(dialect.separator)
        if has_quote and dialect.separator != "\t":
            found, n_lines = _join_record(texts, places[number], dialect.separator, n_columns)
            if found is None and n_lines and not at_end:
                rest = lines.slice(places[number]).select(LINE, "text")
                return _repaired(at, fields, dialect, used), _only(odd, refused), rest
            if found is not None:
                used.update(numbers[places[number] + 1 : places[number] + n_lines])
                literal = found
        if len(literal) == n_columns:
            fields.append(literal)
            at.append(number)
        else:
            refused.append(number)
    return _repaired(at, fields, dialect, used), _only(odd, refused), None


def _only(lines: pl.DataFrame, numbers: list[int]) -> pl.DataFrame:
    return lines.filter(pl.col(LINE).is_in(numbers))


def _repaired(at: list[int], fields: list[list[str]], dialect: Dialect, used: set[int]) -> _Repaired:
    schema = {LINE: pl.Int64, **dict.fromkeys(dialect.columns, pl.String)}
    rows = [(number, *values) for number, values in zip(at, fields, strict=True)]
    return _Repaired(pl.DataFrame(rows, schema=schema, orient="row"), used)


def _join_record(
    texts: pl.Series, start: int, separator: str, n_columns: int
) -> tuple[list[str] | None, int]:
    """A record over several lines and how many; no record but a count: it may go on in the next block."""
    record = texts[start]
    if not _ends_inside_quotes(record, separator):
        return None, 0
    for place in range(start + 1, min(start + MAX_RECORD_LINES, len(texts))):
        record += "\n" + texts[place]
        if _ends_inside_quotes(record, separator):
            continue
        fields = _split_quoted(record, separator)
        if fields is not None and len(fields) == n_columns:
            return fields, place - start + 1
        return None, 0
    reached_end = start + MAX_RECORD_LINES >= len(texts)
    return None, len(texts) - start if reached_end else 0


def _ends_inside_quotes(record: str, separator: str) -> bool:
    opened = re.search(rf'(?:^|{re.escape(separator)})"(?:[^"]|"")*$', record)
    return opened is not None


def _split_quoted(record: str, separator: str) -> list[str] | None:
    """The fields of one record by RFC 4180, None if a quote breaks its rules."""
    mark = re.escape(separator)
    if not re.fullmatch(rf'(?:"(?:[^"]|"")*"|[^"{mark}]*)(?:{mark}(?:"(?:[^"]|"")*"|[^"{mark}]*))*', record):
        return None
    fields = re.findall(rf'(?:^|{mark})("(?:[^"]|"")*"|[^"{mark}]*)', record)
    return [field[1:-1].replace('""', '"') if field.startswith('"') else field for field in fields]

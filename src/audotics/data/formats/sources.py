"""Where the files of a set lie, and how the rows of a file become the columns of the schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, overload

import polars as pl

from audotics.data.formats.delimited import Dialect, read_delimited, sniff_dialect
from audotics.data.formats.protocol import LINE, Chunk, RawTable
from audotics.data.formats.text import SHOWN_CHARACTERS, find_file, read_head, shown
from audotics.data.schema import REJECTS
from audotics.errors import BadInputError

_PACKED = (".gz", ".zst")


def require_file(folder: Path, name: str) -> Path:
    """``folder/name``, plain or compressed.

    Raises:
        BadInputError: There is none.
    """
    found = find_file(folder, name)
    if found is None:
        raise BadInputError(
            f"the set lacks its file {name}",
            where=str(folder),
            remedy=f"Put {name} (or {name}.gz, {name}.zst) there",
        )
    return found


@overload
def named_file(source: Path, name: str) -> Path | None: ...


@overload
def named_file(source: Path, name: str, *, required: Literal[True]) -> Path: ...


def named_file(source: Path, name: str, *, required: bool = False) -> Path | None:
    """The file called ``name``, plain or compressed: ``source`` itself or in the folder ``source``.

    Raises:
        BadInputError: It is ``required`` and not there.
    """
    if source.is_dir():
        return require_file(source, name) if required else find_file(source, name)
    return source if required or unpacked_name(source) == name else None


def unpacked_name(path: Path) -> str:
    """The file's name without ``.gz`` or ``.zst``."""
    return path.stem if path.suffix in _PACKED else path.name


def files_like(source: Path, *patterns: str) -> list[Path]:
    """The files that fit one of the glob patterns, plain or compressed, in the order of their paths.

    Args:
        source: A folder, or a file (the only one looked at then).
        patterns: Relative to the folder, as in ``data/mpd.slice.*.json``; for a file the last part counts.
    """
    if source.is_file():
        return [source] if any(_fits(source, pattern) for pattern in patterns) else []
    packed = (f"{pattern}{suffix}" for pattern in patterns for suffix in ("", *_PACKED))
    return sorted({path for pattern in packed for path in source.glob(pattern) if path.is_file()})


def _fits(path: Path, pattern: str) -> bool:
    return Path(unpacked_name(path)).match(Path(pattern).name)


def first_lines(path: Path, n: int = 50) -> list[str]:
    """Up to ``n`` whole lines from the beginning that are not blank; none if this is no text."""
    try:
        head = read_head(path)
    except BadInputError:
        return []
    lines = head.splitlines()
    whole = lines if head.endswith("\n") or len(lines) == 1 else lines[:-1]
    return [line for line in whole if line.strip()][:n]


def has_header(path: Path, separator: str, *columns: str) -> bool:
    """Whether the first line names (at least) these columns."""
    lines = first_lines(path, 1)
    return bool(lines) and set(columns) <= {name.strip() for name in lines[0].split(separator)}


def header_dialect(path: Path, *needed: str) -> Dialect:
    """How a file with a header is cut, once its header names every column ``needed``.

    Raises:
        BadInputError: A column is missing or stands twice.
    """
    dialect = sniff_dialect(path)
    missing = [name for name in needed if name not in dialect.columns]
    twice = [name for name in dialect.columns if dialect.columns.count(name) > 1]
    if missing or twice:
        what = f"no column {missing[0]!r}" if missing else f"column {twice[0]!r} stands twice"
        raise BadInputError(
            what,
            where=str(path),
            remedy=f"The header is {shown(', '.join(dialect.columns))}; correct it",
        )
    return dialect


def read_known(path: Path, dialect: Dialect) -> Iterator[Chunk]:
    """The rows of a file whose columns are fixed; without its header a row of data would be lost for it.

    Raises:
        BadInputError: The file has a header, and it names other columns.
    """
    if dialect.has_header:
        first = (first_lines(path, 1) or [""])[0]
        if tuple(name.strip() for name in first.split(dialect.separator)) != dialect.columns:
            raise BadInputError(
                f"the first line is not the header of this set but {shown(first[:80])!r}",
                where=str(path),
                remedy=f"It should be {dialect.separator.join(dialect.columns)!r}",
            )
    yield from read_delimited(path, dialect)


def select_columns(chunks: Iterable[Chunk], **columns: pl.Expr) -> Iterator[Chunk]:
    """The same chunks with `LINE` and the given columns only."""
    for chunk in chunks:
        yield Chunk(chunk.rows.select(LINE, **columns), rejected=chunk.rejected, left_out=chunk.left_out)


def names_part(path: Path, chunks: Iterable[Chunk], *, counted: bool) -> RawTable:
    """What lines of events say of their tracks, as a part of the tracks table.

    Args:
        path: The file of the events.
        chunks: Rows of the tracks table, one per event.
        counted: Whether these lines are accounted for here; else the events do it, and only one row
            per track (of each chunk) is given, with the first known value of each column.
    """
    found = iter(chunks) if counted else map(_once_per_track, chunks)
    return RawTable("tracks", path, found, part="names", counted=counted)


def _once_per_track(chunk: Chunk) -> Chunk:
    named = chunk.rows.drop_nulls("track_id").group_by("track_id", maintain_order=True)
    return Chunk(named.agg(pl.all().drop_nulls().first()).select(chunk.rows.columns))


def keep_pairs(chunks: Iterable[Chunk], listener: str, pairs: pl.LazyFrame, reason: str) -> Iterator[Chunk]:
    """Only rows whose listener and ``track_id`` are among the events; the others are counted as left out.

    What a listener said of a track (a tag, a place in a playlist) that is held out from them would
    give the answer away.

    Args:
        chunks: Chunks with the columns ``listener`` and ``track_id``.
        listener: The column that holds the listener.
        pairs: Distinct ``user_id``, ``track_id`` of the events.
        reason: Why rows are left out, as the report says it.
    """
    known = pairs.select(pl.col("user_id").alias(listener), "track_id").collect()
    for chunk in chunks:
        kept = chunk.rows.join(known, on=[listener, "track_id"], how="semi", maintain_order="left")
        n_dropped = chunk.rows.height - kept.height
        left_out = {**chunk.left_out, reason: chunk.left_out.get(reason, 0) + n_dropped}
        yield Chunk(kept, chunk.rejected, left_out)


def reject_values(path: Path, rows: pl.DataFrame, column: str, reason: str) -> pl.DataFrame:
    """Rejects for rows whose value in ``column`` cannot be used, with the columns of ``schema.REJECTS``."""
    return rows.select(
        pl.lit(path.name).alias("file"),
        pl.col(LINE).alias("line"),
        pl.lit(column).alias("column"),
        pl.col(column).cast(pl.String).str.head(SHOWN_CHARACTERS).alias("value"),
        pl.lit(reason).alias("reason"),
    ).cast(pl.Schema(REJECTS))


def known_text(column: str) -> pl.Expr:
    """The text of a column without blanks around it, null where nothing is left."""
    text = pl.col(column).str.strip_chars()
    return pl.when(text != "").then(text)


def named_key(artist: str, thing: str) -> pl.Expr:
    """``artist - title`` as the id of a track or album that is known by name only, null if either is unknown.

    Two spellings stay two things; an album title alone would join the "Greatest Hits" of all artists.
    """
    return pl.concat_str(known_text(artist), pl.lit(" - "), known_text(thing))


def uri_key(uri: str) -> pl.Expr:
    """A Spotify URI without ``spotify:track:`` (``:artist:``, ``:album:``): the id other sources use."""
    return known_text(uri).str.replace("^spotify:(?:track|artist|album):", "")


def milliseconds(seconds: str) -> pl.Expr:
    """A text column of seconds in milliseconds; text that is no number stays as it is, to be rejected."""
    number = pl.col(seconds).cast(pl.Float64, strict=False) * 1000
    return pl.coalesce(number.round().cast(pl.Int64, strict=False).cast(pl.String), pl.col(seconds))

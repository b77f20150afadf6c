"""Yambda: events of a music service (Ploshkin et al. 2025, arXiv 2505.22238), the flat Parquet files.

Its times are seconds, rounded to 5, since an unpublished moment. They are counted from `ORIGIN` here:
order, distances and splits are right, dates and hours of the day mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from audotics.data.formats.protocol import CHUNK_ROWS, LINE, Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import names_part
from audotics.data.schema import TIMESTAMP
from audotics.errors import BadInputError

ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)
"""What second 0 of the set is taken for."""

LISTENED_PCT = 50
"""From here on a listen counts as one, the bound of the set's own benchmark; below it is a skip."""

COMPLETE_PCT = 90
"""From here on a listen is taken as complete. Our choice; the set has none."""

_NOTES = (
    f"times are counted from {ORIGIN:%Y-%m-%d}: only their distances mean something",
    f"a listen below {LISTENED_PCT} % is a skip, from {COMPLETE_PCT} % on complete",
)
_ALL = "multi_event"
_KINDS = {
    "listens": "listen",
    "likes": "like",
    "dislikes": "dislike",
    "unlikes": "unlike",
    "undislikes": "undislike",
}
_TAKEN_BACK = ("unlike", "undislike")
_CORE = ("uid", "item_id", "timestamp", "is_organic")
_CONTENT = {
    "artist_id": "artist_item_mapping.parquet",
    "album_id": "album_item_mapping.parquet",
    "normalized_embed": "embeddings.parquet",
}
_RENAMED = {"normalized_embed": "embedding"}


class Yambda:
    """Reads a flat folder (``flat/50m``) or one of its files; the sequential files are not read.

    Artists, albums and audio embeddings are looked for in the folder and the two above it, as in the
    published tree.
    """

    name = "yambda"
    summary = "Yambda: folder flat/50m (500m, 5b) with listens.parquet, likes.parquet, ..., or one such file"

    def detects(self, source: Path) -> bool:
        """Whether there is a Parquet file of events with the set's columns."""
        files = _event_files(source)
        return bool(files) and set(_CORE) <= _columns(files[0])

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Listens, likes and dislikes as events, lengths, artists, albums and embeddings as tracks."""
        files = _event_files(source)
        if not files or not set(_CORE) <= _columns(files[0]):
            raise BadInputError(
                "no flat event files here",
                where=str(source),
                remedy="Name the folder with listens.parquet and likes.parquet (or multi_event.parquet)",
            )
        if "events" not in options.replaced:
            for path in files:
                yield RawTable("events", path, _events(path), notes=_NOTES)
        if "tracks" not in options.replaced:
            for path in files:
                if "track_length_seconds" in _columns(path):
                    yield names_part(path, _lengths(path), counted="events" in options.replaced)
            yield from _content(source, files)


def _event_files(source: Path) -> list[Path]:
    """The file itself; in a folder the single kinds, else the one that holds them all."""
    if source.is_file():
        known = source.suffix == ".parquet" and source.stem in (*_KINDS, _ALL)
        return [source] if known else []
    single = [source / f"{stem}.parquet" for stem in _KINDS]
    files = single if single[0].is_file() else [source / f"{_ALL}.parquet", *single]
    found = [path for path in files if path.is_file()]
    return found[:1] if found and found[0].stem == _ALL else found


def _columns(path: Path) -> set[str]:
    try:
        return set(pl.read_parquet_schema(path))
    except (OSError, pl.exceptions.PolarsError):
        return set()


def _read(path: Path, columns: Iterable[str]) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet file in pieces, with `LINE`; columns the file lacks are null."""
    there = _columns(path)
    rows = pl.scan_parquet(path).select(
        [pl.col(name) if name in there else pl.lit(None).alias(name) for name in columns]
    )
    first = 1
    try:
        for batch in rows.collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True):
            yield batch.with_row_index(LINE, offset=first)
            first += batch.height
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadInputError(
            f"the Parquet file is damaged ({str(error).splitlines()[0][:120]})",
            where=str(path),
            remedy="Fetch or copy it again",
        ) from error


def _events(path: Path) -> Iterator[Chunk]:
    wanted = (*_CORE, "event_type", "played_ratio_pct", "track_length_seconds")
    kind = pl.col("event_type").cast(pl.String) if path.stem == _ALL else pl.lit(_KINDS[path.stem])
    ratio = pl.col("played_ratio_pct").cast(pl.Int64)
    for rows in _read(path, wanted):
        named = rows.with_columns(kind.alias("event_type"))
        kept = named.filter(~pl.col("event_type").is_in(_TAKEN_BACK).fill_null(value=False))
        yield Chunk(
            kept.select(
                LINE,
                user_id="uid",
                track_id="item_id",
                timestamp=(pl.lit(ORIGIN) + pl.duration(seconds=pl.col("timestamp"))).cast(TIMESTAMP),
                event=_event(ratio),
                # percent of seconds: 100 % of 1 s are 1,000 ms
                ms_played=ratio * pl.col("track_length_seconds").cast(pl.Int64) * 10,
                context_is_organic=pl.col("is_organic"),
            ),
            left_out={"like or dislike taken back": rows.height - kept.height},
        )


def _event(ratio: pl.Expr) -> pl.Expr:
    listened = (
        pl.when(ratio < LISTENED_PCT)
        .then(pl.lit("skip"))
        .when(ratio >= COMPLETE_PCT)
        .then(pl.lit("complete"))
        .otherwise(pl.lit("play"))
    )
    kind = pl.col("event_type").fill_null("no event_type")
    return pl.when(kind == "listen").then(listened).otherwise(kind)


def _lengths(path: Path) -> Iterator[Chunk]:
    for rows in _read(path, ("item_id", "track_length_seconds")):
        yield Chunk(rows.select(LINE, track_id="item_id", duration_s="track_length_seconds"))


def _content(source: Path, files: list[Path]) -> Iterator[RawTable]:
    folder = source if source.is_dir() else source.parent
    found = {column: _beside(folder, name) for column, name in _CONTENT.items()}
    if not any(found.values()):
        return
    # The files describe all 9.4 million tracks (embeddings: 4 GB); the small sets play a tenth of them.
    played = pl.concat([pl.scan_parquet(path).select("item_id") for path in files]).unique().collect()
    for column, path in found.items():
        if path is not None:
            yield RawTable("tracks", path, _described(path, column, played), part=column)


def _beside(folder: Path, name: str) -> Path | None:
    places = (folder, *folder.resolve().parents[:2])
    return next((place / name for place in places if (place / name).is_file()), None)


def _described(path: Path, column: str, played: pl.DataFrame) -> Iterator[Chunk]:
    """Artist, album or embedding of each track with events; of several the first is kept."""
    for rows in _read(path, ("item_id", column)):
        kept = rows.join(played, on="item_id", how="semi", maintain_order="left")
        yield Chunk(
            kept.select(LINE, pl.col(column).alias(_RENAMED.get(column, column)), track_id="item_id"),
            left_out={"track without events": rows.height - kept.height},
        )


FORMAT = Yambda()

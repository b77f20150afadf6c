"""SiTunes (CHIIR 2024): plays with their situation, rated from 1 to 5, in three stages of one study.

Ratings of 4 and 5 become ``like``, of 1 and 2 ``dislike``, a 3 is a ``play``. What was known before
the play becomes context; the mood after it is an outcome and is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import read_delimited
from audotics.data.formats.json_records import read_document
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import header_dialect, known_text, milliseconds, select_columns
from audotics.data.formats.text import find_file
from audotics.errors import BadInputError

_STAGES = ("Stage1", "Stage2", "Stage3")
_METADATA = "music_metadata"
_PLAY = ("user_id", "item_id", "timestamp", "rating", "duration")
_BEFORE = ("emo_pre_valence", "emo_pre_arousal")
_SITUATION = ("daytime", "weather", "pressure", "temperature", "humidity", "speed")
_NO_FEATURE = ("", "item_id", "duration", "general_genre", "general_genre_id")


class SiTunes:
    """Reads the folder of the set; the wrist sensor's series and places are not used."""

    name = "situnes"
    summary = "SiTunes: folder with Stage1, Stage2, Stage3 (interactions.csv, env.json) and music_metadata"

    def detects(self, source: Path) -> bool:
        """Whether plays and descriptions lie in the folders they have in the set."""
        return source.is_dir() and bool(_stages(source)) and (source / _METADATA).is_dir()

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Plays of all stages as events, descriptions and names as tracks."""
        stages = _stages(source)
        if not stages:
            raise BadInputError(
                "no Stage1/interactions.csv here", where=str(source), remedy="Name the folder of the set"
            )
        if "events" not in options.replaced:
            for path in stages:
                yield RawTable("events", path, _events(path))
        if "tracks" not in options.replaced:
            described = find_file(source / _METADATA, "music_info.csv")
            if described is not None:
                yield RawTable("tracks", described, _tracks(described))
            named = find_file(source / _METADATA, "music_info_withname.csv")
            if named is not None:
                yield RawTable("tracks", named, _names(named), part="names")


def _stages(source: Path) -> list[Path]:
    found = (find_file(source / stage, "interactions.csv") for stage in _STAGES)
    return [path for path in found if path is not None]


def _events(path: Path) -> Iterator[Chunk]:
    dialect = header_dialect(path, *_PLAY)
    before = {
        f"context_{name}": pl.col(name).cast(pl.Float64, strict=False)
        for name in _BEFORE
        if name in dialect.columns
    }
    rating = pl.col("rating").cast(pl.Int8, strict=False)
    event = (
        pl.when(rating >= 4)
        .then(pl.lit("like"))
        .when(rating <= 2)
        .then(pl.lit("dislike"))
        .when(rating.is_not_null())
        .then(pl.lit("play"))
        .otherwise(pl.concat_str(pl.lit("rating "), pl.col("rating").fill_null("")))
    )
    situations = find_file(path.parent, "env.json") if "inter_id" in dialect.columns else None
    chunks = read_delimited(path, dialect)
    if situations is not None:
        chunks = _with_situation(chunks, _read_situations(situations))
    return select_columns(
        chunks,
        user_id=pl.col("user_id"),
        track_id=pl.col("item_id"),
        timestamp=pl.col("timestamp"),
        event=event,
        ms_played=milliseconds("duration"),
        **before,
        **({f"context_{name}": pl.col(name) for name in _SITUATION} if situations else {}),
    )


def _with_situation(chunks: Iterable[Chunk], situations: pl.DataFrame) -> Iterator[Chunk]:
    for chunk in chunks:
        rows = chunk.rows.join(situations, on="inter_id", how="left", maintain_order="left")
        yield Chunk(rows, chunk.rejected, chunk.left_out)


def _read_situations(path: Path) -> pl.DataFrame:
    """Situation by ``inter_id``: time of day (1 morning to 3 night), weather, and how fast they moved."""
    found = read_document(path)
    try:
        rows = [
            (key, str(value["time"]), str(value["weather"][0]), *value["weather"][1:4], value["GPS"][2])
            for key, value in found.items()
        ]
        schema = pl.Schema(
            {
                "inter_id": pl.String(),
                "daytime": pl.String(),
                "weather": pl.String(),
                **{name: pl.Float64() for name in _SITUATION[2:]},
            }
        )
        return pl.DataFrame(rows, schema=schema, orient="row", strict=False)
    except (AttributeError, KeyError, IndexError, TypeError, pl.exceptions.PolarsError) as error:
        raise BadInputError(
            f"situations are not as in the set ({error!r})",
            where=str(path),
            remedy="Each is to have time, weather and GPS",
        ) from error


def _tracks(path: Path) -> Iterator[Chunk]:
    dialect = header_dialect(path, "item_id", "duration", "general_genre")
    features = {f"feature_{name}": pl.col(name) for name in dialect.columns if name not in _NO_FEATURE}
    return select_columns(
        read_delimited(path, dialect),
        track_id=pl.col("item_id"),
        duration_ms=pl.col("duration"),
        genres=pl.concat_list(known_text("general_genre")).list.drop_nulls(),
        **features,
    )


def _names(path: Path) -> Iterator[Chunk]:
    """Names stand in a second file that writes ids as ``874.0``."""
    return select_columns(
        read_delimited(path, header_dialect(path, "i_id_c", "music", "singer")),
        track_id=pl.col("i_id_c").str.replace(r"\.0$", ""),
        title=known_text("music"),
        artist_id=known_text("singer"),
        artist=known_text("singer"),
    )


FORMAT = SiTunes()

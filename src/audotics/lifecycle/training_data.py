"""The data of a retraining: a base dataset, what the journal knows beside it, without whom was erased."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from sqlalchemy import Engine

from audotics.data.corpus import without_tags_of
from audotics.data.dataset import EVENTS_FOLDER, Dataset
from audotics.data.schema import CONTEXT_PREFIX, EVENTS, TRACKS
from audotics.data.writer import DatasetWriter
from audotics.errors import BadInputError
from audotics.journal.catalogue import TrackJournal
from audotics.journal.events import EventJournal
from audotics.journal.track_frames import track_frame
from audotics.lifecycle.data_folders import DataFolders, DataRecord

PART_EVENTS = 1_000_000
"""Events of the base that are held and written together."""

_SAME_EVENT = ["user_id", "track_id", "timestamp", "event"]
"""Two events that agree in these are one: nobody begins the same track twice in a microsecond."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a retraining learns from.

    Args:
        dataset: Everything known.
        base: What it goes on from.
        record: Where it comes from.
    """

    dataset: Dataset
    base: Dataset
    record: DataRecord


def build_training_data(folders: DataFolders, base: Dataset, seq: int, engine: Engine) -> TrainingData:
    """Write a new dataset: the base, the journal's later events, and the catalogue of both.

    Events are later by their place in the journal, not by their time, so one that arrived late is not missed.
    Who was erased is gone from every table, as a listener, as a friend and as the giver of a tag.

    Args:
        folders: Where the dataset goes.
        base: What it goes on from.
        seq: Place in the journal up to which the base knows all events.
        engine: Of the journal.

    Raises:
        BadInputError: The base has no times: nothing tells what is new.
        UnavailableError: The journal cannot be read now.
    """
    if not base.timed:
        raise BadInputError(
            "the data has no times, so nothing tells what happened since",
            where=str(base.path),
            remedy="Export the whole log, import it and use `audotics train`",
        )
    journal = EventJournal(engine)
    until = max(seq, journal.last_seq())
    fresh = _fresh_events(journal, seq, until)
    erased = _erasures(journal)
    documents = {track_id: document for _, track_id, document in TrackJournal(engine).after(0)}
    n_read = fresh.height
    fresh = _without_repeats(fresh, base)
    with folders.writer(f"{base.manifest.source or 'a dataset'}; journal up to {until}") as writer:
        n_erased = _write_events(writer, base, fresh, erased)
        _write_tables(writer, base, documents=track_frame(documents), erased=erased["user_id"])
        built = writer.commit()
    record = DataRecord(
        fingerprint=built.manifest.fingerprint,
        base=base.manifest.fingerprint,
        journal_seq=until,
        n_new=fresh.height,
        n_repeated=n_read - fresh.height,
        n_erased=n_erased,
        n_tracks_put=len(documents),
        created_at=datetime.now(UTC),
    )
    return TrainingData(folders.take_in(built, record), base, record)


def _fresh_events(journal: EventJournal, after: int, until: int) -> pl.DataFrame:
    frames = list(journal.frames(after=after, until=until))
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame(schema=EVENTS)


def _without_repeats(fresh: pl.DataFrame, base: Dataset) -> pl.DataFrame:
    """Journal events that are not in the base, each once."""
    distinct = fresh.unique(_SAME_EVENT, keep="first", maintain_order=True)
    if distinct.is_empty():
        return distinct
    # Only those of the base that could be the same are held.
    there = base.events().filter(pl.col("timestamp") >= fresh["timestamp"].min())
    repeated = there.join(distinct.lazy(), on=_SAME_EVENT, how="semi").select(_SAME_EVENT).collect()
    return distinct.join(repeated, on=_SAME_EVENT, how="anti", maintain_order="left")


def _erasures(journal: EventJournal) -> pl.DataFrame:
    """``user_id`` and ``erased_at``: up to when each erased listener's past is gone."""
    found = journal.erased_after(0)
    table = pl.DataFrame(
        {"user_id": [one.user_id for one in found], "erased_at": [one.at_us for one in found]},
        schema={"user_id": pl.String, "erased_at": pl.Int64},
    )
    return table.group_by("user_id").agg(pl.col("erased_at").max())


def _write_events(writer: DatasetWriter, base: Dataset, fresh: pl.DataFrame, erased: pl.DataFrame) -> int:
    """The base's events, then the fresh ones; returns how many were erased."""
    own = {name: dtype for name, dtype in base.events().collect_schema().items() if _is_context(name)}
    new = {name: pl.String() for name in fresh.columns if _is_context(name) and name not in own}
    contexts = {**own, **new}
    n_erased = 0
    for part in _parts_of(base):
        kept = _alive(part, erased)
        n_erased += part.height - kept.height
        if kept.height:
            writer.add_events(_aligned(kept, contexts))
    if fresh.height:
        writer.add_events(_aligned(fresh, contexts))
    return n_erased


def _parts_of(base: Dataset) -> Iterator[pl.DataFrame]:
    """The base's events in files of its own order, small ones together: else every day would add a file."""
    held: list[pl.DataFrame] = []
    for file in sorted((base.path / EVENTS_FOLDER).glob("*.parquet")):
        held.append(pl.read_parquet(file))
        if sum(frame.height for frame in held) >= PART_EVENTS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def _alive(events: pl.DataFrame, erased: pl.DataFrame) -> pl.DataFrame:
    """Events without those of listeners who were erased afterwards; who came back begins anew."""
    if erased.is_empty():
        return events
    known = events.join(erased, on="user_id", how="left", maintain_order="left")
    later = pl.col("erased_at").is_null() | (pl.col("timestamp").dt.epoch("us") > pl.col("erased_at"))
    return known.filter(later).drop("erased_at")


def _aligned(events: pl.DataFrame, contexts: dict[str, pl.DataType]) -> pl.DataFrame:
    """Events with all context columns, in one order and of one type."""
    return events.select(
        *EVENTS,
        *(
            (pl.col(name) if name in events.columns else pl.lit(None)).cast(dtype, strict=False).alias(name)
            for name, dtype in contexts.items()
        ),
    )


def _is_context(name: str) -> bool:
    return name.startswith(CONTEXT_PREFIX)


def _write_tables(
    writer: DatasetWriter, base: Dataset, *, documents: pl.DataFrame, erased: pl.Series
) -> None:
    tracks = _without_tags_by(base.tracks(), erased)
    writer.set_table("tracks", _laid_over(tracks, documents))
    users, playlists = base.users(), base.playlists()
    if users.height:
        writer.set_table("users", _without_listeners(users, erased))
    if playlists.height:
        writer.set_table("playlists", playlists)


def _without_tags_by(tracks: pl.DataFrame, erased: pl.Series) -> pl.DataFrame:
    """The tracks table without the tags that erased listeners gave."""
    by_them = (
        tracks.select("track_id", "tagged_by")
        .explode("tagged_by")
        .filter(pl.col("tagged_by").is_in(erased.implode()))
        .unique()
    )
    return without_tags_of(tracks, by_them)


def _without_listeners(users: pl.DataFrame, erased: pl.Series) -> pl.DataFrame:
    """The users table without erased listeners, who are nobody's friends any more either."""
    kept = users.filter(~pl.col("user_id").is_in(erased.implode()))
    gone = erased.to_list()
    return kept.with_columns(pl.col("friends").list.set_difference(gone)) if gone else kept


def _laid_over(tracks: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """The tracks table with what was put since: what a document knows takes the place of what stood there.

    Who gave a tag is unknown for tags that were put.
    """
    both = tracks.join(
        documents, on="track_id", how="full", coalesce=True, suffix="_put", maintain_order="left_right"
    )
    shared = [name for name in documents.columns if name in tracks.columns and name != "track_id"]
    others = [name for name in (*tracks.columns, *documents.columns) if name not in TRACKS]
    tags_put = pl.col("tags_put").is_not_null()
    return both.with_columns(
        *(pl.coalesce(f"{name}_put", name).alias(name) for name in shared),
        pl.when(tags_put).then(None).otherwise(pl.col("tagged_by")).alias("tagged_by"),
    ).select(*TRACKS, *dict.fromkeys(others))

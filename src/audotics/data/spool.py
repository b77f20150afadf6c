"""Events on their way through the disk: cut by listener, so that each cut fits into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from audotics.data.cleaning import reject_rows
from audotics.data.formats.protocol import LINE
from audotics.data.schema import CONTEXT_PREFIX

_HELD_ROWS = 1_000_000
_BUCKET = "bucket"
_FILE = "file"


@dataclass(frozen=True, slots=True)
class Bucket:
    """All events of some listeners, sorted by listener and time, without exact repetitions."""

    events: pl.DataFrame
    n_merged: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """What one spool has put on the disk, for another one to take over.

    Args:
        folder: Its folder.
        n_rows: Rows that were not set apart for lack of a time.
        timed: Whether any row has a time.
        context: Types of the context columns.
    """

    folder: Path
    n_rows: int
    timed: bool
    context: Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class Cut:
    """All events of some listeners, unsorted: files in order, then rows in memory."""

    files: Sequence[Path]
    context: Mapping[str, pl.DataType]
    held: list[pl.DataFrame] = field(default_factory=list)

    def sorted(self) -> Bucket:
        """The events in order; what the cut held is forgotten."""
        frames = [*(pl.read_parquet(file) for file in self.files), *self.held]
        self.held.clear()
        if not frames:
            return Bucket(pl.DataFrame(schema={"user_id": pl.String, "track_id": pl.String}), 0)
        events = pl.concat(frames, how="diagonal_relaxed")
        frames.clear()
        # In one order in every cut, whichever files its rows are from.
        events = events.select(
            *(name for name in events.columns if name not in self.context),
            *(
                (pl.col(name) if name in events.columns else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in self.context.items()
            ),
        )
        n_read = events.height
        events = _merge_repeated(_sorted(events))
        return Bucket(events, n_read - events.height)


class EventSpool:
    """Takes cleaned events in any order and gives them back listener by listener.

    Rows without a timestamp wait apart: only when all rows are there is it known whether the data has
    no times (they are fine) or has times (they are rejects).

    What comes back depends on the rows and their order alone, not on whether they were taken by one spool
    or by several that it adopted.

    Args:
        folder: Empty, for temporary files.
        n_buckets: Into how many cuts; one cut must fit into memory.
    """

    def __init__(self, folder: Path, n_buckets: int) -> None:
        self._folder = folder
        self._n_buckets = n_buckets
        self._adopted: list[Path] = []
        self._held: list[pl.DataFrame] = []
        self._n_held = 0
        self._n_taken = 0
        self._n_files = 0
        self._is_cut = False
        self._context: dict[str, pl.DataType] = {}
        self.timed = False

    def add(self, rows: pl.DataFrame, file: str) -> None:
        """Take rows as `clean` made them (with `LINE`), read from ``file``."""
        self._note_context({name: of for name, of in rows.schema.items() if name.startswith(CONTEXT_PREFIX)})
        has_time = pl.col("timestamp").is_not_null() if "timestamp" in rows.columns else pl.lit(value=False)
        dated, undated = rows.filter(has_time), rows.filter(~has_time)
        self.timed |= not dated.is_empty()
        self._hold(dated.drop(LINE))
        if not undated.is_empty():
            self._write(undated.with_columns(pl.lit(file).alias(_FILE)), "undated")

    def pairs(self) -> pl.LazyFrame:
        """Distinct ``user_id``, ``track_id`` of everything taken so far."""
        self._is_cut |= self._n_taken > 0
        self._spill()
        files = [file for folder in self._folders for file in sorted(folder.glob("*/*.parquet"))]
        if not files:
            return pl.LazyFrame(schema={"user_id": pl.String, "track_id": pl.String})
        return pl.concat([pl.scan_parquet(file).select("user_id", "track_id") for file in files]).unique()

    def finish(self) -> Spooled:
        """Put everything on the disk, for another spool to `adopt`."""
        self._spill()
        return Spooled(self._folder, self._n_taken, self.timed, self._context)

    def adopt(self, spooled: Spooled) -> None:
        """Take over what another spool of as many buckets took, after everything taken so far.

        Rows of its own that this spool still holds would come last: give it none between those it adopts.
        """
        self._note_context(spooled.context)
        self.timed |= spooled.timed
        self._adopted.append(spooled.folder)
        self._take(spooled.n_rows)

    def settle_undated(self) -> Iterator[pl.DataFrame]:
        """Decide about rows without a timestamp; yields rejects where the data has times."""
        for file in [file for folder in self._folders for file in sorted(folder.glob("undated/*.parquet"))]:
            rows = pl.read_parquet(file)
            file.unlink()
            if self.timed:
                if "timestamp" not in rows.columns:
                    rows = rows.with_columns(pl.lit(None, pl.String).alias("timestamp"))
                yield reject_rows(rows, "timestamp", rows[_FILE][0], "no timestamp, in data that has them")
            else:
                self._hold(rows.drop(LINE, _FILE))

    def buckets(self) -> Iterator[Bucket]:
        """Everything taken, cut by listener; every listener is in exactly one bucket."""
        for cut in self.cuts():
            yield cut.sorted()
            for file in cut.files:
                file.unlink()

    def cuts(self) -> Iterator[Cut]:
        """The same before it is sorted, which other processes can do; files stay until they are removed."""
        if not self._is_cut:
            # Few rows: the cuts of adopted spools are laid together again.
            files = [file for number in range(self._n_buckets) for file in self._files(number)]
            yield Cut(files, self._context, self._held)
            return
        self._spill()
        for number in range(self._n_buckets):
            if files := self._files(number):
                yield Cut(files, self._context)

    @property
    def _folders(self) -> list[Path]:
        return [*self._adopted, self._folder]

    def _files(self, number: int) -> list[Path]:
        """Files of one bucket in the order in which their rows were taken."""
        return [file for folder in self._folders for file in sorted((folder / str(number)).glob("*.parquet"))]

    def _note_context(self, types: Mapping[str, pl.DataType]) -> None:
        for name, dtype in types.items():
            same = self._context.setdefault(name, dtype) == dtype
            self._context[name] = dtype if same else pl.String()

    def _take(self, n_rows: int) -> None:
        self._n_taken += n_rows
        self._is_cut |= self._n_taken >= _HELD_ROWS

    def _hold(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        self._held.append(rows)
        self._n_held += rows.height
        self._take(rows.height)
        if self._n_held >= _HELD_ROWS:
            self._spill()

    def _spill(self) -> None:
        if not self._held:
            return
        rows = pl.concat(self._held, how="diagonal_relaxed")
        self._held, self._n_held = [], 0
        cut = (pl.col("user_id").hash() % self._n_buckets).cast(pl.Int32).alias(_BUCKET)
        for key, part in (
            rows.with_columns(cut).partition_by(_BUCKET, as_dict=True, include_key=False).items()
        ):
            self._write(part, str(key[0]))

    def _write(self, rows: pl.DataFrame, name: str) -> None:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        rows.write_parquet(folder / f"{self._n_files:08d}.parquet", compression="lz4", statistics=False)
        self._n_files += 1


def _sorted(events: pl.DataFrame) -> pl.DataFrame:
    """``events`` by listener, then time or position (unknown last), then as they were."""
    # Sorting by the place of each listener instead of by the text saves a third of the time.
    listeners = events.select(pl.col("user_id").unique().sort()).with_row_index("place")
    places = events.select("user_id").join(listeners, on="user_id", how="left", maintain_order="left")[
        "place"
    ]
    within = [pl.col(name) for name in ("timestamp", "position") if name in events.columns]
    return events.sort(pl.lit(places), *within, maintain_order=True, nulls_last=True)


def _merge_repeated(events: pl.DataFrame) -> pl.DataFrame:
    """``events``, sorted, without rows that repeat an earlier one in every column."""
    keys = [name for name in ("user_id", "timestamp", "position") if name in events.columns]
    # Repeated rows share listener and place in time, so only rows that share these with a neighbour
    # are compared in full.
    like_above = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in keys)
    above = events.select(like_above.alias("above") & (pl.int_range(pl.len()) > 0)).to_series()
    close = above | above.shift(-1, fill_value=False)
    if not close.any():
        return events
    first = events.filter(close).select(pl.struct(pl.all()).is_first_distinct()).to_series()
    return events.filter((~close).scatter(close.arg_true(), first))

"""What is in a Dataset: sizes, shape of the listening, content, and findings about its quality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.dataset import Dataset
from audotics.data.manifest import Counts
from audotics.data.schema import TRACKS

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
FEW_EVENTS = 5
"""Listeners with fewer events say little about their taste."""

MACHINE_PLAYS_PER_DAY = 800
"""More plays a day than 24 hours of two-minute tracks hold: a shop, a shared account or a script."""


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """The findings of `describe`.

    Args:
        name: The folder's name.
        fingerprint: Of the data.
        source: Format and file it was made from.
        counts: Accounting of the import per source table.
        rows: Rows per stored table.
        n_listeners: Listeners with events.
        n_heard_tracks: Tracks with events.
        n_tracks: Tracks with events or in the catalogue.
        n_pairs: Distinct listener-track pairs.
        time_range: First and last event; None without times.
        event_kinds: Rows per kind of event.
        events_per_listener: ``[n_listeners]``, ascending.
        events_per_track: ``[n_heard_tracks]``, ascending.
        events_per_day: Columns ``day``, ``events``; empty without times.
        content_coverage: Share of tracks that have each kind of content, those that none has left out.
        findings: What a person should know before training on it, one sentence each.
    """

    name: str
    fingerprint: str
    source: str
    counts: dict[str, Counts]
    rows: dict[str, int]
    n_listeners: int
    n_heard_tracks: int
    n_tracks: int
    n_pairs: int
    time_range: tuple[datetime, datetime] | None
    event_kinds: dict[str, int]
    events_per_listener: npt.NDArray[np.int64]
    events_per_track: npt.NDArray[np.int64]
    events_per_day: pl.DataFrame
    content_coverage: dict[str, float]
    findings: tuple[str, ...]

    @property
    def density(self) -> float:
        """Share of all listener-track pairs (tracks with events) that occur; 0 for an empty dataset."""
        return self.n_pairs / max(1, self.n_listeners * self.n_heard_tracks)

    @property
    def popularity_gini(self) -> float:
        """Inequality of events per heard track: 0 all equal, 1 a single track takes all."""
        return gini(self.events_per_track)

    def table(self) -> list[tuple[str, str]]:
        """Label and value of every figure, for a two-column table."""
        quantiles = ", ".join(f"{name} {value:,}" for name, value in self._listener_quantiles().items())
        lines = [
            ("made from", self.source),
            *((f"{name} rows", f"{rows:,}") for name, rows in self.rows.items()),
            ("listeners", f"{self.n_listeners:,}"),
            ("tracks with events", f"{self.n_heard_tracks:,} of {self.n_tracks:,}"),
            ("listener-track pairs", f"{self.n_pairs:,} (density {self.density:.3%})"),
            ("times", self._times()),
            ("kinds of event", ", ".join(f"{kind} {n:,}" for kind, n in self.event_kinds.items())),
            ("events per listener", quantiles),
            ("popularity Gini", f"{self.popularity_gini:.3f}"),
        ]
        coverage = ", ".join(f"{name} {share:.0%}" for name, share in self.content_coverage.items())
        return [*lines, ("tracks with content", coverage or "none")]

    def as_dict(self) -> dict[str, object]:
        """Everything but the per-listener and per-track arrays as plain values, for JSON."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "source": self.source,
            "counts": {name: counts.model_dump() for name, counts in self.counts.items()},
            "rows": self.rows,
            "n_listeners": self.n_listeners,
            "n_heard_tracks": self.n_heard_tracks,
            "n_tracks": self.n_tracks,
            "n_pairs": self.n_pairs,
            "density": self.density,
            "time_range": [at.isoformat() for at in self.time_range or ()],
            "event_kinds": self.event_kinds,
            "events_per_listener": self._listener_quantiles(),
            "popularity_gini": self.popularity_gini,
            "content_coverage": self.content_coverage,
            "findings": list(self.findings),
        }

    def _listener_quantiles(self) -> dict[str, int]:
        if not len(self.events_per_listener):
            return {}
        values = np.quantile(self.events_per_listener, QUANTILES, method="nearest")
        names = ["min", *(f"p{round(q * 100)}" for q in QUANTILES[1:-1]), "max"]
        return {name: int(value) for name, value in zip(names, values, strict=True)}

    def _times(self) -> str:
        if self.time_range is None:
            return "none"
        first, last = self.time_range
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d} ({(last - first) / timedelta(days=1):,.1f} days)"


def describe(dataset: Dataset) -> DatasetReport:
    """Measure a dataset in a few streaming passes; memory grows with listeners and tracks only."""
    events = dataset.events()
    per_pair = events.group_by("user_id", "track_id").agg(pl.len().cast(pl.Int64).alias("n"))
    pairs = per_pair.collect(engine="streaming")
    listeners = pairs.group_by("user_id").agg(pl.col("n").sum())
    heard = pairs.group_by("track_id").agg(pl.col("n").sum())
    tracks = dataset.tracks()
    kinds = events.group_by("event").len().sort("len", descending=True).collect(engine="streaming")
    missing = heard.join(tracks.select("track_id"), on="track_id", how="anti").height
    manifest = dataset.manifest
    return DatasetReport(
        name=dataset.path.name,
        fingerprint=manifest.fingerprint,
        source=manifest.source,
        counts=manifest.counts,
        rows=manifest.rows,
        n_listeners=listeners.height,
        n_heard_tracks=heard.height,
        n_tracks=tracks.height + missing,
        n_pairs=pairs.height,
        time_range=manifest.time_range,
        event_kinds=dict(kinds.iter_rows()),
        events_per_listener=listeners["n"].sort().to_numpy(),
        events_per_track=heard["n"].sort().to_numpy(),
        events_per_day=_per_day(events) if dataset.timed else _per_day(events.clear()),
        content_coverage=_coverage(tracks),
        findings=tuple(_findings(dataset, listeners, heard, tracks, missing)),
    )


def gini(counts: npt.NDArray[np.int64]) -> float:
    """Gini coefficient of non-negative counts ``[n]``: ``sum((2i - n - 1) x_i) / (n sum(x))``, x ascending.

    Source: Gini 1912, in the form of Damgaard and Weiner, Ecology 81(4), 2000. 0 for an empty array,
    0 when all are equal, towards 1 when one has it all.
    """
    total = counts.sum()
    if total == 0:
        return 0.0
    n = len(counts)
    place = np.arange(1, n + 1)
    return float(((2 * place - n - 1) * np.sort(counts)).sum() / (n * total))


def _per_day(events: pl.LazyFrame) -> pl.DataFrame:
    days = events.select(pl.col("timestamp").dt.date().alias("day")).group_by("day")
    return days.agg(pl.len().alias("events")).sort("day").collect(engine="streaming")


def _coverage(tracks: pl.DataFrame) -> dict[str, float]:
    if tracks.is_empty():
        return {}
    empty_list = [pl.col(name).list.len() == 0 for name in ("genres", "tags")]
    known = tracks.with_columns(
        pl.when(~empty).then(pl.col(name)) for name, empty in zip(("genres", "tags"), empty_list, strict=True)
    )
    content = [name for name in TRACKS if name != "track_id"]
    features = [name for name in tracks.columns if name not in TRACKS]
    shares = {name: 1 - known[name].null_count() / tracks.height for name in content}
    if features:
        some = known.select(pl.any_horizontal(pl.col(features).is_not_null()).mean()).item()
        shares[f"{len(features)} features"] = float(some)
    return {name: share for name, share in shares.items() if share > 0}


def _findings(
    dataset: Dataset, listeners: pl.DataFrame, heard: pl.DataFrame, tracks: pl.DataFrame, missing: int
) -> list[str]:
    """One sentence for everything that training or evaluation will suffer from."""
    n_events = int(listeners["n"].sum())
    few = listeners.filter(pl.col("n") < FEW_EVENTS).height
    once = heard.filter(pl.col("n") == 1).height
    n_cold = tracks.height - (heard.height - missing)
    found = [
        (
            not dataset.timed,
            "No times: only random splits are possible and nothing can learn what is recent.",
        ),
        (tracks.is_empty(), "No catalogue: tracks without events cannot be recommended."),
        (
            missing > 0 and not tracks.is_empty(),
            f"{missing:,} of {heard.height:,} heard tracks are not in the catalogue.",
        ),
        (n_cold > 0, f"{n_cold:,} tracks of the catalogue have no events: only content can recommend them."),
        (few > 0, f"{few:,} of {listeners.height:,} listeners have fewer than {FEW_EVENTS} events."),
        (once > 0, f"{once:,} of {heard.height:,} heard tracks have a single event."),
    ]
    sentences = [sentence for is_so, sentence in found if is_so]
    if n_events:
        largest = int(listeners["n"].max() or 0)  # type: ignore[arg-type]  # polars types max loosely
        if largest > 0.05 * n_events and listeners.height > 20:
            sentences.append(f"One listener has {largest / n_events:.0%} of all events.")
    if dataset.timed:
        sentences += _findings_of_times(dataset.events())
    refused = sum(counts.rejected for counts in dataset.manifest.counts.values())
    if refused:
        sentences.append(f"{refused:,} rows of the source were refused; rejects.parquet says why.")
    return sentences


def _findings_of_times(events: pl.LazyFrame) -> list[str]:
    midnight = events.select((pl.col("timestamp").dt.time() == pl.time(0, 0, 0)).mean())
    per_day = events.group_by("user_id", pl.col("timestamp").dt.date().alias("day")).len()
    machines = per_day.filter(pl.col("len") > MACHINE_PLAYS_PER_DAY).select(pl.col("user_id").n_unique())
    at_midnight = float(midnight.collect(engine="streaming").item() or 0)
    n_machines = int(machines.collect(engine="streaming").item())
    found = []
    if at_midnight > 0.5:
        found.append(f"{at_midnight:.0%} of the times are midnight: they are days, hours mean nothing.")
    if n_machines:
        found.append(
            f"{n_machines:,} listeners have a day with more than {MACHINE_PLAYS_PER_DAY} events, more than a "
            "person can hear."
        )
    return found

"""How often drift of a given size is found, and how often none is called drift.

    python scripts/measure_drift.py [--seeds 20] [--listeners 600] [--days 7] [--workers 1]

Each seed is a simulated service of its own: 28 days for training, then days of which a part is changed.
Beside the verdict stands what the plain rule says: an index above 0.1 (0.25) is a shift (an alarm).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.listening import BAND, KNOWN_LISTENER, Known
from audotics.data.listening_profile import profile_events
from audotics.journal.exposure_frames import COLUMNS
from audotics.monitoring.drift import PSI_ALARM, PSI_SHIFTED, drift_report
from audotics.monitoring.reference import Reference
from audotics.monitoring.report import DriftReport
from audotics.simulation import SimulationConfig
from audotics.simulation.service import simulate_tables

TRAINED_DAYS = 28
SHARES = (0.05, 0.1, 0.2, 0.4)
STARTED_ON = datetime(2026, 4, 6, tzinfo=UTC)

Plant = Callable[[pl.DataFrame, pl.DataFrame, float, int], pl.DataFrame]
Row = dict[str, str | float | bool]


def listeners(share: float, seed: int) -> pl.Expr:
    """Whether a row is of one of the chosen listeners."""
    return pl.col("user_id").hash(seed) % 10_000 < 10_000 * share


def in_cars(events: pl.DataFrame, tracks: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Some listeners hear everything in the car."""
    return events.with_columns(device=pl.when(listeners(share, seed)).then(pl.lit("car")).otherwise("device"))


def elsewhere(events: pl.DataFrame, tracks: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Some listeners are in a country that training did not know."""
    return events.with_columns(
        country=pl.when(listeners(share, seed)).then(pl.lit("ZZ")).otherwise("country")
    )


def strangers(events: pl.DataFrame, tracks: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Some listeners are new."""
    renamed = "new-" + pl.col("user_id")
    return events.with_columns(user_id=pl.when(listeners(share, seed)).then(renamed).otherwise("user_id"))


def one_genre(events: pl.DataFrame, tracks: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Some events are of jazz, whoever listens."""
    jazz = tracks.filter(pl.col("genres").list.first() == "jazz")["track_id"]
    drawn = jazz.sample(events.height, with_replacement=True, seed=seed)
    return events.with_columns(track_id=pl.when(_some(share)).then(drawn).otherwise("track_id"))


def new_tracks(events: pl.DataFrame, tracks: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Some events are of tracks that nobody had played."""
    renamed = "new-" + pl.col("track_id")
    return events.with_columns(track_id=pl.when(_some(share)).then(renamed).otherwise("track_id"))


def more_skips(events: pl.DataFrame, tracks: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Some of the other events are skips."""
    return events.with_columns(event=pl.when(_some(share)).then(pl.lit("skip")).otherwise("event"))


PLANTS: dict[str, tuple[Plant, str]] = {
    "listeners moved to cars": (in_cars, "context:device"),
    "listeners in a new country": (elsewhere, "context:country"),
    "listeners who are new": (strangers, KNOWN_LISTENER),
    "events of one genre": (one_genre, "track:genre"),
    "events of unheard tracks": (new_tracks, BAND),
    "events turned to skips": (more_skips, "listening:event"),
}
"""What is planted, and the quantity that must show it."""


def measured(seed: int, n_listeners: int, n_days: int) -> list[Row]:
    """One service: unchanged, then with everything planted in every size."""
    made = simulate_tables(
        SimulationConfig(
            n_users=n_listeners,
            n_tracks=3000,
            n_days=TRAINED_DAYS + n_days,
            seed=seed,
            started_on=STARTED_ON,
            abrupt_drift_share=0,
            gradual_drift_share=0,
        )
    )
    earlier = pl.col("timestamp") < STARTED_ON + timedelta(days=TRAINED_DAYS)
    before, after = made.events.filter(earlier), made.events.filter(~earlier)
    reference = _reference(before, made.tracks)
    nothing = pl.DataFrame(schema=COLUMNS)
    rows = [_row("nothing", 0.0, "", drift_report(reference, after, nothing))]
    few = after.filter(listeners(0.1, seed))
    rows.append(_row("nothing, a tenth of the listeners", 0.0, "", drift_report(reference, few, nothing)))
    for name, (plant, quantity) in PLANTS.items():
        for share in SHARES:
            changed = plant(after, made.tracks, share, seed)
            rows.append(_row(name, share, quantity, drift_report(reference, changed, nothing)))
    return rows


def _reference(before: pl.DataFrame, tracks: pl.DataFrame) -> Reference:
    played = before.filter(pl.col("event").is_in(POSITIVE_EVENTS))
    time = before["timestamp"]
    known = Known.of(before["user_id"], played.group_by("track_id").agg(n=pl.col("user_id").n_unique()))
    profile = profile_events(before.lazy(), tracks, time.min(), time.max())  # type: ignore[arg-type]
    return Reference("simulated", profile, tracks, known)


def _row(planted: str, share: float, quantity: str, report: DriftReport) -> Row:
    """What the report says of the quantity; of all quantities where nothing is planted."""
    judged = [one for one in report.quantities if quantity in ("", one.name)]
    level = max(one.verdict.level for one in judged)
    index = max(one.psi or 0.0 for one in judged)
    return {
        "planted": planted,
        "share": share,
        "shifted": level >= 1,
        "alarm": level == 2,
        "plain shifted": index >= PSI_SHIFTED,
        "plain alarm": index >= PSI_ALARM,
        "index": index,
    }


def _some(share: float) -> pl.Expr:
    return pl.int_range(pl.len()) % 1000 < 1000 * share


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--listeners", type=int, default=600)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    one = partial(measured, n_listeners=asked.listeners, n_days=asked.days)
    with ProcessPoolExecutor(asked.workers) as pool:
        rows = [row for found in pool.map(one, range(asked.seeds)) for row in found]
    print(f"{asked.seeds} services of {asked.listeners} listeners, {asked.days} days after training\n")
    print("| planted | share | index | shifted | alarm | plain rule: shifted | plain rule: alarm |")
    print("|---|---|---|---|---|---|---|")
    table = pl.DataFrame(rows).group_by("planted", "share", maintain_order=True).mean()
    for row in table.iter_rows(named=True):
        share = f"{row['share']:.0%}" if row["share"] else "-"
        told = (f"{row[name]:.0%}" for name in ("shifted", "alarm", "plain shifted", "plain alarm"))
        print(f"| {row['planted']} | {share} | {row['index']:.3f} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()

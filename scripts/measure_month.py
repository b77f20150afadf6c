"""Live through a simulated month twice, with retraining and without, over HTTP; print and plot the quality.

    .venv/bin/python scripts/measure_month.py [--days 30] [--every 1] [--out FOLDER]

A service is simulated whose listeners drift and whose catalogue grows. Its first weeks train a champion,
which two real servers then serve. Every day the releases are put, a sample of the listeners who will play
something is asked for recommendations, and then the day's events are posted. One of the two is retrained by
`audotics retrain` (every --every days), the other never; both lay events and tracks over their version at
once, so what is compared is what retraining adds to that. FOLDER gets month.json and month.png.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

from audotics.client import Client, Event  # noqa: E402
from audotics.data.corpus import POSITIVE_EVENTS  # noqa: E402
from audotics.data.dataset import Dataset  # noqa: E402
from audotics.data.writer import DatasetWriter  # noqa: E402
from audotics.evaluation.metrics import hit_rate, ndcg  # noqa: E402
from audotics.evaluation.plots import ACCENT, OTHERS, STYLE  # noqa: E402
from audotics.registry.store import Registry  # noqa: E402
from audotics.simulation.config import SimulationConfig  # noqa: E402
from audotics.simulation.service import SimulatedTables, simulate_tables  # noqa: E402
from audotics.telemetry import Progress  # noqa: E402
from audotics.training.config import TrainConfig  # noqa: E402
from audotics.training.pipeline import TrainingPipeline  # noqa: E402
from audotics.training.publishing import publish  # noqa: E402
from contract.audotics_server import AudoticsServer  # noqa: E402

K = 20
_MEASURED = ("ndcg", "hit_rate", "affinity", "releases")
WITH, WITHOUT = "retrained", "never retrained"
# Light: the whole month is to fit into a quarter of an hour on one core.
TRAINING = TrainConfig(
    retrievers=("popularity", "content", "item-knn", "ials", "transitions"),
    settings={"ials": {"rank": 64}},
    rankers=("single", "mean", "logistic", "linear"),
    tune_trials=2,
    tune_seconds=20,
    per_retriever=100,
)
# Some hundred listeners make wide intervals: the margin decides what is let through (see docs/retraining.md).
LIMITS = "[gates]\nquality_margin = {margin}\nlatency_slack_ms = 50\n"
_EVENT = ("user_id", "track_id", "event", "timestamp", "ms_played", "session_id", "device", "country")
_DOCUMENT = ("title", "artist_id", "artist", "album_id", "album", "duration_ms", "explicit", "genres", "tags")


@dataclass
class World:
    """The simulated service, day by day.

    Args:
        tables: Everything that happens.
        started_on: The first midnight.
        history: Days before the month.
    """

    tables: SimulatedTables
    started_on: datetime
    history: int

    def midnight(self, day: int) -> datetime:
        """When a day of the month begins; before it the days are negative."""
        return self.started_on + timedelta(days=self.history + day)

    def events(self, first: int, last: int) -> pl.DataFrame:
        """Events of the days ``first <= day < last``."""
        at = pl.col("timestamp")
        return self.tables.events.filter((at >= self.midnight(first)) & (at < self.midnight(last)))

    def released(self, first: int, last: int) -> pl.DataFrame:
        """Tracks released on those days; all earlier ones where ``first`` is before the history."""
        day = pl.col("released")
        return self.tables.tracks.filter(
            (day >= self.midnight(first).date()) & (day < self.midnight(last).date())
        )


@dataclass
class Arm:
    """A server and its folder.

    Args:
        name: Of the arm.
        folder: With ``models``.
        retrained: What became of each retraining.
        days: What was measured on each day.
    """

    name: str
    folder: Path
    retrained: list[dict[str, Any]] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Patient: the machine also trains, and an answer of a lower rung would measure that.
        self.server = AudoticsServer(self.folder, self.folder / "models", deadline_ms=5_000)
        self.server.start()
        self.client = Client(self.server.url, timeout_s=30)

    def live(self, events: pl.DataFrame) -> None:
        """Post what happened."""
        columns = (
            "user_id",
            "track_id",
            "event",
            "timestamp",
            "ms_played",
            "session_id",
            "device",
            "country",
        )
        sent = [Event(**row) for row in events.select(columns).iter_rows(named=True)]
        taken = self.client.send_events(sent)
        if taken.errors:
            raise SystemExit(f"events were refused: {taken.errors[:3]}")

    def release(self, tracks: pl.DataFrame) -> None:
        """Put new tracks."""
        for row in tracks.iter_rows(named=True):
            document = {name: row[name] for name in _DOCUMENT if row[name] is not None}
            self.client.put_track(row["track_id"], released=row["released"].isoformat(), **document)

    def ask(self, user_ids: Sequence[str]) -> list[tuple[str, ...]]:
        """Recommendations of all of them."""
        answers = [self.client.recommendations(user, k=K, explain=False) for user in user_ids]
        lower = sum(answer.rung != "personalised" for answer in answers)
        if lower > len(answers) / 2:
            raise SystemExit(f"{lower} of {len(answers)} answers are not personalised")
        return [answer.track_ids for answer in answers]

    def retrain(self, day: int, data: Path) -> None:
        """Retrain as cron would, and wait until the server serves the outcome."""
        began = time.monotonic()
        database = self.server.settings["database_url"]
        command = [
            *(str(Path(sys.executable).with_name("audotics")), "retrain", "--json", "--quiet"),
            *("--models", str(self.folder / "models"), "--data", str(data), "--database", str(database)),
            *("--limits", str(self.folder / "limits.toml")),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode not in {0, 3} or not done.stdout:
            raise SystemExit(done.stderr)
        report = json.loads(done.stdout)
        kept = {name: report[name] for name in ("outcome", "version", "reasons")}
        self.retrained.append({"day": day, "seconds": time.monotonic() - began, **kept})
        while self.server.get("/v1/models")[1]["serving"] != Registry(self.folder / "models").alias(
            "champion"
        ):
            time.sleep(0.1)


def main() -> int:
    """Live through the month, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--listeners", type=int, default=400)
    parser.add_argument("--tracks", type=int, default=1500)
    parser.add_argument("--per-day", type=int, default=10, help="events of a listener on a day, on average")
    parser.add_argument("--history", type=int, default=30, help="days that train the first champion")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--every", type=int, default=2, help="days between two retrainings")
    parser.add_argument("--asked", type=int, default=200, help="listeners asked each day, at most")
    parser.add_argument("--margin", type=float, default=0.2, help="quality_margin of the gates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("month"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        arms = live_through(Path(name), given)
    result = {
        "settings": {key: str(value) for key, value in vars(given).items()},
        "seconds": round(time.monotonic() - began),
        "days": {arm.name: arm.days for arm in arms},
        "retrainings": arms[0].retrained,
    }
    (given.out / "month.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    plot(arms, given.out / "month.png")
    print("\n".join(table(arms, result["seconds"])))
    return 0


def live_through(folder: Path, given: argparse.Namespace) -> tuple[Arm, Arm]:
    """The month, day by day; the arm that is retrained first."""
    world = simulated(given)
    data = folder / "data"
    with DatasetWriter(data, source="month") as writer:
        writer.add_events(world.events(-world.history, 0))
        writer.set_table("tracks", world.released(-100_000, 0))
        writer.set_table("users", world.tables.users)
        dataset = writer.commit()
    arms = with_servers(folder, dataset, given.margin)
    heard = world.events(-world.history, 0).select("user_id", "track_id").unique()
    try:
        for day in range(given.days):
            today = world.events(day, day + 1)
            asked, answers = questions(today, heard, given.asked, given.seed + day)
            for arm in arms:
                arm.release(world.released(day, day + 1))
                arm.days.append({"day": day, **measured(world, day, asked, arm.ask(asked), answers)})
                arm.live(today)
            heard = pl.concat([heard, today.select("user_id", "track_id")]).unique()
            if (day + 1) % given.every == 0:
                arms[0].retrain(day, data)
            print(f"day {day}", *(f"{arm.days[-1]['ndcg']:.4f}" for arm in arms), file=sys.stderr, flush=True)
    finally:
        for arm in arms:
            arm.client.close()
            arm.server.stop()
    return arms


def simulated(given: argparse.Namespace) -> World:
    """A service whose month ends this midnight."""
    n_days = given.history + given.days
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    config = SimulationConfig(
        n_users=given.listeners,
        n_tracks=given.tracks,
        n_days=n_days,
        seed=given.seed,
        started_on=midnight - timedelta(days=n_days),
        abrupt_drift_share=0.5,
        gradual_drift_share=0.5,
        new_release_share=0.3,
        n_events=given.listeners * n_days * given.per_day,
    )
    return World(simulate_tables(config), config.started_on, given.history)


def with_servers(folder: Path, dataset: Dataset, margin: float) -> tuple[Arm, Arm]:
    """One champion, two servers."""
    models = folder / "models"
    publish(TrainingPipeline(TRAINING).train(dataset), dataset, Registry(models), "first", Progress())
    arms = []
    for name in (WITH, WITHOUT):
        place = folder / name.replace(" ", "-")
        shutil.copytree(models, place / "models")
        (place / "limits.toml").write_text(LIMITS.format(margin=margin), "utf-8")
        arms.append(Arm(name, place))
    return arms[0], arms[1]


def questions(
    today: pl.DataFrame, heard: pl.DataFrame, most: int, seed: int
) -> tuple[list[str], dict[str, set[str]]]:
    """Some of the listeners who play something new today, and what it is."""
    played = today.filter(pl.col("event").is_in(POSITIVE_EVENTS)).select("user_id", "track_id").unique()
    fresh = played.join(heard, on=["user_id", "track_id"], how="anti")
    by_listener = fresh.group_by("user_id").agg("track_id").sort("user_id")
    chosen = by_listener.sample(min(most, by_listener.height), seed=seed).sort("user_id")
    answers = {user: set(tracks) for user, tracks in chosen.iter_rows()}
    return list(answers), answers


def measured(
    world: World,
    day: int,
    asked: Sequence[str],
    lists: Sequence[Sequence[str]],
    answers: dict[str, set[str]],
) -> dict[str, float]:
    """Quality by what was played next, and by the simulator's truth."""
    hits = np.zeros((len(asked), K), np.bool_)
    for row, (user, tracks) in enumerate(zip(asked, lists, strict=True)):
        hits[row, : len(tracks)] = [track in answers[user] for track in tracks]
    n_test = np.array([len(answers[user]) for user in asked])
    users = [user for user, tracks in zip(asked, lists, strict=True) for _ in tracks]
    shown = [track for tracks in lists for track in tracks]
    affinity = world.tables.truth.affinity(users, shown, world.midnight(day))
    new = set(world.released(0, day + 1)["track_id"])
    return {
        "listeners": len(asked),
        "ndcg": float(ndcg(hits, n_test, K).mean()),
        "hit_rate": float(hit_rate(hits, n_test, K).mean()),
        "affinity": float(affinity.mean()),
        "releases": sum(track in new for track in shown) / len(shown),
    }


def table(arms: Sequence[Arm], seconds: int) -> list[str]:
    """Thirds of the month by arm, then every retraining."""
    lines = ["| days | arm | NDCG@20 | hit rate@20 | true affinity | places for the month's releases |"]
    lines.append("|---|---|---|---|---|---|")
    for part in np.array_split(np.arange(len(arms[0].days)), 3):
        for arm in arms:
            rows = [arm.days[day] for day in part]
            means = [
                np.mean([row[key] for row in rows]) for key in ("ndcg", "hit_rate", "affinity", "releases")
            ]
            figures = f"{means[0]:.4f} | {means[1]:.3f} | {means[2]:.3f} | {means[3]:.1%}"
            lines.append(f"| {part[0] + 1} to {part[-1] + 1} | {arm.name} | {figures} |")
    lines += ["", "| after day | outcome | seconds | reasons |", "|---|---|---|---|"]
    for one in arms[0].retrained:
        reasons = "; ".join(one["reasons"])
        lines.append(f"| {one['day'] + 1} | {one['outcome']} | {one['seconds']:.0f} | {reasons} |")
    return [*lines, "", f"{seconds} seconds in all"]


def plot(arms: Sequence[Arm], path: Path) -> None:
    """Quality by day, smoothed over three, with the promotions and refusals."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(9, 6.4))
        for place, (key, label) in enumerate({"ndcg": "NDCG@20", "affinity": "true affinity"}.items()):
            axes = figure.add_subplot(2, 1, place + 1)
            for arm, colour in zip(arms, (ACCENT, OTHERS[0]), strict=True):
                days = np.array([row["day"] + 1 for row in arm.days])
                values = np.array([row[key] for row in arm.days])
                axes.plot(days, values, ".", color=colour, alpha=0.4)
                weights = np.convolve(np.ones(len(values)), np.ones(3), "same")
                axes.plot(
                    days, np.convolve(values, np.ones(3), "same") / weights, color=colour, label=arm.name
                )
            for one in arms[0].retrained:
                if one["outcome"] in {"promoted", "refused"}:
                    colour = ACCENT if one["outcome"] == "promoted" else OTHERS[3]
                    axes.axvline(one["day"] + 1.5, color=colour, alpha=0.25, linestyle=":")
            axes.set(ylabel=label, xlabel="day of the month" if place else "")
            axes.legend(frameon=False)
        figure.suptitle("A month with drift and releases; dotted: promoted (green), refused (red)")
        figure.savefig(path, dpi=120)


def smoothed(values: np.ndarray) -> np.ndarray:
    """Mean over a day and its neighbours."""
    width = np.ones(3)
    return np.convolve(values, width, "same") / np.convolve(np.ones(len(values)), width, "same")


if __name__ == "__main__":
    sys.exit(main())

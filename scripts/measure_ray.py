"""Compare what a Ray cluster on this machine does with what one process does, and print it as a table.

    python scripts/measure_ray.py import [--millions 10] [--shards 20] [--workers 2]
    python scripts/measure_ray.py train  [--events 100000] [--steps 300] [--epochs 8] [--plot curves.png]
    python scripts/measure_ray.py serve  [--per-second 50] [--seconds 20]
    python scripts/measure_ray.py batch  [--events 1000000]

import: the same Dataset (fingerprints), time, peak memory of each process. train: the loss curves of one
process, of the workers, and of workers of which one is killed midway. serve: a replica is killed under a
steady load, beside the plain server; with and without a client that tries again. batch: the same file.
Each takes --json FILE. The exit code is 1 where results differ or a retrying client failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
# As in workers, before numpy is imported: with other threads it rounds otherwise, and the linear start of the
# deep ranker may take another of two penalties that are almost equally good.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from contract.ray_processes import TRAINER, peaks_of_workers, ray_processes  # noqa: E402

Row = dict[str, Any]


def main() -> int:
    """Measure one of the four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("import", "train", "serve", "batch"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--millions", type=float, default=10, help="import: events")
    parser.add_argument("--shards", type=int, default=20, help="import: files they lie in")
    parser.add_argument("--events", type=int, help="train, batch: events of the simulated service")
    parser.add_argument("--steps", type=int, default=300, help="train: of the sequence encoder")
    parser.add_argument("--epochs", type=int, default=8, help="train: of the deep ranker")
    parser.add_argument("--per-second", type=float, default=50, help="serve: requests")
    parser.add_argument("--seconds", type=float, default=20, help="serve: of load")
    parser.add_argument("--plot", type=Path, help="train: PNG of the curves")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    measures = {"import": measure_import, "train": measure_train, "serve": measure_serve}
    with tempfile.TemporaryDirectory(prefix="audotics-ray-") as folder:
        rows, good = {**measures, "batch": measure_batch}[given.what](given, Path(folder))
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return int(not good)


def measure_import(given: argparse.Namespace, folder: Path) -> tuple[list[Row], bool]:
    """Shards of a simulated log, read by workers, then by one process."""
    from audotics.data import Dataset
    from audotics.simulation import SimulationConfig, simulate

    n_events = int(given.millions * 1e6)
    sizes = {"n_users": max(100, n_events // 200), "n_tracks": 50_000, "n_days": 365}
    simulate(SimulationConfig(**sizes, n_events=n_events), folder / "simulated")
    simulated = Dataset.open(folder / "simulated")
    (folder / "log" / "events").mkdir(parents=True)
    simulated.tracks().write_parquet(folder / "log" / "tracks.parquet")
    # By time, as a log is written: every shard knows most listeners.
    events = simulated.events().sort("timestamp", "user_id").collect()
    per_shard = -(-events.height // given.shards)
    for number in range(given.shards):
        shard = events.slice(number * per_shard, per_shard)
        shard.write_parquet(folder / "log" / "events" / f"{number:05d}.parquet")
    del events
    rows, fingerprints = [], set()
    for name, workers in (("one process", None), (f"{given.workers} Ray workers", given.workers)):
        code = "import sys; from measure_ray import import_once; import_once(*sys.argv[1:])"
        out = folder / name.replace(" ", "-")
        found = child(code, str(folder / "log"), str(out), str(workers or 0))
        fingerprints.add(found.pop("fingerprint"))
        rows.append({"import": name, "events": n_events, **found})
    return rows, len(fingerprints) == 1


def import_once(source: str, out: str, n_workers: str) -> None:
    """In a process of its own: import, and print what it cost."""
    from audotics.data import import_dataset
    from audotics.distributed.workers import RayWorkers
    from audotics.telemetry.memory import peak_memory_mib

    started = time.perf_counter()
    workers = RayWorkers(int(n_workers)) if int(n_workers) else None
    ready = time.perf_counter()
    with peaks_of_workers() as peaks:
        report = import_dataset(source, out=out, workers=workers)
    print(
        json.dumps(
            {
                "seconds": round(time.perf_counter() - ready, 1),
                "start_of_ray_s": round(ready - started, 1),
                "peak_mib": round(peak_memory_mib()),
                "peak_mib_of_workers": sorted((round(peak) for peak in peaks.values()), reverse=True)[:8],
                "fingerprint": report.dataset.manifest.fingerprint,
            }
        )
    )


def measure_train(given: argparse.Namespace, folder: Path) -> tuple[list[Row], bool]:
    """The same trainings in one process, by workers, and by workers of which one is killed."""
    import numpy as np
    from ray_training_jobs import jobs

    from audotics.checkpoints import Checkpoints
    from audotics.distributed.training import DeepJob, RayLearners
    from audotics.replicas import Replicas

    rows: list[Row] = []
    curves: dict[str, dict[str, list[float]]] = {}
    killed: list[int] = []
    learners = RayLearners(given.workers, folder / "runs")
    for name, job in jobs(folder, given.events or 100_000, given.steps, given.epochs).items():
        runs: dict[str, Callable[[], Any]] = {
            "one process": lambda job=job, name=name: job.run(Replicas(), Checkpoints(folder / name)),
            f"{given.workers} workers": lambda job=job: learners.run(job),
            "one of them killed": lambda job=job: _killed_midway(learners, job, folder / "runs", killed),
        }
        for run, work in runs.items():
            killed.clear()
            started = time.perf_counter()
            learned = work()
            seconds = time.perf_counter() - started
            loss, quality = (
                (learned["loss"], learned["validation_ndcg"])
                if isinstance(job, DeepJob)
                else learned["looks"][1:]
            )
            curves.setdefault(name, {})[run] = loss.tolist()
            first = np.array(curves[name]["one process"])
            n = min(len(loss), len(first))
            rows.append(
                {
                    "training": f"{name}, {run}",
                    "seconds": round(seconds, 1),
                    "killed": len(killed),
                    "passes": len(loss),
                    "first_loss": round(float(loss[0]), 4),
                    "last_loss": round(float(loss[-1]), 4),
                    "largest_difference": round(float(np.abs(loss[:n] / first[:n] - 1).max()), 4),
                    "best_quality": round(float(np.max(quality)), 4),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    if given.plot:
        plot(curves, given.plot)
    good = all(row["largest_difference"] < 0.05 for row in rows)
    return rows, good and all(row["killed"] for row in rows if "killed" in row["training"])


def _killed_midway(learners: Any, job: Any, runs: Path, killed: list[int]) -> Any:
    """Kill a worker once the training has left its second checkpoint, and note whom."""
    over = threading.Event()

    def kill() -> None:
        seen = set()
        while not over.is_set() and not killed:
            for path in runs.glob("training-*/checkpoints/state.npz"):
                seen.add(path.stat().st_mtime_ns)
            if len(seen) > 1:
                killed.append(ray_processes(TRAINER)[-1])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        return learners.run(job)
    finally:
        over.set()
        killer.join()


def measure_serve(given: argparse.Namespace, folder: Path) -> tuple[list[Row], bool]:
    """A replica, and a worker of the plain server, killed in the middle of a steady load."""
    from contract.audotics_server import AudoticsServer
    from contract.ray_server import RayServer
    from contract.small_version import publish_small

    publish_small(folder / "models")
    rows = []
    for name in ("plain", "ray"):
        (folder / name).mkdir()
        server: Any = (
            RayServer(folder / name, folder / "models", given.workers)
            if name == "ray"
            else AudoticsServer(folder / name, folder / "models", workers=given.workers)
        )
        started = time.perf_counter()
        server.start()
        start_s = round(time.perf_counter() - started, 1)
        find = server.replicas if name == "ray" else lambda server=server: server.workers
        try:
            for kills in (False, True):
                row = _loaded(server, given, find if kills else None)
                rows.append({"server": name + (", one killed" if kills else ""), "start_s": start_s, **row})
        finally:
            server.stop()
    return rows, all(row["failed_with_retries"] == 0 for row in rows)


def _loaded(server: Any, given: argparse.Namespace, find: Callable[[], list[int]] | None) -> Row:
    from audotics.client import Client
    from contract.load import under_load

    with under_load(server.port, given.per_second) as load, Client(server.url) as client:
        time.sleep(2)
        load.forget()
        failed = asked = 0
        began, killed = time.monotonic(), find is None
        while time.monotonic() < began + given.seconds:
            if find is not None and not killed and time.monotonic() > began + given.seconds / 3:
                os.kill(find()[0], signal.SIGKILL)
                killed = True
            asked += 1
            try:
                client.recommendations(f"u{asked % 90:03d}", k=10)
            except Exception as error:
                print(f"a patient client failed: {error!r}", file=sys.stderr)
                failed += 1
            time.sleep(0.02)
        outcome = load.stop()
    return {
        "requests": outcome.total,
        "failed": outcome.failed,
        "statuses": dict(outcome.statuses),
        "requests_with_retries": asked,
        "failed_with_retries": failed,
        "p50_ms": round(outcome.quantile_ms(0.5), 1),
        "p99_ms": round(outcome.quantile_ms(0.99), 1),
    }


def measure_batch(given: argparse.Namespace, folder: Path) -> tuple[list[Row], bool]:
    """Lists of all listeners of a simulated service, by one process and by workers."""
    n_events = given.events or 1_000_000
    users = str(max(500, n_events // 50))
    options = ["--users", users, "--tracks", "10000", "--days", "60", "--events", str(n_events)]
    audotics("simulate", "--out", str(folder / "dataset"), *options)
    quick = ['rankers=["mean"]', "tune_trials=0", 'retrievers=["popularity", "ials", "item-knn"]']
    settings = [part for one in quick for part in ("--set", one)]
    audotics("train", str(folder / "dataset"), "--models", str(folder / "models"), "--quiet", *settings)
    rows, files = [], set()
    for name, engine in (
        ("one process", []),
        (f"{given.workers} Ray workers", ["--engine", "ray", "--workers", str(given.workers)]),
    ):
        out = folder / f"{len(rows)}.parquet"
        started = time.perf_counter()
        with peaks_of_workers() as peaks:
            audotics(
                "recommend",
                "--all",
                "--models",
                str(folder / "models"),
                "--out",
                str(out),
                "--quiet",
                *engine,
            )
        files.add(out.read_bytes())
        rows.append(
            {
                "batch": name,
                "listeners": int(users),
                "seconds": round(time.perf_counter() - started, 1),
                "peak_mib_of_workers": sorted((round(peak) for peak in peaks.values()), reverse=True)[:8],
            }
        )
    return rows, len(files) == 1


def audotics(*arguments: str) -> None:
    """Run the command line."""
    import subprocess

    program = Path(sys.executable).with_name("audotics")
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def child(code: str, *arguments: str) -> Row:
    """What a process of its own prints as JSON."""
    import subprocess

    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def plot(curves: dict[str, dict[str, list[float]]], path: Path) -> None:
    """The loss curves of each model on top of each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (name, runs) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        for (run, losses), style in zip(runs.items(), ("-", "--", ":"), strict=True):
            axes.plot(range(1, len(losses) + 1), losses, style, label=run)
        axes.set(title=name, xlabel="pass", ylabel="training loss")
        axes.legend()
    figure.savefig(path, dpi=120)


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())

"""Swap versions under a steady load against a real server process, and print what requests noticed.

    python scripts/measure_swap.py [--swaps 20] [--per-second 200] [--uncached 0.5] [--models MODELS]

Requests are due at fixed times, whatever became of the earlier ones (an open loop). Half of them can be
answered from the cache, the others never. Without --models two small versions are made; with it the two
newest versions of the folder serve in turn, under aliases of our own. Every second swap is a promotion,
after which the new version is on probation, the others are rollbacks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from audotics.domain import Context, Query  # noqa: E402
from audotics.recommender import bundle  # noqa: E402
from audotics.registry import Registry  # noqa: E402
from audotics.registry.names import CHAMPION  # noqa: E402
from contract.audotics_server import AudoticsServer  # noqa: E402
from contract.load import Load, Outcome, Say, under_load  # noqa: E402
from contract.small_version import publish_small  # noqa: E402

K = 10
LISTENERS = 200
SETTLE_S = 1.0
PATIENCE_S = 60.0


def main() -> int:
    """Measure and print; 1 where a request failed or mixed versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--per-second", type=float, default=200)
    parser.add_argument("--uncached", type=float, default=0.5, help="share of requests that no cache answers")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between a swap and the next one")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--models", type=Path, help="folder with two versions or more")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(given, Path(folder))
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return int(any(row["failed"] or row["mixed"] for row in rows))


def measured(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """The same load without swaps and with them."""
    registry = small_versions(folder) if given.models is None else borrowed(given.models, folder)
    first, second = registry.versions()[-2:]
    registry.set_alias(CHAMPION, first)
    listeners, expected = answers_of(registry, (first, second))
    say = requests(listeners, given.uncached)
    server = AudoticsServer(folder, registry.models_dir, deadline_ms=1000, workers=given.workers)
    server.start()
    try:
        with under_load(server.port, given.per_second, say):
            time.sleep(2)  # caches and code are warm
        seconds = given.swaps * (given.pause + SETTLE_S) / 2
        quiet = Watcher(listeners, expected)
        with under_load(server.port, given.per_second, say, quiet.look) as load:
            time.sleep(max(3.0, min(30.0, seconds)))
        rows = [row_of("no swap", load, quiet, [])]
        watcher, swaps = Watcher(listeners, expected), []
        with under_load(server.port, given.per_second, say, watcher.look) as load:
            for number in range(given.swaps):
                swaps.append(swap(server, registry, (second, first)[number % 2], back=number % 2 == 1))
                time.sleep(given.pause)
        rows.append(row_of(f"{given.swaps} swaps", load, watcher, swaps))
        print(f"probation at the end: {server.get('/v1/models')[1].get('probation')}", file=sys.stderr)
    finally:
        server.stop()
    return rows


def small_versions(folder: Path) -> Registry:
    """Two small versions of the planted world."""
    for seed in (0, 1):
        publish_small(folder / "models", seed=seed)
    return Registry(folder / "models")


def borrowed(models: Path, folder: Path) -> Registry:
    """The versions of a folder under aliases of our own."""
    (folder / "models").mkdir()
    (folder / "models" / "versions").symlink_to((models / "versions").resolve())
    return Registry(folder / "models")


def answers_of(registry: Registry, versions: tuple[str, str]) -> tuple[list[str], dict[str, list[Any]]]:
    """Listeners whom both versions know, and what each version answers them."""
    recommenders = [bundle.load(registry.folder(version), version) for version in versions]
    known = [user for user in recommenders[0].users.ids if user in recommenders[1].users]
    listeners = known[:: max(1, len(known) // LISTENERS)][:LISTENERS]
    at = Context(at=datetime.now(UTC))
    queries = [Query(user_id=user, k=K, context=at) for user in listeners]
    slates = (recommender.recommend(queries) for recommender in recommenders)
    return listeners, {
        version: [slate.track_ids for slate in told] for version, told in zip(versions, slates, strict=True)
    }


def requests(listeners: list[str], uncached: float) -> Say:
    """Listeners in turn. A track that nobody knows is excluded where no cache shall answer: same tracks."""

    def say(number: int) -> tuple[str, str, bytes]:
        path = f"/v1/users/{listeners[number % len(listeners)]}/recommendations?k={K}"
        turn, share = number // len(listeners), (number * 0.618034) % 1
        return "GET", path + (f"&exclude=none-{turn}-{number}" if share < uncached else ""), b""

    return say


@dataclass
class Watcher:
    """Looks at each answer: whether it is wholly that of the version it names, and how long none came."""

    listeners: list[str]
    expected: dict[str, list[Any]]
    last_at: float = 0.0
    longest_gap_s: float = 0.0
    other_lists: int = field(default=0)

    def look(self, number: int, said: dict[str, Any]) -> str:
        """What is wrong with an answer."""
        now = time.perf_counter()
        if self.last_at:
            self.longest_gap_s = max(self.longest_gap_s, now - self.last_at)
        self.last_at = now
        if said["rung"] != "personalised":
            return ""
        shown = tuple(track["track_id"] for track in said["tracks"])
        place = number % len(self.listeners)
        if shown == self.expected[said["model_version"]][place]:
            return ""
        others = [version for version in self.expected if version != said["model_version"]]
        if any(shown == self.expected[version][place] for version in others):
            return f"{said['user_id']}: the list of another version"
        self.other_lists += 1  # an hour or a rule of chance changed it: no version's list as computed here
        return ""


def swap(server: AudoticsServer, registry: Registry, version: str, *, back: bool) -> float:
    """Move the alias; seconds until the server answers with the version."""
    started = time.perf_counter()
    if back:
        registry.rollback(CHAMPION)
    else:
        registry.set_alias(CHAMPION, version)
    while server.get("/health/ready")[1].get("model_version") != version:
        if time.perf_counter() - started > PATIENCE_S:
            raise SystemExit(f"the server does not follow: {server.get('/health/ready')}")
        time.sleep(0.05)
    return time.perf_counter() - started


def row_of(name: str, load: Load, watcher: Watcher, swaps: list[float]) -> dict[str, Any]:
    """What a phase came to."""
    outcome: Outcome = load.outcome
    return {
        "phase": name,
        "requests": outcome.total,
        "failed": outcome.failed,
        "refused": sum(n for status, n in outcome.statuses.items() if 400 <= status < 500),
        "mixed": len(outcome.wrong),
        "other lists": watcher.other_lists,
        "p50_ms": round(outcome.quantile_ms(0.5), 1),
        "p99_ms": round(outcome.quantile_ms(0.99), 1),
        "longest_ms": round(1e3 * max(outcome.seconds), 1),
        "longest_gap_ms": round(1e3 * watcher.longest_gap_s, 1),
        "swap_s": round(sum(swaps) / len(swaps), 2) if swaps else None,
        "rungs": dict(outcome.rungs),
        "versions": len(outcome.versions),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

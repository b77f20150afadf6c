"""Promote bad versions on a real server under load, and print how soon each was dropped; then good ones.

    python scripts/measure_guardrails.py [--per-second 50] [--good-swaps 50] [--probation 4] [--json FILE]

All of them load, verify and answer what they are asked before they serve, as a version does that has passed
the offline gates. The listeners of the planted world complete most tracks of their own genre and skip most
others; they skip more of what the version "skipped" recommends, which is no worse otherwise. Two thirds of
the answers get a reaction. False alarms are counted over promotions of an equally good version.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from audotics.registry import Registry  # noqa: E402
from audotics.registry.names import CHAMPION  # noqa: E402
from audotics.serving.guardrails.reports import read_reports  # noqa: E402
from contract.bad_versions import MAKERS, publish_bad  # noqa: E402
from contract.load import under_load  # noqa: E402
from contract.planted import GENRES, genre_of  # noqa: E402
from contract.planted_faults import FAULTS  # noqa: E402
from contract.planted_server import PlantedServer  # noqa: E402
from contract.small_version import publish_small  # noqa: E402

REACTIONS = 0.67
SKIPS = {True: 0.15, False: 0.8}
"""By whether a track is of the listener's own genre."""

MORE_SKIPS = 0.35
"""That much more often of what the version "skipped" recommends."""

WARM_S = 6.0
PATIENCE_S = 60.0
SKIPPED = "skipped"


def main() -> int:
    """Measure and print; 1 where a bad version stayed or a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--per-second", type=float, default=50)
    parser.add_argument("--good-swaps", type=int, default=50)
    parser.add_argument("--probation", type=float, default=4.0, help="seconds on probation of the good ones")
    parser.add_argument("--kinds", nargs="*", default=[*FAULTS, *MAKERS, SKIPPED])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for kind in given.kinds:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(bad(kind, given.per_second, Path(folder)))
        print(rows[-1], file=sys.stderr)
    if rows:
        print(table(rows))
    false = None
    if given.good_swaps:
        with tempfile.TemporaryDirectory() as folder:
            false = good(given.good_swaps, given.probation, given.per_second, Path(folder))
        print(json.dumps(false, indent=2))
    if given.json:
        given.json.write_text(json.dumps({"bad": rows, "good": false}, indent=2) + "\n", "utf-8")
    return int(any(row["dropped_by"] is None or row["failed"] for row in rows))


def bad(kind: str, per_second: float, folder: Path) -> dict[str, Any]:
    """Promote one bad version beside a good one that has served for a while."""
    first = publish_small(folder / "models")
    second = (
        publish_bad(folder / "models", kind)
        if kind in MAKERS
        else publish_small(folder / "models", seed=1, promote=False)
    )
    registry = Registry(folder / "models")
    fault = kind if kind in FAULTS else ""
    server = PlantedServer(folder, folder / "models", fault, second, deadline_ms=500)
    server.start()
    listeners = Listeners(server, second if kind == SKIPPED else "")
    try:
        with under_load(server.port, per_second, uncached, listeners.look) as load:
            time.sleep(WARM_S)
            load.forget()
            registry.set_alias(CHAMPION, second)
            until = time.monotonic() + PATIENCE_S
            while not read_reports(folder / "models") and time.monotonic() < until:
                time.sleep(0.1)
            time.sleep(1.0)
    finally:
        listeners.stop()
        server.stop()
    (report,) = read_reports(folder / "models") or [None]
    outcome = load.outcome
    return {
        "kind": kind,
        "dropped_by": None if report is None else report.check,
        "reason": None if report is None else report.reason,
        "answers_asked": None if report is None else report.n_answers,
        "seconds": None
        if report is None
        else round((report.dropped_at - report.began_at).total_seconds(), 2),
        "answers_shown": outcome.versions[second],
        "stood_in": None if report is None else report.n_stood_in,
        "failed": outcome.failed,
        "rungs": dict(outcome.rungs),
        "champion_again": registry.alias(CHAMPION) == first,
    }


def good(swaps: int, probation_s: float, per_second: float, folder: Path) -> dict[str, Any]:
    """Promote an equally good version again and again; each time it is on probation anew."""
    first = publish_small(folder / "models")
    second = publish_small(folder / "models", seed=1, promote=False)
    registry = Registry(folder / "models")
    server = PlantedServer(folder, folder / "models", "", "", deadline_ms=500, probation_s=1000)
    server.start()
    listeners = Listeners(server, "")
    smallest: dict[str, float] = {}
    n_reactions = n_answers = 0
    try:
        with under_load(server.port, per_second, uncached, listeners.look) as load:
            time.sleep(WARM_S)
            for _ in range(swaps):
                registry.set_alias(CHAMPION, second)
                time.sleep(probation_s)
                trial = dict(server.get("/v1/models")[1].get("probation") or {})  # type: ignore[call-overload]
                for check, seen in trial.get("checks", {}).items():
                    smallest[check] = min(smallest.get(check, 1.0), seen["p_value"])
                n_answers += trial.get("answers", 0)
                n_reactions += trial.get("checks", {}).get("skipped", {}).get("n", 0)
                if registry.alias(CHAMPION) == second:
                    registry.rollback(CHAMPION)
                time.sleep(1.0)
    finally:
        listeners.stop()
        server.stop()
    reports = read_reports(folder / "models")
    return {
        "swaps": swaps,
        "false_alarms": len(reports),
        "reasons": [f"{report.check}: {report.reason}" for report in reports],
        "answers_on_probation": n_answers,
        "reactions_on_probation": n_reactions,
        "failed": load.outcome.failed,
        "smallest_p_value": {check: float(f"{p_value:.2g}") for check, p_value in sorted(smallest.items())},
        "serving_first": registry.alias(CHAMPION) == first,
    }


def uncached(number: int) -> tuple[str, str, bytes]:
    """The planted listeners in turn; a track that nobody knows is excluded, so no cache answers."""
    return "GET", f"/v1/users/u{number % 90:03d}/recommendations?k=10&exclude=none-{number}", b""


class Listeners:
    """React to answers, in batches of events from a thread of their own.

    Args:
        server: Where the events go.
        disliked: A version whose tracks are skipped more often.
    """

    def __init__(self, server: PlantedServer, disliked: str) -> None:
        self._server, self._disliked = server, disliked
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def look(self, number: int, said: dict[str, Any]) -> str:
        """React to an answer, by chance that only its number decides."""
        reacts, place, skips = (_chance(number, salt) for salt in ("reacts", "place", "skips"))
        if said["tracks"] and reacts < REACTIONS:
            track = said["tracks"][int(place * len(said["tracks"]))]["track_id"]
            home = GENRES[int(said["user_id"][1:]) % len(GENRES)]
            limit = SKIPS[genre_of(track) == home]
            limit += MORE_SKIPS * (said["model_version"] == self._disliked)
            kind = "skip" if skips < limit else "complete"
            event = {"event_id": f"e{number}", "user_id": said["user_id"], "track_id": track, "event": kind}
            self._events.put(event | {"request_id": said["request_id"]})
        return ""

    def stop(self) -> None:
        """React no more."""
        self._stopped.set()
        self._thread.join(10)

    def _send(self) -> None:
        while not self._stopped.wait(0.1):
            batch = []
            while not self._events.empty() and len(batch) < 500:
                batch.append(self._events.get())
            if batch:
                request = urllib.request.Request(  # noqa: S310 - our own server on the loopback
                    f"{self._server.url}/v1/events",
                    json.dumps(batch).encode(),
                    {"Content-Type": "application/json"},
                )
                urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def _chance(number: int, salt: str) -> float:
    return zlib.crc32(f"{salt}{number}".encode()) / 2**32


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

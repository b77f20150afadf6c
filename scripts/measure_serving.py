"""Measure the HTTP server beside a bare FastAPI answer of the same size, with wrk in another process.

    python scripts/measure_serving.py --models MODELS [--seconds 5] [--redis URL] [--json FILE]

The server runs on one core and the load generator on another where the machine has two. Needs wrk
(`scripts/install-services`). Every figure stands beside the floor that was measured in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LISTENERS = """
local ids = {}
for line in io.lines("%s") do ids[#ids + 1] = line end
local place = %d
request = function()
  place = place + 1
  return wrk.format("GET", "/v1/users/" .. ids[place %% #ids + 1] .. "/recommendations?k=20")
end
"""

EVENTS = """
wrk.method = "POST"
local place = 0
request = function()
  local rows = {}
  for row = 1, %d do
    place = place + 1
    rows[row] = string.format('{"event_id":"%s-%%d","user_id":"u%%d","track_id":"%s"}', place, place %% 5000)
  end
  return wrk.format("POST", "/v1/events", nil, "[" .. table.concat(rows, ",") .. "]")
end
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--redis", help="URL for the measurement of the cache's second level")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bare", nargs=2, type=int, metavar=("PORT", "BYTES"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        serve_bare(*asked.bare)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(asked.models, asked.seconds, asked.redis, Path(folder))
    print(json.dumps(figures, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(models: Path, seconds: int, redis: str | None, folder: Path) -> dict[str, Any]:
    """All figures."""
    users, track = known_ids(models)
    listeners = folder / "listeners"
    listeners.write_text("\n".join(users))
    figures: dict[str, Any] = {}
    command = [str(Path(sys.executable).with_name("audotics")), "serve", "--models", str(models), "--port"]
    started = time.perf_counter()
    with server([*command], {"AUDOTICS_DATABASE_URL": f"sqlite:///{folder}/a.db"}) as (port, process):
        figures["start to first answer, s"] = round(time.perf_counter() - started, 2)
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path_of(users[0])}", timeout=30).read()
        figures["answer, bytes"] = len(answer)
        figures["resident, MB"] = resident(process.pid)
        figures["uncached, 100 requests/s"] = asyncio.run(steady(port, users, 100, seconds))
        for at_once in (1, 4, 16):
            script = write(folder / "listeners.lua", LISTENERS % (listeners, 1000 + 20_000 * at_once))
            figures[f"uncached, {at_once} at once"] = wrk(port, at_once, seconds, script=script)
        figures["cached in process, 32 at once"] = wrk(port, 32, seconds, path=path_of(users[0]))
        for rows, at_once in ((100, 8), (1, 32)):
            script = write(folder / "events.lua", EVENTS % (rows, f"e{rows}", track))
            told = wrk(port, at_once, seconds, script=script)
            figures[f"events, {rows} a request"] = told | {"events/s": told["requests/s"] * rows}
        figures["resident at the end, MB"] = resident(process.pid)
        figures["answers"] = counted(port)
    if redis:
        environment = {"AUDOTICS_DATABASE_URL": f"sqlite:///{folder}/b.db", "AUDOTICS_REDIS_URL": redis}
        # The first level holds fewer answers than there are listeners in turn: every answer comes from Redis.
        environment["AUDOTICS_CACHE_MB"] = "1"
        with server([*command], environment) as (port, _):
            script = write(folder / "few.lua", LISTENERS % (write(folder / "few", "\n".join(users[:600])), 0))
            wrk(port, 4, 15, script=script)
            figures["cached in Redis, 32 at once"] = wrk(port, 32, seconds, script=script)
            figures["answers with Redis"] = counted(port)
    bare, path = [sys.executable, __file__, "--bare"], path_of("u")
    with server(bare, {}, str(figures["answer, bytes"])) as (port, _):
        figures["floor: bare FastAPI, 32 at once"] = wrk(
            port, 32, seconds, path="/v1/users/u/recommendations"
        )
        figures["floor: bare FastAPI, 1 at once"] = wrk(port, 1, seconds, path=path)
    return figures


def serve_bare(port: int, size: int) -> None:
    """The floor: a FastAPI route that returns finished bytes."""
    import uvicorn
    from fastapi import FastAPI, Response

    app, payload = FastAPI(), b'"' + b"x" * (size - 2) + b'"'

    @app.get("/v1/users/{user_id}/recommendations")
    async def answer(user_id: str) -> Response:
        return Response(payload, media_type="application/json")

    @app.get("/health/ready")
    async def ready() -> Response:
        return Response(b"{}")

    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error")


@contextmanager
def server(
    command: list[str], environment: dict[str, str], *more: str
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server on a free port, on the first core."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pinned = ["taskset", "-c", "0"] if (os.cpu_count() or 1) > 1 else []
    process = subprocess.Popen(  # noqa: S603
        [*pinned, *command, str(port), *more], env={**os.environ, **environment}
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).read()
                break
            except OSError:
                time.sleep(0.05)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wrk(
    port: int, at_once: int, seconds: int, path: str = "/", script: Path | None = None
) -> dict[str, float]:
    """Requests per second and latencies (ms) of a closed loop."""
    pinned = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []
    command = [*pinned, "wrk", "-t1", f"-c{at_once}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    if script:
        command += ["-s", str(script)]
    said = subprocess.run(  # noqa: S603
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, check=True
    )
    text = said.stdout.decode()
    figures = {"requests/s": float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])}
    for share in ("50", "99"):
        value, unit = re.findall(rf"{share}%\s+([\d.]+)(us|ms|s)\b", text)[0]
        figures[f"p{share}, ms"] = round(float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit], 3)
    failed = re.findall(r"Non-2xx or 3xx responses: (\d+)", text)
    return figures | {"failed": float(failed[0]) if failed else 0.0}


async def steady(port: int, users: list[str], rate: int, seconds: int) -> dict[str, float]:
    """Latencies (ms) at a fixed rate, whatever the answers take: an open loop, each on time."""
    latencies: list[float] = []
    failed = 0

    async def ask(user: str) -> None:
        nonlocal failed
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path_of(user)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readline()
        await reader.read()
        writer.close()
        failed += b" 200 " not in head
        latencies.append(1e3 * (time.perf_counter() - began))

    begun = time.perf_counter()
    tasks = []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(users[number % 1000])))
    await asyncio.gather(*tasks)
    half, high = np.percentile(latencies, [50, 99])
    return {"p50, ms": round(float(half), 2), "p99, ms": round(float(high), 2), "failed": float(failed)}


def known_ids(models: Path) -> tuple[list[str], str]:
    """Listeners of the newest version, in an order that says nothing, and a track."""
    version = sorted((models / "versions").glob("[0-9]*"))[-1]
    users: list[str] = json.loads((version / "vocabulary" / "users.json").read_text())
    tracks = json.loads((version / "vocabulary" / "tracks.json").read_text())
    return [users[place] for place in np.random.default_rng(0).permutation(len(users))], tracks[0]


def path_of(user: str) -> str:
    """The path of a listener's recommendations."""
    return f"/v1/users/{user}/recommendations?k=20"


def resident(pid: int) -> dict[str, float]:
    """Memory of a process: all of it, and what it shares with nobody."""
    status = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = {name: int(re.findall(rf"^{name}:\s+(\d+)", status, re.M)[0]) / 1024 for name in ("Rss", "Pss")}
    anonymous = int(re.findall(r"^Anonymous:\s+(\d+)", status, re.M)[0]) / 1024
    return {name: round(size) for name, size in (sizes | {"Anonymous": anonymous}).items()}


def counted(port: int) -> dict[str, float]:
    """How the answers were made, by the server's own count."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    rows = re.findall(r'^audotics_answers_total\{rung="(\w+)",served_from="(\w+)"\} ([\d.e+]+)', text, re.M)
    return {f"{rung}, {served}": float(count) for rung, served, count in rows}


def write(path: Path, text: str) -> Path:
    """Write a file; its path."""
    path.write_text(text)
    return path


if __name__ == "__main__":
    main()

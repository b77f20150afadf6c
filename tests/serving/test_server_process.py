"""The server as a process: what it imports, how it starts, how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from contract.audotics_server import AudoticsServer

ANSWERS = """
import asyncio, sys
from audotics.domain import Query
from audotics.serving.app import create_app
from audotics.serving.service import Service
from audotics.settings import Settings

async def main():
    settings = Settings(models=sys.argv[1], database_url=f"sqlite:///{sys.argv[2]}", deadline_ms=60_000)
    create_app(settings)
    service = Service(settings)
    await service.start()
    taken = await service.ingestion.take(b'{"user_id": "u", "track_id": "t001"}')
    answer = await service.answering.answer(Query(user_id="u"))
    await service.close()
    assert taken.accepted == 1 and b'"personalised"' in answer.payload

asyncio.run(main())
print("\\n".join(sys.modules))
"""


def test_a_server_that_answered_has_imported_no_training_library(models, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, str(models.folder), str(tmp_path / "journal.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.split())
    assert {"numpy", "fastapi"} <= modules
    heavy = {"tensorflow", "keras", "sklearn", "skops", "pandas", "pandera", "matplotlib", "optuna", "joblib"}
    assert not {name.partition(".")[0] for name in modules} & heavy


def test_sigterm_is_an_orderly_end(start_server, models):
    for workers in (1, 2):
        server = start_server(models, workers=workers)
        assert server.get("/v1/users/u001/recommendations")[0] == 200
        assert server.terminate() == 0
        assert "Traceback" not in server.log


def test_the_journal_is_there_after_a_restart(start_server, models):
    import httpx

    server = start_server(models, deadline_ms=5000)
    for number in range(3):
        httpx.post(
            f"{server.url}/v1/events", json={"user_id": "back", "track_id": f"t06{number}"}
        ).raise_for_status()
    before = server.get("/v1/users/back/recommendations")[1]["tracks"]
    server.kill()
    server.start()
    assert server.get("/v1/users/back/recommendations")[1]["tracks"] == before


def test_a_server_that_cannot_start_says_why_in_one_line(models, tmp_path: Path):
    taken = AudoticsServer(tmp_path, models.folder)
    taken.start()
    try:
        for workers in (1, 2):
            for where, server in (
                ("no version yet", AudoticsServer(tmp_path, tmp_path / "nothing", workers=workers)),
                ("listen", AudoticsServer(tmp_path, models.folder, taken.port, workers=workers)),
                (
                    "AUDOTICS_DEADLINE_MS",
                    AudoticsServer(tmp_path, models.folder, workers=workers, deadline_ms=-1),
                ),
                (
                    "database_url",
                    AudoticsServer(tmp_path, models.folder, workers=workers, database_url="mysql://x"),
                ),
            ):
                code, said = server.start_and_fail()
                assert code == 2, (where, workers, said)
                assert where in said
                assert "Traceback" not in said
    finally:
        taken.stop()

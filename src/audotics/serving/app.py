"""The HTTP API as one FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from audotics.serving import problems
from audotics.serving.access import Access, KeyFile
from audotics.serving.middleware import RequestFrame
from audotics.serving.routes import (
    events,
    experiments,
    features,
    health,
    models,
    playlists,
    recommendations,
    tracks,
    users,
)
from audotics.serving.service import Service
from audotics.serving.shedding import LoadShedder
from audotics.settings import Settings
from audotics.version import __version__

DESCRIPTION = "Personal music recommendations that change with the listener's last event."


def create_app(settings: Settings) -> ASGIApp:
    """The application with what every request passes around it.

    Args:
        settings: Deployment settings.

    Raises:
        BadInputError: The key file cannot be read.
    """
    keys = None if settings.keys is None else KeyFile(settings.keys).all()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = Service(settings)
        app.state.service = frame.service = service
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="Audotics", version=__version__, description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    problems.install(app)
    for room in (recommendations, events, playlists, tracks, features, users, models, experiments, health):
        app.include_router(room.router)
    # A tenth of the deadline: a request waits for several rounds of the loop, each as long as that at least.
    shedder = LoadShedder(settings.deadline_ms / 10_000)
    frame = RequestFrame(app, Access(keys, settings.rate_limit), settings.max_body_bytes, shedder)
    if not settings.cors_origins:
        return frame
    # Outermost: browsers ask before they send a key, and read refusals only where they may.
    return CORSMiddleware(
        frame, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"]
    )

"""Health and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from audotics.serving.routes.common import ServiceOf, problems
from audotics.serving.schemas import HealthAnswer

router = APIRouter(tags=["health"])


@router.get("/health/live", response_model=HealthAnswer, summary="Whether the process answers")
async def live() -> HealthAnswer:
    """Restart the process where this does not answer."""
    return HealthAnswer(status="ok")


@router.get("/health/ready", response_model=HealthAnswer, summary="Whether the server should get requests")
async def ready(service: ServiceOf) -> HealthAnswer:
    """Degraded servers answer, too: from lower rungs, or from an older version."""
    trouble = [
        text
        for text in (
            service.models.trouble,
            service.journal_trouble,
            service.live_tracks.trouble,
            "; ".join(service.variants.alarms),
            "the cache's Redis does not answer" if service.redis_is_away else "",
        )
        if text
    ]
    version = service.models.current.version
    return HealthAnswer(status="degraded" if trouble else "ok", model_version=version, trouble=trouble)


@router.get(
    "/metrics",
    summary="Counters and times for Prometheus",
    response_class=PlainTextResponse,
    responses=problems(),
)
async def metrics(service: ServiceOf) -> Response:
    """In Prometheus' text format, of all workers of this server."""
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

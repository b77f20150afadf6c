"""Versions: what there is, what serves, promote and roll back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving.guardrails import Guardrails
from audotics.serving.routes.common import ServiceOf, problems

router = APIRouter(tags=["models"])


class CheckAnswer(BaseModel):
    """What a guardrail has seen so far."""

    n: int
    p_value: float


class ProbationAnswer(BaseModel):
    """A version that has begun to serve here a while ago and is compared with the one before."""

    version: str
    previous: str
    began_at: datetime
    answers: int
    stood_in: int
    checks: dict[str, CheckAnswer]


class DroppedAnswer(BaseModel):
    """A version that this worker dropped."""

    version: str
    reason: str
    at: datetime


class VersionsAnswer(BaseModel):
    """Versions, oldest first; what serves, and what the guardrails of this worker say of it."""

    serving: str
    versions: list[str]
    aliases: dict[str, str]
    probation: ProbationAnswer | None = None
    dropped: list[DroppedAnswer] = []


class Promotion(BaseModel):
    """Which version an alias shall name."""

    version: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class AliasAnswer(BaseModel):
    """Where an alias points now; servers follow within a second."""

    alias: str
    version: str


@router.get("/v1/models", response_model=VersionsAnswer, responses=problems(), summary="List versions")
async def versions(service: ServiceOf) -> VersionsAnswer:
    """What is in the folder of models, and which version answers here."""
    registry = Registry(service.settings.models)
    return VersionsAnswer(
        serving=service.models.current.version,
        versions=list(await asyncio.to_thread(registry.versions)),
        aliases=await asyncio.to_thread(registry.aliases),
        probation=_probation(service.guardrails),
        dropped=[
            DroppedAnswer(version=one.version, reason=one.reason, at=one.at)
            for one in service.guardrails.dropped
        ],
    )


def _probation(guardrails: Guardrails) -> ProbationAnswer | None:
    trial, evidence = guardrails.trial, guardrails.evidence()
    if trial is None:
        return None
    return ProbationAnswer(
        version=trial.version,
        previous=trial.previous.version,
        began_at=trial.began_at,
        answers=trial.n_answers,
        stood_in=trial.n_stood_in,
        checks={check: CheckAnswer(n=n, p_value=p_value) for check, (n, p_value) in evidence.items()},
    )


@router.post(
    "/v1/models/promote", response_model=AliasAnswer, responses=problems(409), summary="Promote a version"
)
async def promote(service: ServiceOf, asked: Promotion) -> AliasAnswer:
    """Verify a version and make it the champion."""
    registry = Registry(service.settings.models)
    version = await asyncio.to_thread(registry.set_alias, CHAMPION, asked.version)
    return AliasAnswer(alias=CHAMPION, version=version)


@router.post("/v1/models/rollback", response_model=AliasAnswer, responses=problems(409), summary="Roll back")
async def rollback(service: ServiceOf) -> AliasAnswer:
    """Make the version before the last promotion the champion again."""
    registry = Registry(service.settings.models)
    return AliasAnswer(alias=CHAMPION, version=await asyncio.to_thread(registry.rollback, CHAMPION))

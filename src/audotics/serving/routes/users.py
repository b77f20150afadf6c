"""Listeners: erasure."""

from __future__ import annotations

from fastapi import APIRouter

from audotics.serving.routes.common import ServiceOf, UserId, problems
from audotics.serving.schemas import ErasedAnswer

router = APIRouter(tags=["users"])

NOTE = (
    "Events, exposures, profile and cached answers are gone. Versions trained before no longer use what they "
    "know of the listener; it leaves them, and datasets, with the next retraining."
)


@router.delete(
    "/v1/users/{user_id:opaque}",
    response_model=ErasedAnswer,
    responses=problems(503),
    summary="Erase a listener everywhere",
)
async def erase(service: ServiceOf, user_id: UserId) -> ErasedAnswer:
    """Can be repeated. A listener who is not known is erased, too: old backups stay without effect."""
    return ErasedAnswer(user_id=user_id, erased_events=await service.erase(user_id), note=NOTE)

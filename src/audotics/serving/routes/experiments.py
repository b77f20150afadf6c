"""Experiments: what runs, create, start, change shares, stop, promote the winner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from audotics.experiments.arms import Name, Share
from audotics.experiments.assignment import Holdout
from audotics.experiments.definition import Definition, Experiment
from audotics.experiments.promotion import promote
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving.routes.common import ServiceOf, json_response, problems

router = APIRouter(tags=["experiments"])

ExperimentName = Annotated[Name, PathParameter(alias="name", description="The experiment.")]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(_In):
    """Why, for the record."""

    reason: str = Field("", max_length=1000)


class SharesIn(Reason):
    """What arms shall have; those that are not named keep what they have."""

    shares: dict[str, Share] = Field(description="Hundredths of a percent by arm.")


class PromotionIn(Reason):
    """Which arm has won."""

    arm: Name


class ChangeOut(BaseModel):
    """A step in the life of an experiment."""

    at: datetime
    action: str
    actor: str
    reason: str


class ExperimentAnswer(BaseModel):
    """An experiment, its record, and whether it takes part in the process that answers."""

    experiment: Experiment
    takes_part: bool = Field(description="False while a version that it names is not loaded here.")
    history: list[ChangeOut]


class ExperimentsAnswer(BaseModel):
    """All experiments, by name, without their testers."""

    experiments: list[Experiment]
    holdout: Holdout
    revision: int = Field(description="Grows with every change.")
    waiting: list[str] = Field(description="Experiments that run, but not here: a version is not loaded.")
    alarms: list[str] = Field(description="Versions that do not load, a database that does not answer.")


class PromotionAnswer(BaseModel):
    """Which version the champion is now; servers follow within a second."""

    alias: str
    version: str
    experiment: Experiment


@router.get(
    "/v1/experiments",
    response_model=ExperimentsAnswer,
    responses=problems(503),
    summary="List experiments",
)
async def experiments(service: ServiceOf) -> Response:
    """As this process knows them, which is half a second old at most while the database answers."""
    variants = service.variants
    snapshot = variants.snapshot
    answer = ExperimentsAnswer(
        experiments=[_without_testers(one) for one in snapshot.experiments],
        holdout=snapshot.holdout,
        revision=snapshot.revision,
        waiting=sorted(variants.waiting),
        alarms=variants.alarms,
    )
    return json_response(answer.model_dump_json().encode())


@router.post(
    "/v1/experiments",
    status_code=201,
    response_model=Experiment,
    responses=problems(409, 503),
    summary="Create an experiment",
)
async def create(service: ServiceOf, definition: Definition) -> Experiment:
    """Keep a definition as a draft: it deals nobody out before it is started."""
    return await _changed(service, lambda: service.variants.store.create(definition))


@router.get(
    "/v1/experiments/{name}",
    response_model=ExperimentAnswer,
    responses=problems(404, 503),
    summary="Show an experiment",
)
async def show(service: ServiceOf, name: ExperimentName) -> Response:
    """With its buckets, shares over time, and who changed what and why."""
    store = service.variants.store
    found = await asyncio.to_thread(store.get, name)
    history = await asyncio.to_thread(store.history, name)
    answer = ExperimentAnswer(
        experiment=_without_testers(found),
        takes_part=found.running and name not in service.variants.waiting,
        history=[
            ChangeOut(at=one.at, action=one.action, actor=one.actor, reason=one.reason) for one in history
        ],
    )
    return json_response(answer.model_dump_json().encode())


@router.post(
    "/v1/experiments/{name}/start",
    response_model=Experiment,
    responses=problems(404, 409, 503),
    summary="Start an experiment",
)
async def start(service: ServiceOf, name: ExperimentName, why: Reason) -> Experiment:
    """Deal listeners out from now on. Arms that name a model are pinned to the version that it is now."""
    registry = Registry(service.settings.models)

    def begin() -> Experiment:
        return service.variants.store.start(name, lambda model: registry.verify(model).version, why.reason)

    return await _changed(service, begin)


@router.post(
    "/v1/experiments/{name}/shares",
    response_model=Experiment,
    responses=problems(404, 409, 503),
    summary="Change shares",
)
async def change_shares(service: ServiceOf, name: ExperimentName, wanted: SharesIn) -> Experiment:
    """Ramp arms up or down; nobody changes from one arm to another."""
    store = service.variants.store
    return await _changed(service, lambda: store.change_shares(name, wanted.shares, wanted.reason))


@router.post(
    "/v1/experiments/{name}/stop",
    response_model=Experiment,
    responses=problems(404, 409, 503),
    summary="Stop an experiment",
)
async def stop(service: ServiceOf, name: ExperimentName, why: Reason) -> Experiment:
    """From now on its listeners get what everybody gets. A stopped experiment does not start again."""
    store = service.variants.store
    return await _changed(service, lambda: store.stop(name, why.reason))


@router.post(
    "/v1/experiments/{name}/promote",
    response_model=PromotionAnswer,
    responses=problems(404, 409, 503),
    summary="Promote the winner",
)
async def promote_winner(service: ServiceOf, name: ExperimentName, winner: PromotionIn) -> PromotionAnswer:
    """Verify an arm's version, make it the champion and stop the experiment.

    A version that the gates refused when it was trained is refused here, too.
    """
    store, models = service.variants.store, service.settings.models

    def end() -> PromotionAnswer:
        # What reads reports of trainings loads the checks of datasets, some 75 MB: where somebody asks.
        from audotics.lifecycle.winners import check_gates

        done = promote(
            store,
            Registry(models),
            name,
            winner.arm,
            winner.reason,
            lambda version: check_gates(models, version),
        )
        return PromotionAnswer(
            alias=CHAMPION, version=done.version, experiment=_without_testers(done.experiment)
        )

    answer = await asyncio.to_thread(end)
    service.variants.wake()
    return answer


async def _changed(service: ServiceOf, change: Callable[[], Experiment]) -> Experiment:
    changed = await asyncio.to_thread(change)
    service.variants.wake()
    return _without_testers(changed)


def _without_testers(experiment: Experiment) -> Experiment:
    """Who tests is nobody's business who may only read."""
    return experiment.model_copy(update={"overrides": {}})

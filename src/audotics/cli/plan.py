"""`audotics plan`: what a service of a given size needs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.options import JsonOption

if TYPE_CHECKING:
    from audotics.distributed.costs import MeasuredCosts
    from audotics.distributed.limits import Limit
    from audotics.distributed.sizing import Sizing


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(plan)


def plan(
    listeners: Annotated[int, typer.Option(help="Listeners with events.", show_default=False)],
    tracks: Annotated[int, typer.Option(help="Tracks of the catalogue.", show_default=False)],
    events_per_day: Annotated[int, typer.Option(help="Events on an average day.", show_default=False)],
    target_rps: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Recommendations per second at the busiest time; else from the events.",
            show_default=False,
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Days of events that training learns from.")] = 90,
    cores: Annotated[int, typer.Option(help="Cores of one machine.")] = 16,
    memory_gib: Annotated[float, typer.Option(help="Memory of one machine.")] = 64.0,
    window_h: Annotated[float, typer.Option(help="Hours that a training may take.")] = 6.0,
    as_json: JsonOption = False,
) -> None:
    """Work out machines, memory, hours and storage, and which algorithm ends where.

    From costs measured against the size of the log (docs/scale.md). What lies beyond the largest measured
    size is continued along the measured curve, and said so. No prices: core-hours and GiB.
    """
    from pydantic import ValidationError

    from audotics.distributed.costs import read_costs
    from audotics.distributed.limits import limits_of
    from audotics.distributed.sizing import Demand, size_service
    from audotics.errors import BadInputError

    given = {
        "listeners": listeners,
        "tracks": tracks,
        "events_per_day": events_per_day,
        "target_rps": target_rps,
        "days": days,
        "cores": cores,
        "memory_gib": memory_gib,
        "window_h": window_h,
    }
    try:
        demand = Demand.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise BadInputError(first["msg"], where=option) from error
    costs = read_costs()
    sizing = size_service(demand, costs)
    limits = limits_of(sizing, costs)
    if as_json:
        print(json.dumps(_as_dict(sizing, limits, costs), indent=2))
    else:
        _print(sizing, limits, costs)


def _as_dict(sizing: Sizing, limits: Sequence[Limit], costs: MeasuredCosts) -> dict[str, Any]:
    demand = sizing.demand
    derived = {
        "events": demand.events,
        "answers_per_s": demand.answers_per_s,
        "events_per_s": demand.events_per_s,
    }
    return {
        **asdict(sizing),
        "events_that_fit": _or_none(sizing.events_that_fit),
        "demand": {**demand.model_dump(), **derived},
        "limits": [{**asdict(one), "at": _or_none(one.at), "reached": one.reached} for one in limits],
        "measured": {
            "machine": costs.machine,
            "on": costs.measured_on,
            "largest_events": costs.largest_events,
        },
    }


def _or_none(number: float) -> float | None:
    """JSON knows no infinity."""
    return number if math.isfinite(number) else None


def _print(sizing: Sizing, limits: Sequence[Limit], costs: MeasuredCosts) -> None:
    demand = sizing.demand
    print(
        f"{demand.listeners:,} listeners, {demand.tracks:,} tracks, {demand.events_per_day:,} events a day; "
        f"{demand.days} days of them are {demand.events:,} events.\n"
        f"Machines of {demand.cores} cores and {demand.memory_gib:g} GiB. At the busiest time "
        f"{demand.answers_per_s:,.0f} recommendations and {demand.events_per_s:,.0f} events a second.\n"
        f"Costs: {costs.machine}, {costs.measured_on}, up to {costs.largest_events:,} events.\n"
    )
    print("Training, one run              core-hours    GiB   times the largest measured, exponent")
    for need in sizing.training:
        mark = "" if need.fits else "   does not fit"
        print(
            f"  {need.name:26s} {need.core_hours:12,.3g} {need.memory_gib:6,.3g}   "
            f"{need.times_measured:,.3g} x {need.grows_with}, {need.exponent:.2f}{mark}"
        )
    print(
        f"  what fits, retrievers twice: {sizing.training_core_hours:,.3g} core-hours, "
        f"{sizing.training_memory_gib:,.3g} GiB, "
        f"{sizing.training_machines:,} machines in {demand.window_h:g} h"
    )
    if sizing.events_that_fit < demand.events:
        share = sizing.events_that_fit / demand.events
        print(
            f"  one machine learns from up to {sizing.events_that_fit:,.3g} events: "
            f"{100 * share:.3g} % of the listeners, or {share * demand.days:.3g} days of all"
        )
    print(
        f"Lists for every listener: {sizing.batch_core_hours:,.3g} core-hours, "
        f"{sizing.batch_machines:,} machines in {demand.window_h:g} h"
    )
    print("\nServing                         machines   cores  GiB of memory  GiB on disk")
    for part in sizing.parts:
        print(
            f"  {part.name:26s} {part.machines:11,} {part.cores:7,.3g} {part.memory_gib:14,.3g} "
            f"{part.storage_gib:12,.3g}   {part.note}"
        )
    print(f"  the journal grows by {sizing.storage_gib_per_day:,.3g} GiB a day")
    print("\nLimits")
    for limit in sorted(limits, key=lambda one: not one.reached):
        at = f"{limit.at:,.4g}" if math.isfinite(limit.at) else "no end seen"
        state = "BEYOND" if limit.reached else "within"
        print(f"  {state} {limit.name}: {limit.here:,.4g} {limit.counts} of {at}")
        if limit.reached:
            print(f"         then: {limit.then}")

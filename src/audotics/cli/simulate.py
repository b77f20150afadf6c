"""`audotics simulate`: a music service with known truth, as a Dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.options import QuietOption
from audotics.errors import BadInputError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(simulate)


def simulate(
    users: Annotated[int, typer.Option(help="Listeners.", show_default=False)],
    tracks: Annotated[
        int, typer.Option(help="Tracks, those released during the log included.", show_default=False)
    ],
    days: Annotated[int, typer.Option(help="Days of listening.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DATASET", help="Folder to write.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal logs.")] = 0,
    events: Annotated[
        int | None, typer.Option(help="Listens wanted, met roughly; else 6 per listener and day.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Invent a music service whose true tastes are known: they are written to DATASET.truth."""
    from pydantic import ValidationError

    from audotics.simulation import SimulationConfig
    from audotics.simulation import simulate as run_simulation
    from audotics.telemetry.progress import progress_on_stderr

    try:
        config = SimulationConfig(n_users=users, n_tracks=tracks, n_days=days, seed=seed, n_events=events)
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{str(first['loc'][0]).removeprefix('n_')}" if first["loc"] else "--events"
        raise BadInputError(f"{first['msg']}", where=option) from error
    truth = run_simulation(config, out, progress_on_stderr(quiet=quiet))
    print(
        f"{out}: {users:,} listeners, {tracks:,} tracks, {days:,} days; the truth is in {truth.folder(out)}"
    )

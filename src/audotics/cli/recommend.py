"""`audotics recommend` and `audotics similar`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.options import JsonOption, ModelsOption, QuietOption

_Model = Annotated[str, typer.Option("--model", help="A version, an alias or 'latest'.")]
_K = Annotated[int, typer.Option("-k", min=1, max=10_000, help="How many tracks.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(recommend)
    app.command()(similar)


def recommend(
    models: ModelsOption,
    user: Annotated[str | None, typer.Option(metavar="ID", help="One listener.", show_default=False)] = None,
    users: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Listeners, one id per line (or a column user_id).", show_default=False
        ),
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every listener of the training data.")] = False,
    k: _K = 10,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write .parquet, .csv, .tsv or .jsonl.", show_default=False),
    ] = None,
    include_heard: Annotated[
        bool, typer.Option("--include-heard", help="Tracks the listener has heard may appear.")
    ] = False,
    model: _Model = "champion",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Recommend tracks to one listener, to those in a file, or to all.

    Tracks that the listener has heard are left out unless --include-heard.
    """
    from audotics.cli import output
    from audotics.domain import Mode, Query
    from audotics.recommender.batch import BatchProcessor
    from audotics.registry import Registry
    from audotics.telemetry import progress_on_stderr
    from audotics.training.publishing import load_version

    chosen = output.chosen_listeners(user, users, everyone)
    if out is not None:
        output.check_lists_target(out)
    progress = progress_on_stderr(quiet=quiet)
    with progress.stage("load the model"):
        recommender = load_version(Registry(models), model)
    listeners = list(recommender.users.ids) if chosen is None else chosen
    output.note_unknown(recommender, listeners)
    mode = Mode.MIX if include_heard else Mode.DISCOVER
    if out is None:
        table = output.explained(recommender, [Query(user_id=one, k=k, mode=mode) for one in listeners])
        output.show(table, as_json=as_json)
    else:
        with progress.stage("recommend", total=len(listeners)) as stage:
            table = BatchProcessor(recommender).table(listeners, k, mode, stage.advance)
        output.write(table, out)
        if as_json:
            print(json.dumps({"file": str(out), "n_listeners": len(listeners), "n_rows": table.height}))
        elif not quiet:
            print(f"{out}: {table.height:,} rows for {len(listeners):,} listeners")
    output.note_short(table, listeners, k)


def similar(
    models: ModelsOption,
    track: Annotated[str, typer.Option(metavar="ID", help="The track to start from.", show_default=False)],
    k: _K = 10,
    model: _Model = "champion",
    as_json: JsonOption = False,
) -> None:
    """Recommend tracks to somebody who has heard this one track and nothing else."""
    from audotics.cli import output
    from audotics.domain import Query
    from audotics.errors import BadInputError
    from audotics.registry import Registry
    from audotics.training.publishing import load_version

    recommender = load_version(Registry(models), model)
    if track not in recommender.tracks:
        raise BadInputError(
            f"track {track!r} is not in the model",
            where="--track",
            remedy="Give a track id of the training data",
        )
    output.show(output.explained(recommender, [Query(history=(track,), k=k)]), as_json=as_json)

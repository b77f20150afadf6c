"""`audotics recommend` and `audotics similar`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audotics.cli.options import (
    EngineOption,
    JsonOption,
    ModelsOption,
    QuietOption,
    RayWorkersOption,
    VersionOption,
    ray_workers,
    wanted_mode,
)
from audotics.registry.names import CHAMPION

if TYPE_CHECKING:
    import polars as pl

    from audotics.distributed.workers import RayWorkers
    from audotics.domain import Mode
    from audotics.recommender.batch_files import WriteParts
    from audotics.recommender.recommender import Recommender
    from audotics.registry import Manifest
    from audotics.slate import SlateConfig, SlateStatistics
    from audotics.telemetry import Progress

_User = Annotated[str | None, typer.Option("--user", metavar="ID", help="One listener.", show_default=False)]
_Users = Annotated[
    Path | None,
    typer.Option(
        "--users",
        metavar="FILE",
        help="Listeners, one id per line (or a column user_id).",
        show_default=False,
    ),
]
_Everyone = Annotated[bool, typer.Option("--all", help="Every listener of the training data.")]
_ListsFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write .parquet, .csv, .tsv or .jsonl.", show_default=False),
]
_IncludeHeard = Annotated[
    bool, typer.Option("--include-heard", help="Tracks the listener has heard may appear.")
]
_Mode = Annotated[
    Literal["mix", "discover", "familiar"] | None,
    typer.Option(
        "--mode",
        help="discover leaves heard tracks out (the default), familiar keeps nothing else, mix has both.",
        show_default=False,
    ),
]
_Artists = Annotated[
    list[str] | None,
    typer.Option(
        "--artist",
        metavar="ID",
        help="A favourite artist, instead of a listener. Repeatable.",
        show_default=False,
    ),
]
_Group = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="ID",
        help="A listener of a group that hears one list. Repeatable.",
        show_default=False,
    ),
]
_Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="TOML with the rules of the list, see docs/slate.md.",
        show_default=False,
    ),
]
_K = Annotated[int, typer.Option("-k", min=1, max=10_000, help="How many tracks.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(recommend)
    app.command()(similar)


def recommend(
    models: ModelsOption,
    user: _User = None,
    users: _Users = None,
    everyone: _Everyone = False,
    k: _K = 10,
    out: _ListsFile = None,
    include_heard: _IncludeHeard = False,
    mode: _Mode = None,
    artist: _Artists = None,
    group: _Group = None,
    rules: _Rules = None,
    model: VersionOption = CHAMPION,
    engine: EngineOption = "local",
    workers: RayWorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Recommend tracks to one listener, to those in a file, or to all.

    Tracks that the listener has heard are left out unless --include-heard or --mode says otherwise.
    Instead of a listener, favourite artists (--artist) or several listeners together (--group) get one list.
    """
    from audotics.cli import output
    from audotics.domain import Query
    from audotics.errors import BadInputError
    from audotics.telemetry import progress_on_stderr

    chosen = output.chosen_listeners(user, users, everyone, artist or (), group or ())
    wanted = wanted_mode(mode, include_heard)
    if out is not None:
        output.check_lists_target(out)
    if engine == "ray" and (out is None or artist or group):
        raise BadInputError(
            "only lists of many listeners in a file are made by a cluster",
            where="--engine ray",
            remedy="Give --all or --users, and --out",
        )
    found = ray_workers(engine, workers)
    progress = progress_on_stderr(quiet=quiet)
    slate_rules = _read_rules(rules)
    recommender = _load(models, model, wanted != "discover", progress).with_rules(slate_rules)
    listeners = list(recommender.users.ids) if chosen is None else chosen
    output.note_unknown(recommender, [*listeners, *(group or ())])
    queries = [Query(user_id=one, k=k, mode=wanted) for one in listeners]
    if artist or group:
        queries.append(Query(k=k, mode=wanted, artists=tuple(artist or ()), group=tuple(group or ())))
    if out is None:
        table = output.explained(recommender, queries)
        output.show(table, as_json=as_json)
        n_tracks = output.counted(table)
    elif artist or group:
        table = output.explained(recommender, queries).select("user_id", "track_id", "rank", "score")
        output.write(table, out)
        n_tracks = output.counted(table)
    else:
        by = None if found is None else _parts_by(found, models, recommender)
        n_tracks, statistics = _write_lists(recommender, listeners, k, wanted, out, progress, by)
        n_rows = int(n_tracks["n_tracks"].sum())
        told = {"file": str(out), "n_listeners": len(listeners), "n_rows": n_rows}
        if as_json:
            print(json.dumps(told if rules is None else told | {"slates": statistics.summary()}))
        elif not quiet:
            print(f"{out}: {n_rows:,} rows for {len(listeners):,} listeners")
    output.note_short(n_tracks, len(queries), k)


def _read_rules(file: Path | None) -> SlateConfig:
    from audotics.slate import SlateConfig, read_rules

    return SlateConfig() if file is None else read_rules(file)


def _load(models: Path, model: str, include_heard: bool, progress: Progress) -> Recommender:
    """The version's recommender; a note says so where it was trained for the other question."""
    from audotics.cli import output
    from audotics.registry import Registry
    from audotics.training.publishing import load_version

    registry = Registry(models)
    with progress.stage("load the model"):
        recommender = load_version(registry, model)
    trained_for_heard = _trained_for_heard(registry.show(recommender.model_version))
    if include_heard and not trained_for_heard and recommender.heard is None:
        output.note(
            "the version was trained for tracks that the listener has not heard: "
            "nobody plays a track again in its training data"
        )
    elif trained_for_heard and not include_heard:
        output.note(
            "the version was trained for heard tracks, too; with --include-heard it answers what it was "
            "trained for"
        )
    return recommender


def _trained_for_heard(manifest: Manifest) -> bool:
    settings = manifest.config.get("train")
    return isinstance(settings, dict) and bool(settings.get("include_heard"))


def _parts_by(workers: RayWorkers, models: Path, recommender: Recommender) -> WriteParts:
    from audotics.distributed.batch import PartsByWorkers, SharedVersion
    from audotics.registry import Registry

    version = recommender.model_version
    return PartsByWorkers(
        workers, SharedVersion.of(Registry(models).folder(version), version, recommender.rules)
    )


def _write_lists(
    recommender: Recommender,
    listeners: list[str],
    k: int,
    mode: Mode,
    out: Path,
    progress: Progress,
    write_parts: WriteParts | None,
) -> tuple[pl.DataFrame, SlateStatistics]:
    from audotics.recommender.batch import BatchProcessor
    from audotics.recommender.batch_files import BatchFile

    file = BatchFile(BatchProcessor(recommender), out, write_parts)
    with progress.stage("recommend", total=len(listeners)) as stage:
        n_tracks = file.write(listeners, k, mode, stage.advance)
    return n_tracks, file.statistics


def similar(
    models: ModelsOption,
    track: Annotated[str, typer.Option(metavar="ID", help="The track to start from.", show_default=False)],
    k: _K = 10,
    model: VersionOption = CHAMPION,
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

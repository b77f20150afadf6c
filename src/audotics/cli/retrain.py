"""`audotics retrain`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import JsonOption, ModelsOption, QuietOption, TrackOption

if TYPE_CHECKING:
    from audotics.lifecycle.reports import RetrainReport
    from audotics.lifecycle.runs import Installation
    from audotics.lifecycle.triggers import Trigger

REFUSED = 3


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(retrain)


def retrain(
    models: ModelsOption,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATASET",
            help="What the champion was trained on; needed until a retraining keeps its own data.",
            show_default=False,
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The event log; else AUDOTICS_DATABASE_URL.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings that replace the champion's, as TOML."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One such setting; values as in TOML."),
    ] = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", metavar="FILE", help="Limits of the gates, as TOML.")
    ] = None,
    held_out_days: Annotated[
        float, typer.Option("--held-out-days", help="The newest days, which judge.", min=0.01)
    ] = 1.0,
    tune: Annotated[
        bool, typer.Option("--tune", help="Search the retrievers' settings anew, as `train` does.")
    ] = False,
    cold: Annotated[
        bool, typer.Option("--cold", help="Start at random, not from what the champion learned.")
    ] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for a retraining that is under way.")
    ] = 0.0,
    name: Annotated[str, typer.Option(help="A name for people, kept in the manifest.")] = "retrained",
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on until SIGTERM or Ctrl-C; retrain when there is a reason."),
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(metavar="HOURS", help="--watch: regularly; 24 if no reason is named.", min=0.001),
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", help="--watch: when the champion is so old.")
    ] = None,
    new_events: Annotated[
        int | None, typer.Option(metavar="N", help="--watch: when so many events are new.", min=1)
    ] = None,
    on_drift: Annotated[
        bool, typer.Option("--on-drift", help="--watch: when `audotics monitor` calls drift an alarm.")
    ] = False,
    on_quality_drop: Annotated[
        bool, typer.Option("--on-quality-drop", help="--watch: when it calls online quality an alarm.")
    ] = False,
    poll: Annotated[
        float, typer.Option(metavar="SECONDS", help="--watch: between two looks.", min=0.05)
    ] = 60.0,
    pause: Annotated[
        float, typer.Option(metavar="HOURS", help="--watch: least time between two attempts.", min=0)
    ] = 1.0,
    track: TrackOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a challenger on the event log since the champion, and promote it if the gates let it through.

    Exit code 0: promoted, or nothing to do. 3: refused (the challenger and its report stay), or somebody
    else is retraining. The champion's settings are taken over, those that tuning found included. A run that
    was killed is gone on with by the next one (docs/retraining.md).
    """
    from audotics.lifecycle.retraining import RetrainSettings
    from audotics.registry.names import check_name
    from audotics.training.config import read_config

    check_name(name, "version name")
    changes = read_config(config, settings or ()).model_dump(exclude_unset=True)
    wanted = RetrainSettings(data, held_out_days, changes, tune, not cold, name)
    installation = _installation(models, database, limits, track, quiet=quiet)
    if not watch:
        report = installation.retrain(wanted, wait_s=wait)
        _tell(report, as_json=as_json)
        raise typer.Exit(REFUSED if report.outcome == "refused" else 0)
    from audotics.lifecycle.watch import Watch

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: installation.stop.set())
    Watch(
        lambda reason: installation.retrain(wanted, reason, wait),
        installation.situation,
        _triggers(
            every,
            older_than,
            new_events,
            [*[installation.drifted] * on_drift, *[installation.quality_fell] * on_quality_drop],
        ),
        stop=installation.stop,
        poll_s=poll,
        pause=timedelta(hours=pause),
        tell=lambda report: _tell(report, as_json=as_json),
    ).run()


def _installation(
    models: Path, database: str | None, limits: Path | None, track: str | None, *, quiet: bool
) -> Installation:
    from audotics.errors import MissingExtraError
    from audotics.lifecycle.limits import read_limits
    from audotics.settings import read_settings
    from audotics.telemetry import progress_on_stderr

    try:
        from audotics.journal.engine import open_engine
        from audotics.lifecycle.runs import DATABASE_TIMEOUT_S, Installation
    except ModuleNotFoundError as error:
        raise MissingExtraError("retraining", "serve") from error
    log = None
    if track is not None:
        from audotics.cli import output
        from audotics.lifecycle.tracking import tracker

        log = tracker(track, models, output.note)
    url = database or read_settings().database_url.get_secret_value()
    return Installation(
        models,
        open_engine(url, timeout_s=DATABASE_TIMEOUT_S),
        read_limits(limits),
        new_progress=lambda checkpoint: progress_on_stderr(quiet=quiet, checkpoint=checkpoint),
        on_published=log,
    )


def _triggers(
    every: float | None,
    older_than: float | None,
    new_events: int | None,
    alarms: Sequence[Callable[[], str]],
) -> list[Trigger]:
    """The triggers that were named, the cheapest to ask first; a day's wait where none was."""
    from audotics.lifecycle.triggers import Every, NewEvents, OlderThan, When

    found: list[Trigger] = []
    if older_than is not None:
        found.append(OlderThan(older_than))
    if new_events is not None:
        found.append(NewEvents(new_events))
    if every is not None or not (found or alarms):
        found.append(Every(every or 24.0))
    return [*found, *map(When, alarms)]


def _tell(report: RetrainReport, *, as_json: bool) -> None:
    if as_json:
        print(report.model_dump_json(), flush=True)
        return
    what = {"promoted": "is the champion now", "refused": "was refused", "nothing": "nothing to do"}
    subject = report.version or ("the data" if report.outcome == "refused" else "")
    print(f"{subject} {what[report.outcome]} ({report.trigger})".strip(), flush=True)
    for reason in report.reasons:
        print(f"  {reason}", flush=True)

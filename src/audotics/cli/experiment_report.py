"""`audotics experiment report` and `audotics experiment plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import JsonOption

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Engine

    from audotics.experiments.definition import Experiment
    from audotics.experiments.planning import PlannedRun

_Database = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="The journal; else AUDOTICS_DATABASE_URL.", show_default=False
    ),
]
_Dataset = Annotated[
    Path | None,
    typer.Option(
        "--dataset", metavar="DIR", help="Whose catalogue tells the artists of tracks.", show_default=False
    ),
]
_Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report as a page.", show_default=False),
]


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``experiment``."""
    group.command()(report)
    group.command()(plan)


def report(
    name: Annotated[str, typer.Argument(help="The experiment.", show_default=False)],
    planned_listeners: Annotated[
        int,
        typer.Option(
            "--planned-listeners",
            metavar="N",
            min=2,
            help="Listeners of two arms at which intervals are narrowest. Choose it once, before the start.",
        ),
    ] = 10_000,
    dataset: _Dataset = None,
    html: _Html = None,
    as_json: JsonOption = False,
    database: _Database = None,
) -> None:
    """Tell what an experiment has found so far: looking every day does no harm.

    Intervals that hold at every look stand beside those for one day chosen beforehand. Ends with exit code 3
    where a guardrail is breached or a check of the data failed.
    """
    from datetime import UTC, datetime

    from audotics.cli.output import check_target, replacing
    from audotics.experiments.definition import Kind
    from audotics.experiments.logged import report_from_journal
    from audotics.experiments.store import ExperimentStore

    if html is not None:
        check_target(html)
    engine = _engine(database)
    try:
        experiment = ExperimentStore(engine).get(name)
        if experiment.kind is Kind.INTERLEAVING:
            _show_preference(engine, experiment, as_json=as_json)
            return
        found = report_from_journal(
            engine,
            experiment,
            datetime.now(UTC),
            tracks=_tracks(dataset),
            planned_listeners=planned_listeners,
        )
    finally:
        engine.dispose()
    if html is not None:
        from audotics.experiments.report_pages import experiment_page

        with replacing(html) as part:
            part.write_text(experiment_page(found), encoding="utf-8")
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        from rich.console import Console

        from audotics.experiments.report_pages import experiment_panels

        Console().print(experiment_panels(found))
    if found.stop or not found.believable:
        raise typer.Exit(3)


def plan(
    metric: Annotated[str, typer.Argument(help="completion, skip, like, listening_minutes, ...")],
    effect: Annotated[
        float | None,
        typer.Option(
            "--effect", metavar="PART", help="Relative change to be found: 0.02 is 2 %.", show_default=False
        ),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", min=0.0001, max=1, help="Of all listeners, in two arms together.")
    ] = 1.0,
    power: Annotated[float, typer.Option("--power", min=0.5, max=0.999, help="Chance to find it.")] = 0.8,
    alpha: Annotated[float, typer.Option("--alpha", min=0.0001, max=0.4, help="False alarms.")] = 0.05,
    treatments: Annotated[int, typer.Option("--treatments", min=1, max=19, help="Arms beside control.")] = 1,
    dataset: _Dataset = None,
    as_json: JsonOption = False,
    database: _Database = None,
) -> None:
    """Tell before the start what an experiment of some days could find, from the history of listening.

    History is the journal's, or that of a Dataset.
    """
    import polars as pl

    from audotics.errors import BadInputError
    from audotics.experiments.definition import MetricName
    from audotics.experiments.planning import plan as planned

    if metric not in list(MetricName):
        raise BadInputError(
            f"there is no metric {metric!r}", where="plan", remedy=f"Metrics are {', '.join(MetricName)}"
        )
    events = pl.concat(_history(dataset, database))
    runs = planned(
        events,
        MetricName(metric),
        share=share,
        effect=effect,
        alpha=alpha,
        power=power,
        n_treatments=treatments,
        tracks=_tracks(dataset),
    )
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps([asdict(run) | {"enough": run.enough} for run in runs], indent=2))
    else:
        _show_plan(runs)


def _engine(database: str | None) -> Engine:
    from audotics.experiments.tables import prepare_experiments
    from audotics.journal.engine import open_engine
    from audotics.settings import read_settings

    engine = open_engine(database or read_settings().database_url.get_secret_value())
    prepare_experiments(engine)
    return engine


def _tracks(dataset: Path | None) -> pl.DataFrame | None:
    if dataset is None:
        return None
    from audotics.data.dataset import Dataset

    table = Dataset.open(dataset).tracks()
    return table.select("track_id", "artist_id").drop_nulls() if "artist_id" in table.columns else None


def _history(dataset: Path | None, database: str | None) -> list[pl.DataFrame]:
    from audotics.experiments.logged import EVENTS

    columns = [name for name in EVENTS if name != "request_id"]
    if dataset is not None:
        from audotics.data.dataset import Dataset

        return [Dataset.open(dataset).events().select(columns).collect()]
    from datetime import UTC, datetime, timedelta

    from audotics.experiments.logged import LoggedExperiment

    engine = _engine(database)
    try:
        since = datetime.now(UTC) - timedelta(days=60)
        return [LoggedExperiment.read(engine, since).events.select(columns)]
    finally:
        engine.dispose()


def _show_preference(engine: Engine, experiment: Experiment, *, as_json: bool) -> None:
    from dataclasses import asdict

    from audotics.experiments.logged import preference_from_journal

    found = preference_from_journal(engine, experiment)
    if as_json:
        import json

        print(json.dumps(asdict(found), indent=2))
        return
    for field, value in asdict(found).items():
        print(f"{field.replace('_', ' ')}: {value:.4g}")


def _show_plan(runs: list[PlannedRun]) -> None:
    from rich.console import Console

    from audotics.evaluation.cells import ReportTable
    from audotics.evaluation.render import table_parts

    rows = tuple(
        (
            f"{run.n_days} days",
            f"{run.n_listeners:,}",
            f"{run.mean:.4g}",
            f"{run.explained:.0%}",
            f"{run.detectable:.2%}",
            f"{run.detectable_cuped:.2%}",
            f"{run.detectable_any_day:.2%}",
            "–" if run.needed is None else f"{run.needed:,}" + (" (enough)" if run.enough else ""),
        )
        for run in runs
    )
    note = (
        "Found: the smallest relative change that is found with the wanted power at the end. Any day: by the"
        " interval that may be looked at every day."
    )
    columns = (
        "length",
        "listeners",
        "mean",
        "CUPED explains",
        "found",
        "with CUPED",
        "any day",
        "listeners needed",
    )
    for part in table_parts(ReportTable("What experiments of some length could find", note, columns, rows)):
        Console().print(part)

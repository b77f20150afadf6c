"""`audotics experiment`: create, start, ramp up, stop, list, show and promote experiments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli import experiment_report
from audotics.cli.options import JsonOption, ModelsOption

if TYPE_CHECKING:
    from audotics.experiments.definition import Experiment
    from audotics.experiments.store import ExperimentStore

_Name = Annotated[str, typer.Argument(help="The experiment.", show_default=False)]
_Reason = Annotated[str, typer.Option("--reason", help="Why; kept on record.", show_default=False)]
_Database = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="The journal; else AUDOTICS_DATABASE_URL.", show_default=False
    ),
]

_experiment = typer.Typer(
    help="Experiments: versions, rules and parameters compared on live traffic.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(_experiment, name="experiment")


@_experiment.command()
def create(
    definition: Annotated[
        Path, typer.Argument(metavar="FILE", help="The definition, TOML or JSON.", show_default=False)
    ],
    reason: _Reason = "",
    database: _Database = None,
) -> None:
    """Keep a definition as a draft; docs/experiments.md tells its fields.

    A draft deals nobody out before `audotics experiment start`.
    """
    from audotics.experiments.definition import Definition

    with _store(database) as store:
        made = store.create(Definition.read(definition), reason)
    print(f"{made.name}: draft, arms {_shares(made)}")


@_experiment.command()
def start(name: _Name, models: ModelsOption, reason: _Reason = "", database: _Database = None) -> None:
    """Deal listeners out from now on.

    Where an arm names a model, every arm is pinned to the version that its model is now, verified first. Exit
    code 3 where another experiment is in the way.
    """
    from audotics.registry import Registry

    registry = Registry(models)
    with _store(database) as store:
        running = store.start(name, lambda model: registry.verify(model).version, reason)
    versions = [f"{arm.name} = {arm.model}" for arm in running.arms if arm.model]
    print(f"{name}: running, arms {_shares(running)}{'; ' if versions else ''}{', '.join(versions)}")


@_experiment.command()
def shares(
    name: _Name,
    arms: Annotated[
        list[str],
        typer.Argument(metavar="ARM=SHARE...", help="Hundredths of a percent: 10000 is everybody."),
    ],
    reason: _Reason = "",
    database: _Database = None,
) -> None:
    """Ramp arms of a running experiment up or down; nobody changes from one arm to another.

    Exit code 3 where listeners would have to.
    """
    with _store(database) as store:
        changed = store.change_shares(name, _parsed(arms), reason)
    print(f"{name}: arms {_shares(changed)}")


@_experiment.command()
def stop(name: _Name, reason: _Reason = "", database: _Database = None) -> None:
    """End an experiment: its listeners get what everybody gets. It does not start again."""
    with _store(database) as store:
        store.stop(name, reason)
    print(f"{name}: stopped")


@_experiment.command()
def promote(
    name: _Name,
    arm: Annotated[str, typer.Argument(help="The winner; the control to roll back.", show_default=False)],
    models: ModelsOption,
    reason: _Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Whatever the gates said of the version.")] = False,
    database: _Database = None,
) -> None:
    """Verify an arm's version, make it the champion and stop the experiment.

    Exit code 3 where the version is damaged, or the gates refused it when it was trained.
    """
    from audotics.experiments import promotion
    from audotics.lifecycle.winners import check_gates
    from audotics.registry import Registry

    def check(version: str) -> None:
        if not force:
            check_gates(models, version)

    with _store(database) as store:
        done = promotion.promote(store, Registry(models), name, arm, reason, check)
    print(f"champion -> {done.version} (before: {done.before}); {name}: {done.experiment.state.value}")


@_experiment.command("list")
def list_experiments(as_json: JsonOption = False, database: _Database = None) -> None:
    """List every experiment, by name, and the holdout."""
    with _store(database) as store:
        snapshot = store.snapshot()
    if as_json:
        rows = [one.model_dump(mode="json") for one in snapshot.experiments]
        print(json.dumps({"experiments": rows, "holdout": snapshot.holdout.model_dump()}, indent=2))
        return
    for one in snapshot.experiments:
        print(f"{one.name}  {one.state.value}  {one.kind.value}  layer {one.layer}  {_shares(one)}")
    if not snapshot.experiments:
        print("no experiment yet; make one: audotics experiment create FILE")
    if snapshot.holdout.share:
        print(f"holdout  {snapshot.holdout.share / 100:g} %")


@_experiment.command()
def show(name: _Name, database: _Database = None) -> None:
    """Print an experiment as JSON, with the buckets of its arms and the record of its changes."""
    with _store(database) as store:
        found, record = store.get(name), store.history(name)
    history = [
        {"at": one.at.isoformat(), "action": one.action, "actor": one.actor, "reason": one.reason}
        for one in record
    ]
    print(json.dumps(found.model_dump(mode="json") | {"history": history}, indent=2))


@_experiment.command()
def holdout(
    share: Annotated[
        int, typer.Argument(min=0, max=10_000, help="Hundredths of a percent.", show_default=False)
    ],
    reason: _Reason = "",
    database: _Database = None,
) -> None:
    """Keep listeners out of every experiment: they get what is popular, without personalisation.

    Raising the share adds listeners and moves none.
    """
    from audotics.experiments.assignment import Holdout

    with _store(database) as store:
        salt = store.snapshot().holdout.salt
        kept = store.set_holdout(Holdout(share=share, salt=salt), reason)
    print(f"holdout: {kept.share / 100:g} %")


@contextmanager
def _store(database: str | None) -> Iterator[ExperimentStore]:
    from audotics.experiments.store import ExperimentStore
    from audotics.experiments.tables import prepare_experiments
    from audotics.journal.engine import open_engine
    from audotics.settings import read_settings

    # People at a terminal wait longer than requests do.
    url = database or read_settings().database_url.get_secret_value()
    engine = open_engine(url, timeout_s=10)
    try:
        prepare_experiments(engine)
        yield ExperimentStore(engine)
    finally:
        engine.dispose()


def _shares(experiment: Experiment) -> str:
    return ", ".join(f"{arm.name} {arm.share / 100:g} %" for arm in experiment.arms)


def _parsed(arms: list[str]) -> dict[str, int]:
    from audotics.errors import BadInputError

    shares = {}
    for given in arms:
        arm, _, share = given.partition("=")
        if not (arm and share.isdecimal()):
            raise BadInputError(
                f"{given!r} is no share", where="ARM=SHARE", remedy="Write new=5000 for half of the listeners"
            )
        shares[arm] = int(share)
    return shares


experiment_report.register(_experiment)

"""`audotics models`: list, show, compare, verify, promote, roll back, prune, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audotics.cli.options import JsonOption, MapOption, ModelsOption, QuietOption, parse_map
from audotics.errors import DamagedError
from audotics.registry.names import CHAMPION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audotics.evaluation.cells import ReportTable
    from audotics.registry import Manifest, Registry

_Version = Annotated[str, typer.Argument(help="A version, an alias or 'latest'.", show_default=False)]
_Alias = Annotated[str, typer.Option("--alias", help="Which alias.")]

_Dataset = Annotated[
    Path | None, typer.Argument(help="Events that neither has learned from are in it.", show_default=False)
]
_Test = Annotated[
    Path | None,
    typer.Option("--test", metavar="FILE", help="Held-out user_id and track_id.", show_default=False),
]

_Keep = Annotated[int, typer.Option("--keep", min=1, help="How many of the newest stay.", show_default=False)]
_Protect = Annotated[
    list[str] | None,
    typer.Option("--protect", metavar="VERSION", help="Stays, too. Repeatable.", show_default=False),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell.")]

_models = typer.Typer(help="Trained versions and the aliases that point to them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(_models, name="models")


def _registry(models: ModelsOption) -> Registry:
    from audotics.registry import Registry

    return Registry(models)


@_models.command("list")
def list_versions(models: ModelsOption, as_json: JsonOption = False) -> None:
    """List every version, oldest first."""
    registry = _registry(models)
    pointers = registry.aliases()
    rows = []
    for version in registry.versions():
        aliases = sorted(alias for alias, target in pointers.items() if target == version)
        try:
            manifest = registry.show(version)
            row = {"version": version, "name": manifest.name, "dataset": manifest.dataset.fingerprint[:12]}
        except DamagedError as error:
            row = {"version": version, "name": "DAMAGED", "dataset": error.what}
        rows.append(row | {"aliases": ", ".join(aliases)})
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows, empty=f"no version in {models}")


@_models.command()
def show(version: _Version, models: ModelsOption, as_json: JsonOption = False) -> None:
    """Print what a version's manifest says: data, settings, quality, code, machine.

    With --json the whole manifest.
    """
    registry = _registry(models)
    manifest = registry.show(version)
    if as_json:
        print(manifest.to_json(), end="")
        return
    from audotics.cli.version_tables import version_tables

    aliases = sorted(alias for alias, target in registry.aliases().items() if target == manifest.version)
    _print_tables(version_tables(manifest, aliases))


@_models.command()
def compare(
    first: _Version,
    second: _Version,
    models: ModelsOption,
    dataset: _Dataset = None,
    test: _Test = None,
    column_map: MapOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare two versions: quality in pairs, overlap of their lists, settings and lineage.

    With a DATASET that goes on after the training of both, its later events are held out; with --test the
    DATASET is all that came before the test. Without, only lists, settings and lineage are compared.
    """
    from audotics.data.dataset import Dataset
    from audotics.data.heldout import read_held_out
    from audotics.errors import BadInputError
    from audotics.lifecycle.comparison import compare as compare_versions
    from audotics.telemetry import progress_on_stderr

    if test is not None and dataset is None:
        raise BadInputError("the listeners' histories are missing", where="--test", remedy="Give the DATASET")
    found = compare_versions(
        _registry(models),
        first,
        second,
        None if dataset is None else Dataset.open(dataset),
        test=None if test is None else read_held_out(test, parse_map(column_map or ())),
        progress=progress_on_stderr(quiet=quiet),
    )
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    from audotics.cli.version_tables import comparison_tables

    print(f"first {found.first}, second {found.second}")
    _print_tables(comparison_tables(found))


@_models.command()
def prune(
    models: ModelsOption,
    keep: _Keep,
    protect: _Protect = None,
    dry_run: _DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Remove old versions; never one that an alias points to or can be rolled back to, or an experiment runs.

    Each alias keeps the two versions before its own. A server that has a removed version loaded goes on with
    it. What was removed stands in pruned.jsonl.
    """
    from audotics.experiments.pinned import pinned_versions
    from audotics.settings import read_settings

    registry = _registry(models)
    pinned = pinned_versions(read_settings().database_url.get_secret_value())
    protected = [*pinned, *(registry.resolve(version) for version in protect or ())]
    done = registry.prune(keep, protected=protected, dry_run=dry_run)
    if as_json:
        print(json.dumps({"removed": done.removed, "kept": done.kept, "dry_run": dry_run}, indent=2))
        return
    verb = "would remove" if dry_run else "removed"
    gone = {name: (verb, f"{size / 2**20:,.1f} MiB") for name, size in done.removed.items()}
    stays = {name: ("kept", why) for name, why in done.kept.items()}
    rows = [{"version": name, "": what, "why": why} for name, (what, why) in (gone | stays).items()]
    _print_table(sorted(rows, key=lambda row: row["version"]), empty=f"no version in {models}")


@_models.command()
def verify(version: _Version, models: ModelsOption) -> None:
    """Check a version's files against its manifest.

    Exit code 3 and the file's name where one is missing, changed or not listed.
    """
    manifest = _registry(models).verify(version)
    print(f"{manifest.version}: {_describe_files(manifest)}, all as published")


@_models.command()
def promote(version: _Version, models: ModelsOption, alias: _Alias = CHAMPION) -> None:
    """Verify a version and point an alias to it."""
    print(f"{alias} -> {_registry(models).set_alias(alias, version)}")


@_models.command()
def rollback(models: ModelsOption, alias: _Alias = CHAMPION) -> None:
    """Point an alias back to its version before.

    The earlier version must be whole; rolling back twice goes back two moves.
    """
    print(f"{alias} -> {_registry(models).rollback(alias)}")


@_models.command()
def export(
    version: _Version,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.", show_default=False)],
    models: ModelsOption,
    to: Annotated[Literal["tf-serving"], typer.Option("--to", help="In whose layout.", show_default=False)],
) -> None:
    """Write a version's deep rankers for another server.

    tf-serving: DIR/audotics/NUMBER/ as TensorFlow Serving loads it, with a signature for each deep ranker and
    warm-up requests, and DIR/models.config and DIR/batching.config where they are missing. The version is
    verified first. Exit code 2 where it has no deep ranker or is there already.
    """
    from audotics.ranking.serving_export import export_for_tf_serving

    registry = _registry(models)
    found = registry.verify(version).version
    done = export_for_tf_serving(registry.folder(found), found, target)
    print(f"{done.folder}: signatures {', '.join(done.signatures)}")


def _describe_files(manifest: Manifest) -> str:
    return f"{len(manifest.files)} files, {manifest.size_bytes / 2**20:,.1f} MiB"


def _print_tables(tables: Iterable[ReportTable]) -> None:
    from rich.console import Console, Group

    from audotics.evaluation.render import table_parts

    Console().print(Group(*(part for table in tables for part in table_parts(table))))


def _print_table(rows: list[dict[str, str]], *, empty: str) -> None:
    if not rows:
        print(empty)
        return
    table = [{column: column for column in rows[0]}, *rows]
    widths = {column: max(len(row[column]) for row in table) for column in rows[0]}
    for row in table:
        print("  ".join(value.ljust(widths[column]) for column, value in row.items()).rstrip())

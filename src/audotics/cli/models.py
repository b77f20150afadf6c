"""`audotics models`: list, show, verify, promote, roll back, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audotics.cli.options import JsonOption, ModelsOption
from audotics.errors import DamagedError
from audotics.registry.names import CHAMPION

if TYPE_CHECKING:
    from audotics.registry import Manifest, Registry

_Version = Annotated[str, typer.Argument(help="A version, an alias or 'latest'.", show_default=False)]
_Alias = Annotated[str, typer.Option("--alias", help="Which alias.")]

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
def show(version: _Version, models: ModelsOption) -> None:
    """Print a version's manifest as JSON."""
    print(_registry(models).show(version).to_json(), end="")


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

    The earlier version is verified first; rolling back twice goes back two moves.
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
    size = sum(file.size for file in manifest.files.values())
    return f"{len(manifest.files)} files, {size / 2**20:,.1f} MiB"


def _print_table(rows: list[dict[str, str]], *, empty: str) -> None:
    if not rows:
        print(empty)
        return
    table = [{column: column for column in rows[0]}, *rows]
    widths = {column: max(len(row[column]) for row in table) for column in rows[0]}
    for row in table:
        print("  ".join(value.ljust(widths[column]) for column, value in row.items()).rstrip())

"""`audotics serve` and the API keys that it asks for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audotics.cli.options import EngineOption, ModelsOption

if TYPE_CHECKING:
    from audotics.serving.access import KeyFile

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")

_keys = typer.Typer(help="API keys of the server.", no_args_is_help=True)

_KeyFileOption = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FILE", help="The key file; else AUDOTICS_KEYS.", show_default=False),
]
_Name = Annotated[str, typer.Argument(help="What the key is called.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(serve)
    app.add_typer(_keys, name="keys")


def serve(
    models: ModelsOption,
    host: Annotated[str | None, typer.Option(help="Address; else 127.0.0.1.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port; else 8000.", show_default=False)] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port; else 1.", show_default=False)
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="litert|tensorflow|grpc://HOST:8500,...|http://HOST:8501,...",
            help="What scores with deep rankers; else litert.",
            show_default=False,
        ),
    ] = None,
    engine: EngineOption = "local",
    most_workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --engine ray: most replicas under load; else --workers.", show_default=False
        ),
    ] = None,
) -> None:
    """Answer the HTTP API until Ctrl-C or SIGTERM.

    Needs the optional group 'serve'. Database, Redis, keys, limits and deadline come from AUDOTICS_...
    variables or audotics.toml (docs/serving.md lists them). The page /docs documents the API.
    With --engine ray, Ray Serve runs the workers as replicas (docs/ray.md).
    """
    # One thread of linear algebra in each worker: cores are shared by workers, not by a request. Set before
    # numpy is imported, which reads them once.
    for variable in _ONE_THREAD:
        os.environ.setdefault(variable, "1")
    from audotics.errors import MissingExtraError
    from audotics.ranking.runtimes.choice import ScorerChoice
    from audotics.settings import read_settings

    options = {"models": models, "host": host, "port": port, "workers": workers, "scorer": scorer}
    given = {name: str(value) for name, value in options.items() if value is not None}
    environment = {f"AUDOTICS_{name.upper()}": value for name, value in given.items()}
    os.environ.update(environment)
    settings = read_settings()
    ScorerChoice.parse(settings.scorer)
    try:
        from audotics.serving import workers as processes
    except ModuleNotFoundError as error:
        raise MissingExtraError("the server", "serve") from error
    if engine == "ray":
        from audotics.distributed import serving

        replicas = serving.Replicas(settings.workers, most_workers or settings.workers)
        code = serving.serve(settings, replicas)
    else:
        code = processes.serve(settings, environment)
    if code:
        raise typer.Exit(code)


@_keys.command()
def create(
    name: _Name,
    scope: Annotated[
        Literal["read", "write", "admin"], typer.Option(help="What it allows; each includes those before it.")
    ] = "read",
    keys: _KeyFileOption = None,
) -> None:
    """Make a key and print its secret, once."""
    from audotics.serving.access import Scope

    print(_key_file(keys).create(name, Scope(scope)))


@_keys.command("list")
def list_keys(keys: _KeyFileOption = None) -> None:
    """List names and scopes."""
    for key in _key_file(keys).all():
        print(f"{key.name}  {key.scope.value}")


@_keys.command()
def revoke(name: _Name, keys: _KeyFileOption = None) -> None:
    """Remove a key; servers heed it after their next start."""
    _key_file(keys).revoke(name)
    print(f"{name} is revoked")


def _key_file(path: Path | None) -> KeyFile:
    from audotics.errors import BadInputError
    from audotics.serving.access import KeyFile
    from audotics.settings import read_settings

    found = path or read_settings().keys
    if found is None:
        raise BadInputError(
            "no key file is named", where="--keys", remedy="Give --keys FILE or set AUDOTICS_KEYS"
        )
    return KeyFile(found)

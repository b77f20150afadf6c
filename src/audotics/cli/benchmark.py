"""`audotics benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import MapOption, QuietOption, parse_map
from audotics.registry.names import CHAMPION

if TYPE_CHECKING:
    from audotics.benchmark.report import BenchmarkReport
    from audotics.benchmark.systems import Ours
    from audotics.data.dataset import Dataset
    from audotics.training.config import TrainConfig

_Dataset = Annotated[Path, typer.Argument(help="A Dataset folder.", show_default=False)]
_Test = Annotated[
    Path | None,
    typer.Option(
        "--test",
        metavar="FILE",
        help="Held-out user_id and track_id; else a part is held out.",
        show_default=False,
    ),
]
_Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="NAMES",
        help="Peers, joined by commas; else all that are installed.",
        show_default=False,
    ),
]
_JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the report.", show_default=False)
]
_Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw it: .png, .svg or .pdf.", show_default=False),
]
_Trials = Annotated[int, typer.Option("--trials", min=1, help="Most settings that each peer tries.")]
_Seconds = Annotated[float, typer.Option("--seconds", min=0, help="Time box of each peer's tuning.")]
_Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds after which a process is ended.")]
_Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of every system; else all cores.", show_default=False),
]
_Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
_IncludeHeard = Annotated[
    bool, typer.Option("--include-heard", help="Heard tracks may be recommended and count.")
]
_PeersOnly = Annotated[bool, typer.Option("--peers-only", help="Leave ours out.")]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting of our training.", show_default=False),
]
_Models = Annotated[
    Path | None,
    typer.Option(
        "--models", metavar="DIR", help="Take a trained version of ours from here.", show_default=False
    ),
]
_Version = Annotated[str, typer.Option("--model", help="With --models: a version, an alias or 'latest'.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(benchmark)


def benchmark(
    dataset: _Dataset,
    test: _Test = None,
    column_map: MapOption = None,
    against: _Against = None,
    json_file: _JsonFile = None,
    plot: _Plot = None,
    trials: _Trials = 40,
    seconds: _Seconds = 120.0,
    timeout: _Timeout = 3600.0,
    threads: _Threads = None,
    seed: _Seed = 0,
    include_heard: _IncludeHeard = False,
    peers_only: _PeersOnly = False,
    settings: _Settings = None,
    models: _Models = None,
    model: _Version = CHAMPION,
    quiet: QuietOption = False,
) -> None:
    """Measure ours beside the peers' own libraries, tuned on the same split.

    Each system runs in processes of its own: quality with intervals and paired tests, seconds, peak memory
    and lists per second.
    """
    from audotics.benchmark import Conditions, run_benchmark
    from audotics.benchmark.machine import usable_cores
    from audotics.data.dataset import Dataset
    from audotics.data.heldout import read_held_out
    from audotics.telemetry import progress_on_stderr
    from audotics.training.config import read_config

    _check_targets(json_file, plot)
    _refuse_what_does_not_go_together(test, column_map, models, settings, peers_only)
    heard = ["include_heard=true"] if include_heard else []
    config = read_config(None, [f"seed={seed}", *(settings or ()), *heard])
    opened = Dataset.open(dataset)
    report = run_benchmark(
        opened,
        None if test is None else read_held_out(test, parse_map(column_map or ())),
        Conditions(
            trials=trials,
            seconds=seconds,
            timeout_s=timeout,
            threads=threads or usable_cores(),
            seed=config.seed,
        ),
        config=config,
        peers=None if against is None else [name.strip() for name in against.split(",") if name.strip()],
        ours=None if peers_only else _ours(opened, config, models, model),
        progress=progress_on_stderr(quiet=quiet),
    )
    _tell(report, json_file, plot)


def _check_targets(json_file: Path | None, plot: Path | None) -> None:
    from audotics.benchmark.plot import check_plot_target
    from audotics.cli import output

    for target in filter(None, (json_file, plot)):
        output.check_target(target)
    if plot is not None:
        check_plot_target(plot)


def _refuse_what_does_not_go_together(
    test: Path | None,
    column_map: list[str] | None,
    models: Path | None,
    settings: list[str] | None,
    peers_only: bool,
) -> None:
    from audotics.errors import BadInputError

    if column_map and test is None:
        raise BadInputError(
            "this belongs to a test file", where="--map", remedy="Leave it out, or give --test FILE"
        )
    if models is None:
        return
    if test is None:
        raise BadInputError(
            "a trained version has seen all of its Dataset, so nothing can be held out of it now",
            where="--models",
            remedy="Give --test FILE with what the Dataset lacks, or leave --models out",
        )
    if settings or peers_only:
        raise BadInputError(
            "a version is taken as it is, and it is ours",
            where="--models",
            remedy="Leave --set and --peers-only out, or --models",
        )


def _ours(dataset: Dataset, config: TrainConfig, models: Path | None, model: str) -> Ours:
    from audotics.benchmark import Ours

    if models is None:
        return Ours(config)
    from audotics.benchmark.own import find_version

    return Ours(config, find_version(dataset, models, model))


def _tell(report: BenchmarkReport, json_file: Path | None, plot: Path | None) -> None:
    from rich.console import Console

    from audotics.benchmark import benchmark_panels, write_plot
    from audotics.cli import output

    Console().print(benchmark_panels(report))
    if json_file is not None:
        with output.replacing(json_file) as part:
            report.to_json(part)
    if plot is not None:
        with output.replacing(plot) as part:
            write_plot(report, part, plot.suffix.lower().removeprefix("."))

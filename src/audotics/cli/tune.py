"""`audotics tune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.options import JsonOption, QuietOption

if TYPE_CHECKING:
    from rich.table import Table

    from audotics.training.tuning_history import TuningHistory
    from audotics.training.tuning_run import TunedRetriever, TuningResult

_Dataset = Annotated[Path, typer.Argument(help="A Dataset folder.", show_default=False)]
_Trials = Annotated[
    int,
    typer.Option(
        "--trials",
        metavar="N",
        min=0,
        help="New trials of each retriever; 0 only tells what the history says.",
    ),
]
_Seconds = Annotated[
    float, typer.Option("--seconds", metavar="S", min=0, help="Time box of the whole search; inf for none.")
]
_Retrievers = Annotated[
    list[str] | None,
    typer.Option(
        "--retriever",
        metavar="NAME",
        help="Search this one; else all that training would use. Repeatable.",
        show_default=False,
    ),
]
_History = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="Where every trial is kept, and where the search goes on from; else DATASET-tuning.jsonl here.",
        show_default=False,
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Where the settings found are written as TOML; else DATASET-tuned.toml here.",
        show_default=False,
    ),
]
_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings of the training to come, as TOML.", show_default=False
    ),
]
_Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One of these settings; values as in TOML.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(tune)


def tune(
    dataset: _Dataset,
    trials: _Trials = 50,
    seconds: _Seconds = 3600.0,
    retrievers: _Retrievers = None,
    history: _History = None,
    out: _Out = None,
    config: _Config = None,
    settings: _Settings = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search the settings of every retriever for longer than training does, keeping every trial.

    It may be interrupted: the same command goes on where it stopped. Settings are written that beat the
    defaults by more than one standard error, for `audotics train --config`.
    """
    from audotics.cli import output
    from audotics.data.dataset import Dataset
    from audotics.telemetry import progress_on_stderr
    from audotics.training.config import read_config
    from audotics.training.tuning_history import TuningHistory
    from audotics.training.tuning_run import TuningRun

    wanted = read_config(config, settings or ())
    opened = Dataset.open(dataset)
    name = dataset.resolve().name
    target = out or Path(f"{name}-tuned.toml")
    kept_in = history or Path(f"{name}-tuning.jsonl")
    for file in (target, kept_in):
        output.check_target(file)
    kept = TuningHistory(kept_in)
    _note_unreadable(kept)
    run = TuningRun(wanted, kept, retrievers or (), progress_on_stderr(quiet=quiet))
    try:
        result = run.run(opened, trials, seconds)
    except KeyboardInterrupt:
        output.note(f"finished trials are kept in {kept.path}; the same command goes on from there")
        raise
    with output.replacing(target) as part:
        part.write_text(result.config_text(wanted), encoding="utf-8")
    if as_json:
        print(json.dumps(_as_dict(result, kept.path, target)))
    else:
        _print_summary(result, kept.path)
        print(f"Wrote {target}. Train with it: audotics train {dataset} --config {target}")


def _note_unreadable(history: TuningHistory) -> None:
    from audotics.cli import output

    if history.unreadable:
        lines = ", ".join(map(str, history.unreadable[:5])) + ", ..." * (len(history.unreadable) > 5)
        output.note(f"{history.path}: no trial can be read in line {lines}; it is left out")


def _as_dict(result: TuningResult, history: Path, out: Path) -> dict[str, Any]:
    return {
        "history": str(history),
        "out": str(out),
        **result.basis.model_dump(mode="json"),
        "n_new": result.n_new,
        "n_others": result.n_others,
        "retrievers": [
            {
                "name": tuned.name,
                "n_trials": tuned.n_trials,
                "default_ndcg": tuned.defaults.ndcg,
                "best_ndcg": tuned.best.ndcg,
                "lead": tuned.best.lead,
                "standard_error": tuned.best.standard_error,
                "gains": tuned.best.gains,
                "best_settings": tuned.best.settings,
                "settings": tuned.settings,
            }
            for tuned in result.retrievers
        ],
    }


def _print_summary(result: TuningResult, history: Path) -> None:
    from rich.console import Console

    print(f"Held out: {result.basis.holdout}")
    print("NDCG@20 on the listeners that teach, of the defaults and the best:")
    Console().print(_table(result.retrievers))
    print("lead: over the defaults, ± its standard error; * more than that, so chosen")
    total = sum(tuned.n_trials for tuned in result.retrievers)
    others = f", and {result.n_others:,} of other data, splits or releases" if result.n_others else ""
    print(f"{history}: {result.n_new:,} new trials, {total:,} in all{others}")


def _table(retrievers: list[TunedRetriever]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("retriever")
    for heading in ("trials", "default", "best", "lead"):
        table.add_column(heading, justify="right")
    table.add_column("best settings", style="dim")
    for tuned in retrievers:
        best, changed = tuned.best, _changed(tuned)
        lead = f"{best.lead:+.4f} ±{best.standard_error:.4f}{'*' if tuned.best.gains else ' '}"
        table.add_row(
            tuned.name,
            str(tuned.n_trials),
            f"{tuned.defaults.ndcg:.4f}",
            f"{best.ndcg:.4f}",
            lead if changed else "",
            changed or "the defaults",
        )
    return table


def _changed(tuned: TunedRetriever) -> str:
    """What the best settings change of the defaults."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in tuned.best.settings.items()
        if value != tuned.defaults.settings[name]
    )

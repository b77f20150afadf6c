"""Lists of recommendations on the terminal and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from audotics.domain import Query
from audotics.errors import BadInputError
from audotics.recommender.reasons import track_names
from audotics.recommender.recommender import Recommender

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")


def chosen_listeners(user: str | None, users: Path | None, everyone: bool) -> list[str] | None:
    """Ids of the listeners that the options name; None stands for all.

    Raises:
        BadInputError: Not exactly one option is given, or the file has no ids.
    """
    if (user is not None) + (users is not None) + everyone != 1:
        raise BadInputError(
            "say whom to recommend to",
            where="options",
            remedy="Give one of --user ID, --users FILE and --all",
        )
    if everyone:
        return None
    return [user] if user is not None else _read_ids(users or Path())


def check_target(out: Path | None) -> None:
    """Refuse a file name that cannot be written, before the work begins.

    Raises:
        BadInputError: The ending is unknown or the folder does not exist.
    """
    if out is None:
        return
    if out.suffix not in SUFFIXES:
        raise BadInputError(
            f"cannot write {out.suffix or 'a file without an ending'}",
            where=str(out),
            remedy=f"Use one of {', '.join(SUFFIXES)}",
        )
    if not out.parent.is_dir():
        raise BadInputError("the folder does not exist", where=str(out.parent), remedy="Create it first")


def explained(recommender: Recommender, queries: Sequence[Query]) -> pl.DataFrame:
    """Slates with names and reasons, one row per track."""
    names = dict(zip(recommender.tracks.ids, track_names(recommender.track_table), strict=True))
    rows = [
        (slate.user_id or "", track, rank, float(score), names[track], source, reason)
        for slate in recommender.recommend(queries)
        for rank, (track, score, source, reason) in enumerate(
            zip(slate.track_ids, slate.scores, slate.sources, slate.reasons, strict=True), start=1
        )
    ]
    columns = ("user_id", "track_id", "rank", "score", "name", "source", "reason")
    return pl.DataFrame(rows, schema=columns, orient="row")


def write(table: pl.DataFrame, out: Path) -> None:
    """Write a table beside its target and put it in place in one step."""
    part = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".parquet":
            table.write_parquet(part)
        elif out.suffix == ".jsonl":
            table.write_ndjson(part)
        else:
            table.write_csv(part, separator="\t" if out.suffix == ".tsv" else ",")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def show(table: pl.DataFrame, *, as_json: bool) -> None:
    """Print explained slates for people, or as JSON lines for programs."""
    if as_json:
        print(table.write_ndjson(), end="")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for (user_id,), slate in table.group_by("user_id", maintain_order=True):
        shown = Table("", "track", "why", title=f"For listener {user_id}" if user_id else None, box=None)
        for row in slate.iter_rows(named=True):
            # Text: names from the catalogue are no markup.
            shown.add_row(str(row["rank"]), Text(row["name"]), Text(row["reason"], style="dim"))
        console.print(shown)
    if table.is_empty():
        console.print("nothing to recommend")


def _read_ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot be read ({error})", where=str(path)) from error
    ids = [line.split("\t")[0].split(",")[0].strip() for line in lines if line.strip()]
    if ids and ids[0] == "user_id":
        ids = ids[1:]
    if not ids:
        raise BadInputError("holds no listener ids", where=str(path), remedy="Write one id per line")
    return list(dict.fromkeys(ids))

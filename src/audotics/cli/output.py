"""Lists of recommendations on the terminal and in files, and notes beside them."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from audotics.domain import Query
from audotics.errors import BadInputError
from audotics.recommender.reasons import track_names
from audotics.recommender.recommender import Recommender

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")

_N_NAMED = 3


def chosen_listeners(
    user: str | None,
    users: Path | None,
    everyone: bool,
    artists: Sequence[str] = (),
    group: Sequence[str] = (),
) -> list[str] | None:
    """Ids of the listeners that the options name; None stands for all, no id for artists or a group.

    Raises:
        BadInputError: Not exactly one option is given, or it holds no ids.
    """
    if (user is not None) + (users is not None) + everyone + bool(artists) + bool(group) != 1:
        raise BadInputError(
            "say whom to recommend to",
            where="options",
            remedy="Give one of --user ID, --users FILE, --all, --artist ID and --group ID",
        )
    if user == "":
        raise BadInputError("the id is empty", where="--user", remedy="Give the id of a listener")
    if artists or group:
        return []
    if everyone:
        return None
    return [user] if user is not None else _read_ids(users or Path())


def check_lists_target(out: Path) -> None:
    """Refuse a name for a file of lists that cannot be written, before the work begins.

    Raises:
        BadInputError: The ending is unknown, or the folder cannot be written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise BadInputError(
            f"cannot write {out.suffix or 'a file without an ending'}",
            where=str(out),
            remedy=f"Use one of {', '.join(SUFFIXES)}",
        )
    check_target(out)


def check_target(out: Path) -> None:
    """Refuse a file that cannot be written, before the work begins.

    Raises:
        BadInputError: It is a folder, or the folder around it is missing or cannot be written.
    """
    if out.is_dir():
        raise BadInputError("this is a folder", where=str(out), remedy="Give the name of a file")
    if not out.parent.is_dir():
        raise BadInputError("the folder does not exist", where=str(out.parent), remedy="Create it first")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise BadInputError("the folder cannot be written", where=str(out.parent), remedy="Choose another")


def check_folder(folder: Path) -> None:
    """Refuse a folder that can be neither written nor made, before the work begins.

    Raises:
        BadInputError: A file stands in the way, or permission is missing.
    """
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise BadInputError("this is no folder", where=str(existing), remedy="Choose another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise BadInputError("the folder cannot be written", where=str(existing), remedy="Choose another")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file to write beside the target, which it replaces in one step if all goes well."""
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


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
    columns = {
        "user_id": pl.String,
        "track_id": pl.String,
        "rank": pl.Int32,
        "score": pl.Float32,
        "name": pl.String,
        "source": pl.String,
        "reason": pl.String,
    }
    return pl.DataFrame(rows, schema=columns, orient="row")


def write(table: pl.DataFrame, out: Path) -> None:
    """Write a table in the format that the file's ending names."""
    suffix = out.suffix.lower()
    with replacing(out) as part:
        if suffix == ".parquet":
            table.write_parquet(part)
        elif suffix == ".jsonl":
            table.write_ndjson(part)
        else:
            table.write_csv(part, separator="\t" if suffix == ".tsv" else ",")


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
        shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        shown.add_column(justify="right")
        shown.add_column("track")
        shown.add_column("why", style="dim")
        for row in slate.iter_rows(named=True):
            # Text: names from the catalogue are no markup.
            shown.add_row(str(row["rank"]), Text(row["name"]), Text(row["reason"]))
        if user_id:
            console.print(Text(f"For listener {user_id}", style="bold"))
        console.print(shown)
        console.print()
    if table.is_empty():
        console.print("nothing to recommend")


def note_unknown(recommender: Recommender, user_ids: Sequence[str]) -> None:
    """Say on standard error which listeners the model does not know."""
    unknown = [user_id for user_id in user_ids if user_id not in recommender.users]
    if not unknown:
        return
    named = ", ".join(map(repr, unknown[:_N_NAMED])) + (", ..." if len(unknown) > _N_NAMED else "")
    if len(user_ids) == 1:
        note(f"listener {named} is unknown to the model; the answer is what everybody may like")
    else:
        note(
            f"{len(unknown):,} of {len(user_ids):,} listeners are unknown to the model ({named}); "
            "they get what everybody may like"
        )


def counted(table: pl.DataFrame) -> pl.DataFrame:
    """Tracks of each listener who got any: ``user_id``, ``n_tracks``."""
    return table.group_by("user_id").agg(pl.len().alias("n_tracks"))


def note_short(n_tracks: pl.DataFrame, n_lists: int, k: int) -> None:
    """Say on standard error if lists are shorter than was asked for.

    Args:
        n_tracks: See `counted`.
        n_lists: How many were asked for.
        k: How many tracks each.
    """
    n_short = n_lists - n_tracks.filter(pl.col("n_tracks") >= k).height
    if n_short:
        note(
            f"{n_short:,} of {n_lists:,} lists have fewer than {k:,} tracks; "
            "the model has no more candidates for them"
        )


def note(text: str) -> None:
    """Tell people something without disturbing a program that reads standard output."""
    print(f"note: {text}", file=sys.stderr)


def _read_ids(path: Path) -> list[str]:
    """Distinct ids of a file in their order, as they stand there: an import does not trim ids either."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise BadInputError(
            "this is no UTF-8 text", where=str(path), remedy="Write one listener id per line"
        ) from error
    ids = _user_id_column(text)
    if ids is None:
        ids = text.split("\n")
    ids = [one for one in ids if one.strip()]
    if not ids:
        raise BadInputError("holds no listener ids", where=str(path), remedy="Write one id per line")
    return list(dict.fromkeys(ids))


def _user_id_column(text: str) -> list[str] | None:
    """The cells below ``user_id``; None where the first line names no such column: ids may hold commas."""
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in first else ",")
    names = next(rows, [])
    if "user_id" not in names:
        return None
    column = names.index("user_id")
    return [row[column] for row in rows if len(row) > column]

"""Lists for all listeners as a file: written part by part, resumed after a kill, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from audotics.domain import Mode
from audotics.recommender.batch import BatchProcessor
from audotics.slate.statistics import SlateStatistics

PART_LISTENERS = 8192
"""Listeners of a part: a kill loses the work on one."""

OnDone: TypeAlias = Callable[[int], None]
"""Called with the number of listeners done since the last call."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some listeners, and the file that their lists go to.

    Args:
        path: Parquet; what the slates look like stands beside it as JSON.
        user_ids: Listeners.
        k: Most tracks per listener.
        mode: Whether heard tracks may appear.
    """

    path: Path
    user_ids: Sequence[str]
    k: int
    mode: Mode


WriteParts: TypeAlias = Callable[[Iterable[Part], OnDone], None]
"""Answers the listeners of parts and writes their files, in any order."""


def write_part(processor: BatchProcessor, part: Part, on_done: OnDone = lambda _: None) -> None:
    """Answer the listeners of one part and write its files, each in one step."""
    table = processor.table(part.user_ids, part.k, part.mode, on_done)
    told = json.dumps(asdict(processor.statistics))
    _replace(part.path.with_suffix(".json"), partial(_write_text, text=told))
    _replace(part.path, table.write_parquet)


class BatchFile:
    """A file of lists that is made part by part beside it, in ``FILE.parts``.

    A part is written beside and renamed, so it is whole or not there. `write` with the same request
    goes on after the parts that are there; with another request it begins anew. The file itself appears
    at the end, in one step.

    Args:
        processor: Who answers.
        out: The file; its ending says the format: ``.parquet``, ``.jsonl``, ``.tsv``, else CSV.
        write_parts: Has the parts written elsewhere by processors of the same identity; None does it here.

    Attributes:
        statistics: What the slates look like, those of earlier runs included.
    """

    def __init__(self, processor: BatchProcessor, out: Path, write_parts: WriteParts | None = None) -> None:
        self.statistics = SlateStatistics()
        self._processor = processor
        self._write_parts = write_parts or self._write_here
        self._out = out
        self._folder = out.with_name(f"{out.name}.parts")

    def write(
        self, user_ids: Sequence[str], k: int, mode: Mode, on_done: OnDone = lambda _: None
    ) -> pl.DataFrame:
        """Answer the listeners, as far as an earlier run has not, and write the file.

        Args:
            user_ids: Listeners.
            k: Most tracks per listener.
            mode: Whether heard tracks may appear.
            on_done: Called with the number of listeners done since the last call.

        Returns:
            Tracks of each listener who got any: ``user_id``, ``n_tracks``.
        """
        self._begin({"listeners": _digest(user_ids), "k": k, "mode": mode.value, **self._processor.identity})
        self.statistics = SlateStatistics()
        parts = [
            Part(self._folder / f"{start:012d}.parquet", user_ids[start : start + PART_LISTENERS], k, mode)
            for start in range(0, len(user_ids), PART_LISTENERS)
        ]
        missing = [part for part in parts if not part.path.exists()]
        on_done(len(user_ids) - sum(len(part.user_ids) for part in missing))
        self._write_parts(missing, on_done)
        for part in parts:
            said = json.loads(part.path.with_suffix(".json").read_text(encoding="utf-8"))
            self.statistics += SlateStatistics(**said)
        files = [part.path for part in parts]
        rows = pl.scan_parquet(files) if files else self._processor.table((), k, mode).lazy()
        n_tracks = rows.group_by("user_id").agg(pl.len().alias("n_tracks")).collect()
        whole = self._folder / f"whole{self._out.suffix.lower()}"
        _sink(rows, whole)
        whole.replace(self._out)
        shutil.rmtree(self._folder, ignore_errors=True)
        return n_tracks

    def _write_here(self, parts: Iterable[Part], on_done: OnDone) -> None:
        for part in parts:
            write_part(self._processor, part, on_done)

    def _begin(self, request: dict[str, Any]) -> None:
        """Keep the parts of the same request, remove those of another one."""
        note = self._folder / "request.json"
        text = json.dumps(request, sort_keys=True)
        if note.exists() and note.read_text(encoding="utf-8") == text:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        _replace(note, partial(_write_text, text=text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside, then rename: a file that is there is whole."""
    beside = path.with_name(f"{path.name}.unfinished")
    write(beside)
    beside.replace(path)


def _sink(rows: pl.LazyFrame, path: Path) -> None:
    """Write a table in the format that the ending names, without holding it in memory."""
    if path.suffix == ".parquet":
        rows.sink_parquet(path)
    elif path.suffix == ".jsonl":
        rows.sink_ndjson(path)
    else:
        rows.sink_csv(path, separator="\t" if path.suffix == ".tsv" else ",")


def _digest(user_ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for user_id in user_ids:
        encoded = user_id.encode(errors="surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()

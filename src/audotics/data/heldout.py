"""Reading a file of held-out events: what a model is asked about, never what it is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from audotics.data.importing import import_dataset


def read_held_out(path: Path, column_map: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Events of a file in any generic format, with the columns user_id, track_id and event.

    The same reader as an import's, so that ids mean the same; every row must be usable.

    Args:
        path: The file.
        column_map: ``{schema column: column of the file}``, as for `import_dataset`.

    Raises:
        BadInputError: The file cannot be read, or a row is unusable.
    """
    with TemporaryDirectory(prefix="audotics-test-") as folder:
        report = import_dataset(path, out=Path(folder) / "test", column_map=column_map, max_rejects=0.0)
        return report.dataset.events().select("user_id", "track_id", "event").collect()

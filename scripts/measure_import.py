"""How fast and in how much memory Parquet events are imported, beside polars reading and writing them.

    python scripts/measure_import.py EVENTS.parquet

Each side runs in a process of its own, one after the other.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory


def floor(events: Path, out: Path) -> None:
    """Polars reads the file and writes it again, streaming."""
    import polars as pl

    pl.scan_parquet(events).sink_parquet(out / "floor.parquet", compression="zstd")


def ours(events: Path, out: Path) -> None:
    """The import: validation, quarantine, exact duplicates, one part per group of listeners."""
    from audotics.data import import_dataset

    import_dataset(events, out=out / "dataset")


def measured(side: str, events: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory (MiB) of one side, imports of libraries included."""
    with TemporaryDirectory(dir=events.parent) as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run([sys.executable, __file__, side, str(events), folder], check=True)  # noqa: S603
        seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, after.ru_maxrss / 1024


def main(events: Path) -> None:
    """Print both sides and their ratio."""
    import polars as pl

    n_rows = pl.scan_parquet(events).select(pl.len()).collect().item()
    # The larger one last: the system tells the peak of all children so far.
    results = {side: measured(side, events) for side in ("floor", "ours")}
    for side, (seconds, processor, peak) in results.items():
        print(
            f"{side:6s} {seconds:6.1f} s wall, {processor:6.1f} s processor, "
            f"{n_rows / seconds:12,.0f} rows/s, peak {peak:,.0f} MiB"
        )
    print(f"ratio  {results['ours'][0] / results['floor'][0]:.2f} of the wall time")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    elif len(sys.argv) == 4 and sys.argv[1] in {"floor", "ours"}:
        {"floor": floor, "ours": ours}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(__doc__)

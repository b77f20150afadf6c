"""What became of the rows of each source table of an import, and whether too many are unusable."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from audotics.data.manifest import Counts
from audotics.errors import BadInputError

_EXAMPLES = 3


@dataclass
class Tally:
    """Running counts of one source table."""

    files: list[str] = field(default_factory=list)
    read: int = 0
    merged: int = 0
    rejected: int = 0
    left_out: int = 0
    examples: list[pl.DataFrame] = field(default_factory=list)

    def reject(self, rejects: pl.DataFrame) -> None:
        """Count refused rows, and keep the first few."""
        self.rejected += rejects.height
        if sum(frame.height for frame in self.examples) < _EXAMPLES:
            self.examples.append(rejects.head(_EXAMPLES))

    def counts(self) -> Counts:
        """As the manifest holds them."""
        return Counts(
            read=self.read,
            accepted=self.read - self.merged - self.rejected,
            merged=self.merged,
            rejected=self.rejected,
            left_out=self.left_out,
        )


class Tallies(dict[str, Tally]):
    """The tally of each source table: ``events``, ``tracks``, ``tracks.tags``, ..."""

    def of(self, name: str, file: Path | None = None) -> Tally:
        """The tally of ``name``, to which ``file`` belongs."""
        tally = self.setdefault(name, Tally())
        if file is not None and str(file) not in tally.files:
            tally.files.append(str(file))
        return tally

    def counts(self) -> dict[str, Counts]:
        """Of every table, as the manifest holds them."""
        return {name: tally.counts() for name, tally in self.items()}

    def examples(self) -> list[pl.DataFrame]:
        """The first few rejects of every table."""
        return [frame for tally in self.values() for frame in tally.examples]

    def check(self, max_rejects: float, source: Path) -> None:
        """Refuse an import that would lose too much.

        Args:
            max_rejects: Share of rejects, per source table, that is bearable.
            source: What is imported, for the message.

        Raises:
            BadInputError: More rows are unusable, or there are no events.
        """
        for name, tally in self.items():
            if tally.rejected > max_rejects * tally.read:
                raise BadInputError(
                    f"{tally.rejected:,} of {tally.read:,} rows for {name} are unusable, more than "
                    f"{100 * max_rejects:.3g} %; first: {_shown(tally.examples)}",
                    where=", ".join(tally.files[:3]),
                    remedy="Correct the file, check --map and --format, or allow more with --max-rejects",
                )
        events = self.get("events", Tally())
        if events.read == events.rejected:
            raise BadInputError(
                "there are no events in it",
                where=", ".join(events.files[:3]) or str(source),
                remedy="At least one row with a listener and a track is needed; --events names a file",
            )


def _shown(examples: list[pl.DataFrame]) -> str:
    rows = pl.concat(examples).head(_EXAMPLES).iter_rows(named=True)
    return "; ".join(
        f"line {row['line']}"
        + (f", {row['column']}" if row["column"] else "")
        + f" {row['value'][:60]!r}: {row['reason']}"
        for row in rows
    )

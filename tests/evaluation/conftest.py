"""Small corpora for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
import pytest

from audotics.data import schema
from audotics.data.corpus import Corpus, build_corpus

MakeCorpus = Callable[..., Corpus]


@pytest.fixture(scope="session")
def make_corpus() -> MakeCorpus:
    def make(
        pairs: Sequence[tuple[str, str]],
        *,
        catalogue: dict[str, list] | None = None,
        plays: Sequence[float] | None = None,
        kinds: Sequence[str] | None = None,
    ) -> Corpus:
        """Training events from (user_id, track_id) pairs, with a catalogue of the given columns."""
        events = pl.DataFrame(
            {
                "user_id": [user for user, _ in pairs],
                "track_id": [track for _, track in pairs],
                "event": list(kinds) if kinds else ["play"] * len(pairs),
                "plays": [1.0] * len(pairs) if plays is None else list(plays),
            }
        )
        return build_corpus(
            _complete(events, schema.EVENTS),
            _complete(pl.DataFrame(catalogue or {"track_id": []}), schema.TRACKS),
            pl.DataFrame(schema=schema.USERS),
        )

    return make


def _complete(table: pl.DataFrame, columns: dict) -> pl.DataFrame:
    return table.select(
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in columns.items()
    )


@pytest.fixture
def small_corpus(make_corpus: MakeCorpus) -> Corpus:
    """Three listeners; ``new`` stands in the catalogue alone. Track indices: a b c d new = 0 1 2 3 4."""
    return make_corpus(
        [("ann", "a"), ("ann", "b"), ("bob", "a"), ("cyd", "a"), ("cyd", "b"), ("cyd", "c"), ("cyd", "d")],
        catalogue={"track_id": ["a", "b", "c", "d", "new"], "artist_id": ["X", "X", "Y", "Z", "Y"]},
    )

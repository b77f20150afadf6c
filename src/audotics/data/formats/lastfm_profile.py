"""Profiles of listeners as both Last.fm sets of Celma write them: id, gender, age, country, sign-up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect, read_delimited
from audotics.data.formats.protocol import Chunk
from audotics.data.formats.sources import first_lines, known_text, select_columns

COLLECTED = 2009
"""Year the ages refer to (both sets were collected until about then): right to a year or so."""

_PLAUSIBLE_AGES = (5, 100)
_COLUMNS = ("id", "gender", "age", "country", "registered")
_SIGN_UP_FORMAT = "%b %d, %Y"


def read_profiles(path: Path) -> Iterator[Chunk]:
    """Rows of the users table; the header (``#id ...``) may be there or not.

    Ages that cannot be (0, -1, 1337) count as unknown. A sign-up day in another form than
    ``Feb 1, 2007`` stays as it is, for the importer to judge.
    """
    header = any(line.startswith("#") for line in first_lines(path, 1))
    age = pl.col("age").cast(pl.Int32, strict=False)
    registered = known_text("registered")
    day = registered.str.to_date(_SIGN_UP_FORMAT, strict=False).cast(pl.String)
    return select_columns(
        read_delimited(path, Dialect("\t", _COLUMNS, has_header=header, quoted=False)),
        user_id=pl.col("id"),
        country=known_text("country"),
        birth_year=pl.when(age.is_between(*_PLAUSIBLE_AGES)).then(COLLECTED - age),
        gender=known_text("gender"),
        signed_up=pl.coalesce(day, registered),
    )

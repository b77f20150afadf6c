"""Which tracks of a catalogue are the same recording on another release."""

from __future__ import annotations

import polars as pl

from audotics.domain import PADDING, IndexArray
from audotics.features.catalogue import artist_keys, text_column

TOLERANCE_MS = 2000
"""Encoders and editions cut silence differently; other takes usually differ by more."""

_EDITION = (
    r"remaster|deluxe|anniversary|bonus track|album version|single version|original version|"
    r"explicit|clean|mono|stereo|\bfeat\b|\bft\b|\bfeaturing\b|\bwith\b"
)
"""Words of a bracket or a dash that name the release or a guest, not another take (live, remix, demo do)."""


def normalised_titles(titles: pl.Series) -> pl.Series:
    """Titles without what names an edition, in lower case, words apart by one blank; null where empty."""
    lowered = pl.col("title").str.to_lowercase()
    no_brackets = lowered.str.replace_all(rf"[(\[][^)\]]*(?:{_EDITION})[^)\]]*[)\]]", " ")
    no_suffix = no_brackets.str.replace(rf"\s-\s[^-]*(?:{_EDITION})[^-]*$", " ")
    words = no_suffix.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    return pl.DataFrame({"title": titles}).select(pl.when(words != "").then(words)).to_series()


def recording_codes(track_table: pl.DataFrame) -> IndexArray:
    """A number for each recording ``[n_tracks]``, -1 where artist or title is unknown.

    Tracks are the same recording if artist and normalised title are equal and their durations, sorted,
    follow each other by at most `TOLERANCE_MS`. A track of unknown duration joins the shortest of them.
    """
    height = track_table.height
    durations = (
        track_table["duration_ms"]
        if "duration_ms" in track_table.columns
        else pl.Series([None], dtype=pl.Int64).new_from_index(0, height)
    )
    frame = pl.DataFrame(
        {
            "row": pl.int_range(height, eager=True),
            "artist": artist_keys(track_table),
            "title": normalised_titles(text_column(track_table, "title")),
            "duration": durations.cast(pl.Int64),
        }
    ).filter(pl.col("artist").is_not_null() & pl.col("title").is_not_null())
    # Nulls sort first, so what follows one is no gap, and the gap after a known duration counts.
    ordered = frame.sort("artist", "title", "duration")
    same_title = pl.struct("artist", "title").rle_id()
    far = (pl.col("duration").diff() > TOLERANCE_MS).fill_null(value=False)
    first = same_title.diff().fill_null(1) > 0
    codes = ordered.select("row", ((first | far).cum_sum() - 1).cast(pl.Int32).alias("code"))
    found = pl.DataFrame({"row": pl.int_range(height, eager=True)}).join(
        codes, on="row", how="left", maintain_order="left"
    )
    return found["code"].fill_null(PADDING).to_numpy()

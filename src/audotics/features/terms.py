"""Content of tracks as weighted terms: artist, album, genres, tags and decade in one sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.data.compressed import Compressed
from audotics.domain import TimeArray
from audotics.features.catalogue import album_keys, artist_keys, term_lists, text_column
from audotics.features.weights import inverse_document_frequency, tfidf_rows

GROUPS = ("artist", "album", "genre", "tag", "decade")
"""Kinds of terms, in the order of the columns."""

MIN_TRACKS = 2
"""A term on a single track relates it to nothing, so it is left out."""


@dataclass(frozen=True, slots=True)
class TermMatrix:
    """Which terms describe which track, and how strongly.

    Every group's block of a row has length 1 (or is empty), so the dot product of two rows inside
    a group is their cosine.

    Args:
        matrix: ``[n_tracks, n_terms]``, float32, indices sorted within rows.
        names: ``[n_terms]``, what a reader calls each term.
        groups: Names of the groups that have terms.
        bounds: ``[n_groups + 1]``: group ``g`` owns the columns ``bounds[g]`` to ``bounds[g + 1]``.
    """

    matrix: sparse.csr_matrix
    names: tuple[str, ...]
    groups: tuple[str, ...]
    bounds: TimeArray

    @property
    def compressed(self) -> Compressed:
        """The matrix in the form that requests read."""
        return Compressed(self.matrix.data, self.matrix.indices, self.matrix.indptr, self.n_terms)

    @property
    def n_tracks(self) -> int:
        """How many tracks."""
        return int(self.matrix.shape[0])

    @property
    def n_terms(self) -> int:
        """How many terms."""
        return int(self.matrix.shape[1])

    @property
    def slices(self) -> dict[str, slice]:
        """Columns of each group."""
        edges = self.bounds.tolist()
        return {name: slice(edges[g], edges[g + 1]) for g, name in enumerate(self.groups)}

    def group(self, name: str) -> sparse.csr_matrix:
        """One group's block ``[n_tracks, n_terms of the group]``; no columns where the group has no terms."""
        return self.matrix[:, self.slices.get(name, slice(0, 0))]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as plain arrays; names as one run of UTF-8 bytes, because a few are very long."""
        encoded = [name.encode() for name in self.names]
        return {
            "data": self.matrix.data,
            "indices": self.matrix.indices.astype(np.int32, copy=False),
            "indptr": self.matrix.indptr.astype(np.int64, copy=False),
            "name_bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
            "name_ends": np.cumsum([len(name) for name in encoded], dtype=np.int64),
            "groups": np.array(self.groups, dtype=np.str_),
            "bounds": self.bounds,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TermMatrix:
        """The same matrix again from what `arrays` gave (memory-mapped arrays are not copied)."""
        text = np.asarray(arrays["name_bytes"]).tobytes()
        ends = np.asarray(arrays["name_ends"]).tolist()
        starts = [0, *ends[:-1]]
        shape = (len(arrays["indptr"]) - 1, len(ends))
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        return cls(
            matrix=sparse.csr_matrix(parts, shape=shape, copy=False),
            names=tuple(text[start:end].decode() for start, end in zip(starts, ends, strict=False)),
            groups=tuple(np.asarray(arrays["groups"]).tolist()),
            bounds=np.asarray(arrays["bounds"], dtype=np.int64),
        )


def content_terms(track_table: pl.DataFrame) -> TermMatrix:
    """Describe every track by the terms it shares with at least one other track.

    Inside a group terms are weighted by TF-IDF (`weights.tfidf_rows`), where only tracks that have any
    term of the group count, and the group's block of each row has length 1.

    Args:
        track_table: The tracks table (``schema.TRACKS``), one row per track in index order. Columns may
            be missing; a track about which nothing is known gets an empty row. A catalogue of artists
            (each "track" its own artist) has no artist terms, since each would stand on one row only.
    """
    blocks: list[sparse.csr_matrix] = []
    names: list[str] = []
    groups: list[str] = []
    for group in GROUPS:
        block, terms = _weighted(term_occurrences(track_table, group), track_table.height)
        if terms:
            blocks.append(block)
            names.extend(terms)
            groups.append(group)
    widths = [block.shape[1] for block in blocks]
    nothing = sparse.csr_matrix(np.zeros((track_table.height, 0), np.float32))
    joined = sparse.csr_matrix(sparse.hstack(blocks, format="csr")) if blocks else nothing
    joined.sort_indices()
    return TermMatrix(joined, tuple(names), tuple(groups), np.cumsum([0, *widths], dtype=np.int64))


def term_occurrences(track_table: pl.DataFrame, group: str) -> pl.DataFrame:
    """Columns row, key and name: one line for each time that a term stands on a track.

    Args:
        track_table: ``schema.TRACKS``, any rows; columns may be missing.
        group: One of `GROUPS`.
    """
    rows = pl.int_range(track_table.height, dtype=pl.Int32, eager=True).alias("row")
    if group == "artist":
        keys, names = artist_keys(track_table), text_column(track_table, "artist")
    elif group == "album":
        keys, names = album_keys(track_table), text_column(track_table, "album")
    elif group == "decade":
        keys = names = _decades(track_table)
    else:
        keys = names = term_lists(track_table, f"{group}s")
    table = pl.DataFrame([rows, keys.alias("key"), names.alias("name")])
    if keys.dtype == pl.List(pl.String):
        table = table.drop("name").explode("key", empty_as_null=True).with_columns(name=pl.col("key"))
    return table.filter(pl.col("key").is_not_null() & (pl.col("key") != ""))


def _decades(track_table: pl.DataFrame) -> pl.Series:
    if "released" not in track_table.columns:
        return pl.Series([None], dtype=pl.String).new_from_index(0, track_table.height)
    years = track_table["released"].dt.year()
    return (years // 10 * 10).cast(pl.String) + "s"


def _weighted(occurrences: pl.DataFrame, n_tracks: int) -> tuple[sparse.csr_matrix, list[str]]:
    """The weighted block ``[n_tracks, n_terms]`` of one group and the names of its terms."""
    counts = occurrences.group_by("row", "key").agg(
        pl.len().alias("count"), pl.col("name").drop_nulls().min()
    )
    terms = (
        counts.group_by("key")
        .agg(pl.len().alias("n_with_term"), pl.col("name").min())
        .filter(pl.col("n_with_term") >= MIN_TRACKS)
        .sort("key")
        .with_row_index("term")
    )
    cells = counts.join(terms.select("key", "term"), on="key")
    idf = inverse_document_frequency(terms["n_with_term"].to_numpy(), counts["row"].n_unique())
    block = tfidf_rows(
        cells["row"].to_numpy(), cells["term"].to_numpy(), cells["count"].to_numpy(), idf, n_tracks
    )
    return block, terms.select(pl.coalesce("name", "key")).to_series().to_list()

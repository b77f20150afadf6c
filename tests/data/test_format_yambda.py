"""Yambda: small flat Parquet files with the published columns and types."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from audotics.data.formats import get_format
from audotics.data.formats.yambda import ORIGIN
from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted

CORE = {"uid": pl.UInt32, "timestamp": pl.UInt32, "item_id": pl.UInt32, "is_organic": pl.UInt8}
LISTENS = CORE | {"played_ratio_pct": pl.UInt16, "track_length_seconds": pl.UInt32}
MULTI = LISTENS | {"event_type": pl.Enum(["listen", "like", "dislike", "unlike", "undislike"])}


def write(path, schema, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(list(rows), schema=schema, orient="row").write_parquet(path)


class TestYambda(FormatContract):
    format_name = "yambda"
    n_events = 6
    lone_file = "listens.parquet"

    def write(self, folder):
        root, flat = folder, folder / "flat" / "50m"
        write(
            flat / "listens.parquet",
            LISTENS,
            (10, 0, 7, 1, 100, 200),
            (10, 300, 8, 0, 20, 100),
            (20, 15_929_455, 7, 1, 60, 200),
            (20, 25_911_800, 9, 0, 150, 180),
        )
        write(flat / "likes.parquet", CORE, (10, 205, 7, 1))
        write(flat / "dislikes.parquet", CORE, (10, 305, 8, 1))
        write(flat / "unlikes.parquet", CORE, (10, 400, 7, 1))
        owners = {"artist_id": pl.UInt32, "item_id": pl.UInt32}
        write(root / "artist_item_mapping.parquet", owners, (1, 7), (2, 7), (3, 8), (4, 999))
        write(root / "album_item_mapping.parquet", {"album_id": pl.UInt32, "item_id": pl.UInt32}, (5, 7))
        vectors = {
            "item_id": pl.UInt32,
            "embed": pl.List(pl.Float64),
            "normalized_embed": pl.List(pl.Float64),
        }
        write(root / "embeddings.parquet", vectors, (7, [3.0, 4.0], [0.6, 0.8]))
        return flat

    def test_listens_likes_and_dislikes_become_events(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        events = dataset.events().collect().sort("user_id", "timestamp")
        assert events.select("user_id", "track_id", "event", "ms_played").rows() == [
            ("10", "7", "complete", 200_000),
            ("10", "7", "like", None),
            ("10", "8", "skip", 20_000),
            ("10", "8", "dislike", None),
            ("20", "7", "play", 120_000),
            ("20", "9", "complete", 270_000),
        ]
        assert events["context_is_organic"].to_list() == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
        assert dataset.manifest.counts["events"].left_out == 1

    def test_times_are_seconds_from_the_origin(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect()
        assert events["timestamp"].min() == ORIGIN
        assert events["timestamp"].max() == ORIGIN + timedelta(seconds=25_911_800)
        assert timedelta(299) < events["timestamp"].max() - events["timestamp"].min() < timedelta(301)

    def test_tracks_have_length_artist_album_and_embedding(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        tracks = {t["track_id"]: t for t in dataset.tracks().iter_rows(named=True)}
        assert set(tracks) == {"7", "8", "9"}
        assert dataset.manifest.counts["tracks.artist_id"].left_out == 1
        assert (tracks["7"]["duration_ms"], tracks["7"]["artist_id"], tracks["7"]["album_id"]) == (
            200_000,
            "1",
            "5",
        )
        assert tracks["7"]["embedding"] == pytest.approx([0.6, 0.8])
        assert tracks["9"]["embedding"] is None
        assert (tracks["9"]["duration_ms"], tracks["9"]["artist_id"]) == (180_000, None)

    def test_the_file_of_all_events_gives_the_same(self, source, tmp_path):
        whole = tmp_path / "whole" / "multi_event.parquet"
        write(
            whole,
            MULTI,
            (10, 0, 7, 1, 100, 200, "listen"),
            (10, 205, 7, 1, None, None, "like"),
            (10, 300, 8, 0, 20, 100, "listen"),
            (10, 305, 8, 1, None, None, "dislike"),
            (10, 400, 7, 1, None, None, "unlike"),
            (20, 15_929_455, 7, 1, 60, 200, "listen"),
            (20, 25_911_800, 9, 0, 150, 180, "listen"),
        )
        assert get_format("yambda").detects(whole.parent)
        one, many = self.load(whole.parent, tmp_path / "one"), self.load(source, tmp_path / "many")
        order = ["user_id", "timestamp"]
        assert one.events().collect().sort(order).equals(many.events().collect().sort(order))

    def test_missing_values_are_rejected_with_their_row(self, source, tmp_path):
        write(
            source / "likes.parquet", CORE, (None, 5, 7, 1), (10, 5, None, 1), (10, None, 7, 1), (30, 5, 7, 1)
        )
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["file"], r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert {("likes.parquet", 1, "user_id"), ("likes.parquet", 2, "track_id")} <= found
        assert dataset.rejects().height == 3

    def test_an_event_of_no_kind_is_rejected(self, tmp_path):
        write(
            tmp_path / "s" / "multi_event.parquet",
            MULTI,
            (1, 5, 7, 1, 80, 100, "listen"),
            (1, 9, 7, 1, 5, 5, None),
        )
        dataset = self.load(tmp_path / "s", tmp_path / "d", max_rejects=1.0)
        assert dataset.rejects().select("line", "column").rows() == [(2, "event")]

    def test_other_parquet_files_are_not_claimed(self, tmp_path):
        write(tmp_path / "listens.parquet", {"user_id": pl.String}, ("a",))
        assert not get_format("yambda").detects(tmp_path)

    def test_a_damaged_file_is_named(self, source, tmp_path):
        whole = (source / "likes.parquet").read_bytes()
        (source / "likes.parquet").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadInputError, match=r"likes\.parquet"):
            self.load(source, tmp_path / "d")

"""Adjacency lists: small files of their shapes, and the lists of S3-Rec."""

from __future__ import annotations

import json

import pytest

from audotics.data.formats import get_format
from audotics.data.formats.protocol import FormatOptions
from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, lines, raw_rows, write_files

LISTS = lines("1 10 11 12", "2 11 9", "3 12 10 13 14")
ATTRIBUTES = json.dumps({"9": [], "10": [1, 2, 1], "11": [3]}).encode()


def events_of(dataset) -> list[tuple[str, str, int | None]]:
    return dataset.events().select("user_id", "track_id", "position").collect().rows()


class TestAdjacency(FormatContract):
    format_name = "adjacency"
    n_events = 9
    lone_file = "LastFM.txt"

    def write(self, folder):
        return write_files(folder, {"LastFM.txt": LISTS, "LastFM_item2attributes.json": ATTRIBUTES})

    def test_the_order_of_a_line_is_kept(self, source, tmp_path):
        rows = events_of(self.load(source, tmp_path / "d"))
        assert sorted(rows) == [
            ("1", "10", 0),
            ("1", "11", 1),
            ("1", "12", 2),
            ("2", "11", 0),
            ("2", "9", 1),
            ("3", "10", 1),
            ("3", "12", 0),
            ("3", "13", 2),
            ("3", "14", 3),
        ]

    def test_lists_sorted_by_number_have_no_order(self, tmp_path):
        source = write_files(tmp_path / "s", {"train.txt": lines("0 1 2 10", "1 2 3", "2 9 10 11 12")})
        dataset = self.load(source, tmp_path / "d")
        assert dataset.events().collect()["position"].null_count() == 9

    def test_attributes_become_tags_with_their_counts(self, source, tmp_path):
        tracks = self.load(source, tmp_path / "d").tracks()
        tags = {row["track_id"]: row["tags"] for row in tracks.iter_rows(named=True)}
        assert tags["10"] == ["1", "2", "1"]
        assert tags["11"] == ["3"]
        assert not tags["9"]

    def test_listeners_without_tracks_are_left_out_and_counted(self, tmp_path):
        source = write_files(tmp_path / "s", {"train.txt": lines("1 5 4 3", "2", "", "3 4 5")})
        dataset = self.load(source, tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.manifest.counts["events"].left_out == 1
        assert dataset.manifest.counts["events"].accepted == 5

    def test_a_train_file_is_read_and_its_test_file_is_not(self, tmp_path):
        source = write_files(
            tmp_path / "s", {"train.txt": lines("0 3 1 2", "1 2 1"), "test.txt": lines("0 77", "1 78 79")}
        )
        assert {row[1] for row in events_of(self.load(source, tmp_path / "d"))} == {"1", "2", "3"}

    def test_dirty_text_is_read(self, tmp_path):
        raw = b"\xef\xbb\xbfanna  x\ty\r\nb\xe4rbel y\r\n\0 z\r\n"
        source = write_files(tmp_path / "s", {"train.txt": raw})
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        assert sorted(events_of(dataset)) == [("anna", "x", 0), ("anna", "y", 1), ("bärbel", "y", 0)]
        assert dataset.rejects()["line"].to_list() == [3]

    def test_a_track_twice_in_a_line_stands_twice(self, tmp_path):
        source = write_files(tmp_path / "s", {"train.txt": lines("1 5 4 5", "2 4 5")})
        assert events_of(self.load(source, tmp_path / "d"))[:3] == [
            ("1", "5", 0),
            ("1", "4", 1),
            ("1", "5", 2),
        ]

    def test_triplets_are_not_taken_for_lists(self, tmp_path):
        source = write_files(tmp_path / "s", {"train.txt": lines("1 2 3", "1 3 1", "2 2 5")})
        assert not get_format("adjacency").detects(source)

    @pytest.mark.parametrize("content", [b"[1, 2]", b'{"1": 5}', b'{"1": [2', b""])
    def test_broken_attributes_are_named(self, source, tmp_path, content):
        (source / "LastFM_item2attributes.json").write_bytes(content)
        with pytest.raises(BadInputError, match="item2attributes"):
            self.load(source, tmp_path / "d")

    def test_a_folder_without_lists_is_refused(self, tmp_path):
        write_files(tmp_path, {"notes.md": b"hello"})
        with pytest.raises(BadInputError, match="adjacency"):
            list(get_format("adjacency").tables(tmp_path, FormatOptions()))

    def test_the_real_lists(self, shared_data, tmp_path):
        folder = shared_data("lastfm-s3rec")
        dataset = self.load(folder, tmp_path / "d")
        assert_accounted(dataset)
        events = dataset.events().collect()
        assert (events.height, events["user_id"].n_unique(), events["track_id"].n_unique()) == (
            52_551,
            1_090,
            3_646,
        )
        first = events.filter(user_id="5").sort("position")["track_id"].head(4).to_list()
        assert first == ["159", "11", "160", "161"]
        assert dataset.tracks().height == 3_646
        assert (
            raw_rows(list(get_format("adjacency").tables(folder, FormatOptions())), "tracks").height == 3_646
        )

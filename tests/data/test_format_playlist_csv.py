"""Playlist tables: small files of their shape, and the set of Politecnico di Milano."""

from __future__ import annotations

import pytest

from audotics.data.formats import get_format
from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, lines, tabbed, write_files

FILES = {
    "train.tsv": tabbed(("playlist_id", "track_id", "position"), (7, 100, 0), (7, 101, 3), (8, 100, -1)),
    "other_playlists.tsv": tabbed(("playlist_id", "track_id"), (9, 102), (9, 100)),
    "test.tsv": tabbed(("playlist_id", "track_id"), (7, 555)),
    "tracks.tsv": tabbed(
        ("track_id", "album_id", "artist_id", "duration_sec"),
        (100, 1, 2, 167),
        (101, 1, 2, 200),
        (102, 5, 6, 0),
        (555, 7, 8, 90),
    ),
    "playlists.tsv": tabbed(("playlist_id", "num_edits", "num_followers"), (7, 18, 1), (8, 2, 30)),
}


class TestPlaylistCsv(FormatContract):
    format_name = "playlist-csv"
    n_events = 5
    lone_file = "train.tsv"

    def write(self, folder):
        return write_files(folder, FILES)

    def test_playlists_are_listeners_in_the_order_of_their_tracks(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect()
        assert set(events["event"]) == {"add_to_playlist"}
        assert sorted(events.select("user_id", "track_id", "position").rows()) == [
            ("7", "100", 0),
            ("7", "101", 3),
            ("8", "100", None),
            ("9", "100", None),
            ("9", "102", None),
        ]

    def test_the_playlists_table_holds_the_same_entries(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        entries = dataset.playlists().select("playlist_id", "track_id").rows()
        assert sorted(entries) == sorted(dataset.events().select("user_id", "track_id").collect().rows())
        assert dataset.playlists().filter(playlist_id="7").sort("position")["track_id"].to_list() == [
            "100",
            "101",
        ]

    def test_answers_are_never_read(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        assert "555" not in set(dataset.events().collect()["track_id"])
        assert "555" not in set(dataset.playlists()["track_id"])
        assert "555" in set(dataset.tracks()["track_id"])

    def test_catalogue_and_playlists_are_described(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        tracks = dataset.tracks().select("track_id", "album_id", "artist_id", "duration_ms").rows()
        assert ("100", "1", "2", 167_000) in tracks
        assert ("102", "5", "6", None) in tracks
        users = dataset.users().sort("user_id")
        assert users["feature_num_edits"].to_list() == [18.0, 2.0]
        assert users["feature_num_followers"].to_list() == [1.0, 30.0]

    def test_held_out_entries_leave_the_playlists_table(self, source, tmp_path):
        train = write_files(tmp_path / "e", {"e.tsv": tabbed(("user_id", "track_id"), (7, 100), (9, 102))})
        dataset = self.load(source, tmp_path / "d", events=train / "e.tsv")
        assert sorted(dataset.playlists().select("playlist_id", "track_id").rows()) == [
            ("7", "100"),
            ("9", "102"),
        ]
        assert dataset.manifest.counts["playlists"].left_out == 3
        assert_accounted(dataset)

    def test_a_lone_csv_with_quotes_is_enough(self, tmp_path):
        file = tmp_path / "mine.csv"
        file.write_bytes(
            b"\xef\xbb\xbf" + lines("playlist_id,track_id,position", '"a ""b""",t1,0', "c\xe9,t1,1", "d,t2,9")
        )
        file.write_bytes(file.read_bytes().replace("é".encode(), b"\xe9"))
        dataset = self.load(file, tmp_path / "d")
        assert_accounted(dataset)
        assert set(dataset.events().collect()["user_id"]) == {'a "b"', "cé", "d"}

    def test_dirty_rows_are_rejected_with_their_place(self, source, tmp_path):
        with (source / "train.tsv").open("ab") as file:
            file.write(b"8\t101\n\t101\t4\n8\t101\tlast\n7\t100\t0\n")
        with (source / "tracks.tsv").open("ab") as file:
            file.write(b"103\t1\t2\tlong\n")
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {
            (r["file"], r["line"], r["column"], r["value"]) for r in dataset.rejects().iter_rows(named=True)
        }
        assert found == {
            ("train.tsv", 5, "", "8\t101"),
            ("train.tsv", 6, "user_id", ""),
            ("train.tsv", 6, "playlist_id", ""),
            ("train.tsv", 7, "position", "last"),
            ("tracks.tsv", 6, "duration_s", "long"),
        }
        assert dataset.manifest.counts["events"].merged == 1

    def test_a_missing_column_is_named(self, source, tmp_path):
        (source / "tracks.tsv").write_bytes(tabbed(("id", "name"), (1, "x")))
        with pytest.raises(BadInputError, match="track_id"):
            self.load(source, tmp_path / "d")

    def test_a_table_of_events_is_not_claimed(self, tmp_path):
        file = write_files(tmp_path, {"train.tsv": tabbed(("user_id", "track_id"), (1, 2))})
        assert not get_format("playlist-csv").detects(file)

    def test_the_real_set(self, shared_data, tmp_path):
        dataset = self.load(shared_data("spotify-playlists"), tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.rejects().is_empty()
        events = dataset.events().collect()
        assert events.height == 115_553 + 31_594
        assert events["user_id"].n_unique() == 10_000
        assert events["position"].null_count() == 31_594 + 2_361
        assert dataset.tracks().height == 20_635
        assert dataset.users().height == 10_000
        assert dataset.playlists().height == events.height

"""Million Playlist Dataset: slices of the shape its read-me shows."""

from __future__ import annotations

import json

import pytest

from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, tabbed, write_files


def track(pos: object, key: str, **changes: object) -> dict[str, object]:
    return {
        "pos": pos,
        "artist_name": f"Artist {key}",
        "track_uri": f"spotify:track:{key}",
        "artist_uri": f"spotify:artist:a{key}",
        "track_name": f'Track "{key}"',
        "album_uri": f"spotify:album:b{key}",
        "duration_ms": 166264,
        "album_name": f"Album {key}",
    } | changes


def playlist(pid: object, *tracks: object, **changes: object) -> dict[str, object]:
    return {
        "name": "musical",
        "collaborative": "false",
        "pid": pid,
        "modified_at": 1493424000,
        "num_tracks": len(tracks),
        "num_followers": 1,
        "num_edits": 2,
        "tracks": list(tracks),
    } | changes


def slice_of(*playlists: object) -> bytes:
    return json.dumps({"info": {"version": "v1", "slice": "0-999"}, "playlists": playlists}).encode()


FIRST = "data/mpd.slice.0-999.json"
FILES = {
    FIRST: slice_of(playlist(0, track(0, "x"), track(1, "y")), playlist(1, track(0, "y"))),
    "data/mpd.slice.1000-1999.json": slice_of(playlist(1000, track(0, "x"), track(1, "z"))),
    "md5sums": b"",
}


class TestMillionPlaylists(FormatContract):
    format_name = "mpd"
    n_events = 5
    lone_file = FIRST

    def write(self, folder):
        return write_files(folder, FILES)

    def test_playlists_are_listeners_in_order(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        events = dataset.events().collect()
        assert set(events["event"]) == {"add_to_playlist"}
        assert sorted(events.select("user_id", "track_id", "position").rows()) == [
            ("0", "x", 0),
            ("0", "y", 1),
            ("1", "y", 0),
            ("1000", "x", 0),
            ("1000", "z", 1),
        ]
        assert sorted(dataset.playlists().select("playlist_id", "track_id", "position").rows()) == sorted(
            events.select("user_id", "track_id", "position").rows()
        )

    def test_entries_name_their_tracks(self, source, tmp_path):
        tracks = {t["track_id"]: t for t in self.load(source, tmp_path / "d").tracks().iter_rows(named=True)}
        assert set(tracks) == {"x", "y", "z"}
        assert tracks["y"]["title"] == 'Track "y"'
        assert (tracks["y"]["artist_id"], tracks["y"]["artist"]) == ("ay", "Artist y")
        assert (tracks["y"]["album_id"], tracks["y"]["album"]) == ("by", "Album y")
        assert tracks["y"]["duration_ms"] == 166264

    def test_playlists_are_described(self, source, tmp_path):
        users = self.load(source, tmp_path / "d").users()
        assert sorted(users["user_id"]) == ["0", "1", "1000"]
        assert users["feature_num_edits"].to_list() == [2.0, 2.0, 2.0]

    def test_slices_without_a_data_folder(self, source, tmp_path):
        assert self.load(source / "data", tmp_path / "d").events().collect().height == self.n_events

    def test_dirty_entries_are_accounted_for(self, tmp_path):
        content = slice_of(
            playlist(0, track(0, "x"), "junk", None, track("first", "y"), track(2, "z", track_uri=None)),
            17,
            playlist(None, track(0, "x")),
            playlist(3, tracks="none"),
            playlist(4),
        )
        source = write_files(tmp_path / "s", {"mpd.slice.0-999.json": content})
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        rejects = dataset.rejects()
        assert set(rejects["file"]) == {"mpd.slice.0-999.json"}
        found = {(r["line"], r["column"]) for r in rejects.iter_rows(named=True)}
        assert {(1, ""), (1, "position"), (1, "track_id"), (2, ""), (3, "user_id")} <= found
        counts = dataset.manifest.counts
        assert (counts["events"].read, counts["events"].accepted) == (7, 1)
        assert (counts["users"].read, counts["users"].accepted) == (5, 3)

    def test_own_events_limit_the_playlists(self, source, tmp_path):
        own = write_files(tmp_path / "e", {"e.tsv": tabbed(("user_id", "track_id"), (0, "x"), (1000, "z"))})
        dataset = self.load(source, tmp_path / "d", events=own / "e.tsv")
        assert_accounted(dataset)
        assert sorted(dataset.playlists().select("playlist_id", "track_id").rows()) == [
            ("0", "x"),
            ("1000", "z"),
        ]
        assert dataset.tracks().height == 3

    @pytest.mark.parametrize("content", [b'{"playlists": [', b"[]", b'{"playlists": 3}', b"", b"\xff\xfe{"])
    def test_half_a_slice_is_refused_by_name(self, source, tmp_path, content):
        (source / FIRST).write_bytes(content)
        with pytest.raises(BadInputError, match=r"mpd\.slice\.0-999"):
            self.load(source, tmp_path / "d")
        assert not (tmp_path / "d").exists()

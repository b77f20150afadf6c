"""Spotify extended streaming history: files of the shape the service hands out."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, write_files

FIRST = "Streaming_History_Audio_2014-2020_0.json"


def stream(ts: object, key: str | None, **changes: object) -> dict[str, object]:
    return {
        "ts": ts,
        "platform": "Android OS 4.2.2 API 17 (samsung, GT-I9195)",
        "ms_played": 35422,
        "conn_country": "GB",
        "ip_addr": "203.0.113.7",
        "master_metadata_track_name": f'Song "{key}"',
        "master_metadata_album_artist_name": "Led Zeppelin",
        "master_metadata_album_album_name": "BBC Sessions",
        "spotify_track_uri": key and f"spotify:track:{key}",
        "episode_name": None,
        "spotify_episode_uri": None,
        "reason_start": "clickrow",
        "reason_end": "endplay",
        "shuffle": False,
        "skipped": None,
        "offline": False,
        "incognito_mode": False,
    } | changes


def history(*streams: object) -> bytes:
    return json.dumps(streams).encode()


FILES = {
    FIRST: history(
        stream("2014-07-27T20:34:47Z", "a"),
        stream("2014-07-27T20:39:00Z", "b", reason_end="trackdone", platform="iOS 13.4 (iPhone11,8)"),
        stream("2014-07-27T20:39:05Z", "a", reason_end="fwdbtn", skipped=True, ms_played=3000),
    ),
    "Streaming_History_Audio_2020_1.json": history(
        stream("2020-01-01T00:00:00Z", "b", platform="web_player windows 10;chrome", skipped=False)
    ),
    "Streaming_History_Video_2020.json": history(stream("2020-01-01T00:00:00Z", "video")),
    "ReadMeFirst_ExtendedStreamingHistory.pdf": b"%PDF",
}


class TestSpotifyHistory(FormatContract):
    format_name = "spotify-history"
    n_events = 4
    lone_file = FIRST

    def write(self, folder):
        return write_files(folder, FILES)

    def test_the_account_is_one_listener(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect().sort("timestamp")
        assert set(events["user_id"]) == {"me"}
        assert events["event"].to_list() == ["play", "complete", "skip", "play"]
        assert events["track_id"].to_list() == ["a", "b", "a", "b"]
        assert events["ms_played"].to_list() == [35422, 35422, 3000, 35422]
        assert events["device"].to_list() == ["android", "ios", "android", "web"]
        assert events["country"].to_list() == ["GB"] * 4
        assert events["timestamp"][0] == datetime(2014, 7, 27, 20, 34, 47, tzinfo=UTC)

    def test_streams_name_their_tracks(self, source, tmp_path):
        tracks = self.load(source, tmp_path / "d").tracks().sort("track_id")
        assert tracks["title"].to_list() == ['Song "a"', 'Song "b"']
        assert tracks["artist"].to_list() == ["Led Zeppelin"] * 2
        assert tracks["album_id"].to_list() == ["Led Zeppelin - BBC Sessions"] * 2

    def test_no_address_is_kept(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        assert "203.0.113" not in str(dataset.events().collect().rows())

    def test_older_files_and_a_named_account(self, tmp_path):
        old = stream("2019-01-01T00:00:00Z", "a", username="anna", skipped=True, reason_end="unknown")
        source = write_files(tmp_path / "s", {"MyData/endsong_0.json": history(old)})
        events = self.load(source, tmp_path / "d").events().collect()
        assert events.select("user_id", "event").rows() == [("anna", "skip")]

    def test_what_is_no_music_is_left_out_and_counted(self, source, tmp_path):
        (source / FIRST).write_bytes(
            history(
                stream("2014-07-27T20:34:47Z", "a"),
                stream("2014-07-27T21:00:00Z", None, spotify_episode_uri="spotify:episode:1"),
                stream("2014-07-27T22:00:00Z", None, audiobook_uri="spotify:show:1"),
                stream("2014-07-27T22:00:01Z", "a", ms_played=0, reason_end="trackerror"),
                stream("2014-07-27T22:00:02Z", "a", ms_played=0, reason_end="fwdbtn"),
            )
        )
        dataset = self.load(source, tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.manifest.counts["events"].left_out == 3
        assert dataset.events().collect()["event"].to_list() == ["play", "skip", "play"]

    def test_dirty_entries_are_accounted_for(self, source, tmp_path):
        (source / FIRST).write_bytes(
            b"\xef\xbb\xbf"
            + history(
                stream("2014-07-27T20:34:47Z", "a"),
                "junk",
                stream("2014-07-27T20:34:48Z", None),
                stream("once", "a"),
                stream("2014-07-27T20:34:49Z", "a", ms_played="long"),
                stream("2014-07-27T20:34:50Z", "a", conn_country="", platform=None),
            )
        )
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert found == {(2, ""), (3, "track_id"), (4, "timestamp"), (5, "ms_played")}

    @pytest.mark.parametrize("content", [b'[{"ts":', b"{}", b""])
    def test_half_a_file_is_refused_by_name(self, source, tmp_path, content):
        (source / FIRST).write_bytes(content)
        with pytest.raises(BadInputError, match=FIRST):
            self.load(source, tmp_path / "d")

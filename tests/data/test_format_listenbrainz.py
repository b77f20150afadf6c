"""ListenBrainz listens: dumps and exports of the documented shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from audotics.data.formats import get_format
from contract.format_contract import FormatContract, assert_accounted, lines, write_files


def listen(at: object, title: str, **changes: object) -> dict[str, object]:
    return {
        "user_id": 12,
        "user_name": "rob",
        "listened_at": at,
        "recording_msid": f"msid-{title}",
        "track_metadata": {"artist_name": "The Cab", "track_name": title, "additional_info": {}},
    } | changes


MAPPED = {
    "artist_name": "The Cab",
    "track_name": 'Angel "With" A Shotgun',
    "release_name": "Symphony Soldier",
    "additional_info": {"recording_mbid": "said", "duration_ms": 222000, "tags": ["rock"]},
    "mbid_mapping": {
        "recording_mbid": "rec-1",
        "release_mbid": "rel-1",
        "artist_mbids": ["art-1", "art-2"],
    },
}


def jsonl(*records: object) -> bytes:
    return lines(*(json.dumps(record) for record in records))


FIRST = "listens/2022/11.listens"
FILES = {
    FIRST: jsonl(
        listen(1669318360, "x", track_metadata=MAPPED),
        listen(1669318361, "Jóga"),
        listen(1669318361, "Jóga"),
    ),
    "listens/2023/1.listens": jsonl(listen(1672531200, "Jóga", user_name="anna")),
    "TIMESTAMP": b"2023-02-01",
}


class TestListenBrainz(FormatContract):
    format_name = "listenbrainz"
    n_events = 3
    lone_file = FIRST

    def write(self, folder):
        return write_files(folder, FILES)

    def test_listens_become_events(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect().sort("timestamp")
        assert events.select("user_id", "track_id", "timestamp").rows() == [
            ("rob", "rec-1", datetime(2022, 11, 24, 19, 32, 40, tzinfo=UTC)),
            ("rob", "msid-Jóga", datetime(2022, 11, 24, 19, 32, 41, tzinfo=UTC)),
            ("anna", "msid-Jóga", datetime(2023, 1, 1, tzinfo=UTC)),
        ]

    def test_listens_name_their_tracks(self, source, tmp_path):
        tracks = {t["track_id"]: t for t in self.load(source, tmp_path / "d").tracks().iter_rows(named=True)}
        assert set(tracks) == {"rec-1", "msid-Jóga"}
        mapped = tracks["rec-1"]
        assert mapped["title"] == 'Angel "With" A Shotgun'
        assert (mapped["artist_id"], mapped["artist"]) == ("art-1", "The Cab")
        assert (mapped["album_id"], mapped["album"]) == ("rel-1", "Symphony Soldier")
        assert mapped["duration_ms"] == 222000
        assert not mapped["tags"]
        assert (tracks["msid-Jóga"]["artist_id"], tracks["msid-Jóga"]["album"]) == ("The Cab", None)

    def test_ids_fall_back_to_what_is_known(self, tmp_path):
        said = listen(1669318360, "a", track_metadata=MAPPED | {"mbid_mapping": None})
        named = listen(1669318361, "b", recording_msid=None)
        source = write_files(tmp_path / "s", {"1.listens": jsonl(said, named)})
        events = self.load(source, tmp_path / "d").events().collect().sort("timestamp")
        assert events["track_id"].to_list() == ["said", "The Cab - b"]

    def test_an_export_of_one_account_is_one_listener(self, tmp_path):
        mine = [listen(1764740227 + n, f"t{n}") for n in range(3)]
        for record in mine:
            del record["user_name"], record["user_id"]
        source = write_files(
            tmp_path / "s",
            {
                "listens/2025/12.jsonl": jsonl(*mine),
                "feedback.jsonl": jsonl({"score": 1, "created": 1476644563, "recording_msid": "m"}),
                "user.json": b"{}",
            },
        )
        assert get_format("listenbrainz").detects(source)
        events = self.load(source, tmp_path / "d").events().collect()
        assert set(events["user_id"]) == {"me"}
        assert events.height == 3

    def test_older_dumps_call_the_time_timestamp(self, tmp_path):
        old = listen(None, "x") | {"timestamp": "2019-07-27T00:10:04+00:00"}
        del old["listened_at"]
        source = write_files(tmp_path / "s", {"7.listens": jsonl(old)})
        assert get_format("listenbrainz").detects(source)
        when = self.load(source, tmp_path / "d").events().collect()["timestamp"].to_list()
        assert when == [datetime(2019, 7, 27, 0, 10, 4, tzinfo=UTC)]

    def test_dirty_lines_are_accounted_for(self, source, tmp_path):
        with (source / FIRST).open("ab") as file:
            file.write(
                b'{"user_name": "rob", "listened_at": 16693\n'
                b"\n"
                b"[1, 2]\n"
                + jsonl(
                    listen("soon", "x"),
                    listen(1669318362, "x", user_name=None, user_id=None),
                    listen(1669318363000, "milliseconds"),
                    listen(1669318364, "", recording_msid=""),
                    {"user_name": "rob", "listened_at": 1669318365, "track_metadata": "none"},
                )
            )
            file.write(json.dumps(listen(1669318366, "Jóga"), ensure_ascii=False).encode("latin-1"))
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert found == {
            (4, ""),
            (6, ""),
            (7, "timestamp"),
            (8, "user_id"),
            (10, "track_id"),
            (11, "track_id"),
        }
        rob = dataset.events().collect().filter(user_id="rob").sort("timestamp")
        assert rob["track_id"].to_list() == ["rec-1", "msid-Jóga", "msid-milliseconds", "msid-Jóga"]
        assert rob["timestamp"].dt.second().to_list() == [40, 41, 43, 46]

    def test_one_torn_line_does_not_change_the_others(self, source, tmp_path):
        """Clean blocks are decoded at once, dirty ones field by field: both must agree."""
        clean = self.load(source, tmp_path / "clean")
        with (source / FIRST).open("ab") as file:
            file.write(b"{torn\nnull\n")
        dirty = self.load(source, tmp_path / "dirty", max_rejects=1.0)
        assert dirty.rejects()["line"].to_list() == [4, 5]
        order = ["user_id", "timestamp"]
        assert dirty.events().collect().sort(order).equals(clean.events().collect().sort(order))
        assert dirty.tracks().sort("track_id").equals(clean.tracks().sort("track_id"))

    def test_own_events_keep_the_names(self, source, tmp_path):
        own = write_files(tmp_path / "e", {"e.csv": b"user_id,track_id\nx,rec-1\n"})
        dataset = self.load(source, tmp_path / "d", events=own / "e.csv")
        assert_accounted(dataset)
        assert dataset.manifest.counts["tracks.names"].read == 4
        assert dataset.tracks().height == 2

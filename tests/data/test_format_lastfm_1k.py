"""Last.fm 1K users: small files of its published shape."""

from __future__ import annotations

from datetime import UTC, date, datetime

from contract.format_contract import FormatContract, assert_accounted, tabbed, write_files

PLAYS = "userid-timestamp-artid-artname-traid-traname.tsv"
PROFILE = "userid-profile.tsv"
FILES = {
    PLAYS: tabbed(
        ("user_000001", "2009-05-04T23:08:57Z", "art-1", "Deep Dish", "tra-1", "Fuck Me Im Famous"),
        ("user_000001", "2009-05-04T13:54:10Z", "", "坂本龍一", "", 'Composition "0919"'),
        ("user_000002", "2006-08-13T14:59:59Z", "art-1", "Deep Dish", "tra-1", "Fuck Me Im Famous"),
        ("user_000002", "2006-08-13T14:59:59Z", "art-1", "Deep Dish", "tra-1", "Fuck Me Im Famous"),
    ),
    PROFILE: tabbed(
        ("#id", "gender", "age", "country", "registered"),
        ("user_000001", "m", "", "Japan", "Aug 13, 2006"),
        ("user_000002", "f", "31", "Peru", "Feb 24, 2006"),
        ("user_000003", "", "1337", "", ""),
    ),
}


class TestLastfm1k(FormatContract):
    format_name = "lastfm-1k"
    n_events = 3
    lone_file = PLAYS

    def write(self, folder):
        return write_files(folder, FILES)

    def test_plays_keep_their_times_and_repeats_are_merged(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        events = dataset.events().collect().sort("timestamp")
        assert events["timestamp"].to_list() == [
            datetime(2006, 8, 13, 14, 59, 59, tzinfo=UTC),
            datetime(2009, 5, 4, 13, 54, 10, tzinfo=UTC),
            datetime(2009, 5, 4, 23, 8, 57, tzinfo=UTC),
        ]
        assert dataset.manifest.counts["events"].merged == 1

    def test_tracks_without_an_id_are_known_by_name(self, source, tmp_path):
        tracks = {
            row["track_id"]: row for row in self.load(source, tmp_path / "d").tracks().iter_rows(named=True)
        }
        assert set(tracks) == {"tra-1", '坂本龍一 - Composition "0919"'}
        assert tracks["tra-1"]["title"] == "Fuck Me Im Famous"
        assert tracks["tra-1"]["artist_id"] == "art-1"
        named = tracks['坂本龍一 - Composition "0919"']
        assert (named["artist"], named["artist_id"]) == ("坂本龍一", "坂本龍一")

    def test_profiles_become_users(self, source, tmp_path):
        users = self.load(source, tmp_path / "d").users().sort("user_id")
        assert users["country"].to_list() == ["Japan", "Peru", None]
        assert users["gender"].to_list() == ["m", "f", None]
        assert users["birth_year"].to_list() == [None, 1978, None]
        assert users["signed_up"].to_list() == [date(2006, 8, 13), date(2006, 2, 24), None]

    def test_dirty_lines_are_accounted_for(self, source, tmp_path):
        with (source / PLAYS).open("ab") as file:
            file.write(
                b"user_000003\t2009-01-01T00:00:00Z\t\tBj\xf6rk\t\tJ\xf3ga\r\n"  # Latin-1, Windows line end
                b"user_000003\t2009-01-01T00:00:00Z\t\tBjork\n"  # a title with a line end in it
                b"user_000003\tyesterday\t\tA\t\tB\n"
                b"user_000003\t2009-01-01T00:00:01Z\t\t\t\tno artist\n"
                b"user_000003\t1230768002\t\tA\t\tseconds\n"
                b"user_000003\t1230768003000\t\tA\t\tmilliseconds\n"
            )
        with (source / PROFILE).open("ab") as file:
            file.write(b"user_000004\tm\t20\tPeru\tsome day\nuser_000005\n")
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        rejected = {(r["file"], r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert rejected == {
            (PLAYS, 6, ""),
            (PLAYS, 7, "timestamp"),
            (PLAYS, 8, "track_id"),
            (PROFILE, 5, "signed_up"),
            (PROFILE, 6, ""),
        }
        events = dataset.events().collect()
        assert "Björk - Jóga" in set(events["track_id"])
        seconds = events.filter(user_id="user_000003").sort("timestamp")["timestamp"].dt.second().to_list()
        assert seconds == [0, 2, 3]
        assert not any("no artist" in track for track in dataset.tracks()["track_id"])

    def test_own_events_leave_the_names_counted_on_their_own(self, source, tmp_path):
        own = write_files(tmp_path / "e", {"e.tsv": tabbed(("user_id", "track_id"), ("x", "tra-1"))})
        dataset = self.load(source, tmp_path / "d", events=own / "e.tsv")
        assert_accounted(dataset)
        assert dataset.manifest.counts["tracks.names"].read == 4
        assert dataset.tracks().height == 2

    def test_own_profiles_alone_are_optional(self, source, tmp_path):
        (source / PROFILE).unlink()
        assert self.load(source, tmp_path / "d").users().is_empty()

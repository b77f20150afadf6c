"""Last.fm 360K users: small files of its published shape."""

from __future__ import annotations

from datetime import date

from contract.format_contract import FormatContract, assert_accounted, tabbed, write_files

PLAYS = "usersha1-artmbid-artname-plays.tsv"
PROFILE = "usersha1-profile.tsv"
ANNA, BERT = "00000c289a1829a808ac09c00daf10bc3c4e223b", "00001411dc427966b17297bf4d69e7e193135d89"
FILES = {
    PLAYS: tabbed(
        (ANNA, "mbid-1", "betty blowtorch", 2137),
        (ANNA, "", 'die "ärzte"', 1099),
        (BERT, "mbid-1", "betty blowtorch", 3),
    ),
    PROFILE: tabbed((ANNA, "f", 22, "Germany", "Feb 1, 2007"), (BERT, "", -1, "Canada", "Dec 4, 2007")),
}


class TestLastfm360k(FormatContract):
    format_name = "lastfm-360k"
    n_events = 3
    lone_file = PLAYS

    def write(self, folder):
        return write_files(folder, FILES)

    def test_plays_are_counts_of_artists(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect()
        assert events["timestamp"].null_count() == 3
        assert sorted(events.select("user_id", "track_id", "plays").rows()) == [
            (ANNA, 'die "ärzte"', 1099.0),
            (ANNA, "mbid-1", 2137.0),
            (BERT, "mbid-1", 3.0),
        ]

    def test_artists_are_the_tracks(self, source, tmp_path):
        tracks = self.load(source, tmp_path / "d").tracks()
        assert sorted(tracks.select("track_id", "title", "artist", "artist_id").rows()) == [
            ('die "ärzte"', 'die "ärzte"', 'die "ärzte"', 'die "ärzte"'),
            ("mbid-1", "betty blowtorch", "betty blowtorch", "mbid-1"),
        ]

    def test_profiles_have_no_header(self, source, tmp_path):
        users = self.load(source, tmp_path / "d").users().sort("user_id")
        assert users["user_id"].to_list() == [ANNA, BERT]
        assert users["birth_year"].to_list() == [1987, None]
        assert users["signed_up"].to_list() == [date(2007, 2, 1), date(2007, 12, 4)]

    def test_dirty_lines_are_accounted_for(self, source, tmp_path):
        with (source / PLAYS).open("ab") as file:
            file.write(
                BERT.encode() + b"\t\tbj\xf6rk\t12\n" + BERT.encode() + b"\t\t\t12\n"
                b"\t\tx\t1\n" + BERT.encode() + b"\t\ty\t0\n" + BERT.encode() + b"\t\tz\n"
            )
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert found == {(5, "track_id"), (6, "user_id"), (7, "plays"), (8, "")}
        assert "björk" in set(dataset.tracks()["track_id"])
